"""The samplers of diffusion on Gaussians, of which every guess and every result is known exactly.

For x_0 ~ N(μ, s²) the best guess of x_0 in x_t is μ + √ᾱ_t s² / (ᾱ_t s² + 1 - ᾱ_t) (x_t - √ᾱ_t μ),
so a denoiser needs no network, and what a sampler makes of x_T is a straight line.
"""

import keras
import numpy as np
import pytest
from scipy import stats

from course_utils import diffusion, schedules

COSINE = schedules.cosine()
MEAN, STD = 0.4, 0.3
SAMPLERS = [diffusion.ddpm_sample, diffusion.ddim_sample, diffusion.dpm_solver_sample]
by_sampler = pytest.mark.parametrize("sampler", SAMPLERS)
rng = np.random.default_rng(0)
X_T = rng.standard_normal((500, 2))


def column(values, x):
    return np.reshape(values, (-1, *[1] * (x.ndim - 1)))


def exact(schedule=COSINE, mean=MEAN, std=STD, calls=None):
    """Return the denoiser of N(mean, std²); `mean` may depend on the labels."""

    def network(inputs):
        x_t, t, labels = inputs
        if calls is not None:
            calls.append((len(x_t), np.array(t), np.array(labels)))
        left = column(np.cumprod(1 - schedule.betas)[t], x_t)
        centre = column(mean(labels), x_t) if callable(mean) else mean
        share = np.sqrt(left) * std**2 / (left * std**2 + 1 - left)
        x_start = centre + share * (x_t - np.sqrt(left) * centre)
        return (x_t - np.sqrt(left) * x_start) / np.sqrt(1 - left)

    return diffusion.Denoiser(network, schedule, "noise", clip=False)


def flow(x, t, s, schedule=COSINE):
    """Carry x from time t to s along the exact solution of the equation: quantiles stay."""
    (from_mean, from_std), (to_mean, to_std) = (
        (np.sqrt(a) * MEAN, np.sqrt(a * STD**2 + 1 - a)) for a in (left(t), left(s))
    )
    return to_mean + to_std * (x - from_mean) / from_std


def left(t, schedule=COSINE):
    return np.prod(1 - schedule.betas[: t + 1])


def counting_model(calls=None):
    """Return a Keras model whose prediction is 10 t + label, and x_t's mean."""
    x_t = keras.Input((4, 4, 1))
    t, label = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    cast = keras.layers.Lambda(
        lambda both: 10 * keras.ops.cast(both[0], "float32") + keras.ops.cast(both[1], "float32"),
        output_shape=(),
    )
    told = keras.layers.Reshape((1, 1, 1))(cast([t, label]))
    return keras.Model([x_t, t, label], keras.layers.Add()([0 * x_t, told]))


# --- the denoiser ------------------------------------------------------------------------------


def test_a_picture_and_its_noise_come_back_from_either_prediction():
    x_start, noise = np.random.default_rng(1).uniform(-1, 1, (2, 3, 4, 4, 1))
    t = np.array([0, 300, 950])
    a = column(np.array([left(one) for one in t]), x_start)
    x_t = np.sqrt(a) * x_start + np.sqrt(1 - a) * noise
    v = np.sqrt(a) * noise - np.sqrt(1 - a) * x_start
    for prediction, answer in (("v", v), ("noise", noise)):
        denoiser = diffusion.Denoiser(lambda _, answer=answer: answer, COSINE, prediction)
        found = denoiser(x_t, t)
        np.testing.assert_allclose(found[0], x_start, atol=1e-9)
        np.testing.assert_allclose(found[1], noise, atol=1e-9)
    # and the package's own velocity, which training uses, is the same
    own = schedules.velocity(COSINE, x_start.astype("f"), t, noise.astype("f"))
    np.testing.assert_allclose(np.asarray(own), v, atol=1e-6)


def test_the_guess_is_clipped_and_the_noise_agrees_with_it():
    x_t = np.linspace(-3, 3, 12).reshape(3, 4)
    wild = diffusion.Denoiser(lambda inputs: 5 * inputs[0], COSINE, "noise")
    x_start, noise = wild(x_t, 400)
    assert x_start.min() == -1 and x_start.max() == 1
    a = left(400)
    np.testing.assert_allclose(np.sqrt(a) * x_start + np.sqrt(1 - a) * noise, x_t, atol=1e-12)
    free = diffusion.Denoiser(lambda inputs: 5 * inputs[0], COSINE, "noise", clip=False)
    assert np.abs(free(x_t, 400)[0]).max() > 5


