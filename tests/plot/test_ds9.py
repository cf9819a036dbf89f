"""Products in DS9, with a small program in its place."""

import os
import sys
import time
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from xphotfn.errors import InvalidRecord, XphotfnError
from xphotfn.io.regions import read_regions
from xphotfn.plot.ds9 import Ds9Missing, ds9_command, open_in_ds9
from xphotfn.testing import example_field, example_rate_map

FAKE = """#!{python}
import os, sys
with open({log!r} + ".part", "w") as file:
    file.write("\\n".join(sys.argv[1:]))
os.rename({log!r} + ".part", {log!r})
"""


@pytest.fixture
def rate_map():
    return example_rate_map()


@pytest.fixture
def fake_ds9(tmp_path, monkeypatch):
    """Put a ds9 on PATH that writes its arguments, one a line, into the file that is returned."""
    log = tmp_path / "arguments.txt"
    program = tmp_path / "bin" / "ds9"
    program.parent.mkdir()
    program.write_text(FAKE.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return log


def test_ds9_is_started_with_the_file_and_the_regions(rate_map, fake_ds9, tmp_path):
    folder = tmp_path / "with a space; and more"
    folder.mkdir()
    command = open_in_ds9(rate_map, field=example_field(), circles=1 * u.arcmin, folder=folder)
    for _ in range(200):
        if fake_ds9.exists():
            break
        time.sleep(0.05)
    assert tuple(fake_ds9.read_text().split("\n")) == command[1:]
    assert Path(command[1]).parent == folder
    assert [r.name for r in read_regions(command[-1])][-3:] == ["r200", "r500", "1 arcmin"]


def test_a_rate_map_is_written_and_an_image_is_opened_as_it_is(rate_map, tmp_path):
    command = ds9_command(rate_map, folder=tmp_path)
    assert command[0] == "ds9"
    assert np.array_equal(fits.getdata(command[1]), rate_map.data)
    assert "-regions" not in command
    assert ds9_command(rate_map, folder=tmp_path) == command  # again over its own file
    assert [p.name for p in tmp_path.iterdir()] == ["xphotfn-0999990101-pn-S003-500-2000-rate.fits"]
    for product in (rate_map.image, rate_map.exposure):
        assert ds9_command(product)[1] == product.path
    assert command[2:4] == ("-scale", "log")


def test_without_ds9_the_error_names_the_files(rate_map, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Ds9Missing, match="install SAOImage DS9") as caught:
        open_in_ds9(rate_map.image, field=example_field(), folder=tmp_path)
    assert rate_map.image.path in str(caught.value)
    assert str(next(tmp_path.glob("*.reg"))) in str(caught.value)
    assert isinstance(caught.value, XphotfnError)


def test_what_is_refused(rate_map):
    with pytest.raises(InvalidRecord, match="str"):
        ds9_command("a.fits")
    with pytest.raises(InvalidRecord, match="field="):
        ds9_command(rate_map.image, circles=1 * u.arcmin)
