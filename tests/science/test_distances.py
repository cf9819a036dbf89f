"""Distances without astropy.cosmology: those of astropy, for all cosmologies that it names and any flat one."""

import subprocess
import sys

import astropy.cosmology as ac
import astropy.units as u
import pytest
from hypothesis import given, settings, strategies as st

from xphotfn.records.target import cosmology_of
from xphotfn.science.distances import angular_diameter_distance_kpc
from xphotfn.science.flat_cosmology import NAMED, comoving_distance_kpc

redshifts = st.floats(1e-4, 20)


@pytest.mark.parametrize("name", [name for name in ac.available if name != "default_cosmology"])
@pytest.mark.parametrize("redshift", [1e-3, 0.16, 1.0, 7.0, 1100.0])
def test_named_cosmologies_are_those_of_astropy(name, redshift):
    expected = getattr(ac, name).angular_diameter_distance(redshift).to_value(u.kpc)
    assert name in NAMED
    assert angular_diameter_distance_kpc(name, redshift) == pytest.approx(expected, rel=1e-12)
    assert angular_diameter_distance_kpc(cosmology_of(getattr(ac, name)), redshift) == pytest.approx(
        expected, rel=1e-12
    )


@settings(max_examples=40)
@given(
    st.floats(40, 100), st.floats(0.05, 0.95), st.sampled_from([0.0, 2.725]), st.floats(0, 4.9),
    st.sampled_from([0.0, 0.06, 0.5]), redshifts,
)  # fmt: skip
def test_any_flat_cosmology_is_that_of_astropy(h0, matter, temperature, species, mass, redshift):
    cosmology = ac.FlatLambdaCDM(h0, matter, Tcmb0=temperature, Neff=species, m_nu=mass * u.eV)
    expected = cosmology.angular_diameter_distance(redshift).to_value(u.kpc)
    # without radiation astropy takes a difference of hypergeometric functions, which loses digits at small redshifts
    found = angular_diameter_distance_kpc(cosmology_of(cosmology), redshift)
    assert found == pytest.approx(expected, rel=1e-9 if not temperature else 1e-11)


@pytest.mark.parametrize("cosmology", [ac.LambdaCDM(70, 0.3, 0.7), ac.FlatwCDM(70, 0.3, w0=-0.9)])
def test_other_cosmologies_are_left_to_astropy(cosmology):
    expected = cosmology.angular_diameter_distance(0.3).to_value(u.kpc)
    assert angular_diameter_distance_kpc(cosmology_of(cosmology), 0.3) == pytest.approx(expected, rel=1e-14)


def test_a_radius_in_kpc_does_not_import_astropy_cosmology():
    code = (
        "import sys, astropy.units as u, xphotfn as xp\n"
        "from xphotfn.science.distances import kpc_to_deg\n"
        "kpc_to_deg(500.0, xp.galaxy_cluster('A', 149.6, -11.1, redshift=0.16, r500=1200 * u.kpc))\n"
        "assert 'astropy.cosmology' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_empty_space_without_matter_grows_by_its_own_law():
    """In a universe of a cosmological constant alone the comoving distance is c z / H0."""
    space = NAMED["Planck15"]._replace(matter=0.0, temperature=0.0)
    assert comoving_distance_kpc(space, 2.0) == pytest.approx(2 * 299792.458 / space.h0 * 1e3, rel=1e-13)
