"""Intervals: as in the reference table, in agreement with astropy and scipy, of the content and coverage claimed."""

import csv
import math
import runpy

import numpy as np
import pytest
from astropy.stats import poisson_conf_interval
from hypothesis import given, strategies as st
from scipy import integrate, special, stats

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science.gamma_mixture import mixture_density, mixture_shortest, mixture_survival, normalised_mixture
from xphotfn.science.intervals import (
    ONE_SIGMA,
    garwood_interval,
    gehrels_interval,
    kraft_interval,
    on_off_estimate,
    on_off_interval,
    on_off_quantile,
)
from xphotfn.science.limits import upper_limit_on_off
from xphotfn.science.on_off import on_off_mixtures

CLOSE = {"rel": 1e-9, "abs": 1e-9}
CONFIDENCES = (0.68, 0.90, 0.95, 0.99)
SIDES = {"q15.865": (1 - ONE_SIGMA) / 2, "q16": (1 - ONE_SIGMA) / 2, "median": 0.5, "UL95": 0.95}
SIDES |= {"q84.135": (1 + ONE_SIGMA) / 2, "q84": (1 + ONE_SIGMA) / 2}


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


def test_garwood_rows_of_the_reference(reference_root):
    for given_, expected in rows(reference_root, "garwood", 11):
        for confidence, name in ((ONE_SIGMA, "68"), (0.95, "95")):
            lower, upper = garwood_interval(given_["N"], confidence=confidence)
            assert float(lower) == pytest.approx(expected[f"lo{name}"], **CLOSE)
            assert float(upper) == pytest.approx(expected[f"up{name}"], **CLOSE)


def test_gehrels_rows_of_the_reference(reference_root):
    for given_, expected in rows(reference_root, "gehrels_approx", 6):
        lower, upper = gehrels_interval(given_["N"])
        assert float(lower) == pytest.approx(expected["lo_eq12"], **CLOSE)
        assert float(upper) == pytest.approx(expected["up_eq7"], **CLOSE)
        assert float(gehrels_interval(given_["N"], form="cubic").upper) == pytest.approx(expected["up_eq9"], **CLOSE)


def test_kraft_rows_of_the_reference(reference_root):
    for given_, expected in rows(reference_root, "kbn", 80):
        names = {"": given_["CL"]} if "CL" in given_ else {f"{100 * c:.0f}": c for c in CONFIDENCES}
        for name, confidence in names.items():
            lower, upper = kraft_interval(given_["N"], given_["B"], confidence=confidence)
            assert float(lower) == pytest.approx(expected[f"lo{name}"], **CLOSE), given_
            assert float(upper) == pytest.approx(expected[f"up{name}"], **CLOSE), given_


@pytest.mark.parametrize("test", ["bayes_onoff", "aprates_model"])
def test_on_off_rows_of_the_reference(reference_root, test):
    for given_, expected in rows(reference_root, test, 5):
        if test == "bayes_onoff":
            data, fractions = (given_["N"], given_["B"], given_["alpha"]), (1.0, 0.0)
        else:
            data, fractions = (given_["n"], given_["m"], 1 / given_["r"]), (given_["f"], given_["g"])
        mode, mean = on_off_estimate(*data, fractions=fractions)
        assert float(mode) == pytest.approx(expected["mode"], **CLOSE), given_
        assert float(mean) == pytest.approx(expected["mean"], **CLOSE), given_
        for name in SIDES.keys() & expected.keys():
            found = float(on_off_quantile(*data, SIDES[name], fractions=fractions))
            assert found == pytest.approx(expected[name], **CLOSE), given_
        if "hpd90lo" in expected:
            lower, upper = on_off_interval(*data, confidence=0.9, fractions=fractions)
            assert float(lower) == pytest.approx(expected["hpd90lo"], **CLOSE), given_
            assert float(upper) == pytest.approx(expected["hpd90up"], **CLOSE), given_


