"""Limits: as in the reference table, of the coverage claimed, whole arrays at once; three names never mixed."""

import csv
import math
import runpy

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import special, stats

from xphotfn.errors import InvalidRecord
from xphotfn.science import limits
from xphotfn.science.intervals import kraft_interval, on_off_quantile
from xphotfn.science.limits import (
    detection_limit,
    detection_probability,
    detection_threshold,
    upper_limit,
    upper_limit_on_off,
)

CLOSE = {"rel": 1e-9, "abs": 1e-9}
CONFIDENCES = (0.68, 0.90, 0.95, 0.99)


def rows(folder, test, least):
    """Return inputs and outputs of one kind of row of the reference table."""
    with (folder / "statistics_test_vectors.csv").open(encoding="utf-8") as file:
        chosen = [row for row in csv.DictReader(file) if row["test"] == test]
    assert len(chosen) >= least
    for row in chosen:
        yield tuple({k: float(v) for k, v in (i.split("=") for i in row[p].split(";"))} for p in ("inputs", "outputs"))


@pytest.fixture(scope="module")
def sums(project_root):
    """Exact coverages, from the script that makes the tables of the documentation."""
    return runpy.run_path(str(project_root / "benchmarks" / "statistics_tables.py"))


def test_upper_limit_rows_of_the_reference(reference_root):
    for given_, expected in rows(reference_root, "flat_UL", 15):
        found = float(upper_limit(given_["N"], given_["B"], confidence=given_["CL"]))
        assert found == pytest.approx(expected["UL"], **CLOSE), given_


def test_limits_without_background_of_the_reference(reference_root):
    for given_, expected in rows(reference_root, "garwood", 11):
        for confidence in (0.90, 0.95, 0.99):
            found = float(upper_limit(given_["N"], 0, confidence=confidence))
            assert found == pytest.approx(expected[f"UL{100 * confidence:.0f}"], **CLOSE), given_


def test_measured_background_rows_of_the_reference(reference_root):
    for given_, expected in rows(reference_root, "bayes_onoff", 12):
        found = float(upper_limit_on_off(given_["N"], given_["B"], given_["alpha"]))
        assert found == pytest.approx(expected["UL95"], **CLOSE), given_
    for given_, expected in rows(reference_root, "aprates_model", 5):
        fractions = given_["f"], given_["g"]
        found = float(upper_limit_on_off(given_["n"], given_["m"], 1 / given_["r"], fractions=fractions))
        assert found == pytest.approx(expected["UL95"], **CLOSE), given_


def test_detection_limit_rows_of_the_reference(reference_root):
    for given_, expected in rows(reference_root, "kashyap", 14):
        b, level = given_["bkg"], given_["alpha"]
        assert float(detection_threshold(b, false_alarm=level)) == expected["k_det"]
        found = float(detection_probability(0, b, false_alarm=level))
        assert found == pytest.approx(expected["alpha_actual"], rel=1e-9)
        limit = float(detection_limit(b, false_alarm=level, power=given_["beta"]))
        assert limit == pytest.approx(expected["UL"], **CLOSE), given_


def test_sensitivity_rows_of_the_reference(reference_root):
    for given_, expected in rows(reference_root, "sensitivity", 4):
        assert float(detection_threshold(given_["B"], false_alarm=given_["Pfalse"])) == expected["L"]
        for source in (5, 10, 20):
            found = float(detection_probability(source, given_["B"], false_alarm=given_["Pfalse"]))
            assert found == pytest.approx(expected[f"Pdet_s{source}"], abs=2e-10)


def test_the_three_names_are_three_numbers():
    """At N = 10 over 3: the limits of the same 0.95 differ, each by its own definition."""
    one_sided = float(upper_limit(10, 3, confidence=0.9545))
    upper_end = float(kraft_interval(10, 3, confidence=0.9545).upper)
    detectable = float(detection_limit(3, false_alarm=0.001349898, power=0.95))
    assert (round(one_sided, 4), round(upper_end, 4), round(detectable, 4)) == (14.1636, 14.7865, 12.7052)


def test_an_upper_limit_is_the_upper_end_where_the_interval_starts_at_0():
    assert float(upper_limit(5, 2.5, confidence=0.9545)) == pytest.approx(
        float(kraft_interval(5, 2.5, confidence=0.9545).upper), rel=1e-12
    )


@given(n=st.integers(0, 10**5), exponent=st.floats(-8, 5), confidence=st.floats(0.01, 0.999999))
def test_an_upper_limit_never_falls_below_that_of_no_counts(n, exponent, confidence):
    found = float(upper_limit(n, 10.0**exponent, confidence=confidence))
    assert found >= -math.log1p(-confidence) * (1 - 1e-9)


def test_both_branches_of_the_upper_limit_agree():
    """The log-space branch, compared where the direct one still has its digits."""
    n, b = (v.ravel() for v in np.meshgrid([1.0, 7.0, 40.0, 300.0], [1.3, 1.6, 2.0]))
    b = b * n + 3
    confidence = np.full_like(n, 0.95)
    np.testing.assert_allclose(limits._far_limit(n, b, confidence), upper_limit(n, b), rtol=1e-10)


def test_upper_limit_far_above_the_counts():
    """B >> N: expansion of the equation, -ln(1 - CL) (1 + N/B)."""
    n = np.array([1.0, 10.0, 100.0])
    np.testing.assert_allclose(upper_limit(n, 1e6), -math.log(0.05) * (1 + n / 1e6), rtol=1e-7)


