"""Energy conversion factor: counts per second for a flux of one erg/cm2/s."""

import re
from typing import Any, final

import astropy.units as u
import numpy as np
from attrs import field, frozen

from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.html import record_html
from xphotfn.records.band import Band
from xphotfn.records.fields import finite, non_empty, not_negative, of_kind, strings
from xphotfn.records.spectrum import Bremsstrahlung, PowerLaw, Spectrum, SpectrumTable

__all__ = ("ARF_PARTS", "ECF_UNIT", "FLUX_UNIT", "Ecf", "blocking_filter", "said_absorbed")

ECF_UNIT = u.ct * u.cm**2 / u.erg
FLUX_UNIT = u.erg / u.cm**2 / u.s
ARF_PARTS = ("vignetting", "enclosed")
"""What an effective area may hold beside the area on axis for the whole source."""
FACTORS = (1e7, 1e14)
"""Between which factors lie, of the smallest and the largest telescopes and bands."""
LARGEST_SYSTEMATIC = 3.5
"""Above what power laws of Gamma 1.4 to 2.2 differ by in any band: such a number was in percent."""
_RANGES = re.compile(r"\d+(?:-\d+)?(?:, \d+(?:-\d+)?)*|all")
_FILTERS = {
    "thin": "Thin", "thin1": "Thin", "thin2": "Thin", "medium": "Medium", "thick": "Thick", "open": "Open",
    "closed": "Closed", "calclosed": "Closed", "none": "", "unknown": "", "": "",
}  # fmt: skip


def blocking_filter(name: object) -> str:
    """Return how a blocking filter is called here; both thin ones are Thin, and another telescope's keeps its name.

    Examples
    --------
    >>> blocking_filter("Thin1"), blocking_filter("MEDIUM"), blocking_filter("NONE"), blocking_filter("Be_med")
    ('Thin', 'Medium', '', 'Be_med')
    """
    text = str(name or "").strip()
    return _FILTERS.get(text.lower(), text)


def _factor(value: Any) -> float:
    """Return a factor in ct cm2/erg, also of a Quantity."""
    try:
        found = float(value.to_value(ECF_UNIT) if isinstance(value, u.Quantity) else value)
    except u.UnitConversionError as error:
        raise UnitMismatch(f"a factor must be in ct cm2/erg, got {value.unit}") from error
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"a factor must be one number in ct cm2/erg, got {value!r}") from error
    if not FACTORS[0] <= found <= FACTORS[1]:
        raise InvalidRecord(
            f"a factor must lie between {FACTORS[0]:g} and {FACTORS[1]:g} ct cm2/erg, got {found:g}: tables print it "
            "in 1e11 ct cm2/erg; multiply by that"
        )
    return found


def _possible_error(record: object, attribute: Any, value: float) -> None:
    if value > LARGEST_SYSTEMATIC:
        raise InvalidRecord(
            f"{type(record).__name__}.{attribute.name} must be a relative error, got {value!r}: 0.05 is 5 %"
        )


def _parts(values: Any) -> tuple[str, ...]:
    if values is None:
        raise InvalidRecord("arf_includes must be said: () for none, else of vignetting and enclosed, got None")
    found = strings(values)
    for part in found:
        if part not in ARF_PARTS:
            raise InvalidRecord(f"arf_includes must be of {', '.join(ARF_PARTS)}, got {part!r}")
    return tuple(part for part in ARF_PARTS if part in found)


def _patterns(value: Any) -> str:
    if not isinstance(value, str) or (value and not _RANGES.fullmatch(value)):
        raise InvalidRecord(f"patterns must be ranges of event patterns such as '0-4' or '0', got {value!r}")
    return value


def _band(value: Any) -> Band:
    result: Band = of_kind(value, Band, "energy_band(0.5*u.keV, 2*u.keV)")
    return result


def _spectrum(value: Any) -> Spectrum:
    if not isinstance(value, PowerLaw | Bremsstrahlung | SpectrumTable):
        raise InvalidRecord(
            f"a spectrum is what absorbed_power_law, absorbed_bremsstrahlung or spectrum_table returns, got {value!r}"
        )
    return value


def said_absorbed(value: object) -> bool:
    """Return whether a flux is the absorbed one; anything but True or False is refused."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidRecord(
            f"absorbed must be True (the flux that arrives) or False (that before the absorption), got {value!r}"
        )
    return bool(value)


@final
@frozen(kw_only=True)
class Ecf:
    """An energy conversion factor: flux = rate / factor. :func:`power_law_ecf` and :func:`ecf_from_response` make it.

    Parameters
    ----------
    ct_cm2_per_erg
        The factor in ct cm2/erg, some 1e10 to 1e12: a number, or a Quantity. 1e7 to 1e14 are taken.
    instrument
        Camera of the rates: ``pn``, ``mos1``, ``mos2``, or another telescope's.
    filter
        Blocking filter; ``Thin1`` and ``Thin2`` are ``Thin``. Empty where the telescope has none.
    band
        Of both, rate and flux.
    spectrum
        What it was folded with.
    absorbed
        Whether the flux is that which arrives (True) or that before the absorption (False).
    systematic
        Relative error of fluxes that no count tells: calibration, and what the spectrum is unknown by.
    source
        Where the factor comes from.
    arf_includes
        What the effective area held beside the area on axis for the whole source: ``vignetting``, ``enclosed``.
    patterns
        Event patterns that it is of, as the column of :func:`photometry` says them: ``0-4``, ``0-12``, ``0``. Rows of
        others are refused. Empty where that is not known, and not compared.

    Examples
    --------
    >>> from xphotfn.records.spectrum import absorbed_power_law
    >>> mine = Ecf(ct_cm2_per_erg=6.85e11, instrument="pn", filter="Thin1", band=Band(lo_ev=500, hi_ev=2000),
    ...            spectrum=absorbed_power_law(gamma=1.7, nh=3e20 / u.cm**2), absorbed=True, systematic=0.05,
    ...            source="my own fit")
    >>> mine.filter, f"{mine.value:.3g}"
    ('Thin', '6.85e+11 cm2 ct / erg')
    """

    ct_cm2_per_erg: float = field(converter=_factor)
    instrument: str = field(validator=non_empty)
    filter: str = field(converter=blocking_filter)
    band: Band = field(converter=_band)
    spectrum: Spectrum = field(converter=_spectrum)
    absorbed: bool = field(converter=said_absorbed)
    systematic: float = field(converter=float, validator=[finite, not_negative, _possible_error])
    source: str = field(validator=non_empty)
    arf_includes: tuple[str, ...] = field(default=(), converter=_parts)
    patterns: str = field(default="", converter=_patterns)

    @property
    def value(self) -> u.Quantity:
        """The factor as a Quantity in ct cm2/erg."""
        return u.Quantity(self.ct_cm2_per_erg, ECF_UNIT)

    @property
    def kind(self) -> str:
        """``absorbed`` or ``unabsorbed``: which flux it gives."""
        return "absorbed" if self.absorbed else "unabsorbed"

    def __str__(self) -> str:
        events = f"PATTERN {self.patterns}" if self.patterns else ""
        who = " ".join(part for part in (self.instrument, self.filter, str(self.band), events) if part)
        return (
            f"{self.ct_cm2_per_erg:.5g} ct cm2/erg ({who}, {self.spectrum}, {self.kind} flux, "
            f"systematic {self.systematic:.0%}, {self.source})"
        )

    def _repr_html_(self) -> str:
        return record_html(self)