@pytest.mark.parametrize(
    ("n", "b", "confidence", "published"),
    [
        (1, 0.1, 0.99, (0, 6.54)),
        (1, 0.5, 0.95, (0, 4.36)),
        (5, 0, 0.99, (1.17, 13.32)),
        (5, 2.5, 0.99, (0, 10.67)),
        (6, 2, 0.9, (0.81, 8.99)),
    ],
)
def test_kraft_as_published(n, b, confidence, published):
    """Table values of the paper, quoted by astropy's tests; 13.32 there is 13.327."""
    np.testing.assert_allclose(kraft_interval(n, b, confidence=confidence), published, atol=0.0075)


def test_kraft_against_astropy_where_it_works():
    for n in (1, 2, 5, 17, 60, 400):
        for b in (0.01, 0.7, 3.0, 12.0):
            for confidence in (0.5, 0.68, 0.95, 0.99):
                expected = poisson_conf_interval(
                    n, "kraft-burrows-nousek", background=b, confidence_level=confidence
                ).ravel()
                np.testing.assert_allclose(kraft_interval(n, b, confidence=confidence), expected, rtol=1e-7, atol=1e-7)


def test_kraft_where_astropy_raises():
    lower, upper = kraft_interval([0, 0, 7, 10, 3], [0, 30, 0, 1000, 800], confidence=0.95)
    assert lower[[0, 1, 3, 4]].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(upper[[0, 1]], -math.log(0.05), rtol=1e-14)
    assert np.all(np.isfinite(upper))


def test_garwood_against_astropy():
    n = np.array([0, 1, 2, 10, 300, 10_000])
    for sigma in (1, 2, 3):
        expected = poisson_conf_interval(n, "frequentist-confidence", sigma=sigma)
        np.testing.assert_allclose(garwood_interval(n, confidence=math.erf(sigma / math.sqrt(2))), expected, rtol=1e-9)


def test_kraft_holds_its_probability_at_equal_density():
    """Over counts and backgrounds up to 1e5, confidences from 0.1 to 1 - 1e-7."""
    rng = np.random.default_rng(2)
    n, b = np.floor(10 ** rng.uniform(-0.5, 5, 5000)), 10 ** rng.uniform(-8, 5, 5000)
    confidence = rng.choice([0.1, 0.5, 0.68, 0.95, 0.9999999], 5000)
    lower, upper = kraft_interval(n, b, confidence=confidence)
    assert np.all((lower >= 0) & (upper > lower))
    whole = special.gammaincc(n + 1, b)
    usable = whole > 1e-200
    held = (special.gammaincc(n + 1, b + lower) - special.gammaincc(n + 1, b + upper))[usable] / whole[usable]
    np.testing.assert_allclose(held, confidence[usable], atol=1e-10)
    inner = lower > 0
    ratio = (n * np.log((lower + b) / (upper + b)) - lower + upper)[inner]
    assert np.max(np.abs(ratio)) < 1e-8
    outer = ~inner & (n > 0) & (b > 0)
    assert np.all((n * np.log1p(upper / b) - upper)[outer] <= 1e-9)  # there the density at 0 is not the smaller


@pytest.mark.parametrize(("n", "b", "alpha"), [(10, 23, 0.1), (60, 200, 0.25), (3, 2, 2.0)])
def test_on_off_against_integration(n, b, alpha):
    """The posterior of S by integrating likelihoods over the background, c, numerically."""
    median = float(on_off_quantile(n, b, alpha, 0.5))
    c = np.linspace(0, alpha * (b + 12 * math.sqrt(b + 1) + 20), 1001)

    def probability(low, high):
        s = np.linspace(low, high, 601)
        likelihood = stats.poisson.pmf(n, s[:, None] + c) * stats.poisson.pmf(b, c / alpha)
        return integrate.simpson(integrate.simpson(likelihood, x=c, axis=1), x=s)

    below, above = probability(0, median), probability(median, n + 12 * math.sqrt(n + 1) + 20)
    assert below == pytest.approx(above, rel=1e-6)


