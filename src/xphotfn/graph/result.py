"""What a run gives: an outcome per step, and the way from there to products."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from operator import attrgetter
from typing import Any, final

from attrs import evolve, field, frozen
from toolz import groupby

from xphotfn.errors import CommandFailed, InvalidRecord
from xphotfn.graph.plan import Plan, PlannedProduct
from xphotfn.html import Html, block, count, details, escape, facts, table
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.fields import items, strings
from xphotfn.records.outcome import Done, Failed, Outcome, Output, Skipped
from xphotfn.store.product_store import Store, product_folder
from xphotfn.store.record_json import json_chunks

__all__ = ("Run", "placed", "raise_for_failures", "record_chunks")

_MOST_FAILURES = 20
_PRE = "white-space:pre-wrap;margin:0.2em 0 0.6em 1em;font-size:0.9em;background:none;color:inherit;border:0;padding:0"


class _Steps(dict[str, tuple[str, str, str]]):
    """Observation, task and files made of each step; a step that the plan does not hold is named by its id."""

    def __missing__(self, step_id: str) -> tuple[str, str, str]:
        return "", step_id, ""


@final
@frozen(kw_only=True, repr=False)
class Run:
    """A plan with what became of each step.

    Parameters
    ----------
    plan
        The plan.
    outcomes
        One per step, in the order of the plan.
    store
        Path of the store.
    engine
        Identity of the engine.
    notes
        What is to be known of the run beside its outcomes.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...] = field(default=(), converter=items)
    store: str
    engine: str
    notes: tuple[str, ...] = field(default=(), converter=strings)

    @property
    def done(self) -> tuple[Done, ...]:
        """Steps that have their products."""
        return tuple(o for o in self.outcomes if isinstance(o, Done))

    @property
    def failed(self) -> tuple[Failed, ...]:
        """Steps whose command failed."""
        return tuple(o for o in self.outcomes if isinstance(o, Failed))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Steps that waited for one that failed."""
        return tuple(o for o in self.outcomes if isinstance(o, Skipped))

    def outputs(self) -> dict[tuple[str, str], Output]:
        """Return the files that were made, by step id and name."""
        return {(done.step, o.name): o for done in self.done for o in done.outputs}

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The fields of the plan by name."""
        return {field.name: field for field in self.plan.fields}

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The energy bands of the plan's products."""
        return tuple(dict.fromkeys(product.band for product in self.plan.products))

    def products(self, field_name: str | None = None) -> Iterator[tuple[PlannedProduct, str, str]]:
        """Yield the products that are there, of one field or all: (product, path, digest); found ones have no digest.

        What belongs to which field is looked up once for a run, so that a loop over the fields of a sample is linear.
        """
        wanted = self.plan.products if field_name is None else self._of_fields.get(field_name, ())
        for product in wanted:
            if product.file is not None:
                yield product, product.file.path, ""
            elif (done := self._done.get(product.step)) is not None:
                for output in done.outputs:
                    if output.name == product.name:
                        yield product, output.path, output.digest

    @cached_property
    def _of_fields(self) -> dict[str, list[PlannedProduct]]:
        of_fields: dict[str, list[PlannedProduct]] = groupby(attrgetter("field_name"), self.plan.products)
        return of_fields

    @cached_property
    def _done(self) -> dict[str, Done]:
        return {outcome.step: outcome for outcome in self.outcomes if isinstance(outcome, Done)}

    def table(self) -> Any:
        """Return an astropy Table of all steps: failed ones first, then skipped ones, then those that are done."""
        from astropy.table import Table

        rank = {Failed: 0, Skipped: 1, Done: 2}
        pairs = sorted(zip(self.plan.steps, self.outcomes, strict=True), key=lambda p: rank[type(p[1])])
        rows = [(s.obs_id, s.command.task, s.command.outputs[0], *_words(o)) for s, o in pairs]
        return Table(rows=rows or None, names=("obs_id", "task", "product", "state", "why"), dtype=(str,) * 5)

    def __str__(self) -> str:
        cached = sum(d.cached for d in self.done)
        return (
            f"Run of {len(self.plan.steps)} steps on {self.engine}: {len(self.done)} done ({cached} were there), "
            f"{len(self.failed)} failed, {len(self.skipped)} skipped; products in {self.store}"
            + "".join(f"\nnote: {note}" for note in self.notes)
        )

    def __repr__(self) -> str:
        return (
            f"Run(steps={len(self.plan.steps)}, done={len(self.done)}, failed={len(self.failed)}, "
            f"skipped={len(self.skipped)}, engine={self.engine!r}, store={self.store!r})"
        )

    def _repr_html_(self) -> str:

        return _run_html(self)


def record_chunks(run: Run) -> Iterator[str]:
    """Yield the record of a run in pieces; it names products relative to the store."""
    outcomes = (_in_store(outcome, "") for outcome in run.outcomes)
    yield from json_chunks(evolve(run, store=".", outcomes=()), outcomes=outcomes)


def placed(run: Run, store: Store) -> Run:
    """Return a run whose products lie in a store, wherever that was when its record was written."""
    return evolve(run, store=store.path, outcomes=[_in_store(outcome, store.path) for outcome in run.outcomes])


