"""The workers of a Client: each is asked before it is given work, whenever it comes; those that cannot do it get none.

A worker is asked for its version of xphotfn, whether it can load the engine, whether it sees some of the files that the
plan reads, and for a word that this process wrote into the store: it reads that and writes an answer beside it, which
this process reads. So its store is this store, and it can be written.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from attrs import define, frozen
from distributed import WorkerPlugin
from distributed.protocol.pickle import dumps, loads

from xphotfn import __version__
from xphotfn.engines.processes import cancel
from xphotfn.engines.protocol import Engine
from xphotfn.store.owner import host
from xphotfn.store.product_store import MARKER, Store

__all__ = ("ASKED", "Answers", "EndWithTask", "Fleet", "question_of")

ASKED: dict[str, set[str]] = {}
"""On a worker: the runs that have asked this process, and the keys of their tasks that are being done."""

_LEAVING: set["asyncio.Task[None]"] = set()  # the event loop itself keeps no task alive
_LOOK_S = 0.1
_SHARED_WITHIN_S = 5.0  # a network file system may show a new file to other machines this much later
_ANSWER_WITHIN_S = 60.0  # a network file system that hangs answers nothing
_SHARED = "it has to be on a file system that all machines share"
_MOST_FILES = 8  # of those that a plan reads, asked of each worker
_IN_A_ROW = 3  # troubles of its machine after which a worker is retired, where another one did the same work
_REST_S, _LONGEST_REST_S = 1.0, 60.0  # how long a worker is given nothing after a trouble; twice as long each time
_TRIM, _TRIM_OF_NANNY = "MALLOC_TRIM_THRESHOLD_", "65536"  # what dask's nanny sets where nobody sets anything
_CLOSING = frozenset(("closing", "closed", "closing_gracefully", "failed", "stopping"))


class EndWithTask(WorkerPlugin):  # type: ignore[misc]
    """Ends the processes of a task whose result nobody wants any more.

    :func:`run` gives one to each worker that it uses and takes it away at its end. Register one yourself where you
    compute graphs of :func:`to_delayed` on a Client.
    """

    idempotent = True

    def __init__(self, name: str = "xphotfn-end-with-task") -> None:
        self.name = name
        self.worker: Any = None

    def setup(self, worker: Any) -> None:
        """Keep the worker."""
        self.worker = worker

    def transition(self, key: str, start: str, finish: str, **_: Any) -> None:
        """End the processes of a task that leaves its worker without a result."""
        if start in ("executing", "long-running") and finish in ("released", "cancelled", "forgotten"):
            cancel(str(key), wait=False)  # this is the worker's event loop

    def teardown(self, worker: Any) -> None:
        """End the processes of all tasks where their worker is closing, not where only this plugin goes."""
        if worker.status.name in _CLOSING:
            for task in [*worker.state.executing, *worker.state.long_running]:
                cancel(str(task.key), wait=False)


@frozen
class _Question:
    """What each worker is asked.

    Parameters
    ----------
    token
        The run's own random name.
    folder
        A folder in the store; its file ``word`` holds the token.
    marker
        A file that every store has.
    engine
        The engine, as bytes.
    files
        Some of the files that the plan reads, which this process sees.
    """

    token: str
    folder: str
    marker: str
    engine: bytes
    files: tuple[str, ...]


def question_of(engine: Engine, store: Store, folder: Path, files: Iterable[str]) -> _Question:
    """Return what workers are asked, and write the word that they have to find.

    Parameters
    ----------
    folder
        An empty folder in the store, for as long as workers may come.
    files
        Those that the plan reads.
    """
    every = list(dict.fromkeys(files))
    some = every[:: max(1, len(every) // _MOST_FILES)][:_MOST_FILES]
    token = uuid.uuid4().hex
    (folder / "word").write_text(token)
    there = tuple(path for path in some if Path(path).exists())
    return _Question(token, str(folder), str(Path(store.path, MARKER)), dumps(engine), there)


async def answer(question: _Question, dask_worker: Any) -> dict[str, Any]:
    """Return what this worker has, and keep a plugin for the run; ``dask_worker`` is dask's name for it."""
    wait = asyncio.wait_for(asyncio.to_thread(_seen, question, _SHARED_WITHIN_S), _ANSWER_WITHIN_S)
    try:
        seen = await wait
    except TimeoutError:
        seen = {"hangs": True}
    ASKED[question.token] = set()
    await dask_worker.plugin_add(EndWithTask(question.token))
    resources = {name: int(count) for name, count in dask_worker.state.total_resources.items() if count >= 1}
    about = {"version": __version__, "host": host(), "threads": dask_worker.state.nthreads, "resources": resources}
    return {**about, "trims": os.environ.get(_TRIM) == _TRIM_OF_NANNY, **seen}


