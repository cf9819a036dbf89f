"""``xphotfn detect`` on a small folder: two observations of one camera, a bright source in each."""

import json
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import detecting, main
from xphotfn.io.write import write_image
from xphotfn.records.source import FLAG_TEXTS, SourceFlag
from xphotfn.testing.examples import example_source_list

SIDE, POSITION = 64, (40.0, 25.0)
GRID = xp.PixelGrid.from_sky_range(10.0, 20.0, low=22000, high=22000 + SIDE * 80 - 1, bin_size=80)


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def write(path, grid, data, kind, obs_id, camera="EMOS1"):
    cards = [("TELESCOP", "XMM", ""), ("INSTRUME", camera, ""), ("OBS_ID", obs_id, ""), ("EXPIDSTR", "S001", ""),
             ("FILTER", "Thin1", ""), ("DATAMODE", "IMAGING", ""), ("RA_PNT", grid.ra_deg, ""),
             ("DEC_PNT", grid.dec_deg, ""), ("PA_PNT", 0.0, ""), ("DATE-OBS", "2004-05-09T16:07:05", ""),
             ("SLCTEXPR", "(PI in [500:2000])", ""), ("EXPOSURE", 500.0, ""), ("HDUCLAS1", "IMAGE", "")]  # fmt: skip
    if kind == "expmap":
        cards += [("CREATOR", "eexpmap (test)", ""), ("CONTENT", "EPIC EXPOSURE MAP", "")]
    write_image(path, data, grid, cards)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("maps")
    y, x = np.mgrid[:SIDE, :SIDE]
    squared = (x - POSITION[0]) ** 2 + (y - POSITION[1]) ** 2
    mean = 0.1 + 300 * 0.44 / (np.pi * 1.3**2) * (1 + squared / 1.3**2) ** -1.44
    for seed, obs_id in enumerate(("0000000101", "0000000202")):
        counts = np.random.default_rng(seed).poisson(mean).astype("i4")
        write(root / f"{obs_id}_img.fits", GRID, counts, "img", obs_id)
        write(root / f"{obs_id}_expmap.fits", GRID, np.full(GRID.shape, 500, dtype="f4"), "expmap", obs_id)
    return root


def test_each_observation_has_a_list_and_a_joint_one_is_one(folder, tmp_path):
    apart = call("detect", folder, "-o", tmp_path / "sources.reg")
    assert apart.exit_code == 0, apart.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sources_0000000101.reg", "sources_0000000202.reg"]
    assert "expected to be false" in apart.output
    assert "0000000101: searching 1 map" in apart.stderr
    joint = call("detect", folder, "--joint", "-o", tmp_path / "joint.fits", "--no-extent")
    assert joint.exit_code == 0, joint.output
    found = xp.read_source_list(tmp_path / "joint.fits")
    assert len(found.maps) == 2
    assert (found[0].x, found[0].y) == (pytest.approx(POSITION[0], abs=0.3), pytest.approx(POSITION[1], abs=0.3))
    assert found[0].counts == pytest.approx(600, rel=0.15)
    again = call("detect", folder, "--joint", "-o", tmp_path / "joint.fits")
    assert again.exit_code == 1
    assert "--overwrite" in again.output


def test_a_list_is_printed_as_a_table_or_json(folder, tmp_path):
    printed = call("detect", folder, "--obs-id", "0000000101", "--json", "--quiet", "--no-extent")
    rows = json.loads(printed.output)
    assert rows[0]["obs_id"] == "0000000101"
    assert rows[0]["DET_ML"] > 100
    written = call("detect", folder, "--obs-id", "0000000101", "--json", "--no-extent", "-o", tmp_path / "a.reg")
    assert json.loads(written.stdout) == rows  # and nothing else
    assert f"{tmp_path / 'a.reg'}: {len(rows)} sources" in written.stderr
    table = call("detect", folder, "--obs-id", "0000000101", "--quiet", "--no-extent").output
    assert table.splitlines()[0].split() == list(rows[0])
    assert len(table.splitlines()) == len(rows) + 1
    cells = dict(zip(list(rows[0]), table.splitlines()[1].split("\t"), strict=True))
    for name in ("RA", "DEC"):  # to a fraction of their errors, also where a degree has three digits
        assert float(cells[name]) == pytest.approx(rows[0][name], abs=6e-7)


