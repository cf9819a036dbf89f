"""One target or a sample: its fields and its plan. In a sample a target that fails is listed and sinks nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from xphotfn.cli import values
from xphotfn.cli.group import DONE_IN_PART, as_options
from xphotfn.cli.output import read_table, say_notes, wants_progress
from xphotfn.errors import PlanError, XphotfnError

__all__ = ("Sample", "end", "failed_fields", "sample_of")

_OF_ONE = ("ra", "dec")


class Sample(NamedTuple):
    """Fields with their plan, and the targets that have none: pairs of name and reason."""

    plan: Any
    failures: tuple[tuple[str, str], ...]
    is_table: bool


def sample_of(root: Path, options: Mapping[str, Any]) -> Sample:
    """Return the plan of the target or targets that the options name."""
    import xphotfn as xp

    targets = _targets(options)
    within = values.radius(options["within"], "--within")
    bands = [values.band(text) for text in options["bands"]]
    observations = xp.find_observations(root, progress=wants_progress())
    say_notes(observations)

    def match(some: Any) -> Any:
        return xp.match_observations(some, observations, within=within)

    def plan(some: Any) -> Any:
        return xp.plan_photometry(some, bands, reference=options["reference"])

    if options["targets"] is None:
        return Sample(plan(match(targets[0])), (), False)
    fields, far = _each(match, targets)
    good, unplanned = _each(lambda some: (plan(some), some)[1], fields)
    failures = (*far, *unplanned)
    if not good:
        raise PlanError(f"none of the {len(targets)} targets can be measured:\n{_listed(failures)}")
    return Sample(plan(tuple(good)), failures, True)


def _each(make: Callable[[Any], Any], items: Sequence[Any]) -> tuple[tuple[Any, ...], list[tuple[str, str]]]:
    """Return what a function makes of all items at once or, where one fails, of each, with the names of those."""
    try:
        return tuple(make(tuple(items))), []
    except XphotfnError:
        pass
    made, failures = [], []
    for item in items:
        try:
            made.append(make(item))
        except XphotfnError as error:
            failures.append((item.name, str(error)))
    return tuple(made), failures


def _targets(options: Mapping[str, Any]) -> tuple[Any, ...]:
    import xphotfn as xp

    if options["targets"] is not None:
        given = [f"--{name}" for name in _OF_ONE if options[name] is not None]
        if given:
            raise click.UsageError(f"{', '.join(given)} and --targets exclude each other: the table holds positions.")
        return xp.targets_from_table(read_table(options["targets"]))
    missing = [f"--{name}" for name in _OF_ONE if options[name] is None] + ([] if options["radii"] else ["--radius"])
    if missing:
        raise click.UsageError(f"Missing {', '.join(missing)}: give them, or a table of a sample with --targets.")
    ra, dec = (values.angle(options[name], f"--{name}") for name in _OF_ONE)
    first = values.radius(options["radii"][0])
    return (xp.extended_source(options["name"], ra, dec, radius=first, redshift=options["redshift"]),)


def failed_fields(run: Any) -> dict[str, str]:
    """Return the fields of a run with a step that failed or waited for one, and why."""
    failed = {outcome.step: outcome.reason for outcome in run.failed}
    reasons = failed | {outcome.step: failed.get(outcome.because, "") for outcome in run.skipped}
    found: dict[str, dict[str, None]] = {}
    for product in run.plan.products:
        if product.step in reasons:
            found.setdefault(product.field_name, {})[reasons[product.step]] = None
    return {name: "; ".join(list(why)[:3]) for name, why in found.items()}


def end(failures: Iterable[tuple[str, str]]) -> None:
    """List targets that failed on stderr, and end with the status of work that is done in part."""
    listed = tuple(failures)
    if listed:
        many = "1 target" if len(listed) == 1 else f"{len(listed)} targets"
        click.echo(f"xphotfn: {many} failed:\n{_listed(listed)}", err=True)
        click.get_current_context().exit(DONE_IN_PART)


def _listed(failures: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"  {name}: {as_options(reason)}" for name, reason in failures)
