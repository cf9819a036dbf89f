"""Which pixels belong to circles: pixel-centre rule or exact fractional overlap, for one to a million positions.

A circle is kept as runs of whole pixels, one per image row, and as the pixels of its rim with their weights, so it
costs its rim and not its area. :mod:`xphotfn.science.disc_sums` sums images over them.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science._numeric import Floats, broadcast
from xphotfn.science.overlap import circle_pixel_overlap, leg, require_radii

__all__ = ("OVERLAPS", "DiscWeights", "Overlap", "disc_weights", "position_chunks", "require_discs")

Overlap = Literal["centre", "exact"]
Index = NDArray[np.intp]
OVERLAPS = ("centre", "exact")
ELEMENTS = 100_000  # rows and rim pixels of one chunk
FAR = 1e9  # pixels; positions beyond are off any image


class DiscWeights(NamedTuple):
    """Which pixels of an image belong to each of n circles, and by how much.

    ``run_*`` are runs of whole pixels ``[start, stop)`` of one row, weight 1; ``rim_*`` are flat pixel indices with
    their weight (none under the pixel-centre rule). Both name their circle, from 0, in rising order. ``area`` is that
    of the whole circle in pixels, on the image or off it: pi r^2, or the number of pixel centres inside; NaN for a
    position of NaN.
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
        size = self.area.size
        whole = np.bincount(self.run_disc, weights=self.run_stop - self.run_start, minlength=size)
        return np.asarray(whole + np.bincount(self.rim_disc, weights=self.rim_weight, minlength=size))

    def first(self, size: int) -> "DiscWeights":
        """Return the first circles, ``size`` of them."""
        runs, rim = (slice(int(np.searchsorted(v, size))) for v in (self.run_disc, self.rim_disc))
        lines = self.run_disc[runs], self.run_row[runs], self.run_start[runs], self.run_stop[runs]
        return DiscWeights(
            self.shape, self.area[:size], *lines, self.rim_disc[rim], self.rim_pixel[rim], self.rim_weight[rim]
        )

    def pixels(self) -> tuple[Index, Index, Floats]:
        """Return circle, flat pixel index and weight of every pixel, in no particular order."""
        length = self.run_stop - self.run_start
        first = self.run_row * self.shape[1] + self.run_start
        disc = np.concatenate([np.repeat(self.run_disc, length), self.rim_disc])
        pixel = np.concatenate([_ranges(first, length), self.rim_pixel])
        return disc, pixel, np.concatenate([np.ones(int(length.sum())), self.rim_weight])


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
        :func:`xphotfn.science.pixel_masks.disc`. ``exact``: by the part of its area inside.

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
    discs = require_discs(x, y, radius)
    return _centre_weights(shape, *discs) if overlap == "centre" else _exact_weights(shape, *discs)


def require_discs(x: ArrayLike, y: ArrayLike, radius: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return centres and radii as arrays of one axis; positions off any image are NaN."""
    xs, ys, r = broadcast(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (x, y)), require_radii(radius))
    if xs.ndim != 1:
        raise ShapeMismatch(f"positions must be numbers or arrays of one axis, got shape {xs.shape}")
    known = (np.abs(xs) < FAR) & (np.abs(ys) < FAR)
    return np.where(known, xs, np.nan), np.where(known, ys, np.nan), r


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
    touched, whole = leg(r[disc], np.maximum(away - 0.5, 0.0)), leg(r[disc], away + 0.5)
    centre, width = x[disc], shape[1]
    low, high = np.ceil(centre - touched - 0.5), np.floor(centre + touched + 0.5) + 1
    start, stop = np.ceil(centre - whole + 0.5), np.floor(centre + whole - 0.5) + 1
    empty = (away + 0.5 >= r[disc]) | (stop <= start)
    start, stop = np.where(empty, high, start), np.where(empty, high, stop)
    low, start, stop, high = (np.clip(v, 0, width).astype(np.intp) for v in (low, start, stop, high))
    count = np.maximum(np.stack([start - low, high - stop], axis=1).ravel(), 0)
    column = _ranges(np.stack([low, stop], axis=1).ravel(), count)
    both, line = np.repeat(np.repeat(disc, 2), count), np.repeat(np.repeat(row, 2), count)
    weight = circle_pixel_overlap(column - x[both], line - y[both], r[both])
    area = np.where(np.isnan(x + y), np.nan, np.pi * r * r)
    runs = _clipped(shape, disc, row, start.astype(np.float64), stop.astype(np.float64))
    return DiscWeights(shape, area, *runs, both, line.astype(np.intp) * width + column, weight)


def position_chunks(radius: ArrayLike, size: int) -> Iterator[slice]:
    """Return slices of ``size`` positions whose weights, of circles up to ``radius`` pixels, take some megabytes.

    Examples
    --------
    >>> list(position_chunks(10, 2000))
    [slice(0, 793, None), slice(793, 1586, None), slice(1586, 2000, None)]
    """
    step = max(1, int(ELEMENTS / (12 * float(np.max(radius)) + 6)))
    return (slice(begin, min(begin + step, size)) for begin in range(0, size, step))
