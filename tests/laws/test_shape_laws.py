"""Regions as pixel shapes: whatever the frame they were written in, they lie on the same pixels."""

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import pix_to_deg, pix_to_sky
from xphotfn.science.shapes import pixel_shapes, sky_centres
from xphotfn.testing.strategies import grids, region_sets

SHIFTS = st.integers(-300, 300)


def numbers(shape):
    return [shape.x, shape.y, *shape.size, shape.angle_deg, *(v for corner in shape.vertices for v in corner)]


def assert_same(one, other, tolerance=1e-6):
    assert [s.shape for s in one] == [s.shape for s in other]
    assert [s.include for s in one] == [s.include for s in other]
    for first, second in zip(one, other, strict=True):
        assert numbers(first) == pytest.approx(numbers(second), abs=tolerance, rel=1e-9)


def as_written_in(frame, region, grid):
    """Return an image-frame region as it would be written in another frame of the same grid."""

    def at(x, y):
        found = pix_to_sky(grid, x, y) if frame == "physical" else pix_to_deg(grid, x, y)
        return tuple(float(v) for v in found)

    unit = grid.dx_sky if frame == "physical" else grid.pixel_deg
    x, y = at(region.x, region.y)
    return attrs.evolve(
        region,
        frame=frame,
        x=x,
        y=y,
        size=tuple(s * unit for s in region.size),
        vertices=tuple(at(*v) for v in region.vertices),
    )


@given(region_sets(frame="image"), grids())
def test_on_their_own_image_pixels_stay(regions, grid):
    found = pixel_shapes(regions, grid, grid)
    assert_same(
        found,
        [attrs.evolve(f, x=r.x, y=r.y, size=r.size, vertices=r.vertices) for f, r in zip(found, regions, strict=True)],
    )
    assert [f.shape for f in found] == [r.shape for r in regions]
    assert [f.angle_deg for f in found] == [r.angle_deg for r in regions]


@given(region_sets(frame="image"), grids(sky=True), st.sampled_from(("physical", "fk5", "icrs")))
def test_the_frame_of_a_file_changes_nothing(regions, grid, frame):
    written = [as_written_in(frame, region, grid) for region in regions]
    assert_same(pixel_shapes(written, grid, grid), pixel_shapes(regions, grid, grid))


@given(region_sets(frame="image"), grids(), SHIFTS, SHIFTS)
def test_on_a_shifted_image_they_are_shifted(regions, grid, dx, dy):
    shifted = attrs.evolve(grid, crpix1=grid.crpix1 + dx, crpix2=grid.crpix2 + dy)
    here, there = pixel_shapes(regions, grid, grid), pixel_shapes(regions, grid, shifted)
    moved = [
        attrs.evolve(s, x=s.x + dx, y=s.y + dy, vertices=tuple((x + dx, y + dy) for x, y in s.vertices)) for s in here
    ]
    assert_same(there, moved)


@given(region_sets(frame="image", max_size=3), st.sampled_from((29, 58, 174)))
def test_on_larger_pixels_they_are_smaller(regions, bin_size):
    grid = PixelGrid.from_sky_range(149.6, -11.1)
    other = PixelGrid.from_sky_range(149.6, -11.1, bin_size=bin_size)
    for one, two in zip(pixel_shapes(regions, grid, grid), pixel_shapes(regions, grid, other), strict=True):
        assert np.multiply(two.size, bin_size / 87) == pytest.approx(np.array(one.size), rel=1e-9)


@given(region_sets(frame="icrs"), grids())
def test_sky_positions_need_no_grid(regions, grid):
    ra, dec = sky_centres(regions, grid)
    assert ra.tolist() == [r.x for r in regions]
    assert dec.tolist() == [r.y for r in regions]


@given(region_sets(frame="image"), grids())
def test_sky_centres_are_where_the_pixels_are(regions, grid):
    ra, dec = sky_centres(regions, grid)
    expected = pix_to_deg(grid, [r.x for r in regions], [r.y for r in regions])
    np.testing.assert_allclose((ra, dec), expected, rtol=0, atol=1e-12)
