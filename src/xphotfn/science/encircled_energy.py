"""Part of a point source's light within a circle: King profiles of the EPIC cameras, or a table of one's own.

The fractions are good to some per cent only. That error is a systematic of the calibration, which
:func:`encircled_energy_systematic` states: carry it beside the Poisson error, never inside it.
"""

from typing import Any, final

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.science._numeric import Floats, broadcast, require_not_negative
from xphotfn.science.king import KingModel, king_fraction, king_parameters, king_radius, model_of, require_fraction

__all__ = (
    "EncircledEnergyTable",
    "PointSpread",
    "encircled_energy",
    "encircled_energy_systematic",
    "radius_of_fraction",
    "table_density",
)

_SUBPIXELS = 7
PEAK_PIXELS = 2.0  # by which the peak of an image may lie off the middle
PEAK, OFF_PEAK = 1 - 1e-9, 0.5  # of the peak's light, least near the middle, and near a centre that was given


def _column(values: ArrayLike) -> Floats:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"EncircledEnergyTable needs arrays of numbers, got {values!r}") from error
    array.setflags(write=False)
    return array


_same = attrs.cmp_using(eq=np.array_equal)


@final
@frozen(kw_only=True)
class EncircledEnergyTable:
    """Enclosed fractions of one's own, in place of the King profiles.

    Parameters
    ----------
    radii_arcsec
        Array of shape (n,), float64, rising, not negative, n at least 2. The fraction at 0 is 0.
    fractions
        Array of shape (n,), float64, within 0 and 1, never falling.
    systematic
        Relative error of the fractions, as known to the user.
    source
        Where the table comes from.

    Raises
    ------
    InvalidRecord
        If a rule is broken.

    Examples
    --------
    >>> table = EncircledEnergyTable(radii_arcsec=[5, 15, 30, 300], fractions=[0.3, 0.7, 0.85, 1.0])
    >>> encircled_energy([0, 15, 1000], psf=table).tolist()
    [0.0, 0.7, 1.0]
    """

    radii_arcsec: Floats = attrs.field(converter=_column, eq=_same, hash=False, repr=False)
    fractions: Floats = attrs.field(converter=_column, eq=_same, hash=False, repr=False)
    systematic: float = attrs.field(default=0.0, converter=float)
    source: str = ""

    def _repr_html_(self) -> str:
        return record_html(self)

    def __attrs_post_init__(self) -> None:
        radii, fractions = self.radii_arcsec, self.fractions
        if radii.ndim != 1 or radii.size < 2 or fractions.shape != radii.shape:
            raise InvalidRecord(
                f"EncircledEnergyTable needs as many fractions as radii, got {fractions.shape} and {radii.shape}"
            )
        if not (np.all(np.isfinite(radii)) and radii[0] >= 0 and np.all(np.diff(radii) > 0)):
            raise InvalidRecord("EncircledEnergyTable.radii_arcsec must be finite, rise and not be negative")
        if not (fractions[0] >= 0 and fractions[-1] <= 1 and np.all(np.diff(fractions) >= 0)):
            raise InvalidRecord("EncircledEnergyTable.fractions must lie within 0 and 1 and never fall")
        if not 0 <= self.systematic < np.inf:
            raise InvalidRecord(f"EncircledEnergyTable.systematic must be 0 or above, got {self.systematic}")
        if radii[0] == 0 and fractions[0] != 0:
            raise InvalidRecord(f"EncircledEnergyTable.fractions must be 0 at radius 0, got {fractions[0]:g}")

    @classmethod
    def from_image(
        cls,
        image: NDArray[np.floating],
        pixel_arcsec: float,
        *,
        centre: tuple[float, float] | None = None,
        total: float | None = None,
        systematic: float = 0.0,
    ) -> "EncircledEnergyTable":
        """Return the table of an image of the point spread function.

        Parameters
        ----------
        image
            Array of shape (ny, nx), any unit, finite and not negative: the light that falls on each pixel.
        pixel_arcsec
            Pixel size.
        centre
            Position ``(x, y)`` of the source in pixels; default the middle of the array, which must then be within two
            pixels of the peak.
        total
            Light of the whole source in the image's unit. Default the sum of the image; 1 for an image of psfgen,
            which is normalised to more light than it shows.
        systematic
            Relative error of the fractions.

        Raises
        ------
        InvalidRecord
            If the image is no image of a source, less than a pixel lies around the centre, or its peak lies elsewhere.

        Notes
        -----
        Steps of half a pixel to the largest circle within the image; each pixel is cut into 7 x 7. Pixels blur the
        light twice, by their size and by cutting them evenly: that is taken off to first order, so that the fractions
        are those of the sky. The change at the radius of half the light is added to ``systematic`` in quadrature, since
        values at the pixels' centres are blurred once only: 7 % for a core of a sigma of one pixel, 2.5 % of two, 0.7 %
        of four. Within the first pixel and a half no fraction of so small a core is good to that.

        Examples
        --------
        >>> flat = EncircledEnergyTable.from_image(np.ones((41, 41)), 1.0, total=400 * np.pi)
        >>> encircled_energy([5, 10, 20], psf=flat).round(2).tolist()
        [0.06, 0.25, 1.0]
        """
        light = _psf_image(image)
        whole = float(light.sum()) if total is None else float(total)
        if not (np.isfinite(whole) and whole > 0 and pixel_arcsec > 0):
            raise InvalidRecord(f"a PSF image needs light and a pixel size above 0, got {whole!r} and {pixel_arcsec!r}")
        x, y = ((light.shape[1] - 1) / 2, (light.shape[0] - 1) / 2) if centre is None else centre
        blurred, sharp = (np.cumsum(_half_pixel_sums(v, x, y)) / whole for v in (light, _sharpened(light)))
        _require_peak(light, x, y, PEAK if centre is None else OFF_PEAK)
        radii = np.arange(1, sharp.size + 1) * 0.5 * pixel_arcsec
        fractions = np.clip(np.maximum.accumulate(sharp), 0.0, 1.0)
        half = np.searchsorted(fractions, fractions[-1] / 2)
        change = abs(1 - blurred[half] / fractions[half]) if fractions[half] > 0 else 0.0
        error = float(np.hypot(systematic, change))
        return cls(radii_arcsec=radii, fractions=fractions, systematic=error, source="image")


