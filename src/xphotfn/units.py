"""Units: ``xmm_sky``, and the one place where a Quantity becomes a float."""

import numbers
import re
from typing import Any

import astropy.units as u
import numpy as np
from astropy.units import Quantity
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch, UnitMismatch
from xphotfn.typing import (
    AngleLike,
    ColumnDensityLike,
    EnergyLike,
    PositionLike,
    PositionsLike,
    QuantityLike,
    RadiiLike,
    UnitLike,
)

__all__ = ("angle_deg", "column_density_cm2", "dec_deg", "energy_ev", "is_sexagesimal", "is_sky", "position_deg",
           "positions_deg", "quantities", "quantity", "ra_deg", "rate_unit", "xmm_sky")  # fmt: skip

_LEAST_NH = 1e10  # cm-2; no sight through the Galaxy has so little


class _XmmSky(u.IrreducibleUnit):  # type: ignore[misc]
    """The unit of X and Y; sent to another process it arrives as the same object, so that it still equals itself."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _the_xmm_sky, ()


def _the_xmm_sky() -> "_XmmSky":
    return xmm_sky


xmm_sky = _XmmSky("xmm_sky", doc="XMM-Newton sky coordinate (columns X and Y of an event list), 0.05 arcsec")


def rate_unit(exposure: u.UnitBase) -> u.UnitBase:
    """Return the unit of rates over an exposure in s or cm2 s.

    An exposure in area times time holds the efficiency of the telescope, so what it divides are photons.

    Examples
    --------
    >>> rate_unit(u.s), rate_unit(u.cm**2 * u.s)
    (Unit("ct / s"), Unit("ph / (s cm2)"))
    """
    return (u.ct if exposure == u.s else u.photon) / exposure


def quantity(value: QuantityLike, what: str, example: str) -> Quantity:
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
    # astropy's == would format both units into the text of an error that it catches, at every call
    if getattr(result.unit, "bases", None) == [] and result.unit.scale == 1:
        raise UnitMismatch(f"{what} needs a unit: write for example {example}, got {value!r}")
    return result


def quantities(values: RadiiLike, what: str, example: str = "300*u.kpc or 30*u.arcsec") -> tuple[Quantity, ...]:
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


def energy_ev(value: EnergyLike, what: str = "an energy") -> int:
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


def column_density_cm2(value: ColumnDensityLike, what: str = "nh") -> float:
    """Return a column density in 1/cm2, of a Quantity, a text such as ``"3e20 / cm2"``, or what has it as ``value``.

    Raises
    ------
    UnitMismatch
        If it has no unit or is no column density: a bare number could be in 1/cm2 or in 1e22/cm2.
    InvalidRecord
        If it is negative or not finite, or below 1e10 cm-2 and not 0: such a number is one in 1e22 cm-2.

    Examples
    --------
    >>> column_density_cm2(0.03 * u.Unit("1e22 / cm2")), column_density_cm2("3e20 / cm2")
    (3e+20, 3e+20)
    """
    inner = value if isinstance(value, Quantity | str) else getattr(value, "value", value)
    given = quantity(inner, what, "3e20/u.cm**2")
    try:
        result = float(given.to_value(u.cm**-2))
    except (u.UnitConversionError, TypeError) as error:
        raise UnitMismatch(f"{what} must be one column density such as 3e20/u.cm**2, got {value}") from error
    if not 0 <= result < np.inf:
        raise InvalidRecord(f"{what} must be finite and not negative, got {value}")
    if 0 < result < _LEAST_NH:
        raise InvalidRecord(
            f"{what} must be 0 or a column density of gas, some 1e19 to 1e23 cm-2, got {result:g} cm-2: if that is in "
            f"1e22 cm-2, write {what}={result:g}*u.Unit('1e22 / cm2')"
        )
    return result


def angle_deg(value: AngleLike, what: str = "an angle") -> float:
    """Return an angle in degrees; a bare number is taken as degrees, a text without a unit is refused.

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


def is_sexagesimal(value: object) -> bool:
    """Return whether a value is a text of three numbers without a unit, such as ``09:58:22`` or ``-11 03 35``.

    Examples
    --------
    >>> [is_sexagesimal(text) for text in ("09:58:22", "-11 03 35", "9h58m22s", "149.6")]
    [True, True, False, False]
    """
    return isinstance(value, str) and bool(_SEXAGESIMAL.fullmatch(value.strip()))


