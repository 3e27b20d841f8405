"""Measures of how good a model is: calibration, likelihood, and what a generator draws."""

import numpy as np
from scipy.special import logsumexp


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


# --- likelihood ------------------------------------------------------------------------------


def importance_weighted_bound(log_weights: np.ndarray) -> float:
    """Return a lower bound of the mean log-likelihood, in the unit of the weights.

    L_k = mean over pictures of log (1/k) Σ_i w_i, with weights w_i = p(x, z_i) / q(z_i | x) of k
    codes drawn from q. With k = 1 it is the evidence lower bound; it grows with k, on average, and
    tends to log p(x).

    Args:
        log_weights: `(n, k)`, natural logarithms; -inf is a weight of zero.

    Returns:
        Nats a picture, negative for binary pictures.

    Raises:
        ValueError: if there are not two axes, nothing in them, or a value is NaN or +inf.

    Source: Burda et al. 2016, arXiv:1509.00519, Eq. 8.
    """
    log_weights = np.asarray(log_weights, np.float64)
    if log_weights.ndim != 2 or not log_weights.size:
        raise ValueError(f"log_weights must have the shape (n, k); received {log_weights.shape}.")
    if np.isnan(log_weights).any() or (log_weights == np.inf).any():
        raise ValueError("log_weights must be numbers or -inf; received NaN or +inf.")
    k = log_weights.shape[1]
    return float(np.mean(logsumexp(log_weights, axis=1) - np.log(k)))


# --- sets of pictures, by their features -----------------------------------------------------


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Return how far two sets of features are apart, each taken for a normal distribution.

    d² = |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁^½ Σ₂ Σ₁^½)^½). What is estimated from few pictures is too
    large, by an amount that falls like one over their number: compare only values from equally
    many pictures, and with the value of real pictures against other real ones.

    Args:
        features: `(n, d)`, with n > 1.
        others: `(m, d)`.

    Returns:
        d², from 0, in squared units of the features. Values from different feature spaces cannot
        be compared.

    Raises:
        ValueError: if a shape does not fit or a value is not finite.

    Source: Heusel et al. 2017, arXiv:1706.08500, Eq. 6; Dowson and Landau 1982.
    """
    features, others = _check_features(features=features, others=others)
    mean = features.mean(axis=0) - others.mean(axis=0)
    covariance, other = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (features, others))
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T  # Σ₁^½
    # The eigenvalues of Σ₁^½ Σ₂ Σ₁^½ are not negative but for rounding.
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    return float(max(mean @ mean + np.trace(covariance) + np.trace(other) - 2 * overlap, 0))


def precision_recall(real: np.ndarray, drawn: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Return how much of what is drawn looks real, and how much of what is real is drawn.

    Around each point of a set lies a ball that reaches to its k-th neighbour in the same set; the
    balls together stand for the region that the set covers. Precision is the share of drawn points
    in the region of the real ones, recall the share of real points in the region of the drawn.

    Args:
        real: `(n, d)` features of real pictures.
        drawn: `(m, d)` features of pictures from a generator; best as many as real ones.
        k: which neighbour; larger balls are more generous.

    Returns:
        `(precision, recall)`, both in [0, 1].

    Raises:
        ValueError: if a shape does not fit, a value is not finite, or a set has at most k points.

    Source: Kynkäänniemi et al. 2019, arXiv:1904.06991, Eq. 1 and 2.
    """
    real, drawn = _check_features(real=real, drawn=drawn)
    if isinstance(k, bool) or not 1 <= k < min(len(real), len(drawn)):
        raise ValueError(
            f"k must be at least 1 and less than the number of points, {len(real)} and "
            f"{len(drawn)}; received {k!r}."
        )
    return _share_inside(real, drawn, k), _share_inside(drawn, real, k)


