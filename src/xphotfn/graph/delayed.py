"""The only module that knows dask: a plan as one graph layer, and the schedulers that run it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from operator import getitem
from typing import Any, NamedTuple

import dask
from dask.callbacks import Callback
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.utils import parse_timedelta

try:
    from dask.task_spec import Task, TaskRef
except ImportError:  # dask before 2026 keeps them in a private module
    from dask._task_spec import Task, TaskRef

from toolz import groupby, partition_all

from xphotfn.commands.parameters import TASKS
from xphotfn.commands.step import Step
from xphotfn.engines.processes import end
from xphotfn.engines.protocol import Engine
from xphotfn.errors import InvalidRecord
from xphotfn.graph.plan import Plan
from xphotfn.records.outcome import Done, Outcome
from xphotfn.store.kernel import Work, finished, labelled_call, make, make_together
from xphotfn.store.product_store import Store, StoreLike, digest_bytes, open_store

__all__ = ("compute", "found_after", "products_there", "to_delayed")

Observe = Callable[[str, Outcome | None], None]

_AT_ONCE = 10_000  # steps of a graph: dask holds some kB of each until all are done


def keys_of(plan: "Plan | _Steps", engine: Engine, store: Store) -> dict[str, str]:
    """Return the dask key of each step: a digest of engine, store and step, known before anything has run."""
    base = f"{engine.identity}\0{store.path}\0".encode(errors="surrogateescape")  # paths may be no text
    return {s.id: f"{s.command.task}-{digest_bytes(base, s.id.encode())}" for s in plan.steps}


def _work(step: Step, tries: int) -> Work:
    return Work(
        step=step.id,
        command=step.command,
        tries=tries,
        found=[(i.name, i.file) for i in step.inputs if i.file is not None],
        made=[(i.name, i.step) for i in step.inputs if i.step],
    )


def priorities(plan: "Plan | _Steps") -> dict[str, int]:
    """Return the priority of each step, by id: an observation's steps come before those of later observations.

    So its files are read while they are warm, its products exist early, and what joins observations runs as soon as
    it can. Higher is sooner.
    """
    order: dict[str, int] = {}
    return {
        s.id: 1 if s.is_mosaic else -order.setdefault(s.obs_id, len(order))
        for s in plan.steps
    }  # fmt: skip


class _Job(NamedTuple):
    """What is to be run: a plan but for the steps whose outcomes are known, and whom to tell."""

    plan: "Plan | _Steps"
    engine: Engine
    store: Store
    tries: int
    known: Mapping[str, Outcome]
    observe: Observe
    starts: bool = True
    label: str = ""

    @property
    def keys(self) -> dict[str, str]:
        """The dask key of each step that is not known."""
        keys = keys_of(self.plan, self.engine, self.store)
        return {step: key for step, key in keys.items() if step not in self.known}

    def task(self, key: str, function: Any, work: Any, needs: Iterable[str], keys: Mapping[str, str], via: Any) -> Any:
        """Return the task that calls ``function``, directly or by ``via``, with the outcomes of what it needs."""
        upstream = [self.known[n] if n in self.known else TaskRef(keys[n]) for n in needs]
        call = (via, key, function) if via else (function,)
        return Task(key, *call, work, self.engine, self.store, *upstream)


def _layer(job: _Job, via: Any) -> dict[str, Any]:
    """Return one task for each step that is not known to be done.

    Parameters
    ----------
    via
        None, or a function that is to call a task's own function: it is given the task's key, that function and its
        arguments.
    """
    keys = job.keys
    return {
        keys[s.id]: job.task(keys[s.id], make, _work(s, job.tries), s.needs, keys, via)
        for s in job.plan.steps
        if s.id in keys
    }


def _layer_in_passes(job: _Job, via: Any) -> dict[str, Any]:
    """Return one task per step; steps that read one event list share one pass over it, where the engine can."""
    layer = _layer(job, via)
    if not hasattr(job.engine, "execute_many"):
        return layer
    keys = job.keys
    for steps in _passes([s for s in job.plan.steps if s.id in keys]):
        together = f"together-{digest_bytes(*(keys[s.id].encode() for s in steps))}"
        needs = dict.fromkeys(n for s in steps for n in s.needs)
        works = tuple(_work(s, job.tries) for s in steps)
        layer[together] = job.task(together, make_together, works, needs, keys, via)
        for number, step in enumerate(steps):
            layer[keys[step.id]] = Task(keys[step.id], getitem, TaskRef(together), number)
    return layer


def _steps_of_tasks(layer: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the steps that each task of a layer executes; one that only takes a result out of a pass has none."""
    executed: dict[str, list[str]] = {}
    for step, key in keys.items():
        task = layer[key]
        executed.setdefault(next(iter(task.dependencies)) if task.func is getitem else key, []).append(step)
    return {key: tuple(steps) for key, steps in executed.items()}


