"""Count rate from counts and exposure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import ShapeMismatch
from xphotfn.science.pixel_masks import sensor_mask

__all__ = ("not_whole", "rate_map")


def rate_map(counts: NDArray[Any], exposure: NDArray[Any]) -> NDArray[np.float64]:
    """Return counts over exposure, 0 where there is no exposure.

    Parameters
    ----------
    counts
        Counts per pixel, shape (ny, nx).
    exposure
        Exposure in s, shape (ny, nx); zero, negative or NaN means off the detector.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        Count rate in ct/s per pixel.

    Raises
    ------
    ShapeMismatch
        If the shapes differ.

    Examples
    --------
    >>> rate_map(np.array([[6, 1]]), np.array([[3.0, 0.0]]))
    array([[2., 0.]])
    """
    if counts.shape != exposure.shape:
        raise ShapeMismatch(f"counts have shape {counts.shape} and the exposure map has {exposure.shape}")
    result = np.zeros(counts.shape, dtype=np.float64)
    on_chip = sensor_mask(exposure)
    np.divide(counts, exposure, out=result, where=on_chip, dtype=np.float64)
    return result


def not_whole(counts: NDArray[Any]) -> bool:
    """Return whether some of the values, none of them NaN, cannot be counts: not whole, or below 0.

    Examples
    --------
    >>> not_whole(np.array([3.0, 0.0])), not_whole(np.array([3.5])), not_whole(np.array([-1]))
    (False, True, True)
    """
    return bool(np.any(counts < 0) or (counts.dtype.kind == "f" and np.any(counts != np.floor(counts))))
