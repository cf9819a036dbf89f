"""A plan's tasks on a distributed Client: started, watched and ended there; whatever happens to them is a value.

This process deals the tasks itself, each to one worker that was asked before, and as many as the workers can do now.
So a task goes only where it can be done, its result is here and its future released before dask could lose it, and
neither the scheduler nor this process holds more of a plan of any size than what is being done.

Processes end with the task that started them: when it is cancelled, when nobody holds its result any more (the client
was closed or lost), when its worker is closed or killed.
"""

import heapq
import math
import queue
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

from attrs import define, evolve, field, frozen
from distributed import KilledWorker

from xphotfn.commands.step import Step
from xphotfn.engines.protocol import Engine
from xphotfn.errors import InvalidRecord, XphotfnError
from xphotfn.graph.futures import NotAsked, Result, arrivals_of, collect, next_of, on_worker
from xphotfn.graph.workers import Answers, EndWithTask, Fleet, _Member, question_of
from xphotfn.records.outcome import Done, Failed, Outcome, Skipped
from xphotfn.store.product_store import Store

__all__ = ("EndWithTask", "SlowWorkers", "WorkerRefused", "compute_on", "unit_of")

_PATIENCE_S = 1.0  # how often to see which workers are there, and whether the scheduler is, when nothing arrives
_AHEAD_S, _MOST_AHEAD = 0.5, 20  # short tasks are given to workers ahead of time: so much work, so many at most
_SAY_AFTER_S = 60.0  # without a worker that could do anything
_TRIES_ELSEWHERE = 3  # of a task that fails by a trouble of its machine
_PAUSE_S = 0.5  # before it is tried again; twice as long each time
_AGAIN = "finished products are in the store, and running again makes what is missing"

Observe = Callable[[str, Outcome | None], None]


_TRIMMING = (
    "workers give memory back to the system at once (MALLOC_TRIM_THRESHOLD_=65536, set by dask's nanny), which takes "
    "the native engine twice the CPU time: before the workers start, set in dask's configuration "
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_ to 134217728 and .MALLOC_MMAP_THRESHOLD_ to 33554432"
)


class SlowWorkers(UserWarning):
    """A warning: the settings of a cluster's workers make them slow."""


class WorkerRefused(UserWarning):
    """A warning: a worker of the cluster is given no work, or there is none that could do any."""


@frozen
class _Unit:
    """A task: one step, or several that are made in one pass.

    Parameters
    ----------
    key
        Its dask key.
    steps
        The steps.
    function, work
        What is called with ``work``, engine, store and the outcomes of what it needs.
    needs
        Ids of steps.
    rank
        Its priority; higher is sooner.
    """

    key: str
    steps: tuple[Step, ...]
    function: Callable[..., Any]
    work: Any
    needs: tuple[str, ...]
    rank: int


def unit_of(
    key: str,
    steps: tuple[Step, ...],
    function: Callable[..., Any],
    work: Any,
    needs: tuple[str, ...],
    rank: int,
) -> _Unit:
    """Return a task; the parameters are its fields."""
    return _Unit(key, steps, function, work, needs, rank)


@define(eq=False)
class _Task:
    """A unit that is being worked on: how often it was tried, where it failed, and what it waits for."""

    unit: _Unit
    waits: int
    tries: int = 0
    deaths: int = 0
    troubles: dict[str, str] = field(factory=dict)
    member: _Member | None = None
    future: Any = None


