"""The native calibration index."""

import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.commands import cifbuild as cifbuild_command
from xphotfn.engines.native.cifbuild import cifbuild

COMMAND = cifbuild_command("0404910601_ccf.cif", observation_date="2006-05-27T10:58:40")


def test_index_names_the_packaged_calibration(tmp_path):
    cifbuild(COMMAND, tmp_path)
    with fits.open(tmp_path / "0404910601_ccf.cif") as hdus:
        rows = hdus["CALINDEX"].data
        assert list(rows["SCOPE"]) == ["XRT1", "XRT2", "XRT3"]
        assert set(rows["TYPEID"]) == {"XAREAEF"}
        assert hdus[1].header["OBSDATE"] == "2006-05-27T10:58:40"
        assert hdus[1].header["CALSRC"] == "packaged"
        assert "DATE" not in hdus[0].header


def test_two_indexes_are_byte_identical(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        cifbuild(COMMAND, tmp_path / name)
    files = [tmp_path / n / "0404910601_ccf.cif" for n in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_folder_of_ccf_files_gives_the_newest_issues(tmp_path):
    ccf = tmp_path / "ccf"
    ccf.mkdir()
    for name in ("XRT3_XAREAEF_0012.CCF", "XRT3_XAREAEF_0014.CCF", "EPN_LINCOORD_0009.CCF", "readme.txt"):
        (ccf / name).write_text("")
    cifbuild(COMMAND, tmp_path, ccf=str(ccf))
    with fits.open(tmp_path / "0404910601_ccf.cif") as hdus:
        assert list(hdus["CALINDEX"].data["FNAME"]) == ["EPN_LINCOORD_0009.CCF", "XRT3_XAREAEF_0014.CCF"]


def test_refusals(tmp_path):
    with pytest.raises(xp.InvalidFile, match="is no folder"):
        cifbuild(COMMAND, tmp_path, ccf=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(xp.InvalidFile, match="holds no CCF file"):
        cifbuild(COMMAND, tmp_path, ccf=str(tmp_path / "empty"))
    (tmp_path / "0404910601_ccf.cif").write_text("mine")
    with pytest.raises(xp.InvalidFile, match="exists already"):
        cifbuild(COMMAND, tmp_path)
