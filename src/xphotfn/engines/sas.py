"""The SAS engine: commands run by the tasks of an installed XMM-Newton SAS, each in a process of its own.

A task counts as well done when its exit status is 0, it printed no SAS error, and every file that it was to make is
there, new, not empty and, for images and exposure maps, of the grid that was asked for. What else it prints is kept
and decides nothing. Neither the environment nor the working directory of this Python process is ever changed.
"""

import errno
import hashlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import final

from attrs import field, frozen

from xphotfn.commands.command import Command
from xphotfn.commands.messages import SasMessage, parse_messages, sas_version
from xphotfn.commands.parameters import TASKS
from xphotfn.engines import made
from xphotfn.engines.native.engine import native_engine
from xphotfn.engines.printed import printed
from xphotfn.engines.processes import run_process
from xphotfn.engines.protocol import Printed
from xphotfn.errors import CommandFailed, SasMissing, XphotfnError
from xphotfn.html import record_html
from xphotfn.records.fields import non_empty, pairs, positive

__all__ = ("SasEngine", "sas_engine")

_KEPT = ("HEADAS", "LHEASOFT", "LHEAPERL", "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PERL5LIB", "PYTHONPATH")
_PER_COMMAND = ("SAS_CCF", "SAS_ODF", "SAS_CLOBBER")  # set for each command, never taken from the user's shell
_LOG_TAIL = 4000
_CHECK_S = 120.0


@final
@frozen(kw_only=True)
class SasEngine:
    """Executes commands with an installed SAS; made by :func:`sas_engine`, which checks that there is one.

    Parameters
    ----------
    version
        Version of SAS.
    calibration
        What its folder of calibration files holds, as a digest of their names and sizes; empty where nobody looked.
    timeout_s
        Longest time of one command, in s; then it and all that it started are killed.
    env
        SAS's environment as pairs, so that a worker on another machine needs no set-up of its own.
    node_tmp
        Whether SAS's temporary and parameter files are in the temporary folder of the machine that executes a command
        (its ``TMPDIR``), not beside the products.

    Examples
    --------
    >>> SasEngine(version="21.0.0").identity
    'sas-21.0.0'
    """

    version: str = field(validator=non_empty)
    calibration: str = ""
    timeout_s: float = field(default=3600.0, converter=float, validator=positive)
    env: tuple[tuple[str, str], ...] = field(default=(), converter=pairs, repr=False)
    node_tmp: bool = False

    def _repr_html_(self) -> str:
        return record_html(self)

    @property
    def identity(self) -> str:
        """Name, version and calibration: products of different identities are never mixed in a store."""
        return f"sas-{self.version}" + (f"+ccf-{self.calibration}" if self.calibration else "")

    @property
    def resource(self) -> str:
        """What a worker of a cluster declares to have so many of as SAS tasks may run on it at once."""
        return "sas"

    def execute(self, command: Command, folder: Path) -> Printed:
        """Execute one command in ``folder``, which holds its inputs by name, and return what it printed.

        Parameters
        ----------
        command
            What to execute; its ``SAS_CCF`` and ``SAS_ODF`` name files in the folder.
        folder
            Where it runs. Afterwards it holds the inputs and the declared outputs, nothing else that is new.

        Raises
        ------
        CommandFailed
            If the task cannot start, exits with another status than 0, prints a SAS error, is killed, is not done in
            time, or did not make what it was to make.
        Cancelled
            If it was ended on purpose.
        """
        owner = TASKS[command.task].owner if command.task in TASKS else "sas"
        if owner == "xphotfn":
            return native_engine().execute(command, folder)
        if owner == "native":
            raise CommandFailed(
                command.argv,
                f"{command.task} is of the native engine alone, and the SAS engine does not call edetect_chain: run "
                "the plan with native_engine(), or give detect_sources the rate maps that SAS made",
            )
        before = {item.name for item in folder.iterdir()}
        _refuse_what_is_there(command, before)
        private = Path(tempfile.mkdtemp(prefix=".sas-", dir=_own_disk() if self.node_tmp else folder))
        try:
            status, text = self._run(command, folder.absolute(), private.absolute())
        finally:
            shutil.rmtree(private, ignore_errors=True)
        _check(command, folder, status, text, self.timeout_s)
        _tidy(folder, before | set(command.outputs))
        return Printed.of(text)

    def _run(self, command: Command, folder: Path, private: Path) -> tuple[int | None, str]:
        env = self._environment(command, folder, private)
        path = private / "log.txt"
        try:
            with path.open("wb") as log:
                ended = run_process(command.argv, cwd=folder, env=env, log=log, timeout_s=self.timeout_s)
        except OSError as error:
            problem = f"cannot be started: {error.strerror or error}"
            if isinstance(error, FileNotFoundError):
                problem = "is no program on PATH: is this task part of the installed SAS?"
            if error.errno == errno.E2BIG:
                problem += f"; {_longest_word(command)}"
            raise CommandFailed(command.argv, problem) from error
        return ended.status, printed(path)

    def _environment(self, command: Command, folder: Path, private: Path) -> dict[str, str]:
        """Return the whole environment of a command."""
        env = {name: value for name, value in os.environ.items() if name not in _PER_COMMAND} | dict(self.env)
        for name in ("pfiles", "tmp"):
            (private / name).mkdir()
        system = f"{env['HEADAS']}/syspfiles" if env.get("HEADAS") else ""
        env |= {
            "PFILES": f"{_own_pfiles(folder, private)};{system}",
            "TMPDIR": str(private / "tmp"),
            "HEADASNOQUERY": "1",
            "HEADASPROMPT": "/dev/null",
            "SAS_CLOBBER": "1",
            "PWD": str(folder),
        }
        env.setdefault("SAS_RAND_SEED", "1")  # else SAS seeds by the clock, and no product could be made again
        named = {*command.inputs, *command.outputs}
        return env | {name: str(folder / value) if value in named else value for name, value in command.env}


