"""tabgtigen and gtibuild: SAS's own tables of good time to the bit, the rules on small tables, bad input."""

import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from xphotfn.commands import (
    Command,
    evselect_list,
    evselect_rate,
    gtibuild as gtibuild_command,
    parse_xproc,
    tabgtigen as tabgtigen_command,
)
from xphotfn.engines.native.evselect.evselect_task import evselect
from xphotfn.engines.native.tabgtigen import gtibuild, tabgtigen
from xphotfn.errors import CommandFailed, ExpressionError, InvalidFile

SAS = {
    "pps/0001730201/M1_gti.fits": "M1_rate.fits.gz",
    "pps/0001730201/PN_gti.fits.gz": "PN_rate.fits.gz",
    "esas/0203930101/P0203930101EMX000FBKGTI0000.FIT.gz": "P0203930101EMX000FBKTSR0000.FIT.gz",
}
OURS = {"XPROC0", "XDAL0", "CREATOR", "DATE", "HISTORY"}


@pytest.mark.parametrize("name", SAS)
def test_intervals_and_cards_are_those_of_sas(name, folders_root, tmp_path):
    sas = folders_root / name
    (tmp_path / "rate.fits").symlink_to(sas.parent / SAS[name])
    parameters = dict(parse_xproc(fits.getheader(sas)["XPROC0"]).parameters)
    parameters |= {"table": "rate.fits", "gtiset": "gti.fits"}
    tabgtigen(Command(task="tabgtigen", parameters=parameters), tmp_path)
    with fits.open(sas) as theirs, fits.open(tmp_path / "gti.fits") as ours:
        for column in ("START", "STOP"):
            np.testing.assert_array_equal(ours[1].data[column], theirs[1].data[column])
        assert dict(ours[1].header) == dict(theirs[1].header)
        assert list(ours[1].header) == list(theirs[1].header)
        assert [k for k in ours[0].header if k not in OURS] == [k for k in theirs[0].header if k not in OURS]


def test_a_text_of_the_flare_filter_becomes_its_table(folders_root, tmp_path):
    with fits.open(folders_root / "esas/0203930101/mos1S001-gti.fits.gz") as theirs:
        rows = theirs[1].data.tolist()
        (tmp_path / "gti.txt").write_text("".join(f"{a!r} {b!r} +\n" for a, b in rows))
        gtibuild(gtibuild_command("gti.txt", "gti.fits"), tmp_path)
        with fits.open(tmp_path / "gti.fits") as ours:
            assert ours[1].data.tolist() == rows
            assert dict(ours[1].header) == dict(theirs[1].header)


def table(path, rate, timedel=10.0, time=None):
    time = 5.0 + 10.0 * np.arange(len(rate)) if time is None else time
    columns = [fits.Column(name="TIME", format="D", array=time), fits.Column(name="RATE", format="E", array=rate)]
    hdu = fits.BinTableHDU.from_columns(columns, name="RATE")
    if timedel:
        hdu.header["TIMEDEL"] = timedel
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


def intervals(folder, expression="RATE<=1", **parameters):
    (folder / "gti.fits").unlink(missing_ok=True)
    given = {"table": "rate.fits", "gtiset": "gti.fits", "expression": expression} | parameters
    tabgtigen(Command(task="tabgtigen", parameters=given), folder)
    with fits.open(folder / "gti.fits") as hdus:
        return [tuple(row) for row in hdus[1].data.tolist()], hdus[1].header


def test_rows_without_a_rate_are_not_good(tmp_path):
    table(tmp_path / "rate.fits", [0, 1, np.nan, 2, 0.5])
    assert intervals(tmp_path)[0] == [(0.0, 20.0), (40.0, 50.0)]
    for expression in ("!(RATE>1)", "RATE!=2"):  # NaN > 1 is false, and NaN is not 2
        with pytest.warns(UserWarning, match="calls 1 rows good that hold no number"):
            assert intervals(tmp_path, expression)[0] == [(0.0, 30.0), (40.0, 50.0)]


def test_fractions(tmp_path):
    table(tmp_path / "rate.fits", [0, 0, 9, 0])
    assert intervals(tmp_path, prefraction="0", postfraction="1")[0] == [(5.0, 25.0), (35.0, 45.0)]
    assert intervals(tmp_path, prefraction="0.2", postfraction="0.2")[0] == [(3.0, 7.0), (13.0, 17.0), (33.0, 37.0)]
    assert intervals(tmp_path, prefraction="-0.2", postfraction="0.5")[0] == [(7.0, 10.0), (17.0, 20.0), (37.0, 40.0)]


def test_short_intervals_are_dropped_and_summed(tmp_path):
    table(tmp_path / "rate.fits", [0, 0, 9, 0, 9, 0])
    found, header = intervals(tmp_path, mingtisize="15")
    assert found == [(0.0, 20.0)]
    assert (header["ONTIME"], header["SUMSHORT"], header["MINGTISZ"]) == (20.0, 20.0, 15.0)


def test_rows_without_a_common_length_reach_half_way_to_their_neighbours(tmp_path):
    table(tmp_path / "rate.fits", [0, 0, 9], timedel=None, time=[0.0, 4.0, 10.0])
    assert intervals(tmp_path)[0] == [(-2.0, 7.0)]


