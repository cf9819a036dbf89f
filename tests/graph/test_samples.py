"""Samples: what targets share is planned once, and one product asks for its own steps only."""

from pathlib import Path

import astropy.units as u
import dask
import pytest

import xphotfn as xp
from xphotfn.records.observation import FoundFile

BANDS = (xp.energy_band("0.5 keV", "2 keV"), xp.energy_band("2 keV", "10 keV"))
CAMERAS = (("pn", "S003"), ("mos1", "S001"), ("mos2", "S002"))


def observation(number):
    def found(name):
        return FoundFile(path=f"/archive/{number:010d}/{name}", size=number, mtime_ns=number)

    exposures = [xp.Exposure(instrument=c, exposure_id=e, exposure_s=1e4, events=found(c)) for c, e in CAMERAS]
    where = {"ra_deg": 10.0 + 0.05 * number, "dec_deg": 20.0}
    return xp.Observation(
        obs_id=f"{number:010d}", exposures=exposures, attitude=found("att"), cif=found("cif"), **where
    )


def field(name, *numbers):
    members = [
        xp.FieldObservation(observation=o, region_grid=o.grid) for o in (observation(number) for number in numbers)
    ]
    target = xp.point_source(name, 10.1, 20.0, radius="30 arcsec")
    return xp.Field(target=target, members=members, centre_ra_deg=10.1, centre_dec_deg=20.0)


@pytest.fixture(scope="module")
def sample():
    return field("a", 1, 2), field("b", 2, 3), field("c", 1, 2)


def closure(plan, step):
    """Return a step with all that it waits for."""
    found, waiting = set(), [step]
    while waiting:
        one = waiting.pop()
        found.add(one)
        waiting += plan.step(one).needs
    return found


def test_what_targets_share_is_planned_once(sample):
    plan = xp.plan_photometry(sample, BANDS)
    tasks = [s.command.task for s in plan.steps]
    assert tasks.count("evselect") == tasks.count("eexpmap") == 3 * 3 * 2
    assert tasks.count("emosaic") == 2 * (2 * 2), "a and c have the same observations, so the same mosaics"
    alone = [xp.plan_photometry(one, BANDS) for one in sample]
    assert {s.id for s in plan.steps} == {s.id for p in alone for s in p.steps}
    assert list(plan.products) == [product for p in alone for product in p.products]


@pytest.mark.parametrize("which", [0, -1])
def test_one_product_pulls_in_its_own_steps_only(sample, which, tmp_path):
    plan = xp.plan_photometry(sample, BANDS)
    delayed = xp.to_delayed(plan, engine=xp.native_engine(), store=tmp_path / "s")
    mosaics = [p.step for p in plan.products if p.obs_id == "combined"]
    wanted = closure(plan, mosaics[which])
    assert 1 < len(wanted) < len(plan.steps)
    (culled,) = dask.optimize(delayed[mosaics[which]])
    assert set(culled.__dask_graph__()) == {delayed[step].key for step in wanted}


def test_only_what_is_asked_for_is_made(tree, tmp_path):
    target = xp.extended_source("a", 10.005, 20.0, radius="1 arcmin")
    plan = xp.plan_photometry(xp.match_observations(target, xp.find_observations(tree)), BANDS[:1])
    delayed = xp.to_delayed(plan, engine=xp.native_engine(), store=tmp_path / "s")
    made = delayed[plan.steps[-1].id].compute(scheduler="synchronous")
    assert len(plan.steps) == 2
    assert [Path(o.path).parent for o in made.outputs] == list((tmp_path / "s" / "products").glob("*/*"))


def test_commands_of_a_sample_share_equal_parameters(sample):
    pairs = [pair for step in xp.plan_photometry(sample, BANDS).steps for pair in step.command.parameters]
    assert len({id(pair) for pair in pairs}) == len(set(pairs)) < len(pairs) / 3


def test_two_targets_of_one_name_are_refused(sample):
    with pytest.raises(xp.PlanError, match="several fields are called a: give each target a name of its own"):
        xp.plan_photometry((sample[0], sample[1], sample[0]), BANDS)


def test_a_field_names_the_nearest_of_what_it_leaves_out():
    pool = [observation(number) for number in range(1, 201)]
    target = xp.point_source("a", 10.0, 20.0, radius="30 arcsec")
    found = xp.match_observations(target, pool[::-1])
    from astropy.coordinates import SkyCoord

    away = [SkyCoord(10, 20, unit="deg").separation(SkyCoord(o.ra_deg, o.dec_deg, unit="deg")).arcmin for o in pool]
    near = [o.obs_id for o, d in zip(pool, away, strict=True) if d <= 30]
    assert [m.obs_id for m in found.members] == near
    assert [m.separation_arcmin for m in found.members] == pytest.approx(away[: len(near)])
    assert [note.obs_id for note in found.left_out] == [o.obs_id for o in pool[len(near) : len(near) + 50]]
    with pytest.raises(xp.PlanError, match="the nearest of 200 is 0000000001 at 2.8 arcmin"):
        xp.match_observations(target, pool, within=2 * u.arcmin)
