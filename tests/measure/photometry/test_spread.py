"""Rates of whole point sources, and backgrounds that are not vignetted: simulated truth, closed forms, and errors."""

import itertools

import astropy.units as u
import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings, strategies as st

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.photometry.apertures import ApertureFlag, photometry
from xphotfn.measure.photometry.joint_photometry import joint_photometry
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.science.background_ratio import background_weights
from xphotfn.science.coords import pix_to_deg, separation_deg
from xphotfn.science.encircled_energy import (
    EncircledEnergyTable,
    encircled_energy,
    encircled_energy_systematic,
    radius_of_fraction,
)
from xphotfn.science.intervals import on_off_interval
from xphotfn.science.king import EPIC_KING, PN_KING_2002, king_fraction, king_parameters, king_radius
from xphotfn.science.limits import upper_limit_on_off
from xphotfn.science.spreads import band_energy_ev
from xphotfn.simulate.field_of_view import geometry, response_image

SOFT, HARD = Band(lo_ev=500, hi_ev=2000), Band(lo_ev=2000, hi_ev=10000)
GRID = PixelGrid.from_sky_range(40.0, -20.0)
PIXEL = GRID.pixel_deg * 3600
RADIUS, RING = 20 * u.arcsec, (40 * u.arcsec, 70 * u.arcsec)
ON_AXIS = GRID.crpix1 - 1
numbers = itertools.count()
in_a_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=15
)


def a_map(folder, counts, exposure, *, instrument="pn", band=SOFT, obs_id="0999990101", cards=()):
    names = {"obs_id": obs_id, "exposure_id": "S003", "instrument": instrument, "band": band, "grid": GRID}
    number = next(numbers)
    paths = [folder / f"{number}_{kind}.fits" for kind in ("image", "exposure")]
    for path, array in zip(paths, (counts, exposure), strict=True):
        write_image(path, array, GRID, cards)
    return RateMap(image=Image(path=str(paths[0]), **names), exposure=ExposureMap(path=str(paths[1]), **names))


def at_pixels(x, y):
    return u.Quantity(np.stack(pix_to_deg(GRID, x, y), axis=-1), u.deg)


def photons(rng, x, y, counts, core, slope):
    """Return where photons of King sources fall, whole pixels: radii drawn from the inverse of the enclosed light."""
    number = rng.poisson(counts)
    c, a = (np.repeat(np.broadcast_to(v, number.shape), number) for v in (core, slope))
    r, phi = king_radius(rng.uniform(size=c.size), c, a) / PIXEL, rng.uniform(0, 2 * np.pi, c.size)
    px, py = np.repeat(x, number) + r * np.cos(phi), np.repeat(y, number) + r * np.sin(phi)
    on = (px > -0.5) & (px < GRID.nx - 0.5) & (py > -0.5) & (py < GRID.ny - 0.5)
    return np.rint(px[on]).astype(int), np.rint(py[on]).astype(int)


# With truth.


def king_sources(folder, seed, camera, band, pa_deg=0.0):
    """Return the table of one simulated image of King sources, and their rates.

    The sources lie over the whole field of view with its gaps and vignetting. A photon of a source that would give
    ``rate * live time`` on axis is kept with the probability that the exposure map gives its pixel.
    """
    rng, live = np.random.default_rng(seed), 60_000.0
    exposure = (live * response_image(geometry(GRID, camera, pa_deg), band)).astype(np.float32)
    x, y = (v.ravel() + rng.uniform(-8, 8, v.size) for v in np.meshgrid(*[np.arange(45, 470, 60.0)] * 2))
    ra, dec = pix_to_deg(GRID, x, y)
    angle = 60 * separation_deg(ra, dec, GRID.ra_deg, GRID.dec_deg)
    core, slope, _ = king_parameters(camera, energy_ev=band_energy_ev(band), off_axis_arcmin=angle)
    rates = 10 ** rng.uniform(-3.0, -1.8, x.size)
    px, py = photons(rng, x, y, rates * live, core, slope)
    kept = rng.uniform(size=px.size) < exposure[py, px] / live
    counts = rng.poisson(exposure * 2e-6).astype(np.int32)
    np.add.at(counts, (py[kept], px[kept]), 1)
    item = a_map(folder, counts, exposure, instrument=camera, band=band)
    return photometry(item, at_pixels(x, y), RADIUS, background=RING, psf="epic"), rates


