"""Spectra and factors: units are minded, and numbers that no spectrum and no telescope has are refused."""

import astropy.units as u
import attrs
import numpy as np
import pytest
from astropy.table import Column

import xphotfn as xp
from xphotfn.errors import InvalidRecord, UnitMismatch

LO, HI = np.array([0.5, 1.0, 3.0]), np.array([1.0, 3.0, 7.0])
PHOTONS = np.array([3e-4, 2e-4, 1e-4])
PER_BIN = u.photon / u.cm**2 / u.s
SOFT = xp.Band(lo_ev=500, hi_ev=2000)


def test_photons_with_the_unit_of_bins_are_the_plain_ones():
    plain = xp.spectrum_table(LO, HI, PHOTONS, unabsorbed=2 * PHOTONS)
    for unit, scale in ((PER_BIN, 1.0), (1 / u.cm**2 / u.s, 1.0), (u.photon / u.m**2 / u.s, 1e4)):
        found = xp.spectrum_table(LO * u.keV, HI * u.keV, scale * PHOTONS * unit, unabsorbed=2 * scale * PHOTONS * unit)
        assert found.photons == pytest.approx(plain.photons, rel=1e-12)
        assert found.unabsorbed == pytest.approx(plain.unabsorbed, rel=1e-12)
    assert xp.spectrum_table(Column(1000 * LO, unit="eV"), Column(1000 * HI, unit="eV"), PHOTONS) == xp.spectrum_table(
        LO, HI, PHOTONS
    )


@pytest.mark.parametrize("unit", [PER_BIN / u.keV, u.erg / u.cm**2 / u.s, u.keV, u.photon / u.s])
def test_photons_of_another_unit_are_refused(unit):
    for photons in (PHOTONS * unit, Column(PHOTONS, unit=unit)):
        with pytest.raises(UnitMismatch, match="widths of the bins"):
            xp.spectrum_table(LO, HI, photons)
    with pytest.raises(UnitMismatch, match="widths of the bins"):
        xp.spectrum_table(LO, HI, PHOTONS * PER_BIN, unabsorbed=2 * PHOTONS * unit)


def test_no_gas_adds_light():
    assert xp.spectrum_table(LO, HI, PHOTONS, unabsorbed=PHOTONS * (1 - 9e-4)).unabsorbed
    for few in (0.5 * PHOTONS, PHOTONS * [1, 1, 0.99]):
        with pytest.raises(InvalidRecord, match="no gas adds light"):
            xp.spectrum_table(LO, HI, PHOTONS, unabsorbed=few)


def factor(value=6.85e11, **how):
    given = {"instrument": "pn", "filter": "Thin1", "band": SOFT, "absorbed": True, "systematic": 0.05, "source": "me",
             "spectrum": xp.absorbed_power_law(gamma=1.7, nh=3e20 / u.cm**2)}  # fmt: skip
    return xp.Ecf(ct_cm2_per_erg=value, **given | how)


def test_a_factor_is_taken_with_its_unit():
    plain = factor()
    assert factor(plain.value) == plain
    assert factor(6.85e15 * u.ct * u.mm**2 / u.erg / 100).ct_cm2_per_erg == pytest.approx(6.85e11, rel=1e-12)
    with pytest.raises(UnitMismatch, match="ct cm2/erg"):
        factor(6.85e11 * u.erg)
    assert attrs.evolve(plain, absorbed=np.True_).absorbed is True


@pytest.mark.parametrize(
    ("value", "how", "said"),
    [
        (6.85, {}, "1e11"),
        (-6.85e11, {}, "1e11"),
        (np.nan, {}, "1e11"),
        (1e15, {}, "1e11"),
        ([6.85e11, 1e11] * u.ct * u.cm**2 / u.erg, {}, "one number"),
        ("much", {}, "one number"),
        (6.85e11, {"systematic": 5}, "0.05 is 5 %"),
        (6.85e11, {"absorbed": 1}, "absorbed must be"),
        (6.85e11, {"arf_includes": None}, "must be said"),
    ],
)
def test_what_is_no_factor_is_refused(value, how, said):
    with pytest.raises(InvalidRecord, match=said):
        factor(value, **how)
