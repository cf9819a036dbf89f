"""The SAS engine through real processes: what failing tasks do, and the same products as the native engine.

Small shell scripts stand in for tasks that fail in a chosen way; our shims stand in for tasks that work.
"""

import os
import pickle
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve

import xphotfn as xp
from xphotfn.commands.builders import eexpmap, emosaic, evselect_image
from xphotfn.commands.messages import parse_messages
from xphotfn.commands.preparation import with_environment
from xphotfn.commands.step import Step
from xphotfn.engines import processes
from xphotfn.engines.printed import MOST_PRINTED, printed
from xphotfn.engines.processes import Cancelled, cancel, end, labelled
from xphotfn.engines.sas import SasEngine, sas_engine
from xphotfn.engines.shims.task import write_shims
from xphotfn.graph.plan import Plan
from xphotfn.records.observation import FoundFile
from xphotfn.records.outcome import Done, Failed
from xphotfn.simulate.observing import simulate_observations
from xphotfn.simulate.scene import default_scene
from xphotfn.store.kernel import Work, make
from xphotfn.store.product_store import open_store

VERSION = 'echo "sasversion (sasversion-1.3)  [xmmsas_20210526_1931-20.0.0] started: 2022"'
GRID = xp.ImageGrid(x_range=(1, 8), y_range=(1, 4), x_bin=2, y_bin=2)
COMMAND = evselect_image("events.fits", "image.fits", expression="(PI in [500:2000])", grid=GRID)
GOOD = 'cp "$GOOD" image.fits'


@pytest.fixture
def install(tmp_path):
    """Return a function that installs tasks, each a shell script, and gives the environment of that SAS."""
    good = tmp_path / "good.fits"
    fits.PrimaryHDU(np.arange(8, dtype="i4").reshape(2, 4)).writeto(good)

    def make_sas(**scripts):
        root = tmp_path / "sas"
        for name in ("bin", "ccf"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name, body in {"sasversion": VERSION, **scripts}.items():
            path = root / "bin" / name
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(0o755)
        return {
            "SAS_DIR": str(root),
            "SAS_CCFPATH": str(root / "ccf"),
            "HEADAS": str(root),
            "PATH": f"{root / 'bin'}:/usr/bin:/bin",
            "GOOD": str(good),
            "NOTES": str(tmp_path),
        }

    return make_sas


@pytest.fixture
def outcome(install, tmp_path):
    """Return a function that runs one evselect, whose script is given, through the kernel."""
    store = open_store(tmp_path / "store")

    def run(script, *, tries=1, timeout_s=20, command=COMMAND):
        engine = SasEngine(version="20.0.0", env=install(evselect=script).items(), timeout_s=timeout_s)
        events = tmp_path / "found.fits"
        if not events.exists():
            events.write_bytes(b"events")
        stat = events.stat()
        file = FoundFile(path=str(events), size=stat.st_size, mtime_ns=stat.st_mtime_ns)
        result = make(Work(step="s", command=command, found=[("events.fits", file)], tries=tries), engine, store)
        assert list(Path(store.path, "scratch").iterdir()) == []
        return result

    return run


def gone(pid, within=2.0):
    """Return whether a process ends within some seconds; a zombie has ended."""
    stop = time.monotonic() + within
    while time.monotonic() < stop:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def wait_for(path, within=20.0):
    """Return the text of a file once there is some."""
    stop = time.monotonic() + within
    while time.monotonic() < stop:
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        time.sleep(0.02)
    raise AssertionError(f"{path} did not appear")


# What failing tasks do to XGA: every row of its table.


def test_a_good_task(outcome):
    done = outcome(f"echo 'evselect:- selected 5 rows'\n{GOOD}")
    assert isinstance(done, Done)
    assert "selected 5 rows" in Path(done.log).read_text()
    assert fits.getdata(done.outputs[0].path).sum() == 28
    assert sorted(p.name for p in Path(done.log).parent.iterdir()) == ["image.fits", "log.txt", "manifest.json"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "ended with status 3 and no SAS error message: see its log"),
        ("kill -9 $$", "was ended by SIGKILL: is there enough memory?"),
        ("kill -SEGV $$", "was ended by SIGSEGV: is there enough memory?"),
        ("exit 0", "ended well but did not make image.fits"),
        (f"{GOOD}; exit 1", "ended with status 1 and no SAS error message: see its log"),
        (f"{GOOD}; kill -9 $$", "was ended by SIGKILL: is there enough memory?"),
        (": > image.fits", "ended well but image.fits is empty"),
        ('ln -s "$GOOD" image.fits', "made image.fits as a link: a product has to be a file"),
        ("mkdir image.fits", "ended well but did not make image.fits"),
    ],
)
def test_a_task_that_fails_makes_no_product(outcome, script, reason):
    failed = outcome(f"echo 'last words' >&2\n{script}")
    assert isinstance(failed, Failed)
    assert failed.reason == reason
    assert "last words" in failed.log
    assert isinstance(outcome(GOOD), Done), "the next try is not in the way of what is left"


