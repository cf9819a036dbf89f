"""Joint likelihood of several observations: as in the reference table, and what it must reduce to."""

import csv
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import optimize, stats

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science.intervals import on_off_estimate, on_off_interval
from xphotfn.science.joint import (
    joint_estimate,
    joint_interval,
    joint_quantile,
    joint_rate,
    joint_significance,
    joint_upper_limit,
    joint_w_statistic,
)
from xphotfn.science.limits import upper_limit_on_off
from xphotfn.science.significance import li_ma_significance
from xphotfn.science.wstat import fitted_background, half_slope, w_statistic

THREE = ([12, 7, 25], [30, 25, 80], [0.1, 0.1, 0.1], [10000, 10000, 20000])
FEW = st.integers(0, 30)


def rows(folder, test):
    with (folder / "statistics_test_vectors.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["test"] == test:
                yield row["inputs"], {k: float(v) for k, v in (i.split("=") for i in row["outputs"].split(";"))}


def test_w_statistic_rows_of_the_reference(reference_root):
    found = list(rows(reference_root, "wstat"))
    assert len(found) >= 11
    for text, expected in found:
        n, b, alpha, mu = (float(item.split("=")[1]) for item in text.split(";"))
        assert float(w_statistic(n, b, alpha, mu)) == pytest.approx(expected["W"], rel=1e-9), text
        fitted = fitted_background(*(np.array(v) for v in (n, b, alpha, mu)))
        assert float(fitted) == pytest.approx(expected["b_off"], rel=1e-10, abs=1e-12), text


def test_joint_rows_of_the_reference(reference_root):
    found = list(rows(reference_root, "joint"))
    assert len(found) >= 6
    for text, expected in found:
        data = np.array([[float(v) for v in one.split(":")] for one in text.split("|")]).T
        rate = float(joint_rate(*data))
        assert rate == pytest.approx(expected["s_mle"], rel=1e-9), text
        best = float(joint_w_statistic(*data, rate))
        assert float(joint_w_statistic(*data, 0)) == pytest.approx(expected["W0"], rel=1e-9), text
        assert best == pytest.approx(expected["Wmin"], rel=1e-9, abs=1e-9), text
        above = optimize.brentq(
            lambda s, data=data, best=best: float(joint_w_statistic(*data, s)) - best - 1, rate, rate + 0.01, xtol=1e-16
        )
        assert above == pytest.approx(expected["up_dW1"], rel=1e-8), text
        assert float(joint_quantile(*data, 0.5)) == pytest.approx(expected["median"], rel=1e-9), text
        assert float(joint_upper_limit(*data)) == pytest.approx(expected["UL95"], rel=1e-9), text
        assert float(joint_estimate(*data).mean) == pytest.approx(expected["mean"], rel=1e-9), text


@given(n=st.integers(0, 500), b=st.integers(0, 500), exponent=st.floats(-3, 2))
def test_one_observation_is_li_and_ma(n, b, exponent):
    alpha = 10.0**exponent
    found = float(joint_significance([n], [b], [alpha], [1000.0]))
    assert found == pytest.approx(float(li_ma_significance(n, b, alpha)), rel=1e-7, abs=1e-6)
    assert float(joint_rate([n], [b], [alpha], [1000.0])) == pytest.approx(max(n - alpha * b, 0) / 1000, abs=1e-12)


def test_one_observation_has_the_on_off_posterior():
    n, b, alpha = [3, 10, 60], [20, 23, 200], [0.1, 0.1, 0.25]
    data = (*(np.array(v)[:, None] for v in (n, b, alpha)), np.array([500.0]))
    np.testing.assert_allclose(500 * joint_upper_limit(*data), upper_limit_on_off(n, b, alpha), rtol=1e-10)
    for kind in ("shortest", "central"):
        found, expected = joint_interval(*data, kind=kind), on_off_interval(n, b, alpha, kind=kind)
        for mine, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(500 * mine, other, rtol=1e-8, atol=1e-9)
    for mine, other in zip(joint_estimate(*data), on_off_estimate(n, b, alpha), strict=True):
        np.testing.assert_allclose(500 * mine, other, rtol=1e-9)


@given(st.lists(st.tuples(FEW, FEW, st.floats(0.05, 3), st.floats(100, 5000)), min_size=2, max_size=4))
def test_the_order_of_observations_is_irrelevant(sets):
    data, turned = np.array(sets).T, np.array(sets[::-1]).T
    for function in (joint_rate, joint_significance, joint_upper_limit):
        assert float(function(*data)) == pytest.approx(float(function(*turned)), rel=1e-7, abs=1e-7)


@given(st.lists(st.tuples(FEW, FEW, st.floats(0.05, 3), st.floats(100, 5000)), min_size=1, max_size=4))
def test_an_observation_that_does_not_cover_changes_nothing(sets):
    data = np.array(sets).T
    more = np.concatenate([data, [[math.nan], [math.nan], [math.nan], [0.0]]], axis=1)
    for function in (joint_rate, joint_significance, joint_upper_limit):
        assert float(function(*more)) == pytest.approx(float(function(*data)), rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(FEW, FEW, st.floats(0.05, 3), st.floats(100, 5000)), min_size=1, max_size=4))
