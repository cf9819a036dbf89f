"""The data subspace of a selection expression: the part of it that ranges, masks, intervals and places can say."""

from collections.abc import Callable, Mapping

from attrs import evolve

from xphotfn.commands.dss import (
    MASK,
    RANGE,
    TABLE,
    Bounds,
    Component,
    DssFilter,
    Intervals,
    Subspace,
    both,
    constant,
    filter_of_ranges,
    ranges_of_items,
    ranges_of_text,
)
from xphotfn.commands.selection import (
    Boolean,
    Call,
    Chain,
    Column,
    Expression,
    FileFilter,
    GtiFilter,
    Integer,
    MaskFilter,
    Membership,
    RegionFilter,
    Unary,
)
from xphotfn.commands.selection.nodes import REGIONS
from xphotfn.epic.selecting.filters import MaskImage, RegionShape, RegionTable

__all__ = ("dss_of",)

_ANYTHING: Subspace = ((),)
_MOST = 999
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


Reader = Callable[[FileFilter], Intervals | RegionTable | MaskImage]


def dss_of(expression: Expression, units: Mapping[str, str], read: Reader) -> Subspace:
    """Return the subspace of an expression whose macros are expanded; one without filters where nothing can be said so.

    What cannot be said (arithmetic on columns, a negation of more than one shape) is left out, so the subspace may hold
    more than the expression selects, never less. ``read`` reads the intervals, shapes or mask of a filter.

    Examples
    --------
    >>> from xphotfn.commands.selection import parse
    >>> tree = parse("(FLAG & 0x5) == 0 && PI in [500:2000] && PATTERN <= 12 && X > Y")
    >>> [(f.axis, f.value) for f in dss_of(tree, {"PI": "CHAN"}, lambda node: ())[0]]
    [('FLAG', 'b0x0'), ('PI', '500:2000'), ('PATTERN', ':12')]
    """
    if isinstance(expression, Chain):
        operator = expression.rest[0][0]
        operands = (expression.first, *(operand for _, operand in expression.rest))
        if operator in ("&&", "||"):
            parts = [dss_of(operand, units, read) for operand in operands]
            return _all_of(parts) if operator == "&&" else _any_of(parts)
    found = _filter(expression, units, read)
    return ((found,),) if found else _ANYTHING


def _all_of(parts: list[Subspace]) -> Subspace:
    """Return the AND of subspaces. A contradiction becomes no component at all, which counts as anything."""
    result = _ANYTHING
    for part in parts:
        if len(result) * len(part) > _MOST:
            continue
        pairs = (both(left, right) for left in result for right in part)
        result = tuple(component for component in pairs if component is not None)
    return result or _ANYTHING


def _any_of(parts: list[Subspace]) -> Subspace:
    components: tuple[Component, ...] = tuple(component for part in parts for component in part)
    if len(components) > _MOST or any(not component for component in components):
        return _ANYTHING
    first = components[0][0]
    if all(len(c) == 1 and c[0].kind == RANGE and c[0].axis == first.axis for c in components):
        ranges = [bounds for c in components for bounds in ranges_of_text(c[0].value) or ()]
        return ((filter_of_ranges(first.axis, ranges, first.unit),),)
    return components


def _filter(node: Expression, units: Mapping[str, str], read: Reader) -> DssFilter | None:
    match node:
        case GtiFilter(time=Column(name=axis)):
            found = read(node)
            intervals = found if isinstance(found, tuple) else ()
            return DssFilter(axis=axis, kind=TABLE, value="TABLE", unit=units.get(axis, ""), intervals=intervals)
        case Call() | RegionFilter() | MaskFilter() | Unary():
            return place_filter(node, read)
        case Membership(value=Column(name=axis)):
            ranges = ranges_of_items(node)
            return filter_of_ranges(axis, ranges, units.get(axis, "")) if ranges else None
        case Chain(rest=((operator, right),)) if operator in _MIRRORED:
            return _comparison(node.first, operator, right, units)
        case Boolean() | _:
            return None


