"""Ways back from noise to pictures, with a network that has learned to remove some of it.

Every sampler walks down a row of time steps. At each it asks the denoiser for x_0 and the noise in
x_t, and from these makes x_s of the next, lower time step s; s = -1 stands for x_0 itself, where
ᾱ = 1. The samplers differ in this one step only.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from course_utils import _walking, schedules
from course_utils.schedules import DiffusionSchedule


class Denoiser:
    """A network's guess of the picture in a noisy one, and of the noise.

    Args:
        network: a Keras model that maps `[x_t, t, labels]` to a prediction of the shape of x_t, or
            a function of the same list, which gets NumPy arrays and is called as it is. A model is
            compiled once, for every number of pictures.
        schedule: with which it was trained.
        prediction: what it predicts: "v", the velocity √ᾱ_t ε - √(1 - ᾱ_t) x_0, or "noise", ε.
        clip: whether to bring the guess of x_0 into [-1, 1], where all pictures are.
        no_label: the label that stands for none.

    Raises:
        ValueError: if `prediction` is another word.

    Source: for "noise", Ho et al. 2020, arXiv:2006.11239; for "v", Salimans and Ho 2022,
    arXiv:2202.00512, appendix D; guidance, Ho and Salimans 2022, arXiv:2207.12598, Eq. 6, where
    w - 1 is called w.
    """

    def __init__(
        self,
        network,
        schedule: DiffusionSchedule,
        prediction: str = "v",
        clip: bool = True,
        no_label: int = 10,
    ):
        if prediction not in ("v", "noise"):
            raise ValueError(f'prediction must be "v" or "noise"; received {prediction!r}.')
        self.schedule, self.prediction, self.clip = schedule, prediction, clip
        self.no_label = no_label
        self._network = _walking.compiled(network)

    def __call__(self, x_t, t, labels=None, guidance: float = 1.0):
        """Guess the picture and the noise in x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε.

        Args:
            x_t: `(n, ...)`.
            t: a time step, or `(n,)` of them.
            labels: which class each picture is to be, one whole number or `(n,)`; None for any.
            guidance: w; the prediction is (1 - w) times that without labels plus w times that with
                them: 1 is the plain conditional one, more follows the labels more closely.

        Returns:
            x_0 and ε, `(n, ...)` float64. They always agree: where x_0 was clipped, ε is what is
            then left of x_t.

        Raises:
            ValueError: if times or labels do not fit, or there are no labels to be guided by.
        """
        x_t = np.asarray(x_t, np.float64)
        n = len(x_t)
        t = self._rows("t", t, n, self.schedule.num_timesteps - 1)
        if labels is None and guidance != 1:
            raise ValueError(f"guidance needs labels; received none, and guidance {guidance!r}.")
        nothing = np.full(n, self.no_label, np.int32)
        labels = nothing if labels is None else self._rows("labels", labels, n, self.no_label)
        if guidance == 1:
            prediction = self._predict(x_t, t, labels)
        else:  # both in one batch
            twice = (np.concatenate([part, part]) for part in (x_t, t))
            both = self._predict(*twice, np.concatenate([nothing, labels]))
            prediction = (1 - guidance) * both[:n] + guidance * both[n:]
        alpha_bar_t = self.schedule.alpha_bar(t).reshape(n, *[1] * (x_t.ndim - 1))
        alpha_t, sigma_t = np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
        if self.prediction == "v":
            x_start = alpha_t * x_t - sigma_t * prediction
        else:
            x_start = (x_t - sigma_t * prediction) / alpha_t
        if self.clip:
            x_start = np.clip(x_start, -1, 1)
        return x_start, (x_t - alpha_t * x_start) / sigma_t

    def _predict(self, x_t, t, labels):
        prediction = np.asarray(self._network([x_t, t, labels]), np.float64)
        if prediction.shape != x_t.shape:
            raise ValueError(
                "a network must predict something of the shape of x_t; received "
                f"{prediction.shape} for {x_t.shape}."
            )
        return prediction

    @staticmethod
    def _rows(name, values, n, largest):
        values = np.asarray(values)
        whole = values.dtype.kind in "iu" and values.shape in ((), (n,))
        if not whole or np.any(values < 0) or np.any(values > largest):
            raise ValueError(
                f"{name} must be one whole number from 0 to {largest}, or {n} of them; received "
                f"{np.array2string(values, threshold=6)}."
            )
        return np.broadcast_to(values, (n,)).astype(np.int32)


def timesteps(
    schedule: DiffusionSchedule, steps: int, spacing: str = "even", start: int | None = None
) -> np.ndarray:
    """Choose the time steps at which a sampler looks.

    Args:
        schedule: of the forward process.
        steps: how many.
        spacing: "even", equal steps of t; or "snr", equal steps of the logarithm of the signal-to-
            noise ratio, as near to that as whole time steps come.
        start: the first one; None for the last of the schedule.

    Returns:
        `(steps,)` whole numbers from `start` down to 0; `start` alone, if there is one step.

    Raises:
        ValueError: if there are fewer time steps than asked for, or `spacing` is another word.

    Source: for "snr", Lu et al. 2022, arXiv:2206.00927, §3.4.
    """
    start = schedule.num_timesteps - 1 if start is None else start
    if not 0 <= start < schedule.num_timesteps or not 1 <= steps <= start + 1:
        raise ValueError(
            f"steps must be from 1 to start + 1, and start below {schedule.num_timesteps}; "
            f"received steps = {steps}, start = {start}."
        )
    if spacing == "even":
        return np.rint(np.linspace(start, 0, steps)).astype(int)
    if spacing != "snr":
        raise ValueError(f'spacing must be "even" or "snr"; received {spacing!r}.')
    levels = np.log(schedule.snr[: start + 1])
    wanted = np.linspace(levels[-1], levels[0], steps)
    nearest = np.abs(wanted[:, None] - levels).argmin(axis=1)
    # where several fall on one time step, the later ones move on to those below, and at the end,
    # where none is left below, the earlier ones make room
    rank = np.arange(steps)
    distinct = np.minimum.accumulate(nearest + rank) - rank
    return np.maximum(distinct, steps - 1 - rank)


def ddpm_sample(
    denoiser: Denoiser,
    x_T,
    *,
    labels=None,
    steps: int | Sequence[int] | None = None,
    guidance: float = 1.0,
    noise=None,
    seed: int | None = None,
    callback: Callable | None = None,
) -> np.ndarray:
    """Draw pictures step by step: x_s is drawn from q(x_s | x_t, x_0), with x_0 as it is guessed.

    Args:
        denoiser: guesses x_0.
        x_T: `(n, ...)` standard normal noise; or, where `steps` begins lower, pictures noised so
            far.
        labels: class of each picture; None for any.
        steps: how many time steps, evenly spaced; or the time steps, in decreasing order, as
            `timesteps` returns them; None for all.
        guidance: as in `Denoiser`.
        noise: `(steps - 1, n, ...)`, what is added at each step but the last; or None.
        seed: of the noise, where it is not given.
        callback: called as `callback(i, t, x_t, x_start)` at each step, before it is taken, with
            the guess x_start; where it returns False, this guess is the result.

    Returns:
        x_0, `(n, ...)` float32.

    Raises:
        ValueError: if the time steps or the noise do not fit, or labels as in `Denoiser`.

    Source: Ho et al. 2020, arXiv:2006.11239, algorithm 2, with variance β̃.
    """
    draw = _walking.dice(len(_times(denoiser.schedule, steps)), noise, seed, np.shape(x_T))

    def step(i, t, s, x_t, x_start, _):
        mean, variance = schedules.posterior(denoiser.schedule, x_start, x_t, t, s)
        return mean + np.sqrt(variance) * draw(i) if s >= 0 else mean

    return _walk(denoiser, x_T, step, labels, steps, guidance, callback)


def ddim_sample(
    denoiser: Denoiser,
    x_T,
    *,
    labels=None,
    steps: int | Sequence[int] | None = 50,
    guidance: float = 1.0,
    eta: float = 0.0,
    noise=None,
    seed: int | None = None,
    callback: Callable | None = None,
) -> np.ndarray:
    """Draw pictures with part of the noise kept: the same x_T then always gives the same picture.

    x_s = √ᾱ_s x_0 + √(1 - ᾱ_s - σ²) ε + σ z with z new noise, and σ² η² times the variance of
    q(x_s | x_t, x_0).

    Args:
        denoiser: guesses x_0.
        x_T: `(n, ...)`, as in `ddpm_sample`.
        labels: class of each picture; None for any.
        steps: as in `ddpm_sample`.
        guidance: as in `Denoiser`.
        eta: η in [0, 1]: 0 adds nothing, and solves a differential equation with Euler's method; 1
            is `ddpm_sample`.
        noise: as in `ddpm_sample`.
        seed: of the noise, where it is not given.
        callback: as in `ddpm_sample`.

    Returns, Raises: as `ddpm_sample`; also a ValueError if `eta` is not in [0, 1].

    Source: Song et al. 2021, arXiv:2010.02502, Eq. 12 and 16.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must be from 0 to 1; received {eta!r}.")
    schedule = denoiser.schedule
    draw = _walking.dice(len(_times(denoiser.schedule, steps)), noise, seed, np.shape(x_T))

    def step(i, t, s, x_t, x_start, pred_noise):
        alpha_bar_t, alpha_bar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
        variance = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s)
        sigma = eta * np.sqrt(variance)
        x_s = np.sqrt(alpha_bar_s) * x_start
        x_s = x_s + np.sqrt(np.maximum(1 - alpha_bar_s - sigma**2, 0)) * pred_noise
        return x_s + sigma * draw(i) if sigma > 0 else x_s

    return _walk(denoiser, x_T, step, labels, steps, guidance, callback)


