"""Several runs of one store as one."""

from pathlib import Path

import astropy.units as u
import pytest
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.graph.joined_runs import join_runs
from xphotfn.simulate.observing import simulate_observations
from xphotfn.simulate.scene import default_scene
from xphotfn.testing.examples import example_field

BANDS = (xp.energy_band(0.5 * u.keV, 2 * u.keV),)


@pytest.fixture
def field_named():
    def named(name):
        field = example_field()
        return evolve(field, target=evolve(field.target, name=name))

    return named


def run_of(field, store, recipe=xp.plan_mosaics):
    plan = recipe(field, BANDS)
    return xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=store, progress=False))


def test_targets_measured_one_at_a_time_are_one_sample(field_named, tmp_path):
    names = ["A1", "B2", "C3"]
    for name in names:
        run_of(field_named(name), tmp_path / "s")
    whole = join_runs(xp.runs(tmp_path / "s"))
    assert [f.name for f in whole.plan.fields] == names
    assert {m.target for m in xp.rate_maps(whole)} == set(names)
    assert len(whole.done) == len(whole.plan.steps) == 2, "they share their mosaics"
    assert whole == join_runs([whole])


def test_a_step_that_is_done_in_one_run_is_done(field_named, tmp_path):
    done = run_of(field_named("A1"), tmp_path / "s")
    failed = evolve(done, outcomes=[xp.Failed(step=s.id, reason="no disk") for s in done.plan.steps])
    assert join_runs([failed, done]).done == done.done
    assert join_runs([done, failed]).done == done.done


def test_the_last_of_two_fields_of_one_name_counts_and_is_said(field_named, tmp_path):
    first = run_of(field_named("A1"), tmp_path / "s")
    moved = xp.with_centre(field_named("A1"), [52.3, -33.7] * u.deg)
    second = run_of(moved, tmp_path / "s")
    whole = join_runs([second, first])
    assert whole.plan.fields == (moved,)
    assert whole.notes == (
        "A1 was run before with another place or properties (two targets need two names): its last run counts",
    )
    regions = evolve(moved, members=[evolve(moved.members[0], interlopers=())])
    again = join_runs([evolve(second, plan=evolve(second.plan, fields=[regions])), second])
    assert again.notes[0].startswith("A1 was run before with other regions or files: its last run counts")


def test_engines_are_not_mixed_and_other_stores_are_refused(field_named, tmp_path):
    run = run_of(field_named("A1"), tmp_path / "s")
    other = evolve(run_of(field_named("B2"), tmp_path / "s"), engine="sas-21.0.0")
    whole = join_runs([run, other])
    assert [f.name for f in whole.plan.fields] == ["A1"]
    assert "runs of sas-21.0.0 are left out" in whole.notes[0]
    with pytest.raises(xp.InvalidRecord, match="several stores"):
        join_runs([run, evolve(other, store="/elsewhere")])
    with pytest.raises(xp.ProductMissing, match="holds no run"):
        join_runs([])


def test_products_that_were_made_in_two_ways_are_not_one(tmp_path, simulated_list):
    """A store with a cut image and a whole one: which of them a number is of would not be said."""
    store, field = tmp_path / "s", simulated_list
    whole = xp.run(xp.plan_images(field, BANDS, flares="keep"), engine=xp.native_engine(), store=store, progress=False)
    first = xp.raise_for_failures(whole)
    cut = xp.plan_images(field, BANDS, selection="PI in [500:2000] && RAWX > 100 && FLAG == 0 && PATTERN <= 4")
    second = xp.raise_for_failures(xp.run(cut, engine=xp.native_engine(), store=store, progress=False))
    with pytest.raises(xp.InvalidRecord, match=f"the runs {second.plan.id[:8]}, {first.plan.id[:8]} have the image of"):
        join_runs(xp.runs(store))
    assert join_runs([first, first]).plan.products == first.plan.products
    refused = call("photometry", store, "--ra", "52.31", "--dec", "-33.72", "--radius", "1arcmin")
    assert refused.exit_code == 1
    assert "--run" in refused.stderr


@pytest.fixture(scope="module")
def simulated_list(tmp_path_factory):
    """One short exposure of MOS1 as an event list."""
    scene = default_scene()
    pointing = scene.pointings[0]
    camera = evolve(pointing.exposures[1], ontime_s=300.0)
    root = tmp_path_factory.mktemp("lists")
    simulate_observations(
        root, scene=evolve(scene, pointings=[evolve(pointing, exposures=[camera])]), products="events"
    )
    return xp.bulk_field(xp.find_observations(root))


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def test_the_command_line_lists_shows_and_chooses_runs(field_named, tmp_path):
    store = tmp_path / "s"
    runs = [run_of(field_named(name), store) for name in ("A1", "B2")]
    listed = call("runs", store)
    assert [line.split("\t")[2] for line in listed.stdout.splitlines()[1:]] == ["B2", "A1"]
    call("report", store, "-o", tmp_path / "all", "-q", "--region", "1arcmin")
    pages = (tmp_path / "all" / "index.html").read_text()
    assert "A1" in pages
    assert "B2" in pages
    chosen = call("report", store, "-o", tmp_path / "one", "-q", "--region", "1arcmin", "--run", runs[0].plan.id[:12])
    assert chosen.exit_code == 0
    assert "B2" not in (tmp_path / "one" / "index.html").read_text()
    unknown = call("report", store, "-o", tmp_path / "none", "--run", "zz")
    assert unknown.exit_code == 1
    assert f"choose one of {runs[1].plan.id[:8]}, {runs[0].plan.id[:8]}" in unknown.stderr


def test_only_the_maps_that_are_asked_for_must_be_whole(simulated_list, tmp_path):
    """A damaged map of another band costs nothing; of its own band it is told, as a mosaic's member too."""
    store, hard = tmp_path / "s", xp.energy_band("2 keV", "4.5 keV")
    at = ("--ra", "52.31", "--dec", "-33.72", "--radius", "1arcmin")
    target = xp.galaxy_cluster("toy", 52.31, -33.72, redshift=0.1, r500=200 * u.kpc)
    field = xp.match_observations(target, [member.observation for member in simulated_list.members])
    plan = xp.plan_mosaics(field, (*BANDS, hard), flares="keep")
    run = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=store, progress=False))
    path = Path(next(p for i, p, _ in run.products() if i.kind == "image" and i.band == hard and not i.is_mosaic))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    picture = ("view", store, "-o", tmp_path / "a.png", "--band")
    for words, whole in (
        (("photometry", store, *at, "--band", "0.5-2keV"), True),
        (("photometry", store, *at, "--band", "2-4.5keV"), False),
        ((*picture, "0.5-2keV"), True),
        ((*picture, "2-4.5keV"), False),  # the mosaic asks its members where they were cut
        ((*picture, "2-4.5keV", "--instrument", "mos1"), False),
    ):
        result = call(*words)
        assert result.exit_code == (0 if whole else 1), result.stderr
        assert (f"{path}: is not what was published" in result.stderr) != whole
    both = call("view", store, "-o", tmp_path / "x.png")
    assert "choose with --band (0.5-2 keV, 2-4.5 keV)" in both.stderr
    strange = call("view", store, "-o", tmp_path / "x.png", "--band", "2-4.5keV", "--target", "elsewhere")
    assert "--target (toy)" in strange.stderr
