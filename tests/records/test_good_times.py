"""Good time as a set: laws of the operators against membership of points, joining, what is refused."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given

from xphotfn.errors import InvalidRecord
from xphotfn.records.good_times import GoodTimes, good_times
from xphotfn.testing import strategies as xst

POINTS = np.arange(-1, 51, 0.125) + 1 / 16  # between the edges that the strategy draws


def holds(times):
    return np.any([(a <= POINTS) & (b >= POINTS) for a, b in times.intervals] or [np.zeros(POINTS.shape, bool)], axis=0)


@given(xst.good_times(open_ends=True), xst.good_times(open_ends=True))
def test_operators_are_those_of_sets(one, other):
    np.testing.assert_array_equal(holds(one & other), holds(one) & holds(other))
    np.testing.assert_array_equal(holds(one | other), holds(one) | holds(other))
    np.testing.assert_array_equal(holds(~one), ~holds(one))
    assert (~~one).intervals == one.intervals
    assert (~(one & other)).intervals == (~one | ~other).intervals


@given(xst.good_times())
def test_intervals_are_apart_in_order_and_last(times):
    edges = [edge for pair in times.intervals for edge in pair]
    assert all(a < b for a, b in pairwise(edges))
    assert times.seconds == pytest.approx(holds(times).sum() * 0.125)


def test_touching_ones_join_and_empty_ones_go():
    times = good_times([(10, 20), (0, 10), (30, 30), (15, 18)], origin="a")
    assert times.intervals == ((0.0, 20.0),)
    assert times == good_times(np.array([[0.0, 20.0]]), origin="a")


def test_origins_are_kept():
    both = good_times([(0, 9)], origin="a") & good_times([(3, 20)], origin="b")
    assert (both.intervals, both.origin, (~both).seconds) == (((3.0, 9.0),), "(a) & (b)", math.inf)


@pytest.mark.parametrize("bad", [[(2, 1)], [(math.nan, 1)], [(0, 1, 2)], [(0,)]])
def test_what_is_no_interval_is_refused(bad):
    with pytest.raises(InvalidRecord, match="run upwards in time"):
        good_times(bad)


def test_other_things_are_no_good_time():
    with pytest.raises(TypeError):
        GoodTimes(intervals=()) & 3