def place_filter(node: Expression, read: Reader) -> DssFilter | None:
    """Return the filter of a region function, a region table, a mask, or of all but one shape; None for others."""
    match node:
        case Unary(operator="!", operand=inner):
            found = place_filter(inner, read)
            return None if found is None else _all_but(found)
        case Call(function=name, arguments=(*numbers, Column(name=x), Column(name=y))) if name in REGIONS:
            values = [constant(number) for number in numbers]
            if any(value is None for value in values):
                return None
            shape = RegionShape(name=name, numbers=tuple(float(v) for v in values if v is not None))
            return _placed(RegionTable(components=((shape,),), columns=(x, y)))
        case RegionFilter(x=Column(name=x), y=Column(name=y)):
            table = read(node)
            return _placed(evolve(table, columns=(x, y))) if isinstance(table, RegionTable) else None
        case MaskFilter(x=Column(name=x), y=Column(name=y)):
            mask, offset = read(node), (constant(node.x_offset), constant(node.y_offset))
            if not isinstance(mask, MaskImage) or offset[0] is None or offset[1] is None:
                return None
            axis = f"POS({x},{y})"
            return DssFilter(axis=axis, kind=TABLE, value="IMAGE", place=mask.in_columns((offset[0], offset[1])))
        case _:
            return None


def _placed(table: RegionTable) -> DssFilter:
    return DssFilter(axis=f"POS({','.join(table.columns)})", kind=TABLE, value="TABLE", place=table)


def _all_but(found: DssFilter) -> DssFilter | None:
    """Return the negation of a filter: of one shape, or of one component of shapes; None for what is no such thing."""
    table = found.place
    if not isinstance(table, RegionTable) or len(table.components) != 1:
        return None
    turned = tuple((evolve(shape, excluded=not shape.excluded),) for shape in table.components[0])
    return _placed(evolve(table, components=turned))


def _comparison(left: Expression, operator: str, right: Expression, units: Mapping[str, str]) -> DssFilter | None:
    if constant(right) is None:
        left, operator, right = right, _MIRRORED[operator], left
    value = constant(right)
    if value is None:
        return None
    if isinstance(left, Column):
        return filter_of_ranges(left.name, _ranges(operator, value), units.get(left.name, ""))
    return _mask(left, operator, value, units)


def _ranges(operator: str, value: float) -> tuple[Bounds, ...]:
    below, above = Bounds(hi=value, hi_closed=False), Bounds(lo=value, lo_closed=False)
    return {
        "==": (Bounds(lo=value, hi=value),),
        "!=": (below, above),
        "<": (below,),
        "<=": (Bounds(hi=value),),
        ">": (above,),
        ">=": (Bounds(lo=value),),
    }[operator]


def _mask(left: Expression, operator: str, value: float, units: Mapping[str, str]) -> DssFilter | None:
    """Return the filter of ``(FLAG & mask) == value``, or of ``!= 0`` with a mask of one bit."""
    if not isinstance(left, Chain) or len(left.rest) != 1 or left.rest[0][0] != "&":
        return None
    column, mask = left.first, left.rest[0][1]
    if isinstance(column, Integer):
        column, mask = mask, column
    if not isinstance(column, Column) or not isinstance(mask, Integer) or not 0 < mask.value < 2**32:
        return None
    if operator == "!=" and value == 0 and mask.value.bit_count() == 1:
        value = mask.value
    elif operator != "==":
        return None
    if not float(value).is_integer() or value < 0 or int(value) & ~mask.value:
        return None
    digits = (
        "x" if not mask.value >> bit & 1 else str(int(value) >> bit & 1)
        for bit in range(mask.value.bit_length() - 1, -1, -1)
    )
    return DssFilter(axis=column.name, kind=MASK, value="b" + "".join(digits), unit=units.get(column.name, ""))
