"""Source lists of the pipeline and of emldetect, made here by their published columns, as regions."""

import gzip

import numpy as np
import pytest
from astropy.table import Table

import xphotfn as xp
from xphotfn.errors import InvalidFile
from xphotfn.io.regions import read_region_file, read_regions
from xphotfn.io.source_lists import is_source_list
from xphotfn.records.observation import FoundFile, Observation

OBSMLI = {
    "SRC_NUM": np.array([1, 2, 3, 4]),
    "RA": [149.59, 149.70, np.nan, 149.65],
    "DEC": [-11.06, -11.07, -11.0, -11.2],
    "RADEC_ERR": np.array([0.5, 1.25, 1.0, np.nan], dtype=np.float32),
    "EP_EXTENT": np.array([20.0, 0.0, 0.0, 4.0], dtype=np.float32),
    "EP_8_FLUX": np.ones(4, dtype=np.float32),
}


def write(path, columns, units=()):
    table = Table(columns, meta={"EXTNAME": "SRCLIST"})
    for name, unit in dict(units).items():
        table[name].unit = unit
    table.write(path, format="fits")
    return path


def test_a_list_of_the_pipeline(tmp_path):
    found = read_regions(write(tmp_path / "P0404910601EPX000OBSMLI0000.FIT", OBSMLI))
    assert [(r.name, r.line, r.colour, r.shape, r.frame) for r in found] == [
        ("1", 1, "green", "circle", "fk5"), ("2", 2, "red", "circle", "fk5"), ("4", 4, "green", "circle", "fk5"),
    ]  # fmt: skip
    assert [(r.x, r.y) for r in found] == [(149.59, -11.06), (149.70, -11.07), (149.65, -11.2)]
    assert [r.size[0] * 3600 for r in found] == pytest.approx([60, 30, 30])
    assert [r.position_error_deg * 3600 for r in found] == pytest.approx([0.5, 1.25, 0])
    assert read_region_file(tmp_path / "P0404910601EPX000OBSMLI0000.FIT").notes == ()


def test_packed_lists_are_read_too(tmp_path):
    plain = write(tmp_path / "list.fits", OBSMLI)
    packed = tmp_path / "P0404910601EPX000OBSMLI0000.FTZ"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_regions(packed) == read_regions(plain)


def test_of_emldetect_only_the_rows_of_the_summary_count(tmp_path):
    columns = {
        "ML_ID_SRC": [1, 1, 1, 2], "ID_INST": [0, 1, 1, 0], "ID_BAND": [0, 0, 1, 0], "RA": [10.0] * 4, "DEC": [1.0] * 4,
        "RADEC_ERR": [1.0] * 4, "EXT": [5.0, 5.0, 5.0, 0.0], "IAUNAME": ["4XMM A", "", "", "4XMM B"],
    }  # fmt: skip
    found = read_regions(write(tmp_path / "emllist.fits", columns))
    assert [(r.name, r.colour, r.line) for r in found] == [("4XMM A", "green", 1), ("4XMM B", "red", 4)]
    assert found[0].size[0] * 3600 == pytest.approx(3 * 5 * 4)
    said = read_regions(write(tmp_path / "other.fits", columns, {"EXT": "arcsec"}))
    assert said[0].size[0] * 3600 == pytest.approx(30)


def test_other_tables_are_refused(tmp_path):
    path = write(tmp_path / "table.fits", {"RA": [1.0], "DEC": [2.0]})
    with pytest.raises(InvalidFile, match="no list of sources: no table has RA, DEC, RADEC_ERR"):
        read_regions(path)
    assert not is_source_list(["RA", "DEC", "RADEC_ERR"])
    assert is_source_list(["ra", "dec", "radec_err", "src_num"])


def test_the_sources_of_a_list_are_regions_of_an_observation(tmp_path):
    path = write(tmp_path / "P0404910601EPX000OBSMLI0000.FIT", OBSMLI)
    file = FoundFile(path=str(path), size=1, mtime_ns=1)
    observation = Observation(obs_id="0404910601", ra_deg=149.6, dec_deg=-11.1, regions=file)
    star = xp.match_observations(xp.point_source("star", 149.7, -11.07, radius="20 arcsec"), [observation]).members[0]
    assert (star.match.name, [r.name for r in star.interlopers]) == ("2", ["1", "4"])
    assert (
        xp.match_observations(xp.point_source("star", 149.7, -11.07, radius="20 arcsec"), [observation]).left_out == ()
    )


@pytest.mark.parametrize("frame", ["fk5", "icrs", "FK5", "J2000"])
def test_region_files_of_the_pipeline(tmp_path, frame):
    """DS9 files named ``*REGION*.ASC``: circles in degrees, sizes in arcsec."""
    path = tmp_path / "P0404910601EPX000REGION0000.ASC"
    path.write_text(
        '# Region file format: DS9 version 3.0\nglobal color=green font="helvetica 10 normal" select=1 edit=1\n'
        f'{frame}; circle(149.5900, -11.0600, 15.0") # text={{1}}\n'
        f'{frame}; ellipse(149.70,-11.07,20",10",30) # text={{2}}\n'
    )
    found = read_regions(path)
    assert [(r.name, r.shape, r.colour) for r in found] == [("1", "circle", "green"), ("2", "ellipse", "green")]
    assert found[0].size[0] * 3600 == pytest.approx(15)
