"""Small plans on simulated files."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp
from xphotfn.io.write import write_image

OBS_IDS = ("0000000101", "0000000202")
CAMERAS = (("pn", "EPN", "S003"), ("mos1", "EMOS1", "S001"), ("mos2", "EMOS2", "S002"))


def write_product(path, grid, *, obs_id, instrume, exposure_id, exposure_map, seed):
    rng = np.random.default_rng(seed)
    data = np.full(grid.shape, 500.0, dtype=np.float32) if exposure_map else rng.poisson(1.0, grid.shape).astype("i4")
    cards = [
        ("TELESCOP", "XMM", ""),
        ("INSTRUME", instrume, ""),
        ("OBS_ID", obs_id, ""),
        ("EXPIDSTR", exposure_id, ""),
        ("FILTER", "Thin1", ""),
        ("DATAMODE", "IMAGING", ""),
        ("RA_PNT", grid.ra_deg, ""),
        ("DEC_PNT", grid.dec_deg, ""),
        ("PA_PNT", 0.0, ""),
        ("DATE-OBS", "2004-05-09T16:07:05", ""),
        ("SLCTEXPR", "(PI in [500:2000])", ""),
        ("EXPOSURE", 500.0, ""),
        ("HDUCLAS1", "IMAGE", ""),
    ]
    if exposure_map:
        cards += [("CREATOR", "eexpmap (test)", ""), ("CONTENT", "EPIC EXPOSURE MAP", "")]
    write_image(path, data, grid, cards)


@pytest.fixture
def tree(tmp_path):
    """Two observations of three cameras, 64 x 64 pixels, with images and exposure maps."""
    root = tmp_path / "data"
    root.mkdir()
    for n, obs_id in enumerate(OBS_IDS):
        grid = xp.PixelGrid.from_sky_range(10.0 + 0.01 * n, 20.0, low=22000, high=22000 + 64 * 80 - 1, bin_size=80)
        for name, instrume, exposure_id in CAMERAS:
            for kind in ("img", "expmap"):
                write_product(
                    root / f"{obs_id}_{name}_{kind}.fits",
                    grid,
                    obs_id=obs_id,
                    instrume=instrume,
                    exposure_id=exposure_id,
                    exposure_map=kind == "expmap",
                    seed=n,
                )
    return root


@pytest.fixture
def field(tree):
    target = xp.galaxy_cluster("toy", 10.0, 20.0, redshift=0.1, r500=200 * u.kpc)
    return xp.match_observations(target, xp.find_observations(tree))


@pytest.fixture
def band():
    return xp.energy_band(0.5 * u.keV, 2 * u.keV)


@pytest.fixture
def plan(field, band):
    return xp.plan_photometry(field, band)


def sum_of(path):
    return float(fits.getdata(path).sum())
