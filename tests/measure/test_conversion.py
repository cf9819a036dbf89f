"""Energy conversion factors of the packaged tables: ecfxa's own answers, published cells, and what is refused."""

import astropy.units as u
import attrs
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.io.conversion_tables import published_factors

SOFT = xp.energy_band(0.5 * u.keV, 2 * u.keV)
NH = 3e20 / u.cm**2
# camera, filter, band, Gamma, nH, absorbed, factor: computed with ecfxa 1.0, between its nodes
OF_ECFXA = (
    ("pn", "Thin", 0.5, 2.0, 2.046, 2.6e21, False, 3.359275e11),
    ("pn", "Medium", 2.0, 10.0, 1.443, 7.201e19, True, 1.1572e11),
    ("pn", "Thick", 1.0, 2.0, 1.727, 1.413e20, False, 4.94541e11),
    ("pn", "Thin", 0.5, 4.5, 2.199, 1.4e19, False, 5.436356e11),
    ("mos1", "Thin", 0.5, 2.0, 1.588, 9.06e20, False, 1.571156e11),
    ("mos1", "Medium", 2.0, 10.0, 2.118, 8.367e21, False, 4.25529e10),
    ("mos1", "Thick", 1.0, 2.0, 1.714, 3.41e21, True, 1.767788e11),
    ("mos1", "Thin", 0.5, 4.5, 1.449, 1.072e21, False, 1.121201e11),
    ("mos2", "Thin", 0.5, 2.0, 1.617, 4.643e20, False, 1.703534e11),
    ("mos2", "Medium", 2.0, 10.0, 1.943, 1.558e19, True, 4.733554e10),
    ("mos2", "Thick", 1.0, 2.0, 1.582, 4.076e21, True, 1.751582e11),
    ("mos2", "Thin", 0.5, 4.5, 1.415, 4.136e21, True, 1.135499e11),
)


def factor(camera="pn", **how):
    given = {"filter": "Thin1", "band": SOFT, "gamma": 1.7, "nh": NH, "absorbed": True}
    return xp.power_law_ecf(camera, **given | how)


@pytest.mark.parametrize("vector", OF_ECFXA, ids=lambda v: f"{v[0]}-{v[1]}")
def test_between_the_nodes_it_is_what_ecfxa_says(vector):
    camera, chosen, lo, hi, gamma, nh, absorbed, expected = vector
    band = xp.energy_band(lo * u.keV, hi * u.keV)
    ours = factor(camera, filter=chosen, band=band, gamma=gamma, nh=nh / u.cm**2, absorbed=absorbed)
    assert ours.ct_cm2_per_erg == pytest.approx(expected, rel=2e-5)


def test_bands_of_the_catalogue_agree_with_its_published_factors():
    bands = {(500, 1000): 0.01, (1000, 2000): 0.01, (2000, 4500): 0.01, (500, 4500): 0.03}
    compared = 0
    for (camera, chosen, band), published in published_factors()["4xmm"].items():
        if (band.lo_ev, band.hi_ev) in bands:
            tolerance = bands[band.lo_ev, band.hi_ev] if camera == "pn" else 0.03
            # what is printed with two digits only can be no better than half its last one
            rounding = 0.005e11 / published
            ours = factor(camera, filter=chosen, band=band).ct_cm2_per_erg
            assert abs(ours / published - 1) < max(tolerance, rounding), (camera, chosen, band)
            compared += 1
    assert compared == 36


def test_the_systematic_holds_what_the_spectrum_is_unknown_by():
    softer, harder = (factor("mos1", band=xp.energy_band(2 * u.keV, 10 * u.keV), gamma=g) for g in (2.2, 1.4))
    wide = factor("mos1", band=xp.energy_band(2 * u.keV, 10 * u.keV))
    spread = max(abs(other.ct_cm2_per_erg / wide.ct_cm2_per_erg - 1) for other in (softer, harder))
    assert wide.systematic == pytest.approx(np.hypot(0.04, spread), rel=1e-9)
    assert wide.systematic > 0.15 > 0.05 > factor("mos1").systematic >= 0.04
    assert factor("mos2", band=xp.energy_band(0.2 * u.keV, 0.5 * u.keV)).systematic > 0.16
    assert factor(table="4xmm", band=xp.energy_band(1 * u.keV, 2 * u.keV)).systematic > 0.04


def test_both_thin_filters_are_one_and_a_band_is_what_it_is_called():
    assert factor(filter="Thin2") == factor(filter="thin") == factor("EPN")
    assert factor(band=xp.Band(lo_ev=501, hi_ev=1999)).band == SOFT


