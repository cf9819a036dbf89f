"""What each SAS task accepts: every parameter, in the order in which SAS echoes it, with its default.

The tables are data. They come from the ``XPROC0`` cards that SAS writes into its products (each card holds the
complete parameter list of the task that made the file) and from the parameter page of each task
(https://xmm-tools.cosmos.esa.int/external/sas/current/doc, page ``<task>``). Versions: evselect 3.62 to 3.71
(``nonStandardSpec`` since 3.68), eexpmap 4.6 to 4.12, emosaic 1.18, cifbuild 4.8, odfingest and atthkgen 1.21,
tabgtigen 2.13, gtibuild 1.5.
"""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import final

import attrs
from attrs import field, frozen

from xphotfn.commands.command import Command
from xphotfn.errors import InvalidRecord
from xphotfn.records._fields import non_empty, one_of, strings

__all__ = ("BOOLEANS", "NATIVE_TASKS", "OWN_TASKS", "TASKS", "Parameter", "checked", "parameters_of", "resolved")

BOOLEANS: Mapping[str, str] = MappingProxyType(  # the spellings that SAS takes, and how it echoes them
    dict.fromkeys(("yes", "y", "true", "t", "1"), "yes") | dict.fromkeys(("no", "n", "false", "f", "0"), "no")
)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@final
@frozen(kw_only=True)
class Parameter:
    """One parameter of a SAS task.

    Parameters
    ----------
    name
        Its name on the command line.
    kind
        ``str``, ``int``, ``real``, ``bool``, ``file`` or ``list`` (several values, separated by blanks).
    default
        What SAS takes when it is not given; None where it must be given.
    allowed
        The only values that SAS takes; empty where any value of the kind will do.
    parent
        The boolean that must be ``yes`` for this parameter to be used.
    implied
        True where SAS switches the parent on by itself when this parameter is given.
    role
        ``input`` or ``output`` where the value names files; empty otherwise.

    Examples
    --------
    >>> parameters_of("emosaic")[1]
    Parameter(name='exposuresets', kind='list', default='expmap.ds', allowed=(), parent='withexposure',
    implied=True, role='input')
    """

    name: str = field(validator=non_empty)
    kind: str = field(validator=one_of("str", "int", "real", "bool", "file", "list"))
    default: str | None = None
    allowed: tuple[str, ...] = field(default=(), converter=strings)
    parent: str | None = None
    implied: bool = True
    role: str = field(default="", validator=one_of("", "input", "output"))


def _row(name: str, kind: str, default: str | None = None, parent: str | None = None, role: str = "") -> Parameter:
    return Parameter(name=name, kind=kind, default=default, parent=parent, role=role)


def _choice(name: str, default: str, parent: str | None, *allowed: str) -> Parameter:
    return Parameter(name=name, kind="str", default=default, parent=parent, allowed=allowed)


def _apart(name: str, kind: str, default: str, parent: str, role: str = "") -> Parameter:
    """Return a parameter that SAS echoes apart from its switch: the switch has to be written too."""
    return Parameter(name=name, kind=kind, default=default, parent=parent, implied=False, role=role)


def _axis(axis: str) -> tuple[Parameter, ...]:
    switch = f"with{axis}ranges"
    return (
        _row(f"{axis}imagemin", "real", "1", switch),
        _row(f"{axis}imagemax", "real", "640", switch),
        _row(switch, "bool", "no", "withimageset"),
    )


