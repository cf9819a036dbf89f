"""Maps of limits: at each pixel the detection limit, or the upper limit, of a source there."""

from typing import Any, Literal, assert_never, final

import astropy.units as u
import attrs
import numpy as np
from attrs import evolve, frozen
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch, UnitMismatch
from xphotfn.html import block, facts
from xphotfn.io.cards import ascii_text
from xphotfn.io.exposure_units import RATE_NAMES
from xphotfn.io.products import RateMap
from xphotfn.io.thumbnails import picture
from xphotfn.io.write import fitting_card
from xphotfn.measure.photometry.every_pixel import ApertureMaps, aperture_maps
from xphotfn.records.field import Field
from xphotfn.records.fields import one_of
from xphotfn.records.grid import PixelGrid
from xphotfn.science.limits import (
    detection_limit,
    detection_probability as probability_of,
    upper_limit,
    upper_limit_on_off,
)
from xphotfn.science.spreads import PsfLike
from xphotfn.typing import RadiusLike, WeightsLike
from xphotfn.units import rate_unit

__all__ = ("LimitMap", "sensitivity_map", "sky_coverage", "upper_limit_map")

Floats = NDArray[np.float64]
Background = Any
LEAST_LIVE = 0.5  # of an aperture; with less, what lies in the gap decides


def _read_only(values: ArrayLike) -> Floats:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


_same = attrs.cmp_using(eq=lambda one, other: np.array_equal(one, other, equal_nan=True))


@final
@frozen(kw_only=True)
class LimitMap:
    """The limit of a source at each pixel; made by :func:`sensitivity_map` and :func:`upper_limit_map`.

    Parameters
    ----------
    kind
        ``detection limit`` or ``upper limit``: two things that are never mixed.
    name
        The map that it belongs to.
    grid
        Pixel grid.
    of
        What the limit is of: the whole ``source``, or the light in the whole ``aperture``.
    counts
        Limit in source counts on the aperture's live pixels, shape (ny, nx), float64, NaN where there is none.
    background
        Background counts expected there, shape (ny, nx).
    exposure_s
        Mean exposure of the aperture's live pixels, shape (ny, nx).
    live_fraction
        Part of the aperture that is live, shape (ny, nx).
    probability
        Of a detection at the limit; for upper limits their one-sided confidence.
    false_alarm
        Of a detection; None for upper limits.
    enclosed
        Part of the light of the source (or aperture) on the aperture's live pixels, in units of their mean exposure; a
        number or shape (ny, nx).
    exposure_unit
        Of ``exposure_s``: ``s``, or ``cm2 s`` of maps in that unit.
    """

    kind: Literal["detection limit", "upper limit"] = attrs.field(validator=one_of("detection limit", "upper limit"))
    of: Literal["source", "aperture"] = attrs.field(default="aperture", validator=one_of("source", "aperture"))
    name: str = ""
    grid: PixelGrid
    counts: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    background: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    exposure_s: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    live_fraction: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    probability: float
    false_alarm: float | None = None
    enclosed: Floats = attrs.field(default=1.0, converter=_read_only, eq=_same, hash=False, repr=False)
    exposure_unit: str = attrs.field(default="s", validator=one_of("s", "cm2 s"))

    def __attrs_post_init__(self) -> None:
        for name in ("counts", "background", "exposure_s", "live_fraction"):
            if getattr(self, name).shape != self.grid.shape:
                raise ShapeMismatch(f"LimitMap.{name} must have shape {self.grid.shape}")
        if self.enclosed.shape not in ((), self.grid.shape):
            raise ShapeMismatch(f"LimitMap.enclosed must be a number or have shape {self.grid.shape}")
        if not np.all((self.enclosed > 0) | np.isnan(self.enclosed)):
            raise InvalidRecord("LimitMap.enclosed must lie above 0")

    @property
    def data(self) -> Floats:
        """Limit in ``rate_unit`` of the whole of what ``of`` says, shape (ny, nx), NaN without one; read-only."""
        return _read_only(self.counts / (self.exposure_s * self.enclosed))

    @property
    def rate_unit(self) -> u.UnitBase:
        """Unit of ``data``: ct/s, or photon/(cm2 s) where the exposure is in cm2 s."""
        return rate_unit(u.Unit(self.exposure_unit))

    @property
    def title(self) -> str:
        """What a picture of it is called."""
        return str(self)

    @property
    def label(self) -> str:
        """What the colours of a picture mean, with the unit."""
        return f"{self.kind.capitalize()} ({RATE_NAMES[self.exposure_unit]})"

    @property
    def planes(self) -> tuple[tuple[str, Floats, str], ...]:
        """Images of its file (:func:`~xphotfn.io.write.write_fits`): name, array and unit; the limit first."""
        return (
            ("", self.data, RATE_NAMES[self.exposure_unit]),
            ("COUNTS", self.counts, "ct"),
            ("BACKGROUND", self.background, "ct"),
            ("EXPOSURE", self.exposure_s, self.exposure_unit),
            ("LIVE", self.live_fraction, ""),
            ("ENCLOSED", np.broadcast_to(self.enclosed, self.grid.shape), ""),
        )

    @property
    def cards(self) -> tuple[tuple[str, Any, str], ...]:
        """Header cards of its file: which limit it is, of what, and its probabilities."""
        found: list[tuple[str, Any, str]] = [
            ("CREATOR", "xphotfn", "program"),
            ("LIMIT", self.kind, "which limit"),
            ("LIMITOF", self.of, "what it is of, the whole of it"),
            fitting_card("MAPNAME", ascii_text(self.name), "measured on"),
        ]
        match self.kind:
            case "upper limit":
                found += [("CONFLEV", self.probability, "confidence, one-sided")]
            case "detection limit":
                found += [("PROBDET", self.probability, "probability of a detection at the limit")]
                found += [("FALSEAL", self.false_alarm, "probability of a false alarm")]
            case _:
                assert_never(self.kind)
        return tuple(found)

    def _repr_html_(self) -> str:
        shown = picture(self.data, f"thumbnail of the {self.kind}; grey has no value")
        facts_of = (("Of", f"the whole {self.of}"), ("Map", self.name), ("Probability", self.probability),
                    ("False alarm", self.false_alarm), ("Unit", RATE_NAMES[self.exposure_unit]))  # fmt: skip
        return block(str(self), shown, facts(facts_of))

    def __str__(self) -> str:
        return f"{self.kind} of {self.name or 'a map'}, of the whole {self.of}"


