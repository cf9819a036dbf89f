"""The simulator: same seed same bytes, counts as its model says, files that are recognised, a truth that is true."""

import hashlib
import math
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from scipy import stats

from xphotfn.errors import InvalidFile, ProductMissing, ShapeMismatch
from xphotfn.io.find import find_observations
from xphotfn.io.match import match_observations
from xphotfn.records import Band
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.pixel_masks import disc
from xphotfn.simulate.model import detected_regions, expected_counts
from xphotfn.simulate.scene import OUT_OF_TIME, SOFT
from xphotfn.testing import (
    Scene,
    Source,
    default_scene,
    model_counts,
    simulate_observations,
)

HARD = Band(lo_ev=2000, hi_ev=10_000)
BROAD = Band(lo_ev=500, hi_ev=10_000)
CAMERAS = ("pn", "mos1", "mos2")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return simulate_observations(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="module")
def one_pointing():
    return evolve(default_scene(), pointings=default_scene().pointings[:1])


def digests(truth):
    return {name: hashlib.sha256(Path(truth.folder, name).read_bytes()).hexdigest() for name in truth.files}


def model_of(truth, name):
    obs_id, camera = name.split("/")[1].split("_")[:2]
    return model_counts(truth.scene, truth.scene.pointing(obs_id), camera, SOFT)


def images(truth):
    return [name for name in truth.files if name.endswith("_img.fits")]


def test_equal_seeds_give_equal_bytes(simulated, tmp_path):
    again = simulate_observations(tmp_path / "again")
    assert digests(again) == digests(simulated)
    assert again.files == simulated.files
    assert again.scene == simulated.scene


def test_another_seed_changes_the_images_and_nothing_else(simulated, tmp_path):
    other = digests(simulate_observations(tmp_path / "other", seed=43))
    changed = {name for name, digest in digests(simulated).items() if other[name] != digest}
    assert changed == set(images(simulated))


def test_leaving_something_out_changes_no_other_file(simulated, tmp_path):
    pointing = simulated.scene.pointings[1]
    pn_only = evolve(pointing, exposures=[pointing.exposure("pn")])
    small = simulate_observations(tmp_path / "small", scene=evolve(simulated.scene, pointings=[pn_only]))
    full = digests(simulated)
    assert {name: full[name] for name in small.files if name.endswith(".fits")} == {
        name: digest for name, digest in digests(small).items() if name.endswith(".fits")
    }


def test_counts_agree_with_the_model(simulated):
    """Pixels are summed in groups of about 25 expected counts; their chi-square must be that of Poisson noise."""
    for name in images(simulated):
        model = model_of(simulated, name)
        expected = (model.source + model.background).ravel()
        counts = fits.getdata(Path(simulated.folder, name)).ravel()
        assert not counts[expected == 0].any()
        order = np.argsort(expected, kind="stable")
        group = np.floor(np.cumsum(expected[order]) / 25).astype(int)
        mean, found = np.bincount(group, expected[order]), np.bincount(group, counts[order])
        usable = mean > 10
        chi_square = float((((found - mean) ** 2) / mean)[usable].sum())
        assert 1e-4 < stats.chi2.sf(chi_square, int(usable.sum())) < 1 - 1e-4, name


def test_noise_of_images_is_independent(simulated):
    names = images(simulated)[:3]
    expected = np.array([(m := model_of(simulated, name)).source + m.background for name in names])
    counts = np.array([fits.getdata(Path(simulated.folder, name)) for name in names])
    on_all = (expected > 0).all(axis=0)
    residuals = ((counts - expected) / np.sqrt(np.where(expected > 0, expected, 1)))[:, on_all]
    off_diagonal = np.corrcoef(residuals)[np.triu_indices(3, 1)]
    assert np.all(np.abs(off_diagonal) < 4 / math.sqrt(residuals.shape[1]))


def test_exposure_maps_are_the_models(simulated):
    for name in images(simulated):
        exposure = fits.getdata(Path(simulated.folder, name.replace("_img", "_expmap")))
        assert exposure.dtype == np.dtype(">f4")
        assert np.array_equal(exposure.astype(np.float64), model_of(simulated, name).exposure)


def test_exposure_peaks_at_the_live_time(simulated):
    for pointing in simulated.scene.pointings:
        for camera in CAMERAS:
            exposure = model_counts(simulated.scene, pointing, camera, SOFT).exposure
            assert exposure.max() == pytest.approx(pointing.exposure(camera).live_s, rel=0.02)
            assert 0.3 < (exposure > 0).mean() < 0.6


