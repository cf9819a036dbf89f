"""Builders against argv tables written by hand from SAS's pages and from XGA's own calls; then their refusals."""

import ast
import pickle
import sys
from pathlib import Path

import attrs
import pytest
from hypothesis import given, strategies as st

from xphotfn import commands
from xphotfn.commands import (
    ImageGrid,
    atthkgen,
    cifbuild,
    eexpmap,
    emosaic,
    evselect_image,
    odfingest,
    parameters_of,
    pi_channel,
    resolved,
    selection_expression,
    with_environment,
)
from xphotfn.errors import InvalidRecord, PlanError
from xphotfn.records.instrument import CAMERAS, INSTRUMENTS

XGA_GRID = (
    "xcolumn=X",
    "ycolumn=Y",
    "ximagebinsize=87",
    "yimagebinsize=87",
    "squarepixels=yes",
    "ximagesize=512",
    "yimagesize=512",
    "imagebinning=binSize",
    "ximagemin=3649",
    "ximagemax=48106",
    "withxranges=yes",
    "yimagemin=3649",
    "yimagemax=48106",
    "withyranges=yes",
)

PPS_GRID = ImageGrid(x_range=None, y_range=None, x_bin=80, y_bin=80, square_pixels=False)
ESAS_GRID = ImageGrid(x_range=(3401, 48400), y_range=(3401, 48400), x_size=900, y_size=900, binning="imageSize")
DETECTOR_GRID = ImageGrid(x_column="DETX", y_column="DETY", x_range=None, y_range=None, x_bin=80, y_bin=80)

IMAGE_ARGV = {
    "as XGA calls it": (
        evselect_image("e.fits", "i.fits", expression="(PI in [500:10000])", datatype=None),
        ("evselect", "table=e.fits", "imageset=i.fits", *XGA_GRID, "expression=(PI in [500:10000])"),
    ),
    "with a data type": (
        evselect_image("e.fits:EVENTS", "i.fits", expression="true"),
        (
            "evselect",
            "table=e.fits:EVENTS",
            "imageset=i.fits",
            *XGA_GRID,
            "imagedatatype=Int32",
            "withimagedatatype=yes",
            "expression=true",
        ),
    ),
    "on the pipeline's grid": (
        evselect_image("e.fits", "i.fits", expression="true", grid=PPS_GRID, datatype=None),
        (
            "evselect",
            "table=e.fits",
            "imageset=i.fits",
            "xcolumn=X",
            "ycolumn=Y",
            "ximagebinsize=80",
            "yimagebinsize=80",
            "squarepixels=no",
            "ximagesize=648",
            "yimagesize=648",
            "imagebinning=binSize",
            "withxranges=no",
            "withyranges=no",
            "expression=true",
        ),
    ),
    "by size": (
        evselect_image("e.fits", "i.fits", expression="true", grid=ESAS_GRID, datatype="Real32"),
        (
            "evselect",
            "table=e.fits",
            "imageset=i.fits",
            "xcolumn=X",
            "ycolumn=Y",
            "squarepixels=yes",
            "ximagesize=900",
            "yimagesize=900",
            "imagebinning=imageSize",
            "ximagemin=3401",
            "ximagemax=48400",
            "withxranges=yes",
            "yimagemin=3401",
            "yimagemax=48400",
            "withyranges=yes",
            "imagedatatype=Real32",
            "withimagedatatype=yes",
            "expression=true",
        ),
    ),
    "in detector coordinates": (
        evselect_image("e.fits", "i.fits", expression="true", grid=DETECTOR_GRID, datatype=None),
        (
            "evselect",
            "table=e.fits",
            "imageset=i.fits",
            "xcolumn=DETX",
            "ycolumn=DETY",
            "ximagebinsize=80",
            "yimagebinsize=80",
            "squarepixels=yes",
            "imagebinning=binSize",
            "withxranges=no",
            "withyranges=no",
            "expression=true",
        ),
    ),
}

