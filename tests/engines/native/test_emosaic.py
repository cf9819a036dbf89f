"""The native emosaic: sums, headers and refusals."""

import os
import tracemalloc
import warnings

import attrs
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

import xphotfn as xp
from xphotfn.commands import emosaic as emosaic_command
from xphotfn.commands.command import Command
from xphotfn.engines.native.emosaic import emosaic, numbered
from xphotfn.io.headers import grid_of
from xphotfn.io.write import write_image
from xphotfn.records.grid import PixelGrid
from xphotfn.science.mosaic import mosaic_batches


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


@pytest.mark.parametrize(
    ("image", "exposure", "wanted"),
    [
        ("i4", "f4", ">f4"),  # the larger one in the order of FITS types
        ("i2", "f4", ">f4"),
        ("i4", "f8", ">f8"),
        ("f8", "f4", ">f8"),
        ("i4", "i4", ">f8"),  # a quotient is not cut to whole numbers
        ("u1", "i2", ">f8"),
    ],
)
def test_the_quotient_has_the_larger_type(tmp_path, image, exposure, wanted):
    grid = grid_at(10.0)
    write(tmp_path, "i.fits", np.full(grid.shape, 3, image), grid)
    write(tmp_path, "e.fits", np.full(grid.shape, 2, exposure), grid)
    emosaic(emosaic_command(["i.fits"], "r.fits", exposuresets=["e.fits"], withexposure=True), tmp_path)
    rate = fits.getdata(tmp_path / "r.fits")
    assert rate.dtype == wanted
    assert np.all(rate == 1.5)


def test_where_the_exposure_is_zero_negative_or_nan_the_quotient_is_zero(tmp_path):
    grid = grid_at(10.0, size=4)
    exposure = np.full(grid.shape, 2.0, "f4")
    exposure[0, :3] = 0, -1, np.nan
    write(tmp_path, "i.fits", np.full(grid.shape, 3, "i4"), grid)
    write(tmp_path, "e.fits", exposure, grid)
    emosaic(emosaic_command(["i.fits"], "r.fits", exposuresets=["e.fits"], withexposure=True), tmp_path)
    rate = fits.getdata(tmp_path / "r.fits")
    assert rate[0].tolist() == [0, 0, 0, 1.5]


def test_an_exposure_map_on_another_grid_is_refused_by_name(pair):
    command = emosaic_command(
        ["a.fits", "b.fits"], "r.fits", exposuresets=["b_exp.fits", "a_exp.fits"], withexposure=True
    )
    with pytest.raises(xp.ShapeMismatch, match=r"a\.fits and exposure map b_exp\.fits"):
        emosaic(command, pair)
    names = [("imagesets", "a.fits b.fits"), ("exposuresets", "a_exp.fits")]
    short = Command(task="emosaic", parameters=(*names, ("withexposure", "yes"), ("mosaicedset", "r.fits")))
    with pytest.raises(xp.CommandFailed, match="2 images but 1 exposure maps"):
        emosaic(short, pair)
    assert not (pair / "r.fits").exists()


def test_the_header_says_what_exposure_means(pair):
    grid = grid_at(10.0)
    for name in ("e1", "e2"):
        write(pair, f"{name}.fits", np.ones(grid.shape, "f4"), grid, CONTENT="EPIC EXPOSURE MAP")
    emosaic(emosaic_command(["a.fits", "b.fits"], "m.fits"), pair)
    emosaic(emosaic_command(["e1.fits", "e2.fits"], "e.fits"), pair)
    emosaic(emosaic_command(["e1.fits", "a.fits"], "both.fits"), pair)
    emosaic(
        emosaic_command(["a.fits"], "r.fits", exposuresets=["a_exp.fits"], withexposure=True),
        pair,
    )
    texts = {name: fits.getheader(pair / f"{name}.fits") for name in ("m", "e", "r", "both")}
    assert texts["m"]["EXPMEANS"] == "no EXPOSURE: see the sum of the exposure maps"
    assert texts["e"]["EXPMEANS"] == "pixels: sum over inputs, s"
    assert texts["r"]["EXPMEANS"] == "pixels: counts divided by exposure summed over inputs"
    assert texts["both"]["EXPMEANS"].startswith("none")
    assert all("EXPOSURE" not in header and header["EMSNUM"] in (1, 2) for header in texts.values())


def test_long_names_and_values_bring_no_warning_and_are_kept(pair):
    for length in (50, 60, 66, 68, 90):
        name = f"{'x' * (length - 5)}.fits"
        (pair / name).write_bytes((pair / "a.fits").read_bytes())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            emosaic(emosaic_command([name, "b.fits"], f"m{length}.fits"), pair)
        assert fits.getheader(pair / f"m{length}.fits")["EMSCF001"] == name


