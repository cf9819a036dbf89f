"""SAS's command line without SAS: the tasks of the native engine, and sasversion, by our own interpreter.

``python -m xphotfn.engines.shims.task evselect table=... imageset=...`` takes what the SAS task of that name takes,
writes where it writes, speaks as it speaks, and ends with 0, or with 1 after an error. :func:`write_shims` makes a
folder of programs with the tasks' names, so that scripts that call SAS, and the SAS engine itself, run where SAS is
missing.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from attrs import evolve

from xphotfn import __version__
from xphotfn.commands.messages import SasMessage
from xphotfn.commands.parameters import parameters_of
from xphotfn.engines.native.engine import native_engine
from xphotfn.engines.shims.command_line import TaskError, TaskLine, parse_line
from xphotfn.engines.shims.scratch import TaskFolder, staged
from xphotfn.errors import CommandFailed, InvalidFile, XphotfnError
from xphotfn.io.write import publish

__all__ = ("NAMES", "run_task", "write_shims")

NAMES = tuple(sorted((*native_engine().tasks, "sasversion")))
"""The tasks: those of the native engine, and sasversion."""

_SHIM = b"a program of xphotfn, made by `xphotfn shims`"
_MANUAL = "https://xmm-tools.cosmos.esa.int/external/sas/current/doc"


def run_task(argv: Sequence[str], *, out: TextIO | None = None, err: TextIO | None = None) -> int:
    r"""Run one SAS task by our interpreter and return its exit status.

    Parameters
    ----------
    argv
        The task's name and the words of its command line, such as a shell hands them over.
    out, err
        Where it writes; default standard output and standard error.

    Returns
    -------
    0, or 1 after an error, which is reported as ``** task: error (Name), text``.

    Notes
    -----
    Paths are relative to the working directory or absolute, as in SAS. An existing output is replaced unless
    ``-c`` (``--noclobber``) or ``SAS_CLOBBER=0`` says otherwise; each output appears whole or not at all. A warning is
    shown as often as ``-w`` or ``SAS_SUPPRESS_WARNING`` allows (10 times if neither does), the rest is counted.

    Examples
    --------
    >>> import io
    >>> err = io.StringIO()
    >>> run_task(("evselect", "imageset=image.fits"), err=err)
    1
    >>> err.getvalue()
    '** evselect: error (ParamMandatory), mandatory parameter table has not been specified\n'
    """
    stdout, stderr = out or sys.stdout, err or sys.stderr
    task = argv[0] if argv else "xphotfn"
    try:
        _check_name(task)
        return _run(parse_line(argv), argv, stdout, stderr)
    except TaskError as error:
        _complain(task, error.name, error.text, stderr)
    except XphotfnError as error:
        _complain(task, _error_name(error), str(error), stderr)
    except OSError as error:
        _complain(task, "FileError", f"{error.filename or ''}: {error.strerror or error}".lstrip(": "), stderr)
    except Exception as error:  # whatever it is, a script must see SAS's form and exit status
        _complain(task, "InternalError", f"{type(error).__name__}: {error}", stderr)
    return 1


def _check_name(task: str) -> None:
    if task not in NAMES:
        raise TaskError("TaskNotFound", f"there is no task {task!r} here; there are {', '.join(NAMES)}")


def _complain(task: str, name: str, text: str, stderr: TextIO) -> None:
    stderr.write(f"{SasMessage(task=task, severity='error', name=name, text=text).as_printed}\n")
    stderr.flush()


def _error_name(error: XphotfnError) -> str:
    return error.sas_name or type(error).__name__


def _run(line: TaskLine, argv: Sequence[str], stdout: TextIO, stderr: TextIO) -> int:
    asked = _asked(line)
    if asked is not None:
        stdout.write(asked)
        return 0
    loud = _number(line, "verbosity", "SAS_VERBOSITY", 4) > 0

    def say(text: str) -> None:
        if loud:
            stdout.write(f"{line.task}:- {text}\n")
            stdout.flush()

    say("Executing (routine): " + shlex.join(argv))
    say(f"{_signature(line.task)} started:  {_now()}")
    if line.task == "sasversion":
        stdout.write(_release())
    else:
        with staged(line.command, clobber=_clobbers(line)) as work:
            messages = _execute(work)
        _warn(line.task, messages, _number(line, "warning", "SAS_SUPPRESS_WARNING", 10), stderr)
    say(f"{_signature(line.task)} ended:    {_now()}")
    return 0


def _execute(work: TaskFolder) -> list[SasMessage]:
    """Execute staged work and return its warnings; what is said of its files is said of the paths that were given."""
    try:
        printed = native_engine().execute(work.command, work.folder)
    except XphotfnError as error:
        said = error.problem if isinstance(error, CommandFailed) else str(error)
        raise TaskError(_error_name(error), work.restored(said)) from error
    return [evolve(message, text=work.restored(message.text)) for message in printed.warnings]


def _asked(line: TaskLine) -> str | None:
    """Return the answer to an option that asks something instead of running the task."""
    if "version" in line.options:
        return f"{_signature(line.task)}\n"
    if "help" in line.options or "param" in line.options:
        rows = [f"  {p.name:<22} {p.kind:<5} {_default(p.default)}" for p in parameters_of(line.task)]
        return "\n".join([f"{line.task} name=value ...  ({_MANUAL}/{line.task})", *rows]) + "\n"
    if "manpage" in line.options:
        return f"{_MANUAL}/{line.task}/index.html\n"
    if "dialog" in line.options:
        raise TaskError("NoDialog", "there are no windows here: give the parameters as name=value")
    return None


def _default(value: str | None) -> str:
    return "(mandatory)" if value is None else repr(value)


def _signature(task: str) -> str:
    return f"{task} ({task}-{__version__})  [{__version__}-xphotfn]"


def _release() -> str:
    """Return what sasversion prints, in SAS's form."""
    given = sorted((k, v) for k, v in os.environ.items() if k.startswith("SAS_"))
    lines = [
        "sasversion:- XMM-Newton SAS release and build information:",
        "",
        f"SAS release: [{__version__}-xphotfn]  ({native_engine().identity}: xphotfn's interpreter, not SAS)",
        "",
        "SAS-related environment variables that are set:",
        "",
        *(f"{name} = {value}" for name, value in given),
        "",
    ]
    return "\n".join(lines) + "\n"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000")


