"""Native exposure maps of small made-up exposures with a known answer, and what is refused."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from attrs import evolve
from hypothesis import given, settings, strategies as st

from xphotfn.commands.builders import eexpmap as built
from xphotfn.engines.native.eexpmap.eexpmap_task import eexpmap, eexpmap_many
from xphotfn.epic.camera.detector import camera_named, exposure_model, field_of_view
from xphotfn.epic.camera.response import packaged_table
from xphotfn.epic.livetime import Frames, seconds_per_piece
from xphotfn.errors import CommandFailed, InvalidFile, InvalidRecord
from xphotfn.io.write import grid_cards
from xphotfn.records.grid import PixelGrid
from xphotfn.science.vignetting import vignetting

START = 1000.0
GRID = PixelGrid.from_sky_range(30.0, 20.0, bin_size=400)
CHIPS = (1, 2, 7)


def table(name, columns, **cards):
    kinds = {"f": "D", "i": "J"}
    made = [
        fits.Column(name=n, format=kinds[np.asarray(v).dtype.kind], array=np.asarray(v)) for n, v in columns.items()
    ]
    hdu = fits.BinTableHDU.from_columns(made, name=name)
    hdu.header.update(cards)
    return hdu


def primary(**cards):
    hdu = fits.PrimaryHDU()
    hdu.header.update(
        {
            "TELESCOP": "XMM", "INSTRUME": "EMOS1", "OBS_ID": "0123456789", "EXP_ID": "0123456789001",
            "DATAMODE": "IMAGING", "SUBMODE": "PrimeFullWindow", "FILTER": "Thin1", "REFXCRVL": 30.0, "REFYCRVL": 20.0,
            "RA_PNT": 30.0, "DEC_PNT": 20.0, "PA_PNT": 50.0, "EXPOSURE": 100.0, "TSTART": START,
        }
    )  # fmt: skip
    for key, value in cards.items():
        if value is None:
            hdu.header.remove(key, ignore_missing=True)
        else:
            hdu.header[key] = value
    return hdu


def gti(name, intervals):
    low, high = np.array(intervals, dtype=float).reshape(-1, 2).T
    return table(name, {"START": low, "STOP": high})


def image(path, *, intervals=((START, START + 100),), chips=CHIPS, flag="0", grid=GRID, det=False, **cards):
    """An image with its data subspace; no GTI where ``intervals`` is None."""
    hdu = primary(**cards)
    hdu.data = np.zeros(grid.shape, dtype=np.int32)
    for n, number in enumerate(chips):
        prefix = "" if n == 0 else str(n + 1)
        hdu.header[f"{prefix}DSVAL1"] = str(number)
        if intervals is not None:
            hdu.header[f"{prefix}DSREF2"] = f":GTI{n:03d}06"
    if chips:
        hdu.header["DSTYP1"] = "CCDNR"
    if chips and intervals is not None:
        hdu.header["DSTYP2"], hdu.header["DSVAL2"] = "TIME", "TABLE"
    if flag and chips:
        n = 3 if intervals is not None else 2
        hdu.header[f"DSTYP{n}"], hdu.header[f"DSVAL{n}"] = "FLAG", flag
        if flag.startswith("b"):
            hdu.header[f"DSFORM{n}"] = "X"
    if det:
        for axis in (1, 2):
            hdu.header[f"CTYPE{axis}"] = f"DET{'XY'[axis - 1]}"
            hdu.header[f"CRPIX{axis}"], hdu.header[f"CRVAL{axis}"], hdu.header[f"CDELT{axis}"] = 1, -17800.0, 400.0
    else:
        hdu.header.extend(grid_cards(grid))
    blocks = [gti(f"GTI{n:03d}06", intervals) for n in range(len(chips))] if intervals is not None else []
    fits.HDUList([hdu, *blocks]).writeto(path)


def events(path, *, chips=CHIPS, exposures=True, bad=True, standard=(), fraction=0.98, rows=0, **cards):
    rng = np.random.default_rng(1)
    names = ("TIME", "X", "Y", "DETX", "DETY")
    blocks = [table("EVENTS", {n: rng.uniform(0, 1, rows) for n in names})]
    for n in chips:
        centres = START - 50 + np.arange(100) * 2.0 + 1.0
        if exposures:
            frames = {"TIME": centres, "TIMEDEL": np.full(100, 2.0), "FRACEXP": np.full(100, fraction)}
            blocks.append(table(f"EXPOSU{n:02d}", frames, FRMTIME=2000.0))
        if bad:
            rows_ = {"RAWX": [300, 100], "RAWY": [200, 1], "TYPE": [1, 3], "YEXTENT": [1, 600], "BADFLAG": [1, 2]}
            blocks.append(table(f"BADPIX{n:02d}", rows_))
    blocks += [gti(f"STDGTI{n:02d}", standard) for n in chips if standard]
    fits.HDUList([primary(**cards), *blocks]).writeto(path)


def attitude(path, *, time=None, ra=30.0, dec=20.0, pa=50.0, **cards):
    times = np.arange(START - 100, START + 300) if time is None else np.asarray(time, dtype=float)
    values = {"TIME": times}
    for name, value in (("AHFRA", ra), ("AHFDEC", dec), ("AHFPA", pa)):
        values[name] = np.broadcast_to(np.asarray(value, dtype=float), times.shape).copy()
    fits.HDUList([primary(**cards), table("ATTHK", values)]).writeto(path)


def command(bands=((500, 2000),), **options):
    maps = tuple(f"map{n}.fits" for n in range(len(bands)))
    made = built("img.fits", "att.fits", "evts.fits", maps, band=bands)
    given = dict(made.parameters) | {k: str(v) for k, v in options.items()}
    return evolve(made, parameters=tuple((k, v) for k, v in given.items() if v != "absent"))


def make(folder, made=None, **options):
    """Make maps in a folder and return the first, float64, and the warnings."""
    made = command() if made is None else made
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        eexpmap(made, folder, **options)
    assert all(issubclass(w.category, UserWarning) for w in caught), [str(w.message) for w in caught]
    return fits.getdata(folder / made.outputs[0]).astype(float), [str(w.message) for w in caught]


@pytest.fixture
def folder(tmp_path):
    """A folder for one exposure; ``folder(...)`` writes its files."""
    count = 0

    def write(*, img=None, evts=None, att=None):
        nonlocal count
        count += 1
        place = tmp_path / f"exposure{count}"
        place.mkdir()
        image(place / "img.fits", **(img or {}))
        events(place / "evts.fits", **(evts or {}))
        attitude(place / "att.fits", **(att or {}))
        return place

    return write


def direct(pixels, attitudes):
    """Sum a map by hand in some pixels ``(x, y)``: astropy's projection, CCD 1 without bad pixels, no event list."""
    mos1 = camera_named("EMOS1", "")
    chip, found = mos1.chips[0], []
    sky = tangent(GRID.ra_deg, GRID.dec_deg, GRID.cdelt1_deg, (GRID.crpix1, GRID.crpix2))
    offsets = (np.arange(4) + 0.5) / 4 - 0.5
    for x, y in pixels:
        total = 0.0
        ox, oy = (v.ravel() for v in np.meshgrid(offsets, offsets))
        ra, dec = sky.all_pix2world(x + ox, y + oy, 0)
        for (ra0, dec0, pa0), seconds in attitudes:
            u, v = tangent(ra0, dec0, -0.05 / 3600, (0, 0)).all_world2pix(ra, dec, 0)
            u, v = u + 1, v + 1
            r = np.deg2rad(pa0 + mos1.roll_deg)
            det_x = np.cos(r) * u + np.sin(r) * v + mos1.pointing[0]
            det_y = np.sin(r) * u - np.cos(r) * v + mos1.pointing[1]
            raw_x = np.floor((det_x - chip.x0) / chip.xx + 0.5)
            raw_y = np.floor((det_y - chip.y0) / chip.yy + 0.5)
            block_x, block_y = (chip.xx * 20 * (raw_x // 20) + chip.x0), (chip.yy * 20 * (raw_y // 20) + chip.y0)
            theta = np.hypot(block_x - 99, block_y + 209) * 0.05 / 60
            slope = np.interp(1250, *model_of_the_gratings())
            value = vignetting(packaged_table(), 1250, theta) * (1 + slope * (block_y + 209) * 0.05 / 60)
            good = (raw_x >= 5) & (raw_x <= 599) & (raw_y >= 2) & (raw_y <= 584)
            total += seconds * np.mean(value * good)
        found.append(total)
    return np.array(found)


def tangent(ra, dec, step, pixel):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [ra, dec], list(pixel)
    wcs.wcs.cdelt = [step, -step]
    return wcs


def model_of_the_gratings():
    fitted = exposure_model()["rga"]["mos1"]
    return fitted["energies_ev"], fitted["slopes_per_arcmin"]


# three attitudes, 40 s, 26 s and 34 s long, arcminutes apart and turned
STEPS = (((30.0, 20.0, 50.0), 40.0), ((30.02, 20.01, 50.5), 26.0), ((29.99, 19.98, 49.0), 34.0))


def stepping():
    time = np.arange(START - 100, START + 300) + 0.5
    which = np.digitize(time, [START + 40, START + 66])
    return {"time": time} | {k: [STEPS[w][0][n] for w in which] for n, k in enumerate(("ra", "dec", "pa"))}


PIXELS = ((55, 55), (48, 60), (62, 52), (56, 66), (40, 50), (57, 44))


def test_several_attitudes_are_summed_as_by_hand(folder):
    place = folder(att=stepping(), img={"chips": (1,)})
    found, notes = make(place, command(eventset="none"))
    header = fits.getheader(place / "map0.fits")
    assert header["ATTBINS"] == 3
    assert header["DETSKY"] == "constants"
    assert any("no event list" in note for note in notes)
    expected = direct(PIXELS, STEPS)
    assert expected.min() > 10
    np.testing.assert_allclose([found[y, x] for x, y in PIXELS], 0.991 * expected, rtol=2e-3)


def test_a_drift_is_the_sum_of_its_attitudes(folder):
    parts, low = [], START
    for _, seconds in STEPS:
        place = folder(att=stepping(), img={"intervals": ((low, low + seconds),)})
        parts.append(make(place)[0])
        low += seconds
        assert fits.getheader(place / "map0.fits")["ATTBINS"] == 1
    whole, _ = make(folder(att=stepping()))
    np.testing.assert_allclose(whole, sum(parts), rtol=1e-6, atol=1e-4)


def test_smaller_changes_than_attrebin_are_merged(folder):
    jitter = {"ra": 30.0 + 1e-4 * np.sin(np.arange(400))}
    still, _ = make(folder())
    for rebin, bins in (("4", 1), ("0.05", 5)):
        place = folder(att=jitter)
        found, _ = make(place, command(attrebin=rebin))
        assert fits.getheader(place / "map0.fits")["ATTBINS"] >= bins
        assert found.sum() == pytest.approx(still.sum(), rel=1e-3)


def test_too_many_attitude_bins_are_refused(folder, monkeypatch):
    monkeypatch.setattr("xphotfn.epic.camera.attitude.MOST_BINS", 5)
    place = folder(att={"ra": 30.0 + 1e-3 * np.arange(400)})
    with pytest.raises(InvalidFile, match="larger attrebin"):
        eexpmap(command(), place)
    assert not list(place.glob("*map0*"))


@pytest.mark.parametrize("dec", [20.0, 85.0, -89.5])
@pytest.mark.parametrize("ra", [30.0, 0.001, 359.999])
def test_the_map_does_not_depend_on_where_the_pointing_is(folder, ra, dec):
    there = {"REFXCRVL": ra, "REFYCRVL": dec}
    grid = PixelGrid.from_sky_range(ra, dec, bin_size=400)
    place = folder(img={"grid": grid, **there}, att={"ra": ra, "dec": dec}, evts=there)
    found, reference = make(place)[0], make(folder())[0]
    np.testing.assert_allclose(found, reference, atol=13)  # two of 16 points on an edge may flip
    assert np.count_nonzero(np.abs(found - reference) > 1e-3) < 20


def test_exposure_is_linear_in_the_good_time(folder):
    low, high = START, START + 100
    whole, _ = make(folder(img={"intervals": ((low, high),)}))
    first, _ = make(folder(img={"intervals": ((low, low + 30),)}))
    second, _ = make(folder(img={"intervals": ((low + 30, low + 60), (low + 60, high))}))
    np.testing.assert_allclose(first + second, whole, rtol=1e-6)
    np.testing.assert_allclose(first, 0.3 * whole, rtol=1e-6)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6), st.booleans())
