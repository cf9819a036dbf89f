"""Commands that measure the positions of a catalogue: ``hardness`` and ``limits``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from xphotfn.cli import options as shared, values
from xphotfn.cli.flux_options import flux_options, fluxes_of, require_said
from xphotfn.cli.given_maps import maps_of, unique
from xphotfn.cli.group import CliCommand
from xphotfn.cli.output import check_output, show, write_table
from xphotfn.cli.positions import measured_places
from xphotfn.errors import InvalidRecord

__all__ = ("hardness", "limits")

_HARDNESS = ("name", "ra", "dec", "obs_id", "exposure_id", "instrument", "soft_band", "hard_band", "soft_rate",
             "hard_rate", "hardness_low", "hardness", "hardness_high")  # fmt: skip
_LIMITS = ("name", "ra", "dec", "obs_id", "instrument", "band", "observations", "counts", "background_counts",
           "significance", "upper_limit", "flux_limit", "flux_systematic", "flux_kind", "flux_spectrum")  # fmt: skip
_psf = click.option(
    "--psf", metavar="MODEL", default="epic", show_default=True,
    help="Profile of the whole point source; none: of the light in the circle alone.",
)  # fmt: skip


def _measured(place: Path, positions: Path | None, given: dict[str, Any], **how: Any) -> tuple[Any, Any, Any]:
    """Return the names of the positions (or None), the table of photometry, and the maps."""
    import xphotfn as xp

    names, where, radii = measured_places(positions, (given["ra"], given["dec"], given["name"]), given["radius"])
    maps = unique(maps_of(place, [values.band(text) for text in given["bands"]], run=given["run"]))
    psf = None if given["psf"] == "none" else given["psf"]
    background = values.background(given["background"])
    return names, xp.photometry(maps, where, radii, background=background, psf=psf, **how), maps


def _told(table: Any, names: Any, shown: Sequence[str], given: dict[str, Any]) -> None:
    """Write or show a table, with the names of its positions."""
    if names is not None:
        table.add_column([names[i] for i in table["position"]], name="name", index=0)
    if given["output"] is not None:
        write_table(table, given["output"], overwrite=given["overwrite"])
        click.echo(f"{given['output']}: {len(table)} rows")
        return
    columns = table.colnames if given["as_json"] else [n for n in shown if n in table.colnames]
    rows = [{n: getattr(row[n], "value", row[n]) for n in columns} for row in table]
    show(rows, as_json=given["as_json"])


@click.command(
    cls=CliCommand,
    short_help="Measure hardness ratios at positions.",
    examples=(
        "xphotfn hardness xphotfn-demo/store --ra 52.31 --dec -33.72 --radius 20arcsec",
        "xphotfn hardness xphotfn-demo/store --positions xphotfn-demo/positions.csv --radius 20arcsec -o hardness.ecsv",
    ),
)
@click.argument("place", type=shared.PATH)
@shared.place_options
@shared.background
@_psf
@click.option(
    "--confidence", type=shared.NUMBER, show_default="1 sigma", help="Of the interval, the same on both sides."
)
@click.option(
    "--prior",
    type=shared.ABOVE_ZERO,
    default=1.0,
    show_default=True,
    help="Index of the prior of both rates: 1 flat, 0.5 Jeffreys'.",
)
@shared.table_options
def hardness(place: Path, positions: Path | None, confidence: float | None, prior: float, **given: Any) -> None:
    """Measure (H - S)/(H + S) of two bands at positions, on every camera that has maps of both.

    PLACE is the store of a run, or a folder with images and exposure maps, of two or more bands: each band is compared
    with the next harder one. The interval is that of the exact posterior, whatever the counts.
    """
    import xphotfn as xp
    from xphotfn.science.intervals import ONE_SIGMA

    check_output(given["output"], overwrite=given["overwrite"])
    level = values.probability(confidence, "--confidence") or ONE_SIGMA
    names, table, _ = _measured(place, positions, given)
    _told(xp.hardness_ratios(table, confidence=level, prior=prior), names, _HARDNESS, given)


@click.command(
    cls=CliCommand,
    short_help="Measure upper limits at positions.",
    examples=(
        "xphotfn limits xphotfn-demo/store --ra 52.31 --dec -33.72 --radius 20arcsec",
        "xphotfn limits xphotfn-demo/store --positions xphotfn-demo/positions.csv --radius 20arcsec -o limits.ecsv",
        "xphotfn limits xphotfn-demo/store --ra 52.31 --dec -33.72 --radius 20arcsec --flux powerlaw:1.7 --nh 3e20 "
        "--absorbed --joint",
    ),
)
@click.argument("place", type=shared.PATH)
@shared.place_options
@shared.background
@_psf
@click.option("--confidence", type=shared.NUMBER, default=0.95, show_default=True, help="Of the one-sided limit.")
@click.option("--each", is_flag=True, help="One limit for each map; default: all observations of a camera together.")
@flux_options
@shared.table_options
def limits(place: Path, positions: Path | None, confidence: float, each: bool, **given: Any) -> None:
    """Measure how bright a source at each position may be, whether something is seen there or not.

    PLACE is the store of a run, or a folder with images and exposure maps. A limit is of the rate of the whole source,
    given the counts, with the background's own error in it. --flux adds that of the flux, of all cameras with --joint.
    """
    import xphotfn as xp

    check_output(given["output"], overwrite=given["overwrite"])
    how: dict[str, Any] = {"limit_confidence": values.probability(confidence, "--confidence")}
    asked = {name: given[name] for name in ("flux", "nh", "absorbed", "unabsorbed", "joint")}
    asked |= {"psf": given["psf"] != "none", "how": how}
    require_said(asked)
    if given["joint"] and (each or given["flux"] is None):
        raise click.UsageError("--joint needs --flux, which joins cameras, and goes without --each.")
    names, table, maps = _measured(place, positions, given, **how)
    single = table[[obs_id != "combined" for obs_id in table["obs_id"]]]  # a mosaic holds the same counts again
    if not each or given["flux"] is not None:
        table = single if len(single) else table
    if not (each or given["joint"]):
        table = xp.joint_photometry(table, **how)
    if given["flux"] is not None:
        _require_one_filter(table)
        table = fluxes_of(table, [m for m in maps if not m.is_mosaic], asked)
    _told(table, names, _LIMITS, given)


def _require_one_filter(table: Any) -> None:
    if "filter" not in table.colnames:
        raise InvalidRecord(
            "a camera observed with several filters, which have factors of their own: give --joint or --each"
        )
