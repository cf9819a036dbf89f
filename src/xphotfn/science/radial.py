"""Radial profiles: sums over rings, surface brightness with its errors, growth, and concentration.

Every ratio is taken after summing, ``sum N / sum E``: the mean of the ratios of pixels is dominated by the noise of
those with little exposure.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch
from xphotfn.html import record_html
from xphotfn.science._numeric import Floats
from xphotfn.science.intervals import garwood_interval

__all__ = (
    "Brightness",
    "Concentration",
    "RingSums",
    "flux_concentration",
    "ring_brightness",
    "ring_edges",
    "ring_sums",
)


class RingSums(NamedTuple):
    """Sums over the pixels of each ring, arrays of shape (n,), float64.

    ``counts``; ``exposure``, the sum of the pixels' exposures in s; ``pixels``, their number.
    """

    counts: Floats
    exposure: Floats
    pixels: Floats


class Brightness(NamedTuple):
    """A quantity of each ring with its errors, arrays of shape (n,), float64.

    ``value``; ``error``, Gaussian, to fit with from some 25 counts in every ring (counts are fitted better);
    ``lower`` and ``upper`` ends of the interval of +-1 sigma, at any number of counts.
    """

    value: Floats
    error: Floats
    lower: Floats
    upper: Floats


class Concentration(NamedTuple):
    """Concentration of a profile and its Gaussian error."""

    value: float
    error: float

    def _repr_html_(self) -> str:
        return record_html(self)


def ring_sums(
    counts: NDArray[Any], exposure: NDArray[Any], keep: NDArray[np.bool_], centre: tuple[float, float], edges: ArrayLike
) -> RingSums:
    """Return counts, exposure and number of pixels in rings.

    Parameters
    ----------
    counts, exposure
        Image in counts (or any amount per pixel) and exposure map in s, shape (ny, nx).
    keep
        Pixels to use, shape (ny, nx); those without exposure are left out in any case.
    centre
        ``(x, y)`` in pixels.
    edges
        Radii of n + 1 edges in pixels, rising, not negative.

    Returns
    -------
    RingSums
        Zeros for a ring without a pixel.

    Raises
    ------
    InvalidRecord
        If the edges do not rise.
    ShapeMismatch
        If the arrays differ in shape.
    NoData
        If counts or exposure of a used pixel are not finite.

    Notes
    -----
    A pixel belongs to the ring that holds its centre, ``inner <= d < outer``; each pixel to one ring at most, so
    sums over rings are sums over the disc. Below some three pixels a ring is a coarse thing.

    Examples
    --------
    >>> ones = np.ones((9, 9))
    >>> ring_sums(2 * ones, ones, ones > 0, (4, 4), [0, 1.2, 2.1]).counts.tolist()
    [10.0, 16.0]
    """
    limits = ring_edges(edges)
    if not counts.shape == exposure.shape == keep.shape:
        raise ShapeMismatch(f"counts, exposure and mask have shapes {counts.shape}, {exposure.shape}, {keep.shape}")
    x, y = centre
    squared = (np.arange(counts.shape[1]) - x) ** 2 + (np.arange(counts.shape[0])[:, None] - y) ** 2
    with np.errstate(invalid="ignore"):
        used = keep & (exposure > 0) & (squared < limits[-1] ** 2) & (squared >= limits[0] ** 2)
    ring = np.searchsorted(limits**2, squared[used], side="right") - 1
    weights = (counts[used], exposure[used], np.ones(ring.size))
    n, e, pixels = (np.bincount(ring, w, limits.size - 1).astype(np.float64) for w in weights)
    if not np.all(np.isfinite(n + e)):
        raise NoData("counts or exposure of a ring are not finite: mend the image, or mask those pixels")
    return RingSums(counts=n, exposure=e, pixels=pixels)


def ring_edges(edges: ArrayLike) -> Floats:
    """Return the edges of rings as float64; refuse what does not rise from 0 or above."""
    limits = np.asarray(edges, dtype=np.float64)
    if limits.ndim != 1 or limits.size < 2 or not np.all(np.isfinite(limits)):
        raise InvalidRecord(f"rings need two finite edges or more, got {edges!r}")
    if limits[0] < 0 or not np.all(np.diff(limits) > 0):
        raise InvalidRecord(f"edges of rings must rise from 0 or above, got {limits.tolist()}")
    return limits


def ring_brightness(
    counts: ArrayLike, scale: ArrayLike, background: ArrayLike = 0.0, background_variance: ArrayLike = 0.0
) -> Brightness:
    """Return net counts over a scale, with Poisson errors.

    Parameters
    ----------
    counts
        Counts N, not negative.
    scale
        What to divide by: ``sum E Omega`` for a surface brightness, 1 for net counts.
    background, background_variance
        Counts m expected from the background, and the variance of that estimate: ``alpha**2 B`` if B counts were
        scaled by alpha, 0 if it is known.

    Returns
    -------
    Brightness
        Signed: a deficit is negative. NaN where the scale is 0 or NaN.

    Raises
    ------
    InvalidRecord
        If counts are negative.

    Notes
    -----
    ``value = (N - m)/scale``. ``error = sqrt(max(N, 1) + var m)/scale``. The ends join Garwood's interval of N and the
    variance of m, each side in quadrature: ``value -+ sqrt((N - N_end)**2 + var m)/scale``.

    References
    ----------
    Garwood (1936), Biometrika 28, 437; Gehrels (1986), ApJ 303, 336.

    Examples
    --------
    >>> found = ring_brightness([0, 100], 10.0, 1.0)
    >>> [v.round(3).tolist() for v in (found.value, found.lower, found.upper)]
    [[-0.1, 9.9], [-0.1, 8.902], [0.084, 11.003]]
    """
    n, k, m, v = (np.asarray(a, dtype=np.float64) for a in (counts, scale, background, background_variance))
    lower, upper = garwood_interval(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        per = np.where(k > 0, 1 / k, np.nan)
    return Brightness(
        value=np.asarray((n - m) * per),
        error=np.asarray(np.sqrt(np.maximum(n, 1.0) + v) * per),
        lower=np.asarray((n - m - np.hypot(n - lower, np.sqrt(v))) * per),
        upper=np.asarray((n - m + np.hypot(upper - n, np.sqrt(v))) * per),
    )


def flux_concentration(
    edges: ArrayLike, brightness: ArrayLike, error: ArrayLike = 0.0, *, inner: float, outer: float
) -> Concentration:
    """Return the part of the flux within ``outer`` that lies within ``inner``.

    Parameters
    ----------
    edges
        Edges of n rings, any unit of radius.
    brightness, error
        Net surface brightness of the rings and its error, shape (n,), any unit.
    inner, outer
        Radii in the unit of the edges; both within the profile, which starts at 0.

    Raises
    ------
    InvalidRecord
        If the profile does not start at 0 or does not reach ``outer``, or ``inner >= outer``.
    NoData
        If a ring that is needed has no brightness, or the net flux within ``outer`` is not above 0.

    Notes
    -----
    ``c = F(< inner)/F(< outer)``, ``F(< r) = sum S_i A_i(r)`` with the area of each ring within r: a ring that is cut
    is taken as uniform, so let edges fall on both radii. Gaps are filled by the mean of their ring. The error is
    ``sqrt((1 - c)**2 var F_in + c**2 var F_rest) / F``, without the error that all rings share through the background.
    The point spread function lowers c where ``inner`` is not much more than 15 arcsec.

    References
    ----------
    Santos et al. (2008), A&A 483, 35 (40 and 400 kpc).

    Examples
    --------
    >>> round(flux_concentration([0, 40, 400], [5.0, 0.5], inner=40, outer=400).value, 6)
    0.091743
    """
    limits, s, e = ring_edges(edges), np.asarray(brightness, dtype=np.float64), np.asarray(error, dtype=np.float64)
    if not (limits[0] == 0 and 0 < inner < outer <= limits[-1] * (1 + 1e-12)):
        raise InvalidRecord(
            f"a concentration needs 0 < inner < outer within a profile from 0, got {inner:g} and {outer:g} "
            f"within {limits[0]:g} to {limits[-1]:g}"
        )
    near, whole = (np.pi * np.diff(np.minimum(limits, r) ** 2) for r in (inner, outer))
    used = whole > 0
    flux = float(np.sum((s * whole)[used]))
    if not flux > 0:
        raise NoData(f"the net flux within the outer radius is {flux:g}: no concentration")
    c, rest = float(np.sum((s * near)[used])) / flux, whole - near
    spread = np.hypot((1 - c) * near, c * rest) * np.broadcast_to(e, s.shape)
    return Concentration(value=c, error=float(np.sqrt(np.sum(spread[used] ** 2))) / flux)
