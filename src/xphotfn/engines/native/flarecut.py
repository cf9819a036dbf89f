"""Good time without flares, and good time that is known already: tasks of our own, built by ``commands.flarecut``.

The table STDGTI is as SAS's; its cards FLGOAL to FLDISP say what the cut kept and left. The table RATE behind it is the
light curve that was judged, with the live time of each bin.
"""

import math
from pathlib import Path
from typing import Any

from attrs import evolve

from xphotfn.commands.command import Command
from xphotfn.commands.parameters import resolved
from xphotfn.engines.native.tabgtigen import gti_primary
from xphotfn.epic.exposure_times import columns_block, gti_block
from xphotfn.epic.live_curve import NOTHING, LeftOutSources, Reading, read_curve
from xphotfn.epic.log import warn
from xphotfn.errors import CommandFailed
from xphotfn.io.flare_curves import holds_regions, read_flare_curve
from xphotfn.io.good_time_files import read_cut_curve, read_good_times
from xphotfn.io.source_lists import read_sources
from xphotfn.io.write import publish
from xphotfn.records.good_times import good_times
from xphotfn.records.light_curve import FlareCut, LightCurve
from xphotfn.science.flare_cut import Goal, Judged, judge, kept_by
from xphotfn.science.joint.flare_state import joint_curve
from xphotfn.science.silent_time import without_silence

__all__ = ("flarecut", "gtiwrite")

Card = tuple[str, Any, str]
_GOALS: dict[str, Goal] = {"optimum": "optimum", "quiet": "quiet"}
_UNJUDGED = 0.02  # of the live time of a list that a curve may lack unsaid


def flarecut(command: Command, folder: Path) -> None:
    """Execute a flarecut command in ``folder``.

    Parameters
    ----------
    command
        ``table``, ``gtiset``, ``expression``, ``goal`` and what else it takes.
    folder
        Holds the event list; the table of good time is made here.

    Raises
    ------
    CommandFailed
        If the list has no live time, or the pipeline's curve holds nothing of it.
    InvalidFile
        If the list cannot be read, or the result exists already.
    ExpressionError
        If the expression cannot be read or does not fit the columns.

    Warns
    -----
    UserWarning
        Always: what was kept. Also where frames are not known, nothing is kept, or no event makes the curve.

    Examples
    --------
    >>> import tempfile
    >>> given = (("table", "evts.fits"), ("gtiset", "gti.fits"))
    >>> flarecut(Command(task="flarecut", parameters=given), Path(tempfile.mkdtemp()))
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: evts.fits: there is no such file: check the path
    """
    full = resolved(command)
    expression, width = full.parameter("expression"), float(full.parameter("timebinsize"))
    regions = _regions(full, folder)
    without = NOTHING if regions or full.parameter("cutsources") != "yes" else _without(full, folder)
    chosen = f"({expression}) && {regions}" if regions else expression
    common = full.parameter("goal") == "curve" or bool(full.parameter("jointcurves"))
    reading = read_curve(folder, full.parameter("table"), chosen, width, without=without, common=common)
    if not reading.curve.seconds > 0:
        raise CommandFailed(command.argv, "the list has no live time: no frame lies in its good time")
    reading, cut = _cut(command, folder, reading)
    _say(reading, cut)
    with publish(folder / full.parameter("gtiset")) as temporary:
        good = gti_block("STDGTI", None, cut.good.intervals, cut_cards(cut, None if regions else len(reading.circles)))
        temporary.write_bytes(gti_primary(full) + good + curve_block(reading.curve))


def _cut(command: Command, folder: Path, reading: Reading) -> tuple[Reading, FlareCut]:
    """Return the curve that is judged and the cut on it."""
    full = resolved(command)
    goal, smallest, curve = full.parameter("goal"), float(full.parameter("smallest")), reading.curve
    others = [folder / name for name in full.parameter("jointcurves").split()]
    if goal == "pipeline":
        return _of_pipeline(command, folder / full.parameter("curve"), reading, smallest)
    if goal == "curve":
        whole = good_times([(curve.start_s, curve.start_s + curve.counts.size * curve.bin_s)])
        return reading, kept_by(curve, whole, goal, smallest=smallest)
    if goal in _GOALS:
        curves = map(without_silence, (curve, *map(read_cut_curve, others)))
        joint = joint_curve(list(curves), smallest=smallest) if others else curve
        cut = _told(judge(joint, _GOALS[goal], smallest=smallest, frame_ends=reading.frame_ends))
        return reading, _of_one(cut, curve, len(others), smallest) if others else cut
    if full.parameter("withgoodtime") == "yes":
        good = read_good_times(folder / full.parameter("goodtime"))
        return reading, kept_by(curve, good, goal, smallest=smallest)
    raise CommandFailed(command.argv, f"goal={goal} needs goodtime=, the table of the time that is kept")


def _told(judged: Judged) -> FlareCut:
    for note in judged.notes:
        warn("quietState", note)
    return judged.cut


def _of_one(joint: FlareCut, curve: LightCurve, others: int, smallest: float) -> FlareCut:
    """Return a cut that several cameras share as what it keeps and leaves of one of them."""
    warn("joint", f"judged together with {others} other list{'' if others == 1 else 's'}, as one: {joint}")
    return kept_by(curve, joint.good, joint.goal, smallest=smallest)


def _regions(full: Command, folder: Path) -> str:
    """Return the condition that leaves out the sources of the pipeline's curve; empty where it names none."""
    if full.parameter("cutsources") != "yes" or full.parameter("withcurve") != "yes":
        return ""
    name = full.parameter("curve")
    return f"region({name}:REGION,DETX,DETY)" if holds_regions(folder / name) else ""


