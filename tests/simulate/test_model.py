"""What the simulator expects in each pixel: closed formulas, bands, detectors, scenes and blank fields."""

import math

import numpy as np
import pytest
from attrs import evolve
from scipy import integrate

from xphotfn.epic.camera.detector import raw_positions
from xphotfn.errors import InvalidRecord
from xphotfn.records import Band, PixelGrid
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.encircled_energy import encircled_energy
from xphotfn.simulate.field_of_view import (
    ccd_at,
    detector_positions,
    geometry,
    raw_positions_on,
    response_image,
    simulated_camera,
)
from xphotfn.simulate.model import detected_regions
from xphotfn.simulate.psf import blurred_beta_model, king_of, point_spread
from xphotfn.simulate.readout import out_of_time_counts
from xphotfn.simulate.scene import EFFICIENCY, SOFT, band_share
from xphotfn.testing import (
    CameraExposure,
    Cluster,
    Pointing,
    Scene,
    Source,
    blank_field,
    default_scene,
    model_counts,
)

HARD = Band(lo_ev=2000, hi_ev=10_000)
BROAD = Band(lo_ev=500, hi_ev=10_000)


def on_axis(camera="pn", *, cluster=None, sources=(), seconds=10_000.0):
    """Return a scene without background whose camera looks at RA 30, Dec 40."""
    pointing = Pointing(
        obs_id="0999990301", ra_deg=30.0, dec_deg=40.0,
        exposures=[CameraExposure(instrument=camera, exposure_id="S001", ontime_s=seconds)],
    )  # fmt: skip
    return Scene(cluster=cluster, sources=sources, sky_rate=0, particle_rate=0, pointings=[pointing])


def rate_image(scene, camera="pn", band=SOFT):
    """Return the model's rate per pixel, vignetting and gaps divided out; NaN in the gaps."""
    model = model_counts(scene, scene.pointings[0], camera, band)
    with np.errstate(invalid="ignore"):
        return model.source / model.exposure


@pytest.mark.parametrize(("beta", "core"), [(2 / 3, 60.0), (0.8, 45.0), (0.6, 70.0)])
@pytest.mark.parametrize("camera", ["pn", "mos1"])
def test_cluster_is_a_blurred_beta_model(beta, core, camera):
    """At its centre the convolution is one integral over radius; no light is lost, and far out little changes."""
    cluster = Cluster(ra_deg=30, dec_deg=40, rate=0.7, core_arcsec=core, beta=beta)
    grid = PixelGrid.from_sky_range(30.0, 40.0)
    pixel = grid.pixel_deg * 3600
    king = king_of(camera, 1250.0, 0.0)
    found = blurred_beta_model(grid, (255.0, 255.0), core, beta, king)
    radius = np.hypot(np.arange(512) - 255.0, np.arange(512)[:, None] - 255.0) * pixel
    central = (3 * beta - 1.5) / (np.pi * (core / pixel) ** 2)

    def profile(r):
        return central * (1 + (r / core) ** 2) ** (0.5 - 3 * beta)

    def light(r):
        return profile(r) * (1 + (r / king[0]) ** 2) ** -king[1] * r

    whole, _ = integrate.quad(lambda r: (1 + (r / king[0]) ** 2) ** -king[1] * r, 0, 300, limit=200)
    blurred, _ = integrate.quad(light, 0, 300, limit=200)
    assert found[255, 255] == pytest.approx(blurred / whole, rel=4e-3)
    assert found[255, 255] < 0.95 * central
    within = found[radius < 900].sum()
    assert within == pytest.approx(cluster.fraction_within(900), abs=0.004)
    far = (radius > 600) & (radius < 1000)
    assert np.allclose(found[far], profile(radius[far]), rtol=0.05)
    rates = rate_image(on_axis(camera, cluster=cluster), camera)
    seen = np.isfinite(rates)
    x, y = (float(v) for v in deg_to_pix(grid, 30, 40))
    again = blurred_beta_model(grid, (x, y), core, beta, king_of(camera, 1250.0, 0.0))
    assert np.allclose(rates[seen], 0.7 * EFFICIENCY[camera] * again[seen], rtol=1e-3)


