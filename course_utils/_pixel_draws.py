"""How samplers draw one symbol: from logits, a uniform number, and what is known of the place."""

import numpy as np
from keras import layers


class Order:
    """What is to be drawn: checked arguments, the symbols so far, and how one is drawn."""

    def __init__(self, model, alphabet, shape, labels=None, n=None, uniforms=None, seed=None,
                 temperature=1.0, pictures=None, known=None):  # fmt: skip
        counts = [len(x) for x in (labels, uniforms, pictures) if np.ndim(x)]
        self.n = n = max(counts, default=1) if n is None else n
        if not temperature >= 0:
            raise ValueError(f"temperature must not be negative; received {temperature!r}.")
        rng = np.random.default_rng(seed)
        if uniforms is None:
            uniforms = rng.random((n, *shape))
        self._uniforms = np.asarray(uniforms, np.float64)
        if self._uniforms.shape != (n, *shape) or not (
            self._uniforms.min() >= 0 and self._uniforms.max() < 1
        ):
            raise ValueError(
                f"uniforms must have the shape {(n, *shape)} and lie in [0, 1); received "
                f"{self._uniforms.shape}."
            )
        self.labels = checked_labels(model, labels, n, may_lack=True)
        if self.labels is None and is_conditional(model):
            self.labels = rng.integers(0, number_of_classes(model), n).astype(np.int32)
        self._alphabet, self._temperature = alphabet, temperature
        self._wanted = self._fixed = None
        if (pictures is None) != (known is None):
            raise ValueError("pictures and known go together; received one of them.")
        if known is not None:
            self._wanted, self._fixed = self._blocks(pictures, known, shape)
        self.symbols = np.zeros((n, *shape), np.int32)
        self.log_mass = np.zeros(n)

    def is_free(self, row) -> np.ndarray:
        """Whether anything is to be drawn in a row, `(n,)` bool."""
        return ~self._fixed[:, row].all(axis=(1, 2))

    def select(self, kept):
        """Go on with these of the pictures."""
        self.symbols = self.symbols[kept]

    def draw(self, logits, row, column):
        """Draw the symbols at a place, `(n,)`; `log_mass` tells how probable what is known was."""
        logits = logits.astype(np.float64)
        allowed = self._allowed(row, column)
        self.log_mass = np.zeros(self.n)
        if self._temperature:
            logits /= self._temperature
            logits -= logits.max(axis=1, keepdims=True)
        if allowed is not None:
            all_of_it = np.exp(logits).sum(axis=1)
            logits[~allowed] = -np.inf
            largest = logits.max(axis=1, keepdims=True)
            logits -= largest
            if self._temperature:
                self.log_mass = largest[:, 0] + np.log(np.exp(logits).sum(axis=1) / all_of_it)
        if self._temperature:
            cumulative = np.cumsum(np.exp(logits), axis=1)
            bar = self._uniforms[:, row, column, None] * cumulative[:, -1:]
            symbols = (cumulative <= bar).sum(axis=1)
        else:
            symbols = logits.argmax(axis=1)
        self.symbols[:, row, column] = symbols
        return symbols

    def _allowed(self, row, column):
        """Which symbols agree with the known pixels, `(n, num_levels)`; None where all do."""
        if self._fixed is None or not self._fixed[:, row, column].any():
            return None
        wanted, fixed = self._wanted[:, row, column], self._fixed[:, row, column]
        # (n, levels, pixels of a block); levels are at least this far apart
        table = self._alphabet.table
        apart = (self._alphabet.high - self._alphabet.low) / (2 * 255)
        agrees = np.abs(table[None] - wanted[:, None]) < apart
        return (agrees | ~fixed[:, None]).all(axis=2)

    def _blocks(self, pictures, known, shape):
        side = self._alphabet.side
        size = (shape[0] * side, shape[1] * side, 1)
        pictures, known = np.asarray(pictures, np.float32), np.asarray(known)
        for name, array in (("pictures", pictures), ("known", known)):
            if array.shape not in ((self.n, *size), (1, *size)):
                raise ValueError(
                    f"{name} must have the shape {(self.n, *size)}, or one picture for all; "
                    f"received {array.shape}."
                )
        if known.dtype != bool:
            raise ValueError(f"known must be bool; received {known.dtype}.")
        seen, _ = self._alphabet.encode(pictures)
        fixed = known.reshape(len(known), shape[0], side, shape[1], side).swapaxes(2, 3)
        fixed = fixed.reshape(len(known), *shape, side * side)
        wide = (self.n, *shape, side * side)
        return np.broadcast_to(seen.numpy(), wide), np.broadcast_to(fixed, wide)


# --- what a model takes


def is_conditional(model) -> bool:
    """Whether a model takes labels."""
    return len(model.inputs) == 2


def ordered(model, seen, labels):
    """Put what is seen and the labels into the order of the model's inputs."""
    if not is_conditional(model):
        return seen
    return [seen if len(one.shape) == 4 else labels for one in model.inputs]


def number_of_classes(model) -> int:
    """How many classes the labels of a model may be."""
    return next(
        (layer.input_dim for layer in model.layers if isinstance(layer, layers.Embedding)), 10
    )


def checked_labels(model, labels, n, may_lack=False):
    """Return `(n,)` int32, or None where there are none."""
    if labels is None:
        if is_conditional(model) and not may_lack:
            raise ValueError("this model needs labels; received None.")
        return None
    if not is_conditional(model):
        raise ValueError("this model takes no labels.")
    labels = np.asarray(labels)
    if labels.ndim == 0:
        labels = np.full(n, labels)
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels must be whole numbers, one for each of {n} pictures; received "
            f"{labels.shape} of {labels.dtype}."
        )
    classes = number_of_classes(model)
    if n and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"labels must lie in [0, {classes}); received {labels.min()} to {labels.max()}."
        )
    return labels.astype(np.int32)
