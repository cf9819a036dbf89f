"""Commands about flares: ``clean`` and ``lightcurve``."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from xphotfn.cli import options as shared, values
from xphotfn.cli.group import DONE_IN_PART, CliCommand
from xphotfn.cli.observations import say_left_out
from xphotfn.cli.output import check_output, print_json, say, tell, wants_progress, write_table
from xphotfn.cli.running import engine_named
from xphotfn.errors import InvalidFile, InvalidRecord, XphotfnError

__all__ = ("clean", "lightcurve")


_sources = click.option(
    "--sources",
    type=shared.PATH,
    metavar="FILE",
    help="List of sources (FITS, such as the pipeline's OBSMLI) to leave out of light curves. Default: what the "
    "pipeline's FBKTSR or OBSMLI beside the list says, else the bright ones that the events show.",
)


def _say_sources(path: str, sources: Path | None) -> None:
    from xphotfn.measure.curves import sources_of

    file = sources_of(path, sources).file
    if file and sources is None:
        say(f"note: the sources of {file}, beside the list, are left out of the light curve")


@click.command(
    cls=CliCommand,
    short_help="Make event lists without flares.",
    examples=("xphotfn clean xphotfn-demo/data/0999990101/0999990101_mos1_clean_evts.fits --goal quiet -o cleaned",),
)
@click.argument("events", type=shared.PATH, metavar="EVENTS|FOLDER")
@click.option(
    "--goal",
    type=click.Choice(["optimum", "quiet"]),
    default="optimum",
    show_default=True,
    help="The best signal-to-noise of faint sources, or no flare left, for extended light.",
)
@_sources
@click.option("--joint", is_flag=True, help="Judge all lists of an observation in a folder as one.")
@click.option("-o", "--output", type=shared.PATH, required=True, metavar="DIR", help="Folder of what is made.")
@shared.engine
@shared.overwrite
@shared.json_option
@shared.quiet
def clean(events: Path, goal: str, sources: Path | None, joint: bool, output: Path, **options: Any) -> None:
    """Make lists without flares, with good flags and patterns, of one event list or of all in a folder.

    Beside each list its table of good time is made, with the light curve behind it, and a picture of that where
    matplotlib is installed; one line says what was kept. In
    a folder, lists whose times were cut already are left alone. Ends with status 2 where a list failed.
    """
    from xphotfn.graph.cleaned_list import clean_events

    engine, overwrite, as_json = (options[name] for name in ("engine", "overwrite", "as_json"))
    chosen, rows, failed = engine_named(engine), [], False
    draws = find_spec("matplotlib") is not None
    if not draws:
        say("note: no pictures, for matplotlib is not installed")
    if joint and not events.is_dir():
        raise InvalidRecord("--joint judges the lists of an observation together: give the folder that holds them")
    for path, others in _lists(events):
        how: dict[str, Any] = {"goal": goal, "together_with": others if joint else (), "overwrite": overwrite}
        if joint and not others:
            say(f"note: {path}: no other list of the observation is there to judge its flares with")
        try:
            _say_sources(path, sources)
            made = clean_events(path, output, engine=chosen, sources=sources, **how)
            if draws:
                _draw(path, made)
        except XphotfnError as error:
            if events.is_file():
                raise
            say(f"{path}: {error}")
            failed = True
            continue
        for message in made.warnings:
            if message.name != "flares":  # that is the line below
                say(f"note: {path}: {message.text}")
        stem = made.good_times.name.removesuffix(f"_{goal}_gti.fits").replace("_", " ")
        rows.append(_row(stem, made))
        if not as_json:
            tell(f"{stem}: {made.cut}, {made.contamination}")
    if as_json:
        print_json(rows)
    if failed:
        click.get_current_context().exit(DONE_IN_PART)


def _draw(events: str, made: Any) -> None:
    """Draw the curve and the cut beside the table of good time, with IN/OUT before and after."""
    from xphotfn.errors import NoData
    from xphotfn.io.good_time_files import read_cut_curve
    from xphotfn.measure.curves import in_out
    from xphotfn.plot.time_plots import save_light_curve

    try:
        before: Any = in_out(events)
    except NoData as error:
        before = str(error)
    curve, picture = read_cut_curve(made.good_times), made.good_times.name.replace("_gti.fits", "_curve.png")
    path = made.good_times.with_name(picture)
    save_light_curve(curve, path, made.cut, before=before, after=made.contamination, overwrite=True)


def _row(stem: str, made: Any) -> dict[str, Any]:
    cut = made.cut
    numbers = {"kept_s": cut.kept_s, "total_s": cut.total_s, "quiet": cut.quiet, "quiet_error": cut.quiet_error}
    more: dict[str, Any] = {"residual": cut.residual, "over_dispersion": cut.over_dispersion}
    more |= {"rate": cut.rate, "goal": cut.goal}
    found = made.contamination
    ratio = (None, None) if isinstance(found, str) else (found.ratio, found.error)
    more |= {"in_out": ratio[0], "in_out_error": ratio[1]}
    return {"list": stem, "events": str(made.events), "good_times": str(made.good_times), **numbers, **more}


def _lists(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield event lists, each with the others of its observation: the one, or all in a folder whose times are whole."""
    if not path.is_dir():
        yield str(path), ()
        return
    from xphotfn.io.find import find_observations

    observations = find_observations(path, progress=wants_progress())
    say_left_out([note for observation in observations for note in observation.left_out])
    found = [(o, e, e.events.path) for o in observations for e in o.exposures if e.events is not None]
    if not found:
        raise InvalidFile(str(path), "holds no event list: give a folder with event lists, or one list")
    for observation, exposure, events in found:
        if exposure.cut:
            who = f"{observation.obs_id} {exposure.instrument} {exposure.exposure_id}"
            say(f"{who}: left alone, its times were cut already")
        else:
            yield events, tuple(other for o, e, other in found if o is observation and e is not exposure and not e.cut)


