"""``xphotfn shims``: the scripts that ``xphotfn plan --script`` prints run where SAS is missing."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.simulate.observing import simulate_observations
from xphotfn.testing.examples import example_field


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def run_in(folder, script):
    """Run a script by the system's shell, with nothing on PATH but what the script puts there."""
    return subprocess.run(
        ["/bin/sh", "-s", "made"],
        input=script, cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
    )  # fmt: skip


def test_a_script_of_a_plan_runs_with_the_programs_on_path(tmp_path):
    plan = xp.plan_mosaics(example_field(), xp.energy_band("0.5 keV", "2 keV"))
    assert run_in(tmp_path, xp.to_shell(plan)).returncode == 127, "there is no SAS here"
    done = call("shims", tmp_path / "it's a bin")
    assert (done.exit_code, done.stdout[:12]) == (0, "export PATH=")
    ran = run_in(tmp_path, done.stdout + xp.to_shell(plan))
    assert ran.returncode == 0, ran.stderr
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "store", progress=False)
    for output in (output for step in run.done for output in step.outputs):
        assert (tmp_path / "made" / output.name).read_bytes() == Path(output.path).read_bytes()


@pytest.mark.slow
def test_a_printed_script_makes_all_of_it(tmp_path):
    data = tmp_path / "my data"
    simulate_observations(data, products=("events",))
    script = call("plan", data, "--ra", "52.31", "--dec", "-33.72", "--script")
    assert script.exit_code == 0, script.output
    assert 'eval "$(xphotfn shims xphotfn-bin)"' in script.stdout
    ran = run_in(tmp_path, call("shims", tmp_path / "bin").stdout + script.stdout)
    assert ran.returncode == 0, ran.stderr
    (image,) = tmp_path.glob("made/*combined*img.fits")
    assert np.asarray(fits.getdata(image)).sum() > 100


def test_it_says_what_is_in_the_way(tmp_path):
    (tmp_path / "evselect").write_text("#!/bin/sh\n")
    refused = call("shims", tmp_path)
    assert refused.exit_code == 1
    assert "is another program and stays as it is" in refused.stderr
    (tmp_path / "file").write_text("")
    refused = call("shims", tmp_path / "file" / "bin")
    assert refused.exit_code == 1
    assert "cannot be written" in refused.stderr