_SEXAGESIMAL = re.compile(r"[+\-\u2212]?\d+(?P<between>:|\s+)\d+(?P=between)\d+(\.\d*)?")


def ra_deg(value: AngleLike, what: str = "RA", unit: UnitLike | None = None) -> float:
    """Return a right ascension in degrees.

    Parameters
    ----------
    value
        A number (degrees), a Quantity, or a text: a number of degrees, an angle with its unit (``9h58m22s``,
        ``149d35m31s``, ``149.592 deg``), or three numbers with colons or blanks between (``09:58:22``), which are
        **hours**, minutes and seconds.
    what
        What it is, for the error message.
    unit
        The unit of a table's column: it is that of numbers and of texts without a unit of their own.

    Raises
    ------
    UnitMismatch
        If it is no angle, or could be hours as well as degrees (``149:35:31``, ``9:58``).

    Examples
    --------
    >>> ra_deg("06:00:00"), ra_deg("6h"), ra_deg("90.0"), ra_deg(90)
    (90.0, 90.0, 90.0, 90.0)
    >>> ra_deg("149:36:00", unit=u.deg)
    149.6
    """
    if unit is None and isinstance(value, str) and is_sexagesimal(value):
        if float(re.split(r"[:\s]", value.strip(), maxsplit=1)[0]) >= 24:
            raise UnitMismatch(
                f"{what} with colons or blanks is in hours, below 24, got {value!r}: write degrees as 149d35m31s"
            )
        return _text_deg(value, what, u.hourangle)
    hours = unit is not None and unit != u.deg and u.Unit(unit) == u.hour  # the hour of time, where angles are meant
    return _coordinate_deg(value, what, u.hourangle if hours else unit)


def dec_deg(value: AngleLike, what: str = "Dec", unit: UnitLike | None = None) -> float:
    """Return a declination in degrees; as :func:`ra_deg`, but ``-11:03:35`` is degrees, arc minutes and arc seconds.

    Examples
    --------
    >>> dec_deg("-11:03:36"), dec_deg("-11d03m36s"), dec_deg("-00 30 00"), dec_deg(-11.06)
    (-11.06, -11.06, -0.5, -11.06)
    """
    return _coordinate_deg(value, what, unit)


def _coordinate_deg(value: Any, what: str, unit: Any) -> float:
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return _text_deg(value, what, u.deg if unit is None else unit)
    if unit is not None and isinstance(value, numbers.Real):
        value = u.Quantity(float(value), unit)
    return angle_deg(value, what)


def _text_deg(text: str, what: str, unit: Any) -> float:
    """Return degrees from a text; ``unit`` is that of a text without one."""
    plain = text.strip().replace("\u2212", "-")
    try:
        return float(u.Quantity(float(plain), unit).to_value(u.deg))
    except u.UnitConversionError as error:
        raise UnitMismatch(f"{what} must be an angle, got {text!r} in {unit}") from error
    except ValueError:
        pass
    from astropy.coordinates import Angle

    if _SEXAGESIMAL.fullmatch(plain) and int(re.split(r"[:\s]+", plain)[1]) >= 60:
        raise UnitMismatch(f"{what} has minutes below 60, got {text!r}: write it as 09:58:22 or -11:03:35")
    numbers_only = not re.search(r"[^\d\s:.+\-]", plain)
    try:
        if not (numbers_only and not _SEXAGESIMAL.fullmatch(plain)):
            try:
                angle = Angle(plain)
            except u.UnitsError:  # it has no unit of its own
                angle = Angle(plain, unit)
            return float(angle.value * 15 if angle.unit == u.hourangle else angle.to_value(u.deg))
        why = ""
    except (ValueError, TypeError, u.UnitsError) as error:
        why = f" ({error})" if "range" in str(error) else ""
    raise UnitMismatch(
        f"{what} must be degrees, have a unit such as 9h58m22s or -11d03m35s, or be three numbers such as 09:58:22 "
        f"(RA in hours) or -11:03:35, got {text!r}{why}"
    )


