"""What the background of each pixel is proportional to, as users give it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.io.products import ExposureMap, RateMap

__all__ = ("weights_image",)


WHOLE = (slice(None), slice(None))


def weights_image(
    given: Any, item: RateMap, live: NDArray[np.bool_], window: tuple[slice, slice] = WHOLE
) -> NDArray[np.float64]:
    """Return background weights as an image.

    Parameters
    ----------
    given
        An array of shape (ny, nx) or an exposure map.
    item
        The map whose background it is.
    live
        Pixels of the window that are used, shape (ny, nx); the weights are 0 elsewhere.
    window
        Part of the map that is wanted.

    Raises
    ------
    InvalidRecord, ShapeMismatch
        If it is no image, has another shape, or is negative or not finite on a live pixel.
    """
    try:
        array = np.asarray(given.data if isinstance(given, ExposureMap) else given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(
            f"background_weights must be one image or exposure map for each map, got {type(given).__name__}"
        ) from error
    if array.shape != item.grid.shape:
        raise ShapeMismatch(f"background_weights have shape {array.shape}, {item} has {item.grid.shape}")
    used = np.where(live, array[window], 0.0)
    if not np.all(np.isfinite(used) & (used >= 0)):
        raise InvalidRecord(f"background_weights must be finite and not negative where {item} has exposure")
    return np.asarray(used)
