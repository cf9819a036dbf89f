"""Targets: positions, radii as given, cosmologies, extra columns, and what is refused."""

import math
import pickle

import astropy.cosmology
import astropy.units as u
import attrs
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from hypothesis import given

from xphotfn.errors import InvalidRecord, UnitMismatch, XphotfnError
from xphotfn.records.target import CosmologyParameters, Radius, extended_source, galaxy_cluster, point_source
from xphotfn.science.distances import angular_diameter_distance_kpc, kpc_to_deg, radius_deg
from xphotfn.testing.strategies import targets

NAMED = ("Planck13", "Planck15", "Planck18", "WMAP1", "WMAP9")


def a907(**changes):
    given = {"name": "A907", "ra": 149.59209 * u.deg, "dec": -11.05972 * u.deg, "redshift": 0.16}
    return galaxy_cluster(**(given | changes))


def test_position_is_a_quantity_in_degrees():
    position = a907().position
    assert position.unit == u.deg
    assert position.value.tolist() == [149.59209, -11.05972]


@pytest.mark.parametrize("ra", [10.0, 10, 10 * u.deg, 600 * u.arcmin, SkyCoord(10, 5, unit="deg").ra, np.float64(10)])
def test_an_angle_may_have_any_unit_of_angle_or_none(ra):
    target = point_source("star", ra, 5.0, radius=30 * u.arcsec)
    assert target.ra_deg == pytest.approx(10.0, abs=1e-12)
    assert type(target.ra_deg) is float


@pytest.mark.parametrize("ra", [np.int64(10), np.float32(10)])
def test_numbers_of_a_table_are_degrees_too(ra):
    """Columns of integers or of 4-byte reals give numpy's scalars."""
    target = point_source("star", ra, 5.0, radius=30 * u.arcsec)
    assert target.ra_deg == 10.0
    assert type(target.ra_deg) is float


def test_a_text_may_hold_the_unit():
    assert point_source("star", "10 deg", "5 deg", radius="30 arcsec").position.value.tolist() == [10.0, 5.0]


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(360.0, 0.0), (-0.1, 0.0), (10.0, 90.1), (10.0, -91.0), (math.nan, 0.0), (10.0, math.nan), (math.inf, 0.0)],
)
def test_position_must_lie_on_the_sky(ra, dec):
    with pytest.raises(InvalidRecord, match=r"A907: RA must lie in \[0, 360\) and Dec within \+-90 deg, got"):
        a907(ra=ra, dec=dec)


@pytest.mark.parametrize("value", [5 * u.keV, 5 * u.kpc, [1, 2] * u.deg])
def test_ra_must_be_one_angle(value):
    with pytest.raises(UnitMismatch, match=r"RA must be one angle such as 149\.59209\*u\.deg, got"):
        a907(ra=value)


def test_dec_is_named_in_its_own_message():
    with pytest.raises(UnitMismatch, match="Dec must be"):
        a907(dec=5 * u.s)


@pytest.mark.parametrize("redshift", [0.0, -0.1, math.nan, math.inf])
def test_redshift_must_be_above_zero(redshift):
    with pytest.raises(InvalidRecord, match=r"redshift must be above 0, got"):
        a907(redshift=redshift)


@pytest.mark.parametrize("redshift", [None, "far"])
def test_redshift_must_be_a_number(redshift):
    with pytest.raises(XphotfnError, match="redshift"):
        a907(redshift=redshift)


@pytest.mark.parametrize("name", ["", "  "])
def test_name_must_not_be_empty(name):
    with pytest.raises(InvalidRecord, match=r"Target\.name must not be empty"):
        a907(name=name)


def test_kind_is_one_of_four():
    with pytest.raises(
        InvalidRecord, match=r"Target\.kind must be one of cluster, extended, point, position, got 'galaxy'"
    ):
        attrs.evolve(a907(), kind="galaxy")


@pytest.mark.parametrize("radius", [1200 * u.kpc, 1.2 * u.Mpc, 7 * u.arcmin, 0.11 * u.deg, 421.5 * u.arcsec])
def test_a_radius_comes_back_as_given(radius):
    target = a907(r500=radius, r200=1.5 * radius, r2500=radius / 2)
    for got, given_radius in ((target.r500, radius), (target.r200, 1.5 * radius), (target.r2500, radius / 2)):
        assert got.value == given_radius.value
        assert got.unit == given_radius.unit
        assert got.unit.to_string() == given_radius.unit.to_string()
    assert [name for name, _ in target.radii] == ["r200", "r500", "r2500"]


