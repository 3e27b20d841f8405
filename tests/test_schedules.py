"""The forward process of diffusion against numbers, algebra and Monte Carlo."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import integrate, stats

from course_utils import schedules

SCHEDULES = {"linear": schedules.linear(), "cosine": schedules.cosine()}
SHORT = schedules.DiffusionSchedule([0.1, 0.3, 0.2, 0.5, 0.7])


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    return SCHEDULES[request.param]


# --- schedules -------------------------------------------------------------------------------


def test_the_signal_only_shrinks_and_the_noise_only_grows(schedule):
    assert schedule.num_timesteps == 1000
    assert schedule.alphas_cumprod.shape == (1000,) and schedule.alphas_cumprod.dtype == np.float64
    assert np.all(np.diff(schedule.alphas_cumprod) < 0)
    assert np.all(np.diff(schedule.snr) < 0)
    assert 0 < schedule.alphas_cumprod[-1] < 1e-4 and schedule.alphas_cumprod[0] > 0.999


def test_every_number_against_a_loop(schedule):
    left = 1.0
    for t, beta in enumerate(schedule.betas):
        before, left = left, left * (1 - beta)
        assert schedule.alphas[t] == 1 - beta
        assert schedule.alphas_cumprod_prev[t] == pytest.approx(before, rel=1e-12)
        assert schedule.alphas_cumprod[t] == pytest.approx(left, rel=1e-12)
        assert schedule.snr[t] == pytest.approx(left / (1 - left), rel=1e-9)
        variance = beta * (1 - before) / (1 - left)
        assert schedule.posterior_variance[t] == pytest.approx(variance, rel=1e-9)
    assert schedule.posterior_variance[0] == 0  # x_0 is known: nothing is left to draw


def test_alpha_bar_of_one_several_and_no_steps(schedule):
    assert schedule.alpha_bar(-1) == 1.0
    assert schedule.alpha_bar(3) == schedule.alphas_cumprod[3]
    several = schedule.alpha_bar(np.array([[999, -1], [0, 5]]))
    assert several.shape == (2, 2) and several[0, 1] == 1.0
    assert several[1, 0] == 1 - schedule.betas[0]


def test_linear_has_the_numbers_of_the_paper():
    betas = schedules.linear().betas
    assert betas[0] == 1e-4 and betas[-1] == pytest.approx(0.02)
    np.testing.assert_allclose(np.diff(betas), (0.02 - 1e-4) / 999)


@pytest.mark.parametrize("num_timesteps", [100, 250, 4000])
def test_linear_ends_as_low_with_other_numbers_of_steps(num_timesteps):
    last = schedules.linear(num_timesteps).alphas_cumprod[-1]
    # -log ᾱ is about the sum of the betas; the next term of the series is half their squares
    rest = 0.5 * (np.square(schedules.linear(num_timesteps).betas).sum())
    assert -math.log(last) == pytest.approx(10.05 + rest, abs=0.03 + rest)


@pytest.mark.parametrize("num_timesteps", [10, 1000])
def test_cosine_is_the_cosine_of_the_paper_but_for_the_last_step(num_timesteps):
    alphas_cumprod = schedules.cosine(num_timesteps).alphas_cumprod
    for t in range(num_timesteps - 1):
        u = (t + 1) / num_timesteps
        part = math.cos((u + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)
        assert alphas_cumprod[t] == pytest.approx(part**2, rel=1e-9)
    assert schedules.cosine(num_timesteps).betas[-1] == 0.999


def test_cosine_keeps_more_of_the_picture_in_the_middle():
    cosine, linear = SCHEDULES["cosine"], SCHEDULES["linear"]
    assert cosine.alpha_bar(500) > 5 * linear.alpha_bar(500)


def test_a_schedule_cannot_be_changed(schedule):
    betas = np.full(5, 0.1)
    own = schedules.DiffusionSchedule(betas)
    betas[0] = 0.9
    assert own.betas[0] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        own.betas[0] = 0.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        own.betas = betas
    assert {own: "a key", schedule: "another"}[own] == "a key"


@pytest.mark.parametrize("betas", [[], 0.1, [[0.1, 0.2]], [0.0, 0.1], [0.5, 1.0], [0.1, np.nan]])
def test_refuses_betas_that_are_no_variances(betas):
    with pytest.raises(ValueError, match="above 0 and below 1; received"):
        schedules.DiffusionSchedule(betas)


@pytest.mark.parametrize("make", [schedules.linear, schedules.cosine])
@pytest.mark.parametrize("num_timesteps", [1, 0, -5, 10.0, True, "10"])
def test_refuses_other_numbers_of_steps(make, num_timesteps):
    with pytest.raises(ValueError, match="whole number above 1; received"):
        make(num_timesteps)


def test_linear_refuses_so_few_steps_that_a_beta_reaches_1():
    with pytest.raises(ValueError, match="below 1; received"):
        schedules.linear(20)


# --- q(x_t | x_0) ------------------------------------------------------------------------------


def test_q_sample_is_the_equation_each_picture_at_its_own_time(schedule):
    rng = np.random.default_rng(0)
    x_start, noise = rng.normal(size=(2, 4, 3, 2, 1)).astype("float32")
    t = np.array([0, 10, 500, 999])
    x_t = schedules.q_sample(schedule, x_start, t, noise)
    assert tuple(x_t.shape) == x_start.shape and "float32" in str(x_t.dtype)
    for n, step in enumerate(t):
        left = math.prod(1 - schedule.betas[: step + 1])
        expected = math.sqrt(left) * x_start[n] + math.sqrt(1 - left) * noise[n]
        np.testing.assert_allclose(np.asarray(x_t)[n], expected, atol=1e-6)


def test_steps_one_by_one_equal_the_closed_form_algebra():
    # x ← √α x + √β ε: carry the share of x_0 and the variance of the noise through all steps
    share, variance = 1.0, 0.0
    zeros, ones = np.zeros((1, 1), "float32"), np.ones((1, 1), "float32")
    for t, beta in enumerate(SHORT.betas):
        share, variance = share * math.sqrt(1 - beta), variance * (1 - beta) + beta
        mean = np.asarray(schedules.q_sample(SHORT, ones, np.array([t]), zeros)).item()
        std = np.asarray(schedules.q_sample(SHORT, zeros, np.array([t]), ones)).item()
        assert mean == pytest.approx(share, rel=1e-6)
        assert std**2 == pytest.approx(variance, rel=1e-6)


def test_steps_one_by_one_equal_the_closed_form_monte_carlo():
    rng, n = np.random.default_rng(0), 40_000
    x = np.full((n, 1), 1.5)
    for beta in SHORT.betas:
        x = np.sqrt(1 - beta) * x + np.sqrt(beta) * rng.normal(size=x.shape)
    start = np.full((n, 1), 1.5, "float32")
    noise = rng.normal(size=(n, 1)).astype("float32")
    at_once = np.asarray(schedules.q_sample(SHORT, start, np.full(n, 4), noise))
    assert stats.ks_2samp(x.ravel(), at_once.ravel()).pvalue > 0.01
    assert stats.ks_2samp(x.ravel() + 0.05, at_once.ravel()).pvalue < 1e-6  # it can fail


def test_velocity_is_the_derivative_along_the_circle():
    # x(φ) = cos φ x_0 + sin φ ε, and v = dx/dφ where cos φ = √ᾱ_t
    rng = np.random.default_rng(1)
    x_start, noise = rng.normal(size=(2, 5, 3)).astype("float32")
    t = np.arange(5)
    v = np.asarray(schedules.velocity(SHORT, x_start, t, noise))
    angle, step = np.arccos(np.sqrt(SHORT.alphas_cumprod))[:, None], 1e-5
    after, before = (np.cos(angle + d) * x_start + np.sin(angle + d) * noise for d in (step, -step))
    np.testing.assert_allclose(v, (after - before) / (2 * step), atol=1e-5)


def test_picture_and_noise_come_back_from_x_t_and_velocity(schedule):
    rng = np.random.default_rng(2)
    x_start, noise = rng.normal(size=(2, 3, 4, 4)).astype("float32")
    t = np.array([0, 400, 999])
    x_t = np.asarray(schedules.q_sample(schedule, x_start, t, noise))
    v = np.asarray(schedules.velocity(schedule, x_start, t, noise))
    angle = np.arccos(np.sqrt(schedule.alphas_cumprod[t])).reshape(3, 1, 1)
    np.testing.assert_allclose(np.cos(angle) * x_t - np.sin(angle) * v, x_start, atol=1e-5)
    np.testing.assert_allclose(np.sin(angle) * x_t + np.cos(angle) * v, noise, atol=1e-5)


def test_signal_and_noise_are_shaped_to_multiply(schedule):
    x = np.zeros((2, 7, 5, 1), "float32")
    parts = [np.asarray(part) for part in schedules.signal_and_noise(schedule, x, np.array([3, 9]))]
    assert all(part.shape == (2, 1, 1, 1) and part.dtype == np.float32 for part in parts)
    np.testing.assert_allclose(parts[0] ** 2 + parts[1] ** 2, 1, atol=1e-6)


@pytest.mark.parametrize("function", [schedules.q_sample, schedules.velocity])
def test_refuses_noise_of_another_shape(function):
    x_start = np.zeros((2, 3, 3, 1), "float32")
    with pytest.raises(ValueError, match=r"same shape; received \(2, 3, 3, 1\) and \(2, 3, 3\)"):
        function(SHORT, x_start, np.array([0, 1]), x_start[..., 0])


# --- q(x_s | x_t, x_0) -------------------------------------------------------------------------


@pytest.mark.parametrize(("t", "earlier"), [(1, 0), (4, 3), (4, 0), (3, 1)])
def test_posterior_is_bayes_theorem(t, earlier):
    """q(x_s | x_t, x_0) ∝ q(x_t | x_s) q(x_s | x_0), by numerical integration over x_s."""
    x_start, x_t = 0.7, -0.4
    kept = math.prod(1 - SHORT.betas[: earlier + 1])
    between = math.prod(1 - SHORT.betas[earlier + 1 : t + 1])

    def density(x, power=0):
        prior = stats.norm.pdf(x, math.sqrt(kept) * x_start, math.sqrt(1 - kept))
        return x**power * prior * stats.norm.pdf(x_t, math.sqrt(between) * x, (1 - between) ** 0.5)

    mass, first, second = (integrate.quad(density, -9, 9, args=(k,))[0] for k in range(3))
    mean, variance = schedules.posterior(SHORT, np.array([x_start]), np.array([x_t]), t, earlier)
    assert mean == pytest.approx(first / mass, rel=1e-6)
    assert variance == pytest.approx(second / mass - (first / mass) ** 2, rel=1e-6)


def test_posterior_of_one_step_has_the_schedule_s_variance(schedule):
    x = np.zeros((2, 3))
    for t in (0, 1, 500, 999):
        _, variance = schedules.posterior(schedule, x, x, t)
        assert variance == pytest.approx(schedule.posterior_variance[t], rel=1e-9)


def test_posterior_of_the_picture_itself_is_the_picture():
    x_start, x_t = np.random.default_rng(3).normal(size=(2, 4, 3))
    mean, variance = schedules.posterior(SHORT, x_start, x_t, 3, -1)
    np.testing.assert_allclose(mean, x_start, rtol=1e-12)
    assert variance == 0 and mean.shape == x_t.shape


@pytest.mark.parametrize(("t", "earlier"), [(2, 2), (2, 3), (5, 1), (2, -2), (-1, None)])
def test_posterior_refuses_times_in_another_order(t, earlier):
    with pytest.raises(ValueError, match="-1 <= earlier < t < num_timesteps; received"):
        schedules.posterior(SHORT, np.zeros(2), np.zeros(2), t, earlier)


def test_posterior_refuses_shapes_that_differ():
    with pytest.raises(ValueError, match="same shape; received"):
        schedules.posterior(SHORT, np.zeros((2, 1)), np.zeros(2), 2)
