"""Detection on rate maps: the list, its order, and what is refused."""

import astropy.units as u
import numpy as np
import pytest
from attrs import evolve

import xphotfn as xp
from xphotfn.epic.map_search import find_sources
from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.io.write import write_image
from xphotfn.records.grid import PixelGrid
from xphotfn.records.source import SourceFlag
from xphotfn.science.detection.tiles import tiles_of
from xphotfn.science.king import EPIC_KING
from xphotfn.simulate.psf import blurred_beta_model, point_spread
from xphotfn.testing.examples import example_field, example_rate_map, example_source_list

SIDE, MIDDLE = 140, 69.5
POINTS = ((90.3, 100.8, 150.0), (40.0, 52.2, 90.0), (60.5, 110.0, 50.0))  # column, row, counts
KING = (4.035, 1.4286)  # of pn
SECONDS, LEVEL = 1000.0, 0.05


def arrays():
    """Counts and exposure: three points, a cluster of 600 counts in the middle, flat background on a disc."""
    grid = small_grid()
    y, x = np.indices(grid.shape)
    live = np.hypot(x - MIDDLE, y - MIDDLE) < 66
    model = LEVEL + 600 * blurred_beta_model(grid, (MIDDLE, MIDDLE), 15.0, 2 / 3, KING)
    model = model + sum(n * point_spread(x - px, y - py, grid, KING) for px, py, n in POINTS)
    return np.random.default_rng(4).poisson(model * live).astype(np.int32), np.where(live, SECONDS, 0).astype(
        np.float32
    )


def small_grid():
    """A grid of a corner of EPIC's."""
    return evolve(PixelGrid.from_sky_range(10.0, 20.0), nx=SIDE, ny=SIDE, crpix1=70.5, crpix2=70.5)


def changed(tmp_path, *, image=lambda n: n, exposure=lambda e: e, **identity):
    """A rate map of these arrays, changed, with other names."""
    original, parts = example_rate_map(), {}
    for kind, data in zip(
        ("image", "exposure"), (f(a) for f, a in zip((image, exposure), arrays(), strict=True)), strict=True
    ):
        product = getattr(original, kind)
        path = tmp_path / f"{kind}_{'_'.join(map(str, identity.values()))}.fits"
        write_image(path, data, small_grid(), overwrite=True)
        parts[kind] = evolve(product, path=str(path), grid=small_grid(), **identity)
    return xp.RateMap(**parts)


@pytest.fixture(scope="module")
def rate_map(tmp_path_factory):
    """The rate map as it is."""
    return changed(tmp_path_factory.mktemp("detection"))


@pytest.fixture(scope="module")
def found(rate_map):
    """Its sources."""
    return xp.detect_sources(rate_map)


def test_its_sources_are_found(rate_map, found):
    places = np.array([(s.x, s.y) for s in found])
    assert len(found) == 4
    for *place, _ in POINTS:
        assert np.hypot(*(places - place).T).min() < 0.7
    (cluster,) = found.extended
    assert cluster.object_number == found.objects[0].number
    assert cluster.counts == pytest.approx(600, rel=0.2)
    assert found.expected_false == pytest.approx(1900 * np.exp(-10) * np.pi * 66**2 * (4.35 / 60) ** 2 / 700, rel=0.02)
    assert found.maps[0].instrument == "pn"
    assert not any(s.flags & SourceFlag.LOW_COVERAGE for s in found)
    x, y = xp.coord_conv(rate_map, found[0].position, "pix", rounded=False).value
    assert (x, y) == pytest.approx((found[0].x, found[0].y), abs=1e-6)


@pytest.fixture(scope="module")
def halves(tmp_path_factory, rate_map):
    """The rate map cut in two exposures, and their sources."""
    folder, whole = tmp_path_factory.mktemp("halves"), np.array(rate_map.image.data)
    first = np.random.default_rng(2).binomial(whole, 0.5).astype(whole.dtype)
    pair = [
        changed(folder, image=lambda _, n=n: n, exposure=lambda e: e / 2, exposure_id=name)
        for n, name in ((first, "S001"), (whole - first, "S002"))
    ]
    return pair, xp.detect_sources(pair)


def test_the_same_for_any_order_of_maps(halves):
    pair, one = halves
    other = xp.detect_sources(pair[::-1])
    assert one == other
    assert repr(tuple(one)) == repr(tuple(other))
    assert len(one.maps) == 2


