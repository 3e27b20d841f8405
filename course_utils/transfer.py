"""Style transfer by optimisation: a picture with the content of one and the texture of another.

`Objective` is what is minimised, `stylize` minimises it from coarse to fine, and the functions at
the end keep the colours of the content.
"""

import dataclasses
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from course_utils import losses

# Of features scaled to mean one (`Backbone.extractor`); every layer's own weight is then one.
STYLE_LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1")
CONTENT_LAYERS = ("block3_conv3",)
STYLE_WEIGHT = 10.0
VARIATION_WEIGHT = 5.0
HISTORY = 10  # pairs of steps and gradient changes that L-BFGS remembers


class Objective:
    """The loss of style transfer for one content picture and one style.

    L = L_content + `style_weight` · L_style + `variation_weight` · TV, where L_content and L_style
    add up the layers, each with its own weight. The targets are computed once, here.

    Args:
        extractor: model from pictures to named features, as of `Backbone.extractor`; it must give
            every layer named below.
        content: `(height, width, 3)` or `(batch, height, width, 3)` float in [0, 1].
        style: one style picture or several of any sizes, each `(height, width, 3)` in [0, 1], or a
            dict from picture names to such arrays; several are blended.
        blend: one weight for each style; None weighs them alike. The Gram matrices are averaged.
        content_layers, style_layers: names, or a dict from names to weights.
        style_weight, variation_weight: numbers, or one for each picture of a batch.

    Raises:
        ValueError: if shapes or numbers do not fit together.
    """

    def __init__(
        self,
        extractor,
        content,
        style,
        *,
        blend: Sequence[float] | None = None,
        content_layers: Mapping[str, float] | Sequence[str] = CONTENT_LAYERS,
        style_layers: Mapping[str, float] | Sequence[str] = STYLE_LAYERS,
        style_weight=STYLE_WEIGHT,
        variation_weight=VARIATION_WEIGHT,
    ):
        self.content_layers, self.style_layers = _weights(content_layers), _weights(style_layers)
        missing = {*self.content_layers, *self.style_layers} - set(extractor.output)
        if missing:
            raise ValueError(f"the extractor must give {', '.join(sorted(missing))} as well.")
        self.extractor = extractor
        self.style_weight = tf.constant(style_weight, tf.float32)
        self.variation_weight = tf.constant(variation_weight, tf.float32)
        features = extractor(_as_batch(content))
        self.content_targets = {name: features[name] for name in self.content_layers}
        self.style_targets = _blended_grams(extractor, style, blend, self.style_layers)

    def losses(self, images) -> dict[str, tf.Tensor]:
        """Return "content", "style", "variation" and their weighted sum "total".

        Args:
            images: `(batch, height, width, 3)` float32 in [0, 1].

        Returns:
            One `(batch,)` float32 for each.
        """
        features = self.extractor(images)
        content = style = tf.zeros(tf.shape(images)[0])
        for name, weight in self.content_layers.items():
            content += weight * losses.content_loss(self.content_targets[name], features[name])
        for name, weight in self.style_layers.items():
            gram = losses.gram_matrix(features[name])
            style += weight * losses.style_loss(self.style_targets[name], gram)
        variation = losses.total_variation_loss(images, power=2)
        total = content + self.style_weight * style + self.variation_weight * variation
        return {"content": content, "style": style, "variation": variation, "total": total}

    @tf.function
    def value_and_gradient(self, images):
        """Return `losses(images)` and the gradient of the total by the pictures."""
        with tf.GradientTape() as tape:
            tape.watch(images)
            values = self.losses(images)
            total = tf.reduce_sum(values["total"])  # each picture depends on its own loss only
        return values, tape.gradient(total, images)


@dataclass(frozen=True)
class Step:
    """A moment of an optimisation.

    Attributes:
        image: `(height, width, 3)` float32 in [0, 1].
        share: of the work that is done, from 0 to 1.
        losses: "content", "style", "variation", "total" at this size.
        size: longer side of the picture in pixels.
    """

    image: np.ndarray
    share: float
    losses: dict[str, float]
    size: int


