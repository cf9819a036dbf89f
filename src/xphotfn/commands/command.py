"""The record of one SAS command: data that any engine can execute."""

from functools import lru_cache
from typing import Any, final

from attrs import Attribute, field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import Html, block, facts
from xphotfn.records.fields import safe_name, strings

__all__ = ("Command",)

Parameters = tuple[tuple[str, str], ...]


def _pairs(values: Any) -> Parameters:
    items = values.items() if isinstance(values, dict) else values
    return tuple(_pair(str(name), str(value)) for name, value in items)


@lru_cache(maxsize=1024)
def _pair(name: str, value: str) -> tuple[str, str]:
    """Return a pair, the same object for equal ones: the commands of a sample share most of theirs."""
    return name, value


def _plain_names(record: object, attribute: "Attribute[Any]", value: tuple[str, ...]) -> None:
    for name in value:
        safe_name(record, attribute, name)
    if len(set(value)) != len(value):
        raise InvalidRecord(f"Command.{attribute.name} repeats a name: {value}")


@final
@frozen(kw_only=True, repr=False)
class Command:
    """One call of a SAS task, with the files it reads and writes.

    Paths are plain relative names: the engine runs the command in a scratch folder that holds each
    input under its name. Nothing here names a machine, a date or an absolute path.

    Parameters
    ----------
    task
        Name of the SAS task, such as ``evselect``.
    parameters
        Pairs ``(name, value)`` in the order in which they are printed; values as SAS writes them
        (``yes``, ``no``, numbers without a needless decimal point).
    inputs, outputs
        Names of the files that the command reads and writes.
    env
        Pairs of environment variables set for this command only.

    Examples
    --------
    >>> Command(task="emosaic", parameters=(("imagesets", "a.fits b.fits"), ("mosaicedset", "m.fits")),
    ...         inputs=("a.fits", "b.fits"), outputs=("m.fits",)).argv
    ('emosaic', 'imagesets=a.fits b.fits', 'mosaicedset=m.fits')
    """

    task: str = field(validator=safe_name)
    parameters: Parameters = field(default=(), converter=_pairs)
    inputs: tuple[str, ...] = field(default=(), converter=strings, validator=_plain_names)
    outputs: tuple[str, ...] = field(default=(), converter=strings, validator=_plain_names)
    env: Parameters = field(default=(), converter=_pairs)

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line as a tuple, never joined for a shell."""
        return (self.task, *(f"{name}={value}" for name, value in self.parameters))

    def parameter(self, name: str, default: str | None = None) -> str:
        """Return the value of one parameter."""
        for key, value in self.parameters:
            if key == name:
                return value
        if default is None:
            raise InvalidRecord(f"{self.task} has no parameter {name!r}; it has {[k for k, _ in self.parameters]}")
        return default

    def __repr__(self) -> str:
        return (
            f"Command(task={self.task!r}, parameters={len(self.parameters)}, inputs={len(self.inputs)}, "
            f"outputs={self.outputs[:3]}{' and more' if len(self.outputs) > 3 else ''})"
        )

    def _repr_html_(self) -> str:
        return block(f"Command {self.task}", command_facts(self))


def command_facts(command: Command) -> Html:
    """Return the parameters, files and environment of a command as a table of HTML."""
    rows = [*command.parameters, ("reads", ", ".join(command.inputs)), ("makes", ", ".join(command.outputs))]
    return facts([*rows, *((f"${name}", value) for name, value in command.env)])
