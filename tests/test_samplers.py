"""Walks through latent spaces."""

import numpy as np
import pytest

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
