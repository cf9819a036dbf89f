"""Good time from the rows of a table: which stretches of time the chosen rows stand for."""

import numpy as np
from numpy.typing import NDArray

__all__ = ("intervals_of_rows", "split_short")

_TOUCHING = 1e-6  # of a row's length: what rounding leaves between two rows that follow each other

Floats = NDArray[np.float64]


def intervals_of_rows(
    time: Floats, chosen: NDArray[np.bool_], width: float | None, *, before: float = 0.5, after: float = 0.5
) -> Floats:
    """Return the stretches of time that the chosen rows of a table stand for.

    Parameters
    ----------
    time
        Time of each row in s, rising, shape (n,).
    chosen
        Shape (n,), bool: the good rows.
    width
        Length of a row in s; None where rows have no common length: then the distance to the row before counts for
        ``before`` and to the row after for ``after`` (for the first and last row, that on the other side).
    before, after
        How much of that length belongs to the row, before and after its time: fractions of -1 to 1.

    Returns
    -------
    Shape (m, 2), float64: start and stop in s. Rows that follow each other and touch are one interval; intervals that
    do not last are left out.

    References
    ----------
    XMM-Newton SAS, tabgtigen, nodes 3 and 4; START and STOP equal those of its files.

    Examples
    --------
    >>> intervals_of_rows(np.array([5.0, 15.0, 25.0, 35.0]), np.array([True, True, False, True]), 10.0).tolist()
    [[0.0, 20.0], [30.0, 40.0]]
    """
    rows = np.flatnonzero(chosen)
    if width is None:
        steps = np.diff(time) if time.size > 1 else np.zeros(1)
        earlier, later = np.concatenate((steps[:1], steps)), np.concatenate((steps, steps[-1:]))
        earlier, later = earlier[: time.size], later[: time.size]
    else:
        earlier = later = np.full(time.shape, float(width))
    start, stop = time[rows] - before * earlier[rows], time[rows] + after * later[rows]
    if rows.size == 0:
        return np.empty((0, 2))
    apart = (np.diff(rows) > 1) | (start[1:] > stop[:-1] + _TOUCHING * later[rows][:-1])
    first = np.flatnonzero(np.concatenate(([True], apart)))
    last = np.concatenate((first[1:], [rows.size])) - 1
    pairs = np.stack((start[first], stop[last]), axis=1)
    return pairs[pairs[:, 1] > pairs[:, 0]]


def split_short(intervals: Floats, shortest: float) -> tuple[Floats, float]:
    """Return the intervals that last ``shortest`` seconds or more, and the sum of the others in s.

    Examples
    --------
    >>> kept, lost = split_short(np.array([[0.0, 10.0], [20.0, 21.0]]), 5.0)
    >>> kept.tolist(), lost
    ([[0.0, 10.0]], 1.0)
    """
    lasts = intervals[:, 1] - intervals[:, 0]
    return intervals[lasts >= shortest], float(lasts[lasts < shortest].sum())