PointSpread = KingModel | EncircledEnergyTable


def _psf_image(image: ArrayLike) -> Floats:
    light = np.asarray(image, dtype=np.float64)
    if light.ndim != 2 or not np.all(np.isfinite(light)) or np.any(light < 0):
        raise InvalidRecord("a PSF image must have two axes and hold finite numbers that are not negative")
    return light


def _sharpened(light: Floats) -> Floats:
    """Return an image without the blur of two pixels' widths, to first order: a kernel of their variance, 1/6."""
    from scipy.ndimage import convolve1d

    twice = light
    for axis in (0, 1):
        twice = convolve1d(twice, [1 / 12, 10 / 12, 1 / 12], axis=axis, mode="nearest")
    return np.asarray(2 * light - twice)


def _require_peak(light: Floats, x: float, y: float, least: float) -> None:
    """Refuse a centre whose surroundings of two pixels are fainter than a part of the peak, of means of 3 x 3."""
    from scipy.ndimage import uniform_filter

    smooth = uniform_filter(light, 3, mode="nearest")
    row, column = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    yy, xx = np.indices(smooth.shape)
    near = smooth[np.hypot(xx - x, yy - y) <= PEAK_PIXELS]
    if near.max(initial=0.0) < least * smooth[row, column]:
        raise InvalidRecord(
            f"the peak of the PSF image is at pixel ({column}, {row}), not at the centre ({x:g}, {y:g}): give the "
            "position of the source, as in centre=(x, y)"
        )


def _half_pixel_sums(light: Floats, x: float, y: float) -> Floats:
    """Return the light in rings of half a pixel, to the largest circle within the image."""
    rows, columns = light.shape
    reach = min(x, y, columns - 1 - x, rows - 1 - y) + 0.5
    rings = int(2 * reach)
    if not rings >= 2:
        raise InvalidRecord(f"the centre of a PSF image must lie a pixel or more within it, got ({x}, {y})")
    total, offsets = np.zeros(rings + 1), (np.arange(_SUBPIXELS) + 0.5) / _SUBPIXELS - 0.5
    for dy in offsets:
        for dx in offsets:
            squared = (np.arange(columns) + dx - x) ** 2 + (np.arange(rows)[:, None] + dy - y) ** 2
            ring = np.minimum(2 * np.sqrt(squared), rings).astype(np.intp)
            total += np.bincount(ring.ravel(), light.ravel(), rings + 1)
    return np.asarray(total[:rings] / _SUBPIXELS**2)


