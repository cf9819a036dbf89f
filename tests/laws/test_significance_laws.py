"""Signal-to-noise: signed, monotone, finite, as published, and calibrated on blank sky."""

import csv
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from scipy import special, stats

from xphotfn.errors import InvalidRecord, NoData
from xphotfn.science.significance import li_ma_significance, mid_p_significance
from xphotfn.science.snr_methods import (
    METHODS,
    method_of,
    signal_to_noise,
    xga_method,
)
from xphotfn.testing.strategies import count_maps, exposure_maps

SIGNIFICANCES = pytest.mark.parametrize("significance", [li_ma_significance, mid_p_significance])
FEW = st.integers(0, 50)
MANY = st.integers(0, 10**6)
COUNTS = FEW | MANY
ALPHAS = st.floats(-6, 3).map(lambda exponent: 10.0**exponent)
SHAPE = (12, 15)


def exact_mid_p(n, b, alpha):
    """Return P(X > n) + P(X = n)/2 for X ~ Binomial(n + b, alpha/(1 + alpha)) as an exact fraction."""
    total, ratio = n + b, Fraction(alpha)
    term = math.comb(total, n) * ratio**n  # in units of (1 + alpha)**-total
    tail = term / 2
    for k in range(n + 1, total + 1):
        term = term * ratio * (total - k + 1) / k
        tail += term
    return tail / (1 + ratio) ** total


def log_of(fraction):
    """Return the natural logarithm of a fraction far below what a float can hold."""
    return math.log(fraction.numerator) - math.log(fraction.denominator)


@SIGNIFICANCES
@given(n=COUNTS, b=COUNTS)
def test_exchanging_source_and_background_changes_the_sign(significance, n, b):
    assert float(significance(n, b, 1.0)) == pytest.approx(-float(significance(b, n, 1.0)), abs=1e-7)


