"""Finding observations: what a file is comes from its header, and what is left out is said."""

import gzip
import os
import pickle
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.io.find import find_observations, inventory
from xphotfn.records.band import Band

OBS = "0123456789"
SOFT, HARD = Band(lo_ev=500, hi_ev=2000), Band(lo_ev=2000, hi_ev=10000)
CAMERA = {"OBS_ID": OBS, "INSTRUME": "EPN", "EXPIDSTR": "S003", "FILTER": "Thin1", "SUBMODE": "PrimeFullWindow"}
POINTING = {"RA_PNT": 149.59, "DEC_PNT": -11.09, "OBJECT": "A907", "DATE-OBS": "2006-05-27T10:58:40"}
WCS = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 3.0, "CRPIX2": 2.5, "CRVAL1": 149.59, "CRVAL2": -11.09,
    "CDELT1": -0.00120833333333333, "CDELT2": 0.00120833333333333,
}  # fmt: skip
CLEAN = "(FLAG & 0xcfa0000) == 0 && (PATTERN <= 4) && (FLAG .eq. 0)"


def cards(*parts, **more):
    """Return a header of the parts in which None takes a card away; ``DATE_OBS`` stands for DATE-OBS."""
    merged = {}
    for part in (*parts, more):
        merged.update(part)
    return fits.Header({name: value for name, value in merged.items() if value is not None})


def save(path, hdus):
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = path.with_name("part.tmp")
    fits.HDUList(hdus).writeto(plain, overwrite=True)
    content = plain.read_bytes()
    plain.unlink()
    path.write_bytes(gzip.compress(content) if path.suffix.lower() in (".gz", ".ftz") else content)
    return path


def image(path, band="500:2000", **more):
    selection = {"SLCTEXPR": f"PI in [{band}]", "HDUCLAS1": "IMAGE", "CONTENT": "EPIC PN IMAGING MODE EVENT LIST"}
    header = cards(CAMERA, POINTING, WCS, selection, {"EXPOSURE": 6050.0}, more)
    return save(path, [fits.PrimaryHDU(np.zeros((4, 5)), header=header)])


def expmap(path, lo=500, hi=2000, **more):
    made = {"CONTENT": "EPIC EXPOSURE MAP", "XPROC0": f"eexpmap attrebin=4 pimin={lo} pimax={hi} # (eexpmap-4.6.5)"}
    header = cards(CAMERA, POINTING, WCS, made, {"EXPOSURE": 6050.0}, more)
    return save(path, [fits.PrimaryHDU(np.zeros((4, 5), dtype="f4"), header=header)])


def table(name, header):
    column = fits.Column("TIME", "D", array=np.arange(100.0))
    return fits.BinTableHDU.from_columns([column], name=name, header=header)


def events(path, **more):
    header = cards(
        CAMERA, POINTING, {"SLCTEXPR": CLEAN, "ONTIME01": 6050.0, "ONTIME02": 6100.0, "LIVETIME": 5900.0}, more
    )
    return save(path, [fits.PrimaryHDU(header=cards(CAMERA, more)), table("EVENTS", header)])


def attitude(path, **more):
    return save(path, [fits.PrimaryHDU(header=cards({"OBS_ID": OBS}, more)), table("ATTHK", fits.Header())])


def cif(path):
    return save(path, [fits.PrimaryHDU(), table("CALINDEX", fits.Header())])


def subspace(**axes):
    """Return the cards of a data subspace of one component."""
    pairs = enumerate(axes.items(), 1)
    return {f"DS{key}{n}": text for n, pair in pairs for key, text in zip(("TYP", "VAL"), pair, strict=True)}


def only(root, **options):
    (observation,) = find_observations(root, **options)
    return observation


def names(observation):
    return sorted(p.file.path.rpartition("/")[2] for e in observation.exposures for p in e.products)


