"""evselect in numpy: SAS's own images pixel by pixel and card by card, the rules on small lists, bad input."""

import errno
import gzip
import tracemalloc

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings, strategies as st

from xphotfn.commands import Command, card_version, parse_xproc
from xphotfn.engines.native.evselect import evselect_task as module
from xphotfn.engines.native.evselect.evselect_task import evselect, evselect_many
from xphotfn.errors import CommandFailed, ExpressionError, InvalidFile, InvalidRecord

OBSERVATIONS = [(o, c) for o in ("0201901401", "0201903501", "0404910601") for c in ("mos1", "mos2")]
BANDS = ("0.50-2.00", "2.00-10.00")
NOT_COMPARED = {"XPROC0", "XDAL0", "CREATOR", "DATE", "HISTORY", "XMMSEP", "CONTINUE"}

FORMS = {"f8": "D", "f4": "E", "i4": "J", "i2": "I", "i8": "K", "u1": "B", "b1": "L"}
GRID = {"xcolumn": "X", "ycolumn": "Y", "imagebinning": "binSize", "ximagebinsize": "10", "yimagebinsize": "10"}


def command(table="events.fits", imageset="image.fits", **parameters):
    products = {"imageset": imageset, **GRID} if imageset else {}
    return Command(task="evselect", parameters={"table": table, **products, **parameters})


def columns(count=5000, seed=3):
    rng = np.random.default_rng(seed)
    return {
        "TIME": np.sort(rng.uniform(0, 1000, count)),
        "X": rng.integers(1, 201, count).astype("i4"),
        "Y": rng.integers(1, 201, count).astype("i4"),
        "PI": rng.integers(0, 12000, count).astype("i2"),
        "FLAG": rng.choice([0, 0, 1, 0x10000, -(2**31)], count).astype("i4"),
        "PATTERN": rng.integers(0, 32, count).astype("u1"),
        "CCDNR": rng.integers(1, 3, count).astype("u1"),
        "WEIGHT": rng.normal(size=count).astype("f4"),
        "NAME": rng.choice(["a", "b"], count),
    }


def gti(name, pairs):
    start, stop = np.array(pairs, dtype=float).reshape(-1, 2).T
    made = [fits.Column(name=n, format="D", unit="s", array=v) for n, v in (("START", start), ("STOP", stop))]
    return fits.BinTableHDU.from_columns(made, name=name)


def frames(ccd):
    time = np.arange(0.5, 1000, 1.0)
    made = [
        fits.Column(name="TIME", format="D", array=time),
        fits.Column(name="TIMEDEL", format="E", array=np.ones(1000)),
        fits.Column(name="FRACEXP", format="E", array=np.full(1000, 0.5)),
    ]
    hdu = fits.BinTableHDU.from_columns(made, name=f"EXPOSU{ccd:02d}")
    hdu.header["FRMTIME"] = 1000.0
    return hdu


def write_list(path, values=None, legal=True, dss=True, primary=(), events=()):
    """Write an event list of two CCDs with their good times, as a pipeline makes it."""
    values = columns() if values is None else values
    made = []
    for name, value in values.items():
        form = f"{value.dtype.itemsize // 4}A" if value.dtype.kind == "U" else FORMS[value.dtype.str[1:]]
        made.append(fits.Column(name=name, format=form, array=value, unit="s" if name == "TIME" else None))
    table = fits.BinTableHDU.from_columns(made, name="EVENTS")
    for name in ("X", "Y") if legal else ():
        number = list(values).index(name) + 1 if name in values else 0
        if number:
            cards = (("TLMIN", 1), ("TLMAX", 200), ("TCRPX", 100), ("TCRVL", 50.0), ("TCUNI", "deg"))
            for key, value in (*cards, ("TCTYP", "RA---TAN" if name == "X" else "DEC--TAN")):
                table.header[f"{key}{number}"] = value
            table.header[f"TCDLT{number}"] = -0.001 if name == "X" else 0.001
    if dss:
        table.header.update({"DSTYP1": "CCDNR", "DSTYP2": "TIME", "DSUNI2": "s", "DSVAL1": "1", "DSVAL2": "TABLE"})
        table.header.update({"DSREF2": ":STDGTI01", "2DSVAL1": "2", "2DSREF2": ":STDGTI02"})
    table.header.update({"XMMEA_EM": "(FLAG & 0x766ba000) == 0", "INSTRUME": "EMOS1", **dict(events)})
    first = fits.PrimaryHDU()
    first.header.update({"TELESCOP": "XMM", "INSTRUME": "EMOS1", "DATE": "2020-01-01", "HISTORY": "made on a host"})
    first.header.update(dict(primary))
    tables = [gti("STDGTI01", [(0, 400), (500, 900)]), gti("STDGTI02", [(100, 950)])] if dss else []
    fits.HDUList([first, table, frames(1), frames(2), *tables]).writeto(path)
    return values


def read(path):
    with fits.open(path) as hdus:
        hdus.verify("exception")
        return np.array(hdus[0].data), hdus[0].header.copy()


def blocks(path):
    """Return name, header text and data of all extensions."""
    with fits.open(path) as hdus:
        return [(hdu.name, hdu.header.tostring(), np.asarray(hdu.data).tobytes()) for hdu in hdus[1:]]


def files_in(folder):
    return sorted(p.name for p in folder.iterdir())


# SAS's own images


