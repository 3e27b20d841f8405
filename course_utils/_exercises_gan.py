"""Checks of the exercises of notebook 03."""

from collections.abc import Callable

import numpy as np

from course_utils._checking import check, gives


def check_discriminator_cost(student: Callable) -> bool:
    """Check `discriminator_cost(real_logits, fake_logits)`: mean cross-entropy of both answers.

    Args:
        student: takes two arrays `(n,)` of logits, returns the mean over pairs of
            log(1 + exp(-real)) + log(1 + exp(fake)), a number.
    """

    def softplus(x):  # split so that neither part can overflow
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def reference(real_logits, fake_logits):
        return float(np.mean(softplus(-real_logits) + softplus(fake_logits)))

    inputs = [
        (np.array([2.0, -1.0]), np.array([-3.0, 0.5])),
        (np.array([0.0]), np.array([0.0])),
        (np.array([1000.0, -1000.0]), np.array([-1000.0, 1000.0])),
    ]
    return check(
        student,
        "discriminator_cost",
        reference,
        inputs=inputs,
        mistakes=[
            gives(
                lambda real, fake: reference(real, fake) / 2,
                "this is the mean of the two parts; the cost of a pair is their sum.",
            ),
            gives(
                lambda real, fake: reference(fake, real),
                "real and generated are exchanged: a large logit means real.",
            ),
            gives(
                lambda real, fake: reference(real, fake) * len(real),
                "the sum over pairs is right; divide it by their number.",
            ),
            gives(
                lambda real, fake: float(np.mean(softplus(-real))),
                "the generated pictures are missing.",
            ),
            gives(
                lambda real, fake: float(np.mean(softplus(fake))),
                "the real pictures are missing.",
            ),
            gives(
                lambda real, fake: float(np.mean(np.log1p(np.exp(-real)) + np.log1p(np.exp(fake)))),
                "exp(1000) is infinite: use np.logaddexp(0, x).",
            ),
        ],
    )


def check_best_logits(student: Callable) -> bool:
    """Check `best_logits(p_data, p_generator)`: the logits of the best discriminator.

    Args:
        student: takes two arrays `(n,)` of positive probabilities, returns `(n,)`.
    """

    def reference(p_data, p_generator):
        d = p_data / (p_data + p_generator)
        return np.log(d / (1 - d))

    inputs = [
        (np.array([0.5, 0.3, 0.2]), np.array([0.25, 0.3, 0.45])),
        (np.array([0.9, 0.1]), np.array([0.2, 0.8])),
    ]
    return check(
        student,
        "best_logits",
        reference,
        inputs=inputs,
        mistakes=[
            gives(
                lambda p, q: p / (p + q),
                "this is the best D itself; the exercise asks for its logit, log(D / (1 - D)).",
            ),
            gives(
                lambda p, q: -reference(p, q),
                "the sign is turned round: where data are more frequent, the logit is positive.",
            ),
            gives(lambda p, q: p / q, "this is the ratio; take its logarithm."),
            gives(
                lambda p, q: np.log(p / (p + q)),
                "this is log D; the logit is log D - log(1 - D).",
            ),
        ],
    )


def check_generator_slope(student: Callable) -> bool:
    """Check `generator_slope(logit, saturating)`: derivative of the generator's loss in the logit.

    Args:
        student: takes a number and a bool, returns a number.
    """

    def loss(logit, saturating):
        return -np.logaddexp(0, logit) if saturating else np.logaddexp(0, -logit)

    def reference(logit, saturating):  # by differences, not by the formula
        h = 1e-5
        return float((loss(logit + h, saturating) - loss(logit - h, saturating)) / (2 * h))

    inputs = [(-4.0, False), (-4.0, True), (1.5, False), (1.5, True), (0.0, True)]
    return check(
        student,
        "generator_slope",
        reference,
        inputs=inputs,
        mistakes=[
            gives(
                lambda d, s: reference(d, not s),
                "the two losses are exchanged: the saturating one is log(1 - sigma(d)).",
            ),
            gives(
                lambda d, s: -reference(d, s),
                "the sign is turned round: the loss falls as the logit rises.",
            ),
            gives(
                lambda d, s: float(loss(d, s)),
                "this is the loss; the exercise asks for its derivative.",
            ),
            gives(
                lambda d, s: reference(-d, not s),
                "the sign of the logit is turned round: sigma(d) = 1 / (1 + exp(-d)).",
            ),
        ],
    )


def check_slerp(student: Callable) -> bool:
    """Check `along_the_arc(start, end, t)`: spherical linear interpolation.

    Args:
        student: takes two arrays `(n,)` and a number from 0 to 1, returns `(n,)`.
    """

    def reference(start, end, t):
        # a turn in the plane of the two, for directions; lengths then come back linearly
        a, b = np.linalg.norm(start), np.linalg.norm(end)
        u, w = start / a, end / b
        across = w - (w @ u) * u
        across /= np.linalg.norm(across)
        angle = np.arctan2(w @ across, w @ u)
        first, second = np.sin((1 - t) * angle) * a, np.sin(t * angle) * b
        return (first * u + second * (np.cos(angle) * u + np.sin(angle) * across)) / np.sin(angle)

    def straight(start, end, t):
        return (1 - t) * start + t * end

    inputs = [
        (np.array([2.0, 0.0]), np.array([0.0, 2.0]), 0.5),
        (np.array([1.0, 2.0, 2.0]), np.array([-2.0, 1.0, 2.0]), 0.25),
        (np.array([1.0, 0.0]), np.array([1.0, 3.0]), 0.8),
    ]
    return check(
        student,
        "along_the_arc",
        reference,
        inputs=inputs,
        mistakes=[
            gives(
                straight, "this is the straight way; the shares are sines of parts of the angle."
            ),
            gives(
                lambda a, b, t: reference(b, a, t),
                "start and end are exchanged: at t = 0 it is start.",
            ),
            gives(
                lambda a, b, t: (
                    np.linalg.norm(a) * straight(a, b, t) / np.linalg.norm(straight(a, b, t))
                ),
                "this has the right length but not equal steps of the angle: use the two sines.",
            ),
            gives(
                lambda a, b, t: (
                    reference(a, b, t)
                    * np.sqrt(1 - (a @ b / np.linalg.norm(a) / np.linalg.norm(b)) ** 2)
                ),
                "the division by the sine of the angle is missing.",
            ),
        ],
    )
