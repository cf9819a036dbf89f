"""What a rate is of beside camera, filter and band: event patterns of the image, vignetting of the exposure map."""

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xphotfn.commands.dss import RANGE, Bounds, ranges_of_text, read_dss
from xphotfn.commands.selected_energies import read_selection
from xphotfn.commands.selection import columns, expand_macros, parts_of, to_text
from xphotfn.commands.xproc import card_parameters
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.errors import ExpressionError
from xphotfn.io.cards import Cards
from xphotfn.io.products import RateMap, cards_of
from xphotfn.io.vignetting_card import has_vignetting
from xphotfn.records.instrument import CAMERAS
from xphotfn.typing import Header

__all__ = ("UNCORRECTED", "UNKNOWN", "patterns_of", "same_patterns", "vignetting_of")

UNKNOWN, UNCORRECTED = "unknown", "uncorrected"
_PATTERNS = np.arange(32)  # of EPIC
_MOS_PATTERNS = 12
_FROM_NONE = re.compile(r"0-\d+")
_VIGNETTING = {True: "corrected", False: UNCORRECTED, None: UNKNOWN}
Kept = NDArray[np.bool_]


def vignetting_of(item: RateMap) -> str:
    """Return whether rates of a map are ``corrected`` for vignetting, ``uncorrected``, or ``unknown``."""
    return _VIGNETTING[has_vignetting(cards_of(item.exposure))]


def patterns_of(item: RateMap) -> str:
    """Return the event patterns of an EPIC camera's image as :func:`patterns_kept`; ``unknown`` of other maps."""
    if item.instrument not in CAMERAS:
        return UNKNOWN
    cards = cards_of(item.image)
    return _of_cards(cards.selection(), str(cards.get("XPROC0", "")), str(cards.get("INSTRUME", "")))


def same_patterns(camera: str, one: str, other: str) -> bool:
    """Return whether rates of two selections of event patterns are the same.

    Patterns of MOS above 12 make no difference: they are 0.04 % of the net counts of a bright source.

    Examples
    --------
    >>> same_patterns("mos1", "all", "0-12"), same_patterns("pn", "0-12", "0-4"), same_patterns("mos1", "0", "0-12")
    (True, False, False)
    """
    return one == other or (camera.startswith("mos") and _holds_usual(one) and _holds_usual(other))


def _holds_usual(patterns: str) -> bool:
    """Return whether a selection of MOS holds all patterns of X-rays, 0 to 12."""
    return patterns == "all" or bool(_FROM_NONE.fullmatch(patterns) and int(patterns[2:]) >= _MOS_PATTERNS)


@lru_cache(maxsize=1024)  # maps of one selection share it
def _of_cards(selection: str, command: str, camera: str) -> str:
    header = Cards(selection.encode("latin-1"))
    return patterns_kept({name: header.get(name) for name in header} | {"XPROC0": command, "INSTRUME": camera})


def patterns_kept(header: Header) -> str:
    """Return which event patterns a selection keeps.

    Parameters
    ----------
    header
        Of an image: what passes both its selection (SLCTEXPR, else the expression in XPROC0) and its data subspace.

    Returns
    -------
    str
        Such as ``0-4`` or ``0``; ``all`` where the data subspace has no condition; ``unknown`` where there is neither a
        condition nor a data subspace, which would say how the event list was cut. A condition on PATTERN and another
        column stands there as it is, and so do different patterns of several parts.

    Examples
    --------
    >>> [patterns_kept({"SLCTEXPR": text}) for text in ("PATTERN<=4 && PI>500", "PATTERN==0", "PI>500")]
    ['0-4', '0', 'unknown']
    >>> patterns_kept({"SLCTEXPR": "PATTERN <= 12", "DSTYP1": "PATTERN", "DSVAL1": ":4"})
    '0-4'
    """
    parts = list(_of_components(header))
    kept, others = _of_expression(header) or (_every(), ())
    if not parts and not others and np.all(kept):
        return UNKNOWN
    both = sorted({_text(kept & part) for part in parts or [_every()]})
    return " and ".join((" or ".join(both), *others))


def _every() -> Kept:
    return np.ones(_PATTERNS.size, dtype=bool)


def _of_components(header: Header) -> Iterator[Kept]:
    """Yield the patterns of each component of a data subspace, which has one for each CCD."""
    for component in read_dss(header, lambda _: None):
        kept = _every()
        for item in component:
            ranges = ranges_of_text(item.value) if item.axis.upper() == "PATTERN" and item.kind == RANGE else None
            if ranges is not None:
                kept &= np.any([_within(bounds) for bounds in ranges], axis=0)
        yield kept


def _within(bounds: Bounds) -> Kept:
    lo, hi = (-np.inf if bounds.lo is None else bounds.lo), (np.inf if bounds.hi is None else bounds.hi)
    each = _PATTERNS.astype(float)
    above = each >= lo if bounds.lo_closed else each > lo
    return np.asarray(above & (each <= hi if bounds.hi_closed else each < hi))


def _of_expression(header: Header) -> tuple[Kept, tuple[str, ...]] | None:
    """Return the patterns that a selection keeps, and its conditions on PATTERN and more; None where nothing says."""
    text = str(header.get("SLCTEXPR") or "") or _expression(str(header.get("XPROC0") or ""))
    if not text:
        return None
    kept, others = _every(), []
    try:
        for part in parts_of(read_selection(expand_macros(text, header)), "&&"):
            names = {name for name in columns(part) if name.upper() == "PATTERN"}
            if names and names == {*columns(part)}:
                kept &= evaluate(part, dict.fromkeys(names, _PATTERNS))
            elif names:
                others.append(to_text(part))
    except ExpressionError:
        return None
    return kept, tuple(others)


def _expression(command: str) -> str:
    try:
        task, given = card_parameters(command)
    except ExpressionError:
        return ""
    return dict(given).get("expression", "") if task == "evselect" else ""


def _text(kept: Kept) -> str:
    """Return patterns as ranges, such as ``0-4`` or ``0, 3-4``."""
    if np.all(kept):
        return "all"
    ends = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(int))).reshape(-1, 2)
    return ", ".join(str(lo) if hi - lo == 1 else f"{lo}-{hi - 1}" for lo, hi in ends) or "none"
