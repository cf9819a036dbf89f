"""The good time of each CCD: intervals from the data subspace, frames from EXPOSUnn, out-of-time factors of pn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xphotfn.commands.dss import Component, Intervals, Subspace, intersection, ranges_of_text, read_dss
from xphotfn.epic.events import Block, as_table, table_data
from xphotfn.epic.exposure_times import check_frames, intervals_in
from xphotfn.errors import InvalidFile
from xphotfn.typing import Header

__all__ = (
    "OOT_FRACTION",
    "Frames",
    "Times",
    "ccds_of",
    "chip_times",
    "named_blocks",
    "read_frames",
    "seconds_per_piece",
    "subspace_of",
)

Floats: TypeAlias = NDArray[np.float64]
Notes: TypeAlias = tuple[str, ...]

# Live fraction times the part of the photons that is not out of time. Header cards OOTFRAC of real maps; the value for
# the large window is 94.9 % times 99.84 % (XMM-Newton Users Handbook, table of EPIC modes) and has met no real map.
OOT_FRACTION: Mapping[str, float] = MappingProxyType(
    {
        "PrimeFullWindow": 0.936444,
        "PrimeFullWindowExtended": 0.976591944694519,
        "PrimeLargeWindow": 0.9475,
        "PrimeSmallWindow": 0.701929,
    }
)


class Frames(NamedTuple):
    """Frames of a CCD: times of their centres and live seconds, arrays of shape (n,), float64."""

    time: Floats
    seconds: Floats


class Times(NamedTuple):
    """Good time intervals of each CCD that is read, by its number, and what had to be assumed."""

    intervals: Mapping[int, Intervals]
    notes: Notes


def named_blocks(blocks: Sequence[Block], stem: str) -> dict[int, Block]:
    """Return the blocks ``stem``nn of CCDs by the number of the CCD.

    MOS names of the pipeline may carry a node before the number (``EXPOSU01``, ``EXPOSU11``): node 1 is left out.
    """
    found: dict[int, Block] = {}
    for block in blocks:
        text = block.name.upper().removeprefix(stem)
        if block.name.upper().startswith(stem) and text.isdigit() and 1 <= int(text) <= 12:
            found[int(text)] = block
    return found


def subspace_of(blocks: Sequence[Block], header: Header, path: Path) -> Subspace:
    """Return the data subspace of a header, with the intervals of the tables that lie in the same file."""
    tables = {block.name: block for block in blocks}
    return read_dss(header, lambda name: intervals_in(path, tables[name]) if name in tables else None)


def ccds_of(component: Component) -> tuple[int, ...] | None:
    """Return the CCDs of a component, or None where it names none."""
    found: set[int] | None = None
    for f in component:
        ranges = ranges_of_text(f.value) if f.axis == "CCDNR" else None
        if ranges is not None:
            low = [(0 if r.lo is None else r.lo, 12 if r.hi is None else r.hi) for r in ranges]
            inside = {n for n in range(1, 13) for a, b in low if a <= n <= b}
            found = inside if found is None else found & inside
    return None if found is None else tuple(sorted(found))


def _times(component: Component) -> Intervals | None:
    """Return the intervals that all conditions of a component on TIME leave, or None where it has none."""
    found: Intervals | None = None
    for f in component:
        if f.axis != "TIME":
            continue
        some = f.intervals
        if some is None:
            ranges = ranges_of_text(f.value) if f.kind == "range" else None
            if ranges is None:
                continue
            some = tuple((-np.inf if r.lo is None else r.lo, np.inf if r.hi is None else r.hi) for r in ranges)
        found = some if found is None else intersection(found, some)
    return found


def _union(first: Intervals, second: Intervals) -> Intervals:
    joined: list[tuple[float, float]] = []
    for low, high in sorted({*first, *second}):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def chip_times(
    subspace: Subspace, standard: Mapping[int, Intervals], known: Sequence[int], alone: Intervals | None
) -> Times:
    """Return the good time intervals of each CCD.

    Parameters
    ----------
    subspace
        Data subspace of the image.
    standard
        Intervals of the STDGTInn blocks of the event list; empty without one.
    known
        CCDs that the event list holds, or all of the camera.
    alone
        What to take where there is no interval at all: one interval as long as the EXPOSURE keyword; None if that is
        not known either.

    Raises
    ------
    InvalidFile
        If no interval is known at all.

    Notes
    -----
    The subspace counts first: its components name the CCDs, and a CCD that it leaves out is not exposed. A component
    without a CCD holds for all; then each CCD's own STDGTInn is intersected. A CCD whose table is missing takes the
    intervals of the first one that has some, as eexpmap documents for a number of GTIs that differs from that of CCDs.

    References
    ----------
    SAS eexpmap-4.13, https://xmm-tools.cosmos.esa.int/external/sas/current/doc/eexpmap/node6.html.
    """
    found: dict[int, Intervals] = {}
    missing: set[int] = set()
    notes: list[str] = []
    for component in subspace or ((),):
        numbers, times = ccds_of(component), _times(component)
        for n in known if numbers is None else numbers:
            own = standard.get(n)
            some = own if times is None else times if own is None or numbers is not None else intersection(times, own)
            if some is None:
                missing.add(n)
            else:
                found[n] = _union(found.get(n, ()), some)
    missing -= set(found)
    if not found:
        if alone is None:
            raise InvalidFile("image", "no good time intervals, EXPOSURE or event list with any", sas_name="NoGTI")
        seconds = sum(high - low for low, high in alone)
        notes.append(f"no good time intervals: one of {seconds:g} s (EXPOSURE) for all CCDs")
        found = dict.fromkeys(missing, alone)
    elif missing:
        first = min(found)
        listed = ", ".join(map(str, sorted(missing)))
        notes.append(f"no good time intervals for CCD {listed}: those of CCD {first}")
        found |= dict.fromkeys(missing, found[first])
    return Times(MappingProxyType(dict(sorted(found.items()))), tuple(notes))


def read_frames(block: Block, path: Path, oot_fraction: float) -> Frames:
    """Return the frames of an EXPOSUnn block.

    Parameters
    ----------
    block
        The block, with TIME, FRACEXP and TIMEDEL; the length of frames without TIMEDEL is their distance or FRMTIME.
    path
        Its file, for messages.
    oot_fraction
        Out-of-time factor of the mode, 1 for MOS. Where TIMEDEL holds it already, the distance of frames is their
        length: it is applied once.

    Raises
    ------
    InvalidFile
        If it has no times, or its frames have no length or no live fraction.

    Notes
    -----
    The live time of a frame is FRACEXP * TIMEDEL: this reproduces the scale of eexpmap's MOS maps to 0.02-0.07 %,
    while the sum of the intervals times the mean FRACEXP is 0.08-0.3 % high.
    """
    table = as_table(path, block)
    if not {"TIME", "FRACEXP"} <= set(table.columns):
        raise InvalidFile(path.name, f"{block.name} has the columns {', '.join(table.columns)}, not TIME and FRACEXP")
    chunk = table_data(table)
    time, fraction = (np.asarray(chunk.column(name), dtype=np.float64) for name in ("TIME", "FRACEXP"))
    nominal = _frame_cycle(time, float(block.header.get("FRMTIME", 0.0)) / 1000)
    if "TIMEDEL" in table.columns:
        length = np.asarray(chunk.column("TIMEDEL"), dtype=np.float64)
    else:
        length = np.full(time.shape, float(block.header.get("TIMEDEL", nominal)))
    if nominal > 0 and oot_fraction < 1 and time.size:
        length = np.where(np.abs(length / (nominal * oot_fraction) - 1) < 0.003, nominal, length)
    if time.size and not np.all(length > 0):
        raise InvalidFile(path.name, f"{block.name} has frames without length: no TIMEDEL, no FRMTIME")
    good = np.isfinite(time)
    check_frames(length[good], fraction[good], block, path)
    return Frames(time[good], np.clip(fraction[good], 0.0, 1.0) * length[good])


def _frame_cycle(time: Floats, named: float) -> float:
    """Return the time from frame to frame in s: FRMTIME is rounded to ms for pn, so their distance counts if close."""
    usual = float(np.median(np.diff(time))) if time.size > 10 else named
    return usual if named <= 0 or abs(usual / named - 1) < 0.02 else named


def seconds_per_piece(intervals: Intervals, frames: Frames | None, edges: Floats) -> Floats:
    """Return the live seconds of a CCD in each piece of time.

    Shape (m + 2,), float64: before the first edge, the m pieces, after the last edge. Without frames (None) all of the
    time is live. A frame counts where its centre lies in an interval, ends included. Splitting the intervals splits the
    seconds.

    Examples
    --------
    >>> seconds_per_piece(((0.0, 10.0),), None, np.array([0.0, 4.0, 12.0])).tolist()
    [0.0, 4.0, 6.0, 0.0]
    """
    pairs = np.array(intervals, dtype=np.float64).reshape(-1, 2)
    if frames is None:
        finite = np.clip(pairs, edges[0], edges[-1])  # an open end lasts as long as the attitude
        pairs = np.where(np.isfinite(pairs), pairs, finite)
        ends = np.concatenate([[0.0], np.cumsum(pairs[:, 1] - pairs[:, 0])])
        nodes, sums = pairs.ravel(), np.stack([ends[:-1], ends[1:]], axis=1).ravel()
        reached = np.interp(edges, nodes, sums) if nodes.size else np.zeros(edges.shape)
        return np.diff(np.concatenate([[0.0], reached, [ends[-1]]]))
    index = np.searchsorted(pairs[:, 0], frames.time, side="right") - 1
    inside = index >= 0
    inside[inside] = frames.time[inside] <= pairs[index[inside], 1]
    piece = np.searchsorted(edges, frames.time[inside], side="right")
    return np.bincount(piece, weights=frames.seconds[inside], minlength=edges.size + 1).astype(np.float64)
