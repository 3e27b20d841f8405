"""Ways of walking through a latent space."""

import numpy as np
from scipy import special, stats


def latent_grid(n: int) -> np.ndarray:
    """Return n × n points of the plane, each of which stands for an equal share of N(0, 1)².

    Along each axis the points are the quantiles of the standard normal at (i + ½) / n, so that
    they are dense where codes are and sparse where there are few. A grid of equal steps would
    spend most of its points on codes that hardly occur.

    Args:
        n: points along each axis.

    Returns:
        `(n, n, 2)` float32: row 0 has the largest y, column 0 the smallest x, as a map is drawn.

    Raises:
        ValueError: if `n` is not a positive whole number.

    Source: Kingma and Welling 2014, arXiv:1312.6114, appendix A.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n must be a positive whole number; received {n!r}.")
    quantiles = stats.norm.ppf((np.arange(n) + 0.5) / n)
    x, y = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([x, y], axis=-1).astype(np.float32)


def slerp(start: np.ndarray, end: np.ndarray, t) -> np.ndarray:
    """Walk from one code to another along the sphere: spherical linear interpolation.

    sin((1 - t) θ) / sin θ · a + sin(t θ) / sin θ · b, with θ the angle between a and b. Codes of a
    normal distribution in many dimensions lie close to a sphere, and the straight way between two
    of them leads through its inside, where there are none.

    Args:
        start: `(..., latent_dim)`, a.
        end: the same shape, b; not opposite to a, for then there is no shortest way.
        t: from 0 (a) to 1 (b); a number, or an array `(n,)`, which adds an axis at the front.

    Returns:
        `(..., latent_dim)` or `(n, ..., latent_dim)` float32.

    Raises:
        ValueError: if the shapes differ, a code has no length, or the two are opposite.

    Source: Shoemake 1985, doi:10.1145/325165.325242; for latent codes White 2016,
    arXiv:1609.04468.
    """
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    if a.shape != b.shape or not a.ndim:
        raise ValueError(f"slerp needs two codes of the same shape; received {a.shape}, {b.shape}.")
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    if not np.all(lengths > 0):
        raise ValueError("slerp needs codes of some length; received one of zeros.")
    cosine = np.clip(np.sum(a * b, axis=-1) / lengths, -1, 1)[..., None]
    if np.any(cosine < -1 + 1e-12):
        raise ValueError(
            "slerp needs codes that are not opposite: no way between them is shortest."
        )
    angle = np.arccos(cosine)
    t = np.asarray(t, np.float64)
    t = t.reshape(t.shape + (1,) * a.ndim) if t.ndim else t
    near = angle < 1e-6  # sin θ is θ there, and the arc a straight line
    sine = np.where(near, 1, np.sin(angle))
    first = np.where(near, 1 - t, np.sin((1 - t) * angle) / sine)
    second = np.where(near, t, np.sin(t * angle) / sine)
    return (first * a + second * b).astype(np.float32)


def truncate(z: np.ndarray, threshold: float | None) -> np.ndarray:
    """Turn standard normal numbers into ones of a normal distribution without its tails.

    Each number is replaced by the same quantile of N(0, 1) under the condition |z| < τ. So the
    result has exactly the truncated distribution, keeps the order of the numbers, and changes
    smoothly with τ: the same code, drawn towards the middle.

    Args:
        z: standard normal numbers, of any shape.
        threshold: τ, positive; None or infinity leaves them as they are.

    Returns:
        The same shape, float32, all within (-τ, τ).

    Raises:
        ValueError: if the threshold is not positive.

    Source: Brock et al. 2019, arXiv:1809.11096, §3.1, who draw again instead.
    """
    z = np.asarray(z, np.float64)
    if threshold is None or threshold == np.inf:
        return z.astype(np.float32)
    if not threshold > 0:
        raise ValueError(f"threshold must be positive; received {threshold!r}.")
    low = special.ndtr(-threshold)
    return special.ndtri(low + (1 - 2 * low) * special.ndtr(z)).astype(np.float32)


def latent_slice(centre: np.ndarray, places: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the codes of a plane that is laid through a code and bent onto its sphere.

    The plane is spanned by two random directions, at right angles to each other and to the centre.
    One unit of it is as long as the centre, and every point is drawn back to that length, so that
    all codes of the slice are as usual as the centre is.

    Args:
        centre: `(latent_dim,)`, the code at (0, 0); at least three numbers.
        places: `(..., 2)`, where on the plane.
        seed: of the two directions.

    Returns:
        `(..., latent_dim)` float32, all of the length of the centre.

    Raises:
        ValueError: if a shape does not fit or the centre is zero.
    """
    centre, places = np.asarray(centre, np.float64), np.asarray(places, np.float64)
    if centre.ndim != 1 or len(centre) < 3 or places.shape[-1:] != (2,):
        raise ValueError(
            "latent_slice needs a centre (latent_dim,) of three numbers or more, and places "
            f"(..., 2); received {centre.shape} and {places.shape}."
        )
    length = np.linalg.norm(centre)
    if not length > 0:
        raise ValueError("latent_slice needs a centre of some length; received zeros.")
    directions = np.random.default_rng(seed).normal(size=(len(centre), 2))
    axes = np.linalg.qr(np.column_stack([centre, directions]))[0][:, 1:]  # (latent_dim, 2)
    points = centre / length + places @ axes.T
    return (length * points / np.linalg.norm(points, axis=-1, keepdims=True)).astype(np.float32)
