"""The data subspace (DSS) of an event list: which values of which columns it holds, kept in its header.

A subspace is an OR of components (one for each CCD), each an AND of filters: ranges of a column, bit masks,
and tables of good time intervals. Selecting with an expression ANDs its filters to every component, in the
order that evselect 3.62 to 3.71 follows: the old filters without a counterpart, the new ones without a
counterpart, then the pairs on one column, intersected. Bit masks have no counterparts. A table made from a
pair is called ``GTIcccnn``: c is the component from 0, n the number of old filters plus the place of the new
filter among the new ones, from 0.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, final

import attrs
from attrs import frozen

from xphotfn.commands.selection import Exactly, Expression, Integer, Membership, Real, Unary, parse
from xphotfn.errors import ExpressionError
from xphotfn.typing import Header

__all__ = (
    "MASK",
    "RANGE",
    "TABLE",
    "Bounds",
    "Component",
    "DssFilter",
    "Intervals",
    "Subspace",
    "both",
    "constant",
    "dss_cards",
    "dss_names_places",
    "filter_of_ranges",
    "intersection",
    "is_dss_card",
    "place_columns",
    "ranges_of_items",
    "ranges_of_text",
    "read_dss",
    "select",
)

Intervals: TypeAlias = tuple[tuple[float, float], ...]
Card = tuple[str, Any, str]
RANGE, MASK, TABLE = "range", "mask", "table"
_MOST_COMPONENTS = 999
_PLACES = ("X", "Y", "DETX", "DETY", "RAWX", "RAWY")


@final
@frozen(kw_only=True)
class Bounds:
    """One range of values; None is an open end."""

    lo: float | None = None
    hi: float | None = None
    lo_closed: bool = True
    hi_closed: bool = True


@final
@frozen(kw_only=True)
class DssFilter:
    """One filter of a component.

    Parameters
    ----------
    axis
        Column, such as ``PI`` or ``TIME``.
    kind
        ``range``, ``mask`` or ``table``.
    value
        Text of DSVAL.
    unit
        Unit of the column, may be empty.
    table
        Name of the block that a table filter refers to.
    intervals
        Good time intervals of a table filter; None where the block is none of them.
    slot
        Number in the name of a new table.
    place
        Shapes or a mask of a new table filter on two columns; they are not interpreted here.
    """

    axis: str
    kind: str
    value: str
    unit: str = ""
    table: str = ""
    intervals: Intervals | None = None
    slot: int = 0
    place: object | None = None

    @property
    def columns(self) -> tuple[str, str] | None:
        """The two columns of a filter on places, such as X and Y of ``POS(X,Y)``; None for a filter on one column."""
        names = self.axis.partition("(")[2].partition(")")[0].replace("&", "").split(",")
        return (names[0].strip(), names[1].strip()) if len(names) == 2 else None


Component: TypeAlias = tuple[DssFilter, ...]
Subspace: TypeAlias = tuple[Component, ...]


def read_dss(header: Header, intervals_of: Callable[[str], Intervals | None]) -> Subspace:
    """Return the subspace that the header of an event table or image holds; no components where it has none.

    ``intervals_of`` gives the good time intervals of a block by its name, or None where it holds none.
    """
    numbers = _numbers(header)
    if not numbers:
        return ()
    last = 1
    while any(f"{last + 1}{key}{n}" in header for key in ("DSVAL", "DSREF") for n in numbers):
        last += 1
    return tuple(_component(header, number, numbers, intervals_of) for number in range(1, last + 1))


def _numbers(header: Header) -> tuple[int, ...]:
    """Return the numbers of the filters; SAS counts from 1 without a gap, a header that was edited may have one."""
    words = (str(name).removeprefix("DSTYP") for name in header if str(name).startswith("DSTYP"))
    return tuple(sorted(int(word) for word in words if word.isdigit()))


def _component(
    header: Header, number: int, numbers: tuple[int, ...], intervals_of: Callable[[str], Intervals | None]
) -> Component:
    prefix = "" if number == 1 else str(number)

    def get(key: str, n: int) -> str:
        return str(header.get(f"{prefix}{key}{n}", header.get(f"{key}{n}", ""))).strip()

    filters = []
    for n in numbers:
        value, table = get("DSVAL", n), get("DSREF", n).lstrip(":")
        is_table = value.upper() in ("TABLE", "IMAGE")
        kind = TABLE if is_table else MASK if get("DSFORM", n).upper() == "X" else RANGE
        intervals = intervals_of(table) if is_table else None
        axis, unit = str(header.get(f"DSTYP{n}")).strip(), get("DSUNI", n)
        filters.append(DssFilter(axis=axis, kind=kind, value=value, unit=unit, table=table, intervals=intervals))
    return tuple(filters)


def both(old: Component, new: Component) -> Component | None:
    """Return the AND of two components in SAS's order; None where nothing can pass it."""
    pairs: dict[int, int] = {}
    for i, before in enumerate(old):
        for j, after in enumerate(new):
            if j not in pairs.values() and _is_pair(before, after):
                pairs[i] = j
                break
    merged = []
    for i, j in pairs.items():
        common = _common(old[i], new[j], len(old) + j)
        if common is None:
            return None
        merged.append(common)
    kept = [f for i, f in enumerate(old) if i not in pairs]
    added = [attrs.evolve(f, slot=len(old) + j) for j, f in enumerate(new) if j not in pairs.values()]
    return (*kept, *added, *merged)


