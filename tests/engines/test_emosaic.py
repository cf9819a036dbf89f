"""The native emosaic: sums, headers and refusals."""

import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.commands import emosaic as emosaic_command
from xphotfn.engines.native.emosaic import emosaic
from xphotfn.io.headers import grid_of
from xphotfn.io.write import write_image
from xphotfn.records.grid import PixelGrid


def grid_at(ra, bin_size=80, size=40):
    return PixelGrid.from_sky_range(ra, 20.0, low=24000, high=24000 + size * bin_size - 1, bin_size=bin_size)


def write(folder, name, data, grid, **cards):
    write_image(folder / name, data, grid, [(k.replace("DATE_", "DATE-"), v, "") for k, v in cards.items()])


@pytest.fixture
def pair(tmp_path):
    """Two images one and a half pixels apart, each with its exposure map."""
    rng = np.random.default_rng(0)
    step = grid_at(10.0).pixel_deg / np.cos(np.radians(20))
    for name, ra, instrume in (("a", 10.0, "EPN"), ("b", 10.0 - 1.5 * step, "EMOS1")):
        grid = grid_at(ra)
        write(
            tmp_path,
            f"{name}.fits",
            rng.poisson(2.0, grid.shape).astype("i4"),
            grid,
            INSTRUME=instrume,
            OBS_ID="0123456789",
            EXPIDSTR="S003",
            TELESCOP="XMM",
            RA_PNT=ra,
            DATE_OBS="2004-05-09T16:07:05",
        )
        write(tmp_path, f"{name}_exp.fits", np.full(grid.shape, 100.0, "f4"), grid, INSTRUME=instrume)
    return tmp_path


def test_header_names_every_input_and_no_date_or_path(pair):
    emosaic(emosaic_command(["a.fits", "b.fits"], "m.fits"), pair)
    header = fits.getheader(pair / "m.fits")
    assert [header[k] for k in ("EMSCF001", "EMSCI001", "EMSCI002", "EMSCA002", "EMSCD001")] == [
        "a.fits",
        "EPN",
        "EMOS1",
        "0123456789",
        "??",
    ]
    assert header["EMSCJ001"] == "2004-05-09T16:07:05"
    assert not {"DATE", "HISTORY", "CRVAL1L", "EXPOSURE"} & set(header)
    assert str(pair) not in repr(header)
    assert grid_of(header, "m.fits").has_sky is False


def test_sum_type_and_size(pair):
    emosaic(emosaic_command(["a.fits", "b.fits"], "m.fits"), pair)
    a, b, m = (fits.getdata(pair / f"{n}.fits") for n in "abm")
    assert m.dtype.kind == "i"
    assert m.shape == (41, 42)  # ceil(39 + 1.5) + 1 columns; rows: the corners differ by a hair, ceil(39.0001) + 1
    assert abs(int(m.sum()) - int(a.sum()) - int(b.sum())) <= 3 * (b[:, -2:].sum() + b[-2:].sum())


def test_mixed_types_give_doubles(pair):
    emosaic(emosaic_command(["a.fits", "b_exp.fits"], "m.fits"), pair)
    assert fits.getdata(pair / "m.fits").dtype == ">f8"


def test_with_exposure_divides_sum_by_sum(pair):
    command = emosaic_command(
        ["a.fits", "b.fits"], "r.fits", exposuresets=["a_exp.fits", "b_exp.fits"], withexposure=True
    )
    emosaic(command, pair)
    emosaic(emosaic_command(["a.fits", "b.fits"], "m.fits"), pair)
    emosaic(emosaic_command(["a_exp.fits", "b_exp.fits"], "e.fits"), pair)
    rate, counts, exposure = (fits.getdata(pair / f"{n}.fits") for n in "rme")
    assert np.allclose(rate[exposure > 0], counts[exposure > 0] / exposure[exposure > 0])
    assert np.all(rate[exposure == 0] == 0)


def test_an_existing_output_is_kept(pair):
    (pair / "m.fits").write_text("mine")
    with pytest.raises(xp.InvalidFile, match="exists already"):
        emosaic(emosaic_command(["a.fits", "b.fits"], "m.fits"), pair)
    assert (pair / "m.fits").read_text() == "mine"


def test_images_that_cannot_be_added_are_refused(pair):
    grid = grid_at(10.0, bin_size=40)
    write(pair, "fine.fits", np.zeros(grid.shape), grid)
    with pytest.raises(xp.ShapeMismatch, match="different pixel sizes"):
        emosaic(emosaic_command(["a.fits", "fine.fits"], "m.fits"), pair)
    far = grid_at(190.0)
    write(pair, "far.fits", np.zeros(far.shape), far)
    with pytest.raises(xp.PlanError, match="more than 90 degrees apart"):
        emosaic(emosaic_command(["a.fits", "far.fits"], "m.fits"), pair)
    near = grid_at(85.0)
    write(pair, "near.fits", np.zeros(near.shape), near)
    with pytest.raises(xp.PlanError, match="too far apart"):
        emosaic(emosaic_command(["a.fits", "near.fits"], "m.fits"), pair)
    (pair / "bad.fits").write_bytes((pair / "a.fits").read_bytes()[:5000])
    with pytest.raises(xp.InvalidFile, match=r"bad\.fits"):
        emosaic(emosaic_command(["a.fits", "bad.fits"], "m.fits"), pair)
    rotated = fits.getheader(pair / "a.fits")
    rotated["CROTA2"] = 30.0
    fits.writeto(pair / "turned.fits", fits.getdata(pair / "a.fits"), rotated)
    with pytest.raises(xp.InvalidFile, match=r"turned\.fits"):
        emosaic(emosaic_command(["a.fits", "turned.fits"], "m.fits"), pair)
    assert not (pair / "m.fits").exists()


def test_the_engine_says_what_it_cannot_do():
    from pathlib import Path

    from xphotfn.commands import atthkgen

    with pytest.raises(xp.CommandFailed, match="native engine has no atthkgen"):
        xp.native_engine().execute(atthkgen("att.fits"), Path())
