"""Simulated event lists: evselect makes the counts of the model of them; geometry, times and record agree."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from scipy import stats

from xphotfn.engines.native.evselect.evselect_task import evselect, evselect_many
from xphotfn.epic.camera.detector import camera_named, raw_positions
from xphotfn.errors import InvalidRecord
from xphotfn.graph.recipes import plan_images
from xphotfn.graph.result import raise_for_failures
from xphotfn.graph.run import run
from xphotfn.io.find import find_observations
from xphotfn.io.match import bulk_field, match_observations
from xphotfn.records import Band
from xphotfn.simulate.event_files import event_list_name
from xphotfn.simulate.photons import ccds_read, energy_parts, good_intervals
from xphotfn.simulate.scene import SOFT, Cluster, Scene, Source
from xphotfn.testing import default_scene, model_counts, simulate_observations

HARD = Band(lo_ev=2000, hi_ev=10_000)
BANDS = (SOFT, HARD)
CAMERAS = ("pn", "mos1", "mos2")
ROLL = {"pn": 90.22, "mos1": -179.998, "mos2": -90.29}
POINTED = {"pn": (-1097, 1476), "mos1": (-1408, -1405), "mos2": (1228, -1631)}


class EvselectOnly:
    """Executes evselect and nothing else, and notes how many commands each pass over a list serves."""

    identity = "evselect-only-1"

    def __init__(self):
        self.passes = []

    def execute(self, command, folder):
        self.passes.append(1)
        evselect(command, folder)
        return ""

    def execute_many(self, commands, folder):
        self.passes.append(len(commands))
        evselect_many(commands, folder)
        return ""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory, request):
    """Event lists of the first pointing of the demo's scene, of both if slow."""
    pointings = default_scene().pointings[: None if request.config.getoption("--slow") else 1]
    scene = evolve(default_scene(), pointings=pointings)
    return simulate_observations(tmp_path_factory.mktemp("events"), scene=scene, products="events")


@pytest.fixture(scope="module")
def small_scene():
    """Two cameras for a short time, one of them without two CCDs."""
    pointing = default_scene().pointings[0]
    cameras = [
        evolve(pointing.exposure("pn"), ontime_s=800.0, lost_chips=(3, 11)),
        evolve(pointing.exposure("mos2"), ontime_s=1000.0),
    ]
    return evolve(default_scene(), pointings=[evolve(pointing, exposures=cameras)])


@pytest.fixture(scope="module")
def small(small_scene, tmp_path_factory):
    """The small scene, with seed 3."""
    folder = tmp_path_factory.mktemp("small")
    return simulate_observations(folder, scene=small_scene, seed=3, products=("events", "exposure_map"))


@pytest.fixture(scope="module")
def made(simulated, tmp_path_factory):
    """The images that plan_images makes of the simulated lists, by ObsID, camera and band; and the engine."""
    field = match_observations(simulated.cluster.target, find_observations(simulated.folder))
    engine = EvselectOnly()
    result = raise_for_failures(
        run(plan_images(field, BANDS), engine=engine, store=tmp_path_factory.mktemp("store"), progress=False)
    )
    return {(p.obs_id, p.instrument, p.band): path for p, path, _ in result.products()}, engine


def lists(truth):
    for pointing in truth.scene.pointings:
        for exposure in pointing.exposures:
            name = event_list_name(pointing.obs_id, exposure.instrument)
            yield pointing, exposure, Path(truth.folder, pointing.obs_id, name)


def is_good(camera, events):
    mask, most = (0xCFA0000, 4) if camera == "pn" else (0x766BA000, 12)
    return (events["FLAG"] & mask == 0) & (events["PATTERN"] <= most)


def digests(truth):
    return {name: hashlib.sha256(Path(truth.folder, name).read_bytes()).hexdigest() for name in truth.files}


def test_images_made_by_evselect_have_the_counts_of_the_model(simulated, made):
    images, _ = made
    assert len(images) == 6 * len(simulated.scene.pointings)
    for (obs_id, camera, band), path in images.items():
        model = model_counts(simulated.scene, simulated.scene.pointing(obs_id), camera, band)
        expected, counts = (model.source + model.background).ravel(), fits.getdata(path).ravel()
        assert not counts[expected == 0].any()
        assert abs(counts.sum() - expected.sum()) < 4 * math.sqrt(expected.sum())
        order = np.argsort(expected, kind="stable")
        group = np.floor(np.cumsum(expected[order]) / 25).astype(int)
        mean, found = np.bincount(group, expected[order]), np.bincount(group, counts[order])
        usable = mean > 10
        chi_square = float((((found - mean) ** 2) / mean)[usable].sum())
        assert 1e-4 < stats.chi2.sf(chi_square, int(usable.sum())) < 1 - 1e-4, path


