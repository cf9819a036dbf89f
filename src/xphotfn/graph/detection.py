"""The part of a plan that finds sources: one step for each observation and band, or one for all observations."""

from collections.abc import Iterable, Sequence
from typing import final

from attrs import field, frozen

from xphotfn.commands.detection import xdetect
from xphotfn.commands.names import product_name, source_list_name
from xphotfn.errors import PlanError
from xphotfn.graph.parts import Part, join
from xphotfn.graph.plan import PlannedProduct, Step, StepInput
from xphotfn.records._fields import positive
from xphotfn.records.band import Band
from xphotfn.records.field import Field

__all__ = ("DETECTION", "Search", "detection_part")

DETECTION = "epic"  # the instrument of a list: all cameras together


@final
@frozen(kw_only=True)
class Search:
    """How sources are searched for.

    Parameters
    ----------
    threshold
        Least DET_ML.
    extent
        Whether extended sources are looked for.
    joint
        Whether all observations of a field are searched together.
    """

    threshold: float = field(default=10.0, converter=float, validator=positive)
    extent: bool = field(default=True, converter=bool)
    joint: bool = field(default=False, converter=bool)


_Pair = tuple[PlannedProduct, PlannedProduct]


def detection_part(target: Field, maps: Part, bands: Iterable[Band], search: Search) -> Part:
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
    """
    parts = []
    for band in bands:
        pairs = _pairs(maps, band)
        if not pairs:
            why = "; ".join(dict.fromkeys(maps.notes)) or "an image alone has no background"
            raise PlanError(f"{target.name}, {band}: no exposure has both an image and an exposure map; {why}")
        by_observation = {obs_id: [p for p in pairs if p[0].obs_id == obs_id] for obs_id in target.obs_ids}
        groups = {"combined": pairs} if search.joint else by_observation
        parts += [_searched(target, obs_id, band, group, search) for obs_id, group in groups.items() if group]
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


def _searched(target: Field, obs_id: str, band: Band, pairs: Sequence[_Pair], search: Search) -> Part:
    lo, hi = band.lo_ev, band.hi_ev
    members = [image.name for image, _ in pairs] if obs_id == "combined" else []
    name, regions = (
        source_list_name(obs_id, lo, hi, kind, members=members) for kind in ("srclist.fits", "sources.reg")
    )
    backgrounds = [product_name(i.obs_id, i.instrument, i.exposure_id, lo, hi, "bkgmap") for i, _ in pairs]
    if members:  # an observation of several fields has a background of its own under each joint list
        backgrounds = [f"{name.removesuffix('_srclist.fits')}_{background}" for background in backgrounds]
    command = xdetect(
        [image.name for image, _ in pairs],
        [exposure.name for _, exposure in pairs],
        name,
        regionset=regions,
        backgroundsets=backgrounds,
        threshold=search.threshold,
        extent=search.extent,
    )
    inputs = [StepInput(name=p.name, file=p.file, step=p.step) for pair in pairs for p in pair]
    step = Step(command=command, inputs=inputs, obs_id=obs_id)

    def product(kind: str, file_name: str, image: PlannedProduct | None = None) -> PlannedProduct:
        return PlannedProduct(
            kind=kind,
            field_name=target.name,
            obs_id=obs_id if image is None else image.obs_id,
            exposure_id="" if image is None else image.exposure_id,
            instrument=DETECTION if image is None else image.instrument,
            band=band,
            name=file_name,
            step=step.id,
        )

    lists = (product("source_list", name), product("regions", regions))
    of_maps = (product("background_map", b, image) for b, (image, _) in zip(backgrounds, pairs, strict=True))
    return Part(steps=(step,), products=(*lists, *of_maps))
