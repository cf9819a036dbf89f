"""Mosaics: sums on a common grid that keep counts and do not hang on the order of their inputs."""

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.errors import PlanError, ShapeMismatch
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import deg_to_pix, pix_to_deg
from xphotfn.science.mosaic import mosaic, mosaic_batches, mosaic_grid, pix_to_pix
from xphotfn.testing.strategies import grids

SEEDS = st.integers(0, 2**32 - 1)
DTYPES = st.sampled_from((np.int16, np.int32, np.int64, np.float32, np.float64))


@st.composite
def neighbours(draw, *, aligned=False, most=3):
    """Draw grids of one pixel size: of one projection shifted by whole pixels, or of pointings beside each other."""
    first = attrs.evolve(draw(grids(max_side=40, sky=False)), dec_deg=draw(st.floats(-80, 80)))
    found = [first]
    for _ in range(draw(st.integers(0, most))):
        size = {"nx": draw(st.integers(1, 40)), "ny": draw(st.integers(1, 40))}
        if aligned:
            shift = [draw(st.integers(-60, 60)) for _ in range(2)]
            moved = {"crpix1": first.crpix1 + shift[0], "crpix2": first.crpix2 + shift[1]}
        else:
            step = first.pixel_deg
            dx, dy = draw(st.floats(-50, 50)), draw(st.floats(-50, 50))
            moved = {
                "ra_deg": (first.ra_deg + dx * step / np.cos(np.deg2rad(first.dec_deg))) % 360,
                "dec_deg": first.dec_deg + dy * step,
            }
        found.append(attrs.evolve(first, **size, **moved))
    return found


def counts_on(items, seed, dtype=np.int32):
    rng = np.random.default_rng(seed)
    return [rng.poisson(3.0, grid.shape).astype(dtype) for grid in items]


@given(grids(max_side=64), SEEDS, DTYPES)
def test_one_image_is_itself(grid, seed, dtype):
    (image,) = counts_on([grid], seed, dtype)
    total, out = mosaic([grid], [image])
    assert out == grid
    assert total.dtype == dtype
    assert np.array_equal(total, image)


@given(grids(max_side=64), SEEDS, st.integers(2, 4))
def test_images_on_one_grid_are_added(grid, seed, number):
    images = counts_on([grid] * number, seed)
    total, out = mosaic([grid] * number, images)
    assert out == grid
    assert np.array_equal(total, sum(images))


