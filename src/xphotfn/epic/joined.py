"""Images and exposure maps, joined: where a map learns where its image was not looked at; and their mosaics."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from attrs import evolve

from xphotfn.epic.log import warn
from xphotfn.epic.looked_at import looked_at, names_places
from xphotfn.errors import InvalidFile
from xphotfn.io.fits import read_headers
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.science.mosaic import mosaic

__all__ = ("joined", "joined_mosaic")

_ROUND_OFF = 1e-5  # of sums in the type of the files, 4-byte reals


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


def joined_mosaic(image: Image, exposure: ExposureMap, members: Iterable[RateMap]) -> RateMap:
    """Return the rate map of a mosaic: without the exposure that its members did not have where they were cut.

    ``members`` is what :func:`joined` gives. The exposure that the file of a member shows where its image was cut goes
    onto the mosaic as emosaic puts it there, and is taken off. InvalidFile if it is not known where a member was cut:
    its counts are in the mosaic.
    """
    cut = [m for m in members if m.exposure.looked_at is not None]
    if not cut:
        return RateMap(image=image, exposure=exposure)
    unknown = [m.path for m in cut if m.exposure.looked_at is not None and not m.exposure.looked_at.any()]
    if unknown:
        why = "was cut, and where is not known, while its counts are in the mosaic: plan the mosaic without it"
        raise InvalidFile(", ".join(unknown), why)
    missing = (evolve(m.exposure, looked_at=None).data.astype(np.float64) - m.exposure.data for m in cut)
    lost = mosaic([m.grid for m in cut], missing, exposure.grid)[0]
    total = exposure.data.astype(np.float64)
    part = 1 - np.divide(lost, total, out=np.zeros(total.shape), where=total > 0)
    part = np.where(part < _ROUND_OFF, 0.0, np.minimum(part, 1.0))
    return RateMap(image=image, exposure=evolve(exposure, looked_at=part))
