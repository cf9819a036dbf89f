"""Recipes: what steps give images, exposure maps and mosaics of fields. Pure; nothing runs and no disk is looked at."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from attrs import evolve, field, frozen

from xphotfn.commands.builders import (
    MOST_IMAGES,
    cifbuild,
    eexpmap,
    emosaic,
    evselect_image,
    selection_expression,
    with_environment,
)
from xphotfn.commands.image_grid import XCS_GRID, ImageGrid
from xphotfn.commands.names import attitude_name, ccf_name, mosaic_name, product_name
from xphotfn.errors import PlanError
from xphotfn.graph.plan import Plan, PlannedProduct, Step, StepInput
from xphotfn.records._fields import items
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.records.observation import Exposure, FoundFile, FoundProduct, Observation
from xphotfn.science.mosaic import mosaic_batches

__all__ = ("plan_exposure_maps", "plan_images", "plan_mosaics", "plan_photometry")

_WITHOUT_EVENTS = (
    "is made without an event list, which only the native engine can: lost frames and bad pixels are not known, "
    "so it is too high (pn by 13 to 18 %)"
)

Fields = Field | Iterable[Field]
Bands = Band | Iterable[Band]


@frozen(kw_only=True)
class _Wish:
    """What the caller asked for, the same for every exposure."""

    bands: tuple[Band, ...]
    grid: ImageGrid | None
    selection: str | None
    reference: str | None


@frozen(kw_only=True)
class _Part:
    """Steps, products and notes of a piece of the plan."""

    steps: tuple[Step, ...] = field(default=(), converter=items)
    products: tuple[PlannedProduct, ...] = field(default=(), converter=items)
    notes: tuple[str, ...] = field(default=(), converter=items)


def plan_images(
    field_or_fields: Fields,
    band_or_bands: Bands,
    *,
    grid: ImageGrid | None = None,
    selection: str | None = None,
    reference: str | None = None,
) -> Plan:
    """Return the plan of one image per observation, camera and band.

    Parameters
    ----------
    field_or_fields
        One field or several; observations that they share are processed once.
    band_or_bands
        One band or several.
    grid
        Pixels of the images; default X and Y 3649..48106 in bins of 87, 512 x 512.
    selection
        Event selection in SAS's language, to which the band is added. Default: the band alone where the event list's
        own record holds flags and patterns, else also ``#XMMEA_EM && PATTERN <= 12`` (pn: ``#XMMEA_EP``, ``<= 4``).
    reference
        ObsID whose image sets the grid of mosaics; without effect here.

    Returns
    -------
    Plan
        Images that were found are used as they are, unless ``grid`` differs from theirs or ``selection`` is given.

    Raises
    ------
    PlanError
        If a field has neither an image nor an event list, or there is no band.

    Examples
    --------
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_images(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> len(plan.steps), [p.kind for p in plan.products]
    (0, ['image'])
    """
    wish = _wish(band_or_bands, grid, selection, reference)
    return _plan(field_or_fields, wish, _images)


def plan_exposure_maps(
    field_or_fields: Fields,
    band_or_bands: Bands,
    *,
    grid: ImageGrid | None = None,
    selection: str | None = None,
    reference: str | None = None,
) -> Plan:
    """Return the plan of one exposure map per image, with the images; parameters and errors as :func:`plan_images`.

    Examples
    --------
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_exposure_maps(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> [p.kind for p in plan.products]
    ['image', 'exposure_map']
    """
    wish = _wish(band_or_bands, grid, selection, reference)
    return _plan(field_or_fields, wish, _exposure_maps)


def plan_mosaics(
    field_or_fields: Fields,
    band_or_bands: Bands,
    *,
    grid: ImageGrid | None = None,
    selection: str | None = None,
    reference: str | None = None,
) -> Plan:
    """Return the plan of one mosaic of images and one of exposure maps per field and band.

    Parameters
    ----------
    field_or_fields, band_or_bands, grid, selection
        As :func:`plan_images`.
    reference
        ObsID whose image sets the grid of the mosaic; default the lowest ObsID.

    Returns
    -------
    Plan
        With all images and exposure maps that go into the mosaics.

    Raises
    ------
    PlanError
        If a field has no target, no exposure of it has both an image and an exposure map, or no field holds
        ``reference``.

    Examples
    --------
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> [step.command.task for step in plan.steps]
    ['emosaic', 'emosaic']
    """
    wish = _wish(band_or_bands, grid, selection, reference)
    return _plan(field_or_fields, wish, _mosaics)


def plan_photometry(
    field_or_fields: Fields,
    band_or_bands: Bands,
    *,
    grid: ImageGrid | None = None,
    selection: str | None = None,
    reference: str | None = None,
) -> Plan:
    """Return the plan of everything that photometry needs: images, exposure maps and their mosaics.

    Parameters and errors are those of :func:`plan_mosaics`; a field without a target gets no mosaic here.

    Examples
    --------
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_photometry(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> len(plan.products)
    4
    """
    wish = _wish(band_or_bands, grid, selection, reference)
    return _plan(field_or_fields, wish, _photometry)


def _wish(bands: Bands, grid: ImageGrid | None, selection: str | None, reference: str | None) -> _Wish:
    wanted = (bands,) if isinstance(bands, Band) else tuple(bands)
    if not wanted:
        raise PlanError("no energy band was given: use energy_band(0.5*u.keV, 2*u.keV)")
    unique = tuple(sorted(set(wanted), key=lambda b: (b.lo_ev, b.hi_ev)))
    return _Wish(bands=unique, grid=grid, selection=selection, reference=reference)


def _plan(fields: Fields, wish: _Wish, recipe: "type | object") -> Plan:
    wanted = (fields,) if isinstance(fields, Field) else tuple(fields)
    if not wanted:
        raise PlanError("no field was given: use match_observations(target, observations)")
    names = [f.name for f in wanted]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise PlanError(f"several fields are called {', '.join(twice)}: give each target a name of its own")
    if wish.reference is not None and not any(wish.reference in f.obs_ids for f in wanted):
        raise PlanError(f"reference={wish.reference!r} is in no field; they hold {_listed(wanted)}")
    ordered = sorted(wanted, key=lambda f: f.name)
    parts = [recipe(f, wish) for f in ordered]  # type: ignore[operator]
    steps = {s.id: s for part in parts for s in part.steps}
    return Plan(
        steps=steps.values(),
        fields=ordered,
        products=chain.from_iterable(p.products for p in parts),
        notes=dict.fromkeys(chain.from_iterable(p.notes for p in parts)),
    )


def _listed(fields: Sequence[Field]) -> str:
    obs_ids = sorted({o for f in fields for o in f.obs_ids})
    return ", ".join(obs_ids[:10]) + (f" and {len(obs_ids) - 10} more" if len(obs_ids) > 10 else "")


def _join(parts: Iterable[_Part]) -> _Part:
    held = list(parts)
    return _Part(
        steps={s.id: s for p in held for s in p.steps}.values(),
        products=chain.from_iterable(p.products for p in held),
        notes=chain.from_iterable(p.notes for p in held),
    )


def _exposures(target: Field) -> Iterator[tuple[Observation, Exposure]]:
    for observation in target.observations:
        for exposure in observation.exposures:
            yield observation, exposure


def _images(target: Field, wish: _Wish) -> _Part:
    empty = [f"{o.obs_id}: no usable exposure" for o in target.observations if not o.exposures]
    images = [_image(target, o, e, band, wish) for o, e in _exposures(target) for band in wish.bands]
    part = _join([_Part(notes=empty), *images])
    if not part.products:
        raise PlanError(f"{target.name}: no image can be made: " + ("; ".join(part.notes[:3]) or "it has no exposure"))
    return part


def _exposure_maps(target: Field, wish: _Wish) -> _Part:
    images = _images(target, wish)
    by_what = {p.what: p for p in images.products}
    maps = [
        _exposure_map(by_what[(target.name, o.obs_id, e.exposure_id, e.instrument, band)], o, e, wish.grid)
        for o, e in _exposures(target)
        for band in wish.bands
        if (target.name, o.obs_id, e.exposure_id, e.instrument, band) in by_what
    ]
    return _join([images, *maps])


def _mosaics(target: Field, wish: _Wish) -> _Part:
    if target.target is None:
        raise PlanError(
            "a bulk field has no target, so its observations may lie anywhere: a mosaic of them is not made; "
            "use match_observations(target, observations)"
        )
    maps = _exposure_maps(target, wish)
    return _join([maps, *(_mosaic(target, maps, band, wish.reference) for band in wish.bands)])


def _photometry(target: Field, wish: _Wish) -> _Part:
    return _exposure_maps(target, wish) if target.target is None else _mosaics(target, wish)


def _image(target: Field, observation: Observation, exposure: Exposure, band: Band, wish: _Wish) -> _Part:
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
    if found is not None and wish.selection is None and _fits(found, wish.grid):
        return _Part(products=(evolve(product, name=_link_name(name, found.file), file=found.file, grid=found.grid),))
    if exposure.events is None:
        return _Part(notes=(f"{_who(product)}: neither an image in this band nor an event list was found",))
    table = _link_name(f"{observation.obs_id}_{exposure.instrument}_{exposure.exposure_id}_evts.fits", exposure.events)
    expression = selection_expression(
        band.lo_ev,
        band.hi_ev,
        exposure.instrument,
        filtered=exposure.filtered or wish.selection is not None,
        extra=wish.selection or "",
    )
    step = Step(
        command=evselect_image(table, name, expression=expression, grid=wish.grid or XCS_GRID),
        inputs=(StepInput(name=table, file=exposure.events),),
        obs_id=observation.obs_id,
    )
    return _Part(steps=(step,), products=(evolve(product, step=step.id),))


def _fits(found: FoundProduct, grid: ImageGrid | None) -> bool:
    if grid is None:
        return True
    (x_low, _), (y_low, _) = grid.limits
    x_bin, y_bin = grid.bins
    first = x_low + (x_bin - 1) / 2, y_low + (y_bin - 1) / 2
    g = found.grid
    return g.shape == grid.shape and (g.x0_sky, g.y0_sky) == first and (g.dx_sky, g.dy_sky) == (x_bin, y_bin)


def _exposure_map(image: PlannedProduct, observation: Observation, exposure: Exposure, grid: ImageGrid | None) -> _Part:
    name = product_name(image.obs_id, image.instrument, image.exposure_id, image.band.lo_ev, image.band.hi_ev, "expmap")
    product = evolve(image, kind="exposure_map", name=name, file=None, grid=None, step="")
    found = exposure.found("exposure_map", image.band)
    same = found is not None and (_fits(found, grid) if image.grid is None else not image.grid.difference(found.grid))
    if found is not None and same:
        return _Part(products=(evolve(product, name=_link_name(name, found.file), file=found.file, grid=found.grid),))
    if observation.attitude is None:
        why = "no exposure map was found and none can be made without an attitude file"
        return _Part(notes=(f"{_who(product)}: {why}",))
    index, steps = _calibration_index(observation)
    attitude = _link_name(attitude_name(image.obs_id), observation.attitude)
    table: str | None = None
    inputs = [_input(image), StepInput(name=attitude, file=observation.attitude), index]
    if exposure.events is not None:
        table = _link_name(f"{image.obs_id}_{image.instrument}_{image.exposure_id}_evts.fits", exposure.events)
        inputs.append(StepInput(name=table, file=exposure.events))
    command = eexpmap(image.name, attitude, table, name, band=(image.band.lo_ev, image.band.hi_ev))
    step = Step(
        command=with_environment(command, calindexset=index.name),
        inputs=inputs,
        obs_id=image.obs_id,
    )
    notes = () if table else (f"{_who(product)}: {_WITHOUT_EVENTS}",)
    return _Part(steps=(*steps, step), products=(evolve(product, step=step.id),), notes=notes)


def _calibration_index(observation: Observation) -> tuple[StepInput, tuple[Step, ...]]:
    """Return the calibration index as an input, and the step that makes it where none was found."""
    if observation.cif is not None:
        return StepInput(name=_link_name(ccf_name(observation.obs_id), observation.cif), file=observation.cif), ()
    command = cifbuild(ccf_name(observation.obs_id), observation_date=observation.date or "now")
    step = Step(command=command, obs_id=observation.obs_id)
    return StepInput(name=command.outputs[0], step=step.id), (step,)


def _mosaic(target: Field, maps: _Part, band: Band, reference: str | None) -> _Part:
    here = [p for p in maps.products if p.band == band]
    paired = {p.what for p in here if p.kind == "exposure_map"}
    lone = [p for p in here if p.kind == "image" and p.what not in paired]
    notes = [f"{_who(p)}: left out of the mosaic, it has no exposure map" for p in lone]
    if not paired:
        why = "; ".join(dict.fromkeys(maps.notes))
        raise PlanError(f"{target.name}, {band}: no exposure has both an image and an exposure map; {why}")
    parts = [_Part(notes=notes)]
    for kind, short in (("image", "img"), ("exposure_map", "expmap")):
        inputs = sorted((p for p in here if p.kind == kind and p.what in paired), key=lambda p: p.obs_id != reference)
        parts.append(_mosaic_of(target, inputs, kind, short))
    return _join(parts)


def _mosaic_of(target: Field, inputs: Sequence[PlannedProduct], kind: str, short: str) -> _Part:
    """Return one emosaic step, or a chain of them where there are more inputs than the task takes at once."""
    band = inputs[0].band
    grids = {m.obs_id: m.observation.grid for m in target.members}
    steps: list[Step] = []
    members: list[str] = []
    for portion in _portions([p.grid or grids[p.obs_id] for p in inputs]):
        added = [_input(inputs[n]) for n in portion]
        members += [f"{inputs[n].obs_id}_{inputs[n].instrument}_{inputs[n].exposure_id}" for n in portion]
        if steps:
            added.insert(0, StepInput(name=steps[-1].command.outputs[0], step=steps[-1].id))
        name = mosaic_name("combined", band.lo_ev, band.hi_ev, short, members=members)
        steps.append(Step(command=emosaic([i.name for i in added], name), inputs=added))
    product = PlannedProduct(
        kind=kind,
        field_name=target.name,
        obs_id="combined",
        instrument="combined",
        band=band,
        name=name,
        step=steps[-1].id,
    )
    return _Part(steps=steps, products=(product,))


def _portions(grids: Sequence[PixelGrid]) -> tuple[tuple[int, ...], ...]:
    if len(grids) <= MOST_IMAGES:
        return (tuple(range(len(grids))),)
    return mosaic_batches(grids, most=MOST_IMAGES)


def _input(product: PlannedProduct) -> StepInput:
    return StepInput(name=product.name, file=product.file, step=product.step)


def _link_name(name: str, file: FoundFile) -> str:
    """Return the plain name of a found file; one that is gzipped keeps an ending that says so."""
    return f"{name}.gz" if file.path.lower().endswith((".gz", ".ftz")) else name


def _who(product: PlannedProduct) -> str:
    return f"{product.obs_id} {product.instrument} {product.exposure_id} {product.band} {product.kind}"