@given(neighbours(), SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_all_but_the_first_changes_nothing(items, seed, random):
    pairs = list(zip(items, counts_on(items, seed), strict=True))
    total, out = mosaic(*zip(*pairs, strict=True))
    rest = pairs[1:]
    random.shuffle(rest)
    again, same = mosaic(*zip(pairs[0], *rest, strict=True))
    assert same == out
    assert np.array_equal(again, total)


@given(neighbours(), SEEDS, st.sampled_from((np.float32, np.float64)), st.randoms(use_true_random=False))
def test_the_order_is_not_seen_in_sums_of_real_numbers_either(items, seed, dtype, random):
    rng = np.random.default_rng(seed)
    images = [(rng.exponential(1.0, grid.shape) * 10 ** rng.uniform(-3, 5)).astype(dtype) for grid in items]
    total, _ = mosaic(items, images)
    rest = list(zip(items, images, strict=True))[1:]
    random.shuffle(rest)
    again, _ = mosaic(*zip((items[0], images[0]), *rest, strict=True))
    assert total.dtype == dtype
    assert np.array_equal(again, total)


@given(neighbours(), SEEDS)
def test_adding_180_degrees_to_every_ra_changes_no_pixel(items, seed):
    images = counts_on(items, seed)
    total, out = mosaic(items, images)
    moved = [attrs.evolve(grid, ra_deg=(grid.ra_deg + 180) % 360) for grid in items]
    again, other = mosaic(moved, images)
    assert np.array_equal(again, total)
    assert (other.shape, other.dec_deg) == (out.shape, out.dec_deg)
    assert abs((other.ra_deg - out.ra_deg) % 360 - 180) < 1e-9


@given(neighbours(aligned=True), SEEDS, st.floats(-0.5, 0.5))
def test_a_shift_by_part_of_a_pixel_loses_and_doubles_nothing(items, seed, part):
    moved = [
        items[0],
        *(attrs.evolve(grid, crpix1=grid.crpix1 + part, crpix2=grid.crpix2 - part) for grid in items[1:]),
    ]
    images = counts_on(items, seed)
    roomy = attrs.evolve(items[0], nx=260, ny=260, crpix1=items[0].crpix1 + 110, crpix2=items[0].crpix2 + 110)
    total, _ = mosaic(moved, images, roomy)
    assert total.sum() == sum(image.sum() for image in images)


@given(neighbours())
def test_pixels_of_one_grid_in_another_are_those_by_way_of_the_sky(items):
    for grid in items[1:]:
        x, y = np.meshgrid(np.linspace(-3, grid.nx + 3, 7), np.linspace(-3, grid.ny + 3, 7))
        there = pix_to_pix(grid, items[0], x, y)
        assert np.allclose(there, deg_to_pix(items[0], *pix_to_deg(grid, x, y)), rtol=0, atol=1e-7)
        assert np.allclose(pix_to_pix(items[0], grid, *there), (x, y), rtol=0, atol=1e-7)


@given(st.booleans().flatmap(lambda aligned: neighbours(aligned=aligned, most=11)), SEEDS, st.integers(5, 7))
def test_adding_in_portions_gives_the_same_sum(items, seed, most):
    images = counts_on(items, seed)
    batches = mosaic_batches(items, most)
    assert sorted(n for batch in batches for n in batch) == list(range(len(items)))
    before = []
    for batch in batches:
        parts = [*before, *((items[n], images[n]) for n in batch)]
        assert len(parts) <= most
        total, grid = mosaic(*zip(*parts, strict=True))
        before = [(grid, total)]
    direct, _ = mosaic(items, images)
    assert np.array_equal(total, direct)


@given(neighbours(aligned=True), SEEDS, DTYPES)
def test_no_count_is_lost_on_aligned_grids(items, seed, dtype):
    images = counts_on(items, seed, dtype)
    total, out = mosaic(items, images)
    assert total.dtype == dtype
    assert total.sum(dtype=np.float64) == sum(image.sum(dtype=np.float64) for image in images)
    for grid, image in zip(items, images, strict=True):  # each image alone lies where its pixels are
        alone, _ = mosaic([grid], [image], out)
        x, y = (round(float(v)) for v in deg_to_pix(out, *pix_to_deg(grid, 0, 0)))
        assert np.array_equal(alone[y : y + grid.ny, x : x + grid.nx], image)
        assert alone.sum(dtype=np.float64) == image.sum(dtype=np.float64)


@given(neighbours(), SEEDS)
def test_the_mosaic_is_the_sum_of_each_image_alone(items, seed):
    images = counts_on(items, seed)
    total, out = mosaic(items, images)
    alone = [mosaic([grid], [image], out)[0] for grid, image in zip(items, images, strict=True)]
    assert np.array_equal(total, sum(alone))


@given(neighbours(), SEEDS)
def test_images_may_come_one_at_a_time(items, seed):
    images = counts_on(items, seed)
    assert np.array_equal(mosaic(items, iter(images))[0], mosaic(items, images)[0])


@given(neighbours())
def test_the_grid_holds_all_corners(items):
    out = mosaic_grid(items)
    for grid in items:
        x, y = deg_to_pix(out, *pix_to_deg(grid, [0, grid.nx - 1, 0, grid.nx - 1], [0, 0, grid.ny - 1, grid.ny - 1]))
        assert np.all((x > -0.01) & (x < out.nx - 1 + 0.01))
        assert np.all((y > -0.01) & (y < out.ny - 1 + 0.01))
    assert (out.ra_deg, out.dec_deg, out.cdelt1_deg) == (items[0].ra_deg, items[0].dec_deg, items[0].cdelt1_deg)


@given(neighbours())
def test_the_grid_is_no_larger_than_it_must_be(items):
    out = mosaic_grid(items)
    x, y = (
        np.concatenate(values)
        for values in zip(
            *(deg_to_pix(out, *pix_to_deg(g, [0, g.nx - 1, 0, g.nx - 1], [0, 0, g.ny - 1, g.ny - 1])) for g in items),
            strict=True,
        )
    )
    assert x.min() < 0.01
    assert y.min() < 0.01
    assert x.max() > out.nx - 2.01
    assert y.max() > out.ny - 2.01


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32])
def test_a_sum_that_its_type_cannot_hold_is_not_wrapped(dtype):
    grid = PixelGrid.from_sky_range(10.0, 20.0, high=3649 + 86)
    image = np.full(grid.shape, np.iinfo(dtype).max, dtype=dtype)
    total, _ = mosaic([grid, grid], [image, image])
    assert total.sum() == 2 * np.iinfo(dtype).max


