"""The report of a run, or of maps: a folder of static pages to look at, to keep and to send."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import evolve

from xphotfn.errors import InvalidRecord, PlanError
from xphotfn.graph.export import to_shell
from xphotfn.graph.plan import describe
from xphotfn.graph.result import Run
from xphotfn.graph.run import default_workers
from xphotfn.io.bars import check_progress, progress_bar
from xphotfn.io.products import RateMap
from xphotfn.io.table_files import spreadsheet_cell
from xphotfn.io.tree import expanded
from xphotfn.measure.aperture import RegionLike, region_of
from xphotfn.measure.background_weights import Weights, function_of_maps
from xphotfn.plot.view import MatplotlibMissing
from xphotfn.records.field import Field
from xphotfn.reports.detected import Residual, residuals
from xphotfn.reports.folder import published_folder, slugs
from xphotfn.reports.from_maps import exposure_unit_of, fields_with_maps, report_of_maps
from xphotfn.reports.from_run import Asked, target_report
from xphotfn.reports.index_page import MOST_ROWS, index_pages
from xphotfn.reports.page_records import RunReport, StepReport, TargetReport
from xphotfn.reports.pictures import BandPictures, band_pictures
from xphotfn.reports.run_steps import parts_of
from xphotfn.reports.target_page import target_page
from xphotfn.science.snr_methods import Method, method_of

__all__ = ("report",)

Made = tuple[TargetReport, tuple[BandPictures, ...]]
Neighbour = tuple[str, str] | None
Part = Run | tuple[RateMap, ...]


def report(
    run: Run | RateMap | Iterable[RateMap],
    output: str | Path,
    *,
    fields: Field | Iterable[Field] | None = None,
    region: RegionLike | None = None,
    method: str | Method = "mid-p",
    title: str | None = None,
    progress: bool = True,
    peak: bool | None = False,
    background_weights: Weights | None = None,
) -> Path:
    """Write the report of a run, or of maps of any telescope, of one target or a sample, as a folder of static pages.

    Parameters
    ----------
    run
        As :func:`run` or :func:`load_run` returns it; one that failed in part will do. Or one or several rate maps,
        such as :func:`rate_map` gives: each is measured and shown by itself, and nothing is added up.
    output
        Folder to write; an earlier report there is replaced. It appears whole or not at all.
    fields
        Of maps, whose own a run's are: one field or several, as :func:`field_of_maps` gives. Each is measured on the
        maps of its observations.
    region
        The region to measure, as :func:`snr` takes it; default R500 of each target, else R200, R2500, its radius.
    method
        Definition of the signal-to-noise.
    title
        Title of the report; default the name of the target, or the number of targets.
    progress
        Show a progress bar on a terminal.
    background_weights
        What the background of each pixel is proportional to: a function of the map, as :func:`weights_by_map` makes.
    peak
        Measure on the X-ray peak: True for every target, None for clusters, by the rules of :func:`find_centre`. By
        default each field is measured where it is centred, as by :func:`snr`.

    Returns
    -------
    Path
        The first page, ``index.html``.

    Raises
    ------
    InvalidRecord
        If it is no run and no map, the method or region is unknown, a field has no map or a map no field, or
        ``progress`` is no switch.
    UnitMismatch
        If the region is no radius, or the maps' exposures are in s and in cm2 s.
    InvalidFile
        If the folder holds other things, which stay as they are, or cannot be written.
    MatplotlibMissing
        If matplotlib, which gives the colours, is not installed.

    Notes
    -----
    A target that cannot be measured, a step that failed and a product that is gone are shown with their reason; they
    are no errors. Where another place than the given position is measured, the page and a flag say so. The pages need
    no network, no server and, but for sorting and filtering, no script; a policy in each page forbids everything else.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.testing.examples import example_run
    >>> first = report(example_run(), tempfile.mkdtemp(), progress=False)
    >>> first.name, sorted(p.name for p in first.parent.iterdir())
    ('index.html', ['index.html', 'pictures', 'targets', 'targets.csv', 'xphotfn-report.json'])
    """
    check_progress(progress)
    made_by = run if isinstance(run, Run) else None
    parts = _parts(run, fields)
    name = method_of(method).name
    if find_spec("matplotlib") is None:
        raise MatplotlibMissing('a report needs matplotlib: pip install "xphotfn[plot]"')
    final = expanded(output)
    region = None if region is None else region_of(region)
    with published_folder(final) as folder:
        for part in ("targets", "pictures"):
            (folder / part).mkdir()
        made, facts = _write_targets(
            folder, parts, Asked(region, method, peak, function_of_maps(background_weights)), progress
        )
        targets = [target for target, _ in made]
        common = _common(targets, name, title)
        shown = _maps_report(common, parts) if made_by is None else _run_report(common, made_by, facts)
        for page_name, text in index_pages(shown, [pics for _, pics in made]):
            _write(folder / page_name, text)
        _write_csv(folder / "targets.csv", shown)
    return final / "index.html"


def _parts(run: Any, fields: Any) -> list[tuple[Field, Part]]:
    """Return each field with the part of the run that is its own, or with its maps."""
    if isinstance(run, Run):
        if fields is not None:
            raise InvalidRecord("fields= is for a report of maps: a run has fields of its own; leave it out")
        return [(part.plan.fields[0], part) for part in parts_of(run)]
    if not isinstance(run, Iterable | RateMap) or isinstance(run, str):
        what = "a run, as run() or load_run() returns it, or rate maps with fields="
        raise InvalidRecord(f"report needs {what}, got {type(run).__name__}")
    found: list[tuple[Field, Part]] = [*fields_with_maps(run, fields)]
    exposure_unit_of(_maps(found))
    return found


def _maps(parts: Iterable[tuple[Field, Part]]) -> Iterator[RateMap]:
    return (m for _, maps in parts if not isinstance(maps, Run) for m in maps)


def _write_targets(
    folder: Path, parts: Sequence[tuple[Field, Part]], asked: Asked, progress: bool
) -> tuple[list[Made], list[StepReport]]:
    """Write the pages and pictures of all targets; return what the first page shows, and all steps."""
    own = [field.name for field, _ in parts]
    names = slugs(own)
    work = partial(_write_target, folder, asked)
    made: list[Made] = []
    steps: dict[str, StepReport] = {}
    with ThreadPoolExecutor(max_workers=default_workers()) as pool:
        places = _picture_folders(folder / "pictures", len(names))
        results = pool.map(work, parts, names, places, _neighbours(own, names))
        for target, pics in _shown(results, len(names), progress):
            steps |= {s.id: evolve(s, log="", command="") for s in target.steps}
            slim = tuple(evolve(p, large=None, singles=()) for p in pics)
            made.append((evolve(target, steps=[s for s in target.steps if not s.is_good]), slim))
    return made, list(steps.values())


def _picture_folders(pictures: Path, count: int) -> list[str]:
    """Return for each target in which folder of the pictures its own are, with a slash; of few in that itself."""
    if count <= MOST_ROWS:
        return [""] * count
    places = [f"{number // MOST_ROWS:04d}/" for number in range(count)]
    for place in dict.fromkeys(places):
        (pictures / place).mkdir()
    return places


def _shown(results: Iterator[Made], total: int, progress: bool) -> Iterator[Made]:
    if not progress:
        return results
    bar: Iterator[Made] = iter(progress_bar(results, total=total, unit="target"))
    return bar


def _neighbours(names: Sequence[str], safe: Sequence[str]) -> list[tuple[Neighbour, Neighbour]]:
    pairs: list[Neighbour] = [None, *zip(names, safe, strict=True), None]
    return list(zip(pairs[:-2], pairs[2:], strict=True))


def _write_target(
    folder: Path, asked: Asked, own: tuple[Field, Part], slug: str, place: str, around: tuple[Neighbour, Neighbour]
) -> Made:
    """Write the page, the pictures and the shell script of one target."""
    field, part = own
    of_run = isinstance(part, Run)
    target = target_report(part, slug, asked) if isinstance(part, Run) else report_of_maps(field, part, slug, asked)
    pics = tuple(
        band_pictures(
            folder / "pictures",
            f"{place}{slug}-{band.band.name if of_run else number}",
            band,
            target.field,
            target.aperture,
        )
        for number, band in enumerate(target.bands, start=1)
    )
    script = _write_script(folder / "targets" / f"{slug}.sh", part) if isinstance(part, Run) else ""
    left = _residuals(folder, f"{place}{slug}", part, target) if isinstance(part, Run) else []
    text = target_page(target, pics, before=around[0], after=around[1], script=script, residuals=left)
    _write(folder / "targets" / f"{slug}.html", text)
    return target, pics


def _residuals(folder: Path, slug: str, part: Run, target: TargetReport) -> list[Residual]:
    bands = [band for _, found in target.lists[:1] for band in found.bands]
    return [picture for band in bands for picture in residuals(folder / "pictures", slug, part, band)]


def _write(path: Path, text: str) -> None:
    """Write a page; a byte of a path that is no letter of any language is shown by its number."""
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _write_script(path: Path, part: Run) -> str:
    """Write the commands of a target as a shell script and return its name; empty where there can be none."""
    if not part.plan.steps:
        return ""
    try:
        path.write_text(to_shell(part.plan), encoding="utf-8", errors="surrogateescape")
    except (PlanError, InvalidRecord):
        return ""
    return path.name


def _common(targets: Sequence[TargetReport], method: str, title: str | None) -> RunReport:
    """Return what is the same for a run and for maps."""
    one = f"{targets[0].name}" if len(targets) == 1 else f"{len(targets)} targets"
    return RunReport(
        title=title or f"{one}: X-ray photometry",
        targets=targets,
        observations=len({o for t in targets for o in t.field.obs_ids}),
        method=method,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version("xphotfn"),
    )


def _maps_report(common: RunReport, parts: Sequence[tuple[Field, Part]]) -> RunReport:
    return evolve(common, exposure_unit=exposure_unit_of(_maps(parts)))


def _run_report(common: RunReport, run: Run, steps: Sequence[StepReport]) -> RunReport:
    made = sorted(s.made for s in steps if s.made)
    return evolve(
        common,
        plan=describe(run.plan),
        counts=sorted(Counter(s.state for s in steps).items()),
        store=run.store,
        engine=run.engine,
        first=made[0] if made else "",
        last=made[-1] if made else "",
        versions=sorted({pair for s in steps for pair in s.versions}),
    )


_CSV = ("target", "ra_deg", "dec_deg", "redshift", "band_kev", "region", "snr", "method", "net_rate",
        "net_rate_error", "counts", "background_counts", "alpha", "exposure", "on_chip", "masked",
        "centre_ra_deg", "centre_dec_deg", "peak_ra_deg", "peak_dec_deg", "peak_offset_arcsec", "peak_offset_kpc",
        "time_kept", "flare_residual", "observations", "flags", "problem",
        "page")  # fmt: skip
_OF_MAP = ("obs_id", "exposure_id", "instrument")
_UNITS = {
    "s": {"net_rate": "ct_s", "net_rate_error": "ct_s", "exposure": "s"},
    "cm2 s": {"net_rate": "photon_cm2_s", "net_rate_error": "photon_cm2_s", "exposure": "cm2_s"},
}
"""What the names of columns end in, by the unit of the exposure."""


def _write_csv(path: Path, shown: RunReport) -> None:
    """Write the rows of the table; a report of maps says last which map each row is of."""
    units = _UNITS[shown.exposure_unit]
    names = [f"{name}_{units[name]}" if name in units else name for name in _CSV]
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(names if shown.is_of_run else [*names, *_OF_MAP])
        for row in _csv_rows(shown):
            writer.writerow(map(_cell, row))


def _cell(value: Any) -> Any:
    """Return what stands in a cell; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(value, str):
        return spreadsheet_cell(value)
    return "" if isinstance(value, float) and not math.isfinite(value) else value


def _csv_rows(shown: RunReport) -> Iterator[tuple[Any, ...]]:
    for target in shown.targets:
        t = target.field.target
        where = ("", "", "") if t is None else (t.ra_deg, t.dec_deg, t.redshift)
        for band in target.bands:
            c, p, m = band.combined, band.peak, band.combined.measurement
            keys = ("value", "counts", "background_counts", "alpha")
            value, counts, background, alpha = ("",) * 4 if m is None else (getattr(m, k) for k in keys)
            measured = (value, shown.method, c.net_rate, c.net_rate_error, counts, background, alpha, c.exposure)
            which = () if shown.is_of_run else tuple(getattr(c, name) for name in _OF_MAP)
            centre = (target.field.centre_ra_deg or "", target.field.centre_dec_deg or "")
            peak = ("", "") if p is None else (p.ra_deg, p.dec_deg)
            yield (
                target.name, *where, str(band.band).removesuffix(" keV"), target.region_label, *measured, c.on_chip,
                c.masked, *centre, *peak, band.offset_arcsec, band.offset_kpc, target.kept, target.residual,
                " ".join(target.field.obs_ids),
                "; ".join(band.flags), c.problem, f"targets/{target.slug}.html", *which,
            )  # fmt: skip
