"""Large runs with a cheap engine: what a step costs this process, the record and a resume, and whether that is linear.

A plan of 100,000 steps (2,000 with ``--small``), twenty images and exposure maps and their four mosaics for each
observation, is run with an engine that writes 2880 bytes: on threads, and with ``--client`` on a LocalCluster, whose
scheduler is in another process, as on a cluster. Each run is a process of its own, whose memory is compared with what
it was when the plan had been made. Limits (``--check``):

- memory: at most 4 kB a step more than the plan;
- record of the run: at most 0.3 kB a step;
- a resume, where all is there: at most 10 questions to the file system a step, which are what counts where that is a
  network's (opening, ``os.stat``, ``os.lstat``); its time is printed, in units of one ``os.stat`` here, too;
- ``surviving_plan``, the products of each target in turn, ``rate_maps`` and ``report``, over two decades of targets:
  an exponent of at most 1.1 of the CPU time, the least of three (a report is made once). What is garbage before counts
  for none of them. tests/graph/test_scale.py counts calls, which no other program changes.
"""

import argparse
import gc
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits
from attrs import evolve, frozen
from bench_samples import field_of

import xphotfn as xp
from xphotfn.commands.command import Command
from xphotfn.commands.step import Step, StepInput
from xphotfn.graph.plan import Plan
from xphotfn.io.products import clear_cache
from xphotfn.records.outcome import Output
from xphotfn.simulate.scene import default_scene
from xphotfn.store.product_store import Store
from xphotfn.testing import simulate_observations

OF_OBSERVATION = 24  # steps: 20 that wait for nothing, 4 that wait for five of them each
KB_A_STEP, RECORD_KB_A_STEP, QUESTIONS_A_STEP, EXPONENT = 4.0, 0.3, 10.0, 1.1


@frozen
class Cheap:
    """Copies one small FITS file for every command."""

    content: bytes
    identity: str = "cheap"

    def execute(self, command, folder):
        for name in command.outputs:
            (folder / name).write_bytes(self.content)
        return ""


def step(task, name, obs_id, made=()):
    parameter = {"evselect": "imageset", "emosaic": "mosaicedset"}[task]
    command = Command(
        task=task, parameters=((parameter, name),), outputs=(name,), inputs=[s.command.outputs[0] for s in made]
    )
    return Step(command=command, inputs=[StepInput(name=s.command.outputs[0], step=s.id) for s in made], obs_id=obs_id)


