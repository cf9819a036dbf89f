"""Radii in kpc become angles; the only place that loads astropy.cosmology, where a cosmology is no flat LambdaCDM."""

import math
from functools import lru_cache
from typing import Any

import astropy.units as u

from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.records.target import CosmologyParameters, Target
from xphotfn.science.flat_cosmology import NAMED, FlatLambdaCDM, comoving_distance_kpc
from xphotfn.typing import QuantityLike, RadiusLike
from xphotfn.units import angle_deg, quantity

__all__ = (
    "angular_diameter_distance_kpc",
    "kpc_to_deg",
    "luminosity_distance_cm",
    "radius_deg",
    "radius_of",
    "size_deg",
)

_WHOLE_SKY = 180.0


def radius_deg(radius: RadiusLike, target: Target | None) -> float:
    """Return a radius in degrees; a length needs a target with a redshift.

    Parameters
    ----------
    radius
        A Quantity, angle or length.
    target
        Gives redshift and cosmology.

    Raises
    ------
    UnitMismatch
        If the unit is neither angle nor length, or a length has no redshift to go with.
    InvalidRecord
        If the radius is negative, or wider than the sky.

    Examples
    --------
    >>> from xphotfn.records import galaxy_cluster
    >>> a907 = galaxy_cluster("A907", 149.59209, -11.05972, redshift=0.16)
    >>> round(radius_deg(1200 * u.kpc, a907), 7)
    0.1170877
    """
    given = radius_of(radius)
    if given.unit.is_equivalent(u.deg):
        degrees = float(given.to_value(u.deg))
    elif target is None or target.redshift is None:
        who = "a place without a target" if target is None else target.name
        raise UnitMismatch(f"{radius} needs a redshift to become an angle and {who} has none: use arcmin instead")
    else:
        degrees = kpc_to_deg(float(given.to_value(u.kpc)), target)
    if degrees > _WHOLE_SKY:
        raise InvalidRecord(f"a radius must not be wider than the sky (180 deg), got {radius}: give less")
    return degrees


def size_deg(value: QuantityLike, what: str, example: str = "15*u.arcsec") -> float:
    """Return a size on the sky in degrees; unlike a coordinate it has to have its unit.

    Raises
    ------
    UnitMismatch
        If it has no unit, or the unit is no angle.

    Examples
    --------
    >>> size_deg(36 * u.arcsec, "scale")
    0.01
    """
    return angle_deg(quantity(value, what, example), what)


def radius_of(radius: Any) -> u.Quantity:
    """Return a radius as one Quantity, an angle or a length, or raise the errors of :func:`radius_deg`."""
    given = quantity(radius, "a radius", "300*u.kpc or 30*u.arcsec")
    if not given.isscalar:
        raise UnitMismatch(f"a radius must be one number, got {radius}")
    if not (given.unit.is_equivalent(u.deg) or given.unit.is_equivalent(u.kpc)):
        raise UnitMismatch(f"a radius must be an angle or a length (kpc), got {radius}")
    if not 0 <= given.value < math.inf:
        raise InvalidRecord(f"a radius must be finite and must not be negative, got {radius}")
    return given


def kpc_to_deg(length_kpc: float, target: Target) -> float:
    """Return the angle in degrees under which a length appears at the target's redshift."""
    if target.redshift is None:
        raise UnitMismatch(f"{target.name} has no redshift: a length in kpc cannot become an angle")
    distance = angular_diameter_distance_kpc(target.cosmology, target.redshift)
    return float((length_kpc / distance * u.rad).to_value(u.deg))


@lru_cache(maxsize=4096)
def angular_diameter_distance_kpc(cosmology: str | CosmologyParameters, redshift: float) -> float:
    """Return the angular diameter distance in kpc.

    Parameters
    ----------
    cosmology
        Name of an astropy cosmology, or its parameters.
    redshift
        Above 0.

    Notes
    -----
    Of flat LambdaCDM cosmologies, which all named ones are, by :func:`comoving_distance_kpc`: astropy's takes half a
    second to import. Of all others by astropy.
    """
    flat = _flat(cosmology)
    if flat is not None:
        return comoving_distance_kpc(flat, redshift) / (1 + redshift)
    return float(_flrw(cosmology).angular_diameter_distance(redshift).to_value(u.kpc))


def _flat(cosmology: str | CosmologyParameters) -> FlatLambdaCDM | None:
    """Return a flat LambdaCDM cosmology by its numbers, None for any other."""
    if isinstance(cosmology, str):
        return NAMED.get(cosmology)
    values = dict(cosmology.parameters)
    return FlatLambdaCDM.of(values) if cosmology.kind == "FlatLambdaCDM" else None


def luminosity_distance_cm(cosmology: str | CosmologyParameters, redshift: float) -> float:
    """Return the luminosity distance in cm; parameters as in :func:`angular_diameter_distance_kpc`."""
    near = angular_diameter_distance_kpc(cosmology, redshift) * u.kpc
    return float((near * (1 + redshift) ** 2).to_value(u.cm))


def _flrw(cosmology: str | CosmologyParameters) -> Any:
    import astropy.cosmology as ac

    if isinstance(cosmology, str):
        if cosmology not in ac.available:
            raise InvalidRecord(f"astropy has no cosmology {cosmology!r}; it has {', '.join(ac.available)}")
        return getattr(ac, cosmology)
    if not hasattr(ac, cosmology.kind):
        raise InvalidRecord(f"astropy has no class {cosmology.kind!r} of cosmologies: give a name such as 'Planck15'")
    units = {"H0": u.km / u.s / u.Mpc, "Tcmb0": u.K, "m_nu": u.eV}
    values = {n: v if v is None or n not in units else v * units[n] for n, v in cosmology.parameters}
    return getattr(ac, cosmology.kind)(**values)
