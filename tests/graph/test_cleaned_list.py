"""Light curves of lists, lists without flares, and tables of good time as files."""

import json
import re
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.science.flare_cut import kept_by
from xphotfn.simulate.photons import flare_intervals
from xphotfn.testing import default_scene, simulate_observations

NATIVE = xp.native_engine()


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """The path of a raw list of 6 ks with flares, and which it is."""
    pointing = default_scene().pointings[0]
    camera = evolve(pointing.exposure("mos1"), ontime_s=6000.0, cleaned=False)
    scene = evolve(default_scene(), pointings=[evolve(pointing, exposures=[camera])])
    truth = simulate_observations(tmp_path_factory.mktemp("raw"), scene=scene, products="events")
    return Path(truth.folder) / "0999990101/0999990101_mos1_evts.fits", (scene.pointings[0], camera)


def cli(*words, status=0):
    found = CliRunner().invoke(main, [str(word) for word in words])
    assert found.exit_code == status, found.stderr
    return found


def test_curve_of_a_list(raw):
    path, which = raw
    curve = xp.light_curve(path)
    assert (curve.bin_s, curve.source) == (26.0, path.name)
    header = fits.getheader(path, "EVENTS")
    lives = [header[f"LIVETI{n:02d}"] for n in range(1, 8) if f"LIVETI{n:02d}" in header]
    assert curve.seconds == pytest.approx(np.mean(lives), rel=2e-3)
    flared = np.zeros(curve.time.size, dtype=bool)
    for start, stop in flare_intervals(*which):
        flared |= (curve.time > start) & (curve.time < stop)
    assert np.nanmean(curve.rate[flared]) > 1.5 * np.nanmean(curve.rate[~flared])
    wide = xp.light_curve(path, bin_s=2 * u.min, band=xp.energy_band(2 * u.keV, 10 * u.keV), selection="PATTERN == 0")
    assert wide.bin_s == 120.0
    assert "(PI in [2000:10000])" in wide.selection
    assert "PATTERN == 0" in wide.selection
    assert wide.counts.sum() < curve.counts.sum()


def test_sources_are_left_out_of_a_curve(raw):
    path, _ = raw
    assert xp.light_curve(path).counts.sum() < xp.light_curve(path, cut_sources=False).counts.sum()


@pytest.mark.parametrize("goal", ["optimum", "quiet"])
def test_clean_lists_hold_what_the_table_says(raw, tmp_path, goal):
    path, which = raw
    made = xp.clean_events(path, tmp_path, engine=NATIVE, goal=goal)
    good = xp.read_good_times(made.good_times)
    assert xp.read_flare_cut(made.good_times).good == good == made.cut.good
    events = fits.getdata(made.events, "EVENTS")
    everything = fits.getdata(path, "EVENTS")
    times = everything["TIME"]
    inside = np.any([(times >= a) & (times <= b) for a, b in good.intervals], axis=0)
    inside &= everything["PATTERN"] <= 12
    assert len(events) == np.sum(inside & ((everything["FLAG"] & 0x766BA000) == 0))
    lost = sum(b - a for a, b in flare_intervals(*which))
    assert made.cut.kept_s < made.cut.total_s - 0.5 * lost
    (observation,) = xp.find_observations(tmp_path)
    assert (observation.exposures[0].cut, observation.exposures[0].filtered) == (True, True)
    with pytest.raises(xp.InvalidFile, match="exists already"):
        xp.clean_events(path, tmp_path, engine=NATIVE, goal=goal)


def test_what_cannot_be_cleaned(raw, tmp_path):
    with pytest.raises(xp.InvalidRecord, match="goal must be"):
        xp.clean_events(raw[0], tmp_path, engine=NATIVE, goal="best")
    (tmp_path / "a.fits").write_text("no")
    with pytest.raises(xp.InvalidFile, match=r"a\.fits"):
        xp.clean_events(tmp_path / "a.fits", tmp_path, engine=NATIVE)
    with pytest.raises(xp.InvalidFile, match=r"a\.fits: cannot be a folder"):
        xp.clean_events(raw[0], tmp_path / "a.fits", engine=NATIVE)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.fits"]
    for bad in (0, np.nan, np.inf, "soon", 1 * u.m):
        with pytest.raises(xp.InvalidRecord, match="bin_s must be above 0 s"):
            xp.light_curve(raw[0], bin_s=bad)
    with pytest.raises(xp.InvalidRecord, match="bins of 1e-09 s"):
        xp.light_curve(raw[0], bin_s=1e-9)


