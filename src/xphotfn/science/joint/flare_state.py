"""Light curves of several cameras judged as one: a flare of soft protons is in all of them at the same time."""

from collections.abc import Sequence
from math import ceil, floor

import attrs
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.records.light_curve import LightCurve
from xphotfn.science.flare_cut import quiet_bins
from xphotfn.science.flares import quiet_states

__all__ = ("JOINT_BIN_S", "common_bins", "joint_curve")

Floats = NDArray[np.float64]

JOINT_BIN_S = 26.0
"""Width of the bins of cameras that are judged together, in s: that of MOS; pn has some 354 frames in it."""

_SLACK = 1e-6  # of a bin


def common_bins(start_s: float, stop_s: float, bin_s: float) -> tuple[float, int]:
    """Return the start and number of the bins that hold a time, on edges that all lists of a mission share.

    Examples
    --------
    >>> common_bins(27.0, 80.0, 26.0)
    (26.0, 3)
    """
    first = floor(start_s / bin_s)
    return first * bin_s, max(1, ceil(stop_s / bin_s) - first)


def joint_curve(curves: Sequence[LightCurve], *, smallest: float = 0.05) -> LightCurve:
    """Return the curve of several cameras together, for a cut that they share.

    Parameters
    ----------
    curves
        One for each camera, with bins of one width whose edges fall together; they may begin and end apart.
    smallest
        The smallest excess that is called a flare, as :func:`~xphotfn.science.flare_cut.flare_cut` has it.

    Returns
    -------
    LightCurve
        Counts are added. The live time of a bin is that of the cameras weighted by their quiet rates, so that a quiet
        bin has the same rate whichever cameras were on: pn begins later than MOS and counts three times as much.

    Raises
    ------
    InvalidRecord
        Without curves, or where their bins do not fall together.

    Examples
    --------
    >>> one = LightCurve(start_s=0.0, bin_s=10.0, counts=[10, 10, 10], live_s=[10.0, 10.0, 10.0])
    >>> late = LightCurve(start_s=10.0, bin_s=10.0, counts=[30, 30], live_s=[10.0, 10.0])
    >>> both = joint_curve((one, late))
    >>> both.counts.tolist(), both.live_s.tolist(), both.rate.tolist()
    ([10, 40, 40], [2.5, 10.0, 10.0], [4.0, 4.0, 4.0])
    """
    if not curves or len({c.bin_s for c in curves}) != 1:
        raise InvalidRecord(
            "curves that are judged together need bins of one width: make them with one start and width"
        )
    width, start = curves[0].bin_s, min(c.start_s for c in curves)
    offsets = [(c.start_s - start) / width for c in curves]
    if any(abs(offset - round(offset)) > _SLACK for offset in offsets):
        raise InvalidRecord("curves that are judged together need bins that fall together: make them with one start")
    firsts = [round(offset) for offset in offsets]
    size = max(first + c.counts.size for first, c in zip(firsts, curves, strict=True))
    quiet = np.array([_quiet_rate(c, smallest) for c in curves])
    shares = quiet / quiet.sum() if quiet.sum() > 0 else np.full(len(curves), 1 / len(curves))
    counts, live = np.zeros(size, dtype=np.int64), np.zeros(size)
    for curve, first, share in zip(curves, firsts, shares, strict=True):
        place = slice(first, first + curve.counts.size)
        counts[place] += curve.counts
        live[place] += share * curve.live_s
    source = " + ".join(dict.fromkeys(c.source for c in curves if c.source))
    return attrs.evolve(curves[0], start_s=start, counts=counts, live_s=live, source=source)


def _quiet_rate(curve: LightCurve, smallest: float) -> float:
    if not curve.seconds > 0:
        return 0.0
    bins = quiet_bins(curve)
    rate = quiet_states(bins.counts, bins.live_s, bins.bin_s, smallest=smallest).rate
    return float(rate) if np.isfinite(rate) and bins.counts.any() else 0.0