def test_files_are_recognised(simulated):
    observations = find_observations(simulated.folder)
    assert [o.obs_id for o in observations] == ["0999990101", "0999990201"]
    for observation, pointing in zip(observations, simulated.scene.pointings, strict=True):
        assert observation.instruments == CAMERAS
        assert observation.notes == ()
        assert (observation.ra_deg, observation.dec_deg) == (pointing.ra_deg, pointing.dec_deg)
        assert observation.object_name == "simulated"
        assert observation.date == pointing.date
        assert observation.regions.path.endswith(f"{pointing.obs_id}_sources.reg")
        for exposure in observation.exposures:
            assert {(p.kind, p.band) for p in exposure.products} == {("image", SOFT), ("exposure_map", SOFT)}
            assert exposure.exposure_id == pointing.exposure(exposure.instrument).exposure_id
            assert exposure.exposure_s == pointing.exposure(exposure.instrument).ontime_s
            assert exposure.filter == "Thin1"
            for product in exposure.products:
                assert product.grid.difference(pointing.grid) == ""
                assert (product.grid.x0_sky, product.grid.y0_sky) == (3692.0, 3692.0)


def test_headers_look_like_pipeline_products(simulated):
    name = "0999990101/0999990101_mos2_0.50-2.00keV_img.fits"
    image = fits.getheader(Path(simulated.folder, name))
    exposure = fits.getheader(Path(simulated.folder, name.replace("_img", "_expmap")))
    wanted = {
        "TELESCOP": "XMM", "INSTRUME": "EMOS2", "OBS_ID": "0999990101", "EXPIDSTR": "S002", "FILTER": "Thin1",
        "SUBMODE": "PrimeFullWindow", "DATAMODE": "IMAGING", "OBJECT": "simulated", "PA_PNT": 114.2,
        "DATE-OBS": "2020-01-11T06:12:30", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CTYPE1L": "X", "CDELT1L": 87.0,
        "CRVAL1L": 3692.0, "CRPIX1L": 1, "EXPOSURE": 9090.0,
    }  # fmt: skip
    for header in (image, exposure):
        assert {key: header[key] for key in wanted} == wanted
        assert header["OBSERVER"]
        assert "DATE" not in header
        assert header["LTV1"] == pytest.approx(-41.4367816091954)
        assert header["LTM1_1"] == pytest.approx(0.0114942528735632)
    assert (image["BITPIX"], exposure["BITPIX"]) == (32, -32)
    assert (image["HDUCLAS1"], image["HDUCLAS2"], image["CONTENT"][:8]) == ("IMAGE", "TOTAL", "EPIC MOS")
    assert "PI in [500:2000]" in image["SLCTEXPR"]
    assert exposure["CONTENT"] == "EPIC EXPOSURE MAP"
    assert exposure["CREATOR"] == "eexpmap (xphotfn simulation)"
    assert "pimin=500 pimax=2000" in exposure["XPROC0"]


def test_no_path_of_this_machine_goes_into_a_file(simulated):
    for name in simulated.files:
        assert str(simulated.folder).encode() not in Path(simulated.folder, name).read_bytes()


def test_regions_match_the_cluster_and_mask_the_points(simulated):
    target = simulated.cluster.target
    field = match_observations(target, find_observations(simulated.folder))
    assert field.obs_ids == ("0999990101", "0999990201")
    for member in field.members:
        assert member.match.colour == "green"
        assert member.kept == ()
        assert 9 <= len(member.interlopers) <= 12
        assert {r.colour for r in member.interlopers} == {"red"}
        grid = member.region_grid
        x, y = deg_to_pix(grid, target.ra_deg, target.dec_deg)
        assert (member.match.x, member.match.y) == pytest.approx((float(x), float(y)), abs=1e-3)
        x, y = deg_to_pix(grid, *simulated.positions[0].value)
        assert any(abs(r.x - x) < 1e-3 and abs(r.y - y) < 1e-3 for r in member.interlopers)


def test_sources_off_the_detector_get_no_region():
    scene = default_scene()
    pointing = scene.pointings[0]
    far = Source(name="far", ra_deg=pointing.ra_deg, dec_deg=pointing.dec_deg + 0.4, rate=1.0)
    corner = Source(name="corner", ra_deg=pointing.ra_deg - 0.35, dec_deg=pointing.dec_deg + 0.28, rate=1.0)
    faint = Source(name="faint", ra_deg=pointing.ra_deg, dec_deg=pointing.dec_deg, rate=1e-5)
    assert detected_regions(Scene(sources=[far, corner, faint], pointings=[pointing]), pointing) == ()


def test_nothing_is_overwritten_unasked(one_pointing, tmp_path):
    truth = simulate_observations(tmp_path, scene=one_pointing)
    before = digests(truth)
    last = tmp_path / truth.files[-1]
    for name in truth.files[:-1]:
        (tmp_path / name).unlink()
    with pytest.raises(InvalidFile, match="overwrite=True") as caught:
        simulate_observations(tmp_path, seed=1, scene=one_pointing)
    assert caught.value.path == str(last)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [last]
    assert digests(simulate_observations(tmp_path, scene=one_pointing, overwrite=True)) == before


def test_no_temporary_file_stays(simulated):
    found = {p.relative_to(simulated.folder).as_posix() for p in Path(simulated.folder).rglob("*") if p.is_file()}
    assert found == set(simulated.files)


def test_several_bands(tmp_path, one_pointing):
    pointing = one_pointing.pointings[0]
    small = evolve(pointing, exposures=[pointing.exposure("mos1")])
    truth = simulate_observations(tmp_path, scene=evolve(one_pointing, pointings=[small], bands=[SOFT, HARD]))
    (observation,) = find_observations(tmp_path)
    assert {p.band for p in observation.exposures[0].products} == {SOFT, HARD}
    assert len(truth.files) == 5


