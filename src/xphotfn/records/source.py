"""What a search for sources finds: the sources, the objects that they form, and what was searched and how."""

import enum
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, final

import astropy.units as u
from attrs import field, frozen
from attrs.validators import instance_of, optional as _if_known

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.band import Band
from xphotfn.records.fields import (
    each_of,
    finite,
    finite_or_none,
    finite_size,
    float_or_none,
    items,
    non_empty,
    not_negative,
    plain_number,
    positive,
    size_or_none,
    whole,
)

__all__ = (
    "FLAG_TEXTS",
    "ORIGINS",
    "DetectedObject",
    "DetectedSource",
    "MapRate",
    "SearchedMap",
    "SourceFlag",
    "plus_minus",
)


class SourceFlag(enum.IntFlag):
    """What may be wrong with a source, as bits; :data:`FLAG_TEXTS` says what each means."""

    LOW_COVERAGE = 1
    NEAR_BRIGHT = 2
    INSIDE_EXTENDED = 4
    ON_STREAK = 8
    AT_EDGE = 16
    HOT_COLUMN = 32
    POSITION_HELD = 64
    HOT_PIXEL = 128
    CAMERA_MISSING = 256


FLAG_TEXTS: Mapping[SourceFlag, str] = MappingProxyType(
    {
        SourceFlag.LOW_COVERAGE: "less than half of its light falls on live pixels",
        SourceFlag.NEAR_BRIGHT: "lies in the light of a bright source, and may be a part of it that its model lacks",
        SourceFlag.INSIDE_EXTENDED: "lies inside an extended source",
        SourceFlag.ON_STREAK: "lies on the streak of out-of-time events of a bright source in pn",
        SourceFlag.AT_EDGE: "lies at the edge of what was searched",
        SourceFlag.HOT_COLUMN: "lies on a column or row that is bright along its length",
        SourceFlag.POSITION_HELD: "its position was held in the fit",
        SourceFlag.HOT_PIXEL: "its counts lie in fewer pixels than the light of any source: a hot pixel, no source",
        SourceFlag.CAMERA_MISSING: "a camera sees less than 15 % of its light and is not in its rate and counts",
    }
)
"""Each flag of a source and its text."""

ORIGINS = ("xphotfn", "emldetect", "4XMM", "table")


def _flags(value: Any) -> int:
    number, known = whole(value), int(sum(SourceFlag))
    if number < 0 or number & ~known:
        raise InvalidRecord(f"DetectedSource.flags must be a sum of bits of SourceFlag, up to {known}, got {number}")
    return number


def _pixel(value: Any) -> float | None:
    """Return a position in pixels to a billionth: files count from 1, and the list has to come back the same."""
    return None if value is None else round(plain_number(value), 9)


def _catalogue_name(record: object, attribute: Any, value: object) -> None:
    if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
        raise InvalidRecord(
            f"{type(record).__name__}.{attribute.name} must be printable ASCII without blanks around it, got {value!r}"
        )


def _from_one(record: object, attribute: Any, value: int) -> None:
    if value < 1:
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must be a number from 1, got {value}")


def _numbers(values: Any) -> tuple[int, ...]:
    """Return the numbers of sources, each once and from 1."""
    given = tuple(whole(value) for value in items(values))
    if len(set(given)) < len(given) or any(value < 1 for value in given):
        raise InvalidRecord(f"DetectedObject.sources must be numbers from 1, each once, got {given}")
    return given


def _within(low: float, high: float) -> Any:
    """Return a validator that accepts numbers within two bounds."""

    def check(record: object, attribute: Any, value: float) -> None:
        if not low <= value <= high:
            raise InvalidRecord(
                f"{type(record).__name__}.{attribute.name} must lie within {low:g} and {high:g}, got {value!r}"
            )

    return check


