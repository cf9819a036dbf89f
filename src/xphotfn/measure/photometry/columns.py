"""The columns of a table of photometry: fluxes, intervals, significances, limits and flags from the sums of a map."""

import enum
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.measure.photometry.spread import MapLight
from xphotfn.measure.photometry.sums import SLIVER, ApertureSums, Measured, ratio
from xphotfn.records.grid import PixelGrid
from xphotfn.science.discs import Overlap
from xphotfn.science.gamma_mixture import GammaMixture, mixture_quantile, mixture_shortest
from xphotfn.science.light import Light, RingLight, effective_exposure
from xphotfn.science.on_off import of_on_off
from xphotfn.science.significance import SIGNIFICANCES
from xphotfn.units import rate_unit

__all__ = (
    "COLUMNS",
    "RATE_OF",
    "ApertureFlag",
    "Rules",
    "columns_of",
    "interval_columns",
    "needs_weights",
    "units_of",
)

Floats = NDArray[np.float64]
CORE = 0.9  # live part of a core below which a peak there may be lost
UNEVEN = 1.05  # ratio of exposures in a circle that is worth a word
_COUNTS, _RATE, _AREA = u.ct, u.ct / u.s, u.arcsec**2
_UNITS = {
    "ra": u.deg, "dec": u.deg, "radius": u.arcsec, "counts": _COUNTS,
    "background_counts": _COUNTS, "net_counts": _COUNTS, "rate": _RATE,
    "rate_low": _RATE, "rate_high": _RATE, "upper_limit": _RATE, "area": _AREA, "live_area": _AREA,
    "background_area": _AREA, "exposure_mean": u.s, "exposure_min": u.s, "centre_counts": _COUNTS,
    "centre_background": _COUNTS, "exposure": u.s, "off_axis": u.arcmin, "effective_exposure": u.s,
    "neighbour_counts": _COUNTS, "centre_rate": _RATE, "centre_effective_exposure": u.s,
}  # fmt: skip

_PLAIN = (
    "obs_id", "exposure_id", "instrument", "filter", "band", "patterns", "vignetting", "position",
    "alpha", "significance", "rate_of", "dispersion", "enclosed_fraction", "ring_fraction",
    "enclosed_systematic", "masked_fraction", "exposure_unit", "flags", "centre_alpha", "centre_dispersion",
    "centre_enclosed_fraction", "centre_ring_fraction",
)  # fmt: skip
COLUMNS = frozenset(_UNITS) - {"exposure"} | frozenset(_PLAIN)
"""The columns that photometry makes itself; all others come from the table of positions."""


def units_of(exposure: u.UnitBase) -> dict[str, u.UnitBase]:
    """Return the units of the columns of a table of photometry on exposure maps in a unit."""
    change = {_RATE: rate_unit(exposure), u.s: exposure}
    return {name: change.get(unit, unit) for name, unit in _UNITS.items()}


RATE_OF = {
    "aperture": "the light in the whole circle: what is not live is filled",
    "source": "the whole point source",
}


class ApertureFlag(enum.IntFlag):
    """What the bits of the column ``flags`` say; they add up.

    Examples
    --------
    >>> ApertureFlag(6)
    <ApertureFlag.GAP|OFF_IMAGE: 6>
    """

    EDGE = 1
    """Part of the circle lies off the image."""
    GAP = 2
    """Part of the circle has no exposure: a gap, a lost CCD, the rim of the field of view."""
    OFF_IMAGE = 4
    """No part of the circle lies on the image, or the position is NaN."""
    NEIGHBOURS = 8
    """The circle overlaps that of another position, or the region of another source holds the position too."""
    MASKED = 16
    """Interlopers cover part of the circle."""
    NO_BACKGROUND = 32
    """The background ring has no pixel with exposure."""
    NO_PIXEL = 64
    """The circle is so small that it holds no pixel centre: no statistics."""
    UNEVEN = 128
    """Where the light lies matters: with even light the rate would differ by more than half its error."""
    RING_NEIGHBOURS = 256
    """The circle of another position, which is not masked, reaches into the background ring."""
    WINGS = 512
    """The light of brighter positions is expected to give more than half the error of the net counts."""
    VIGNETTING = 1024
    """Without weights: a background that is not vignetted would shift the net counts by more than their error."""
    CORE = 2048
    """Less than nine tenths of the innermost 12 arcsec are live: rings cannot tell what a peak there has."""
    PIXELS = 4096
    """With ``overlap="exact"``: the interval, of whole pixels, was stretched to hold the rate of the exact circle."""
    SHARED = 8192
    """The light of brighter positions is expected to give a tenth of the net counts (of faint ones, of their error)."""