@click.command(
    cls=CliCommand,
    short_help="Make the light curve of an event list.",
    examples=(
        "xphotfn lightcurve xphotfn-demo/data/0999990101/0999990101_mos1_clean_evts.fits",
        "xphotfn lightcurve xphotfn-demo/data/0999990101/0999990101_mos1_clean_evts.fits --bin 104 -o curve.csv",
    ),
)
@click.argument("events", type=shared.PATH)
@click.option("--band", metavar="LO-HI", help="Energy band; default 0.5-7.5keV, in which flares are looked for.")
@click.option("--bin", "bin_s", type=shared.ABOVE_ZERO, metavar="S", help="Width of the bins in s; default 26, pn 10.")
@shared.selection
@click.option("--keep-sources", is_flag=True, help="Leave no source out.")
@_sources
@shared.output
@shared.overwrite
@shared.json_option
@shared.quiet
def lightcurve(
    events: Path, band: str | None, bin_s: float | None, selection: str | None, sources: Path | None, **options: Any
) -> None:
    """Make the light curve of an event list: time, rate, error, counts and live time of each bin.

    Prints what the two cuts of flares would keep. A bin without live time is a gap: its rate is not a number.
    """
    import xphotfn as xp

    output, overwrite, as_json = (options[name] for name in ("output", "overwrite", "as_json"))
    keep = options["keep_sources"]
    if keep and sources is not None:
        raise click.UsageError("--keep-sources leaves no source out: give it or --sources.")
    if not keep:
        _say_sources(str(events), sources)
    check_output(output, overwrite=overwrite)
    wanted = None if band is None else values.band(band)
    curve = xp.light_curve(events, band=wanted, selection=selection, bin_s=bin_s, cut_sources=not keep, sources=sources)
    columns: dict[str, Any] = {"time": curve.time, "rate": curve.rate, "error": curve.error}
    columns |= {"counts": curve.counts, "live": curve.live_s}
    if as_json:
        print_json({name: values.tolist() for name, values in columns.items()})
    else:
        tell(f"{curve.source}: {curve.counts.size} bins of {curve.bin_s:g} s, {curve.seconds / 1000:.1f} ks")
        for goal in ("optimum", "quiet"):
            tell(f"  {goal}: {xp.flare_cut(curve, goal)}")
    if output is not None:
        from astropy.table import Table

        write_table(Table(columns), output, overwrite=overwrite)
        say(f"{output}: {curve.counts.size} rows")
