"""The command that finds sources: ``detect``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from xphotfn.cli import options as shared, values
from xphotfn.cli.given_maps import is_store, maps_in, place_of, unique
from xphotfn.cli.group import DONE_IN_PART, CliCommand
from xphotfn.cli.output import print_json, print_rows, printable, refuse_member, say, tell_written, wants_progress
from xphotfn.errors import InvalidRecord, NoData, XphotfnError

__all__ = ("detect",)

_SHOWN = ("ID_SRC", "RA", "DEC", "RADEC_ERR", "SCTS", "SCTS_ERR", "RATE", "RATE_ERR", "DET_ML", "TIED_ML",
          "EXT", "EXT_ML", "ID_CLUSTER", "FLAGS")  # fmt: skip
_POSITIONS = ("RA", "DEC")


@click.command(
    cls=CliCommand,
    short_help="Find the sources of images and exposure maps.",
    examples=(
        "xphotfn detect xphotfn-demo/store --band 0.5-2.0keV -o sources.reg",
        "xphotfn detect xphotfn-demo/store --band 0.5-2.0keV --joint --threshold 6 -o sources.ecsv",
    ),
)
@click.argument("place", type=shared.PATH)
@click.option("--band", default="0.5-2.0keV", show_default=True, metavar="LO-HI", help="Energy band of the maps.")
@click.option("--joint", is_flag=True, help="One list of all observations, searched together; else one of each.")
@shared.threshold
@shared.extent
@click.option("--obs-id", "obs_ids", multiple=True, metavar="OBSID", help="Only this observation; may be repeated.")
@click.option(
    "-o",
    "--output",
    type=shared.PATH,
    metavar="LIST",
    help="Write DS9 regions (.reg), a list (.fits) or a table (.ecsv, .csv, .vot, .parquet). Of several observations "
    "each has a file of its own, with its ObsID in the name.",
)
@shared.json_option
@shared.run
@shared.overwrite
@shared.which_files
@shared.quiet
@shared.progress
def detect(
    place: Path, band: str, joint: bool, threshold: float | None, extent: bool | None, obs_ids: tuple[str, ...],
    output: Path | None, as_json: bool, run: str | None, overwrite: bool,
) -> None:  # fmt: skip
    """Find the sources of the images and exposure maps in a store or a folder, over all cameras together.

    Each list tells how many of its sources are expected to be chance. Ends with status 2 where one observation
    of several could not be searched.
    """
    there = place_of(place, run)
    maps = unique(there.opened(maps_in(place, there, [values.band(band)], combined=False)))
    groups = _groups(maps, obs_ids, joint)
    is_one = joint or (len(groups) == 1 and (bool(obs_ids) or len(there.observations) < 2))
    paths = {} if output is None else _paths(output, tuple(groups), is_one=is_one)
    for path in paths.values():
        refuse_member(path, place)
        _refuse_early(path, overwrite)
    asked = {"threshold": threshold, "extent": extent}
    how = {name: value for name, value in asked.items() if value is not None}
    lists = {}
    for name, found in _searched(groups, how):
        lists[name] = found
        if paths:
            _write(found, paths[name], place, overwrite=overwrite)
            tell_written(f"{paths[name]}: {len(found)} sources", as_json=as_json)
    if as_json:
        print_json([row for name, found in lists.items() for row in _rows(name, found)])
    elif not paths:
        rows = [row for name, found in lists.items() for row in _rows(name, found)]
        print_rows(("obs_id", *_SHOWN), [[_text(name, cell) for name, cell in row.items()] for row in rows])
        _say_flags(lists.values())
    _end(len(lists), len(groups))


def _end(made: int, asked: int) -> None:
    """End with the status of work that is not done, or done in part."""
    if made == 0:
        raise NoData("no observation could be searched, as said above")
    if made < asked:
        click.echo(f"xphotfn: {asked - made} of {asked} observations have no list, as said above", err=True)
        click.get_current_context().exit(DONE_IN_PART)


def _searched(groups: Mapping[str, list[Any]], how: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield name and list of one group after the other; of several what fails is said and left out."""
    import xphotfn as xp
    from xphotfn.epic.searched_counts import left_out_text, without_empty

    for name, members in groups.items():
        try:
            many = "1 map" if len(members) == 1 else f"{len(members)} maps"
            say(f"{name}: searching {many}")
            kept, empty = without_empty(members)
            if empty:
                say(f"note: {left_out_text(empty)}")
            found = xp.detect_sources(kept, progress=wants_progress(), **how)
        except XphotfnError as error:
            if len(groups) == 1:
                raise
            click.echo(printable(f"xphotfn: no list of {name}: {error.told('shell')}"), err=True)
            continue
        say(f"{name}: {found}" if name in found.obs_ids else f"{name} ({_listed(found.obs_ids)}): {found}")
        yield name, found


