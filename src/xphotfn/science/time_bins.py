"""Binning in time: events into counts, frames into live time, so that a gap is a gap."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.records.good_times import Pairs
from xphotfn.records.instrument import INSTRUMENTS

__all__ = (
    "FRAME_BINS",
    "EventsByBin",
    "bin_events",
    "events_by_bin",
    "inside",
    "live_per_bin",
    "rebinned",
    "to_frame_ends",
)

Floats = NDArray[np.float64]
Frames = tuple[Floats, Floats, Floats]

FRAME_BINS = {camera.name: {"mos": 26.0, "pn": 10.0}[camera.family] for camera in INSTRUMENTS}
"""Width of the pipeline's bins in s: whole frames of MOS, some 136 of pn."""

_ROUNDING_S = 1e-9  # live time of a bin that is nothing but the rounding of sums, of either sign


def bin_events(time: Floats, start_s: float, bin_s: float, bins: int) -> NDArray[np.int64]:
    """Return the events in each bin: bin k holds start + k width <= t < start + (k + 1) width.

    Parameters
    ----------
    time
        Times in s, shape (n,), in any order; NaN and times outside all bins are not counted.
    start_s, bin_s, bins
        Start of the first bin and width in s, number of bins.

    Returns
    -------
    Shape (bins,), int64.

    References
    ----------
    XMM-Newton SAS, evselect, node 11.

    Examples
    --------
    >>> bin_events(np.array([0.0, 9.9, 10.0, 30.0, np.nan]), 0.0, 10.0, 3).tolist()
    [2, 1, 0]
    """
    numbers = _bin_numbers(time, start_s, bin_s)
    with np.errstate(invalid="ignore"):
        legal = numbers[(numbers >= 0) & (numbers < bins)]
    return np.bincount(legal.astype(np.intp), minlength=bins).astype(np.int64)


def _bin_numbers(time: Floats, start_s: float, bin_s: float) -> Floats:
    numbers = np.subtract(time, start_s, dtype=np.float64)
    numbers /= bin_s
    return np.floor(numbers, out=numbers)


class EventsByBin(NamedTuple):
    """Events bin after bin: number of the first bin, where each bin starts in ``rows`` and the last ends, the rows."""

    first: int
    bounds: NDArray[np.intp]
    rows: NDArray[np.intp]


def events_by_bin(time: Floats, rows: NDArray[np.intp], start_s: float, bin_s: float, bins: int) -> EventsByBin:
    """Return some events bin after bin, with the bins of :func:`bin_events`.

    Parameters
    ----------
    time
        Times of all events in s, shape (n,).
    rows
        Which of them are meant, rising.
    start_s, bin_s, bins
        Start of the first bin and width in s, number of bins.

    Returns
    -------
    EventsByBin
        Events outside all bins are in ``rows`` too, outside ``bounds``.

    Notes
    -----
    Where the times rise only the events at the edges of bins are looked at, with the arithmetic of all others.

    Examples
    --------
    >>> found = events_by_bin(np.array([1.0, 12.0, 13.0, 14.0, 31.0]), np.array([1, 3, 4]), 0.0, 10.0, 4)
    >>> found.first, found.bounds.tolist(), found.rows.tolist()
    (0, [0, 0, 2, 2, 3], [1, 3, 4])
    """
    if time.size and np.all(np.isfinite(time[[0, -1]])) and np.all(time[1:] >= time[:-1]):
        ends = np.clip(_bin_numbers(time[[0, -1]], start_s, bin_s), 0, bins)
        edges = np.arange(ends[0], min(ends[1], bins - 1) + 2)
        cuts = time.searchsorted(start_s + edges * bin_s)
        below, above = np.maximum(cuts - 1, 0), np.minimum(cuts, time.size - 1)
        before, behind = (_bin_numbers(time[n], start_s, bin_s) for n in (below, above))
        if np.all((before < edges) | (cuts == 0)) and np.all((behind >= edges) | (cuts == time.size)):
            return EventsByBin(int(ends[0]), rows.searchsorted(cuts), rows)
    return _sorted_by_bin(time, rows, start_s, bin_s, bins)


def _sorted_by_bin(time: Floats, rows: NDArray[np.intp], start_s: float, bin_s: float, bins: int) -> EventsByBin:
    numbers = _bin_numbers(time.take(rows), start_s, bin_s)
    with np.errstate(invalid="ignore"):
        legal = np.flatnonzero((numbers >= 0) & (numbers < bins))
    numbers = numbers.take(legal)
    order = np.argsort(numbers, kind="stable")
    bounds = numbers.take(order).searchsorted(np.arange(bins + 1))
    return EventsByBin(0, bounds, rows.take(legal.take(order)))


