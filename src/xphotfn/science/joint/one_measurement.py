"""The one on/off measurement that several observations of one position are worth.

``N_i ~ Poisson(s E_i + alpha_i b_i)`` and ``B_i ~ Poisson(b_i)`` with one rate s. A background of its own in each
observation is a nuisance parameter for each: a likelihood with all of them free is biased by an amount that grows with
their number, whether the backgrounds are fitted or integrated over. Plain sums of counts are not. So the counts are
added up, each observation with the weight ``E_i/V_i`` of its information, and the sums are described by the on/off
measurement that has their mean and variance. Weights come from one background for all, scaled by ``E_i/alpha_i``, as
long as the observations agree with that; the more they do not, the more from each observation's own.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from xphotfn.errors import ShapeMismatch
from xphotfn.science._numeric import Floats, broadcast, require_above_zero, require_not_negative
from xphotfn.science.wstat import fitted_background

__all__ = ("OnOff", "equivalent_on_off", "over_positions", "own_backgrounds", "require_joint")

ROUNDS = 3  # of weights and rate; equal observations need one
BEYOND = 3.0  # standard deviations by which the backgrounds have to differ before weights follow them
ROUNDING = 1e-9


class OnOff(NamedTuple):
    """Counts N and B, ratio alpha and exposure E of one measurement for each position, arrays of float64.

    ``N ~ Poisson(s E + alpha b)``, ``B ~ Poisson(b)``. N and B need not be whole.
    """

    counts: Floats
    background: Floats
    alpha: Floats
    exposure: Floats

    @property
    def rate(self) -> Floats:
        """Rate per unit of exposure, negative for a deficit."""
        return np.asarray((self.counts - self.alpha * self.background) / self.exposure)


def require_joint(
    counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return N, B, alpha and E at their common shape; observations of exposure 0 as N = B = 0, alpha = 1."""
    e = require_not_negative(exposure, "exposure")
    n, b, a, e = broadcast(*(np.asarray(v, dtype=np.float64) for v in (counts, background, alpha)), e)
    if e.ndim == 0:
        raise ShapeMismatch("observations lie along the last axis: give arrays, not single numbers")
    if e.shape[-1] == 0:
        raise ShapeMismatch("there is no observation: give at least one along the last axis (exposure 0 where unseen)")
    none = e == 0
    n, b, a = np.where(none, 0.0, n), np.where(none, 0.0, b), np.where(none, 1.0, a)
    return (
        require_not_negative(n, "counts"),
        require_not_negative(b, "background"),
        require_above_zero(a, "alpha"),
        e,
    )