def rate_pulls(folder, jobs):
    """Return pulls and flags of sources with 25 or more expected net counts, and how often intervals hold the rest."""
    pulls, flags, covered = [], [], []
    for job in jobs:
        table, truth = king_sources(folder, *job)
        rate, low, high = (table[n].value for n in ("rate", "rate_low", "rate_high"))
        in_ring = np.nan_to_num(table["alpha"]) * table["ring_fraction"]
        expected = truth * table["exposure_mean"].value * (table["enclosed_fraction"] - in_ring)
        known = np.isfinite(rate)
        good, faint = known & (expected >= 25), known & (expected < 25) & (expected > 1)
        error = np.where(rate > truth, rate - low, high - rate)
        pulls.append(((rate - truth) / error)[good])
        flags.append(table["flags"][good])
        covered.append(((low <= truth) & (truth <= high))[faint])
    return (np.concatenate(v) for v in (pulls, flags, covered))


def test_corrected_rates_of_king_sources(tmp_path):
    jobs = [
        (1, "pn", SOFT),
        (2, "mos1", SOFT),
        (3, "mos2", HARD),
        (4, "pn", HARD),
        (5, "mos1", SOFT),
        (6, "mos2", SOFT),
    ]
    pulls, flags, covered = rate_pulls(tmp_path, jobs)
    assert pulls.size > 150
    assert np.any(flags & ApertureFlag.GAP)
    assert abs(pulls.mean()) < 0.05 + 4 / np.sqrt(pulls.size)
    assert abs(pulls.std() - 1) < 0.05 + 4 / np.sqrt(2 * pulls.size)
    assert abs(covered.mean() - 0.6827) < 0.05 + 4 * 0.47 / np.sqrt(covered.size)


@pytest.mark.slow
def test_corrected_rates_of_ten_thousand_king_sources(tmp_path):
    jobs = [
        (100 + n, camera, band, 47.0 * (n % 4))
        for n, (_, camera, band) in enumerate(itertools.product(range(72), ("pn", "mos1", "mos2"), (SOFT, HARD)))
    ]
    pulls, flags, covered = rate_pulls(tmp_path, jobs)
    gap = (flags & ApertureFlag.GAP) > 0
    print(f"{pulls.size} pulls: mean {pulls.mean():+.4f}, width {pulls.std():.4f}; {gap.sum()} with gaps: "
          f"{pulls[gap].mean():+.4f}, {pulls[gap].std():.4f}; {covered.size} faint: {covered.mean():.4f}")  # fmt: skip
    assert pulls.size >= 10_000
    assert gap.sum() > 500
    for part in (pulls, pulls[gap]):
        assert abs(part.mean()) < 0.05 + (3 / np.sqrt(part.size) if part is not pulls else 0)
        assert abs(part.std() - 1) < 0.05 + (3 / np.sqrt(2 * part.size) if part is not pulls else 0)
    assert abs(covered.mean() - 0.6827) < 0.03


@pytest.mark.parametrize(("shift", "width"), [(0.0, 2), (1.0, 2), (3.0, 1), (0.3, 5), (-2.2, 30)])
def test_the_light_that_a_gap_takes(tmp_path, shift, width):
    """The fraction on live pixels is what is counted of ten million photons of the profile."""
    rng = np.random.default_rng(7)
    x, y = 256.0 - shift, 250.3
    exposure = np.full(GRID.shape, 1e4, np.float32)
    exposure[:, 256 : 256 + width] = 0
    item = a_map(tmp_path, np.zeros(GRID.shape, np.int32), exposure)
    [row] = photometry(item, at_pixels(x, y), 15 * u.arcsec, background=RING, psf="epic")
    core, slope, _ = king_parameters("pn", energy_ev=1000, off_axis_arcmin=0)
    px, py = photons(rng, np.array([x]), np.array([y]), np.array([1e6]), core, slope)
    inside = np.hypot(px - x, py - y) * PIXEL < 15
    ring = (np.hypot(px - x, py - y) * PIXEL < 70) & (np.hypot(px - x, py - y) * PIXEL >= 40)
    live = exposure[py, px] > 0
    assert row["enclosed_fraction"] == pytest.approx((inside & live).mean(), abs=0.012)
    assert row["ring_fraction"] == pytest.approx((ring & live).mean(), rel=0.1)