def run_like_sas(sas_header, folder, source, **changes):
    parameters = dict(parse_xproc(sas_header["XPROC0"]).parameters)
    parameters |= {"table": "evts.fits.gz", "imageset": "img.fits"} | changes
    (folder / "evts.fits.gz").symlink_to(source)
    evselect(Command(task="evselect", parameters=parameters), folder)
    return read(folder / "img.fits")


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize(("obs", "camera"), OBSERVATIONS)
def test_images_of_sas(obs, camera, band, data_root, tmp_path):
    place = data_root / "a907" / obs
    theirs, sas = read(place / f"{obs}_{camera}_{band}keV_img.fits.gz")
    image, header = run_like_sas(sas, tmp_path, place / f"{obs}_{camera}_clean_evts.fits.gz")
    assert image.dtype == theirs.dtype
    assert np.count_nonzero(image != theirs) == 0
    names = [name for name in header if name not in NOT_COMPARED and not name.startswith("FRMTIM")]
    assert names == [name for name in sas if name not in NOT_COMPARED]
    for name in names:
        if isinstance(sas[name], float):
            assert header[name] == pytest.approx(sas[name], rel=1e-12, abs=1e-12), name
        else:
            assert header[name] == sas[name], name
    assert header["XMMSEP"] == sas["XMMSEP"] + sum(name.startswith("FRMTIM") for name in header)
    assert blocks(tmp_path / "img.fits") == blocks(place / f"{obs}_{camera}_{band}keV_img.fits.gz")
    ours, recorded = (dict(parse_xproc(h["XPROC0"]).parameters) for h in (header, sas))
    differing = {name for name in ours if ours[name] != recorded.get(name)}
    assert differing == {"table", "imageset", "nonStandardSpec"}  # the last one came with evselect 3.68
    assert card_version(header["XPROC0"]).startswith("(xphotfn")


PPS = "P0001730201M1S002MIEVLI.FTZ"
PPS_EXPRESSION = "#XMMEA_EM && gti(M1_gti.fits,TIME) && (PATTERN<=12) && (PI in [500:10000])"


@pytest.fixture
def pps(data_root, tmp_path):
    place = data_root / "pps" / "0001730201"
    for name in (PPS, "M1_gti.fits"):
        (tmp_path / name).symlink_to(place / name)
    return place


def check_pps(folder, place, name):
    theirs, sas = read(place / "M1_image.fits")
    image, header = read(folder / name)
    assert image.dtype == theirs.dtype
    assert np.count_nonzero(image != theirs) == 0
    names = [k for k in header if k not in NOT_COMPARED | {"SLCTEXPR"}]
    assert names == [k for k in sas if k not in NOT_COMPARED | {"SLCTEXPR"}]
    for key in names:
        if isinstance(sas[key], float):
            assert header[key] == pytest.approx(sas[key], rel=1e-12, abs=1e-12), key
        else:
            assert header[key] == sas[key], key
    assert header["XMMSEP"] == sas["XMMSEP"]
    with fits.open(folder / name) as ours, fits.open(place / "M1_image.fits") as hdus:
        assert [h.name for h in ours] == [h.name for h in hdus]
        for mine, other in zip(ours[1:], hdus[1:], strict=True):
            assert mine.data.tobytes() == other.data.tobytes()
            assert set(mine.header) == set(other.header)
    assert header["SLCTEXPR"].startswith("(FLAG & 0x766ba000) == 0 && gti(M1_gti.fits,TIME)")


GRID_PPS = {"xcolumn": "X", "ycolumn": "Y", "imagebinning": "binSize", "ximagebinsize": "80", "yimagebinsize": "80"}


def test_image_of_a_raw_list_with_good_times(pps, tmp_path):
    pairs = {"table": PPS, "imageset": "img.fits", "expression": PPS_EXPRESSION, **GRID_PPS}
    evselect(Command(task="evselect", parameters=pairs), tmp_path)
    check_pps(tmp_path, pps, "img.fits")


def test_image_of_a_filtered_list(pps, tmp_path):
    """As SAS was run: a clean list first, then the image of all that is in it."""
    pairs = {"table": PPS, "filteredset": "clean.fits", "expression": PPS_EXPRESSION}
    evselect(Command(task="evselect", parameters=pairs), tmp_path)
    pairs = {"table": "clean.fits", "imageset": "img.fits", "expression": "true", **GRID_PPS}
    evselect(Command(task="evselect", parameters=pairs), tmp_path)
    check_pps(tmp_path, pps, "img.fits")


@pytest.mark.parametrize(("obs", "camera"), OBSERVATIONS[1:6:2])
def test_times_of_a_filtered_list(obs, camera, data_root, tmp_path):
    """Cleaning a clean list again keeps its rows and gives the times that SAS wrote into it."""
    (tmp_path / "evts.fits.gz").symlink_to(data_root / "a907" / obs / f"{obs}_{camera}_clean_evts.fits.gz")
    pairs = {"table": "evts.fits.gz", "filteredset": "out.fits", "expression": "FLAG == 0 && PATTERN <= 12"}
    evselect(Command(task="evselect", parameters=pairs), tmp_path)
    with fits.open(tmp_path / "evts.fits.gz") as old, fits.open(tmp_path / "out.fits") as new:
        assert [h.name for h in new] == [h.name for h in old]
        for before, after in zip(old[1:], new[1:], strict=True):
            assert np.asarray(after.data).tobytes() == np.asarray(before.data).tobytes()
        times = [k for k in old[1].header if k.startswith(("ONTIME", "LIVETI"))]
        assert len(times) >= 14
        for key in times:
            assert new[1].header[key] == pytest.approx(old[1].header[key], rel=1e-12)


# Pixels