_EVSELECT = (
    _row("table", "file", role="input"),
    _row("filteredset", "file", "filtered.fits", "withfilteredset", "output"),
    _row("withfilteredset", "bool", "no", "keepfilteroutput"),
    _row("keepfilteroutput", "bool", "no"),
    _row("flagcolumn", "str", "EVFLAG"),
    _row("flagbit", "int", "-1"),
    _row("destruct", "bool", "yes"),
    _row("dssblock", "str", ""),
    _row("expression", "str", "true"),
    _choice("filtertype", "expression", None, "expression", "dss"),
    _row("cleandss", "bool", "no", "writedss"),
    _row("updateexposure", "bool", "yes", "writedss"),
    _row("filterexposure", "bool", "yes", "writedss"),
    _row("writedss", "bool", "yes"),
    _row("blockstocopy", "list", ""),
    _row("attributestocopy", "list", ""),
    _row("energycolumn", "str", "PHA"),
    _row("zcolumn", "str", "WEIGHT", "withzcolumn"),
    _row("zerrorcolumn", "str", "EWEIGHT", "withzerrorcolumn"),
    _row("withzerrorcolumn", "bool", "no", "withzcolumn"),
    _row("withzcolumn", "bool", "no"),
    _row("ignorelegallimits", "bool", "no"),
    _row("imageset", "file", "image.fits", "withimageset", "output"),
    _row("xcolumn", "str", "RAWX", "withimageset"),
    _row("ycolumn", "str", "RAWY", "withimageset"),
    _row("ximagebinsize", "real", "1", "withimageset"),
    _row("yimagebinsize", "real", "1", "withimageset"),
    _row("squarepixels", "bool", "no", "withimageset"),
    _row("ximagesize", "int", "600", "withimageset"),
    _row("yimagesize", "int", "600", "withimageset"),
    _choice("imagebinning", "imageSize", "withimageset", "imageSize", "binSize"),
    *_axis("x"),
    *_axis("y"),
    _choice("imagedatatype", "Real64", "withimagedatatype", "Int8", "Int16", "Int32", "Real32", "Real64"),
    _row("withimagedatatype", "bool", "no", "withimageset"),
    _row("raimagecenter", "real", "0", "withcelestialcenter"),
    _row("decimagecenter", "real", "0", "withcelestialcenter"),
    _row("withcelestialcenter", "bool", "no", "withimageset"),
    _row("withimageset", "bool", "no"),
    _row("spectrumset", "file", "spectrum.fits", "withspectrumset", "output"),
    _row("spectralbinsize", "real", "5", "withspectrumset"),
    _row("specchannelmin", "int", "0", "withspecranges"),
    _row("specchannelmax", "int", "11999", "withspecranges"),
    _row("withspecranges", "bool", "no", "withspectrumset"),
    _row("nonStandardSpec", "bool", "no", "withspectrumset"),
    _row("withspectrumset", "bool", "no"),
    _row("rateset", "file", "rate.fits", "withrateset", "output"),
    _row("timecolumn", "str", "TIME", "withrateset"),
    _row("timebinsize", "real", "1", "withrateset"),
    _row("timemin", "real", "0", "withtimeranges"),
    _row("timemax", "real", "1000", "withtimeranges"),
    _row("withtimeranges", "bool", "no", "withrateset"),
    _row("maketimecolumn", "bool", "no", "withrateset"),
    _row("makeratecolumn", "bool", "no", "withrateset"),
    _row("withrateset", "bool", "no"),
    _row("histogramset", "file", "histo.fits", "withhistogramset", "output"),
    _row("histogramcolumn", "str", "TIME", "withhistogramset"),
    _row("histogrambinsize", "real", "1", "withhistogramset"),
    _row("histogrammin", "real", "0", "withhistoranges"),
    _row("histogrammax", "real", "1000", "withhistoranges"),
    _row("withhistoranges", "bool", "no", "withhistogramset"),
    _row("withhistogramset", "bool", "no"),
)

_EEXPMAP = (
    _row("imageset", "file", role="input"),
    _row("attitudeset", "file", role="input"),
    _row("eventset", "file", role="input"),
    _row("expimageset", "list", role="output"),
    _row("withdetcoords", "bool", "no"),
    _row("withvignetting", "bool", "yes"),
    _row("usefastpixelization", "bool", "no"),
    _row("usedlimap", "bool", "no"),
    _row("attrebin", "real", "4"),
    _row("pimin", "list", "2000"),
    _row("pimax", "list"),  # SAS has a default that no source we could read states: it must be given here
)

_EMOSAIC = (
    _row("imagesets", "list", role="input"),
    _row("exposuresets", "list", "expmap.ds", "withexposure", "input"),
    _row("withexposure", "bool", "no"),
    _row("mosaicedset", "file", role="output"),
    _choice("sampling", "point", None, "point"),
    _row("forceuniformkwds", "bool", "no"),  # the pipeline writes yes explicitly, so no is taken as the default
)

_CIFBUILD = (
    _row("calindexset", "file", "ccf.cif", role="output"),
    _row("withccfpath", "bool", "no"),
    _row("usecanonicalname", "bool", "no"),
    _apart("ccfpath", "list", ".", "withccfpath"),
    _row("recurse", "bool", "no"),
    _row("fileglob", "str", "*.ccf|*.CCF"),
    _row("fullpath", "bool", "no"),
    _row("withobservationdate", "bool", "no"),
    _apart("observationdate", "str", "now", "withobservationdate"),
    _row("analysisdate", "str", "now"),
    _row("category", "str", "XMMCCF"),
    _row("ignorecategory", "bool", "no"),
    _row("masterindex", "bool", "no"),
    _row("withmasterindexset", "bool", "no"),
    _apart("masterindexset", "file", "ccf.mif", "withmasterindexset", "input"),
    _row("append", "bool", "no"),
)