def _is_pair(before: DssFilter, after: DssFilter) -> bool:
    if before.axis != after.axis or before.kind != after.kind or before.kind == MASK:
        return False
    if before.kind == TABLE:
        return before.intervals is not None and after.intervals is not None
    return ranges_of_text(before.value) is not None and ranges_of_text(after.value) is not None


def _common(before: DssFilter, after: DssFilter, slot: int) -> DssFilter | None:
    unit = before.unit or after.unit
    if before.kind == TABLE:
        common = intersection(before.intervals or (), after.intervals or ())
        return attrs.evolve(before, unit=unit, table="", intervals=common, slot=slot)
    pairs = [(a, b) for a in ranges_of_text(before.value) or () for b in ranges_of_text(after.value) or ()]
    common_ranges = tuple(c for c in (_overlap(a, b) for a, b in pairs) if c is not None)
    return filter_of_ranges(before.axis, common_ranges, unit) if common_ranges else None


def intersection(first: Intervals, second: Intervals) -> Intervals:
    """Return the overlaps of two sets of intervals, in order.

    Examples
    --------
    >>> intersection(((0, 10), (20, 30)), ((5, 25), (26, 40)))
    ((5, 10), (20, 25), (26, 30))
    """
    found: list[tuple[float, float]] = []
    a, b = sorted(first), sorted(second)
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if high > low:
            found.append((low, high))
        if a[i][1] <= b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def _overlap(a: Bounds, b: Bounds) -> Bounds | None:
    lo, lo_closed = max(((r.lo, r.lo_closed) for r in (a, b)), key=lambda e: (_low(e[0]), not e[1]))
    hi, hi_closed = min(((r.hi, r.hi_closed) for r in (a, b)), key=lambda e: (_high(e[0]), e[1]))
    empty = _low(lo) > _high(hi) or (lo is not None and lo == hi and not (lo_closed and hi_closed))
    return None if empty else Bounds(lo=lo, hi=hi, lo_closed=lo_closed, hi_closed=hi_closed)


def _low(value: float | None) -> float:
    return -math.inf if value is None else value


def _high(value: float | None) -> float:
    return math.inf if value is None else value


def filter_of_ranges(axis: str, ranges: Iterable[Bounds], unit: str = "") -> DssFilter:
    """Return a filter of some ranges of a column, written as SAS writes DSVAL.

    Examples
    --------
    >>> filter_of_ranges("PI", [Bounds(lo=500, hi=2000), Bounds(lo=9000, lo_closed=False)]).value
    '500:2000,(9000:'
    """
    return DssFilter(axis=axis, kind=RANGE, value=",".join(_range_text(r) for r in ranges), unit=unit)


