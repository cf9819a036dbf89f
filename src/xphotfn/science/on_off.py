"""The posterior of the source counts of an on/off measurement, as a mixture of Gamma distributions."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.science._numeric import Floats, over_valid, require_above_zero, require_not_negative
from xphotfn.science.convolution import convolve_concave
from xphotfn.science.gamma_mixture import NEGLIGIBLE, GammaMixture, mixture_of, normalised_mixture

__all__ = ("of_on_off", "on_off_mixtures", "require_on_off")

RANGE = 600.0  # what logarithms may differ by for their numbers to fit in a float64, with room to spare
SAME = 1e-9  # counts; a smaller fraction is rounding
DIRECT = 400  # terms of the shorter factor up to which a sum is made term by term
ELEMENTS = 200_000  # terms of one chunk, which stay in the processor's cache


def on_off_mixtures(
    n: Floats, b: Floats, alpha: Floats, f: Floats, g: Floats
) -> Iterator[tuple[NDArray[np.intp], GammaMixture]]:
    """Yield the posteriors of the source counts S of flat arrays of measurements, some rows at a time.

    ``n ~ Poisson(f S + c)`` and ``b ~ Poisson(g S + c/alpha)`` with flat priors on S and c. The order of the rows
    is that of the number of terms, so that rows of one chunk need about the same.
    """
    spill = g > 0
    low, high = _window(n, b, alpha)
    first, last, most = _spilt_window(n, b, alpha, f, np.where(spill, g, f))
    terms = np.where(spill, last - first + most + 1, high - low + 1)
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
            yield rows, _spilling_mixture(*measured, g[rows], (first[rows], last[rows], most[rows]))
        else:
            yield rows, _clean_mixture(*measured, low[rows], high[rows])


def _window(n: Floats, b: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Return the range of background counts in the source region that can matter."""
    centre = np.minimum(alpha * b, n)
    width = 10.5 * np.sqrt(alpha * (1 + alpha) * (b + 1)) + NEGLIGIBLE * (1 + alpha)
    return np.maximum(np.floor(centre - width), 0.0), np.minimum(np.ceil(centre + width), n)


def _clean_mixture(n: Floats, b: Floats, alpha: Floats, f: Floats, low: Floats, high: Floats) -> GammaMixture:
    """Return the posterior where no source light falls into the background region.

    The weights of k background counts grow from ``low`` by the ratio ``(b + k)/k alpha/(1 + alpha)``.
    """
    k = low + np.arange(int(np.max(high - low)), -1, -1.0)[:, None]
    with np.errstate(divide="ignore"):
        growth = np.log((alpha / (1 + alpha)) * (b + k) / np.maximum(k, 1.0))
    growth[-1] = 0.0
    logs = np.where(k <= high, np.cumsum(growth[::-1], axis=0)[::-1], -np.inf)
    return mixture_of(n - k[0], np.exp(logs - np.max(logs, axis=0)), f)


def _spilling_mixture(
    n: Floats, b: Floats, alpha: Floats, f: Floats, g: Floats, window: tuple[Floats, Floats, Floats]
) -> GammaMixture:
    """Return the posterior where a fraction g of the source falls into the background region.

    With i of the n counts and j of the b from the source, the weight of t = i + j is
    ``t! (n + b - t)! sum_ij C(n, i) (f/(f+g))^i (alpha/(1+alpha))^(n-i) C(b, j) (g/(f+g))^j (1+alpha)^(j-b)``. The
    sum is made of numbers, term by term, where they fit and are few: both factors are tilted by ``exp(c t)`` so that
    they do. Elsewhere :func:`~xphotfn.science.convolution.convolve_concave` makes it.
    """
    first, last, most = window
    source = _log_terms(n, first, last, f / (f + g) * (1 + 1 / alpha))
    outside = _log_terms(b, np.zeros_like(b), most, g / (f + g) * (1 + alpha))
    t = first + np.arange(source.shape[0] + outside.shape[0] - 1)[:, None]
    factor = _cumulated(np.maximum(t, 1.0) / np.maximum(n + b - t + 1, 1.0))
    possible = t <= np.minimum(last + most, n + b)
    tilt = factor[np.count_nonzero(possible, axis=0) - 1, np.arange(n.size)] / np.maximum(last + most - first, 1.0)
    factor = np.where(possible, factor - tilt * (t - first), np.nan)
    spread = np.nanmax(np.nanmax(factor, axis=0) - np.nanmin(factor, axis=0))
    source += tilt * np.arange(source.shape[0])[:, None]
    outside += tilt * np.arange(outside.shape[0])[:, None]
    if spread < RANGE and min(source.shape[0], outside.shape[0]) < DIRECT:
        raw = _convolved(*(np.exp(v - np.max(v, axis=0)) for v in (source, outside)))
        raw *= np.exp(np.where(possible, factor - np.nanmax(factor, axis=0), -np.inf))
        return mixture_of(first, raw, f + g)
    factor = np.where(possible, factor, -np.inf)
    logs = np.full(factor.shape, -np.inf)
    for row in range(n.size):
        one, other = (v[np.isfinite(v[:, row]), row] for v in (source, outside))
        found = convolve_concave(one, other, factor[: one.size + other.size - 1, row])
        logs[: found.size, row] = found
    return normalised_mixture(first, logs.T, f + g)


