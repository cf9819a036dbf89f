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
from xphotfn.measure.apertures import photometry
from xphotfn.measure.masks import interloper_mask
from xphotfn.measure.sensitivity import (
    LimitMap,
    sensitivity_map,
    sky_coverage,
    upper_limit_map,
    with_enclosed_fraction,
)
from xphotfn.measure.smoothing import smoothed
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import pix_to_deg
from xphotfn.science.kernels import disc_kernel, ring_kernel, sums_around
from xphotfn.science.limits import detection_limit, detection_threshold, upper_limit, upper_limit_on_off
from xphotfn.science.masks import annulus, disc
from xphotfn.testing.examples import example_field, example_rate_map
from xphotfn.testing.files import exposure_cards, image_cards
from xphotfn.testing.scene import SOFT, CameraExposure, Pointing
from xphotfn.testing.simulate import blank_field

RADIUS = 15 * u.arcsec


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    """A blank field with chip gaps and vignetting."""
    return written(tmp_path_factory.mktemp("limits"), *blank_field(4, counts_per_pixel=0.15))


def written(folder, counts, exposure):
    camera = CameraExposure(instrument="pn", exposure_id="S003", ontime_s=10_000.0)
    pointing = Pointing(obs_id="0999990101", ra_deg=52.3, dec_deg=-33.7, exposures=[camera])
    names = {"obs_id": pointing.obs_id, "exposure_id": "S003", "instrument": "pn", "band": SOFT, "grid": pointing.grid}
    for name, array, cards in (("img", counts, image_cards), ("exp", exposure, exposure_cards)):
        write_image(folder / f"{name}.fits", array, pointing.grid, cards(pointing, camera, SOFT, "x"))
    return RateMap(
        image=Image(path=str(folder / "img.fits"), **names),
        exposure=ExposureMap(path=str(folder / "exp.fits"), **names),
    )


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
    depth = sensitivity_map(gappy, radius=RADIUS, background=factors).data
    upper = upper_limit_map(gappy, radius=RADIUS, background=factors).data
    for row, column in sampled(gappy):
        n, b, seconds, total = point_sums(gappy, row, column, radius, factors)
        alpha = seconds.sum() / total
        limit = float(detection_limit(alpha * b, false_alarm=4e-6, power=0.5)) / seconds.mean()
        assert depth[row, column] == pytest.approx(limit, rel=1e-9)
        limit = float(upper_limit_on_off(n, b, alpha)) / seconds.mean()
        assert upper[row, column] == pytest.approx(limit, rel=1e-9)


def test_upper_limits_are_those_of_photometry():
    rate_map, field = example_rate_map(), example_field()
    limits = upper_limit_map(rate_map, field, radius=RADIUS, background=(1.5, 3.0), confidence=0.9).data
    pixels = sampled(rate_map, 30)
    positions = np.stack(pix_to_deg(rate_map.grid, pixels[:, 1], pixels[:, 0]), axis=1) * u.deg
    table = photometry(rate_map, positions, RADIUS, background=(1.5, 3.0), field=field, limit_confidence=0.9)
    here = limits[pixels[:, 0], pixels[:, 1]]
    known = np.isfinite(here)
    assert known.sum() > 25
    assert here[known] == pytest.approx(table["upper_limit"].value[known], rel=1e-9)


def test_a_background_that_is_given(gappy):
    expected = np.where(np.asarray(gappy.exposure.data) > 0, 0.07, np.nan)
    radius = RADIUS.to_value(u.deg) / gappy.grid.pixel_deg
    depth = sensitivity_map(gappy, radius=RADIUS, background=expected, false_alarm=1e-3, power=0.9)
    upper = upper_limit_map(gappy, radius=RADIUS, background=expected, confidence=0.99)
    for row, column in sampled(gappy):
        n, _, seconds, _ = point_sums(gappy, row, column, radius, (1, 2))
        b = 0.07 * seconds.size
        assert depth.background[row, column] == pytest.approx(b, rel=1e-9)
        limit = float(detection_limit(b, false_alarm=1e-3, power=0.9)) / seconds.mean()
        assert depth.data[row, column] == pytest.approx(limit, rel=1e-9)
        limit = float(upper_limit(n, b, confidence=0.99)) / seconds.mean()
        assert upper.data[row, column] == pytest.approx(limit, rel=1e-9)
        assert depth.live_fraction[row, column] == pytest.approx(seconds.size / disc_kernel(radius).sum())


def test_gaps_have_no_limit(gappy):
    live = np.asarray(gappy.exposure.data) > 0
    for limits in (sensitivity_map(gappy, radius=RADIUS), upper_limit_map(gappy, radius=RADIUS)):
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
    area = sky_coverage(limits, np.geomspace(1e-5, 1, 30))
    assert np.all(np.diff(area) >= 0)
    pixels = np.count_nonzero(np.asarray(gappy.exposure.data) > 0)
    assert area[-1].to_value(u.deg**2) == pytest.approx(pixels * gappy.grid.pixel_deg**2)


def test_half_of_the_sources_at_the_limit_are_found_and_false_alarms_are_as_stated(gappy, tmp_path):
    """A simulated blank field with gaps; a source at its own limit in each of 10 000 apertures."""
    rng, live = np.random.default_rng(6), np.asarray(gappy.exposure.data) > 0
    blank = written(tmp_path, rng.poisson(0.1 * live).astype(np.int32), np.asarray(gappy.exposure.data))
    limits = sensitivity_map(blank, radius=RADIUS, false_alarm=1e-2, background=0.1 * live)
    radius = RADIUS.to_value(u.deg) / blank.grid.pixel_deg
    n = np.rint(sums_around(np.asarray(blank.image.data, dtype=np.float64), disc_kernel(radius)))
    b, k = limits.background[live], detection_threshold(limits.background[live], false_alarm=1e-2)
    expected = special.gammainc(k, b).mean()
    assert np.mean(n[live] >= k) == pytest.approx(expected, abs=0.0015)
    assert expected <= 1e-2
    chosen = rng.choice(np.flatnonzero(live), 10_000, replace=False)
    with_source = n.ravel()[chosen] + rng.poisson(limits.counts.ravel()[chosen])
    found = with_source >= detection_threshold(limits.background.ravel()[chosen], false_alarm=1e-2)
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


def test_the_enclosed_fraction_is_applied_once(gappy):
    limits = upper_limit_map(gappy, radius=RADIUS)
    whole = with_enclosed_fraction(with_enclosed_fraction(limits, 0.5), 0.8)
    assert whole.data == pytest.approx(limits.data / 0.8, nan_ok=True)
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
    resampled = written(tmp_path, np.full((512, 512), 0.5), np.ones((512, 512)))
    with pytest.raises(InvalidRecord, match="whole counts"):
        sensitivity_map(resampled, radius=RADIUS)


def test_smoothing_divides_after_smoothing(tmp_path, gappy):
    exposure = np.where(np.asarray(gappy.exposure.data) > 0, gappy.exposure.data, 0).astype(np.float64)
    exact = written(tmp_path, exposure * 0.003, exposure)
    found = smoothed(exact, 20 * u.arcsec)
    assert found[exposure > 0] == pytest.approx(0.003, rel=1e-6)  # no dark rims at gaps
    assert not found[exposure == 0].any()
    assert not found.flags.writeable
    assert smoothed(gappy, 1e-3 * u.arcsec) == pytest.approx(gappy.data)
    for sigma, error in ((0 * u.deg, InvalidRecord), (3, UnitMismatch), (3 * u.kpc, UnitMismatch)):
        with pytest.raises(error):
            smoothed(gappy, sigma)
