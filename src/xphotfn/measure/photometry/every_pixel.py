"""Sums over an aperture and a ring around every pixel of a map, and the light of a point source there."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.io.products import RateMap
from xphotfn.measure.background_weights import weights_for, weights_image
from xphotfn.measure.masks import interloper_mask
from xphotfn.measure.photometry.spread import MapLight, light_of
from xphotfn.records.field import Field
from xphotfn.science.coords import pix_to_deg
from xphotfn.science.distances import radius_deg
from xphotfn.science.encircled_energy import EncircledEnergyTable
from xphotfn.science.kernels import disc_kernel, ring_kernel, sums_around
from xphotfn.science.king import king_parameters
from xphotfn.science.point_spread import light_kernel
from xphotfn.units import quantity

__all__ = ("ApertureMaps", "aperture_maps")

Floats = NDArray[np.float64]
ANGLES = 3.0  # arcmin between the angles at which a profile is taken; between them, the light is linear


class ApertureMaps(NamedTuple):
    """Sums at each pixel, shape (ny, nx); background NaN where there is no limit, ring_counts None if given.

    ``circle`` and ``ring`` are the parts of a source's counts in aperture and ring, in units of the mean exposure of
    the aperture's live pixels: of a point source, or of even light in the whole aperture (``live_fraction`` and 0).
    ``seen`` is ``circle`` over that of an aperture without gaps.
    """

    counts: Floats
    background: Floats
    exposure: Floats
    live_fraction: Floats
    ring_counts: Floats | None
    alpha: Floats
    of: Literal["source", "aperture"]
    circle: Floats
    ring: Floats
    seen: Floats


def aperture_maps(
    rate_map: RateMap, field: Field | None, radius: Any, background: Any, psf: Any, weights: Any = None
) -> ApertureMaps:
    """Return the sums of a map around each of its pixels.

    Parameters
    ----------
    rate_map, field, radius, background, psf, weights
        As in :func:`~xphotfn.measure.sensitivity.sensitivity_map` (``background_weights``), with its errors.
    """
    counts, exposure, live = _images(rate_map, field)
    pixels = radius_deg(quantity(radius, "a radius", "15*u.arcsec"), None if field is None else field.target)
    pixels /= rate_map.grid.pixel_deg
    most = float(np.hypot(*rate_map.grid.shape))  # beyond it, a circle around any pixel holds the whole map
    kernel, factors = disc_kernel(pixels, most), isinstance(background, tuple | list) and len(background) == 2
    n, number = (np.rint(sums_around(image, kernel)) for image in (counts, live.astype(np.float64)))
    seconds = np.where(number > 0, sums_around(exposure, kernel), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(live, seconds / number, np.nan)
    fraction = np.where(live, number / np.count_nonzero(kernel), 0.0)
    around = ring_kernel(pixels, background[0], background[1], most) if factors else None
    light = _light(rate_map, exposure, (kernel, around), psf)
    lit = (fraction, 0 * fraction, fraction) if light is None else tuple(v / mean for v in light)
    of: Literal["source", "aperture"] = "aperture" if light is None else "source"
    if around is None:
        expected = sums_around(_expected(background, live), kernel)
        known = np.where(live, np.maximum(expected, 0.0), np.nan)
        return ApertureMaps(n, known, mean, fraction, None, expected, of, *lit)
    b, ring_pixels = (np.rint(sums_around(image, around)) for image in (counts, live.astype(np.float64)))
    alpha = _alpha(rate_map, exposure, live, (kernel, around), weights)
    alpha = np.where((number > 0) & (ring_pixels > 0), alpha, np.nan)
    return ApertureMaps(n, np.where(live, alpha * b, np.nan), mean, fraction, b, alpha, of, *lit)


def _alpha(
    rate_map: RateMap,
    exposure: Floats,
    live: NDArray[np.bool_],
    kernels: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    given: Any,
) -> Floats:
    """Return the ratio of the background expected in aperture and ring, by exposure or by weights."""
    weights = exposure
    if given is not None:
        weights = weights_image(weights_for(given, rate_map), rate_map, live)
    inside, outside = (sums_around(weights, kernel) for kernel in kernels)
    floor = 1e-9 * np.max(weights, initial=0.0)  # below, a sum is the rounding of its transform
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(outside > floor, np.maximum(inside, 0.0) / outside, np.nan))


def _light(
    rate_map: RateMap, exposure: Floats, kernels: tuple[NDArray[np.bool_], NDArray[np.bool_] | None], psf: Any
) -> tuple[Floats, Floats, Floats] | None:
    """Return the exposure (s) of a point source's light in aperture and ring, and of the light that an aperture holds.

    It is what photometry weighs with at positions.
    """
    rows, columns = np.indices(rate_map.grid.shape)
    light = light_of(psf, rate_map, *pix_to_deg(rate_map.grid, columns.ravel(), rows.ravel()))
    if light is None:
        return None
    angle, pixel = light.angle_arcmin.reshape(rate_map.grid.shape), rate_map.grid.pixel_deg * 3600
    nodes = _nodes(light)
    shares, around = [_shares(light._replace(angle_arcmin=np.array([at])), kernels, pixel) for at in nodes], kernels[1]
    circle, seen = np.zeros(angle.shape), np.zeros(angle.shape)
    for number, (share, weights, _) in enumerate(shares):
        light_exposure = np.interp(angle, nodes, np.eye(nodes.size)[number]) * sums_around(exposure, weights)
        circle, seen = circle + share * light_exposure, seen + light_exposure
    if around is None:
        return circle, np.zeros(angle.shape), seen
    even = sums_around(exposure, around) / np.count_nonzero(around)
    return circle, np.interp(angle, nodes, [part for _, _, part in shares]) * even, seen


def _nodes(light: MapLight) -> Floats:
    """Return the angles at which the profile is taken: one, if it is the same everywhere."""
    nodes = np.arange(0.0, np.max(light.angle_arcmin) + ANGLES, ANGLES)
    if isinstance(light.psf, EncircledEnergyTable):
        return nodes[:1]
    core, slope, _ = king_parameters(light.psf, energy_ev=light.energy_ev, off_axis_arcmin=nodes)
    return nodes[:1] if np.ptp(core) == 0 and np.ptp(slope) == 0 else nodes


def _shares(
    light: MapLight, kernels: tuple[NDArray[np.bool_], NDArray[np.bool_] | None], pixel_arcsec: float
) -> tuple[float, Floats, float]:
    """Return the part of the light in the aperture, its pixels, and its part in the ring, all live, at one angle."""

    def within(size: Any) -> float:
        radius = np.array([np.sqrt(size / np.pi) * pixel_arcsec])
        return float(light.fraction(radius, pixel_arcsec, 1)[0])

    kernel, around = kernels
    pixels = light_kernel(kernel, light.profile(np.zeros(1, dtype=np.intp)), pixel_arcsec)
    if around is None:
        return within(np.count_nonzero(kernel)), pixels, 0.0
    hole = np.count_nonzero(_filled(around)) - np.count_nonzero(around)
    return within(np.count_nonzero(kernel)), pixels, within(hole + np.count_nonzero(around)) - within(hole)


def _filled(ring: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a ring with its hole: what lies between the first and the last pixel of each row."""
    return np.asarray(np.logical_or.accumulate(ring, axis=1) & np.logical_or.accumulate(ring[:, ::-1], axis=1)[:, ::-1])


def _images(rate_map: RateMap, field: Field | None) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return counts, exposure and live pixels; what is not live is 0."""
    counts, exposure = rate_map.counts, rate_map.exposure.data
    with np.errstate(invalid="ignore"):
        live = (exposure > 0) & np.isfinite(exposure) & np.isfinite(counts)
    if field is not None:
        live = live & interloper_mask(rate_map, field)
    whole = np.where(live, counts, 0).astype(np.float64)
    return whole, np.where(live, exposure, 0.0).astype(np.float64), live


def _expected(background: Any, live: NDArray[np.bool_]) -> Floats:
    array = np.asarray(background, dtype=np.float64)
    if array.shape != live.shape:
        raise ShapeMismatch(f"background must be two factors or an array of shape {live.shape}, got {array.shape}")
    used = np.where(live, array, 0.0)
    if not np.all(np.isfinite(used) & (used >= 0)):
        raise InvalidRecord("expected background counts must be finite and not negative on the detector")
    return used