@settings(max_examples=30)
def test_cutting_intervals_keeps_the_seconds(cuts, with_frames):
    frames = Frames(np.arange(0.5, 100), np.full(100, 0.9)) if with_frames else None
    ends = [0.0, *sorted(cuts), 100.0]
    pieces = tuple((a, b) for a, b in pairwise(ends) if b > a)
    edges = np.array([-1.0, 20.0, 50.0, 101.0])
    whole = seconds_per_piece(((0.0, 100.0),), frames, edges)
    np.testing.assert_allclose(seconds_per_piece(pieces, frames, edges), whole, rtol=1e-9)


def test_several_bands_are_the_single_ones_byte_by_byte(folder):
    bands = ((500, 2000), (2000, 10000), (4500, 12000))
    together = folder()
    make(together, command(bands))
    for n, band in enumerate(bands):
        alone = folder()
        make(alone, evolve(command((band,), expimageset=f"map{n}.fits"), outputs=(f"map{n}.fits",)))
        assert (alone / f"map{n}.fits").read_bytes() == (together / f"map{n}.fits").read_bytes()
    assert "nearest value" in fits.getheader(together / "map2.fits")["ASSUME02"]


def several(place):
    """Commands of one exposure: two images of the same times, one of half of them, one seen flat."""
    image(place / "same.fits", CONTENT="another image")
    image(place / "half.fits", intervals=((START, START + 50),))
    made = []
    for n, (name, option) in enumerate(
        [("img.fits", "yes"), ("same.fits", "yes"), ("half.fits", "yes"), ("same.fits", "no")]
    ):
        one = command(((500 + n, 2000),), imageset=name, expimageset=f"map{n}.fits", withvignetting=option)
        made.append(evolve(one, outputs=(f"map{n}.fits",)))
    return made


