"""Fits of the beta model: closed forms, simulation with known truth, and what least squares makes of the counts."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.integrate import quad
from scipy.optimize import curve_fit

from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch
from xphotfn.science.beta_model import beta_ring_means, fit_beta_rings

EDGES = np.array([0, 10, 20, 30, 45, 60, 80, 100, 130, 160, 200, 250, 300.0])
AREA = np.pi * np.diff(EDGES**2) / 3600  # arcmin2
CORE, BETA, ANNULUS = 60.0, 2 / 3, 80.0


def drawn(rng, counts, per_area, edges=EDGES):
    """Return counts in rings, the brightness at the centre, and the expected background."""
    area = np.pi * np.diff(edges**2) / 3600
    shape = beta_ring_means(edges, CORE, BETA) * area
    peak = counts / shape.sum()
    return rng.poisson(peak * shape + per_area * area), peak, per_area * area


@given(st.floats(0.1, 50), st.floats(0.25, 3), st.floats(0, 30), st.floats(0.1, 20))
def test_the_mean_over_a_ring_is_the_integral_of_the_model(core, beta, inner, width):
    outer = inner + width
    found = beta_ring_means([inner, outer], core, beta)
    integral, _ = quad(lambda r: 2 * r * (1 + (r / core) ** 2) ** (0.5 - 3 * beta), inner, outer, epsrel=1e-10)
    assert found == pytest.approx([integral / (outer**2 - inner**2)], rel=1e-6)


def test_beta_of_one_half_is_no_hole():
    around = [beta_ring_means(EDGES, CORE, beta) for beta in (0.5 - 1e-7, 0.5, 0.5 + 1e-7)]
    assert around[0] == pytest.approx(around[1], rel=1e-5)
    assert around[2] == pytest.approx(around[1], rel=1e-5)


@settings(max_examples=6)
@given(st.floats(20, 100), st.floats(0.45, 1.2), st.floats(-2, 3), st.booleans())
def test_counts_of_the_model_itself_give_its_parameters(core, beta, peak, constant):
    scale = AREA * 1e4
    counts = scale * (10**peak * beta_ring_means(EDGES, core, beta) + (0.01 * 10**peak if constant else 0.0))
    fit = fit_beta_rings(counts + 7 * AREA, EDGES, scale, background=7 * AREA, constant=constant)
    assert fit.converged
    assert fit.cash < 1e-3
    found = [fit.brightness.value, fit.core_radius.value, fit.beta.value]
    assert found == pytest.approx([10**peak, core, beta], rel=5e-3)
    assert (fit.constant is None) != constant
    assert fit.expected == pytest.approx(counts + 7 * AREA, rel=1e-3)


def test_units_of_radius_and_scale_are_those_given():
    counts, _, background = drawn(np.random.default_rng(3), 2000, 2.0)
    one = fit_beta_rings(counts, EDGES, AREA, background=background)
    other = fit_beta_rings(counts, EDGES / 60, AREA * 1000, background=background)
    assert other.core_radius.value * 60 == pytest.approx(one.core_radius.value, rel=1e-3)
    assert other.brightness.value * 1000 == pytest.approx(one.brightness.value, rel=1e-3)
    for name in ("value", "error", "low", "high"):
        assert getattr(other.beta, name) == pytest.approx(getattr(one.beta, name), rel=2e-3)


def test_poisson_fits_recover_the_slope_and_least_squares_do_not():
    """500 counts: draws with known truth; the same counts by least squares with ``sqrt(max(N, 1))`` as errors."""
    rng, edges = np.random.default_rng(5), np.arange(0, 301, 10.0)
    area = np.pi * np.diff(edges**2) / 3600
    poisson, least, pulls = [], [], []
    for _ in range(16):
        counts, peak, background = drawn(rng, 500, 0.5, edges)
        fit = fit_beta_rings(counts, edges, area, background=background)
        poisson.append(fit.beta.value)
        pulls.append(np.log(fit.beta.value / BETA) / (fit.beta.error / fit.beta.value))
        found, _ = curve_fit(
            lambda _, a, c, b: np.exp(a) * beta_ring_means(edges, np.exp(c), np.exp(b)), edges[1:],
            (counts - background) / area, sigma=np.sqrt(np.maximum(counts, 1)) / area,
            p0=np.log([peak, CORE, BETA]), maxfev=5000,
        )  # fmt: skip
        least.append(np.exp(found[2]))
    assert np.median(poisson) == pytest.approx(BETA, abs=0.05)
    assert np.median(least) > 0.69, "least squares were biased when this was written"
    assert abs(np.mean(pulls)) < 4 / np.sqrt(16)
    assert 0.5 < np.std(pulls) < 1.6


def test_the_annulus_adds_its_error_and_is_fitted_with_the_rings():
    rng = np.random.default_rng(8)
    counts, _, background = drawn(rng, 2000, 8.0)
    annulus = rng.poisson(8.0 * ANNULUS)
    scaled, error = AREA / ANNULUS * annulus, AREA / ANNULUS * np.sqrt(annulus)
    known = fit_beta_rings(counts, EDGES, AREA, background=scaled)
    fitted = fit_beta_rings(counts, EDGES, AREA, background=scaled, background_error=error)
    assert known.background_factor is None
    assert 0.5 / np.sqrt(annulus) < fitted.background_factor.error < 1.01 / np.sqrt(annulus)
    assert fitted.beta.error > 1.02 * known.beta.error
    assert fitted.beta.low < fitted.beta.value < fitted.beta.high
    assert fitted.cash + (fitted.background_factor.value - 1) ** 2 * annulus < known.cash + 1e-6
    assert background.sum() == pytest.approx(scaled.sum(), rel=0.2)


def test_the_ends_are_where_the_profile_likelihood_falls_by_one_half():
    """Oracle: a scan of the two other parameters by scipy's Nelder-Mead."""
    from scipy.optimize import minimize
    from scipy.stats import poisson

    counts, _, background = drawn(np.random.default_rng(11), 3000, 1.0)
    fit = fit_beta_rings(counts, EDGES, AREA, background=background)

    def lowest(beta):
        def minus(p):
            m = np.exp(p[0]) * beta_ring_means(EDGES, np.exp(p[1]), beta) * AREA + background
            return -poisson.logpmf(counts, m).sum()

        start = np.log([fit.brightness.value, fit.core_radius.value])
        return minimize(minus, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8}).fun

    best = lowest(fit.beta.value)
    for end in (fit.beta.low, fit.beta.high):
        assert lowest(end) - best == pytest.approx(0.5, abs=0.02)


