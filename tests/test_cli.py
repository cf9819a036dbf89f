"""The command line: help, exit codes, and no traceback for a user's mistake."""

import json
import shutil

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from xphotfn.cli import main
from xphotfn.testing.demo import _fresh
from xphotfn.testing.simulate import simulate_observations

WHERE = ["--ra", "52.31", "--dec", "-33.72", "--radius", "3arcmin"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "data"
    simulate_observations(folder)
    return folder


@pytest.fixture(scope="module")
def events_only(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "events"
    simulate_observations(folder, products=("events",))
    return folder


def call(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def test_help_shows_an_example_for_each_command():
    text = call("--help").output
    for command in main.commands:
        assert command in text
        shown = call(command, "--help")
        assert shown.exit_code == 0
        assert f"Example:  xphotfn {command}" in shown.output
    assert call("--version").output.startswith("xphotfn, version 0.1.0")


def test_find(data):
    result = call("find", data)
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.output.splitlines()]
    assert rows[0][0] == "ObsID"
    assert rows[1][:4] == ["0999990101", "pn", "S003", "Thin1"]
    assert len(rows) == 7
    records = json.loads(call("find", data, "--json").output)
    assert [r["obs_id"] for r in records] == ["0999990101", "0999990201"]


def test_run_and_run_again(data, tmp_path):
    first = call("run", data, *WHERE, "--store", tmp_path / "s")
    assert first.exit_code == 0
    assert "emosaic" in first.output
    assert "2 done (0 were there)" in first.stderr
    again = call("run", data, *WHERE, "--store", tmp_path / "s", "--json")
    assert {s["state"] for s in json.loads(again.stdout)["steps"]} == {"done"}
    assert "2 done (2 were there)" in again.stderr


def test_snr(data, tmp_path):
    result = call("snr", data, *WHERE, "--store", tmp_path / "s", "--json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [r["camera"] for r in rows] == ["pn", "mos1", "mos2"] * 2 + ["combined"]
    assert rows[-1]["snr"] > max(r["snr"] for r in rows[:-1])
    assert rows[-1]["method"] == "mid-p"
    plain = call("snr", data, *WHERE, "--store", tmp_path / "s", "--method", "xga", "--no-peak")
    assert plain.stdout.splitlines()[0].split("\t")[:3] == ["obs_id", "camera", "band"]
    assert "\t52.3100\t-33.7200\t" in plain.stdout


def test_sexagesimal_positions_and_several_radii_and_lengths(data, tmp_path):
    where = [
        "--ra",
        "3h29m14.4s",
        "--dec",
        "-33d43m12s",
        "--redshift",
        "0.16",
        "--radius",
        "300kpc",
        "--radius",
        "1arcmin",
    ]
    result = call("snr", data, *where, "--store", tmp_path / "s", "--json")
    assert result.exit_code == 0
    assert [r["radius"] for r in json.loads(result.stdout)] == ["300kpc"] * 7 + ["1arcmin"] * 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["find", "/nowhere/at/all"], "/nowhere/at/all"),
        (["snr", "DATA", "--ra", "x", "--dec", "1", "--radius", "3arcmin"], "--ra must be degrees or an angle"),
        (["snr", "DATA", "--ra", "52.31", "--dec", "-33.72", "--radius", "3"], "--radius needs a unit"),
        (["snr", "DATA", "--ra", "52.31", "--dec", "-33.72", "--radius", "300kpc"], "needs a redshift"),
        (["snr", "DATA", "--ra", "10", "--dec", "10", "--radius", "3arcmin"], "no observation within 30 arcmin"),
        (["run", "DATA", *WHERE, "--band", "2-0.5keV"], "a band needs 0 <= lo < hi"),
        (["run", "DATA", *WHERE, "--band", "0.5-2kg"], "must be one finite energy"),
        (["run", "DATA", *WHERE, "--band", "soft"], "--band must be such as 0.5-2.0keV"),
        (["run", "DATA", *WHERE, "--band", "3-4keV"], "neither an image in this band nor an event list"),
        (["run", "DATA", *WHERE, "--reference", "0000000000"], "is in no field; they hold 0999990101, 0999990201"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_status_1(data, tmp_path, words, message):
    words = [str(data) if w == "DATA" else w for w in words]
    extra = [] if words[0] == "find" else ["--store", str(tmp_path / "s")]
    result = call(*words, *extra)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("xphotfn: ")
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_usage_mistakes_end_with_status_2():
    assert call("snr").exit_code == 2
    assert call("nonsense").exit_code == 2


def test_a_damaged_file_is_named_and_the_rest_is_done(data, tmp_path):
    broken = tmp_path / "data"
    shutil.copytree(data, broken)
    path = next(broken.rglob("*pn*_img.fits"))
    path.write_bytes(path.read_bytes()[:-100_000])
    result = call("run", broken, *WHERE, "--store", tmp_path / "s")
    assert result.exit_code == 0
    assert path.name in result.stderr
    assert "5 images" in result.stderr
    assert "2 done" in result.stderr


def test_failed_steps_end_with_status_2_and_are_listed(data, tmp_path, monkeypatch):
    def melt(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xphotfn.engines.native.emosaic.mosaic", melt)
    result = call("run", data, *WHERE, "--store", tmp_path / "s")
    assert result.exit_code == 2
    assert result.stdout.count("failed") == 2
    assert "No space left on device" in result.stdout
    refused = call("snr", data, *WHERE, "--store", tmp_path / "s")
    assert refused.exit_code == 1
    assert "2 of 2 steps failed" in refused.stderr


def test_sas_tasks_run_without_sas(data, tmp_path):
    assert call("task").output == call("task", "--help").output
    assert call("task", "sasversion").exit_code == 0
    image = next(data.rglob("*pn*_img.fits"))
    made = call("task", "emosaic", f"imagesets={image}", f"mosaicedset={tmp_path / 'm.fits'}")
    assert made.exit_code == 0, made.output
    assert (tmp_path / "m.fits").is_file()
    wrong = call("task", "evselect", "imageset=x.fits")
    assert wrong.exit_code == 1
    assert "** evselect: error (ParamMandatory)" in wrong.stderr


def test_demo(tmp_path):
    result = call("demo", "--output", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    assert "every number is within 3 sigma" in result.output
    names = {p.name for p in (tmp_path / "demo").iterdir()}
    assert {"data", "store", "pictures", "combined_rate.fits", "recovered.txt", "snr_ranking.ecsv"} <= names
    assert _fresh(tmp_path / "demo") == tmp_path / "demo", "an earlier demo may be replaced"
    assert [p.name for p in (tmp_path / "demo").iterdir()] == ["xphotfn-demo.txt"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    refused = call("demo", "--output", tmp_path / "mine")
    assert refused.exit_code == 1
    assert "not an earlier demo" in refused.stderr
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def test_image_has_the_events_of_the_band(events_only, tmp_path):
    events, out = next(events_only.rglob("*pn_clean_evts.fits")), tmp_path / "image.fits"
    made = call("image", events, "--band", "0.5-2keV", "-o", out, "--selection", "PATTERN<=0")
    assert made.exit_code == 0, made.output
    table = fits.getdata(events, "EVENTS")
    wanted = (table["PI"] >= 500) & (table["PI"] <= 2000) & (table["PATTERN"] == 0)
    edges = 3649 - 0.5 + 87 * np.arange(513)
    expected, _, _ = np.histogram2d(table["Y"][wanted], table["X"][wanted], bins=(edges, edges))
    np.testing.assert_array_equal(fits.getdata(out), expected)


def test_image_spares_what_is_there_and_names_the_damaged_file(events_only, tmp_path):
    events, out = next(events_only.rglob("*pn_clean_evts.fits")), tmp_path / "image.fits"
    out.write_bytes(b"precious")
    refused = call("image", events, "--band", "0.5-2keV", "-o", out)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    cut = tmp_path / "mine_pn_evts.fits"
    cut.write_bytes(events.read_bytes()[: events.stat().st_size // 2])
    for words in (("0.5-2keV",), ("2-0.5keV",)):
        wrong = call("image", cut, "--band", *words, "-o", out, "--overwrite")
        assert wrong.exit_code == 1
        assert out.read_bytes() == b"precious"
        assert "Traceback" not in wrong.output
    assert "mine_pn_evts.fits: cut short" in call("image", cut, "--band", "0.5-2keV", "-o", out, "--overwrite").stderr


def test_a_failed_step_names_the_file_of_the_user(events_only, tmp_path):
    damaged = tmp_path / "data"
    shutil.copytree(events_only, damaged)
    events = next(damaged.rglob("0999990101_pn_clean_evts.fits"))
    events.write_bytes(events.read_bytes()[: events.stat().st_size // 2])
    result = call("run", damaged, *WHERE, "--store", tmp_path / "s")
    assert result.exit_code == 2
    assert f"{events}: cut short" in result.output