class Rules(NamedTuple):
    """How photometry is done: its options after their check."""

    overlap: Overlap
    light: Light
    method: str
    confidence: float
    limit_confidence: float


class _Light(NamedTuple):
    """What turns counts into the rate of a source, shape (n,).

    ``rate`` is signed; ``effective`` the exposure that net counts are divided by for it. The posterior is that of
    ``counts``, and of the ring's counts over ``dispersion``, with the parts f and g of the source's counts in circle
    and ring in units of ``exposure`` over ``dispersion``. ``uneven`` says that the rate would be another one if the
    light were even.
    """

    counts: Floats
    rate: Floats
    effective: Floats
    exposure: Floats
    dispersion: Floats
    circle: Floats
    ring: Floats
    uneven: NDArray[np.bool_]


def columns_of(measured: Measured, rules: Rules, grid: PixelGrid, light: MapLight | None) -> dict[str, Any]:
    """Return the measured columns of one map: fluxes of what is shown, statistics of the pixel centres."""
    shown, centre, pixel_arcsec2 = measured.shown, measured.centre, abs(grid.cdelt1_deg * grid.cdelt2_deg) * 3600.0**2
    live = shown.live > SLIVER
    n, b = np.where(live, shown.counts, np.nan), np.where(shown.ring_live > SLIVER, shown.ring_counts, np.nan)
    dark = (shown.held > SLIVER) & ~live & (shown.masked <= SLIVER)  # on the image, and the detector never looked
    alpha, exposure = shown.alpha, np.where(dark, 0.0, shown.mean_exposure)
    centre_shine = _light(centre, measured.rings[1], (measured.light, light), (rules.light, grid, 1))
    shine = centre_shine
    if rules.overlap == "exact":
        shine = _light(shown, measured.rings[0], (measured.light, light), (rules.light, grid, 2))
    found: dict[str, Any] = {
        "counts": n,
        "background_counts": np.where(live, b, np.nan),
        "alpha": np.where(live, alpha, np.nan),
        "net_counts": n - alpha * b,
        "rate": np.where(live, shine.rate, np.nan),
        **_statistics(centre, rules, centre_shine),
        "rate_of": np.full(n.size, "aperture" if light is None else "source"),
        "effective_exposure": np.where(live, shine.effective, np.nan),
        "dispersion": np.where(live, shine.dispersion, np.nan),
    }
    if light is not None:
        found |= {
            "enclosed_fraction": np.where(live, shine.circle, np.nan),
            "ring_fraction": np.where(live, shine.ring, np.nan),
            "enclosed_systematic": light.systematic(),
            "off_axis": light.angle_arcmin,
        }
    found |= {
        "area": shown.area * pixel_arcsec2,
        "live_area": np.where(live, shown.live, np.nan) * pixel_arcsec2,
        "background_area": np.where(live, shown.ring_live, np.nan) * pixel_arcsec2,
        "exposure_mean": exposure,
        "exposure_min": np.where(np.isfinite(measured.least), measured.least, np.where(dark, 0.0, np.nan)),
        "masked_fraction": ratio(shown.masked, np.where(shown.held > SLIVER, shown.area, 0.0)),
        "flags": _flags(shown, centre) + shine.uneven * np.int32(ApertureFlag.UNEVEN),
    }
    if light is None and rules.light == "rings":
        found["flags"] += (live & (shown.core < CORE)) * np.int32(ApertureFlag.CORE)
    return _exact(found) | _centre_columns(centre, centre_shine, shown) if rules.overlap == "exact" else found


