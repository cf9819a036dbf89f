"""Joint tables: signed rates, methods, disagreement of maps and of observations."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, vstack
from hypothesis import given, strategies as st

from xphotfn.errors import InvalidRecord
from xphotfn.measure.aperture_table import SIGNIFICANCES
from xphotfn.measure.joint import JointFlag, joint_photometry

RESPONSE = {"pn": 1.0, "mos1": 0.34, "mos2": 0.35}


def a_table(counts, background, alpha, exposure, *, obs_id=None, instrument="pn", position=0):
    """Return what ``photometry`` gives of one position, with the columns that are needed."""
    rows = len(counts)
    whole = {"position": position, "ra": 10 * u.deg, "dec": -5 * u.deg, "band": "0.5-2 keV"}
    table = QTable({name: [value] * rows for name, value in whole.items()})
    table["obs_id"] = [f"099999010{n}" for n in range(rows)] if obs_id is None else obs_id
    table["instrument"] = np.broadcast_to(instrument, rows).astype(str)
    table["counts"], table["background_counts"] = np.array(counts) * u.ct, np.array(background) * u.ct
    table["effective_exposure"] = np.broadcast_to(exposure, rows) * u.s
    table["alpha"], table["exposure_mean"] = np.broadcast_to(alpha, rows), np.broadcast_to(exposure, rows) * u.s
    table["rate"] = (table["counts"] - table["alpha"] * table["background_counts"]) / table["effective_exposure"]
    table["dispersion"] = np.ones(rows)
    return table


def observed(rates, seed, *, exposure=10_000.0, cameras=("pn", "mos1", "mos2")):
    """Return rows of observations of a source of these rates, Poisson drawn, and of nothing beside it."""
    rng, parts = np.random.default_rng(seed), []
    response = np.array([RESPONSE[c] for c in cameras])
    obs_id = np.repeat([f"099999010{n}" for n in range(len(rates))], len(cameras))
    light = np.outer(rates, response).ravel() * exposure
    off = np.full(light.size, 200.0)
    parts = rng.poisson(light + 0.1 * off), rng.poisson(off)
    return a_table(*parts, 0.1, exposure, obs_id=list(obs_id), instrument=np.tile(cameras, len(rates)))


def test_a_source_that_varies_is_flagged():
    [row] = joint_photometry(observed([0.575, 0.152, 0.130], 1), response=RESPONSE)
    assert row["variability"] > 20
    assert row["consistency"] < 1e-9
    assert JointFlag(int(row["flags"])) == JointFlag.VARIABLE | JointFlag.INCONSISTENT


def test_a_constant_source_is_not_flagged():
    tables = [joint_photometry(observed([0.2, 0.2, 0.2], seed), response=RESPONSE) for seed in range(40)]
    flags = [int(table["flags"][0]) for table in tables]
    assert sum(flag > 0 for flag in flags) <= 1
    p = np.array([float(table["consistency"][0]) for table in tables])
    assert 0.3 < p.mean() < 0.7


def test_cameras_that_disagree_in_one_observation():
    table = a_table([1000, 340, 500], [50, 50, 50], 0.1, 1000.0, obs_id=["0999990101"] * 3,
                    instrument=["pn", "mos1", "mos2"])  # fmt: skip
    [row] = joint_photometry(table, response=RESPONSE)
    assert 0 < row["consistency"] < 1e-6
    assert np.isnan(row["variability"])
    assert JointFlag(int(row["flags"])) == JointFlag.INCONSISTENT
    apart = joint_photometry(table)
    assert np.all(np.isnan(apart["consistency"]))
    assert list(apart["flags"]) == [0, 0, 0]


def test_cameras_of_one_observation_are_joined_for_variability():
    """Each camera sees one rate of its own: the maps disagree, the observations do not."""
    table = a_table([1000, 500, 1000, 500], [50] * 4, 0.1, 1000.0, instrument=["pn", "mos1"] * 2,
                    obs_id=["0999990101", "0999990101", "0999990102", "0999990102"])  # fmt: skip
    [row] = joint_photometry(table, response=RESPONSE)
    assert row["consistency"] < 1e-6
    assert row["variability"] == 0
    assert JointFlag(int(row["flags"])) == JointFlag.INCONSISTENT


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.04, 2), st.sampled_from(sorted(SIGNIFICANCES)))
def test_one_row_has_the_signed_rate_and_the_significance_of_photometry(n, b, alpha, method):
    [row] = joint_photometry(a_table([n], [b], alpha, 500.0), method=method)
    assert row["rate"].to_value(u.ct / u.s) == pytest.approx((n - alpha * b) / 500, rel=1e-12, abs=1e-12)
    assert row["significance"] == float(SIGNIFICANCES[method](n, b, alpha))


def test_averages_of_rates_are_unbiased():
    """Blank sky in three maps: the mean rate is 0 within its error, where rates clipped at 0 would average above it."""
    rng, tables = np.random.default_rng(3), []
    for place in range(400):
        tables.append(a_table(rng.poisson(2.0, 3), rng.poisson(5.0, 3), 0.4, 1000.0, position=place))
    rates = joint_photometry(vstack(tables))["rate"].to_value(u.ct / u.s)
    error = np.sqrt((6 + 0.16 * 15) / 400) / 3000
    assert abs(rates.mean()) < 3.5 * error
    assert np.maximum(rates, 0).mean() > 5 * error


def test_steps_of_a_long_call_change_nothing(monkeypatch):
    rng = np.random.default_rng(4)
    table = vstack([a_table(rng.poisson(5, 2), rng.poisson(9, 2), 0.3, 900.0, position=n) for n in range(7)])
    whole = joint_photometry(table)
    monkeypatch.setattr("xphotfn.measure.joint.GROUPS", 3)
    steps = joint_photometry(table)
    assert len(whole) == 7
    for name in whole.colnames:
        one, other = (np.asarray(getattr(t[name], "value", t[name])) for t in (whole, steps))
        if one.dtype.kind == "f":
            assert np.allclose(one, other, rtol=1e-8, atol=1e-12, equal_nan=True), name
        else:
            assert np.array_equal(one, other), name


def test_unknown_methods_are_refused():
    with pytest.raises(InvalidRecord, match="use one of mid-p"):
        joint_photometry(a_table([1], [1], 0.1, 1.0), method="gaussian")


def test_a_row_without_a_ratio_of_backgrounds_is_left_out():
    """As of a circle that lies where the background weights are 0."""
    table = a_table([5, 9], [7, 7], [0.2, 0.0], 100.0)
    [row] = joint_photometry(table)
    [alone] = joint_photometry(table[:1])
    assert row["observations"] == 1
    assert row["rate"] == alone["rate"]


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(0.05, 1.0), st.floats(0.05, 0.95)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([0.0, 0.01, 0.2, 1.5]),
)
def test_one_row_of_a_point_source_keeps_its_interval_and_limit(rows, spilt):
    """Circles that see little of the source, and rings that see more: one number, in whichever table it stands."""
    from xphotfn.science.intervals import on_off_interval
    from xphotfn.science.limits import upper_limit_on_off

    n, b, alpha, f = map(np.array, zip(*rows, strict=True))
    g = spilt * f
    table = a_table(n, b, alpha, 5000.0, position=0)
    table["position"] = np.arange(n.size)
    table["enclosed_fraction"], table["ring_fraction"] = f, g
    table["effective_exposure"] = 5000.0 * np.maximum(f - alpha * g, 0.01) * u.s
    table["rate"] = (table["counts"] - alpha * table["background_counts"]) / table["effective_exposure"]
    joint = joint_photometry(table)
    low, high = on_off_interval(n, b, alpha, fractions=(f, g))
    assert joint["rate_low"].value == pytest.approx(low / 5000.0, rel=1e-9)
    assert joint["rate_high"].value == pytest.approx(high / 5000.0, rel=1e-9)
    assert joint["upper_limit"].value == pytest.approx(upper_limit_on_off(n, b, alpha, fractions=(f, g)) / 5000.0)
    scaled = joint_photometry(table, response={"pn": 2.0})
    assert scaled["upper_limit"].value == pytest.approx(joint["upper_limit"].value / 2)