@pytest.mark.parametrize("script", ["head -c 2000", "head -c 2885", "tail -c +40"])
def test_a_damaged_file_is_no_product_and_is_made_again(outcome, script):
    failed = outcome(f'{script} "$GOOD" > image.fits')
    assert isinstance(failed, Failed)
    assert "image.fits" in failed.reason
    assert isinstance(outcome(GOOD), Done)


def test_a_stale_file_never_passes_for_a_new_one(install, tmp_path):
    engine = sas_engine(env=install(evselect="exit 0"))
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "image.fits").write_text("old")
    with pytest.raises(xp.CommandFailed, match="image.fits exists already"):
        engine.execute(COMMAND, folder)
    assert (folder / "image.fits").read_text() == "old"


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("** evselect: error (noGTI), no good time", "noGTI: no good time"),
        ("** evselect: error (NoSuchNameInAnyList), odd", "NoSuchNameInAnyList: odd"),
        ("** dal: error (BlockNotFound), no\n   block EVENTS", "dal: BlockNotFound: no\nblock EVENTS"),
        ("** evselect: fatal (), ", "error"),
    ],
)
def test_a_sas_error_keeps_its_name_and_text_whatever_the_status(outcome, line, reason, status):
    failed = outcome(f"cat >&2 <<'END'\n{line}\nEND\n{GOOD}\nexit {status}")
    assert isinstance(failed, Failed)
    assert failed.reason == reason
    assert line.splitlines()[0] in failed.log


def test_harmless_chatter_costs_nothing_and_warnings_are_kept(outcome):
    said = "libGL error: failed to load\nError in <TUnixSystem>: no\nwarning: (x)\n** evselect: warning (NoWCS), odd"
    done = outcome(f"cat >&2 <<'END'\n{said}\nEND\n{GOOD}")
    assert isinstance(done, Done)
    assert done.warnings == ("odd",)
    assert said in Path(done.log).read_text()


def test_a_task_that_hangs_is_ended_with_all_it_started(outcome, tmp_path):
    start = time.monotonic()
    script = 'trap "" TERM; sleep 600 & echo $! >> "$NOTES/pids"; echo $$ >> "$NOTES/pids"; sleep 600'
    failed = outcome(f"echo '** evselect: warning (Slow), well'; {script}", timeout_s=0.5)
    assert "was not done after 0.5 s" in failed.reason
    assert "Slow" in failed.log
    assert time.monotonic() - start < 10
    assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_grandchildren_left_behind_are_killed(outcome, tmp_path):
    done = outcome(f'(trap "" TERM HUP; sleep 600) & echo $! > "$NOTES/pid"; {GOOD}')
    assert isinstance(done, Done)
    assert gone(int((tmp_path / "pid").read_text()))


def test_scratch_of_an_interrupted_run_is_in_nobodys_way(outcome, tmp_path, install):
    store = open_store(tmp_path / "store")
    with store.scratch("0123456789abcdef") as left:
        (left / "product").mkdir()
        assert isinstance(make(Work(step="s", command=evolve(COMMAND, inputs=())),
                               sas_engine(env=install(evselect=GOOD)), store), Done)  # fmt: skip
        assert open_store(store).sweep() == 0, "its process, this one, is alive"
        assert left.exists()


