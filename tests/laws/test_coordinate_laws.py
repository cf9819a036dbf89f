"""Coordinates: each conversion undoes the other, and all agree with astropy."""

import astropy.units as u
import attrs
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, angular_separation
from astropy.wcs import WCS
from hypothesis import given, strategies as st

from xphotfn.errors import ShapeMismatch
from xphotfn.records.grid import PROJECTIONS, PixelGrid
from xphotfn.science.coords import deg_to_pix, inside, pix_to_deg, pix_to_sky, separation_deg, sky_to_pix
from xphotfn.testing.strategies import grids, positions

SEEDS = st.integers(0, 2**32 - 1)
REFERENCE_RAS = (0.0, 1e-9, 0.01, 180.0, 359.99, 360 - 1e-9)


def some_pixels(grid, seed, number=50):
    """Return fractional pixels all over an image, its corners too."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([[-0.5, grid.nx - 0.5, -0.5, grid.nx - 0.5], rng.uniform(-0.5, grid.nx - 0.5, number)])
    y = np.concatenate([[-0.5, -0.5, grid.ny - 0.5, grid.ny - 0.5], rng.uniform(-0.5, grid.ny - 0.5, number)])
    return x, y


def astropy_wcs(grid):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = f"RA---{grid.projection}", f"DEC--{grid.projection}"
    wcs.wcs.crpix = grid.crpix1, grid.crpix2
    wcs.wcs.crval = grid.ra_deg, grid.dec_deg
    wcs.wcs.cdelt = grid.cdelt1_deg, grid.cdelt2_deg
    wcs.wcs.set()
    return wcs


def on_sky_difference(ra, dec, other_ra, other_dec):
    """Return the larger difference in degrees of great circles; RA counts for little near a pole."""
    delta = (ra - other_ra + 180) % 360 - 180
    return max(np.abs(delta * np.cos(np.deg2rad(dec))).max(), np.abs(dec - other_dec).max())


@given(grids(projections=PROJECTIONS), SEEDS)
def test_pixels_come_back_from_the_sky(grid, seed):
    x, y = some_pixels(grid, seed)
    back_x, back_y = deg_to_pix(grid, *pix_to_deg(grid, x, y))
    np.testing.assert_allclose(back_x, x, rtol=0, atol=1e-6)
    np.testing.assert_allclose(back_y, y, rtol=0, atol=1e-6)


@given(grids(projections=PROJECTIONS), SEEDS)
def test_positions_come_back_from_pixels(grid, seed):
    ra, dec = pix_to_deg(grid, *some_pixels(grid, seed))
    assert on_sky_difference(ra, dec, *pix_to_deg(grid, *deg_to_pix(grid, ra, dec))) < 1e-10


@given(grids(sky=True), SEEDS)
def test_pixels_come_back_from_xmm_coordinates(grid, seed):
    x, y = some_pixels(grid, seed)
    back_x, back_y = sky_to_pix(grid, *pix_to_sky(grid, x, y))
    np.testing.assert_allclose(back_x, x, rtol=0, atol=1e-6)
    np.testing.assert_allclose(back_y, y, rtol=0, atol=1e-6)


@given(grids(sky=True))
def test_pixel_centres_are_one_bin_apart_in_xmm_coordinates(grid):
    assert pix_to_sky(grid, 0, 0) == (grid.x0_sky, grid.y0_sky)
    sky_x, sky_y = pix_to_sky(grid, np.arange(3), np.arange(3))
    np.testing.assert_allclose(np.diff(sky_x), grid.dx_sky, rtol=1e-9)
    np.testing.assert_allclose(np.diff(sky_y), grid.dy_sky, rtol=1e-9)


@given(grids(sky=False))
def test_a_mosaic_has_no_xmm_coordinates(grid):
    for convert in (pix_to_sky, sky_to_pix):
        with pytest.raises(ShapeMismatch, match="no XMM sky coordinates"):
            convert(grid, 0, 0)


@given(
    grids(projections=PROJECTIONS),
    SEEDS,
    st.none() | st.sampled_from(REFERENCE_RAS),
    st.none() | st.sampled_from((-89.0, 0.0, 88.9)),
)
def test_agrees_with_astropy(grid, seed, ra_deg, dec_deg):
    """On any grid, and on grids across RA 0 and near the poles."""
    moved = {
        "ra_deg": grid.ra_deg if ra_deg is None else ra_deg,
        "dec_deg": grid.dec_deg if dec_deg is None else dec_deg,
    }
    grid = attrs.evolve(grid, **moved)
    x, y = some_pixels(grid, seed)
    wcs = astropy_wcs(grid)
    ra, dec = wcs.all_pix2world(x, y, 0)
    assert on_sky_difference(ra, dec, *pix_to_deg(grid, x, y)) < 1e-9
    ours, theirs = deg_to_pix(grid, ra, dec), wcs.all_world2pix(ra, dec, 0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@given(grids(projections=PROJECTIONS), SEEDS, st.sampled_from(REFERENCE_RAS))
def test_ra_lies_in_0_to_360(grid, seed, ra_deg):
    grid = attrs.evolve(grid, ra_deg=ra_deg)
    ra, dec = pix_to_deg(grid, *some_pixels(grid, seed))
    assert np.all((ra >= 0) & (ra < 360))
    assert np.all(np.abs(dec) <= 90)


def test_ra_a_hair_below_0_is_not_360():
    """np.mod(-1e-18, 360) is 360.0, which no target accepts as its RA."""
    grid = attrs.evolve(PixelGrid.from_sky_range(0.0, 0.0), crpix1=1.0)
    ra, _ = pix_to_deg(grid, 1e-15, 0.0)
    assert 0 <= float(ra) < 360


@given(grids(projections=PROJECTIONS), SEEDS)
def test_whole_turns_change_nothing(grid, seed):
    ra, dec = pix_to_deg(grid, *some_pixels(grid, seed))
    for turn in (-360.0, 360.0):
        np.testing.assert_allclose(deg_to_pix(grid, ra + turn, dec), deg_to_pix(grid, ra, dec), rtol=0, atol=1e-6)


@given(grids(projections=PROJECTIONS), positions(max_dec_deg=89))
def test_the_far_side_of_the_sky_is_on_no_image(grid, position):
    ra, dec = position
    x, y = deg_to_pix(grid, ra, dec)
    if separation_deg(grid.ra_deg, grid.dec_deg, ra, dec) > 90 + 1e-9:
        assert np.isnan(x)
        assert np.isnan(y)
        assert not inside(grid, x, y)


@given(grids())
def test_inside_is_the_array(grid):
    x, y = np.meshgrid(np.arange(-2, 3), np.arange(-2, 3))
    for dx, dy in ((0, 0), (grid.nx - 1, grid.ny - 1)):
        on = (x + dx >= 0) & (x + dx < grid.nx) & (y + dy >= 0) & (y + dy < grid.ny)
        assert np.array_equal(inside(grid, x + dx, y + dy), on)


@given(positions(), positions())
def test_separation_is_astropys(one, other):
    ours = float(separation_deg(*one, *other))
    theirs = SkyCoord(*one, unit="deg").separation(SkyCoord(*other, unit="deg")).deg
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert ours == pytest.approx(float(separation_deg(*other, *one)), abs=1e-12)
    assert 0 <= ours <= 180


@given(positions(max_dec_deg=89.9), st.floats(1e-9, 1e-3), st.floats(0, 360))
def test_small_separations_keep_their_digits(position, distance, angle):
    ra, dec = position
    other = SkyCoord(ra, dec, unit="deg").directional_offset_by(angle * u.deg, distance * u.deg)
    ours = float(separation_deg(ra, dec, other.ra.deg, other.dec.deg))
    expected = np.rad2deg(angular_separation(*np.deg2rad([ra, dec, other.ra.deg, other.dec.deg])))
    assert ours == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert ours == pytest.approx(distance, abs=1e-10)  # astropy places the other point no better near a pole


@given(positions())
def test_separation_to_itself_and_to_the_other_side(position):
    ra, dec = position
    assert float(separation_deg(ra, dec, ra, dec)) == 0
    assert float(separation_deg(ra, dec, ra + 180, -dec)) == pytest.approx(180, abs=1e-6)
