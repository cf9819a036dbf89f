"""Coordinates of a product, and its values at positions."""

from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import OffImage, ProductMissing, ShapeMismatch, UnitMismatch
from xphotfn.io.products import ExposureMap, Image, Product, RateMap
from xphotfn.io.write import HasPlanes
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import deg_to_pix, inside, pix_to_deg, pix_to_sky, sky_to_pix
from xphotfn.typing import PositionsLike, UnitLike
from xphotfn.units import is_sky, positions_deg, xmm_sky

__all__ = ("coord_conv", "counts_at", "exposure_at", "pixels_of", "rate_at")

PAIRS = 4096  # of one step, so that what is made on the way stays in the processor's cache
_UNITS = {"deg": u.deg, "pix": u.pix, "xmm_sky": xmm_sky}


def coord_conv(
    product: Product | HasPlanes, coords: PositionsLike, to: UnitLike, *, rounded: bool = True
) -> u.Quantity:
    """Convert positions between degrees, pixels and XMM sky coordinates.

    Parameters
    ----------
    product
        Image, ExposureMap or RateMap.
    coords
        Quantity of shape (2,) or (N, 2), x or RA first, in deg (any angle), pix or xmm_sky. A SkyCoord works too, and
        texts such as ``"09:58:22 -11:03:35"``.
    to
        ``"deg"``, ``"pix"``, ``"xmm_sky"`` or the unit.
    rounded
        Round pixels to the nearest whole one (half to even); else keep fractions.

    Returns
    -------
    Quantity
        Same shape as ``coords``; float64, also for pixels. Pixels are 0-based, centres at integers.

    Raises
    ------
    UnitMismatch
        If a unit is none of the three.
    ShapeMismatch
        If the shape is neither (2,) nor (N, 2), or the product has no XMM sky coordinates (a mosaic).
    OffImage
        If a position lies off the image; the message says which.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> coord_conv(example_rate_map(), u.Quantity([100, 100], "pix"), "xmm_sky")
    <Quantity [12392., 12392.] xmm_sky>
    """
    given, start = _coordinates(coords)
    end = _unit_name(to)
    both, on, grid = np.empty(given.shape), np.empty(given.shape[:-1], dtype=bool), product.grid
    for part in (...,) if given.ndim == 1 else (slice(n, n + PAIRS) for n in range(0, len(given), PAIRS)):
        x, y = _to_pixels(grid, given[part], start)
        whole = np.rint(x), np.rint(y)
        on[part] = inside(grid, *whole)
        if end == "pix":
            result = whole if rounded else (x, y)
        elif end == start:
            result = given[part][..., 0], given[part][..., 1]
        else:
            result = pix_to_deg(grid, x, y) if end == "deg" else pix_to_sky(grid, x, y)
        both[part][..., 0], both[part][..., 1] = result
    if not on.all():
        raise OffImage(_off_image_message(product, given, on))
    return u.Quantity(both, _UNITS[end], copy=False)


def _coordinates(coords: Any) -> tuple[NDArray[np.float64], str]:
    """Return an array of shape (..., 2) and the name of its unit."""
    if not isinstance(coords, u.Quantity) and is_sky(coords):
        coords = u.Quantity(positions_deg(coords, "coordinates"), u.deg)
    if not isinstance(coords, u.Quantity):
        raise UnitMismatch(
            f"coordinates need a unit: write Quantity([x, y], 'pix') or in deg or xmm_sky, got {coords!r}"
        )
    name = _unit_name(coords.unit)
    values = np.asarray(coords.to_value(_UNITS[name]), dtype=np.float64)
    if values.ndim not in (1, 2) or values.shape[-1] != 2:
        raise ShapeMismatch(f"coordinates must have shape (2,) or (N, 2), x or RA first, got {values.shape}")
    return values, name


