"""Checks of the exercises of notebook 06."""

from collections.abc import Callable
from math import acos, cos, sin, sqrt

import numpy as np

from course_utils._checking import Mistake, check, gives


def _parts(x_t, other, alpha_bar_t, row):
    """Solve for picture and noise: x_t = α x_0 + σ ε, and `other` is `row` times both."""
    equations = np.array([[sqrt(alpha_bar_t), sqrt(1 - alpha_bar_t)], row])
    flat = np.stack([np.ravel(x_t), np.ravel(other)]).astype("float64")
    return [part.reshape(np.shape(x_t)) for part in np.linalg.solve(equations, flat)]


def check_diffuse(student: Callable) -> bool:
    """Check `diffuse(x_start, noise, alpha_bar_t)`: pictures noised, each to its own level.

    Args:
        student: takes pictures and noise `(n, height, width, 1)` and levels `(n,)`; returns
            √ᾱ x_0 + √(1 - ᾱ) ε, shaped like the pictures.
    """

    def reference(x_start, noise, alpha_bar_t):  # turn each picture by an angle towards the noise
        angles = [acos(sqrt(level)) for level in alpha_bar_t]
        turned = [cos(a) * x + sin(a) * e for a, x, e in zip(angles, x_start, noise, strict=True)]
        return np.stack(turned)

    def levels(alpha_bar_t):
        return alpha_bar_t[:, None, None, None]

    def along_width(x_start, noise, alpha_bar_t):
        kept = alpha_bar_t[:, None]
        return np.sqrt(kept) * x_start + np.sqrt(1 - kept) * noise

    pictures = np.array([[[[1.0], [-1.0]]], [[[0.5], [-0.5]]]])  # (2, 1, 2, 1)
    noise = np.array([[[[0.3], [2.0]]], [[[-1.0], [0.4]]]])
    return check(
        student,
        "diffuse",
        reference,
        inputs=[
            (pictures, noise, np.array([0.25, 0.81])),
            (pictures[:1], noise[:1], np.array([0.64])),
            (pictures, noise, np.array([1.0, 0.0])),
        ],
        mistakes=[
            Mistake(
                lambda out, x, e, a: out.shape != x.shape,
                "the levels must stand in front: give alpha_bar_t three more axes.",
            ),
            gives(
                lambda x, e, a: along_width(x, e, a) if len(a) == x.shape[2] else np.zeros(0),
                "the levels lie along the width; the axis of the batch is the first.",
            ),
            gives(
                lambda x, e, a: levels(a) * x + (1 - levels(a)) * e,
                "these are shares of the variance; pictures are multiplied by their square roots.",
            ),
            gives(
                lambda x, e, a: np.sqrt(levels(a)) * x + (1 - levels(a)) * e,
                "1 - alpha_bar_t is the variance of the noise; it is multiplied by its square "
                "root.",
            ),
            gives(
                lambda x, e, a: np.sqrt(levels(a)) * x + (1 - np.sqrt(levels(a))) * e,
                "the two factors do not sum to 1; their squares do.",
            ),
            gives(
                lambda x, e, a: np.sqrt(levels(a)) * e + np.sqrt(1 - levels(a)) * x,
                "picture and noise are exchanged: alpha_bar_t is what is left of the picture.",
            ),
            gives(
                lambda x, e, a: reference(x, e, np.cumprod(a)),
                "this is a product over the batch; alpha_bar_t is a product over time already.",
            ),
        ],
    )


def check_picture_from_velocity(student: Callable) -> bool:
    """Check `picture_from_velocity(x_t, v, alpha_bar_t)`: x_0 = √ᾱ x_t - √(1 - ᾱ) v.

    Args:
        student: takes two arrays of one shape and a number in [0, 1]; returns an array.
    """

    def reference(x_t, v, alpha_bar_t):
        return _parts(x_t, v, alpha_bar_t, [-sqrt(1 - alpha_bar_t), sqrt(alpha_bar_t)])[0]

    def noise_of(x_t, v, alpha_bar_t):
        return _parts(x_t, v, alpha_bar_t, [-sqrt(1 - alpha_bar_t), sqrt(alpha_bar_t)])[1]

    x_t, v = np.array([[0.5, -1.0], [2.0, 0.0]]), np.array([[1.0, 0.25], [-0.5, 0.75]])
    return check(
        student,
        "picture_from_velocity",
        reference,
        inputs=[(x_t, v, 0.36), (x_t[0], v[1], 0.9), (x_t, v, 0.0)],
        mistakes=[
            gives(noise_of, "this is the noise; the picture is what is left."),
            gives(
                lambda x, v, a: sqrt(a) * x + sqrt(1 - a) * v,
                "the sign is wrong: v has the picture with a minus.",
            ),
            gives(
                lambda x, v, a: a * x - (1 - a) * v,
                "these are variances; the factors are their square roots.",
            ),
            gives(
                lambda x, v, a: (x - sqrt(1 - a) * v) / sqrt(a) if a else np.zeros(0),
                "v is taken for the noise.",
            ),
            Mistake(
                lambda out, x, v, a: not np.isfinite(out).all(),
                "where nothing of the picture is left, alpha_bar_t is 0: no division is needed.",
            ),
        ],
    )