def test_a_model_gets_times_and_labels_and_compiles_once():
    model = counting_model()
    denoiser = diffusion.Denoiser(model, COSINE, clip=False)
    traces = []
    model.call, plain = lambda *a, **k: (traces.append(1), plain(*a, **k))[1], model.call
    x_t = np.ones((3, 4, 4, 1))
    for n in (3, 1, 2):
        x_start, _ = denoiser(x_t[:n], np.arange(n), np.arange(n) + 4)
        for i in range(n):
            expected = np.sqrt(left(i)) - np.sqrt(1 - left(i)) * (11 * i + 4)
            np.testing.assert_allclose(x_start[i], expected, rtol=1e-4, atol=1e-4)
    assert len(traces) <= 1


def test_labels_default_to_none_and_one_number_serves_all():
    seen = []
    denoiser = exact(calls=seen)
    denoiser(X_T[:3], 5), denoiser(X_T[:3], 5, 7), denoiser(X_T[:3], [1, 2, 3], [4, 10, 6])
    assert [labels.tolist() for *_, labels in seen] == [[10] * 3, [7] * 3, [4, 10, 6]]
    assert [t.tolist() for _, t, _ in seen] == [[5] * 3, [5] * 3, [1, 2, 3]]


def test_guidance_goes_beyond_the_conditional_prediction_in_one_batch():
    seen = []

    def network(inputs):
        seen.append(inputs[2].tolist())
        return np.where(inputs[2] == 10, 2.0, inputs[2])[:, None] * np.ones((1, 2))

    denoiser = diffusion.Denoiser(network, COSINE, "noise", clip=False)
    x_t = np.zeros((2, 2))
    for guidance in (1.0, 3.0, 0.0):
        _, noise = denoiser(x_t, 100, [5, 6], guidance)
        expected = [2 + guidance * (5 - 2), 2 + guidance * (6 - 2)]
        np.testing.assert_allclose(noise, np.array(expected)[:, None] * np.ones((1, 2)), rtol=1e-9)
    assert seen == [[5, 6], [10, 10, 5, 6], [10, 10, 5, 6]]  # 1 asks once


def test_guidance_on_two_gaussians_is_another_gaussian():
    # classes N(±1, s²), any N(0, 1 + s²): at high noise the guided guess is a straight line too
    def network(inputs):
        x_t, t, labels = inputs
        a = column(COSINE.alphas_cumprod[t], x_t)
        centre = column(np.where(labels == 10, 0.0, 2.0 * (labels == 1) - 1), x_t)
        variance = column(np.where(labels == 10, 1 + STD**2, STD**2), x_t)
        return np.sqrt(1 - a) * (x_t - np.sqrt(a) * centre) / (a * variance + 1 - a)  # -σ · score

    denoiser = diffusion.Denoiser(network, COSINE, "noise", clip=False)
    n, labels = len(X_T), np.arange(len(X_T)) % 2
    plain = diffusion.ddim_sample(denoiser, X_T, labels=labels, steps=400)
    guided = diffusion.ddim_sample(denoiser, X_T, labels=labels, steps=400, guidance=2.0)
    assert plain[labels == 1].mean() == pytest.approx(1, abs=0.05)
    assert guided[labels == 1].mean() > 1.1 and guided[labels == 0].mean() < -1.1
    assert guided[labels == 1].std() < plain[labels == 1].std() < 1
    # by a straightforward integration of dx/dλ for one picture
    x, (mid,) = X_T[1].copy(), (1.0,)
    for t in range(999, 0, -1):
        a, b = COSINE.alphas_cumprod[t], COSINE.alphas_cumprod[t - 1]
        one = np.sqrt(1 - a) * (x - np.sqrt(a) * mid) / (a * STD**2 + 1 - a)
        none = np.sqrt(1 - a) * x / (a * (1 + STD**2) + 1 - a)
        noise = 2 * one - none
        x = np.sqrt(b) * (x - np.sqrt(1 - a) * noise) / np.sqrt(a) + np.sqrt(1 - b) * noise
    np.testing.assert_allclose(guided[1], x, atol=0.03)
    assert n == len(guided)


