"""Checks of the exercises of notebook 05."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from scipy.special import log_softmax, softmax

from course_utils._checking import Mistake, check, gives


def check_conv_mask(student: Callable) -> bool:
    """Check `conv_mask(height, width, mask_type)`: which weights of a window may look.

    Args:
        student: takes two odd numbers and "A" or "B", returns `(height, width)` of ones, at places
            read before the centre and, for "B", at the centre, and zeros.
    """

    def reference(height, width, mask_type):  # by counting places in reading order
        order = np.arange(height * width, dtype=float).reshape(height, width)
        return (order < height * width // 2 + (mask_type == "B")).astype(float)

    def left_and_above(height, width, mask_type):
        mask = np.zeros((height, width))
        mask[: height // 2 + 1, : width // 2 + 1] = 1
        mask[height // 2, width // 2] = mask_type == "B"
        return mask

    def rows_above(height, width, mask_type):
        mask = np.zeros((height, width))
        mask[: height // 2] = 1
        return mask

    return check(
        student,
        "conv_mask",
        reference,
        inputs=[(3, 3, "A"), (3, 3, "B"), (5, 3, "A"), (1, 7, "B")],
        mistakes=[
            gives(
                lambda h, w, kind: reference(h, w, "AB"[kind == "A"]),
                'A and B are exchanged: "A" hides the centre, "B" shows it.',
            ),
            gives(
                lambda h, w, kind: 1 - reference(h, w, kind),
                "ones and zeros are exchanged: a one lets a weight through.",
            ),
            gives(
                lambda h, w, kind: reference(h, w, kind)[::-1, ::-1],
                "this looks ahead; places above and to the left are those that are read before.",
            ),
            gives(
                left_and_above,
                "rows above are seen as far to the right as to the left: they have all been read.",
            ),
            gives(
                rows_above,
                "the row of the centre is missing: places left of the centre have been read.",
            ),
            gives(
                lambda h, w, kind: reference(h, w, kind).T,
                "rows and columns are exchanged: a picture is read row by row.",
            ),
        ],
    )


def check_bits_per_dimension(student: Callable) -> bool:
    """Check `bits_of_picture(symbols, logits)`: the mean price of a pixel in bits.

    Args:
        student: takes `(pixels,)` whole numbers and `(pixels, levels)` floats, returns a number:
            the mean of -log2 softmax(logits) at the symbols.
    """

    def reference(symbols, logits):
        rows = log_softmax(logits, axis=1)
        return float(-sum(row[s] for row, s in zip(rows, symbols, strict=True)) / len(rows)) / (
            np.log(2).item()
        )

    def overflowing(symbols, logits):
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return float(-np.log2(chances[np.arange(len(symbols)), symbols]).mean())

    inputs = [
        (np.array([0, 2, 1]), np.array([[1.0, 0, -1], [0, 0.5, 2], [3, -1, 0]])),
        (np.array([3, 0]), np.zeros((2, 4))),
        (np.array([0, 1]), np.array([[1000.0, 998], [-1000, -1000]])),
    ]
    return check(
        student,
        "bits_of_picture",
        reference,
        inputs=inputs,
        mistakes=[
            gives(
                lambda s, z: reference(s, z) * len(s),
                "this is the price of the whole picture; divide by the number of pixels.",
            ),
            gives(
                lambda s, z: reference(s, z) * np.log(2),
                "these are nats; a bit is log 2 of them, so divide by np.log(2).",
            ),
            gives(
                lambda s, z: reference(s, z) * np.log(2) ** 2,
                "this is multiplied by log 2; divide: a nat is more than a bit.",
            ),
            gives(
                lambda s, z: -reference(s, z),
                "the sign is wrong: a logarithm of a probability is negative, a price is not.",
            ),
            gives(
                lambda s, z: float(-z[np.arange(len(s)), s].mean() / np.log(2)),
                "logits are no log-probabilities yet: subtract the log of the sum of their exp.",
            ),
            gives(overflowing, "exp(1000) is infinite: use np.logaddexp.reduce(logits, axis=1)."),
        ],
    )


def check_draw_symbol(student: Callable) -> bool:
    """Check `draw_symbol(logits, u, temperature)`: a draw by inverting the cumulative distribution.

    Args:
        student: takes `(levels,)` logits, a number in [0, 1) and a positive number, returns the
            number of cumulative probabilities that are not above u, a whole number.
    """

    def reference(logits, u, temperature):  # walk through the symbols until u is used up
        left = u
        for symbol, chance in enumerate(softmax(np.asarray(logits) / temperature)):
            left -= chance
            if left < 0:
                return symbol
        return len(logits) - 1

    def with_chances(logits, chances, u):
        return int(min((np.cumsum(chances) <= u).sum(), len(logits) - 1))

    logits = np.array([0.0, 1.0, 2.0, 0.5])
    inputs = [  # with the first, each of the mistakes below gives another symbol
        (np.array([0.5, -1.5, 0.5, 0.0, 0.0, 2.0, 2.5]), 0.1, 2.0),
        (logits, 0.05, 1.0),
        (logits, 0.3, 1.0),
        (logits, 0.95, 1.0),
        (logits, 0.3, 0.25),
        (logits, 0.22, 3.0),
        (np.array([800.0, 801.0]), 0.5, 1.0),
    ]
    return check(
        student,
        "draw_symbol",
        reference,
        inputs=inputs,
        mistakes=[
            gives(
                lambda z, u, t: int(np.argmax(z)),
                "this is the likeliest symbol whatever u is; a draw depends on u.",
            ),
            gives(
                lambda z, u, t: reference(z, u, 1.0),
                "the temperature is left out: divide the logits by it before the softmax.",
            ),
            gives(
                lambda z, u, t: reference(z, u, 1 / t),
                "the logits are multiplied by the temperature; divide them.",
            ),
            gives(
                lambda z, u, t: with_chances(z, softmax(z) / t, u),
                "the temperature divides the logits, not the probabilities.",
            ),
            gives(
                lambda z, u, t: reference(z, u, t) + 1,
                "this is one too many: count the cumulative probabilities that are not above u.",
            ),
            gives(
                lambda z, u, t: int((np.cumsum(softmax(z / t)) > u).sum()),
                "these are the cumulative probabilities above u; count those that are not.",
            ),
        ],
    )


def check_class_posterior(student: Callable) -> bool:
    """Check `class_posterior(log_likelihoods, shares)`: Bayes' rule.

    Args:
        student: takes `(n, classes)` log p(x | y) and `(classes,)` p(y), returns p(y | x),
            `(n, classes)`.
    """

    def reference(log_likelihoods, shares):  # in exact fractions of the doubles, no logarithms
        rows = []
        for row in np.asarray(log_likelihoods, float):
            joint = [
                Fraction(float(np.exp(value - row.max()))) * Fraction(float(share))
                for value, share in zip(row, shares, strict=True)
            ]
            rows.append([float(one / sum(joint)) for one in joint])
        return np.array(rows)

    def underflowing(log_likelihoods, shares):
        joint = np.exp(log_likelihoods) * shares
        return joint / joint.sum(axis=1, keepdims=True)

    inputs = [
        (np.array([[-80.0, -82, -85], [-79, -78, -81]]), np.array([0.2, 0.3, 0.5])),
        (np.array([[-3.0, -1]]), np.array([0.9, 0.1])),
        (np.array([[-900.0, -901]]), np.array([0.5, 0.5])),
    ]
    return check(
        student,
        "class_posterior",
        reference,
        inputs=inputs,
        mistakes=[
            gives(
                lambda z, p: softmax(z, axis=1),
                "the shares are left out: weigh each likelihood with the share of its class.",
            ),
            gives(
                lambda z, p: softmax(z + p, axis=1),
                "the shares are added to logarithms: add np.log(shares).",
            ),
            gives(
                lambda z, p: log_softmax(z + np.log(p), axis=1),
                "these are the logarithms of the posterior; the exercise asks for p(y | x).",
            ),
            gives(
                lambda z, p: softmax(z + np.log(p), axis=0),
                "this sums to one over the pictures; it must over the classes, axis=1.",
            ),
            gives(
                lambda z, p: np.exp(z) * p,
                "this is the joint probability; divide it by its sum over the classes.",
            ),
            gives(
                underflowing,
                "exp(-900) is rounded to zero: subtract the largest logarithm of each row first.",
            ),
            Mistake(
                lambda out, z, p: np.shape(out) == (len(z),),
                "this is one number for each picture; keep one for each class.",
            ),
        ],
    )
