"""Flares in plans: which lists are cut, that images and exposure maps hold the same times, and what is said."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve

import xphotfn as xp
from xphotfn.commands.timing import evselect_list
from xphotfn.engines.native.evselect.evselect_task import evselect
from xphotfn.graph.flare_steps import flare_choice
from xphotfn.simulate.photons import flare_intervals, good_intervals
from xphotfn.testing import default_scene, simulate_observations

BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A raw list of 3 ks with flares, and its field."""
    pointing = default_scene().pointings[0]
    camera = evolve(pointing.exposure("mos2"), ontime_s=3000.0, cleaned=False)
    scene = evolve(default_scene(), pointings=[evolve(pointing, exposures=[camera])])
    truth = simulate_observations(tmp_path_factory.mktemp("raw"), scene=scene, products="events")
    field = xp.match_observations(truth.cluster.target, xp.find_observations(truth.folder))
    return truth, field, (scene.pointings[0], camera)


def done(plan, folder):
    return xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=folder, progress=False, workers=1))


def made(run, ending):
    return Path(next(o.path for d in run.done for o in d.outputs if o.name.endswith(ending)))


def test_a_raw_list_is_cut_by_itself_and_everything_says_so(raw, tmp_path):
    _, field, which = raw
    plan = xp.plan_exposure_maps(field, BAND)
    tasks = [step.command.task for step in plan.steps]
    assert tasks.count("flarecut") == 1
    assert "flares are cut for the best signal-to-noise" in xp.describe(plan)
    run = done(plan, tmp_path)
    assert any(w.startswith("optimum: kept") for d in run.done for w in d.warnings)
    header = fits.getheader(made(run, "_img.fits"))
    assert "gti(0999990101_mos2_" in header["SLCTEXPR"]
    with fits.open(made(run, "optimum_gti.fits")) as hdus:
        cards, rows = hdus["STDGTI"].header, hdus["STDGTI"].data
        assert cards["FLGOAL"] == "optimum"
        assert cards["FLKEPT"] < 0.99 * cards["FLTOTAL"]
        assert cards["ONTIME"] == pytest.approx(sum(rows["STOP"] - rows["START"]))
        flares = flare_intervals(*which)
        kept = sum(_overlap(pair, rows) for pair in flares)
        assert kept < 0.2 * sum(stop - start for start, stop in flares)
        assert sum(_overlap(pair, rows) for pair in good_intervals(*which)) > 0.9 * cards["FLKEPT"]


def _overlap(pair, rows):
    return float(np.clip(np.minimum(rows["STOP"], pair[1]) - np.maximum(rows["START"], pair[0]), 0, None).sum())


@pytest.mark.parametrize("flares", ["quiet", "RATE<=0.05"])
def test_map_of_a_cut_list_is_that_of_the_list_filtered_beforehand(raw, tmp_path, flares):
    """Bytes of image and exposure map, whether the plan cuts or the user has filtered the list with the same table."""
    truth, field, _ = raw
    run = done(xp.plan_exposure_maps(field, BAND, flares=flares), tmp_path / "store")
    folder = tmp_path / "filtered"
    folder.mkdir()
    source = Path(truth.folder) / "0999990101"
    (folder / "raw.fits").symlink_to(source / "0999990101_mos2_evts.fits")
    (folder / "gti.fits").symlink_to(made(run, "_gti.fits"))
    text = "#XMMEA_EM && (PATTERN <= 12) && gti(gti.fits,TIME)"
    evselect(evselect_list("raw.fits", "0999990101_mos2_clean_evts.fits", expression=text), folder)
    (folder / "raw.fits").unlink()
    (folder / "P0999990101OBX000ATTTSR0000.FIT").symlink_to(source / "P0999990101OBX000ATTTSR0000.FIT")
    found = xp.match_observations(truth.cluster.target, xp.find_observations(folder))
    plan = xp.plan_exposure_maps(found, BAND)
    assert not any(step.command.task in ("flarecut", "tabgtigen") for step in plan.steps)
    again = done(plan, tmp_path / "store2")
    for ending in ("_img.fits", "_expmap.fits"):
        one, other = (fits.getdata(made(r, ending)) for r in (run, again))
        assert one.tobytes() == other.tobytes()
    assert np.any(fits.getdata(made(run, "_expmap.fits")) > 0)
    says_what_was_kept(run, "quiet" if flares == "quiet" else "expression", source / "0999990101_mos2_evts.fits")


