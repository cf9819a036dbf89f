"""The rate of a cluster through real exposure maps is the truth, in any circle, single and joint, at any counts."""

import runpy
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.errors import InvalidRecord
from xphotfn.measure.photometry.apertures import ApertureFlag
from xphotfn.science.coords import pix_to_deg
from xphotfn.testing.examples import example_field, example_rate_map

RADII = [1, 2, 4, 6] * u.arcmin


@pytest.fixture(scope="module")
def bench(project_root):
    """The functions of the benchmark, which says the same of many draws."""
    return SimpleNamespace(**runpy.run_path(str(project_root / "benchmarks" / "extended_light.py")))


@pytest.fixture(scope="module")
def exposures(data_root, bench):
    return bench.real_exposures(data_root / "a907")


@pytest.fixture(scope="module")
def drawn(exposures, bench, tmp_path_factory):
    """A bright draw: the error of 400,000 counts is a sixth of a per cent."""
    folder = tmp_path_factory.mktemp("cluster")
    return bench.cluster_maps(folder, exposures, np.random.default_rng(5), counts=400_000, background=20_000)


@pytest.fixture(scope="module")
def table(drawn, bench):
    maps, truth = drawn
    places = u.Quantity([bench.CENTRE] * len(RADII), u.deg)
    found = xp.photometry(maps, places, RADII, background=(8 * u.arcmin, 10 * u.arcmin))
    return found, np.array([truth(r) for r in RADII.value])


def test_every_camera_and_radius(table, bench):
    found, truth = table
    for camera in bench.CAMERAS:
        rows = found[found["instrument"] == camera]
        assert rows["rate"].value / (truth * bench.RESPONSE[camera]) == pytest.approx(1, abs=0.01)
        inside = (rows["rate_low"] <= rows["rate"]) & (rows["rate"] <= rows["rate_high"])
        assert np.all(inside)
        flat = rows["net_counts"] / rows["exposure_mean"]
        assert (flat / rows["rate"])[3] > 1.1  # what the mean exposure makes of it
        assert np.all(rows["flags"][2:] & ApertureFlag.UNEVEN)
    assert set(found["rate_of"]) == {"aperture"}
    assert (found["rate"] * found["effective_exposure"] / found["net_counts"]).value == pytest.approx(1, abs=1e-3)


def test_all_cameras_together(table, bench):
    found, truth = table
    joint = xp.joint_photometry(found, response=bench.RESPONSE)
    assert joint["rate"].value / truth == pytest.approx(1, abs=0.01)
    assert np.all(joint["consistency"] > 1e-3)
    assert not np.any(joint["flags"])


def test_a_curve_of_growth_needs_no_fine_radii(table, drawn, bench):
    """One radius alone, and two maps together, give what photometry gives and the truth is."""
    _, truth = table
    maps, _ = drawn
    field = example_field()
    how = {"background": [8, 10] * u.arcmin, "centre": bench.CENTRE * u.deg, "remove_interlopers": False}
    for number, radius in enumerate(RADII):
        grown = xp.curve_of_growth(maps[0], field, radius[None], **how)
        assert grown["rate"].value == pytest.approx(truth[number], rel=0.01)
        own = xp.photometry(maps[0], bench.CENTRE * u.deg, radius, background=(8 * u.arcmin, 10 * u.arcmin))
        assert grown["rate"].value == pytest.approx(own["rate"].value, rel=0.01)  # pi r^2, or pixels
        assert grown["rate_error"].value == pytest.approx((own["rate_high"] - own["rate_low"]).value / 2, rel=0.05)
    both = xp.curve_of_growth(maps[1:], field, RADII, **how)
    mean = (bench.RESPONSE["mos1"] + bench.RESPONSE["mos2"]) / 2
    assert both["rate"].value / truth / mean == pytest.approx(1, abs=0.015)


