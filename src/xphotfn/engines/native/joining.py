"""An image and its exposure map, joined: the one place where the map learns where the image was not looked at."""

from pathlib import Path

import numpy as np
from attrs import evolve

from xphotfn.engines.native.places import looked_at, names_places
from xphotfn.engines.native.reporting import warn
from xphotfn.errors import InvalidFile
from xphotfn.io.fits import read_headers
from xphotfn.io.products import ExposureMap, Image, RateMap

__all__ = ("joined",)


def joined(image: Image, exposure: ExposureMap) -> RateMap:
    """Return the rate map of an image and its exposure map.

    Parameters
    ----------
    image, exposure
        Of one observation, camera, exposure and band, on the same grid.

    Returns
    -------
    RateMap
        Its exposure is 0 where the data subspace of the image says that it was cut out (regions, masks, ranges of
        coordinates): SAS's exposure maps do not know of that. All that is measured on the map agrees.

    Raises
    ------
    InvalidRecord, ShapeMismatch
        As :class:`~xphotfn.io.products.RateMap`.

    Warns
    -----
    UserWarning
        If the image was cut in a way that its own file does not place: its exposure is then 0 everywhere.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> pair = example_rate_map()
    >>> joined(pair.image, pair.exposure) == pair
    True
    """
    if not names_places(read_headers(image.path)[0]) or "PLACES" in read_headers(exposure.path)[0]:
        return RateMap(image=image, exposure=exposure)  # nothing was cut, or the map is cut as its image
    try:
        part = looked_at(Path(image.path))
    except InvalidFile as error:
        warn("unplaced", f"{error}; nothing is measured on this image")
        part = np.zeros(image.grid.shape, dtype=np.float32)
    return RateMap(image=image, exposure=evolve(exposure, looked_at=part))
