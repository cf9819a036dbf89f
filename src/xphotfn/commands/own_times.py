"""Builders of the commands around good time that SAS does not have: every engine leaves them to our interpreter."""

import math
from collections.abc import Sequence
from typing import SupportsFloat

from xphotfn.commands.command import Command
from xphotfn.commands.task_rows import Task, choice, row
from xphotfn.commands.writing import build, changed, files_of, number, one_line, output_file, plain_file, yes
from xphotfn.errors import InvalidRecord
from xphotfn.records.good_times import GoodTimes

__all__ = ("OWN_TIME_TASKS", "flarecut", "gtiwrite")

_FLARECUT = Task(  # a task of our own: SAS has none that finds the cut and makes it
    name="flarecut",
    parameters=(
        row("table", "file", role="input"),
        row("gtiset", "file", role="output"),
        row("expression", "str", "true"),
        choice("goal", "optimum", None, "optimum", "quiet", "pipeline", "expression", "given", "curve"),
        row("timebinsize", "real", "26"),
        row("smallest", "real", "0.05"),
        row("cutsources", "bool", "yes"),
        row("withcurve", "bool", "no"),
        row("curve", "file", "curve.ds", "withcurve", role="input"),  # of the pipeline
        row("withsources", "bool", "no"),
        row("sources", "file", "sources.ds", "withsources", role="input"),  # a list, of which all are left out
        row("withgoodtime", "bool", "no"),
        row("goodtime", "file", "goodtime.ds", "withgoodtime", role="input"),  # for goal=expression and goal=given
        row("jointcurves", "list", "", role="input"),  # of the other cameras, as goal=curve makes them
    ),
    builders=["own_times:flarecut"],
    owner="xphotfn",
    native="flarecut:flarecut",
)
_GTIWRITE = Task(  # a task of our own: good time that is known already
    name="gtiwrite",
    parameters=(
        row("gtiset", "file", role="output"),
        row("intervals", "list", ""),
        row("origin", "str", ""),
    ),
    builders=["own_times:gtiwrite"],
    owner="xphotfn",
    native="flarecut:gtiwrite",
)
OWN_TIME_TASKS = (_FLARECUT, _GTIWRITE)


def flarecut(
    table: str,
    gtiset: str,
    *,
    expression: str,
    goal: str = "optimum",
    timebinsize: SupportsFloat = 26,
    smallest: float = 0.05,
    cutsources: bool = True,
    curve: str = "",
    sources: str = "",
    goodtime: str = "",
    jointcurves: Sequence[str] = (),
) -> Command:
    """Return the command that finds and writes the good time of an event list without flares.

    It is no task of SAS: every engine executes it by our own interpreter.

    Parameters
    ----------
    table
        Event list: a plain file name, which may name a block.
    gtiset
        Table of good time intervals to write, with the light curve behind it.
    expression
        Which events make the light curve.
    goal
        ``optimum`` or ``quiet``, as :func:`~xphotfn.science.flare_cut.flare_cut` has them, or ``pipeline``: the
        cut FLCUTTHR of ``curve`` on that curve itself. ``expression`` and ``given`` keep ``goodtime`` as it is, and
        write what it keeps and leaves. ``curve`` keeps all, for ``jointcurves`` of another list: its bins begin at
        whole widths.
    timebinsize
        Width of the bins in s.
    smallest
        The smallest excess that is called a flare, in units of the quiet rate.
    cutsources
        Leave bright sources out of the light curve.
    curve
        The pipeline's light curve of flares (FBKTSR): the sources of its REGION are left out; ``pipeline`` needs it.
    sources
        A list of sources (FITS) to leave out, beside the bright ones, where ``curve`` names none.
    goodtime
        A table of good time, for ``expression`` and ``given`` only.
    jointcurves
        What ``goal="curve"`` made of the other cameras, for ``optimum`` and ``quiet``: all are judged as one.

    Raises
    ------
    InvalidRecord
        For a path, an unknown goal, a width or an excess that is not above 0, ``pipeline`` without ``curve``,
        ``expression`` or ``given`` without ``goodtime``, or ``jointcurves`` for another goal.

    Examples
    --------
    >>> flarecut("evts.fits", "gti.fits", expression="PI in [500:7500]", goal="quiet").argv[-2:]
    ('expression=PI in [500:7500]', 'goal=quiet')
    """
    width, least = number("flarecut", "timebinsize", timebinsize), number("flarecut", "smallest", smallest)
    if float(width) == 0 or float(least) == 0:
        raise InvalidRecord(f"flarecut timebinsize and smallest must be above 0, got {timebinsize!r} and {smallest!r}")
    pairs = (
        ("table", table),
        ("gtiset", gtiset),
        ("expression", one_line("flarecut", expression)),
        ("goal", goal),
        *changed("timebinsize", width, "26"),
        *changed("smallest", least, "0.05"),
        *changed("cutsources", yes(cutsources), "yes"),
        *changed("curve", curve),
        *changed("sources", sources),
        *changed("goodtime", goodtime),
        *changed("jointcurves", " ".join(jointcurves)),
    )
    if goal == "pipeline" and not curve:
        raise InvalidRecord("flarecut goal=pipeline needs curve=, the pipeline's light curve of flares (FBKTSR)")
    if (goal in ("expression", "given")) != bool(goodtime):
        raise InvalidRecord(
            f"flarecut goal=expression or given and goodtime= go together, got goal={goal!r} and goodtime={goodtime!r}"
        )
    if jointcurves and goal not in ("optimum", "quiet"):
        raise InvalidRecord(
            f"flarecut jointcurves= are for goal=optimum and goal=quiet, got goal={goal!r}: leave them out"
        )
    inputs = files_of("flarecut", table, expression)
    for name, value in (("curve", curve), ("sources", sources), ("goodtime", goodtime)):
        inputs = (*inputs, *((plain_file("flarecut", name, value),) if value else ()))
    inputs = (*inputs, *(plain_file("flarecut", "jointcurves", name) for name in jointcurves))
    return build(_FLARECUT, pairs, inputs, (output_file("flarecut", "gtiset", gtiset),))


def gtiwrite(gtiset: str, good: GoodTimes) -> Command:
    """Return the command that writes good time which is known already; a path or an open end is an InvalidRecord.

    It is no task of SAS: every engine executes it by our own interpreter.

    Examples
    --------
    >>> gtiwrite("gti.fits", GoodTimes(intervals=((0.0, 10.0), (20.0, 30.5)))).argv
    ('gtiwrite', 'gtiset=gti.fits', 'intervals=0.0:10.0 20.0:30.5')
    """
    if not math.isfinite(good.seconds):
        raise InvalidRecord("good time without a start or an end cannot be written: cut it with & first")
    text = " ".join(f"{start!r}:{stop!r}" for start, stop in good.intervals)
    origin = "".join(c for c in good.origin if c.isascii() and c.isprintable() and c != "'")
    pairs = (("gtiset", gtiset), ("intervals", text), *changed("origin", origin))
    return build(_GTIWRITE, pairs, (), (output_file("gtiwrite", "gtiset", gtiset),))