def expected_image(values, chosen, axes):
    """Count events pixel by pixel, in Python's own integers."""
    (x0, x1, dx), (y0, y1, dy) = axes
    image = np.zeros((-(-(y1 - y0 + 1) // dy), -(-(x1 - x0 + 1) // dx)), dtype=int)
    for x, y in zip(values["X"][chosen].tolist(), values["Y"][chosen].tolist(), strict=True):
        if x0 <= x <= x1 and y0 <= y <= y1:
            image[(y - y0) // dy, (x - x0) // dx] += 1
    return image


def test_counts_of_whole_numbers(tmp_path):
    values = write_list(tmp_path / "events.fits")
    evselect(command(expression="PI in [500:2000] && #XMMEA_EM"), tmp_path)
    image, header = read(tmp_path / "image.fits")
    flag = values["FLAG"].astype("i8") & 0xFFFFFFFF
    chosen = (values["PI"] >= 500) & (values["PI"] <= 2000) & (flag & 0x766BA000 == 0)
    np.testing.assert_array_equal(image, expected_image(values, chosen, ((1, 200, 10), (1, 200, 10))))
    assert image.dtype == ">i4"
    assert header["SLCTEXPR"] == "PI in [500:2000] && (FLAG & 0x766ba000) == 0"
    assert header["CREATOR"].startswith("evselect (xphotfn")
    assert header["HDUCLAS1"] == "IMAGE"
    assert header["TELESCOP"] == "XMM"


LIMIT = st.integers(1, 200)


@settings(max_examples=25)
@given(st.tuples(LIMIT, LIMIT).map(sorted), st.tuples(LIMIT, LIMIT).map(sorted), st.integers(1, 60), st.integers(1, 60))
def test_any_range_and_bin(tmp_path_factory, x, y, dx, dy):
    folder = tmp_path_factory.mktemp("any")
    values = write_list(folder / "events.fits", columns(300))
    limits = {"ximagemin": x[0], "ximagemax": x[1], "yimagemin": y[0], "yimagemax": y[1]}
    made = command(**limits, ximagebinsize=dx, yimagebinsize=dy, withimagedatatype="yes", imagedatatype="Real64")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "warn", lambda *_: None)  # small ranges may be empty
        evselect(made, folder)
    image, header = read(folder / "image.fits")
    np.testing.assert_array_equal(image, expected_image(values, slice(None), ((*x, dx), (*y, dy))))
    column = np.array([x[0], x[1]], dtype=float)
    pixel = (column - header["CRVAL1L"]) / header["CDELT1L"] + header["CRPIX1L"]
    np.testing.assert_allclose(pixel, column * header["LTM1_1"] + header["LTV1"], atol=1e-9)
    np.testing.assert_array_equal(np.floor(pixel + 0.5) - 1, (column - x[0]) // dx)


def test_sky_of_an_image_is_the_sky_of_its_columns(tmp_path):
    write_list(tmp_path / "events.fits")
    evselect(command(ximagemin=21, ximagemax=180, ximagebinsize=7), tmp_path)
    _, header = read(tmp_path / "image.fits")
    sky = WCS(header)
    of_columns = WCS(naxis=2)
    of_columns.wcs.ctype, of_columns.wcs.crval = ["RA---TAN", "DEC--TAN"], [50.0, 50.0]
    of_columns.wcs.crpix, of_columns.wcs.cdelt = [100, 100], [-0.001, 0.001]
    for x, y in ((21, 1), (100, 100), (180, 200)):
        pixel = (x - header["CRVAL1L"]) / header["CDELT1L"], (y - header["CRVAL2L"]) / header["CDELT2L"]
        np.testing.assert_allclose(sky.wcs_pix2world([pixel], 0), of_columns.wcs_pix2world([(x, y)], 1), rtol=1e-12)


@pytest.mark.parametrize(("square", "shape"), [("no", (20, 29)), ("yes", (20, 20))])
def test_size_of_an_image(tmp_path, square, shape):
    """Bins of whole columns are rounded up, so the image may be smaller than what was asked for."""
    write_list(tmp_path / "events.fits")
    evselect(command(imagebinning="imageSize", ximagesize=30, yimagesize=20, squarepixels=square), tmp_path)
    image, header = read(tmp_path / "image.fits")
    assert image.shape == shape
    assert (header["CDELT1L"], header["CDELT2L"]) == ((10, 10) if square == "yes" else (7, 10))
    assert image.sum() == 5000


def test_other_columns_have_plain_axes(tmp_path):
    write_list(tmp_path / "events.fits")
    limits = {"ximagemin": 0, "ximagemax": 11999, "yimagemin": 0, "yimagemax": 31}
    evselect(command(xcolumn="PI", ycolumn="PATTERN", ximagebinsize=500, yimagebinsize=1, **limits), tmp_path)
    image, header = read(tmp_path / "image.fits")
    assert image.shape == (32, 24)
    assert image.sum() == 5000
    assert [header[k] for k in ("CTYPE1", "CRPIX1", "CRVAL1", "CDELT1")] == ["PI", 1, 249.5, 500]
    assert [header[k] for k in ("CTYPE2", "CRPIX2", "CRVAL2", "CDELT2")] == ["PATTERN", 1, 0, 1]


def test_real_columns_start_at_the_minimum_and_include_the_maximum(tmp_path):
    values = columns()
    values["TIME"][[0, -1]] = 0.0, 1000.0
    write_list(tmp_path / "events.fits", values)
    made = command(xcolumn="TIME", ximagebinsize=12.5, ximagemin=0, ximagemax=1000, ycolumn="WEIGHT",
                   yimagebinsize=0.5, yimagemin=-1, yimagemax=1)  # fmt: skip
    evselect(made, tmp_path)
    image, header = read(tmp_path / "image.fits")
    expected = np.histogram2d(values["WEIGHT"], values["TIME"], bins=(np.linspace(-1, 1, 5), np.linspace(0, 1000, 81)))[
        0
    ]
    np.testing.assert_array_equal(image, expected)
    assert (header["CRVAL1L"], header["CDELT1L"], header["CRVAL2L"]) == (6.25, 12.5, -0.75)
    assert image[:, -1].sum() > 0


def test_range_of_the_data_where_nothing_says_more(tmp_path):
    values = columns()
    values["X"][7] = -99999999
    write_list(tmp_path / "events.fits", values, legal=False, events={"TNULL2": -99999999})
    evselect(command(expression="PI > 6000", ximagebinsize=1, yimagebinsize=1), tmp_path)
    image, header = read(tmp_path / "image.fits")
    chosen = (values["PI"] > 6000) & (values["X"] > 0)
    x, y = values["X"][chosen], values["Y"][chosen]
    assert image.shape == (y.max() - y.min() + 1, x.max() - x.min() + 1)
    assert image.sum() == chosen.sum()
    assert header["CRVAL1L"] == x.min()


def test_legal_limits_clip_with_a_warning(tmp_path):
    write_list(tmp_path / "events.fits")
    with pytest.warns(UserWarning, match="clipped to the legal values, 1 to 200"):
        evselect(command(ximagemin=-50, ximagemax=300), tmp_path)
    evselect(command(imageset="all.fits", ximagemin=-50, ximagemax=300, ignorelegallimits="yes"), tmp_path)
    assert read(tmp_path / "image.fits")[0].shape == (20, 20)
    assert read(tmp_path / "all.fits")[0].shape == (20, 36)
    evselect(command(imageset="data.fits", ignorelegallimits="yes", expression="X > 100"), tmp_path)
    assert read(tmp_path / "data.fits")[0].shape == (20, 10)


@pytest.mark.parametrize(
    ("name", "dtype"), [("Int8", "u1"), ("Int16", ">i2"), ("Int32", ">i4"), ("Real32", ">f4"), ("Real64", ">f8")]
)
def test_data_types(tmp_path, name, dtype):
    write_list(tmp_path / "events.fits")
    evselect(command(imagedatatype=name), tmp_path)
    image, _ = read(tmp_path / "image.fits")
    assert image.dtype == dtype
    assert image.sum() == 5000


def test_counts_that_do_not_fit_the_data_type(tmp_path):
    write_list(tmp_path / "events.fits")
    with pytest.raises(CommandFailed, match="more than Int8 can"):
        evselect(command(imagedatatype="Int8", ximagebinsize=200, yimagebinsize=200), tmp_path)
    assert files_in(tmp_path) == ["events.fits"]


def test_sum_of_a_column(tmp_path):
    values = write_list(tmp_path / "events.fits")
    evselect(command(zcolumn="WEIGHT", expression="PI > 500"), tmp_path)
    image, _ = read(tmp_path / "image.fits")
    chosen = values["PI"] > 500
    flat = (values["Y"][chosen] - 1) // 10 * 20 + (values["X"][chosen] - 1) // 10
    expected = np.bincount(flat, weights=values["WEIGHT"][chosen], minlength=400).reshape(20, 20)
    assert image.dtype == ">f8"
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-12)


def test_many_chunks_and_row_numbers(tmp_path):
    values = write_list(tmp_path / "events.fits", columns(200_000))
    evselect(command(expression="#ROW % 7 == 0 && PI < 9000"), tmp_path)
    chosen = (np.arange(1, 200_001) % 7 == 0) & (values["PI"] < 9000)
    expected = expected_image(values, chosen, ((1, 200, 10), (1, 200, 10)))
    np.testing.assert_array_equal(read(tmp_path / "image.fits")[0], expected)


def test_very_large_images_are_filled_too(tmp_path):
    values = write_list(tmp_path / "events.fits")
    limits = {"ximagemin": -2000, "ximagemax": 2000, "yimagemin": -2000, "yimagemax": 2000, "ignorelegallimits": "yes"}
    evselect(command(**limits, ximagebinsize=1, yimagebinsize=1), tmp_path)
    image, _ = read(tmp_path / "image.fits")
    assert image.sum() == 5000
    assert image[values["Y"][0] + 2000, values["X"][0] + 2000] > 0
    wide = {name: value * 100 if "image" in name else value for name, value in limits.items()}
    with pytest.raises(CommandFailed, match="larger bins"):
        evselect(command(imageset="b.fits", **wide, ximagebinsize=1, yimagebinsize=1), tmp_path)


@pytest.mark.parametrize("name", ["events.fits.gz", "events.FTZ"])
def test_compressed_lists(tmp_path, name):
    write_list(tmp_path / "events.fits")
    (tmp_path / name).write_bytes(gzip.compress((tmp_path / "events.fits").read_bytes()))
    evselect(command(expression="PI > 500"), tmp_path)
    evselect(command(name, "other.fits", expression="PI > 500"), tmp_path)
    plain, packed = read(tmp_path / "image.fits"), read(tmp_path / "other.fits")
    np.testing.assert_array_equal(plain[0], packed[0])
    assert {k: v for k, v in plain[1].items() if k != "XPROC0"} == {k: v for k, v in packed[1].items() if k != "XPROC0"}


def test_scaled_columns(tmp_path):
    """Unsigned and scaled columns count by their values, not by what is stored."""
    stored = np.arange(-32768, -32768 + 100, dtype="i2")
    made = [
        fits.Column(name="X", format="I", bzero=32768, array=stored.astype("i4") + 32768),
        fits.Column(name="Y", format="I", array=np.zeros(100, "i2")),
        fits.Column(name="E", format="E", bscale=0.5, bzero=10, array=np.arange(100) * 0.5 + 10),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(made, name="EVENTS")]).writeto(
        tmp_path / "events.fits"
    )
    evselect(command(ximagebinsize=25, yimagebinsize=1, expression="E < 40 && X < 50"), tmp_path)
    image, header = read(tmp_path / "image.fits")
    assert image.tolist() == [[25, 25]]
    assert header["CRVAL1L"] == 12
    assert "EXPOSURE" not in header


# Data subspace, good times and filtered lists


def subspace(header):
    names = [k for k in header if k.lstrip("0123456789").startswith(("DSTYP", "DSUNI", "DSFORM", "DSVAL", "DSREF"))]
    return {name: header[name] for name in names}


def test_subspace_and_times_of_an_image(tmp_path):
    write_list(tmp_path / "events.fits")
    evselect(command(expression="PI in [500:2000] && (FLAG & 0x5) == 0"), tmp_path)
    _, header = read(tmp_path / "image.fits")
    assert subspace(header) == {
        "DSTYP1": "CCDNR", "DSTYP2": "TIME", "DSUNI2": "s", "DSTYP3": "PI", "DSTYP4": "FLAG",
        "DSVAL1": "1", "DSVAL2": "TABLE", "DSREF2": ":STDGTI01", "DSVAL3": "500:2000",
        "DSFORM4": "X", "DSVAL4": "b0x0", "2DSVAL1": "2", "2DSREF2": ":STDGTI02",
    }  # fmt: skip
    assert (header["ONTIME01"], header["ONTIME02"], header["EXPOSURE"]) == (800, 850, 850)
    assert (header["FRMTIM01"], header["FRMTIM02"]) == (1, 1)
    assert blocks(tmp_path / "image.fits") == blocks(tmp_path / "events.fits")[-2:]


def test_good_times_are_intersected_and_renamed(tmp_path):
    write_list(tmp_path / "events.fits")
    fits.HDUList([fits.PrimaryHDU(), gti("STDGTI", [(50, 550), (800, 2000)])]).writeto(tmp_path / "good.fits")
    values = columns()
    evselect(command(expression="PI > 500 && gti(good.fits,TIME)"), tmp_path)
    image, header = read(tmp_path / "image.fits")
    time = values["TIME"]
    chosen = (values["PI"] > 500) & (((time >= 50) & (time <= 550)) | (time >= 800))
    assert image.sum() == chosen.sum()
    assert [header[f"DSTYP{n}"] for n in (1, 2, 3)] == ["CCDNR", "PI", "TIME"]
    assert (header["DSREF3"], header["2DSREF3"]) == (":GTI00003", ":GTI00103")
    assert (header["ONTIME01"], header["ONTIME02"]) == (350 + 50 + 100, 450 + 150)
    with fits.open(tmp_path / "image.fits") as hdus:
        assert [h.name for h in hdus[1:]] == ["GTI00003", "GTI00103"]
        assert hdus[1].data["START"].tolist() == [50, 500, 800]
        assert hdus[1].data["STOP"].tolist() == [400, 550, 900]
        assert (hdus[2].header["CCDID"], hdus[2].header["ONTIME"]) == (2, 600)


def test_one_ccd_alone(tmp_path):
    write_list(tmp_path / "events.fits")
    evselect(command(expression="CCDNR == 1"), tmp_path)
    _, header = read(tmp_path / "image.fits")
    assert "2DSVAL1" not in header
    assert (header["ONTIME01"], header["EXPOSURE"]) == (800, 800)
    assert [name for name, *_ in blocks(tmp_path / "image.fits")] == ["STDGTI01"]


def test_switches_of_the_subspace(tmp_path):
    write_list(tmp_path / "events.fits")
    evselect(command(imageset="a.fits", writedss="no"), tmp_path)
    evselect(command(imageset="b.fits", updateexposure="no"), tmp_path)
    without, no_times = read(tmp_path / "a.fits")[1], read(tmp_path / "b.fits")[1]
    assert not subspace(without)
    assert not blocks(tmp_path / "a.fits")
    assert "EXPOSURE" not in without
    assert "EXPOSURE" not in no_times
    assert subspace(no_times)


def test_filtered_list(tmp_path):
    values = write_list(tmp_path / "events.fits")
    fits.HDUList([fits.PrimaryHDU(), gti("STDGTI", [(50.25, 550)])]).writeto(tmp_path / "good.fits")
    text = "PI in [500:2000] && gti(good.fits,TIME)"
    evselect(command(imageset="", filteredset="clean.fits", expression=text), tmp_path)
    time = values["TIME"]
    chosen = (values["PI"] >= 500) & (values["PI"] <= 2000) & (time >= 50.25) & (time <= 550)
    with fits.open(tmp_path / "clean.fits") as hdus:
        hdus.verify("exception")
        events = hdus["EVENTS"]
        for name in values:
            np.testing.assert_array_equal(np.asarray(events.data[name]), values[name][chosen])
        assert events.header["SLCTEXPR"] == text
        assert (events.header["ONTIME01"], events.header["ONTIME"]) == (349.75 + 50, 349.75 + 50)
        assert events.header["LIVETI01"] == (348 + 49) / 2  # not the frames that end at the stop, as SAS
        assert len(hdus["EXPOSU01"].data) == 350 + 50
        assert hdus["EXPOSU02"].data["TIME"].min() == 100.5
        assert [h.name for h in hdus[1:]] == [
            "EVENTS", "EXPOSU01", "EXPOSU02", "STDGTI01", "STDGTI02", "GTI00003", "GTI00103"
        ]  # fmt: skip
        assert "DATE" not in hdus[0].header
        assert parse_xproc(hdus[0].header["XPROC0"]).parameter("filteredset") == "clean.fits"
    again = "gti(good.fits,TIME) && PI < 1000"
    evselect(command("clean.fits", "", filteredset="more.fits", expression=again), tmp_path)
    with fits.open(tmp_path / "more.fits") as hdus:
        assert hdus["EVENTS"].header["SLCTEXPR"] == again
        assert hdus["EVENTS"].header["DSVAL2"] == "[500:1000)"
        assert [h.name for h in hdus[-3:]] == ["STDGTI02", "GTI00003", "GTI00103"]
        assert hdus["EVENTS"].header["ONTIME01"] == 349.75 + 50


def test_list_and_image_of_one_command(tmp_path):
    write_list(tmp_path / "events.fits")
    evselect(command(filteredset="clean.fits", expression="PI > 500"), tmp_path)
    evselect(command("clean.fits", "again.fits"), tmp_path)
    np.testing.assert_array_equal(read(tmp_path / "image.fits")[0], read(tmp_path / "again.fits")[0])
    assert read(tmp_path / "again.fits")[1]["SLCTEXPR"] == "PI > 500"


def test_columns_of_every_kind_are_carried_over(tmp_path):
    made = [
        fits.Column(name="X", format="K", array=np.arange(10)),
        fits.Column(name="Y", format="E", array=np.linspace(0, 1, 10)),
        fits.Column(name="OK", format="L", array=np.arange(10) % 2 == 0),
        fits.Column(name="BITS", format="12X", array=np.eye(10, 12, dtype=bool)),
        fits.Column(name="THREE", format="3E", array=np.arange(30).reshape(10, 3)),
        fits.Column(name="TEXT", format="5A", array=[f"n{n}" for n in range(10)]),
    ]
    events = fits.BinTableHDU.from_columns(made, name="EVENTS")
    fits.HDUList([fits.PrimaryHDU(), events]).writeto(tmp_path / "events.fits")
    evselect(command(imageset="", filteredset="some.fits", expression="OK && X > 2"), tmp_path)
    with fits.open(tmp_path / "some.fits") as hdus:
        for name in ("X", "Y", "OK", "BITS", "THREE", "TEXT"):
            np.testing.assert_array_equal(hdus[1].data[name], events.data[name][[4, 6, 8]])
    with pytest.raises(ExpressionError, match="vector"):
        evselect(command(expression="THREE > 1"), tmp_path)
    with pytest.raises(InvalidFile, match="no numbers"):
        evselect(command(xcolumn="BITS"), tmp_path)


def test_columns_of_variable_length_are_not_filtered(tmp_path):
    rows = np.array([np.arange(n) for n in range(3)], dtype=object)
    made = [fits.Column(name="X", format="J", array=[1, 2, 3]), fits.Column(name="V", format="PJ()", array=rows)]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(made, name="EVENTS")]).writeto(
        tmp_path / "events.fits"
    )
    with pytest.raises(CommandFailed, match="variable length"):
        evselect(command(imageset="", filteredset="some.fits"), tmp_path)
    evselect(command(ycolumn="X", ximagebinsize=1, yimagebinsize=1), tmp_path)
    assert read(tmp_path / "image.fits")[0].tolist() == np.eye(3).tolist()