def nearest_neighbours(
    queries: np.ndarray, references: np.ndarray, k: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Find the references that are closest to each query, by Euclidean distance.

    Args:
        queries: `(n, ...)`, pictures or features.
        references: `(m, ...)`, the same shape but for the first axis.
        k: how many for each query.

    Returns:
        indices: `(n, k)` into the references, the closest first.
        distances: `(n, k)`.

    Raises:
        ValueError: if the shapes do not fit, or there are fewer than k references.
    """
    queries, references = np.asarray(queries), np.asarray(references)
    if queries.shape[1:] != references.shape[1:] or not 1 <= k <= len(references):
        raise ValueError(
            "nearest_neighbours needs queries and references of the same shape but for the first "
            f"axis, and at least k references; received {queries.shape}, {references.shape} and "
            f"k = {k!r}."
        )
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, algorithm="brute")
    search.fit(references.reshape(len(references), -1))
    distances, indices = search.kneighbors(queries.reshape(len(queries), -1))
    return indices, distances


# --- sets of pictures, by their classes ------------------------------------------------------


def class_coverage(labels: np.ndarray, classes: int = 10) -> dict:
    """Count how often each class is drawn; a generator that has collapsed leaves some out.

    Args:
        labels: `(n,)` integers in [0, classes), what a classifier takes each picture for.
        classes: how many there are.

    Returns:
        dict with "shares" (`(classes,)`, sum 1), "present" (how many classes have at least a tenth
        of their due share) and "imbalance" (total variation distance from equal shares: the part
        of the pictures that would have to change class).

    Raises:
        ValueError: if there are no labels or one is out of range.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or labels.min() < 0 or labels.max() >= classes:
        received = f"from {labels.min()} to {labels.max()}" if labels.size else "none"
        raise ValueError(
            f"labels must be a row of whole numbers in [0, {classes}); received shape "
            f"{labels.shape}, {received}."
        )
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return {
        "shares": shares,
        "present": int((shares >= 0.1 / classes).sum()),
        "imbalance": float(np.abs(shares - 1 / classes).sum() / 2),
    }


def classifier_score(probabilities: np.ndarray) -> float:
    """Return exp of the mean divergence of p(y | x) from p(y): are pictures clear, and various?

    The formula of the Inception score, with whatever classifier gave the probabilities. It is
    the number of classes if each picture is surely of one class and all are equally frequent, and
    1 if all pictures look the same to the classifier. It does not see copies within a class.

    Args:
        probabilities: `(n, classes)`, rows that sum to 1.

    Returns:
        A number from 1 to the number of classes.

    Raises:
        ValueError: if rows do not sum to 1.

    Source: Salimans et al. 2016, arXiv:1606.03498, §4.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or not p.size or p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            "probabilities must have the shape (n, classes), with rows that sum to 1; received "
            f"{p.shape}. Apply softmax to logits first."
        )
    ratio = np.log(np.maximum(p, 1e-300) / p.mean(axis=0).clip(1e-300))
    return float(np.exp((p * ratio).sum(axis=1).mean()))


def _share_inside(centres, points, k):
    """Share of points inside at least one ball around a centre, up to its k-th neighbour."""
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    # a point is its own nearest neighbour: k + 1 of them
    search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(centres)
    radii = search.kneighbors(centres)[0][:, -1]
    inside = pairwise_distances_chunked(
        points, centres, reduce_func=lambda d, _: (d <= radii).any(axis=1), working_memory=64
    )
    return float(np.mean(np.concatenate(list(inside))))


def _check_features(**sets):
    arrays = [np.asarray(x, np.float64) for x in sets.values()]
    shapes = [x.shape for x in arrays]
    fits = all(x.ndim == 2 and len(x) > 1 for x in arrays) and shapes[0][1] == shapes[1][1]
    if not fits or not all(np.isfinite(x).all() for x in arrays):
        raise ValueError(
            f"{' and '.join(sets)} must be finite, of shapes (n, d) and (m, d) with n, m > 1; "
            f"received {shapes[0]} and {shapes[1]}."
        )
    return arrays
