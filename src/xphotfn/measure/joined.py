"""Images and exposure maps, joined: those of exposures, and mosaics of them."""

from collections.abc import Iterable

import numpy as np
from attrs import evolve

from xphotfn.engines.native.joining import joined
from xphotfn.errors import InvalidFile
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.science.mosaic import mosaic

__all__ = ("joined", "joined_mosaic")

_ROUND_OFF = 1e-5  # of sums in the type of the files, 4-byte reals


def joined_mosaic(image: Image, exposure: ExposureMap, members: Iterable[RateMap]) -> RateMap:
    """Return the rate map of a mosaic: without the exposure that its members did not have where they were cut.

    Parameters
    ----------
    image, exposure
        The mosaics.
    members
        What went into them, as :func:`joined` gives it.

    Raises
    ------
    InvalidFile
        If it is not known where a member was cut: its counts are in the mosaic.

    Notes
    -----
    The exposure that the file of a member shows where its image was cut goes onto the mosaic as emosaic puts it there,
    and is taken off.
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
