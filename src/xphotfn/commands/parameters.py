"""All tasks, and what each accepts: every parameter, in the order in which SAS echoes it, with its default.

The rows are data and stand beside the builders. They come from the ``XPROC0`` cards that SAS writes into its products
(each card holds the complete parameter list of the task that made the file) and from the parameter page of each task
(https://xmm-tools.cosmos.esa.int/external/sas/current/doc, page ``<task>``). Versions: evselect 3.62 to 3.71
(``nonStandardSpec`` since 3.68), eexpmap 4.6 to 4.12, emosaic 1.18, cifbuild 4.8, odfingest and atthkgen 1.21,
tabgtigen 2.13, gtibuild 1.5.
"""

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from xphotfn.commands.builders import MAP_TASKS
from xphotfn.commands.command import Command
from xphotfn.commands.own_times import OWN_TIME_TASKS
from xphotfn.commands.preparation import PREPARING_TASKS
from xphotfn.commands.source_detection import SOURCE_TASKS
from xphotfn.commands.task_rows import BOOLEANS, Parameter, Task, checked_by
from xphotfn.commands.timing import TIME_TASKS
from xphotfn.errors import InvalidRecord

__all__ = ("TASKS", "checked", "parameters_of", "resolved")

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (*MAP_TASKS, *PREPARING_TASKS, *TIME_TASKS, *OWN_TIME_TASKS, *SOURCE_TASKS, Task(name="sasversion"))
    }
)
"""Every task by its name: engines, programs, passes, checks and exports are made from it."""


def parameters_of(task: str) -> tuple[Parameter, ...]:
    """Return all parameters of a SAS task, in the order in which SAS echoes them.

    >>> [p.name for p in parameters_of("eexpmap")][:4]
    ['imageset', 'attitudeset', 'eventset', 'expimageset']
    """
    return _known(task).parameters


def _known(task: str) -> Task:
    try:
        return TASKS[task]
    except KeyError:
        raise InvalidRecord(f"no table of parameters for the task {task!r}; there is one for {sorted(TASKS)}") from None


def checked(command: Command) -> Command:
    """Return the command after comparing what it gives with the table of its task.

    Parameters
    ----------
    command
        A command of a task that has a table.

    Returns
    -------
    The same command.

    Raises
    ------
    InvalidRecord
        For a parameter that the task does not have, one that is given twice, a value of the wrong kind, and a
        value that is not among the allowed ones; the message names the parameter, the value and the allowed ones.

    References
    ----------
    The parameter page of each task, such as SAS evselect, node 16.

    Examples
    --------
    >>> checked(Command(task="emosaic", parameters=(("sampling", "cubic"),)))
    Traceback (most recent call last):
    xphotfn.errors.InvalidRecord: emosaic sampling must be one of point, got 'cubic'
    """
    return checked_by(_known(command.task), command)


def _switched_on(table: Mapping[str, Parameter], given: Mapping[str, str]) -> dict[str, str]:
    """Return the parents that SAS switches on because a child is given; explicit values replace them later."""
    found: dict[str, str] = {}
    for name in given:
        parameter = table[name]
        while parameter.parent is not None and parameter.implied:
            found[parameter.parent] = "yes"
            parameter = table[parameter.parent]
    return found


def resolved(command: Command) -> Command:
    """Return the command with SAS's complete parameter list, as SAS would echo it in ``XPROC0``.

    Parameters
    ----------
    command
        A command that gives some of the parameters of its task.

    Returns
    -------
    The command with every parameter, in SAS's order: the given values, ``yes`` for a boolean parent whose
    child is given, SAS's default for the rest. Booleans become ``yes`` or ``no``. An explicit value always wins.

    Raises
    ------
    InvalidRecord
        Where :func:`checked` does, and for a mandatory parameter that is missing.

    Notes
    -----
    Resolving twice changes nothing.

    References
    ----------
    SAS Users Guide, chapter on running SAS: giving a child parameter switches on its parent.

    Examples
    --------
    >>> image = resolved(Command(task="evselect", parameters=(("table", "evts.fits"), ("imageset", "img.fits"))))
    >>> image.parameter("withimageset"), image.parameter("ximagesize"), len(image.parameters)
    ('yes', '600', 66)
    """
    given = dict(checked(command).parameters)
    table = {parameter.name: parameter for parameter in parameters_of(command.task)}
    missing = [p.name for p in table.values() if p.default is None and p.name not in given]
    if missing:
        raise InvalidRecord(f"{command.task} needs {', '.join(missing)}")
    values = {name: p.default or "" for name, p in table.items()} | _switched_on(table, given) | given
    booleans = {name: BOOLEANS[values[name].lower()] for name, p in table.items() if p.kind == "bool"}
    return attrs.evolve(command, parameters=tuple((values | booleans).items()))
