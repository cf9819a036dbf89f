"""The cut on a light curve, for a goal: which time is kept, how quiet it is and what is left in it."""

from typing import Literal, NamedTuple, TypeAlias, assert_never, get_args

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from xphotfn.errors import InvalidRecord
from xphotfn.records.good_times import GoodTimes, good_times
from xphotfn.records.light_curve import FlareCut, InOut, LightCurve
from xphotfn.science.flares import QuietStates, histogram_cut, optimum_cut, quiet_states, within_width
from xphotfn.science.silent_time import without_silence
from xphotfn.science.time_bins import rebinned, to_frame_ends

__all__ = (
    "FEWEST_COUNTS",
    "Goal",
    "Judged",
    "RateHistogram",
    "coarser",
    "histogram_of_rates",
    "in_out_ratio",
    "judge",
    "kept_by",
    "quiet_bins",
    "snr_by_cut",
)

Floats = NDArray[np.float64]
Chosen = NDArray[np.bool_]
Goal: TypeAlias = Literal["optimum", "quiet", "histogram", "expression"]

FEWEST_COUNTS = 25.0
"""Counts that a quiet bin should hold: choosing the lowest of bins of 8 counts makes what is kept 1 to 3 % too low."""

_SHORTEST_S = 50.0  # of a bin in which a flare can be told from noise by its neighbours
_FLARED = 0.5
_FEW = 0.1  # part of the live time that is quiet: less is said
_WHOLE = 0.999  # part of a bin that is kept


class _Kept(NamedTuple):
    """Which bins are kept, up to which rate, and the part of what is kept that is not quiet; NaN to work it out."""

    chosen: Chosen
    rate: float
    residual: float = float("nan")


def coarser(curve: LightCurve, factor: int) -> LightCurve:
    """Return a curve whose bins are so many of the old ones together.

    Examples
    --------
    >>> curve = LightCurve(start_s=0.0, bin_s=10.0, counts=[1, 2, 3], live_s=[10.0, 10.0, 5.0])
    >>> wide = coarser(curve, 2)
    >>> wide.counts.tolist(), wide.live_s.tolist(), wide.bin_s
    ([3, 3], [20.0, 5.0], 20.0)
    """
    if factor < 1:
        raise InvalidRecord(f"a curve can be made coarser by a whole factor of 1 or more, got {factor}")
    if factor == 1:
        return curve
    counts, live = rebinned(curve.counts, factor), rebinned(curve.live_s, factor)
    return attrs.evolve(curve, bin_s=curve.bin_s * factor, counts=counts, live_s=live)


class Judged(NamedTuple):
    """A cut, and what has to be said of it."""

    cut: FlareCut
    notes: tuple[str, ...]


def judge(
    curve: LightCurve,
    goal: Goal = "optimum",
    *,
    smallest: float = 0.05,
    most: float | None = None,
    frame_ends: NDArray[np.float64] | None = None,
) -> Judged:
    """Return the cut of :func:`xphotfn.flare_cut` with its notes, which that warns of."""
    if goal not in get_args(Goal):
        raise InvalidRecord(f"flares can be cut for {', '.join(get_args(Goal))}, got {goal!r}: choose one of them")
    if not curve.seconds > 0:
        raise InvalidRecord(f"the light curve of {curve.source or 'this list'} has no live time: nothing can be kept")
    heard = without_silence(curve)
    states_of = _grouped(heard, _SHORTEST_S)
    states = quiet_states(states_of.counts, states_of.live_s, states_of.bin_s, smallest=smallest)
    bins = states_of if goal == "quiet" else _grouped(heard, 0.0) if goal == "optimum" else heard
    kept = _kept(goal, bins, states, most)
    cut = _described(goal, bins, kept._replace(chosen=kept.chosen & (bins.live_s > 0)), states, frame_ends)
    return Judged(cut, _notes(curve.seconds - heard.seconds, states_of, states))


