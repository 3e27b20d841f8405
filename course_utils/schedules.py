"""The forward process of diffusion: how much of a picture, and how much noise, at each time.

q(x_t | x_0) = N(√ᾱ_t x_0, (1 - ᾱ_t) I), where ᾱ_t is the product of α_s = 1 - β_s for s = 0...t.
Time steps are counted from 0, so x_t at t = 0 has been noised once; ᾱ before it is 1.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class DiffusionSchedule:
    """All numbers of a forward process, one a time step, float64.

    Attributes:
        betas: `(num_timesteps,)`, variance of the noise that each step adds, in (0, 1).

    Raises:
        ValueError: if `betas` is not a row of numbers in (0, 1).

    Source: Ho et al. 2020, arXiv:2006.11239, §2.
    """

    betas: np.ndarray

    def __post_init__(self):
        betas = np.array(self.betas, "float64")
        if betas.ndim != 1 or not betas.size or not np.all((betas > 0) & (betas < 1)):
            raise ValueError(
                "betas must be a row of numbers above 0 and below 1; received "
                f"{np.array2string(betas, threshold=6)}."
            )
        betas.setflags(write=False)
        object.__setattr__(self, "betas", betas)

    @property
    def num_timesteps(self) -> int:
        """How many steps there are."""
        return len(self.betas)

    @property
    def alphas(self) -> np.ndarray:
        """α_t = 1 - β_t."""
        return 1 - self.betas

    @property
    def alphas_cumprod(self) -> np.ndarray:
        """ᾱ_t, the product of α_0 ... α_t: how much of the picture's variance is left."""
        return np.cumprod(self.alphas)

    @property
    def alphas_cumprod_prev(self) -> np.ndarray:
        """ᾱ of one step earlier; 1 for the first step."""
        return np.append(1.0, self.alphas_cumprod[:-1])

    @property
    def snr(self) -> np.ndarray:
        """The signal-to-noise ratio ᾱ_t / (1 - ᾱ_t)."""
        return self.alphas_cumprod / (1 - self.alphas_cumprod)

    @property
    def posterior_variance(self) -> np.ndarray:
        """β̃_t, the variance of q(x_{t-1} | x_t, x_0); Ho et al., Eq. 7."""
        return self.betas * (1 - self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)

    def alpha_bar(self, t):
        """Return ᾱ at one or several time steps; 1 at -1, where nothing has been noised yet."""
        return np.append(self.alphas_cumprod, 1.0)[t]


def linear(num_timesteps: int = 1000, first: float = 1e-4, last: float = 0.02):
    """Return the schedule whose betas grow along a line.

    `first` and `last` are for 1,000 steps; for another number they are multiplied by 1,000 over
    it, so that as little of the picture is left at the end.

    Source: Ho et al. 2020, arXiv:2006.11239, §4; the scaling is Nichol and Dhariwal's.

    Raises:
        ValueError: if `num_timesteps` is not a whole number above 1, or so small that a beta
            reaches 1.
    """
    _check_steps(num_timesteps)
    scale = 1000 / num_timesteps
    return DiffusionSchedule(np.linspace(first * scale, last * scale, num_timesteps))


def cosine(num_timesteps: int = 1000, offset: float = 0.008, max_beta: float = 0.999):
    """Return the schedule whose ᾱ falls like a squared cosine: slowly at both ends.

    ᾱ_t = f(t + 1) / f(0) with f(u) = cos²((u / T + s) / (1 + s) · π/2); β_t = 1 - ᾱ_t / ᾱ_{t-1},
    at most `max_beta`, which changes the last steps only.

    Args:
        num_timesteps: T.
        offset: s; keeps the first betas from being too small to matter.
        max_beta: largest beta.

    Source: Nichol and Dhariwal 2021, arXiv:2102.09672, Eq. 17.

    Raises:
        ValueError: if `num_timesteps` is not a whole number above 1.
    """
    _check_steps(num_timesteps)
    u = np.arange(num_timesteps + 1) / num_timesteps
    f = np.cos((u + offset) / (1 + offset) * np.pi / 2) ** 2
    return DiffusionSchedule(np.minimum(1 - f[1:] / f[:-1], max_beta))