def stylize(
    extractor,
    content: np.ndarray,
    style,
    *,
    sizes: Sequence[int] = (96, 160, 256),
    iterations: Sequence[int] = (40, 40, 30),
    start: np.ndarray | None = None,
    **objective,
) -> Iterator[Step]:
    """Paint `content` in `style`, first small and then larger, by L-BFGS.

    A small picture costs little and lets the network, whose view is limited, see large forms; each
    larger size starts from the smaller result and adds what is finer. Closing the iterator ends
    the work.

    Args:
        extractor: as in `Objective`.
        content: `(height, width, 3)` float in [0, 1], of any size and shape.
        style: as in `Objective`; each style is resized along with the content.
        sizes: longer side of the picture at each stage, increasing.
        iterations: of L-BFGS at each stage.
        start: picture to start from, resized to the first stage; None takes the content.
        **objective: more arguments of `Objective`.

    Yields:
        A `Step` after each iteration. The `image` of the last one is the result.

    Raises:
        ValueError: if `sizes` and `iterations` are not increasing and positive numbers of equal
            count, or an argument of `Objective` is wrong.
    """
    sizes, iterations = tuple(sizes), tuple(iterations)
    if not sizes or len(sizes) != len(iterations) or min(sizes + iterations) < 1:
        raise ValueError(
            "sizes and iterations must be positive numbers, one of each for every stage; received "
            f"{sizes} and {iterations}."
        )
    if list(sizes) != sorted(set(sizes)):
        raise ValueError(f"sizes must increase; received {sizes}.")
    # the work of an iteration grows with the pixels
    work = np.cumsum([0, *(n * size**2 for size, n in zip(sizes, iterations, strict=True))])
    styles = _as_list(style)
    image = content if start is None else start
    for stage, (size, count) in enumerate(zip(sizes, iterations, strict=True)):
        target = resize(content, size)
        image = resize(image, target.shape[:2])
        goal = Objective(extractor, target, [resize(one, size) for one in styles], **objective)
        for step in minimise(goal, image, count):
            image = step.image
            share = work[stage] + step.share * (work[stage + 1] - work[stage])
            yield dataclasses.replace(step, share=float(share / work[-1]))


def minimise(objective: Objective, image: np.ndarray, iterations: int) -> Iterator[Step]:
    """Minimise an objective by L-BFGS within the range of colours, starting at a picture.

    Each pixel stays in [0, 1] by the bounds of L-BFGS-B. The loss never rises from one step to the
    next.

    Args:
        objective: with a value and a gradient for a batch of one.
        image: `(height, width, 3)` float in [0, 1].
        iterations: steps at most.

    Yields:
        A `Step` after each step.

    Source: Zhu et al. 1997, doi:10.1145/279232.279236, as SciPy has it.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    shape = image.shape
    seen = {}

    def value_and_gradient(pixels):
        batch = tf.constant(pixels.reshape(1, *shape), tf.float32)
        values, gradient = objective.value_and_gradient(batch)
        seen["losses"] = {name: float(value[0]) for name, value in values.items()}
        # L-BFGS-B works in double precision
        return seen["losses"]["total"], gradient.numpy().ravel().astype(np.float64)

    def paint(pixels):
        seen["steps"] = seen.get("steps", 0) + 1
        picture = pixels.reshape(shape).astype(np.float32)
        return Step(picture, seen["steps"] / iterations, seen["losses"], max(shape[:2]))

    def work(report):
        # The vectors are too short for several threads of BLAS, which only get in the way of
        # TensorFlow's: without this line, steps took twice as long.
        with threadpool_limits(1, "blas"):
            minimize(
                value_and_gradient,
                np.asarray(image, np.float64).ravel(),
                jac=True,
                method="L-BFGS-B",
                bounds=[(0, 1)] * image.size,
                options={"maxiter": iterations, "maxcor": HISTORY, "maxfun": 3 * iterations},
                callback=lambda pixels: report(paint(pixels)),
            )

    yield from _in_lockstep(work)


def resize(image: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resize a picture, smoothing it where it shrinks.

    Args:
        image: `(height, width, 3)` float in [0, 1].
        size: `(height, width)`, or the longer side, which keeps the proportions.

    Returns:
        `(height', width', 3)` float32 in [0, 1].
    """
    if not isinstance(size, tuple):
        scale = size / max(image.shape[:2])
        size = tuple(max(1, round(side * scale)) for side in image.shape[:2])
    if size == tuple(image.shape[:2]):
        return np.asarray(image, np.float32)
    resized = tf.image.resize(image, size, method="bicubic", antialias=True)
    return np.clip(resized.numpy(), 0, 1)


