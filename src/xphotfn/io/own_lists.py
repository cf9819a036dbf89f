"""Our own lists of sources, read back from the files in which :func:`write_source_list` puts all that they hold."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import numpy as np

from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.io.blocks import UNREADABLE
from xphotfn.io.column_units import column_factor
from xphotfn.io.fits import open_checked, read_headers
from xphotfn.records.band import Band
from xphotfn.records.fields import plain_number, whole
from xphotfn.records.region import Region
from xphotfn.records.source import DetectedObject, DetectedSource, MapRate, SearchedMap
from xphotfn.records.source_list import MAP_FIELDS, SOURCE_FIELDS, SourceList, map_prefixes, source_columns

__all__ = ("LIST", "MAPS", "OBJECTS", "SETTINGS", "is_own_file", "own_of_table", "read_own")

LIST, MAPS, OBJECTS = "SRCLIST", "MAPS", "OBJECTS"
SETTINGS = "SETTINGS"
"""Card with what is neither a source, a map nor an object, as JSON."""
_FIRST_LINE, _LINE = b"# Region file format: DS9", 80
_MAY_LACK = ("TIED_ML",)  # which lists of before have not
_KNOWN_BY = "EXP"  # a map says something of a source where it says its exposure, be it 0
_SURE: tuple[Any, ...] = (plain_number, whole)  # converters of the fields of records that must be known


class _Own(NamedTuple):
    """The rows that a file holds, by the names of the columns, and their units."""

    path: str
    columns: Mapping[str, Any]
    units: Mapping[str, str]


_Rows = Sequence[Mapping[str, Any]]


def read_own(path: Path) -> SourceList | None:
    """Return the list of a FITS file that :func:`write_source_list` wrote; None of any other FITS file."""
    with open_checked(path) as hdus:
        try:
            names = {hdu.name: hdu for hdu in hdus}
            if not {LIST, MAPS, OBJECTS} <= set(names) or SETTINGS not in names[LIST].header:
                return None
            listed = names[LIST]
            columns = (
                {} if listed.data is None else {name: np.array(listed.data[name]) for name in listed.columns.names}
            )
            units = {column.name: str(column.unit or "") for column in listed.columns}
            settings = json.loads(listed.header[SETTINGS])
            maps, objects = (list(_rows(names[name])) for name in (MAPS, OBJECTS))
            return _list_of(_Own(str(path), columns, units), settings, maps, objects)
        except InvalidFile:
            raise
        except UNREADABLE as error:
            raise _damaged(str(path), str(error)) from error


def is_own_file(path: Path) -> bool:
    """Whether a FITS file or region file is one that xphotfn wrote: DS9 and others name a version in the first line."""
    if path.suffix.lower() == ".reg":
        with path.open("rb") as stream:
            return stream.readline(_LINE).rstrip() == _FIRST_LINE
    try:
        return any(SETTINGS in header for header in read_headers(str(path), complete=True))
    except InvalidFile:
        return False


def own_of_table(path: Path, table: Any, said: Mapping[str, Any]) -> SourceList | None:
    """Return the list of an astropy Table, and of what its file says besides; None where that is not all of a list."""
    if not {SETTINGS, MAPS, OBJECTS} <= set(said):
        return None
    try:
        columns = {name: np.ma.asarray(table[name]) for name in table.colnames}
        units = {name: str(getattr(table[name], "unit", None) or "") for name in table.colnames}
        settings, maps, objects = (json.loads(said[name]) for name in (SETTINGS, MAPS, OBJECTS))
        return _list_of(_Own(str(path), columns, units), settings, maps, objects)
    except InvalidFile:
        raise
    except UNREADABLE as error:
        raise _damaged(str(path), str(error)) from error


def _damaged(path: str, why: str) -> InvalidFile:
    return InvalidFile(path, f"is a damaged list of sources ({why}): get it, or detect, again")


def _list_of(own: _Own, settings: Mapping[str, Any], of_maps: _Rows, of_objects: _Rows) -> SourceList:
    within = settings["within"]
    maps = [_map(dict(row)) for row in of_maps]
    sources = list(_sources(own, maps, settings.get("exposure_unit", "s")))
    there = {source.number for source in sources}
    objects = [_object(dict(row), there) for row in of_objects]
    return SourceList(
        sources=sources,
        objects=[item for item in objects if item.sources],  # one whose rows were all taken out is out too
        maps=maps,
        within=None if within is None else Region(**within),
        **{name: value for name, value in settings.items() if name != "within"},
    )


def _sources(own: _Own, maps: Sequence[SearchedMap], exposure_unit: str) -> Iterator[DetectedSource]:
    """Yield the sources; what a row lacks is told by its number, from 1, and its column."""
    prefixes = map_prefixes(maps)
    empty = SourceList(sources=(), maps=maps, exposure_unit=exposure_unit)
    units = {name: column.unit for name, column in source_columns(empty).items()}
    wanted = {name: (units[name], _may_be_unknown(DetectedSource, field)) for name, field in SOURCE_FIELDS.items()}
    of_maps = {f"{prefix}_{name}": (units[f"{prefix}_{name}"], True) for prefix in prefixes for name in MAP_FIELDS}
    lacking = [name for name in (*wanted, *of_maps, "FLAG") if name not in own.columns and name not in _MAY_LACK]
    if lacking and own.columns:
        raise _damaged(own.path, f"column {', '.join(lacking)} is missing")
    cells = {
        name: _cells(own, name, unit, unknown=unknown)
        for name, (unit, unknown) in {**wanted, **of_maps, "FLAG": ("", False)}.items()
        if name in own.columns
    }
    names = [_plain(text) or "" for text in np.ma.filled(np.ma.asarray(own.columns.get("IAUNAME", [])), "").tolist()]
    for row in range(len(cells.get("RA", ()))):
        said = {name: column[row] for name, column in cells.items()}
        name = names[row] if names else ""
        try:
            yield _source(own.path, row + 1, {"TIED_ML": None, **said}, prefixes, name)
        except InvalidRecord as error:
            raise _damaged(own.path, f"row {row + 1}: {error}") from error


def _may_be_unknown(kind: type, field: str) -> bool:
    return attrs.fields_dict(kind)[field].converter not in _SURE


def _cells(own: _Own, name: str, unit: str, *, unknown: bool) -> list[Any]:
    """Return a column as numbers in a unit, None where a number is not known."""
    column = np.ma.asarray(own.columns[name])
    if column.ndim != 1 or column.dtype.kind not in "iuf":
        raise _damaged(own.path, f"column {name} must hold one number in a row")
    factor = column_factor(own.path, name, own.units.get(name, ""), unit)
    empty = np.ma.getmaskarray(column) | ~np.isfinite(np.ma.getdata(column).astype(np.float64))
    if empty.any() and not unknown:
        raise _damaged(own.path, f"row {int(np.argmax(empty)) + 1}, column {name} holds no number")
    numbers = np.ma.getdata(column).tolist()
    kept = column.dtype.kind in "iu" and factor == 1  # as whole numbers
    return [
        None if gone else number if kept else number * factor
        for number, gone in zip(numbers, empty.tolist(), strict=True)
    ]


def _source(path: str, row: int, said: Mapping[str, Any], prefixes: Sequence[str], name: str) -> DetectedSource:
    values = {field: said[column] for column, field in SOURCE_FIELDS.items()}
    for field in ("x", "y"):
        values[field] = None if values[field] is None else values[field] - 1
    known = [prefix for prefix in prefixes if said[f"{prefix}_{_KNOWN_BY}"] is not None]
    if known and len(known) < len(prefixes):
        lost = next(prefix for prefix in prefixes if prefix not in known)
        raise _damaged(path, f"row {row}, column {lost}_{_KNOWN_BY} holds no number, those of other maps do")
    return DetectedSource(**values, flags=said["FLAG"], name=name, rates=[_rate(path, row, said, p) for p in known])


def _rate(path: str, row: int, said: Mapping[str, Any], prefix: str) -> MapRate:
    values = {field: said[f"{prefix}_{name}"] for name, field in MAP_FIELDS.items()}
    for name, field in MAP_FIELDS.items():
        if values[field] is None and not _may_be_unknown(MapRate, field):
            raise _damaged(path, f"row {row}, column {prefix}_{name} holds no number")
    return MapRate(**values)


def _rows(hdu: Any) -> Iterator[dict[str, Any]]:
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


def _object(row: dict[str, Any], there: set[int]) -> DetectedObject:
    """Return an object with those of its sources that are in the list: rows may have been taken out."""
    numbers = [int(number) for number in row["SOURCES"].split()]
    row["SOURCES"] = [number for number in numbers if number in there]
    return DetectedObject(**{name.lower(): value for name, value in row.items()})
