"""Rates in large pixels: up to which size they hold, and that a search of larger ones says so."""

import numpy as np
import pytest

from xphotfn.science.detection.fit import FittedSource, Shape, Window, fit_sources
from xphotfn.science.detection.templates import coarse_text, king_profiles

CORE, SLOPE, OUTER, REACH = 4.035, 1.4286, 300.0, 40.0  # of pn, arcsec; the window of a point


def in_pixels(size, x, y):
    """Light in each pixel of the window, by 40 x 40 points in each, and the places of the pixels."""
    half, points = int(REACH / size), 40
    fine = (np.arange((2 * half + 1) * points) + 0.5) / points - 0.5 - half
    squared = size**2 * ((fine - x) ** 2 + ((fine - y) ** 2)[:, None])
    whole = np.pi * CORE**2 / (SLOPE - 1) * (1 - (1 + (OUTER / CORE) ** 2) ** (1 - SLOPE))
    light = (size / points) ** 2 * (1 + squared / CORE**2) ** -SLOPE / whole
    side = np.arange(-half, half + 1.0)
    sums = light.reshape(side.size, points, side.size, points).sum(axis=(1, 3))
    return sums.ravel(), np.tile(side, side.size), np.repeat(side, side.size)


def fitted_over_true(size):
    """The least and the largest rate over its truth, of counts as expected, for places within a pixel."""
    rates = []
    for x, y in [(0.0, 0.0), (0.5, 0.5), (0.5, 0.0), (0.25, 0.25), (0.3, 0.05), (0.45, 0.3)]:
        light, columns, rows = in_pixels(size, x, y)
        level = np.full((1, light.size), 0.02 * (size / 4.35) ** 2)
        window = Window(1000 * light + level, np.ones_like(level), level, columns[None], rows[None])
        shape = Shape((king_profiles(CORE, SLOPE, size),), np.eye(2)[None], np.zeros((1, 2)), np.eye(2)[None])
        start = FittedSource(0.8 * x, 0.8 * y, 0.0, np.array([900.0]), False, shape)
        rates.append(fit_sources(window, (start,), last_u=3.0)[0][0].rates[0] / 1000)
    return min(rates), max(rates)


@pytest.mark.parametrize("size", [4.35, 10.0])
def test_rates_hold_within_3_percent_up_to_10_arcsec(size):
    low, high = fitted_over_true(size)
    assert 0.97 < low <= high < 1.03
    assert not coarse_text(size)


def test_pixels_in_which_they_do_not_are_said():
    low, high = fitted_over_true(20.0)
    assert high > 1.05 or low < 0.95
    assert "pixels of 20 arcsec" in coarse_text(20.0)
