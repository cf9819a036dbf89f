"""FITS files that were made to hurt: bounds on what they unpack to and claim, and one bad file among good ones."""

import gzip
import resource
import time
import tracemalloc

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.epic.events import open_events, scan
from xphotfn.errors import InvalidFile
from xphotfn.io import bounded
from xphotfn.io.bounded import unpacked
from xphotfn.io.cards import Cards
from xphotfn.io.fits import open_checked, read_array, read_header, read_headers

MIB = 2**20


def header_of(*cards):
    text = "".join(card.ljust(80) for card in (*cards, "END"))
    return text.ljust(-(-len(text) // 2880) * 2880).encode()


def image_of(size):
    start = ("SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    1")
    return header_of(*start, f"NAXIS1  = {size:20}")


@pytest.fixture
def bomb(tmp_path, monkeypatch):
    """A gzipped image of 64 MiB in 64 kB, where 8 MiB are taken."""
    monkeypatch.setattr(bounded, "MOST_UNPACKED", 8 * MIB)
    path = tmp_path / "bomb.fits.gz"
    path.write_bytes(gzip.compress(image_of(64 * MIB) + bytes(64 * MIB)))
    return path


def opened(path):
    with open_checked(path):
        pass


@pytest.mark.parametrize("read", [read_array, opened, scan, lambda path: read_header(path, 1)])
def test_what_unpacks_to_too_much_is_refused_and_takes_no_memory(bomb, read):
    tracemalloc.start()
    try:
        with pytest.raises(InvalidFile, match="holds more than 8 MiB in .* bytes of gzip"):
            read(bomb)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 20 * MIB


def test_find_goes_on_beside_it(bomb):
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(bomb.with_name("other.fits"))
    with pytest.raises(InvalidFile, match="holds no EPIC event list"):
        xp.inventory(bomb.parent)


def test_what_is_large_and_honest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded, "MOST_UNPACKED", MIB)
    noise = np.random.default_rng(1).integers(0, 255, (2000, 1000)).astype("u1")  # 2 MB that do not pack
    path = tmp_path / "noise.fits.gz"
    fits.PrimaryHDU(noise).writeto(path)
    assert np.array_equal(read_array(path)[0], noise)


@pytest.mark.parametrize("parts", [(b"one",), (b"one", b"two"), (b"",)])
def test_members_of_gzip_are_joined(parts):
    raw = b"".join(gzip.compress(part) for part in parts)
    assert unpacked(raw, "x") == b"".join(parts) == unpacked(raw + bytes(7), "x")
    with pytest.raises(EOFError):
        unpacked(raw[:-1], "x")


@pytest.mark.slow
def test_six_gigabytes_in_six_megabytes(tmp_path):
    path = tmp_path / "bomb.fits.gz"
    with gzip.open(path, "wb", compresslevel=9) as stream:
        stream.write(image_of(6 * 2**30))
        for _ in range(6 * 2**6):
            stream.write(bytes(16 * MIB))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(InvalidFile, match="holds more than 512 MiB"):
        read_array(path)
    with pytest.raises(InvalidFile, match="holds no EPIC event list"):
        xp.inventory(tmp_path)
    assert time.process_time() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # kB


@pytest.mark.parametrize("read", [read_array, opened, scan])
@pytest.mark.parametrize("size", [10**9, 10**12, 10**19])
def test_a_claim_beyond_the_file_takes_no_memory(tmp_path, read, size):
    path = tmp_path / "claims.fits"
    path.write_bytes(image_of(size) + bytes(2880))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidFile, match="cut short"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("width", [2**21, 10**12])
def test_rows_of_an_absurd_width_are_refused(tmp_path, width):
    table = header_of(
        "XTENSION= 'BINTABLE'", "BITPIX  =                    8", "NAXIS   =                    2",
        f"NAXIS1  = {width:20}", "NAXIS2  =                    0", "PCOUNT  =                    0",
        "GCOUNT  =                    1", "TFIELDS =                    1", f"TFORM1  = '{width}B'",
        "EXTNAME = 'EVENTS'",
    )  # fmt: skip
    path = tmp_path / "events.fits"
    path.write_bytes(image_of(0) + table)
    with pytest.raises(InvalidFile, match=r"the rows of EVENTS have \d+ bytes|holds no events"):
        open_events(path)


def test_a_table_of_a_billion_columns_is_refused_at_once(tmp_path):
    path = tmp_path / "columns.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("A", "J", array=[1])])]).writeto(path)
    path.write_bytes(path.read_bytes().replace(b"TFIELDS =                    1", b"TFIELDS =           1000000000"))
    start = time.process_time()
    for read in (opened, read_headers):
        with pytest.raises(InvalidFile, match="a table of 1000000000 columns, and FITS allows 999"):
            read(path)
    assert time.process_time() - start < 1


def test_numbers_of_a_header_are_numbers_or_the_default():
    raw = header_of("A       = 'text'", f"B       = {'9' * 60}", "C       =                  2.5", "D       = 1E400",
                    "E       =                    T", "F       = -1E400")  # fmt: skip
    cards = Cards(raw)
    assert [cards.whole(name, 7) for name in "ABCDEFG"] == [7, 2**53, 2, 2**53, 1, -(2**53), 7]
    assert [cards.number(name, 7) for name in "ACDG"] == [7, 2.5, 7, 7]


BAD_CARDS = {
    "LONPOLE as text": b"LONPOLE = 'north   '",
    "digits in SLCTEXPR": b"SLCTEXPR= '(PI in [" + b"9" * 40 + b":2000])'",
    "BITPIX as text": b"BITPIX  = 'garbage '",
    "BITPIX unparsable": b"BITPIX  = gar[bage",
    "NAXIS as text": b"NAXIS   = 'two     '",
    "NAXIS1 negative": b"NAXIS1  =                  -24",
    "CRVAL1 infinite": b"CRVAL1  =                1E400",
}


@pytest.mark.parametrize("bad", BAD_CARDS.values(), ids=BAD_CARDS)
@pytest.mark.parametrize("name", ["img.fits", "expmap.fits"])
def test_a_bad_file_is_left_out_and_the_others_are_found(tmp_path, pair, bad, name):
    good, victim = pair(tmp_path / "good", "0000000101"), pair(tmp_path / "victim", "0000000201")
    raw = (victim / name).read_bytes()
    at = raw.find(bad[:8] + b"=") if bad[:8] + b"=" in raw else raw.find(b"FILTER  =")
    (victim / name).write_bytes(raw[:at] + bad.ljust(80)[:80] + raw[at + 80 :])
    (tmp_path / "loop.fits").symlink_to(tmp_path / "loop.fits")
    found = xp.find_observations(tmp_path)
    assert len(found[0].exposures[0].products) == 2
    assert found[0].exposures[0].products[0].file.path.startswith(str(good))
    left = xp.inventory(tmp_path).left_out
    assert any(item.file == "loop.fits" for item in left)


def test_an_exposure_map_in_no_unit_of_one_leaves_the_others(tmp_path, pair):
    pair(tmp_path / "good", "0000000101")
    fits.setval(pair(tmp_path / "victim", "0000000201") / "expmap.fits", "BUNIT", value="parsec")
    (left,) = xp.inventory(tmp_path).left_out
    assert (left.file, left.reason) == ("victim/expmap.fits", "unreadable")
    assert "is in 'parsec' (BUNIT)" in str(left)
    told = CliRunner().invoke(main, ["photometry", str(tmp_path), "--ra", "10", "--dec", "20", "--radius", "30arcsec"])
    assert told.exit_code == 0, told.output
    assert "0000000101" in told.stdout


@pytest.fixture
def pair():
    """Return a function that writes a small image and its exposure map into a folder."""
    from xphotfn.io.write import write_image

    grid = xp.PixelGrid.from_sky_range(10.0, 20.0, low=24001, high=24001 + 160 * 24 - 1, bin_size=160)

    def write(folder, obs_id):
        folder.mkdir()
        cards = {
            "INSTRUME": "EPN", "OBS_ID": obs_id, "EXPIDSTR": "S003", "FILTER": "Thin1", "RA_PNT": 10.0, "DEC_PNT": 20.0,
            "SLCTEXPR": "(PI in [500:2000])", "EXPOSURE": 500.0, "HDUCLAS1": "IMAGE",
        }  # fmt: skip
        for name, data, more in (
            ("img.fits", np.ones((24, 24), "i4"), {}),
            ("expmap.fits", np.full((24, 24), 500.0, "f4"), {"CREATOR": "eexpmap (test)"}),
        ):
            write_image(folder / name, data, grid, [(k, v, "") for k, v in (cards | more).items()])
        return folder

    return write