def _own_disk() -> str:
    """Return the temporary folder of this machine."""
    folder = tempfile.gettempdir()
    if set(":; ").intersection(folder):
        raise XphotfnError(f"TMPDIR is {folder!r}, which PFILES, a list of paths, cannot name: use a plain one")
    return folder


def _own_pfiles(folder: Path, private: Path) -> str:
    """Return the folder of parameter files, where it runs if its whole path cannot stand in PFILES, a list of paths."""
    own = private / "pfiles"
    return str(own.relative_to(folder)) if set(":; ").intersection(str(own)) else str(own)


def _longest_word(command: Command) -> str:
    """Return which word of a command line is the longest, and what to do where that is too long."""
    word = max(command.argv, key=len)
    name = word.partition("=")[0]
    return (
        f"{name} has {len(word)} letters, and most systems take 131071 for one word: split the work, as the plan_* "
        "functions do with mosaics of many images, or shorten the expression"
    )


def _refuse_what_is_there(command: Command, names: Iterable[str]) -> None:
    """Refuse outputs that exist before the task starts: an old file must never pass for a new one."""
    there = sorted(set(command.outputs) & set(names))
    if there:
        raise CommandFailed(command.argv, f"{', '.join(there)} exists already: it would not be told from a new one")


def _check(command: Command, folder: Path, status: int | None, text: str, timeout_s: float) -> None:
    """Raise unless the task did what it was to do."""
    problem = _problem(command, status, text, timeout_s) or _bad_output(command, folder)
    if problem:
        raise CommandFailed(command.argv, problem, status, text[-_LOG_TAIL:])


def _problem(command: Command, status: int | None, text: str, timeout_s: float) -> str:
    """Return what a task's end and words say went wrong, or nothing."""
    errors = [m for m in parse_messages(text) if m.severity == "error"]
    said = "; ".join(dict.fromkeys(_said(m, command.task) for m in errors))
    if status is None:
        how = f"was not done after {timeout_s:g} s, so it and all that it started were ended"
        return f"{how}: sas_engine(timeout_s=...) gives it more time" + (f"; it said {said}" if said else "")
    if said:
        return said
    if status < 0:
        return f"was ended by {_signal_name(-status)}: is there enough memory?"
    if status > 0:
        return f"ended with status {status} and no SAS error message: see its log"
    return ""


def _said(message: SasMessage, task: str) -> str:
    who = "" if message.task == task else f"{message.task}: "
    return f"{who}{message.name or 'error'}: {message.text}".rstrip(": ")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _bad_output(command: Command, folder: Path) -> str:
    """Return what is wrong with the files that the task made, or nothing."""
    for name in command.outputs:
        path = folder / name
        if path.is_symlink():
            return f"made {name} as a link: a product has to be a file"
        if not path.is_file():
            return f"ended well but did not make {name}"
        if path.stat().st_size == 0:
            return f"ended well but {name} is empty"
    check = TASKS[command.task].check if command.task in TASKS else ""
    return str(getattr(made, check)(command, folder)) if check else ""


def _tidy(folder: Path, kept: set[str]) -> None:
    """Remove what a task left beside its products: some write files of fixed names."""
    for item in folder.iterdir():
        if item.name not in kept:
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)


