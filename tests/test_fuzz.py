"""Hostile input of every kind: what comes of it is an answer or one of our own errors, soon and in little memory.

Mutants are made from a seed and its number, so that a failure names the one to look at. ``--slow`` makes 1,000 of each,
each kind in a process of its own that the system gives 1 GiB of address space more than what it has after a first few.
"""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.commands.selection import parse
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.epic.selecting.filter_files import read_gti, read_region_table
from xphotfn.errors import XphotfnError
from xphotfn.io.regions import read_region_file
from xphotfn.io.table_files import read_table
from xphotfn.io.write import write_image
from xphotfn.testing.examples import example_field

SEED = 20
FEW, MANY = 12, 1000
MOST_SECONDS, MOST_BYTES = 2.0, 2**30
BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)
GRID = xp.PixelGrid.from_sky_range(10.0, 20.0, low=24001, high=24001 + 160 * 24 - 1, bin_size=160)

NASTY = [
    b"'text'", b"''", b"'", b"T", b"F", b"-1", b"0", b"1", b"2", b"3.7", b"NaN", b"nan", b"inf", b"-inf", b"1E400",
    b"-1E400", b"1e-400", b"1D300", b"9" * 60, b"-" + b"9" * 60, b"99999999999", b"0x10", b"(1,2)", b"", b" ",
    b"\xff\xfe", b"\x00", b"\x1b[2J", b"\xc3\xa9", b"&", b"/", b"=", b"'&'", b"[", b"]", b"{", b"}", b"(", b")", b",",
    b";", b"#", b'"', b"\n", b"\r", b"\t", b"..", b"../../x", b"null", b"true", b"[]", b"{}", b"1e300arcsec", b"-0.0",
]  # fmt: skip


def mutated(raw, rng, words=NASTY):
    """Return bytes with one to four changes: cut, doubled, flipped, or with a nasty word in or instead."""
    raw = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(raw) + 1)
        end = min(len(raw), at + rng.choice((1, 1, 2, 5, 20, 200)))
        match rng.randrange(6):
            case 0:
                raw[at:end] = b""
            case 1:
                raw[at:at] = raw[at:end] * rng.choice((1, 2, 50))
            case 2:
                raw[at:end] = bytes(rng.randrange(256) for _ in range(end - at))
            case 3:
                raw[at:end] = rng.choice(words)
            case 4:
                raw[at:at] = rng.choice(words) * rng.choice((1, 1, 1, 500))
            case 5:
                other = rng.randrange(len(raw) + 1)
                raw[other:other] = raw[at:end]
    return bytes(raw)


def with_a_bad_card(raw, rng):
    """Return a FITS file of which the values of one to three cards are others, or a card is gone, or bytes are."""
    cards = [at for at in range(0, min(len(raw), 2880 * 6), 80) if raw[at + 8 : at + 10] == b"= "]
    raw = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.choice(cards)
        value = rng.choice(NASTY)[:70]
        match rng.randrange(6):
            case 0:
                raw[at : at + 8] = rng.choice((b"LONPOLE ", b"CDELT1  ", b"CD1_1   ", b"SLCTEXPR", b"BITPIX  "))
                raw[at + 10 : at + 80] = value.ljust(70)
            case 1:
                raw[at : at + 80] = raw[rng.choice(cards) :][:80]
            case 2:
                digits = b"9" * 60
                raw[at + 10 : at + 80] = (b"'(PI in [" + digits + b":2000])'").ljust(70)[:70]
            case _:
                raw[at + 10 : at + 80] = value.rjust(20).ljust(70)
    return bytes(raw) if rng.random() < 0.9 else bytes(raw)[: rng.randrange(len(raw))]