def over_positions(
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


def equivalent_on_off(counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, exposure: ArrayLike) -> OnOff:
    """Return the one on/off measurement that several observations of a position are worth.

    Parameters
    ----------
    counts, background, alpha
        Arrays whose last axis numbers the observations; the other axes are positions.
    exposure
        What turns the rate into counts of the region: exposure times enclosed fraction. An observation of exposure 0
        does not cover the position and is left out, whatever its other entries.

    Returns
    -------
    OnOff
        One value for each position. One observation is itself; observations of one alpha whose backgrounds agree are
        their sums. NaN where no observation covers the position, or an entry is NaN.

    Raises
    ------
    InvalidRecord
        If counts or exposures are negative or infinite, or alpha is not finite and above 0.
    ShapeMismatch
        If the arrays do not broadcast, or have no axis of observations, or none along it.

    Notes
    -----
    With weights w_i the sum ``T = sum w_i N_i`` has the cumulants ``sum w_i^k mu_i``. They are those of ``c + h X``
    with a Poisson variable X (a scaled Poisson variable); c is 0 for equal weights, and else what observations of
    much background and little weight bring, which hardly varies. The background ``sum w_i alpha_i B_i`` less the same
    c is scaled likewise, by its mean and variance, with one more count shared out among the observations: what a flat
    prior adds to one. ``w_i = E_i/V_i`` with ``V_i = s E_i + alpha_i (1 + alpha_i) b_i``, the variance of
    ``N_i - alpha_i B_i``: the weights of the likelihood's own score.

    References
    ----------
    Bohm & Zech (2014), NIM A 748, 1 (scaled Poisson); Neyman & Scott (1948), Econometrica 16, 1 (the bias of many
    nuisance parameters).

    Examples
    --------
    >>> together = equivalent_on_off([2] * 18, [0] * 18, 0.84, [1 / 18] * 18)
    >>> [float(part.round(6)) for part in together], float(together.rate.round(6))
    ([36.0, 0.0, 0.84, 1.0], 36.0)
    """
    return OnOff(*over_positions(_equivalent, 4, require_joint(counts, background, alpha, exposure)))


def _equivalent(n: Floats, b: Floats, a: Floats, e: Floats) -> tuple[Floats, ...]:
    weight, seen = np.where(e > 0, 1.0, 0.0), e > 0
    total = np.sum(e, axis=1)
    for _ in range(ROUNDS):
        rate = np.sum(weight * (n - a * b), axis=1) / np.sum(weight * e, axis=1)
        source = (np.maximum(rate, 0.0) + 1 / total)[:, None] * e  # one count more, as the mean of a flat prior
        off = own_backgrounds(n, b, a, e, source)
        weight = np.where(seen, e / np.where(seen, source + a * (1 + a) * off, 1.0), 0.0)
    return _scaled(n, b, weight, weight * a, (e, source + a * off, b + off / np.sum(off, axis=1, keepdims=True)))


def _scaled(
    n: Floats, b: Floats, weight: Floats, scaled: Floats, expected: tuple[Floats, Floats, Floats]
) -> tuple[Floats, ...]:
    """Return N, B, alpha and E of the sums of ``weight N`` and ``scaled B``; expected are E, N, and B with a prior."""
    e, on, prior = expected
    seen_on, seen_off = np.sum(weight * n, axis=1), np.sum(scaled * b, axis=1)
    mean, second, third = (np.sum(weight**k * on, axis=1) for k in (1, 2, 3))
    first, square = (np.sum(scaled**k * prior, axis=1) for k in (1, 2))
    fixed = np.minimum(mean - second**2 / third, first - square / np.max(scaled, axis=1))
    fixed = np.where(fixed > ROUNDING * mean, np.minimum(fixed, np.minimum(seen_on, seen_off)), 0.0)
    h, g = second / (mean - fixed), square / (first - fixed)
    counts, background = _whole((seen_on - fixed) / h), _whole((seen_off - fixed) / g)
    return counts, background, g / h, np.sum(weight * e, axis=1) / h


def _whole(values: Floats) -> Floats:
    """Return values with those that are whole but for rounding made so."""
    near = np.round(values)
    return np.where(np.abs(values - near) <= ROUNDING * np.maximum(near, 1.0), near, values)


def own_backgrounds(n: Floats, b: Floats, a: Floats, e: Floats, source: Floats) -> Floats:
    """Return the background counts for the weights, at given source counts; 0 where the exposure is.

    ``own`` is each observation's best fit, which does not correlate with ``N - alpha B``, and ``known`` its
    information in units of that of B. ``common`` is one background for all, scaled by E/alpha. What is returned lies
    between common (backgrounds that agree within their errors) and own with a count of common added.
    """
    seen = e > 0
    own = fitted_background(n, b, a, source)
    on = source + a * own
    known = 1 + a * np.where(on > 0, a * own / np.where(on > 0, on, 1.0), np.where(source > 0, 0.0, 1.0))
    shape = e / a
    level = (np.sum(known * own, axis=1) + 1) / np.sum(known * shape, axis=1)
    common = np.where(seen, level[:, None] * shape, 1.0)
    spread = np.sum(np.where(seen, (own - common) ** 2 * known / common, 0.0), axis=1)
    freedom = np.count_nonzero(seen, axis=1) - 1
    variance = 2 * freedom + np.sum(np.where(seen, 1 / (common * known), 0.0), axis=1)
    limit = freedom + BEYOND * np.sqrt(variance)
    apart = np.where((freedom > 0) & (spread > limit), 1 - limit / np.maximum(spread, limit), 0.0)[:, None]
    single = (own * known + 1) / (known + 1 / common)
    return np.where(seen, common + apart * (single - common), 0.0)
