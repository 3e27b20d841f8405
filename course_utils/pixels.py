"""Pictures as sequences: alphabets of symbols, exact likelihoods, and samplers that write them."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from course_utils import losses
from course_utils._causal_plan import Plan
from course_utils._columns import Columns
from course_utils._pixel_draws import (
    Order,
    checked_labels,
    is_conditional,
    number_of_classes,
    ordered,
)


@dataclass(frozen=True, eq=False)
class Alphabet:
    """What one symbol of a picture may be, and what a network sees of it.

    Attributes:
        side: a symbol stands for `side` × `side` pixels; the picture is read block by block.
        table: `(num_levels, side * side)` float32; row k holds what symbol k looks like to the
            network, pixels of a block from left to right and from top to bottom.
        low, high: values of `table` that are paper (0) and ink (1).
    """

    side: int
    table: np.ndarray
    low: float = 0.0
    high: float = 1.0

    @property
    def num_levels(self) -> int:
        """How many symbols there are."""
        return len(self.table)

    def encode(self, pictures):
        """Turn pictures into symbols; made of tensor operations, so it may stand in a step.

        Args:
            pictures: `(n, height, width, 1)` float32 in [0, 1], with levels of this alphabet.

        Returns:
            What the network sees, `(n, height / side, width / side, side * side)` float32, and the
            symbols, `(n, height / side, width / side)` int32.
        """
        import tensorflow as tf

        levels = round(self.num_levels ** (1 / self.side**2))  # of one pixel
        blocks = tf.nn.space_to_depth(pictures, self.side) if self.side > 1 else pictures
        weights = float(levels) ** np.arange(self.side**2 - 1, -1, -1)
        digits = tf.round(blocks * (levels - 1))
        symbols = tf.cast(tf.tensordot(digits, tf.constant(weights, tf.float32), 1), tf.int32)
        return self.low + (self.high - self.low) * digits / (levels - 1), symbols

    def look_up(self, symbols) -> np.ndarray:
        """Return what the network sees of symbols `(...)`: `(..., side * side)` float32."""
        return self.table[np.asarray(symbols)]

    def decode(self, symbols) -> np.ndarray:
        """Turn symbols `(n, rows, columns)` into pictures `(n, height, width, 1)` in [0, 1]."""
        seen = (self.look_up(symbols) - self.low) / (self.high - self.low)
        n, rows, columns, _ = seen.shape
        blocks = seen.reshape(n, rows, columns, self.side, self.side).swapaxes(2, 3)
        return blocks.reshape(n, rows * self.side, columns * self.side, 1)


def _bits(count):
    return (np.arange(2**count)[:, None] >> np.arange(count - 1, -1, -1) & 1).astype(np.float32)


INK = Alphabet(1, _bits(1))  # a pixel is paper or ink
BLOCKS = Alphabet(2, _bits(4))  # 2 × 2 pixels of paper or ink: 16 symbols
GREY = Alphabet(1, np.linspace(-1, 1, 256, dtype=np.float32)[:, None], -1.0, 1.0)  # 256 levels


# --- exact likelihoods ---------------------------------------------------------------------------


def log_likelihood(model, alphabet: Alphabet, pictures, labels=None, batch_size=100) -> np.ndarray:
    """Return log p(x | y), or log p(x), exactly: no bound and no sampling.

    For a conditional model without labels, log p(x) = log mean_y p(x | y) over its classes, which
    are taken to be equally frequent.

    Args:
        model: from what is seen, or from what is seen and labels, to logits.
        alphabet: of the model.
        pictures: `(n, height, width, 1)` float32 in [0, 1], with levels of the alphabet.
        labels: `(n,)` int, or None.
        batch_size: pictures at once.

    Returns:
        `(n,)` float64, in nats a picture.

    Raises:
        ValueError: if labels are given to a model that takes none, or are not one a picture.
    """
    if labels is None and is_conditional(model):
        each = class_log_likelihoods(model, alphabet, pictures, batch_size)
        largest = each.max(axis=1)
        return largest + np.log(np.mean(np.exp(each - largest[:, None]), axis=1))
    labels = checked_labels(model, labels, len(pictures))
    return _scorer(model, alphabet)(pictures, labels, batch_size)


def class_log_likelihoods(model, alphabet: Alphabet, pictures, batch_size=100) -> np.ndarray:
    """Return log p(x | y) for every class y of a conditional model.

    With Bayes' rule and equally frequent classes, p(y | x) is the softmax of a row.

    Args:
        model: from what is seen and labels to logits.
        alphabet: of the model.
        pictures: as in `log_likelihood`.
        batch_size: pictures at once.

    Returns:
        `(n, classes)` float64, in nats a picture.

    Raises:
        ValueError: if the model takes no labels.
    """
    if not is_conditional(model):
        raise ValueError("class_log_likelihoods needs a model that takes labels.")
    score = _scorer(model, alphabet)
    return np.stack(
        [
            score(pictures, np.full(len(pictures), label, np.int32), batch_size)
            for label in range(number_of_classes(model))
        ],
        axis=1,
    )


@functools.lru_cache(maxsize=4)  # compiling anew at each call would take longer than the work
def _scorer(model, alphabet):
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def score(pictures, labels):
        seen, symbols = alphabet.encode(pictures)
        logits = model(ordered(model, seen, labels), training=False)
        return -losses.symbol_loss(symbols, logits)

    def score_all(pictures, labels, batch_size):
        parts = [np.zeros(0)]
        for begin in range(0, len(pictures), batch_size):
            part = slice(begin, begin + batch_size)
            batch = tf.constant(np.asarray(pictures[part], np.float32))
            told = None if labels is None else tf.constant(labels[part])
            parts.append(score(batch, told).numpy().astype(np.float64))
        return np.concatenate(parts)

    return score_all


# --- writing pictures ----------------------------------------------------------------------------


class PixelSampler:
    """Write pictures symbol by symbol, computing for each place one column of features only.

    Args:
        model: functional, made of `MaskedConv2D`, `StackConv2D`, convolutions of 1 × 1, and layers
            that treat each place by itself; what it is told of a label is the same everywhere.
            Weights are read when pictures are written, so a model that learns on stays up to date.
        alphabet: of the model.

    Attributes:
        plan: of the layers; `plan.shape` is (rows, columns).
        classes: how many there are to ask for; 0 where the model takes no labels.

    Raises:
        ValueError: naming the layer, if there is one of another kind, or one that looks at what it
            should predict; or if alphabet and logits do not fit.

    Source: Ramachandran et al. 2017, arXiv:1704.06001, for the idea of keeping features.
    """

    def __init__(self, model, alphabet: Alphabet):
        self.model, self.alphabet = model, alphabet
        self.plan = Plan(model)
        self.classes = number_of_classes(model) if self.plan.conditional else 0
        if self.plan.num_levels != alphabet.num_levels:
            raise ValueError(
                f"the model has logits of {self.plan.num_levels} symbols, the alphabet has "
                f"{alphabet.num_levels}."
            )

    def sample(
        self,
        labels=None,
        *,
        n: int | None = None,
        uniforms=None,
        seed: int | None = None,
        temperature: float = 1.0,
        pictures=None,
        known=None,
        callback: Callable | None = None,
    ) -> np.ndarray:
        """Draw pictures from the model, from top to bottom and from left to right.

        Args:
            labels: `(n,)` int, one for all, or None; a conditional model then draws a class for
                each picture, all equally probable.
            n: number of pictures; None follows from the other arguments.
            uniforms: `(n, rows, columns)` in [0, 1), one for each symbol, which is the number of
                cumulative probabilities that are not above it. Equal ones give equal pictures.
                None draws them.
            seed: of what is drawn here.
            temperature: divides the logits; 0 takes the most probable symbol.
            pictures: `(n or 1, height, width, 1)`, of which some pixels are kept.
            known: the same shape, bool: which. Only pixels before a place are taken into account
                when its symbol is drawn; `complete` minds the others too.
            callback: called after each row as `callback(row, symbols)`; False ends the work, and
                rows to come are zeros.

        Returns:
            `(n, rows, columns)` int32.

        Raises:
            ValueError: if shapes or numbers do not go together.
        """
        order = Order(self.model, self.alphabet, self.plan.shape, labels, n, uniforms, seed,
                       temperature, pictures, known)  # fmt: skip
        columns = Columns(self.plan, order.n, order.labels)
        for row in range(self.plan.shape[0]):
            with _one_thread():
                columns.begin_row()
                for column in range(self.plan.shape[1]):
                    symbols = order.draw(columns.logits(column), row, column)
                    columns.write(column, self.alphabet.table[symbols])
            if callback and callback(row, order.symbols.copy()) is False:
                break
        return order.symbols


def naive_sample(model, alphabet: Alphabet, labels=None, *, callback=None, **options) -> np.ndarray:
    """Draw pictures as `PixelSampler.sample` does, with a whole forward pass for each place.

    Slow and simple: it asks nothing of the model but that logits depend on the past alone.

    Args:
        model: as in `PixelSampler`, or any other.
        alphabet: of the model.
        labels: as in `PixelSampler.sample`.
        callback: likewise.
        **options: n, uniforms, seed, temperature, pictures and known, likewise.

    Returns:
        `(n, rows, columns)` int32, the same as `PixelSampler` draws.
    """
    import tensorflow as tf

    (shape,) = {tuple(x.shape[1:3]) for x in model.inputs if len(x.shape) == 4}
    order = Order(model, alphabet, shape, labels, **options)
    told = None if order.labels is None else tf.constant(order.labels)

    @tf.function
    def logits_at(seen, row, column):
        return model(ordered(model, seen, told), training=False)[:, row, column]

    seen = np.zeros((order.n, *shape, alphabet.side**2), np.float32)
    for row in range(shape[0]):
        for column in range(shape[1]):
            logits = logits_at(tf.constant(seen), tf.constant(row), tf.constant(column)).numpy()
            seen[:, row, column] = alphabet.table[order.draw(logits, row, column)]
        if callback and callback(row, order.symbols.copy()) is False:
            break
    return order.symbols


def complete(
    sampler: PixelSampler,
    pictures,
    known,
    labels=None,
    n: int = 8,
    seed: int | None = None,
    *,
    callback: Callable | None = None,
    **options,
) -> np.ndarray:
    """Draw what could stand at unknown pixels, given all known ones: those before and those after.

    `completing` says how, and yields what this returns in the end.

    Args:
        sampler: of the model.
        pictures: `(1 or n, height, width, 1)` in [0, 1].
        known: the same shape, bool.
        labels: as in `PixelSampler.sample`.
        n: number of results.
        seed: of the chance.
        callback: called after each row as `callback(row, symbols)`; False ends the work.
        **options: temperature and particles, as in `completing`.

    Returns:
        `(n, rows, columns)` int32.

    Raises:
        ValueError: if shapes or numbers do not go together.
    """
    for row, symbols in completing(sampler, pictures, known, labels, n, seed, **options):
        if callback and callback(row, symbols) is False:
            break
    return symbols


def completing(
    sampler: PixelSampler,
    pictures,
    known,
    labels=None,
    n: int = 8,
    seed: int | None = None,
    *,
    temperature: float = 1.0,
    particles: int = 20,
) -> Iterator[tuple[int, np.ndarray]]:
    """Draw what could stand at unknown pixels, given all known ones, and yield after each row.

    A network that reads from the top knows nothing of what is kept further down. So for each
    result `particles` pictures are written side by side (a particle filter): each draws the unknown
    symbols from the model, and each known one multiplies its weight by the probability that the
    model gives it. Where weights have become uneven, the particles that foresaw what is known are
    copied and the others are dropped. One is chosen by its weight in the end. The more particles,
    the closer this comes to p(unknown | known). Results have particles of their own, so they are
    independent of each other.

    Args:
        sampler: of the model.
        pictures: `(1 or n, height, width, 1)` in [0, 1].
        known: the same shape, bool.
        labels: as in `PixelSampler.sample`; where None, a conditional model spreads the particles
            over the classes, and the weights say which fit.
        n: number of results.
        seed: of the chance.
        temperature: divides the logits, in draws and in weights; with 0 there are no weights.
        particles: for each result. Where no known pixel follows an unknown one, and the label is
            given, one is exact and no more are used.

    Yields:
        The row, and `(n, rows, columns)` int32: for each result the particle that would be chosen
        now. Rows to come are zeros.

    Raises:
        ValueError: if shapes or numbers do not go together.

    Source: Gordon et al. 1993, doi:10.1049/ip-f-2.1993.0015; resampling is systematic and happens
    where the effective sample size is below half, Doucet and Johansen 2009, §3.5.
    """
    if particles < 1 or n < 1:
        raise ValueError(
            f"n and particles must be positive; received n={n} and particles={particles}."
        )
    if not _needs_weights(sampler, np.asarray(known), labels):
        particles = 1
    rng = np.random.default_rng(seed)
    rows, width = sampler.plan.shape
    labels = checked_labels(sampler.model, labels, n, may_lack=True)
    if labels is not None:
        labels = np.repeat(labels, particles)
    elif sampler.plan.conditional:
        # as many of each class as possible, which chance does not choose as evenly
        classes = number_of_classes(sampler.model)
        spread = [rng.permutation(classes) for _ in range(n * -(-particles // classes))]
        labels = np.reshape(spread, (n, -1))[:, :particles].astype(np.int32).ravel()
    order = Order(
        sampler.model, sampler.alphabet, sampler.plan.shape, labels, n * particles,
        rng.random((n * particles, rows, width)), None, temperature,
        *(_repeated(array, n, particles) for array in (pictures, known)),
    )  # fmt: skip
    columns = Columns(sampler.plan, order.n, order.labels)
    weights = np.zeros((n, particles))  # logarithms
    choice = rng.random(n)
    firsts = particles * np.arange(n)

    def chosen():
        cumulative = np.cumsum(_normalised(weights), axis=1)
        place = (cumulative <= choice[:, None] * cumulative[:, -1:]).sum(axis=1)
        return order.symbols[firsts + np.minimum(place, particles - 1)]

    for row in range(rows):
        if row and order.is_free(row).any():  # else nothing is drawn that could be drawn better
            kept = _resample(weights, rng, order.is_free(row)[::particles])
            if np.any(kept != np.arange(len(kept))):
                columns.select(kept)
                order.select(kept)
        with _one_thread():
            columns.begin_row()
            for column in range(width):
                symbols = order.draw(columns.logits(column), row, column)
                columns.write(column, sampler.alphabet.table[symbols])
                weights += order.log_mass.reshape(n, particles)
        yield row, chosen()


def _needs_weights(sampler, known, labels):
    """Whether something known can tell for or against what was drawn before it."""
    (rows, columns), side = sampler.plan.shape, sampler.alphabet.side
    if known.shape[1:] != (rows * side, columns * side, 1):
        return True  # an error soon says so
    blocks = known.reshape(-1, rows, side, columns, side).swapaxes(2, 3)
    blocks = blocks.reshape(-1, rows * columns, side * side)  # in the order of drawing
    is_open = ~blocks.all(axis=2)
    open_before = np.cumsum(is_open, axis=1) > is_open
    drawn_label = labels is None and sampler.plan.conditional
    return bool(np.any(blocks.any(axis=2) & (open_before | drawn_label)))


@functools.cache
def _blas():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()  # looks through all libraries of the process


def _one_thread():
    """Let NumPy multiply with one thread: for so little work others cost more than they save."""
    return _blas().limit(limits=1, user_api="blas")


def _normalised(weights):
    shares = np.exp(weights - weights.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _resample(weights, rng, wanted):
    """Choose particles by weight in groups that need it; return who goes on, `(n * particles,)`."""
    n, particles = weights.shape
    kept = np.arange(n * particles).reshape(n, particles)
    shares = _normalised(weights)
    for group in range(n):
        if wanted[group] and 1 / np.sum(shares[group] ** 2) < particles / 2:
            places = (rng.random() + np.arange(particles)) / particles
            chosen = np.searchsorted(np.cumsum(shares[group])[:-1], places, side="right")
            kept[group] = group * particles + chosen
            weights[group] = 0
    return kept.ravel()


def _repeated(array, n, particles):
    """Give each particle its picture."""
    array = np.asarray(array)
    return np.repeat(array, particles, axis=0) if len(array) == n > 1 else array
