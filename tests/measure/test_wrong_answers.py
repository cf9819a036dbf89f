"""XGA's wrong answers (and silent ones), each with the right one."""

import astropy.units as u
import numpy as np
import pytest
from astropy.units import Quantity

import xphotfn as xp
from xphotfn.science.snr_methods import signal_to_noise
from xphotfn.testing.examples import example_field, example_rate_map


def test_rate_at_two_positions_reads_each_position_by_its_own_x_and_y():
    rate_map = example_rate_map()
    positions = Quantity([[256, 255], [300, 200]], "pix")
    got = xp.rate_at(rate_map, positions).value
    assert got.tolist() == [rate_map.data[255, 256], rate_map.data[200, 300]]
    one_by_one = [xp.rate_at(rate_map, p).value for p in positions]
    assert got.tolist() == one_by_one


@pytest.mark.parametrize("bad", [[-1, 5], [512, 5], [5, -1], [5, 512]])
def test_a_position_off_the_image_never_wraps_around(bad):
    for look in (xp.rate_at, xp.exposure_at, xp.counts_at):
        with pytest.raises(xp.OffImage, match=r"1 of 2 positions lie off the image .* \("):
            look(example_rate_map(), Quantity([[5, 5], bad], "pix"))


def test_ranking_with_negative_pixels_kept_returns_the_ranking():
    method = xp.xga_method(allow_negative=True)
    table = xp.snr_ranking([example_rate_map()], example_field(), 60 * u.arcsec, method=method)
    assert len(table) == 1
    assert table["snr"][0] == float(xp.snr(example_rate_map(), example_field(), 60 * u.arcsec, method=method))


def test_an_empty_background_is_an_error_not_nan():
    ones = np.ones((8, 8))
    source = np.zeros((8, 8), dtype=bool)
    source[3:5, 3:5] = True
    with pytest.raises(xp.NoData, match="background region has no pixel on the detector"):
        signal_to_noise(ones, ones, source, ~source & False)
    with pytest.raises(xp.NoData, match="source region"):
        signal_to_noise(ones, np.where(source, 0.0, 1.0), source, ~source)


def test_a_mask_of_zeros_has_no_peak():
    from xphotfn.science.peaks import clustering_peak, simple_peak

    rate = np.ones((20, 20))
    for find in (simple_peak, clustering_peak):
        with pytest.raises(xp.NoData, match="mask leaves no pixel"):
            find(rate, np.zeros((20, 20), dtype=bool))
        with pytest.raises(xp.NoData, match="not one count"):
            find(np.zeros((20, 20)), np.ones((20, 20), dtype=bool))


def test_few_pixels_need_little_memory_and_give_the_brightest():
    from xphotfn.science.peaks import clustering_peak

    rate = np.zeros((512, 512))
    rate[100, 200], rate[300, 50] = 2.0, 1.0
    assert clustering_peak(rate, np.ones((512, 512), dtype=bool)) == (200, 100)


def test_energies_are_rounded_not_truncated():
    assert xp.energy_band(1.001 * u.keV, 2 * u.keV).lo_ev == 1001
    for ev in range(1, 12002):
        assert xp.energy_band(ev / 1000 * u.keV, 13 * u.keV).lo_ev == ev


def test_a_mask_cannot_be_edited_and_so_never_changes_a_later_answer():
    before = float(xp.snr(example_rate_map(), example_field(), 60 * u.arcsec))
    source, background = xp.source_mask(example_rate_map(), example_field(), 60 * u.arcsec)
    arrays = (
        source,
        background,
        xp.interloper_mask(example_rate_map(), example_field()),
        xp.sensor_mask(example_rate_map()),
        xp.edge_mask(example_rate_map()),
        example_rate_map().data,
    )
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert float(xp.snr(example_rate_map(), example_field(), 60 * u.arcsec)) == before


def test_blank_sky_is_zero_sigma_by_default_and_many_sigma_in_xgas_definition():
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:64, :64] - 32.0
    source, background = x**2 + y**2 < 13.92**2, (x**2 + y**2 >= 15**2) & (x**2 + y**2 < 21**2)
    exposure = np.full((64, 64), 1000.0)
    ours, xga = [], []
    for _ in range(60):
        counts = rng.poisson(0.3, exposure.shape)
        ours.append(float(signal_to_noise(counts, exposure, source, background)))
        xga.append(float(signal_to_noise(counts, exposure, source, background, "xga")))
    assert abs(np.mean(ours)) < 4 / np.sqrt(60)
    assert np.mean(xga) > 8


def test_nan_and_negative_exposure_are_off_the_detector():
    from xphotfn.science.ratemap import rate_map

    exposure = np.array([[np.nan, -1.0, 0.0, 2.0]])
    assert rate_map(np.array([[1, 1, 1, 4]]), exposure).tolist() == [[0, 0, 0, 2]]


def test_images_and_exposure_maps_that_do_not_belong_together_are_refused():
    import attrs

    rate_map = example_rate_map()
    shifted = attrs.evolve(rate_map.exposure, grid=attrs.evolve(rate_map.grid, ra_deg=150.0))
    with pytest.raises(xp.ShapeMismatch, match="different grids"):
        xp.RateMap(image=rate_map.image, exposure=shifted)
    with pytest.raises(xp.InvalidRecord, match="do not belong together: instrument is pn and mos1"):
        xp.RateMap(image=rate_map.image, exposure=attrs.evolve(rate_map.exposure, instrument="mos1"))
