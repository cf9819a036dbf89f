"""What a measurement returns."""

import math
from typing import Literal, final

import astropy.units as u
from attrs import field, frozen
from attrs.converters import optional
from attrs.validators import optional as _if_known

from xphotfn.errors import Remedy
from xphotfn.html import block, facts
from xphotfn.records.band import Band
from xphotfn.records.fields import finite, non_empty, one_of, whole
from xphotfn.units import rate_unit

__all__ = ("CENTRES", "Centre", "Measurement", "Peak")

_WEIGHTS = Remedy("give background_weights", "give --vignetted or --background-weights")
LEAST_ON_DETECTOR = 0.9  # a region with less of it on the detector has a note
MOST_MASKED = 0.1  # a region with more of it masked has a note


@final
@frozen(kw_only=True)
class Measurement:
    """A signal-to-noise ratio with what it was made of; ``float()`` gives the value.

    Parameters
    ----------
    value
        Significance in Gaussian sigma, one-sided; negative for a deficit.
    method
        Name of the definition.
    counts, background_counts
        Counts in the source and background regions.
    area_pix, background_area_pix
        On-chip pixels of the regions.
    exposure_s, background_exposure_s
        Exposure in s (in ``exposure_unit``), summed over the pixels of the regions.
    alpha
        Expected ratio of background counts, source region over background region.
    scaled_by
        What alpha is the ratio of: ``exposure``, ``weights`` that were given, or ``area``.
    exposure_unit
        ``s``, or ``cm2 s`` of maps in that unit.
    region_area_pix
        Area of the whole source region in pixels, with what lies off the detector, off the image and under masked
        sources; None where it is not known.
    masked_pix
        On-chip pixels of the source region under masked sources.
    """

    value: float = field(converter=float)
    method: str = field(validator=non_empty)
    counts: float = field(converter=float)
    background_counts: float = field(converter=float)
    area_pix: int = field(converter=whole)
    background_area_pix: int = field(converter=whole)
    exposure_s: float = field(converter=float)
    background_exposure_s: float = field(converter=float)
    alpha: float = field(converter=float)
    scaled_by: str = field(default="exposure", validator=one_of("exposure", "weights", "area"))
    exposure_unit: str = field(default="s", validator=one_of("s", "cm2 s"))
    region_area_pix: float | None = field(default=None, converter=optional(float), validator=_if_known(finite))
    masked_pix: int = field(default=0, converter=whole)

    @property
    def on_detector_fraction(self) -> float:
        """Part of the source region on the detector, masked or not; NaN where the whole region is not known."""
        return self._of_region(self.area_pix + self.masked_pix)

    @property
    def masked_fraction(self) -> float:
        """Part of the source region under masked sources; NaN where the whole region is not known."""
        return self._of_region(self.masked_pix)

    def _of_region(self, pixels: int) -> float:
        return min(1.0, pixels / self.region_area_pix) if self.region_area_pix else math.nan

    @property
    def alpha_by_area(self) -> float:
        """Ratio of the regions' pixels: alpha of a background that is not vignetted, such as particles."""
        return self.area_pix / self.background_area_pix if self.background_area_pix else math.nan

    @property
    def background_shift(self) -> float:
        """By how much the net counts would rise if the background were spread by area, in units of their error."""
        error = math.sqrt(max(self.counts, 1.0) + self.alpha**2 * self.background_counts)
        return (self.alpha - self.alpha_by_area) * self.background_counts / error

    @property
    def needs_weights(self) -> bool:
        """Whether the answer hangs on how much of the background is vignetted: a shift of more than 1 sigma."""
        return self.scaled_by == "exposure" and self.method != "xga" and abs(self.background_shift) > 1

    @property
    def note(self) -> str:
        """What to know about the region and the background, empty where nothing is.

        Of the region: that less than 90 % of it lies on the detector, or more than 10 % of it is masked.
        """
        return self.note_for("python")

    def note_for(self, where: Literal["python", "shell"]) -> str:
        """Return the note, with what to do in words of Python or of the command line."""
        said = []
        if self.on_detector_fraction < LEAST_ON_DETECTOR:
            said.append(f"only {100 * self.on_detector_fraction:.3g} % of the region lies on the detector")
        if self.masked_fraction > MOST_MASKED:
            said.append(f"{100 * self.masked_fraction:.3g} % of the region is masked as other sources")
        if self.needs_weights:
            said.append(
                f"a background that is not vignetted (particles) would shift this by {self.background_shift:+.1f} "
                f"sigma: {getattr(_WEIGHTS, where)}"
            )
        return "; ".join(said)

    @property
    def net_counts(self) -> float:
        """Counts above the background expected in the source region."""
        return self.counts - self.alpha * self.background_counts

    @property
    def net_rate(self) -> u.Quantity:
        """Net counts over the mean exposure of the source region, ct/s (photon/(cm2 s) of maps in cm2 s)."""
        unit = rate_unit(u.Unit(self.exposure_unit))
        if self.exposure_s == 0:
            return float("nan") * unit
        return self.net_counts / (self.exposure_s / self.area_pix) * unit

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        plain = f"{self.value:.2f} sigma ({self.method}; {self.net_counts:.1f} net of {self.counts:.0f} counts)"
        return f"{plain}; {self.note}" if self.note else plain

    def _repr_html_(self) -> str:
        rows = [
            ("Method", self.method),
            ("Net counts", f"{self.net_counts:.1f}, {self.net_rate:.4g}"),
            ("Source region", _region_words(self.counts, self.area_pix, self.exposure_s, self.exposure_unit)),
            (
                "Background region",
                _region_words(
                    self.background_counts, self.background_area_pix, self.background_exposure_s, self.exposure_unit
                ),
            ),
            ("Background ratio, alpha", f"{self.alpha:.4g} by {self.scaled_by}, {self.alpha_by_area:.4g} by area"),
            *([("Note", self.note)] if self.note else []),
        ]
        return block(f"Signal-to-noise {self.value:.2f} sigma", facts(rows))


