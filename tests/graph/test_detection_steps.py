"""Sources in a plan: one step for all cameras of an observation, whose products are those of any other step."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve

import xphotfn as xp
from xphotfn.commands import evselect_image, xdetect
from xphotfn.engines.native import versions as rules
from xphotfn.engines.sas import SasEngine
from xphotfn.errors import CommandFailed, InvalidRecord, PlanError, ProductMissing
from xphotfn.graph.plan import Plan
from xphotfn.io.fits import read_header
from xphotfn.io.headers import grid_of
from xphotfn.records.observation import FoundFile
from xphotfn.science.encircled_energy import EncircledEnergyTable
from xphotfn.store.kernel import Work, _key
from xphotfn.testing.examples import example_detection, example_field, example_rate_map

BAND = xp.Band(lo_ev=500, hi_ev=2000)
OTHER = xp.Band(lo_ev=2000, hi_ev=10000)


def run(plan, store, **options):
    return xp.run(plan, engine=xp.native_engine(), store=store, progress=False, **options)


@pytest.fixture(scope="module")
def done():
    return example_detection()


def product(run, kind):
    return next(path for p, path, _ in run.products() if p.kind == kind)


def test_the_list_is_that_of_the_maps_themselves(done):
    found = xp.source_lists(done)["0999990101"]
    (made,) = xp.rate_maps(done)
    grid = grid_of(read_header(made.path), made.path)  # as the file has it, with the digits that FITS keeps
    image, exposure = (evolve(p, grid=grid) for p in (made.image, made.exposure))
    direct = xp.detect_sources(xp.RateMap(image=image, exposure=exposure))
    assert tuple(found) == tuple(direct)  # to the last digit, through a file
    assert repr(tuple(found)) == repr(tuple(direct))
    assert found.target == "example"


def test_a_damaged_list_masks_nothing(done, tmp_path):
    copied = Path(shutil.copytree(done.store, tmp_path / "copy"))
    loaded = xp.load_run(copied)
    path = Path(product(loaded, "source_list"))
    content, stat = bytearray(path.read_bytes()), path.stat()
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    for ask in (xp.source_lists, xp.detected_field):
        with pytest.raises(xp.InvalidFile, match="is not what was published"):
            ask(loaded)


def test_regions_and_backgrounds_are_products_of_the_same_step(done):
    regions = xp.source_regions(xp.source_lists(done)["0999990101"])
    assert [r.colour for r in xp.read_regions(product(done, "regions"))] == [r.colour for r in regions]
    pair = example_rate_map()
    with fits.open(product(done, "background_map")) as hdus:
        background, header = hdus[0].data, hdus[0].header
    live = pair.exposure.data > 0
    assert background.shape == pair.data.shape
    assert not background[~live].any()
    assert background[live].mean() == pytest.approx(0.05, rel=0.015)  # what the example is drawn with
    assert (header["CONTENT"], header["BUNIT"], header["MLMIN"]) == ("BACKGROUND MAP", "ct", 10)
    searched = xp.source_lists(done)["0999990101"].maps[0]
    assert (header["BGVIG"], header["BGEXCL"]) == (pytest.approx(searched.vignetted), searched.excised_pix)


def test_the_field_takes_the_detected_regions(done):
    field = xp.detected_field(done)
    assert field.members[0].match.is_extended
    positions = [(s.x, s.y) for s in example_field().members[0].interlopers]
    kept = xp.interloper_mask(xp.rate_maps(done)[0], field)
    assert not any(kept[round(y), round(x)] for x, y in positions)
    assert kept.mean() > 0.95
    assert float(xp.snr(xp.rate_maps(done)[0], field, "r500")) == pytest.approx(
        float(xp.snr(xp.rate_maps(done)[0], example_field(), "r500")), rel=0.03
    )


def test_nothing_is_detected_twice_and_a_key_has_what_matters_in_it(done):
    again = run(xp.plan_detection(example_field(), BAND), done.store)
    assert all(outcome.cached for outcome in again.done)
    keys = {step.id for t in (10, 6) for step in xp.plan_detection(example_field(), BAND, threshold=t).steps}
    keys |= {step.id for step in xp.plan_detection(example_field(), BAND, extent=False).steps}
    assert len(keys) == 3
    assert xp.load_run(done.store).outputs().keys() >= again.outputs().keys()


def test_the_version_of_a_task_is_part_of_its_keys_and_of_no_others(done, monkeypatch):
    """So what an older search has made is made again, and what other tasks have made is not."""
    engine, made = xp.native_engine(), done.plan.steps[-1].command
    commands = (made, evselect_image("evts.fits", "img.fits", expression="true"))

    def keys():
        return [_key(Work(step="", command=command, found=(), made=()), engine, ()) for command in commands]

    assert made.task == "xdetect"
    assert engine.identity_of("xdetect") in Path(done.done[-1].log).read_text()
    search, image = keys()
    monkeypatch.setattr(rules, "VERSIONS", {"xdetect": rules.VERSIONS["xdetect"] + 1})
    assert keys()[0] != search
    assert keys()[1] == image
    assert engine.identity_of("evselect") == engine.identity


def test_settings_are_those_of_both_plans_and_part_of_the_key(tmp_path):
    """A point spread function of one's own goes through the text of a command and gives the list of the maps."""
    own = {"pn": EncircledEnergyTable(radii_arcsec=[4, 12, 30, 120], fractions=[0.25, 0.62, 0.85, 1.0])}
    search = xp.SourceSearch(threshold=30, extent=False, psf=own)
    of_photometry = xp.plan_photometry(example_field(), BAND, regions=search)
    plan = xp.plan_detection(example_field(), BAND, threshold=30, extent=False, psf=own)
    assert of_photometry.steps[-1] == plan.steps[-1]
    assert len({xp.plan_photometry(example_field(), BAND, regions=r).steps[-1].id
                for r in ("detect", xp.SourceSearch(), search, xp.SourceSearch(psf=own))}) == 3  # fmt: skip
    found = xp.source_lists(run(plan, tmp_path))["0999990101"]
    direct = xp.detect_sources(example_rate_map(), threshold=30, extent=False, psf=own)
    assert [s.number for s in found] == [s.number for s in direct]
    assert [s.det_ml for s in found] == pytest.approx([s.det_ml for s in direct], rel=1e-7)
    assert found[0].det_ml != pytest.approx(xp.detect_sources(example_rate_map(), extent=False)[0].det_ml, rel=1e-3)
    assert found.psf == direct.psf == "own: pn"
    with pytest.raises(InvalidRecord, match="psf has no entry for pn"):
        xp.plan_detection(example_field(), BAND, psf={"mos1": "epic"})
    for wrong in ("Detect", [], direct):
        with pytest.raises(PlanError, match='regions must be "detect", a SourceSearch'):
            xp.plan_photometry(example_field(), BAND, regions=wrong)


