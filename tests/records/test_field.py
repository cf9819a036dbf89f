"""Fields: their members, their centre, and what is refused."""

import math

import astropy.units as u
import attrs
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given

from xphotfn.errors import InvalidRecord, ProductMissing, UnitMismatch, XphotfnError
from xphotfn.records.field import Field, FieldObservation, with_centre
from xphotfn.records.measurement import Peak
from xphotfn.records.observation import Observation
from xphotfn.records.region import Region
from xphotfn.records.target import galaxy_cluster
from xphotfn.testing.strategies import fields, positions

A907 = galaxy_cluster("A907", 149.59209, -11.05972, redshift=0.16)


def member(obs_id="0404910601", **changes):
    observation = Observation(obs_id=obs_id, ra_deg=149.6, dec_deg=-11.1)
    return FieldObservation(**({"observation": observation, "region_grid": observation.grid} | changes))


def field(**changes):
    given = {"target": A907, "members": [member()], "centre_ra_deg": A907.ra_deg, "centre_dec_deg": A907.dec_deg}
    return Field(**(given | changes))


def bulk(*obs_ids):
    return Field(members=[member(obs_id) for obs_id in obs_ids or ("0404910601",)])


def circle(name):
    return Region(shape="circle", frame="image", x=1, y=2, size=(3,), name=name)


def test_a_field_needs_an_observation():
    with pytest.raises(InvalidRecord, match="a field needs at least one observation"):
        field(members=[])


def test_an_observation_is_listed_once():
    with pytest.raises(InvalidRecord, match=r"a field lists an observation twice: \['0404910601', '0404910601'\]"):
        field(members=[member(), member()])


def test_members_are_sorted_by_obs_id():
    """The order of the inputs changes nothing: two fields of the same observations are equal."""
    assert bulk("0404910601", "0201903501").obs_ids == ("0201903501", "0404910601")
    assert bulk("0404910601", "0201903501") == bulk("0201903501", "0404910601")


def test_reasons_may_be_lists_and_still_be_hashed():
    made = field(left_out=[["0201901401", "too far"]])
    assert str(made.left_out[0]) == "0201901401: too far"
    assert hash(made) == hash(field(left_out=(("0201901401", "too far"),)))


@pytest.mark.parametrize(
    "changes",
    [
        {"centre_ra_deg": None, "centre_dec_deg": None},
        {"centre_dec_deg": None},
        {"target": None},
        {"target": None, "centre_ra_deg": None},
    ],
)
def test_a_centre_comes_with_a_target(changes):
    with pytest.raises(InvalidRecord, match="a field with a target, and only such a field, has a centre"):
        field(**changes)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["centre_ra_deg", "centre_dec_deg"])
def test_a_centre_is_finite(name, bad):
    with pytest.raises(InvalidRecord, match=rf"a centre must be finite, got .*{bad}"):
        field(**{name: bad})


@pytest.mark.parametrize("position", [(400.0, 0.0), (10.0, 95.0), (-5.0, 0.0)])
def test_a_centre_lies_on_the_sky(position):
    """A pixel pair given by mistake for degrees must not pass."""
    with pytest.raises(XphotfnError):
        with_centre(field(), position)


@given(fields(bulk=False), positions())
def test_with_centre_moves_the_centre_alone(made, position):
    moved = with_centre(made, position)
    assert moved.centre.value.tolist() == list(position)
    assert moved.centre.unit == u.deg
    back = attrs.evolve(moved, centre_ra_deg=made.centre_ra_deg, centre_dec_deg=made.centre_dec_deg)
    assert back == made
    assert with_centre(moved, made.target.position).is_centred_on_target


@pytest.mark.parametrize(
    "position",
    [
        [149.6, -11.1],
        (149.6 * u.deg, -11.1 * u.deg),
        [149.6, -11.1] * u.deg,
        [149.6 * 60, -11.1 * 60] * u.arcmin,
        SkyCoord(149.6, -11.1, unit="deg"),
        Peak(ra_deg=149.6, dec_deg=-11.1, near_edge=False, method="simple"),
    ],
    ids=["numbers", "angles", "quantity", "arcmin", "skycoord", "peak"],
)
def test_a_position_may_be_written_in_many_ways(position):
    assert with_centre(field(), position).centre.value.tolist() == pytest.approx([149.6, -11.1], abs=1e-12)


@pytest.mark.parametrize("position", [149.6, "here", [149.6], [1, 2, 3] * u.deg, [149.6, -11.1] * u.kpc, None])
def test_what_is_no_position_is_refused(position):
    with pytest.raises(UnitMismatch, match="centre"):
        with_centre(field(), position)


def test_a_bulk_field_has_no_centre():
    assert bulk().name == "bulk"
    assert not bulk().is_centred_on_target
    with pytest.raises(ProductMissing, match="a bulk field has no centre: give centre= or match a target"):
        _ = bulk().centre
    with pytest.raises(InvalidRecord, match="a bulk field has no target to centre on: use match_observations"):
        with_centre(bulk(), (1, 2))


def test_members_are_found_by_obs_id():
    assert field().member("0404910601") == member()
    with pytest.raises(ProductMissing, match="field A907 has no observation 0000000001; it has 0404910601"):
        field().member("0000000001")


@pytest.mark.parametrize(("separation", "on_axis"), [(None, False), (0.0, True), (3.0, True), (3.001, False)])
def test_on_axis_is_within_three_arcmin(separation, on_axis):
    assert member(separation_arcmin=separation).on_axis is on_axis


def test_regions_of_a_member_are_all_its_regions():
    match, other, kept, masked = map(circle, "abcd")
    made = member(match=match, alternates=[other], kept=[kept], interlopers=[masked])
    assert made.regions == (match, other, kept, masked)
    assert member(interlopers=[masked]).regions == (masked,)


@given(fields())
def test_drawn_fields_hang_together(made):
    assert list(made.obs_ids) == sorted(made.obs_ids)
    assert made.observations == tuple(m.observation for m in made.members)
    for obs_id in made.obs_ids:
        assert made.member(obs_id).obs_id == obs_id
    assert (made.target is None) == (made.name == "bulk" and made.centre_ra_deg is None)