def image_pair(folder, obs_id):
    """Write an image and its exposure map of 24 x 24 pixels, an event list and regions, as a small observation."""
    exposure = np.where(np.hypot(*(np.mgrid[:24, :24] - 12)) < 11, 500.0, 0.0).astype(np.float32)
    counts = np.random.default_rng(1).poisson(0.5 * (exposure > 0)).astype("i4")
    cards = {
        "TELESCOP": "XMM", "INSTRUME": "EPN", "OBS_ID": obs_id, "EXPIDSTR": "S003", "FILTER": "Thin1",
        "DATAMODE": "IMAGING", "RA_PNT": 10.0, "DEC_PNT": 20.0, "PA_PNT": 0.0, "DATE-OBS": "2004-05-09T16:07:05",
        "SLCTEXPR": "(PI in [500:2000])", "EXPOSURE": 500.0, "HDUCLAS1": "IMAGE", "LONPOLE": 180.0, "BSCALE": 1.0,
        "TSTART": 0.0, "TSTOP": 50.0, "TIMEDEL": 1.0,
    }  # fmt: skip
    folder.mkdir(parents=True)
    write_image(folder / "img.fits", counts, GRID, [(k, v, "") for k, v in cards.items()])
    more = cards | {"CREATOR": "eexpmap (test)", "CONTENT": "EPIC EXPOSURE MAP"}
    write_image(folder / "expmap.fits", exposure, GRID, [(k, v, "") for k, v in more.items()])
    columns = [
        fits.Column(name, form, array=values)
        for name, form, values in (
            ("TIME", "D", np.arange(50.0)), ("X", "J", np.full(50, 25921)), ("Y", "J", np.full(50, 25921)),
            ("PI", "I", np.full(50, 1000)), ("FLAG", "J", np.zeros(50)), ("PATTERN", "B", np.zeros(50)),
            ("CCDNR", "B", np.ones(50)),
        )
    ]  # fmt: skip
    known = {k: v for k, v in cards.items() if k not in ("HDUCLAS1", "SLCTEXPR", "BSCALE")}
    events = fits.BinTableHDU.from_columns(columns, header=fits.Header(known), name="EVENTS")
    gti = [fits.Column(name, "D", array=[v]) for name, v in (("START", 0.0), ("STOP", 50.0))]
    times = fits.BinTableHDU.from_columns(gti, name="STDGTI01")
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(known)), events, times]).writeto(folder / "evts.fits")
    (folder / f"{obs_id}.reg").write_text(REGIONS.decode())


REGIONS = (
    b"# Region file format: DS9 version 4.1\nglobal color=red font=\"helvetica 10 normal\"\nfk5\n"
    b"circle(10.01,20.01,30\") # color=green text={a source}\nellipse(0:40:02.4,20:00:36,1',40\",30)\n"
    b"-box(10,20,60\",40\",30d)\nannulus(10.0,20.0,10\",20\") # tag={x}\nimage;polygon(1,1,5,1,5,4)\n"
    b"# text(1,1) text={a}\n"
)  # fmt: skip
SAMPLE = b"name,ra,dec,z,r500,kind,richness\nA 1,10.0,20.0,0.1,1200,cluster,3\nB,00:40:02.4,+20:00:36,0.2,,cluster,4\n"
SELECTION = (
    b"(PI in [500:2000]) && (FLAG & 0x2fb0024) == 0 && PATTERN<=4 && ((X,Y) in CIRCLE(25921,25921,640)) "
    b"|| !(TIME in (10:20)) && sqrt(X-25921)**2 < 4 && RAWX in [1:64] && box(1,2,3,4,5,X,Y)"
)


class Headers:
    """A folder of two observations, of which a file of one is a mutant: the other is found and measured."""

    def __init__(self, root):
        self.root, self.good = root, root / "good"
        image_pair(self.good, "0000000101")
        image_pair(root / "victim", "0000000201")

    def __call__(self, rng, number):
        folder = self.root / f"f{number}"
        shutil.copytree(self.good, folder / "good")
        shutil.copytree(self.root / "victim", folder / "victim")
        path = folder / "victim" / rng.choice(("img.fits", "expmap.fits", "evts.fits", "evts.fits", "img.fits"))
        raw = path.read_bytes()
        path.write_bytes(with_a_bad_card(raw, rng) if rng.random() < 0.8 else mutated(raw, rng))
        try:
            found = xp.find_observations(folder)
            assert "0000000101" in [item.obs_id for item in found]
            targets = [xp.point_source("p", 10.0, 20.0, radius=1 * u.arcmin)]
            fields = xp.match_observations(targets, found)
            plan = xp.plan_photometry(fields, BAND)
            run = xp.run(plan, engine=xp.native_engine(), store=folder / "s", scheduler="synchronous", progress=False)
            maps = xp.maps_by_field(run)["p"]
            assert "0000000101" in [m.obs_id for m in maps]
            for item in maps:
                with_errors(lambda item=item: xp.snr(item, fields[0], 1 * u.arcmin))
            with_errors(lambda: xp.info(fields, run=run))
        finally:
            shutil.rmtree(folder)


