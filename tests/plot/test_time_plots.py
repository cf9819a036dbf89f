"""Pictures of light curves, and the numbers that they show."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import poisson

import xphotfn as xp
from xphotfn.plot.time_plots import save_light_curve, view_light_curve
from xphotfn.science.flare_cut import histogram_of_rates, snr_by_cut

mpl.use("Agg")


def a_curve(seed=3, flares=True):
    rng = np.random.default_rng(seed)
    mean, live = np.full(600, 70.0), np.full(600, 50.0)
    if flares:
        mean[100:150] *= 5
    live[400:420] = 0
    return xp.LightCurve(start_s=1000.0, bin_s=50.0, counts=rng.poisson(mean) * (live > 0), live_s=live)


@pytest.fixture
def axes():
    import matplotlib.pyplot as plt

    curve = a_curve()
    after = xp.in_out_ratio(1200, 1000, 1.0, 1.0)
    before = xp.in_out_ratio(3900, 1000, 1.0, 1.0)
    yield view_light_curve(curve, xp.flare_cut(curve, "quiet"), before=before, after=after)
    plt.close("all")


def test_it_shows_what_is_kept(axes):
    curve = a_curve()
    cut = xp.flare_cut(curve, "quiet")
    spans = [patch.get_extents().transformed(axes[0].transData.inverted()) for patch in axes[0].patches]
    shown = sorted((1000 * box.x0 + 1000.0, 1000 * box.x1 + 1000.0) for box in spans)
    np.testing.assert_allclose(shown, cut.good.intervals, atol=1e-3)
    assert axes[0].get_title() == f"quiet: {cut}"
    assert axes[3].get_lines()[0].get_ydata().tolist() == pytest.approx([3.9, 1.2])


def test_what_is_not_known_is_said():
    import matplotlib.pyplot as plt

    found = view_light_curve(a_curve(), after="no IN/OUT: mode PrimeSmallWindow reads no corners")
    assert found[3].texts[0].get_text().replace("\n", " ") == "no IN/OUT: mode PrimeSmallWindow reads no corners"
    plt.close("all")


def test_signal_to_noise_is_greatest_at_twice_the_mean_that_is_kept():
    """The theorem behind the optimum: a bin raises T^2 / N while its rate is below twice the mean before."""
    curve = a_curve()
    rate, snr = snr_by_cut(curve)
    best = int(np.argmax(snr))
    lives = (curve.live_s > 0) & (curve.rate <= rate[best])
    mean = curve.counts[lives].sum() / curve.live_s[lives].sum()
    assert snr[best] == 1.0
    assert rate[best] <= 2 * mean
    assert best + 1 == rate.size or rate[best + 1] >= 2 * mean


def test_model_of_the_histogram_is_poisson():
    curve = xp.LightCurve(start_s=0.0, bin_s=10.0, counts=[40] * 50 + [39] * 50, live_s=[10.0] * 100)
    found = histogram_of_rates(curve, 4.0)
    edges = np.round(found.edges * 10).astype(int)  # the step is 0.1, so a bin is one count
    expected = 100 * poisson.pmf(edges[:-1], 40.0) * min(1.0, 1.0 / poisson.cdf(40, 40.0))
    np.testing.assert_allclose(found.quiet, expected, rtol=1e-9)
    assert found.bins.sum() == 100


def test_bins_above_all_are_in_the_last_one():
    found = histogram_of_rates(a_curve(), 1.4)
    assert found.bins.sum() == 580
    assert found.bins[-1] >= 40  # five times the quiet rate
    assert np.all(histogram_of_rates(a_curve(), float("nan")).quiet == 0)


@pytest.mark.parametrize("counts", [[0, 0, 0], [5], [0], [10**6] * 3])
def test_odd_curves_can_be_drawn(tmp_path, counts):
    curve = xp.LightCurve(start_s=0.0, bin_s=26.0, counts=counts, live_s=[26.0] * len(counts))
    assert save_light_curve(curve, tmp_path / "c.png").stat().st_size > 5000


def test_errors(tmp_path):
    with pytest.raises(xp.InvalidFile, match=r"saved as \.png"):
        save_light_curve(a_curve(), tmp_path / "c.gif")
    with pytest.raises(xp.InvalidRecord, match="a light curve is drawn, got list"):
        save_light_curve([1, 2], tmp_path / "c.png")
    (tmp_path / "c.png").write_text("mine")
    with pytest.raises(xp.InvalidFile):
        save_light_curve(a_curve(), tmp_path / "c.png")
    assert (tmp_path / "c.png").read_text() == "mine"
