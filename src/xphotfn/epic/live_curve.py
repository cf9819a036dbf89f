"""The light curve of an event list with the live time of each bin, from its frames; and where bright sources are."""

from collections.abc import Iterator, Sequence
from math import ceil, inf
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.commands.dss import Intervals, intersection, ranges_of_text
from xphotfn.commands.selection import Expression, columns, expand_macros, parse
from xphotfn.epic.event_source import EventSource, filter_reader, open_source
from xphotfn.epic.events import Block, Chunk, as_table, chunks, table_data
from xphotfn.epic.exposure_times import ccd_intervals, check_frames
from xphotfn.epic.selecting.data_subspace import dss_of
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.epic.selecting.filters import gti_table
from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.records.grid import SKY_LIMITS, PixelGrid
from xphotfn.records.light_curve import LightCurve
from xphotfn.records.region import Region
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.joint.flare_state import common_bins
from xphotfn.science.sources import Circle, bright_circles, pixels_within
from xphotfn.science.time_bins import events_by_bin, inside, live_per_bin
from xphotfn.typing import Header

__all__ = ("NOTHING", "LeftOutSources", "Reading", "read_curve")

Floats = NDArray[np.float64]
Frames = tuple[Floats, Floats, Floats]

_PIXEL = 400  # of X and Y: 20 arcsec
_MOST_BINS = 2 * 10**6
_LONGEST_S = 1e7  # from TSTART to TSTOP: an orbit is 1.7e5 s, and times since 1998 are above 6e7 s
_ALWAYS: Intervals = ((-inf, inf),)
_SIDE, _LAST = 130, SKY_LIMITS[1]  # pixels, and where X and Y end


class _Bins(NamedTuple):
    """Start of the first bin and width in s, number of bins."""

    start_s: float
    width_s: float
    number: int


class LeftOutSources(NamedTuple):
    """Sources to leave out of a curve: circles of 1 arcmin around the bright ones that the events show, and a list.

    ``listed`` are regions with sizes in fk5 or icrs, as :func:`~xphotfn.io.source_lists.read_sources` gives them.
    """

    bright: bool = False
    listed: tuple[Region, ...] = ()


NOTHING = LeftOutSources()


class Reading(NamedTuple):
    """A curve, the ends of the frames of its best CCD in s, the sources that were cut out, and what was assumed."""

    curve: LightCurve
    frame_ends: Floats
    circles: tuple[Circle, ...]
    notes: tuple[str, ...]


def read_curve(
    folder: Path, table: str, expression: str, bin_s: float, *, without: LeftOutSources = NOTHING, common: bool = False
) -> Reading:
    """Return the light curve of the selected events of a list.

    Parameters
    ----------
    folder, table
        The list: ``file`` or ``file:BLOCK`` in the folder.
    expression
        Which events, in SAS's language.
    bin_s
        Width of the bins in s; whole frames are best.
    without
        Which sources are left out.
    common
        Whether bins begin at whole widths, so that those of several lists fall together; else with the list.

    Raises
    ------
    InvalidFile
        If the list cannot be read, has no TIME, its header lacks TSTART or TSTOP, these are 1e7 s apart, or a good
        frame has no live fraction.
    ExpressionError
        If the expression cannot be read or does not fit the columns.
    InvalidRecord
        If the width makes no bin, or more than 2e6.

    Notes
    -----
    The live time of a bin is the mean over the CCDs of the frames (EXPOSUnn) whose middle lies in the good time of the
    list and in the times of the expression, its ``gti()`` and ranges of TIME, times their live fraction. A list without
    frames takes its good times as live, one without those all of it, and a CCD without frames counts as the mean of
    the others: ``notes`` say so.
    """
    source = open_source(folder, table)
    header, path = source.table.block.header, source.table.path
    start, stop = _span(header, path)
    tree = parse(expand_macros(expression, source.keywords))
    bins = _bins(start, stop, bin_s, common=common)
    counts, circles = _counts(source, tree, bins, without)
    ccds, framed, notes = _frames(source, (start, stop), _times(source, tree))
    curve = LightCurve(
        start_s=bins.start_s,
        bin_s=bin_s,
        counts=counts,
        live_s=live_per_bin(ccds, *bins),
        selection=expression,
        source=path.name,
    )
    best = max(ccds, key=lambda frames: float(np.sum(frames[1] * frames[2])))
    ends = best[0] + best[1] / 2 if framed else np.empty(0)
    return Reading(curve, ends, circles, notes)