def _range_text(bounds: Bounds) -> str:
    lo, hi = _text(bounds.lo), _text(bounds.hi)
    if bounds.lo is not None and bounds.lo == bounds.hi:
        return lo
    closed = bounds.lo_closed and bounds.hi_closed
    left = "" if closed or bounds.lo is None else "[" if bounds.lo_closed else "("
    right = "" if closed or bounds.hi is None else "]" if bounds.hi_closed else ")"
    return f"{left}{lo}:{hi}{right}"


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def ranges_of_text(value: str) -> tuple[Bounds, ...] | None:
    """Return the ranges of a DSVAL text, or None where it is none.

    SAS leaves out the bracket of a closed end: ``500:2000)`` and ``(500:7500`` are [500:2000) and (500:7500].

    Examples
    --------
    >>> [(r.lo, r.hi, r.lo_closed, r.hi_closed) for r in ranges_of_text("500:2000),(3000:4000") or ()]
    [(500, 2000, True, False), (3000, 4000, False, True)]
    """
    try:
        tree = parse(f"VALUE in {','.join(map(_bracketed, value.split(',')))}")
    except ExpressionError:
        return None
    return ranges_of_items(tree) if isinstance(tree, Membership) else None


def _bracketed(item: str) -> str:
    text = item.strip()
    if ":" not in text:
        return item
    return f"{'' if text[0] in '[(' else '['}{text}{'' if text[-1] in '])' else ']'}"


def ranges_of_items(tree: Membership) -> tuple[Bounds, ...] | None:
    """Return the ranges of an ``in`` list of constants, or None."""
    found = []
    for item in tree.items:
        if isinstance(item, Exactly):
            value = constant(item.value)
            if value is None:
                return None
            found.append(Bounds(lo=value, hi=value))
            continue
        lo, hi = (None if end is None else constant(end) for end in (item.lo, item.hi))
        if (lo is None) != (item.lo is None) or (hi is None) != (item.hi is None):
            return None
        found.append(Bounds(lo=lo, hi=hi, lo_closed=item.lo_closed, hi_closed=item.hi_closed))
    return tuple(found)


def constant(node: Expression) -> float | None:
    """Return the number that a literal is, with its sign, or None."""
    if isinstance(node, Unary) and node.operator == "-":
        value = constant(node.operand)
        return None if value is None else -value
    return node.value if isinstance(node, Integer | Real) else None


def select(old: Subspace, new: Subspace) -> Subspace:
    """Return the subspace of a list after a selection, with the names of new tables.

    Parameters
    ----------
    old
        Subspace of the list.
    new
        Subspace of the expression.

    Notes
    -----
    Components that nothing can pass are left out. A selection with too many alternatives to write down
    leaves the old subspace, which then holds more than was selected.
    """
    if not new or len(old or ((),)) * len(new) > _MOST_COMPONENTS:
        return old
    found = (both(before, after) for before in old or ((),) for after in new)
    passing = [component for component in found if component]
    places: dict[object, str] = {}
    taken = {f.table for component in old for f in component}
    return _aligned(tuple(_named(component, k, places, taken) for k, component in enumerate(passing)))


def _named(component: Component, number: int, places: dict[object, str], taken: set[str]) -> Component:
    """Return a component whose new tables have names; ``places`` and ``taken`` keep these: equal places share one."""
    named = []
    for f in component:
        table = f.table
        if f.kind == TABLE and not f.table:
            if f.place is None:
                table = f"GTI{number:03d}{f.slot % 100:02d}"
            elif f.place in places:
                table = places[f.place]
            else:
                names = (f"REG{number:03d}{(f.slot + n) % 100:02d}" for n in range(100))
                table = next((name for name in names if name not in taken), "")
                places[f.place] = table
                taken.add(table)
        named.append(attrs.evolve(f, table=table))
    return tuple(named)


def _aligned(subspace: Subspace) -> Subspace:
    """Return components that have the same columns at the same places, as the keywords need it.

    A component without a range or mask that another one has gets one that all values pass; a table that
    some components lack cannot be written and is left out.
    """
    places = [_places(component) for component in subspace]
    order = list(dict.fromkeys(key for place in places for key in place))
    for key in [k for k in order if k[1] == TABLE and not all(k in place for place in places)]:
        order.remove(key)
    return tuple(tuple(place[key] if key in place else _open(key, places) for key in order) for place in places)


