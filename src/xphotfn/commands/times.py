"""Builders of the commands around good time: light curves, good time intervals, filtered lists.

As in :mod:`xphotfn.commands.builders`, which has these functions too: plain values in, a frozen Command out.
"""

import math
from collections.abc import Sequence
from typing import SupportsFloat

from xphotfn.commands._writing import Pairs, build, number, output_file, plain_file, yes
from xphotfn.commands.command import Command
from xphotfn.commands.selection import named_files
from xphotfn.errors import InvalidRecord
from xphotfn.records.good_times import GoodTimes

__all__ = ("evselect_list", "evselect_rate", "flarecut", "gtibuild", "gtiwrite", "tabgtigen")

Range = tuple[SupportsFloat, SupportsFloat]


def _one_line(task: str, expression: str) -> str:
    if not expression.strip() or "'" in expression or not (expression.isascii() and expression.isprintable()):
        raise InvalidRecord(f"{task} expression must be one line of plain text without ', got {expression!r}")
    return expression


def _inputs(task: str, table: str, expression: str) -> tuple[str, ...]:
    """Return the table and the files that an expression reads, each once."""
    read = (plain_file(task, "expression", name) for name in named_files(expression))
    return tuple(dict.fromkeys((plain_file(task, "table", table), *read)))


def evselect_list(
    table: str, filteredset: str, *, expression: str, updateexposure: bool = True, filterexposure: bool = True
) -> Command:
    """Return the command that writes the selected events as a list of their own.

    Parameters
    ----------
    table
        Event list: a plain file name, which may name a block.
    filteredset
        List to write.
    expression
        Selection of events; files that it names in ``gti()``, ``mask()`` or ``region()`` become inputs.
    updateexposure
        Write the on-times and live times of what is left.
    filterexposure
        Leave out the frames outside the good times.

    Returns
    -------
    The command.

    Raises
    ------
    InvalidRecord
        For a path, or an expression that no FITS header can hold.
    ExpressionError
        If the expression cannot be read.

    References
    ----------
    SAS evselect, nodes 4 and 16.

    Examples
    --------
    >>> evselect_list("evts.fits", "clean.fits", expression="gti(gti.fits,TIME)").inputs
    ('evts.fits', 'gti.fits')
    """
    pairs = (
        ("table", table),
        ("filteredset", filteredset),
        ("withfilteredset", "yes"),
        ("keepfilteroutput", "yes"),
        *(() if updateexposure else (("updateexposure", "no"),)),
        *(() if filterexposure else (("filterexposure", "no"),)),
        ("expression", _one_line("evselect", expression)),
    )
    inputs = _inputs("evselect", table, expression)
    return build("evselect", pairs, inputs, (output_file("evselect", "filteredset", filteredset),))


def evselect_rate(
    table: str,
    rateset: str,
    *,
    expression: str,
    timebinsize: SupportsFloat,
    time_range: Range | None = None,
    maketimecolumn: bool = True,
    makeratecolumn: bool = True,
) -> Command:
    """Return the command that makes a light curve from an event list.

    Parameters
    ----------
    table
        Event list: a plain file name, which may name a block.
    rateset
        Light curve to write.
    expression
        Selection of events; files that it names in ``gti()``, ``mask()`` or ``region()`` become inputs.
    timebinsize
        Width of the bins in s.
    time_range
        ``(timemin, timemax)`` in s; None for TSTART and TSTOP of the list.
    maketimecolumn, makeratecolumn
        Write a column of times; write RATE and ERROR instead of COUNTS. SAS's own defaults are no.

    Returns
    -------
    The command.

    Raises
    ------
    InvalidRecord
        For a path, a width that is not above 0, a range that does not run upwards, or an expression that no FITS
        header can hold.

    References
    ----------
    SAS evselect, nodes 11 and 16.

    Examples
    --------
    >>> evselect_rate("evts.fits", "rate.fits", expression="PI>10000", timebinsize=100).argv[2:4]
    ('rateset=rate.fits', 'timebinsize=100')
    """
    width = number("evselect", "timebinsize", timebinsize)
    if float(width) == 0:
        raise InvalidRecord(f"evselect timebinsize must be above 0 s, got {timebinsize!r}")
    limits: Pairs = ()
    if time_range is not None:
        low, high = (number("evselect", name, v) for name, v in zip(("timemin", "timemax"), time_range, strict=True))
        if float(low) >= float(high):
            raise InvalidRecord(f"evselect timemin must be below timemax, got {low} and {high}")
        limits = (("timemin", low), ("timemax", high), ("withtimeranges", "yes"))
    pairs = (
        ("table", table),
        ("rateset", rateset),
        ("timebinsize", width),
        *limits,
        ("maketimecolumn", yes(maketimecolumn)),
        ("makeratecolumn", yes(makeratecolumn)),
        ("withrateset", "yes"),
        ("expression", _one_line("evselect", expression)),
    )
    inputs = _inputs("evselect", table, expression)
    return build("evselect", pairs, inputs, (output_file("evselect", "rateset", rateset),))


