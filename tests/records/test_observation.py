"""Observations, exposures and found files."""

import math

import attrs
import pytest
from hypothesis import given

from xphotfn.errors import InvalidRecord
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import INSTRUMENTS, instrument
from xphotfn.records.left_out import LeftOut
from xphotfn.records.observation import Exposure, FoundFile, FoundProduct, Observation
from xphotfn.testing.strategies import observations

SOFT, HARD = Band(lo_ev=500, hi_ev=2000), Band(lo_ev=2000, hi_ev=10000)
GRID = PixelGrid.from_sky_range(149.6, -11.1)
FILE = FoundFile(path="/data/img.fits", size=100, mtime_ns=1)


def found(kind="image", band=SOFT, grid=GRID):
    return FoundProduct(kind=kind, band=band, grid=grid, file=FILE)


def exposure(camera="pn", **changes):
    return Exposure(**({"instrument": camera, "exposure_id": "S003"} | changes))


def observation(**changes):
    return Observation(**({"obs_id": "0404910601", "ra_deg": 149.6, "dec_deg": -11.1} | changes))


@pytest.mark.parametrize("obs_id", ["", "404910601", "04049106011", "040491060X", "0404910601 ", "../04910601"])
def test_obs_id_has_ten_digits(obs_id):
    with pytest.raises(InvalidRecord, match=r"Observation\.obs_id must be an XMM ObsID of ten digits, got"):
        observation(obs_id=obs_id)


@pytest.mark.parametrize("name", ["ra_deg", "dec_deg"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_pointing_is_finite(name, bad):
    with pytest.raises(InvalidRecord, match=rf"Observation\.{name} must be finite, got {bad}"):
        observation(**{name: bad})


def test_an_exposure_is_listed_once():
    with pytest.raises(InvalidRecord, match="observation 0404910601 lists an exposure twice"):
        observation(exposures=[exposure(), exposure()])
    both = observation(exposures=[exposure(), exposure(exposure_id="U002")])
    assert both.exposure("pn", "U002").exposure_id == "U002"
    with pytest.raises(InvalidRecord, match="several exposures of pn: say which of S003, U002"):
        both.exposure("pn")


def test_cameras():
    made = observation(exposures=[exposure("pn"), exposure("mos2")])
    assert made.instruments == ("pn", "mos2")
    assert made.exposure("mos2").instrument == "mos2"
    assert made.exposure("mos1") is None


@pytest.mark.parametrize("camera", ["PN", "EPN", "rgs1", ""])
def test_an_exposure_is_of_an_epic_camera(camera):
    with pytest.raises(InvalidRecord, match=r"Exposure\.instrument must be one of pn, mos1, mos2"):
        exposure(camera)


def test_an_exposure_has_a_name_and_a_time():
    with pytest.raises(InvalidRecord, match=r"Exposure\.exposure_id must not be empty"):
        exposure(exposure_id=" ")
    with pytest.raises(InvalidRecord, match=r"Exposure\.exposure_s must be finite"):
        exposure(exposure_s=math.nan)


def test_found_products_are_told_apart_by_kind_and_band():
    made = exposure(products=[found(), found("exposure_map"), found(band=HARD)])
    assert made.found("image", SOFT) == found()
    assert made.found("exposure_map", SOFT).kind == "exposure_map"
    assert made.found("exposure_map", HARD) is None
    with pytest.raises(InvalidRecord, match=r"FoundProduct\.kind must be one of image, exposure_map, got 'spectrum'"):
        found("spectrum")


def test_an_image_of_an_open_end_is_found_by_the_band_that_it_is_called_after_one_of_the_band_itself():
    opened, upper = Band(lo_ev=500, hi_ev=1999), Band(lo_ev=501, hi_ev=2000)
    made = exposure(products=[found(band=opened), found("exposure_map")])
    assert made.found("image", SOFT).band == opened
    assert made.found("image", opened).band == opened
    assert made.found("image", upper) is None  # who names channels gets these channels
    assert made.found("exposure_map", SOFT) == made.found("exposure_map", opened) == made.found("exposure_map", upper)
    both = exposure(products=[found(band=opened), found()])
    assert both.found("image", SOFT).band == SOFT
    assert exposure(products=[found()]).found("image", opened) is None


def test_a_changed_file_is_another_file():
    assert attrs.evolve(FILE, mtime_ns=2) != FILE
    assert attrs.evolve(FILE, size=101) != FILE
    with pytest.raises(InvalidRecord, match=r"FoundFile\.path must not be empty"):
        attrs.evolve(FILE, path="")


def test_what_is_left_out_is_a_value_and_notes_are_its_texts():
    note = LeftOut(file="a.fits", reason="mask")
    made = observation(left_out=[note])
    assert (made.left_out, made.notes) == ((note,), ("a.fits left out: is a mask",))
    with pytest.raises(InvalidRecord, match="expected LeftOut"):
        observation(left_out=["a.fits left out"])


def test_what_is_undecided_is_found_by_kind_exposure_and_band():
    files = [
        LeftOut(file=name, reason=reason, instrument="pn", exposure_id=exposure_id, kind="image", band=band)
        for name, reason, exposure_id, band in (
            ("a", "undecided", "S003", SOFT), ("b", "undecided", "S003", HARD), ("c", "undecided", "U002", SOFT),
            ("d", "narrower", "S003", SOFT), ("e", "undecided", "S003", Band(lo_ev=500, hi_ev=1999)),
        )
    ]  # fmt: skip
    made = observation(exposures=[exposure()], left_out=files)
    assert [note.file for note in made.undecided("image", made.exposures[0], SOFT)] == ["a", "e"]
    assert [note.file for note in made.undecided("image", made.exposures[0])] == ["a", "b", "e"]
    assert made.undecided("events", made.exposures[0]) == made.undecided("attitude") == ()


def test_grid_is_that_of_its_images_or_the_default_at_the_pointing():
    other = PixelGrid.from_sky_range(10.0, 20.0, bin_size=40)
    assert observation().grid == PixelGrid.from_sky_range(149.6, -11.1)
    assert observation(exposures=[exposure(), exposure("mos1", products=[found(grid=other)])]).grid == other


@given(observations())
def test_drawn_observations_hang_together(made):
    assert made.grid.ra_deg == made.ra_deg
    for camera in made.instruments:
        for product in made.exposure(camera).products:
            assert made.exposure(camera).found(product.kind, product.band) == product


@pytest.mark.parametrize("camera", INSTRUMENTS, ids=lambda camera: camera.name)
def test_a_camera_answers_to_all_its_names(camera):
    for name in (camera.name, camera.sas_name, camera.pps_name, camera.sas_name.lower(), f" {camera.name.upper()} "):
        assert instrument(name) is camera


@pytest.mark.parametrize("name", ["", "mos", "EMOS3", "RGS1", 1])
def test_another_camera_is_refused(name):
    with pytest.raises(InvalidRecord, match=r"no EPIC camera is called .*: use one of pn, mos1, mos2"):
        instrument(name)


def test_a_camera_has_names():
    with pytest.raises(InvalidRecord, match=r"Instrument\.sas_name must not be empty"):
        attrs.evolve(instrument("pn"), sas_name="")
