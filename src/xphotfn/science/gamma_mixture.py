"""Posteriors of on/off counts: mixtures of Gamma distributions, exact and without integration.

With flat priors on the source and on the background, the posterior of the source counts S is a weighted sum of Gamma
distributions of whole shape and one rate. Here are the mixture itself, its quantiles, mode and shortest interval;
:mod:`xphotfn.science.on_off` has its weights for an on/off measurement.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from xphotfn.science._numeric import (
    Floats,
    solve_increasing,
)

__all__ = (
    "GammaMixture",
    "mixture_density",
    "mixture_mode",
    "mixture_of",
    "mixture_quantile",
    "mixture_shortest",
    "mixture_survival",
    "normalised_mixture",
    "weights_of",
)

NEGLIGIBLE = 50.0  # terms below exp(-50) of the largest are left out
BLOCK = 320  # terms that one polynomial holds: its values stay within a float64
FEW = 128  # rows
ROUNDS_OF_NEWTON = 12
LAST_STEP = 1e-7  # of x: what such a step of Newton leaves is of the order of its square
ROUGH = 1e-2  # the same of a mode that serves as a start


class GammaMixture(NamedTuple):
    """Mixtures of Gamma(t + 1, rate) over t = first, first + 1, ..., one mixture per row.

    Parameters
    ----------
    first
        Smallest t of each row, shape (rows,).
    weight
        The weights w_t as coefficients of the polynomials of :func:`_values`, shape (terms, rows).
    above
        The same of W_t, the sum of the weights from t on.
    rate
        Rate of all Gamma distributions of a row, shape (rows,).
    mean, variance
        Moments in units of 1/rate, shape (rows,).
    """

    first: Floats
    weight: Floats
    above: Floats
    rate: Floats
    mean: Floats
    variance: Floats

    def rows(self, which: NDArray[np.intp]) -> "GammaMixture":
        """Return the mixtures of some rows."""
        return self if which.size == self.first.size else GammaMixture(*(part[..., which] for part in self))


def normalised_mixture(first: Floats, log_weight: Floats, rate: Floats) -> GammaMixture:
    """Return the mixture with weights proportional to ``exp(log_weight)``, shape (rows, terms)."""
    weight = np.exp(log_weight - np.max(log_weight, axis=1, keepdims=True))
    return mixture_of(first, np.ascontiguousarray(weight.T), rate)


def mixture_of(first: Floats, raw: Floats, rate: Floats) -> GammaMixture:
    """Return the mixture with weights proportional to ``raw``, shape (terms, rows), without its negligible terms."""
    kept = raw > np.exp(-NEGLIGIBLE) * np.max(raw, axis=0)
    offset = np.argmax(kept, axis=0)
    last = raw.shape[0] - np.argmax(kept[::-1], axis=0)
    place = offset + np.arange(int(np.max(last - offset)))[:, None]
    inside = place < last
    weight = np.where(inside, np.take_along_axis(raw, np.where(inside, place, 0), axis=0), 0.0)
    weight /= np.sum(weight, axis=0)
    start, steps = first + offset, np.arange(1.0, weight.shape[0] + 1)
    step = steps @ weight
    spread = (steps * steps) @ weight - step * step
    mean = start + step
    factor = _factors(start, weight.shape[0])
    above = np.cumsum(weight[::-1], axis=0)[::-1]
    return GammaMixture(start, weight * factor, above * factor, rate, mean, mean + np.maximum(spread, 0.0))


def weights_of(mixture: GammaMixture) -> Floats:
    """Return the weights of the terms, of sum 1, shape (terms, rows)."""
    return np.asarray(mixture.weight / _factors(mixture.first, mixture.weight.shape[0]))


def _factors(first: Floats, terms: int) -> Floats:
    """Return ``s^j a!/(a + j)!`` with a the first t of a block, j the place within it and ``s = a + BLOCK/2``."""
    place = np.arange(float(min(BLOCK, terms)))[:, None]
    start = first + BLOCK * np.arange(float(-(-terms // BLOCK)))[:, None, None]
    ratio = (start + BLOCK / 2) / (start + np.maximum(place, 1.0))
    ratio[:, 0] = 1.0
    return np.asarray(np.cumprod(ratio, axis=1).reshape(-1, first.size)[:terms])


class _Block(NamedTuple):
    """What ``sum_t w_t x^t e^-x / t!`` is made of in one block of terms, each of shape (rows,).

    ``log_unit`` is the logarithm of ``x^a e^-x / a!`` with a the first t of the block, whose number is ``begin``. With
    j the place within the block and ``y = x/s``, ``moments`` are the sums of ``w_j y^j`` times 1, j and j (j - 1),
    and ``tail`` is that of the ``W_j y^j``.
    """

    begin: int
    log_unit: Floats
    moments: list[Floats]
    tail: Floats


def _blocks(mixture: GammaMixture, x: Floats, orders: int) -> Iterator[_Block]:
    """Yield one block of terms after the other, with that many moments.

    A polynomial that overflows belongs to a block so far below x that it adds nothing: 0 then.
    """
    log_x, terms = np.log(np.maximum(x, 1e-300)), mixture.weight.shape[0]
    for begin in range(0, terms, BLOCK):
        start, part = mixture.first + begin, slice(begin, begin + BLOCK)
        with np.errstate(over="ignore", invalid="ignore"):
            work = _all_powers if x.size < FEW else _horner
            found = work(mixture.weight[part], mixture.above[part], x / (start + BLOCK / 2), orders)
        if terms > BLOCK:
            fits = np.all(np.isfinite(found), axis=0)
            found = [np.where(fits, value, 0.0) for value in found]
        yield _Block(begin, start * log_x - x - special.gammaln(start + 1), found[:-1], found[-1])


def _all_powers(weight: Floats, above: Floats, y: Floats, orders: int) -> list[Floats]:
    """Return moments and tail from all powers at once: of few rows, one step for each power would cost more."""
    powers = np.exp(_PLACES[: weight.shape[0]] * np.log(np.maximum(y, 1e-300)))
    return [*(_FACTORS[:orders, : weight.shape[0]] @ (weight * powers)), np.add.reduce(above * powers)]


_PLACES = np.arange(float(BLOCK))[:, None]
_FACTORS = np.vstack([np.ones(BLOCK), np.arange(BLOCK), np.arange(BLOCK) * np.arange(-1.0, BLOCK - 1)])


def _horner(weight: Floats, above: Floats, y: Floats, orders: int) -> list[Floats]:
    """Return moments and tail by Horner's rule, one row of coefficients a power; moments are scaled derivatives."""
    tail, found = np.zeros_like(y), [np.zeros_like(y) for _ in range(orders)]
    for row, cumulated in zip(weight[::-1], above[::-1], strict=True):
        for order in range(orders - 1, 0, -1):
            found[order] *= y
            found[order] += found[order - 1]
        found[0] *= y
        found[0] += row
        tail *= y
        tail += cumulated
    scales: tuple[Floats | float, ...] = 1.0, y, 2 * y * y
    return [*(value * scale for value, scale in zip(found, scales, strict=False)), tail]


