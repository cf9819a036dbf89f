"""Targets from a table of a sample."""

from collections.abc import Mapping
from typing import Any

import astropy.units as u
import numpy as np

from xphotfn.errors import InvalidRecord, UnitMismatch, XphotfnError
from xphotfn.io.sky_columns import DEC_NAMES, RA_NAMES, cell_deg, unit_of
from xphotfn.records.several import Several
from xphotfn.records.target import OVERDENSITIES, Target
from xphotfn.typing import TableLike
from xphotfn.units import column_density_cm2, quantity

__all__ = ("target_rows", "targets_from_table")

_RADII = (*OVERDENSITIES, "radius")
_KNOWN = ("name", "kind", "ra", "dec", "redshift", "cosmology", *_RADII)
_ALIASES = {"z": "redshift", "id": "name"} | dict.fromkeys(RA_NAMES, "ra") | dict.fromkeys(DEC_NAMES, "dec")
_SKY = ("ra", "dec")
_HEADS = ("name", *_SKY)


def targets_from_table(table: TableLike) -> tuple[Target, ...]:
    """Return one target per row.

    Parameters
    ----------
    table
        An astropy Table, a pandas DataFrame, a list of dicts, or anything that ``astropy.table.Table`` takes. Columns,
        in any case: ``name``, ``ra``, ``dec`` (``RAJ2000``, ``DEJ2000``; numbers are degrees unless they have a unit;
        texts ``9h58m22s``, ``-11d03m35s`` or ``09:58:22``, which is hours for RA, ``-11:03:35``), and where known
        ``redshift`` (``z``), ``r200``, ``r500``, ``r2500``, ``radius`` (kpc for clusters and arcsec for others unless
        they have a unit), ``kind`` (``cluster``, ``extended``, ``point``, ``position``), ``cosmology``, and ``nh``
        in a unit such as 1/cm2. All other columns go to ``extra``, an ``nh`` without a unit too. One column of
        SkyCoords does for ``ra`` and ``dec``.

    Returns
    -------
    tuple of Target
        In the order of the rows. Without a ``kind``, a row with a redshift and an overdensity radius, or without any
        radius, is a cluster; one with a ``radius`` alone is a position, and what a region file has there is its own.
        Masked or NaN cells count as not given.

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
    return Several(target for _, target in found if isinstance(target, Target))


def target_rows(table: Any) -> tuple[tuple[str, Target | XphotfnError], ...]:
    """Return each row's name with its target, or with the error that says what is wrong with the row.

    Parameters and errors of the table as a whole are those of :func:`targets_from_table`.
    """
    from astropy.table import Table

    if not isinstance(table, Table):  # which has columns and iloc too, as a DataFrame has
        table = Table.from_pandas(table) if hasattr(table, "iloc") else Table(table)
    rows = _with_angles(table)
    names = {c: _ALIASES.get(c.lower(), c.lower()) for c in rows.colnames}
    missing = [n for n in _HEADS if n not in names.values()]
    if missing:
        there = ", ".join(rows.colnames)
        raise InvalidRecord(f"the table lacks {', '.join(missing)}; its columns are {there}: add or rename")
    twice = sorted({n for n in names.values() if list(names.values()).count(n) > 1})
    if twice:
        raise InvalidRecord(f"several columns of the table mean {', '.join(twice)}: keep one of each")
    units = {c: unit_of(rows[c]) for c in rows.colnames}
    return tuple(_target_or_error(i, row, names, units) for i, row in enumerate(rows, 1))


def _with_angles(table: Any) -> Any:
    """Return a table whose one column of SkyCoords, if there is one, has become ``ra`` and ``dec`` in degrees."""
    name = next((n for n in table.colnames if hasattr(table[n], "icrs")), None)
    if name is None:
        return table
    rest = table[[n for n in table.colnames if n != name]]
    rest["ra"], rest["dec"] = table[name].icrs.ra.deg, table[name].icrs.dec.deg
    return rest


def _target_or_error(
    number: int, row: Any, names: Mapping[str, str], units: Mapping[str, Any]
) -> tuple[str, Target | XphotfnError]:
    name = str(row[next(old for old, new in names.items() if new == "name")])
    try:
        return name, _target(number, row, names, units)
    except XphotfnError as error:
        return name, error


def _target(number: int, row: Any, names: Mapping[str, str], units: Mapping[str, Any]) -> Target:
    cells = {new: _cell(row[old], None if new in _SKY else units[old]) for old, new in names.items()}
    known = {n: v for n, v in cells.items() if n in _KNOWN and v is not None}
    kind = str(known.pop("kind", _guess_kind(known))).strip().lower()
    for name in _RADII:
        if name in known and not isinstance(known[name], u.Quantity):
            known[name] = _bare_radius(known[name], kind)
    try:
        for old, new in names.items():
            if new in _SKY and new in known:
                known[new] = cell_deg(known[new], new, old, units[old])
    except UnitMismatch as error:
        raise UnitMismatch(f"row {number} of the table: {error}") from error
    taken = {*_KNOWN}
    if isinstance(nh := cells.get("nh"), u.Quantity) and nh.unit.is_equivalent(u.cm**-2):
        known["nh_cm2"] = column_density_cm2(nh)
        taken.add("nh")
    extra = {old: cells[new] for old, new in names.items() if new not in taken and cells[new] is not None}
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


def _guess_kind(known: Mapping[str, Any]) -> str:
    if "redshift" in known and any(n in known for n in OVERDENSITIES):
        return "cluster"
    return "position" if "radius" in known else "cluster"


def _bare_radius(value: Any, kind: str) -> Any:
    if isinstance(value, str):
        return quantity(value, "a radius", "1200 kpc")
    return value * (u.kpc if kind == "cluster" else u.arcsec)