def test_no_event_in_the_band_keeps_all_and_says_so(raw, tmp_path):
    from xphotfn.commands import flarecut
    from xphotfn.engines.native.flarecut import flarecut as task

    (tmp_path / "raw.fits").symlink_to(raw[0])
    with pytest.warns(UserWarning, match="no event passes|kept") as told:
        task(flarecut("raw.fits", "g.fits", expression="PI > 30000", goal="quiet"), tmp_path)
    assert any("no event passes" in str(w.message) for w in told)
    assert xp.read_flare_cut(tmp_path / "g.fits").kept == 1.0


def test_a_list_without_frames_takes_its_good_time_as_live(raw, tmp_path):
    with fits.open(raw[0]) as hdus:
        kept = fits.HDUList([h for h in hdus if not h.name.startswith("EXPOSU")])
        kept.writeto(tmp_path / "raw.fits")
    with pytest.warns(UserWarning, match="no frames .* its good time counts as live"):
        curve = xp.light_curve(tmp_path / "raw.fits")
    assert curve.seconds == pytest.approx(fits.getheader(raw[0], "EVENTS")["ONTIME"], rel=1e-3)
    made = cli("clean", tmp_path / "raw.fits", "-o", tmp_path / "clean")
    assert "note: " in made.stderr
    assert "no frames (EXPOSUnn) in the list: its good time counts as live" in made.stderr


def test_a_ccd_without_frames_is_named(raw, tmp_path):
    with fits.open(raw[0]) as hdus:
        fits.HDUList([h for h in hdus if h.name != "EXPOSU03"]).writeto(tmp_path / "raw.fits")
    with pytest.warns(UserWarning, match=r"no frames \(EXPOSUnn\) of CCD 3 in the list: the mean of the others"):
        curve = xp.light_curve(tmp_path / "raw.fits")
    assert curve.seconds == pytest.approx(xp.light_curve(raw[0]).seconds, rel=1e-3)


def test_time_that_the_selection_cuts_is_a_gap(raw, tmp_path):
    """It had no events and all its live time: a list without a word looked quiet there."""
    whole = xp.light_curve(raw[0], cut_sources=False)
    start = whole.start_s + 10 * whole.bin_s
    stop = start + 50 * whole.bin_s
    good = table(tmp_path / "good.fits", [(start, stop)])
    for selection in (f"gti({good},TIME)", f"TIME in [{start}:{stop}]", f"TIME >= {start} && TIME <= {stop}"):
        curve = xp.light_curve(raw[0], selection=selection, cut_sources=False)
        inside = (curve.time > start) & (curve.time < stop)
        assert not curve.counts[~inside].any()
        assert curve.seconds == pytest.approx(whole.live_s[inside].sum(), abs=2.6)
        assert np.isnan(curve.rate[70:]).all()
        np.testing.assert_array_equal(curve.counts[11:59], whole.counts[11:59])
        np.testing.assert_allclose(curve.live_s[11:59], whole.live_s[11:59], rtol=1e-9)
    both = xp.light_curve(raw[0], selection=f"gti({good},TIME) || PI > 2000")
    assert both.seconds == pytest.approx(whole.seconds)


def test_a_table_of_another_zero_cuts_nothing_unsaid(raw, tmp_path):
    start = fits.getheader(raw[0], "EVENTS")["TSTART"]
    late = table(tmp_path / "late.fits", [(start, start + 2000)], TIMEZERO=5.0)
    with pytest.raises(xp.InvalidFile, match=r"late\.fits: its times count from MJD 50814.0 with TIMEZERO 5.0"):
        xp.light_curve(raw[0], selection=f"gti({late},TIME)")
    other = table(tmp_path / "other.fits", [(0, 2000)])
    with pytest.warns(UserWarning, match="no event passes"):
        assert xp.light_curve(raw[0], selection=f"gti({other},TIME)").seconds == 0


def table(path, rows, **cards):
    start, stop = np.array(rows, dtype=float).reshape(-1, 2).T
    made = [fits.Column(name=n, format="D", array=v) for n, v in (("START", start), ("STOP", stop))]
    hdu = fits.BinTableHDU.from_columns(made, name="STDGTI")
    hdu.header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    return path


