"""The tree of a selection expression: frozen nodes that say what was written, not what it is worth.

Operators of one level that follow each other, such as ``A && B && C``, are one flat :class:`Chain`, so
long expressions do not make deep trees. Angles and negative numbers follow the language: an angle is a
:class:`Real` in radians and ``-5`` is a :class:`Unary` on 5.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord

__all__ = (
    "ALIASES",
    "CONSTANTS",
    "FUNCTIONS",
    "KEYWORDS",
    "LEVELS",
    "MAX_HEIGHT",
    "REGIONS",
    "Boolean",
    "Call",
    "Chain",
    "Column",
    "Exactly",
    "Expression",
    "FileFilter",
    "GtiFilter",
    "Integer",
    "Item",
    "MaskFilter",
    "Membership",
    "Range",
    "Real",
    "RegionFilter",
    "Symbol",
    "Unary",
    "arity_problem",
    "level_of",
    "radix_constant",
)

MAX_HEIGHT = 40
"""The deepest tree that the parser builds."""

LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("==", "!="),
    ("<", "<=", ">", ">="),
    ("|",),
    ("^",),
    ("&",),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
    ("**",),
)
"""Binary operators, loosest first. Bitwise operators bind tighter than comparisons, unlike in C."""

CONSTANTS: tuple[tuple[str, float], ...] = (
    ("PI", math.pi),
    ("E", math.e),
    ("RAD", math.pi / 180),
    ("DEG", 180 / math.pi),
    ("ARCSEC", math.pi / 180 / 3600),
    ("ARCMIN", math.pi / 180 / 60),
)
"""Constants of the language, written with ``#``."""

KEYWORDS = ("in", "true", "false")

REGIONS: Mapping[str, int] = MappingProxyType(
    {
        "point": 2,
        "line": 4,
        "circle": 3,
        "sector": 4,
        "ring": 4,
        "ellipse": 5,
        "elliptannulus": 8,
        "box": 5,
        "rectangle": 5,
        "rhombus": 5,
        "polygon": 0,
        "polygon2": 0,
    }
)
"""Region functions and how many numbers describe the shape; 0 for corner pairs, three or more."""

_ONE = ("abs", "sqrt", "exp", "log", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
_ROUNDING = ("floor", "ceil", "int", "nint", "modf", "sign")
_TWO = ("atan2", "pow", "mod", "fmod")
_MANY = 64

FUNCTIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    dict.fromkeys(_ONE + _ROUNDING, (1, 1))
    | dict.fromkeys(_TWO, (2, 2))
    | dict.fromkeys(("min", "max"), (2, _MANY))
    | dict.fromkeys(("ifthenelse", "near"), (3, 3))
)
"""Functions that are not regions, with the least and greatest number of arguments."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "pie": "sector",
        "annulus": "ring",
        "elliptring": "elliptannulus",
        "diamond": "rhombus",
        "arcsin": "asin",
        "arccos": "acos",
        "arctan": "atan",
        "arctan2": "atan2",
    }
)
"""Second names of functions."""

_RADIX = re.compile(r"0[xX][0-9a-fA-F]+|h[0-9a-fA-F]+|o[0-7]+|b[01]+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SPEC = re.compile(r"[^\s,()](?:[^,()]*[^\s,()])?")
_BASES = {"0": 16, "h": 16, "o": 8, "b": 2}
_INT64 = 2**63
_BITS32 = 2**32


def radix_constant(word: str) -> tuple[int, int] | None:
    """Return value and base of a word that is a hexadecimal, octal or binary constant, else None."""
    if not _RADIX.fullmatch(word):
        return None
    digits = word[2:] if word[0] == "0" else word[1:]
    base = _BASES[word[0]]
    return int(digits, base), base


def level_of(operator: str) -> int:
    """Return the index of a binary operator in :data:`LEVELS`."""
    for level, operators in enumerate(LEVELS):
        if operator in operators:
            return level
    raise InvalidRecord(f"unknown operator {operator!r}")


def _as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(values)


def _must(rule: str, holds: Callable[[Any], bool]) -> Any:
    """Return a validator that names the node, the field, the rule and the value."""

    def check(node: object, attribute: Any, value: Any) -> None:
        if not holds(value):
            raise InvalidRecord(f"{type(node).__name__}.{attribute.name} must be {rule}, got {value!r}")

    return check


def _is_plain_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name.lower() not in KEYWORDS and radix_constant(name) is None


def _is_symbol(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name == name.upper()


_SIZE = _must("finite and not negative (Unary makes the sign)", lambda v: math.isfinite(v) and math.copysign(1, v) > 0)
_PLAIN = _must("letters, digits and _, and no word of the language", _is_plain_name)
_CAPITALS = _must("capitals, digits and _", _is_symbol)
_FILE = _must("a file without commas, brackets ( ) and outer blanks", lambda v: bool(_SPEC.fullmatch(v)))
_SIGN = _must("-, ~ or !", lambda v: v in ("-", "~", "!"))
_ITEMS = _must("a tuple of one or more items", bool)


def arity_problem(function: str, found: int) -> str:
    """Return what is wrong with the number of arguments of a function, or an empty string."""
    if function in ("polygon", "polygon2"):
        wrong = found < 8 or found % 2 == 1
        return f"{function} takes three or more corner pairs and two columns, got {found} arguments" if wrong else ""
    if function in REGIONS:
        least = most = REGIONS[function] + 2
    elif function in FUNCTIONS:
        least, most = FUNCTIONS[function]
    else:
        return f"unknown function {function!r}"
    wanted = str(least) if least == most else f"{least} to {most}"
    return "" if least <= found <= most else f"{function} takes {wanted} arguments, got {found}"


@final
@frozen(kw_only=True)
class Integer:
    """A whole number; ``base`` is kept so that masks print as they were written."""

    value: int
    base: int = 10

    def __attrs_post_init__(self) -> None:
        limit = _INT64 if self.base == 10 else _BITS32
        if self.base not in (2, 8, 10, 16) or not 0 <= self.value < limit:
            raise InvalidRecord(f"Integer must be 0 to 2**63-1, or 2**32-1 in base 2, 8 or 16, got {self}")


@final
@frozen(kw_only=True)
class Real:
    """A real number that is not negative."""

    value: float = field(validator=_SIZE)


@final
@frozen(kw_only=True)
class Boolean:
    """TRUE or FALSE."""

    value: bool


@final
@frozen(kw_only=True)
class Column:
    """The value of an event column; case matters."""

    name: str = field(validator=_PLAIN)


@final
@frozen(kw_only=True)
class Symbol:
    """``#NAME``: a constant of the language, the row number ``#ROW``, or a macro that is not expanded yet."""

    name: str = field(validator=_CAPITALS)


