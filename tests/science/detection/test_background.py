"""Backgrounds of few counts: nothing may take them over, and chance is not cut out of them."""

import numpy as np
import pytest

from xphotfn.records.grid import PixelGrid
from xphotfn.science.detection.background import fit_background
from xphotfn.science.detection.search import first_backgrounds
from xphotfn.science.detection.search_map import SearchMap
from xphotfn.science.detection.sky import Sky
from xphotfn.science.king import EPIC_KING

SIZE = 120
GRID = PixelGrid(
    nx=SIZE, ny=SIZE, crpix1=SIZE / 2, crpix2=SIZE / 2, ra_deg=10.0, dec_deg=20.0, cdelt1_deg=-4.35 / 3600,
    cdelt2_deg=4.35 / 3600,
)  # fmt: skip


def planes(level, seed=1):
    """Return counts of a level, exposure that falls outwards, exposure that does not, and what is read out late."""
    y, x = np.indices((SIZE, SIZE)) - SIZE / 2
    exposure = 1000 / (1 + (np.hypot(x, y) / 80) ** 2)
    counts = np.random.default_rng(seed).poisson(level * exposure / exposure.mean()).astype(float)
    late = 0.06 * np.broadcast_to(counts.mean(axis=0), counts.shape)
    return counts, exposure, np.full_like(exposure, 1000.0), late


@pytest.mark.parametrize("level", [3e-3, 3e-2, 0.3])
def test_late_events_never_take_the_background_over(level):
    """Columns that hold the few counts there are would explain them all, and leave nothing elsewhere."""
    counts, *shapes = planes(level)
    used = np.ones(counts.shape, bool)
    fitted = fit_background(counts, tuple(shapes), np.zeros_like(counts), used, None)
    assert fitted.image.sum() == pytest.approx(counts.sum(), rel=3 / counts.sum() ** 0.5)
    assert 0.5 < fitted.streak < 1.5
    assert fitted.image.min() > 0.3 * fitted.image.mean() * shapes[0].min() / shapes[0].mean()


@pytest.mark.parametrize("level", [5e-3, 5e-2])
def test_chance_is_not_cut_out_of_a_blank_field(level):
    """A single count in a field of few stands high above the background, and is background."""
    ratios = []
    for seed in range(6):
        counts, exposure, flat, _ = planes(level, seed)
        sky = Sky([SearchMap(counts, exposure, flat, None, GRID, EPIC_KING["mos1"], 1000.0, (10.0, 20.0))])
        first_backgrounds(sky)
        ratios.append(sky.backgrounds[0].image.sum() / (level * exposure / exposure.mean()).sum())
    assert np.mean(ratios) == pytest.approx(1, abs=3 / np.sqrt(6 * level * SIZE**2) + 0.02)
