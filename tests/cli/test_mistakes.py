"""Mistakes on the command line are told before the work is done, and sink as little as can be."""

import json
import os
import re
import shutil

import click
import pytest
from astropy.table import Table
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main, values
from xphotfn.cli.output import print_rows, refuse_member
from xphotfn.engines.sas import SasEngine
from xphotfn.simulate.observing import simulate_observations
from xphotfn.simulate.scene import default_scene
from xphotfn.units import ra_deg

WHERE = ["--ra", "52.31", "--dec", "-33.72"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "data"
    simulate_observations(folder)
    return folder


def call(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--background", "2,1"], "needs 1 <= inner < outer"),
        (["-o", "x.txt"], "a table ends with"),
        (["-o", "nowhere/x.csv"], "there is no folder nowhere: make it first"),
        (["-o", "there.csv"], "exists already"),
        (["--radius", "r500"], "--radius r500 needs --targets"),
    ],
)
def test_snr_refuses_before_it_makes_anything(data, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("mine")
    result = call("snr", data, *WHERE, *(() if "--radius" in words else ("--radius", "3arcmin")), *words)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "xphotfn-store").exists()
    assert (tmp_path / "there.csv").read_text() == "mine"


INPUT = "IN"
READS = {
    "image": ["image", INPUT],
    "lightcurve": ["lightcurve", INPUT],
    "lightcurve, sources": ["lightcurve", "events.fits", "--sources", INPUT],
    "photometry": ["photometry", "data", "--positions", INPUT],
    "snr": ["snr", "data", "--targets", INPUT],
    "weights": ["snr", "data", *WHERE, "--background-weights", INPUT],
    "hardness": ["hardness", "data", "--positions", INPUT],
    "limits": ["limits", "data", "--positions", INPUT],
    "profile": ["profile", "data", "--step", "10arcsec", "--outer", "1arcmin", "--targets", INPUT],
    "peak": ["peak", "data", "--targets", INPUT],
    "detect": ["detect", INPUT],
    "view": ["view", INPUT],
    "exposure": ["view", "image.fits", "--exposure", INPUT],
    "expression": ["image", "events.fits", "--selection", f"gti({INPUT},TIME)"],
    "flares": ["image", "events.fits", "--flares", INPUT],
}


