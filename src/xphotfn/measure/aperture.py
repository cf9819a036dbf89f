"""The region of a field that is measured: every form in which it is given is read here, once."""

from functools import lru_cache
from typing import TypeAlias, final

import astropy.units as u
from attrs import frozen

from xphotfn.errors import InvalidRecord, ProductMissing
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import COMBINED
from xphotfn.records.target import OVERDENSITIES, Target
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.distances import radius_deg, radius_of
from xphotfn.science.pixel_masks import PixelShape
from xphotfn.science.shapes import pixel_shapes
from xphotfn.units import position_deg

__all__ = (
    "REGIONS",
    "Aperture",
    "RegionLike",
    "aperture_of",
    "default_region",
    "region_of",
    "region_words",
    "shape_of",
)

REGIONS = (*OVERDENSITIES, "point", "region")
"""Regions that have a name: a radius of the target (``point``: the source's own), or its matched region."""


@final
@frozen(kw_only=True)
class Aperture:
    """A circle around the centre of a field, or the matched region of each of its observations.

    Parameters
    ----------
    name
        One of :data:`REGIONS`; empty where the radius was given itself.
    radius_deg
        None for matched regions.
    label
        In words, such as ``R500 = 1200 kpc``.
    """

    name: str
    radius_deg: float | None
    label: str


RegionLike: TypeAlias = str | u.Quantity | Aperture
"""A region as users write it: one of :data:`REGIONS`, or a radius as Quantity or text; or what it is on the field."""


def region_of(region: str | u.Quantity) -> str | u.Quantity:
    """Return a region of any form as one of :data:`REGIONS` or a radius above 0 as Quantity.

    A text that is neither raises InvalidRecord, as does 0; what is neither angle nor length UnitMismatch.

    Examples
    --------
    >>> region_of("r500"), region_of("3 arcmin")
    ('r500', <Quantity 3. arcmin>)
    """
    if isinstance(region, str) and region in REGIONS:
        return region
    try:
        radius = u.Quantity(region) if isinstance(region, str) else region
    except (TypeError, ValueError) as error:
        raise InvalidRecord(
            f"no region is called {region!r}: use {', '.join(REGIONS)} or a Quantity such as 300*u.kpc"
        ) from error
    radius = radius_of(radius)
    if radius.value == 0:
        raise InvalidRecord(f"the radius of a source region must be above 0, got {region}")
    return radius


def aperture_of(field: Field, region: RegionLike) -> Aperture:
    """Return what a region is on a field.

    A radius that the target lacks raises ProductMissing, one in kpc without a redshift UnitMismatch.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field
    >>> aperture_of(example_field(), "r500").label, aperture_of(example_field(), "3 arcmin")
    ('R500 = 1200 kpc', Aperture(name='', radius_deg=0.05, label='3 arcmin'))
    """
    if isinstance(region, Aperture):
        return region
    given = region_of(region)
    if isinstance(given, str):
        return _named_aperture(field.target, given)
    return Aperture(name="", radius_deg=radius_deg(given, field.target), label=region_words(given))


@lru_cache(maxsize=4096)
def _named_aperture(target: Target | None, name: str) -> Aperture:
    """Return what a named region is on a target; many maps and positions ask for the same one."""
    words = region_words(name)
    if name == "region":
        return Aperture(name=name, radius_deg=None, label=words)
    radius = _named_radius(target, name)
    return Aperture(name=name, radius_deg=radius_deg(radius, target), label=f"{words} = {radius:g}")


def region_words(region: str | u.Quantity) -> str:
    """Return what a region is called, whatever the target."""
    if not isinstance(region, str):
        return f"{region:g}"
    return {"point": "radius", "region": "matched region"}.get(region, region.upper())


def default_region(field: Field) -> str:
    """Return the region of a target that is measured where none is asked for: R500, else R200, R2500, its radius.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field
    >>> default_region(example_field())
    'r500'
    """
    target = field.target
    if target is None:
        return "region"
    known = (name for name in OVERDENSITIES if getattr(target, name) is not None)
    return next(known, "region" if target.radius is None else "point")


def shape_of(aperture: Aperture, field: Field, grid: PixelGrid, obs_id: str, centre: object = None) -> PixelShape:
    """Return the shape of an aperture of a field in pixels of a grid, for a map of one ObsID or ``combined``.

    A circle may be given another centre than the field's; a matched region may not (InvalidRecord), and there must be
    one of that observation (ProductMissing).
    """
    if aperture.radius_deg is None:
        if centre is not None:
            raise InvalidRecord('centre= has no meaning with region="region": the matched region has its own centre')
        return _matched_shape(field, grid, obs_id)
    x, y = centre_pixel(field, grid, centre)
    return PixelShape(shape="circle", x=x, y=y, size=(aperture.radius_deg / grid.pixel_deg,))


def centre_pixel(field: Field, grid: PixelGrid, centre: object = None) -> tuple[float, float]:
    """Return the centre of a field, or another position, in pixels of a grid."""
    ra, dec = position_deg(field.centre if centre is None else centre, "centre")
    x, y = deg_to_pix(grid, ra, dec)
    return float(x), float(y)


def _named_radius(target: Target | None, name: str) -> u.Quantity:
    if target is None:
        raise ProductMissing("a bulk field has no target and so no radius: give a Quantity and centre=")
    radius = target.radius if name == "point" else getattr(target, name)
    if radius is None:
        known = ", ".join(f"{n}={r}" for n, r in target.radii) or "no radius"
        raise ProductMissing(f"{target.name} has no {name} (it has {known}): give it, or a radius as Quantity")
    result: u.Quantity = radius
    return result


def _matched_shape(field: Field, grid: PixelGrid, obs_id: str) -> PixelShape:
    if obs_id == COMBINED:
        raise ProductMissing(
            "a combined map has no matched region, each observation has its own: use a radius, or the map of one ObsID"
        )
    member = field.member(obs_id)
    if member.match is None:
        raise ProductMissing(f"no region of {obs_id} matches {field.name}: use a radius such as 'r500'")
    return pixel_shapes((member.match,), member.region_grid, grid)[0]
