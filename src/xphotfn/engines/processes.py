"""Processes that end when they should: each in a group of its own, timed, and gone with whatever they started.

A process and everything it starts form a group, led by it in a session of its own. The whole group is killed when its
time is over, when it is cancelled, and when the leader has ended and left others behind. One small reaper for each
Python process kills the groups that are left when Python itself is killed: it reads a pipe whose only writing end is
ours, so the pipe ends when Python does, however that happens.
"""

import atexit
import os
import select
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, NamedTuple

from xphotfn.errors import CommandFailed

__all__ = (
    "Cancelled",
    "Ended",
    "Labelled",
    "cancel",
    "end",
    "labelled",
    "run_process",
    "stopping_at_the_end",
)

MARK = "XPHOTFN_OWNER"
"""Environment variable by which the reaper knows the processes of one Python process, where there is a /proc."""

_GRACE_S = 2.0

# Lines "+ group" and "- group" come down the pipe. At its end the groups that are left are killed, and on Linux also
# what carries our mark: a group that was not announced yet, and daemons that left their group.
_REAPER = r"""trap '' INT TERM HUP
live=' '
while read -r sign group; do
  case $sign in
    +) live="$live$group " ;;
    -) live="${live%% $group *} ${live#* $group }" ;;
  esac
done
for group in $live; do kill -s KILL -- "-$group" 2>/dev/null; done
grep -l -s -a -F -e "$1" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _; do
  kill -s KILL "$pid" 2>/dev/null
done"""


class Cancelled(CommandFailed):
    """A command that was ended because nobody wants its result any more: it is no failure to try again."""


class Ended(NamedTuple):
    """How a process ended: its exit status, negative for a signal; None where its time was over."""

    status: int | None


class Labelled:
    """A block of code whose processes have a name.

    Attributes
    ----------
    label : str
        The name.
    cancelled : bool
        Whether :func:`cancel` or :func:`end` was called for it: it can start no process any more.
    """

    def __init__(self, label: str, *, cancelled: bool = False) -> None:
        self.label = label
        self.cancelled = cancelled


class _Live(NamedTuple):
    process: "subprocess.Popen[bytes]"
    block: Labelled | None


class _Reaper(NamedTuple):
    process: "subprocess.Popen[bytes]"
    mark: str


_lock = threading.RLock()
_changed = threading.Condition(_lock)  # told whenever a process has ended
_live: dict[int, _Live] = {}
_cancelled: set[int] = set()
_over: set[str] = set()  # labels of runs that were ended: what they have still queued starts nothing
_running: set[str] = set()  # labels of runs that go on
_reapers: list[_Reaper] = []  # none or one
_blocks: set[Labelled] = set()  # those that are being executed
_block: ContextVar[Labelled | None] = ContextVar("xphotfn_block", default=None)


def run_process(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: BinaryIO, timeout_s: float | None = None
) -> Ended:
    """Run a program to its end, and see to it that nothing of it is left.

    Parameters
    ----------
    argv
        Program and arguments; no shell reads them.
    cwd
        Its working directory.
    env
        Its whole environment.
    log
        Open file that takes what it prints, standard output and error in their order.
    timeout_s
        After so many seconds its group gets SIGTERM, then SIGKILL; None for no limit.

    Raises
    ------
    Cancelled
        If :func:`cancel` or :func:`end` ended it, or kept it from starting.
    OSError
        If it cannot be started.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryFile() as log:
    ...     run_process(("true",), cwd=Path("/"), env={"PATH": "/bin:/usr/bin"}, log=log)
    Ended(status=0)
    """
    process = _start(argv, cwd, env, log)
    try:
        status = _wait(process, timeout_s)
        if status is None:
            _end_group(process)
    except BaseException:  # an interrupt in the main thread: what was started has to end before it goes on
        _end_group(process, grace_s=0.5)
        raise
    finally:
        cancelled = _forget(process)
    if cancelled:
        raise Cancelled(tuple(argv), "cancelled")
    return Ended(status)


