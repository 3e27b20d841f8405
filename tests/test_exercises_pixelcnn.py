"""The checks of notebook 05: right answers pass, each known mistake gets its hint."""

import numpy as np
import pytest

from course_utils import exercises, layers


def mask(height, width, mask_type):
    found = np.zeros((height, width))
    found[: height // 2] = 1
    found[height // 2, : width // 2 + (mask_type == "B")] = 1
    return found


def package_mask(height, width, mask_type):
    return layers.MaskedConv2D(1, (height, width), mask_type=mask_type).mask


def bits(symbols, logits):
    log_chances = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return float(-log_chances[np.arange(len(symbols)), symbols].mean() / np.log(2))


def naive_bits(symbols, logits):
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.log2(chances[np.arange(len(symbols)), symbols]).mean()


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def draw(logits, u, temperature):
    return int((np.cumsum(softmax(logits / temperature)) <= u).sum())


def drawn_by_search(logits, u, temperature):
    return int(np.searchsorted(np.cumsum(softmax(logits / temperature)), u, side="right"))


def posterior(log_likelihoods, shares):
    return softmax(log_likelihoods + np.log(shares))


def naive_posterior(z, p):
    return np.exp(z) * p / (np.exp(z) * p).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (exercises.check_conv_mask, mask),
        (exercises.check_conv_mask, package_mask),
        (exercises.check_bits_per_dimension, bits),
        (exercises.check_draw_symbol, draw),
        (exercises.check_draw_symbol, drawn_by_search),
        (exercises.check_class_posterior, posterior),
    ],
)
def test_right_answers_pass(check, answer, capsys):
    assert check(answer) is True
    assert capsys.readouterr().out.startswith("Correct: ")


def upper_left(height, width, mask_type):
    found = np.zeros((height, width))
    found[: height // 2 + 1, : width // 2 + 1] = 1
    found[height // 2, width // 2] = mask_type == "B"
    return found


def above(height, width, mask_type):
    found = np.zeros((height, width))
    found[: height // 2] = 1
    return found


MISTAKES = [
    (exercises.check_conv_mask, lambda h, w, k: mask(h, w, "B" if k == "A" else "A"), "exchanged"),
    (exercises.check_conv_mask, lambda h, w, k: 1 - mask(h, w, k), "ones and zeros"),
    (exercises.check_conv_mask, lambda h, w, k: mask(h, w, k)[::-1, ::-1], "looks ahead"),
    (exercises.check_conv_mask, upper_left, "as far to the right"),
    (exercises.check_conv_mask, above, "the row of the centre"),
    (exercises.check_conv_mask, lambda h, w, k: mask(h, w, k).T, "row by row"),
    (exercises.check_bits_per_dimension, lambda s, z: bits(s, z) * len(s), "whole picture"),
    (exercises.check_bits_per_dimension, lambda s, z: bits(s, z) * np.log(2), "these are nats"),
    (exercises.check_bits_per_dimension, lambda s, z: bits(s, z) * np.log(2) ** 2, "multiplied"),
    (exercises.check_bits_per_dimension, lambda s, z: -bits(s, z), "sign"),
    (
        exercises.check_bits_per_dimension,
        lambda s, z: -z[np.arange(len(s)), s].mean() / np.log(2),
        "no log-probabilities",
    ),
    (exercises.check_bits_per_dimension, naive_bits, "logaddexp"),
    (exercises.check_draw_symbol, lambda z, u, t: int(z.argmax()), "depends on u"),
    (exercises.check_draw_symbol, lambda z, u, t: draw(z, u, 1), "left out"),
    (exercises.check_draw_symbol, lambda z, u, t: draw(z, u, 1 / t), "multiplied"),
    (
        exercises.check_draw_symbol,
        lambda z, u, t: int(min((np.cumsum(softmax(z) / t) <= u).sum(), len(z) - 1)),
        "not the probabilities",
    ),
    (exercises.check_draw_symbol, lambda z, u, t: draw(z, u, t) + 1, "one too many"),
    (
        exercises.check_draw_symbol,
        lambda z, u, t: int((np.cumsum(softmax(z / t)) > u).sum()),
        "above u",
    ),
    (exercises.check_class_posterior, lambda z, p: softmax(z), "left out"),
    (exercises.check_class_posterior, lambda z, p: softmax(z + p), "np.log(shares)"),
    (exercises.check_class_posterior, lambda z, p: np.log(posterior(z, p)), "logarithms of the"),
    (exercises.check_class_posterior, lambda z, p: softmax(z + np.log(p), axis=0), "axis=1"),
    (
        exercises.check_class_posterior,
        lambda z, p: np.exp(z - z.max() + 3) * p,
        "expected",
    ),
    (exercises.check_class_posterior, naive_posterior, "largest logarithm"),
    (exercises.check_class_posterior, lambda z, p: posterior(z, p).max(axis=1), "shape"),
]


@pytest.mark.parametrize(("check", "answer", "hint"), MISTAKES)
def test_known_mistakes_get_their_hint(check, answer, hint, capsys):
    assert check(answer) is False
    out = capsys.readouterr().out
    assert out.startswith("Not yet: ") and out.count("\n") == 1
    assert hint in out


def test_the_joint_probability_gets_its_hint(capsys):
    """Near e^-80 everything is zero within the tolerance; so the check has another row first."""
    assert exercises.check_class_posterior(lambda z, p: np.exp(z) * p) is False
    assert "divide it by its sum" in capsys.readouterr().out
