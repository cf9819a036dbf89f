"""The command line: help whose examples work, exit codes, and no traceback for a user's mistake."""

import doctest
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import warnings
from functools import partial

import astropy.units as u
import click
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import demo, main
from xphotfn.cli.demo import _fresh
from xphotfn.simulate.observing import simulate_observations
from xphotfn.simulate.scene import default_scene

WHERE = ["--ra", "52.31", "--dec", "-33.72", "--radius", "3arcmin"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "data"
    simulate_observations(folder)
    return folder


@pytest.fixture(scope="module")
def events_only(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "events"
    simulate_observations(folder, scene=_one_pointing(), products=("events",))
    return folder


def _one_pointing():
    scene = default_scene()
    return evolve(scene, pointings=scene.pointings[:1])


def call(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def _few_pictures(draw, folder, field, combined, maps):
    return draw(folder, field, combined, maps[:1])


@pytest.fixture(scope="module")
def after_demo(tmp_path_factory, request):
    """A folder in which ``xphotfn demo`` was run, and what that printed; if not slow, of one pointing, one picture."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        if not request.config.getoption("--slow"):
            patch.setattr(demo, "default_scene", _one_pointing)
            patch.setattr(demo, "_pictures", partial(_few_pictures, demo._pictures))
        return folder, call("demo", "--quiet")


def examples_of(*words):
    """Return the command lines that a help text shows, as a reader would copy them."""
    shown = call(*words, "--help").output.partition("Examples:\n")[2].replace("\\\n", " ")
    return [line.strip() for line in shown.splitlines() if line.strip()]


EXAMPLES = sorted({line for words in ((), *((name,) for name in main.commands)) for line in examples_of(*words)})


def test_every_help_shows_examples():
    text = call("--help").output
    for name in main.commands:
        assert re.search(rf"^  {name} +\S.*\.$", text, re.MULTILINE), f"{name} is listed with a whole sentence"
        assert any(line.split()[:2] == ["xphotfn", name] for line in EXAMPLES)
        assert "\\b" not in call(name, "--help").output
    assert len(EXAMPLES) >= len(main.commands)
    assert call("--version").output.startswith("xphotfn, version 0.1.0")


def _marked(line):
    """A search for sources of the demo takes minutes; tests/cli/test_detecting.py has a small one."""
    return pytest.param(line, marks=pytest.mark.slow) if line.startswith("xphotfn detect") else line


@pytest.mark.parametrize("line", [_marked(line) for line in EXAMPLES if line != "xphotfn demo" and "fetch" not in line])
def test_examples_of_the_help_work_as_printed(line, after_demo, monkeypatch):
    folder, made = after_demo
    assert made.exit_code == 0
    monkeypatch.chdir(folder)
    program, *words = shlex.split(line)
    assert program == "xphotfn"
    expanded = [path for word in words for path in (sorted(folder.glob(word)) if "*" in word else [word])]
    result = call(*expanded)
    assert result.exit_code == 0, result.output
    for option in ("-o", "imageset"):
        if option in expanded:
            assert (folder / expanded[expanded.index(option) + 1]).exists()


@pytest.mark.slow
def test_commands_of_the_documentation_print_what_the_page_says(after_demo, project_root, tmp_path):
    """The page is run command by command, with pipes, as a reader would; only the demo is not made again."""
    folder, _ = after_demo
    shutil.copytree(folder / "xphotfn-demo", tmp_path / "xphotfn-demo")
    blocks = re.findall(r"```console\n(.*?)```", (project_root / "docs" / "command-line.md").read_text(), re.DOTALL)
    lines = [part.split("\n", 1) for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(lines) > 8
    for command, said in lines:
        if not command.startswith("xphotfn demo"):
            words = command.replace("xphotfn ", f"{shlex.quote(sys.executable)} -m xphotfn ", 1)
            ran = subprocess.run(["/bin/sh", "-c", words], cwd=tmp_path, text=True, capture_output=True)
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert doctest.OutputChecker().check_output(said, ran.stdout + ran.stderr, flags), (command, ran)


def test_find(data):
    result = call("find", data)
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.output.splitlines()]
    assert rows[0][:3] == ["obs_id", "instrument", "exposure_id"]
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
    assert [r["instrument"] for r in rows] == ["pn", "mos1", "mos2"] * 2 + ["combined"]
    assert rows[-1]["snr"] > max(r["snr"] for r in rows[:-1])
    assert rows[-1]["method"] == "mid-p"
    assert re.search(r"note: target: 0999990101: [1-9]\d* regions of 0999990101_sources.reg masked", result.stderr)
    plain = call("snr", data, *WHERE, "--store", tmp_path / "s", "--method", "xga", "--no-peak")
    assert plain.stdout.splitlines()[0].split("\t")[:3] == ["target", "obs_id", "exposure_id"]
    assert "\t52.310000\t-33.720000\t" in plain.stdout


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
    assert [r["radius"] for r in json.loads(result.stdout)] == ["300.0 kpc"] * 7 + ["1.0 arcmin"] * 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["find", "/nowhere/at/all"], "/nowhere/at/all"),
        (
            ["snr", "DATA", "--ra", "x", "--dec", "1", "--radius", "3arcmin"],
            "--ra must be degrees, have a unit such as 9h58m22s",
        ),
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["snr"], "Missing argument 'ROOT'"),
        (["nonsense"], "No such command 'nonsense'"),
        (["photomety"], "Did you mean 'photometry'?"),
        (["run", "x", "--rdius", "3arcmin"], "--radius"),
        (["run", "x"], "Missing --ra, --dec: give them, or a table of a sample with --targets."),
        (["run", "x", "--targets", "t.csv", "--ra", "3"], "--ra and --targets exclude each other"),
        (["photometry", "x"], "Give either --positions TABLE, or --ra and --dec (or --name)."),
        (["photometry", "x", "--ra", "3", "--dec", "2"], "One position needs --ra, --dec and --radius."),
        (["--nonsense"], "No such option"),
    ],
)
def test_usage_mistakes_end_with_status_1_and_name_the_remedy(words, said):
    result = call(*words)
    assert result.exit_code == 1
    assert said in result.stderr


def test_the_nearest_command_is_named_by_any_version_of_click(monkeypatch):
    def old(self, ctx, args):
        ctx.fail(f"No such command {args[0]!r}.")

    monkeypatch.setattr(click.Group, "resolve_command", old)
    assert "Did you mean 'photometry'?" in call("photomety").stderr
    assert "Did you mean" not in call("zzz").stderr


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


@pytest.mark.slow
def test_demo_without_region_files_of_one_camera(tmp_path, monkeypatch):
    """A third of the time of one MOS, without tables and pictures: four points are bright enough."""
    scene = demo.default_scene()
    pointing = scene.pointings[0]
    mos = evolve(pointing.exposures[1], ontime_s=pointing.exposures[1].ontime_s / 3)
    small = evolve(scene, pointings=[evolve(pointing, exposures=[mos])])
    monkeypatch.setattr(demo, "default_scene", lambda: small)
    monkeypatch.setattr(demo, "_written", lambda *_: "")
    said = demo.run_demo(tmp_path / "demo", detect=True, workers=1, say=lambda _: None)
    assert re.search(r"0999990101: [3-6] of 12 true point sources are among \d sources .* 1 object", said), said
    assert "every number is within 3 sigma" in said
    regions = xp.read_regions(tmp_path / "demo" / "data" / "0999990101" / "0999990101_sources.reg")
    assert regions[0].name == "object 1"  # those of the search: the simulated ones were taken away before


@pytest.mark.slow
def test_demo_without_region_files(tmp_path):
    made = call("demo", "-o", tmp_path / "demo", "--detect", "--quiet")
    assert made.exit_code == 0, made.output
    found = re.findall(r"(\d+) of 12 true point sources are among (\d+) sources.* 1 object", made.output)
    assert len(found) == 2
    assert all(int(hits) >= 9 and int(total) <= int(hits) + 8 for hits, total in found)
    assert "every number is within 3 sigma" in made.output


def test_demo(after_demo, tmp_path):
    folder, result = after_demo
    assert result.exit_code == 0, result.output
    assert "every number is within 3 sigma" in result.output
    assert result.stderr == ""
    demo = tmp_path / "demo"
    shutil.copytree(folder / "xphotfn-demo", demo)
    names = {p.name for p in demo.iterdir()}
    assert {"data", "store", "pictures", "combined_rate.fits", "recovered.txt", "snr_ranking.ecsv"} <= names
    assert _fresh(demo) == demo, "an earlier demo may be replaced"
    assert [p.name for p in demo.iterdir()] == ["xphotfn-demo.txt"]
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


def test_a_warning_of_the_library_is_a_note_and_said_once(folders_root, tmp_path):
    """A list of 0.5 keV and above has a part of the band; Python's own warning named a line of the code."""
    shutil.copy(folders_root / "pps" / "0001730201" / "M1_clean.fits.gz", tmp_path)
    one = ("image", str(tmp_path / "M1_clean.fits.gz"), "--band", "0.3-2keV", "-o", str(tmp_path / "image.fits"))
    made = (
        "run",
        str(tmp_path),
        "--ra",
        "263.65",
        "--dec",
        "-32.55",
        "--band",
        "0.3-2keV",
        "--store",
        f"{tmp_path}/store",
    )
    for words in (one, made, ("plan", *made[1:-2], "--script")):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            result = call(*words)
        assert "PartOfBand" not in result.stderr
        said = [line for line in result.stderr.splitlines() if "holds 0.5-10 keV, only a part of 0.3-2 keV" in line]
        assert [line.startswith("note: ") for line in said].count(True) == 1, result.output


def test_image_spares_what_is_there_and_names_the_damaged_file(events_only, tmp_path):
    events, out = next(events_only.rglob("*pn_clean_evts.fits")), tmp_path / "image.fits"
    out.write_bytes(b"SIMPLE  = precious")
    refused = call("image", events, "--band", "0.5-2keV", "-o", out)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    cut = tmp_path / "mine_pn_evts.fits"
    cut.write_bytes(events.read_bytes()[: events.stat().st_size // 2])
    for words in (("0.5-2keV",), ("2-0.5keV",)):
        wrong = call("image", cut, "--band", *words, "-o", out, "--overwrite")
        assert wrong.exit_code == 1
        assert out.read_bytes() == b"SIMPLE  = precious"
        assert "Traceback" not in wrong.output
    assert (
        "mine_pn_evts.fits: is cut short" in call("image", cut, "--band", "0.5-2keV", "-o", out, "--overwrite").stderr
    )


def test_a_failed_step_names_the_file_of_the_user(events_only, tmp_path):
    damaged = tmp_path / "data"
    shutil.copytree(events_only, damaged)
    events = next(damaged.rglob("0999990101_pn_clean_evts.fits"))
    events.write_bytes(events.read_bytes()[: events.stat().st_size // 2])
    result = call("run", damaged, *WHERE, "--store", tmp_path / "s")
    assert result.exit_code == 2
    assert f"{events}: is cut short" in result.output


SAMPLE = """name,ra,dec,radius
here,52.31,-33.72,180
nowhere,10.0,10.0,180
bright,52.3045,-33.7126,60
"""


def sample_table(path, text=SAMPLE):
    path.write_text(text)
    return path


def test_a_sample_gives_one_table_and_a_failing_target_sinks_nothing(data, tmp_path):
    table, store = sample_table(tmp_path / "t.csv"), tmp_path / "s"
    result = call("snr", data, "--targets", table, "--store", store, "--no-peak", "-o", tmp_path / "snr.ecsv")
    assert result.exit_code == 2, result.output
    assert "1 target failed:\n  nowhere: no observation within 30 arcmin of nowhere" in result.stderr
    rows = Table.read(tmp_path / "snr.ecsv")
    assert list(rows["target"]) == ["bright"] * 7 + ["here"] * 7 + ["nowhere"]
    assert set(rows["radius"][:14]) == {"60.0 arcsec", "180.0 arcsec"}
    assert np.isnan(rows["snr"][-1])
    assert rows["note"][-1].startswith("no observation within")
    alone = call("snr", data, *WHERE, "--store", store, "--no-peak", "--json")
    assert list(rows["snr"][7:14]) == [row["snr"] for row in json.loads(alone.stdout)]
    sky = ["--ra", "52.31", "--dec", "-33.72", "--radius", "20arcsec"]
    assert call("snr", data, "--targets", table, "--store", store, "--quiet").exit_code == 2
    assert len(json.loads(call("photometry", store, *sky, "--json").stdout)) == 6, "both targets have the same maps"
    for name, which in enumerate((["--target", "here"], ["--obs-id", "0999990101", "--instrument", "pn"])):
        assert call("view", store, "-o", tmp_path / f"{name}.png", *which).exit_code == 0
    for command in ("plan", "run"):
        extra = ["--store", store] if command == "run" else []
        partly = call(command, data, "--targets", table, *extra)
        assert partly.exit_code == 2
        assert "nowhere: no observation" in partly.stderr
        assert "emosaic" in partly.stdout


def test_a_step_that_fails_in_a_sample_is_told_of_its_targets_only(data, tmp_path, monkeypatch):
    from xphotfn.engines.native import emosaic

    make = emosaic.mosaic
    calls = []

    def melt_once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        return make(*args, **kwargs)

    monkeypatch.setattr("xphotfn.engines.native.emosaic.mosaic", melt_once)
    text = "name,ra,dec,radius\nboth,52.31,-33.72,60\none,52.324,-33.80,60\n"
    words = ["--within", "5arcmin", "--scheduler", "synchronous", "--store", tmp_path / "s", "--json", "--no-peak"]
    result = call("snr", data, "--targets", sample_table(tmp_path / "t.csv", text), *words)
    assert result.exit_code == 2, result.output
    rows = json.loads(result.stdout)
    failed = [row for row in rows if "No space left on device" in row["note"]]
    assert len(failed) == 1
    assert {row["target"] for row in rows} == {"both", "one"}


def test_a_sample_without_any_usable_target_or_with_a_bad_table_is_a_mistake(data, tmp_path):
    for name, text, said in (
        ("t.csv", "name,ra,dec,radius\na,1,1,60\nb,2,2,60\n", "none of the 2 targets can be measured:\n  a: no observ"),
        ("t.csv", "name,ra\na,1\n", "the table lacks dec"),
        ("t.csv", "name,ra,dec\n", "holds no row"),
        ("t.xls", "x", "a table ends with .csv, .ecsv, .fits"),
        ("t.txt", "x", "holds no row"),
        ("t.fits", "x", "cannot be read as fits"),
    ):
        table = sample_table(tmp_path / name, text)
        result = call("run", data, "--targets", table, "--store", tmp_path / "s")
        assert result.exit_code == 1, result.output
        assert said in result.stderr
    assert "there is no such file" in call("run", data, "--targets", tmp_path / "no.csv").stderr
    no_radius = sample_table(tmp_path / "t.csv", "name,ra,dec,redshift\na,52.31,-33.72,0.16\n")
    result = call("snr", data, "--targets", no_radius, "--store", tmp_path / "s")
    assert result.exit_code == 2
    assert "a: has no radius: add a column r500 or radius" in result.stderr


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits"])
def test_photometry_of_a_folder_is_that_of_the_library(data, tmp_path, ending):
    import astropy.units as u

    positions = Table({"name": ["a", "b"], "ra": [52.31, 52.35], "dec": [-33.72, -33.70]})
    positions.write(tmp_path / f"p.{ending}")
    out = tmp_path / f"out.{ending}"
    words = ["--positions", tmp_path / f"p.{ending}", "--radius", "20arcsec", "--background", "30arcsec,60arcsec"]
    result = call(
        "photometry", data, *words, "--overlap", "exact", "--method", "li-ma", "--band", "0.5-2keV", "-o", out
    )
    assert result.exit_code == 0, result.output
    made = Table.read(out)
    field = xp.bulk_field(xp.find_observations(data))
    run = xp.run(
        xp.plan_exposure_maps(field, xp.energy_band("0.5 keV", "2 keV")),
        engine=xp.native_engine(),
        store=tmp_path / "s",
    )
    expected = xp.photometry(
        xp.rate_maps(run), [[52.31, -33.70 - 0.02], [52.35, -33.70]] * u.deg, 20 * u.arcsec,
        background=(30 * u.arcsec, 60 * u.arcsec), overlap="exact", method="li-ma",
    )  # fmt: skip
    assert made.colnames == ["name", *expected.colnames]
    assert list(made["name"]) == ["a", "b"] * 6
    for name in ("counts", "rate", "rate_low", "significance", "upper_limit", "flags"):
        np.testing.assert_allclose(np.asarray(made[name], float), u.Quantity(expected[name]).value, rtol=1e-12)


def test_photometry_says_what_it_lacks(data, tmp_path):
    where = ["--ra", "52.31", "--dec", "-33.72", "--radius", "20arcsec"]
    table = sample_table(tmp_path / "p.csv", "ra,dec\n1,2\n")
    for words, said in (
        ([data, *where, "--band", "3-4keV"], "holds maps of 0.5-2 keV only"),
        ([data, "--positions", table], "lacks radius; its columns are ra, dec"),
        ([data, *where, "--background", "1.5"], "--background takes two values with a comma between"),
        ([data, *where, "--confidence", "2"], "confidence must lie between 0 and 1"),
        ([tmp_path / "none", *where], "there is no such folder"),
    ):
        result = call("photometry", *words)
        assert result.exit_code == 1, result.output
        assert said in result.stderr
    assert call("photometry", data, *where, "--json").exit_code == 0


def test_view_of_files_and_folders(data, tmp_path):
    image, expmap = next(data.rglob("*mos1*_img.fits")), next(data.rglob("*mos1*_expmap.fits"))
    for name, words, said in (
        ("a.png", [image], "image 0999990"),
        ("b.png", [expmap, "--stretch", "linear"], "exposure map 0999990"),
        ("c.pdf", [image, "--exposure", expmap, "--zoom", "--cross-hair", "3h29m14.4s,-33d43m12s"], "rate map 0999990"),
        ("d.png", [data, "--obs-id", "0999990101", "--instrument", "pn"], "rate map 0999990101 pn S003, 0.5-2 keV"),
    ):
        result = call("view", *words, "-o", tmp_path / name)
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"{tmp_path / name}: {said}")
        assert (tmp_path / name).read_bytes()[:4] in (b"\x89PNG", b"%PDF")
    smoothed = call("view", image, "-o", tmp_path / "s.png", "--smooth", "8arcsec")
    assert smoothed.exit_code == 0, smoothed.output
    assert (tmp_path / "s.png").read_bytes() != (tmp_path / "a.png").read_bytes()
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xp, "save_view", lambda shown, *_, **how: drawn.append((shown, how["stretch"])))
        sigma = call("view", image, "--exposure", expmap, "-o", tmp_path / "x.png", "--significance", "15arcsec")
    [(shown, stretch)] = drawn
    pair = xp.rate_map(image, expmap, band=xp.Band(lo_ev=500, hi_ev=2000))
    assert np.array_equal(shown.data, xp.significance_map(pair, radius=15 * u.arcsec), equal_nan=True)
    assert (shown.label, stretch) == (r"Significance in a circle of 15 arcsec ($\sigma$)", "linear")
    assert "Significance of RateMap 0999990" in sigma.stdout
    for words, said in (
        (
            [image, "-o", tmp_path / "x.png", "--significance", "8arcsec"],
            "give a rate map, or an image with --exposure",
        ),
        ([image, "-o", tmp_path / "x.png", "--significance", "8arcsec", "--smooth", "8arcsec"], "exclude each other"),
        ([image, "-o", tmp_path / "a.png"], "--overwrite"),
        ([data, "-o", tmp_path / "x.png"], "6 of the maps of"),
        ([data, "-o", tmp_path / "x.png", "--obs-id", "3"], "none of the maps of"),
        ([data, "-o", tmp_path / "x.png", "--instrument", "pn"], "choose with --obs-id (0999990101, 0999990201)"),
        ([image, "-o", tmp_path / "x.png", "--cross-hair", "1,1"], "off the image"),
        ([image, "-o", tmp_path / "x.png", "--cross-hair", "1"], "--cross-hair must be such as 149.592,-11.06"),
        ([image, "-o", tmp_path / "x.png", "--exposure", image], "a rate map is an image and its --exposure map"),
        ([image, "-o", tmp_path / "x.png", "--band", "1-2keV"], "is one file"),
        ([image, "-o", tmp_path / "x.gif"], "a picture is saved as .png"),
    ):
        result = call("view", *words)
        assert result.exit_code == 1, result.output
        assert said in result.stderr
    assert not list(tmp_path.glob("x.*"))


def test_view_of_an_event_list_says_how_to_make_an_image(events_only, tmp_path):
    result = call("view", next(events_only.rglob("*mos1_clean_evts.fits")), "-o", tmp_path / "x.png")
    assert result.exit_code == 1
    assert "xphotfn image" in result.stderr


def test_runs_tells_steps_that_did_not_end_from_those_that_failed(data, tmp_path):
    store = tmp_path / "s"
    assert call("run", data, *WHERE, "--store", store, "--quiet").exit_code == 0
    record = next((store / "runs").glob("*.json"))
    content = json.loads(record.read_text())
    for outcome, stopped in zip(content["outcomes"], (True, False), strict=True):
        kept = {"#": "xphotfn.records.outcome:Failed", "step": outcome["step"], "reason": "r", "interrupted": stopped}
        outcome.clear()
        outcome.update(kept)
    record.write_text(json.dumps(content))
    (row,) = json.loads(call("runs", store, "--json").stdout)
    assert [row[name] for name in ("done", "failed", "skipped", "not ended")] == ["0", "1", "0", "1"]


def test_control_characters_of_a_refused_name_are_written_out(data, tmp_path):
    text = "name,ra,dec,radius\nA907,52.31,-33.72,60\nodd\x1b[2J\0,1,1,60\n"
    table, made = sample_table(tmp_path / "t.csv", text), tmp_path / "o.csv"
    call("snr", data, "--targets", table, "--store", tmp_path / "s", "--no-peak", "-o", made, "--band", "0.5-2keV")
    assert "odd\\x1b[2J" in made.read_text()
    assert not {"\x1b", "\0"} & set(made.read_text())


def test_verify_explain_and_prune(data, tmp_path):
    store = tmp_path / "s"
    assert call("run", data, *WHERE, "--store", store, "--quiet").exit_code == 0
    assert call("verify", store).output.startswith("2 products of")
    mosaic = next(store.rglob("*_mosaic_img.fits"))
    told = call("explain", mosaic)
    assert "emosaic" in told.output
    assert json.loads(call("explain", mosaic, "--json").output)[0]["key"] == mosaic.parent.name
    assert call("explain", mosaic.parent.name, "--store", store).output == told.output
    assert len(json.loads(call("explain", store, "--json").output)) == 2
    script = tmp_path / "again.sh"
    script.write_text(call("explain", mosaic, "--script").output)
    assert script.read_text().startswith("#!/bin/sh")
    assert call("explain", next(data.rglob("*img.fits"))).exit_code == 1
    mosaic.chmod(0o644)
    mosaic.write_bytes(b"damaged")
    kept = call("verify", store)
    assert kept.exit_code == 2
    assert "still there" in kept.output
    assert mosaic.exists()
    assert call("verify", store, "--remove").exit_code == 2
    assert not mosaic.exists()
    assert json.loads(call("verify", store, "--json").output)["products"] == 1
    for run in (store / "runs").iterdir():
        run.unlink()
    assert "would remove 1 products" in call("prune", store, "--min-age", "0s", "--dry-run").output
    assert "removed 1 products" in call("prune", store, "--min-age", "0s").output
    assert call("prune", store, "--min-age", "3kg").exit_code == 1


def test_quiet_says_nothing_on_stderr_and_json_is_json(data, tmp_path):
    words = [data, *WHERE, "--store", tmp_path / "s"]
    assert call("run", *words, "--quiet").stderr == ""
    assert "engine: native" in call("run", *words).stderr
    assert len(json.loads(call("plan", data, *WHERE, "--json").stdout)["steps"]) == 2
    assert call("plan", data, *WHERE, "--script").stdout.startswith("#!/bin/sh")


def test_a_terminal_gets_an_aligned_table(data, monkeypatch):
    monkeypatch.setattr("xphotfn.cli.output._on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    head, *rows = call("find", data).stdout.splitlines()
    assert "\t" not in head
    assert {row.index("Thin1") for row in rows} == {head.index("filter")}


def test_advice_is_given_in_words_of_the_command_line(data, tmp_path):
    far = call("plan", data, "--ra", "10", "--dec", "10", "--radius", "3arcmin")
    assert far.stderr.endswith("check the position or give --within\n")
    near = call("plan", data, "--ra", "52.31", "--dec", "-33.72", "--radius", "3arcmin", "--within", "1arcsec")
    assert near.exit_code == 1
    no_redshift = call("plan", data, "--ra", "52.31", "--dec", "-33.72", "--radius", "300kpc")
    assert "give --redshift or the radius in arcmin" in no_redshift.stderr
    (tmp_path / "x.png").touch()
    there = call("view", next(data.rglob("*mos1*_img.fits")), "-o", tmp_path / "x.png")
    assert there.stderr.endswith("give another name or --overwrite\n")
    assert "that `xphotfn run --store` wrote to" in call("verify", data).stderr


def test_light_is_handed_on(data):
    words = ("photometry", data, "--ra", "52.31", "--dec", "-33.72", "--radius", "3arcmin", "--json")
    rings, flat = (json.loads(call(*words, *more).stdout) for more in ((), ("--light", "flat")))
    assert {row["rate_of"] for row in rings + flat} == {"aperture"}
    assert all(a["rate"] != b["rate"] for a, b in zip(rings, flat, strict=True))
    assert all(a["rate"] * a["effective_exposure"] == pytest.approx(a["net_counts"], rel=1e-6) for a in flat)
    both = call(*words, "--light", "flat", "--psf", "epic")
    assert both.exit_code == 1
    assert "light" in both.stderr


def test_psf_is_handed_on(data):
    words = ["photometry", data, "--ra", "52.31", "--dec", "-33.72", "--radius", "20arcsec", "--json"]
    with_psf, without = (json.loads(call(*words, *more).stdout) for more in (("--psf", "epic"), ()))
    assert all(abs(a["rate"]) > abs(b["rate"]) for a, b in zip(with_psf, without, strict=True))


@pytest.fixture
def sas(tmp_path, monkeypatch):
    """An environment in which our interpreters stand where SAS's tasks would."""
    from xphotfn.engines.shims.task import write_shims

    shims = write_shims(tmp_path / "sas" / "bin")
    for name in ("SAS_DIR", "SAS_CCFPATH", "HEADAS"):
        monkeypatch.setenv(name, str(shims.parent))
    monkeypatch.setenv("PATH", f"{shims}:/usr/bin:/bin")


def test_engine_without_sas(data, tmp_path, monkeypatch):
    for name in ("SAS_DIR", "SAS_CCFPATH", "HEADAS"):
        monkeypatch.delenv(name, raising=False)
    words = ["run", data, *WHERE, "--store", tmp_path / "s"]
    refused = call(*words, "--engine", "sas")
    assert refused.exit_code == 1
    assert "SAS_DIR is not set: initialise SAS" in refused.stderr
    assert (
        f"engine: {xp.native_engine().identity} (SAS is not ready: SAS_DIR is not set)"
        in call(*words, "--engine", "auto").stderr
    )


def test_engine_auto_takes_sas_where_it_is_ready(sas, capsys):
    from xphotfn.cli.running import engine_named

    with click.Context(main).scope():
        assert engine_named("auto") == xp.sas_engine()
        assert engine_named("native") == xp.native_engine()
    assert capsys.readouterr().err == f"engine: sas-{xp.__version__}\nengine: {xp.native_engine().identity}\n"


@pytest.mark.slow
def test_a_run_with_sas(data, sas, tmp_path):
    words = ["run", data, *WHERE, "--store", tmp_path / "s", "--engine", "auto"]
    with_sas = call(*words)
    assert f"engine: sas-{xp.__version__}" in with_sas.stderr
    assert "2 done (0 were there)" in with_sas.stderr
    assert "2 done (0 were there)" in call(*words, "--engine", "native").stderr
    assert "2 done (2 were there)" in call(*words, "--engine", "native").stderr


def test_workers_and_scheduler_do_what_they_say(data, tmp_path, monkeypatch):
    import dask.threaded

    from xphotfn.engines.native import emosaic

    workers, used = [], []
    make, get = emosaic.mosaic, dask.threaded.get
    monkeypatch.setattr(dask.threaded, "get", lambda *a, **k: workers.append(k["pool"]._max_workers) or get(*a, **k))
    monkeypatch.setattr(emosaic, "mosaic", lambda *a, **k: used.append(threading.current_thread()) or make(*a, **k))
    assert call("run", data, *WHERE, "--store", tmp_path / "a", "--workers", "3").exit_code == 0
    assert workers == [3]
    assert threading.main_thread() not in used
    used.clear()
    assert call("run", data, *WHERE, "--store", tmp_path / "b", "--scheduler", "synchronous").exit_code == 0
    assert used == [threading.main_thread()] * 2
    assert call("run", data, *WHERE, "--store", tmp_path / "a", "--workers", "0").exit_code == 1


def test_schedulers_that_do_not_answer_or_mean_nothing(data, tmp_path, monkeypatch):
    monkeypatch.setattr("xphotfn.cli.running._CONNECT_S", 1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
    for words, said in (
        (["--scheduler", nobody], f"no dask scheduler answers at {nobody} within"),
        (["--scheduler", "slurm"], "--scheduler is threads, synchronous or an address"),
        (["--scheduler", "synchronous", "--workers", "2"], "--workers counts threads"),
    ):
        result = call("run", data, *WHERE, "--store", tmp_path / "s", *words)
        assert result.exit_code == 1, result.output
        assert said in result.stderr
        assert "Traceback" not in result.output


@pytest.mark.slow
def test_a_scheduler_by_its_address(data, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, threads_per_worker=2, dashboard_address=":0") as cluster:
        words = ["run", data, *WHERE, "--store", tmp_path / "s", "--scheduler", cluster.scheduler_address]
        assert "has no worker: start some with `dask worker tcp://" in call(*words).stderr
        cluster.scale(1)
        cluster.wait_for_workers(1)
        result = call(*words)
        assert result.exit_code == 0, result.output
        assert "2 done (0 were there)" in result.stderr
        assert "2 done (2 were there)" in call(*words).stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_and_completes(shell, monkeypatch):
    script = call("completion", shell).output
    assert "xphotfn completion" in script.splitlines()[0]
    assert f"_XPHOTFN_COMPLETE={shell}_complete" in script
    monkeypatch.setenv("COMP_WORDS", "xphotfn pho")
    monkeypatch.setenv("COMP_CWORD", "1" if shell != "fish" else "pho")
    done = CliRunner().invoke(main, [], env={"_XPHOTFN_COMPLETE": f"{shell}_complete"}, prog_name="xphotfn")
    assert "photometry" in done.output


def test_the_command_line_starts_light():
    code = "import sys, xphotfn.cli; print(sorted({'numpy', 'astropy', 'dask', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_view_of_a_map_without_a_band(folders_root, tmp_path):
    """An image of all events names no band: it cannot be measured, and can be looked at."""
    path = folders_root / "esas" / "0203930101" / "mos1S001-obj-image-sky.fits.gz"
    drawn = call("view", path, "-o", tmp_path / "all.png")
    assert drawn.exit_code == 0, drawn.output
    assert "image 0203930101 mos1 S001, band not named" in drawn.output
    assert (tmp_path / "all.png").stat().st_size > 10_000


def test_no_event_list_is_replaced_by_something_else(events_only, tmp_path):
    events = next(events_only.rglob("*mos1_clean_evts.fits"))
    other = tmp_path / "other.fits"
    shutil.copy(events, other)
    for command in ("image", "lightcurve"):
        result = call(command, events, "-o", other, "--overwrite")
        told = "exists and is a FITS event list, not a FITS" in result.stderr
        assert (result.exit_code, told) == (1, True), result.output
        assert other.read_bytes() == events.read_bytes()
    cleaned = tmp_path / f"{events.name[:10]}_mos1_{fits.getval(events, 'EXPIDSTR')}_clean_evts.fits"
    shutil.copy(events, cleaned)
    result = call("clean", cleaned, "-o", tmp_path, "--overwrite")
    assert (result.exit_code, "is never replaced" in result.stderr) == (1, True), result.output
    assert cleaned.read_bytes() == events.read_bytes()
