"""Geometry of the cameras: against published corners, real flags and by hand."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits

from xphotfn.epic.camera.detector import (
    BadPixels,
    Demands,
    camera_named,
    chip_mask,
    exposure_model,
    field_of_view,
    raw_positions,
    window_of_mode,
)
from xphotfn.errors import InvalidFile

MOS1, MOS2, PN = (camera_named(name, "") for name in ("EMOS1", "EMOS2", "EPN"))
ALL = Demands(border=True, near_uplinked=True, near_bright=True, near_dead=True)


def corners(camera, number):
    chip = camera.chips[number - 1]
    ends = np.array([(x, y) for x in (0.5, camera.columns + 0.5) for y in (0.5, camera.rows + 0.5)])
    return [(v.min(), v.max()) for v in raw_positions(chip, ends[:, 0], ends[:, 1])]


def bad(*rows):
    return BadPixels(*np.array(rows, dtype=np.intp).reshape(-1, 5).T)


@pytest.mark.parametrize(("camera", "raw", "det"), [(MOS1, (305, 291), (99, -209)), (MOS2, (325, 243), (539, -1266))])
def test_the_optical_axis_of_mos_lies_where_it_was_measured(camera, raw, det):
    found = raw_positions(camera.chips[0], *(np.float64(v) for v in raw))
    np.testing.assert_allclose(found, det, atol=1)
    np.testing.assert_allclose(camera.axis, det)


def test_the_optical_axis_of_pn_lies_in_ccd_4():
    np.testing.assert_allclose(raw_positions(PN.chips[3], np.float64(23), np.float64(183)), PN.axis, atol=0.5)


@pytest.mark.parametrize("camera", [MOS1, MOS2])
def test_mos_agrees_with_the_esas_boxes_of_the_ccds(camera):
    boxes = {1: (20, -60), 2: (6560, -13550), 3: (13300, -300), 4: (6650, 13090), 5: (-6480, 13150), 6: (-13180, -100),
             7: (-6580, -13438)}  # fmt: skip
    for number, (x, y) in boxes.items():
        found = [(low + high) / 2 for low, high in corners(camera, number)]
        np.testing.assert_allclose(found, (x, y), atol=260)


def test_pn_ccds_leave_gaps_and_do_not_overlap():
    upper = sorted(corners(PN, n)[0] for n in range(1, 7))
    lower = sorted(corners(PN, n)[0] for n in range(7, 13))
    for row in (upper, lower):
        gaps = [b[0] - a[1] for a, b in pairwise(row)]
        assert all(90 < gap < 240 for gap in gaps), gaps
    assert corners(PN, 1)[1][0] - corners(PN, 7)[1][1] > 0


def test_unknown_cameras_are_refused():
    with pytest.raises(InvalidFile, match="INSTRUME must be one of"):
        camera_named("OM", "image.fits")
    assert camera_named(" epn ", "") is PN


@pytest.mark.parametrize("camera", [MOS1, MOS2, PN])
def test_the_field_of_view_is_about_fifteen_arcmin(camera):
    radii = np.array(exposure_model()["field_of_view"][camera.name])
    assert radii.size == 180
    assert 14500 < radii.min() < radii.max() < 18500
    turn = np.linspace(-np.pi, np.pi, 1000)
    x0, y0 = camera.view_centre
    for radius, seen in ((14000, True), (18600, False)):
        found = field_of_view(camera, x0 + radius * np.cos(turn), y0 + radius * np.sin(turn))
        assert np.all(found == seen)


def test_the_edge_is_the_table():
    for sector in (0, 45, 90, 135):
        limit = exposure_model()["field_of_view"]["mos2"][sector]
        turn = np.deg2rad(2 * sector)
        found = [
            bool(field_of_view(MOS2, *(np.array([r * f(turn)]) for f in (np.cos, np.sin)))[0])
            for r in (limit - 2, limit + 2)
        ]
        assert found == [True, False]


def test_out_of_view_flags_of_a_real_list_agree(data_root):
    path = data_root / "pps" / "0001730201" / "P0001730201M1S002MIEVLI.FTZ"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        events = fits.getdata(path, "EVENTS")
    flags, ccd = events["FLAG"].astype(np.int64), events["CCDNR"]
    x, y = events["RAWX"].astype(int), events["RAWY"].astype(int)
    for number in range(1, 8):
        some = (ccd == number) & (x >= 1) & (x <= 600) & (y >= 1) & (y <= 600)
        seen = chip_mask(MOS1, number, None, Demands())[y[some] - 1, x[some] - 1]
        flagged = (flags[some] & 0x10000) != 0
        assert np.mean(seen == flagged) < 0.02, number


def test_a_bad_pixel_takes_its_neighbours_along_if_the_selection_does():
    free = chip_mask(MOS1, 1, None, Demands())
    plain = chip_mask(MOS1, 1, bad((300, 200, 1, 1, 1)), Demands())
    grown = chip_mask(MOS1, 1, bad((300, 200, 1, 1, 1)), ALL)
    assert np.argwhere(free & ~plain).tolist() == [[199, 299]]
    lost = np.argwhere(free & ~grown)
    inside = lost[(lost > 100).all(axis=1) & (lost < 400).all(axis=1)]
    assert inside.tolist() == [[y, x] for y in (198, 199, 200) for x in (298, 299, 300)]


@pytest.mark.parametrize(
    ("kind", "origin", "demands", "near"),
    [
        (1, 2, Demands(near_bright=True), True),
        (2, 2, Demands(near_bright=True), True),
        (3, 2, Demands(near_bright=True), False),
        (3, 2, Demands(near_dead=True), True),
        (3, 1, Demands(near_uplinked=True), True),
        (3, 2, Demands(near_uplinked=True), False),
    ],
)
def test_which_neighbours_go_depends_on_the_flag_bits(kind, origin, demands, near):
    mask = chip_mask(MOS2, 1, bad((300, 200, 1, kind, origin)), demands)
    assert not mask[199, 299]
    assert mask[198, 298] != near


def test_columns_reach_as_far_as_their_extent():
    mask = chip_mask(PN, 4, bad((20, 50, 100, 3, 2)), Demands())
    column = mask[:, 19]
    assert not column[49:149].any()
    assert column[48]
    assert column[149]


def test_bad_pixels_outside_the_ccd_do_not_matter():
    rows = bad((0, 5, 1, 1, 1), (601, 5, 1, 1, 1), (5, 700, 1, 1, 1), (5, -3, 2, 1, 1))
    assert np.array_equal(chip_mask(MOS1, 1, rows, Demands()), chip_mask(MOS1, 1, None, Demands()))


def test_borders_go_only_if_the_selection_demands_it():
    assert chip_mask(PN, 4, None, Demands())[100, [0, 63]].all()
    mask = chip_mask(PN, 4, None, ALL)
    assert not mask[100, [0, 63]].any()
    assert not mask[199].any()
    low = (1, 50, 64, 151)
    assert chip_mask(PN, 4, None, Demands(), low)[49, 30]
    assert not chip_mask(PN, 4, None, ALL, low)[49, 30]
    assert not chip_mask(MOS2, 1, None, ALL)[[0, 599]].any()


def test_windows():
    assert window_of_mode(MOS1, "PrimeFullWindow", 1) is None
    assert window_of_mode(MOS1, "PrimePartialW2", 2) is None
    mask = chip_mask(MOS1, 1, None, Demands(), window_of_mode(MOS1, "PrimePartialW2", 1))
    assert np.count_nonzero(mask) == 100 * 100
    mask = chip_mask(PN, 4, None, Demands(), window_of_mode(PN, "PrimeSmallWindow", 4))
    assert not mask[:136].any()
    assert mask[136:, 20].all()


def test_offset_columns_of_pn():
    offsets = np.array([10, 64, 70])
    one = chip_mask(PN, 4, None, Demands(offset_columns=True), None, offsets)
    assert not one[:, [9, 63]].any()
    assert one[100, 10]
    more = chip_mask(PN, 4, None, Demands(offset_columns=True, near_offset_columns=True), None, offsets)
    assert not more[:, [8, 9, 10, 62, 63]].any()
    assert chip_mask(PN, 4, None, Demands(), None, offsets)[100, 9]
