"""Light curves of event lists, and lists without flares."""

import math
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import astropy.units as u
from attrs import evolve

from xphotfn.commands.default_selection import clean_expression, selection_expression
from xphotfn.commands.times import evselect_list
from xphotfn.engines.native.curves import NOTHING, LeftOutSources, read_curve
from xphotfn.engines.native.in_out import in_out_of_list
from xphotfn.engines.protocol import Engine
from xphotfn.errors import InvalidFile, InvalidRecord, NoData
from xphotfn.graph.flares import FLARE_BAND, GoodTimePart
from xphotfn.io.beside import beside_list, found_file
from xphotfn.io.flare_curves import holds_regions
from xphotfn.io.good_time_files import read_flare_cut
from xphotfn.io.recognise import is_filtered
from xphotfn.io.source_lists import read_sources
from xphotfn.io.write import check_free, publish
from xphotfn.measure.images import event_list, good_time_of, inputs_of
from xphotfn.records._html import record_html
from xphotfn.records.band import Band
from xphotfn.records.facts import FileFacts
from xphotfn.records.good_times import GoodTimes
from xphotfn.records.light_curve import FlareCut, InOut, LightCurve
from xphotfn.science.light_curves import FRAME_BINS

__all__ = ("Cleaned", "clean_events", "in_out", "light_curve")


def light_curve(
    events: str | Path,
    *,
    band: Band | None = None,
    selection: str | None = None,
    bin_s: float | u.Quantity | None = None,
    cut_sources: bool = True,
    sources: str | Path | None = None,
) -> LightCurve:
    """Return the light curve of an event list, with the live time of each bin.

    Parameters
    ----------
    events
        The event list, plain or gzipped.
    band
        Energy band; default 0.5-7.5 keV, in which flares are looked for.
    selection
        Event selection in SAS's language, to which the band is added; default good flags and patterns.
    bin_s
        Width of the bins, a time or a number in s; default 26 s for MOS, which are 10 frames, and 10 s for pn.
    cut_sources
        Leave sources out, for a variable source is no flare: those of the pipeline's light curve of flares (FBKTSR)
        where that lies beside the list, else those of its list of sources (OBSMLI), each with 30 arcsec or more, and
        circles of 1 arcmin around the bright ones that the events show.
    sources
        A list of sources (FITS) to take instead of what lies beside.

    Returns
    -------
    LightCurve
        Bins start with the list (TSTART). The live time of a bin is a mean over the CCDs; a bin without any is a gap.

    Raises
    ------
    InvalidFile
        If the event list is not one or cannot be read.
    InvalidRecord
        For a width that is no time above 0 s, or makes more than 2e6 bins.

    Warns
    -----
    UserWarning
        Where frames (EXPOSUnn) are missing, with what counts as live then; or where no event passes.

    Notes
    -----
    What the selection cuts in time, by ``gti()`` or ranges of TIME, has no live time: it is a gap, not a quiet bin.

    References
    ----------
    XMM-Newton SAS, evselect, node 11, and epiclccorr: counts and FRACEXP of the pipeline's flare curves are met.

    Examples
    --------
    >>> import tempfile
    >>> from attrs import evolve
    >>> from xphotfn.testing import default_scene, simulate_observations
    >>> pointing = default_scene().pointings[0]
    >>> one = evolve(pointing, exposures=[pointing.exposure("mos1")])
    >>> scene = evolve(default_scene(), pointings=[one])
    >>> truth = simulate_observations(tempfile.mkdtemp(), scene=scene, products="events")
    >>> curve = light_curve(f"{truth.folder}/0999990101/0999990101_mos1_clean_evts.fits")
    >>> curve.bin_s, round(curve.seconds, -2)
    (26.0, 8900.0)
    """
    found = event_list(Path(events))
    width = FRAME_BINS[found.instrument] if bin_s is None else _seconds(bin_s)
    limits = FLARE_BAND if band is None else (band.lo_ev, band.hi_ev)
    filtered = is_filtered(found.instrument, found.subspace)
    text = selection_expression(*limits, found.instrument, filtered=filtered, extra=selection or "")
    path, out = Path(found.file.path), sources_of(events, sources) if cut_sources else NO_SOURCES
    chosen = f"({text}) && {out.condition}" if out.condition else text
    reading = read_curve(path.parent, path.name, chosen, width, without=out.circles)
    empty = () if reading.curve.counts.any() else (f"no event passes {chosen!r}",)
    for note in (*reading.notes, *empty):
        warnings.warn(f"{path.name}: {note}", UserWarning, stacklevel=2)
    return evolve(reading.curve, source=path.name)


def _seconds(width: float | u.Quantity) -> float:
    try:
        seconds = float(u.Quantity(width, u.s).value)
    except (TypeError, ValueError):  # UnitConversionError is one
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InvalidRecord(f"bin_s must be above 0 s, got {width!r}")
    return seconds


class SourcesOfList(NamedTuple):
    """What is left out of the curve of a list: a condition or circles, and the file that says so."""

    condition: str = ""
    circles: LeftOutSources = NOTHING
    file: str = ""


NO_SOURCES = SourcesOfList()


def sources_of(events: str | Path, sources: str | Path | None = None) -> SourcesOfList:
    """Return what is left out of the light curve of a list: what a file says that is given or lies beside it."""
    beside = beside_list(event_list(Path(events)))
    curve = beside.flare_curve if sources is None else None
    if curve is not None and holds_regions(Path(curve.path)):
        name = Path(curve.path).name
        return SourcesOfList(condition=f"region({name}:REGION,DETX,DETY)", file=name)
    listed = sources or (None if beside.sources is None else beside.sources.path)
    if listed is None:
        return SourcesOfList(circles=LeftOutSources(bright=True))
    circles = LeftOutSources(bright=True, listed=read_sources(listed))
    return SourcesOfList(circles=circles, file=Path(listed).name)


