"""Units of the columns of tables as they are found, also in the words of older files, and what they are in ours."""

import re

import astropy.units as u

from xphotfn.errors import InvalidFile

__all__ = ("column_factor",)

_NONE = ("", "-", "none", "dimensionless", "unitless", "n/a")
_WORDS = {  # of files, which astropy does not know
    "cts": "ct", "counts": "ct", "cnt": "ct", "cnts": "ct", "photons": "ph", "sec": "s", "secs": "s", "seconds": "s",
    "degree": "deg", "degrees": "deg", "degs": "deg", "arcs": "arcsec", "arcsecs": "arcsec", "arcseconds": "arcsec",
    "arcmins": "arcmin", "arcminutes": "arcmin", "radian": "rad", "radians": "rad",
}  # fmt: skip
_WORD = re.compile("[A-Za-z]+")
_AS_COUNTS = [
    (left / per, right / per)
    for left, right in ((u.ct, u.dimensionless_unscaled), (u.ct, u.ph), (u.ph, u.dimensionless_unscaled))
    for per in (u.dimensionless_unscaled, u.s, u.pix)
]


def column_factor(path: str, column: str, said: str, meant: str) -> float:
    """Return what the numbers of a column are multiplied with to have the unit that is meant.

    Parameters
    ----------
    path, column
        For the message.
    said
        The unit of the column; empty where it has none: then it is the one that is meant.
    meant
        Such as ``"arcsec"``, empty for a plain number. Counts, photons and plain numbers are one.

    Raises
    ------
    InvalidFile
        If ``said`` is no unit, or cannot be converted.

    Examples
    --------
    >>> column_factor("list.fits", "RATE", "counts/ks", "ct / s"), column_factor("list.fits", "RA", "hourangle", "deg")
    (0.001, 15.0)
    """
    unit = _unit(said)
    wanted = u.Unit(meant)
    if unit is None or unit == wanted or (wanted == u.pix and "pix" in said.lower()):
        return 1.0
    try:
        return float(f"{unit.to(wanted, equivalencies=_AS_COUNTS):.15g}")  # 15, not 15.000000000000002
    except (u.UnitsError, TypeError, ValueError) as error:
        if not meant and isinstance(unit, u.UnrecognizedUnit):
            return 1.0  # a word beside a number without unit
        wants = f"is read in {meant}" if meant else "has no unit"
        raise InvalidFile(
            path, f"column {column} has the unit {said!r}, but {wants}: convert it, or mend the unit"
        ) from error


def _unit(said: str) -> u.UnitBase | None:
    """Return the unit that a text says; None where it says none."""
    text = said.strip()
    if text.lower() in _NONE:
        return None
    unit = u.Unit(text, parse_strict="silent")
    if isinstance(unit, u.UnrecognizedUnit):
        words = _WORD.sub(lambda word: _WORDS.get(word[0].lower(), word[0]), text)
        unit = u.Unit(words, parse_strict="silent")
    return unit
