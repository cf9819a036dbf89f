"""What a selection says of PI: sets of whole channels, and whether they hold wherever one looks."""

from collections.abc import Iterable
from typing import Literal, TypeAlias, final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.band import Band
from xphotfn.records.fields import whole

__all__ = ("ALL_PI", "NO_PI", "Energies", "EnergyKind", "PiRanges")

Range: TypeAlias = tuple[int | None, int | None]
EnergyKind: TypeAlias = Literal["band", "all", "open", "several", "narrow", "none", "uneven", "unread"]
_LEAST_PI = 20  # below it no camera registers an event, and above it no limit in keV is written


def _merged(values: Iterable[Range]) -> tuple[Range, ...]:
    """Return ranges in order, those that touch joined."""
    ends = ((None if lo is None else whole(lo), None if hi is None else whole(hi)) for lo, hi in values)
    found = sorted(ends, key=lambda r: _low(r[0]))
    result: list[Range] = []
    for lo, hi in found:
        if _low(lo) > _high(hi):
            raise InvalidRecord(f"a range of PI needs lo <= hi, got {lo} to {hi}: give the lower end first")
        if result and _low(lo) <= _high(result[-1][1]) + 1:
            before = result[-1]
            result[-1] = before[0], (before[1] if _high(before[1]) >= _high(hi) else hi)
        else:
            result.append((lo, hi))
    return tuple(result)


def _low(value: int | None) -> float:
    return float("-inf") if value is None else value


def _high(value: int | None) -> float:
    return float("inf") if value is None else value


@final
@frozen(kw_only=True)
class PiRanges:
    """A set of PI channels, which are whole eV: a union of closed ranges.

    Parameters
    ----------
    ranges
        Pairs of the first and last channel, in any order; None is an end that is not limited. Ranges that overlap or
        touch are joined, so equal sets are equal records.

    Examples
    --------
    >>> soft = PiRanges(ranges=[(500, 2000)])
    >>> line = PiRanges(ranges=[(1400, 1600)])
    >>> str(soft & ~line), (soft & ~line).contains(Band(lo_ev=500, hi_ev=1000)), (soft & line).band
    ('0.5-1.399 and 1.601-2 keV', True, Band(lo_ev=1400, hi_ev=1600))
    """

    ranges: tuple[Range, ...] = field(converter=_merged)

    def __and__(self, other: "PiRanges") -> "PiRanges":
        pairs = ((max(a, c, key=_low), min(b, d, key=_high)) for a, b in self.ranges for c, d in other.ranges)
        return PiRanges(ranges=[(lo, hi) for lo, hi in pairs if _low(lo) <= _high(hi)])

    def __or__(self, other: "PiRanges") -> "PiRanges":
        return PiRanges(ranges=self.ranges + other.ranges)

    def __invert__(self) -> "PiRanges":
        starts: list[int | None] = [None]
        ends: list[int | None] = []
        for lo, hi in self.ranges:
            ends.append(None if lo is None else lo - 1)
            starts.append(None if hi is None else hi + 1)
        ends.append(None)
        if self.ranges and self.ranges[0][0] is None:
            starts, ends = starts[1:], ends[1:]
        if self.ranges and self.ranges[-1][1] is None:
            starts, ends = starts[:-1], ends[:-1]
        return PiRanges(ranges=zip(starts, ends, strict=True))

    def contains(self, band: Band) -> bool:
        """Return whether every channel of a band is in the set."""
        return any(_low(lo) <= band.lo_ev and band.hi_ev <= _high(hi) for lo, hi in self.ranges)

    def overlaps(self, band: Band) -> bool:
        """Return whether some channel of a band is in the set."""
        return any(_low(lo) <= band.hi_ev and band.lo_ev <= _high(hi) for lo, hi in self.ranges)

    @property
    def band(self) -> Band | None:
        """The set as a band, where it is one range of several channels with both ends, else None."""
        if len(self.ranges) != 1:
            return None
        lo, hi = self.ranges[0]
        return None if lo is None or hi is None or lo < 0 or lo == hi else Band(lo_ev=lo, hi_ev=hi)

    def __str__(self) -> str:
        if self == ALL_PI:
            return "all energies"
        return f"{' and '.join(map(_text, self.ranges))} keV" if self.ranges else "no energy"

    def _repr_html_(self) -> str:
        return record_html(self)


def _text(ends: Range) -> str:
    lo, hi = ends
    if lo is None or hi is None:
        return f"from {lo / 1000:g}" if lo is not None else f"up to {(hi or 0) / 1000:g}"
    return f"{lo / 1000:g}" if lo == hi else f"{lo / 1000:g}-{hi / 1000:g}"


ALL_PI = PiRanges(ranges=[(None, None)])
"""Every channel."""

NO_PI = PiRanges(ranges=[])
"""No channel."""


@final
@frozen(kw_only=True)
class Energies:
    """The energies that a selection lets through, which may differ from CCD to CCD or from pattern to pattern.

    Parameters
    ----------
    everywhere
        Channels that pass alike: whether such an event is kept does not depend on its energy.
    somewhere
        Channels that can pass at all; those of ``everywhere`` are among them.
    unread
        Whether a condition could not be read, so that nothing passes for sure.

    Examples
    --------
    >>> soft = PiRanges(ranges=[(500, 2000)])
    >>> Energies(everywhere=soft, somewhere=soft).band
    Band(lo_ev=500, hi_ev=2000)
    >>> Energies().kind, str(Energies())
    ('all', 'all energies')
    """

    everywhere: PiRanges = ALL_PI
    somewhere: PiRanges = ALL_PI
    unread: bool = False

    def __attrs_post_init__(self) -> None:
        if self.everywhere & self.somewhere != self.everywhere:
            raise InvalidRecord(f"what passes everywhere passes somewhere: {self.everywhere} against {self.somewhere}")

    def __and__(self, other: "Energies") -> "Energies":
        return Energies(
            everywhere=self.everywhere & other.everywhere,
            somewhere=self.somewhere & other.somewhere,
            unread=self.unread or other.unread,
        )

    def contains(self, band: Band) -> bool:
        """Return whether every channel of a band passes for sure and alike."""
        return self.everywhere.contains(band)

    @property
    def kind(self) -> EnergyKind:
        """What the energies are.

        ``band``: one range with both ends. ``all``: not limited. ``open``: one range that lacks an end. ``several``:
        more than one range, such as a band with a hole. ``narrow``: a single channel, or channels below 20 eV, which
        are limits in keV rather than eV. ``none``: nothing passes, the conditions contradict each other.
        ``uneven``: they differ from CCD to CCD, or with another column. ``unread``: a condition could not be read.
        """
        if self.unread or self.everywhere != self.somewhere:
            return "unread" if self.unread else "uneven"
        if self.somewhere == ALL_PI:
            return "all"
        if len(self.somewhere.ranges) != 1:
            return "several" if self.somewhere.ranges else "none"
        lo, hi = self.somewhere.ranges[0]
        if lo is None or hi is None or lo < 0:
            return "open"
        return "narrow" if lo == hi or hi <= _LEAST_PI else "band"

    @property
    def band(self) -> Band | None:
        """The band, where the energies are one; else None."""
        return self.somewhere.band if self.kind == "band" else None

    def __str__(self) -> str:
        if self.unread:
            return f"a selection on PI that cannot be read, within {self.somewhere}"
        if self.everywhere != self.somewhere:
            return f"{self.somewhere} in some places, {self.everywhere} in all"
        return str(self.somewhere)

    def _repr_html_(self) -> str:
        return record_html(self)
