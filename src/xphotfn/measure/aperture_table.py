"""The columns of a table of photometry: fluxes, intervals, significances, limits and flags from the sums of a map."""

import enum
from functools import partial
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.measure.aperture_psf import MapLight
from xphotfn.measure.aperture_sums import SLIVER, ApertureSums, Measured, ratio
from xphotfn.records.grid import PixelGrid
from xphotfn.science.apertures import Overlap
from xphotfn.science.gamma_mixture import GammaMixture, mixture_quantile, mixture_shortest
from xphotfn.science.on_off import of_on_off, require_on_off
from xphotfn.science.significance import exact_significance, li_ma_significance, mid_p_significance

__all__ = ("SIGNIFICANCES", "UNITS", "ApertureFlag", "Rules", "columns_of")

Floats = NDArray[np.float64]
SIGNIFICANCES = {"mid-p": mid_p_significance, "li-ma": li_ma_significance, "exact": exact_significance}
_COUNTS, _RATE, _AREA = u.ct, u.ct / u.s, u.arcsec**2
UNITS = {
    "ra": u.deg, "dec": u.deg, "counts": _COUNTS, "background_counts": _COUNTS, "net_counts": _COUNTS, "rate": _RATE,
    "rate_low": _RATE, "rate_high": _RATE, "upper_limit": _RATE, "area": _AREA, "live_area": _AREA,
    "background_area": _AREA, "exposure_mean": u.s, "exposure_min": u.s, "centre_counts": _COUNTS,
    "centre_background": _COUNTS, "exposure": u.s, "off_axis": u.arcmin,
}  # fmt: skip


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
    """The circle overlaps that of another position."""
    MASKED = 16
    """Interlopers cover part of the circle."""
    NO_BACKGROUND = 32
    """The background ring has no pixel with exposure."""
    NO_PIXEL = 64
    """The circle is so small that it holds no pixel centre: no statistics."""


class Rules(NamedTuple):
    """How photometry is done: its options after their check."""

    overlap: Overlap
    method: str
    confidence: float
    limit_confidence: float


class _Shares(NamedTuple):
    """Parts f and g of a source's light in circle and ring, in units of the circle's mean exposure, shape (n,)."""

    circle: Floats
    ring: Floats


def columns_of(measured: Measured, rules: Rules, grid: PixelGrid, light: MapLight | None) -> dict[str, Any]:
    """Return the measured columns of one map: fluxes of what is shown, statistics of the pixel centres."""
    shown, centre, pixel_arcsec2 = measured.shown, measured.centre, abs(grid.cdelt1_deg * grid.cdelt2_deg) * 3600.0**2
    live = shown.live > SLIVER
    n, b = np.where(live, shown.counts, np.nan), np.where(shown.ring_live > SLIVER, shown.ring_counts, np.nan)
    alpha, exposure = shown.alpha, shown.mean_exposure
    net = n - alpha * b
    centre_shares = _shares(centre, measured.light, light, (grid, 1))
    shares = _shares(shown, measured.light, light, (grid, 2)) if rules.overlap == "exact" else centre_shares
    found: dict[str, Any] = {
        "counts": n,
        "background_counts": np.where(live, b, np.nan),
        "alpha": np.where(live, alpha, np.nan),
        "net_counts": net,
        "rate": net / (exposure * _positive(shares.circle - alpha * shares.ring)),
        **_statistics(centre, rules, centre_shares),
    }
    if light is not None:
        found |= {
            "enclosed_fraction": np.where(live, shares.circle, np.nan),
            "ring_fraction": np.where(live, shares.ring, np.nan),
            "enclosed_systematic": light.systematic(),
            "off_axis": light.angle_arcmin,
        }
    found |= {
        "area": shown.area * pixel_arcsec2,
        "live_area": np.where(live, shown.live, np.nan) * pixel_arcsec2,
        "background_area": np.where(live, shown.ring_live, np.nan) * pixel_arcsec2,
        "exposure_mean": exposure,
        "exposure_min": np.where(np.isfinite(measured.least), measured.least, np.nan),
        "masked_fraction": ratio(shown.masked, np.where(shown.held > SLIVER, shown.area, 0.0)),
        "flags": _flags(shown, centre),
    }
    if rules.overlap == "exact":
        n, b = (np.where(centre.live > 0, v, np.nan) for v in (centre.counts, centre.ring_counts))
        found |= {"centre_counts": n, "centre_background": b, "centre_alpha": centre.alpha}
    if rules.overlap == "exact" and light is not None:  # in units of the exposure_mean that is shown
        scale = centre.mean_exposure / exposure
        found |= {
            "centre_enclosed_fraction": centre_shares.circle * scale,
            "centre_ring_fraction": centre_shares.ring * scale,
        }
    return found


def _positive(values: Floats) -> Floats:
    return np.where(values > 0, values, np.nan)


def _shares(
    s: ApertureSums, light_exposure: Floats | None, light: MapLight | None, pixels: tuple[PixelGrid, int]
) -> _Shares:
    """Return 1 and 0 without a profile: the rate is then that of the light inside the circle.

    The circle's share is that of the whole circle times the exposure weighed with the light, so what gaps, masks and
    the image's border take is what they take of the light. The ring's share takes the light as spread evenly in it.
    """
    if light is None or light_exposure is None:
        return _Shares(np.ones_like(s.area), np.zeros_like(s.area))
    pixel, blurs = pixels[0].pixel_deg * 3600, pixels[1]
    known = ~np.isnan(s.area)
    whole = light.fraction(np.where(known, np.sqrt(s.area / np.pi), np.nan) * pixel, pixel, blurs)
    return _Shares(ratio(whole * light_exposure, s.mean_exposure), _ring_share(s, light, pixel, blurs))


def _ring_share(s: ApertureSums, light: MapLight, pixel_arcsec: float, blurs: int) -> Floats:
    inner, outer = (np.sqrt(area / np.pi) * pixel_arcsec for area in (s.inner_area, s.inner_area + s.ring_area))
    part = light.fraction(outer, pixel_arcsec, blurs) - light.fraction(inner, pixel_arcsec, blurs)
    return ratio(part * ratio(s.ring_exposure, s.ring_area), s.mean_exposure)


def _statistics(s: ApertureSums, rules: Rules, shares: _Shares) -> dict[str, Floats]:
    exposure, alpha = s.mean_exposure, s.alpha
    good = np.isfinite(exposure) & (alpha > 0) & (shares.circle > 0) & np.isfinite(shares.ring)
    result = {n: np.full(good.size, np.nan) for n in ("rate_low", "rate_high", "significance", "upper_limit")}
    if np.any(good):
        n, b, a, e, f, g = (v[good] for v in (s.counts, s.ring_counts, alpha, exposure, *shares))
        ends = of_on_off(partial(_ends, rules), 3, require_on_off(n, b, a, (f, g)), np.asarray(0.5))
        values = (ends[0] / e, ends[1] / e, SIGNIFICANCES[rules.method](n, b, a), ends[2] / e)
        for name, value in zip(result, values, strict=True):
            result[name][good] = value
    return result


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
