"""Significances: as in the reference table, in agreement with scipy, and honest on blank sky."""

import csv
import math
import runpy
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import special, stats

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science.significance import (
    SIGNIFICANCES,
    cash_significance,
    exact_significance,
    gaussian_significance,
    li_ma_significance,
    log_p_to_sigma,
    log_p_value,
    mid_p_significance,
    poisson_log_p_value,
    poisson_significance,
    sigma_to_log_p,
)

ON_OFF = (exact_significance, log_p_value, gaussian_significance)
KNOWN = (poisson_significance, poisson_log_p_value, cash_significance)


def number(text):
    above, _, below = text.partition("/")
    return float(Fraction(above) / Fraction(below or "1"))


def rows(folder, test):
    """Return inputs and outputs of one kind of row of the reference table."""
    with (folder / "statistics_test_vectors.csv").open(encoding="utf-8") as file:
        chosen = [row for row in csv.DictReader(file) if row["test"] == test]
    pairs = [[dict(i.split("=") for i in row[part].split(";")) for part in ("inputs", "outputs")] for row in chosen]
    return [tuple({name: number(v) if "inf" not in v else float(v) for name, v in d.items()} for d in p) for p in pairs]


@pytest.fixture(scope="module")
def sums(project_root):
    """Exact sums over blank sky, from the script that makes the tables of the documentation."""
    return runpy.run_path(str(project_root / "benchmarks" / "statistics_tables.py"))


@pytest.mark.parametrize(("test", "least"), [("onoff", 32), ("onoff_real", 3)])
def test_on_off_rows_of_the_reference(reference_root, test, least):
    found = rows(reference_root, test)
    assert len(found) >= least
    for given_, expected in found:
        data = given_["N"], given_["B"], given_.get("alpha") or 1 / given_["tau"]
        assert float(log_p_value(*data)) == pytest.approx(expected["lnp_binom"], rel=1e-10, abs=1e-11), given_
        assert float(exact_significance(*data)) == pytest.approx(expected["Z_Bi"], rel=1e-9, abs=1e-10), given_
        assert float(li_ma_significance(*data)) == pytest.approx(expected["S_LiMa"], rel=1e-9, abs=1e-10), given_


def test_known_background_rows_of_the_reference(reference_root):
    found = rows(reference_root, "known_bkg")
    assert len(found) >= 11
    for given_, expected in found:
        data = given_["N"], given_["mu"]
        close = 1e-6 if given_["N"] >= 1e6 else 1e-9  # the reference: scipy's p is good to 4e-6 there
        assert float(poisson_log_p_value(*data)) == pytest.approx(expected["lnp_poisson"], rel=close), given_
        assert float(poisson_significance(*data)) == pytest.approx(expected["Z_poisson"], rel=close), given_
        assert float(cash_significance(*data)) == pytest.approx(expected["Z_cash"], rel=1e-10), given_


def test_conversion_rows_of_the_reference(reference_root):
    found = rows(reference_root, "p_to_Z")
    assert len(found) >= 9
    for given_, expected in found:
        assert float(log_p_to_sigma(given_["lnp"])) == pytest.approx(expected["Z"], rel=1e-10, abs=1e-12)
        assert float(sigma_to_log_p(log_p_to_sigma(given_["lnp"]))) == pytest.approx(given_["lnp"], rel=1e-9)


def test_published_li_ma_and_known_background_values():
    """Values of gammapy's tests (BSD licence), quoted in the reference."""
    found = cash_significance([5, 10, 100, 1], [1, 5, 23, 20])
    np.testing.assert_allclose(found, [2.845062, 1.965437, 11.829421, -5.657609], atol=5e-7)


def test_table_of_cousins_linnemann_and_tucker():
    """Z_Bi and the likelihood ratio as printed in their table 1, to its last digit."""
    table = [
        (4, 5, 5, 1.66, 1.95),
        (9, 17.83, 4.69, 1.82, 1.99),
        (17, 40.11, 10.56, 4.46, 4.57),
        (50, 55, 2, 2.93, 3.02),
        (67, 15, 0.5, 2.89, 3.04),
        (200, 10, 0.1, 2.20, 2.38),
        (523, 2327, 5.99, 5.93, 5.95),
        (498426, 493434, 1, 5.01, 5.01),
    ]
    n, b, tau, z_bi, z_pl = np.array(table).T
    np.testing.assert_allclose(exact_significance(n, b, 1 / tau), z_bi, atol=0.0051)
    np.testing.assert_allclose(li_ma_significance(n, b, 1 / tau), z_pl, atol=0.0051)


