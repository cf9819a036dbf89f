"""The same plan on a cluster: the same products, byte for byte, and the same values for failures."""

import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

import xphotfn as xp
from xphotfn.graph.delayed import keys_of, priorities
from xphotfn.graph.plan import Plan
from xphotfn.store.product_store import open_store

distributed = pytest.importorskip("distributed")

from xphotfn.graph import cluster as on_cluster, futures as futures_of  # noqa: E402 - need distributed

SLEEP = 'sleep 600 & echo $! >> "$NOTES/pids"; echo $$ >> "$NOTES/pids"; wait'
UNTIL_SEEN = 'while [ ! -e "$NOTES/p$number.fits.seen" ]; do sleep 0.02; done'


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=4, dashboard_address=":0", silence_logs=50, resources={"sas": 2}
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    with distributed.Client(cluster, timeout=30) as client:
        yield client


@attrs.frozen
class HereOnly:
    """An engine; a test puts it into a module that only this process has, so that workers cannot load it."""

    identity: str = "here"

    def execute(self, command, folder):
        raise NotImplementedError


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()), daemon=True)
    thread.start()
    return thread, found


def test_products_are_those_of_threads(plan, tmp_path, client):
    here = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "threads", progress=False)
    there = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "cluster", scheduler=client, progress=False)
    assert [[o.digest for o in d.outputs] for d in there.done] == [[o.digest for o in d.outputs] for d in here.done]
    assert len(there.done) == len(plan.steps)
    again = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "cluster", scheduler=client, progress=False)
    assert [d.cached for d in again.done] == [True] * len(plan.steps)


def test_a_failure_on_a_worker_is_a_value(plan, tree, tmp_path, client):
    path = tree / "0000000101_pn_img.fits"
    path.write_bytes(path.read_bytes() + b"\0" * 2880)
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", scheduler=client, progress=False)
    assert [f.reason for f in run.failed] == [f"{path} has changed since it was found: run find_observations again"]
    assert len(run.done) == 1


def test_what_failed_is_run_again_and_the_rest_is_found(two_observations, scripted, tmp_path, client):
    plan, store = two_observations, tmp_path / "s"
    engine = scripted('echo $number >> "$NOTES/calls"; [ "$number" != 0001 ] || [ -e "$NOTES/mended" ] || exit 7')
    first = xp.run(plan, engine=engine, store=store, scheduler=client, progress=False)
    assert [type(o).__name__ for o in first.outcomes] == [
        "Done",
        "Failed",
        "Done",
        "Done",
        "Skipped",
        "Done",
        "Skipped",
    ]
    assert {o.because for o in first.skipped} == {plan.steps[1].id}
    (tmp_path / "mended").touch()
    second = xp.retry_failed(xp.load_run(store), engine=engine, scheduler=client, progress=False)
    assert len(second.done) == 7
    calls = (tmp_path / "calls").read_text().split()
    assert sorted(calls) == ["0000", "0001", "0001", "0002", "0003", "0004", "0005", "0006"]


def test_errors_that_carry_data_survive_the_way_back(client):
    def fail():
        raise xp.CommandFailed(("evselect", "table=a"), "it broke", 3, "last words")

    with pytest.raises(xp.CommandFailed) as caught:
        client.submit(fail, pure=False).result()
    error = caught.value
    assert (error.argv, error.problem, error.returncode, error.tail) == (
        ("evselect", "table=a"),
        "it broke",
        3,
        "last words",
    )


def test_records_survive_the_way_there_and_back(plan, client):
    assert client.submit(attrs.evolve, plan, notes=("sent",), pure=False).result() == attrs.evolve(
        plan, notes=("sent",)
    )


def test_delayed_composes_on_a_cluster(plan, tmp_path, client):
    import dask

    delayed = xp.to_delayed(plan, engine=xp.native_engine(), store=tmp_path / "s")
    names = dask.delayed(lambda outcome: outcome.outputs[0].name)(delayed[plan.steps[0].id])
    assert client.compute(names).result() == plan.steps[0].command.outputs[0]


# What the scheduler is told.


