"""Every row of the table of reference values is met by the function that we have for it, within its tolerance.

``KINDS`` says what a kind of row is compared with: a function of the row that returns our value (or None where we have
no function, for the reasons in ``NOT_OURS``) and the relative tolerance of the row. An unknown kind is an error.
"""

import csv
import re
from collections import Counter
from functools import cache

import astropy.units as u
import pytest

import xphotfn as xp
from xphotfn.errors import InvalidRecord

NOT_OURS = {
    "3XMM": "what scripts pass on, not a published table",
    "eROSITA": "no factors of other telescopes are packaged",
}


def quantities(text):
    """Return the numbers of a text such as ``Gamma=1.7;nH=3e20``."""
    return {name: float(value) for name, value in re.findall(r"(\w+)=([-+.\de]+)", text)}


def epic_cell(row):
    camera, chosen, energies = row["name"].split("/")
    lo, hi = map(float, energies.split("-"))
    given = quantities(row["inputs"])
    return {
        "instrument": camera, "filter": chosen, "band": xp.energy_band(lo * u.keV, hi * u.keV),
        "gamma": given["Gamma"], "nh": given["nH"] / u.cm**2,
    }  # fmt: skip


def factor(row, **how):
    """Return our factor in 1e11 ct cm2/erg; pn below 0.5 keV has none, and says why."""
    cell = epic_cell(row) | how
    camera = cell.pop("instrument")
    if camera == "pn" and cell["band"].lo_ev < 500:
        with pytest.raises(InvalidRecord, match="PATTERN 0"):
            xp.power_law_ecf(camera, **cell)
        return None
    return xp.power_law_ecf(camera, **cell).ct_cm2_per_erg / 1e11


def published_factor(row):
    if "3XMM" in row["inputs"]:
        return None
    return factor(row, absorbed=True, table="4xmm" if "4XMM" in row["inputs"] else "2xmm")


def ecfxa_factor(row):
    if row["name"].startswith("eROSITA"):
        return None
    return factor(row, absorbed="unabsorbed" not in row["inputs"])


KINDS = {
    "ecf": published_factor,
    "ecf_ecfxa": ecfxa_factor,
}
TOLERANCES = {"exact as published": 1e-12, "rounded to 0.01": 1e-12, "3 decimals": 1e-12}
NOT_YET = {"nh", "upper_limit_counts", "kraft_interval", "hardness_ratio", "luminosity", "kcorr_powerlaw",
           "band_conversion", "flux_measured", "crowded_flux"}  # fmt: skip


@cache
def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@pytest.fixture(scope="module")
def rows(reference_root):
    return rows_of(reference_root / "reference_fluxes.csv")


def expected(row):
    """Return the reference values of a row; most have one."""
    return [float(value) for value in re.split(r";|\.\.", row["value"])]


def test_no_kind_of_row_is_unknown(rows):
    assert {row["kind"] for row in rows} <= {*KINDS, *NOT_YET}


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_met(rows, kind):
    compared = Counter()
    for row in (row for row in rows if row["kind"] == kind):
        ours = KINDS[kind](row)
        compared[ours is not None] += 1
        if ours is not None:
            tolerance = TOLERANCES.get(row["tolerance"]) or float(row["tolerance"])
            assert ours == pytest.approx(expected(row)[0], rel=tolerance), row["name"]
    assert compared[True] > compared[False]
