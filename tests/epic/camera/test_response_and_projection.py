"""The parts of an exposure map one by one: attitude, live time, projection, response."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings, strategies as st

from xphotfn.commands.dss import DssFilter
from xphotfn.epic.camera.attitude import (
    Attitude,
    AttitudeTrack,
    attitude_at,
    attitude_bins,
    attitude_of,
    read_attitude,
    record_edges,
)
from xphotfn.epic.camera.detector import camera_named, exposure_model
from xphotfn.epic.camera.projection import (
    Boresight,
    View,
    fit_boresight,
    pixel_to_det,
    weights,
)
from xphotfn.epic.camera.response import (
    Cells,
    ccf_table,
    cell_labels,
    cells_of,
    grating_slope,
    packaged_table,
    response,
)
from xphotfn.epic.livetime import Frames, chip_times, seconds_per_piece
from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.records.grid import PixelGrid

MOS1, MOS2, PN = (camera_named(name, "") for name in ("EMOS1", "EMOS2", "EPN"))


def track(time, ra=30.0, dec=20.0, pa=50.0):
    time = np.asarray(time, dtype=float)
    ra, dec, pa = (np.broadcast_to(np.asarray(v, dtype=float), time.shape).copy() for v in (ra, dec, pa))
    return AttitudeTrack(time, ra, dec, pa, "att.fits", "", 0)


# -------------------------------------------------------------------------------------------------------- attitude


def test_records_hold_up_to_the_middle_and_not_across_gaps():
    edges, records = record_edges(track([0, 1, 2, 100, 101]))
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 99.5, 100.5, 101.5]
    assert records.tolist() == [0, 1, 2, -1, 3, 4]


def test_a_single_record_holds_for_a_second():
    edges, records = record_edges(track([5.0]))
    assert edges.tolist() == [4.5, 5.5]
    assert records.tolist() == [0]


@given(
    st.lists(st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(0, 2)), min_size=1, max_size=60),
    st.floats(0.1, 60),
)
def test_every_record_with_time_has_a_bin_and_bins_start_apart(moves, rebin):
    east, north, seconds = np.array(moves).T
    attitudes = track(np.arange(len(moves)), 30 + east / 3600, 20 + north / 3600)
    bins = attitude_bins(attitudes, seconds, rebin)
    assert np.array_equal(bins >= 0, seconds > 0)
    used = np.unique(bins[bins >= 0])
    assert used.tolist() == list(range(used.size))
    firsts = [int(np.flatnonzero(bins == b)[0]) for b in used]
    x = east * np.cos(np.deg2rad(20 + north / 3600))
    for n, i in enumerate(firsts):
        for j in firsts[:n]:
            assert np.hypot(x[i] - x[j], north[i] - north[j]) > rebin * 0.999


def test_a_turn_counts_at_the_edge_of_the_field():
    attitudes = track(np.arange(3), pa=[50.0, 50.1, 50.5])
    seconds = np.ones(3)
    assert attitude_bins(attitudes, seconds, 4).tolist() == [0, 0, 1]  # 0.1 deg is 1.6 arcsec at 15 arcmin
    assert attitude_bins(attitudes, seconds, 1).tolist() == [0, 1, 2]


def test_mean_attitudes_cross_zero(tmp_path):
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(name=n, format="D", array=np.array(v))
            for n, v in (
                ("TIME", [1.0, 2.0, 2.0, 3.0]),
                ("AHFRA", [359.999, 0.001, 7.0, np.nan]),
                ("AHFDEC", [0.0, 0.0, 0.0, 0.0]),
                ("AHFPA", [359.9, 0.1, 7.0, 1.0]),
            )
        ],
        name="ATTHK",
    )
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "att.fits")
    found = read_attitude(tmp_path / "att.fits")
    assert found.dropped == 1
    assert found.time.tolist() == [1.0, 2.0]
    mean = attitude_of(found, np.array([True, True]), np.array([1.0, 1.0]))
    assert min(mean.ra_deg, 360 - mean.ra_deg) < 1e-9
    assert mean.pa_deg % 360 == pytest.approx(0, abs=1e-9) or mean.pa_deg % 360 == pytest.approx(360)


# ------------------------------------------------------------------------------------------------------- live time


def component(ccd=None, times=None):
    found = [] if ccd is None else [DssFilter(axis="CCDNR", kind="range", value=str(ccd))]
    if isinstance(times, str):
        found.append(DssFilter(axis="TIME", kind="range", value=times))
    elif times is not None:
        found.append(DssFilter(axis="TIME", kind="table", value="TABLE", intervals=times))
    return tuple(found)


@pytest.mark.parametrize(
    ("subspace", "standard", "expected"),
    [
        ((component(1, ((0, 10),)), component(3, ((5, 10),))), {}, {1: ((0, 10),), 3: ((5, 10),)}),
        ((component(None, ((0, 10),)),), {}, {1: ((0, 10),), 2: ((0, 10),)}),
        ((component(None, ((0, 10),)),), {1: ((4, 20),)}, {1: ((4, 10),), 2: ((0, 10),)}),
        ((component("1:2"),), {1: ((0, 1),), 2: ((0, 2),)}, {1: ((0, 1),), 2: ((0, 2),)}),
        ((component(1, "2:8"),), {}, {1: ((2, 8),)}),
        ((component(1, ((0, 4),)), component(1, ((3, 8),))), {}, {1: ((0, 8),)}),
        ((), {1: ((0, 1),), 2: ((0, 2),)}, {1: ((0, 1),), 2: ((0, 2),)}),
        ((component(1, ((0, 9),)), component(2)), {}, {1: ((0, 9),), 2: ((0, 9),)}),
    ],
)
def test_good_times_of_each_ccd(subspace, standard, expected):
    assert dict(chip_times(subspace, standard, (1, 2), None).intervals) == expected


def test_one_interval_for_all_is_the_last_resort():
    found = chip_times((), {}, (1, 2), ((0.0, 50.0),))
    assert dict(found.intervals) == {1: ((0.0, 50.0),), 2: ((0.0, 50.0),)}
    assert found.notes == ("no good time intervals: one of 50 s (EXPOSURE) for all CCDs",)
    with pytest.raises(InvalidFile, match="no good time intervals") as caught:
        chip_times((), {}, (1, 2), None)
    assert caught.value.sas_name == "NoGTI"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(1, 9))
@settings(max_examples=30)
def test_seconds_are_those_of_the_frames_inside(fractions, cut):
    frames = Frames(np.arange(len(fractions)) + 0.5, np.array(fractions))
    found = seconds_per_piece(((0.0, cut),), frames, np.array([-5.0, 100.0]))
    assert found.sum() == pytest.approx(sum(f for n, f in enumerate(fractions) if n + 0.5 <= cut))
    assert found[0] == found[2] == 0


# ------------------------------------------------------------------------------------------------------ projection


def plane(ra, dec):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [ra, dec], [0.0, 0.0]
    wcs.wcs.cdelt = [-0.05 / 3600, 0.05 / 3600]
    return wcs


@pytest.mark.parametrize("dec", [0.0, -60.0, 89.9, -89.99])
@pytest.mark.parametrize("ra", [0.0, 200.0, 359.99])
def test_pixels_reach_the_detector_as_astropy_has_it(ra, dec):
    grid = PixelGrid.from_sky_range(ra, dec)
    attitude = Attitude((ra + 0.01) % 360, dec + 0.005 if dec < 80 else dec - 0.005, 123.0)
    mounted = Boresight(-90.29, 1228.0, -1631.0)
    x, y = (v.ravel().astype(float) for v in np.meshgrid([0, 100, 511], [3, 250, 505]))
    matrix = pixel_to_det(grid, attitude, mounted) @ np.stack([x, y, np.ones(x.size)])
    image = WCS(naxis=2)
    image.wcs.ctype, image.wcs.crval = ["RA---TAN", "DEC--TAN"], [ra, dec]
    image.wcs.crpix, image.wcs.cdelt = [grid.crpix1, grid.crpix2], [grid.cdelt1_deg, grid.cdelt2_deg]
    u, v = plane(attitude.ra_deg, attitude.dec_deg).all_world2pix(*image.all_pix2world(x, y, 0), 1)
    r = np.deg2rad(123.0 - 90.29)
    np.testing.assert_allclose(matrix[0] / matrix[2], np.cos(r) * u + np.sin(r) * v + 1228, atol=1e-3)
    np.testing.assert_allclose(matrix[1] / matrix[2], np.sin(r) * u - np.cos(r) * v - 1631, atol=1e-3)


def seen_events(mounted, attitudes, seed=3, count=3000):
    """Events at known places on the detector, seen from a moving spacecraft, rounded as in an event list."""
    rng = np.random.default_rng(seed)
    time = rng.uniform(0, 100, count)
    det_x, det_y = rng.uniform(-15000, 15000, (2, count))
    ra, dec, pa = attitude_at(attitudes, time)
    r = np.deg2rad(pa + mounted.roll_deg)
    u, v = det_x - mounted.det_x, det_y - mounted.det_y
    west, north = np.cos(r) * u + np.sin(r) * v, np.sin(r) * u - np.cos(r) * v
    sky = np.array([plane(a, d).all_pix2world(w, n, 1) for a, d, w, n in zip(ra, dec, west, north, strict=True)])
    x, y = plane(30.0, 20.0).all_world2pix(sky[:, 0], sky[:, 1], 1)
    columns = {"TIME": time, "DETX": np.round(det_x), "DETY": np.round(det_y)}
    return columns | {"X": np.round(x) + 25921, "Y": np.round(y) + 25921, "RA": 30.0, "DEC": 20.0}


def test_the_boresight_is_found_in_events_of_a_moving_pointing():
    time = np.arange(-10.0, 110.0)
    moving = track(time, 30 + 2e-4 * time, 20 - 1e-4 * time, 50 + 1e-3 * time)
    mounted = Boresight(-179.95, -1380.0, -1440.0)
    events = seen_events(mounted, moving)
    found = fit_boresight(events, moving, MOS1)
    assert found.roll_deg % 360 == pytest.approx(-179.95 % 360, abs=1e-4)
    assert (found.det_x, found.det_y) == pytest.approx((-1380, -1440), abs=0.05)
    assert found.residual < 0.5
    assert found.events == 3000
    events["X"][:100] = -99999999  # null values
    assert fit_boresight(events, moving, MOS1).events == 2900


def test_too_few_events_give_no_boresight():
    some = {n: np.zeros(3) for n in ("TIME", "X", "Y", "DETX", "DETY")} | {"RA": 30.0, "DEC": 20.0}
    assert fit_boresight(some, track([0.0, 1.0]), MOS1) is None


def view(labels, matrix=None, seconds=1.0):
    return View(np.eye(3) if matrix is None else matrix, labels, 0, seconds)


def test_weights_keep_the_area():
    labels = np.arange(12, dtype=np.int32).reshape(3, 4)
    shifted = np.array([[1.0, 0.0, -3.3], [0.0, 1.0, -2.6], [0.0, 0.0, 1.0]])
    found = weights((10, 12), [view(labels, shifted, 5.0)], 12)
    np.testing.assert_allclose(np.asarray(found.sum(axis=0)).ravel(), 5.0, rtol=0.13)  # of 16 points
    assert found.sum() == pytest.approx(60.0)


def test_views_add_and_none_gives_an_empty_map():
    labels = np.zeros((3, 4), dtype=np.int32)
    one = weights((10, 12), [view(labels)], 1)
    two = weights((10, 12), [view(labels), view(labels, seconds=2.0)], 1)
    assert abs(two - 3 * one).max() < 1e-12
    assert weights((10, 12), [], 1).nnz == 0
    far = np.array([[1.0, 0.0, 5000.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert weights((10, 12), [view(labels, far)], 1).nnz == 0


@pytest.mark.parametrize("degrees", [0.0, 45.0, 20.0])
def test_a_thin_bad_column_takes_its_part_of_each_pixel(degrees):
    """A quarter of an image pixel wide: a square grid of 4 x 4 points would give it a quarter or nothing."""
    labels = np.zeros((400, 400), dtype=np.int32)
    labels[:, 200] = -1
    c, s = 4 * np.cos(np.deg2rad(degrees)), 4 * np.sin(np.deg2rad(degrees))
    turn = np.array([[c, -s, 200.0 - 50 * c + 50 * s], [s, c, 200.0 - 50 * s - 50 * c], [0.0, 0.0, 1.0]])
    lost = 1 - weights((100, 100), [view(labels, turn)], 1).toarray().reshape(100, 100)
    middle = lost[35:65, 35:65]
    assert middle.sum() == pytest.approx(30 * 0.25 / np.cos(np.deg2rad(degrees)), rel=0.06)
    assert middle.max() < 0.4


# -------------------------------------------------------------------------------------------------------- response


def test_the_response_is_one_on_the_axis():
    for camera in (MOS1, MOS2, PN):
        axis = Cells(*(np.array([v]) for v in camera.axis))
        assert response(camera, axis, 1250, packaged_table())[0] == pytest.approx(1)


@pytest.mark.parametrize(("camera", "step"), [(MOS1, (0, 1)), (MOS2, (-1, 0))])
def test_the_gratings_shadow_one_side(camera, step):
    away = 12 * 60 / 0.05
    sides = [
        response(camera, Cells(*(np.array([a + s * away * d]) for a, d in zip(camera.axis, step, strict=True))), 1250,
                 packaged_table())[0]
        for s in (1, -1)
    ]  # fmt: skip
    slope = grating_slope(camera, 1250)
    assert 0.0138 < slope < 0.0145
    assert sides[0] / sides[1] == pytest.approx((1 + 12 * slope) / (1 - 12 * slope))


def test_the_shadow_is_clamped_outside_the_fitted_energies():
    low, high = exposure_model()["rga"]["mos1"]["slopes_per_arcmin"]
    assert [grating_slope(MOS1, e) for e in (100, 1250, 6000, 12000)] == [low, low, high, high]
    assert low < grating_slope(MOS1, 3000) < high
    assert grating_slope(PN, 3000) == 0


def test_cells_are_blocks_from_multiples_of_their_side():
    labels = cell_labels(MOS1, np.ones((600, 600), dtype=bool), "sas")
    assert labels[0, 0] == labels[18, 18] == 0  # RAW 1 to 19
    assert labels[18, 19] == 1
    assert labels.max() == 31 * 31 - 1
    cells = cells_of(MOS1, MOS1.chips[0], "sas")
    assert cells.det_x.size == 31 * 31
    chip = MOS1.chips[0]
    assert cells.det_x[1] == pytest.approx(20 * chip.xx + chip.x0)
    assert np.all(cell_labels(PN, np.zeros((200, 64), dtype=bool), "sas") == -1)
    single = cell_labels(PN, np.ones((200, 64), dtype=bool), "pixel")
    assert np.unique(single).size == 200 * 64
    centres = cells_of(PN, PN.chips[3], "pixel")
    at = single[182, 22]
    assert (centres.det_x[at], centres.det_y[at]) == pytest.approx(PN.axis, abs=0.5)


def test_an_unknown_sampling_is_refused():
    with pytest.raises(InvalidRecord, match="sampling must be one of sas, pixel"):
        cells_of(PN, PN.chips[0], "exact")


def test_pn_follows_sas_beyond_the_table():
    at = [15.0, 15.3, 15.6, 16.2, 17.0, 19.0]
    away = np.array(at) * 60 / 0.05
    found = response(PN, Cells(PN.axis[0] + away, np.full(away.size, PN.axis[1])), 1250, packaged_table())
    np.testing.assert_allclose(found / found[0], [1, 0.967, 0.944, 0.935, 0.927, 0.927], atol=6e-4)


def test_calibration_files_that_cannot_be_used(tmp_path):
    with pytest.raises(InvalidFile, match="no XRT1_XAREAEF_"):
        ccf_table(tmp_path, MOS1)
    path = tmp_path / "XRT1_XAREAEF_0001.CCF"
    fits.HDUList([fits.PrimaryHDU()]).writeto(path)
    with pytest.raises(InvalidFile, match="no extension VIGNETTING"):
        ccf_table(tmp_path, MOS1)
    hdu = fits.BinTableHDU.from_columns([fits.Column(name="ENERGY", format="E", array=[1.0])], name="VIGNETTING")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)
    with pytest.raises(InvalidFile, match="no column of factors"):
        ccf_table(tmp_path, MOS1)