# Closed forms.


@pytest.mark.parametrize("psf", ["epic", PN_KING_2002, "table", "dict"])
@pytest.mark.parametrize("overlap", ["centre", "exact"])
def test_fractions_rate_interval_and_limit(tmp_path, psf, overlap):
    radii = np.linspace(2, 300, 150)
    table = EncircledEnergyTable(
        radii_arcsec=radii, fractions=encircled_energy(radii, psf=PN_KING_2002, energy_ev=1500, off_axis_arcmin=1),
        systematic=0.07,
    )  # fmt: skip
    psf = {"table": table, "dict": {"pn": table}}.get(psf, psf) if isinstance(psf, str) else psf
    model = {"epic": EPIC_KING["pn"]}.get(psf, psf) if isinstance(psf, str) else table if isinstance(psf, dict) else psf
    rng = np.random.default_rng(3)
    exposure = np.full(GRID.shape, 2000.0, np.float32)
    item = a_map(tmp_path, rng.poisson(0.3, GRID.shape).astype(np.int32), exposure)
    [row] = photometry(item, at_pixels(300.2, 260.7), RADIUS, background=RING, psf=psf, overlap=overlap)
    angle = row["off_axis"].value
    assert angle == pytest.approx(np.hypot(300.2 - ON_AXIS, 260.7 - ON_AXIS) * PIXEL / 60, rel=1e-4)
    how = {"energy_ev": 1000, "off_axis_arcmin": angle, "psf": model}
    near, inner, outer = encircled_energy([20, 40, 70], **how)
    close = 0.006 if overlap == "exact" else 0.02  # light is blurred by pixels; a circle of pixels is not round
    assert row["enclosed_fraction"] == pytest.approx(near, rel=close)
    assert row["ring_fraction"] == pytest.approx(outer - inner, rel=0.05)
    assert row["enclosed_systematic"] == encircled_energy_systematic(**how)
    f, g, alpha = row["enclosed_fraction"], row["ring_fraction"], row["alpha"]
    assert row["rate"].value == pytest.approx(row["net_counts"].value / (2000 * (f - alpha * g)), rel=1e-12)
    prefix = "centre_" if overlap == "exact" else ""
    n, b = (
        row[name].value
        for name in (("centre_counts", "centre_background") if prefix else ("counts", "background_counts"))
    )
    f, g, alpha = (row[f"{prefix}{name}"] for name in ("enclosed_fraction", "ring_fraction", "alpha"))
    low, high = on_off_interval(n, b, alpha, fractions=(f, g), confidence=0.6826894921370859)
    assert (row["rate_low"].value, row["rate_high"].value) == pytest.approx((low / 2000, high / 2000), rel=1e-9)
    limit = upper_limit_on_off(n, b, alpha, fractions=(f, g))
    assert row["upper_limit"].value == pytest.approx(limit / 2000, rel=1e-9)


