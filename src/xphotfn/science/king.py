"""The King profile of a point source on the EPIC cameras, and its published parameters."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, final

import numpy as np
from attrs import field, frozen
from numpy.typing import ArrayLike, NDArray
from scipy import special

from xphotfn.errors import InvalidRecord
from xphotfn.records.instrument import instrument as camera_of
from xphotfn.science._numeric import Floats, broadcast, require_above_zero, require_not_negative

__all__ = (
    "EPIC_KING",
    "OUTER_ARCSEC",
    "PN_KING_2002",
    "KingModel",
    "king_fraction",
    "king_parameters",
    "king_radius",
    "model_of",
    "require_fraction",
)

OUTER_ARCSEC = 300.0  # the radius that holds all the light, by definition of the calibration
_ENERGY_KEV, _ANGLE_ARCMIN, _LEAST_CORE_ARCSEC = (0.1, 5.0), 9.0, 2.0  # where the linear forms may be used


Terms = tuple[float, float, float, float]


def _floats(values: Iterable[Any]) -> tuple[Any, ...]:
    try:
        return tuple(float(v) for v in values)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"KingModel needs tuples of numbers, got {values!r}") from error


@final
@frozen(kw_only=True)
class KingModel:
    """King profile whose core radius and slope are linear in energy E (keV) and off-axis angle t (arcmin).

    Parameters
    ----------
    core
        Coefficients of 1, E, t and E t of the core radius in arcsec.
    slope
        The same of the slope, ``[1 + (r/core)**2]**-slope``.
    systematic
        Relative error of the fractions, 1 sigma: within 2 keV and 3 arcmin, within 4.25 keV and 9 arcmin, beyond.
    source
        Where the numbers come from.
    """

    core: Terms = field(converter=_floats)
    slope: Terms = field(converter=_floats)
    systematic: tuple[float, float, float] = field(default=(0.04, 0.06, 0.08), converter=_floats)
    source: str = ""

    def __attrs_post_init__(self) -> None:
        for name, size in (("core", 4), ("slope", 4), ("systematic", 3)):
            values = getattr(self, name)
            if len(values) != size or not np.all(np.isfinite(values)):
                raise InvalidRecord(f"KingModel.{name} needs {size} finite numbers, got {values}")
        if min(self.systematic) < 0:
            raise InvalidRecord(f"KingModel.systematic must not be negative, got {self.systematic}")


EPIC_KING = MappingProxyType(
    {
        "pn": KingModel(
            core=(4.035, 0.0, 0.0, 0.0),
            slope=(1.4286, 0.0, 0.0, 0.0),
            systematic=(0.04, 0.06, 0.08),
            source="fit to the ELLBETA image of psfgen (SAS 17), pn, 1.5 keV, on axis",
        ),
        "mos1": KingModel(
            core=(5.074, -0.236, 0.002, -0.0180),
            slope=(1.472, -0.010, -0.001, -0.0016),
            systematic=(0.03, 0.05, 0.08),
            source="CCF XRT1_XPSF_0005; terms with angle as quoted from Ghizzardi, EPIC-MCT-TN-011, not checked",
        ),
        "mos2": KingModel(
            core=(4.759, -0.203, 0.014, -0.0229),
            slope=(1.411, -0.005, -0.001, -0.0002),
            systematic=(0.04, 0.05, 0.08),
            source="as quoted from Ghizzardi, EPIC-MCT-TN-011, not checked",
        ),
    }
)
"""The King profile that is used for each camera."""

PN_KING_2002 = KingModel(
    core=(6.636, -0.305, -0.175, -0.0067),
    slope=(1.525, -0.015, -0.012, -0.0010),
    systematic=(0.08, 0.08, 0.08),
    source="Ghizzardi, EPIC-MCT-TN-012; CCF XRT3_XPSF_0004 (superseded)",
)
"""The King profile of pn of 2002: some 7 % too wide at 15 to 30 arcsec, here to compare with older results."""


def king_fraction(radius: ArrayLike, core: ArrayLike, slope: ArrayLike, *, outer: float = OUTER_ARCSEC) -> Floats:
    """Return the part of a King profile within a radius.

    Parameters
    ----------
    radius, core
        Radius and core radius in the same unit (arcsec by default).
    slope
        Exponent a of ``[1 + (r/core)**2]**-a``, above 0.
    outer
        Radius that holds all the light.

    Returns
    -------
    ndarray of float64
        0 at radius 0, 1 from ``outer`` on; NaN for NaN.

    Raises
    ------
    InvalidRecord
        If a radius is negative or infinite, or core, slope or outer is not above 0.

    Notes
    -----
    ``f(r) = (1 - [1 + (r/core)**2]**(1-a)) / (1 - [1 + (outer/core)**2]**(1-a))``; for a = 1 the ratio of the
    logarithms, its limit.

    References
    ----------
    XMM-Newton Calibration Access and Data Handbook, CAL_getEncircledEnergy.

    Examples
    --------
    >>> king_fraction([5, 15, 60], 4.72, 1.457).round(6).tolist()
    [0.297666, 0.682456, 0.923137]
    >>> king_fraction(15, 5, 1).round(6).tolist()
    0.281181
    """
    r, c, a = _king_arguments(require_not_negative(radius, "radius"), core, slope, outer)
    part = special.boxcox1p((np.minimum(r, outer) / c) ** 2, 1 - a)
    return np.asarray(part / special.boxcox1p((outer / c) ** 2, 1 - a))


def king_radius(fraction: ArrayLike, core: ArrayLike, slope: ArrayLike, *, outer: float = OUTER_ARCSEC) -> Floats:
    """Return the radius that holds a part of a King profile, the inverse of :func:`king_fraction`.

    Raises
    ------
    InvalidRecord
        If a fraction does not lie within 0 and 1, or core, slope or outer is not above 0.

    Examples
    --------
    >>> king_radius([0.5, 0.8, 0.9], 4.72, 1.457).round(4).tolist()
    [8.6273, 24.5399, 47.6824]
    """
    f, c, a = _king_arguments(require_fraction(fraction), core, slope, outer)
    whole = special.boxcox1p((outer / c) ** 2, 1 - a)
    return np.asarray(c * np.sqrt(special.inv_boxcox1p(f * whole, 1 - a)))


def _king_arguments(first: Floats, core: ArrayLike, slope: ArrayLike, outer: float) -> tuple[Floats, ...]:
    require_above_zero(outer, "outer")
    return broadcast(first, require_above_zero(core, "core"), require_above_zero(slope, "slope"))


def require_fraction(value: ArrayLike) -> Floats:
    """Return ``value`` as float64; refuse what does not lie within 0 and 1, keep NaN."""
    fraction = require_not_negative(value, "fraction")
    if np.any(fraction > 1):
        raise InvalidRecord(f"fraction must lie within 0 and 1, got {np.nanmax(fraction):g}")
    return fraction


def king_parameters(
    model: KingModel | str, *, energy_ev: ArrayLike, off_axis_arcmin: ArrayLike
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return core radius and slope of a King profile, and where they are clamped.

    Parameters
    ----------
    model
        A camera (``pn``, ``mos1``, ``mos2`` or another of its names), or a profile.
    energy_ev, off_axis_arcmin
        Energy and angle from the optical axis, not negative.

    Returns
    -------
    core, slope : ndarray of float64
        Core radius in arcsec, and slope.
    clamped : ndarray of bool
        True where the values are those of the nearest energy or angle at which the linear forms hold.

    Raises
    ------
    InvalidRecord
        If there is no such camera, or an energy or angle is negative or infinite.

    Notes
    -----
    Core and slope are each ``c0 + c1 E + c2 t + c3 E t`` with E in keV and t in arcmin. These forms hold from 0.1 to
    5 keV and up to 9 arcmin, for core radii of 2 arcsec and more; outside they run away (MOS2: 0.3 arcsec at 8.5 keV
    and 15 arcmin). pn has one profile for all energies and angles, that of its ELLBETA image at 1.5 keV on axis;
    ``clamped`` means the same range for it.

    Examples
    --------
    >>> core, slope, clamped = king_parameters("mos1", energy_ev=[1500, 8000], off_axis_arcmin=0)
    >>> core.round(3).tolist(), clamped.tolist()
    ([4.72, 3.894], [False, True])
    """
    chosen = model if isinstance(model, KingModel) else model_of(model)
    energy = require_not_negative(energy_ev, "energy_ev") / 1000
    energy, angle = broadcast(energy, require_not_negative(off_axis_arcmin, "off_axis_arcmin"))
    e, t = np.clip(energy, *_ENERGY_KEV), np.minimum(angle, _ANGLE_ARCMIN)
    core, slope = (c[0] + c[1] * e + c[2] * t + c[3] * e * t for c in (chosen.core, chosen.slope))
    known = ~(np.isnan(energy) | np.isnan(angle))
    clamped = known & ((e != energy) | (t != angle) | (core < _LEAST_CORE_ARCSEC))
    return np.asarray(np.maximum(core, _LEAST_CORE_ARCSEC)), np.asarray(slope), np.asarray(clamped)


def model_of(instrument: str | None) -> KingModel:
    """Return the King profile of a camera.

    Raises
    ------
    InvalidRecord
        If there is no such camera, or none is named.
    """
    if instrument is None:
        raise InvalidRecord("name the camera (instrument='pn', 'mos1' or 'mos2') or give psf= of your own")
    return EPIC_KING[camera_of(instrument).name]