def test_no_good_row_is_said(tmp_path):
    table(tmp_path / "rate.fits", [9, 9])
    with pytest.warns(UserWarning, match="leaves no good time"):
        assert intervals(tmp_path)[0] == []


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        ({"prefraction": "1.5"}, CommandFailed, "prefraction must be -1 to 1"),
        ({"timecolumn": "T"}, InvalidFile, "no column 'T'"),
        ({"table": "rate.fits:GTI"}, InvalidFile, "no table 'GTI' in it, but RATE"),
        ({"table": "none.fits"}, InvalidFile, "no such file"),
        ({"expression": "RATES<1"}, ExpressionError, "did you mean RATE"),
    ],
)
def test_bad_commands(tmp_path, change, error, problem):
    table(tmp_path / "rate.fits", [0, 1])
    with pytest.raises(error, match=problem):
        intervals(tmp_path, **change)
    assert not (tmp_path / "gti.fits").exists()


@pytest.mark.parametrize("time", [[0.0, -1.0], [0.0, np.nan], [0.0, np.inf]])
def test_times_out_of_order(tmp_path, time):
    table(tmp_path / "rate.fits", [0, 1], time=time)
    with pytest.raises(InvalidFile, match="rising, finite times"):
        intervals(tmp_path)


def built(folder, text):
    (folder / "in.txt").write_text(text)
    (folder / "out.fits").unlink(missing_ok=True)
    gtibuild(gtibuild_command("in.txt", "out.fits"), folder)
    return [tuple(row) for row in fits.getdata(folder / "out.fits").tolist()]


def test_text_of_good_and_bad_intervals(tmp_path):
    assert built(tmp_path, "# good\n0 100 +\n\n20 30 -  ! a flare\n90, 120\n") == [(0.0, 20.0), (30.0, 120.0)]
    assert built(tmp_path, "50 0\n80 0 -\n") == [(50.0, 80.0)]
    assert built(tmp_path, "50 60 +g 5 10\n54 56 -b 0.5 0.5") == [(45.0, 54.5), (55.5, 70.0)]


def test_times_relative_to_a_date(tmp_path):
    """1999-01-01 is a year and a leap second after the reference: 31,536,000 s + 64.184 s (TT - UTC)."""
    ((start, stop),) = built(tmp_path, "timeref 1999-01-01T00:00:00\n10 20")
    assert (start, stop) == pytest.approx((31536074.184, 31536084.184), abs=1e-6)


@pytest.mark.parametrize("text", ["1", "a b", "1 2 x", "1 2 +g 1", "5 4", "nan 4", "timeref never"])
def test_bad_lines_are_named(tmp_path, text):
    with pytest.raises(InvalidFile, match="in.txt: line 2"):
        built(tmp_path, f"0 1\n{text}\n")


def test_good_time_without_an_end(tmp_path):
    with pytest.raises(InvalidFile, match="has no end"):
        built(tmp_path, "0 0\n")


def test_the_task_runs_from_the_command_line(tmp_path):
    table(tmp_path / "a curve.fits", [0, 9, 0])
    words = ["tabgtigen", f"table={tmp_path / 'a curve.fits'}", f"gtiset={tmp_path / 'g.fits'}", "expression=RATE<1"]
    subprocess.run([sys.executable, "-m", "xphotfn", "task", *words], check=True, capture_output=True, timeout=60)
    assert np.array(fits.getdata(tmp_path / "g.fits").tolist()).tolist() == [[0.0, 10.0], [20.0, 30.0]]


def test_builders():
    assert tabgtigen_command("r.fits:RATE", "g.fits", expression="RATE<=1 && gti(a.fits,TIME)", mingtisize=78).argv == (
        "tabgtigen", "table=r.fits:RATE", "gtiset=g.fits", "expression=RATE<=1 && gti(a.fits,TIME)", "mingtisize=78",
    )  # fmt: skip
    assert tabgtigen_command("r.fits", "g.fits", expression="gti(a.fits,TIME)").inputs == ("r.fits", "a.fits")


def test_raw_list_to_curve_to_good_time_to_clean_list_and_image_as_sas(folders_root, tmp_path):
    """The user's own chain of 0001730201 M1, by our tasks alone, from the pipeline's list."""
    root = folders_root / "pps/0001730201"
    (tmp_path / "raw.fits").symlink_to(root / "P0001730201M1S002MIEVLI.FTZ")
    text = "#XMMEA_EM && (PI>10000) && (PATTERN==0)"
    evselect(evselect_rate("raw.fits", "rate.fits", expression=text, timebinsize=100), tmp_path)
    tabgtigen(tabgtigen_command("rate.fits", "gti.fits", expression="RATE<=0.4"), tmp_path)
    clean = "(FLAG & 0x766ba000)==0 && PATTERN<=12 && PI in [500:10000] && gti(gti.fits,TIME)"
    evselect(evselect_list("raw.fits", "clean.fits", expression=clean), tmp_path)
    parameters = dict(parse_xproc(fits.getheader(root / "M1_image.fits")["XPROC0"]).parameters)
    parameters |= {"table": "clean.fits", "imageset": "image.fits"}
    evselect(Command(task="evselect", parameters=parameters), tmp_path)
    with fits.open(root / "M1_clean.fits.gz") as theirs, fits.open(tmp_path / "clean.fits") as ours:
        for name in theirs["EVENTS"].columns.names:
            np.testing.assert_array_equal(ours["EVENTS"].data[name], theirs["EVENTS"].data[name])
        for ccd in range(1, 8):
            for key in (f"LIVETI{ccd:02d}", f"ONTIME{ccd:02d}"):
                assert ours["EVENTS"].header[key] == pytest.approx(theirs["EVENTS"].header[key], abs=1e-9)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "image.fits"), fits.getdata(root / "M1_image.fits"))
