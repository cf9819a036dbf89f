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


def _values(
    mixture: GammaMixture, coefficients: Floats, x: Floats, derivatives: int = 0
) -> Iterator[tuple[int, Floats, list[Floats]]]:
    """Yield what ``sum_t w_t x^t e^-x / t!`` is made of, one block of terms after the other.

    Each block gives the number of its first term, the logarithm of ``x^a e^-x / a!``, and the polynomial in
    ``y = x/s`` by Horner's rule with its first derivatives, each divided by the factorial of its order. A polynomial
    that overflows belongs to a block so far below x that it adds nothing: 0 then.
    """
    log_x = np.log(np.maximum(x, 1e-300))
    for begin in range(0, coefficients.shape[0], BLOCK):
        start = mixture.first + begin
        with np.errstate(over="ignore", invalid="ignore"):
            found = _horner(coefficients[begin : begin + BLOCK], x / (start + BLOCK / 2), derivatives)
        if coefficients.shape[0] > BLOCK:
            fits = np.all(np.isfinite(found), axis=0)
            found = [np.where(fits, value, 0.0) for value in found]
        yield begin, start * log_x - x - special.gammaln(start + 1), found


def _horner(coefficients: Floats, y: Floats, derivatives: int) -> list[Floats]:
    """Return polynomials and their derivatives over the factorials of their orders, one row of coefficients a power."""
    if y.size < FEW:  # one step for each power would cost more than all powers at once
        found, powers = [], np.exp(np.arange(coefficients.shape[0])[:, None] * np.log(np.maximum(y, 1e-300)))
        for order in range(derivatives + 1):
            found.append(np.sum(coefficients[order:] * powers[: max(powers.shape[0] - order, 0)], axis=0))
            coefficients = coefficients * ((np.arange(coefficients.shape[0]) - order) / (order + 1))[:, None]
        return found
    found = [np.zeros_like(y) for _ in range(derivatives + 1)]
    for row in coefficients[::-1]:
        for order in range(derivatives, 0, -1):
            found[order] *= y
            found[order] += found[order - 1]
        found[0] *= y
        found[0] += row
    return found


def mixture_survival(mixture: GammaMixture, x: Floats) -> tuple[Floats, Floats]:
    """Return P(X > x) and the density at ``x``, both of X = rate times the variable.

    ``P = Q(t0, x) + sum_t W_t x^t e^-x / t!``: one incomplete gamma function per row, whatever the number of terms.
    """
    survival = np.where(mixture.first > 0, special.gammaincc(np.maximum(mixture.first, 1.0), x), 0.0)
    density = np.zeros_like(x)
    blocks = zip(_values(mixture, mixture.above, x), _values(mixture, mixture.weight, x), strict=True)
    for (_, log_unit, (above,)), (_, _, (weight,)) in blocks:
        unit = np.exp(log_unit)
        survival += unit * above
        density += unit * weight
    return survival, density


def mixture_density(mixture: GammaMixture, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return ln of the density at ``x``, its first derivative, and minus its second derivative."""
    logs, steps, squares = [], [], []
    for begin, log_unit, (value, first, second) in _values(mixture, mixture.weight, x, derivatives=2):
        y = x / (mixture.first + begin + BLOCK / 2)
        some = np.where(value > 0, value, 1.0)
        step, pairs = y * first / some, 2 * y * y * second / some
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


def mixture_mode(mixture: GammaMixture) -> Floats:
    """Return the x of the largest density; 0 where the density falls from the start."""
    terms = mixture.weight.shape[0]
    second = mixture.weight[1] / (BLOCK / 2) if terms > 1 else np.zeros_like(mixture.first)  # w_1 where first is 0
    falls = (mixture.first == 0) & (second <= mixture.weight[0])
    high = mixture.first + terms

    def function(x: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        _, slope, bend = mixture_density(mixture.rows(which), x)
        return -slope, bend

    low = np.where(falls, 1e-300, np.maximum(mixture.first, 1e-300))
    start = np.clip(mixture.mean - mixture.variance / mixture.mean, 0.1 * mixture.mean, high)
    return np.where(falls, 0.0, solve_increasing(function, low, np.where(falls, low, high), start))


def mixture_shortest(mixture: GammaMixture, confidence: Floats) -> tuple[Floats, Floats]:
    """Return the shortest interval of a probability, the interval of highest posterior density."""
    mode = mixture_mode(mixture)
    low, high = np.zeros_like(mode), np.zeros_like(mode)
    rows = np.flatnonzero(mixture.first == 0)  # elsewhere the density at 0 is 0
    start = mixture.rows(rows)
    high[rows] = mixture_quantile(start, confidence[rows])
    with np.errstate(divide="ignore"):
        falls = np.log(start.weight[0]) >= mixture_density(start, high[rows])[0]
    inner = np.ones(mode.size, dtype=bool)
    inner[rows[falls]] = False
    rows = np.flatnonzero(inner)
    part = mixture.rows(rows), confidence[rows], mode[rows]
    low[rows], high[rows], done = _level_pair(*part)
    rest = rows[~done]
    if rest.size:
        low[rest], high[rest] = _bracketed_pair(mixture.rows(rest), confidence[rest], mode[rest])
    return low, high


def _level_pair(mixture: GammaMixture, confidence: Floats, mode: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the points of equal density that hold the confidence, by Newton's method, and where it found them."""
    log_top, _, bend = mixture_density(mixture, mode)
    width = 1 / np.sqrt(np.maximum(bend, 1e-300))
    share = confidence / (np.exp(log_top) * width * np.sqrt(2 * np.pi))  # of a normal density with this top
    z = -special.ndtri(0.5 * np.clip(1 - share, 1e-9, 1.0))
    skew = z * z / 3
    low = np.clip(mode - z * width + skew, 0.1 * mode, 0.95 * mode)
    high = np.maximum(mode + z * width + skew, mode + 0.05 * width)
    done = np.zeros(mode.size, dtype=bool)
    for _ in range(ROUNDS_OF_NEWTON):
        which = np.flatnonzero(~done)
        if which.size == 0:
            break
        part, x, y, top = mixture.rows(which), low[which], high[which], mode[which]
        at_x, at_y = (mixture_survival(part, v) for v in (x, y))
        slopes = mixture_density(part, x)[1], mixture_density(part, y)[1]
        with np.errstate(all="ignore"):
            mass, level = at_x[0] - at_y[0] - confidence[which], np.log(at_x[1]) - np.log(at_y[1])
            determinant = at_x[1] * slopes[1] - at_y[1] * slopes[0]
            step_x = (mass * slopes[1] + level * at_y[1]) / determinant
            step_y = (level * at_x[1] + mass * slopes[0]) / determinant
        good = np.isfinite(step_x) & np.isfinite(step_y)  # the others are left to the search that cannot fail
        new_x = np.where(good, np.clip(x + step_x, 0.2 * x, 0.5 * (x + top)), x)
        new_y = np.where(good, np.clip(y + step_y, 0.5 * (y + top), 3 * y), y)
        low[which], high[which] = new_x, new_y
        done[which] = good & (np.abs(new_x - x) <= 1e-9 * x) & (np.abs(new_y - y) <= 1e-9 * y)
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
