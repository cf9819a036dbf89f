"""Posteriors of on/off counts: mixtures of Gamma distributions, exact and without integration.

With flat priors on the source and on the background, the posterior of the source counts S is a weighted sum of Gamma
distributions of whole shape and one rate. Here are the mixture itself, its quantiles, mode and shortest interval,
and its weights for one on/off measurement. All sums are made from logarithms.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from xphotfn.errors import InvalidRecord
from xphotfn.science._numeric import (
    Floats,
    over_valid,
    require_above_zero,
    require_not_negative,
    solve_increasing,
)

__all__ = (
    "GammaMixture",
    "convolve_logs",
    "mixture_density",
    "mixture_mode",
    "mixture_quantile",
    "mixture_shortest",
    "mixture_survival",
    "normalised_mixture",
    "of_on_off",
    "on_off_mixtures",
    "require_on_off",
)

NEGLIGIBLE = 50.0  # terms below exp(-50) of the largest are left out
ELEMENTS = 1_000_000  # terms of one chunk


class GammaMixture(NamedTuple):
    """Mixtures of Gamma(t + 1, rate) over t = first, first + 1, ..., one mixture per row.

    Parameters
    ----------
    first
        Smallest t of each row, shape (rows,).
    weight
        ln(w_t / t!), shape (rows, terms).
    above
        ln(W_t / t!) with W_t the sum of the weights from t on, shape (rows, terms).
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
        return self if which.size == self.first.size else GammaMixture(*(part[which] for part in self))


def normalised_mixture(first: Floats, log_weight: Floats, rate: Floats) -> GammaMixture:
    """Return the mixture with weights proportional to ``exp(log_weight)``, without its negligible terms."""
    top = np.max(log_weight, axis=1)
    kept = log_weight > (top - NEGLIGIBLE)[:, None]
    offset = np.argmax(kept, axis=1)
    terms = int(np.max(log_weight.shape[1] - np.argmax(kept[:, ::-1], axis=1) - offset))
    columns = offset[:, None] + np.arange(terms)
    inside = columns < log_weight.shape[1]
    chosen = np.take_along_axis(log_weight, np.where(inside, columns, 0), axis=1)
    weight = np.where(inside, np.exp(np.where(inside, chosen, -np.inf) - top[:, None]), 0.0)
    weight /= np.sum(weight, axis=1, keepdims=True)
    above = np.cumsum(weight[:, ::-1], axis=1)[:, ::-1]
    start = first + offset
    shapes = start[:, None] + np.arange(terms)
    mean = np.sum(weight * (shapes + 1), axis=1)
    variance = mean + np.sum(weight * (shapes + 1 - mean[:, None]) ** 2, axis=1)
    log_factorial = special.gammaln(shapes + 1)
    with np.errstate(divide="ignore"):
        logs = np.log(weight) - log_factorial, np.log(above) - log_factorial
    return GammaMixture(start, logs[0], logs[1], rate, mean, variance)


def _powers(mixture: GammaMixture, x: Floats) -> tuple[Floats, Floats]:
    """Return t and t ln x - x of every term; x = 0 counts as 1e-300."""
    t = mixture.first[:, None] + np.arange(mixture.weight.shape[1])
    return t, t * np.log(np.maximum(x, 1e-300))[:, None] - x[:, None]


def mixture_survival(mixture: GammaMixture, x: Floats) -> tuple[Floats, Floats]:
    """Return P(X > x) and the density at ``x``, both of X = rate times the variable.

    ``P = Q(t0, x) + sum_t W_t x^t e^-x / t!``: one incomplete gamma function per row, whatever the number of terms.
    """
    _, powers = _powers(mixture, x)
    below = np.where(mixture.first > 0, special.gammaincc(np.maximum(mixture.first, 1.0), x), 0.0)
    survival = below + np.sum(np.exp(mixture.above + powers), axis=1)
    return survival, np.asarray(np.sum(np.exp(mixture.weight + powers), axis=1))


