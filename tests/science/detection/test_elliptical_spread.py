"""Sources whose light is stretched off the axis, as EPIC's is, fitted with the round profile and a stretched one.

The light is drawn with a King profile of its own, in the frame of the optical axis, not with the templates of the fit.
"""

import numpy as np
import pytest

from xphotfn.records.grid import PixelGrid
from xphotfn.records.source import SourceFlag
from xphotfn.science.detection.listing import listed
from xphotfn.science.detection.search import search
from xphotfn.science.detection.search_map import EllipticalSpread, SearchMap
from xphotfn.science.king import EPIC_KING

SIDE, PIXEL, CORE, SLOPE = 70, 4.35, 4.035, 1.4286
GRID = PixelGrid(nx=SIDE, ny=SIDE, crpix1=35.5, crpix2=35.5, ra_deg=10, dec_deg=20, cdelt1_deg=-PIXEL / 3600,
                 cdelt2_deg=PIXEL / 3600)  # fmt: skip
AXIS = (10.0 + 8 / 60 / np.cos(np.radians(20)), 20.0 - 6 / 60)  # 10 arcmin away: 8 to the left, 6 down
TOWARDS = np.array([-0.8, -0.6])
LEVEL, RATIO = 0.1, 1.7


def drawn(points, seed):
    """Return counts: each pixel the mean of 5 x 5 places; the long axis lies across the direction to the axis."""
    fine = (np.arange(5 * SIDE) + 0.5) / 5 - 0.5
    mean = np.full((SIDE, SIDE), LEVEL)
    for x, y, counts in points:
        dx, dy = np.meshgrid(fine - x, fine - y)
        radial = (dx * TOWARDS[0] + dy * TOWARDS[1]) * RATIO**0.5
        across = (dx * TOWARDS[1] - dy * TOWARDS[0]) / RATIO**0.5
        light = (1 + (radial**2 + across**2) * PIXEL**2 / CORE**2) ** -SLOPE
        mean += counts * (SLOPE - 1) / (np.pi * CORE**2) * PIXEL**2 * light.reshape(SIDE, 5, SIDE, 5).mean(axis=(1, 3))
    return np.random.default_rng(seed).poisson(mean).astype(float)


def searched(counts, spread, threshold=6):
    exposure = np.full((SIDE, SIDE), 1e4)
    return search([SearchMap(counts, exposure, exposure, None, GRID, spread, 1000.0, AXIS)], threshold=threshold)


def found_in(counts, spread):
    return searched(counts, spread).sources


ROUND = EPIC_KING["pn"]
STRETCHED = EllipticalSpread(profile=ROUND, axis_ratios=[(0, 1), (5, 1.35), (10, RATIO)])


def test_a_bright_stretched_source_is_one_point_with_its_rate():
    """With the round profile 6000 counts come out as several points, whose rates add up."""
    counts = drawn([(35.3, 34.6, 6000)], 1)
    (one,) = found_in(counts, STRETCHED)
    assert one.source.u == 0
    assert np.hypot(one.source.x - 35.3, one.source.y - 34.6) < 0.1
    assert one.source.rates[0] * 1e4 == pytest.approx(
        6000, rel=0.05
    )  # its wings are in the background of so small a field
    near = [f.source for f in found_in(counts, ROUND) if np.hypot(f.source.x - 35.3, f.source.y - 34.6) < 3]
    assert sum(s.rates[0] for s in near) * 1e4 == pytest.approx(6000, rel=0.07)
    assert not any(s.u for s in near)


def test_stretched_points_of_up_to_600_counts_are_points_of_their_rate_to_the_round_profile():
    points = [(18.2, 18.7, 300), (52.4, 17.1, 150), (51.0, 52.2, 600)]
    found = found_in(drawn(points, 2), ROUND)
    assert len([f for f in found if f.det_ml >= 10]) == 3
    for x, y, counts in points:
        (one,) = [f.source for f in found if np.hypot(f.source.x - x, f.source.y - y) < 3]
        assert np.hypot(one.x - x, one.y - y) < 0.4
        assert one.u == 0
        assert one.rates[0] * 1e4 == pytest.approx(counts, abs=3 * counts**0.5)


@pytest.mark.parametrize("true_counts", [2000, 20000])
def test_pieces_of_a_bright_stretched_source_say_so(true_counts):
    """To the round profile it is several points, along the stretch: each near a bright one, none a hot column."""
    found = searched(drawn([(35.3, 34.6, true_counts)], 2), ROUND, 10)
    pieces = listed(found.sky, found.sources).sources
    assert len(pieces) > 1
    assert all(s.flags & SourceFlag.NEAR_BRIGHT for s in pieces)
    assert not any(s.flags & (SourceFlag.HOT_COLUMN | SourceFlag.HOT_PIXEL) for s in pieces)
    near = [s for s in pieces if np.hypot(s.x - 35.3, s.y - 34.6) < 12]
    assert sum(s.counts for s in near) == pytest.approx(true_counts, rel=0.07)
