"""Strategies for steps, plans, what became of them, and what differs between two."""

from hypothesis import strategies as st

from xphotfn.commands.builders import emosaic
from xphotfn.commands.step import Step, StepInput
from xphotfn.graph.compare import PlanDiff, diff_plans
from xphotfn.graph.plan import Plan, PlannedProduct
from xphotfn.graph.result import Run
from xphotfn.records.event import StepEvent
from xphotfn.records.outcome import Done, Failed, Outcome, Output, Skipped
from xphotfn.testing.strategies.of_basics import CAMERAS, IMAGES, NUMBERS, OBS_IDS, TEXT, TEXTS, WORD, one_of_kinds
from xphotfn.testing.strategies.of_commands import commands
from xphotfn.testing.strategies.of_found import fields
from xphotfn.testing.strategies.of_sky import bands

__all__ = (
    "outcomes",
    "plan_diffs",
    "plans",
    "runs",
    "step_events",
    "steps",
)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Return a strategy for steps of a plan whose inputs are all found files.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(steps())
    ... def test_it_waits_for_nothing(step):
    ...     assert step.needs == ()
    >>> test_it_waits_for_nothing()
    """
    command = draw(commands())
    inputs = [StepInput(name=name, file=draw(IMAGES)) for name in command.inputs]
    return Step(command=command, inputs=inputs, obs_id=draw(st.just("combined") | OBS_IDS))


def _mosaic_of(steps_made: list[Step]) -> list[Step]:
    """Return a step that waits for the first output of two or more steps, or nothing where their names clash."""
    names = [step.command.outputs[0] for step in steps_made]
    if len(names) < 2 or len(set(names)) < len(names) or "mosaic.fits" in names:
        return []
    inputs = [StepInput(name=name, step=step.id) for name, step in zip(names, steps_made, strict=True)]
    return [Step(command=emosaic(names, "mosaic.fits"), inputs=inputs)]


@st.composite
def plans(draw: st.DrawFn, *, max_steps: int = 4) -> Plan:
    """Return a strategy for plans: steps, in half of them one that waits for the others, and what they make.

    At most ``max_steps`` of them wait for nothing.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(plans())
    ... def test_steps_wait_for_steps_of_the_plan(plan):
    ...     ids = {step.id for step in plan.steps}
    ...     assert all(set(step.needs) <= ids for step in plan.steps)
    >>> test_steps_wait_for_steps_of_the_plan()
    """
    made = draw(st.lists(steps(), max_size=max_steps, unique_by=lambda step: step.id))
    if draw(st.booleans()):
        made += _mosaic_of(made)
    there = [
        PlannedProduct(
            kind=draw(st.sampled_from(("image", "exposure_map"))),
            field_name=draw(WORD),
            obs_id=step.obs_id,
            instrument=draw(st.sampled_from(CAMERAS)),
            band=draw(bands()),
            name=step.command.outputs[0],
            step=step.id,
        )
        for step in made
    ]
    return Plan(steps=made, fields=draw(st.lists(fields(), max_size=1)), products=there, notes=draw(st.lists(WORD)))


@st.composite
def outcomes(draw: st.DrawFn, *, step: Step | None = None, kind: str | None = None) -> Outcome:
    """Return a strategy for what may become of a step: ``done`` (with all its outputs), ``failed`` or ``skipped``.

    Any step and any of the three kinds if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(outcomes(kind="done"))
    ... def test_what_was_there_took_no_time(done):
    ...     assert done.seconds == 0 or not done.cached
    >>> test_what_was_there_took_no_time()
    """
    one = draw(steps()) if step is None else step
    chosen = one_of_kinds(draw, kind, ("done", "failed", "skipped"))
    if chosen == "failed":
        return Failed(
            step=one.id, reason=draw(TEXT), log=draw(TEXT), host=draw(TEXT), of_machine=draw(st.booleans()),
            interrupted=draw(st.booleans()),
        )  # fmt: skip
    if chosen == "skipped":
        return Skipped(step=one.id, because=f"evselect-{draw(NUMBERS)}")
    return draw(_done(one))


@st.composite
def _done(draw: st.DrawFn, step: Step) -> Done:
    cached = draw(st.booleans())
    outputs = [
        Output(name=name, path=f"/store/{name}", digest=f"{draw(NUMBERS):032x}") for name in step.command.outputs
    ]  # fmt: skip
    return Done(
        step=step.id, key=f"{draw(NUMBERS):032x}", outputs=outputs, cached=cached,
        seconds=0.0 if cached else draw(st.floats(0.0, 1e4)), log=draw(TEXT), warnings=draw(TEXTS),
    )  # fmt: skip


@st.composite
def runs(draw: st.DrawFn, *, plan: Plan | None = None) -> Run:
    """Return a strategy for runs: one outcome for each step, and what waits for a failed step is skipped.

    Parameters
    ----------
    plan
        The plan; any if None.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(runs())
    ... def test_no_step_is_done_without_what_it_needs(run):
    ...     done = {outcome.step for outcome in run.done}
    ...     assert all(set(step.needs) <= done for step in run.plan.steps if step.id in done)
    >>> test_no_step_is_done_without_what_it_needs()
    """
    chosen = draw(plans()) if plan is None else plan
    found: dict[str, Outcome] = {}
    for step in chosen.steps:
        lost = [found[need] for need in step.needs if not isinstance(found.get(need), Done)]
        if lost:
            first = lost[0]
            found[step.id] = Skipped(step=step.id, because=first.because if isinstance(first, Skipped) else first.step)
        elif draw(st.booleans()):
            found[step.id] = draw(_done(step))
        else:
            found[step.id] = Failed(step=step.id, reason=draw(TEXT), log=draw(TEXT))
    return Run(
        plan=chosen,
        outcomes=list(found.values()),
        store=f"/store/{draw(WORD)}",
        engine=draw(WORD),
        notes=draw(st.lists(WORD, max_size=1)),
    )


def plan_diffs() -> st.SearchStrategy[PlanDiff]:
    """Return a strategy for what differs between two plans.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(plan_diffs())
    ... def test_an_empty_one_lists_nothing(diff):
    ...     assert not diff.is_empty or not diff.changes
    >>> test_an_empty_one_lists_nothing()
    """
    return st.builds(diff_plans, plans(), plans())


@st.composite
def step_events(draw: st.DrawFn) -> StepEvent:
    """Return a strategy for what a run tells of its steps while it goes on.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, deadline=None)
    ... @given(step_events())
    ... def test_no_more_steps_end_than_there_are(event):
    ...     assert event.ended <= event.total
    >>> test_no_more_steps_end_than_there_are()
    """
    step = draw(steps())
    state = draw(st.sampled_from(("started", "done", "cached", "failed", "skipped")))
    total = draw(st.integers(1, 99))
    return StepEvent(
        step=step.id,
        task=step.command.task,
        obs_id=step.obs_id,
        product=next(iter(step.command.outputs), ""),
        state=state,
        seconds=draw(st.floats(0.0, 1e4)) if state == "done" else 0.0,
        why=draw(TEXT) if state in ("failed", "skipped") else "",
        ended=draw(st.integers(0 if state == "started" else 1, total)),
        total=total,
    )
