"""Walks through latent spaces."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest, truncnorm

from course_utils import samplers


def test_latent_grid_divides_the_normal_plane_into_equal_shares():
    grid = samplers.latent_grid(5)
    assert grid.shape == (5, 5, 2) and grid.dtype == np.float32
    x, y = grid[..., 0], grid[..., 1]
    assert np.all(np.diff(x, axis=1) > 0) and np.all(np.diff(y, axis=0) < 0)
    assert np.all(x == x[:1]) and np.all(y == y[:, :1])
    np.testing.assert_allclose(x[0], -x[0, ::-1], atol=1e-6)
    draws = np.random.default_rng(0).standard_normal(200_000)
    below = [(draws < value).mean() for value in x[0]]
    np.testing.assert_allclose(below, [0.1, 0.3, 0.5, 0.7, 0.9], atol=0.005)
    np.testing.assert_array_equal(y[:, 0], x[0, ::-1])


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_latent_grid_refuses_other_sizes(n):
    with pytest.raises(ValueError, match="positive whole number; received"):
        samplers.latent_grid(n)


# --- slerp -----------------------------------------------------------------------------------


def test_slerp_is_a_rotation_in_the_plane():
    quarter = samplers.slerp(np.array([2.0, 0, 0]), np.array([0, 2.0, 0]), np.array([0, 1 / 3, 1]))
    angles = np.array([0, np.pi / 6, np.pi / 2])
    expected = 2 * np.stack([np.cos(angles), np.sin(angles), np.zeros(3)], axis=1)
    np.testing.assert_allclose(quarter, expected, atol=1e-6)
    assert quarter.dtype == np.float32


def test_slerp_has_equal_steps_and_stays_on_the_sphere():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4, 16))
    a, b = (3 * x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    way = samplers.slerp(a, b, np.linspace(0, 1, 9)).astype(np.float64)  # (9, 4, 16)
    np.testing.assert_allclose(np.linalg.norm(way, axis=-1), 3, rtol=1e-6)
    cosines = (way[1:] * way[:-1]).sum(axis=-1) / 9
    np.testing.assert_allclose(cosines, np.broadcast_to(cosines[:1], cosines.shape), atol=1e-6)
    np.testing.assert_allclose(way[0], a, atol=1e-6)
    np.testing.assert_allclose(way[-1], b, atol=1e-6)


def test_slerp_between_equal_codes_and_one_number():
    a = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(samplers.slerp(a, a, 0.3), a, rtol=1e-6)
    np.testing.assert_allclose(samplers.slerp(a, 2 * a, 0.5), 1.5 * a, rtol=1e-6)
    nearly = samplers.slerp(a, np.add(a, [1e-9, 0, 0]), 0.5)
    np.testing.assert_allclose(nearly, a, rtol=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones(3), np.ones(4), "same shape"),
        (np.ones(3), np.zeros(3), "some length"),
        (np.ones(3), -np.ones(3), "not opposite"),
    ],
)
def test_slerp_refuses(a, b, message):
    with pytest.raises(ValueError, match=message):
        samplers.slerp(a, b, 0.5)


# --- truncation ------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.3, 1.0, 2.5])
def test_truncate_gives_the_truncated_normal_distribution(threshold):
    z = np.random.default_rng(0).standard_normal((500, 40))
    found = samplers.truncate(z, threshold)
    assert found.shape == z.shape and found.dtype == np.float32
    assert np.abs(found).max() <= threshold
    assert kstest(found.ravel(), truncnorm(-threshold, threshold).cdf).pvalue > 0.01
    drawn_again = z[np.abs(z) < threshold]  # as Brock et al. do
    assert ks_2samp(found.ravel(), drawn_again).pvalue > 0.01


def test_truncate_keeps_order_sign_and_what_is_not_truncated():
    z = np.linspace(-6, 6, 101)
    found = samplers.truncate(z, 1.5)
    assert np.all(np.diff(found) >= 0)
    np.testing.assert_allclose(found, -found[::-1], atol=1e-6)
    for free in (None, np.inf):
        np.testing.assert_allclose(samplers.truncate(z, free), z, rtol=1e-6)
    np.testing.assert_allclose(samplers.truncate(z, 12.0), z, atol=1e-4)


@pytest.mark.parametrize("threshold", [0, -1.0])
def test_truncate_refuses_a_threshold_that_leaves_nothing(threshold):
    with pytest.raises(ValueError, match="threshold must be positive; received"):
        samplers.truncate(np.zeros(3), threshold)


# --- slices ----------------------------------------------------------------------------------


def test_a_slice_goes_through_its_centre_and_stays_on_the_sphere():
    centre = np.random.default_rng(0).normal(size=64)
    places = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1)
    points = samplers.latent_slice(centre, places, seed=3).astype(np.float64)
    assert points.shape == (3, 3, 64)
    np.testing.assert_allclose(points[1, 1], centre, rtol=1e-6)
    length = np.linalg.norm(centre)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), length, rtol=1e-6)

    def angle(a, b):
        return np.degrees(np.arccos(np.sum(a * b) / length**2))

    assert angle(points[1, 1], points[1, 2]) == pytest.approx(45)  # tan = one unit
    assert angle(points[1, 1], points[2, 2]) == pytest.approx(np.degrees(np.arctan(2**0.5)))
    assert angle(points[1, 0], points[1, 2]) == pytest.approx(90)
    right, up = (p - centre * (p @ centre) / length**2 for p in (points[1, 2], points[2, 1]))
    assert right @ up == pytest.approx(0, abs=1e-5)  # at right angles
    assert not np.allclose(points, samplers.latent_slice(centre, places, seed=4))


@pytest.mark.parametrize(
    ("centre", "places", "message"),
    [
        (np.ones(2), np.zeros(2), "three numbers or more"),
        (np.ones((2, 3)), np.zeros(2), r"received \(2, 3\)"),
        (np.ones(3), np.zeros(3), r"and \(3,\)"),
        (np.zeros(3), np.zeros(2), "some length"),
    ],
)
def test_a_slice_refuses(centre, places, message):
    with pytest.raises(ValueError, match=message):
        samplers.latent_slice(centre, places)