def _cumulated(ratio: Floats) -> Floats:
    """Return the logarithms of the products of ratios down each column, the first taken as 1."""
    logs = np.log(ratio)
    logs[0] = 0.0
    return np.asarray(np.cumsum(logs, axis=0))


def _log_terms(n: Floats, first: Floats, last: Floats, odds: Floats) -> Floats:
    """Return ln of ``C(n, i) odds^i`` but for a constant, i from first to last, shape (terms, rows)."""
    i = first + np.arange(int(np.max(last - first)) + 1)[:, None]
    logs = _cumulated(np.maximum(n - i + 1, 1.0) / np.maximum(i, 1.0) * odds)
    return np.where(i <= last, logs, -np.inf)


def _convolved(first: Floats, second: Floats) -> Floats:
    """Return the convolution of two arrays along their first axis."""
    if first.shape[0] < second.shape[0]:
        first, second = second, first
    result = np.zeros((first.shape[0] + second.shape[0] - 1, first.shape[1]))
    for shift, row in enumerate(second):
        result[shift : shift + first.shape[0]] += first * row
    return result


def _spilt_window(n: Floats, b: Floats, alpha: Floats, f: Floats, g: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the range of source counts among the n, and the largest number among the b, that can matter."""
    most = _most_spilt(n, b, alpha, f, g)
    low, _ = _window(n, b - most, alpha)
    _, high = _window(n, b, alpha)
    return n - high, n - low, most


def _most_spilt(n: Floats, b: Floats, alpha: Floats, f: Floats, g: Floats) -> Floats:
    """Return how many of the background region's counts can come from the source, to a chance of exp(-50)."""
    most = np.maximum(n - alpha * b, 0) + 10 * np.sqrt(n + 1 + alpha**2 * (b + 1)) + NEGLIGIBLE
    mean = g * most / np.maximum(f - alpha * g, 0.5 * f)
    k = mean + 10 * np.sqrt(mean) + NEGLIGIBLE
    for _ in range(6):  # Newton's method for the Poisson tail bound k ln(k/mean) - k + mean = 50, from above
        log_ratio = np.log(k / mean)
        k = k - (k * log_ratio - k + mean - NEGLIGIBLE) / log_ratio
    return np.where(alpha * g < 0.5 * f, np.minimum(b, np.ceil(k)), b)


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
    """Return what ``function(mixture, level)`` gives, in source counts, of measurements from `require_on_off`.

    Weighted sums of counts may come without that check: n with a fraction gives what lies linearly between the whole
    numbers beside it, since to second order a weighted sum is distributed as so many counts.
    """

    def over_chunks(*flat: Floats) -> tuple[Floats, ...]:
        whole = np.floor(flat[0] + SAME)
        part = np.flatnonzero(flat[0] - whole > SAME)
        both = (np.concatenate([v, v[part]]) for v in flat[1:])
        found = _of_whole(function, outputs, (np.concatenate([whole, whole[part] + 1]), *both))
        results = tuple(v[: whole.size] for v in found)
        for result, other in zip(results, (v[whole.size :] for v in found), strict=True):
            result[part] += (flat[0] - whole)[part] * (other - result[part])
        return results

    return over_valid(over_chunks, outputs, *measured, level)


def _of_whole(
    function: Callable[[GammaMixture, Floats], tuple[Floats, ...]], outputs: int, flat: tuple[Floats, ...]
) -> tuple[Floats, ...]:
    results = tuple(np.empty_like(flat[0]) for _ in range(outputs))
    for rows, mixture in on_off_mixtures(*flat[:5]):
        for whole, part in zip(results, function(mixture, flat[5][rows]), strict=True):
            whole[rows] = part / mixture.rate
    return results