def _region_words(counts: float, area_pix: int, exposure: float, unit: str) -> str:
    each = exposure / area_pix if area_pix else math.nan
    shown = f"{each / 1000:.2f} ks" if unit == "s" else f"{each:.4g} {unit}"
    return f"{counts:g} counts in {area_pix} pixels" + (f", {shown} on average" if area_pix else "")


@final
@frozen(kw_only=True)
class Peak:
    """Brightest position of a map.

    Parameters
    ----------
    ra_deg, dec_deg
        Position.
    near_edge
        Whether it lies within two pixels of the edge of the field or of a gap.
    method
        ``clustering`` or ``simple``.
    converged
        Whether the iteration came to rest.
    """

    ra_deg: float = field(converter=float, validator=finite)
    dec_deg: float = field(converter=float, validator=finite)
    near_edge: bool = field(converter=bool)
    method: str = field(validator=non_empty)
    converged: bool = field(default=True, converter=bool)

    @property
    def position(self) -> u.Quantity:
        """Position as a Quantity ``[ra, dec]`` in degrees."""
        return u.Quantity([self.ra_deg, self.dec_deg], u.deg)

    def _repr_html_(self) -> str:
        rows = [
            ("Position", f"RA {self.ra_deg:.6f}, Dec {self.dec_deg:.6f} deg"),
            ("Method", self.method if self.converged else f"{self.method}, did not converge"),
            ("Near an edge or gap", "yes" if self.near_edge else "no"),
        ]
        return block("Peak", facts(rows))


CENTRES = {
    "given": "the position that was given",
    "peak": "the X-ray peak",
    "no peak": "the position that was given: there is no count to find a peak in",
    "not converged": "the position that was given: the search for a peak did not come to rest",
    "far": "the position that was given: it is brightest at the rim of the search, so the peak is not inside",
    "edge": "the position that was given: the peak lies at the edge of the field or of a gap",
    "no background": "the position that was given: there is no background to compare the peak with",
    "insignificant": "the position that was given: the peak is not significant",
}
"""Why a field is measured where it is: the reasons of a :class:`Centre`, and what they mean."""


@final
@frozen(kw_only=True)
class Centre:
    """Where a field is measured, and why: what :func:`find_centre` returns; :func:`with_centre` takes it.

    Parameters
    ----------
    ra_deg, dec_deg
        The position.
    reason
        One of :data:`CENTRES`: ``given`` where no peak was looked for, ``peak`` where it is the peak, else why the peak
        that was looked for is not used.
    offset_arcsec
        Distance from the position that was given; 0 unless it is the peak.
    peak
        The peak that was found, whether it is used or not; None where there is none.
    significance
        Significance of the counts around the peak, in Gaussian sigma; None where it was not measured.
    search_arcsec
        How far from the position that was given a peak may lie; None where none was looked for.
    band
        The band in which it was looked for.
    """

    ra_deg: float = field(converter=float, validator=finite)
    dec_deg: float = field(converter=float, validator=finite)
    reason: str = field(validator=one_of(*CENTRES))
    offset_arcsec: float = field(default=0.0, converter=float, validator=finite)
    peak: Peak | None = None
    significance: float | None = field(default=None, converter=optional(float), validator=_if_known(finite))
    search_arcsec: float | None = field(default=None, converter=optional(float), validator=_if_known(finite))
    band: Band | None = None

    @property
    def position(self) -> u.Quantity:
        """Position as a Quantity ``[ra, dec]`` in degrees."""
        return u.Quantity([self.ra_deg, self.dec_deg], u.deg)

    @property
    def is_peak(self) -> bool:
        """Whether it is the X-ray peak."""
        return self.reason == "peak"

    def __str__(self) -> str:
        if self.is_peak:
            sure = f"{self.significance:.1f} sigma, {self.band}"
            return f"{CENTRES['peak']}, {self.offset_arcsec:.1f} arcsec from the position that was given ({sure})"
        return CENTRES[self.reason]

    def _repr_html_(self) -> str:
        rows = [("Position", f"RA {self.ra_deg:.6f}, Dec {self.dec_deg:.6f} deg"), ("It is", str(self))]
        return block("Centre", facts(rows))