def test_two_halves_together_are_the_whole(tmp_path, halves, found):
    """Exposures of one camera in one observation share their rates: cut in two, a source has the same DET_ML."""
    pair, together = halves
    assert len(together) == len(found)
    for one, other in zip(together, found, strict=True):
        assert one.det_ml == pytest.approx(other.det_ml, abs=0.5)
        assert (one.x, one.y) == pytest.approx((other.x, other.y), abs=0.05)
        assert one.rate == pytest.approx(other.rate, rel=0.01)
        assert one.rate_error == pytest.approx(other.rate_error, rel=0.02)
        assert one.counts_error == pytest.approx(other.counts_error, rel=0.02)
        assert one.rates[0].rate == pytest.approx(one.rates[1].rate)
    apart = xp.detect_sources([pair[0], changed(tmp_path, obs_id="0999990102")], extent=False)
    assert apart[0].rates[0].rate != pytest.approx(apart[0].rates[1].rate, rel=1e-3)


def test_the_map_of_significance_and_the_background(rate_map, found):
    point, wide = xp.detection_map(rate_map), xp.detection_map(rate_map, scale=30 * u.arcsec)
    assert point.shape == rate_map.grid.shape
    assert point[101, 90] > 10
    assert wide[70, 70] > point[70, 70]
    y, x = np.indices(point.shape)
    far = [np.hypot(x - a, y - b) > 12 for a, b, _ in (*POINTS, (MIDDLE, MIDDLE, 0))]
    blank = np.logical_and.reduce([rate_map.sensor_mask, *far])
    assert 0.7 < np.std(point[blank]) < 1.2
    background = xp.background_map(rate_map, sources=found)
    assert background[blank].mean() == pytest.approx(LEVEL, rel=0.06)
    assert np.all(background[~rate_map.sensor_mask] == 0)
    assert np.all(background[rate_map.sensor_mask] > 0)
    assert np.allclose(xp.detection_map(rate_map, backgrounds=[xp.background_map(rate_map)]), point)


def test_one_image_under_two_names_is_refused_in_a_tile_too(tmp_path):
    """Tiles take a part of each map, one after the other: a step of a plan has one of them."""
    maps = [changed(tmp_path, exposure_id=name) for name in ("S001", "S004")]
    tile = next(iter(tiles_of(np.array([10.0]), np.array([20.0]))))
    with pytest.raises(InvalidRecord, match=r"image_S001.fits and .*image_S004.fits hold the same counts"):
        find_sources(maps, tile=tile)


def turned(pair):
    """The map as of a camera that points elsewhere."""
    grid = evolve(pair.grid, ra_deg=pair.grid.ra_deg + 180, dec_deg=40.0)
    return xp.RateMap(image=evolve(pair.image, grid=grid), exposure=evolve(pair.exposure, grid=grid))


def refused(tmp_path):
    pair = changed(tmp_path)
    off = {"image": lambda n: np.where(np.indices(n.shape).sum(axis=0) == 5, 50, n)}
    other = changed(tmp_path, exposure_id="S009", band=xp.energy_band(2 * u.keV, 10 * u.keV))
    target = changed(tmp_path, exposure_id="S008", target="another")
    return {
        "none": ([], xp.InvalidRecord, "needs a rate map"),
        "twice": ([pair, pair], xp.InvalidRecord, "got one twice"),
        "bands": ([pair, other], xp.InvalidRecord, "several bands"),
        "apart": ([pair, turned(changed(tmp_path, exposure_id="S010"))], xp.InvalidRecord, "but point 120 deg"),
        "infinite": (
            [changed(tmp_path, image=lambda n: np.where(n == n.max(), np.inf, n), exposure_id="S011")],
            xp.InvalidRecord,
            "holds counts that are infinite",
        ),
        "targets": ([pair, target], xp.InvalidRecord, "several targets"),
        "off the map": ([changed(tmp_path, **off)], xp.InvalidRecord, "no exposure"),
        "no live pixel": ([changed(tmp_path, exposure=lambda e: 0 * e, exposure_id="S007")], xp.NoData, "no pixel"),
        "no count": ([changed(tmp_path, image=lambda n: 0 * n, exposure_id="S006")], xp.NoData, "no count"),
        "the same image": (
            [changed(tmp_path, exposure_id=name) for name in ("S001", "S004")],
            xp.InvalidRecord,
            "hold the same counts",
        ),
        "an image": (pair.image, xp.InvalidRecord, "expected RateMap"),
        "negative counts": (
            [changed(tmp_path, image=lambda n: n - 3, exposure_id="S003")],
            xp.InvalidRecord,
            "whole counts",
        ),
        "half counts": (
            [changed(tmp_path, image=lambda n: n / 2, exposure_id="S005")],
            xp.InvalidRecord,
            "whole counts",
        ),
    }


