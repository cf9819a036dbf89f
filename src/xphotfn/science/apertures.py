"""Sums over many circles at once: pixel-centre rule or exact fractional overlap, for one to a million positions.

A circle is kept as runs of whole pixels, one per image row, and as the pixels of its rim with their weights. Row sums
turn a run into one difference, so a circle costs its rim, not its area, and each map costs little more. A ring is the
difference of two circles.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science._numeric import Floats, broadcast, require_not_negative

__all__ = ("DiscWeights", "RowSums", "circle_pixel_overlap", "disc_sums", "disc_weights", "minima", "row_sums", "sums")

Overlap = Literal["centre", "exact"]
Index = NDArray[np.intp]
OVERLAPS = ("centre", "exact")
ELEMENTS = 100_000  # rows and rim pixels of one chunk
FAR = 1e9  # pixels; positions beyond are off any image
SERIES = tuple(2 * c / (2 * k + 3) for k, c in enumerate((1, 1 / 2, 3 / 8, 5 / 16, 35 / 128, 63 / 256, 231 / 1024)))


class DiscWeights(NamedTuple):
    """Which pixels of an image belong to each of n circles, and by how much.

    ``run_*`` are runs of whole pixels ``[start, stop)`` of one row, weight 1; ``rim_*`` are flat pixel indices with
    their weight (none under the pixel-centre rule). Both name their circle, from 0. ``area`` is that of the whole
    circle in pixels, on the image or off it: pi r^2, or the number of pixel centres inside; NaN for a position of NaN.
    """

    shape: tuple[int, int]
    area: Floats
    run_disc: Index
    run_row: Index
    run_start: Index
    run_stop: Index
    rim_disc: Index
    rim_pixel: Index
    rim_weight: Floats

    @property
    def held(self) -> Floats:
        """Area of each circle that lies on the image, in pixels."""
        return _per_disc(self, self.run_stop - self.run_start, self.rim_weight)

    def pixels(self) -> tuple[Index, Index, Floats]:
        """Return circle, flat pixel index and weight of every pixel, in no particular order."""
        length = self.run_stop - self.run_start
        first = self.run_row * self.shape[1] + self.run_start
        disc = np.concatenate([np.repeat(self.run_disc, length), self.rim_disc])
        pixel = np.concatenate([_ranges(first, length), self.rim_pixel])
        return disc, pixel, np.concatenate([np.ones(int(length.sum())), self.rim_weight])


class RowSums(NamedTuple):
    """An image, and the sums of each row's pixels before each column."""

    image: NDArray[Any]
    before: NDArray[Any]


def circle_pixel_overlap(dx: ArrayLike, dy: ArrayLike, radius: ArrayLike) -> Floats:
    """Return the area that a circle shares with pixels of side 1.

    Parameters
    ----------
    dx, dy, radius
        Offset of the pixel's centre from the circle's, and its radius, in pixels.

    Returns
    -------
    ndarray of float64
        Between 0 and 1. NaN where an offset is NaN. An :class:`InvalidRecord` if a radius is negative or infinite.

    Notes
    -----
    A pixel is folded into the first quadrant (one that lies across an axis is cut there). In ``[x0, x1] x [y0, y1]``
    the circle's edge enters at ``xt = sqrt(r^2 - y1^2)`` and leaves at ``xb = sqrt(r^2 - y0^2)``, both kept inside
    ``[x0, x1]``: the area is ``(xt - x0)(y1 - y0)``, the trapezium under the chord from xt to xb, and the circular
    segment above it, ``r^2 (asin u - u sqrt(1 - u^2))``, ``u = chord/(2 r)``. Nothing of the order of r^2 cancels.

    References
    ----------
    Elementary geometry; checked against photutils and pi r^2 to 1e-9.

    Examples
    --------
    >>> circle_pixel_overlap([0, 0, 1, 2], 0, [0.5, 9, 1, 1]).round(6)
    array([0.785398, 1.      , 0.456611, 0.      ])
    """
    x, y, r = broadcast(np.asarray(dx, dtype=np.float64), np.asarray(dy, np.float64), _radii(radius))
    shape, r = x.shape, r.reshape(-1)
    ax, ay = np.abs(x.reshape(-1)), np.abs(y.reshape(-1))
    x0, y0 = ax - 0.5, ay - 0.5
    x1, y1 = ax + 0.5, ay + 0.5
    area = _in_quadrant(np.maximum(x0, 0.0), x1, np.maximum(y0, 0.0), y1, r)
    for low_x, high_x, low_y, high_y, cut in (
        (np.zeros_like(x0), -x0, np.maximum(y0, 0.0), y1, x0 < 0),
        (np.maximum(x0, 0.0), x1, np.zeros_like(y0), -y0, y0 < 0),
        (np.zeros_like(x0), -x0, np.zeros_like(y0), -y0, (x0 < 0) & (y0 < 0)),
    ):
        area[cut] += _in_quadrant(low_x[cut], high_x[cut], low_y[cut], high_y[cut], r[cut])
    return np.asarray(np.clip(area, 0.0, 1.0).reshape(shape))