def test_one_failure_of_many_sinks_nothing_else(outcome, install, tmp_path):
    engine = sas_engine(env=install(evselect=f'case "$*" in *1000:2000*) exit 5;; esac; {GOOD}'))
    store = open_store(tmp_path / "many")
    results = []
    for low in (500, 1000, 1500):
        command = evselect_image("e.fits", "image.fits", expression=f"(PI in [{low}:2000])", grid=GRID)
        results.append(make(Work(step=str(low), command=evolve(command, inputs=())), engine, store))
    assert [type(r) for r in results] == [Done, Failed, Done]


def test_a_run_of_which_one_task_fails_keeps_the_rest_and_raises_when_asked(install, tmp_path):
    engine = sas_engine(env=install(evselect=f'case "$*" in *1000:2000*) echo oh >&2; exit 5;; esac; {GOOD}'))
    lows = (500, 1000, 1500)
    commands = [evselect_image("e.fits", "image.fits", expression=f"(PI in [{n}:2000])", grid=GRID) for n in lows]
    plan = Plan(steps=[Step(command=evolve(command, inputs=())) for command in commands])
    run = xp.run(plan, engine=engine, store=tmp_path / "run", progress=False)
    assert list(run.table()["state"]) == ["failed", "done", "done"]
    with pytest.raises(xp.CommandFailed, match=r"1 of 3 steps failed .* the others are done and kept(.|\n)*status 5"):
        xp.raise_for_failures(run)
    engine = sas_engine(env=install(evselect=GOOD))
    assert [d.cached for d in xp.retry_failed(run, engine=engine, progress=False).done] == [True, False, True]


def test_a_command_is_tried_again_when_asked(outcome, tmp_path):
    script = f'echo x >> "$NOTES/tries"; [ $(wc -l < "$NOTES/tries") -ge 3 ] || exit 1; {GOOD}'
    assert isinstance(outcome(script, tries=2), Failed)
    assert isinstance(outcome(script, tries=2), Done)


# The disk, permissions, names.


def test_a_full_disk_is_a_failure_and_leaves_nothing(outcome):
    limited = 'ulimit -f 1; trap "" XFSZ; cat "$GOOD" "$GOOD" > image.fits || exit 1'
    assert isinstance(outcome(limited), Failed)
    killed = outcome('ulimit -f 1; cat "$GOOD" "$GOOD" > image.fits')
    assert isinstance(killed, Failed)
    assert isinstance(outcome(GOOD), Done)


def test_no_room_for_the_log_or_the_folder_is_a_failure(outcome, monkeypatch):
    import xphotfn.engines.sas as module

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.tempfile, "mkdtemp", full)
        assert isinstance(outcome(GOOD), Failed)
    with monkeypatch.context() as patch:
        patch.setattr(module, "run_process", full)
        assert "cannot be started: No space left on device" in outcome(GOOD).reason
    assert isinstance(outcome(GOOD), Done)


