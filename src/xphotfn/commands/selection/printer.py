"""From the tree of a selection expression to text, and what an expression needs."""

from collections.abc import Iterator

from xphotfn.commands.selection.nodes import (
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
    Real,
    RegionFilter,
    Symbol,
    Unary,
    level_of,
)

__all__ = ("children", "columns", "locate", "parts_of", "to_text", "walk")

_RADIX_PREFIX = {16: "0x", 8: "o", 2: "b"}
_RADIX_FORMAT = {16: "x", 8: "o", 2: "b"}
_COMPARISONS = (level_of("=="), level_of("<"))
_SUM = level_of("+")
_PRODUCT = level_of("*")
_POWER = level_of("**")
_JOINED = ("||", "&&")


def to_text(expression: Expression) -> str:
    """Return the expression as one line, C operators, functions in lower case, that reads back to the same tree.

    Brackets are written where two levels meet, but for sums and products, for products in sums, for
    comparisons of sums and for comparisons in ``&&``: what the eye reads rightly without them.

    Examples
    --------
    >>> from xphotfn.commands.selection import parse
    >>> to_text(parse("FLAG & 0x766ba000 .eq. 0 && (X,Y) in Circle(25921,25921,1200)"))
    '(FLAG & 0x766ba000) == 0 && circle(25921,25921,1200,X,Y)'
    """
    return _Writer().text_of(expression)


def locate(expression: Expression, node: object) -> tuple[str, int]:
    """Return the text of an expression and the position of one of its nodes in it."""
    writer = _Writer()
    text = writer.text_of(expression)
    return text, writer.starts.get(id(node), 0)


def columns(expression: Expression) -> tuple[str, ...]:
    """Return the names of the event columns that an expression needs, sorted.

    Examples
    --------
    >>> from xphotfn.commands.selection import parse
    >>> columns(parse("PI in [500:2000] && gti(gti.fits, TIME) && PI != 1000"))
    ('PI', 'TIME')
    """
    return tuple(sorted({node.name for node in walk(expression) if isinstance(node, Column)}))


