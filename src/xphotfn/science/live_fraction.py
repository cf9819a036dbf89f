"""The part of the good time in which a camera recorded frames: what is usual, where no event list says it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import final

from attrs import frozen

__all__ = ("LiveFraction", "usual_live_fraction")


@final
@frozen(kw_only=True)
class LiveFraction:
    """A usual live fraction with the range in which it was found.

    Parameters
    ----------
    value
        The fraction, 1 where nothing is known.
    low, high
        Least and greatest that was found.
    maps
        How many real exposure maps it comes from; 0 where nothing is known.
    """

    value: float
    low: float
    high: float
    maps: int

    def __str__(self) -> str:
        if self.maps == 0:
            return "100 % (nothing is known of this mode)"
        usual = f"{100 * self.value:.1f} %"
        if self.maps == 1:
            return f"{usual} (as on the one real map of this mode)"
        return f"{usual} ({100 * self.low:.1f} to {100 * self.high:.1f} % on {self.maps} real maps)"


_UNKNOWN = LiveFraction(value=1.0, low=1.0, high=1.0, maps=0)
_MOS = LiveFraction(value=0.991, low=0.988, high=0.993, maps=9)
_PN: Mapping[str, LiveFraction] = MappingProxyType(
    {
        "PrimeFullWindow": LiveFraction(value=0.949, low=0.949, high=0.949, maps=1),
        "PrimeFullWindowExtended": LiveFraction(value=0.875, low=0.85, high=0.885, maps=4),
        "PrimeSmallWindow": LiveFraction(value=0.997, low=0.997, high=0.997, maps=1),
    }
)


def usual_live_fraction(instrument: str, submode: str) -> LiveFraction:
    """Return the usual live fraction of a camera in a mode.

    Parameters
    ----------
    instrument
        ``pn``, ``mos1`` or ``mos2``.
    submode
        SUBMODE of the header; empty counts as full window.

    Returns
    -------
    LiveFraction
        Beyond what the mode itself costs (OOTFRAC of pn): frames that were lost to full buffers and particles.

    Notes
    -----
    Scale of SAS's exposure maps over the good time intervals of their images. It depends on how bright the field and
    the background were, so a map that rests on it is uncertain by the range: the event list is the better source.

    Examples
    --------
    >>> print(usual_live_fraction("pn", "PrimeFullWindowExtended"))
    87.5 % (85.0 to 88.5 % on 4 real maps)
    >>> usual_live_fraction("mos1", "PrimeFullWindow").value
    0.991
    """
    return _MOS if instrument != "pn" else _PN.get(submode or "PrimeFullWindow", _UNKNOWN)
