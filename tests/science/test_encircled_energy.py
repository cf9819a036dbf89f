"""Encircled energy: the reference's rows, exact inverses, guards, and tables of one's own."""

import csv
import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import ndtr

from xphotfn.errors import InvalidRecord
from xphotfn.science.encircled_energy import (
    EncircledEnergyTable,
    encircled_energy,
    encircled_energy_systematic,
    radius_of_fraction,
)
from xphotfn.science.king import PN_KING_2002, KingModel, king_fraction, king_parameters, king_radius

ON_AXIS = {"energy_ev": 1500, "off_axis_arcmin": 0}
CAMERAS = {
    "MOS1_1.5keV": {"instrument": "mos1"},
    "MOS2_1.5keV": {"instrument": "mos2"},
    "PN2002_1.5keV": {"psf": PN_KING_2002},
    "PN_ELLBETAfit_1.5keV": {"instrument": "pn"},
}


def king_rows(folder):
    with (folder / "statistics_test_vectors.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["test"] == "king"]
    assert len(rows) == 5
    for row in rows:
        name, _, numbers = row["inputs"].rpartition("rc=")
        core, slope, outer = (float(part.split("=")[-1].split()[0]) for part in numbers.split(";"))
        outputs = {k: float(v) for k, v in (item.split("=") for item in row["outputs"].split(";"))}
        yield name.strip(";"), (core, slope, outer), outputs


def test_every_row_of_the_reference(reference_root):
    for name, (core, slope, outer), outputs in king_rows(reference_root):
        for what, value in outputs.items():
            number = float(what.strip("EFr"))
            if what.startswith("EEF"):
                found = [king_fraction(number, core, slope, outer=outer)]
                found += [encircled_energy(number, **CAMERAS[name], **ON_AXIS)] if name else []
            else:
                found = [king_radius(number / 100, core, slope, outer=outer)]
                found += [radius_of_fraction(number / 100, **CAMERAS[name], **ON_AXIS)]
            for one in found:
                assert float(one) == pytest.approx(value, rel=2e-9), (name, what)


def test_the_profile_is_the_integral_of_its_surface_brightness():
    radii = np.linspace(0, 300, 300_001)
    middle = (radii[1:] + radii[:-1]) / 2
    light = np.cumsum(middle * (1 + (middle / 4.4545) ** 2) ** -1.4035)
    found = encircled_energy(radii[1:], instrument="mos2", **ON_AXIS)
    assert np.max(np.abs(found - light / light[-1])) < 1e-6


@given(
    instrument=st.sampled_from(["pn", "mos1", "EMOS2"]),
    energy=st.floats(0, 20_000),
    angle=st.floats(0, 20),
    fraction=st.floats(0, 1),
)
def test_radius_and_fraction_are_inverse(instrument, energy, angle, fraction):
    where = {"instrument": instrument, "energy_ev": energy, "off_axis_arcmin": angle}
    radius = radius_of_fraction(fraction, **where)
    assert 0 <= radius <= 300.0001
    assert float(encircled_energy(radius, **where)) == pytest.approx(fraction, abs=1e-10)


def test_whole_arrays_and_nan():
    radius = np.array([[5.0], [15.0], [np.nan]])
    found = encircled_energy(radius, instrument="mos1", energy_ev=[500, 1500], off_axis_arcmin=[[0, 1]])
    assert found.shape == (3, 2)
    assert np.isnan(found[2]).all()
    assert found[1, 1] == encircled_energy(15, instrument="mos1", energy_ev=1500, off_axis_arcmin=1)


def test_nothing_at_0_and_everything_from_300_arcsec():
    assert encircled_energy([0, 300, 1e6], instrument="pn", **ON_AXIS).tolist() == [0, 1, 1]


def test_outside_its_range_a_profile_is_that_of_the_edge():
    core, slope, clamped = king_parameters("mos2", energy_ev=[8500, 5000], off_axis_arcmin=[15, 9])
    assert core[0] == core[1] > 2
    assert slope[0] == slope[1]
    assert clamped.tolist() == [True, False]


@pytest.mark.parametrize("instrument", ["pn", "mos1", "mos2"])
def test_the_systematic_lies_within_3_and_8_per_cent_and_grows(instrument):
    near, far = (
        encircled_energy_systematic(instrument=instrument, energy_ev=energies, off_axis_arcmin=angles)
        for energies, angles in (([500, 4000, 6000], 0), (1000, [0, 6, 12]))
    )
    for found in (near, far):
        assert np.all((found >= 0.03) & (found <= 0.08))
        assert np.all(np.diff(found) > 0)


@pytest.mark.parametrize(
    ("name", "fractions"), [("mos1", (0.68, 0.83, 0.89, 0.92)), ("mos2", (0.69, 0.83, 0.89, 0.93))]
)
def test_agrees_with_eupper_within_the_systematic(name, fractions):
    found = encircled_energy([15, 30, 45, 60], instrument=name, **ON_AXIS)
    systematic = encircled_energy_systematic(instrument=name, **ON_AXIS)
    assert np.all(np.abs(found / fractions - 1) < 0.05 + systematic)


def test_pn_agrees_with_its_ellbeta_image():
    found = encircled_energy([5, 10, 15, 20, 30, 45, 60, 99], instrument="pn", **ON_AXIS)
    assert np.max(np.abs(found - [0.334, 0.584, 0.706, 0.773, 0.845, 0.896, 0.922, 0.953])) < 0.008


def test_what_is_refused():
    for wrong in ({"radius_arcsec": -1}, {"energy_ev": -1}, {"off_axis_arcmin": np.inf}, {"instrument": "acis"}):
        with pytest.raises(InvalidRecord):
            encircled_energy(**{"radius_arcsec": 15, "instrument": "pn", **ON_AXIS, **wrong})
    with pytest.raises(InvalidRecord, match="camera"):
        encircled_energy(15, **ON_AXIS)
    with pytest.raises(InvalidRecord, match="energy_ev"):
        encircled_energy(15, instrument="pn")
    with pytest.raises(InvalidRecord, match="fraction"):
        radius_of_fraction(1.1, instrument="pn", **ON_AXIS)


@pytest.mark.parametrize(
    "wrong", [{"core": (1.0,)}, {"slope": (1.0, np.nan, 0, 0)}, {"core": 5}, {"systematic": (-1, 0, 0)}]
)
def test_profiles_that_are_refused(wrong):
    with pytest.raises(InvalidRecord, match="KingModel"):
        KingModel(**{"core": (4.0, 0, 0, 0), "slope": (1.4, 0, 0, 0), **wrong})


def king_table(step):
    radii = np.arange(step, 301, step)
    return EncircledEnergyTable(radii_arcsec=radii, fractions=king_fraction(radii, 4.72, 1.457), systematic=0.02)


def test_a_table_stands_for_the_profile():
    table, radii = king_table(1.0), np.linspace(0, 299, 200)
    assert np.max(np.abs(encircled_energy(radii, psf=table) - king_fraction(radii, 4.72, 1.457))) < 2e-3
    assert encircled_energy_systematic(psf=table) == 0.02
    wanted = np.linspace(0, 1, 50)
    assert encircled_energy(radius_of_fraction(wanted, psf=table), psf=table) == pytest.approx(wanted, abs=1e-12)


def test_a_table_that_ends_early_does_not_know_the_rest():
    table = EncircledEnergyTable(radii_arcsec=[0, 10, 20], fractions=[0, 0.5, 0.8])
    assert encircled_energy([20, 500], psf=table).tolist() == [0.8, 0.8]
    assert np.isnan(radius_of_fraction(0.81, psf=table))
    assert radius_of_fraction(0.8, psf=table) == pytest.approx(20)


def test_a_table_is_a_record():
    table = king_table(5.0)
    assert pickle.loads(pickle.dumps(table)) == table == king_table(5.0)
    assert hash(table) == hash(king_table(5.0))
    assert not table.fractions.flags.writeable


@pytest.mark.parametrize(
    ("radii", "fractions"),
    [([0, 5], [0.1, 1]), ([5, 5], [0, 1]), ([1, 2], [0.5, 0.4]), ([1, 2], [0.5, 1.1]), ([1], [1]), ([-1, 2], [0, 1])],
)
def test_tables_that_are_refused(radii, fractions):
    with pytest.raises(InvalidRecord):
        EncircledEnergyTable(radii_arcsec=radii, fractions=fractions)


def test_an_image_becomes_its_table():
    y, x = np.indices((201, 201))
    light = (1 + ((x - 100) ** 2 + (y - 100) ** 2) / 8.0**2) ** -1.6
    whole = np.pi * 8.0**2 / 0.6
    table = EncircledEnergyTable.from_image(light, 0.5, total=whole)
    radii = np.array([2.0, 5, 10, 20, 45])
    exact = 1 - (1 + (radii / 4.0) ** 2) ** -0.6
    assert np.max(np.abs(encircled_energy(radii, psf=table) - exact)) < 3e-3


@pytest.mark.parametrize(("sigma", "least"), [(1.0, 0.02), (2.0, 0.005), (4.0, 0.002)])
def test_the_size_of_the_pixels_is_taken_off(sigma, least):
    """Fractions in two sigma of a Gaussian whose light was summed in pixels; the systematic error holds the rest."""
    edges = np.arange(62) - 30.5
    part = np.diff(ndtr(edges / sigma))
    radii = sigma * np.array([1.5, 2.0, 3.0])
    truth = 1 - np.exp(-0.5 * (radii / sigma) ** 2)
    table = EncircledEnergyTable.from_image(np.outer(part, part), 4.0)
    found = encircled_energy(4.0 * radii, psf=table)
    assert found[1] == pytest.approx(truth[1], rel=least)
    values = np.exp(-0.5 * (np.arange(-30, 31) / sigma) ** 2)  # at the pixels' centres
    sampled = EncircledEnergyTable.from_image(np.outer(values, values), 4.0)
    for item in (table, sampled):
        assert np.all(np.abs(encircled_energy(4.0 * radii, psf=item) / truth - 1) < item.systematic)


def test_an_image_off_its_centre_is_refused():
    part = np.exp(-0.5 * (np.arange(-30, 31) / 2.0) ** 2)
    image = np.outer(part, np.roll(part, 3))
    with pytest.raises(InvalidRecord, match=r"pixel \(33, 30\), not at the centre \(30, 30\)"):
        EncircledEnergyTable.from_image(image, 4.0)
    with pytest.raises(InvalidRecord, match="peak"):
        EncircledEnergyTable.from_image(image, 4.0, centre=(20, 33))
    assert EncircledEnergyTable.from_image(image, 4.0, centre=(33, 30)).fractions[-1] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9)), np.full((9, 9), np.nan), -np.ones((9, 9)), np.ones(9), np.ones((1, 1))]
)
def test_images_that_are_refused(image):
    with pytest.raises(InvalidRecord):
        EncircledEnergyTable.from_image(image, 1.0)
