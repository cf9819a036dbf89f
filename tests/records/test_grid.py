"""Pixel grids: the default one, how they differ, and what is refused."""

import math

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.errors import InvalidRecord, XphotfnError
from xphotfn.records.grid import PixelGrid
from xphotfn.testing.strategies import grids

DEFAULT = PixelGrid.from_sky_range(149.591375, -11.0887222222222)
NUMBERS = ("crpix1", "crpix2", "ra_deg", "dec_deg", "cdelt1_deg", "cdelt2_deg")


def test_default_grid_is_that_of_the_xmm_cluster_survey():
    """X and Y from 3649 to 48106 in bins of 87: 512 x 512 pixels of 4.35 arcsec."""
    assert DEFAULT.shape == (512, 512)
    assert DEFAULT.pixel_deg * 3600 == pytest.approx(4.35)
    assert DEFAULT.cdelt1_deg < 0 < DEFAULT.cdelt2_deg
    assert (DEFAULT.x0_sky, DEFAULT.y0_sky) == (3692.0, 3692.0)
    assert DEFAULT.has_sky
    assert not attrs.evolve(DEFAULT, x0_sky=None, y0_sky=None).has_sky


def test_other_ranges_and_bins():
    grid = PixelGrid.from_sky_range(10.0, 20.0, low=1, high=51840, bin_size=80)
    assert grid.shape == (648, 648)
    assert grid.pixel_deg * 3600 == pytest.approx(4.0)
    assert grid.x0_sky == 40.5


@pytest.mark.parametrize("name", ["nx", "ny"])
@pytest.mark.parametrize("value", [0, -1])
def test_sides_are_at_least_one(name, value):
    with pytest.raises(InvalidRecord, match=rf"PixelGrid\.{name} must be at least 1, got {value}"):
        attrs.evolve(DEFAULT, **{name: value})


@pytest.mark.parametrize("name", ["nx", "ny"])
def test_sides_are_whole(name):
    with pytest.raises(XphotfnError):
        attrs.evolve(DEFAULT, **{name: 2.7})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_are_finite(name, value):
    with pytest.raises(InvalidRecord, match=rf"PixelGrid\.{name} must be finite, got {value}"):
        attrs.evolve(DEFAULT, **{name: value})


@pytest.mark.parametrize("name", ["cdelt1_deg", "cdelt2_deg"])
def test_pixel_size_is_not_zero(name):
    with pytest.raises(InvalidRecord, match=rf"PixelGrid\.{name} must not be 0"):
        attrs.evolve(DEFAULT, **{name: 0.0})


@pytest.mark.parametrize("value", [90.1, -91.0])
def test_dec_lies_on_the_sky(value):
    with pytest.raises(InvalidRecord, match=r"PixelGrid\.dec_deg must lie within \+-90 deg, got"):
        attrs.evolve(DEFAULT, dec_deg=value)


@pytest.mark.parametrize("value", [0.0, -87.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["dx_sky", "dy_sky"])
def test_sky_steps_are_above_zero(name, value):
    with pytest.raises(InvalidRecord, match=rf"PixelGrid\.{name} must be above 0, got"):
        attrs.evolve(DEFAULT, **{name: value})


@pytest.mark.parametrize("change", [{"x0_sky": math.nan}, {"y0_sky": math.inf}, {"x0_sky": None}, {"y0_sky": None}])
def test_sky_origin_is_finite_and_of_both_axes_or_none(change):
    with pytest.raises(InvalidRecord):
        attrs.evolve(DEFAULT, **change)


def test_numbers_become_floats():
    """Whole numbers of a header give the same record, so the same keys, as floats do."""
    whole = attrs.evolve(DEFAULT, crpix1=256, x0_sky=3692, y0_sky=3692, dx_sky=87)
    assert repr(whole) == repr(attrs.evolve(DEFAULT, crpix1=256.0, x0_sky=3692.0, y0_sky=3692.0, dx_sky=87.0))


@given(grids())
def test_no_difference_to_itself(grid):
    assert grid.difference(grid) == ""
    assert grid.difference(attrs.evolve(grid, crpix1=grid.crpix1 + 1e-7)) == ""


@given(grids(), st.sampled_from(NUMBERS), st.floats(0.001, 3), st.sampled_from((1, -1)))
def test_a_difference_is_what_moves_a_pixel_of_the_image_and_names_its_card(grid, name, pixels, sign):
    step = grid.pixel_deg
    x, y = np.meshgrid([-0.5, grid.nx - 0.5], [-0.5, grid.ny - 0.5])
    reach = {"cdelt1_deg": np.abs(x + 1 - grid.crpix1).max(), "cdelt2_deg": np.abs(y + 1 - grid.crpix2).max()}
    change = {
        "crpix1": pixels, "crpix2": pixels, "ra_deg": pixels * step / math.cos(math.radians(grid.dec_deg)),
        "dec_deg": pixels * step, **{n: pixels * step / most for n, most in reach.items()},
    }[name]  # fmt: skip
    other = attrs.evolve(grid, **{name: getattr(grid, name) + sign * change})
    said = grid.difference(other)
    if pixels < 0.0199:
        assert said == ""
    elif pixels > 0.0201:
        cards = {"ra_deg": "CRVAL1", "dec_deg": "CRVAL2", "cdelt1_deg": "CDELT1", "cdelt2_deg": "CDELT2"}
        assert said.split()[0] == cards.get(name, name.upper())


@given(grids())
def test_other_shapes_and_the_turn_of_the_circle(grid):
    assert grid.difference(attrs.evolve(grid, nx=grid.nx + 1)).startswith("shape")
    assert attrs.evolve(grid, ra_deg=1e-9).difference(attrs.evolve(grid, ra_deg=360 - 1e-9)) == ""


def test_single_precision_is_the_same_grid():
    single = {name: float(np.float32(getattr(DEFAULT, name))) for name in NUMBERS}
    assert single["cdelt1_deg"] != DEFAULT.cdelt1_deg
    assert DEFAULT.difference(attrs.evolve(DEFAULT, **single)) == ""


@given(grids(sky=True))
def test_sky_coordinates_belong_to_the_reference_pixel(grid):
    """X and Y of the reference point are 25921 in every EPIC event list."""
    assert grid.x0_sky + (grid.crpix1 - 1) * grid.dx_sky == pytest.approx(25921.0, abs=1e-6)
    assert grid.y0_sky + (grid.crpix2 - 1) * grid.dy_sky == pytest.approx(25921.0, abs=1e-6)
