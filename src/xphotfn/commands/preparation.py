"""Builders of the commands that come before an image: calibration index, observation summary, attitude history.

As in :mod:`xphotfn.commands.builders`: plain values in, a frozen Command out.
"""

import re
from datetime import datetime

import attrs

from xphotfn.commands.command import Command
from xphotfn.commands.task_rows import Task, apart, row
from xphotfn.commands.writing import build, changed, number, output_file, plain_file, yes
from xphotfn.errors import InvalidRecord

__all__ = ("PREPARING_TASKS", "atthkgen", "cifbuild", "odfingest", "with_environment")

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2})?")

_CIFBUILD = Task(
    name="cifbuild",
    parameters=(
        row("calindexset", "file", "ccf.cif", role="output"),
        row("withccfpath", "bool", "no"),
        row("usecanonicalname", "bool", "no"),
        apart("ccfpath", "list", ".", "withccfpath"),
        row("recurse", "bool", "no"),
        row("fileglob", "str", "*.ccf|*.CCF"),
        row("fullpath", "bool", "no"),
        row("withobservationdate", "bool", "no"),
        apart("observationdate", "str", "now", "withobservationdate"),
        row("analysisdate", "str", "now"),
        row("category", "str", "XMMCCF"),
        row("ignorecategory", "bool", "no"),
        row("masterindex", "bool", "no"),
        row("withmasterindexset", "bool", "no"),
        apart("masterindexset", "file", "ccf.mif", "withmasterindexset", "input"),
        row("append", "bool", "no"),
    ),
    builders=["preparation:cifbuild"],
    native="cifbuild:cifbuild",
    options=["ccf"],
)
_ODFINGEST = Task(
    name="odfingest",
    parameters=(
        apart("odfdir", "file", ".", "withodfdir", "input"),
        row("withodfdir", "bool", "no"),
        row("outdir", "file", ".", role="output"),
        row("summaryfile", "str", "0000_0000000000_SCX000SUM.SAS"),
        row("usecanonicalname", "bool", "yes"),
        row("writepath", "bool", "yes"),
        row("findinstrumentmodes", "bool", "yes"),
        row("usehousekeeping", "bool", "yes"),
        row("oalcheck", "bool", "no"),
    ),
    builders=["preparation:odfingest"],
)
_ATTHKGEN = Task(
    name="atthkgen",
    parameters=(
        row("atthkset", "file", role="output"),
        row("timestep", "real", "1"),
        row("timebegin", "real", "0", "withtimeranges"),
        row("timeend", "real", "0", "withtimeranges"),
        row("withtimeranges", "bool", "no"),
        row("withpreqgti", "bool", "no"),
        apart("preqgtifile", "file", "pointings.fit", "withpreqgti", "input"),
    ),
    builders=["preparation:atthkgen"],
)
PREPARING_TASKS = (_CIFBUILD, _ODFINGEST, _ATTHKGEN)


def _date(name: str, value: str) -> str:
    """Return a date as SAS takes it, or refuse it."""
    if value == "now":
        return value
    problem = InvalidRecord(f"cifbuild {name} must be yyyy-mm-ddThh:mm:ss, yyyy-mm-dd or now, got {value!r}")
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise problem
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise problem from None
    return value


def cifbuild(
    calindexset: str = "ccf.cif",
    *,
    observation_date: str | None,
    analysis_date: str = "now",
    masterindexset: str | None = None,
    masterindex: bool = False,
    fullpath: bool = False,
) -> Command:
    """Return the command that builds the calibration index of an observation.

    Parameters
    ----------
    calindexset
        The index to write.
    observation_date
        ``yyyy-mm-ddThh:mm:ss``, ``yyyy-mm-dd`` or ``now``; None where SAS reads it from the observation data files.
    analysis_date
        Calibration issued later than this is left out; the same forms.
    masterindexset
        A master index to choose from, instead of a search through the calibration folder.
    masterindex
        Build such a master index.
    fullpath
        Write full paths into the index.

    Raises
    ------
    InvalidRecord
        For a path or a date of another form.

    References
    ----------
    SAS cifbuild, nodes 7, 9 and 19.

    Examples
    --------
    >>> cifbuild(observation_date="2006-05-27").argv[1:]
    ('calindexset=ccf.cif', 'withobservationdate=yes', 'observationdate=2006-05-27')
    """
    analysis = _date("analysis_date", analysis_date)
    observed = (
        ()
        if observation_date is None
        else (("withobservationdate", "yes"), ("observationdate", _date("observation_date", observation_date)))
    )
    master = () if masterindexset is None else (("withmasterindexset", "yes"), ("masterindexset", masterindexset))
    pairs = (
        ("calindexset", calindexset),
        *observed,
        *changed("analysisdate", analysis, "now"),
        *changed("masterindex", yes(masterindex), "no"),
        *master,
        *changed("fullpath", yes(fullpath), "no"),
    )
    inputs = () if masterindexset is None else (plain_file("cifbuild", "masterindexset", masterindexset),)
    return build(_CIFBUILD, pairs, inputs, (output_file("cifbuild", "calindexset", calindexset),))


