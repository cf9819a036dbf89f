"""A background that is not vignetted: exposure maps without vignetting, and significances whose alpha knows them."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table, vstack
from attrs import evolve

import xphotfn as xp
from xphotfn.errors import InvalidRecord
from xphotfn.io.write import write_image
from xphotfn.science.snr_methods import signal_to_noise
from xphotfn.testing import CameraExposure, Pointing, Scene, simulate_observations
from xphotfn.testing.examples import example_field, example_rate_map

SOFT = xp.energy_band(0.5 * u.keV, 2.0 * u.keV)
ALPHAS = {1.0: 1.0, 0.0: 0.5, 0.5: 0.6551724138}  # statistics_reference.md, section 1, by the vignetted fraction


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """One simulated pn list, with exposure maps with and without vignetting."""
    root = tmp_path_factory.mktemp("flat")
    camera = CameraExposure(instrument="pn", exposure_id="S003", ontime_s=1000.0)
    scene = Scene(pointings=[Pointing(obs_id="0999990301", ra_deg=10.0, dec_deg=20.0, exposures=[camera])])
    simulate_observations(root / "data", seed=3, scene=scene, products=("events",))
    field = xp.bulk_field(xp.find_observations(root / "data"))
    how = {"engine": xp.native_engine(), "store": root / "store", "scheduler": "synchronous", "progress": False}
    plans = [xp.plan_exposure_maps(field, SOFT, vignetting=vignetting) for vignetting in (True, False)]
    return tuple(xp.rate_maps(xp.raise_for_failures(xp.run(plan, **how)))[0] for plan in plans)


def test_the_maps_differ_by_the_published_vignetting(maps, reference_root):
    """Against the table of the calibration file, read here by other means."""
    bent, flat = (m.exposure.data.astype(np.float64) for m in maps)
    live = (bent > 0) & (flat > 0)
    grid = maps[0].grid
    y, x = np.nonzero(live)
    ratio = bent[live] / flat[live]
    axis = [np.mean(pixels[ratio > 0.99]) for pixels in (x, y)]  # the optical axis is not the pointing
    off_axis = np.hypot(x - axis[0], y - axis[1]) * grid.pixel_deg * 60
    table = Table.read(reference_root / "vignetting_xrt3_xareaef_0012.csv", format="ascii.csv", comment="#")
    angles = [float(name) for name in table.colnames[1:]]
    row = np.array(list(table[int(np.argmin(np.abs(table["energy_ev"] - 1250)))])[1:], dtype=float)
    for low in (1, 4, 7, 10):
        ring = (off_axis >= low) & (off_axis < low + 0.5)
        assert np.median(ratio[ring]) == pytest.approx(np.interp(low + 0.25, angles, row), abs=0.03)
    centre, rim = flat[live][off_axis < 3], flat[live][(off_axis > 8) & (off_axis < 11)]
    assert np.median(rim) == pytest.approx(np.median(centre), rel=0.01)


def test_the_images_are_the_same_and_the_products_are_not(maps):
    bent, flat = maps
    assert bent.image.path == flat.image.path
    assert bent.exposure.path != flat.exposure.path
    assert flat.exposure.path.endswith("_expmap_novig.fits")


def test_a_rate_on_a_map_without_vignetting_becomes_no_flux(maps):
    tables = [xp.photometry(one, [10.0, 20.0] * u.deg, 60 * u.arcsec) for one in maps]
    assert [table["vignetting"][0] for table in tables] == ["corrected", "uncorrected"]
    bent, flat = tables
    ecf = xp.power_law_ecf("pn", filter=maps[0].filter, band=SOFT, gamma=1.7, nh=3e20 / u.cm**2, absorbed=True)
    assert xp.fluxes(bent, ecf=ecf)["flux"].unit == u.erg / u.cm**2 / u.s
    for measure in (xp.fluxes, lambda table, ecf: xp.joint_photometry(table, response=ecf)):
        with pytest.raises(InvalidRecord, match="withvignetting=yes"):
            measure(flat, ecf=ecf)
    at_the_source = evolve(ecf, arf_includes=("vignetting",))
    assert xp.fluxes(flat, ecf=at_the_source)["flux"][0] * ecf.value == flat["rate"][0]
    with pytest.raises(InvalidRecord, match="on axis"):
        xp.fluxes(bent, ecf=at_the_source)
    flat["obs_id"] = ["0999990302"]
    with pytest.raises(InvalidRecord, match="vignetting corrected and uncorrected"):
        xp.joint_photometry(vstack([bent, flat]))


def test_a_found_map_without_vignetting_is_left_out_and_said(tmp_path):
    grid = xp.PixelGrid.from_sky_range(10.0, 20.0, low=22000, high=22000 + 64 * 80 - 1, bin_size=80)
    cards = [("TELESCOP", "XMM", ""), ("INSTRUME", "EPN", ""), ("OBS_ID", "0000000101", ""), ("EXPIDSTR", "S003", "")]
    cards += [("FILTER", "Thin1", ""), ("CONTENT", "EPIC EXPOSURE MAP", ""), ("CREATOR", "eexpmap (eexpmap-4.8)", "")]
    for name, switch in (("with", "yes"), ("without", "no")):
        command = f"eexpmap withvignetting={switch} pimin=500 pimax=2000 # (eexpmap-4.8)"
        write_image(tmp_path / f"{name}.fits", np.ones(grid.shape, np.float32), grid, [*cards, ("XPROC0", command, "")])
    (observation,) = xp.find_observations(tmp_path)
    (product,) = observation.exposures[0].products
    assert product.file.path.endswith("/with.fits")
    assert any("without.fits" in note and "without vignetting" in note for note in observation.notes)


@pytest.mark.parametrize("fraction", list(ALPHAS))
def test_alpha_of_a_mixed_background(fraction):
    exposure = np.array([[10.0, 9, 8, 7, 6, 5, 4, 3, 2]])
    source = np.arange(9)[None] < 3
    counts = np.where(source, [20, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 20, 0, 0, 0, 0, 0])
    weights = xp.background_weights(exposure, np.full_like(exposure, 10.0), fraction)
    found = signal_to_noise(counts, exposure, source, ~source, "li-ma", weights=weights)
    assert found.alpha == pytest.approx(ALPHAS[fraction], rel=1e-9)
    if fraction in (0.0, 1.0):
        assert found.value == pytest.approx({1.0: 0.0, 0.0: 2.170557861}[fraction], abs=1e-9)


def test_particles_under_a_large_circle_are_no_deficit(maps):
    """Counts drawn of sky and particles, in fixed regions: the default is biased, the weights of the truth are not."""
    bent, flat = (m.exposure.data.astype(np.float64) for m in maps)
    weights = xp.background_weights(bent, flat, 0.6)
    y, x = np.indices(bent.shape)
    r = np.hypot(x - 256, y - 256)
    source, ring = r < 80, (r > 84) & (r < 120)
    random = np.random.default_rng(11)
    found = []
    for _ in range(60):
        counts = random.poisson(weights * (0.2 / weights.max()))
        pair = [signal_to_noise(counts, bent, source, ring, weights=w).value for w in (None, weights)]
        found.append(pair)
    default, mixed = np.mean(found, axis=0)
    assert default < -1
    assert abs(mixed) < 4 / np.sqrt(60)


def test_snr_takes_an_exposure_map_or_an_image():
    rate_map, field = example_rate_map(), example_field()
    plain = xp.snr(rate_map, field, 60 * u.arcsec)
    assert xp.snr(rate_map, field, 60 * u.arcsec, background_weights=rate_map.exposure) == evolve(
        plain, scaled_by="weights"
    )
    twice = xp.snr(rate_map, field, 60 * u.arcsec, background_weights=2.0 * rate_map.exposure.data)
    assert twice.alpha == pytest.approx(plain.alpha, rel=1e-12)


@pytest.mark.parametrize(
    ("weights", "method", "error", "message"),
    [
        (np.ones((3, 3)), "mid-p", xp.ShapeMismatch, r"background_weights have shape \(3, 3\)"),
        ("flat", "mid-p", xp.InvalidRecord, "must be one image or exposure map"),
        (-1, "mid-p", xp.InvalidRecord, "finite and not negative"),
        (0, "mid-p", xp.NoData, "weights are 0 in the whole background region"),
        (1, "xga", xp.InvalidRecord, "takes no background_weights"),
    ],
)
def test_weights_that_cannot_be(weights, method, error, message):
    rate_map = example_rate_map()
    given = np.full(rate_map.data.shape, float(weights)) if isinstance(weights, int) else weights
    with pytest.raises(error, match=message):
        xp.snr(rate_map, example_field(), "r500", method=method, background_weights=given)