def _passes(steps: Sequence[Step]) -> list[list[Step]]:
    """Return the groups of steps that one pass over an event list can make, those of two steps or more."""
    return [group for group in groupby(_shared, filter(_shared, steps)).values() if len(group) > 1]


def _shared(step: Step) -> tuple[Any, ...]:
    """Return what steps of one pass have in common: task and inputs; empty of a task that is executed alone."""
    task = TASKS.get(step.command.task)
    if task is None or not task.together:
        return ()
    own = [step.command.parameter(name) for name in task.own_inputs]
    return (task.name, *(i for i in step.inputs if i.name not in own))


def to_delayed(plan: Plan, *, engine: Engine, store: StoreLike) -> dict[str, Delayed]:
    """Return the plan as dask Delayed objects, one per step, to compose with other dask graphs.

    Parameters
    ----------
    plan
        The plan.
    engine
        Such as :func:`native_engine` returns.
    store
        Folder of the products; made if missing.

    Returns
    -------
    dict
        By step id. Each computes to the step's outcome: Done, Failed or Skipped.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.engines.native.engine import native_engine
    >>> from xphotfn.graph.recipes import plan_mosaics
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> delayed = to_delayed(plan, engine=native_engine(), store=tempfile.mkdtemp())
    >>> type(delayed[plan.steps[0].id].compute(scheduler="synchronous")).__name__
    'Done'
    """
    job = _Job(plan, engine, open_store(store), 1, {}, lambda _step, _outcome: None)
    layer = _layer(job, labelled_call)
    handles = _handles(layer, list(job.keys.values()), _annotations(job, _steps_of_tasks(layer, job.keys)))
    return dict(zip(job.keys, handles, strict=True))