def plan_of(count):
    """Return a plan of about so many steps."""
    steps = []
    for number in range(max(1, count // OF_OBSERVATION)):
        obs_id = f"{number + 1:010d}"
        single = [step("evselect", f"{obs_id}_{n}.fits", obs_id) for n in range(20)]
        steps += single
        steps += [step("emosaic", f"{obs_id}_m{n}.fits", "combined", single[5 * n : 5 * n + 5]) for n in range(4)]
    return Plan(steps=steps)


def resident():
    """Return how much memory this process has, in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak():
    """Return the most memory that this process has had, in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def engine():
    hdu = fits.PrimaryHDU(np.zeros((4, 4), dtype="i2"))
    with tempfile.TemporaryDirectory() as folder:
        hdu.writeto(Path(folder, "a.fits"))
        return Cheap(Path(folder, "a.fits").read_bytes())


def one_run(count, store, where):
    """Run in this process and print what it cost, as JSON."""
    plan = plan_of(count)
    steps = len(plan.steps)
    xp.run(Plan(steps=plan.steps[:1]), engine=engine(), store=f"{store}-first", progress=False)  # imports
    client = cluster = None
    if where == "client":
        from distributed import Client

        words = [sys.executable, __file__, "--cluster"]
        cluster = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        client = Client(cluster.stdout.readline().strip(), timeout=120)
        xp.run(Plan(steps=plan.steps[:1]), engine=engine(), store=f"{store}-second", progress=False, scheduler=client)
    before, start = resident(), time.perf_counter()
    run = xp.run(plan, engine=engine(), store=store, workers=2, progress=False, scheduler=client or "threads")
    seconds = time.perf_counter() - start
    assert len(run.done) == steps, run.failed[:1]
    print(json.dumps({"steps": steps, "kb": (peak() - before) / steps, "ms": seconds / steps * 1e3}))
    if client is not None:
        client.close()
        cluster.communicate("over")


def cluster_until_told():
    """Have a LocalCluster in this process, print its address and end when that is told."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0", silence_logs=50) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


def resume(store, count):
    """Print what finding everything costs in this process, in units of one os.stat of a product."""
    plan = plan_of(count)
    steps = len(plan.steps)
    before, start = resident(), time.process_time()
    run = xp.run(plan, engine=engine(), store=store, progress=False)
    seconds = time.process_time() - start
    kb = (peak() - before) / steps
    assert all(d.cached for d in run.done)
    asked = questions(lambda: xp.run(plan, engine=engine(), store=store, progress=False))
    paths = [d.outputs[0].path for d in run.done]
    start = time.process_time()
    for path in paths:
        os.stat(path)  # noqa: PTH116 - the unit
    unit = time.process_time() - start
    found = {"asked": asked / steps, "stats": seconds / unit, "ms": seconds / steps * 1e3, "kb": kb}
    print(json.dumps(found))


def questions(function):
    """Return how often a function asks the file system: what it opens, and each os.stat and os.lstat."""
    count = 0
    stat, lstat = os.stat, os.lstat

    def counted(call):
        def one(*arguments, **others):
            nonlocal count
            count += 1
            return call(*arguments, **others)

        return one

    def opened(event, _arguments):
        nonlocal count
        count += event == "open"

    sys.addaudithook(opened)
    os.stat, os.lstat = counted(stat), counted(lstat)
    try:
        function()
        return count
    finally:
        os.stat, os.lstat = stat, lstat


def in_a_process(*words):
    got = subprocess.run([sys.executable, __file__, *map(str, words)], capture_output=True, text=True, check=False)
    if got.returncode:
        sys.exit(got.stderr)
    return json.loads(got.stdout.splitlines()[-1])


def record_kb(store, steps):
    return sum(path.stat().st_size for path in Path(store, "runs").iterdir()) / 1024 / steps


def exponent(function, runs, repeats=3):
    """Return the exponent with which a function's time grows over runs of different size."""
    times = []
    for run in runs:
        taken = []
        for _ in range(repeats):
            fresh = evolve(run)  # what it has looked up before does not count
            clear_cache()
            gc.collect()
            start = time.process_time()
            function(fresh)
            taken.append(time.process_time() - start)
        times.append(min(taken))
    sizes = [len(run.plan.fields) for run in runs]
    return math.log(times[-1] / times[0]) / math.log(sizes[-1] / sizes[0]), times


def samples(options):
    """Print with which exponents what is asked of a sample grows: targets of one observation of three cameras."""
    # The products are links to one file, of no store: how reading grows is measured, not the check of each file.
    Store.require_published = lambda _store, _path: None
    with tempfile.TemporaryDirectory() as folder:
        found = observation(Path(folder, "data"))
        counts = (10, 100) if options.small else (40, 400, 4000)
        runs = [run_of(number, Path(folder, str(number)), found) for number in counts]
        grows("surviving_plan", xp.surviving_plan, runs, options)
        grows("the products of each target", each_field, runs, options)
        grows("rate_maps", xp.rate_maps, runs, options)
        del runs
        counts = (1, 10) if options.small else (5, 50, 500)
        reported = [run_of_one(number, Path(folder, "store"), found) for number in counts]
        grows("report", lambda run: report(run, folder), reported, options, repeats=1)


def grows(name, function, runs, options, repeats=3):
    function(runs[0])
    power, times = exponent(function, runs, repeats)
    counts = [len(run.plan.fields) for run in runs]
    print(f"{name}: " + ", ".join(f"{n} targets {t:.3f} s" for n, t in zip(counts, times, strict=True)))
    missed(f"exponent of {name}", power, EXPONENT, "", options.check and not options.small)


def each_field(run):
    return [list(run.products(field.name)) for field in run.plan.fields]


def report(run, folder):
    with tempfile.TemporaryDirectory(dir=folder) as pages:
        xp.report(run, Path(pages, "report"), progress=False)


def observation(folder):
    """Return a simulated observation of two cameras whose images and exposure maps are there."""
    scene = default_scene()
    first = scene.pointings[0]
    simulate_observations(folder, scene=evolve(scene, pointings=[evolve(first, exposures=first.exposures[:2])]))
    return xp.find_observations(folder)


def run_of_one(count, store, found):
    """Return the run of so many targets, all in one observation."""
    at = default_scene().cluster.target
    fields = xp.match_observations([evolve(at, name=f"target {n}") for n in range(count)], found)
    plan = xp.plan_photometry(fields, xp.energy_band("0.5 keV", "2 keV"))
    return xp.run(plan, engine=xp.native_engine(), store=store, progress=False)


def run_of(count, folder, found):
    """Return a run of a sample as if it had been run: of each target an exposure map failed; images are links to one.

    Parameters
    ----------
    count
        Of targets.
    folder
        For the links.
    found
        Observations of which an image and an exposure map are what is linked to.
    """
    folder.mkdir()
    files = {product.kind: product.file.path for product in found[0].exposures[0].products}
    plan = xp.plan_photometry(
        [field_of(n) for n in range(1, count + 1)], xp.energy_band("0.5 keV", "2 keV"), flares="keep"
    )
    outcomes = []
    for one in plan.steps:
        name = one.command.outputs[0]
        path = f"{folder}/{one.id}"
        os.link(files["exposure_map" if "expmap" in name else "image"], path)
        if "_mos1_" in name and name.endswith("_expmap.fits"):
            outcomes.append(xp.Failed(step=one.id, reason="the disk melted"))
        else:
            outcomes.append(xp.Done(step=one.id, key="0", outputs=[Output(name=name, path=path, digest="d")]))
    return xp.Run(plan=plan, outcomes=outcomes, store="/store", engine="none")


def missed(what, value, limit, unit, check):
    print(f"{what:58s} {value:8.3f} {unit} (limit {limit:g})")
    if check and value > limit:
        sys.exit(f"{what}: {value:.3f} {unit} is above the limit of {limit}")


def whole(options):
    count = options.steps or (2_000 if options.small else 100_000)
    with tempfile.TemporaryDirectory() as top:
        for where in ("threads", *(["client"] if options.client else [])):
            store = f"{top}/{where}"
            found = in_a_process("--one", where, store, count)
            said = f"{found['steps']} steps on {where}"
            print(f"{said}: {found['ms']:.2f} ms a step")
            check = options.check and not options.small  # of few steps the fixed costs count
            missed(f"memory of {said}", found["kb"], KB_A_STEP, "kB a step", check)
            missed(f"record of {said}", record_kb(store, found["steps"]), RECORD_KB_A_STEP, "kB a step", check)
            again = in_a_process("--resume", where, store, count)
            print(f"resume of {said}: {again['ms']:.3f} ms, as long as {again['stats']:.0f} os.stat here")
            missed(f"memory of a resume of {said}", again["kb"], KB_A_STEP, "kB a step", check)
            missed(f"resume of {said}", again["asked"], QUESTIONS_A_STEP, "questions a step", check)
    samples(options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few steps, to see that it runs")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a limit is missed")
    parser.add_argument("--client", action="store_true", help="on a LocalCluster too, in a process of its own")
    parser.add_argument("--steps", type=int, help="of the plan, in place of 100,000 or 2,000")
    parser.add_argument("--one", nargs=3, metavar=("WHERE", "STORE", "COUNT"), help=argparse.SUPPRESS)
    parser.add_argument("--resume", nargs=3, metavar=("WHERE", "STORE", "COUNT"), help=argparse.SUPPRESS)
    parser.add_argument("--cluster", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cluster:
        cluster_until_told()
    elif options.one:
        one_run(int(options.one[2]), options.one[1], options.one[0])
    elif options.resume:
        resume(options.resume[1], int(options.resume[2]))
    else:
        whole(options)


if __name__ == "__main__":
    main()
