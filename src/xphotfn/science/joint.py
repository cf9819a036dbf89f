"""One rate from several observations of one position: the joint on/off Poisson likelihood.

``N_i ~ Poisson(s E_i + alpha_i b_i)`` and ``B_i ~ Poisson(b_i)`` with one rate s and a free background b_i for each
observation. Observations lie along the last axis, positions along the others. ``exposure`` E_i is what turns the rate
into counts of the region: exposure times the enclosed fraction (times an energy conversion). An observation of
exposure 0 does not cover the position and is left out, whatever its other entries; a position without any
gives NaN. Counts add up without loss only if the background is known to scale alike in all observations, so sums of
counts are not used here.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science._numeric import (
    Floats,
    broadcast,
    require_above_zero,
    require_inside,
    require_not_negative,
    solve_increasing,
)
from xphotfn.science.gamma_mixture import (
    GammaMixture,
    convolve_logs,
    mixture_mode,
    mixture_quantile,
    mixture_shortest,
    normalised_mixture,
)
from xphotfn.science.intervals import ONE_SIGMA, Estimate, Interval
from xphotfn.science.wstat import half_slope, w_of_floats

__all__ = (
    "joint_estimate",
    "joint_interval",
    "joint_quantile",
    "joint_rate",
    "joint_significance",
    "joint_upper_limit",
    "joint_w_statistic",
)

ELEMENTS = 1_000_000  # terms of one chunk


def _measured(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike) -> tuple[Floats, ...]:
    """Return N, B, alpha and E at their common shape; observations of exposure 0 as N = B = 0, alpha = 1."""
    e = require_not_negative(exposure, "exposure")
    n, b, a, e = broadcast(*(np.asarray(v, dtype=np.float64) for v in (counts, background, alpha)), e)
    if e.ndim == 0:
        raise ShapeMismatch("observations lie along the last axis: give arrays, not single numbers")
    none = e == 0
    n, b, a = np.where(none, 0.0, n), np.where(none, 0.0, b), np.where(none, 1.0, a)
    return (
        require_not_negative(n, "counts"),
        require_not_negative(b, "background"),
        require_above_zero(a, "alpha"),
        e,
    )


def _over_positions(
    function: Callable[..., tuple[Floats, ...]], outputs: int, measured: tuple[Floats, ...], *more: Floats
) -> tuple[Floats, ...]:
    """Return ``function`` of arrays (positions, observations) and of ``more``, NaN where a position has no answer."""
    try:
        shape = np.broadcast_shapes(measured[0].shape[:-1], *(m.shape for m in more))
    except ValueError as error:
        raise ShapeMismatch(f"{measured[0].shape[:-1]} positions do not fit {more[0].shape} values") from error
    rows = [np.broadcast_to(m, (*shape, m.shape[-1])).reshape(-1, m.shape[-1]) for m in measured]
    flat = [np.broadcast_to(m, shape).reshape(-1) for m in more]
    good = np.any(rows[3] > 0, axis=1) & ~np.any([np.isnan(m) for m in flat], axis=0)
    good &= ~np.any([np.any(np.isnan(r), axis=1) for r in rows], axis=0)
    results = tuple(np.full(good.size, np.nan) for _ in range(outputs))
    if np.any(good):
        for result, found in zip(results, function(*(part[good] for part in rows + flat)), strict=True):
            result[good] = found
    return tuple(result.reshape(shape) for result in results)


def joint_w_statistic(
    counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike, rate: ArrayLike
) -> Floats:
    """Return the W statistic of all observations together at a common rate.

    Parameters
    ----------
    counts, background, alpha, exposure
        Arrays whose last axis numbers the observations; exposure holds the enclosed fraction.
    rate
        Rate s of each position, of the shape of the other axes; it may be negative.

    Returns
    -------
    ndarray of float64
        The sum of :func:`xphotfn.science.wstat.w_statistic` at ``mu_i = s E_i``.

    Raises
    ------
    InvalidRecord
        As :func:`xphotfn.science.wstat.w_statistic`; also if an exposure is negative.
    ShapeMismatch
        If the arrays do not broadcast, or have no axis of observations.

    References
    ----------
    As :func:`xphotfn.science.wstat.w_statistic`.

    Examples
    --------
    >>> joint_w_statistic([10, 20], [20, 40], 0.25, [1000, 2000], [0.0, 0.005]).round(6)
    array([8.770951, 0.      ])
    """

    def total(n: Floats, b: Floats, a: Floats, e: Floats, s: Floats) -> tuple[Floats]:
        return (np.sum(w_of_floats(n, b, a, s[:, None] * e), axis=1),)

    measured = _measured(counts, background, alpha, exposure)
    return _over_positions(total, 1, measured, np.asarray(rate, dtype=np.float64))[0]


def _free_rate(n: Floats, b: Floats, a: Floats, e: Floats) -> Floats:
    """Return the rate of the smallest W, negative for a deficit; it lies between those of the single observations."""
    single = np.where(e > 0, (n - a * b) / np.where(e > 0, e, 1.0), np.nan)
    low, high = np.nanmin(single, axis=1), np.nanmax(single, axis=1)
    weight = e * e / (n + a * a * b + 1)
    start = np.sum(weight * np.nan_to_num(single), axis=1) / np.sum(weight, axis=1)

    def slope(s: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        first, second = half_slope(n[which], b[which], a[which], s[:, None] * e[which])
        return np.sum(e[which] * first, axis=1), np.sum(e[which] ** 2 * second, axis=1)

    return solve_increasing(slope, low, high, start)


def joint_rate(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike) -> Floats:
    """Return the rate of largest likelihood, at least 0.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`joint_w_statistic`, with its errors.

    Returns
    -------
    ndarray of float64
        Rate in counts per unit of exposure, one for each position; NaN without an answer.

    Notes
    -----
    The root of ``dW/ds = 2 sum E_i (1 - N_i/(mu_i + alpha_i b_i))``, 0 for a deficit.

    References
    ----------
    As :func:`xphotfn.science.wstat.w_statistic`.

    Examples
    --------
    >>> joint_rate([12, 7, 25], [30, 25, 80], 0.1, [10000, 10000, 20000]).round(9)
    np.float64(0.000753073)
    """
    measured = _measured(counts, background, alpha, exposure)
    return _over_positions(lambda *d: (np.maximum(_free_rate(*d), 0.0),), 1, measured)[0]


def joint_significance(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike) -> Floats:
    """Return the signed likelihood-ratio significance of a common rate against none.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`joint_w_statistic`, with its errors.

    Returns
    -------
    ndarray of float64
        For one observation the Li & Ma significance; NaN without an answer.

    Notes
    -----
    ``sign(s) sqrt(W(0) - W(s))`` at the rate s of smallest W, negative rates allowed. It tests one rate for all; the
    sum of squared single significances would test a free rate for each.

    References
    ----------
    Wilks (1938), Ann. Math. Stat. 9, 60; Li & Ma (1983), ApJ 272, 317, equation 17.

    Examples
    --------
    >>> joint_significance([[12, 7, 25], [0, 2, 1]], [[30, 25, 80], [30, 25, 80]], 0.1, [10000, 10000, 20000]).round(4)
    array([ 6.0219, -3.1058])
    """

    def significance(n: Floats, b: Floats, a: Floats, e: Floats) -> tuple[Floats]:
        s = _free_rate(n, b, a, e)
        none, best = w_of_floats(n, b, a, np.zeros_like(e)), w_of_floats(n, b, a, s[:, None] * e)
        return (np.sign(s) * np.sqrt(np.maximum(np.sum(none, axis=1) - np.sum(best, axis=1), 0.0)),)

    return _over_positions(significance, 1, _measured(counts, background, alpha, exposure))[0]


def _posterior(n: Floats, b: Floats, alpha: Floats, e: Floats) -> GammaMixture:
    """Return the posterior of the rate: the product of polynomials of single observations, by convolution."""
    total = np.sum(e, axis=1)
    log_weight = np.zeros((n.shape[0], 1))
    for i in range(n.shape[1]):
        t = np.arange(int(np.max(n[:, i])) + 1)
        k = n[:, i, None] - t
        inside = k >= 0
        k = np.where(inside, k, 0.0)
        logs = special.gammaln(b[:, i, None] + k + 1) - special.gammaln(k + 1) - special.gammaln(t + 1)
        share = np.log(np.maximum(e[:, i], 1e-300) / total)
        logs = logs - k * np.log1p(1 / alpha[:, i, None]) + t * share[:, None]
        log_weight = convolve_logs(log_weight, np.where(inside, logs, -np.inf))
    log_weight += special.gammaln(np.arange(log_weight.shape[1]) + 1)
    return normalised_mixture(np.zeros(n.shape[0]), log_weight, total)


def _of_posterior(
    function: Callable[[GammaMixture, Floats], tuple[Floats, ...]],
    outputs: int,
    measured: tuple[Floats, ...],
    level: Floats,
) -> tuple[Floats, ...]:
    if np.any(measured[0] != np.floor(measured[0]), where=~np.isnan(measured[0])):
        raise InvalidRecord("the posterior is a sum over whole counts: counts must be whole numbers")

    def in_chunks(n: Floats, b: Floats, a: Floats, e: Floats, q: Floats) -> tuple[Floats, ...]:
        results = tuple(np.empty(n.shape[0]) for _ in range(outputs))
        terms = np.sum(n, axis=1) + 1
        order, begin = np.argsort(terms, kind="stable"), 0
        while begin < order.size:
            cost = terms[order[begin : begin + ELEMENTS]] * np.arange(1, min(ELEMENTS, order.size - begin) + 1)
            rows = order[begin : begin + max(1, int(np.count_nonzero(cost <= ELEMENTS)))]
            begin += rows.size
            mixture = _posterior(n[rows], b[rows], a[rows], e[rows])
            for whole, part in zip(results, function(mixture, q[rows]), strict=True):
                whole[rows] = part / mixture.rate
        return results

    return _over_positions(in_chunks, outputs, measured, level)


def joint_quantile(
    counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike, probability: ArrayLike
) -> Floats:
    """Return the rate below which the joint posterior holds ``probability``.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`joint_w_statistic`, with its errors; counts whole numbers.
    probability
        Between 0 and 1, of the shape of the positions; 0.5 is the median.

    Returns
    -------
    ndarray of float64
        Rate, above 0; NaN without an answer.

    Notes
    -----
    Flat priors on the rate and on every background. The likelihood of one observation is ``e^(-s E)`` times a
    polynomial in s; the product is one too, so the posterior is a mixture of Gamma(t + 1, sum of E), exact and
    without integration. The work grows with the product of the counts: meant for up to some thousands of counts.

    References
    ----------
    Loredo (1992), in Statistical Challenges in Modern Astronomy, 275 (one observation); the product is elementary.

    Examples
    --------
    >>> joint_quantile([12, 7, 25], [30, 25, 80], 0.1, [10000, 10000, 20000], 0.5).round(9)
    np.float64(0.000764223)
    """
    level = require_inside(probability, "probability")
    measured = _measured(counts, background, alpha, exposure)
    return _of_posterior(lambda mixture, q: (mixture_quantile(mixture, q),), 1, measured, level)[0]


def joint_upper_limit(
    counts: ArrayLike,
    background: ArrayLike,
    alpha: ArrayLike,
    exposure: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
) -> Floats:
    """Return the one-sided upper limit of the rate, given the counts of all observations.

    This is an upper limit: not the upper end of an interval, and not a detection limit.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`joint_quantile`, with its errors and notes.
    confidence
        Probability that the rate lies below the limit, one-sided.

    Returns
    -------
    ndarray of float64
        Rate; ``-ln(1 - CL)/sum(E)`` where no observation has a count, whatever the backgrounds.

    References
    ----------
    As :func:`joint_quantile`.

    Examples
    --------
    >>> joint_upper_limit([0, 0], [10, 0], [0.1, 0.5], [1000, 2000]).round(9)
    np.float64(0.000998577)
    """
    return joint_quantile(counts, background, alpha, exposure, require_inside(confidence, "confidence"))


def joint_interval(
    counts: ArrayLike,
    background: ArrayLike,
    alpha: ArrayLike,
    exposure: ArrayLike,
    *,
    confidence: ArrayLike = ONE_SIGMA,
    kind: Literal["shortest", "central"] = "shortest",
) -> Interval:
    """Return the Bayesian interval of the common rate.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`joint_quantile`, with its errors and notes.
    confidence
        Two-sided probability between 0 and 1.
    kind
        ``shortest`` (highest posterior density) or ``central``.

    Returns
    -------
    Interval

    References
    ----------
    As :func:`joint_quantile`.

    Examples
    --------
    >>> lower, upper = joint_interval([10, 20], [20, 40], 0.25, [1000, 2000], kind="central")
    >>> lower.round(6), upper.round(6)
    (np.float64(0.003272), np.float64(0.007168))
    """
    if kind not in ("shortest", "central"):
        raise InvalidRecord(f"no interval is called {kind!r}: use shortest or central")

    def ends(mixture: GammaMixture, level: Floats) -> tuple[Floats, ...]:
        if kind == "shortest":
            return mixture_shortest(mixture, level)
        return mixture_quantile(mixture, 0.5 * (1 - level)), mixture_quantile(mixture, 0.5 * (1 + level))

    level = require_inside(confidence, "confidence")
    return Interval(*_of_posterior(ends, 2, _measured(counts, background, alpha, exposure), level))


def joint_estimate(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike) -> Estimate:
    """Return the mode and the mean of the joint posterior of the rate.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`joint_quantile`, with its errors and notes.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> mode, mean = joint_estimate([10, 20], [20, 40], 0.25, [1000, 2000])
    >>> mean.round(9)
    np.float64(0.005221973)
    """
    measured = _measured(counts, background, alpha, exposure)
    both = _of_posterior(lambda mixture, _: (mixture_mode(mixture), mixture.mean), 2, measured, np.asarray(0.5))
    return Estimate(*both)
