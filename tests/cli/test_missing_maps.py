"""What is said where a place has no maps: a command that makes them, as it stands."""

import re
import shlex

import pytest
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.cli.missing_maps import how_to_make
from xphotfn.records.left_out import LeftOut
from xphotfn.simulate.observing import simulate_observations
from xphotfn.simulate.scene import default_scene

SOFT = xp.Band(lo_ev=500, hi_ev=2000)


def call(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events only") / "data"
    (first, *_), scene = default_scene().pointings, default_scene()
    small = evolve(scene, pointings=[evolve(first, exposures=first.exposures[-1:])])
    simulate_observations(folder, scene=small, products=("events",))
    return folder


def test_the_command_that_is_named_for_event_lists_alone_works(data):
    told = call("detect", data, "--band", "0.5-2.0keV")
    assert told.exit_code == 1
    (command,) = re.findall("`(.*?)`", told.output)
    assert "then give its store, xphotfn-store" in told.output
    (observation, *_) = xp.find_observations(data)
    assert f"the pointing of {observation.obs_id}" in told.output
    first, task, *words = shlex.split(command)
    assert (first, task) == ("xphotfn", "run")
    planned = call("plan", *words)
    assert planned.exit_code == 0, planned.output
    assert "eexpmap" in planned.output


def test_files_that_differ_are_named_with_the_option_that_chooses():
    notes = [LeftOut(file=name, reason="undecided", kind="exposure_map", obs_id="0000000101") for name in ("a", "b")]
    observation = xp.Observation(obs_id="0000000101", ra_deg=10.0, dec_deg=20.0, left_out=notes)
    assert how_to_make("data", [observation], [SOFT]) == "name one of a and b with --prefer"
    assert "there is no event list" in how_to_make(
        "data", [xp.Observation(obs_id="0000000101", ra_deg=1.0, dec_deg=2.0)], []
    )


def test_of_a_store_the_data_are_to_be_named():
    told = how_to_make("my store", (), [SOFT])
    assert "`xphotfn run DATA --ra RA --dec DEC --band 0.5-2keV --store 'my store'`" in told


def test_observations_that_one_pointing_does_not_reach_are_named(data):
    (near,) = xp.find_observations(data)
    far = evolve(near, obs_id="0000000202", dec_deg=near.dec_deg + 0.51)
    assert "; 0000000202 farther than 30 arcmin from there" in how_to_make(data, [near, far], [SOFT])
    assert "farther" not in how_to_make(data, [near, evolve(far, dec_deg=near.dec_deg + 0.49)], [SOFT])
