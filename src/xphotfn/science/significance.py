"""Significance of counts against a background: exact, mid-p, likelihood-ratio and Gaussian forms, all signed.

One convention throughout: one-sided, ``p = 1 - Phi(Z)``; p = 0.5 is 0 sigma, a deficit is negative, p = 1 is -inf and
p = 0 is +inf. Every function broadcasts its arguments, works on whole arrays, refuses negative counts and ratios that
are not above 0, and gives NaN where an argument is NaN (a position in a gap).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from xphotfn.science._numeric import (
    Floats,
    broadcast,
    deviance,
    over_valid,
    require_above_zero,
    require_not_negative,
)
from xphotfn.science._tails import binomial_tails, mid_p_tails, poisson_tails, sharper_log_p, signed_significance

__all__ = (
    "FOR_FEW_COUNTS",
    "SIGNIFICANCES",
    "Definition",
    "cash_significance",
    "exact_significance",
    "gaussian_significance",
    "li_ma_significance",
    "log_p_to_sigma",
    "log_p_value",
    "mid_p_significance",
    "poisson_log_p_value",
    "poisson_significance",
    "sigma_to_log_p",
)


def log_p_to_sigma(log_p: ArrayLike) -> Floats:
    """Return the significance Z whose one-sided p-value has the natural logarithm ``log_p``.

    Parameters
    ----------
    log_p
        ln p, at most 0; -inf is p = 0.

    Returns
    -------
    ndarray of float64
        Z with ``1 - Phi(Z) = p``: -inf for p = 1, +inf for p = 0, NaN for NaN and for ln p above 0.

    Notes
    -----
    ``Z = -Phi^-1(exp(ln p))``, evaluated without forming p; good to 1e-10 at ln p = -1e5 (447 sigma) and at -1e-10.

    References
    ----------
    Convention of Cousins, Linnemann & Tucker (2008), NIM A 595, 480.

    Examples
    --------
    >>> log_p_to_sigma([-1000.0, -10.0, 0.0]).round(6)
    array([44.615748,  3.913946,      -inf])
    """
    return np.asarray(-special.ndtri_exp(np.asarray(log_p, dtype=np.float64)) + 0.0)


def sigma_to_log_p(sigma: ArrayLike) -> Floats:
    """Return the natural logarithm of the one-sided p-value of a significance, the inverse of `log_p_to_sigma`.

    Parameters
    ----------
    sigma
        Z in Gaussian sigma.

    Returns
    -------
    ndarray of float64
        ``ln(1 - Phi(Z))``; NaN for NaN.

    Examples
    --------
    >>> sigma_to_log_p([0, 3]).round(6)
    array([-0.693147, -6.607726])
    """
    return np.asarray(special.log_ndtr(-np.asarray(sigma, dtype=np.float64)) + 0.0)


def log_p_value(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike) -> Floats:
    """Return the natural logarithm of the exact conditional p-value of an excess.

    Parameters
    ----------
    counts, background
        Counts N and B of the source and background regions. Numbers that are not whole are accepted: the formula is
        then the incomplete beta function.
    alpha
        Expected ratio of background counts, source region over background region, above 0.

    Returns
    -------
    ndarray of float64
        ln p, 0 for N = 0.

    Raises
    ------
    InvalidRecord
        If counts are negative or infinite, or alpha is not finite and above 0.

    Notes
    -----
    ``p = P(X >= N) = I_q(N, B + 1)`` for ``X ~ Binomial(N + B, q)``, ``q = alpha/(1 + alpha)``. From p > 1/2 the other
    tail is summed, ``ln p = log1p(-P(X < N))``; below 1e-280 the tail is a series in log space.

    References
    ----------
    Przyborowski & Wilenski (1940), Biometrika 31, 313; Cousins, Linnemann & Tucker (2008), NIM A 595, 480.

    Examples
    --------
    >>> log_p_value([5, 10], [1, 5], [1, 0.3]).round(6)
    array([-2.212973, -7.827207])
    >>> float(log_p_value(500, 10, 0.01).round(6))
    -2260.508656
    """
    return sharper_log_p(*_binomial_tails(counts, background, alpha))


def exact_significance(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike) -> Floats:
    """Return the significance of the exact conditional binomial test, Z_Bi.

    Parameters
    ----------
    counts, background, alpha
        As in :func:`log_p_value`.

    Returns
    -------
    ndarray of float64
        Z; -inf for N = 0, where p = 1.

    Notes
    -----
    ``Z = Phi^-1(1 - p)``, p of :func:`log_p_value`. Never more false alarms than nominal, at any background: counts
    are whole, so it is conservative, and its mean on blank sky lies below 0. :func:`mid_p_significance` counts half of
    P(X = N) and is centred instead.

    References
    ----------
    Cousins, Linnemann & Tucker (2008), NIM A 595, 480 (Z_Bi); the same p as with a flat prior on the
    background (their Z_Gamma).

    Examples
    --------
    >>> exact_significance([0, 1, 10], [0, 0, 23], [1, 1, 0.1]).round(6)
    array([    -inf, 0.      , 3.290517])
    """
    return signed_significance(*_binomial_tails(counts, background, alpha))


def mid_p_significance(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike) -> Floats:
    """Return the signed significance of the mid-p conditional binomial test.

    Parameters
    ----------
    counts
        Counts N in the source region, integers.
    background
        Counts B in the background region, integers.
    alpha
        Expected ratio of background counts, source region over background region, above 0.

    Returns
    -------
    ndarray of float64
        Z with ``1 - Phi(Z) = p``; the inputs are broadcast. 0 for N = B = 0.

    Notes
    -----
    ``p = P(X > N) + P(X = N)/2`` for ``X ~ Binomial(N + B, alpha/(1 + alpha))``. The smaller tail is computed and
    the sign taken from it, in log space below 1e-280, so that hundreds of sigma keep their digits.

    References
    ----------
    Przyborowski & Wilenski (1940), Biometrika 31, 313 (the conditional test); Lancaster (1961), J. Am. Stat.
    Assoc. 56, 223 (mid-p).

    Examples
    --------
    >>> mid_p_significance([0, 10, 1], [0, 5, 20], [1, 0.3, 1]).round(3)
    array([ 0.   ,  3.508, -4.397])
    """
    return signed_significance(*over_valid(mid_p_tails, 2, *_on_off(counts, background, alpha)))


def li_ma_significance(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike) -> Floats:
    """Return the signed likelihood-ratio significance of Li & Ma.

    Parameters
    ----------
    counts, background, alpha
        As in :func:`mid_p_significance`.

    Returns
    -------
    ndarray of float64

    Notes
    -----
    ``S = sqrt(2 [D(N; m1) + D(B; m2)])`` with ``m1 = alpha (N+B)/(1+alpha)``, ``m2 = (N+B)/(1+alpha)`` and
    ``D(x; m) = x ln(x/m) + m - x``, which is equation 17 in a form that does not cancel.

    References
    ----------
    Li & Ma (1983), ApJ 272, 317, equation 17.

    Examples
    --------
    >>> li_ma_significance([5, 10, 1], [1, 5, 20], [1, 0.3, 1]).round(7)
    array([ 1.7061746,  3.5853813, -4.5903736])
    """
    return over_valid(_li_ma, 1, *_on_off(counts, background, alpha))[0]


def _li_ma(n: Floats, b: Floats, alpha: Floats) -> tuple[Floats]:
    total = n + b
    half = deviance(n, alpha * total / (1 + alpha)) + deviance(b, total / (1 + alpha))
    return (np.asarray(np.sign(n - alpha * b) * np.sqrt(2 * np.maximum(half, 0.0))),)


def gaussian_significance(
    counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, *, background_variance: bool = True
) -> Floats:
    """Return net counts over their Gaussian error, with or without the background's own variance.

    Parameters
    ----------
    counts, background, alpha
        As in :func:`log_p_value`.
    background_variance
        Whether the error holds the variance of the background estimate.

    Returns
    -------
    ndarray of float64
        0 for N = B = 0. Without the background's variance, N = 0 < B gives -inf, the limit of the formula.

    Notes
    -----
    ``(N - alpha B)/sqrt(N + alpha^2 B)``, or ``(N - alpha B)/sqrt(N)``. Both are for comparison: valid from some tens
    of counts. The second treats the background as known and is XGA's error; it overstates every excess.

    References
    ----------
    Li & Ma (1983), ApJ 272, 317, equation 5 (with the background's variance); XGA ``products/phot.py``,
    ``signal_to_noise`` (without).

    Examples
    --------
    >>> gaussian_significance(20, 10, 1).round(4), gaussian_significance(20, 10, 1, background_variance=False).round(4)
    (np.float64(1.8257), np.float64(2.2361))
    """
    n, b, a = _on_off(counts, background, alpha)
    variance = n + a * a * b if background_variance else n
    net = n - a * b
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = net / np.sqrt(variance)
    return np.asarray(np.where((net == 0) & (variance == 0), 0.0, ratio))


def _known_background_significance(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike) -> Floats:
    return gaussian_significance(counts, background, alpha, background_variance=False)


def poisson_log_p_value(counts: ArrayLike, mean: ArrayLike) -> Floats:
    """Return the natural logarithm of P(X >= N) for a background of known mean.

    Parameters
    ----------
    counts
        Counts N in the source region.
    mean
        Background mu expected there, without error; 0 is allowed.

    Returns
    -------
    ndarray of float64
        ln p: 0 for N = 0, -inf for mu = 0 < N.

    Raises
    ------
    InvalidRecord
        If an argument is negative or infinite.

    Notes
    -----
    ``p = P(N, mu)``, the regularised lower incomplete gamma function; ``log1p(-Q(N, mu))`` above 1/2, a series in
    log space below 1e-280. scipy's own accuracy at a million counts is 4e-6 of p.

    References
    ----------
    The tail of the Poisson distribution; its use against a known background: Cousins, Linnemann & Tucker (2008),
    NIM A 595, 480.

    Examples
    --------
    >>> poisson_log_p_value([5, 1000, 0], [1, 10, 3]).round(6)
    array([   -5.610334, -3619.533045,     0.      ])
    """
    return sharper_log_p(*_poisson_tails(counts, mean))


def poisson_significance(counts: ArrayLike, mean: ArrayLike) -> Floats:
    """Return the exact significance of counts over a background of known mean.

    Parameters
    ----------
    counts, mean
        As in :func:`poisson_log_p_value`.

    Returns
    -------
    ndarray of float64
        Z: -inf for N = 0, +inf for mu = 0 < N.

    Notes
    -----
    ``Z = Phi^-1(1 - P(X >= N | mu))``. Only for a background whose error is negligible; with a measured background
    :func:`exact_significance` counts its error too.

    References
    ----------
    As :func:`poisson_log_p_value`.

    Examples
    --------
    >>> poisson_significance([5, 100, 0], [1, 23, 3]).round(6)
    array([ 2.681938, 11.793122,      -inf])
    """
    return signed_significance(*_poisson_tails(counts, mean))


def cash_significance(counts: ArrayLike, mean: ArrayLike) -> Floats:
    """Return the likelihood-ratio significance over a background of known mean, in Cash's form.

    Parameters
    ----------
    counts, mean
        As in :func:`poisson_log_p_value`.

    Returns
    -------
    ndarray of float64
        0 for N = mu = 0, +inf for mu = 0 < N.

    Notes
    -----
    ``Z = sign(N - mu) sqrt(2 [mu - N + N ln(N/mu)])``: Gaussian by Wilks' theorem, so valid from some counts on; it
    exceeds the exact value for an excess ((5, 1): 2.845 against 2.682).

    References
    ----------
    Cash (1979), ApJ 228, 939; Wilks (1938), Ann. Math. Stat. 9, 60.

    Examples
    --------
    >>> cash_significance([5, 100, 0], [1, 23, 3]).round(6)
    array([ 2.845062, 11.829421, -2.44949 ])
    """
    n, mu = broadcast(require_not_negative(counts, "counts"), require_not_negative(mean, "mean"))
    return np.asarray(np.sign(n - mu) * np.sqrt(2 * np.maximum(deviance(n, mu), 0.0)))


def _on_off(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike) -> tuple[Floats, ...]:
    return broadcast(
        require_not_negative(counts, "counts"),
        require_not_negative(background, "background"),
        require_above_zero(alpha, "alpha"),
    )


def _binomial_tails(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike) -> tuple[Floats, ...]:
    return over_valid(binomial_tails, 2, *_on_off(counts, background, alpha))


def _poisson_tails(counts: ArrayLike, mean: ArrayLike) -> tuple[Floats, ...]:
    return over_valid(poisson_tails, 2, require_not_negative(counts, "counts"), require_not_negative(mean, "mean"))


class Definition(NamedTuple):
    """A function of counts, background counts and alpha; and whether it holds for the few counts of a small circle."""

    significance: Callable[[ArrayLike, ArrayLike, ArrayLike], Floats]
    few_counts: bool = True


SIGNIFICANCES = {
    "mid-p": Definition(mid_p_significance),
    "exact": Definition(exact_significance),
    "li-ma": Definition(li_ma_significance),
    "gaussian": Definition(gaussian_significance, few_counts=False),
    "gaussian-known-background": Definition(_known_background_significance, few_counts=False),
}
"""The definitions by name: what `snr`, photometry, the command line and the tests of the docs know is made from it."""
FOR_FEW_COUNTS = tuple(name for name, definition in SIGNIFICANCES.items() if definition.few_counts)
