"""Convolutions by logarithms are those of the numbers, and posteriors of very many counts are right and quick."""

import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import special

from xphotfn.science import on_off
from xphotfn.science.convolution import convolve_concave
from xphotfn.science.intervals import on_off_estimate, on_off_interval, on_off_quantile


def log_binomials(n, odds):
    i = np.arange(n + 1)
    return special.gammaln(n + 1) - special.gammaln(i + 1) - special.gammaln(n - i + 1) + i * np.log(odds)


def by_sums(first, second, factor):
    """The definition, one t at a time."""
    i = np.arange(first.size)
    found = []
    for t in range(factor.size):
        inside = (i <= t) & (t - i < second.size)
        found.append(special.logsumexp(first[inside] + second[t - i[inside]]) + factor[t])
    return np.array(found)


@settings(max_examples=15)
@given(st.integers(0, 300), st.integers(0, 300), st.floats(1e-4, 1e4), st.floats(1e-4, 1e4), st.booleans())
def test_it_is_the_sum_that_it_says(n, m, one, other, steep):
    first, second = log_binomials(n, one), log_binomials(m, other)
    t = np.arange(n + m + 1)
    factor = special.gammaln(t + 1) + special.gammaln(n + m - t + 1) if steep else np.zeros(t.size)
    expected, found = by_sums(first, second, factor), convolve_concave(first, second, factor)
    matters = expected > expected.max() - 49
    np.testing.assert_allclose(found[matters], expected[matters], rtol=0, atol=2e-9)
    assert not np.any(np.isfinite(found[expected < expected.max() - 51]))


@pytest.mark.parametrize(
    "measured",
    [(400, 3000, 0.1, 0.9, 0.03), (0, 900, 0.2, 0.8, 0.1), (5000, 50, 0.1, 0.7, 0.3), (20, 20, 2.0, 0.5, 0.9)],
)
def test_both_ways_to_a_posterior_agree(monkeypatch, measured):
    *data, f, g = measured
    quantiles = [on_off_quantile(*data, p, fractions=(f, g)) for p in (1e-6, 0.16, 0.5, 0.95)]
    monkeypatch.setattr(on_off, "DIRECT", 0)
    found = [on_off_quantile(*data, p, fractions=(f, g)) for p in (1e-6, 0.16, 0.5, 0.95)]
    np.testing.assert_allclose(found, quantiles, rtol=1e-8)


@pytest.mark.parametrize(
    "measured",
    [
        (10**7, 10**8, 0.1, 0.9, 0.05),  # a ring of 1e5 counts per pixel without a source
        (2 * 10**6, 10**7, 0.1, 0.9, 0.05),  # and with one
        (10**6, 10**6, 0.1, 0.9, 0.5),  # much of it in the ring
    ],
)
def test_a_posterior_of_very_many_counts(measured):
    """Against the integral of the likelihood over source and background; it took from 10 s to minutes."""
    n, b, alpha, f, g = measured
    began = time.process_time()
    lower, upper = map(float, on_off_interval(n, b, alpha, fractions=(f, g)))
    median = float(on_off_quantile(n, b, alpha, 0.5, fractions=(f, g)))
    mean = float(on_off_estimate(n, b, alpha, fractions=(f, g)).mean)
    assert time.process_time() - began < 5
    matrix = np.array([[f, 1.0], [g, 1 / alpha]])
    best = np.linalg.solve(matrix, [n, b])
    spread = np.sqrt(np.diag(np.linalg.inv(matrix) @ np.diag([n, b]) @ np.linalg.inv(matrix).T))
    low, high = np.maximum(best - 9 * spread, 0), best + 9 * spread
    s, c = (np.linspace(*ends, steps) for *ends, steps in zip(low, high, (1001, 301), strict=True))
    means = f * s[:, None] + c, g * s[:, None] + c / alpha
    logs = sum(special.xlogy(k, mean / k) - (mean - k) for k, mean in zip((n, b), means, strict=True))
    density = np.exp(logs - logs.max()).sum(axis=1)
    steps = 0.5 * (density[1:] + density[:-1])
    below = np.concatenate(([0.0], np.cumsum(steps))) / steps.sum()
    assert np.interp(median, s, below) == pytest.approx(0.5, abs=2e-5)
    assert np.interp(upper, s, below) - np.interp(lower, s, below) == pytest.approx(0.6826894921, abs=4e-5)
    assert mean == pytest.approx(np.trapezoid(s * density) / np.trapezoid(density), abs=1e-4 * spread[0])