@pytest.mark.parametrize(
    ("times", "labels", "message"),
    [
        (1000, None, "t must be one whole number from 0 to 999, or 2 of them; received 1000"),
        (-1, None, "t must be"),
        (0.5, None, "t must be"),
        ([1, 2, 3], None, "t must be"),
        (5, [1, 11], "labels must be one whole number from 0 to 10"),
        (5, [1.0, 2.0], "labels must be"),
    ],
)
def test_refuses_times_and_labels_that_do_not_fit(times, labels, message):
    with pytest.raises(ValueError, match=message):
        exact()(X_T[:2], times, labels)


def test_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match='"v" or "noise"; received \'epsilon\''):
        diffusion.Denoiser(None, COSINE, "epsilon")
    with pytest.raises(ValueError, match=r"guidance needs labels; received none, and guidance 2"):
        exact()(X_T, 5, guidance=2.0)
    with pytest.raises(ValueError, match=r"shape of x_t; received \(500,\) for \(500, 2\)"):
        diffusion.Denoiser(lambda inputs: inputs[0][:, 0], COSINE)(X_T, 5)


# --- time steps --------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", ["even", "snr"])
@pytest.mark.parametrize("schedule", [COSINE, schedules.linear(), schedules.cosine(25)])
def test_time_steps_go_from_the_last_to_the_first_without_repetition(spacing, schedule):
    last = schedule.num_timesteps - 1
    for steps in (2, 5, 20, 24, last, last + 1):
        times = diffusion.timesteps(schedule, steps, spacing)
        assert times.shape == (steps,) and times[0] == last and times[-1] == 0
        assert np.all(np.diff(times) < 0)
    assert diffusion.timesteps(schedule, 1, spacing).tolist() == [last]
    assert diffusion.timesteps(schedule, 10, spacing, start=20)[0] == 20


def test_even_steps_are_even_in_time_and_snr_steps_in_its_logarithm():
    assert diffusion.timesteps(COSINE, 4).tolist() == [999, 666, 333, 0]
    times = diffusion.timesteps(COSINE, 12, "snr", start=900)
    levels = np.log(COSINE.alphas_cumprod / (1 - COSINE.alphas_cumprod))[times]
    ideal = np.linspace(levels[0], levels[-1], 12)
    gaps = np.abs(np.diff(np.log(COSINE.snr)))
    for level, wanted, t in zip(levels, ideal, times, strict=True):  # no neighbour is nearer
        assert abs(level - wanted) <= gaps[max(t - 1, 0) : t + 1].max()


@pytest.mark.parametrize(("steps", "start"), [(0, None), (1001, None), (12, 10), (3, 1000)])
def test_refuses_more_steps_than_there_are(steps, start):
    with pytest.raises(ValueError, match="steps must be from 1 to start"):
        diffusion.timesteps(COSINE, steps, start=start)


def test_refuses_another_spacing_and_other_times():
    with pytest.raises(ValueError, match='"even" or "snr"; received \'log\''):
        diffusion.timesteps(COSINE, 5, "log")
    for times in ([1, 2], [5, 5], [1000, 3], [3, -1], [], [2.0, 1.0], [[3, 2]]):
        with pytest.raises(ValueError, match="from 999 to 0, in decreasing order; received"):
            diffusion.ddim_sample(exact(), X_T, steps=times)


# --- samplers ----------------------------------------------------------------------------------


def line(steps, sampler, eta=None):
    """Carry mean and variance of x_T ~ N(0, 1) through a sampler, one number at a time."""
    mean, variance = 0.0, 1.0
    times = [int(t) for t in np.rint(np.linspace(999, 0, steps))]
    for t, s in zip(times, [*times[1:], -1], strict=True):
        a, b = left(t), left(s) if s >= 0 else 1.0
        share = np.sqrt(a) * STD**2 / (a * STD**2 + 1 - a)
        slope, offset = share, MEAN - share * np.sqrt(a) * MEAN  # x_0 = slope x_t + offset
        if sampler == "ddpm":
            to_start = np.sqrt(b) * (1 - a / b) / (1 - a)
            to_x = np.sqrt(a / b) * (1 - b) / (1 - a)
            added = (1 - a / b) * (1 - b) / (1 - a)
        else:
            added = eta**2 * (1 - b) / (1 - a) * (1 - a / b)
            to_noise = np.sqrt(max(1 - b - added, 0)) / np.sqrt(1 - a)
            to_start, to_x = np.sqrt(b) - to_noise * np.sqrt(a), to_noise
        factor = to_start * slope + to_x
        mean, variance = factor * mean + to_start * offset, factor**2 * variance + added
    return mean, variance


