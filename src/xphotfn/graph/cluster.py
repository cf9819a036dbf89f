"""A plan's tasks on a distributed Client: started, watched and ended there; whatever happens to them is a value.

Processes end with the task that started them: when it is cancelled, when nobody holds its result any more (the client
was closed or lost), when its worker is closed or killed.
"""

import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from distributed import KilledWorker, Reschedule, WorkerPlugin, get_worker
from distributed.protocol.pickle import dumps, loads

from xphotfn import __version__
from xphotfn.engines.processes import cancel, labelled
from xphotfn.engines.protocol import Engine
from xphotfn.errors import InvalidRecord, XphotfnError
from xphotfn.graph.plan import Step
from xphotfn.records.outcome import Failed, Outcome, Skipped
from xphotfn.store.store import MARKER, Store

__all__ = ("EndWithTask", "compute_on", "on_worker", "on_worker_telling", "prepare")

_STARTED = "xphotfn-started"  # dask's topic on which workers say what they start
_PATIENCE_S = 1.0  # how often to see whether the scheduler is still there when nothing arrives
_TOGETHER_S = 0.1  # what arrives within this time is dealt with at once: each question to the scheduler takes a while
_SHARED_WITHIN_S = 5.0  # a network file system may show a new file to other machines this much later
_LISTENERS: dict[str, list["queue.SimpleQueue[Any]"]] = {}

Observe = Callable[[str, Outcome | None], None]


class EndWithTask(WorkerPlugin):  # type: ignore[misc]
    """Ends the processes of a task whose result nobody wants any more; :func:`run` registers it on its Client."""

    name = "xphotfn-end-with-task"
    idempotent = True

    def __init__(self) -> None:
        self.worker: Any = None

    def setup(self, worker: Any) -> None:
        """Keep the worker."""
        self.worker = worker

    def transition(self, key: str, start: str, finish: str, **_: Any) -> None:
        """End the processes of a task that leaves its worker without a result."""
        if start in ("executing", "long-running") and finish in ("released", "cancelled", "forgotten"):
            cancel(str(key), wait=False)  # this is the worker's event loop

    def teardown(self, worker: Any) -> None:
        """End the processes of all tasks: their worker is closing."""
        for task in [*worker.state.executing, *worker.state.long_running]:
            cancel(str(task.key), wait=False)


