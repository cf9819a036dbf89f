"""How many sources of a list have each flag, in words."""

from collections import Counter
from collections.abc import Iterable

from xphotfn.records.source import DetectedSource, SourceFlag

__all__ = ("flagged",)


def flagged(sources: Iterable[DetectedSource]) -> str:
    """Return how many sources have each flag, empty without any: what is no fluctuation may still be no source.

    Examples
    --------
    >>> held = DetectedSource(number=1, ra_deg=9, dec_deg=9, position_error_arcsec=1, det_ml=25, flags=64)
    >>> flagged([held, held])
    '; 2 of them flagged POSITION_HELD'
    """
    numbers = Counter(name for source in sources for name in source.flag_names)
    there = [f"{numbers[str(flag.name)]} of them flagged {flag.name}" for flag in SourceFlag if numbers[str(flag.name)]]
    return "; " * bool(there) + ", ".join(there)
