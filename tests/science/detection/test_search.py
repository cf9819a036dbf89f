"""The science of detection on arrays: expected values are closed formulas, other routines and simulations."""

from functools import cache

import numpy as np
import pytest
from attrs import evolve
from scipy import ndimage, optimize, stats

from xphotfn.records.grid import PixelGrid
from xphotfn.records.source_list import LARGEST_EXTENT
from xphotfn.science.detection.background import fit_background
from xphotfn.science.detection.fit import FittedSource, Shape, Window, errors_of, fit_sources, light_of_source
from xphotfn.science.detection.judging import judged
from xphotfn.science.detection.likelihood import detection_likelihood, expected_false, extent_likelihood
from xphotfn.science.detection.objects import joined_pieces
from xphotfn.science.detection.score import Score, kernel_of, score_maps, significance_of
from xphotfn.science.detection.search import _uncovered, first_backgrounds, search, weight_in_background
from xphotfn.science.detection.search_map import EllipticalSpread, SearchMap, shape_at
from xphotfn.science.detection.sky import Sky
from xphotfn.science.detection.templates import at, extent_at, king_profiles, place_of, step_of
from xphotfn.science.king import EPIC_KING
from xphotfn.simulate.psf import blurred_beta_model, point_spread

KING = (4.72, 1.457)
SIDE = 150
GRID = PixelGrid(
    nx=SIDE, ny=SIDE, crpix1=SIDE / 2, crpix2=SIDE / 2, ra_deg=10.0, dec_deg=20.0, cdelt1_deg=-4.35 / 3600,
    cdelt2_deg=4.35 / 3600,
)  # fmt: skip


def test_likelihoods_are_minus_the_logarithm_of_the_chance():
    difference, parameters = np.array([0.0, 3.0, 20.0, 300.0]), np.array([2, 3, 5, 11])
    chance = stats.chi2.sf(difference, parameters)
    assert np.allclose(detection_likelihood(difference, parameters), -np.log(chance), rtol=1e-12)
    assert np.allclose(extent_likelihood(difference[1:]), -np.log(stats.chi2.sf(difference[1:], 1) / 2), rtol=1e-12)
    two = np.array([1000.0, 1300.0, 50000.0])
    assert np.allclose(detection_likelihood(two, 2), two / 2)  # Q(1, L) is exp(-L)
    near, far = detection_likelihood([1199.999, 1200.001], 5)
    assert far - near == pytest.approx(0.001, rel=0.02)
    assert expected_false(7.0, 350.0) == pytest.approx(expected_false(6.0, 700.0) / 2 / np.e)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.45)])
def test_profiles_of_points_are_the_integrals_over_pixels(shift):
    steps = np.arange(-60.0, 61.0)
    dx, dy = steps - shift[0], (steps - shift[1])[:, None]
    expected = point_spread(dx, dy, GRID, KING)
    (found,) = at(place_of(dx**2 + dy**2)[0], king_profiles(*KING, 4.35).light[0])
    inside = dx**2 + dy**2 < 65**2  # all light lies within 300 arcsec, 69 pixels
    assert np.allclose(found[inside], expected[inside], rtol=4e-3)


@pytest.mark.parametrize("core", [15.0, 60.0])
def test_profiles_of_clusters_are_convolved_beta_models(core):
    middle = (SIDE - 1) / 2
    expected = blurred_beta_model(GRID, (middle, middle), core, 2 / 3, KING)
    y, x = np.indices(expected.shape) - middle
    near = np.hypot(x, y) < 3 * core / 4.35
    (found,) = at(place_of(x**2 + y**2)[0], king_profiles(*KING, 4.35).row(step_of(core))[0])
    assert np.allclose(found[near], expected[near], rtol=0.02)
    assert extent_at(step_of(core)) == pytest.approx(core)


def test_scores_are_the_sums_that_define_them():
    rng = np.random.default_rng(1)
    exposure = np.where(rng.random((40, 50)) < 0.1, 0.0, rng.uniform(1e3, 2e3, (40, 50)))
    background = 1e-4 * exposure
    counts = rng.poisson(background).astype(float)
    kernel = kernel_of(king_profiles(*KING, 4.35), step_of(10.0), 6)
    (score,) = score_maps(counts, exposure, background, [kernel])
    live = exposure > 0
    b = np.where(live, background, 1.0)
    planes = (exposure * (counts - b) / b * live, exposure**2 / b, exposure**3 / b**2)
    for power, (found, plane) in enumerate(zip(score, planes, strict=True), start=1):
        expected = ndimage.correlate(plane, kernel**power, mode="constant")
        assert np.allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("n", [0, 1, 8, 60])
