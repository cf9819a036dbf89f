"""The command line: ``xphotfn demo``, ``find``, ``plan``, ``run``, ``image``, ``task``, ``snr``."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from xphotfn.errors import XphotfnError

__all__ = ("main",)

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Group(click.Group):
    """Turns a user's mistake into one sentence and exit status 1; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except XphotfnError as error:
            click.echo(f"xphotfn: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings=_CONTEXT)
@click.version_option(package_name="xphotfn", prog_name="xphotfn")
def main() -> None:
    r"""X-ray photometry for XMM-Newton EPIC: images, exposure maps, mosaics, masks, peaks, signal-to-noise.

    \b
    Try it:      xphotfn demo
    Your data:   xphotfn find FOLDER
                 xphotfn snr FOLDER --ra 149.592 --dec -11.06 --redshift 0.16 --radius 1200kpc
    """


def _target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a target and its bands."""
    options = (
        click.argument("root", type=click.Path(path_type=Path)),
        click.option("--name", default="target", show_default=True, help="Name of the target."),
        click.option("--ra", required=True, help="RA: degrees, or with a unit such as 9h58m22s."),
        click.option("--dec", required=True, help="Dec: degrees, or with a unit such as -11d03m35s."),
        click.option("--redshift", type=float, help="Redshift; needed for a radius in kpc."),
        click.option(
            "--radius",
            "radii",
            multiple=True,
            required=True,
            metavar="R",
            help="Radius such as 1200kpc, 5arcmin or 30arcsec; may be repeated.",
        ),
        click.option(
            "--band",
            "bands",
            multiple=True,
            default=("0.5-2.0keV",),
            show_default=True,
            metavar="LO-HI",
            help="Energy band such as 0.5-2.0keV; may be repeated.",
        ),
        click.option("--reference", help="ObsID whose image sets the mosaic's grid; default the lowest."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON for programs."),
    )
    return _with(function, options)


def _run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a run."""
    options = (
        click.option(
            "--store",
            type=click.Path(path_type=Path),
            default=Path("xphotfn-store"),
            show_default=True,
            help="Folder of the products; what is there is used.",
        ),
        click.option("--workers", type=click.IntRange(min=1), help="Threads; default 90 % of the cores."),
    )
    return _with(function, options)


def _with(function: Callable[..., Any], options: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    for option in reversed(options):
        function = option(function)
    return function


@main.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("xphotfn-demo"),
    show_default=True,
    help="Folder to write to; must be new or from an earlier demo.",
)
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of the simulated photons.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads; default 90 % of the cores.")
def demo(output: Path, seed: int, workers: int | None) -> None:
    r"""Simulate a small data set of known truth, measure it, and show recovered against true.

    \b
    Example:  xphotfn demo
    """
    from xphotfn.testing.demo import run_demo

    click.echo(run_demo(output, seed=seed, workers=workers, say=click.echo))


@main.command()
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def find(root: Path, as_json: bool) -> None:
    r"""List the observations under a folder; only headers are read.

    \b
    Example:  xphotfn find xphotfn-demo/data
    """
    from xphotfn.io.find import find_observations
    from xphotfn.store.codec import to_plain

    observations = find_observations(root)
    if as_json:
        click.echo(json.dumps([to_plain(o) for o in observations], indent=1))
        return
    rows = [
        (
            o.obs_id,
            e.instrument,
            e.exposure_id,
            e.filter,
            f"{e.exposure_s / 1000:.1f}",
            "yes" if e.events else "no",
            ", ".join(dict.fromkeys(str(p.band) for p in e.products)) or "none",
        )
        for o in observations
        for e in o.exposures
    ]
    _print_rows(("ObsID", "camera", "exposure", "filter", "ks", "events", "images and maps"), rows)
    _print_notes(observations)


@main.command()
@_target_options
def plan(root: Path, as_json: bool, **options: Any) -> None:
    r"""Show what would run for a target, command by command; nothing runs.

    \b
    Example:  xphotfn plan xphotfn-demo/data --ra 52.31 --dec -33.72 --radius 3arcmin
    """
    import shlex

    from xphotfn.graph.describe import describe
    from xphotfn.store.codec import to_plain

    _, planned = _plan(root, options)
    if as_json:
        click.echo(json.dumps(to_plain(planned)))
        return
    click.echo(describe(planned))
    for step in planned.steps:
        click.echo(shlex.join(step.command.argv))


@main.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--band", default="0.5-2.0keV", show_default=True, metavar="LO-HI", help="Energy band.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The image to make.")
@click.option("--selection", metavar="EXPR", help="Event selection in SAS's language; default: flags and patterns.")
@click.option(
    "--bin", "bin_size", type=click.IntRange(min=1), default=87, show_default=True, help="Pixel, 0.05 arcsec."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing image.")
def image(events: Path, band: str, output: Path, selection: str | None, bin_size: int, overwrite: bool) -> None:
    r"""Make an image from an event list, as evselect does.

    \b
    Example:  xphotfn image xphotfn-demo/data/0999990101/0999990101_mos1_clean_evts.fits -o mos1_soft.fits
    """
    import xphotfn as xp
    from xphotfn.measure.images import image_of_events

    grid = xp.ImageGrid(x_bin=bin_size, y_bin=bin_size)
    printed = image_of_events(
        events, _band(band), output, engine=xp.native_engine(), selection=selection, grid=grid, overwrite=overwrite
    )
    for line in printed.splitlines():
        if line.startswith("**"):
            click.echo(line, err=True)
    click.echo(f"{output}: {grid.shape[1]} x {grid.shape[0]} pixels, {_band(band)}")


@main.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="TASK NAME=VALUE...")
@click.pass_context
def task(ctx: click.Context, words: tuple[str, ...]) -> None:
    r"""Run a SAS task without SAS: evselect, eexpmap, emosaic, cifbuild, sasversion, with SAS's own parameters.

    \b
    Example:  xphotfn task sasversion
              xphotfn task evselect table=events.fits imageset=image.fits xcolumn=X ycolumn=Y ximagebinsize=87
                                    yimagebinsize=87 imagebinning=binSize expression='PI in [500:2000]'
    """
    from xphotfn.engines.tasks import run_task

    if not words or words[0] in ("-h", "--help"):
        click.echo(ctx.get_help())
        return
    ctx.exit(run_task(words))


@main.command()
@_target_options
@_run_options
def run(root: Path, store: Path, workers: int | None, as_json: bool, **options: Any) -> None:
    r"""Make the images, exposure maps and mosaics of a target; products that are found are used.

    \b
    Example:  xphotfn run xphotfn-demo/data --ra 52.31 --dec -33.72 --radius 3arcmin
    """
    _, plan = _plan(root, options)
    result = _run(plan, store, workers)
    if as_json:
        rows = [{n: str(row[n]) for n in row.colnames} for row in result.table()]
        click.echo(json.dumps({"store": result.store, "steps": rows}, indent=1))
    else:
        _print_rows(("ObsID", "task", "product", "state", "why"), [tuple(row) for row in result.table()])
    click.echo(str(result), err=True)
    if result.failed:
        sys.exit(2)


@main.command()
@_target_options
@_run_options
@click.option(
    "--method",
    default="mid-p",
    show_default=True,
    type=click.Choice(["mid-p", "li-ma", "xga"]),
    help="Definition of the signal-to-noise.",
)
@click.option(
    "--peak/--no-peak",
    default=True,
    show_default=True,
    help="Centre on the X-ray peak of the combined map, or stay at the given position.",
)
def snr(root: Path, store: Path, workers: int | None, as_json: bool, method: str, peak: bool, **options: Any) -> None:
    r"""Measure the signal-to-noise of a target on each map and on the combined one.

    \b
    Example:  xphotfn snr xphotfn-demo/data --ra 52.31 --dec -33.72 --radius 3arcmin
    """
    import xphotfn as xp

    field, plan = _plan(root, options)
    result = xp.raise_for_failures(_run(plan, store, workers))
    rows = []
    for band in dict.fromkeys(p.band for p in plan.products):
        combined = xp.combined_rate_map(result, band=band)
        centred = xp.with_centre(field, xp.find_peak(combined, field)) if peak else field
        for radius in options["radii"]:
            for item in (*xp.rate_maps(result, band=band), combined):
                rows.append(_snr_row(item, centred, radius, method))
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        _print_rows(tuple(rows[0]), [tuple(_shown(v) for v in row.values()) for row in rows])


def _snr_row(item: Any, field: Any, radius: str, method: str) -> dict[str, Any]:
    import xphotfn as xp

    row = {"obs_id": item.obs_id, "camera": item.instrument, "band": str(item.band), "radius": radius}
    ra, dec = (float(v) for v in field.centre.value)
    try:
        measured = xp.snr(item, field, _radius(radius), method=method)
    except xp.NoData:
        return {**row, "ra": ra, "dec": dec, "snr": None, "counts": None, "net_counts": None, "method": method}
    return {
        **row,
        "ra": ra,
        "dec": dec,
        "snr": measured.value,
        "counts": measured.counts,
        "net_counts": measured.net_counts,
        "method": measured.method,
    }


def _plan(root: Path, options: dict[str, Any]) -> tuple[Any, Any]:
    import xphotfn as xp

    radius = _radius(options["radii"][0])
    target = xp.extended_source(
        options["name"],
        _angle(options["ra"], "--ra"),
        _angle(options["dec"], "--dec"),
        radius=radius,
        redshift=options["redshift"],
    )
    observations = xp.find_observations(root)
    _print_notes(observations)
    field = xp.match_observations(target, observations)
    bands = [_band(text) for text in options["bands"]]
    return field, xp.plan_photometry(field, bands, reference=options["reference"])


def _print_notes(observations: Any) -> None:
    for observation in observations:
        for note in observation.notes:
            click.echo(f"note: {observation.obs_id}: {note}", err=True)


def _run(plan: Any, store: Path, workers: int | None) -> Any:
    import xphotfn as xp

    click.echo(xp.describe(plan), err=True)
    return xp.run(plan, engine=xp.native_engine(), store=store, workers=workers)


def _radius(text: str) -> Any:
    from xphotfn.units import quantity

    return quantity(text, "--radius", "1200kpc or 30arcsec")


def _angle(text: str, option: str) -> float:
    import astropy.units as u
    from astropy.coordinates import Angle

    from xphotfn.errors import UnitMismatch

    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(Angle(text).to_value(u.deg))
    except (ValueError, u.UnitsError) as error:
        raise UnitMismatch(f"{option} must be degrees or an angle such as 9h58m22s, got {text!r}") from error


def _band(text: str) -> Any:
    """Return the band of a text such as ``0.5-2.0keV``; the unit may stand at either or both ends."""
    import re

    from xphotfn.errors import UnitMismatch
    from xphotfn.records.band import energy_band

    found = re.fullmatch(r"\s*([\d.]+)\s*([A-Za-z]*)\s*-\s*([\d.]+)\s*([A-Za-z]+)\s*", text)
    if not found:
        raise UnitMismatch(f"--band must be such as 0.5-2.0keV, got {text!r}")
    lo, lo_unit, hi, hi_unit = found.groups()
    return energy_band(f"{lo} {lo_unit or hi_unit}", f"{hi} {hi_unit}")


def _shown(value: Any) -> str:
    if value is None:
        return "no data"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _print_rows(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print an aligned table on a terminal, and tab-separated values when piped."""
    cells = [names, *((str(c) for c in row) for row in rows)]
    table = [tuple(row) for row in cells]
    if not sys.stdout.isatty():
        for row in table:
            click.echo("\t".join(row))
        return
    widths = [max(len(row[i]) for row in table) for i in range(len(names))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
