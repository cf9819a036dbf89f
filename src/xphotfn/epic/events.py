"""Event lists as they lie in FITS files: headers and places of all blocks, and the table in chunks.

Only the rows of one chunk are in memory, whatever the length of the list. Files may be plain or gzipped (.gz,
.FTZ); columns are converted to native byte order when they are asked for, once per chunk.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile
from xphotfn.io.blocks import Unit, check_place, cut_short, open_stream, walk_units
from xphotfn.io.bounded import check_unpacked
from xphotfn.typing import Header

__all__ = (
    "Block",
    "Chunk",
    "ColumnSpec",
    "EventFile",
    "EventTable",
    "as_table",
    "chunks",
    "columns_of",
    "open_events",
    "scan",
    "table_data",
)

_KEPT = 64 * 2**20  # bytes of a block up to which its data are kept while the headers are read
_MOST_CHUNK = 2**28  # bytes of a chunk, whatever a header says of its rows
_MOST_ROW = 2**20  # bytes of a row: those of an EPIC list have some 40
_PIECE = 2**20  # bytes that are unpacked at a time
_ROWS = 2**17  # some 4 MB of an EPIC list, which stay in the cache of a processor
_FORM = re.compile(r"\s*(\d*)([LXBIJKAEDCMPQ])")
_TYPES: Mapping[str, str] = MappingProxyType({"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8"})
_REALS: Mapping[str, str] = MappingProxyType({"E": ">f4", "D": ">f8"})
_BYTES: Mapping[str, int] = MappingProxyType({"A": 1, "C": 8, "M": 16, "P": 8, "Q": 16})
_PRINTABLE = bytes(c if 32 <= c < 127 else ord("?") for c in range(256))  # some lists have accents in names


class Block(NamedTuple):
    """One HDU: header, place in the file and, unless it is large, its data."""

    name: str
    header: Any
    raw_header: bytes
    start: int
    size: int
    data: bytes | None


class ColumnSpec(NamedTuple):
    """One column of a table: its number from 1, place in the row, type and scaling."""

    name: str
    number: int
    offset: int
    form: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    scale: float
    zero: float
    unit: str

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers."""
        return self.form in "BIJK" and self.shape == () and self.scale == 1 and float(self.zero).is_integer()

    @property
    def is_number(self) -> bool:
        """Whether each row holds one number."""
        return self.form in "BIJKED" and self.shape == ()


class EventTable(NamedTuple):
    """A binary table in a file.

    ``unpacked`` is the file that holds the content of a packed one, which lives as long as this; None for a plain file.
    """

    path: Path
    block: Block
    rows: int
    row_bytes: int
    columns: Mapping[str, ColumnSpec]
    unpacked: Any = None

    @property
    def source(self) -> Path:
        """The file to read the rows from."""
        return self.path if self.unpacked is None else Path(self.unpacked.name)


class EventFile(NamedTuple):
    """All blocks of a file and the table of events among them."""

    blocks: tuple[Block, ...]
    table: EventTable


class Chunk:
    """Some rows of a table. Columns are converted when they are first asked for.

    Parameters
    ----------
    table
        The table.
    first_row
        Number of the first row, from 1.
    records
        Array of shape (n, row_bytes), uint8: the rows as they are in the file.
    """

    def __init__(self, table: EventTable, first_row: int, records: NDArray[np.uint8]) -> None:
        self.table = table
        self.first_row = first_row
        self.records = records
        self._known: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.records)

    def column(self, name: str) -> NDArray[Any]:
        """Return one column in native byte order, scaled; shape (n,) or (n, k)."""
        if name not in self._known:
            self._known[name] = _native(self.table.columns[name], self._view(name))
        return self._known[name]

    def offsets(self, name: str, low: int) -> NDArray[Any]:
        """Return ``column - low`` of a column of whole numbers as a new unsigned array; it wraps below ``low``."""
        spec = self.table.columns[name]
        signed, unsigned = (np.int32, np.uint32) if spec.form in "BIJ" and spec.zero == 0 else (np.int64, np.uint64)
        values: NDArray[Any] = self._view(name).astype(signed).view(unsigned)
        values -= unsigned((low - int(spec.zero)) % 2 ** (8 * values.itemsize))
        return values

    def _view(self, name: str) -> NDArray[Any]:
        spec = self.table.columns[name]
        rows, row_bytes = self.records.shape
        if rows == 0:
            return np.empty((0, *spec.shape), spec.dtype)  # there is no buffer to look into
        strides = (row_bytes, spec.dtype.itemsize)[: 1 + len(spec.shape)]
        shape = (rows, *spec.shape)
        view: NDArray[Any] = np.ndarray(
            shape, spec.dtype, buffer=self.records.data, offset=spec.offset, strides=strides
        )
        return view