def with_enclosed_fraction(limits: LimitMap, fraction: ArrayLike) -> LimitMap:
    """Return the limits of whole sources, of which the whole aperture holds a part.

    Parameters
    ----------
    limits
        The map; it is not changed.
    fraction
        Part of the light in the aperture without gaps, a number or an array of shape (ny, nx), as
        :func:`~xphotfn.science.encircled_energy.encircled_energy` returns it. It is multiplied with
        ``limits.live_fraction``, which accounts for gaps as if the light were even: ``psf=`` of the maps does better.

    Raises
    ------
    InvalidRecord, ShapeMismatch
        If the fraction does not lie above 0 and up to 1, or has another shape.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> limits = sensitivity_map(example_rate_map(), radius=15 * u.arcsec, psf=None)
    >>> ratio = with_enclosed_fraction(limits, 0.7).data / limits.data
    >>> round(float(ratio[100, 256]), 4)
    1.4286
    """
    part = np.asarray(fraction, dtype=np.float64)
    if part.shape not in ((), limits.grid.shape):
        raise ShapeMismatch(
            f"an enclosed fraction must be a number or have shape {limits.grid.shape}, got {part.shape}"
        )
    if not np.all((part > 0) & (part <= 1) | np.isnan(part)):
        raise InvalidRecord("an enclosed fraction must lie above 0 and not above 1")
    live = np.where(limits.live_fraction > 0, limits.live_fraction, np.nan)
    return evolve(limits, enclosed=part * live, of="source")


