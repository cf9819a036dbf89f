"""Which region of an observation is the target, and which are interlopers."""

from collections.abc import Sequence
from typing import final

import numpy as np
from attrs import field, frozen

from xphotfn.records.fields import items
from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.records.target import Target
from xphotfn.science.coords import deg_to_pix, separation_deg
from xphotfn.science.pixel_masks import PixelShape
from xphotfn.science.shapes import contains, pixel_shapes, sky_centres

__all__ = ("Sorted", "overlapping", "sort_regions")


@final
@frozen(kw_only=True)
class Sorted:
    """Regions of one observation, sorted by what they are to the target."""

    match: Region | None = None
    alternates: tuple[Region, ...] = field(default=(), converter=items)
    kept: tuple[Region, ...] = field(default=(), converter=items)
    interlopers: tuple[Region, ...] = field(default=(), converter=items)


def sort_regions(
    regions: Sequence[Region], region_grid: PixelGrid, target: Target | None, core_deg: float = 0.0
) -> Sorted:
    """Sort the regions of one observation.

    Parameters
    ----------
    regions
        Regions of its file.
    region_grid
        The grid that their pixel frames mean.
    target
        The target; without one all regions are interlopers.
    core_deg
        Radius within which red and magenta regions belong to a cluster (0.15 R500), in degrees.

    Notes
    -----
    The match is the region nearest to the target among those that contain its position and have a colour of its
    kind: extended colours for clusters and extended sources, red for point sources, any for a plain position. Other
    regions of that kind that contain it are alternates: neither measured nor masked. So are extended regions that
    contain a point source: masked, nothing of it would be left. Excluded (``-``) regions are no sources.

    References
    ----------
    XGA ``sources/base.py``, ``_source_type_match``; ``sources/extended.py``.
    """
    sources = [r for r in regions if r.include]
    if target is None or not sources:
        return Sorted(interlopers=sources)
    distance = separation_deg(target.ra_deg, target.dec_deg, *sky_centres(sources, region_grid))
    x, y = (float(v) for v in deg_to_pix(region_grid, target.ra_deg, target.dec_deg))
    within = contains(pixel_shapes(sources, region_grid, region_grid), x, y)
    holding = [i for i in np.argsort(distance, kind="stable").tolist() if within[i]]
    own = [i for i in holding if _is_kind(sources[i], target)]
    around = [i for i in holding if target.kind == "point" and i not in own]
    hits = own + around
    in_core = {i for i, r in enumerate(sources) if distance[i] < core_deg and r.colour in ("red", "magenta")}
    kept = sorted(in_core - set(hits)) if target.kind == "cluster" else []
    rest = [r for i, r in enumerate(sources) if i not in hits and i not in kept]
    return Sorted(
        match=sources[own[0]] if own else None,
        alternates=[sources[i] for i in own[1:] + around],
        kept=[sources[i] for i in kept],
        interlopers=rest,
    )


def _is_kind(region: Region, target: Target) -> bool:
    match target.kind:
        case "point":
            return region.is_point_source
        case "position":
            return True
        case _:
            return region.is_extended


def overlapping(match: PixelShape, other: PixelShape) -> bool:
    """Return whether two ellipses overlap: either holds a point of the other's perimeter or its centre."""
    return _holds_rim(match, other) or _holds_rim(other, match)


def _holds_rim(one: PixelShape, other: PixelShape) -> bool:
    if not one.size or not other.size or one.shape == "point" or other.shape == "point":
        return False
    a, b = (other.size * 2)[:2]
    turn, phase = np.deg2rad(other.angle_deg), np.linspace(0, 2 * np.pi, 72, endpoint=False)
    x = other.x + a * np.cos(phase) * np.cos(turn) - b * np.sin(phase) * np.sin(turn)
    y = other.y + a * np.cos(phase) * np.sin(turn) + b * np.sin(phase) * np.cos(turn)
    points = zip([other.x, *x.tolist()], [other.y, *y.tolist()], strict=True)
    return any(contains([one], px, py)[0] for px, py in points)
