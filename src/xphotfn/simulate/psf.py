"""How the telescope blurs what is simulated: the King profile of each camera, for points and for clusters.

The profiles are those of :mod:`xphotfn.science.encircled_energy`, so that an aperture correction recovers the light
that a simulated source has outside its aperture. They are circular at all angles, unlike the real telescope's.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xphotfn.records.grid import PixelGrid
from xphotfn.science.king import OUTER_ARCSEC, king_parameters, king_radius
from xphotfn.science.pixel_masks import read_only

__all__ = ("King", "beta_model", "blurred_beta_model", "king_of", "point_spread", "radius_holding")

Floats = NDArray[np.float64]
King = tuple[float, float]
"""Core radius in arcsec and slope of a King profile."""

_FINE_ARCSEC = 60.0  # within it the profile bends within a pixel


def king_of(instrument: str, energy_ev: float, off_axis_arcmin: float) -> King:
    """Return the King profile of a camera at an energy and an angle from the axis."""
    core, slope, _ = king_parameters(instrument, energy_ev=energy_ev, off_axis_arcmin=off_axis_arcmin)
    return float(core), float(slope)


def radius_holding(fraction: float, king: King) -> float:
    """Return the radius in arcsec that holds a part of the light."""
    return float(king_radius(fraction, *king))


def point_spread(dx: Floats, dy: Floats, grid: PixelGrid, king: King) -> Floats:
    """Return the part of a point source that falls in pixels at an offset from it.

    Parameters
    ----------
    dx, dy
        Offsets of the pixel centres in pixels; broadcast against each other.
    grid
        Gives the pixel size.
    king
        As :func:`king_of`.

    Notes
    -----
    ``p(r) = (a - 1) / (pi c**2 k) [1 + (r/c)**2]**-a`` with ``k = 1 - [1 + (R/c)**2]**(1 - a)``, 0 from R = 300 arcsec
    on: all the light lies within. Within 60 arcsec each pixel is integrated with 3 x 3 Gauss-Legendre points.

    Examples
    --------
    >>> grid = PixelGrid.from_sky_range(10.0, 20.0)
    >>> offsets = np.arange(-80.0, 81.0)
    >>> round(float(point_spread(offsets, offsets[:, None], grid, (5.0, 1.45)).sum()), 2)
    1.0
    """
    core_arcsec, slope = king
    pixel = grid.pixel_deg * 3600
    core = core_arcsec / pixel
    whole = 1 - (1 + (OUTER_ARCSEC / core_arcsec) ** 2) ** (1 - slope)
    dx, dy = np.broadcast_arrays(np.asarray(dx, dtype=np.float64), np.asarray(dy, dtype=np.float64))
    squared = dx**2 + dy**2
    light = (1 + squared / core**2) ** -slope
    near = squared < (_FINE_ARCSEC / pixel) ** 2
    places, weights = np.polynomial.legendre.leggauss(3)
    steps = [(place / 2, weight / 2) for place, weight in zip(places, weights, strict=True)]
    light[near] = sum(
        in_x * in_y * (1 + ((dx[near] + x) ** 2 + (dy[near] + y) ** 2) / core**2) ** -slope
        for x, in_x in steps
        for y, in_y in steps
    )
    light[squared > (OUTER_ARCSEC / pixel) ** 2] = 0.0
    return np.asarray((slope - 1) / (np.pi * core**2 * whole) * light)


def beta_model(
    grid: PixelGrid, pixel: tuple[float, float], core_arcsec: float, beta: float, *, margin: int = 0
) -> Floats:
    """Return the part of a beta model's flux that falls in each pixel, from the surface brightness at its centre.

    ``S(r) = S0 [1 + (r/core)**2]**(0.5 - 3 beta)``, whose integral to infinity is 1; ``pixel`` is the column and row of
    the centre, and ``margin`` pixels around the grid are returned too.
    """
    core = core_arcsec / 3600 / grid.pixel_deg
    x, y = pixel
    columns, rows = np.arange(-margin, grid.nx + margin) - x, np.arange(-margin, grid.ny + margin)[:, None] - y
    central = (3 * beta - 1.5) / (np.pi * core**2)
    return np.asarray(central * (1 + (columns**2 + rows**2) / core**2) ** (0.5 - 3 * beta))


@lru_cache(maxsize=16)
def blurred_beta_model(
    grid: PixelGrid, pixel: tuple[float, float], core_arcsec: float, beta: float, king: King
) -> Floats:
    """Return :func:`beta_model` convolved with :func:`point_spread`, also of what lies 300 arcsec around the grid.

    ``king`` is as of :func:`king_of`, of the centre.
    """
    from scipy.signal import fftconvolve

    reach = int(np.ceil(OUTER_ARCSEC / 3600 / grid.pixel_deg))
    offsets = np.arange(-reach, reach + 1.0)
    kernel = point_spread(offsets, offsets[:, None], grid, king)
    model = beta_model(grid, pixel, core_arcsec, beta, margin=reach)
    blurred = fftconvolve(model, kernel / kernel.sum(), mode="valid")
    return np.asarray(read_only(np.maximum(blurred, 0.0)), dtype=np.float64)
