"""Rate sets of evselect: SAS's own light curves row by row and card by card, the rules on small lists, bad input."""

import numpy as np
import pytest
from astropy.io import fits

from xphotfn.commands import Command, evselect_rate, parse_xproc
from xphotfn.engines.native.evselect.evselect_task import evselect
from xphotfn.errors import CommandFailed, InvalidFile

OURS = {"XPROC0", "XPROC1", "XDAL0", "XDAL1", "CREATOR", "DATE", "HISTORY", "CONTINUE"}
LISTS = {
    "pps/0001730201/M1_rate.fits.gz": "P0001730201M1S002MIEVLI.FTZ",
    **{
        f"pps/0001730201/lcurve_M1/J173442-323451_lc_{width}_{kind}.lc.gz": f"M1_{of}.fits.gz"
        for width in ("100", "2.604")
        for kind, of in (("src", "clean"), ("bgd", "sourceless"))
    },
    "esas/0203930101/mos1S001-corlc.fits.gz": "mos1S001-corev.fits.gz",
}


@pytest.mark.parametrize("name", LISTS)
def test_curves_are_those_of_sas(name, folders_root, tmp_path):
    sas = folders_root / name
    folder = sas.parent.parent if "lcurve" in name else sas.parent
    (tmp_path / "events.fits").symlink_to(folder / LISTS[name])
    parameters = dict(parse_xproc(fits.getheader(sas)["XPROC0"]).parameters)
    parameters |= {"table": "events.fits", "rateset": "ours.fits", "withfilteredset": "no"}
    evselect(Command(task="evselect", parameters=parameters), tmp_path)
    with fits.open(sas) as theirs, fits.open(tmp_path / "ours.fits") as ours:
        for column in ("TIME", "RATE", "ERROR"):
            np.testing.assert_array_equal(ours[1].data[column], theirs[1].data[column])
        assert ours[1].columns.names == theirs[1].columns.names
        for number in (0, 1):
            _same_cards(ours[number].header, theirs[number].header)
        assert {h.name for h in ours if "GTI" in h.name} == {h.name for h in theirs if "GTI" in h.name}


def _same_cards(ours, theirs):
    """Compare all but who made the file, the data subspace where regions are in it, and card by card the rest."""
    left_out = {"SLCTEXPR", "EXPOSURE"}
    with_regions = "POS" in str(theirs.get("DSTYP7")) or "DET" in str(theirs.get("DSTYP7"))
    for key in theirs:
        if key in OURS | left_out or (with_regions and key.lstrip("0123456789").startswith("DS")):
            continue
        assert ours[key] == theirs[key], key
    if "EXPOSURE" in theirs:
        assert ours["EXPOSURE"] == pytest.approx(theirs["EXPOSURE"], rel=1e-6)


def test_a_curve_of_the_pipeline_list_has_all_cards_of_sas_in_their_order(folders_root, tmp_path):
    root = folders_root / "pps/0001730201"
    (tmp_path / "events.fits").symlink_to(root / "P0001730201M1S002MIEVLI.FTZ")
    text = "#XMMEA_EM && (PI>10000) && (PATTERN==0)"
    evselect(evselect_rate("events.fits", "ours.fits", expression=text, timebinsize=100), tmp_path)
    ours, theirs = fits.getheader(tmp_path / "ours.fits", 1), fits.getheader(root / "M1_rate.fits.gz", 1)
    assert list(ours) == list(theirs)
    assert {k: ours[k] for k in ours if k != "EXPOSURE"} == {k: theirs[k] for k in theirs if k != "EXPOSURE"}


def small_list(path, times, ccds=None, **cards):
    columns = [
        fits.Column(name="TIME", format="D", unit="s", array=np.asarray(times, dtype=float)),
        fits.Column(name="CCDNR", format="B", array=np.ones(len(times)) if ccds is None else ccds),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    hdu.header.update({"TSTART": 0.0, "TSTOP": 25.0} | cards)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def rates(folder, **parameters):
    given = {"table": "events.fits", "rateset": "rate.fits", "timebinsize": "10", "maketimecolumn": "yes"}
    evselect(Command(task="evselect", parameters=given | parameters), folder)
    with fits.open(folder / "rate.fits") as hdus:
        return hdus[1].columns.names, {n: hdus[1].data[n].tolist() for n in hdus[1].columns.names}, hdus[1].header


def test_bins_start_where_the_list_starts_and_the_last_is_divided_by_the_whole_width(tmp_path):
    small_list(tmp_path / "events.fits", [-0.1, 0.0, 9.999, 10.0, 21.0, 24.0, 25.0, 25.1, np.nan])
    _, values, header = rates(tmp_path, makeratecolumn="yes")
    assert values == {"RATE": [0.2, 0.1, 0.3], "ERROR": [2**0.5 / 10, 0.1, 3**0.5 / 10], "TIME": [5.0, 15.0, 25.0]}
    assert (header["TSTART"], header["TSTOP"], header["TIMEDEL"]) == (0.0, 25.0, 10.0)


def test_without_rates_and_times_there_are_counts_only(tmp_path):
    small_list(tmp_path / "events.fits", [1.0, 2.0, 12.0])
    names, values, header = rates(tmp_path, maketimecolumn="no")
    assert (names, values["COUNTS"], header["HDUCLAS3"]) == (["COUNTS"], [2, 1, 0], "COUNT")


def test_limits_of_ones_own(tmp_path):
    small_list(tmp_path / "events.fits", [1.0, 2.0, 12.0])
    _, values, _ = rates(tmp_path, timemin="2", timemax="22", withtimeranges="yes")
    assert values == {"COUNTS": [1, 1], "TIME": [7.0, 17.0]}


def test_an_image_a_list_and_a_curve_of_one_command(tmp_path):
    small_list(tmp_path / "events.fits", [1.0, 2.0, 12.0], [1, 2, 2])
    rates(tmp_path, expression="CCDNR == 2", filteredset="clean.fits", makeratecolumn="yes")
    assert fits.getdata(tmp_path / "clean.fits")["TIME"].tolist() == [2.0, 12.0]
    assert fits.getdata(tmp_path / "rate.fits")["RATE"].tolist() == [0.1, 0.1, 0.0]


def test_nothing_selected_is_said(tmp_path):
    small_list(tmp_path / "events.fits", [1.0])
    with pytest.warns(UserWarning, match="selects no events: all rates are 0"):
        assert rates(tmp_path, expression="CCDNR == 9")[1]["COUNTS"] == [0, 0, 0]


@pytest.mark.parametrize(
    ("parameters", "error", "problem"),
    [
        ({"timebinsize": "0"}, CommandFailed, "timebinsize must be above 0 s"),
        ({"timebinsize": "1e-9"}, CommandFailed, "are too many"),
        ({"timemin": "5", "timemax": "5"}, CommandFailed, "bins would run from 5.0 to 5.0 s"),
        ({"timecolumn": "T"}, InvalidFile, "no column 'T'"),
        ({"zcolumn": "TIME"}, CommandFailed, "weighted events"),
        ({"imageset": "rate.fits"}, CommandFailed, "the same file"),
    ],
)
def test_bad_commands(tmp_path, parameters, error, problem):
    small_list(tmp_path / "events.fits", [1.0])
    with pytest.raises(error, match=problem):
        rates(tmp_path, **parameters)
    assert not (tmp_path / "rate.fits").exists()


def test_a_list_that_does_not_say_when_it_starts(tmp_path):
    small_list(tmp_path / "events.fits", [1.0], TSTART="soon")
    with pytest.raises(InvalidFile, match="has no TSTART: give withtimeranges"):
        rates(tmp_path)
