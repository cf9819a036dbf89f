"""Other sources near each position: what is masked for it, and which positions are measured together.

A region that holds a position is not masked for it, since that would take the position itself; all others are. Where
the regions of several sources hold a position, that is said. Positions that the same regions hold share a mask, which
is painted in the window that their rings need.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray
from toolz import groupby

from xphotfn.errors import InvalidRecord
from xphotfn.measure.photometry.circles import SkyPositions, angles_deg
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.pixel_masks import PixelShape, Window, holds, painted
from xphotfn.science.shapes import pixel_shapes

__all__ = ("OtherSources", "Patch", "circles_of", "other_sources", "patches")

Floats = NDArray[np.float64]
MARGIN = 2.0  # pixels around the rings, more than any rule of which pixels belong to a circle needs
PATCH_COST = 20_000  # pixels that are summed in the time that one more patch takes


class OtherSources(NamedTuple):
    """Sources on one grid as pixel shapes, and for each position which of them hold it (sorted numbers).

    Those are not masked for the position, since that would take the position itself. ``shared`` says where they are
    the regions of several sources.
    """

    shapes: tuple[PixelShape, ...]
    own: tuple[tuple[int, ...], ...]
    shared: NDArray[np.bool_]
    at: tuple[Floats, Floats]
    pixel_arcsec: float

    def hidden(self, region: int, position: int) -> float:
        """Return the radius around a position, in arcsec, that lies within a region."""
        shape = self.shapes[region]
        off = float(np.hypot(self.at[0][position] - shape.x, self.at[1][position] - shape.y))
        return max(_inner_radius(shape) - off, 0.0) * self.pixel_arcsec


def _inner_radius(shape: PixelShape) -> float:
    match shape.shape:
        case "circle" | "ellipse":
            return min(shape.size)
        case "box":
            return min(shape.size) / 2
        case _:
            return 0.0


class Patch(NamedTuple):
    """Positions that are measured together, the window of the images they need, and its pixels free of others."""

    positions: NDArray[np.intp]
    window: Window
    free: NDArray[np.bool_] | None


def circles_of(neighbours: Any, sky: SkyPositions) -> tuple[Region, ...]:
    """Return the regions of neighbours in the forms that :func:`photometry` takes.

    Raises
    ------
    InvalidRecord
        If they are neither ``"positions"``, radii nor regions, or regions in pixels of an image that is not known.
    """
    if neighbours is None:
        return ()
    if isinstance(neighbours, u.Quantity) or (isinstance(neighbours, str) and neighbours == "positions"):
        radius = sky.radius if isinstance(neighbours, str) else angles_deg(neighbours, None, sky.ra.size)
        known = np.flatnonzero(np.isfinite(sky.ra + sky.dec))
        places = np.unique(np.stack([sky.ra, sky.dec, radius])[:, known], axis=1)
        return tuple(Region(shape="circle", frame="icrs", x=a, y=d, size=(r,)) for a, d, r in places.T.tolist())
    regions = (neighbours,) if isinstance(neighbours, Region) else neighbours
    if isinstance(regions, str) or not isinstance(regions, Iterable):
        raise InvalidRecord(f'neighbours must be "positions", a radius such as 30*u.arcsec or regions, got {regions!r}')
    found = tuple(regions)
    for region in found:
        if not isinstance(region, Region) or region.frame not in ("fk5", "icrs"):
            what = f"in the frame {region.frame}" if isinstance(region, Region) else repr(region)
            raise InvalidRecord(
                f"neighbours must be regions in degrees (fk5, icrs), got one {what}: a field knows the image of its "
                "regions, use field= for those in pixels"
            )
    return found


def other_sources(
    grid: PixelGrid, field: Field | None, circles: Sequence[Region], sky: SkyPositions
) -> OtherSources | None:
    """Return the sources of a field, and further circles, on a grid; None where there is none.

    The regions of the field's target (its match, and those kept with it) count as one source: where one of them holds
    a position, or the circle holds the field's centre, none of them is masked.
    """
    x, y = deg_to_pix(grid, sky.ra, sky.dec)
    lists: list[tuple[PixelShape, ...]] = [pixel_shapes(circles, grid, grid)]
    target: list[PixelShape] = []
    for member in field.members if field is not None else ():
        theirs = (member.match, *member.alternates, *member.kept)
        lists.append(pixel_shapes(member.interlopers, member.region_grid, grid))
        target += pixel_shapes([r for r in theirs if r is not None], member.region_grid, grid)
    others = [shape for shapes in lists for shape in shapes]
    if not others and not target:
        return None
    own: list[list[int]] = [[] for _ in range(sky.ra.size)]
    for number, shape in enumerate(others):
        for position in np.flatnonzero(holds(shape, x, y)):
            own[position].append(number)
    of_list = [number for number, shapes in enumerate(lists) for _ in shapes]
    several = [_several([others[n] for n in held], [of_list[n] for n in held], at) for held, at in _held(own, x, y)]
    shared = np.array(several, dtype=bool)
    if target:
        at_target = _at_centre(grid, field, (x, y), sky)
        for shape in target:
            at_target |= holds(shape, x, y)
        shared |= at_target & np.array([bool(held) for held in own])
        for position in np.flatnonzero(at_target):
            own[position] += range(len(others), len(others) + len(target))
    shapes = (*others, *target)
    return OtherSources(shapes, tuple(tuple(v) for v in own), shared, (x, y), grid.pixel_deg * 3600)


def _held(own: Sequence[list[int]], x: Floats, y: Floats) -> Iterator[tuple[list[int], tuple[float, float]]]:
    return zip(own, zip(x.tolist(), y.tolist(), strict=True), strict=True)


def _several(regions: Sequence[PixelShape], lists: Sequence[int], at: tuple[float, float]) -> bool:
    """Return whether regions that hold a position are of several sources.

    Its own is the one whose centre is nearest, of equal ones the smaller. Those of other lists are the same source
    where that one holds their centre, such as the region of the source in another observation.
    """
    if len(regions) < 2:
        return False
    nearest = min(range(len(regions)), key=lambda n: (np.hypot(regions[n].x - at[0], regions[n].y - at[1]),
                                                      max(regions[n].reach)))  # fmt: skip
    rest = [n for n in range(len(regions)) if n != nearest]
    x, y = (np.array([getattr(regions[n], name) for n in rest]) for name in ("x", "y"))
    same_list = np.array([lists[n] == lists[nearest] for n in rest])
    return bool(np.any(same_list | ~holds(regions[nearest], x, y)))


def _at_centre(grid: PixelGrid, field: Field | None, at: tuple[Floats, Floats], sky: SkyPositions) -> NDArray[np.bool_]:
    if field is None or field.centre_ra_deg is None or field.centre_dec_deg is None:
        return np.zeros(sky.ra.size, dtype=bool)
    x0, y0 = deg_to_pix(grid, field.centre_ra_deg, field.centre_dec_deg)
    return np.asarray(np.hypot(at[0] - x0, at[1] - y0) < sky.radius / grid.pixel_deg)


def patches(grid: PixelGrid, others: OtherSources | None, sky: SkyPositions) -> Iterator[Patch]:
    """Yield all positions in groups that share a mask, each with the part of the images that its circles need."""
    x, y = deg_to_pix(grid, sky.ra, sky.dec)
    places = x, y, sky.outer / grid.pixel_deg
    if others is None or not others.own:
        for positions, window in _windows(grid, places, np.arange(sky.ra.size)):
            yield Patch(positions, window, None)
        return
    centres = np.array([(s.x, s.y, *s.reach) for s in others.shapes]).T
    for own, members in groupby(others.own.__getitem__, range(len(others.own))).items():
        mine = set(own)
        for positions, window in _windows(grid, places, np.array(members, dtype=np.intp)):
            here = np.flatnonzero(_touches(centres, window))
            shapes = [others.shapes[n] for n in here if n not in mine]
            free = ~painted(grid.shape, shapes, window, never_empty=True) if shapes else None
            yield Patch(positions, window, free)


def _windows(
    grid: PixelGrid, places: tuple[Floats, Floats, Floats], positions: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], Window]]:
    """Yield positions with the window of their circles: apart where that is less work than the whole image."""
    x, y, reach = (v[positions] for v in places)
    widest = float(np.max(reach, initial=1.0))
    groups = _near(x, y, (2 * widest + MARGIN, grid.nx, grid.ny))
    windows = [_window(grid, x[group], y[group], reach[group]) for group in groups]
    work = sum(PATCH_COST + _pixels(window) for window in windows)
    together = _window(grid, x, y, reach)
    if work < PATCH_COST + _pixels(together):
        yield from ((positions[group], window) for group, window in zip(groups, windows, strict=True))
    else:
        yield positions, together


def _pixels(window: Window) -> int:
    rows, columns = window
    return int(rows.stop - rows.start) * int(columns.stop - columns.start)


def _near(x: Floats, y: Floats, cell: tuple[float, int, int]) -> list[NDArray[np.intp]]:
    """Return the numbers of positions that lie in one square cell of an image, in groups; those of NaN are one."""
    side, nx, ny = cell
    column, row = (np.floor(np.clip(np.nan_to_num(v, nan=-side), -side, size) / side) for v, size in ((x, nx), (y, ny)))
    number = (row + 1) * (np.floor(nx / side) + 3) + column
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


def _window(grid: PixelGrid, x: Floats, y: Floats, reach: Floats) -> Window:
    """Return the part of the grid that circles of a reach cover, a pixel at least."""
    ends = []
    for centre, size in ((y, grid.ny), (x, grid.nx)):
        known = np.isfinite(centre)
        low = np.min(centre - reach, where=known, initial=size - 1.0) - MARGIN
        high = np.max(centre + reach, where=known, initial=0.0) + MARGIN + 1
        start = int(np.clip(np.floor(low), 0, size - 1))
        ends.append(slice(start, int(np.clip(np.ceil(high), start + 1, size))))
    return ends[0], ends[1]


def _touches(centres: Floats, window: Window) -> NDArray[np.bool_]:
    x, y, half_x, half_y = centres
    rows, columns = window
    return np.asarray(
        (x + half_x >= columns.start - 1)
        & (x - half_x <= columns.stop)
        & (y + half_y >= rows.start - 1)
        & (y - half_y <= rows.stop)
    )