_ODFINGEST = (
    _apart("odfdir", "file", ".", "withodfdir", "input"),
    _row("withodfdir", "bool", "no"),
    _row("outdir", "file", ".", role="output"),
    _row("summaryfile", "str", "0000_0000000000_SCX000SUM.SAS"),
    _row("usecanonicalname", "bool", "yes"),
    _row("writepath", "bool", "yes"),
    _row("findinstrumentmodes", "bool", "yes"),
    _row("usehousekeeping", "bool", "yes"),
    _row("oalcheck", "bool", "no"),
)

_ATTHKGEN = (
    _row("atthkset", "file", role="output"),
    _row("timestep", "real", "1"),
    _row("timebegin", "real", "0", "withtimeranges"),
    _row("timeend", "real", "0", "withtimeranges"),
    _row("withtimeranges", "bool", "no"),
    _row("withpreqgti", "bool", "no"),
    _apart("preqgtifile", "file", "pointings.fit", "withpreqgti", "input"),
)

_TABGTIGEN = (
    _row("table", "file", role="input"),
    _row("gtiset", "file", "gti.ds", role="output"),
    _row("expression", "str", "true"),
    _row("timecolumn", "str", "TIME"),
    _row("prefraction", "real", "0.5"),
    _row("postfraction", "real", "0.5"),
    _row("mingtisize", "real", "0"),
)

_GTIBUILD = (
    _row("file", "file", role="input"),
    _row("table", "file", role="output"),
)

_FLARECUT = (  # a task of our own: SAS has none that finds the cut and makes it
    _row("table", "file", role="input"),
    _row("gtiset", "file", role="output"),
    _row("expression", "str", "true"),
    _choice("goal", "optimum", None, "optimum", "quiet", "pipeline", "expression", "given", "curve"),
    _row("timebinsize", "real", "26"),
    _row("smallest", "real", "0.05"),
    _row("cutsources", "bool", "yes"),
    _row("withcurve", "bool", "no"),
    _row("curve", "file", "curve.ds", "withcurve", role="input"),  # of the pipeline
    _row("withsources", "bool", "no"),
    _row("sources", "file", "sources.ds", "withsources", role="input"),  # a list, of which all are left out
    _row("withgoodtime", "bool", "no"),
    _row("goodtime", "file", "goodtime.ds", "withgoodtime", role="input"),  # for goal=expression and goal=given
    _row("jointcurves", "list", "", role="input"),  # of the other cameras, as goal=curve makes them
)

_GTIWRITE = (  # a task of our own: good time that is known already
    _row("gtiset", "file", role="output"),
    _row("intervals", "list", ""),
    _row("origin", "str", ""),
)

_XDETECT = (  # a task of our own, of the native interpreter alone
    _row("imagesets", "list", role="input"),
    _row("exposuresets", "list", role="input"),
    _row("sourceset", "file", role="output"),
    _row("withregions", "bool", "no"),
    _row("regionset", "file", "sources.reg", "withregions", role="output"),
    _row("withbackgrounds", "bool", "no"),
    _row("backgroundsets", "list", "background.ds", "withbackgrounds", role="output"),
    _row("threshold", "real", "10"),
    _row("extent", "bool", "yes"),
    _row("tile", "str", ""),
)

_XDETECTJOIN = (  # likewise
    _row("tilesets", "list", role="input"),
    _row("tiles", "list"),
    _row("sourceset", "file", role="output"),
    _row("withregions", "bool", "no"),
    _row("regionset", "file", "sources.reg", "withregions", role="output"),
)

_XDETECTADD = (  # likewise
    _row("partsets", "list", role="input"),
    _row("backgroundset", "file", role="output"),
)

TASKS: Mapping[str, tuple[Parameter, ...]] = MappingProxyType(
    {
        "evselect": _EVSELECT,
        "eexpmap": _EEXPMAP,
        "emosaic": _EMOSAIC,
        "cifbuild": _CIFBUILD,
        "odfingest": _ODFINGEST,
        "atthkgen": _ATTHKGEN,
        "tabgtigen": _TABGTIGEN,
        "gtibuild": _GTIBUILD,
        "flarecut": _FLARECUT,
        "gtiwrite": _GTIWRITE,
        "xdetect": _XDETECT,
        "xdetectjoin": _XDETECTJOIN,
        "xdetectadd": _XDETECTADD,
        "sasversion": (),
    }
)

OWN_TASKS = ("flarecut", "gtiwrite")
"""Tasks that SAS does not have: every engine leaves them to the native interpreter."""

NATIVE_TASKS = ("xdetect", "xdetectjoin", "xdetectadd")
"""Tasks of the native engine alone: SAS has its own chain for them (edetect_chain), which no engine calls."""


