"""Hardness ratios: against a double sum of incomplete beta functions, with laws, and their coverage."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import special

from xphotfn.errors import InvalidRecord
from xphotfn.science.hardness_ratio import hardness_ratio

COUNTS = st.integers(0, 60)
SIDES = st.tuples(COUNTS, COUNTS, st.sampled_from((0.05, 0.3, 1.0, 4.0)))
LEVELS = (0.158655, 0.5, 0.841345)


def gamma_mixture(side, prior):
    """Return shapes and weights of the posterior of the rate, by the sum over the source's part of the counts."""
    n, b, alpha = side
    k = np.arange(n + 1)
    logs = -special.gammaln(k + 1) - special.gammaln(n - k + 1) + special.gammaln(k + prior)
    logs += special.gammaln(n - k + b + 1) - (n - k + b + 1) * np.log1p(1 / alpha)
    weights = np.exp(logs - logs.max())
    return k + prior, weights / weights.sum()


def distribution(x, soft, hard, prior, areas=(1.0, 1.0)):
    """Return P(HR <= x), nothing left out."""
    (j, w), (k, v) = gamma_mixture(soft, prior), gamma_mixture(hard, prior)
    q = (1 + x) / 2
    y = q * areas[1] / (q * areas[1] + (1 - q) * areas[0])
    return float(np.sum(v[:, None] * w * special.betainc(k[:, None], j[None, :], y)))


@settings(max_examples=40)
@given(SIDES, SIDES, st.sampled_from((1.0, 0.5, 2.0)), st.floats(0.1, 10), st.floats(0.1, 10))
def test_the_quantiles_are_those_of_the_whole_double_sum(soft, hard, prior, soft_area, hard_area):
    found = hardness_ratio((*soft, soft_area, 0.0), (*hard, hard_area, 0.0), prior=prior)
    for x, level in zip(found, LEVELS, strict=True):
        assert distribution(float(x), soft, hard, prior, (soft_area, hard_area)) == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize(
    ("soft", "hard"), [((30_000, 1000, 0.1), (900, 4000, 0.2)), ((3, 900_000, 1e-5), (2_000_000, 50, 1.0))]
)
def test_many_counts(soft, hard):
    """Normal far from 0 counts: the quantiles are those of the ratio's error, to what skewness leaves."""
    s, h = (n - alpha * b for n, b, alpha in (soft, hard))
    low, middle, high = (float(v) for v in hardness_ratio(soft, hard))
    if s > 100:
        var = [(n + alpha**2 * b) for n, b, alpha in (soft, hard)]
        error = 2 * np.sqrt(h**2 * var[0] + s**2 * var[1]) / (h + s) ** 2
        assert middle == pytest.approx((h - s) / (h + s), abs=0.05 * error)
        assert (high - low) / 2 == pytest.approx(error, rel=0.02)
    assert -1 < low < middle < high < 1


@settings(max_examples=25)
@given(SIDES, SIDES, st.sampled_from((1.0, 0.5)))
def test_turning_the_bands_round_turns_the_sign(soft, hard, prior):
    one, other = hardness_ratio(soft, hard, prior=prior), hardness_ratio(hard, soft, prior=prior)
    assert [float(v) for v in one] == pytest.approx([-float(v) for v in other[::-1]], abs=1e-9)


def test_light_in_the_ring_is_in_both():
    """Against draws of the posterior on a grid of both rates: light of the source in its own ring."""
    sides = ((12, 40, 0.2, 80.0, 30.0), (9, 31, 0.2, 50.0, 25.0))
    r = np.linspace(0, 0.6, 3001)
    b = np.linspace(0, 20, 801)[:, None]
    marginals = []
    for n, m, alpha, f, g in sides:
        logs = special.xlogy(n, f * r + b) - f * r - b + special.xlogy(m, g * r + b / alpha) - g * r - b / alpha
        marginals.append(np.exp(logs - np.nanmax(logs)).sum(axis=0))
    rng = np.random.default_rng(5)
    soft, hard = (rng.choice(r, 200_000, p=p / p.sum()) + rng.uniform(0, r[1], 200_000) for p in marginals)
    drawn = np.quantile((hard - soft) / (hard + soft), LEVELS)
    assert [float(v) for v in hardness_ratio(*sides)] == pytest.approx(drawn, abs=0.01)


def test_a_fraction_of_a_count_lies_between_the_whole_ones_and_arrays_broadcast():
    n = np.array([4.0, 4.25, 4.75, 5.0])
    low, middle, high = hardness_ratio((n[:, None], 3, 0.2), (np.array([2, 30]), 3, 0.2))
    assert middle.shape == (4, 2)
    for values in (low, middle, high):
        assert np.all(np.diff(values, axis=0) < 0)
    assert np.isnan(hardness_ratio((np.nan, 3, 0.2), (2, 3, 0.2))).all()


