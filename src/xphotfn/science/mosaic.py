"""Mosaics: the grid that holds several images, and their sum on it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import PlanError, ShapeMismatch
from xphotfn.records.grid import PixelGrid

__all__ = ("mosaic", "mosaic_batches", "mosaic_grid", "pix_to_pix")

MAX_PIXELS = 100_000_000  # 12 degrees squared at 4.35 arcsec

_BLOCK_PIXELS = 2**16  # the positions of a block stay in the cache of a processor
_HAIR = 2.0**-23  # by which corners may stick out, times CRPIX: what its 4 bytes resolve (3e-5 pixels at 256)

Floats = NDArray[np.float64]
Block = tuple[slice, slice, NDArray[Any]]


def mosaic_grid(grids: Sequence[PixelGrid], *, names: Sequence[str] = ()) -> PixelGrid:
    """Return the grid on which emosaic puts images.

    Parameters
    ----------
    grids
        Grids of the inputs; the first gives projection centre and pixel size.
    names
        What to call the inputs in messages, one name for each; default their numbers from 1.

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
    ``ceil(max - min) + 1``, where an excess within that precision (1e-4 pixels) does not count.

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
    first, called = grids[0], _called(grids, names)
    _check_pixels(first, called[0], grids, called)
    if all(not first.difference(grid) for grid in grids):
        return first
    low, high = _corner_ranges(grids, called)
    x0, y0 = (float(v) for v in low.min(axis=0))
    crpix1, crpix2 = first.crpix1 - x0, first.crpix2 - y0
    nx, ny = (
        math.ceil(span - _HAIR * max(abs(crpix), 1024)) + 1
        for span, crpix in zip((high.max(axis=0) - low.min(axis=0)).tolist(), (crpix1, crpix2), strict=True)
    )
    if nx * ny > MAX_PIXELS:
        far = called[int(np.hypot(*((low + high) / 2).T).argmax())]
        raise PlanError(
            f"the mosaic would have {nx} x {ny} pixels: the images lie too far apart ({called[0]} and {far} most); "
            "mosaic nearby ones"
        )
    return evolve(
        first,
        nx=nx,
        ny=ny,
        crpix1=float(np.float32(crpix1)),
        crpix2=float(np.float32(crpix2)),
        x0_sky=None,
        y0_sky=None,
    )


def _called(grids: Sequence[PixelGrid], names: Sequence[str]) -> Sequence[str]:
    return names or [f"image {n}" for n in range(1, len(grids) + 1)]


def _check_pixels(frame: PixelGrid, who: str, grids: Sequence[PixelGrid], called: Sequence[str]) -> None:
    """Refuse grids whose pixels are not those of ``frame``."""
    for grid, name in zip(grids, called, strict=True):
        for mine, theirs in ((frame.cdelt1_deg, grid.cdelt1_deg), (frame.cdelt2_deg, grid.cdelt2_deg)):
            if not math.isclose(mine, theirs, rel_tol=1e-9):
                raise ShapeMismatch(
                    f"images of different pixel sizes cannot be added: {mine!r} deg ({who}) and {theirs!r} deg "
                    f"({name}); make them with one binning"
                )