def test_a_mosaic_of_mosaics_names_all_exposures(pair):
    emosaic(emosaic_command(["a.fits", "b.fits"], "ab.fits"), pair)
    (pair / "c.fits").write_bytes((pair / "a.fits").read_bytes())
    emosaic(emosaic_command(["ab.fits", "c.fits"], "abc.fits"), pair)
    header = fits.getheader(pair / "abc.fits")
    assert [header[f"EMSCF00{n}"] for n in (1, 2, 3)] == ["a.fits", "b.fits", "c.fits"]
    assert [header[f"EMSCI00{n}"] for n in (1, 2, 3)] == ["EPN", "EMOS1", "EPN"]
    assert header["EMSNUM"] == 3


def test_more_than_999_inputs(pair):
    grid = grid_at(10.0, size=4)
    write(pair, "small.fits", np.ones(grid.shape, "i4"), grid, INSTRUME="EPN")
    names = [f"s{n}.fits" for n in range(1003)]
    for name in names:
        os.link(pair / "small.fits", pair / name)
    with pytest.raises(xp.PlanError, match="999"):
        emosaic_command(names, "m.fits")
    pairs = (("imagesets", " ".join(names)), ("mosaicedset", "m.fits"))
    emosaic(Command(task="emosaic", parameters=pairs), pair)
    data, header = fits.getdata(pair / "m.fits", header=True)
    assert np.all(data == 1003)
    assert header["EMSNUM"] == 1003
    assert [header[k] for k in ("EMSCF999", "EMSCFA00", "EMSCFA03")] == ["s998.fits", "s999.fits", "s1002.fits"]
    keywords = [numbered("EMSCF", n) for n in range(1, 10_001)]
    assert len(set(keywords)) == 10_000
    assert {len(k) for k in keywords} == {8}


def test_a_chain_of_mosaics_is_the_mosaic_of_all(tmp_path):
    rng = np.random.default_rng(5)
    step = grid_at(10.0).pixel_deg
    grids = []
    for n in range(11):
        dx, dy = rng.uniform(-30, 30, 2) * step if n % 3 else (0.0, 0.0)
        grids.append(attrs.evolve(grid_at((10.0 + dx) % 360), dec_deg=20.0 + dy))
    for n, grid in enumerate(grids):
        write(tmp_path, f"i{n}.fits", rng.poisson(2.0, grid.shape).astype("i4"), grid)
        write(tmp_path, f"e{n}.fits", rng.uniform(0, 1e4, grid.shape).astype("f4"), grid)
    for kind in "ie":
        batches = mosaic_batches(grids, most=5)
        assert max(map(len, batches)) <= 5
        assert max(map(len, batches[1:])) <= 4
        assert sorted(n for batch in batches for n in batch) == list(range(11))
        before: list[str] = []
        for number, batch in enumerate(batches):
            made = f"{kind}_chain{number}.fits"
            emosaic(emosaic_command([*before, *(f"{kind}{n}.fits" for n in batch)], made), tmp_path)
            before = [made]
        emosaic(emosaic_command([f"{kind}{n}.fits" for n in range(11)], f"{kind}_all.fits"), tmp_path)
        chained, direct = fits.getdata(tmp_path / before[0]), fits.getdata(tmp_path / f"{kind}_all.fits")
        assert chained.dtype == direct.dtype
        if kind == "i":
            assert np.array_equal(chained, direct)
        else:
            assert np.allclose(chained, direct, rtol=1e-6, atol=0)
        headers = [fits.getheader(tmp_path / name) for name in (before[0], f"{kind}_all.fits")]
        assert headers[0]["CRPIX1"] == headers[1]["CRPIX1"]
        assert headers[0]["EMSNUM"] == headers[1]["EMSNUM"] == 11


def wcs_of(header):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of RADECSYS and dates
        return WCS(header, naxis=2)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(0.002, 20.0), (359.999, -5.0), (120.0, 84.5), (359.9, 89.93), (10.0, -89.93), (180.0, 0.0)],
)
def test_pixels_are_those_of_astropy_and_a_loop(tmp_path, ra, dec):
    """Around 0/360 and over the poles: astropy's positions, the nearest pixel taken one by one."""
    rng = np.random.default_rng(1)
    step = grid_at(10.0).pixel_deg
    names = []
    for n, (dx, dy) in enumerate([(0, 0), (13.3, 5.2), (-21.7, 9.4)]):
        declination = dec + dy * step
        assert abs(declination) < 90
        grid = attrs.evolve(
            grid_at((ra + dx * step / np.cos(np.radians(dec))) % 360, size=24), ny=19, dec_deg=declination
        )
        names.append(f"i{n}.fits")
        write(tmp_path, names[-1], rng.poisson(3.0, grid.shape).astype("i4"), grid)
    emosaic(emosaic_command(names, "m.fits"), tmp_path)
    data, header = fits.getdata(tmp_path / "m.fits", header=True)
    assert data.shape < (90, 90)
    wanted = np.zeros_like(data)
    frame = wcs_of(header)
    unsure = np.zeros(data.shape, dtype=bool)
    for name in names:
        image, own = fits.getdata(tmp_path / name), wcs_of(fits.getheader(tmp_path / name))
        for y in range(data.shape[0]):
            for x in range(data.shape[1]):
                px, py = (float(v) for v in own.all_world2pix(*frame.all_pix2world(x, y, 0), 0))
                unsure[y, x] |= abs(px % 1 - 0.5) < 1e-6 or abs(py % 1 - 0.5) < 1e-6
                column, line = int(np.floor(px + 0.5)), int(np.floor(py + 0.5))
                if 0 <= column < image.shape[1] and 0 <= line < image.shape[0]:
                    wanted[y, x] += image[line, column]
    assert unsure.sum() < 3
    assert np.array_equal(data[~unsure], wanted[~unsure])
    assert data.sum() > 0.9 * sum(fits.getdata(tmp_path / name).sum() for name in names)


