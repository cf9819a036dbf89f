"""Masks of a field on a product: source, background, interlopers."""

import math
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.io.products import ExposureMap, Product, RateMap, remembered
from xphotfn.measure.aperture import Aperture, RegionLike, aperture_of, centre_pixel, shape_of
from xphotfn.records.field import Field
from xphotfn.science import pixel_masks
from xphotfn.science.distances import radius_deg
from xphotfn.science.pixel_masks import PixelShape, Window, discs, paint, painted, placed, read_only, window_of
from xphotfn.science.rings import RING_FACTORS, background_ring
from xphotfn.science.shapes import pixel_shapes, scaled
from xphotfn.typing import PositionLike, RadiusLike

__all__ = (
    "Regions",
    "custom_mask",
    "edge_mask",
    "interloper_mask",
    "mask",
    "regions_of",
    "ring_factors",
    "sensor_mask",
    "source_mask",
    "whole_pixel_regions",
)

Mask = NDArray[np.bool_]


def interloper_mask(product: Product, field: Field) -> Mask:
    """Return the pixels free of other sources.

    Parameters
    ----------
    product
        Image, ExposureMap or RateMap.
    field
        Its interlopers, of all its observations, are masked.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        False where an interloper covers the pixel's centre, and on the pixel that holds a region too small to cover the
        centre of one; read-only.

    Notes
    -----
    A region that lies partly on the image is masked there, even where its centre is off the image.

    References
    ----------
    XGA ``sources/base.py``, ``get_interloper_mask``.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> bool(interloper_mask(example_rate_map(), example_field()).all())
    False
    """
    grid, members = product.grid, field.members

    def free() -> Mask:
        covered = np.zeros(grid.shape, dtype=bool)
        for member in members:
            paint(covered, pixel_shapes(member.interlopers, member.region_grid, grid), never_empty=True)
        return ~covered

    return remembered(("free", grid, members), free)


def source_mask(
    product: Product,
    field: Field,
    region: RegionLike,
    *,
    centre: PositionLike | None = None,
    background: tuple[float, float] | None = None,
) -> tuple[Mask, Mask]:
    """Return the source region and the background annulus around it.

    Parameters
    ----------
    product
        Image, ExposureMap or RateMap.
    field
        Gives the target's centre, radii and matched regions.
    region
        ``"r500"``, ``"r200"``, ``"r2500"``, ``"point"`` (the source's own radius), ``"region"`` (the matched region of
        the product's observation) or a radius as Quantity (arcsec, deg, kpc).
    centre
        Another position than the field's centre; not with ``"region"``.
    background
        Inner and outer edge of the background in units of the source radius (of the ellipse's axes). Default: 1.05
        and 1.5, for a point source or position at least 60 and 90 arcsec, beyond its wings:
        :func:`~xphotfn.science.rings.background_ring`.

    Returns
    -------
    source, background : ndarray of bool, shape (ny, nx)
        True = belongs to it; read-only. Interlopers are not removed: see :func:`mask`.

    Raises
    ------
    ProductMissing
        If the target lacks that radius, or the observation has no matched region.
    UnitMismatch
        If a radius in kpc meets a target without redshift.
    InvalidRecord
        If no region has that name, or the background's edges do not grow outwards from 1.

    Notes
    -----
    A pixel belongs to a region when its centre does: ``d < r`` with the unrounded centre and radius; the
    background is ``d < 1.5 r`` without ``d < 1.05 r``, or what ``background`` says.

    References
    ----------
    XGA ``sources/base.py``, ``source_back_regions`` and ``get_source_mask``.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> source, background = source_mask(example_rate_map(), example_field(), 60 * u.arcsec)
    >>> bool(source.any()), bool((source & background).any())
    (True, False)
    """
    found = regions_of(product, field, aperture_of(field, region), centre=centre, background=background)
    shape = product.grid.shape
    return _frozen(placed(found.source, shape, found.window)), _frozen(placed(found.background, shape, found.window))


class Regions(NamedTuple):
    """The source region and the background annulus in the part of a map that holds both.

    ``area`` is that of the whole source region in pixels, also of what lies off the image: on the image the number of
    its pixels, else by formula, as a region is not painted beyond the image.
    """

    window: Window
    source: Mask
    background: Mask
    area: float


def regions_of(
    product: Product,
    field: Field,
    aperture: Aperture,
    *,
    centre: Any = None,
    background: tuple[float, float] | None = None,
) -> Regions:
    """Return the regions of :func:`source_mask`, with its errors, in the window around them."""
    shape = shape_of(aperture, field, product.grid, product.obs_id, centre)
    radius_arcsec = max(shape.reach) * product.grid.pixel_deg * 3600
    inner, outer = ring_factors(field, radius_arcsec) if background is None else _background_edges(background)
    return _regions(product.grid.shape, shape, (inner, outer))


def _regions(image: tuple[int, int], shape: PixelShape, ring: tuple[float, float]) -> Regions:
    outermost = scaled(shape, ring[1])
    window = window_of(image, outermost)  # of the whole: all are the same shape about one centre
    if shape.shape == "circle":
        [radius] = shape.size
        source, inner, outer = discs((shape.x, shape.y), [radius * factor for factor in (1.0, *ring)], window)
    else:
        shapes = shape, scaled(shape, ring[0]), outermost
        source, inner, outer = (painted(image, (item,), window) for item in shapes)
    (half_x, half_y), (ny, nx) = shape.reach, image
    whole = half_x <= shape.x <= nx - 1 - half_x and half_y <= shape.y <= ny - 1 - half_y
    return Regions(window, source, outer ^ inner, float(np.count_nonzero(source)) if whole else shape.area)


