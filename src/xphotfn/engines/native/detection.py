"""Sources of rate maps: from the maps to what a search takes, and from what it finds to a list."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.engines.native.out_of_time import out_of_time_of
from xphotfn.engines.native.response import packaged_table
from xphotfn.errors import InvalidFile, InvalidRecord, NoData, ShapeMismatch, UnitMismatch
from xphotfn.io.cards import card
from xphotfn.io.products import RateMap
from xphotfn.records._fields import of_kind
from xphotfn.records.instrument import CAMERAS
from xphotfn.records.region import Region
from xphotfn.records.source import SearchedMap, SourceList
from xphotfn.science.coords import deg_to_pix, pix_to_deg, separation_deg
from xphotfn.science.detection.likelihood import expected_false
from xphotfn.science.detection.listing import listed
from xphotfn.science.detection.maps import EllipticalSpread, SearchMap
from xphotfn.science.detection.search import search
from xphotfn.science.detection.sky import SLOW_ARCMIN, Sky
from xphotfn.science.encircled_energy import EncircledEnergyTable
from xphotfn.science.king import KingModel
from xphotfn.science.masks import paint
from xphotfn.science.shapes import contains, pixel_shapes
from xphotfn.science.spreads import band_energy_ev, chosen_spread
from xphotfn.science.vignetting import vignetting

__all__ = ("Detection", "find_sources", "in_order", "search_maps")

Floats = NDArray[np.float64]
_OFF_MAP_COUNTS, _OFF_MAP_PART = 10, 0.01  # counts without exposure above which image and map do not belong together
_SIZES = 1e-3  # relative difference of pixel sizes that is rounding
_LEAST_THRESHOLD = 4.0


class Detection(NamedTuple):
    """A list of sources, and the maps that were searched with background and light of sources, in counts."""

    sources: SourceList
    maps: tuple[RateMap, ...]
    backgrounds: tuple[Floats, ...]
    light: tuple[Floats, ...]


def find_sources(
    rate_maps: Iterable[RateMap],
    *,
    threshold: float = 10.0,
    extent: bool = True,
    psf: Any = "epic",
    within: Region | None = None,
) -> Detection:
    """Find the sources of rate maps; :func:`~xphotfn.measure.detection.detect_sources` says how."""
    if not _LEAST_THRESHOLD <= threshold < np.inf:
        raise InvalidRecord(f"threshold must be a DET_ML of {_LEAST_THRESHOLD:g} or above, got {threshold!r}")
    maps = in_order(rate_maps)
    arrays = search_maps(maps, psf)
    found = search(arrays, threshold=float(threshold), extent=extent, inside=_inside(within, maps[0]))
    result = listed(found.sky, found.sources)
    source_list = SourceList(
        sources=result.sources,
        objects=result.objects,
        maps=_searched(maps, found.sky),
        threshold=float(threshold),
        extent=extent,
        psf=psf if isinstance(psf, str) else _name_of(psf),
        within=within,
        expected_false=expected_false(float(threshold), _area_arcmin2(found.sky, within, maps[0])),
        extended_fraction=result.extended_fraction,
        target=maps[0].target,
    )
    light = tuple(np.maximum(v, 0.0) for v in found.sky.inner(found.sky.light))
    return Detection(source_list, maps, tuple(b.image for b in found.sky.backgrounds), light)


def _name_of(psf: Any) -> str:
    parts = sorted(psf) if isinstance(psf, dict) else ()
    return f"own: {', '.join(parts)}" if parts else f"own: {type(psf).__name__}"


def in_order(rate_maps: Iterable[RateMap]) -> tuple[RateMap, ...]:
    """Return rate maps in the order in which they are searched: ObsID, exposure, camera.

    Raises
    ------
    InvalidRecord
        If there is none, one comes twice, or they are of several bands or targets.
    ShapeMismatch
        If their pixels differ in size.
    UnitMismatch
        If some exposures are in s and some in cm2 s.
    """
    given = (rate_maps,) if isinstance(rate_maps, RateMap) else tuple(rate_maps)
    for item in given:
        of_kind(item, RateMap, "rate_maps(run)")
    if not given:
        raise InvalidRecord("a search needs a rate map, got none: rate_maps(run) gives those of a run")
    cameras = {name: number for number, name in enumerate(CAMERAS)}
    maps = tuple(
        sorted(
            given,
            key=lambda m: (m.obs_id, cameras.get(m.instrument, 9), m.instrument, m.exposure_id, m.image.digest, m.path),
        )
    )
    if len({m.path for m in maps}) < len(maps):
        raise InvalidRecord("a search takes each map once, got one twice: its counts would be counted twice")
    for name in ("band", "target"):
        values = {str(m.band.nominal) if name == "band" else m.target for m in maps} - {None}
        if len(values) > 1:
            raise InvalidRecord(
                f"maps of several {name}s are searched apart, got {', '.join(sorted(map(str, values)))}: choose with "
                f"rate_maps(run, {name}=...)"
            )
    sizes = [m.grid.pixel_deg for m in maps]
    if max(sizes) > min(sizes) * (1 + _SIZES):
        low, high = 3600 * min(sizes), 3600 * max(sizes)
        raise ShapeMismatch(
            f"maps must have pixels of one size, got {low:.4g} and {high:.4g} arcsec: make all images with one binning"
        )
    units = sorted({str(m.exposure.unit) for m in maps})
    if len(units) > 1:
        raise UnitMismatch(f"exposure maps must have one unit, got {' and '.join(units)}: search them apart")
    return maps


def search_maps(maps: Sequence[RateMap], psf: Any) -> tuple[SearchMap, ...]:
    """Return the arrays of rate maps, checked.

    Raises
    ------
    NoData
        If a map has no live pixel, or no count.
    InvalidRecord
        If counts are no whole numbers, lie where there is no exposure, or there is no point spread function.
    """
    return tuple(_search_map(item, psf) for item in maps)


def _search_map(item: RateMap, psf: Any) -> SearchMap:
    counts = np.asarray(item.counts, dtype=np.float64)
    exposure = np.nan_to_num(np.asarray(item.exposure.data, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    exposure = np.where(np.isfinite(counts) & (exposure > 0), exposure, 0.0)
    live = exposure > 0
    if not live.any():
        raise NoData(f"{item} has no pixel with exposure: nothing can be found on it, leave it out")
    off = float(np.nansum(np.where(live, 0.0, counts)))
    total = float(counts[live].sum())
    if off > max(_OFF_MAP_COUNTS, _OFF_MAP_PART * total):
        raise InvalidRecord(
            f"{item} has {off:.0f} counts where there is no exposure, {total:.0f} where there is: the exposure map is "
            "not that of the image, or the image is not filtered (#XMMEA_EM, #XMMEA_EP)"
        )
    if total == 0:
        raise NoData(f"{item} has no count: nothing can be found on it, leave it out")
    spread = chosen_spread(psf, item.instrument, str(item))
    if not isinstance(spread, KingModel | EncircledEnergyTable | EllipticalSpread):
        raise InvalidRecord(
            'psf must be "epic", a KingModel, an EncircledEnergyTable, an EllipticalSpread or a dict of these by '
            f"camera, got {spread!r}"
        )
    header = item.header
    pointing = tuple(
        float(card(header, n, d)) for n, d in (("RA_PNT", item.grid.ra_deg), ("DEC_PNT", item.grid.dec_deg))
    )
    return SearchMap(
        np.where(live, counts, 0.0),
        exposure,
        _flat(item, exposure, (pointing[0], pointing[1])),
        _streak(item, header),
        item.grid,
        spread,
        band_energy_ev(item.band),
        (pointing[0], pointing[1]),
        item.instrument,
        item.obs_id,
    )


def _flat(item: RateMap, exposure: Floats, pointing: tuple[float, float]) -> Floats | None:
    """Return the exposure without vignetting of an EPIC camera, None for another."""
    if item.instrument not in CAMERAS:
        return None
    ny, nx = exposure.shape
    ra, dec = pix_to_deg(item.grid, np.arange(nx, dtype=np.float64)[None, :], np.arange(ny, dtype=np.float64)[:, None])
    angle = 60 * separation_deg(ra, dec, *pointing)
    middle = (item.band.lo_ev + item.band.hi_ev) / 2
    return exposure / np.maximum(vignetting(packaged_table(), middle, angle), 0.05)


def _streak(item: RateMap, header: Any) -> Floats | None:
    """Return the out-of-time events that are expected in an image of pn; None elsewhere, and where it is not known."""
    if item.instrument != "pn":
        return None
    try:
        return out_of_time_of(item.image.data, header, item.path)
    except (NoData, InvalidFile):
        return None  # the mode or the pointing is not known: nothing is expected, and no source is flagged


def _searched(maps: Sequence[RateMap], sky: Sky) -> tuple[SearchedMap, ...]:
    return tuple(
        SearchedMap(
            obs_id=item.obs_id,
            exposure_id=item.exposure_id,
            instrument=item.instrument,
            band=item.band,
            pixel_arcsec=sky.pixel,
            image=item.image.digest,
            exposure=item.exposure.digest,
            vignetted=fit.vignetted,
            vignetted_error=_known(fit.vignetted_error),
            flat=None if array.flat is None else fit.flat,
            flat_error=None if array.flat is None else _known(fit.flat_error),
            slow_arcmin=SLOW_ARCMIN,
            excised_pix=fit.excised,
        )
        for item, array, fit in zip(maps, sky.maps, sky.backgrounds, strict=True)
    )


def _known(error: float) -> float | None:
    return error if np.isfinite(error) else None


def _inside(within: Region | None, first: RateMap) -> Any:
    """Return the function of RA and Dec that says what lies in a region, None without one."""
    if within is None:
        return None
    shapes = pixel_shapes([within], first.grid, first.grid)

    def inside(ra: Floats, dec: Floats) -> NDArray[np.bool_]:
        x, y = deg_to_pix(first.grid, ra, dec)
        return np.array([contains(shapes, float(a), float(b))[0] for a, b in zip(x, y, strict=True)])

    return inside


def _area_arcmin2(sky: Sky, within: Region | None, first: RateMap) -> float:
    """Return the area of the pixels that are live on some map and lie within the region."""
    live = sky.extended_ratio()[1]
    if within is not None:
        x0, y0 = sky.frame[:2]
        inside = np.zeros(first.grid.shape, dtype=bool)
        paint(inside, pixel_shapes([within], first.grid, first.grid))
        ny, nx = first.grid.shape
        live = live[-y0 : -y0 + ny, -x0 : -x0 + nx] & inside
    return float(np.count_nonzero(live)) * (sky.pixel / 60) ** 2
