"""A second plan after a run in which something failed: mosaics of what is there."""

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve
from toolz import groupby

from xphotfn.commands.step import Step
from xphotfn.errors import PlanError
from xphotfn.graph.plan import MAP_KINDS, Plan, PlannedProduct, steps_leading_to
from xphotfn.graph.product_steps import Part, join, mosaic_part
from xphotfn.graph.result import Run
from xphotfn.records.band import Band
from xphotfn.records.field import Field

__all__ = ("surviving_plan",)


def surviving_plan(run: Run) -> Plan:
    """Return the plan of what a run can still give: mosaics hold the exposures whose image and exposure map are there.

    Parameters
    ----------
    run
        A run in which something failed.

    Returns
    -------
    Plan
        Run it on the run's store and engine: what is done is found there, only the mosaics are made. Its notes say
        what each mosaic lacks, and which mosaics cannot be made at all. A mosaic of fewer exposures is another product
        than the whole one, with a name of its own; the two are never mixed up. Where nothing failed, the plan's steps
        are those of the run.

    See Also
    --------
    retry_failed : Try what failed again instead.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.engines.native.engine import native_engine
    >>> from xphotfn.graph.recipes import plan_mosaics
    >>> from xphotfn.graph.run import run
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> whole = run(plan, engine=native_engine(), store=tempfile.mkdtemp(), progress=False)
    >>> surviving_plan(whole).steps == plan.steps
    True
    """
    there = [product for product, _, _ in run.products() if not product.is_mosaic]
    steps = {step.id: step for step in run.plan.steps}
    wanted = groupby(_where, (p for p in run.plan.products if not p.is_mosaic))
    here = groupby(_where, there)
    parts = [Part(steps=steps_leading_to((p.step for p in there if p.step), steps), products=there)]
    for mosaic in (p for p in run.plan.products if p.is_mosaic and p.kind == "image"):
        where = _where(mosaic)
        target = run.fields[mosaic.field_name]
        parts.append(_mosaic(target, mosaic, here.get(where, []), wanted.get(where, []), steps))
    whole = join(parts)
    notes = dict.fromkeys([*run.plan.notes, *whole.notes])
    return Plan(steps=whole.steps, fields=run.plan.fields, products=whole.products, notes=notes)


def _where(product: PlannedProduct) -> tuple[str, Band]:
    return product.field_name, product.band


def _mosaic(
    target: Field,
    mosaic: PlannedProduct,
    here: Sequence[PlannedProduct],
    wanted: Sequence[PlannedProduct],
    steps: Mapping[str, Step],
) -> Part:
    """Return the mosaics of a field in a band, of the exposures that are there; a note where there is none."""
    there = {(p.what, p.name) for p in here}
    maps = [p for p in wanted if p.kind in MAP_KINDS]
    gone = [p for p in maps if (p.what, p.name) not in there]
    lost = [f"{p.obs_id} {p.instrument} {p.exposure_id} {p.kind}" for p in gone]
    notes = [f"{target.name}, {mosaic.band}: the mosaic is without {', '.join(lost)}, which failed"] if lost else []
    try:
        part = mosaic_part(target, Part(products=here), mosaic.band, _reference(mosaic, wanted, steps))
    except PlanError as error:
        return Part(notes=[*notes, f"no mosaic can be made: {error}"])
    return evolve(part, notes=[*notes, *part.notes])


def _reference(mosaic: PlannedProduct, wanted: Iterable[PlannedProduct], steps: Mapping[str, Step]) -> str:
    """Return the ObsID whose image set the grid of a mosaic: that of the first input of the first step of its chain."""
    step = steps[mosaic.step]
    while (first := step.inputs[0]).step and steps[first.step].command.task == step.command.task:
        step = steps[first.step]
    return next(p.obs_id for p in wanted if p.name == first.name)