def says_what_was_kept(run, goal, events):
    """Warnings, table and image say the goal and what was kept: the live time of the frames in it."""
    assert any(w.startswith(f"{goal}: kept") for d in run.done for w in d.warnings)
    image, table = fits.getheader(made(run, "_img.fits")), fits.getheader(made(run, f"{goal}_gti.fits"), 1)
    assert image["FLGOAL"] == table["FLGOAL"] == goal
    assert (image["FLKEPT"], image["FLTOTAL"]) == (table["FLKEPT"], table["FLTOTAL"])
    good = fits.getdata(made(run, f"{goal}_gti.fits"), 1)
    for card, within in (("FLKEPT", good), ("FLTOTAL", None)):
        assert image[card] == pytest.approx(live_time(events, within), abs=18)
    assert image["FLKEPT"] < 0.99 * image["FLTOTAL"]


def live_time(events, good):
    """Return the mean over the CCDs of the live time of their frames in the list's good time, and in other such."""
    lives = []
    with fits.open(events) as hdus:
        for ccd in [hdu.name[6:] for hdu in hdus if hdu.name.startswith("EXPOSU")]:
            frames = hdus[f"EXPOSU{ccd}"].data
            kept = np.ones(len(frames), dtype=bool)
            for table in [hdus[f"STDGTI{ccd}"].data, *([] if good is None else [good])]:
                low, high = (np.asarray(table[name], dtype=float)[:, None] for name in ("START", "STOP"))
                kept &= ((frames["TIME"] >= low) & (frames["TIME"] <= high)).any(axis=0)
            lives.append(np.sum((frames["TIMEDEL"] * frames["FRACEXP"])[kept]))
    return np.mean(lives)


def test_good_time_of_ones_own(raw, tmp_path):
    truth, field, which = raw
    good = xp.good_times(good_intervals(*which), origin="mine")
    run = done(xp.plan_images(field, BAND, flares=good), tmp_path)
    header = fits.getheader(made(run, "_img.fits"))
    assert header["EXPOSURE"] == pytest.approx(good.seconds, rel=0.01)
    says_what_was_kept(run, "given", Path(truth.folder) / "0999990101/0999990101_mos2_evts.fits")
    elsewhere = xp.good_times([(good.intervals[0][0] - 1e6, good.intervals[0][0] - 9e5)], origin="another observation")
    other = done(xp.plan_images(field, BAND, flares=elsewhere), tmp_path / "other")
    assert {"no time is kept"} <= {w for d in other.done for w in d.warnings}
    assert not fits.getdata(made(other, "_img.fits")).any()
    with pytest.raises(xp.PlanError, match="with a start and an end") as caught:
        xp.plan_images(field, BAND, flares=~good)
    assert "cut it with &" in str(caught.value)


def test_a_raw_list_that_is_kept_says_so(raw):
    plan = xp.plan_images(raw[1], BAND, flares="keep")
    assert [step.command.task for step in plan.steps] == ["evselect"]
    assert "a raw event list is used with its flares (flares='keep')" in xp.describe(plan)


def test_a_selection_that_cuts_times_is_left_alone(raw):
    plan = xp.plan_images(raw[1], BAND, selection="gti(0999990101_mos2_gti.fits,TIME)")
    assert [step.command.task for step in plan.steps] == ["evselect"]
    both = xp.plan_images(raw[1], BAND, selection="PATTERN == 0", flares="quiet")
    assert "(PATTERN == 0) && gti(" in both.steps[-1].command.parameter("expression")


@pytest.mark.parametrize("bad", ["best", "PI<3", "", "1<2", 3, "RATE<="])
def test_wrong_words(bad):
    with pytest.raises(xp.PlanError, match="flares are cut by 'auto', 'keep', 'optimum', 'quiet', 'joint-optimum'"):
        flare_choice(bad)


def test_bands_of_a_list_share_the_cut(raw):
    plan = xp.plan_images(raw[1], [BAND, xp.energy_band(2 * u.keV, 10 * u.keV)])
    assert sorted(step.command.task for step in plan.steps) == ["evselect", "evselect", "flarecut"]
    assert len(plan.notes) == 1
