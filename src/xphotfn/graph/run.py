"""Running a plan, and reading a run again."""

import os
from pathlib import Path
from typing import Any

from xphotfn.engines.processes import stopping_at_the_end
from xphotfn.engines.protocol import Engine
from xphotfn.errors import InvalidFile, InvalidRecord, ProductMissing
from xphotfn.graph.plan import Plan
from xphotfn.graph.progress import Progress, telling
from xphotfn.graph.result import Run
from xphotfn.records.outcome import Done, Failed, Outcome
from xphotfn.store.codec import from_plain, to_json
from xphotfn.store.store import MARKER, Store, digest_bytes, open_store

__all__ = ("default_workers", "load_run", "retry_failed", "run", "runs")

_INTERRUPTED = "not done when the run was interrupted: run it again"


def run(
    plan: Plan,
    *,
    engine: Engine,
    store: Any,
    workers: int | None = None,
    scheduler: Any = "threads",
    progress: Progress = True,
    tries: int = 1,
) -> Run:
    """Run a plan: make what is missing and return what became of every step.

    Parameters
    ----------
    plan
        As the ``plan_*`` functions return it.
    engine
        What executes the commands, such as :func:`native_engine` returns.
    store
        Folder of the products; made if missing. What is there already is used.
    workers
        Threads; default 90 % of the cores that this process may use, at least 1.
    scheduler
        ``"threads"``, ``"synchronous"`` or a ``distributed.Client``.
    progress
        True for a bar on a terminal, False for none, or a function that is given a :class:`StepEvent` whenever a step
        starts or ends. It is called by the thread that called ``run``, on every scheduler; what it raises ends the run.
    tries
        How often to try a command that fails.

    Returns
    -------
    Run
        A failure is a value in it and sinks nothing else: see :func:`raise_for_failures` and ``run.table()``.

    Raises
    ------
    InvalidFile
        If the store cannot be one.
    InvalidRecord
        If an option has no meaning.
    XphotfnError
        If the workers of a Client lack xphotfn, have another version of it, or do not see the store.

    Notes
    -----
    A run that ends early, by Ctrl-C, SIGTERM or an error in ``progress``, ends what it started. Its finished products
    stay, and it is kept in the store as far as it came: the same call again, or :func:`retry_failed` of
    :func:`load_run`, makes only what is missing.

    On a Client, steps of an observation come before those of later ones, and commands of SAS take one unit of the
    resource ``sas`` each where a worker declares it. A worker that dies costs its own tasks only, which dask gives to
    another one; a task that kills every worker it is given to, and a scheduler that is lost, become failures.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.engines.native.engine import native_engine
    >>> from xphotfn.graph.recipes import plan_mosaics
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> done = run(plan, engine=native_engine(), store=tempfile.mkdtemp(), progress=False)
    >>> len(done.done), done.failed
    (2, ())
    """
    from xphotfn.graph.delayed import compute

    if not hasattr(engine, "execute") or not hasattr(engine, "identity"):
        raise InvalidRecord(f"engine must be one such as native_engine() returns, got {engine!r}")
    if (workers is not None and workers < 1) or tries < 1:
        raise InvalidRecord(f"workers and tries must be at least 1, got workers={workers}, tries={tries}")
    opened = open_store(store)
    ended: dict[str, Outcome] = {}
    try:
        with stopping_at_the_end(), telling(plan, progress) as tell:

            def observe(step: str, outcome: Outcome | None) -> None:
                if outcome is not None:
                    ended[step] = outcome
                tell(step, outcome)

            outcomes = compute(
                plan,
                engine,
                opened,
                scheduler=scheduler,
                workers=workers or default_workers(),
                tries=tries,
                observe=observe,
                starts=callable(progress),
            )
    except BaseException as error:
        if ended:
            left = [ended.get(s.id) or Failed(step=s.id, reason=_INTERRUPTED) for s in plan.steps]
            _keep(opened, Run(plan=plan, outcomes=left, store=opened.path, engine=engine.identity))
        if ended or isinstance(error, KeyboardInterrupt):
            error.add_note(f"Finished products are in {opened.path}: the same run() again makes only what is missing.")
        raise
    return _keep(opened, Run(plan=plan, outcomes=outcomes, store=opened.path, engine=engine.identity))


