"""gzip by isal or by zlib: the same bytes, the same errors."""

import gzip
import io
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from astropy.io import fits

from xphotfn.errors import InvalidFile
from xphotfn.io import gzip_library
from xphotfn.io.blocks import open_content, open_stream

LIBRARIES = [pytest.param(True, marks=pytest.mark.skipif(find_spec("isal") is None, reason="isal is missing")), False]


@pytest.fixture(params=LIBRARIES, ids=["isal", "zlib"])
def library(request, monkeypatch):
    monkeypatch.setattr(gzip_library, "_has_isal", lambda: request.param)
    return request.param


@pytest.fixture
def content():
    stream = io.BytesIO()
    fits.PrimaryHDU(np.random.default_rng(1).poisson(3.0, (300, 300))).writeto(stream)
    return stream.getvalue()


def test_a_gzipped_file_is_read_whole(tmp_path, library, content):
    path = tmp_path / "image.fits.gz"
    path.write_bytes(gzip.compress(content[:5760]) + gzip.compress(content[5760:]) + bytes(100))
    assert type(gzip_library.decompressor()).__module__.startswith("isal" if library else "zlib")
    with open_content(path) as stream:
        assert stream.read() == content
    with open_stream(path) as (stream, _):
        assert stream.read() == content


def test_a_folder_of_that_name_is_no_library(tmp_path, monkeypatch):
    (tmp_path / "isal").mkdir()
    for name in [n for n in sys.modules if n.partition(".")[0] == "isal"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    gzip_library._has_isal.cache_clear()
    try:
        assert not gzip_library._has_isal()
    finally:
        gzip_library._has_isal.cache_clear()


@pytest.mark.parametrize("opened", [open_content, open_stream])
@pytest.mark.parametrize("damage", ["cut", "changed", "checksum"])
@pytest.mark.usefixtures("library")
def test_a_damaged_file_is_told(tmp_path, content, opened, damage):
    packed = bytearray(gzip.compress(content))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "changed":
        packed[1000:1100] = bytes(100)
    else:
        packed[-8] ^= 1
    path = tmp_path / "image.fits.gz"
    path.write_bytes(packed)
    with pytest.raises(InvalidFile, match="is damaged or cut short"), opened(path) as found:
        (found if opened is open_content else found[0]).read()
