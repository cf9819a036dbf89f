"""Sums and minima of images over many circles at once.

Row sums turn a run of pixels into one difference, and all images are summed in one pass: each further map costs
little. A ring is the difference of two circles.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.science._numeric import Floats
from xphotfn.science.discs import DiscWeights, Overlap, disc_weights, position_chunks, require_discs

__all__ = ("RowMinima", "RowSums", "disc_sums", "minima", "row_minima", "row_sums", "sums", "table_of_sums")


class RowSums(NamedTuple):
    """Images side by side, and the sums of each row's pixels before each column.

    ``image`` has the shape (ny nx, images), ``before`` (ny (nx + 1), images), ``shape`` is ``(ny, nx)``.
    """

    shape: tuple[int, int]
    image: Floats
    before: Floats


class RowMinima(NamedTuple):
    """Minima of 1, 2, 4, ... neighbours of each row, from each pixel on; shape (levels, ny, nx), infinite beyond."""

    levels: NDArray[Any]


def row_sums(*arrays: NDArray[Any]) -> RowSums:
    """Return images with their sums along each row, for :func:`sums`; its errors are those for the arrays."""
    if not arrays:
        raise InvalidRecord("give at least one image to sum")
    images = [np.asarray(array) for array in arrays]
    shape = images[0].shape
    for image in images:
        if image.ndim != 2:
            raise ShapeMismatch(f"an image has two axes, got shape {image.shape}")
        if image.shape != shape:
            raise ShapeMismatch(f"images to sum must have one shape, got {shape} and {image.shape}")
        if image.dtype.kind not in "biu" and not np.all(np.isfinite(image)):
            raise InvalidRecord("an image to sum must be finite: set NaN to 0 and sum its mask beside it")
    stack = np.empty((*shape, len(images)))
    for number, image in enumerate(images):
        stack[..., number] = image
    before = np.zeros((shape[0], shape[1] + 1, len(images)))
    np.cumsum(stack, axis=1, out=before[:, 1:])
    return RowSums((shape[0], shape[1]), stack.reshape(-1, len(images)), before.reshape(-1, len(images)))


def sums(weights: DiscWeights, *arrays: NDArray[Any]) -> tuple[Floats, ...]:
    """Return the weighted sum of every array in every circle.

    Parameters
    ----------
    weights
        As :func:`~xphotfn.science.discs.disc_weights` gives them.
    *arrays
        Images of the shape of the weights, finite; whole numbers and bool stay exact as long as the sums lie below
        2^53.

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
    >>> weights = disc_weights((9, 9), 4, 4, 1.5)
    >>> counts, live = sums(weights, np.arange(81).reshape(9, 9), np.ones((9, 9), dtype=bool))
    >>> counts, live
    (array([360.]), array([9.]))
    """
    return tuple(table_of_sums(weights, row_sums(*arrays)).T)


def table_of_sums(weights: DiscWeights, images: RowSums) -> Floats:
    """Return what :func:`sums` does as one array of shape (n, images), of images prepared once by :func:`row_sums`."""
    from scipy.sparse import csr_array

    if images.shape != tuple(weights.shape):
        raise ShapeMismatch(f"the weights are for images of shape {tuple(weights.shape)}, got {images.shape}")
    base = weights.run_row * (images.shape[1] + 1)
    ends = np.stack([base + weights.run_stop, base + weights.run_start], axis=1).ravel()
    signs = np.tile([1.0, -1.0], base.size)
    runs = csr_array(
        (signs, ends, _pointers(weights.run_disc, weights.area.size, 2)), (weights.area.size, images.before.shape[0])
    )
    total = runs @ images.before
    if weights.rim_disc.size:
        pointers = _pointers(weights.rim_disc, weights.area.size, 1)
        rim = csr_array((weights.rim_weight, weights.rim_pixel, pointers), (weights.area.size, images.image.shape[0]))
        total = total + rim @ images.image
    return np.asarray(total, dtype=np.float64)


def _pointers(disc: NDArray[np.intp], size: int, each: int) -> NDArray[np.intp]:
    """Return where the elements of each circle begin, from the sorted numbers of their circles."""
    return np.concatenate([[0], np.cumsum(np.bincount(disc, minlength=size) * each)])


def row_minima(array: NDArray[Any], longest: int) -> RowMinima:
    """Return an image's minima along its rows for :func:`minima`, for runs of up to ``longest`` pixels."""
    values = np.asarray(array)
    if values.ndim != 2:
        raise ShapeMismatch(f"an image has two axes, got shape {values.shape}")
    levels, span, width = [values], 1, values.shape[1]
    while 2 * span <= min(longest, width):
        wider = np.full(values.shape, np.inf, dtype=np.result_type(values, np.float32))
        last = levels[-1]
        np.minimum(last[:, : width - span], last[:, span:], out=wider[:, : width - span])
        levels.append(wider)
        span *= 2
    return RowMinima(np.stack(levels))


