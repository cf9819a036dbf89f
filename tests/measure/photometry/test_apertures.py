"""Photometry of positions: the same as snr for one position, laws, flags, files, and injected sources."""

import itertools

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from attrs import evolve
from hypothesis import HealthCheck, given, settings, strategies as st

import xphotfn as xp
from xphotfn.errors import InvalidRecord, ProductMissing, ShapeMismatch, UnitMismatch
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.photometry.apertures import ApertureFlag, photometry
from xphotfn.measure.photometry.joint_photometry import joint_photometry
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.science.coords import deg_to_pix, pix_to_deg
from xphotfn.science.distances import radius_deg
from xphotfn.science.intervals import on_off_interval
from xphotfn.science.limits import upper_limit_on_off
from xphotfn.simulate.model import model_counts
from xphotfn.simulate.scene import CameraExposure, Pointing, Scene, Source
from xphotfn.testing.examples import example_field, example_rate_map

SOFT, HARD = Band(lo_ev=500, hi_ev=2000), Band(lo_ev=2000, hi_ev=10000)
RING = (60 * u.arcsec, 90 * u.arcsec)
MEASURED = ("counts", "background_counts", "alpha", "net_counts", "rate", "rate_low", "rate_high", "significance",
            "upper_limit", "live_area", "exposure_mean", "exposure_min")  # fmt: skip
numbers = itertools.count()
in_a_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=10
)


def a_map(folder, counts, exposure, *, grid=None, obs_id="0999990101", instrument="pn", band=SOFT):
    """Return a rate map of two arrays, on disk under names of its own."""
    if grid is None:
        grid = PixelGrid(nx=counts.shape[1], ny=counts.shape[0], crpix1=30.5, crpix2=30.5, ra_deg=10.0, dec_deg=-5.0,
                         cdelt1_deg=-4 / 3600, cdelt2_deg=4 / 3600)  # fmt: skip
    names = {"obs_id": obs_id, "exposure_id": "S003", "instrument": instrument, "band": band, "grid": grid}
    number = next(numbers)
    paths = [folder / f"{number}_{kind}.fits" for kind in ("image", "exposure")]
    for path, array in zip(paths, (counts, exposure), strict=True):
        write_image(path, array, grid, [])
    return RateMap(image=Image(path=str(paths[0]), **names), exposure=ExposureMap(path=str(paths[1]), **names))


def at_pixels(grid, x, y):
    return u.Quantity(np.stack(pix_to_deg(grid, x, y), axis=-1), u.deg)


def plain(table, names=MEASURED):
    """Return columns as an array (names, rows)."""
    return np.array([getattr(table[n], "value", table[n]) for n in names], dtype=float)


def noisy(seed, shape=(60, 60), mean=0.4):
    rng = np.random.default_rng(seed)
    gradient = 1000.0 + 8 * np.arange(shape[1]) + 3 * np.arange(shape[0])[:, None]
    return rng.poisson(mean, shape).astype(np.int32), gradient.astype(np.float32)


# One position: what snr and the masks say.


@pytest.mark.parametrize("radius", [20 * u.arcsec, 1 * u.arcmin, 300 * u.kpc, "r500"])
@pytest.mark.parametrize("method", ["mid-p", "li-ma"])
def test_one_position_is_snr(radius, method):
    rate_map, field = example_rate_map(), example_field()
    measured = xp.snr(rate_map, field, radius, method=method)
    size = field.target.r500 if radius == "r500" else radius
    [row] = photometry(rate_map, field.target, size, field=field, method=method, background=(1.05, 1.5))
    assert row["significance"] == measured.value
    assert row["counts"].value == measured.counts
    assert row["background_counts"].value == measured.background_counts
    assert row["alpha"] == pytest.approx(measured.alpha, rel=1e-14)
    assert row["net_counts"].value == pytest.approx(measured.net_counts, rel=1e-12)


def test_areas_and_exposures_are_those_of_the_masks():
    rate_map, field = example_rate_map(), example_field()
    place = at_pixels(rate_map.grid, 322.3, 301.2)  # an interloper lies here
    source, ring = xp.source_mask(rate_map, field, 40 * u.arcsec, centre=place)
    free = xp.interloper_mask(rate_map, field)
    [row] = photometry(rate_map, place, 40 * u.arcsec, field=field, background=(1.05, 1.5))
    exposure, pixel = rate_map.exposure.data, (rate_map.grid.pixel_deg * 3600) ** 2
    live = source & free & (exposure > 0)
    assert row["counts"].value == rate_map.image.data[live].sum()
    assert row["live_area"].value == pytest.approx(live.sum() * pixel)
    assert row["area"].value == pytest.approx(source.sum() * pixel)
    assert row["background_area"].value == pytest.approx((ring & free).sum() * pixel)
    assert row["exposure_mean"].value == pytest.approx(exposure[live].mean())
    assert row["exposure_min"].value == exposure[live].min()
    assert row["masked_fraction"] == pytest.approx((source & ~free).sum() / source.sum())
    assert 0 < row["masked_fraction"] < 1
    assert ApertureFlag(int(row["flags"])) == ApertureFlag.MASKED


