"""SAS's command line by our interpreter: syntax, paths, messages and exit codes, mostly through real processes."""

import io
import os
import re
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from click.testing import CliRunner
from hypothesis import given, strategies as st

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.commands.builders import evselect_image
from xphotfn.commands.messages import parse_messages, sas_version
from xphotfn.engines.shims.command_line import TaskError, parse_line, split_list
from xphotfn.engines.shims.scratch import staged
from xphotfn.engines.shims.task import NAMES, run_task, write_shims
from xphotfn.errors import InvalidFile
from xphotfn.simulate.observing import simulate_observations
from xphotfn.simulate.scene import default_scene

IMAGE = ("xcolumn=X", "ycolumn=Y", "imagebinning=binSize", "ximagebinsize=87", "yimagebinsize=87", "squarepixels=yes",
         "withxranges=yes", "ximagemin=3649", "ximagemax=48106", "withyranges=yes", "yimagemin=3649",
         "yimagemax=48106")  # fmt: skip
BAND = "expression=(PI in [500:2000])"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One short MOS1 exposure: event list and attitude."""
    scene = default_scene()
    first = scene.pointings[0]
    camera = evolve(first.exposures[1], ontime_s=300.0)
    root = tmp_path_factory.mktemp("tasks")
    simulate_observations(root, scene=evolve(scene, pointings=[evolve(first, exposures=[camera])]), products="events")
    return next(root.rglob("*evts.fits")), next(root.rglob("*ATTTSR*"))


@pytest.fixture
def call(data, tmp_path, monkeypatch):
    """Return a function that runs a task in a folder with ``events.fits``, and gives status, output and errors."""
    monkeypatch.chdir(tmp_path)
    for name in ("SAS_CLOBBER", "SAS_VERBOSITY", "SAS_SUPPRESS_WARNING"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "events.fits").symlink_to(data[0])
    (tmp_path / "att.fits").symlink_to(data[1])

    def run(*argv):
        out, err = io.StringIO(), io.StringIO()
        status = run_task(argv, out=out, err=err)
        left = [p.name for p in tmp_path.iterdir() if p.name.startswith((".xphotfn", ".image"))]
        assert left == []
        return status, out.getvalue(), err.getvalue()

    return run


def native(tmp_path, data):
    folder = tmp_path / "native"
    folder.mkdir()
    (folder / "events.fits").symlink_to(data[0])
    command = evselect_image("events.fits", "image.fits", expression="(PI in [500:2000])")
    xp.native_engine().execute(command, folder)
    return folder / "image.fits"


# The command line.


@pytest.mark.parametrize(
    ("words", "options", "parameters"),
    [
        (["table=a", "imageset=i"], {}, {"table": "a", "withimageset": "yes"}),
        (["--table=a", "--imageset=i"], {}, {"imageset": "i"}),
        (["-V", "2", "table=a", "-w", "1"], {"verbosity": "2", "warning": "1"}, {}),
        (["-V2", "table=a", "-w=3"], {"verbosity": "2", "warning": "3"}, {}),
        (["--verbosity=7", "table=a", "--warning", "0"], {"verbosity": "7", "warning": "0"}, {}),
        (["table=a", "-c"], {"noclobber": "yes"}, {}),
        (["table=a", "-t", "-a", "/ccf", "-i", "x.cif", "-o", "odf", "-f", "f"],
         {"trace": "yes", "ccfpath": "/ccf", "ccf": "x.cif", "odf": "odf", "ccffiles": "f"}, {}),
        (["table=a", "squarepixels=TRUE", "writedss=N"], {}, {"squarepixels": "yes", "writedss": "no"}),
        (["table=a", "ximagemin=5"], {}, {"withxranges": "yes", "withimageset": "yes"}),
        (["table=a", "ximagemin=5", "withxranges=no"], {}, {"withxranges": "no"}),
        (["table=a", "filteredset=f"], {}, {"keepfilteroutput": "yes", "withfilteredset": "yes"}),
        (["table=a", "expression='(PI>5) && #XMMEA_EM'"], {}, {"expression": "(PI>5) && #XMMEA_EM"}),
        (["table=a", 'expression="a == b"'], {}, {"expression": "a == b"}),
        (["table=a", "expression=a==b"], {}, {"expression": "a==b"}),
        (["table=a", "expression="], {}, {"expression": ""}),
        (["table=a b.fits"], {}, {"table": "a b.fits", "expression": "true", "ximagesize": "600"}),
    ],
)  # fmt: skip
def test_command_lines(words, options, parameters):
    line = parse_line(("evselect", *words))
    assert line.options == options
    assert {name: line.command.parameter(name) for name in parameters} == parameters
    assert len(line.command.parameters) == 66


@pytest.mark.parametrize(
    ("words", "name", "text"),
    [
        (["evselect"], "ParamMandatory", "mandatory parameter table has not been specified"),
        (["evselect", "table="], "ParamMandatory", "mandatory parameter table"),
        (["evselect", "table=a", "tabel=b"], "ParamNotFound", "parameter tabel is not known"),
        (["evselect", "table=a", "stray"], "ParamNotFound", "'stray' is neither name=value nor an option of evselect"),
        (["evselect", "table=a", "--stray"], "ParamNotFound", "'--stray' is neither"),
        (["evselect", "table=a", "-x"], "ParamNotFound", "'-x' is neither"),
        (["evselect", "table=a", "-table=a"], "ParamNotFound", "'-table=a': this option takes no value"),
        (["evselect", "table=a", ""], "ParamNotFound", "'' is neither"),
        (["evselect", "table=a", "table=b"], "ParamMultiple", "parameter table is given twice"),
        (["evselect", "table=a", "flagbit=x"], "ParamWrongType", "flagbit must be of the kind int, got 'x'"),
        (["evselect", "table=a", "squarepixels=maybe"], "ParamWrongType", "squarepixels must be of the kind bool"),
        (["evselect", "table=a", "imagebinning=big"], "ParamWrongType", "must be one of imageSize, binSize"),
        (["evselect", "table=a", "-V", "loud"], "ParamWrongType", "option verbosity needs a whole number"),
        (["evselect", "table=a", "-V"], "ParamWrongType", "option verbosity needs a whole number, got ''"),
        (["eexpmap", "imageset=i", "attitudeset=a", "eventset=e", "expimageset=x"], "ParamMandatory", "pimax"),
        (["emosaic", "imagesets=a b"], "ParamMandatory", "mosaicedset"),
        (["emask"], "TaskNotFound", "there is no task 'emask' here; there are cifbuild"),
        ([], "TaskNotFound", "there is no task"),
        (["evselect", "table=a", "imageset=i", "-d"], "NoDialog", "no windows"),
    ],
)
def test_wrong_command_lines_end_with_1_and_a_message_in_the_form_of_sas(call, words, name, text):
    status, out, err = call(*words)
    assert (status, out) == (1, "")
    (message,) = parse_messages(err)
    assert (message.severity, message.name) == ("error", name)
    assert text in message.text
    if words:
        assert message.task == words[0]


@given(st.lists(st.text(st.characters(codec="ascii"), max_size=20), max_size=5))
def test_no_words_make_it_raise(words):
    err = io.StringIO()
    assert run_task(("evselect", "table=/no/such", *words), out=io.StringIO(), err=err) in (0, 1)


def test_lists():
    assert split_list("a  b\tc") == ("a", "b", "c")
    assert split_list("'a b' \"c d\" e") == ("a b", "c d", "e")
    assert split_list("") == ()
    with pytest.raises(TaskError, match="a quote is left open"):
        split_list("'a b")


# Files.


def test_an_image_is_that_of_the_native_engine(call, data, tmp_path):
    command = evselect_image("events.fits", "image.fits", expression="(PI in [500:2000])")
    status, out, err = call(*command.argv)
    assert (status, err) == (0, "")
    assert (tmp_path / "image.fits").read_bytes() == native(tmp_path, data).read_bytes()
    assert "evselect:- Executing (routine): evselect table=events.fits" in out
    assert " started:  " in out
    assert " ended:    " in out
    assert all(m.severity == "info" for m in parse_messages(out))
    assert (tmp_path / "image.fits").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("table", "image"),
    [
        ("events.fits:EVENTS", "{0}/image.fits"),
        ("{0}/events.fits", "sub/image.fits"),
        ("sub/../events.fits:EVENTS", "./image.fits"),
        ("odd dir/e v;ents.fits", "odd dir/i m 'a' ge.fits"),
        ("co:lon.fits", "im:age.fits"),
        ("co:lon.fits:EVENTS", "-image.fits"),
        ("copy/events.fits", "copy/image.fits"),
        ("events.fits", "copy/events.fits.img"),
    ],
)
def test_paths_are_relative_or_absolute_and_of_any_name(call, data, tmp_path, table, image):
    for name in ("sub", "odd dir", "copy"):
        (tmp_path / name).mkdir()
    for name in ("odd dir/e v;ents.fits", "co:lon.fits", "copy/events.fits"):
        (tmp_path / name).symlink_to(data[0])
    table, image = table.format(tmp_path), image.format(tmp_path)
    status, _, err = call("evselect", f"table={table}", f"imageset={image}", *IMAGE, BAND)
    assert (status, err) == (0, "")
    assert np.array_equal(fits.getdata(tmp_path / image), fits.getdata(native(tmp_path, data)))


def test_an_output_may_have_the_name_of_an_input_elsewhere(call, tmp_path):
    (tmp_path / "sub").mkdir()
    status, _, err = call("evselect", "table=events.fits", "filteredset=sub/events.fits", "expression=PI>2000")
    assert (status, err) == (0, "")
    kept, every = fits.getdata(tmp_path / "sub/events.fits", 1), fits.getdata(tmp_path / "events.fits", 1)
    assert 0 < len(kept) < len(every)


def test_outputs_are_replaced_unless_told_otherwise(call, tmp_path, monkeypatch):
    image = tmp_path / "image.fits"
    words = ("evselect", "table=events.fits", "imageset=image.fits", *IMAGE)
    image.write_text("old")
    status, _, err = call(*words, "-c")
    assert status == 1
    assert "error (FileExists), image.fits exists already" in err
    monkeypatch.setenv("SAS_CLOBBER", "0")
    assert call(*words)[0] == 1
    assert image.read_text() == "old"
    monkeypatch.setenv("SAS_CLOBBER", "1")
    status, _, err = call(*words)
    assert status == 1
    assert "exists and is a table of text, not FITS, and so is not replaced" in err
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(image, overwrite=True)
    assert call(*words)[0] == 0
    assert fits.getdata(image).sum() > 0


def test_a_failing_task_leaves_what_was_there(call, tmp_path):
    (tmp_path / "image.fits").write_text("old")
    status, _, err = call("evselect", "table=events.fits", "imageset=image.fits", *IMAGE, "expression=PI in [5")
    assert status == 1
    assert "** evselect: error (ExpressionError), " in err
    assert len(parse_messages(err)) == 1, "the lines that point at the place continue the message"
    assert (tmp_path / "image.fits").read_text() == "old"


def test_an_output_that_is_a_link_is_replaced_and_never_written_through(call, tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "image.fits").symlink_to(tmp_path / "precious")
    assert call("evselect", "table=events.fits", "imageset=image.fits", *IMAGE)[0] == 0
    assert not (tmp_path / "image.fits").is_symlink()
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize(
    ("table", "image", "name", "text"),
    [
        ("gone.fits", "image.fits", "FileNotFound", "gone.fits is not there"),
        ("sub", "image.fits", "FileNotFound", "sub is no file"),
        ("events.fits", "no/such/image.fits", "FileNotCreated", "there is no folder"),
        ("events.fits", "sub", "FileNotCreated", "it is a folder"),
        ("events.fits", "pipe", "FileNotCreated", "a device or a pipe"),
        ("broken.fits", "image.fits", "InvalidFile", "broken.fits"),
        ("sub/e v.fits", "image.fits", "InvalidFile", "sub/e v.fits"),
        ("events.fits:NOTHING", "image.fits", "InvalidFile", "NOTHING"),
    ],
)
def test_bad_files_are_named_as_the_user_did(call, tmp_path, table, image, name, text):
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken.fits").write_text("nothing like FITS")
    (tmp_path / "sub/e v.fits").write_text("nothing like FITS")
    status, _, err = call("evselect", f"table={table}", f"imageset={image}", *IMAGE)
    assert status == 1
    (message,) = parse_messages(err)
    assert message.name == name
    assert text in message.text


def test_files_in_an_expression_are_found(call, tmp_path):
    (tmp_path / "sub").mkdir()
    table = fits.BinTableHDU.from_columns(
        [fits.Column("START", "D", array=[0.0]), fits.Column("STOP", "D", array=[1e12])], name="STDGTI"
    )
    table.writeto(tmp_path / "sub" / "g t i.fits")
    table.writeto(tmp_path / "sub" / "gti.fits")
    words = ("evselect", "table=events.fits", "imageset=image.fits", *IMAGE)
    status, _, err = call(*words, "expression=gti(sub/gti.fits,TIME) && PI>500")
    assert (status, err) == (0, "")
    status, _, err = call(*words, "expression=gti(sub/gone.fits,TIME)")
    assert status == 1
    assert "sub/gone.fits is not there" in err


def test_switches_decide_which_files_take_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("x")
    line = parse_line(("evselect", "table=a", "imageset=i", "withimageset=no", "filteredset=f"))
    with pytest.raises(TaskError, match="f was not made"), staged(line.command, clobber=True) as work:
        assert work.command.inputs == ("a",)
        assert work.command.outputs == ("f",)


# The other tasks.


def test_the_journey_of_a_script(call, data, tmp_path):
    (tmp_path / "out").mkdir()
    for band in ("500:2000", "2000:7000"):
        words = (f"imageset=out/{band[:3]}.fits", f"expression=(PI in [{band}]) && #XMMEA_EM && (PATTERN<=12)")
        assert call("evselect", "table=events.fits:EVENTS", *words, *IMAGE)[0] == 0
    assert call("cifbuild", "withobservationdate=yes", "observationdate=2020-01-11T06:12:30")[0] == 0
    assert fits.getdata(tmp_path / "ccf.cif", 1).size
    words = ("eexpmap", "imageset=out/500.fits", "eventset=events.fits", "attitudeset=att.fits", "pimin=500 2000",
             "pimax=2000 7000")  # fmt: skip
    status, _, err = call(*words, "expimageset='out/e1.fits out/e 2.fits'")
    assert status == 1, "a blank separates"
    assert "needs one pimin, one pimax and one map for each band" in err
    status, _, err = call(*words, "expimageset='out/e1.fits \"out/e 2.fits\"'")
    assert status == 0, err
    assert all(m.severity == "warning" for m in parse_messages(err))
    assert fits.getdata(tmp_path / "out" / "e 2.fits").max() > 0
    status, _, err = call("emosaic", "imagesets='out/500.fits out/200.fits'", "mosaicedset=out/mosaic.fits")
    assert (status, err) == (0, "")
    parts = [fits.getdata(tmp_path / "out" / name).sum() for name in ("500.fits", "200.fits")]
    assert fits.getdata(tmp_path / "out/mosaic.fits").sum() == sum(parts)
    words = ("imagesets=out/500.fits", "exposuresets=out/e1.fits", "mosaicedset=out/rate.fits")
    assert call("emosaic", *words)[0] == 0, "exposuresets switches withexposure on"
    assert fits.getdata(tmp_path / "out/rate.fits").max() < 1


def test_sasversion_names_a_version(call, monkeypatch):
    monkeypatch.setenv("SAS_CCFPATH", "/ccf")
    status, out, err = call("sasversion", "-V", "4")
    assert (status, err) == (0, "")
    assert sas_version(out) == xp.__version__
    assert "SAS_CCFPATH = /ccf" in out


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_options_that_ask(call, option):
    status, out, _ = call("evselect", option)
    assert (status, sas_version(out)) == (0, xp.__version__)
    assert "(mandatory)" in call("eexpmap", "--help")[1]
    assert "pimin" in call("eexpmap", "-p")[1]
    assert call("emosaic", "-m")[1].startswith("https://")


def test_verbosity_and_warnings(call, monkeypatch):
    words = ("evselect", "table=events.fits", "imageset=image.fits", *IMAGE, "expression=PI<0")
    status, out, err = call(*words, "-V", "0")
    assert (status, out) == (0, "")
    (warning,) = parse_messages(err)
    assert (warning.severity, warning.name) == ("warning", "noEvents")
    status, _, err = call(*words, "-w", "0")
    assert status == 0
    assert err == "** evselect: warning (SummaryOfWarnings),\n   warning noEvents silently occurred 1 times\n"
    monkeypatch.setenv("SAS_SUPPRESS_WARNING", "0")
    monkeypatch.setenv("SAS_VERBOSITY", "0")
    status, out, err = call(*words)
    assert out == ""
    assert "SummaryOfWarnings" in err


def test_what_nobody_foresaw_still_has_the_form_of_sas(call, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("xphotfn.engines.shims.task.staged", broken)
    status, _, err = call("evselect", "table=events.fits", "imageset=i")
    assert (status, err) == (1, "** evselect: error (InternalError), ZeroDivisionError: oh\n")


# The programs.


def test_shims_are_programs(data, tmp_path):
    folder = write_shims(tmp_path / "odd dir")
    assert sorted(p.name for p in folder.iterdir()) == sorted((*NAMES, "xphotfn"))
    (tmp_path / "astropy.py").write_text("raise SystemExit(9)")
    words = [folder / "evselect", f"table={data[0]}", "imageset=im $(age).fits", *IMAGE, BAND]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), "what lies in the working directory is never imported"
    assert fits.getdata(tmp_path / "im $(age).fits").sum() > 0
    failed = subprocess.run([*words[:2], "imagset=i"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("** evselect: error (ParamNotFound), parameter imagset is not known")
    with pytest.raises(TaskError, match="no task 'rm'"):
        write_shims(tmp_path, ["rm"])


def test_programs_of_others_are_never_replaced(tmp_path):
    theirs = tmp_path / "bin" / "evselect"
    theirs.parent.mkdir()
    theirs.write_text("#!/bin/sh\necho the real one\n")
    with pytest.raises(InvalidFile, match="another program"):
        write_shims(tmp_path / "bin")
    assert [p.name for p in theirs.parent.iterdir()] == ["evselect"]
    assert "the real one" in theirs.read_text()
    assert write_shims(tmp_path / "ours") == write_shims(tmp_path / "ours")


@pytest.mark.parametrize("name", ["events.fits", "./events.fits", "link.fits", "hard.fits", "sub/../events.fits"])
@pytest.mark.parametrize("output", ["imageset", "filteredset"])
def test_an_output_that_is_the_input_is_refused(call, data, tmp_path, name, output):
    (tmp_path / "sub").mkdir()
    own = tmp_path / "own.fits"
    own.write_bytes(data[0].read_bytes())
    (tmp_path / "events.fits").unlink()
    own.rename(tmp_path / "events.fits")
    (tmp_path / "link.fits").symlink_to("events.fits")
    (tmp_path / "hard.fits").hardlink_to(tmp_path / "events.fits")
    before = (tmp_path / "events.fits").read_bytes()
    status, _, err = call("evselect", "table=events.fits:EVENTS", f"{output}={name}", f"with{output}=yes", BAND, *IMAGE)
    assert status == 1
    assert "is read by this command and would be lost: name another output" in err
    assert (tmp_path / "events.fits").read_bytes() == before


def test_the_help_names_every_task():
    told = CliRunner().invoke(main, ["task", "--help"]).output.split("There are ")[1].split(".")[0]
    assert sorted(re.findall(r"[a-z]{2,}", told.replace(" and ", " "))) == sorted(NAMES)
