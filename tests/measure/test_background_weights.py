"""Background weights wherever a background is scaled, and measurements that say when they are needed."""

import math
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from attrs import evolve
from hypothesis import given

import xphotfn as xp
from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.io.write import write_image
from xphotfn.measure.photometry.apertures import ApertureFlag
from xphotfn.reports.from_run import Asked, target_report
from xphotfn.science.radial import ring_sums
from xphotfn.testing import CameraExposure, Pointing, Scene, simulate_observations
from xphotfn.testing.strategies import measurements

SOFT = xp.energy_band(0.5 * u.keV, 2.0 * u.keV)
RADIUS = 6 * u.arcmin


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Blank sky of which 30 % are particles: a pn map, that without vignetting, and the field of a blank position."""
    root = tmp_path_factory.mktemp("particles")
    camera = CameraExposure(instrument="pn", exposure_id="S003", ontime_s=1000.0)
    scene = Scene(pointings=[Pointing(obs_id="0999990301", ra_deg=10.0, dec_deg=20.0, exposures=[camera])])
    simulate_observations(root / "data", seed=3, scene=scene, products=("events",))
    target = xp.extended_source("blank", 10 * u.deg, 20 * u.deg, radius=RADIUS)
    field = xp.match_observations(target, xp.find_observations(root / "data"))
    how = {"engine": xp.native_engine(), "store": root / "store", "scheduler": "synchronous", "progress": False}
    run = xp.raise_for_failures(xp.run(xp.plan_photometry(field, SOFT), **how))
    flat = xp.rate_maps(xp.raise_for_failures(xp.run(xp.plan_exposure_maps(field, SOFT, vignetting=False), **how)))
    bent = xp.select(xp.rate_maps(run), obs_id="0999990301")
    weights = xp.background_weights(bent.exposure.data, flat[0].exposure.data, 0.7)
    counts = np.random.default_rng(11).poisson(weights * (0.6 / weights.max())).astype(np.int32)
    write_image(root / "blank.fits", counts, bent.grid, [])
    item = xp.RateMap(image=evolve(bent.image, path=str(root / "blank.fits"), digest=""), exposure=bent.exposure)
    return SimpleNamespace(map=item, flat=flat, field=field, run=run, weights=weights)


def test_a_measurement_says_that_particles_would_matter_and_weights_end_it(sky):
    plain = xp.snr(sky.map, sky.field, "point")
    assert plain.value < -2
    assert plain.needs_weights
    assert plain.background_shift > 1
    assert "background_weights" in str(plain)
    assert "background_weights" in plain._repr_html_()
    by_hand = (plain.alpha - plain.area_pix / plain.background_area_pix) * plain.background_counts
    assert plain.background_shift == pytest.approx(
        by_hand / math.sqrt(plain.counts + plain.alpha**2 * plain.background_counts)
    )
    weighted = xp.snr(sky.map, sky.field, "point", background_weights=xp.weights_by_map(sky.flat, fraction=0.7))
    assert abs(weighted.value) < 3
    assert weighted == xp.snr(sky.map, sky.field, "point", background_weights=sky.weights)
    assert (weighted.scaled_by, weighted.note) == ("weights", "")
    assert not xp.snr(sky.map, sky.field, "point", method="xga").needs_weights, "it takes none"
    assert not xp.snr(sky.map, sky.field, 20 * u.arcsec).needs_weights, "a small circle does not care"


@given(measurements())
def test_a_note_stands_where_it_is_needed_and_only_there(measured):
    assert ("give background_weights" in measured.note) == measured.needs_weights
    assert measured.needs_weights <= (abs(measured.background_shift) > 1)
    assert not evolve(measured, scaled_by="weights").needs_weights


def test_rankings_take_weights_and_show_the_shift(sky):
    function = xp.weights_by_map(sky.flat, fraction=0.7)
    [plain] = xp.snr_ranking([sky.map], sky.field, "point")
    assert "background_weights" in plain["note"]
    assert plain["background_shift"] > 1
    assert plain["alpha"] > plain["alpha_by_area"]
    for weights in (function, [sky.weights], sky.weights):
        [row] = xp.snr_ranking([sky.map], sky.field, "point", background_weights=weights)
        assert row["snr"] == xp.snr(sky.map, sky.field, "point", background_weights=sky.weights).value
        assert row["note"] == ""
    with pytest.raises(InvalidRecord, match="each of the 2 maps"):
        xp.snr_ranking([sky.map, sky.map], sky.field, "point", background_weights=[sky.weights])


def test_photometry_takes_a_function_and_flags_circles_that_need_it(sky):
    places = [[10.0, 20.0], [10.05, 20.05]] * u.deg
    plain = xp.photometry(sky.map, places, [360, 20] * u.arcsec)
    flagged = [bool(ApertureFlag(int(v)) & ApertureFlag.VIGNETTING) for v in plain["flags"]]
    assert flagged == [True, False]
    weighted = xp.photometry(
        sky.map, places, [360, 20] * u.arcsec, background_weights=xp.weights_by_map(sky.flat, fraction=0.7)
    )
    same = xp.photometry(sky.map, places, [360, 20] * u.arcsec, background_weights=sky.weights)
    assert np.array_equal(weighted["significance"], same["significance"])
    assert not np.any(weighted["flags"] & ApertureFlag.VIGNETTING)
    assert plain["significance"][0] < -2 < weighted["significance"][0]


def test_profiles_scale_their_annulus_by_weights(sky):
    edges, around = [0, 2, 4, 6] * u.arcmin, [7, 9] * u.arcmin
    profile = xp.surface_brightness_profile(
        sky.map, sky.field, edges, background=around, background_weights=xp.weights_by_map(sky.flat, fraction=0.7)
    )
    exposure, grid = sky.map.exposure.data, sky.map.grid
    x, y = (float(v) for v in xp.coord_conv(sky.map, [10, 20] * u.deg, "pix", rounded=False).value)

    def sums(image, radii):
        return ring_sums(
            image, exposure, np.ones(grid.shape, dtype=bool), (x, y), radii.to_value(u.deg) / grid.pixel_deg
        ).counts

    alpha = sums(sky.weights, edges) / sums(sky.weights, around)
    assert profile["background"].value == pytest.approx(alpha * sums(sky.map.image.data, around), rel=1e-6)
    plain = xp.surface_brightness_profile(sky.map, sky.field, edges, background=around)
    pulls = [np.sum((p["counts"] - p["background"]).value) / np.sqrt(p["counts"].value.sum()) for p in (plain, profile)]
    assert pulls[0] < -1.5 < pulls[1]
    grown = xp.curve_of_growth(sky.map, sky.field, edges[1:], background=around, background_weights=sky.weights)
    assert grown["background"].value == pytest.approx(np.cumsum(profile["background"].value), rel=1e-9)


def test_depth_maps_are_photometry_with_the_same_weights(sky):
    y, x = 256, 300
    place = xp.coord_conv(sky.map, [x, y] * u.pix, "deg")
    weights = xp.weights_by_map(sky.flat)
    how = {"background": (1.5, 3.0), "background_weights": weights}
    limits = xp.upper_limit_map(sky.map, radius=42 * u.arcsec, psf=None, **how)
    [row] = xp.photometry(sky.map, place, 42 * u.arcsec, light="flat", **how)
    assert limits.data[y, x] == pytest.approx(row["upper_limit"].value, rel=1e-6)
    assert limits.background[y, x] == pytest.approx(row["alpha"] * row["background_counts"].value, rel=1e-6)
    plain = xp.sensitivity_map(sky.map, radius=42 * u.arcsec, psf=None)
    weighted = xp.sensitivity_map(sky.map, radius=42 * u.arcsec, psf=None, background_weights=weights)
    off_axis = np.isfinite(plain.data) & np.isfinite(weighted.data)
    assert not np.allclose(plain.background[off_axis], weighted.background[off_axis], rtol=1e-3)


def test_summaries_and_reports_take_a_function_of_the_map(sky):
    weights, combined = xp.weights_by_map(sky.flat, fraction=0.7), xp.combined_rate_map(sky.run)
    wanted = xp.snr(combined, sky.field, RADIUS, background_weights=weights)
    assert xp.info(sky.field, run=sky.run, background_weights=weights)["Radius SNR"] == f"{wanted.value:.2f}"
    part = target_report(sky.run, "blank", Asked(region=RADIUS, background_weights=weights))
    assert part.bands[0].combined.measurement == wanted
    assert part.bands[0].maps[0].measurement.scaled_by == "weights"
    with pytest.raises(InvalidRecord, match="function of the map"):
        xp.info(sky.field, run=sky.run, background_weights=sky.weights)
    with pytest.raises(InvalidRecord, match="function of the map"):
        xp.report(sky.run, "nowhere", background_weights=sky.weights)


def test_weights_of_a_combined_map_are_the_sum_of_its_maps(sky):
    combined = xp.combined_rate_map(sky.run)
    weights = xp.weights_by_map(sky.flat, fraction=0.3)(combined)
    assert weights.shape == combined.grid.shape
    total = 0.7 * np.nansum(sky.flat[0].exposure.data, dtype=float) + 0.3 * combined.exposure.data.sum(dtype=float)
    assert weights.sum() == pytest.approx(total, rel=1e-3)


def test_maps_that_are_no_remedy_are_refused(sky):
    with pytest.raises(InvalidRecord, match="the exposure map of"):
        xp.weights_by_map([sky.map])(sky.map)
    with pytest.raises(ProductMissing, match="no map without vignetting"):
        xp.weights_by_map([])(sky.map)
    with pytest.raises(InvalidRecord, match="two maps"):
        xp.weights_by_map([*sky.flat, *sky.flat])
    with pytest.raises(InvalidRecord, match="within 0 and 1"):
        xp.weights_by_map(sky.flat, fraction=1.2)
