"""The parts of maps that hold a tile of the sky, and planes of whole maps made of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.records.grid import PixelGrid
from xphotfn.science._numeric import Floats
from xphotfn.science.coords import separation_deg
from xphotfn.science.detection.search_map import SearchMap
from xphotfn.science.detection.tiles import REACH_ARCMIN, Tile, positions

__all__ = ("TilePart", "part_of_grid", "part_of_map", "placed")


class TilePart(NamedTuple):
    """The part of a map that holds a tile: its arrays, where it lies, and its pixels in the core."""

    map: SearchMap
    window: tuple[slice, slice]
    core: NDArray[np.bool_]


def part_of_map(item: SearchMap, tile: Tile, name: str) -> TilePart | None:
    """Return the part of a map that holds a tile with its margin; None where it has no live pixel or no count there.

    Raises
    ------
    InvalidRecord
        If a live pixel lies farther from the pointing than a plan looks; ``name`` says which map it is.
    """
    ra, dec = positions(item.grid)
    live = item.exposure > 0
    reach = 60 * float(separation_deg(ra[live], dec[live], *item.pointing).max())
    if reach > REACH_ARCMIN:
        raise InvalidRecord(
            f"{name} reaches {reach:.1f} arcmin from its pointing, more than {REACH_ARCMIN:g}: it is no map of one "
            "pointing, so tiles of it would be missed; search it without others"
        )
    there = tile.within(ra, dec)
    if not np.any(item.counts[there & live] > 0):
        return None
    rows, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    window = np.s_[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
    counts, exposure = item.counts[window], item.exposure[window]
    flat, streak = (None if plane is None else plane[window] for plane in (item.flat, item.streak))
    grid = part_of_grid(item.grid, window)
    part = item._replace(counts=counts, exposure=exposure, flat=flat, streak=streak, grid=grid)
    return TilePart(part, window, tile.holds(ra[window], dec[window]))


def part_of_grid(grid: PixelGrid, window: tuple[slice, slice]) -> PixelGrid:
    """Return the grid of a window of rows and columns, which may reach beyond the grid; it knows no X and Y."""
    rows, columns = window
    return evolve(
        grid,
        nx=columns.stop - columns.start,
        ny=rows.stop - rows.start,
        crpix1=grid.crpix1 - columns.start,
        crpix2=grid.crpix2 - rows.start,
        x0_sky=None,
        y0_sky=None,
    )


def placed(
    grids: Sequence[PixelGrid], parts: Sequence[TilePart | None], values: Sequence[Floats]
) -> tuple[Floats, ...]:
    """Return planes of whole maps, with the values of their parts in the core of the tile and 0 elsewhere.

    There is one of the values for each part that is not None, in their order.
    """
    left = iter(values)
    planes = []
    for grid, part in zip(grids, parts, strict=True):
        plane = np.zeros(grid.shape)
        if part is not None:
            plane[part.window] = np.where(part.core, np.maximum(next(left), 0.0), 0.0)
        planes.append(plane)
    return tuple(planes)
