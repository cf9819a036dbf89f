"""Positions on the command line: as people write them, or by the name of an object where that is asked for."""

import math
from pathlib import Path
from typing import Any

import click

from xphotfn.cli import values
from xphotfn.cli.output import say
from xphotfn.errors import InvalidRecord, UnitMismatch, XphotfnError

__all__ = ("asked_position", "measured_places", "pair_of")


def is_asked(ra: str | None, dec: str | None, name: str | None) -> bool:
    """Whether options say where to measure."""
    return not (ra is None and dec is None and name is None)


def asked_position(ra: str | None, dec: str | None, name: str | None) -> tuple[float, float]:
    """Return RA and Dec in degrees of ``--ra`` and ``--dec``, or of the object ``--name`` where neither is given.

    How a right ascension without unit was read, and where a name was found, is said.
    """
    from xphotfn.units import dec_deg, is_sexagesimal, ra_deg

    if ra is None and dec is None and name is not None:
        return _of_name(name)
    if ra is None or dec is None:
        raise click.UsageError(f"Missing {'--ra' if ra is None else '--dec'}: a position has both.")
    found = ra_deg(ra, "--ra"), dec_deg(dec, "--dec")
    for option, value in zip(("--ra", "--dec"), found, strict=True):
        if not math.isfinite(value):
            raise InvalidRecord(f"{option} must be finite, got {value}: give degrees, such as 149.592")
    if is_sexagesimal(ra):
        say(f"note: --ra {ra} is hours, minutes and seconds: {found[0]:.6f} deg")
    return found


def _of_name(name: str) -> tuple[float, float]:
    """Ask the name resolver of the CDS (SIMBAD, NED, VizieR): the one thing here that needs a network."""
    from astropy.coordinates import SkyCoord
    from astropy.coordinates.name_resolve import NameResolveError

    try:
        sky = SkyCoord.from_name(name).icrs
    except (NameResolveError, OSError) as error:
        raise XphotfnError(
            f"no position was found for --name {name!r} by the name resolver of the CDS ({error}): check the name and "
            "the network, or give --ra and --dec"
        ) from error
    say(f"note: {name} is at {sky.ra.deg:.6f} {sky.dec.deg:.6f} deg, says the name resolver of the CDS")
    return float(sky.ra.deg), float(sky.dec.deg)


def pair_of(text: str, option: str) -> tuple[Any, Any]:
    """Return RA and Dec in degrees of one text such as ``149.592,-11.06`` or ``09:58:22 -11:03:35``."""
    from xphotfn.units import position_deg

    try:
        return position_deg(text, option)
    except UnitMismatch as error:
        raise UnitMismatch(f"{option} must be such as 149.592,-11.06 or '09:58:22 -11:03:35': {error}") from error


def measured_places(
    positions: Path | None, place: tuple[str | None, str | None, str | None], radius: str | None
) -> tuple[Any, Any, Any]:
    """Return names (or None), positions and radii of ``--positions``, or of ``--ra``, ``--dec`` and ``--name``."""
    if (positions is None) != is_asked(*place):
        raise click.UsageError("Give either --positions TABLE, or --ra and --dec (or --name).")
    return _of_table(positions, radius) if positions is not None else _one_place(*place, radius)


def _one_place(ra: str | None, dec: str | None, name: str | None, radius: str | None) -> tuple[Any, Any, Any]:
    """Return the name (or None), the position and the radius."""
    import astropy.units as u

    if radius is None:
        raise click.UsageError("One position needs --ra, --dec and --radius.")
    return None if name is None else [name], asked_position(ra, dec, name) * u.deg, values.radius(radius)


def _of_table(positions: Path, radius: str | None) -> tuple[Any, Any, Any]:
    """Return names (or None), positions and radii of a table."""
    import astropy.units as u
    import numpy as np

    from xphotfn.io.sky_columns import sky_columns
    from xphotfn.io.table_files import read_table

    table = read_table(positions)
    columns = {name.lower(): table[name] for name in table.colnames}
    if not radius and "radius" not in columns:
        raise InvalidRecord(f"{positions} lacks radius; its columns are {', '.join(table.colnames)}: or give --radius")
    sky = sky_columns(table)
    radii = values.radius(radius) if radius else _quantities(columns["radius"], u.arcsec)
    names = [str(v) for v in columns["name"]] if "name" in columns else None
    return names, np.stack([sky.ra, sky.dec], axis=-1) * u.deg, radii


def _quantities(column: Any, unit: Any) -> Any:
    """Return a column with its unit, or with the one that is meant where it has none; blank cells are NaN."""
    import astropy.units as u
    import numpy as np

    try:
        numbers: Any = np.ma.filled(np.ma.asarray(column, dtype=float), np.nan)
    except ValueError as error:
        raise InvalidRecord(f"column {column.name} must hold numbers ({error})") from error
    return u.Quantity(numbers, column.unit or unit).to(unit)
