"""The columns of a table that hold positions: which they are, and what they say."""

from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.units import dec_deg, is_sexagesimal, ra_deg

__all__ = ("DEC_NAMES", "RA_NAMES", "SkyColumns", "cell_deg", "sky_columns", "unit_of")

RA_NAMES = ("ra", "ra_deg", "raj2000", "ra_icrs", "_raj2000", "ra_j2000")
DEC_NAMES = ("dec", "dec_deg", "dej2000", "dec_icrs", "de_icrs", "_dej2000", "dec_j2000", "decj2000")
_READ = {"ra": ra_deg, "dec": dec_deg}
_VIZIER = {'"h:m:s"': u.hourangle, '"d:m:s"': u.deg}  # units of text columns in tables of the CDS


class SkyColumns(NamedTuple):
    """Positions in degrees, shape (n,), NaN in blank cells; the columns that they came from."""

    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    names: tuple[str, ...]


def sky_columns(table: Any) -> SkyColumns:
    """Return the positions of an astropy Table with a SkyCoord, or with one column for RA and one for Dec.

    The case of their names does not matter: ``ra``, ``ra_deg``, ``RAJ2000``, ``_RAJ2000``, ``RA_ICRS``, and ``dec``,
    ``DEJ2000`` and so on. Numbers are degrees unless the column has another unit; texts are read as
    :func:`~xphotfn.units.ra_deg` does.

    Raises
    ------
    InvalidRecord, UnitMismatch
        If there is not one column for each, or a cell is no angle; the message names column and row.

    Examples
    --------
    >>> from astropy.table import Table
    >>> sky_columns(Table({"RAJ2000": ["06:00:00"], "DEJ2000": ["-05:00:00"]}))[:2]
    (array([90.]), array([-5.]))
    """
    for name in table.colnames:
        if hasattr(table[name], "icrs"):
            sky = table[name].icrs
            return SkyColumns(sky.ra.to_value(u.deg), sky.dec.to_value(u.deg), (name,))
    ra, dec = (_one(table, what, names) for what, names in (("ra", RA_NAMES), ("dec", DEC_NAMES)))
    return SkyColumns(_degrees(table[ra], ra, "ra"), _degrees(table[dec], dec, "dec"), (ra, dec))


def _one(table: Any, what: str, names: tuple[str, ...]) -> str:
    fits = [name for name in table.colnames if name.lower() in names]
    if len(fits) != 1:
        how = "no column" if not fits else f"several columns ({', '.join(fits)})"
        raise InvalidRecord(
            f"a table of positions needs columns ra and dec in degrees, or one SkyCoord; this one has {how} for "
            f"{what}: its columns are {', '.join(table.colnames)}"
        )
    return str(fits[0])


def unit_of(column: Any) -> Any:
    """Return the unit of a column, or None; the CDS's words for sexagesimal texts are units too."""
    unit = getattr(column, "unit", None)
    return None if unit is None else _VIZIER.get(str(unit), unit)


def cell_deg(value: Any, what: str, column: str, unit: Any) -> float:
    """Return a cell of the column ``column`` in degrees; ``what`` is ``ra`` or ``dec``.

    Raises
    ------
    UnitMismatch
        If it is no angle.
    """
    if what == "ra" and unit is not None and unit.is_equivalent(u.deg) and unit != u.hourangle:
        _refuse_hours_as_degrees(value, column, unit)
    return _READ[what](value, column, unit)


def _refuse_hours_as_degrees(value: Any, column: str, unit: Any) -> None:
    """Refuse ``09:58:22`` in a column that claims degrees: both readings are usual."""
    if is_sexagesimal(value):
        raise UnitMismatch(
            f"{column} has the unit {unit}, but {value!r} may be hours: give the column the unit hourangle, or none"
        )


def _degrees(column: Any, name: str, what: str) -> NDArray[np.float64]:
    unit = unit_of(column)
    values = np.ma.asarray(getattr(column, "value", column))
    if values.dtype.kind in "iuf" and (unit is None or unit.is_equivalent(u.deg)):
        return np.asarray(u.Quantity(np.ma.filled(values.astype(float), np.nan), unit or u.deg).to_value(u.deg))
    found = np.full(values.shape, np.nan)
    for row, value in enumerate(values):
        if not (np.ma.is_masked(value) or str(value).strip() in ("", "--", "nan")):
            try:
                found[row] = cell_deg(value, what, name, unit)
            except UnitMismatch as error:
                raise UnitMismatch(f"row {row + 1} of the table: {error}") from error
    return found