def _span(header: Header, path: Path) -> tuple[float, float]:
    start, stop = (_number(header, path, key) for key in ("TSTART", "TSTOP"))
    if stop - start > _LONGEST_S:
        raise InvalidFile(
            path.name,
            f"its TSTART {start:.10g} and TSTOP {stop:.10g} are {(stop - start) / 86400:.0f} days apart, which no "
            "exposure lasts: one of them does not fit its frames; fetch the list again",
        )
    return start, stop


def _bins(start: float, stop: float, width: float, *, common: bool) -> _Bins:
    if not 0 < (stop - start) / width <= _MOST_BINS:
        raise InvalidRecord(
            f"{(stop - start) / width:.3g} bins of {width:g} s from {start} to {stop} s: give a width that makes 1 to "
            f"{_MOST_BINS}"
        )
    begin, number = common_bins(start, stop, width) if common else (start, ceil((stop - start) / width))
    return _Bins(begin, width, number)


def _number(header: Header, path: Path, key: str) -> float:
    value = header.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidFile(path.name, f"its header has no {key}: without it no light curve can be made; fetch it again")
    return float(value)


def _counts(
    source: EventSource, tree: Expression, bins: _Bins, without: LeftOutSources
) -> tuple[NDArray[np.int64], tuple[Circle, ...]]:
    """Return the selected events in each bin, without those of the sources that are returned with them."""
    known = source.table.columns
    if "TIME" not in known or not known["TIME"].is_number:
        raise InvalidFile(source.table.path.name, "it has no column TIME: give the event list itself")
    with_pixels = (without.bright or bool(without.listed)) and {"X", "Y"} <= set(known)
    circles = _listed_circles(source, without.listed) if with_pixels and without.listed else ()
    counts, image = np.zeros(bins.number, dtype=np.int64), np.zeros((_SIDE, _SIDE), dtype=np.int64)
    parts: list[tuple[slice, NDArray[np.intp], NDArray[np.uint16]]] = []
    for chunk, rows in _selected(source, tree):
        run = events_by_bin(chunk.column("TIME"), rows, *bins)
        place = slice(run.first, run.first + run.bounds.size - 1)
        counts[place] += np.diff(run.bounds)
        if with_pixels:
            pixels = _pixels(*(chunk.column(name).take(run.rows) for name in ("X", "Y")))
            image += np.bincount(pixels, minlength=image.size).reshape(image.shape)
            parts.append((place, run.bounds, pixels))
    image[0] = image[:, 0] = 0  # positions that are not known: no source is there
    image[pixels_within(circles, image.shape, pixel=_PIXEL)] = 0
    circles += bright_circles(image, pixel=_PIXEL) if without.bright else ()
    within = pixels_within(circles, image.shape, pixel=_PIXEL)
    within[0] = within[:, 0] = False
    for place, bounds, pixels in parts if circles else ():
        counts[place] -= np.diff(np.flatnonzero(within.ravel().take(pixels)).searchsorted(bounds))
    return counts, circles


def _listed_circles(source: EventSource, sources: Sequence[Region]) -> tuple[Circle, ...]:
    """Return the circles of sources in X and Y of a list, without those that lie off it."""
    header, path = source.table.block.header, source.table.path
    ra, dec, step_x, step_y = (_number(header, path, f"REF{n}") for n in ("XCRVL", "YCRVL", "XCDLT", "YCDLT"))
    sky = PixelGrid(
        nx=_LAST, ny=_LAST, crpix1=_number(header, path, "REFXCRPX"), crpix2=_number(header, path, "REFYCRPX"),
        ra_deg=ra, dec_deg=dec, cdelt1_deg=step_x, cdelt2_deg=step_y,
    )  # fmt: skip
    x, y = deg_to_pix(sky, [s.x for s in sources], [s.y for s in sources])
    radii = [max(s.size) / abs(step_x) for s in sources]
    circles = (Circle(float(a) + 1, float(b) + 1, r) for a, b, r in zip(x, y, radii, strict=True))
    return tuple(c for c in circles if -c.radius < c.x < _LAST + c.radius and -c.radius < c.y < _LAST + c.radius)


