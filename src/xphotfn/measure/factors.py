"""Which energy conversion factor belongs to which row of a table: by camera, filter and band, or an error."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.measure.joint_table import COMBINED, groups_of, texts_of
from xphotfn.records._fields import of_kind
from xphotfn.records.band import Band
from xphotfn.records.ecf import Ecf, blocking_filter
from xphotfn.records.instrument import is_epic

__all__ = ("FLUX_COLUMNS", "RATE_COLUMNS", "RowFactors", "band_texts", "ecfs_of", "factors_of_rows")

RATE_COLUMNS = ("rate", "rate_low", "rate_high", "upper_limit")
FLUX_COLUMNS = ("flux", "flux_low", "flux_high", "flux_limit")
_MAKER = "power_law_ecf(...) or ecf_from_response(...)"


class RowFactors(NamedTuple):
    """For each row its factor in ct cm2/erg and its systematic; which flux they give, and the factors used."""

    values: NDArray[np.float64]
    systematic: NDArray[np.float64]
    kind: str
    used: tuple[Ecf, ...]


def ecfs_of(given: Any) -> tuple[Ecf, ...]:
    """Return one factor, several, or those of a mapping by camera, as a tuple.

    Raises
    ------
    InvalidRecord
        If something else is given, a factor stands under another camera's name, two are of one camera, filter and band,
        or absorbed and unabsorbed ones are mixed.
    """
    if isinstance(given, Mapping):
        found: list[Ecf] = []
        for camera, item in given.items():
            mine = ecfs_of(item)
            for ecf in mine:
                if ecf.instrument != str(camera):
                    raise InvalidRecord(f"the factor under {camera!r} is of {ecf.instrument}: give each its own")
            found += mine
    else:
        several = isinstance(given, Iterable) and not isinstance(given, str)
        found = [of_kind(item, Ecf, _MAKER) for item in (given if several else (given,))]
    kinds = {ecf.kind for ecf in found}
    if len(kinds) > 1:
        raise InvalidRecord("absorbed and unabsorbed factors are mixed, whose fluxes differ: use one kind for all rows")
    seen: dict[tuple[str, str, Band], Ecf] = {}
    for ecf in found:
        if seen.setdefault((ecf.instrument, ecf.filter, ecf.band.nominal), ecf) != ecf:
            raise InvalidRecord(f"two factors are of {_who(ecf.instrument, ecf.filter, str(ecf.band))}: give one")
    return tuple(dict.fromkeys(found))


def factors_of_rows(table: Any, given: Any) -> RowFactors:
    """Return the factor of each row of a table of rates.

    Parameters
    ----------
    table
        With the columns ``instrument``, ``filter`` and ``band``.
    given
        As in :func:`ecfs_of`.

    Raises
    ------
    ProductMissing
        If a column is missing, or no factor is of a row's camera, filter and band.
    InvalidRecord
        If a row is of several cameras, or its rate has been corrected for what the factor's effective area holds.
    """
    ecfs = ecfs_of(given)
    if "filter" not in table.colnames:
        raise ProductMissing(
            "the table has no column filter, which a factor hangs on: measure again with photometry, or add it, as in "
            'table["filter"] = "Thin1"'
        )
    by_row = {(ecf.instrument, ecf.filter, text): ecf for ecf in ecfs for text in band_texts(ecf.band)}
    keys = [texts_of(table, name) for name in ("instrument", "filter", "band")]
    keys.append(texts_of(table, "rate_of") if "rate_of" in table.colnames else np.full(len(table), "aperture"))
    first, group = groups_of(*keys)
    rows = zip(*(key[first] for key in keys), strict=True)
    chosen = [_chosen(by_row, (str(c), str(f), str(b)), str(of)) for c, f, b, of in rows]
    values, systematic = (
        np.array([getattr(ecf, name) for ecf in chosen], dtype=np.float64)[group]
        for name in ("ct_cm2_per_erg", "systematic")
    )
    kind = ecfs[0].kind if ecfs else ""
    return RowFactors(values, systematic, kind, tuple(dict.fromkeys(chosen)))


def _who(*words: str) -> str:
    return " ".join(word for word in words if word)


def band_texts(band: Band) -> tuple[str, ...]:
    """Return how tables write a band and those that are called the same."""
    of = band.nominal
    ends = [(lo, hi) for lo in (of.lo_ev, of.lo_ev + 1) for hi in (of.hi_ev, of.hi_ev - 1) if lo < hi]
    same = [other for other in (Band(lo_ev=lo, hi_ev=hi) for lo, hi in ends) if other.nominal == of]
    return tuple(dict.fromkeys(str(other) for other in (band, *same)))


def _chosen(ecfs: Mapping[tuple[str, str, str], Ecf], row: tuple[str, str, str], rate_of: str) -> Ecf:
    camera, chosen, band = row
    if camera == COMBINED:
        raise InvalidRecord(
            "a row is of several cameras, which have no factor together: measure the single maps, and join them with "
            "joint_photometry(table, response=ecfs)"
        )
    if blocking_filter(chosen) == "Closed":
        raise InvalidRecord(
            f"a row is of {camera} with the filter Closed, which passes no light of the sky: leave it out"
        )
    if not blocking_filter(chosen) and is_epic(camera):
        raise ProductMissing(
            f"a row of {camera} does not say its filter, which a factor hangs on: write it into the column filter, as "
            "as Thin1"
        )
    found = ecfs.get((camera, blocking_filter(chosen), band))
    if found is None:
        there = "; ".join(_who(*key) for key in ecfs) or "none"
        raise ProductMissing(
            f"no factor is of {_who(camera, chosen, band)}; those given are of {there}: make one with {_MAKER}"
        )
    if "vignetting" in found.arf_includes:
        raise InvalidRecord(
            f"the effective area of {_who(*row)} includes vignetting, which the exposure map corrected already: make "
            "the ARF on axis"
        )
    if "enclosed" in found.arf_includes and rate_of == "source":
        raise InvalidRecord(
            f"the effective area of {_who(*row)} includes the enclosed fraction, which psf= corrected already: make "
            "the ARF without it (arfgen modelee=no), or measure without psf"
        )
    return found
