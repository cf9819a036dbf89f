"""Commands that make things: ``find``, ``plan``, ``run``, ``image``, ``task``."""

import shlex
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from xphotfn.cli import options as shared, values
from xphotfn.cli.group import DONE_IN_PART, CliCommand
from xphotfn.cli.observations import file_rows, say_left_out, searched
from xphotfn.cli.output import print_json, print_rows, say, show, tell
from xphotfn.cli.running import engine_named, run_plan
from xphotfn.cli.sample import end, sample_of
from xphotfn.errors import InvalidFile

__all__ = ("find", "image", "plan", "run", "shims", "task")


@click.command(
    cls=CliCommand,
    short_help="List the observations under a folder.",
    examples=(
        "xphotfn find xphotfn-demo/data",
        "xphotfn find xphotfn-demo/data --all",
        "xphotfn find xphotfn-demo/data --json",
    ),
)
@shared.root
@click.option("--all", "every", is_flag=True, help="Name every file: what it is used for, or why it is left out.")
@shared.which_files
@shared.json_option
@shared.quiet
def find(root: Path, every: bool, as_json: bool) -> None:
    """List the observations under a folder; of most files only headers are read.

    What is left out, and why, is told on stderr, a line for each file; of many files their number for each reason.
    """
    from xphotfn.store.record_json import to_plain

    found = searched(root)
    if every:
        show(file_rows(root, found), as_json=as_json)
        return
    if as_json:
        print_json([to_plain(o) for o in found.observations])
        return
    show([_exposure_row(o, e) for o in found.observations for e in o.exposures])
    told = dict.fromkeys([*found.left_out, *(note for o in found.observations for note in o.left_out)])
    say_left_out(tuple(told))
    for o in found.observations:
        if o.attitude is None and any(e.events and _bands(e, "exposure_map") == "none" for e in o.exposures):
            say(f"note: {o.obs_id}: no attitude file (in the archive P*ATTTSR*): the pointing of headers is taken")


def _exposure_row(observation: Any, exposure: Any) -> dict[str, str]:
    return {
        "obs_id": observation.obs_id,
        "instrument": exposure.instrument,
        "exposure_id": exposure.exposure_id,
        "filter": exposure.filter,
        "exposure_ks": f"{exposure.exposure_s / 1000:.1f}",
        "events": _events(exposure),
        "images": _bands(exposure, "image"),
        "exposure_maps": _bands(exposure, "exposure_map"),
    }


def _events(exposure: Any) -> str:
    """Say whether there is an event list, and what its selection has cut."""
    if exposure.events is None:
        return "no"
    held = exposure.subspace
    cuts = [
        *([str(held.energies)] if held.energies.kind != "all" else []),
        *(["part of the field"] if held.places else []),
    ]
    return f"yes: {', '.join(cuts)}" if cuts else "yes"


def _bands(exposure: Any, kind: str) -> str:
    found = [
        f"{p.band}{' (part of the field)' if p.subspace.places else ''}" for p in exposure.products if p.kind == kind
    ]
    return ", ".join(found) or "none"


@click.command(
    cls=CliCommand,
    short_help="Show what would run; nothing runs.",
    examples=(
        "xphotfn plan xphotfn-demo/data --ra 52.31 --dec -33.72 --radius 3arcmin",
        "xphotfn plan xphotfn-demo/data --targets xphotfn-demo/targets.csv --script",
    ),
)
@shared.target_options
@click.option("--script", is_flag=True, help="Print a shell script that makes everything with SAS's commands.")
@shared.quiet
def plan(root: Path, as_json: bool, script: bool, **options: Any) -> None:
    """Show what would run for a target or a sample, command by command; nothing runs."""
    from xphotfn.graph.export import to_shell
    from xphotfn.graph.plan import describe
    from xphotfn.store.record_json import to_plain

    sample = sample_of(root, options)
    if as_json:
        print_json(to_plain(sample.plan))
    elif script:
        click.echo(to_shell(sample.plan), nl=False)
        for note in sample.plan.notes:
            say(f"note: {note}")
    else:
        tell(describe(sample.plan))
        for step in sample.plan.steps:
            click.echo(shlex.join(step.command.argv))
    end(sample.failures)


