"""The files that a selection expression names, and the same expression with other names: one owner, the parse tree."""

from collections.abc import Callable

from attrs import evolve

from xphotfn.commands.selection.nodes import (
    Call,
    Chain,
    Column,
    Exactly,
    Expression,
    GtiFilter,
    Item,
    MaskFilter,
    Membership,
    Range,
    RegionFilter,
    Unary,
)
from xphotfn.commands.selection.parser import file_places
from xphotfn.commands.selection.specs import split_spec, without_quotes

__all__ = ("file_specs", "named_files", "with_file_specs", "with_region_columns")


def file_specs(text: str) -> tuple[str, ...]:
    """Return what gti, mask and region of an expression name, each once, in order: a file, or a file and its block.

    Macros may stand in it; a text that is no expression is an ExpressionError.

    Examples
    --------
    >>> file_specs('gti("my gti.fits",TIME) && region(src.fits:REGION) && PI > 500')
    ('my gti.fits', 'src.fits:REGION')
    """
    return tuple(dict.fromkeys(without_quotes(text[start:end]) for start, end in file_places(text)))


def named_files(text: str) -> tuple[str, ...]:
    """Return the files of an expression without their blocks, each once; the table that is read is not among them.

    Examples
    --------
    >>> named_files("gti(my+gti.fits,TIME) && region(src.fits+REGION,X,Y) && gti(:STDGTI01,TIME)")
    ('my+gti.fits', 'src.fits')
    """
    names = (split_spec(spec)[0] for spec in file_specs(text))
    return tuple(dict.fromkeys(name for name in names if name))


def with_file_specs(text: str, renamed: Callable[[str], str]) -> str:
    """Return an expression with other names of files; nothing else of its text changes.

    Parameters
    ----------
    text
        The expression.
    renamed
        Gives the new specification of a file, with its block, for the one that stands there.

    Examples
    --------
    >>> with_file_specs("PI>500 && gti( /data/good.fits[GTI] ,TIME)", lambda spec: "gti.fits:GTI")
    'PI>500 && gti( gti.fits:GTI ,TIME)'
    """
    pieces: list[str] = []
    end = 0
    for first, last in file_places(text):
        pieces += [text[end:first], renamed(without_quotes(text[first:last]))]
        end = last
    return "".join([*pieces, text[end:]])


def with_region_columns(expression: Expression, columns_of: Callable[[RegionFilter], tuple[str, str]]) -> Expression:
    """Return a tree in which each ``region(spec)`` names the two columns of its table, which ``columns_of`` gives.

    Examples
    --------
    >>> from xphotfn.commands.selection import parse, to_text
    >>> to_text(with_region_columns(parse("PI > 500 && region(r.fits)"), lambda node: ("DETX", "DETY")))
    'PI > 500 && region(r.fits,DETX,DETY)'
    """

    def new(node: Expression) -> Expression:
        match node:
            case RegionFilter(x=None):
                names = columns_of(node)
                return evolve(node, x=Column(name=names[0]), y=Column(name=names[1]))
            case Unary():
                return evolve(node, operand=new(node.operand))
            case Chain():
                return evolve(node, first=new(node.first), rest=tuple((o, new(operand)) for o, operand in node.rest))
            case Call():
                return evolve(node, arguments=tuple(new(argument) for argument in node.arguments))
            case Membership():
                return evolve(node, value=new(node.value), items=tuple(_item(item, new) for item in node.items))
            case GtiFilter():
                return evolve(node, time=new(node.time))
            case RegionFilter(x=x, y=y) if x is not None and y is not None:
                return evolve(node, x=new(x), y=new(y))
            case MaskFilter():
                offsets = new(node.x_offset), new(node.y_offset)
                return evolve(node, x_offset=offsets[0], y_offset=offsets[1], x=new(node.x), y=new(node.y))
            case _:
                return node

    return new(expression)


def _item(item: Item, new: Callable[[Expression], Expression]) -> Item:
    if isinstance(item, Exactly):
        return Exactly(value=new(item.value))
    lo, hi = (None if bound is None else new(bound) for bound in (item.lo, item.hi))
    return Range(lo=lo, hi=hi, lo_closed=item.lo_closed, hi_closed=item.hi_closed)