@pytest.mark.parametrize("steps", [1, 10, 50, 1000])
def test_ddpm_has_the_moments_of_its_recursion(steps):
    x_0 = diffusion.ddpm_sample(exact(), X_T, steps=steps, seed=1)
    mean, variance = line(steps, "ddpm")
    n = X_T.size
    assert x_0.shape == X_T.shape and x_0.dtype == np.float32
    assert abs(x_0.mean() - mean) < 4 * np.sqrt(variance / n) + 1e-6
    assert abs(x_0.var() - variance) < 4 * variance * np.sqrt(2 / n) + 1e-6
    if steps > 1:
        assert stats.kstest(x_0.ravel(), stats.norm(mean, np.sqrt(variance)).cdf).pvalue > 0.01


def test_ddpm_with_all_steps_draws_from_the_data():
    x_0 = diffusion.ddpm_sample(exact(), X_T, seed=2)  # steps=None: all of them
    assert stats.kstest(x_0.ravel(), stats.norm(MEAN, STD).cdf).pvalue > 0.01


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_has_the_moments_of_its_recursion(eta):
    wide = np.random.default_rng(3).standard_normal((20_000, 1))
    x_0 = diffusion.ddim_sample(exact(), wide, steps=12, eta=eta, seed=3)
    mean, variance = line(12, "ddim", eta)
    assert x_0.mean() == pytest.approx(mean, abs=0.01)
    assert x_0.var() == pytest.approx(variance, rel=0.04)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ddim_adds_eta_times_the_deviation_of_the_posterior(eta):
    seen = []
    for noise in (0.0, 1.0):
        diffusion.ddim_sample(
            exact(),
            X_T,
            steps=[600, 300],
            eta=eta,
            noise=np.full((1, *X_T.shape), noise),
            callback=lambda i, t, x_t, _: seen.append(x_t),
        )
    a, b = left(600), left(300)
    added = eta * np.sqrt((1 - b) / (1 - a) * (1 - a / b))
    np.testing.assert_allclose(seen[3] - seen[1], added, atol=1e-12)


def test_ddim_with_eta_1_is_ddpm_number_for_number():
    noise = np.random.default_rng(4).standard_normal((19, *X_T.shape))
    ddpm = diffusion.ddpm_sample(exact(), X_T, steps=20, noise=noise)
    ddim = diffusion.ddim_sample(exact(), X_T, steps=20, noise=noise, eta=1.0)
    np.testing.assert_allclose(ddim, ddpm, atol=1e-6)
    assert np.abs(diffusion.ddim_sample(exact(), X_T, steps=20) - ddpm).max() > 0.1


def test_the_last_step_adds_no_noise():
    # with a perfect guess of x_0 a single number is left, whatever the noise was
    sure = exact(std=1e-6)
    for sampler in SAMPLERS:
        x_0 = sampler(sure, X_T, steps=10, seed=5)
        np.testing.assert_allclose(x_0, MEAN, atol=1e-5)