def test_a_measurement_masks_what_is_found(folder, tmp_path):
    """A position 34 arcsec from the source: without regions its 600 counts are in, with those of the search hardly."""
    where = ("--ra", "10", "--dec", "19.974", "--radius", "1arcmin", "--json", "--quiet", "--store", tmp_path / "store")
    rows = {how: json.loads(call("snr", folder, *where, "--regions", how).output)[-1] for how in ("files", "detect")}
    assert rows["files"]["obs_id"] == rows["detect"]["obs_id"] == "combined"
    assert rows["files"]["counts"] - rows["detect"]["counts"] == pytest.approx(600 * 0.9, rel=0.15)
    said = call("snr", folder, *where[:6], "--store", tmp_path / "store").stderr
    assert "note: target: 0000000101: no region file, no other source is masked: see --regions detect" in said
    plan = call("plan", folder, *where[:6], "--regions", "detect", "--json", "--quiet").output
    assert [s["command"]["task"] for s in json.loads(plan)["steps"]].count("xdetect") == 2
    assert call("run", folder, *where, "--regions", "detect").exit_code == 0
    told = call("snr", folder, *where[:6], "--store", tmp_path / "store", "--regions", "detect").output
    assert "0000000202, 0.5-2 keV: " in told
    assert "expected to be false" in told
    assert "exclude each other" in call("snr", folder, *where, "--regions", "detect", "--region-image", "a").output
    told = call("plan", folder, *where[:6], "--threshold", 6, "--no-extent")
    assert (told.exit_code, "--threshold and --extent/--no-extent need --regions detect" in told.output) == (1, True)
    deep = call("plan", folder, *where[:6], "--regions", "detect", "--threshold", 6, "--json", "--quiet").output
    settings = [dict(step["command"]["parameters"]) for step in json.loads(deep)["steps"]]
    assert {s["threshold"] for s in settings if "sourceset" in s} == {"6"}
    assert "threshold" not in plan


def test_a_picture_shows_a_list_or_regions(folder, tmp_path):
    call("detect", folder, "--obs-id", "0000000101", "--no-extent", "-o", tmp_path / "list.fits")
    xp.write_source_list(xp.read_source_list(tmp_path / "list.fits"), tmp_path / "list.reg")
    image = folder / "0000000101_img.fits"
    pictures = {}
    for name in ("plain", "list.fits", "list.reg"):
        drawn = () if name == "plain" else ("--sources", tmp_path / name)
        result = call("view", image, "-o", tmp_path / f"{name}.png", *drawn)
        assert result.exit_code == 0, result.output
        pictures[name] = (tmp_path / f"{name}.png").read_bytes()
    assert pictures["plain"] != pictures["list.fits"] == pictures["list.reg"]
    assert call("view", image, "-o", tmp_path / "x.png", "--sources", tmp_path / "none.reg").exit_code == 1


SHOWN = call("detect", "--help").output.partition("Examples:\n")[2].replace("\\\n", " ")
EXAMPLES = [line.strip() for line in SHOWN.splitlines() if line.strip()]


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_of_the_help_work_as_printed(line, folder, tmp_path, monkeypatch):
    """On small maps that lie where the demo has its store: the demo itself is searched by a slow test."""
    (tmp_path / "xphotfn-demo").mkdir()
    (tmp_path / "xphotfn-demo" / "store").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)[1:]
    result = call(*words)
    assert result.exit_code == 0, result.output
    name = Path(words[words.index("-o") + 1])
    lists = [name] if "--joint" in words else [name.with_stem(f"{name.stem}_0000000{n}0{n}") for n in (1, 2)]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["xphotfn-demo", *(p.name for p in lists)])


def test_an_observation_that_cannot_be_searched_costs_no_other(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "0000000101_expmap.fits").unlink()
    with fits.open(folder / "0000000101_expmap.fits") as hdus:
        hdus[0].data[:] = 0
        hdus.writeto(tmp_path / "0000000101_expmap.fits")
    made = call("detect", tmp_path, "--no-extent", "-o", tmp_path / "a.fits")
    assert made.exit_code == 2  # done in part
    assert "no list of 0000000101: RateMap 0000000101 mos1 0.5-2 keV has no pixel with exposure" in made.stderr
    assert "1 of 2 observations have no list, as said above" in made.stderr
    assert len(xp.read_source_list(tmp_path / "a_0000000202.fits")) == 1
    (tmp_path / "0000000101_expmap.fits").unlink()  # a pair that is not even there changes no name
    assert call("detect", tmp_path, "--no-extent", "-o", tmp_path / "b.reg").exit_code == 0
    assert [p.name for p in tmp_path.glob("b*")] == ["b_0000000202.reg"]