def test_exact_p_value_against_scipy():
    n, b, a = np.meshgrid([0, 1, 2, 5, 17, 60, 400], [0, 1, 3, 10, 80, 500], [1e-4, 0.03, 0.3, 1.0, 4.0, 500.0])
    expected = stats.binom.sf(n - 1, n + b, a / (1 + a))
    usable = expected > 1e-290
    np.testing.assert_allclose(np.exp(log_p_value(n, b, a))[usable], expected[usable], rtol=1e-9)
    lower = stats.binom.cdf(n - 1, n + b, a / (1 + a))
    deficit = (lower < 0.4) & (lower > 1e-290)
    np.testing.assert_allclose(exact_significance(n, b, a)[deficit], stats.norm.ppf(lower[deficit]), rtol=1e-9)


def test_poisson_p_value_against_scipy():
    n, mu = np.meshgrid([0, 1, 2, 5, 17, 60, 400, 3000], [0.01, 0.5, 3, 30, 300, 2900])
    expected = stats.poisson.sf(n - 1, mu)
    usable = expected > 1e-290
    np.testing.assert_allclose(np.exp(poisson_log_p_value(n, mu))[usable], expected[usable], rtol=1e-9)
    lower = stats.poisson.cdf(n - 1, mu)
    deficit = (lower < 0.4) & (lower > 1e-290)
    np.testing.assert_allclose(poisson_significance(n, mu)[deficit], stats.norm.ppf(lower[deficit]), rtol=1e-9)


@pytest.mark.parametrize(("n", "b", "alpha"), [(500, 10, "1/100"), (3000, 0, "1/1000"), (1500, 900, "1/1024")])
def test_far_tail_against_whole_numbers(n, b, alpha):
    ratio = Fraction(alpha)
    term = math.comb(n + b, n) * ratio**n
    tail = term
    for k in range(n + 1, n + b + 1):
        term = term * ratio * (n + b - k + 1) / k
        tail += term
    tail /= (1 + ratio) ** (n + b)
    expected = math.log(tail.numerator) - math.log(tail.denominator)
    assert float(log_p_value(n, b, float(ratio))) == pytest.approx(expected, rel=1e-11)
    assert float(special.log_ndtr(-exact_significance(n, b, float(ratio)))) == pytest.approx(expected, rel=1e-9)


def test_far_poisson_tails_meet_the_incomplete_gamma_function():
    """The series takes over at 1e-280: on both sides of it ln p must run on smoothly."""
    mu = np.linspace(1, 1.0001, 5)
    excess = poisson_log_p_value(np.arange(140, 170)[:, None], mu)
    assert np.all(np.diff(excess, n=2, axis=0) < 0)
    deficit = poisson_significance(10, np.linspace(640, 800, 50))
    assert np.all(np.diff(deficit) < 0)
    assert np.all(np.abs(np.diff(deficit, n=2)) < 1e-3)


def test_a_well_known_background_is_a_known_background():
    """With alpha -> 0 at fixed alpha B the exact test becomes the Poisson one."""
    n = np.array([0, 1, 5, 10, 30])
    np.testing.assert_allclose(exact_significance(n, 1e9, 5e-9), poisson_significance(n, 5.0), rtol=1e-6, atol=1e-6)


def test_gaussian_forms():
    assert float(gaussian_significance(100, 50, 0.5)) == pytest.approx(75 / math.sqrt(112.5))
    assert float(gaussian_significance(100, 50, 0.5, background_variance=False)) == pytest.approx(7.5)
    assert float(gaussian_significance(0, 0, 0.5)) == 0
    assert float(gaussian_significance(0, 0, 0.5, background_variance=False)) == 0
    assert float(gaussian_significance(0, 8, 0.5)) == pytest.approx(-math.sqrt(8))
    assert float(gaussian_significance(0, 8, 0.5, background_variance=False)) == -math.inf


@given(n=st.integers(0, 10**6), b=st.integers(0, 10**6), exponent=st.floats(-6, 3))
def test_exact_lies_below_mid_p_and_is_never_nan(n, b, exponent):
    alpha = 10.0**exponent
    z = float(exact_significance(n, b, alpha))
    assert z <= float(mid_p_significance(n, b, alpha)) + 1e-7
    assert z == -math.inf if n == 0 else math.isfinite(z)
    assert float(log_p_value(n, b, alpha)) <= 0


@pytest.mark.parametrize("function", ON_OFF)
def test_impossible_on_off_inputs_are_refused(function):
    for wrong in [(-1, 1, 1), (1, -1, 1), (1, 1, 0), (1, 1, -1), (1, 1, math.inf), (math.inf, 1, 1), ("many", 1, 1)]:
        with pytest.raises(InvalidRecord, match="must be"):
            function(*wrong)
    with pytest.raises(ShapeMismatch, match="do not broadcast"):
        function([1, 2], [1, 2, 3], 1)


