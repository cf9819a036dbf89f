"""The W statistic of one on/off measurement: the Poisson likelihood at the best background."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.science._numeric import Floats, deviance, over_valid, require_above_zero, require_not_negative

__all__ = ("fitted_background", "w_of_floats", "w_statistic")


def w_statistic(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, source: ArrayLike) -> Floats:
    """Return the W statistic: minus twice the log likelihood ratio, maximised over the background.

    Parameters
    ----------
    counts, background
        Counts N and B of the source and background regions.
    alpha
        Expected ratio of background counts, source region over background region, above 0.
    source
        Source counts mu expected in the source region; negative for a deficit.

    Returns
    -------
    ndarray of float64
        W, 0 where the model meets N and B; NaN where an argument is NaN.

    Raises
    ------
    InvalidRecord
        If counts are negative or infinite, or alpha is not finite and above 0.

    Notes
    -----
    ``W = 2 [D(N; mu + alpha b) + D(B; b)]``, ``D(x; m) = x ln(x/m) + m - x``, at the b that makes it smallest, the
    larger root of ``alpha (1 + alpha) b^2 - C b - B mu = 0``, ``C = alpha (N + B) - (1 + alpha) mu``. Constants as in
    XSPEC. The square root of W(0) is the Li & Ma significance.

    References
    ----------
    XSPEC manual, appendix on statistics, W statistic; Li & Ma (1983), ApJ 272, 317.

    Examples
    --------
    >>> w_statistic(5, 1, 1, [0, 3, 4]).round(6)
    array([2.911032, 0.178305, 0.      ])
    """
    mu = np.asarray(source, dtype=np.float64)
    if np.any(np.isinf(mu)):
        raise InvalidRecord("the source counts expected must be finite")
    measured = (
        require_not_negative(counts, "counts"),
        require_not_negative(background, "background"),
        require_above_zero(alpha, "alpha"),
    )
    return over_valid(lambda *flat: (w_of_floats(*flat),), 1, *measured, mu)[0]


def fitted_background(n: Floats, b: Floats, alpha: Floats, mu: Floats) -> Floats:
    """Return the background counts that fit best, in a form without cancellation."""
    c = alpha * (n + b) - (1 + alpha) * mu
    quadratic = alpha * (1 + alpha)
    root = np.sqrt(np.maximum(c * c + 4 * quadratic * b * mu, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        fitted = np.where(c > 0, (c + root) / (2 * quadratic), np.where(root > c, 2 * b * mu / (root - c), 0.0))
    return np.where(_without_source_region(n, b, alpha, mu), -mu / alpha, fitted)


def _without_source_region(n: Floats, b: Floats, alpha: Floats, mu: Floats) -> NDArray[np.bool_]:
    """Return where N = 0 and mu is so negative that the source region is expected to hold nothing."""
    return np.asarray((n == 0) & (mu < 0) & (alpha * b + (1 + alpha) * mu <= 0))


def w_of_floats(n: Floats, b: Floats, alpha: Floats, mu: Floats) -> Floats:
    """Return W of arrays that are known to be in order."""
    fitted = fitted_background(n, b, alpha, mu)
    on = np.where(_without_source_region(n, b, alpha, mu), 0.0, np.maximum(mu + alpha * fitted, 0.0))
    return 2 * (deviance(n, on) + deviance(b, fitted))
