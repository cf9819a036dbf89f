"""Significance of several observations together: the conditional test of their weighted counts.

Without a source ``N_i ~ Binomial(N_i + B_i, alpha_i/(1 + alpha_i))`` given the totals ``N_i + B_i``, whatever the
backgrounds are: no background has to be known or assumed. The weights are functions of the totals, so they are given
too, and what is tested is how far ``sum w_i N_i`` lies in the tail of its own distribution.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from xphotfn.errors import InvalidRecord
from xphotfn.science._numeric import Floats, solve_increasing
from xphotfn.science._tails import signed_significance
from xphotfn.science.joint.one_measurement import own_backgrounds
from xphotfn.science.significance import SIGNIFICANCES

__all__ = ("METHODS", "joint_method", "significance_of")

EQUAL = 1e-9  # relative difference of weights or alphas that is rounding
FAR = 80.0  # |t w| from which a binomial variable is at its end
NEAR = 1e-4  # |r| below which the correction is its limit
LOG_HALF = float(np.log(0.5))


class _Tilted(NamedTuple):
    """The signed root r of the likelihood ratio, its corrected form, and ln P of the counts themselves, shape (n,)."""

    root: Floats
    corrected: Floats
    log_point: Floats


def _exact(found: _Tilted) -> Floats:
    """Return Z with half the probability of the counts themselves added to that of more."""
    half = found.log_point + LOG_HALF
    upper = np.minimum(np.logaddexp(special.log_ndtr(-found.corrected), half), 0.0)
    below = special.log_ndtr(found.corrected)
    with np.errstate(divide="ignore"):
        lower = below + np.log1p(-np.exp(np.minimum(half - below, 0.0)))
    return signed_significance(upper, lower)


class _Method(NamedTuple):
    sums: Callable[[Floats, Floats, Floats], Floats]
    weighted: Callable[[_Tilted], Floats]


METHODS: dict[str, Callable[[_Tilted], Floats]] = {
    "mid-p": lambda found: found.corrected,
    "li-ma": lambda found: found.root,
    "exact": _exact,
}
"""Those of `SIGNIFICANCES` that have a form for weighted counts."""


def joint_method(name: str) -> _Method:
    """Return the method of a name, one of `METHODS`."""
    if name not in METHODS:
        raise InvalidRecord(f"there is no joint significance {name!r}: use one of {', '.join(METHODS)}")
    return _Method(SIGNIFICANCES[name].significance, METHODS[name])


def significance_of(n: Floats, b: Floats, a: Floats, e: Floats, method: _Method) -> Floats:
    """Return the significance of arrays (positions, observations): that of the sums where all weights are equal."""
    total = n + b
    weight = np.where(total > 0, _weights(n, b, a, e), 0.0)
    weight = weight / np.maximum(np.max(weight, axis=1, keepdims=True), 1e-300)
    counted = weight > 0
    one = _equal(weight, counted) & _equal(a, counted)
    result = np.zeros(n.shape[0])
    alpha = np.max(np.where(counted, a, 0.0), axis=1)
    alpha = np.where(alpha > 0, alpha, 1.0)
    result[one] = method.sums(np.sum(n[one], axis=1), np.sum(b[one], axis=1), alpha[one])
    if not np.all(one):
        result[~one] = method.weighted(_tilted(n[~one], b[~one], a[~one], weight[~one]))
    return result


def _equal(values: Floats, counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    low, high = np.min(np.where(counted, values, np.inf), axis=1), np.max(np.where(counted, values, 0.0), axis=1)
    return np.asarray(~np.any(counted, axis=1) | (high - low <= EQUAL * high))


def _weights(n: Floats, b: Floats, a: Floats, e: Floats) -> Floats:
    """Return the weights without a source: functions of N + B alone."""
    off = own_backgrounds(n, b, a, e, np.zeros_like(n))
    return np.where(e > 0, e / np.where(e > 0, a * (1 + a) * off, 1.0), 0.0)


def _tilted(n: Floats, b: Floats, a: Floats, w: Floats) -> _Tilted:
    """Return what the binomial distributions, tilted until their mean is the sum that was seen, say of its tail.

    ``r = sign(t) sqrt(2 (t T - K(t)))`` with K the cumulant generating function and ``K'(t) = T``. The correction is
    ``r + ln(u/r)/r``; ``u = 2 tanh(t h/2) sqrt(K'')/h`` is that of mid-p for values a width h apart, here their mean
    width.
    """
    m, log_a = n + b, np.log(a)
    none, full = np.sum(n * (w > 0), axis=1) == 0, np.sum(b * (w > 0), axis=1) == 0
    log_point = np.sum(special.gammaln(m + 1) - special.gammaln(n + 1) - special.gammaln(b + 1), axis=1)
    log_point -= np.sum(n * np.log1p(1 / a) + b * np.log1p(a), axis=1)
    end = np.sqrt(-2 * log_point)
    root = np.where(none, -end, end)
    tail = special.ndtri_exp(log_point + LOG_HALF)
    corrected = np.where(none, tail, -tail)
    rows = np.flatnonzero(~none & ~full)
    if rows.size:
        root[rows], corrected[rows] = _between_ends(n[rows], m[rows], log_a[rows], w[rows])
    return _Tilted(root, corrected, log_point)


def _between_ends(n: Floats, m: Floats, log_a: Floats, w: Floats) -> tuple[Floats, Floats]:
    seen = np.sum(w * n, axis=1)

    def slope(t: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        share = special.expit(w[which] * t[:, None] + log_a[which])
        held = w[which] * m[which] * share
        return np.sum(held, axis=1) - seen[which], np.sum(w[which] * held * (1 - share), axis=1)

    reach = FAR / np.min(np.where(w > 0, w, np.inf), axis=1)
    t = solve_increasing(slope, -reach, reach, np.zeros_like(reach))
    cumulant = np.sum(m * (np.logaddexp(0.0, w * t[:, None] + log_a) - np.logaddexp(0.0, log_a)), axis=1)
    root = np.sign(t) * np.sqrt(2 * np.maximum(t * seen - cumulant, 0.0))
    spread = np.sqrt(slope(t, np.arange(t.size))[1])
    share = special.expit(log_a)
    variance = m * share * (1 - share)
    second, third = (np.sum(w**k * variance * v, axis=1) for k, v in ((2, 1.0), (3, 1 - 2 * share)))
    width = second / np.sum(w * variance, axis=1)
    u = 2 * np.tanh(0.5 * t * width) * spread / width
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = root + np.log(u / root) / root
    return root, np.where(np.abs(root) > NEAR, corrected, root + third / second**1.5 / 6)