def compute_on(
    client: Any,
    units: Sequence[_Unit],
    *,
    known: Mapping[str, Outcome],
    engine: Engine,
    store: Store,
    observe: Observe,
    starts: bool,
    limits: tuple[int, float | None],
) -> tuple[dict[str, Outcome], tuple[str, ...]]:
    """Compute units on the workers of a Client; return outcomes and notes, whatever happens to workers and scheduler.

    Parameters
    ----------
    units
        In an order in which they could be done one after the other.
    known
        Outcomes of the steps that are not among them.
    engine, store
        What each unit is called with.
    observe
        Called by this thread with a step's id and None when it starts, and with its outcome when it ends.
    starts
        Whether anybody wants to know of starts: each is a message.
    limits
        How many workers a task may lose, and for how many seconds there may be none, or None.

    Raises
    ------
    InvalidRecord
        If the Client is asynchronous or closed.
    XphotfnError
        If there are workers and none of them can do the work: they lack xphotfn, have another version of it, cannot
        load the engine, or do not see the store or the data.
    """
    if getattr(client, "asynchronous", False) or client.status != "running":
        raise InvalidRecord(f"scheduler must be a running, not asynchronous Client, got {client!r}")
    files = (i.file.path for unit in units for step in unit.steps for i in step.inputs if i.file is not None)
    with store.scratch("asked") as folder, arrivals_of(client) as arrivals:
        question = question_of(engine, store, folder, files)
        fleet = Fleet(client, question, store.path, arrivals.put)
        dealer = _Dealer(client, fleet, arrivals, engine, store, starts, observe, units, dict(known), *limits)
        try:
            dealer.deal()
        finally:
            dealer.release()
            fleet.dismiss()
    return {step.id: dealer.outcomes[step.id] for unit in units for step in unit.steps}, tuple(dealer.notes)