def whole_pixel_regions(
    product: Product, field: Field, radius_deg: float, background: tuple[float, float]
) -> tuple[Window, Mask, Mask]:
    """Return window, source and background by XGA's rule, as ``custom_mask(..., overlap="xga")`` has them."""
    pixels = radius_deg / product.grid.pixel_deg
    inner, outer = _background_edges(background)
    at = centre_pixel(field, product.grid)
    source, ring = (_ring(at, radii, "xga") for radii in ((0.0, pixels), (pixels * inner, pixels * outer)))
    window = window_of(product.grid.shape, ring)
    return window, painted(product.grid.shape, (source,), window), painted(product.grid.shape, (ring,), window)


def mask(
    product: Product,
    field: Field,
    region: RegionLike,
    *,
    centre: PositionLike | None = None,
    background: tuple[float, float] | None = None,
) -> tuple[Mask, Mask]:
    """Return source and background masks with interlopers removed; everything else as :func:`source_mask`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> source, background = mask(example_rate_map(), example_field(), 60 * u.arcsec)
    >>> source.dtype
    dtype('bool')
    """
    source, back = source_mask(product, field, region, centre=centre, background=background)
    free = interloper_mask(product, field)
    return _frozen(source & free), _frozen(back & free)


def custom_mask(
    product: Product,
    field: Field,
    *,
    outer: RadiusLike,
    inner: RadiusLike = 0 * u.arcsec,
    centre: PositionLike | None = None,
    remove_interlopers: bool = True,
    overlap: str = "centre",
) -> Mask:
    """Return a disc or ring of any radii.

    Parameters
    ----------
    product
        Image, ExposureMap or RateMap.
    field
        Gives the centre, the redshift for radii in kpc, and the interlopers.
    outer, inner
        Radii as Quantity (arcsec, deg, kpc).
    centre
        Another position than the field's centre.
    remove_interlopers
        Mask other sources.
    overlap
        ``"centre"``: a pixel belongs when its centre does, ``inner <= d < outer``. ``"xga"``: XGA's rule, the centre
        rounded to a pixel, the outer radius rounded up and the inner one down to whole pixels.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Read-only.

    Raises
    ------
    InvalidRecord
        If ``inner >= outer`` or ``overlap`` is unknown.
    UnitMismatch
        If a radius is neither angle nor length, or a length meets a target without redshift.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> int(custom_mask(example_rate_map(), example_field(), outer=0.01 * u.deg).sum()) > 0
    True
    """
    if overlap not in ("centre", "xga"):
        raise InvalidRecord(f"overlap must be 'centre' or 'xga', got {overlap!r}")
    radii = [radius_deg(r, field.target) / product.grid.pixel_deg for r in (inner, outer)]
    if not radii[0] < radii[1]:
        raise InvalidRecord(f"a ring needs inner < outer, got {inner} and {outer}")
    at = centre_pixel(field, product.grid, centre)
    shape, ring = product.grid.shape, _ring(at, (radii[0], radii[1]), overlap)
    window = window_of(shape, ring)
    found = painted(shape, (ring,), window)
    if remove_interlopers:
        found &= interloper_mask(product, field)[window]
    return _frozen(placed(found, shape, window))


def _ring(at: tuple[float, float], radii: tuple[float, float], overlap: str) -> PixelShape:
    (x, y), (inner, outer) = at, radii
    if overlap == "xga":
        x, y, inner, outer = round(x), round(y), math.floor(inner), math.ceil(outer)
    return PixelShape(shape="annulus", x=x, y=y, size=(inner, outer))


def sensor_mask(product: RateMap | ExposureMap) -> Mask:
    """Return where the detector looked: exposure above 0.

    Parameters
    ----------
    product
        RateMap or ExposureMap.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Read-only.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> bool(sensor_mask(example_rate_map()).any())
    True
    """
    exposure = getattr(product, "exposure", product)
    return _frozen(pixel_masks.sensor_mask(exposure.data))


def edge_mask(product: RateMap | ExposureMap) -> Mask:
    """Return a mask that is False on the rim of the detector, its gaps and the image; else as :func:`sensor_mask`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> int((~edge_mask(example_rate_map())).sum()) > 0
    True
    """
    return _frozen(pixel_masks.edge_mask(sensor_mask(product)))


def _frozen(array: NDArray[Any]) -> Mask:
    return np.asarray(read_only(array))


def ring_factors(field: Field, radius_arcsec: float) -> tuple[float, float]:
    """Return the edges of the default background ring in units of the source radius."""
    if field.target is None or field.target.kind not in ("point", "position"):
        return RING_FACTORS
    inner, outer = background_ring(radius_arcsec)
    return float(inner) / radius_arcsec, float(outer) / radius_arcsec


def _background_edges(background: tuple[float, float]) -> tuple[float, float]:
    try:
        inner, outer = (float(v) for v in background)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"background must be two factors such as (1.05, 1.5), got {background!r}") from error
    if not 1 <= inner < outer < float("inf"):
        raise InvalidRecord(f"background needs 1 <= inner < outer, in units of the source radius, got {background}")
    return inner, outer
