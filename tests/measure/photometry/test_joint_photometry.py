"""Joint tables: signed rates, methods, disagreement of maps and of observations."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, vstack
from hypothesis import given, strategies as st

import xphotfn as xp
from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.measure.photometry.columns import COLUMNS, ApertureFlag
from xphotfn.measure.photometry.joint_photometry import JointFlag, joint_photometry
from xphotfn.science.joint.conditional import METHODS
from xphotfn.science.joint.rate import joint_consistency, joint_rate, joint_significance, joint_upper_limit
from xphotfn.science.significance import SIGNIFICANCES
from xphotfn.testing.examples import example_rate_map

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


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.04, 2), st.sampled_from(sorted(METHODS)))
def test_one_row_has_the_signed_rate_and_the_significance_of_photometry(n, b, alpha, method):
    [row] = joint_photometry(a_table([n], [b], alpha, 500.0), method=method)
    assert row["rate"].to_value(u.ct / u.s) == pytest.approx((n - alpha * b) / 500, rel=1e-12, abs=1e-12)
    assert row["significance"] == float(SIGNIFICANCES[method].significance(n, b, alpha))


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
    monkeypatch.setattr("xphotfn.measure.photometry.joint_photometry.GROUPS", 3)
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
    assert (row["left_out"], alone["left_out"]) == (1, 0)
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
    scaled = joint_photometry(table, response={"pn": 2.0, "mos1": 1.0})
    assert scaled["upper_limit"].value == pytest.approx(joint["upper_limit"].value / 2)


# What rows carry, and rows that are no one measurement.


@pytest.mark.parametrize("how", [{}, {"psf": "epic"}, {"overlap": "exact"}, {"psf": "epic", "overlap": "exact"}])
def test_what_photometry_makes_is_told_from_a_catalogue(how):
    """Every name of `COLUMNS` is a column of some table, and no other is."""
    catalogue = QTable({"name": ["A", "B"], "ra": [149.591375, 149.68] * u.deg, "dec": [-11.0887, -11.15] * u.deg})
    catalogue["left_out"], catalogue["radius"], catalogue["z"] = [1.5, 2.5], [7.0, 8.0], [np.nan, 0.2]
    table = xp.photometry(
        example_rate_map(), catalogue, 20 * u.arcsec, background=(60 * u.arcsec, 90 * u.arcsec), **how
    )
    assert set(table.colnames) - COLUMNS == {"name", "left_out", "input_radius", "z"}
    if len(how) == 2:
        assert set(table.colnames) >= COLUMNS - {"neighbour_counts"}  # of positions that are solved together
    joint = joint_photometry(table)
    assert list(joint["name"]) == ["A", "B"]
    assert list(joint["input_radius"]) == [7.0, 8.0]
    assert list(joint["input_left_out"]) == [1.5, 2.5]
    assert list(joint["left_out"]) == [0, 0]
    assert np.isnan(joint["z"][0])
    assert list(joint["rate_of"]) == list(table["rate_of"])
    assert u.allclose(joint["radius"], 20 * u.arcsec)


def test_flags_of_all_rows_that_are_used():
    table = vstack([a_table([5, 9, 4], [7, 7, 7], 0.2, 100.0), a_table([5, 9], [7, 7], 0.2, 100.0, position=1)])
    table["flags"] = [ApertureFlag.GAP, ApertureFlag.WINGS, ApertureFlag.EDGE, ApertureFlag.OFF_IMAGE, ApertureFlag.GAP]
    table["effective_exposure"][2:] = np.nan
    table["exposure_mean"][4] = np.nan * u.s
    joint = joint_photometry(table)
    assert list(joint["observations"]) == [2, 0]
    assert ApertureFlag(int(joint["aperture_flags"][0])) == ApertureFlag.GAP | ApertureFlag.WINGS
    assert ApertureFlag(int(joint["aperture_flags"][1])) == ApertureFlag.GAP | ApertureFlag.OFF_IMAGE
    assert list(joint["left_out"]) == [1, 1]
    assert joint.meta["AFLG512"] == "WINGS"
    assert "aperture_flags" not in joint_photometry(a_table([1], [1], 0.1, 1.0)).colnames


def test_columns_that_differ_in_a_group_stay_behind():
    table = a_table([5, 9], [7, 7], 0.2, 100.0)
    table["who"], table["night"], table["exposure"] = ["A", "A"], [1, 2], ["x", "x"]
    joint = joint_photometry(table)
    assert (joint["who"][0], joint["input_exposure"][0]) == ("A", "x")
    assert "night" not in joint.colnames


def moved(table, arcsec):
    table["dec"][1] += arcsec * u.arcsec
    return table


def with_columns(table, **columns):
    for name, values in columns.items():
        table[name] = values
    return table


TWO = {"counts": [5, 9], "background": [7, 7], "alpha": 0.2, "exposure": 100.0}
SAME = {**TWO, "counts": [5, 5], "obs_id": ["0999990101"] * 2}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (lambda: moved(a_table(**TWO), 0.2), "two places 0.2 arcsec apart"),
        (lambda: with_columns(a_table(**TWO), rate_of=["aperture", "source"]), "rates of aperture and of source"),
        (lambda: with_columns(a_table(**TWO), radius=[20, 60] * u.arcsec), "circles of 20 and 60 arcsec"),
        (lambda: a_table(**SAME), "0999990101 pn: its counts would count twice"),
        (lambda: with_columns(a_table(**SAME), exposure_id="S003"), "S003 pn: its counts would count twice"),
        (lambda: a_table(**TWO, obs_id=["0999990101", "combined"]), "joins a combined map"),
    ],
)
def test_rows_of_no_one_rate_are_refused(table, words):
    with pytest.raises(InvalidRecord, match=words):
        joint_photometry(table())


def test_a_combined_map_is_not_joined_with_single_ones():
    table = a_table(**TWO, instrument=["pn", "combined"])
    assert list(joint_photometry(table)["instrument"]) == ["pn", "combined"]
    with pytest.raises(InvalidRecord, match="joins a combined map"):
        joint_photometry(table, response={"pn": 1, "combined": 1})


@pytest.mark.parametrize(
    "table",
    [
        lambda: moved(a_table(**TWO), 0.05),
        lambda: with_columns(a_table(**TWO), radius=[20, 60] * u.arcsec, rate_of="source"),
        lambda: with_columns(a_table(**SAME), exposure_id=["S003", "U002"]),
        lambda: a_table(**{**SAME, "counts": [5, 6]}),  # without an exposure's name other counts are another exposure
        lambda: a_table(**SAME, instrument=["pn", "mos1"]),
    ],
)
def test_rows_of_one_rate_are_joined(table):
    assert joint_photometry(table(), response={"pn": 1, "mos1": 0.3})["observations"][0] == 2


@pytest.mark.parametrize("name", ["counts", "background_counts", "alpha", "exposure_mean", "effective_exposure"])
def test_numbers_that_no_measurement_has_are_refused(name):
    table = a_table(**TWO)
    table[name] = table[name] * np.array([1.0, -1.0])
    with pytest.raises(InvalidRecord, match=f"{name} must not be negative, got -.* in row 1"):
        joint_photometry(table)


def test_a_dispersion_of_nothing_is_refused():
    with pytest.raises(InvalidRecord, match="dispersion must be above 0, got 0 in row 1"):
        joint_photometry(with_columns(a_table(**TWO), dispersion=[1.0, 0.0]))


def test_arguments_that_are_no_numbers():
    with pytest.raises(InvalidRecord, match="enclosed must be numbers"):
        joint_photometry(a_table(**TWO), enclosed="x")
    for function in (joint_rate, joint_significance, joint_upper_limit, joint_consistency):
        with pytest.raises(ShapeMismatch, match="no observation"):
            function([], [], 0.3, [])
