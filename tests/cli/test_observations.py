"""``xphotfn find``, ``--prefer`` and ``--layout``: each file is told, briefly where there are many."""

import json
import shutil

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from xphotfn.cli import main
from xphotfn.cli.observations import MOST_NOTES
from xphotfn.simulate.observing import simulate_observations

OBS, WHERE = "0999990101", ["--ra", "52.31", "--dec", "-33.72", "--radius", "3arcmin"]


def call(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


@pytest.fixture
def folder(tmp_path):
    """One observation of one camera: an image, its exposure map, and a second image that differs by one count."""
    simulate_observations(tmp_path / "made", products=("image", "exposure_map"))
    root = tmp_path / "data"
    root.mkdir()
    for kind in ("img", "expmap"):
        shutil.copy(next((tmp_path / "made").rglob(f"{OBS}_pn_*_{kind}.fits")), root / f"{kind}.fits")
    with fits.open(root / "img.fits") as hdus:
        hdus[0].data[256, 256] += 1
        hdus.writeto(root / "i.fits")
    return root


def test_two_files_that_differ_are_named_and_a_plan_asks_for_one(folder):
    found = call("find", folder)
    assert found.exit_code == 0
    assert "note: 0999990101: i.fits left out: differs, and no rule says which is right" in found.stderr
    assert found.stdout.splitlines()[1].split("\t")[-2:] == ["none", "0.5-2 keV"]
    planned = call("plan", folder, *WHERE, "--kind", "point")
    assert planned.exit_code == 1
    assert (
        "i.fits and img.fits differ (content), and no rule says which is right: name one with --prefer"
        in planned.stderr
    )


@pytest.mark.parametrize("choice", [["--prefer", "i.fits"], ["--layout", "image=i.fits"]])
def test_the_user_says_which(folder, choice):
    rows = json.loads(call("find", folder, *choice, "--all", "--json").stdout)
    assert {row["file"]: (row["used"], row["kind"], row["band"]) for row in rows} == {
        "i.fits": ("yes", "image", "0.5-2 keV"), "img.fits": ("no", "image", "0.5-2 keV"),
        "expmap.fits": ("yes", "exposure_map", "0.5-2 keV"),
    }  # fmt: skip
    assert "i.fits is used" in next(row["why"] for row in rows if row["file"] == "img.fits")
    planned = call("plan", folder, *WHERE, "--kind", "point", *choice)
    assert planned.exit_code == 0, planned.stderr
    assert "note: 0999990101: img.fits left out: another file was named by the user; i.fits is used" in planned.stderr


def test_a_choice_that_is_none(folder):
    assert "is no file below" in call("find", folder, "--prefer", "x.fits").stderr
    assert "is no KIND=TEMPLATE" in call("find", folder, "--layout", "x.fits").stderr
    assert "there is no exposure 'S009' below" in call("find", folder, "--prefer", "S009").stderr


def test_options_without_effect_are_not_passed_over(folder, tmp_path):
    said = call("find", folder, "--layout", "image=zz/{obs_id}.fits", "--layout", "image=i*.fits").stderr
    assert f"note: --layout 'image=zz/{{obs_id}}.fits' fits no file below {folder}" in said
    assert "fits no file" not in call("find", folder, "--layout", "image=i*.fits").stderr
    (tmp_path / "t.csv").write_text("name,ra,dec,radius\np,52.31,-33.72,60\n")
    sample = call("plan", folder, "--targets", tmp_path / "t.csv", "--redshift", "0.2")
    assert "--redshift and --targets exclude each other" in sample.stderr
    (folder / "i.fits").unlink()
    store = ["--store", tmp_path / "store", "--search", "1arcmin"]
    assert "--search and --no-peak exclude each other" in call("snr", folder, *WHERE, *store, "--no-peak").stderr
    assert "--search needs --peak" in call("snr", folder, *WHERE, *store).stderr
    assert call("snr", folder, *WHERE, *store, "--peak").exit_code == 0


def test_many_files_are_told_by_reason_and_named_with_all(folder):
    (folder / "i.fits").unlink()
    for number in range(MOST_NOTES + 1):
        (folder / f"{number}.txt").write_text("notes")
    (folder / "rate.fits").write_bytes(b"")
    brief = call("find", folder).stderr.splitlines()
    assert f"note: 0999990101: {MOST_NOTES + 1} left out: is no FITS file" in brief
    assert len(brief) < 6
    lines = call("find", folder, "--all").stdout.splitlines()
    assert len(lines) == 1 + 2 + MOST_NOTES + 2


def test_a_band_and_a_part_of_the_field_are_said(folder):
    (folder / "i.fits").unlink()
    with fits.open(folder / "img.fits", mode="update") as hdus:
        header = hdus[0].header
        number = 1 + sum(name.startswith("DSTYP") for name in header)
        header["SLCTEXPR"] = "PI in [500:2000] && X in [25000:26000]"
        header[f"DSTYP{number}"], header[f"DSVAL{number}"] = "X", "25000:26000"
        hdus[0].data = hdus[0].data.astype(np.int32)
    assert "0.5-2 keV (part of the field)" in call("find", folder).stdout


def test_two_exposures_of_a_camera_are_told_apart(folder):
    (folder / "i.fits").unlink()
    for kind in ("img", "expmap"):
        with fits.open(folder / f"{kind}.fits") as hdus:
            hdus[0].header["EXPIDSTR"] = "U002"
            hdus.writeto(folder / f"u_{kind}.fits")
    place = ["--ra", "52.31", "--dec", "-33.72", "--radius", "60arcsec"]
    rows = json.loads(call("photometry", folder, *place, "--json").stdout)
    assert [(row["exposure_id"], row["instrument"]) for row in rows] == [("S003", "pn"), ("U002", "pn")]
    shown = call("photometry", folder, *place).stdout.splitlines()
    assert [line.split("\t")[3] for line in shown[1:]] == ["S003", "U002"]
    assert len(json.loads(call("photometry", folder, *place, "--prefer", "S003", "--json").stdout)) == 1


def test_an_exposure_map_one_pixel_off_is_named_with_the_card_by_every_verb(folder):
    (folder / "i.fits").unlink()
    with fits.open(folder / "expmap.fits", mode="update") as hdus:
        hdus[0].header["CRPIX1"] += 1
        off = f"CRPIX1 {float(hdus[0].header['CRPIX1'])!r}"
    said = [line for line in call("plan", folder, *WHERE).stdout.splitlines() if ": expmap.fits" in line]
    assert len(said) == 1
    assert "exposure_map: expmap.fits has other pixels than its image (" in said[0]
    assert off in said[0]
    assert "CRPIX1" in call("photometry", folder, "--ra", "52.31", "--dec", "-33.72", "--radius", "1arcmin").stderr