def test_commands_together_are_the_single_ones_byte_by_byte(folder, monkeypatch):
    alone, together = folder(), folder()
    for one in several(alone):
        make(alone, one)
    count = []
    module = "xphotfn.engines.native.eexpmap.eexpmap_task.exposure_geometry"
    original = eexpmap_many.__globals__["exposure_geometry"]
    monkeypatch.setattr(module, lambda *a, **k: count.append(1) or original(*a, **k))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        eexpmap_many(several(together), together)
    assert len(count) == 3  # the second image shares with the first, the fourth follows another one
    for n in range(4):
        assert (alone / f"map{n}.fits").read_bytes() == (together / f"map{n}.fits").read_bytes()


def test_commands_together_appear_all_or_none(folder):
    place = folder()
    first, second = (evolve(one, outputs=()) for one in several(place)[:2])
    with pytest.raises(CommandFailed, match="written twice: map0.fits, map0.fits"):
        eexpmap_many((first, first), place)
    broken = evolve(second, parameters=tuple((k, "gone.fits" if k == "imageset" else v) for k, v in second.parameters))
    with warnings.catch_warnings(), pytest.raises(InvalidFile, match=r"gone.fits"):
        warnings.simplefilter("ignore", UserWarning)
        eexpmap_many((first, broken), place)
    assert not list(place.glob("*map*"))


