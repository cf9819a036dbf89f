"""Weighted exposure and live area: sums over cameras that know what they are sums of."""

from types import MappingProxyType

import attrs
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.mosaics import live_area, live_mask, weighted_exposure
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid

BAND = Band(lo_ev=500, hi_ev=2000)
GRID = PixelGrid.from_sky_range(10.0, 20.0, low=24000, high=24000 + 20 * 80 - 1, bin_size=80)
SHIFTED = attrs.evolve(GRID, nx=12, crpix1=GRID.crpix1 - 5, crpix2=GRID.crpix2 + 3, x0_sky=None, y0_sky=None)


def rate_map(folder, camera, exposure, grid=GRID, obs_id="0999990101", band=BAND):
    names = {"obs_id": obs_id, "exposure_id": "S001", "instrument": camera, "band": band, "grid": grid}
    paths = [str(folder / f"{obs_id}_{camera}_{kind}.fits") for kind in ("img", "exp")]
    write_image(paths[0], np.zeros(grid.shape, "i4"), grid, overwrite=True)
    write_image(paths[1], exposure.astype("f4"), grid, overwrite=True)
    return RateMap(image=Image(path=paths[0], **names), exposure=ExposureMap(path=paths[1], **names))


@pytest.fixture
def maps(tmp_path):
    """Three cameras of one observation with gaps at different columns, and one more on a shifted grid."""
    rng = np.random.default_rng(0)
    found = []
    for n, camera in enumerate(("pn", "mos1", "mos2")):
        exposure = rng.uniform(100, 1000, GRID.shape)
        exposure[:, 5 + n] = 0  # its chip gap
        exposure[0] = np.nan if n == 0 else 0
        found.append(rate_map(tmp_path, camera, np.nan_to_num(exposure)))
    return [*found, rate_map(tmp_path, "mos1", rng.uniform(1, 2, SHIFTED.shape), SHIFTED, obs_id="0999990201")]


def test_the_weighted_sum_is_that_of_a_loop(maps):
    weights = {"pn": 3.2, "mos1": 1.0, "EMOS2": 0.9}
    total, grid = weighted_exposure(maps[:3], weights=weights)
    wanted = sum(w * m.exposure.data.astype(float) for w, m in zip((3.2, 1.0, 0.9), maps, strict=False))
    assert grid == GRID
    assert total.dtype == np.float64
    assert np.allclose(total, wanted, rtol=1e-14)
    assert not total.flags.writeable
    everything, wide = weighted_exposure(maps, weights=MappingProxyType(weights))
    # CRPIX falls by 5 along x: the first pixel lies 5 to the right; by 3 down along y
    assert wide.shape == (23, 20)
    assert np.allclose(everything[3:, :5], total[:, :5], rtol=1e-14)
    assert np.allclose(everything[3:20, 5:17], total[:17, 5:17] + maps[3].exposure.data[3:], rtol=1e-14)
    assert np.allclose(everything[:3, 5:17], maps[3].exposure.data[:3], rtol=1e-14)


def test_without_weights_it_is_the_plain_sum_and_weights_are_linear(maps):
    plain, _ = weighted_exposure(maps[:3])
    assert np.allclose(plain, sum(m.exposure.data.astype(float) for m in maps[:3]), rtol=1e-14)
    doubled, _ = weighted_exposure(maps[:3], weights=dict.fromkeys(("pn", "mos1", "mos2"), 2.0))
    assert np.array_equal(doubled, 2 * plain)
    backwards, _ = weighted_exposure([maps[0], maps[2], maps[1]])
    assert np.array_equal(backwards, plain)
    alone, _ = weighted_exposure(maps[0].exposure, weights={"pn": 1, "mos1": 7})
    assert np.array_equal(alone, maps[0].exposure.data)


def test_live_area_shows_the_gaps_that_the_sum_hides(maps):
    count, grid = live_area(maps[:3])
    assert grid == GRID
    assert count.dtype == np.int32
    assert not count.flags.writeable
    assert np.all(weighted_exposure(maps[:3])[0][1:] > 0)  # no gap to be seen
    assert count[5].tolist() == [3] * 5 + [2, 2, 2] + [3] * 12
    assert not count[0].any()
    assert np.array_equal(count, sum((m.exposure.data > 0).astype(int) for m in maps[:3]))


def test_live_masks(maps):
    everyone, grid = live_mask(maps[:3], minimum=3)
    anyone, _ = live_mask(maps[:3])
    assert everyone.dtype == bool
    assert not everyone.flags.writeable
    assert everyone[5].tolist() == [True] * 5 + [False] * 3 + [True] * 12
    assert np.array_equal(anyone, weighted_exposure(maps[:3])[0] > 0)
    on_its_own, _ = live_mask(maps[:3], grid=grid)
    assert np.array_equal(on_its_own, anyone)
    for minimum in (0, 4, 1.5, True, -1):
        with pytest.raises(xp.InvalidRecord, match="minimum"):
            live_mask(maps[:3], minimum=minimum)


def test_the_grid_of_the_combined_map_can_be_asked_for():
    from xphotfn.testing.examples import example_rate_map, example_run

    combined = xp.combined_rate_map(example_run())
    total, grid = weighted_exposure([example_rate_map()], grid=combined.grid)
    assert grid == combined.grid
    assert np.array_equal(total, combined.exposure.data)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"pn": 3.2}, "weights lack mos1, mos2"),
        ({"pn": 0, "mos1": 1, "mos2": 1}, "weight of pn must be above 0"),
        ({"pn": -1, "mos1": 1, "mos2": 1}, "above 0"),
        ({"pn": np.nan, "mos1": 1, "mos2": 1}, "finite"),
        ({"pn": np.inf, "mos1": 1, "mos2": 1}, "finite"),
        ({"pn": "much", "mos1": 1, "mos2": 1}, "must be a number"),
        ({"pn": 1, "EPN": 2, "mos1": 1, "mos2": 1}, "pn twice"),
        ({"pn": 1, "mos1": 1, "mos2": 1, "rgs": 1}, "rgs"),
    ],
)
def test_bad_weights_are_refused(maps, weights, words):
    with pytest.raises(xp.InvalidRecord, match=words):
        weighted_exposure(maps[:3], weights=weights)


@pytest.mark.parametrize("function", [weighted_exposure, live_area, live_mask])
def test_maps_that_cannot_be_counted_are_refused(function, maps, tmp_path):
    with pytest.raises(xp.NoData, match="no map"):
        function([])
    with pytest.raises(xp.InvalidRecord, match="got Image"):
        function([maps[0].image])
    with pytest.raises(xp.InvalidRecord, match="twice"):
        function([maps[0], maps[0]])
    with pytest.raises(xp.InvalidRecord, match="several bands"):
        function([maps[0], rate_map(tmp_path, "mos2", np.ones(GRID.shape), band=Band(lo_ev=2000, hi_ev=10000))])
    with pytest.raises(xp.InvalidRecord, match="is a mosaic"):
        function([rate_map(tmp_path, "combined", np.ones(GRID.shape))])
    fine = attrs.evolve(GRID, cdelt1_deg=GRID.cdelt1_deg / 2, cdelt2_deg=GRID.cdelt2_deg / 2)
    with pytest.raises(xp.ShapeMismatch, match=r"different pixel sizes.*0999990301_pn_img\.fits"):
        function([maps[0], rate_map(tmp_path, "pn", np.ones(GRID.shape), fine, obs_id="0999990301")])