OTHER_ARGV = {
    "exposure map": (
        eexpmap("i.fits", "a.fits", "e.fits", "x.fits", band=(500, 2000)),
        (
            "eexpmap",
            "imageset=i.fits",
            "attitudeset=a.fits",
            "eventset=e.fits",
            "expimageset=x.fits",
            "withdetcoords=no",
            "withvignetting=yes",
            "pimin=500",
            "pimax=2000",
        ),
    ),
    "exposure maps of two bands": (
        eexpmap(
            "i.fits",
            "a.fits",
            "e.fits:EVENTS",
            ["x.fits", "y.fits"],
            band=[(500, 2000), (2000, 10000)],
            withvignetting=False,
            withdetcoords=True,
            attrebin=0.020626481,
            usefastpixelization=True,
            usedlimap=True,
        ),
        (
            "eexpmap",
            "imageset=i.fits",
            "attitudeset=a.fits",
            "eventset=e.fits:EVENTS",
            "expimageset=x.fits y.fits",
            "withdetcoords=yes",
            "withvignetting=no",
            "usefastpixelization=yes",
            "usedlimap=yes",
            "attrebin=0.020626481",
            "pimin=500 2000",
            "pimax=2000 10000",
        ),
    ),
    "mosaic, as XGA calls it": (
        emosaic(["a.fits", "b.fits"], "m.fits"),
        ("emosaic", "imagesets=a.fits b.fits", "mosaicedset=m.fits"),
    ),
    "mosaic divided by exposure": (
        emosaic(("a.fits", "b.fits"), "m.fits", exposuresets=("ax.fits", "bx.fits"), withexposure=True),
        (
            "emosaic",
            "imagesets=a.fits b.fits",
            "mosaicedset=m.fits",
            "exposuresets=ax.fits bx.fits",
            "withexposure=yes",
        ),
    ),
    "calibration index, as XGA calls it": (
        cifbuild(observation_date="2006-05-27T12:00:00", masterindexset="ccf.mif"),
        (
            "cifbuild",
            "calindexset=ccf.cif",
            "withobservationdate=yes",
            "observationdate=2006-05-27T12:00:00",
            "withmasterindexset=yes",
            "masterindexset=ccf.mif",
        ),
    ),
    "calibration index, as DAXA calls it": (
        cifbuild(observation_date="2006-05-27T12:00:00", analysis_date="2024-02-29", fullpath=True),
        (
            "cifbuild",
            "calindexset=ccf.cif",
            "withobservationdate=yes",
            "observationdate=2006-05-27T12:00:00",
            "analysisdate=2024-02-29",
            "fullpath=yes",
        ),
    ),
    "master index": (
        cifbuild("ccf.mif", observation_date=None, masterindex=True),
        ("cifbuild", "calindexset=ccf.mif", "masterindex=yes"),
    ),
    "observation summary, as DAXA calls it": (
        odfingest("odf", outdir="work"),
        ("odfingest", "odfdir=odf", "withodfdir=yes", "outdir=work"),
    ),
    "observation summary of a given name": (
        odfingest(".", summaryfile="SUM.SAS"),
        ("odfingest", "odfdir=.", "withodfdir=yes", "outdir=.", "summaryfile=SUM.SAS", "usecanonicalname=no"),
    ),
    "attitude": (atthkgen("att.fits"), ("atthkgen", "atthkset=att.fits", "timestep=1")),
    "attitude in half seconds": (atthkgen("att.fits", timestep=0.5), ("atthkgen", "atthkset=att.fits", "timestep=0.5")),
}

COMMANDS = IMAGE_ARGV | OTHER_ARGV


@pytest.mark.parametrize("name", COMMANDS)
def test_argv(name):
    command, argv = COMMANDS[name]
    assert command.argv == argv


