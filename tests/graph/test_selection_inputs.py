"""Files of a selection: found beside the event list or as given, inputs of the step, on the real pipeline list."""

import shutil
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.errors import ExpressionError, PlanError
from xphotfn.graph.selection_inputs import selection_inputs
from xphotfn.records.observation import FoundFile

LIST = "P0001730201M1S002MIEVLI.FTZ"
BAND = xp.energy_band(0.5 * u.keV, 10 * u.keV)
GRID = xp.ImageGrid(x_bin=80, y_bin=80, x_range=(1, 51840), y_range=(1, 51840))


@pytest.fixture(scope="module")
def place(data_root):
    return data_root / "pps" / "0001730201"


@pytest.fixture
def root(place, tmp_path):
    """The pipeline's list with SAS's good times beside it; not SAS's image."""
    root = tmp_path / "data"
    root.mkdir()
    for name in (LIST, "M1_gti.fits"):
        shutil.copy(place / name, root / name)
    return root


def field_of(root):
    observations = xp.find_observations(root)
    target = xp.extended_source(
        "target", observations[0].ra_deg * u.deg, observations[0].dec_deg * u.deg, radius=1 * u.arcmin
    )
    return xp.match_observations(target, observations)


def image_of(plan, store):
    run = xp.run(plan, engine=xp.native_engine(), store=store, progress=False, scheduler="synchronous")
    (_, path, _) = next(iter(xp.raise_for_failures(run).products()))
    return fits.getdata(path)


def test_plan_images_with_good_times_gives_the_image_of_sas(root, place, tmp_path):
    """As docs/how-to/pps-files.md says: flags and patterns are still those of the default."""
    plan = xp.plan_images(field_of(root), BAND, grid=GRID, selection="gti(M1_gti.fits,TIME)")
    (step,) = plan.steps
    assert [i.name for i in step.inputs][1:] == ["M1_gti.fits"]
    assert step.inputs[1].file.path == str(root / "M1_gti.fits")
    theirs = fits.getdata(place / "M1_image.fits")
    assert np.count_nonzero(image_of(plan, tmp_path / "store") != theirs) == 0
    assert theirs.sum() == 36824


@pytest.mark.parametrize("how", ["absolute", "relative", "block", "odd name"])
def test_files_elsewhere(how, root, place, tmp_path, monkeypatch):
    """Beside the list first, then as given; a name that no command can hold gets one of ours."""
    other = tmp_path / "other place"
    other.mkdir()
    name = "my+gti" if how == "odd name" else "my+gti.fits"
    (root / "M1_gti.fits").rename(other / name)
    monkeypatch.chdir(tmp_path)
    spec = str(other / name) if how == "absolute" else f"other place/{name}"
    spec += "[STDGTI]" if how == "block" else ""
    chosen = selection_inputs(f"gti({spec},TIME)", FoundFile(path=str(root / LIST), size=1, mtime_ns=1))
    (item,) = chosen.inputs
    assert Path(item.file.path) == other / name
    plain = "selection1.fits" if how == "odd name" else name
    assert chosen.text == f"gti({plain}{':STDGTI' if how == 'block' else ''},TIME)"
    if how == "absolute":
        plan = xp.plan_images(field_of(root), BAND, grid=GRID, selection=f"gti({spec},TIME)")
        assert np.array_equal(image_of(plan, tmp_path / "store"), fits.getdata(place / "M1_image.fits"))


def test_the_list_s_own_folder_comes_first(root, tmp_path, monkeypatch):
    (tmp_path / "M1_gti.fits").write_bytes(b"another file")
    monkeypatch.chdir(tmp_path)
    chosen = selection_inputs("gti(M1_gti.fits,TIME)", FoundFile(path=str(root / LIST), size=1, mtime_ns=1))
    assert chosen.inputs[0].file.path == str(root / "M1_gti.fits")


def test_another_content_is_another_step(root):
    field = field_of(root)
    before = xp.plan_images(field, BAND, selection="gti(M1_gti.fits,TIME)")
    with fits.open(root / "M1_gti.fits", mode="update") as hdus:
        hdus[1].data["STOP"][:] = hdus[1].data["START"] + 100
    after = xp.plan_images(field, BAND, selection="gti(M1_gti.fits,TIME)")
    assert before.steps[0].id != after.steps[0].id


def test_a_file_that_is_nowhere(root):
    field = field_of(root)
    with pytest.raises(PlanError, match=r"no image can be made: .*'flares.fits' of the selection is not there.*beside"):
        xp.plan_images(field, BAND, selection="gti(flares.fits,TIME)")
    with pytest.raises(ExpressionError):
        xp.plan_images(field, BAND, selection="gti(flares.fits,TIME")


@pytest.mark.parametrize("plan", [xp.plan_images, xp.plan_exposure_maps, xp.plan_mosaics, xp.plan_photometry])
def test_every_plan_takes_it(plan, root):
    made = plan(field_of(root), BAND, selection="gti(M1_gti.fits,TIME)")
    assert any("M1_gti.fits" in step.command.inputs for step in made.steps)


def test_the_command_line(root, place, tmp_path):
    out = tmp_path / "image.fits"
    words = ["image", str(root / LIST), "--band", "0.5-10keV", "-o", str(out), "--bin", "80"]
    done = CliRunner().invoke(main, [*words, "--selection", "gti(M1_gti.fits,TIME)"])
    assert done.exit_code == 0, done.output
    ours, header = fits.getdata(out), fits.getheader(out)
    low = int((header["CRVAL1L"] - (header["CDELT1L"] - 1) / 2 - 1) / 80)
    assert (header["CRVAL1L"] - 40.5) % 80 == 48  # 3649 is no edge of SAS's pixels: sums are compared, not pixels
    theirs = fits.getdata(place / "M1_image.fits")
    assert ours.sum() == theirs[low : low + 557, low : low + 557].sum() == 36824
    words = [
        str(root),
        "--ra",
        "263.68",
        "--dec",
        "-32.58",
        "--within",
        "30arcmin",
        "--selection",
        "gti(M1_gti.fits,TIME)",
    ]
    for command in ("plan", "run", "snr"):
        done = CliRunner().invoke(main, [command, "--help"])
        assert "--selection" in done.output
    bad = CliRunner().invoke(main, ["plan", *words[:-1], "gti(nowhere.fits,TIME)"])
    assert bad.exit_code != 0
    assert "'nowhere.fits' of the selection is not there" in bad.stderr
