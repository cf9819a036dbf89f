"""Interpreter of selection expressions on event columns; the language is :mod:`xphotfn.commands.selection`.

It sees one chunk of a table at a time and opens no file: good time intervals, masks and region tables come
from a callable (see :mod:`xphotfn.epic.selecting.filter_files`).
"""

from collections.abc import Callable, Mapping, MutableMapping
from difflib import get_close_matches
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xphotfn.commands.selection import (
    Boolean,
    Call,
    Chain,
    Column,
    Exactly,
    Expression,
    FileFilter,
    GtiFilter,
    Integer,
    Item,
    MaskFilter,
    Membership,
    Real,
    RegionFilter,
    Symbol,
    Unary,
    locate,
)
from xphotfn.commands.selection.nodes import CONSTANTS, REGIONS
from xphotfn.epic.selecting.arithmetic import (
    FUNCTION_OF,
    NotWholeError,
    Value,
    binary,
    complement,
    negative,
    number,
    truth,
)
from xphotfn.epic.selecting.filters import (
    FilterData,
    GtiTable,
    MaskImage,
    RegionTable,
    in_gti,
    in_mask,
    in_region_table,
)
from xphotfn.epic.selecting.planes import in_region
from xphotfn.errors import ExpressionError, ShapeMismatch

__all__ = ("Memo", "Resolver", "evaluate")

Resolver: TypeAlias = Callable[[FileFilter], FilterData]
"""Gives the intervals, mask or shapes that a filter's file holds."""

Memo: TypeAlias = MutableMapping[Expression, Any]
"""Values of sub-expressions for one chunk, shared by several expressions."""

_CONSTANTS = dict(CONSTANTS)


def evaluate(
    expression: Expression,
    columns: Mapping[str, NDArray[Any]],
    *,
    rows: int | None = None,
    first_row: int = 1,
    resolve: Resolver | None = None,
    memo: Memo | None = None,
) -> NDArray[np.bool_]:
    """Return which events an expression selects.

    Parameters
    ----------
    expression
        The tree, with its macros expanded.
    columns
        Event columns by name, arrays of shape (n,); numbers or bool.
    rows
        n; needed only where ``columns`` is empty.
    first_row
        Number of the first event, which ``#ROW`` gives; the first of a table is 1.
    resolve
        Reads the file of a gti, mask or region filter.
    memo
        Filled with the values of sub-expressions of this chunk; give the same one to other expressions on
        the same chunk to share their work.

    Returns
    -------
    NDArray[np.bool_]
        Array of shape (n,), bool: True for selected events.

    Raises
    ------
    ExpressionError
        If a column is unknown or not a number, a macro is not expanded, or an operator does not fit its
        operands; it points into the printed form of the expression.
    ShapeMismatch
        If the columns differ in length.

    Notes
    -----
    A number is true when it is neither 0 nor NaN; comparisons with NaN are false, but for ``!=``. Bitwise
    operators work on 32-bit two's complement, and a constant of 2**31 to 2**32-1 equals the 32-bit integer
    of the same bits. A quotient of integers is cut towards zero. Borders belong to regions, both ends to
    good time intervals.

    References
    ----------
    XMM-Newton SAS, selectlib 4.77, nodes 3, 8, 14, 15, 17 to 21.

    Examples
    --------
    >>> import numpy as np
    >>> from xphotfn.commands.selection import parse
    >>> pi = np.array([400, 500, 2000, 2001])
    >>> evaluate(parse("PI in [500:2000]"), {"PI": pi}).tolist()
    [False, True, True, False]
    """
    count = _count(columns, rows)
    evaluator = _Evaluator(expression, columns, (count, first_row), resolve, {} if memo is None else memo)
    with np.errstate(all="ignore"):
        selected = truth(evaluator.value(expression))
    if np.shape(selected) == (count,):
        return np.array(selected, dtype=bool)
    return np.full(count, selected, dtype=bool)


def _count(columns: Mapping[str, NDArray[Any]], rows: int | None) -> int:
    counts = {len(column) for column in columns.values()}
    if rows is not None:
        counts.add(rows)
    if len(counts) != 1:
        found = f"columns of {sorted(counts)} events" if counts else "no columns and no rows="
        raise ShapeMismatch(f"evaluate needs columns of one length, got {found}")
    return counts.pop()