def test_rate_interval_and_limit_are_those_of_the_counts(tmp_path):
    item = a_map(tmp_path, *noisy(3))
    [row] = photometry(item, [10, -5] * u.deg, 20 * u.arcsec, background=RING, confidence=0.9, limit_confidence=0.99)
    n, b, alpha, e = (float(getattr(row[k], "value", row[k])) for k in
                      ("counts", "background_counts", "alpha", "exposure_mean"))  # fmt: skip
    low, high = on_off_interval(n, b, alpha, confidence=0.9)
    assert (row["rate_low"].value, row["rate_high"].value) == pytest.approx((low / e, high / e))
    assert row["upper_limit"].value == pytest.approx(upper_limit_on_off(n, b, alpha, confidence=0.99) / e)
    assert row["rate"].value == pytest.approx((n - alpha * b) / e)


def test_exact_overlap_keeps_the_statistics_of_whole_counts(tmp_path):
    item = a_map(tmp_path, *noisy(4))
    places = at_pixels(item.grid, [20.3, 40.1], [30.2, 25.4])
    centre = photometry(item, places, 20 * u.arcsec, background=RING)
    exact = photometry(item, places, 20 * u.arcsec, background=RING, overlap="exact")
    for name in ("rate_low", "rate_high", "significance", "upper_limit"):
        assert np.array_equal(exact[name], centre[name])
    assert np.array_equal(exact["centre_counts"], centre["counts"])
    assert np.array_equal(exact["centre_background"], centre["background_counts"])
    assert np.array_equal(exact["centre_alpha"], centre["alpha"])
    assert exact["area"].value == pytest.approx(np.pi * 400, rel=1e-12)
    assert np.all(exact["counts"].value % 1 > 0)


@pytest.mark.parametrize("radius", [6.0, 20.0])
def test_no_rate_of_exact_sums_lies_outside_its_interval(tmp_path, radius):
    """A bright source in circles of a pixel or two, where whole pixels are another circle; the flag says where."""
    counts, exposure = noisy(2)
    y, x = np.indices(counts.shape)
    counts = counts + np.rint(100 * np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / 8)).astype(np.int32)
    item = a_map(tmp_path, counts, exposure)
    places = at_pixels(item.grid, *np.random.default_rng(2).uniform(29, 31, (2, 4)))
    centre, exact = (
        photometry(item, places, radius * u.arcsec, background=RING, overlap=overlap) for overlap in ("centre", "exact")
    )
    rate, low, high = (np.asarray(exact[n].value) for n in ("rate", "rate_low", "rate_high"))
    assert np.all((rate >= low) & (rate <= high))
    flagged = (exact["flags"] & ApertureFlag.PIXELS) > 0
    outside = (rate < centre["rate_low"].value) | (rate > centre["rate_high"].value)
    assert np.array_equal(flagged, outside)
    assert outside.any() or radius > 6
    assert not np.any(centre["flags"] & ApertureFlag.PIXELS)


@pytest.mark.parametrize(("width", "said"), [(0, False), (1, True), (2, True)])
def test_a_gap_on_a_peak_is_said(tmp_path, width, said):
    """A core of ten arcsec, and columns through it without exposure."""
    counts, exposure = noisy(1)
    y, x = np.indices(counts.shape)
    light = 200 * (1 + 16 * ((x - 30) ** 2 + (y - 30) ** 2) / 100) ** -1.5
    exposure[:] = 1e4
    exposure[:, 30 : 30 + width] = 0
    item = a_map(tmp_path, np.rint(light * (exposure > 0)).astype(np.int32), exposure)
    rows = {how: photometry(item, at_pixels(item.grid, 30, 30), 50 * u.arcsec, background=(1.05, 1.5), **given)[0]
            for how, given in (("rings", {}), ("flat", {"light": "flat"}), ("psf", {"psf": "epic"}))}  # fmt: skip
    assert [bool(int(row["flags"]) & ApertureFlag.CORE) for row in rows.values()] == [said, False, False]


# Laws.


@in_a_folder
@given(st.integers(0, 10**6), st.sampled_from(["centre", "exact"]), st.sampled_from([0.5, 2.0, 16.0]))
def test_rate_scales_inversely_with_exposure(tmp_path, seed, overlap, factor):
    counts, exposure = noisy(seed)
    rng = np.random.default_rng(seed)
    maps = a_map(tmp_path, counts, exposure), a_map(tmp_path, counts, exposure * np.float32(factor))
    places = at_pixels(maps[0].grid, *rng.uniform(0, 59, (2, 5)))
    one, other = (photometry(m, places, 15 * u.arcsec, overlap=overlap) for m in maps)
    rates = ("rate", "rate_low", "rate_high", "upper_limit")
    assert np.allclose(plain(one, rates), factor * plain(other, rates), rtol=1e-12, atol=0, equal_nan=True)
    same = ("counts", "background_counts", "alpha", "net_counts", "significance", "live_area", "flags")
    assert np.allclose(plain(one, same), plain(other, same), rtol=1e-12, atol=1e-12, equal_nan=True)


