"""The selection function: which part of the sources that are put into real images is found again."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.epic.map_search import check_options, in_order, search_maps
from xphotfn.errors import InvalidRecord, NoData, UnitMismatch
from xphotfn.io.bars import check_progress, progress_bar
from xphotfn.io.exposure_units import RATE_NAMES
from xphotfn.io.products import RateMap
from xphotfn.measure.factors import factors_of_maps
from xphotfn.records.ecf import FLUX_UNIT, Ecf
from xphotfn.records.source_list import LARGEST_EXTENT
from xphotfn.science.detection.fit import FittedSource, light_of_source
from xphotfn.science.detection.search import Found, search
from xphotfn.science.detection.search_map import MARGIN, SearchMap, corners_of, shape_at
from xphotfn.science.detection.sky import Sky
from xphotfn.science.detection.templates import extent_at, step_of
from xphotfn.science.king import OUTER_ARCSEC
from xphotfn.science.spreads import PsfLike
from xphotfn.typing import RadiiLike
from xphotfn.units import quantity

__all__ = ("completeness",)

Floats = NDArray[np.float64]
_SHARES = {"pn": 0.62, "mos1": 0.19, "mos2": 0.19}  # of a power law of Gamma 1.7 through thin filters in 0.5-2 keV
_LEVEL = 0.6827
_APART_ARCSEC, _MATCH_ARCSEC = 60.0, 12.0
_MOST_PER_IMAGE, _SHARE_OF_FIELD = 20, 0.05
_TRIES = 200
_MOST_COUNTS = 1e7  # of a source in a map: a camera piles up long before


class _Cell(NamedTuple):
    """A flux and an extent: what is put in together."""

    flux: float
    extent_arcsec: float
    rates: Floats


class _Trial(NamedTuple):
    """What became of one source that was put in."""

    cell: int
    counts: float
    found: bool
    extended: bool


def completeness(
    rate_maps: Iterable[RateMap],
    *,
    fluxes: ArrayLike,
    extents: RadiiLike = (0.0,) * u.arcsec,
    trials: int = 20,
    rng: np.random.Generator,
    ecf: Ecf | Iterable[Ecf] | None = None,
    threshold: float = 10.0,
    psf: PsfLike = "epic",
    progress: bool = True,
) -> Any:
    """Return which part of the sources that are put into real images is found: the selection function.

    Parameters
    ----------
    rate_maps
        As :func:`detect_sources` takes them; they are searched together.
    fluxes
        In ct/s, the sum over the cameras of an observation: each has its part, of EPIC 0.62 pn and 0.19 each MOS
        (a power law of Gamma 1.7 through thin filters in 0.5-2 keV), scaled to the cameras that are there; equal
        parts of others. Of exposures in cm2 s in photon/(cm2 s), which each camera sees. Or in erg/cm2/s, with ``ecf``.
    extents
        Core radii of the sources, 0 for points.
    trials
        How many sources of each flux and extent are put in.
    rng
        A generator of random numbers: places and counts.
    ecf
        Factors of the cameras, filters and bands, as :func:`fluxes` takes them, for fluxes in erg/cm2/s.
    threshold, psf
        As :func:`detect_sources`; sources have the same point spread function as is fitted.
    progress
        Whether a bar counts the sources that were put in, on a terminal and in a notebook: each image with at most
        twenty of them takes as long as a search.

    Returns
    -------
    ResultTable
        A row for each flux and extent: ``flux``, ``extent``, ``counts`` (mean of what is expected in all maps),
        ``trials``, ``found``, ``completeness`` with ``low`` and ``high``, and ``extended``, how many of the found ones
        were called so. ``low`` and ``high`` are the central 68.27 % interval of Clopper and Pearson. Its meta says how
        often it searched, and which part of the live pixels was left out.

    Raises
    ------
    InvalidRecord
        If a flux is not above 0 or makes more than 1e7 counts in a map, an extent is negative or above 120 arcsec,
        trials are below 1, or fluxes in erg/cm2/s come without ``ecf``, or with a factor of other events or another
        vignetting, as in :func:`fluxes`.
    ProductMissing
        If no factor is of a map's camera, filter and band.
    UnitMismatch
        If fluxes or extents have other units, fluxes are not in the unit of the maps' rates, or exposures are in cm2 s
        with ``ecf``.
    NoData
        If there is no place left.
    InvalidRecord, NoData, ShapeMismatch
        Also as :func:`detect_sources`.

    Notes
    -----
    Counts are added to the real images, so that gaps, background, neighbours and diffuse light are those of the field.
    At most twenty sources go into an image at once, 60 arcsec apart, on live pixels; places within 12 arcsec (two core
    radii) of a source that is there already are left out. A source counts as found where the new list has one within
    12 arcsec, or within its core radius where that is more. Errors of the point spread function are not in it.

    References
    ----------
    Clopper & Pearson 1934, Biometrika 26, 404.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> found = completeness([example_rate_map()], fluxes=[0.2] * u.ct / u.s, trials=4, rng=np.random.default_rng(1))
    >>> int(found["found"][0]), float(found["low"][0]) > 0.6
    (4, True)
    """
    maps = in_order(rate_maps)
    cells = _cells(maps, fluxes, extents, ecf)
    _check_draws(trials, rng)
    check_progress(progress)
    check_options(threshold, True, None, maps)
    arrays = _arrays(maps, psf, cells)
    wide = any(cell.extent_arcsec > 0 for cell in cells)
    before = search(arrays, threshold=threshold, extent=True)
    free = _free(before)
    if not free.any():
        raise NoData("no live pixel is away from the sources that are there: nothing can be put in")
    order = rng.permutation(np.repeat(np.arange(len(cells)), int(trials)))
    results: list[_Trial] = []
    searches = 0
    with progress_bar(total=order.size, desc="completeness", unit="source", shown=progress) as bar:
        while order.size:
            placed = _placed(before.sky, free, [cells[n] for n in order[: _at_once(free, before.sky)]], rng)
            if not placed:
                raise NoData("sources of these extents find no place in the field: give smaller ones")
            results += _searched(before.sky, placed, order[: len(placed)], rng, (threshold, wide))
            order, searches = order[len(placed) :], searches + 1
            bar.update(len(placed))
    meta = {"threshold": threshold, "searches": searches, "left_out": _left_out(before, free)}
    return _table(cells, results, _unit(fluxes, maps), meta)


def _left_out(before: Found, free: NDArray[np.bool_]) -> float:
    """Return the part of the live pixels where nothing may be put."""
    return 1 - float(free.sum()) / float(np.count_nonzero(before.sky.extended_ratio()[1]))


def _check_draws(trials: Any, rng: Any) -> None:
    if not isinstance(trials, int | np.integer) or isinstance(trials, bool) or trials < 1:
        raise InvalidRecord(f"trials must be a whole number from 1, got {trials!r}")
    if not isinstance(rng, np.random.Generator):
        raise InvalidRecord(f"rng must be numpy's generator, such as np.random.default_rng(1), got {rng!r}")


def _arrays(maps: Sequence[RateMap], psf: Any, cells: Sequence[_Cell]) -> tuple[SearchMap, ...]:
    """Return the arrays of the maps; a source of more counts than any image holds is refused."""
    arrays = search_maps(maps, psf)
    most = max(float(np.max(cell.rates * [m.exposure.max() for m in arrays])) for cell in cells)
    if most > _MOST_COUNTS:
        raise InvalidRecord(
            f"fluxes must make at most {_MOST_COUNTS:g} counts in a map, got {most:.3g}: give lower ones"
        )
    return arrays


def _unit(fluxes: Any, maps: Sequence[RateMap]) -> Any:
    given = quantity(fluxes, "fluxes", "[0.001, 0.01] * u.ct / u.s")
    of_maps = maps[0].rate_unit
    for unit in (of_maps, FLUX_UNIT):
        if given.unit.is_equivalent(unit):
            return unit
    rate = RATE_NAMES[str(maps[0].exposure.unit)]
    raise UnitMismatch(f"fluxes must be in {rate}, as the rates of these maps are, or in erg/(cm2 s), got {given.unit}")


def _cells(maps: Sequence[RateMap], fluxes: Any, extents: Any, ecf: Any) -> list[_Cell]:
    unit = _unit(fluxes, maps)
    values = np.atleast_1d(u.Quantity(fluxes).to_value(unit)).astype(np.float64)
    sizes = quantity(extents, "extents", "[0, 30] * u.arcsec")
    if not sizes.unit.is_equivalent(u.arcsec):
        raise UnitMismatch(f"extents must be angles, got {sizes.unit}")
    cores = np.atleast_1d(sizes.to_value(u.arcsec)).astype(np.float64)
    if not (values.size and np.all((values > 0) & np.isfinite(values))):
        raise InvalidRecord(f"fluxes must be above 0, got {values.tolist()}")
    if not (cores.size and np.all((cores >= 0) & (cores <= LARGEST_EXTENT))):
        raise InvalidRecord(f"extents must lie within 0 and {LARGEST_EXTENT:g} arcsec, got {cores.tolist()}")
    parts = _of_rate(maps) if unit != FLUX_UNIT else _of_flux(maps, ecf)
    return [_Cell(float(flux), float(core), flux * parts) for core in cores for flux in values]


def _of_rate(maps: Sequence[RateMap]) -> Floats:
    """Return the part of each map of the rate of all cameras of its observation; of a flux of photons all."""
    if maps[0].rate_unit != u.ct / u.s:
        return np.ones(len(maps))
    shares = np.array([_SHARES.get(m.instrument, 1.0) for m in maps])
    return np.array([
        share / sum(s for s, other in zip(shares, maps, strict=True) if other.obs_id == m.obs_id)
        for share, m in zip(shares, maps, strict=True)
    ])  # fmt: skip


def _of_flux(maps: Sequence[RateMap], ecf: Any) -> Floats:
    if ecf is None:
        raise InvalidRecord("fluxes in erg/cm2/s need ecf= of each camera, filter and band: power_law_ecf(...)")
    return factors_of_maps(maps, ecf).values


def _free(found: Found) -> NDArray[np.bool_]:
    """Return where on the frame a source may be put: live, and no source is there already."""
    free = found.sky.extended_ratio()[1].copy()
    x0, y0 = found.sky.frame[:2]
    rows, columns = np.ogrid[: free.shape[0], : free.shape[1]]
    for fitted in found.sources:
        s = fitted.source
        reach = max(_MATCH_ARCSEC, 2 * extent_at(s.u)) / found.sky.pixel
        free &= (columns + x0 - s.x) ** 2 + (rows + y0 - s.y) ** 2 > reach**2
    return free


def _at_once(free: NDArray[np.bool_], sky: Sky) -> int:
    area = float(free.sum()) * sky.pixel**2 / (np.pi * _APART_ARCSEC**2)
    return int(np.clip(_SHARE_OF_FIELD * area, 1, _MOST_PER_IMAGE))


def _placed(sky: Sky, free: NDArray[np.bool_], cells: Sequence[_Cell], rng: np.random.Generator) -> list[FittedSource]:
    """Return the sources at random places, as many as find one."""
    x0, y0 = sky.frame[:2]
    rows, columns = np.nonzero(free)
    placed: list[FittedSource] = []
    for cell in cells:
        for _ in range(_TRIES):
            n = int(rng.integers(rows.size))
            x, y = columns[n] + x0 + rng.uniform(-0.5, 0.5), rows[n] + y0 + rng.uniform(-0.5, 0.5)
            wide = [max(_APART_ARCSEC, 2 * cell.extent_arcsec, 2 * extent_at(other.u)) for other in placed]
            if all(sky.pixel * np.hypot(x - o.x, y - o.y) > w for o, w in zip(placed, wide, strict=True)):
                break
        else:
            break
        step = step_of(cell.extent_arcsec)
        placed.append(FittedSource(float(x), float(y), step, cell.rates, step > 0, shape_at(sky.maps, x, y, step)))
    return placed


def _searched(
    real: Sky, placed: Sequence[FittedSource], cells: Any, rng: np.random.Generator, how: tuple[float, bool]
) -> list[_Trial]:
    """Return what becomes of sources that are put into the maps."""
    each = [_light(real, source) for source in placed]
    drawn = [float(sum(plane.sum() for plane in planes)) for planes in each]
    added = [sum(planes) for planes in zip(*each, strict=True)]
    maps: list[SearchMap] = [
        m._replace(counts=m.counts + rng.poisson(np.where(m.exposure > 0, light, 0.0)))
        for m, light in zip(real.maps, added, strict=True)
    ]
    found = search(maps, threshold=how[0], extent=how[1]).sources
    return [_trial(real, s, int(c), d, found) for s, c, d in zip(placed, cells, drawn, strict=True)]


def _light(sky: Sky, source: FittedSource) -> list[Floats]:
    """Return the light of a source on each map in counts, out to 300 arcsec."""
    radius = min(int(OUTER_ARCSEC / sky.pixel), MARGIN - 4)
    corners = corners_of(source.shape, source.x, source.y, sky.sizes, radius)
    window = sky.window(corners, radius)
    light = np.maximum(window.exposure * light_of_source(window, source).value * source.rates[:, None], 0.0)
    side = 2 * radius + 1
    planes = [np.zeros(size) for size in sky.sizes]
    for plane, patch, (row, column) in zip(planes, light, corners, strict=True):
        plane[row : row + side, column : column + side] = patch.reshape(side, side)
    return sky.inner(planes)


def _trial(sky: Sky, source: FittedSource, cell: int, counts: float, found: Any) -> _Trial:
    reach = max(_MATCH_ARCSEC, extent_at(source.u)) / sky.pixel
    near = [f for f in found if np.hypot(f.source.x - source.x, f.source.y - source.y) < reach]
    best = max(near, key=lambda f: f.tied_ml, default=None)
    return _Trial(cell, counts, best is not None, best is not None and best.source.u > 0)


def _table(cells: Sequence[_Cell], results: Sequence[_Trial], unit: Any, meta: dict[str, Any]) -> Any:
    from xphotfn.records.result_table import ResultTable

    rows = [[r for r in results if r.cell == number] for number in range(len(cells))]
    trials = np.array([len(row) for row in rows])
    found = np.array([sum(r.found for r in row) for row in rows])
    low, high = _clopper_pearson(found, trials)
    return ResultTable(
        {
            "flux": u.Quantity([cell.flux for cell in cells], unit),
            "extent": u.Quantity([cell.extent_arcsec for cell in cells], u.arcsec),
            "counts": u.Quantity([np.mean([r.counts for r in row]) for row in rows], u.ct),
            "trials": trials,
            "found": found,
            "completeness": found / trials,
            "low": low,
            "high": high,
            "extended": np.array([sum(r.extended for r in row) for row in rows]),
        },
        meta=meta,
    )


def _clopper_pearson(found: Any, trials: Any) -> tuple[Floats, Floats]:
    """Return the central interval of a binomial probability."""
    from scipy.special import betaincinv

    tail = (1 - _LEVEL) / 2
    low = np.where(found > 0, betaincinv(np.maximum(found, 1), trials - found + 1, tail), 0.0)
    high = np.where(found < trials, betaincinv(found + 1, np.maximum(trials - found, 1), 1 - tail), 1.0)
    return np.asarray(low), np.asarray(high)