def sas_engine(*, timeout_s: float = 3600, env: Mapping[str, str] | None = None, node_tmp: bool = False) -> SasEngine:
    """Return the engine that executes commands with an installed SAS.

    Parameters
    ----------
    timeout_s
        Longest time of one command, in s.
    env
        Environment variables that replace or add to those of this process, such as ``SAS_CCFPATH``.
    node_tmp
        Have SAS's many small temporary files in ``TMPDIR`` of the machine that executes a command, a disk of its own,
        rather than in the store, which is on a network on a cluster. What a killed process leaves there, the batch
        system clears.

    Returns
    -------
    SasEngine
        It carries SAS's environment with it, so that workers need none.

    Raises
    ------
    SasMissing
        If SAS cannot be used; the message lists all that is missing and how to mend it.

    Notes
    -----
    ``SAS_RAND_SEED`` is 1 for every command unless it is set. The names and sizes of the files ``*.CCF`` in
    ``SAS_CCFPATH`` are part of the engine's identity: with other calibration files products are made anew.

    References
    ----------
    SAS Users Guide, chapter on running SAS: ``SAS_DIR``, ``SAS_CCFPATH``, ``HEADAS``, ``sasversion``.

    Examples
    --------
    >>> sas_engine(env={"SAS_DIR": "", "SAS_CCFPATH": "/", "HEADAS": "/"})
    Traceback (most recent call last):
    xphotfn.errors.SasMissing: SAS cannot be used:
      SAS_DIR is not set: initialise SAS (. /path/to/xmmsas/setsas.sh) in the shell that starts Python
    native_engine() needs no SAS.
    """
    whole = {**os.environ, **(env or {})}
    missing = _missing(whole)
    version = ""
    if not missing:
        version, problem = _version_of(whole)
        missing += [(problem, "initialise SAS anew")] if problem else []
    if missing:
        raise SasMissing("SAS cannot be used", tuple(missing))
    kept = sorted(n for n in whole if n in _KEPT or (n.startswith("SAS_") and n not in _PER_COMMAND))
    chosen = {name: whole[name] for name in kept} | dict(env or {})
    calibration = _calibration(whole["SAS_CCFPATH"])
    return SasEngine(
        version=version,
        calibration=calibration,
        timeout_s=timeout_s,
        env=sorted(chosen.items()),
        node_tmp=node_tmp,
    )


def _calibration(path: str) -> str:
    """Return a digest of the calibration files in the folders of a path: an issue of a file never changes its name."""
    files = sorted(
        (entry.name, entry.stat().st_size)
        for folder in path.split(":")
        if Path(folder).is_dir()
        for entry in os.scandir(folder)
        if entry.name.upper().endswith(".CCF")
    )
    return hashlib.blake2b(json.dumps(files).encode(), digest_size=4).hexdigest() if files else ""


def _missing(env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what SAS's environment lacks, each with the way to mend it."""
    found = []
    for name, mend in (
        ("SAS_DIR", "initialise SAS (. /path/to/xmmsas/setsas.sh) in the shell that starts Python"),
        ("HEADAS", "initialise HEASOFT (. $HEADAS/headas-init.sh), which SAS needs, before SAS"),
    ):
        if not env.get(name):
            found.append((f"{name} is not set", mend))
        elif not Path(env[name]).is_dir():
            found.append((f"{name} is {env[name]}, which is no folder", mend))
    ccf = [part for part in env.get("SAS_CCFPATH", "").split(":") if part]
    if not ccf:
        found.append(("SAS_CCFPATH is not set", "set it to the folder of the current calibration files (CCF)"))
    elif not any(Path(part).is_dir() for part in ccf):
        found.append((f"SAS_CCFPATH is {':'.join(ccf)}, which is no folder", "set it to that of the calibration files"))
    if env.get("SAS_DIR") and shutil.which("sasversion", path=env.get("PATH", "")) is None:
        found.append(("sasversion is not on PATH", "$SAS_DIR/bin belongs there, which SAS's set-up script does"))
    return found


def _version_of(env: Mapping[str, str]) -> tuple[str, str]:
    """Return SAS's version and what is wrong with it; one of them is empty."""
    with tempfile.TemporaryDirectory(prefix="xphotfn-") as scratch:
        path = Path(scratch, "log.txt")
        try:
            with path.open("wb") as log:
                ended = run_process(("sasversion",), cwd=Path(scratch), env=env, log=log, timeout_s=_CHECK_S)
        except OSError as error:
            return "", f"sasversion cannot be started ({error.strerror or error}), as for another system"
        text = printed(path)
    version = sas_version(text)
    if ended.status == 0 and version:
        return version, ""
    how = f"was not done after {_CHECK_S:g} s" if ended.status is None else f"ended with status {ended.status}"
    last = text.strip().splitlines()[-1:] or ["it printed nothing"]
    return "", f"sasversion {how} and named no version ({last[0]})"