def test_tables_of_good_time(tmp_path):
    good = xp.read_good_times(table(tmp_path / "a.fits", [(20, 30), (0, 10), (5, 12), (40, 40)], TIMEZERO=0))
    assert (good.intervals, good.origin) == (((0.0, 12.0), (20.0, 30.0)), "a.fits")
    with pytest.raises(xp.InvalidFile, match="no FLGOAL"):
        xp.read_flare_cut(tmp_path / "a.fits")


@pytest.mark.parametrize(
    ("rows", "cards", "problem"),
    [
        ([(0, np.nan)], {}, "row 1 of 1 bad ones"),
        ([(0, 1), (2, np.inf)], {}, "row 2 of 1 bad ones"),
        ([(5, 4)], {}, "runs from 5.0 to 4.0"),
        ([(0, 1)], {"TIMEZERO": 5.0}, "TIMEZERO 5.0"),
        ([(0, 1)], {"MJDREF": 51544.0}, "count from MJD 51544.0"),
    ],
)
def test_tables_of_good_time_that_are_refused(tmp_path, rows, cards, problem):
    with pytest.raises(xp.InvalidFile, match=problem):
        xp.read_good_times(table(tmp_path / "a.fits", rows, **cards))


def test_no_table_of_good_time(raw):
    with pytest.raises(xp.InvalidFile, match="has no table NONE but"):
        xp.read_good_times(raw[0], block="NONE")


def test_command_line(raw, tmp_path):
    path, _ = raw
    line = cli("clean", path, "--goal", "quiet", "-o", tmp_path / "one").stdout
    assert len(list((tmp_path / "one").glob("*_quiet_curve.png"))) == 1
    assert re.match(r"0999990101 mos1 S\d{3}: kept \d\.\d of \d\.\d ks \(\d+ %\), quiet ", line)
    several = json.loads(cli("clean", path.parent, "-o", tmp_path / "all", "--json", "--quiet").stdout)
    assert [row["goal"] for row in several] == ["optimum"]
    again = cli("clean", tmp_path / "all", "-o", tmp_path / "more")
    assert (again.stdout, "left alone, its times were cut already" in again.stderr) == ("", True)
    curve = cli("lightcurve", path, "-o", tmp_path / "curve.csv").stdout
    assert curve.splitlines()[1].startswith("  optimum: kept")
    assert (tmp_path / "curve.csv").read_text().startswith("time,rate,error,counts,live\n")
    gti = next((tmp_path / "one").glob("*_gti.fits"))
    cut = cli("image", path, "-o", tmp_path / "cut.fits", "--flares", gti)
    assert "given: kept" in cut.stderr
    clean = next((tmp_path / "one").glob("*_clean_evts.fits"))
    cli("image", clean, "-o", tmp_path / "of_clean.fits")
    for name, goal in (("cut", "given"), ("of_clean", "quiet")):
        header = fits.getheader(tmp_path / f"{name}.fits")
        assert (header["FLGOAL"], header["FLKEPT"] < 0.95 * header["FLTOTAL"]) == (goal, True)
    whole = cli("image", path, "-o", tmp_path / "all.fits", "--flares", "keep")
    assert "a raw event list is used with its flares" in whole.stderr
    assert fits.getdata(tmp_path / "cut.fits").sum() < 0.9 * fits.getdata(tmp_path / "all.fits").sum()
    wrong = cli("image", path, "-o", tmp_path / "no.fits", "--flares", "best", status=1)
    assert "flares are cut by 'auto'" in wrong.stderr


def test_in_out_of_the_raw_list(folders_root, tmp_path):
    """MOS1 of 0001730201: 3.89 as it is and 1.99 after the usual recipe, as others measured."""
    root = folders_root / "pps/0001730201"
    path = root / "P0001730201M1S002MIEVLI.FTZ"
    before, usual = xp.in_out(path), xp.in_out(path, good=xp.read_good_times(root / "M1_gti.fits"))
    assert before.ratio == pytest.approx(3.89, abs=3 * before.error)
    assert usual.ratio == pytest.approx(1.99, abs=3 * usual.error)
    made = xp.clean_events(path, tmp_path, engine=NATIVE, goal="quiet")
    assert 1.05 <= made.contamination.ratio <= 1.35
    assert before.category == usual.category == "extremely contaminated"
    with pytest.raises(xp.NoData, match="filtered to the field of view"):
        xp.in_out(made.events)


