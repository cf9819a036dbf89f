"""What the builders share: how values, file names and whole commands are written down and checked."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import SupportsFloat

from xphotfn.commands.command import Command
from xphotfn.commands.selection import named_files
from xphotfn.commands.task_rows import Task, checked_by
from xphotfn.errors import InvalidRecord
from xphotfn.records.fields import is_safe_name

__all__ = (
    "Pairs",
    "build",
    "changed",
    "files_of",
    "number",
    "one_line",
    "output_file",
    "plain_file",
    "plain_files",
    "yes",
)

Pairs = tuple[tuple[str, str], ...]

_BLOCK = re.compile(r"[A-Za-z0-9_]+")


def yes(flag: object) -> str:
    """Return a boolean as SAS writes it.

    Examples
    --------
    >>> yes(True), yes(False)
    ('yes', 'no')
    """
    return "yes" if flag else "no"


def number(task: str, name: str, value: SupportsFloat) -> str:
    """Return a finite number, zero or more, as SAS writes it: without a needless decimal point.

    Examples
    --------
    >>> number("eexpmap", "attrebin", 4.0), number("eexpmap", "attrebin", 0.02)
    ('4', '0.02')
    """
    found = float(value)
    if not (math.isfinite(found) and found >= 0):
        raise InvalidRecord(f"{task} {name} must be a finite number, 0 or more, got {value!r}")
    return str(int(found)) if found.is_integer() else repr(found)


def plain_file(task: str, parameter: str, value: str) -> str:
    """Return the file that a parameter names, without its block (``evts.fits:EVENTS`` is ``evts.fits``).

    A path, a blank, or anything else that is no plain name is an InvalidRecord, which names task and parameter. Source:
    SAS evselect, node 16: a table is ``setname`` or ``setname:tableid``.

    Examples
    --------
    >>> plain_file("evselect", "table", "pn_evts.fits:EVENTS")
    'pn_evts.fits'
    """
    name, colon, block = str(value).partition(":")
    if not is_safe_name(name) or (colon and not _BLOCK.fullmatch(block)):
        raise InvalidRecord(f"{task} {parameter} must be a plain file name (letters, digits, _ . + -), got {value!r}")
    return name


def output_file(task: str, name: str, value: str) -> str:
    """Return the name of a file to write; a block in it is refused.

    Examples
    --------
    >>> output_file("evselect", "imageset", "img.fits")
    'img.fits'
    """
    if ":" in str(value):
        raise InvalidRecord(f"{task} {name} must be a plain file name without a block, got {value!r}")
    return plain_file(task, name, value)


def plain_files(task: str, name: str, values: Sequence[str]) -> tuple[str, ...]:
    """Return the files that a list parameter names; a lone str and a repeated file are refused.

    Examples
    --------
    >>> plain_files("emosaic", "imagesets", ["a.fits", "b.fits"])
    ('a.fits', 'b.fits')
    """
    if isinstance(values, str):
        raise InvalidRecord(f"{task} {name} takes several names, got the single string {values!r}: put it in a tuple")
    found = tuple(plain_file(task, name, value) for value in values)
    if len(set(found)) < len(found):
        repeated = sorted({one for one in found if found.count(one) > 1})
        raise InvalidRecord(f"{task} {name} repeats {', '.join(repeated)}: it would count more than once")
    return found


def one_line(task: str, expression: str) -> str:
    """Return an expression; what no FITS header could hold is refused."""
    if not expression.strip() or "'" in expression or not (expression.isascii() and expression.isprintable()):
        raise InvalidRecord(f"{task} expression must be one line of plain text without ', got {expression!r}")
    return expression


def files_of(task: str, table: str, expression: str) -> tuple[str, ...]:
    """Return the table and the files that an expression reads, each once.

    Examples
    --------
    >>> files_of("evselect", "evts.fits:EVENTS", "gti(good.fits,TIME)")
    ('evts.fits', 'good.fits')
    """
    read = (plain_file(task, "expression", name) for name in named_files(expression))
    return tuple(dict.fromkeys((plain_file(task, "table", table), *read)))


def changed(name: str, value: str, default: str = "") -> Pairs:
    """Return a parameter where its value is not the default: SAS need not be told that.

    Examples
    --------
    >>> changed("attrebin", "4", "4"), changed("attrebin", "1", "4")
    ((), (('attrebin', '1'),))
    """
    return () if value == default else ((name, value),)


def build(task: Task, pairs: Pairs, inputs: Iterable[str], outputs: Iterable[str]) -> Command:
    """Return the command after checking its parameters, and that it overwrites none of its inputs.

    Examples
    --------
    >>> from xphotfn.commands.task_rows import row
    >>> build(Task(name="make", parameters=[row("made", "file")]), (("made", "a.fits"),), (), ("a.fits",)).argv
    ('make', 'made=a.fits')
    """
    read, written = tuple(inputs), tuple(outputs)
    clash = sorted(set(read) & set(written))
    if clash:
        raise InvalidRecord(
            f"{task.name} would overwrite its own input {', '.join(clash)}: give the output another name"
        )
    return checked_by(task, Command(task=task.name, parameters=pairs, inputs=read, outputs=written))