def dpm_solver_sample(
    denoiser: Denoiser,
    x_T,
    *,
    labels=None,
    steps: int | Sequence[int] | None = 20,
    guidance: float = 1.0,
    noise=None,
    seed: int | None = None,
    callback: Callable | None = None,
) -> np.ndarray:
    """Solve the equation of DDIM with a method of second order: good pictures in few steps.

    With λ_t = log √(ᾱ_t / (1 - ᾱ_t)), h = λ_s - λ_t and σ = √(1 - ᾱ),
    x_s = σ_s / σ_t x_t + √ᾱ_s (1 - e^(-h)) D, where D is x_0 as guessed now, plus half of how much
    that guess would change over this step, if it went on as in the last. The first step, which has
    no last, and the last, where h is infinite, take the guess as it is.

    Args:
        denoiser: guesses x_0.
        x_T: `(n, ...)`, as in `ddpm_sample`.
        labels: class of each picture; None for any.
        steps: as in `ddpm_sample`.
        guidance: as in `Denoiser`.
        noise: not used, for nothing is added; here so that all samplers are called alike.
        seed: not used either.
        callback: as in `ddpm_sample`.

    Returns, Raises: as `ddpm_sample`.

    Source: DPM-Solver++(2M), Lu et al. 2022, arXiv:2211.01095, algorithm 2.
    """
    schedule = denoiser.schedule
    before: list = []  # the last step's h and guess

    def step(i, t, s, x_t, x_start, _):
        alpha_bar_t, alpha_bar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
        if s < 0:
            return x_start
        h, change = _walking.half_log_snr(alpha_bar_s) - _walking.half_log_snr(alpha_bar_t), 0.0
        if before:
            last_h, last_start = before
            change = 0.5 * h / last_h * (x_start - last_start)
        before[:] = h, x_start
        x_s = np.sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t)) * x_t
        return x_s - np.sqrt(alpha_bar_s) * np.expm1(-h) * (x_start + change)

    return _walk(denoiser, x_T, step, labels, steps, guidance, callback)