def inside(time: Floats, intervals: Pairs) -> NDArray[np.bool_]:
    """Return which times lie in some intervals that are in order and apart, ends included.

    Examples
    --------
    >>> inside(np.array([0.0, 5.0, 10.0, 11.0]), ((0.0, 4.0), (10.0, 20.0))).tolist()
    [True, False, True, True]
    """
    if not intervals:
        return np.zeros(np.shape(time), dtype=bool)
    pairs = np.array(intervals, dtype=np.float64)
    index = np.searchsorted(pairs[:, 0], time, side="right") - 1
    return np.asarray((index >= 0) & (time <= pairs[index, 1]))


def live_per_bin(
    ccds: Sequence[Frames], start_s: float, bin_s: float, bins: int, *, weights: Sequence[float] | None = None
) -> Floats:
    """Return the live time of each bin, a mean over the CCDs.

    Parameters
    ----------
    ccds
        For each CCD the middle, length and live fraction of its good frames in s, arrays of one shape; rising times.
    start_s, bin_s, bins
        Start of the first bin and width in s, number of bins.
    weights
        Weight of each CCD, such as its area; default equal.

    Returns
    -------
    Shape (bins,), float64, in s. A frame across the edge of a bin is shared out by overlap; what is below 1 ns is 0.

    Raises
    ------
    InvalidRecord
        Without CCDs, or where weights do not fit.

    References
    ----------
    XMM-Newton SAS, epiclccorr (``allcamera``): FRACEXP of the pipeline's flare curves is met to 1e-4.

    Examples
    --------
    >>> frames = np.array([5.0, 15.0]), np.array([10.0, 10.0]), np.array([1.0, 0.5])
    >>> live_per_bin([frames], 0.0, 12.0, 2).tolist()
    [11.0, 4.0]
    """
    weight = np.ones(len(ccds)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(ccds) or weight.shape != (len(ccds),) or not weight.sum() > 0:
        raise InvalidRecord(f"live_per_bin needs one weight for each CCD, got {weight.size} for {len(ccds)}")
    edges: Floats = start_s + np.arange(bins + 1, dtype=np.float64) * bin_s
    total = np.zeros(bins)
    for (time, length, fraction), share in zip(ccds, weight / weight.sum(), strict=True):
        if time.size:
            total += share * np.diff(_reached(edges, time, length, fraction))
    return np.where(np.abs(total) < _ROUNDING_S, 0.0, total)


def _reached(edges: Floats, time: Floats, length: Floats, fraction: Floats) -> Floats:
    """Return the live time before each edge: it grows within frames, and stands still between them."""
    nodes = np.stack((time - length / 2, time + length / 2), axis=1).ravel()
    nodes = np.maximum.accumulate(nodes)  # frames may overlap by rounding
    sums = np.cumsum(length * fraction)
    values = np.stack((sums - length * fraction, sums), axis=1).ravel()
    return np.interp(edges, nodes, values)


def rebinned(values: NDArray[np.number], factor: int) -> NDArray[np.number]:
    """Return sums over groups of bins; what is left at the end is a group of its own.

    Examples
    --------
    >>> rebinned(np.array([1, 2, 3, 4, 5]), 2).tolist()
    [3, 7, 5]
    """
    starts = np.arange(0, len(values), factor)
    return np.add.reduceat(values, starts) if len(values) else values


def to_frame_ends(intervals: Pairs, frame_ends: Floats, *, slack_s: float = 1e-3) -> Pairs:
    """Return intervals whose ends are moved to the nearest frame ends, so that no frame is cut.

    Parameters
    ----------
    intervals
        Pairs in s.
    frame_ends
        Where frames end, in s, rising; none leaves the intervals as they are.
    slack_s
        The edges lie this much behind the end of a frame, for SAS leaves out a frame that ends at the very stop.

    Returns
    -------
    Pairs in s; an interval that shrinks to nothing is left out.

    Examples
    --------
    >>> to_frame_ends(((0.0, 26.3),), np.array([2.6, 5.2, 26.0, 28.6]), slack_s=0.0)
    ((2.6, 26.0),)
    """
    if not frame_ends.size:
        return intervals
    pairs = np.array(intervals, dtype=np.float64).reshape(-1, 2)
    index = np.clip(np.searchsorted(frame_ends, pairs), 1, max(frame_ends.size - 1, 1))
    if frame_ends.size == 1:
        index = np.ones_like(index)
    low, high = frame_ends[index - 1], frame_ends[np.minimum(index, frame_ends.size - 1)]
    moved = np.where(pairs - low <= high - pairs, low, high) + slack_s
    return tuple((float(a), float(b)) for a, b in moved if b > a)
