"""Hardness ratios of the rows of a table of photometry: every position on every map, in pairs of bands."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.measure.photometry.columns import ApertureFlag
from xphotfn.measure.photometry.joint_rows import (
    carried,
    exposure_unit_of,
    groups_of,
    require_one_place,
    require_one_rate,
    require_possible,
    single_counts,
    texts_of,
    values_of,
)
from xphotfn.records.band import Band, band_of_text
from xphotfn.records.fields import of_kind
from xphotfn.science.hardness_ratio import hardness_ratio
from xphotfn.science.intervals import ONE_SIGMA

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ("hardness_ratios",)

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
KEYS = ("position", "obs_id", "exposure_id", "instrument")
_NEEDED = (*KEYS, "band", "ra", "dec", "counts", "background_counts", "alpha", "exposure_mean", "rate", "rate_of",
           "effective_exposure", "dispersion")  # fmt: skip


def hardness_ratios(
    table: "Table",
    *,
    bands: Iterable[tuple[Band, Band]] | None = None,
    confidence: float = ONE_SIGMA,
    prior: float = 1.0,
) -> Any:
    """Return the hardness ratio ``(H - S)/(H + S)`` of each position on each camera, H and S the rates in two bands.

    Parameters
    ----------
    table
        As :func:`photometry` gives it of maps of two or more bands, or read back from a file.
    bands
        Pairs of a soft and a hard band. Default: each band of the table with the next harder one.
    confidence
        Probability of the interval, the same on both sides.
    prior
        Index of the Gamma prior of both rates: 1 is flat, as that of the rates; 0.5 is Jeffreys' for counts.

    Returns
    -------
    QTable
        One row for each pair of bands, position and map: ``soft_band``, ``hard_band``, ``hardness`` (the median of the
        posterior), ``hardness_low`` and ``hardness_high`` (equal tails), ``soft_rate`` and ``hard_rate``, and
        ``flags`` of both rows, a sum of :class:`ApertureFlag`. NaN where a band is missing or not seen. What has one
        value in all rows of a position on a map is carried.

    Raises
    ------
    ProductMissing
        If a column is missing, or the table has fewer than two bands, or none of a pair.
    InvalidRecord
        If bands of a pair overlap, whose counts would be in both, the soft one is the harder, a map comes twice, rows
        of a pair are of different circles, or a number breaks its rule.

    Notes
    -----
    The posteriors are those behind the rates, of the same counts, backgrounds and light; :func:`hardness_ratio` joins
    them. Each camera has a ratio of its own, since its area differs from band to band.

    Examples
    --------
    >>> import astropy.units as u
    >>> from attrs import evolve
    >>> from xphotfn.measure.photometry.apertures import photometry
    >>> from xphotfn.testing.examples import example_rate_map
    >>> soft = example_rate_map()
    >>> again = {"band": Band(lo_ev=2000, hi_ev=10000)}  # the same counts, as if in a harder band
    >>> hard = evolve(soft, image=evolve(soft.image, **again), exposure=evolve(soft.exposure, **again))
    >>> table = photometry([soft, hard], [149.591375, -11.0887] * u.deg, 20 * u.arcsec, psf="epic")
    >>> result = hardness_ratios(table)
    >>> bool(result["hardness_low"][0] < 0 < result["hardness_high"][0]), str(result["hard_band"][0])
    (True, '2-10 keV')
    """
    from astropy.table import vstack

    from xphotfn.records.result_table import ResultTable

    missing = [name for name in _NEEDED if name not in getattr(table, "colnames", ())]
    if missing:
        raise ProductMissing(f"hardness_ratios needs a table of photometry(); this one lacks {', '.join(missing)}")
    exposure_unit_of(table)
    require_one_place(table)
    names = texts_of(table, "band")
    first, group = groups_of(*(texts_of(table, name) for name in KEYS))
    measured, flags = _on_off(table), _flags(table)
    parts = []
    for soft, hard in _pairs(names, bands):
        rows = [_rows_of(table, np.flatnonzero(names == str(band)), group, first.size) for band in (soft, hard)]
        _require_one_light(table, rows)
        columns = _columns(table, rows, measured, flags, (confidence, prior))
        shared = {**{name: table[name][first] for name in (*KEYS, "ra", "dec")},
                  "soft_band": np.full(first.size, str(soft)), "hard_band": np.full(first.size, str(hard))}  # fmt: skip
        parts.append(ResultTable({**shared, **columns, **carried(table, first, group, {*shared, *columns})}))
    result = ResultTable(vstack(parts, metadata_conflicts="silent"), copy=False)
    result.meta = {f"FLAG{flag.value}": str(flag.name) for flag in ApertureFlag} | {
        "CONFID": confidence,
        "PRIOR": prior,
    }
    return result


def _pairs(names: NDArray[np.str_], given: Iterable[tuple[Band, Band]] | None) -> tuple[tuple[Band, Band], ...]:
    """Return the pairs of bands, all of them in the table, each of a soft band and a hard one above it."""
    there = sorted({band_of_text(str(name)) for name in np.unique(names)}, key=lambda band: (band.lo_ev, band.hi_ev))
    if given is None:
        if len(there) < 2:
            raise ProductMissing(f"a hardness ratio needs two bands, the table has {len(there)}: measure maps of both")
        given = pairwise(there)
    pairs = tuple(tuple(of_kind(band, Band, "energy_band(...)") for band in pair) for pair in given)
    for pair in pairs:
        if len(pair) != 2:
            raise InvalidRecord(f"bands must be pairs of a soft and a hard band, got {len(pair)} of them together")
        absent = [str(band) for band in pair if band not in there]
        if absent:
            known = ", ".join(map(str, there))
            raise ProductMissing(f"the table has no band {absent[0]}; it has {known}")
        if pair[0].hi_ev > pair[1].lo_ev:
            raise InvalidRecord(
                f"{pair[0]} must lie below {pair[1]}: where bands overlap, counts would be in both; give bands= in "
                "pairs that do not"
            )
    return tuple((soft, hard) for soft, hard in pairs)


def _rows_of(table: Any, rows: Rows, group: Rows, size: int) -> Rows:
    """Return the row of each group among some rows, -1 where it has none."""
    found = np.full(size, -1, dtype=np.intp)
    found[group[rows]] = rows
    twice = rows[found[group[rows]] != rows]
    if twice.size:
        who = " ".join(str(table[name][twice[0]]) for name in KEYS[1:])
        raise InvalidRecord(
            f"position {table['position'][twice[0]]} is there twice in one band of {who}: give each map once"
        )
    return found


def _require_one_light(table: Any, rows: list[Rows]) -> None:
    """Refuse pairs whose rates are not of the same circle, or of a source and of an aperture."""
    both = np.flatnonzero((rows[0] >= 0) & (rows[1] >= 0))
    pairs = table[np.concatenate([rows[0][both], rows[1][both]])]
    same = np.tile(np.arange(both.size), 2)
    require_one_rate(pairs, np.arange(both.size), same)


def _on_off(table: Any) -> tuple[Floats, ...]:
    """Return counts, background, alpha and what a unit of rate gives in circle and ring, as in its rates."""
    prefix = "centre_" if "centre_counts" in table.colnames else ""
    names = ("centre_counts", "centre_background") if prefix else ("counts", "background_counts")
    require_possible(table, (*names, f"{prefix}alpha", "exposure_mean", "effective_exposure", "dispersion"))
    n, b = (values_of(table, name) for name in names)
    alpha = values_of(table, f"{prefix}alpha")
    rate, effective, each = (values_of(table, f"{prefix}{v}") for v in ("rate", "effective_exposure", "dispersion"))
    on = single_counts(n, alpha * b, rate * effective, each)
    if "ring_fraction" not in table.colnames:
        return on, b / each, alpha, effective / each, np.zeros(n.size)
    mean = values_of(table, "exposure_mean") / each
    circle, ring = (mean * values_of(table, f"{prefix}{name}") for name in ("enclosed_fraction", "ring_fraction"))
    return on, b / each, alpha, circle, ring


def _flags(table: Any) -> NDArray[np.int64]:
    if "flags" not in table.colnames:
        return np.zeros(len(table), dtype=np.int64)
    return np.asarray(np.ma.filled(table["flags"], 0)).astype(np.int64)


def _columns(
    table: Any, rows: list[Rows], measured: tuple[Floats, ...], flags: NDArray[np.int64], how: tuple[float, float]
) -> dict[str, Any]:
    """Return what is measured; rows that cannot be used are NaN."""
    confidence, prior = how
    usable = np.all(np.isfinite(measured), axis=0) & (measured[2] > 0) & (measured[3] > 0)
    sides: list[Any] = []
    for place in rows:
        good = (place >= 0) & usable[place]
        sides.append(tuple(np.where(good, values[place], np.nan) for values in measured))
    low, median, high = hardness_ratio(sides[0], sides[1], confidence=confidence, prior=prior)
    rates: Mapping[str, Any] = {
        f"{name}_rate": _taken(table["rate"], place) for name, place in zip(("soft", "hard"), rows, strict=True)
    }
    bits = [np.where(place >= 0, flags[place], 0) for place in rows]
    return {"hardness": median, "hardness_low": low, "hardness_high": high, **rates, "flags": bits[0] | bits[1]}


def _taken(column: Any, rows: Rows) -> Any:
    """Return rows of a column of numbers, NaN for those of number -1."""
    plain = np.ma.filled(np.ma.asarray(getattr(column, "value", column), dtype=np.float64), np.nan)
    unit = getattr(column, "unit", None)
    found = np.where(rows >= 0, plain[rows], np.nan)
    return found if unit is None else u.Quantity(found, unit)
