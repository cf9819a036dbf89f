"""Several observations of one position: as in the reference table, and what they must reduce to."""

import csv
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science.intervals import on_off_estimate, on_off_interval
from xphotfn.science.joint.conditional import METHODS
from xphotfn.science.joint.rate import (
    joint_consistency,
    joint_estimate,
    joint_interval,
    joint_quantile,
    joint_rate,
    joint_significance,
    joint_upper_limit,
    joint_w_statistic,
)
from xphotfn.science.limits import upper_limit_on_off
from xphotfn.science.significance import FOR_FEW_COUNTS, SIGNIFICANCES
from xphotfn.science.wstat import fitted_background, w_statistic

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
    """The W statistic; medians and limits of the table have a flat prior on each background and are not offered."""
    found = list(rows(reference_root, "joint"))
    assert len(found) >= 6
    for text, expected in found:
        data = np.array([[float(v) for v in one.split(":")] for one in text.split("|")]).T
        rate, w = expected["s_mle"], partial(joint_w_statistic, *data)
        assert float(w(0)) == pytest.approx(expected["W0"], rel=1e-9), text
        assert float(w(rate)) == pytest.approx(expected["Wmin"], rel=1e-9, abs=1e-9), text
        assert float(w(rate * 1.001 + 1e-9)) > expected["Wmin"]
        assert float(w(expected["up_dW1"])) == pytest.approx(expected["Wmin"] + 1, rel=1e-8), text


@given(
    n=st.integers(0, 500),
    b=st.integers(0, 500),
    exponent=st.floats(-3, 2),
    method=st.sampled_from(sorted(METHODS)),
)
def test_one_observation_has_the_significance_and_rate_of_photometry(n, b, exponent, method):
    alpha = 10.0**exponent
    found = float(joint_significance([n], [b], [alpha], [1000.0], method=method))
    assert found == float(SIGNIFICANCES[method].significance(n, b, alpha))
    assert float(joint_rate([n], [b], [alpha], [1000.0])) == pytest.approx((n - alpha * b) / 1000, rel=1e-12, abs=1e-12)


def test_significances_are_those_of_photometry():
    assert set(METHODS) == set(FOR_FEW_COUNTS), "each definition for few counts needs its joint form in METHODS"


def test_one_observation_has_the_on_off_posterior():
    n, b, alpha = [3, 10, 60, 0], [20, 23, 200, 0], [0.1, 0.1, 0.25, 0.84]
    data = (*(np.array(v)[:, None] for v in (n, b, alpha)), np.array([500.0]))
    np.testing.assert_allclose(500 * joint_upper_limit(*data), upper_limit_on_off(n, b, alpha), rtol=1e-10)
    for kind in ("shortest", "central"):
        found, expected = joint_interval(*data, kind=kind), on_off_interval(n, b, alpha, kind=kind)
        for mine, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(500 * mine, other, rtol=1e-8, atol=1e-9)
    for mine, other in zip(joint_estimate(*data), on_off_estimate(n, b, alpha), strict=True):
        np.testing.assert_allclose(500 * mine, other, rtol=1e-9)


def test_eighteen_observations_without_background_counts():
    """36 counts and none beside: Garwood's 30 to 43 and 48.6, less the 0.84 of a flat prior on one background."""
    data = [2] * 18, [0] * 18, 0.84, [1 / 18] * 18
    assert float(joint_rate(*data)) == pytest.approx(36, rel=1e-12)
    low, high = joint_interval(*data)
    assert (float(low), float(high)) == (pytest.approx(29.4, abs=0.05), pytest.approx(41.6, abs=0.05))
    assert float(joint_upper_limit(*data)) == pytest.approx(46.8, abs=0.05)


COUNTS = st.integers(0, 150), st.integers(0, 200), st.floats(-1.5, 0.2), st.sampled_from([2, 3, 9, 18])


def ends(*data):
    return (*(float(v) for v in joint_interval(*data)), float(joint_upper_limit(*data)))


def the_sums(n, b, alpha):
    return (*(float(v) for v in on_off_interval(n, b, alpha)), float(upper_limit_on_off(n, b, alpha)))


@settings(max_examples=25)
@given(*COUNTS)
def test_equal_observations_are_their_sums(n, b, exponent, k):
    data = [n] * k, [b] * k, 10.0**exponent, [700.0] * k
    found = np.array(ends(*data)) * 700 * k
    np.testing.assert_allclose(found, the_sums(n * k, b * k, 10.0**exponent), rtol=1e-9, atol=1e-9)
    for method in METHODS:
        one = float(SIGNIFICANCES[method].significance(n * k, b * k, 10.0**exponent))
        assert float(joint_significance(*data, method=method)) == one