async def dismiss(token: str, dask_worker: Any) -> None:
    """Take the plugin of a run away from this worker, once that has ended what is still done here."""
    task = asyncio.create_task(_leave(token, dask_worker))
    _LEAVING.add(task)
    task.add_done_callback(_LEAVING.discard)


async def _leave(token: str, worker: Any) -> None:
    while ASKED.get(token):
        await asyncio.sleep(_LOOK_S)
    ASKED.pop(token, None)
    if token in worker.plugins:
        await worker.plugin_remove(token)


def _seen(question: _Question, within: float) -> dict[str, Any]:
    """Return what keeps this process from doing the work, by what it is."""
    found: dict[str, Any] = {"unloadable": "", "read_only": ""}
    try:
        loads(question.engine)
    except Exception as error:
        found["unloadable"] = f"{type(error).__name__}: {error}"
    word = Path(question.folder, "word")
    stop = time.monotonic() + within
    while not word.exists() and time.monotonic() < stop:
        time.sleep(0.1)
    found["sees"] = word.exists() and word.read_text() == question.token
    found["other_store"] = not found["sees"] and Path(question.marker).exists()
    found["reply"] = uuid.uuid4().hex
    if found["sees"]:
        try:
            Path(question.folder, found["reply"]).write_text(question.token)
        except OSError as error:
            found["read_only"] = error.strerror or str(error)
    found["unseen"] = [path for path in question.files if not Path(path).exists()]
    return found


def problem(reply: Any, question: _Question, store: str, within: float = _SHARED_WITHIN_S) -> str:
    """Return why a worker that answered so cannot run tasks, or nothing."""
    if isinstance(reply, BaseException) and "ModuleNotFoundError" in repr(reply):  # dask wraps it in an Exception
        return f"cannot import xphotfn ({reply}): install it there, version {__version__} as here"
    if isinstance(reply, BaseException):
        return f"does not answer ({type(reply).__name__}: {reply})"
    if reply["version"] != __version__:
        return f"has xphotfn {reply['version']}, this process {__version__}: install one version everywhere"
    if reply.get("hangs"):
        return f"did not read the store and the data within {_ANSWER_WITHIN_S:g} s: is its file system there?"
    if reply["unloadable"]:
        return f"cannot load the engine ({reply['unloadable']}): its class must be importable on the workers"
    if reply["other_store"]:
        return f"has another store at {store}, on a disk of its own: {_SHARED}"
    if not reply["sees"]:
        return f"does not see the store {store}: {_SHARED}"
    if reply["read_only"]:
        return f"cannot write to the store {store} ({reply['read_only']}): mount it writable there"
    if reply["unseen"]:
        return f"does not see {reply['unseen'][0]}: data must have the same paths on all machines"
    if not _arrived(Path(question.folder, reply["reply"]), question.token, within):
        return f"wrote to another store at {store}: {_SHARED}"
    return ""


def _arrived(path: Path, word: str, within: float) -> bool:
    """Return whether a file with this word is there, soon."""
    stop = time.monotonic() + within
    while True:
        with suppress(OSError):
            if path.read_text() == word:
                path.unlink(missing_ok=True)
                return True
        if time.monotonic() >= stop:
            return False
        time.sleep(0.1)


@define
class _Member:
    """A worker that can do the work.

    Parameters
    ----------
    address, machine
        Of the worker, and the name of its machine.
    threads, resources
        As it declares them.
    busy
        How many tasks it has now.
    troubles
        Of its machine, in a row.
    proved
        How many of its troubles another worker did not have.
    rests_until
        It is given nothing before, by the monotonic clock, where others are there.
    """

    address: str
    machine: str
    threads: int
    resources: dict[str, int]
    busy: int = 0
    troubles: int = 0
    proved: int = 0
    rests_until: float = 0.0

    @property
    def name(self) -> str:
        """Its machine and address, for messages."""
        return f"{self.machine} ({self.address})"


def _room(member: _Member, slots: int, ahead: int) -> float:
    """Return how much more a worker can be given, as a share of what it can do at once."""
    return (slots + max(1, slots * ahead) - member.busy) / slots


class Answers(dict[str, Any]):
    """What workers answered, by address: the reason against each, and what it has."""