class Store:
    """The records and manifests of a store."""

    def __init__(self, root):
        self.store = root / "store"
        plan = xp.plan_mosaics(example_field(), BAND)
        self.run = xp.run(plan, engine=xp.native_engine(), store=self.store, scheduler="synchronous", progress=False)
        self.files = [p for p in sorted(self.store.rglob("*")) if p.suffix in (".json", ".jsonl") and p.is_file()]

    def __call__(self, rng, _number):
        path = rng.choice(self.files)
        kept = path.read_bytes()
        path.write_bytes(mutated(kept, rng))
        try:
            with_errors(lambda: xp.load_run(self.store))
            with_errors(lambda: str(xp.verify(self.store)))
            with_errors(lambda: [run._repr_html_() for run in xp.runs(self.store)])
            with_errors(lambda: str(xp.explain(self.run.done[0].outputs[0].path)))
            with_errors(lambda: str(xp.prune(self.store, dry_run=True)))
            with_errors(lambda: xp.rate_maps(xp.load_run(self.store)))
        finally:
            path.write_bytes(kept)


def with_errors(call):
    """Call, and let our own errors pass."""
    try:
        return call()
    except XphotfnError:
        return None


def regions(root):
    def attack(rng, number):
        path = root / "some.reg"
        path.write_bytes(mutated(REGIONS, rng))
        read_region_file(path)

    return attack


def targets(root):
    rows = [{"name": "A", "ra": 10.0, "dec": 20.0, "z": 0.1, "r500": 1200.0}]
    seeds = {".csv": SAMPLE, ".txt": SAMPLE.replace(b",", b" ")}
    for ending, kind in ((".ecsv", "ascii.ecsv"), (".fits", "fits"), (".vot", "votable")):
        path = root / f"first{ending}"
        Table(rows).write(path, format=kind)
        seeds[ending] = path.read_bytes()

    def attack(rng, number):
        ending = rng.choice(list(seeds))
        path = root / f"sample{ending}"
        path.write_bytes(mutated(seeds[ending], rng))
        xp.targets_from_table(read_table(path))

    return attack


def tables(root):
    """Return an attack on tables of good time and of regions, as selections name them."""
    gti = [fits.Column(name, "D", array=[v, v + 5]) for name, v in (("START", 0.0), ("STOP", 2.0))]
    shapes = [
        fits.Column("SHAPE", "10A", array=["circle", "!box"]), fits.Column("X", "D", array=[1.0, 2.0]),
        fits.Column("Y", "D", array=[1.0, 2.0]), fits.Column("R", "2D", array=[[3.0, 0], [1.0, 2.0]]),
        fits.Column("ROTANG", "D", array=[0.0, 10.0]), fits.Column("COMPONENT", "J", array=[1, 1]),
    ]  # fmt: skip
    seeds = []
    for columns, read, name in ((gti, read_gti, "STDGTI"), (shapes, read_region_table, "REGION")):
        fits.BinTableHDU.from_columns(columns, name=name).writeto(root / "seed.fits", overwrite=True)
        seeds.append(((root / "seed.fits").read_bytes(), read))

    def attack(rng, number):
        raw, read = rng.choice(seeds)
        (root / "table.fits").write_bytes(with_a_bad_card(raw, rng) if rng.random() < 0.7 else mutated(raw, rng))
        read(root / "table.fits")

    return attack