class Trajectory(NamedTuple):
    """The way of some pictures out of noise."""

    times: np.ndarray  # (steps,) decreasing
    x_t: np.ndarray  # (steps + 1, n, ...) float32; the last is the result
    x_start: np.ndarray  # (steps, n, ...) float32, what was guessed at each time


def trajectory(
    denoiser: Denoiser,
    x_T,
    sampler: Callable = dpm_solver_sample,
    callback: Callable | None = None,
    **options,
) -> Trajectory:
    """Draw pictures, and keep everything that was seen on the way.

    Args:
        denoiser: guesses x_0.
        x_T: `(n, ...)`, as in `ddpm_sample`.
        sampler: one of this module.
        callback: as in `ddpm_sample`; a walk that it ends is kept so far.
        **options: of the sampler.

    Returns:
        Times, noisy pictures and guesses.
    """
    times, noisy, guesses = [], [], []

    def keep(i, t, x_t, x_start):
        times.append(t)
        noisy.append(x_t.astype(np.float32))
        guesses.append(x_start.astype(np.float32))
        return callback(i, t, x_t, x_start) if callback else None

    result = sampler(denoiser, x_T, callback=keep, **options)
    return Trajectory(np.array(times), np.stack([*noisy, result]), np.stack(guesses))


def ddim_invert(
    denoiser: Denoiser,
    x_start,
    *,
    labels=None,
    steps: int | Sequence[int] | None = 50,
    guidance: float = 1.0,
    order: int = 1,
    callback: Callable | None = None,
) -> np.ndarray:
    """Find noise from which these pictures come: solve the equation of DDIM backwards.

    With λ as in `dpm_solver_sample` and h = λ_t - λ_s, which is negative, for t the next higher
    time step: x_t = √ᾱ_t / √ᾱ_s x_s - σ_t (e^h - 1) ε. In the first order ε is the noise as guessed
    now; in the second, half of its change over this step is added, as it would be if it went on as
    in the last. From the picture itself to time 0, ε is guessed as if the picture were at time 0.

    Args:
        denoiser: guesses x_0.
        x_start: `(n, ...)` pictures.
        labels: class of each picture; None for any.
        steps: as in `ddpm_sample`, for the way back; it is walked upwards.
        guidance: as in `Denoiser`.
        order: 1, which `ddim_sample` undoes, or 2, which `dpm_solver_sample` does.
        callback: called as `callback(i, t, x_t, x_start)` when x_t was found, with the guess that
            led to it; where it returns False, this x_t is the result.

    Returns:
        x_T, `(n, ...)` float32.

    Raises:
        ValueError: as `ddpm_sample`, or if `order` is another number.

    Source: Song et al. 2021, arXiv:2010.02502, §4.3; the second order, DPM-Solver++, Lu et al.
    2022, arXiv:2211.01095, appendix, in terms of the noise.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2; received {order!r}.")
    schedule, before = denoiser.schedule, []
    times = _times(schedule, steps)[::-1]
    x = np.asarray(x_start, np.float64)
    for i, (s, t) in enumerate(zip([-1, *times[:-1]], times, strict=True)):
        alpha_bar_s, alpha_bar_t = schedule.alpha_bar(s), schedule.alpha_bar(t)
        guess, noise = denoiser(x, max(s, 0), labels, guidance)
        if s < 0:
            x = np.sqrt(alpha_bar_t) * x + np.sqrt(1 - alpha_bar_t) * noise
        else:
            h, change = _walking.half_log_snr(alpha_bar_t) - _walking.half_log_snr(alpha_bar_s), 0.0
            if before and order == 2:
                change = 0.5 * h / before[0] * (noise - before[1])
            before[:] = h, noise
            x = np.sqrt(alpha_bar_t / alpha_bar_s) * x
            x = x - np.sqrt(1 - alpha_bar_t) * np.expm1(h) * (noise + change)
        if _walking.stops(callback, i, t, x, guess):
            break
    return x.astype(np.float32)


def inpaint(
    denoiser: Denoiser,
    pictures,
    known,
    *,
    labels=None,
    steps: int | Sequence[int] | None = 20,
    guidance: float = 1.0,
    seed: int | None = None,
    resample: int = 5,
    callback: Callable | None = None,
) -> np.ndarray:
    """Fill in the parts of pictures that are not known.

    As `ddpm_sample`, but after each step the known pixels are put back, noised as far as the others
    are. The rest has then not seen them; so each step is undone by adding noise and taken again,
    several times.

    Args:
        denoiser: guesses x_0.
        pictures: `(n, ...)` in [-1, 1]; what they hold where they are not known has no influence.
        known: booleans that fit the pictures, true where a pixel is to stay.
        labels: class of each picture; None for any.
        steps: as in `ddpm_sample`.
        guidance: as in `Denoiser`.
        seed: of all noise; every picture of a batch has noise of its own, so copies of one picture
            are filled in several ways.
        resample: how often each step is taken; 1 only puts back.
        callback: as in `ddpm_sample`, at every one of the (steps - 1) · resample + 1 calls of the
            denoiser, with the known pixels in x_start.

    Returns:
        `(n, ...)` float32; the known pixels are those of `pictures`.

    Raises:
        ValueError: as `ddpm_sample`, or if `known` does not fit or is not of booleans, or
            `resample` is not a positive whole number.

    Source: RePaint, Lugmayr et al. 2022, arXiv:2201.09865, algorithm 1.
    """
    schedule, rng = denoiser.schedule, _walking.generator(seed)
    times = _times(schedule, steps)
    pictures, known = np.asarray(pictures, np.float64), np.asarray(known)
    sides = zip(known.shape[::-1], pictures.shape[::-1], strict=False)
    fits = known.ndim <= pictures.ndim and all(side in (1, whole) for side, whole in sides)
    if known.dtype != bool or not fits:
        raise ValueError(
            "known must be booleans of the pictures' shape; received "
            f"{known.dtype} of shape {known.shape} for pictures {pictures.shape}."
        )
    if isinstance(resample, bool) or not isinstance(resample, int) or resample < 1:
        raise ValueError(f"resample must be a positive whole number; received {resample!r}.")
    x, calls = rng.standard_normal(pictures.shape), 0
    for t, s in _walking.pairs(times):
        alpha_bar_t, alpha_bar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
        for left in reversed(range(resample if s >= 0 else 1)):
            x_start, _ = denoiser(x, t, labels, guidance)
            guess = np.where(known, pictures, x_start)
            if _walking.stops(callback, calls, t, x, guess):
                return guess.astype(np.float32)
            calls += 1
            mean, variance = schedules.posterior(schedule, x_start, x, t, s)
            filled = mean + np.sqrt(variance) * rng.standard_normal(x.shape)
            kept = np.sqrt(alpha_bar_s) * pictures
            kept = kept + np.sqrt(1 - alpha_bar_s) * rng.standard_normal(x.shape)
            x = np.where(known, kept, filled)  # at time s
            if left:  # back to time t
                between = alpha_bar_t / alpha_bar_s
                x = np.sqrt(between) * x + np.sqrt(1 - between) * rng.standard_normal(x.shape)
    return x.astype(np.float32)


def image_to_image(
    denoiser: Denoiser,
    pictures,
    t_start: int,
    *,
    labels=None,
    steps: int = 20,
    guidance: float = 1.0,
    noise=None,
    seed: int | None = None,
    sampler: Callable = dpm_solver_sample,
    callback: Callable | None = None,
) -> np.ndarray:
    """Noise pictures up to a time step, and draw on from there: what is coarse stays.

    Args:
        denoiser: guesses x_0.
        pictures: `(n, ...)` in [-1, 1].
        t_start: how far they are noised; at the last time step nothing of them is left.
        labels: class of each picture; None for any.
        steps: at most this many, from `t_start` down to 0.
        guidance: as in `Denoiser`.
        noise: `(n, ...)` standard normal, with which they are noised; or None.
        seed: of all noise that is not given.
        sampler: one of this module.
        callback: as in `ddpm_sample`.

    Returns:
        `(n, ...)` float32.

    Raises:
        ValueError: as `ddpm_sample`, or if `noise` has another shape than the pictures.

    Source: SDEdit, Meng et al. 2022, arXiv:2108.01073.
    """
    pictures, rng = np.asarray(pictures, np.float64), _walking.generator(seed)
    noise = rng.standard_normal(pictures.shape) if noise is None else np.asarray(noise)
    if noise.shape != pictures.shape:
        raise ValueError(
            "noise must have the shape of the pictures; received "
            f"{noise.shape} for {pictures.shape}."
        )
    times = timesteps(denoiser.schedule, min(steps, t_start + 1), start=t_start)
    alpha_bar_t = denoiser.schedule.alpha_bar(t_start)
    x_t = np.sqrt(alpha_bar_t) * pictures + np.sqrt(1 - alpha_bar_t) * noise
    options = {"labels": labels, "steps": times, "guidance": guidance, "callback": callback}
    return sampler(denoiser, x_t, seed=rng, **options)


def _walk(denoiser, x, step, labels, steps, guidance, callback):
    """Go down the time steps: `step(i, t, s, x_t, x_start, noise)` makes x_s."""
    x = np.asarray(x, np.float64)
    for i, (t, s) in enumerate(_walking.pairs(_times(denoiser.schedule, steps))):
        x_start, noise = denoiser(x, t, labels, guidance)
        if _walking.stops(callback, i, t, x, x_start):
            return x_start.astype(np.float32)
        x = step(i, t, s, x, x_start, noise)
    return x.astype(np.float32)


def _times(schedule, steps) -> list[int]:
    """Return the time steps that are meant: all, a number of them, or those given."""
    if steps is None:
        steps = schedule.num_timesteps
    if isinstance(steps, int | np.integer):
        return timesteps(schedule, int(steps)).tolist()
    times, last = np.asarray(steps), schedule.num_timesteps - 1
    row = times.ndim == 1 and times.size and times.dtype.kind in "iu"
    if not (row and np.all(np.diff(times) < 0) and times[-1] >= 0 and times[0] <= last):
        raise ValueError(
            f"time steps must be whole numbers from {last} to 0, in decreasing order; "
            f"received {np.array2string(times, threshold=6)}."
        )
    return times.tolist()
