"""Energy bands: whole eV by rounding, and what is refused."""

import math

import astropy.units as u
import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.errors import InvalidRecord, UnitMismatch, XphotfnError
from xphotfn.records.band import Band, energy_band
from xphotfn.testing.strategies import bands
from xphotfn.units import energy_ev

ENERGY_UNITS = (u.eV, u.keV, u.MeV, u.J, u.erg)


def test_energies_become_whole_ev():
    assert energy_band(0.5 * u.keV, 2.0 * u.keV) == Band(lo_ev=500, hi_ev=2000)
    assert energy_band(500 * u.eV, 0.002 * u.MeV) == Band(lo_ev=500, hi_ev=2000)
    assert energy_band("0.5 keV", "2 keV") == Band(lo_ev=500, hi_ev=2000)


def test_1001_ev_is_not_cut_to_1000():
    """1.001 keV is 1000.9999999999999 eV in floating point."""
    assert (1.001 * u.keV).to_value(u.eV) < 1001
    assert energy_ev(1.001 * u.keV) == 1001
    assert energy_band(1.001 * u.keV, 2 * u.keV).lo_ev == 1001


def test_no_energy_of_the_1_ev_grid_is_cut():
    """Every whole eV from 0.1 to 12 keV, written in keV as a person writes it and as a division gives it."""
    cut = 0
    for ev in range(100, 12001):
        typed, divided = float(f"{ev / 1000:.3f}") * u.keV, (ev / 1000) * u.keV
        assert energy_ev(typed) == ev
        assert energy_ev(divided) == ev
        cut += int(typed.to_value(u.eV)) != ev
    assert cut > 0, "int() would have been right too: this test tests nothing"


@given(bands(), st.sampled_from(ENERGY_UNITS))
def test_any_unit_of_energy_gives_the_same_band(band, unit):
    assert energy_band((band.lo_ev * u.eV).to(unit), (band.hi_ev * u.eV).to(unit)) == band
    assert energy_band(band.lo, band.hi) == band


@given(bands())
def test_properties_are_quantities_and_names(band):
    assert (band.lo.unit, band.hi.unit) == (u.keV, u.keV)
    assert math.isclose(band.lo.to_value(u.eV), band.lo_ev)
    assert band.name == f"{band.lo_ev}-{band.hi_ev}"
    assert str(band).endswith(" keV")


def test_printed_in_kev():
    assert str(Band(lo_ev=500, hi_ev=2000)) == "0.5-2 keV"
    assert Band(lo_ev=500, hi_ev=2000).name == "500-2000"


@pytest.mark.parametrize(("lo", "hi"), [(2.0, 0.5), (2.0, 2.0), (0.5, 0.5001), (-1.0, 0.5)])
def test_lower_energy_must_come_first(lo, hi):
    with pytest.raises(InvalidRecord, match=r"a band needs 0 <= lo < hi, got -?\d+ eV to \d+ eV: give the lower"):
        energy_band(lo * u.keV, hi * u.keV)


@pytest.mark.parametrize("value", [0.5 * u.kg, 3 * u.kpc, 10 * u.angstrom, 0.5 * u.deg, [0.5, 0.6] * u.keV])
def test_a_unit_must_be_of_energy(value):
    with pytest.raises(UnitMismatch, match=r"the band's lower energy must be one finite energy such as 0\.5\*u\.keV"):
        energy_band(value, 2 * u.keV)


@pytest.mark.parametrize("value", [0.5, 500, np.float64(0.5), np.int64(500), "0.5", 0.5 * u.dimensionless_unscaled])
def test_a_number_needs_a_unit(value):
    with pytest.raises(UnitMismatch, match=r"the band's upper energy needs a unit: write for example 0\.5\*u\.keV"):
        energy_band(0.1 * u.keV, value)


@pytest.mark.parametrize("value", [None, "half", "0.5 bananas", object()])
def test_something_else_is_no_energy(value):
    with pytest.raises(UnitMismatch, match=r"the band's lower energy must be a quantity such as 0\.5\*u\.keV, got"):
        energy_band(value, 2 * u.keV)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_energy_must_be_finite(value):
    with pytest.raises(UnitMismatch, match="finite energy"):
        energy_band(value * u.keV, 2 * u.keV)


@pytest.mark.parametrize("value", [500.9, 1000.9999999999999, math.nan, math.inf, None, "half"])
def test_a_record_is_not_given_fractions_of_an_ev(value):
    """``Band`` itself takes whole eV: a fraction is rounded or refused, but never cut."""
    try:
        band = Band(lo_ev=value, hi_ev=2000)
    except XphotfnError:
        return
    assert band.lo_ev == round(value)