def test_on_off_with_source_light_in_the_background_region():
    """Against the sum over all splits of the counts, written out."""
    n, m, f, g, r = 6, 9, 0.8, 0.1, 4.0
    weights = np.zeros(n + m + 1)
    for i in range(n + 1):
        for j in range(m + 1):
            t = n + m - i - j
            weights[t] += (
                (math.comb(n, i) * math.comb(m, j) * f ** (n - i) * g ** (m - j) * r**j)
                * math.factorial(i + j)
                * math.factorial(t)
                * (1 + r) ** -(i + j)
                / (f + g) ** t
            )
    weights /= weights.sum()
    for probability in (0.05, 0.5, 0.95):
        s = float(on_off_quantile(n, m, 1 / r, probability, fractions=(f, g)))
        assert np.sum(weights * special.gammainc(np.arange(n + m + 1) + 1, (f + g) * s)) == pytest.approx(probability)
    tiny = on_off_quantile(n, m, 1 / r, 0.5, fractions=(f, 1e-12))
    assert float(tiny) == pytest.approx(float(on_off_quantile(n, m, 1 / r, 0.5, fractions=(f, 0.0))), rel=1e-9)


@given(n=st.integers(0, 300), b=st.integers(0, 2000), exponent=st.floats(-3, 1.5), confidence=st.floats(0.05, 0.999))
def test_the_shortest_interval_is_the_shortest(n, b, exponent, confidence):
    alpha = 10.0**exponent
    lower, upper = (float(v) for v in on_off_interval(n, b, alpha, confidence=confidence))
    low, high = (float(v) for v in on_off_interval(n, b, alpha, confidence=confidence, kind="central"))
    mode = float(on_off_estimate(n, b, alpha).mode)
    assert upper - lower <= high - low + 1e-8
    assert lower <= mode * (1 + 1e-9) <= upper * (1 + 1e-6)


def test_the_shortest_interval_of_extreme_measurements():
    """Broad and lopsided posteriors, where a step of Newton from a poor start goes nowhere."""
    rng = np.random.default_rng(12)
    n, b = np.floor(10 ** rng.uniform(-0.5, 4, 400)), np.floor(10 ** rng.uniform(-0.5, 4, 400))
    alpha, confidence = 10 ** rng.uniform(-5, 3, 400), rng.choice([0.5, 0.9, 0.999999], 400)
    n[0], b[0], alpha[0], confidence[0] = 3666, 1, 538.7, 0.5
    lower, upper = on_off_interval(n, b, alpha, confidence=confidence)
    low, high = on_off_interval(n, b, alpha, confidence=confidence, kind="central")
    mode = on_off_estimate(n, b, alpha).mode
    assert np.all(upper - lower <= (high - low) * (1 + 1e-6) + 1e-6)
    assert np.all((lower <= mode * (1 + 1e-9)) & (mode <= upper * (1 + 1e-9)))


def test_a_well_known_background_gives_kraft():
    n = np.arange(0, 40, 3)
    found = on_off_interval(n, 4e8, 1e-8, confidence=0.9)
    np.testing.assert_allclose(found, kraft_interval(n, 4.0, confidence=0.9), rtol=2e-4, atol=2e-4)


def test_large_counts_are_gaussian():
    n, b, alpha = 100_000, 90_000, 1.0
    lower, upper = on_off_interval(n, b, alpha)
    sigma = math.sqrt(n + b)
    assert float(lower) == pytest.approx(n - b - sigma, abs=0.01 * sigma)
    assert float(upper) == pytest.approx(n - b + sigma, abs=0.01 * sigma)


