"""Lists without flares: the good time of an event list, and the list that is filtered with it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from xphotfn.commands.default_selection import clean_expression
from xphotfn.commands.messages import SasMessage
from xphotfn.commands.timing import evselect_list
from xphotfn.engines.protocol import Engine, Printed
from xphotfn.epic.in_out import in_out_of_list
from xphotfn.errors import InvalidFile, InvalidRecord, NoData
from xphotfn.graph.flare_steps import GoodTimePart
from xphotfn.graph.one_image import good_time_of, inputs_of
from xphotfn.html import record_html
from xphotfn.io.beside import event_list, found_file
from xphotfn.io.good_time_files import read_flare_cut
from xphotfn.io.recognise import is_filtered
from xphotfn.io.source_lists import read_sources
from xphotfn.io.write import check_free, publish
from xphotfn.records.facts import FileFacts
from xphotfn.records.light_curve import FlareCut, InOut

__all__ = ("Cleaned", "clean_events")


class Cleaned(NamedTuple):
    """A list without flares, its good time, what the cut kept, IN/OUT or why there is none, and warnings."""

    events: Path
    good_times: Path
    cut: FlareCut
    contamination: InOut | str
    warnings: tuple[SasMessage, ...]

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
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"cannot be a folder ({error.strerror or error}): give one that you may write to"
        raise InvalidFile(str(root), why) from error
    stem = f"{found.obs_id or '0000000000'}_{found.instrument}_{found.exposure_id or 'S000'}"
    made, table = root / f"{stem}_clean_evts.fits", root / f"{stem}_{goal}_gti.fits"
    read = (events, *together_with, *(() if sources is None else (sources,)))
    for path in (made, table):
        check_free(path, overwrite=overwrite, inputs=read)
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        good = _good_time(found, others, goal, sources)
        warnings = _make(found, good, Path(scratch), engine)
        for name, path in (("clean.fits", made), ("gti.fits", table)):
            with publish(path, overwrite=overwrite) as temporary:
                (Path(scratch) / name).replace(temporary)
    cut = read_flare_cut(table)
    try:
        path = Path(found.file.path)
        contamination: InOut | str = in_out_of_list(path.parent, path.name, cut.good)
    except NoData as error:
        contamination = str(error)
    return Cleaned(made, table, cut, contamination, warnings)


def _good_time(found: FileFacts, others: Sequence[FileFacts], goal: str, sources: str | Path | None) -> GoodTimePart:
    listed = None if sources is None else found_file(sources)
    if listed is not None:
        read_sources(listed.path)  # that it is one is said before the work is done
    how = f"joint-{goal}" if others else goal
    return good_time_of(found, _link_name(found), how, others=others, sources=listed)


def _link_name(found: FileFacts) -> str:
    return "events.fits.gz" if found.file.path.lower().endswith((".gz", ".ftz")) else "events.fits"


def _make(found: FileFacts, good: GoodTimePart, folder: Path, engine: Engine) -> tuple[SasMessage, ...]:
    """Make gti.fits and clean.fits in a folder, and return what the tasks warned of."""
    name = _link_name(found)
    links = {i.name: i.file.path for i in inputs_of(good) if i.file is not None}
    for link, path in links.items():
        (folder / link).symlink_to(path)
    filtered = is_filtered(found.instrument, found.subspace)
    usual = "" if filtered else clean_expression(found.instrument)
    expression = " && ".join(part for part in (usual, good.selection) if part)
    commands = [*(step.command for step in good.steps), evselect_list(name, "clean.fits", expression=expression)]
    try:
        printed = [Printed.of(engine.execute(command, folder)) for command in commands]
    except InvalidFile as error:  # the command saw a link
        raise InvalidFile(links.get(error.path, error.path), error.problem, error.line) from error
    (folder / good.steps[-1].command.outputs[0]).rename(folder / "gti.fits")
    return tuple(message for one in printed for message in one.warnings)
