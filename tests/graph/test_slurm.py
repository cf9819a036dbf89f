"""The SLURM of docs/clusters.md, on a real SLURM: its daemons on this machine's loopback, three nodes of two cores.

A job is cancelled and others reach their time limit; the products are those of threads, byte for byte.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import xphotfn as xp
from xphotfn.graph.plan import Plan

pytestmark = pytest.mark.slow

CONF = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={top}/munge.socket
SlurmctldPort=16817
SlurmctldPidFile={top}/slurmctld.pid
SlurmdPidFile={top}/slurmd.%n.pid
SlurmdSpoolDir={top}/spool.%n
StateSaveLocation={top}/state
SlurmctldLogFile={top}/slurmctld.log
SlurmdLogFile={top}/slurmd.%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
NodeName=n[1-3] NodeHostname={host} NodeAddr=127.0.0.1 Port=[16821-16823] CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A SLURM; gives a function that calls its commands."""
    missing = [name for name in NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing or os.geteuid():
        pytest.skip(f"needs SLURM and root to start it (apt-get install slurm-wlm); missing: {missing or 'root'}")
    top = tmp_path_factory.mktemp("slurm")
    (top / "state").mkdir()
    (top / "munge.key").write_bytes(os.urandom(128))
    (top / "munge.key").chmod(0o600)
    host = os.uname().nodename.partition(".")[0]
    (top / "slurm.conf").write_text(CONF.format(top=top, host=host))
    env = {**os.environ, "SLURM_CONF": str(top / "slurm.conf"), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    munge = [f"--key-file={top}/munge.key", f"--socket={top}/munge.socket", f"--pid-file={top}/munge.pid",
             f"--log-file={top}/munge.log", f"--seed-file={top}/munge.seed"]  # fmt: skip
    daemons = [
        ["munged", "--force", "--foreground", *munge],
        ["slurmctld", "-D"],
        *(["slurmd", "-D", "-N", f"n{n}"] for n in "123"),
    ]
    processes = []

    def call(*words):
        got = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=30)
        return got.stdout

    try:
        for words in daemons:
            with (top / f"{words[0]}.{words[-1].replace('/', '_')[-20:]}.out").open("wb") as log:
                processes.append(subprocess.Popen(words, env=env, stdout=log, stderr=subprocess.STDOUT))
            time.sleep(0.5)
        stop = time.monotonic() + 30
        while call("sinfo", "-h", "-o", "%D %t").split() != ["3", "idle"]:
            if time.monotonic() > stop:
                pytest.skip(f"SLURM does not start here: {call('sinfo')}, see {top}")
            time.sleep(0.5)
        yield call, env
        call("scancel", "-u", "root")
        time.sleep(3)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(10)


def wait_for(call, condition, within):
    stop = time.monotonic() + within
    while not condition(call("squeue", "-h", "-o", "%i %T").splitlines()):
        assert time.monotonic() < stop, call("squeue")
        time.sleep(0.3)


def files_of(run):
    return {o.name: Path(o.path).read_bytes() for d in run.done for o in d.outputs}


def block_of(page, words):
    """Return the block of a page that holds these words."""
    return next(b for b in re.split(r"^```.*$", page.read_text(), flags=re.M)[1::2] if words in b)


# Eight tasks are short; the others go on until SLURM has ended a job at its time limit, and end when tried after that.
TASK = """[ "$number" -lt 8 ] || echo "$SLURM_JOB_ID" >> "$NOTES/long"
[ "$number" -lt 8 ] || while ! grep -qs "DUE TO TIME LIMIT" "$NOTES"/logs/*; do sleep 1; done"""


def test_the_page_runs_with_a_job_cancelled_and_others_at_their_time_limit(
    slurm, scripted, tools, tmp_path, project_root, monkeypatch
):
    pytest.importorskip("dask_jobqueue")
    call, env = slurm
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, env[name])
    page: dict[str, object] = {}
    exec(block_of(project_root / "docs" / "clusters.md", "def main(plan"), page)  # noqa: S102 - what the reader runs
    plan = Plan(steps=[tools.made_of("evselect" if n < 8 else "emosaic", n) for n in range(16)])
    engine = scripted(TASK, timeout_s=200)
    cancelled = []

    def cancel_one():
        cancelled.append(tools.lines_of(tmp_path / "long", 1, within=200)[0])
        call("scancel", cancelled[0])

    thread = threading.Thread(target=cancel_one, daemon=True)
    thread.start()
    run = page["main"](
        plan, tmp_path / "s", engine, cores=1, processes=1, memory="600MB", walltime="00:01:00", queue="main",
        python=sys.executable, local_directory=str(tmp_path / "dask"), log_directory=str(tmp_path / "logs"),
        interface="lo", job_script_prologue=[
                f"export PYTHONPATH={os.environ.get('PYTHONPATH', '')}",
                "export MALLOC_TRIM_THRESHOLD_=134217728 MALLOC_MMAP_THRESHOLD_=33554432",
            ],
    )  # fmt: skip
    assert len(run.done) == 16, run.failed[:3]
    ended = [
        line
        for path in (tmp_path / "logs").iterdir()
        for line in path.read_text().splitlines()
        if "CANCELLED AT" in line
    ]
    assert any("DUE TO TIME LIMIT" in line for line in ended), ended
    assert any(f"JOB {cancelled[0]} " in line and "TIME LIMIT" not in line for line in ended), (cancelled, ended)
    here = xp.run(plan, engine=scripted(), store=tmp_path / "threads", progress=False, workers=8)
    assert files_of(run) == files_of(here)
    assert xp.verify(tmp_path / "s").is_good
    wait_for(call, lambda jobs: not jobs, 40)


def test_a_job_array_without_dask(slurm, tree, tmp_path):
    call, _env = slurm
    script = tmp_path / "array.sh"
    script.write_text(f"""#!/bin/sh
#SBATCH --array=1-3 --time=00:02:00 --output={tmp_path}/job-%a.txt
{sys.executable} -c 'from xphotfn.cli import main; main()' run {tree} --ra 10 --dec 20 --store {tmp_path}/s --quiet \\
  --part $SLURM_ARRAY_TASK_ID/3
""")
    assert "Submitted" in call("sbatch", str(script))
    wait_for(call, lambda jobs: not jobs, 90)
    said = [path.read_text() for path in sorted(tmp_path.glob("job-*.txt"))]
    assert len(said) == 3
    field = xp.match_observations(xp.point_source("target", 10.0, 20.0, radius="30 arcsec"), xp.find_observations(tree))
    plan = xp.plan_mosaics(field, xp.energy_band("0.5 keV", "2 keV"))
    again = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    assert all(d.cached for d in again.done), said
    here = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "threads", progress=False)
    assert files_of(again) == files_of(here)