def selections(root):
    columns = {
        name: np.arange(20.0) * scale
        for name, scale in (("PI", 100), ("FLAG", 1), ("PATTERN", 1), ("X", 1), ("Y", 1), ("TIME", 1), ("RAWX", 1))
    }
    columns["FLAG"] = columns["FLAG"].astype(np.int64)

    def attack(rng, number):
        text = mutated(SELECTION, rng).decode("latin-1")
        with np.errstate(all="ignore"):
            evaluate(parse(text), columns)

    return attack


WORDS = [
    "\0", "a" * 5000, "a/" * 3000, "1e300arcsec", "1e300", "-1", "0", "nan", "inf", "nankpc", "720deg", "1e-300arcsec",
    "", " ", "-", "--", "\udcff", "é", "\x1b[2J", "10,20", "10,20,30", "..", "/dev/null", "0.5-2keV", "2-0.5keV",
    "1e400-1e401keV", "0-0keV", "r500", "point", "=1+1", "'", '"', "{obs_id}", "{", "image={x}", "tcp://localhost:1x",
    "S001", "*", "[", "PI in [", "RATE<=", "keep", "quiet", "1e9", "99999999999999999999",
]  # fmt: skip


def command_lines(root):
    """Return an attack by words: good command lines of which one or two words are others, or some are too many."""
    data, store = root / "data", root / "store"
    image_pair(data, "0000000101")
    where = ["--ra", "10", "--dec", "20", "--radius", "1arcmin"]
    good = [
        ["find", data], ["find", data, "--json", "--prefer", "img.fits"], ["plan", data, *where, "--script"],
        ["snr", data, *where, "--store", store, "--redshift", "0.1", "--within", "10arcmin"],
        ["photometry", data, "--ra", "10", "--dec", "20", "--radius", "20arcsec", "--background", "30arcsec,60arcsec"],
        ["view", data / "img.fits", "-o", root / "v.png", "--overwrite", "--smooth", "9arcsec"],
        ["image", data / "evts.fits", "-o", root / "i.fits", "--band", "0.5-2keV", "--overwrite"],
        ["lightcurve", data / "evts.fits", "--bin", "10", "-o", root / "c.csv", "--overwrite"],
        ["explain", data / "img.fits"], ["verify", store], ["runs", store], ["prune", store, "--dry-run"],
        ["report", store, "-o", root / "r"], ["task", "evselect", f"table={data / 'evts.fits'}", "imageset=x.fits"],
        ["photometry", store, "--positions", root / "data", "--radius", "20arcsec", "-o", root / "t.csv"],
    ]  # fmt: skip
    CliRunner().invoke(main, [str(word) for word in good[3]])

    def attack(rng, number):
        words = [str(word) for word in rng.choice(good)]
        values = [at for at, word in enumerate(words) if at and not word.startswith("--")]
        for at in rng.sample(values, min(len(values), rng.choice((1, 1, 2)))):
            words[at] = rng.choice(WORDS)
        if rng.random() < 0.2:
            words.insert(rng.randrange(1, len(words) + 1), rng.choice(WORDS))
        result = CliRunner().invoke(main, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), words
        assert result.exit_code in (0, 1, 2), words

    return attack


NOT_TEXT = os.fsdecode(b"st\xffore")
WHERE = ["--ra", "10", "--dec", "20"]
NAMED = [
    ["snr", "d", *WHERE, "--radius", "100kpc", "--redshift", "1e300"],
    ["snr", "d", *WHERE, "--radius", "1e300arcsec"],
    ["snr", "d", *WHERE, "--radius", "1arcmin", "--within", "1e300arcsec"],
    ["photometry", "d", *WHERE, "--radius", "1e300arcsec"],
    ["view", "d/img.fits", "-o", "v.png", "--smooth", "720deg"],
    ["find", "d\0"],
    ["find", "a" * 5000],
    ["photometry", "d", "--positions", f"{'x' * 300}.csv", "--radius", "3arcsec"],
    ["snr", "d", *WHERE, "--radius", "1arcmin", "--flares", "a" * 5000],
    ["snr", "d", *WHERE, "--radius", "1arcmin", "--prefer", "a\0b"],
    ["snr", "d", *WHERE, "--radius", "1arcmin", "--name", "\0"],
    ["plan", "d", *WHERE, "--selection", f"PI in [{'9' * 400}:2]"],
    ["plan", "d", *WHERE, "--selection", "(" * 3000],
]  # fmt: skip