def parameters_of(task: str) -> tuple[Parameter, ...]:
    """Return all parameters of a SAS task, in the order in which SAS echoes them.

    Parameters
    ----------
    task
        Name of the task.

    Returns
    -------
    Its parameters; empty for a task that has none.

    Raises
    ------
    InvalidRecord
        For a task that is not in the tables.

    References
    ----------
    The parameter page of each task, such as SAS evselect, node 16.

    Examples
    --------
    >>> [p.name for p in parameters_of("eexpmap")][:4]
    ['imageset', 'attitudeset', 'eventset', 'expimageset']
    """
    try:
        return TASKS[task]
    except KeyError:
        raise InvalidRecord(f"no table of parameters for the task {task!r}; there is one for {sorted(TASKS)}") from None


@cache
def _by_name(task: str) -> Mapping[str, Parameter]:
    return MappingProxyType({parameter.name: parameter for parameter in parameters_of(task)})


def _fits_kind(parameter: Parameter, value: str) -> bool:
    if parameter.kind == "bool":
        return value.lower() in BOOLEANS
    if parameter.kind == "int":
        return _INTEGER.fullmatch(value) is not None
    if parameter.kind == "real":
        return _REAL.fullmatch(value) is not None
    return bool(value) or parameter.kind != "file"


def checked(command: Command) -> Command:
    """Return the command after comparing what it gives with the table of its task.

    Parameters
    ----------
    command
        A command of a task that has a table.

    Returns
    -------
    The same command.

    Raises
    ------
    InvalidRecord
        For a parameter that the task does not have, one that is given twice, a value of the wrong kind, and a
        value that is not among the allowed ones; the message names the parameter, the value and the allowed ones.

    References
    ----------
    The parameter page of each task, such as SAS evselect, node 16.

    Examples
    --------
    >>> checked(Command(task="emosaic", parameters=(("sampling", "cubic"),)))
    Traceback (most recent call last):
    xphotfn.errors.InvalidRecord: emosaic sampling must be one of point, got 'cubic'
    """
    table = _by_name(command.task)
    seen = set()
    for name, value in command.parameters:
        if name not in table:
            raise InvalidRecord(f"{command.task} has no parameter {name!r}; it has {', '.join(table)}")
        if name in seen:
            raise InvalidRecord(f"{command.task} {name} is given twice")
        seen.add(name)
        parameter = table[name]
        if parameter.allowed and value not in parameter.allowed:
            raise InvalidRecord(f"{command.task} {name} must be one of {', '.join(parameter.allowed)}, got {value!r}")
        if not _fits_kind(parameter, value):
            raise InvalidRecord(f"{command.task} {name} must be of the kind {parameter.kind}, got {value!r}")
    return command


def _switched_on(table: Mapping[str, Parameter], given: Mapping[str, str]) -> dict[str, str]:
    """Return the parents that SAS switches on because a child is given; explicit values replace them later."""
    found: dict[str, str] = {}
    for name in given:
        parameter = table[name]
        while parameter.parent is not None and parameter.implied:
            found[parameter.parent] = "yes"
            parameter = table[parameter.parent]
    return found


def resolved(command: Command) -> Command:
    """Return the command with SAS's complete parameter list, as SAS would echo it in ``XPROC0``.

    Parameters
    ----------
    command
        A command that gives some of the parameters of its task.

    Returns
    -------
    The command with every parameter, in SAS's order: the given values, ``yes`` for a boolean parent whose
    child is given, SAS's default for the rest. Booleans become ``yes`` or ``no``. An explicit value always wins.

    Raises
    ------
    InvalidRecord
        Where :func:`checked` does, and for a mandatory parameter that is missing.

    Notes
    -----
    Resolving twice changes nothing.

    References
    ----------
    SAS Users Guide, chapter on running SAS: giving a child parameter switches on its parent.

    Examples
    --------
    >>> image = resolved(Command(task="evselect", parameters=(("table", "evts.fits"), ("imageset", "img.fits"))))
    >>> image.parameter("withimageset"), image.parameter("ximagesize"), len(image.parameters)
    ('yes', '600', 66)
    """
    given = dict(checked(command).parameters)
    table = _by_name(command.task)
    missing = [p.name for p in table.values() if p.default is None and p.name not in given]
    if missing:
        raise InvalidRecord(f"{command.task} needs {', '.join(missing)}")
    values = {name: p.default or "" for name, p in table.items()} | _switched_on(table, given) | given
    booleans = {name: BOOLEANS[values[name].lower()] for name, p in table.items() if p.kind == "bool"}
    return attrs.evolve(command, parameters=tuple((values | booleans).items()))