def test_without_vignetting_a_ccd_is_flat(folder):
    place = folder(evts={"bad": False})
    found, _ = make(place, command(withvignetting="no"))
    assert "VIGNTAB" not in fits.getheader(place / "map0.fits")
    values, counts = np.unique(found[found > 0], return_counts=True)
    scale = exposure_model()["live_scale"]["mos"]
    assert scale == pytest.approx(1.00065, abs=2e-4)  # of SAS's live time over the frames
    assert values[np.argmax(counts)] == pytest.approx(98 * scale)
    assert counts.max() > 0.8 * counts.sum()
    assert found.max() == pytest.approx(98 * scale)


def test_a_missing_ccd_is_dark(folder):
    all_three, _ = make(folder())
    two, _ = make(folder(img={"chips": (1, 2)}))
    gone = (all_three > 0) & (two == 0)
    assert 0.2 < np.count_nonzero(gone) / np.count_nonzero(all_three) < 0.4
    assert np.all(two <= all_three)


def test_a_ccd_that_only_the_event_list_lacks_is_dark_where_the_image_names_none(folder):
    without, _ = make(
        folder(img={"chips": (), "intervals": None}, evts={"chips": (1, 2), "standard": ((START, START + 100),)})
    )
    named, _ = make(folder(img={"chips": (1, 2), "flag": ""}))
    assert np.count_nonzero(without) == np.count_nonzero(named)