def _native(spec: ColumnSpec, view: NDArray[Any]) -> NDArray[Any]:
    if spec.form == "L":
        return cast(NDArray[Any], view == ord("T"))
    if spec.form not in "BIJKED":
        return view.copy()
    if spec.scale == 1 and spec.zero == 0:
        return view.astype(view.dtype.newbyteorder("="))
    if spec.is_whole:
        return view.astype(np.int64) + int(spec.zero)
    return view.astype(np.float64) * spec.scale + spec.zero


def content_file(path: Path) -> Any:
    """Return a temporary file with the content of a packed file beside it, which goes with the object; None for others.

    An event list is read twice, headers first: unpacking it twice would take most of the time.
    """
    with open_stream(path, path.name) as (stream, raw):
        if stream is raw:
            return None
        try:
            whole = tempfile.NamedTemporaryFile(dir=path.parent, prefix=".unpacked-")  # noqa: SIM115 - outlives this
        except OSError:  # the folder cannot be written to
            whole = tempfile.NamedTemporaryFile(prefix="xphotfn-")  # noqa: SIM115
        size, packed = 0, path.stat().st_size
        while piece := stream.read(_PIECE):
            size += whole.write(piece)
            check_unpacked(size, packed, path.name)
        whole.flush()
        return whole


def scan(path: Path, source: Path | None = None) -> tuple[Block, ...]:
    """Return all blocks of a FITS file (or of ``source``, its content); the whole file is checked for completeness.

    InvalidFile if it is missing, no FITS file, or cut short.
    """
    with open_stream(path if source is None else source, path.name) as (stream, raw):
        blocks = tuple(_block(unit, stream, path) for unit in walk_units(stream, path.name))
        while stream is not raw and stream.read(_PIECE):  # to the end, so that the checksum of gzip is looked at
            check_unpacked(stream.tell(), path.stat().st_size, path.name)
    return blocks


def _block(unit: Unit, stream: BinaryIO, path: Path) -> Block:
    header = fits.Header.fromstring(unit.header.translate(_PRINTABLE).decode("ascii"))
    try:
        name = str(header.get("EXTNAME", "")).strip()
    except (KeyError, TypeError, ValueError, OverflowError, fits.VerifyError) as error:
        raise InvalidFile(path.name, f"a header cannot be understood: {error}") from error
    check_place(stream, unit.stop, path.name)
    size, data = unit.stop - unit.start, None
    if size <= _KEPT and name.upper() != "EVENTS":
        data = stream.read(size)
        if len(data) < size:
            raise cut_short(path.name, unit.stop)
    return Block(name, header, unit.header, unit.start, size, data)


def open_events(path: Path, block: str = "") -> EventFile:
    """Return the blocks of an event list and its table: by name or number (from 1), empty for ``EVENTS``.

    InvalidFile if the file cannot be read, has no such table, or the table is empty.
    """
    whole = content_file(path)
    blocks = scan(path, None if whole is None else Path(whole.name))
    wanted = block or "EVENTS"
    extensions = blocks[1:]
    if wanted.isdigit() and 1 <= int(wanted) <= len(extensions):
        found: list[Block] = [extensions[int(wanted) - 1]]
    else:
        found = [b for b in extensions if b.name.upper() == wanted.upper()]
    if not found:
        names = ", ".join(b.name or "unnamed" for b in extensions) or "only an image"
        raise InvalidFile(path.name, f"no event table {wanted!r} in it, but {names}; name the table as file:BLOCK")
    table = as_table(path, found[0])._replace(unpacked=whole)
    if table.rows == 0:
        raise InvalidFile(path.name, f"{found[0].name} holds no events")
    return EventFile(blocks, table)


