"""One command with the files that it reads: what a plan is made of."""

import hashlib
import json
from typing import final

from attrs import field, frozen

from xphotfn.commands.command import Command, command_facts
from xphotfn.errors import PlanError
from xphotfn.html import block, facts, file_name, record_html
from xphotfn.records.fields import items, non_empty
from xphotfn.records.instrument import COMBINED
from xphotfn.records.observation import FoundFile

__all__ = ("Step", "StepInput")

ID_VERSION = 1


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
    obs_id: str = COMBINED
    id: str = field(init=False, repr=False)

    @property
    def is_mosaic(self) -> bool:
        """Whether it is of several observations."""
        return self.obs_id == COMBINED

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
