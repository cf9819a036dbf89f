"""What became of a step: Done, Failed or Skipped. A failure is a value."""

from typing import final

from attrs import field, frozen

from xphotfn.html import record_html
from xphotfn.records.fields import items, non_empty, strings

__all__ = ("Done", "Failed", "Outcome", "Output", "Skipped")


@final
@frozen(kw_only=True)
class Output:
    """One file that a step made.

    Parameters
    ----------
    name
        Its relative name.
    path
        Where it lies in the store.
    digest
        Content digest, hexadecimal.
    """

    name: str = field(validator=non_empty)
    path: str = field(validator=non_empty)
    digest: str = field(validator=non_empty)

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True)
class Done:
    """A step that has its products.

    Parameters
    ----------
    step
        Id of the step.
    key
        Its key in the store.
    outputs
        The files.
    cached
        Whether they were there already.
    seconds
        Wall-clock time of the command; 0 where cached.
    log
        Path of what the command printed.
    warnings
        What the command warned of: assumptions made, an empty selection.
    """

    step: str
    key: str
    outputs: tuple[Output, ...] = field(converter=items)
    cached: bool = False
    seconds: float = 0.0
    log: str = ""
    warnings: tuple[str, ...] = field(default=(), converter=strings)

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True)
class Failed:
    """A step whose command failed.

    Parameters
    ----------
    step
        Id of the step.
    reason
        What went wrong, in a sentence.
    log
        The last lines that the command printed.
    host
        On a cluster the machine and the address of the worker; empty where it was this process.
    of_machine
        Whether the trouble is one of a machine, such as a full disk or a file system that is not there, so that another
        machine may do it.
    interrupted
        Whether nothing failed: the run was stopped before the step had ended.
    """

    step: str
    reason: str
    log: str = ""
    host: str = ""
    of_machine: bool = False
    interrupted: bool = False

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True)
class Skipped:
    """A step that did not run since another failed.

    Parameters
    ----------
    step
        Id of the step.
    because
        Id of the step that failed first.
    """

    step: str
    because: str

    def _repr_html_(self) -> str:
        return record_html(self)


Outcome = Done | Failed | Skipped