def parts_of(expression: Expression, operator: str) -> tuple[Expression, ...]:
    """Return the operands of ``&&`` or ``||`` at the top of an expression, else the expression alone.

    Examples
    --------
    >>> from xphotfn.commands.selection import parse
    >>> [to_text(part) for part in parts_of(parse("PI > 500 && (PATTERN <= 12 && FLAG == 0)"), "&&")]
    ['PI > 500', 'PATTERN <= 12', 'FLAG == 0']
    """
    if not isinstance(expression, Chain) or expression.rest[0][0] != operator:
        return (expression,)
    operands = (expression.first, *(operand for _, operand in expression.rest))
    return tuple(part for operand in operands for part in parts_of(operand, operator))


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield a node and all nodes below it, in the order of the text."""
    stack = [expression]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def children(node: Expression) -> tuple[Expression, ...]:
    """Return the expressions directly below a node."""
    match node:
        case Unary():
            return (node.operand,)
        case Chain():
            return (node.first, *(operand for _, operand in node.rest))
        case Call():
            return node.arguments
        case Membership():
            return (node.value, *(bound for item in node.items for bound in _bounds(item)))
        case GtiFilter():
            return (node.time,)
        case RegionFilter():
            return () if node.x is None or node.y is None else (node.x, node.y)
        case MaskFilter():
            return (node.x_offset, node.y_offset, node.x, node.y)
        case _:
            return ()


def _bounds(item: Item) -> tuple[Expression, ...]:
    if isinstance(item, Exactly):
        return (item.value,)
    return tuple(bound for bound in (item.lo, item.hi) if bound is not None)


class _Writer:
    """Collects the pieces of a text and remembers where each node starts."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.starts: dict[int, int] = {}

    def text_of(self, expression: Expression) -> str:
        self.node(expression, False)
        return "".join(self.pieces)

    def put(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)

    def bracketed(self, node: Expression) -> None:
        self.put("(")
        self.node(node, False)
        self.put(")")

    def node(self, node: Expression, in_list: bool) -> None:
        """Write a node; ``in_list`` says that a comma may follow, which an ``in`` list would take."""
        self.starts.setdefault(id(node), self.length)
        match node:
            case Unary():
                self.put(node.operator)
                self.operand(node.operand, not _is_simple(node.operand), in_list)
            case Chain():
                self.chain(node, in_list)
            case Membership():
                self.membership(node)
            case Call():
                self.call(node.function, "", node.arguments)
            case GtiFilter() | MaskFilter() | RegionFilter():
                names = {GtiFilter: "gti", MaskFilter: "mask", RegionFilter: "region"}
                self.call(names[type(node)], node.spec, children(node))
            case _:
                self.put(_leaf(node))

    def operand(self, node: Expression, bracket: bool, in_list: bool) -> None:
        if bracket or (in_list and isinstance(node, Membership)):
            self.bracketed(node)
        else:
            self.node(node, in_list)

    def chain(self, node: Chain, in_list: bool) -> None:
        self.operand(node.first, _needs_brackets(node, node.first), in_list)
        for operator, operand in node.rest:
            self.put(operator if operator == "**" else f" {operator} ")
            self.operand(operand, _needs_brackets(node, operand), in_list)

    def call(self, name: str, spec: str, arguments: tuple[Expression, ...]) -> None:
        self.put(f"{name}({spec}")
        for index, argument in enumerate(arguments):
            self.put("," if spec or index else "")
            self.operand(argument, False, True)
        self.put(")")

    def membership(self, node: Membership) -> None:
        self.operand(node.value, _is_loose(node.value), False)
        for index, item in enumerate(node.items):
            self.put("," if index else " in ")
            self.item(item)

    def item(self, item: Item) -> None:
        if isinstance(item, Exactly):
            self.put("[")
            self.bound(item.value)
            self.put("]")
            return
        no_bound = item.lo is None and item.hi is None
        self.put("[" if item.lo_closed and not no_bound else "(")
        self.bound(item.lo)
        self.put(":")
        self.bound(item.hi)
        self.put("]" if item.hi_closed and not no_bound else ")")

    def bound(self, bound: Expression | None) -> None:
        if bound is not None:
            self.operand(bound, _is_loose(bound), False)


def _is_simple(node: Expression) -> bool:
    """Whether a node is one word or a function: nothing can bind to a part of it."""
    return not isinstance(node, Unary | Chain | Membership)


def _is_loose(node: Expression) -> bool:
    """Whether a node binds looser than arithmetic, or looks as if it did."""
    if isinstance(node, Unary):
        return node.operator == "!"
    return isinstance(node, Membership) or (isinstance(node, Chain) and node.level < _SUM)


def _needs_brackets(outer: Chain, inner: Expression) -> bool:
    """Whether an operand of a chain must be, or is better, put in brackets."""
    joined = outer.rest[0][0] in _JOINED
    if isinstance(inner, Membership):
        return not joined
    if isinstance(inner, Unary):
        return outer.level == _POWER or (inner.operator == "!" and not joined)
    if not isinstance(inner, Chain):
        return False
    if inner.level in _COMPARISONS:
        return not joined
    if inner.level in (_SUM, _PRODUCT, _POWER) and outer.level in _COMPARISONS:
        return False
    return not (inner.level > outer.level and inner.level >= _PRODUCT and outer.level >= _SUM)


def _leaf(node: Expression) -> str:
    match node:
        case Integer(base=10):
            return str(node.value)
        case Integer():
            return _RADIX_PREFIX[node.base] + format(node.value, _RADIX_FORMAT[node.base])
        case Real():
            return repr(node.value)
        case Boolean():
            return "true" if node.value else "false"
        case Symbol():
            return f"#{node.name}"
        case Column():
            return node.name
        case _:
            raise TypeError(f"not a node of an expression: {node!r}")
