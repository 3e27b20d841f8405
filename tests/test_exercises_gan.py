"""The checks of notebook 03: right answers pass, each known mistake gets its hint."""

import numpy as np
import pytest

from course_utils import exercises, losses, samplers


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cost(real_logits, fake_logits):
    return (np.logaddexp(0, -real_logits) + np.logaddexp(0, fake_logits)).mean()


def logits(p_data, p_generator):
    return np.log(p_data) - np.log(p_generator)


def slope(logit, saturating):
    return -sigmoid(logit) if saturating else sigmoid(logit) - 1


def arc(start, end, t):
    angle = np.arccos(start @ end / (np.linalg.norm(start) * np.linalg.norm(end)))
    return (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)


def by_package_cost(real_logits, fake_logits):
    return np.mean(losses.discriminator_loss(real_logits, fake_logits))


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (exercises.check_discriminator_cost, cost),
        (exercises.check_discriminator_cost, by_package_cost),
        (exercises.check_best_logits, logits),
        (exercises.check_best_logits, lambda p, q: np.log(p / q)),
        (exercises.check_generator_slope, slope),
        (exercises.check_slerp, arc),
        (exercises.check_slerp, samplers.slerp),
    ],
)
def test_right_answers_pass(check, answer, capsys):
    assert check(answer) is True
    assert capsys.readouterr().out.startswith("Correct: ")


def softplus(x):
    return np.logaddexp(0, x)


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (exercises.check_discriminator_cost, lambda r, f: cost(r, f) / 2, "their sum"),
        (exercises.check_discriminator_cost, lambda r, f: cost(f, r), "exchanged"),
        (exercises.check_discriminator_cost, lambda r, f: cost(r, f) * len(r), "their number"),
        (
            exercises.check_discriminator_cost,
            lambda r, f: softplus(-r).mean(),
            "generated pictures",
        ),
        (exercises.check_discriminator_cost, lambda r, f: softplus(f).mean(), "real pictures are"),
        (
            exercises.check_discriminator_cost,
            lambda r, f: (np.log(1 + np.exp(-r)) + np.log(1 + np.exp(f))).mean(),
            "logaddexp",
        ),
        (exercises.check_best_logits, lambda p, q: p / (p + q), "D itself"),
        (exercises.check_best_logits, lambda p, q: np.log(q / p), "sign"),
        (exercises.check_best_logits, lambda p, q: p / q, "logarithm"),
        (exercises.check_best_logits, lambda p, q: np.log(p / (p + q)), "log(1 - D)"),
        (exercises.check_generator_slope, lambda d, s: slope(d, not s), "exchanged"),
        (exercises.check_generator_slope, lambda d, s: -slope(d, s), "the loss falls"),
        (exercises.check_generator_slope, lambda d, s: softplus(-d), "its derivative"),
        (exercises.check_slerp, lambda a, b, t: (1 - t) * a + t * b, "straight way"),
        (exercises.check_slerp, lambda a, b, t: arc(b, a, t), "exchanged"),
        (
            exercises.check_slerp,
            lambda a, b, t: (
                arc(a, b, t) * np.sin(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
            ),
            "division by the sine",
        ),
        (exercises.check_slerp, lambda a, b, t: None, "return statement"),
        (exercises.check_slerp, lambda a, b, t: arc(a, b, t)[:1], "shape"),
    ],
)
def test_known_mistakes_get_their_hint(check, answer, hint, capsys):
    assert check(answer) is False
    out = capsys.readouterr().out
    assert out.startswith("Not yet: ") and out.count("\n") == 1
    assert hint in out