@SIGNIFICANCES
@given(n=st.integers(0, 10**4), b=st.integers(0, 10**4), alpha=st.floats(-3, 3).map(lambda x: 10.0**x))
def test_exchange_at_any_alpha(significance, n, b, alpha):
    """Seen from the background, the source region is the background and the ratio is 1/alpha."""
    expected = -float(significance(b, n, 1 / alpha))
    assert float(significance(n, b, alpha)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@SIGNIFICANCES
@given(n=COUNTS, b=COUNTS, alpha=ALPHAS, more=st.integers(1, 1000))
def test_more_counts_are_more_significant(significance, n, b, alpha, more):
    low, high = significance([n, n + more], b, alpha)
    assert high > low - 1e-7
    if more > 0.01 * (n + math.sqrt(alpha * b)):
        assert high > low


@SIGNIFICANCES
@given(n=COUNTS, b=COUNTS, alpha=ALPHAS, more=st.integers(1, 1000))
def test_more_background_is_less_significant(significance, n, b, alpha, more):
    low, high = significance(n, [b, b + more], alpha)
    assert high < low + 1e-7


@SIGNIFICANCES
@given(n=COUNTS, b=COUNTS, alpha=ALPHAS)
@example(n=0, b=0, alpha=1.0)
@example(n=10**6, b=0, alpha=1e-6)
@example(n=0, b=10**6, alpha=1e3)
@example(n=10**6, b=10**6, alpha=1e-6)
@example(n=10**6, b=10**6, alpha=1e3)
def test_finite_and_of_the_sign_of_the_excess(significance, n, b, alpha):
    value = float(significance(n, b, alpha))
    assert math.isfinite(value)
    excess = n - alpha * b
    if abs(excess) > 2 * math.sqrt(1 + n + alpha**2 * b):
        assert math.copysign(1, value) == math.copysign(1, excess)


@SIGNIFICANCES
def test_no_counts_are_no_significance(significance):
    assert np.all(significance(0, 0, [1e-6, 0.1, 1.0, 1e3]) == 0)


@SIGNIFICANCES
@given(n=COUNTS, b=COUNTS, alpha=ALPHAS)
def test_arrays_give_what_numbers_give(significance, n, b, alpha):
    whole = significance([[n, 1, 0]], [[b], [3]], alpha)
    assert whole.shape == (2, 3)
    assert whole.dtype == np.float64
    assert whole[0, 0] == float(significance(n, b, alpha))


@given(n=st.integers(0, 300), b=st.integers(0, 300), alpha=st.floats(0.01, 10))
def test_li_ma_as_printed(n, b, alpha):
    """Equation 17 of Li & Ma (1983), where its cancellation does no harm."""
    total = n + b
    first = n * math.log((1 + alpha) / alpha * n / total) if n else 0.0
    second = b * math.log((1 + alpha) * b / total) if b else 0.0
    printed = math.copysign(math.sqrt(2 * max(0.0, first + second)), n - alpha * b)
    assert float(li_ma_significance(n, b, alpha)) == pytest.approx(printed, abs=2e-6)


@pytest.mark.parametrize(
    ("n", "b", "alpha", "published"),
    [(5, 1, 1, 1.7061746), (10, 5, 0.3, 3.5853813), (10, 23, 0.1, 3.4434155), (1, 20, 1, -4.5903736)],
)
def test_li_ma_as_published(n, b, alpha, published):
    """Values of the tests of gammapy (BSD licence), class WStatCountsStatistic."""
    assert float(li_ma_significance(n, b, alpha)) == pytest.approx(published, abs=1e-7)


def test_li_ma_keeps_its_digits_at_a_million_counts():
    """One count above a million: the printed form gives 0.00070653."""
    assert float(li_ma_significance(1_000_001, 1_000_000, 1)) == pytest.approx(0.0007071066044099, rel=1e-8)


def onoff_rows(folder):
    with (folder / "statistics_test_vectors.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["test"] in ("onoff", "onoff_real"):
                inputs = dict(item.split("=") for item in row["inputs"].split(";"))
                outputs = dict(item.split("=") for item in row["outputs"].split(";"))
                n, b = Fraction(inputs["N"]), Fraction(inputs["B"])
                above, _, below = inputs.get("alpha", f"1/{inputs.get('tau')}").partition("/")
                alpha = Fraction(above) / Fraction(below or "1")
                yield n, b, alpha, {name: float(value) for name, value in outputs.items()}


def test_li_ma_against_the_reference_table(reference_root):
    rows = list(onoff_rows(reference_root))
    assert len(rows) >= 35
    for n, b, alpha, expected in rows:
        found = float(li_ma_significance(float(n), float(b), float(alpha)))
        assert found == pytest.approx(expected["S_LiMa"], rel=1e-8, abs=1e-8), (n, b, alpha)


def test_mid_p_against_the_exact_test_of_the_reference_table(reference_root):
    """P(X >= N) counts all of P(X = N), mid-p half of it: the table's value less half of the next term."""
    compared = 0
    for n, b, alpha, expected in onoff_rows(reference_root):
        if expected["lnp_binom"] < math.log(0.5) + 1e-9:  # an excess: the table's p has its digits
            n, b, alpha = float(n), float(b), float(alpha)
            total = n + b
            log_term = special.gammaln(total + 1) - special.gammaln(n + 1) - special.gammaln(b + 1)
            log_term += n * math.log(alpha / (1 + alpha)) - b * math.log1p(alpha)
            log_p = expected["lnp_binom"] + math.log1p(-0.5 * math.exp(log_term - expected["lnp_binom"]))
            found = float(mid_p_significance(n, b, alpha))
            assert found == pytest.approx(-special.ndtri_exp(log_p), rel=1e-5, abs=1e-7), (n, b, alpha)
            assert found >= expected["Z_Bi"]
            compared += 1
    assert compared >= 20


def test_mid_p_against_scipys_binomial():
    n, b, alpha = np.meshgrid(
        [0, 1, 2, 5, 17, 60, 400, 3000], [0, 1, 3, 10, 80, 500, 4000], [1e-4, 0.03, 0.3, 6 / 7, 1.0, 4.0, 500.0]
    )
    binomial = stats.binom(n + b, alpha / (1 + alpha))
    upper, lower = binomial.sf(n) + binomial.pmf(n) / 2, binomial.cdf(n - 1) + binomial.pmf(n) / 2
    small = np.minimum(upper, lower)
    usable = small > 1e-250
    assert usable.sum() > 150
    expected = np.where(upper < lower, stats.norm.isf(small), stats.norm.ppf(small))
    found = mid_p_significance(n, b, alpha)
    np.testing.assert_allclose(found[usable], expected[usable], rtol=1e-7, atol=1e-7)


def test_the_exact_sum_is_the_binomial():
    assert exact_mid_p(3, 2, Fraction(1)) == Fraction(5 + 1, 32) + Fraction(10, 64)
    assert float(exact_mid_p(10, 5, Fraction(3, 10))) == pytest.approx(
        stats.binom.sf(10, 15, 3 / 13) + stats.binom.pmf(10, 15, 3 / 13) / 2, rel=1e-12
    )


@pytest.mark.parametrize(
    ("n", "b", "alpha"),
    [
        (5, 1, "1"),
        (17, 40, "1/10"),
        (100, 1000, "1/10"),
        (140, 0, "1/100"),
        (150, 1, "1/100"),
        (160, 30, "1/128"),
        (500, 10, "1/100"),
        (1000, 10, "1/10"),
        (2000, 900, "1/1024"),
        (3000, 0, "1/1000000"),
        (0, 1500, "1"),
        (10, 500, "100"),
        (700, 900, "250"),
    ],
)
def test_mid_p_against_exact_fractions_far_in_the_tails(n, b, alpha):
    """The probability is summed in whole numbers; below 1e-308 no float holds it, its logarithm does."""
    ratio = Fraction(alpha)
    deficit = n < ratio * b
    tail = exact_mid_p(b, n, 1 / ratio) if deficit else exact_mid_p(n, b, ratio)
    found = float(mid_p_significance(n, b, float(ratio)))
    assert (found < 0) == deficit
    assert float(special.log_ndtr(-abs(found))) == pytest.approx(log_of(tail), rel=1e-9)


@pytest.mark.parametrize("log_p", [-1e-10, -0.1, -math.log(2), -1.0, -10.0, -700.0, -1e5])
def test_the_normal_tail_in_log_space(log_p):
    """What the tests above and the code rest on: ndtri_exp and log_ndtr undo each other."""
    assert float(special.log_ndtr(special.ndtri_exp(log_p))) == pytest.approx(log_p, rel=1e-9)


@pytest.mark.parametrize("significance", [mid_p_significance, li_ma_significance])
def test_impossible_counts_and_ratios_are_refused_and_nan_stays_nan(significance):
    for bad in (-1, math.inf):
        with pytest.raises(InvalidRecord, match="counts must be finite and not negative"):
            significance(bad, 1, 1)
        with pytest.raises(InvalidRecord, match="background must be finite and not negative"):
            significance(1, bad, 1)
    for bad in (0, -1, math.inf):
        with pytest.raises(InvalidRecord, match="alpha must be finite and above 0"):
            significance(1, 1, bad)
    found = significance([3, math.nan, 3], [1, 1, 1], [1, 1, math.nan])
    assert np.isnan(found).tolist() == [False, True, True]


def blank_sky(rate, source_pix=600, background_pix=700):
    """Return probabilities and significances of all pairs of counts that blank sky of ``rate`` ct/pixel can give."""

    def likely(mean):
        low, high = stats.poisson.ppf(1e-13, mean), stats.poisson.isf(1e-13, mean)
        return np.arange(int(low), int(high) + 1)

    n, b = likely(source_pix * rate)[:, None], likely(background_pix * rate)[None, :]
    weights = stats.poisson.pmf(n, source_pix * rate) * stats.poisson.pmf(b, background_pix * rate)
    assert weights.sum() == pytest.approx(1, abs=1e-10)
    return weights, mid_p_significance(n, b, source_pix / background_pix)


@pytest.mark.parametrize("rate", [0.01, 0.02, 0.03, 0.05, 0.1, 0.3, 0.5, 1.0])
def test_blank_sky_is_no_source(rate):
    """Exact sums over all pairs of Poisson counts: mean, width and false alarms of the default definition."""
    weights, z = blank_sky(rate)
    mean = float((weights * z).sum())
    width = math.sqrt(float((weights * (z - mean) ** 2).sum()))
    assert abs(mean) <= 0.005
    assert 0.9 <= width <= 1.02
    for sign in (1, -1):
        false_alarms = float(weights[sign * z >= 3].sum())
        assert false_alarms <= 1.05 * stats.norm.sf(3)


@given(count_maps(shape=SHAPE), exposure_maps(shape=SHAPE), st.sampled_from(("mid-p", "li-ma")))
def test_exchanging_the_regions_changes_the_sign(counts, exposure, method):
    left = np.zeros(SHAPE, dtype=bool)
    left[:, :7] = True
    try:
        one = signal_to_noise(counts, exposure, left, ~left, method)
    except NoData:
        with pytest.raises(NoData):
            signal_to_noise(counts, exposure, ~left, left, method)
        return
    other = signal_to_noise(counts, exposure, ~left, left, method)
    assert float(one) == pytest.approx(-float(other), rel=1e-5, abs=1e-6)
    assert (one.counts, one.background_counts) == (other.background_counts, other.counts)
    assert one.alpha == pytest.approx(1 / other.alpha)


@given(count_maps(shape=SHAPE), exposure_maps(shape=SHAPE), st.sampled_from(sorted(METHODS)))
def test_only_the_ratio_of_exposures_counts(counts, exposure, method):
    """Twice the exposure everywhere is the same sky, looked at in another unit of time."""
    source = np.zeros(SHAPE, dtype=bool)
    source[3:8, 4:11] = True
    try:
        one = signal_to_noise(counts, exposure, source, ~source, method)
    except NoData:
        return
    other = signal_to_noise(counts, 2 * exposure, source, ~source, method)
    assert float(one) == pytest.approx(float(other), rel=1e-12, abs=1e-12)
    assert other.exposure_s == pytest.approx(2 * one.exposure_s)


@given(count_maps(shape=SHAPE), exposure_maps(shape=SHAPE))
def test_what_lies_off_the_sensor_does_not_count(counts, exposure):
    source = np.zeros(SHAPE, dtype=bool)
    source[3:8, 4:11] = True
    on = exposure > 0
    try:
        found = signal_to_noise(counts, exposure, source, ~source)
    except NoData:
        assert not (source & on).any() or not (~source & on).any()
        return
    assert found == signal_to_noise(np.where(on, counts, 99), exposure, source, ~source)
    assert found == signal_to_noise(counts, np.where(on, exposure, np.nan), source, ~source)
    assert found == signal_to_noise(counts, np.where(on, exposure, -1), source, ~source)
    assert (found.area_pix, found.counts) == (int((source & on).sum()), counts[source & on].sum())


def test_definitions_have_names():
    assert {method_of(name).name for name in METHODS} == set(METHODS)
    assert method_of("xga") == xga_method() == xga_method(exp_corr=True, allow_negative=False)
    assert method_of(xga_method(allow_negative=True)).allow_negative
    for wrong in ("XGA", "", None, 3):
        with pytest.raises(InvalidRecord, match=f"use one of {', '.join(METHODS)}$"):
            method_of(wrong)