def tabgtigen(
    table: str,
    gtiset: str,
    *,
    expression: str,
    timecolumn: str = "TIME",
    prefraction: float = 0.5,
    postfraction: float = 0.5,
    mingtisize: SupportsFloat = 0,
) -> Command:
    """Return the command that makes good time intervals of the rows of a table that an expression selects.

    Parameters
    ----------
    table
        Any table with a column of times: a plain file name, which may name a block.
    gtiset
        Table of good time intervals to write.
    expression
        Selection of rows, in the language of event selections, such as ``RATE<=0.4``.
    timecolumn
        The column of times.
    prefraction, postfraction
        How much of a row's length is good before and after its time, -1 to 1.
    mingtisize
        Shorter intervals are dropped; in s.

    Returns
    -------
    The command.

    Raises
    ------
    InvalidRecord
        For a path, a fraction outside -1 to 1, or an expression that no FITS header can hold.

    References
    ----------
    SAS tabgtigen, nodes 3 to 6.

    Examples
    --------
    >>> tabgtigen("rate.fits", "gti.fits", expression="RATE<=0.4").argv
    ('tabgtigen', 'table=rate.fits', 'gtiset=gti.fits', 'expression=RATE<=0.4')
    """
    fractions = []
    for name, value in (("prefraction", prefraction), ("postfraction", postfraction)):
        if not -1 <= value <= 1:
            raise InvalidRecord(f"tabgtigen {name} must be -1 to 1, got {value!r}")
        fractions += [] if value == 0.5 else [(name, str(float(value)))]
    shortest = number("tabgtigen", "mingtisize", mingtisize)
    pairs = (
        ("table", table),
        ("gtiset", gtiset),
        ("expression", _one_line("tabgtigen", expression)),
        *((("timecolumn", timecolumn),) if timecolumn != "TIME" else ()),
        *fractions,
        *((("mingtisize", shortest),) if shortest != "0" else ()),
    )
    inputs = _inputs("tabgtigen", table, expression)
    return build("tabgtigen", pairs, inputs, (output_file("tabgtigen", "gtiset", gtiset),))


def gtibuild(file: str, table: str) -> Command:
    """Return the command that makes a table of good time intervals of a text file.

    Parameters
    ----------
    file
        Lines ``start stop`` in s, each with an optional ``+`` (good) or ``-`` (bad).
    table
        Table to write.

    Returns
    -------
    The command.

    Raises
    ------
    InvalidRecord
        For a path.

    References
    ----------
    SAS gtibuild, node 6.

    Examples
    --------
    >>> gtibuild("good.txt", "gti.fits").argv
    ('gtibuild', 'file=good.txt', 'table=gti.fits')
    """
    pairs = (("file", file), ("table", table))
    return build("gtibuild", pairs, (plain_file("gtibuild", "file", file),), (output_file("gtibuild", "table", table),))


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

    Returns
    -------
    The command.

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
        ("expression", _one_line("flarecut", expression)),
        ("goal", goal),
        *((("timebinsize", width),) if width != "26" else ()),
        *((("smallest", least),) if least != "0.05" else ()),
        *(() if cutsources else (("cutsources", "no"),)),
        *((("curve", curve),) if curve else ()),
        *((("sources", sources),) if sources else ()),
        *((("goodtime", goodtime),) if goodtime else ()),
        *((("jointcurves", " ".join(jointcurves)),) if jointcurves else ()),
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
    inputs = _inputs("flarecut", table, expression)
    for name, value in (("curve", curve), ("sources", sources), ("goodtime", goodtime)):
        inputs = (*inputs, *((plain_file("flarecut", name, value),) if value else ()))
    inputs = (*inputs, *(plain_file("flarecut", "jointcurves", name) for name in jointcurves))
    return build("flarecut", pairs, inputs, (output_file("flarecut", "gtiset", gtiset),))


def gtiwrite(gtiset: str, good: GoodTimes) -> Command:
    """Return the command that writes good time which is known already.

    It is no task of SAS: every engine executes it by our own interpreter.

    Parameters
    ----------
    gtiset
        Table to write.
    good
        The intervals.

    Returns
    -------
    The command.

    Raises
    ------
    InvalidRecord
        For a path, or an open end.

    Examples
    --------
    >>> gtiwrite("gti.fits", GoodTimes(intervals=((0.0, 10.0), (20.0, 30.5)))).argv
    ('gtiwrite', 'gtiset=gti.fits', 'intervals=0.0:10.0 20.0:30.5')
    """
    if not math.isfinite(good.seconds):
        raise InvalidRecord("good time without a start or an end cannot be written: cut it with & first")
    text = " ".join(f"{start!r}:{stop!r}" for start, stop in good.intervals)
    origin = "".join(c for c in good.origin if c.isascii() and c.isprintable() and c != "'")
    pairs = (("gtiset", gtiset), ("intervals", text), *((("origin", origin),) if origin else ()))
    return build("gtiwrite", pairs, (), (output_file("gtiwrite", "gtiset", gtiset),))