def position_deg(position: PositionLike, what: str = "position") -> tuple[float, float]:
    """Return one sky position as (RA, Dec) in degrees, ICRS.

    Parameters
    ----------
    position
        A SkyCoord of any frame, a Quantity ``[ra, dec]``, a pair of what :func:`ra_deg` and :func:`dec_deg` take, one
        text of both (``"09:58:22 -11:03:35"``, ``"149.59, -11.06"``), or what has a ``position``, as a peak has.
    what
        What the position is, for the error message.

    Raises
    ------
    UnitMismatch
        If it is not a pair of angles.

    Examples
    --------
    >>> position_deg([10, -5] * u.deg), position_deg("06:00:00 -05:00:00"), position_deg("10, -5")
    ((10.0, -5.0), (90.0, -5.0), (10.0, -5.0))
    """
    if isinstance(position, Quantity) and position.shape == (2,) and position.unit.is_equivalent(u.deg):
        ra, dec = position.to_value(u.deg).tolist()
        return float(ra), float(dec)
    at: Any = getattr(position, "position", position)
    if hasattr(at, "icrs"):
        at = (at.icrs.ra.to_value(u.deg), at.icrs.dec.to_value(u.deg))
    elif isinstance(at, str):
        at = _halves(at)
    try:
        ra, dec = at
    except (TypeError, ValueError) as error:
        raise UnitMismatch(f"{what} must be a pair [ra, dec] in degrees, got {at!r}") from error
    return ra_deg(ra, f"RA of {what}"), dec_deg(dec, f"Dec of {what}")


def _halves(text: str) -> Any:
    """Return the two coordinates of a text: what a comma parts, else as many words for one as for the other."""
    if text.count(",") == 1:
        return text.split(",")
    words = text.split()
    half = len(words) // 2
    return (" ".join(words[:half]), " ".join(words[half:])) if words and len(words) % 2 == 0 else text


def positions_deg(positions: PositionsLike, what: str = "positions") -> NDArray[np.float64]:
    """Return one or several sky positions in degrees, ICRS, shape (2,) or (N, 2), RA first.

    Parameters
    ----------
    positions
        One position as :func:`position_deg` takes it, a SkyCoord or a Quantity of several, or a sequence of positions.
    what
        What they are, for the error message.

    Raises
    ------
    UnitMismatch, ShapeMismatch
        If a unit or the shape is wrong.

    Examples
    --------
    >>> positions_deg(["06:00:00 -05:00:00", "10.5 -5.5"]).tolist()
    [[90.0, -5.0], [10.5, -5.5]]
    """
    item: Any = getattr(positions, "position", positions)
    if hasattr(item, "icrs"):
        given = np.stack([item.icrs.ra.to_value(u.deg), item.icrs.dec.to_value(u.deg)], axis=-1)
    elif isinstance(item, Quantity):
        try:
            given = np.asarray(quantity(item, what, "[149.6, -11.1]*u.deg").to_value(u.deg), dtype=np.float64)
        except u.UnitConversionError as error:
            raise UnitMismatch(f"{what} are angles [ra, dec], got {item.unit}; coord_conv gives degrees") from error
    else:
        given = _of_sequence(item, what)
    if given.ndim not in (1, 2) or given.shape[-1] != 2:
        raise ShapeMismatch(f"{what} must have shape (2,) or (N, 2), RA first, got {given.shape}")
    return given


def _of_sequence(item: Any, what: str) -> NDArray[np.float64]:
    parts = list(item) if isinstance(item, list | tuple) else []
    if parts and all(_is_position(part) for part in parts):
        return np.array([position_deg(part, what) for part in parts])
    if isinstance(item, str) or (parts and all(isinstance(part, str) for part in parts)):
        return np.array(position_deg(item, what))
    try:
        return np.asarray(quantity(item, what, "[149.6, -11.1]*u.deg").to_value(u.deg), dtype=np.float64)
    except u.UnitConversionError as error:
        raise UnitMismatch(f"{what} are angles [ra, dec], got {item!r}; coord_conv gives degrees") from error


def is_sky(value: object) -> bool:
    """Return whether a value says by itself that it is on the sky: texts, SkyCoords, peaks, or a sequence of them.

    Examples
    --------
    >>> is_sky("10 -5"), is_sky(["10 -5", "11 -5"]), is_sky([10, -5])
    (True, True, False)
    """
    if isinstance(value, list | tuple):
        return any(is_sky(part) for part in value)
    return isinstance(value, str) or hasattr(value, "icrs") or hasattr(value, "position")


def _is_position(part: Any) -> bool:
    """Return whether an element of a sequence is a whole position: not a number, nor a text of one coordinate."""
    if isinstance(part, str):
        return not isinstance(_halves(part), str)
    if isinstance(part, list | tuple):
        return len(part) == 2 and all(isinstance(value, str) for value in part)
    return hasattr(part, "icrs") or hasattr(part, "position")
