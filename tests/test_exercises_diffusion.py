"""The checks of notebook 06: right answers pass, each known mistake gets its hint."""

import numpy as np
import pytest

from course_utils import exercises


def levels(alpha_bar_t):
    return np.reshape(alpha_bar_t, (-1, 1, 1, 1))


def diffuse(x_start, noise, alpha_bar_t):
    kept = levels(alpha_bar_t)
    return np.sqrt(kept) * x_start + np.sqrt(1 - kept) * noise


def picture(x_t, v, alpha_bar_t):
    return np.sqrt(alpha_bar_t) * x_t - np.sqrt(1 - alpha_bar_t) * v


def noise_in(x_t, x_start, alpha_bar_t):
    return (x_t - np.sqrt(alpha_bar_t) * x_start) / np.sqrt(1 - alpha_bar_t)


def step(x_t, x_start, alpha_bar_t, alpha_bar_s):
    noise = noise_in(x_t, x_start, alpha_bar_t)
    return np.sqrt(alpha_bar_s) * x_start + np.sqrt(1 - alpha_bar_s) * noise


def guide(without, with_class, w):
    return without + w * (with_class - without)


def by_solver_formula(x_t, x_start, alpha_bar_t, alpha_bar_s):
    ratio = np.sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t))
    return ratio * x_t + (np.sqrt(alpha_bar_s) - ratio * np.sqrt(alpha_bar_t)) * x_start


RIGHT = [
    (exercises.check_diffuse, diffuse),
    (exercises.check_picture_from_velocity, picture),
    (exercises.check_ddim_step, step),
    (exercises.check_ddim_step, by_solver_formula),
    (exercises.check_guide, guide),
    (exercises.check_guide, lambda u, c, w: (1 - w) * u + w * c),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_right_answers_pass(check, answer, capsys):
    assert check(answer) is True
    assert capsys.readouterr().out.startswith("Correct: ")


def flat_levels(x, noise, a):
    return np.sqrt(a) * x + np.sqrt(1 - a) * noise


DIFFUSE, VELOCITY = exercises.check_diffuse, exercises.check_picture_from_velocity
STEP, GUIDE = exercises.check_ddim_step, exercises.check_guide
WRONG = [
    (DIFFUSE, flat_levels, "shape (2, 1, 2, 1) is needed"),
    (DIFFUSE, lambda x, e, a: flat_levels(x, e, a[:, None]), "along the width"),
    (DIFFUSE, lambda x, e, a: levels(a) * x + (1 - levels(a)) * e, "square roots"),
    (DIFFUSE, lambda x, e, a: np.sqrt(levels(a)) * x + (1 - levels(a)) * e, "variance of the"),
    (
        DIFFUSE,
        lambda x, e, a: np.sqrt(levels(a)) * x + (1 - np.sqrt(levels(a))) * e,
        "their squares do",
    ),
    (DIFFUSE, lambda x, e, a: diffuse(e, x, a), "exchanged"),
    (DIFFUSE, lambda x, e, a: diffuse(x, e, np.cumprod(a)), "over the batch"),
    (DIFFUSE, lambda x, e, a: None, "return statement"),
    (VELOCITY, lambda x, v, a: np.sqrt(1 - a) * x + np.sqrt(a) * v, "this is the noise"),
    (VELOCITY, lambda x, v, a: np.sqrt(a) * x + np.sqrt(1 - a) * v, "sign"),
    (VELOCITY, lambda x, v, a: a * x - (1 - a) * v, "square roots"),
    (VELOCITY, lambda x, v, a: (x - np.sqrt(1 - a) * v) / np.sqrt(a), "taken for the noise"),
    (
        VELOCITY,
        lambda x, v, a: (x - np.sqrt(1 - a) * (np.sqrt(1 - a) * x + np.sqrt(a) * v)) / np.sqrt(a),
        "no division",
    ),
    (STEP, lambda x, g, t, s: np.sqrt(s) * g + np.sqrt(1 - s) * x, "taken for the noise"),
    (STEP, lambda x, g, t, s: np.sqrt(s) * g + np.sqrt(1 - s) * (x - np.sqrt(t) * g), "divide"),
    (
        STEP,
        lambda x, g, t, s: np.sqrt(s) * g + np.sqrt(1 - s) * (x - g) / np.sqrt(1 - t),
        "only the root",
    ),
    (
        STEP,
        lambda x, g, t, s: np.sqrt(s) * g + np.sqrt(1 - t) * noise_in(x, g, t),
        "its old level",
    ),
    (STEP, lambda x, g, t, s: 1.0 * x, "nothing has moved"),
    (STEP, lambda x, g, t, s: s * g + (1 - s) * noise_in(x, g, t), "square roots"),
    (STEP, lambda x, g, t, s: 1.0 * g, "some of the noise stays"),
    (GUIDE, lambda u, c, w: (1 + w) * c - w * u, "as in the paper"),
    (GUIDE, lambda u, c, w: guide(c, u, w), "exchanged"),
    (GUIDE, lambda u, c, w: u + w * c, "difference"),
    (GUIDE, lambda u, c, w: c + w * u, "difference"),
    (GUIDE, lambda u, c, w: w * c, "is missing"),
    (GUIDE, lambda u, c, w: (u + w * c) / (1 + w), "this is a mean"),
]


@pytest.mark.parametrize(("check", "answer", "hint"), WRONG)
def test_known_mistakes_get_their_hint(check, answer, hint, capsys):
    assert check(answer) is False
    out = capsys.readouterr().out
    assert out.startswith("Not yet: ") and out.count("\n") == 1
    assert hint in out
