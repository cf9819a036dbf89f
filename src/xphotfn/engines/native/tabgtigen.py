"""tabgtigen and gtibuild in numpy: tables of good time intervals. Built by ``commands.tabgtigen`` and ``gtibuild``.

START, STOP, ONTIME, MINGTISZ and SUMSHORT are those of tabgtigen 2.13 and gtibuild 1.5. XDAL0, DATE and HISTORY, which
name the machine and the time, are left out, and CREATOR names this program.
"""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from xphotfn.commands.command import Command
from xphotfn.commands.dss import Intervals
from xphotfn.commands.parameters import resolved
from xphotfn.commands.selection import columns, expand_macros, parse, split_spec
from xphotfn.commands.xproc import to_card
from xphotfn.engines.native.versions import RULES
from xphotfn.epic.event_source import lookup
from xphotfn.epic.events import Block, EventFile, as_table, chunks, scan
from xphotfn.epic.exposure_times import gti_block, table_bytes
from xphotfn.epic.log import warn
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.epic.selecting.filter_files import file_resolver
from xphotfn.errors import CommandFailed, InvalidFile
from xphotfn.io.write import publish
from xphotfn.records.good_times import good_times
from xphotfn.science.good_rows import intervals_of_rows, split_short

__all__ = ("gti_primary", "gtibuild", "tabgtigen")

Card = tuple[str, Any, str]
Floats = NDArray[np.float64]

_SIGN = re.compile(r"([+-])([gb]?)")


def tabgtigen(command: Command, folder: Path) -> None:
    """Execute a tabgtigen command in ``folder``.

    Parameters
    ----------
    command
        ``table``, ``gtiset``, ``expression`` and what else tabgtigen takes.
    folder
        Holds the table; the result is made here.

    Raises
    ------
    CommandFailed
        If a fraction is outside -1 to 1.
    InvalidFile
        If the table is missing, damaged, empty, lacks its times or has them out of order, or the result exists already.
    ExpressionError
        If the expression cannot be read or does not fit the columns.

    Warns
    -----
    UserWarning
        If no row is good: the table of intervals is then empty. Also if rows are good that hold NaN where the
        expression looks, as ``!(RATE>0.4)`` and ``RATE!=5`` have it.

    Notes
    -----
    A row lasts TIMEDEL of the table; without that card the distance to the rows beside it. A comparison with NaN is
    false, but for ``!=``, so rows without a rate are not good for ``RATE<=0.4``.

    References
    ----------
    XMM-Newton SAS, tabgtigen, nodes 3 to 6.

    Examples
    --------
    >>> import tempfile
    >>> command = Command(task="tabgtigen", parameters=(("table", "rate.fits"), ("expression", "RATE<=0.4")))
    >>> tabgtigen(command, Path(tempfile.mkdtemp()))
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: rate.fits: there is no such file: check the path
    """
    full = resolved(command)
    before, after = (_fraction(full, name) for name in ("prefraction", "postfraction"))
    name, block = split_spec(full.parameter("table"))
    path = folder / name
    blocks = scan(path)
    table = as_table(path, _pick(path, blocks, block))
    time, chosen = _rows(full, EventFile(blocks, table), folder)
    width = table.block.header.get("TIMEDEL")
    width = float(width) if isinstance(width, int | float) and not isinstance(width, bool) and width > 0 else None
    pairs = intervals_of_rows(time, chosen, width, before=before, after=after)
    shortest = float(full.parameter("mingtisize"))
    kept, lost = split_short(pairs, shortest)
    cards: list[Card] = [
        ("MINGTISZ", shortest, "[s] minimum allowed GTI length"),
        ("SUMSHORT", lost, "[s] sum of all GTIs shorter than MINGTISZ"),
    ]
    if not len(kept):
        warn("noGoodTime", f"{full.parameter('expression')!r} leaves no good time: the table has no rows")
    _write(full, folder / full.parameter("gtiset"), tuple(map(tuple, kept.tolist())), cards)


def _fraction(command: Command, name: str) -> float:
    value = float(command.parameter(name))
    if not -1 <= value <= 1:
        raise CommandFailed(command.argv, f"{name} must be -1 to 1, got {value}")
    return value


def _pick(path: Path, blocks: tuple[Block, ...], wanted: str) -> Block:
    """Return the table that is named, by its name or number, or else the first."""
    tables = [b for b in blocks[1:] if str(b.header.get("XTENSION", "")).strip() == "BINTABLE"]
    if wanted.isdigit() and 1 <= int(wanted) < len(blocks):
        return blocks[int(wanted)]
    found = [b for b in tables if b.name.upper() == wanted.upper()] if wanted else tables
    if not found:
        names = ", ".join(b.name or "unnamed" for b in tables) or "no table"
        raise InvalidFile(path.name, f"no table {wanted!r} in it, but {names}")
    return found[0]