def _annotations(job: _Job, executed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return what dask's scheduler is told of the tasks, over what ``dask.annotate`` says around the call."""
    ranks = priorities(job.plan)
    of_keys = {key: ranks[step] for step, key in job.keys.items()}
    of_keys |= {key: ranks[steps[0]] for key, steps in executed.items()}
    return {**dask.get_annotations(), "priority": partial(_of_key, of_keys)}


def _of_key(values: Mapping[str, int], key: str) -> int:
    return values.get(key, 0)


def _handles(layer: dict[str, Any], keys: Sequence[str], annotations: Mapping[str, Any]) -> list[Delayed]:
    """Return a Delayed for each key of one layer."""
    name = f"xphotfn-{digest_bytes(*(key.encode() for key in layer))}"
    graph = HighLevelGraph({name: MaterializedLayer(layer, annotations=dict(annotations))}, {name: set()})
    return [Delayed(key, graph, layer=name) for key in keys]


def compute(
    plan: Plan,
    engine: Engine,
    store: Store,
    *,
    scheduler: Any,
    workers: int,
    tries: int,
    observe: Observe,
    starts: bool = True,
    label: str = "",
) -> tuple[tuple[Outcome, ...], tuple[str, ...]]:
    """Run every step of a plan and return its outcomes in the order of the steps, and notes.

    Parameters
    ----------
    scheduler
        ``threads``, ``synchronous`` or a distributed Client.
    workers
        Number of threads; a Client has its own.
    observe
        Called with a step's id and None when it starts, and with its outcome when it ends; always by this thread.
    starts
        Whether anybody wants to know of starts: on a cluster each is a message.
    label
        Name by which the processes that it starts here can be ended.

    Raises
    ------
    InvalidRecord
        If the scheduler is none of these.
    XphotfnError
        If no worker of a Client can run it: they lack xphotfn, have another version, or do not see the store.
    """
    on_client = hasattr(scheduler, "scheduler_info")
    if not on_client and scheduler not in ("threads", "synchronous", "sync"):
        raise InvalidRecord(f'scheduler must be "threads", "synchronous" or a distributed Client, got {scheduler!r}')
    known = finished((_work(step, tries) for step in plan.steps), engine, store)
    notes: tuple[str, ...] = ()
    for step, outcome in known.items():
        observe(step, outcome)
    if len(known) < len(plan.steps):
        job = _Job(plan, engine, store, tries, known, observe, starts, label)
        made, notes = _on_client(job, scheduler) if on_client else (_here(job, scheduler, workers), ())
        known = known | made
    return tuple(known[step.id] for step in plan.steps), notes


def products_there(plan: Plan, engine: Engine, store: Store) -> frozenset[str]:
    """Return the steps of a plan whose products are in the store; files are read whose digests are not known."""
    return frozenset(finished((_work(step, 1) for step in plan.steps), engine, store, reading=True))


def found_after(
    steps: Iterable[Step], ended: Mapping[str, Outcome], engine: Engine, store: Store
) -> dict[str, Outcome]:
    """Return the outcomes of steps that were under way when a run was stopped, and have their products all the same."""
    done = {step: outcome for step, outcome in ended.items() if isinstance(outcome, Done)}
    return finished((_work(step, 1) for step in steps), engine, store, known=done, reading=True)


@contextmanager
def _threads(workers: int, label: str) -> Iterator[ThreadPoolExecutor]:
    """Give threads that have all ended when the block ends; if that is early, the processes that they wait for too."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    except BaseException:
        end(label)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _as_part_of(label: str, _key: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``function(*arguments)``; its processes end with the run of that label."""
    return labelled_call(label, function, *arguments)


def _here(job: _Job, scheduler: str, workers: int) -> dict[str, Outcome]:
    """Run the steps that are not known on a scheduler of this process, of a very long plan some after the others."""
    outcomes = dict(job.known)
    left = [step for step in job.plan.steps if step.id not in outcomes]
    for some in partition_all(_AT_ONCE, left):
        outcomes |= _some_here(job._replace(plan=_Steps(some), known=outcomes), scheduler, workers)
    return outcomes


class _Steps(NamedTuple):
    """Some steps of a plan, of which others may be missing."""

    steps: tuple[Step, ...]


def _some_here(job: _Job, scheduler: str, workers: int) -> dict[str, Outcome]:
    from dask.local import get_sync
    from dask.threaded import get

    keys, layer = job.keys, _layer_in_passes(job, partial(_as_part_of, job.label))
    executed = _steps_of_tasks(layer, keys)

    def pretask(key: str, _dsk: Any, _state: Any) -> None:
        for step in executed.get(key, ()):
            job.observe(step, None)

    def posttask(key: str, result: Any, _dsk: Any, _state: Any, _worker: Any) -> None:
        outcomes = (result,) if isinstance(result, Outcome) else result
        for step, outcome in zip(executed.get(key, ()), outcomes, strict=False):
            job.observe(step, outcome)

    with Callback(pretask=pretask, posttask=posttask):
        if scheduler == "threads":
            with _threads(workers, job.label) as pool:
                results = get(layer, list(keys.values()), pool=pool)
        else:
            results = get_sync(layer, list(keys.values()))
    return dict(zip(keys, results, strict=True))


def _on_client(job: _Job, client: Any) -> tuple[dict[str, Outcome], tuple[str, ...]]:
    """Run the steps that are not known on the workers of a distributed Client; return outcomes and notes."""
    from xphotfn.graph import cluster

    return cluster.compute_on(
        client,
        _units(job, cluster.unit_of),
        known=job.known,
        engine=job.engine,
        store=job.store,
        observe=job.observe,
        starts=job.starts,
        limits=(dask.config.get("distributed.scheduler.allowed-failures", 3), _no_worker_s()),
    )


def _no_worker_s() -> float | None:
    """Return for how long dask is told to wait for workers, in s; None for ever."""
    said = dask.config.get("distributed.scheduler.no-workers-timeout", None)
    return None if said is None else float(parse_timedelta(said))


def _units(job: _Job, unit: Any) -> list[Any]:
    """Return the tasks of the steps that are not known: one for each pass over an event list or single step."""
    keys, ranks = job.keys, priorities(job.plan)
    steps = [s for s in job.plan.steps if s.id in keys]
    groups = _passes(steps) if hasattr(job.engine, "execute_many") else []
    together = {s.id: tuple(group) for group in groups for s in group}
    units: dict[tuple[Step, ...], Any] = {}
    for step in steps:
        of = together.get(step.id, (step,))
        if of in units:
            continue
        works = tuple(_work(s, job.tries) for s in of)
        alone = len(of) == 1
        units[of] = unit(
            keys[step.id] if alone else f"together-{digest_bytes(*(keys[s.id].encode() for s in of))}",
            of,
            make if alone else make_together,
            works[0] if alone else works,
            tuple(dict.fromkeys(n for s in of for n in s.needs)),
            ranks[step.id],
        )
    return list(units.values())
