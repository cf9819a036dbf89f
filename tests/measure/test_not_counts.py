"""Every verb refuses an image whose pixels are no whole counts, by one guard of the rate map."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve

import xphotfn as xp
from xphotfn.testing.examples import example_field, example_rate_map

RADIUS, RING = 60 * u.arcsec, (90 * u.arcsec, 150 * u.arcsec)
VERBS = {
    "photometry": lambda m, f: xp.photometry(m, f.centre, RADIUS, background=RING),
    "joint_photometry": lambda m, f: xp.joint_photometry(xp.photometry([m], f.centre, RADIUS, background=RING)),
    "snr": lambda m, f: xp.snr(m, f, RADIUS),
    "snr by xga": lambda m, f: xp.snr(m, f, RADIUS, method="xga"),
    "snr_ranking": lambda m, f: xp.snr_ranking([m], f, RADIUS),
    "surface_brightness_profile": lambda m, f: xp.surface_brightness_profile(m, f, [0, 60, 120] * u.arcsec),
    "curve_of_growth": lambda m, f: xp.curve_of_growth(m, f, [60, 120] * u.arcsec, background=RING),
    "upper_limit_map": lambda m, f: xp.upper_limit_map(m, f, radius=15 * u.arcsec),
    "sensitivity_map": lambda m, f: xp.sensitivity_map(m, f, radius=15 * u.arcsec),
    "find_peak": lambda m, f: xp.find_peak(m, f),
    "counts_at": lambda m, f: xp.counts_at(m, f.centre),
    "rate_at": lambda m, f: xp.rate_at(m, f.centre),
    "smoothed": lambda m, _: xp.smoothed(m, sigma=10 * u.arcsec),
}
CHANGES = {
    "a model": lambda counts: np.where(counts > 0, counts * 0.37, 0.01),
    "an image with a background taken away": lambda counts: counts - 1.0,
    "a single pixel that is no count": lambda counts: counts + 0.5 * (np.indices(counts.shape).sum(axis=0) == 512),
}


@pytest.fixture(scope="module", params=CHANGES)
def not_counts(request, tmp_path_factory):
    """The example's rate map with an image of no counts."""
    original = example_rate_map()
    with fits.open(original.path) as hdus:
        data, header = hdus[0].data.astype(float), hdus[0].header
    path = tmp_path_factory.mktemp("not_counts") / "image.fits"
    fits.PrimaryHDU(CHANGES[request.param](data).astype(np.float32), header).writeto(path)
    return evolve(original, image=evolve(original.image, path=str(path)))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_what_is_no_count(not_counts, verb):
    with pytest.raises(xp.InvalidRecord, match="whole counts"):
        VERBS[verb](not_counts, example_field())


@pytest.mark.parametrize("verb", VERBS)
def test_the_same_counts_as_real_numbers_are_counts(tmp_path, verb):
    original = example_rate_map()
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(original.image.data.astype(np.float32), original.header).writeto(path)
    VERBS[verb](evolve(original, image=evolve(original.image, path=str(path))), example_field())


def test_what_lies_off_the_detector_is_not_looked_at(tmp_path):
    original = example_rate_map()
    path = tmp_path / "image.fits"
    data = np.where(original.exposure.data > 0, original.image.data, -0.5)
    data[np.argwhere(original.exposure.data > 0)[0][0], np.argwhere(original.exposure.data > 0)[0][1]] = np.nan
    fits.PrimaryHDU(data.astype(np.float32), original.header).writeto(path)
    assert np.isnan(evolve(original, image=evolve(original.image, path=str(path))).counts).sum() == 1
