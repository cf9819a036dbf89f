"""A plan as a shell script that people with SAS can read, change and run."""

from collections.abc import Iterable

from xphotfn.commands.shell import comment, link_line, shell_line
from xphotfn.commands.step import Step
from xphotfn.errors import PlanError
from xphotfn.graph.plan import Plan, describe

__all__ = ("to_shell",)

_HEAD = """set -eu
folder=${1:-xphotfn-products}
mkdir -p -- "$folder"
cd -- "$folder"
"""


def to_shell(plan: Plan) -> str:
    """Return the plan as a shell script that makes all its products, one command a line.

    Parameters
    ----------
    plan
        The plan.

    Returns
    -------
    str
        A script for ``sh``. It takes the folder of the products as its argument (default ``xphotfn-products``), links
        the found files into it under the names that the commands use, and stops at the first command that fails.

    Raises
    ------
    PlanError
        If two steps write, or a step writes and another finds, a file of one name: they need a folder each.
    InvalidRecord
        If a command holds something that no shell takes.

    Examples
    --------
    >>> from xphotfn.graph.recipes import plan_mosaics
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> script = to_shell(plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV")))
    >>> [line.split()[0] for line in script.splitlines() if line and not line.startswith("#")]
    ['set', 'folder=${1:-xphotfn-products}', 'mkdir', 'cd', 'ln', 'emosaic', 'ln', 'emosaic']
    """
    _refuse_clashes(plan.steps)
    lines = ["#!/bin/sh", *(comment(line) for line in describe(plan).splitlines())]
    lines += [comment("SAS has to be initialised (SAS_DIR, SAS_CCFPATH); without it, our programs on PATH do:")]
    lines += [comment('eval "$(xphotfn shims xphotfn-bin)"')]
    lines += [_HEAD.rstrip()]
    linked: dict[str, str] = {}
    place = None
    for step in _by_observation(plan.steps):
        if step.obs_id != place:
            place = step.obs_id
            lines += ["", comment(f"observation {place}" if place != "combined" else "all observations together")]
        for item in step.inputs:
            if item.file is not None and linked.get(item.name) != item.file.path:
                linked[item.name] = item.file.path
                lines.append(link_line(item.file.path, item.name))
        lines.append(shell_line(step.command))
    return "\n".join(lines) + "\n"


def _refuse_clashes(steps: Iterable[Step]) -> None:
    written: dict[str, str] = {}
    found = {item.name for step in steps for item in step.inputs if item.file is not None}
    for step in steps:
        for name in step.command.outputs:
            if name in written:
                raise PlanError(f"two steps write {name}: make a plan, and a script, for each of them")
            if name in found:
                raise PlanError(f"{name} is written by a step and found by another: make a plan for each of them")
            written[name] = step.id


def _by_observation(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps with those of an observation together, where that keeps each behind what it waits for."""
    first = {obs_id: n for n, obs_id in reversed(list(enumerate(s.obs_id for s in steps)))}
    ordered = tuple(sorted(steps, key=lambda s: (s.is_mosaic, first[s.obs_id])))
    done: set[str] = set()
    for step in ordered:
        if not done.issuperset(step.needs):
            return steps
        done.add(step.id)
    return ordered