def test_counts_and_significance_do_not_know_the_profile(tmp_path):
    exposure = np.full(GRID.shape, 2000.0, np.float32)
    item = a_map(tmp_path, np.random.default_rng(3).poisson(0.3, GRID.shape).astype(np.int32), exposure)
    places = at_pixels([300.2, 100, -40.0, 0.0], [260.7, 90, 30.0, 200.0])
    plain, whole = (photometry(item, places, RADIUS, background=RING, psf=psf) for psf in (None, "epic"))
    light = ("rate", "rate_low", "rate_high", "upper_limit", "rate_of", "effective_exposure", "dispersion", "flags")
    for name in plain.colnames:
        if name not in light:
            assert np.array_equal(plain[name], whole[name], equal_nan=plain[name].dtype.kind == "f"), name
    assert np.isnan(whole["rate"][2])
    assert np.isnan(whole["enclosed_fraction"][2])
    assert whole.meta["PSF"] == "epic"
    assert plain.meta["PSF"] == "none"
    seen = np.array([True, True, False, False])
    assert np.all(whole["upper_limit"][seen] > plain["upper_limit"][seen])
    assert set(plain["rate_of"]) == {"aperture"}
    assert set(whole["rate_of"]) == {"source"}
    assert whole["enclosed_fraction"][3] < 0.8 * whole["enclosed_fraction"][0]  # the image's border cuts it


@in_a_folder
@given(st.floats(0.0, 1.0), st.floats(10.0, 40.0))
def test_half_a_circle_holds_half_the_light(tmp_path, along, radius):
    """A border along a row of pixels through the centre leaves half of the light, whatever the radius."""
    exposure = np.full(GRID.shape, 500.0, np.float32)
    exposure[256:] = 0
    item = a_map(tmp_path, np.zeros(GRID.shape, np.int32), exposure)
    [row] = photometry(
        item, at_pixels(250 + along, 255.5), radius * u.arcsec, background=RING, psf="epic", overlap="exact"
    )
    whole = encircled_energy(radius, psf=EPIC_KING["pn"], energy_ev=1000, off_axis_arcmin=0)
    assert row["enclosed_fraction"] == pytest.approx(whole / 2, rel=0.03)  # light is blurred by pixels


def test_radii_that_hold_a_fraction_of_the_light(tmp_path):
    """Radii per position, by the camera's own profile: each circle then holds the same part."""
    exposure = np.full(GRID.shape, 500.0, np.float32)
    item = a_map(tmp_path, np.zeros(GRID.shape, np.int32), exposure, instrument="mos1")
    places = at_pixels([256.0, 330, 400], [256.0, 256, 300])
    angle = 60 * separation_deg(*places.value.T, GRID.ra_deg, GRID.dec_deg)
    radii = radius_of_fraction(0.7, instrument="mos1", energy_ev=band_energy_ev(SOFT), off_axis_arcmin=angle)
    table = photometry(item, places, radii * u.arcsec, background=(3, 5), psf="epic", overlap="exact")
    assert np.ptp(radii) > 0.2
    assert np.allclose(table["enclosed_fraction"], 0.7, rtol=0.01)


def test_no_light_is_lost_between_pixels(tmp_path):
    """Forty sources of 100,000 photons, wherever they lie on their pixels: the mean rate to a part in a thousand."""
    rng = np.random.default_rng(6)
    x, y = (
        v.ravel() + rng.uniform(-0.5, 0.5, v.size)
        for v in np.meshgrid(np.arange(40, 480, 66.0), np.arange(40, 480, 66.0))
    )
    counts = np.zeros(GRID.shape, np.int32)
    fine = np.linspace(0.5, 100, 400)
    table = EncircledEnergyTable(radii_arcsec=fine, fractions=king_fraction(fine, 9.0, 3.0))
    np.add.at(counts, photons(rng, x, y, np.full(x.size, 1e5), 9.0, 3.0)[::-1], 1)
    item = a_map(tmp_path, counts, np.full(GRID.shape, 1000.0, np.float32))
    how = {"background": (5, 8), "psf": table}
    for overlap in ("centre", "exact"):
        rates = photometry(item, at_pixels(x, y), 12 * u.arcsec, overlap=overlap, **how)["rate"].value
        assert rates.mean() / 100 == pytest.approx(1, abs=1e-3 + 4 * rates.std() / 100 / np.sqrt(x.size)), overlap


def test_the_angle_is_that_from_the_pointing_in_the_header(tmp_path):
    exposure = np.full(GRID.shape, 500.0, np.float32)
    pointing = [("RA_PNT", GRID.ra_deg, ""), ("DEC_PNT", GRID.dec_deg + 0.05, "")]
    item = a_map(tmp_path, np.zeros(GRID.shape, np.int32), exposure, cards=pointing)
    [row] = photometry(item, [GRID.ra_deg, GRID.dec_deg] * u.deg, RADIUS, psf="epic")
    assert row["off_axis"].value == pytest.approx(3.0, rel=1e-9)


