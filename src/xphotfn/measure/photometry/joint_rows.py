"""What a joint table takes of a table of photometry: columns in known units, checks of its rows, what is carried."""

from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.io.exposure_units import EXPOSURE_UNITS, one_unit
from xphotfn.measure.map_facts import UNKNOWN, same_patterns
from xphotfn.measure.photometry.columns import COLUMNS, units_of
from xphotfn.records.instrument import COMBINED
from xphotfn.science.coords import separation_deg

__all__ = (
    "carried",
    "events_of_groups",
    "exposure_unit_of",
    "flags_of",
    "groups_of",
    "require_different_maps",
    "require_one_place",
    "require_one_rate",
    "require_possible",
    "require_same_events",
    "single_counts",
    "texts_of",
    "values_of",
)

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
PLACE_ARCSEC = 0.1  # by which rows of one position may lie apart, as after rounding in a file
SAME = 1e-9  # relative difference of counts that is rounding
RADIUS = 1e-6  # relative difference of radii that is rounding
DERIVED = ("flux", "luminosity")  # columns that fluxes() and luminosity() add


def exposure_unit_of(table: Any) -> Any:
    """Return the unit of the maps that a table was made of, s or cm2 s, by its columns' units and ``exposure_unit``.

    Raises
    ------
    UnitMismatch
        If neither says it, it is another one, or they are several.
    """
    found = [_named(text) for text in np.unique(texts_of(table, "exposure_unit"))] if _says_unit(table) else []
    unit = getattr(table["exposure_mean"], "unit", None)
    if unit is not None:
        found.append(_equivalent(unit))
    if not found:
        raise UnitMismatch(
            "exposure_mean has no unit and there is no column exposure_unit, so rates could be in ct/s or in "
            'photon/(cm2 s): give the unit, as in table["exposure_mean"].unit = "s"'
        )
    return one_unit(found, "the table")


def _says_unit(table: Any) -> bool:
    return "exposure_unit" in table.colnames and len(table) > 0


def _named(text: str) -> Any:
    for unit in EXPOSURE_UNITS:
        if str(unit) == text:
            return unit
    raise UnitMismatch(f"the column exposure_unit must hold s or cm2 s in every row, got {text!r}")


def _equivalent(given: Any) -> Any:
    for unit in EXPOSURE_UNITS:
        if given.is_equivalent(unit):
            return unit
    raise UnitMismatch(f"exposure_mean must be in s or cm2 s, got {given}")


def values_of(table: Any, name: str) -> Floats:
    """Return a column as floats in the unit it has in a table of photometry; masked elements are NaN.

    Raises
    ------
    UnitMismatch
        If its unit cannot be turned into that.
    """
    column = table[name]
    unit = getattr(column, "unit", None)
    plain = np.ma.filled(np.ma.asarray(getattr(column, "value", column), dtype=np.float64), np.nan)
    own = getattr(table["exposure_mean"], "unit", None)
    units = units_of(_equivalent(own) if own is not None else _named(texts_of(table[:1], "exposure_unit")[0]))
    if unit is not None and name in units:
        try:
            plain = u.Quantity(plain, unit).to_value(units[name])
        except u.UnitConversionError as error:
            raise UnitMismatch(f"{name} must be in {units[name]}, as exposure_mean says, got {unit}") from error
    return np.asarray(plain, dtype=np.float64)


def texts_of(table: Any, name: str) -> NDArray[np.str_]:
    """Return a column as text; masked elements are empty, also where a file gave empty texts back as integers."""
    column = np.ma.asarray(table[name])
    text: NDArray[np.str_] = np.asarray(column.data).astype(str)
    return np.where(np.ma.getmaskarray(column), "", text)


