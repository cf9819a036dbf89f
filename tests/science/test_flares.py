"""Cuts on light curves: SAS's own cuts, closed rules, and simulations of known truth."""

from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, strategies as st

from xphotfn.errors import InvalidRecord
from xphotfn.measure.flare_cuts import flare_cut
from xphotfn.records.light_curve import LightCurve
from xphotfn.science.flare_cut import coarser, in_out_ratio
from xphotfn.science.flares import histogram_cut, optimum_cut, quiet_states, within_width
from xphotfn.science.silent_time import without_silence
from xphotfn.science.time_bins import bin_events, events_by_bin, inside, live_per_bin, to_frame_ends
from xphotfn.testing import strategies as xst

PPS = "pps/0001730201/P0001730201"
CURVES = ("M1S002FBKTSR0000.FTZ", "M2S003FBKTSR0000.FTZ", "PNS001FBKTSR0000.FTZ")


def numbers(column):
    """Return a column of floats; NaN of some files is of the kind that a cast complains of."""
    with np.errstate(invalid="ignore"):
        return np.asarray(column).astype(float)


@pytest.mark.parametrize("name", CURVES)
def test_the_optimum_is_that_of_the_pipeline(name, folders_root):
    with fits.open(folders_root / f"{PPS}{name}") as hdus:
        rate, header = numbers(hdus["RATE"].data["RATE"]), hdus["RATE"].header
        cut, kept = optimum_cut(rate)
        assert kept == hdus["SN_TO_BKGCUT"].header["NBINOPT"]
        assert cut == pytest.approx(header["FLCUTTHR"], abs=2e-5)


def test_counts_and_live_time_are_those_of_the_pipeline(folders_root):
    """FBKTSR of MOS1: counts of every bin, and FRACEXP as a mean over the CCDs."""
    raw, curve = folders_root / f"{PPS}M1S002MIEVLI.FTZ", folders_root / f"{PPS}{CURVES[0]}"
    with fits.open(raw) as hdus, fits.open(curve) as sas:
        events, bins = hdus["EVENTS"].data, sas["RATE"].data
        chosen = ((events["FLAG"] & 0x762BA000) == 0) & (events["PATTERN"] <= 12)
        chosen &= (events["PI"] > 500) & (events["PI"] <= 7500)
        for row in sas["REGION"].data:
            away = np.hypot(events["DETX"] - row["DETX"][0], events["DETY"] - row["DETY"][0]) > row["R"][0]
            chosen &= away
        start, width = sas["RATE"].header["TSTART"], sas["RATE"].header["TIMEDEL"]
        ours = bin_events(events["TIME"][chosen].astype(float), start, width, len(bins))
        theirs = np.nan_to_num(numbers(bins["RATE"]) * width * bins["FRACEXP"])
        assert np.abs(ours - theirs).max() < 0.01
        live = live_per_bin([_frames(hdus, n) for n in range(1, 8)], start, width, len(bins))
        assert np.sqrt(np.mean((live / width - bins["FRACEXP"]) ** 2)) < 1e-4


@given(
    st.lists(st.floats(-40, 140) | st.integers(-4, 14).map(lambda k: 10.0 * k) | st.just(np.nan), max_size=40),
    st.booleans(),
    st.sampled_from([0.0, 2e8, -0.1]),
    st.sampled_from([10.0, 2.6, 0.1]),
    st.randoms(),
)
def test_events_bin_after_bin_are_those_of_the_rule(times, rising, start, width, random):
    """Each bin k holds floor((t - start) / width) = k, also where times do not rise, and at the very edges."""
    time = start + np.array(sorted(times) if rising else times, dtype=float)
    rows = np.array([n for n in range(time.size) if random.random() < 0.7], dtype=np.intp)
    found = events_by_bin(time, rows, start, width, 12)
    held = {n: sorted(found.rows[slice(*pair)].tolist()) for n, pair in enumerate(pairwise(found.bounds), found.first)}
    expected = {n: [r for r in rows.tolist() if np.floor((time[r] - start) / width) == n] for n in range(12)}
    assert all(held.get(n, []) == expected[n] for n in expected)
    assert set(held) <= set(expected)