def check_ddim_step(student: Callable) -> bool:
    """Check `ddim_step(x_t, x_start, alpha_bar_t, alpha_bar_s)`: both guesses, put together at s.

    Args:
        student: takes two arrays of one shape and two numbers in (0, 1], the first below 1;
            returns √ᾱ_s x_0 + √(1 - ᾱ_s) ε.
    """

    def reference(x_t, x_start, alpha_bar_t, alpha_bar_s):
        picture, noise = _parts(x_t, x_start, alpha_bar_t, [1, 0])
        angle = acos(sqrt(alpha_bar_s))
        return cos(angle) * picture + sin(angle) * noise

    def noise_of(x_t, x_start, alpha_bar_t):
        return _parts(x_t, x_start, alpha_bar_t, [1, 0])[1]

    x_t, x_start = np.array([[0.5, -1.0], [2.0, 0.1]]), np.array([[1.0, -1.0], [0.5, -0.2]])
    return check(
        student,
        "ddim_step",
        reference,
        inputs=[(x_t, x_start, 0.36, 0.64), (x_t[0], x_start[1], 0.1, 0.2), (x_t, x_start, 0.5, 1)],
        mistakes=[
            gives(
                lambda x, g, t, s: sqrt(s) * g + sqrt(1 - s) * x,
                "x_t is taken for the noise: subtract the picture's part, and divide.",
            ),
            gives(
                lambda x, g, t, s: sqrt(s) * g + sqrt(1 - s) * (x - sqrt(t) * g),
                "the noise is not brought to variance 1: divide by the root of 1 - alpha_bar_t.",
            ),
            gives(
                lambda x, g, t, s: sqrt(s) * g + sqrt(1 - s) * (x - g) / sqrt(1 - t),
                "of the picture only the root of alpha_bar_t is in x_t.",
            ),
            gives(
                lambda x, g, t, s: sqrt(s) * g + sqrt(1 - t) * noise_of(x, g, t),
                "the noise keeps its old level; at time s it has the root of 1 - alpha_bar_s.",
            ),
            gives(lambda x, g, t, s: x, "nothing has moved: use alpha_bar_s in the last line."),
            gives(
                lambda x, g, t, s: s * g + (1 - s) * noise_of(x, g, t),
                "these are variances; the factors are their square roots.",
            ),
            gives(lambda x, g, t, s: np.array(g), "this is the guess; some of the noise stays."),
        ],
    )


def check_guide(student: Callable) -> bool:
    """Check `guide(without, with_class, w)`: the prediction on the line through both.

    Args:
        student: takes two arrays of one shape and a number; returns an array.
    """

    def reference(without, with_class, w):
        return np.tensordot([1 - w, w], np.stack([without, with_class]), axes=1)

    without, with_class = np.array([[0.5, -1.0], [2.0, 0.0]]), np.array([[1.0, 0.5], [-0.5, 0.25]])
    return check(
        student,
        "guide",
        reference,
        inputs=[
            (without, with_class, 3.0),
            (without, with_class, 1.0),
            (without[0], with_class[1], 0.0),
        ],
        mistakes=[
            gives(
                lambda u, c, w: reference(u, c, w + 1),
                "this is w as in the paper, where 0 is no guidance; here w = 1 gives the "
                "prediction with the class.",
            ),
            gives(lambda u, c, w: reference(c, u, w), "the two are exchanged."),
            gives(lambda u, c, w: u + w * c, "what is added is w times the difference of the two."),
            gives(lambda u, c, w: c + w * u, "what is added is w times the difference of the two."),
            gives(lambda u, c, w: w * c, "the prediction without the class is missing."),
            gives(
                lambda u, c, w: (u + w * c) / (1 + w),
                "this is a mean, between the two; guidance goes beyond the second.",
            ),
        ],
    )
