"""The part of a plan that finds sources: one step for each observation and band, or for all observations together.

Where observations point far from each other, all together is one step for each tile of the sky, and those that join
what the tiles have.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from attrs import evolve

from xphotfn.commands.names import product_name, source_list_name
from xphotfn.commands.source_detection import xdetect, xdetectadd, xdetectjoin
from xphotfn.commands.step import Step, StepInput
from xphotfn.errors import PlanError
from xphotfn.graph.plan import PlannedProduct
from xphotfn.graph.product_steps import Part, join
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.science.detection.settings import SourceSearch, spread_of_text
from xphotfn.science.detection.tiles import MARGIN_ARCMIN, REACH_ARCMIN, Tile, needs_tiles, tiles_around
from xphotfn.science.spreads import chosen_spread

__all__ = ("DETECTION", "detection_part")

DETECTION = "epic"  # the instrument of a list: all cameras together


_Pair = tuple[PlannedProduct, PlannedProduct]


def detection_part(target: Field, maps: Part, bands: Iterable[Band], search: SourceSearch) -> Part:
    """Return the lists of sources of a field in some bands, with regions and background maps.

    Parameters
    ----------
    target
        The field.
    maps
        Its images and exposure maps.
    bands
        The bands.
    search
        How to search.

    Raises
    ------
    PlanError
        If no exposure has both an image and an exposure map.
    InvalidRecord
        If there is no point spread function of a camera.
    """
    parts = []
    for band in bands:
        pairs = _pairs(maps, band)
        if not pairs:
            why = "; ".join(dict.fromkeys(maps.notes)) or "an image alone has no background"
            raise PlanError(f"{target.name}, {band}: no exposure has both an image and an exposure map; {why}")
        for camera in sorted({image.instrument for image, _ in pairs}):
            chosen_spread(spread_of_text(search.psf), camera, f"{target.name} {camera}")  # else a step would fail
        by_observation = {obs_id: [p for p in pairs if p[0].obs_id == obs_id] for obs_id in target.obs_ids}
        if search.joint:
            parts.append(_joint(target, band, pairs, search))
        else:
            parts += [_searched(target, o, band, group, search) for o, group in by_observation.items() if group]
        missing = [obs_id for obs_id, group in by_observation.items() if not group]
        parts += [
            Part(notes=(f"{obs_id} {band}: no image with an exposure map to find sources in",)) for obs_id in missing
        ]
    return join(parts)


def _pairs(maps: Part, band: Band) -> list[_Pair]:
    exposures = {p.what: p for p in maps.products if p.kind == "exposure_map" and not p.is_unvignetted}
    return [
        (p, exposures[p.what])
        for p in maps.products
        if p.kind == "image" and p.band == band and p.what in exposures and p.obs_id != "combined"
    ]


def _joint(target: Field, band: Band, pairs: Sequence[_Pair], search: SourceSearch) -> Part:
    """Return the search of all observations together, in tiles where they point far from each other."""
    pointings = {o.obs_id: (o.ra_deg, o.dec_deg) for o in target.observations}
    there = {image.obs_id for image, _ in pairs}
    if not needs_tiles([pointings[obs_id] for obs_id in sorted(there)]):
        return _searched(target, "combined", band, pairs, search)
    near = {obs_id: set(tiles_around(*pointings[obs_id], REACH_ARCMIN + 1.5 * MARGIN_ARCMIN)) for obs_id in there}
    names = _names("combined", band, pairs)
    steps: dict[Tile, Step] = {}
    parts: dict[str, list[StepInput]] = {image.name: [] for image, _ in pairs}
    for tile in sorted({tile for obs_id in there for tile in tiles_around(*pointings[obs_id])}):
        inside = [pair for pair in pairs if tile in near[pair[0].obs_id]]
        own = _names("combined", band, inside, tile.name)
        steps[tile] = _step(own, "combined", inside, search, tile.name)
        for (image, _), background in zip(inside, own.backgrounds, strict=True):
            parts[image.name].append(StepInput(name=background, step=steps[tile].id))
    lists = {tile.name: StepInput(name=step.command.outputs[0], step=step.id) for tile, step in steps.items()}
    command = xdetectjoin({t: i.name for t, i in lists.items()}, names.sources, regionset=names.regions)
    joined = Step(command=command, inputs=tuple(lists.values()), obs_id="combined")
    added = [
        Step(command=xdetectadd([i.name for i in parts[image.name]], name), inputs=parts[image.name], obs_id="combined")
        for (image, _), name in zip(pairs, names.backgrounds, strict=True)
    ]
    made = _products(target, "combined", names, pairs, [joined, *added])
    return Part(steps=(*steps.values(), joined, *added), products=made)


class _Names(NamedTuple):
    """Names of what a search writes."""

    sources: str
    regions: str
    backgrounds: tuple[str, ...]


def _names(obs_id: str, band: Band, pairs: Sequence[_Pair], tile: str = "") -> _Names:
    """Return names; an observation of several fields has a background of its own under each joint list.

    Those of a tile, which has no regions of its own, depend on nothing beyond it.
    """
    joint = obs_id == "combined"
    members = [image.name for image, _ in pairs] if joint else []
    lo, hi = band.lo_ev, band.hi_ev
    name = source_list_name(obs_id, lo, hi, "srclist.fits", members=members)
    regions = "" if tile else source_list_name(obs_id, lo, hi, "sources.reg", members=members)
    start = "_".join(filter(None, (name.removesuffix("_srclist.fits"), tile)))
    backgrounds = [product_name(i.obs_id, i.instrument, i.exposure_id, lo, hi, "bkgmap") for i, _ in pairs]
    return _Names(f"{start}_srclist.fits", regions, tuple(f"{start}_{b}" if joint else b for b in backgrounds))


def _step(names: _Names, obs_id: str, pairs: Sequence[_Pair], search: SourceSearch, tile: str = "") -> Step:
    command = xdetect(
        {image.name: exposure.name for image, exposure in pairs},
        names.sources,
        regionset=names.regions,
        backgroundsets=names.backgrounds,
        threshold=search.threshold,
        extent=search.extent,
        tile=tile,
        psf=search.psf,
    )
    inputs = [StepInput(name=p.name, file=p.file, step=p.step) for pair in pairs for p in pair]
    return Step(command=command, inputs=inputs, obs_id=obs_id)


def _searched(target: Field, obs_id: str, band: Band, pairs: Sequence[_Pair], search: SourceSearch) -> Part:
    names = _names(obs_id, band, pairs)
    step = _step(names, obs_id, pairs, search)
    return Part(steps=(step,), products=_products(target, obs_id, names, pairs, [step] * (1 + len(pairs))))


def _products(
    target: Field, obs_id: str, names: _Names, pairs: Sequence[_Pair], steps: Sequence[Step]
) -> tuple[PlannedProduct, ...]:
    """Return list, regions and background maps; the first step makes the first two, each other one a map."""
    first, *others = steps
    lists = (
        PlannedProduct(kind=kind, field_name=target.name, obs_id=obs_id, instrument=DETECTION, band=pairs[0][0].band,
                       name=name, step=first.id)
        for kind, name in (("source_list", names.sources), ("regions", names.regions))
    )  # fmt: skip
    of_maps = (
        evolve(image, kind="background_map", name=name, file=None, grid=None, step=step.id)
        for name, (image, _), step in zip(names.backgrounds, pairs, others, strict=True)
    )
    return (*lists, *of_maps)