# The real trees.
def test_the_three_observations(data_root):
    found = find_observations(data_root / "a907")
    assert [o.obs_id for o in found] == ["0201901401", "0201903501", "0404910601"]
    ids = {o.obs_id: [(e.instrument, e.exposure_id) for e in o.exposures] for o in found}
    assert ids == {
        "0201901401": [("pn", "U002"), ("mos1", "U002"), ("mos2", "U002")],
        "0201903501": [("pn", "S003"), ("mos1", "S001"), ("mos2", "S002")],
        "0404910601": [("pn", "S003"), ("mos1", "S001"), ("mos2", "S002")],
    }
    products = [p for o in found for e in o.exposures for p in e.products]
    assert (
        len([p for p in products if p.kind == "image"]) == len([p for p in products if p.kind == "exposure_map"]) == 18
    )
    for observation in found:
        assert observation.left_out == ()
        assert observation.object_name.startswith("RXCJ0958")
        for exposure in observation.exposures:
            assert [(p.kind, p.band) for p in exposure.products] == [
                ("image", SOFT), ("image", HARD), ("exposure_map", SOFT), ("exposure_map", HARD)
            ]  # fmt: skip
            assert all(p.grid == exposure.products[0].grid and p.grid.x0_sky == 3692.0 for p in exposure.products)
            assert (exposure.events is None) == (exposure.instrument == "pn")
            assert exposure.filtered == (exposure.instrument != "pn")
            assert (exposure.filter, exposure.submode[:15]) == ("Thin1", "PrimeFullWindow")
            for product in exposure.products:
                name = product.file.path.rpartition("/")[2]
                assert name.startswith(f"{observation.obs_id}_{exposure.instrument}_")
        for file in (observation.attitude, observation.regions, observation.cif):
            stat = Path(file.path).stat()
            assert (file.size, file.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
            assert f"/{observation.obs_id}/" in file.path
    last = found[2]
    assert (last.ra_deg, last.dec_deg, last.date) == (149.591375, -11.0887222222222, "2006-05-27T09:58:05")
    assert last.exposure("mos1").exposure_s == 12914.8663310707
    assert last.exposure("pn").exposure_s == 6050.0
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_pipeline_tree(data_root):
    observation = only(data_root / "pps")
    assert observation.obs_id == "0001730201"
    (exposure,) = observation.exposures
    assert (exposure.instrument, exposure.exposure_id, exposure.filter) == ("mos1", "S001", "Thick")
    assert exposure.events.path.endswith("P0001730201M1S002MIEVLI.FTZ")
    assert not exposure.filtered
    assert exposure.exposure_s == pytest.approx(16653.236)
    (product,) = exposure.products
    assert product.band == Band(lo_ev=500, hi_ev=10000)
    assert (product.grid.shape, product.grid.x0_sky, product.grid.dx_sky) == ((648, 648), 40.5, 80.0)
    assert observation.attitude is observation.regions is observation.cif is None


def test_several_trees_at_once(data_root):
    assert [o.obs_id for o in find_observations(data_root)] == ["0001730201", "0201901401", "0201903501", "0404910601"]


def test_the_root_may_be_one_observation_or_text(data_root):
    folder = data_root / "a907" / "0404910601"
    assert only(folder) == only(str(folder)) == find_observations(data_root / "a907")[2]


def test_only_headers_are_read(data_root):
    find_observations(data_root / "pps")
    start = time.perf_counter()
    find_observations(data_root / "a907")
    ours = time.perf_counter() - start
    start = time.perf_counter()
    for path in (data_root / "a907").glob("*/*.gz"):
        fits.getheader(path, 1 if "evts" in path.name else 0)
    assert ours < 3 * (time.perf_counter() - start)  # measured: a tenth


# What a file is.
def test_a_small_tree(tmp_path):
    image(tmp_path / "a.fits")
    image(tmp_path / "b.fits.gz", "2000:10000")
    expmap(tmp_path / "deep" / "er" / "c.FTZ")
    events(tmp_path / "d.fits")
    attitude(tmp_path / "e.fits")
    cif(tmp_path / "ccf.cif")
    (tmp_path / f"{OBS}.reg").write_text("image;circle(1,1,1)")
    (tmp_path / "README.txt").write_text("hello")
    save(tmp_path / "gti.fits", [fits.PrimaryHDU(), table("STDGTI", fits.Header())])
    observation = only(tmp_path)
    (exposure,) = observation.exposures
    assert names(observation) == ["a.fits", "b.fits.gz", "c.FTZ"]
    assert (exposure.exposure_id, exposure.exposure_s, exposure.filtered) == ("S003", 6100.0, True)
    assert exposure.events.path == str(tmp_path / "d.fits")
    assert observation.attitude.path.endswith("e.fits")
    assert observation.cif.path.endswith("ccf.cif")
    assert observation.regions.path.endswith(".reg")
    assert observation.left_out == ()
    assert (observation.object_name, observation.date) == ("A907", "2006-05-27T10:58:40")


def test_an_exposure_map_with_the_cards_of_its_image(tmp_path):
    expmap(tmp_path / "c.fits", HDUCLAS1="IMAGE", SLCTEXPR="PI in [500:2000]")
    assert only(tmp_path).exposures[0].products[0].kind == "exposure_map"


@pytest.mark.parametrize(
    ("more", "filtered"),
    [
        ({"SLCTEXPR": CLEAN}, True),
        ({"SLCTEXPR": "#XMMEA_EP && PATTERN<=4"}, True),
        ({"SLCTEXPR": "(FLAG & 0x762aa000)==0"}, False),
        ({"SLCTEXPR": "PATTERN <= 4"}, False),
        ({"SLCTEXPR": "gti(FLAGGED.fits,TIME)"}, False),
        ({"SLCTEXPR": None}, False),
        ({"SLCTEXPR": None, **subspace(FLAG="0", PATTERN=":4")}, True),
        ({"SLCTEXPR": "gti(a.fits,TIME)", **subspace(FLAG="0", PI="500:900", PATTERN="0:4")}, True),
        ({"SLCTEXPR": None, **subspace(FLAG="0")}, False),
        ({"SLCTEXPR": None, **subspace(FLAG="b000x00xxx0x0x0x0x0xxxxxxxxxxxxx", PATTERN=":4")}, False),
    ],
)
def test_filtered_event_lists(tmp_path, more, filtered):
    events(tmp_path / "d.fits", **more)
    assert only(tmp_path).exposures[0].filtered is filtered


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"ONTIME01": 10.0, "ONTIME02": None, "ONTIME12": 30.0, "EXPOSURE": 5.0}, 30.0),
        ({"ONTIME01": None, "ONTIME02": None, "EXPOSURE": 5.0}, 5.0),
        ({"ONTIME01": None, "ONTIME02": None, "ONTIME": 7.0}, 7.0),
        ({"ONTIME01": None, "ONTIME02": None}, 5900.0),
        ({"ONTIME01": None, "ONTIME02": None, "LIVETIME": None}, 0.0),
    ],
)
def test_on_time(tmp_path, more, expected):
    events(tmp_path / "d.fits", **more)
    assert only(tmp_path).exposures[0].exposure_s == expected


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("a.fits", {}, "S003"),
        (f"P{OBS}PNU014PIEVLI0000.FIT", {"EXPIDSTR": None}, "U014"),
        (f"P{OBS}PNU014PIEVLI0000.FIT", {}, "S003"),
        ("a.fits", {"EXPIDSTR": None, "EXP_ID": f"{OBS}007"}, "S007"),
        ("a.fits", {"EXPIDSTR": None}, "X000"),
    ],
)
def test_exposure_ids(tmp_path, name, more, expected):
    events(tmp_path / name, **more)
    assert only(tmp_path).exposures[0].exposure_id == expected


