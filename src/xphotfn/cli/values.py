"""What options hold: angles, radii, bands and pairs, from text to Quantity and records."""

import re
from typing import Any

from xphotfn.errors import InvalidRecord, UnitMismatch

__all__ = ("angle", "background", "band", "pair", "position", "radius", "region")

_OVERDENSITY = ("r200", "r500", "r2500")
_NAMED = (*_OVERDENSITY, "point", "region")


def angle(text: str, option: str) -> float:
    """Return degrees from degrees, or from a text with a unit such as ``9h58m22s``."""
    import astropy.units as u
    from astropy.coordinates import Angle

    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(Angle(text).to_value(u.deg))
    except (ValueError, u.UnitsError) as error:
        raise UnitMismatch(f"{option} must be degrees or an angle such as 9h58m22s, got {text!r}") from error


def radius(text: str, option: str = "--radius") -> Any:
    """Return a radius as Quantity."""
    from xphotfn.units import quantity

    if text in _OVERDENSITY:
        raise UnitMismatch(f"{option} {text} needs --targets, a table with that radius; here give one such as 1200kpc")
    return quantity(text, option, "1200kpc or 30arcsec")


def region(text: str) -> Any:
    """Return a radius as Quantity, or the name of one that the target has, such as ``r500``."""
    return text if text in _NAMED else radius(text)


def band(text: str) -> Any:
    """Return the band of a text such as ``0.5-2.0keV``; the unit may stand at either or both ends."""
    from xphotfn.records.band import energy_band

    found = re.fullmatch(r"\s*([\d.]+)\s*([A-Za-z]*)\s*-\s*([\d.]+)\s*([A-Za-z]+)\s*", text)
    if not found:
        raise UnitMismatch(f"--band must be such as 0.5-2.0keV, two energies with their unit, got {text!r}")
    lo, lo_unit, hi, hi_unit = found.groups()
    return energy_band(f"{lo} {lo_unit or hi_unit}", f"{hi} {hi_unit}")


def pair(text: str, option: str, example: str) -> tuple[str, str]:
    """Return the two parts of a text with one comma."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(parts):
        raise InvalidRecord(f"{option} takes two values with a comma between, such as {example}, got {text!r}")
    return parts[0], parts[1]


def position(text: str, option: str) -> tuple[float, float]:
    """Return RA and Dec in degrees from ``RA,DEC``."""
    ra, dec = pair(text, option, "149.592,-11.06")
    return angle(ra, option), angle(dec, option)


def background(text: str | None) -> tuple[Any, Any] | None:
    """Return the edges of a background ring: two factors of the radius, or two radii; None for the default ring."""
    if text is None:
        return None
    inner, outer = pair(text, "--background", "1.05,1.5 or 40arcsec,60arcsec")
    try:
        return float(inner), float(outer)
    except ValueError:
        return radius(inner, "--background"), radius(outer, "--background")
