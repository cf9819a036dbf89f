"""Telling of a run while it goes on: a bar on a terminal, or events to a callback; the same on every scheduler."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xphotfn.errors import InvalidRecord
from xphotfn.graph.plan import Plan
from xphotfn.io.bars import progress_bar
from xphotfn.records.event import StepEvent
from xphotfn.records.outcome import Done, Failed, Outcome

__all__ = ("Progress", "telling")

Progress = bool | Callable[[StepEvent], object]
Tell = Callable[[str, Outcome | None], None]


@contextmanager
def telling(plan: Plan, progress: Progress) -> Iterator[Tell]:
    """Give a function that takes a step's id and its outcome, or None when it starts, and tells of it.

    Parameters
    ----------
    plan
        The plan that is run.
    progress
        True for a bar on standard error where that is a terminal, False for silence, or a callback.

    Raises
    ------
    InvalidRecord
        If ``progress`` is none of these.
    """
    if callable(progress):
        yield _events(plan, progress)
    elif not isinstance(progress, bool):
        raise InvalidRecord(f"progress must be True, False or a function that takes a StepEvent, got {progress!r}")
    elif progress and plan.steps:
        with _bar(len(plan.steps)) as show:
            yield _events(plan, show)
    else:
        yield lambda _step, _outcome: None


def _events(plan: Plan, callback: Callable[[StepEvent], object]) -> Tell:
    """Return a function that makes an event of what it is told; a step that ends unannounced has started just then."""
    steps = {step.id: step for step in plan.steps}
    started: set[str] = set()
    ended: set[str] = set()

    def event(step_id: str, state: str, outcome: Outcome | None) -> StepEvent:
        step = steps[step_id]
        return StepEvent(
            step=step_id,
            task=step.command.task,
            obs_id=step.obs_id,
            product=next(iter(step.command.outputs), ""),
            state=state,
            seconds=outcome.seconds if isinstance(outcome, Done) else 0.0,
            why=_why(outcome),
            ended=len(ended),
            total=len(steps),
        )

    def tell(step_id: str, outcome: Outcome | None) -> None:
        if step_id not in started:
            started.add(step_id)
            callback(event(step_id, "started", None))
        if outcome is not None:
            ended.add(step_id)
            callback(event(step_id, _state(outcome), outcome))

    return tell


def _state(outcome: Outcome) -> str:
    if isinstance(outcome, Done):
        return "cached" if outcome.cached else "done"
    return "failed" if isinstance(outcome, Failed) else "skipped"


def _why(outcome: Outcome | None) -> str:
    if isinstance(outcome, Failed):
        return outcome.reason
    return "" if outcome is None or isinstance(outcome, Done) else outcome.because


@contextmanager
def _bar(total: int) -> Iterator[Callable[[StepEvent], object]]:
    with progress_bar(total=total, unit="step") as bar:

        def show(event: StepEvent) -> None:
            if event.state == "started":
                return
            bar.set_description(event.task)
            if event.why and not bar.disable:
                bar.write(f"{event.state}: {event.obs_id} {event.product}: {event.why}", file=sys.stderr)
            bar.update()

        yield show