def test_a_product_without_exposure_id_belongs_to_the_only_exposure(tmp_path):
    events(tmp_path / "d.fits")
    image(tmp_path / "a.fits", EXPIDSTR=None)
    assert len(only(tmp_path).exposures[0].products) == 1
    events(tmp_path / "e.fits", EXPIDSTR="S004")
    observation = only(tmp_path)
    assert not names(observation)
    (note,) = observation.left_out
    assert (note.file, note.reason, note.detail) == ("a.fits", "no_exposure", "which of S003, S004")


def test_pointing(tmp_path):
    image(tmp_path / "a.fits", RA_PNT=None, DEC_PNT=None)
    assert (only(tmp_path).ra_deg, only(tmp_path).dec_deg) == (149.59, -11.09)
    image(tmp_path / "a.fits", RA_PNT=0.0, DEC_PNT=0.0)
    assert (only(tmp_path).ra_deg, only(tmp_path).dec_deg) == (0.0, 0.0)
    (tmp_path / "a.fits").unlink()
    events(tmp_path / "d.fits", RA_PNT=None, REFXCRVL=10.0, REFYCRVL=20.0)
    assert (only(tmp_path).ra_deg, only(tmp_path).dec_deg) == (10.0, 20.0)
    events(tmp_path / "d.fits", RA_PNT=None, DEC_PNT=None)
    with pytest.raises(InvalidFile, match="holds no EPIC"):
        find_observations(tmp_path)