def _frames(hdus, ccd):
    frames, good = hdus[f"EXPOSU{ccd:02d}"].data, hdus[f"STDGTI{ccd:02d}"].data
    time = frames["TIME"].astype(float)
    kept = inside(time, tuple(sorted(zip(good["START"].tolist(), good["STOP"].tolist(), strict=True))))
    return time[kept], frames["TIMEDEL"][kept].astype(float), frames["FRACEXP"][kept].astype(float)


def test_the_histogram_is_that_of_espfilt(folders_root):
    """mos1 of 0203930101: its own fit from our histogram, and its intervals to 0.0 s from either."""
    folder = folders_root / "esas/0203930101"
    with fits.open(folder / "mos1S001-fovlc.fits.gz") as hdus:
        counts, start = np.rint(hdus[1].data["RATE"]).astype(int), hdus[1].header["TSTART"]
    with fits.open(folder / "mos1S001-gti.fits.gz") as hdus:
        theirs = np.array(hdus[1].data.tolist())
    found = histogram_cut(counts)
    sas = fits.getheader(folder / "mos1S001-corevc.fits.gz")
    assert (found.centre, found.width) == pytest.approx((sas["CENTER"], sas["WIDTH"]), abs=2e-3)
    for centre, width in ((sas["CENTER"], sas["WIDTH"]), (found.centre, found.width)):
        good = within_width(counts, centre, width)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], good.astype(int), [0])))).reshape(-1, 2)
        np.testing.assert_array_equal(start + np.minimum(edges * 60, counts.size - 1), theirs)
    curve = LightCurve(start_s=start, bin_s=1.0, counts=counts, live_s=np.ones(counts.size))
    assert np.array(flare_cut(curve, "histogram").good.intervals) == pytest.approx(theirs, abs=1e-6)


@given(xst.light_curves())
def test_the_optimum_is_twice_the_mean_that_it_keeps(curve):
    """A bin raises T^2 / N while its rate is below twice the mean of those before it."""
    cut, kept = optimum_cut(curve.rate, curve.live_s)
    if not kept:
        assert not np.any(curve.counts)
        return
    rates = np.sort(curve.rate[(curve.counts > 0)])
    order = np.argsort(np.where(curve.counts > 0, curve.rate, np.inf), kind="stable")
    mean = curve.counts[order[:kept]].sum() / curve.live_s[order[:kept]].sum()
    first = max(round(0.05 * rates.size) - 1, 0) + 1
    if kept < rates.size:
        assert rates[kept] >= 2 * mean * (1 - 1e-9) or rates[kept] == cut
    if kept > first:
        before = curve.counts[order[: kept - 1]].sum() / curve.live_s[order[: kept - 1]].sum()
        after_one = curve.live_s[order[kept - 1]] / curve.live_s[order[: kept - 1]].sum()
        assert cut <= before * (2 + after_one) * (1 + 1e-9)


