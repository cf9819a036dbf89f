"""The pipeline's light curve of flares beside a raw list: found, used by flares='auto', and said."""

import shutil
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.commands import flarecut, tabgtigen
from xphotfn.engines.native.flarecut import flarecut as execute
from xphotfn.engines.native.tabgtigen import tabgtigen as execute_tabgtigen
from xphotfn.io.flare_curves import read_flare_curve
from xphotfn.io.good_time_files import read_cut_curve
from xphotfn.records.target import Target

BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)
LIST = "P0001730201M1S002MIEVLI.FTZ"
CURVE = "P0001730201M1S002FBKTSR0000.FTZ"
TEXT = "PI in (500:7500] && PATTERN in (:12] && FLAG&0x762ba000==0"


@pytest.fixture(scope="module")
def pps(folders_root):
    return folders_root / "pps" / "0001730201"


@pytest.mark.parametrize("name", [CURVE, "P0001730201M2S003FBKTSR0000.FTZ", "P0001730201PNS001FBKTSR0000.FTZ"])
def test_cut_keeps_the_bins_that_the_pipeline_keeps(pps, name):
    """NBINOPT is the pipeline's own number of bins that its cut keeps, of those that hold a count."""
    curve, most = read_flare_curve(pps / name)
    with fits.open(pps / name) as hdus:
        best = hdus["SN_TO_BKGCUT"].header["NBINOPT"]
        rate = hdus["RATE"].data["RATE"]
        lives = hdus["RATE"].data["FRACEXP"] > 0
    cut = xp.flare_cut(curve, "expression", most=most)
    assert cut.good.seconds == pytest.approx((best + np.sum(rate[lives] == 0)) * curve.bin_s, abs=1e-3)
    np.testing.assert_allclose(curve.rate[lives], rate[lives], rtol=1e-5, atol=1e-9)
    assert np.all(np.isnan(curve.rate[~lives]))


def test_auto_uses_it_and_says_so(pps, tmp_path):
    observations = xp.find_observations(pps)
    (exposure,) = observations[0].exposures
    assert Path(exposure.flare_curve.path).name == CURVE
    place = Target(name="x", kind="position", ra_deg=observations[0].ra_deg, dec_deg=observations[0].dec_deg)
    plan = xp.plan_images(xp.match_observations(place, observations), BAND)
    assert [step.command.task for step in plan.steps] == ["flarecut", "evselect"]
    assert f"at FLCUTTHR of its light curve {CURVE} (flares='auto')" in xp.describe(plan)
    run = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=tmp_path, progress=False, workers=1))
    assert run.done[0].warnings[0].startswith("pipeline: kept 12.0 of 16.5 ks (73 %)")
    table = Path(run.done[0].outputs[0].path)
    header = fits.getheader(table, "STDGTI")
    assert (header["FLGOAL"], header["FLRATE"]) == ("pipeline", pytest.approx(4.27001905))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "c.fits.gz").symlink_to(pps / CURVE)
    execute_tabgtigen(tabgtigen("c.fits.gz:RATE", "g.fits", expression="RATE<=4.27001905"), theirs)
    ours, sas = xp.read_good_times(table), xp.read_good_times(theirs / "g.fits")
    frame = 2.6  # edges lie at the ends of frames
    assert ours.seconds + sas.seconds - 2 * (ours & sas).seconds < frame * len(ours.intervals)
    assert "_pipeline_gti.fits,TIME)" in fits.getheader(run.done[1].outputs[0].path)["SLCTEXPR"]


def test_what_is_no_curve_of_the_list_is_left_out(pps, folders_root, tmp_path):
    reasons = {item.file: str(item) for item in xp.inventory(pps).left_out}
    assert reasons["P0001730201M2S003FBKTSR0000.FTZ"].endswith("is a light curve of flares without its event list")
    older = "esas/0203930101/P0203930101M1S001FBKTSR0000.FIT.gz"  # has no FLCUTTHR
    with pytest.raises(xp.InvalidFile, match="is no light curve of the pipeline with its cut"):
        read_flare_curve(folders_root / older)
    shutil.copy(folders_root / older, tmp_path / "old.fits.gz")
    shutil.copy(pps / LIST, tmp_path / LIST)
    assert xp.find_observations(tmp_path)[0].exposures[0].flare_curve is None


