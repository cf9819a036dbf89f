"""The command line of a SAS task: ``name=value`` parameters and the options that every task has.

Pure: words in, a record out. What the words mean for files is the business of ``engines.shims.task``.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from xphotfn.commands.command import Command
from xphotfn.commands.parameters import TASKS, parameters_of, resolved
from xphotfn.errors import InvalidRecord, XphotfnError

__all__ = ("TaskError", "TaskLine", "parse_line", "split_list")

_VALUE_OPTIONS = {
    "V": "verbosity", "w": "warning", "a": "ccfpath", "i": "ccf", "o": "odf", "f": "ccffiles",
}  # fmt: skip
_FLAGS = {
    "v": "version", "h": "help", "p": "param", "d": "dialog", "m": "manpage", "c": "noclobber", "t": "trace",
}  # fmt: skip
_NUMBERS = ("verbosity", "warning")


class TaskError(XphotfnError):
    """An error as SAS tasks report them: a name and a text.

    Attributes
    ----------
    name : str
        Such as ``ParamMandatory``.
    text : str
        What is wrong.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text


class TaskLine(NamedTuple):
    """A command line, read: the task, its complete parameters, and its options by their long names."""

    task: str
    command: Command
    options: dict[str, str]


def parse_line(words: Sequence[str]) -> TaskLine:
    """Return the command that the words of a command line ask for, with SAS's defaults for the rest.

    Parameters
    ----------
    words
        The task, then ``name=value``, ``--name=value`` and options, as a shell hands them over.

    Returns
    -------
    TaskLine
        Parameters are complete, except where an option such as ``--help`` makes them needless.

    Raises
    ------
    TaskError
        ParamNotFound for an unknown parameter or option, ParamMandatory for a missing one, ParamWrongType for a value
        of the wrong kind, ParamMultiple for one that is given twice.

    References
    ----------
    SAS Users Guide, chapter on running SAS; pysas, parser.py, for the options.

    Examples
    --------
    >>> line = parse_line(("evselect", "-V", "2", "--table=a.fits", "imageset=i.fits", "squarepixels=true"))
    >>> line.options, line.command.parameter("withimageset"), line.command.parameter("squarepixels")
    ({'verbosity': '2'}, 'yes', 'yes')
    """
    task = words[0]
    if task not in TASKS:
        raise TaskError("TaskNotFound", f"there is no task {task}; there are {', '.join(sorted(TASKS))}")
    options: dict[str, str] = {}
    given: dict[str, str] = {}
    rest = iter(words[1:])
    for word in rest:
        name, equals, value = word.removeprefix("--").partition("=")
        if equals and name and (word.startswith("--") or not word.startswith("-")) and name not in _long_names():
            if name in given:
                raise TaskError("ParamMultiple", f"parameter {name} is given twice")
            given[name] = _unquoted(value)
        else:
            options |= dict([_option(task, word, rest)])
    command = Command(task=task, parameters=tuple(given.items()))
    asks = {"version", "help", "param", "manpage", "dialog"} & set(options)
    return TaskLine(task, command if asks else _complete(command), options)


def _long_names() -> tuple[str, ...]:
    return (*_VALUE_OPTIONS.values(), *_FLAGS.values())


def _option(task: str, word: str, rest: Iterator[str]) -> tuple[str, str]:
    """Return the long name and the value of an option, whose value may be the next word."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        known = name in _long_names()
    else:
        name = (_VALUE_OPTIONS | _FLAGS).get(word[1:2], "") if word.startswith("-") else ""
        value, known = word[2:].removeprefix("="), bool(name)
        equals = value
    if not known:
        raise TaskError("ParamNotFound", f"{word!r} is neither name=value nor an option of {task}")
    if name in _FLAGS.values():
        if value:
            raise TaskError("ParamNotFound", f"{word!r}: this option takes no value")
        return name, "yes"
    if not equals:
        value = next(rest, "")
    if name in _NUMBERS and not value.isdecimal():
        raise TaskError("ParamWrongType", f"option {name} needs a whole number, got {value!r}")
    return name, value


def _unquoted(value: str) -> str:
    """Return a value without the quotes that a shell would have taken off."""
    for quote in ("'", '"'):
        if len(value) >= 2 and value[0] == value[-1] == quote and quote not in value[1:-1]:
            return value[1:-1]
    return value


def _complete(command: Command) -> Command:
    """Return the command with every parameter; what is wrong is named as SAS names it."""
    table = {p.name: p for p in parameters_of(command.task)}
    for name, _ in command.parameters:
        if name not in table:
            raise TaskError("ParamNotFound", f"parameter {name} is not known; there are {', '.join(table) or 'none'}")
    given = dict(command.parameters)
    missing = [name for name, p in table.items() if p.default is None and not given.get(name, "").strip()]
    if missing:
        raise TaskError("ParamMandatory", f"mandatory parameter {missing[0]} has not been specified")
    try:
        return resolved(command)
    except InvalidRecord as error:
        raise TaskError("ParamWrongType", str(error)) from error


def split_list(value: str) -> tuple[str, ...]:
    """Return the items of a list: separated by blanks, those with a blank of their own in quotes.

    Raises
    ------
    TaskError
        If a quote is left open.

    Examples
    --------
    >>> split_list('a.fits "b c.fits"')
    ('a.fits', 'b c.fits')
    """
    items: list[str] = []
    at = 0
    while at < len(value):
        letter = value[at]
        if letter.isspace():
            at += 1
        elif letter in "\"'":
            stop = value.find(letter, at + 1)
            if stop < 0:
                raise TaskError("ParamWrongType", f"a quote is left open in {value!r}")
            items.append(value[at + 1 : stop])
            at = stop + 1
        else:
            word = value[at:].split(maxsplit=1)[0]
            items.append(word)
            at += len(word)
    return tuple(items)