def test_noise_comes_from_outside_or_from_the_seed():
    draw = diffusion.ddpm_sample
    one, again, other = (draw(exact(), X_T, steps=8, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01
    mine = np.random.default_rng(1).spawn(1)[0]  # not the numbers that x_T may have
    noise = np.stack([mine.standard_normal(X_T.shape) for _ in range(7)])
    np.testing.assert_array_equal(draw(exact(), X_T, steps=8, noise=noise), one)
    with pytest.raises(ValueError, match=r"steps - 1, .* here \(7, 500, 2\); received \(8, 500, 2"):
        draw(exact(), X_T, steps=8, noise=np.zeros((8, *X_T.shape)))


def errors(sampler, spacing, counts, **options):
    """Return the largest distance from the exact solution at time 0, for each number of steps."""
    found = []
    for steps in counts:
        times, seen = diffusion.timesteps(COSINE, steps, spacing, start=900), {}
        sampler(
            exact(), X_T, steps=times, callback=lambda i, t, x_t, _, s=seen: s.update({t: x_t}),
            **options,
        )  # fmt: skip
        found.append(np.abs(seen[0] - flow(X_T, 900, 0)).max())
    return np.array(found)


@pytest.mark.parametrize(("spacing", "fewest"), [("even", 60), ("snr", 30)])
@pytest.mark.parametrize(
    ("sampler", "order"), [(diffusion.ddim_sample, 1), (diffusion.dpm_solver_sample, 2)]
)
def test_order_of_convergence(sampler, order, spacing, fewest):
    wrong = errors(sampler, spacing, [fewest, 2 * fewest, 4 * fewest])
    rates = np.log2(wrong[:-1] / wrong[1:])
    assert np.all(np.abs(rates - order) < 0.25), (wrong, rates)


def test_the_second_order_is_far_nearer_with_equal_work():
    first, second = (
        errors(sampler, "snr", [20])[0]
        for sampler in (diffusion.ddim_sample, diffusion.dpm_solver_sample)
    )
    assert second < first / 5


def test_dpm_solver_begins_and_ends_with_the_first_order():
    # so that two steps are two of DDIM, for which each of the two is exact
    both = [f(exact(), X_T, steps=2) for f in (diffusion.ddim_sample, diffusion.dpm_solver_sample)]
    np.testing.assert_allclose(*both, atol=1e-6)
    three = [f(exact(), X_T, steps=3) for f in (diffusion.ddim_sample, diffusion.dpm_solver_sample)]
    assert np.abs(three[0] - three[1]).max() > 0.01


@by_sampler
def test_samplers_take_any_shape_labels_and_times(sampler):
    centres = exact(mean=lambda labels: np.where(labels == 10, 0.0, labels - 4.0), std=0.01)
    x_T = np.random.default_rng(6).standard_normal((3, 4, 5, 1))
    x_0 = sampler(centres, x_T, labels=[3, 10, 5], steps=[950, 500, 100, 3], seed=0)
    assert x_0.shape == (3, 4, 5, 1) and x_0.dtype == np.float32
    np.testing.assert_allclose(x_0.mean(axis=(1, 2, 3)), [-1, 0, 1], atol=0.03)


@by_sampler
def test_the_callback_sees_every_step_and_can_end_the_walk(sampler):
    seen = []
    sampler(exact(), X_T, steps=6, seed=0, callback=lambda *news: seen.append(news))
    assert [i for i, *_ in seen] == list(range(6))
    assert [t for _, t, *_ in seen] == diffusion.timesteps(COSINE, 6).tolist()
    np.testing.assert_array_equal(seen[0][2], X_T)
    for _, t, x_t, x_start in seen:
        np.testing.assert_array_equal(x_start, exact()(x_t, t)[0])
    calls = []
    stopped = sampler(
        exact(calls=calls), X_T, steps=6, seed=0, callback=lambda i, *_: False if i == 3 else None
    )
    assert len(calls) == 4
    np.testing.assert_allclose(stopped, seen[3][3], atol=1e-6)
    assert stopped.dtype == np.float32


@by_sampler
def test_each_step_asks_the_network_once(sampler):
    calls = []
    sampler(exact(calls=calls), X_T, steps=9, seed=0)
    sampler(exact(calls=calls), X_T, steps=9, seed=0, labels=1, guidance=2.0)
    assert [n for n, *_ in calls] == [500] * 9 + [1000] * 9


@pytest.mark.parametrize("eta", [-0.1, 1.1])
def test_refuses_another_eta(eta):
    with pytest.raises(ValueError, match="eta must be from 0 to 1; received"):
        diffusion.ddim_sample(exact(), X_T, eta=eta)


@by_sampler
def test_a_trajectory_keeps_all_that_was_seen(sampler):
    way = diffusion.trajectory(exact(), X_T, sampler, steps=5, seed=7)
    assert way.x_t.shape == (6, 500, 2) and way.x_start.shape == (5, 500, 2)
    assert way.x_t.dtype == way.x_start.dtype == np.float32
    assert way.times.tolist() == diffusion.timesteps(COSINE, 5).tolist()
    np.testing.assert_allclose(way.x_t[0], X_T, atol=1e-6)
    np.testing.assert_array_equal(way.x_t[-1], sampler(exact(), X_T, steps=5, seed=7))
    for t, x_t, x_start in zip(way.times, way.x_t, way.x_start, strict=False):
        np.testing.assert_allclose(x_start, exact()(x_t, t)[0], atol=1e-5)
    ended = diffusion.trajectory(
        exact(), X_T, sampler, callback=lambda i, *_: i < 2, steps=5, seed=7
    )
    assert len(ended.times) == 3 and ended.x_t.shape == (4, 500, 2)
    np.testing.assert_array_equal(ended.x_t[-1], ended.x_start[-1])


# --- editing -----------------------------------------------------------------------------------


DATA = MEAN + STD * X_T


@pytest.mark.parametrize("order", [1, 2])
def test_inversion_follows_the_exact_solution(order):
    gaps = []
    for steps in (20, 40, 80):
        times, seen = diffusion.timesteps(COSINE, steps, "snr", start=900), {}
        x_T = diffusion.ddim_invert(
            exact(),
            DATA,
            steps=times,
            order=order,
            callback=lambda i, t, x, _, s=seen: s.update({t: x}),
        )
        gaps.append(np.abs(x_T - flow(seen[0], 0, 900)).max())
    rates = np.log2(np.array(gaps[:-1]) / gaps[1:])
    assert np.all(np.abs(rates - order) < 0.35), (gaps, rates)
    assert np.abs(seen[0] - DATA).max() < 0.01  # hardly anything lies between


@pytest.mark.parametrize(
    ("order", "sampler", "near"),
    [(1, diffusion.ddim_sample, 0.25), (2, diffusion.dpm_solver_sample, 0.03)],
)
def test_the_way_to_noise_and_back(order, sampler, near):
    times = diffusion.timesteps(COSINE, 40, "snr")
    x_T = diffusion.ddim_invert(exact(), DATA, steps=times, order=order)
    assert x_T.shape == DATA.shape and x_T.dtype == np.float32
    back = sampler(exact(), x_T, steps=times)
    assert np.abs(back - DATA).max() < near
    assert np.abs(sampler(exact(), X_T[::-1], steps=times) - DATA).max() > 0.5


def test_inversion_calls_back_and_can_be_stopped():
    seen = []
    diffusion.ddim_invert(exact(), DATA, steps=4, callback=lambda *news: seen.append(news))
    assert [(i, t) for i, t, *_ in seen] == [(0, 0), (1, 333), (2, 666), (3, 999)]
    stopped = diffusion.ddim_invert(exact(), DATA, steps=4, callback=lambda i, *_: i < 1)
    np.testing.assert_allclose(stopped, seen[1][2], atol=1e-6)
    with pytest.raises(ValueError, match="order must be 1 or 2; received 3"):
        diffusion.ddim_invert(exact(), DATA, order=3)


def pair(correlation=0.9):
    """Return the denoiser of pairs of numbers N(0, 1) with a correlation."""
    covariance = np.array([[1, correlation], [correlation, 1]])

    def network(inputs):
        x_t, t, _ = inputs
        a = COSINE.alphas_cumprod[t[0]]
        whole = a * covariance + (1 - a) * np.eye(2)
        x_start = np.sqrt(a) * x_t @ np.linalg.solve(whole, covariance)
        return (x_t - np.sqrt(a) * x_start) / np.sqrt(1 - a)

    return diffusion.Denoiser(network, COSINE, "noise", clip=False)


KNOWN = np.array([[True, False]])


def test_inpainting_draws_what_fits_the_known_part():
    # x_1 given x_0 = 1.2 is N(0.9 · 1.2, 1 - 0.9²)
    pictures = np.tile([1.2, 77.0], (4000, 1))
    filled = {}
    for resample in (1, 10):
        x = diffusion.inpaint(pair(), pictures, KNOWN, steps=40, seed=0, resample=resample)
        assert x.shape == pictures.shape and x.dtype == np.float32
        np.testing.assert_array_equal(x[:, 0], np.float32(1.2))
        filled[resample] = x[:, 1]
    assert filled[10].mean() == pytest.approx(1.08, abs=0.1)
    assert filled[10].std() == pytest.approx(np.sqrt(0.19), rel=0.2)
    # without going back the two parts know too little of each other
    assert abs(filled[1].mean() - 1.08) > 2 * abs(filled[10].mean() - 1.08)


def test_inpainting_depends_on_the_seed_but_not_on_what_is_hidden():
    pictures = np.array([[1.2, 5.0]] * 3)
    one = diffusion.inpaint(pair(), pictures, KNOWN, steps=10, seed=1)
    pictures[:, 1] = -4
    np.testing.assert_array_equal(one, diffusion.inpaint(pair(), pictures, KNOWN, steps=10, seed=1))
    assert len({round(float(value), 4) for value in one[:, 1]}) == 3  # several ways
    other = diffusion.inpaint(pair(), pictures, KNOWN, steps=10, seed=2)
    assert np.abs(one - other)[:, 1].min() > 1e-4


def test_inpainting_counts_its_calls_and_can_be_stopped():
    seen = []
    pictures = np.array([[0.5, 0.0]])
    diffusion.inpaint(
        pair(), pictures, KNOWN, steps=4, seed=0, resample=3,
        callback=lambda *news: seen.append(news),
    )  # fmt: skip
    assert [i for i, *_ in seen] == list(range(10))
    assert [t for _, t, *_ in seen] == [999] * 3 + [666] * 3 + [333] * 3 + [0]
    assert all(x_start[0, 0] == 0.5 for *_, x_start in seen)
    stopped = diffusion.inpaint(
        pair(), pictures, KNOWN, steps=4, seed=0, resample=3, callback=lambda i, *_: i < 5
    )
    np.testing.assert_allclose(stopped, seen[5][3], atol=1e-6)


def test_with_everything_known_nothing_changes():
    np.testing.assert_array_equal(
        diffusion.inpaint(exact(), DATA, np.array(True), steps=5, seed=0), DATA.astype("float32")
    )


@pytest.mark.parametrize(
    ("known", "resample", "message"),
    [
        (np.ones((1, 2)), 5, "known must be booleans of the pictures' shape; received float64"),
        (np.ones((3, 2), bool), 5, "shape"),
        (np.ones((1, 4, 2), bool), 5, "known must be booleans"),
        (KNOWN, 0, "resample must be a positive whole number; received 0"),
        (KNOWN, 1.5, "resample must be"),
    ],
)
def test_inpainting_refuses_what_does_not_fit(known, resample, message):
    with pytest.raises(ValueError, match=message):
        diffusion.inpaint(exact(), DATA, known, resample=resample)


def test_image_to_image_keeps_more_the_less_it_noises():
    picture = np.repeat([[0.9, -0.2]], 500, axis=0)
    kept = []
    for t_start in (50, 400, 900):
        x = diffusion.image_to_image(exact(), picture, t_start, seed=0)
        assert x.shape == picture.shape and x.dtype == np.float32
        # the exact solution carries N(√ᾱ x, 1 - ᾱ) to another Gaussian
        a = left(t_start)
        expected = MEAN + STD / np.sqrt(a * STD**2 + 1 - a) * np.sqrt(a) * (picture[0] - MEAN)
        np.testing.assert_allclose(x.mean(axis=0), expected, atol=0.06)
        kept.append(np.corrcoef(x.ravel(), picture.ravel())[0, 1])
    assert kept[0] > 0.95 and kept[0] > kept[1] > kept[2]


def test_image_to_image_takes_noise_and_sampler_from_outside():
    seen = []
    x = diffusion.image_to_image(
        exact(), DATA, 300, noise=X_T, steps=5, sampler=diffusion.ddim_sample,
        callback=lambda i, t, *_: seen.append(t),
    )  # fmt: skip
    a = left(300)
    x_t = np.sqrt(a) * DATA + np.sqrt(1 - a) * X_T
    times = [300, 225, 150, 75, 0]
    assert seen == times
    np.testing.assert_array_equal(x, diffusion.ddim_sample(exact(), x_t, steps=times))
    assert diffusion.image_to_image(exact(), DATA, 3, steps=20, seed=0).shape == DATA.shape
    with pytest.raises(ValueError, match="shape of the pictures; received"):
        diffusion.image_to_image(exact(), DATA, 300, noise=X_T[:3])
