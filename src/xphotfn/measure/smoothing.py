"""Smoothed rate maps and images, for looking only."""

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.io.products import Image, Product, RateMap
from xphotfn.science.distances import radius_deg
from xphotfn.science.pixel_masks import read_only
from xphotfn.typing import QuantityLike
from xphotfn.units import quantity

__all__ = ("smoothed",)


def smoothed(product: Product, sigma: QuantityLike) -> NDArray[np.float64]:
    """Return a rate map smoothed with a Gaussian, corrected for exposure. For looking: never measure on it.

    Parameters
    ----------
    product
        The rate map; or an image, whose counts are smoothed as they are.
    sigma
        Width of the Gaussian, a Quantity (arcsec, deg).

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        Count rate in ct/s per pixel, 0 off the detector (counts per pixel for an image); read-only.

    Raises
    ------
    UnitMismatch
        If sigma is no angle.
    InvalidRecord
        If sigma is not above 0 or wider than the image, or the product is an exposure map, which has no noise to
        smooth.

    Notes
    -----
    ``rate = (G * N)/(G * E)``: counts and exposure are smoothed apart, then divided, so that gaps and edges leave no
    dark rims. Smoothed pixels are neither independent nor Poisson: no significance, error or limit of this library
    is right for them. Measure on the rate map itself.

    Examples
    --------
    >>> import astropy.units as u
    >>> from xphotfn.testing.examples import example_rate_map
    >>> rate_map = example_rate_map()
    >>> image = smoothed(rate_map, 10 * u.arcsec)
    >>> bool(image.max() < rate_map.data.max()), float(image[0, 0])
    (True, 0.0)
    """
    from scipy.ndimage import gaussian_filter

    if not isinstance(product, (Image, RateMap)):
        raise InvalidRecord(f"a RateMap or an Image can be smoothed, got {type(product).__name__}")
    width = radius_deg(quantity(sigma, "sigma", "10*u.arcsec"), None) / product.grid.pixel_deg
    if not width > 0:
        raise InvalidRecord(f"sigma must be above 0, got {sigma}")
    if not width <= max(product.grid.shape):
        side = max(product.grid.shape) * product.grid.pixel_deg * 60
        raise InvalidRecord(f"sigma must not be wider than the image ({side:.3g} arcmin), got {sigma}: give less")
    if isinstance(product, Image):
        counts = np.nan_to_num(product.data.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        return np.asarray(read_only(gaussian_filter(counts, width, mode="constant")), dtype=np.float64)
    return _smoothed_rate(product, width)


def _smoothed_rate(rate_map: RateMap, width: float) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    counts, exposure = rate_map.counts, rate_map.exposure.data
    with np.errstate(invalid="ignore"):
        live = (exposure > 0) & np.isfinite(exposure) & np.isfinite(counts)
    over, under = (
        gaussian_filter(np.where(live, a, 0).astype(np.float64), width, mode="constant") for a in (counts, exposure)
    )
    result = np.zeros(live.shape)
    np.divide(over, under, out=result, where=live)
    return np.asarray(read_only(result), dtype=np.float64)