DROPPED = """
import os, sys
from pathlib import Path
import astropy.io.fits
from xphotfn.commands.command import Command
from xphotfn.engines.sas import sas_engine
from xphotfn.store.kernel import Work, make
from xphotfn.store.product_store import Store, open_store
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
root = Path(sys.argv[1])
try:
    open_store(root / "closed" / "store")
except Exception as error:
    print(type(error).__name__, error)
sas = str(root / "sas")
env = {"SAS_DIR": sas, "SAS_CCFPATH": sas, "HEADAS": sas, "PATH": sas + ":/usr/bin:/bin"}
work = Work(step="s", command=Command(task="evselect", outputs=("a.fits",)))
print(make(work, sas_engine(env=env), Store(root / "readonly")).reason)
work = Work(step="s", command=Command(task="denied", outputs=("a.fits",)))
print(make(work, sas_engine(env=env), open_store(root / "open" / "store")).reason)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")
def test_permission_denied_is_said(tmp_path):
    with tempfile.TemporaryDirectory(prefix="xphotfn-perm-", dir="/tmp") as name:
        root = Path(name)
        root.chmod(0o755)
        for folder, mode in (("closed", 0o755), ("open", 0o777), ("sas", 0o755)):
            (root / folder).mkdir()
            (root / folder).chmod(mode)
        for task, mode in (("sasversion", 0o755), ("evselect", 0o755), ("denied", 0o644)):
            (root / "sas" / task).write_text(f"#!/bin/sh\n{VERSION}\n")
            (root / "sas" / task).chmod(mode)
        open_store(root / "readonly")
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")} | {"HOME": name}
        got = subprocess.run(
            [sys.executable, "-c", DROPPED, name], cwd="/",
            capture_output=True, text=True, env=env, check=False, timeout=120,
        )  # fmt: skip
        assert got.returncode == 0, got.stderr
        lines = got.stdout.splitlines()
        assert lines[0].startswith("InvalidFile")
        assert "Permission denied" in lines[0]
        assert "Permission denied" in lines[1]
        assert lines[2] == "cannot be started: Permission denied"


NASTY = [
    "a b.fits",
    "it's.fits",
    'say"hi".fits',
    "a;touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "../escape.fits",
    "a/../../b",
    "/etc/passwd",
    "new\nline.fits",
    "-rf",
    ".hidden",
    "",
    "a\0b",
]


@pytest.mark.parametrize("name", NASTY)
def test_names_that_could_leave_the_folder_are_refused(name):
    for kind in ("inputs", "outputs"):
        with pytest.raises(xp.InvalidRecord):
            xp.Command(task="evselect", **{kind: (name,)})
    with pytest.raises(xp.InvalidRecord):
        xp.Command(task=name)


@pytest.mark.parametrize(
    "place", ["a b", "it's", 'say "hi"', "a;touch pwned", "$(touch pwned)", "new\nline", "a:b", "-rf"]
)
def test_stores_and_found_files_may_lie_anywhere(install, tmp_path, place):
    store = open_store(tmp_path / place / "store")
    events = tmp_path / place / f"{place}.fits"
    events.write_text("events")
    stat = events.stat()
    file = FoundFile(path=str(events), size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    script = f"""
[ "$(cat events.fits)" = events ] && [ -e "$SAS_CCF" ] && : > "$TMPDIR/a" && [ -d "${{PFILES%%;*}}" ] || exit 9
{GOOD}"""
    command = with_environment(COMMAND, calindexset="ccf.cif")
    command = evolve(command, inputs=("events.fits", "ccf.cif"))
    engine = SasEngine(version="20.0.0", env=install(evselect=script).items())
    work = Work(step="s", command=command, found=[("events.fits", file), ("ccf.cif", file)])
    done = make(work, engine, store)
    assert isinstance(done, Done), done
    assert make(work, engine, store).cached
    assert list(Path(store.path, "scratch").iterdir()) == []
    assert not list(tmp_path.rglob("*pwned.fits.*"))
    assert not (tmp_path / "pwned").exists()


def test_a_store_cannot_lie_under_a_regular_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(xp.InvalidFile, match=r"cannot be a store \(Not a directory\): give a folder"):
        open_store(tmp_path / "file" / "store")
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("target", ["good.fits", "nowhere.fits"])
def test_an_output_that_is_a_link_beforehand_is_never_written_through(install, tmp_path, target):
    engine = sas_engine(env=install(evselect=GOOD))
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "image.fits").symlink_to(tmp_path / target)
    before = (tmp_path / "good.fits").read_bytes()
    with pytest.raises(xp.CommandFailed, match="image.fits exists already"):
        engine.execute(COMMAND, folder)
    assert (tmp_path / "good.fits").read_bytes() == before
    assert not (tmp_path / "nowhere.fits").exists()


def test_no_shell_reads_the_words(outcome, tmp_path):
    words = [w for w in NASTY if "\0" not in w]
    command = xp.Command(
        task="evselect", parameters=[(f"p{n}", w) for n, w in enumerate(words)], outputs=("image.fits",)
    )
    script = f"""for word in "$@"; do printf '%s\\036' "$word" >> "$NOTES/words"; done; {GOOD}"""
    done = outcome(script, command=evolve(command, inputs=("events.fits",)))
    assert isinstance(done, Done)
    assert (tmp_path / "words").read_text().split("\036")[:-1] == [f"p{n}={w}" for n, w in enumerate(words)]
    assert not list(tmp_path.rglob("*pwned*"))


def test_a_word_with_a_zero_byte_is_a_failure(outcome):
    failed = outcome(GOOD, command=evolve(COMMAND, parameters=(("expression", "a\0b"),)))
    assert isinstance(failed, Failed)
    assert "null byte" in failed.reason


# The environment.


def test_each_command_has_an_environment_of_its_own(outcome, install, tmp_path, monkeypatch):
    monkeypatch.setenv("SAS_CCF", "/of/the/shell")
    monkeypatch.setenv("SAS_CLOBBER", "0")
    before, here = dict(os.environ), Path.cwd()
    script = f"""
