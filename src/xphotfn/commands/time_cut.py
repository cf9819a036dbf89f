"""Whether the times of an event list were cut: what its data subspace refers to beside the CCDs' own good time."""

import re
from typing import Any

from xphotfn.commands.dss import read_dss
from xphotfn.commands.selected_energies import read_selection
from xphotfn.commands.selection import GtiFilter, columns, expand_macros, parts_of, to_text
from xphotfn.errors import ExpressionError
from xphotfn.typing import Header

__all__ = ("time_ranges", "times_are_cut")

_OWN = re.compile(r"STDGTI\d*", re.IGNORECASE)


def times_are_cut(header: Header) -> bool:
    """Return whether a header's data subspace cuts TIME by more than the good time of each CCD (STDGTInn).

    A raw list of the pipeline names these tables alone; one that was filtered with ``gti()`` names new ones.

    Examples
    --------
    >>> raw = {"DSTYP1": "TIME", "DSVAL1": "TABLE", "DSREF1": ":STDGTI01"}
    >>> times_are_cut(raw), times_are_cut(raw | {"DSREF1": ":GTI00006"})
    (False, True)
    """
    filters = (f for component in read_dss(header, lambda _: None) for f in component)
    return any(f.axis == "TIME" and not _OWN.fullmatch(f.table) for f in filters)


def time_ranges(header: Header) -> tuple[str, ...]:
    """Return the conditions on TIME that are no tables of good time: no ONTIME and no EXPOSURE of a header knows them.

    Examples
    --------
    >>> time_ranges({"SLCTEXPR": "PI > 300 && TIME<9 && gti(a.fits,TIME)", "DSTYP1": "TIME", "DSVAL1": ":9"})
    (':9', 'TIME < 9')
    """
    filters = (f for component in read_dss(header, lambda _: None) for f in component)
    found = {f.value for f in filters if f.axis.upper() == "TIME" and f.kind == "range"}
    text = str(header.get("SLCTEXPR", ""))
    if not text:
        return tuple(sorted(found))
    try:
        tree = read_selection(expand_macros(text, header))
    except ExpressionError:
        return tuple(sorted(found))
    return tuple(sorted(found | {to_text(part) for part in parts_of(tree, "&&") if "TIME" in _names(part)}))


def _names(part: Any) -> set[str]:
    """Return the columns of a condition in capitals; a filter by good time alone has none here."""
    return {name.upper() for name in columns(part)} if not isinstance(part, GtiFilter) else set()