@in_a_folder
@given(st.integers(0, 10**6), st.sampled_from(["centre", "exact"]))
def test_shifts_change_nothing(tmp_path, seed, overlap):
    counts, exposure = noisy(seed)
    exposure[:, 44:46] = 0
    grid = a_map(tmp_path, counts, exposure).grid
    start = a_map(tmp_path, counts, exposure)
    moved = evolve(grid, crpix1=grid.crpix1 + 7, crpix2=grid.crpix2 - 3)
    others = [
        a_map(tmp_path, np.roll(counts, (-3, 7), (0, 1)), np.roll(exposure, (-3, 7), (0, 1)), grid=moved),
    ]
    rng = np.random.default_rng(seed)
    places = at_pixels(grid, 22 + rng.uniform(0, 10, 4), 25 + rng.uniform(0, 8, 4))
    names = ("counts", "background_counts", "alpha", "net_counts", "rate", "live_area", "exposure_min", "flags")
    table = photometry([start, *others], places, 16.1234 * u.arcsec, overlap=overlap, background=(1.05, 1.5))
    values = plain(table, names).reshape(len(names), 2, -1)
    assert np.allclose(values, values[:, :1], rtol=1e-9, atol=1e-9)


@in_a_folder
@given(st.integers(0, 10**6), st.sampled_from([2, 3]))
def test_rebinned_maps_give_the_same_sums(tmp_path, seed, factor):
    """Larger pixels hold the same counts: exact sums agree where the fine image is even inside each larger pixel."""
    counts, _ = noisy(seed, mean=2.0)
    fine = np.kron(counts, np.ones((factor, factor), dtype=np.int32))
    grid = a_map(tmp_path, counts, np.ones(counts.shape, np.float32)).grid
    small = evolve(grid, nx=60 * factor, ny=60 * factor, cdelt1_deg=grid.cdelt1_deg / factor,
                   cdelt2_deg=grid.cdelt2_deg / factor, crpix1=(grid.crpix1 - 0.5) * factor + 0.5,
                   crpix2=(grid.crpix2 - 0.5) * factor + 0.5)  # fmt: skip
    maps = [
        a_map(tmp_path, counts * factor**2, np.full(counts.shape, 500, np.float32), grid=grid),
        a_map(tmp_path, fine, np.full(fine.shape, 500, np.float32), grid=small),
    ]
    places = at_pixels(grid, *np.random.default_rng(seed).uniform(2, 57, (2, 5)))
    table = photometry(maps, places, 17 * u.arcsec, overlap="exact", light="flat")  # rings are made of pixels
    names = ("counts", "background_counts", "net_counts", "rate", "alpha", "area", "live_area", "exposure_mean")
    values = plain(table, names).reshape(len(names), 2, -1)
    assert np.allclose(values[:, 0], values[:, 1], rtol=1e-9, atol=1e-12)


@in_a_folder
@given(st.integers(0, 10**6), st.sampled_from(["centre", "exact"]))
def test_disjoint_circles_share_no_count(tmp_path, seed, overlap):
    counts, exposure = noisy(seed)
    item = a_map(tmp_path, counts, exposure)
    x, y = np.meshgrid(np.arange(6.3, 60, 10), np.arange(4.8, 60, 10))
    places = at_pixels(item.grid, x.ravel(), y.ravel())
    table = photometry(item, places, 19.9 * u.arcsec, overlap=overlap)
    assert table["counts"].sum().value <= counts.sum()
    assert not np.any(table["flags"] & ApertureFlag.NEIGHBOURS)
    [whole] = photometry(item, at_pixels(item.grid, 29.5, 29.5)[None], 200 * u.arcsec, overlap=overlap)
    assert whole["counts"].value == pytest.approx(counts.sum())  # every pixel once, from any circle that holds all


