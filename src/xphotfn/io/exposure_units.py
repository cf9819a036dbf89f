"""The unit of exposure maps: seconds, or area times seconds, as BUNIT says it."""

import re
from typing import Any

import astropy.units as u

from xphotfn.errors import UnitMismatch
from xphotfn.io.cards import card
from xphotfn.typing import Header

__all__ = ("EXPOSURE_UNITS", "RATE_NAMES", "exposure_unit", "one_unit")

EXPOSURE_UNITS = (u.s, u.cm**2 * u.s)
"""Units that an exposure map may have; those in area times time count the photons that reach the telescope."""
RATE_NAMES = {"s": "ct/s", "cm2 s": "photon/(cm2 s)"}
"""How the unit of rates is written, by that of the exposure."""
_WORDS = {"s": r"\bsec(?:s|onds)?\b", "ct": r"\bcounts\b", "photon": r"\bphotons\b"}  # beside what astropy reads
_WRITTEN = {**{unit: unit for unit in EXPOSURE_UNITS}, u.cm**2 * u.s * u.ct / u.photon: u.cm**2 * u.s}
"""Units as BUNIT has them, and what each is: an effective area holds the efficiency whether its unit says so or not."""


def exposure_unit(header: Header, name: str) -> u.UnitBase:
    """Return the unit of an exposure map: ``s`` or ``cm2 s`` (also of ``cm2 s ct/photon``), never scaled.

    Without BUNIT it is in s, as eexpmap and emosaic write it. UnitMismatch, which names the file, for any other.

    Examples
    --------
    >>> exposure_unit({"BUNIT": "cm**2 sec"}, "a map"), exposure_unit({}, "another")
    (Unit("cm2 s"), Unit("s"))
    """
    text = str(card(header, "BUNIT", "") or "").strip()
    if not text:
        return u.s
    plain = text
    for word, pattern in _WORDS.items():
        plain = re.sub(pattern, word, plain)
    found = u.Unit(plain, parse_strict="silent")
    for written, unit in _WRITTEN.items():
        if found == written:
            return unit
    raise UnitMismatch(
        f"{name} is in {text!r} (BUNIT): an exposure map must be in s or cm**2 s; rescale its values and its BUNIT"
    )


def one_unit(units: Any, what: str) -> u.UnitBase:
    """Return the unit that all maps have; refuse several, whose numbers must not be joined."""
    found = list(dict.fromkeys(units))
    if len(found) > 1:
        raise UnitMismatch(
            f"{what} has exposure maps in {' and '.join(str(v) for v in found)}: their rates cannot be joined; "
            "measure maps of one unit at a time"
        )
    return found[0] if found else u.s
