"""What goes over the wire: what a worker calls, what it says when it starts, and how its results are fetched."""

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from distributed import Reschedule, get_worker

from xphotfn.engines.processes import labelled
from xphotfn.graph.workers import ASKED

__all__ = ("NotAsked", "Result", "arrivals_of", "collect", "next_of", "on_worker")

_STARTED = "xphotfn-started"  # dask's topic on which workers say what they start
_TOGETHER_S = 0.002  # what arrives within this time is dealt with at once
_FETCH_S = 30.0  # for a result that its worker says it has
_LISTENERS: dict[str, list["queue.SimpleQueue[Any]"]] = {}


class NotAsked:
    """What a worker returns that has not been asked: another process than the one that answered at its address."""


class Result:
    """What came of a future: its key, and a result or an exception."""

    def __init__(self, key: str, value: Any) -> None:
        self.key, self.value = key, value


def on_worker(token: str, starts: bool, key: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``function(*arguments)``, on a worker; its processes end with its task.

    Raises
    ------
    Reschedule
        If it was cancelled meanwhile. Dask drops it, or runs it again where somebody has asked for it since.
    """
    running = ASKED.get(token)
    if running is None:
        return NotAsked()
    running.add(key)
    try:
        if starts:
            get_worker().log_event(_STARTED, key)
        with labelled(key) as block:
            result = function(*arguments)
        if block.cancelled:
            raise Reschedule(f"{key} was cancelled")
        return result
    finally:
        running.discard(key)


@contextmanager
def arrivals_of(client: Any) -> Iterator["queue.SimpleQueue[Any]"]:
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


def next_of(arrivals: "queue.SimpleQueue[Any]", patience_s: float) -> list[Any]:
    """Return what has arrived, at least one thing unless nothing comes."""
    found: list[Any] = []
    stop = time.monotonic() + patience_s
    with suppress(queue.Empty):
        while True:
            found.append(arrivals.get(timeout=max(0.0, stop - time.monotonic())))
            if len(found) == 1:
                stop = time.monotonic() + _TOGETHER_S
    return found


def collect(client: Any, ended: "queue.SimpleQueue[Any]", arrivals: "queue.SimpleQueue[Any]") -> None:
    """Fetch the results of futures that have ended, in a thread of its own: one that is lost keeps nobody waiting."""
    while (future := ended.get()) is not None:
        futures = [future]
        while not ended.empty():
            futures.append(ended.get())
        for key, value in _results(client, [f for f in futures if f is not None], ended.put):
            arrivals.put(Result(key, value))
        if futures[-1] is None:
            return


def _results(client: Any, futures: Sequence[Any], again: Callable[[Any], None]) -> Iterator[tuple[str, Any]]:
    """Yield keys and what their futures hold: a result, an exception, or words where it was cancelled.

    A future whose result was lost with its worker is pending once more, and ``again`` is called when it ends.
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
            future.add_done_callback(again)
    try:
        yield from zip([f.key for f in finished], client.gather(finished), strict=True)
    except Exception:  # one of them is the reason, and must not be that of the others
        for future in finished:
            yield future.key, _result(future)


def _result(future: Any) -> Any:
    try:
        return future.result(timeout=_FETCH_S)
    except Exception as error:
        return error