@pytest.mark.parametrize("case", ["none", "twice", "bands", "apart", "infinite", "targets", "off the map", "no live pixel", "no count", "half counts", "negative counts", "the same image", "an image"])  # fmt: skip  # noqa: E501
def test_what_cannot_be_searched_is_refused(tmp_path, case):
    maps, error, words = refused(tmp_path)[case]
    with pytest.raises(error, match=words):
        xp.detect_sources(maps)


def test_wrong_options_are_refused(rate_map):
    region = xp.Region(shape="circle", frame="fk5", x=10, y=60, size=(0.01,), colour="red")
    for threshold in (np.nan, 0, -1, 1, 1e9, "ten", None, 10 * u.s):
        with pytest.raises(xp.InvalidRecord, match="threshold must be a likelihood"):
            xp.detect_sources(rate_map, threshold=threshold)
    with pytest.raises(xp.NoData, match="within holds no live pixel"):
        xp.detect_sources(rate_map, within=region)
    for scale in (0, -4, np.nan):
        with pytest.raises(xp.InvalidRecord, match="scale must be above 0"):
            xp.background_map(rate_map, scale=scale * u.arcmin)
    with pytest.raises(xp.InvalidRecord, match="expected SourceList"):
        xp.background_map(rate_map, sources=3)
    with pytest.raises(xp.InvalidRecord, match="unvignetted must be finite"):
        xp.background_map(rate_map, unvignetted=np.full(rate_map.grid.shape, np.nan))
    for options, words in (
        ({"within": "centre"}, "expected Region"),
        ({"extent": "no"}, "True or False"),
        ({"psf": None}, "psf must be"),
        ({"psf": 3}, "psf must be"),
        ({"psf": {"mos1": "epic"}}, "no entry"),
    ):
        with pytest.raises(xp.InvalidRecord, match=words):
            xp.detect_sources(rate_map, **options)
    with pytest.raises(xp.InvalidRecord, match="scale"):
        xp.detection_map(rate_map, scale=500 * u.arcsec)
    with pytest.raises(xp.ShapeMismatch, match="backgrounds"):
        xp.detection_map(rate_map, backgrounds=[])
    with pytest.raises(xp.ShapeMismatch, match="unvignetted"):
        xp.background_map(rate_map, unvignetted=np.ones((3, 3)))


def test_a_hot_column_is_flagged(tmp_path):
    """A column of 4 counts more a pixel: what is found on it says so, and nothing else does."""
    rows, columns = np.indices((SIDE, SIDE))
    hot = changed(tmp_path, image=lambda n: n + 4 * ((columns == 110) & (rows > 40) & (rows < 100)))
    sources = xp.detect_sources(hot)
    on = [s for s in sources if abs(s.x - 110) < 3 and 38 < s.y < 102]  # the ends too, where one half is short
    assert on
    assert all(s.flags & SourceFlag.HOT_COLUMN for s in on)
    assert not any(s.flags & SourceFlag.HOT_COLUMN for s in sources if abs(s.x - 110) > 15)


def test_maps_of_other_pixels_or_units_are_refused(tmp_path, rate_map):
    wide = evolve(small_grid(), cdelt1_deg=2 * small_grid().cdelt1_deg, cdelt2_deg=2 * small_grid().cdelt2_deg)
    fine = changed(tmp_path, exposure_id="S002")
    parts = [evolve(p, grid=wide) for p in (fine.image, fine.exposure)]
    with pytest.raises(xp.ShapeMismatch, match="pixels of one size, got 4.35 and 8.7 arcsec"):
        xp.detect_sources([rate_map, xp.RateMap(image=parts[0], exposure=parts[1])])
    other = changed(tmp_path, exposure_id="S003")
    write_image(other.exposure.path, arrays()[1], small_grid(), [("BUNIT", "cm2 s", "")], overwrite=True)
    alone = xp.detect_sources(other, extent=False, progress=False)
    assert (alone.exposure_unit, str(alone.table()["RATE"].unit)) == ("cm2 s", str(other.rate_unit))
    with pytest.raises(xp.UnitMismatch, match="one unit, got cm2 s and s"):
        xp.detect_sources([rate_map, other])


