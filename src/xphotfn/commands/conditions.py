"""The conditions of a selection, sorted by what they cut: times, places, flags, patterns and the rest."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from xphotfn.commands.dss import constant, ranges_of_items
from xphotfn.commands.selected_energies import read_selection
from xphotfn.commands.selection import (
    Boolean,
    Chain,
    Column,
    Expression,
    GtiFilter,
    Integer,
    MaskFilter,
    Membership,
    RegionFilter,
    columns,
    expand_macros,
    parts_of,
    to_text,
    walk,
)
from xphotfn.errors import ExpressionError
from xphotfn.records.energies import Energies
from xphotfn.records.instrument import INSTRUMENTS, known_instrument
from xphotfn.records.subspace import EVERY_FLAG, Subspace

__all__ = ("is_unplaced", "subspace_of")

POSITIONS = frozenset(("X", "Y", "DETX", "DETY", "RAWX", "RAWY"))
_GAP = 32  # components that may inherit the value of the first before one has its own again
_FEWEST_CCDS = min(camera.ccds for camera in INSTRUMENTS)


class _Conditions(NamedTuple):
    """Conditions that hold together."""

    times: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    flags: int = 0
    patterns: tuple[int, ...] = ()
    other: frozenset[str] = frozenset()

    def __and__(self, more: "_Conditions") -> "_Conditions":
        return _Conditions(
            self.times | more.times,
            self.places | more.places,
            self.flags | more.flags,
            self.patterns + more.patterns,
            self.other | more.other,
        )


def subspace_of(get: Callable[[str, Any], Any], energies: Energies) -> Subspace:
    """Return what a file keeps: its selection (SLCTEXPR) and its data subspace (DSTYPn, DSVALn) together.

    ``get`` gives the value of a keyword, or the default that it is given. A selection that cannot be read counts as one
    condition, whose meaning is not known (``other``). A CCD that is named by each component of a subspace, and a list
    of all CCDs of the camera, is no condition.

    Examples
    --------
    >>> header = {"SLCTEXPR": "PATTERN <= 12 && (FLAG & 0x766a0000) == 0 && !circle(0,0,9,DETX,DETY) && PI > 500"}
    >>> found = subspace_of(header.get, Energies())
    >>> found.patterns, found.places, hex(found.flags)
    (12, ('!circle(0,0,9,DETX,DETY)',), '0x766a0000')
    """
    said = _of_text(str(get("SLCTEXPR", "")), str(get("INSTRUME", ""))) & _of_components(get)
    return Subspace(
        energies=energies,
        times=sorted(said.times),
        places=sorted(said.places),
        flags=said.flags,
        patterns=min(said.patterns, default=None),
        other=sorted(said.other),
    )


def is_unplaced(get: Callable[[str, Any], Any]) -> bool:
    """Return whether a selection cuts places and no data subspace says where: what was not looked at cannot be known.

    Examples
    --------
    >>> cut = {"SLCTEXPR": "PI > 500 && circle(25921,25921,900,X,Y)"}
    >>> is_unplaced(cut.get), is_unplaced((cut | {"DSTYP1": "POS(X,Y)", "DSREF1": ":REG00101"}).get)
    (True, False)
    """
    said = _of_text(str(get("SLCTEXPR", "")), str(get("INSTRUME", ""))).places
    cuts = [text for text in said if {name.upper() for name in columns(read_selection(text))} != {"CCDNR"}]
    return bool(cuts) and not _of_components(get).places


@lru_cache(maxsize=4096)  # the files of a tree share a few selections
def _of_text(text: str, camera: str) -> _Conditions:
    if not text.strip():
        return _Conditions()
    try:
        tree = read_selection(expand_macros(text, {"INSTRUME": camera}))
    except ExpressionError:
        return _Conditions(other=frozenset((" ".join(text.split()),)))
    result = _Conditions()
    for part in parts_of(tree, "&&"):
        result &= _of_part(part, camera)
    return result


def _of_part(part: Expression, camera: str) -> _Conditions:
    """Return what one condition cuts; one on several things counts as the one that decides first: a place, a time."""
    if isinstance(part, Boolean) and part.value:
        return _Conditions()
    names = {name.upper() for name in columns(part)}
    filters = {type(node) for node in walk(part)}
    if names & POSITIONS or filters & {RegionFilter, MaskFilter}:
        return _Conditions(places=frozenset((to_text(part),)))
    if "TIME" in names or GtiFilter in filters:
        return _Conditions(times=frozenset((to_text(part),)))
    if names == {"PI"}:
        return _Conditions()
    if names == {"FLAG"} and (bits := _zero_bits(part)) is not None:
        return _Conditions(flags=bits)
    if names == {"PATTERN"} and (highest := _highest(part)) is not None:
        return _Conditions(patterns=(highest,))
    if names == {"CCDNR"}:
        known = known_instrument(camera)
        every = _named_ccds(part) >= set(range(1, 1 + (known.ccds if known else _FEWEST_CCDS)))
        return _Conditions() if every else _Conditions(places=frozenset((to_text(part),)))
    return _Conditions(other=frozenset((to_text(part),)))


def _zero_bits(part: Expression) -> int | None:
    """Return the bits that a condition on FLAG demands to be zero; None where it demands something else."""
    match part:
        case Chain(first=Column(), rest=(("==", Integer(value=0)),)):
            return EVERY_FLAG
        case Chain(first=Chain(first=Column(), rest=(("&", Integer(value=bits)),)), rest=(("==", Integer(value=0)),)):
            return bits
        case Membership(value=Column()):
            ranges = ranges_of_items(part) or ()
            return EVERY_FLAG if ranges and all(r.lo == r.hi == 0 for r in ranges) else None
        case Chain(rest=(("||", _), *_)):
            each = [_zero_bits(one) for one in parts_of(part, "||")]
            return None if None in each else _common_bits([bits for bits in each if bits is not None])
    return None


def _common_bits(values: Iterable[int]) -> int:
    result = EVERY_FLAG
    for bits in values:
        result &= bits
    return result


def _highest(part: Expression) -> int | None:
    """Return the highest pattern that a condition keeps, where it keeps all below."""
    match part:
        case Chain(first=Column(), rest=((("<=" | "<" | "==") as operator, right),)):
            value = constant(right)
            if value is None or not float(value).is_integer() or (operator == "==" and value != 0):
                return None
            return int(value) - (operator == "<")
        case Membership(value=Column()):
            ranges = ranges_of_items(part) or ()
            if len(ranges) == 1 and (ranges[0].lo is None or ranges[0].lo <= 0) and ranges[0].hi is not None:
                return int(ranges[0].hi)
    return None


def _named_ccds(part: Expression) -> set[int]:
    """Return the CCDs that a condition on CCDNR names one by one."""
    found: set[int] = set()
    for one in parts_of(part, "||"):
        match one:
            case Chain(first=Column(), rest=(("==", Integer(value=value)),)):
                found.add(value)
            case Membership(value=Column()):
                found |= {int(r.lo) for r in ranges_of_items(one) or () if r.lo is not None and r.lo == r.hi}
            case _:
                return set()
    return found


def _of_components(get: Callable[[str, Any], Any]) -> _Conditions:
    """Return the conditions of a data subspace, which has a component for each CCD.

    Times and energies are left to those who read the tables.
    """
    result = _Conditions()
    number = 1
    while axis := str(get(f"DSTYP{number}", "")):
        name, _, position = axis.partition("(")
        if position:
            inside = position.partition(")")[0]
            result &= _Conditions(places=frozenset((f"{inside} in {get(f'DSREF{number}', '')}",)))
        elif name.upper() in POSITIONS:
            result &= _of_text(f"{name} in {get(f'DSVAL{number}', '')}", "")
        elif name.upper() == "FLAG":
            result &= _Conditions(flags=_common_bits(_bits_of(value) for value in _values(number, get)))
        elif name.upper() == "PATTERN":
            result &= _of_text(f"PATTERN in {get(f'DSVAL{number}', '')}", "")
        elif name.upper() not in ("TIME", "PI", "CCDNR"):
            result &= _Conditions(other=frozenset((f"{axis} in {get(f'DSVAL{number}', '')}",)))
        number += 1
    return result


def _values(number: int, get: Callable[[str, Any], Any]) -> Iterable[str]:
    """Yield the values of a filter in each component that gives it one of its own."""
    yield str(get(f"DSVAL{number}", ""))
    component, missing = 2, 0
    while missing < _GAP:
        more = str(get(f"{component}DSVAL{number}", ""))
        missing = 0 if more else missing + 1
        component += 1
        if more:
            yield more


def _bits_of(value: str) -> int:
    """Return the bits that a filter on FLAG demands to be zero: ``b0x0``, or the one value 0."""
    text = value.strip().lower()
    if text.startswith("b"):
        return int("".join("1" if letter == "0" else "0" for letter in text[1:]) or "0", 2)
    return EVERY_FLAG if text.strip("[]") == "0" else 0