def test_bands_of_one_list_are_read_once(made):
    assert made[1].passes == [2] * (len(made[0]) // 2)  # two bands of each list


def test_exposure_of_the_image_is_the_sum_of_the_good_intervals(simulated, made):
    for (obs_id, camera, _), path in made[0].items():
        pointing = simulated.scene.pointing(obs_id)
        exposure, header = pointing.exposure(camera), fits.getheader(path)
        total = sum(stop - start for start, stop in good_intervals(pointing, exposure))
        assert header["EXPOSURE"] == pytest.approx(total, abs=1e-6)
        assert total == pytest.approx(exposure.ontime_s, abs=1e-6)
        assert sum(card.startswith("ONTIME") for card in header) == len(ccds_read(exposure))
        assert "PATTERN" in header["SLCTEXPR"]


def test_images_have_the_grid_of_the_simulated_maps(simulated, made):
    for (obs_id, _, _), path in made[0].items():
        header, grid = fits.getheader(path), simulated.scene.pointing(obs_id).grid
        assert (header["NAXIS1"], header["NAXIS2"]) == (grid.nx, grid.ny)
        assert (header["CRVAL1L"], header["CRVAL2L"]) == (grid.x0_sky, grid.y0_sky)
        assert header["CRPIX1"] == pytest.approx(grid.crpix1, abs=1e-9)
        assert header["CRVAL1"] == grid.ra_deg


def test_live_time_of_the_frames_is_that_of_the_scene(simulated):
    for _, exposure, path in lists(simulated):
        out_of_time = 0.936444 if exposure.instrument == "pn" else 1
        with fits.open(path) as hdus:
            for number in ccds_read(exposure):
                frames = hdus[f"EXPOSU{number:02d}"].data
                seconds = np.sum(frames["TIMEDEL"].astype(float) * frames["FRACEXP"].astype(float)) * out_of_time
                assert seconds == pytest.approx(exposure.live_s, rel=1e-5)
                assert hdus["EVENTS"].header[f"LIVETI{number:02d}"] * out_of_time == pytest.approx(seconds, rel=1e-6)


def test_events_and_frames_lie_inside_good_intervals(simulated):
    for pointing, exposure, path in lists(simulated):
        intervals = np.array(good_intervals(pointing, exposure))
        assert len(intervals) in (2, 3)
        with fits.open(path) as hdus:
            times = hdus["EVENTS"].data["TIME"]
            inside = [(times >= start) & (times <= stop) for start, stop in intervals]
            assert np.any(inside, axis=0).all()
            shares = np.array([i.mean() for i in inside]), np.diff(intervals).ravel() / exposure.ontime_s
            assert np.allclose(*shares, atol=4 * 0.5 / math.sqrt(len(times)))
            for place, number in enumerate(ccds_read(exposure)):
                table, frames = hdus[f"GTI{place:03d}02"], hdus[f"EXPOSU{number:02d}"].data
                assert table.header["CCDID"] == number
                assert np.array_equal(np.column_stack([table.data["START"], table.data["STOP"]]), intervals)
                half = frames["TIMEDEL"].astype(float) / 2
                starts, ends = frames["TIME"] - half, frames["TIME"] + half
                held = [(starts >= start) & (ends <= stop) for start, stop in intervals]
                assert np.any(held, axis=0).all()


def test_sky_detector_and_raw_positions_agree(simulated):
    """X, Y less the drift of the attitude turn into DETX, DETY to rounding, those into RAWX, RAWY to half a pixel."""
    for pointing, exposure, path in lists(simulated):
        camera = exposure.instrument
        attitude = fits.getdata(path.with_name(f"P{pointing.obs_id}OBX000ATTTSR0000.FIT"))
        events = fits.getdata(path, "EVENTS")
        ra, dec = (np.interp(events["TIME"], attitude["TIME"], attitude[name]) for name in ("AHFRA", "AHFDEC"))
        east = (ra - pointing.ra_deg) * math.cos(math.radians(pointing.dec_deg)) * 3600
        north = (dec - pointing.dec_deg) * 3600
        assert np.hypot(east, north).max() <= 0.5
        dx, dy = events["X"] - 25921 + east / 0.05, events["Y"] - 25921 - north / 0.05
        turn = math.radians(pointing.pa_deg + ROLL[camera])
        det_x = math.cos(turn) * dx + math.sin(turn) * dy + POINTED[camera][0]
        det_y = math.sin(turn) * dx - math.cos(turn) * dy + POINTED[camera][1]
        assert np.abs(det_x - events["DETX"]).max() < 0.502
        assert np.abs(det_y - events["DETY"]).max() < 0.502
        model = camera_named({"pn": "EPN", "mos1": "EMOS1", "mos2": "EMOS2"}[camera], "")
        for chip in (model.chips[number - 1] for number in ccds_read(exposure)):
            mine = events[events["CCDNR"] == chip.number]
            x, y = raw_positions(chip, mine["RAWX"].astype(float), mine["RAWY"].astype(float))
            off = np.maximum(np.abs(x - mine["DETX"]), np.abs(y - mine["DETY"])) / (abs(chip.xx) + abs(chip.xy))
            assert np.all(off < 1.1)
            assert np.mean(off <= 0.53) > 0.99  # the others lie on the edge of their CCD


def test_events_lie_on_ccds_that_were_read(simulated):
    for _, exposure, path in lists(simulated):
        with fits.open(path) as hdus:
            events = hdus["EVENTS"].data
            assert set(np.unique(events["CCDNR"])) == set(ccds_read(exposure))
            for number in ccds_read(exposure):
                mine, bad = events[events["CCDNR"] == number], hdus[f"BADPIX{number:02d}"].data
                columns, rows = (64, 200) if exposure.instrument == "pn" else (600, 600)
                assert mine["RAWX"].min() >= 1
                assert mine["RAWX"].max() <= columns
                assert mine["RAWY"].min() >= 1
                assert mine["RAWY"].max() <= rows
                assert len(bad) == 0


def test_the_record_leaves_flags_and_patterns_to_the_default_selection(simulated, made):
    for pointing, exposure, path in lists(simulated):
        events, header = fits.getdata(path, "EVENTS", header=True)
        good = is_good(exposure.instrument, events)
        assert 0.03 < 1 - good.mean() < 0.09
        assert (events["FLAG"][~good] != 0).any()
        assert (events["PATTERN"][~good] > 4).any()
        assert (events["FLAG"][good] == 0).all()
        assert "FLAG" not in header["SLCTEXPR"]
        inside = (events["PI"] >= 500) & (events["PI"] <= 2000)
        image = fits.getdata(made[0][pointing.obs_id, exposure.instrument, SOFT])
        assert image.sum() == (good & inside).sum() < inside.sum()


def test_columns_are_those_of_sas(simulated):
    _, _, path = next(lists(simulated))
    columns = fits.getdata(path, "EVENTS").columns
    assert " ".join(columns.names) == "TIME RAWX RAWY DETX DETY X Y PHA PI FLAG PATTERN CCDNR"
    assert " ".join(columns.formats) == "D I I I I J J I I J B B"
    header = fits.getheader(path, "EVENTS")
    for number, name in enumerate(columns.names, start=1):
        values = fits.getdata(path, "EVENTS")[name]
        if f"TLMIN{number}" in header:
            assert header[f"TLMIN{number}"] <= values.min()
            assert values.max() <= header[f"TLMAX{number}"]


def test_files_are_found(simulated):
    found = find_observations(simulated.folder)
    assert [o.obs_id for o in found] == [p.obs_id for p in simulated.scene.pointings]
    for observation in found:
        assert observation.notes == ()
        assert observation.attitude is not None
        assert observation.regions is not None
        for exposure in observation.exposures:
            simulated_one = simulated.scene.pointing(observation.obs_id).exposure(exposure.instrument)
            assert exposure.events is not None
            assert not exposure.filtered
            assert not exposure.products
            assert exposure.exposure_id == simulated_one.exposure_id
            assert exposure.exposure_s == pytest.approx(simulated_one.ontime_s, abs=1e-6)


def test_equal_seeds_give_equal_bytes(small, small_scene, tmp_path):
    again, other = (
        simulate_observations(tmp_path / name, scene=small_scene, seed=seed, products=("events", "exposure_map"))
        for name, seed in (("again", 3), ("other", 4))
    )
    assert digests(small) == digests(again)
    changed = {name for name, digest in digests(small).items() if digests(other)[name] != digest}
    assert changed == {name for name in small.files if name.endswith("_evts.fits")}


def test_leaving_a_camera_out_changes_no_other_list(small, small_scene, tmp_path):
    pointing = small_scene.pointings[0]
    alone = evolve(small_scene, pointings=[evolve(pointing, exposures=[pointing.exposure("mos2")])])
    name = f"{pointing.obs_id}/{event_list_name(pointing.obs_id, 'mos2')}"
    found = simulate_observations(tmp_path / "alone", scene=alone, seed=3, products="events")
    assert digests(found)[name] == digests(small)[name]


def test_lost_ccds_leave_no_trace(small):
    path = next(path for _, exposure, path in lists(small) if exposure.instrument == "pn")
    with fits.open(path) as hdus:
        names = {hdu.name for hdu in hdus}
        assert not names & {"EXPOSU03", "BADPIX03", "STDGTI11", "EXPOSU11", "GTI01002"}
        assert "ONTIME03" not in hdus["EVENTS"].header
        assert hdus["EVENTS"].header["3DSVAL1"] == "4"
        assert not np.isin(hdus["EVENTS"].data["CCDNR"], (3, 11)).any()


@pytest.mark.parametrize("slope", [1.0, pytest.param(1.8, marks=pytest.mark.slow), 2.2])
def test_energies_follow_the_spectrum_in_any_band(slope, tmp_path):
    """A cluster alone, well inside the field of view: the counts of narrow bands are those of its power law."""
    pointing = default_scene().pointings[0]
    pointing = evolve(pointing, exposures=[evolve(pointing.exposure("pn"), ontime_s=20_000.0)])
    cluster = Cluster(ra_deg=pointing.ra_deg, dec_deg=pointing.dec_deg, rate=1.0, core_arcsec=30, slope=slope)
    scene = Scene(cluster=cluster, sky_rate=0, particle_rate=0, pointings=[pointing])
    truth = simulate_observations(tmp_path, scene=scene, products="events")
    events = fits.getdata(next(lists(truth))[2], "EVENTS")
    pi = events["PI"][is_good("pn", events)]
    assert pi.min() >= 200
    assert pi.max() < 12_000
    for lo, hi in ((200, 300), (300, 500), (500, 800), (800, 1500), (1500, 2000)):
        band = Band(lo_ev=lo, hi_ev=hi)
        expected = float(model_counts(scene, pointing, "pn", band).source.sum())
        assert abs(((pi >= lo) & (pi < hi)).sum() - expected) < 4 * math.sqrt(expected), (lo, hi)


def test_out_of_time_events_are_in_the_list(tmp_path):
    """A bright source on pn: the image that evselect makes has its streak, as the model expects."""
    pointing = default_scene().pointings[0]
    camera = evolve(pointing.exposure("pn"), ontime_s=1000.0, out_of_time=0.1)
    source = Source(name="bright", ra_deg=pointing.ra_deg + 0.05, dec_deg=pointing.dec_deg + 0.06, rate=20.0)
    scene = Scene(sources=[source], pointings=[evolve(pointing, exposures=[camera])])
    truth = simulate_observations(tmp_path, scene=scene, products="events")
    field = bulk_field(find_observations(tmp_path))
    result = run(plan_images(field, SOFT), engine=EvselectOnly(), store=tmp_path / "store", progress=False)
    ((_, path, _),) = raise_for_failures(result).products()
    counts = fits.getdata(path)
    model = model_counts(truth.scene, truth.scene.pointings[0], "pn", SOFT)
    streak = (model.out_of_time > 10 * model.source) & (model.out_of_time > 2 * model.background)
    expected = float(model.total[streak].sum())
    assert expected > 300
    assert abs(counts[streak].sum() - expected) < 4 * math.sqrt(expected)
    assert abs(counts[streak].sum() - float((model.total - model.out_of_time)[streak].sum())) > 10 * math.sqrt(expected)


def test_bands_of_the_scene_bound_the_parts_of_the_spectrum():
    scene = evolve(default_scene(), bands=[Band(lo_ev=300, hi_ev=7000)])
    assert [(b.lo_ev, b.hi_ev) for b in energy_parts(scene)] == [
        (200, 300),
        (300, 7000),
        (7000, 10_000),
        (10_000, 12_000),
    ]


def test_an_empty_sky_gives_a_list_without_events(tmp_path):
    pointing = default_scene().pointings[0]
    one = evolve(pointing, exposures=[pointing.exposure("mos1")])
    truth = simulate_observations(
        tmp_path, scene=Scene(sky_rate=0, particle_rate=0, pointings=[one]), products="events"
    )
    assert len(fits.getdata(next(lists(truth))[2], "EVENTS")) == 0


@pytest.mark.parametrize("products", [(), "spectra", ("events", "spectra")])
def test_products_that_cannot_be_simulated(products, tmp_path):
    with pytest.raises(InvalidRecord, match="products must be some of image, exposure_map, events"):
        simulate_observations(tmp_path / "new", products=products)
    assert not (tmp_path / "new").exists()
