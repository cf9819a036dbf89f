"""Profiles of simulated observations against the beta model that they were made from."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from attrs import evolve

import xphotfn as xp
from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch, UnitMismatch
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.profile import concentration, curve_of_growth, fit_beta_model, surface_brightness_profile
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.radial import ring_brightness, ring_sums
from xphotfn.simulate.file_headers import exposure_cards, image_cards
from xphotfn.simulate.observing import model_counts
from xphotfn.simulate.scene import SOFT, CameraExposure, Pointing, default_scene
from xphotfn.testing.examples import example_field, example_rate_map

EDGES = np.array([0, 30, 60, 90, 120, 180, 240, 300]) * u.arcsec
AROUND = [540, 660] * u.arcsec


def written(folder, pointing, counts, exposure, name="a"):
    """Return a rate map of arrays."""
    camera, products = pointing.exposures[0], []
    for kind, array, cards in (("img", counts, image_cards), ("exp", exposure, exposure_cards)):
        path = folder / f"{name}_{kind}.fits"
        write_image(path, array, pointing.grid, cards(pointing, camera, SOFT, "x"))
        products.append(str(path))
    names = {"obs_id": pointing.obs_id, "exposure_id": camera.exposure_id, "instrument": camera.instrument}
    names |= {"band": SOFT, "grid": pointing.grid}
    return RateMap(image=Image(path=products[0], **names), exposure=ExposureMap(path=products[1], **names))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Two pointings of a bright cluster without point sources: maps, expected counts, field."""
    folder, rng = tmp_path_factory.mktemp("profile"), np.random.default_rng(21)
    scene = evolve(default_scene(), sources=(), cluster=evolve(default_scene().cluster, blurred=False))
    maps, models = [], []
    for pointing in scene.pointings:
        model = model_counts(scene, pointing, "pn", SOFT)
        counts = rng.poisson(model.source + model.background).astype(np.int32)
        maps.append(written(folder, pointing, counts, model.exposure, pointing.obs_id))
        models.append(model)
    target = scene.cluster.target
    field = evolve(
        example_field(), target=target, centre_ra_deg=target.ra_deg, centre_dec_deg=target.dec_deg,
        members=[evolve(example_field().members[0], interlopers=())],
    )  # fmt: skip
    return scene, maps, models, field


def ring_means(scene):
    """Mean surface brightness of the beta model in each ring, pn ct/s/arcmin2."""
    flux = np.array([scene.cluster.fraction_within(r) for r in EDGES.value]) * scene.cluster.rate_in("pn", SOFT)
    return np.diff(flux) / (np.pi * np.diff((EDGES.value / 60) ** 2))


def test_the_beta_model_comes_back(simulated):
    """The background is given exactly; the truth is the closed form."""
    scene, maps, models, field = simulated
    profile = surface_brightness_profile(maps, field, EDGES, background=[m.background for m in models])
    pulls = (profile["brightness"].value - ring_means(scene)) / profile["brightness_error"].value
    assert np.sum(pulls**2) < 24.3  # 99.9 % of chi2 with 7 degrees of freedom
    assert np.all(profile["brightness_lower"] < profile["brightness"])


def test_a_fit_of_the_counts_finds_the_cluster(simulated):
    """Background given, and scaled from an annulus; kpc as the edges say; the truth is the scene's."""
    scene, maps, models, field = simulated
    edges = np.arange(0, 310, 10) * u.arcsec
    given = surface_brightness_profile(maps, field, edges, background=[m.background for m in models])
    scaled = surface_brightness_profile(maps, field, edges, background=AROUND)
    for profile, factor in ((given, False), (scaled, True)):
        fit = fit_beta_model(profile)
        assert fit.converged
        assert abs(fit.beta.value - scene.cluster.beta) < 3.5 * fit.beta.error
        assert abs((fit.core_radius.value - scene.cluster.core_arcsec * u.arcsec) / fit.core_radius.error) < 3.5
        assert fit.beta.error < 0.05
        assert fit.brightness.value.unit == profile["brightness"].unit
        assert (fit.background_factor is not None) == factor
    free = fit_beta_model(surface_brightness_profile(maps, field, np.arange(0, 610, 20) * u.arcsec), constant=True)
    assert abs(free.beta.value - scene.cluster.beta) < 0.1
    assert free.constant.value > 0


