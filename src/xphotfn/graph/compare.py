"""What differs between two plans, step by step."""

from collections import Counter
from collections.abc import Iterator
from typing import final

from attrs import field, frozen

from xphotfn.commands.step import Step, StepInput
from xphotfn.graph.plan import Plan
from xphotfn.html import Html, block, count, escape, record_html, table
from xphotfn.records.fields import items, one_of, strings

__all__ = ("PlanDiff", "StepChange", "diff_plans")

_MOST_CHANGES = 200


_SIGNS = {"removed": "-", "added": "+", "changed": "~"}


@final
@frozen(kw_only=True)
class StepChange:
    """A step that two plans do not share.

    Parameters
    ----------
    kind
        ``removed`` (only in the first plan), ``added`` (only in the second) or ``changed``.
    obs_id, task, outputs
        What the step is for, and the files it makes.
    details
        What changed, one sentence each.
    """

    kind: str = field(validator=one_of(*_SIGNS))
    obs_id: str
    task: str
    outputs: tuple[str, ...] = field(default=(), converter=strings)
    details: tuple[str, ...] = field(default=(), converter=strings)

    def __str__(self) -> str:
        head = f"{_SIGNS[self.kind]} {self.obs_id} {self.task} {' '.join(self.outputs)}"
        return "\n".join([head, *(f"    {line}" for line in self.details)])

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True, repr=False)
class PlanDiff:
    """What differs between two plans; ``str`` gives it as text.

    Parameters
    ----------
    same
        Number of steps that both have.
    changes
        The other steps, in the order of the first plan, then of the second.
    found
        Products that come from elsewhere now, or are in one plan only: one sentence each.
    notes
        Notes that only one plan has, with ``-`` or ``+``.
    """

    same: int
    changes: tuple[StepChange, ...] = field(default=(), converter=items)
    found: tuple[str, ...] = field(default=(), converter=strings)
    notes: tuple[str, ...] = field(default=(), converter=strings)

    @property
    def is_empty(self) -> bool:
        """Whether the plans make the same products in the same way."""
        return not (self.changes or self.found or self.notes)

    def __str__(self) -> str:
        counts = ", ".join(f"{sum(c.kind == kind for c in self.changes)} {kind}" for kind in _SIGNS)
        return "\n".join(
            [f"{self.same} steps are the same, {counts}", *map(str, self.changes), *self.found, *self.notes]
        )

    def __repr__(self) -> str:
        return (
            f"PlanDiff(same={self.same}, changes={len(self.changes)}, found={len(self.found)}, notes={len(self.notes)})"
        )

    def _repr_html_(self) -> str:

        return _diff_html(self)


def diff_plans(first: Plan, second: Plan) -> PlanDiff:
    """Return what differs between two plans.

    Parameters
    ----------
    first, second
        The plans.

    Returns
    -------
    PlanDiff
        Steps of one observation and task that make the same files count as one that changed.

    Examples
    --------
    >>> from xphotfn.graph.recipes import plan_mosaics
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> print(diff_plans(plan, plan))
    2 steps are the same, 0 removed, 0 added, 0 changed
    """
    shared = {s.id for s in first.steps} & {s.id for s in second.steps}
    old = {_what(s): s for s in first.steps if s.id not in shared}
    new = {_what(s): s for s in second.steps if s.id not in shared}
    changes = [
        _change("changed", step, _details(step, new[what])) if what in new else _change("removed", step)
        for what, step in old.items()
    ]
    changes += [_change("added", step) for what, step in new.items() if what not in old]
    return PlanDiff(
        same=len(shared),
        changes=changes,
        found=tuple(_found(first, second)),
        notes=[
            *(f"- note: {n}" for n in first.notes if n not in second.notes),
            *(f"+ note: {n}" for n in second.notes if n not in first.notes),
        ],
    )


def _what(step: Step) -> tuple[str, str, tuple[str, ...]]:
    return step.obs_id, step.command.task, step.command.outputs


def _change(kind: str, step: Step, details: Iterator[str] | tuple[str, ...] = ()) -> StepChange:
    return StepChange(
        kind=kind, obs_id=step.obs_id, task=step.command.task, outputs=step.command.outputs, details=tuple(details)
    )


def _details(old: Step, new: Step) -> Iterator[str]:
    for what in ("parameters", "env"):
        before, after = dict(getattr(old.command, what)), dict(getattr(new.command, what))
        for name in dict.fromkeys([*before, *after]):
            if before.get(name) != after.get(name):
                yield f"{name}: {_shown(before.get(name))} -> {_shown(after.get(name))}"
    inputs, others = ({i.name: i for i in step.inputs} for step in (old, new))
    for name in dict.fromkeys([*inputs, *others]):
        if inputs.get(name) != others.get(name):
            yield f"input {name}: {_source(inputs.get(name))} -> {_source(others.get(name))}"


def _shown(value: str | None) -> str:
    return "not given" if value is None else repr(value)


def _source(item: StepInput | None) -> str:
    if item is None:
        return "none"
    if item.file is not None:
        return f"{item.file.path} ({item.file.size} bytes, changed {item.file.mtime_ns / 1e9:.3f})"
    return f"made by {item.step}"


def _found(first: Plan, second: Plan) -> Iterator[str]:
    """Yield what differs between the products that are found on disk."""
    old, new = ({(*p.what, p.kind): p for p in plan.products} for plan in (first, second))
    for what in dict.fromkeys([*old, *new]):
        paths = [
            None if p is None else "made" if p.file is None else f"found at {p.file.path}"
            for p in (old.get(what), new.get(what))
        ]
        if paths[0] != paths[1] and any(p is not None and p != "made" for p in paths):
            name = f"{what[0]} {what[1]} {what[3]} {what[4]} {what[5]}"
            yield f"~ {name}: {paths[0] or 'not there'} -> {paths[1] or 'not there'}"


def _diff_html(diff: PlanDiff) -> str:
    """Return the differences of two plans as HTML."""
    rows = [
        (c.kind, c.obs_id, c.task, ", ".join(c.outputs), Html("<br/>".join(map(escape, c.details))))
        for c in diff.changes
    ]
    parts = [table(rows, ("", "Observation", "Task", "Makes", "What changed"), most=_MOST_CHANGES)] if rows else []
    parts += [table([(line,) for line in (*diff.found, *diff.notes)])] if diff.found or diff.notes else []
    changed = ", ".join(f"{n} {kind}" for kind, n in Counter(c.kind for c in diff.changes).items())
    return block(f"{count(diff.same, 'step')} the same, {changed or 'none changed'}", *parts)