def _exact(found: dict[str, Any]) -> dict[str, Any]:
    """Return columns of exact sums whose intervals, those of whole pixels, hold the rate, and say where they did not.

    The circle of whole pixels is another one: below some pixels of radius their rates differ by more than the error.
    """
    rate, low, high = np.maximum(found["rate"], 0.0), found["rate_low"], found["rate_high"]
    stretched = (rate < low) | (rate > high)
    flags = found["flags"] + stretched * np.int32(ApertureFlag.PIXELS)
    return found | {"rate_low": np.fmin(low, np.where(stretched, rate, low)),
                    "rate_high": np.fmax(high, np.where(stretched, rate, high)), "flags": flags}  # fmt: skip


def _centre_columns(centre: ApertureSums, shine: _Light, shown: ApertureSums) -> dict[str, Floats]:
    """Return what the statistics of exact sums were made of; fractions in units of the ``exposure_mean`` shown."""
    live, scale = centre.live > 0, centre.mean_exposure / shown.mean_exposure
    columns = {
        "counts": centre.counts,
        "background": centre.ring_counts,
        "alpha": centre.alpha,
        "rate": shine.rate,
        "effective_exposure": shine.effective,
        "dispersion": shine.dispersion,
        "enclosed_fraction": shine.circle * scale,
        "ring_fraction": shine.ring * scale,
    }
    return {f"centre_{name}": np.where(live, values, np.nan) for name, values in columns.items()}


