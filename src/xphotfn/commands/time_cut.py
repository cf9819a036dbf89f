"""Whether the times of an event list were cut: what its data subspace refers to beside the CCDs' own good time."""

import re
from typing import Any

from xphotfn.commands.dss import read_dss

__all__ = ("times_are_cut",)

_OWN = re.compile(r"STDGTI\d*", re.IGNORECASE)


def times_are_cut(header: Any) -> bool:
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
