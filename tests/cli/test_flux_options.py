"""``xphotfn photometry --flux``: what it says is what the library says, and what it refuses."""

import json
import shutil

import astropy.units as u
import attrs
import pytest
from astropy.io import fits
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.cli.flux_options import fluxes_of
from xphotfn.errors import InvalidRecord
from xphotfn.io import hydrogen_map
from xphotfn.simulate.observing import simulate_observations
from xphotfn.simulate.scene import default_scene
from xphotfn.testing.examples import example_field, example_run

WHERE = ["--ra", "52.31", "--dec", "-33.72", "--radius", "20arcsec", "--psf", "epic"]
FLUX = ["--flux", "powerlaw:1.7", "--nh", "3e20", "--absorbed"]


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    scene = default_scene()
    simulate_observations(root / "data", scene=attrs.evolve(scene, pointings=scene.pointings[:1]))
    return root / "data"


def rows_of(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_fluxes_and_joint_fluxes_are_those_of_the_library(data):
    rows = rows_of(call("photometry", data, *WHERE, *FLUX, "--json"))
    for row in rows:
        ecf = xp.power_law_ecf(
            row["instrument"], filter=row["filter"], band=xp.Band(lo_ev=500, hi_ev=2000), gamma=1.7, nh=3e20 / u.cm**2,
            absorbed=True,
        )  # fmt: skip
        assert row["flux"] * ecf.ct_cm2_per_erg == pytest.approx(row["rate"], rel=1e-12)
        assert row["flux_kind"] == "absorbed"
    [joint] = rows_of(call("photometry", data, *WHERE, *FLUX, "--joint", "--json"))
    assert joint["observations"] == len(rows) == 3
    assert joint["flags"] == "none" or joint["flags"].isupper()
    weights = [row["flux"] for row in rows]
    assert min(weights) < joint["flux"] < max(weights)
    apart = rows_of(call("photometry", data, *WHERE, "--joint", "--json"))
    assert [row["instrument"] for row in apart] == ["pn", "mos1", "mos2"]


def test_joint_rows_are_of_the_method_and_the_confidence_that_were_asked_for(data):
    how = ["--confidence", "0.95", "--limit-confidence", "0.9987", "--joint", "--json"]
    for more in ([], FLUX):
        usual, asked = (rows_of(call("photometry", data, *WHERE, *more, *w))[0] for w in (["--joint", "--json"], how))
        name = "flux" if more else "rate"
        assert asked[name] == usual[name]
        assert asked[f"{name}_high"] > usual[f"{name}_high"]
        limit = "flux_limit" if more else "upper_limit"
        assert asked[limit] > usual[limit]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--flux", "powerlaw:1.7", "--absorbed"], "--flux needs --nh"),
        (["--flux", "powerlaw:1.7", "--nh", "3e20"], "--flux needs --absorbed"),
        (["--nh", "3e20"], "need --flux"),
        (["--unabsorbed"], "need --flux"),
        (["--flux", "powerlaw:1.7", "--nh", "3e20", "--absorbed", "--unabsorbed"], "give one of them"),
        (["--flux", "powerlaw:1.7", "--nh", "0", "--absorbed"], "a column density must lie between 1e19 and 1e22"),
        (["--flux", "powerlaw:nan", "--nh", "3e20", "--absorbed"], "takes powerlaw:"),
        (["--flux", "apec:5", "--nh", "3e20", "--absorbed"], "takes powerlaw:"),
        (["--flux", "powerlaw:steep", "--nh", "3e20", "--absorbed"], "takes powerlaw:"),
        (["--flux", "powerlaw:9", "--nh", "3e20", "--absorbed"], "between 1.4 and 2.2"),
        (["--flux", "powerlaw:1.7", "--nh", "0.03", "--absorbed"], "give --nh 3e+20"),
        (["--flux", "powerlaw:1.7", "--nh", "much", "--absorbed"], "--nh takes a number"),
    ],
)
def test_what_a_flux_lacks_is_said(data, words, said):
    result = call("photometry", data, *WHERE, *words)
    assert result.exit_code == 1, result.output
    assert said in result.stderr


def test_nh_auto_takes_the_map_or_says_what_to_install(data):
    result = call("photometry", data, *WHERE, "--flux", "powerlaw:1.7", "--nh", "auto", "--unabsorbed", "--json")
    if hydrogen_map.has_map():
        assert "HI4PI" in result.stderr
    else:
        assert "xphotfn[nh]" in result.stderr
        assert "--nh 3e20" in result.stderr


def test_a_mosaic_of_several_cameras_has_no_factor():
    """Its counts are of no one camera: Python refuses it, and the command measures the single maps of the same run."""
    run, field = example_run(), example_field()
    mosaic = xp.combined_rate_map(run)
    table = xp.photometry(mosaic, field.centre, 20 * u.arcsec, background=(40 * u.arcsec, 90 * u.arcsec))
    ecf = xp.power_law_ecf("pn", filter="Medium", band=mosaic.band, gamma=1.7, nh=3e20 / u.cm**2, absorbed=True)
    for refused in (lambda: xp.fluxes(table, ecf=ecf), lambda: xp.joint_photometry(table, response=ecf)):
        with pytest.raises(InvalidRecord, match="several cameras, which have no factor together: measure the single"):
            refused()
    ra, dec = (str(v) for v in field.centre.value)
    rows = rows_of(call("photometry", run.store, "--ra", ra, f"--dec={dec}", "--radius", "20arcsec", "--json"))
    assert rows
    assert "combined" not in {row["instrument"] for row in rows}
    options = {"flux": "powerlaw:1.7", "nh": "3e20", "absorbed": True, "joint": False, "psf": None, "how": {}}
    with pytest.raises(InvalidRecord, match="no EPIC camera is called 'combined'"):
        fluxes_of(table, [mosaic], options)


def test_an_exposure_in_cm2_s_has_no_factor(data, tmp_path):
    """A map in cm2 s holds the area already."""
    for path in data.rglob("*_pn_*.fits"):
        shutil.copy(path, tmp_path)
    (exposure,) = tmp_path.glob("*_expmap.fits")
    with fits.open(exposure, mode="update") as hdus:
        hdus[0].header["BUNIT"] = "cm2 s"
    rows = rows_of(call("photometry", tmp_path, *WHERE, "--json"))
    assert [row["exposure_unit"] for row in rows] == ["cm2 s"]
    result = call("photometry", tmp_path, *WHERE, *FLUX)
    assert result.exit_code != 0
    assert "a factor would count the area twice" in result.output
    assert "make the map in s" in result.output
