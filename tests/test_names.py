"""Names of targets: one line of text in any letters; titles, cards, cells and scripts hold them."""

import shutil
import subprocess

import astropy.units as u
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Column, Table
from attrs import evolve
from hypothesis import given, settings, strategies as st

import xphotfn as xp
from xphotfn.io.cards import ascii_text, text_of_ascii
from xphotfn.io.table_files import read_table, write_table
from xphotfn.testing.examples import example_field, example_rate_map

mpl.use("Agg")

NAMES = ["NGC 253 Ω", "e\u0301", "\U0001f600", "$x^$", "$\\frac$", "a\\x41", "'", "{a}", "`touch x`", "$(touch x)"]


def of_name(name):
    field = example_field()
    return evolve(field, target=evolve(field.target, name=name))


@pytest.mark.parametrize("name", ["\0", "a\0b", "a" * 5000, "a\nrm -r", "\x1b[2J", "\udcff", "a\u2028b", " ", ""])
def test_what_is_no_line_of_text_is_no_name(name):
    with pytest.raises(xp.InvalidRecord, match="name must"):
        of_name(name)


@pytest.mark.parametrize("name", ["a\0b", "b" * 5000])
def test_a_row_of_such_a_name_is_said_by_its_number(name):
    with pytest.raises(xp.InvalidRecord, match=r"row 2 of the table: .*one line of text of at most 200 characters"):
        xp.targets_from_table({"name": ["A", name], "ra": [1.0, 2.0], "dec": [3.0, 4.0]})


@settings(max_examples=40)
@given(st.text())
def test_any_text_is_written_in_ascii_and_comes_back(text):
    written = ascii_text(text)
    assert written.isascii()
    assert not written or written.isprintable()
    assert text_of_ascii(written) == text


@pytest.mark.parametrize("name", NAMES)
def test_a_map_of_any_name_is_drawn_and_written_and_read(name, tmp_path):
    rate_map = example_rate_map()
    image, exposure = (evolve(part, target=name) for part in (rate_map.image, rate_map.exposure))
    named = evolve(rate_map, image=image, exposure=exposure)
    path = xp.write_fits(named, tmp_path / "rate.fits")
    assert xp.read_rate_map(path).target == name
    assert fits.getheader(path)["OBJECT"].isascii()
    figure = plt.figure()
    ax = xp.view(named)
    ax.figure.canvas.draw()
    assert name in ax.get_title()
    plt.close(figure)
    plt.close(ax.figure)


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "vot"])
def test_cells_of_any_letters_come_back_from_each_kind_of_table(ending, tmp_path):
    table = Table({"name": Column(NAMES, description="whose"), "rate": np.arange(len(NAMES)) * u.ct / u.s})
    table.meta["OBJECT"] = NAMES[0]
    again = read_table(write_table(table, tmp_path / f"t.{ending}"))
    assert list(again["name"]) == NAMES
    assert list(table["name"]) == NAMES, "the table that was given stays as it is"
    assert list(again["rate"]) == list(range(len(NAMES)))


def test_masked_cells_of_text_stay_masked_in_fits(tmp_path):
    table = Table({"name": ["Ω", "b"]}, masked=True)
    table["name"].mask[1] = True
    again = read_table(write_table(table, tmp_path / "t.fits"))
    assert again["name"][0] == "Ω"
    assert str(again["name"][1]) in ("--", "")


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
@pytest.mark.parametrize("name", NAMES)
def test_a_script_says_a_name_and_runs_nothing_of_it(name):
    band = xp.energy_band(0.5 * u.keV, 2 * u.keV)
    text = xp.to_shell(xp.plan_mosaics(of_name(name), band))
    assert subprocess.run([shutil.which("sh"), "-n"], input=text, text=True, check=False).returncode == 0
    assert all(line.startswith("#") for line in text.splitlines() if "touch" in line)