def _selected(source: EventSource, tree: Expression) -> Iterator[tuple[Chunk, NDArray[np.intp]]]:
    """Yield the list in chunks, each with the rows that are selected; take() with rows is faster than a mask."""
    names, known = set(columns(tree)), set(source.table.columns)
    wanted = sorted(names if names <= known else known)
    for chunk in chunks(source.table):
        values = {name: chunk.column(name) for name in wanted}
        chosen = evaluate(tree, values, rows=len(chunk), first_row=chunk.first_row, resolve=source.resolve)
        yield chunk, np.flatnonzero(chosen)


def _pixels(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.uint16]:
    """Return the pixels of positions in one row after another; what is not known goes to the first row or column."""
    column, row = (_on_axis(values) for values in (x, y))
    row *= _SIDE
    row += column
    return row.astype(np.uint16)


def _on_axis(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    pixel = values // _PIXEL
    return np.clip(pixel, 0, _SIDE - 1, out=pixel)


def _times(source: EventSource, tree: Expression) -> Intervals:
    """Return the times that an expression may select: those of its gti filters and its ranges of TIME, else all."""
    found: list[tuple[float, float]] = []
    for component in dss_of(tree, {}, filter_reader(source.resolve)):
        times = _ALWAYS
        for limit in (f for f in component if f.axis == "TIME"):
            times = intersection(times, limit.intervals if limit.intervals is not None else _spans(limit.value))
        found += times
    pairs = np.array(found, dtype=np.float64).reshape(-1, 2)
    joined = gti_table(pairs[:, 0], pairs[:, 1])
    return tuple(zip(joined.start.tolist(), joined.stop.tolist(), strict=True))


def _spans(text: str) -> Intervals:
    ranges = ranges_of_text(text)
    if ranges is None:
        return _ALWAYS
    return tuple((-inf if r.lo is None else r.lo, inf if r.hi is None else r.hi) for r in ranges)


def _frames(
    source: EventSource, whole: tuple[float, float], wanted: Intervals
) -> tuple[list[Frames], bool, tuple[str, ...]]:
    """Return the good frames of each CCD, or its good time where no frames are known, which of both, and notes."""
    blocks = {block.name: block for block in source.file.blocks}
    path = source.table.path
    known = ccd_intervals(source.subspace)
    for_all = known.get(None, (whole,))
    given = {ccd: times for ccd, times in known.items() if ccd is not None}
    if not given:
        numbers = [int(n[6:]) for n in blocks if n.startswith("EXPOSU") and n[6:].isdigit()]
        given = dict.fromkeys(sorted(numbers), for_all)
    good = {ccd: intersection(times, wanted) for ccd, times in (given or {0: for_all}).items()}
    found = {ccd: _good_frames(blocks.get(f"EXPOSU{ccd:02d}"), path, times) for ccd, times in good.items()}
    frames = [f for f in found.values() if f is not None]
    if frames:
        without = ", ".join(str(ccd) for ccd, f in found.items() if f is None)
        note = f"no frames (EXPOSUnn) of CCD {without} in the list: the mean of the others counts for it"
        return frames, True, (note,) if without else ()
    why = (
        "no frames (EXPOSUnn) in the list: its good time counts as live"
        if known
        else "neither frames (EXPOSUnn) nor good time in the list: all of it counts as live"
    )
    return [_as_frames(times) for times in good.values()], False, (why,)


def _good_frames(block: Block | None, path: Path, times: Intervals) -> Frames | None:
    if block is None:
        return None
    table = as_table(path, block)
    names = ("TIME", "TIMEDEL", "FRACEXP")
    if not all(name in table.columns and table.columns[name].is_number for name in names):
        return None
    chunk = table_data(table)
    time, length, fraction = (np.asarray(chunk.column(name), dtype=np.float64) for name in names)
    good = np.isfinite(time) & inside(time, times)
    check_frames(length[good], fraction[good], block, path)
    order = np.argsort(time[good], kind="stable")
    return time[good][order], length[good][order], np.clip(fraction[good][order], 0.0, 1.0)


def _as_frames(times: Intervals) -> Frames:
    pairs = np.array(times, dtype=np.float64).reshape(-1, 2)
    return pairs.mean(axis=1), pairs[:, 1] - pairs[:, 0], np.ones(len(pairs))
