"""The rate set of evselect: events counted in bins of time, as a table with the cards of a light curve.

Bins start at TSTART of the list, or at ``timemin``, not at the first event. The last bin, gaps and bins after the last
good time are divided by the whole width, as SAS does: a bin without exposure looks quiet.
"""

from collections.abc import Mapping
from math import ceil, isfinite
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from xphotfn.commands.command import Command
from xphotfn.commands.dss import Subspace, dss_cards, place_columns, ranges_of_text
from xphotfn.commands.xproc import to_card
from xphotfn.engines.native.evselect.header_cards import CREATOR, copied_cards, selection_card, step_version
from xphotfn.epic.events import Chunk, EventFile, EventTable
from xphotfn.epic.exposure_times import ccd_intervals, columns_block, live_time, table_bytes
from xphotfn.errors import CommandFailed, InvalidFile

__all__ = ("RateCounter", "RateRequest", "rate_bytes", "rate_request")

Card = tuple[str, Any, str]

_MOST_BINS = 10**8
_INHERITED = ("FILTER", "TIMESYS", "TIMEUNIT", "TIMEREF", "TASSIGN", "CLOCKAPP", "MJDREF")


class RateRequest(NamedTuple):
    """The bins of a rate set: file, column of times, start and stop in s, width in s, number of bins."""

    name: str
    column: str
    start: float
    stop: float
    width: float
    bins: int


def rate_request(command: Command, table: EventTable, name: str) -> RateRequest:
    """Return the bins that a complete command asks for.

    Raises
    ------
    CommandFailed
        If the width is not above 0, the range is empty, or there would be more than 100 million bins.
    InvalidFile
        If the column of times is missing, or the header does not say when the list starts and stops.
    """
    column = command.parameter("timecolumn")
    spec = table.columns.get(column)
    if spec is None or not spec.is_number:
        raise InvalidFile(table.path.name, f"{table.block.name} has no column {column!r} of one number per event")
    if command.parameter("withtimeranges") == "yes":
        start, stop = (float(command.parameter(name)) for name in ("timemin", "timemax"))
    else:
        start, stop = (_time(table, key) for key in ("TSTART", "TSTOP"))
    width = float(command.parameter("timebinsize"))
    if not (width > 0 and isfinite(width)):
        raise CommandFailed(command.argv, f"timebinsize must be above 0 s, got {width}")
    if not (isfinite(start) and isfinite(stop) and stop > start):
        raise CommandFailed(command.argv, f"the bins would run from {start} to {stop} s: give timemin and timemax")
    bins = ceil((stop - start) / width)
    if bins > _MOST_BINS:
        raise CommandFailed(command.argv, f"{bins} bins of {width} s are too many (at most {_MOST_BINS})")
    return RateRequest(name, column, start, stop, width, bins)


def _time(table: EventTable, key: str) -> float:
    value = table.block.header.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidFile(table.path.name, f"{table.block.name} has no {key}: give withtimeranges, timemin and timemax")
    return float(value)


class RateCounter:
    """Counts events in the bins of a rate set while they stream by, and events of each CCD."""

    def __init__(self, request: RateRequest, *, with_ccds: bool) -> None:
        self.request = request
        self.counts = np.zeros(request.bins, dtype=np.int64)
        self.by_ccd: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.with_ccds = with_ccds

    def add(self, chunk: Chunk, rows: NDArray[np.intp]) -> None:
        """Count some rows of a chunk; times outside the range and NaN are not counted."""
        request = self.request
        time = chunk.column(request.column).take(rows)
        with np.errstate(invalid="ignore"):
            inside = (time >= request.start) & (time <= request.stop)
            place = np.floor((time[inside] - request.start) / request.width)
        place = np.minimum(place, request.bins - 1).astype(np.int64)  # an event at the very stop is in the last bin
        self.counts += np.bincount(place, minlength=request.bins)
        if self.with_ccds:
            found = np.bincount(chunk.column("CCDNR").take(rows)[inside], minlength=len(self.by_ccd))
            found[: len(self.by_ccd)] += self.by_ccd
            self.by_ccd = found


def rate_bytes(
    command: Command, file: EventFile, selection: tuple[str, bool], subspace: Subspace, counter: RateCounter
) -> bytes:
    """Return the primary block and the RATE table of a rate set.

    ``selection`` is the expression with its macros expanded, and whether it selects everything.
    """
    primary = fits.Header()
    structure = [
        ("SIMPLE", True, "file does conform to FITS standard"),
        ("BITPIX", 8, "number of bits per data pixel"),
        ("NAXIS", 0, "number of data axes"),
        ("EXTEND", True, "FITS dataset may contain extensions"),
    ]
    made = [("XPROC0", to_card(command, version=step_version()), "")]
    made += [("CREATOR", CREATOR, "name of code"), ("LONGSTRN", "OGIP 1.0", "")]
    for card in [*structure, *made, *copied_cards(file.blocks[0].header)]:
        primary.append(card, end=True)
    columns = _columns(command, counter)
    return table_bytes(primary, b"") + columns_block(columns, _table_cards(command, file, selection, subspace, counter))