def encircled_energy(
    radius_arcsec: ArrayLike,
    *,
    instrument: str | None = None,
    energy_ev: ArrayLike | None = None,
    off_axis_arcmin: ArrayLike | None = None,
    psf: PointSpread | None = None,
) -> Floats:
    """Return the part of a point source's light within a circle around it.

    Parameters
    ----------
    radius_arcsec
        Radius of the circle.
    instrument, energy_ev, off_axis_arcmin
        Camera, energy, and angle of the source from the optical axis; needed unless ``psf`` is a table.
    psf
        A table of one's own, or another King profile, such as :data:`~xphotfn.science.king.PN_KING_2002`.

    Returns
    -------
    ndarray of float64
        Fraction, 0 to 1: all arguments broadcast. NaN where an argument is NaN.

    Raises
    ------
    InvalidRecord
        If something is missing, no such camera exists, or a number is negative or infinite.

    Notes
    -----
    King profiles, see :func:`~xphotfn.science.king.king_fraction`, that hold all the light within 300 arcsec. The
    parameters are those of :func:`~xphotfn.science.king.king_parameters`, which also tells where they are clamped:
    beyond 5 keV and 9 arcmin the fraction is that of 5 keV and 9 arcmin. The circle is centred on the source; from
    6 arcmin off axis the real image is elongated, which no circular profile knows. A table is interpolated by a
    monotone cubic (PCHIP) and keeps its last fraction beyond its last radius.

    The error is :func:`encircled_energy_systematic`.

    References
    ----------
    Ghizzardi (2001), EPIC-MCT-TN-011 (MOS) and CCF XRT1_XPSF_0005; for pn a fit to the ELLBETA image of psfgen
    (Read et al. 2011, A&A 534, A34), not the King profile of 2002, which is 7 % too wide.

    Examples
    --------
    >>> encircled_energy([15, 30, 60], instrument="pn", energy_ev=1500, off_axis_arcmin=0).round(3).tolist()
    [0.703, 0.843, 0.924]
    """
    radius = require_not_negative(radius_arcsec, "radius_arcsec")
    if isinstance(psf, EncircledEnergyTable):
        return _table_fraction(psf, radius)
    core, slope = _king_of(instrument, energy_ev, off_axis_arcmin, psf)
    return king_fraction(radius, core, slope)


def radius_of_fraction(
    fraction: ArrayLike,
    *,
    instrument: str | None = None,
    energy_ev: ArrayLike | None = None,
    off_axis_arcmin: ArrayLike | None = None,
    psf: PointSpread | None = None,
) -> Floats:
    """Return the radius that holds a part of a point source's light, the inverse of :func:`encircled_energy`.

    Parameters
    ----------
    fraction
        Within 0 and 1.
    instrument, energy_ev, off_axis_arcmin, psf
        As :func:`encircled_energy`.

    Returns
    -------
    ndarray of float64
        Radius in arcsec. NaN where an argument is NaN, and where a table does not reach the fraction.

    Raises
    ------
    InvalidRecord
        As :func:`encircled_energy`; also if a fraction does not lie within 0 and 1.

    Examples
    --------
    >>> radius_of_fraction([0.5, 0.9], instrument="mos1", energy_ev=1500, off_axis_arcmin=0).round(2).tolist()
    [8.63, 47.68]
    """
    wanted = require_fraction(fraction)
    if isinstance(psf, EncircledEnergyTable):
        return _table_radius(psf, wanted)
    core, slope = _king_of(instrument, energy_ev, off_axis_arcmin, psf)
    return king_radius(wanted, core, slope)