def faint(n):
    """A tenth of the counts."""
    return np.random.default_rng(5).binomial(n, 0.1).astype(n.dtype)


@pytest.mark.parametrize("step", [12, 200])
def test_ten_counts_or_one_are_no_source(tmp_path, step):
    """Counts of which none is left for the background: it is one count on all pixels, not none."""
    rows, columns = np.indices((SIDE, SIDE))
    few = changed(tmp_path, image=lambda n: ((rows == 70) & (columns % step == 70 % step)).astype(n.dtype))
    assert len(xp.detect_sources(few, extent=False)) == 0


def test_a_short_exposure_holds_its_bright_sources_alone(tmp_path):
    """A tenth of the counts: 0.005 of background a pixel, sources of 15, 9, 5 and 60 counts."""
    short = xp.detect_sources(changed(tmp_path, image=faint, exposure=lambda e: e / 10))
    first = min(short, key=lambda s: np.hypot(s.x - POINTS[0][0], s.y - POINTS[0][1]))
    assert np.hypot(first.x - POINTS[0][0], first.y - POINTS[0][1]) < 1.5
    assert first.rate == pytest.approx(0.15, abs=3 * first.rate_error)
    assert 1 <= len(short) <= 4


def window(side):
    """Whether pixels lie in a square around the first point whose edge runs through the point."""
    y, x = np.indices((SIDE, SIDE))
    return (x > POINTS[0][0]) & (x < POINTS[0][0] + side) & (np.abs(y - POINTS[0][1]) < side / 2)


def test_a_source_at_the_edge_of_a_small_window_says_so(tmp_path):
    """A window of 30 pixels whose edge cuts the brightest point in two: half of its light is on live pixels."""
    live = window(30)
    small = changed(tmp_path, image=lambda n: n * live, exposure=lambda e: e * live)
    (source,) = xp.detect_sources(small)
    assert np.hypot(source.x - POINTS[0][0], source.y - POINTS[0][1]) < 1.0
    assert source.flags & SourceFlag.AT_EDGE
    assert source.rates[0].mask_fraction == pytest.approx(0.5, abs=0.1)
    assert source.rates[0].rate == pytest.approx(0.15, abs=4 * source.rates[0].rate_error)


def test_light_that_fills_the_field_is_said(tmp_path):
    y, x = np.indices((SIDE, SIDE))
    wide = 60 / (1 + np.hypot(x - MIDDLE, y - MIDDLE) ** 2 / 12**2) ** 1.5
    full = changed(tmp_path, image=lambda n: n + np.rint(wide * (n >= 0) * (arrays()[1] > 0)).astype(n.dtype))
    with pytest.warns(UserWarning, match="extended sources cover .* % of the field"):
        found = xp.detect_sources(full, extent=True)
    assert found.is_diffuse


@pytest.mark.parametrize("scale", [0.01, None, "4"])
def test_a_size_has_its_unit(scale):
    for make in (xp.detection_map, xp.background_map):
        with pytest.raises(UnitMismatch, match="scale"):
            make(example_rate_map(), scale=scale)
    with pytest.raises(UnitMismatch, match="cut needs a unit"):
        xp.source_regions(example_source_list(), cut=15)


def test_what_no_field_holds_is_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(InvalidRecord, match="at most 600 arcmin"):
        xp.background_map(example_rate_map(), scale=1e9 * u.arcmin)
    with pytest.raises(InvalidRecord, match="at most 1e\\+07 counts"):
        xp.completeness(example_rate_map(), fluxes=1e12 * u.ct / u.s, rng=rng)
    with pytest.raises(InvalidRecord, match="trials must be a whole number"):
        xp.completeness(example_rate_map(), fluxes=1 * u.ct / u.s, trials=None, rng=rng)
    with pytest.raises(InvalidRecord, match="level must be above 0"):
        xp.source_regions(example_source_list(), level="a")


@pytest.mark.parametrize("ratios", [1.7, None, [1, 2]])
def test_an_elliptical_spread_needs_pairs(ratios):
    with pytest.raises(InvalidRecord, match="must be pairs"):
        xp.EllipticalSpread(profile=EPIC_KING["pn"], axis_ratios=ratios)