@final
@frozen(kw_only=True)
class SearchedMap:
    """One image with its exposure map, as it was searched.

    Parameters
    ----------
    obs_id, exposure_id, instrument, band
        What it is of; ``combined`` for a mosaic.
    image, exposure
        Digests of the two files, empty where they were not taken.
    pixel_arcsec
        Side of its pixels.
    vignetted, flat
        The background that was fitted: the factors of the vignetted and of the flat component, in counts per second
        and pixel where exposure maps are in s; None where none was fitted.
    vignetted_error, flat_error
        Their errors.
    slow_arcmin
        Scale of the slow correction of the background in arcmin; None without one.
    excised_pix
        Live pixels that were left out of the fit of the background.
    sensitivity
        Rate of a source of 1e-11 erg/cm2/s, by which cameras are tied; None where it is not known and the map has a
        rate of its own.
    """

    obs_id: str = field(validator=non_empty)
    instrument: str = field(validator=non_empty)
    band: Band = field(validator=instance_of(Band))
    pixel_arcsec: float = field(converter=plain_number, validator=positive)
    exposure_id: str = ""
    image: str = ""
    exposure: str = ""
    vignetted: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    vignetted_error: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    flat: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    flat_error: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    slow_arcmin: float | None = field(default=None, converter=float_or_none, validator=_if_known(positive))
    excised_pix: int = field(default=0, converter=whole, validator=not_negative)
    sensitivity: float | None = field(default=None, converter=float_or_none, validator=_if_known(positive))

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True)
class MapRate:
    """What one map says of a source; counts and rate are None where it does not see the source.

    Parameters
    ----------
    counts, counts_error
        Counts of the source over its whole profile, and their error; None where the map has no exposure at the source.
    rate, rate_error
        Counts per second of the vignetted exposure, on the axis; None as well.
    exposure_s
        Exposure at the source, vignetted; in s, or in cm2 s where exposure maps are.
    background
        Background at the source in counts per pixel.
    mask_fraction
        Part of its light that falls on live pixels, 0 to 1 (MASKFRAC).
    off_axis_arcmin
        Distance from the optical axis; None where it is not known.
    det_ml
        Likelihood of detection in this map alone; None where it is not known.
    """

    counts: float | None = field(converter=float_or_none, validator=finite_or_none)
    counts_error: float | None = field(converter=float_or_none, validator=size_or_none)
    rate: float | None = field(converter=float_or_none, validator=finite_or_none)
    rate_error: float | None = field(converter=float_or_none, validator=size_or_none)
    exposure_s: float = field(converter=plain_number, validator=finite_size)
    background: float = field(converter=plain_number, validator=finite_size)
    mask_fraction: float = field(converter=plain_number, validator=_within(0, 1))
    off_axis_arcmin: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    det_ml: float | None = field(default=None, converter=float_or_none, validator=finite_or_none)

    def __attrs_post_init__(self) -> None:
        said = (self.counts, self.counts_error, self.rate, self.rate_error)
        if None in said and any(value is not None for value in said):
            raise InvalidRecord(
                f"MapRate must have counts, rate and both errors, or none of the four where the map does not see the "
                f"source, got {said}"
            )

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True)
class DetectedSource:
    """One source: where it is, how bright, how large and how sure.

    Parameters
    ----------
    number
        Its number in the list, from 1.
    ra_deg, dec_deg, position_error_arcsec
        Position, and its error: the root of the sum of the squares of the errors in RA and Dec (RADEC_ERR).
    det_ml
        Likelihood of detection, -ln of the probability that the background alone does as much (DET_ML of emldetect).
    tied_ml
        The same with one amplitude for all cameras of an observation, in the ratio of their sensitivities (TIED_ML): of
        faint sources it is the higher one. Equal to ``det_ml`` of a single camera; None where it is not known.
    counts, counts_error, rate, rate_error
        Of the maps that see 15 % of its light or more: the sum of counts, and the sum over their cameras of rates in
        ct/s; None where they are not known. Of exposures in cm2 s the rate is the mean over cameras, in photon/(cm2 s).
    extent_arcsec, extent_error_arcsec, extent_ml
        Core radius of the beta model of slope 2/3, its error and the likelihood that it is not 0; 0 of a point source.
    rates
        One for each map of the list, in its order; empty where they are not known.
    x, y
        Position in pixels of the first map, from 0; None where they are not known.
    nearest_arcsec
        Distance of the nearest other source of the list; None where there is none.
    object_number
        The object of the list that it is a piece of; 0 for none.
    flags
        What may be wrong with it: the sum of its :class:`SourceFlag`, 0 where nothing is.
    name
        Its name in a catalogue.

    Examples
    --------
    >>> source = DetectedSource(
    ...     number=3, ra_deg=149.6, dec_deg=-11.1, position_error_arcsec=1.2, det_ml=25.0, counts=41, counts_error=7,
    ...     flags=SourceFlag.NEAR_BRIGHT,
    ... )
    >>> print(source)
    source 3, a point: RA 149.600000, Dec -11.100000 deg, 41 +- 7 counts, DET_ML 25.0 (NEAR_BRIGHT)
    """

    number: int = field(converter=whole, validator=_from_one)
    ra_deg: float = field(converter=plain_number, validator=_within(0, 360))
    dec_deg: float = field(converter=plain_number, validator=_within(-90, 90))
    position_error_arcsec: float = field(converter=plain_number, validator=finite_size)
    det_ml: float = field(converter=plain_number, validator=finite_size)
    tied_ml: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    counts: float | None = field(default=None, converter=float_or_none, validator=finite_or_none)
    counts_error: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    rate: float | None = field(default=None, converter=float_or_none, validator=finite_or_none)
    rate_error: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    extent_arcsec: float = field(default=0.0, converter=plain_number, validator=finite_size)
    extent_error_arcsec: float = field(default=0.0, converter=plain_number, validator=finite_size)
    extent_ml: float = field(default=0.0, converter=plain_number, validator=finite)
    rates: tuple[MapRate, ...] = field(default=(), converter=items, validator=each_of(MapRate))
    x: float | None = field(default=None, converter=_pixel, validator=finite_or_none)
    y: float | None = field(default=None, converter=_pixel, validator=finite_or_none)
    nearest_arcsec: float | None = field(default=None, converter=float_or_none, validator=size_or_none)
    object_number: int = field(default=0, converter=whole, validator=not_negative)
    flags: int = field(default=0, converter=_flags)
    name: str = field(default="", validator=_catalogue_name)

    @property
    def is_extended(self) -> bool:
        """Whether it has an extent."""
        return self.extent_arcsec > 0

    @property
    def likelihood(self) -> float:
        """What has to reach the threshold of a search: ``tied_ml``, or ``det_ml`` where that is not known."""
        return self.det_ml if self.tied_ml is None else self.tied_ml

    @property
    def position(self) -> u.Quantity:
        """Position as a Quantity ``[ra, dec]`` in degrees."""
        return u.Quantity([self.ra_deg, self.dec_deg], u.deg)

    @property
    def flag_names(self) -> tuple[str, ...]:
        """The names of its flags; empty where nothing is wrong."""
        return tuple(str(flag.name) for flag in SourceFlag if self.flags & flag)

    def __str__(self) -> str:
        what = f"extended, {self.extent_arcsec:.1f} arcsec" if self.is_extended else "a point"
        bright = f" {plus_minus(self.counts, self.counts_error, '.0f')} counts," if self.counts is not None else ""
        flags = f" ({', '.join(self.flag_names)})" if self.flags else ""
        where = f"RA {self.ra_deg:.6f}, Dec {self.dec_deg:.6f} deg"
        return f"source {self.number}, {what}: {where},{bright} DET_ML {self.det_ml:.1f}{flags}"

    def _repr_html_(self) -> str:
        return record_html(self)