def test_a_cluster_that_is_not_blurred_is_the_beta_model():
    cluster = Cluster(ra_deg=30, dec_deg=40, rate=0.7, core_arcsec=50, beta=0.7, blurred=False)
    scene = on_axis("mos1", cluster=cluster)
    rates, grid = rate_image(scene, "mos1"), scene.pointings[0].grid
    x, y = (float(v) for v in deg_to_pix(grid, 30, 40))
    radius = np.hypot(np.arange(512) - x, np.arange(512)[:, None] - y) * grid.pixel_deg * 3600
    seen = np.isfinite(rates)
    brightness = rates[seen] / (1 + (radius[seen] / 50) ** 2) ** (0.5 - 2.1)
    assert brightness.max() == pytest.approx(brightness.min(), rel=1e-6)
    central = float(brightness.mean()) / (grid.pixel_deg * 3600) ** 2
    found, _ = integrate.quad(lambda r: central * (1 + (r / 50) ** 2) ** (0.5 - 2.1) * 2 * math.pi * r, 0, 200)
    assert found == pytest.approx(0.7 * EFFICIENCY["mos1"] * cluster.fraction_within(200), rel=1e-6)


def test_extended_sources_add_up():
    one, two = (Cluster(ra_deg=30 + d, dec_deg=40, rate=0.2, core_arcsec=30 + 200 * d) for d in (0.0, 0.1))
    scene = on_axis(cluster=one)
    both, other = evolve(scene, extended=[two]), evolve(scene, cluster=two)
    images = [model_counts(s, s.pointings[0], "pn", SOFT).source for s in (scene, other, both)]
    assert np.allclose(images[0] + images[1], images[2])
    assert both.diffuse == (one, two)
    assert [r.colour for r in detected_regions(both, both.pointings[0])] == ["green", "green"]


def test_point_source_holds_its_rate():
    """Its light falls on one chip: no gap takes any of it."""
    source = Source(name="one", ra_deg=30.01, dec_deg=40.005, rate=0.01)
    scene = on_axis("mos1", sources=[source])
    rates = rate_image(scene, "mos1")
    assert np.nansum(rates) == pytest.approx(0.01 * EFFICIENCY["mos1"], rel=5e-3)
    x, y = (float(v) for v in deg_to_pix(scene.pointings[0].grid, 30.01, 40.005))
    brightest = np.unravel_index(np.nanargmax(rates), rates.shape)
    assert abs(brightest[1] - x) <= 0.6
    assert abs(brightest[0] - y) <= 0.6


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, 0.5), (0.31, -0.42)])
@pytest.mark.parametrize("camera", ["pn", "mos1", "mos2"])
def test_point_spread_holds_what_the_encircled_energy_says(shift, camera):
    grid, king = PixelGrid.from_sky_range(10.0, 20.0), king_of(camera, 1250.0, 4.0)
    offsets = np.arange(-100.0, 101.0)
    image = point_spread(offsets + shift[0], offsets[:, None] + shift[1], grid, king)
    radius = np.hypot(offsets + shift[0], offsets[:, None] + shift[1]) * grid.pixel_deg * 3600
    assert image.sum() == pytest.approx(1.0, abs=1e-3)
    for edge in (20.0, 40.0, 100.0):
        held = encircled_energy(edge, instrument=camera, energy_ev=1250, off_axis_arcmin=4)
        assert image[radius < edge].sum() == pytest.approx(float(held), abs=0.02)  # whole pixels at the rim
    fine = evolve(grid, cdelt1_deg=-0.5 / 3600, cdelt2_deg=0.5 / 3600, dx_sky=10.0, dy_sky=10.0)
    near = np.arange(-80.0, 81.0)
    image = point_spread(near, near[:, None], fine, king)
    radius = np.hypot(near, near[:, None]) * 0.5
    held = encircled_energy(30.0, instrument=camera, energy_ev=1250, off_axis_arcmin=4)
    assert image[radius < 30].sum() == pytest.approx(float(held), abs=1e-3)


# out-of-time events of pn


@pytest.fixture(scope="module")
def streaked():
    """A bright source near the middle of one CCD of pn, with a tenth of the photons out of time."""
    source = Source(name="bright", ra_deg=30.06, dec_deg=40.03, rate=5.0)
    scene = on_axis("pn", sources=[source])
    pointing = scene.pointings[0]
    late = evolve(pointing.exposures[0], out_of_time=0.1)
    return evolve(scene, pointings=[evolve(pointing, pa_deg=0.0, exposures=[late])])