@in_a_folder
@given(st.integers(0, 10**6), st.sampled_from(["centre", "exact"]), st.floats(4, 40), st.floats(1.0, 4.0))
def test_circle_and_ring_partition_the_larger_circle(tmp_path, seed, overlap, radius, factor):
    counts, exposure = noisy(seed)
    exposure[20:23] = 0
    item = a_map(tmp_path, counts, exposure)
    places = at_pixels(item.grid, *np.random.default_rng(seed).uniform(-3, 62, (2, 5)))
    small = photometry(item, places, radius * u.arcsec, background=(1.0, factor + 0.01), overlap=overlap)
    large = photometry(item, places, (factor + 0.01) * radius * u.arcsec, overlap=overlap)
    both = np.isfinite(small["counts"].value) & np.isfinite(small["background_counts"].value)
    for inside, around in (("counts", "background_counts"), ("live_area", "background_area")):
        total = (small[inside] + small[around])[both].value
        assert np.allclose(total, large[inside][both].value, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def four_maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    maps = [a_map(folder, *noisy(n), obs_id=f"099999010{n}", instrument="mos1") for n in range(3)]
    return [*maps, example_rate_map()]


@in_a_folder
@given(st.permutations(range(4)), st.sampled_from([None, "epic"]), st.integers(1, 4))
def test_order_of_maps_is_irrelevant(four_maps, order, psf, together):
    places = at_pixels(four_maps[0].grid, [10.2, 30, 50], [20, 40.3, 12])
    whole = photometry(four_maps, places, 20 * u.arcsec, psf=psf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xphotfn.measure.photometry.apertures.MAPS", together)
        table = photometry([four_maps[n] for n in order], places, 20 * u.arcsec, psf=psf)
    for place, number in enumerate(order):
        ours, theirs = table[3 * place : 3 * place + 3], whole[3 * number : 3 * number + 3]
        assert np.array_equal(plain(ours), plain(theirs), equal_nan=True)
        assert list(ours["obs_id"]) == list(theirs["obs_id"])


@in_a_folder
@given(st.permutations(range(12)))
def test_order_of_positions_is_irrelevant(four_maps, order):
    places = at_pixels(four_maps[0].grid, *np.random.default_rng(4).uniform(-5, 65, (2, 12)))
    whole = photometry(four_maps[0], places, 20 * u.arcsec, psf="epic")
    table = photometry(four_maps[0], places[list(order)], 20 * u.arcsec, psf="epic")
    assert np.allclose(plain(table), plain(whole)[:, list(order)], rtol=1e-12, equal_nan=True)
    assert np.array_equal(table["flags"], whole["flags"][list(order)])


def test_chunks_change_nothing(tmp_path, monkeypatch):
    item = a_map(tmp_path, *noisy(8))
    places = at_pixels(item.grid, *np.random.default_rng(1).uniform(-5, 65, (2, 50)))
    whole = photometry(item, places, 20 * u.arcsec, overlap="exact")
    monkeypatch.setattr("xphotfn.science.discs.ELEMENTS", 300)
    monkeypatch.setattr("xphotfn.science.on_off.ELEMENTS", 100)
    cut = photometry(item, places, 20 * u.arcsec, overlap="exact")
    assert np.allclose(plain(cut), plain(whole), rtol=1e-9, equal_nan=True)


@settings(in_a_folder, max_examples=6)
@given(st.integers(0, 10**6), st.floats(0.02, 3.0), st.floats(12.0, 40.0))
def test_blank_sky_averages_zero_at_any_level(tmp_path, seed, level, radius):
    rng, shape = np.random.default_rng(seed), (300, 300)
    exposure = (4000 - 5 * np.hypot(np.arange(300) - 150, np.arange(300)[:, None] - 150)).astype(np.float32)
    exposure[:, 100:103] = 0
    item = a_map(tmp_path, rng.poisson(exposure * (level / 4000)).astype(np.int32).reshape(shape), exposure)
    x, y = (v.ravel() for v in np.meshgrid(np.arange(25, 280, 25.0), np.arange(25, 280, 25.0)))
    table = photometry(item, at_pixels(item.grid, x, y), radius * u.arcsec, background=(1.05, 1.8))
    z, net = table["significance"], table["net_counts"].value
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(net.mean()) < 5 * net.std() / np.sqrt(z.size)


def test_blank_sky_averages_zero(tmp_path):
    rng = np.random.default_rng(20)
    exposure = (4000 - 5 * np.hypot(np.arange(512) - 256, np.arange(512)[:, None] - 256)).astype(np.float32)
    exposure[:, 200:204] = 0
    grid = PixelGrid.from_sky_range(10.0, 20.0)
    x, y = (v.ravel() for v in np.meshgrid(np.arange(40, 480, 42), np.arange(40, 480, 42)))
    maps = [a_map(tmp_path, rng.poisson(exposure * 1e-4).astype(np.int32), exposure, grid=grid) for _ in range(6)]
    table = photometry(maps, at_pixels(grid, x, y), 30 * u.arcsec, background=RING)
    z = table["significance"]
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)
    assert abs((table["net_counts"]).value.mean()) < 4 * table["net_counts"].value.std() / np.sqrt(z.size)


# Flags and NaN.


def test_flags(tmp_path):
    counts, exposure = noisy(1)
    exposure[:, 40:] = 0
    item = a_map(tmp_path, counts, exposure)
    pixels = {"fine": (20, 30), "edge": (1, 30), "off": (-30, 30), "gap": (38, 30), "inside gap": (52, 30)}
    places = at_pixels(item.grid, *(np.array(v, float) for v in zip(*pixels.values(), strict=True)))
    places = np.concatenate([places, [[np.nan, 1.0]] * u.deg])
    F = ApertureFlag  # noqa: N806
    for overlap in ("centre", "exact"):
        table = photometry(item, places, 18 * u.arcsec, overlap=overlap, background=(1.05, 1.5))
        wanted = [F(0), F.EDGE | F.CORE, F.OFF_IMAGE | F.NO_BACKGROUND, F.GAP | F.CORE, F.GAP | F.NO_BACKGROUND,
                  F.OFF_IMAGE | F.NO_BACKGROUND]  # fmt: skip
        assert [F(int(v)) for v in table["flags"]] == wanted
        values = plain(table)
        assert np.isfinite(values[:, [0, 1, 3]]).all()
        assert np.isnan(values[:, [2, 5]]).all()
        assert np.isnan(values[:-2, 4]).all()
        assert (values[-2:, 4] == 0).all()  # of the exposure in a gap it is known that there is none


def test_no_background(tmp_path):
    counts, exposure = noisy(1)
    radius = np.hypot(np.arange(60) - 30.0, np.arange(60)[:, None] - 30)
    exposure[radius > 6] = 0
    [row] = photometry(a_map(tmp_path, counts, exposure), [10, -5] * u.deg, 16 * u.arcsec, background=RING)
    assert ApertureFlag(int(row["flags"])) == ApertureFlag.NO_BACKGROUND
    assert row["counts"].value >= 0
    assert row["exposure_mean"].value > 0
    nothing = ("background_counts", "alpha", "net_counts", "rate", "rate_low", "significance", "upper_limit")
    assert all(np.isnan(getattr(row[n], "value", row[n])) for n in nothing)


def test_a_position_wholly_under_other_sources_is_nan():
    rate_map = example_rate_map()
    place = at_pixels(rate_map.grid, 330.3, 300.3)  # in the hole of a ring, between pixel centres
    ring = Region(shape="annulus", frame="icrs", x=place[0].value, y=place[1].value, size=(1e-5, 0.01))
    [row] = photometry(rate_map, place, 15 * u.arcsec, neighbours=ring)
    assert ApertureFlag(int(row["flags"])) & ApertureFlag.MASKED
    assert row["masked_fraction"] == 1
    assert np.isnan(row["counts"].value)


def test_neighbours_with_equal_and_unequal_radii(tmp_path):
    item = a_map(tmp_path, *noisy(1))
    places = at_pixels(item.grid, [10.0, 19.0, 40.0, 55.0], [10.0, 10, 40, 40])
    for radii, wanted in (
        (18.2 * u.arcsec, [True, True, False, False]),
        (17.8 * u.arcsec, [False] * 4),
        ([10, 10, 40, 21] * u.arcsec, [False, False, True, True]),
        ([10, 10, 40, 19] * u.arcsec, [False] * 4),
    ):
        flags = photometry(item, places, radii)["flags"] & ApertureFlag.NEIGHBOURS
        assert list(flags > 0) == wanted


def test_a_circle_without_pixel_centre(tmp_path):
    item = a_map(tmp_path, *noisy(1))
    place = at_pixels(item.grid, 20.5, 20.5)
    [row] = photometry(item, place, 1 * u.arcsec, background=RING, overlap="exact")
    assert ApertureFlag(int(row["flags"])) == ApertureFlag.NO_PIXEL
    assert np.isfinite(row["net_counts"].value)
    assert np.isnan(row["significance"])


# What goes in and what comes out.


def test_positions_in_many_forms(tmp_path):
    item = a_map(tmp_path, *noisy(1))
    sky = SkyCoord([10.0, 10.002], [-5.0, -5.001], unit="deg")
    forms = (sky, sky.galactic, [[10, -5], [10.002, -5.001]] * u.deg, ([[10, -5], [10.002, -5.001]] * u.deg).to(u.rad))
    first = plain(photometry(item, forms[0], 20 * u.arcsec))
    for form in forms[1:]:
        assert np.allclose(plain(photometry(item, form, 20 * u.arcsec)), first, rtol=1e-9)
    assert len(photometry(item, sky[0], 20 * u.arcsec)) == 1
    assert len(photometry(item, np.zeros((0, 2)) * u.deg, 20 * u.arcsec)) == 0


def test_positions_in_a_table(tmp_path):
    item = a_map(tmp_path, *noisy(1))
    ra, dec = np.array([10.0, 10.002, 10.004]), np.array([-5.0, -5.001, np.nan])
    others = {"name": np.array(["a", "b", "c"]), "nH": [1.0, 2.0, 3.0], "rate": [0.1, 0.2, 0.3]}
    first = photometry([item, item], u.Quantity(np.stack([ra, dec], axis=-1), u.deg), 20 * u.arcsec)
    plain_table = Table({"RA": ra, "Dec": dec, **others})
    masked = Table(plain_table, masked=True)
    masked["Dec"].mask[2] = True
    tables = [
        plain_table,
        QTable({"ra": (ra * u.deg).to(u.hourangle), "dec": (dec * u.deg).to(u.rad), **others}),
        QTable({"coord": SkyCoord(ra, np.nan_to_num(dec), unit="deg"), **others}),
        plain_table.to_pandas(),
        masked,
    ]
    for number, given_table in enumerate(tables):
        table = photometry([item, item], given_table, 20 * u.arcsec)
        seen = np.tile([True, True, number != 2], 2)
        assert np.allclose(plain(table)[:, seen], plain(first)[:, seen], rtol=1e-9, equal_nan=True)
        assert list(table["name"]) == ["a", "b", "c"] * 2
        assert list(table["nH"]) == [1, 2, 3] * 2
        assert list(table["input_rate"]) == [0.1, 0.2, 0.3] * 2
        assert table["rate"].unit == u.ct / u.s
    table.write(tmp_path / "carried.ecsv")
    assert list(QTable.read(tmp_path / "carried.ecsv")["name"]) == ["a", "b", "c"] * 2


def test_radii_for_each_position_are_those_of_single_calls(tmp_path):
    item, field = a_map(tmp_path, *noisy(1)), example_field()
    places, radii = at_pixels(item.grid, [20.0, 33, 44], [20, 33.0, 40]), [10, 20, 15] * u.arcsec
    together = photometry(item, places, radii)
    for number in range(3):
        single = photometry(item, places[number], radii[number])
        assert np.allclose(plain(together[number : number + 1]), plain(single), rtol=1e-10)
    item, places = example_rate_map(), at_pixels(example_rate_map().grid, [250.0, 300, 200], [250.0, 220, 280])
    lengths = photometry(item, places, [30, 60, 45] * u.kpc, field=field)
    angles = u.Quantity([radius_deg(v * u.kpc, field.target) for v in (30, 60, 45)], u.deg)
    assert np.array_equal(plain(lengths), plain(photometry(item, places, angles, field=field)))


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (InvalidRecord, {"positions": Table({"x": [1.0], "y": [2.0]})}),
        (InvalidRecord, {"positions": Table({"ra": [1.0], "RAJ2000": [1.0], "dec": [2.0]})}),
        (UnitMismatch, {"positions": Table({"ra": ["nine"], "dec": ["-11:03:35"]})}),
        (UnitMismatch, {"positions": QTable({"ra": [1.0] * u.m, "dec": [2.0] * u.m})}),
        (InvalidRecord, {"positions": Table({"ra": [1.0], "dec": [92.0]})}),
        (ProductMissing, {"maps": []}),
        (ProductMissing, {"maps": 3}),
        (ProductMissing, {"maps": ["image.fits"]}),
        (UnitMismatch, {"positions": [10, -5]}),
        (UnitMismatch, {"positions": [10, -5] * u.pix}),
        (ShapeMismatch, {"positions": [10, -5, 3] * u.deg}),
        (InvalidRecord, {"positions": [10, -95] * u.deg}),
        (UnitMismatch, {"radius": 20}),
        (UnitMismatch, {"radius": 300 * u.kpc}),
        (InvalidRecord, {"radius": 0 * u.arcsec}),
        (ShapeMismatch, {"radius": [20, 30] * u.arcsec}),
        (InvalidRecord, {"background": (0.9, 1.5)}),
        (InvalidRecord, {"background": (1.5, 1.05)}),
        (InvalidRecord, {"background": 3}),
        (InvalidRecord, {"background": ("a", "b")}),
        (UnitMismatch, {"background": (60 * u.arcsec, 3)}),
        (InvalidRecord, {"background": (10 * u.arcsec, 60 * u.arcsec)}),
        (InvalidRecord, {"method": "xga"}),
        (InvalidRecord, {"overlap": "xga"}),
        (InvalidRecord, {"confidence": 1.0}),
        (InvalidRecord, {"limit_confidence": 95}),
    ],
)
def test_errors(error, arguments):
    given_all = {
        "maps": example_rate_map(),
        "positions": [149.59, -11.09] * u.deg,
        "radius": 20 * u.arcsec,
        **arguments,
    }
    maps, positions, radius = (given_all.pop(n) for n in ("maps", "positions", "radius"))
    with pytest.raises(error):
        photometry(maps, positions, radius, **given_all)


