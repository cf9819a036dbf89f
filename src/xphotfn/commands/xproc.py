"""The XPROC0 text: the whole command, with every parameter, that SAS writes into the header of what it makes.

As a FITS string the text is ``task name=value ... # (evselect-3.62) [xmmsas_20141104_1833-14.0.0]``. A value stands in
single quotes when it is empty or holds a blank, and only then: ``RATE<=0.4``, ``*.ccf|*.CCF`` and ``file:EVENTS`` are
bare in real cards. Double quotes inside a value group the items of a list and belong to the value.
"""

import re

from xphotfn.commands.command import Command
from xphotfn.commands.parameters import TASKS
from xphotfn.commands.task_rows import BOOLEANS, Parameter
from xphotfn.errors import ExpressionError, InvalidRecord

__all__ = ("card_parameters", "card_version", "parse_xproc", "to_card")

Pairs = tuple[tuple[str, str], ...]

_TASK = re.compile(r"\s*([A-Za-z][A-Za-z0-9_\-]*)(?=\s|$)")
_PARAMETER = re.compile(r"\s+([A-Za-z][A-Za-z0-9_]*)=(?:'([^']*)'|([^\s']+))(?=\s|$)")
_VERSION = re.compile(r"\s+#\s+(\S.*?)\s*$", re.DOTALL)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def _scan(card: str) -> tuple[str, Pairs, str]:
    """Return the task, its parameters as they stand, and the text after the number sign."""
    start = _TASK.match(card)
    if start is None:
        raise ExpressionError("a command starts with the name of its task", card, 0)
    position, pairs, names = start.end(), [], set()
    while found := _PARAMETER.match(card, position):
        name, quoted, bare = found.groups()
        if name in names:
            raise ExpressionError(f"the parameter {name} is given twice", card, found.start(1))
        names.add(name)
        pairs.append((name, bare if quoted is None else quoted))
        position = found.end()
    version = _VERSION.match(card, position)
    if version is None and card[position:].strip():
        raise ExpressionError("expected name=value, with ' around blanks, or # and the version", card, position)
    return start.group(1), tuple(pairs), version.group(1) if version else ""


def _used(parameter: Parameter, values: dict[str, str], table: dict[str, Parameter]) -> bool:
    """Return whether a file parameter takes part: it is given and no boolean above it is off."""
    given = parameter.name in values
    while given and parameter.parent is not None:
        above = table[parameter.parent]
        state = values.get(above.name, "yes" if parameter.implied else above.default or "no")
        given = BOOLEANS.get(state.lower()) == "yes"
        parameter = above
    return given


def _base_names(value: str) -> tuple[str, ...]:
    """Return the plain names of the files in a value; what cannot be one is left out."""
    names = (item.strip('"').rpartition("/")[2].partition(":")[0] for item in value.split())
    found = []
    for name in dict.fromkeys(names):
        try:
            Command(task="any", inputs=(name,))  # Command is the judge of what a plain name is
        except InvalidRecord:
            continue
        found.append(name)
    return tuple(found)


def _files(task: str, pairs: Pairs, role: str) -> tuple[str, ...]:
    table = {parameter.name: parameter for parameter in (TASKS[task].parameters if task in TASKS else ())}
    values = dict(pairs)
    used = (p.name for p in table.values() if p.role == role and _used(p, values, table))
    return tuple(dict.fromkeys(name for parameter in used for name in _base_names(values[parameter])))


def parse_xproc(card: str) -> Command:
    """Return the command that an ``XPROC`` card records.

    The text is as a FITS reader gives it: joined over its CONTINUE cards, single quotes not doubled. Values are kept as
    they are, paths included. For the tasks of :data:`~xphotfn.commands.parameters.TASKS`, inputs and outputs are the
    base names of the files in use: a file whose switch is ``no`` (``spectrumset=spectrum.fits withspectrumset=no``) is
    not among them. ``to_card(parse_xproc(card), version=card_version(card)) == card`` for every card that SAS wrote. An
    ExpressionError points at the place where a text is not of this form.

    References
    ----------
    Read from the cards of evselect, eexpmap, emosaic, atthkgen, cifbuild, tabgtigen, attcalc, dscopyblock and
    addattribute, SAS 13.5 to 20.

    Examples
    --------
    >>> command = parse_xproc("eexpmap imageset=/data/img.fits attrebin=4 # (eexpmap-4.8) [14.0.0]")
    >>> command.parameters, command.inputs
    ((('imageset', '/data/img.fits'), ('attrebin', '4')), ('img.fits',))
    """
    task, pairs, _ = _scan(card)
    return Command(
        task=task, parameters=pairs, inputs=_files(task, pairs, "input"), outputs=_files(task, pairs, "output")
    )


def card_parameters(card: str) -> tuple[str, Pairs]:
    """Return the task of an ``XPROC`` card and its parameters as they stand, without a look at its files.

    An ExpressionError points at the place where a text is not of this form.

    Examples
    --------
    >>> card_parameters("eexpmap pimin=500 pimax=2000 # (eexpmap-4.8)")
    ('eexpmap', (('pimin', '500'), ('pimax', '2000')))
    """
    return _scan(card)[:2]


def card_version(card: str) -> str:
    """Return what an ``XPROC`` card says after the number sign, the versions of the task and of SAS; may be empty.

    As :func:`parse_xproc`, read from real cards; ExpressionError for a text of another form.

    Examples
    --------
    >>> card_version("emosaic sampling=point # (emosaic-1.18) [xmmsas_20190401_1820-18.0.0]")
    '(emosaic-1.18) [xmmsas_20190401_1820-18.0.0]'
    """
    return _scan(card)[2]


def _written(name: str, value: str) -> str:
    if not _NAME.fullmatch(name) or "'" in value or not (value.isascii() and value.isprintable()):
        raise InvalidRecord(f"no XPROC card can hold {name}={value!r}: plain text on one line and without ' only")
    return f"{name}='{value}'" if not value or " " in value else f"{name}={value}"


def to_card(command: Command, *, version: str = "") -> str:
    """Return the text (a FITS string) that SAS would write into ``XPROC0`` for a command, as read from real cards.

    SAS writes the complete command (:func:`~xphotfn.commands.parameters.resolved`). ``version`` stands after the number
    sign, such as ``(evselect-3.71.1) [xmmsas_20211130_0941-20.0.0]``. A value with a single quote or with characters
    that a FITS header cannot hold is an InvalidRecord.

    Examples
    --------
    >>> to_card(Command(task="emosaic", parameters=(("imagesets", "a.fits b.fits"), ("sampling", "point"))))
    "emosaic imagesets='a.fits b.fits' sampling=point"
    """
    if not (version.isascii() and version.isprintable()) or version != version.strip():
        raise InvalidRecord(f"version must be plain text on one line, got {version!r}")
    written = " ".join((command.task, *(_written(name, value) for name, value in command.parameters)))
    return f"{written} # {version}" if version else written