def _number(line: TaskLine, option: str, variable: str, default: int) -> int:
    text = line.options.get(option) or os.environ.get(variable, "")
    return int(text) if text.isdecimal() else default


def _clobbers(line: TaskLine) -> bool:
    return "noclobber" not in line.options and os.environ.get("SAS_CLOBBER", "1") != "0"


def _warn(task: str, messages: Iterable[SasMessage], most: int, stderr: TextIO) -> None:
    """Print each kind of warning so often at most, and count the rest, as SAS does."""
    seen: dict[str, int] = {}
    for message in messages:
        seen[message.name] = seen.get(message.name, 0) + 1
        if seen[message.name] <= most:
            stderr.write(f"{message.as_printed}\n")
    silent = {name: count - most for name, count in seen.items() if count > most}
    if silent:
        stderr.write(f"** {task}: warning (SummaryOfWarnings),\n")
        for name, count in silent.items():
            stderr.write(f"   warning {name} silently occurred {count} times\n")


def write_shims(folder: str | Path, names: Iterable[str] = NAMES) -> Path:
    """Write one small program for each task, under its name, that runs our interpreter; and one for ``xphotfn``.

    Parameters
    ----------
    folder
        Where to write; made if missing. Put it on ``PATH``.
    names
        The tasks.

    Returns
    -------
    The folder, absolute.

    Raises
    ------
    TaskError
        For a name that is none of our tasks.
    InvalidFile
        If another program of such a name is there, as in SAS's own folder: nothing is replaced but our own.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = write_shims(tempfile.mkdtemp(), ["evselect", "eexpmap"])
    >>> sorted(path.name for path in folder.iterdir())
    ['eexpmap', 'evselect', 'xphotfn']
    """
    root = Path(folder).absolute()
    root.mkdir(parents=True, exist_ok=True)
    programs = {name: ("xphotfn.engines.shims.task", name) for name in names} | {"xphotfn": ("xphotfn",)}
    for name in programs:
        if name != "xphotfn":
            _check_name(name)
        path = root / name
        if path.is_symlink() or (path.exists() and not (path.is_file() and _SHIM in path.read_bytes()[:4096])):
            problem = "is another program and stays as it is: give a folder of its own for ours"
            raise InvalidFile(str(path), problem)
    python = sys.executable or shutil.which("python3") or "python3"
    for name, module in programs.items():
        with publish(root / name, own=True) as temporary:
            command = shlex.join((python, "-P", "-m", *module))
            temporary.write_text(f'#!/bin/sh\n# {_SHIM.decode()}\nexec {command} "$@"\n', encoding="utf-8")
            temporary.chmod(0o755)
    return root


if __name__ == "__main__":
    sys.exit(run_task(sys.argv[1:]))