def test_inputs_are_not_written():
    grid = PixelGrid.from_sky_range(10.0, 20.0, high=3649 + 870)
    image = np.ones(grid.shape, dtype=np.int64)
    image.setflags(write=False)
    total, _ = mosaic([grid], [image])
    assert total is not image
    mosaic([grid, grid], [image, image])
    assert image.sum() == image.size


def test_values_that_are_not_finite_stay_where_they_are():
    grid = PixelGrid.from_sky_range(10.0, 20.0, high=3649 + 870)
    for dtype in (np.float32, np.float64):
        image = np.ones(grid.shape, dtype=dtype)
        image[0, :2] = np.nan, np.inf
        total, _ = mosaic([grid, grid], [image, np.ones(grid.shape, dtype=dtype)])
        assert np.isnan(total[0, 0])
        assert total[0, 1] == np.inf
        assert np.all(total[1:] == 2)


def test_an_image_behind_the_mosaic_adds_nothing():
    grid = PixelGrid.from_sky_range(10.0, 20.0, high=3649 + 870)
    total, _ = mosaic([attrs.evolve(grid, ra_deg=190.0, dec_deg=-20.0)], [np.ones(grid.shape)], grid)
    assert not total.any()


def test_mixed_types_become_float64():
    grid = PixelGrid.from_sky_range(10.0, 20.0, high=3649 + 870)
    images = [np.ones(grid.shape, dtype=kind) for kind in (np.int32, np.float32)]
    for pair in (images, images[::-1]):
        total, _ = mosaic([grid, grid], pair)
        assert total.dtype == np.float64
        assert np.all(total == 2)


def test_what_does_not_fit_together_is_refused():
    grid = PixelGrid.from_sky_range(10.0, 20.0)
    with pytest.raises(PlanError, match="at least one image"):
        mosaic_grid([])
    with pytest.raises(PlanError, match="at least one image"):
        mosaic([], [])
    with pytest.raises(ShapeMismatch, match="different pixel sizes"):
        mosaic_grid([grid, PixelGrid.from_sky_range(10.0, 20.0, bin_size=40)])
    with pytest.raises(ShapeMismatch, match="one.*other"):
        mosaic_grid([grid, PixelGrid.from_sky_range(10.0, 20.0, bin_size=40)], names=["one", "other"])
    with pytest.raises(ShapeMismatch, match="different pixel sizes"):
        mosaic([grid], [np.zeros(grid.shape)], PixelGrid.from_sky_range(10.0, 20.0, bin_size=40))
    with pytest.raises(ShapeMismatch, match="shape"):
        mosaic([grid], [np.zeros((3, 3))])
    with pytest.raises(PlanError, match="cannot add 2"):
        mosaic_batches([grid, grid], most=1)
    with pytest.raises(PlanError, match="cannot add 9"):
        mosaic_batches([grid] * 9, most=4)
    with pytest.raises(PlanError, match=r"too far apart"):
        mosaic_grid([grid, PixelGrid.from_sky_range(60.0, 20.0)])
    with pytest.raises(PlanError, match="90 degrees"):
        mosaic_grid([grid, PixelGrid.from_sky_range(190.0, -20.0)])
    with pytest.raises(ValueError, match="zip"):
        mosaic([grid, grid], [np.zeros(grid.shape)])