def test_an_obs_id_that_lost_its_zeros(tmp_path):
    image(tmp_path / "a.fits", OBS_ID=123456789)
    assert only(tmp_path).obs_id == OBS


def test_an_obs_id_from_the_path(tmp_path):
    image(tmp_path / "0222222222" / f"{OBS}_img.fits", OBS_ID=None)
    image(tmp_path / "0222222222" / "deep" / "img.fits", OBS_ID="")
    assert [o.obs_id for o in find_observations(tmp_path)] == [OBS, "0222222222"]


# What is left out.
@pytest.mark.parametrize(
    ("make", "name", "more", "says"),
    [
        (events, "x.fits", {"FILTER": "Closed", "EXPIDSTR": "S009"}, "closed"),
        (events, "x.fits", {"FILTER": "CalClosed", "EXPIDSTR": "S009"}, "closed"),
        (image, "x.fits", {"FILTER": "Cal_Closed", "EXPIDSTR": "S009"}, "closed"),
        (events, "x.fits", {"DATAMODE": "TIMING"}, "mode"),
        (events, f"P{OBS}PNS003OOEVLI0000.FIT", {}, "out_of_time"),
        (events, "x.fits", {"XPROC0": "epevents withoutoftime=yes"}, "out_of_time"),
        (image, "x.fits", {"SLCTEXPR": "FLAG == 0"}, "no_band"),
        (image, "x.fits", {"CROTA2": 12.0}, "grid"),
        (image, "x.fits", {"CTYPE1": "DETX", "CTYPE2": "DETY"}, "detector"),
        (image, "x.fits", {"EMSCF001": "a.fits", "EMSCF002": "b.fits"}, "mosaic"),
        (expmap, "x.fits", {"EMSCF001": "a.fits", "EMSCF002": "b.fits"}, "mosaic"),
    ],
)
def test_what_is_left_out_is_said(tmp_path, make, name, more, says):
    image(tmp_path / "a.fits")
    make(tmp_path / name, **more)
    observation = only(tmp_path)
    assert names(observation) == ["a.fits"]
    assert len(observation.exposures) == 1
    assert observation.exposures[0].events is None
    (note,) = observation.left_out
    assert str(note).startswith(f"{name} left out: ")
    assert note.reason == says


@pytest.mark.parametrize("more", [{"INSTRUME": "RGS1"}, {"INSTRUME": "OM"}, {"INSTRUME": None}])
def test_files_of_other_instruments_stand_in_the_inventory_alone(tmp_path, more):
    image(tmp_path / "a.fits")
    image(tmp_path / "x.fits", "300:400", **more)
    assert (names(only(tmp_path)), only(tmp_path).left_out) == (["a.fits"], ())
    (note,) = inventory(tmp_path).left_out
    assert (note.file, note.reason) == ("x.fits", "other_kind")


