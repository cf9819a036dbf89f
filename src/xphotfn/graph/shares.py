"""A plan in parts, for jobs that know nothing of each other: each makes its own steps, the last one what joins them.

Observations are dealt in the order of the plan, in runs of as many steps, so that a mosaic mostly lies within one part.
What needs the products of several parts belongs to none: whoever finds all of them there makes it.
"""

from collections import Counter
from collections.abc import Callable, Collection

from xphotfn.errors import InvalidRecord
from xphotfn.graph.plan import Plan, steps_leading_to
from xphotfn.records.instrument import COMBINED

__all__ = ("check_part", "joint_plan", "part_of")


def check_part(part: tuple[int, int]) -> tuple[int, int]:
    """Return which part of how many.

    Raises
    ------
    InvalidRecord
        If it is no pair of whole numbers, the first from 1 to the second.
    """
    match part:
        case (int(number), int(count)) if 1 <= number <= count:
            return number, count
    raise InvalidRecord(f"part is which of how many, got {part!r}: give (3, 100) for the third of a hundred")


def part_of(plan: Plan, part: tuple[int, int]) -> Plan:
    """Return the steps and products of one part, with all notes; the parts of a plan share no step.

    Parameters
    ----------
    plan
        The whole plan.
    part
        Which of how many, from 1.
    """
    number, count = check_part(part)
    dealt = _dealt(plan, count)
    homes = _homes(plan, count, dealt)
    own = {step for step, home in homes.items() if home == number - 1}
    products = [p for p in plan.products if (p.step in own if p.file is None else dealt.get(p.obs_id, 0) == number - 1)]
    names = {p.field_name for p in products}
    return Plan(
        steps=[s for s in plan.steps if s.id in own],
        fields=[f for f in plan.fields if f.name in names],
        products=products,
        notes=plan.notes,
    )


def joint_plan(plan: Plan, count: int, there: Callable[[Plan], Collection[str]]) -> Plan:
    """Return the plan of what several parts make together and can be made now, with all that leads to it.

    Parameters
    ----------
    plan
        The whole plan.
    count
        How many parts there are.
    there
        Returns the steps of a plan whose products are there.
    """
    homes = _homes(plan, count, _dealt(plan, count))
    joint = [step for step, home in homes.items() if home is None]
    steps = {step.id: step for step in plan.steps}
    known = set(there(Plan(steps=steps_leading_to(joint, steps))))
    ready = []
    for step in joint:
        if known.issuperset(steps[step].needs):
            known.add(step)
            ready.append(step)
    products = [p for p in plan.products if p.step in set(ready)]
    names = {p.field_name for p in products}
    fields = [f for f in plan.fields if f.name in names]
    return Plan(steps=steps_leading_to(ready, steps), fields=fields, products=products)


def _dealt(plan: Plan, count: int) -> dict[str, int]:
    """Return to which part each observation goes: in order, as many steps and products to each."""
    named = [*(step.obs_id for step in plan.steps), *(product.obs_id for product in plan.products)]
    weights = Counter(obs_id for obs_id in named if obs_id != COMBINED)
    total, before = sum(weights.values()), 0
    dealt = {}
    for obs_id, weight in weights.items():
        dealt[obs_id] = (2 * before + weight) * count // (2 * total)
        before += weight
    return dealt


def _homes(plan: Plan, count: int, dealt: dict[str, int]) -> dict[str, int | None]:
    """Return to which part each step goes; None where it needs what several make."""
    homes: dict[str, int | None] = {}
    free = 0
    for step in plan.steps:
        parts = {homes[n] for n in step.needs} | ({dealt[step.obs_id]} if step.obs_id != COMBINED else set())
        if not parts:
            parts, free = {free % count}, free + 1
        homes[step.id] = parts.pop() if len(parts) == 1 else None
    return homes