def _king_of(
    instrument: str | None, energy_ev: ArrayLike | None, off_axis_arcmin: ArrayLike | None, psf: KingModel | None
) -> tuple[Floats, Floats]:
    model = model_of(instrument) if psf is None else psf
    if energy_ev is None or off_axis_arcmin is None:
        raise InvalidRecord("a King profile needs energy_ev= and off_axis_arcmin= (0 on axis)")
    core, slope, _ = king_parameters(model, energy_ev=energy_ev, off_axis_arcmin=off_axis_arcmin)
    return core, slope


def _curve(table: EncircledEnergyTable) -> tuple[Any, float, float]:
    """Return the interpolation from radius 0, and the last radius and fraction."""
    from scipy.interpolate import PchipInterpolator

    radii, fractions = table.radii_arcsec, table.fractions
    if radii[0] > 0:
        radii, fractions = np.concatenate([[0.0], radii]), np.concatenate([[0.0], fractions])
    return PchipInterpolator(radii, fractions), float(radii[-1]), float(fractions[-1])


def _table_fraction(table: EncircledEnergyTable, radius: Floats) -> Floats:
    curve, last, _ = _curve(table)
    return np.asarray(np.clip(curve(np.minimum(radius, last)), 0.0, 1.0))


def table_density(table: EncircledEnergyTable, radius_arcsec: Floats) -> Floats:
    """Return the light per area of a table at radii above 0, per arcsec^2; 0 beyond its last radius."""
    curve, last, _ = _curve(table)
    slope = np.maximum(curve.derivative()(np.minimum(radius_arcsec, last)), 0.0)
    return np.asarray(np.where(radius_arcsec <= last, slope, 0.0) / (2 * np.pi * radius_arcsec))


def _table_radius(table: EncircledEnergyTable, wanted: Floats) -> Floats:
    """Bisect; 60 halvings leave nothing of a float64."""
    curve, last, most = _curve(table)
    low, high = np.zeros(wanted.shape), np.full(wanted.shape, last)
    for _ in range(60):
        middle = (low + high) / 2
        below = curve(middle) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(np.where(wanted <= most, np.where(wanted == 0, 0.0, high), np.nan))


def encircled_energy_systematic(
    *,
    instrument: str | None = None,
    energy_ev: ArrayLike | None = None,
    off_axis_arcmin: ArrayLike | None = None,
    psf: PointSpread | None = None,
) -> Floats:
    """Return the relative systematic error of an enclosed fraction.

    Parameters
    ----------
    instrument, energy_ev, off_axis_arcmin, psf
        As :func:`encircled_energy`.

    Returns
    -------
    ndarray of float64
        Relative error, one sigma: a rate that was divided by the fraction has it too. For a table its own.

    Raises
    ------
    InvalidRecord
        As :func:`encircled_energy`.

    Notes
    -----
    =========================  =====  =====  =====
    energy, angle up to        pn     MOS1   MOS2
    =========================  =====  =====  =====
    2 keV and 3 arcmin         4 %    3 %    4 %
    4.25 keV and 9 arcmin      6 %    5 %    5 %
    beyond (profile clamped)   8 %    8 %    8 %
    =========================  =====  =====  =====

    A judgement, for radii of 10 to 60 arcsec: the spread of the King profiles, the ELLBETA image, the fractions that
    SAS ``eupper`` uses (good to 5 %) and the tables of radii of 60, 70 and 80 % of the light.

    Examples
    --------
    >>> encircled_energy_systematic(instrument="mos1", energy_ev=1500, off_axis_arcmin=[0, 6, 12]).tolist()
    [0.03, 0.05, 0.08]
    """
    if isinstance(psf, EncircledEnergyTable):
        return np.asarray(psf.systematic)
    model = model_of(instrument) if psf is None else psf
    if energy_ev is None or off_axis_arcmin is None:
        raise InvalidRecord("a King profile needs energy_ev= and off_axis_arcmin= (0 on axis)")
    energy = require_not_negative(energy_ev, "energy_ev")
    energy, angle = broadcast(energy, require_not_negative(off_axis_arcmin, "off_axis_arcmin"))
    inner, middle, beyond = model.systematic
    good, fair = (energy <= 2000) & (angle <= 3), (energy <= 4250) & (angle <= 9)
    result = np.where(good, inner, np.where(fair, middle, beyond))
    return np.asarray(np.where(np.isnan(energy) | np.isnan(angle), np.nan, result))