def test_detector_coordinates(folder):
    place = folder(img={"det": True, "grid": evolve(GRID, nx=90, ny=90)}, evts={"bad": False})
    (place / "att.fits").unlink()  # the attitude does not matter there
    found, _ = make(place, command(withdetcoords="yes"))
    centre = -17800 + 400 * np.arange(90.0)
    det_x, det_y = np.meshgrid(centre, centre)
    theta = np.hypot(det_x - 99, det_y + 209) * 0.05 / 60
    expected = 98 * vignetting(packaged_table(), 1250, theta) * (1 + 0.01415 * (det_y + 209) * 0.05 / 60)
    flat, _ = make(
        place,
        evolve(command(withdetcoords="yes", withvignetting="no", expimageset="map2.fits"), outputs=("map2.fits",)),
    )
    inside = flat > 97.999
    assert np.count_nonzero(inside) > 1000
    np.testing.assert_allclose(found[inside], expected[inside], rtol=0.05)  # blocks of 20 pixels
    true, _ = make(
        place, evolve(command(withdetcoords="yes", expimageset="map1.fits"), outputs=("map1.fits",)), sampling="pixel"
    )
    np.testing.assert_allclose(true[inside], expected[inside], rtol=0.004)
    mos1 = camera_named("EMOS1", "")
    assert not np.any(
        found[~field_of_view(mos1, *(np.sign(v) * np.clip(np.abs(v) - 400, 0, None) for v in (det_x, det_y)))]
    )


@pytest.mark.parametrize(("det", "option"), [(True, "no"), (False, "yes")])
def test_coordinates_that_the_image_does_not_have_are_refused(folder, det, option):
    with pytest.raises(InvalidFile, match="withdetcoords"):
        eexpmap(command(withdetcoords=option), folder(img={"det": det}))


def test_bad_pixels_and_their_neighbours(folder):
    sums = {}
    for name, flag, bad in (("none", "0", False), ("grown", "0", True), ("plain", "b" + "x" * 31, True)):
        found, _ = make(folder(img={"flag": flag, "chips": (1,)}, evts={"bad": bad}))
        sums[name] = found.sum()
    assert sums["none"] > sums["grown"]
    assert sums["plain"] > sums["grown"]  # without FLAG == 0 neighbours and borders stay
    mask = "b" + "".join("0" if bit == 1 else "x" for bit in range(31, -1, -1))
    border, _ = make(folder(img={"flag": mask, "chips": (1,)}))
    assert sums["grown"] < border.sum() < sums["plain"]


# ------------------------------------------------------------------------------------------------------- bad input


def test_no_attitude(folder):
    place = folder()
    (place / "att.fits").unlink()
    with pytest.raises(InvalidFile, match="no such file"):
        eexpmap(command(), place)


def test_an_attitude_of_other_columns(folder):
    place = folder()
    (place / "att.fits").unlink()
    fits.HDUList([primary(), table("ATTHK", {"TIME": [1.0, 2.0]})]).writeto(place / "att.fits")
    with pytest.raises(InvalidFile, match="no attitude history"):
        eexpmap(command(), place)


def test_nan_in_the_attitude_is_left_out(folder):
    ra = np.full(400, 30.0)
    ra[150:160] = np.nan  # a short hole is bridged
    found, notes = make(folder(att={"ra": ra}))
    reference, _ = make(folder())
    np.testing.assert_allclose(found, reference, rtol=1e-6)
    ra[120:170] = np.nan  # a long one is not
    found, notes = make(folder(att={"ra": ra}))
    assert any("without attitude are not counted" in note for note in notes)
    assert found.sum() == pytest.approx(0.5 * reference.sum(), rel=0.03)
    with pytest.raises(InvalidFile, match="none of the 400 attitude records"):
        eexpmap(command(), folder(att={"ra": np.full(400, np.nan)}))


def test_good_time_outside_the_attitude(folder):
    with pytest.raises(InvalidFile, match="covers none of the good time"):
        eexpmap(command(), folder(att={"time": np.arange(9000.0, 9100.0)}))
    half = {"time": np.arange(START - 100, START + 50) + 0.5}
    found, notes = make(folder(att=half))
    assert any(note.startswith("49 s of good time without") for note in notes)
    assert found.sum() == pytest.approx(0.5 * make(folder())[0].sum(), rel=1e-6)


