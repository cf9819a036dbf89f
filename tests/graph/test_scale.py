"""What a sample costs: work that grows as the sample does, in calls of functions, which no busy machine changes."""

import sys
from types import SimpleNamespace

import pytest

import xphotfn as xp
from xphotfn.graph import maps
from xphotfn.records.observation import FoundFile
from xphotfn.records.outcome import Done, Failed, Output

BAND = xp.energy_band("0.5 keV", "2 keV")


def field_of(number):
    """Return a target with one observation of two cameras that has event lists, attitude and calibration index."""
    obs_id, ra = f"{number:010d}", number * 0.03 % 360

    def found(name):
        return FoundFile(path=f"/archive/{obs_id}/{name}", size=10**6 + number, mtime_ns=10**18 + number)

    exposures = [
        xp.Exposure(instrument=camera, exposure_id=exposure, exposure_s=1e4, events=found(f"{camera}.fits"))
        for camera, exposure in (("pn", "S003"), ("mos1", "S001"))
    ]
    observation = xp.Observation(
        obs_id=obs_id, ra_deg=ra, dec_deg=0.0, exposures=exposures, attitude=found("att.fits"), cif=found("ccf.cif")
    )
    target = xp.point_source(f"target {obs_id}", ra, 0.0, radius="30 arcsec")
    member = xp.FieldObservation(observation=observation, region_grid=observation.grid)
    return xp.Field(target=target, members=[member], centre_ra_deg=ra, centre_dec_deg=0.0)


def run_of(count):
    """Return a run as if it had been run: of each target the first image failed."""
    plan = xp.plan_photometry([field_of(n) for n in range(1, count + 1)], BAND, flares="keep")
    outcomes = []
    for step in plan.steps:
        name = step.command.outputs[0]
        if "_mos1_" in name and name.endswith("_expmap.fits"):
            outcomes.append(Failed(step=step.id, reason="the disk melted"))
        else:
            outputs = [Output(name=o, path=f"/store/{o}", digest="d") for o in step.command.outputs]
            outcomes.append(Done(step=step.id, key="0", outputs=outputs))
    return xp.Run(plan=plan, outcomes=outcomes, store="/store", engine="none")


def calls_of(function, *arguments):
    """Return how many functions are called, and what comes of it."""
    count = 0

    def see(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        result = function(*arguments)
    finally:
        sys.setprofile(None)
    return count, result


@pytest.fixture
def no_files(monkeypatch):
    """Maps are what they are called: the files of these runs are nowhere."""
    grid = xp.PixelGrid.from_sky_range(10.0, 20.0, low=22000, high=22000 + 64 * 80 - 1, bin_size=80)
    monkeypatch.setattr(maps, "_grid", lambda _path: grid)
    for name in ("joined", "joined_mosaic"):
        monkeypatch.setattr(
            maps, name, lambda image, *_others: SimpleNamespace(is_mosaic=image.is_mosaic, of=image.target)
        )


def each_mosaic(run):
    return [xp.combined_rate_map(run, target=field.name) for field in run.plan.fields]


@pytest.mark.usefixtures("no_files")
@pytest.mark.parametrize(
    ("function", "gives"),
    [
        (xp.surviving_plan, lambda plan: len(plan.steps)),
        (each_mosaic, len),
        (xp.rate_maps, len),
        (xp.maps_by_field, len),
    ],
)
def test_twice_the_sample_is_twice_the_work(function, gives):
    few, many = run_of(20), run_of(160)
    calls_of(function, run_of(2))  # imports
    (small, first), (large, second) = calls_of(function, few), calls_of(function, many)
    assert gives(second) == 8 * gives(first) > 0
    assert large <= small * 8**1.1


@pytest.mark.usefixtures("no_files")
def test_maps_by_field_are_those_that_are_asked_for_one_by_one():
    run = run_of(3)
    found = xp.maps_by_field(run)
    assert list(found) == [field.name for field in run.plan.fields]
    for name, of_field in found.items():
        assert [m.of for m in of_field] == [name, name]
        assert of_field == (*xp.rate_maps(run, target=name), xp.combined_rate_map(run, target=name))
    with pytest.raises(xp.ProductMissing, match="no field 'none'"):
        xp.rate_maps(run, target="none")
