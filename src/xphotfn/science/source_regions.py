"""Lists of sources as regions: circles around points, ellipses around extended objects."""

from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any

import numpy as np
from astropy.units import Quantity

from xphotfn.errors import InvalidRecord
from xphotfn.records.fields import of_kind
from xphotfn.records.region import Region
from xphotfn.records.several import Several
from xphotfn.records.source import DetectedObject, DetectedSource, SearchedMap
from xphotfn.records.source_list import SourceList
from xphotfn.science._numeric import Floats
from xphotfn.science.distances import size_deg
from xphotfn.science.encircled_energy import radius_of_fraction
from xphotfn.science.king import EPIC_KING, king_parameters

__all__ = ("CUTS", "USUAL_CORE_RADII", "USUAL_RADIUS_ARCSEC", "source_regions")

CUTS = ("surface-brightness", "encircled")
USUAL_RADIUS_ARCSEC, USUAL_CORE_RADII = 30.0, 3.0  # of a source of which a list says no more than its position
_LEAST_ARCSEC, _MOST_ARCSEC = 12.0, 150.0
_POINT, _EXTENDED = "red", "green"
_LEVELS = {"surface-brightness": 1.0, "encircled": 0.8}
_RADII = np.linspace(_LEAST_ARCSEC, _MOST_ARCSEC, 277)

Radius = Callable[[DetectedSource], float]


def source_regions(
    sources: SourceList, *, cut: str | Quantity = "surface-brightness", level: float | None = None
) -> tuple[Region, ...]:
    """Return the regions of a list of sources, in the colours that XGA and :func:`match_observations` read.

    Parameters
    ----------
    sources
        As :func:`detect_sources` or :func:`read_source_list` returns them.
    cut
        Where a source ends. ``"surface-brightness"``: where its light falls to ``level`` of the background.
        ``"encircled"``: where the part ``level`` of its light is inside. A Quantity: the radius of points; extended
        sources have the larger of it and three core radii.
    level
        Default 1.0, where its light equals the background, or 0.8 of the light.

    Returns
    -------
    tuple of Region
        In fk5, in the order of the list: a red circle for each point, a green ellipse for each object, a green circle
        for an extended source that is of no object. The name is the number, or the source's name; ``line`` the number.

    Raises
    ------
    InvalidRecord
        If ``cut`` is none of these, or ``level`` is no positive number (below 1 of ``"encircled"``).
    UnitMismatch
        If what is no word is no angle with its unit.

    Notes
    -----
    Light and background are summed over the maps; points have the King profile of their camera, extended sources the
    beta model of slope 2/3 without the point spread function. Radii stay within 12 and 150 arcsec for points, and
    above 12 arcsec for extended sources. The ellipse of an object is the one that the search gave it. A source without
    rates for each map, as in lists that were read, has a circle of 30 arcsec or three core radii, whichever is more.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_source_list
    >>> [(region.shape, region.colour) for region in source_regions(example_source_list())]
    [('ellipse', 'green'), ('circle', 'red'), ('circle', 'red')]
    """
    of_kind(sources, SourceList, "detect_sources(...) or read_source_list(...)")
    radius = _rule(sources, cut, level)
    return Several(_regions(sources, radius))


def _rule(sources: SourceList, cut: Any, level: float | None) -> Radius:
    if not isinstance(cut, str):
        fixed = 3600 * size_deg(cut, "cut", "20*u.arcsec")
        if not 0 < fixed < np.inf:
            raise InvalidRecord(f"cut must be an angle above 0, got {cut}: give one such as 20*u.arcsec")
        return lambda source: max(fixed, USUAL_CORE_RADII * source.extent_arcsec)
    if cut not in CUTS:
        raise InvalidRecord(f"cut must be {', '.join(CUTS)} or an angle such as 20*u.arcsec, got {cut!r}")
    given = _LEVELS[cut] if level is None else level
    chosen = float(given) if isinstance(given, Real | np.number) else np.nan
    if not (0 < chosen < np.inf) or (cut == "encircled" and chosen >= 1):
        raise InvalidRecord(f"level must be above 0, and below 1 of the light inside; got {level!r}")
    of_cut = _surface_brightness if cut == "surface-brightness" else _encircled
    return lambda source: of_cut(source, sources.maps, chosen) if _is_known(source) else _usual(source)


