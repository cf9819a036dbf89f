"""Targets from a table: every kind of table that the docstring names gives the same targets."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table

import xphotfn as xp

ROWS = [
    {"name": "A907", "ra": 149.59209, "dec": -11.05972, "z": 0.16, "r500": 1200.0, "richness": 71},
    {"name": "A209", "ra": 22.96895, "dec": -13.61122, "z": 0.209, "r500": 1230.0, "richness": 64},
]


def as_dataframe(rows):
    return pytest.importorskip("pandas").DataFrame(rows)


def as_columns(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize("kind", [list, Table, QTable, as_dataframe, as_columns])
def test_each_kind_of_table_gives_the_same_targets(kind):
    one, other = xp.targets_from_table(kind(ROWS))
    wanted = xp.galaxy_cluster(
        "A907", 149.59209 * u.deg, -11.05972 * u.deg, redshift=0.16, r500=1200 * u.kpc, extra={"richness": 71}
    )
    assert one == wanted
    assert (other.name, dict(other.extra)) == ("A209", {"richness": 64})


def test_columns_with_units_keep_them():
    table = QTable(
        {"name": ["A907"], "ra": [9.972806] * u.hourangle, "dec": [-11.05972] * u.deg, "radius": [2] * u.arcmin}
    )
    (target,) = xp.targets_from_table(table)
    assert target.kind == "position"
    assert target.position[0].to_value(u.deg) == pytest.approx(9.972806 * 15)
    assert target.radius == 2 * u.arcmin


def test_positions_may_be_texts_with_or_without_a_unit():
    ra, dec = (
        ["149.592", "9h58m22.08s", "09:58:22.08", "09 58 22.08"],
        ["-11.06", "-11d03m36s", "-11:03:36", "-11 3 36"],
    )
    table = Table({"name": list("abcd"), "RAJ2000": ra, "DEJ2000": dec})
    for target in xp.targets_from_table(table):
        assert target.position.to_value(u.deg) == pytest.approx([149.592, -11.06], abs=1e-9)
    for wrong in ("9:58", "149:35:31", "noon", "25h0m0s"):
        table["RAJ2000"][1] = wrong
        with pytest.raises((xp.UnitMismatch, xp.InvalidRecord), match="row 2 of the table"):
            xp.targets_from_table(table)


def test_the_unit_of_the_header_is_that_of_its_texts():
    """Tables of the CDS name the form of their texts; a text of three numbers in degrees is refused for RA."""
    table = Table({"name": ["a"], "RAJ2000": ["09 58 22.08"], "DEJ2000": ["-11 03 36"]})
    table["RAJ2000"].unit, table["DEJ2000"].unit = '"h:m:s"', '"d:m:s"'
    (target,) = xp.targets_from_table(table)
    assert target.position.to_value(u.deg) == pytest.approx([149.592, -11.06], abs=1e-9)
    table["RAJ2000"].unit = u.deg
    with pytest.raises(xp.UnitMismatch, match="may be hours"):
        xp.targets_from_table(table)
    hours = Table({"name": ["a"], "ra": [149.592 / 15], "dec": [-11.06]})
    hours["ra"].unit = u.hour
    assert xp.targets_from_table(hours)[0].ra_deg == pytest.approx(149.592, abs=1e-9)


def test_a_column_of_coordinates_of_another_frame_is_turned_to_icrs():
    sky = SkyCoord([149.592, 22.97], [-11.06, -13.61], unit="deg")
    table = QTable({"name": ["a", "b"], "place": sky.galactic, "radius": [20, 30] * u.arcsec})
    assert [t.ra_deg for t in xp.targets_from_table(table)] == pytest.approx(sky.ra.deg.tolist(), abs=1e-9)
    assert [t.dec_deg for t in xp.targets_from_table(table)] == pytest.approx(sky.dec.deg.tolist(), abs=1e-9)


def test_masked_and_nan_cells_are_not_given():
    table = Table(ROWS)
    table["r200"] = MaskedColumn([1700.0, 0.0], mask=[False, True])
    table["nh"] = [np.nan, 0.014]
    one, other = xp.targets_from_table(table)
    assert one.r200 == 1700 * u.kpc
    assert other.r200 is None
    assert "nh" not in dict(one.extra)
    assert dict(other.extra)["nh"] == 0.014


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (Table({"name": ["a"], "ra": [1.0]}), "lacks dec; its columns are name, ra"),
        (Table({"name": ["a"], "ra": [1.0], "RAJ2000": [1.0], "dec": [1.0]}), "mean ra: keep one"),
        (Table({"name": ["a"], "ra": [400.0], "dec": [1.0], "radius": [30.0]}), "row 1 of the table: a: RA must lie"),
    ],
)
def test_errors_name_the_column_or_the_row(table, words):
    with pytest.raises(xp.InvalidRecord, match=words):
        xp.targets_from_table(table)
