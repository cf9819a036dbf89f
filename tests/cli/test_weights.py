"""Backgrounds that are not vignetted, on the command line: made by snr, given as files to photometry."""

import json

import astropy.units as u
import pytest
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.testing import CameraExposure, Pointing, Scene, simulate_observations

WHERE = ["--ra", "10", "--dec", "20", "--radius", "6arcmin"]
SOFT = xp.energy_band(0.5 * u.keV, 2.0 * u.keV)


def call(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A simulated pn list and the store in which snr measured it with particles."""
    root = tmp_path_factory.mktemp("cli-weights")
    camera = CameraExposure(instrument="pn", exposure_id="S003", ontime_s=1000.0)
    scene = Scene(pointings=[Pointing(obs_id="0999990301", ra_deg=10.0, dec_deg=20.0, exposures=[camera])])
    simulate_observations(root / "data", seed=3, scene=scene, products=("events",))
    shown = call("snr", root / "data", *WHERE, "--vignetted", "0.4", "--store", root / "store", "--json", "--quiet")
    assert shown.exit_code == 0, shown.output
    return root, json.loads(shown.stdout), xp.load_run(root / "store")


def test_snr_makes_the_maps_and_weighs_with_them(made):
    root, rows, run = made
    field = run.plan.fields[0]
    plain = call("snr", root / "data", *WHERE, "--store", root / "store", "--json", "--quiet")
    pn = xp.select(xp.rate_maps(run), obs_id="0999990301")
    [single] = [row for row in rows if row["instrument"] == "pn"]
    unweighted = xp.snr(pn, field, 6 * u.arcmin)
    [same] = [row for row in json.loads(plain.stdout) if row["instrument"] == "pn"]
    assert same["snr"] == pytest.approx(unweighted.value, rel=1e-12)
    assert single["snr"] > same["snr"] + 0.5, "a particle background was expected to lower alpha"
    assert {row["obs_id"] for row in rows} == {"0999990301", "combined"}
    combined = [row["snr"] for row in rows if row["obs_id"] == "combined"]
    assert combined == [pytest.approx(single["snr"], abs=0.05)]


def test_maps_without_vignetting_never_stand_in_for_those_with_it(made):
    """A run that makes them after the others changes no measurement; alone, they are left out, and said."""
    root, _, run = made
    words = ["photometry", root / "store", "--ra", "10", "--dec", "20", "--radius", "6arcmin", "--json"]
    before = call(*words, "--quiet").stdout
    field = run.plan.fields[0]
    for band in (SOFT, xp.energy_band(2 * u.keV, 4 * u.keV)):
        plan = xp.plan_exposure_maps(field, band, vignetting=False)
        xp.run(plan, engine=xp.native_engine(), store=root / "store", scheduler="synchronous", progress=False)
    after = call(*words)
    assert json.loads(after.stdout) == json.loads(before)
    assert "without vignetting only" in after.stderr


def test_photometry_takes_files_and_says_which_are_missing(made):
    root, _, run = made
    [flat] = (root / "store").rglob("*_500-2000_expmap_novig.fits")
    words = ["photometry", root / "store", "--ra", "10", "--dec", "20", "--radius", "6arcmin", "--band", "0.5-2.0keV"]
    words += ["--json", "--quiet"]
    weighted = call(*words, "--background-weights", flat, "--vignetted", "0.4")
    assert weighted.exit_code == 0, weighted.output
    [row] = json.loads(weighted.stdout)
    [plain] = json.loads(call(*words).stdout)
    assert row["alpha"] < plain["alpha"]
    assert row["counts"] == plain["counts"]
    pn = xp.select(xp.rate_maps(run), obs_id="0999990301")
    names = {"obs_id": pn.obs_id, "exposure_id": pn.exposure_id, "instrument": "pn", "band": SOFT, "grid": pn.grid}
    weights = xp.weights_by_map([xp.ExposureMap(path=str(flat), **names)], fraction=0.4)
    table = xp.photometry(pn, [10, 20] * u.deg, 6 * u.arcmin, background_weights=weights)
    assert row["significance"] == pytest.approx(float(table["significance"][0]), rel=1e-9)
    alone = call(*words, "--vignetted", "0.4")
    assert alone.exit_code == 1
    assert "--background-weights" in alone.output
    wrong = call(*words, "--background-weights", pn.exposure.path)
    assert wrong.exit_code == 1
    assert "itself" in wrong.output


def test_streaks_of_pn_count_as_background(made):
    """Of a blank field they are nearly even: alpha moves a little, counts do not; combined maps have their parts."""
    root, rows, run = made
    words = ["photometry", root / "store", "--ra", "10", "--dec", "20", "--radius", "6arcmin", "--band", "0.5-2.0keV"]
    [row] = json.loads(call(*words, "--json", "--quiet", "--out-of-time").stdout)
    pn = xp.select(xp.rate_maps(run), obs_id="0999990301")
    table = xp.photometry(pn, [10, 20] * u.deg, 6 * u.arcmin, background_weights=xp.out_of_time_weights())
    assert row["significance"] == pytest.approx(float(table["significance"][0]), rel=1e-9)
    plain = xp.photometry(pn, [10, 20] * u.deg, 6 * u.arcmin)
    assert row["alpha"] != pytest.approx(float(plain["alpha"][0]), rel=1e-6)
    assert row["counts"] == plain["counts"][0].value
    store = ["--store", root / "store", "--json", "--quiet"]
    shown = call("snr", root / "data", *WHERE, *store, "--out-of-time", "--vignetted", "0.4")
    assert shown.exit_code == 0, shown.output
    found = {r["obs_id"]: r["snr"] for r in json.loads(shown.stdout)}
    assert found["combined"] == pytest.approx(found["0999990301"], abs=0.05)
    assert found["combined"] == pytest.approx(next(r["snr"] for r in rows if r["obs_id"] == "combined"), abs=0.5)