def seen_by(client, keys):
    """Return priority and resources of tasks as the scheduler has them."""

    def look(dask_scheduler, keys):
        tasks = dask_scheduler.tasks
        return {k: (tasks[k].priority[0], dict(tasks[k].resource_restrictions or {})) for k in keys if k in tasks}

    return client.run_on_scheduler(look, keys=list(keys))


def test_the_scheduler_knows_priorities_and_what_a_sas_task_takes(two_observations, scripted, tmp_path, client):
    plan, store = two_observations, open_store(tmp_path / "s")
    keys = keys_of(plan, scripted(), store)
    seen = {}

    def look(event):
        if event.state == "started":
            seen.update(seen_by(client, keys.values()))
            (tmp_path / f"{event.product}.seen").touch()

    xp.raise_for_failures(xp.run(plan, engine=scripted(UNTIL_SEEN), store=store, scheduler=client, progress=look))
    ranks = priorities(plan)
    assert [ranks[s.id] for s in plan.steps] == [0, 0, -1, -1, 0, -1, 1]
    assert seen == {key: (-ranks[step], {"sas": 1}) for step, key in keys.items()}  # dask keeps what is sooner as less


def test_only_so_many_sas_tasks_run_as_workers_declare(scripted, tools, tmp_path, client):
    engine = scripted('echo "+ $PPID" >> "$NOTES/both"; sleep 0.1; echo "- $PPID" >> "$NOTES/both"')
    plan = Plan(steps=[tools.made_of("evselect", n) for n in range(8)])
    xp.raise_for_failures(xp.run(plan, engine=engine, store=tmp_path / "s", scheduler=client, progress=False))
    running: dict[str, int] = {}
    for line in (tmp_path / "both").read_text().splitlines():
        sign, worker = line.split()
        running[worker] = running.get(worker, 0) + (1 if sign == "+" else -1)
        assert running[worker] <= 2
    assert len(running) == 2


def test_what_no_worker_declares_is_not_asked_for(tools, scripted, tmp_path, client):
    """It would wait for ever."""

    @attrs.frozen
    class OnTheMoon:  # defined here, it is sent to the workers with its code
        inner: object
        resource: str = "moon"
        identity: str = "moon"

        def execute(self, command, folder):
            return self.inner.execute(command, folder)

    plan, keys = Plan(steps=[tools.made_of("evselect", 0)]), []
    engine = OnTheMoon(inner=scripted(UNTIL_SEEN))

    def look(event):
        if event.state == "started":
            keys.extend(seen_by(client, keys_of(plan, engine, open_store(tmp_path / "s")).values()).values())
            (tmp_path / f"{event.product}.seen").touch()

    xp.raise_for_failures(xp.run(plan, engine=engine, store=tmp_path / "s", scheduler=client, progress=look))
    assert keys == [(0, {})]


def test_delayed_takes_what_dask_annotate_says(two_observations, scripted, tmp_path, client):
    import dask

    with dask.annotate(resources={"sas": 1}):
        delayed = xp.to_delayed(two_observations, engine=scripted("sleep 0.3"), store=tmp_path / "s")
    keys = {step: d.key for step, d in delayed.items()}
    futures = client.compute(list(delayed.values()))
    seen = {}
    while not seen:
        seen = seen_by(client, keys.values())
    assert seen == {keys[s]: (-rank, {"sas": 1}) for s, rank in priorities(two_observations).items()}
    assert all(isinstance(outcome, xp.Done) for outcome in client.gather(futures))


# Who is told.