def sensitivity_map(
    rate_map: RateMap,
    field: Field | None = None,
    *,
    radius: RadiusLike,
    false_alarm: float = 4e-6,
    power: float = 0.5,
    background: Background = (1.5, 3.0),
    background_weights: WeightsLike | None = None,
    psf: PsfLike = "epic",
    least_live: float = LEAST_LIVE,
) -> LimitMap:
    """Return the detection limit at each pixel: how bright a source there has to be to be found.

    Parameters
    ----------
    rate_map
        One map.
    field
        Its interlopers are removed from aperture and background, and get no limit.
    radius
        Radius of the aperture, a Quantity (arcsec, deg, kpc with a field).
    false_alarm
        Largest probability that the background alone passes for a source at a pixel.
    power
        Probability that a source at the limit is detected.
    background
        Edges of the background ring around each pixel, in units of the radius; or the expected background counts of
        each pixel, an array of shape (ny, nx), which is less noisy.
    background_weights
        As :func:`snr`: what scales the counts of the ring in place of the exposure.
    psf
        As in :func:`photometry`: the limits are those of whole point sources, by the light
        on the live pixels of each aperture. None: of the light in the whole aperture, if it is even.
    least_live
        Part of the aperture that must be live, between 0 and 1, for a limit to be given.

    Returns
    -------
    LimitMap
        ``.data`` in ct/s; NaN off the detector, in gaps, where the ring has no exposure, and where less than
        ``least_live`` of the aperture is live.

    Raises
    ------
    InvalidRecord
        If the image does not hold whole counts, a number breaks its rules, or the map is of no single camera, for which
        there is no published profile (give one, or None).
    UnitMismatch, ShapeMismatch
        If the radius has a wrong unit, or a background array another shape.

    Notes
    -----
    At each pixel :func:`~xphotfn.science.limits.detection_limit` of the background expected within the aperture,
    ``b = B sum_src E / sum_ring E`` on its live pixels, over ``E f``: their mean exposure and the part of a source's
    light on them, ``enclosed_fraction`` of photometry (for ``psf=None`` the live part of the area). A cut aperture is
    never called deeper than a whole one of the same exposure, which the steps of the threshold would do: at least the
    limit of the whole aperture, with ``b`` over the live part. b is taken as known, so with a ring of few counts the
    map is as noisy as they are. Pixels belong to aperture and ring when their centre does; sums by FFT, counts rounded
    to whole ones; profiles are taken every 3 arcmin off axis and the light is linear in between.

    References
    ----------
    Kashyap et al. (2010), ApJ 719, 900; Georgakakis et al. (2008), MNRAS 388, 1205.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> limits = sensitivity_map(example_rate_map(), radius=15 * u.arcsec)
    >>> str(limits), bool(np.isnan(limits.data[0, 0])), bool(0.005 < limits.data[100, 256] < 0.02)
    ('detection limit of RateMap 0999990101 pn 0.5-2 keV, of the whole source', True, True)
    """
    found = aperture_maps(rate_map, field, radius, background, psf, background_weights)
    counts, good = _places(found, least_live)
    b, live, part = (v[good] for v in (found.background, found.live_fraction, np.minimum(found.seen, 1.0)))
    cut, whole = (detection_limit(expected, false_alarm=false_alarm, power=power) for expected in (b, b / live))
    counts[good] = np.maximum(cut, part * whole)
    return _limit_map(rate_map, found, counts, kind="detection limit", probability=power, false_alarm=false_alarm)


def upper_limit_map(
    rate_map: RateMap,
    field: Field | None = None,
    *,
    radius: RadiusLike,
    confidence: float = 0.95,
    background: Background = (1.5, 3.0),
    background_weights: WeightsLike | None = None,
    psf: PsfLike = "epic",
    least_live: float = LEAST_LIVE,
) -> LimitMap:
    """Return the upper limit of a source at each pixel, given the counts that are there.

    Parameters
    ----------
    rate_map, field, radius, background, background_weights, psf, least_live
        As :func:`sensitivity_map`.
    confidence
        One-sided probability that the source lies below the limit.

    Returns
    -------
    LimitMap
        ``.data`` in ct/s; NaN where :func:`sensitivity_map` is.

    Raises
    ------
    InvalidRecord, UnitMismatch, ShapeMismatch
        As :func:`sensitivity_map`.

    Notes
    -----
    At each pixel :func:`~xphotfn.science.limits.upper_limit_on_off` of the counts of aperture and ring, or
    :func:`~xphotfn.science.limits.upper_limit` over a background that is given: what
    :func:`photometry` gives for a position there with the same ``psf``, or with
    ``light="flat"`` for None.

    References
    ----------
    Loredo (1992), in Statistical Challenges in Modern Astronomy, 275; Helene (1983), Nucl. Instrum. Methods 212, 319.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> limits = upper_limit_map(example_rate_map(), radius=15 * u.arcsec)
    >>> bool(limits.data[255, 256] > 10 * limits.data[100, 256])
    True
    """
    found = aperture_maps(rate_map, field, radius, background, psf, background_weights)
    counts, good = _places(found, least_live)
    n, f, g = (v[good] for v in (found.counts, found.circle, found.ring))
    if found.ring_counts is None:
        counts[good] = upper_limit(n, found.background[good], confidence=confidence)
    else:
        measured = n, found.ring_counts[good], found.alpha[good]
        counts[good] = f * upper_limit_on_off(*measured, confidence=confidence, fractions=(f, g))
    return _limit_map(rate_map, found, counts, kind="upper limit", probability=confidence)


