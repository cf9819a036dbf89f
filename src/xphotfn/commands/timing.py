"""Builders of the commands around good time: light curves, good time intervals, filtered lists.

As in :mod:`xphotfn.commands.builders`: plain values in, a frozen Command out.
"""

from typing import SupportsFloat

from xphotfn.commands.builders import EVSELECT
from xphotfn.commands.command import Command
from xphotfn.commands.task_rows import Task, row
from xphotfn.commands.writing import Pairs, build, changed, files_of, number, one_line, output_file, plain_file, yes
from xphotfn.errors import InvalidRecord

__all__ = ("TIME_TASKS", "evselect_list", "evselect_rate", "gtibuild", "tabgtigen")

Range = tuple[SupportsFloat, SupportsFloat]

_TABGTIGEN = Task(
    name="tabgtigen",
    parameters=(
        row("table", "file", role="input"),
        row("gtiset", "file", "gti.ds", role="output"),
        row("expression", "str", "true"),
        row("timecolumn", "str", "TIME"),
        row("prefraction", "real", "0.5"),
        row("postfraction", "real", "0.5"),
        row("mingtisize", "real", "0"),
    ),
    builders=["timing:tabgtigen"],
    native="tabgtigen:tabgtigen",
)
_GTIBUILD = Task(
    name="gtibuild",
    parameters=(
        row("file", "file", role="input"),
        row("table", "file", role="output"),
    ),
    builders=["timing:gtibuild"],
    native="tabgtigen:gtibuild",
)
TIME_TASKS = (_TABGTIGEN, _GTIBUILD)


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
        *changed("updateexposure", yes(updateexposure), "yes"),
        *changed("filterexposure", yes(filterexposure), "yes"),
        ("expression", one_line("evselect", expression)),
    )
    inputs = files_of("evselect", table, expression)
    return build(EVSELECT, pairs, inputs, (output_file("evselect", "filteredset", filteredset),))


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
        ("expression", one_line("evselect", expression)),
    )
    inputs = files_of("evselect", table, expression)
    return build(EVSELECT, pairs, inputs, (output_file("evselect", "rateset", rateset),))


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
    for name, value in (("prefraction", prefraction), ("postfraction", postfraction)):
        if not -1 <= value <= 1:
            raise InvalidRecord(f"tabgtigen {name} must be -1 to 1, got {value!r}")
    shortest = number("tabgtigen", "mingtisize", mingtisize)
    pairs = (
        ("table", table),
        ("gtiset", gtiset),
        ("expression", one_line("tabgtigen", expression)),
        *changed("timecolumn", timecolumn, "TIME"),
        *changed("prefraction", str(float(prefraction)), "0.5"),
        *changed("postfraction", str(float(postfraction)), "0.5"),
        *changed("mingtisize", shortest, "0"),
    )
    inputs = files_of("tabgtigen", table, expression)
    return build(_TABGTIGEN, pairs, inputs, (output_file("tabgtigen", "gtiset", gtiset),))


def gtibuild(file: str, table: str) -> Command:
    """Return the command that makes a table of good time intervals of a text file (SAS gtibuild, node 6).

    Its lines are ``start stop`` in s, each with an optional ``+`` (good) or ``-`` (bad). A path is an InvalidRecord.

    Examples
    --------
    >>> gtibuild("good.txt", "gti.fits").argv
    ('gtibuild', 'file=good.txt', 'table=gti.fits')
    """
    pairs = (("file", file), ("table", table))
    return build(_GTIBUILD, pairs, (plain_file("gtibuild", "file", file),), (output_file("gtibuild", "table", table),))