def parts(total, k):
    """Return whole numbers as even as can be with this sum."""
    return [total // k + (place < total % k) for place in range(k)]


@given(*COUNTS)
def test_splitting_an_observation_changes_little(n, b, exponent, k):
    alpha = 10.0**exponent
    low, high, limit = ends(parts(n, k), parts(b, k), alpha, [1 / k] * k)
    one = the_sums(n, b, alpha)
    assert abs(low - one[0]) < 0.05 * one[1]
    assert high == pytest.approx(one[1], rel=0.05)
    assert limit == pytest.approx(one[2], rel=0.05)


@pytest.mark.parametrize("k", [2, 3, 9])
def test_splitting_an_observation_by_chance_changes_little(k):
    """Parts of unequal exposure, counts as chance shares them out: 5 % is passed once in a thousand times at most."""
    rng, size = np.random.default_rng(k), 1500
    n, b, alpha = rng.integers(0, 150, size), rng.integers(0, 200, size), 10.0 ** rng.uniform(-1.5, 0.2, size)
    share = rng.dirichlet([5] * k, size)
    split = rng.multinomial(n, share), rng.multinomial(b, share), alpha[:, None], share
    low, high = joint_interval(*split)
    one_low, one_high = on_off_interval(n, b, alpha)
    limit, one_limit = joint_upper_limit(*split), upper_limit_on_off(n, b, alpha)
    for change in ((low - one_low) / one_high, high / one_high - 1, limit / one_limit - 1):
        assert np.mean(np.abs(change) > 0.05) <= 0.002
        assert np.max(np.abs(change)) < 0.2


@given(st.lists(st.tuples(FEW, FEW, st.floats(0.05, 3), st.floats(100, 5000)), min_size=1, max_size=5))
def test_no_rate_lies_outside_its_interval(sets):
    data = np.array(sets).T
    low, high = joint_interval(*data)
    assert low * (1 - 1e-9) <= max(float(joint_rate(*data)), 0.0) <= high * (1 + 1e-9)


@pytest.mark.parametrize("counts", [(1e4, 1e4), (12.0, 3.0)])
def test_an_observation_full_of_background_does_not_spoil_a_clean_one(counts):
    """Sums would: their limit is seven times that of the clean observation alone."""
    flare, clean = counts[0], counts[1] if counts[1] < 100 else 20
    both = [clean, 0.5 * flare * 100], [10 * clean, flare * 100], [0.1, 0.5], [1000.0, 1000.0]
    alone = float(joint_upper_limit(*(v[:1] for v in both)))
    assert float(joint_upper_limit(*both)) == pytest.approx(alone, rel=0.1)
    sums = float(upper_limit_on_off(both[0][0] + both[0][1], sum(both[1]), 0.5)) / 2000
    assert sums > 2 * alone


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


def test_joint_significance_on_blank_sky_is_gaussian():
    rng = np.random.default_rng(8)
    b = rng.poisson([40.0, 90.0, 25.0], (20_000, 3))
    n = rng.poisson(np.array([40.0, 90.0, 25.0]) * 0.5, (20_000, 3))
    z = joint_significance(n, b, 0.5, [1000.0, 3000.0, 700.0])
    assert abs(z.mean()) < 0.03
    assert z.std() == pytest.approx(1, abs=0.02)
    assert np.mean(np.abs(z) > 2) == pytest.approx(2 * stats.norm.sf(2), rel=0.15)


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
        lambda: joint_significance([1, 2], [1, 1], 0.1, [1, 1], method="gaussian"),
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


def test_consistency_at_many_counts_is_chi_square():
    """Against Pearson's statistic by hand, and the tail of chi-square; far tails stay finite."""
    n, b = np.array([10_300.0, 9_900.0, 10_150.0]), np.array([50_000.0, 49_700.0, 50_300.0])
    net, variance = n - 0.02 * b, n + 0.02**2 * b
    rate = np.sum(net / variance) / np.sum(1 / variance)
    expected = stats.chi2.sf(np.sum((net - rate) ** 2 / variance), 2)
    assert float(np.exp(joint_consistency(n, b, 0.02, [1.0, 1.0, 1.0]))) == pytest.approx(expected, rel=0.05)
    far = joint_consistency([[5e4, 100], [5e6, 100]], [10, 10], 0.1, [1.0, 1.0])
    assert np.all(np.isfinite(far))
    assert far[1] < far[0] < -1000


def test_consistency_without_anything_to_compare():
    found = joint_consistency([[5, 7], [0, 0], [4, 4]], [[3, 1], [0, 0], [2, 2]], 0.3, [[10.0, 0.0], [1, 1], [1, 1]])
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(0, abs=0.2)
    assert found[2] > math.log(0.5)
