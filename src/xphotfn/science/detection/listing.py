"""From what a search found to the record of a list: positions, rates, flags and objects."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.records.grid import PixelGrid
from xphotfn.records.source import DetectedObject, DetectedSource, MapRate, SourceFlag
from xphotfn.science._numeric import Floats
from xphotfn.science.coords import pix_to_deg, separation_deg
from xphotfn.science.detection.fit import FittedSource, light_of_source
from xphotfn.science.detection.flags import camera_missing, flags_of, on_hot_lines, well_seen
from xphotfn.science.detection.judging import Fitted
from xphotfn.science.detection.likelihood import detection_likelihood
from xphotfn.science.detection.objects import Ellipse, ellipse_of, joined_pieces
from xphotfn.science.detection.search_map import off_axis
from xphotfn.science.detection.sky import Sky
from xphotfn.science.detection.templates import extent_at

__all__ = ("Listed", "listed")

LEVEL = 1.0  # extended light over background at which pieces run together


class Listed(NamedTuple):
    """Sources and objects in the order of their numbers, and the part of the live pixels that objects cover."""

    sources: tuple[DetectedSource, ...]
    objects: tuple[DetectedObject, ...]
    extended_fraction: float


def listed(sky: Sky, found: Sequence[Fitted], counted: NDArray[np.bool_] | None = None) -> Listed:
    """Return the sources and objects of a search, whose sources are drawn in ``sky``.

    The part that objects cover is that of the pixels of the frame that are ``counted``; without it of all live ones.
    """
    objects, membership, fraction = _objects(sky, found, counted)
    ra, dec = pix_to_deg(sky.maps[0].grid, *(np.array([getattr(f.source, n) for f in found]) for n in ("x", "y")))
    sources = tuple(
        _source(sky, found, number, (float(ra[number]), float(dec[number])), _nearest(ra, dec, number), membership)
        for number in range(len(found))
    )
    return Listed(_with_lines(sources), objects, fraction)


def _with_lines(sources: tuple[DetectedSource, ...]) -> tuple[DetectedSource, ...]:
    """Return sources, those on a hot column or row of others flagged as these."""
    places = np.array([(s.x, s.y) for s in sources], dtype=np.float64).reshape(-1, 2)
    on = on_hot_lines(places, np.array([bool(s.flags & SourceFlag.HOT_COLUMN) for s in sources], dtype=bool))
    return tuple(
        evolve(s, flags=s.flags | SourceFlag.HOT_COLUMN) if line else s for s, line in zip(sources, on, strict=True)
    )


def _nearest(ra: Floats, dec: Floats, number: int) -> float | None:
    away = np.delete(separation_deg(ra, dec, ra[number], dec[number]), number)
    return float(3600 * away.min()) if away.size else None


def _source(
    sky: Sky,
    found: Sequence[Fitted],
    number: int,
    position: tuple[float, float],
    nearest: float | None,
    membership: dict[int, int],
) -> DetectedSource:
    fitted = found[number]
    source = fitted.source
    places = fitted.errors[0]
    rates, coverage, ratios = _rates(sky, fitted, position)
    total = _over_cameras(sky, rates, coverage)
    return DetectedSource(
        number=number + 1,
        ra_deg=position[0],
        dec_deg=position[1],
        position_error_arcsec=float(np.hypot(places[0], places[1])) * sky.pixel,
        det_ml=fitted.det_ml,
        tied_ml=fitted.tied_ml,
        counts=total.counts,
        counts_error=total.counts_error,
        rate=total.rate,
        rate_error=total.rate_error,
        extent_arcsec=extent_at(source.u) if source.u > 0 else 0.0,
        extent_error_arcsec=_extent_error(source, places),
        extent_ml=fitted.ext_ml,
        rates=rates,
        x=source.x,
        y=source.y,
        nearest_arcsec=nearest,
        object_number=membership.get(number, 0),
        flags=flags_of(coverage, *ratios) | camera_missing([m.camera for m in sky.maps], coverage),
    )


class _Total(NamedTuple):
    counts: float
    counts_error: float
    rate: float
    rate_error: float


def _over_cameras(sky: Sky, rates: Sequence[MapRate], coverage: Floats) -> _Total:
    """Return the sum of counts and, over cameras, of the mean rate in each, of the maps that see enough of the source.

    Where exposures are in cm2 s all cameras measure one flux of photons, and the rate is the mean over them. Means are
    weighted by the counts that a map sees of a source, exposure times the part of the light: the inverse of the
    variance, where the source has all counts.
    """
    seen = well_seen(coverage)
    weights = np.where(seen, coverage * [r.exposure_s for r in rates], 0.0)
    names = ["" if m.in_area else m.camera for m in sky.maps]
    whole = np.array([sum(w for w, n in zip(weights, names, strict=True) if n == name) for name in names])
    weights = weights / np.where(whole > 0, whole, 1.0)
    said = [(r.counts or 0.0, r.counts_error or 0.0, r.rate or 0.0, r.rate_error or 0.0) for r in rates]
    counts, errors, rate, rate_errors = np.array(said).T
    return _Total(
        float(np.sum(counts[seen])),
        _together(sky, np.where(seen, errors, 0.0)),
        float(np.sum(weights * rate)),
        _together(sky, weights * rate_errors),
    )


def _together(sky: Sky, errors: Sequence[float] | Floats) -> float:
    """Return the error of a sum: of maps that share their rates the errors add up, of others their squares."""
    shares = sky.shares or tuple(range(len(sky.maps)))
    return float(np.sqrt(np.sum(np.bincount(shares, weights=errors) ** 2)))


def _extent_error(source: FittedSource, places: Floats) -> float:
    """Return the error of the core radius: that of its coordinate times the slope, ``drc/du = sqrt(16 + rc^2)``."""
    return float(places[2] * np.hypot(4.0, extent_at(source.u))) if source.u > 0 else 0.0


def _rates(
    sky: Sky, fitted: Fitted, position: tuple[float, float]
) -> tuple[tuple[MapRate, ...], Floats, tuple[float, float, float, float, float]]:
    """Return what each map says, the part of the light on live pixels, and what shines there over the background."""
    source, errors = fitted.source, fitted.errors[1]
    sky.draw(source, -1.0)
    window = sky.window_of([source])
    sky.draw(source)
    light = light_of_source(window, source).value
    live = window.exposure > 0
    whole = light.sum(axis=1)
    seen = (light * live).sum(axis=1)
    exposure = (light * window.exposure).sum(axis=1) / np.where(seen > 0, seen, 1.0)
    known = (seen > 0) & np.isfinite(errors)
    coverage = np.where(known, seen / np.where(whole > 0, whole, 1.0), 0.0)
    single = detection_likelihood(np.maximum(fitted.differences, 0.0), 3)
    levels, others, wide, late, line, pixel = sky.around(window, source)
    core = light * live
    own = window.exposure * light * source.rates[:, None]
    mean = (core * levels).sum(axis=1) / np.where(seen > 0, seen, 1.0)
    total = max(float((core * levels).sum()), 1e-300)
    ratios = [float((core * v).sum()) / total for v in (np.maximum(others - wide, 0.0), wide)]
    streak = float((core * late).sum()) / max(float((core * (levels + own)).sum()), 1e-300)
    rates = tuple(
        MapRate(
            counts=source.rates[m] * exposure[m] if known[m] else None,
            counts_error=errors[m] * exposure[m] if known[m] else None,
            rate=source.rates[m] if known[m] else None,
            rate_error=errors[m] if known[m] else None,
            exposure_s=exposure[m],
            background=mean[m],
            mask_fraction=min(float(coverage[m]), 1.0),
            off_axis_arcmin=off_axis(item, *position),
            det_ml=max(0.0, float(single[m])) if known[m] else None,
        )
        for m, item in enumerate(sky.maps)
    )
    return rates, coverage, (ratios[0], ratios[1], streak, line, pixel)


def _objects(
    sky: Sky, found: Sequence[Fitted], counted: NDArray[np.bool_] | None
) -> tuple[tuple[DetectedObject, ...], dict[int, int], float]:
    """Return the objects, the object of each extended source, and the part of the live pixels that they cover."""
    wide = [n for n, f in enumerate(found) if f.source.u > 0]
    if not wide:
        return (), {}, 0.0
    ratio, live = sky.extended_ratio()
    live = live if counted is None else live & counted
    x0, y0 = sky.frame[:2]
    pieces = joined_pieces(ratio, [(found[n].source.x - x0, found[n].source.y - y0) for n in wide], LEVEL)
    objects: list[DetectedObject] = []
    membership: dict[int, int] = {}
    area_pix = 0
    for number, (members, area) in enumerate(pieces, start=1):
        own = [wide[m] for m in members]
        first = found[own[0]].source
        size = max(extent_at(first.u) / sky.pixel, 1.0)
        ellipse = ellipse_of(area) if area.any() else Ellipse(first.x - x0, first.y - y0, size, size, 0.0)
        area_pix += int(np.count_nonzero(area & live))
        objects.append(_object(number, ellipse, sky, own))
        membership |= dict.fromkeys(own, number)
    return tuple(objects), membership, area_pix / max(int(np.count_nonzero(live)), 1)


def _object(number: int, ellipse: Ellipse, sky: Sky, own: Sequence[int]) -> DetectedObject:
    x, y = ellipse.x + sky.frame[0], ellipse.y + sky.frame[1]
    grid = sky.maps[0].grid
    ra, dec = pix_to_deg(grid, np.array([x]), np.array([y]))
    return DetectedObject(
        number=number,
        ra_deg=float(ra[0]),
        dec_deg=float(dec[0]),
        semi_major_arcsec=ellipse.major * sky.pixel,
        semi_minor_arcsec=ellipse.minor * sky.pixel,
        position_angle_deg=_position_angle(grid, ellipse.angle),
        sources=[n + 1 for n in own],
    )


def _position_angle(grid: PixelGrid, angle: float) -> float:
    """Return the angle from north over east, 0 to 180 degrees, of a direction from x to y on a grid."""
    east, north = np.cos(angle) * grid.cdelt1_deg, np.sin(angle) * grid.cdelt2_deg
    return float(np.degrees(np.arctan2(east, north)) % 180.0)