def groups_of(*keys: NDArray[Any]) -> tuple[Rows, Rows]:
    """Return the first row of each group of equal keys, in the order of those rows, and the group of every row."""
    number = np.zeros(keys[0].size, dtype=np.intp)
    for key in keys:
        _, inverse = np.unique(key, return_inverse=True)
        _, number = np.unique(number * (inverse.max(initial=0) + 1) + inverse, return_inverse=True)
    _, first = np.unique(number, return_index=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return first[order], rank[number]


def single_counts(n: Floats, background: Floats, net: Floats, dispersion: Floats) -> Floats:
    """Return the single counts that weighted ones are worth: those with their net counts and their dispersion."""
    found = np.maximum(net + background, 0.0) / dispersion
    return np.asarray(np.where(np.abs(found - n) <= SAME * n, n, found))


def require_possible(table: Any, names: tuple[str, ...]) -> None:
    """Refuse numbers that no measurement has: below 0, and a dispersion of 0.

    Raises
    ------
    InvalidRecord
        If there is one; NaN, of what a map does not see, is none.
    """
    for name in names:
        values, above = values_of(table, name), name.endswith("dispersion")
        for row in np.flatnonzero((values <= 0) if above else (values < 0))[:1]:
            rule = "must be above 0" if above else "must not be negative"
            raise InvalidRecord(
                f"{name} {rule}, got {values[row]:g} in row {row}: give the table as photometry made it"
            )


def require_one_place(table: Any) -> None:
    """Refuse rows that have the number of one position and lie at several.

    Raises
    ------
    InvalidRecord
        If they lie more than 0.1 arcsec apart, as in stacked tables that both count from 0.
    """
    first, group = groups_of(np.asarray(table["position"]))
    ra, dec = values_of(table, "ra"), values_of(table, "dec")
    apart = 3600 * separation_deg(ra, dec, ra[first][group], dec[first][group])
    for row in np.flatnonzero(apart > PLACE_ARCSEC)[:1]:
        raise InvalidRecord(
            f"position {table['position'][row]} lies at two places {apart[row]:.3g} arcsec apart (rows "
            f"{first[group[row]]} and {row}): give every place of stacked tables a number of its own"
        )


def require_one_rate(table: Any, first: Rows, group: Rows) -> None:
    """Refuse rows of one group whose rates are of different things.

    Raises
    ------
    InvalidRecord
        If ``rate_of`` differs, or the radius where the rate is that of the aperture.
    """
    kind = texts_of(table, "rate_of") if "rate_of" in table.colnames else np.full(len(table), "aperture")
    for row in np.flatnonzero(kind != kind[first][group])[:1]:
        raise InvalidRecord(
            f"position {table['position'][row]} has rates of {kind[first[group[row]]]} and of {kind[row]} in rows "
            f"{first[group[row]]} and {row}: they are no one rate; measure all with the same psf, or give enclosed="
        )
    if "radius" not in table.colnames:
        return
    radius = values_of(table, "radius")
    other = np.abs(radius - radius[first][group]) > RADIUS * radius
    for row in np.flatnonzero(other & (kind == "aperture"))[:1]:
        raise InvalidRecord(
            f"position {table['position'][row]} has circles of {radius[first[group[row]]]:.6g} and {radius[row]:.6g} "
            f"arcsec in rows {first[group[row]]} and {row}, whose light differs: use one radius, or psf="
        )


def require_same_events(table: Any, group: Rows) -> None:
    """Refuse rates of one camera that count other events, and exposures with and without vignetting.

    Raises
    ------
    InvalidRecord
        If ``patterns`` differ in the rows of one camera, or ``vignetting`` in those that are joined; what is unknown is
        not compared.
    """
    camera = texts_of(table, "instrument")
    for name, of in (("patterns", groups_of(group, camera)[1]), ("vignetting", group)):
        if name not in table.colnames:
            continue
        text = texts_of(table, name)
        known = _first_known(text, of)
        for row in np.flatnonzero(_is_known(text) & (text != known[of])):
            if name == "patterns" and same_patterns(str(camera[row]), str(text[row]), str(known[of[row]])):
                continue
            raise InvalidRecord(
                f"position {table['position'][row]} joins rates of {name} {known[of[row]]} and {text[row]} (row "
                f"{row}), which differ: make all images and exposure maps in one way, or take the rows of one kind"
            )


def events_of_groups(table: Any, first: Rows, group: Rows) -> dict[str, NDArray[np.str_]]:
    """Return ``patterns`` and ``vignetting`` of joined rows; patterns of several cameras are ``several``."""
    result = {}
    for name in ("patterns", "vignetting"):
        if name in table.colnames:
            text, camera = texts_of(table, name), texts_of(table, "instrument")
            known = _first_known(text, group)
            mixed = np.isin(np.arange(first.size), group[camera != camera[first][group]])
            result[name] = np.where(mixed & (name == "patterns"), "several", known)
    return result


def _is_known(text: NDArray[np.str_]) -> NDArray[np.bool_]:
    return np.asarray((text != UNKNOWN) & (text != ""))


def _first_known(text: NDArray[np.str_], group: Rows) -> NDArray[np.str_]:
    """Return the first value of each group that is known."""
    rows = np.flatnonzero(_is_known(text))[::-1]
    found = np.full(group.max(initial=-1) + 1, UNKNOWN, dtype=np.result_type(text.dtype, "<U7"))
    found[group[rows]] = text[rows]
    return found


def require_different_maps(table: Any, used: NDArray[np.bool_], group: Rows) -> None:
    """Refuse counts that would count twice: a map that comes twice, or a mosaic beside single maps.

    Without exposure identifiers rows of one observation and camera are the same when their numbers are.

    Raises
    ------
    InvalidRecord
        If a row that is used repeats another, or is joined with a combined map.
    """
    rows = np.flatnonzero(used)
    obs_id, camera = (texts_of(table, name)[rows] for name in ("obs_id", "instrument"))
    exposure = texts_of(table, "exposure_id")[rows] if "exposure_id" in table.colnames else np.full(rows.size, "")
    unknown = exposure == ""
    keys = [group[rows], obs_id, exposure, camera]
    if np.any(unknown):
        names = ("counts", "background_counts", "alpha", "exposure_mean")
        keys += [np.where(unknown, values_of(table, name)[rows], 0.0) for name in names]
    first, same = groups_of(*keys)
    for n in np.flatnonzero(first[same] != np.arange(rows.size))[:1]:
        raise InvalidRecord(
            f"rows {rows[first[same[n]]]} and {rows[n]} are both of position {table['position'][rows[n]]} in "
            f"{' '.join(v for v in (obs_id[n], exposure[n], camera[n]) if v)}: its counts would count twice; give "
            "each map once"
        )
    mosaic = (obs_id == COMBINED) | (camera == COMBINED)
    mixed = np.intersect1d(group[rows[mosaic]], group[rows[~mosaic]])
    for row in rows[np.isin(group[rows], mixed)][:1]:
        raise InvalidRecord(
            f"position {table['position'][row]} joins a combined map with single ones, whose counts it may hold: take "
            "the rows of one kind"
        )


def flags_of(table: Any, used: NDArray[np.bool_], group: Rows, size: int) -> NDArray[np.int64]:
    """Return the bits of all rows of each group that are used; of all its rows where none is."""
    flags = np.asarray(np.ma.filled(table["flags"], 0)).astype(np.int64)
    none = ~np.isin(group, group[used])
    result = np.zeros(size, dtype=np.int64)
    np.bitwise_or.at(result, group[used | none], flags[used | none])
    return result


def carried(table: Any, first: Rows, group: Rows, taken: Any) -> dict[str, Any]:
    """Return the other columns that have one value in each group, those that photometry carries among them.

    Fluxes and luminosities of single rows are no joint ones, and of another confidence: they become ``input_flux``.
    """
    result = {}
    for name in table.colnames:
        if name in COLUMNS and name not in ("radius", "exposure_unit", "filter"):
            continue
        column = table[name]
        if _agree(column, column[first][group]):
            derived = name.startswith(DERIVED)
            result[f"input_{name}" if derived or name in taken else name] = column[first]
    return result


def _agree(column: Any, other: Any) -> bool:
    """Return whether columns are equal; NaN equals NaN."""
    equal = (column == other) | ((column != column) & (other != other))
    return bool(np.all(np.ma.filled(np.ma.asarray(equal), True)))
