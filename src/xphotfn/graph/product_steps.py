"""The parts of a plan: the image, the exposure map and the mosaic of one exposure, field and band.

Pure, but for a selection that names files: these are looked up.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import final

from attrs import evolve, field, frozen
from toolz import concat, unique

from xphotfn.commands.builders import MOST_IMAGES, eexpmap, emosaic, evselect_image
from xphotfn.commands.default_selection import selection_expression
from xphotfn.commands.image_grid import XCS_GRID, ImageGrid
from xphotfn.commands.names import attitude_name, ccf_name, mosaic_name, product_name
from xphotfn.commands.preparation import cifbuild, with_environment
from xphotfn.commands.step import Step, StepInput
from xphotfn.errors import PlanError
from xphotfn.graph.flare_steps import FlareChoice, cuts_times, good_time_part, together
from xphotfn.graph.held_energies import part_of_band
from xphotfn.graph.plan import PlannedProduct
from xphotfn.graph.selection_inputs import selection_inputs
from xphotfn.graph.undecided import beside_it, made_instead, refuse_undecided
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.fields import items
from xphotfn.records.grid import TOLERANCE_PIX, PixelGrid
from xphotfn.records.instrument import COMBINED
from xphotfn.records.observation import Exposure, FoundFile, FoundProduct, Observation
from xphotfn.science.live_fraction import usual_live_fraction
from xphotfn.science.mosaic import mosaic_batches

__all__ = ("Part", "Wish", "exposure_map_part", "exposures_of", "image_part", "join", "mosaic_part")

MOST_LETTERS = 120_000  # of a list of files: Linux takes no word of 131072 bytes or more on a command line
_FEWEST_IMAGES = 5  # what mosaic_batches needs at least
_WITHOUT_ATTITUDE = (
    "is made without an attitude file (in the archive P*ATTTSR*), which only the native engine can: the pointing of "
    "the image's header is taken for all times"
)
_LONGEST_MOSAIC = "m" * 80  # the mosaic of the portions before is one of the images


@final
@frozen(kw_only=True)
class Wish:
    """What the caller asked for, the same for every exposure."""

    bands: tuple[Band, ...] = field(converter=items)
    grid: ImageGrid | None
    selection: str | None
    reference: str | None
    vignetting: bool = True
    flares: FlareChoice = FlareChoice()

    @property
    def makes_again(self) -> bool:
        """Whether images are made even where they were found: what was found holds another selection or other times."""
        return self.selection is not None or self.flares.demands_cut


@final
@frozen(kw_only=True)
class Part:
    """Steps, products and notes of a piece of the plan."""

    steps: tuple[Step, ...] = field(default=(), converter=items)
    products: tuple[PlannedProduct, ...] = field(default=(), converter=items)
    notes: tuple[str, ...] = field(default=(), converter=items)


def join(parts: Iterable[Part]) -> Part:
    """Return several parts as one; a step that several need stands once."""
    held = list(parts)
    return Part(
        steps=unique(concat(p.steps for p in held), key=attrgetter("id")),
        products=concat(p.products for p in held),
        notes=concat(p.notes for p in held),
    )


def exposures_of(target: Field) -> Iterator[tuple[Observation, Exposure]]:
    """Yield the exposures of a field with their observations, sorted."""
    for observation in target.observations:
        for exposure in observation.exposures:
            yield observation, exposure


def image_part(target: Field, observation: Observation, exposure: Exposure, band: Band, wish: Wish) -> Part:
    """Return the image of an exposure in a band: found, or the step that makes it, or a note that says why not."""
    name = product_name(observation.obs_id, exposure.instrument, exposure.exposure_id, band.lo_ev, band.hi_ev, "img")
    product = PlannedProduct(
        kind="image",
        field_name=target.name,
        obs_id=observation.obs_id,
        exposure_id=exposure.exposure_id,
        instrument=exposure.instrument,
        band=band,
        name=name,
    )
    found = exposure.found("image", band)
    if found is not None and not wish.makes_again and _fits(found, wish.grid):
        made = evolve(product, name=_link_name(name, found.file), file=found.file, grid=found.grid)
        return Part(products=(made,), notes=_of_other_channels(product, found))
    undecided = observation.undecided("image", exposure, band) if found is None and not wish.makes_again else ()
    if exposure.events is None:
        refuse_undecided(_who(product), (*undecided, *observation.undecided("events", exposure)))
        beside = beside_it(observation.left_out, exposure)
        return Part(notes=(f"{_who(product)}: {_nothing_to_make_it_of(found, wish)}{beside}",))
    table = _link_name(f"{observation.obs_id}_{exposure.instrument}_{exposure.exposure_id}_evts.fits", exposure.events)
    try:
        part = part_of_band(_who(product), exposure.subspace.energies, band)
    except PlanError as error:  # it says who
        return Part(notes=(str(error),))
    try:
        chosen = selection_inputs(wish.selection or "true", exposure.events, taken=(table, name))
    except PlanError as error:
        return Part(notes=(f"{_who(product)}: {error}",))
    events = StepInput(name=table, file=exposure.events)
    good = good_time_part(observation, exposure, events, wish.flares, wish.selection)
    expression = selection_expression(
        band.lo_ev,
        band.hi_ev,
        exposure.instrument,
        filtered=exposure.filtered,
        extra=together(chosen.text if wish.selection else "", good.selection),
    )
    step = Step(
        command=evselect_image(table, name, expression=expression, grid=wish.grid or XCS_GRID),
        inputs=(events, *chosen.inputs, *good.inputs),
        obs_id=observation.obs_id,
    )
    notes = (*part, *good.notes, *made_instead(_who(product), undecided))
    return Part(steps=(*good.steps, step), products=(evolve(product, step=step.id),), notes=notes)


def _nothing_to_make_it_of(found: FoundProduct | None, wish: Wish) -> str:
    if found is None or not wish.makes_again:
        return "neither an image in this band nor an event list was found"
    what, instead = ("selection", "no selection") if wish.selection is not None else ("cut of flares", "flares='auto'")
    return f"the {what} needs an event list and none was found; the image that was found is used with {instead}"


def _of_other_channels(product: PlannedProduct, found: FoundProduct) -> tuple[str, ...]:
    """Say which channels a found image holds, where an open end makes them other than those of the band."""
    lo, hi = found.band.lo_ev, found.band.hi_ev
    text = f"{_who(product)}: the image that was found holds PI {lo} to {hi}, an open end of this band"
    return () if found.band == product.band else (text,)


def _fits(found: FoundProduct, grid: ImageGrid | None) -> bool:
    if grid is None:
        return True
    (x_low, _), (y_low, _) = grid.limits
    x_bin, y_bin = grid.bins
    first = x_low + (x_bin - 1) / 2, y_low + (y_bin - 1) / 2
    g = found.grid
    if g.shape != grid.shape or g.x0_sky is None or g.y0_sky is None:
        return False
    wanted, there = (*first, x_bin, y_bin), (g.x0_sky, g.y0_sky, g.dx_sky, g.dy_sky)
    moved = (abs(a - b) for a, b in zip(wanted, there, strict=True))
    return all(off <= TOLERANCE_PIX * x_bin / scale for off, scale in zip(moved, (1, 1, g.nx, g.ny), strict=True))


def exposure_map_part(image: PlannedProduct, observation: Observation, exposure: Exposure, wish: Wish) -> Part:
    """Return the exposure map of an image: found, or the steps that make it, with notes of what they lack."""
    kind = "expmap" if wish.vignetting else "expmap_novig"
    name = product_name(image.obs_id, image.instrument, image.exposure_id, image.band.lo_ev, image.band.hi_ev, kind)
    product = evolve(image, kind="exposure_map", name=name, file=None, grid=None, step="")
    found = exposure.found("exposure_map", image.band) if wish.vignetting else None
    if found is not None and _is_of(found, image, wish.grid) and _has_its_times(found, image, exposure, wish):
        return Part(products=(evolve(product, name=_link_name(name, found.file), file=found.file, grid=found.grid),))
    undecided = observation.undecided("exposure_map", exposure, image.band) if found is None and wish.vignetting else ()
    index, steps = _calibration_index(observation)
    attitude: str | None = None
    table: str | None = None
    inputs = [_input(image)]
    if observation.attitude is not None:
        attitude = _link_name(attitude_name(image.obs_id), observation.attitude)
        inputs.append(StepInput(name=attitude, file=observation.attitude))
    inputs.append(index)
    if exposure.events is not None:
        table = _link_name(f"{image.obs_id}_{image.instrument}_{image.exposure_id}_evts.fits", exposure.events)
        inputs.append(StepInput(name=table, file=exposure.events))
    band = (image.band.lo_ev, image.band.hi_ev)
    command = eexpmap(image.name, attitude, table, name, band=band, withvignetting=wish.vignetting)
    step = Step(
        command=with_environment(command, calindexset=index.name),
        inputs=inputs,
        obs_id=image.obs_id,
    )
    notes = (
        *made_instead(_who(product), undecided),
        *(f"{_who(product)}: {text}" for text in _of_other_pixels(found, image)),
        *(() if table else (f"{_who(product)}: {_without_events(exposure)}",)),
        *(() if attitude else (f"{_who(product)}: {_WITHOUT_ATTITUDE}",)),
    )
    return Part(steps=(*steps, step), products=(evolve(product, step=step.id),), notes=notes)


def _without_events(exposure: Exposure) -> str:
    live = usual_live_fraction(exposure.instrument, exposure.submode)
    return (
        "is made without an event list, which only the native engine can: its live time is what is usual for the mode, "
        f"{live}, and bad pixels are not known"
    )


def _is_of(found: FoundProduct, image: PlannedProduct, grid: ImageGrid | None) -> bool:
    """Return whether a found exposure map has the pixels of an image, which itself is found or is to be made."""
    return _fits(found, grid) if image.grid is None else not image.grid.difference(found.grid)


def _of_other_pixels(found: FoundProduct | None, image: PlannedProduct) -> tuple[str, ...]:
    """Return the note of a found exposure map whose pixels are not those of the found image."""
    differs = found.grid.difference(image.grid) if found is not None and image.file and image.grid else ""
    if not differs or found is None:
        return ()
    name = Path(found.file.path).name
    return (f"{name} has other pixels than its image ({differs}): it is not used, a map is made",)


def _has_its_times(found: FoundProduct, image: PlannedProduct, exposure: Exposure, wish: Wish) -> bool:
    """Return whether a found exposure map holds the times of an image: those of found ones were compared already."""
    if image.file is not None:
        return True
    return found.whole_list and not cuts_times(exposure, wish.flares, wish.selection)


def _calibration_index(observation: Observation) -> tuple[StepInput, tuple[Step, ...]]:
    """Return the calibration index as an input, and the step that makes it where none was found."""
    if observation.cif is not None:
        return StepInput(name=_link_name(ccf_name(observation.obs_id), observation.cif), file=observation.cif), ()
    command = cifbuild(ccf_name(observation.obs_id), observation_date=observation.date or "now")
    step = Step(command=command, obs_id=observation.obs_id)
    return StepInput(name=command.outputs[0], step=step.id), (step,)


def mosaic_part(target: Field, maps: Part, band: Band, reference: str | None) -> Part:
    """Return the mosaics of images and exposure maps of a field in a band."""
    here = [p for p in maps.products if p.band == band]
    paired = {p.what for p in here if p.kind == "exposure_map"} & {p.what for p in here if p.kind == "image"}
    if not paired:
        why = "; ".join(dict.fromkeys(maps.notes))
        raise PlanError(f"{target.name}, {band}: no exposure has both an image and an exposure map; {why}")
    parts = []  # a run in which maps failed leaves images alone, and they stay out
    for kind, short in (("image", "img"), ("exposure_map", "expmap")):
        inputs = sorted((p for p in here if p.kind == kind and p.what in paired), key=lambda p: p.obs_id != reference)
        parts.append(_mosaic_of(target, inputs, kind, short))
    return join(parts)


def _mosaic_of(target: Field, inputs: Sequence[PlannedProduct], kind: str, short: str) -> Part:
    """Return one emosaic step, or a chain of them where there are more inputs than the task takes at once."""
    band = inputs[0].band
    grids = {m.obs_id: m.observation.grid for m in target.members}
    steps: list[Step] = []
    members: list[str] = []
    for portion in _portions([p.grid or grids[p.obs_id] for p in inputs], [p.name for p in inputs]):
        added = [_input(inputs[n]) for n in portion]
        members += [f"{inputs[n].obs_id}_{inputs[n].instrument}_{inputs[n].exposure_id}" for n in portion]
        if steps:
            added.insert(0, StepInput(name=steps[-1].command.outputs[0], step=steps[-1].id))
        name = mosaic_name(COMBINED, band.lo_ev, band.hi_ev, short, members=members)
        steps.append(Step(command=emosaic([i.name for i in added], name), inputs=added))
    product = PlannedProduct(
        kind=kind,
        field_name=target.name,
        obs_id=COMBINED,
        instrument=COMBINED,
        band=band,
        name=name,
        step=steps[-1].id,
    )
    return Part(steps=steps, products=(product,))


def _portions(grids: Sequence[PixelGrid], names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return the portions in which one emosaic after the other takes images: as many as it, and the system, allow."""
    longest = max(len(name) for name in (*names, _LONGEST_MOSAIC))
    most = min(MOST_IMAGES, max(_FEWEST_IMAGES, MOST_LETTERS // (longest + 1)))
    return (tuple(range(len(grids))),) if len(grids) <= most else mosaic_batches(grids, most=most)


def _input(product: PlannedProduct) -> StepInput:
    return StepInput(name=product.name, file=product.file, step=product.step)


def _link_name(name: str, file: FoundFile) -> str:
    """Return the plain name of a found file; one that is gzipped keeps an ending that says so."""
    return f"{name}.gz" if file.path.lower().endswith((".gz", ".ftz")) else name


def _who(product: PlannedProduct) -> str:
    return f"{product.obs_id} {product.instrument} {product.exposure_id} {product.band} {product.kind}"