def flaring(rng, quiet, flares, bin_s, seconds=30_000.0):
    """Return counts and the true flare rate of each bin: flares that rise in 50-500 s and fall in 100-2000 s."""
    bins = int(seconds // bin_s)
    fine = (np.arange(bins * 10) + 0.5) * bin_s / 10
    rate = np.zeros(fine.size)
    for _ in range(flares):
        peak, height = rng.uniform(0, seconds), quiet * np.exp(rng.uniform(np.log(0.5), np.log(20)))
        rise, fall = (np.exp(rng.uniform(np.log(a), np.log(b))) for a, b in ((50, 500), (100, 2000)))
        rate += height * np.exp(np.where(fine < peak, (fine - peak) / rise, (peak - fine) / fall))
    flare = rate.reshape(bins, 10).mean(axis=1)
    return rng.poisson((quiet + flare) * bin_s), flare


def curve_of(counts, bin_s):
    return LightCurve(start_s=0.0, bin_s=bin_s, counts=counts, live_s=np.full(len(counts), bin_s))


@pytest.mark.parametrize(("quiet", "bin_s"), [(0.3, 26.0), (1.4, 26.0), (4.0, 10.0)])
def test_without_flares_nothing_is_lost_and_the_quiet_rate_is_unbiased(quiet, bin_s):
    rng = np.random.default_rng(20)
    cuts = [flare_cut(curve_of(flaring(rng, quiet, 0, bin_s)[0], bin_s), "quiet") for _ in range(12)]
    assert np.quantile([1 - cut.kept for cut in cuts], 0.8) < 0.005
    pulls = [(cut.quiet - quiet) / cut.quiet_error for cut in cuts]
    assert abs(np.mean(pulls)) < 3 / np.sqrt(12)
    assert 0.4 < np.std(pulls) < 1.6
    assert np.mean([cut.over_dispersion for cut in cuts]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("quiet", "bin_s"), [(0.3, 26.0), (1.4, 26.0), (4.0, 10.0)])
def test_with_two_flares(quiet, bin_s):
    rng = np.random.default_rng(21)
    residuals, reached = [], []
    for _ in range(10):
        counts, flare = flaring(rng, quiet, 2, bin_s)
        good = flare_cut(curve_of(counts, bin_s), "quiet").good
        middle = (np.arange(counts.size) + 0.5) * bin_s
        residuals.append(flare[inside(middle, good.intervals)].mean() / quiet)
        kept = inside(middle, flare_cut(curve_of(counts, bin_s), "optimum").good.intervals)
        best = np.sort(quiet + flare)
        best = np.max(np.arange(1, best.size + 1) / np.sqrt(np.cumsum(best)))
        reached.append(kept.sum() / np.sqrt(np.sum((quiet + flare)[kept])) / best)
    assert np.median(residuals) <= 0.02
    assert np.median(reached) >= 0.99


def test_a_gap_is_not_quiet():
    counts, live = np.full(100, 140), np.full(100, 100.0)
    counts[40:60], live[40:60] = 0, 0.0
    for goal in ("optimum", "quiet"):
        cut = flare_cut(LightCurve(start_s=0.0, bin_s=100.0, counts=counts, live_s=live), goal)
        assert cut.good.intervals == ((0.0, 4000.0), (6000.0, 10000.0))
        assert (cut.kept, cut.kept_s) == (1.0, 8000.0)


def test_partly_exposed_bins_are_judged_by_their_live_time():
    counts, live = np.full(50, 140), np.full(50, 100.0)
    counts[10], live[10] = 70, 50.0
    counts[20] = 70  # half the rate for all of its time: odd, but no flare
    assert flare_cut(LightCurve(start_s=0.0, bin_s=100.0, counts=counts, live_s=live), "quiet").kept == 1.0


@pytest.mark.parametrize("goal", ["optimum", "quiet"])
@pytest.mark.parametrize("counts", [[0], [0, 0, 0], [5], [10**6, 10**6]])
def test_small_and_empty_curves_do_not_divide(goal, counts):
    cut = flare_cut(curve_of(np.array(counts), 26.0), goal)
    assert cut.kept == 1.0
    assert cut.quiet == pytest.approx(np.mean(counts) / 26)


def test_all_flared_is_reported():
    rng = np.random.default_rng(5)
    with pytest.warns(UserWarning, match="the quiet rate is that of"):
        cut = flare_cut(curve_of(rng.poisson(np.geomspace(100, 1e5, 200)), 26.0), "expression", most=1.0)
    assert (cut.kept, cut.good.intervals) == (0.0, ())
    assert str(cut).startswith("kept 0.0 of 5.2 ks (0 %)")


def test_no_live_time_is_refused():
    with pytest.raises(InvalidRecord, match="no live time"):
        flare_cut(LightCurve(start_s=0.0, bin_s=26.0, counts=[3], live_s=[0.0]))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"goal": "best"}, "optimum, quiet, histogram, expression, got 'best'"),
        ({"goal": "expression"}, "needs most="),
        ({"goal": "histogram"}, "a curve of 1 s"),
    ],
)
def test_wrong_goals(options, problem):
    with pytest.raises(InvalidRecord, match=problem):
        flare_cut(curve_of([30, 40], 26.0), **options)


