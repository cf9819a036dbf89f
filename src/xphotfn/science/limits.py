"""One-sided upper limits of source counts, and the detection limit, which is another thing.

Three names that are never mixed. An *upper limit* is a one-sided bound, given the counts that were seen
(:func:`upper_limit`, :func:`upper_limit_on_off`). An *upper end* is the upper edge of a two-sided interval
(:mod:`xphotfn.science.intervals`). A *detection limit* does not depend on the counts seen: it says how bright a source
has to be to be detected with a stated probability (:func:`detection_limit`).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from xphotfn.science._numeric import Floats, broadcast, over_valid, require_inside, require_not_negative
from xphotfn.science.gamma_mixture import mixture_quantile
from xphotfn.science.on_off import of_on_off, require_on_off

__all__ = (
    "detection_limit",
    "detection_probability",
    "detection_threshold",
    "upper_limit",
    "upper_limit_on_off",
)

TINY_TAIL = 1e-9  # below this Q(N + 1, B) the limit is solved for S itself
TERMS = 100_000


def upper_limit(counts: ArrayLike, background: ArrayLike, *, confidence: ArrayLike = 0.95) -> Floats:
    """Return the one-sided upper limit of the source counts, given the counts, over a known background.

    This is an upper limit: not the upper end of an interval, and not a detection limit.

    Parameters
    ----------
    counts
        Counts N in the source region.
    background
        Background expected there, without error; 0 is allowed.
    confidence
        Probability that the source lies below the limit, one-sided, between 0 and 1.

    Returns
    -------
    ndarray of float64
        Source counts in the region (divide by the enclosed fraction and the exposure for a rate). NaN where ``counts``
        or ``background`` is NaN.

    Raises
    ------
    InvalidRecord
        If counts or background are negative or infinite, or the confidence does not lie between 0 and 1.

    Notes
    -----
    Flat prior on S >= 0: ``Q(N + 1, B + UL) = (1 - CL) Q(N + 1, B)`` with Q the regularised upper incomplete gamma
    function. Where Q(N + 1, B) is below 1e-9 (a background far above the counts), the logarithm of the same equation
    is solved for UL, so nothing underflows or cancels. Never below ``-ln(1 - CL)``, its value at N = 0 for any B.
    Its coverage is never below nominal.

    References
    ----------
    Helene (1983), Nucl. Instrum. Methods 212, 319; Kraft, Burrows & Nousek (1991), ApJ 374, 344, for the
    posterior.

    Examples
    --------
    >>> upper_limit([0, 3, 10], [5, 3, 1000]).round(6)
    array([2.995732, 5.39545 , 3.025915])
    """
    cl = require_inside(confidence, "confidence")
    n, b = require_not_negative(counts, "counts"), require_not_negative(background, "background")
    n, b, cl = broadcast(n, b, cl)
    tail = special.gammaincc(n + 1, b)
    result = np.asarray(special.gammainccinv(n + 1, (1 - cl) * tail) - b)
    far = tail < TINY_TAIL
    if np.any(far):
        result[far] = _far_limit(n[far], b[far], cl[far])
    return result


def _far_limit(n: Floats, b: Floats, confidence: Floats) -> Floats:
    """Solve ``-S + N ln(1 + S/B) + ln T(B + S) - ln T(B) = ln(1 - CL)`` for S by Newton's method, B above N."""
    aim, start = np.log1p(-confidence), _poisson_series(n, b)
    s = -aim
    for _ in range(50):
        series = _poisson_series(n, b + s)
        value = -s + n * np.log1p(s / b) + np.log(series) - np.log(start) - aim
        step = value * series  # d ln Q/dS = -1/T(B + S)
        s = s + step
        if np.all(np.abs(step) <= 1e-14 * s):
            break
    return np.asarray(s)


def _poisson_series(n: Floats, x: Floats) -> Floats:
    """Return T(x) = P(X <= n)/P(X = n) = 1 + n/x + n (n - 1)/x^2 + ... for x above n."""
    total, term = np.ones_like(x), np.ones_like(x)
    for k in range(TERMS):
        term = term * np.maximum(n - k, 0.0) / x
        total = total + term
        if np.all(term <= 1e-17 * total):
            break
    return total


def upper_limit_on_off(
    counts: ArrayLike,
    background: ArrayLike,
    alpha: ArrayLike,
    *,
    confidence: ArrayLike = 0.95,
    fractions: tuple[ArrayLike, ArrayLike] = (1.0, 0.0),
) -> Floats:
    """Return the one-sided upper limit of the source counts, given the counts, over a measured background.

    This is an upper limit: not the upper end of an interval, and not a detection limit.

    Parameters
    ----------
    counts, background
        Counts N and B of the source and background regions, whole numbers; B may have a fraction as long as the
        background region holds no source light.
    alpha
        Expected ratio of background counts, source region over background region, above 0.
    confidence
        Probability that the source lies below the limit, one-sided, between 0 and 1.
    fractions
        Fractions f and g of the source's counts that fall into the source and background regions.

    Returns
    -------
    ndarray of float64
        Counts of the whole source (of its part in the region for f = 1, g = 0). NaN where an argument is NaN.

    Raises
    ------
    InvalidRecord
        If counts are negative, infinite or not whole, alpha or f not above 0, g negative, or the confidence not
        between 0 and 1.

    Notes
    -----
    The ``confidence`` quantile of the posterior with flat priors on source and background, which
    :func:`xphotfn.science.intervals.on_off_interval` describes; the background's own error is in it.

    References
    ----------
    Loredo (1992), in Statistical Challenges in Modern Astronomy, 275; Park et al. (2006), ApJ 652, 610; CIAO
    ``aprates``.

    Examples
    --------
    >>> upper_limit_on_off([0, 10, 20], [10, 23, 400], 0.1).round(6)
    array([ 2.995732, 14.610595,  5.65454 ])
    """
    cl = require_inside(confidence, "confidence")
    measured = require_on_off(counts, background, alpha, fractions)
    return of_on_off(lambda mixture, q: (mixture_quantile(mixture, q),), 1, measured, cl)[0]


