"""Sources of rate maps: from the maps to what a search takes, and from what it finds to a list."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, final

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from xphotfn.epic.camera.response import packaged_table
from xphotfn.epic.out_of_time import out_of_time_of
from xphotfn.epic.relative_sensitivity import relative_sensitivity
from xphotfn.epic.searched_counts import searched_counts
from xphotfn.errors import InvalidFile, InvalidRecord, NoData, ShapeMismatch, UnitMismatch
from xphotfn.io.bars import check_progress, progress_bar
from xphotfn.io.cards import card
from xphotfn.io.products import RateMap
from xphotfn.records.fields import of_kind, one_or_several
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import CAMERAS
from xphotfn.records.region import Region
from xphotfn.records.source import SearchedMap
from xphotfn.records.source_list import SourceList
from xphotfn.science.coords import deg_to_pix, separation_deg
from xphotfn.science.detection.likelihood import expected_false, threshold_of
from xphotfn.science.detection.listing import listed
from xphotfn.science.detection.search import STAGES, Found, search
from xphotfn.science.detection.search_map import EllipticalSpread, SearchMap
from xphotfn.science.detection.sky import SLOW_ARCMIN, Sky
from xphotfn.science.detection.tile_lists import joined_lists, order_of_map
from xphotfn.science.detection.tile_parts import part_of_grid, part_of_map, placed
from xphotfn.science.detection.tiles import Tile, needs_tiles, positions, tiles_of
from xphotfn.science.encircled_energy import EncircledEnergyTable
from xphotfn.science.king import KingModel
from xphotfn.science.pixel_masks import paint
from xphotfn.science.shapes import contains, pixel_shapes
from xphotfn.science.spreads import band_energy_ev, chosen_spread
from xphotfn.science.vignetting import vignetting
from xphotfn.typing import Header

__all__ = ("Detection", "check_options", "find_sources", "in_order", "search_maps")

Floats = NDArray[np.float64]
_ONE_OBSERVATION_DEG = 1.0  # all cameras look the same way; modes of several pointings stay within
_SIZES = 1e-3  # relative difference of pixel sizes that is rounding


class Detection(NamedTuple):
    """A list of sources, and the maps that were searched with background and light of sources, in counts."""

    sources: SourceList
    maps: tuple[RateMap, ...]
    backgrounds: tuple[Floats, ...]
    light: tuple[Floats, ...]


@final
@frozen(kw_only=True)
class _How:
    """How a search is asked for."""

    threshold: float
    extent: bool
    psf: Any
    within: Region | None
    first: RateMap
    tell: Callable[[], object] = lambda: None


def find_sources(
    rate_maps: Iterable[RateMap],
    *,
    threshold: float = 10.0,
    extent: bool = True,
    psf: Any = "epic",
    within: Region | None = None,
    tile: Tile | None = None,
    progress: bool = False,
) -> Detection:
    """Find the sources of rate maps; :func:`~xphotfn.measure.source_search.detect_sources` says how.

    With a ``tile`` only the part of each map that holds it, with its margin, is searched: the list has what lies in the
    margin too, and background and light are 0 outside the core, so that those of all tiles add up. With ``progress`` a
    bar goes on with the stages of the search, on a terminal and in a notebook.
    """
    check_progress(progress)
    maps = in_order(rate_maps)
    check_options(threshold, extent, within, maps)
    how = _How(threshold=float(threshold), extent=extent, psf=psf, within=within, first=maps[0])
    if tile is not None:
        return _in_tile(maps, how, tile)
    apart = needs_tiles([_pointing(item) for item in maps])
    tiles = tiles_of(*np.concatenate([_live_places(item) for item in maps], axis=1)) if apart else ()
    with progress_bar(total=STAGES * max(len(tiles), 1), desc="search", unit="stage", shown=progress) as bar:
        how = evolve(how, tell=bar.update)
        return _in_tiles(maps, how, tiles) if apart else _searched_whole(maps, how)


def _in_tiles(maps: Sequence[RateMap], how: _How, tiles: Sequence[Tile]) -> Detection:
    """Search one tile after another, and join what they have."""
    lists: dict[Tile, SourceList] = {}
    planes = [[np.zeros(item.grid.shape) for item in maps] for _ in range(2)]
    for part in tiles:
        found = _in_tile(maps, how, part)
        lists[part] = found.sources
        for whole, parts in zip(planes, (found.backgrounds, found.light), strict=True):
            for total, plane in zip(whole, parts, strict=True):
                total += plane
    return Detection(joined_lists(lists), tuple(maps), tuple(planes[0]), tuple(planes[1]))


def check_options(threshold: Any, extent: Any, within: Any, maps: Sequence[RateMap]) -> None:
    """Refuse options by which nothing can be searched.

    Raises
    ------
    InvalidRecord
        For a threshold that is no likelihood, or what is no switch or no region.
    NoData
        For a region that holds no live pixel.
    """
    threshold_of(threshold)
    if not isinstance(extent, bool):
        raise InvalidRecord(f"extent must be True or False, got {extent!r}")
    if within is None:
        return
    of_kind(within, Region, "one of read_regions(path)")
    for item in maps:
        inside = np.zeros(item.grid.shape, dtype=bool)
        paint(inside, pixel_shapes([within], maps[0].grid, item.grid))
        if np.any(inside & item.sensor_mask):
            return
    raise NoData(
        f"within holds no live pixel of the maps ({within.shape} at {within.x:g}, {within.y:g} of {within.frame}): "
        "nothing can be found there, give a region on the maps"
    )


def _live_places(item: RateMap) -> NDArray[np.float64]:
    """Return RA and Dec of the live pixels of a map, shape (2, n)."""
    live = item.sensor_mask
    return np.array([v[live] for v in positions(item.grid)])


def _searched_whole(maps: Sequence[RateMap], how: _How) -> Detection:
    arrays = search_maps(maps, how.psf)
    found = search(arrays, threshold=how.threshold, extent=how.extent,
                   inside=_inside(how.within, how.first), tell=how.tell)  # fmt: skip
    light = tuple(np.maximum(v, 0.0) for v in found.sky.inner(found.sky.light))
    return Detection(
        _list_of(maps, found, how, None), tuple(maps), tuple(b.image for b in found.sky.backgrounds), light
    )


def _in_tile(maps: Sequence[RateMap], how: _How, tile: Tile) -> Detection:
    """Search the part of some maps that holds a tile; a map without live pixel or count there is left out."""
    whole = zip(maps, _arrays_of_each(maps, how.psf), strict=True)  # one at a time is in memory
    parts = [part_of_map(arrays, tile, str(item)) for item, arrays in whole]
    there = [(item, part) for item, part in zip(maps, parts, strict=True) if part is not None]
    empty = tuple(np.zeros(item.grid.shape) for item in maps)
    if not any(np.any((part.map.exposure > 0) & part.core) for _, part in there):
        return Detection(_empty_list(maps, how), tuple(maps), empty, empty)
    found = search([part.map for _, part in there], threshold=how.threshold, extent=how.extent,
                   inside=_inside(how.within, how.first), tell=how.tell)  # fmt: skip
    sources = _list_of([item for item, _ in there], found, how, tile)
    rows, columns = there[0][1].window
    shifted = [evolve(s, x=(s.x or 0.0) + columns.start, y=(s.y or 0.0) + rows.start) for s in sources]
    planes = [
        placed([item.grid for item in maps], parts, values)
        for values in ([b.image for b in found.sky.backgrounds], found.sky.inner(found.sky.light))
    ]
    return Detection(evolve(sources, sources=shifted), tuple(maps), *planes)


def _list_of(maps: Sequence[RateMap], found: Found, how: _How, tile: Tile | None) -> SourceList:
    sky = found.sky
    core = None if tile is None else tile.holds(*positions(_frame_grid(sky)))
    result = listed(sky, found.sources, core)
    return evolve(
        _empty_list(maps, how),
        sources=result.sources,
        objects=result.objects,
        maps=_searched(maps, sky),
        expected_false=expected_false(how.threshold, _area_arcmin2(sky, how, core)),
        extended_fraction=result.extended_fraction,
    )


def _empty_list(maps: Sequence[RateMap], how: _How) -> SourceList:
    return SourceList(
        sources=(),
        threshold=how.threshold,
        extent=how.extent,
        psf=how.psf if isinstance(how.psf, str) else _name_of(how.psf),
        within=how.within,
        expected_false=0.0,
        target=maps[0].target,
        exposure_unit=str(maps[0].exposure.unit),
    )


def _frame_grid(sky: Sky) -> PixelGrid:
    """Return the grid of the frame of a search."""
    x0, y0, nx, ny = sky.frame
    return part_of_grid(sky.maps[0].grid, np.s_[y0 : y0 + ny, x0 : x0 + nx])


def _name_of(psf: Any) -> str:
    parts = sorted(psf) if isinstance(psf, dict) else ()
    return f"own: {', '.join(parts)}" if parts else f"own: {type(psf).__name__}"


def in_order(rate_maps: Iterable[RateMap]) -> tuple[RateMap, ...]:
    """Return rate maps in the order in which they are searched: ObsID, exposure, camera.

    Raises
    ------
    InvalidRecord
        If there is none, one comes twice, they are of several bands or targets, or those of one observation point more
        than a degree apart.
    ShapeMismatch
        If their pixels differ in size.
    UnitMismatch
        If some exposures are in s and some in cm2 s.
    """
    given = one_or_several(rate_maps, RateMap, "rate_maps(run)")
    if not given:
        raise InvalidRecord("a search needs a rate map, got none: rate_maps(run) gives those of a run")
    maps = tuple(
        sorted(given, key=lambda m: (order_of_map(m.obs_id, m.instrument, m.exposure_id, m.image.digest), m.path))
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
    _refuse_apart(maps)
    _refuse_other_sizes(maps)
    units = sorted({str(m.exposure.unit) for m in maps})
    if len(units) > 1:
        raise UnitMismatch(f"exposure maps must have one unit, got {' and '.join(units)}: search them apart")
    return maps


def _refuse_other_sizes(maps: Sequence[RateMap]) -> None:
    sizes = [m.grid.pixel_deg for m in maps]
    if max(sizes) > min(sizes) * (1 + _SIZES):
        low, high = 3600 * min(sizes), 3600 * max(sizes)
        raise ShapeMismatch(
            f"maps must have pixels of one size, got {low:.4g} and {high:.4g} arcsec: make all images with one binning"
        )


def _refuse_apart(maps: Sequence[RateMap]) -> None:
    """Refuse maps of one observation that cannot be: a source has one rate and one amplitude there."""
    firsts: dict[str, RateMap] = {}
    for item in maps:
        first = firsts.setdefault(item.obs_id, item)
        apart = float(separation_deg(*_pointing(first), *_pointing(item)))
        if not apart <= _ONE_OBSERVATION_DEG:
            raise InvalidRecord(
                f"{first} and {item} are of one observation, but point {apart:.3g} deg apart ({first.path}, "
                f"{item.path}): one has the coordinates or the ObsID of another, give each its own"
            )


def search_maps(maps: Sequence[RateMap], psf: Any) -> tuple[SearchMap, ...]:
    """Return the arrays of rate maps, checked.

    Raises
    ------
    NoData
        If a map has no live pixel, or no count.
    InvalidRecord
        If counts are no whole numbers, lie where there is no exposure, are the same on two maps, or there is no point
        spread function.
    """
    return tuple(_arrays_of_each(maps, psf))


def _arrays_of_each(maps: Sequence[RateMap], psf: Any) -> Iterator[SearchMap]:
    """Yield the arrays of maps one after the other, and refuse an image that comes a second time under another name."""
    seen: dict[str, RateMap] = {}
    for item in maps:
        arrays = _search_map(item, psf)
        twin = seen.setdefault(sha256(arrays.counts.tobytes()).hexdigest(), item)
        if twin is not item:
            raise InvalidRecord(
                f"{item}: {twin.path} and {item.path} hold the same counts, one image under two names would count "
                "twice: leave one out"
            )
        yield arrays


def _search_map(item: RateMap, psf: Any) -> SearchMap:
    counts, exposure = searched_counts(item)
    spread = chosen_spread(psf, item.instrument, str(item))
    if not isinstance(spread, KingModel | EncircledEnergyTable | EllipticalSpread):
        raise InvalidRecord(
            'psf must be "epic", a KingModel, an EncircledEnergyTable, an EllipticalSpread or a dict of these by '
            f"camera, got {spread!r}"
        )
    header, pointing = item.header, _pointing(item)
    return SearchMap(
        counts, exposure, _flat(item, exposure, pointing), _streak(item, header), item.grid,
        spread, band_energy_ev(item.band), pointing, item.instrument, item.obs_id, _sensitivity(item),
        in_area=str(item.exposure.unit) != "s",
    )  # fmt: skip


def _sensitivity(item: RateMap) -> float | None:
    in_seconds = str(item.exposure.unit) == "s"
    return relative_sensitivity(item.instrument, item.filter, item.band) if in_seconds else None


def _pointing(item: RateMap) -> tuple[float, float]:
    header, grid = item.header, item.grid
    return float(card(header, "RA_PNT", grid.ra_deg)), float(card(header, "DEC_PNT", grid.dec_deg))


def _flat(item: RateMap, exposure: Floats, pointing: tuple[float, float]) -> Floats | None:
    """Return the exposure without vignetting of an EPIC camera, None for another."""
    if item.instrument not in CAMERAS:
        return None
    angle = 60 * separation_deg(*positions(item.grid), *pointing)
    middle = (item.band.lo_ev + item.band.hi_ev) / 2
    return exposure / np.maximum(vignetting(packaged_table(), middle, angle), 0.05)


def _streak(item: RateMap, header: Header) -> Floats | None:
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
            sensitivity=array.sensitivity,
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


def _area_arcmin2(sky: Sky, how: _How, core: NDArray[np.bool_] | None) -> float:
    """Return the area of the pixels that are live on some map and lie within the region and the core."""
    counted = sky.extended_ratio()[1]
    if core is not None:
        counted = counted & core
    if how.within is not None:
        inside = np.zeros(counted.shape, dtype=bool)
        paint(inside, pixel_shapes([how.within], how.first.grid, _frame_grid(sky)))
        counted = counted & inside
    return float(np.count_nonzero(counted)) * (sky.pixel / 60) ** 2
