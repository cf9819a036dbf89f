"""Which point spread function is meant, and the energy at which that of a band is taken."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from xphotfn.errors import InvalidRecord
from xphotfn.records.band import Band
from xphotfn.records.instrument import is_epic
from xphotfn.science.detection.search_map import EllipticalSpread
from xphotfn.science.encircled_energy import PointSpread
from xphotfn.science.king import EPIC_KING

__all__ = ("PsfLike", "band_energy_ev", "chosen_spread")


PsfLike: TypeAlias = str | PointSpread | EllipticalSpread | Mapping[str, str | PointSpread | EllipticalSpread]
"""``"epic"``, a point spread function of one's own, or one for each camera."""


def band_energy_ev(band: Band) -> float:
    """Return the energy at which the profile of a band is taken: the geometric mean of its ends.

    It lies within some per cent of the mean energy of the counts of a spectrum ``E^-1.8`` (0.95 keV in 0.5-2 keV, 4.2
    keV in 2-10 keV), which the arithmetic mean does not. A band from below 100 eV counts as one from 100 eV.

    Examples
    --------
    >>> band_energy_ev(Band(lo_ev=500, hi_ev=2000))
    1000.0
    """
    return float(np.sqrt(max(band.lo_ev, 100) * max(band.hi_ev, 100)))


def chosen_spread(psf: PsfLike, instrument: str, name: str) -> Any:
    """Return the point spread function that ``psf`` (``"epic"``, one's own, or a dict by camera) means for a camera.

    Raises
    ------
    InvalidRecord
        If there is none for the camera; ``name`` says in the message which map it is.
    """
    chosen = psf.get(instrument) if isinstance(psf, Mapping) else psf
    if isinstance(chosen, str) and chosen == "epic":
        if not is_epic(instrument):
            raise InvalidRecord(
                f'psf="epic" is of XMM-Newton, and {name} is of another telescope: give psf= of its own, a '
                "KingModel, or what EncircledEnergyTable.from_image makes of an image of a point source"
            )
        if instrument not in EPIC_KING:
            raise InvalidRecord(
                f"{name} is of no single camera, so it has no published profile: measure the maps of each camera and "
                "use joint_photometry, or give psf= of your own"
            )
        return EPIC_KING[instrument]
    if chosen is None and isinstance(psf, Mapping):
        raise InvalidRecord(f"psf has no entry for {instrument}: it has {', '.join(psf) or 'none at all'}")
    return chosen
