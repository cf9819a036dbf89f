"""What a list says of a source that some maps hardly see, or not at all."""

import numpy as np
import pytest

from xphotfn.records.grid import PixelGrid
from xphotfn.records.source import SourceFlag
from xphotfn.science.detection.flags import well_seen
from xphotfn.science.detection.listing import listed
from xphotfn.science.detection.search import search
from xphotfn.science.detection.search_map import SearchMap
from xphotfn.science.king import EPIC_KING
from xphotfn.simulate.psf import point_spread

GRID = PixelGrid(
    nx=70, ny=70, crpix1=35.0, crpix2=35.0, ra_deg=10.0, dec_deg=20.0, cdelt1_deg=-4.35 / 3600, cdelt2_deg=4.35 / 3600
)
LIGHT = point_spread(*np.meshgrid(np.arange(70) - 35.0, np.arange(70) - 35.0), GRID, (4.035, 1.4286))


def _map(seed, counts, camera, observation="one", columns=70):
    """A source in the middle, and no exposure right of some columns."""
    exposure = np.where(np.arange(70) < columns, 1e4, 0.0) * np.ones(GRID.shape)
    drawn = np.random.default_rng(seed).poisson(0.05 + counts * LIGHT) * (exposure > 0)
    fixed = EPIC_KING["pn"], 1000.0, (10.0, 20.0)
    return SearchMap(drawn.astype(float), exposure, None, None, GRID, *fixed, camera, observation)


def _listed(*maps):
    found = search(maps, threshold=10, extent=False)
    (source,) = (s for s in listed(found.sky, found.sources).sources if np.hypot(s.x - 35, s.y - 35) < 2)
    return source


def _says(said):
    return pytest.approx((said.rate, said.rate_error, said.counts, said.counts_error))


def test_a_camera_that_sees_a_few_per_cent_of_a_source_is_not_in_its_rate_and_is_told():
    source = _listed(_map(1, 200, "pn"), _map(2, 60, "mos1", columns=30))
    whole, part = source.rates
    assert 0 < part.mask_fraction < 0.15
    assert (source.rate, source.rate_error, source.counts, source.counts_error) == _says(whole)
    assert source.rate_error < 1.2 * 200**0.5 / 1e4
    assert source.flags == SourceFlag.CAMERA_MISSING


def test_an_observation_that_sees_a_few_per_cent_of_a_source_changes_nothing():
    source = _listed(_map(1, 200, "pn"), _map(2, 200, "pn", "two", columns=30))
    assert (source.rate, source.rate_error, source.counts, source.counts_error) == _says(source.rates[0])
    assert source.flags == 0


def test_of_two_observations_the_one_that_sees_half_of_a_source_counts_half():
    """The error is then nearly the least that any mean has, that of weights by variance."""
    source = _listed(_map(1, 200, "pn"), _map(2, 200, "pn", "two", columns=36))
    first, second = source.rates
    part = second.mask_fraction
    assert 0.4 < part < 0.7
    assert source.rate == pytest.approx((first.rate + part * second.rate) / (1 + part))
    least = (first.rate_error**-2 + second.rate_error**-2) ** -0.5
    assert least <= source.rate_error < 1.03 * least


def test_where_no_map_sees_much_the_one_that_sees_most_counts():
    assert well_seen([0.1, 0.05, 0.0]).tolist() == [True, False, False]
    assert well_seen([0.15, 1.0, 0.149]).tolist() == [True, True, False]
    assert well_seen([0.0, 0.0]).tolist() == [False, False]


def test_a_map_that_does_not_see_a_source_says_nothing_of_it():
    """A rate of 0 +- 0 would be a perfect measurement."""
    source = _listed(_map(1, 200, "pn"), _map(2, 200, "mos1", columns=15))
    unseen = source.rates[1]
    assert (unseen.exposure_s, unseen.mask_fraction, unseen.background) == (0, 0, 0)
    assert unseen.counts is unseen.counts_error is unseen.rate is unseen.rate_error is unseen.det_ml is None
    assert source.rate_error == source.rates[0].rate_error > 0
    assert source.flags == SourceFlag.CAMERA_MISSING


def test_cameras_that_measure_one_flux_of_photons_have_a_mean():
    """Exposures in cm2 s: of both the same flux, not twice."""
    pn, mos = (_map(seed, 200, camera)._replace(in_area=True) for seed, camera in ((1, "pn"), (2, "mos1")))
    source = _listed(pn, mos)
    first, second = source.rates
    assert source.rate == pytest.approx((first.rate + second.rate) / 2)
    assert source.rate_error == pytest.approx(np.hypot(first.rate_error, second.rate_error) / 2)