@pytest.mark.parametrize("wrong", [{"axis_ratios": [(-3, 1), (12, 1.8)]}, {"axis_ratios": [(float("nan"), 1)]}, {"profile": "epic"}, {"profile": None}])  # fmt: skip  # noqa: E501
def test_an_elliptical_spread_has_angles_from_0_and_a_profile(wrong):
    good = {"profile": EPIC_KING["pn"], "axis_ratios": [(0, 1), (12, 1.8)]}
    with pytest.raises(InvalidRecord, match=f"EllipticalSpread.{next(iter(wrong))} needs"):
        xp.EllipticalSpread(**(good | wrong))


@pytest.mark.parametrize("threshold", [np.array([10.0]), [10.0], 10 * u.s])
def test_a_threshold_is_one_number(rate_map, threshold):
    with pytest.raises(InvalidRecord, match="threshold must be a likelihood"):
        xp.detect_sources(rate_map, threshold=threshold)
    with pytest.raises(InvalidRecord, match="threshold must be a likelihood"):
        xp.plan_detection(example_field(), xp.energy_band("0.5 keV", "2 keV"), threshold=threshold)


def test_pixels_too_large_for_rates_are_said(rate_map):
    grid = evolve(rate_map.grid, cdelt1_deg=-20 / 3600, cdelt2_deg=20 / 3600)
    large = xp.RateMap(image=evolve(rate_map.image, grid=grid), exposure=evolve(rate_map.exposure, grid=grid))
    with pytest.warns(UserWarning, match="pixels of 20 arcsec are wider than 10: rates may be off"):
        xp.detect_sources(large, threshold=1000, extent=False)


def test_an_exposure_map_in_place_of_its_array_says_so(rate_map):
    with pytest.raises(InvalidRecord, match=r"unvignetted must be an array .* got ExposureMap"):
        xp.background_map(rate_map, unvignetted=rate_map.exposure)


def test_another_telescope_needs_a_spread_of_its_own(rate_map):
    parts = [evolve(p, instrument="acis") for p in (rate_map.image, rate_map.exposure)]
    with pytest.raises(InvalidRecord, match=r"give psf= of its own, a KingModel, or what \S+ makes [^,]+$"):
        xp.detect_sources(xp.RateMap(image=parts[0], exposure=parts[1]))


@pytest.mark.parametrize("wrong", [{"joint": "no"}, {"extent": "no"}, {"threshold": 1}, {"threshold": "10"}])
def test_a_plan_checks_what_a_search_checks(wrong):
    with pytest.raises(InvalidRecord, match=next(iter(wrong))):
        xp.plan_detection(example_field(), xp.energy_band("0.5 keV", "2 keV"), **wrong)


def test_several_sources_at_the_largest_extent_may_be_light_that_fills_the_field():
    example = example_source_list()
    wide = [evolve(example[0], number=n, extent_arcsec=120.0) for n in (1, 2, 3)]
    assert evolve(example, sources=wide, objects=[]).is_diffuse
    assert not evolve(example, sources=wide[:2], objects=[]).is_diffuse


def test_a_significance_map_without_a_live_pixel_has_no_data(tmp_path):
    dead = changed(tmp_path, exposure=np.zeros_like)
    with pytest.raises(xp.NoData, match="no place with exposure"):
        xp.significance_map(dead, radius=15 * u.arcsec)


HOT = {(85, 30): [[40]], (112, 70): [[1000]], (60, 30): [[10]], (25, 80): [[16, 12], [8, 4]]}


def test_counts_in_one_pixel_are_a_hot_pixel_and_no_source_is(tmp_path):
    """Ten to a thousand counts in one pixel, and forty of a pixel of the detector that falls on four: all flagged."""

    def image(n):
        n = n.copy()
        for (x, y), cells in HOT.items():
            n[y : y + len(cells), x : x + len(cells)] += np.array(cells, dtype=n.dtype)
        return n

    sources = xp.detect_sources(changed(tmp_path, image=image))
    for x, y in HOT:
        (hot,) = [s for s in sources if np.hypot(s.x - x, s.y - y) < 1.5]
        assert hot.flags & SourceFlag.HOT_PIXEL
    others = [s for s in sources if not s.flags & SourceFlag.HOT_PIXEL]
    assert len(others) == len(sources) - len(HOT) == 4
