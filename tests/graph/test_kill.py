"""kill -9 of the driver in the midst of a run, and a resume: nothing is lost, damaged, or made oftener than it must be.

No moment is a time: a task that is held keeps the run in its midst until the driver is dead. benchmarks/kill_runs.py
kills at random times.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

WORKERS = 2

# Each run is a fork of one process that has everything imported, so that the kill falls into the run itself.
DRIVER = """
import json, os, random, signal, sys, time
from pathlib import Path
import astropy.io.fits, dask.threaded
import xphotfn as xp
from xphotfn.commands.command import Command
from xphotfn.engines.sas import SasEngine
from xphotfn.commands.step import Step, StepInput
from xphotfn.graph.plan import Plan
from xphotfn.store.inspect import verify

root, products, kills, workers = Path(sys.argv[1]), *map(int, sys.argv[2:])
xp.run, xp.native_engine, xp.load_run

def step(task, number, made=()):
    product = f"p{number:04d}.fits"
    named = "imageset" if task == "evselect" else "mosaicedset"
    command = Command(task=task, parameters=((named, product),), outputs=(product,),
                      inputs=[s.command.outputs[0] for s in made])
    return Step(command=command, inputs=[StepInput(name=s.command.outputs[0], step=s.id) for s in made])

images = [step("evselect", n) for n in range(products * 4 // 5)]
plan = Plan(steps=[*images, *(step("emosaic", n, images[-4:]) for n in range(len(images), products))])

def within(seconds, condition):
    stop = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < stop
        time.sleep(0.01)

def in_a_child(store, notes):
    pid = os.fork()
    if pid:
        return pid
    path = f"{root / 'bin'}:/usr/bin:/bin"
    engine = SasEngine(version="20.0.0", env=(("PATH", path), ("GOOD", str(root / "good.fits")), ("NOTES", str(notes)),
                                                ("HOLD", str(root / "hold"))))
    run = xp.run(plan, engine=engine, store=store, workers=workers, progress=False)
    status = 0 if len(run.done) == products else 1
    os._exit(status)

def digests(store):
    return {o.name: o.digest for d in xp.load_run(store).done for o in d.outputs}

def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

def lines(path):
    return [line.split() for line in path.read_text().split("\\n")[:-1]] if path.exists() else []

assert os.waitpid(in_a_child(root / "whole", root / "whole.notes"), 0)[1] == 0
wanted = digests(root / "whole")
moments = random.Random(2026)
for n in range(kills):
    store, notes = root / f"store{n}", root / f"notes{n}"
    held = moments.randrange(len(images))
    (root / "hold").write_text(f"{held:04d}")
    pid = in_a_child(store, notes)
    within(120, lambda: f"{held:04d}" in [number for number, _ in lines(notes)] and list(store.glob("products/*/*")))
    os.kill(pid, signal.SIGKILL)
    killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    (root / "hold").unlink()
    before = len(list(store.glob("products/*/*")))
    within(60, lambda: not any(alive(pid) for _, pid in lines(notes)))
    resumed = os.waitpid(in_a_child(store, notes), 0)[1]
    calls = [number for number, _ in lines(notes)]
    verified = verify(store)
    print(json.dumps(dict(
        killed=killed, held=held, before=before, resumed=resumed, calls=len(calls),
        most=max(map(calls.count, calls)), same=digests(store) == wanted, verified=verified.products,
        damaged=len(verified.damaged), scratch=len(list((store / "scratch").iterdir())),
    )), flush=True)
"""

TASK = """#!/bin/sh
number=${1#*=p}
number=${number%.fits}
echo "$number $$" >> "$NOTES"
if [ -e "$HOLD" ] && [ "$(cat "$HOLD")" = "$number" ]; then sleep 600; fi
{ head -c 2880 "$GOOD"; printf '%s' "$number"; sleep 0.01; tail -c +2885 "$GOOD"; } > "p$number.fits"
"""


@pytest.mark.parametrize(
    ("products", "kills"),
    [pytest.param(10, 3, id="few"), pytest.param(50, 20, id="twenty", marks=pytest.mark.slow)],
)
def test_a_killed_run_is_resumed(tmp_path, products, kills):
    fits.PrimaryHDU(np.zeros((4, 4), dtype="i4")).writeto(tmp_path / "good.fits")
    (tmp_path / "bin").mkdir()
    for task in ("evselect", "emosaic"):
        (tmp_path / "bin" / task).write_text(TASK)
        (tmp_path / "bin" / task).chmod(0o755)
    (tmp_path / "driver.py").write_text(DRIVER)
    words = [sys.executable, tmp_path / "driver.py", tmp_path, products, kills, WORKERS]
    got = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, timeout=600)
    assert got.returncode == 0, got.stderr
    rounds = [json.loads(line) for line in got.stdout.splitlines()]
    assert len(rounds) == kills
    for found in rounds:
        assert found["resumed"] == 0, found
        assert found["same"], found
        assert (found["verified"], found["damaged"], found["scratch"]) == (products, 0, 0), found
        assert found["most"] <= 2, found
        assert products <= found["calls"] <= products + WORKERS * found["killed"], found
        assert found["killed"]
        assert 0 < found["before"] < products, found


CLUSTER = """
import os, sys, threading, time
from pathlib import Path
import xphotfn as xp
from xphotfn.commands.command import Command
from xphotfn.engines.sas import SasEngine
from xphotfn.commands.step import Step
from xphotfn.graph.plan import Plan
from xphotfn.store.product_store import open_store

def step(n):
    command = Command(task="evselect", parameters=(("imageset", f"p{n:04d}.fits"),), outputs=(f"p{n:04d}.fits",))
    return Step(command=command)

def kill_a_worker(notes):
    while not notes.exists() or len(notes.read_text().splitlines()) < 3:
        time.sleep(0.01)
    os.kill(int(notes.read_text().split()[-1]), 9)  # the parent of a task is the worker

def main():
    from distributed import Client, LocalCluster

    root = Path(sys.argv[1])
    path = f"{root / 'bin'}:/usr/bin:/bin"
    plan = Plan(steps=[step(n) for n in range(12)])
    runs = []
    for name in ("cluster", "threads"):
        notes = root / name
        env = (("PATH", path), ("GOOD", str(root / "good.fits")), ("NOTES", str(notes)))
        how = {"engine": SasEngine(version="20.0.0", env=env), "store": root / f"store-{name}", "progress": False}
        if name == "threads":
            runs.append(xp.run(plan, **how))
            continue
        size = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
        with LocalCluster(**size) as cluster, Client(cluster) as client:
            threading.Thread(target=kill_a_worker, args=(notes,), daemon=True).start()
            runs.append(xp.run(plan, scheduler=client, **how))
        begun = notes.read_text().splitlines()
    assert all(len(run.done) == 12 for run in runs), [str(run) for run in runs]
    digests = [[o.digest for d in run.done for o in d.outputs] for run in runs]
    assert digests[0] == digests[1]
    assert 12 <= len(begun) <= 14, begun
    stop = time.monotonic() + 60
    while any(Path(f"/proc/{line.split()[1]}").exists() for line in begun):
        assert time.monotonic() < stop, begun
        time.sleep(0.02)
    store = open_store(root / "store-cluster")
    assert not list((root / "store-cluster" / "scratch").iterdir())

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_own_task_only(tmp_path):
    pytest.importorskip("distributed")
    fits.PrimaryHDU(np.zeros((4, 4), dtype="i4")).writeto(tmp_path / "good.fits")
    (tmp_path / "bin").mkdir()
    task = TASK.replace("$$", "$$ $PPID").replace("{ head", "sleep 0.2\n{ head")
    (tmp_path / "bin" / "evselect").write_text(task)
    (tmp_path / "bin" / "evselect").chmod(0o755)
    (tmp_path / "driver.py").write_text(CLUSTER)
    words = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path)]
    got = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path)
    assert got.returncode == 0, got.stderr