def plainly(words):
    """Return the status of a command, which says what is wrong in a sentence."""
    result = CliRunner().invoke(main, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exception)
    assert "Traceback" not in result.output
    return result.exit_code


def test_command_lines_that_ended_in_a_traceback_end_in_a_sentence(elsewhere):
    image_pair(Path("d"), "0000000101")
    statuses = [plainly(words) for words in NAMED]
    assert set(statuses) <= {0, 1}
    assert [statuses[n] for n in (0, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12)] == [1] * 11


def test_a_store_whose_name_is_no_text_is_a_store(elsewhere):
    image_pair(Path("d"), "0000000101")
    assert plainly(["run", "d", *WHERE, "--store", NOT_TEXT]) == 0
    for words in (["runs", NOT_TEXT], ["verify", NOT_TEXT], ["report", NOT_TEXT, "-o", "r"]):
        assert plainly(words) == 0
    assert plainly(["photometry", NOT_TEXT, *WHERE, "--radius", "30arcsec", "-o", f"{NOT_TEXT}.csv"]) == 0


ATTACKS = {
    "headers": Headers,
    "tables": tables,
    "regions": regions,
    "selections": selections,
    "store": Store,
    "targets": targets,
    "command lines": command_lines,
}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory of its own: hostile words may be names of files."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def troubles_of(kind, folder, numbers):
    """Return what is wrong with the answers to some mutants of a kind: the number, what it is and more of it."""
    attack = ATTACKS[kind](folder)
    troubles = []
    for number in numbers:
        rng = random.Random(f"{SEED} {kind} {number}")
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy warns of odd files; only what is raised is of interest
            try:
                attack(rng, number)
            except XphotfnError as error:
                if len(str(error)) > 20_000:
                    troubles.append((number, "a message of", len(str(error))))
            except Exception as error:
                troubles.append((number, type(error).__name__, str(error)[:200]))
        took = time.process_time() - start
        if took > MOST_SECONDS:
            troubles.append((number, "took", took))
    return troubles


def in_little_memory(kind, folder, count):
    """Print the troubles of mutants in this process, which may have 1 GiB more than what it needs for a first few."""
    troubles = troubles_of(kind, folder / "first", range(FEW))  # imports, and pools of threads
    before, (_, most) = memory(), resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (before["VmSize"] + MOST_BYTES, most))
    troubles += troubles_of(kind, folder / "rest", range(FEW, count))
    after = memory()
    grown = {"resident": after["VmHWM"] - before["VmRSS"], "address space": after["VmPeak"] - before["VmSize"]}
    print(json.dumps({"troubles": troubles, "grown": grown}))


def memory():
    """Return the memory of this process in bytes, as Linux tells it."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Vm")]
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, _ in lines}


@pytest.mark.parametrize("kind", ATTACKS)
def test_hostile_input_gives_an_answer_or_one_of_our_errors(elsewhere, kind):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    troubles = troubles_of(kind, elsewhere, range(FEW))
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert not troubles
    assert grown < MOST_BYTES


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by /proc")
@pytest.mark.parametrize("kind", ATTACKS)
def test_a_thousand_of_each_in_a_process_of_little_memory(elsewhere, kind):
    for name in ("first", "rest"):
        (elsewhere / name).mkdir()
    words = [sys.executable, __file__, kind, str(elsewhere), str(MANY)]
    got = subprocess.run(words, capture_output=True, text=True, check=False)
    assert got.returncode == 0, got.stderr[-2000:]
    found = json.loads(got.stdout.splitlines()[-1])
    print(kind, found)
    assert not found["troubles"], f"{len(found['troubles'])} of {MANY}: {found['troubles'][:20]}"
    assert found["grown"]["resident"] < MOST_BYTES


if __name__ == "__main__":
    in_little_memory(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
