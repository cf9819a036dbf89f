"""Two-sided intervals of Poisson counts: Garwood, Gehrels, Kraft-Burrows-Nousek, and on/off with its own background.

Each returns an :class:`Interval`; its ``upper`` is an *upper end*, not an upper limit
(:mod:`xphotfn.science.limits`). Confidences are two-sided probabilities between 0 and 1; the default is that of
+-1 sigma, 0.6827. Arguments broadcast; NaN in counts, background or ratio gives NaN.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.science._numeric import (
    Floats,
    over_valid,
    require_inside,
    require_not_negative,
    solve_increasing,
)
from xphotfn.science.gamma_mixture import (
    GammaMixture,
    mixture_mode,
    mixture_quantile,
    mixture_shortest,
)
from xphotfn.science.limits import upper_limit
from xphotfn.science.on_off import of_on_off, require_on_off

__all__ = (
    "ONE_SIGMA",
    "Estimate",
    "Interval",
    "garwood_interval",
    "gehrels_interval",
    "kraft_interval",
    "on_off_estimate",
    "on_off_interval",
    "on_off_quantile",
)

ONE_SIGMA = 0.6826894921370859  # erf(1/sqrt 2)
Fractions = tuple[ArrayLike, ArrayLike]


class Interval(NamedTuple):
    """Lower and upper end of a two-sided interval, arrays of float64."""

    lower: Floats
    upper: Floats

    def _repr_html_(self) -> str:
        return record_html(self)


class Estimate(NamedTuple):
    """Mode and mean of a posterior, arrays of float64."""

    mode: Floats
    mean: Floats


def garwood_interval(counts: ArrayLike, *, confidence: ArrayLike = ONE_SIGMA) -> Interval:
    """Return the exact central interval of a Poisson mean.

    Parameters
    ----------
    counts
        Counts N.
    confidence
        Two-sided probability between 0 and 1.

    Returns
    -------
    Interval
        Lower end 0 for N = 0; NaN where ``counts`` is NaN.

    Raises
    ------
    InvalidRecord
        If counts are negative or infinite, or the confidence does not lie between 0 and 1.

    Notes
    -----
    ``P(X >= N | lower) = P(X <= N | upper) = (1 - CL)/2``: ``lower = P^-1(N, (1 - CL)/2)``,
    ``upper = Q^-1(N + 1, (1 - CL)/2)`` with P and Q the incomplete gamma functions. Coverage is never below nominal.
    No background: for a net signal use :func:`kraft_interval` or :func:`on_off_interval`.

    References
    ----------
    Garwood (1936), Biometrika 28, 437; tables in Gehrels (1986), ApJ 303, 336.

    Examples
    --------
    >>> lower, upper = garwood_interval([0, 1, 10])
    >>> lower.round(6), upper.round(6)
    (array([0.      , 0.172754, 6.891306]), array([ 1.841022,  3.299527, 14.26695 ]))
    """
    tail = 0.5 * (1 - require_inside(confidence, "confidence"))

    def ends(n: Floats, tail: Floats) -> tuple[Floats, Floats]:
        return np.where(n > 0, special.gammaincinv(np.maximum(n, 1e-9), tail), 0.0), special.gammainccinv(n + 1, tail)

    return Interval(*over_valid(ends, 2, require_not_negative(counts, "counts"), tail))


def gehrels_interval(counts: ArrayLike, *, form: Literal["simple", "cubic"] = "simple") -> Interval:
    """Return Gehrels' approximations of the 1-sigma ends, for comparison with values made with them.

    Parameters
    ----------
    counts
        Counts N.
    form
        ``simple``: upper end ``N + sqrt(N + 3/4) + 1`` (equation 7). ``cubic``:
        ``(N + 1) [1 - 1/(9 (N + 1)) + 1/(3 sqrt(N + 1))]^3`` (equation 9), good to some per cent at N = 0.

    Returns
    -------
    Interval
        Lower end ``N - sqrt(N - 1/4)`` (equation 12), 0 for N = 0.

    Raises
    ------
    InvalidRecord
        If counts are negative or infinite, or there is no such form.

    Notes
    -----
    Each end is a one-sided 0.8413 bound, so the pair stands for 0.6827. :func:`garwood_interval` is what they
    approximate, and as fast.

    References
    ----------
    Gehrels (1986), ApJ 303, 336, equations 7, 9 and 12.

    Examples
    --------
    >>> lower, upper = gehrels_interval([0, 1, 100])
    >>> lower.round(4), upper.round(4)
    (array([ 0.    ,  0.134 , 90.0125]), array([  1.866 ,   3.3229, 111.0374]))
    """
    if form not in ("simple", "cubic"):
        raise InvalidRecord(f"no approximation of Gehrels is called {form!r}: use simple or cubic")
    n = require_not_negative(counts, "counts")
    lower = np.where(n > 0, n - np.sqrt(np.maximum(n - 0.25, 0.0)), n)
    if form == "simple":
        return Interval(lower, n + np.sqrt(n + 0.75) + 1)
    m = n + 1
    return Interval(lower, m * (1 - 1 / (9 * m) + 1 / (3 * np.sqrt(m))) ** 3)


def kraft_interval(counts: ArrayLike, background: ArrayLike, *, confidence: ArrayLike = ONE_SIGMA) -> Interval:
    """Return the Kraft-Burrows-Nousek interval: the shortest one, over a known background.

    Parameters
    ----------
    counts
        Counts N in the source region.
    background
        Background B expected there, without error; 0 is allowed, and so is B far above N.
    confidence
        Two-sided probability between 0 and 1.

    Returns
    -------
    Interval
        Of the source counts S >= 0. NaN where ``counts`` or ``background`` is NaN.

    Raises
    ------
    InvalidRecord
        If counts or background are negative or infinite, or the confidence does not lie between 0 and 1.

    Notes
    -----
    Posterior ``f(S) ~ exp(-(S + B)) (S + B)^N`` on S >= 0; the interval holds ``confidence`` of it with
    ``f(lower) = f(upper)``, or lower = 0. With ``y = S + B``: where ``f(0)`` is not below ``f`` at the one-sided limit
    of the same confidence, that limit is the upper end; otherwise the upper end is the root of
    ``Q(N+1, y_lo) - Q(N+1, y_hi) = CL Q(N+1, B)``, in which y_lo is the lower point of equal density. For N = 0 it is
    ``[0, -ln(1 - CL)]`` at any B. Good to 1e-9 for N and B up to 1e5.

    References
    ----------
    Kraft, Burrows & Nousek (1991), ApJ 374, 344, equations 7 to 9.

    Examples
    --------
    >>> lower, upper = kraft_interval([0, 5, 6], [3, 2.5, 2], confidence=[0.95, 0.99, 0.9])
    >>> lower.round(3), upper.round(3)
    (array([0.   , 0.   , 0.813]), array([ 2.996, 10.674,  8.988]))
    """
    arrays = require_not_negative(counts, "counts"), require_not_negative(background, "background")
    return Interval(*over_valid(_kraft, 2, *arrays, require_inside(confidence, "confidence")))


def _kraft(n: Floats, b: Floats, confidence: Floats) -> tuple[Floats, Floats]:
    lower, upper = np.zeros_like(n), np.array(upper_limit(n, b, confidence=confidence))
    inner = (
        (n > 0) & (b < n) & (n * np.log1p(upper / np.maximum(b, 1e-300)) > upper)
    )  # the density at the limit exceeds that at S = 0
    if np.any(inner):
        n, b, confidence = n[inner], b[inner], confidence[inner]
        low, high = _level_pair(n, b, confidence, np.maximum(upper[inner] + b, n))
        lower[inner], upper[inner] = np.maximum(low - b, 0.0), high - b
    return lower, upper


def _level_pair(n: Floats, b: Floats, confidence: Floats, least: Floats) -> tuple[Floats, Floats]:
    """Return the two y of equal density that hold the confidence; the upper one is at least ``least``."""
    aim = confidence * special.gammaincc(n + 1, b)

    def function(y: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        m = n[which]
        low = _lower_partner(m, y)
        held = special.gammaincc(m + 1, low) - special.gammaincc(m + 1, y)
        density = np.exp(m * np.log(y) - y - special.gammaln(m + 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return held - aim[which], density * (1 - (m / y - 1) / (m / low - 1))

    z = -special.ndtri(0.5 * (1 - confidence))
    start = np.maximum(n + z * np.sqrt(n) + (z * z - 1) / 3 + 0.67, least)
    high = solve_increasing(function, least, least + z * z + z * np.sqrt(n) + 20 + 2 * z, start)
    return _lower_partner(n, high), high


def _lower_partner(n: Floats, y: Floats) -> Floats:
    """Return the x below n with ``n ln x - x = n ln y - y``, for y at or above n.

    With v = ln(x/n) it solves ``expm1(v) - v = k``, convex and falling for v < 0, by Newton's method.
    """
    d = (y - n) / n
    k = np.maximum(d - np.log1p(d), 0.0)
    step = np.sqrt(2 * k)
    v = -step - step**2 / 6
    for _ in range(60):
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.where(v < 0, (np.expm1(v) - v - k) / np.expm1(v), 0.0)
        v = v - change
        if np.all(np.abs(change) <= 1e-15 * np.abs(v) + 1e-300):
            break
    return np.asarray(n * np.exp(v))


def on_off_interval(
    counts: ArrayLike,
    background: ArrayLike,
    alpha: ArrayLike,
    *,
    confidence: ArrayLike = ONE_SIGMA,
    fractions: Fractions = (1.0, 0.0),
    kind: Literal["shortest", "central"] = "shortest",
) -> Interval:
    """Return the Bayesian interval of the source counts, with the background's own uncertainty.

    Parameters
    ----------
    counts, background
        Counts N and B of the source and background regions, whole numbers; B may have a fraction as long as g = 0.
    alpha
        Expected ratio of background counts, source region over background region, above 0.
    confidence
        Two-sided probability between 0 and 1.
    fractions
        Fractions f and g of the source's counts that fall into the source and background regions.
    kind
        ``shortest`` (highest posterior density; lower end 0 where the density falls from there) or ``central`` (the
        same probability on both sides).

    Returns
    -------
    Interval
        Of the counts S of the whole source. NaN where an argument is NaN.

    Raises
    ------
    InvalidRecord
        If counts are negative, infinite or not whole, alpha or f not above 0, g negative, the confidence not
        between 0 and 1, or there is no such kind.

    Notes
    -----
    ``N ~ Poisson(f S + c)``, ``B ~ Poisson(g S + c/alpha)``, flat priors on S >= 0 and c >= 0. The posterior of S is a
    mixture of Gamma distributions in closed form; for g = 0 the weight of k background counts among the N is
    ``C(B + k, k) (alpha/(1 + alpha))^k``. Terms below e^-50 of the largest are left out, so that large N costs the
    width of the background, not N. Good to 1e-9 for N and B up to 1e5.

    References
    ----------
    Loredo (1992), in Statistical Challenges in Modern Astronomy, 275; Park et al. (2006), ApJ 652, 610; CIAO
    ``aprates`` (the model with f and g).

    Examples
    --------
    >>> lower, upper = on_off_interval([0, 10, 100], [10, 23, 400], [0.1, 0.1, 0.2], confidence=0.9)
    >>> lower.round(6), upper.round(6)
    (array([0.      , 3.167   , 3.878341]), array([ 2.302585, 13.871484, 37.398821]))
    """
    if kind not in ("shortest", "central"):
        raise InvalidRecord(f"no interval is called {kind!r}: use shortest or central")

    def ends(mixture: GammaMixture, level: Floats) -> tuple[Floats, ...]:
        if kind == "shortest":
            return mixture_shortest(mixture, level)
        return mixture_quantile(mixture, 0.5 * (1 - level)), mixture_quantile(mixture, 0.5 * (1 + level))

    level = require_inside(confidence, "confidence")
    return Interval(*of_on_off(ends, 2, require_on_off(counts, background, alpha, fractions), level))


def on_off_quantile(
    counts: ArrayLike,
    background: ArrayLike,
    alpha: ArrayLike,
    probability: ArrayLike,
    *,
    fractions: Fractions = (1.0, 0.0),
) -> Floats:
    """Return the source counts below which the posterior holds ``probability``.

    Parameters
    ----------
    counts, background, alpha, fractions
        As in :func:`on_off_interval`, with its errors and notes.
    probability
        Between 0 and 1; 0.5 is the median.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> on_off_quantile(10, 23, 0.1, [0.5, 0.95], fractions=(0.9, 0.05)).round(6)
    array([ 9.248157, 16.324688])
    """
    level = require_inside(probability, "probability")
    measured = require_on_off(counts, background, alpha, fractions)
    return of_on_off(lambda mixture, q: (mixture_quantile(mixture, q),), 1, measured, level)[0]


def on_off_estimate(
    counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, *, fractions: Fractions = (1.0, 0.0)
) -> Estimate:
    """Return the mode and the mean of the posterior of the source counts.

    Parameters
    ----------
    counts, background, alpha, fractions
        As in :func:`on_off_interval`, with its errors and notes.

    Returns
    -------
    Estimate
        The mode is 0 where the posterior falls from there; the mean is always above 0.

    Examples
    --------
    >>> mode, mean = on_off_estimate([2, 10], [100, 23], 0.1)
    >>> mode.round(6), mean.round(6)
    (array([0.      , 7.625307]), array([1.211969, 8.601232]))
    """
    measured = require_on_off(counts, background, alpha, fractions)
    both = of_on_off(lambda mixture, _: (mixture_mode(mixture), mixture.mean), 2, measured, np.asarray(0.5))
    return Estimate(*both)
