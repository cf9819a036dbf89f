"""Sources that are left out of light curves: of a list that is given, and of what the pipeline put beside a list."""

import shutil
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.testing import default_scene, simulate_observations

BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)
REAL, CURVE = "P0001730201M1S002MIEVLI.FTZ", "P0001730201M1S002FBKTSR0000.FTZ"
OBSMLI = "P0999990101EPX000OBSMLI0000.FIT"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A raw list of 1 ks, where it is pointed, and a list of two positions in it."""
    pointing = default_scene().pointings[0]
    camera = evolve(pointing.exposure("mos1"), ontime_s=1000.0, cleaned=False)
    scene = evolve(default_scene(), pointings=[evolve(pointing, exposures=[camera])])
    truth = simulate_observations(tmp_path_factory.mktemp("raw"), scene=scene, products="events")
    path = next(Path(truth.folder, "0999990101").glob("*evts.fits"))
    header = fits.getheader(path, "EVENTS")
    places = [(header["REFXCRVL"], header["REFYCRVL"]), (header["REFXCRVL"] + 0.1, header["REFYCRVL"] - 0.05)]
    rows = {"SRC_NUM": [1, 2], "RA": [p[0] for p in places], "DEC": [p[1] for p in places], "RADEC_ERR": [1.0, 1.0]}
    sources = tmp_path_factory.mktemp("lists") / OBSMLI
    Table(rows | {"EP_EXTENT": [0.0, 0.0]}, meta={"EXTNAME": "SRCLIST"}).write(sources, format="fits")
    return truth, path, sources, SkyCoord(places, unit="deg")


def cli(*words, status=0):
    found = CliRunner().invoke(main, [str(word) for word in words])
    assert found.exit_code == status, found.output
    return found


def events_near(path, places, arcsec):
    """The selected events within a distance of positions, by astropy."""
    events = fits.getdata(path, "EVENTS")
    header = fits.getheader(path, "EVENTS")
    good = (events["FLAG"] & 0x766B0000 == 0) & (events["PATTERN"] <= 12)
    good &= (events["PI"] >= 500) & (events["PI"] <= 7500)
    centre = SkyCoord(header["REFXCRVL"], header["REFYCRVL"], unit="deg")
    x, y = ((events[name] - header[f"REF{name}CRPX"]) * header[f"REF{name}CDLT"] for name in "XY")
    from astropy.wcs import WCS

    wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": centre.ra.deg, "CRVAL2": centre.dec.deg,
               "CRPIX1": 1.0, "CRPIX2": 1.0, "CDELT1": 1.0, "CDELT2": 1.0})  # fmt: skip
    sky = SkyCoord(*wcs.all_pix2world(x, y, 0), unit="deg")
    near = np.min([sky.separation(place).arcsec for place in places], axis=0) <= arcsec
    return int(np.sum(good & near))


def test_events_of_a_given_list_are_left_out(raw):
    """Pixels of 20 arcsec with their middle in a circle of 30 arcsec."""
    _, path, sources, places = raw
    alone = xp.light_curve(path, cut_sources=False).counts.sum()
    bright = alone - xp.light_curve(path).counts.sum()
    both = alone - xp.light_curve(path, sources=sources).counts.sum()
    assert events_near(path, places, 18) <= both <= bright + events_near(path, places, 44)


def test_a_list_of_the_pipeline_beside_is_used_and_said(raw, tmp_path):
    _, path, sources, _ = raw
    events = Path(shutil.copy(path, tmp_path))
    silent = cli("lightcurve", events)
    assert "beside the list" not in silent.stderr
    shutil.copy(sources, tmp_path)
    said = cli("lightcurve", events)
    assert f"note: the sources of {OBSMLI}, beside the list, are left out" in said.stderr
    np.testing.assert_array_equal(xp.light_curve(events).counts, xp.light_curve(path, sources=sources).counts)
    assert "are left out" not in cli("lightcurve", events, "--keep-sources").stderr


def test_a_plan_leaves_out_the_sources_of_the_list_that_it_found(raw, tmp_path):
    truth, path, sources, _ = raw
    for file in (path, sources):
        shutil.copy(file, tmp_path)
    field = xp.match_observations(truth.cluster.target, xp.find_observations(tmp_path))
    plan = xp.plan_images(field, BAND, flares="quiet")
    cut = next(s.command for s in plan.steps if s.command.task == "flarecut")
    assert cut.parameter("sources") == "0999990101_sources.fits"
    assert f"without the sources of {OBSMLI} (flares='quiet')" in xp.describe(plan)
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "store", progress=False, workers=1)
    assert not run.failed


def test_clean_takes_the_same(raw, tmp_path):
    _, path, sources, _ = raw
    curves = []
    for number, more in enumerate(((), (sources,))):
        made = xp.clean_events(path, tmp_path / str(number), engine=xp.native_engine(), sources=next(iter(more), None))
        curves.append(fits.getdata(made.good_times, "RATE")["COUNTS"].sum())
    assert curves[1] == xp.light_curve(path, sources=sources).counts.sum()
    assert curves[0] == xp.light_curve(path).counts.sum()


def test_the_pipelines_own_curve_goes_first(folders_root, tmp_path):
    pps = folders_root / "pps" / "0001730201"
    shutil.copy(pps / REAL, tmp_path)
    alone = xp.light_curve(tmp_path / REAL)
    shutil.copy(pps / CURVE, tmp_path)
    beside = xp.light_curve(tmp_path / REAL)
    assert f"region({CURVE}:REGION,DETX,DETY)" in beside.selection
    assert not np.array_equal(alone.counts, beside.counts)
    made = cli("image", tmp_path / REAL, "-o", tmp_path / "image.fits", "--band", "0.5-2keV")
    assert f"at FLCUTTHR of its light curve {CURVE}" in made.output
    assert "_pipeline_gti.fits,TIME)" in fits.getheader(tmp_path / "image.fits")["SLCTEXPR"]


def test_what_is_no_list_of_sources_is_refused(raw, tmp_path):
    _, path, _, _ = raw
    for command in (("lightcurve", path), ("clean", path, "-o", tmp_path / "out")):
        assert "is no list of sources" in cli(*command, "--sources", path, status=1).stderr
        assert "nowhere.fits" in cli(*command, "--sources", "nowhere.fits", status=1).stderr
    both = cli("lightcurve", path, "--keep-sources", "--sources", path, status=1)
    assert "give it or --sources" in both.stderr


def test_a_list_without_a_reference_point_needs_none_for_its_bright_sources(raw, tmp_path):
    _, path, sources, _ = raw
    with fits.open(path) as hdus:
        for name in [key for key in hdus["EVENTS"].header if key.startswith(("REFX", "REFY"))]:
            del hdus["EVENTS"].header[name]
        hdus.writeto(tmp_path / "plain.fits")
    np.testing.assert_array_equal(xp.light_curve(tmp_path / "plain.fits").counts, xp.light_curve(path).counts)
    with pytest.raises(xp.InvalidFile, match="has no REFXCRVL"):
        xp.light_curve(tmp_path / "plain.fits", sources=sources)