def _notes(silent_s: float, bins: LightCurve, states: QuietStates) -> tuple[str, ...]:
    quiet = float(bins.live_s[states.flare < _FLARED].sum()) / bins.seconds
    gap = f"no event for {silent_s:.0f} s of live time: counted as a gap, not as quiet (lost, or filtered elsewhere?)"
    few = f"the quiet rate is that of {quiet:.1%} of the live time: look at the light curve, the rest may be no flare"
    return (*((gap,) if silent_s > 0 else ()), *((few,) if quiet < _FEW else ()))


def kept_by(curve: LightCurve, good: GoodTimes, goal: str = "given", *, smallest: float = 0.05) -> FlareCut:
    """Return what some good time keeps and leaves of a light curve, whatever chose it.

    Parameters
    ----------
    curve
        Background events: sources should be cut out of it.
    good
        The time that is kept.
    goal
        What it is called: ``given`` or ``expression``.
    smallest
        As :func:`xphotfn.flare_cut`.

    Returns
    -------
    FlareCut
        The live time of a bin that is kept in part is shared out; rates are those of the bins that are kept whole.

    Raises
    ------
    InvalidRecord
        For a curve without live time.

    Examples
    --------
    >>> curve = LightCurve(start_s=0.0, bin_s=50.0, counts=[70] * 80 + [210] * 20, live_s=[50.0] * 100)
    >>> print(kept_by(curve, good_times([(0.0, 2025.0)])))
    kept 2.0 of 5.0 ks (40 %), quiet 1.400 +- 0.019 /s, residual 0.0 %
    """
    if not curve.seconds > 0:
        raise InvalidRecord(f"the light curve of {curve.source or 'this list'} has no live time: nothing can be kept")
    grouped = _grouped(without_silence(curve), _SHORTEST_S)
    states = quiet_states(grouped.counts, grouped.live_s, grouped.bin_s, smallest=smallest)
    edges = curve.start_s + np.arange(curve.counts.size + 1) * curve.bin_s
    pairs = np.array(good.intervals, dtype=np.float64).reshape(-1, 2).clip(edges[0], edges[-1])
    before = np.cumsum(pairs[:, 1] - pairs[:, 0])
    until = np.stack((before - (pairs[:, 1] - pairs[:, 0]), before), axis=1)
    part = (
        np.diff(np.interp(edges, pairs.ravel(), until.ravel())) / curve.bin_s
        if len(pairs)
        else np.zeros(edges.size - 1)
    )
    whole = (part > _WHOLE) & (curve.live_s > 0)
    rate = float(curve.rate[whole].max()) if whole.any() else float("nan")
    found = _described(goal, curve, _Kept(whole, rate), states, None)
    return attrs.evolve(found, kept_s=float(np.sum(part * curve.live_s)), good=good)