def test_upper_limit_of_a_well_known_background():
    n = np.array([0, 2, 9, 30])
    np.testing.assert_allclose(upper_limit_on_off(n, 6e8, 1e-8), upper_limit(n, 6.0), rtol=1e-3)


def test_upper_limit_is_a_quantile_of_the_posterior():
    found = upper_limit_on_off([3, 50], [10, 200], 0.2, confidence=[0.9, 0.99], fractions=(0.8, 0.02))
    expected = on_off_quantile([3, 50], [10, 200], 0.2, [0.9, 0.99], fractions=(0.8, 0.02))
    assert found.tolist() == expected.tolist()
    np.testing.assert_allclose(
        upper_limit_on_off(7, 20, 0.1, fractions=(0.5, 0.0)), 2 * upper_limit_on_off(7, 20, 0.1), rtol=1e-12
    )


@given(b=st.floats(0, 1e5), exponent=st.floats(-12, -0.05))
def test_the_threshold_is_the_smallest_count_that_is_rare_enough(b, exponent):
    level = 10.0**exponent
    k = float(detection_threshold(b, false_alarm=level))
    assert k >= 1
    assert special.gammainc(k, b) <= level
    assert k == 1 or special.gammainc(k - 1, b) > level


@given(b=st.floats(0, 1e4), exponent=st.floats(-9, -0.3), power=st.floats(0.05, 0.999))
def test_a_source_at_the_detection_limit_is_detected_with_that_probability(b, exponent, power):
    level = 10.0**exponent
    limit = float(detection_limit(b, false_alarm=level, power=power))
    reached = float(detection_probability(limit, b, false_alarm=level))
    assert reached == pytest.approx(power, rel=1e-8) if limit > 0 else reached >= power


def test_impossible_inputs_are_refused():
    for call in (
        lambda: upper_limit(-1, 1),
        lambda: upper_limit(1, math.inf),
        lambda: upper_limit(1, 1, confidence=0),
        lambda: upper_limit(1, 1, confidence=[0.9, math.nan]),
        lambda: upper_limit_on_off(1.5, 1, 1),
        lambda: upper_limit_on_off(1, 1, 1, fractions=(1, -0.1)),
        lambda: detection_threshold(-1, false_alarm=0.01),
        lambda: detection_threshold(1, false_alarm=1),
        lambda: detection_limit(1, false_alarm=0.01, power=1),
        lambda: detection_probability(-1, 1, false_alarm=0.01),
    ):
        with pytest.raises(InvalidRecord):
            call()


def test_nan_stays_nan_and_shapes_broadcast():
    n, b = np.array([[3.0], [math.nan]]), np.array([1.0, math.nan, 2000.0])
    for found in (upper_limit(n, b), upper_limit_on_off(n, b, 0.5), detection_probability(n, b, false_alarm=0.01)):
        assert np.isnan(found).tolist() == [[False, True, False], [True, True, True]]
        assert found.dtype == np.float64
    assert np.isnan(detection_limit(b, false_alarm=0.01)).tolist() == [False, True, False]


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("name", ["B = 0", "B = 3", "B = 30"])
def test_coverage_of_the_upper_limit_is_never_below_nominal(sums, confidence, name):
    """Exact, at every jump of the coverage from N = 0 to 1000."""
    background, ends = sums["KNOWN"][f"upper_limit, {name}"]
    means, found = sums["known_coverage"](ends, background, confidence)
    assert means.size > 1500
    assert found.min() >= confidence - 1e-9
    assert found[means > 100].mean() <= confidence + 0.02


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize(("off", "alpha", "short"), [(30.0, 0.1, 0.0), (10.0, 1.0, 0.025)])
def test_coverage_of_the_upper_limit_over_a_measured_background(sums, confidence, off, alpha, short):
    """Ten counts with alpha = 1 are the hard case: up to 0.02 below nominal at bright sources and 68 %."""
    means = np.linspace(0, 40, 161)
    found = sums["on_off_coverage"](sums["one_sided"], off, alpha, confidence, means)
    assert found.min() >= confidence - short
    assert found[means < 5].min() >= confidence


@pytest.mark.parametrize("level", [0.32, 0.10, 0.05, 0.01, 4e-6])
def test_false_detections_never_exceed_what_is_allowed(level):
    b = np.geomspace(1e-3, 1000, 2000)
    reached = stats.poisson.sf(detection_threshold(b, false_alarm=level) - 1, b)
    assert np.all(reached <= level * (1 + 1e-12))


@pytest.mark.slow
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_coverage_over_a_measured_background_to_1000_counts(sums, confidence):
    for off, alpha, short in ((30.0, 0.1, 0.0), (10.0, 1.0, 0.03)):
        found = sums["on_off_coverage"](sums["one_sided"], off, alpha, confidence, sums["ON_OFF_MEANS"])
        assert found.min() >= confidence - short


def test_arrays_of_1e5():
    rng = np.random.default_rng(3)
    n, b = rng.poisson(3, 100_000), rng.uniform(0, 6, 100_000)
    assert upper_limit(n, b).shape == (100_000,)
    assert np.all(upper_limit_on_off(n, np.round(10 * b), 0.1) >= -math.log(0.05) * (1 - 1e-9))
    assert np.all(detection_limit(b, false_alarm=4e-6) > 0)