@final
@frozen(kw_only=True)
class Unary:
    """A sign, a complement or a logical negation."""

    operator: str = field(validator=_SIGN)
    operand: "Expression"


@final
@frozen(kw_only=True)
class Chain:
    """Operands joined by binary operators of one level, from left to right."""

    first: "Expression"
    rest: "tuple[tuple[str, Expression], ...]" = field(converter=_as_tuple)

    def __attrs_post_init__(self) -> None:
        operators = [operator for operator, _ in self.rest]
        if len({level_of(operator) for operator in operators}) != 1:
            raise InvalidRecord(f"Chain needs operators of one level, got {operators}")
        if operators[0] == "**" and len(operators) > 1:
            raise InvalidRecord("Chain takes one ** only: a ** (b ** c) and (a ** b) ** c differ")

    @property
    def level(self) -> int:
        """The index of the operators in :data:`LEVELS`."""
        return level_of(self.rest[0][0])


@final
@frozen(kw_only=True)
class Call:
    """A function; regions have their two coordinates as the last arguments."""

    function: str
    arguments: "tuple[Expression, ...]" = field(converter=_as_tuple)

    def __attrs_post_init__(self) -> None:
        problem = arity_problem(self.function, len(self.arguments))
        if problem:
            raise InvalidRecord(problem)


@final
@frozen(kw_only=True)
class Exactly:
    """An item of an ``in`` list: one value."""

    value: "Expression"


@final
@frozen(kw_only=True)
class Range:
    """An item of an ``in`` list: a range; None is an open end."""

    lo: "Expression | None" = None
    hi: "Expression | None" = None
    lo_closed: bool = True
    hi_closed: bool = True

    def __attrs_post_init__(self) -> None:
        if (self.lo is None and not self.lo_closed) or (self.hi is None and not self.hi_closed):
            raise InvalidRecord("Range without a bound must have that side closed")


Item: TypeAlias = Exactly | Range


@final
@frozen(kw_only=True)
class Membership:
    """``value in item, item``: true where one of the items holds the value."""

    value: "Expression"
    items: "tuple[Item, ...]" = field(converter=_as_tuple, validator=_ITEMS)


@final
@frozen(kw_only=True)
class GtiFilter:
    """``gti(spec, time)``: true inside the good time intervals of a file."""

    spec: str = field(validator=_FILE)
    time: "Expression"


@final
@frozen(kw_only=True)
class MaskFilter:
    """``mask(spec, x_offset, y_offset, x, y)``: true on non-zero pixels of an image."""

    spec: str = field(validator=_FILE)
    x_offset: "Expression"
    y_offset: "Expression"
    x: "Expression"
    y: "Expression"


@final
@frozen(kw_only=True)
class RegionFilter:
    """``region(spec, x, y)``: true inside the shapes of a region table.

    Without x and y, ``region(spec)``, the table itself names the columns (MFORM1).
    """

    spec: str = field(validator=_FILE)
    x: "Expression | None" = None
    y: "Expression | None" = None

    def __attrs_post_init__(self) -> None:
        if (self.x is None) != (self.y is None):
            raise InvalidRecord(f"RegionFilter takes both x and y or none, got x={self.x}, y={self.y}")


FileFilter: TypeAlias = GtiFilter | MaskFilter | RegionFilter
Expression: TypeAlias = (
    Integer
    | Real
    | Boolean
    | Column
    | Symbol
    | Unary
    | Chain
    | Call
    | Membership
    | GtiFilter
    | MaskFilter
    | RegionFilter
)