def _grouped(curve: LightCurve, shortest_s: float) -> LightCurve:
    """Return the curve in bins that last and hold enough."""
    lives = curve.live_s > 0
    rates = np.sort(curve.counts[lives] / curve.live_s[lives])
    low = float(rates[: max(1, rates.size // 2)].mean()) or float(rates.mean())
    needed = max(FEWEST_COUNTS / low if low > 0 else 0.0, shortest_s)
    return coarser(curve, max(1, min(int(np.ceil(needed / curve.bin_s - 1e-9)), curve.counts.size)))


def _kept(goal: Goal, bins: LightCurve, states: QuietStates, most: float | None) -> _Kept:
    match goal:
        case "optimum":
            return _optimum(bins)
        case "quiet":
            return _quiet(bins, states)
        case "histogram":
            return _histogram(bins)
        case "expression":
            return _up_to(bins, most)
        case _:
            assert_never(goal)


def _optimum(bins: LightCurve) -> _Kept:
    cut, used = optimum_cut(bins.rate, bins.live_s)
    if used == 0:  # not a single count: there is nothing to cut
        return _Kept(bins.live_s > 0, 0.0)
    return _Kept(np.nan_to_num(bins.rate, nan=np.inf) <= cut, cut)


def _quiet(bins: LightCurve, states: QuietStates) -> _Kept:
    chosen = (states.flare < _FLARED) & (bins.live_s > 0)
    if not chosen.any():
        return _Kept(chosen, float("nan"))
    expected = float(np.sum(states.flare[chosen] * states.excess[chosen] * bins.live_s[chosen]))
    quiet = states.rate * float(bins.live_s[chosen].sum())
    return _Kept(chosen, float(bins.rate[chosen].max()), expected / quiet if quiet > 0 else 0.0)


def _histogram(bins: LightCurve) -> _Kept:
    if bins.bin_s != 1.0:
        raise InvalidRecord(f"the histogram of espfilt needs a curve of 1 s, got bins of {bins.bin_s:g} s")
    found = histogram_cut(bins.counts)
    good = within_width(bins.counts, found.centre, found.width)
    chosen = np.repeat(good, 60)[: bins.counts.size - 1]
    return _Kept(np.concatenate((chosen, [False])), found.centre + 2.5 * found.width)


def _up_to(bins: LightCurve, most: float | None) -> _Kept:
    if most is None or not most > 0:
        raise InvalidRecord(f"goal 'expression' needs most=, the greatest rate to keep in ct/s, got {most!r}")
    return _Kept(np.nan_to_num(bins.rate, nan=np.inf) <= most, most)


def _described(goal: str, bins: LightCurve, kept: _Kept, states: QuietStates, ends: Floats | None) -> FlareCut:
    chosen = kept.chosen
    live, counts = bins.live_s[chosen], bins.counts[chosen]
    seconds = float(live.sum())
    mean = float(counts.sum()) / seconds if seconds > 0 else float("nan")
    residual = kept.residual
    if np.isnan(residual) and states.rate > 0:
        residual = mean / states.rate - 1
    spread = float("nan")
    if live.size > 1 and mean > 0:
        spread = float(np.sum((counts - mean * live) ** 2 / (mean * live)) / (live.size - 1))
    return FlareCut(
        goal=goal,
        rate=kept.rate,
        quiet=0.0 if not bins.counts.any() else states.rate,
        quiet_error=states.error,
        kept_s=seconds,
        total_s=bins.seconds,
        residual=residual,
        over_dispersion=spread,
        good=_good(bins, chosen, ends, goal),
    )


def _good(bins: LightCurve, chosen: Chosen, ends: Floats | None, goal: str) -> GoodTimes:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], chosen.astype(np.int8), [0]))))
    pairs = bins.start_s + edges.reshape(-1, 2) * bins.bin_s
    found = good_times(pairs, origin=goal)
    if ends is None:
        return found
    return good_times(to_frame_ends(found.intervals, ends), origin=goal)


def quiet_bins(curve: LightCurve) -> LightCurve:
    """Return a curve in the bins on which ``quiet`` is decided: 50 s and 25 quiet counts or more.

    Examples
    --------
    >>> quiet_bins(LightCurve(start_s=0.0, bin_s=10.0, counts=[5] * 12, live_s=[10.0] * 12)).bin_s
    50.0
    """
    return _grouped(curve, _SHORTEST_S)


def snr_by_cut(curve: LightCurve) -> tuple[Floats, Floats]:
    """Return rates in rising order, and the signal-to-noise of a faint source if all bins up to them are kept.

    Parameters
    ----------
    curve
        In bins of 25 counts or more.

    Returns
    -------
    Rates in ct/s and signal-to-noise over the greatest of these, shape (n,) for n bins with live time and a count.

    Examples
    --------
    >>> curve = LightCurve(start_s=0.0, bin_s=1.0, counts=[100, 900, 100, 0], live_s=[1.0, 1.0, 1.0, 0.0])
    >>> rate, snr = snr_by_cut(curve)
    >>> rate.tolist(), snr.round(2).tolist()
    ([100.0, 100.0, 900.0], [0.71, 1.0, 0.64])
    """
    used = np.flatnonzero((curve.live_s > 0) & (curve.counts > 0))
    order = used[np.argsort(curve.rate[used], kind="stable")]
    snr = np.cumsum(curve.live_s[order]) / np.sqrt(np.cumsum(curve.counts[order]))
    return curve.rate[order], snr / snr.max() if snr.size else snr


