"""The steps of a run as a report shows them, and the part of a run that belongs to one field."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

from toolz import groupby, unique

from xphotfn.commands.shell import shell_line
from xphotfn.commands.step import Step
from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.graph.plan import Plan
from xphotfn.graph.result import Run
from xphotfn.records.outcome import Done, Failed, Outcome, Skipped
from xphotfn.reports.page_records import StepReport
from xphotfn.store.explanation import read_manifest

__all__ = ("parts_of", "step_reports")

LOG_BYTES = 4000
_OBS_ID = re.compile(r"[0-9]{10}")


def parts_of(run: Run) -> Iterator[Run]:
    """Yield the part of a run that belongs to each of its fields: its products and the steps that they come from.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_run
    >>> [(part.plan.fields[0].name, len(part.done)) for part in parts_of(example_run())]
    [('example', 2)]
    """
    steps = {s.id: s for s in run.plan.steps}
    places = {step_id: place for place, step_id in enumerate(steps)}
    outcomes = {o.step: o for o in run.outcomes}
    products = groupby(attrgetter("field_name"), run.plan.products)
    about = _by_observation(run.plan.notes)
    for field in run.plan.fields:
        own = products.get(field.name, [])
        needed = _needed([p.step for p in own if p.step], steps)
        ordered = [steps[step_id] for step_id in sorted(needed, key=places.__getitem__)]
        notes = unique(chain.from_iterable(about.get(obs_id, ()) for obs_id in field.obs_ids))
        yield Run(
            plan=Plan(steps=ordered, fields=(field,), products=own, notes=notes),
            outcomes=[outcomes[s.id] for s in ordered if s.id in outcomes],
            store=run.store,
            engine=run.engine,
        )


def _needed(wanted: Iterable[str], steps: Mapping[str, Step]) -> set[str]:
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        step_id = waiting.pop()
        if step_id not in found:
            found.add(step_id)
            waiting += steps[step_id].needs
    return found


def _by_observation(notes: Iterable[str]) -> dict[str, list[str]]:
    """Return the notes by the ObsIDs that they name."""
    about: dict[str, list[str]] = {}
    for note in notes:
        for obs_id in dict.fromkeys(_OBS_ID.findall(note)):
            about.setdefault(obs_id, []).append(note)
    return about


def step_reports(run: Run) -> tuple[StepReport, ...]:
    """Return every step of a run with what became of it, those that are not done first.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_run
    >>> [(s.task, s.state, len(s.inputs)) for s in step_reports(example_run())]
    [('emosaic', 'done', 1), ('emosaic', 'done', 1)]
    """
    outcomes = {o.step: o for o in run.outcomes}
    steps = {s.id: s for s in run.plan.steps}
    shown = [_step_report(s, outcomes.get(s.id), steps) for s in run.plan.steps]
    rank = {"failed": 0, "skipped": 1, "not run": 2, "done": 3}
    return tuple(sorted(shown, key=lambda s: rank[s.state]))


def _step_report(step: Step, outcome: Outcome | None, steps: Mapping[str, Step]) -> StepReport:
    about: dict[str, Any]
    if isinstance(outcome, Done):
        about = {"state": "done", **_provenance(outcome)}
    elif isinstance(outcome, Failed):
        about = {"state": "failed", "reason": outcome.reason, "log": outcome.log[-LOG_BYTES:]}
    elif isinstance(outcome, Skipped):
        first = steps.get(outcome.because)
        name = outcome.because if first is None else f"{first.command.task} of {' '.join(first.command.outputs)}"
        about = {"state": "skipped", "reason": f"waited for {name}, which failed"}
    else:
        about = {"state": "not run", "reason": "the run ended before it"}
    return StepReport(
        id=step.id,
        obs_id=step.obs_id,
        task=step.command.task,
        command=_line(step),
        products=step.command.outputs,
        **about,
    )


def _line(step: Step) -> str:
    try:
        return shell_line(step.command)
    except InvalidRecord:
        return " ".join(step.command.argv)


def _provenance(done: Done) -> dict[str, Any]:
    """Return what the manifest beside the products says; without one, what the run says."""
    about: dict[str, Any] = {
        "key": done.key,
        "seconds": done.seconds,
        "warnings": done.warnings,
        "outputs": [(o.name, o.digest) for o in done.outputs],
        "log": _tail(done.log),
    }
    try:
        manifest = read_manifest(Path(done.outputs[0].path).parent)
        about |= {
            "engine": str(manifest["engine"]),
            "made": str(manifest["made"]),
            "seconds": float(manifest["seconds"]),
            "inputs": [(str(i["name"]), str(i["digest"])) for i in manifest["inputs"]],
            "versions": [(str(n), str(v)) for n, v in manifest["versions"].items()],
        }
    except (InvalidFile, IndexError, KeyError, TypeError, ValueError, AttributeError, json.JSONDecodeError):
        return about
    return about


def _tail(path: str) -> str:
    """Return the last lines of a log; nothing where it is gone."""
    if not path:
        return ""
    try:
        with Path(path).open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - LOG_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
