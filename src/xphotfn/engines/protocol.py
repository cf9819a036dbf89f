"""What can execute a command."""

from pathlib import Path
from typing import Protocol, final, runtime_checkable

from attrs import field, frozen

from xphotfn.commands.command import Command
from xphotfn.commands.messages import SasMessage, parse_messages
from xphotfn.records.fields import items

__all__ = ("Engine", "Printed")


@final
@frozen(kw_only=True)
class Printed:
    """What a task has printed.

    Parameters
    ----------
    log
        All of it.
    warnings
        What it warned of.
    """

    log: str = field(repr=False)
    warnings: tuple[SasMessage, ...] = field(default=(), converter=items)

    @classmethod
    def of(cls, said: "Printed | str") -> "Printed":
        r"""Return what an engine gave; the log of a SAS task, a text, is read for its warnings.

        Examples
        --------
        >>> Printed.of("** evselect: warning (NoFlag), no flag was given\n").warnings[0].text
        'no flag was given'
        """
        if isinstance(said, Printed):
            return said
        return cls(log=said, warnings=[m for m in parse_messages(said) if m.severity == "warning"])


@runtime_checkable
class Engine(Protocol):
    """Anything with an identity and one method; engines are passed explicitly, there is no global one."""

    @property
    def identity(self) -> str:
        """Name and version: products of different identities are never mixed in a store."""
        ...

    def execute(self, command: Command, folder: Path) -> Printed | str:
        """Execute ``command`` in ``folder``, which holds its inputs by name, and return what it printed.

        An engine that runs a program of SAS may return the text of its log: :meth:`Printed.of` reads its warnings.

        Raises
        ------
        CommandFailed
            If the task fails; any other error of xphotfn for bad inputs.
        """
        ...
