"""The default background ring: closed forms of the King profile, and continuity."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from xphotfn.errors import InvalidRecord
from xphotfn.science.encircled_energy import EncircledEnergyTable, encircled_energy
from xphotfn.science.king import EPIC_KING
from xphotfn.science.rings import WINGS_FRACTION, background_ring, wings_radius


def taken(radius, inner, outer, camera, angle=0.0):
    """Return the part of a rate that the ring takes, by the enclosed light."""
    inside, low, high = (
        encircled_energy(r, instrument=camera, energy_ev=1000, off_axis_arcmin=angle) for r in (radius, inner, outer)
    )
    return radius**2 / (outer**2 - inner**2) * (high - low) / inside


@pytest.mark.parametrize("camera", sorted(EPIC_KING))
def test_the_ring_takes_little_of_a_point_source(camera):
    radius = np.linspace(5, 290, 200)
    for angle in (0.0, 5.0, 9.0):
        assert np.all(taken(radius, *background_ring(radius), camera, angle) < 0.035)
        assert taken(20.0, *background_ring(20.0), camera, angle) < 0.005
        assert taken(20.0, 21.0, 30.0, camera, angle) > 0.06, "what a ring at 1.05 to 1.5 radii takes"


@pytest.mark.parametrize("camera", sorted(EPIC_KING))
def test_sixty_arcsec_is_the_radius_of_the_epic_cameras(camera):
    """The fixed radius lies within 5 arcsec of the cameras' mean, and none has its wings far outside."""
    radii = wings_radius(EPIC_KING[camera], energy_ev=1000.0, off_axis_arcmin=[0.0, 5.0, 9.0])
    assert np.all((radii > 55) & (radii < 71))
    light = encircled_energy(radii, instrument=camera, energy_ev=1000.0, off_axis_arcmin=[0.0, 5.0, 9.0])
    assert light == pytest.approx(WINGS_FRACTION, abs=1e-6)


@given(st.floats(0.1, 1000), st.floats(0, 300))
def test_the_ring_lies_outside_of_circle_and_wings_and_grows(radius, wings):
    inner, outer = background_ring(radius, wings_arcsec=wings)
    assert inner >= max(1.05 * radius, wings) * (1 - 1e-12)
    assert 1.4 * inner <= outer <= 1.6 * inner
    more = background_ring(radius * 1.01, wings_arcsec=wings * 1.01)
    assert more[0] > inner
    assert more[1] > outer


def test_a_table_that_ends_early_gives_its_last_radius_and_a_small_psf_a_small_ring():
    short = EncircledEnergyTable(radii_arcsec=[1, 2, 4], fractions=[0.5, 0.8, 0.9])
    assert float(wings_radius(short)) == pytest.approx(4.0)
    sharp = EncircledEnergyTable(radii_arcsec=[1, 2, 4], fractions=[0.9, 0.98, 1.0])
    assert 1.0 < float(wings_radius(sharp)) < 2.0
    assert wings_radius(sharp, off_axis_arcmin=np.zeros(3)).shape == (3,)


def test_a_ring_needs_a_radius():
    with pytest.raises(InvalidRecord, match="above 0"):
        background_ring(0.0)