@pytest.mark.parametrize("words", READS.values(), ids=READS)
@pytest.mark.parametrize("output", ["mine.fits", "./../{folder}/mine.fits", "link.fits"])
def test_no_command_replaces_what_it_reads(tmp_path, monkeypatch, words, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.fits").write_bytes(b"mine")
    (tmp_path / "link.fits").symlink_to("mine.fits")
    words = [word.replace(INPUT, "mine.fits") for word in words]
    result = call(*words, "-o", output.format(folder=tmp_path.name), "--overwrite")
    assert (result.exit_code, "is read from (mine.fits) and so is never replaced" in result.stderr) == (1, True), (
        result.output
    )
    assert (tmp_path / "mine.fits").read_bytes() == b"mine"
    assert (tmp_path / "link.fits").is_symlink()


@pytest.mark.parametrize(
    ("words", "member", "kind"),
    [
        (["detect"], "0999990101*.reg", "regions"),
        (["detect"], "0999990101*mos1*img.fits", "image"),
        (["photometry", *WHERE, "--radius", "20arcsec"], "0999990101*mos1*expmap.fits", "exposure map"),
    ],
)
def test_no_command_replaces_what_it_finds_in_a_folder(data, tmp_path, words, member, kind):
    """A member of a folder is an input as one that is named; what find does not read may be replaced."""
    path = next(data.rglob(member))
    before = path.read_bytes()
    result = call(words[0], data, *words[1:], "-o", path, "--overwrite")
    assert result.exit_code == 1
    assert f"{path}: is among what is found in {data} ({kind}) and so is never replaced" in result.stderr
    assert path.read_bytes() == before
    refuse_member(path, tmp_path)
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n")
    refuse_member(tmp_path / "mine.csv", tmp_path)


def test_what_is_made_needs_no_radius_and_snr_does(data, tmp_path):
    planned = call("plan", data, *WHERE)
    assert planned.exit_code == 0, planned.output
    with_radius = call("plan", data, *WHERE, "--radius", "3arcmin")
    commands = [line for line in with_radius.stdout.splitlines() if line.startswith("emosaic")]
    assert commands
    assert [line for line in planned.stdout.splitlines() if line.startswith("emosaic")] == commands
    assert call("run", data, *WHERE, "--store", tmp_path / "s", "-q").exit_code == 0
    asked = call("snr", data, *WHERE)
    assert (asked.exit_code, "Missing --radius: give it" in asked.stderr) == (1, True)


def test_a_wrong_row_of_a_sample_sinks_that_target_only(data, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(
        "name,ra,dec,redshift,r500\ngood,52.31,-33.72,0.16,1200\nno z,52.3,-33.7,,1000\nfar,10,41,0.1,900\n"
    )
    result = call("snr", data, "--targets", table, "--store", tmp_path / "s", "-q")
    assert result.exit_code == 2
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows[-3:]] == ["good", "no z", "far"]
    assert float(rows[-3][rows[0].index("snr")]) > 10
    assert "2 targets failed" in result.stderr
    assert "no z: row 2 of the table" in result.stderr
    assert "far: no observation within" in result.stderr


def test_a_target_without_any_number_ends_in_status_2(data, tmp_path):
    result = call("snr", data, *WHERE, "--radius", "300arcmin", "--store", tmp_path / "s", "-q")
    assert result.exit_code == 2
    assert "target: the background region has no pixel" in result.stderr


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(data, tmp_path, monkeypatch):
    from xphotfn.store.run_record import RunRecord

    end = RunRecord.end

    def stop(*_):
        monkeypatch.setattr(RunRecord, "end", end)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunRecord, "end", stop)
    stopped = call("run", data, *WHERE, "--store", tmp_path / "s", "--scheduler", "synchronous")
    assert stopped.exit_code == 130
    assert "xphotfn: stopped" in stopped.stderr
    again = call("run", data, *WHERE, "--store", tmp_path / "s")
    assert again.exit_code == 0
    assert "made in" not in again.stdout


@pytest.mark.parametrize(("words", "identity"), [((), "native"), (("--engine", "auto"), "sas-20.0.0")])
def test_native_makes_it_until_sas_is_chosen(data, tmp_path, monkeypatch, words, identity):
    """A SAS that is ready is not taken by itself; here it is one whose tasks all fail."""
    ready = SasEngine(version="20.0.0", env=(("PATH", "/nowhere"),))
    monkeypatch.setattr(xp, "sas_engine", lambda: ready)
    told = call("run", data, *WHERE, "--store", tmp_path / "s", *words)
    assert f"engine: {identity}" in told.stderr
    made = xp.load_run(tmp_path / "s")
    assert made.engine.startswith(identity)
    assert (told.exit_code == 0) == (identity == "native") == (not made.failed)


def test_a_store_that_may_only_be_read_is_enough_where_nothing_is_made(data, tmp_path, monkeypatch):
    words = ("snr", data, *WHERE, "--radius", "3arcmin", "--store", tmp_path / "s", "-q")
    first = call(*words)

    def refuse(self, _text):
        self.problem = "the disk is full"

    monkeypatch.setattr("xphotfn.store.run_record.RunRecord._write", refuse)
    again = call(*words)
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    fresh = call(*words[:-2], tmp_path / "other")
    assert (fresh.exit_code, fresh.stdout) == (0, first.stdout)
    assert "the record of this run is not kept, its products are: the disk is full" in fresh.stderr


def test_a_table_too_wide_for_the_terminal_says_once_what_is_the_same_in_all_rows(monkeypatch, capsys):
    monkeypatch.setattr("xphotfn.cli.output._on_terminal", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: shutil.os.terminal_size((40, 24)))
    rows = [
        ("A907", "0201901401", "pn", "0.5-2 keV", "71.9", ""),
        ("A907", "0201901401", "mos1", "0.5-2 keV", "9.1", ""),
    ]
    print_rows(("target", "obs_id", "instrument", "band", "snr", "note"), rows)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(lines[:2]) == "target A907, obs_id 0201901401, band 0.5-2 keV"
    assert lines[2].split() == ["instrument", "snr"]
    assert [line.split() for line in lines[3:]] == [["pn", "71.9"], ["mos1", "9.1"]]


