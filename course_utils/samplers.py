"""Ways of walking through a latent space."""

import numpy as np
from scipy import stats


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
