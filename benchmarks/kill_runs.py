"""Kills runs with kill -9 at random moments, on threads and on a LocalCluster, and resumes them; no product may suffer.

``--kills N`` (30; 2 with ``--small``) on each. After each kill: the same digests as an undisturbed run, nothing made
that was there, no process and no scratch folder left. Then two drivers over one store, with prune and verify beside
them, ``--rounds N`` (5; 1) times: every product right, nothing damaged.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

PRODUCTS = 30
TASK = """#!/bin/sh
number=${1#*=p}
number=${number%.fits}
echo "$number $$" >> "$NOTES"
sleep 0.05
{ head -c 2880 "$GOOD"; printf '%s' "$number"; sleep 0.02; tail -c +2885 "$GOOD"; } > "p$number.fits"
echo "$number" >> "$NOTES.ended"
"""
COMMANDS = {"evselect": "imageset", "emosaic": "mosaicedset"}


def plan():
    """Return images, and mosaics of four of them each."""
    from xphotfn.commands.command import Command
    from xphotfn.commands.step import Step, StepInput
    from xphotfn.graph.plan import Plan

    def step(task, number, made=()):
        name = f"p{number:04d}.fits"
        inputs = [s.command.outputs[0] for s in made]
        command = Command(task=task, parameters=((COMMANDS[task], name),), outputs=(name,), inputs=inputs)
        return Step(command=command, inputs=[StepInput(name=s.command.outputs[0], step=s.id) for s in made])

    images = [step("evselect", n) for n in range(PRODUCTS * 4 // 5)]
    return Plan(steps=[*images, *(step("emosaic", n, images[n % 20 :][:4]) for n in range(len(images), PRODUCTS))])


def drive(root, store, notes, where):
    """Run the plan in this process; on a cluster of its own where that is asked."""
    import xphotfn as xp
    from xphotfn.engines.sas import SasEngine

    env = {"PATH": f"{root}/bin:/usr/bin:/bin", "GOOD": f"{root}/good.fits", "NOTES": notes}
    how = {"engine": SasEngine(version="20.0.0", env=list(env.items())), "store": store, "progress": False}
    Path(f"{notes}.begun").touch()
    if where == "cluster":
        from distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            Path(f"{notes}.begun").write_text("cluster")
            run = xp.run(plan(), scheduler=client, **how)
    else:
        Path(f"{notes}.begun").write_text("threads")
        run = xp.run(plan(), workers=2, **how)
    return 0 if len(run.done) == PRODUCTS else 1


def start(root, store, notes, where):
    words = [sys.executable, __file__, "--drive", root, store, notes, where]
    return subprocess.Popen([str(w) for w in words], stderr=subprocess.DEVNULL, start_new_session=True)


def lines(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def digests(store):
    import xphotfn as xp

    return {o.name: o.digest for d in xp.load_run(store).done for o in d.outputs}


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def of_session(session):
    """Return the processes of a driver's session that live: its workers and nannies."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[3]) == session and words[0] != "Z":
            found.append(int(path.parent.name))
    return found


def within(seconds, condition):
    stop = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > stop:
            return False
        time.sleep(0.05)
    return True


def one_kill(root, number, where, length, moments, wanted):
    """Kill one run and resume it; return what was found."""
    import xphotfn as xp

    store, notes = root / f"{where}{number}", root / f"{where}{number}.notes"
    driver = start(root, store, notes, where)
    within(60, lambda: Path(f"{notes}.begun").exists() and Path(f"{notes}.begun").read_text())
    time.sleep(moments.uniform(0, length))
    os.kill(driver.pid, signal.SIGKILL)
    killed = driver.wait() == -signal.SIGKILL
    pids = [int(line.split()[1]) for line in lines(notes)]
    quiet = within(15, lambda: not any(alive(pid) for pid in pids) and not of_session(driver.pid))
    before = {p.parent.name for p in store.glob("products/*/*/manifest.json")}
    begun = len(lines(notes))
    resumed = start(root, store, notes, "threads").wait(timeout=120)
    verified = xp.verify(store)
    return {
        "where": where, "killed": killed, "published": len(before), "quiet": quiet, "resumed": resumed,
        "made_again": len(lines(notes)) - begun - (PRODUCTS - len(before)),
        "same": digests(store) == wanted, "products": verified.products, "damaged": len(verified.damaged),
        "scratch": len(list((store / "scratch").iterdir())),
    }  # fmt: skip


def is_right(found):
    return (
        found["quiet"] and found["resumed"] == 0 and found["made_again"] == 0 and found["same"]
        and (found["products"], found["damaged"], found["scratch"]) == (PRODUCTS, 0, 0)
    )  # fmt: skip


def two_drivers(root, number, wanted):
    """Run two drivers over one store with prune and verify beside them."""
    import xphotfn as xp

    store = root / f"two{number}"
    drivers = [start(root, store, root / f"two{number}.{n}", "threads") for n in "ab"]
    looked = 0
    while any(driver.poll() is None for driver in drivers):
        if (store / "xphotfn-store.json").exists() or (store / "products").is_dir():
            try:
                xp.verify(store)
                xp.prune(store)
                looked += 1
            except xp.XphotfnError:
                time.sleep(0.05)
    verified = xp.verify(store)
    return {
        "where": "two drivers", "ended": [d.wait() for d in drivers], "looked": looked,
        "same": digests(store) == wanted, "products": verified.products, "damaged": len(verified.damaged),
        "scratch": len(list((store / "scratch").iterdir())),
    }  # fmt: skip


def attack(kills, rounds):
    """Do it all and return how many went wrong."""
    wrong, moments = 0, random.Random(2026)  # noqa: S311 - moments, no secrets
    with tempfile.TemporaryDirectory() as top:
        root = Path(top)
        (root / "bin").mkdir()
        fits.PrimaryHDU(np.zeros((4, 4), dtype="i4")).writeto(root / "good.fits")
        for task in COMMANDS:
            (root / "bin" / task).write_text(TASK)
            (root / "bin" / task).chmod(0o755)
        for where in ("threads", "cluster"):
            began = time.monotonic()
            assert start(root, root / f"whole {where}", root / f"whole-{where}.notes", where).wait() == 0
            length = min(time.monotonic() - began, 4.0)
            wanted = digests(root / f"whole {where}")
            found = [one_kill(root, n, where, length, moments, wanted) for n in range(kills)]
            bad = [f for f in found if not is_right(f)]
            wrong += len(bad)
            midst = sum(0 < f["published"] < PRODUCTS for f in found)
            print(f"{where}: {len(found)} kills, {midst} in the midst of a run, {len(bad)} wrong")
            for one in bad:
                print(f"  {json.dumps(one)}")
        found = [two_drivers(root, n, wanted) for n in range(rounds)]
        bad = [f for f in found if f["ended"] != [0, 0] or not f["same"] or f["damaged"] or f["scratch"]]
        wrong += len(bad)
        looked = sum(f["looked"] for f in found)
        print(f"two drivers: {len(found)} rounds, verify and prune {looked} times beside them, {len(bad)} wrong")
        for one in bad:
            print(f"  {json.dumps(one)}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="two kills on each and one round")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--drive", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        sys.exit(drive(*options.drive))
    sys.exit(bool(attack(2 if options.small else options.kills, 1 if options.small else options.rounds)))


if __name__ == "__main__":
    main()
