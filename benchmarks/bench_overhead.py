"""What running a command through xphotfn costs, in units of starting a process: ``posix_spawn`` of ``true``.

    python benchmarks/bench_overhead.py [--small] [--check]

A command is ``true``, started as tasks of SAS are; where there is a product, one image of 5.8 kB (the least FITS with 3
to 4 kB of data), it is written beside it. "threads" has as many threads as ``run`` takes by default, "distributed" is a
LocalCluster of as many workers. Everything is measured in turns in one run, and the best turn of each counts: the rest
is what other programs did to the machine. The limits are for a machine that does nothing else: a cluster's scheduler,
driver and workers wait for each other, and where more programs run than there are cores that takes several times as
long (two cores: 7 times a process start alone, 24 to 40 beside a dozen busy programs).
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from attrs import frozen
from timing import arguments

import xphotfn as xp
from xphotfn.commands.command import Command
from xphotfn.commands.step import Step
from xphotfn.engines.processes import run_process
from xphotfn.graph.delayed import compute
from xphotfn.graph.plan import Plan
from xphotfn.graph.run import default_workers
from xphotfn.records.outcome import Done
from xphotfn.store.product_store import open_store

TRUE = shutil.which("true")
LIMITS = {
    "threads, no store": 1.5,
    "threads, a 4 kB product in the store": 6.0,
    "distributed, a 4 kB product in the store": 12.0,
    "a finished product looked up": 10.0,
    "a finished product recognised by a run": 10.0,
}


@frozen(kw_only=True)
class TrueEngine:
    """Starts ``true`` as a command of SAS is started, then writes the product itself where there is to be one."""

    identity: str = "true"
    content: bytes = b""

    def execute(self, command, folder):
        with open(os.devnull, "wb") as log:  # noqa: PTH123
            run_process((TRUE,), cwd=folder, env={}, log=log, timeout_s=60)
        for name in command.outputs:
            (folder / name).write_bytes(self.content)
        return ""


def four_kilobytes():
    """Return an image that is a FITS file of 4 to 6 kB, the least that holds 4 kB in blocks of 2880 bytes."""
    import io

    import numpy as np
    from astropy.io import fits

    stream = io.BytesIO()
    fits.PrimaryHDU(np.zeros((26, 27), dtype="i4")).writeto(stream)
    return stream.getvalue()


def plan_of(number, outputs=True):
    return Plan(
        steps=[
            Step(
                command=Command(
                    task="evselect", parameters=(("n", str(n)),), outputs=(f"p{n}.fits",) if outputs else ()
                )
            )
            for n in range(number)
        ]
    )


def spawn(number):
    for _ in range(number):
        os.waitpid(os.posix_spawn(TRUE, [TRUE], {}), 0)


def without_store(number, engine):
    """Run commands on dask's threads by the same process control, but without scratch folders and products."""
    from dask.threaded import get

    folder = Path("/")
    layer = {
        f"k{n}": (engine.execute, Command(task="evselect", parameters=(("n", str(n)),)), folder) for n in range(number)
    }
    get(layer, list(layer), num_workers=default_workers())


def main():
    options = arguments(__doc__.splitlines()[0])
    number, rounds, found = (100, 3, 1000) if options.small else (200, 15, 10_000)
    root = Path(tempfile.mkdtemp(prefix="xphotfn-overhead-"))
    try:
        ratios = overheads(root, number, rounds) | recognised(root, found, 3 if options.small else 7)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    missed = [what for what, ratio in ratios.items() if ratio > LIMITS.get(what, ratio)]
    for what in missed:
        print(f"{what}: {ratios[what]:.2f} is above the limit of {LIMITS[what]:g}")
    sys.exit(bool(options.check and missed))


def overheads(root, number, rounds):
    from distributed import Client, LocalCluster

    engine = TrueEngine(content=four_kilobytes())
    plan, bare = plan_of(number), TrueEngine()
    size = {"n_workers": default_workers(), "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    with LocalCluster(**size) as cluster, Client(cluster, timeout=30) as client:
        stores = iter(root / f"store{n}" for n in range(10**6))

        def run(scheduler):
            made = xp.run(plan, engine=engine, store=next(stores), scheduler=scheduler, progress=False)
            assert len(made.done) == number

        bodies = {
            "posix_spawn of true": lambda: spawn(number),
            "threads, no store": lambda: without_store(number, bare),
            "threads, a 4 kB product in the store": lambda: run("threads"),
            "distributed, a 4 kB product in the store": lambda: run(client),
        }
        times = {name: [] for name in bodies}
        for turn in range(rounds + 1):
            for name, body in bodies.items():
                start = time.perf_counter()
                body()
                if turn:  # the first turn imports
                    times[name].append((time.perf_counter() - start) / number)
    print(f"{number} commands, {rounds} turns")
    return against("posix_spawn of true", times)


@frozen(kw_only=True)
class Writer:
    """Writes the product and starts nothing."""

    identity: str = "writer"
    content: bytes = b""

    def execute(self, command, folder):
        (folder / command.outputs[0]).write_bytes(self.content)
        return ""


def recognised(root, number, rounds):
    """Time how long it takes to see that all products of a plan are there."""
    store, plan, engine = open_store(root / "finished"), plan_of(number), Writer(content=four_kilobytes())
    how = {"scheduler": "threads", "workers": default_workers(), "tries": 1, "observe": lambda _step, _outcome: None}
    outcomes, _notes = compute(plan, engine, store, **how)
    paths, keys = [o.path for done in outcomes for o in done.outputs], [done.key for done in outcomes]

    def stat():
        for path in paths:
            os.stat(path)  # noqa: PTH116

    def recognise():
        assert all(isinstance(done, Done) and done.cached for done in compute(plan, engine, store, **how)[0])

    def whole():
        assert len(xp.run(plan, engine=engine, store=store, progress=False).done) == number

    bodies = {
        "os.stat": stat,
        "a finished product looked up": lambda: [store.look_up(key) for key in keys],
        "a finished product recognised by a run": recognise,
        "the whole run, with its record written": whole,
    }
    times = {name: [] for name in bodies}
    for _ in range(rounds):
        for name, body in bodies.items():
            start = time.perf_counter()
            body()
            times[name].append((time.perf_counter() - start) / number)
    print(f"{number} finished products, {rounds} turns")
    return against("os.stat", times)


def against(what, times):
    """Print the best times in units of that of ``what``, and return these."""
    best = {name: min(values) for name, values in times.items()}
    for name, seconds in best.items():
        limit = f"(limit {LIMITS[name]:g})" if name in LIMITS else ""
        print(f"  {name:45s} {seconds * 1e6:9.1f} us each = {seconds / best[what]:6.2f} {limit}")
    return {name: seconds / best[what] for name, seconds in best.items()}


if __name__ == "__main__":
    main()