def _keep(store: Store, result: Run) -> Run:
    """Keep a run in its store; where nothing was made, one that may only be read will do."""
    try:
        store.write_run(f"{result.plan.id}-{digest_bytes(result.engine.encode())[:8]}", to_json(result))
    except InvalidFile:
        if not all(isinstance(outcome, Done) and outcome.cached for outcome in result.outcomes):
            raise
    return result


def retry_failed(
    run: Run,
    *,
    engine: Engine,
    workers: int | None = None,
    scheduler: Any = "threads",
    progress: Progress = True,
    tries: int = 1,
) -> Run:
    """Run again what failed, and what was skipped because of it; the rest is found in the store.

    Parameters
    ----------
    run
        As :func:`run` or :func:`load_run` returns it.
    engine
        Of the same identity as the run's: SAS with more time, say.
    workers, scheduler, progress, tries
        As for :func:`run`.

    Returns
    -------
    Run
        The whole plan again, with what became of every step.

    Raises
    ------
    InvalidRecord
        If the engine's products are not those of the run, or an option has no meaning.
    InvalidFile
        If the run's store is no store any more.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.engines.native.engine import native_engine
    >>> from xphotfn.graph.recipes import plan_mosaics
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> plan = plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))
    >>> import xphotfn as xp
    >>> first = xp.run(plan, engine=native_engine(), store=tempfile.mkdtemp(), progress=False)
    >>> [step.cached for step in retry_failed(first, engine=native_engine(), progress=False).done]
    [True, True]
    """
    if getattr(engine, "identity", None) != run.engine:
        raise InvalidRecord(
            f"the run was made by {run.engine}, and engine is {getattr(engine, 'identity', engine)}, whose products "
            "are not mixed with those: run(run.plan, ...) makes all of them with another engine"
        )
    return _run(
        run.plan,
        engine=engine,
        store=run.store,
        workers=workers,
        scheduler=scheduler,
        progress=progress,
        tries=tries,
    )


def load_run(store: Any, *, plan: Plan | None = None) -> Run:
    """Return the last run of a store.

    Parameters
    ----------
    store
        Its folder.
    plan
        Return the last run of this plan.

    Raises
    ------
    ProductMissing
        If the folder is no store or holds no such run.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.engines.native.engine import native_engine
    >>> from xphotfn.graph.plan import Plan
    >>> store = tempfile.mkdtemp()
    >>> first = run(Plan(), engine=native_engine(), store=store, progress=False)
    >>> load_run(store) == first
    True
    """
    content = next(_existing(store).read_runs(plan.id if plan else ""), None)
    if content is None:
        raise ProductMissing(f"the store {store} holds no run" + (" of that plan" if plan else ""))
    result: Run = from_plain(content)
    return result


def runs(store: Any) -> tuple[Run, ...]:
    """Return the runs that a store keeps, the last first: one for each plan and engine.

    Parameters
    ----------
    store
        Its folder.

    Raises
    ------
    ProductMissing
        If the folder is no store.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.engines.native.engine import native_engine
    >>> from xphotfn.graph.plan import Plan
    >>> store = tempfile.mkdtemp()
    >>> first = run(Plan(), engine=native_engine(), store=store, progress=False)
    >>> runs(store) == (first,)
    True
    """
    return tuple(from_plain(content) for content in _existing(store).read_runs())


def _existing(store: Any) -> Store:
    folder = store if isinstance(store, Store) else Store(store)
    if not Path(folder.path, MARKER).exists():
        raise ProductMissing(f"{folder.path} is no store: give the folder that run(..., store=) wrote to")
    return folder


def default_workers() -> int:
    """Return 90 % of the cores that this process may use, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(0.9 * cores))


_run = run  # for retry_failed, whose parameter has that name