@pytest.mark.parametrize(
    ("soft", "how", "words"),
    [
        ((-1, 3, 0.2), {}, "not negative"),
        ((1, 3.5, 0.2, 1.0, 0.1), {}, "whole numbers"),
        ((1.5, 3, 0.2, 1.0, 0.1), {}, "whole numbers"),
        ((1, 3, 0.0), {}, "above 0"),
        ((1, 3), {}, "counts, background, alpha"),
        ((1, 3, 0.2), {"prior": 0}, "prior must be"),
        ((1, 3, 0.2), {"confidence": 68.0}, "between 0 and 1"),
    ],
)
def test_what_is_no_measurement_is_refused(soft, how, words):
    with pytest.raises(InvalidRecord, match=words):
        hardness_ratio(soft, (5, 3, 0.2), **how)


def test_the_page_says_what_the_table_has(project_root):
    text = (project_root / "docs" / "hardness.md").read_text(encoding="utf-8")
    with (project_root / "docs" / "tables" / "hardness_coverage.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for background, shown in (("0.3", "0.3"), ("3.0", "3"), ("30.0", "30")):
        cells = [f"| {shown} "]
        for prior in ("flat", "index 0.5"):
            covered = [100 * float(row[f"{prior}: 68.27 %"]) for row in rows if row["background counts"] == background]
            cells.append(f"| {min(covered):.1f} to {max(covered):.1f} % ")
        assert "".join(cells) in text
    listed = {tuple(row.values())[:4]: float(row["flat: 68.27 %"]) for row in rows}
    outside = {where for where, value in listed.items() if not 0.66 <= value <= 0.82}
    with (project_root / "docs" / "tables" / "hardness_outside.csv").open(encoding="utf-8") as file:
        again = {tuple(row.values())[:4]: row for row in csv.DictReader(file)}
    assert set(again) == outside
    shown = [100 * float(row["flat: 68.27 %"]) for row in again.values()]
    words = f"{shown[2]:.1f} to {shown[0]:.1f} %", f"{shown[3]:.1f} % and {shown[4]:.1f} %"
    assert all(word in text for word in words)


def test_where_the_background_rules_the_interval_covers_on_average_over_the_prior():
    """The law of a posterior: of sources drawn from its prior, those with such counts lie within as often as it says.

    The prior index 0.5 gives 0.84 here and the index 2 gives 0.55, of sources that are drawn from the flat prior.
    """
    rng, ratio = np.random.default_rng(9), 5
    soft, hard, sky, other_sky = rng.uniform(0, 90, (4, 1_000_000))
    near = (hard + other_sky < 70) & (soft + sky < 90) & (abs(sky - 32) < 18) & (abs(other_sky - 32) < 18)
    soft, hard, sky, other_sky = (part[near] for part in (soft, hard, sky, other_sky))
    n, m = rng.poisson(soft + sky), rng.poisson(hard + other_sky)
    b, c = rng.poisson(sky * ratio), rng.poisson(other_sky * ratio)
    which = (abs(b - 30 * ratio) < 5 * ratio) & (abs(c - 30 * ratio) < 5 * ratio) & (n < 50) & (m < 40)
    low, _, high = hardness_ratio((n[which], b[which], 1 / ratio), (m[which], c[which], 1 / ratio))
    truth = ((hard - soft) / (hard + soft))[which]
    assert which.sum() > 250
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.6827, abs=0.08)  # 3 sigma


@pytest.mark.parametrize(("prior", "least", "most"), [(1.0, 0.65, 0.83), (0.5, 0.64, 0.79)])
def test_intervals_of_68_percent_cover(prior, least, most):
    """A part of the table of docs/hardness.md, whose script has the whole: no cell may be far outside."""
    rng = np.random.default_rng(8)
    for soft, hard, back, ratio in ((3, 3, 3, 5), (20, 5, 2, 10), (10, 30, 3, 20)):
        size = 800
        n, m = (rng.poisson(mean + back, size) for mean in (soft, hard))
        b, c = (rng.poisson(back * ratio, size) for _ in range(2))
        low, _, high = hardness_ratio((n, b, 1 / ratio), (m, c, 1 / ratio), prior=prior)
        truth = (hard - soft) / (hard + soft)
        assert least < np.mean((low <= truth) & (truth <= high)) < most


def test_a_masked_count_gives_no_ratio():
    soft = np.ma.array([20, 20], mask=[True, False])
    found = hardness_ratio((soft, 10, 0.2), (5, 10, 0.2))
    assert np.isnan(found.median).tolist() == [True, False]
