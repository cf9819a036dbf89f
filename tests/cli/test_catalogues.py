"""``hardness``, ``limits``, ``profile`` and ``peak``: they print what the library gives; mistakes in a sentence."""

import json

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.simulate.observing import simulate_observations

WHERE = ["--ra", "52.31", "--dec", "-33.72"]
BANDS = (xp.energy_band("0.5 keV", "2 keV"), xp.energy_band("2 keV", "10 keV"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of images and exposure maps in two bands of two small pointings, and its store."""
    from attrs import evolve

    from xphotfn.simulate.scene import default_scene

    folder = tmp_path_factory.mktemp("catalogues")
    scene = evolve(default_scene(), bands=BANDS)
    pointings = [evolve(p, exposures=p.exposures[:2]) for p in scene.pointings]
    simulate_observations(folder / "data", scene=evolve(scene, pointings=pointings))
    return folder


def call(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def rows(*words):
    result = call(*words, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_hardness_is_that_of_the_library(made, tmp_path):
    found = rows("hardness", made / "data", *WHERE, "--radius", "20arcsec", "--prior", "0.5")
    assert {row["hard_band"] for row in found} == {"2-10 keV"}
    assert all(-1 < row["hardness_low"] < row["hardness"] < row["hardness_high"] < 1 for row in found)
    output = tmp_path / "hardness.ecsv"
    assert (
        call("hardness", made / "data", *WHERE, "--radius", "20arcsec", "--prior", "0.5", "-o", output).exit_code == 0
    )
    table = QTable.read(output)
    assert table["hardness"].tolist() == pytest.approx([row["hardness"] for row in found])
    one = call("hardness", made / "data", *WHERE, "--radius", "20arcsec", "--band", "0.5-2keV")
    assert one.exit_code == 1
    assert "needs two bands" in one.output


def test_limits_join_the_observations_unless_each_is_asked_for(made, tmp_path):
    (tmp_path / "places.csv").write_text("name,ra,dec\nsky,52.20,-33.60\ncentre,52.31,-33.72\n")
    how = ["--positions", tmp_path / "places.csv", "--radius", "20arcsec", "--band", "0.5-2keV"]
    each, joint = rows("limits", made / "data", *how, "--each"), rows("limits", made / "data", *how)
    assert len(each) == 2 * len(joint)
    assert {row["name"] for row in joint} == {"sky", "centre"}
    for row in joint:
        same = [r for r in each if (r["name"], r["instrument"]) == (row["name"], row["instrument"])]
        assert row["observations"] == len([r for r in same if r["exposure_mean"]])
        assert row["counts"] == sum(r["counts"] or 0 for r in same)
        assert row["upper_limit"] > 0
    assert rows("limits", made / "data", *how, "--psf", "none")[0]["rate_of"] == "aperture"
    wrong = call("limits", made / "data", *how, "--confidence", "95")
    assert wrong.exit_code == 1
    assert "--confidence must lie between 0 and 1, got 95: 0.95 is 95 %" in wrong.stderr
    assert call("limits", made / "data", "--radius", "20arcsec").exit_code == 1


def test_limits_of_fluxes_are_those_of_the_library(made):
    how = [*WHERE, "--radius", "20arcsec", "--band", "0.5-2keV", "--confidence", "0.9987"]
    flux = ["--flux", "powerlaw:1.7", "--nh", "3e20", "--unabsorbed"]
    given = {"band": BANDS[0], "gamma": 1.7, "nh": 3e20 / u.cm**2, "absorbed": False}
    ecfs = {name: xp.power_law_ecf(name, filter="Thin1", **given) for name in ("pn", "mos1")}
    for more in ([], ["--each"]):
        plain = rows("limits", made / "data", *how, *more)
        found = rows("limits", made / "data", *how, *more, *flux)
        assert len(found) == len(plain)
        for row, of in zip(found, plain, strict=True):
            if of["upper_limit"] is not None:
                expected = of["upper_limit"] / ecfs[row["instrument"]].ct_cm2_per_erg
                assert row["flux_limit"] == pytest.approx(expected, rel=1e-9, abs=0)
            assert row["flux_kind"] == "unabsorbed"
    [joint] = rows("limits", made / "data", *how, *flux, "--joint")
    usual = [*WHERE, "--radius", "20arcsec", "--band", "0.5-2keV", "--psf", "epic", "--limit-confidence", "0.9987"]
    assert joint["flux_limit"] == rows("photometry", made / "data", *usual, *flux, "--joint")[0]["flux_limit"]
    for wrong, said in ((["--joint"], "--joint needs --flux"), ([*flux[:4], "--joint"], "--flux needs --absorbed")):
        refused = call("limits", made / "data", *how, *wrong)
        assert refused.exit_code == 1
        assert said in refused.stderr


def test_a_profile_falls_from_the_cluster_and_a_peak_lies_on_it(made):
    store = ["--store", made / "store"]
    found = rows("profile", made / "data", *WHERE, *store, "--step", "40arcsec", "--outer", "2arcmin", "--ring",
                 "4arcmin,5arcmin")  # fmt: skip
    bright = [row["brightness"] for row in found]
    assert len(bright) == 3
    assert np.all(np.diff(bright) < 0)
    again = rows("profile", made / "data", *WHERE, *store, "--step", "50arcsec", "--outer", "119arcsec")
    assert [row["radius_out"] for row in again] == pytest.approx([50, 100, 119])  # the last ring is narrower
    [peak] = rows("peak", made / "data", *WHERE, *store, "--search", "2arcmin")
    assert peak["offset_arcsec"] < 30
    assert not peak["near_edge"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("profile", "--step", "40arcsec", "--outer", "20arcsec"), "1 to 1000 rings"),
        (("profile", "--step", "40arcsec", "--outer", "100kpc"), "both be angles"),
        (("profile", "--step", "40arcsec", "--outer", "2arcmin", "--ring", "4arcmin"), "--ring takes two"),
        (("peak", "--search", "3"), "--search"),
        (("peak", "--targets", "sample.csv"), "takes one target"),
    ],
)
def test_mistakes_are_told_in_a_sentence(made, words, said):
    result = call(words[0], made / "data", *WHERE, "--store", made / "store", *words[1:])
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_units_are_kept_in_the_table(made, tmp_path):
    output = tmp_path / "profile.ecsv"
    rings = ("--step", "60arcsec", "--outer", "2arcmin")
    done = call("profile", made / "data", *WHERE, "--store", made / "store", *rings, "-o", output)
    assert done.exit_code == 0, done.output
    assert QTable.read(output)["brightness"].unit == u.ct / u.s / u.arcmin**2


def test_neighbours_are_solved_together_on_request(made, tmp_path):
    (tmp_path / "places.csv").write_text("ra,dec\n52.31,-33.72\n52.318,-33.72\n")
    how = ["--positions", tmp_path / "places.csv", "--radius", "10arcsec", "--band", "0.5-2keV", "--psf", "epic"]
    found = rows("photometry", made / "data", *how, "--neighbours", "together")
    assert any(row["neighbour_counts"] for row in found)
    refused = call("photometry", made / "data", *how[:-2], "--neighbours", "together")
    assert "needs psf=" in refused.output