def test_an_image_without_whole_counts_is_refused(tmp_path):
    counts, exposure = noisy(1)
    for wrong in (counts + 0.25, counts - 1.0):
        with pytest.raises(InvalidRecord, match="whole counts"):
            photometry(a_map(tmp_path, wrong, exposure), [10, -5] * u.deg, 20 * u.arcsec)


@pytest.mark.parametrize("suffix", ["ecsv", "fits"])
def test_files_keep_the_table(tmp_path, suffix):
    item = a_map(tmp_path, *noisy(1))
    places = at_pixels(item.grid, [20.0, -50], [20.0, 20])
    other = a_map(tmp_path, *noisy(2), obs_id="0999990102")
    table = photometry([item, other], places, 20 * u.arcsec, overlap="exact", psf="epic")
    path = tmp_path / f"table.{suffix}"
    table.write(path)
    again = QTable.read(path, mask_invalid=False, character_as_bytes=False) if suffix == "fits" else QTable.read(path)
    assert again.colnames == table.colnames
    for name in table.colnames:
        assert getattr(again[name], "unit", None) == getattr(table[name], "unit", None)
        ours, theirs = (np.asarray(getattr(t[name], "value", t[name])) for t in (table, again))
        assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f")
    assert all(again.meta[name] == value for name, value in table.meta.items())
    joint = joint_photometry(table), joint_photometry(QTable.read(path))
    for name in ("rate", "rate_low", "rate_high", "upper_limit", "exposure"):
        assert np.array_equal(joint[0][name].value, joint[1][name].value, equal_nan=True)


