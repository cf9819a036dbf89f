"""The only module that knows dask: a plan as one graph layer, and the schedulers that run it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from operator import getitem
from typing import Any

from dask.callbacks import Callback
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

try:
    from dask.task_spec import Task, TaskRef
except ImportError:  # dask before 2026 keeps them in a private module
    from dask._task_spec import Task, TaskRef

from xphotfn.engines.protocol import Engine
from xphotfn.errors import InvalidRecord
from xphotfn.graph.plan import Plan, Step
from xphotfn.records.outcome import Failed, Outcome
from xphotfn.store.kernel import Work, make, make_together
from xphotfn.store.store import Store, digest_bytes, open_store

__all__ = ("compute", "keys_of", "to_delayed")

Observe = Callable[[str, Outcome], None]


def keys_of(plan: Plan, engine: Engine, store: Store) -> dict[str, str]:
    """Return the dask key of each step: a digest of engine, store and step, known before anything has run."""
    base = f"{engine.identity}\0{store.path}\0".encode()
    return {s.id: f"{s.command.task}-{digest_bytes(base, s.id.encode())}" for s in plan.steps}


def _work(step: Step, tries: int) -> Work:
    return Work(
        step=step.id,
        command=step.command,
        tries=tries,
        found=[(i.name, i.file) for i in step.inputs if i.file is not None],
        made=[(i.name, i.step) for i in step.inputs if i.step],
    )


def _layer(plan: Plan, engine: Engine, store: Store, tries: int) -> dict[str, Any]:
    """Return one task per step."""
    keys = keys_of(plan, engine, store)
    return {
        keys[s.id]: Task(keys[s.id], make, _work(s, tries), engine, store, *(TaskRef(keys[n]) for n in s.needs))
        for s in plan.steps
    }


def _layer_in_passes(plan: Plan, engine: Engine, store: Store, tries: int) -> dict[str, Any]:
    """Return one task per step; steps that read one event list share one pass over it, where the engine can."""
    layer = _layer(plan, engine, store, tries)
    if not hasattr(engine, "execute_many"):
        return layer
    keys = keys_of(plan, engine, store)
    for steps in _passes(plan):
        together = f"together-{digest_bytes(*(keys[s.id].encode() for s in steps))}"
        needs = dict.fromkeys(keys[n] for s in steps for n in s.needs)
        works = tuple(_work(s, tries) for s in steps)
        layer[together] = Task(together, make_together, works, engine, store, *(TaskRef(key) for key in needs))
        for number, step in enumerate(steps):
            layer[keys[step.id]] = Task(keys[step.id], getitem, TaskRef(together), number)
    return layer


def _passes(plan: Plan) -> list[list[Step]]:
    """Return the groups of evselect or eexpmap steps of one event list, those of two steps or more."""
    groups: dict[Any, list[Step]] = {}
    for step in plan.steps:
        if step.command.task in ("evselect", "eexpmap"):
            shared = tuple(i for i in step.inputs if i.name not in _own_inputs(step))
            groups.setdefault((step.command.task, shared), []).append(step)
    return [steps for steps in groups.values() if len(steps) > 1]


def _own_inputs(step: Step) -> tuple[str, ...]:
    """Return the inputs that differ from band to band: the image whose exposure map is made."""
    return (step.command.parameter("imageset"),) if step.command.task == "eexpmap" else ()


def to_delayed(plan: Plan, *, engine: Engine, store: Any) -> dict[str, Delayed]:
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
    opened = open_store(store)
    name = f"xphotfn-{plan.id}"
    layer = MaterializedLayer(_layer(plan, engine, opened, 1))
    graph = HighLevelGraph({name: layer}, {name: set()})
    return {step: Delayed(key, graph, layer=name) for step, key in keys_of(plan, engine, opened).items()}


def compute(
    plan: Plan, engine: Engine, store: Store, *, scheduler: Any, workers: int, tries: int, observe: Observe
) -> tuple[Outcome, ...]:
    """Run every step of a plan and return its outcomes in the order of the steps.

    Parameters
    ----------
    scheduler
        ``threads``, ``synchronous`` or a distributed Client.
    workers
        Number of threads; a Client has its own.
    observe
        Called with the step's id and its outcome as each ends.

    Raises
    ------
    InvalidRecord
        If the scheduler is none of these.
    """
    if not plan.steps:
        return ()
    layer = _layer_in_passes(plan, engine, store, tries)
    keys = keys_of(plan, engine, store)
    if scheduler in ("threads", "synchronous", "sync"):
        results = _local(layer, list(keys.values()), scheduler, workers, _by_key(observe, keys))
    elif hasattr(scheduler, "scheduler_info"):
        results = _distributed(layer, keys, scheduler, observe)
    else:
        raise InvalidRecord(f'scheduler must be "threads", "synchronous" or a distributed Client, got {scheduler!r}')
    return tuple(results)


def _by_key(observe: Observe, keys: Mapping[str, str]) -> Observe:
    steps = {key: step for step, key in keys.items()}
    return lambda key, outcome: observe(steps[key], outcome) if key in steps else None


def _local(
    layer: Mapping[str, Any], keys: Sequence[str], scheduler: str, workers: int, observe: Observe
) -> Sequence[Outcome]:
    from dask.local import get_sync
    from dask.threaded import get

    lock = threading.Lock()

    def posttask(key: str, result: Any, _dsk: Any, _state: Any, _worker: Any) -> None:
        with lock:
            observe(key, result)

    with Callback(posttask=posttask):
        if scheduler == "threads":
            results: Sequence[Outcome] = get(dict(layer), list(keys), num_workers=workers)
        else:
            results = get_sync(dict(layer), list(keys))
    return results


def _distributed(layer: Mapping[str, Any], keys: Mapping[str, str], client: Any, observe: Observe) -> Sequence[Outcome]:
    from distributed import as_completed

    steps = {key: step for step, key in keys.items()}
    graph = HighLevelGraph({"xphotfn": MaterializedLayer(dict(layer))}, {"xphotfn": set()})
    futures = client.compute([Delayed(key, graph, layer="xphotfn") for key in keys.values()])
    outcomes: dict[str, Outcome] = {}
    for future in as_completed(futures):
        step = steps[future.key]
        try:
            outcomes[step] = future.result()
        except Exception as error:
            outcomes[step] = Failed(step=step, reason=f"{type(error).__name__}: {error}")
        observe(step, outcomes[step])
    return [outcomes[step] for step in keys]
