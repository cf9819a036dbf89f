"""What may be wrong with a source, from the maps around it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from xphotfn.records.source import SourceFlag
from xphotfn.science._numeric import Floats

__all__ = (
    "EDGE",
    "LEAST_COVERAGE",
    "along_a_line",
    "camera_missing",
    "flags_of",
    "in_one_pixel",
    "on_hot_lines",
    "well_seen",
)

LEAST_COVERAGE, EDGE = 0.5, 0.8  # part of the light on live pixels
_LEAST_SEEN = (
    0.15  # the same, below which a map counts for nothing: 4XMM takes such a camera for one without the source
)
_OUTSHINES = 0.5  # light of others over the background
_STREAK = 0.3
_LINE_SIGMA = 5.0
_BESIDE, _BEYOND, _LEAST_SPAN = 1.5, 30.0, 6.0  # pixels from a line, past its ends, and between two that make one
_WINGS = 3.0  # times the light of others beside a line, for what of it may lie on the line
_ONE_PIXEL = 7.0  # by how much the likelihood of a few pixels must exceed that of a source


def flags_of(coverage: Floats, points: float, extended: float, streak: float, line: float, pixel: float) -> int:
    """Return the flags of a source as a sum of :class:`SourceFlag`.

    Parameters
    ----------
    coverage
        Part of its light on live pixels, one for each map.
    points, extended, streak
        Light of other point sources, of other extended ones, and of streaks at its place, over the background.
    line
        Significance of the column or row that runs through it.
    pixel
        By how much the likelihood of counts in one pixel of the detector exceeds that of the source.
    """
    best = float(np.max(coverage, initial=0.0))
    raised = {
        SourceFlag.LOW_COVERAGE: best < LEAST_COVERAGE,
        SourceFlag.AT_EDGE: best < EDGE,
        SourceFlag.NEAR_BRIGHT: points > _OUTSHINES,
        SourceFlag.INSIDE_EXTENDED: extended > _OUTSHINES,
        SourceFlag.ON_STREAK: streak > _STREAK,
        SourceFlag.HOT_COLUMN: line > _LINE_SIGMA,
        SourceFlag.HOT_PIXEL: pixel > _ONE_PIXEL,
    }
    return int(sum(flag for flag, true in raised.items() if true))


def well_seen(coverage: Sequence[float] | Floats) -> NDArray[np.bool_]:
    """Return which maps see enough of a source to count in its rate and counts.

    Those that see 15 % of its light or more; where none does, the one that sees most. A smaller part is all wings,
    where the point spread function is known worst, and its rate and error grow by what is missing.

    Parameters
    ----------
    coverage
        Part of its light on live pixels, one for each map.

    References
    ----------
    4XMM, description of the columns: MASKFRAC of a camera below 0.15 is no detection.

    Examples
    --------
    >>> well_seen([1.0, 0.03, 0.2]).tolist(), well_seen([0.0, 0.1]).tolist()
    ([True, False, True], [False, True])
    """
    parts = np.asarray(coverage, dtype=np.float64)
    return np.asarray((parts > 0) & (parts >= min(_LEAST_SEEN, float(np.max(parts, initial=0.0)))))


def camera_missing(cameras: Sequence[str], coverage: Sequence[float] | Floats) -> int:
    """Return the flag of a source whose rate lacks a camera of the maps; 0 where it lacks none.

    Examples
    --------
    >>> camera_missing(["pn", "mos1"], [1.0, 0.03]), camera_missing(["pn", "pn"], [1.0, 0.03])
    (256, 0)
    """
    seen = {camera for camera, counts in zip(cameras, well_seen(coverage), strict=True) if counts}
    return int(SourceFlag.CAMERA_MISSING) if set(cameras) - seen else 0


def along_a_line(counts: Floats, model: Floats, points: Floats, near: int = 4) -> float:
    """Return the significance of what a model leaves in the row and the column through the middle of a window.

    Parameters
    ----------
    counts, model
        Square arrays of odd side, in counts.
    points
        Light of other points, which is not in the model: a hot column is full of points. Their wings are told from it
        by what lies ``near`` pixels beside the line.
    near
        Pixels from the middle that do not count.

    Notes
    -----
    Three rows and three columns, the brightest; ``(n - m)/sqrt(m + 1)``, the lower of that of both halves of a line, so
    that a neighbour on one side is no line.
    """
    middle = len(counts) // 2
    if middle <= near + 2:
        return 0.0
    found: list[float] = []
    for image, expected, others in ((counts, model, points), (counts.T, model.T, points.T)):
        for line in range(middle - 1, middle + 2):
            mean = expected[line] + _WINGS * (others[line - near] + others[line + near]) / 2
            halves = (np.s_[: middle - near], np.s_[middle + near + 1 :])
            sums: Sequence[tuple[float, float]] = [(float(image[line, h].sum()), float(mean[h].sum())) for h in halves]
            found.append(min((n - m) / (m + 1) ** 0.5 for n, m in sums))
    return max(found)


def in_one_pixel(counts: Floats, level: Floats, others: Floats, own: Floats) -> float:
    """Return by how much the log likelihood of counts in a few pixels of one map exceeds that of a source in all.

    Parameters
    ----------
    counts, level, others, own
        Counts, background (above 0), light of other sources and of the source, in counts: arrays of shape
        (maps, side, side) whose middle is the source.

    Notes
    -----
    A pixel of the detector (4.1 arcsec of pn, 1.1 of MOS) falls on 2 x 2 pixels of an image at most: of their excess
    ``sum(n ln(n/b) - n + b)``, without any light around, the highest near the source; of the source that of
    its fit, ``sum(n ln(1 + s/b) - s)``. Light of a telescope falls outside them too, so that the source has the higher.
    The light of others counts twice in the first: off the axis it is stretched by as much.
    """
    rest = level + others
    most = rest + others
    excess = counts - most
    cells = np.where(excess > 0, xlogy(counts, counts / most) - excess, 0.0)
    blocks = cells[:, :-1, :-1] + cells[:, 1:, :-1] + cells[:, :-1, 1:] + cells[:, 1:, 1:]
    near = np.s_[counts.shape[1] // 2 - 2 : counts.shape[1] // 2 + 2]
    return float(blocks[:, near, near].max() - np.sum(counts * np.log1p(own / rest) - own))


def on_hot_lines(places: Floats, flagged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which sources lie on a column or row of which two or more are flagged already.

    The light of a source of its own hides the line under it, and near an end of a line one half of it is short.

    Parameters
    ----------
    places
        Positions in pixels, shape (n, 2).
    flagged
        Which of them :func:`along_a_line` has found, shape (n,).

    Examples
    --------
    >>> on_hot_lines(np.array([[9.0, 9], [9.2, 30], [9.1, 50], [9, 90], [20, 30]]), np.array([1, 1, 0, 0, 0]) > 0)
    array([ True,  True,  True, False, False])
    """
    known, found = places[flagged], flagged.copy()
    for along in (0, 1):
        across = 1 - along
        for number, place in enumerate(places):
            line = known[np.abs(known[:, across] - place[across]) < _BESIDE, along]
            if line.size > 1 and np.ptp(line) > _LEAST_SPAN:
                found[number] |= line.min() - _BEYOND < place[along] < line.max() + _BEYOND
    return found
