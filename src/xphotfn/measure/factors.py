"""Which energy conversion factor belongs to which row of a table: by camera, filter and band, or an error."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ProductMissing, UnitMismatch
from xphotfn.io.products import RateMap
from xphotfn.measure.map_facts import UNCORRECTED, UNKNOWN, patterns_of, same_patterns, vignetting_of
from xphotfn.measure.photometry.joint_rows import groups_of, texts_of
from xphotfn.records.band import Band
from xphotfn.records.ecf import Ecf, blocking_filter
from xphotfn.records.fields import of_kind
from xphotfn.records.instrument import COMBINED, camera_name, is_epic

__all__ = ("FLUX_COLUMNS", "RATE_COLUMNS", "EcfLike", "RowFactors", "band_texts", "ecfs_of",
           "factors_of_maps", "factors_of_rows")  # fmt: skip

RATE_COLUMNS = ("rate", "rate_low", "rate_high", "upper_limit")
FLUX_COLUMNS = ("flux", "flux_low", "flux_high", "flux_limit")
_MAKER = "power_law_ecf(...) or ecf_from_response(...)"


class RowFactors(NamedTuple):
    """For each row its factor in ct cm2/erg, its systematic and its spectrum; which flux they give.

    ``used`` are the factors, and ``of_row`` is the place among them of that of each row.
    ``notes`` say what could not be compared, for the meta of a table.
    """

    values: NDArray[np.float64]
    systematic: NDArray[np.float64]
    spectrum: NDArray[np.str_]
    kind: str
    used: tuple[Ecf, ...]
    of_row: NDArray[np.intp]
    notes: tuple[str, ...] = ()

    @property
    def meta(self) -> dict[str, str]:
        """Factors and notes as the meta of a table has them: ``ECF1`` and so on, ``NOTE1`` and so on."""
        said = {f"ECF{number}": str(ecf) for number, ecf in enumerate(self.used, start=1)}
        return said | {f"NOTE{number}": note for number, note in enumerate(self.notes, start=1)}


EcfLike: TypeAlias = Ecf | Iterable[Ecf] | Mapping[str, Ecf | Iterable[Ecf]]
"""One factor, several, or those of each camera."""


def ecfs_of(given: EcfLike) -> tuple[Ecf, ...]:
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
                if camera_name(ecf.instrument) != camera_name(camera):
                    raise InvalidRecord(f"the factor under {camera!r} is of {ecf.instrument}: give each its own")
            found += mine
    else:
        several = isinstance(given, Iterable) and not isinstance(given, str | u.Quantity)
        each: Any = given if several else (given,)
        found = [of_kind(item, Ecf, _MAKER) for item in each]
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
        With the columns ``instrument``, ``filter`` and ``band``, and what is known of ``rate_of``, ``patterns`` and
        ``vignetting``.
    given
        As in :func:`ecfs_of`.

    Raises
    ------
    ProductMissing
        If a column is missing, or no factor is of a row's camera, filter and band.
    InvalidRecord
        If a row is of several cameras, its rate has been corrected for what the factor's effective area holds, or not
        for the vignetting that it does not hold, or counts events of other patterns.
    """
    ecfs = ecfs_of(given)
    if "filter" not in table.colnames:
        raise ProductMissing(
            "the table has no column filter, which a factor hangs on: measure again with photometry, or add it, as in "
            'table["filter"] = "Thin1"'
        )
    by_row = {(ecf.instrument, ecf.filter, text): ecf for ecf in ecfs for text in band_texts(ecf.band)}
    keys = [_texts(table, name) for name in _Row._fields]
    first, group = groups_of(*keys)
    rows = [_Row(*map(str, row)) for row in zip(*(key[first] for key in keys), strict=True)]
    chosen = [_chosen(by_row, row) for row in rows]
    used = tuple(dict.fromkeys(chosen))
    of_row = np.array([used.index(ecf) for ecf in chosen], dtype=np.intp)[group]
    values, systematic = (
        np.array([getattr(ecf, name) for ecf in used], dtype=np.float64)[of_row]
        for name in ("ct_cm2_per_erg", "systematic")
    )
    spectrum = np.array([str(ecf.spectrum) for ecf in used], dtype=np.str_)[of_row]
    kind = ecfs[0].kind if ecfs else ""
    notes = dict.fromkeys(note for row, ecf in zip(rows, chosen, strict=True) for note in _not_compared(row, ecf))
    return RowFactors(values, systematic, spectrum, kind, used, of_row, tuple(notes))