def test_the_significance_of_one_pixel_is_the_poisson_likelihood_ratio(n):
    b, e = 2.5, 700.0
    one = [np.array([v]) for v in (e * (n - b) / b, e**2 / b, e**3 / b**2)]
    log = n * np.log(n / b) if n else 0.0
    expected = np.sign(n - b) * np.sqrt(2 * (log - n + b))
    assert float(significance_of(Score(*one))[0]) == pytest.approx(expected, rel=1e-6)


def test_the_background_is_that_of_both_components():
    rng = np.random.default_rng(2)
    y, x = np.indices((200, 200)) - 99.5
    flat = np.where(np.hypot(x, y) < 95, 1000.0, 0.0)
    exposure = flat * (1 - 0.6 * np.hypot(x, y) / 95)
    truth = 1e-4 * exposure + 5e-5 * flat
    sources = np.where(np.hypot(x - 20, y) < 4, 3.0, 0.0)
    counts = rng.poisson(truth + sources).astype(float)
    fit = fit_background(counts, (exposure, flat, None), sources, np.ones(counts.shape, bool), None)
    assert abs(fit.vignetted - 1e-4) < 3 * fit.vignetted_error < 1e-4
    assert abs(fit.flat - 5e-5) < 3 * fit.flat_error
    assert fit.image.sum() + sources.sum() == pytest.approx(counts.sum(), rel=0.01)
    slow = fit_background(counts, (exposure, flat, None), sources, np.ones(counts.shape, bool), 30.0)
    assert np.std(slow.image[flat > 0] / truth[flat > 0]) < 0.06
    assert slow.image.sum() + sources.sum() == pytest.approx(counts.sum(), rel=0.01)
    bright = fit_background(rng.poisson(1e-4 * exposure + sources).astype(float), (exposure, flat, None), sources,
                            np.ones(counts.shape, bool), None)  # fmt: skip
    assert bright.flat >= 0


@cache
def _window():
    """Two overlapping points on two maps, one of them turned and displaced."""
    rng = np.random.default_rng(3)
    profiles = (king_profiles(*KING, 4.35), king_profiles(4.0, 1.43, 4.35))
    turn = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.96, -0.28], [0.28, 0.96]]])
    shape = Shape(profiles, np.array([np.eye(2), [[0.9, 0.0], [0.0, 1.1]]]), np.array([[0.0, 0.0], [2.0, -1.0]]), turn)
    y, x = (v.ravel().astype(float) - 12 for v in np.indices((25, 25)))
    window = Window(*(np.zeros((2, 625)) for _ in range(3)), np.array([x, x + 2]), np.array([y, y - 1]))
    window = window._replace(exposure=np.full((2, 625), 1000.0), background=np.full((2, 625), 0.3))
    truth = (
        FittedSource(-2.0, 1.0, 0.0, np.array([0.3, 0.1]), False, shape),
        FittedSource(3.5, -1.0, step_of(12.0), np.array([0.4, 0.3]), True, shape),
    )
    model = window.background + sum(
        window.exposure * light_of_source(window, s).value * s.rates[:, None] for s in truth
    )
    return window._replace(counts=rng.poisson(model).astype(float)), truth


def test_fits_find_what_a_general_minimiser_finds():
    window, truth = _window()
    start = tuple(s._replace(x=s.x + 0.7, y=s.y - 0.6, rates=s.rates * 0.5) for s in truth)
    start = (start[0], start[1]._replace(u=step_of(6.0)))
    found, best = fit_sources(window, start, last_u=step_of(LARGEST_EXTENT))

    def statistic(p):
        sources = (truth[0]._replace(x=p[0], y=p[1], rates=np.exp(p[5:7])),
                   truth[1]._replace(x=p[2], y=p[3], u=p[4], rates=np.exp(p[7:9])))  # fmt: skip
        light = sum(light_of_source(window, s).value * s.rates[:, None] for s in sources)
        model = window.background + window.exposure * light
        return 2 * np.sum(model - window.counts * np.log(model))

    first = [truth[0].x, truth[0].y, truth[1].x, truth[1].y, truth[1].u]
    result = optimize.minimize(statistic, [*first, *np.log([*truth[0].rates, *truth[1].rates])], method="L-BFGS-B")
    assert best == pytest.approx(result.fun, abs=0.02)
    assert [found[0].x, found[0].y, found[1].x, found[1].y] == pytest.approx(result.x[:4], abs=0.03)
    for source, own, (places, rates) in zip(found, truth, errors_of(window, found), strict=True):
        assert abs(source.x - own.x) < 4 * places[0] < 2.0
        assert np.all(np.abs(source.rates - own.rates) < 4 * rates)