@define(eq=False)
class _Dealer:
    """Deals units to workers as they become ready, and takes in what comes of them.

    Parameters
    ----------
    client, fleet, arrivals
        The Client, its workers, and where everything arrives.
    engine, store, starts, observe, units, outcomes, most_deaths, no_worker_s
        As for :func:`compute_on`.
    """

    client: Any
    fleet: Fleet
    arrivals: "queue.SimpleQueue[Any]"
    engine: Engine
    store: Store
    starts: bool
    observe: Observe
    units: Sequence[_Unit]
    outcomes: dict[str, Outcome]
    most_deaths: int
    no_worker_s: float | None
    notes: list[str] = field(factory=list)
    flying: dict[str, _Task] = field(factory=dict)
    paused: list[tuple[float, int, _Task]] = field(factory=list)
    ready: list[tuple[int, int, _Task]] = field(factory=list)
    waiting: dict[str, list[_Task]] = field(factory=dict)
    ended: "queue.SimpleQueue[Any]" = field(factory=queue.SimpleQueue)
    places: dict[str, int] = field(init=False)
    left: int = field(init=False)
    times: dict[str, tuple[float, int]] = field(factory=dict)  # seconds, and how many, of each kind of task

    def __attrs_post_init__(self) -> None:
        self.left = len(self.units)
        self.places = {unit.key: place for place, unit in enumerate(self.units)}
        for unit in self.units:
            needs = [n for n in unit.needs if n not in self.outcomes]
            task = _Task(unit, len(needs))
            for need in needs:
                self.waiting.setdefault(need, []).append(task)
            if not needs:
                self._push(task)

    def _push(self, task: _Task) -> None:
        heapq.heappush(self.ready, (-task.unit.rank, self.places[task.unit.key], task))

    def deal(self) -> None:
        """Do all units."""
        Thread(target=collect, args=(self.client, self.ended, self.arrivals), daemon=True).start()
        census_at = asked_at = time.monotonic()
        wake: Any = None
        said = False
        while self.left:
            if self.client.status != "running":
                self._give_up("its Client was closed, or the connection to the scheduler was lost")
                return
            now = time.monotonic()
            if now >= census_at:
                here = self._census()
                census_at = now + _PATIENCE_S
                wake = None if here else wake or self.client.submit(abs, -1, pure=False)  # adaptive clusters see it
            if self.fleet.usable:
                asked_at, said = now, False
            elif now - asked_at > _SAY_AFTER_S and not said:
                said = True
                self._say(f"no worker for {_SAY_AFTER_S:g} s: {self.left} tasks wait")
            if self.no_worker_s is not None and now - asked_at > self.no_worker_s:
                self._give_up(f"there was no worker for {self.no_worker_s:g} s")
                return
            self._resume(now)
            self._submit()
            for item in next_of(self.arrivals, _PATIENCE_S if not self.paused else _PAUSE_S / 4):
                self._take(item)

    def release(self) -> None:
        """Let go of what is left: released, not cancelled, for another run of this Client may want some of it."""
        self.ended.put(None)
        with suppress(Exception):
            for task in self.flying.values():
                task.future.release()

    def _census(self) -> frozenset[str]:
        """See which workers are there, and give what was on those that are gone to others."""
        try:
            here = self.fleet.census()
        except Exception:  # the scheduler is lost, which the Client is about to see
            return frozenset()
        for key, task in list(self.flying.items()):
            if task.member is not None and task.member.address not in here:
                self._land(key)
                task.deaths += 1
                if task.deaths > self.most_deaths:
                    self._fail(task, _died(task.unit, task.deaths, task.member.name), task.member.name)
                else:
                    self._push(task)
        return here

    def _land(self, key: str) -> _Task:
        task = self.flying.pop(key)
        if task.member is not None:
            task.member.busy -= 1
        with suppress(Exception):
            task.future.release()
        return task

    def _resume(self, now: float) -> None:
        while self.paused and self.paused[0][0] <= now:
            self._push(heapq.heappop(self.paused)[2])

    def _submit(self) -> None:
        """Give ready units to workers that have room."""
        resource = getattr(self.engine, "resource", "")
        while self.ready:
            task = self.ready[0][2]
            skipped = _skipped(task.unit, self.outcomes)
            if skipped:
                heapq.heappop(self.ready)
                self._settle(skipped)
                continue
            member = self.fleet.free(resource, frozenset(task.troubles), self._ahead(task.unit))
            if member is None:
                return
            heapq.heappop(self.ready)
            self._fly(task, member, {resource: 1} if member.resources.get(resource) else None)

    def _ahead(self, unit: _Unit) -> int:
        """Return how many tasks such as this one a worker is given ahead of time: none before one has been timed."""
        seconds, timed = self.times.get(unit.steps[0].command.task, (math.inf, 1))
        return int(_AHEAD_S / max(seconds / timed, _AHEAD_S / _MOST_AHEAD))

    def _fly(self, task: _Task, member: _Member, resources: dict[str, int] | None) -> None:
        unit = task.unit
        key = f"{unit.key}-{task.tries}" if task.tries else unit.key
        task.tries += 1
        upstream = [self.outcomes[n] for n in unit.needs]
        token = self.fleet.question.token
        task.member = member
        task.future = self.client.submit(
            on_worker,
            *(token, self.starts, key, unit.function, unit.work, self.engine, self.store, *upstream),
            key=key,
            workers=[member.address],
            priority=unit.rank,
            resources=resources,
            pure=False,
        )
        member.busy += 1
        self.flying[key] = task
        task.future.add_done_callback(self.ended.put)

    def _take(self, item: Any) -> None:
        """Take in what has arrived: a start, answers of workers, or what came of a future."""
        if isinstance(item, Answers):
            said = self.fleet.take(item)
            if said and self.left == len(self.units) and not (self.fleet.usable or self.fleet.asking):
                raise XphotfnError(
                    "no worker of the cluster can run this plan:" + "".join(f"\n  {text}" for text in said)
                )
            for text in said:
                self._say(f"a worker is given no work: {text}")
            if self.fleet.trimming and _TRIMMING not in self.notes:
                self.notes.append(_TRIMMING)
                warnings.warn(SlowWorkers(_TRIMMING), stacklevel=2)
        elif isinstance(item, Result):
            if item.key in self.flying:
                self._take_result(item.key, item.value)
        elif isinstance(item, str) and item in self.flying:
            for step in self.flying[item].unit.steps:
                self.observe(step.id, None)

    def _take_result(self, key: str, value: Any) -> None:
        task = self._land(key)
        address = task.member.address if task.member else ""
        if isinstance(value, NotAsked):
            self.fleet.forget(address)
            self._push(task)
            return
        if isinstance(value, str | BaseException):
            self._fail(task, _reason(task.unit, value), task.member.name if task.member else "")
            return
        outcomes = (value,) if isinstance(value, Outcome) else tuple(value)
        where = task.member.name if task.member else ""
        outcomes = tuple(evolve(o, host=where) if isinstance(o, Failed) else o for o in outcomes)
        trouble = next((o.reason for o in outcomes if isinstance(o, Failed) and o.of_machine), "")
        if not trouble:
            self._went_well(task, address, outcomes)
        elif self._had_trouble(task, address, trouble):
            return
        self._settle(outcomes)

    def _went_well(self, task: _Task, address: str, outcomes: Iterable[Outcome]) -> None:
        self.fleet.went_well(address)
        for other, reason in task.troubles.items():
            text = self.fleet.was_alone(other, reason) if other != address else ""
            if text:
                self._say(text)
        made = [o.seconds for o in outcomes if isinstance(o, Done) and not o.cached]
        if made:
            kind = task.unit.steps[0].command.task
            seconds, timed = self.times.get(kind, (0.0, 0))
            self.times[kind] = (seconds + sum(made), timed + 1)

    def _had_trouble(self, task: _Task, address: str, reason: str) -> bool:
        """Return whether a task that failed by a trouble of its machine is tried again, after a pause."""
        self.fleet.had_trouble(address)
        task.troubles[address] = reason
        count = task.tries - task.deaths
        if count >= _TRIES_ELSEWHERE:
            return False
        at = time.monotonic() + _PAUSE_S * 2 ** (count - 1)
        heapq.heappush(self.paused, (at, self.places[task.unit.key], task))
        return True

    def _fail(self, task: _Task, reason: str, host: str) -> None:
        self._settle([Failed(step=step.id, reason=reason, host=host) for step in task.unit.steps])

    def _settle(self, outcomes: Iterable[Outcome]) -> None:
        """Keep what became of a unit's steps, tell of it, and push what waited for them."""
        self.left -= 1
        for outcome in outcomes:
            self.outcomes[outcome.step] = outcome
            self.observe(outcome.step, outcome)
            for other in self.waiting.pop(outcome.step, ()):
                other.waits -= 1
                if not other.waits:
                    self._push(other)

    def _give_up(self, why: str) -> None:
        """Say of every step that is left that nobody does it."""
        for unit in self.units:
            for step in unit.steps:
                if step.id not in self.outcomes:
                    because = _because(step, self.outcomes)
                    outcome = (
                        Skipped(step=step.id, because=because)
                        if because
                        else Failed(step=step.id, reason=_reason(unit, why))
                    )
                    self.outcomes[step.id] = outcome
                    self.observe(step.id, outcome)
        self.left = 0

    def _say(self, text: str) -> None:
        self.notes.append(text)
        warnings.warn(WorkerRefused(text), stacklevel=2)


