"""Limit maps are the point limits at every pixel; the area curve is the reference's; gaps have no limit."""

import csv
import pickle

import astropy.units as u
import numpy as np
import pytest
from attrs import evolve
from scipy import special

from xphotfn.errors import InvalidRecord, ShapeMismatch, UnitMismatch
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.masks import interloper_mask
from xphotfn.measure.photometry.apertures import photometry
from xphotfn.measure.sensitivity import (
    LimitMap,
    sensitivity_map,
    sky_coverage,
    upper_limit_map,
    with_enclosed_fraction,
)
from xphotfn.measure.smoothing import smoothed
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import deg_to_pix, pix_to_deg
from xphotfn.science.kernels import disc_kernel, ring_kernel, sums_around
from xphotfn.science.limits import detection_limit, detection_threshold, upper_limit, upper_limit_on_off
from xphotfn.science.pixel_masks import annulus, disc
from xphotfn.simulate.file_headers import exposure_cards, image_cards
from xphotfn.simulate.observing import blank_field
from xphotfn.simulate.scene import SOFT, CameraExposure, Pointing
from xphotfn.testing.examples import example_field, example_rate_map

RADIUS = 15 * u.arcsec
SIDE = 256
MIDDLE = np.s_[128 : 128 + SIDE, 128 : 128 + SIDE]
EVEN = {"psf": None, "least_live": 0.0}  # even light in the whole aperture, however little of it is live


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    """The middle of a blank field with chip gaps and vignetting."""
    return written(tmp_path_factory.mktemp("limits"), *(a[MIDDLE] for a in blank_field(4, counts_per_pixel=0.15)))


def written(folder, counts, exposure):
    camera = CameraExposure(instrument="pn", exposure_id="S003", ontime_s=10_000.0)
    pointing = Pointing(obs_id="0999990101", ra_deg=52.3, dec_deg=-33.7, exposures=[camera])
    grid = pointing.grid
    if counts.shape != grid.shape:
        first = MIDDLE[0].start
        grid = evolve(grid, nx=SIDE, ny=SIDE, crpix1=grid.crpix1 - first, crpix2=grid.crpix2 - first,
                      x0_sky=grid.x0_sky + first * grid.dx_sky, y0_sky=grid.y0_sky + first * grid.dy_sky)  # fmt: skip
    names = {"obs_id": pointing.obs_id, "exposure_id": "S003", "instrument": "pn", "band": SOFT, "grid": grid}
    for name, array, cards in (("img", counts, image_cards), ("exp", exposure, exposure_cards)):
        write_image(folder / f"{name}.fits", array, grid, cards(pointing, camera, SOFT, "x"))
    return RateMap(
        image=Image(path=str(folder / "img.fits"), **names),
        exposure=ExposureMap(path=str(folder / "exp.fits"), **names),
    )


def of_camera(item, name):
    return RateMap(image=evolve(item.image, instrument=name), exposure=evolve(item.exposure, instrument=name))


