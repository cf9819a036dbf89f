"""Pixel, sky and XMM (X, Y) coordinates of a grid: conversions in both directions, each the inverse of another.

All arrays are float64 of one shape, x (or RA) and y (or Dec) apart; pixels are 0-based with centres at integers.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import ShapeMismatch
from xphotfn.records.grid import PixelGrid

__all__ = (
    "deg_to_pix",
    "inside",
    "pix_to_deg",
    "pix_to_sky",
    "separation_deg",
    "sky_to_pix",
    "unit_vectors",
)

Floats = NDArray[np.float64]


def pix_to_deg(grid: PixelGrid, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return RA and Dec in degrees of pixel positions; the inverse of :func:`deg_to_pix`.

    Positions off the sphere, which a SIN image may have in its corners, are NaN.

    Notes
    -----
    With the standard coordinates xi, eta in radians, the reference point (a0, d0) and the depth w (1 in TAN,
    ``sqrt(1 - xi^2 - eta^2)`` in SIN): ``a = a0 + atan2(xi, w cos d0 - eta sin d0)`` and
    ``d = atan2(w sin d0 + eta cos d0, hypot(xi, w cos d0 - eta sin d0))``.

    References
    ----------
    Calabretta & Greisen (2002), A&A 395, 1077, sections 5.1.3 (TAN) and 5.1.5 (SIN).

    Examples
    --------
    >>> ra, dec = pix_to_deg(PixelGrid.from_sky_range(149.591375, -11.0887222222222), 100, 100)
    >>> round(float(ra), 6), round(float(dec), 8)
    (149.782975, -11.27656289)
    """
    xi = np.deg2rad((np.asarray(x, dtype=np.float64) + 1 - grid.crpix1) * grid.cdelt1_deg)
    eta = np.deg2rad((np.asarray(y, dtype=np.float64) + 1 - grid.crpix2) * grid.cdelt2_deg)
    dec0 = math.radians(grid.dec_deg)
    depth = 1.0 if grid.projection == "TAN" else _depth_of_sphere(xi, eta)
    radial = depth * math.cos(dec0) - eta * math.sin(dec0)
    ra = np.asarray(np.rad2deg(np.arctan2(xi, radial)) + grid.ra_deg)
    dec = np.rad2deg(np.arctan2(depth * math.sin(dec0) + eta * math.cos(dec0), np.sqrt(xi * xi + radial * radial)))
    beyond = (ra < 0) | (ra >= 360)
    if beyond.any():
        wrapped = np.mod(ra[beyond], 360.0)
        ra[beyond] = np.where(wrapped == 360.0, 0.0, wrapped)  # mod of a hair below 0 is 360
    return ra[()], dec


def _depth_of_sphere(xi: Floats, eta: Floats) -> Floats:
    """Return how far in front of the sphere's centre the points lie that are seen at xi, eta; NaN beside it."""
    squared = 1 - xi * xi - eta * eta
    return np.sqrt(np.where(squared >= 0, squared, np.nan))


def deg_to_pix(grid: PixelGrid, ra: ArrayLike, dec: ArrayLike) -> tuple[Floats, Floats]:
    """Return unrounded pixel positions of RA and Dec in degrees; the inverse of :func:`pix_to_deg`.

    Positions 90 degrees or more from the reference point have no projection and become NaN.

    Notes
    -----
    With ``t = tan((a - a0)/2)`` and ``u = tan((d - d0)/2)`` sines and cosines are quotients, of which the common
    denominator ``(1 + t^2)(1 + u^2)`` cancels in TAN: two tangents stand for four functions, and the small angles of
    an image keep all their digits.

    Examples
    --------
    >>> x, y = deg_to_pix(PixelGrid.from_sky_range(149.591375, -11.0887222222222), 149.59209, -11.05972)
    >>> round(float(x), 3), round(float(y), 3)
    (254.925, 279.508)
    """
    east = np.tan(_HALF * (np.asarray(ra, dtype=np.float64) - grid.ra_deg))
    north = np.tan(_HALF * (np.asarray(dec, dtype=np.float64) - grid.dec_deg))
    sin0, cos0 = math.sin(math.radians(grid.dec_deg)), math.cos(math.radians(grid.dec_deg))
    t2, u2 = east * east, north * north
    cos_dec = cos0 * (1 - u2) - 2 * sin0 * north
    drop = 2 * t2 * cos_dec
    depth = (1 - u2) * (1 + t2) - cos0 * drop
    common = depth if grid.projection == "TAN" else (1 + u2) * (1 + t2)
    hidden = ~(depth > 0)
    if hidden.any():
        common = np.where(hidden, np.nan, common)
    scale = math.degrees(1.0) / common
    x = 2 * east * cos_dec * scale / grid.cdelt1_deg + (grid.crpix1 - 1)
    y = (2 * north * (1 + t2) + sin0 * drop) * scale / grid.cdelt2_deg + (grid.crpix2 - 1)
    return x, y


_HALF = math.radians(0.5)  # of a degree


def pix_to_sky(grid: PixelGrid, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return XMM sky coordinates (X, Y) of pixel positions; the inverse of :func:`sky_to_pix`.

    Raises
    ------
    ShapeMismatch
        If the grid has none, as a mosaic.

    Examples
    --------
    >>> [float(v) for v in pix_to_sky(PixelGrid.from_sky_range(149.6, -11.1), 100, 100)]
    [12392.0, 12392.0]
    """
    x0, y0 = _sky_origin(grid)
    return (
        x0 + grid.dx_sky * np.asarray(x, dtype=np.float64),
        y0 + grid.dy_sky * np.asarray(y, dtype=np.float64),
    )


def sky_to_pix(grid: PixelGrid, sky_x: ArrayLike, sky_y: ArrayLike) -> tuple[Floats, Floats]:
    """Return unrounded pixel positions of XMM sky coordinates; the inverse of :func:`pix_to_sky`.

    Raises
    ------
    ShapeMismatch
        If the grid has none, as a mosaic.
    """
    x0, y0 = _sky_origin(grid)
    return (
        (np.asarray(sky_x, dtype=np.float64) - x0) / grid.dx_sky,
        (np.asarray(sky_y, dtype=np.float64) - y0) / grid.dy_sky,
    )


def _sky_origin(grid: PixelGrid) -> tuple[float, float]:
    if grid.x0_sky is None or grid.y0_sky is None:
        raise ShapeMismatch(
            "this image has no XMM sky coordinates (X, Y): a mosaic of several pointings has none; convert through deg"
        )
    return grid.x0_sky, grid.y0_sky


def inside(grid: PixelGrid, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
    """Return whether whole pixels lie on the image; round fractional positions first. NaN does not."""
    x_pix, y_pix = np.asarray(x), np.asarray(y)
    return (x_pix >= 0) & (x_pix < grid.nx) & (y_pix >= 0) & (y_pix < grid.ny)


def separation_deg(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> Floats:
    """Return the great-circle distance of positions in degrees (Vincenty's formula, right at all distances)."""
    a1, d1, a2, d2 = (np.deg2rad(np.asarray(v, dtype=np.float64)) for v in (ra1, dec1, ra2, dec2))
    delta = a2 - a1
    first = np.cos(d2) * np.sin(delta)
    second = np.cos(d1) * np.sin(d2) - np.sin(d1) * np.cos(d2) * np.cos(delta)
    depth = np.sin(d1) * np.sin(d2) + np.cos(d1) * np.cos(d2) * np.cos(delta)
    return np.asarray(np.rad2deg(np.arctan2(np.hypot(first, second), depth)))


def unit_vectors(ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return positions as unit vectors, shape (n, 3)."""
    ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
