"""Which engine and which scheduler, and the run itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xphotfn.cli import values
from xphotfn.cli.output import say, wants_progress
from xphotfn.errors import InvalidRecord, SasMissing, XphotfnError

__all__ = ("engine_named", "run_plan")

_LOCAL = ("threads", "synchronous")
_CONNECT_S = 5


def engine_named(name: str) -> Any:
    """Return the engine; ``auto`` takes SAS where it is ready, and says what it took."""
    import xphotfn as xp

    if name == "native":
        say(f"engine: {xp.native_engine().identity}")
        return xp.native_engine()
    if name == "sas":
        return xp.sas_engine()
    try:
        found = xp.sas_engine()
    except SasMissing as error:
        what, _ = error.missing[0]
        say(f"engine: {xp.native_engine().identity} (SAS is not ready: {what})")
        return xp.native_engine()
    say(f"engine: {found.identity}")
    return found


@contextmanager
def scheduler_at(where: str, workers: int | None) -> Iterator[Any]:
    """Give the scheduler of that name, or a client of the one at that address, which is closed afterwards."""
    if workers is not None and where != "threads":
        raise InvalidRecord(f"--workers counts threads of this process and means nothing to --scheduler {where}")
    if where in _LOCAL:
        yield where
        return
    if "://" not in where:
        raise InvalidRecord(f"--scheduler is threads, synchronous or an address as tcp://host:8786, got {where!r}")
    client = _client(where)
    try:
        if not client.scheduler_info()["workers"]:
            raise XphotfnError(f"the scheduler at {where} has no worker: start some with `dask worker {where}`")
        yield client
    finally:
        client.close()


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise XphotfnError('--scheduler tcp://... needs distributed: pip install "xphotfn[distributed]"') from error
    try:
        return Client(address, timeout=f"{_CONNECT_S}s")
    except (OSError, ValueError, TypeError) as error:
        raise XphotfnError(
            f"no dask scheduler answers at {address} within {_CONNECT_S} s: check the address, start one with "
            "`dask scheduler`, or leave --scheduler out"
        ) from error


def run_plan(
    plan: Any,
    *,
    store: Path,
    engine: str,
    workers: int | None,
    scheduler: str,
    tries: int,
    part: str | None = None,
    **_others: Any,
) -> Any:
    """Say what a plan does and run it, or a part of it."""
    import xphotfn as xp

    one = None if part is None else values.part(part)
    say(xp.describe(plan))
    chosen = engine_named(engine)
    with scheduler_at(scheduler, workers) as where:
        run = xp.run(
            plan,
            engine=chosen,
            store=store,
            workers=workers,
            scheduler=where,
            tries=tries,
            progress=wants_progress(),
            part=one,
        )
    for note in run.notes:
        say(f"note: {note}")
    for text in _said_by_searches(run):
        say(f"note: {text}")
    return run


def _said_by_searches(run: Any) -> Iterator[str]:
    """Yield what searches for sources warn of: cameras that are left out, light that fills the field."""
    searches = {step.id for step in run.plan.steps if step.command.task == "xdetect"}
    for outcome in run.done:
        if outcome.step in searches:
            yield from outcome.warnings