def _without(full: Command, folder: Path) -> LeftOutSources:
    """Return the bright sources, and those of a list where one is given."""
    listed = read_sources(folder / full.parameter("sources")) if full.parameter("withsources") == "yes" else ()
    return LeftOutSources(bright=True, listed=listed)


def _of_pipeline(command: Command, path: Path, reading: Reading, smallest: float) -> tuple[Reading, FlareCut]:
    """Return the pipeline's curve in place of our own, and its own cut on it."""
    if resolved(command).parameter("withcurve") != "yes":
        raise CommandFailed(command.argv, "goal=pipeline needs curve=, the pipeline's light curve of flares (FBKTSR)")
    curve, most = read_flare_curve(path)
    ours = reading.curve
    first, last = curve.start_s, curve.start_s + curve.counts.size * curve.bin_s
    judged = float(ours.live_s[(ours.time >= first) & (ours.time <= last)].sum())
    if not (curve.seconds > 0 and judged > 0):
        raise CommandFailed(command.argv, "the pipeline's light curve holds no time of this list: take goal=optimum")
    if judged < (1 - _UNJUDGED) * ours.seconds:
        warn("partOfList", f"the pipeline's light curve holds {judged / ours.seconds:.0%} of the list: the rest is cut")
    cut = _told(judge(curve, "expression", most=most, smallest=smallest, frame_ends=reading.frame_ends))
    good = evolve(cut.good, origin="pipeline")
    return reading._replace(curve=curve, circles=()), evolve(cut, goal="pipeline", good=good)


def _say(reading: Reading, cut: FlareCut) -> None:
    warn("flares", f"{cut.goal}: {cut}")
    for note in reading.notes:
        warn("noFrames", note)
    if not reading.curve.counts.any():
        warn("noEvents", f"no event passes {reading.curve.selection!r}: what flares there are cannot be told")
    if not cut.kept_s > 0:
        warn("noGoodTime", "no time is kept")


def cut_cards(cut: FlareCut, sources: int | None) -> list[Card]:
    """Return what a cut kept and left as the cards KEPT_CARDS.

    What is not known is left out, as how many sources a file left out.
    """
    cards: list[Card] = [
        ("FLGOAL", cut.goal, "what flares were cut for"),
        ("FLRATE", cut.rate, "[ct/s] greatest rate kept"),
        ("FLQUIET", cut.quiet, "[ct/s] rate without flares"),
        ("FLQERR", cut.quiet_error, "[ct/s] its error"),
        ("FLKEPT", cut.kept_s, "[s] live time that is kept"),
        ("FLTOTAL", cut.total_s, "[s] live time before"),
        ("FLRESID", cut.residual, "mean rate kept / FLQUIET - 1"),
        ("FLDISP", cut.over_dispersion, "chi-square per bin kept"),
        ("FLNSRC", math.nan if sources is None else sources, "sources left out"),
    ]
    return [card for card in cards if isinstance(card[1], str) or math.isfinite(card[1])]


def curve_block(curve: LightCurve) -> bytes:
    """Return the table RATE of a light curve, header and data."""
    columns = [
        ("TIME", "s", curve.time),
        ("RATE", "count/s", curve.rate),
        ("ERROR", "count/s", curve.error),
        ("COUNTS", "count", curve.counts),
        ("LIVE", "s", curve.live_s),
    ]
    cards: list[Card] = [
        ("EXTNAME", "RATE", "The name of this table"),
        ("HDUCLASS", "OGIP", "format conforms to OGIP standard"),
        ("HDUCLAS1", "LIGHTCURVE", "light curve"),
        ("HDUCLAS2", "TOTAL", "gross rates"),
        ("HDUCLAS3", "RATE", "rates per second of live time"),
        ("TIMEDEL", curve.bin_s, "[s] width of the bins"),
        ("TSTART", curve.start_s, "[s] start of the first bin"),
        ("TIMEZERO", 0.0, "[s] clock correction"),
        ("MJDREF", 50814.0, "[d] 1998-01-01T00:00:00 (TT)"),
        ("SLCTEXPR", curve.selection, ""),
    ]
    return columns_block(columns, cards)


def gtiwrite(command: Command, folder: Path) -> None:
    """Execute a gtiwrite command in ``folder``: pairs ``start:stop`` become a table of good time.

    Raises
    ------
    CommandFailed
        If a pair cannot be read.
    InvalidFile
        If the table exists already.

    Examples
    --------
    >>> gtiwrite(Command(task="gtiwrite", parameters=(("gtiset", "g.fits"), ("intervals", "3"))), Path("."))
    Traceback (most recent call last):
    xphotfn.errors.CommandFailed: gtiwrite: intervals must be pairs start:stop in s, got '3'
    """
    full = resolved(command)
    text = full.parameter("intervals")
    try:
        pairs = [tuple(map(float, word.split(":"))) for word in text.split()]
        good = good_times(pairs)
    except ValueError as error:
        raise CommandFailed(command.argv, f"intervals must be pairs start:stop in s, got {text[:60]!r}") from error
    if not math.isfinite(good.seconds):
        raise CommandFailed(command.argv, "intervals must have a start and an end")
    if not good.intervals:
        warn("noGoodTime", "no time is kept")
    with publish(folder / full.parameter("gtiset")) as temporary:
        origin: list[Card] = [("FLGOAL", "given", "what flares were cut for")]
        temporary.write_bytes(gti_primary(full) + gti_block("STDGTI", None, good.intervals, origin))
