"""What is known of a task, in one row: its parameters, who builds its commands, and who executes them.

The rows stand beside the builders; :data:`~xphotfn.commands.parameters.TASKS` holds them all.
"""

import re
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, final

from attrs import field, frozen

from xphotfn.commands.command import Command
from xphotfn.errors import InvalidRecord
from xphotfn.records.fields import items, non_empty, one_of, strings

__all__ = ("BOOLEANS", "Parameter", "Task", "apart", "checked_by", "choice", "loaded", "row")

BOOLEANS: Mapping[str, str] = MappingProxyType(  # the spellings that SAS takes, and how it echoes them
    dict.fromkeys(("yes", "y", "true", "t", "1"), "yes") | dict.fromkeys(("no", "n", "false", "f", "0"), "no")
)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@final
@frozen(kw_only=True)
class Parameter:
    """One parameter of a SAS task.

    Parameters
    ----------
    name
        Its name on the command line.
    kind
        ``str``, ``int``, ``real``, ``bool``, ``file`` or ``list`` (several values, separated by blanks).
    default
        What SAS takes when it is not given; None where it must be given.
    allowed
        The only values that SAS takes; empty where any value of the kind will do.
    parent
        The boolean that must be ``yes`` for this parameter to be used.
    implied
        True where SAS switches the parent on by itself when this parameter is given.
    role
        ``input`` or ``output`` where the value names files; empty otherwise.

    Examples
    --------
    >>> Parameter(name="exposuresets", kind="list", default="expmap.ds", parent="withexposure", role="input")
    Parameter(name='exposuresets', kind='list', default='expmap.ds', allowed=(), parent='withexposure',
    implied=True, role='input')
    """

    name: str = field(validator=non_empty)
    kind: str = field(validator=one_of("str", "int", "real", "bool", "file", "list"))
    default: str | None = None
    allowed: tuple[str, ...] = field(default=(), converter=strings)
    parent: str | None = None
    implied: bool = True
    role: str = field(default="", validator=one_of("", "input", "output"))


@final
@frozen(kw_only=True)
class Task:
    """One task; places in code are ``module:name`` in their room, so that a row imports none that comes after its own.

    Parameters
    ----------
    name
        What its commands are called.
    parameters
        All that it takes, in the order in which SAS echoes it.
    builders
        The functions that build its commands, in ``xphotfn.commands``.
    owner
        Who has it: ``sas``; ``xphotfn``, where every engine leaves it to our interpreter; or ``native``, where it is of
        the native engine alone.
    native
        Our interpreter, in ``xphotfn.engines.native``; empty where only SAS has one.
    together
        The interpreter of several commands that read one event list; empty where there is none.
    own_inputs
        Parameters whose files differ between commands that are executed together.
    options
        What the interpreter takes of its engine.
    check
        What tells whether SAS's product is the one that was asked for, in ``xphotfn.engines.made``; empty where it is
        enough that it is there.
    """

    name: str = field(validator=non_empty)
    parameters: tuple[Parameter, ...] = field(default=(), converter=items)
    builders: tuple[str, ...] = field(default=(), converter=strings)
    owner: str = field(default="sas", validator=one_of("sas", "xphotfn", "native"))
    native: str = ""
    together: str = ""
    own_inputs: tuple[str, ...] = field(default=(), converter=strings)
    options: tuple[str, ...] = field(default=(), converter=strings)
    check: str = ""


def row(name: str, kind: str, default: str | None = None, parent: str | None = None, role: str = "") -> Parameter:
    """Return a parameter."""
    return Parameter(name=name, kind=kind, default=default, parent=parent, role=role)


def choice(name: str, default: str, parent: str | None, *allowed: str) -> Parameter:
    """Return a parameter that takes only some values."""
    return Parameter(name=name, kind="str", default=default, parent=parent, allowed=allowed)


def apart(name: str, kind: str, default: str, parent: str, role: str = "") -> Parameter:
    """Return a parameter that SAS echoes apart from its switch: the switch has to be written too."""
    return Parameter(name=name, kind=kind, default=default, parent=parent, implied=False, role=role)


def _fits_kind(parameter: Parameter, value: str) -> bool:
    if parameter.kind == "bool":
        return value.lower() in BOOLEANS
    if parameter.kind == "int":
        return _INTEGER.fullmatch(value) is not None
    if parameter.kind == "real":
        return _REAL.fullmatch(value) is not None
    return bool(value) or parameter.kind != "file"


def checked_by(task: Task, command: Command) -> Command:
    """Return the command after comparing what it gives with the row of its task."""
    table = {parameter.name: parameter for parameter in task.parameters}
    seen = set()
    for name, value in command.parameters:
        if name not in table:
            raise InvalidRecord(f"{command.task} has no parameter {name!r}; it has {', '.join(table)}")
        if name in seen:
            raise InvalidRecord(f"{command.task} {name} is given twice")
        seen.add(name)
        parameter = table[name]
        if parameter.allowed and value not in parameter.allowed:
            raise InvalidRecord(f"{command.task} {name} must be one of {', '.join(parameter.allowed)}, got {value!r}")
        if not _fits_kind(parameter, value):
            raise InvalidRecord(f"{command.task} {name} must be of the kind {parameter.kind}, got {value!r}")
    return command


def loaded(room: str, place: str) -> Any:
    """Return what stands at a place of a row, ``module:name`` in a room.

    Examples
    --------
    >>> loaded("xphotfn.commands", "task_rows:row") is row
    True
    """
    module, _, name = place.partition(":")
    return getattr(import_module(f"{room}.{module}"), name)
