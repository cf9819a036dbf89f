"""Sums over discs and rings around every pixel of an image at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.science._numeric import Floats

__all__ = ("disc_kernel", "ring_kernel", "sums_around")


def disc_kernel(radius: float, most: float = np.inf) -> NDArray[np.bool_]:
    """Return the pixels whose centre is less than ``radius`` pixels from the middle one.

    Raises
    ------
    InvalidRecord
        If the radius is not above 0, or above ``most``.

    Examples
    --------
    >>> int(disc_kernel(1.5).sum()), int(disc_kernel(1.0).sum())
    (9, 1)
    """
    if not 0 < radius < np.inf:
        raise InvalidRecord(f"the radius of an aperture must be above 0, got {radius} pixels")
    if radius > most:
        raise InvalidRecord(f"a circle of {radius:g} pixels is wider than the map ({most:.0f} pixels): give less")
    reach = int(np.ceil(radius)) - 1
    steps = np.arange(-reach, reach + 1.0) ** 2
    return np.asarray(steps + steps[:, None] < radius**2)


def ring_kernel(radius: float, inner: float, outer: float, most: float = np.inf) -> NDArray[np.bool_]:
    """Return the pixels between two circles, whose radii are ``inner`` and ``outer`` times ``radius``.

    Raises
    ------
    InvalidRecord
        If the factors do not grow from 1, the outer circle is above ``most`` pixels, or the ring holds no pixel.

    Examples
    --------
    >>> int(ring_kernel(1.0, 1.2, 2.2).sum())
    8
    """
    try:
        low, high = float(inner), float(outer)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"background needs two factors of the radius, got {inner!r} and {outer!r}") from error
    if not 1 <= low < high < np.inf:
        raise InvalidRecord(f"background needs 1 <= inner < outer, in units of the radius, got {low:g} and {high:g}")
    disc, hole = disc_kernel(high * radius, most), disc_kernel(low * radius)
    ring = disc & ~np.pad(hole, (len(disc) - len(hole)) // 2)
    if not ring.any():
        raise InvalidRecord(f"the background ring from {low * radius:g} to {high * radius:g} pixels holds no pixel")
    return np.asarray(ring)


def sums_around(image: Floats, kernel: NDArray[Any]) -> Floats:
    """Return the sum of an image over the kernel around each pixel.

    Parameters
    ----------
    image
        Array of shape (ny, nx), finite and not negative; beyond it everything is 0.
    kernel
        Weights, or bool with True = summed, of odd shape, symmetric about the middle.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        Not negative. By FFT: good to some 1e-15 of the sum of the largest aperture, so round counts to whole ones.

    Examples
    --------
    >>> sums_around(np.eye(3), disc_kernel(1.2)).round(9).tolist()
    [[1.0, 2.0, 0.0], [2.0, 1.0, 2.0], [0.0, 2.0, 1.0]]
    """
    from scipy.signal import fftconvolve

    return np.asarray(np.maximum(fftconvolve(image, kernel.astype(np.float64), mode="same"), 0.0))
