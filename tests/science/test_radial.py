"""Radial profiles: sums partition, exact closed forms, errors that are right, concentration of the reference."""

import csv

import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch
from xphotfn.science.radial import flux_concentration, ring_brightness, ring_sums


def beta_flux(radius, core, beta):
    """Flux of a beta model within a radius, over pi S0 core^2 / (3 beta - 1.5)."""
    return 1 - (1 + (np.asarray(radius, dtype=float) / core) ** 2) ** (1.5 - 3 * beta)


def test_concentration_rows_of_the_reference(reference_root):
    with (reference_root / "statistics_test_vectors.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["test"] == "concentration"]
    assert len(rows) == 3
    for row in rows:
        given_ = dict(item.split("=") for item in row["inputs"].split(";"))
        beta = 2 / 3 if given_["beta"] == "0.6666" else float(given_["beta"])  # 2/3 is what the table was made with
        inner, outer = (float(v) for v in given_["r"].split("/"))
        expected = float(row["outputs"].split("=")[1])
        assert concentration_of(beta, float(given_["rc"]), inner, outer) == pytest.approx(expected, abs=1e-12), given_


def concentration_of(beta, core, inner, outer):
    edges = np.array([0, 10, 25, inner, 100, 200, outer, 600])
    brightness = np.diff(beta_flux(edges, core, beta)) / np.diff(np.pi * edges**2)
    return flux_concentration(edges, brightness, inner=inner, outer=outer).value


@given(
    x=st.floats(-5, 45), y=st.floats(-5, 35), steps=st.lists(st.floats(0.3, 9), min_size=2, max_size=8)
)  # fmt: skip
def test_rings_share_out_the_disc(x, y, steps):
    rng = np.random.default_rng(3)
    counts, exposure = rng.poisson(2.0, (30, 40)), rng.uniform(-0.2, 1, (30, 40))
    keep, edges = rng.uniform(size=(30, 40)) > 0.2, np.cumsum(steps)
    rings = ring_sums(counts, exposure, keep, (x, y), edges)
    whole = ring_sums(counts, exposure, keep, (x, y), edges[[0, -1]])
    for part, total in zip(rings, whole, strict=True):
        assert part.sum() == pytest.approx(total[0], rel=1e-12)
    distance = np.hypot(np.arange(40) - x, np.arange(30)[:, None] - y)
    inside = keep & (exposure > 0) & (distance >= edges[0]) & (distance < edges[-1])
    assert abs(whole.pixels[0] - inside.sum()) <= 1  # a pixel on an edge
    assert whole.counts[0] == pytest.approx(counts[inside].sum(), abs=10)


def test_pixels_without_exposure_and_nan_off_the_detector_are_left_out():
    counts, exposure = np.full((9, 9), 2.0), np.ones((9, 9))
    counts[0, 0], exposure[0, 0], exposure[1, 1] = np.nan, np.nan, 0
    sums = ring_sums(counts, exposure, exposure == exposure, (4, 4), [0, 10])
    assert [float(v[0]) for v in sums] == [79 * 2, 79, 79]
    counts[4, 4] = np.nan
    with pytest.raises(NoData, match="finite"):
        ring_sums(counts, exposure, exposure > 0, (4, 4), [0, 10])


def test_sums_are_divided_not_pixels():
    counts, exposure = np.array([[20, 18, 3]]), np.array([[10.0, 10.0, 1.0]])
    sums = ring_sums(counts, exposure, counts > 0, (1, 0), [0, 2])
    assert float(ring_brightness(sums.counts, sums.exposure).value[0]) == pytest.approx(41 / 21)


@pytest.mark.parametrize(("mean", "annulus", "alpha"), [(30, 0, 0.0), (100, 400, 0.1), (1000, 50, 1.0)])
def test_pulls_of_a_ring_are_standard(mean, annulus, alpha):
    rng = np.random.default_rng(11)
    b = rng.poisson(annulus, 100_000)
    found = ring_brightness(rng.poisson(mean + alpha * annulus, 100_000), 7.0, alpha * b, alpha**2 * b)
    pulls = (found.value - mean / 7) / found.error
    assert abs(np.mean(found.value - mean / 7) * 7) < 4 * np.sqrt(mean + alpha * annulus + alpha**2 * annulus) / 316
    assert np.median(pulls) == pytest.approx(0, abs=0.05)
    assert np.std(pulls) == pytest.approx(1, abs=0.05)
    inside = (found.lower <= mean / 7) & (mean / 7 <= found.upper)
    assert 0.68 < np.mean(inside) < 0.78


def test_an_empty_ring_has_no_brightness_and_a_ring_without_counts_has_an_error():
    found = ring_brightness([0, 0, 5], [0.0, 2.0, np.nan])
    assert np.isnan(found.value[[0, 2]]).all()
    assert found.value[1] == 0 < found.error[1]
    assert found.upper[1] == pytest.approx(1.841021645 / 2)


def test_concentration_has_the_error_of_a_ratio():
    rng = np.random.default_rng(2)
    edges, means = np.array([0.0, 40, 100, 400]), np.array([200.0, 300, 500])
    areas = np.pi * np.diff(edges**2)
    found = [
        flux_concentration(edges, n / areas, np.sqrt(n) / areas, inner=40, outer=400)
        for n in rng.poisson(means, (4000, 3))
    ]
    values = np.array([f.value for f in found])
    assert values.mean() == pytest.approx(0.2, abs=1e-3)
    assert np.mean([f.error for f in found]) == pytest.approx(values.std(), rel=0.05)


def test_a_ring_that_is_cut_counts_by_area():
    assert flux_concentration([0, 10], [3.0], inner=5, outer=10).value == pytest.approx(0.25)


def test_what_is_refused():
    edges = [0, 10, 20]
    for radii in ({"inner": 5, "outer": 30}, {"inner": 20, "outer": 10}, {"inner": 0, "outer": 10}):
        with pytest.raises(InvalidRecord):
            flux_concentration(edges, [1.0, 1.0], **radii)
    with pytest.raises(InvalidRecord, match="from 0"):
        flux_concentration([1, 10, 20], [1.0, 1.0], inner=5, outer=20)
    for brightness in ([1.0, np.nan], [1.0, -2.0]):
        with pytest.raises(NoData):
            flux_concentration(edges, brightness, inner=5, outer=20)
    assert flux_concentration(edges, [1.0, np.nan], inner=5, outer=10).value == pytest.approx(0.25)
    ones = np.ones((4, 4))
    for wrong in ([3, 2], [-1, 2], [1], [0, np.nan]):
        with pytest.raises(InvalidRecord):
            ring_sums(ones, ones, ones > 0, (1, 1), wrong)
    with pytest.raises(ShapeMismatch):
        ring_sums(ones, ones[:2], ones > 0, (1, 1), [0, 1])
