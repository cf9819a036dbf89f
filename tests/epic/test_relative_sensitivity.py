"""The sensitivity of cameras, against the verb that gives conversion factors."""

import astropy.units as u
import pytest

import xphotfn as xp
from xphotfn.epic.relative_sensitivity import relative_sensitivity
from xphotfn.records.band import Band


@pytest.mark.parametrize("camera", ["pn", "mos1", "mos2"])
@pytest.mark.parametrize("name", ["Thin2", "Medium", "Thick"])
def test_it_is_the_factor_of_the_usual_power_law(camera, name):
    band = Band(lo_ev=2000, hi_ev=4500)
    factor = xp.power_law_ecf(camera, filter=name, band=band, gamma=1.7, nh=3e20 / u.cm**2, absorbed=True)
    assert relative_sensitivity(camera, name, band) == pytest.approx(factor.ct_cm2_per_erg / 1e11, rel=1e-12)


def test_it_is_not_known_where_the_factors_are_not():
    soft = Band(lo_ev=500, hi_ev=2000)
    assert relative_sensitivity("acis", "Thin1", soft) is None
    assert relative_sensitivity("pn", "Open", soft) is relative_sensitivity("pn", "", soft) is None
    assert relative_sensitivity("pn", "Thin1", Band(lo_ev=300, hi_ev=7000)) is None
    assert relative_sensitivity("pn", "Thin1", Band(lo_ev=200, hi_ev=500)) is None  # other patterns than images
    assert relative_sensitivity("mos1", "Thin1", Band(lo_ev=200, hi_ev=500)) is not None
