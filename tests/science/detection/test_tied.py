"""One amplitude for the cameras of an observation: laws of TIED_ML, and what it finds that free rates lose."""

import numpy as np
import pytest
from scipy import optimize, stats

from xphotfn.records.grid import PixelGrid
from xphotfn.science.detection.fit import FittedSource
from xphotfn.science.detection.judging import judged
from xphotfn.science.detection.search import search
from xphotfn.science.detection.search_map import SearchMap, shape_at, tied_shares_of
from xphotfn.science.detection.sky import Sky
from xphotfn.science.king import EPIC_KING
from xphotfn.simulate.psf import point_spread

GRID = PixelGrid(
    nx=90, ny=90, crpix1=45.0, crpix2=45.0, ra_deg=10.0, dec_deg=20.0, cdelt1_deg=-4.35 / 3600, cdelt2_deg=4.35 / 3600
)
KING = (4.035, 1.4286)
PN, MOS = 6.85, 1.95


def _map(counts, camera="pn", observation="one", sensitivity=PN, seconds=1e4):
    exposure = np.full(GRID.shape, seconds)
    fixed = EPIC_KING["pn"], 1000.0, (10.0, 20.0)
    return SearchMap(counts, exposure, None, None, GRID, *fixed, camera, observation, sensitivity)


def _spread():
    y, x = np.indices(GRID.shape)
    return point_spread(x - 45.0, y - 45.0, GRID, KING)


def _drawn(seed, counts, level=0.05):
    light = counts * _spread()
    return np.random.default_rng(seed).poisson(level + light).astype(float)


def _found(maps, level=0.05, at=(45.0, 45.0)):
    """What a fit says of a source beside known backgrounds."""
    from xphotfn.science.detection.fit import fit_sources
    from xphotfn.science.detection.judging import LAST_U

    sky = Sky(maps, slow_arcmin=None)
    sky.fit_backgrounds([np.ones(GRID.shape, dtype=bool) for _ in maps])
    sky.take_backgrounds([np.full(GRID.shape, level) for _ in maps])
    source = FittedSource(*at, 0.0, np.full(len(maps), 1e-3), False, shape_at(maps, *at, 0.0))
    window = sky.window_of([source])
    fitted, _ = fit_sources(window, (source,), last_u=LAST_U)
    return judged(sky, window, fitted, 0, 0.0)


def test_maps_are_tied_by_observation_where_they_are_sensitive_in_a_known_ratio():
    blank = np.zeros(GRID.shape)
    pn, mos = _map(blank), _map(blank, "mos1", sensitivity=MOS)
    unknown, other = _map(blank, "mos2", sensitivity=None), _map(blank, observation="two")
    assert tied_shares_of([pn, mos, other]) == (0, 0, 1)
    assert tied_shares_of([pn, unknown, mos, other]) == (0, 1, 0, 2)
    assert tied_shares_of([pn]) == tied_shares_of([pn, other]) == tied_shares_of([pn, unknown]) == ()
    assert tied_shares_of([pn, pn._replace(sensitivity=1.0)]) == ()  # exposures of one camera share their rate anyway


@pytest.mark.parametrize("maps", [1, 2])
def test_without_cameras_to_tie_both_likelihoods_are_one(maps):
    items = [_map(_drawn(3, 25)), _map(_drawn(4, 25), "mos1", sensitivity=None)][:maps]
    found = _found(items)
    assert found.tied_ml == found.det_ml > 5


def test_two_tied_maps_of_one_sky_are_one_map_of_twice_the_exposure():
    """The likelihood ratio of the sum, with the three parameters of one map."""
    one, two = _drawn(5, 14), _drawn(6, 14)
    pair = _found([_map(one), _map(two, "mos1")])
    whole = _found([_map(one + two, seconds=2e4)], level=0.1)
    assert pair.tied_ml == pytest.approx(whole.det_ml, abs=0.01)
    assert pair.det_ml < pair.tied_ml


def test_an_observation_that_does_not_see_a_source_takes_nothing_from_it():
    """Sources vary: each observation has its own amplitude, and one that is 0 is no parameter."""
    seen = [_map(_drawn(7, 12)), _map(_drawn(8, 4), "mos1", sensitivity=MOS)]
    dark = [_map(np.full(GRID.shape, 0.04), camera, "two", part) for camera, part in (("pn", PN), ("mos1", MOS))]
    alone, both = _found(seen), _found([*seen, *dark])
    assert both.tied_ml == pytest.approx(alone.tied_ml, abs=0.01)
    assert alone.tied_ml > 5


