"""Other sources near each position: what is masked for it, and which positions are measured together.

A region that holds a position is its own source and is not masked for it; all others are. Positions with the same
regions of their own share a mask, which is painted in the window that their rings need.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.measure.aperture_positions import Sky, angles_deg
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.masks import PixelShape, holds, paint
from xphotfn.science.shapes import pixel_shapes

__all__ = ("OtherSources", "Patch", "circles_of", "other_sources", "patches")

Floats = NDArray[np.float64]
Window = tuple[slice, slice]
MARGIN = 2.0  # pixels around the rings, more than any rule of which pixels belong to a circle needs


class OtherSources(NamedTuple):
    """Sources on one grid as pixel shapes, and for each position which of them are its own (sorted numbers)."""

    shapes: tuple[PixelShape, ...]
    own: tuple[tuple[int, ...], ...]


class Patch(NamedTuple):
    """Positions that are measured together, the window of the images they need, and its pixels free of others."""

    positions: NDArray[np.intp]
    window: Window
    grid: PixelGrid
    free: NDArray[np.bool_] | None


def circles_of(neighbours: Any, sky: Sky) -> tuple[Region, ...]:
    """Return the regions of neighbours in the forms that :func:`~xphotfn.measure.apertures.photometry` takes.

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


def other_sources(grid: PixelGrid, field: Field | None, circles: Sequence[Region], sky: Sky) -> OtherSources | None:
    """Return the sources of a field, and further circles, on a grid; None where there is none.

    The regions of the field's target (its match, and those kept with it) count as one source: where one of them holds
    a position, or the circle holds the field's centre, none of them is masked.
    """
    x, y = deg_to_pix(grid, sky.ra, sky.dec)
    others: list[PixelShape] = list(pixel_shapes(circles, grid, grid))
    target: list[PixelShape] = []
    for member in field.members if field is not None else ():
        theirs = (member.match, *member.alternates, *member.kept)
        others += pixel_shapes(member.interlopers, member.region_grid, grid)
        target += pixel_shapes([r for r in theirs if r is not None], member.region_grid, grid)
    if not others and not target:
        return None
    own: list[list[int]] = [[] for _ in range(sky.ra.size)]
    for number, shape in enumerate(others):
        for position in np.flatnonzero(holds(shape, x, y)):
            own[position].append(number)
    if target:
        at_target = _at_centre(grid, field, (x, y), sky)
        for shape in target:
            at_target |= holds(shape, x, y)
        for position in np.flatnonzero(at_target):
            own[position] += range(len(others), len(others) + len(target))
    return OtherSources((*others, *target), tuple(tuple(v) for v in own))


def _at_centre(grid: PixelGrid, field: Field | None, at: tuple[Floats, Floats], sky: Sky) -> NDArray[np.bool_]:
    if field is None or field.centre_ra_deg is None or field.centre_dec_deg is None:
        return np.zeros(sky.ra.size, dtype=bool)
    x0, y0 = deg_to_pix(grid, field.centre_ra_deg, field.centre_dec_deg)
    return np.asarray(np.hypot(at[0] - x0, at[1] - y0) < sky.radius / grid.pixel_deg)


def patches(grid: PixelGrid, others: OtherSources | None, sky: Sky) -> Iterator[Patch]:
    """Yield all positions in groups that share a mask; those without a region of their own share the whole image."""
    whole = (slice(0, grid.ny), slice(0, grid.nx))
    if others is None or not others.own:
        yield Patch(np.arange(sky.ra.size), whole, grid, None)
        return
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, own in enumerate(others.own):
        groups.setdefault(own, []).append(position)
    x, y = deg_to_pix(grid, sky.ra, sky.dec)
    centres = np.array([(s.x, s.y, *s.reach) for s in others.shapes]).T
    for own, members in groups.items():
        positions = np.array(members, dtype=np.intp)
        window = _window(grid, x[positions], y[positions], sky.outer[positions] / grid.pixel_deg) if own else whole
        here = np.flatnonzero(_touches(centres, window))
        mine = set(own)
        shapes = [others.shapes[n] for n in here if n not in mine]
        yield Patch(positions, window, _cut(grid, window), _free(window, shapes))


def _window(grid: PixelGrid, x: Floats, y: Floats, reach: Floats) -> Window:
    """Return the part of the grid that circles of a reach cover, a pixel at least."""
    ends = []
    for centre, size in ((y, grid.ny), (x, grid.nx)):
        low = int(np.clip(np.floor(np.min(centre - reach) - MARGIN), 0, size - 1))
        ends.append(slice(low, int(np.clip(np.ceil(np.max(centre + reach) + MARGIN) + 1, low + 1, size))))
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


def _cut(grid: PixelGrid, window: Window) -> PixelGrid:
    rows, columns = window
    if (rows.start, columns.start) == (0, 0) and (rows.stop, columns.stop) == grid.shape:
        return grid
    return evolve(
        grid,
        nx=columns.stop - columns.start,
        ny=rows.stop - rows.start,
        crpix1=grid.crpix1 - columns.start,
        crpix2=grid.crpix2 - rows.start,
        x0_sky=None,
        y0_sky=None,
    )


def _free(window: Window, shapes: Sequence[PixelShape]) -> NDArray[np.bool_]:
    rows, columns = window
    covered = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
    paint(covered, (_moved(s, columns.start, rows.start) for s in shapes), never_empty=True)
    return ~covered


def _moved(shape: PixelShape, x: int, y: int) -> PixelShape:
    vertices = tuple((a - x, b - y) for a, b in shape.vertices)
    return evolve(shape, x=shape.x - x, y=shape.y - y, vertices=vertices)
