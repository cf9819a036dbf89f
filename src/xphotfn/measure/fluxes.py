"""Fluxes of the rates of a table, by energy conversion factors."""

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ProductMissing, UnitMismatch
from xphotfn.measure.factors import FLUX_COLUMNS, RATE_COLUMNS, EcfLike, factors_of_rows
from xphotfn.measure.photometry.columns import RATE_OF
from xphotfn.measure.photometry.joint_rows import texts_of
from xphotfn.records.ecf import FLUX_UNIT

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ("fluxes", "light_of_rates", "with_enclosed")

Floats = NDArray[np.float64]


def fluxes(table: "Table", *, ecf: EcfLike) -> Any:
    """Add fluxes to a table of rates.

    Parameters
    ----------
    table
        As :func:`photometry` gives it, or :func:`joint_photometry` without ``response``, or read back from a file: with
        the columns ``instrument``, ``filter`` and ``band``, and some of ``rate``, ``rate_low``, ``rate_high`` and
        ``upper_limit`` in ct/s.
    ecf
        One :class:`Ecf`, several, or a mapping of them by camera: there has to be one for the camera, filter and band
        of each row.

    Returns
    -------
    QTable
        A copy of the table with ``flux``, ``flux_low``, ``flux_high`` and ``flux_limit`` in erg/cm2/s, each the rate
        over the factor; ``flux_systematic``, their relative error that no count tells: the factor's, and with ``psf``
        that of the enclosed fraction, in quadrature; it is in no interval. ``flux_kind`` is ``absorbed`` or
        ``unabsorbed``, and ``flux_spectrum`` the spectrum of the factor. The meta has the factors as text (``ECF1`` and
        so on), ``FLUXOF``, of what light the fluxes are, as the column ``rate_of`` says (without ``psf`` the light in
        the circle, which for a point is not all of it), and what could not be compared of rows and factors (``NOTE1``
        and so on).

    Raises
    ------
    ProductMissing
        If a column is missing, or there is no factor for a row's camera, filter and band.
    InvalidRecord
        If rows are of several cameras, absorbed and unabsorbed factors are mixed, the effective area behind a factor
        holds what the rate was corrected for, or not the vignetting that it was not corrected for, a factor is of other
        event patterns than the row, or the table has fluxes already.
    UnitMismatch
        If rates are not in ct/s, as those of exposure maps in cm2 s.

    Examples
    --------
    >>> import xphotfn as xp
    >>> from xphotfn.testing.examples import example_rate_map
    >>> rate_map = example_rate_map()
    >>> table = xp.photometry(rate_map, [149.591375, -11.0887] * u.deg, 20 * u.arcsec, psf="epic")
    >>> factor = xp.power_law_ecf(rate_map.instrument, filter=rate_map.filter, band=rate_map.band,
    ...                           gamma=1.7, nh=3e20 / u.cm**2, absorbed=True)
    >>> result = fluxes(table, ecf=factor)
    >>> bool(abs(result["flux"][0] * factor.value / result["rate"][0] - 1) < 1e-12), str(result["flux_kind"][0])
    (True, 'absorbed')
    """
    from xphotfn.records.result_table import ResultTable

    _require_rates(table)
    factors = factors_of_rows(table, ecf)
    rates = {name: _rates(table, name) for name in RATE_COLUMNS if name in table.colnames}
    result = ResultTable(table, copy=True)
    result.meta |= {"FLUXOF": light_of_rates(table["rate_of"] if "rate_of" in table.colnames else ()), **factors.meta}
    for flux, rate in zip(FLUX_COLUMNS, RATE_COLUMNS, strict=True):
        if rate in rates:
            result[flux] = u.Quantity(rates[rate] / factors.values, FLUX_UNIT)
            result[flux].info.description = f"{rate} over the factor: of {result.meta['FLUXOF']}"
    result["flux_systematic"] = with_enclosed(table, factors.systematic)
    result["flux_kind"] = np.full(len(table), factors.kind, dtype="<U10")
    result["flux_spectrum"] = factors.spectrum
    return result


def with_enclosed(table: Any, systematic: Floats) -> Floats:
    """Return the systematic errors of the rows with that of the profile, where the table has it."""
    if "enclosed_systematic" not in table.colnames:
        return systematic
    profile = np.ma.filled(np.ma.asarray(table["enclosed_systematic"], dtype=np.float64), np.nan)
    return np.asarray(np.hypot(systematic, profile), dtype=np.float64)


def light_of_rates(rate_of: Any) -> str:
    """Return of what light rates, and so fluxes, are, by a column ``rate_of``, for the meta of a table.

    Examples
    --------
    >>> light_of_rates(["aperture", "aperture"])
    'the light in the whole circle: what is not live is filled'
    """
    kinds = {str(kind) for kind in np.ma.filled(np.ma.asarray(rate_of), "")}
    if len(kinds) > 1:
        return "what the column rate_of says"
    return RATE_OF.get(next(iter(kinds), ""), "what the table does not say: it has no column rate_of")


def _require_rates(table: Any) -> None:
    from astropy.table import Table

    if not isinstance(table, Table):
        raise ProductMissing(
            f"fluxes needs a table of rates, as photometry() returns it, got {type(table).__name__}: give that table, "
            "table[0:1] for one row, or one read back with QTable.read or QTable.from_pandas"
        )
    names = table.colnames
    missing = [name for name in ("instrument", "band") if name not in names]
    if missing or not {*names} & {*RATE_COLUMNS}:
        lacking = ", ".join(missing) or "rate"
        raise ProductMissing(f"fluxes needs a table of rates, as photometry() returns it; this one lacks {lacking}")
    there = [name for name in names if name.startswith("flux")]
    if there:
        raise InvalidRecord(f"the table has {', '.join(there)} already: give the table of rates")


def _rates(table: Any, name: str) -> Floats:
    """Return a column of rates in ct/s; masked elements are NaN."""
    column = table[name]
    unit = getattr(column, "unit", None)
    if unit is None:
        unit = u.ct / u.s if _says_seconds(table) else None
    if unit is None:
        raise UnitMismatch(f'{name} has no unit: give it, as in table["{name}"].unit = "ct / s"')
    plain = np.ma.filled(np.ma.asarray(getattr(column, "value", column), dtype=np.float64), np.nan)
    try:
        return np.asarray(u.Quantity(plain, unit).to_value(u.ct / u.s))
    except u.UnitConversionError as error:
        how = f'give the unit of a rate, as in table["{name}"].unit = "ct / s"'
        if u.Unit(unit).is_equivalent(u.photon / u.cm**2 / u.s) or u.Unit(unit).is_equivalent(u.ct / u.cm**2 / u.s):
            how = "such rates are photon fluxes already, and a factor would count the area twice; make the map in s"
        raise UnitMismatch(f"{name} must be in ct/s to become a flux, got {unit}: {how}") from error


def _says_seconds(table: Any) -> bool:
    return "exposure_unit" in table.colnames and bool(np.all(texts_of(table, "exposure_unit") == "s"))