def _listed(obs_ids: Sequence[str]) -> str:
    more = f" and {len(obs_ids) - 5} more" if len(obs_ids) > 5 else ""
    return ", ".join(obs_ids[:5]) + more


def _groups(maps: Sequence[Any], obs_ids: Sequence[str], joint: bool) -> dict[str, list[Any]]:
    """Return the maps that are searched together, by the name of the list; a map of several targets is of none."""
    from attrs import evolve

    alone = [evolve(m, image=evolve(m.image, target=None), exposure=evolve(m.exposure, target=None)) for m in maps]
    there = sorted({m.obs_id for m in alone})
    strange = sorted(set(obs_ids) - set(there))
    if strange:
        raise InvalidRecord(f"--obs-id {', '.join(strange)} is not among {', '.join(there)}")
    chosen = [m for m in alone if not obs_ids or m.obs_id in obs_ids]
    if joint:
        return {"combined": chosen}
    return {obs_id: [m for m in chosen if m.obs_id == obs_id] for obs_id in there if not obs_ids or obs_id in obs_ids}


def _paths(output: Path, names: Sequence[str], *, is_one: bool) -> dict[str, Path]:
    """Return the file of each list; the names do not depend on which of several observations can be used."""
    if is_one:
        return {names[0]: output}
    return {name: output.with_name(f"{output.stem}_{name}{output.suffix}") for name in names}


def _write(found: Any, path: Path, place: Path, *, overwrite: bool) -> None:
    """Write a list; say of the first of its name in a folder of data that its regions are found there."""
    from xphotfn.io.file_kinds import kind_of_name
    from xphotfn.io.source_files import write_source_list

    is_new = not path.exists()
    write_source_list(found, path, overwrite=overwrite)
    is_found = is_new and kind_of_name(path) in ("FITS", "a region file") and not is_store(place)
    if is_found and path.resolve().is_relative_to(place.resolve()):
        say(f"note: {path} lies in {place}: its regions are used from now on where that is searched")


def _refuse_early(path: Path, overwrite: bool) -> None:
    """Refuse a name that cannot be written before anything is searched."""
    from xphotfn.io.file_kinds import kind_of_name
    from xphotfn.io.table_files import table_format
    from xphotfn.io.write import check_free, check_writable

    if path.suffix.lower() != ".reg":
        table_format(path, ".reg")
    check_free(path, overwrite=overwrite, kind="a FITS list of sources" if kind_of_name(path) == "FITS" else "")
    check_writable(path)


def _rows(name: str, found: Any) -> list[dict[str, Any]]:
    from xphotfn.records.source_list import source_columns

    columns = source_columns(found)
    return [{"obs_id": name, **{c: columns[c].values[n] for c in _SHOWN}} for n in range(len(found))]


def _text(name: str, cell: Any) -> str:
    """Return a cell as text: positions to 0.004 arcsec, all else to six digits."""
    is_float = hasattr(cell, "dtype") and cell.dtype.kind == "f"
    return f"{cell:{'.6f' if name in _POSITIONS else '.6g'}}" if is_float else str(cell)


def _say_flags(lists: Iterable[Any]) -> None:
    """Say what the flags mean that some sources have."""
    from xphotfn.records.source import FLAG_TEXTS

    there = {name for found in lists for source in found for name in source.flag_names}
    for flag, text in FLAG_TEXTS.items():
        if flag.name in there:
            say(f"{flag.name}: {text}")
