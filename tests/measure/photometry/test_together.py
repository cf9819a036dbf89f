"""Positions solved together by photometry: rates of simulated neighbours, flags of those who measure them alone."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.errors import InvalidRecord
from xphotfn.io.write import grid_cards
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import pix_to_deg

STEP, SIZE = 2.0, 160
GRID = PixelGrid(nx=SIZE, ny=SIZE, crpix1=80.5, crpix2=80.5, ra_deg=10.0, dec_deg=20.0, cdelt1_deg=-STEP / 3600,
                 cdelt2_deg=STEP / 3600)  # fmt: skip
RADII = np.concatenate([np.arange(0.5, 60, 0.5), np.arange(60, 301, 5.0)])
LIGHT = 1 - (1 + (RADII / 5) ** 2) ** -0.5
PSF = xp.EncircledEnergyTable(radii_arcsec=RADII, fractions=LIGHT / LIGHT[-1])
SOURCES = np.array([(80, 80, 8000.0), (92, 80, 800.0), (80, 98, 300.0), (104, 60, 1500.0), (30, 30, 500.0)])
RING = (60 * u.arcsec, 100 * u.arcsec)


def simulated(folder, seed):
    """Return a map of 1000 s with the sources, whose light is drawn photon by photon."""
    rng = np.random.default_rng(seed)
    image = rng.poisson(0.05, GRID.shape).astype(np.int32)
    for x, y, mean in SOURCES:
        number = rng.poisson(mean)
        away = np.interp(rng.uniform(size=number), np.append(0, PSF.fractions), np.append(0, RADII)) / STEP
        angle = rng.uniform(0, 2 * np.pi, number)
        at = np.rint([y + away * np.sin(angle), x + away * np.cos(angle)]).astype(int)
        np.add.at(image, tuple(at[:, ((at >= 0) & (at < SIZE)).all(axis=0)]), 1)
    header = fits.Header([*grid_cards(GRID), ("TELESCOP", "CHANDRA"), ("INSTRUME", "ACIS"), ("OBS_ID", "1")])
    paths = [folder / f"{kind}{seed}.fits" for kind in ("image", "expmap")]
    for path, array in zip(paths, (image, np.full(GRID.shape, 1000.0)), strict=True):
        fits.writeto(path, array, header)
    return xp.rate_map(*paths, band=xp.energy_band("0.5 keV", "2 keV"))


def places():
    return np.stack(pix_to_deg(GRID, SOURCES[:, 0], SOURCES[:, 1]), axis=1) * u.deg


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowded")
    return [simulated(folder, seed) for seed in range(6)]


@pytest.mark.parametrize("radius", [8.0, 16.3])
def test_rates_of_neighbours_are_right_and_their_intervals_hold(maps, radius):
    how = {"psf": PSF, "background": RING}
    tables = [xp.photometry(m, places(), radius * u.arcsec, neighbours="together", **how) for m in maps]
    rate, low, high = (np.array([t[n].value for t in tables]) for n in ("rate", "rate_low", "rate_high"))
    pulls = (rate - SOURCES[:, 2] / 1000) / ((high - low) / 2)
    assert np.abs(pulls.mean(axis=0)).max() < 3 / np.sqrt(len(maps))
    assert 0.75 < pulls.std() < 1.25
    alone = xp.photometry(maps[0], places(), radius * u.arcsec, **how)
    assert alone["rate"][1].value > 1.1 * 0.8  # what it costs not to
    one = tables[0]
    net = one["counts"] - one["alpha"] * one["background_counts"]
    np.testing.assert_allclose(one["rate"].value, (net / one["effective_exposure"]).value, rtol=1e-9)
    assert one["neighbour_counts"][1].value > 30
    joint = xp.joint_photometry(one)
    np.testing.assert_allclose(joint["rate"].value, one["rate"].value, rtol=1e-6)
    np.testing.assert_allclose(joint["rate_low"].value, one["rate_low"].value, rtol=1e-3)


def test_a_share_of_a_neighbours_light_is_a_flag(maps):
    table = xp.photometry(maps[0], places(), 12.3 * u.arcsec, psf=PSF, background=RING)
    flagged = (table["flags"] & xp.ApertureFlag.SHARED) > 0
    assert flagged.tolist() == [False, True, True, False, False]


def test_two_positions_on_one_source_are_refused(maps):
    twice = np.concatenate([places()[:1], places()[:1]])
    with pytest.raises(InvalidRecord, match="at one place"):
        xp.photometry(maps[0], twice, 10 * u.arcsec, psf=PSF, background=RING, neighbours="together")


@pytest.mark.parametrize("how", [{"psf": None}, {"overlap": "exact"}])
def test_what_it_needs_is_said(maps, how):
    with pytest.raises(InvalidRecord, match="needs psf="):
        xp.photometry(
            maps[0], places(), 10 * u.arcsec, **{"psf": PSF, "neighbours": "together", "background": RING, **how}
        )