class Fleet:
    """The workers of a Client as they come and go.

    Parameters
    ----------
    client, question, store, put
        The Client, what is asked, the store's path, and what is called with answers when they come.
    """

    def __init__(self, client: Any, question: _Question, store: str, put: Callable[[Any], None]) -> None:
        self.client, self.question, self.store, self.put = client, question, store, put
        self.usable: dict[str, _Member] = {}
        self.refused: dict[str, str] = {}
        self.retired: dict[str, str] = {}
        self.asking: set[str] = set()
        self.answered: set[str] = set()
        self.trimming = False  # whether a worker gives all memory back at once, as its nanny told it

    def census(self) -> frozenset[str]:
        """Ask workers that are new, and return the addresses of all that are there."""
        here = frozenset(self.client.nthreads())
        for known in (self.usable, self.refused, self.retired):
            for address in known.keys() - here:
                del known[address]
        new = here - self.usable.keys() - self.refused.keys() - self.retired.keys() - self.asking
        if new:
            self.asking |= new
            Thread(target=self._ask, args=(sorted(new),), daemon=True).start()
        return here

    def _ask(self, addresses: Sequence[str]) -> None:
        """Ask workers, in a thread of its own: one that hangs keeps nobody waiting."""
        try:
            replies = self.client.run(answer, self.question, workers=addresses, on_error="return")
        except Exception as error:
            replies = dict.fromkeys(addresses, error)
        self.put(Answers({a: (problem(replies[a], self.question, self.store), replies[a]) for a in replies}))
        missing = set(addresses) - set(replies)
        if missing:  # they left again
            self.put(Answers(dict.fromkeys(missing, ("", None))))

    def take(self, answers: Answers) -> tuple[str, ...]:
        """Take in answers and return what is to be said of workers that are refused."""
        said = []
        for address, (why, reply) in answers.items():
            self.asking.discard(address)
            if isinstance(reply, dict):
                self.answered.add(address)
            if why:
                self.refused[address] = why
                machine = f"{reply['host'].partition('@')[0]} ({address})" if isinstance(reply, dict) else address
                said.append(f"{machine}: {why}")
            elif reply is not None:
                machine = reply["host"].partition("@")[0]
                self.trimming |= bool(reply.get("trims"))
                self.usable[address] = _Member(address, machine, reply["threads"], dict(reply["resources"]))
        return tuple(said)

    def forget(self, address: str) -> None:
        """Have a worker asked again: it is not the one that answered."""
        self.usable.pop(address, None)

    def free(self, resource: str, avoid: frozenset[str], ahead: int) -> _Member | None:
        """Return the worker with most room for a task, None where all have enough to do.

        Parameters
        ----------
        resource
            What the task takes one of, where anybody declares it.
        avoid
            Workers on which it failed: taken only where there is no other.
        ahead
            How many times what it can do at once each worker is given to come next: many where tasks are short; one
            task at least.
        """
        now = time.monotonic()
        declared = bool(resource) and any(resource in m.resources for m in self.usable.values())
        slots = {m.address: m.resources.get(resource, 0) if declared else m.threads for m in self.usable.values()}
        pool = [m for m in self.usable.values() if slots[m.address]]
        for is_good in (lambda m: m.address not in avoid, lambda m: m.rests_until <= now):
            pool = [m for m in pool if is_good(m)] or pool
        room = [(_room(m, slots[m.address], ahead), m) for m in pool]
        best = max(room, key=lambda pair: pair[0], default=None)
        return best[1] if best is not None and best[0] > 0 else None

    def went_well(self, address: str) -> None:
        """Say that a worker did a task."""
        if address in self.usable:
            self.usable[address].troubles = 0

    def had_trouble(self, address: str) -> None:
        """Say that a task failed by a trouble of its worker's machine: it rests, longer each time."""
        member = self.usable.get(address)
        if member is not None:
            member.troubles += 1
            rest = min(_LONGEST_REST_S, _REST_S * 2 ** (member.troubles - 1))
            member.rests_until = time.monotonic() + rest

    def was_alone(self, address: str, reason: str) -> str:
        """Say that another worker did what failed on this one, and return what is to be said where it is retired."""
        member = self.usable.get(address)
        if member is None:
            return ""
        member.proved += 1
        if member.troubles < _IN_A_ROW or len(self.usable) < 2:
            return ""
        del self.usable[address]
        self.retired[address] = reason
        return (
            f"{member.name}: is given no more work after {member.troubles} troubles in a row that others did not have, "
            f"the last: {reason}"
        )

    def dismiss(self) -> None:
        """Take the run's plugin away from all workers."""
        with suppress(Exception):  # the scheduler may be gone
            if self.answered and self.client.status == "running":
                there = [a for a in self.client.nthreads() if a in self.answered]
                self.client.run(dismiss, self.question.token, workers=there, on_error="ignore")
