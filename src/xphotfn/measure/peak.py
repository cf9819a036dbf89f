"""The X-ray peak of a field."""

import math
from collections.abc import Callable
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.io.products import RateMap
from xphotfn.measure.coordinates import pixels_of
from xphotfn.measure.masks import edge_mask, interloper_mask
from xphotfn.records.field import Field
from xphotfn.records.measurement import Peak
from xphotfn.science import peaks as pixel_peaks, pixel_masks
from xphotfn.science.coords import deg_to_pix, pix_to_deg
from xphotfn.science.distances import radius_deg
from xphotfn.science.pixel_masks import PixelShape
from xphotfn.typing import PositionsLike, RadiusLike

__all__ = ("find_peak", "near_edge", "peak_within")

METHODS: dict[str, Callable[..., pixel_peaks.Pixel]] = {
    "clustering": pixel_peaks.clustering_peak,
    "simple": pixel_peaks.simple_peak,
}
MAX_ITERATIONS = 20


def find_peak(rate_map: RateMap, field: Field, *, method: str = "clustering", search: RadiusLike | None = None) -> Peak:
    """Return the brightest position near the field's centre.

    Parameters
    ----------
    rate_map
        Map to search, most often the combined one.
    field
        Gives the start, the redshift and the interlopers, which are masked.
    method
        ``"clustering"``: the brightest pixel of the largest group among the brightest 5 % of pixels.
        ``"simple"``: the brightest pixel.
    search
        Search radius; default 500 kpc, or 5 arcmin for a target without redshift.

    Returns
    -------
    Peak
        Its position is the centre of a pixel.

    Raises
    ------
    NoData
        If no pixel with a count lies in the search region.
    InvalidRecord
        If the method is unknown.

    Notes
    -----
    The search region is centred on the last peak and the search repeated until the peak moves by no more than 15 kpc
    (0.15 arcmin without redshift), at least twice and at most 20 times. The rim of the detector is left out. Of equally
    bright pixels, and of groups as large, those nearest to the field's centre win. Nothing holds the peak near the
    centre, nor need it be significant: :func:`find_centre` asks for both.

    References
    ----------
    XGA ``sources/base.py``, ``find_peak``.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> find_peak(example_rate_map(), example_field()).method
    'clustering'
    """
    return peak_within(rate_map, field, method, search, None)


def peak_within(rate_map: RateMap, field: Field, method: str, search: Any, bound_deg: float | None) -> Peak:
    """Return the peak that :func:`find_peak` finds, where it never leaves ``bound_deg`` around the field's centre."""
    if method not in METHODS:
        raise InvalidRecord(f"no peak finder is called {method!r}: use one of {', '.join(METHODS)}")
    has_redshift = field.target is not None and field.target.redshift is not None
    if search is None:
        search = 500 * u.kpc if has_redshift else 5 * u.arcmin
    rest_deg = radius_deg(15 * u.kpc if has_redshift else 0.15 * u.arcmin, field.target)
    search_pix = radius_deg(search, field.target) / rate_map.grid.pixel_deg
    rim, grid = edge_mask(rate_map), rate_map.grid
    free = interloper_mask(rate_map, field) & rim
    ra, dec = (float(v) for v in field.centre.value)
    x, y = (float(v) for v in deg_to_pix(grid, ra, dec))
    start = (x, y)
    if bound_deg is not None:
        free = free & pixel_masks.disc(grid.shape, x, y, bound_deg / grid.pixel_deg)
    for step in range(MAX_ITERATIONS):
        x, y = (float(v) for v in deg_to_pix(grid, ra, dec))
        pixel = _peak_of(rate_map, free, PixelShape(shape="circle", x=x, y=y, size=(search_pix,)), (method, start))
        new_ra, new_dec = (float(v) for v in pix_to_deg(grid, *pixel))
        moved = math.hypot(new_ra - ra, new_dec - dec)
        ra, dec = new_ra, new_dec
        converged = step > 0 and moved <= rest_deg
        if converged:
            break
    return Peak(ra_deg=ra, dec_deg=dec, near_edge=pixel_peaks.near_edge(rim, pixel), method=method, converged=converged)


def _peak_of(
    rate_map: RateMap, free: NDArray[np.bool_], around: PixelShape, how: tuple[str, tuple[float, float]]
) -> pixel_peaks.Pixel:
    """Return the peak among the free pixels of a disc, looked for in the part of the map that holds it."""
    method, (near_x, near_y) = how
    rows, columns = window = pixel_masks.window_of(rate_map.grid.shape, around)
    aperture = pixel_masks.painted(rate_map.grid.shape, (around,), window) & free[window]
    near = near_x - columns.start, near_y - rows.start
    x, y = METHODS[method](rate_map.data[window], aperture, near=near)
    return x + columns.start, y + rows.start


def near_edge(rate_map: RateMap, position: PositionsLike) -> bool:
    """Return whether a position lies within two pixels of the edge of the field, of a gap or of the image.

    Parameters
    ----------
    rate_map
        The map.
    position
        Quantity of shape (2,) in deg, pix or xmm_sky.

    Raises
    ------
    OffImage, ShapeMismatch, UnitMismatch
        As :func:`coord_conv`.

    References
    ----------
    XGA ``products/phot.py``, ``RateMap.near_edge``.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> near_edge(example_rate_map(), [256, 256] * u.pix)
    False
    """
    x, y = pixels_of(rate_map, position)
    if x.ndim:
        raise ShapeMismatch(f"near_edge takes one position of shape (2,), got {x.size} positions")
    return pixel_peaks.near_edge(edge_mask(rate_map), (int(x), int(y)))