def test_the_mean_radius_of_a_ring_is_that_of_its_area(simulated):
    _, maps, _, field = simulated
    radius = surface_brightness_profile(maps[0], field, [0, 30, 60] * u.arcsec)["radius"]
    r = np.linspace(30, 60, 100_001)
    assert radius.to_value(u.arcsec) == pytest.approx([20.0, np.sum(r * r) / np.sum(r)], rel=1e-4)


def test_without_noise_the_closed_form_comes_back(simulated, tmp_path):
    scene, _, models, field = simulated
    flat = np.full(scene.pointings[0].grid.shape, 5e9)  # so long that counts are whole and have no noise
    source = models[0].source / np.where(models[0].exposure > 0, models[0].exposure, np.inf) * flat
    source = np.where(models[0].exposure > 0, source, np.nan)
    exact = written(tmp_path, scene.pointings[0], np.round(np.nan_to_num(source)), np.where(np.isnan(source), 0, flat))
    profile = surface_brightness_profile(exact, field, EDGES)
    assert profile["brightness"].value == pytest.approx(ring_means(scene), rel=0.015)
    grown = curve_of_growth(exact, field, EDGES[1:])
    closed = [scene.cluster.fraction_within(r) * scene.cluster.rate for r in EDGES[1:].value]
    assert grown["rate"].value == pytest.approx(closed, rel=0.015)


def test_pulls_over_many_skies(simulated):
    """300 draws of one pointing with a measured background annulus: mean 0 and width 1 in every ring."""
    _, maps, models, field = simulated
    rng, pixel = np.random.default_rng(8), (maps[0].grid.pixel_deg * 60) ** 2
    model, grid = models[0], maps[0].grid
    flat_sky = model.exposure * (2e-3 * pixel)
    x, y = (
        (float(v) for v in xp.science_pixels(grid, field)) if hasattr(xp, "science_pixels") else centre_of(grid, field)
    )
    edges, around = EDGES.value / 3600 / grid.pixel_deg, AROUND.value / 3600 / grid.pixel_deg
    keep, pulls = model.exposure > 0, []
    truth = ring_sums(model.source, model.exposure, keep, (x, y), edges)
    wings = ring_sums(model.source, model.exposure, keep, (x, y), around).counts[0]  # the cluster's own light there
    for _ in range(300):
        image = rng.poisson(model.source + flat_sky)
        rings, ring = (ring_sums(image, model.exposure, keep, (x, y), e) for e in (edges, around))
        alpha, b = rings.exposure / ring.exposure, ring.counts
        found = ring_brightness(rings.counts, rings.exposure, alpha * (b - wings), alpha**2 * b)
        pulls.append((found.value - truth.counts / truth.exposure) / found.error)
    assert np.abs(np.mean(pulls, axis=0)).max() < 4 / np.sqrt(300)
    assert np.std(pulls) == pytest.approx(1, abs=0.05)


def centre_of(grid, field):
    x, y = deg_to_pix(grid, field.centre_ra_deg, field.centre_dec_deg)
    return float(x), float(y)


def test_the_columns_belong_together(simulated):
    _, maps, _, field = simulated
    profile = surface_brightness_profile(maps, field, EDGES, background=AROUND)
    net = profile["brightness"] * profile["exposure_mean"] * profile["live_area"]
    assert net.to_value(u.ct) == pytest.approx((profile["counts"] - profile["background"]).value, rel=1e-12)
    assert np.all(profile["live_area"] <= 1.05 * profile["area"])
    assert profile.meta["maps"] == [str(m) for m in maps]
    both = [surface_brightness_profile(m, field, EDGES, background=AROUND) for m in maps]
    assert (both[0]["counts"] + both[1]["counts"]).value.tolist() == profile["counts"].value.tolist()
    back = surface_brightness_profile(iter(maps[::-1]), field, EDGES, background=AROUND)
    assert back["brightness"].value == pytest.approx(profile["brightness"].value, rel=1e-12)


def test_growth_is_the_sum_of_rings(simulated):
    _, maps, _, field = simulated
    profile = surface_brightness_profile(maps, field, EDGES, background=AROUND)
    grown = curve_of_growth(maps, field, EDGES[1:], background=AROUND)
    assert grown["counts"].value == pytest.approx(np.cumsum(profile["counts"].value))
    rate = np.cumsum((profile["brightness"] * profile["area"] / len(maps)).value)
    assert grown["rate"].value == pytest.approx(rate, rel=0.01)  # rings inside these rings
    assert np.all(np.diff(grown["rate_error"].value) > 0)
    assert np.all((grown["live_fraction"] > 0.5) & (grown["live_fraction"] < 1.1))


