"""The shipped strategies: one for every public record, values that are what they say, texts that our parser reads."""

import inspect

import attrs
import numpy as np
import pytest
from hypothesis import Phase, given, settings, strategies as st

import xphotfn as xp
from xphotfn.commands.selection import columns, expand_macros, file_specs, parse, to_text
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.errors import InvalidRecord
from xphotfn.testing import strategies as xst

FEW = settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
PUBLIC = sorted(name for name in xp.__all__ if attrs.has(getattr(xp, name)))
CAMERAS = ("pn", "mos1", "mos2")


def test_the_strategies_are_listed():
    made = {name for name, value in vars(xst).items() if inspect.isfunction(value)}
    assert set(xst.__all__) == made


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_record_has_a_strategy(name):
    """A new public record needs a line in ``testing/strategies/of_records.py``."""
    record = getattr(xp, name)

    @FEW
    @given(xst.records(record))
    def check(value):
        assert type(value) is record
        assert value == attrs.evolve(value)

    check()


def test_what_is_no_public_record_is_refused():
    for wrong in (int, attrs.Factory, "Band"):
        with pytest.raises(InvalidRecord, match="must be one of Band, "):
            xst.records(wrong)


@st.composite
def events(draw):
    """Columns of an event list as evselect sees them."""
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    size = draw(st.integers(0, 40))
    limits = {"X": 51_840, "Y": 51_840, "PI": 15_000, "RAWX": 600, "RAWY": 600, "PATTERN": 32, "CCDNR": 8}
    found = {name: random.integers(1, top, size) for name, top in limits.items()}
    return found | {"FLAG": random.integers(0, 2**30, size), "TIME": random.uniform(0, 1e9, size)}


@settings(max_examples=20)
@given(st.sampled_from(CAMERAS).flatmap(lambda c: st.tuples(st.just(c), xst.selections(instrument=c))), events())
def test_selections_filter_an_event_list(pair, given_events):
    """They are read, printed and read back, need no file, and choose among the rows of a list."""
    camera, text = pair
    macro = "XMMEA_EP" if camera == "pn" else "XMMEA_EM"
    tree = parse(text)
    assert parse(to_text(tree)) == tree
    assert not file_specs(to_text(tree))
    expanded = parse(expand_macros(text, {macro: "(FLAG & 0xcfa0000) == 0"}))
    assert set(columns(expanded)) <= set(given_events)
    chosen = evaluate(expanded, given_events)
    inside = parse(text.split(" && ")[0])
    assert chosen.shape == given_events["PI"].shape
    assert not np.any(chosen & ~evaluate(inside, given_events))


@FEW
@given(xst.runs())
def test_runs_have_one_outcome_for_each_step(run):
    assert [outcome.step for outcome in run.outcomes] == [step.id for step in run.plan.steps]
    assert len(run.table()) == len(run.plan.steps)
    lost = {outcome.step for outcome in (*run.failed, *run.skipped)}
    for step, outcome in zip(run.plan.steps, run.outcomes, strict=True):
        assert isinstance(outcome, xp.Skipped) == any(need in lost for need in step.needs)


@FEW
@given(xst.plan_diffs())
def test_differences_can_be_printed(diff):
    assert bool(str(diff))
