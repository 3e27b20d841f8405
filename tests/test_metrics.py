"""Calibration error against a loop over bins and against cases known by hand."""

import numpy as np
import pytest

from course_utils.metrics import expected_calibration_error


def naive_ece(probabilities, labels, bins):
    total = 0.0
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    for b in range(bins):
        inside = [i for i, c in enumerate(confidence) if b / bins < c <= (b + 1) / bins]
        if inside:
            accuracy = sum(predicted[i] == labels[i] for i in inside) / len(inside)
            mean = sum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / len(labels) * abs(accuracy - mean)
    return total


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_equals_the_definition(bins):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(10, 0.3), size=500)
    labels = rng.integers(0, 10, 500)
    expected = naive_ece(probabilities, labels, bins)
    assert expected_calibration_error(probabilities, labels, bins) == pytest.approx(expected)


def test_sure_and_right_is_calibrated():
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0


def test_sure_and_wrong_is_the_worst():
    assert expected_calibration_error(np.eye(3), np.array([1, 2, 0])) == 1


def test_labels_drawn_from_the_probabilities_are_calibrated():
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(4), size=100_000)
    labels = (probabilities.cumsum(axis=1) > rng.random((100_000, 1))).argmax(axis=1)
    assert expected_calibration_error(probabilities, labels) < 0.01  # noise of 15 bins


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (np.eye(3), np.zeros(2, int), r"received \(3, 3\) and \(2,\)"),
        (np.zeros((0, 3)), np.zeros(0, int), "n > 0"),
        (np.eye(3) * 5, np.arange(3), "Apply softmax"),
        (np.eye(3), np.array([0, 1, 3]), r"\[0, 3\); received 0 to 3"),
    ],
)
def test_errors_name_the_rule(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(probabilities, labels)


def test_bins_must_be_positive():
    with pytest.raises(ValueError, match="at least 1; received 0"):
        expected_calibration_error(np.eye(3), np.arange(3), bins=0)