def test_kpc_and_arcsec_are_the_same_rings():
    rate_map, field = example_rate_map(), example_field()
    kpc = [0, 100, 200, 400] * u.kpc
    degrees = np.array([xp.custom_mask(rate_map, field, outer=r).sum() for r in kpc[1:]])
    found = surface_brightness_profile(rate_map, field, kpc)
    assert found["radius_out"].unit == u.kpc
    pixel = (rate_map.grid.pixel_deg * 60) ** 2
    assert np.cumsum(found["live_area"].value) / pixel == pytest.approx(degrees)
    counts = [rate_map.image.data[xp.custom_mask(rate_map, field, outer=r)].sum() for r in kpc[1:]]
    assert np.cumsum(found["counts"].value).tolist() == counts


def test_interlopers_and_another_centre():
    rate_map, field = example_rate_map(), example_field()
    edges = [0, 250, 400] * u.arcsec
    without, with_all = (
        surface_brightness_profile(rate_map, field, edges, remove_interlopers=r) for r in (True, False)
    )
    assert with_all["counts"].sum() - without["counts"].sum() > 100 * u.ct
    moved = SkyCoord(*(field.centre + [0.02, 0.01] * u.deg))
    assert surface_brightness_profile(rate_map, field, edges, centre=moved)["counts"][0] != without["counts"][0]


def test_a_flat_map_has_a_flat_profile_and_no_concentration_beyond_area(tmp_path):
    pointing = Pointing(obs_id="0999990101", ra_deg=52.3, dec_deg=-33.7, exposures=[CameraExposure(
        instrument="pn", exposure_id="S003", ontime_s=1000.0)])  # fmt: skip
    flat = written(tmp_path, pointing, np.full((512, 512), 3, dtype=np.int32), np.full((512, 512), 100.0))
    field = evolve(example_field(), centre_ra_deg=52.3, centre_dec_deg=-33.7)
    profile = surface_brightness_profile(flat, field, EDGES, remove_interlopers=False)
    pixel = (flat.grid.pixel_deg * 60) ** 2
    assert profile["brightness"].value == pytest.approx(0.03 / pixel, rel=1e-12)
    assert concentration(profile, inner=60 * u.arcsec, outer=300 * u.arcsec).value == pytest.approx(0.04)
    none = surface_brightness_profile(flat, field, EDGES, background=AROUND, remove_interlopers=False)
    assert none["brightness"].value == pytest.approx(0, abs=1e-12)


def test_rings_off_the_detector_are_nan():
    profile = surface_brightness_profile(example_rate_map(), example_field(), [0, 60, 2000, 2400] * u.arcsec)
    assert np.isnan(profile["brightness"].value).tolist() == [False, False, True]
    assert np.isnan(profile["exposure_mean"].value).tolist() == [False, False, True]


def test_what_is_refused():
    rate_map, field = example_rate_map(), example_field()
    for edges, error in (([0, 1] * u.kg, UnitMismatch), ([5, 1] * u.arcsec, InvalidRecord), ([0, 1], UnitMismatch)):
        with pytest.raises(error):
            surface_brightness_profile(rate_map, field, edges)
    with pytest.raises(InvalidRecord, match="no map"):
        surface_brightness_profile([], field, EDGES)
    with pytest.raises(ShapeMismatch):
        surface_brightness_profile(rate_map, field, EDGES, background=np.ones((3, 3)))
    with pytest.raises(InvalidRecord, match="background"):
        surface_brightness_profile(rate_map, field, EDGES, background=[1, 2, 3] * u.arcmin)
    with pytest.raises(NoData, match="annulus"):
        surface_brightness_profile(rate_map, field, EDGES, background=[50, 60] * u.arcmin)
    with pytest.raises(InvalidRecord, match="above 0"):
        curve_of_growth(rate_map, field, [0, 5] * u.arcsec)
    with pytest.raises(UnitMismatch, match="kind of unit"):
        concentration(surface_brightness_profile(rate_map, field, EDGES))
