"""What the signal-to-noise of a map is made of: counts, areas and exposures of exactly the right pixels."""

import math

import astropy.units as u
import numpy as np
import pytest
from scipy.stats import binom, norm

import xphotfn as xp
from xphotfn.science.snr_methods import METHODS, signal_to_noise
from xphotfn.testing.examples import example_field, example_rate_map


def sloped():
    """Return counts, exposure that falls to the right, a source on the left and a background on the right."""
    rng = np.random.default_rng(3)
    exposure = np.tile(np.linspace(1000.0, 100.0, 40), (30, 1))
    exposure[:, 20] = 0  # a gap
    counts = rng.poisson(exposure / 400)
    source, background = np.zeros((30, 40), dtype=bool), np.zeros((30, 40), dtype=bool)
    source[5:15, :10], background[:, 18:] = True, True
    return counts, exposure, source, background


def test_alpha_is_the_ratio_of_summed_exposures_on_the_detector():
    counts, exposure, source, background = sloped()
    measured = signal_to_noise(counts, exposure, source, background)
    on = background & (exposure > 0)
    assert measured.alpha == pytest.approx(exposure[source].sum() / exposure[on].sum(), rel=1e-12)
    assert measured.background_area_pix == on.sum() == 30 * 21
    assert measured.area_pix == 100
    n, b = counts[source].sum(), counts[on].sum()
    assert (measured.counts, measured.background_counts) == (n, b)
    q = measured.alpha / (1 + measured.alpha)
    p = binom.sf(n, n + b, q) + binom.pmf(n, n + b, q) / 2
    assert measured.value == pytest.approx(norm.isf(p), rel=1e-9)
    assert measured.alpha / (measured.area_pix / measured.background_area_pix) > 1.5, "areas would say otherwise"


def test_every_definition_can_be_named():
    """Oracles: scipy's distributions and the formulas of Li & Ma (1983), equations 5 and 17."""
    counts, exposure, source, background = sloped()
    found = {name: signal_to_noise(counts, exposure, source, background, name) for name in METHODS}
    assert all(measured.method == name for name, measured in found.items())
    n, b, alpha = (getattr(found["exact"], name) for name in ("counts", "background_counts", "alpha"))
    assert found["exact"].value == pytest.approx(norm.isf(binom.sf(n - 1, n + b, alpha / (1 + alpha))), rel=1e-9)
    assert found["gaussian"].value == pytest.approx((n - alpha * b) / math.sqrt(n + alpha**2 * b), rel=1e-12)
    assert found["gaussian-known-background"].value == pytest.approx((n - alpha * b) / math.sqrt(n), rel=1e-12)
    ratio = n * math.log((1 + alpha) / alpha * n / (n + b)) + b * math.log((1 + alpha) * b / (n + b))
    assert abs(found["li-ma"].value) == pytest.approx(math.sqrt(2 * ratio), rel=1e-9)


def test_exact_of_a_region_without_counts_is_minus_infinity():
    counts, exposure, source, background = sloped()
    counts[source] = 0
    assert signal_to_noise(counts, exposure, source, background, "exact").value == -math.inf


def test_net_rate_is_net_counts_over_the_mean_exposure():
    counts, exposure, source, background = sloped()
    measured = signal_to_noise(counts, exposure, source, background, "li-ma")
    net = counts[source].sum() - measured.alpha * counts[background & (exposure > 0)].sum()
    assert measured.net_rate.to_value("ct/s") == pytest.approx(net / exposure[source].mean())


def test_a_deficit_is_negative_in_every_calibrated_definition():
    counts, exposure, source, background = sloped()
    counts[source] = 0
    for method in ("mid-p", "li-ma", "gaussian", "exact"):
        assert signal_to_noise(counts, exposure, source, background, method).value < -3


def test_counts_that_are_not_numbers_are_refused():
    counts, exposure, source, background = sloped()
    counts = counts.astype(float)
    counts[7, 3] = np.nan
    with pytest.raises(xp.NoData, match="not finite"):
        signal_to_noise(counts, exposure, source, background)


