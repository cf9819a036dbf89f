"""The counts and the exposure of a map in which sources are looked for, and the maps that have some."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, NoData
from xphotfn.io.products import RateMap

__all__ = ("left_out_text", "searched_counts", "without_empty")

Floats = NDArray[np.float64]
_OFF_MAP_COUNTS, _OFF_MAP_PART = 10, 0.01  # counts without exposure above which image and map do not belong together


def searched_counts(item: RateMap) -> tuple[Floats, Floats]:
    """Return counts and exposure of a map, both 0 where it is not live.

    Raises
    ------
    NoData
        If it has no live pixel or no count.
    InvalidRecord
        If counts lie where there is no exposure.
    """
    counts = np.asarray(item.counts, dtype=np.float64)
    exposure = np.nan_to_num(np.asarray(item.exposure.data, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    exposure = np.where(np.isfinite(counts) & (exposure > 0), exposure, 0.0)
    live = exposure > 0
    if not live.any():
        raise NoData(f"{item} has no pixel with exposure: nothing can be found on it, leave it out")
    off = float(np.nansum(np.where(live, 0.0, counts)))
    total = float(counts[live].sum())
    if off > max(_OFF_MAP_COUNTS, _OFF_MAP_PART * total):
        raise InvalidRecord(
            f"{item} has {off:.0f} counts where there is no exposure, {total:.0f} where there is: the exposure map is "
            "not that of the image, or the image is not filtered (#XMMEA_EM, #XMMEA_EP)"
        )
    if total == 0:
        raise NoData(f"{item} has no count: nothing can be found on it, leave it out")
    return np.where(live, counts, 0.0), exposure


def without_empty(maps: Iterable[RateMap]) -> tuple[tuple[RateMap, ...], tuple[RateMap, ...]]:
    """Return the maps that can be searched, and those without live pixel or count; all of them where none has any.

    Where nothing is left the maps come back as they are: the search then says what is wrong with them.

    Raises
    ------
    InvalidRecord
        As :func:`searched_counts`.
    """
    given = tuple(maps)
    states = [(item, _is_empty(item)) for item in given]
    if all(empty for _, empty in states):
        return given, ()
    return tuple(item for item, empty in states if not empty), tuple(item for item, empty in states if empty)


def _is_empty(item: RateMap) -> bool:
    try:
        searched_counts(item)
    except NoData:
        return True
    return False


def left_out_text(empty: Iterable[RateMap]) -> str:
    """Return what is said of maps that are left out of a search."""
    who = ", ".join(" ".join(filter(None, (m.obs_id, m.instrument, m.exposure_id))) for m in empty)
    return f"{who}: no count, or no pixel with exposure: left out of the search"
