"""Running a plan, and reading a run again."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve

from xphotfn.commands.command import Command
from xphotfn.commands.parameters import TASKS, checked, parameters_of
from xphotfn.engines.processes import stopping_at_the_end
from xphotfn.engines.protocol import Engine
from xphotfn.errors import InvalidFile, InvalidRecord, ProductMissing, XphotfnError
from xphotfn.graph.joined_runs import join_runs
from xphotfn.graph.plan import Plan
from xphotfn.graph.progress import Progress, telling
from xphotfn.graph.result import Run, placed, record_chunks
from xphotfn.graph.shares import check_part, joint_plan, part_of
from xphotfn.records.fields import of_kind
from xphotfn.records.observation import FoundFile
from xphotfn.records.outcome import Done, Failed, Outcome
from xphotfn.records.several import Several
from xphotfn.store.product_store import Store, StoreLike, digest_bytes, open_store, there
from xphotfn.store.record_json import from_plain
from xphotfn.store.run_record import RunRecord, read_run, run_files
from xphotfn.typing import SchedulerLike

__all__ = ("default_workers", "load_run", "read_record", "retry_failed", "run", "runs")

_ENVIRONMENT = ("SAS_CCF", "SAS_ODF")
_INTERRUPTED = "not done when the run was interrupted: run it again"


def run(
    plan: Plan,
    *,
    engine: Engine,
    store: StoreLike,
    workers: int | None = None,
    scheduler: SchedulerLike = "threads",
    progress: Progress = True,
    tries: int = 1,
    part: tuple[int, int] | None = None,
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
    part
        ``(i, n)``: only the ``i``-th of ``n`` parts, from 1, for jobs that share nothing but the store, such as a
        batch system's job array. Observations are dealt to the parts in the order of the plan. What several parts
        make together, a mosaic say, is made by the part that finds all it needs there: the one that ends last.

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
        If no worker of a Client can do it: they lack xphotfn, have another version of it, or do not see the store.

    Notes
    -----
    A run that ends early, by Ctrl-C, SIGTERM or an error in ``progress``, ends what it started; native commands that
    are under way in threads come to their end. Finished products stay, and it is kept in the store as far as it came:
    the same call again, or :func:`retry_failed` of :func:`load_run`, makes only what is missing.

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
    if part is not None:
        options: dict[str, Any] = {"workers": workers, "scheduler": scheduler, "progress": progress, "tries": tries}
        return _run_part(plan, check_part(part), engine, store, options)
    from xphotfn.graph.delayed import compute, found_after

    if not hasattr(engine, "execute") or not hasattr(engine, "identity"):
        raise InvalidRecord(f"engine must be one such as native_engine() returns, got {engine!r}")
    if (workers is not None and workers < 1) or tries < 1:
        raise InvalidRecord(f"workers and tries must be at least 1, got workers={workers}, tries={tries}")
    opened = open_store(store)
    record = RunRecord(opened.path, f"{plan.id}-{digest_bytes(engine.identity.encode())[:8]}", len(plan.steps))
    ended: dict[str, Outcome] = {}
    begun: set[str] = set()

    def so_far() -> Run:
        left = [ended.get(s.id) or Failed(step=s.id, reason=_INTERRUPTED, interrupted=True) for s in plan.steps]
        return Run(plan=plan, outcomes=left, store=opened.path, engine=engine.identity)

    def kept() -> Iterator[str]:
        yield from record_chunks(so_far())

    record.begin(kept())
    try:
        with stopping_at_the_end() as label, telling(plan, progress) as tell:

            def observe(step: str, outcome: Outcome | None) -> None:
                begun.add(step)
                if outcome is not None:
                    ended[step] = outcome
                    record.add(outcome)
                tell(step, outcome)

            outcomes, notes = compute(
                plan,
                engine,
                opened,
                scheduler=scheduler,
                workers=workers or default_workers(),
                tries=tries,
                observe=observe,
                starts=callable(progress),
                label=label,
            )
    except BaseException as error:
        ended |= found_after([s for s in plan.steps if s.id in begun and s.id not in ended], ended, engine, opened)
        if ended:
            record.end(kept())
        if ended or isinstance(error, KeyboardInterrupt):
            error.add_note(f"Finished products are in {opened.path}: the same again makes only what is missing.")
        raise
    result = Run(plan=plan, outcomes=outcomes, store=opened.path, engine=engine.identity, notes=notes)
    record.end(record_chunks(result))
    if record.problem and not all(isinstance(o, Done) and o.cached for o in outcomes):
        return evolve(result, notes=[*notes, f"the record of this run is not kept, its products are: {record.problem}"])
    return result


def _run_part(plan: Plan, part: tuple[int, int], engine: Engine, store: Any, options: dict[str, Any]) -> Run:
    """Run a part of a plan, then what several parts make together where this is the part that ends last."""
    from xphotfn.graph.delayed import products_there

    own = run(part_of(plan, part), engine=engine, store=store, **options)
    opened = open_store(store)
    joint = joint_plan(plan, part[1], lambda steps: products_there(steps, engine, opened))
    if not joint.steps:
        return own
    return join_runs([run(joint, engine=engine, store=store, **options), own])


def retry_failed(
    run: Run,
    *,
    engine: Engine,
    workers: int | None = None,
    scheduler: SchedulerLike = "threads",
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


def load_run(store: StoreLike, *, plan: Plan | None = None) -> Run:
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
    InvalidFile
        If the record of the run is damaged.

    Notes
    -----
    A store may be moved or copied: a run names its products relative to it.

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
    folder = there(store)
    path = next(iter(run_files(folder.path, plan.id if plan else "")), None)
    if path is None:
        raise ProductMissing(f"the store {store} holds no run" + (" of that plan" if plan else ""))
    return read_record(path, folder)


def runs(store: StoreLike) -> tuple[Run, ...]:
    """Return the runs that a store keeps, the last first: one for each plan and engine.

    Parameters
    ----------
    store
        Its folder.

    Raises
    ------
    ProductMissing
        If the folder is no store.
    InvalidFile
        If the record of every run is damaged; where others are whole, a damaged one is left out with a warning.

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
    folder = there(store)
    found, damaged = [], []
    for path in run_files(folder.path):
        try:
            found.append(read_record(path, folder))
        except InvalidFile as error:
            damaged.append(error)
    if damaged and not found:
        raise damaged[0]
    for problem in damaged:
        warnings.warn(f"left out: {problem}", UserWarning, stacklevel=2)
    return Several(found)