def _places(component: Component) -> dict[tuple[str, str, int], DssFilter]:
    found: dict[tuple[str, str, int], DssFilter] = {}
    for f in component:
        count = sum(1 for axis, kind, _ in found if (axis, kind) == (f.axis, f.kind))
        found[f.axis, f.kind, count] = f
    return found


def _open(key: tuple[str, str, int], places: list[dict[tuple[str, str, int], DssFilter]]) -> DssFilter:
    model = next(place[key] for place in places if key in place)
    value = "b" + "x" * (len(model.value) - 1) if model.kind == MASK else ":"
    return attrs.evolve(model, value=value)


def dss_cards(subspace: Subspace) -> list[Card]:
    """Return the DSS keywords of a subspace in SAS's order.

    Notes
    -----
    From the second component on only what differs from the first is written. Where the names would be longer
    than eight letters, repeated masks are left out and the filters that differ come first.
    """
    if not subspace:
        return []
    if len(subspace) > 9 and len(subspace[0]) > 9:
        subspace = _shortened(subspace)
    first = subspace[0]
    cards: list[Card] = []
    for n, f in enumerate(first, start=1):
        cards.append((f"DSTYP{n}", f.axis, "data subspace descriptor: name"))
        if f.unit:
            cards.append((f"DSUNI{n}", f.unit, "data subspace descriptor: units"))
    for number, component in enumerate(subspace, start=1):
        prefix = "" if number == 1 else str(number)
        for n, f in enumerate(component, start=1):
            cards += _filter_cards(prefix, n, f, None if number == 1 else first[n - 1])
    return cards


def _filter_cards(prefix: str, n: int, f: DssFilter, model: DssFilter | None) -> list[Card]:
    cards: list[Card] = []
    if f.kind == MASK and model is None:
        cards.append((f"{prefix}DSFORM{n}", "X", "data subspace descriptor: data type"))
    if model is None or f.value != model.value:
        cards.append((f"{prefix}DSVAL{n}", f.value, "data subspace descriptor: value"))
    if f.kind == TABLE and (model is None or f.table != model.table):
        cards.append((f"{prefix}DSREF{n}", f":{f.table}", "data subspace descriptor: reference"))
    return cards


def _shortened(subspace: Subspace) -> Subspace:
    count = len(subspace[0])
    differs = [len({(c[n].value, c[n].table) for c in subspace}) > 1 for n in range(count)]
    seen: set[tuple[str, str]] = set()
    same = []
    for n in range(count):
        key = subspace[0][n].axis, subspace[0][n].value
        if not differs[n] and key not in seen:
            same.append(n)
            seen.add(key)
    order = [n for n in range(count) if differs[n]] + same
    return tuple(tuple(component[n] for n in order) for component in subspace)


def is_dss_card(name: str) -> bool:
    """Whether a keyword belongs to the data subspace.

    Examples
    --------
    >>> [is_dss_card(name) for name in ("DSTYP1", "12DSREF4", "DSNAME", "ONTIME01")]
    [True, True, False, False]
    """
    stem = name.lstrip("0123456789").rstrip("0123456789")
    return stem in ("DSTYP", "DSUNI", "DSFORM", "DSVAL", "DSREF") and name[-1:].isdigit()


def place_columns(axis: str) -> tuple[str, ...]:
    """Return the columns of a filter's axis where they are places, else none.

    Examples
    --------
    >>> place_columns("POS(X,Y)"), place_columns("DETX"), place_columns("PI")
    (('X', 'Y'), ('DETX',), ())
    """
    names = DssFilter(axis=axis, kind=TABLE, value="").columns or (axis.strip(),)
    return names if set(names) <= set(_PLACES) else ()


def dss_names_places(header: Header) -> bool:
    """Whether the first component of the data subspace of a header has a filter on places.

    Examples
    --------
    >>> dss_names_places({"DSTYP1": "PI", "DSTYP2": "POS(X,Y)"}), dss_names_places({"DSTYP1": "PI"})
    (True, False)
    """
    number = 1
    while (name := f"DSTYP{number}") in header:
        if place_columns(str(header.get(name))):
            return True
        number += 1
    return False
