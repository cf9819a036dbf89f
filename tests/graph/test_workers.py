"""Workers that cannot do the work, whenever they come: they get none, it is said which and why, the sample is whole.

Six kinds, as they are met: another version of xphotfn, none at all, a worker that does not see the store, one that has
a store of its own at that path, one that may only read it, one that does not see the data.
"""

import errno
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import attrs
import pytest

import xphotfn as xp
from xphotfn.commands.step import Step, StepInput
from xphotfn.graph.plan import Plan
from xphotfn.records.observation import FoundFile
from xphotfn.store.product_store import open_store

distributed = pytest.importorskip("distributed")

from xphotfn.graph import cluster as on_cluster, workers  # noqa: E402 - need distributed

GOOD = {"version": xp.__version__, "host": "node7@x", "threads": 2, "resources": {}, "unloadable": "", "read_only": "",
        "sees": True, "other_store": False, "reply": "r", "unseen": []}  # fmt: skip

WORDS = {
    "old": ({"version": "0.0.9"}, "has xphotfn 0.0.9, this process"),
    "hanging": ({"hangs": True}, "did not read the store and the data within"),
    "no engine": ({"unloadable": "ImportError: x"}, r"cannot load the engine \(ImportError: x\)"),
    "no store": ({"sees": False}, "does not see the store"),
    "own store": ({"sees": False, "other_store": True}, "has another store at"),
    "own writes": ({"reply": "nowhere"}, "wrote to another store at"),
    "read-only": ({"read_only": "Read-only file system"}, r"cannot write to the store .* \(Read-only file system\)"),
    "no data": ({"unseen": ["/data/a.fits"]}, "does not see /data/a.fits"),
}


@pytest.fixture
def question(tmp_path):
    store = open_store(tmp_path / "s")
    with store.scratch("asked") as folder:
        yield workers.question_of(xp.native_engine(), store, folder, [str(tmp_path), "/nowhere"])


@pytest.mark.parametrize("kind", [*WORDS, "good"])
def test_what_a_worker_answers_is_put_into_words(question, kind, tmp_path):
    (tmp_path / "s/scratch" / question.folder / "r").write_text(question.token)
    given, words = WORDS.get(kind, ({}, "^$"))
    found = workers.problem({**GOOD, **given}, question, "/s", 0.0)
    assert re.search(words, found), found


def test_a_worker_without_xphotfn_cannot_answer(question):
    missing = ModuleNotFoundError("No module")
    assert "cannot import xphotfn (No module" in workers.problem(missing, question, "/s")
    assert "cannot import xphotfn (ModuleNotFoundError('No" in workers.problem(Exception(repr(missing)), question, "/s")
    assert "does not answer (OSError: timed out)" in workers.problem(OSError("timed out"), question, "/s")


def test_a_question_asks_only_of_files_that_are_there(question, tmp_path):
    assert question.files == (str(tmp_path),)
    seen = workers._seen(question, 0.0)
    assert seen["sees"]
    assert seen["unseen"] == []
    assert workers.problem({**GOOD, **seen}, question, "/s", 0.0) == ""
    elsewhere = attrs.evolve(question, folder=str(tmp_path / "elsewhere"))
    assert workers._seen(elsewhere, 0.0)["other_store"]


# The members of a fleet.


@pytest.fixture
def fleet(question):
    fleet = workers.Fleet(SimpleNamespace(), question, "/s", None)
    for name in "abc":
        fleet.take(workers.Answers({name: ("", {**GOOD, "threads": 2})}))
    return fleet


def test_work_goes_where_most_room_is(fleet):
    taken = []
    while (member := fleet.free("", frozenset(), ahead=0)) is not None:
        member.busy += 1
        taken.append(member.address)
    assert sorted(taken) == sorted("abc" * 3), "each does two, and has one in hand"
    assert set(taken[:3]) == set("abc")
    assert fleet.free("", frozenset(), ahead=1) is not None


def test_what_takes_a_resource_goes_only_to_those_that_have_it(fleet):
    fleet.usable["b"].resources["sas"] = 1
    assert fleet.free("sas", frozenset(), ahead=0).address == "b"
    fleet.usable["b"].busy = 2
    assert fleet.free("sas", frozenset(), ahead=0) is None
    assert fleet.free("moon", frozenset("a"), ahead=0).address == "c", "what nobody declares is not asked for"