@pytest.mark.parametrize("function", KNOWN)
def test_impossible_known_backgrounds_are_refused(function):
    for wrong in [(-1, 1), (1, -1), (1, math.inf), (math.inf, 1)]:
        with pytest.raises(InvalidRecord, match="finite and not negative"):
            function(*wrong)


def test_nan_stays_nan_and_shapes_broadcast():
    n, b, a = [[1.0, math.nan, 3.0]], [[2.0], [math.nan]], 0.5
    for function in ON_OFF:
        found = function(n, b, a)
        assert found.shape == (2, 3)
        assert found.dtype == np.float64
        assert np.isnan(found).tolist() == [[False, True, False], [True, True, True]]
        assert found[0, 2] == function(3, 2, 0.5)
    for function in KNOWN:
        assert np.isnan(function([1, math.nan, 2], [math.nan, 1, 2])).tolist() == [True, True, False]


@pytest.mark.parametrize("rate", np.geomspace(0.01, 3, 12).tolist())
def test_the_exact_test_never_has_more_false_alarms_than_nominal(sums, rate):
    for background_pix in (200, 700):
        n, b, weights = sums["blank_sky"](rate, 600, background_pix)
        z = exact_significance(n, b, 600 / background_pix)
        for sigma in (1.0, 2.0, 3.0, 4.0, 5.0):
            assert weights[z >= sigma].sum() <= stats.norm.sf(sigma)


@pytest.mark.parametrize("rate", np.geomspace(0.01, 3, 12).tolist())
def test_the_default_is_centred_and_calibrated_on_blank_sky(sums, rate):
    """The acceptance line: |mean| <= 0.005 and false alarms at 3 sigma at most 1.05 of nominal, by exact sums."""
    mean, excess, deficit = sums["false_alarms"](mid_p_significance, rate)
    assert abs(mean) <= 0.005
    assert max(excess, deficit) <= 1.05 * stats.norm.sf(3)


def test_li_ma_has_its_own_excess_at_few_counts(sums):
    """Not an error of ours: Wilks' theorem does not hold at a handful of counts; gone at 0.1 ct/pixel."""
    ratio = {rate: sums["false_alarms"](li_ma_significance, rate)[1] / stats.norm.sf(3) for rate in (0.01, 0.02, 0.1)}
    assert ratio[0.01] == pytest.approx(1.286, abs=0.001)
    assert ratio[0.02] == pytest.approx(1.083, abs=0.001)
    assert ratio[0.1] == pytest.approx(1.006, abs=0.001)


def test_leaving_out_the_backgrounds_variance_makes_false_alarms(sums):
    assert sums["false_alarms"](sums["SIGNIFICANCES"]["no background variance"], 1.0)[1] > 8 * stats.norm.sf(3)


def test_xgas_default_on_blank_sky(sums):
    """Setting negative net pixels to 0 gives 2.4 to 10 sigma on nothing; at high counts as for a Gaussian."""
    assert sums["xga_mean"](0.01) == pytest.approx(2.37, abs=0.01)
    assert sums["xga_mean"](0.5) == pytest.approx(10.5, abs=0.01)
    assert sums["xga_mean"](0.1) == pytest.approx(simulated_xga(0.1), abs=0.02)


def simulated_xga(rate, fields=4000):
    rng = np.random.default_rng(5)
    source, background = rng.poisson(rate, (fields, 600)), rng.poisson(700 * rate, (fields, 1)) / 700
    return float(np.mean(np.maximum(source - background, 0).sum(axis=1) / np.sqrt(source.sum(axis=1))))


@pytest.mark.slow
def test_blank_sky_on_a_fine_grid(sums):
    for rate in np.geomspace(0.01, 3, 120):
        mean, excess, _ = sums["false_alarms"](mid_p_significance, rate)
        assert abs(mean) <= 0.005
        assert excess <= 1.05 * stats.norm.sf(3)
        n, b, weights = sums["blank_sky"](rate)
        z = exact_significance(n, b, 600 / 700)
        for sigma in np.arange(0.5, 5.1, 0.25):
            assert weights[z >= sigma].sum() <= stats.norm.sf(sigma)


@pytest.mark.parametrize("method", SIGNIFICANCES.values(), ids=SIGNIFICANCES)
def test_every_definition_is_signed_and_agrees_with_the_gaussian_of_many_counts(method):
    """Their common limit: few sigma of many counts, over a background known much better than the source region."""
    n, b, alpha = np.array([9_850.0, 10_000.0, 10_150.0]), np.full(3, 1_000_000.0), 0.01
    assert method.significance(n, b, alpha) == pytest.approx(gaussian_significance(n, b, alpha), abs=0.03)
