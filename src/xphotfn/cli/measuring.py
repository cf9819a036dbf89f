"""Commands that measure: ``snr`` and ``photometry``."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from xphotfn.cli import options as shared, values
from xphotfn.cli.flux_options import flux_options, fluxes_of, require_said
from xphotfn.cli.given_maps import maps_of, unique
from xphotfn.cli.group import CliCommand
from xphotfn.cli.output import check_output, say, show, tell_written, wants_progress, write_table
from xphotfn.cli.positions import measured_places
from xphotfn.cli.running import run_plan
from xphotfn.cli.sample import end, failed_fields, measured_field, sample_of
from xphotfn.cli.weights import made_weights, out_of_time_option, weights_of_files, weights_options
from xphotfn.errors import InvalidRecord, NoData, XphotfnError

__all__ = ("photometry", "snr")

_SHOWN = ("name", "ra", "dec", "obs_id", "exposure_id", "instrument", "band", "counts", "net_counts", "rate",
          "rate_low", "rate_high", "significance", "upper_limit", "flux", "flux_low", "flux_high", "flux_limit",
          "flux_systematic", "flux_kind", "flux_spectrum", "observations", "consistency", "flags",
          "aperture_flags")  # fmt: skip


@click.command(
    cls=CliCommand,
    short_help="Measure signal-to-noise of targets.",
    examples=(
        "xphotfn snr xphotfn-demo/data --ra 52.31 --dec -33.72 --radius 3arcmin --store xphotfn-demo/store",
        "xphotfn snr xphotfn-demo/data --targets xphotfn-demo/targets.csv --store xphotfn-demo/store -o snr.ecsv",
    ),
)
@shared.target_options
@shared.run_options
@shared.method()
@shared.background
@shared.peak
@weights_options
@out_of_time_option
@click.option("--search", metavar="R", help="How far from the given position a peak may lie; default: in the region.")
@shared.output
@shared.overwrite
def snr(
    root: Path, as_json: bool, method: str, background: str | None, peak: bool | None, search: str | None,
    output: Path | None, overwrite: bool, weight_files: tuple[Path, ...], vignetted: float | None, out_of_time: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Measure the signal-to-noise of a target, or of each target of a sample, on each map and on the combined one.

    What is missing is made first, as by `xphotfn run`. A sample uses each target's r500, else its radius, unless
    --radius is given; targets that fail have a note in the table and end the command with status 2. All bands are
    measured at one place: `centre` says which and why, `offset_arcsec` how far from the given position it is.
    --vignetted makes exposure maps without vignetting too; without it a note says where particles would matter.
    """
    import xphotfn as xp
    from xphotfn.graph.maps import maps_by_field

    how: dict[str, Any] = {"method": method, "background": _factors(background)}
    regions = [values.region(text) for text in options["radii"]]
    place = {"search": None if search is None else values.radius(search, "--search"), "peak": peak}
    check_output(output, overwrite=overwrite)
    if search is not None and peak is False:
        raise click.UsageError("--search and --no-peak exclude each other: without a peak nothing is searched.")
    sample = sample_of(root, options, needs_radius=True)
    if search is not None and peak is None and not any(f.target.kind == "cluster" for f in sample.plan.fields):
        raise click.UsageError("--search needs --peak, or clusters (--kind): else nothing is searched.")
    how["background_weights"] = made_weights(sample.plan, weight_files, vignetted, options)
    run = run_plan(sample.plan, **options)
    failures = dict(sample.failures)
    if sample.is_table:
        failures |= failed_fields(run)
    else:
        xp.raise_for_failures(run)
    maps, rest = maps_by_field(run), how["background_weights"]
    rows: list[dict[str, Any]] = []
    for planned in _counted(sample.plan.fields):
        if planned.name in failures:
            continue
        try:
            mine, field = maps.get(planned.name, ()), measured_field(run, planned, options)
            if out_of_time:
                how["background_weights"] = xp.out_of_time_weights(mine, rest=rest)
            asked = regions or [_own_region(field)]
            centre = xp.find_centre([m for m in mine if m.is_mosaic], field, region=asked, **place)
            if not sample.is_table:
                say(f"note: measured at {centre}")
            rows += _rows_of(field, centre, mine, asked, how)
        except XphotfnError as error:
            if not sample.is_table:
                raise
            failures[planned.name] = error.told("shell")
    rows += [_row(name, note=why) for name, why in failures.items()]
    show(rows, as_json=as_json, output=output, overwrite=overwrite)
    end((failures | _without_numbers(rows, failures)).items())


