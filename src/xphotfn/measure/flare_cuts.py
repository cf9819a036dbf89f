"""The cut on a light curve, and warnings of what it had to assume."""

import warnings

import numpy as np
from numpy.typing import NDArray

from xphotfn.records.light_curve import FlareCut, LightCurve
from xphotfn.science.flare_cut import Goal, judge

__all__ = ("flare_cut",)


def flare_cut(
    curve: LightCurve,
    goal: Goal = "optimum",
    *,
    smallest: float = 0.05,
    most: float | None = None,
    frame_ends: NDArray[np.float64] | None = None,
) -> FlareCut:
    """Return the time of a light curve that is kept for a goal.

    Parameters
    ----------
    curve
        Background events: sources should be cut out of it.
    goal
        ``optimum``: the best signal-to-noise of a faint source; ``quiet``: no flare left, for extended light;
        ``histogram``: espfilt's, on a curve of 1 s; ``expression``: rates up to ``most``.
    smallest
        The smallest excess that is called a flare, in units of the quiet rate.
    most
        The greatest rate to keep, ct/s, for ``expression``.
    frame_ends
        Where frames end, in s, rising: the edges of what is kept are moved there, so that no frame is cut.

    Raises
    ------
    InvalidRecord
        For an unknown goal, a missing ``most``, or a curve without live time.

    Warns
    -----
    UserWarning
        Where live time has no event although it must, which counts as a gap, or less than 10 % of it is quiet.

    Notes
    -----
    For ``optimum`` and ``quiet`` bins are joined until a quiet one holds 25 counts, and lasts 50 s for ``quiet``. The
    quiet rate is that of the model of two states for every goal; ``residual`` compares the mean rate that is kept with
    it, and for ``quiet`` it is what the model itself expects to be left. A curve without a count is kept whole.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> mean = np.full(600, 70.0); mean[100:150] *= 5
    >>> curve = LightCurve(start_s=0.0, bin_s=50.0, counts=rng.poisson(mean), live_s=np.full(600, 50.0))
    >>> print(flare_cut(curve, "quiet"))
    kept 27.5 of 30.0 ks (92 %), quiet 1.408 +- 0.007 /s, residual 0.0 %
    """
    judged = judge(curve, goal, smallest=smallest, most=most, frame_ends=frame_ends)
    for note in judged.notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    return judged.cut
