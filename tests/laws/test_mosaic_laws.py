"""Mosaics: sums on a common grid that keep counts and do not hang on the order of their inputs."""

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.errors import PlanError, ShapeMismatch
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import deg_to_pix, pix_to_deg
from xphotfn.science.mosaic import mosaic, mosaic_grid
from xphotfn.testing.strategies import grids

SEEDS = st.integers(0, 2**32 - 1)
DTYPES = st.sampled_from((np.int16, np.int32, np.int64, np.float32, np.float64))


@st.composite
def neighbours(draw, *, aligned=False):
    """Draw grids of one pixel size: of one projection shifted by whole pixels, or of pointings beside each other."""
    first = attrs.evolve(draw(grids(max_side=40, sky=False)), dec_deg=draw(st.floats(-80, 80)))
    found = [first]
    for _ in range(draw(st.integers(0, 3))):
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
    with pytest.raises(ShapeMismatch, match="shape"):
        mosaic([grid], [np.zeros((3, 3))])
    with pytest.raises(PlanError, match=r"too far apart"):
        mosaic_grid([grid, PixelGrid.from_sky_range(60.0, 20.0)])
    with pytest.raises(PlanError, match="90 degrees"):
        mosaic_grid([grid, PixelGrid.from_sky_range(190.0, -20.0)])
    with pytest.raises(ValueError, match="zip"):
        mosaic([grid, grid], [np.zeros(grid.shape)])
