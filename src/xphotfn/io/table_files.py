"""Tables as people have them in files: with commas, semicolons or tabs, with comments, from a spreadsheet, VOTable."""

import re
from pathlib import Path
from typing import Any

from xphotfn.errors import InvalidFile
from xphotfn.io.bounded import MOST_TEXT, read_bounded

__all__ = ("TABLE_FORMATS", "read_table", "table_format")

TABLE_FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".fit": "fits", ".fits.gz": "fits",
                 ".vot": "votable", ".votable": "votable", ".xml": "votable"}  # fmt: skip
_TEXTS = (".csv", ".txt", ".tsv", ".dat")
_DELIMITERS = (";", "\t", ",")  # in this order: a semicolon is no part of a name, and leaves the comma for decimals
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")


def table_format(path: Path, *also: str) -> str:
    """Return astropy's name of the format in which a table is written, from the ending of its name.

    Parameters
    ----------
    path
        The file.
    also
        Further endings that the caller takes, for the error message.

    Raises
    ------
    InvalidFile
        If the ending is none of those.

    Examples
    --------
    >>> table_format(Path("sample.vot"))
    'votable'
    """
    name = path.name.lower()
    for ending, kind in TABLE_FORMATS.items():
        if name.endswith(ending):
            return kind
    raise InvalidFile(str(path), f"a table ends with {', '.join((*TABLE_FORMATS, *also))}: give it such a name")


def read_table(path: Path) -> Any:
    """Return the table of a file as an astropy Table.

    Parameters
    ----------
    path
        FITS, ECSV or VOTable by the ending of its name, or a text (``.csv``, ``.txt``, ``.tsv``, ``.dat``) whose first
        line names the columns.

    Raises
    ------
    InvalidFile
        If it is not there, cannot be read, or has no row.

    Notes
    -----
    The line of names says what is between the columns of a text: a semicolon, else a tab, else a comma, else blanks.
    With semicolons, a comma inside a number is the decimal sign. Lines that begin with ``#`` and empty lines are left
    out, as is the byte-order mark of a spreadsheet. A text is UTF-8 or, where it cannot be, Latin-1.
    """
    from astropy.table import Table

    if not path.is_file():
        raise InvalidFile(str(path), "there is no such file: check the path")
    is_text = path.name.lower().endswith(_TEXTS)
    kind = "a table of text" if is_text else table_format(path, *_TEXTS[1:])
    try:
        table = _text_table(read_bounded(path, most=MOST_TEXT)) if is_text else Table.read(path, format=kind)
    except InvalidFile:
        raise
    except Exception as error:  # each reader of astropy has its own errors
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InvalidFile(str(path), f"cannot be read as {kind} ({reason[0]})") from error
    if not len(table):
        raise InvalidFile(str(path), "holds no row: give a table of at least one")
    table.convert_bytestring_to_unicode()
    return table


def _text_table(content: bytes) -> Any:
    from astropy.io import ascii as text_tables

    lines = [line for line in _decoded(content).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError("there is no line of names")
    between = next((d for d in _DELIMITERS if d in lines[0]), r"\s")
    if between == ";":
        lines = [_with_points(line) for line in lines]
    if between == r"\s":
        return text_tables.read(lines, format="basic", guess=False)
    return text_tables.read(lines, format="csv", delimiter=between, guess=False)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _with_points(line: str) -> str:
    cells = line.split(";")
    return ";".join(cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells)
