"""The native engine: our numpy interpreter of the SAS commands."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from attrs import field, frozen

from xphotfn.commands.command import Command
from xphotfn.commands.messages import SasMessage
from xphotfn.commands.parameters import TASKS
from xphotfn.commands.task_rows import loaded
from xphotfn.engines.native.cifbuild import read_ccf_folder
from xphotfn.engines.native.versions import RULES, rules_of
from xphotfn.engines.protocol import Printed
from xphotfn.epic.log import collected
from xphotfn.errors import CommandFailed
from xphotfn.html import record_html
from xphotfn.records.fields import one_of

__all__ = ("NativeEngine", "native_engine")

_ROOM = "xphotfn.engines.native"


@final
@frozen(kw_only=True)
class NativeEngine:
    """Executes commands in numpy; it needs neither SAS nor calibration files.

    Parameters
    ----------
    sampling
        How exposure maps sample the response: ``sas`` or ``pixel``.
    ccf
        A folder of calibration files to use instead of the packaged table, or None.
    ccf_issues
        What that folder holds, as part of the engine's identity.
    """

    sampling: str = field(default="sas", validator=one_of("sas", "pixel"))
    ccf: str | None = None
    ccf_issues: str = ""

    def _repr_html_(self) -> str:
        return record_html(self)

    @property
    def identity(self) -> str:
        """Name and version of the rules by which it makes products."""
        return RULES + self._settings

    def identity_of(self, task: str) -> str:
        """Return :attr:`identity` with the version of a task whose rules have one of their own."""
        return rules_of(task) + self._settings

    @property
    def _settings(self) -> str:
        sampling = "" if self.sampling == "sas" else f"+{self.sampling}"
        return sampling + (f"+ccf-{self.ccf_issues}" if self.ccf else "")

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it can execute."""
        return tuple(sorted(name for name, task in TASKS.items() if task.native))

    def execute(self, command: Command, folder: Path) -> Printed:
        """Execute one command in ``folder`` and return its log.

        Raises
        ------
        CommandFailed
            If the task is not one of :attr:`tasks`.
        """
        task = self._task(command)
        with collected() as messages:
            task(command, folder, **self._options(command.task))
        return self._printed(command.task, messages)

    def execute_many(self, commands: Sequence[Command], folder: Path) -> Printed:
        """Execute commands of one task that read the same event list in one pass over it, and return their log."""
        task = commands[0].task
        self._task(commands[0])
        with collected() as messages:
            loaded(_ROOM, TASKS[task].together)(commands, folder, **self._options(task))
        return self._printed(task, messages)

    def _options(self, task: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in TASKS[task].options}

    def _task(self, command: Command) -> Any:
        known = TASKS.get(command.task)
        if known is None or not known.native:
            raise CommandFailed(
                command.argv,
                f"the native engine has no {command.task}, only {', '.join(self.tasks)}: "
                "put the product beside the event list so that it is found, or run this plan with SAS",
            )
        return loaded(_ROOM, known.native)

    def _printed(self, task: str, messages: Sequence[tuple[str, str]]) -> Printed:
        found = [SasMessage(task=task, severity="warning", name=name, text=text) for name, text in messages]
        lines = [f"{task}:- executed by xphotfn ({self.identity_of(task)})", *(m.as_printed for m in found)]
        return Printed(log="\n".join(lines) + "\n", warnings=found)


def native_engine(*, sampling: str = "sas", ccf: str | None = None) -> NativeEngine:
    """Return the engine that executes every command here, in numpy.

    Parameters
    ----------
    sampling
        How exposure maps sample the instrument's response: ``"sas"``, once per block of detector pixels as SAS does, or
        ``"pixel"``, at every pixel.
    ccf
        A folder of calibration files (CCF) whose XRTn_XAREAEF give the vignetting, instead of the packaged table.

    Raises
    ------
    InvalidFile
        If the folder holds no calibration file.

    Examples
    --------
    >>> native_engine().tasks
    ('cifbuild', 'eexpmap', 'emosaic', 'evselect', ...)
    """
    if ccf is None:
        return NativeEngine(sampling=sampling)
    names = " ".join(file.name for file in read_ccf_folder(ccf))
    issues = hashlib.blake2b(names.encode(), digest_size=8).hexdigest()
    return NativeEngine(sampling=sampling, ccf=str(Path(ccf).absolute()), ccf_issues=issues)