@pytest.mark.parametrize("scheduler", ["threads", "synchronous", "client"])
def test_each_step_tells_that_it_starts_and_how_it_ends(two_observations, scripted, tmp_path, client, scheduler):
    engine = scripted('[ "$number" != 0002 ] || exit 7')
    how = {"engine": engine, "store": tmp_path / "s", "scheduler": client if scheduler == "client" else scheduler}
    events, threads = [], set()

    def tell(event):
        events.append(event)
        threads.add(threading.current_thread())

    run = xp.run(two_observations, progress=tell, **how)
    ends = dict(zip([s.id for s in two_observations.steps], ["done", "done", "failed", "done", "done"], strict=False))
    ends |= {s.id: "skipped" for s in two_observations.steps[5:]}
    for step in two_observations.steps:
        mine = [e for e in events if e.step == step.id]
        assert [e.state for e in mine] == ["started", ends[step.id]]
        assert {(e.task, e.obs_id, e.product) for e in mine} == {
            (step.command.task, step.obs_id, step.command.outputs[0])
        }
        assert (mine[1].seconds > 0) == (mine[1].state == "done")
    assert [e.ended for e in events if e.state != "started"] == [1, 2, 3, 4, 5, 6, 7]
    assert {e.total for e in events} == {7}
    assert {e.why for e in events if e.state == "failed"} == {run.failed[0].reason}
    assert {e.why for e in events if e.state == "skipped"} == {two_observations.steps[2].id}
    assert threads == {threading.current_thread()}
    events.clear()
    xp.run(two_observations, progress=tell, **how)
    assert [e.state for e in events].count("cached") == 4