def in_out(events: str | Path, *, good: GoodTimes | None = None) -> InOut:
    """Return the rate of the outer field of view over that of the corners: what soft protons are left in a list.

    Parameters
    ----------
    events
        A MOS event list that holds the corners, such as a raw one of the pipeline.
    good
        Good time; default that of the list.

    Returns
    -------
    InOut
        1 where the field sees what the corners see. ``category`` is that of De Luca & Molendi: below 1.15 not, to 1.3
        slightly, to 1.5 very, above extremely contaminated.

    Raises
    ------
    NoData
        For pn, window modes and lists without events of the corners.
    InvalidFile
        If the event list is not one or cannot be read.

    Notes
    -----
    6 to 12 keV: other energies and other pixels than those that flares are cut by, so it checks the cut.

    References
    ----------
    De Luca & Molendi 2004, A&A 419, 837.

    Examples
    --------
    >>> in_out("nowhere.fits")
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: ...nowhere.fits: cannot be read (...): was it moved or deleted?
    """
    path = Path(event_list(Path(events)).file.path)
    return in_out_of_list(path.parent, path.name, good)


class Cleaned(NamedTuple):
    """A list without flares, its good time, what the cut kept, IN/OUT or why there is none, and what was printed."""

    events: Path
    good_times: Path
    cut: FlareCut
    contamination: InOut | str
    printed: str

    def _repr_html_(self) -> str:
        return record_html(self)


def clean_events(
    events: str | Path,
    folder: str | Path,
    *,
    engine: Engine,
    goal: str = "optimum",
    together_with: Sequence[str | Path] = (),
    sources: str | Path | None = None,
    overwrite: bool = False,
) -> Cleaned:
    """Make a list without flares of an event list, with good flags and patterns only.

    Parameters
    ----------
    events
        The event list, plain or gzipped.
    folder
        Where list and table of good time are made; made if missing.
    engine
        What executes the commands.
    goal
        ``"optimum"`` or ``"quiet"``, as :func:`flare_cut` has them.
    together_with
        Lists of other cameras of the observation that are judged with this one, as one: a flare is in all of them.
    sources
        A list of sources (FITS) to leave out of the light curve, as :func:`light_curve` has it.
    overwrite
        Replace what is there.

    Returns
    -------
    Cleaned

    Raises
    ------
    InvalidFile
        If an event list is not one, or a result exists already or cannot be written.
    InvalidRecord
        For another goal, or a list of another observation.

    Examples
    --------
    >>> from xphotfn.engines.native.engine import native_engine
    >>> clean_events("nowhere.fits", "clean", engine=native_engine(), goal="quiet")
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: ...nowhere.fits: cannot be read (...): was it moved or deleted?
    """
    if goal not in ("optimum", "quiet"):
        raise InvalidRecord(f"goal must be 'optimum' or 'quiet', got {goal!r}")
    found = event_list(Path(events))
    others = [event_list(Path(path)) for path in together_with]
    strange = [item.file.path for item in others if item.obs_id != found.obs_id]
    if strange:
        raise InvalidRecord(
            f"{', '.join(strange)} is not of observation {found.obs_id}: flares are judged within one; give lists "
            "of that"
        )
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    stem = f"{found.obs_id or '0000000000'}_{found.instrument}_{found.exposure_id or 'S000'}"
    made, table = root / f"{stem}_clean_evts.fits", root / f"{stem}_{goal}_gti.fits"
    for path in (made, table):
        check_free(path, overwrite=overwrite)
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        good = _good_time(found, others, goal, sources)
        printed = _make(found, good, Path(scratch), engine)
        for name, path in (("clean.fits", made), ("gti.fits", table)):
            with publish(path, overwrite=overwrite) as temporary:
                (Path(scratch) / name).replace(temporary)
    cut = read_flare_cut(table)
    try:
        contamination: InOut | str = in_out(events, good=cut.good)
    except NoData as error:
        contamination = str(error)
    return Cleaned(made, table, cut, contamination, printed)


def _good_time(found: FileFacts, others: Sequence[FileFacts], goal: str, sources: str | Path | None) -> GoodTimePart:
    listed = None if sources is None else found_file(sources)
    if listed is not None:
        read_sources(listed.path)  # that it is one is said before the work is done
    how = f"joint-{goal}" if others else goal
    return good_time_of(found, _link_name(found), how, others=others, sources=listed)


def _link_name(found: FileFacts) -> str:
    return "events.fits.gz" if found.file.path.lower().endswith((".gz", ".ftz")) else "events.fits"


def _make(found: FileFacts, good: GoodTimePart, folder: Path, engine: Engine) -> str:
    """Make gti.fits and clean.fits in a folder, and return what was printed."""
    name = _link_name(found)
    links = {i.name: i.file.path for i in inputs_of(good) if i.file is not None}
    for link, path in links.items():
        (folder / link).symlink_to(path)
    filtered = is_filtered(found.instrument, found.subspace)
    usual = "" if filtered else clean_expression(found.instrument)
    expression = " && ".join(part for part in (usual, good.selection) if part)
    commands = [*(step.command for step in good.steps), evselect_list(name, "clean.fits", expression=expression)]
    try:
        printed = "".join(engine.execute(command, folder) for command in commands)
    except InvalidFile as error:  # the command saw a link
        raise InvalidFile(links.get(error.path, error.path), error.problem, error.line) from error
    (folder / good.steps[-1].command.outputs[0]).rename(folder / "gti.fits")
    return printed
