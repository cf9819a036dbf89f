"""Units: ``xmm_sky``, and the one place where a Quantity becomes a float."""

import numbers
from typing import Any

import astropy.units as u
from astropy.units import Quantity

from xphotfn.errors import UnitMismatch

__all__ = ("angle_deg", "energy_ev", "position_deg", "quantities", "quantity", "xmm_sky")


class _XmmSky(u.IrreducibleUnit):  # type: ignore[misc]
    """The unit of X and Y; sent to another process it arrives as the same object, so that it still equals itself."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _the_xmm_sky, ()


def _the_xmm_sky() -> "_XmmSky":
    return xmm_sky


xmm_sky = _XmmSky("xmm_sky", doc="XMM-Newton sky coordinate (columns X and Y of an event list), 0.05 arcsec")


def quantity(value: Any, what: str, example: str) -> Quantity:
    """Return ``value`` as a Quantity that carries a unit, or raise with an example of what to write.

    Parameters
    ----------
    value
        A Quantity or a text such as ``"0.5 keV"``.
    what
        What the value is, for the error message.
    example
        Something that would have been accepted.

    Raises
    ------
    UnitMismatch
        If it is no quantity or has no unit.
    """
    try:
        result = value if isinstance(value, Quantity) else Quantity(value)
    except (TypeError, ValueError) as error:
        raise UnitMismatch(f"{what} must be a quantity such as {example}, got {value!r}") from error
    if result.unit == u.dimensionless_unscaled:
        raise UnitMismatch(f"{what} needs a unit: write for example {example}, got {value!r}")
    return result


def quantities(values: Any, what: str, example: str = "300*u.kpc or 30*u.arcsec") -> tuple[Quantity, ...]:
    """Return one Quantity, a Quantity of several values, or a sequence of them, as single quantities.

    Raises
    ------
    UnitMismatch
        If one has no unit.

    Examples
    --------
    >>> quantities([1, 2] * u.arcmin, "circles=")
    (<Quantity 1. arcmin>, <Quantity 2. arcmin>)
    >>> quantities("1 arcmin", "circles="), quantities((), "circles=")
    ((<Quantity 1. arcmin>,), ())
    """
    several = (values,) if isinstance(values, str) or getattr(values, "ndim", 1) == 0 else values
    try:
        given = tuple(several)
    except TypeError as error:
        raise UnitMismatch(f"{what} must be quantities such as {example}, got {values!r}") from error
    return tuple(quantity(value, what, example) for value in given)


def energy_ev(value: Any, what: str = "an energy") -> int:
    """Return an energy as integer eV, rounded to the nearest (never truncated).

    Raises
    ------
    UnitMismatch
        If the unit is no energy.

    Examples
    --------
    >>> energy_ev(1.001 * u.keV)
    1001
    """
    energy = quantity(value, what, "0.5*u.keV")
    try:
        ev = float(energy.to_value(u.eV))
        return round(ev)
    except (u.UnitConversionError, TypeError, ValueError, OverflowError) as error:
        raise UnitMismatch(f"{what} must be one finite energy such as 0.5*u.keV, got {value}") from error


def angle_deg(value: Any, what: str = "an angle") -> float:
    """Return an angle in degrees; a bare number is taken as degrees.

    Raises
    ------
    UnitMismatch
        If the unit is no angle.

    Examples
    --------
    >>> angle_deg(30 * u.arcmin)
    0.5
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    angle = quantity(value, what, "149.59209*u.deg")
    try:
        return float(angle.to_value(u.deg))
    except (u.UnitConversionError, TypeError) as error:
        raise UnitMismatch(f"{what} must be one angle such as 149.59209*u.deg, got {value}") from error


def position_deg(position: Any, what: str = "position") -> tuple[float, float]:
    """Return one sky position as (RA, Dec) in degrees.

    Parameters
    ----------
    position
        A Quantity ``[ra, dec]`` of angles, a pair of angles or degrees, or a SkyCoord.
    what
        What the position is, for the error message.

    Raises
    ------
    UnitMismatch
        If it is not a pair of angles.

    Examples
    --------
    >>> position_deg([10, -5] * u.deg)
    (10.0, -5.0)
    """
    if hasattr(position, "ra") and hasattr(position, "dec"):
        return angle_deg(position.ra, what), angle_deg(position.dec, what)
    try:
        ra, dec = position
    except (TypeError, ValueError) as error:
        raise UnitMismatch(f"{what} must be a pair [ra, dec] in degrees, got {position!r}") from error
    return angle_deg(ra, f"RA of {what}"), angle_deg(dec, f"Dec of {what}")
