"""Names of files: what they look like, that they come back, and that different products never share one."""

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from xphotfn.commands import (
    Command,
    MosaicName,
    PpsName,
    ProductName,
    attitude_name,
    ccf_name,
    mosaic_name,
    parse_mosaic_name,
    parse_pps_name,
    parse_product_name,
    product_name,
)
from xphotfn.errors import InvalidRecord

OBS_IDS = st.integers(0, 10**10 - 1).map(lambda n: f"{n:010d}")
EXPOSURES = st.builds("{}{:03d}".format, st.sampled_from("SUX"), st.integers(0, 999))
BANDS = st.tuples(st.integers(0, 20000), st.integers(1, 20000)).map(lambda b: (b[0], b[0] + b[1]))
PRODUCTS = st.tuples(
    OBS_IDS, st.sampled_from(("pn", "mos1", "mos2")), EXPOSURES, BANDS, st.sampled_from(("img", "expmap", "evts"))
).map(lambda p: (*p[:3], *p[3], p[4]))
LABELS = st.one_of(
    st.text(max_size=60), st.text("Aa9._- +", max_size=8), st.sampled_from(("A907", "Abell 907", "A.907"))
)
MOSAICS = st.tuples(
    LABELS, BANDS, st.sampled_from(("img", "expmap")), st.lists(st.text("ab", max_size=2), max_size=3).map(tuple)
)


def named(mosaic):
    label, (lo_ev, hi_ev), kind, members = mosaic
    return mosaic_name(label, lo_ev, hi_ev, kind, members=members)


def test_names_say_what_they_hold():
    assert product_name("0404910601", "mos1", "S001", 500, 2000, "img") == "0404910601_mos1_S001_500-2000_img.fits"
    assert mosaic_name("A907", 500, 2000, "expmap") == "A907_500-2000_mosaic_expmap.fits"
    assert mosaic_name("RXC J0958.3-1103", 500, 2000, "img").startswith("RXC-J0958.3-1103_")
    assert ccf_name("0404910601") == "0404910601_ccf.cif"
    assert attitude_name("0404910601") == "0404910601_atthk.fits"


@given(PRODUCTS)
def test_product_names_come_back(product):
    name = product_name(*product)
    found = parse_product_name(name)
    assert (found.obs_id, found.instrument, found.exposure_id, found.lo_ev, found.hi_ev, found.kind) == product
    assert found.file_name == name
    assert Command(task="any", inputs=(name,)).inputs == (name,)


@given(MOSAICS)
def test_mosaic_names_come_back(mosaic):
    name = named(mosaic)
    found = parse_mosaic_name(name)
    assert found.file_name == name
    assert ((found.lo_ev, found.hi_ev), found.kind) == mosaic[1:3]
    assert len(name) <= 120
    assert Command(task="any", inputs=(name,)).inputs == (name,)


@given(st.lists(st.one_of(PRODUCTS, MOSAICS), unique=True, max_size=30))
def test_different_products_have_different_names(products):
    names = [product_name(*p) if len(p) == 6 else named(p) for p in products]
    assert len(set(names)) == len(products)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("A907", ()), ("A907", ("a",))),
        (("A907", ("a", "b")), ("A907", ("b", "a"))),
        (("A907", ("a", "b")), ("A907", ("ab",))),
        (("Abell 907", ()), ("Abell-907", ())),
        (("A 907", ()), ("A_907", ())),
        (("", ()), ("mosaic", ())),
        (("x" * 60, ()), ("x" * 48, ())),
    ],
)
def test_labels_that_look_alike_do_not_collide(one, other):
    names = {mosaic_name(label, 500, 2000, "img", members=members) for label, members in (one, other)}
    assert len(names) == 2


@given(
    st.one_of(
        st.text(), st.from_regex(r"[0-9]{10}_(pn|xy)_S00[0-9]_[0-9]{1,3}-[0-9]{1,3}_(img|jpg)\.fits", fullmatch=True)
    )
)
def test_a_name_that_is_read_is_ours(name):
    for read in (parse_product_name, parse_mosaic_name, parse_pps_name):
        found = read(name)
        assert found is None or found.file_name == name