def _simulated(seed, points, cluster=None):
    """Two maps drawn with another routine than the fit's, on grids whose pixels differ by a part of one."""
    rng = np.random.default_rng(seed)
    maps = []
    for camera, moved in (("pn", 0.0), ("mos1", 0.4)):
        grid = PixelGrid(**{**{n: getattr(GRID, n) for n in ("nx", "ny", "crpix2", "ra_deg", "dec_deg", "cdelt1_deg", "cdelt2_deg")}, "crpix1": GRID.crpix1 + moved})  # fmt: skip  # noqa: E501
        y, x = np.indices(grid.shape)
        exposure = np.where(np.hypot(x - 75, y - 75) < 72, 2e4, 0.0)
        king = (4.035, 1.4286) if camera == "pn" else (4.84, 1.461)
        rate = sum(r * point_spread(x - px - moved, y - py, grid, king) for px, py, r in points)
        if cluster is not None:
            rate = rate + cluster[3] * blurred_beta_model(
                grid, (cluster[0] + moved, cluster[1]), cluster[2], 2 / 3, king
            )
        counts = rng.poisson(exposure * (5e-6 + rate)).astype(float)
        maps.append(SearchMap(counts, exposure, exposure, None, grid, EPIC_KING[camera], 1000.0, (10.0, 20.0)))
    return maps


def test_a_search_finds_points_and_a_cluster_and_nothing_else():
    points = [
        (40, 50, 0.005),
        (43.4, 50.5, 0.005),
        (100.3, 40.7, 0.002),
        (60, 110, 0.02),
    ]  # the first two 15 arcsec apart
    found = search(_simulated(5, points, (105, 95, 20.0, 0.03)), threshold=10)
    places = np.array([(f.source.x, f.source.y) for f in found.sources])
    assert len(found.sources) == 5
    for x, y, _ in points:
        assert np.hypot(*(places - (x, y)).T).min() < 0.7
    (wide,) = [f for f in found.sources if f.source.u > 0]
    assert np.hypot(wide.source.x - 105, wide.source.y - 95) < 1.5
    assert extent_at(wide.source.u) == pytest.approx(20.0, rel=0.2)
    assert wide.source.rates == pytest.approx([0.03, 0.03], rel=0.15)
    assert [f.det_ml for f in found.sources] == sorted((f.det_ml for f in found.sources), reverse=True)


def test_a_bright_pair_is_two_sources():
    """15 arcsec apart, one half as bright: neither may be taken for the wings of the other."""
    found = search(_simulated(7, [(60, 60, 0.05), (63.3, 60.4, 0.025)])[:1], threshold=10).sources
    assert [(round(f.source.x), round(f.source.y)) for f in found] == [(60, 60), (63, 60)]
    assert [float(f.source.rates[0]) for f in found] == pytest.approx([0.05, 0.025], rel=0.1)
    assert found[0].det_ml > 2 * found[1].det_ml > 100


def test_an_extended_source_and_a_point_beside_it_are_two():
    """15 arcsec apart, the point with a fifth of the light."""
    found = search(_simulated(8, [(60, 60, 0.007)], (63.1, 61.5, 20.0, 0.035))[:1], threshold=10).sources
    (point,), (wide,) = ([f for f in found if (f.source.u > 0) == extended] for extended in (False, True))
    assert np.hypot(point.source.x - 60, point.source.y - 60) < 1
    assert point.source.rates == pytest.approx([0.007], rel=0.35)
    assert np.hypot(wide.source.x - 63.1, wide.source.y - 61.5) < 1.5
    assert extent_at(wide.source.u) == pytest.approx(20.0, rel=0.2)


