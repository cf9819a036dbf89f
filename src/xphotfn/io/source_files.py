"""Our own lists of sources as files: a FITS file that gives the list back whole, tables for others, DS9 regions."""

import functools
import json
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from xphotfn.io.own_lists import MAPS, OBJECTS, SETTINGS
from xphotfn.io.region_export import Marked, write_marked
from xphotfn.io.table_files import table_format, write_table
from xphotfn.io.write import publish
from xphotfn.records.band import Band
from xphotfn.records.fields import of_kind
from xphotfn.records.source import DetectedObject, SearchedMap, SourceFlag
from xphotfn.records.source_list import SourceList
from xphotfn.science.source_regions import source_regions

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ("write_source_list",)

_LISTED = ("sources", "objects", "maps", "within")


def write_source_list(sources: SourceList, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a list of sources, whole or not at all.

    Parameters
    ----------
    sources
        The list.
    path
        ``.fits``, ``.fits.gz``: the tables SRCLIST, MAPS and OBJECTS, of which :func:`read_source_list` makes the same
        list again; ``.ecsv``, ``.vot``, ``.xml`` (VOTable) and, with the extra ``parquet``, ``.parquet``:
        :meth:`SourceList.table` with the maps and objects in its head, of which the same list is made again; ``.csv``:
        the table alone, which says nothing of maps and objects; ``.reg``: :func:`source_regions` for DS9,
        with flags as tags.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidFile
        If the file exists already (without ``overwrite``), cannot be written, or ends otherwise.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.io.source_lists import read_source_list
    >>> from xphotfn.testing.examples import example_source_list
    >>> path = write_source_list(example_source_list(), Path(tempfile.mkdtemp(), "sources.fits"))
    >>> read_source_list(path) == example_source_list()
    True
    """
    of_kind(sources, SourceList, "detect_sources(...) or read_source_list(...)")
    file = Path(path)
    if file.name.lower().endswith(".reg"):
        return write_marked(_with_flags(sources), file, overwrite=overwrite)
    kind = table_format(file, ".reg")
    if kind not in ("fits", "votable"):
        return write_table(_whole_table(sources), file, overwrite=overwrite)
    with publish(file, overwrite=overwrite) as temporary:
        if kind == "fits":
            _hdus(sources).writeto(temporary, overwrite=True)
        else:
            _votable(_whole_table(sources)).to_xml(str(temporary))
    return file


def _with_flags(sources: SourceList) -> list[Marked]:
    """Return the regions of a list, each with the flags of its source, or of the pieces of its object, as tags."""
    flags = {source.number: source.flags for source in sources}
    of_objects = {
        f"object {item.number}": functools.reduce(operator.or_, (flags[n] for n in item.sources), 0)
        for item in sources.objects
    }
    regions = source_regions(sources)
    held = [of_objects[r.name] if r.shape == "ellipse" else flags[r.line] for r in regions]
    return [
        Marked(r, tags=tuple(str(f.name) for f in SourceFlag if f & bits))
        for r, bits in zip(regions, held, strict=True)
    ]


def _whole_table(sources: SourceList) -> "Table":
    """Return a list as a table with all of it: settings, maps and objects as texts of its ``meta``."""
    listed = sources.table()
    listed.meta |= {
        SETTINGS: _settings(sources),
        MAPS: json.dumps([_cells(searched) for searched in sources.maps]),
        OBJECTS: json.dumps([_cells(item) for item in sources.objects]),
    }
    return listed


def _votable(table: "Table") -> Any:
    """Return a VOTable that has what stands in the ``meta`` of a table as its parameters."""
    from astropy.io.votable import from_table
    from astropy.io.votable.tree import Param

    made = from_table(table)
    for name, value in table.meta.items():
        text = str(_card_value(value))
        made.get_first_table().params.append(Param(made, name=name, datatype="char", arraysize="*", value=text))
    return made


def _hdus(sources: SourceList) -> Any:
    from astropy.io import fits

    listed = sources.table()
    listed.meta = {name: _card_value(value) for name, value in listed.meta.items()}
    table = fits.table_to_hdu(listed)
    table.header[SETTINGS] = _settings(sources)
    tables = [_table(sources.maps, SearchedMap, MAPS), _table(sources.objects, DetectedObject, OBJECTS)]
    return fits.HDUList([fits.PrimaryHDU(), table, *(fits.table_to_hdu(t) for t in tables)])


def _card_value(value: Any) -> Any:
    """Return a value as a card holds it: texts in printable ASCII, with a question mark for all else."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in value) if isinstance(value, str) else value


def _settings(sources: SourceList) -> str:
    names = [item.name for item in attrs.fields(SourceList) if item.name not in _LISTED]
    within = None if sources.within is None else attrs.asdict(sources.within)
    return json.dumps({**{name: getattr(sources, name) for name in names}, "within": within})


def _table(records: Sequence[Any], kind: type, name: str) -> "Table":
    """Return records as a table: a column for each field; a band as two, numbers as a text."""
    from astropy.table import Table

    rows = [_cells(record) for record in records]
    names = list(rows[0]) if rows else []
    table = Table({n: _values([row[n] for row in rows]) for n in names}, meta={"EXTNAME": name})
    return table if rows else Table({"EMPTY": np.zeros(0)}, meta={"EXTNAME": name, "RECORD": kind.__name__})


def _cells(record: Any) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for item in attrs.fields(type(record)):
        value = getattr(record, item.name)
        match value:
            case Band():
                cells |= {"LO_EV": value.lo_ev, "HI_EV": value.hi_ev}
            case tuple():
                cells[item.name.upper()] = " ".join(map(str, value))
            case None:
                cells[item.name.upper()] = None
            case _:
                cells[item.name.upper()] = value
    return cells


def _values(column: list[Any]) -> Any:
    """Return a column as an array; what is not known is NaN."""
    if isinstance(column[0], str):
        return np.array(column, dtype=f"U{max([1, *map(len, column)])}")
    return np.array([np.nan if value is None else value for value in column])
