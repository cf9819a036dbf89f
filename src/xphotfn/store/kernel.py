"""The one task body of the graph: make a step's products, or say why not. It never raises for a bad product."""

import errno
import json
import os
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any, final

from attrs import field, frozen

from xphotfn.commands.command import Command
from xphotfn.engines.processes import Cancelled, labelled
from xphotfn.engines.protocol import Engine, Printed
from xphotfn.errors import CommandFailed, InvalidFile, XphotfnError
from xphotfn.io.fits import check_whole
from xphotfn.records.fields import items
from xphotfn.records.observation import FoundFile
from xphotfn.records.outcome import Done, Failed, Outcome, Output, Skipped
from xphotfn.store.digests import file_state
from xphotfn.store.owner import host
from xphotfn.store.product_store import Store, digest_bytes

__all__ = ("Work", "finished", "labelled_call", "make", "make_together")


@final
@frozen(kw_only=True)
class Work:
    """What the kernel needs to know of a step.

    Parameters
    ----------
    step
        Its id.
    command
        The command.
    found
        Pairs of input name and the file on disk that it means.
    made
        Pairs of input name and the id of the step that makes it.
    tries
        How often to try.
    """

    step: str
    command: Command
    found: tuple[tuple[str, FoundFile], ...] = field(default=(), converter=items)
    made: tuple[tuple[str, str], ...] = field(default=(), converter=items)
    tries: int = 1


