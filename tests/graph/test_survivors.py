"""Mosaics of what is there, after a run in which something failed."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve, frozen

import xphotfn as xp
from xphotfn.records.observation import FoundFile


@frozen(kw_only=True)
class CopyingEngine:
    """Gives the found images and exposure maps of ``tree`` as if they were made now; what is in ``bad`` fails."""

    tree: str
    bad: tuple[str, ...] = ()
    identity: str = "copying"

    def execute(self, command, folder):
        name = command.outputs[0]
        if any(word in name for word in self.bad):
            raise xp.CommandFailed(command.argv, "the disk melted")
        if command.task == "emosaic":
            return xp.native_engine().execute(command, folder)
        obs_id, camera, *_, kind = name.removesuffix(".fits").split("_")
        (folder / name).write_bytes(Path(self.tree, f"{obs_id}_{camera}_{kind}.fits").read_bytes())
        return ""


@pytest.fixture
def made_field(field, tree):
    """The field without its images: they have to be made of event lists."""
    path = tree / "events"
    path.write_text("events")
    stat = path.stat()
    file = FoundFile(path=str(path), size=stat.st_size, mtime_ns=stat.st_mtime_ns)

    def without(exposure):
        return evolve(exposure, events=file, products=())

    members = []
    for member in field.members:
        observation = member.observation
        observation = evolve(
            observation, attitude=file, cif=file, exposures=[without(e) for e in observation.exposures]
        )
        members.append(evolve(member, observation=observation))
    return evolve(field, members=members)


def test_mosaics_hold_what_is_there(made_field, field, tree, band, tmp_path):
    plan = xp.plan_photometry(made_field, band, reference="0000000202", flares="keep")
    bad = ("0000000202_pn_S003_500-2000_img", "0000000101_mos1_S001_500-2000_expmap")
    first = xp.run(plan, engine=CopyingEngine(tree=str(tree), bad=bad), store=tmp_path / "s", progress=False)
    assert (len(first.failed), len(first.skipped)) == (2, 3)
    again = xp.surviving_plan(first)
    mosaics = [s for s in again.steps if s.command.task == "emosaic"]
    assert [len(s.inputs) for s in mosaics] == [4, 4]
    assert {s.id for s in mosaics}.isdisjoint(s.id for s in plan.steps)
    assert {o for s in mosaics for o in s.command.outputs}.isdisjoint(o for s in plan.steps for o in s.command.outputs)
    assert mosaics[0].command.inputs[0].startswith("0000000202"), "the grid is that of the same observation"
    note = next(note for note in again.notes if "the mosaic is without" in note)
    for lost in ("0000000101 mos1 S001 exposure_map", "0000000202 pn S003 image", "0000000202 pn S003 exposure_map"):
        assert lost in note
    assert note.count("000000") == 3
    run = xp.raise_for_failures(
        xp.run(again, engine=CopyingEngine(tree=str(tree), bad=bad), store=tmp_path / "s", progress=False)
    )
    assert [d.cached for d in run.done].count(False) == 2
    combined = xp.combined_rate_map(run)
    kept = [(o, c) for o in ("0000000101", "0000000202") for c in ("pn", "mos1", "mos2")]
    kept = [pair for pair in kept if pair not in {("0000000202", "pn"), ("0000000101", "mos1")}]
    total = sum(float(fits.getdata(tree / f"{o}_{c}_img.fits").sum()) for o, c in kept)
    assert combined.image.data.sum() == pytest.approx(total, rel=0.1)
    assert float(np.max(combined.exposure.data)) == 4 * 500
    assert len(xp.rate_maps(run)) == 4


def test_where_nothing_failed_the_steps_are_those_of_the_run(made_field, tree, band, tmp_path):
    plan = xp.plan_photometry(made_field, band, flares="keep")
    run = xp.run(plan, engine=CopyingEngine(tree=str(tree)), store=tmp_path / "s", progress=False)
    again = xp.surviving_plan(run)
    assert again.steps == plan.steps
    assert again.notes == plan.notes


def test_a_field_of_which_nothing_is_left_is_said_and_sinks_no_other(made_field, tree, band, tmp_path):
    other = evolve(made_field, target=evolve(made_field.target, name="other"), members=made_field.members[:1])
    plan = xp.plan_photometry([made_field, other], band, flares="keep")
    run = xp.run(plan, engine=CopyingEngine(tree=str(tree), bad=("0000000101",)), store=tmp_path / "s", progress=False)
    again = xp.surviving_plan(run)
    assert [len(s.inputs) for s in again.steps if s.command.task == "emosaic"] == [3, 3]
    assert any("no mosaic can be made: other, 0.5-2 keV: no exposure has both" in note for note in again.notes)
    assert {p.field_name for p in again.products if p.obs_id == "combined"} == {"toy"}