def as_table(path: Path, block: Block) -> EventTable:
    """Return a block as a table, with its columns."""
    header = block.header
    if str(header.get("XTENSION", "")).strip() != "BINTABLE":
        raise InvalidFile(
            path.name, f"{block.name or 'the block'} is no table but {header.get('XTENSION', 'an image')}"
        )
    try:
        table = EventTable(path, block, int(header["NAXIS2"]), int(header["NAXIS1"]), columns_of(header))
    except (KeyError, TypeError, ValueError, OverflowError, fits.VerifyError) as error:
        raise InvalidFile(path.name, f"the columns of {block.name} cannot be understood: {error}") from error
    if not 0 <= table.row_bytes <= _MOST_ROW:
        raise InvalidFile(path.name, f"the rows of {block.name} have {table.row_bytes} bytes: fetch or make it again")
    return table


def columns_of(header: Header) -> Mapping[str, ColumnSpec]:
    """Return the columns that the header of a binary table describes."""
    found: dict[str, ColumnSpec] = {}
    offset = 0
    for number in range(1, int(header["TFIELDS"]) + 1):
        match = _FORM.match(str(header[f"TFORM{number}"]))
        if not match:
            raise ValueError(f"TFORM{number} is {header[f'TFORM{number}']!r}")
        count, form = int(match.group(1) or 1), match.group(2)
        dtype, shape, size = _layout(form, count)
        name = str(header.get(f"TTYPE{number}", f"COL{number}")).strip()
        scale, zero = float(header.get(f"TSCAL{number}", 1)), float(header.get(f"TZERO{number}", 0))
        unit = str(header.get(f"TUNIT{number}", "")).strip()
        found.setdefault(name, ColumnSpec(name, number, offset, form, dtype, shape, scale, zero, unit))
        offset += size
    if offset != int(header["NAXIS1"]):
        raise ValueError(f"they take {offset} bytes, the rows have {header['NAXIS1']}")
    return MappingProxyType(found)


def _layout(form: str, count: int) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return dtype, shape in a row and bytes in a row of a TFORM."""
    code = _TYPES.get(form) or _REALS.get(form)
    if code:
        dtype = np.dtype(code)
        return dtype, () if count == 1 else (count,), count * dtype.itemsize
    size = -(-count // 8) if form == "X" else count * _BYTES[form]
    return np.dtype(f"S{max(size, 1)}"), (), size


def chunks(table: EventTable, rows: int = _ROWS) -> Iterator[Chunk]:
    """Yield the rows of a table, some at a time; a chunk is valid until the next one is asked for."""
    rows = max(1, min(rows, _MOST_CHUNK // max(table.row_bytes, 1)))
    buffer = np.empty((min(rows, max(table.rows, 1)), table.row_bytes), dtype=np.uint8)
    with open_stream(table.source, table.path.name) as (stream, _):
        stream.seek(table.block.start)
        for first in range(0, table.rows, rows):
            records = buffer[: min(rows, table.rows - first)]
            _fill(stream, records, table)
            yield Chunk(table, first + 1, records)


def _fill(stream: BinaryIO, records: NDArray[np.uint8], table: EventTable) -> None:
    target = records.data.cast("B")
    done = 0
    while done < len(target):
        count = stream.readinto(target[done:])  # type: ignore[attr-defined]  # BinaryIO lacks readinto in typeshed
        if not count:
            raise cut_short(table.path.name, table.block.start + table.block.size)
        done += count


def table_data(table: EventTable) -> Chunk:
    """Return all rows of a small table as one chunk."""
    size = table.rows * table.row_bytes
    if table.block.data is not None:
        records = np.frombuffer(table.block.data, dtype=np.uint8, count=size).reshape(table.rows, table.row_bytes)
        return Chunk(table, 1, records)
    return next(chunks(table, max(table.rows, 1)))
