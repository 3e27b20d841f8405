"""Measures of how good a model is."""

import numpy as np


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = 15
) -> float:
    """Return by how much a classifier's confidence differs from its accuracy, on average.

    Pictures are put into bins of equal width by the probability of the predicted class; the result
    is the mean over pictures of |accuracy - mean confidence| of their bin.

    Args:
        probabilities: `(n, classes)`, rows that sum to 1.
        labels: `(n,)` integers in [0, classes).
        bins: number of bins on (0, 1].

    Returns:
        A number from 0 (calibrated) to 1.

    Raises:
        ValueError: if a shape does not fit, rows do not sum to 1, or a label is out of range.

    Source: Guo et al. 2017, arXiv:1706.04599, Eq. 3.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            "expected_calibration_error needs probabilities (n, classes) and labels (n,) with "
            f"n > 0; received {probabilities.shape} and {labels.shape}."
        )
    totals = probabilities.sum(axis=1)
    if probabilities.min() < 0 or np.abs(totals - 1).max() > 1e-3:
        raise ValueError(
            "probabilities must not be negative and each row must sum to 1; received values down "
            f"to {probabilities.min():.3g} and sums from {totals.min():.3g} to {totals.max():.3g}. "
            "Apply softmax to logits first."
        )
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(
            f"labels must lie in [0, {probabilities.shape[1]}); received {labels.min()} to "
            f"{labels.max()}."
        )
    if bins < 1:
        raise ValueError(f"bins must be at least 1; received {bins!r}.")
    confidence = probabilities.max(axis=1)  # (n,)
    correct = probabilities.argmax(axis=1) == labels  # (n,)
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bin (b/B, (b+1)/B]
    gaps = np.bincount(which, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
