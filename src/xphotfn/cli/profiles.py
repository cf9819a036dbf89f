"""Commands that measure one target in depth: ``profile`` and ``peak``."""

from pathlib import Path
from typing import Any

import click

from xphotfn.cli import options as shared, values
from xphotfn.cli.group import CliCommand
from xphotfn.cli.output import check_output, say, show, write_table
from xphotfn.cli.running import run_plan
from xphotfn.cli.sample import measured_field, sample_of
from xphotfn.errors import InvalidRecord

__all__ = ("peak", "profile")

_SHOWN = ("band", "radius_in", "radius_out", "counts", "background", "live_area", "brightness", "brightness_lower",
          "brightness_upper")  # fmt: skip
_MOST_RINGS = 1000


def _maps_of_one(root: Path, options: dict[str, Any], command: str) -> tuple[Any, list[Any]]:
    """Return the field of the target and all its maps, mosaics too, after making what is missing."""
    import xphotfn as xp

    if options["targets"] is not None:
        raise click.UsageError(f"{command} takes one target: give --ra and --dec (or --name) in place of --targets.")
    sample = sample_of(root, options)
    run = xp.raise_for_failures(run_plan(sample.plan, **options))
    [field] = sample.plan.fields
    return measured_field(run, field, options), list(xp.maps_by_field(run)[field.name])


@click.command(
    cls=CliCommand,
    short_help="Measure the surface brightness in rings.",
    examples=(
        "xphotfn profile xphotfn-demo/data --ra 52.31 --dec -33.72 --step 20arcsec --outer 3arcmin "
        "--ring 4arcmin,5arcmin --store xphotfn-demo/store",
        "xphotfn profile xphotfn-demo/data --ra 52.31 --dec -33.72 --step 30arcsec --outer 3arcmin "
        "--store xphotfn-demo/store -o profile.ecsv",
    ),
)
@shared.target_options
@shared.run_options
@click.option("--step", required=True, metavar="R", help="Width of the rings, such as 10arcsec or 50kpc.")
@click.option(
    "--outer",
    required=True,
    metavar="R",
    help="Outer edge of the last ring, which may be narrower; in the same kind of unit.",
)
@click.option("--ring", metavar="IN,OUT", help="Background annulus, such as 6arcmin,8arcmin; default: none.")
@shared.output
@shared.overwrite
def profile(
    root: Path, step: str, outer: str, ring: str | None, as_json: bool, output: Path | None, overwrite: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Measure the surface brightness of a target in rings around its position, over all cameras and observations.

    What is missing is made first, as by `xphotfn run`. Counts and exposures of all maps of a band are summed; other
    sources are masked. `xphotfn peak` says where the light has its peak.
    """
    import astropy.units as u
    import numpy as np
    from astropy.table import vstack

    import xphotfn as xp

    check_output(output, overwrite=overwrite)
    width, end = values.radius(step, "--step"), values.radius(outer, "--outer")
    if not width.unit.is_equivalent(end.unit):
        raise InvalidRecord(f"--step and --outer must both be angles or both be kpc, got {step} and {outer}")
    rings = round(float((end / width).to_value(u.one)), 6)
    if not 1 <= rings <= _MOST_RINGS:
        raise InvalidRecord(f"--outer must hold 1 to {_MOST_RINGS} rings of --step, got {outer} and {step}")
    edges, annulus = np.append(np.arange(np.ceil(rings)), rings) * width, None
    if ring is not None:
        inner, far = (values.radius(text, "--ring") for text in values.pair(ring, "--ring", "6arcmin,8arcmin"))
        annulus = u.Quantity([inner, far.to(inner.unit)])
    field, maps = _maps_of_one(root, options, "profile")
    tables = []
    for band in dict.fromkeys(m.band for m in maps):
        mine = [m for m in maps if m.band == band and not m.is_mosaic]
        table = xp.surface_brightness_profile(mine, field, edges, background=annulus)
        table.add_column(np.full(len(table), str(band)), name="band", index=0)
        tables.append(table)
    found = vstack(tables, metadata_conflicts="silent")
    if output is not None:
        write_table(found, output, overwrite=overwrite)
        click.echo(f"{output}: {len(found)} rows")
        return
    columns = found.colnames if as_json else _SHOWN
    show([{n: getattr(row[n], "value", row[n]) for n in columns} for row in found], as_json=as_json)


@click.command(
    cls=CliCommand,
    short_help="Find the X-ray peak near a position.",
    examples=(
        "xphotfn peak xphotfn-demo/data --ra 52.31 --dec -33.72 --store xphotfn-demo/store",
        "xphotfn peak xphotfn-demo/data --ra 52.31 --dec -33.72 --search 2arcmin --store xphotfn-demo/store --json",
    ),
)
@shared.target_options
@shared.run_options
@click.option("--search", metavar="R", show_default="500 kpc, or 5 arcmin without redshift", help="Search radius.")
@click.option(
    "--method", type=click.Choice(["clustering", "simple"]), default="clustering", show_default=True,
    help="The brightest pixel of the largest group of bright ones, or the brightest pixel.",
)  # fmt: skip
@shared.output
@shared.overwrite
def peak(
    root: Path, search: str | None, method: str, as_json: bool, output: Path | None, overwrite: bool, **options: Any
) -> None:
    """Find the X-ray peak near a target on the combined map of each band, with other sources masked.

    What is missing is made first, as by `xphotfn run`. `offset_arcsec` is the distance from the given position; whether
    a peak is fit to be measured on is what `xphotfn snr --peak` decides and says.
    """
    import xphotfn as xp
    from xphotfn.science.coords import separation_deg

    check_output(output, overwrite=overwrite)
    radius = None if search is None else values.radius(search, "--search")
    field, maps = _maps_of_one(root, options, "peak")
    rows = []
    for item in (m for m in maps if m.is_mosaic):
        found = xp.find_peak(item, field, method=method, search=radius)
        away = 3600 * float(separation_deg(found.ra_deg, found.dec_deg, *(float(v) for v in field.centre.value)))
        rows.append({
            "band": str(item.band), "ra": found.ra_deg, "dec": found.dec_deg, "offset_arcsec": away,
            "near_edge": found.near_edge, "converged": found.converged, "method": found.method,
        })  # fmt: skip
        if not found.converged:
            say(f"note: {item.band}: the search did not come to rest; try a smaller --search")
    show(rows, as_json=as_json, output=output, overwrite=overwrite)