def sky_coverage(
    limits: LimitMap, rates: ArrayLike | u.Quantity, *, by: Literal["limit", "probability"] = "limit"
) -> u.Quantity:
    """Return the area over which a map is deep enough for each of a set of rates: the area curve.

    Parameters
    ----------
    limits
        The map.
    rates
        Count rates of a source, a Quantity or plain numbers in the map's ``rate_unit``, any shape.
    by
        ``limit``: the area where the limit is not above the rate. ``probability``: the area weighted with the
        probability that a source of that rate is detected, for detection limits only.

    Returns
    -------
    Quantity
        Area in deg2, of the shape of ``rates``.

    Raises
    ------
    InvalidRecord
        If ``by`` is unknown, or asks upper limits for a probability.
    UnitMismatch
        If the rates have a wrong unit.

    Notes
    -----
    ``A(s) = sum_pixels Omega P(X >= k | b + s E f)`` with k the threshold of the pixel, its exposure E and enclosed
    fraction f; for ``limit`` a step in place of P.

    References
    ----------
    Georgakakis et al. (2008), MNRAS 388, 1205.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> limits = sensitivity_map(example_rate_map(), radius=15 * u.arcsec)
    >>> area = sky_coverage(limits, [0.001, 0.01, 1.0])
    >>> area.unit, bool(area[0] < area[1] < area[2])
    (Unit("deg2"), True)
    """
    wanted = _rates(rates, limits)
    depth = limits.data
    good = np.isfinite(depth)
    pixel = abs(limits.grid.cdelt1_deg * limits.grid.cdelt2_deg) * u.deg**2
    if by == "limit":
        return np.searchsorted(np.sort(depth[good]), wanted, side="right") * pixel
    if by != "probability":
        raise InvalidRecord(f"by must be 'limit' or 'probability', got {by!r}")
    if limits.false_alarm is None:
        raise InvalidRecord("upper limits know no probability of a detection: use sensitivity_map, or by='limit'")
    per_rate = (limits.exposure_s * limits.enclosed)[good]
    b, level = limits.background[good], limits.false_alarm
    areas = [float(np.sum(probability_of(rate * per_rate, b, false_alarm=level))) for rate in wanted.ravel()]
    return np.reshape(areas, wanted.shape) * pixel


def _rates(rates: Any, limits: LimitMap) -> Floats:
    if not isinstance(rates, u.Quantity):
        return np.asarray(rates, dtype=np.float64)
    for known in (limits.rate_unit, 1 / u.Unit(limits.exposure_unit)):
        if rates.unit.is_equivalent(known):
            return np.asarray(rates.to_value(known), dtype=np.float64)
    raise UnitMismatch(f"rates must be in {RATE_NAMES[limits.exposure_unit]}, got {rates.unit}")


def _places(found: ApertureMaps, least_live: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Return an image of NaN, and where there is a limit."""
    if not 0 <= least_live <= 1:
        raise InvalidRecord(f"least_live must lie between 0 and 1, got {least_live!r}")
    good = np.isfinite(found.background) & (found.circle > 0) & (found.live_fraction >= least_live)
    return np.full(good.shape, np.nan), good


def _limit_map(rate_map: RateMap, found: ApertureMaps, counts: Floats, **how: Any) -> LimitMap:
    lit = np.where(found.circle > 0, found.circle, np.nan)
    return LimitMap(
        name=str(rate_map), grid=rate_map.grid, counts=counts, background=found.background, exposure_s=found.exposure,
        live_fraction=found.live_fraction, enclosed=lit, of=found.of,
        exposure_unit=rate_map.exposure.unit.to_string(), **how,
    )  # fmt: skip
