"""A plan is a value: steps, each a command with what it waits for, and the products that come of them."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import final

from attrs import field, frozen

from xphotfn.commands.names import parse_product_name
from xphotfn.commands.step import Step
from xphotfn.errors import PlanError
from xphotfn.graph.drawing import plan_svg
from xphotfn.html import Html, block, count, details, facts, record_html, table
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.fields import items, non_empty, of_kind, one_of, strings
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import COMBINED
from xphotfn.records.observation import FoundFile

__all__ = ("KINDS", "MAP_KINDS", "Plan", "PlannedProduct", "describe", "steps_leading_to")

_MOST_STEPS, _MOST_OBSERVATIONS = 200, 20


KINDS = ("image", "exposure_map", "source_list", "regions", "background_map")
"""The kinds of products of a plan."""
MAP_KINDS = KINDS[:2]
"""Those of which rate maps are made."""


@final
@frozen(kw_only=True)
class PlannedProduct:
    """A product of a plan: a file that was found, or the output of a step.

    Parameters
    ----------
    kind
        One of :data:`KINDS`; ``source_list`` and ``regions`` are of all cameras (instrument ``epic``).
    field_name
        Name of the field it belongs to.
    obs_id, exposure_id, instrument
        What it shows; ``combined``, empty and ``combined`` for a mosaic.
    band
        Energy band.
    name
        File name inside a run.
    file, grid
        The found file and its grid, or None where a step makes it.
    step
        Id of the step that makes it, or empty.
    """

    kind: str = field(validator=one_of(*KINDS))
    field_name: str
    obs_id: str
    exposure_id: str = ""
    instrument: str
    band: Band
    name: str = field(validator=non_empty)
    file: FoundFile | None = None
    grid: PixelGrid | None = None
    step: str = ""

    @property
    def is_mosaic(self) -> bool:
        """Whether it is of several observations."""
        return self.obs_id == COMBINED

    @property
    def what(self) -> tuple[str, str, str, str, Band]:
        """What it shows, whatever its kind."""
        return self.field_name, self.obs_id, self.exposure_id, self.instrument, self.band

    @property
    def is_unvignetted(self) -> bool:
        """Whether it is an exposure map without vignetting, by which no rate of the sky is made."""
        said = parse_product_name(self.name)
        return said is not None and said.kind == "expmap_novig"

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True, repr=False)
class Plan:
    """What will be made, and how; pure data that can be printed, compared, hashed and sent.

    Parameters
    ----------
    steps
        In an order in which they could run one after the other.
    fields
        The fields, sorted by name.
    products
        Everything that the plan gives, found or made.
    notes
        What cannot be made, and why.
    """

    steps: tuple[Step, ...] = field(default=(), converter=items)
    fields: tuple[Field, ...] = field(default=(), converter=items)
    products: tuple[PlannedProduct, ...] = field(default=(), converter=items)
    notes: tuple[str, ...] = field(default=(), converter=strings)

    def __attrs_post_init__(self) -> None:
        known: set[str] = set()
        for step in self.steps:
            missing = [n for n in step.needs if n not in known]
            if missing or step.id in known:
                raise PlanError(f"step {step.id} comes twice, or before the steps it waits for: {missing}")
            known.add(step.id)

    @property
    def id(self) -> str:
        """A digest of what the plan makes."""
        parts = [[s.id for s in self.steps], [[*p.what[:4], p.band.name, p.kind] for p in self.products]]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()

    def step(self, step_id: str) -> Step:
        """Return the step with that id."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise PlanError(f"the plan has no step {step_id}")

    def __str__(self) -> str:

        return describe(self)

    def __repr__(self) -> str:
        names = tuple(f.name for f in self.fields[:3]) + (("...",) if len(self.fields) > 3 else ())
        return f"Plan(steps={len(self.steps)}, fields={names}, products={len(self.products)}, notes={len(self.notes)})"

    def _repr_html_(self) -> str:

        return _plan_html(self)


def steps_leading_to(wanted: Iterable[str], steps: Mapping[str, Step]) -> tuple[Step, ...]:
    """Return the steps of these ids, and those that they wait for, in the order of ``steps``.

    Parameters
    ----------
    wanted
        Ids.
    steps
        All steps of a plan by id, in its order.
    """
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        step = waiting.pop()
        if step not in found:
            found.add(step)
            waiting.extend(steps[step].needs)
    return tuple(step for name, step in steps.items() if name in found)