def test_a_mixture_sums_to_one_and_derives_its_own_density():
    mixture = normalised_mixture(np.array([0.0]), np.log([[0.2, 0.5, 0.3]]), np.array([1.0]))
    x = np.array([1.7])
    survival, density = mixture_survival(mixture, x)
    assert survival[0] == pytest.approx(np.sum([0.2, 0.5, 0.3] * special.gammaincc([1, 2, 3], 1.7)))
    assert density[0] == pytest.approx(np.sum([0.2, 0.5, 0.3] * stats.gamma.pdf(1.7, [1, 2, 3])))
    log_density, slope, bend = mixture_density(mixture, x)
    above, below = (mixture_density(mixture, x + d) for d in (1e-5, -1e-5))
    assert log_density[0] == pytest.approx(math.log(density[0]))
    assert slope[0] == pytest.approx((above[0] - below[0])[0] / 2e-5, rel=1e-7)
    assert -bend[0] == pytest.approx((above[1] - below[1])[0] / 2e-5, rel=1e-6)


def test_impossible_inputs_are_refused():
    for call in (
        lambda: garwood_interval(-1),
        lambda: garwood_interval(1, confidence=1.0),
        lambda: garwood_interval(1, confidence=math.nan),
        lambda: gehrels_interval(1, form="best"),
        lambda: kraft_interval(1, -1),
        lambda: kraft_interval(math.inf, 1),
        lambda: on_off_interval(1.5, 1, 1),
        lambda: on_off_interval(1, 1.5, 1, fractions=(0.9, 0.1)),
        lambda: on_off_interval(1, 1, 0),
        lambda: on_off_interval(1, 1, 1, fractions=(0, 0)),
        lambda: on_off_interval(1, 1, 1, kind="best"),
        lambda: on_off_quantile(1, 1, 1, 0.0),
    ):
        with pytest.raises(InvalidRecord):
            call()
    with pytest.raises(ShapeMismatch):
        kraft_interval([1, 2], [1, 2, 3])


def test_nan_stays_nan_and_shapes_broadcast():
    n, b = np.array([[3.0], [math.nan]]), np.array([1.0, math.nan, 2.0])
    for lower, upper in (kraft_interval(n, b), on_off_interval(n, b, 0.5), on_off_interval(n, b, 0.5, kind="central")):
        assert lower.shape == upper.shape == (2, 3)
        assert np.isnan(lower).tolist() == np.isnan(upper).tolist() == [[False, True, False], [True, True, True]]
    assert np.isnan(garwood_interval([1, math.nan]).upper).tolist() == [False, True]
    assert float(on_off_estimate(3, 4.5, 0.5).mean) > 0  # a background of fractional counts, weighted ones say


def test_the_sums_of_coverage_are_right(sums):
    """The difference of two cumulative probabilities against adding up every count that is covered."""
    n = np.arange(200)
    lower, upper = kraft_interval(n, 2.0, confidence=0.8)
    means = np.linspace(0, 60, 500)
    covered = (lower <= means[:, None]) & (means[:, None] <= upper)
    by_hand = np.sum(np.where(covered, stats.poisson.pmf(n, means[:, None] + 2.0), 0.0), axis=1)
    np.testing.assert_allclose(sums["coverage"](lower, upper, 2.0, means), by_hand, atol=1e-12)


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_coverage_of_garwood_is_never_below_nominal(sums, confidence):
    """Exact, at every jump of the coverage from N = 0 to 1000."""
    means, found = sums["known_coverage"](sums["KNOWN"]["garwood_interval, no background"][1], 0.0, confidence)
    assert means.size > 3000
    assert found.min() >= confidence
    assert found[means > 20].mean() <= confidence + 0.02


@pytest.mark.parametrize(("form", "least"), [("simple", 0.6825), ("cubic", 0.6825)])
def test_coverage_of_gehrels(sums, form, least):
    _, found = sums["known_coverage"](sums["GEHRELS"][f"gehrels_interval, {form}"], 0.0, 0.68)
    assert least <= found.min() <= 0.69


