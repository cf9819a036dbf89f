"""XPROC0 texts: every card in the real data comes back to the letter, and our own commands say what SAS's cards say."""

import os
import warnings
from pathlib import Path

import attrs
import pytest
from astropy.io import fits
from hypothesis import given, strategies as st

from xphotfn.commands import (
    Command,
    ImageGrid,
    atthkgen,
    card_version,
    cifbuild,
    eexpmap,
    evselect_image,
    parameters_of,
    parse_xproc,
    resolved,
    to_card,
)
from xphotfn.errors import ExpressionError, InvalidRecord, XphotfnError

DATA = Path(os.environ.get("XPHOTFN_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
FILES = sorted(p for p in DATA.rglob("*") if p.suffix in (".gz", ".fits", ".FTZ")) if DATA.is_dir() else []
ABSENT = f"no real data in {DATA}; set XPHOTFN_TEST_DATA"
EACH_FILE = [pytest.param(path, id=path.name) for path in FILES] or [pytest.param(None, marks=pytest.mark.skip(ABSENT))]

MOSAIC = (
    "emosaic imagesets='product/P0004210201PNU002IMAGE_8000.FIT product/P0004210201M2S002IMAGE_8000.FIT "
    "product/P0004210201M1S001IMAGE_8000.FIT' exposuresets=expmap.ds withexposure=no "
    "mosaicedset=product/P0004210201EPX000OIMAGE8000.FIT sampling=point forceuniformkwds=yes "
    "# (emosaic-1.18) [xmmsas_20190401_1820-18.0.0]"
)


def cards(path):
    """Return the XPROC cards of a file's primary header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy speaks of keywords that these headers write in an old style
        header = fits.getheader(path, 0)
    return [str(header[key]) for key in header if key.startswith("XPROC")]


def real_card(pattern):
    found = [path for path in FILES if path.match(pattern)]
    if not found:
        pytest.skip(f"no {pattern} in {DATA}; set XPHOTFN_TEST_DATA")
    return cards(found[0])[0]


def base_names(command):
    """Return the parameters with folders taken off the values."""
    return {
        name: value if " " in value or "*" in value else value.rpartition("/")[2] for name, value in command.parameters
    }


@pytest.mark.skipif(not FILES, reason=ABSENT)
def test_there_are_real_cards():
    texts = [card for path in FILES for card in cards(path)]
    assert len(texts) == 55
    tasks = {parse_xproc(card).task for card in texts}
    assert tasks >= {"evselect", "eexpmap", "atthkgen", "cifbuild", "tabgtigen", "attcalc", "addattribute"}


@pytest.mark.parametrize("path", EACH_FILE)
def test_real_cards_come_back_to_the_letter(path):
    for card in cards(path):
        command = parse_xproc(card)
        assert to_card(command, version=card_version(card)) == card
        assert not [name for name in (*command.inputs, *command.outputs) if "/" in name]


def test_a_pipeline_mosaic_comes_back_to_the_letter():
    command = parse_xproc(MOSAIC)
    assert to_card(command, version=card_version(MOSAIC)) == MOSAIC
    assert command.outputs == ("P0004210201EPX000OIMAGE8000.FIT",)
    assert len(command.inputs) == 3  # expmap.ds is a default that is not in use
    assert [name for name, _ in command.parameters] == [p.name for p in parameters_of("emosaic")]


@pytest.mark.parametrize("path", EACH_FILE)
def test_tables_have_the_order_of_real_cards(path):
    for command in map(parse_xproc, cards(path)):
        if command.task in ("evselect", "eexpmap", "cifbuild", "atthkgen"):
            names = [name for name, _ in command.parameters]
            table = [p.name for p in parameters_of(command.task)]
            assert names == [name for name in table if name in names]
            assert set(table) - set(names) <= {"nonStandardSpec"}
            complete = resolved(command)
            assert [pair for pair in complete.parameters if pair[0] in names] == list(command.parameters)


def test_only_files_in_use_are_declared():
    image = parse_xproc(real_card("*0201901401_mos1_0.50-2.00keV_img.fits.gz"))
    assert image.inputs == ("mos1_exp1_clean_evts.fits",)
    assert image.outputs == ("0201901401_mos1_exp1-0.50-2.00keVimg.fits",)
    events = parse_xproc(real_card("P0001730201M1S002MIEVLI.FTZ"))
    assert events.outputs == ("P0001730201M1S001MIEVLI0000.FIT",)


def test_our_image_says_what_the_real_one_says():
    card = real_card("*0201901401_mos1_0.50-2.00keV_img.fits.gz")
    real = parse_xproc(card)
    ours = evselect_image(
        "mos1_exp1_clean_evts.fits",
        "0201901401_mos1_exp1-0.50-2.00keVimg.fits",
        expression="#XMMEA_EM && (PATTERN <= 12) && (FLAG .eq. 0)&& PI in [500:2000]",
        datatype="Real64",
    )
    assert base_names(resolved(ours)) == base_names(real) | {"nonStandardSpec": "no"}
    assert (ours.inputs, ours.outputs) == (real.inputs, real.outputs)


def test_our_pipeline_image_says_what_the_real_one_says():
    real = base_names(parse_xproc(real_card("M1_image.fits")))
    grid = ImageGrid(x_range=None, y_range=None, x_bin=80, y_bin=80, square_pixels=False)
    ours = resolved(evselect_image("M1_clean.fits", "M1_image.fits", expression="true", grid=grid, datatype=None))
    sizes = {"ximagesize": "648", "yimagesize": "648"}  # SAS ignores the size there, and echoes its default
    assert dict(ours.parameters) == real | sizes


def test_our_exposure_map_says_what_the_real_one_says():
    real = parse_xproc(real_card("*0404910601_pn_0.50-2.00keV_expmap.fits.gz"))
    ours = eexpmap(
        "0404910601_pn_exp1-0.50-2.00keVimg.fits",
        "P0404910601OBX000ATTTSR0000.FIT",
        "pn_exp1_clean_evts.fits",
        "0404910601_pn_exp1-0.50-2.00keVexpmap.fits",
        band=(500, 2000),
    )
    assert list(base_names(resolved(ours)).items()) == list(base_names(real).items())
    assert (ours.inputs, ours.outputs) == (real.inputs, real.outputs)


def test_our_attitude_and_index_say_what_the_real_ones_say():
    attitude = parse_xproc(real_card("P0404910601OBX000ATTTSR0000.FIT.gz"))
    assert resolved(atthkgen("P0404910601OBX000ATTTSR0000.FIT")) == attitude
    index = parse_xproc(real_card("*0404910601/ccf.cif.gz"))
    ours = resolved(cifbuild(observation_date=None, fullpath=True))
    assert base_names(ours) | {"withccfpath": "yes", "ccfpath": "ccf"} == base_names(index)
    assert ours.outputs == index.outputs == ("ccf.cif",)


def test_our_card_survives_a_fits_header():
    command = resolved(evselect_image("e.fits", "i.fits", expression="gti(g.fits,TIME) && (PI in [500:2000])"))
    header = fits.Header()
    header["XPROC0"] = to_card(command, version="(evselect-3.71.1) [xmmsas_20211130_0941-20.0.0]")
    again = fits.Header.fromstring(header.tostring())
    assert parse_xproc(again["XPROC0"]).parameters == command.parameters


def test_partial_commands_are_read_too():
    command = parse_xproc("evselect table=e.fits imageset=/tmp/i.fits rateset=r.fits withrateset=N")
    assert (command.inputs, command.outputs) == (("e.fits",), ("i.fits",))
    assert parse_xproc("cifbuild calindexset=c.cif masterindexset=m.mif").inputs == ()
    assert parse_xproc("sasversion # (sasversion-1.3) [20.0.0]").parameters == ()
    assert parse_xproc("mytask odd=/a/b.fits").inputs == ()


def test_names_that_no_engine_could_use_are_left_out():
    command = parse_xproc("emosaic imagesets='a/i.fits b/i.fits \"c/j.fits\" ;rm' mosaicedset=m.fits")
    assert command.inputs == ("i.fits", "j.fits")


@pytest.mark.parametrize(
    ("card", "position", "problem"),
    [
        ("", 0, "name of its task"),
        ("=a", 0, "name of its task"),
        ("../evselect a=1", 0, "name of its task"),
        ("evselect table", 8, "name=value"),
        ("evselect table=", 8, "name=value"),
        ("evselect table=a b", 16, "name=value"),
        ("evselect a='b", 8, "name=value"),
        ("evselect a='b'c", 8, "name=value"),
        ("evselect a=b'c", 8, "name=value"),
        ("evselect a=1 a=2", 13, "given twice"),
        ("evselect a=1 #", 12, "name=value"),
        ("evselect a=1 -w 1", 12, "name=value"),
    ],
)
def test_malformed_cards_are_pointed_at(card, position, problem):
    with pytest.raises(ExpressionError) as caught:
        parse_xproc(card)
    assert caught.value.position == position
    assert problem in str(caught.value)


def test_what_no_card_can_hold_is_refused():
    for value in ("it's", "a\nb", "\u03b1"):
        with pytest.raises(InvalidRecord, match="no XPROC card can hold"):
            to_card(Command(task="evselect", parameters=(("expression", value),)))
    with pytest.raises(InvalidRecord, match="no XPROC card can hold"):
        to_card(Command(task="evselect", parameters=(("two words", "a"),)))
    with pytest.raises(InvalidRecord, match="version"):
        to_card(Command(task="evselect"), version="a\nb")


PRINTABLE = [chr(code) for code in range(32, 127) if chr(code) != "'"]
NAMES = st.from_regex(r"[a-z][A-Za-z0-9_]{0,8}", fullmatch=True)
PARAMETERS = st.dictionaries(NAMES, st.text(PRINTABLE, max_size=20), max_size=6)
VERSIONS = st.text(PRINTABLE, max_size=20).map(str.strip)


@given(st.sampled_from(("evselect", "eexpmap", "mytask")), PARAMETERS, VERSIONS)
def test_any_command_comes_back(task, parameters, version):
    command = Command(task=task, parameters=parameters)
    card = to_card(command, version=version)
    again = parse_xproc(card)
    assert attrs.evolve(again, inputs=(), outputs=()) == command
    assert card_version(card) == version
    assert to_card(again, version=version) == card


@given(
    st.one_of(
        st.text(), st.text(["a", "=", "'", " ", "#", '"', "/", ":", "b", "\n"], max_size=30).map("evselect ".__add__)
    )
)
def test_any_text_is_read_or_refused(text):
    try:
        command = parse_xproc(text)
    except XphotfnError:
        return
    try:
        card = to_card(command)
    except InvalidRecord:  # a character that no card can hold
        return
    assert parse_xproc(card) == command
