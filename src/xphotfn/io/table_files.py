"""Tables as people have them in files: with commas, semicolons or tabs, with comments, from a spreadsheet, VOTable."""

import re
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from xphotfn.errors import InvalidFile
from xphotfn.io.bounded import MOST_TEXT, read_bounded
from xphotfn.io.cards import ascii_text, text_of_ascii
from xphotfn.io.write import publish

__all__ = ("TABLE_FORMATS", "LargeText", "read_table", "spreadsheet_cell", "table_format", "write_table")

TABLE_FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".fit": "fits", ".fits.gz": "fits",
                 ".vot": "votable", ".votable": "votable", ".xml": "votable", ".parquet": "parquet"}  # fmt: skip
_TEXTS = (".csv", ".txt", ".tsv", ".dat")
_DELIMITERS = (";", "\t", ",")  # in this order: a semicolon is no part of a name, and leaves the comma for decimals
_LONGEST_KEYWORD = 8  # of FITS
_BINARY = ("fits", "parquet")
_MANY_ROWS = 100_000  # a text of so many takes seconds
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet takes a text for a formula
_ANGLE = re.compile(r"[-+][\d.:\s]+(?:[eE][-+]?\d+)?")  # or a number, which is no formula
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")


class LargeText(UserWarning):
    """A warning: a table of many rows is written as text, which takes ten times as long as FITS or Parquet.

    Attributes
    ----------
    path : str
        The file.
    rows : int
        How many rows it gets.
    """

    def __init__(self, path: str, rows: int) -> None:
        super().__init__(path, rows)
        self.path, self.rows = path, rows

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.rows} rows as text take ten times as long as FITS or Parquet, to write and to read: a "
            "name that ends with .fits or .parquet says so"
        )


def table_format(path: Path, *also: str) -> str:
    """Return astropy's name of the format in which a table is written, from the ending of its name; else InvalidFile.

    The message also names the endings ``also``, which the caller takes.

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


def read_table(path: Path, *, empty: bool = False) -> Any:
    """Return the table of a file as an astropy Table.

    Parameters
    ----------
    path
        FITS, ECSV, VOTable or Parquet by the ending of its name, or a text (``.csv``, ``.txt``, ``.tsv``, ``.dat``)
        whose first line names the columns.
    empty
        Whether it may have no row.

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

    if not path.exists():
        raise InvalidFile(str(path), "there is no such file: check the path")
    if not path.is_file():
        raise InvalidFile(str(path), "is a folder, a device or a pipe: give the path of a file")
    _require_reader(path)
    is_text = path.name.lower().endswith(_TEXTS)
    kind = "a table of text" if is_text else table_format(path, *_TEXTS[1:])
    try:
        table = (
            _unguarded(_text_table(read_bounded(path, most=MOST_TEXT))) if is_text else Table.read(path, format=kind)
        )
        table.convert_bytestring_to_unicode()
        if kind == TABLE_FORMATS[".fits"]:
            table = _with_texts(table, text_of_ascii)
    except InvalidFile:
        raise
    except Exception as error:  # each reader of astropy has its own errors
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InvalidFile(str(path), f"cannot be read as {kind} ({reason[0]})") from error
    if not (empty or len(table)):
        raise InvalidFile(str(path), "holds no row: give a table of at least one")
    return table


def _require_reader(path: Path) -> None:
    if path.name.lower().endswith(".parquet") and find_spec("pyarrow") is None:
        raise InvalidFile(str(path), 'Parquet needs pyarrow: pip install "xphotfn[parquet]", or use FITS')


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


def spreadsheet_cell(text: str) -> str:
    """Return a text as it stands in a CSV file: one that a spreadsheet would run as a formula gets an apostrophe.

    Examples
    --------
    >>> [spreadsheet_cell(text) for text in ("=1+1", "A907", "-11:03:35")]
    ["'=1+1", 'A907', '-11:03:35']
    """
    return f"'{text}" if text.startswith(_FORMULA) and not _ANGLE.fullmatch(text) else text


def _unguarded(table: Any) -> Any:
    """Return a table whose texts have lost the apostrophe of :func:`spreadsheet_cell`."""
    for name in table.colnames:
        column = table[name]
        for row in range(len(column)) if column.dtype.kind == "U" else ():
            text = column[row]
            if isinstance(text, str) and text[:1] == "'" and spreadsheet_cell(text[1:]) == text:
                column[row] = text[1:]
    return table


def write_table(table: Any, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write an astropy Table, whole or not at all; the ending of the name says in which format.

    Parameters
    ----------
    table
        The table.
    path
        The file: ``.csv``, ``.ecsv``, ``.fits``, ``.vot`` or, with the extra ``parquet``, ``.parquet``. Of 100,000 rows
        or more a text is written with a warning, :class:`LargeText`: use FITS or Parquet.
    overwrite
        Replace an existing file of the same kind.

    Raises
    ------
    InvalidFile
        If the ending is unknown, the file exists already, or it cannot be written.

    Notes
    -----
    In CSV, texts that start with ``=``, ``+``, ``-`` or ``@`` have an apostrophe before them, since spreadsheets run
    them as formulas; :func:`read_table` takes it off again. FITS knows ASCII only: other letters are written as
    Python's escapes, of which :func:`read_table` makes the letters again.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.table import Table
    >>> path = write_table(Table({"name": ["=1+1"]}), Path(tempfile.mkdtemp(), "sample.csv"))
    >>> path.read_text().split(), read_table(path)["name"][0]
    (['name', "'=1+1"], np.str_('=1+1'))
    """
    kind = table_format(Path(path))
    _require_reader(Path(path))
    if kind not in _BINARY and len(table) >= _MANY_ROWS:
        warnings.warn(LargeText(str(path), len(table)), stacklevel=2)
    guarded = _CHANGED.get(kind, lambda same: same)(table)
    with publish(path, overwrite=overwrite) as temporary:
        guarded.write(temporary, format=kind, overwrite=True)
    return Path(path)


def _guarded(table: Any) -> Any:
    found = table.copy()
    for name in table.colnames:
        if getattr(table[name], "dtype", None) is not None and table[name].dtype.kind in "UO":
            found[name] = [spreadsheet_cell(v) if isinstance(v, str) else v for v in table[name]]
        if spreadsheet_cell(name) != name:
            found.rename_column(name, spreadsheet_cell(name))
    return found


def _with_texts(table: Any, change: Callable[[str], str]) -> Any:
    """Return a table whose cells of text are changed."""
    found = table.copy()
    for name in table.colnames:
        column = table[name]
        if getattr(column, "dtype", None) is not None and column.dtype.kind == "U":
            texts = [change(v) if isinstance(v, str) else "" for v in column]  # a masked cell is none
            held = np.ma.masked_array(texts, column.mask) if hasattr(column, "mask") else texts
            found[name] = type(column)(held, description=column.description)
    return found


def _fit_for_fits(table: Any) -> Any:
    """Return a table as FITS can hold it: texts in ASCII, meta data as plain values, long names by HIERARCH."""
    found = _with_texts(table, ascii_text)
    found.meta = {
        name if len(name) <= _LONGEST_KEYWORD else f"HIERARCH {name}": ascii_text(value)
        if isinstance(value, str)
        else value
        for name, value in table.meta.items()
        if isinstance(value, str | int | float | bool)
    }
    return found


_CHANGED = {TABLE_FORMATS[".csv"]: _guarded, TABLE_FORMATS[".fits"]: _fit_for_fits}
"""What has to be changed of a table before it is written in a format."""