def test_what_the_usual_recipe_keeps_of_a_real_list(folders_root):
    """SAS's own table for MOS1 of 0001730201: 21.3 ks of good time that hold 11,834 s of live time, and flares."""
    root = folders_root / "pps/0001730201"
    curve, good = xp.light_curve(root / "P0001730201M1S002MIEVLI.FTZ"), xp.read_good_times(root / "M1_gti.fits")
    cut = kept_by(curve, good, "expression")
    assert (good.seconds, cut.kept_s) == (21300, pytest.approx(11834, rel=1e-3))
    assert (cut.total_s, cut.good) == (curve.seconds, good)
    assert 0.05 < cut.residual < 0.71
    whole = kept_by(curve, xp.good_times([(curve.start_s - 1, curve.time[-1] + 100)]))
    assert (whole.kept_s, whole.kept) == (pytest.approx(curve.seconds), pytest.approx(1.0))
    assert whole.residual == pytest.approx(curve.counts.sum() / curve.seconds / whole.quiet - 1)


@pytest.mark.parametrize(
    ("cards", "problem"),
    [
        ({"INSTRUME": "EPN"}, "known for MOS only"),
        ({"SUBMODE": "PrimePartialW2"}, "reads no corners"),
        ({}, "no event"),
    ],
)
def test_no_in_out(raw, tmp_path, cards, problem):
    with fits.open(raw[0]) as hdus:
        for hdu in hdus[:2]:
            hdu.header.update(cards)
        hdus["EVENTS"].data["FLAG"][:] |= 0x10 if cards else 0x20000
        hdus.writeto(tmp_path / "list.fits")
    with pytest.raises(xp.NoData, match=f"no IN/OUT: .*{problem}"):
        xp.in_out(tmp_path / "list.fits")


def test_scripts_run_tasks_of_our_own_with_our_own_program(raw):
    field = xp.match_observations(
        xp.point_source("a", 52.3, -33.7, radius=30 * u.arcsec), xp.find_observations(raw[0].parent)
    )
    script = xp.to_shell(xp.plan_images(field, xp.energy_band(0.5 * u.keV, 2 * u.keV)))
    assert "xphotfn task flarecut table=" in script
    assert "\nevselect table=" in script


@pytest.mark.parametrize("stop", [np.nan, -1.0])
def test_good_time_of_a_list_that_is_damaged(raw, tmp_path, stop):
    """A row that is no interval was left out: its CCD then gave events and no time, and the rates came out too high."""
    with fits.open(raw[0]) as hdus:
        first = next(hdu for hdu in hdus if hdu.name.startswith("STDGTI"))
        first.data["STOP"][0] = stop
        hdus.writeto(tmp_path / "raw.fits")
    for use in (xp.light_curve, lambda path: xp.clean_events(path, tmp_path / "out", engine=NATIVE)):
        with pytest.raises(xp.InvalidFile, match=r"row 1 of its good times STDGTI\d\d runs from"):
            use(tmp_path / "raw.fits")


@pytest.mark.parametrize(("column", "value"), [("FRACEXP", np.nan), ("TIMEDEL", -2.6)])
def test_frames_without_live_time(raw, tmp_path, column, value):
    """They were left out while their events stayed, so that rates came out 11 % too high."""
    with fits.open(raw[0]) as hdus:
        hdus["EXPOSU02"].data[column][100:200] = value
        hdus.writeto(tmp_path / "raw.fits")
    for use in (xp.light_curve, lambda path: xp.clean_events(path, tmp_path / "out", engine=NATIVE)):
        with pytest.raises(xp.InvalidFile, match=r"raw\.fits: EXPOSU02 has 100 of \d+ frames without live time"):
            use(tmp_path / "raw.fits")


def test_a_start_that_does_not_fit_the_frames(raw, tmp_path):
    with fits.open(raw[0]) as hdus:
        hdus["EVENTS"].header["TSTART"] = 0.0
        hdus.writeto(tmp_path / "raw.fits")
    with pytest.raises(xp.InvalidFile, match=r"raw\.fits: its TSTART 0 and TSTOP .* days apart"):
        xp.light_curve(tmp_path / "raw.fits", bin_s=1000.0)
    with pytest.raises(xp.InvalidRecord, match=r"bins of 0\.001 s .* makes 1 to 2000000"):
        xp.light_curve(raw[0], bin_s=1e-3)


def test_curve_of_a_list_that_several_tables_cut(folders_root):
    """Live time that is nothing but rounding came out below 0."""
    curve = xp.light_curve(folders_root / "pps/0001730201/M1_clean.fits.gz")
    assert not np.any((curve.live_s > 0) & (curve.live_s < 1e-9))
    assert curve.seconds > 0