@pytest.mark.parametrize(("confidence", "least"), [(0.68, 0.54), (0.90, 0.85), (0.95, 0.92), (0.99, 0.985)], ids=str)
def test_coverage_of_kraft(sums, confidence, least):
    """A Bayesian interval: nominal on average over the source counts, below it at some of them."""
    for name in ("B = 0", "B = 3", "B = 30"):
        background, ends = sums["KNOWN"][f"kraft_interval, {name}"]
        low, faint, bright = sums["summary"](*sums["known_coverage"](ends, background, confidence))
        assert low >= least
        assert confidence <= faint <= confidence + 0.02
        assert bright == pytest.approx(confidence, abs=0.002)


@pytest.mark.parametrize(("confidence", "least"), [(0.68, 0.63), (0.90, 0.88), (0.95, 0.935), (0.99, 0.96)], ids=str)
def test_coverage_of_the_on_off_interval(sums, confidence, least):
    means = np.linspace(0, 40, 161)
    found = sums["on_off_coverage"](sums["shortest"], 30.0, 0.1, confidence, means)
    assert found.min() >= least
    assert found.mean() == pytest.approx(confidence, abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_coverage_of_the_on_off_interval_to_1000_counts(sums, confidence):
    low, faint, bright = sums["summary"](
        sums["ON_OFF_MEANS"],
        sums["on_off_coverage"](sums["shortest"], 30.0, 0.1, confidence, sums["ON_OFF_MEANS"]),
    )
    assert low >= confidence - 0.05
    assert faint == pytest.approx(confidence, abs=0.015)
    assert bright == pytest.approx(confidence, abs=0.004)


def test_arrays_of_1e5():
    rng = np.random.default_rng(4)
    n, b = rng.poisson(4, 100_000), rng.poisson(30, 100_000)
    for lower, upper in (kraft_interval(n, 0.1 * b), on_off_interval(n, b, 0.1)):
        assert lower.shape == (100_000,)
        assert np.all((lower >= 0) & (upper > lower))


@pytest.mark.parametrize(
    ("name", "value"), [("on_off.RANGE", -1.0), ("gamma_mixture.FEW", 0), ("gamma_mixture.FEW", 10**9),
                        ("gamma_mixture.BLOCK", 16), ("gamma_mixture.ROUNDS_OF_NEWTON", 0), ("on_off.ELEMENTS", 50)],
)  # fmt: skip
def test_every_way_to_the_posterior_gives_the_same(monkeypatch, name, value):
    """Numbers or logarithms, one polynomial or many, Newton's method or the search: intervals and limits agree."""
    rng = np.random.default_rng(8)
    n, b = (np.floor(10 ** rng.uniform(0, 2.2, 60)) for _ in range(2))
    alpha, f, g = 10 ** rng.uniform(-2, 0.5, 60), rng.uniform(0.2, 1, 60), rng.uniform(0, 0.2, 60)
    g[::3] = 0
    measured = n, b, alpha
    before = *on_off_interval(*measured, fractions=(f, g)), upper_limit_on_off(*measured, fractions=(f, g))
    monkeypatch.setattr(f"xphotfn.science.{name}", value)
    after = *on_off_interval(*measured, fractions=(f, g)), upper_limit_on_off(*measured, fractions=(f, g))
    for one, other in zip(before, after, strict=True):
        assert np.allclose(one, other, rtol=1e-8, atol=1e-9)


def test_shortest_intervals_hold_their_probability_between_points_of_equal_density():
    rng = np.random.default_rng(9)
    n, b, alpha = rng.poisson(60, 400).astype(float), rng.poisson(150, 400).astype(float), rng.uniform(0.1, 0.5, 400)
    for rows, mixture in on_off_mixtures(n, b, alpha, np.ones(400), np.full(400, 0.03)):
        low, high = mixture_shortest(mixture, np.full(rows.size, 0.9))
        (above_low, at_low), (above_high, at_high) = (mixture_survival(mixture, x) for x in (low, high))
        assert np.allclose(above_low - above_high, 0.9, rtol=0, atol=1e-12)
        assert np.allclose(at_low[low > 0], at_high[low > 0], rtol=1e-10)
        assert np.any(low > 0)
        assert np.any(low == 0)
