"""What may be wrong with a source, from the maps around it."""

from collections.abc import Sequence

import numpy as np

from xphotfn.records.source import SourceFlag
from xphotfn.science._numeric import Floats

__all__ = ("EDGE", "LEAST_COVERAGE", "along_a_line", "flags_of")

LEAST_COVERAGE, EDGE = 0.5, 0.8  # part of the light on live pixels
_OUTSHINES = 0.5  # light of others over the background
_STREAK = 0.3
_LINE_SIGMA = 5.0


def flags_of(coverage: Floats, points: float, extended: float, streak: float, line: float) -> int:
    """Return the flags of a source as a sum of :class:`SourceFlag`.

    Parameters
    ----------
    coverage
        Part of its light on live pixels, one for each map.
    points, extended, streak
        Light of other point sources, of other extended ones, and of streaks at its place, over the background.
    line
        Significance of the column or row that runs through it.
    """
    best = float(np.max(coverage, initial=0.0))
    raised = {
        SourceFlag.LOW_COVERAGE: best < LEAST_COVERAGE,
        SourceFlag.AT_EDGE: best < EDGE,
        SourceFlag.NEAR_BRIGHT: points > _OUTSHINES,
        SourceFlag.INSIDE_EXTENDED: extended > _OUTSHINES,
        SourceFlag.ON_STREAK: streak > _STREAK,
        SourceFlag.HOT_COLUMN: line > _LINE_SIGMA,
    }
    return int(sum(flag for flag, true in raised.items() if true))


def along_a_line(counts: Floats, model: Floats, near: int = 4) -> float:
    """Return the significance of what a model leaves in the row and the column through the middle of a window.

    Parameters
    ----------
    counts, model
        Square arrays of odd side, in counts.
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
    for image, expected in ((counts, model), (counts.T, model.T)):
        for line in range(middle - 1, middle + 2):
            halves = (np.s_[: middle - near], np.s_[middle + near + 1 :])
            sums: Sequence[tuple[float, float]] = [
                (float(image[line, h].sum()), float(expected[line, h].sum())) for h in halves
            ]
            found.append(min((n - m) / (m + 1) ** 0.5 for n, m in sums))
    return max(found)