def test_an_observation_of_closed_exposures_alone_is_kept_beside_others(tmp_path):
    image(tmp_path / "a.fits")
    events(tmp_path / "x.fits", OBS_ID="0999999999", FILTER="Closed")
    closed = find_observations(tmp_path)[1]
    assert (closed.exposures, closed.ra_deg) == ((), 149.59)
    assert (closed.left_out[0].reason, closed.left_out[0].detail) == ("closed", "Closed")


DAMAGE = {
    "empty.fits": lambda content: content[:0],
    "text.fits": lambda content: b"404: Not Found" + content[:0],
    "header.fits": lambda content: content[:2000],
    "data.fits": lambda content: content[:-2880],
    "packed.fits.gz": lambda content: gzip.compress(content)[:-9],
    "start.FTZ": lambda content: gzip.compress(content)[:200],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_does_not_hide_the_others(tmp_path, name):
    content = events(tmp_path / "d.fits").read_bytes()
    (tmp_path / OBS / "x").mkdir(parents=True)
    (tmp_path / OBS / "x" / name).write_bytes(DAMAGE[name](content))
    observation = only(tmp_path)
    assert observation.exposures[0].events.path.endswith("d.fits")
    (note,) = observation.left_out
    assert (note.file, note.reason) == (f"{OBS}/x/{name}", "unreadable")


def test_damaged_files_alone(tmp_path):
    for name, damage in DAMAGE.items():
        (tmp_path / name).write_bytes(damage(events(tmp_path / "part.fits").read_bytes()))
    (tmp_path / "part.fits").unlink()
    with pytest.raises(InvalidFile, match="holds no EPIC event list") as caught:
        find_observations(tmp_path)
    assert "among 6 files" in str(caught.value)
    assert "1 more" in str(caught.value)
    assert "data.fits" in str(caught.value)


def test_a_damaged_file_of_no_known_observation_is_noted_with_the_first(tmp_path):
    image(tmp_path / "one" / "a.fits")
    image(tmp_path / "two" / "b.fits", OBS_ID="0999999999")
    (tmp_path / "broken.fits").write_bytes(b"")
    first, second = find_observations(tmp_path)
    assert "broken.fits left out: cannot be read: is empty" in str(first.left_out[0])
    assert second.left_out == ()


def test_unreadable_files_that_are_no_fits_are_ignored(tmp_path):
    image(tmp_path / "a.fits")
    (tmp_path / "data.tar.gz").write_bytes(b"\x1f\x8b\x08\x00\x00\x00")
    (tmp_path / "plot.png").write_bytes(b"\x89PNG")
    assert only(tmp_path).left_out == ()


# One of several.
def test_every_exposure_of_a_camera_is_there(tmp_path):
    for exposure_id, seconds in (("U014", 9000.0), ("S003", 4000.0)):
        events(tmp_path / f"{exposure_id}.fits", EXPIDSTR=exposure_id, ONTIME01=seconds, ONTIME02=0.0)
        image(tmp_path / f"{exposure_id}_img.fits", EXPIDSTR=exposure_id, EXPOSURE=seconds)
    image(tmp_path / "m1.fits", INSTRUME="EMOS1", EXPIDSTR="S001")
    observation = only(tmp_path)
    assert [(e.instrument, e.exposure_id, e.exposure_s) for e in observation.exposures] == [
        ("pn", "S003", 4000.0), ("pn", "U014", 9000.0), ("mos1", "S001", 6050.0)
    ]  # fmt: skip
    assert (observation.instruments, observation.left_out) == (("pn", "mos1"), ())
    assert names(observation) == ["S003_img.fits", "U014_img.fits", "m1.fits"]
    assert observation.exposure("pn", "U014").exposure_s == 9000.0
    with pytest.raises(InvalidRecord, match="several exposures of pn: say which of S003, U014"):
        observation.exposure("pn")


def test_the_user_chooses_an_exposure(tmp_path):
    for exposure_id in ("S003", "U014"):
        events(tmp_path / f"{exposure_id}.fits", EXPIDSTR=exposure_id)
    image(tmp_path / "m1.fits", INSTRUME="EMOS1", EXPIDSTR="S001")
    observation = only(tmp_path, prefer="u014")
    assert [(e.instrument, e.exposure_id) for e in observation.exposures] == [("pn", "U014"), ("mos1", "S001")]
    (note,) = observation.left_out
    assert (note.file, note.reason) == ("S003.fits", "not_preferred")
    with pytest.raises(InvalidRecord, match="no exposure 'S009' below .* to be preferred: there are S001, S003, U014"):
        find_observations(tmp_path, prefer=["S009", "U014"])


def test_copies_are_the_same(tmp_path):
    for name in ("bb.fits", "aa.fits", "x/c.fits.gz", "y/aa.fits"):
        image(tmp_path / name)
    image(tmp_path / "hard.fits", "2000:10000")
    observation = only(tmp_path)
    assert names(observation) == ["aa.fits", "hard.fits"]
    assert {note.file for note in observation.left_out} == {"bb.fits", "x/c.fits.gz", "y/aa.fits"}
    assert {(note.reason, note.preferred) for note in observation.left_out} == {("same", ("aa.fits",))}


def test_single_files_of_an_observation(tmp_path):
    image(tmp_path / "a.fits")
    attitude(tmp_path / "att.fits")
    attitude(tmp_path / "attitude.fits.gz")
    (tmp_path / OBS).mkdir()
    (tmp_path / OBS / "regions.reg").touch()
    (tmp_path / OBS / "sources_of_mine.ds9").touch()
    observation = only(tmp_path)
    assert observation.attitude.path.endswith("att.fits")
    assert observation.regions.path.endswith("regions.reg")
    assert [note.reason for note in observation.left_out] == ["same", "same"]


def test_two_region_files_that_differ_are_both_named_and_none_is_used(tmp_path):
    image(tmp_path / "a.fits")
    (tmp_path / "r.reg").write_text("image;circle(1,1,1)")
    (tmp_path / "sources.reg").write_text("image;circle(2,2,1)")
    observation = only(tmp_path)
    assert observation.regions is None
    assert observation.undecided("regions") == observation.left_out
    assert [(n.file, n.preferred) for n in observation.left_out] == [
        ("r.reg", ("sources.reg",)),
        ("sources.reg", ("r.reg",)),
    ]
    chosen = only(tmp_path, prefer="sources.reg")
    assert chosen.regions.path.endswith("sources.reg")
    assert [(n.file, n.reason) for n in chosen.left_out] == [("r.reg", "not_preferred")]


def test_region_files_in_their_order(tmp_path):
    image(tmp_path / "a.fits")

    def sources(name, ra):
        columns = [fits.Column(n, "D", array=[ra]) for n in ("SRC_NUM", "RA", "DEC", "RADEC_ERR")]
        table = fits.BinTableHDU.from_columns(columns, name="SRCLIST")
        return save(tmp_path / name, [fits.PrimaryHDU(header=cards({"OBS_ID": OBS})), table])

    drawn = tmp_path / f"P{OBS}EPX000REGION0000.ASC"
    drawn.write_text("fk5;circle(149.59,-11.09,20)")
    assert only(tmp_path).regions.path == str(drawn)
    own = sources("emllist.fits", 149.6)
    assert only(tmp_path).regions.path == str(own)
    summary = sources(f"P{OBS}EPX000OBSMLI0000.FTZ", 149.7)
    assert only(tmp_path).regions.path == str(summary)
    (tmp_path / "mine.reg").write_text("fk5;circle(149.59,-11.09,20)")
    observation = only(tmp_path)
    assert observation.regions.path == str(tmp_path / "mine.reg")
    assert sorted(n.reason for n in observation.left_out) == ["same", "second_choice", "second_choice"]
    drawn.write_text("fk5;circle(149.59,-11.09,30)")
    assert {n.reason for n in only(tmp_path).left_out} == {"second_choice"}


def test_whose_a_region_file_is(tmp_path):
    image(tmp_path / "a" / "one.fits")
    image(tmp_path / "b" / "two.fits", OBS_ID="0999999999")
    (tmp_path / "regions" / "0999999999" / "deep").mkdir(parents=True)
    (tmp_path / "regions" / "0999999999" / "deep" / "regions.reg").touch()
    (tmp_path / "a" / "mine.reg").touch()  # the folder holds one observation only
    (tmp_path / "stray.reg").touch()
    (tmp_path / "0555555555.reg").touch()
    first, second = find_observations(tmp_path)
    assert first.regions.path.endswith("mine.reg")
    assert second.regions.path.endswith("deep/regions.reg")
    assert len(first.left_out) == 2
    assert {note.reason for note in first.left_out} == {"no_observation"}


@pytest.mark.parametrize("name", ["0201901401_sources.reg", "0201901401/sources.reg", "0201901401/ccf.cif"])
def test_a_file_that_names_another_obs_id_is_not_used(tmp_path, name):
    image(tmp_path / OBS / "one.fits")
    path = tmp_path / OBS / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".reg":
        path.write_text("fk5;circle(149.59,-11.09,20)")
    else:
        cif(path)
    observation = only(tmp_path)
    assert observation.regions is None
    assert observation.cif is None
    assert [(n.file, n.reason) for n in observation.left_out] == [(f"{OBS}/{name}", "no_observation")]


def test_a_source_list_whose_header_says_another_obs_id_is_not_used(tmp_path):
    image(tmp_path / OBS / "one.fits")
    columns = [fits.Column(n, "D", array=[149.59]) for n in ("SRC_NUM", "RA", "DEC", "RADEC_ERR")]
    sources = fits.BinTableHDU.from_columns(columns, name="SRCLIST")
    save(tmp_path / OBS / "list.fits", [fits.PrimaryHDU(header=cards({"OBS_ID": "0201901401"})), sources])
    observation = only(tmp_path)
    assert observation.regions is None
    assert [n.reason for n in observation.left_out] == ["no_observation"]


# The tree.
@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links(tmp_path):
    root = tmp_path / "root"
    image(root / "real" / "a.fits")
    image(tmp_path / "outside" / "hard.fits", "2000:10000")
    (root / "loop").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    (root / "again").symlink_to(root / "real")
    (root / "a_link.fits").symlink_to(root / "real" / "a.fits")
    (root / "nowhere.fits").symlink_to(root / "none")
    (root / "more").symlink_to(tmp_path / "outside")
    observation = only(root)
    assert [p.file.path for p in observation.exposures[0].products] == [
        str(root / "real" / "a.fits"), str(root / "more" / "hard.fits")
    ]  # fmt: skip
    assert len(observation.left_out) == 1
    assert "nowhere.fits left out: cannot be read: a link that leads nowhere" in str(observation.left_out[0])


def test_hidden_folders_and_run_stores_are_skipped(tmp_path):
    image(tmp_path / "a.fits")
    for folder in (".hidden", "store", "store/deep"):
        image(tmp_path / folder / "hard.fits", "2000:10000")
    image(tmp_path / ".b.fits", "300:400")
    (tmp_path / "store" / "xphotfn-store.json").write_text("{}")
    assert names(only(tmp_path)) == ["a.fits"]
    with pytest.raises(InvalidFile, match="run store"):
        find_observations(tmp_path / "store")


def test_roots_that_are_none(tmp_path):
    with pytest.raises(InvalidFile, match="no such folder"):
        find_observations(tmp_path / "none")
    with pytest.raises(InvalidFile, match="holds no file"):
        find_observations(tmp_path)
    path = image(tmp_path / "a.fits")
    with pytest.raises(InvalidFile, match="is a file: give the folder"):
        find_observations(path)
    path.unlink()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InvalidFile, match=r"among 1 files \(1 \.txt\)"):
        find_observations(tmp_path)