def test_an_exposure_map_without_attitude_says_what_it_took(tmp_path):
    scene = default_scene()
    first = scene.pointings[0]
    scene = evolve(scene, pointings=[evolve(first, exposures=[first.exposure("mos1")])])
    simulate_observations(tmp_path / "data", scene=scene, products=("events",))
    for path in (tmp_path / "data").rglob("*ATTTSR*"):
        path.unlink()
    found = call("find", tmp_path / "data")
    assert found.exit_code == 0
    assert (
        "note: 0999990101: no attitude file (in the archive P*ATTTSR*): the pointing of headers is taken"
        in found.stderr
    )
    result = call("plan", tmp_path / "data", *WHERE)
    assert result.exit_code == 0
    assert "made without an attitude file" in result.output


def test_names_in_files_command_neither_terminal_nor_spreadsheet(capsys):
    from xphotfn.cli.output import say
    from xphotfn.reports.site import _cell

    with click.Context(main).scope():
        say("NGC 1\x1b[2J\x9b2J\x07 is left out\n\tand so on")
        print_rows(("target",), [("\x1b]0;title\x07 A907",)])
    shown = capsys.readouterr()
    assert shown.err == "NGC 1\\x1b[2J\\x9b2J\\x07 is left out\n\tand so on\n"
    assert shown.out == "target\n\\x1b]0;title\\x07 A907\n"
    for text in ("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"):
        assert _cell(text) == f"'{text}"
    assert (_cell("A907"), _cell("-11:03:35"), _cell(-1.5), _cell(float("nan"))) == ("A907", "-11:03:35", -1.5, "")


