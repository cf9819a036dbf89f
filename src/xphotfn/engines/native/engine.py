"""The native engine: our numpy interpreter of the SAS commands."""

import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import final

from attrs import frozen

from xphotfn.commands.command import Command
from xphotfn.errors import CommandFailed

__all__ = ("NativeEngine", "native_engine")

_TASKS = {
    "emosaic": "xphotfn.engines.native.emosaic:emosaic",
}
_RULES_VERSION = "1"  # grows when a native task writes other bytes for the same command


@final
@frozen(kw_only=True)
class NativeEngine:
    """Executes commands in numpy; it needs neither SAS nor calibration files."""

    @property
    def identity(self) -> str:
        """Name and version of the rules by which it makes products."""
        return f"native-{_RULES_VERSION}"

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
        if command.task not in _TASKS:
            raise CommandFailed(
                command.argv,
                f"the native engine has no {command.task} yet, only {', '.join(self.tasks)}: "
                "put the product beside the event list so that it is found, or run this plan with SAS",
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _task(_TASKS[command.task])(command, folder)
        lines = [f"{command.task}:- executed by xphotfn ({self.identity})"]
        lines += [f"** {command.task}: warning ({type(w.message).__name__}), {w.message}" for w in caught]
        return "\n".join(lines) + "\n"


def _task(where: str) -> Callable[[Command, Path], None]:
    module, name = where.split(":")
    function: Callable[[Command, Path], None] = getattr(import_module(module), name)
    return function


def native_engine() -> NativeEngine:
    """Return the engine that executes every command here, in numpy.

    Examples
    --------
    >>> "emosaic" in native_engine().tasks
    True
    """
    return NativeEngine()
