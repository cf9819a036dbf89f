"""Strategies for good time and light curves."""

from typing import Any

from hypothesis import strategies as st

from xphotfn.records.good_times import GoodTimes

__all__ = ("good_times",)


def good_times(*, open_ends: bool = False, max_size: int = 6) -> st.SearchStrategy[GoodTimes]:
    """Return a strategy for good time: intervals on a raster of quarters of seconds, also touching and empty ones.

    Parameters
    ----------
    open_ends
        Draw intervals without a start or without an end too.
    max_size
        Greatest number of intervals that are drawn; fewer where they join.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(good_times(), lambda times: len(times.intervals) > 1).seconds
    0.5
    """
    edges: Any = st.integers(0, 200).map(lambda n: n / 4)
    if open_ends:
        edges = edges | st.sampled_from((float("-inf"), float("inf")))
    pair = st.tuples(edges, edges).map(sorted).map(tuple)
    return st.builds(
        GoodTimes,
        intervals=st.lists(pair, max_size=max_size).map(tuple),
        origin=st.sampled_from(("", "gti.fits", "RATE<=0.4")),
    )