def test_parquet_keeps_the_table(tmp_path):
    pytest.importorskip("pyarrow")
    places = [[149.59, -11.09], [120.0, 3.0]] * u.deg
    table = photometry(example_rate_map(), places, 20 * u.arcsec, overlap="exact", psf="epic")
    table.write(tmp_path / "table.parquet")
    again = QTable.read(tmp_path / "table.parquet")
    assert again.colnames == table.colnames
    for name in table.colnames:
        assert getattr(again[name], "unit", None) == getattr(table[name], "unit", None)
        ours, theirs = (np.asarray(getattr(t[name], "value", t[name])) for t in (table, again))
        assert np.array_equal(ours, theirs.astype(ours.dtype), equal_nan=ours.dtype.kind == "f")
    assert all(again.meta[name] == value for name, value in table.meta.items())


# Several observations of one position.


def test_joint_of_one_observation_is_its_own(tmp_path):
    item = a_map(tmp_path, *noisy(6, mean=2.0))
    places = at_pixels(item.grid, [20.0, 33, 44], [20, 33.0, 40])
    table = photometry(item, places, 20 * u.arcsec, method="li-ma")
    joint = joint_photometry(table, method="li-ma")
    assert np.allclose(joint["rate"].value, table["rate"].value, rtol=1e-8, atol=1e-12)
    for name in ("rate_low", "rate_high", "upper_limit", "significance"):
        assert np.allclose(plain(joint, (name,)), plain(table, (name,)), rtol=1e-6, atol=1e-9)
    assert list(joint["observations"]) == [1, 1, 1]