def describe(plan: Plan) -> str:
    """Return what a plan will run, what is already there, and how much it is.

    Parameters
    ----------
    plan
        Any plan.

    Returns
    -------
    str
        Several lines for people.

    Raises
    ------
    InvalidRecord
        If it is no plan.

    Examples
    --------
    >>> from xphotfn.graph.recipes import plan_mosaics
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> print(describe(plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))))
    Plan of 2 steps for 1 field (example), 1 observation, 0.5-2 keV
      found on disk, used as they are:  1 image, 1 exposure map
      to make:                          2 emosaic
      about 4.0 MiB of products
    """
    of_kind(plan, Plan, "plan_mosaics(...)")
    lines = [f"  {what + ':':<34}{said}" for what, said in _plan_facts(plan)]
    if plan.steps:
        lines.append(f"  {_products_size(plan)}")
    return "\n".join([_plan_title(plan), *lines, *(f"  note: {note}" for note in plan.notes)])


def _plan_title(plan: Plan) -> str:
    """Return a plan in one line: how many steps, and for what."""
    fields = ", ".join(f.name for f in plan.fields[:5]) + (", ..." if len(plan.fields) > 5 else "")
    observations = len({o for f in plan.fields for o in f.obs_ids})
    bands = ", ".join(dict.fromkeys(str(p.band) for p in plan.products))
    return (
        f"Plan of {count(len(plan.steps), 'step')} for {count(len(plan.fields), 'field')} ({fields}), "
        f"{count(observations, 'observation')}, {bands}"
    )


def _plan_facts(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Return what is there already and what a plan makes, as pairs of what and how much."""
    files = {p.file.path: p.kind.replace("_", " ") for p in plan.products if p.file is not None}
    found = Counter(files.values())  # targets share the files of an observation
    tasks = Counter(s.command.task for s in plan.steps)
    return (
        ("found on disk, used as they are", ", ".join(count(n, kind) for kind, n in found.items()) or "nothing"),
        ("to make", ", ".join(f"{n} {t}" for t, n in tasks.items()) or "nothing"),
    )


def _products_size(plan: Plan) -> str:
    """Estimate: a found grid's size in doubles for every output, 512 x 512 where none is known."""
    pixels = [p.grid.nx * p.grid.ny for p in plan.products if p.grid is not None] or [512 * 512]
    megabytes = sum(len(s.command.outputs) for s in plan.steps) * max(pixels) * 8 / 2**20
    return f"about {megabytes:.1f} MiB of products"


def _plan_html(plan: Plan) -> str:
    """Return a plan as HTML: what it is, its graph, a table of observations and tasks, and all its steps."""
    said = [(what.capitalize(), value) for what, value in _plan_facts(plan)]
    if plan.steps:
        said.append(("Size", _products_size(plan)))
    said += [("Note", note) for note in plan.notes]
    steps = table([_step_row(s) for s in plan.steps], ("Observation", "Task", "Makes", "Reads"), most=_MOST_STEPS)
    parts = [facts(said), plan_svg(plan.steps), _observation_table(plan)]
    if plan.steps:
        parts.append(details(f"All {count(len(plan.steps), 'step')}", steps))
    return block(_plan_title(plan), *parts)


def _observation_table(plan: Plan) -> Html:
    """Return how many products of each observation were found, and how many steps of each task it has."""
    tasks = list(dict.fromkeys(s.command.task for s in plan.steps))
    found = Counter(p.obs_id for p in plan.products if p.file is not None)
    to_run = Counter((s.obs_id, s.command.task) for s in plan.steps)
    places = list(dict.fromkeys([*(o for f in plan.fields for o in f.obs_ids), *(s.obs_id for s in plan.steps)]))
    if len(places) > _MOST_OBSERVATIONS:
        places.sort(key=lambda name: name != "combined")  # or it would be cut off
    rows = [(obs_id, found[obs_id] or "", *(to_run[obs_id, task] or "" for task in tasks)) for obs_id in places]
    return table(rows, ("Observation", "Found", *tasks), most=_MOST_OBSERVATIONS) if rows else Html("")


def _step_row(step: Step) -> tuple[str, str, str, str]:
    names = [i.name for i in step.inputs]
    reads = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return step.obs_id, step.command.task, ", ".join(step.command.outputs), reads