def test_good_times_of_the_list_itself(tmp_path):
    values = write_list(tmp_path / "events.fits")
    evselect(command(expression="gti(:STDGTI02,TIME)"), tmp_path)
    chosen = (values["TIME"] >= 100) & (values["TIME"] <= 950)
    assert read(tmp_path / "image.fits")[0].sum() == chosen.sum()


# Several commands at once, and the same bytes


def test_many_are_the_same_as_one_by_one(tmp_path):
    one, many = tmp_path / "one", tmp_path / "many"
    for folder in (one, many):
        folder.mkdir()
        write_list(folder / "events.fits")
        write_list(folder / "other.fits", columns(seed=8))
    commands = [
        command(imageset="a.fits", expression="#XMMEA_EM && PI in [200:500]"),
        command(imageset="b.fits", expression="#XMMEA_EM && PI in [500:2000]", ximagebinsize=7),
        command("other.fits", "c.fits", expression="PI > 300", zcolumn="WEIGHT"),
        command(imageset="", filteredset="d.fits", expression="PI > 300"),
        command(imageset="e.fits", xcolumn="PI", ycolumn="TIME", imagebinning="imageSize", expression="PI > 300"),
        command("events.fits:EVENTS", "f.fits"),
    ]
    for single in commands:
        evselect(single, one)
    evselect_many(commands, many)
    assert files_in(one) == files_in(many) == sorted([*(f"{c}.fits" for c in "abcdef"), "events.fits", "other.fits"])
    for name in files_in(one):
        assert (one / name).read_bytes() == (many / name).read_bytes(), name


