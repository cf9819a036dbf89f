"""Tails of the binomial and Poisson distributions as logarithms, and the significance that two tails make."""

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from xphotfn.science._numeric import Floats

__all__ = ("binomial_tails", "mid_p_tails", "poisson_tails", "sharper_log_p", "signed_significance")

LOG_FAR = math.log(1e-280)  # below this a probability is summed in log space


def binomial_tails(n: Floats, b: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Return ln P(X >= n) and ln P(X < n) for X ~ Binomial(n + b, alpha/(1 + alpha))."""
    none = n == 0
    m = np.where(none, 1.0, n)
    upper = np.where(none, 0.0, _log_binomial_tail(m, b, alpha))
    lower = np.where(none, -np.inf, _log_binomial_tail(b + 1, m - 1, 1 / alpha))
    return upper, lower


def _log_binomial_tail(n: Floats, b: Floats, alpha: Floats) -> Floats:
    """Return ln P(X >= n) = ln I_q(n, b + 1) for n above 0 and q = alpha/(1 + alpha)."""
    with np.errstate(divide="ignore"):
        log_p = np.log(special.betainc(n, b + 1, alpha / (1 + alpha)))
    far = log_p < LOG_FAR
    if np.any(far):
        n, b, alpha = n[far], b[far], alpha[far]
        log_first = special.gammaln(n + b + 1) - special.gammaln(n + 1) - special.gammaln(b + 1)
        log_first -= n * np.log1p(1 / alpha) + b * np.log1p(alpha)
        log_p[far] = log_first + np.log(_falling(lambda k: np.maximum(b - k, 0.0) / (n + k + 1) * alpha))
    return np.asarray(np.minimum(log_p, 0.0))


def mid_p_tails(n: Floats, b: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Return ln P of more than n, and of less, each with half of P(X = n), X as in :func:`binomial_tails`."""
    return _log_mid_tail(n, b, alpha), _log_mid_tail(b, n, 1 / alpha)


def _log_mid_tail(n: Floats, b: Floats, alpha: Floats) -> Floats:
    """Return ln(P(X > n) + P(X = n)/2)."""
    log_pmf = special.gammaln(n + b + 1) - special.gammaln(n + 1) - special.gammaln(b + 1)
    log_pmf -= n * np.log1p(1 / alpha) + b * np.log1p(alpha)
    above = np.where(b > 0, special.betainc(n + 1, np.where(b > 0, b, 1.0), alpha / (1 + alpha)), 0.0)
    with np.errstate(divide="ignore"):
        log_p = np.log(above + 0.5 * np.exp(log_pmf))
    far = log_p < LOG_FAR
    if np.any(far):
        n, b, alpha = n[far], b[far], alpha[far]
        log_p[far] = log_pmf[far] + np.log(_falling(lambda k: np.maximum(b - k, 0.0) / (n + k + 1) * alpha) - 0.5)
    return np.asarray(np.minimum(log_p, 0.0))


def poisson_tails(n: Floats, mu: Floats) -> tuple[Floats, Floats]:
    """Return ln P(X >= n) and ln P(X < n) for X ~ Poisson(mu)."""
    none = n == 0
    m = np.where(none, 1.0, n)
    with np.errstate(divide="ignore"):
        upper, lower = np.log(special.gammainc(m, mu)), np.log(special.gammaincc(m, mu))
    far = (upper < LOG_FAR) & (mu > 0)
    if np.any(far):
        x, at = mu[far], m[far]
        upper[far] = _log_poisson(at, x) + np.log(_falling(lambda k: x / (at + k + 1)))
    far = (lower < LOG_FAR) & (mu > 0)
    if np.any(far):
        x, at = mu[far], m[far] - 1
        lower[far] = _log_poisson(at, x) + np.log(_falling(lambda k: np.maximum(at - k, 0.0) / x))
    return np.where(none, 0.0, np.minimum(upper, 0.0)), np.where(none, -np.inf, np.minimum(lower, 0.0))


def _log_poisson(n: Floats, mu: Floats) -> Floats:
    return np.asarray(n * np.log(mu) - mu - special.gammaln(n + 1))


def _falling(ratio: Callable[[int], Floats]) -> Floats:
    """Return 1 + r0 + r0 r1 + ..., so far in a tail that the terms fall geometrically."""
    term = ratio(0)
    total, k = 1 + term, 1
    while np.any(term > 1e-17 * total):
        term = term * ratio(k)
        total = total + term
        k += 1
    return np.asarray(total)


def sharper_log_p(upper: Floats, lower: Floats) -> Floats:
    """Return ln P of the upper tail, taken from the lower one where that is smaller."""
    with np.errstate(divide="ignore"):
        other = np.log1p(-np.exp(np.minimum(lower, -1e-300)))
    return np.asarray(np.where(upper < lower, upper, other) + 0.0)


def signed_significance(upper: Floats, lower: Floats) -> Floats:
    """Return Z with 1 - Phi(Z) = exp(upper), from whichever tail is smaller."""
    deficit = lower < upper
    return np.asarray(np.where(deficit, 1, -1) * special.ndtri_exp(np.where(deficit, lower, upper)) + 0.0)