def test_a_radius_that_is_not_known_is_none():
    assert (a907().r200, a907().r500, a907().r2500, a907().radius) == (None, None, None, None)
    assert a907().radii == ()


@pytest.mark.parametrize("radius", [1200, np.float64(3), "7"])
def test_a_radius_needs_a_unit(radius):
    with pytest.raises(UnitMismatch, match=r"a radius needs a unit: write for example 1200\*u\.kpc or 30\*u\.arcsec"):
        a907(r500=radius)


@pytest.mark.parametrize("radius", [3 * u.keV, 2 * u.s, [1, 2] * u.kpc])
def test_a_radius_is_one_length_or_angle(radius):
    with pytest.raises(UnitMismatch, match="a radius must be one length or angle such as 1200"):
        a907(r500=radius)


@pytest.mark.parametrize("radius", [0 * u.kpc, -3 * u.arcmin, math.nan * u.kpc, math.inf * u.deg])
def test_a_radius_is_above_zero(radius):
    with pytest.raises(InvalidRecord, match="a radius must be above 0, got"):
        a907(r500=radius)


def test_kpc_needs_a_redshift():
    message = r"remnant: a radius of 3\.0 kpc needs a redshift to become an angle: give redshift= or the radius in"
    with pytest.raises(UnitMismatch, match=message):
        extended_source("remnant", 83.6, 22.0, radius=3 * u.kpc)
    with pytest.raises(UnitMismatch, match="needs a redshift"):
        point_source("star", 83.6, 22.0, radius=3 * u.pc)
    with pytest.raises(UnitMismatch, match="needs a redshift"):
        attrs.evolve(a907(r500=1 * u.Mpc), redshift=None)
    assert extended_source("galaxy", 83.6, 22.0, radius=3 * u.kpc, redshift=0.1).radius == 3 * u.kpc
    assert extended_source("remnant", 83.6, 22.0, radius=3 * u.arcmin).redshift is None


def test_a_radius_knows_whether_it_is_a_length():
    assert Radius(value=3, unit="kpc").is_length
    assert not Radius(value=3, unit="arcmin").is_length


@pytest.mark.parametrize("name", NAMED)
def test_cosmology_by_name(name):
    target = a907(cosmology=name)
    assert target.cosmology == name
    expected = getattr(astropy.cosmology, name).angular_diameter_distance(0.16).to_value(u.kpc)
    assert angular_diameter_distance_kpc(target.cosmology, 0.16) == pytest.approx(expected, rel=1e-12)


def test_an_unknown_cosmology_is_refused_when_it_is_used():
    target = a907(cosmology="Planck99", r500=7 * u.arcmin)
    assert radius_deg(target.r500, target) == pytest.approx(7 / 60)
    with pytest.raises(InvalidRecord, match=r"astropy has no cosmology 'Planck99'; it has .*Planck15"):
        radius_deg(1200 * u.kpc, target)


@pytest.mark.parametrize("value", [5, None, ["Planck15"], object()])
def test_a_cosmology_is_a_name_or_an_instance(value):
    with pytest.raises(InvalidRecord, match="cosmology must be the name of an astropy cosmology or an instance, got"):
        a907(cosmology=value)


INSTANCES = {
    "flat": astropy.cosmology.FlatLambdaCDM(H0=70, Om0=0.3),
    "curved": astropy.cosmology.LambdaCDM(H0=70, Om0=0.3, Ode0=0.6),
    "massive neutrinos": astropy.cosmology.FlatLambdaCDM(
        H0=67.7, Om0=0.31, Tcmb0=2.725, Neff=3.05, m_nu=[0.0, 0.05, 0.1] * u.eV, Ob0=0.05
    ),
    "one neutrino mass": astropy.cosmology.FlatLambdaCDM(H0=67.7, Om0=0.31, Tcmb0=2.725, m_nu=0.1 * u.eV),
    "other units": astropy.cosmology.FlatLambdaCDM(H0=0.07 * u.km / u.s / u.kpc, Om0=0.3, Tcmb0=2725 * u.mK),
    "dark energy": astropy.cosmology.Flatw0waCDM(H0=70, Om0=0.3, w0=-0.9, wa=0.2),
    "pivot": astropy.cosmology.wpwaCDM(H0=70, Om0=0.3, Ode0=0.7, wp=-0.9, wa=0.2, zp=0.5),
    "named": astropy.cosmology.Planck18,
}


