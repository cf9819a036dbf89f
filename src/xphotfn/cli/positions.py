"""Positions on the command line: as people write them, or by the name of an object where that is asked for."""

from typing import Any

import click

from xphotfn.cli.output import say
from xphotfn.errors import UnitMismatch, XphotfnError

__all__ = ("asked_position", "is_asked", "pair_of")


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
