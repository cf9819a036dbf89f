"""Sources whose light reaches into each other's circles: a linear system of their rates, solved together.

The counts of circle i are ``N_i ~ Poisson(sum_j R_ij s_j + b_i)`` and those of its ring
``B_i ~ Poisson(sum_j G_ij s_j + b_i/alpha_i)``: as many equations as rates. The solution is a weighted sum of counts,
so for each source all others and the background are what a ring is for a source that stands alone.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.html import record_html
from xphotfn.science._numeric import Floats, require_above_zero, require_not_negative

__all__ = ("CrowdedRates", "crowded_rates")

LEAST_DISPERSION = 0.05
SAME = 1e-9  # relative difference of counts that is rounding
WORST = 50.0  # condition of a system: two circles that hold 96 % of each other's light


class CrowdedRates(NamedTuple):
    """Rates of sources that were solved together, each with the on/off measurement that it is worth.

    ``rate`` is ``(N - alpha background)/exposure``, signed; ``background`` and ``alpha`` stand for the ring and the
    other sources together, with their variance, times ``dispersion`` where circles overlap; all of shape (n,).
    """

    rate: Floats
    background: Floats
    alpha: Floats
    exposure: Floats
    dispersion: Floats

    def _repr_html_(self) -> str:
        return record_html(self)


def crowded_rates(
    counts: ArrayLike,
    response: ArrayLike,
    *,
    background: ArrayLike,
    alpha: ArrayLike,
    ring_response: ArrayLike | None = None,
    in_both: ArrayLike | None = None,
) -> CrowdedRates:
    """Return the rates of sources from counts in circles that hold the light of several of them.

    Parameters
    ----------
    counts
        Counts N of the circles, shape (n,).
    response
        Counts that a unit of the rate of source j gives in circle i, ``R[i, j]``: exposure times the part of its light;
        shape (n, n).
    background, alpha
        Counts B of the rings and the ratio of the background expected in circle and ring, shape (n,).
    ring_response
        The same as ``response`` for the rings; default none.
    in_both
        Counts that circles i and k share, shape (n, n), symmetric, where circles overlap; the diagonal does not matter.

    Returns
    -------
    CrowdedRates
        ``on_off_interval(counts, background, alpha)`` and :func:`upper_limit_on_off` of it over ``exposure`` are
        interval and limit of each rate where circles do not overlap (``dispersion`` 1).

    Raises
    ------
    InvalidRecord
        If counts are negative, a ratio is not above 0, a matrix is not finite, a circle holds nothing of its own
        source, more counts are shared than there are, or the circles do not tell the sources apart.
    ShapeMismatch
        If the shapes do not fit.

    Notes
    -----
    With ``M = R - alpha G`` and ``W = M^-1``: ``s = W (N - alpha B)``. In units of ``exposure = 1/W_ii`` counts of
    source i, the other circles and all rings have the sum ``T = alpha_eff B_eff`` with the variance
    ``V = alpha_eff^2 B_eff`` of Poisson counts. Counts that circles share lessen V; where too little is left for the
    ring's own alpha, the dispersion d is below 1: N/d and B_eff/d single counts over the exposure/d have the rate and
    its variance. The solution is that of maximum likelihood, where no rate is negative.

    References
    ----------
    Primini & Kashyap (2014), ApJ 796, 24, equations 3 to 6.

    Examples
    --------
    >>> found = crowded_rates([1000, 300], [[1e4, 2e3], [2e3, 1e4]], background=[0, 0], alpha=[0.1, 0.1])
    >>> found.rate.round(5).tolist()
    [0.09792, 0.01042]
    """
    n, b = require_not_negative(counts, "counts"), require_not_negative(background, "background")
    ratio = require_above_zero(alpha, "alpha")
    circle = require_not_negative(response, "response")
    ring = np.zeros_like(circle) if ring_response is None else require_not_negative(ring_response, "ring_response")
    shared = np.zeros_like(circle) if in_both is None else require_not_negative(in_both, "in_both")
    square = {circle.shape, ring.shape, shared.shape} == {n.shape * 2}
    if n.ndim != 1 or not b.shape == ratio.shape == n.shape or not square:
        raise ShapeMismatch(f"{n.size} circles need as many rings and ratios, and square matrices, got {circle.shape}")
    for name, values in (("response", circle), ("ring_response", ring), ("in_both", shared), ("alpha", ratio)):
        if not np.all(np.isfinite(values)):
            raise InvalidRecord(f"{name} must be finite and not masked: leave out circles that the map does not see")
    _require_own_light(circle)
    _require_shared(n, shared)
    system = circle - ratio[:, None] * ring
    if n.size and not np.linalg.cond(system / np.max(np.abs(system), axis=0)) < WORST:
        raise InvalidRecord(
            "the circles do not tell the sources apart: two lie at one place, or too close for circles so wide; give "
            "each source once, or smaller radii"
        )
    inverse = np.asarray(np.linalg.inv(system), dtype=np.float64)
    if not np.all(np.diag(inverse) > 0):
        raise InvalidRecord(
            "a circle holds less of its own source than of others, or its ring more than the circle: give the rows of "
            "response in the order of its columns"
        )
    return _as_on_off(n, b, ratio, inverse, _covariance(n, shared))


def _require_own_light(circle: Floats) -> None:
    for number in np.flatnonzero(~(np.diag(circle) > 0))[:1]:
        raise InvalidRecord(
            f"response must be above 0 on its diagonal, got {circle[number, number]:g} for circle {number}: give the "
            "rows in the order of the columns, and leave out circles without exposure"
        )


def _require_shared(n: Floats, shared: Floats) -> None:
    apart = ~np.eye(n.size, dtype=bool)
    if not np.allclose(shared, shared.T, rtol=SAME, atol=0):
        raise InvalidRecord("in_both must be symmetric: give in_both[i, k] and in_both[k, i] the same counts")
    least = np.minimum(n[:, None], n)
    for i, k in np.argwhere(apart & (shared > least * (1 + SAME)))[:1]:
        raise InvalidRecord(
            f"in_both says that circles {i} and {k} share {shared[i, k]:g} counts, of which one has only "
            f"{least[i, k]:g}: give the counts that lie in both"
        )


def _covariance(n: Floats, shared: Floats) -> NDArray[np.float64]:
    result = np.array(shared)
    np.fill_diagonal(result, n)
    return result


def _as_on_off(n: Floats, b: Floats, alpha: Floats, inverse: Floats, covariance: Floats) -> CrowdedRates:
    """Return the solution, and for each source a background: sum and variance of all that is not its own."""
    exposure = 1 / np.diag(inverse)
    share = inverse * exposure[:, None]  # 1 on the diagonal, mostly below 0 beside it
    rate = inverse @ (n - alpha * b)
    total = n - rate * exposure
    variance = np.einsum("ik,kl,il->i", share, covariance, share) - n + share**2 @ (alpha**2 * b)
    sure = np.maximum(total, 0.0)
    ratio = np.maximum(alpha, variance / np.where(sure > 0, sure, np.inf))
    dispersion = np.where(n + ratio * sure > 0, (n + variance) / np.maximum(n + ratio * sure, 1e-300), 1.0)
    return CrowdedRates(rate, sure / ratio, ratio, exposure, np.clip(dispersion, LEAST_DISPERSION, 1.0))