def test_rates_scale_with_exposure(sets):
    n, b, alpha, exposure = np.array(sets).T
    for function in (joint_rate, joint_upper_limit):
        double = float(function(n, b, alpha, 2 * exposure))
        assert 2 * double == pytest.approx(float(function(n, b, alpha, exposure)), rel=1e-7, abs=1e-12)
    once = float(joint_significance(n, b, alpha, exposure))
    assert float(joint_significance(n, b, alpha, 2 * exposure)) == pytest.approx(once, rel=1e-6, abs=1e-6)


@given(st.lists(st.tuples(FEW, FEW, st.floats(0.05, 3), st.floats(100, 5000)), min_size=1, max_size=4))
def test_no_rate_is_more_likely_than_the_fitted_one(sets):
    data = np.array(sets).T
    rate = float(joint_rate(*data))
    best = float(joint_w_statistic(*data, rate))
    for factor in (0.0, 0.5, 0.9, 1.1, 2.0):
        assert float(joint_w_statistic(*data, factor * rate)) >= best - 1e-9
    assert float(joint_w_statistic(*data, rate + 1e-4)) >= best - 1e-9


def test_proportional_observations_add_up():
    """Where all N_i and B_i go with the exposure the joint answer is that of the sums."""
    found = float(joint_significance([10, 20], [20, 40], [0.25, 0.25], [1000, 2000]))
    assert found == pytest.approx(float(li_ma_significance(30, 60, 0.25)), rel=1e-9)


def test_derivatives_of_w():
    rng = np.random.default_rng(6)
    n, b = rng.integers(0, 6, 300).astype(float), rng.integers(0, 6, 300).astype(float)
    alpha, mu = rng.uniform(0.1, 3, 300), rng.uniform(-3, 8, 300)
    step = 1e-5
    first, second = half_slope(n, b, alpha, mu)
    up, down = (w_statistic(n, b, alpha, mu + d) for d in (step, -step))
    usable = np.isfinite(up) & np.isfinite(down)
    np.testing.assert_allclose(((up - down) / (4 * step))[usable], first[usable], rtol=1e-4, atol=1e-5)
    above, below = (half_slope(n, b, alpha, mu + d)[0] for d in (step, -step))
    smooth = (n > 0) & (b > 0)
    np.testing.assert_allclose(((above - below) / (2 * step))[smooth], second[smooth], rtol=1e-3, atol=1e-5)


def test_observations_without_counts():
    """Exp(sum of E), whatever the backgrounds: the limit is -ln(1 - CL)/sum(E)."""
    found = joint_upper_limit([0, 0], [[10, 0], [500, 3]], [0.1, 0.5], [1000, 2000], confidence=0.9)
    np.testing.assert_allclose(found, -math.log(0.1) / 3000, rtol=1e-12)


