"""What a region is: one function reads it, for every measurement."""

import ast
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from attrs import evolve

import xphotfn
import xphotfn as xp
from xphotfn.measure.aperture import REGIONS, aperture_of, default_region, region_of, region_words, shape_of
from xphotfn.testing import example_field, example_rate_map

FIELD = example_field()
POINT = evolve(FIELD, target=xp.point_source("p", FIELD.target.ra_deg, FIELD.target.dec_deg, radius=40 * u.arcsec))


@pytest.mark.parametrize(
    ("field", "region", "name", "arcsec", "label"),
    [
        (FIELD, 90 * u.arcsec, "", 90.0, "90 arcsec"),
        (FIELD, "1.5 arcmin", "", 90.0, "1.5 arcmin"),
        (FIELD, 0.025 * u.deg, "", 90.0, "0.025 deg"),
        (POINT, "point", "point", 40.0, "radius = 40 arcsec"),
        (FIELD, "r500", "r500", 421.5159, "R500 = 1200 kpc"),  # of Planck15 at z = 0.16: 2.8469 kpc/arcsec
        (FIELD, 1200 * u.kpc, "", 421.5159, "1200 kpc"),
        (FIELD, "region", "region", None, "matched region"),
    ],
)
def test_each_form_of_a_region(field, region, name, arcsec, label):
    found = aperture_of(field, region)
    assert (found.name, found.label) == (name, label)
    assert found.radius_deg == (None if arcsec is None else pytest.approx(arcsec / 3600, rel=1e-6))
    assert aperture_of(field, found) is found
    assert hash(found) == hash(aperture_of(field, region))


def test_a_region_and_its_aperture_are_measured_alike():
    rate_map = example_rate_map()
    for method in ("mid-p", "xga"):
        for region in ("r500", "75 arcsec", 75 * u.arcsec):
            aperture = aperture_of(FIELD, region)
            assert xp.snr(rate_map, FIELD, region, method=method) == xp.snr(rate_map, FIELD, aperture, method=method)
            for one, other in zip(xp.mask(rate_map, FIELD, region), xp.mask(rate_map, FIELD, aperture), strict=True):
                assert np.array_equal(one, other)


def test_what_is_measured_where_nothing_is_asked_for():
    assert default_region(FIELD) == "r500"
    assert default_region(POINT) == "point"
    target = xp.galaxy_cluster("c", 10.0, 10.0, redshift=0.1, r2500=300 * u.kpc, r200=1 * u.Mpc)
    assert default_region(evolve(FIELD, target=target)) == "r200"
    assert default_region(evolve(FIELD, target=xp.galaxy_cluster("c", 10.0, 10.0, redshift=0.1))) == "region"


def test_regions_are_called_by_their_names_whatever_the_target():
    assert [region_words(name) for name in REGIONS] == ["R500", "R200", "R2500", "radius", "matched region"]
    assert region_words(region_of("30 arcsec")) == "30 arcsec"


@pytest.mark.parametrize(
    ("region", "error"),
    [("r5000", xp.InvalidRecord), ("r2500", xp.ProductMissing), (0 * u.deg, xp.InvalidRecord), (3, xp.UnitMismatch)],
)
def test_what_is_no_region_is_no_bound_of_a_search_either(region, error):
    with pytest.raises(error):
        aperture_of(FIELD, region)
    with pytest.raises(error):
        xp.find_centre(example_rate_map(), FIELD, region=region)


def test_the_matched_region_has_a_centre_of_its_own_and_belongs_to_one_observation():
    grid = example_rate_map().grid
    matched = aperture_of(FIELD, "region")
    with pytest.raises(xp.InvalidRecord, match="has its own centre"):
        shape_of(matched, FIELD, grid, FIELD.obs_ids[0], FIELD.centre)
    with pytest.raises(xp.ProductMissing, match="each observation has its own"):
        shape_of(matched, FIELD, grid, "combined")


def test_the_names_of_the_radii_stand_in_one_place():
    root = Path(xphotfn.__file__).parent
    where = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "r2500" in (text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and node.value == "r2500"
    }
    assert where == {"records/target.py"}