def mixture_survival(mixture: GammaMixture, x: Floats) -> tuple[Floats, Floats]:
    """Return P(X > x) and the density at ``x``, both of X = rate times the variable.

    ``P = Q(t0, x) + sum_t W_t x^t e^-x / t!``: one incomplete gamma function per row, whatever the number of terms.
    """
    survival, density = _shared_survival(mixture, x), np.zeros_like(x)
    for _, log_unit, (value,), tail in _blocks(mixture, x, 1):
        unit = np.exp(log_unit)
        survival += unit * tail
        density += unit * value
    return survival, density


def _shared_survival(mixture: GammaMixture, x: Floats) -> Floats:
    """Return the part of P(X > x) that all terms have in common, ``Q(t0, x)``."""
    return np.where(mixture.first > 0, special.gammaincc(np.maximum(mixture.first, 1.0), x), 0.0)


def _survival_and_slope(mixture: GammaMixture, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return P(X > x), the density, and the first derivative of its logarithm; NaN where the density underflows."""
    survival, density, mean = _shared_survival(mixture, x), np.zeros_like(x), np.zeros_like(x)
    for begin, log_unit, (value, step), tail in _blocks(mixture, x, 2):
        unit = np.exp(log_unit)
        survival += unit * tail
        density += unit * value
        mean += unit * (begin * value + step)
    with np.errstate(all="ignore"):
        return survival, density, (mixture.first + mean / density) / x - 1


def mixture_density(mixture: GammaMixture, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return ln of the density at ``x``, its first derivative, and minus its second derivative."""
    logs, steps, squares = [], [], []
    for begin, log_unit, (value, first, second), _ in _blocks(mixture, x, 3):
        some = np.where(value > 0, value, 1.0)
        step, pairs = first / some, second / some
        with np.errstate(divide="ignore"):
            logs.append(np.where(value > 0, np.log(value) + log_unit, -np.inf))
        steps.append(begin + step)
        squares.append(begin * begin + (2 * begin + 1) * step + pairs)
    top = np.max(logs, axis=0)
    terms = np.exp(logs - top)
    total = np.sum(terms, axis=0)
    step = np.sum(terms * steps, axis=0) / total
    spread = np.sum(terms * squares, axis=0) / total - step * step
    mean, safe = mixture.first + step, np.maximum(x, 1e-300)
    with np.errstate(over="ignore"):
        return np.log(total) + top, mean / safe - 1, (mean - spread) / safe / safe


def mixture_quantile(mixture: GammaMixture, probability: Floats, start: Floats | None = None) -> Floats:
    """Return x with P(X <= x) = probability, to 1e-12 of x or 1e-15 of probability."""
    if start is None:
        shape = mixture.mean**2 / mixture.variance
        bend = 1 - 1 / (9 * shape) + special.ndtri(probability) / (3 * np.sqrt(shape))  # Wilson and Hilferty (1931)
        start = mixture.mean * np.maximum(bend, 0.1) ** 3
    last, log_tail = mixture.first + mixture.weight.shape[0], -np.log1p(-probability)
    high = last + np.sqrt(2 * last * log_tail) + log_tail  # the tail of the last term: Laurent and Massart (2000)

    def function(x: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        survival, density = mixture_survival(mixture.rows(which), x)
        aim = 1 - probability[which]
        return aim - survival, density

    return solve_increasing(function, np.zeros_like(high), high * (1 + 1e-9), start)


def mixture_mode(mixture: GammaMixture, *, last_step: float = 1e-9) -> Floats:
    """Return the x of the largest density; 0 where the density falls from the start.

    It is good to the square of ``last_step``, a part of x.
    """
    terms = mixture.weight.shape[0]
    second = mixture.weight[1] / (BLOCK / 2) if terms > 1 else np.zeros_like(mixture.first)  # w_1 where first is 0
    falls = (mixture.first == 0) & (second <= mixture.weight[0])
    high = mixture.first + terms

    def function(x: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        _, slope, bend = mixture_density(mixture.rows(which), x)
        return -slope, bend

    low = np.where(falls, 1e-300, np.maximum(mixture.first, 1e-300))
    start = np.clip(mixture.mean - mixture.variance / mixture.mean, 0.1 * mixture.mean, high)
    return np.where(falls, 0.0, solve_increasing(function, low, np.where(falls, low, high), start, last_step=last_step))


def mixture_shortest(mixture: GammaMixture, confidence: Floats) -> tuple[Floats, Floats]:
    """Return the shortest interval of a probability, the interval of highest posterior density."""
    mode = mixture_mode(mixture, last_step=ROUGH)
    low, high, inner = np.zeros_like(mode), np.zeros_like(mode), np.ones(mode.size, dtype=bool)
    rows = np.flatnonzero(mixture.first == 0)  # elsewhere the density at 0 is 0
    if rows.size:
        start = mixture.rows(rows)
        high[rows] = mixture_quantile(start, confidence[rows])
        with np.errstate(divide="ignore"):
            inner[rows] = np.log(start.weight[0]) < mixture_density(start, high[rows])[0]
    rows = np.flatnonzero(inner)
    low[rows], high[rows], done = _level_pair(mixture.rows(rows), confidence[rows], mode[rows])
    rest = rows[~done]
    if rest.size:
        part = mixture.rows(rest)
        low[rest], high[rest] = _bracketed_pair(part, confidence[rest], mixture_mode(part))
    return low, high


def _level_pair(mixture: GammaMixture, confidence: Floats, mode: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the points of equal density that hold the confidence, by Newton's method, and where it found them.

    The mode need not be exact: it gives the start, and what neither point may step across.
    """
    log_top, _, bend = mixture_density(mixture, mode)
    width = 1 / np.sqrt(np.maximum(bend, 1e-300))
    share = confidence / (np.exp(log_top) * width * np.sqrt(2 * np.pi))  # of a normal density with this top
    z = -special.ndtri(0.5 * np.clip(1 - share, 1e-9, 1.0))
    skew = z * z / 3
    low = np.clip(mode - z * width + skew, 0.1 * mode, 0.95 * mode)
    high = np.maximum(mode + z * width + skew, mode + 0.05 * width)
    done, both = np.zeros(mode.size, dtype=bool), mixture.rows(np.tile(np.arange(mode.size), 2))
    for _ in range(ROUNDS_OF_NEWTON):
        which = np.flatnonzero(~done)
        if which.size == 0:
            break
        x, y, top = low[which], high[which], mode[which]
        part = both.rows(np.concatenate([which, which + mode.size]))
        found = _survival_and_slope(part, np.concatenate([x, y]))
        (above_x, above_y), (at_x, at_y), (slope_x, slope_y) = (v.reshape(2, -1) for v in found)
        with np.errstate(all="ignore"):
            mass, level = above_x - above_y - confidence[which], np.log(at_x) - np.log(at_y)
            determinant = at_x * slope_y - at_y * slope_x
            step_x = (mass * slope_y + level * at_y) / determinant
            step_y = (level * at_x + mass * slope_x) / determinant
        good = np.isfinite(step_x) & np.isfinite(step_y)  # the others are left to the search that cannot fail
        new_x = np.where(good, np.minimum(np.maximum(x + step_x, 0.2 * x), 0.5 * (x + top)), x)
        new_y = np.where(good, np.minimum(np.maximum(y + step_y, 0.5 * (y + top)), 3 * y), y)
        low[which], high[which] = new_x, new_y
        done[which] = good & (np.abs(new_x - x) <= LAST_STEP * x) & (np.abs(new_y - y) <= LAST_STEP * y)
    return low, high, done


def _bracketed_pair(mixture: GammaMixture, confidence: Floats, mode: Floats) -> tuple[Floats, Floats]:
    """Return the same as :func:`_level_pair` by a search that cannot fail, one inside another."""
    upper = mixture_quantile(mixture, confidence)
    latest = upper.copy()

    def function(low: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        part = mixture.rows(which)
        reached = 1 - mixture_survival(part, low)[0] + confidence[which]
        high = latest[which] = mixture_quantile(part, np.minimum(reached, 1 - 1e-16), latest[which])
        (at_low, slope_low, _), (at_high, slope_high, _) = (mixture_density(part, x) for x in (low, high))
        return _level_difference(at_low - at_high, slope_low, slope_high)

    start = np.maximum(mode - 0.5 * upper, 0.3 * mode)
    return solve_increasing(function, np.zeros_like(mode), mode, start), latest


def _level_difference(difference: Floats, slope_low: Floats, slope_high: Floats) -> tuple[Floats, Floats]:
    """Return an increasing function of the lower end, 0 at equal densities, that stays finite far from there.

    ``difference`` is ln p(low) - ln p(high), and ``d high/d low = p(low)/p(high)``.
    """
    smaller = np.exp(-np.abs(difference))
    with np.errstate(invalid="ignore", over="ignore"):
        above = 1 - smaller, slope_low * smaller - slope_high
        below = difference, slope_low - slope_high * smaller
    return np.where(difference > 0, above[0], below[0]), np.where(difference > 0, above[1], below[1])
