"""Where the background ring of a source lies unless the user says so: beyond the wings of a point source."""

import numpy as np
from numpy.typing import ArrayLike

from xphotfn.science._numeric import Floats, require_above_zero, require_not_negative
from xphotfn.science.encircled_energy import EncircledEnergyTable, PointSpread, radius_of_fraction

__all__ = ("RING_FACTORS", "WINGS_ARCSEC", "WINGS_FRACTION", "background_ring", "wings_radius")

RING_FACTORS = (1.05, 1.5)
"""Edges of the ring around an extended source, in units of its radius."""
WINGS_FRACTION = 0.92
"""Part of a point source's light that lies within the ring's inner edge."""
WINGS_ARCSEC = 60.0
"""Radius of that part on the EPIC cameras: 57 arcsec on pn, 58 to 70 on the MOS, on axis and off."""


def background_ring(radius_arcsec: ArrayLike, *, wings_arcsec: ArrayLike = WINGS_ARCSEC) -> tuple[Floats, Floats]:
    """Return the edges of the background ring around point sources.

    Parameters
    ----------
    radius_arcsec
        Radius of the aperture, one or several, above 0.
    wings_arcsec
        Radius within which a source's wings matter: 60 for EPIC, see :func:`wings_radius` for others.

    Returns
    -------
    inner, outer : ndarray of float64
        ``max(1.05 r, w)`` and ``max(1.5 r, 1.5 w)`` in arcsec.

    Raises
    ------
    InvalidRecord
        If a radius is not above 0, or wings are negative.

    Notes
    -----
    The ring takes ``alpha g`` of a source's light, of which the aperture holds f. For a circle of 20 arcsec
    ``alpha g / f`` is 7 % (pn) to 9 % (MOS2) of the rate with a ring of 1.05 to 1.5 radii, 0.4 % with one of 60 to 90
    arcsec; with this ring it is below 3.5 % for any radius, and largest at 60 arcsec. A ring farther out takes less of
    the source and more of what lies around it, such as a cluster.

    Examples
    --------
    >>> inner, outer = background_ring([20, 300])
    >>> inner.tolist(), outer.tolist()
    ([60.0, 315.0], [90.0, 450.0])
    """
    radius = require_above_zero(radius_arcsec, "radius_arcsec")
    wings = require_not_negative(wings_arcsec, "wings_arcsec")
    low, high = RING_FACTORS
    return np.maximum(low * radius, wings), high * np.maximum(radius, wings)


def wings_radius(psf: PointSpread, *, energy_ev: ArrayLike = 1000.0, off_axis_arcmin: ArrayLike = 0.0) -> Floats:
    """Return the radius that holds 92 % of the light of a profile, or all that a table has.

    Parameters
    ----------
    psf
        A King profile or a table.
    energy_ev, off_axis_arcmin
        Energy, and angles of the sources; a table needs none.

    Returns
    -------
    ndarray of float64
        Radius in arcsec.

    Examples
    --------
    >>> from xphotfn.science.king import EPIC_KING
    >>> float(wings_radius(EPIC_KING["pn"]).round(1))
    57.1
    """
    angle = np.asarray(off_axis_arcmin, dtype=np.float64)
    if isinstance(psf, EncircledEnergyTable):
        reach = min(WINGS_FRACTION, float(psf.fractions[-1]))
        return np.broadcast_to(radius_of_fraction(reach, psf=psf), angle.shape)
    return radius_of_fraction(WINGS_FRACTION, energy_ev=energy_ev, off_axis_arcmin=angle, psf=psf)