def mixture_density(mixture: GammaMixture, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return ln of the density at ``x``, its first derivative, and minus its second derivative."""
    t, powers = _powers(mixture, x)
    logs = mixture.weight + powers
    top = np.max(logs, axis=1, keepdims=True)
    terms = np.exp(logs - top)
    total = np.sum(terms, axis=1)
    mean = np.sum(t * terms, axis=1) / total
    spread = np.sum((t - mean[:, None]) ** 2 * terms, axis=1) / total
    safe = np.maximum(x, 1e-300)
    with np.errstate(over="ignore"):
        return np.log(total) + top[:, 0], mean / safe - 1, (mean - spread) / safe / safe


def mixture_quantile(mixture: GammaMixture, probability: Floats, start: Floats | None = None) -> Floats:
    """Return x with P(X <= x) = probability, to 1e-12 of x or 1e-15 of probability."""
    shape, scale = mixture.mean**2 / mixture.variance, mixture.variance / mixture.mean
    if start is None:
        start = scale * special.gammaincinv(shape, probability)
    high = mixture.first + mixture.weight.shape[1]
    high = special.gammainccinv(high, (1 - probability) * (1 - 1e-9))  # the last term alone lies above the mixture

    def function(x: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        survival, density = mixture_survival(mixture.rows(which), x)
        aim = 1 - probability[which]
        return aim - survival, density

    return solve_increasing(function, np.zeros_like(high), high, start)


def mixture_mode(mixture: GammaMixture) -> Floats:
    """Return the x of the largest density; 0 where the density falls from the start."""
    terms = mixture.weight.shape[1]
    second = mixture.weight[:, 1] if terms > 1 else np.full(mixture.first.shape, -np.inf)
    falls = (mixture.first == 0) & (second <= mixture.weight[:, 0])
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
    upper = mixture_quantile(mixture, confidence)
    at_zero = mixture_density(mixture, np.zeros_like(upper))[0]
    from_zero = at_zero >= mixture_density(mixture, upper)[0]
    latest = upper.copy()

    def function(low: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        part = mixture.rows(which)
        reached = 1 - mixture_survival(part, low)[0] + confidence[which]
        high = latest[which] = mixture_quantile(part, np.minimum(reached, 1 - 1e-16), latest[which])
        (at_low, slope_low, _), (at_high, slope_high, _) = (mixture_density(part, x) for x in (low, high))
        return _level_difference(at_low - at_high, slope_low, slope_high)

    start = np.maximum(mode - 0.5 * upper, 0.3 * mode)
    low = solve_increasing(function, np.zeros_like(mode), np.where(from_zero, 0.0, mode), start)
    return np.where(from_zero, 0.0, low), np.where(from_zero, upper, latest)


def _level_difference(difference: Floats, slope_low: Floats, slope_high: Floats) -> tuple[Floats, Floats]:
    """Return an increasing function of the lower end, 0 at equal densities, that stays finite far from there.

    ``difference`` is ln p(low) - ln p(high), and ``d high/d low = p(low)/p(high)``.
    """
    smaller = np.exp(-np.abs(difference))
    with np.errstate(invalid="ignore", over="ignore"):
        above = 1 - smaller, slope_low * smaller - slope_high
        below = difference, slope_low - slope_high * smaller
    return np.where(difference > 0, above[0], below[0]), np.where(difference > 0, above[1], below[1])


def on_off_mixtures(
    n: Floats, b: Floats, alpha: Floats, f: Floats, g: Floats
) -> Iterator[tuple[NDArray[np.intp], GammaMixture]]:
    """Yield the posteriors of the source counts S of flat arrays of measurements, some rows at a time.

    ``n ~ Poisson(f S + c)`` and ``b ~ Poisson(g S + c/alpha)`` with flat priors on S and c. The order of the rows
    is that of the number of terms, so that rows of one chunk need about the same.
    """
    spill = g > 0
    low, high = _window(n, b, alpha)
    terms = np.where(spill, n + b + 1, high - low + 1)
    order = np.lexsort((terms, spill))
    begin = 0
    while begin < order.size:
        ahead = order[begin : begin + ELEMENTS]
        cost = np.maximum.accumulate(terms[ahead]) * np.arange(1, ahead.size + 1)
        same = spill[ahead] == spill[ahead[0]]
        rows = ahead[: max(1, int(np.count_nonzero((cost <= ELEMENTS) & same)))]
        begin += rows.size
        measured = n[rows], b[rows], alpha[rows], f[rows]
        if spill[rows[0]]:
            yield rows, _spilling_mixture(*measured, g[rows])
        else:
            yield rows, _clean_mixture(*measured, low[rows], high[rows])


def _window(n: Floats, b: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Return the range of background counts in the source region that can matter."""
    centre = np.minimum(alpha * b, n)
    width = 10.5 * np.sqrt(alpha * (1 + alpha) * (b + 1)) + NEGLIGIBLE * (1 + alpha)
    return np.maximum(np.floor(centre - width), 0.0), np.minimum(np.ceil(centre + width), n)


def _clean_mixture(n: Floats, b: Floats, alpha: Floats, f: Floats, low: Floats, high: Floats) -> GammaMixture:
    """Return the posterior where no source light falls into the background region."""
    terms = int(np.max(high - low)) + 1
    k = high[:, None] - np.arange(terms)
    real = k >= low[:, None]
    k = np.where(real, k, 0.0)
    log_weight = special.gammaln(b[:, None] + k + 1) - special.gammaln(k + 1) - k * np.log1p(1 / alpha)[:, None]
    return normalised_mixture(n - high, np.where(real, log_weight, -np.inf), f)


def _spilling_mixture(n: Floats, b: Floats, alpha: Floats, f: Floats, g: Floats) -> GammaMixture:
    """Return the posterior where a fraction g of the source falls into the background region."""
    source = _log_binomial(n, np.log(f / (f + g)), -np.log1p(1 / alpha))
    outside = _log_binomial(b, np.log(g / (f + g)), -np.log1p(alpha), _most_spilt(n, b, alpha, f, g))
    log_weight = convolve_logs(source, outside)
    total = np.broadcast_to((n + b)[:, None], log_weight.shape)
    t = np.arange(log_weight.shape[1])
    log_weight += special.gammaln(np.maximum(total - t, 0) + 1) + special.gammaln(t + 1)
    return normalised_mixture(np.zeros_like(n), np.where(t <= total, log_weight, -np.inf), f + g)


def _most_spilt(n: Floats, b: Floats, alpha: Floats, f: Floats, g: Floats) -> Floats:
    """Return how many of the background region's counts can come from the source: ten sigma, at most b."""
    most = np.maximum(n - alpha * b, 0) + 10 * np.sqrt(n + 1 + alpha**2 * (b + 1)) + NEGLIGIBLE
    spilt = g * most / np.maximum(f - alpha * g, 0.5 * f)
    return np.where(alpha * g < 0.5 * f, np.minimum(b, np.ceil(spilt + 10 * np.sqrt(spilt) + NEGLIGIBLE)), b)


def _log_binomial(n: Floats, log_x: Floats, log_y: Floats, most: Floats | None = None) -> Floats:
    """Return the logarithms of the coefficients of (x z + y)^n in z, up to z^most, one row per element."""
    k = np.arange(int(np.max(n if most is None else most)) + 1)
    rest = n[:, None] - k
    inside = rest >= 0
    rest = np.where(inside, rest, 0.0)
    logs = special.gammaln(n + 1)[:, None] - special.gammaln(k + 1) - special.gammaln(rest + 1)
    logs = logs + k * log_x[:, None] + rest * log_y[:, None]
    return np.where(inside, logs, -np.inf)


def convolve_logs(first: Floats, second: Floats) -> Floats:
    """Return the logarithm of the convolution of two arrays of logarithms along their last axis."""
    if first.shape[1] < second.shape[1]:
        first, second = second, first
    width = first.shape[1]
    result = np.full((first.shape[0], width + second.shape[1] - 1), -np.inf)
    for shift in range(second.shape[1]):
        part = result[:, shift : shift + width]
        np.logaddexp(part, first + second[:, shift : shift + 1], out=part)
    return result


def require_on_off(
    counts: ArrayLike, background: ArrayLike, alpha: ArrayLike, fractions: tuple[ArrayLike, ArrayLike]
) -> tuple[Floats, ...]:
    """Return counts, background, alpha, f and g as float64; refuse what no measurement can be."""
    n, b = require_not_negative(counts, "counts"), require_not_negative(background, "background")
    f = require_above_zero(fractions[0], "the fraction in the source region")
    g = require_not_negative(fractions[1], "the fraction in the background region")
    if np.any(n != np.floor(n), where=~np.isnan(n)):
        raise InvalidRecord("the posterior is a sum over whole counts: counts must be whole numbers")
    if np.any(g > 0) and np.any(b != np.floor(b), where=~np.isnan(b)):
        raise InvalidRecord("with source light in the background region its counts must be whole numbers")
    return n, b, require_above_zero(alpha, "alpha"), f, g


def of_on_off(
    function: Callable[[GammaMixture, Floats], tuple[Floats, ...]],
    outputs: int,
    measured: tuple[Floats, ...],
    level: Floats,
) -> tuple[Floats, ...]:
    """Return what ``function(mixture, level)`` gives, in source counts, of measurements from `require_on_off`."""

    def over_chunks(*flat: Floats) -> tuple[Floats, ...]:
        results = tuple(np.empty_like(flat[0]) for _ in range(outputs))
        for rows, mixture in on_off_mixtures(*flat[:5]):
            for whole, part in zip(results, function(mixture, flat[5][rows]), strict=True):
                whole[rows] = part / mixture.rate
        return results

    return over_valid(over_chunks, outputs, *measured, level)