def test_a_machine_in_trouble_rests_and_is_retired_where_others_did_its_work(fleet):
    for _ in range(2):
        fleet.had_trouble("a")
        assert fleet.was_alone("a", "disk full") == ""
    assert all(fleet.free("", frozenset(), ahead=0).address != "a" for _ in range(3))
    fleet.had_trouble("a")
    assert "node7 (a): is given no more work after 3 troubles in a row" in fleet.was_alone("a", "disk full")
    assert set(fleet.usable) == set("bc")
    for _ in range(9):
        fleet.had_trouble("b")  # all have it: nobody is to blame
    assert set(fleet.usable) == set("bc")
    fleet.went_well("b")
    assert fleet.usable["b"].troubles == 0


def test_how_much_is_given_ahead_of_time_is_of_each_kind_of_task(tools):
    dealer = SimpleNamespace(times={"evselect": (0.5, 10), "emosaic": (60.0, 2)})
    steps = [tools.made_of(task, 0) for task in ("evselect", "emosaic", "eexpmap")]
    units = [on_cluster.unit_of("k", (step,), len, None, (), 0) for step in steps]
    assert [on_cluster._Dealer._ahead(dealer, unit) for unit in units] == [10, 0, 0]


# Real ones.

# Tasks but the first wait until a test has seen what it waits for: no machine is too slow for that.
HELD = '[ "$number" = 0000 ] || while [ ! -e "$NOTES/go" ]; do sleep 0.05; done'


@pytest.fixture
def cluster():
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster


@pytest.fixture
def go_when_refused(monkeypatch, tmp_path):
    """Return a function that is told how many workers are refused before the tasks that are held go on."""
    say, said = on_cluster._Dealer._say, []

    def of(count):
        def counted(self, text):
            said.append(text)
            if len(said) == count:
                (tmp_path / "go").touch()
            say(self, text)

        monkeypatch.setattr(on_cluster._Dealer, "_say", counted)

    return of


def test_a_late_worker_that_is_refused_gets_nothing(scripted, tools, tmp_path, cluster, monkeypatch, go_when_refused):
    go_when_refused(1)
    ask = workers._seen
    monkeypatch.setattr(workers, "_SHARED_WITHIN_S", 0.1)
    plan, given = Plan(steps=[tools.made_of("evselect", n) for n in range(12)]), []

    def seen(question, within):
        given.append(question)
        return ask(question, within) | ({"unseen": ["/data/gone.fits"]} if len(given) > 1 else {})

    monkeypatch.setattr(workers, "_seen", seen)

    def more(event):
        if event.ended == 1 and len(cluster.workers) == 1:
            cluster.scale(2)

    with distributed.Client(cluster, timeout=30, set_as_default=False) as client:
        with pytest.warns(on_cluster.WorkerRefused, match=r"given no work: \S+ \(\S+\): does not see /data/gone.fits"):
            run = xp.run(plan, engine=scripted(HELD), store=tmp_path / "s", scheduler=client, progress=more)
        assert len(run.done) == 12
        assert "does not see /data/gone.fits" in run.notes[0]
        assert sorted(client.run(lambda dask_worker: dask_worker.state.executed_count).values()) == [0, 12]
        stop = time.monotonic() + 30
        while any(client.run(lambda dask_worker: len(dask_worker.state.tasks)).values()):
            assert time.monotonic() < stop
            time.sleep(0.05)
        while any("xphotfn" in name or len(name) == 32 for names in plugins(client) for name in names):
            assert time.monotonic() < stop, plugins(client)
            time.sleep(0.05)
    assert not list((tmp_path / "s" / "scratch").iterdir())


