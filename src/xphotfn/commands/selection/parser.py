"""From text to the tree of a selection expression.

Operators are collected on two stacks, so that only brackets recurse; brackets and the height of the tree
are bounded and every character is read a bounded number of times.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple

from xphotfn.commands.selection.lexer import Token, next_token, raw_text
from xphotfn.commands.selection.nodes import (
    ALIASES,
    FUNCTIONS,
    LEVELS,
    MAX_HEIGHT,
    REGIONS,
    Boolean,
    Call,
    Chain,
    Column,
    Exactly,
    Expression,
    GtiFilter,
    Integer,
    Item,
    MaskFilter,
    Membership,
    Range,
    Real,
    RegionFilter,
    Symbol,
    Unary,
    arity_problem,
    level_of,
)
from xphotfn.errors import ExpressionError

__all__ = ("file_places", "parse")

MAX_BRACKETS = 84
_COMPARISON = level_of("<")
_ARITHMETIC = _COMPARISON + 1  # the loosest level of a bound of an interval
_POWER = len(LEVELS) - 1
_PREFIX = _POWER - 0.5  # signs bind looser than ** and tighter than *
_BINARY = frozenset(operator for level in LEVELS for operator in level)
_FILES = {"gti": (1,), "mask": (4,), "region": (0, 2)}  # how many values follow the file
_FORMS = {
    "gti": "gti(file,TIME)",
    "mask": "mask(file,dx,dy,X,Y)",
    "region": "region(file,X,Y) or region(file)",
}


def parse(text: str) -> Expression:
    """Return the tree of a selection expression in C or Fortran spelling; ``parse(to_text(tree)) == tree``.

    ``#NAME`` is kept as a symbol (:func:`expand_macros`). An ExpressionError points at the place. Precedence, tightest
    first: ``**``; signs, ``~`` and ``!``; ``* / %``; ``+ -``; ``<< >>``; ``&``; ``^``; ``|``; ``< <= > >= in``;
    ``== !=``; ``&&``; ``||``. Bitwise operators bind tighter than comparisons.

    References
    ----------
    XMM-Newton SAS, selectlib 4.77, https://xmm-tools.cosmos.esa.int/external/sas/current/doc/selectlib

    Examples
    --------
    >>> parse("PI in [500:2000] .and. FLAG & b110 != 0") == parse("(PI in 500:2000) && ((FLAG & b110) != 0)")
    True
    """
    return _Parser(text).whole()


def file_places(text: str) -> tuple[tuple[int, int], ...]:
    """Return where the names of files stand in an expression, as pairs of start and end, in order.

    Raises
    ------
    ExpressionError
        As :func:`parse`.

    Examples
    --------
    >>> text = "PI > 500 && gti( my+gti.fits ,TIME)"
    >>> [text[a:b] for a, b in file_places(text)]
    ['my+gti.fits']
    """
    parser = _Parser(text)
    parser.whole()
    return tuple(parser.files)


class _Part(NamedTuple):
    """A finished piece of the tree and its height."""

    node: Expression
    height: int


class _Open:
    """A chain that still grows."""

    def __init__(self, level: int, first: _Part, operator: str, second: _Part) -> None:
        self.level = level
        self.first = first.node
        self.rest = [(operator, second.node)]
        self.height = 1 + max(first.height, second.height)

    def add(self, operator: str, part: _Part) -> None:
        self.rest.append((operator, part.node))
        self.height = max(self.height, 1 + part.height)


class _Pending(NamedTuple):
    """An operator that waits for its right operand."""

    operator: str
    binds: float
    prefix: bool


class _Parser:
    """One pass over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.brackets = 0
        self.files: list[tuple[int, int]] = []
        self.token = next_token(text, 0)

    def whole(self) -> Expression:
        part = self.expression(0)
        if self.token.kind != "end":
            raise self.error(self.unexpected())
        return part.node

    def error(self, problem: str, position: int | None = None) -> ExpressionError:
        return ExpressionError(problem, self.text, self.token.start if position is None else position)

    def unexpected(self) -> str:
        return f"unexpected {self.token.text!r}" if self.token.text else "the expression ends too early"

    def advance(self) -> Token:
        token = self.token
        self.token = next_token(self.text, token.end)
        return token

    def is_operator(self, *texts: str) -> bool:
        return self.token.kind == "operator" and self.token.text in texts

    def is_word(self, word: str) -> bool:
        return self.token.kind == "word" and self.token.text.lower() == word

    def expect(self, text: str) -> Token:
        if not self.is_operator(text):
            found = f"before {self.token.text!r}" if self.token.text else "at the end"
            raise self.error(f"expected {text!r} {found}")
        return self.advance()

    def enter(self) -> None:
        self.brackets += 1
        if self.brackets > MAX_BRACKETS:
            raise self.error(f"brackets are nested more than {MAX_BRACKETS} deep")

    def leave(self) -> None:
        self.brackets -= 1

    def part(self, node: Expression, height: int) -> _Part:
        if height > MAX_HEIGHT:
            raise self.error(f"the expression is nested more than {MAX_HEIGHT} deep; use fewer brackets")
        return _Part(node, height)

    def expression(self, loosest: int, first: _Part | None = None) -> _Part:
        """Read operands and operators down to a level; ``first`` is an operand that was read already."""
        operands: list[_Part | _Open] = []
        pending: list[_Pending] = []
        while True:
            if first is None:
                self.prefixes(pending)
                first = self.primary()
            operands.append(first)
            first = None
            operator = self.continuation(operands, pending, loosest)
            if operator is None:
                self.reduce(operands, pending, -1)
                return self.close(operands.pop())
            pending.append(_Pending(operator, level_of(operator), False))

    def prefixes(self, pending: list[_Pending]) -> None:
        while self.is_operator("-", "+", "~", "!"):
            operator = self.advance().text
            if operator != "+":
                pending.append(_Pending(operator, _PREFIX, True))

    def continuation(self, operands: list[_Part | _Open], pending: list[_Pending], loosest: int) -> str | None:
        """Return the binary operator that follows, after all ``in`` lists, or None."""
        while loosest <= _COMPARISON and self.is_word("in"):
            self.reduce(operands, pending, _COMPARISON)
            operands.append(self.membership(self.close(operands.pop())))
        if self.token.kind != "operator" or self.token.text not in _BINARY or level_of(self.token.text) < loosest:
            return None
        operator = self.advance().text
        level = level_of(operator)
        self.reduce(operands, pending, level + 0.25 if level == _POWER else level)
        return operator

    def reduce(self, operands: list[_Part | _Open], pending: list[_Pending], binds: float) -> None:
        """Apply the waiting operators that bind at least as tightly as ``binds``."""
        while pending and pending[-1].binds >= binds:
            operator, level, prefix = pending.pop()
            right = self.close(operands.pop())
            if prefix:
                operands.append(self.part(Unary(operator=operator, operand=right.node), right.height + 1))
                continue
            left = operands.pop()
            if isinstance(left, _Open) and left.level == level:
                left.add(operator, right)
            else:
                left = _Open(int(level), self.close(left), operator, right)
            operands.append(left)

    def close(self, part: _Part | _Open) -> _Part:
        if isinstance(part, _Part):
            return part
        return self.part(Chain(first=part.first, rest=tuple(part.rest)), part.height)

    def primary(self) -> _Part:
        token = self.token
        if token.kind == "number":
            return self.number(self.advance())
        if token.kind == "symbol":
            return self.part(Symbol(name=self.advance().text), 1)
        if self.is_operator("("):
            return self.group()
        if token.kind != "word" or self.is_word("in"):
            raise self.error(self.unexpected())
        self.advance()
        if self.is_operator("("):
            return self.function(token, ())
        if token.text.lower() in ("true", "false"):
            return self.part(Boolean(value=token.text.lower() == "true"), 1)
        return self.part(Column(name=token.text), 1)

    def number(self, token: Token) -> _Part:
        if token.base == 0:
            return self.part(Real(value=float(token.value)), 1)
        return self.part(Integer(value=int(token.value), base=token.base), 1)

    def group(self) -> _Part:
        """Read ``( expression )`` or ``(A, B) in region(...)``."""
        self.enter()
        self.expect("(")
        inner = self.expression(0)
        if self.is_operator(","):
            self.advance()
            second = self.expression(0)
            self.expect(")")
            self.leave()
            return self.vector((inner, second))
        self.expect(")")
        self.leave()
        return inner

    def vector(self, coordinates: tuple[_Part, _Part]) -> _Part:
        if not self.is_word("in"):
            raise self.error("a pair (A,B) must be followed by in and a region")
        self.advance()
        token = self.advance()
        if token.kind != "word" or not self.is_operator("("):
            raise self.error("expected a region function after (A,B) in", token.start)
        return self.function(token, coordinates)

    def membership(self, value: _Part) -> _Part:
        """Read what follows ``value``: ``in`` and a list of items, or ``in gti(spec)``."""
        self.advance()
        if self.is_word("gti"):
            token = self.advance()
            return self.function(token, (value,))
        items: list[Item] = []
        height = value.height
        while True:
            item, item_height = self.item()
            items.append(item)
            height = max(height, item_height)
            if not self.is_operator(","):
                return self.part(Membership(value=value.node, items=tuple(items)), height + 1)
            self.advance()

    def item(self) -> tuple[Item, int]:
        """Read one item of an ``in`` list with its brackets."""
        if not self.is_operator("[", "("):
            return self.interval("", None)
        opening = self.advance().text
        lo = None if self.is_operator(":") else self.expression(_ARITHMETIC)
        if lo is not None and opening == "(" and self.is_operator(")"):
            self.advance()
            return self.interval("", self.expression(_ARITHMETIC, lo))
        return self.interval(opening, lo)

    def interval(self, opening: str, lo: _Part | None) -> tuple[Item, int]:
        if lo is None and not self.is_operator(":"):
            lo = self.expression(_ARITHMETIC)
        if not self.is_operator(":"):
            if lo is None or (opening and not self.is_operator("]")):
                raise self.error("expected ':' or ']' in an interval")
            if opening:
                self.closing(opening)
            return Exactly(value=lo.node), lo.height
        self.advance()
        hi = self.expression(_ARITHMETIC) if self.starts_operand() else None
        closing = self.closing(opening, hi, lo)
        item = Range(
            lo=lo.node if lo else None,
            hi=hi.node if hi else None,
            lo_closed=lo is None or opening != "(",
            hi_closed=hi is None or closing != ")",
        )
        return item, max(lo.height if lo else 0, hi.height if hi else 0)

    def closing(self, opening: str, hi: _Part | None = None, lo: _Part | None = None) -> str:
        """Read the bracket that ends an interval; ``(5:`` and, outside all brackets, ``:5)`` are allowed too."""
        if opening and self.is_operator("]", ")"):
            return self.advance().text
        if opening and hi is not None:
            raise self.error("expected ']' or ')' at the end of an interval")
        if not opening and lo is None and hi is not None and self.brackets == 0 and self.is_operator(")"):
            return self.advance().text
        return ""

    def starts_operand(self) -> bool:
        if self.token.kind == "operator":
            return self.token.text in ("(", "-", "+", "~")
        return self.token.kind in ("number", "symbol") or (self.token.kind == "word" and not self.is_word("in"))

    def function(self, token: Token, coordinates: tuple[_Part, ...]) -> _Part:
        """Read the arguments of a function; ``coordinates`` come from in front of ``in``."""
        name = ALIASES.get(token.text.lower(), token.text.lower())
        self.enter()
        if name in _FILES:
            part = self.file_filter(name, token, coordinates)
        elif name in REGIONS or (name in FUNCTIONS and not coordinates):
            self.expect("(")
            part = self.call(name, token, coordinates)
        else:
            raise self.error(self.unknown_function(token, bool(coordinates)), token.start)
        self.leave()
        return part

    def unknown_function(self, token: Token, is_vector: bool) -> str:
        known = [*REGIONS, *_FILES] if is_vector else [*REGIONS, *FUNCTIONS, *ALIASES, *_FILES]
        close = get_close_matches(token.text.lower(), known, n=3)
        hint = f"; close names: {', '.join(close)}" if close else ""
        return f"unknown {'region ' if is_vector else ''}function {token.text!r}{hint}"

    def call(self, name: str, token: Token, coordinates: tuple[_Part, ...]) -> _Part:
        parts = [] if self.is_operator(")") else self.arguments()
        has_list = any(isinstance(part.node, Membership) and len(part.node.items) > 1 for part in parts)
        self.expect(")")
        parts.extend(coordinates)
        problem = arity_problem(name, len(parts))
        if problem:
            hint = "; put brackets around an in list, it takes all commas" if has_list else ""
            raise self.error(problem + hint, token.start)
        node = Call(function=name, arguments=tuple(part.node for part in parts))
        return self.part(node, 1 + max(part.height for part in parts))

    def arguments(self) -> list[_Part]:
        parts = [self.expression(0)]
        while self.is_operator(","):
            self.advance()
            parts.append(self.expression(0))
        return parts

    def file_filter(self, name: str, token: Token, coordinates: tuple[_Part, ...]) -> _Part:
        """Read ``gti(spec, T)``, ``mask(spec, dx, dy, X, Y)``, ``region(spec, X, Y)`` or ``region(spec)``: raw text."""
        start = self.token.end
        if not self.is_operator("("):
            raise self.error(f"expected '(' after {name}")
        spec, end = raw_text(self.text, start)
        if not spec:
            raise self.error(f"{name} needs a file before the comma", start)
        first = self.text.index(spec, start)
        self.files.append((first, first + len(spec)))
        self.token = next_token(self.text, end)
        parts: list[_Part] = []
        if self.is_operator(","):
            self.advance()
            parts = self.arguments()
        self.expect(")")
        parts.extend(coordinates)
        if len(parts) not in _FILES[name]:
            raise self.error(f"{name} is written {_FORMS[name]}; found {len(parts)} values after the file", token.start)
        nodes = [part.node for part in parts]
        return self.part(_file_node(name, spec, nodes), 1 + max((part.height for part in parts), default=0))


def _file_node(name: str, spec: str, nodes: list[Expression]) -> Expression:
    if name == "gti":
        return GtiFilter(spec=spec, time=nodes[0])
    if name == "region":
        return RegionFilter(spec=spec, x=nodes[0], y=nodes[1]) if nodes else RegionFilter(spec=spec)
    return MaskFilter(spec=spec, x_offset=nodes[0], y_offset=nodes[1], x=nodes[2], y=nodes[3])