def test_edges_move_to_ends_of_frames():
    ends = np.arange(1, 1001) * 2.6
    pairs = to_frame_ends(((0.0, 26.7), (100.0, 200.0)), ends)
    assert np.array(pairs) == pytest.approx(np.array([(2.601, 26.001), (98.801, 200.201)]))
    assert to_frame_ends(((1.0, 1.1),), ends) == ()


@given(xst.light_curves(), st.integers(1, 9))
def test_coarser_curves_hold_the_same(curve, factor):
    wide = coarser(curve, factor)
    assert (wide.counts.sum(), wide.seconds) == (curve.counts.sum(), pytest.approx(curve.seconds))


def test_states_of_nothing():
    assert np.isnan(quiet_states(np.zeros(3, int), np.zeros(3), 26.0).rate)


def test_in_out():
    found = in_out_ratio(300, 100, 2.0, 1.0)
    assert (found.ratio, found.error) == pytest.approx((1.5, 1.5 * np.sqrt(1 / 300 + 1 / 100)))
    assert found.category == "extremely contaminated"
    with pytest.raises(InvalidRecord, match="no IN/OUT"):
        in_out_ratio(300, 0, 2.0, 0.0)


def silent(rate=1.5, silence=(500, 540), seed=5):
    """Return a curve of 26 ks without flares whose events of some bins are lost."""
    mean = np.full(1000, 26.0 * rate)
    mean[slice(*silence)] = 0.0
    counts = np.random.default_rng(seed).poisson(mean)
    return LightCurve(start_s=0.0, bin_s=26.0, counts=counts, live_s=np.full(1000, 26.0))


@pytest.mark.parametrize("goal", ["optimum", "quiet", "expression"])
@pytest.mark.parametrize("rate", [0.5, 1.5])
def test_time_whose_events_are_lost_is_a_gap(goal, rate):
    """It was the quiet state: 4 % of the time were kept."""
    most = 10 * rate if goal == "expression" else None
    with pytest.warns(UserWarning, match="no event for 1040 s of live time: counted as a gap"):
        cut = flare_cut(silent(rate), goal, most=most)
    assert cut.total_s == pytest.approx(24960.0)
    assert cut.kept > 0.98
    assert cut.quiet == pytest.approx(rate, rel=0.03)
    assert abs(cut.residual) < 0.02
    assert not np.any(inside(np.arange(13100.0, 13950.0), cut.good.intervals))


def test_bins_that_may_be_empty_are_no_gap():
    """A quiet state of few counts below flares that last for most of the time stays the quiet state."""
    rng = np.random.default_rng(2)
    for mean in (np.full(1000, 0.5), np.where(np.arange(1000) < 400, 0.5, 50.0), np.full(1000, 12.0)):
        curve = LightCurve(start_s=0.0, bin_s=26.0, counts=rng.poisson(mean), live_s=np.full(1000, 26.0))
        assert without_silence(curve) is curve


def test_a_quiet_state_of_little_time_is_named():
    mean = np.where(np.arange(1000) < 40, 13.0, 100.0 + 50 * np.sin(np.arange(1000) / 9))
    counts = np.random.default_rng(4).poisson(mean)
    curve = LightCurve(start_s=0.0, bin_s=26.0, counts=counts, live_s=np.full(1000, 26.0))
    with pytest.warns(UserWarning, match=r"the quiet rate is that of \d\.\d% of the live time"):
        flare_cut(curve, "quiet")