@pytest.mark.parametrize("cosmology", INSTANCES.values(), ids=INSTANCES)
@pytest.mark.parametrize("redshift", [0.003, 0.16, 1.4])
def test_a_cosmology_instance_keeps_its_distances(cosmology, redshift):
    target = a907(cosmology=cosmology, redshift=redshift)
    kept = pickle.loads(pickle.dumps(target)).cosmology
    assert isinstance(kept, CosmologyParameters)
    assert hash(kept) == hash(target.cosmology)
    expected = cosmology.angular_diameter_distance(redshift)
    assert angular_diameter_distance_kpc(kept, redshift) == pytest.approx(expected.to_value(u.kpc), rel=1e-12)
    angle = (500 * u.kpc / expected * u.rad).to_value(u.deg)
    assert kpc_to_deg(500.0, target) == pytest.approx(angle, rel=1e-12)


def test_a_cosmology_of_an_unknown_class_is_refused_when_it_is_used():
    kept = CosmologyParameters(kind="MyCosmology", parameters=(("H0", 70.0),))
    with pytest.raises(XphotfnError, match="MyCosmology"):
        angular_diameter_distance_kpc(kept, 0.1)


def test_parameters_of_a_cosmology_may_be_given_as_a_list():
    kept = CosmologyParameters(kind="FlatLambdaCDM", parameters=[["H0", 70.0], ["Om0", 0.3]])
    assert hash(kept) == hash(CosmologyParameters(kind="FlatLambdaCDM", parameters=(("H0", 70.0), ("Om0", 0.3))))


EXTRA = (("nH", 5.4e20), ("note", "relaxed"), ("richness", 104))


@pytest.mark.parametrize(
    "extra",
    [
        {"richness": 104, "nH": 5.4e20, "note": "relaxed"},
        [("richness", 104), ("nH", 5.4e20), ("note", "relaxed")],
        (("note", "relaxed"), ("richness", np.int64(104)), ("nH", np.float64(5.4e20))),
        Table({"richness": [104], "nH": [5.4e20], "note": ["relaxed"]})[0],
    ],
    ids=["mapping", "pairs", "numpy", "row"],
)
def test_extra_is_sorted_pairs_of_plain_values(extra):
    target = a907(extra=extra)
    assert target.extra == EXTRA
    assert [type(value) for _, value in target.extra] == [float, str, int]
    assert attrs.evolve(target).extra == EXTRA


def test_extra_keeps_the_unit_of_a_quantity_as_text():
    assert a907(extra={"nH": 5e20 * u.cm**-2}).extra == (("nH", "5e+20 1 / cm2"),)


def test_a_missing_value_is_none():
    """Blank cells of a table are masked or NaN: neither may look like a number, or make a target unequal to itself."""
    row = Table({"nH": np.ma.array([1.0], mask=[True])})[0]
    for missing in (float("nan"), np.nan, np.ma.masked, row["nH"], None):
        target = a907(extra={"nH": missing})
        assert target.extra == (("nH", None),)
        assert pickle.loads(pickle.dumps(target)) == target


@pytest.mark.parametrize("extra", [5, "nH", ["nH"], [("nH", 1, 2)], [("nH", 1), ("nH", "two")], {"nH": np.ones(2)}])
def test_extra_that_is_no_pairs_of_scalars_is_refused(extra):
    with pytest.raises(XphotfnError, match="extra"):
        a907(extra=extra)


@given(targets())
def test_kinds_have_their_radii(target):
    if target.kind == "cluster":
        assert target.radius is None
        assert target.redshift > 0
    else:
        assert target.r200 is target.r500 is target.r2500 is None
        assert dict(target.radii) == {target.kind: target.radius}
    for _, radius in target.radii:
        assert radius_deg(radius, target) > 0


def test_a_target_may_have_both_coordinates_in_one():
    """Oracle: astropy's frames; 266.404988, -28.936178 is the origin of the galactic ones."""
    centre = SkyCoord(0, 0, unit="deg", frame="galactic")
    made = [
        point_source("p", centre, radius=30 * u.arcsec),
        extended_source("p", centre, radius=30 * u.arcsec),
        galaxy_cluster("p", centre, redshift=0.1),
        point_source("p", "266.404988 -28.936178", radius=30 * u.arcsec),
        point_source("p", [266.404988, -28.936178] * u.deg, radius=30 * u.arcsec),
    ]
    for target in made:
        assert (target.ra_deg, target.dec_deg) == pytest.approx((266.404988, -28.936178), abs=1e-5)


@pytest.mark.parametrize("half", [149.6, 149.6 * u.deg, "149.6"])
def test_half_a_position_is_refused(half):
    with pytest.raises(UnitMismatch, match="the position of p must be a pair"):
        point_source("p", half, radius=30 * u.arcsec)