def test_a_camera_without_a_count_costs_no_other(folder, tmp_path):
    """It is left out with a note on the command line and in plans, and its background map is 0."""
    data = tmp_path / "data"
    data.mkdir()
    for path in folder.glob("0000000101*"):
        (data / path.name).symlink_to(path)
    write(data / "m2_img.fits", GRID, np.zeros(GRID.shape, dtype="i4"), "img", "0000000101", "EMOS2")
    write(data / "m2_expmap.fits", GRID, np.full(GRID.shape, 500, dtype="f4"), "expmap", "0000000101", "EMOS2")
    for joint in ((), ("--joint",)):
        made = call("detect", data, "--no-extent", "--overwrite", "-o", tmp_path / "a.fits", *joint)
        assert made.exit_code == 0, made.output
        assert made.stderr.count("0000000101 mos2 S001: no count, or no pixel with exposure: left out") == 1
        assert [m.instrument for m in xp.read_source_list(tmp_path / "a.fits").maps] == ["mos1"]
    where = ("--ra", "10", "--dec", "19.974", "--radius", "1arcmin", "--regions", "detect", "--no-extent")
    measured = call("snr", data, *where, "--store", tmp_path / "store")
    assert measured.exit_code == 0, measured.output
    assert "mos2 S001: no count, or no pixel with exposure: left out" in measured.stderr
    models = {p.instrument: path for p, path, _ in xp.load_run(tmp_path / "store").products()
              if p.kind == "background_map"}  # fmt: skip
    assert not fits.getdata(models["mos2"]).any()
    assert fits.getdata(models["mos1"]).min() > 0


@pytest.mark.parametrize("name", ["own.fits", "own.reg"])
def test_our_own_list_in_the_folder_is_told_and_may_be_replaced(folder, tmp_path, name):
    for path in folder.glob("0000000101*"):
        (tmp_path / path.name).symlink_to(path)
    words = ("detect", tmp_path, "-o", tmp_path / name, "--no-extent")
    made = call(*words)
    assert made.exit_code == 0, made.output
    assert f"{name} lies in {tmp_path}: its regions are used from now on" in made.stderr
    assert "exists already" in call(*words).output
    again = call(*words, "--overwrite")
    assert again.exit_code == 0, again.output
    assert "from now on" not in again.output
    (tmp_path / "ds9.reg").write_text('# Region file format: DS9 version 4.1\nfk5\ncircle(10,20,5")\n')
    drawn = call("detect", tmp_path, "-o", tmp_path / "ds9.reg", "--overwrite")
    assert "is among what is found" in drawn.output


def test_mistakes_are_told(folder, tmp_path):
    for threshold in ("nan", "0", "-1", "1e9"):
        assert call("detect", folder, "--threshold", threshold).exit_code == 1
    assert "is not among 0000000101, 0000000202" in call("detect", folder, "--obs-id", "1").output
    twice = call("detect", folder, "--band", "0.5-2keV", "--band", "2-10keV")
    assert (twice.exit_code, "--band is given more than once and takes one value" in twice.output) == (1, True)
    unwritable = call("detect", folder, "-o", "/proc/a.reg")
    assert (unwritable.exit_code, "cannot be written" in unwritable.output) == (1, True)
    assert "searching" not in unwritable.output  # it is told before
    assert "a table ends with" in call("detect", folder, "-o", tmp_path / "a.txt").output
    assert "4" in call("detect", folder, "--threshold", "1").output
    assert (
        "no map of 2-10 keV" in call("detect", folder, "--band", "2-10keV").output
        or "maps of 0.5-2 keV only" in call("detect", folder, "--band", "2-10keV").output
    )


def test_the_flags_of_a_list_are_told_in_words(capsys):
    """A table has the names of flags; below it stands what those mean that occur."""
    sources = example_source_list()
    flagged = evolve(sources, sources=[evolve(s, flags=SourceFlag.NEAR_BRIGHT) for s in sources])
    with click.Context(main):
        detecting._say_flags([flagged])
    told = capsys.readouterr().err
    assert told == f"NEAR_BRIGHT: {FLAG_TEXTS[SourceFlag.NEAR_BRIGHT]}\n"