def test_the_order_of_the_folders_changes_nothing(tmp_path):
    for root, order in (("one", (1, 2, 3)), ("two", (3, 1, 2))):
        for number in order:
            image(tmp_path / root / f"folder{number}" / "a.fits", OBS_ID=f"{number:010d}")
    one, two = (find_observations(tmp_path / root) for root in ("one", "two"))
    assert [o.obs_id for o in one] == [o.obs_id for o in two] == ["0000000001", "0000000002", "0000000003"]


# Templates.
BARE = {"OBS_ID": None, "INSTRUME": None, "EXPIDSTR": None, "SLCTEXPR": None, "HDUCLAS1": None, "CONTENT": None}
XGA = {
    "image": "{obs_id}/{obs_id}-{lo}-{hi}keV-{instrument}_merged_img.fits",
    "exposure_map": "{obs_id}/{obs_id}-{lo}-{hi}keV-{instrument}_merged_expmap.fits",
    "events": ["{obs_id}/{instrument}_exp1_clean_evts.fits", "{obs_id}/{instrument}_{exposure_id}.evt"],
    "attitude": "{obs_id}/attitude.fits",
    "cif": "*/ccf.cif",
    "regions": "regions/{obs_id}/regions.txt",
}


def test_templates_say_what_headers_do_not(tmp_path):
    image(tmp_path / OBS / f"{OBS}-0.5-2.0keV-mos1_merged_img.fits.gz", **BARE)
    expmap(tmp_path / OBS / f"{OBS}-0.5-2.0keV-mos1_merged_expmap.fits", **BARE, XPROC0=None)
    events(tmp_path / OBS / "PN_s3.evt", **BARE)
    attitude(tmp_path / OBS / "attitude.fits", OBS_ID=None)
    cif(tmp_path / OBS / "ccf.cif")
    (tmp_path / "regions" / OBS).mkdir(parents=True)
    (tmp_path / "regions" / OBS / "regions.txt").touch()
    image(tmp_path / "other.fits", "2000:10000", INSTRUME="EMOS1", EXPIDSTR="S001")
    observation = only(tmp_path, layout=XGA)
    assert [(e.instrument, e.exposure_id) for e in observation.exposures] == [("pn", "S003"), ("mos1", "S001")]
    assert [(p.kind, p.band) for p in observation.exposure("mos1").products] == [
        ("image", SOFT), ("image", HARD), ("exposure_map", SOFT)
    ]  # fmt: skip
    assert observation.attitude
    assert observation.cif
    assert observation.regions
    assert observation.left_out == ()


