"""Fluxes on the command line: which spectrum, behind which gas, and several cameras joined."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from xphotfn.cli.output import say
from xphotfn.errors import InvalidRecord

__all__ = ("flux_options", "fluxes_of", "require_said")

Function = Callable[..., Any]
_NO_PSF = " (--psf epic gives those of point sources)"
IN_1E22 = 1e10  # cm-2; a number below it is no column density in them
WIDEST_DEG = 1.0  # cells of the map of hydrogen: beyond it positions have their own


def flux_options(command: Function) -> Function:
    """Add the options that make fluxes of rates."""
    spectrum = click.option(
        "--flux", metavar="MODEL", help="Add fluxes in erg/cm2/s, of powerlaw:GAMMA such as powerlaw:1.7."
    )
    gas = click.option(
        "--nh", metavar="NH", help="With --flux: column density in 1/cm2, such as 3e20; auto takes that of HI4PI."
    )
    arrives = click.option("--absorbed", is_flag=True, help="With --flux: the flux that arrives.")
    before = click.option("--unabsorbed", is_flag=True, help="With --flux: the flux before the gas of our Galaxy.")
    joint = click.option(
        "--joint", is_flag=True, help="One row for each position and band: of all cameras with --flux, else of each."
    )
    return spectrum(gas(arrives(before(joint(command)))))


def require_said(options: Mapping[str, Any]) -> None:
    """Refuse --flux without what a flux hangs on, and that without --flux, before anything is measured."""
    model, nh, absorbed, unabsorbed = (options[name] for name in ("flux", "nh", "absorbed", "unabsorbed"))
    if model is None and (nh is not None or absorbed or unabsorbed):
        raise click.UsageError("--nh, --absorbed and --unabsorbed need --flux, such as --flux powerlaw:1.7.")
    if model is not None and nh is None:
        raise click.UsageError("--flux needs --nh: a column density in 1/cm2 such as 3e20, or auto.")
    if absorbed and unabsorbed:
        raise click.UsageError("--absorbed and --unabsorbed are different fluxes: give one of them.")
    if model is not None and not (absorbed or unabsorbed):
        raise click.UsageError("--flux needs --absorbed (the flux that arrives) or --unabsorbed (that before the gas).")


def fluxes_of(table: Any, maps: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Return a table of rates with fluxes, joined where that is asked for; as it is without either."""
    import xphotfn as xp

    joint, how = options["joint"], options["how"]
    if options["flux"] is None:
        return xp.joint_photometry(table, **how) if joint else table
    given = {"gamma": _gamma(options["flux"]), "nh": _nh(options["nh"], table), "absorbed": options["absorbed"]}
    ecfs = [
        xp.power_law_ecf(camera, filter=chosen, band=band, **given)
        for camera, chosen, band in dict.fromkeys((m.instrument, m.filter, m.band) for m in maps)
    ]
    found = xp.joint_photometry(table, response=ecfs, **how) if joint else xp.fluxes(table, ecf=ecfs)
    say(f"note: fluxes are of {found.meta['FLUXOF']}{'' if options['psf'] else _NO_PSF}")
    for text in (found.meta[name] for name in found.meta if name.startswith("NOTE")):
        say(f"note: {text}")
    return found


def _gamma(text: str) -> float:
    name, _, gamma = text.partition(":")
    try:
        if name.strip().lower() == "powerlaw" and math.isfinite(float(gamma)):
            return float(gamma)
    except ValueError:
        pass
    raise InvalidRecord(f"--flux takes powerlaw: and the photon index, such as powerlaw:1.7, got {text!r}")


def _nh(text: str, table: Any) -> Any:
    """Return a column density; auto is that of the middle of the positions."""
    import astropy.units as u

    import xphotfn as xp

    if text.strip().lower() != "auto":
        try:
            value = float(text)
        except ValueError as error:
            raise InvalidRecord(f"--nh takes a number in 1/cm2 such as 3e20, or auto, got {text!r}") from error
        if 0 < value < IN_1E22:
            raise InvalidRecord(f"--nh is in 1/cm2, got {text}: if that is in 1e22/cm2, give --nh {value * 1e22:g}")
        return value / u.cm**2
    found = xp.column_density(_middle(table))
    say(f"note: nH {found}; cite HI4PI Collaboration 2016, A&A 594, A116")
    return found


def _middle(table: Any) -> Any:
    from astropy.coordinates import SkyCoord

    places = SkyCoord(table["ra"], table["dec"])
    middle = SkyCoord(places.cartesian.mean(), frame=places.frame).spherical
    centre = SkyCoord(middle.lon, middle.lat)
    if centre.separation(places).max().deg > WIDEST_DEG:
        raise InvalidRecord(
            f"--nh auto takes one column density, and the positions lie more than {WIDEST_DEG:g} deg from their "
            "middle: give them in parts, or --nh as a number"
        )
    return centre