def detection_threshold(background: ArrayLike, *, false_alarm: ArrayLike) -> Floats:
    """Return the smallest number of counts that is called a detection.

    Parameters
    ----------
    background
        Background expected in the source region, without error.
    false_alarm
        Largest probability allowed that background alone reaches the threshold, between 0 and 1.

    Returns
    -------
    ndarray of float64
        k, whole, at least 1; NaN where ``background`` is NaN.

    Raises
    ------
    InvalidRecord
        If the background is negative or infinite, or the probability does not lie between 0 and 1.

    Notes
    -----
    The smallest k with ``P(X >= k | b) <= false_alarm``; a source region with N >= k is a detection. The "threshold"
    of Kashyap's own code is k - 1.

    References
    ----------
    Kashyap et al. (2010), ApJ 719, 900; Georgakakis et al. (2008), MNRAS 388, 1205 (the same threshold).

    Examples
    --------
    >>> detection_threshold([0.1, 2, 10], false_alarm=4e-6)
    array([ 4., 12., 28.])
    """
    level = require_inside(false_alarm, "false_alarm")
    return over_valid(_threshold, 1, require_not_negative(background, "background"), level)[0]


def _threshold(b: Floats, level: Floats) -> tuple[Floats]:
    """Start from the Cornish-Fisher quantile and walk to the exact integer."""
    z = -special.ndtri(level)
    k = np.maximum(np.floor(b + z * np.sqrt(b) + (z * z - 1) / 6), 1.0)

    def walk(step: int, which: NDArray[np.intp]) -> None:
        while which.size:
            at = k[which] + min(step, 0)
            passes = (at >= 1) & (special.gammainc(np.maximum(at, 1.0), b[which]) <= level[which])
            which = which[passes if step < 0 else ~passes]
            k[which] += step

    walk(-1, np.arange(k.size))
    walk(1, np.arange(k.size))
    return (k,)


def detection_limit(background: ArrayLike, *, false_alarm: ArrayLike, power: ArrayLike = 0.5) -> Floats:
    """Return the source counts that are detected with probability ``power``: the detection limit.

    This is a detection limit (the upper limit of Kashyap et al., also called sensitivity): a property of the detection,
    not of the counts seen. It is neither an upper limit given N nor the upper end of an interval.

    Parameters
    ----------
    background
        Background expected in the source region, without error.
    false_alarm
        Probability of a false detection, as in :func:`detection_threshold`.
    power
        Probability that a source at the limit is detected, between 0 and 1.

    Returns
    -------
    ndarray of float64
        Source counts, at least 0; NaN where ``background`` is NaN.

    Raises
    ------
    InvalidRecord
        As :func:`detection_threshold`; also if the power does not lie between 0 and 1.

    Notes
    -----
    ``P(X >= k | b + limit) = power`` with k the threshold: ``limit = max(0, P^-1(k, power) - b)`` with P the lower
    incomplete gamma function. As k is whole, the limit jumps where k does.

    References
    ----------
    Kashyap et al. (2010), ApJ 719, 900.

    Examples
    --------
    >>> detection_limit([2, 10], false_alarm=[6e-7, 4e-6], power=0.9).round(6)
    array([15.781586, 24.959257])
    """
    beta = require_inside(power, "power")
    b, k, beta = broadcast(_floats(background), detection_threshold(background, false_alarm=false_alarm), beta)
    return np.asarray(np.maximum(special.gammaincinv(k, beta) - b, 0.0))


def detection_probability(source: ArrayLike, background: ArrayLike, *, false_alarm: ArrayLike) -> Floats:
    """Return the probability that a source is detected, which a sensitivity map is made of.

    Parameters
    ----------
    source
        Source counts expected in the region.
    background, false_alarm
        As in :func:`detection_threshold`.

    Returns
    -------
    ndarray of float64
        Probability; for a source of 0 counts the false-alarm rate really reached. NaN where an argument is NaN.

    Raises
    ------
    InvalidRecord
        If an argument is negative or infinite, or the probability does not lie between 0 and 1.

    Notes
    -----
    ``P(X >= k | b + s)`` with k the threshold.

    References
    ----------
    Georgakakis et al. (2008), MNRAS 388, 1205.

    Examples
    --------
    >>> detection_probability([5, 20], 2, false_alarm=4e-6).round(6)
    array([0.05335, 0.99237])
    """
    s = require_not_negative(source, "source")
    k = detection_threshold(background, false_alarm=false_alarm)
    s, b, k = broadcast(s, _floats(background), k)
    return np.asarray(special.gammainc(k, b + s))


def _floats(value: ArrayLike) -> Floats:
    return np.asarray(value, dtype=np.float64)