def test_backgrounds_free_and_counts_added_differ():
    """The sum of counts is not sufficient: 7.5307e-4 jointly against 7.625e-4, 6.0219 against 6.0908 sigma."""
    assert float(joint_rate(*THREE)) == pytest.approx(7.5307e-4, abs=5e-9)
    assert float(joint_significance(*THREE)) == pytest.approx(6.0219, abs=5e-5)
    assert float(li_ma_significance(44, 135, 0.1)) == pytest.approx(6.0908, abs=5e-5)


def test_joint_significance_on_blank_sky_is_gaussian():
    rng = np.random.default_rng(8)
    b = rng.poisson([40.0, 90.0, 25.0], (20_000, 3))
    n = rng.poisson(np.array([40.0, 90.0, 25.0]) * 0.5, (20_000, 3))
    z = joint_significance(n, b, 0.5, [1000.0, 3000.0, 700.0])
    assert abs(z.mean()) < 0.03
    assert z.std() == pytest.approx(1, abs=0.02)
    assert np.mean(np.abs(z) > 2) == pytest.approx(2 * stats.norm.sf(2), rel=0.15)


def test_coverage_of_the_joint_interval():
    """Rates drawn evenly lie in it as often as it says; backgrounds are held, so not to the last per cent."""
    rng = np.random.default_rng(9)
    rate = rng.uniform(0, 0.02, 6000)
    off, alpha, exposure = np.array([30.0, 12.0]), np.array([0.1, 0.4]), np.array([1000.0, 2500.0])
    n, b = rng.poisson(rate[:, None] * exposure + alpha * off), rng.poisson(off, (6000, 2))
    for kind in ("shortest", "central"):
        lower, upper = joint_interval(n, b, alpha, exposure, confidence=0.9, kind=kind)
        assert np.mean((lower <= rate) & (rate <= upper)) == pytest.approx(0.9, abs=0.015)
    assert np.mean(rate <= joint_upper_limit(n, b, alpha, exposure)) == pytest.approx(0.95, abs=0.012)


def test_positions_without_an_answer_are_nan():
    exposure = np.array([[1000.0, 0.0], [0.0, 0.0], [math.nan, 1000.0], [1000.0, 1000.0]])
    n, b = np.array([3, 2]), np.array([10, math.nan])
    for function in (joint_rate, joint_significance, joint_upper_limit):
        assert np.isnan(function(n, b, 0.1, exposure)).tolist() == [False, True, True, True]
    assert np.isnan(joint_w_statistic([1, 2], [3, 4], 0.1, [10, 20], [0.1, math.nan])).tolist() == [False, True]


def test_impossible_inputs_are_refused():
    for call in (
        lambda: joint_rate([-1, 2], [1, 1], 0.1, [1, 1]),
        lambda: joint_rate([1, 2], [1, -1], 0.1, [1, 1]),
        lambda: joint_rate([1, 2], [1, 1], 0.0, [1, 1]),
        lambda: joint_rate([1, 2], [1, 1], 0.1, [1, -1]),
        lambda: joint_upper_limit([1.5, 2], [1, 1], 0.1, [1, 1]),
        lambda: joint_quantile([1, 2], [1, 1], 0.1, [1, 1], 1.0),
        lambda: joint_interval([1, 2], [1, 1], 0.1, [1, 1], kind="best"),
        lambda: w_statistic(1, 1, 0, 1),
        lambda: w_statistic(1, 1, 1, math.inf),
    ):
        with pytest.raises(InvalidRecord):
            call()
    for call in (
        lambda: joint_rate(1, 1, 0.1, 1),
        lambda: joint_rate([1, 2], [1, 2, 3], 0.1, [1, 1]),
        lambda: joint_w_statistic([[1, 2], [3, 4]], 1, 0.1, [1, 1], [0.1, 0.2, 0.3]),
    ):
        with pytest.raises(ShapeMismatch):
            call()


def test_many_positions():
    rng = np.random.default_rng(10)
    n, b = rng.poisson(2, (20_000, 2)), rng.poisson(10, (20_000, 2))
    found = joint_upper_limit(n, b, 0.1, [1000.0, 4000.0])
    assert found.shape == (20_000,)
    one = joint_upper_limit(n[7], b[7], 0.1, [1000.0, 4000.0])
    assert found[7] == pytest.approx(float(one), rel=1e-12)