def _regions(sources: SourceList, radius: Radius) -> Iterator[Region]:
    objects = {item.number: item for item in sources.objects}
    drawn: set[int] = set()
    for source in sources:
        item = objects.get(source.object_number) if source.is_extended else None
        if item is None:
            yield _circle(source, radius(source))
        elif item.number not in drawn:
            drawn.add(item.number)
            yield _ellipse(item)


def _circle(source: DetectedSource, arcsec: float) -> Region:
    return Region(
        shape="circle", frame="fk5", x=source.ra_deg % 360, y=source.dec_deg, size=(arcsec / 3600,),
        colour=_EXTENDED if source.is_extended else _POINT, name=source.name or str(source.number),
        line=source.number, position_error_deg=source.position_error_arcsec / 3600,
    )  # fmt: skip


def _ellipse(item: DetectedObject) -> Region:
    size = (item.semi_major_arcsec / 3600, item.semi_minor_arcsec / 3600)
    return Region(
        shape="ellipse", frame="fk5", x=item.ra_deg % 360, y=item.dec_deg, size=size, colour=_EXTENDED,
        angle_deg=(item.position_angle_deg + 90) % 180, name=f"object {item.number}", line=min(item.sources, default=0),
    )  # fmt: skip


def _is_known(source: DetectedSource) -> bool:
    return any((rate.counts or 0) > 0 and rate.background > 0 for rate in source.rates)


def _usual(source: DetectedSource) -> float:
    return max(USUAL_RADIUS_ARCSEC, USUAL_CORE_RADII * source.extent_arcsec)


def _surface_brightness(source: DetectedSource, maps: tuple[SearchedMap, ...], level: float) -> float:
    """Return the radius in arcsec at which the light of a source is ``level`` of the background."""
    pairs = list(zip(source.rates, maps, strict=True))
    background = sum(rate.background / searched.pixel_arcsec**2 for rate, searched in pairs)
    if source.is_extended:
        core = source.extent_arcsec
        centre = sum(rate.counts or 0.0 for rate, _ in pairs) / (2 * np.pi * core**2)
        ratio = centre / (level * background)
        return float(max(_LEAST_ARCSEC, core * np.sqrt(max(ratio ** (2 / 3) - 1, 0.0))))
    light = sum(
        ((rate.counts or 0.0) * _king(searched, rate.off_axis_arcmin) for rate, searched in pairs),
        np.zeros(_RADII.size),
    )
    return float(_RADII[min(int(np.count_nonzero(light > level * background)), _RADII.size - 1)])


def _king(searched: SearchedMap, off_axis_arcmin: float | None) -> Floats:
    """Return the light of a point per arcsec^2 at each of the radii; a map of no camera has the profile of pn."""
    core, slope, _ = king_parameters(
        _camera(searched), energy_ev=_energy(searched), off_axis_arcmin=off_axis_arcmin or 0
    )
    return np.asarray((slope - 1) / (np.pi * core**2) * (1 + (_RADII / core) ** 2) ** -slope)


def _encircled(source: DetectedSource, maps: tuple[SearchedMap, ...], level: float) -> float:
    """Return the radius in arcsec that holds a part of the light, the mean over the maps by counts."""
    if source.is_extended:  # of the beta model of slope 2/3: 1 - (1 + r^2/rc^2)^-1/2
        return max(_LEAST_ARCSEC, source.extent_arcsec * float(np.sqrt(1 / (1 - level) ** 2 - 1)))
    counts = np.array([max(rate.counts or 0.0, 0.0) for rate in source.rates])
    radii = [
        float(
            radius_of_fraction(
                level, instrument=_camera(m), energy_ev=_energy(m), off_axis_arcmin=r.off_axis_arcmin or 0
            )
        )
        for r, m in zip(source.rates, maps, strict=True)
    ]
    return float(np.clip(np.average(radii, weights=counts), _LEAST_ARCSEC, _MOST_ARCSEC))


def _camera(searched: SearchedMap) -> str:
    return searched.instrument if searched.instrument in EPIC_KING else "pn"


def _energy(searched: SearchedMap) -> float:
    return (searched.band.lo_ev + searched.band.hi_ev) / 2