def test_headers_go_before_names(tmp_path):
    image(tmp_path / OBS / f"{OBS}-0.5-7.0keV-mos1_merged_img.fits")
    (exposure,) = only(tmp_path, layout=XGA).exposures
    assert (exposure.instrument, exposure.products[0].band) == ("pn", SOFT)


def test_a_template_that_fits_a_damaged_file(tmp_path):
    image(tmp_path / "a.fits")
    (tmp_path / OBS).mkdir()
    (tmp_path / OBS / "pn_1.evt").write_bytes(b"junk")
    assert "not a FITS file" in str(only(tmp_path, layout=XGA).left_out[0])


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ({"picture": "a.fits"}, "no kind 'picture'"),
        ({"image": "{obsid}.fits"}, r"no field \{obsid\}"),
        ({"image": "{lo}.fits"}, "both"),
        ({"image": "{obs_id.fits"}, "single"),
    ],
)
def test_templates_that_cannot_be_used(tmp_path, layout, says):
    with pytest.raises(InvalidRecord, match=says):
        find_observations(tmp_path, layout=layout)


def test_links_to_pipes_and_to_themselves_neither_hang_nor_sink_the_folder(tmp_path):
    events(tmp_path / "a" / "events.fits")
    os.mkfifo(tmp_path / "a" / "pipe.fits")
    (tmp_path / "a" / "to_pipe.fits").symlink_to("pipe.fits")
    (tmp_path / "a" / "itself.fits").symlink_to("itself.fits")
    (tmp_path / "a" / "device.fits").symlink_to("/dev/zero")
    found = find_observations(tmp_path)
    assert [o.obs_id for o in found] == [OBS]
    assert any("itself.fits" in str(note) for note in found[0].notes)