@pytest.mark.parametrize("overlap", ["centre", "exact"])
@pytest.mark.parametrize("light", ["rings", "flat"])
@pytest.mark.parametrize("counts", [3, 30, 3000])
def test_joint_of_one_row_is_the_row(exposures, bench, tmp_path, counts, light, overlap):
    """In whole circles and in circles of which little is live, limits and rates of both tables are one number."""
    seen = {"pn": exposures["pn"]}
    maps, _ = bench.cluster_maps(tmp_path, seen, np.random.default_rng(counts), counts=counts, background=2 * counts)
    grid = exposures["pn"][0]
    places = np.array([[256.0, 276.0], [12.0, 250.0], [20.0, 250.0], [200.0, 300.0], [60.0, 120.0]])
    where = u.Quantity(np.stack(pix_to_deg(grid, *places.T), axis=-1), u.deg)
    found = xp.photometry(
        maps, where, 80 * u.arcsec, background=(8 * u.arcmin, 20 * u.arcmin), light=light, overlap=overlap
    )
    joint = xp.joint_photometry(found)
    assert 0 < np.nanmin((found["live_area"] / found["area"]).value) < 0.4
    assert np.isfinite(found["upper_limit"]).sum() == 4
    for name in ("upper_limit", "rate_low", "rate_high"):
        assert np.allclose(joint[name].value, found[name].value, rtol=1e-6, atol=1e-12, equal_nan=True)
    rate = found["centre_rate" if overlap == "exact" else "rate"].value
    assert np.allclose(joint["rate"].value, rate, rtol=1e-6, atol=1e-12, equal_nan=True)
    assert np.allclose(joint["significance"], found["significance"], equal_nan=True)


def test_a_limit_grows_with_what_is_not_live(exposures, bench, tmp_path):
    """Without a count it is 3.0 over the exposure of the whole circle, in both tables."""
    grid = exposures["pn"][0]
    live = np.where(np.arange(grid.nx) < 256, 10_000.0, 0.0) * np.ones(grid.shape)
    [item], _ = bench.cluster_maps(
        tmp_path, {"pn": (grid, live)}, np.random.default_rng(1), counts=1e-9, background=1e-9
    )
    places = np.array([100.0, 256, 262, 267]), np.full(4, 250.0)
    where = u.Quantity(np.stack(pix_to_deg(grid, *places), axis=-1), u.deg)
    found = xp.photometry(item, where, 1 * u.arcmin, background=(1, 4))
    part = (found["live_area"] / found["area"]).value
    assert part[0] == 1
    assert 0.01 < part[3] < 0.06
    for table in (found, xp.joint_photometry(found)):
        assert table["upper_limit"].value * 10_000 * part == pytest.approx(-np.log(0.05), rel=1e-9)


def test_intervals_of_few_counts(exposures, bench):
    """The short form of the benchmark: pn, four arcminutes, ten counts over three."""
    [(inside, below, mean, error)] = bench.coverage(exposures["pn"], [(4.0, 10.0, 3.0, 0.3)], draws=1500)
    assert 0.66 - 0.03 < inside < 0.72 + 0.03
    assert 0.94 - 0.015 < below < 0.98 + 0.015
    assert abs(mean - 1) < 4 * error


def test_joint_intervals_of_few_counts(exposures, bench):
    """Nine maps, three counts in the first over three: each too few to say where the light lies."""
    [(inside, below, mean, error)] = bench.joint_coverage(exposures, [(4.0, 3.0, 3.0, 0.84)], maps=9, draws=1000)
    assert 0.66 - 0.03 < inside < 0.72 + 0.03
    assert 0.94 - 0.015 < below < 0.98 + 0.015
    assert abs(mean - 1) < 4 * error


def test_light_must_be_known_and_no_point():
    where = ([149.591375, -11.0887] * u.deg, 20 * u.arcsec)
    for wrong in ({"light": "even"}, {"light": "flat", "psf": "epic"}):
        with pytest.raises(InvalidRecord, match="light"):
            xp.photometry(example_rate_map(), *where, **wrong)
    metas = [
        xp.photometry(example_rate_map(), *where, **how).meta["LIGHT"]
        for how in ({}, {"light": "flat"}, {"psf": "epic"})
    ]
    assert metas == ["rings", "flat", "point"]