def test_a_folder_that_cannot_be_made_is_named(one_pointing, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidFile, match="cannot be made"):
        simulate_observations(tmp_path / "file", scene=one_pointing)


# the truth


def test_truth_adds_up(simulated):
    everything = np.ones((512, 512), dtype=bool)
    half = np.zeros((512, 512), dtype=bool)
    half[:200] = True
    for pointing in simulated.scene.pointings:
        for camera in CAMERAS:
            whole = np.array(simulated.expected_counts(pointing.obs_id, camera, everything))
            parts = [np.array(simulated.expected_counts(pointing.obs_id, camera, m)) for m in (half, ~half)]
            assert np.allclose(sum(parts), whole)
            assert 1000 < whole[0] < 6000


def test_measured_counts_scatter_about_the_truth(simulated):
    """Counts within R500 without the interlopers, per image, in units of their Poisson error."""
    deviations = []
    for name in images(simulated):
        obs_id, camera = name.split("/")[1].split("_")[:2]
        grid = simulated.scene.pointing(obs_id).grid
        x, y = (float(v) for v in deg_to_pix(grid, simulated.cluster.ra_deg, simulated.cluster.dec_deg))
        aperture = disc((512, 512), x, y, 97.0)
        counts = int(fits.getdata(Path(simulated.folder, name))[aperture].sum())
        expected = sum(simulated.expected_counts(obs_id, camera, aperture))
        deviations.append((counts - expected) / math.sqrt(expected))
    assert max(map(abs, deviations)) < 4
    assert sum(d**2 for d in deviations) < stats.chi2.isf(1e-3, len(deviations))


def test_truth_lists_positions_and_rates(simulated):
    assert simulated.positions.shape == (12, 2)
    assert simulated.positions.unit == u.deg
    rates = simulated.rates("pn")
    assert rates[0] == 0.03 * u.ct / u.s
    assert np.allclose(simulated.rates("mos1"), 0.34 * rates)
    assert hash(simulated) == hash(evolve(simulated))
    nothing = evolve(simulated, scene=evolve(simulated.scene, sources=()))
    assert nothing.positions.shape == (0, 2)


def test_some_sources_lie_inside_r500_but_none_in_the_core(simulated):
    cluster = simulated.cluster
    ra, dec = simulated.positions.to_value("arcmin").T
    east = (ra - cluster.ra_deg * 60) * math.cos(math.radians(cluster.dec_deg))
    distance = np.hypot(east, dec - cluster.dec_deg * 60)
    assert np.count_nonzero(distance < 7.0) == 4
    assert distance.min() > 2 * 0.15 * 7.0


def test_questions_without_an_answer_are_refused(simulated):
    with pytest.raises(ShapeMismatch, match="512"):
        simulated.expected_counts("0999990101", "pn", np.ones((3, 3), dtype=bool))
    with pytest.raises(ProductMissing, match="0999990101, 0999990201"):
        simulated.expected_counts("0000000000", "pn", np.ones((512, 512), dtype=bool))
    two = evolve(simulated.scene, bands=[SOFT, HARD])
    with pytest.raises(ProductMissing, match="several bands"):
        expected_counts(two, "0999990101", "pn", np.ones((512, 512), dtype=bool))
    with pytest.raises(ProductMissing, match="it has pn, mos1, mos2"):
        simulated.scene.pointings[0].exposure("rgs1")


def test_the_table_of_the_truth_adds_up_to_the_model(simulated):
    table = simulated.table()
    assert table.colnames == ["source", "ra", "dec", "obs_id", "instrument", "band", "rate", "counts"]
    assert len(table) == 13 * 3 * 2
    assert table["source"][:2].tolist() == ["simulated", "point 1"]
    for pointing in simulated.scene.pointings:
        for camera in CAMERAS:
            mine = table[(table["obs_id"] == pointing.obs_id) & (table["instrument"] == camera)]
            model = model_counts(simulated.scene, pointing, camera, SOFT)
            assert mine["counts"].sum().to_value("ct") == pytest.approx(model.source.sum(), rel=1e-6)
            assert np.array_equal(mine["rate"][1:], simulated.rates(camera))
            most = mine["rate"] * pointing.exposure(camera).live_s * u.s
            assert np.all(mine["counts"] < 1.02 * most)


def test_out_of_time_counts_are_background_in_the_truth(one_pointing):
    pointing = one_pointing.pointings[0]
    pn = pointing.exposure("pn")
    everything = np.ones((512, 512), dtype=bool)
    plain, late = (
        expected_counts(
            evolve(one_pointing, pointings=[evolve(pointing, exposures=[evolve(pn, out_of_time=part)])]),
            pointing.obs_id, "pn", everything,
        )
        for part in (0.0, OUT_OF_TIME["PrimeFullWindow"])
    )  # fmt: skip
    assert late[0] == plain[0]
    assert 0.03 < (late[1] - plain[1]) / sum(plain) < 0.063 / 0.937
