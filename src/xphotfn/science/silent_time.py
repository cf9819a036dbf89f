"""Live time without events: frames whose events were lost or filtered elsewhere are no quiet state."""

import attrs
import numpy as np

from xphotfn.records.light_curve import LightCurve

__all__ = ("without_silence",)

_IMPOSSIBLE = -float(np.log(1e-9))  # expected counts of a run of bins without any
_LOW = 0.1  # part of the bins with events that are below the rate that is expected at least
_FEWEST = 5.0  # counts of such a bin: with fewer its rate is not known


def without_silence(curve: LightCurve) -> LightCurve:
    """Return a curve in which time that cannot be without events, but is, has no live time.

    Parameters
    ----------
    curve
        The light curve.

    Returns
    -------
    LightCurve
        The curve itself where there is no such time.

    Notes
    -----
    A run of bins without an event is a gap where its Poisson probability is below 1e-9 at the lowest tenth of the rates
    of all bins with events. Where a bin of that rate holds less than 5 counts, nothing is changed.

    Examples
    --------
    >>> curve = LightCurve(start_s=0.0, bin_s=10.0, counts=[30, 28, 0, 33, 29], live_s=[10.0] * 5)
    >>> without_silence(curve).live_s.tolist()
    [10.0, 10.0, 0.0, 10.0, 10.0]
    """
    used = (curve.live_s > 0) & (curve.counts > 0)
    empty = (curve.live_s > 0) & (curve.counts == 0)
    if not (used.any() and empty.any()):
        return curve
    low = float(np.quantile(curve.rate[used], _LOW))
    if low * float(np.median(curve.live_s[used])) < _FEWEST:
        return curve
    live = curve.live_s.copy()
    quiet = empty | (live == 0)  # a gap does not end a run
    for first, last in np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(np.int8), [0])))).reshape(-1, 2):
        if low * float(live[first:last].sum()) > _IMPOSSIBLE:
            live[first:last] = 0.0
    return curve if np.array_equal(live, curve.live_s) else attrs.evolve(curve, live_s=live)