def test_out_of_time_counts_lie_in_the_column_of_the_source(streaked):
    """pn at position angle 0: columns of the CCDs run along the rows of the image."""
    pointing = streaked.pointings[0]
    model = model_counts(streaked, pointing, "pn", SOFT)
    x, y = deg_to_pix(pointing.grid, 30.06, 40.03)
    det = detector_positions(
        "pn", 0.0, *(87 * (v + 1 - c) for v, c in ((x, pointing.grid.crpix1), (y, pointing.grid.crpix2)))
    )
    number = int(ccd_at("pn", (), *(np.atleast_1d(v) for v in det))[0])
    chip = simulated_camera("pn").chips[number - 1]
    raw_x, _ = raw_positions_on("pn", number, *det)
    rows = np.arange(1, 201)
    line_x, line_y = raw_positions(chip, np.full(200, float(raw_x)), rows.astype(float))
    turn = math.radians(90.22)
    sky = (
        (math.cos(turn) * (line_x + 1097) + math.sin(turn) * (line_y - 1476)),
        (math.sin(turn) * (line_x + 1097) - math.cos(turn) * (line_y - 1476)),
    )
    columns = np.rint(sky[0] / 87 - 1 + pointing.grid.crpix1).astype(int)
    lines = np.rint(sky[1] / 87 - 1 + pointing.grid.crpix2).astype(int)
    late = model.out_of_time
    streak = late[lines, columns]
    inside = model.exposure[lines, columns] > 0
    assert inside.sum() > 100
    assert np.median(streak[inside]) > 20 * np.median(late[model.exposure > 0])
    assert streak[inside][5:-5].std() < 0.5 * streak[inside][5:-5].mean()  # even along the column
    in_time = float((model.source + model.background).sum())
    assert 0.5 * in_time / 9 < late.sum() <= in_time / 9  # the rest falls outside the field of view


def test_out_of_time_counts_of_a_whole_column_are_kept(streaked):
    """Even light: what leaves a pixel comes back from its column, but for rows outside the field of view."""
    pointing = streaked.pointings[0]
    even = (geometry(pointing.grid, "pn", 0.0).coverage == 1).astype(float)
    late = out_of_time_counts(even, pointing, pointing.exposures[0])
    inner = late[even > 0]
    assert np.all(inner <= 1 / 9 * 1.01)
    assert np.quantile(inner, 0.99) == pytest.approx(1 / 9, rel=0.06)  # columns that lie almost whole in the field


def test_out_of_time_is_for_pn_and_off_unless_asked_for():
    assert not model_counts(default_scene(), default_scene().pointings[0], "pn", SOFT).out_of_time.any()
    with pytest.raises(InvalidRecord, match="out_of_time is for pn"):
        CameraExposure(instrument="mos1", exposure_id="S001", ontime_s=1, out_of_time=0.06)
    with pytest.raises(InvalidRecord, match="from 0 to below"):
        CameraExposure(instrument="pn", exposure_id="S001", ontime_s=1, out_of_time=0.6)


# bands, detector, scene


@pytest.mark.parametrize("slope", [0.5, 1, 1.8, 2.2])
def test_bands_add_up(slope):
    assert band_share(slope, SOFT) == 1
    assert band_share(slope, SOFT) + band_share(slope, HARD) == pytest.approx(band_share(slope, BROAD))
    assert math.isfinite(band_share(slope, Band(lo_ev=0, hi_ev=500)))


def test_response_of_pn_follows_the_calibration():
    """Values of the mirror table XRT3_XAREAEF at 1.25 and 6 keV; SAS's blocks of pixels shift it by up to 3 %."""
    grid = PixelGrid.from_sky_range(0.0, 0.0)
    seen = geometry(grid, "pn", 0.0)
    y, x = np.mgrid[:512, :512]
    dx, dy = 87 * (x + 1 - grid.crpix1), 87 * (y + 1 - grid.crpix2)
    turn = math.radians(90.22)
    det_x = math.cos(turn) * dx + math.sin(turn) * dy - 1097
    det_y = math.sin(turn) * dx - math.cos(turn) * dy + 1476
    theta = np.hypot(det_x - 1283.4, det_y - 382.8) * 0.05 / 60
    on = (seen.coverage == 1) & (theta < 14)
    for energy, values in {
        1250: (1.0, 0.9143, 0.7562, 0.5767, 0.4349, 0.3293),
        6000: (1.0, 0.9024, 0.7179, 0.5145, 0.3600, 0.2579),
    }.items():
        found = response_image(seen, Band(lo_ev=energy - 250, hi_ev=energy + 250))[on]
        assert np.abs(found - np.interp(theta[on], [0, 3, 6, 9, 12, 15], values)).max() < 0.04