@pytest.mark.parametrize(
    "arguments",
    [
        ("404910601", "mos1", "S001", 500, 2000, "img"),
        ("0404910601\n", "mos1", "S001", 500, 2000, "img"),
        ("0404910601", "MOS1", "S001", 500, 2000, "img"),
        ("0404910601", "mos1", "1", 500, 2000, "img"),
        ("0404910601", "mos1", "S001", 2000, 500, "img"),
        ("0404910601", "mos1", "S001", -1, 500, "img"),
        ("0404910601", "mos1", "S001", 0.5, 500, "img"),
        ("0404910601", "mos1", "S001", "low", 500, "img"),
        ("0404910601", "mos1", "S001", 500, 10**9, "img"),
        ("0404910601", "mos1", "S001", 500, 2000, "picture"),
    ],
)
def test_bad_parts_are_refused(arguments):
    with pytest.raises(InvalidRecord):
        product_name(*arguments)


def test_other_names_are_refused():
    with pytest.raises(InvalidRecord, match="ten digits"):
        ccf_name("../etc")
    with pytest.raises(InvalidRecord, match="kind"):
        mosaic_name("A907", 500, 2000, "evts")
    with pytest.raises(InvalidRecord, match="single string"):
        mosaic_name("A907", 500, 2000, "img", members="a.fits")
    with pytest.raises(InvalidRecord, match="label"):
        MosaicName(label="a_b", lo_ev=1, hi_ev=2, kind="img")
    with pytest.raises(InvalidRecord, match="band and number"):
        PpsName(obs_id="0" * 10, source="PN", flag="S", exposure="003", product="PIEVLI", band="0", extension="FTZ")


@pytest.mark.parametrize(
    ("name", "camera", "exposure_id", "product", "band"),
    [
        ("P0404910601PNS003PIEVLI0000.FTZ", "pn", "S003", "PIEVLI", "0"),
        ("P0001730201M1S002MIEVLI.FTZ", "mos1", "S002", "MIEVLI", ""),
        ("P0004210201M2U002IMAGE_8000.FIT", "mos2", "U002", "IMAGE_", "8"),
        ("P0004210201EPX000OIMAGE8000.FTZ", None, "X000", "OIMAGE", "8"),
        ("P0201901401OBX000ATTTSR0000.FIT.gz", None, "X000", "ATTTSR", "0"),
        ("P0201901401PNS003SRSPEC001A.PDF", "pn", "S003", "SRSPEC", "0"),
    ],
)
def test_pipeline_names_are_read(name, camera, exposure_id, product, band):
    found = parse_pps_name(name)
    assert (found.camera, found.exposure_id, found.product, found.band) == (camera, exposure_id, product, band)
    assert found.file_name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "image.fits",
        "p0404910601PNS003PIEVLI0000.FTZ",
        "P0404910601PNS003PIEVLI000.FTZ",
        "P0404910601PNA003PIEVLI0000.FTZ",
        "P0404910601PNS003PIEVLI00G0.FTZ",
        "P0404910601PNS003PIEVLI0000.fits",
        "data/P0404910601PNS003PIEVLI0000.FTZ",
        "P0404910601PNS003PIEVLI0000.FTZ\n",
    ],
)
def test_other_names_are_no_pipeline_names(name):
    assert parse_pps_name(name) is None


@pytest.mark.parametrize(
    "record",
    [
        ProductName(obs_id="0404910601", instrument="pn", exposure_id="S003", lo_ev=500, hi_ev=2000, kind="img"),
        MosaicName(label="A907", lo_ev=500, hi_ev=2000, kind="img"),
        PpsName(obs_id="0404910601", source="PN", flag="S", exposure="003", product="PIEVLI", extension="FTZ"),
    ],
)
def test_names_are_records(record):
    assert pickle.loads(pickle.dumps(record)) == record
    assert {record: 1}[record] == 1


def test_real_pipeline_files_are_recognised():
    root = Path(os.environ.get("XPHOTFN_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
    files = [path.name for path in root.rglob("P*.F*")] if root.is_dir() else []
    if not files:
        pytest.skip(f"no real data in {root}; set XPHOTFN_TEST_DATA")
    assert {parse_pps_name(name).product for name in files} == {"ATTTSR", "MIEVLI"}