@pytest.mark.parametrize("address", ["s3://bucket/x", "gs://b", "https://host/store"])
def test_a_store_at_an_address_is_refused(data, tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    told = call("run", data, *WHERE, "--store", address)
    assert (told.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert f"'--store': {address} is an address: give a path" in told.stderr


def test_regions_that_are_not_used_are_said_and_the_image_of_a_region_file_can_be_told(data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    shutil.rmtree(folder / "0999990201")
    (regions,) = folder.rglob("*.reg")
    regions.write_text('fk5\n-circle(52.31,-33.72,40")\ncircle(52.4,-33.66,30") # color=red\n# text(52,-33) text={a}\n')
    said = call("plan", folder, *WHERE).stderr
    assert f"note: 0999990101: {regions.name}, line 2: excluded regions (-) mask nothing" in said
    assert "line 4: annotations (text) are no regions" in said
    regions.write_text("image\ncircle(100,100,10)\n")
    refused = call("plan", folder, *WHERE, "--region-image", "no.fits")
    assert refused.exit_code == 1
    assert "names 'no.fits', no image that was found; give the option region_image" in refused.stderr
    told = call("plan", folder, *WHERE, "--region-image", "3649:48106:87")
    assert told.exit_code == 0, told.stderr


def test_values_say_what_is_wrong_and_take_energies_in_any_case():
    assert values.band("0.5-2KeV") == values.band("500EV-2kev") == xp.Band(lo_ev=500, hi_ev=2000)
    for text in ("0arcsec", "-3 arcsec", "nan arcsec"):
        with pytest.raises(xp.InvalidRecord, match="--search must be above 0"):
            values.radius(text, "--search")
    for text in ("09:60:41", "09 61 41"):
        with pytest.raises(xp.UnitMismatch, match="minutes below 60"):
            ra_deg(text)
    row = {"name": ["a"], "ra": [10.0], "dec": [5.0], "radius": [30.0], "kind": ["Point"]}
    assert xp.targets_from_table(Table(row))[0].kind == "point"


def _options(kind):
    """Return every option that takes a value of a kind, with its command."""
    for name, command in main.commands.items():
        for option in command.params:
            if isinstance(option, click.Option) and not option.is_flag and kind(option.type):
                yield name, max(option.opts, key=len)


BAD = (
    ("", lambda _: True),
    ("nan", lambda t: isinstance(t, click.FloatRange | click.types.FloatParamType)),
    ("inf", lambda t: isinstance(t, click.FloatRange | click.types.FloatParamType)),
    ("-inf", lambda t: isinstance(t, click.FloatRange | click.types.FloatParamType)),
    ("-1", lambda t: isinstance(t, click.IntRange | click.types.IntParamType)),
    ("s3://bucket/x.fits", lambda t: isinstance(t, click.Path)),
    ("s3:/bucket/x.fits", lambda t: isinstance(t, click.Path)),
)


def test_every_option_refuses_what_no_value_of_it_can_be(tmp_path, monkeypatch):
    """Before a file is looked at; the message names the option as it was typed, and what was typed."""
    monkeypatch.chdir(tmp_path)
    tried = 0
    for value, kind in BAD:
        for command, option in _options(kind):
            result = call(command, f"{option}={value}")
            assert result.exit_code == 1, (command, option, value)
            assert option in result.stderr, (command, option, value, result.stderr)
            assert value in result.stderr, (command, option, value, result.stderr)
            tried += 1
    assert tried > 300
    assert not list(tmp_path.iterdir())


LENGTHS = {
    "--within": ["plan", "DATA", *WHERE],
    "--radius": ["snr", "DATA", *WHERE],
    "--search": ["peak", "DATA", *WHERE, "--radius", "1arcmin"],
    "--step": ["profile", "DATA", *WHERE, "--outer", "1arcmin"],
    "--outer": ["profile", "DATA", *WHERE, "--step", "10arcsec"],
    "--neighbours": ["photometry", "DATA", *WHERE, "--radius", "20arcsec"],
    "--significance": ["view", "DATA", "-o", "x.png"],
    "--smooth": ["view", "DATA", "-o", "x.png"],
    "--region": ["report", "DATA", "-o", "x"],
}


@pytest.mark.parametrize("option", LENGTHS)
def test_a_bad_length_is_told_of_the_option_that_has_it(data, tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    words = [data if word == "DATA" else word for word in LENGTHS[option]]
    for value in ("nan", "inf", "20", "nan arcsec", "1e400arcsec", "-3arcmin", "5kg", "0deg"):
        result = call(*words, f"{option}={value}")
        assert (result.exit_code, value in result.stderr) == (1, True), (value, result.output)
        assert set(re.findall(r"--[a-z-]+", result.stderr)) <= {option}, (value, result.stderr)
    assert not list(tmp_path.iterdir())


def test_a_table_that_is_no_file_is_called_so(data, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, said in (
        ("pipe.csv", "a device or a pipe"),
        ("folder.csv", "is a folder"),
        ("none.csv", "there is no such file"),
    ):
        result = call("snr", data, "--targets", tmp_path / name)
        assert result.exit_code == 1
        assert f"{tmp_path / name}: " in result.stderr
        assert said in result.stderr


def test_a_table_is_written_and_json_printed_beside_it(data, tmp_path):
    measured = call("snr", data, *WHERE, "--radius", "3arcmin", "--json", "-o", tmp_path / "a.csv", "--quiet",
                    "--store", tmp_path / "store")  # fmt: skip
    assert len(json.loads(measured.stdout)) == len(Table.read(tmp_path / "a.csv"))
    positions = call(
        "photometry", tmp_path / "store", *WHERE, "--radius", "20arcsec", "--json", "-o", tmp_path / "b.csv"
    )
    assert len(json.loads(positions.stdout)) == len(Table.read(tmp_path / "b.csv"))
    assert f"{tmp_path / 'b.csv'}: " in positions.stderr


def test_far_targets_of_a_table_are_told_in_words_of_the_command_line(data, tmp_path):
    Table({"name": ["near", "far"], "ra": [52.31, 10.0], "dec": [-33.72, 20.0]}).write(tmp_path / "t.csv")
    told = call("plan", data, "--targets", tmp_path / "t.csv").stderr
    assert "check the position or give --within" in told
    assert "within=" not in told
