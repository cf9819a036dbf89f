"""What becomes of quantities at the edge: numbers with units in, floats out, and the unit of XMM sky coordinates."""

import copy
import math
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, strategies as st

from xphotfn.errors import UnitMismatch
from xphotfn.testing.strategies import positions
from xphotfn.units import angle_deg, energy_ev, position_deg, xmm_sky

ANGLES = st.sampled_from((u.deg, u.arcmin, u.arcsec, u.rad, u.hourangle))


@given(st.integers(0, 100_000), st.sampled_from((u.eV, u.keV, u.MeV, u.J)))
def test_whole_ev_come_back(ev, unit):
    assert energy_ev((ev * u.eV).to(unit)) == ev


@given(st.floats(-1e4, 1e4), ANGLES)
def test_angles_come_back_in_degrees(degrees, unit):
    assert angle_deg((degrees * u.deg).to(unit)) == pytest.approx(degrees, rel=1e-14, abs=1e-300)
    assert angle_deg(degrees) == degrees
    assert angle_deg(degrees * u.deg) == degrees


@given(positions(), ANGLES)
def test_positions_come_back_in_degrees(position, unit):
    as_quantity = u.Quantity(position, u.deg)
    assert position_deg(position) == position
    assert position_deg(as_quantity) == position
    assert position_deg(as_quantity.to(unit)) == pytest.approx(position, rel=1e-14, abs=1e-300)
    assert position_deg(SkyCoord(*position, unit="deg")) == pytest.approx(position, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("value", [True, None, object(), 5 * u.s, [1, 2] * u.deg, math.nan * u.kpc])
def test_what_is_no_angle_is_refused(value):
    with pytest.raises(UnitMismatch):
        angle_deg(value)


def same_unit(quantity):
    return quantity.unit == xmm_sky and quantity.unit is not None and hash(quantity.unit) == hash(xmm_sky)


def test_sky_coordinates_survive_pickle_and_copy():
    """A quantity in xmm_sky that a worker sends back must still convert and compare."""
    given_quantity = [12392, 15000] * xmm_sky
    copies = [pickle.loads(pickle.dumps(given_quantity, p)) for p in range(2, 6)]
    for received in (*copies, copy.copy(given_quantity), copy.deepcopy(given_quantity)):
        assert same_unit(received)
        assert np.array_equal(received.to_value(xmm_sky), given_quantity.value)
        assert np.all(received == given_quantity)


def test_sky_coordinates_survive_another_process():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        work = "given + [1, 1] * __import__('xphotfn').xmm_sky"
        received = pool.submit(eval, work, {"given": [1, 2] * xmm_sky}).result(timeout=60)
    assert same_unit(received)
    assert received.to_value(xmm_sky).tolist() == [2, 3]


def test_sky_coordinates_are_neither_pixels_nor_angles():
    for other in (u.pix, u.deg, u.dimensionless_unscaled):
        assert not xmm_sky.is_equivalent(other)
    assert xmm_sky.to_string() == "xmm_sky"