def test_two_faint_points_are_no_extended_source():
    """Eight pairs of 30 and 24 counts, 17 arcsec apart in all directions."""
    angles = np.arange(8) * np.pi / 8
    places = [(35 + 27 * (n % 4), 50 + 45 * (n // 4)) for n in range(8)]
    points = [
        (x + way * 2 * np.cos(angle), y + way * 2 * np.sin(angle), 0.00135 + 0.00015 * way)
        for (x, y), angle in zip(places, angles, strict=True)
        for way in (-1, 1)
    ]
    found = search(_simulated(9, points)[:1], threshold=6).sources
    assert len(found) >= 12
    assert all(f.source.u == 0 for f in found)


def test_a_faint_map_takes_nothing_from_the_significance():
    """Source and background are ten times as bright in one map: both together are as significant as their squares."""
    rates = []
    for part in (1.0, 0.1):
        y, x = np.indices(GRID.shape)
        exposure = np.full(GRID.shape, 2e4)
        level = 5e-6 * part * exposure
        light = 0.002 * part * exposure * point_spread(x - 75, y - 75, GRID, (4.035, 1.4286))
        rates.append(SearchMap(level + light, exposure, None, None, GRID, EPIC_KING["pn"], 1000.0, (10.0, 20.0)))

    def significance(maps):
        sky = Sky(maps, slow_arcmin=None)
        sky.fit_backgrounds([np.hypot(x - 75, y - 75) > 60 for _ in maps])
        return float(sky.significances((0.0,))[0][75, 75])

    alone = [significance([item]) for item in rates]
    assert alone[0] > 2.5 * alone[1] > 2.5
    assert significance(rates) == pytest.approx(np.hypot(*alone), rel=0.01)
    assert significance(rates[::-1]) == pytest.approx(np.hypot(*alone), rel=0.01)


def test_a_wide_source_and_the_background_share_the_light_as_they_are():
    """Counts as expected, without noise: a cluster as wide as the slow part of the background may follow."""
    y, x = np.indices(GRID.shape)
    live = np.hypot(x - 75, y - 75) < 73
    light = live * 900 * blurred_beta_model(GRID, (65.0, 80.0), 80.0, 2 / 3, KING)
    exposure = np.where(live, 1e4, 0.0)
    item = SearchMap(0.1 * live + light, exposure, exposure, None, GRID, EPIC_KING["mos1"], 1000.0, (10.0, 20.0))
    found = search([item], threshold=8)
    (wide,) = [f.source for f in found.sources]
    assert extent_at(wide.u) == pytest.approx(80.0, rel=0.02)
    assert float(wide.rates[0]) == pytest.approx(0.09, rel=0.03)
    assert found.sky.backgrounds[0].image[live] == pytest.approx(0.1, rel=0.015)


def test_a_map_cut_in_two_is_as_significant_as_the_whole():
    """Beside a source that is drawn, whose error is one of both halves."""
    (item,) = _simulated(11, [(60, 60, 0.05), (65, 61, 0.001)])[:1]
    item = item._replace(camera="pn", observation="1")
    half = item._replace(counts=item.counts / 2, exposure=item.exposure / 2, flat=item.flat / 2)
    drawn = FittedSource(60.0, 60.0, 0.0, np.array([0.05]), False, shape_at([item], 60.0, 60.0, 0.0))
    maps = []
    for parts in ([item], [half, half]):
        sky = Sky(parts, slow_arcmin=None)
        sky.fit_backgrounds([np.hypot(x - 60, y - 60) > 20 for y, x in [np.indices(GRID.shape)] * len(parts)])
        shape = shape_at(parts, 60.0, 60.0, 0.0)
        sky.draw(drawn._replace(rates=np.full(len(parts), 0.05), shape=shape))
        maps.append(sky.significances((0.0,))[0])
    assert maps[0].max() > 3
    assert np.abs(maps[1] - maps[0]).max() < 0.003


def test_sources_come_to_count_in_the_background_without_a_step():
    likelihoods = np.arange(5.0, 25.0, 0.25)
    for extended, middle in ((False, 8.0), (True, 20.0)):
        weights = np.array([weight_in_background(v, extended=extended) for v in likelihoods])
        assert weights[0] == 0
        assert weights[-1] == 1
        assert weight_in_background(middle, extended=extended) == 0.5
        assert 0 <= np.diff(weights).min() <= np.diff(weights).max() < 0.2


def test_without_extents_all_are_points_and_a_region_limits_the_search():
    maps = _simulated(6, [(40, 50, 0.01)], (105, 95, 8.0, 0.01))[:1]
    points = search(maps, threshold=10, extent=False)
    assert len(points.sources) >= 2
    assert all(f.source.u == 0 for f in points.sources)
    inside = search(maps, threshold=10, inside=lambda _, dec: dec < 20.0)
    assert [round(f.source.x) for f in inside.sources] == [40]


def test_the_long_axis_lies_across_the_direction_to_the_optical_axis():
    spread = EllipticalSpread(profile=EPIC_KING["pn"], axis_ratios=[(0, 1), (5, 2.0)])
    item = SearchMap(np.zeros(GRID.shape), np.ones(GRID.shape), None, None, GRID, spread, 1000.0, (10.0, 20.0))
    shape = shape_at([item], 140.0, 75.0, 0.0)  # to the right of the axis
    y, x = (v.ravel().astype(float) for v in np.indices(GRID.shape))
    window = Window(*(np.zeros((1, x.size)) for _ in range(3)), x[None], y[None])
    light = light_of_source(window, FittedSource(140.0, 75.0, 0.0, np.ones(1), False, shape)).value.reshape(GRID.shape)
    across, along = light[75 - 4, 140], light[75, 140 - 4]
    assert across > 1.5 * along
    assert shape_at([item], 140.0, 75.0, step_of(60.0)).stretch[0] == pytest.approx(np.eye(2), abs=0.12)
    steps = np.arange(-200.0, 201.0)
    big = Window(*(np.zeros((1, 401**2)) for _ in range(3)), np.tile(steps, 401)[None] + 140, np.repeat(steps, 401)[None] + 75)  # fmt: skip  # noqa: E501
    assert light_of_source(big, FittedSource(140.0, 75.0, 0.0, np.ones(1), False, shape)).value.sum() == pytest.approx(
        1, abs=0.02
    )


def test_pieces_that_run_into_each_other_are_one_object():
    y, x = np.indices((60, 80))
    ratio = (
        3.0 * (np.hypot(x - 20, y - 30) < 8)
        + 2.0 * (np.hypot(x - 32, y - 30) < 6)
        + 4.0 * (np.hypot(x - 65, y - 20) < 5)
    )
    objects = joined_pieces(ratio, [(20, 30), (32, 30), (65, 20), (10, 5)], 1.0)
    assert [members for members, _ in objects] == [(0, 1), (2,), (3,)]
    assert not objects[2][1].any()
    assert objects[0][1].sum() == np.count_nonzero((ratio > 1) & (x < 50))


def test_points_that_a_source_covered_come_back_when_it_is_none():
    """A wide source that took the light of two points and was then left out does not take them with it."""
    (item, _) = _simulated(3, [(60.0, 75.0, 0.004), (80.0, 75.0, 0.004)])
    sky = Sky([item])
    first_backgrounds(sky)
    wide = FittedSource(70.0, 75.0, step_of(60.0), np.array([0.02]), True, shape_at([item], 70.0, 75.0, step_of(60.0)))
    covering = judged(sky, sky.window_of([wide]), (wide,), 0, 20.0)
    assert _uncovered(sky, (covering,), (covering,), 9.0) == (covering,)  # it stays: nothing to look for
    found = _uncovered(sky, (covering,), (), 9.0)
    assert sorted(round(f.source.x) for f in found) == [60, 80]


def test_an_uneven_background_is_no_wide_source():
    """A bump of 2.9 arcmin and 80 %, flatter than any source; a cluster of 60 arcsec on the same background stays."""
    y, x = np.indices(GRID.shape)
    live = np.hypot(x - 75, y - 75) < 73
    level = 0.1 * (1 + 0.8 * np.exp(-((x - 90) ** 2 + (y - 60) ** 2) / 2 / 40**2))
    light = 1500 * blurred_beta_model(GRID, (65.0, 80.0), 60.0, 2 / 3, KING)
    for extra, number in ((0.0, 0), (light, 1)):
        counts = np.random.default_rng(1).poisson((level + extra) * live).astype(float)
        exposure = np.where(live, 1e4, 0.0)
        item = SearchMap(counts, exposure, exposure, None, GRID, EPIC_KING["mos1"], 1000.0, (10.0, 20.0))
        wide = [f for f in search([item], threshold=8).sources if f.source.u > 0]
        assert len(wide) == number
    assert np.hypot(wide[0].source.x - 65, wide[0].source.y - 80) < 4


@pytest.mark.parametrize(("counts", "core"), [(150, 20.0), (120, 12.0)])
def test_an_extended_source_beside_a_point_is_found(counts, core):
    """As expected, without noise: 3 pixels beside a point of 100 counts; one source in place of both has 5 arcsec."""
    y, x = np.indices((100, 100))
    grid, king = evolve(GRID, nx=100, ny=100, crpix1=50, crpix2=50), (4.035, 1.4286)
    mean = 0.18 + counts * blurred_beta_model(grid, (50.3, 49.6), core, 2 / 3, king)
    mean += 100 * point_spread(x - 52.0, y - 52.0, grid, king)
    seconds = np.full(mean.shape, 1e4)
    image = SearchMap(mean, seconds, None, None, grid, EPIC_KING["pn"], 1000.0, (10.0, 20.0))
    wide, point = sorted((f.source for f in search([image], threshold=10).sources), key=lambda s: -s.u)
    assert np.hypot(wide.x - 50.3, wide.y - 49.6) < 0.3
    assert extent_at(wide.u) == pytest.approx(core, rel=0.1)
    assert wide.rates[0] * 1e4 == pytest.approx(counts, rel=0.1)
    assert np.hypot(point.x - 52.0, point.y - 52.0) < 0.3
    assert point.u == 0
