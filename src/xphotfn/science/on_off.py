"""The posterior of the source counts of an on/off measurement, as a mixture of Gamma distributions."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from xphotfn.errors import InvalidRecord
from xphotfn.science._numeric import Floats, over_valid, require_above_zero, require_not_negative
from xphotfn.science.gamma_mixture import NEGLIGIBLE, GammaMixture, convolve_logs, mixture_of, normalised_mixture

__all__ = ("of_on_off", "on_off_mixtures", "require_on_off")

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
    """Return the posterior where no source light falls into the background region.

    The weights of k background counts grow from ``low`` by the ratio ``(b + k)/k alpha/(1 + alpha)``.
    """
    k = low + np.arange(int(np.max(high - low)), -1, -1.0)[:, None]
    with np.errstate(divide="ignore"):
        growth = np.log((alpha / (1 + alpha)) * (b + k) / np.maximum(k, 1.0))
    growth[-1] = 0.0
    logs = np.where(k <= high, np.cumsum(growth[::-1], axis=0)[::-1], -np.inf)
    return mixture_of(n - k[0], np.exp(logs - np.max(logs, axis=0)), f)


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
