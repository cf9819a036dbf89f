"""Photometry of many positions on many maps: counts, rates, intervals, significances, limits and flags as a table."""

import enum
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ProductMissing, ShapeMismatch, UnitMismatch, XphotfnError
from xphotfn.io.products import RateMap
from xphotfn.measure.masks import interloper_mask
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.science import apertures as circles
from xphotfn.science.apertures import DiscWeights, Overlap, RowSums, row_sums, sums
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.distances import radius_deg
from xphotfn.science.gamma_mixture import GammaMixture, mixture_quantile, mixture_shortest, of_on_off, require_on_off
from xphotfn.science.significance import exact_significance, li_ma_significance, mid_p_significance
from xphotfn.science.snr import DEFAULT_METHOD, Method
from xphotfn.units import quantity

__all__ = ("UNITS", "ApertureFlag", "photometry")

Floats = NDArray[np.float64]
SIGNIFICANCES = {"mid-p": mid_p_significance, "li-ma": li_ma_significance, "exact": exact_significance}
SLIVER = 1e-9  # pixels; a smaller area is rounding
_COUNTS, _RATE, _AREA = u.ct, u.ct / u.s, u.arcsec**2
UNITS = {
    "ra": u.deg, "dec": u.deg, "counts": _COUNTS, "background_counts": _COUNTS, "net_counts": _COUNTS, "rate": _RATE,
    "rate_low": _RATE, "rate_high": _RATE, "upper_limit": _RATE, "area": _AREA, "live_area": _AREA,
    "background_area": _AREA, "exposure_mean": u.s, "exposure_min": u.s, "centre_counts": _COUNTS,
    "centre_background": _COUNTS, "exposure": u.s,
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


class _Sky(NamedTuple):  # degrees, arrays of shape (n,)
    ra: Floats
    dec: Floats
    radius: Floats
    inner: Floats
    outer: Floats


class _Images(NamedTuple):  # what is not live is 0, in ``least`` infinity
    counts: RowSums
    exposure: RowSums
    live: RowSums
    masked: RowSums
    least: NDArray[Any]


class _Sums(NamedTuple):  # of one map under one rule, in counts, s and pixels
    counts: Floats
    exposure: Floats
    live: Floats
    masked: Floats
    background: Floats
    background_exposure: Floats
    background_live: Floats
    area: Floats
    held: Floats
    least: Floats

    @property
    def alpha(self) -> Floats:
        return _ratio(self.exposure, np.where(self.background_live > SLIVER, self.background_exposure, 0.0))

    @property
    def mean_exposure(self) -> Floats:
        return _ratio(self.exposure, np.where(self.live > SLIVER, self.live, 0.0))


class _Rules(NamedTuple):
    overlap: Overlap
    method: str
    confidence: float
    limit_confidence: float


def photometry(
    rate_map_or_maps: RateMap | Iterable[RateMap],
    positions: Any,
    radius: Any,
    *,
    background: tuple[Any, Any] = (1.05, 1.5),
    field: Field | None = None,
    overlap: Overlap = "centre",
    confidence: float = 0.6827,
    limit_confidence: float = 0.95,
    method: str | Method = DEFAULT_METHOD,
) -> Any:
    """Measure every position on every map.

    Parameters
    ----------
    rate_map_or_maps
        One rate map or several, of any observations, cameras and bands.
    positions
        Quantity ``[ra, dec]`` or of shape (N, 2) in degrees (any angle), a SkyCoord, or anything with a ``position``.
    radius
        Radius of the circle: an angle, one for all or one for each position; kpc where ``field`` has a redshift.
    background
        Edges of the background ring, both as factors of the radius or both as Quantities; outside the circle.
    field
        Its interlopers are removed from circle and ring, and count as masked.
    overlap
        ``centre``: a pixel belongs when its centre does, as in :func:`source_mask`. ``exact``: sums by the area inside.
    confidence, limit_confidence
        Two-sided probability of the interval ``rate_low`` to ``rate_high``; one-sided one of ``upper_limit``.
    method
        Definition of the significance: ``mid-p``, ``li-ma`` or ``exact``.

    Returns
    -------
    QTable
        One row for each position and map, all positions of the first map first. ``position`` counts from 0. ``rate``
        is ``net_counts`` over ``exposure_mean``, signed, not corrected for light outside the live part of the circle.
        ``flags`` is a sum of :class:`ApertureFlag`, listed in the meta (``FLAG1`` and so on). Without live pixel all
        measured columns are NaN; without background, those that need it.

    Raises
    ------
    ProductMissing, UnitMismatch, ShapeMismatch
        If there is no rate map, or positions or radii have a wrong unit or shape.
    InvalidRecord
        If radii or probabilities break their rules, a position is none of the sky, or an image does not hold whole
        counts: a resampled mosaic has no Poisson statistics; measure the single maps and join them.

    Notes
    -----
    ``net = N - alpha B`` with ``alpha`` = exposure summed over the circle / over the ring: right for a vignetted
    background. Interval and limit are those of :func:`on_off_interval` and :func:`upper_limit_on_off` over the mean
    exposure; they are flat-prior posteriors of a rate of at least 0, so a negative ``rate`` lies below its interval.

    Statistics always use whole counts, of pixels whose centre lies inside. With ``overlap="exact"`` counts, rates,
    areas and exposures are exact sums, while significance, interval and limit stay those of the pixel-centre
    circle, whose counts and ratio are added as ``centre_counts``, ``centre_background`` and ``centre_alpha``.
    ``area = live_area + masked + the rest (gap, off the image)``; ``masked_fraction`` is the part of the area with
    exposure under interlopers. ``exposure_min`` is over live pixels whose centre lies inside.

    References
    ----------
    Those of :func:`on_off_interval` and :func:`mid_p_significance`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> table = photometry(example_rate_map(), example_field().target, 30 * u.arcsec, background=(1.5, 3))
    >>> float(table["significance"][0]) > 30, ApertureFlag(int(table["flags"][0]))
    (True, <ApertureFlag: 0>)
    """
    from astropy.table import QTable, vstack

    maps, rules = _rate_maps(rate_map_or_maps), _rules(overlap, method, confidence, limit_confidence)
    sky = _sky(positions, radius, background, field)
    crowded, tables = _crowded(sky), {}
    for grid in dict.fromkeys(m.grid for m in maps):
        group = [(number, m) for number, m in enumerate(maps) if m.grid == grid]
        for (number, item), columns in zip(group, _measured(grid, group, sky, field, rules), strict=True):
            columns["flags"] += crowded * int(ApertureFlag.NEIGHBOURS)
            who = {"obs_id": item.obs_id, "exposure_id": item.exposure_id, "instrument": item.instrument}
            names = {name: np.full(sky.ra.size, text) for name, text in {**who, "band": str(item.band)}.items()}
            where = {"position": np.arange(sky.ra.size), "ra": sky.ra, "dec": sky.dec}
            found = {**names, **where, **columns}
            tables[number] = {n: u.Quantity(v, UNITS[n], copy=False) if n in UNITS else v for n, v in found.items()}
    result = vstack([QTable(tables[number]) for number in range(len(maps))], metadata_conflicts="silent")
    result.meta.update({f"FLAG{flag.value}": str(flag.name) for flag in ApertureFlag})
    result.meta.update({"OVERLAP": overlap, "METHOD": rules.method, "CONFID": confidence, "LIMCONF": limit_confidence})
    return result


def _rate_maps(given: Any) -> tuple[RateMap, ...]:
    try:
        maps = (given,) if isinstance(given, RateMap) else tuple(given)
    except TypeError as error:
        raise ProductMissing(f"photometry needs rate maps (counts and exposure), got {type(given).__name__}") from error
    if not maps:
        raise ProductMissing("no map to measure: rate_maps(run) gave none; see describe(plan) and run.table()")
    for item in (m for m in maps if not isinstance(m, RateMap)):
        raise ProductMissing(f"photometry needs rate maps (counts and exposure), got {type(item).__name__}")
    return maps


def _rules(overlap: Overlap, method: str | Method, confidence: float, limit_confidence: float) -> _Rules:
    name = method if isinstance(method, str) else method.name
    if name not in SIGNIFICANCES:
        raise InvalidRecord(f"photometry has no significance {name!r}: use one of {', '.join(SIGNIFICANCES)}")
    if overlap not in circles.OVERLAPS:
        raise InvalidRecord(f"no overlap is called {overlap!r}: use {' or '.join(circles.OVERLAPS)}")
    for what, value in (("confidence", confidence), ("limit_confidence", limit_confidence)):
        if not 0 < value < 1:
            raise InvalidRecord(f"{what} must lie between 0 and 1, got {value!r}")
    return _Rules(overlap, name, float(confidence), float(limit_confidence))


def _sky(positions: Any, radius: Any, background: Any, field: Field | None) -> _Sky:
    ra, dec = _degrees(positions)
    target = None if field is None else field.target
    r = _angles(radius, target, ra.size)
    try:
        inner, outer = background
        if isinstance(inner, u.Quantity) or isinstance(outer, u.Quantity):
            low, high = _angles(inner, target, ra.size), _angles(outer, target, ra.size)
        else:
            low, high = r * float(inner), r * float(outer)
    except (TypeError, ValueError) as error:
        if isinstance(error, XphotfnError):
            raise
        raise InvalidRecord(f"background must be two factors or two Quantities, got {background!r}") from error
    if not (np.all(r > 0) and np.all((r <= low) & (low < high) & np.isfinite(high))):
        raise InvalidRecord(f"radii need 0 < radius <= inner < outer, got {radius} and background {background}")
    return _Sky(ra, dec, r, low, high)


def _degrees(positions: Any) -> tuple[Floats, Floats]:
    item = getattr(positions, "position", positions)
    if hasattr(item, "icrs"):
        given = np.stack([item.icrs.ra.to_value(u.deg), item.icrs.dec.to_value(u.deg)], axis=-1)
    else:
        try:
            given = np.asarray(quantity(item, "positions", "[149.6, -11.1]*u.deg").to_value(u.deg), dtype=np.float64)
        except u.UnitConversionError as error:
            raise UnitMismatch(f"positions are angles [ra, dec], got {item.unit}; coord_conv gives degrees") from error
    if given.ndim not in (1, 2) or given.shape[-1] != 2:
        raise ShapeMismatch(f"positions must have shape (2,) or (N, 2), RA first, got {given.shape}")
    ra, dec = np.ascontiguousarray(given.reshape(-1, 2).T)
    if np.any(np.abs(dec) > 90) or np.any(np.isinf(ra)):
        raise InvalidRecord("a position must have finite RA and Dec within +-90 deg (NaN is allowed and gives NaN)")
    return ra, dec


def _angles(radius: Any, target: Any, size: int) -> Floats:
    """Return radii in degrees, shape (size,)."""
    given = quantity(radius, "a radius", "30*u.arcsec or 300*u.kpc")
    if given.isscalar:
        return np.full(size, radius_deg(given, target))
    if given.shape != (size,):
        raise ShapeMismatch(f"radii must be one or one for each of the {size} positions, got shape {given.shape}")
    return np.array([radius_deg(value, target) for value in given], dtype=np.float64)


def _crowded(sky: _Sky) -> NDArray[np.bool_]:
    """Return whether the circle of each position overlaps that of another."""
    from scipy.spatial import cKDTree

    known, result = np.flatnonzero(np.isfinite(sky.ra + sky.dec)), np.zeros(sky.ra.size, dtype=bool)
    if known.size < 2:
        return result
    ra, dec, r = (np.deg2rad(v[known]) for v in (sky.ra, sky.dec, sky.radius))
    points = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    tree = cKDTree(points)
    if np.ptp(r) == 0:
        result[known] = tree.query(points, k=2)[0][:, 1] < 2 * np.sin(np.minimum(r, np.pi / 2))
        return result
    first, second = tree.query_pairs(2 * np.sin(min(float(r.max()), np.pi / 2)), output_type="ndarray").T
    apart = np.linalg.norm(points[first] - points[second], axis=1)
    near = apart < 2 * np.sin(np.minimum(0.5 * (r[first] + r[second]), np.pi / 2))
    result[known[first[near]]] = result[known[second[near]]] = True
    return result


def _measured(
    grid: PixelGrid, group: list[tuple[int, RateMap]], sky: _Sky, field: Field | None, rules: _Rules
) -> list[dict[str, Any]]:
    """Return the measured columns of all maps of one grid."""
    x, y = deg_to_pix(grid, sky.ra, sky.dec)
    radii = tuple(v / grid.pixel_deg for v in (sky.radius, sky.inner, sky.outer))
    images = [_images(m, None if field is None else interloper_mask(m, field)) for _, m in group]
    parts: list[list[dict[str, Any]]] = [[] for _ in group]
    pixel_arcsec2 = abs(grid.cdelt1_deg * grid.cdelt2_deg) * 3600.0**2
    for part in list(circles.position_chunks(np.max(radii[2], initial=1.0), x.size)) or [slice(0, 0)]:
        at, cut = (x[part], y[part]), tuple(r[part] for r in radii)
        centre = _all_sums(grid.shape, at, cut, images, "centre")
        exact = _all_sums(grid.shape, at, cut, images, "exact") if rules.overlap == "exact" else centre
        for columns, whole, shown in zip(parts, centre, exact, strict=True):
            columns.append(_columns(shown, whole, rules, pixel_arcsec2))
    return [{name: np.concatenate([c[name] for c in columns]) for name in columns[0]} for columns in parts]


def _images(item: RateMap, free: NDArray[np.bool_] | None) -> _Images:
    counts, exposure = item.image.data, item.exposure.data
    with np.errstate(invalid="ignore"):
        on = (exposure > 0) & np.isfinite(exposure) & np.isfinite(counts)
    live = on if free is None else on & free
    if np.any(counts[live] < 0) or (counts.dtype.kind == "f" and np.any(counts[live] != np.floor(counts[live]))):
        raise InvalidRecord(
            f"{item.path} does not hold whole counts: an image that was resampled, smoothed or background-subtracted "
            "has no Poisson statistics; measure the single maps and use joint_photometry"
        )
    kept, seconds = row_sums(np.where(live, counts, 0)), np.where(live, exposure, 0.0).astype(np.float64)
    return _Images(kept, row_sums(seconds), row_sums(live), row_sums(on & ~live), np.where(live, exposure, np.inf))


def _all_sums(
    shape: tuple[int, int],
    at: tuple[Floats, Floats],
    radii: tuple[Floats, ...],
    images: list[_Images],
    overlap: Overlap,
) -> list[_Sums]:
    source, inner, outer = (circles.disc_weights(shape, *at, r, overlap=overlap) for r in radii)
    return [_map_sums(source, inner, outer, image, least=overlap == "centre") for image in images]


def _map_sums(source: DiscWeights, inner: DiscWeights, outer: DiscWeights, image: _Images, *, least: bool) -> _Sums:
    ring = [a - b for a, b in zip(sums(outer, *image[:3]), sums(inner, *image[:3]), strict=True)]
    smallest = circles.minima(source, image.least) if least else source.area
    return _Sums._make((*sums(source, *image[:4]), *ring, source.area, source.held, smallest))


def _columns(shown: _Sums, whole: _Sums, rules: _Rules, pixel_arcsec2: float) -> dict[str, Any]:
    """Return the columns of one map: fluxes of ``shown``, statistics of ``whole``."""
    live = shown.live > SLIVER
    n, b = np.where(live, shown.counts, np.nan), np.where(shown.background_live > SLIVER, shown.background, np.nan)
    alpha, exposure = shown.alpha, shown.mean_exposure
    net = n - alpha * b
    columns: dict[str, Any] = {
        "counts": n,
        "background_counts": np.where(live, b, np.nan),
        "alpha": np.where(live, alpha, np.nan),
        "net_counts": net,
        "rate": net / exposure,
        **_statistics(whole, rules),
        "area": shown.area * pixel_arcsec2,
        "live_area": np.where(live, shown.live, np.nan) * pixel_arcsec2,
        "background_area": np.where(live, shown.background_live, np.nan) * pixel_arcsec2,
        "exposure_mean": exposure,
        "exposure_min": np.where(np.isfinite(whole.least), whole.least, np.nan),
        "masked_fraction": _ratio(shown.masked, np.where(shown.held > SLIVER, shown.area, 0.0)),
        "flags": _flags(shown, whole),
    }
    if rules.overlap == "exact":
        n, b = np.where(whole.live > 0, whole.counts, np.nan), np.where(whole.live > 0, whole.background, np.nan)
        columns |= {"centre_counts": n, "centre_background": b, "centre_alpha": whole.alpha}
    return columns


def _ratio(over: Floats, under: Floats) -> Floats:
    """Return the quotient, NaN where the denominator is not above 0."""
    return np.asarray(over / np.where(under > 0, under, np.nan))


def _statistics(s: _Sums, rules: _Rules) -> dict[str, Floats]:
    exposure, alpha = s.mean_exposure, s.alpha
    good = np.isfinite(exposure) & np.isfinite(alpha)
    result = {n: np.full(good.size, np.nan) for n in ("rate_low", "rate_high", "significance", "upper_limit")}
    if np.any(good):
        n, b, a, e = s.counts[good], s.background[good], alpha[good], exposure[good]
        low, high, limit = of_on_off(partial(_ends, rules), 3, require_on_off(n, b, a, (1.0, 0.0)), np.asarray(0.5))
        values = (low / e, high / e, SIGNIFICANCES[rules.method](n, b, a), limit / e)
        for name, value in zip(result, values, strict=True):
            result[name][good] = value
    return result


def _ends(rules: _Rules, mixture: GammaMixture, _: Floats) -> tuple[Floats, Floats, Floats]:
    """Return interval and limit of one posterior, which is most of the work, made once for both."""
    level, limit = (np.full(mixture.first.shape, v) for v in (rules.confidence, rules.limit_confidence))
    return *mixture_shortest(mixture, level), mixture_quantile(mixture, limit)


def _flags(s: _Sums, whole: _Sums) -> NDArray[np.int32]:
    on = s.held > SLIVER
    conditions = {
        ApertureFlag.EDGE: on & (s.area - s.held > SLIVER * np.maximum(s.area, 1.0)),
        ApertureFlag.GAP: on & (s.held - s.live - s.masked > SLIVER * np.maximum(s.area, 1.0)),
        ApertureFlag.OFF_IMAGE: ~on & ~(s.area == 0),
        ApertureFlag.MASKED: s.masked > SLIVER,
        ApertureFlag.NO_BACKGROUND: ~(s.background_live > SLIVER),
        ApertureFlag.NO_PIXEL: whole.area == 0,
    }
    return np.asarray(sum(np.where(yes, np.int32(flag.value), np.int32(0)) for flag, yes in conditions.items()))