def _columns(command: Command, counter: RateCounter) -> list[tuple[str, str, NDArray[Any]]]:
    """Return name, unit and values; TIME is (start + i width) + width / 2, in this order, as SAS rounds it."""
    request, counts = counter.request, counter.counts
    columns: list[tuple[str, str, NDArray[Any]]] = [("COUNTS", "count", counts.astype(np.int32))]
    if command.parameter("makeratecolumn") == "yes":
        columns = [
            ("RATE", "count/s", counts / request.width),
            ("ERROR", "count/s", np.sqrt(counts) / request.width),
        ]
    if command.parameter("maketimecolumn") == "yes":
        time = (request.start + np.arange(request.bins) * request.width) + request.width / 2
        columns.append(("TIME", "s", time))
    return columns


def _table_cards(
    command: Command, file: EventFile, selection: tuple[str, bool], subspace: Subspace, counter: RateCounter
) -> list[Card]:
    events, request = file.table.block.header, counter.request
    kind = "RATE" if command.parameter("makeratecolumn") == "yes" else "COUNT"
    cards: list[Card] = [("EXTNAME", "RATE", "The name of this table")]
    cards += _inherited(events, "TELESCOP", "INSTRUME")
    cards += selection_card(*selection, events)
    cards += _inherited(events, *_INHERITED)
    cards += [
        ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
        ("HDUCLAS1", "LIGHTCURVE", "File contains a time-serie"),
        ("HDUCLAS2", "TOTAL", "File contains gross rates"),
        ("HDUCLAS3", kind, f"Light curve stored as {kind.lower()}s"),
        ("HDUVERS1", "1.1.0", "Version of format"),
        ("TIMEDEL", request.width, "Light curve bin size"),
        ("TSTART", request.start, "Light curve start time"),
        ("TSTOP", request.stop, "Light curve end time"),
        ("BACKAPP", False, "Background correction applied?"),
        ("DEADAPP", False, "Dead time correction applied?"),
        ("VIGNAPP", False, "Vignetting correction applied?"),
    ]
    cards += _channel_cards(command.parameter("energycolumn"), file.table, subspace)
    if command.parameter("writedss") == "yes":
        cards += dss_cards(subspace) + _place_cards(subspace)
    exposure = _exposure(file, subspace, counter)
    if exposure is not None:
        cards.append(("EXPOSURE", exposure, "Weighted live time of CCDs in the extraction re"))
    return cards


def _place_cards(subspace: Subspace) -> list[Card]:
    """Return the name of a filter on positions and its columns, as SAS gives them: ``POS`` and ``X,Y``."""
    axes = (f.axis for f in (subspace[0] if subspace else ()) if len(place_columns(f.axis)) == 2)
    axis = next(axes, None)
    if axis is None:
        return []
    name, columns = axis.partition("(")[0], ",".join(place_columns(axis))
    return [("MTYPE1", name, "DM Keyword: Descriptor name"), ("MFORM1", columns, "")]


def _inherited(header: Any, *names: str) -> list[Card]:
    return [(name, header[name], header.comments[name]) for name in names if name in header]


def _channel_cards(column: str, table: EventTable, subspace: Subspace) -> list[Card]:
    """Return the range of the energy column: of the data subspace, else its legal values."""
    spec = table.columns.get(column)
    if spec is None:
        return []
    legal = [table.block.header.get(f"{key}{spec.number}") for key in ("TLMIN", "TLMAX")]
    found = [bounds for c in subspace for f in c if f.axis == column for bounds in ranges_of_text(f.value) or ()]
    low = [b.lo if b.lo is not None else legal[0] for b in found] or [legal[0]]
    high = [b.hi if b.hi is not None else legal[1] for b in found] or [legal[1]]
    if any(value is None for value in (*low, *high)):
        return [("CHANTYPE", column, "Name of energy column used")]
    return [
        ("CHANMIN", float(min(low)), "Minimum value of the energy column"),
        ("CHANMAX", float(max(high)), "Maximum value of the energy column"),
        ("CHANTYPE", column, "Name of energy column used"),
    ]


def _exposure(file: EventFile, subspace: Subspace, counter: RateCounter) -> float | None:
    """Return the mean live time of the CCDs, weighted with the events of each; None where it is not known."""
    live = _live_times(file, subspace)
    weights = {ccd: int(counter.by_ccd[ccd]) for ccd in live if ccd < len(counter.by_ccd)}
    total = sum(weights.values())
    if not total:
        return max(live.values(), default=None)
    return float(sum(live[ccd] * weight for ccd, weight in weights.items()) / total)


def _live_times(file: EventFile, subspace: Subspace) -> Mapping[int, float]:
    """Return the live time of each CCD of a subspace, from its frames or else from the header of the list."""
    blocks = {block.name: block for block in file.blocks}
    header = file.table.block.header
    found: dict[int, float] = {}
    for ccd, times in ccd_intervals(subspace).items():
        if ccd is None:
            continue
        block = blocks.get(f"EXPOSU{ccd:02d}")
        seconds = None if block is None else live_time(block, file.table.path, times)
        if seconds is None and isinstance(header.get(f"LIVETI{ccd:02d}"), int | float):
            seconds = float(header[f"LIVETI{ccd:02d}"])
        if seconds is not None:
            found[ccd] = seconds
    return found