def minima(weights: DiscWeights, array: NDArray[Any] | RowMinima) -> Floats:
    """Return the smallest value that each circle covers.

    Parameters
    ----------
    weights
        As :func:`~xphotfn.science.discs.disc_weights` gives them; every pixel with a weight above 0 counts.
    array
        Image of the same shape, without NaN; infinity takes a pixel out, and is the result where there is none. An
        image that meets several sets of weights may come as :func:`row_minima`, made once.

    Notes
    -----
    A run is covered by two of the minima of 1, 2, 4, ... neighbours.

    Examples
    --------
    >>> minima(disc_weights((9, 9), [4, 40], 4, 1.5), np.arange(81).reshape(9, 9))
    array([30., inf])
    """
    length = weights.run_stop - weights.run_start
    rows = array if isinstance(array, RowMinima) else row_minima(array, int(np.max(length, initial=1)))
    if rows.levels.shape[1:] != tuple(weights.shape):
        raise ShapeMismatch(f"the weights are for images of shape {tuple(weights.shape)}, got {rows.levels.shape[1:]}")
    result = np.full(weights.area.size, np.inf)
    used = weights.rim_weight > 0
    np.minimum.at(result, weights.rim_disc[used], rows.levels[0].ravel()[weights.rim_pixel[used]])
    if length.size:
        level = np.frexp(length)[1] - 1  # the largest power of two that fits in
        flat, pixels = rows.levels.ravel(), rows.levels[0].size
        first = level * pixels + weights.run_row * weights.shape[1] + weights.run_start
        least = np.minimum(flat[first], flat[first + length - (1 << level)])
        begin = np.flatnonzero(np.diff(weights.run_disc, prepend=-1))
        disc = weights.run_disc[begin]
        result[disc] = np.minimum(result[disc], np.minimum.reduceat(least, begin))
    return result


def disc_sums(
    x: ArrayLike, y: ArrayLike, radius: ArrayLike, *arrays: NDArray[Any], overlap: Overlap = "centre"
) -> tuple[Floats, ...]:
    """Return the sum of every array in every circle, in bounded memory for any number of positions.

    Parameters
    ----------
    x, y, radius, overlap
        As in :func:`~xphotfn.science.discs.disc_weights`, with its errors.
    *arrays
        At least one; as in :func:`sums`, with its errors.

    Examples
    --------
    >>> [total] = disc_sums([4, 40], 4, 2.0, np.ones((9, 9)), overlap="exact")
    >>> total.round(6)
    array([12.566371,  0.      ])
    """
    xs, ys, r = require_discs(x, y, radius)
    images = row_sums(*arrays)
    results = np.zeros((xs.size, len(arrays)))
    for part in position_chunks(np.max(r, initial=0.0), xs.size):
        weights = disc_weights(images.shape, xs[part], ys[part], r[part], overlap=overlap)
        results[part] = table_of_sums(weights, images)
    return tuple(np.ascontiguousarray(results.T))