def test_rings_without_exposure_do_not_count():
    counts, _, background = drawn(np.random.default_rng(2), 1000, 1.0)
    scale, cut = AREA.copy(), counts.copy()
    scale[4] = 0
    cut[4] = 999
    one = fit_beta_rings(cut, EDGES, scale, background=background)
    other = fit_beta_rings(counts, EDGES, AREA, background=background)
    assert one.beta.value == pytest.approx(other.beta.value, rel=0.2)
    assert one.expected[4] == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"counts": np.ones(3)}, ShapeMismatch, "rings"),
        ({"background": np.ones(3)}, ShapeMismatch, "each of"),
        ({"counts": -np.ones(AREA.size)}, InvalidRecord, "not negative"),
        ({"background_error": np.nan}, InvalidRecord, "finite"),
        ({"scale": np.where(np.arange(AREA.size) < 2, 1.0, 0.0)}, NoData, "needs 3 rings"),
        ({"background": 1e3}, NoData, "not above the background"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, error, message):
    given = {"counts": np.ones(AREA.size), "edges": EDGES, "scale": AREA, "background": 0.1} | change
    with pytest.raises(error, match=message):
        fit_beta_rings(given.pop("counts"), given.pop("edges"), given.pop("scale"), **given)


@pytest.mark.slow
@pytest.mark.parametrize(("counts", "per_area", "annulus"), [(300, 1.0, None), (1000, 5.0, 80.0), (10000, 10.0, 80.0)])
def test_pulls_and_intervals_over_many_draws(counts, per_area, annulus):
    rng, covered, pulls = np.random.default_rng(13), [], []
    for _ in range(150):
        n, _, background = drawn(rng, counts, per_area)
        error = np.zeros(AREA.size)
        if annulus is not None:
            seen = rng.poisson(per_area * annulus)
            background, error = AREA / annulus * seen, AREA / annulus * np.sqrt(seen)
        fit = fit_beta_rings(n, EDGES, AREA, background=background, background_error=error)
        covered.append(fit.beta.low <= BETA <= fit.beta.high)
        pulls.append(np.log(fit.beta.value / BETA) / (fit.beta.error / fit.beta.value))
    assert abs(np.mean(pulls)) < 0.35
    assert 0.8 < np.std(pulls) < 1.2
    assert 0.57 < np.mean(covered) < 0.79


def test_a_fit_that_stops_beside_the_minimum_still_has_ends():
    """Background from an annulus and a constant too: both are one level, and single fits stopped beside the minimum."""
    edges = np.arange(0, 301, 10.0)
    rng, area = np.random.default_rng(28), np.pi * np.diff(edges**2) / 3600
    counts, _, _ = drawn(rng, 50_000, 0.3, edges)
    seen = rng.poisson(0.3 * 100)
    fit = fit_beta_rings(
        counts, edges, area, background=area / 100 * seen, background_error=area / 100 * seen**0.5, constant=True
    )
    for one in (fit.brightness, fit.core_radius, fit.beta, fit.constant, fit.background_factor):
        assert one.low < one.value < one.high
    assert fit.core_radius.high - fit.core_radius.value == pytest.approx(fit.core_radius.error, rel=0.1)


@pytest.mark.parametrize(("near", "far", "found"), [(-1.0, 1.0, 0.5), (0.5, 1.0, np.nan), (np.nan, 1.0, np.nan)])
def test_an_end_that_is_not_bracketed_is_nan(near, far, found):
    from xphotfn.science.beta_model import _crossing

    end = _crossing(lambda x: near + (far - near) * x, 0.0, 1.0)
    assert end == pytest.approx(found, abs=2e-3, nan_ok=True)