def _in_quadrant(x0: Floats, x1: Floats, y0: Floats, y1: Floats, r: Floats) -> Floats:
    """Return the area of a circle about (0, 0) in rectangles with ``0 <= x0 < x1`` and ``0 <= y0 < y1``."""
    enter = np.clip(_leg(r, y1), x0, x1)
    leave = np.maximum(np.clip(_leg(r, y0), x0, x1), enter)
    first, last = np.clip(_leg(r, enter), y0, y1), np.clip(_leg(r, leave), y0, y1)
    width, fall = leave - enter, first - last
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.minimum(0.5 * np.sqrt(width * width + fall * fall) / r, 1.0)
    below = (enter - x0) * (y1 - y0) + width * (0.5 * (first + last) - y0)
    return np.asarray(np.where(width > 0, below + r * r * _segment(u), below))


def _leg(r: Floats, other: Floats) -> Floats:
    """Return ``sqrt(r^2 - other^2)``, 0 beyond the circle."""
    return np.asarray(np.sqrt(np.maximum((r - other) * (r + other), 0.0)))


def _segment(u: Floats) -> Floats:
    """Return ``asin u - u sqrt(1 - u^2)``; the series is good to 1e-13 below 0.15."""
    squared = u * u
    total = np.full_like(u, SERIES[-1])
    for coefficient in SERIES[-2::-1]:
        total = total * squared + coefficient
    total = total * squared * u
    large = u >= 0.15
    v = u[large]
    total[large] = np.arcsin(v) - v * np.sqrt((1 - v) * (1 + v))
    return total


def disc_weights(
    shape: tuple[int, int], x: ArrayLike, y: ArrayLike, radius: ArrayLike, *, overlap: Overlap = "centre"
) -> DiscWeights:
    """Return which pixels belong to circles.

    Parameters
    ----------
    shape
        ``(ny, nx)`` of the images.
    x, y
        Centres in pixels, 0-based, pixel centres at integers; scalars or one axis. A NaN belongs to no pixel.
    radius
        Radii in pixels, not negative; one or one for each centre.
    overlap
        ``centre``: a pixel belongs when its centre is less than ``radius`` away, exactly the mask of
        :func:`xphotfn.science.masks.disc`. ``exact``: by the part of its area inside.

    Returns
    -------
    DiscWeights
        The memory grows with the radius, not its square; :func:`position_chunks` bounds it for many positions.

    Raises
    ------
    InvalidRecord, ShapeMismatch
        If a radius is negative or infinite, there is no such rule, or positions and radii do not fit together.

    Examples
    --------
    >>> weights = disc_weights((9, 9), [4, 0], 4, 1.5, overlap="exact")
    >>> weights.area.round(4), weights.held.round(4)
    (array([7.0686, 7.0686]), array([7.0686, 5.006 ]))
    """
    if overlap not in OVERLAPS:
        raise InvalidRecord(f"no overlap is called {overlap!r}: use {' or '.join(OVERLAPS)}")
    discs = _discs(x, y, radius)
    return _centre_weights(shape, *discs) if overlap == "centre" else _exact_weights(shape, *discs)


def _discs(x: ArrayLike, y: ArrayLike, radius: ArrayLike) -> tuple[Floats, Floats, Floats]:
    xs, ys, r = broadcast(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (x, y)), _radii(radius))
    if xs.ndim != 1:
        raise ShapeMismatch(f"positions must be numbers or arrays of one axis, got shape {xs.shape}")
    known = (np.abs(xs) < FAR) & (np.abs(ys) < FAR)
    return np.where(known, xs, np.nan), np.where(known, ys, np.nan), r


def _radii(radius: ArrayLike) -> Floats:
    r = require_not_negative(radius, "a radius in pixels")
    if np.any(np.isnan(r)):
        raise InvalidRecord("a radius in pixels must be a number, got nan")
    return r


def _rows(y: Floats, reach: Floats) -> tuple[Index, Floats]:
    """Return for every row that each circle may touch the circle and the row."""
    known = ~np.isnan(y)
    low = np.where(known, np.ceil(y - reach), 0.0)
    count = np.where(known, np.floor(y + reach) - low + 1, 0.0)
    count = np.maximum(count, 0.0).astype(np.intp)
    return np.repeat(np.arange(y.size), count), _ranges(low.astype(np.intp), count).astype(np.float64)