def _folder(name: str, value: str) -> tuple[str, ...]:
    """Return the folder as a tuple of names, empty for the current one."""
    return () if value == "." else (output_file("odfingest", name, value),)


def odfingest(odfdir: str, *, outdir: str = ".", summaryfile: str | None = None) -> Command:
    """Return the command that lists the observation data files in a summary file.

    Parameters
    ----------
    odfdir
        Folder of the observation data files: a plain name, or ``.``.
    outdir
        Folder for the summary file: a plain name, or ``.``.
    summaryfile
        Name of the summary file; None for SAS's own name, ``RRRR_OOOOOOOOOO_SCX00000SUM.SAS``.

    Returns
    -------
    The command. Its output is the summary file where the name is given, the folder where that is not ``.``, and
    none where SAS chooses the name, which depends on the data.

    Raises
    ------
    InvalidRecord
        For a path that is not a plain name.

    References
    ----------
    SAS odfingest, node 14.

    Examples
    --------
    >>> odfingest("odf").argv
    ('odfingest', 'odfdir=odf', 'withodfdir=yes', 'outdir=.')
    """
    inputs, folder = _folder("odfdir", odfdir), _folder("outdir", outdir)
    named = () if summaryfile is None else (output_file("odfingest", "summaryfile", summaryfile),)
    own = () if summaryfile is None else (("summaryfile", summaryfile), ("usecanonicalname", "no"))
    pairs = (("odfdir", odfdir), ("withodfdir", "yes"), ("outdir", outdir), *own)
    return build(_ODFINGEST, pairs, inputs, folder or named)


def atthkgen(atthkset: str, *, timestep: float = 1.0) -> Command:
    """Return the command that makes the attitude history of an observation.

    Parameters
    ----------
    atthkset
        The attitude file to write.
    timestep
        Step in time, in s.

    Returns
    -------
    The command; it reads the observation data files through ``SAS_ODF``, see :func:`with_environment`.

    Raises
    ------
    InvalidRecord
        For a path, or a step that is not above 0.

    References
    ----------
    SAS atthkgen (error badTimestep); SAS epchain, node 11 (the default and its limit).

    Examples
    --------
    >>> atthkgen("att.fits").argv
    ('atthkgen', 'atthkset=att.fits', 'timestep=1')
    """
    step = number("atthkgen", "timestep", timestep)
    if step == "0":
        raise InvalidRecord(f"atthkgen timestep must be above 0 s, got {timestep!r}")
    return build(
        _ATTHKGEN, (("atthkset", atthkset), ("timestep", step)), (), (output_file("atthkgen", "atthkset", atthkset),)
    )


def with_environment(command: Command, *, calindexset: str | None = None, odf: str | None = None) -> Command:
    """Return the command with the calibration index and the observation data that SAS finds by environment.

    Parameters
    ----------
    command
        Any command.
    calindexset
        Calibration index: becomes ``SAS_CCF`` and an input.
    odf
        Summary file or folder of the observation data: becomes ``SAS_ODF`` and an input.

    Raises
    ------
    InvalidRecord
        For a path that is not a plain name.

    References
    ----------
    SAS Users Guide, chapter on running SAS; SAS cifbuild, node 9.

    Examples
    --------
    >>> with_environment(atthkgen("att.fits"), calindexset="ccf.cif").env
    (('SAS_CCF', 'ccf.cif'),)
    """
    named = (("SAS_CCF", "calindexset", calindexset), ("SAS_ODF", "odf", odf))
    found = {key: plain_file(command.task, name, value) for key, name, value in named if value is not None}
    clash = sorted(set(found.values()) & set(command.outputs))
    if clash:
        raise InvalidRecord(f"{command.task} writes {', '.join(clash)} and cannot read it from the environment")
    env = dict(command.env) | found
    inputs = dict.fromkeys((*command.inputs, *found.values()))
    return attrs.evolve(command, env=tuple(env.items()), inputs=tuple(inputs))