class RateHistogram(NamedTuple):
    """Edges in ct/s, the bins of a light curve between them, and the bins expected of its quiet time."""

    edges: Floats
    bins: Floats
    quiet: Floats


def histogram_of_rates(curve: LightCurve, quiet: float) -> RateHistogram:
    """Return the histogram of the rates of a light curve beside the Poisson distribution of a quiet rate.

    Parameters
    ----------
    curve
        The light curve.
    quiet
        The quiet rate in ct/s; the model is zero where it is not known.

    Returns
    -------
    RateHistogram
        Rates up to four times the quiet one, or the greatest; those above are in the last bin. The model is scaled so
        that it has as many bins up to the quiet rate as the curve has.

    Examples
    --------
    >>> counts = np.random.default_rng(1).poisson(100.0, 1000)
    >>> found = histogram_of_rates(LightCurve(start_s=0.0, bin_s=1.0, counts=counts, live_s=np.ones(1000)), 100.0)
    >>> int(found.bins.sum()), bool(abs(found.quiet.sum() / 1000 - 1) < 0.1)
    (1000, True)
    """
    rate, live = curve.rate[curve.live_s > 0], curve.live_s[curve.live_s > 0]
    known = np.isfinite(quiet) and quiet > 0
    top = float(rate.max()) if rate.size else 0.0
    low = float(rate.min()) if rate.size else 0.0
    top = (min(top, 4 * quiet) if known else top) or 1.0
    step = max(1 / float(np.median(live)) if live.size else 1.0, (top - low) / 60)
    edges = np.arange(max(low - step, 0.0), top + 2 * step, step)
    bins = np.histogram(np.minimum(rate, edges[-1]), edges)[0].astype(np.float64)
    model = np.zeros(edges.size - 1)
    if known:
        below = np.array([pdtr(np.nextafter(edges * t, -np.inf), quiet * t) for t in live])
        half = pdtr(quiet * live, quiet * live)
        model = np.diff(below, axis=1).sum(axis=0) * min(1.0, float(np.sum(rate <= quiet) / half.sum()))
    return RateHistogram(edges, bins, model)


def in_out_ratio(inside: int, outside: int, area_inside: float, area_outside: float) -> InOut:
    """Return the rate per area inside the field of view over that in the corners.

    Parameters
    ----------
    inside, outside
        Counts of the same time and energies.
    area_inside, area_outside
        Areas in one unit.

    Returns
    -------
    InOut
        Its error is that of the two numbers of counts.

    Raises
    ------
    InvalidRecord
        Without counts or area outside: windows have no corners, and then there is no ratio.

    References
    ----------
    De Luca & Molendi 2004, A&A 419, 837.

    Examples
    --------
    >>> print(in_out_ratio(2400, 1000, 2.0, 1.0))
    IN/OUT 1.20 +- 0.05 slightly contaminated
    """
    if not (outside > 0 and area_outside > 0 and area_inside > 0):
        raise InvalidRecord(
            f"no IN/OUT: {outside} counts in {area_outside:g} of the corners and {area_inside:g} of the field of view"
        )
    ratio = (inside / area_inside) / (outside / area_outside)
    error = ratio * np.sqrt(1 / max(inside, 1) + 1 / outside)
    return InOut(ratio=ratio, error=error, inside=inside, outside=outside, area_ratio=area_inside / area_outside)
