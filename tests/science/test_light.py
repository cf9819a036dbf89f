"""Rings turn counts into the rate of extended light, for any light of the distance and any exposure."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.science.gamma_mixture import mixture_quantile, mixture_shortest
from xphotfn.science.intervals import on_off_interval
from xphotfn.science.light import RingLight, effective_exposure, ring_light, ring_radii, ring_weights
from xphotfn.science.limits import upper_limit_on_off
from xphotfn.science.on_off import of_on_off


def rings(seed, number=8, circles=40):
    """Return areas and exposures of rings, a tenth of them blind, and light of each ring in ct/s."""
    rng = np.random.default_rng(seed)
    area = np.diff(np.linspace(0, 30, number + 1) ** 2)[:, None] * np.ones(circles)
    exposure = area * rng.uniform(10, 30, area.shape) * (rng.uniform(size=area.shape) > 0.1)
    return area, exposure, rng.uniform(0, 1, area.shape) * area


@given(st.integers(0, 10**6))
def test_the_rate_is_the_light_of_the_whole_circle(seed):
    """What is expected of the counts gives the light itself, if the rings that are joined are equally bright."""
    area, exposure, light = rings(seed)
    weights = ring_weights(area, exposure)
    even = weights[0] == weights[-1]
    assert np.allclose(ring_light(0.01 * exposure, exposure, area, exposure).counts, 0.01 * area.sum(axis=0))
    exposure = np.maximum(exposure, 5 * area)  # all see something, and none less than half of the mean
    expected = light * exposure / area
    keeps = np.all(exposure / area >= 0.5 * exposure.sum(axis=0) / area.sum(axis=0), axis=0)
    found = ring_light(expected, exposure, area, exposure).counts
    assert np.allclose(found[keeps], light.sum(axis=0)[keeps])
    assert even.sum() < even.size


@given(st.integers(0, 10**6), st.integers(1, 16))
def test_no_weight_is_more_than_twice_that_of_even_light(seed, number):
    area, exposure, _ = rings(seed, number)
    exposure[-1] = 10 * area[-1]  # some of each circle is seen
    weights = ring_weights(area, exposure)
    flat = area.sum(axis=0) / exposure.sum(axis=0)
    assert np.all(weights <= 2 * flat * (1 + 1e-12))
    assert np.allclose((weights * exposure).sum(axis=0), area.sum(axis=0))  # each ring's area is counted once
    grouped = np.diff(weights, axis=0) != 0
    assert np.array_equal(np.isnan(ring_weights(area, 0 * exposure)), np.ones(area.shape, dtype=bool))
    assert np.all(grouped.sum(axis=0) < number)


def test_rings_reach_from_the_centre_to_the_rim():
    radii = ring_radii([2.0, 4.6, 14.0, 83.0])
    assert np.all(np.diff(radii, axis=0) >= 0)
    assert np.array_equal(radii[-1], [2.0, 4.6, 14.0, 83.0])
    assert [np.unique(r).size for r in radii.T] == [1, 2, 5, 16]
    assert np.all(radii[0] >= 2)
    assert np.array_equal(ring_radii([14.0])[:, 0], radii[:5, 2])  # what other circles there are changes nothing


def test_the_effective_exposure_goes_from_even_light_to_what_the_counts_say():
    one = np.ones(3)
    light = RingLight(0 * one, 0 * one, 0 * one, 0.01 * one, 0.006 * one, 0.02 * one)
    seen = effective_exposure(light, np.array([1.0e-4, 1.0, 1.0e4]) / 120, [1e-4, 1.0, 1e4], [1.0, 1.0, 1e4])
    assert seen[0] == pytest.approx(100, rel=1e-4)
    assert 100 < seen[1] < 120
    assert seen[2] == pytest.approx(120, rel=1e-3)
    deficit = effective_exposure(light, -3 * one, -500 * one, 100 * one)
    assert np.array_equal(deficit, 100 * one)  # it says nothing of where the light is
    wild = effective_exposure(light, [-5.0, 5.0, 0.0], [1.0, 1.0, 0.0], [9.0, 9.0, 9.0])
    assert wild == pytest.approx([1 / 0.006, 1 / 0.02, 100])  # no exposure beyond those of the rings


def test_fractions_of_counts_lie_between_whole_ones():
    def ends(mixture, level):
        return *mixture_shortest(mixture, level), mixture_quantile(mixture, level)

    n = np.array([3.0, 3.25, 4.0, 0.5, np.nan, 3 + 1e-12])
    low, high, limit = of_on_off(ends, 3, (n, *(np.full(n.size, v) for v in (2.5, 0.3, 1, 0))), np.asarray(0.9))
    whole = on_off_interval([3, 4], 2.5, 0.3, confidence=0.9)
    assert np.array_equal([low[[0, 2]], high[[0, 2]]], whole)
    assert low[1] == pytest.approx(0.75 * whole[0][0] + 0.25 * whole[0][1], rel=1e-12)
    assert limit[3] == pytest.approx(upper_limit_on_off([0, 1], 2.5, 0.3, confidence=0.9).mean(), rel=1e-12)
    assert np.isnan(limit[4])
    assert (low[5], high[5], limit[5]) == (low[0], high[0], limit[0])
