"""Good time: the intervals during which what was observed may be used."""

import math
from collections.abc import Iterable
from typing import TypeAlias, final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html

__all__ = ("GoodTimes", "Pairs", "good_times")

Pairs: TypeAlias = tuple[tuple[float, float], ...]


def _joined(values: Iterable[Iterable[float]]) -> Pairs:
    """Return intervals in order: overlapping and touching ones joined, those that do not last left out."""
    found: list[tuple[float, float]] = []
    for start, stop in sorted(_pair(value) for value in values):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        elif stop > start:
            found.append((start, stop))
    return tuple(pair for pair in found if pair[1] > pair[0])


def _pair(value: Iterable[float]) -> tuple[float, float]:
    numbers = tuple(map(float, value))
    if len(numbers) != 2 or any(map(math.isnan, numbers)) or numbers[1] < numbers[0]:
        raise InvalidRecord(f"good times are pairs (start, stop) that run upwards in time, got {numbers}")
    return numbers[0], numbers[1]


@final
@frozen(kw_only=True)
class GoodTimes:
    """Intervals of time in which events and frames count; build it with :func:`good_times`.

    ``a & b`` is the time that both hold, ``a | b`` the time that either holds, ``~a`` the time that it does not hold
    (from minus to plus infinity).

    Parameters
    ----------
    intervals
        Pairs ``(start, stop)`` in s of mission time, both ends included. They are put in order; intervals that overlap
        or touch become one, intervals that do not last (start = stop) are left out.
    origin
        Where they come from, such as ``gti.fits`` or ``RATE<=0.4``.

    Examples
    --------
    >>> night = GoodTimes(intervals=((20.0, 30.0), (0.0, 10.0), (10.0, 12.0)))
    >>> night.intervals, night.seconds
    (((0.0, 12.0), (20.0, 30.0)), 22.0)
    >>> (night & ~GoodTimes(intervals=((5.0, 25.0),))).intervals
    ((0.0, 5.0), (25.0, 30.0))
    """

    intervals: Pairs = field(converter=_joined)
    origin: str = ""

    @property
    def seconds(self) -> float:
        """Their sum in s; infinite where an end is open."""
        return math.fsum(stop - start for start, stop in self.intervals)

    def __and__(self, other: "GoodTimes") -> "GoodTimes":
        if not isinstance(other, GoodTimes):
            return NotImplemented
        found: list[tuple[float, float]] = []
        i = j = 0
        while i < len(self.intervals) and j < len(other.intervals):
            a, b = self.intervals[i], other.intervals[j]
            low, high = max(a[0], b[0]), min(a[1], b[1])
            if high > low:
                found.append((low, high))
            i, j = (i + 1, j) if a[1] <= b[1] else (i, j + 1)
        return GoodTimes(intervals=tuple(found), origin=_origin(self, "&", other))

    def __or__(self, other: "GoodTimes") -> "GoodTimes":
        if not isinstance(other, GoodTimes):
            return NotImplemented
        return GoodTimes(intervals=(*self.intervals, *other.intervals), origin=_origin(self, "|", other))

    def __invert__(self) -> "GoodTimes":
        edges = [-math.inf, *(edge for pair in self.intervals for edge in pair), math.inf]
        pairs = tuple(zip(edges[::2], edges[1::2], strict=True))
        return GoodTimes(intervals=pairs, origin=f"~({self.origin})" if self.origin else "")

    def __repr__(self) -> str:
        what = f", origin={self.origin!r}" if self.origin else ""
        return f"GoodTimes({len(self.intervals)} intervals, {self.seconds:g} s{what})"

    def _repr_html_(self) -> str:
        return record_html(self)


def _origin(first: GoodTimes, operator: str, second: GoodTimes) -> str:
    known = [part.origin for part in (first, second) if part.origin]
    return f" {operator} ".join(f"({text})" for text in known) if len(known) > 1 else "".join(known)


def good_times(intervals: Iterable[Iterable[float]], *, origin: str = "") -> GoodTimes:
    """Return good time from pairs of start and stop.

    Parameters
    ----------
    intervals
        Pairs ``(start, stop)`` in s of mission time, in any order; an array of shape (n, 2) will do.
    origin
        Where they come from.

    Raises
    ------
    InvalidRecord
        For NaN, or a stop before its start.

    Examples
    --------
    >>> good_times([(0, 10), (5, 20), (30, 30)])
    GoodTimes(1 intervals, 20 s)
    """
    return GoodTimes(intervals=tuple(intervals), origin=origin)