def test_no_gti(folder):
    found, notes = make(folder(img={"intervals": None}))
    assert any("one of 100 s (EXPOSURE)" in note for note in notes)
    np.testing.assert_allclose(found, make(folder())[0], rtol=1e-6)
    standard, notes = make(folder(img={"intervals": None}, evts={"standard": ((START, START + 50),)}))
    assert not any("EXPOSURE" in note for note in notes)
    assert standard.sum() == pytest.approx(0.5 * found.sum(), rel=0.03)
    with pytest.raises(InvalidFile, match="no good time intervals"):
        eexpmap(command(), folder(img={"intervals": None, "EXPOSURE": None}))


def test_a_gti_that_is_missing_for_one_ccd(folder):
    place = folder()
    with fits.open(place / "img.fits") as hdus:
        del hdus["GTI00206"]
        hdus.writeto(place / "other.fits")
    (place / "other.fits").replace(place / "img.fits")
    found, notes = make(place)
    assert any("no good time intervals for CCD 7: those of CCD 1" in note for note in notes)
    np.testing.assert_allclose(found, make(folder())[0], rtol=1e-6)


def test_no_exposu(folder):
    found, notes = make(folder(evts={"exposures": False}))
    assert any("no EXPOSU for CCD 1, 2, 7: 100 %" in note for note in notes)
    scale = exposure_model()["live_scale"]["mos"]
    np.testing.assert_allclose(found, make(folder())[0] / (0.98 * scale), rtol=1e-6)


def test_no_badpix(folder):
    place = folder(evts={"bad": False})
    found, notes = make(place)
    assert any("no BADPIX for CCD 1, 2, 7: no bad pixels" in note for note in notes)
    assert found.sum() > make(folder())[0].sum()
    header = fits.getheader(place / "map0.fits")
    assert [header[k] for k in header if k.startswith("ASSUME")] == notes


