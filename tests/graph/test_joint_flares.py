"""All lists of an observation judged as one: in plans, in ``clean --joint``, in frames of each list's own."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.commands import flarecut
from xphotfn.simulate.photons import flare_intervals
from xphotfn.testing import default_scene, simulate_observations

BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)
CAMERAS = ("mos1", "mos2")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Raw lists of two cameras with flares, 3 ks."""
    pointing = default_scene().pointings[0]
    cameras = [evolve(pointing.exposure(name), ontime_s=3000.0, cleaned=False) for name in CAMERAS]
    scene = evolve(default_scene(), pointings=[evolve(pointing, exposures=cameras)])
    return simulate_observations(tmp_path_factory.mktemp("raw"), scene=scene, products="events")


@pytest.fixture(scope="module")
def ran(raw, tmp_path_factory):
    field = xp.match_observations(raw.cluster.target, xp.find_observations(raw.folder))
    plan = xp.plan_images(field, BAND, flares="joint-quiet")
    store = tmp_path_factory.mktemp("store")
    run = xp.run(plan, engine=xp.native_engine(), store=store, progress=False, workers=1)
    return plan, xp.raise_for_failures(run)


def tables(run):
    paths = [o.path for d in run.done for o in d.outputs if "joint_quiet_gti" in o.name]
    return {name: next(p for p in paths if f"_{name}_" in p) for name in CAMERAS}


def test_each_list_gets_the_cut_of_all(raw, ran):
    plan, run = ran
    assert [s.command.task for s in plan.steps].count("flarecut") == 4  # a curve and a cut of each
    assert "judged together with mos2 S002 (flares='joint-quiet')" in xp.describe(plan)
    warnings = [w for d in run.done for w in d.warnings]
    assert sum("judged together with 1 other list, as one: kept" in w for w in warnings) == 2
    good = {name: xp.read_good_times(path) for name, path in tables(run).items()}
    one, other = (good[name] for name in CAMERAS)
    frame = 2.6
    assert one.seconds + other.seconds - 2 * (one & other).seconds < 2 * frame * (len(one.intervals) + 1)
    pointing = raw.scene.pointings[0]
    flares = xp.good_times(flare_intervals(pointing, pointing.exposures[0]))
    for found in good.values():
        assert (found & flares).seconds < 0.1 * flares.seconds


def test_edges_lie_at_the_ends_of_frames_of_each_list(raw, ran):
    for name, path in tables(ran[1]).items():
        with fits.open(Path(raw.folder) / "0999990101" / f"0999990101_{name}_evts.fits") as hdus:
            frames = next(h.data for h in hdus if h.name.startswith("EXPOSU"))
            ends = frames["TIME"] + frames["TIMEDEL"] / 2
        edges = np.array(xp.read_good_times(path).intervals).ravel()
        assert np.abs(edges[:, None] - ends).min(axis=1).max() < 2e-3
        cards = fits.getheader(path, "STDGTI")
        assert cards["FLGOAL"] == "quiet"
        assert 0.5 < cards["FLKEPT"] / cards["FLTOTAL"] < 0.99


def test_a_list_alone_says_so(raw, tmp_path):
    pointing = raw.scene.pointings[0]
    found = xp.match_observations(raw.cluster.target, xp.find_observations(raw.folder))
    (member,) = found.observations
    alone = xp.match_observations(raw.cluster.target, [evolve(member, exposures=member.exposures[:1])])
    plan = xp.plan_images(alone, BAND, flares="joint-optimum")
    assert [s.command.task for s in plan.steps] == ["flarecut", "evselect"]
    assert f"{pointing.obs_id} mos1 S001: no other list of the observation is there" in " ".join(plan.notes)


def test_clean_joint_is_the_cut_of_the_plan(raw, ran, tmp_path, monkeypatch):
    monkeypatch.setattr("xphotfn.cli.cleaning.find_spec", lambda _: None)  # no pictures
    result = CliRunner().invoke(main, ["clean", str(raw.folder), "--goal", "quiet", "--joint", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.stderr
    for name, path in tables(ran[1]).items():
        (made,) = tmp_path.glob(f"*_{name}_*quiet_gti.fits")
        assert xp.read_good_times(made).intervals == xp.read_good_times(path).intervals


def test_what_cannot_be_judged_together_is_refused(raw, tmp_path):
    lists = sorted(Path(raw.folder, "0999990101").glob("*evts.fits"))
    result = CliRunner().invoke(main, ["clean", str(lists[0]), "--joint", "-o", str(tmp_path)])
    assert result.exit_code == 1
    assert "give the folder that holds them" in result.stderr
    with pytest.raises(xp.InvalidRecord, match="goal=optimum and goal=quiet"):
        flarecut("a.fits", "g.fits", expression="PI>1", goal="curve", jointcurves=["b.fits"])
    stranger = tmp_path / "other.fits"
    with fits.open(lists[1]) as hdus:
        for hdu in hdus:
            if "OBS_ID" in hdu.header:
                hdu.header["OBS_ID"] = "0999990199"
        hdus.writeto(stranger)
    with pytest.raises(xp.InvalidRecord, match="is not of observation 0999990101"):
        xp.clean_events(lists[0], tmp_path / "out", engine=xp.native_engine(), together_with=[stranger])
