"""The energies that a selection expression lets through, from its tree."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from xphotfn.commands.dss import Bounds, constant, ranges_of_items
from xphotfn.commands.selection import Boolean, Chain, Column, Expression, Membership, Unary, columns, parse, parts_of
from xphotfn.errors import ExpressionError
from xphotfn.records.energies import ALL_PI, NO_PI, Energies, PiRanges

__all__ = ("channels", "energies_of_expression", "read_selection")

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_REPAIRS = 3


class _Seen(NamedTuple):
    """What a part of an expression says of PI; ``pure`` where it says nothing of anything else."""

    everywhere: PiRanges
    somewhere: PiRanges
    pure: bool
    unread: bool = False


_NOTHING_SAID = _Seen(ALL_PI, ALL_PI, pure=False)
_UNREAD = _Seen(NO_PI, ALL_PI, pure=False, unread=True)


def energies_of_expression(expression: str | Expression) -> Energies:
    """Return the energies that a selection expression lets through; a text that is none is an ExpressionError.

    Exact for conditions that compare PI with numbers, joined by ``&&``, ``||`` and ``!``. Where a condition computes
    with PI, nothing is said to pass for sure. Macros (``#XMMEA_EM``) are conditions on other columns.

    PI is whole, so an open end is the next channel: ``PI < 2000`` is ``PI <= 1999``. Where an alternative has other
    energies than the next, as ``(CCDNR == 1 && PI > 500) || (CCDNR == 2 && PI > 600)``, what passes somewhere is more
    than what passes everywhere. SAS leaves an ``&`` of a continued card inside some texts (``PI& in [500:2000]``); it
    is taken out where the text has no meaning with it.

    Examples
    --------
    >>> str(energies_of_expression("(PATTERN <= 12) && PI in [500:2000] && !(PI in [1400:1600])"))
    '0.5-1.399 and 1.601-2 keV'
    >>> energies_of_expression("PI > 150 && #XMMEA_EM").kind
    'open'
    """
    seen = _seen(read_selection(expression) if isinstance(expression, str) else expression)
    return Energies(everywhere=seen.everywhere, somewhere=seen.somewhere, unread=seen.unread)


def read_selection(text: str) -> Expression:
    """Return the tree of a selection as it stands in a header.

    Parameters
    ----------
    text
        SLCTEXPR, or the ``expression`` of a command.

    Raises
    ------
    ExpressionError
        If the text is no expression.

    Notes
    -----
    SAS leaves an ``&`` of a continued card inside some texts; it is taken out where the text has no meaning with it.

    Examples
    --------
    >>> read_selection("PI& in [500:2000]") == parse("PI in [500:2000]")
    True
    """
    for _ in range(_REPAIRS):
        try:
            return parse(text)
        except ExpressionError as error:
            before = text[: error.position].rstrip()
            if not before.endswith("&"):
                raise
            text = f"{before.rstrip('&')} {text[error.position :]}"
    return parse(text)


def _seen(node: Expression) -> _Seen:
    match node:
        case Boolean(value=value):
            return _pure(ALL_PI if value else NO_PI)
        case Chain(rest=(("&&" | "||" as operator, _), *_)):
            parts = [_seen(part) for part in parts_of(node, operator)]
            return _all_of(parts) if operator == "&&" else _any_of(parts)
        case Unary(operator="!"):
            return _not(_seen(node.operand))
        case Membership(value=Column(name=name)) if _is_pi(name):
            ranges = ranges_of_items(node)
            return _UNREAD if ranges is None else _pure(channels(ranges))
        case Chain(rest=((operator, right),)) if operator in _MIRRORED and any(map(_is_pi, columns(node))):
            return _comparison(node.first, operator, right)
    return _UNREAD if any(map(_is_pi, columns(node))) else _NOTHING_SAID


def _is_pi(column: str) -> bool:
    return column.upper() == "PI"


def _pure(ranges: PiRanges) -> _Seen:
    return _Seen(ranges, ranges, pure=True)


def _all_of(parts: Iterable[_Seen]) -> _Seen:
    result = _pure(ALL_PI)
    for part in parts:
        result = _Seen(
            result.everywhere & part.everywhere,
            result.somewhere & part.somewhere,
            result.pure and part.pure,
            result.unread or part.unread,
        )
    return result


def _any_of(parts: Iterable[_Seen]) -> _Seen:
    """Return the OR of parts: those on PI alone pass whatever else holds, the others have energies in common."""
    held = list(parts)
    always, mixed = NO_PI, [part for part in held if not part.pure]
    for part in held:
        always |= part.somewhere if part.pure else NO_PI
    if not mixed or always == ALL_PI:
        return _pure(always)
    everywhere, somewhere = ALL_PI, always
    for part in mixed:
        everywhere &= part.everywhere
        somewhere |= part.somewhere
    everywhere = everywhere if always == NO_PI else always  # these pass whatever the others say
    return _Seen(everywhere, somewhere, pure=False, unread=any(part.unread for part in mixed))


def _not(part: _Seen) -> _Seen:
    if part.pure:
        return _pure(~part.somewhere)
    if part.everywhere == ALL_PI:
        return part
    return _Seen(NO_PI, ALL_PI, pure=False, unread=part.unread)


def _comparison(left: Expression, operator: str, right: Expression) -> _Seen:
    if constant(right) is None:
        left, operator, right = right, _MIRRORED[operator], left
    value = constant(right)
    if value is None or not isinstance(left, Column):
        return _UNREAD
    bounds = {
        "==": Bounds(lo=value, hi=value),
        "!=": Bounds(lo=value, hi=value),
        "<": Bounds(hi=value, hi_closed=False),
        "<=": Bounds(hi=value),
        ">": Bounds(lo=value, lo_closed=False),
        ">=": Bounds(lo=value),
    }[operator]
    found = channels((bounds,))
    return _pure(~found if operator == "!=" else found)


def channels(bounds: Iterable[Bounds]) -> PiRanges:
    """Return the whole channels inside some bounds.

    Examples
    --------
    >>> channels([Bounds(lo=500, hi=2000, hi_closed=False), Bounds(lo=8000.5)]).ranges
    ((500, 1999), (8001, None))
    """
    found = []
    for item in bounds:
        lo, hi = _first(item), _last(item)
        if lo is None or hi is None or lo <= hi:
            found.append((lo, hi))
    return PiRanges(ranges=found)


def _first(bounds: Bounds) -> int | None:
    if bounds.lo is None:
        return None
    return math.ceil(bounds.lo) if bounds.lo_closed else math.floor(bounds.lo) + 1


def _last(bounds: Bounds) -> int | None:
    if bounds.hi is None:
        return None
    return math.floor(bounds.hi) if bounds.hi_closed else math.ceil(bounds.hi) - 1
