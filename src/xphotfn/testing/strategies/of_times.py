"""Strategies for good time and light curves."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from xphotfn.records.good_times import GoodTimes
from xphotfn.records.light_curve import GOALS, FlareCut, InOut, LightCurve

__all__ = ("flare_cuts", "good_times", "in_outs", "light_curves")


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
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(good_times())
    ... def test_seconds_are_those_of_intervals(times):
    ...     assert times.seconds == sum(stop - start for start, stop in times.intervals)
    >>> test_seconds_are_those_of_intervals()
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


def light_curves(*, max_size: int = 60) -> st.SearchStrategy[LightCurve]:
    """Return a strategy for light curves: Poisson counts of a steady or flaring rate, with gaps.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(light_curves())
    ... def test_bins_live_no_longer_than_they_last(curve):
    ...     assert (curve.live_s <= curve.bin_s).all()
    >>> test_bins_live_no_longer_than_they_last()
    """

    def made(bins: int, rate: float, flares: bool, seed: int, bin_s: float) -> LightCurve:
        rng = np.random.default_rng(seed)
        live = bin_s * rng.choice([0.0, 0.5, 1.0], bins, p=[0.1, 0.1, 0.8])
        mean = rate * (1 + 9 * flares * (rng.random(bins) < 0.2)) * live
        counts = rng.poisson(mean)
        words = {"selection": f"PI>{seed % 3}", "source": f"{'ab'[seed % 2]}.fits"}
        return LightCurve(start_s=1e8 + seed % 5, bin_s=bin_s, counts=counts, live_s=live, **words)

    return st.builds(
        made,
        st.integers(1, max_size),
        st.sampled_from((0.3, 1.4, 4.0)),
        st.booleans(),
        st.integers(0, 2**16),
        st.sampled_from((26.0, 10.0)),
    )


def flare_cuts() -> st.SearchStrategy[FlareCut]:
    """Return a strategy for cuts.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(flare_cuts())
    ... def test_no_more_is_kept_than_there_is(cut):
    ...     assert cut.kept_s <= cut.total_s
    >>> test_no_more_is_kept_than_there_is()
    """
    return st.builds(
        FlareCut,
        goal=st.sampled_from(GOALS),
        rate=st.floats(0.1, 9),
        quiet=st.floats(0.1, 4),
        quiet_error=st.floats(0.01, 0.1),
        kept_s=st.floats(0, 1000),
        total_s=st.floats(1000, 9000),
        residual=st.floats(0, 2),
        over_dispersion=st.floats(0.5, 4),
        good=good_times(),
    )


def in_outs() -> st.SearchStrategy[InOut]:
    """Return a strategy for IN/OUT ratios.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(in_outs())
    ... def test_high_ratios_are_contaminated(found):
    ...     assert found.ratio <= 1.5 or found.category == "extremely contaminated"
    >>> test_high_ratios_are_contaminated()
    """
    return st.builds(
        InOut,
        ratio=st.floats(0.5, 9),
        error=st.floats(0.01, 0.5),
        inside=st.integers(0, 9999),
        outside=st.integers(1, 9999),
        area_ratio=st.floats(0.5, 9),
    )