def test_workers_that_give_memory_back_at_once_are_told_of_once(scripted, tools, tmp_path, cluster, monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")  # as dask's nanny sets it; this worker is in this process
    plan = Plan(steps=[tools.made_of("evselect", n) for n in range(2)])
    with distributed.Client(cluster, timeout=30, set_as_default=False) as client:
        with pytest.warns(on_cluster.SlowWorkers, match=r"pre-spawn-environ.MALLOC_TRIM_THRESHOLD_ to 134217728"):
            run = xp.run(plan, engine=scripted(""), store=tmp_path / "s", scheduler=client, progress=False)
        assert (len(run.done), len(run.notes)) == (2, 1)
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", str(2**27))
        assert not xp.run(plan, engine=scripted(""), store=tmp_path / "s", scheduler=client, progress=False).notes


@pytest.mark.filterwarnings("always::xphotfn.graph.cluster.WorkerRefused")
def test_the_command_line_says_once_who_is_refused(tree, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from xphotfn.cli import main

    ask, asked = workers._seen, itertools.count()

    def seen(question, within):
        lacks = {"unseen": ["/data/gone.fits"]} if next(asked) else {}  # the second, which is the last to be asked
        return ask(question, within) | lacks

    monkeypatch.setattr(workers, "_seen", seen)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=50
    ) as two:
        where = ["--ra", "10", "--dec", "20", "--store", tmp_path / "s", "--scheduler", two.scheduler_address]
        got = CliRunner().invoke(main, [str(word) for word in ["run", tree, *where]])
    assert got.exit_code == 0, got.stderr
    assert got.stderr.count("does not see /data/gone.fits") == 1


def plugins(client):
    """Return the plugins of the workers, and what the scheduler would give to new ones."""
    of_workers = client.run(lambda dask_worker: list(dask_worker.plugins))
    return [*of_workers.values(), client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))]


@attrs.frozen
class BadNode:
    """An engine whose machine is in trouble where a file of the process's number is; each trouble is of its kind."""

    folder: str
    error: int
    identity: str = "bad node"

    def execute(self, command, folder):
        if os.path.exists(f"{self.folder}/{os.getpid()}"):  # noqa: PTH110
            raise OSError(self.error, os.strerror(self.error))
        time.sleep(0.4)
        shutil.copy(f"{self.folder}/good.fits", folder / command.outputs[0])
        return ""


@pytest.mark.parametrize("name", ["ENOENT", "EIO", "ESTALE", "ENOSPC", "EROFS"])
def test_a_trouble_of_the_machine_is_told_from_one_of_the_data(scripted, tools, tmp_path, name):
    scripted()
    (tmp_path / str(os.getpid())).touch()
    plan = Plan(steps=[tools.made_of("evselect", 0)])
    engine = BadNode(folder=str(tmp_path), error=getattr(errno, name))
    run = xp.run(plan, engine=engine, store=tmp_path / "s", progress=False)
    assert run.failed[0].of_machine
    run = xp.run(plan, engine=scripted("exit 7"), store=tmp_path / "s", progress=False)
    assert not run.failed[0].of_machine


