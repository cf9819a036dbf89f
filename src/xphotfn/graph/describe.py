"""A plan in words."""

from collections import Counter

from xphotfn.graph.plan import Plan
from xphotfn.records._html import count

__all__ = ("describe", "plan_facts", "plan_title", "products_size")


def describe(plan: Plan) -> str:
    """Return what a plan will run, what is already there, and how much it is.

    Parameters
    ----------
    plan
        Any plan.

    Returns
    -------
    str
        Several lines for people.

    Examples
    --------
    >>> from xphotfn.graph.recipes import plan_mosaics
    >>> from xphotfn.records import energy_band
    >>> from xphotfn.testing.examples import example_field
    >>> print(describe(plan_mosaics(example_field(), energy_band("0.5 keV", "2 keV"))))
    Plan of 2 steps for 1 field (example), 1 observation, 0.5-2 keV
      found on disk, used as they are:  1 image, 1 exposure map
      to make:                          2 emosaic
      about 4.0 MiB of products
    """
    lines = [f"  {what + ':':<34}{said}" for what, said in plan_facts(plan)]
    if plan.steps:
        lines.append(f"  {products_size(plan)}")
    return "\n".join([plan_title(plan), *lines, *(f"  note: {note}" for note in plan.notes)])


def plan_title(plan: Plan) -> str:
    """Return a plan in one line: how many steps, and for what."""
    fields = ", ".join(f.name for f in plan.fields[:5]) + (", ..." if len(plan.fields) > 5 else "")
    observations = len({o for f in plan.fields for o in f.obs_ids})
    bands = ", ".join(dict.fromkeys(str(p.band) for p in plan.products))
    return (
        f"Plan of {count(len(plan.steps), 'step')} for {count(len(plan.fields), 'field')} ({fields}), "
        f"{count(observations, 'observation')}, {bands}"
    )


def plan_facts(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Return what is there already and what a plan makes, as pairs of what and how much."""
    files = {p.file.path: p.kind.replace("_", " ") for p in plan.products if p.file is not None}
    found = Counter(files.values())  # targets share the files of an observation
    tasks = Counter(s.command.task for s in plan.steps)
    return (
        ("found on disk, used as they are", ", ".join(count(n, kind) for kind, n in found.items()) or "nothing"),
        ("to make", ", ".join(f"{n} {t}" for t, n in tasks.items()) or "nothing"),
    )


def products_size(plan: Plan) -> str:
    """Estimate: a found grid's size in doubles for every output, 512 x 512 where none is known."""
    pixels = [p.grid.nx * p.grid.ny for p in plan.products if p.grid is not None] or [512 * 512]
    megabytes = sum(len(s.command.outputs) for s in plan.steps) * max(pixels) * 8 / 2**20
    return f"about {megabytes:.1f} MiB of products"