def test_energy_of_a_band():
    """Near the mean energy of the counts of a spectrum E^-1.8; the middle of the band is not."""
    for band, close in ((SOFT, 0.05), (HARD, 0.07), (Band(lo_ev=500, hi_ev=4500), 0.13)):
        energy = np.linspace(band.lo_ev, band.hi_ev, 100_001)
        mean = np.sum(energy**-0.8) / np.sum(energy**-1.8)
        assert band_energy_ev(band) == pytest.approx(mean, rel=close)
        assert (band.lo_ev + band.hi_ev) / 2 > mean * (1 + 3 * close)


def test_joint_rates_are_of_whole_sources(tmp_path):
    rng = np.random.default_rng(5)
    x, y = np.array([200.0, 250, 300, 350]), np.array([220.0, 300, 250, 280])
    maps = []
    for number, camera in enumerate(("pn", "mos1")):
        ra, dec = pix_to_deg(GRID, x, y)
        angle = 60 * separation_deg(ra, dec, GRID.ra_deg, GRID.dec_deg)
        core, slope, _ = king_parameters(camera, energy_ev=1000, off_axis_arcmin=angle)
        counts = rng.poisson(0.05, GRID.shape).astype(np.int32)
        px, py = photons(rng, x, y, np.full(4, 800.0), core, slope)
        np.add.at(counts, (py, px), 1)
        exposure = np.full(GRID.shape, 2000.0, np.float32)
        maps.append(a_map(tmp_path, counts, exposure, instrument=camera, obs_id=f"099999010{number + 1}"))
    table = photometry(maps, at_pixels(x, y), RADIUS, background=RING, psf="epic")
    joint = joint_photometry(table, response={"pn": 1, "mos1": 1})
    error = (joint["rate_high"] - joint["rate_low"]).value / 2
    assert np.all(np.abs(joint["rate"].value - 0.4) < 4 * error)
    alone = joint_photometry(table)
    assert np.allclose(alone["rate"].value, table["rate"].value, rtol=1e-8)
    exact = photometry(maps, at_pixels(x, y), RADIUS, background=RING, psf="epic", overlap="exact")
    for name in ("rate", "rate_low", "upper_limit"):
        assert np.allclose(joint_photometry(exact)[name].value, alone[name].value, rtol=1e-9)


def test_profiles_that_do_not_fit(tmp_path):
    exposure = np.full(GRID.shape, 500.0, np.float32)
    item = a_map(tmp_path, np.zeros(GRID.shape, np.int32), exposure)
    for psf, what in ((3, "psf must be"), ("king", "psf must be"), ({"mos1": "epic"}, "no entry for pn"),
                      (np.ones((9, 9)), "from_image")):  # fmt: skip
        with pytest.raises(InvalidRecord, match=what):
            photometry(item, at_pixels(256, 256), RADIUS, psf=psf)
    merged = RateMap(
        image=evolve(item.image, instrument="combined"), exposure=evolve(item.exposure, instrument="combined")
    )
    with pytest.raises(InvalidRecord, match="no single camera"):
        photometry(merged, at_pixels(256, 256), RADIUS, psf="epic")


# Backgrounds that are not vignetted.


def reference_map(folder):
    """Return a map with three live pixels in the circle and six in the ring, of the exposures of the reference."""
    exposure, live = np.zeros(GRID.shape, np.float32), np.zeros(GRID.shape)
    circle, ring = (
        [(256, 255), (256, 256), (256, 257)],
        [(250, 255), (250, 256), (250, 257), (262, 255), (262, 256), (262, 257)],
    )
    for places, seconds in ((circle, (10, 9, 8)), (ring, (7, 6, 5, 4, 3, 2))):
        for place, value in zip(places, seconds, strict=True):
            exposure[place], live[place] = value, 10.0
    counts = np.zeros(GRID.shape, np.int32)
    counts[circle[1]] = counts[ring[1]] = 20
    return a_map(folder, counts, exposure), live


