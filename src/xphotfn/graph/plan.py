"""A plan is a value: steps, each a command with what it waits for, and the products that come of them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import final

from attrs import field, frozen

from xphotfn.commands.command import Command, command_facts
from xphotfn.commands.names import parse_product_name
from xphotfn.errors import PlanError
from xphotfn.records._fields import items, non_empty, one_of, strings
from xphotfn.records._html import block, facts, file_name, record_html
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.records.observation import FoundFile

__all__ = ("KINDS", "MAP_KINDS", "Plan", "PlannedProduct", "Step", "StepInput", "steps_leading_to")

ID_VERSION = 1
KINDS = ("image", "exposure_map", "source_list", "regions", "background_map")
"""The kinds of products of a plan."""
MAP_KINDS = KINDS[:2]
"""Those of which rate maps are made."""


@final
@frozen(kw_only=True)
class StepInput:
    """One input of a step: a file that was found, or the output of another step.

    Parameters
    ----------
    name
        The name under which the command knows it.
    file
        The file on disk, or None.
    step
        Id of the step that makes it, or empty.
    """

    name: str = field(validator=non_empty)
    file: FoundFile | None = None
    step: str = ""

    def __attrs_post_init__(self) -> None:
        if (self.file is None) != bool(self.step):
            raise PlanError(f"input {self.name} must be either a found file or made by a step")

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True, repr=False)
class Step:
    """One command with its inputs.

    Parameters
    ----------
    command
        What to execute.
    inputs
        Where each file that the command reads comes from.
    obs_id
        The observation it belongs to, or ``combined``.
    id
        A digest of the command, the ids it waits for, and path, size and time of the found files: the same in every
        process and on every machine with the same files. Derived, not given.
    """

    command: Command
    inputs: tuple[StepInput, ...] = field(default=(), converter=items)
    obs_id: str = "combined"
    id: str = field(init=False, repr=False)

    @id.default
    def _derived_id(self) -> str:
        sources = [
            [i.name, i.step] if i.file is None else [i.name, i.file.path, i.file.size, i.file.mtime_ns]
            for i in self.inputs
        ]
        c = self.command
        identity = [ID_VERSION, c.task, c.parameters, c.outputs, c.env, sources]
        digest = hashlib.blake2b(json.dumps(identity).encode(), digest_size=16).hexdigest()
        return f"{c.task}-{digest}"

    def __attrs_post_init__(self) -> None:
        given, wanted = {i.name for i in self.inputs}, set(self.command.inputs)
        if given != wanted:
            raise PlanError(
                f"{self.command.task} reads {', '.join(sorted(wanted)) or 'nothing'} but the step gives "
                f"{', '.join(sorted(given)) or 'nothing'}"
            )

    @property
    def needs(self) -> tuple[str, ...]:
        """Ids of the steps that it waits for, each once."""
        return tuple(dict.fromkeys(i.step for i in self.inputs if i.step))

    def __repr__(self) -> str:
        outputs = self.command.outputs
        return f"Step(id={self.id!r}, obs_id={self.obs_id!r}, outputs={outputs[:3]}, needs={len(self.needs)})"

    def _repr_html_(self) -> str:
        sources = [(i.name, i.step if i.file is None else file_name(i.file.path)) for i in self.inputs]
        inputs = facts((f"{name} comes from", source) for name, source in sources)
        return block(f"Step {self.id} of {self.obs_id}", command_facts(self.command), inputs)


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
        from xphotfn.graph.describe import describe

        return describe(self)

    def __repr__(self) -> str:
        names = tuple(f.name for f in self.fields[:3]) + (("...",) if len(self.fields) > 3 else ())
        return f"Plan(steps={len(self.steps)}, fields={names}, products={len(self.products)}, notes={len(self.notes)})"

    def _repr_html_(self) -> str:
        from xphotfn.graph.notebook import plan_html

        return plan_html(self)


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