@final
@frozen(kw_only=True)
class DetectedObject:
    """What is one on the sky though the fit needed several pieces, or one: an extended source with its outline.

    Parameters
    ----------
    number
        Its number in the list, from 1.
    ra_deg, dec_deg
        Centre of the ellipse.
    semi_major_arcsec, semi_minor_arcsec, position_angle_deg
        The ellipse; the angle of its long axis from north over east.
    sources
        Numbers of the sources that are its pieces.

    Examples
    --------
    >>> DetectedObject(
    ...     number=1, ra_deg=149.59, dec_deg=-11.06, semi_major_arcsec=120, semi_minor_arcsec=90, position_angle_deg=65,
    ...     sources=[1, 4],
    ... ).sources
    (1, 4)
    """

    number: int = field(converter=whole, validator=_from_one)
    ra_deg: float = field(converter=plain_number, validator=_within(0, 360))
    dec_deg: float = field(converter=plain_number, validator=_within(-90, 90))
    semi_major_arcsec: float = field(converter=plain_number, validator=positive)
    semi_minor_arcsec: float = field(converter=plain_number, validator=positive)
    position_angle_deg: float = field(default=0.0, converter=plain_number, validator=finite)
    sources: tuple[int, ...] = field(default=(), converter=_numbers)

    def __attrs_post_init__(self) -> None:
        if self.semi_minor_arcsec > self.semi_major_arcsec:
            raise InvalidRecord(
                f"DetectedObject.semi_minor_arcsec must not be above semi_major_arcsec, got {self.semi_minor_arcsec} "
                f"above {self.semi_major_arcsec}"
            )

    @property
    def position(self) -> u.Quantity:
        """Position as a Quantity ``[ra, dec]`` in degrees."""
        return u.Quantity([self.ra_deg, self.dec_deg], u.deg)

    def _repr_html_(self) -> str:
        return record_html(self)


def plus_minus(value: float | None, error: float | None, form: str) -> str:
    """Return a value with its error as text; nothing for what is not known."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:{form}}" + (f" +- {error:{form}}" if error is not None else "")