def _rows(command: Command, file: EventFile, folder: Path) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the time of each row, and which rows are chosen."""
    table, column = file.table, command.parameter("timecolumn")
    spec = table.columns.get(column)
    if spec is None or not spec.is_number:
        known = ", ".join(table.columns)
        raise InvalidFile(table.path.name, f"{table.block.name} has no column {column!r} of numbers; it has {known}")
    tree = parse(expand_macros(command.parameter("expression"), lookup(file)))
    resolve = file_resolver(folder, table.path.name)
    times, chosen = [np.empty(0)], [np.empty(0, dtype=bool)]
    wanted, unknown = set(columns(tree)) & set(table.columns), 0
    for chunk in chunks(table):
        values = {name: chunk.column(name) for name in wanted}
        if wanted != set(columns(tree)):
            values = {name: chunk.column(name) for name in table.columns}  # so that the error can name them all
        chosen.append(evaluate(tree, values, rows=len(chunk), first_row=chunk.first_row, resolve=resolve))
        times.append(np.asarray(chunk.column(column), dtype=np.float64))
        unknown += sum(int(np.count_nonzero(chosen[-1] & np.isnan(v))) for v in values.values() if v.dtype.kind == "f")
    if unknown:
        text = command.parameter("expression")
        warn("notANumber", f"{text!r} calls {unknown} rows good that hold no number (NaN) there: add && RATE>=0 or so")
    time = np.concatenate(times)
    if time.size and not (np.all(np.isfinite(time)) and np.all(np.diff(time) >= 0)):
        raise InvalidFile(table.path.name, f"column {column} of {table.block.name} must hold rising, finite times")
    return time, np.concatenate(chosen)


def _write(command: Command, path: Path, intervals: Intervals, cards: list[Card]) -> None:
    with publish(path) as temporary:
        temporary.write_bytes(gti_primary(command) + gti_block("STDGTI", None, intervals, cards))


def gti_primary(command: Command) -> bytes:
    """Return the primary block of a table of good time that a command makes."""
    primary = fits.Header()
    for card in (
        ("SIMPLE", True, "file does conform to FITS standard"),
        ("BITPIX", 8, "number of bits per data pixel"),
        ("NAXIS", 0, "number of data axes"),
        ("EXTEND", True, "FITS dataset may contain extensions"),
        ("XPROC0", to_card(command, version=f"(xphotfn {RULES})"), ""),
        ("CREATOR", f"{command.task} (xphotfn {RULES})", "name of code"),
        ("LONGSTRN", "OGIP 1.0", ""),
    ):
        primary.append(card, end=True)
    return table_bytes(primary, b"")


def gtibuild(command: Command, folder: Path) -> None:
    """Execute a gtibuild command in ``folder``: a text file of intervals becomes a table.

    Parameters
    ----------
    command
        ``file`` and ``table``.
    folder
        Holds the text; the table is made here.

    Raises
    ------
    InvalidFile
        If the text is missing or a line cannot be understood; the message holds the line.

    Notes
    -----
    Lines are ``start stop`` in s since 1998 (TT), with an optional ``+`` (good, as without) or ``-`` (bad: cut from
    what the lines before have made good). A stop of 0 is no end; a bad interval must then end it. ``timeref
    yyyy-mm-ddThh:mm:ss`` (UTC) makes the lines that follow relative to that time. ``+g 10 20`` moves the two ends
    outwards by 10 and 20 s, ``+b`` inwards. What stands behind ``#`` or ``!`` is a comment.

    References
    ----------
    XMM-Newton SAS, gtibuild, node 6.

    Examples
    --------
    >>> import tempfile
    >>> command = Command(task="gtibuild", parameters=(("file", "a.txt"), ("table", "g.fits")))
    >>> gtibuild(command, Path(tempfile.mkdtemp()))
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: a.txt: the file is not there
    """
    full = resolved(command)
    name = full.parameter("file")
    try:
        lines = (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError as error:
        raise InvalidFile(name, "the file is not there") from error
    except OSError as error:
        raise InvalidFile(name, f"it cannot be read: {error.strerror or error}") from error
    found = good_times(())
    reference = 0.0
    for number, line in enumerate(lines, start=1):
        words = re.split(r"[#!]", line)[0].replace(",", " ").split()
        if not words:
            continue
        if words[0].lower() == "timeref":
            reference = _reference(name, number, words)
            continue
        start, stop, good = _interval(name, number, words)
        one = good_times(((start + reference, stop + reference),))
        found = found | one if good else found & ~one
    if not math.isfinite(found.seconds):
        raise InvalidFile(name, "its good time has no end: give a stop, or end it with a bad interval")
    _write(full, folder / full.parameter("table"), found.intervals, [])


def _interval(name: str, number: int, words: list[str]) -> tuple[float, float, bool]:
    """Return start, stop and whether the time is good."""
    sign = _SIGN.fullmatch(words[2]) if len(words) > 2 else _SIGN.fullmatch("+")
    try:
        start, stop = float(words[0]), float(words[1])
        before, after = (float(words[3]), float(words[4])) if sign and sign[2] else (0.0, 0.0)
    except (ValueError, IndexError):
        sign = None
    if sign is None:
        raise InvalidFile(name, f"line {number} is not 'start stop [+|-]' but {' '.join(words)!r}")
    stop = math.inf if stop == 0 else stop
    if sign[2] == "b":
        before, after = -before, -after
    start, stop = start - before, stop + after
    if math.isnan(start) or math.isnan(stop) or math.isinf(start) or stop < start:
        raise InvalidFile(name, f"line {number} must run upwards in time, got {start} to {stop}")
    return start, stop, sign[1] == "+"


def _reference(name: str, number: int, words: list[str]) -> float:
    """Return the seconds since 1998 (TT) of a UTC time."""
    from astropy.time import Time

    try:
        when = Time(words[1], scale="utc")
    except (IndexError, ValueError):
        raise InvalidFile(name, f"line {number}: timeref takes yyyy-mm-ddThh:mm:ss, got {words[1:]}") from None
    return float((when.tt - Time("1998-01-01T00:00:00", scale="tt")).sec)
