"""A plan in parts, for jobs that know nothing of each other: together they make what the whole makes, once."""

import json
import threading

import pytest
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.graph.joined_runs import join_runs
from xphotfn.graph.plan import Plan
from xphotfn.graph.shares import joint_plan, part_of
from xphotfn.testing.strategies import plans


@settings(max_examples=25)
@given(plan=plans(), count=st.integers(1, 5))
def test_parts_share_no_step_and_with_what_joins_them_are_the_whole(plan, count):
    parts = [part_of(plan, (n, count)) for n in range(1, count + 1)]
    steps = [s.id for part in parts for s in part.steps]
    assert len(steps) == len(set(steps)), "a step is made twice"
    joint = joint_plan(plan, count, lambda _leading: set(steps))
    assert {*steps, *(s.id for s in joint.steps)} == {s.id for s in plan.steps}
    held = [p for part in (*parts, joint) for p in part.products]
    assert sorted(map(repr, held)) == sorted(map(repr, plan.products))
    for part in parts:
        sizes = {p.obs_id for p in part.products} - {"combined"}
        assert all(o not in {p.obs_id for p in other.products} for o in sizes for other in parts if other is not part)


def test_what_joins_parts_waits_for_all_that_it_needs(two_observations):
    first, second = (part_of(two_observations, (n, 2)) for n in (1, 2))
    assert [len(first.steps), len(second.steps)] == [3, 3], "each observation with its own mosaic"
    steps = two_observations.steps
    assert joint_plan(two_observations, 2, lambda _: {s.id for s in first.steps}).steps == ()
    assert joint_plan(two_observations, 2, lambda _: {s.id for s in steps[:6]}).steps == steps


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_parts_in_any_order_make_what_the_whole_makes(plan, tmp_path, order):
    engine = xp.native_engine()
    whole = xp.run(plan, engine=engine, store=tmp_path / "whole", progress=False)
    runs = [xp.run(plan, engine=engine, store=tmp_path / "s", progress=False, part=(n, 3)) for n in order]
    assert sum(1 for run in runs for d in run.done if not d.cached) == len(plan.steps), "something was made twice"
    joined = join_runs(xp.runs(tmp_path / "s"))
    assert {o.digest for d in joined.done for o in d.outputs} == {o.digest for d in whole.done for o in d.outputs}
    assert {(m.obs_id, m.instrument) for m in xp.rate_maps(joined)} == {
        (m.obs_id, m.instrument) for m in xp.rate_maps(whole)
    }
    assert (xp.combined_rate_map(joined).data == xp.combined_rate_map(whole).data).all()
    again = xp.run(plan, engine=engine, store=tmp_path / "s", progress=False)
    assert all(d.cached for d in again.done)
    assert len(again.done) == len(plan.steps)


def test_the_part_that_ends_last_makes_what_joins_them(two_observations, scripted, tmp_path):
    engine = scripted('echo $number >> "$NOTES/calls"')
    threads = [
        threading.Thread(
            target=xp.run,
            args=(two_observations,),
            kwargs={"engine": engine, "store": tmp_path / "s", "progress": False, "part": (n, 2)},
        )
        for n in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    calls = (tmp_path / "calls").read_text().split()
    assert set(calls) == {f"{n:04d}" for n in range(7)}
    assert all(calls.count(f"{n:04d}") == 1 for n in range(6))
    run = xp.run(two_observations, engine=engine, store=tmp_path / "s", progress=False)
    assert [d.cached for d in run.done] == [True] * 7


def test_what_failed_in_a_part_is_said_by_the_whole(two_observations, scripted, tmp_path):
    engine = scripted('[ "$number" != 0002 ] || exit 7')
    how = {"engine": engine, "store": tmp_path / "s", "progress": False}
    first, second = (xp.run(two_observations, part=(n, 2), **how) for n in (1, 2))
    assert (len(first.done), len(first.failed)) == (3, 0)
    assert (len(second.done), len(second.failed), len(second.skipped)) == (1, 1, 1)
    whole = xp.run(two_observations, **how)
    assert (len(whole.done), len(whole.failed), len(whole.skipped)) == (4, 1, 2)


@pytest.mark.parametrize("part", [(0, 2), (3, 2), (1, 0), (1.0, 2), "1/2", (1,)])
def test_a_part_is_one_of_so_many(tmp_path, part):
    with pytest.raises(xp.errors.InvalidRecord, match="for the third of a hundred"):
        xp.run(Plan(), engine=xp.native_engine(), store=tmp_path, part=part)


def test_parts_from_a_shell(tree, tmp_path):
    """Each job plans for itself: their parts are those of one plan."""
    words = ["run", str(tree), "--ra", "10", "--dec", "20", "--store", str(tmp_path / "s"), "--json", "--quiet"]
    found = []
    for part in ("1/2", "2/2"):
        got = CliRunner().invoke(main, [*words, "--part", part])
        assert got.exit_code == 0, got.output
        found.append([r["product"] for r in json.loads(got.stdout)["steps"]])
    assert [len(products) for products in found] == [1, 1]
    assert found[0] != found[1]
    wrong = CliRunner().invoke(main, [*words, "--part", "3/2"])
    assert wrong.exit_code != 0
    assert "give 3/100 for the third" in wrong.stderr
