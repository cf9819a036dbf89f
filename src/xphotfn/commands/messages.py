"""What SAS tasks say: errors, warnings and progress lines as records, and the version of SAS.

A task reports a problem as ``** task: error (Name), text``, with continuation lines indented, and its progress as
``task:- text``. Anything else (shells and libraries write to the same streams) is no message and no error.
"""

import re
from collections.abc import Iterable
from typing import final

import attrs
from attrs import field, frozen

from xphotfn.records.fields import non_empty, one_of

__all__ = ("SasMessage", "parse_messages", "sas_version", "suppressed_warnings")

_PROBLEM = re.compile(r"\*\*\s+(\S+?):\s+(fatal|error|warning)\s+\(([^)]*)\),\s*(.*)")
_PROGRESS = re.compile(r"([A-Za-z][A-Za-z0-9_]*):-\s+(.*)")
_SUPPRESSED = re.compile(r"warning\s+(\S+)\s+silently\s+occurred\s+([0-9]+)\s+times?")
_RELEASE = re.compile(r"\[(?:xmmsas_[0-9]{8}_[0-9]{4}-)?([0-9]+\.[0-9]+\.[0-9]+)")


@final
@frozen(kw_only=True)
class SasMessage:
    """One message of a SAS task.

    Parameters
    ----------
    task
        The task, or the library within it, that speaks.
    severity
        ``error`` (the task stops), ``warning`` or ``info``.
    name
        SAS's name of the error or warning; empty for ``info``.
    text
        What it says; lines that continue it are joined by a line feed.

    Examples
    --------
    >>> SasMessage(task="evselect", severity="error", name="XRangeVal", text="bad range").name
    'XRangeVal'
    """

    task: str = field(validator=non_empty)
    severity: str = field(validator=one_of("error", "warning", "info"))
    name: str = ""
    text: str = ""

    @property
    def as_printed(self) -> str:
        """An error or warning as tasks print it: lines that continue it are indented."""
        text = self.text.replace("\n", "\n   ")
        return f"** {self.task}: {self.severity} ({self.name}), {text}"


def _message(line: str) -> SasMessage | None:
    if found := _PROBLEM.match(line):
        task, severity, name, text = found.groups()
        level = "warning" if severity == "warning" else "error"  # a fatal message stops the task as an error does
        return SasMessage(task=task, severity=level, name=name.strip(), text=text.strip())
    if found := _PROGRESS.match(line):
        return SasMessage(task=found.group(1), severity="info", text=found.group(2).strip())
    return None


def parse_messages(text: str) -> tuple[SasMessage, ...]:
    """Return the messages in what a SAS task has printed.

    Parameters
    ----------
    text
        Its standard error or standard output, or both joined.

    Returns
    -------
    The messages in their order. Indented lines continue the message right before them; lines of any other form are
    left out.

    Notes
    -----
    A task may fail without a message, and may print an error and still exit with status 0: ask for the exit status
    and the output file too.

    References
    ----------
    SAS error, node 1; the form is read from logs of evselect, eexpmap, espfilt and rmfgen.

    Examples
    --------
    >>> parse_messages("** evselect: error (XRangeVal), Bad range.")
    (SasMessage(task='evselect', severity='error', name='XRangeVal', text='Bad range.'),)
    >>> parse_messages("libGL warning: error (none of our business)")
    ()
    """
    found: list[tuple[SasMessage, list[str]]] = []
    continues = False
    for line in text.splitlines():
        message = _message(line)
        more = message is None and continues and line[:1] in (" ", "\t") and bool(line.strip())
        if message is not None:
            found.append((message, []))
        elif more:
            found[-1][1].append(line.strip())
        continues = message is not None or more
    return tuple(attrs.evolve(m, text="\n".join([m.text, *lines]).strip()) if lines else m for m, lines in found)


def suppressed_warnings(messages: Iterable[SasMessage]) -> tuple[tuple[str, int], ...]:
    """Return the warnings that SAS counted without printing them, (name, times), from every ``SummaryOfWarnings``.

    Source: SAS Users Guide, ``SAS_SUPPRESS_WARNING`` and the option ``-w``.

    Examples
    --------
    >>> log = '''** evselect: warning (SummaryOfWarnings),
    ...    warning NoWCS silently occurred 1 times'''
    >>> suppressed_warnings(parse_messages(log))
    (('NoWCS', 1),)
    """
    texts = (m.text for m in messages if m.severity == "warning" and m.name == "SummaryOfWarnings")
    return tuple((name, int(times)) for text in texts for name, times in _SUPPRESSED.findall(text))


def sas_version(text: str) -> str | None:
    """Return the version of SAS that a text names (output of ``sasversion``, a ``CREATOR`` card, a log), or None.

    The first build in square brackets counts; the version of a task, in round brackets, looks the same (SAS 17 to
    22.1).

    Examples
    --------
    >>> sas_version("sasversion (sasversion-1.3)  [xmmsas_20210526_1931-20.0.0] started: ...")
    '20.0.0'
    >>> sas_version("sas: command not found") is None
    True
    """
    found = _RELEASE.search(text)
    return found.group(1) if found else None
