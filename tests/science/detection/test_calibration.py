"""How calibrated detection is, on fields of known truth drawn by benchmarks/detection_calibration.py."""

import runpy
from types import SimpleNamespace

import numpy as np
import pytest

from xphotfn.science.detection.search import search


@pytest.fixture(scope="module")
def calibration(project_root):
    """The script that draws the fields."""
    return SimpleNamespace(**runpy.run_path(str(project_root / "benchmarks" / "detection_calibration.py")))


def cut(maps, side=110, first=200):
    """Return the middle of maps, which is faster."""
    from attrs import evolve

    part = np.s_[first : first + side, first : first + side]
    grid = maps[0].grid
    grid = evolve(grid, nx=side, ny=side, crpix1=grid.crpix1 - first, crpix2=grid.crpix2 - first)
    return [m._replace(counts=m.counts[part], exposure=m.exposure[part], flat=m.flat[part], grid=grid) for m in maps]


def test_a_blank_field_is_blank(calibration):
    """The middle of a blank field, 64 arcmin2: at DET_ML 5, 1.5 are expected."""
    maps = cut(calibration.drawn(10.0, np.random.default_rng([31, 0])))
    values = [f.det_ml for f in search(maps, threshold=5).sources]
    assert len(values) <= 7
    assert max(values, default=0) < 14


def test_points_are_found_with_their_rates(calibration):
    """Four points of 60 counts, drawn with cores 5 % wider than those of the fit."""
    rng = np.random.default_rng(32)
    places = [(225 + 55 * i + rng.uniform(), 225 + 55 * j + rng.uniform()) for i in range(2) for j in range(2)]
    rates = 60 / calibration.counts_per_rate(10.0, *np.array(places).T)
    points = [(*place, rate) for place, rate in zip(places, rates, strict=True)]
    found = search(cut(calibration.drawn(10.0, rng, points, core_factor=1.05)), threshold=10).sources
    for x, y, _ in points:
        assert min(np.hypot(f.source.x + 200 - x, f.source.y + 200 - y) for f in found) < 1.0
    assert all(f.source.u == 0 for f in found)
    assert len(found) == 4


@pytest.mark.slow
def test_blank_fields_in_number(calibration):
    row = calibration.blank(10.0, 40)
    at_six, _, _, at_ten, extended = (float(v) for v in row[2:7])
    assert 4 <= at_six <= 8
    assert at_ten <= 0.3
    assert extended <= 0.1
    assert all(abs(float(v) - 1) < 0.015 for v in row[7].split(", "))


@pytest.mark.slow
def test_log_n_log_s_is_found(calibration):
    hits, rows, totals = calibration.sky(10.0, 4)
    for low, high, least in ((12, 18, 0.6), (18, 27, 0.83), (27, 1e9, 0.95)):
        part = hits[(hits[:, 0] >= low) & (hits[:, 0] < high), 1]
        assert part.mean() >= least
    assert float(totals[3]) <= 8
    bright = rows[rows[:, 0] >= 20]
    assert abs(np.median(bright[:, 6]) - 1) < 0.04


@pytest.mark.slow
def test_bright_clusters_of_any_shape_are_one_object(calibration):
    rng = np.random.default_rng(17)
    for pieces in ([(250, 260, 60, 0.9, 25e3)], [(250, 260, 8, 2 / 3, 6e3), (250, 260, 60, 2 / 3, 19e3)]):
        row = calibration.objects("cluster", calibration.beta_light(20.0, pieces), rng)
        assert row[2] == 1
        assert row[3] <= 1