@pytest.mark.parametrize(
    ("cards", "problem"),
    [
        ({"SUBMODE": "PrimeSomething"}, "SUBMODE PrimeSomething is not known"),
        ({"DATAMODE": "TIMING"}, "only IMAGING has exposure maps"),
        ({"INSTRUME": "RGS1"}, "INSTRUME must be one of"),
        ({"OBS_ID": "0999999999"}, "of the image|the image of"),
        ({"EXP_ID": "0123456789002"}, "of the image"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder, cards, problem):
    place = folder(img=cards)
    with pytest.raises(InvalidFile, match=problem):
        eexpmap(command(), place)
    assert sorted(p.name for p in place.iterdir()) == ["att.fits", "evts.fits", "img.fits"]


def test_an_attitude_of_another_observation_is_refused(folder):
    with pytest.raises(InvalidFile, match=r"att.fits.*the image of"):
        eexpmap(command(), folder(att={"OBS_ID": "0999999999"}))


@pytest.mark.parametrize(
    ("cards", "note"),
    [
        ({"FILTER": None}, "no FILTER: open"),
        ({"FILTER": "Cardboard"}, "FILTER Cardboard is not known"),
        ({"SUBMODE": None}, "no SUBMODE: PrimeFullWindow"),
    ],
)
def test_what_is_not_known_is_said(folder, cards, note):
    found, notes = make(folder(img=cards))
    assert any(note in n for n in notes)
    np.testing.assert_array_equal(found, make(folder())[0])


def test_a_small_window(folder):
    found, _ = make(folder(img={"SUBMODE": "PrimePartialW2"}))
    whole, _ = make(folder())
    lost = (whole > 0) & (found == 0)
    assert np.count_nonzero(lost) > 500
    one, _ = make(folder(img={"SUBMODE": "PrimePartialW2", "chips": (1,)}))
    assert 4 <= np.count_nonzero(one) <= 60


@pytest.mark.parametrize("eventset", ["absent", "none", "img.fits"])
def test_the_image_alone_will_do(folder, eventset):
    place = folder()
    (place / "evts.fits").unlink()
    found, notes = make(place, command(eventset=eventset))
    assert found.max() == pytest.approx(100, rel=0.02)
    assert any("no event list" in note for note in notes)


def test_pn_without_events_says_what_is_not_known(folder):
    pn = {"INSTRUME": "EPN", "SUBMODE": "PrimeFullWindowExtended", "chips": (1, 4, 7, 10)}
    place = folder(img=pn)
    found, notes = make(place, command(eventset="none"))
    header = fits.getheader(place / "map0.fits")
    assert header["OOTCORR"] is True
    assert header["OOTFRAC"] == pytest.approx(0.9766, abs=1e-4)
    assert found.max() == pytest.approx(97.66 * 0.875, rel=0.02)
    assert any("live time is 87.5 % (85.0 to 88.5 % on 4 real maps)" in note for note in notes)
    assert "live time is 87.5 %" in header["ASSUME01"]
    assert "RGASLOPE" not in header
    one = {"INSTRUME": "EPN", "SUBMODE": "PrimeSmallWindow", "chips": (4,)}
    small, _ = make(folder(img=one), command(eventset="none"))
    assert 0 < np.count_nonzero(small) < 0.1 * np.count_nonzero(found)


def test_pn_frames_that_hold_the_out_of_time_factor_get_it_once(folder):
    pn = {"INSTRUME": "EPN", "SUBMODE": "PrimeFullWindow", "chips": (4,)}
    for length, expected in ((2.0, 0.98 * 0.936444), (2.0 * 0.936444, 0.98 * 0.936444)):
        place = folder(img=pn, evts={"INSTRUME": "EPN", "chips": (4,)})
        with fits.open(place / "evts.fits", mode="update") as hdus:
            hdus["EXPOSU04"].data["TIMEDEL"] = length
        found, _ = make(place)
        assert found.max() == pytest.approx(100 * expected, rel=0.01)


def test_an_output_that_exists_is_left_as_it_was(folder):
    place = folder()
    (place / "map1.fits").write_text("mine")
    with pytest.raises(InvalidFile, match="exists already"):
        eexpmap(command(((500, 2000), (2000, 4500))), place)
    assert (place / "map1.fits").read_text() == "mine"
    assert not (place / "map0.fits").exists()


@pytest.mark.parametrize(
    ("options", "error", "problem"),
    [
        ({"pimin": "500 2000"}, CommandFailed, "2 pimin, 1 pimax"),
        ({"pimin": "many"}, CommandFailed, "must be numbers"),
        ({"pimin": "3000"}, CommandFailed, "upwards"),
        ({"attrebin": "-1"}, CommandFailed, "attrebin"),
        ({"colour": "red"}, InvalidRecord, "no parameter 'colour'"),
        ({"attitudeset": "absent"}, InvalidRecord, "needs attitudeset"),
    ],
)
def test_parameters_that_cannot_be_executed(folder, options, error, problem):
    with pytest.raises(error, match=problem):
        eexpmap(command(**options), folder())


def test_an_unknown_sampling_is_refused(folder):
    with pytest.raises(CommandFailed, match="sampling must be one of"):
        eexpmap(command(), folder(), sampling="exact")


def test_a_map_has_the_same_bytes_wherever_it_is_made(folder):
    first, second = folder(), folder()
    make(first)
    make(second)
    data = (first / "map0.fits").read_bytes()
    assert data == (second / "map0.fits").read_bytes()
    assert str(first).encode() not in data


def ccf(path, factors, name="VIGNETTING_FACTOR"):
    path.parent.mkdir(exist_ok=True)
    columns = [
        fits.Column(name="ENERGY", format="E", array=np.array([100.0, 15000.0])),
        fits.Column(name=name, format="27E", array=np.tile(factors, (2, 1))),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="VIGNETTING")
    hdu.header["D_THETA"] = 0.01
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def test_calibration_files_of_ones_own_are_read(folder, tmp_path):
    ccf(tmp_path / "ccf" / "XRT1_XAREAEF_0098.CCF", np.full(27, 0.1))
    ccf(tmp_path / "ccf" / "XRT1_XAREAEF_0099.CCF", np.ones(27))
    place = folder()
    found, _ = make(place, ccf=str(tmp_path / "ccf"))
    assert fits.getheader(place / "map0.fits")["VIGNTAB"] == "XRT1_XAREAEF_0099"
    assert found.max() > 98 * 1.05  # the grating term alone
    with pytest.raises(InvalidFile, match="no XRT3_XAREAEF_"):
        eexpmap(
            command(eventset="none"),
            folder(img={"INSTRUME": "EPN", "chips": (4,), "SUBMODE": "PrimeFullWindow"}),
            ccf=str(tmp_path / "ccf"),
        )