def _corner_ranges(grids: Sequence[PixelGrid], called: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the least and greatest (x, y) of each grid's corner pixels in the frame of the first; shapes (n, 2)."""
    low, high = np.empty((len(grids), 2)), np.empty((len(grids), 2))
    for n, grid in enumerate(grids):
        x, y = pix_to_pix(grid, grids[0], [0, grid.nx - 1, 0, grid.nx - 1], [0, 0, grid.ny - 1, grid.ny - 1])
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise PlanError(
                f"the images lie more than 90 degrees apart ({called[0]} and {called[n]}): "
                "they cannot share one tangent projection"
            )
        low[n], high[n] = (x.min(), y.min()), (x.max(), y.max())
    return low, high


def mosaic_batches(grids: Sequence[PixelGrid], most: int = 999) -> tuple[tuple[int, ...], ...]:
    """Return in which portions to add images with a tool that takes only ``most`` of them at once.

    Parameters
    ----------
    grids
        Grids of the images.
    most
        How many images the tool takes, at least 5: the first and one for each side.

    Returns
    -------
    tuple of tuple of int
        Numbers of the images from 0. The first portion makes a mosaic; each further portion is added to the mosaic
        before it, which stands first and counts as one of ``most``.

    Raises
    ------
    PlanError
        If there is no image, they lie too far apart, or ``most`` is less than 5 and they do not fit at once.

    Notes
    -----
    The first portion begins with image 0, which sets the frame, and holds the images that reach furthest to each side.
    Its mosaic has the size of the whole, and no pixel is ever sampled twice at different places: the last mosaic is
    that of all images at once, for counts exactly, for 4-byte reals to the rounding of the files between.

    Examples
    --------
    >>> one, last = PixelGrid.from_sky_range(10.0, 20.0), PixelGrid.from_sky_range(10.5, 20.0)
    >>> mosaic_batches([one, one, one, one, one, one, last], most=5)
    ((0, 6, 1, 2, 3), (4, 5))
    """
    count = len(grids)
    if count and most < min(count, 5):
        raise PlanError(f"a tool that adds {most} images at once cannot add {count}")
    mosaic_grid(grids)
    low, high = _corner_ranges(grids, _called(grids, ()))
    ends = [int(n) for n in (*low.argmin(axis=0), *high.argmax(axis=0))]
    order = list(dict.fromkeys((0, *ends, *range(count))))
    starts = [0, *range(most, count, max(most - 1, 1))]
    return tuple(tuple(order[a:b]) for a, b in zip(starts, [*starts[1:], count], strict=True))


def pix_to_pix(grid: PixelGrid, other: PixelGrid, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return unrounded pixel positions of ``grid`` as those of ``other``; swapping the grids gives the inverse.

    Positions 90 degrees or more from the reference point of ``other`` have no projection and become NaN.

    Notes
    -----
    One tangent plane seen in another is a projective map: a matrix of 3 x 3, without trigonometry for each pixel.

    References
    ----------
    Calabretta & Greisen (2002), A&A 395, 1077, section 5.1.3 (TAN).

    Examples
    --------
    >>> one, other = PixelGrid.from_sky_range(0.01, 20.0), PixelGrid.from_sky_range(359.99, 20.0)
    >>> [round(float(v), 3) for v in pix_to_pix(one, other, 256, 256)]
    [240.447, 256.001]
    """
    px, py = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    u, v, w = (a * px + b * py + c for a, b, c in _matrix(grid, other))
    w = np.where(w > 0, w, np.nan)
    return u / w, v / w


def _matrix(grid: PixelGrid, other: PixelGrid) -> Floats:
    """Return the matrix that takes (x, y, 1) of ``grid`` to (u, v, w), which is pixel (u/w, v/w) of ``other``."""
    for item in (grid, other):
        if item.projection != "TAN":
            raise ShapeMismatch(
                f"images in {item.projection} are measured, not added: measure each map, and join their tables"
            )
    to_plane = np.array(
        [
            (0.0, 0.0, 1.0),
            (math.radians(grid.cdelt1_deg), 0.0, math.radians((1 - grid.crpix1) * grid.cdelt1_deg)),
            (0.0, math.radians(grid.cdelt2_deg), math.radians((1 - grid.crpix2) * grid.cdelt2_deg)),
        ]
    )
    to_pixels = np.array(
        [
            (other.crpix1 - 1, 1 / math.radians(other.cdelt1_deg), 0.0),
            (other.crpix2 - 1, 0.0, 1 / math.radians(other.cdelt2_deg)),
            (1.0, 0.0, 0.0),
        ]
    )
    return np.asarray(to_pixels @ _turn(grid, other) @ to_plane)


def _turn(grid: PixelGrid, other: PixelGrid) -> Floats:
    """Return the rotation between two tangent frames (towards the reference point, east, north)."""
    delta = math.radians(math.remainder(grid.ra_deg - other.ra_deg, 360))  # so 359.9 and 0.1 deg are near
    if delta == 0 and grid.dec_deg == other.dec_deg:
        return np.eye(3)
    mine, theirs = (_frame(ra, math.radians(dec)) for ra, dec in ((delta, grid.dec_deg), (0.0, other.dec_deg)))
    return theirs @ mine.T


def _frame(ra: float, dec: float) -> Floats:
    cos_a, sin_a, cos_d, sin_d = math.cos(ra), math.sin(ra), math.cos(dec), math.sin(dec)
    towards = (cos_d * cos_a, cos_d * sin_a, sin_d)
    return np.array([towards, (-sin_a, cos_a, 0.0), (-sin_d * cos_a, -sin_d * sin_a, cos_d)])


def mosaic(
    grids: Sequence[PixelGrid],
    images: Iterable[NDArray[Any]],
    out: PixelGrid | None = None,
    *,
    names: Sequence[str] = (),
) -> tuple[NDArray[Any], PixelGrid]:
    """Return the sum of images on their common grid, taking the nearest pixel of each.

    Parameters
    ----------
    grids
        Grid of each image; the first sets the frame.
    images
        Arrays of shape (ny, nx), one per grid; may be a generator, one is held at a time.
    out
        Another grid to sum on, of the same pixel size; what lies outside is left out. Default :func:`mosaic_grid`.
    names
        What to call the images in messages; default their numbers from 1.

    Returns
    -------
    ndarray
        Sum, in the type of the inputs where all have the same one (wider where whole numbers outgrow it), else
        float64; summed in float64 (or int64). NaN where an input has NaN.
    PixelGrid
        Its grid.

    Raises
    ------
    PlanError
        If there is no image, or they lie too far apart.
    ShapeMismatch
        If an image does not have the shape of its grid, or the pixel sizes differ.

    Notes
    -----
    A pixel covers [i - 0.5, i + 0.5) along each axis, so that a shift by half a pixel loses nothing and doubles
    nothing. Between projections some pixels are taken twice or never: a tangent plane stretches areas by ``1/cos^3``
    of the angle to its reference point, 0.2 % at 2 degrees. Bin the events themselves where each count matters.

    Doubles are summed with their rounding errors: the order of the inputs is not seen in the sum.

    References
    ----------
    SAS emosaic-1.19.2, node 8; Neumaier (1974), ZAMM 54, 39 for the sum of doubles.
    """
    grid = mosaic_grid(grids, names=names) if out is None else out
    called = _called(grids, names)
    if out is not None:
        _check_pixels(out, "the mosaic", grids, called)
    total = _Sum(grid)
    for item, image, name in zip(grids, images, called, strict=True):
        if image.shape != item.shape:
            raise ShapeMismatch(f"{name}: an image of shape {image.shape} was given with a grid of shape {item.shape}")
        total.add(item, image)
    return total.result(), grid


class _Sum:
    """What has been added so far; ``rest`` holds the rounding errors of doubles."""

    def __init__(self, grid: PixelGrid) -> None:
        self.grid = grid
        self.types: set[np.dtype[Any]] = set()
        self.total: NDArray[Any] = np.zeros(grid.shape, dtype=np.int64)
        self.rest: Floats | None = None

    def add(self, item: PixelGrid, image: NDArray[Any]) -> None:
        """Add the nearest pixel of an image to every pixel that it covers."""
        self.types.add(image.dtype.newbyteorder("="))
        if image.dtype.kind == "f" and self.total.dtype.kind != "f":
            self.total = self.total.astype(np.float64)
        if image.dtype.kind == "f" and image.dtype.itemsize > 4 and self.rest is None:
            self.rest = np.zeros(self.grid.shape)  # the sum of 4-byte reals in double needs none
        for rows, columns, values in _nearest(self.grid, item, image):
            part = self.total[rows, columns]
            if self.rest is None:
                part += values
            else:
                _add_with_rest(part, self.rest[rows, columns], values.astype(np.float64, copy=False))

    def result(self) -> NDArray[Any]:
        """Return the sum in its type."""
        if not self.types:
            raise PlanError("a mosaic needs at least one image")
        if self.rest is not None:
            np.add(self.total, self.rest, out=self.total, where=np.isfinite(self.rest))
            self.rest = None
        return self.total.astype(_type_that_holds(self.total, self.types), copy=False)


def _add_with_rest(total: Floats, rest: Floats, values: Floats) -> None:
    """Add to ``total`` in place, and what rounding takes away to ``rest`` (the exact sum of two doubles is both)."""
    with np.errstate(invalid="ignore"):  # infinite values leave NaN in the rest, which is then not used
        added = total + values
        seen = added - total
        rest += (total - (added - seen)) + (values - seen)
        total[...] = added


def _type_that_holds(total: NDArray[Any], types: set[np.dtype[Any]]) -> np.dtype[Any]:
    """Return the type of the inputs, or a wider one where whole numbers have outgrown it."""
    if len(types) > 1:
        return np.dtype(np.float64)
    (kind,) = types
    if kind.kind == "f":
        return kind
    lowest, highest = int(total.min()), int(total.max())
    wide = (kind, np.dtype(np.int16), np.dtype(np.int32), np.dtype(np.int64))
    return next(t for t in wide if np.iinfo(t).min <= lowest and highest <= np.iinfo(t).max)


def _nearest(grid: PixelGrid, item: PixelGrid, image: NDArray[Any]) -> Iterator[Block]:
    """Yield (rows, columns, values): the nearest pixels of ``image`` for a block of ``grid``, 0 beside the image."""
    shift = _shift(grid, item)
    if shift is not None:
        yield from _shifted(grid, image, *shift)
        return
    rows, columns = _window(grid, item)
    bordered = np.zeros((item.ny + 2, item.nx + 2), dtype=image.dtype)
    bordered[1:-1, 1:-1] = image
    matrix = _matrix(grid, item)
    matrix[:2] += 1.5 * matrix[2]  # half a pixel to round, one for the border
    x = np.arange(columns.start, columns.stop, dtype=np.float64)
    for start in range(rows.start, rows.stop, max(1, _BLOCK_PIXELS // max(1, x.size))):
        stop = min(start + max(1, _BLOCK_PIXELS // max(1, x.size)), rows.stop)
        y = np.arange(start, stop, dtype=np.float64)[:, None]
        u, v, w = (a * x + (b * y + c) for a, b, c in matrix)
        np.copyto(w, np.inf, where=w <= 0)  # behind the tangent plane: beside the image
        flat = np.clip(np.divide(v, w, out=v), 0, item.ny + 1, out=v).astype(np.intp)
        flat *= item.nx + 2
        flat += np.clip(np.divide(u, w, out=u), 0, item.nx + 1, out=u).astype(np.intp)
        yield slice(start, stop), columns, bordered.ravel().take(flat)


def _shift(grid: PixelGrid, item: PixelGrid) -> tuple[int, int] | None:
    """Return by how many pixels ``item`` lies to the right of and above ``grid``; None in another projection."""
    same = (math.remainder(grid.ra_deg - item.ra_deg, 360), grid.dec_deg) == (0, item.dec_deg)
    sizes = (grid.cdelt1_deg, item.cdelt1_deg), (grid.cdelt2_deg, item.cdelt2_deg)
    if not same or any(abs(a / b - 1) * max(*grid.shape, *item.shape) > 1e-6 for a, b in sizes):
        return None
    # a pixel of the mosaic takes floor(position + 0.5) of the image; 1e-9 is the noise of two CRPIX
    return tuple(  # type: ignore[return-value]  # two of them
        -math.floor(round(theirs - mine, 9) + 0.5)
        for mine, theirs in ((grid.crpix1, item.crpix1), (grid.crpix2, item.crpix2))
    )


def _shifted(grid: PixelGrid, image: NDArray[Any], right: int, up: int) -> Iterator[Block]:
    (rows, lines), (columns, places) = (
        (slice(max(0, by), min(size, by + length)), slice(max(0, -by), min(length, size - by)))
        for by, size, length in ((up, grid.ny, image.shape[0]), (right, grid.nx, image.shape[1]))
    )
    if rows.start < rows.stop and columns.start < columns.stop:
        yield rows, columns, image[lines, places]


def _window(grid: PixelGrid, item: PixelGrid) -> tuple[slice, slice]:
    """Return the rows and columns of ``grid`` that may see ``item``: straight edges stay straight in a projection."""
    right, top = item.nx - 0.5, item.ny - 0.5
    x, y = pix_to_pix(item, grid, [-0.5, right, -0.5, right], [-0.5, -0.5, top, top])
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return slice(0, grid.ny), slice(0, grid.nx)
    limits = ((y, grid.ny), (x, grid.nx))
    rows, columns = (
        slice(min(max(0, math.floor(v.min())), n), max(0, min(n, math.ceil(v.max()) + 1))) for v, n in limits
    )
    return slice(rows.start, max(rows.start, rows.stop)), slice(columns.start, max(columns.start, columns.stop))
