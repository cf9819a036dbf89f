"""What a cut of flares kept and left, from its table of good time into the products that are made with it."""

from pathlib import Path
from typing import Any

from xphotfn.commands.selection import Expression, GtiFilter, split_spec, walk
from xphotfn.epic.events import scan

__all__ = ("KEPT_CARDS", "kept_cards")

Card = tuple[str, Any, str]

KEPT_CARDS = ("FLGOAL", "FLRATE", "FLQUIET", "FLQERR", "FLKEPT", "FLTOTAL", "FLRESID", "FLDISP", "FLNSRC")
"""Cards of a table of good time that a cut of flares made; SAS's tables have none of them."""


def kept_cards(expression: Expression, folder: Path, events: Any) -> list[Card]:
    """Return the cards of the table of good time that an expression names, or else those of the list itself.

    Empty where neither says it, and where several do: the time that they keep together is that of none.
    """
    files = sorted({split_spec(n.spec)[0] for n in walk(expression) if isinstance(n, GtiFilter)} - {""})
    headers = [block.header for name in files for block in scan(folder / name)]
    found = [header for header in (*headers, events) if {"FLGOAL", "FLTOTAL"} <= set(header)]
    if len(found) != 1:
        return []
    return [(name, found[0][name], found[0].comments[name]) for name in KEPT_CARDS if name in found[0]]