def test_products_name_no_place_and_no_time(tmp_path):
    write_list(tmp_path / "events.fits")
    evselect(command(filteredset="clean.fits", expression="PI > 500"), tmp_path)
    raw = (tmp_path / "image.fits").read_bytes()
    assert b"DATE" not in raw
    assert b"HISTORY" not in raw
    assert str(tmp_path).encode() not in raw + (tmp_path / "clean.fits").read_bytes()


def test_memory_does_not_grow_with_the_list(tmp_path):
    write_list(tmp_path / "events.fits", columns(1_000_000))
    size = (tmp_path / "events.fits").stat().st_size
    tracemalloc.start()
    evselect(command(filteredset="clean.fits", expression="PI > 500"), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 29e6
    assert peak < 20e6


# Bad input


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        ({"expression": "PI > "}, ExpressionError, "too early"),
        ({"expression": "PJ > 3"}, ExpressionError, "did you mean PI"),
        ({"expression": "NAME == 3"}, ExpressionError, "text"),
        ({"expression": "#NONE"}, ExpressionError, "NONE"),
        ({"expression": "gti(events.fits,TIME)"}, InvalidFile, "EVENTS"),
        ({"expression": "gti(none.fits,TIME)"}, InvalidFile, "no such file"),
        ({"xcolumn": "Z"}, InvalidFile, "no column 'Z'"),
        ({"ycolumn": "NAME"}, InvalidFile, "no numbers"),
        ({"zcolumn": "NAME"}, InvalidFile, "no numbers"),
        ({"ximagebinsize": "0.5"}, CommandFailed, "whole number"),
        ({"ximagebinsize": "0"}, CommandFailed, "above 0"),
        ({"ximagemin": "5", "ximagemax": "1"}, CommandFailed, "not below"),
        ({"ximagemin": "300", "ximagemax": "400"}, CommandFailed, "misses the legal values"),
        ({"withspectrumset": "yes"}, CommandFailed, "with SAS"),
        ({"destruct": "no"}, CommandFailed, "with SAS"),
        ({"withimageset": "no"}, CommandFailed, "nothing to make"),
        ({"imageset": "../out.fits"}, CommandFailed, "plain file name"),
        ({"imageset": "events.fits"}, InvalidFile, "exists already"),
        ({"filteredset": "image.fits"}, CommandFailed, "same file"),
        ({"table": "none.fits"}, InvalidFile, "no such file"),
        ({"table": "events.fits:RATES"}, InvalidFile, "no event table 'RATES'"),
        ({"nosuch": "1"}, InvalidRecord, "nosuch"),
        ({"table": "events.fits:2", "expression": "true"}, InvalidFile, "no column 'X'"),
    ],
)
def test_bad_commands(tmp_path, change, error, problem):
    write_list(tmp_path / "events.fits")
    with pytest.raises(error, match=problem):
        evselect(command(**change), tmp_path)
    assert files_in(tmp_path) == ["events.fits"]


