"""A plan in words."""

from collections import Counter

from xphotfn.graph.plan import Plan

__all__ = ("describe",)


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
    fields = ", ".join(f.name for f in plan.fields[:5]) + (", ..." if len(plan.fields) > 5 else "")
    observations = len({o for f in plan.fields for o in f.obs_ids})
    bands = ", ".join(dict.fromkeys(str(p.band) for p in plan.products))
    files = {p.file.path: p.kind.replace("_", " ") for p in plan.products if p.file is not None}
    found = Counter(files.values())  # targets share the files of an observation
    tasks = Counter(s.command.task for s in plan.steps)
    lines = [
        f"Plan of {_many(len(plan.steps), 'step')} for {_many(len(plan.fields), 'field')} ({fields}), "
        f"{_many(observations, 'observation')}, {bands}",
        "  found on disk, used as they are:  " + (_listed(found) or "nothing"),
        "  to make:                          " + (", ".join(f"{n} {t}" for t, n in tasks.items()) or "nothing"),
    ]
    if plan.steps:
        lines.append(f"  about {_megabytes(plan):.1f} MiB of products")
    lines += [f"  note: {note}" for note in plan.notes]
    return "\n".join(lines)


def _many(n: int, word: str) -> str:
    return f"{n} {word}" + ("" if n == 1 else "s")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(_many(n, kind) for kind, n in counts.items())


def _megabytes(plan: Plan) -> float:
    """Estimate: a found grid's size in doubles for every output, 512 x 512 where none is known."""
    pixels = [p.grid.nx * p.grid.ny for p in plan.products if p.grid is not None] or [512 * 512]
    return sum(len(s.command.outputs) for s in plan.steps) * max(pixels) * 8 / 2**20
