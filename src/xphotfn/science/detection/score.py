"""The matched filter for Poisson counts: the significance of a source at each pixel in a closed form.

With the background b, exposure E, counts n and light P: the score ``U = sum P E (n - b)/b`` of the rate at 0, its
variance ``V = sum P^2 E^2/b`` and third cumulant ``W = sum P^3 E^3/b^2``. All three are convolutions, and add up over
maps. An effective Poisson variable of the same skew ``g = W/V^1.5`` turns them into a likelihood ratio.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

from xphotfn.science._numeric import Floats
from xphotfn.science.detection.templates import Profiles, at, place_of

__all__ = ("Score", "kernel_of", "local_maxima", "score_maps", "significance_of")


class Score(NamedTuple):
    """Score, variance and third cumulant at each pixel of a map, shape (ny, nx)."""

    score: Floats
    variance: Floats
    third: Floats


def kernel_of(profiles: Profiles, u: float, radius: int) -> Floats:
    """Return the light of a source of rate 1 on the pixels around its own, shape (2 radius + 1, 2 radius + 1)."""
    steps = np.arange(-radius, radius + 1.0) ** 2
    squared = steps + steps[:, None]
    (light,) = at(place_of(squared)[0], profiles.row(u)[0])
    return np.asarray(np.where(squared <= radius**2, light, 0.0))


def score_maps(
    counts: Floats,
    exposure: Floats,
    background: Floats,
    kernels: Sequence[Floats],
    spread: Floats | None = None,
) -> tuple[Score, ...]:
    """Return the scores of one map for several kernels.

    Parameters
    ----------
    counts, exposure, background
        Of shape (ny, nx); the background in counts, above 0 where there is exposure.
    kernels
        Light of sources, as :func:`kernel_of` gives it.
    spread
        Error of the background in counts, added to its variance.

    Notes
    -----
    Fourier transforms in single precision: their error is below 1e-5 of the largest value.
    """
    live = exposure > 0
    b = np.where(live, background, 1.0)
    e = np.where(live, exposure / float(exposure.max(initial=1e-30)), 0.0)  # of order 1, for single precision
    variance = e * e / b if spread is None else e * e * (b + spread**2) / b**2
    reach = max(len(k) // 2 for k in kernels)
    size = tuple(fft.next_fast_len(length + 2 * reach, real=True) for length in counts.shape)
    planes = (np.where(live, e * (counts - b) / b, 0.0), variance, e**3 / b**2)
    images = [fft.rfft2(p.astype(np.float32), size) for p in planes]
    ny, nx = counts.shape
    found = []
    for kernel in kernels:
        half = len(kernel) // 2
        parts = []
        for power, image in enumerate(images, start=1):
            plane = fft.irfft2(image * fft.rfft2((kernel**power).astype(np.float32), size), size)
            parts.append(plane[half : half + ny, half : half + nx].astype(np.float64))
        found.append(Score(parts[0], np.maximum(parts[1], 0.0), np.maximum(parts[2], 0.0)))
    top = float(exposure.max(initial=1e-30))
    return tuple(Score(s.score * top, s.variance * top**2, s.third * top**3) for s in found)


def significance_of(score: Score) -> Floats:
    """Return the significance in sigma, negative for a deficit, 0 where there is no exposure.

    Notes
    -----
    ``Z = sign(z) sqrt(2 [(1 + g z) ln(1 + g z) - g z])/g`` with ``z = U/sqrt(V)`` and ``g = W/V^1.5``; z where g is 0.
    Z^2/2 is the likelihood ratio of the best rate, within some 10 %.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> float(significance_of(Score(10 * one, one, 0.3 * one)).round(3)[0, 0])
    7.521
    """
    floor = 1e-4 * float(score.variance.max(initial=0.0))
    live = score.variance > max(floor, 1e-300)
    v = np.where(live, score.variance, 1.0)
    z = np.where(live, score.score / np.sqrt(v), 0.0)
    g = np.clip(np.where(live, score.third / v**1.5, 0.0), 1e-3, None)
    t = np.maximum(g * z, -1 + 1e-12)
    return np.asarray(np.sign(z) * np.sqrt(2 * np.maximum((1 + t) * np.log1p(t) - t, 0.0)) / g)


def local_maxima(image: Floats, least: float, size: int = 3) -> tuple[Floats, Floats, Floats]:
    """Return x, y and value of the maxima of an image above a value, the highest first.

    Parameters
    ----------
    image
        Array of shape (ny, nx).
    least
        Lowest value.
    size
        Side of the square in which a maximum is the highest.
    """
    top = (image == ndimage.maximum_filter(image, size, mode="constant", cval=-np.inf)) & (image >= least)
    y, x = np.nonzero(top)
    value = image[y, x]
    order = np.lexsort((x, y, -value))
    return x[order].astype(np.float64), y[order].astype(np.float64), value[order]
