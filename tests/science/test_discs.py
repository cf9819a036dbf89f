"""Sums over circles: exact areas against photutils, regions and pi r^2, the mask's own rule, and laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st
from regions import CirclePixelRegion, PixCoord

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science.disc_sums import disc_sums, minima, row_minima, sums
from xphotfn.science.discs import disc_weights, position_chunks
from xphotfn.science.overlap import circle_pixel_overlap
from xphotfn.science.pixel_masks import disc

SHAPE = (37, 41)
centres = st.floats(-12, 55)
radii = st.one_of(st.floats(1e-3, 3), st.floats(0.5, 60), st.sampled_from([0.5, 1.0, 1.5, 2.5, np.sqrt(0.5), 5.0]))
rules = st.sampled_from(["centre", "exact"])
seeds = st.integers(0, 2**32 - 1)


def image_of(weights):
    """Return the weights of the first circle as an image."""
    which, pixel, weight = weights.pixels()
    image = np.zeros(weights.shape)
    np.add.at(image.ravel(), pixel[which == 0], weight[which == 0])
    return image


def counts_of(seed, shape=SHAPE):
    return np.random.default_rng(seed).poisson(1.3, shape)


@given(centres, centres, radii)
def test_centre_rule_is_the_mask(x, y, radius):
    assert np.array_equal(image_of(disc_weights(SHAPE, x, y, radius)), disc(SHAPE, x, y, radius))


@given(st.integers(-3, 45), st.integers(-3, 45), st.integers(0, 40), st.integers(0, 40))
def test_centre_rule_is_the_mask_where_pixel_centres_lie_on_the_circle(x, y, a, b):
    radius = np.hypot(a, b)
    assert np.array_equal(image_of(disc_weights(SHAPE, x, y, radius)), disc(SHAPE, x, y, radius))


@given(centres, centres, radii)
def test_exact_weights_are_those_of_regions(x, y, radius):
    mask = CirclePixelRegion(PixCoord(x, y), radius).to_mask(mode="exact").to_image(SHAPE)
    theirs = np.zeros(SHAPE) if mask is None else mask
    assert np.abs(image_of(disc_weights(SHAPE, x, y, radius, overlap="exact")) - theirs).max() < 1e-9


def test_exact_weights_are_those_of_photutils():
    geometry = pytest.importorskip("photutils.geometry")
    rng = np.random.default_rng(5)
    for x, y, radius in zip(*rng.uniform(-5, 45, (2, 200)), 10 ** rng.uniform(-2, 1.7, 200), strict=True):
        ny, nx = SHAPE
        theirs = geometry.circular_overlap_grid(-0.5 - x, nx - 0.5 - x, -0.5 - y, ny - 0.5 - y, nx, ny, radius, 1, 1)
        assert np.abs(image_of(disc_weights(SHAPE, x, y, radius, overlap="exact")) - theirs).max() < 1e-9


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1e-3, 400))
def test_exact_areas_add_up_to_the_circle(x, y, radius):
    weights = disc_weights((1001, 1001), 500 + x, 500 + y, radius, overlap="exact")
    assert weights.held[0] == pytest.approx(np.pi * radius**2, rel=1e-12, abs=1e-12)
    assert weights.area[0] == pytest.approx(np.pi * radius**2, rel=1e-15)


def test_very_large_circle_keeps_its_digits():
    weights = disc_weights((1, 200_001), 100_000.3, 0.2, 90_000.7, overlap="exact")
    half_chord = np.sqrt(90_000.7**2 - np.linspace(-0.7, 0.3, 20_001) ** 2)  # pixel row seen from the centre
    assert weights.held[0] == pytest.approx(2 * np.trapezoid(half_chord, dx=1 / 20_000), rel=1e-13)


@given(centres, centres, radii, rules)
def test_held_area_and_area(x, y, radius, overlap):
    weights = disc_weights(SHAPE, x, y, radius, overlap=overlap)
    assert weights.held[0] == pytest.approx(image_of(weights).sum(), abs=1e-9)
    everywhere = disc_weights((400, 400), x + 170, y + 170, radius, overlap=overlap)
    assert weights.area[0] == pytest.approx(everywhere.held[0], abs=2)  # a shift may move a centre across the edge
    assert weights.held[0] <= weights.area[0] + 1e-9


@given(seeds, st.integers(0, 12), rules)
def test_sums_are_those_of_the_weights(seed, size, overlap):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-8, 48, (2, size))
    r = 10 ** rng.uniform(-1, 1.5, size)
    counts, rate = counts_of(seed), rng.normal(size=SHAPE)
    weights = disc_weights(SHAPE, x, y, r, overlap=overlap)
    which, pixel, weight = weights.pixels()
    for array, found in zip((counts, rate), sums(weights, counts, rate), strict=True):
        plain = np.bincount(which, weights=weight * array.ravel()[pixel], minlength=size)
        assert found.shape == (size,)
        assert np.allclose(found, plain, rtol=0, atol=1e-10)
    together = disc_sums(x, y, r, counts, rate, overlap=overlap)
    assert all(np.array_equal(a, b) for a, b in zip(together, sums(weights, counts, rate), strict=True))
    least = minima(weights, rate)
    assert np.array_equal(minima(weights, row_minima(rate, 64)), least)
    for number in range(size):
        inside = rate.ravel()[pixel[(which == number) & (weight > 0)]]
        assert least[number] == (inside.min() if inside.size else np.inf)


@given(seeds, st.integers(-9, 9), st.integers(-9, 9), rules)
def test_shifts_and_flips(seed, dx, dy, overlap):
    rng = np.random.default_rng(seed)
    wide = np.zeros((80, 90), dtype=int)
    wide[20:57, 20:61] = counts_of(seed)
    x, y = 0.25 * rng.integers(120, 200, (2, 6))  # quarters, so that a shift is exact
    r = rng.uniform(0.3, 9, 6)
    [start] = disc_sums(x, y, r, wide, overlap=overlap)
    [moved] = disc_sums(x + dx, y + dy, r, np.roll(wide, (dy, dx), axis=(0, 1)), overlap=overlap)
    [mirrored] = disc_sums(89 - x, y, r, wide[:, ::-1], overlap=overlap)
    [turned] = disc_sums(y, x, r, wide.T, overlap=overlap)
    for other in (moved, mirrored, turned):
        assert np.allclose(other, start, rtol=0, atol=1e-10)


@given(seeds, st.sampled_from([2, 3, 4, 5]))
def test_exact_sums_do_not_depend_on_the_pixel_size(seed, factor):
    """An image whose blocks of pixels are even holds the same light in larger pixels."""
    rng = np.random.default_rng(seed)
    x, y, r = rng.uniform(0, 60, 7), rng.uniform(0, 60, 7), rng.uniform(0.5, 30, 7)
    coarse = counts_of(seed, (60 // factor, 60 // factor))
    fine = np.kron(coarse, np.full((factor, factor), 1 / factor**2))
    [small] = disc_sums(x, y, r, fine, overlap="exact")
    [large] = disc_sums((x + 0.5) / factor - 0.5, (y + 0.5) / factor - 0.5, r / factor, coarse, overlap="exact")
    assert np.allclose(small, large, rtol=0, atol=1e-9)


@given(seeds, rules)
def test_rings_partition_a_circle(seed, overlap):
    counts = counts_of(seed)
    edges = np.sort(np.random.default_rng(seed).uniform(0, 25, 5))
    total = [disc_sums(18.3, 20.1, r, counts, overlap=overlap)[0][0] for r in edges]
    weights = [disc_weights(SHAPE, 18.3, 20.1, r, overlap=overlap) for r in edges]
    images = [image_of(b) - image_of(a) for a, b in itertools.pairwise(weights)]
    assert np.all(np.asarray(images) >= -1e-12)
    assert sum((i * counts).sum() for i in images) == pytest.approx(total[-1] - total[0], abs=1e-9)


def test_small_circle_inside_one_pixel():
    assert circle_pixel_overlap(0.2, -0.1, 0.3) == pytest.approx(np.pi * 0.09, abs=1e-15)
    assert circle_pixel_overlap(0.5, 0.5, 0.3) == pytest.approx(np.pi * 0.09 / 4, abs=1e-15)
    assert circle_pixel_overlap(0.5, 0.0, 0.3) == pytest.approx(np.pi * 0.09 / 2, abs=1e-15)


def test_nothing_to_sum():
    for overlap in ("centre", "exact"):
        weights = disc_weights(SHAPE, [np.nan, 1e300, 500, 5.5], [3, 3, 3, 5.5], [2, 2, 2, 0], overlap=overlap)
        assert np.array_equal(sums(weights, np.ones(SHAPE))[0], [0, 0, 0, 0])
        assert np.isnan(weights.area[:2]).all()
        assert weights.area[3] == 0
        assert np.array_equal(minima(weights, np.ones(SHAPE)), [np.inf] * 4)
    assert disc_sums([], [], [], np.ones(SHAPE))[0].shape == (0,)


def test_whole_counts_stay_whole():
    counts = np.full(SHAPE, 2**40 + 1, dtype=np.int64)
    [total] = disc_sums(20, 20, 3.2, counts)
    assert total[0] == (2**40 + 1) * disc_weights(SHAPE, 20, 20, 3.2).area[0]


def test_chunks_cover_all_positions_once():
    covered = np.concatenate([np.arange(s.start, s.stop) for s in position_chunks(30, 12345)])
    assert np.array_equal(covered, np.arange(12345))
    assert list(position_chunks(1e9, 2)) == [slice(0, 1), slice(1, 2)]


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (InvalidRecord, lambda: disc_weights(SHAPE, 1, 1, -1)),
        (InvalidRecord, lambda: disc_weights(SHAPE, 1, 1, np.nan)),
        (InvalidRecord, lambda: disc_weights(SHAPE, 1, 1, np.inf)),
        (InvalidRecord, lambda: disc_weights(SHAPE, 1, 1, 2, overlap="center")),
        (ShapeMismatch, lambda: disc_weights(SHAPE, [1, 2], [1, 2, 3], 2)),
        (ShapeMismatch, lambda: disc_weights(SHAPE, [[1, 2]], [[1, 2]], 2)),
        (ShapeMismatch, lambda: disc_sums(1, 1, 2, np.ones((3, 3)), np.ones((4, 4)))),
        (ShapeMismatch, lambda: disc_sums(1, 1, 2, np.ones(3))),
        (ShapeMismatch, lambda: minima(disc_weights(SHAPE, 1, 1, 2), np.ones((3, 3)))),
        (InvalidRecord, lambda: disc_sums(1, 1, 2, np.full((3, 3), np.nan))),
        (InvalidRecord, lambda: disc_sums(1, 1, 2)),
        (InvalidRecord, lambda: circle_pixel_overlap(0, 0, -1)),
    ],
)
def test_errors(error, call):
    with pytest.raises(error):
        call()