def test_joint_groups_positions_bands_and_cameras(tmp_path):
    kinds = [("0999990101", "pn", SOFT), ("0999990102", "pn", SOFT), ("0999990101", "mos1", SOFT),
             ("0999990101", "pn", HARD)]  # fmt: skip
    maps = [a_map(tmp_path, *noisy(n), obs_id=o, instrument=i, band=b) for n, (o, i, b) in enumerate(kinds)]
    places = at_pixels(maps[0].grid, [20.0, -60, 40], [20.0, 20, 20])
    table = photometry(maps, places, 20 * u.arcsec, light="flat")
    apart = joint_photometry(table)
    assert list(zip(apart["position"], apart["band"], apart["instrument"], apart["observations"], strict=True)) == [
        (p, b, i, 0 if p == 1 else n)
        for b, i, n in (("0.5-2 keV", "pn", 2), ("0.5-2 keV", "mos1", 1), ("2-10 keV", "pn", 1))
        for p in range(3)
    ]
    assert np.isnan(apart["rate"].value[1])
    response = {"pn": 1.0, "mos1": 0.34}
    together = joint_photometry(table, response=response)
    assert list(together["observations"]) == [3, 0, 3, 1, 0, 1]
    assert set(together["instrument"]) == {"combined"}
    mixed = photometry([maps[n] for n in (2, 3, 0, 1)], places, 20 * u.arcsec, light="flat")
    other = joint_photometry(mixed, response=response)
    for name in ("rate", "upper_limit"):
        assert np.allclose(other[name][[0, 2]].value, together[name][[0, 2]].value, rtol=1e-10)
    doubled = joint_photometry(table, enclosed=np.full(len(table), 0.5))
    assert np.allclose(doubled["rate"].value, 2 * apart["rate"].value, rtol=1e-8, equal_nan=True)


def test_joint_errors(tmp_path):
    table = photometry(a_map(tmp_path, *noisy(1)), [10, -5] * u.deg, 20 * u.arcsec)
    for error, call in (
        (ProductMissing, lambda: joint_photometry(table["position", "counts"])),
        (ProductMissing, lambda: joint_photometry([1, 2])),
        (ProductMissing, lambda: joint_photometry(table, response={"mos1": 1})),
        (InvalidRecord, lambda: joint_photometry(table, response={"pn": 0})),
        (InvalidRecord, lambda: joint_photometry(table, enclosed=1.2)),
        (ShapeMismatch, lambda: joint_photometry(table, enclosed=[0.5, 0.5])),
        (InvalidRecord, lambda: joint_photometry(table, confidence=0)),
    ):
        with pytest.raises(error):
            call()


# Injected sources.

RADIUS, ANNULUS = 25 * u.arcsec, (40 * u.arcsec, 70 * u.arcsec)
BANDS = (SOFT, HARD)


