"""Our own lists of sources as files: a FITS file that gives the list back whole, tables for others, DS9 regions."""

import functools
import json
import math
import operator
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from xphotfn.errors import InvalidFile
from xphotfn.io.blocks import UNREADABLE
from xphotfn.io.fits import open_checked
from xphotfn.io.region_export import Marked, write_marked
from xphotfn.io.table_files import table_format, write_table
from xphotfn.io.write import publish
from xphotfn.records.band import Band
from xphotfn.records.fields import of_kind
from xphotfn.records.region import Region
from xphotfn.records.source import DetectedObject, DetectedSource, MapRate, SearchedMap, SourceFlag
from xphotfn.records.source_list import MAP_FIELDS, SOURCE_FIELDS, SourceList, map_prefixes
from xphotfn.science.source_regions import source_regions

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ("read_own", "write_source_list")

_LIST, _MAPS, _OBJECTS = "SRCLIST", "MAPS", "OBJECTS"
_SETTINGS = "SETTINGS"  # card with what is neither a source, a map nor an object, as JSON
_LISTED = ("sources", "objects", "maps", "within")


def write_source_list(sources: SourceList, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a list of sources, whole or not at all.

    Parameters
    ----------
    sources
        The list.
    path
        ``.fits``, ``.fits.gz``: the tables SRCLIST, MAPS and OBJECTS, of which :func:`read_source_list` makes the same
        list again; ``.ecsv``, ``.csv``, ``.vot``, ``.xml`` (VOTable) and, with the extra ``parquet``, ``.parquet``:
        :meth:`SourceList.table`; ``.reg``: :func:`source_regions` for DS9, with flags as tags.
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
    if kind != "fits":
        return write_table(sources.table(), file, overwrite=overwrite)
    with publish(file, overwrite=overwrite) as temporary:
        _hdus(sources).writeto(temporary, overwrite=True)
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


def read_own(path: Path) -> SourceList | None:
    """Return the list of a FITS file that :func:`write_source_list` wrote; None of any other file."""
    if not path.name.lower().endswith((".fits", ".fit", ".fits.gz", ".ftz")):
        return None
    with open_checked(path) as hdus:
        try:
            names = {hdu.name: hdu for hdu in hdus}
            if not {_LIST, _MAPS, _OBJECTS} <= set(names) or _SETTINGS not in names[_LIST].header:
                return None
            return _list_of(names)
        except UNREADABLE as error:
            raise InvalidFile(str(path), f"is a damaged list of sources ({error}): get it, or detect, again") from error


def _hdus(sources: SourceList) -> Any:
    from astropy.io import fits

    listed = sources.table()
    listed.meta = {name: _card_value(value) for name, value in listed.meta.items()}
    table = fits.table_to_hdu(listed)
    table.header[_SETTINGS] = _settings(sources)
    tables = [_table(sources.maps, SearchedMap, _MAPS), _table(sources.objects, DetectedObject, _OBJECTS)]
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
                cells[item.name.upper()] = np.nan
            case _:
                cells[item.name.upper()] = value
    return cells


def _values(column: list[Any]) -> Any:
    return np.array(column, dtype=f"U{max([1, *map(len, column)])}") if isinstance(column[0], str) else np.array(column)


def _list_of(hdus: dict[str, Any]) -> SourceList:
    settings = json.loads(hdus[_LIST].header[_SETTINGS])
    within = settings.pop("within")
    maps = [_map(row) for row in _rows(hdus[_MAPS])]
    return SourceList(
        sources=[_source(row, maps) for row in _rows(hdus[_LIST])],
        objects=[_object(row) for row in _rows(hdus[_OBJECTS])],
        maps=maps,
        within=None if within is None else Region(**within),
        **settings,
    )


def _rows(hdu: Any) -> Iterable[dict[str, Any]]:
    """Yield the rows of a table by the names of its columns, which are turned into plain values as a whole."""
    data, names = hdu.data, list(hdu.columns.names)
    columns = [] if data is None else [[_plain(value) for value in np.asarray(data[name]).tolist()] for name in names]
    for cells in zip(*columns, strict=True):
        yield dict(zip(names, cells, strict=True))


def _plain(value: Any) -> Any:
    """Return a cell as it is in a record: what is not known is NaN in a table and None there."""
    if isinstance(value, str):
        return value.rstrip()
    return None if isinstance(value, float) and math.isnan(value) else value


def _map(row: dict[str, Any]) -> SearchedMap:
    band = Band(lo_ev=row.pop("LO_EV"), hi_ev=row.pop("HI_EV"))
    return SearchedMap(band=band, **{name.lower(): value for name, value in row.items()})


def _object(row: dict[str, Any]) -> DetectedObject:
    row["SOURCES"] = [int(number) for number in row["SOURCES"].split()]
    return DetectedObject(**{name.lower(): value for name, value in row.items()})


def _source(row: dict[str, Any], maps: Sequence[SearchedMap]) -> DetectedSource:
    row.setdefault("TIED_ML", None)  # lists of before have none
    values = {field: row[name] for name, field in SOURCE_FIELDS.items()}
    for field in ("x", "y"):
        values[field] = None if values[field] is None else values[field] - 1
    rates = [_rate(row, prefix) for prefix in map_prefixes(maps)]
    return DetectedSource(
        **values, flags=row["FLAG"], name=row.get("IAUNAME", ""), rates=[rate for rate in rates if rate is not None]
    )


def _rate(row: dict[str, Any], prefix: str) -> MapRate | None:
    values = {field: row[f"{prefix}_{name}"] for name, field in MAP_FIELDS.items()}
    return None if values["exposure_s"] is None else MapRate(**values)
