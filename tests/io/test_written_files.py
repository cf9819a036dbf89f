"""Files that are written: what is there is replaced only by its like, and no text becomes a formula."""

import csv
import gzip
import os
import shutil

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from attrs import evolve

from xphotfn.errors import InvalidFile
from xphotfn.io.region_export import write_regions
from xphotfn.io.source_files import write_source_list
from xphotfn.io.table_files import LargeText, read_table, write_table
from xphotfn.io.write import publish, write_fits
from xphotfn.plot.view import save_view
from xphotfn.records.region import Region
from xphotfn.testing.examples import example_rate_map, example_source_list

REGION = Region(shape="circle", frame="image", x=1, y=1, size=(1,))
TABLE = Table({"name": ["A", "B"], "ra": [1.0, 2.0]})

WRITERS = {
    "map.fits": lambda path: write_fits(example_rate_map(), path, overwrite=True),
    "map": lambda path: write_fits(example_rate_map(), path, overwrite=True),
    "map.png": lambda path: save_view(example_rate_map(), path, overwrite=True),
    "a.reg": lambda path: write_regions([REGION], path, overwrite=True),
    "a.csv": lambda path: write_table(TABLE, path, overwrite=True),
    "a.ecsv": lambda path: write_table(TABLE, path, overwrite=True),
    "a.vot": lambda path: write_table(TABLE, path, overwrite=True),
    "a.parquet": lambda path: write_table(TABLE, path, overwrite=True),
}
OTHERS = {
    "a letter": b"Dear colleagues,\n\nthis, and that, took a year.\nYours\n",
    "a script": b"#!/usr/bin/env python\nprint(1)\n",
    "a program": b"import os\n\n\ndef f(a, b):\n    return a\n",
    "a notebook": b'{"cells": []}',
    "a page": b"<!DOCTYPE html><html></html>",
    "a picture": b"\xff\xd8\xff\xe0 jpeg",
    "data": b"\x00\x01\x02",
    "packed data": gzip.compress(b"my thesis"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_only_its_like_is_replaced(tmp_path, name):
    path = tmp_path / name
    for content in OTHERS.values():
        path.write_bytes(content)
        with pytest.raises(InvalidFile, match="exists and is .*, not .*, and so is not replaced"):
            WRITERS[name](path)
        assert path.read_bytes() == content
        assert [item.name for item in tmp_path.iterdir()] == [name]
    path.write_bytes(b"")
    WRITERS[name](path)
    assert path.stat().st_size > 0


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_file_is_never_replaced(tmp_path, overwrite):
    """A pipe stands for a device: a rename would put a file in its place."""
    os.mkfifo(tmp_path / "map.fits")
    (tmp_path / "link.fits").symlink_to("map.fits")
    (tmp_path / "folder.fits").mkdir()
    for name in ("map.fits", "link.fits", "folder.fits"):
        with pytest.raises(InvalidFile, match="is a folder, a device or a pipe"):
            write_fits(example_rate_map(), tmp_path / name, overwrite=overwrite)
    assert (tmp_path / "map.fits").is_fifo()
    assert (tmp_path / "link.fits").is_symlink()


def test_the_files_of_one_kind_are_not_those_of_another(tmp_path):
    made = {}
    for name, write in WRITERS.items():
        write(tmp_path / name)
        made[name] = (tmp_path / name).read_bytes()
        if name != "map.png":
            write(tmp_path / name)  # its like is replaced
    for first in WRITERS:
        for second in WRITERS:
            if {first, second} not in ({first}, {"map", "map.fits"}):
                (tmp_path / second).write_bytes(made[first])
                with pytest.raises(InvalidFile, match="exists and is"):
                    WRITERS[second](tmp_path / second)


def _fits(name, hdu):
    hdu.name = name
    return fits.HDUList([fits.PrimaryHDU(), hdu])


def _exposure_map():
    return fits.PrimaryHDU(np.ones((4, 5)), fits.Header({"CONTENT": "EPIC EXPOSURE MAP"}))


COLUMN = [fits.Column("TIME", "D", array=np.arange(9.0))]
FITS_FILES = {
    "an event list": lambda: _fits("EVENTS", fits.BinTableHDU.from_columns(COLUMN)),
    "an event list without events": lambda: _fits("EVENTS", fits.BinTableHDU.from_columns(COLUMN, nrows=0)),
    "a light curve": lambda: _fits("RATE", fits.BinTableHDU.from_columns(COLUMN)),
    "good times": lambda: _fits("STDGTI", fits.BinTableHDU.from_columns(COLUMN)),
    "an exposure map": lambda: fits.HDUList([_exposure_map()]),
    "an image": lambda: fits.HDUList([fits.PrimaryHDU(np.ones((4, 5)))]),
    "an image in an extension": lambda: _fits("IMAGE", fits.ImageHDU(np.ones((4, 5)))),
    "a packed image": lambda: _fits("IMAGE", fits.CompImageHDU(np.ones((40, 50), dtype="i2"))),
    "a table": lambda: _fits("", fits.BinTableHDU.from_columns(COLUMN)),
    "sources": lambda: _fits("SRCLIST", fits.BinTableHDU.from_columns(COLUMN)),
}
FITS_WRITERS = {
    "image": lambda path: write_fits(example_rate_map(), path, overwrite=True),
    "table": lambda path: write_table(TABLE, path, overwrite=True),
    "sources": lambda path: write_source_list(example_source_list(), path, overwrite=True),
}


@pytest.mark.parametrize("kind", FITS_WRITERS)
@pytest.mark.parametrize("ending", ["fits", "fits.gz"])
def test_of_fits_files_too_only_the_like_is_replaced(tmp_path, kind, ending):
    path = tmp_path / "old.fits"
    for name, made in FITS_FILES.items():
        made().writeto(tmp_path / f"new.{ending}", overwrite=True)
        (tmp_path / f"new.{ending}").rename(path)  # packed or not, whatever it is called
        before = path.read_bytes()
        if kind in name:
            FITS_WRITERS[kind](path)
            assert path.read_bytes() != before
            continue
        with pytest.raises(InvalidFile, match="exists and is a FITS .*, not a FITS .*, and so is not replaced"):
            FITS_WRITERS[kind](path)
        assert path.read_bytes() == before


def test_an_event_list_that_is_cut_short_is_one(tmp_path):
    path = tmp_path / "events.fits"
    FITS_FILES["an event list"]().writeto(path)
    path.write_bytes(path.read_bytes()[:-2880])
    with pytest.raises(InvalidFile, match="is a FITS event list, not a FITS image"):
        FITS_WRITERS["image"](path)


@pytest.mark.parametrize("plane", ["image", "exposure"])
def test_a_map_never_replaces_the_files_that_it_was_read_from(tmp_path, plane):
    made = example_rate_map()
    path = tmp_path / "map.fits"
    shutil.copy(getattr(made, plane).path, path)
    read = evolve(made, **{plane: evolve(getattr(made, plane), path=str(path))})
    (tmp_path / "link.fits").symlink_to(path)
    (tmp_path / "hard.fits").hardlink_to(path)
    before = path.read_bytes()
    for spelled in (path, tmp_path / "." / ".." / tmp_path.name / "map.fits", tmp_path / "link.fits",
                    tmp_path / "hard.fits"):  # fmt: skip
        for write in (
            lambda to: write_fits(read, to, overwrite=True),
            lambda to: write_fits(read.data > 0, to, like=read, overwrite=True),
        ):
            with pytest.raises(InvalidFile, match="is read from .* and so is never replaced: give another name"):
                write(spelled)
    assert path.read_bytes() == before


def test_a_packed_image_is_fits(tmp_path):
    path = tmp_path / "map.fits"
    path.write_bytes(gzip.compress(b"SIMPLE  =" + bytes(5000)))
    write_fits(example_rate_map(), path, overwrite=True)
    assert fits.getdata(path).ndim == 2


def test_what_is_ours_is_replaced_whatever_it_has_become(tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(b"\x00 damaged")
    with publish(path, own=True) as temporary:
        temporary.write_text("{}")
    assert path.read_text() == "{}"


NAMES = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'quoted", "A907", "-11:03:35", "+5", "-1e-3", ""]


def test_no_text_of_a_csv_file_is_a_formula(tmp_path):
    table = Table({"name": NAMES, "=a": np.arange(len(NAMES)), "x": -np.ones(len(NAMES))})
    path = write_table(table, tmp_path / "sample.csv")
    with path.open(newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head == ["name", "'=a", "x"]
    cells = [row[0] for row in rows]
    assert cells[:4] == ["'" + name for name in NAMES[:4]]
    assert cells[4:] == NAMES[4:], "no other text is changed"
    assert [row[2] for row in rows] == ["-1.0"] * len(NAMES), "nor is a number"
    assert [str(v) for v in read_table(path)["name"]][:-1] == NAMES[:-1]


@pytest.mark.parametrize("ending", ["ecsv", "fits", "vot", "parquet"])
def test_texts_of_other_tables_stay_as_they_are(tmp_path, ending):
    path = write_table(Table({"name": NAMES[:-1]}), tmp_path / f"sample.{ending}")
    assert [str(v) for v in read_table(path)["name"]] == NAMES[:-1]


def test_a_parquet_table_keeps_units_meta_and_missing_values(tmp_path):
    table = QTable({"rate": [1.5, np.nan] * u.ct / u.s, "name": ["A", "B"], "flags": [1, 2]}, meta={"CONFID": 0.9})
    found = QTable(read_table(write_table(table, tmp_path / "sample.parquet")))
    assert found.colnames == table.colnames
    assert found.meta == table.meta
    assert found["rate"].unit == table["rate"].unit
    assert np.array_equal(found["rate"].value, table["rate"].value, equal_nan=True)
    assert found["flags"].dtype == table["flags"].dtype


def test_parquet_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("xphotfn.io.table_files.find_spec", lambda _: None)
    path = tmp_path / "sample.parquet"
    with pytest.raises(InvalidFile, match=r'pip install "xphotfn\[parquet\]"'):
        write_table(TABLE, path)
    path.write_bytes(b"PAR1")
    with pytest.raises(InvalidFile, match=r'pip install "xphotfn\[parquet\]"'):
        read_table(path)


def test_a_large_table_as_text_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("xphotfn.io.table_files._MANY_ROWS", 2)
    with pytest.warns(LargeText, match=r"sample.ecsv: 2 rows as text .* \.fits or \.parquet"):
        write_table(TABLE, tmp_path / "sample.ecsv")
    write_table(TABLE, tmp_path / "sample.fits")  # warnings are errors here
    write_table(TABLE[:1], tmp_path / "one.ecsv")
