"""A file is whole FITS or refused, as astropy would say."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.io.fits import check_whole


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("X", "J", array=np.arange(900))])
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((30, 40), dtype="f4")), table]
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.mark.parametrize("bitpix", ["u1", "i2", "i4", "i8", "f4", "f8"])
def test_what_astropy_writes_is_whole(tmp_path, bitpix):
    fits.PrimaryHDU(np.zeros((3, 5), dtype=bitpix)).writeto(tmp_path / "a.fits")
    check_whole(tmp_path / "a.fits")


def test_several_hdus_plain_and_packed(good, tmp_path):
    check_whole(good)
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(good.read_bytes()))
    check_whole(tmp_path / "a.fits.gz")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.89])
def test_a_file_that_is_cut_short_is_refused(good, share):
    content = good.read_bytes()
    good.write_bytes(content[: int(share * len(content))])
    with pytest.raises(xp.InvalidFile, match="cut short|ends inside a header"):
        check_whole(good)


@pytest.mark.parametrize(
    ("card", "by", "number"),
    [(b"BITPIX  =                    8", b"BITPIX  =                    7", 0),
     (b"BITPIX  =                  -32", b"BITPIX  =                  -33", 1),
     (b"NAXIS   =                    0", b"NAXXS   =                    0", 0)],
)  # fmt: skip
def test_an_hdu_without_its_mandatory_keywords_is_refused(good, card, by, number):
    good.write_bytes(good.read_bytes().replace(card, by, 1))
    with pytest.raises(xp.InvalidFile, match=f"no BITPIX and NAXIS of the FITS standard in HDU {number}"):
        check_whole(good)