def test_snr_uses_the_masks_without_interlopers():
    rate_map, field = example_rate_map(), example_field()
    measured = xp.snr(rate_map, field, "r500", background=(1.2, 2.0))
    source, background = xp.mask(rate_map, field, "r500", background=(1.2, 2.0))
    exposure = rate_map.exposure.data.astype(float)
    assert measured.counts == rate_map.image.data[source].sum()
    assert measured.alpha == pytest.approx(exposure[source].sum() / exposure[background].sum(), rel=1e-12)
    assert float(measured) == measured.value
    assert "sigma (mid-p" in str(measured)


def test_rankings_are_worst_first_and_carry_their_meta():
    rate_map, field = example_rate_map(), example_field()
    table = xp.snr_ranking([rate_map, rate_map], field, 300 * u.kpc, method="li-ma")
    assert list(table["snr"]) == sorted(table["snr"])
    assert table.meta["method"] == "li-ma"
    assert table.meta["region"] == "300.0 kpc"


def test_the_core_of_a_cluster_is_fifteen_percent_of_r500(tmp_path):
    from xphotfn.records.observation import FoundFile, Observation
    from xphotfn.science.distances import radius_deg

    cluster = xp.galaxy_cluster("c", 150.0, 2.0, redshift=0.16, r500=1200 * u.kpc)
    core = radius_deg(0.15 * cluster.r500, cluster)
    path = tmp_path / "0000000001.reg"
    path.write_text(
        f'fk5\ncircle(150,{2 + core * 0.99},2") # color=red\ncircle(150,{2 + core * 1.01},2") # color=red\n'
    )
    file = FoundFile(path=str(path), size=1, mtime_ns=1)
    observation = Observation(obs_id="0000000001", ra_deg=150.0, dec_deg=2.0, regions=file)
    member = xp.match_observations(cluster, [observation]).members[0]
    assert [r.line for r in member.kept] == [2]
    assert [r.line for r in member.interlopers] == [3]


def lens(big, small, apart):
    """Return the area that two discs share."""
    x = (apart**2 + big**2 - small**2) / (2 * apart)
    half = math.sqrt(big**2 - x**2)
    return big**2 * math.atan2(half, x) + small**2 * math.atan2(half, apart - x) - apart * half


@pytest.mark.parametrize("apart", [232.0, 240.0, 252.0])
def test_a_region_partly_off_the_detector_or_the_image_has_its_part_and_a_note(apart):
    """Oracle: the example's detector is a disc of 240 pixels, and so the part is that of two discs."""
    item, field = example_rate_map(), example_field()
    x, y = xp.coord_conv(item, field.centre, "pix").value
    there = xp.with_centre(field, xp.coord_conv(item, [x - apart, y] * u.pix, "deg"))
    radius = 18 * item.grid.pixel_deg * u.deg
    found = xp.snr(item, there, radius)
    assert found.on_detector_fraction == pytest.approx(lens(240, 18, apart) / (math.pi * 18**2), abs=0.02)
    assert found.masked_fraction == 0
    assert found.note.startswith(f"only {100 * found.on_detector_fraction:.3g} % of the region lies on the detector")
    assert found.note in str(found)
    assert xp.snr_ranking(item, there, radius)["note"][0] == found.note
    inside = xp.snr(item, field, radius)
    assert (inside.on_detector_fraction, inside.masked_fraction, inside.note) == (1, 0, "")


def test_a_region_under_a_masked_source_has_its_part_and_a_note():
    item, field = example_rate_map(), example_field()
    (red, *_) = field.members[0].interlopers
    there = xp.with_centre(field, xp.coord_conv(item, [red.x, red.y] * u.pix, "deg"))
    wide = 2 * red.size[0] * item.grid.pixel_deg * u.deg
    found = xp.snr(item, there, wide)
    assert found.masked_fraction == pytest.approx(1 / 4, abs=0.02), "twice its radius, four times its area"
    assert found.on_detector_fraction == 1
    assert found.note == f"{100 * found.masked_fraction:.3g} % of the region is masked as other sources"
    assert xp.snr(item, there, 4 * wide).note == "", "a part of 1/64 is masked"