class _Evaluator:
    """Walks one expression over one chunk."""

    def __init__(
        self,
        root: Expression,
        columns: Mapping[str, NDArray[Any]],
        extent: tuple[int, int],
        resolve: Resolver | None,
        memo: Memo,
    ) -> None:
        self.root = root
        self.columns = columns
        self.rows, self.first_row = extent
        self.resolve = resolve
        self.memo = memo

    def error(self, problem: str, node: object) -> ExpressionError:
        return ExpressionError(problem, *locate(self.root, node))

    def value(self, node: Expression) -> Value:
        match node:
            case Integer() | Real() | Boolean():
                return node.value
            case Column():
                return self.column(node)
            case Symbol():
                return self.symbol(node)
        if node not in self.memo:
            self.memo[node] = self.compound(node)
        return self.memo[node]

    def compound(self, node: Expression) -> Value:
        try:
            match node:
                case Unary():
                    return self.unary(node)
                case Chain():
                    return self.chain(node)
                case Call():
                    return self.call(node)
                case Membership():
                    return self.membership(node)
                case _:
                    return self.file_filter(node)
        except NotWholeError:
            raise self.error("bitwise operators need whole numbers, this is a real number", node) from None

    def column(self, node: Column) -> Value:
        if node.name not in self.columns:
            names = sorted(self.columns)
            close = get_close_matches(node.name, names, n=3, cutoff=0.5)
            close += [name for name in names if name.lower() == node.name.lower() and name not in close]
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            raise self.error(f"no column {node.name!r}; {hint}There are: {', '.join(names) or 'none'}", node)
        values = np.asarray(self.columns[node.name])
        if values.dtype.kind not in "biuf" or values.ndim != 1:
            kind = "a vector" if values.ndim != 1 else "text, not numbers"
            raise self.error(f"column {node.name!r} holds {kind}", node)
        return values

    def symbol(self, node: Symbol) -> Value:
        if node.name == "ROW":
            return np.arange(self.first_row, self.first_row + self.rows, dtype=np.int64)
        if node.name not in _CONSTANTS:
            raise self.error(f"#{node.name} is a macro that was not expanded from the header", node)
        return _CONSTANTS[node.name]

    def unary(self, node: Unary) -> Value:
        value = self.value(node.operand)
        if node.operator == "!":
            condition = truth(value)
            return ~condition if isinstance(condition, np.ndarray) else not condition
        return negative(value) if node.operator == "-" else complement(value)

    def chain(self, node: Chain) -> Value:
        if node.rest[0][0] in ("&&", "||"):
            return self.joined(node)
        result = self.value(node.first)
        for operator, operand in node.rest:
            result = binary(operator, result, self.value(operand))
        return result

    def joined(self, node: Chain) -> Value:
        join = np.logical_and if node.rest[0][0] == "&&" else np.logical_or
        result = truth(self.value(node.first))
        owned = False
        for _, operand in node.rest:
            condition = truth(self.value(operand))
            if owned:
                join(result, condition, out=result)
            else:
                result = join(result, condition)
                owned = isinstance(result, np.ndarray)
        return result

    def call(self, node: Call) -> Value:
        values = [self.value(argument) for argument in node.arguments]
        if node.function in REGIONS:
            return in_region(node.function, tuple(values[:-2]), values[-2], values[-1])
        if node.function == "ifthenelse":
            return np.where(truth(values[0]), values[1], values[2])
        return FUNCTION_OF[node.function](*(number(value) for value in values))

    def membership(self, node: Membership) -> Value:
        value = self.value(node.value)
        result = self.inside(value, node.items[0])
        for item in node.items[1:]:
            result = np.logical_or(result, self.inside(value, item))
        return result

    def inside(self, value: Value, item: Item) -> Value:
        if isinstance(item, Exactly):
            return binary("==", value, self.value(item.value))
        result: Value = True
        if item.lo is not None:
            result = binary(">=" if item.lo_closed else ">", value, self.value(item.lo))
        if item.hi is not None:
            below = binary("<=" if item.hi_closed else "<", value, self.value(item.hi))
            result = below if item.lo is None else np.logical_and(result, below)
        return result

    def file_filter(self, node: Expression) -> Value:
        if not isinstance(node, GtiFilter | MaskFilter | RegionFilter):
            raise TypeError(f"not a node of an expression: {node!r}")
        if self.resolve is None:
            raise self.error(f"{node.spec!r} cannot be read here", node)
        data = self.resolve(node)
        if isinstance(node, GtiFilter) and isinstance(data, GtiTable):
            return in_gti(data, self.value(node.time))
        if isinstance(node, RegionFilter) and isinstance(data, RegionTable):
            if node.x is None or node.y is None:
                raise self.error(f"{node.spec!r} goes by the columns of its table, which were not filled in", node)
            return in_region_table(data, self.value(node.x), self.value(node.y))
        if isinstance(node, MaskFilter) and isinstance(data, MaskImage):
            offset = self.value(node.x_offset), self.value(node.y_offset)
            return in_mask(data, offset, self.value(node.x), self.value(node.y))
        raise self.error(f"{node.spec!r} was read as a {type(data).__name__}, which does not fit here", node)