def sampled(rate_map, number=60):
    """Return pixels, a third of them beside gaps and edges."""
    rng = np.random.default_rng(1)
    live = np.asarray(rate_map.exposure.data) > 0
    part = sums_around(live.astype(float), disc_kernel(4.0)) / disc_kernel(4.0).sum()
    rim, inner = np.argwhere(live & (part < 0.95)), np.argwhere(live & (part > 0.95))
    return np.concatenate([rng.choice(rim, number // 3), rng.choice(inner, number - number // 3)])


def point_sums(rate_map, row, column, radius, factors):
    counts, exposure = np.asarray(rate_map.image.data), np.asarray(rate_map.exposure.data, dtype=np.float64)
    source = disc(counts.shape, column, row, radius) & (exposure > 0)
    ring = annulus(counts.shape, column, row, *(f * radius for f in factors)) & (exposure > 0)
    return counts[source].sum(), counts[ring].sum(), exposure[source], exposure[ring].sum()


@pytest.mark.parametrize("factors", [(1.5, 3.0), (1.0, 2.0)])
def test_maps_are_the_point_limits(gappy, factors):
    radius = RADIUS.to_value(u.deg) / gappy.grid.pixel_deg
    depth = sensitivity_map(gappy, radius=RADIUS, background=factors, **EVEN).data
    upper = upper_limit_map(gappy, radius=RADIUS, background=factors, **EVEN).data
    pixels = disc_kernel(radius).sum()
    for row, column in sampled(gappy):
        n, b, seconds, total = point_sums(gappy, row, column, radius, factors)
        alpha, live = seconds.sum() / total, seconds.size / pixels
        cut, whole = detection_limit([alpha * b, alpha * b / live], false_alarm=4e-6, power=0.5) / seconds.mean()
        assert depth[row, column] == pytest.approx(max(cut / live, whole), rel=1e-9)
        limit = float(upper_limit_on_off(n, b, alpha)) / seconds.mean() / live
        assert upper[row, column] == pytest.approx(limit, rel=1e-9)


@pytest.mark.parametrize(("psf", "light"), [("epic", None), (None, "flat")])
def test_upper_limits_are_those_of_photometry(psf, light):
    rate_map, field = example_rate_map(), example_field()
    how = {"background": (1.5, 3.0), "psf": psf}
    limits = upper_limit_map(rate_map, field, radius=RADIUS, confidence=0.9, least_live=0.0, **how)
    assert (limits.of, limits.kind) == ("source" if psf else "aperture", "upper limit")
    limits = limits.data
    pixels = sampled(rate_map, 60)
    x, y = deg_to_pix(rate_map.grid, *field.centre.value)
    pixels = pixels[np.hypot(pixels[:, 1] - x, pixels[:, 0] - y) > 60]  # photometry masks the target too, elsewhere
    positions = np.stack(pix_to_deg(rate_map.grid, pixels[:, 1], pixels[:, 0]), axis=1) * u.deg
    table = photometry(rate_map, positions, RADIUS, field=field, limit_confidence=0.9, light=light, **how)
    here = limits[pixels[:, 0], pixels[:, 1]]
    known = np.isfinite(here)
    assert known.sum() > 25
    assert here[known] == pytest.approx(table["upper_limit"].value[known], rel=1e-9)


def test_upper_limits_of_profiles_that_change_off_axis(gappy):
    """Profiles are taken every 3 arcmin; in between the maps are photometry's to a part in a thousand."""
    mos = evolve(
        gappy, image=evolve(gappy.image, instrument="mos1"), exposure=evolve(gappy.exposure, instrument="mos1")
    )
    limits, pixels = upper_limit_map(mos, radius=RADIUS).data, sampled(mos, 45)
    here = limits[pixels[:, 0], pixels[:, 1]]
    positions = np.stack(pix_to_deg(mos.grid, pixels[:, 1], pixels[:, 0]), axis=1) * u.deg
    there = photometry(mos, positions, RADIUS, background=(1.5, 3.0), psf="epic")["upper_limit"].value
    known = np.isfinite(here)
    assert known.sum() > 30
    assert here[known] == pytest.approx(there[known], rel=1e-3)


def cut_field(folder, shape=(512, 512)):
    """Return a map of one exposure with gaps of all widths, and its background of 0.05 counts per pixel."""
    exposure = np.zeros(shape)
    exposure[100:400, 100:400] = 10_000.0
    for column in range(120, 390, 30):
        exposure[100:400, column : column + column % 8 + 1] = 0
    exposure[250:257, 100:400] = 0
    return written(folder, np.zeros(shape, np.int32), exposure), 0.05 * (exposure > 0)


@pytest.mark.parametrize("least_live", [0.0, 0.5])
@pytest.mark.parametrize("psf", ["epic", None])
@pytest.mark.parametrize("radius", [15, 30])
def test_no_aperture_is_deeper_for_being_cut(tmp_path, psf, least_live, radius):
    rate_map, b = cut_field(tmp_path)
    depth = sensitivity_map(rate_map, radius=radius * u.arcsec, background=b, psf=psf, least_live=least_live)
    whole = depth.live_fraction == 1
    [limit] = np.unique(depth.data[whole].round(9))
    assert limit > 0
    assert sky_coverage(depth, 0.9999 * limit).value == 0
    assert sky_coverage(depth, 1.0001 * limit).value > 0
    cut = (depth.live_fraction > 0) & (depth.live_fraction < 0.4)
    assert cut.sum() > 50
    if least_live:
        assert np.isnan(depth.data[depth.live_fraction < 0.5]).all()
        assert np.isfinite(depth.data[depth.live_fraction >= 0.5]).all()
    elif psf is None:  # what is lost is the area, but the background goes with it
        assert np.all(depth.data[cut] / limit >= (1 / depth.live_fraction[cut]) ** 0.5)
        assert np.all(depth.data[cut] / limit <= 1 / depth.live_fraction[cut] * (1 + 1e-9))
        counts = detection_limit(depth.background[cut], false_alarm=4e-6)
        assert depth.data[cut] == pytest.approx(counts / 10_000 / depth.live_fraction[cut], rel=1e-9)


def test_an_upper_limit_where_nothing_is_seen_goes_with_the_light_that_is_left(tmp_path):
    """Without a count the limit is 3.0 counts over the live part: of the area, or of the light of a point."""
    rate_map, b = cut_field(tmp_path)
    even = upper_limit_map(rate_map, radius=RADIUS, background=b, **EVEN)
    live = even.live_fraction > 0
    assert even.data[live] == pytest.approx(-np.log(0.05) / 10_000 / even.live_fraction[live])
    point = upper_limit_map(rate_map, radius=RADIUS, background=b, least_live=0)
    whole = point.enclosed[point.live_fraction == 1]
    assert np.ptp(whole) < 1e-9
    assert point.data[live] == pytest.approx(-np.log(0.05) / 10_000 / point.enclosed[live])
    assert 0.6 < whole[0] < 0.75  # 15 arcsec of pn
    assert np.all(point.enclosed[live] < whole[0] * (1 + 1e-9))
    half = point.live_fraction[249, 105:115]
    assert np.all((half > 0.4) & (half < 0.7))
    assert np.all(point.enclosed[249, 105:115] / whole[0] > half)  # the pixel of the source itself is live


def test_a_background_that_is_given(gappy):
    expected = np.where(np.asarray(gappy.exposure.data) > 0, 0.07, np.nan)
    radius = RADIUS.to_value(u.deg) / gappy.grid.pixel_deg
    depth = sensitivity_map(gappy, radius=RADIUS, background=expected, false_alarm=1e-3, power=0.9, **EVEN)
    upper = upper_limit_map(gappy, radius=RADIUS, background=expected, confidence=0.99, **EVEN)
    for row, column in sampled(gappy):
        n, _, seconds, _ = point_sums(gappy, row, column, radius, (1, 2))
        b = 0.07 * seconds.size
        assert depth.background[row, column] == pytest.approx(b, rel=1e-9)
        live = seconds.size / disc_kernel(radius).sum()
        cut, whole = detection_limit([b, b / live], false_alarm=1e-3, power=0.9) / seconds.mean()
        assert depth.data[row, column] == pytest.approx(max(cut / live, whole), rel=1e-9)
        limit = float(upper_limit(n, b, confidence=0.99)) / seconds.mean() / live
        assert upper.data[row, column] == pytest.approx(limit, rel=1e-9)
        assert depth.live_fraction[row, column] == pytest.approx(live)


def test_gaps_have_no_limit(gappy):
    live = np.asarray(gappy.exposure.data) > 0
    for make in (sensitivity_map, upper_limit_map):
        limits = make(gappy, radius=RADIUS, least_live=0)
        assert np.array_equal(np.isfinite(limits.data), live)
        assert not limits.data.flags.writeable
        assert np.all(limits.data[live] > 0)


def test_interlopers_have_no_limit_and_are_no_background():
    rate_map, field = example_rate_map(), example_field()
    free = interloper_mask(rate_map, field)
    with_field, without = (sensitivity_map(rate_map, f, radius=RADIUS) for f in (field, None))
    assert np.isnan(with_field.data[~free]).all()
    assert not np.isnan(without.data[~free]).any()
    row, column = 300 + 8, 330
    assert with_field.background[row, column] < 0.5 * without.background[row, column]


def uniform(b, exposure=1.0, shape=(3, 5)):
    grid = PixelGrid(
        nx=shape[1], ny=shape[0], crpix1=1, crpix2=1, ra_deg=10, dec_deg=0, cdelt1_deg=-0.01, cdelt2_deg=0.01
    )
    background = np.full(shape, float(b))
    return LimitMap(
        kind="detection limit", grid=grid, background=background, exposure_s=np.full(shape, exposure),
        counts=detection_limit(background, false_alarm=4e-6), live_fraction=np.ones(shape), probability=0.5,
        false_alarm=4e-6,
    )  # fmt: skip


def test_every_row_of_the_reference(reference_root):
    with (reference_root / "statistics_test_vectors.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["test"] == "sensitivity"]
    assert len(rows) == 4
    for row in rows:
        b, false_alarm = (float(item.split("=")[1]) for item in row["inputs"].split(";"))
        expected = {k: float(v) for k, v in (item.split("=") for item in row["outputs"].split(";"))}
        assert false_alarm == 4e-6
        assert float(detection_threshold(b, false_alarm=false_alarm)) == expected.pop("L")
        rates = [float(name.removeprefix("Pdet_s")) for name in expected]
        area = sky_coverage(uniform(b), rates, by="probability").to_value(u.deg**2) / (15 * 1e-4)
        assert area == pytest.approx(list(expected.values()), rel=1e-9)


def test_coverage_by_probability_and_by_limit_agree_where_half_is_found():
    limits = with_enclosed_fraction(uniform(30.0, exposure=2000.0), 0.5)
    at = limits.data[0, 0] * u.ct / u.s
    assert sky_coverage(limits, at, by="probability").value == pytest.approx(0.5 * 15e-4)
    assert sky_coverage(limits, [0.999, 1] * at).value == pytest.approx([0, 15e-4])
    assert sky_coverage(limits, [0.0, 1e9] / u.s, by="probability").value == pytest.approx([0, 15e-4], abs=1e-8)


def test_the_coverage_grows_to_the_whole_detector(gappy):
    limits = sensitivity_map(gappy, radius=RADIUS)
    area = sky_coverage(limits, np.geomspace(1e-5, 10, 30))
    assert np.all(np.diff(area) >= 0)
    pixels = np.count_nonzero(limits.live_fraction >= 0.5)
    assert 0.98 < pixels / np.count_nonzero(np.asarray(gappy.exposure.data) > 0) < 1
    assert area[-1].to_value(u.deg**2) == pytest.approx(pixels * gappy.grid.pixel_deg**2)


def test_half_of_the_sources_at_the_limit_are_found_and_false_alarms_are_as_stated(gappy, tmp_path):
    """A simulated blank field with gaps; a source at its own limit in each of 10 000 apertures."""
    rng, live = np.random.default_rng(6), np.asarray(gappy.exposure.data) > 0
    blank = written(tmp_path, rng.poisson(0.1 * live).astype(np.int32), np.asarray(gappy.exposure.data))
    limits = sensitivity_map(blank, radius=RADIUS, false_alarm=1e-2, background=0.1 * live, **EVEN)
    radius = RADIUS.to_value(u.deg) / blank.grid.pixel_deg
    n = np.rint(sums_around(np.asarray(blank.image.data, dtype=np.float64), disc_kernel(radius)))
    b, k = limits.background[live], detection_threshold(limits.background[live], false_alarm=1e-2)
    expected = special.gammainc(k, b).mean()
    assert np.mean(n[live] >= k) == pytest.approx(expected, abs=0.0015)
    assert expected <= 1e-2
    chosen = rng.choice(np.flatnonzero(limits.live_fraction == 1), 10_000, replace=False)
    with_source = n.ravel()[chosen] + rng.poisson(limits.counts.ravel()[chosen])
    found = with_source >= detection_threshold(limits.background.ravel()[chosen], false_alarm=1e-2)
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


def test_the_enclosed_fraction_is_applied_once(gappy):
    limits = upper_limit_map(gappy, radius=RADIUS, psf=None)
    whole = with_enclosed_fraction(with_enclosed_fraction(limits, 0.5), 0.8)
    assert whole.data == pytest.approx(limits.data / 0.8, nan_ok=True)
    assert (limits.of, whole.of) == ("aperture", "source")
    assert str(whole).endswith("of the whole source")
    for wrong, error in ((0.0, InvalidRecord), (1.2, InvalidRecord), (np.ones(3), ShapeMismatch)):
        with pytest.raises(error):
            with_enclosed_fraction(limits, wrong)


def test_a_limit_map_is_a_record():
    limits = uniform(2.0)
    assert pickle.loads(pickle.dumps(limits)) == limits == uniform(2.0)
    assert limits != uniform(3.0)
    assert hash(limits) == hash(uniform(2.0))
    with pytest.raises(ShapeMismatch):
        evolve(limits, counts=np.ones((2, 2)))


def test_sums_around_are_exact_for_counts():
    rng = np.random.default_rng(9)
    image, kernel = rng.poisson(3.0, (40, 50)).astype(float), ring_kernel(3.3, 1.2, 2.4)
    image[20, 20] = 1e7
    found = np.rint(sums_around(image, kernel))
    half = len(kernel) // 2
    padded = np.pad(image, half)
    for row, column in ((0, 0), (20, 25), (39, 49), (17, 3)):
        window = padded[row : row + len(kernel), column : column + len(kernel)]
        assert found[row, column] == window[kernel].sum()


def test_what_is_refused(gappy, tmp_path):
    for radius, error in ((0 * u.arcsec, InvalidRecord), (5 * u.kpc, UnitMismatch), (5, UnitMismatch)):
        with pytest.raises(error):
            sensitivity_map(gappy, radius=radius)
    for background, error in (((0.5, 2), InvalidRecord), (np.ones((2, 2)), ShapeMismatch), (("a", "b"), InvalidRecord)):
        with pytest.raises(error):
            sensitivity_map(gappy, radius=RADIUS, background=background)
    with pytest.raises(InvalidRecord, match="not negative"):
        upper_limit_map(gappy, radius=RADIUS, background=np.full(gappy.grid.shape, -1.0))
    with pytest.raises(InvalidRecord, match="confidence"):
        upper_limit_map(gappy, radius=RADIUS, confidence=1.0)
    with pytest.raises(InvalidRecord, match="probability"):
        sky_coverage(upper_limit_map(gappy, radius=RADIUS), 0.1, by="probability")
    with pytest.raises(UnitMismatch, match="ct/s"):
        sky_coverage(uniform(1), 3 * u.m)
    for least_live in (-0.1, 1.5, np.nan):
        with pytest.raises(InvalidRecord, match="least_live"):
            sensitivity_map(gappy, radius=RADIUS, least_live=least_live)
    mixed = evolve(
        gappy, image=evolve(gappy.image, instrument="combined"), exposure=evolve(gappy.exposure, instrument="combined")
    )
    with pytest.raises(InvalidRecord, match="no single camera"):
        sensitivity_map(mixed, radius=RADIUS)
    assert np.isfinite(sensitivity_map(mixed, radius=RADIUS, psf=None).data).any()
    with pytest.raises(InvalidRecord, match="above 0"):
        evolve(uniform(2.0), enclosed=0.0)
    resampled = written(tmp_path, np.full((512, 512), 0.5), np.ones((512, 512)))
    with pytest.raises(InvalidRecord, match="whole counts"):
        sensitivity_map(resampled, radius=RADIUS)


def test_smoothing_divides_after_smoothing(tmp_path, gappy):
    looked = np.asarray(gappy.exposure.data) > 0
    exposure = np.where(looked, 1000 * np.round(gappy.exposure.data), 0).astype(np.float64)
    exact = written(tmp_path, np.round(exposure * 0.003), exposure)  # whole, since exposures are whole thousands
    found = smoothed(exact, 20 * u.arcsec)
    assert found[exposure > 0] == pytest.approx(0.003, rel=1e-6)  # no dark rims at gaps
    assert not found[exposure == 0].any()
    assert not found.flags.writeable
    assert smoothed(gappy, 1e-3 * u.arcsec) == pytest.approx(gappy.data)
    for sigma, error in ((0 * u.deg, InvalidRecord), (3, UnitMismatch), (3 * u.kpc, UnitMismatch)):
        with pytest.raises(error):
            smoothed(gappy, sigma)