def test_other_tasks_are_refused(tmp_path):
    with pytest.raises(CommandFailed, match="interpreter of evselect"):
        evselect(Command(task="emosaic"), tmp_path)


def test_two_commands_of_one_name_are_refused(tmp_path):
    write_list(tmp_path / "events.fits")
    with pytest.raises(CommandFailed, match="one file"):
        evselect_many((command(), command()), tmp_path)


def test_nothing_selected_is_an_empty_image_and_a_warning(tmp_path):
    write_list(tmp_path / "events.fits")
    with pytest.warns(UserWarning, match="selects no events"):
        evselect(command(expression="PI > 20000"), tmp_path)
    image, header = read(tmp_path / "image.fits")
    assert not image.any()
    assert image.shape == (20, 20)
    assert header["EXPOSURE"] == 850
    with pytest.warns(UserWarning, match="the list is empty"):
        evselect(command(imageset="", filteredset="clean.fits", expression="PI > 20000"), tmp_path)
    with fits.open(tmp_path / "clean.fits") as hdus:
        assert len(hdus["EVENTS"].data) == 0


def test_nothing_inside_the_image_is_a_warning_too(tmp_path):
    values = columns()
    values["X"][:] = 150
    write_list(tmp_path / "events.fits", values)
    with pytest.warns(UserWarning, match="none inside the image"):
        evselect(command(ximagemin=1, ximagemax=100), tmp_path)
    assert not read(tmp_path / "image.fits")[0].any()