def _ranges(start: Index, count: Index) -> Index:
    """Return ``arange(start, start + count)`` of all pairs, one behind the other."""
    before = np.cumsum(count) - count
    return np.asarray(np.repeat(start - before, count) + np.arange(int(count.sum())), dtype=np.intp)


def _centre_weights(shape: tuple[int, int], x: Floats, y: Floats, r: Floats) -> DiscWeights:
    disc, row = _rows(y, r)
    centre, squared = x[disc], (r * r)[disc]
    dy = row - y[disc]
    dy2 = dy * dy
    half = np.sqrt(np.maximum(squared - dy2, 0.0))

    def outside(column: Floats) -> NDArray[np.bool_]:
        dx = column - centre
        return np.asarray(~(dx * dx + dy2 < squared))

    start, last = np.ceil(centre - half) - 1, np.floor(centre + half) + 1
    for _ in range(2):  # the mask's own rule decides about the ends, not the rounding of a root
        start, last = start + outside(start), last - outside(last)
    length = np.maximum(last + 1 - start, 0.0)
    area = np.where(np.isnan(x + y), np.nan, np.bincount(disc, weights=length, minlength=x.size))
    none = np.zeros(0, dtype=np.intp)
    return DiscWeights(shape, area, *_clipped(shape, disc, row, start, last + 1), none, none, np.zeros(0))


def _clipped(
    shape: tuple[int, int], disc: Index, row: Floats, start: Floats, stop: Floats
) -> tuple[Index, Index, Index, Index]:
    """Return circle, row, start and stop of the runs that lie on the image."""
    low, high = np.clip(start, 0, shape[1]), np.clip(stop, 0, shape[1])
    keep = (row >= 0) & (row < shape[0]) & (high > low)
    return disc[keep], *(v[keep].astype(np.intp) for v in (row, low, high))  # type: ignore[return-value]


def _exact_weights(shape: tuple[int, int], x: Floats, y: Floats, r: Floats) -> DiscWeights:
    disc, row = _rows(y, r + 0.5)
    on = (row >= 0) & (row < shape[0])
    disc, row = disc[on], row[on]
    away = np.abs(row - y[disc])
    touched, whole = _leg(r[disc], np.maximum(away - 0.5, 0.0)), _leg(r[disc], away + 0.5)
    centre, width = x[disc], shape[1]
    low, high = np.ceil(centre - touched - 0.5), np.floor(centre + touched + 0.5) + 1
    start, stop = np.ceil(centre - whole + 0.5), np.floor(centre + whole - 0.5) + 1
    empty = (away + 0.5 >= r[disc]) | (stop <= start)
    start, stop = np.where(empty, high, start), np.where(empty, high, stop)
    low, start, stop, high = (np.clip(v, 0, width).astype(np.intp) for v in (low, start, stop, high))
    count = np.concatenate([np.maximum(start - low, 0), np.maximum(high - stop, 0)])
    column = _ranges(np.concatenate([low, stop]), count)
    both, line = np.repeat(np.tile(disc, 2), count), np.repeat(np.tile(row, 2), count)
    weight = circle_pixel_overlap(column - x[both], line - y[both], r[both])
    area = np.where(np.isnan(x + y), np.nan, np.pi * r * r)
    runs = _clipped(shape, disc, row, start.astype(np.float64), stop.astype(np.float64))
    return DiscWeights(shape, area, *runs, both, line.astype(np.intp) * width + column, weight)


def sums(weights: DiscWeights, *arrays: NDArray[Any] | RowSums) -> tuple[Floats, ...]:
    """Return the weighted sum of every array in every circle.

    Parameters
    ----------
    weights
        As :func:`disc_weights` gives them.
    *arrays
        Images of the shape of the weights, finite; whole numbers and bool stay exact. An image that meets several
        sets of weights may come as :func:`row_sums`, made once.

    Returns
    -------
    tuple of ndarray of float64, shape (n,)
        One for each array; 0 for a circle without a pixel on the image. A ShapeMismatch or InvalidRecord if an array
        has another shape, or holds NaN or infinity: set them to 0 and sum their mask beside.

    Notes
    -----
    A run is the difference of two sums along its row. Their rounding is that of the row (1e-16 of its sum), which
    matters only where one pixel exceeds the others by many powers of ten.

    Examples
    --------
    >>> counts, live = sums(disc_weights((9, 9), 4, 4, 1.5), np.arange(81).reshape(9, 9), np.ones((9, 9), dtype=bool))
    >>> counts, live
    (array([360.]), array([9.]))
    """
    return tuple(_sum(weights, array) for array in arrays)


def _sum(weights: DiscWeights, array: NDArray[Any] | RowSums) -> Floats:
    image, before = array if isinstance(array, RowSums) else row_sums(array)
    _require_image(weights, image)
    flat, base = before.ravel(), weights.run_row * before.shape[1]
    inside = flat[base + weights.run_stop] - flat[base + weights.run_start]
    return _per_disc(weights, inside, image.ravel()[weights.rim_pixel] * weights.rim_weight)


