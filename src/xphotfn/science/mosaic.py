"""Mosaics: the grid that holds several images, and their sum on it."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.errors import PlanError, ShapeMismatch
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import deg_to_pix, pix_to_deg

__all__ = ("mosaic", "mosaic_grid")

MAX_PIXELS = 100_000_000  # 12 degrees squared at 4.35 arcsec


def mosaic_grid(grids: Sequence[PixelGrid]) -> PixelGrid:
    """Return the grid on which emosaic puts images.

    Parameters
    ----------
    grids
        Grids of the inputs; the first gives projection centre and pixel size.

    Returns
    -------
    PixelGrid
        Without XMM sky coordinates, unless all inputs share one grid.

    Raises
    ------
    PlanError
        If there is no input, or they lie so far apart that the mosaic would be absurdly large.
    ShapeMismatch
        If the pixel sizes differ.

    Notes
    -----
    The centres of the inputs' corner pixels are projected into the frame of the first. The origin is their exact
    minimum, not rounded to a pixel; the reference pixel is kept to the precision of a 4-byte real; the size is
    ``ceil(max - min) + 1``.

    References
    ----------
    SAS emosaic-1.19.2, algorithm (https://xmm-tools.cosmos.esa.int/external/sas/current/doc/emosaic/node8.html);
    rounding as found in SAS's own mosaics.

    Examples
    --------
    >>> one = PixelGrid.from_sky_range(10.0, 20.0)
    >>> mosaic_grid([one, one]) == one
    True
    """
    if not grids:
        raise PlanError("a mosaic needs at least one image")
    first = grids[0]
    for grid in grids[1:]:
        if not _same_pixels(first, grid):
            raise ShapeMismatch(
                f"images of different pixel sizes cannot be added: {first.cdelt1_deg!r} and {grid.cdelt1_deg!r} deg; "
                "make them with one binning"
            )
    if all(not first.difference(grid) for grid in grids):
        return first
    xs, ys = zip(*(_corners(grid, first) for grid in grids), strict=True)
    x, y = np.concatenate(xs), np.concatenate(ys)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise PlanError("the images lie more than 90 degrees apart: they cannot share one tangent projection")
    x0, y0 = float(x.min()), float(y.min())
    nx, ny = math.ceil(float(x.max()) - x0) + 1, math.ceil(float(y.max()) - y0) + 1
    if nx * ny > MAX_PIXELS:
        raise PlanError(f"the mosaic would have {nx} x {ny} pixels: the images lie too far apart; mosaic nearby ones")
    return evolve(
        first,
        nx=nx,
        ny=ny,
        crpix1=float(np.float32(first.crpix1 - x0)),
        crpix2=float(np.float32(first.crpix2 - y0)),
        x0_sky=None,
        y0_sky=None,
    )


def _same_pixels(one: PixelGrid, other: PixelGrid) -> bool:
    return math.isclose(one.cdelt1_deg, other.cdelt1_deg, rel_tol=1e-9) and math.isclose(
        one.cdelt2_deg, other.cdelt2_deg, rel_tol=1e-9
    )


def _corners(grid: PixelGrid, frame: PixelGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = np.array([0, grid.nx - 1, 0, grid.nx - 1])
    y = np.array([0, 0, grid.ny - 1, grid.ny - 1])
    return deg_to_pix(frame, *pix_to_deg(grid, x, y))


def mosaic(
    grids: Sequence[PixelGrid], images: Iterable[NDArray[Any]], out: PixelGrid | None = None
) -> tuple[NDArray[Any], PixelGrid]:
    """Return the sum of images on their common grid, taking the nearest pixel of each.

    Parameters
    ----------
    grids
        Grid of each image; the first sets the frame.
    images
        Arrays of shape (ny, nx), one per grid; may be a generator, one is held at a time.
    out
        Another grid to sum on; default :func:`mosaic_grid`.

    Returns
    -------
    ndarray
        Sum, in the type of the inputs where all have the same one (wider where whole numbers outgrow it), else
        float64; summed in float64 (or int64).
    PixelGrid
        Its grid.

    Raises
    ------
    ShapeMismatch
        If an image does not have the shape of its grid.
    """
    grid = mosaic_grid(grids) if out is None else out
    total: NDArray[Any] | None = None
    types = set()
    for item, image in zip(grids, images, strict=True):
        if image.shape != item.shape:
            raise ShapeMismatch(f"an image of shape {image.shape} was given with a grid of shape {item.shape}")
        types.add(image.dtype.newbyteorder("="))
        if total is None:
            total = np.zeros(grid.shape, dtype=np.int64 if image.dtype.kind in "iu" else np.float64)
        elif total.dtype.kind != "f" and image.dtype.kind == "f":
            total = total.astype(np.float64)
        _add_nearest(total, grid, image, item)
    if total is None:
        raise PlanError("a mosaic needs at least one image")
    return total.astype(_type_that_holds(total, types)), grid


def _type_that_holds(total: NDArray[Any], types: set[np.dtype[Any]]) -> np.dtype[Any]:
    """Return the type of the inputs, or a wider one where whole numbers have outgrown it."""
    if len(types) > 1:
        return np.dtype(np.float64)
    kind = types.pop()
    if kind.kind == "f":
        return kind
    lowest, highest = int(total.min()), int(total.max())
    wide = (kind, np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.int64))
    return next(t for t in wide if np.iinfo(t).min <= lowest and highest <= np.iinfo(t).max)


def _add_nearest(total: NDArray[Any], grid: PixelGrid, image: NDArray[Any], item: PixelGrid) -> None:
    """Add the nearest pixel of ``image`` to every pixel of ``total`` that it covers, in blocks of rows."""
    if not grid.difference(item):
        total += image
        return
    x = np.arange(grid.nx, dtype=np.float64)[None, :]
    for start in range(0, grid.ny, 256):
        rows = slice(start, min(start + 256, grid.ny))
        y = np.arange(rows.start, rows.stop, dtype=np.float64)[:, None]
        px, py = deg_to_pix(item, *pix_to_deg(grid, x, y))
        columns, lines = np.rint(px), np.rint(py)
        with np.errstate(invalid="ignore"):
            on = (columns >= 0) & (columns < item.nx) & (lines >= 0) & (lines < item.ny)
        total[rows][on] += image[lines[on].astype(np.intp), columns[on].astype(np.intp)]