def _in_store(outcome: Outcome, store: str) -> Outcome:
    if not isinstance(outcome, Done):
        return outcome
    if not re.fullmatch(r"[0-9a-f]+", outcome.key):
        raise InvalidRecord(f"a step has the key {outcome.key!r}, which names no product of a store")
    folder = f"{store}/{product_folder(outcome.key)}" if store else product_folder(outcome.key)
    return Done(
        step=outcome.step,
        key=outcome.key,
        outputs=[Output(name=o.name, path=f"{folder}/{_file(o.path)}", digest=o.digest) for o in outcome.outputs],
        cached=outcome.cached,
        seconds=outcome.seconds,
        log=f"{folder}/{_file(outcome.log)}" if outcome.log else "",
        warnings=outcome.warnings,
    )


def _file(path: str) -> str:
    """Return the name of a file; PurePath would take most of the time of a large run."""
    return path.rpartition("/")[2]


def _words(outcome: Outcome) -> tuple[str, str]:
    if isinstance(outcome, Done):
        how = "was there already" if outcome.cached else f"made in {outcome.seconds:.2f} s"
        return "done", "; ".join([how, *outcome.warnings])
    if isinstance(outcome, Failed):
        return "failed", f"{outcome.reason} (on {outcome.host})" if outcome.host else outcome.reason
    return "skipped", f"waited for {outcome.because}"


def raise_for_failures(run: Run) -> Run:
    """Return the run if every step has its products, else raise one error that lists what failed.

    Parameters
    ----------
    run
        As :func:`run` returns it.

    Raises
    ------
    CommandFailed
        If a step failed; the products of the others are in the store all the same.

    Examples
    --------
    >>> from xphotfn.graph.plan import Plan
    >>> raise_for_failures(Run(plan=Plan(), store="products", engine="native")).failed
    ()
    """
    if not run.failed:
        return run
    steps = {s.id: s for s in run.plan.steps}
    first = run.failed[0]
    lines = [f"{steps[f.step].obs_id} {steps[f.step].command.outputs[0]}: {f.reason}" for f in run.failed[:10]]
    more = [f"and {len(run.failed) - 10} more: see run.table()"] if len(run.failed) > 10 else []
    raise CommandFailed(
        steps[first.step].command.argv,
        f"{len(run.failed)} of {len(run.plan.steps)} steps failed and {len(run.skipped)} waited for them; the others "
        "are done and kept:\n" + "\n".join(f"  {line}" for line in lines + more),
        tail=first.log,
    )


def _run_html(run: Run) -> str:
    """Return a run as HTML: its summary, failures first with their reason and log, then what waited, then the rest."""
    steps = _Steps((s.id, (s.obs_id, s.command.task, ", ".join(s.command.outputs))) for s in run.plan.steps)
    cached = sum(d.cached for d in run.done)
    title = f"Run of {count(len(run.plan.steps), 'step')} on {run.engine}"
    summary = [
        ("Failed", str(len(run.failed)) if run.failed else "none"),
        ("Skipped", f"{len(run.skipped)}, since what they wait for failed" if run.skipped else "none"),
        ("Done", f"{len(run.done)}, of which {cached} were there already"),
        ("Products in", run.store),
    ]
    failures = [_failure(steps[f.step], f) for f in run.failed[:_MOST_FAILURES]]
    if len(run.failed) > _MOST_FAILURES:
        failures.append(Html(f"<div>and {len(run.failed) - _MOST_FAILURES} more: see run.table()</div>"))
    return block(title, facts(summary), *failures, *_skipped(run, steps), *_done(run, steps), *_warnings(run, steps))


def _failure(step: tuple[str, str, str], outcome: Failed) -> Html:
    obs_id, task, made = step
    sign = '<span style="color:#d9534f" aria-hidden="true">✗</span> '
    log = f'<pre style="{_PRE}">{escape(outcome.log or "nothing was printed")}</pre>'
    would = f'<div style="margin-left:1em">would have made {escape(made)}</div>' if made else ""
    summary = f"{sign}{escape(f'{obs_id} {task}: {outcome.reason}'.strip())}"
    return details(Html(summary), Html(would + log), opened=True)


def _skipped(run: Run, steps: _Steps) -> Iterable[Html]:
    if run.skipped:
        rows = [(*steps[o.step], f"waited for {' '.join(steps[o.because][:2]).strip()}") for o in run.skipped]
        head = ("Observation", "Task", "Would have made", "Why")
        yield details(f"{count(len(rows), 'step')} skipped", table(rows, head), opened=len(rows) <= 10)


def _done(run: Run, steps: _Steps) -> Iterable[Html]:
    tasks: dict[str, list[Done]] = {}
    for outcome in run.done:
        tasks.setdefault(steps[outcome.step][1], []).append(outcome)
    if tasks:
        rows = [
            (task, len(those), sum(d.cached for d in those), f"{sum(d.seconds for d in those):.1f} s")
            for task, those in tasks.items()
        ]
        yield table(rows, ("Task", "Done", "Were there", "Time"))


def _warnings(run: Run, steps: _Steps) -> Iterable[Html]:
    rows = [(*steps[d.step][:2], warning) for d in run.done for warning in d.warnings]
    if rows:
        yield details(count(len(rows), "warning"), table(rows, ("Observation", "Task", "Warning")))
