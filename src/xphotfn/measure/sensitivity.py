"""Maps of limits: at each pixel the detection limit, or the upper limit, of a point source there."""

from typing import Any, Literal, NamedTuple, final

import astropy.units as u
import attrs
import numpy as np
from attrs import evolve, frozen
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch, UnitMismatch
from xphotfn.io.products import RateMap
from xphotfn.measure.masks import interloper_mask
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.science.distances import radius_deg
from xphotfn.science.kernels import disc_kernel, ring_kernel, sums_around
from xphotfn.science.limits import (
    detection_limit,
    detection_probability as probability_of,
    upper_limit,
    upper_limit_on_off,
)
from xphotfn.units import quantity

__all__ = ("LimitMap", "sensitivity_map", "sky_coverage", "upper_limit_map", "with_enclosed_fraction")

Floats = NDArray[np.float64]
Background = Any


def _read_only(values: ArrayLike) -> Floats:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


_same = attrs.cmp_using(eq=lambda one, other: np.array_equal(one, other, equal_nan=True))


@final
@frozen(kw_only=True)
class LimitMap:
    """The limit of a point source at each pixel; made by :func:`sensitivity_map` and :func:`upper_limit_map`.

    Parameters
    ----------
    kind
        ``detection limit`` or ``upper limit``: two things that are never mixed.
    name
        The map that it belongs to.
    grid
        Pixel grid.
    counts
        Limit in source counts within the aperture, shape (ny, nx), float64, NaN where there is none.
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
        Part of a source's light in the aperture, a number or shape (ny, nx); see :func:`with_enclosed_fraction`.
    """

    kind: Literal["detection limit", "upper limit"]
    name: str = ""
    grid: PixelGrid
    counts: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    background: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    exposure_s: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    live_fraction: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    probability: float
    false_alarm: float | None = None
    enclosed: Floats = attrs.field(default=1.0, converter=_read_only, eq=_same, hash=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for name in ("counts", "background", "exposure_s", "live_fraction"):
            if getattr(self, name).shape != self.grid.shape:
                raise ShapeMismatch(f"LimitMap.{name} must have shape {self.grid.shape}")
        if self.enclosed.shape not in ((), self.grid.shape):
            raise ShapeMismatch(f"LimitMap.enclosed must be a number or have shape {self.grid.shape}")
        if not np.all((self.enclosed > 0) & (self.enclosed <= 1) | np.isnan(self.enclosed)):
            raise InvalidRecord("LimitMap.enclosed must lie above 0 and not above 1")

    @property
    def data(self) -> Floats:
        """Limit in ct/s of the whole source, shape (ny, nx), NaN where there is none; read-only."""
        return _read_only(self.counts / (self.exposure_s * self.enclosed))

    def __str__(self) -> str:
        return f"{self.kind} of {self.name or 'a map'}"


def with_enclosed_fraction(limits: LimitMap, fraction: ArrayLike) -> LimitMap:
    """Return the limits for the whole light of a source, of which the aperture holds a part.

    Parameters
    ----------
    limits
        The map; it is not changed.
    fraction
        Part of the light in the aperture, a number or an array of shape (ny, nx), as
        :func:`~xphotfn.science.encircled_energy.encircled_energy` returns it. Times ``limits.live_fraction`` it
        accounts for gaps too, on average.

    Raises
    ------
    InvalidRecord, ShapeMismatch
        If the fraction does not lie above 0 and up to 1, or has another shape.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> limits = sensitivity_map(example_rate_map(), radius=15 * u.arcsec)
    >>> ratio = with_enclosed_fraction(limits, 0.7).data / limits.data
    >>> round(float(ratio[100, 256]), 4)
    1.4286
    """
    return evolve(limits, enclosed=fraction)


def sensitivity_map(
    rate_map: RateMap,
    field: Field | None = None,
    *,
    radius: Any,
    false_alarm: float = 4e-6,
    power: float = 0.5,
    background: Background = (1.5, 3.0),
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

    Returns
    -------
    LimitMap
        ``.data`` in ct/s; NaN off the detector, in gaps, and where the ring has no exposure.

    Raises
    ------
    InvalidRecord
        If the image does not hold whole counts, or a probability or radius breaks its rules.
    UnitMismatch, ShapeMismatch
        If the radius has a wrong unit, or a background array another shape.

    Notes
    -----
    At each pixel :func:`~xphotfn.science.limits.detection_limit` of the background expected within the aperture,
    ``b = B sum_src E / sum_ring E``, over the mean exposure of its live pixels: the definition for a point. b is taken
    as known there, so with a ring of few counts the map is as noisy as they are. Pixels belong to aperture and ring
    when their centre does; sums by FFT, counts rounded to whole ones.

    References
    ----------
    Kashyap et al. (2010), ApJ 719, 900; Georgakakis et al. (2008), MNRAS 388, 1205.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> limits = sensitivity_map(example_rate_map(), radius=15 * u.arcsec)
    >>> str(limits), bool(np.isnan(limits.data[0, 0])), bool(0.005 < limits.data[100, 256] < 0.02)
    ('detection limit of RateMap 0999990101 pn 0.5-2 keV', True, True)
    """
    found = _apertures(rate_map, field, radius, background)
    counts = np.full(found.background.shape, np.nan)
    good = np.isfinite(found.background)
    counts[good] = detection_limit(found.background[good], false_alarm=false_alarm, power=power)
    return _limit_map(rate_map, found, counts, kind="detection limit", probability=power, false_alarm=false_alarm)


def upper_limit_map(
    rate_map: RateMap,
    field: Field | None = None,
    *,
    radius: Any,
    confidence: float = 0.95,
    background: Background = (1.5, 3.0),
) -> LimitMap:
    """Return the upper limit of a source at each pixel, given the counts that are there.

    Parameters
    ----------
    rate_map, field, radius, background
        As :func:`sensitivity_map`.
    confidence
        One-sided probability that the source lies below the limit.

    Returns
    -------
    LimitMap
        ``.data`` in ct/s; NaN off the detector, in gaps, and where the ring has no exposure.

    Raises
    ------
    InvalidRecord, UnitMismatch, ShapeMismatch
        As :func:`sensitivity_map`.

    Notes
    -----
    At each pixel :func:`~xphotfn.science.limits.upper_limit_on_off` of the counts of aperture and ring, or
    :func:`~xphotfn.science.limits.upper_limit` over a background that is given, over the mean exposure of the
    aperture's live pixels: what :func:`~xphotfn.measure.apertures.photometry` gives for a position there.

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
    found = _apertures(rate_map, field, radius, background)
    counts = np.full(found.background.shape, np.nan)
    good = np.isfinite(found.background)
    n = found.counts[good]
    if found.ring_counts is None:
        counts[good] = upper_limit(n, found.background[good], confidence=confidence)
    else:
        counts[good] = upper_limit_on_off(n, found.ring_counts[good], found.alpha[good], confidence=confidence)
    return _limit_map(rate_map, found, counts, kind="upper limit", probability=confidence)


def sky_coverage(limits: LimitMap, rates: Any, *, by: Literal["limit", "probability"] = "limit") -> u.Quantity:
    """Return the area over which a map is deep enough for each of a set of rates: the area curve.

    Parameters
    ----------
    limits
        The map.
    rates
        Count rates of a source, Quantity in ct/s or plain numbers in ct/s, any shape.
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
    wanted = _rates(rates)
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


def _rates(rates: Any) -> Floats:
    if not isinstance(rates, u.Quantity):
        return np.asarray(rates, dtype=np.float64)
    for unit in (u.ct / u.s, 1 / u.s):
        if rates.unit.is_equivalent(unit):
            return np.asarray(rates.to_value(unit), dtype=np.float64)
    raise UnitMismatch(f"rates must be in ct/s, got {rates.unit}")


class _Apertures(NamedTuple):
    """Sums at each pixel, shape (ny, nx); background NaN where there is no limit, ring_counts None if given."""

    counts: Floats
    background: Floats
    exposure: Floats
    live_fraction: Floats
    ring_counts: Floats | None
    alpha: Floats


def _limit_map(rate_map: RateMap, found: _Apertures, counts: Floats, **how: Any) -> LimitMap:
    return LimitMap(
        name=str(rate_map), grid=rate_map.grid, counts=counts, background=found.background, exposure_s=found.exposure,
        live_fraction=found.live_fraction, **how,
    )  # fmt: skip


def _apertures(rate_map: RateMap, field: Field | None, radius: Any, background: Background) -> _Apertures:
    counts, exposure, live = _images(rate_map, field)
    pixels = radius_deg(quantity(radius, "a radius", "15*u.arcsec"), None if field is None else field.target)
    pixels /= rate_map.grid.pixel_deg
    kernel = disc_kernel(pixels)
    n, number = (np.rint(sums_around(image, kernel)) for image in (counts, live.astype(np.float64)))
    seconds = np.where(number > 0, sums_around(exposure, kernel), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(live, seconds / number, np.nan)
    fraction = np.where(live, number / np.count_nonzero(kernel), 0.0)
    if isinstance(background, tuple | list) and len(background) == 2:
        around = ring_kernel(pixels, *background)
        ring, ring_pixels = (np.rint(sums_around(image, around)) for image in (counts, live.astype(np.float64)))
        total = np.where(ring_pixels > 0, sums_around(exposure, around), np.nan)
        alpha = seconds / total
        return _Apertures(n, np.where(live, alpha * ring, np.nan), mean, fraction, ring, alpha)
    expected = sums_around(_expected(background, live), kernel)
    return _Apertures(n, np.where(live, np.maximum(expected, 0.0), np.nan), mean, fraction, None, expected)


def _images(rate_map: RateMap, field: Field | None) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return counts, exposure and live pixels; what is not live is 0."""
    counts, exposure = rate_map.image.data, rate_map.exposure.data
    with np.errstate(invalid="ignore"):
        live = (exposure > 0) & np.isfinite(exposure) & np.isfinite(counts)
    if field is not None:
        live = live & interloper_mask(rate_map, field)
    whole = np.where(live, counts, 0).astype(np.float64)
    if np.any(whole < 0) or np.any(whole != np.floor(whole)):
        raise InvalidRecord(
            f"{rate_map.path} does not hold whole counts: an image that was resampled, smoothed or "
            "background-subtracted has no Poisson statistics; make limits of the single maps"
        )
    return whole, np.where(live, exposure, 0.0).astype(np.float64), live


def _expected(background: Any, live: NDArray[np.bool_]) -> Floats:
    array = np.asarray(background, dtype=np.float64)
    if array.shape != live.shape:
        raise ShapeMismatch(f"background must be two factors or an array of shape {live.shape}, got {array.shape}")
    used = np.where(live, array, 0.0)
    if not np.all(np.isfinite(used) & (used >= 0)):
        raise InvalidRecord("expected background counts must be finite and not negative on the detector")
    return used
