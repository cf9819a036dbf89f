"""Exposure times from good time intervals, and the tables of both.

ONTIMEnn is the sum of the intervals of CCD nn, LIVETInn the sum of TIMEDEL * FRACEXP over the frames that lie
wholly inside them, a frame that ends with the interval not among them; both reproduce the headers of evselect 3.62 and
3.71.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from xphotfn.commands.dss import Intervals, Subspace
from xphotfn.epic.events import Block, Chunk, as_table, table_data
from xphotfn.epic.selecting.filters import gti_table, in_gti
from xphotfn.errors import InvalidFile
from xphotfn.typing import Header

__all__ = (
    "GTI_CARDS",
    "TIME_CARDS",
    "ccd_intervals",
    "check_frames",
    "columns_block",
    "frame_times",
    "frames_inside",
    "gti_block",
    "intervals_in",
    "live_time",
    "on_times",
    "table_bytes",
)

Card = tuple[str, Any, str]
GTI_CARDS: tuple[Card, ...] = (
    ("HDUCLASS", "OGIP", "format conforms to OGIP standard"),
    ("HDUCLAS1", "GTI", "table contains Good Time Intervals"),
    ("HDUCLAS2", "STANDARD", "standard Good Time Interval table"),
)
TIME_CARDS: tuple[Card, ...] = (
    ("TIMEUNIT", "s", "All times in s unless specified otherwise"),
    ("TIMESYS", "TT", "XMM time will be TT (Terrestrial Time)"),
    ("MJDREF", 50814.0, "[d] 1998-01-01T00:00:00 (TT) expressed in MJD"),
    ("TIMEREF", "LOCAL", "Reference location of photon arrival times"),
    ("TASSIGN", "SATELLITE", "Location of time assignment"),
    ("TIMEZERO", 0.0, "[s] Clock correction (if not zero)"),
    ("CLOCKAPP", True, "Clock correction applied"),
)
TableColumn = tuple[str, str, NDArray[Any]]
_FORMS = {
    "f8": ("D", "data format of field: 8-byte DOUBLE"),
    "i4": ("J", "data format of field: 4-byte INTEGER"),
    "i8": ("K", "data format of field: 8-byte INTEGER"),
}


def intervals_in(path: Path, block: Block) -> Intervals | None:
    """Return the good time intervals that a block holds, or None where it holds none.

    Raises
    ------
    InvalidFile
        If an end is not a number, or an interval runs backwards: left out, its CCD would have events without time.
    """
    if str(block.header.get("XTENSION", "")).strip() != "BINTABLE" or block.data is None:
        return None
    table = as_table(path, block)
    names = table.columns
    if "START" not in names or "STOP" not in names or not (names["START"].is_number and names["STOP"].is_number):
        return None
    chunk = table_data(table)
    start, stop = (np.asarray(chunk.column(name), dtype=np.float64) for name in ("START", "STOP"))
    bad = np.flatnonzero(~(stop >= start))
    if bad.size:
        row = int(bad[0])
        what = f"row {row + 1} of its good times {block.name} runs from {start[row]} to {stop[row]} s"
        raise InvalidFile(path.name, f"{what}: is the file damaged? Fetch or make it again")
    joined = gti_table(start, stop)
    return tuple(zip(joined.start.tolist(), joined.stop.tolist(), strict=True))


def ccd_intervals(subspace: Subspace) -> Mapping[int | None, Intervals]:
    """Return the good time intervals of each CCD of a subspace; None stands for a subspace without CCDs."""
    found: dict[int | None, Intervals] = {}
    for component in subspace:
        times = [f.intervals for f in component if f.axis == "TIME" and f.intervals is not None]
        numbers = [f.value for f in component if f.axis == "CCDNR" and f.value.isdigit()]
        if times:
            number = int(numbers[0]) if numbers else None
            together = sorted({*found.get(number, ()), *times[0]})
            joined = gti_table(np.array([a for a, _ in together]), np.array([b for _, b in together]))
            found[number] = tuple(zip(joined.start.tolist(), joined.stop.tolist(), strict=True))
    return found


def on_times(subspace: Subspace, header: Header) -> tuple[list[Card], float | None]:
    """Return the ONTIMEnn cards and the greatest on-time; None where neither subspace nor header knows one."""
    total = {ccd: sum(b - a for a, b in intervals) for ccd, intervals in ccd_intervals(subspace).items()}
    if not total:
        total = {ccd: float(header[f"ONTIME{ccd:02d}"]) for ccd in range(1, 13) if f"ONTIME{ccd:02d}" in header}
    comment = "Sum of GTIs for a particular CCD"
    cards = [(f"ONTIME{ccd:02d}", float(time), comment) for ccd, time in total.items() if ccd is not None]
    if total:
        return cards, float(max(total.values()))
    alone = header.get("ONTIME", header.get("EXPOSURE"))
    return cards, None if alone is None else float(alone)


def frame_times(blocks: Sequence[Block]) -> list[Card]:
    """Return the FRMTIMnn cards: frame time of each CCD, from the headers of its EXPOSUnn block."""
    cards = []
    for block in blocks:
        ccd = block.name[6:]
        if block.name.startswith("EXPOSU") and ccd.isdigit() and "FRMTIME" in block.header:
            seconds = float(block.header["FRMTIME"]) / 1000
            cards.append((f"FRMTIM{int(ccd):02d}", seconds, f"[s] Frame time for CCD {int(ccd)}"))
    return cards


def _frames(block: Block, path: Path) -> tuple[Chunk, NDArray[np.float64]] | None:
    table = as_table(path, block)
    if block.header.get("PCOUNT", 0):
        return None
    if "TIME" not in table.columns or not table.columns["TIME"].is_number:
        return None
    chunk = table_data(table)
    return chunk, np.asarray(chunk.column("TIME"), dtype=np.float64)


def check_frames(length: NDArray[np.floating], fraction: NDArray[np.floating], block: Block, path: Path) -> None:
    """Raise InvalidFile unless each of some frames has a length and a live fraction: events in it have no live time."""
    bad = ~(np.isfinite(length) & (length >= 0) & np.isfinite(fraction))
    if bad.any():
        raise InvalidFile(
            path.name,
            f"{block.name} has {int(bad.sum())} of {bad.size} frames without live time (TIMEDEL or FRACEXP is not a "
            "number, or TIMEDEL is negative), so rates would be too high: fetch the list again",
        )


def live_time(block: Block, path: Path, intervals: Intervals) -> float | None:
    """Return the live time of the frames of an EXPOSUnn block that lie wholly inside some intervals.

    A frame that ends at the very stop of an interval is not counted, as in SAS.
    """
    frames = _frames(block, path)
    if frames is None:
        return None
    chunk, times = frames
    if not {"TIMEDEL", "FRACEXP"} <= set(chunk.table.columns):
        return None
    length = np.asarray(chunk.column("TIMEDEL"), dtype=np.float64)
    starts, stops = np.array(intervals, dtype=np.float64).reshape(-1, 2).T
    index = np.searchsorted(starts, times - length / 2, side="right") - 1
    whole = (index >= 0) & (times + length / 2 < stops[index]) if len(starts) else np.zeros(times.shape, bool)
    check_frames(length[whole], np.asarray(chunk.column("FRACEXP"))[whole], block, path)
    seconds = chunk.column("TIMEDEL") * chunk.column("FRACEXP")  # in the type of the columns, as SAS has it
    return float(np.sum(seconds[whole], dtype=np.float64))


def frames_inside(block: Block, path: Path, intervals: Intervals) -> NDArray[np.uint8] | None:
    """Return the rows of an EXPOSUnn block whose frames have their centre inside some intervals."""
    frames = _frames(block, path)
    if frames is None:
        return None
    chunk, times = frames
    pairs = np.array(intervals, dtype=np.float64).reshape(-1, 2)
    return chunk.records[in_gti(gti_table(pairs[:, 0], pairs[:, 1]), times)]


def gti_block(name: str, ccd: int | None, intervals: Intervals, more: Sequence[Card] = ()) -> bytes:
    """Return a whole block, header and data, with good time intervals under a name, and more cards at its end.

    Notes
    -----
    Columns and cards are those of the tables that evselect writes.
    """
    pairs = np.array(intervals, dtype=np.float64).reshape(-1, 2)
    cards: list[Card] = [("EXTNAME", name, "The name of this table")]
    cards += [] if ccd is None else [("CCDID", ccd, "CCD ID")]
    cards += [
        *GTI_CARDS,
        ("ONTIME", float(np.sum(pairs[:, 1] - pairs[:, 0])), "[s] sum of all Good Time Intervals"),
    ]
    if len(pairs):
        cards.append(("TSTART", float(pairs[0, 0]), "[s] Lower bound of first GTI"))
        cards.append(("TSTOP", float(pairs[-1, 1]), "[s] Upper bound of last GTI"))
    cards += [*TIME_CARDS, *more]
    return columns_block([("START", "s", pairs[:, 0]), ("STOP", "s", pairs[:, 1])], cards)


def columns_block(columns: Sequence[TableColumn], cards: Sequence[Card]) -> bytes:
    """Return a whole binary table, header and data: name, unit and values of each column, and cards behind these."""
    header = fits.Header()
    for card in (*_layout_cards(columns), *cards):
        header.append(card, end=True)
    rows = np.empty(len(columns[0][2]), dtype=[(name, values.dtype.newbyteorder(">")) for name, _, values in columns])
    for name, _, values in columns:
        rows[name] = values
    return table_bytes(header, rows.tobytes())


def _layout_cards(columns: Sequence[TableColumn]) -> list[Card]:
    cards: list[Card] = [
        ("XTENSION", "BINTABLE", "binary table extension"),
        ("BITPIX", 8, "8-bit bytes"),
        ("NAXIS", 2, "2-dimensional binary table"),
        ("NAXIS1", sum(values.itemsize for _, _, values in columns), "width of table in bytes"),
        ("NAXIS2", len(columns[0][2]), "number of rows in table"),
        ("PCOUNT", 0, "size of special data area"),
        ("GCOUNT", 1, "one data group (required keyword)"),
        ("TFIELDS", len(columns), "number of fields in each row"),
    ]
    for number, (name, unit, values) in enumerate(columns, start=1):
        cards += [
            (f"TTYPE{number}", name, "The name of this column"),
            (f"TFORM{number}", *_FORMS[values.dtype.str[1:]]),
            (f"TUNIT{number}", unit, "physical unit of field"),
        ]
    return cards


def table_bytes(header: Any, data: bytes) -> bytes:
    """Return header and data as whole FITS blocks."""
    text = header.tostring(endcard=True, padding=True).encode("ascii")
    return bytes(text + data + b"\x00" * (-len(data) % 2880))