@click.command(
    cls=CliCommand,
    short_help="Make images, exposure maps and mosaics.",
    examples=(
        "xphotfn run xphotfn-demo/data --ra 52.31 --dec -33.72 --radius 3arcmin --store xphotfn-demo/store",
        "xphotfn run xphotfn-demo/data --targets xphotfn-demo/targets.csv --store xphotfn-demo/store",
    ),
)
@shared.target_options
@shared.run_options
@shared.part
def run(root: Path, as_json: bool, **options: Any) -> None:
    """Make the images, exposure maps and mosaics of a target or a sample.

    Products that are found, or are in the store already, are used. Ends with status 2 where a step failed.
    """
    sample = sample_of(root, options)
    result = run_plan(sample.plan, **options)
    table = result.table()
    if as_json:
        rows = [{name: str(row[name]) for name in row.colnames} for row in table]
        print_json({"store": result.store, "steps": rows, "failures": dict(sample.failures)})
    else:
        print_rows(table.colnames, [tuple(row) for row in table])
    say(str(evolve(result, notes=())))  # they were said when it ended
    end(sample.failures)
    if result.failed:
        click.get_current_context().exit(DONE_IN_PART)


@click.command(
    cls=CliCommand,
    short_help="Make an image from an event list.",
    examples=("xphotfn image xphotfn-demo/data/0999990101/0999990101_mos1_clean_evts.fits -o mos1_soft.fits",),
)
@click.argument("events", type=shared.PATH)
@click.option("--band", default="0.5-2.0keV", show_default=True, metavar="LO-HI", help="Energy band.")
@click.option("-o", "--output", type=shared.PATH, required=True, metavar="IMAGE", help="The image to make.")
@shared.selection
@shared.flares
@click.option(
    "--bin", "bin_size", type=click.IntRange(min=1), default=87, show_default=True, help="Pixel, 0.05 arcsec."
)
@shared.engine
@shared.overwrite
@shared.quiet
def image(events: Path, band: str, output: Path, bin_size: int, engine: str, overwrite: bool, **how: Any) -> None:
    """Make an image from an event list, as evselect does."""
    import xphotfn as xp
    from xphotfn.graph.one_image import image_of_events

    wanted = values.band(band)
    grid = xp.ImageGrid(x_bin=bin_size, y_bin=bin_size)
    chosen = engine_named(engine)
    warnings = image_of_events(
        events,
        wanted,
        output,
        engine=chosen,
        selection=how["selection"],
        flares=values.flares(how["flares"]),
        grid=grid,
        overwrite=overwrite,
    )
    for message in warnings:
        say(message.as_printed)
    tell(f"{output}: {grid.shape[1]} x {grid.shape[0]} pixels, {wanted}")


@click.command(
    cls=CliCommand,
    short_help="Run a SAS task without SAS.",
    examples=(
        "xphotfn task sasversion",
        "xphotfn task evselect table=xphotfn-demo/data/0999990101/0999990101_mos1_clean_evts.fits \\",
        "  imageset=mos1.fits xcolumn=X ycolumn=Y imagebinning=binSize ximagebinsize=87 yimagebinsize=87 \\",
        "  expression='PI in [500:2000]'",
    ),
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="TASK NAME=VALUE...")
@click.pass_context
def task(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Run a SAS task without SAS, with SAS's own parameters.

    There are cifbuild, eexpmap, emosaic, evselect, flarecut, gtibuild, gtiwrite, sasversion, tabgtigen, xdetect,
    xdetectadd and xdetectjoin.
    """
    from xphotfn.engines.shims.task import run_task

    if not words or words[0] in ("-h", "--help"):
        click.echo(ctx.get_help())
        return
    ctx.exit(run_task(words))


@click.command(
    cls=CliCommand,
    short_help="Install programs named as SAS's tasks.",
    examples=("xphotfn shims xphotfn-bin",),
)
@click.argument("folder", type=shared.PATH)
@shared.quiet
def shims(folder: Path) -> None:
    """Write programs named as SAS's tasks (evselect, eexpmap, emosaic, ...) into FOLDER.

    Scripts that call SAS, those of `xphotfn plan --script` among them, then run without it. What it prints puts the
    folder on PATH: eval "$(xphotfn shims FOLDER)".
    """
    from xphotfn.engines.shims.task import NAMES, write_shims

    try:
        root = write_shims(folder)
    except OSError as error:
        raise InvalidFile(
            str(folder), f"cannot be written ({error.strerror or error}): give a place that you may write to"
        ) from error
    say(f"{root}: {', '.join(NAMES)}")
    click.echo(f'export PATH={shlex.quote(str(root))}:"$PATH"')