def test_one_step_for_each_observation_or_one_for_all(field):
    apart, joint = (xp.plan_detection(field, BAND, joint=joint) for joint in (False, True))
    found = [s for s in apart.steps if s.command.task == "xdetect"]
    assert [(s.obs_id, len(s.inputs)) for s in found] == [(obs_id, 6) for obs_id in field.obs_ids]
    (one,) = [s for s in joint.steps if s.command.task == "xdetect"]
    assert (one.obs_id, len(one.inputs)) == ("combined", 12)
    assert len({o for s in (*found, one) for o in s.command.outputs}) == 2 * (2 + 3) + 2 + 6


def test_what_does_not_go_is_said(done, tmp_path):
    with pytest.raises(PlanError, match='regions must be "detect"'):
        xp.plan_photometry(example_field(), BAND, regions="xapa")
    with pytest.raises(ProductMissing, match="no list of sources of example in 2-10 keV: use plan_detection"):
        xp.source_lists(done, band=OTHER)
    with pytest.raises(ProductMissing, match="has the fields example: name one"):
        xp.source_lists(done, target="A907")
    with pytest.raises(InvalidRecord, match="with a background map for each or none"):
        xdetect({"a.fits": "c.fits", "b.fits": "d.fits"}, "list.fits", backgroundsets=["e.fits"])
    with pytest.raises(CommandFailed, match="of the native engine alone.*run the plan with native_engine"):
        SasEngine(version="20.0.0").execute(xdetect({"a.fits": "b.fits"}, "list.fits"), tmp_path)


def test_a_map_without_counts_fails_as_a_value(tmp_path):
    plan = xp.plan_detection(example_field(), BAND)
    empty = tmp_path / "empty.fits"
    with fits.open(example_rate_map().path) as hdus:
        hdus[0].data = np.zeros_like(hdus[0].data)
        hdus.writeto(empty)
    stat = empty.stat()
    found = FoundFile(path=str(empty), size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    step = plan.steps[0]
    step = evolve(step, inputs=[evolve(step.inputs[0], file=found), *step.inputs[1:]])
    failed = run(Plan(steps=[step], fields=plan.fields), tmp_path / "store").failed
    assert "has no count" in failed[0].reason
