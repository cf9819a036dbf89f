"""What can execute a command."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from xphotfn.commands.command import Command

__all__ = ("Engine",)


@runtime_checkable
class Engine(Protocol):
    """Anything with an identity and one method; engines are passed explicitly, there is no global one."""

    @property
    def identity(self) -> str:
        """Name and version: products of different identities are never mixed in a store."""
        ...

    def execute(self, command: Command, folder: Path) -> str:
        """Execute ``command`` in ``folder``, which holds its inputs by name, and return what it printed.

        Raises
        ------
        CommandFailed
            If the task fails; any other error of xphotfn for bad inputs.
        """
        ...