def test_the_ratio_of_amplitudes_is_that_of_sensitivities():
    """Noiseless: the tied fit loses nothing against free rates but the parameters. With another ratio it does."""
    light = 40 * _spread()
    pn, mos = _map(0.05 + light), _map(0.05 + light * MOS / PN, "mos1", sensitivity=MOS)

    def change(amplitude):
        model = [0.05 + amplitude * light * part for part in (1.0, MOS / PN)]
        pairs = zip((pn.counts, mos.counts), model, strict=True)
        return sum(2 * np.sum(m - 0.05 - n * np.log(m / 0.05)) for n, m in pairs)

    best = -optimize.minimize_scalar(change, bounds=(0.5, 2), method="bounded").fun
    found = _found([pn, mos])
    assert found.tied_ml == pytest.approx(-stats.chi2.logsf(best, 3), rel=0.01)
    assert found.det_ml == pytest.approx(-stats.chi2.logsf(best, 4), rel=0.01)
    wrong = _found([pn, mos._replace(sensitivity=3 * MOS)])
    assert wrong.det_ml == pytest.approx(found.det_ml, abs=0.01)
    assert wrong.tied_ml < found.tied_ml - 0.5


def test_a_source_of_two_counts_in_each_mos_is_kept():
    """Nine counts in pn and two in each MOS: with free rates the source stays below the threshold."""
    names = (("pn", PN), ("mos1", MOS), ("mos2", MOS))
    counts = [_drawn(seed, 0, level=0.04) + _few(number) for seed, number in ((4, 9), (5, 2), (6, 2))]
    maps = [_map(image, camera, "one", part) for image, (camera, part) in zip(counts, names, strict=True)]
    (found,) = (f for f in search(maps, threshold=10).sources if np.hypot(f.source.x - 45, f.source.y - 45) < 2)
    assert found.det_ml < 10 <= found.tied_ml
    alone = search([m._replace(sensitivity=None) for m in maps], threshold=10).sources
    assert not [f for f in alone if np.hypot(f.source.x - 45, f.source.y - 45) < 2]


def test_light_in_one_camera_is_a_candidate_at_each_threshold():
    """Twelve counts in pn, none in MOS, beside equal backgrounds: the sum of the maps loses them."""
    names = (("pn", PN, 12), ("mos1", MOS, 0), ("mos2", MOS, 0))
    maps = [
        _map(_drawn(seed, 0, level=0.1) + _few(number), camera, "one", part)
        for seed, (camera, part, number) in zip((4, 5, 6), names, strict=True)
    ]
    (found,) = (f for f in search(maps, threshold=10).sources if np.hypot(f.source.x - 45, f.source.y - 45) < 2)
    assert found.tied_ml > 10


def test_what_one_camera_or_observation_sees_has_a_map_of_its_own():
    seen, dark = _map(_drawn(7, 20)), _map(_drawn(8, 0))
    maps = [seen, dark._replace(camera="mos1", sensitivity=MOS), dark._replace(observation="two")]

    def maxima(items):
        sky = Sky(items, slow_arcmin=None)
        sky.fit_backgrounds([np.ones(GRID.shape, dtype=bool) for _ in items])
        (joint,), single = sky.joint_and_single((0.0,))
        return [float(plane[45, 45]) for plane in (joint, *single)]

    joint, *alone = maxima(maps)
    assert len(alone) == 4  # three cameras, and two observations of which the second has one
    assert alone[0] == pytest.approx(maxima([seen])[0], rel=0.01)
    assert alone[0] > joint > alone[1]
    assert alone[0] > alone[3] > alone[1]  # both cameras of the first
    assert len(maxima([seen])) == 1


def _few(number):
    """Counts of a source, at the places where its light is expected."""
    image, spread = np.zeros(GRID.shape), _spread().ravel()
    order = np.argsort(-spread)
    places = np.searchsorted(np.cumsum(spread[order]), (np.arange(number) + 0.5) / number * 0.85)
    np.add.at(image.ravel(), order[places], 1)
    return image