def _unit_name(unit: Any) -> str:
    if isinstance(unit, str) and unit in _UNITS:
        return unit
    try:
        wanted = u.Unit(unit)
        return next(name for name, known in _UNITS.items() if wanted.is_equivalent(known))
    except (ValueError, TypeError, StopIteration) as error:
        raise UnitMismatch(f"coordinates are in deg, pix or xmm_sky, not in {unit}") from error


def _to_pixels(grid: PixelGrid, values: NDArray[np.float64], unit: str) -> tuple[NDArray[Any], NDArray[Any]]:
    first, second = values[..., 0], values[..., 1]
    if unit == "pix":
        return first, second
    return deg_to_pix(grid, first, second) if unit == "deg" else sky_to_pix(grid, first, second)


def _off_image_message(product: Product | HasPlanes, given: NDArray[np.float64], on: NDArray[np.bool_]) -> str:
    off = np.atleast_2d(given)[~np.atleast_1d(on)]
    shown = ", ".join(f"({x:g}, {y:g})" for x, y in off[:3]) + (", ..." if len(off) > 3 else "")
    if isinstance(product, Product):
        name = " ".join(dict.fromkeys((product.obs_id, product.instrument)))  # once for a mosaic: both are "combined"
    else:
        name = product.title
    return (
        f"{len(off)} of {np.size(on)} positions lie off the image of {name} "
        f"({product.grid.nx} x {product.grid.ny} pixels): {shown}"
    )


def pixels_of(product: Product, positions: Any) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return whole pixels (x, y) of positions, scalars for one pair and arrays of shape (N,) for N."""
    whole = coord_conv(product, positions, "pix").value.astype(np.intp)
    return whole[..., 0], whole[..., 1]


def rate_at(rate_map: RateMap, positions: PositionsLike) -> u.Quantity:
    """Return the count rate of the pixel at each position.

    Parameters
    ----------
    rate_map
        The rate map.
    positions
        Quantity of shape (2,) or (N, 2) in deg, pix or xmm_sky.

    Returns
    -------
    Quantity
        Scalar or shape (N,), in ct/s (per pixel; photon/(cm2 s) of an exposure map in cm2 s); 0 off the detector.

    Raises
    ------
    OffImage, ShapeMismatch, UnitMismatch
        As :func:`coord_conv`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> rate_at(example_rate_map(), [[256, 256], [100, 100]] * u.pix).shape
    (2,)
    """
    x, y = pixels_of(rate_map, positions)
    return u.Quantity(_rate_map(rate_map).data[y, x], rate_map.rate_unit)


def exposure_at(product: RateMap | ExposureMap, positions: PositionsLike) -> u.Quantity:
    """Return the exposure (in the map's unit) of the pixel at each position; parameters and errors as :func:`rate_at`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> exposure_at(example_rate_map(), [256, 256] * u.pix)
    <Quantity 1000. s>
    """
    exposure = product.exposure if isinstance(product, RateMap) else product
    if isinstance(exposure, Image):
        raise ProductMissing("an image has no exposure: give its rate map or exposure map")
    x, y = pixels_of(exposure, positions)
    return u.Quantity(exposure.data[y, x].astype(np.float64), exposure.unit)


def counts_at(product: RateMap | Image, positions: PositionsLike) -> u.Quantity:
    """Return the counts of the pixel at each position; parameters and errors as :func:`rate_at`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> counts_at(example_rate_map(), [256, 256] * u.pix).unit
    Unit("ct")
    """
    image = product.image if isinstance(product, RateMap) else product
    if isinstance(image, ExposureMap):
        raise ProductMissing("an exposure map has no counts: give its rate map or image")
    x, y = pixels_of(image, positions)
    counts = product.counts if isinstance(product, RateMap) else image.data
    return u.Quantity(counts[y, x].astype(np.float64), u.ct)


def _rate_map(product: Any) -> RateMap:
    if not isinstance(product, RateMap):
        raise ProductMissing(f"a rate needs a rate map (counts and exposure), got {type(product).__name__}")
    return product
