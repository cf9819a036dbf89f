"""A source on the streak of a bright one keeps its flux, and a piece of the streak is no source."""

import astropy.units as u
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.records.target import Target
from xphotfn.simulate.scene import OUT_OF_TIME, CameraExposure, Pointing, Scene, Source
from xphotfn.testing import simulate_observations

RA, DEC = 52.3, -33.7
BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)
FAINT = 0.02


def at(east_arcmin, north_arcmin):
    return RA + east_arcmin / 60 / np.cos(np.deg2rad(DEC)), DEC + north_arcmin / 60


def source(name, place, rate):
    return Source(name=name, ra_deg=place[0], dec_deg=place[1], rate=rate)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Rate maps of pn of three simulations: a source of 2 ct/s, a faint one on its streak, one beside it."""
    camera = {"instrument": "pn", "exposure_id": "S003", "ontime_s": 20000.0}
    camera = CameraExposure(**camera, out_of_time=OUT_OF_TIME["PrimeFullWindow"])
    pointing = Pointing(obs_id="0999990101", ra_deg=RA, dec_deg=DEC, exposures=[camera])
    sources = [source("bright", at(3, 2), 2.0), source("on", at(6.5, 2), FAINT), source("off", at(3, -1.5), FAINT)]
    scene = Scene(sources=sources, pointings=[pointing])
    found = []
    for seed in range(3):
        root = tmp_path_factory.mktemp("streak")
        simulate_observations(root, seed=seed, scene=scene, products=("image", "exposure_map"))
        place = Target(name="bright", kind="position", ra_deg=sources[0].ra_deg, dec_deg=sources[0].dec_deg)
        field = xp.match_observations(place, xp.find_observations(root))
        plan = xp.plan_exposure_maps(field, BAND)
        run = xp.run(plan, engine=xp.native_engine(), store=root / "s", progress=False, workers=1)
        found += xp.rate_maps(xp.raise_for_failures(run))
    return found


def measured(maps, places, weights=None):
    tables = [xp.photometry(m, places * u.deg, 15 * u.arcsec, psf="epic", background_weights=weights) for m in maps]
    return [np.array([np.array(t[name]) for t in tables], dtype=float) for name in ("rate", "significance")]


def test_a_source_on_the_streak_keeps_its_flux(maps):
    places = np.array([at(6.5, 2), at(3, -1.5)])
    plain, _ = measured(maps, places)
    found, _ = measured(maps, places, xp.out_of_time_weights())
    on, off = plain.mean(axis=0) / FAINT
    assert on > 1.18  # 28 % too bright
    assert off == pytest.approx(1.0, abs=0.12)
    assert found.mean(axis=0) / FAINT == pytest.approx([1.0, 1.0], abs=0.15)


def test_a_piece_of_the_streak_is_no_source(maps):
    places = np.array([at(east, 2) for east in (8.4, 9.0, 9.6)])
    _, plain = measured(maps, places)
    _, found = measured(maps, places, xp.out_of_time_weights())
    assert plain.mean() > 2.5
    assert abs(found.mean()) < 1.2


@pytest.mark.slow
def test_a_search_finds_nothing_along_the_streak_but_what_is_there(maps):
    for item in maps:
        bright, *others = xp.detect_sources(item, threshold=10)
        assert [round(s.x - bright.x) for s in others if abs(s.y - bright.y) < 8] == [-48]
        assert any(abs(s.x - bright.x) < 1 and round(s.y - bright.y) == -48 for s in others)


def test_weights_of_a_combined_map_are_made_of_its_parts(maps):
    weights = xp.out_of_time_weights(maps[:1])
    single = weights(maps[0])
    assert single.shape == maps[0].grid.shape
    assert not single[maps[0].exposure.data == 0].any()
    with pytest.raises(xp.ProductMissing, match="of several exposures"):
        xp.out_of_time_image(combined(maps[0]).image)
    with pytest.raises(xp.ProductMissing, match="give those that it is made of"):
        xp.out_of_time_weights()(combined(maps[0]))
    np.testing.assert_allclose(weights(combined(maps[0])), single, rtol=1e-6)


def combined(item):
    from attrs import evolve

    image, exposure = (evolve(p, obs_id="combined", exposure_id="") for p in (item.image, item.exposure))
    return evolve(item, image=image, exposure=exposure)


def test_the_rest_may_have_weights_of_its_own(maps):
    item = maps[0]
    expected = xp.out_of_time_image(item)
    flat = xp.out_of_time_weights(rest=lambda m: np.ones(m.grid.shape))(item) - expected
    live = item.exposure.data > 0
    assert np.ptp(flat[live]) < 1e-9 * flat[live].mean()