def labelled_call(label: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``function(*arguments)``; its processes can be ended by the label."""
    with labelled(label):
        return function(*arguments)


def make(work: Work, engine: Engine, store: Store, *upstream: Outcome) -> Outcome:
    """Return the outcome of a step whose prerequisites ended as ``upstream``.

    Products that are in the store already are used; otherwise the command runs in a scratch folder and what it made is
    published by one rename. Whatever goes wrong becomes a value: Failed, or Skipped where a prerequisite failed.
    """
    for before in upstream:
        if isinstance(before, Failed):
            return Skipped(step=work.step, because=before.step)
        if isinstance(before, Skipped):
            return Skipped(step=work.step, because=before.because)
    failure: Outcome = Failed(step=work.step, reason="not tried: tries must be at least 1")
    for _ in range(work.tries):
        try:
            return _attempt(work, engine, store, _inputs(work, _found(work, store), upstream))
        except Cancelled as error:
            return Failed(step=work.step, reason=error.problem)
        except CommandFailed as error:
            failure = Failed(step=work.step, reason=error.problem, log=error.tail)
        except InvalidFile as error:
            reason = f"{work.command.task}: {_with_own_path(error, work)}"
            failure = Failed(step=work.step, reason=reason, of_machine=_is_of_machine(error))
        except (XphotfnError, OSError) as error:
            reason = f"{work.command.task}: {error}"
            failure = Failed(step=work.step, reason=reason, of_machine=_is_of_machine(error))
        except Exception as error:
            failure = Failed(
                step=work.step,
                reason=f"{work.command.task}: {type(error).__name__}: {error}",
                log=traceback.format_exc(),
            )
    return failure


_OF_MACHINE = frozenset(
    (errno.ENOENT, errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOTCONN,
     errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENXIO, errno.ENODEV, errno.EMFILE, errno.ENFILE)
)  # fmt: skip


def _is_of_machine(error: BaseException) -> bool:
    """Return whether an error is that of a file system or disk, or of a file that is known to exist and is not seen."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _OF_MACHINE:
            return True
        cause = cause.__cause__
    return False


def finished(
    works: Iterable[Work],
    engine: Engine,
    store: Store,
    *,
    reading: bool = False,
    known: Mapping[str, Outcome] | None = None,
) -> dict[str, Outcome]:
    """Return the outcomes, by step, of the works whose products are in the store already; no file is read for it.

    Parameters
    ----------
    works
        In an order in which they could be made one after the other. One that reads a found file whose digest is not
        known yet is left out, and so is all that waits for one that is left out.
    reading
        Read files whose digests are not known yet.
    known
        Outcomes of steps that others of them need.
    """
    digest_of = store.digest if reading else store.known_digest
    before = known or {}
    done = dict(before)
    for work in works:
        try:
            read = [(name, file.path, digest_of(file.path)) for name, file in work.found]
            if any(step not in done for _, step in work.made) or any(digest is None for _, _, digest in read):
                continue
            found = [Output(name=name, path=path, digest=digest or "") for name, path, digest in read]
            inputs = _inputs(work, found, tuple(done[step] for _, step in work.made))
            outcome = _cached(work, _key(work, engine, inputs), store)
        except (XphotfnError, OSError):  # making it will say what is wrong
            continue
        if outcome is not None:
            done[work.step] = outcome
    return {step: outcome for step, outcome in done.items() if step not in before}


def _with_own_path(error: InvalidFile, work: Work) -> InvalidFile:
    """Return the error with the path of the user's file, where the command saw that file as a link in scratch."""
    paths = {name: file.path for name, file in work.found}
    return InvalidFile(paths.get(error.path, error.path), error.problem, error.line)


def make_together(works: tuple[Work, ...], engine: Engine, store: Store, *upstream: Outcome) -> tuple[Outcome, ...]:
    """Return the outcomes of steps that read one event list, executed in one pass where the engine can.

    An engine that has ``execute_many`` reads a shared event list once for all its products. Where that fails, each
    step is made alone, so that one bad command costs only its own product.
    """
    by_step = {outcome.step: outcome for outcome in upstream}
    before = [tuple(by_step[step] for step in dict.fromkeys(step for _, step in work.made)) for work in works]
    try:
        inputs = [_inputs(work, _found(work, store), outcomes) for work, outcomes in zip(works, before, strict=True)]
        keys = [_key(work, engine, found) for work, found in zip(works, inputs, strict=True)]
        jobs = [job for job in zip(works, keys, inputs, strict=True) if store.find(job[1]) is None]
        made = _in_one_pass(jobs, engine, store) if len(jobs) > 1 else {}
    except Exception:
        made = {}  # each step alone says what is wrong with it
    return tuple(
        made.get(w.step) or make(w, engine, store, *outcomes) for w, outcomes in zip(works, before, strict=True)
    )


def _in_one_pass(jobs: Sequence[tuple[Work, str, tuple[Output, ...]]], engine: Any, store: Store) -> dict[str, Outcome]:
    with store.scratch(jobs[0][1]) as scratch:
        shared = scratch / "shared"
        shared.mkdir()
        _link({i.name: i for _, _, found in jobs for i in found}.values(), shared)
        start = time.perf_counter()
        printed = Printed.of(engine.execute_many([work.command for work, _, _ in jobs], shared))
        seconds = (time.perf_counter() - start) / len(jobs)
        _refuse_changed([i for _, _, found in jobs for i in found], store)
        outcomes = {}
        for number, (work, key, found) in enumerate(jobs):
            folder = scratch / str(number)
            folder.mkdir()
            for name in work.command.outputs:
                (shared / name).rename(folder / name)
            outcomes[work.step] = _publish(work, engine, store, (key, folder, found), printed, seconds)
        return outcomes


def _found(work: Work, store: Store) -> list[Output]:
    """Return the found files that the command reads, with their digests."""
    return [Output(name=name, path=file.path, digest=store.digest(file.path)) for name, file in work.found]


def _inputs(work: Work, found: Sequence[Output], upstream: tuple[Outcome, ...]) -> tuple[Output, ...]:
    """Return all files that the command reads; found ones have to be as they were when they were found."""
    made = {o.name: o for before in upstream if isinstance(before, Done) for o in before.outputs}
    for _, file in work.found:
        now = os.stat(file.path)  # noqa: PTH116 - a resume does this for every file
        if (now.st_size, now.st_mtime_ns) != (file.size, file.mtime_ns):
            raise CommandFailed(
                work.command.argv, f"{file.path} has changed since it was found: run find_observations again"
            )
    return (*found, *(made[name] for name, _ in work.made))


def _key(work: Work, engine: Engine, inputs: tuple[Output, ...]) -> str:
    """Return the store key: engine, command and the content of the inputs, wherever they lie."""
    c = work.command
    what = [_identity(engine, c.task), c.task, c.parameters, c.outputs, c.env, [(i.name, i.digest) for i in inputs]]
    return digest_bytes(json.dumps(what).encode())


def _identity(engine: Any, task: str) -> str:
    """Return what executes a task; an engine may have versions of single tasks, and ``identity_of`` that says them."""
    of_task = getattr(engine, "identity_of", None)
    return str(engine.identity if of_task is None else of_task(task))


def _refuse_changed(inputs: Iterable[Output], store: Store) -> None:
    """Refuse what a command read where a file is not, or is no longer, what its digest says.

    Raises
    ------
    InvalidFile
        For the first such file.
    """
    for item in dict.fromkeys(inputs):
        if not store.still_holds(item):
            raise InvalidFile(
                item.path,
                "is not what it was when its digest was taken, so nothing is made of it: for a product "
                "verify(store, remove=True), for a found file find_observations again, then the run",
            )


def _attempt(work: Work, engine: Engine, store: Store, inputs: tuple[Output, ...]) -> Outcome:
    key = _key(work, engine, inputs)
    outcome = _cached(work, key, store)
    if outcome is not None:
        return outcome
    for item in inputs:
        file_state(item.path)  # an engine would say less of a file that this machine does not see
    with store.scratch(key) as folder:  # which becomes the product's own
        links = _link(inputs, folder)
        start = time.perf_counter()
        printed = Printed.of(engine.execute(work.command, folder))
        seconds = time.perf_counter() - start
        _refuse_changed(inputs, store)
        for link in links:
            link.unlink()
        return _publish(work, engine, store, (key, folder, inputs), printed, seconds)


def _cached(work: Work, key: str, store: Store) -> Outcome | None:
    """Return the outcome of a step whose products are in the store, else None."""
    found = store.look_up(key)
    if found is None:
        return None
    return Done(step=work.step, key=key, outputs=found.outputs, cached=True, log=found.log, warnings=found.warnings)


def _publish(
    work: Work,
    engine: Engine,
    store: Store,
    what: tuple[str, Path, tuple[Output, ...]],
    printed: Printed,
    seconds: float,
) -> Outcome:
    key, folder, inputs = what
    _check(work.command, folder)
    (folder / "log.txt").write_text(printed.log)
    about: dict[str, Any] = {
        "engine": _identity(engine, work.command.task),
        "task": work.command.task,
        "argv": list(work.command.argv),
        "step": work.step,
        "env": [list(pair) for pair in work.command.env],
        "inputs": [{"name": i.name, "path": i.path, "digest": i.digest} for i in inputs],
        "seconds": seconds,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": host(),
        "pid": os.getpid(),
        "versions": dict(_versions()),
        "log": "log.txt",
        "warnings": [m.text for m in printed.warnings],
    }
    outputs = store.publish(key, folder, work.command.outputs, about)
    log = str(store.folder(key) / "log.txt")
    return Done(step=work.step, key=key, outputs=outputs, seconds=seconds, log=log, warnings=about["warnings"])


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of what made a product, besides its engine."""
    found = [("python", python_version())]
    for name in ("xphotfn", "numpy", "scipy", "astropy"):
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:  # run from a source tree that is not installed
            found.append((name, "unknown"))
    return tuple(found)


def _link(inputs: Iterable[Output], folder: Path) -> list[Path]:
    links = []
    for item in inputs:
        link = folder / item.name
        link.symlink_to(item.path)
        links.append(link)
    return links


def _check(command: Command, folder: Path) -> None:
    """Refuse a product that is absent, empty or, unless its name says that it holds regions, no FITS file."""
    for name in command.outputs:
        path = folder / name
        if not path.is_file() or path.is_symlink() or path.stat().st_size == 0:
            raise CommandFailed(command.argv, f"{command.task} ended well but did not make {name}")
        if not name.endswith(".reg"):
            check_whole(path)
