"""What options hold: radii, bands and pairs, from text to Quantity and records."""

import math
import re
from pathlib import Path
from typing import Any

from xphotfn.errors import InvalidRecord, UnitMismatch

__all__ = ("background", "band", "flares", "pair", "part", "radius", "region")

_ENERGY_UNITS = {"kev": "keV", "ev": "eV"}  # in any case; meV and MeV differ by theirs


def radius(text: str, option: str = "--radius") -> Any:
    """Return a radius as Quantity."""
    from xphotfn.records.target import OVERDENSITIES
    from xphotfn.units import quantity

    if text in OVERDENSITIES:
        raise UnitMismatch(f"{option} {text} needs --targets, a table with that radius; here give one such as 1200kpc")
    found = quantity(text, option, "1200kpc or 30arcsec")
    if not any(found.unit.is_equivalent(unit) for unit in ("deg", "kpc")):
        raise UnitMismatch(f"{option} must be an angle or a length such as 30arcsec or 1200kpc, got {text!r}")
    if not 0 < found.value < math.inf:
        raise InvalidRecord(f"{option} must be above 0, and finite, got {text!r}: give one such as 1200kpc or 30arcsec")
    return found


def region(text: str, option: str = "--radius") -> Any:
    """Return a radius as Quantity, or the name of one that the target has, such as ``r500``."""
    from xphotfn.measure.aperture import REGIONS

    return text if text in REGIONS else radius(text, option)


def band(text: str) -> Any:
    """Return the band of a text such as ``0.5-2.0keV``; the unit may stand at either or both ends."""
    from xphotfn.records.band import energy_band

    found = re.fullmatch(r"\s*([\d.]+)\s*([A-Za-z]*)\s*-\s*([\d.]+)\s*([A-Za-z]+)\s*", text)
    if not found:
        raise UnitMismatch(f"--band must be such as 0.5-2.0keV, two energies with their unit, got {text!r}")
    lo, lo_unit, hi, hi_unit = (_ENERGY_UNITS.get(part.lower(), part) for part in found.groups())
    return energy_band(f"{lo} {lo_unit or hi_unit}", f"{hi} {hi_unit}")


def pair(text: str, option: str, example: str) -> tuple[str, str]:
    """Return the two parts of a text with one comma."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(parts):
        raise InvalidRecord(f"{option} takes two values with a comma between, such as {example}, got {text!r}")
    return parts[0], parts[1]


def part(text: str) -> tuple[int, int]:
    """Return which part of how many of a text such as ``3/100``."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    number, count = (int(word) for word in found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise InvalidRecord(f"--part is which of how many, got {text!r}: give 3/100 for the third of a hundred")
    return number, count


def probability(value: float | None, option: str) -> float | None:
    """Return a confidence between 0 and 1, or None; a percentage is refused in the words of the option."""
    if value is not None and not 0 < value < 1:
        raise InvalidRecord(f"{option} must lie between 0 and 1, got {value:g}: 0.95 is 95 %")
    return value


def background(text: str | None) -> tuple[Any, Any] | None:
    """Return the edges of a background ring: two factors of the radius, or two radii; None for the default ring."""
    if text is None:
        return None
    inner, outer = pair(text, "--background", "1.05,1.5 or 40arcsec,60arcsec")
    try:
        return float(inner), float(outer)
    except ValueError:
        return radius(inner, "--background"), radius(outer, "--background")


def flares(text: str) -> Any:
    """Return what ``--flares`` means: a word or a condition as it is, the good time of a file that is there."""
    if Path(text).is_file():
        from xphotfn.io.good_time_files import read_good_times

        return read_good_times(text)
    return text