def on_worker(key: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``function(*arguments)``, on a worker; its processes end with its task.

    Raises
    ------
    Reschedule
        If it was cancelled meanwhile. Dask drops it, or runs it again where somebody has asked for it since.
    """
    with labelled(key) as block:
        result = function(*arguments)
    if block.cancelled:
        raise Reschedule(f"{key} was cancelled")
    return result


def on_worker_telling(key: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Do as :func:`on_worker`, and say first that the task has started."""
    get_worker().log_event(_STARTED, key)
    return on_worker(key, function, *arguments)


class _Seen(NamedTuple):
    """What a worker has: its xphotfn, what keeps it from loading the engine, whether it sees a file, its resources."""

    version: str
    unloadable: str
    sees: bool
    resources: tuple[str, ...]


def prepare(client: Any, engine: Engine, store: Store) -> frozenset[str]:
    """See to it that the workers of a Client can run tasks and end what these start, and return what they declare.

    Returns
    -------
    frozenset
        The resources of which a worker has one or more: a task must not ask for what nobody has, it would wait for
        ever.

    Raises
    ------
    InvalidRecord
        If the Client is asynchronous or closed.
    XphotfnError
        If a worker has no xphotfn, another version of it, cannot load the engine, or does not see the store.

    Notes
    -----
    A worker that cannot load a task does not say so, it is lost, comes back and is given the task again, for ever: so
    it is asked beforehand.
    """
    if getattr(client, "asynchronous", False) or client.status != "running":
        raise InvalidRecord(f"scheduler must be a running, not asynchronous Client, got {client!r}")
    found = client.run(_look, dumps(engine), str(Path(store.path, MARKER)), on_error="return")
    problems = [f"  {address}: {text}" for address, answer in found.items() if (text := _problem(answer, store.path))]
    if problems:
        raise XphotfnError("workers of the cluster cannot run this plan:\n" + "\n".join(problems))
    client.register_plugin(EndWithTask())
    return frozenset(name for seen in found.values() for name in seen.resources)


def _look(engine: bytes, marker: str, dask_worker: Any) -> _Seen:
    """Return what this worker has; ``dask_worker`` is dask's name for it."""
    unloadable = ""
    try:
        loads(engine)
    except Exception as error:
        unloadable = f"{type(error).__name__}: {error}"
    stop = time.monotonic() + _SHARED_WITHIN_S
    while not Path(marker).exists() and time.monotonic() < stop:
        time.sleep(0.1)
    resources = tuple(name for name, count in dask_worker.state.total_resources.items() if count >= 1)
    return _Seen(__version__, unloadable, Path(marker).exists(), resources)


def _problem(answer: Any, store: str) -> str:
    """Return why a worker cannot run tasks, or nothing."""
    if isinstance(answer, BaseException) and "ModuleNotFoundError" in repr(answer):  # dask wraps it in an Exception
        return f"cannot import xphotfn ({answer}): install it there, version {__version__} as here"
    if isinstance(answer, BaseException):
        return f"does not answer ({type(answer).__name__}: {answer})"
    if answer.version != __version__:
        return f"has xphotfn {answer.version}, this process {__version__}: install one version everywhere"
    if answer.unloadable:
        return f"cannot load the engine ({answer.unloadable}): its class must be importable on the workers"
    return (
        "" if answer.sees else f"does not see the store {store}: it has to be on a file system that all machines share"
    )


def compute_on(
    client: Any,
    tasks: Sequence[Any],
    *,
    steps: Sequence[Step],
    keys: Mapping[str, str],
    executed: Mapping[str, Sequence[str]],
    observe: Observe,
) -> dict[str, Outcome]:
    """Compute the tasks of steps on a Client and return their outcomes, whatever happens to workers and scheduler.

    Parameters
    ----------
    tasks
        A Delayed for each step.
    steps, keys
        The steps, and their dask keys.
    executed
        The steps that a task executes, by its key.
    observe
        Called by this thread with a step's id and None when it starts, and with its outcome when it ends.
    """
    of_key = {key: step for step, key in keys.items()}
    outcomes: dict[str, Outcome] = {}
    lost: dict[str, BaseException | str] = {}

    def settle(step: str, outcome: Outcome) -> None:
        outcomes[step] = outcome
        observe(step, outcome)

    with _arrivals(client) as arrivals:
        futures = client.compute(list(tasks), traverse=False)
        try:
            for future in futures:
                future.add_done_callback(arrivals.put)
            while len(outcomes) < len(futures):
                started, ended = _next(arrivals, len(futures) - len(outcomes) - len(lost))
                for key in started:
                    for step in executed.get(key, ()):
                        observe(step, None)
                if not ended and client.status in ("closing", "closed"):
                    left = [step.id for step in steps if step.id not in outcomes]
                    lost |= dict.fromkeys(left, "its Client was closed")
                for key, result in _results(client, ended, arrivals):
                    if isinstance(result, Outcome):
                        settle(of_key[key], result)
                    else:
                        lost[of_key[key]] = result
                for step, outcome in _of_lost(lost, outcomes, steps).items():
                    del lost[step]
                    settle(step, outcome)
        except BaseException:
            with suppress(Exception):  # released, not cancelled: another run of this Client may want some of them
                for future in futures:
                    future.release()
            raise
    return outcomes


@contextmanager
def _arrivals(client: Any) -> Iterator["queue.SimpleQueue[Any]"]:
    """Give a queue into which the keys of tasks that start on the Client's cluster come."""
    arrivals: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listeners = _LISTENERS.setdefault(client.id, [])
    listeners.append(arrivals)
    if len(listeners) == 1:

        def tell(event: tuple[float, str]) -> None:
            for listener in listeners:
                listener.put(event[1])

        client.subscribe_topic(_STARTED, tell)
    try:
        yield arrivals
    finally:
        listeners.remove(arrivals)
        if not listeners:
            with suppress(Exception):  # its scheduler may be gone
                client.unsubscribe_topic(_STARTED)


def _next(arrivals: "queue.SimpleQueue[Any]", most: int) -> tuple[list[str], list[Any]]:
    """Return the keys of tasks that have started and the futures that have ended, at least one unless nothing comes.

    Parameters
    ----------
    most
        How many futures are still to end.
    """
    started: list[str] = []
    ended: list[Any] = []
    stop = time.monotonic() + _PATIENCE_S
    with suppress(queue.Empty):
        while len(ended) < most:
            item = arrivals.get(timeout=max(0.0, stop - time.monotonic()))
            if not started and not ended:
                stop = time.monotonic() + _TOGETHER_S
            (started if isinstance(item, str) else ended).append(item)
    return started, ended


def _results(client: Any, futures: Sequence[Any], arrivals: "queue.SimpleQueue[Any]") -> Iterator[tuple[str, Any]]:
    """Yield keys and what their futures hold: a result, an exception, or words where it was cancelled.

    A result that was lost with its worker is being made again: that future comes into the queue once more.
    """
    finished = []
    for future in futures:
        if future.status == "finished":
            finished.append(future)
        elif future.status == "error":
            yield future.key, future.exception()
        elif future.status == "cancelled":
            yield future.key, "cancelled, or the connection to the scheduler was lost"
        else:
            future.add_done_callback(arrivals.put)
    try:
        yield from zip([f.key for f in finished], client.gather(finished), strict=True)
    except Exception:  # one of them is the reason, and must not be that of the others
        for future in finished:
            yield future.key, _result(future)


def _result(future: Any) -> Any:
    try:
        return future.result()
    except Exception as error:
        return error


def _of_lost(
    lost: Mapping[str, BaseException | str], outcomes: Mapping[str, Outcome], steps: Sequence[Step]
) -> dict[str, Outcome]:
    """Return the outcomes of steps whose tasks gave none, as far as it is known what became of those they wait for.

    Dask gives the error of a task to all that wait for it too: these were skipped.
    """
    if not lost:
        return {}
    found: dict[str, Outcome] = {}
    run = {step.id for step in steps}
    for step in steps:
        ended = [outcome for n in step.needs if (outcome := found.get(n) or outcomes.get(n)) is not None]
        if step.id not in lost or len(ended) < len(run.intersection(step.needs)):
            continue
        because = next((o for o in ended if isinstance(o, Failed | Skipped)), None)
        if because is None:
            found[step.id] = Failed(step=step.id, reason=_reason(step, lost[step.id]))
        else:
            first = because.step if isinstance(because, Failed) else because.because
            found[step.id] = Skipped(step=step.id, because=first)
    return found


def _reason(step: Step, problem: BaseException | str) -> str:
    again = "finished products are in the store, and running again makes what is missing"
    task = step.command.task
    if isinstance(problem, KilledWorker):
        return (
            f"{task}: its worker died each of the {problem.allowed_failures + 1} times that it was run, at last "
            f"{problem.last_worker.address}: does it need more memory than a worker has? See that worker's log; {again}"
        )
    if isinstance(problem, str):
        return f"{task}: {problem}; {again}"
    return f"{task}: {type(problem).__name__}: {problem}"
