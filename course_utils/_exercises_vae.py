"""Checks of the exercises of notebook 04."""

from collections.abc import Callable
from decimal import Decimal
from statistics import NormalDist

import numpy as np
from scipy.special import logsumexp

from course_utils._checking import Mistake, check, gives


def check_kl_divergence(student: Callable) -> bool:
    """Check `kl_in_numpy(z_mean, z_log_var)`: from a diagonal Gaussian to the standard normal.

    Args:
        student: takes two `(batch, latent_dim)` float arrays, returns `(batch,)`:
            ½ Σ_j (μ_j² + σ_j² - log σ_j² - 1).
    """

    def reference(z_mean, z_log_var):
        # E_q[log q - log p] by quadrature: the integrand is quadratic, so three nodes are exact
        nodes, weights = np.polynomial.hermite_e.hermegauss(3)
        nodes = nodes[:, None, None]
        log_ratio = ((z_mean + np.exp(z_log_var / 2) * nodes) ** 2 - nodes**2 - z_log_var) / 2
        return np.einsum("kbj,k->b", log_ratio, weights / weights.sum())

    def closed_form(z_mean, variance, log_variance):
        return 0.5 * (z_mean**2 + variance - log_variance - 1).sum(axis=-1)

    mean = np.array([[1, 0, -2], [0.5, -1, 0]], np.float32)
    log_var = np.array([[0.5, 2, 0.25], [1, 0.5, 1.5]], np.float32)
    narrow = np.array([[-1, -3], [0, -0.5], [0.5, -6]], np.float32)
    return check(
        student,
        "kl_in_numpy",
        reference,
        inputs=[(mean, log_var), (narrow[:, ::-1] + 1, narrow), (np.zeros((1, 2), "float32"),) * 2],
        mistakes=[
            gives(
                lambda m, v: reference(m, v) / m.shape[1],
                "it is averaged over the latent axes; the divergences of the axes add up.",
            ),
            gives(
                lambda m, v: (reference(m, v) / m.shape[1]).mean(),
                "it is averaged over the batch and over the latent axes: sum over the latent axes, "
                "and keep one number for each picture.",
            ),
            Mistake(
                lambda out, m, v: np.shape(out) == (),
                "this is one number for the whole batch; keep one for each picture, axis=-1.",
            ),
            Mistake(
                lambda out, m, v: np.shape(out) == m.shape,
                "this is one number for each latent axis; sum over them, axis=-1.",
            ),
            Mistake(
                lambda out, m, v: np.shape(out) == m.shape[1:],
                "the sum runs over the batch; it must run over the latent axes, axis=-1.",
            ),
            gives(lambda m, v: 2 * reference(m, v), "the half in front of the sum is missing."),
            gives(
                lambda m, v: -reference(m, v),
                "the sign is wrong: a divergence is never negative.",
            ),
            gives(
                lambda m, v: closed_form(m, v**2, np.log(v**2)),
                "z_log_var is taken for σ; it is log σ², so σ² is its exponential.",
            ),
            gives(
                lambda m, v: closed_form(m, v, np.log(v)),
                "z_log_var is taken for σ²; it is log σ², so σ² is its exponential.",
            ),
            gives(
                lambda m, v: closed_form(m, v**2, v),
                "σ² is not the square of z_log_var but its exponential.",
            ),
            gives(
                lambda m, v: closed_form(m, np.exp(2 * v), 2 * v),
                "z_log_var is taken for log σ; it is log σ².",
            ),
            gives(
                lambda m, v: closed_form(m, np.exp(2 * v), v),
                "exp(z_log_var) is σ² already; do not square it.",
            ),
            gives(
                lambda m, v: closed_form(m, np.exp(v / 2), v),
                "this is σ where σ² belongs: exp(z_log_var), without the half.",
            ),
            gives(
                lambda m, v: reference(m, v) + 0.5 * (m.shape[1] - 1),
                "the 1 stands inside the sum: subtract it for each latent axis.",
            ),
        ],
    )


