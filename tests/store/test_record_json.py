"""Records survive the way to JSON and back."""

import json

import pytest
from hypothesis import given, settings, strategies as st

import xphotfn as xp
from xphotfn.store.record_json import from_plain, to_plain
from xphotfn.testing import strategies as xst
from xphotfn.testing.examples import example_run

RECORDS = st.one_of(
    xst.bands(),
    xst.targets(),
    xst.grids(),
    xst.regions(),
    xst.observations(),
    xst.fields(),
    xst.measurements(),
    xst.commands(),
)


@given(RECORDS)
def test_round_trip(record):
    assert from_plain(json.loads(json.dumps(to_plain(record)))) == record


def test_a_run_comes_back():
    run = example_run()
    again = from_plain(json.loads(json.dumps(to_plain(run))))
    assert again == run
    assert hash(again) == hash(run)


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "xphotfn.records.band:energy_band",
        "xphotfn:run",
        "xphotfn.cli:main",
        "xphotfn.records.nothing:Nothing",
        "",
        "builtins:eval",
        "xphotfn.records.band:Stone",
    ],
)
def test_only_records_of_ours_are_made(name):
    with pytest.raises(xp.InvalidRecord):
        from_plain({"#": name})


def test_what_is_no_record_is_refused():
    with pytest.raises(xp.InvalidRecord, match="cannot be kept as JSON"):
        to_plain(object())


@given(xst.steps())
@settings(max_examples=10)
def test_steps_of_stores_of_version_0_1_0_are_read(step):
    """Step and StepInput stood in graph.plan then."""
    text = json.dumps(to_plain(step)).replace("xphotfn.commands.step:", "xphotfn.graph.plan:")
    assert "xphotfn.graph.plan:Step" in text
    assert from_plain(json.loads(text)) == step
