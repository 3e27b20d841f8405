"""The forward process of diffusion: how much of a picture, and how much noise, at each time.

q(x_t | x_0) = N(√ᾱ_t x_0, (1 - ᾱ_t) I), where ᾱ_t is the product of α_s = 1 - β_s for s = 0...t.
Time steps are counted from 0, so x_t at t = 0 has been noised once; ᾱ before it is 1.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
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
        """Return the signal-to-noise ratio ᾱ_t / (1 - ᾱ_t)."""
        return self.alphas_cumprod / (1 - self.alphas_cumprod)

    @property
    def posterior_variance(self) -> np.ndarray:
        """β̃_t, the variance of q(x_{t-1} | x_t, x_0); Ho et al., Eq. 7."""
        return self.betas * (1 - self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)


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
    alpha_t, sigma_t = signal_and_noise(schedule, x_start, t, noise)
    return alpha_t * x_start + sigma_t * noise


def velocity(schedule: DiffusionSchedule, x_start, t, noise):
    """Return v = √ᾱ_t ε - √(1 - ᾱ_t) x_0, what a network can be asked to predict.

    (√ᾱ, √(1 - ᾱ)) is a point of the unit circle, x_t moves along it from picture to noise, and v
    is its speed. At low noise v is about the noise, at high noise about minus the picture: there
    is something to predict at both ends.

    Args, Returns, Raises: as `q_sample`.

    Source: Salimans and Ho 2022, arXiv:2202.00512, appendix D.
    """
    alpha_t, sigma_t = signal_and_noise(schedule, x_start, t, noise)
    return alpha_t * noise - sigma_t * x_start


def signal_and_noise(schedule: DiffusionSchedule, x, t, like=None):
    """Gather √ᾱ_t and √(1 - ᾱ_t) for each picture, shaped to multiply `x`.

    Args:
        schedule: of the forward process.
        x: `(batch, ...)`.
        t: `(batch,)` whole numbers in [0, num_timesteps).
        like: another array that must have the shape of `x`, or None.

    Returns:
        Two float32 tensors `(batch, 1, ...)`.

    Raises:
        ValueError: if the shapes of `x` and `like` differ.
    """
    from keras import ops

    if like is not None and tuple(x.shape) != tuple(like.shape):
        raise ValueError(
            "pictures and noise must have the same shape; received "
            f"{tuple(x.shape)} and {tuple(like.shape)}."
        )
    alphas_cumprod = schedule.alphas_cumprod
    shape = (-1, *[1] * (len(x.shape) - 1))
    return tuple(
        ops.reshape(ops.take(ops.convert_to_tensor(np.sqrt(row), "float32"), t), shape)
        for row in (alphas_cumprod, 1 - alphas_cumprod)
    )


def _check_steps(num_timesteps):
    if isinstance(num_timesteps, bool) or not isinstance(num_timesteps, int) or num_timesteps < 2:
        raise ValueError(
            f"num_timesteps must be a whole number above 1; received {num_timesteps!r}."
        )