def test_fifty_images_stay_below_300_mb(tmp_path):
    rng = np.random.default_rng(2)
    image = rng.poisson(0.2, (512, 512)).astype("i4")
    names = []
    for n in range(50):
        grid = PixelGrid.from_sky_range(150 + 0.35 * (n % 7), -11 + 0.35 * (n // 7))
        names.append(f"i{n}.fits")
        write(tmp_path, names[-1], image, grid, INSTRUME="EPN")
    command = emosaic_command(names, "m.fits")
    emosaic(emosaic_command(names[:1], "first.fits"), tmp_path)
    tracemalloc.start()
    try:
        emosaic(command, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300e6
    assert abs(fits.getdata(tmp_path / "m.fits").sum() / (50 * image.sum()) - 1) < 3e-3  # the tangent plane stretches


def test_an_existing_output_is_kept(pair):
    (pair / "m.fits").write_text("mine")
    with pytest.raises(xp.InvalidFile, match="exists already"):
        emosaic(emosaic_command(["a.fits", "b.fits"], "m.fits"), pair)
    assert (pair / "m.fits").read_text() == "mine"


def test_images_that_cannot_be_added_are_refused(pair):
    grid = grid_at(10.0, bin_size=40)
    write(pair, "fine.fits", np.zeros(grid.shape), grid)
    with pytest.raises(xp.ShapeMismatch, match=r"different pixel sizes .*a\.fits.*fine\.fits"):
        emosaic(emosaic_command(["a.fits", "fine.fits"], "m.fits"), pair)
    far = grid_at(190.0)
    write(pair, "far.fits", np.zeros(far.shape), far)
    with pytest.raises(xp.PlanError, match=r"more than 90 degrees apart \(a\.fits and far\.fits\)"):
        emosaic(emosaic_command(["a.fits", "far.fits"], "m.fits"), pair)
    near = grid_at(85.0)
    write(pair, "near.fits", np.zeros(near.shape), near)
    with pytest.raises(xp.PlanError, match=r"too far apart \(a\.fits and near\.fits most\)"):
        emosaic(emosaic_command(["a.fits", "near.fits"], "m.fits"), pair)
    (pair / "bad.fits").write_bytes((pair / "a.fits").read_bytes()[:5000])
    with pytest.raises(xp.InvalidFile, match=r"bad\.fits"):
        emosaic(emosaic_command(["a.fits", "bad.fits"], "m.fits"), pair)
    rotated = fits.getheader(pair / "a.fits")
    rotated["CROTA2"] = 30.0
    fits.writeto(pair / "turned.fits", fits.getdata(pair / "a.fits"), rotated)
    with pytest.raises(xp.InvalidFile, match=r"turned\.fits"):
        emosaic(emosaic_command(["a.fits", "turned.fits"], "m.fits"), pair)
    sine = fits.getheader(pair / "a.fits")
    sine["CTYPE1"], sine["CTYPE2"] = "RA---SIN", "DEC--SIN"
    fits.writeto(pair / "sine.fits", fits.getdata(pair / "a.fits"), sine)
    with pytest.raises(xp.InvalidFile, match=r"sine\.fits.*TAN"):
        emosaic(emosaic_command(["a.fits", "sine.fits"], "m.fits"), pair)
    with pytest.raises(xp.InvalidFile, match=r"absent\.fits"):
        emosaic(emosaic_command(["a.fits", "absent.fits"], "m.fits"), pair)
    with pytest.raises(xp.CommandFailed, match="sampling=point"):
        pairs = (("imagesets", "a.fits"), ("mosaicedset", "m.fits"), ("sampling", "cubic"))
        emosaic(Command(task="emosaic", parameters=pairs), pair)
    assert not (pair / "m.fits").exists()


def test_the_engine_says_what_it_cannot_do():
    from pathlib import Path

    from xphotfn.commands import atthkgen

    with pytest.raises(xp.CommandFailed, match="native engine has no atthkgen"):
        xp.native_engine().execute(atthkgen("att.fits"), Path())