def test_exposure_map_says_what_xga_says():
    command, _ = COMMANDS["exposure map"]
    xga = (
        "eexpmap eventset=e.fits imageset=i.fits expimageset=x.fits withdetcoords=no withvignetting=yes "
        "attitudeset=a.fits pimin=500 pimax=2000"
    )
    assert sorted(command.argv) == sorted(xga.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_hash_pickle_and_resolve(name):
    command, _ = COMMANDS[name]
    assert pickle.loads(pickle.dumps(command)) == command
    assert hash(command) == hash(attrs.evolve(command))
    complete = resolved(command)
    assert [key for key, _ in complete.parameters] == [p.name for p in parameters_of(command.task)]
    assert resolved(complete) == complete
    assert set(command.parameters) <= set(complete.parameters)


def test_files_are_declared():
    image = evselect_image(
        "e.fits:EVENTS", "i.fits", expression="GTI(a.fits[GTI0],TIME) && region(r.fits:REG, X,Y) && TIME in gti(a.fits)"
    )
    assert (image.inputs, image.outputs) == (("e.fits", "a.fits", "r.fits"), ("i.fits",))
    own = evselect_image(
        "e.fits", "i.fits", expression="gti(:STDGTI01,TIME) && (X,Y) in circle(1,2,3) && mask(m.fits,1,1,X,Y)"
    )
    assert own.inputs == ("e.fits", "m.fits")
    maps, _ = COMMANDS["exposure maps of two bands"]
    assert (maps.inputs, maps.outputs) == (("i.fits", "a.fits", "e.fits"), ("x.fits", "y.fits"))
    mosaic, _ = COMMANDS["mosaic divided by exposure"]
    assert (mosaic.inputs, mosaic.outputs) == (("a.fits", "b.fits", "ax.fits", "bx.fits"), ("m.fits",))
    index, _ = COMMANDS["calibration index, as XGA calls it"]
    assert (index.inputs, index.outputs) == (("ccf.mif",), ("ccf.cif",))
    assert [(odfingest("odf").inputs, odfingest("odf").outputs), odfingest(".", outdir="o").outputs] == [
        (("odf",), ()),
        ("o",),
    ]
    assert odfingest(".", summaryfile="SUM.SAS").outputs == ("SUM.SAS",)


def test_environment_is_data_and_an_input():
    command = with_environment(atthkgen("att.fits"), calindexset="ccf.cif", odf="SUM.SAS")
    assert command.env == (("SAS_CCF", "ccf.cif"), ("SAS_ODF", "SUM.SAS"))
    assert command.inputs == ("ccf.cif", "SUM.SAS")
    assert with_environment(command, calindexset="other.cif").env[0] == ("SAS_CCF", "other.cif")
    with pytest.raises(InvalidRecord, match=r"cannot read it"):
        with_environment(cifbuild(observation_date=None), calindexset="ccf.cif")


REFUSED = {
    "path in": (lambda: evselect_image("/data/e.fits", "i.fits", expression="true"), "table must be a plain file"),
    "path up": (lambda: evselect_image("e.fits", "../i.fits", expression="true"), "imageset must be a plain file"),
    "block out": (lambda: evselect_image("e.fits", "i.fits:IMAGE", expression="true"), "without a block"),
    "bad block": (lambda: evselect_image("e.fits:A B", "i.fits", expression="true"), "'e.fits:A B'"),
    "gti path": (lambda: evselect_image("e.fits", "i.fits", expression="gti(/tmp/g.fits,TIME)"), "'/tmp/g.fits'"),
    "overwrite": (lambda: evselect_image("e.fits", "e.fits", expression="true"), "own input e.fits"),
    "no expression": (lambda: evselect_image("e.fits", "i.fits", expression=" "), "one line of plain text"),
    "quote": (lambda: evselect_image("e.fits", "i.fits", expression="PI=='1'"), "without '"),
    "line feed": (lambda: evselect_image("e.fits", "i.fits", expression="PI\n>1"), "one line of plain text"),
    "data type": (
        lambda: evselect_image("e.fits", "i.fits", expression="true", datatype="Int64"),
        "imagedatatype must be one of Int8, Int16, Int32, Real32, Real64, got 'Int64'",
    ),
    "band count": (lambda: eexpmap("i", "a", "e", "x", band=[(1, 2), (2, 3)]), "one map for each band, got 1 for 2"),
    "band down": (lambda: eexpmap("i", "a", "e", "x", band=(2000, 500)), "0 <= lo < hi"),
    "band of three": (lambda: eexpmap("i", "a", "e", "x", band=(1, 2, 3)), "a pair"),
    "no band": (lambda: eexpmap("i", "a", "e", "x", band=()), "a pair"),
    "attrebin": (lambda: eexpmap("i", "a", "e", "x", band=(1, 2), attrebin=float("nan")), "attrebin must be a finite"),
    "one name": (lambda: emosaic("a.fits", "m.fits"), "put it in a tuple"),
    "same image": (lambda: emosaic(["a.fits", "b.fits", "a.fits"], "m.fits"), "imagesets repeats a.fits"),
    "equal names": (lambda: emosaic(["a.fits", "a.fits"], "m.fits"), "imagesets repeats a.fits"),
    "mosaic over input": (lambda: emosaic(["a.fits", "b.fits"], "b.fits"), "own input b.fits"),
    "sampling": (lambda: emosaic(["a.fits"], "m.fits", sampling="cubic"), "sampling must be one of point, got 'cubic'"),
    "maps without switch": (lambda: emosaic(["a.fits"], "m.fits", exposuresets=["x.fits"]), "1 maps for 1 images"),
    "switch without maps": (lambda: emosaic(["a.fits"], "m.fits", withexposure=True), "0 maps for 1 images"),
    "date": (lambda: cifbuild(observation_date="27/05/2006"), "yyyy-mm-ddThh:mm:ss, yyyy-mm-dd or now"),
    "day": (lambda: cifbuild(observation_date="2006-02-30"), "observation_date must be"),
    "time": (lambda: cifbuild(observation_date="now", analysis_date="2006-02-03T25:00:00"), "analysis_date must be"),
    "folder": (lambda: odfingest("/data/odf"), "odfdir must be a plain file"),
    "time step": (lambda: atthkgen("att.fits", timestep=0), "timestep must be above 0"),
    "instrument": (lambda: selection_expression(1, 2, "acis", filtered=True), "'acis': use one of pn, mos1, mos2"),
    "energy": (lambda: pi_channel(float("inf")), "energy_ev"),
    "negative": (lambda: pi_channel(-1), "energy_ev"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_what_was_found(name):
    call, message = REFUSED[name]
    with pytest.raises(InvalidRecord) as caught:
        call()
    assert message in str(caught.value)


def test_mosaics_have_the_limit_of_sas():
    names = [f"i{n}.fits" for n in range(1000)]
    assert len(emosaic(names[:999], "m.fits").inputs) == 999
    with pytest.raises(PlanError, match=r"1 to 999 images, got 1000.*mosaic of those"):
        emosaic(names, "m.fits")
    with pytest.raises(PlanError, match="got 0"):
        emosaic((), "m.fits")


@given(st.integers(0, 50000))
def test_energies_become_channels_by_rounding(channel):
    assert pi_channel(channel / 1000 * 1000) == channel
    assert pi_channel(channel + 0.49) == channel


def test_energies_are_not_cut():
    assert pi_channel(1.001 * 1000) == 1001
    assert selection_expression(1.001 * 1000, 2.3 * 1000, "pn", filtered=True) == "(PI in [1001:2300])"
    maps = eexpmap("i", "a", "e", "x", band=(1.001 * 1000, 2.3 * 1000))
    assert (maps.parameter("pimin"), maps.parameter("pimax")) == ("1001", "2300")


@pytest.mark.parametrize(
    ("arguments", "options", "expression"),
    [
        ((500, 2000, "mos2"), {"filtered": True}, "(PI in [500:2000])"),
        ((500, 2000, "mos2"), {"filtered": False}, "#XMMEA_EM && (PATTERN <= 12) && (PI in [500:2000])"),
        ((500, 2000, "pn"), {"filtered": False}, "#XMMEA_EP && (PATTERN <= 4) && (PI in [500:2000])"),
        (
            (0, 1, "pn"),
            {"filtered": True, "extra": " RAWY > 12 || CCDNR == 1 "},
            "(PI in [0:1]) && (RAWY > 12 || CCDNR == 1)",
        ),
    ],
)
def test_default_selections(arguments, options, expression):
    assert selection_expression(*arguments, **options) == expression


def test_the_argv_of_an_image_follows_the_row_of_its_camera(monkeypatch):
    changed = tuple(attrs.evolve(c, flag_macro="#OTHER", max_pattern=7) for c in INSTRUMENTS)
    monkeypatch.setattr(sys.modules["xphotfn.records.instrument"], "INSTRUMENTS", changed)
    for camera in CAMERAS:
        expression = selection_expression(500, 2000, camera, filtered=False)
        argv = evselect_image("e.fits", "i.fits", expression=expression).argv
        assert "expression=#OTHER && (PATTERN <= 7) && (PI in [500:2000])" in argv


def test_the_room_names_what_it_offers():
    assert set(commands.__all__) <= set(dir(commands))
    assert commands.evselect_image is evselect_image


def test_commands_import_attrs_and_nothing_heavy():
    folder = Path(commands.__file__).parent
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            found.update(name.partition(".")[0] for name in names)
    impure = {"os", "subprocess", "time", "random", "logging", "warnings", "pathlib", "shutil"}
    assert found - set(sys.stdlib_module_names) <= {"attrs", "xphotfn"}
    assert not found & impure