def test_gaps_turn_with_the_position_angle():
    grid = PixelGrid.from_sky_range(0.0, 0.0)
    one, turned = geometry(grid, "mos2", 0.0), geometry(grid, "mos2", 90.0)
    assert not np.array_equal(one.coverage, turned.coverage)
    assert one.coverage.sum() == pytest.approx(turned.coverage.sum(), rel=2e-3)
    parts = one.coverage * 256  # points in a pixel at an edge; CCDs of MOS overlap a little
    assert np.abs(parts - np.round(parts)).max() < 1e-9
    assert {0, 128, 256} <= set(np.unique(np.round(parts).astype(int))) <= set(range(513))


def test_a_lost_chip_leaves_a_hole():
    grid = PixelGrid.from_sky_range(0.0, 0.0)
    whole, lost = (geometry(grid, "mos1", 30.0, chips).coverage for chips in ((), (6,)))
    assert np.all(lost <= whole)
    assert 0.1 < 1 - lost.sum() / whole.sum() < 0.2


def test_particles_are_not_vignetted():
    pointing = default_scene().pointings[0]
    model = model_counts(Scene(sky_rate=0, particle_rate=1e-3, pointings=[pointing]), pointing, "pn", SOFT)
    on = geometry(pointing.grid, "pn", pointing.pa_deg).coverage == 1
    assert np.ptp(model.background[on]) == pytest.approx(0, abs=1e-12)
    assert np.ptp(model.exposure[on]) > 0.5 * model.exposure.max()


def test_models_are_read_only_and_repeatable():
    scene = default_scene()
    one, two = (model_counts(scene, scene.pointings[0], "mos1", SOFT) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not any(array.flags.writeable for array in one)


@pytest.mark.parametrize("make", [
    lambda: Source(name="a", ra_deg=1, dec_deg=1, rate=-1),
    lambda: Source(name="a", ra_deg=math.nan, dec_deg=1, rate=1),
    lambda: Cluster(ra_deg=1, dec_deg=1, rate=1, beta=0.5),
    lambda: Cluster(ra_deg=1, dec_deg=1, rate=1, core_arcsec=0),
    lambda: CameraExposure(instrument="rgs1", exposure_id="S001", ontime_s=1),
    lambda: Pointing(obs_id="123", ra_deg=1, dec_deg=1, exposures=()),
    lambda: Pointing(obs_id="0999990101", ra_deg=1, dec_deg=1,
                     exposures=[CameraExposure(instrument="pn", exposure_id=e, ontime_s=1) for e in ("S001", "S002")]),
    lambda: Pointing(obs_id="0999990101", ra_deg=1, dec_deg=1, exposures=(), date="yesterday"),
    lambda: Scene(pointings=()),
    lambda: Scene(pointings=default_scene().pointings[:1] * 2),
    lambda: evolve(default_scene(), bands=()),
])  # fmt: skip
def test_impossible_scenes_are_refused(make):
    with pytest.raises(InvalidRecord):
        make()


# blank fields


def test_blank_field_follows_the_exposure():
    counts, exposure = blank_field(3, counts_per_pixel=2.0)
    assert counts.dtype == np.int32
    assert exposure.dtype == np.float32
    assert not counts.flags.writeable
    assert not exposure.flags.writeable
    assert exposure.max() == pytest.approx(10_000, rel=3e-3)  # blocks are evaluated at a corner, not on the axis
    assert not counts[exposure == 0].any()
    for low, high in ((0.0, 0.5), (0.5, 0.7), (0.7, 1.0)):
        ring = (exposure > low * 10_000) & (exposure <= high * 10_000)
        expected = 2.0 * exposure[ring].sum(dtype=np.float64) / 10_000
        assert abs(counts[ring].sum() - expected) < 4 * math.sqrt(expected)


def test_blank_fields_depend_on_the_seed_alone():
    first, again, other = (blank_field(seed, counts_per_pixel=0.3)[0] for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    generator = np.random.default_rng(5)
    assert np.array_equal(blank_field(generator, counts_per_pixel=0.3)[0], first)


def test_blank_field_on_another_grid():
    grid = PixelGrid.from_sky_range(10.0, 20.0, low=1, high=51840, bin_size=80)
    counts, exposure = blank_field(1, counts_per_pixel=1, grid=grid, instrument="mos1", exposure_s=500)
    assert counts.shape == exposure.shape == (648, 648)
    area_arcmin2 = (exposure > 0).sum() * (grid.pixel_deg * 60) ** 2
    assert area_arcmin2 == pytest.approx(608, rel=0.03)


def test_blank_field_refuses_nonsense():
    with pytest.raises(InvalidRecord, match="rgs"):
        blank_field(1, counts_per_pixel=1, instrument="rgs")
    with pytest.raises(InvalidRecord, match="negative"):
        blank_field(1, counts_per_pixel=-1)
