"""Measures against loops, against SciPy, and against cases known by hand."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from course_utils import metrics
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


# --- likelihood ------------------------------------------------------------------------------


def test_one_weight_is_the_evidence_lower_bound():
    log_weights = np.random.default_rng(0).normal(-90, 5, (50, 1))
    found = metrics.importance_weighted_bound(log_weights)
    assert found == pytest.approx(log_weights.mean())


def test_the_bound_grows_with_k_to_the_likelihood_of_a_linear_model():
    # z ~ N(0, 1), x = z + noise of variance s: x ~ N(0, 1 + s). The proposal q is deliberately off.
    rng = np.random.default_rng(0)
    s, n, k = 0.5, 400, 2000
    x = rng.normal(0, np.sqrt(1 + s), (n, 1))
    q = scipy.stats.norm(0.4 * x, 0.8)
    z = q.rvs((n, k), random_state=1)
    log_w = scipy.stats.norm(z, np.sqrt(s)).logpdf(x) + scipy.stats.norm.logpdf(z) - q.logpdf(z)
    truth = scipy.stats.norm(0, np.sqrt(1 + s)).logpdf(x).mean()
    bounds = [metrics.importance_weighted_bound(log_w.reshape(-1, size)) for size in (1, 5, 2000)]
    assert bounds[0] + 0.1 < bounds[1] < bounds[2]
    assert bounds[2] == pytest.approx(truth, abs=0.005)
    # the exact gap of k = 1 is the divergence of q from the posterior N(x / (1 + s), s / (1 + s))
    variance, mean = s / (1 + s), x / (1 + s)
    gap = 0.5 * (0.64 / variance + (0.4 * x - mean) ** 2 / variance - 1 + np.log(variance / 0.64))
    assert truth - bounds[0] == pytest.approx(gap.mean(), rel=0.02)


def test_the_bound_neither_overflows_nor_loses_a_weight_of_zero():
    assert metrics.importance_weighted_bound([[-2000.0, -2000.0]]) == pytest.approx(-2000)
    assert metrics.importance_weighted_bound([[900.0, -np.inf]]) == pytest.approx(900 - np.log(2))


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((0, 3)), [[np.nan]], [[np.inf, 0.0]]])
def test_wrong_log_weights_are_refused(wrong):
    with pytest.raises(ValueError, match="log_weights must"):
        metrics.importance_weighted_bound(wrong)


# --- distance of two sets --------------------------------------------------------------------


def gaussian_with(mean, covariance, n=40):
    """Points whose sample mean and covariance are exactly these."""
    noise = np.random.default_rng(3).normal(size=(n, len(mean)))
    noise -= noise.mean(axis=0)
    whitening = np.linalg.inv(np.linalg.cholesky(np.cov(noise, rowvar=False)))
    return noise @ whitening.T @ np.linalg.cholesky(covariance).T + mean


A = np.array([[2.0, 0.6, 0.1], [0.6, 1.0, 0.3], [0.1, 0.3, 0.5]])
B = np.array([[1.0, -0.4, 0.0], [-0.4, 3.0, 0.7], [0.0, 0.7, 1.2]])


def test_frechet_distance_of_diagonal_gaussians_by_hand():
    one = gaussian_with([0, 0], np.diag([4.0, 1.0]))
    two = gaussian_with([3, -1], np.diag([1.0, 9.0]))
    assert metrics.frechet_distance(one, two) == pytest.approx(9 + 1 + (2 - 1) ** 2 + (1 - 3) ** 2)


def test_frechet_distance_of_full_covariances_against_scipy():
    one, two = gaussian_with([0, 1, 2], A), gaussian_with([1, 1, 0], B)
    assert np.abs(A @ B - B @ A).max() > 0.5  # they do not commute
    root = scipy.linalg.sqrtm(A @ B).real
    expected = 1 + 4 + np.trace(A + B - 2 * root)
    assert metrics.frechet_distance(one, two) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(two, one) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_is_zero_only_for_equal_moments_and_does_not_turn():
    one, two = gaussian_with([0, 1, 2], A), gaussian_with([1, 1, 0], B)
    assert metrics.frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    assert metrics.frechet_distance(one @ turn + 5, two @ turn + 5) == pytest.approx(
        metrics.frechet_distance(one, two)
    )
    flat = np.hstack([one, np.zeros((40, 2))])  # a covariance without inverse
    assert metrics.frechet_distance(flat, flat) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (np.zeros((5, 2)), np.zeros((5, 3))),
        (np.zeros(5), np.zeros(5)),
        (np.zeros((1, 2)), np.zeros((5, 2))),
        (np.full((5, 2), np.nan), np.zeros((5, 2))),
    ],
)
def test_wrong_features_are_refused(one, two):
    for measure in (metrics.frechet_distance, metrics.precision_recall):
        with pytest.raises(ValueError, match=r"must be finite, of shapes \(n, d\) and \(m, d\)"):
            measure(one, two)


# --- precision and recall --------------------------------------------------------------------


def naive_share(centres, points, k):
    inside = 0
    for point in points:
        for i, centre in enumerate(centres):
            others = np.delete(centres, i, axis=0)
            radius = np.sort(np.linalg.norm(others - centre, axis=1))[k - 1]
            if np.linalg.norm(point - centre) <= radius:
                inside += 1
                break
    return inside / len(points)


def test_precision_and_recall_against_loops():
    rng = np.random.default_rng(0)
    real, drawn = rng.normal(size=(60, 4)), rng.normal(0.7, 0.8, size=(50, 4))
    found = metrics.precision_recall(real, drawn, k=3)
    assert found == (naive_share(real, drawn, 3), naive_share(drawn, real, 3))
    assert 0 < found[1] < found[0] < 1


def test_precision_and_recall_where_they_are_known():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(size=(200, 2)), rng.normal(20, 1, size=(200, 2))])
    assert metrics.precision_recall(real, real) == (1, 1)
    assert metrics.precision_recall(real, real + 1000) == (0, 0)
    collapsed = rng.normal(0, 0.5, size=(400, 2))  # one of two groups, and only its middle
    precision, recall = metrics.precision_recall(real, collapsed)
    assert precision > 0.95 and recall < 0.5
    noise = rng.uniform(-30, 50, size=(400, 2))  # everywhere
    precision, recall = metrics.precision_recall(real, noise)
    assert precision < 0.2 and recall > 0.9


@pytest.mark.parametrize("k", [0, 5, True])
def test_a_wrong_neighbour_is_refused(k):
    with pytest.raises(ValueError, match="less than the number of points, 5 and 9; received"):
        metrics.precision_recall(np.eye(5), np.zeros((9, 5)), k=k)


def test_nearest_neighbours_against_loops():
    rng = np.random.default_rng(0)
    queries, references = rng.normal(size=(7, 3, 2)), rng.normal(size=(20, 3, 2))
    indices, distances = metrics.nearest_neighbours(queries, references, k=4)
    for query, found, far in zip(queries, indices, distances, strict=True):
        all_distances = [np.sqrt(((query - one) ** 2).sum()) for one in references]
        np.testing.assert_array_equal(found, np.argsort(all_distances)[:4])
        np.testing.assert_allclose(far, np.sort(all_distances)[:4])
    with pytest.raises(ValueError, match=r"same shape but .*received \(7, 3, 2\), \(20, 3, 2\)"):
        metrics.nearest_neighbours(queries, references, k=21)
    with pytest.raises(ValueError, match="nearest_neighbours needs"):
        metrics.nearest_neighbours(queries[:, :2], references)


# --- classes ---------------------------------------------------------------------------------


def test_class_coverage_by_hand():
    found = metrics.class_coverage(np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2]), classes=4)
    np.testing.assert_allclose(found["shares"], [0.3, 0.2, 0.5, 0])
    assert found["present"] == 3
    assert found["imbalance"] == pytest.approx(0.05 + 0.25)
    even = metrics.class_coverage(np.arange(1000) % 10)
    assert even["present"] == 10 and even["imbalance"] == pytest.approx(0, abs=1e-12)
    collapsed = metrics.class_coverage(np.full(50, 3))
    assert collapsed["present"] == 1 and collapsed["imbalance"] == pytest.approx(0.9)
    rare = np.repeat([0, 1], [995, 5])  # half a percent is less than a tenth of its due
    assert metrics.class_coverage(rare, classes=2)["present"] == 1


@pytest.mark.parametrize("labels", [[], [10], [-1], [[1]]])
def test_labels_out_of_range_are_refused(labels):
    with pytest.raises(ValueError, match=r"whole numbers in \[0, 10\)"):
        metrics.class_coverage(labels)


def test_classifier_score_where_it_is_known():
    sure = np.eye(10)
    assert metrics.classifier_score(np.repeat(sure, 5, axis=0)) == pytest.approx(10)
    assert metrics.classifier_score(np.repeat(sure[:3], 5, axis=0)) == pytest.approx(3)
    assert metrics.classifier_score(np.full((20, 10), 0.1)) == pytest.approx(1)
    assert metrics.classifier_score(np.tile(sure[4], (20, 1))) == pytest.approx(1)


def test_classifier_score_is_exp_of_mutual_information():
    p = np.random.default_rng(0).dirichlet(np.full(6, 0.3), size=40)
    entropy_of_mean = scipy.stats.entropy(p.mean(axis=0))
    mean_entropy = scipy.stats.entropy(p, axis=1).mean()
    expected = np.exp(entropy_of_mean - mean_entropy)
    assert metrics.classifier_score(p) == pytest.approx(expected)
    with pytest.raises(ValueError, match="Apply softmax"):
        metrics.classifier_score(5 * p)