def injected(folder, seed):
    """Return the table of one simulated pointing and, for each row, the source counts that are expected as net.

    Sources of all fluxes lie on a jittered lattice over the field of view, gaps and rim included. What is expected is
    the model's source light in the circle minus alpha times that in the ring; both backgrounds are left to alpha.
    """
    rng = np.random.default_rng(seed)
    cameras = [CameraExposure(instrument=i, exposure_id=f"S00{n}", ontime_s=o) for n, (i, o) in
               enumerate((("pn", 20_000.0), ("mos1", 40_000.0), ("mos2", 40_000.0)), start=1)]  # fmt: skip
    pointing = Pointing(obs_id="0999990101", ra_deg=40.0, dec_deg=-20.0, pa_deg=rng.uniform(0, 360), exposures=cameras)
    x, y = (v.ravel() + rng.uniform(-6, 6, v.size) for v in np.meshgrid(np.arange(60, 460, 44), np.arange(60, 460, 44)))
    ra, dec = pix_to_deg(pointing.grid, x, y)
    rates = 10 ** rng.uniform(-2.6, -1.2, x.size)
    sources = [Source(name=f"{n}", ra_deg=a, dec_deg=d, rate=r)
               for n, (a, d, r) in enumerate(zip(ra, dec, rates, strict=True))]  # fmt: skip
    scene = Scene(sources=sources, pointings=[pointing], bands=BANDS)
    maps, models = [], []
    for camera, band in itertools.product(cameras, BANDS):
        model = model_counts(scene, pointing, camera.instrument, band)
        counts = rng.poisson(model.source + model.background).astype(np.int32)
        models.append(a_map(folder, np.floor(model.source * 2**40).astype(np.float64), model.exposure,
                            grid=pointing.grid, instrument=camera.instrument, band=band))  # fmt: skip
        maps.append(a_map(folder, counts, model.exposure.astype(np.float32), grid=pointing.grid,
                          instrument=camera.instrument, band=band))  # fmt: skip
    places = u.Quantity(np.stack([ra, dec], axis=-1), u.deg)
    table = photometry(maps, places, RADIUS, background=ANNULUS, light="flat")
    return table, true_net(models, places)


def true_net(models, places):
    """Return the net source light of the model, from the same circles: images of light in units of 2^-40 counts."""
    from xphotfn.science.disc_sums import disc_sums

    found = []
    for item in models:
        x, y = deg_to_pix(item.grid, *places.to_value(u.deg).T)
        r = [float(v.to_value(u.deg)) / item.grid.pixel_deg for v in (RADIUS, *ANNULUS)]
        light, exposure = item.image.data, item.exposure.data
        (s, e), (s1, e1), (s2, e2) = (disc_sums(x, y, v, light, exposure) for v in r)
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append((s - e / (e2 - e1) * (s2 - s1)) / 2**40)
    return np.concatenate(found)


def pulls_of(folder, seeds):
    """Return pulls of sources with 25 or more expected net counts, their tables' flags, and coverage of the rest."""
    pulls, flags, covered, bright = [], [], [], []
    for seed in seeds:
        table, truth = injected(folder, seed)
        net, exposure = table["net_counts"].value, table["effective_exposure"].value
        low, high = table["rate_low"].value * exposure, table["rate_high"].value * exposure
        known = np.isfinite(net) & np.isfinite(truth)
        good = known & (truth >= 25)
        error = np.where(net > truth, net - low, high - net)
        pulls.append(((net - truth) / error)[good])
        flags.append(table["flags"][good])
        faint = known & (truth > 1) & (truth < 25)
        covered.append(((low <= truth) & (truth <= high))[faint])
        bright.append(truth[good])
    return (np.concatenate(v) for v in (pulls, flags, covered, bright))


def test_pulls_of_injected_sources(tmp_path):
    """The short form: each number within four of its own errors and 0.05 of the ideal."""
    pulls, flags, covered, _ = pulls_of(tmp_path, [1])
    assert pulls.size > 150
    assert np.any(flags & ApertureFlag.GAP)
    assert abs(pulls.mean()) < 0.05 + 4 / np.sqrt(pulls.size)
    assert abs(pulls.std() - 1) < 0.05 + 4 / np.sqrt(2 * pulls.size)
    assert abs(covered.mean() - 0.6827) < 0.05 + 4 * 0.47 / np.sqrt(covered.size)


@pytest.mark.slow
def test_pulls_of_ten_thousand_injected_sources(tmp_path):
    pulls, flags, covered, bright = pulls_of(tmp_path, range(100, 150))
    in_gap = (flags & ApertureFlag.GAP) > 0
    print(f"{pulls.size} pulls: mean {pulls.mean():+.4f}, width {pulls.std():.4f}; {covered.size} faint: "
          f"coverage {covered.mean():.4f}; {in_gap.sum()} with gaps: {pulls[in_gap].mean():+.4f}, "
          f"{pulls[in_gap].std():.4f}")  # fmt: skip
    for lo, hi in ((25, 50), (50, 100), (100, 1e9)):
        part = pulls[(bright >= lo) & (bright < hi)]
        print(f"net {lo:g}-{hi:g}: {part.size} pulls, mean {part.mean():+.4f}, width {part.std():.4f}")
    assert pulls.size >= 10_000
    assert abs(pulls.mean()) < 0.05
    assert abs(pulls.std() - 1) < 0.05
    assert abs(covered.mean() - 0.6827) < 0.03
