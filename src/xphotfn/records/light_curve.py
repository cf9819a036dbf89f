"""Light curves that know their live time, the cut that is made on them, and what is left of soft protons."""

from typing import Any, final

import attrs
import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.html import block, facts, record_html
from xphotfn.records.fields import finite, one_of, positive
from xphotfn.records.good_times import GoodTimes

__all__ = ("GOALS", "FlareCut", "InOut", "LightCurve")

GOALS = ("optimum", "quiet", "histogram", "expression", "pipeline", "given", "curve")
_same = attrs.cmp_using(eq=np.array_equal)


def _counts(values: Any) -> NDArray[np.int64]:
    array = np.array(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu") or np.any(array < 0):
        raise InvalidRecord(f"LightCurve.counts must be whole numbers, not negative, one per bin, got {array.dtype}")
    whole = array.astype(np.int64)
    whole.setflags(write=False)
    return whole


def _seconds(values: Any) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1 or not np.all(np.isfinite(array)) or np.any(array < 0):
        raise InvalidRecord("LightCurve.live_s must be finite, not negative, one per bin")
    array.setflags(write=False)
    return array


@final
@frozen(kw_only=True)
class LightCurve:
    """Counts and live time in equal bins of time: a bin without live time is a gap, not a quiet bin.

    Parameters
    ----------
    start_s
        Start of the first bin, in s of mission time.
    bin_s
        Width of the bins in s.
    counts
        Array of shape (n,), int64: events in each bin.
    live_s
        Array of shape (n,), float64: live time of each bin in s, a mean over the CCDs.
    selection
        The expression that chose the events.
    source
        Name of the event list.

    Examples
    --------
    >>> curve = LightCurve(start_s=100.0, bin_s=10.0, counts=[20, 0, 3], live_s=[10.0, 0.0, 5.0])
    >>> curve.rate.tolist(), curve.time.tolist(), curve.seconds
    ([2.0, nan, 0.6], [105.0, 115.0, 125.0], 15.0)
    """

    start_s: float = field(converter=float, validator=finite)
    bin_s: float = field(converter=float, validator=positive)
    counts: NDArray[np.int64] = field(converter=_counts, eq=_same, hash=False, repr=False)
    live_s: NDArray[np.float64] = field(converter=_seconds, eq=_same, hash=False, repr=False)
    selection: str = ""
    source: str = ""

    def __attrs_post_init__(self) -> None:
        if self.counts.shape != self.live_s.shape:
            raise InvalidRecord(f"LightCurve has {self.counts.size} counts for {self.live_s.size} live times")

    @property
    def time(self) -> NDArray[np.float64]:
        """Middle of each bin in s of mission time, shape (n,)."""
        return np.asarray(self.start_s + np.arange(self.counts.size) * self.bin_s + self.bin_s / 2)

    @property
    def rate(self) -> NDArray[np.float64]:
        """Counts per second of live time, shape (n,); NaN where there is none."""
        return self._per_second(self.counts)

    @property
    def error(self) -> NDArray[np.float64]:
        """Square root of the counts per second of live time, shape (n,); NaN where there is none."""
        return self._per_second(np.sqrt(self.counts))

    @property
    def seconds(self) -> float:
        """Live time of the whole curve in s."""
        return float(self.live_s.sum())

    def _per_second(self, values: NDArray[Any]) -> NDArray[np.float64]:
        lives = self.live_s > 0
        return np.asarray(np.divide(values, self.live_s, out=np.full(values.shape, np.nan), where=lives))

    def _repr_html_(self) -> str:
        rows = [
            ("Bins", f"{self.counts.size} of {self.bin_s:g} s"),
            ("Live time", f"{self.seconds / 1000:.2f} ks"),
            ("Counts", f"{int(self.counts.sum())}"),
            ("Events", self.selection),
            ("List", self.source),
        ]
        return block("LightCurve", facts(rows))


@final
@frozen(kw_only=True)
class FlareCut:
    """What a cut on a light curve keeps, and what it leaves.

    Parameters
    ----------
    goal
        What the cut is made for: ``optimum`` (signal-to-noise of a faint source), ``quiet`` (purity), ``histogram``
        (espfilt's), ``expression`` (a condition of one's own), ``pipeline`` (FLCUTTHR of a found curve) or ``given``.
    rate
        Greatest rate that is kept, ct/s.
    quiet, quiet_error
        Rate without flares and its error, ct/s; NaN where it is not known.
    kept_s, total_s
        Live time that is kept, and before, in s.
    residual
        Mean rate of what is kept over the quiet rate, minus one; NaN where that is not known.
    over_dispersion
        Chi-square per bin of what is kept against its mean: 1 for a steady Poisson rate; NaN for fewer than two bins.
    good
        The time that is kept.

    Examples
    --------
    >>> cut = FlareCut(goal="quiet", rate=2.1, quiet=1.558, quiet_error=0.010, kept_s=16300.0, total_s=21900.0)
    >>> print(cut)
    kept 16.3 of 21.9 ks (74 %), quiet 1.558 +- 0.010 /s, residual unknown
    """

    goal: str = field(validator=one_of(*GOALS))
    rate: float = field(converter=float)
    quiet: float = field(converter=float)
    quiet_error: float = field(converter=float)
    kept_s: float = field(converter=float, validator=finite)
    total_s: float = field(converter=float, validator=finite)
    residual: float = field(default=float("nan"), converter=float)
    over_dispersion: float = field(default=float("nan"), converter=float)
    good: GoodTimes = GoodTimes(intervals=())

    @property
    def kept(self) -> float:
        """Fraction of the live time that is kept; 0 where there was none."""
        return self.kept_s / self.total_s if self.total_s > 0 else 0.0

    def __str__(self) -> str:
        quiet = f"{self.quiet:.3f} +- {self.quiet_error:.3f} /s" if np.isfinite(self.quiet) else "unknown"
        residual = f"{100 * self.residual:.1f} %" if np.isfinite(self.residual) else "unknown"
        kept = f"kept {self.kept_s / 1000:.1f} of {self.total_s / 1000:.1f} ks ({100 * self.kept:.0f} %)"
        return f"{kept}, quiet {quiet}, residual {residual}"

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True)
class InOut:
    """Rate inside the field of view over that of the corners, which no photon reaches: what soft protons are left.

    Parameters
    ----------
    ratio, error
        The ratio of rates per area, and its error.
    inside, outside
        Counts.
    area_ratio
        Area inside over area outside.

    Examples
    --------
    >>> print(InOut(ratio=1.17, error=0.04, inside=1170, outside=1000, area_ratio=1.0))
    IN/OUT 1.17 +- 0.04 slightly contaminated
    """

    ratio: float = field(converter=float)
    error: float = field(converter=float)
    inside: int
    outside: int
    area_ratio: float = field(converter=float, validator=positive)

    @property
    def category(self) -> str:
        """How contaminated it is by the scale of De Luca & Molendi (2004)."""
        scale = ((1.15, "not contaminated"), (1.3, "slightly contaminated"), (1.5, "very contaminated"))
        return next((word for limit, word in scale if self.ratio < limit), "extremely contaminated")

    def __str__(self) -> str:
        return f"IN/OUT {self.ratio:.2f} +- {self.error:.2f} {self.category}"

    def _repr_html_(self) -> str:
        return record_html(self)