def factors_of_maps(maps: Sequence[RateMap], given: Any) -> RowFactors:
    """Return the factor of each map for the whole light of a source, by the rules of :func:`factors_of_rows`.

    Raises
    ------
    ProductMissing, InvalidRecord
        As :func:`factors_of_rows`.
    UnitMismatch
        If an exposure is in cm2 s.
    """
    from astropy.table import Table

    for item in (m for m in maps if m.exposure.unit != u.s):
        raise UnitMismatch(
            f"the exposure of {item} is in {item.exposure.unit}: its rates are photon fluxes already, and a factor "
            "would count the area twice; make the map in s"
        )
    for item in (m for m in maps if is_epic(m.instrument) and not blocking_filter(m.filter)):
        raise ProductMissing(
            f"the header of {item.path} does not say its filter, which a factor hangs on: write it into the card FILTER"
        )
    rows = [
        _Row(m.instrument, m.filter or UNKNOWN, str(m.band), "source", patterns_of(m), vignetting_of(m)) for m in maps
    ]
    return factors_of_rows(Table(rows=rows, names=_Row._fields), given)


class _Row(NamedTuple):
    """What a factor hangs on, as the columns of a table say it."""

    instrument: str
    filter: str
    band: str
    rate_of: str
    patterns: str
    vignetting: str

    def __str__(self) -> str:
        return _who(*self[:3])


_MAY_LACK = ("rate_of", "patterns", "vignetting")


def _texts(table: Any, name: str) -> NDArray[np.str_]:
    """Return a column as text; what tables may lack and what is empty is unknown."""
    if name not in _MAY_LACK:
        return texts_of(table, name)
    found = texts_of(table, name) if name in table.colnames else np.full(len(table), UNKNOWN)
    return np.where(found == "", UNKNOWN, found)


def _who(*words: str) -> str:
    return " ".join(word for word in words if word)


def band_texts(band: Band) -> tuple[str, ...]:
    """Return how tables write a band and those that are called the same."""
    of = band.nominal
    ends = [(lo, hi) for lo in (of.lo_ev, of.lo_ev + 1) for hi in (of.hi_ev, of.hi_ev - 1) if lo < hi]
    same = [other for other in (Band(lo_ev=lo, hi_ev=hi) for lo, hi in ends) if other.nominal == of]
    return tuple(dict.fromkeys(str(other) for other in (band, *same)))


def _chosen(ecfs: Mapping[tuple[str, str, str], Ecf], row: _Row) -> Ecf:
    camera, chosen = row.instrument, row.filter
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
            f"a row of {camera} does not say its filter, which a factor hangs on: write it into the column filter, "
            "such as Thin1"
        )
    found = ecfs.get((camera, blocking_filter(chosen), row.band))
    if found is None:
        given = dict.fromkeys(_who(ecf.instrument, ecf.filter, str(ecf.band)) for ecf in ecfs.values())
        there = "; ".join(given) or "none"
        raise ProductMissing(f"no factor is of {row}; those given are of {there}: make one with {_MAKER}")
    _require_same_light(row, found)
    _require_same_events(row, found)
    return found


def _require_same_light(row: _Row, ecf: Ecf) -> None:
    """Refuse a factor whose effective area is of other light than the rate."""
    if row.vignetting == UNCORRECTED and "vignetting" not in ecf.arf_includes:
        raise InvalidRecord(
            f"a row of {row} was measured on an exposure map without vignetting, so its rate falls with the distance "
            "from the axis, and its flux would too: measure with a map that has it (eexpmap withvignetting=yes), or "
            "give a factor of an ARF made at the source, arf_includes=('vignetting',)"
        )
    if row.vignetting != UNCORRECTED and "vignetting" in ecf.arf_includes:
        raise InvalidRecord(
            f"the effective area of {row} includes vignetting, which the exposure map corrected already: make "
            "the ARF on axis"
        )
    if "enclosed" in ecf.arf_includes and row.rate_of == "source":
        raise InvalidRecord(
            f"the effective area of {row} includes the enclosed fraction, which psf= corrected already: make "
            "the ARF without it (arfgen modelee=no), or measure without psf"
        )


def _require_same_events(row: _Row, ecf: Ecf) -> None:
    if UNKNOWN in (row.patterns, ecf.patterns or UNKNOWN) or same_patterns(row.instrument, row.patterns, ecf.patterns):
        return
    raise InvalidRecord(
        f"a row of {row} counts events of PATTERN {row.patterns}, and its factor is of {ecf.patterns}: make the image "
        "with those, or fold the response of yours with ecf_from_response(..., patterns=...)"
    )


def _not_compared(row: _Row, ecf: Ecf) -> Iterator[str]:
    """Say what nothing tells of rows or their factor, and so was not compared."""
    if row.vignetting == UNKNOWN:
        yield f"{row}: nothing says whether rates are corrected for vignetting; taken as corrected"
    if row.rate_of == UNKNOWN and "enclosed" in ecf.arf_includes:
        yield f"{row}: nothing says whether rates are of the circle or of the whole source; taken as of the circle"
    if is_epic(row.instrument) and row.patterns == UNKNOWN:
        yield f"{row}: event patterns unknown; taken as those of the factor ({ecf.patterns or UNKNOWN})"
    elif is_epic(row.instrument) and not ecf.patterns:
        yield f"{row}: the factor does not say its event patterns; taken as those of the rows ({row.patterns})"