@pytest.mark.slow
@pytest.mark.parametrize("error", [errno.ENOENT, errno.ENOSPC, errno.EIO, errno.ESTALE, errno.EROFS])
def test_one_bad_node_costs_no_product(scripted, tools, tmp_path, error):
    scripted()  # makes good.fits
    plan = Plan(steps=[tools.made_of("evselect", n) for n in range(60)])
    engine = BadNode(folder=str(tmp_path), error=error)
    with (
        distributed.LocalCluster(n_workers=4, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as local,
        distributed.Client(local, timeout=30, set_as_default=False) as client,
    ):
        (tmp_path / str(next(iter(client.run(os.getpid).values())))).touch()
        with pytest.warns(on_cluster.WorkerRefused, match=r"is given no more work after [3-9] troubles in a row"):
            run = xp.run(plan, engine=engine, store=tmp_path / "s", scheduler=client, progress=False)
    assert len(run.done) == 60
    assert os.strerror(error) in run.notes[0]


def test_without_workers_a_run_ends_when_dask_is_told_so(scripted, tools, tmp_path):
    import dask

    with (
        dask.config.set({"distributed.scheduler.no-workers-timeout": "200 ms"}),
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as none,
        distributed.Client(none, timeout=30, set_as_default=False) as client,
    ):
        plan = Plan(steps=[tools.made_of("evselect", 0)])
        run = xp.run(plan, engine=scripted(), store=tmp_path / "s", scheduler=client, progress=False)
    assert "there was no worker for 0.2 s" in run.failed[0].reason


def test_a_failure_says_on_which_machine(scripted, tools, tmp_path, cluster):
    plan = Plan(steps=[tools.made_of("evselect", 0)])
    with distributed.Client(cluster, timeout=30, set_as_default=False) as client:
        run = xp.run(plan, engine=scripted("exit 7"), store=tmp_path / "s", scheduler=client, progress=False)
        (address,) = client.nthreads()
    assert run.failed[0].host.endswith(f"({address})")
    assert f"(on {run.failed[0].host})" in run.table()["why"][0]
    assert xp.load_run(tmp_path / "s").failed == run.failed


PRELOADS = {
    "old": "import xphotfn; xphotfn.__version__ = '0.0.9'",
    "without": """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'xphotfn':
            raise ModuleNotFoundError(f"No module named '{name}'")
sys.meta_path.insert(0, Blocker())
""",
}
MOUNTS = {
    "no store": "mount -t tmpfs none {top}/s",
    "own store": "mkdir -p {top}/own && cp -r {top}/s {top}/own && mount --bind {top}/own/s {top}/s",
    "read-only": "mount --bind {top}/s {top}/s && mount -o remount,ro,bind {top}/s",
    "no data": "mount -t tmpfs none {top}/data",
}
SAYS = {
    "old": "has xphotfn 0.0.9",
    "without": "cannot import xphotfn",
    "no store": "does not see the store",
    "own store": "another store at",
    "read-only": "cannot write to the store",
    "no data": "data must have the same paths",
}


def can_mount():
    """Whether processes with mounts of their own can be started here."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    words = [unshare, "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def bad_worker(kind, address, top):
    """Start a worker of its own that lacks what its kind says."""
    words = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "2", "--name", kind,
             "--no-dashboard", "--death-timeout", "60", "--local-directory", str(top / "dask")]  # fmt: skip
    if kind in PRELOADS:
        preload = top / f"{kind}.py"
        preload.write_text(PRELOADS[kind])
        words += ["--preload", str(preload), "--nanny"]
    else:
        shell = MOUNTS[kind].format(top=top) + ' && exec "$@"'
        words = ["unshare", "-m", "sh", "-c", shell, "sh", *words]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


@pytest.mark.slow
def test_six_bad_workers_that_come_late_are_refused_by_name(scripted, tools, tmp_path, go_when_refused):
    if not can_mount():
        pytest.skip("needs mounts of its own: root and unshare")
    go_when_refused(len(SAYS))
    (tmp_path / "dask").mkdir()
    steps = [reading(tools.made_of("evselect", n), tmp_path / "data") for n in range(40)]
    processes = []

    def more(event):
        if event.state == "done" and not processes:
            processes.extend(bad_worker(kind, local.scheduler_address, tmp_path) for kind in SAYS)

    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as local,
        distributed.Client(local, timeout=30, set_as_default=False) as client,
    ):
        try:
            with pytest.warns(on_cluster.WorkerRefused) as warned:
                run = xp.run(
                    Plan(steps=steps), engine=scripted(HELD, timeout_s=400), store=tmp_path / "s", scheduler=client,
                    progress=more,
                )  # fmt: skip
        finally:
            for process in processes:
                process.kill()
                process.wait()
    assert len(run.done) == 40
    assert all(o.path.startswith(str(tmp_path / "s")) and os.path.exists(o.path) for d in run.done for o in d.outputs)  # noqa: PTH110
    said = [str(w.message) for w in warned]
    assert {kind: sum(words in text for text in said) for kind, words in SAYS.items()} == dict.fromkeys(SAYS, 1)
    assert len(run.notes) == len(said) == len(SAYS)
    assert xp.verify(tmp_path / "s").products == 40


def reading(step, folder):
    """Return the step as one that reads a file that was found."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{step.command.outputs[0]}.evts"
    path.write_text("events")
    stat = path.stat()
    file = FoundFile(path=str(path), size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    command = attrs.evolve(step.command, inputs=("evts.fits",))
    return Step(command=command, inputs=[StepInput(name="evts.fits", file=file)], obs_id=step.obs_id)
