"""Targets from tables: the forms that people have, units, blanks and mistakes."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, Table

import xphotfn as xp

ROWS = [
    {"name": "a", "ra": 10.0, "dec": -5.0, "z": 0.1, "r500": 900.0, "nH": 0.03},
    {"name": "b", "ra": 20.0, "dec": 5.0, "z": 0.2, "r500": 1100.0, "nH": 0.05},
]
EXPECTED = tuple(
    xp.galaxy_cluster(r["name"], r["ra"], r["dec"], redshift=r["z"], r500=r["r500"] * u.kpc, extra={"nH": r["nH"]})
    for r in ROWS
)


def test_every_form_of_a_table_gives_the_same_targets(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = Table(rows=ROWS)
    for form in (ROWS, table, QTable(table), pandas.DataFrame(ROWS), {n: list(table[n]) for n in table.colnames}):
        assert xp.targets_from_table(form) == EXPECTED
    for name, kind in (("t.csv", "ascii.csv"), ("t.ecsv", "ascii.ecsv"), ("t.fits", "fits")):
        table.write(tmp_path / name, format=kind)
        assert xp.targets_from_table(Table.read(tmp_path / name, format=kind)) == EXPECTED


def test_units_and_blank_cells():
    table = QTable({"Name": ["a", "b"], "RA": [0.4, 1.0] * u.hourangle, "DEC": [-60.0, 60.0] * u.arcmin})
    table["radius"] = [3.0, 4.0] * u.arcmin
    table["redshift"] = MaskedColumn([0.1, 0.2], mask=[False, True])
    first, second = xp.targets_from_table(table)
    assert (first.ra_deg, first.dec_deg, first.redshift) == (6.0, -1.0, 0.1)
    assert (second.redshift, second.radius, second.kind) == (None, 4 * u.arcmin, "extended")
    bare = xp.targets_from_table([{"name": "p", "ra": 1.0, "dec": 2.0, "radius": 30.0, "kind": "point"}])[0]
    assert bare.radius == 30 * u.arcsec


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"name": "a", "ra": 1.0}], "the table lacks dec; its columns are name, ra"),
        (
            [{"name": "a", "ra": 1.0, "dec": 2.0, "z": 0.1, "redshift": 0.2}],
            "several columns of the table mean redshift",
        ),
        ([{"name": "a", "ra": 1.0, "dec": 95.0}], "row 0 of the table: a: RA must lie in"),
        ([{"name": "a", "ra": np.nan, "dec": 95.0}], "row 0 of the table"),
    ],
)
def test_mistakes_name_column_or_row(rows, said):
    with pytest.raises(xp.InvalidRecord, match=said):
        xp.targets_from_table(rows)