env > "$NOTES/env"; pwd > "$NOTES/pwd"; cat > "$NOTES/stdin"; : > filtered.fits; mkdir left; : > left/over
[ -d "${{PFILES%%;*}}" ] && [ -d "$TMPDIR" ] && : > "$TMPDIR/file" || exit 9
{GOOD}"""
    command = evolve(with_environment(COMMAND, calindexset="ccf.cif"), inputs=("events.fits",))
    done = outcome(script, command=evolve(command, inputs=("events.fits", "ccf.cif")))
    assert isinstance(done, Done), done
    env = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    folder = (tmp_path / "pwd").read_text().strip()
    assert env["SAS_CCF"] == f"{folder}/ccf.cif"
    assert env["HEADASNOQUERY"] == "1"
    assert env["SAS_CLOBBER"] == "1"
    assert env["PFILES"].startswith(f"{folder}/.sas-")
    assert env["PFILES"].endswith("/sas/syspfiles")
    assert env["TMPDIR"].startswith(f"{folder}/.sas-")
    assert folder.startswith(str(tmp_path / "store" / "scratch"))
    assert (tmp_path / "stdin").read_text() == ""
    assert sorted(p.name for p in Path(done.log).parent.iterdir()) == ["image.fits", "log.txt", "manifest.json"]
    assert dict(os.environ) == before
    assert Path.cwd() == here


def test_temporary_files_are_on_the_nodes_own_disk_where_asked(install, tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    script = f'[ -d "${{PFILES%%;*}}" ] && : > "$TMPDIR/file" && echo "$TMPDIR" > "$NOTES/said"\n{GOOD}'
    (tmp_path / "work").mkdir()
    engine = SasEngine(version="20.0.0", env=install(evselect=script).items(), node_tmp=True)
    engine.execute(COMMAND, tmp_path / "work")
    assert (tmp_path / "said").read_text().startswith(str(disk))
    assert not list(disk.iterdir())
    assert engine.identity == SasEngine(version="20.0.0").identity
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a disk"))
    (tmp_path / "again").mkdir()
    with pytest.raises(xp.XphotfnError, match="use a plain one"):
        engine.execute(COMMAND, tmp_path / "again")


def test_a_map_on_another_grid_than_its_image_is_refused(install, tmp_path):
    from xphotfn.io.write import write_image

    grids = [xp.PixelGrid.from_sky_range(10, 20, low=22000, high=22000 + 8 * 80 - 1, bin_size=b) for b in (80, 40)]
    for name, grid in zip(("img.fits", "other.fits"), grids, strict=True):
        write_image(tmp_path / name, np.ones(grid.shape), grid)
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "img.fits").symlink_to(tmp_path / "img.fits")
    command = eexpmap("img.fits", "att.fits", "evts.fits", "exp.fits", band=(500, 2000))
    engine = sas_engine(env=install(eexpmap='cp "$NOTES/other.fits" exp.fits'))
    with pytest.raises(xp.CommandFailed, match="exp.fits is on another grid than its image"):
        engine.execute(command, folder)
    (folder / "exp.fits").unlink()
    assert sas_engine(env=install(eexpmap="cp img.fits exp.fits")).execute(command, folder).log == ""


def test_an_image_of_another_shape_than_asked_for_is_refused(outcome):
    command = evselect_image("events.fits", "image.fits", expression="PI>500", grid=evolve(GRID, y_range=(1, 9)))
    assert outcome(GOOD, command=command).reason == "image.fits has 4 x 2 pixels, not 4 x 5"


def test_all_that_is_missing_is_said_at_once(install, monkeypatch):
    for name in ("SAS_DIR", "SAS_CCFPATH", "HEADAS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(xp.XphotfnError, match=r"SAS_DIR is not set(.|\n)*HEADAS is not set(.|\n)*SAS_CCFPATH is not"):
        sas_engine()
    good = install()
    for change, problem in (
        ({"SAS_DIR": "/no/such"}, "SAS_DIR is /no/such, which is no folder"),
        ({"SAS_CCFPATH": "/no/such:/nor/this"}, "SAS_CCFPATH is /no/such:/nor/this, which is no folder"),
        ({"PATH": "/nowhere"}, "sasversion is not on PATH"),
    ):
        with pytest.raises(xp.XphotfnError, match=problem):
            sas_engine(env=good | change)
    for script, problem in (
        ("echo no licence; exit 2", r"sasversion ended with status 2 and named no version \(no licence\)"),
        ("exit 0", "ended with status 0 and named no version"),
    ):
        with pytest.raises(xp.XphotfnError, match=problem):
            sas_engine(env=install(sasversion=script))


def test_the_engine_is_a_value(install):
    engine = sas_engine(env=install(), timeout_s=60)
    assert engine.identity == "sas-20.0.0"
    assert pickle.loads(pickle.dumps(engine)) == engine
    assert hash(engine) == hash(sas_engine(env=install(), timeout_s=60))
    assert dict(engine.env)["SAS_DIR"]
    with pytest.raises(xp.InvalidRecord):
        SasEngine(version="20.0.0", timeout_s=-1)


def test_other_calibration_files_are_another_engine(install):
    env = install()
    folder = Path(env["SAS_CCFPATH"])
    plain = sas_engine(env=env)
    (folder / "XRT3_XAREAEF_0012.CCF").write_bytes(b"old")
    first = sas_engine(env=env)
    (folder / "XRT3_XAREAEF_0013.CCF").write_bytes(b"new")
    assert len({plain.identity, first.identity, sas_engine(env=env).identity}) == 3
    (folder / "readme.txt").write_text("not calibration")
    (folder / "XRT3_XAREAEF_0013.CCF").unlink()
    assert sas_engine(env=env).identity == first.identity


def test_a_command_line_that_no_system_takes_is_a_failure(outcome):
    failed = outcome(GOOD, command=evolve(COMMAND, parameters=(("expression", "PI>500 " * 400_000),)))
    assert failed.reason.startswith(
        "cannot be started: Argument list too long; expression has 2800011 letters, and most systems take 131071 for "
        "one word: split the work"
    )


def test_as_many_images_as_emosaic_takes_reach_it(install, tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    names = [f"{n:010d}_mos1_S001_500-2000_img.fits.gz" for n in range(999)]
    for name in names:
        (folder / name).symlink_to(tmp_path / "good.fits")
    script = """set -- ${1#imagesets=}; [ $# = 999 ] || exit 1; for name in "$@"; do [ -e "$name" ] || exit 2; done
cp "$GOOD" m.fits"""
    engine = sas_engine(env=install(emosaic=script))
    assert engine.execute(emosaic(names, "m.fits"), folder).log == ""


def test_a_task_that_is_not_installed_is_said(outcome):
    failed = outcome(GOOD, command=evolve(COMMAND, task="emask"))
    assert failed.reason == "is no program on PATH: is this task part of the installed SAS?"


# Processes that have to end.


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    return thread, found


@pytest.mark.parametrize("how", ["all", "label"])
def test_cancelled_commands_end_at_once_and_are_not_tried_again(outcome, tmp_path, how):
    script = 'trap "" TERM; sleep 600 & echo "$! $$" >> "$NOTES/pids"; wait; sleep 600'

    def go():
        with labelled("mine"):
            return outcome(script, tries=3 if how == "all" else 1)

    thread, found = in_thread(go)
    pids = wait_for(tmp_path / "pids").split()
    start = time.monotonic()
    assert cancel("other") == 0
    assert (end if how == "all" else cancel)("mine") == 1
    thread.join(5)
    assert time.monotonic() - start < 2
    assert all(gone(int(pid)) for pid in pids)
    assert found[0].reason.startswith("cancelled")
    assert len((tmp_path / "pids").read_text().splitlines()) == 1
    if how == "all":
        with labelled("mine"):
            assert outcome(GOOD).reason.startswith("cancelled before it started")
        processes._over.discard("mine")
    assert isinstance(outcome(GOOD), Done)


DRIVER = """
import sys
from pathlib import Path
from xphotfn.commands.command import Command
from xphotfn.engines.processes import stopping_at_the_end
from xphotfn.engines.sas import sas_engine
from xphotfn.store.kernel import Work, make
from xphotfn.store.product_store import open_store
from xphotfn.commands.step import Step
from xphotfn.graph.plan import Plan
from xphotfn.graph.run import run
command = Command(task="evselect", outputs=("a.fits",))
with stopping_at_the_end():
    if sys.argv[1] == "make":
        print(make(Work(step="s", command=command, tries=3), sas_engine(), open_store("store")))
    else:
        steps = [Step(command=command), *(Step(command=Command(task="never", outputs=(n,))) for n in "bcdefgh")]
        print(run(Plan(steps=steps), engine=sas_engine(), store="store", workers=1, tries=3, scheduler=sys.argv[1]))
"""


WAYS = ("threads", "make", "synchronous")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@pytest.mark.parametrize(
    ("number", "how"),
    [pytest.param(number, how, marks=() if how == "threads" or number == signal.SIGTERM else pytest.mark.slow)
     for number in SIGNALS for how in WAYS],
)  # fmt: skip
def test_when_python_ends_its_commands_end(install, tmp_path, number, how):
    script = (
        'sleep 600 & echo $! >> "$NOTES/pids"; setsid sleep 601 & echo $! >> "$NOTES/pids"; echo $$ > "$NOTES/me"; wait'
    )
    env = install(evselect=script)
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, how], env={**os.environ, **env, "PYTHONWARNINGS": "error"}, cwd=tmp_path,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    me = int(wait_for(tmp_path / "me"))
    start = time.monotonic()
    driver.send_signal(number)
    assert gone(me)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(gone(pid) for pid in pids)
    said = driver.communicate(timeout=10)[1].decode()
    assert time.monotonic() - start < 5
    assert ("KeyboardInterrupt" in said) == (number != signal.SIGKILL)
    scratch = list((tmp_path / "store" / "scratch").iterdir())
    assert bool(scratch) == (number == signal.SIGKILL)
    assert not list((tmp_path / "store" / "products").iterdir())
    open_store(tmp_path / "store")
    assert list((tmp_path / "store" / "scratch").iterdir()) == []


def test_a_forked_child_does_not_keep_the_reaper(install, tmp_path):
    engine = sas_engine(env=install(evselect=GOOD))
    reaper = processes._reapers[0]
    pid = os.fork()
    if pid == 0:
        os._exit(0 if not processes._reapers and processes._lock.acquire(timeout=1) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert processes._reapers[0] is reaper
    folder = tmp_path / "again"
    folder.mkdir()
    assert engine.execute(COMMAND, folder).log == ""


def test_a_reaper_that_was_killed_is_replaced(install, tmp_path):
    engine = sas_engine(env=install(evselect=GOOD))
    processes._reapers[0].process.kill()
    processes._reapers[0].process.wait()
    folder = tmp_path / "again"
    folder.mkdir()
    assert engine.execute(COMMAND, folder).log == ""
    assert processes._reapers[0].process.poll() is None


def test_cancelled_is_a_failed_command():
    assert issubclass(Cancelled, xp.CommandFailed)
    error = Cancelled(("evselect",), "cancelled")
    assert pickle.loads(pickle.dumps(error)).problem == "cancelled"


# The same plan by both engines.


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """One short MOS1 exposure as an event list, with an exposure map of half of the bands."""
    scene = default_scene()
    first = scene.pointings[0]
    camera = evolve(first.exposures[1], ontime_s=300.0)
    root = tmp_path_factory.mktemp("simulated")
    scene = evolve(scene, pointings=[evolve(first, exposures=[camera])])
    simulate_observations(root, scene=scene, products=("events", "exposure_map"))
    return scene, root


def plan_of(simulated, bands):
    scene, root = simulated
    field = xp.match_observations(scene.cluster.target, xp.find_observations(root))
    return xp.plan_photometry(field, bands, grid=None)


def shims(tmp_path):
    folder = write_shims(tmp_path / "shims" / "bin")
    return {
        "SAS_DIR": str(folder.parent),
        "SAS_CCFPATH": str(folder.parent),
        "HEADAS": str(folder.parent),
        "PATH": f"{folder}:/usr/bin:/bin",
    }


def test_the_same_plan_gives_the_same_pixels_by_both_engines(simulated, tmp_path):
    plan = plan_of(simulated, simulated[0].bands)
    assert [s.command.task for s in plan.steps] == ["evselect", "emosaic", "emosaic"]
    engine = sas_engine(env=shims(tmp_path))
    assert engine.identity == f"sas-{xp.__version__}"
    ours = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=tmp_path / "n", progress=False))
    theirs = xp.raise_for_failures(xp.run(plan, engine=engine, store=tmp_path / "s", progress=False))
    for one, other in zip(ours.done, theirs.done, strict=True):
        assert one.key != other.key
        for a, b in zip(one.outputs, other.outputs, strict=True):
            assert np.array_equal(fits.getdata(a.path), fits.getdata(b.path))
            assert a.digest == b.digest
    assert "started:" in Path(theirs.done[0].log).read_text()
    assert [o.cached for o in xp.run(plan, engine=engine, store=tmp_path / "s", progress=False).done] == [True] * 3


@pytest.mark.slow
def test_exposure_maps_are_the_same_by_both_engines(simulated, tmp_path):
    plan = plan_of(simulated, [xp.energy_band("2 keV", "5 keV")])
    assert [s.command.task for s in plan.steps] == ["evselect", "cifbuild", "eexpmap", "emosaic", "emosaic"]
    ours = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=tmp_path / "n", progress=False))
    engine = sas_engine(env=shims(tmp_path))
    theirs = xp.raise_for_failures(xp.run(plan, engine=engine, store=tmp_path / "s", progress=False))
    assert [o.digest for d in ours.done for o in d.outputs] == [o.digest for d in theirs.done for o in d.outputs]


def test_a_failing_shim_is_reported_as_sas_would(simulated, tmp_path):
    env = shims(tmp_path)
    events = next(simulated[1].rglob("*evts.fits"))
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "events.fits").symlink_to(events)
    engine = sas_engine(env=env)
    bad = evolve(COMMAND, parameters=(*COMMAND.parameters[:1], ("imageset", "image.fits"), ("expression", "PI in [5")))
    with pytest.raises(xp.CommandFailed) as caught:
        engine.execute(bad, folder)
    assert caught.value.returncode == 1
    assert caught.value.problem.startswith("ExpressionError: ")
    shim = Path(dict(engine.env)["PATH"].split(":")[0], "evselect")
    text = shim.read_text()
    shim.write_text(text.replace("exec", "ulimit -f 8\nexec"))
    with pytest.raises(xp.CommandFailed, match="File too large"):
        engine.execute(COMMAND, folder)
    assert sorted(p.name for p in folder.iterdir()) == ["events.fits"]
    shim.write_text(text)
    engine.execute(evselect_image("events.fits", "image.fits", expression="PI>500"), folder)
    assert fits.getdata(folder / "image.fits").sum() > 0
    assert shlex.split(text.splitlines()[-1])[-1] == "$@"


# A task that prints without end.


def test_a_task_that_prints_much_keeps_its_start_its_end_and_its_messages(tmp_path):
    log = tmp_path / "log.txt"
    rows = b"evselect:- row\n" * 200_000
    log.write_bytes(b"the start\n" + rows + b"** evselect: error (Bad), one\n   and more\n" + rows + b"the end\n")
    tracemalloc.start()
    text = printed(log)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert text.startswith("the start\n")
    assert text.endswith("the end\n")
    (error,) = (m for m in parse_messages(text) if m.severity == "error")
    assert error.text == "one\nand more"
    assert len(text) < MOST_PRINTED + 200 < log.stat().st_size
    assert most < 4 * MOST_PRINTED


def test_a_short_log_is_whole(tmp_path):
    log = tmp_path / "log.txt"
    log.write_bytes(b"caf\xe9\n")
    assert printed(log) == "caf\ufffd\n"


def test_long_messages_are_read_in_linear_time():
    text = "** evselect: warning (Long), first\n" + "   more\n" * 200_000
    start = time.process_time()
    (message,) = parse_messages(text)
    assert time.process_time() - start < 5  # 0.3 now; a minute when each line copied the text
    assert message.text.count("more") == 200_000
