"""Strategies for event selections: trees and texts of the language of SAS selection expressions."""

from typing import Any

from hypothesis import strategies as st

from xphotfn.commands.selection import (
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
)
from xphotfn.commands.selection.nodes import FUNCTIONS, LEVELS, REGIONS
from xphotfn.testing.strategies.of_basics import CAMERAS
from xphotfn.testing.strategies.of_sky import bands

__all__ = (
    "expressions",
    "selections",
)

_NAMES = st.sampled_from(("PI", "TIME", "FLAG", "PATTERN", "X", "Y", "b2", "INDEX", "Or", "h"))
_SPECS = st.sampled_from(("a.fits", "g+GTI", "a.fits[GTI 1]", ":2", "a-b.fits:3"))
_LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.builds(Integer, value=st.integers(0, 2**32 - 1), base=st.sampled_from((2, 8, 10, 16))),
    st.builds(Integer, value=st.integers(0, 2**63 - 1)),
    st.builds(Real, value=st.floats(min_value=0, allow_nan=False, allow_infinity=False).map(abs)),
    st.builds(Boolean, value=st.booleans()),
    st.builds(Column, name=_NAMES),
    st.builds(Symbol, name=st.sampled_from(("PI", "ROW", "XMMEA_EM"))),
)


def expressions(*, max_leaves: int = 15) -> st.SearchStrategy[Expression]:
    """Return a strategy for trees of selection expressions: all of the language, whether or not it means anything.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from xphotfn.commands.selection import parse, to_text
    >>> @settings(max_examples=50, deadline=None)
    ... @given(expressions())
    ... def test_what_is_printed_reads_back(tree):
    ...     assert parse(to_text(tree)) == tree
    >>> test_what_is_printed_reads_back()
    """
    return st.recursive(_LEAVES, _larger, max_leaves=max_leaves)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from(LEVELS).flatmap(lambda operators: _chains(operators, inner)),
        _calls(inner),
        st.builds(Unary, operator=st.sampled_from("-~!"), operand=inner),
        st.builds(Membership, value=inner, items=st.lists(_items(inner), min_size=1, max_size=3).map(tuple)),
        st.builds(GtiFilter, spec=_SPECS, time=inner),
        st.builds(RegionFilter, spec=_SPECS, x=inner, y=inner),
        st.builds(RegionFilter, spec=_SPECS),
        st.builds(MaskFilter, spec=_SPECS, x_offset=inner, y_offset=inner, x=inner, y=inner),
    )


def _chains(operators: tuple[str, ...], inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Chain]:
    longest = 1 if "**" in operators else 3
    links = st.lists(st.tuples(st.sampled_from(operators), inner), min_size=1, max_size=longest)
    return st.builds(Chain, first=inner, rest=links.map(tuple))


def _calls(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    arity: dict[str, tuple[int, ...]] = {name: (count + 2,) for name, count in REGIONS.items() if count}
    arity |= {"polygon": (8, 10), "polygon2": (8, 12)} | dict(FUNCTIONS)

    def of(function: str) -> st.SearchStrategy[Call]:
        count = st.sampled_from(arity[function]).map(lambda number: min(number, 12))
        arguments = count.flatmap(lambda number: st.lists(inner, min_size=number, max_size=number))
        return st.builds(Call, function=st.just(function), arguments=arguments.map(tuple))

    return st.sampled_from(sorted(arity)).flatmap(of)


def _items(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Item]:
    def interval(lo: Any, hi: Any, lo_closed: bool, hi_closed: bool) -> Range:
        return Range(lo=lo, hi=hi, lo_closed=lo_closed or lo is None, hi_closed=hi_closed or hi is None)

    bound = st.none() | inner
    return st.builds(interval, bound, bound, st.booleans(), st.booleans()) | st.builds(Exactly, value=inner)


@st.composite
def selections(draw: st.DrawFn, *, instrument: str | None = None) -> str:
    """Return a strategy for selections as people write them, which any EPIC event list can be filtered with.

    An energy range with flags, patterns, regions and times, joined by ``&&``, some of them negated or joined by ``||``,
    with the flags of an ``instrument`` (``pn``, ``mos1``, ``mos2``; any if None). It reads no file.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(selections(instrument="pn"), lambda text: "circle" in text)
    '(PI in [0:1]) && circle(25921,25921,1,X,Y)'
    """
    camera = draw(st.sampled_from(CAMERAS)) if instrument is None else instrument
    band = draw(bands())
    parts = draw(st.lists(_conditions(camera), max_size=3))
    return " && ".join([f"(PI in [{band.lo_ev}:{band.hi_ev}])", *parts])


@st.composite
def _conditions(draw: st.DrawFn, camera: str) -> str:
    one = draw(_simple(camera))
    form = draw(st.sampled_from(("plain", "not", "or")))
    if form == "not":
        return f"!({one})"
    return one if form == "plain" else f"({one} || {draw(_simple(camera))})"


@st.composite
def _simple(draw: st.DrawFn, camera: str) -> str:
    place = st.integers(25_921, 40_000) | st.integers(10_000, 25_921)
    kind = draw(st.sampled_from(("circle", "annulus", "box", "flag", "macro", "pattern", "ccd", "rows", "time")))
    if kind in ("circle", "annulus", "box"):
        x, y, size = draw(place), draw(place), draw(st.integers(1, 8000))
        shape = {
            "circle": f"circle({x},{y},{size}",
            "annulus": f"annulus({x},{y},{size},{size + draw(st.integers(1, 8000))}",
            "box": f"box({x},{y},{size},{draw(st.integers(1, 8000))},{draw(st.integers(0, 359))}",
        }
        return f"{shape[kind]},X,Y)"
    if kind == "time":
        return f"TIME >= {draw(st.floats(0, 1e9, allow_subnormal=False))!r}"
    number = draw(st.integers(0, 12))
    other = {
        "flag": f"(FLAG & {1 << draw(st.integers(0, 30)):#x}) == 0", "pattern": f"PATTERN <= {number}",
        "macro": "#XMMEA_EP" if camera == "pn" else "#XMMEA_EM", "ccd": f"CCDNR in [1:{number + 1}]",
        "rows": f"RAWY > {number * 10}",
    }  # fmt: skip
    return other[kind]
