"""The native engine: our numpy interpreter of the SAS commands."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, final

from attrs import frozen

from xphotfn.commands.command import Command
from xphotfn.engines.native.reporting import collected
from xphotfn.engines.native.rules import RULES
from xphotfn.errors import CommandFailed

__all__ = ("NativeEngine", "native_engine")

_TASKS = {
    "cifbuild": "xphotfn.engines.native.cifbuild:cifbuild",
    "evselect": "xphotfn.engines.native.evselect:evselect",
    "emosaic": "xphotfn.engines.native.emosaic:emosaic",
}


@final
@frozen(kw_only=True)
class NativeEngine:
    """Executes commands in numpy; it needs neither SAS nor calibration files."""

    @property
    def identity(self) -> str:
        """Name and version of the rules by which it makes products."""
        return RULES

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it can execute."""
        return tuple(sorted(_TASKS))

    def execute(self, command: Command, folder: Path) -> str:
        """Execute one command in ``folder`` and return its log.

        Raises
        ------
        CommandFailed
            If the task is not one of :attr:`tasks`.
        """
        task = self._task(command)
        with collected() as messages:
            task(command, folder)
        return self._log(command.task, messages)

    def execute_many(self, commands: Sequence[Command], folder: Path) -> str:
        """Execute commands that read the same event list in one pass over it, and return their log."""
        self._task(commands[0])
        with collected() as messages:
            _load("xphotfn.engines.native.evselect:evselect_many")(commands, folder)
        return self._log(commands[0].task, messages)

    def _task(self, command: Command) -> Any:
        if command.task not in _TASKS:
            raise CommandFailed(
                command.argv,
                f"the native engine has no {command.task}, only {', '.join(self.tasks)}: "
                "put the product beside the event list so that it is found, or run this plan with SAS",
            )
        return _load(_TASKS[command.task])

    def _log(self, task: str, messages: Sequence[tuple[str, str]]) -> str:
        lines = [f"{task}:- executed by xphotfn ({self.identity})"]
        lines += [f"** {task}: warning ({name}), {text}" for name, text in messages]
        return "\n".join(lines) + "\n"


def _load(where: str) -> Any:
    module, name = where.split(":")
    return getattr(import_module(module), name)


def native_engine() -> NativeEngine:
    """Return the engine that executes every command here, in numpy.

    Examples
    --------
    >>> "emosaic" in native_engine().tasks
    True
    """
    return NativeEngine()