def _factors(text: str | None) -> tuple[float, float] | None:
    """Return the edges of the ring in units of the radius; None for the default ring."""
    ring = values.background(text)
    if ring is not None and not all(isinstance(edge, float) for edge in ring):
        raise InvalidRecord(f"--background of snr takes two factors of the radius such as 1.05,1.5, got {text!r}")
    if ring is not None and not 1 <= ring[0] < ring[1]:
        raise InvalidRecord(f"--background of snr needs 1 <= inner < outer, factors of the radius, got {text!r}")
    return ring


def _without_numbers(rows: Iterable[dict[str, Any]], failures: Collection[str]) -> dict[str, str]:
    """Return the targets that no map could measure, with the reason of the last: the combined one."""
    measured = {row["target"] for row in rows if row["snr"] is not None}
    return {row["target"]: row["note"] for row in rows if row["target"] not in measured | set(failures)}


def _counted(fields: Sequence[Any]) -> Iterable[Any]:
    """Return the fields, with a bar on a terminal where there are many."""
    if len(fields) < 2 or not wants_progress():
        return fields
    from xphotfn.io.bars import progress_bar

    bar: Iterable[Any] = progress_bar(fields, unit="target")
    return bar


def _rows_of(
    field: Any, centre: Any, maps: Sequence[Any], regions: Sequence[Any], how: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    import xphotfn as xp

    centred = xp.with_centre(field, centre)
    for band in dict.fromkeys(m.band for m in maps):
        mine = [m for m in maps if m.band == band]
        for region in regions:
            for item in sorted(mine, key=lambda m: m.is_mosaic):
                yield _measured(item, centred, region, how) | {
                    "offset_arcsec": centre.offset_arcsec, "centre": centre.reason,
                }  # fmt: skip


def _own_region(field: Any) -> Any:
    """Return the region to measure of a target of a table: r500 where it is known, else what there is."""
    from xphotfn.measure.aperture import default_region

    if not field.target.radii:
        raise InvalidRecord("has no radius: add a column r500 or radius to the table, or give --radius")
    name = default_region(field)
    return field.target.radius if name == "point" else name


def _measured(item: Any, field: Any, region: Any, how: dict[str, Any]) -> dict[str, Any]:
    import xphotfn as xp

    ra, dec = (float(v) for v in field.centre.value)
    who = {"obs_id": item.obs_id, "exposure_id": item.exposure_id, "instrument": item.instrument}
    who |= {"band": str(item.band), "ra": ra, "dec": dec}
    who |= {"radius": str(region), "method": how["method"]}
    try:
        found = xp.snr(item, field, region, **how)
    except NoData as error:
        return _row(field.name, **who, note=error.told("shell"))
    numbers = {n: getattr(found, n) for n in ("counts", "net_counts", "background_counts")}
    return _row(field.name, **who, snr=found.value, **numbers, note=found.note_for("shell"))


def _row(target: str, **given: Any) -> dict[str, Any]:
    """Return a row of the table; a number that is not there is None."""
    texts = dict.fromkeys(("obs_id", "exposure_id", "instrument", "band", "radius"), "")
    numbers = dict.fromkeys(("ra", "dec", "snr", "counts", "net_counts", "background_counts"))
    where = {"offset_arcsec": None, "centre": ""}
    return {"target": target, **texts, **numbers, "method": "", **where, "note": ""} | given


@click.command(
    cls=CliCommand,
    short_help="Measure positions on every map.",
    examples=(
        "xphotfn photometry xphotfn-demo/store --ra 52.31 --dec -33.72 --radius 20arcsec",
        "xphotfn photometry xphotfn-demo/store --positions xphotfn-demo/positions.csv --radius 20arcsec -o psrc.ecsv",
        "xphotfn photometry xphotfn-demo/store --ra 52.31 --dec -33.72 --radius 20arcsec --psf epic "
        "--flux powerlaw:1.7 --nh 3e20 --absorbed --joint",
    ),
)
@click.argument("place", type=shared.PATH)
@shared.place_options
@shared.background
@click.option(
    "--overlap", type=click.Choice(["centre", "exact"]), default="centre", show_default=True,
    help="Pixels whose centre is inside count whole, or each by its area inside.",
)  # fmt: skip
@shared.method(few_counts=True)
@click.option("--confidence", type=shared.NUMBER, show_default="1 sigma", help="Of the interval of the rate.")
@click.option("--limit-confidence", type=shared.NUMBER, default=0.95, show_default=True, help="Of the upper limit.")
@click.option(
    "--neighbours", metavar="WHAT",
    help="Mask the other positions: positions (each one's circle), or a radius around each such as 30arcsec; or "
    "together (with --psf): solve the rates of those in each other's wings.",
)  # fmt: skip
@weights_options
@out_of_time_option
@flux_options
@click.option(
    "--psf", metavar="MODEL", help="Rates of whole point sources by a profile, such as epic; else of the circle."
)
@click.option(
    "--light", type=click.Choice(["rings", "flat"]), show_default="rings",
    help="Without --psf: how light lies in the circle, with the distance from its centre or evenly.",
)  # fmt: skip
@shared.table_options
def photometry(
    place: Path, positions: Path | None, ra: str | None, dec: str | None, name: str | None, radius: str | None,
    bands: tuple[str, ...], background: str | None, run: str | None, as_json: bool, output: Path | None,
    overwrite: bool, weight_files: tuple[Path, ...], vignetted: float | None, out_of_time: bool,
    flux: str | None, nh: str | None, absorbed: bool, unabsorbed: bool, joint: bool, **how: Any,
) -> None:  # fmt: skip
    """Measure counts, rates, significances and upper limits at positions, on every map of a store or a folder.

    PLACE is the store of a run, or a folder with images and exposure maps, which are used as they are.
    """
    import xphotfn as xp

    check_output(output, overwrite=overwrite)
    for option in ("confidence", "limit_confidence"):
        values.probability(how[option], f"--{option.replace('_', '-')}")
    names, where, radii = measured_places(positions, (ra, dec, name), radius)
    maps = unique(maps_of(place, [values.band(text) for text in bands], run=run))
    given = {name: value for name, value in how.items() if value is not None}
    if given.get("neighbours", "positions") not in ("positions", "together"):
        given["neighbours"] = values.radius(given["neighbours"], "--neighbours")
    given["background_weights"] = weights_of_files(weight_files, vignetted)
    if out_of_time:
        given["background_weights"] = xp.out_of_time_weights(maps, rest=given["background_weights"])
    asked = {"flux": flux, "nh": nh, "absorbed": absorbed, "unabsorbed": unabsorbed, "joint": joint, "psf": how["psf"]}
    asked["how"] = {name: given[name] for name in ("method", "confidence", "limit_confidence") if name in given}
    require_said(asked)
    table = xp.photometry(maps, where, radii, background=values.background(background), **given)
    table = fluxes_of(table, maps, asked)
    if names is not None:
        table.add_column([names[i] for i in table["position"]], name="name", index=0)
    if output is not None:
        write_table(table, output, overwrite=overwrite)
        tell_written(f"{output}: {len(table)} rows", as_json=as_json)
    if as_json or output is None:
        shown = table.colnames if as_json else [n for n in _SHOWN if n in table.colnames]
        show([{n: _cell(n, row[n], joint) for n in shown} for row in table], as_json=as_json)


def _cell(name: str, value: Any, joint: bool) -> Any:
    from xphotfn.measure.photometry.apertures import ApertureFlag
    from xphotfn.measure.photometry.joint_photometry import JointFlag

    flags = {"flags": JointFlag if joint else ApertureFlag, "aperture_flags": ApertureFlag}.get(name)
    if flags is not None:
        return "+".join(str(flag.name) for flag in flags(int(value))) or "none"
    return getattr(value, "value", value)