def test_a_published_factor_is_the_printed_one():
    open_pn = factor(filter="Open", table="2xmm", band=xp.energy_band(0.5 * u.keV, 1 * u.keV))
    assert open_pn.ct_cm2_per_erg == pytest.approx(10.256e11, rel=1e-12)
    assert "Mateos" in open_pn.source


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"gamma": 9.0}, InvalidRecord, "between 1.4 and 2.2"),
        ({"gamma": 2.2000001}, InvalidRecord, "got 2.2000001"),
        ({"nh": 1.0000001e22 / u.cm**2}, InvalidRecord, "got 1.0000001e"),
        ({"gamma": -5}, InvalidRecord, "between 1.4 and 2.2"),
        ({"gamma": float("nan")}, InvalidRecord, "finite"),
        ({"gamma": "steep"}, InvalidRecord, "must be a number"),
        ({"nh": 1e23 / u.cm**2}, InvalidRecord, "between 1e19 and 1e22"),
        ({"nh": 0 / u.cm**2}, InvalidRecord, "between 1e19 and 1e22"),
        ({"nh": 0.03 / u.cm**2}, InvalidRecord, r"nh=0.03\*u.Unit\('1e22 / cm2'\)"),
        ({"nh": 3e20}, UnitMismatch, "unit"),
        ({"nh": "3e20"}, UnitMismatch, "unit"),
        ({"nh": 3e20 / u.cm**3}, UnitMismatch, "column density"),
        ({"nh": -3e20 / u.cm**2}, InvalidRecord, "not negative"),
        ({"nh": float("nan") / u.cm**2}, InvalidRecord, "finite"),
        ({"absorbed": None}, InvalidRecord, "absorbed must be True"),
        ({"filter": "Closed"}, InvalidRecord, "Closed"),
        ({"filter": "Open"}, InvalidRecord, "table='2xmm'"),
        ({"filter": "Pink"}, InvalidRecord, "Thin, Medium, Thick"),
        ({"filter": ""}, InvalidRecord, "Thin, Medium, Thick"),
        ({"band": xp.Band(lo_ev=500, hi_ev=7000)}, InvalidRecord, "ecf_from_response"),
        ({"band": xp.Band(lo_ev=200, hi_ev=12000)}, InvalidRecord, "PATTERN 0"),
        ({"band": "0.5-2"}, InvalidRecord, "energy_band"),
        ({"table": "5xmm"}, InvalidRecord, "4xmm"),
        ({"table": "4xmm"}, InvalidRecord, "no factor"),
        ({"table": "4xmm", "band": xp.Band(lo_ev=500, hi_ev=1000), "gamma": 1.8}, InvalidRecord, "Gamma 1.7"),
        ({"table": "4xmm", "band": xp.Band(lo_ev=500, hi_ev=1000), "absorbed": False}, InvalidRecord, "absorbed flux"),
    ],
)
def test_what_is_refused_says_what_to_do(given, error, said):
    with pytest.raises(error, match=said):
        factor(**given)


def test_absorbed_has_no_default():
    with pytest.raises(TypeError, match="absorbed"):
        xp.power_law_ecf("pn", filter="Thin1", band=SOFT, gamma=1.7, nh=NH)


@pytest.mark.parametrize(
    "make", [xp.absorbed_power_law, lambda *, gamma, nh: xp.absorbed_bremsstrahlung(kt=gamma * u.keV, nh=nh)]
)
def test_a_spectrum_behind_gas_in_1e22_without_the_unit_is_refused(make):
    """No table bounds it, and 0.03 atoms on 1 cm2 absorb nothing."""
    with pytest.raises(InvalidRecord, match="1e22 cm-2"):
        make(gamma=1.7, nh=0.03 / u.cm**2)
    assert make(gamma=1.7, nh=0 / u.cm**2).nh_cm2 == 0


def test_nh_may_be_in_1e22_if_its_unit_says_so():
    assert factor(nh=0.03 * u.Unit("1e22 / cm2")).ct_cm2_per_erg == pytest.approx(factor().ct_cm2_per_erg, rel=1e-12)


def test_a_factor_is_a_value_that_may_be_changed():
    mine = attrs.evolve(factor(), systematic=0.02)
    assert mine.systematic == 0.02
    assert mine.value.unit == u.ct * u.cm**2 / u.erg
    with pytest.raises(InvalidRecord, match="arf_includes"):
        attrs.evolve(mine, arf_includes=("rmf",))