def check_reparameterise(student: Callable) -> bool:
    """Check `reparameterise(z_mean, z_log_var, epsilon)`: z = μ + σ ε.

    Args:
        student: takes three `(batch, latent_dim)` float arrays, the last standard normal noise;
            returns `(batch, latent_dim)`.
    """

    def reference(z_mean, z_log_var, epsilon):  # any Gaussian: the mean plus a root of the
        roots = [np.linalg.cholesky(np.diag(np.exp(v))) for v in z_log_var]  # covariance times ε
        return np.stack([m + r @ e for m, r, e in zip(z_mean, roots, epsilon, strict=True)])

    def shared(out, m, v, e):
        some = [e[:1], e[:, :1], e[:1, :1], e.mean(), e.mean(axis=0), e.mean(axis=1)[:, None]]
        return any(
            np.allclose(out, reference(m, v, np.broadcast_to(one, e.shape)), atol=1e-5)
            for one in some
        )

    mean = np.array([[1, -2], [0, 3]], np.float32)
    log_var = np.array([[0.5, 1], [2, 0.25]], np.float32)
    noise = np.array([[1, -0.5], [0.25, 2]], np.float32)
    narrow = np.array([[-1, -3, 0], [-0.5, 0.5, -6]], np.float32)
    return check(
        student,
        "reparameterise",
        reference,
        inputs=[(mean, log_var, noise), (narrow + 2, narrow, narrow[::-1, ::-1] / 2)],
        mistakes=[
            Mistake(lambda out, m, v, e: out.shape != m.shape, "z has the shape of the mean."),
            gives(
                lambda m, v, e: m + v * e,
                "z_log_var is taken for the standard deviation; that is exp(z_log_var / 2).",
            ),
            gives(
                lambda m, v, e: m + np.exp(v) * e,
                "exp(z_log_var) is the variance; its square root scales the noise.",
            ),
            gives(
                lambda m, v, e: m + np.sqrt(v) * e,
                "the logarithm is not undone: the standard deviation is exp(z_log_var / 2).",
            ),
            gives(
                lambda m, v, e: m + np.exp(-v / 2) * e,
                "the sign in the exponent is wrong: a larger z_log_var means more noise.",
            ),
            gives(lambda m, v, e: m, "the noise is not used: this is always the mean."),
            gives(
                lambda m, v, e: (m + e) * np.exp(v / 2),
                "the mean is scaled as well; scale the noise alone and then add the mean.",
            ),
            Mistake(
                shared,
                "the same noise is used more than once: each number of z has its own epsilon.",
            ),
        ],
    )


def check_latent_grid(student: Callable) -> bool:
    """Check `quantile_grid(n)`: n by n points that the standard normal makes equally probable.

    Args:
        student: takes a positive int, returns `(n, n, 2)`: along each axis the Gaussian quantiles
            at (i + 0.5) / n, x growing to the right, y growing upwards (row 0 is the largest y).
    """

    def reference(n):
        quantile = NormalDist().inv_cdf
        return np.array(
            [
                [[quantile((j + 0.5) / n), quantile((n - i - 0.5) / n)] for j in range(n)]
                for i in range(n)
            ]
        )

    def probabilities(n):
        return np.vectorize(NormalDist().cdf)(reference(n))

    def is_grid(out, n):
        """Tell whether x grows along every row alike, and y falls along every column alike."""
        x, y = out[..., 0], out[..., 1]
        alike = np.allclose(x, x[:1]) and np.allclose(y, y[:, :1])
        return alike and (np.diff(x, axis=1) > 0).all() and (np.diff(y, axis=0) < 0).all()

    upside_down = "y grows downwards; row 0 of the grid is drawn on top and has the largest y."
    exchanged = "the axes are exchanged: x changes from column to column, y from row to row."
    no_quantiles = "these are probabilities; the points are the quantiles at them, norm.ppf(p)."
    return check(
        student,
        "quantile_grid",
        reference,
        inputs=[(2,), (5,), (1,)],
        mistakes=[
            Mistake(
                lambda out, n: np.isinf(out).any(),
                "the quantiles at probabilities 0 and 1 are infinite; the probabilities are "
                "(i + 0.5) / n.",
            ),
            Mistake(
                lambda out, n: out.shape == (n * n, 2),
                "the points are right in a row; give them the shape (n, n, 2).",
            ),
            Mistake(
                lambda out, n: out.shape == (2, n, n) and n != 2,
                "x and y come last: stack them with axis=-1.",
            ),
            Mistake(lambda out, n: out.shape != (n, n, 2), "a point has two numbers, x and y."),
            gives(probabilities, no_quantiles),
            gives(lambda n: probabilities(n)[::-1], no_quantiles),
            gives(lambda n: reference(n)[::-1], upside_down),
            gives(lambda n: reference(n)[:, ::-1], "x grows to the left; it must to the right."),
            gives(lambda n: reference(n)[..., ::-1], exchanged),
            gives(lambda n: reference(n).swapaxes(0, 1), exchanged),
            gives(lambda n: reference(n)[::-1].swapaxes(0, 1), exchanged),
            gives(
                lambda n: np.moveaxis(reference(n)[::-1], -1, 0),
                "x and y come last: stack them with axis=-1.",
            ),
            gives(
                lambda n: np.moveaxis(reference(n), -1, 0),
                "x and y come last: stack them with axis=-1.",
            ),
            Mistake(
                is_grid,
                "the axes are right, but not the values: take the quantiles at (i + 0.5) / n.",
            ),
            Mistake(lambda out, n: is_grid(out[::-1], n), upside_down),
        ],
    )


