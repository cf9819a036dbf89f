"""The rate of a cluster through real exposure maps is the truth, in any circle, single and joint, at any counts."""

import runpy
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.errors import InvalidRecord
from xphotfn.measure.apertures import ApertureFlag
from xphotfn.testing.examples import example_rate_map

RADII = [1, 2, 4, 6] * u.arcmin


@pytest.fixture(scope="module")
def bench(project_root):
    """The functions of the benchmark, which says the same of many draws."""
    return SimpleNamespace(**runpy.run_path(str(project_root / "benchmarks" / "extended_light.py")))


@pytest.fixture(scope="module")
def exposures(data_root, bench):
    return bench.real_exposures(data_root / "a907")


@pytest.fixture(scope="module")
def table(exposures, bench, tmp_path_factory):
    """A bright draw: the error of 400,000 counts is a sixth of a per cent."""
    folder = tmp_path_factory.mktemp("cluster")
    maps, truth = bench.cluster_maps(folder, exposures, np.random.default_rng(5), counts=400_000, background=20_000)
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


def test_intervals_of_few_counts(exposures, bench):
    """The short form of the benchmark: pn, four arcminutes, ten counts over three."""
    [(inside, below, mean, error)] = bench.coverage(exposures["pn"], [(4.0, 10.0, 3.0, 0.3)], draws=1500)
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