def test_nothing_selected_and_no_range(tmp_path):
    write_list(tmp_path / "events.fits", legal=False)
    with pytest.raises(CommandFailed, match="give ximagemin"):
        evselect(command(expression="PI > 20000"), tmp_path)


def test_lists_that_are_none(tmp_path):
    write_list(tmp_path / "empty.fits", {name: value[:0] for name, value in columns().items()})
    fits.PrimaryHDU(np.ones((3, 3))).writeto(tmp_path / "picture.fits")
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((3, 3)), name="EVENTS")]).writeto(tmp_path / "ima.fits")
    fits.HDUList([fits.PrimaryHDU(), gti("RATES", [(0, 1)])]).writeto(tmp_path / "rates.fits")
    (tmp_path / "text.fits").write_text("hello")
    (tmp_path / "nothing.fits").write_bytes(b"")
    before = files_in(tmp_path)
    for name, problem in (
        ("empty.fits", "holds no events"),
        ("picture.fits", "no event table 'EVENTS'"),
        ("ima.fits", "is no table"),
        ("rates.fits", "RATES; name the table"),
        ("text.fits", "not a FITS file"),
        ("nothing.fits", "is empty"),
    ):
        with pytest.raises(InvalidFile, match=problem):
            evselect(command(name), tmp_path)
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("part", [0.2, 0.6, 0.9, 0.97])
@pytest.mark.parametrize("packed", [False, True])
def test_truncated_lists(tmp_path, part, packed):
    write_list(tmp_path / "whole.fits")
    raw = (tmp_path / "whole.fits").read_bytes()
    raw = gzip.compress(raw) if packed else raw
    (tmp_path / "events.fits").write_bytes(raw[: int(len(raw) * part)])
    (tmp_path / "whole.fits").unlink()
    with pytest.raises(InvalidFile, match="cut short"):
        evselect(command(), tmp_path)
    assert files_in(tmp_path) == ["events.fits"]


