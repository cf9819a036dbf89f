"""Several runs of one store as one: what a store holds, however many calls it took to make it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.graph.plan import Plan, PlannedProduct
from xphotfn.graph.result import Run
from xphotfn.records.field import Field
from xphotfn.records.outcome import Done, Outcome

__all__ = ("join_runs",)


def join_runs(runs: Iterable[Run]) -> Run:
    """Return runs of one store and engine as one run, which holds what any of them made.

    Parameters
    ----------
    runs
        As :func:`runs` returns them: the last first.

    Returns
    -------
    Run
        With the fields, steps and products of all. A step that is done in one run is done. Where two runs have a field
        of one name that differs, the one that comes first counts, and ``notes`` says so; exposure maps without
        vignetting count only where there is no other; runs of another engine
        than the first are left out, and ``notes`` says that too, since products of two engines are never mixed.

    Raises
    ------
    ProductMissing
        If there is no run.
    InvalidRecord
        If they are of several stores, or hold one product made in two ways, by another selection say: then one run has
        to be chosen.

    Examples
    --------
    >>> import tempfile
    >>> import xphotfn as xp
    >>> from xphotfn.testing.examples import example_field
    >>> store = tempfile.mkdtemp()
    >>> for recipe in (xp.plan_images, xp.plan_mosaics):
    ...     plan = recipe(example_field(), xp.Band(lo_ev=500, hi_ev=2000))
    ...     _ = xp.run(plan, engine=xp.native_engine(), store=store, progress=False)
    >>> [len(run.done) for run in (*xp.runs(store), join_runs(xp.runs(store)))]
    [2, 0, 2]
    """
    found = tuple(runs)
    if not found:
        raise ProductMissing("the store holds no run: make one with run(plan, engine=, store=)")
    if len({run.store for run in found}) > 1:
        raise InvalidRecord(f"runs of several stores are not one: {', '.join(sorted({run.store for run in found}))}")
    first = found[0]
    same = [run for run in found if run.engine == first.engine]
    others = sorted({run.engine for run in found} - {first.engine})
    _refuse_two_ways(same)
    notes = [f"runs of {engine} are left out: these are those of {first.engine}" for engine in others]
    fields, changed = _fields(same)
    notes += [f"{name} was run before with {' and '.join(what)}: its last run counts" for name, what in changed.items()]
    plan = Plan(
        steps=tuple({step.id: step for run in same for step in run.plan.steps}.values()),
        fields=sorted(fields.values(), key=lambda field: field.name),
        products=_products(same),
        notes=tuple(dict.fromkeys(note for run in same for note in run.plan.notes)),
    )
    outcomes = _outcomes(same)
    notes += dict.fromkeys(note for run in same for note in run.notes)
    return Run(
        plan=plan,
        outcomes=[outcomes[step.id] for step in plan.steps],
        store=first.store,
        engine=first.engine,
        notes=notes,
    )


def _products(runs: Sequence[Run]) -> tuple[PlannedProduct, ...]:
    """Return the products, the last of each kind; exposure maps without vignetting only where there is no other."""
    every = [product for run in reversed(runs) for product in run.plan.products]
    return tuple({(p.what, p.kind): p for p in sorted(every, key=lambda p: not p.is_unvignetted)}.values())


def _refuse_two_ways(runs: Sequence[Run]) -> None:
    """Refuse runs that made one product by different commands: which of them a number is of would not be said."""
    ways: dict[tuple[Any, ...], dict[Any, str]] = {}
    for run in runs:
        steps = {step.id: step.command.parameters for step in run.plan.steps}
        for product in run.plan.products:
            key = product.what, product.kind, product.is_unvignetted
            ways.setdefault(key, {}).setdefault(steps.get(product.step), run.plan.id[:8])
    for (what, kind, _), made in ways.items():
        if len(made) > 1:
            name, obs_id, exposure_id, camera, band = what
            which = f"{kind.replace('_', ' ')} of {name}, {obs_id} {camera} {exposure_id} {band}"
            raise InvalidRecord(
                f"the runs {', '.join(made.values())} have the {which} in different ways (selection, good time, grid, "
                "or found on disk): take one of runs(store), or one with --run"
            )


def _fields(runs: Iterable[Run]) -> tuple[dict[str, Field], dict[str, dict[str, None]]]:
    """Return the fields by name, and in what the fields of one name differ."""
    fields: dict[str, Field] = {}
    changed: dict[str, dict[str, None]] = {}
    for field in (field for run in runs for field in run.plan.fields):
        if fields.setdefault(field.name, field) != field:
            changed.setdefault(field.name, {}).update(_differences(field, fields[field.name]))
    return fields, changed


def _differences(old: Field, new: Field) -> dict[str, None]:
    """Return what differs between two fields, in words."""
    wholes: dict[str, Callable[[Field], Any]] = {
        "another place or properties (two targets need two names)": lambda f: (
            f.target,
            f.centre_ra_deg,
            f.centre_dec_deg,
        ),
        "other observations": lambda f: f.obs_ids,
    }
    return {what: None for what, of in wholes.items() if of(old) != of(new)} or {"other regions or files": None}


def _outcomes(runs: Iterable[Run]) -> dict[str, Outcome]:
    """Return what became of each step: done, where any run has it done."""
    outcomes: dict[str, Outcome] = {}
    for outcome in (outcome for run in runs for outcome in run.outcomes):
        known = outcomes.setdefault(outcome.step, outcome)
        if isinstance(outcome, Done) and not isinstance(known, Done):
            outcomes[outcome.step] = outcome
    return outcomes