def row_sums(array: NDArray[Any]) -> RowSums:
    """Return an image with its sums along each row, for :func:`sums`; its errors are those for one array."""
    image = np.asarray(array)
    exact = image.dtype.kind in "biu"
    if image.ndim != 2:
        raise ShapeMismatch(f"an image has two axes, got shape {image.shape}")
    if not exact and not np.all(np.isfinite(image)):
        raise InvalidRecord("an image to sum must be finite: set NaN to 0 and sum its mask beside it")
    before = np.zeros((image.shape[0], image.shape[1] + 1), dtype=np.int64 if exact else np.float64)
    np.cumsum(image, axis=1, out=before[:, 1:])
    return RowSums(image, before)


def _require_image(weights: DiscWeights, array: NDArray[Any]) -> None:
    if array.shape != tuple(weights.shape):
        raise ShapeMismatch(f"the weights are for images of shape {tuple(weights.shape)}, got {array.shape}")


def _per_disc(weights: DiscWeights, inside: NDArray[Any], rim: NDArray[Any]) -> Floats:
    """Return for each circle the sum of the values of its runs and of its rim."""
    size = weights.area.size
    total = np.bincount(weights.run_disc, weights=inside, minlength=size)
    if weights.rim_disc.size:
        total = total + np.bincount(weights.rim_disc, weights=rim, minlength=size)
    return np.asarray(total, dtype=np.float64)


def minima(weights: DiscWeights, array: NDArray[Any]) -> Floats:
    """Return the smallest value that each circle covers.

    Parameters
    ----------
    weights
        As :func:`disc_weights` gives them; every pixel with a weight above 0 counts.
    array
        Image of the same shape, without NaN; infinity takes a pixel out, and is the result where there is none.

    Notes
    -----
    Minima of 1, 2, 4, ... neighbours are formed once; a run is covered by two of them.

    Examples
    --------
    >>> minima(disc_weights((9, 9), [4, 40], 4, 1.5), np.arange(81).reshape(9, 9))
    array([30., inf])
    """
    _require_image(weights, np.asarray(array))
    values = np.asarray(array, dtype=np.float64)
    result = np.full(weights.area.size, np.inf)
    used = weights.rim_weight > 0
    np.minimum.at(result, weights.rim_disc[used], values.ravel()[weights.rim_pixel[used]])
    length = weights.run_stop - weights.run_start
    span, width = 1, values.shape[1]
    while np.any(length >= span):
        which = (length >= span) & (length < 2 * span)
        row, start, stop = weights.run_row[which], weights.run_start[which], weights.run_stop[which]
        least = np.minimum(values[row, start], values[row, stop - span])
        np.minimum.at(result, weights.run_disc[which], least)
        values = np.minimum(values[:, : max(width - span, 0)], values[:, span:width])
        width, span = values.shape[1], 2 * span
    return result


def position_chunks(radius: ArrayLike, size: int) -> Iterator[slice]:
    """Return slices of ``size`` positions whose weights, of circles up to ``radius`` pixels, take some megabytes.

    Examples
    --------
    >>> list(position_chunks(10, 2000))
    [slice(0, 793, None), slice(793, 1586, None), slice(1586, 2000, None)]
    """
    step = max(1, int(ELEMENTS / (12 * float(np.max(radius)) + 6)))
    return (slice(begin, min(begin + step, size)) for begin in range(0, size, step))


def disc_sums(
    x: ArrayLike, y: ArrayLike, radius: ArrayLike, *arrays: NDArray[Any], overlap: Overlap = "centre"
) -> tuple[Floats, ...]:
    """Return the sum of every array in every circle, in bounded memory for any number of positions.

    Parameters
    ----------
    x, y, radius, overlap
        As in :func:`disc_weights`, with its errors.
    *arrays
        At least one; as in :func:`sums`, with its errors.

    Examples
    --------
    >>> [total] = disc_sums([4, 40], 4, 2.0, np.ones((9, 9)), overlap="exact")
    >>> total.round(6)
    array([12.566371,  0.      ])
    """
    if not arrays:
        raise InvalidRecord("give at least one image to sum")
    (xs, ys, r), images = _discs(x, y, radius), [row_sums(array) for array in arrays]
    shape = images[0].image.shape
    results = tuple(np.zeros(xs.size) for _ in arrays)
    for part in position_chunks(np.max(r, initial=0.0), xs.size):
        weights = disc_weights(shape, xs[part], ys[part], r[part], overlap=overlap)
        for whole, found in zip(results, sums(weights, *images), strict=True):
            whole[part] = found
    return results