@pytest.mark.parametrize("scheduler", ["threads", "synchronous", "client"])
def test_an_error_of_the_callback_ends_the_run_and_its_processes(scripted, tools, tmp_path, client, scheduler):
    engine = scripted(f'[ "$number" = 0000 ] || {{ {SLEEP}; }}')
    plan = Plan(steps=[tools.made_of("evselect", n) for n in range(3 if scheduler != "synchronous" else 1)])

    def tell(event):
        if event.state == "done":
            raise ZeroDivisionError("of the callback")

    with pytest.raises(ZeroDivisionError, match="of the callback") as caught:
        xp.run(
            plan, engine=engine, store=tmp_path / "s", workers=3, progress=tell,
            scheduler=client if scheduler == "client" else scheduler,
        )  # fmt: skip
    pids = (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else []
    assert all(tools.gone(pid) for pid in pids)
    assert "the same again makes only what is missing" in caught.value.__notes__[0]
    kept = xp.load_run(tmp_path / "s")
    assert len(kept.done) == 1
    assert all(f.interrupted for f in kept.failed)
    assert {f.reason for f in kept.failed} <= {"not done when the run was interrupted: run it again"}


@pytest.mark.parametrize("scheduler", ["threads", "client"])
def test_the_end_of_one_run_ends_no_other(scripted, tools, tmp_path, client, scheduler):
    """Two runs of one process, which share steps on the Client: an error in one costs nothing of the other."""
    slow = 'touch "$NOTES/started"; while [ ! -e "$NOTES/go" ]; do sleep 0.02; done'
    engine = scripted(f'[ "$number" != 0000 ] || {{ {slow}; }}')
    steps = [tools.made_of("evselect", n) for n in range(2)]
    where = client if scheduler == "client" else scheduler

    def tell(event):
        if event.state == "done":
            raise ZeroDivisionError("of the callback")

    how = {"engine": engine, "store": tmp_path / "s", "workers": 2, "scheduler": where}
    thread, found = in_thread(lambda: xp.run(Plan(steps=steps[:1]), progress=False, **how))
    tools.lines_of(tmp_path / "started", 0)
    with pytest.raises(ZeroDivisionError):
        xp.run(Plan(steps=steps if scheduler == "client" else steps[1:]), progress=tell, **how)
    (tmp_path / "go").touch()
    thread.join(60)
    assert [type(o).__name__ for o in found[0].outcomes] == ["Done"], found[0].failed


@pytest.mark.parametrize("scheduler", ["threads", "client"])
def test_two_drivers_and_prune_and_verify_beside_them(two_observations, scripted, tools, tmp_path, cluster, scheduler):
    """Both runs are in their midst while the store is looked at; every product is right, of both."""
    slow = 'echo $number >> "$NOTES/started"; while [ ! -e "$NOTES/go" ]; do sleep 0.02; done'
    store = tmp_path / "s"
    alone = xp.run(two_observations, engine=scripted(), store=tmp_path / "alone", progress=False)
    engine = scripted(f'[ "$number" != 0003 ] || {{ {slow}; }}')

    def drive():
        if scheduler == "threads":
            return xp.run(two_observations, engine=engine, store=store, workers=2, progress=False)
        with distributed.Client(cluster, timeout=30, set_as_default=False) as own:
            return xp.run(two_observations, engine=engine, store=store, scheduler=own, progress=False)

    drivers = [in_thread(drive) for _ in range(2)]
    tools.lines_of(tmp_path / "started", 2 if scheduler == "threads" else 1)  # on a cluster they may share the task
    for _ in range(3):
        assert not xp.verify(store).damaged
        assert not xp.prune(store).products
    (tmp_path / "go").touch()
    while any(thread.is_alive() for thread, _ in drivers):
        assert not xp.verify(store).damaged
        xp.prune(store)
    runs = [found[0] for _, found in drivers]
    digests = [[output.digest for done in run.done for output in done.outputs] for run in (alone, *runs)]
    assert [len(found) for found in digests] == [7, 7, 7]
    assert digests[0] == digests[1] == digests[2]
    assert (xp.verify(store).products, len(xp.load_run(store).done)) == (7, 7)
    assert not list((store / "scratch").iterdir())


# Nothing is left of what nobody wants any more.


@pytest.mark.parametrize("how", ["cancel", "forget"])
def test_a_cancelled_task_leaves_no_process(scripted, tools, tmp_path, client, how):
    plan = Plan(steps=[tools.made_of("evselect", 0)])
    client.register_plugin(on_cluster.EndWithTask())
    delayed = xp.to_delayed(plan, engine=scripted(SLEEP), store=tmp_path / "s")
    futures = client.compute(list(delayed.values()))
    pids = tools.lines_of(tmp_path / "pids", 2)
    if how == "cancel":
        client.cancel(futures)
    del futures
    assert all(tools.gone(pid) for pid in pids)
    stop = time.monotonic() + 20
    while list((tmp_path / "s" / "scratch").iterdir()) and time.monotonic() < stop:
        time.sleep(0.02)
    assert not list((tmp_path / "s" / "scratch").iterdir())


def test_a_task_that_is_wanted_again_at_once_is_done_after_all(scripted, tools, tmp_path, client):
    engine = scripted(f'[ -e "$NOTES/pids" ] || {{ trap "" TERM; {SLEEP}; }}')
    plan = Plan(steps=[tools.made_of("evselect", 0)])
    client.register_plugin(on_cluster.EndWithTask())
    delayed = xp.to_delayed(plan, engine=engine, store=tmp_path / "s")[plan.steps[0].id]
    worker = next(iter(client.scheduler_info()["workers"]))
    future = client.compute(delayed, workers=[worker])
    pids = tools.lines_of(tmp_path / "pids", 2)
    client.cancel(future)
    time.sleep(0.1)  # for dask to tell the client; the old process is still there: it does not heed SIGTERM
    again = client.compute(delayed, workers=[worker])
    assert isinstance(again.result(timeout=60), xp.Done)
    assert all(tools.gone(pid) for pid in pids)


def test_a_client_that_is_closed_ends_its_run(two_observations, scripted, tools, tmp_path, cluster):
    other = distributed.Client(cluster, timeout=30, set_as_default=False)
    thread, found = in_thread(
        lambda: xp.run(two_observations, engine=scripted(SLEEP), store=tmp_path / "s", scheduler=other, progress=False)
    )
    pids = tools.lines_of(tmp_path / "pids", 4)
    other.close()
    assert all(tools.gone(pid) for pid in pids)
    thread.join(60)
    assert len(found[0].failed) == 4
    assert len(found[0].skipped) == 3
    assert "the connection to the scheduler was lost" in found[0].failed[0].reason


DRIVER = """
import sys

import xphotfn as xp
from distributed import Client
from xphotfn.commands.command import Command
from xphotfn.engines.sas import SasEngine
from xphotfn.commands.step import Step
from xphotfn.graph.plan import Plan
address, path, good, notes = sys.argv[1:]
engine = SasEngine(version="20.0.0", env=(("PATH", path), ("GOOD", good), ("NOTES", notes)))
names = [f"p{n}.fits" for n in "012"]
steps = [Step(command=Command(task="evselect", parameters=(("imageset", n),), outputs=(n,))) for n in names]


def main():
    own = {} if address != "own" else {"n_workers": 2, "threads_per_worker": 2, "dashboard_address": ":0"}
    with Client(**own) if own else Client(address, timeout=30) as client:
        def tell(event):
            with open(notes + "/events", "a") as file:
                print(event.state, file=file)

        xp.run(Plan(steps=steps), engine=engine, store=notes + "/s", scheduler=client, progress=tell, tries=3)


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL]
)
@pytest.mark.parametrize("whose", ["common", pytest.param("own", marks=pytest.mark.slow)])
def test_when_the_driver_ends_its_tasks_end(scripted, tools, tmp_path, cluster, number, whose):
    env = dict(scripted(f'[ "$number" = 0 ] || {{ {SLEEP}; }}').env)
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    words = [cluster.scheduler_address if whose == "common" else "own", env["PATH"], env["GOOD"], env["NOTES"]]
    driver = subprocess.Popen([sys.executable, str(script), *words], stderr=subprocess.PIPE)
    try:
        pids = tools.lines_of(tmp_path / "pids", 4)
        assert "done" in tools.lines_of(tmp_path / "events", 4)
        driver.send_signal(number)
        assert all(tools.gone(pid) for pid in pids)
        said = driver.communicate(timeout=60)[1].decode()
    finally:
        driver.kill()
        driver.communicate()
    assert ("KeyboardInterrupt" in said) == (number != signal.SIGKILL)
    if number != signal.SIGKILL:
        assert "the same again makes only what is missing" in said
        assert len(xp.load_run(tmp_path / "s").done) == 1
    assert len(list((tmp_path / "s" / "products").glob("*/*"))) == 1


# Clusters that cannot do it.


def test_a_scheduler_that_is_lost_is_a_value(two_observations, scripted, tools, tmp_path):
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", silence_logs=50
    )
    client = distributed.Client(cluster, timeout=2, set_as_default=False)
    thread, found = in_thread(
        lambda: xp.run(two_observations, engine=scripted(SLEEP), store=tmp_path / "s", scheduler=client, progress=False)
    )
    try:
        pids = tools.lines_of(tmp_path / "pids", 4)
        cluster.close()
        assert all(tools.gone(pid) for pid in pids)
        thread.join(60)
    finally:
        client.close()
    assert len(found[0].failed) == 4
    assert len(found[0].skipped) == 3
    assert "the connection to the scheduler was lost" in found[0].failed[0].reason


def test_an_engine_that_workers_cannot_load_is_refused(plan, client, tmp_path, monkeypatch):
    module = types.ModuleType("in_this_process_only")
    module.HereOnly = HereOnly
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(HereOnly, "__module__", module.__name__)
    with pytest.raises(
        xp.XphotfnError, match=r"(?s)no worker of the cluster .*cannot load the engine \(ModuleNotFoundError"
    ):
        xp.run(plan, engine=HereOnly(), store=tmp_path / "s", scheduler=client, progress=False)


def test_a_client_that_is_closed_or_asynchronous_is_refused(plan, tmp_path, cluster):
    closed = distributed.Client(cluster, timeout=30, set_as_default=False)
    closed.close()
    with pytest.raises(xp.InvalidRecord, match="a running, not asynchronous Client"):
        xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", scheduler=closed, progress=False)


def unit_of(plan, step):
    return on_cluster.unit_of(step.id, (step,), len, None, step.needs, 0)


def test_an_error_of_dask_is_put_into_words(two_observations):
    from distributed import KilledWorker

    unit = unit_of(two_observations, two_observations.steps[1])
    killed = KilledWorker("evselect-1", SimpleNamespace(address="tcp://node7:1"), 3)
    assert on_cluster._reason(unit, killed).startswith(
        "evselect: its worker died each of the 4 times that it was run, at last tcp://node7:1: does it need more "
        "memory than a worker has, or more time than its job (walltime, --lifetime)"
    )
    assert on_cluster._reason(unit, OSError("gone")).startswith("evselect: OSError: gone; finished products are")


def test_a_step_is_skipped_for_the_one_that_failed_first(two_observations):
    steps = two_observations.steps
    failed = xp.Failed(step=steps[1].id, reason="it broke")
    skipped = xp.Skipped(step=steps[4].id, because=steps[1].id)
    outcomes = {failed.step: failed, skipped.step: skipped}
    assert on_cluster._skipped(unit_of(two_observations, steps[4]), outcomes) == (skipped,)
    assert on_cluster._skipped(unit_of(two_observations, steps[6]), outcomes)[0].because == steps[1].id
    assert on_cluster._skipped(unit_of(two_observations, steps[5]), outcomes) == ()


def test_a_worker_that_is_killed_costs_its_own_tasks_only(scripted, tools, tmp_path, client):
    """Last of those on the common cluster: its second worker may still be coming back."""
    plan = Plan(steps=[tools.made_of("evselect", n) for n in range(8)])
    once = '[ "$number" != 0002 ] || ! mkdir "$NOTES/once" 2> /dev/null || kill -9 $PPID'
    engine = scripted(f'echo "$number $$" >> "$NOTES/calls"; {once}; sleep 0.05')
    there = xp.run(plan, engine=engine, store=tmp_path / "cluster", scheduler=client, progress=False)
    here = xp.run(plan, engine=scripted(), store=tmp_path / "threads", progress=False)
    assert (tmp_path / "once").exists()
    assert len(there.done) == 8
    for one, other in zip(there.done, here.done, strict=True):
        assert Path(one.outputs[0].path).read_bytes() == Path(other.outputs[0].path).read_bytes()
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    assert 9 <= len(calls) <= 8 + 4, "the tasks of the worker that was killed, of which it had four at most"
    assert max([number for number, _ in calls].count(f"{n:04d}") for n in range(8)) == 2
    assert all(tools.gone(pid) for _, pid in calls)
    assert xp.verify(tmp_path / "cluster").is_good
    open_store(tmp_path / "cluster")
    assert not list((tmp_path / "cluster" / "scratch").iterdir())


def test_a_result_that_is_lost_after_all_is_waited_for():
    """Its worker died between the message that it was done and the question for it."""
    again = []

    def future(key, status):
        return SimpleNamespace(
            key=key, status=status, add_done_callback=lambda put: put(key), exception=lambda: ValueError(key)
        )

    futures = [future(key, key.rstrip("12")) for key in ("finished1", "pending1", "lost1", "finished2", "cancelled1")]
    client = SimpleNamespace(gather=lambda some: [f"result of {f.key}" for f in some])
    assert dict(futures_of._results(client, futures, again.append)) == {
        "cancelled1": "cancelled, or the connection to the scheduler was lost",
        "finished1": "result of finished1",
        "finished2": "result of finished2",
    }
    assert again == ["pending1", "lost1"]

    def no_answer(_some):
        raise OSError("gone")

    def gone(timeout):
        raise OSError(f"gone too, {timeout:g} s")

    for one in futures:
        one.result = gone if one.key == "finished2" else lambda key=one.key, **_: key.upper()
    found = dict(futures_of._results(SimpleNamespace(gather=no_answer), futures, again.append))
    assert found["finished1"] == "FINISHED1"
    assert str(found["finished2"]) == "gone too, 30 s"


@pytest.mark.slow
def test_a_task_that_kills_its_workers_is_a_failure(two_observations, scripted, tmp_path):
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        distributed.Client(cluster, timeout=30, set_as_default=False) as client,
    ):
        engine = scripted('[ "$number" != 0002 ] || kill -9 $PPID')
        run = xp.run(two_observations, engine=engine, store=tmp_path / "s", scheduler=client, progress=False)
    failed = {f.step: f.reason for f in run.failed}
    assert "evselect: its worker died each of the 2 times that it was run" in failed[two_observations.steps[2].id]
    assert len(run.done) + len(run.failed) + len(run.skipped) == 7
    assert set(failed) <= {s.id for s in two_observations.steps}
    assert {o.because for o in run.skipped} <= set(failed)
    again = xp.retry_failed(run, engine=scripted(), progress=False)
    assert len(again.done) == 7