def _start(argv: Sequence[str], cwd: Path, env: Mapping[str, str], log: BinaryIO) -> "subprocess.Popen[bytes]":
    block = _block.get()
    with _changed:  # held until it is on the list, so that whoever cancels never misses one that has started
        reaper = _reaper()
        if block is not None and block.cancelled:
            raise Cancelled(tuple(argv), "cancelled before it started")
        process = subprocess.Popen(  # noqa: S603 - a tuple of words, no shell
            list(argv),
            cwd=cwd,
            env={**env, MARK: reaper.mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _live[process.pid] = _Live(process, block)
        _tell(reaper, "+", process.pid)
    return process


def _forget(process: "subprocess.Popen[bytes]") -> bool:
    """Take an ended process off the lists and return whether it had been cancelled."""
    with _changed:
        _live.pop(process.pid, None)
        if _reapers:
            _tell(_reapers[0], "-", process.pid)
        cancelled = process.pid in _cancelled
        _cancelled.discard(process.pid)
        _changed.notify_all()
    return cancelled


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float | None) -> int | None:
    """Return the exit status once the leader has ended and its group is dead; None if the time is over first.

    The leader stays a zombie until its group is killed, so that its number cannot have become another's.
    """
    if not hasattr(os, "pidfd_open"):  # not Linux: Python polls, and the group is killed just after
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        _signal_group(process, signal.SIGKILL)
        return status
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return process.wait()  # another thread has reaped it: it was cancelled
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(None if timeout_s is None else max(0, timeout_s) * 1000):
            return None
    finally:
        os.close(descriptor)
    _signal_group(process, signal.SIGKILL)
    return process.wait()


def _signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _end_group(process: "subprocess.Popen[bytes]", grace_s: float = _GRACE_S) -> None:
    """Ask a group to end, and make it end if it does not."""
    if process.returncode is not None:
        return
    _signal_group(process, signal.SIGTERM)
    if _wait(process, grace_s) is None:
        _signal_group(process, signal.SIGKILL)
        _wait(process, None)


def _reaper() -> _Reaper:
    """Return the reaper of this Python process; the lock is held."""
    if not _reapers or _reapers[0].process.poll() is not None:
        _dismiss()
        mark = uuid.uuid4().hex
        process = subprocess.Popen(  # noqa: S603 - a constant text, and a name of hexadecimal digits
            ("/bin/sh", "-c", _REAPER, "xphotfn-reaper", f"{MARK}={mark}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        _reapers.append(_Reaper(process, mark))
        for group in _live:
            _tell(_reapers[0], "+", group)
    return _reapers[0]


def _tell(reaper: _Reaper, sign: str, group: int) -> None:
    if reaper.process.stdin is not None:
        with suppress(OSError):  # a reaper that was killed is replaced when the next command starts
            os.write(reaper.process.stdin.fileno(), f"{sign} {group}\n".encode())


def _dismiss() -> None:
    """End the reaper in good order when Python ends."""
    for reaper in _reapers:
        if reaper.process.stdin is not None:
            reaper.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            reaper.process.wait(_GRACE_S)
    _reapers.clear()


def _after_fork() -> None:
    """Give a forked child a state of its own: it must not hold its parent's pipe open."""
    for reaper in _reapers:
        if reaper.process.stdin is not None:
            reaper.process.stdin.close()
        reaper.process.returncode = 0  # it is the parent's child
    _reapers.clear()
    _live.clear()
    _blocks.clear()
    _cancelled.clear()


atexit.register(_dismiss)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def labelled(label: str) -> Iterator[Labelled]:
    """Give the processes that this thread starts inside the block a name, by which :func:`cancel` finds them.

    Examples
    --------
    >>> with labelled("evselect-0f") as block:
    ...     cancel("evselect-0f"), block.cancelled
    (0, True)
    """
    with _lock:
        block = Labelled(label, cancelled=label in _over)
        _blocks.add(block)
    token = _block.set(block)
    try:
        yield block
    finally:
        _block.reset(token)
        with _lock:
            _blocks.discard(block)


def cancel(label: str, *, wait: bool = True) -> int:
    """End the processes of the blocks with a label, let these blocks start no others, and return how many there were.

    Parameters
    ----------
    label
        The name that :func:`labelled` gave.
    wait
        Return when they have ended; else as soon as they have been asked to, and a thread sees to the rest.

    Examples
    --------
    >>> cancel("no such task")
    0
    """
    with _changed:
        items = [item for item in _live.values() if item.block is not None and item.block.label == label]
        for block in _blocks:
            block.cancelled = block.cancelled or block.label == label
    if wait or not items:
        return _cancel(items)
    threading.Thread(target=_cancel, args=(items,), name="xphotfn-cancel", daemon=True).start()
    return len(items)


def end(label: str) -> int:
    """End the processes of the blocks with a label as :func:`cancel`; blocks of it that begin later start none either.

    Examples
    --------
    >>> end("a run that is over")
    0
    >>> with labelled("a run that is over") as block:
    ...     block.cancelled
    True
    """
    with _lock:
        _over.add(label)
    return cancel(label)


def _cancel(items: Sequence[_Live]) -> int:
    """End processes together: all are asked first, then those that stay are killed; their own threads reap them."""
    with _changed:
        found = [item for item in items if item.process.pid in _live]
        _cancelled.update(item.process.pid for item in found)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for item in found:
                if item.process.pid in _live:
                    _signal_group(item.process, number)
            _changed.wait_for(lambda: not any(item.process.pid in _live for item in found), 0.5)
    return len(found)


@contextmanager
def stopping_at_the_end() -> Iterator[str]:
    """Give a label; the processes of this block, and of all blocks of that label, end if it ends early.

    That is by an error or Ctrl-C. SIGTERM, where this is the main thread, ends this block and every other one like it:
    it is the whole process that shall end.

    Examples
    --------
    >>> with stopping_at_the_end() as label, labelled(label):
    ...     pass
    """
    whole = False

    def interrupt(number: int, _frame: object) -> None:
        nonlocal whole
        whole = True
        raise KeyboardInterrupt(f"signal {number}")

    label = f"run-{uuid.uuid4().hex}"
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if main else None
    with _lock:
        _running.add(label)
    try:
        with labelled(label):
            yield label
    except BaseException:
        for ended in list(_running) if whole else [label]:
            end(ended)
        raise
    finally:
        with _lock:
            _running.discard(label)
        if main:
            signal.signal(signal.SIGTERM, before)
