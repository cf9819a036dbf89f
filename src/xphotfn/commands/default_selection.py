"""Which events an image holds where nobody says otherwise: the band as PI channels, good flags and patterns."""

import math
from collections.abc import Sequence
from typing import SupportsFloat

from xphotfn.commands.selection import Symbol, columns, parse, walk
from xphotfn.errors import InvalidRecord
from xphotfn.records.band import Band
from xphotfn.records.instrument import instrument as camera_of

__all__ = ("Channels", "channels", "clean_expression", "pi_channel", "selection_expression")

Channels = tuple[int, int]


def pi_channel(energy_ev: SupportsFloat) -> int:
    """Return the PI channel of an energy: EPIC PI channels are 1 eV wide.

    Parameters
    ----------
    energy_ev
        Energy in eV.

    Raises
    ------
    InvalidRecord
        For a negative energy, NaN or infinity.

    Notes
    -----
    Rounded, never cut: 1.001 keV is 1000.9999999999999 eV in floating point and channel 1001 (XGA takes 1000).
    An exact half goes to the even channel.

    References
    ----------
    XMM-Newton Data Files Handbook, EPIC event lists: PI in eV.

    Examples
    --------
    >>> 1.001 * 1000.0, pi_channel(1.001 * 1000.0)
    (1000.9999999999999, 1001)
    """
    energy = float(energy_ev)
    if not (math.isfinite(energy) and energy >= 0):
        raise InvalidRecord(f"energy_ev must be 0 or more, got {energy_ev!r}")
    return round(energy)


def channels(band: Sequence[SupportsFloat]) -> Channels:
    """Return a band as channels, and refuse one that does not run upwards."""
    if len(band) != 2:
        raise InvalidRecord(f"a band is a pair (lo_ev, hi_ev), got {band!r}")
    found = Band(lo_ev=pi_channel(band[0]), hi_ev=pi_channel(band[1]))
    return found.lo_ev, found.hi_ev


def clean_expression(instrument: str) -> str:
    """Return the condition of good flags and patterns of a camera.

    >>> clean_expression("pn")
    '#XMMEA_EP && (PATTERN <= 4)'
    """
    return camera_of(instrument).good_events


def selection_expression(
    band_lo_ev: SupportsFloat, band_hi_ev: SupportsFloat, instrument: str, *, filtered: bool, extra: str = ""
) -> str:
    """Return the default selection of events for an image in a band.

    Parameters
    ----------
    band_lo_ev, band_hi_ev
        Band in eV, both channels included.
    instrument
        ``pn``, ``mos1`` or ``mos2``.
    filtered
        True where the event list has been cleaned already, so that its own record holds flags and patterns.
    extra
        A further condition, which must hold too. One that speaks of flags or patterns itself (FLAG, PATTERN, a macro
        such as ``#XMMEA_EM``) replaces SAS's; any other, such as good times or a region, is added to them.

    Returns
    -------
    The expression: the band alone for a filtered list, else also SAS's flags and patterns for the camera.

    Raises
    ------
    InvalidRecord
        For an unknown instrument or a band that does not run upwards.
    ExpressionError
        If ``extra`` cannot be read.

    References
    ----------
    SAS selectlib, nodes 14 and 24 (the language); XMM-Newton SAS Users Guide, EPIC images (flags and patterns).

    Examples
    --------
    >>> selection_expression(500, 2000, "pn", filtered=True)
    '(PI in [500:2000])'
    >>> selection_expression(500, 2000, "mos1", filtered=False)
    '#XMMEA_EM && (PATTERN <= 12) && (PI in [500:2000])'
    >>> selection_expression(500, 2000, "mos1", filtered=False, extra="gti(good.fits,TIME)")
    '#XMMEA_EM && (PATTERN <= 12) && (PI in [500:2000]) && (gti(good.fits,TIME))'
    >>> selection_expression(500, 2000, "mos1", filtered=False, extra="FLAG == 0")
    '(PI in [500:2000]) && (FLAG == 0)'
    """
    clean = clean_expression(instrument)
    lo, hi = channels((band_lo_ev, band_hi_ev))
    parts = () if filtered or _names_quality(extra) else (clean,)
    more = (f"({extra.strip()})",) if extra.strip() else ()
    return " && ".join((*parts, f"(PI in [{lo}:{hi}])", *more))


def _names_quality(selection: str) -> bool:
    """Whether a selection speaks of flags or patterns, itself or by one of SAS's macros."""
    if not selection.strip():
        return False
    tree = parse(selection)
    macros = any(isinstance(node, Symbol) and node.name.startswith("XMMEA") for node in walk(tree))
    return macros or not {"FLAG", "PATTERN"}.isdisjoint(columns(tree))
