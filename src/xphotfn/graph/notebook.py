"""Plans, their differences and runs as HTML for notebooks."""

from collections import Counter
from collections.abc import Iterable

from xphotfn.graph.compare import PlanDiff
from xphotfn.graph.describe import plan_facts, plan_title, products_size
from xphotfn.graph.drawing import plan_svg
from xphotfn.graph.plan import Plan, Step
from xphotfn.graph.result import Run
from xphotfn.records._html import Html, block, count, details, escape, facts, table
from xphotfn.records.outcome import Done, Failed

__all__ = ("diff_html", "plan_html", "run_html")

_MOST_FAILURES, _MOST_STEPS, _MOST_OBSERVATIONS = 20, 200, 20
_PRE = "white-space:pre-wrap;margin:0.2em 0 0.6em 1em;font-size:0.9em;background:none;color:inherit;border:0;padding:0"


def plan_html(plan: Plan) -> str:
    """Return a plan as HTML: what it is, its graph, a table of observations and tasks, and all its steps."""
    said = [(what.capitalize(), value) for what, value in plan_facts(plan)]
    if plan.steps:
        said.append(("Size", products_size(plan)))
    said += [("Note", note) for note in plan.notes]
    steps = table([_step_row(s) for s in plan.steps], ("Observation", "Task", "Makes", "Reads"), most=_MOST_STEPS)
    parts = [facts(said), plan_svg(plan), _observation_table(plan)]
    if plan.steps:
        parts.append(details(f"All {count(len(plan.steps), 'step')}", steps))
    return block(plan_title(plan), *parts)


def _observation_table(plan: Plan) -> Html:
    """Return how many products of each observation were found, and how many steps of each task it has."""
    tasks = list(dict.fromkeys(s.command.task for s in plan.steps))
    found = Counter(p.obs_id for p in plan.products if p.file is not None)
    to_run = Counter((s.obs_id, s.command.task) for s in plan.steps)
    places = list(dict.fromkeys([*(o for f in plan.fields for o in f.obs_ids), *(s.obs_id for s in plan.steps)]))
    if len(places) > _MOST_OBSERVATIONS:
        places.sort(key=lambda name: name != "combined")  # or it would be cut off
    rows = [(obs_id, found[obs_id] or "", *(to_run[obs_id, task] or "" for task in tasks)) for obs_id in places]
    return table(rows, ("Observation", "Found", *tasks), most=_MOST_OBSERVATIONS) if rows else Html("")


def _step_row(step: Step) -> tuple[str, str, str, str]:
    names = [i.name for i in step.inputs]
    reads = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return step.obs_id, step.command.task, ", ".join(step.command.outputs), reads


class _Steps(dict[str, tuple[str, str, str]]):
    """Observation, task and files made of each step; a step that the plan does not hold is named by its id."""

    def __missing__(self, step_id: str) -> tuple[str, str, str]:
        return "", step_id, ""


def run_html(run: Run) -> str:
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


def diff_html(diff: PlanDiff) -> str:
    """Return the differences of two plans as HTML."""
    rows = [
        (c.kind, c.obs_id, c.task, ", ".join(c.outputs), Html("<br/>".join(map(escape, c.details))))
        for c in diff.changes
    ]
    parts = [table(rows, ("", "Observation", "Task", "Makes", "What changed"), most=_MOST_STEPS)] if rows else []
    parts += [table([(line,) for line in (*diff.found, *diff.notes)])] if diff.found or diff.notes else []
    changed = ", ".join(f"{n} {kind}" for kind, n in Counter(c.kind for c in diff.changes).items())
    return block(f"{count(diff.same, 'step')} the same, {changed or 'none changed'}", *parts)