def test_two_curves_that_differ_are_not_used(pps, tmp_path):
    shutil.copy(pps / LIST, tmp_path / LIST)
    for name, most in (("a.fits", 4.0), ("b.fits", 4.0)):
        with fits.open(pps / CURVE) as hdus:
            hdus["RATE"].header["FLCUTTHR"] = most
            hdus["RATE"].data["RATE"][0] = 7.0 if name == "b.fits" else 1.0
            hdus.writeto(tmp_path / name)
    (found,) = xp.find_observations(tmp_path)
    assert found.exposures[0].flare_curve is None
    assert [note for note in found.notes if note.startswith("a.fits left out: differs")]
    (chosen,) = xp.find_observations(tmp_path, prefer="b.fits")
    assert Path(chosen.exposures[0].flare_curve.path).name == "b.fits"


def test_a_curve_of_another_time_fails_and_one_of_a_part_says_so(pps, tmp_path):
    (tmp_path / "raw.fits.gz").symlink_to(pps / LIST)
    for name, shift, rows in (("later.fits", 1e6, None), ("part.fits", 0.0, 300)):
        with fits.open(pps / CURVE) as hdus:
            hdus["RATE"].data["TIME"] += shift
            hdus["RATE"].data = hdus["RATE"].data[:rows]
            hdus.writeto(tmp_path / name)
    given = {"expression": TEXT, "goal": "pipeline"}
    with pytest.raises(xp.CommandFailed, match="holds no time of this list"):
        execute(flarecut("raw.fits.gz", "g.fits", curve="later.fits", **given), tmp_path)
    with (
        pytest.warns(UserWarning, match="holds 47% of the list"),
        pytest.warns(match="pipeline: kept"),
    ):
        execute(flarecut("raw.fits.gz", "g.fits", curve="part.fits", **given), tmp_path)


def test_sources_of_the_pipeline_are_left_out_of_our_own_curve(pps, tmp_path):
    """With its REGION no count of our curve differs from the pipeline's, and live times do by rounding."""
    (tmp_path / "raw.fits.gz").symlink_to(pps / LIST)
    (tmp_path / "c.fits.gz").symlink_to(pps / CURVE)
    with pytest.warns(UserWarning, match="quiet: kept"):
        execute(flarecut("raw.fits.gz", "g.fits", expression=TEXT, goal="quiet", curve="c.fits.gz"), tmp_path)
    ours, theirs = read_cut_curve(tmp_path / "g.fits"), read_flare_curve(pps / CURVE).curve
    assert np.array_equal(ours.counts, theirs.counts)
    assert np.sqrt(np.mean((ours.live_s - theirs.live_s) ** 2)) / 26 < 1e-4
    assert "FLNSRC" not in fits.getheader(tmp_path / "g.fits", "STDGTI")
    with fits.open(pps / CURVE) as hdus:
        del hdus["REGION"]
        hdus.writeto(tmp_path / "bare.fits")
    with pytest.warns(UserWarning, match="quiet: kept"):
        execute(flarecut("raw.fits.gz", "own.fits", expression=TEXT, goal="quiet", curve="bare.fits"), tmp_path)
    assert fits.getheader(tmp_path / "own.fits", "STDGTI")["FLNSRC"] > 0


def test_a_plan_for_quiet_time_says_whose_sources_are_left_out(pps):
    observations = xp.find_observations(pps)
    place = Target(name="x", kind="position", ra_deg=observations[0].ra_deg, dec_deg=observations[0].dec_deg)
    plan = xp.plan_images(xp.match_observations(place, observations), BAND, flares="quiet")
    assert f"until no flare is left, without the sources of {CURVE} (flares='quiet')" in xp.describe(plan)
    assert len(plan.steps[0].inputs) == 2


def test_the_goal_of_the_pipeline_needs_its_curve():
    with pytest.raises(xp.InvalidRecord, match="goal=pipeline needs curve="):
        flarecut("e.fits", "g.fits", expression=TEXT, goal="pipeline")
