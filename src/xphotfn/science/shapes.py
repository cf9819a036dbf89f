"""Regions become pixel shapes of an image, whatever frame they were written in."""

from collections.abc import Iterable, Sequence

import numpy as np

from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.science.coords import deg_to_pix, pix_to_deg, sky_to_pix
from xphotfn.science.pixel_masks import PixelShape, holds

__all__ = ("contains", "pixel_shapes", "scaled", "sky_centres")


def sky_centres(regions: Sequence[Region], region_grid: PixelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Return RA and Dec in degrees of the centres of regions whose pixel frames mean ``region_grid``."""
    return _to_deg([(r.frame, r.x, r.y) for r in regions], region_grid)


def _to_deg(points: Sequence[tuple[str, float, float]], region_grid: PixelGrid) -> tuple[np.ndarray, np.ndarray]:
    frames = np.array([p[0] for p in points], dtype=str)
    x, y = (np.array([p[i] for p in points], dtype=np.float64) for i in (1, 2))
    physical = frames == "physical"
    if physical.any():
        x[physical], y[physical] = sky_to_pix(region_grid, x[physical], y[physical])
    in_pixels = physical | (frames == "image")
    x[in_pixels], y[in_pixels] = pix_to_deg(region_grid, x[in_pixels], y[in_pixels])
    return x, y


def pixel_shapes(regions: Sequence[Region], region_grid: PixelGrid, grid: PixelGrid) -> tuple[PixelShape, ...]:
    """Return regions as shapes in the pixels of ``grid``.

    Parameters
    ----------
    regions
        Regions in the frames of their file.
    region_grid
        The grid that their ``image`` and ``physical`` frames mean.
    grid
        The image to mask.

    Notes
    -----
    Only the centre (and the vertices of a polygon) moves through the sky; sizes are scaled by the ratio of the
    pixel sizes and angles stay, since no EPIC image is rotated against another.
    """
    if not regions:
        return ()
    points = [(r.frame, r.x, r.y) for r in regions]
    corners = [(r.frame, *v) for r in regions for v in r.vertices]
    xs, ys = deg_to_pix(grid, *_to_deg(points + corners, region_grid))
    rest = iter(zip(xs[len(points) :].tolist(), ys[len(points) :].tolist(), strict=True))
    shapes = []
    for region, x, y in zip(regions, xs.tolist(), ys.tolist(), strict=False):
        scale = _pixels_per_unit(region, region_grid, grid)
        shapes.append(
            PixelShape(
                shape=region.shape,
                x=x,
                y=y,
                size=tuple(s * scale for s in region.size),
                include=region.include,
                angle_deg=region.angle_deg,
                vertices=tuple(next(rest) for _ in region.vertices),
            )
        )
    return tuple(shapes)


def _pixels_per_unit(region: Region, region_grid: PixelGrid, grid: PixelGrid) -> float:
    if region.frame == "image":
        return 1.0 if region_grid.pixel_deg == grid.pixel_deg else region_grid.pixel_deg / grid.pixel_deg
    if region.frame == "physical":
        return region_grid.pixel_deg / region_grid.dx_sky / grid.pixel_deg
    return 1.0 / grid.pixel_deg


def scaled(shape: PixelShape, factor: float) -> PixelShape:
    """Return a shape grown about its centre by ``factor``."""
    if factor == 1:
        return shape
    return PixelShape(
        shape=shape.shape,
        x=shape.x,
        y=shape.y,
        size=tuple(s * factor for s in shape.size),
        angle_deg=shape.angle_deg,
        include=shape.include,
        vertices=tuple((shape.x + (x - shape.x) * factor, shape.y + (y - shape.y) * factor) for x, y in shape.vertices),
    )


def contains(shapes: Iterable[PixelShape], x: float, y: float) -> list[bool]:
    """Return for each shape whether it contains the position (x, y) in pixels."""
    return [bool(holds(s, np.array([x]), np.array([y]))[0]) for s in shapes]