def needs_weights(columns: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return where a background spread by area would shift net counts by more than their error, as ``Measurement``."""
    n, b, alpha = (np.nan_to_num(columns[name]) for name in ("counts", "background_counts", "alpha"))
    by_area = np.nan_to_num(ratio(columns["live_area"], np.nan_to_num(columns["background_area"])))
    return np.asarray(np.abs(alpha - by_area) * b > np.sqrt(np.maximum(n, 1.0) + alpha**2 * b))


def _positive(values: Floats) -> Floats:
    return np.where(values > 0, values, np.nan)


def _light(
    s: ApertureSums, rings: RingLight, point: tuple[Floats | None, MapLight | None], how: tuple[Light, PixelGrid, int]
) -> _Light:
    """Return the light of a point where there is a profile, else that of the rings, or even light."""
    kind, grid, blurs = how
    if point[0] is not None and point[1] is not None:
        return _point_light(s, point[0], point[1], (grid, blurs))
    flat = 1 / rings.flat
    net, variance = s.ring_counts * -s.alpha + s.counts, s.counts + s.alpha**2 * s.ring_counts
    per_count = rings.background / np.where(s.ring_weights > 0, s.ring_weights, np.nan)
    rate, squares = rings.counts - per_count * s.ring_counts, rings.squares + per_count**2 * s.ring_counts
    uneven = (rings.most > UNEVEN * rings.least) & (np.abs(rate * flat - net) > 0.5 * np.sqrt(variance))
    one, none = np.ones_like(flat), np.zeros_like(flat)
    if kind == "flat":
        return _Light(s.counts, net / flat, flat, flat, one, one, none, uneven)
    found = effective_exposure(rings, rate, net, variance)
    effective = np.where(np.isnan(found), flat, found)
    spread = (squares + rings.flat**2) / (variance + 1) * effective**2
    dispersion = np.where(np.isnan(spread), 1.0, spread)
    counts = np.maximum(rate * effective + s.alpha * s.ring_counts, 0.0) / dispersion
    return _Light(counts, rate, effective, effective, dispersion, one, none, uneven)


def _point_light(s: ApertureSums, exposure: Floats, light: MapLight, pixels: tuple[PixelGrid, int]) -> _Light:
    """Return the light of a point.

    The circle's share is that of the whole circle times the exposure weighed with the light, so what gaps, masks and
    the image's border take is what they take of the light. The ring's share takes the light as spread evenly in it.
    """
    pixel, blurs = pixels[0].pixel_deg * 3600, pixels[1]
    known = ~np.isnan(s.area)
    whole = light.fraction(np.where(known, np.sqrt(s.area / np.pi), np.nan) * pixel, pixel, blurs)
    circle, ring = ratio(whole * exposure, s.mean_exposure), _ring_share(s, light, pixel, blurs)
    effective = s.mean_exposure * _positive(circle - np.nan_to_num(s.alpha) * ring)
    rate = (s.counts - s.alpha * s.ring_counts) / effective
    even = np.zeros(rate.size, dtype=bool)
    return _Light(s.counts, rate, effective, s.mean_exposure, np.ones_like(rate), circle, ring, even)


def _ring_share(s: ApertureSums, light: MapLight, pixel_arcsec: float, blurs: int) -> Floats:
    inner, outer = (np.sqrt(area / np.pi) * pixel_arcsec for area in (s.inner_area, s.inner_area + s.ring_area))
    part = light.fraction(outer, pixel_arcsec, blurs) - light.fraction(inner, pixel_arcsec, blurs)
    return ratio(part * ratio(s.ring_exposure, s.ring_area), s.mean_exposure)


def _statistics(s: ApertureSums, rules: Rules, light: _Light) -> dict[str, Floats]:
    result = {n: np.full(s.counts.size, np.nan) for n in ("rate_low", "rate_high", "significance", "upper_limit")}
    good = np.isfinite(light.exposure) & (s.live > 0) & (s.alpha > 0) & (light.circle > 0) & np.isfinite(light.ring)
    if np.any(good):
        n, b, a, f, g = (v[good] for v in (light.counts, s.ring_counts, s.alpha, light.circle, light.ring))
        each, exposure = light.dispersion[good], (light.exposure / light.dispersion)[good]
        ends = of_on_off(partial(_ends, rules), 3, (n, b / each, a, f, g), np.asarray(0.5))
        low, high, limit = (end / exposure for end in ends)
        significance = SIGNIFICANCES[rules.method].significance(s.counts[good], b, a)
        for name, value in zip(result, (low, high, significance, limit), strict=True):
            result[name][good] = value
    return result


def interval_columns(
    measured: tuple[Floats, Floats, Floats], effective: Floats, dispersion: Floats, rules: Rules
) -> dict[str, Floats]:
    """Return interval, significance and limit of counts, background and alpha, as rates over an exposure."""
    n, b, alpha = measured
    exposure, one, none = effective / dispersion, np.ones_like(effective), np.zeros_like(effective)
    single = n / dispersion, b / dispersion, alpha, one, none
    low, high, limit = of_on_off(partial(_ends, rules), 3, single, np.asarray(0.5))
    return {"rate_low": low / exposure, "rate_high": high / exposure, "upper_limit": limit / exposure,
            "significance": SIGNIFICANCES[rules.method].significance(*measured)}  # fmt: skip


def _ends(rules: Rules, mixture: GammaMixture, _: Floats) -> tuple[Floats, Floats, Floats]:
    """Return interval and limit of one posterior, which is most of the work, made once for both."""
    level, limit = (np.full(mixture.first.shape, v) for v in (rules.confidence, rules.limit_confidence))
    return *mixture_shortest(mixture, level), mixture_quantile(mixture, limit)


def _flags(s: ApertureSums, centre: ApertureSums) -> NDArray[np.int32]:
    on = s.held > SLIVER
    conditions = {
        ApertureFlag.EDGE: on & (s.area - s.held > SLIVER * np.maximum(s.area, 1.0)),
        ApertureFlag.GAP: on & (s.held - s.live - s.masked > SLIVER * np.maximum(s.area, 1.0)),
        ApertureFlag.OFF_IMAGE: ~on & ~(s.area == 0),
        ApertureFlag.MASKED: s.masked > SLIVER,
        ApertureFlag.NO_BACKGROUND: ~((s.ring_live > SLIVER) & (s.ring_weights > 0)),
        ApertureFlag.NO_PIXEL: centre.area == 0,
    }
    return np.asarray(sum(np.where(yes, np.int32(flag.value), np.int32(0)) for flag, yes in conditions.items()))