@pytest.mark.parametrize("overlap", ["centre", "exact"])
@pytest.mark.parametrize(
    ("phi", "alpha", "significance"), [(1, 1.0, 0.0), (0, 0.5, 2.170557861), (0.5, 0.6551724138, None)]
)
def test_ratios_of_the_reference(tmp_path, overlap, phi, alpha, significance):
    item, live = reference_map(tmp_path)
    weights = background_weights(item.exposure.data, live, phi)
    [row] = photometry(item, at_pixels(256, 256), 3 * PIXEL * u.arcsec, background=(1.2, 3), overlap=overlap,
                       background_weights=weights, method="li-ma")  # fmt: skip
    assert row["counts"].value == row["background_counts"].value == 20
    assert row["alpha"] == pytest.approx(alpha, abs=1e-10)
    if significance is not None:
        assert row["significance"] == pytest.approx(significance, abs=1e-9)
    assert row["exposure_mean"].value == pytest.approx(9)


def test_default_weights_are_the_exposure(tmp_path):
    item, _ = reference_map(tmp_path)
    tables = [
        photometry(item, at_pixels(256, 256), 3 * PIXEL * u.arcsec, background=(1.2, 3), background_weights=weights)
        for weights in (None, item.exposure, [item.exposure.data], item.exposure.data)
    ]
    for table in tables[1:]:
        assert all(np.array_equal(table[n], tables[0][n]) for n in table.colnames if n != "flags")
    wondering, told = (tables[number]["flags"][0] & ~ApertureFlag.VIGNETTING for number in (0, 1))
    assert wondering == told  # who gives weights is not asked for them


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_blank_sky_with_particles_averages_zero_with_its_own_weights(tmp_path, phi):
    """Circles about the axis see less vignetting than their rings of 6 arcmin: too much is taken off."""
    rng = np.random.default_rng(12)
    y, x = np.indices(GRID.shape)
    live = np.full(GRID.shape, 5000.0)
    exposure = (live / (1 + (np.hypot(x - ON_AXIS, y - ON_AXIS) / 120) ** 2)).astype(np.float32)
    weights = background_weights(exposure, live, phi)
    places = at_pixels(
        *(ON_AXIS + np.array(v, float) for v in zip(*itertools.product((-30, 0, 30), repeat=2), strict=True))
    )
    maps = [a_map(tmp_path, rng.poisson(weights * 4e-5).astype(np.int32), exposure) for _ in range(8)]
    ring = (3 * u.arcmin, 6 * u.arcmin)
    right = photometry(maps, places, 60 * u.arcsec, background=ring, background_weights=[weights] * 8)
    wrong = photometry(maps, places, 60 * u.arcsec, background=ring)
    size = len(right)
    assert abs(right["net_counts"].value.mean()) < 4 * right["net_counts"].value.std() / np.sqrt(size)
    assert abs(right["significance"].mean()) < 4 / np.sqrt(size)
    assert wrong["significance"].mean() < -4 / np.sqrt(size)


def test_weights_that_do_not_fit(tmp_path):
    item, live = reference_map(tmp_path)
    place = at_pixels(256, 256)
    for error, weights in (
        (ShapeMismatch, live[:5]),
        (ShapeMismatch, 3.0),
        (InvalidRecord, live - 11),
        (InvalidRecord, [live, live]),
        (InvalidRecord, np.where(live > 0, np.nan, 0.0)),
        (InvalidRecord, ["a"]),
    ):
        with pytest.raises(error, match="background_weights"):
            photometry(item, place, 3 * PIXEL * u.arcsec, background=(1.2, 3), background_weights=weights)
    [row] = photometry(item, place, 3 * PIXEL * u.arcsec, background=(1.2, 3), background_weights=np.zeros(GRID.shape))
    assert ApertureFlag(int(row["flags"])) & ApertureFlag.NO_BACKGROUND
    assert np.isnan(row["rate"].value)