def check_importance_weighted_bound(student: Callable) -> bool:
    """Check `bound_from_log_weights(log_weights)`: mean over the batch of log mean exp over k.

    Args:
        student: takes `(batch, k)` log weights log p(x, z_i) - log q(z_i | x), which may lie far
            from zero, and returns a number.
    """

    def reference(log_weights):  # decimals have no smallest exponent to fall below
        def of_one(row):
            return (sum(Decimal(float(w)).exp() for w in row) / len(row)).ln()

        return float(np.mean([float(of_one(row)) for row in log_weights]))

    def log_k(log_weights):
        return np.log(log_weights.shape[1])

    small = np.array([[-1, 0, 2], [1, 0.5, -1]], np.float32)
    low = np.array([[-1000, -1001, -998], [-90, -91.5, -92]], np.float32)
    high = np.array([[800, 801], [1000, 997]], np.float32)
    return check(
        student,
        "bound_from_log_weights",
        reference,
        inputs=[(small,), (low,), (high,)],
        mistakes=[
            Mistake(
                lambda out, w: not np.isfinite(out).all(),
                "exp of a log weight overflows, or all of a row underflow to log(0): subtract each "
                "row's own maximum before exp, and add it again after log.",
            ),
            Mistake(
                lambda out, w: np.shape(out) == (len(w),),
                "this is one bound for each picture; return their mean.",
            ),
            gives(
                lambda w: w.mean(),
                "this is the mean of the logarithms, which is the ELBO; here the logarithm comes "
                "after the mean over k.",
            ),
            gives(
                lambda w: reference(w) + log_k(w),
                "log k is missing: the weights are averaged, not summed.",
            ),
            gives(
                lambda w: reference(w) + 2 * log_k(w), "subtract log k: dividing by k lowers it."
            ),
            gives(lambda w: -reference(w), "the sign is wrong: this is the negative bound."),
            gives(
                lambda w: reference(w) * len(w), "this is the sum over the batch, not the mean."
            ),
            gives(
                lambda w: logsumexp(w) - np.log(w.size),
                "the weights of different pictures are averaged; take the logarithm of each "
                "picture's mean first.",
            ),
            gives(
                lambda w: reference(w.T),
                "the axes are exchanged: the logarithm of the mean is over k, axis=1.",
            ),
            gives(
                lambda w: w.max(axis=1).mean(),
                "this is the largest weight of each row alone; all k count.",
            ),
            gives(
                lambda w: float(np.exp(np.float64(w)).mean()),
                "the logarithm is missing.",
            ),
            Mistake(
                lambda out, w: w.min() < -500 and float(out) > reference(w) + 1,
                "a small number inside the logarithm only hides that exp underflows: subtract each "
                "row's own maximum before exp, and add it again after log.",
            ),
        ],
    )  # fmt: skip