def q_sample(schedule: DiffusionSchedule, x_start, t, noise):
    """Diffuse clean pictures to time step `t` in one go: sample q(x_t | x_0).

    x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε.

    Args:
        schedule: of the forward process.
        x_start: `(batch, ...)` float32, x_0; pictures in [-1, 1].
        t: `(batch,)` whole numbers in [0, num_timesteps).
        noise: ε, standard normal, of the same shape as `x_start`.

    Returns:
        x_t, same shape, float32; not clipped.

    Raises:
        ValueError: if the shapes of `x_start` and `noise` differ.

    Source: Ho et al. 2020, arXiv:2006.11239, Eq. 4.
    """
    _check_shapes(x_start, noise)
    alpha_t, sigma_t = signal_and_noise(schedule, x_start, t)
    return alpha_t * x_start + sigma_t * noise


def velocity(schedule: DiffusionSchedule, x_start, t, noise):
    """Return v = √ᾱ_t ε - √(1 - ᾱ_t) x_0, what a network can be asked to predict.

    (√ᾱ, √(1 - ᾱ)) is a point of the unit circle, x_t moves along it from picture to noise, and v
    is its speed. At low noise v is about the noise, at high noise about minus the picture: there
    is something to predict at both ends.

    Args, Returns, Raises: as `q_sample`.

    Source: Salimans and Ho 2022, arXiv:2202.00512, appendix D.
    """
    _check_shapes(x_start, noise)
    alpha_t, sigma_t = signal_and_noise(schedule, x_start, t)
    return alpha_t * noise - sigma_t * x_start


def signal_and_noise(schedule: DiffusionSchedule, x, t):
    """Gather √ᾱ_t and √(1 - ᾱ_t) for each picture, shaped to multiply `x`.

    Args:
        schedule: of the forward process.
        x: `(batch, ...)`; only its number of axes counts.
        t: `(batch,)` whole numbers in [0, num_timesteps).

    Returns:
        Two float32 tensors `(batch, 1, ...)`.
    """
    from keras import ops

    shape = (-1, *[1] * (len(x.shape) - 1))
    alpha_bar = schedule.alphas_cumprod
    return tuple(
        ops.reshape(ops.take(ops.convert_to_tensor(np.sqrt(row), "float32"), t), shape)
        for row in (alpha_bar, 1 - alpha_bar)
    )


def posterior(schedule: DiffusionSchedule, x_start, x_t, t: int, earlier: int | None = None):
    """Return mean and variance of q(x_s | x_t, x_0): where x_t came from, if x_0 is known.

    With ᾱ_{t|s} = ᾱ_t / ᾱ_s, what is left of s at t, and β_{t|s} = 1 - ᾱ_{t|s}, the mean is
    √ᾱ_s β_{t|s} / (1 - ᾱ_t) x_0 + √ᾱ_{t|s} (1 - ᾱ_s) / (1 - ᾱ_t) x_t and the variance
    β_{t|s} (1 - ᾱ_s) / (1 - ᾱ_t).

    Args:
        schedule: of the forward process.
        x_start: x_0, of any shape.
        x_t: of the same shape.
        t: one time step.
        earlier: s, an earlier one, -1 for x_0 itself; None for t - 1.

    Returns:
        The mean, shaped like `x_t`, and the variance, a number.

    Raises:
        ValueError: if the shapes differ, or s is not earlier than t.

    Source: Ho et al. 2020, arXiv:2006.11239, Eq. 6 and 7, there for s = t - 1.
    """
    _check_shapes(x_start, x_t)
    s = t - 1 if earlier is None else earlier
    if not -1 <= s < t < schedule.num_timesteps:
        raise ValueError(
            "a posterior needs -1 <= earlier < t < num_timesteps; received "
            f"earlier = {s}, t = {t}, num_timesteps = {schedule.num_timesteps}."
        )
    alpha_bar_t, alpha_bar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
    between = alpha_bar_t / alpha_bar_s
    mean = np.sqrt(alpha_bar_s) * (1 - between) / (1 - alpha_bar_t) * x_start
    mean = mean + np.sqrt(between) * (1 - alpha_bar_s) / (1 - alpha_bar_t) * x_t
    return mean, (1 - between) * (1 - alpha_bar_s) / (1 - alpha_bar_t)


def _check_shapes(x, like):
    if tuple(x.shape) != tuple(like.shape):
        raise ValueError(
            "pictures and noise must have the same shape; received "
            f"{tuple(x.shape)} and {tuple(like.shape)}."
        )


def _check_steps(num_timesteps):
    if isinstance(num_timesteps, bool) or not isinstance(num_timesteps, int) or num_timesteps < 2:
        raise ValueError(
            f"num_timesteps must be a whole number above 1; received {num_timesteps!r}."
        )
