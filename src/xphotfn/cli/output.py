"""What commands print and write: tables for people, plain ones for pipes, JSON for programs, notes on stderr."""

import json
import math
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

__all__ = ("NO_PROGRESS", "QUIET", "as_table", "check_inputs", "check_output", "print_json", "print_rows", "printable",
           "refuse_member", "say", "show", "tell", "tell_written", "wants_progress", "write_table")  # fmt: skip

QUIET, NO_PROGRESS = "xphotfn.quiet", "xphotfn.no_progress"
_SAID = "xphotfn.said"
_POSITIONS = ("ra", "dec")

Row = Mapping[str, Any]


def _is_set(name: str) -> bool:
    return bool(click.get_current_context().meta.get(name))


def printable(text: str) -> str:
    r"""Return a text whose control characters, and bytes that are no text, are written out: names may hold some.

    Examples
    --------
    >>> print(printable("NGC 1\x1b[2J"))
    NGC 1\x1b[2J
    """
    return "".join(repr(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" else c for c in text)


def say(text: str, context: click.Context | None = None) -> None:
    """Print a line for people on stderr, once, unless they want quiet; other threads have no context of their own."""
    meta = (context or click.get_current_context()).meta
    said = meta.setdefault(_SAID, set())
    if not meta.get(QUIET) and text not in said:
        click.echo(printable(text), err=True)
    said.add(text)


def wants_progress() -> bool:
    """Whether bars may be shown; they appear on a terminal only."""
    return not (_is_set(QUIET) or _is_set(NO_PROGRESS))


def tell(text: str) -> None:
    """Print a line of a command's answer."""
    click.echo(printable(text))


def tell_written(text: str, *, as_json: bool) -> None:
    """Print what was written: the answer of a command, or beside JSON a line for people on stderr."""
    if as_json:
        say(text)
    else:
        tell(text)


def print_json(value: Any) -> None:
    """Print JSON; what is no number there (NaN, infinity) is null."""
    click.echo(json.dumps(_plain(value), indent=1))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def show(rows: Sequence[Row], *, as_json: bool = False, output: Path | None = None, overwrite: bool = False) -> None:
    """Print rows as a table or as JSON, or write them to a file, beside which JSON is printed where it is asked for."""
    if output is not None:
        write_table(as_table(rows), output, overwrite=overwrite)
        tell_written(f"{output}: {len(rows)} rows", as_json=as_json)
    if as_json:
        print_json(rows)
    elif output is None and rows:
        print_rows(tuple(rows[0]), [[_shown(n, v) for n, v in row.items()] for row in rows])


def _shown(name: str, value: Any) -> str:
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "nan"
    if isinstance(value, float):
        return f"{value:.6f}" if name in _POSITIONS else f"{value:.6g}"
    return str(value)


def print_rows(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print an aligned table on a terminal, and tab-separated values when piped."""
    cells = [list(names), *([printable(" ".join(str(c).split())) for c in row] for row in rows)]
    if not _on_terminal():
        for row in cells:
            click.echo("\t".join(row))
        return
    cells, told = _narrowed(cells)
    for line in told:
        click.echo(line)
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for number, row in enumerate(cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(line if number else click.style(line, bold=True))


def _narrowed(cells: list[list[str]]) -> tuple[list[list[str]], list[str]]:
    """Return a table that fits the terminal: what is the same in all its rows stands before it, in lines of its own."""
    width = shutil.get_terminal_size().columns
    columns = list(zip(*cells, strict=True))
    if len(cells) < 3 or sum(2 + max(map(len, column)) for column in columns) - 2 <= width:
        return cells, []
    same = [column for column in columns if len(set(column[1:])) == 1]
    others = [column for column in columns if len(set(column[1:])) > 1]
    told = ", ".join(f"{name} {value}" for name, value, *_ in same if value)
    rows = [list(row) for row in zip(*others, strict=True)]
    return (rows, textwrap.wrap(told, width)) if rows else (cells, [])


def _on_terminal() -> bool:
    return sys.stdout.isatty()


def as_table(rows: Sequence[Row]) -> Any:
    """Return rows as an astropy Table; what is missing is NaN in columns of numbers, and empty text elsewhere."""
    from astropy.table import Table

    return Table({name: _column([row[name] for row in rows]) for name in (rows[0] if rows else ())})


def _column(values: list[Any]) -> list[Any]:
    numbers = all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values)
    if None not in values:
        return values
    return [(math.nan if numbers else "") if v is None else v for v in values]


def check_output(path: Path | None, *, overwrite: bool) -> None:
    """Refuse a table that could not be written, before the work is done."""
    from xphotfn.io.file_kinds import FITS_TABLE, kind_of_name
    from xphotfn.io.table_files import table_format
    from xphotfn.io.write import check_free, check_writable

    if path is not None:
        table_format(path)
        check_free(path, overwrite=overwrite, kind=FITS_TABLE if kind_of_name(path) == "FITS" else "")
        check_writable(path)


def check_inputs(given: Mapping[str, Any]) -> None:
    """Refuse an output that is a file which the other options and arguments of the command name, however spelled."""
    output = given.get("output")
    if not isinstance(output, Path) or not output.is_file():
        return
    from xphotfn.io.write import refuse_inputs

    named = list(_files_named([value for name, value in given.items() if name != "output"]))
    refuse_inputs(output, named)
    for folder in named:
        refuse_member(output, Path(folder))


def refuse_member(path: Path, folder: Path) -> None:
    """Refuse an output that is an image, a region file or whatever else is found in a folder or store that is read.

    A list of sources that xphotfn wrote there may be replaced.
    """
    from xphotfn.errors import InvalidFile
    from xphotfn.io.beside import found_file
    from xphotfn.io.layout import Hint
    from xphotfn.io.own_lists import is_own_file
    from xphotfn.io.recognise import recognise
    from xphotfn.io.tree import TreeFile

    try:
        if not (path.is_file() and folder.is_dir() and path.resolve().is_relative_to(folder.resolve())):
            return
    except (OSError, ValueError):  # no name of a file
        return
    kind = recognise(TreeFile(path.name, found_file(path)), Hint()).kind.replace("_", " ")
    if kind and not (kind == "regions" and is_own_file(path)):
        why = f"is among what is found in {folder} ({kind}) and so is never replaced: give another name or folder"
        raise InvalidFile(str(path), why)


def _files_named(value: Any) -> Iterator[str]:
    """Yield what may be a file in values of options: a path, KEY=PATH, or one in an expression such as gti(a,TIME)."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _files_named(item)
    elif isinstance(value, str | Path):
        yield str(value)
        yield from (part.strip() for part in re.split(r"[=,:()'\"\s]", str(value)) if part)


def write_table(table: Any, path: Path, *, overwrite: bool = False) -> None:
    """Write a table, whole or not at all; the ending says in which format."""
    from xphotfn.io.table_files import write_table as write

    write(table, path, overwrite=overwrite)