def test_letters_that_no_header_may_hold(tmp_path):
    """Names of observers with accents are found in real lists."""
    write_list(tmp_path / "events.fits", primary={"OBSERVER": "Rene"})
    raw = (tmp_path / "events.fits").read_bytes().replace(b"'Rene", b"'Ren\xe9")
    (tmp_path / "events.fits").write_bytes(raw)
    evselect(command(filteredset="clean.fits", expression="PI > 500"), tmp_path)
    assert read(tmp_path / "image.fits")[1]["OBSERVER"] == "Ren?"


def test_headers_that_cannot_be_understood(tmp_path):
    write_list(tmp_path / "events.fits")
    raw = (tmp_path / "events.fits").read_bytes()
    for before, after in ((b"TFORM2  = 'J ", b"TFORM2  = 'Z "), (b"DSTYP1  = 'C", b"DSTYP1  = )C")):
        (tmp_path / "events.fits").write_bytes(raw.replace(before, after))
        with pytest.raises(InvalidFile, match="cannot be understood"):
            evselect(command(), tmp_path)
    assert files_in(tmp_path) == ["events.fits"]


def test_damaged_compression(tmp_path):
    write_list(tmp_path / "whole.fits")
    raw = bytearray(gzip.compress((tmp_path / "whole.fits").read_bytes()))
    raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "events.fits").write_bytes(raw)
    with pytest.raises(InvalidFile, match=r"damaged|understood|cut short"):
        evselect(command(), tmp_path)


@pytest.mark.parametrize(("target", "name"), [("image_bytes", "image_bytes"), ("ListWriter", "ListWriter.add")])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, target, name):
    write_list(tmp_path / "events.fits")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    owner = module if name == target else getattr(module, target)
    monkeypatch.setattr(owner, name.rpartition(".")[2], full)
    with pytest.raises(InvalidFile, match="No space left on device"):
        evselect(command(filteredset="clean.fits"), tmp_path)
    assert files_in(tmp_path) == ["events.fits"]


def test_a_table_without_rows_has_empty_columns(tmp_path):
    """Real lists may hold a BADPIXnn block without a bad pixel."""
    from xphotfn.epic.events import as_table, scan, table_data

    path = tmp_path / "empty.fits"
    columns = [fits.Column(name="RAWX", format="I"), fits.Column(name="TIME", format="D")]
    fits.BinTableHDU.from_columns(columns, name="BADPIX01").writeto(path)
    data = table_data(as_table(path, scan(path)[1]))
    assert data.column("RAWX").shape == (0,)
    assert data.column("TIME").dtype == np.float64


def test_live_times_of_the_pipeline_list_cut_by_good_times(folders_root, tmp_path):
    """SAS leaves out a frame that ends with its interval: LIVETInn of all seven CCDs, one of which has such a frame."""
    place = folders_root / "pps" / "0001730201"
    for name in (PPS, "M1_gti.fits"):
        (tmp_path / name).symlink_to(place / name)
    pairs = {"table": PPS, "filteredset": "clean.fits", "expression": PPS_EXPRESSION}
    evselect(Command(task="evselect", parameters=pairs), tmp_path)
    ours, theirs = (fits.getheader(p, "EVENTS") for p in (tmp_path / "clean.fits", place / "M1_clean.fits.gz"))
    for n in range(1, 8):
        assert ours[f"LIVETI{n:02d}"] == pytest.approx(theirs[f"LIVETI{n:02d}"], abs=1e-3)
        assert ours[f"ONTIME{n:02d}"] == pytest.approx(theirs[f"ONTIME{n:02d}"], abs=1e-6)


def test_an_image_of_the_detector_has_the_cards_of_sas(folders_root, tmp_path):
    place = folders_root / "esas" / "0203930101"
    (tmp_path / "e.fits.gz").symlink_to(place / "mos1S001-clean-filtered.fits.gz")
    pairs = {"table": "e.fits.gz", "imageset": "i.fits", "xcolumn": "DETX", "ycolumn": "DETY", "squarepixels": "yes"}
    pairs |= {"imagebinning": "imageSize", "ximagesize": "780", "yimagesize": "780", "ignorelegallimits": "yes"}
    pairs |= {"ximagemin": "-19499", "ximagemax": "19500", "yimagemin": "-19499", "yimagemax": "19500"}
    evselect(Command(task="evselect", parameters=tuple(pairs.items())), tmp_path)
    ours, theirs = fits.getheader(tmp_path / "i.fits"), fits.getheader(place / "mos1S001-obj-im-det-500-10000.fits.gz")
    cards = [k for k in theirs if k.startswith(("CTYPE", "CRPIX", "CRVAL", "CUNIT", "CDELT", "LTV", "LTM", "WCS"))]
    assert [k for k in ours if k in cards] == cards
    for key in cards:
        assert ours[key] == (pytest.approx(theirs[key], rel=1e-13) if isinstance(theirs[key], float) else theirs[key])
        assert ours.comments[key] == theirs.comments[key], key
