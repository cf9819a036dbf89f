"""Running a plan, and reading a run again."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xphotfn.engines.processes import stopping_at_the_end
from xphotfn.engines.protocol import Engine
from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.graph.plan import Plan
from xphotfn.graph.result import Run
from xphotfn.records.outcome import Done, Outcome
from xphotfn.store.codec import from_plain, to_plain
from xphotfn.store.store import MARKER, Store, open_store

__all__ = ("default_workers", "load_run", "run")


def run(
    plan: Plan,
    *,
    engine: Engine,
    store: Any,
    workers: int | None = None,
    scheduler: Any = "threads",
    progress: bool = True,
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
        Show a progress bar on a terminal.
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
    with stopping_at_the_end(), _progress(len(plan.steps), progress) as observe:
        outcomes = compute(
            plan,
            engine,
            opened,
            scheduler=scheduler,
            workers=workers or default_workers(),
            tries=tries,
            observe=observe,
        )
    result = Run(plan=plan, outcomes=outcomes, store=opened.path, engine=engine.identity)
    opened.write_run(plan.id, to_plain(result))
    return result


def load_run(store: Any) -> Run:
    """Return the last run of a store.

    Parameters
    ----------
    store
        Its folder.

    Raises
    ------
    ProductMissing
        If the folder is no store or holds no run.

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
    folder = Store(store)
    if not Path(folder.path, MARKER).exists():
        raise ProductMissing(f"{folder.path} is no store: give the folder that run(..., store=) wrote to")
    content = folder.last_run()
    if content is None:
        raise ProductMissing(f"the store {folder.path} holds no finished run")
    result: Run = from_plain(content)
    return result


def default_workers() -> int:
    """Return 90 % of the cores that this process may use, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(0.9 * cores))


@contextmanager
def _progress(total: int, shown: bool) -> Iterator[Callable[[str, Outcome], None]]:
    """Give a function that is told of every outcome; it moves a bar where one is wanted."""
    if not shown or total == 0:
        yield lambda _step, _outcome: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="step", disable=None, leave=False) as bar:

        def observe(step: str, outcome: Outcome) -> None:
            bar.set_description(step.split("-")[0])
            if not isinstance(outcome, Done) and not bar.disable:
                bar.write(f"{type(outcome).__name__.lower()}: {getattr(outcome, 'reason', step)}", file=sys.stderr)
            bar.update()

        yield observe
