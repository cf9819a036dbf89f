"""Peaks: groups are single-linkage clusters, and a peak moves with its map."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.cluster.hierarchy import fclusterdata

from xphotfn.errors import NoData
from xphotfn.science.peaks import clustering_peak, near_edge, simple_peak
from xphotfn.science.pixel_masks import edge_mask
from xphotfn.testing.strategies import masks

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def random_maps(draw):
    """Draw a map without equal rates, so that it has one answer: noise, zeros, and a few smooth sources."""
    shape = draw(st.integers(5, 60)), draw(st.integers(5, 60))
    rng = np.random.default_rng(draw(SEEDS))
    rate = rng.random(shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for _ in range(draw(st.integers(0, 4))):
        y0, x0, width = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(0.5, 6)
        rate += rng.uniform(0.5, 5) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * width**2))
    rate[rng.random(shape) < draw(st.sampled_from((0.0, 0.5, 0.95)))] = 0
    rate[0, 0] = 0.5
    return rate


def peaks_by_linkage(rate, mask, top_fraction=0.05, distance=5.0):
    """Return the brightest pixel of each of the largest single-linkage clusters: one, unless several are as large."""
    masked = np.where(mask, rate, 0.0)
    wanted = max(1, round(top_fraction * np.count_nonzero(masked)))
    y, x = np.nonzero(masked >= np.sort(masked, axis=None)[-wanted])
    points = np.column_stack([x, y])
    labels = np.array([1]) if len(points) == 1 else fclusterdata(points, distance, criterion="distance")
    sizes = np.bincount(labels)
    found = set()
    for label in np.flatnonzero(sizes == sizes.max()):
        members = points[labels == label]
        found.add(tuple(members[np.argmax(masked[members[:, 1], members[:, 0]])].tolist()))
    return found


@given(random_maps(), st.sampled_from((0.05, 0.2, 1.0)), st.sampled_from((1.0, 1.5, 5.0)))
def test_groups_are_single_linkage_clusters(rate, top_fraction, distance):
    mask = np.ones(rate.shape, dtype=bool)
    if top_fraction * rate.size > 700:
        top_fraction = 0.05  # fclusterdata makes the matrix of all pairs
    expected = peaks_by_linkage(rate, mask, top_fraction, distance)
    found = clustering_peak(rate, mask, top_fraction=top_fraction, join_pix=distance)
    assert found in expected
    assert found == tuple(int(v) for v in found)


@given(random_maps(), st.data())
def test_masked_pixels_are_not_there(rate, data):
    mask = data.draw(masks(rate.shape))
    if not (mask & (rate > 0)).any():
        for find in (simple_peak, clustering_peak):
            with pytest.raises(NoData):
                find(rate, mask)
        return
    assert clustering_peak(rate, mask) in peaks_by_linkage(rate, mask)
    assert clustering_peak(np.where(mask, rate, 1e9), mask) == clustering_peak(rate, mask)
    x, y = simple_peak(np.where(mask, rate, 1e9), mask)
    assert mask[y, x]
    assert rate[y, x] == rate[mask].max()


@given(random_maps(), st.integers(1, 9), st.integers(1, 9))
def test_peaks_move_with_the_map(rate, dx, dy):
    wide = np.pad(rate, ((dy, 1), (dx, 1)))
    mask = np.ones(rate.shape, dtype=bool)
    wide_mask = np.ones(wide.shape, dtype=bool)
    x, y = simple_peak(rate, mask)
    assert simple_peak(wide, wide_mask) == (x + dx, y + dy)
    x, y = clustering_peak(rate, mask)
    assert clustering_peak(wide, wide_mask) in {(px + dx, py + dy) for px, py in peaks_by_linkage(rate, mask)}


@given(random_maps(), st.sampled_from((2.0**-20, 0.5, 8.0)))
def test_another_unit_of_rate_changes_nothing(rate, factor):
    mask = np.ones(rate.shape, dtype=bool)
    assert simple_peak(rate * factor, mask) == simple_peak(rate, mask)
    assert clustering_peak(rate * factor, mask) == clustering_peak(rate, mask)


@given(random_maps())
def test_equal_rates_give_the_same_pixel_in_any_memory_layout(rate):
    """Counts of the same exposure give many equal rates: the answer may not hang on how the array lies in memory."""
    steps = np.round(rate * 4) / 4
    mask = np.ones(rate.shape, dtype=bool)
    wide = np.zeros((rate.shape[0], rate.shape[1] + 3))
    wide[:, :-3] = steps
    for find in (simple_peak, clustering_peak):
        expected = find(steps, mask)
        assert find(np.asfortranarray(steps), mask) == expected
        assert find(wide[:, :-3], mask) == expected
        assert find(steps.astype(">f8"), mask) == expected


@given(masks(), st.data())
def test_near_edge_is_a_rim_pixel_within_two_pixels(sensor, data):
    rim = edge_mask(sensor)
    x = data.draw(st.integers(0, sensor.shape[1] - 1))
    y = data.draw(st.integers(0, sensor.shape[0] - 1))
    padded = np.pad(rim, 2, constant_values=False)
    assert near_edge(rim, (x, y)) == (not padded[y : y + 5, x : x + 5].all())
