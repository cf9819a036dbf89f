"""Targets from a table of a sample."""

from collections.abc import Mapping
from typing import Any

import astropy.units as u
import numpy as np

from xphotfn.errors import InvalidRecord, UnitMismatch, XphotfnError
from xphotfn.records.target import Target
from xphotfn.units import quantity

__all__ = ("target_rows", "targets_from_table")

_RADII = ("r200", "r500", "r2500", "radius")
_KNOWN = ("name", "kind", "ra", "dec", "redshift", "cosmology", *_RADII)
_ALIASES = {"z": "redshift", "ra_deg": "ra", "dec_deg": "dec", "raj2000": "ra", "dej2000": "dec", "id": "name"}


def targets_from_table(table: Any) -> tuple[Target, ...]:
    """Return one target per row.

    Parameters
    ----------
    table
        An astropy Table, a pandas DataFrame, a list of dicts, or anything that ``astropy.table.Table`` takes. Columns,
        in any case: ``name``, ``ra``, ``dec`` (degrees unless they have a unit; ``9h58m22s`` too), and where known
        ``redshift`` (``z``), ``r200``, ``r500``, ``r2500``, ``radius`` (kpc for clusters and arcsec for others unless
        they have a unit), ``kind`` (``cluster``, ``extended``, ``point``) and ``cosmology``. All other columns go to
        ``extra``.

    Returns
    -------
    tuple of Target
        In the order of the rows. Without a ``kind``, a row with a redshift and an overdensity radius is a cluster, one
        with a ``radius`` alone an extended source. Masked or NaN cells count as not given.

    Raises
    ------
    InvalidRecord, UnitMismatch
        If a column is missing or a cell is wrong; the message names the row.

    Examples
    --------
    >>> rows = [{"name": "A907", "ra": 149.592, "dec": -11.06, "z": 0.16, "r500": 1200.0, "richness": 71}]
    >>> target, = targets_from_table(rows)
    >>> target.r500, target.extra
    (<Quantity 1200. kpc>, (('richness', 71),))
    """
    found = target_rows(table)
    for _, target in found:
        if isinstance(target, Exception):
            raise target
    return tuple(target for _, target in found if isinstance(target, Target))


def target_rows(table: Any) -> tuple[tuple[str, Target | XphotfnError], ...]:
    """Return each row's name with its target, or with the error that says what is wrong with the row.

    Parameters and errors of the table as a whole are those of :func:`targets_from_table`.
    """
    from astropy.table import Table

    if not isinstance(table, Table):  # which has columns and iloc too, as a DataFrame has
        table = Table.from_pandas(table) if hasattr(table, "iloc") else Table(table)
    rows = table
    names = {c: _ALIASES.get(c.lower(), c.lower()) for c in rows.colnames}
    missing = [n for n in ("name", "ra", "dec") if n not in names.values()]
    if missing:
        there = ", ".join(rows.colnames)
        raise InvalidRecord(f"the table lacks {', '.join(missing)}; its columns are {there}: add or rename")
    twice = sorted({n for n in names.values() if list(names.values()).count(n) > 1})
    if twice:
        raise InvalidRecord(f"several columns of the table mean {', '.join(twice)}: keep one of each")
    units = {c: getattr(rows[c], "unit", None) for c in rows.colnames}
    return tuple(_target_or_error(i, row, names, units) for i, row in enumerate(rows, 1))


def _target_or_error(
    number: int, row: Any, names: Mapping[str, str], units: Mapping[str, Any]
) -> tuple[str, Target | XphotfnError]:
    name = str(row[next(old for old, new in names.items() if new == "name")])
    try:
        return name, _target(number, row, names, units)
    except XphotfnError as error:
        return name, error


def _target(number: int, row: Any, names: Mapping[str, str], units: Mapping[str, Any]) -> Target:
    cells = {new: _cell(row[old], units[old]) for old, new in names.items()}
    known = {n: v for n, v in cells.items() if n in _KNOWN and v is not None}
    kind = str(known.pop("kind", _guess_kind(known)))
    for name in _RADII:
        if name in known and not isinstance(known[name], u.Quantity):
            known[name] = _bare_radius(known[name], kind)
    try:
        known |= {n: _degrees(n, known[n]) for n in ("ra", "dec") if isinstance(known.get(n), str)}
    except UnitMismatch as error:
        raise UnitMismatch(f"row {number} of the table: {error}") from error
    extra = {old: cells[new] for old, new in names.items() if new not in _KNOWN and cells[new] is not None}
    try:
        return Target(
            name=known.pop("name", ""),
            kind=kind,
            ra_deg=known.pop("ra", np.nan),
            dec_deg=known.pop("dec", np.nan),
            extra=extra,
            **known,
        )
    except (ValueError, TypeError) as error:
        raise type(error)(f"row {number} of the table: {error}") from error


def _cell(value: Any, unit: Any) -> Any:
    if value is None or np.ma.is_masked(value) or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    if isinstance(value, u.Quantity):
        return value
    value = value.item() if hasattr(value, "item") else value
    value = value.decode() if isinstance(value, bytes) else value
    return value * unit if unit is not None and isinstance(value, int | float) else value


def _degrees(name: str, text: str) -> float:
    """Return degrees from a text: a number of degrees, or an angle with its unit such as ``9h58m22s``."""
    from astropy.coordinates import Angle

    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(Angle(text).to_value(u.deg))
    except (ValueError, u.UnitsError) as error:
        raise UnitMismatch(f"{name} must be degrees or have its unit such as 9h58m22s, got {text!r}") from error


def _guess_kind(known: Mapping[str, Any]) -> str:
    if "redshift" in known and any(n in known for n in ("r200", "r500", "r2500")):
        return "cluster"
    return "extended" if "radius" in known else "cluster"


def _bare_radius(value: Any, kind: str) -> Any:
    if isinstance(value, str):
        return quantity(value, "a radius", "1200 kpc")
    return value * (u.kpc if kind == "cluster" else u.arcsec)