def keep_colours(image: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Give a result the colours of its content: its own lightness, the hue and chroma of the other.

    Args:
        image: `(height, width, 3)` float in [0, 1], the result.
        content: picture of the same shape.

    Returns:
        Same shape, float32 in [0, 1]. Colours that no screen can show are cut off.

    Source: Gatys et al. 2016, arXiv:1606.05897, §3.2, in CIE L*a*b* instead of YIQ.
    """
    from skimage import color

    lab = color.rgb2lab(content)
    lab[..., 0] = color.rgb2lab(image)[..., 0]
    with warnings.catch_warnings():  # of colours that no screen can show
        warnings.simplefilter("ignore", UserWarning)
        return np.clip(color.lab2rgb(lab), 0, 1).astype(np.float32)


def match_colours(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Give a style the colours of the content, before the transfer: match the histograms.

    Args:
        style: `(height, width, 3)` float in [0, 1].
        content: the same, of any other size.

    Returns:
        `style` with, in each channel, the distribution of `content`; float32.

    Source: Gatys et al. 2016, arXiv:1606.05897, §3.1, with histograms instead of mean and
    covariance.
    """
    from skimage.exposure import match_histograms

    return match_histograms(style, content, channel_axis=-1).astype(np.float32)


def _weights(layers) -> dict[str, float]:
    return dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)


def _as_list(style) -> list[np.ndarray]:
    if isinstance(style, Mapping):
        return list(style.values())
    return list(style) if isinstance(style, (list, tuple)) else [style]


def _as_batch(image):
    image = tf.convert_to_tensor(image, tf.float32)
    if image.shape.rank not in (3, 4) or image.shape[-1] != 3:
        raise ValueError(
            "a picture must have the shape (height, width, 3), or (batch, height, width, 3); "
            f"received {tuple(image.shape)}."
        )
    return image if image.shape.rank == 4 else image[None]


def _blended_grams(extractor, style, blend, layer_names):
    """Average the Gram matrices of the styles, weighted by `blend`; one for each layer."""
    if not layer_names:
        return {}
    styles = _as_list(style)
    blend = np.ones(len(styles)) if blend is None else np.asarray(blend, float)
    if not styles or blend.shape != (len(styles),) or blend.min() < 0 or blend.sum() <= 0:
        raise ValueError(
            "blend must have one weight that is not negative for each style, and one above zero; "
            f"received {blend.tolist()} for {len(styles)} styles."
        )
    blend = blend / blend.sum()
    targets = dict.fromkeys(layer_names, 0.0)
    for part, one in zip(blend, styles, strict=True):
        if part > 0:
            features = extractor(_as_batch(one))
            for name in targets:
                targets[name] += part * losses.gram_matrix(features[name])
    return targets


def _in_lockstep(work: Callable[[Callable], None]) -> Iterator:
    """Turn a function that reports into an iterator; it runs only while the iterator is asked.

    `work(report)` runs in a thread and stands still from each `report(value)` until the next value
    is wanted, so whoever holds a lock while asking holds it for the work as well. When the
    iterator is closed, `report` raises in the thread.
    """
    go, there = threading.Semaphore(0), threading.Semaphore(0)
    state = {"value": None, "error": None, "ended": False, "closed": False}

    def report(value):
        state["value"] = value
        there.release()
        go.acquire()
        if state["closed"]:
            raise _Closed

    def run():
        go.acquire()
        try:
            if not state["closed"]:
                work(report)
        except _Closed:
            pass
        except BaseException as error:
            state["error"] = error
        state["ended"] = True
        there.release()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            go.release()
            there.acquire()
            if state["ended"]:
                break
            yield state["value"]
    finally:
        if not state["ended"]:
            state["closed"] = True
            go.release()
        thread.join()
    if state["error"] is not None:
        raise state["error"]


class _Closed(Exception):
    """Nobody wants further values."""
