"""One rate from several observations of one position: rate, intervals, limits and significance.

``N_i ~ Poisson(s E_i + alpha_i b_i)`` and ``B_i ~ Poisson(b_i)`` with one rate s and a background of its own in each
observation. Observations lie along the last axis, positions along the others. ``exposure`` E_i is what turns the rate
into counts of the region: exposure times the enclosed fraction (times an energy conversion). An observation of
exposure 0 does not cover the position and is left out, whatever its other entries; a position without any
gives NaN.

Rates, intervals and limits are those of the one on/off measurement that the observations are worth
(:func:`~xphotfn.science.joint.one_measurement.equivalent_on_off`); the significance is a conditional test, in which the
backgrounds drop out. Both are what they are for a single map where there is a single one, and cost no more for many
counts. How often they hold is in the documentation, under statistics.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from xphotfn.errors import InvalidRecord
from xphotfn.science._numeric import Floats, require_inside
from xphotfn.science.consistency import joint_consistency
from xphotfn.science.gamma_mixture import GammaMixture, mixture_mode, mixture_quantile, mixture_shortest
from xphotfn.science.intervals import ONE_SIGMA, Estimate, Interval
from xphotfn.science.joint.conditional import joint_method, significance_of
from xphotfn.science.joint.one_measurement import OnOff, equivalent_on_off, over_positions, require_joint
from xphotfn.science.on_off import of_on_off
from xphotfn.science.wstat import w_of_floats

__all__ = (
    "interval_of",
    "joint_consistency",
    "joint_estimate",
    "joint_interval",
    "joint_quantile",
    "joint_rate",
    "joint_significance",
    "joint_upper_limit",
    "joint_w_statistic",
    "quantile_of",
)


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

    Notes
    -----
    For fits of models with many counts in each observation. Its minimum is biased at few counts, the more the more
    observations there are; that of :func:`joint_rate` does not grow with their number.

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

    measured = require_joint(counts, background, alpha, exposure)
    return over_positions(total, 1, measured, np.asarray(rate, dtype=np.float64))[0]


def joint_rate(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike) -> Floats:
    """Return the common rate, negative for a deficit.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`~xphotfn.science.joint.one_measurement.equivalent_on_off`, with its errors.

    Returns
    -------
    ndarray of float64
        Rate in counts per unit of exposure, one for each position; NaN without an answer.

    Notes
    -----
    ``sum w_i (N_i - alpha_i B_i)/sum w_i E_i``. Unbiased where observations are alike. Where their backgrounds differ
    much the weights, which come from the same counts, bias its mean upward by up to some 0.2 of its scatter at few
    counts (a table in docs/statistics.md): averages and stacks over positions should weight the rates of the single
    observations by their exposures, ``sum(N_i - alpha_i B_i)/sum E_i``.

    References
    ----------
    As :func:`~xphotfn.science.joint.one_measurement.equivalent_on_off`.

    Examples
    --------
    >>> joint_rate([[12, 7, 25], [0, 2, 1]], [[30, 25, 80], [30, 25, 80]], 0.1, [10000, 10000, 20000]).round(9)
    array([ 0.0007625, -0.0002625])
    """
    return equivalent_on_off(counts, background, alpha, exposure).rate


def joint_significance(
    counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike, *, method: str = "mid-p"
) -> Floats:
    """Return the signed significance of a common rate against none.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`~xphotfn.science.joint.one_measurement.equivalent_on_off`, with its errors.
    method
        ``mid-p``, ``exact`` or ``li-ma``, as for one observation.

    Returns
    -------
    ndarray of float64
        For one observation, and for observations of one alpha whose totals agree, that of the sums; NaN without an
        answer.

    Raises
    ------
    InvalidRecord
        Also if there is no such method.

    Notes
    -----
    Given the totals ``N_i + B_i`` and no source, N_i is binomial with ``alpha_i/(1 + alpha_i)``. The test is how far
    ``sum w_i N_i`` lies in its tail; the weights are functions of the totals, those of the best test of a faint source
    with the backgrounds that the totals say. Where weights or alphas differ, ``li-ma`` is the signed root r of the
    likelihood ratio of the tilted distribution, ``mid-p`` its correction ``r + ln(u/r)/r``, and ``exact`` adds half
    the probability of the counts themselves. It tests one rate for all; the sum of squared single significances would
    test a free rate for each.

    References
    ----------
    Przyborowski & Wilenski (1940), Biometrika 31, 313 (the conditional test); Barndorff-Nielsen (1986), Biometrika 73,
    307, and Daniels (1987), Int. Stat. Rev. 55, 37 (the correction); Li & Ma (1983), ApJ 272, 317.

    Examples
    --------
    >>> joint_significance([[12, 7, 25], [0, 2, 1]], [[30, 25, 80], [30, 25, 80]], 0.1, [10000, 10000, 20000]).round(4)
    array([ 6.0912, -3.2259])
    """
    chosen = joint_method(method)
    measured = require_joint(counts, background, alpha, exposure)
    return over_positions(lambda n, b, a, e: (significance_of(n, b, a, e, chosen),), 1, measured)[0]


def _of_posterior(
    function: Callable[[GammaMixture, Floats], tuple[Floats, ...]], outputs: int, one: OnOff, level: Floats
) -> tuple[Floats, ...]:
    """Return what ``function(mixture, level)`` gives of the posterior of a measurement, as rates."""
    n, b, alpha, exposure = one
    measured = n, b, alpha, np.ones_like(n), np.zeros_like(n)
    return tuple(np.asarray(part / exposure) for part in of_on_off(function, outputs, measured, level))


def quantile_of(one: OnOff, probability: Floats) -> Floats:
    """Return the rate below which the posterior of a measurement holds a probability."""
    return _of_posterior(lambda mixture, q: (mixture_quantile(mixture, q),), 1, one, probability)[0]


def interval_of(one: OnOff, confidence: Floats) -> Interval:
    """Return the shortest interval of the rate of a measurement; it holds the rate, or 0 where that is negative.

    Interpolation between whole counts alone could leave the rate outside by a hair.
    """
    low, high = _of_posterior(mixture_shortest, 2, one, confidence)
    rate = np.maximum(one.rate, 0.0)
    return Interval(np.minimum(low, rate), np.maximum(high, rate))


def joint_quantile(
    counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike, probability: ArrayLike
) -> Floats:
    """Return the rate below which the joint posterior holds ``probability``.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`~xphotfn.science.joint.one_measurement.equivalent_on_off`, with its errors.
    probability
        Between 0 and 1, of the shape of the positions; 0.5 is the median.

    Returns
    -------
    ndarray of float64
        Rate, above 0; NaN without an answer.

    Notes
    -----
    That of :func:`~xphotfn.science.intervals.on_off_quantile` for the equivalent measurement: flat priors on the rate
    and on one background, not on each.

    References
    ----------
    As :func:`~xphotfn.science.intervals.on_off_interval`.

    Examples
    --------
    >>> joint_quantile([2] * 18, [0] * 18, 0.84, [1 / 18] * 18, 0.5).round(4)
    np.float64(35.8382)
    """
    level = require_inside(probability, "probability")
    return quantile_of(equivalent_on_off(counts, background, alpha, exposure), level)


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
        Rate; ``-ln(1 - CL)/sum(E)`` where no observation has a count and the backgrounds agree.

    References
    ----------
    As :func:`joint_quantile`.

    Examples
    --------
    >>> joint_upper_limit([0, 0], [10, 17], 0.1, [1000, 2000]).round(9)
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

    References
    ----------
    As :func:`joint_quantile`.

    Examples
    --------
    >>> lower, upper = joint_interval([2] * 18, [0] * 18, 0.84, [1 / 18] * 18)
    >>> lower.round(2), upper.round(2)
    (np.float64(29.44), np.float64(41.59))
    """
    if kind not in ("shortest", "central"):
        raise InvalidRecord(f"no interval is called {kind!r}: use shortest or central")
    level = require_inside(confidence, "confidence")
    one = equivalent_on_off(counts, background, alpha, exposure)
    if kind == "central":
        return Interval(quantile_of(one, 0.5 * (1 - level)), quantile_of(one, 0.5 * (1 + level)))
    return interval_of(one, level)


def joint_estimate(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike) -> Estimate:
    """Return the mode and the mean of the joint posterior of the rate.

    Parameters
    ----------
    counts, background, alpha, exposure
        As in :func:`joint_quantile`, with its errors and notes.

    Examples
    --------
    >>> mode, mean = joint_estimate([10, 20], [20, 40], 0.25, [1000, 2000])
    >>> mean.round(9)
    np.float64(0.005256728)
    """
    one = equivalent_on_off(counts, background, alpha, exposure)
    return Estimate(*_of_posterior(lambda mixture, _: (mixture_mode(mixture), mixture.mean), 2, one, np.asarray(0.5)))
