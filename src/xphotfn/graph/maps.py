"""From a run to its rate maps."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xphotfn.epic.joined import joined, joined_mosaic
from xphotfn.errors import InvalidFile, ProductMissing, Remedy
from xphotfn.graph.plan import MAP_KINDS, PlannedProduct
from xphotfn.graph.result import Run
from xphotfn.io.fits import read_header
from xphotfn.io.headers import grid_of
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.records.band import Band
from xphotfn.records.fields import of_kind
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import instrument as camera_of
from xphotfn.records.several import Several
from xphotfn.records.target import Target
from xphotfn.store.product_store import Store

__all__ = ("combined_rate_map", "maps_by_field", "rate_maps", "select")

What = tuple[str, str, str, str, Band]
Pair = tuple[tuple[PlannedProduct, str, str], tuple[PlannedProduct, str, str]]
_NAME_ONE = Remedy("name one with target= and band=", "name one with --target and --band")
_RUN_AGAIN = Remedy("run(run.plan, ...) makes it again", "`xphotfn run` makes it again")
_SEE_TABLE = Remedy("see run.table()", "see the table of `xphotfn run`")


def rate_maps(run: Run, *, target: Target | str | None = None, band: Band | None = None) -> tuple[RateMap, ...]:
    """Return one rate map per observation, camera and band of a run.

    Parameters
    ----------
    run
        As :func:`run` or :func:`load_run` returns it.
    target
        Only those of this target, or of the field with this name.
    band
        Only those of this band.

    Returns
    -------
    tuple of RateMap
        Those whose image and exposure map are both there, found or made; mosaics are not among them. In the order of
        field, ObsID, camera (pn, mos1, mos2) and band. Nothing is loaded yet.

    Raises
    ------
    ProductMissing
        If the run's plan knows no such target or band.
    InvalidFile
        If a product of the run is not what was published.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_run
    >>> [str(m) for m in rate_maps(example_run())]
    ['RateMap 0999990101 pn 0.5-2 keV']
    """
    return Several(m for _, m in named_maps(run, target, band, wanted=lambda product: not product.is_mosaic))


def combined_rate_map(run: Run, *, target: Target | str | None = None, band: Band | None = None) -> RateMap:
    """Return the mosaic of a run: all its images and exposure maps on one grid.

    Parameters
    ----------
    run
        As :func:`run` or :func:`load_run` returns it.
    target, band
        Which one; needed where the run holds several.

    Returns
    -------
    RateMap
        With obs_id and instrument ``combined``. Its exposure is the sum over cameras.

    Raises
    ------
    ProductMissing
        If there is none, with the reason, or several.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_run
    >>> combined_rate_map(example_run()).obs_id
    'combined'
    """
    found = [m for _, m in named_maps(run, target, band, wanted=lambda product: product.is_mosaic)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = "; ".join(f"{m.target}, {m.band}" for m in found)
        raise ProductMissing(f"the run holds {len(found)} mosaics, {listed}", remedy=_NAME_ONE)
    raise no_mosaic(run)


def no_mosaic(run: Run, band: Band | None = None) -> ProductMissing:
    """Return the error of a run without a mosaic, which says why there is none."""
    mosaics = (p for p in run.plan.products if p.is_mosaic and p.kind in MAP_KINDS)
    if not any(band is None or p.band == band for p in mosaics):
        return ProductMissing("the plan has no mosaic: use plan_mosaics or plan_photometry with a target")
    problems = "; ".join(dict.fromkeys(f.reason for f in run.failed))
    if not problems:
        return ProductMissing("the mosaic was not made", remedy=_SEE_TABLE)
    return ProductMissing(f"the mosaic was not made: {problems}")


def maps_by_field(run: Run) -> dict[str, tuple[RateMap, ...]]:
    """Return all rate maps of a run, mosaics too, by the name of their field: one pass over a run of any size.

    Parameters
    ----------
    run
        As :func:`run` or :func:`load_run` returns it.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_run
    >>> {name: [m.obs_id for m in maps] for name, maps in maps_by_field(example_run()).items()}
    {'example': ['0999990101', 'combined']}
    """
    found: dict[str, list[RateMap]] = {field.name: [] for field in run.plan.fields}
    for what, item in named_maps(run):
        found[what[0]].append(item)
    return {name: Several(maps) for name, maps in found.items()}


def select(
    maps: Iterable[RateMap],
    *,
    obs_id: str | None = None,
    instrument: str | None = None,
    exposure_id: str | None = None,
    band: Band | None = None,
    target: Target | str | None = None,
) -> RateMap:
    """Return the one map that matches.

    Parameters
    ----------
    maps
        As :func:`rate_maps` gives them.
    obs_id, instrument, exposure_id, band, target
        What it must be; leave out what does not matter.

    Raises
    ------
    ProductMissing
        If none or several match; the message lists the candidates.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> select([example_rate_map()], instrument="pn").obs_id
    '0999990101'
    """
    pool = tuple(maps)
    wanted: dict[str, Any] = {
        "obs_id": obs_id,
        "instrument": None if instrument is None else camera_of(instrument).name,
        "exposure_id": exposure_id,
        "band": band,
        "target": target.name if isinstance(target, Target) else target,
    }
    asked = {name: value for name, value in wanted.items() if value is not None}
    found = [m for m in pool if all(getattr(m, name) == value for name, value in asked.items())]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(f"{m.obs_id} {m.instrument} {m.exposure_id} {m.band}" for m in (found or pool)[:20])
    question = ", ".join(f"{name}={value}" for name, value in asked.items()) or "no condition"
    raise ProductMissing(
        f"{len(found) or 'no'} maps match {question}; candidates: {listed or 'there is no map at all'}"
    )


def named_maps(
    run: Run,
    target: Target | str | None = None,
    band: Band | None = None,
    *,
    wanted: Callable[[PlannedProduct], bool] = lambda _: True,
) -> Iterator[tuple[What, RateMap]]:
    """Yield the maps of a run whose image is wanted, with what they show, as a planned product says it.

    No other map is opened, whole or damaged, but for the members of a mosaic: they say where they were cut.
    """
    of_kind(run, Run, "run(plan, ...)")
    name = target.name if isinstance(target, Target) else target
    if name is not None and name not in run.fields:
        raise ProductMissing(f"the run has no field {name!r}; it has {', '.join(run.fields)}")
    if band is not None and band not in run.bands:
        raise ProductMissing(f"the run has no band {band}; it has {', '.join(str(b) for b in run.bands)}")
    pairs = pairs_of(run, name, band)
    asked = {what for what, ((image, *_), _) in pairs.items() if wanted(image)}
    members: dict[tuple[str, Band], list[RateMap]] = {
        (what[0], what[-1]): [] for what in asked if pairs[what][0][0].is_mosaic
    }
    for what, pair in pairs.items():
        group = members.get((what[0], what[-1]))
        if what in asked or (group is not None and not pair[0][0].is_mosaic):
            rate_map = rate_map_of(run, pair, group or ())
            if group is not None and not rate_map.is_mosaic:
                group.append(rate_map)
            if what in asked:
                yield what, rate_map


def pairs_of(run: Run, name: str | None = None, band: Band | None = None) -> dict[What, Pair]:
    """Return image and exposure map of each map that a run has, by what it shows, mosaics last; nothing is read."""
    there = {(found[0].kind, found[0].what): found for found in run.products(name) if band in (None, found[0].band)}
    pairs = [
        (what, (image, there["exposure_map", what]))
        for (kind, what), image in there.items()
        if kind == "image" and ("exposure_map", what) in there
    ]
    return dict(sorted(pairs, key=lambda pair: pair[1][0][0].is_mosaic))


def rate_map_of(run: Run, pair: Pair, members: Sequence[RateMap] = ()) -> RateMap:
    """Return the map of an image and an exposure map, by their two headers; of a mosaic with what its members say.

    Products of the store are handed out only while they are what was published; files that were found are the user's.
    """
    store = Store(run.store)
    for _, path, digest in pair:
        if digest:
            store.require_published(path)
    shown = run.fields[pair[0][0].field_name].target
    try:
        image, exposure = _product(Image, shown, *pair[0]), _product(ExposureMap, shown, *pair[1])
        return joined_mosaic(image, exposure, members) if image.is_mosaic else joined(image, exposure)
    except InvalidFile as error:
        lost = [path for _, path, digest in pair if digest and not Path(path).exists()]
        if not lost:
            raise
        raise ProductMissing(f"{lost[0]} is no longer in the store", remedy=_RUN_AGAIN) from error


def _product(kind: Any, target: Target | None, product: PlannedProduct, path: str, digest: str) -> Any:
    return kind(
        path=path,
        target=None if target is None else target.name,
        obs_id=product.obs_id,
        exposure_id=product.exposure_id,
        instrument=product.instrument,
        band=product.band,
        grid=product.grid or _grid(path),
        digest=digest,
    )


def _grid(path: str) -> PixelGrid:
    return grid_of(read_header(path), path)
