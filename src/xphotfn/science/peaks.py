"""The brightest position of a map."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import NoData

__all__ = ("clustering_peak", "near_edge", "simple_peak")

Pixel = tuple[int, int]
Place = tuple[float, float]


def simple_peak(rate: NDArray[np.floating], mask: NDArray[np.bool_], *, near: Place | None = None) -> Pixel:
    """Return the pixel (x, y) of the highest rate under the mask.

    Parameters
    ----------
    rate
        Count rate, shape (ny, nx).
    mask
        True = used.
    near
        Where several are equal the one nearest to this pixel position wins, the first in row order where it is None.

    Raises
    ------
    NoData
        If the mask leaves no pixel with a positive rate.

    Examples
    --------
    >>> simple_peak(np.array([[1.0, 5.0], [9.0, 2.0]]), np.array([[True, True], [False, True]]))
    (1, 0)
    """
    pixels, rates = _under(rate, mask)
    equal = pixels[rates == rates.max()]
    return _pixel(int(equal[np.argmin(_away(equal, rate.shape, near))]), rate.shape)


def clustering_peak(
    rate: NDArray[np.floating],
    mask: NDArray[np.bool_],
    *,
    top_fraction: float = 0.05,
    join_pix: float = 5.0,
    near: Place | None = None,
) -> Pixel:
    """Return the brightest pixel (x, y) of the largest group of bright pixels.

    Parameters
    ----------
    rate
        Count rate, shape (ny, nx).
    mask
        True = used.
    top_fraction
        Fraction of the non-zero pixels that count as bright.
    join_pix
        Bright pixels no further apart than this belong to one group.
    near
        Of equal pixels and of groups as large those nearest to this pixel position win; in row order where it is None.

    Returns
    -------
    tuple of int
        (x, y), 0-based.

    Raises
    ------
    NoData
        If the mask leaves no pixel with a positive rate.

    Notes
    -----
    Groups are the connected components of the graph that joins pixels within ``join_pix``: the same as
    single-linkage clusters cut at that distance, without the matrix of all pairs. At least one pixel is bright.

    References
    ----------
    XGA ``imagetools``/``products/phot.py``, ``clustering_peak`` (scipy's fclusterdata).
    """
    pixels, rates = _under(rate, mask)
    lit, flat = pixels[rates != 0], rates[rates != 0]
    wanted = max(1, round(top_fraction * lit.size))
    level = np.partition(flat, -wanted)[-wanted]
    above, equal = lit[flat > level], lit[flat == level]
    nearest = np.argsort(_away(equal, rate.shape, near), kind="stable")[: wanted - above.size]
    bright = np.sort(np.concatenate([above, equal[nearest]]))
    labels = _groups(np.column_stack([bright % rate.shape[1], bright // rate.shape[1]]), join_pix)
    away, sizes = _away(bright, rate.shape, near), np.bincount(labels)
    members = np.isin(labels, np.flatnonzero(sizes == sizes.max()))
    chosen = bright[labels == labels[members][np.argmin(away[members])]]
    rates = rate.ravel()[chosen]
    best = chosen[rates == rates.max()]
    return _pixel(int(best[np.argmin(_away(best, rate.shape, near))]), rate.shape)


def _away(pixels: NDArray[np.intp], shape: tuple[int, ...], near: Place | None) -> NDArray[np.float64]:
    """Return the squared distances of flat pixel numbers from a place; zeros where there is none."""
    if near is None:
        return np.zeros(pixels.size)
    y, x = np.divmod(pixels, shape[1])
    return np.asarray((x - near[0]) ** 2 + (y - near[1]) ** 2, dtype=np.float64)


def _pixel(number: int, shape: tuple[int, ...]) -> Pixel:
    return number % shape[1], number // shape[1]


def _groups(points: NDArray[np.intp], distance: float) -> NDArray[np.int32]:
    """Return a label per point; points joined by steps of at most ``distance`` share one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
    links = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(points),) * 2)
    labels: NDArray[np.int32] = connected_components(links, directed=False)[1]
    return labels


def _under(rate: NDArray[np.floating], mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return the flat numbers of the pixels under a mask, in row order, and their rates."""
    pixels = np.flatnonzero(mask)
    if not pixels.size:
        raise NoData("the mask leaves no pixel to look for a peak in: use a larger search radius or another centre")
    rates = rate.ravel()[pixels]
    if not np.any(rates > 0):
        raise NoData("there is not one count under the mask: no peak can be found; use a larger search radius")
    return pixels, rates


def near_edge(edge: NDArray[np.bool_], pixel: Pixel) -> bool:
    """Return whether any of the 5 x 5 pixels around ``pixel`` is on the rim or off the image.

    Parameters
    ----------
    edge
        Edge mask, False on the rim.
    pixel
        (x, y).

    References
    ----------
    XGA ``products/phot.py``, ``RateMap.near_edge``.
    """
    x, y = pixel
    window = edge[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
    return bool(window.size != 25 or not window.all())
