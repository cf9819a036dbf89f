"""Energy conversion factor: counts per second for a flux of one erg/cm2/s."""

import re
from typing import Any, final

import astropy.units as u
from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.records._fields import finite, non_empty, not_negative, of_kind, positive, strings
from xphotfn.records._html import record_html
from xphotfn.records.band import Band
from xphotfn.records.spectrum import Bremsstrahlung, PowerLaw, Spectrum, SpectrumTable

__all__ = ("ARF_PARTS", "ECF_UNIT", "FLUX_UNIT", "Ecf", "blocking_filter", "said_absorbed")

ECF_UNIT = u.ct * u.cm**2 / u.erg
FLUX_UNIT = u.erg / u.cm**2 / u.s
ARF_PARTS = ("vignetting", "enclosed")
"""What an effective area may hold beside the area on axis for the whole source."""
_RANGES = re.compile(r"\d+(?:-\d+)?(?:, \d+(?:-\d+)?)*|all")
_FILTERS = {
    "thin": "Thin", "thin1": "Thin", "thin2": "Thin", "medium": "Medium", "thick": "Thick", "open": "Open",
    "closed": "Closed", "calclosed": "Closed", "none": "", "unknown": "", "": "",
}  # fmt: skip


def blocking_filter(name: Any) -> str:
    """Return how a blocking filter is called here; both thin ones are Thin, and another telescope's keeps its name.

    Examples
    --------
    >>> blocking_filter("Thin1"), blocking_filter("MEDIUM"), blocking_filter("NONE"), blocking_filter("Be_med")
    ('Thin', 'Medium', '', 'Be_med')
    """
    text = str(name or "").strip()
    return _FILTERS.get(text.lower(), text)


def _parts(values: Any) -> tuple[str, ...]:
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


def said_absorbed(value: Any) -> bool:
    """Return whether a flux is the absorbed one; anything but True or False is refused."""
    if not isinstance(value, bool):
        raise InvalidRecord(
            f"absorbed must be True (the flux that arrives) or False (that before the absorption), got {value!r}"
        )
    return value


@final
@frozen(kw_only=True)
class Ecf:
    """An energy conversion factor: flux = rate / factor. :func:`power_law_ecf` and :func:`ecf_from_response` make it.

    Parameters
    ----------
    ct_cm2_per_erg
        The factor in ct cm2/erg, some 1e10 to 1e12.
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

    ct_cm2_per_erg: float = field(converter=float, validator=positive)
    instrument: str = field(validator=non_empty)
    filter: str = field(converter=blocking_filter)
    band: Band = field(converter=_band)
    spectrum: Spectrum = field(converter=_spectrum)
    absorbed: bool = field(converter=said_absorbed)
    systematic: float = field(converter=float, validator=[finite, not_negative])
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