def _skipped(unit: _Unit, outcomes: Mapping[str, Outcome]) -> tuple[Skipped, ...]:
    """Return the outcomes of a unit of which every step waits for one that failed; else nothing."""
    found = [(step.id, _because(step, outcomes)) for step in unit.steps]
    return tuple(Skipped(step=s, because=b) for s, b in found) if all(because for _, because in found) else ()


def _because(step: Step, outcomes: Mapping[str, Outcome]) -> str:
    """Return the step that failed first of those that a step waits for, or nothing."""
    for need in step.needs:
        match outcomes.get(need):
            case Failed():
                return need
            case Skipped() as skipped:
                return skipped.because
    return ""


def _died(unit: _Unit, times: int, where: str) -> str:
    return (
        f"{_tasks(unit)}: its worker died each of the {times} times that it was run, at last {where}: does it need "
        "more memory than a worker has, or more time than its job (walltime, --lifetime), or was the job "
        f"preempted or cancelled? See that worker's log; {_AGAIN}"
    )


def _reason(unit: _Unit, problem: BaseException | str) -> str:
    if isinstance(problem, KilledWorker):
        return _died(unit, problem.allowed_failures + 1, problem.last_worker.address)
    what = problem if isinstance(problem, str) else f"{type(problem).__name__}: {problem}"
    return f"{_tasks(unit)}: {what}; {_AGAIN}"


def _tasks(unit: _Unit) -> str:
    return ", ".join(dict.fromkeys(step.command.task for step in unit.steps))