def read_record(path: Path, store: Store) -> Run:
    """Return a run from its record; its products are where the store lies now."""
    content = read_run(path)
    try:
        run: Run = from_plain(content)
        for step in run.plan.steps:
            _believed(step.command)
        _check_kinds(run)
        return placed(run, store)
    except (XphotfnError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidFile(
            str(path), f"is no record of a run ({error}): delete it; the same run() finds all that was made"
        ) from error


def _check_kinds(run: Run) -> None:
    """Refuse values of another kind where a record would take them as they are.

    Raises
    ------
    InvalidRecord
        If a found file is none, or what is true or false is neither.
    """
    found = [product.file for product in run.plan.products]
    for file in found + [item.file for step in run.plan.steps for item in step.inputs]:
        if file is not None:
            of_kind(file, FoundFile, "find_observations(folder)")
    for outcome in run.outcomes:
        flag = getattr(outcome, "cached", False)
        if not isinstance(flag, bool):
            raise InvalidRecord(f"Done.cached must be true or false, got {flag!r}")


def _believed(command: Command) -> None:
    """Refuse a command that no plan holds: a record is a file that anybody may have written, and it can be run again.

    Raises
    ------
    InvalidRecord
        If its task, a parameter or a variable of its environment is not one that plans use.
    """
    if command.task not in TASKS:
        raise InvalidRecord(f"it holds the command {command.task!r}, which is no task of a plan")
    checked(command)
    for parameter in parameters_of(command.task):
        names = command.parameter(parameter.name, "").split() if parameter.role == "output" else []
        if not set(names) <= set(command.outputs):
            raise InvalidRecord(f"its {command.task} writes {parameter.name}={' '.join(names)}, which is no product")
    for name, _ in command.env:
        if name not in _ENVIRONMENT:
            raise InvalidRecord(f"its {command.task} sets {name}; a plan sets only {', '.join(_ENVIRONMENT)}")


def default_workers() -> int:
    """Return 90 % of the cores that this process may use, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(0.9 * cores))


_run = run  # for retry_failed, whose parameter has that name
