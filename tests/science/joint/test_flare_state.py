"""Cameras judged as one: what they share, when they were not all on, and that it finds what each alone misses."""

import numpy as np
import pytest

from xphotfn.errors import InvalidRecord
from xphotfn.measure.flare_cuts import flare_cut
from xphotfn.records.light_curve import LightCurve
from xphotfn.science.joint.flare_state import JOINT_BIN_S, common_bins, joint_curve

QUIET = (0.3, 0.3, 0.9)  # ct/s: mos1, mos2, pn
BINS = 1150  # 30 ks


def curves_of(rng, flares=(), *, on_from=(0, 0, 0)):
    """One curve for each camera; flares are (first bin, bins, factor above the quiet rate)."""
    shape = np.ones(BINS)
    for first, bins, excess in flares:
        shape[first : first + bins] += excess
    live = [np.where(np.arange(BINS) < first, 0.0, JOINT_BIN_S) for first in on_from]
    counts = (rng.poisson(rate * on * shape) for rate, on in zip(QUIET, live, strict=True))
    return [LightCurve(start_s=0.0, bin_s=JOINT_BIN_S, counts=c, live_s=on) for c, on in zip(counts, live, strict=True)]


def chosen(cut):
    """Which bins a cut keeps."""
    kept = np.zeros(BINS, dtype=bool)
    for start, stop in cut.good.intervals:
        kept[round(start / JOINT_BIN_S) : round(stop / JOINT_BIN_S)] = True
    return kept


def found_part(cut, flares):
    """The part of the flares that is cut out."""
    flared = np.zeros(BINS, dtype=bool)
    for first, bins, _ in flares:
        flared[first : first + bins] = True
    return np.mean(~chosen(cut)[flared]), np.mean(~chosen(cut)[~flared])


def test_the_joint_cut_finds_what_each_camera_alone_misses():
    """Flares of 0.3 of the quiet rate for 260 s: a MOS sees 2.6 sigma of each, pn 4.6, all together 5.9."""
    flares = ((200, 10, 0.3), (700, 10, 0.3))
    rng, together, alone, lost = np.random.default_rng(5), [], [], []
    for _ in range(12):
        curves = curves_of(rng, flares)
        found, quiet = found_part(flare_cut(joint_curve(curves), "quiet"), flares)
        together.append(found)
        lost.append(quiet)
        alone.append([found_part(flare_cut(c, "quiet"), flares)[0] for c in curves])
    mos1, mos2, pn = np.mean(alone, axis=0)
    assert np.mean(together) > 0.8
    assert max(mos1, mos2) < 0.1
    assert pn < 0.5
    assert np.quantile(lost, 0.9) < 0.02


def test_quiet_time_is_not_lost_without_flares():
    rng = np.random.default_rng(6)
    cuts = [flare_cut(joint_curve(curves_of(rng)), "quiet") for _ in range(20)]
    assert np.quantile([1 - cut.kept for cut in cuts], 0.9) <= 0.005
    pulls = [(cut.quiet - sum(QUIET)) / cut.quiet_error for cut in cuts]
    assert abs(np.mean(pulls)) < 0.7  # 20 runs: 3 sigma


@pytest.mark.parametrize("late", [(0, 0, 400), (300, 0, 0), (0, 900, 600)])
@pytest.mark.parametrize("goal", ["quiet", "optimum"])
def test_a_camera_that_begins_later_is_no_flare(late, goal):
    """pn begins later than MOS and counts three times as much."""
    rng = np.random.default_rng(7)
    joint = joint_curve(curves_of(rng, on_from=late))
    assert joint.seconds < BINS * JOINT_BIN_S
    assert flare_cut(joint, goal).kept > 0.97


def test_curves_that_begin_apart_are_put_side_by_side():
    first, other = common_bins(27.0, 80.0, 26.0), common_bins(90.0, 131.0, 26.0)
    assert (first, other) == ((26.0, 3), (78.0, 3))
    made = [
        LightCurve(start_s=start, bin_s=26.0, counts=[26] * n, live_s=[26.0] * n, source=name)
        for (start, n), name in ((first, "mos1"), (other, "mos2"))
    ]
    joint = joint_curve(made)
    assert (joint.start_s, joint.counts.tolist(), joint.source) == (26.0, [26, 26, 52, 26, 26], "mos1 + mos2")
    np.testing.assert_allclose(joint.live_s, [13, 13, 26, 13, 13])


def test_a_camera_without_a_count_says_nothing():
    silent = LightCurve(start_s=0.0, bin_s=10.0, counts=[0, 0], live_s=[10.0, 10.0])
    other = LightCurve(start_s=0.0, bin_s=10.0, counts=[50, 60], live_s=[10.0, 0.0])
    assert joint_curve((silent, other)).live_s.tolist() == [10.0, 0.0]
    assert joint_curve((silent, silent)).live_s.tolist() == [10.0, 10.0]


def test_bins_that_do_not_fall_together_are_refused():
    one = LightCurve(start_s=0.0, bin_s=10.0, counts=[1], live_s=[10.0])
    for other in ({"start_s": 3.0, "bin_s": 10.0}, {"start_s": 0.0, "bin_s": 20.0}):
        with pytest.raises(InvalidRecord, match="judged together need bins"):
            joint_curve((one, LightCurve(counts=[1], live_s=[10.0], **other)))
    with pytest.raises(InvalidRecord, match="judged together"):
        joint_curve(())
