"""Pictures as sequences: alphabets of symbols, exact likelihoods, and samplers that write them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
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
