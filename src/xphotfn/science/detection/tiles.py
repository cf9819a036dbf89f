"""Tiles of the sky, in which many maps are searched one part after the other.

The tiles are the same for all fields: bands of 30 arcmin in Dec, each cut in RA into cells of 30 arcmin or less, so
that each position lies in the core of one tile. A tile is searched with a margin around its core, and what is found
belongs to it if it lies in the core.
"""

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import pix_to_deg, separation_deg

__all__ = ("MARGIN_ARCMIN", "MOST_APART_ARCMIN", "REACH_ARCMIN", "TILE_ARCMIN", "Tile", "needs_tiles", "positions",
           "tile_named", "tiles_around", "tiles_of")  # fmt: skip

TILE_ARCMIN = 30.0
MARGIN_ARCMIN = 6.0
"""Of the window of the widest source 4.4 arcmin; of a point, and the wings of the brightest ones around it, 5.7."""
REACH_ARCMIN = 20.0
"""How far from its pointing a map of an observation may reach."""
MOST_APART_ARCMIN = 15.0
"""Pointings up to this distance from each other are searched as one."""
_SIDE = TILE_ARCMIN / 60
_BANDS = round(180 / _SIDE)
_NAME = re.compile(r"t([0-9]{3})-([0-9]{3})")


class Tile(NamedTuple):
    """One tile: its band in Dec from the south pole, and its cell in RA from 0, both from 0.

    Examples
    --------
    >>> Tile(157, 293).name
    't157-293'
    """

    band: int
    cell: int

    @property
    def name(self) -> str:
        """A name that can be part of a file's."""
        return f"t{self.band:03d}-{self.cell:03d}"

    def holds(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.bool_]:
        """Return whether positions in degrees lie in its core."""
        band, cell = _places(ra, dec)
        return np.asarray((band == self.band) & (cell == self.cell))

    def within(self, ra: ArrayLike, dec: ArrayLike, margin_arcmin: float = MARGIN_ARCMIN) -> NDArray[np.bool_]:
        """Return whether positions lie in its core, or around it within a margin."""
        ra_deg, dec_deg = np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64)
        south, margin = self.band * _SIDE - 90, margin_arcmin / 60
        width = 360 / int(_cells(np.array(self.band)))
        away = np.abs((ra_deg - (self.cell + 0.5) * width + 180) % 360 - 180)  # from the middle
        reach = width / 2 + margin / np.maximum(np.cos(np.deg2rad(dec_deg)), 1e-6)
        there = (dec_deg >= south - margin) & (dec_deg <= south + _SIDE + margin)
        return np.asarray(there & (away <= reach))


def tile_named(name: str) -> Tile:
    """Return the tile with a name.

    Raises
    ------
    InvalidRecord
        If there is none.

    Examples
    --------
    >>> tile_named("t157-293")
    Tile(band=157, cell=293)
    """
    found = _NAME.fullmatch(name)
    tile = None if found is None else Tile(int(found[1]), int(found[2]))
    if tile is None or tile.band >= _BANDS or tile.cell >= int(_cells(np.array(tile.band))):
        raise InvalidRecord(f"a tile is called as t157-293, band in Dec and cell in RA, got {name!r}")
    return tile


def tiles_of(ra: ArrayLike, dec: ArrayLike) -> tuple[Tile, ...]:
    """Return the tiles in whose cores positions lie, from south to north and along RA.

    Examples
    --------
    >>> [tile.name for tile in tiles_of([149.6, 149.8, 149.2], [-11.1, -11.1, -11.1])]
    ['t157-293', 't157-294']
    """
    places = np.unique(np.array(_places(ra, dec), dtype=np.int64).reshape(2, -1), axis=1)
    return tuple(Tile(int(band), int(cell)) for band, cell in places.T)


def tiles_around(ra_deg: float, dec_deg: float, radius_arcmin: float = REACH_ARCMIN) -> tuple[Tile, ...]:
    """Return the tiles that a circle touches, or misses by 1.5 arcmin at most.

    Examples
    --------
    >>> [tile.name for tile in tiles_around(149.3, -11.25, 16)]
    ['t156-292', 't156-293', 't157-292', 't157-293', 't158-293']
    """
    step = np.linspace(-1.0, 1.0, 2 + int(2 * radius_arcmin))
    x, y = (v.ravel() * radius_arcmin / 60 for v in np.meshgrid(step, step))
    dec = np.clip(dec_deg + y, -90.0, 90.0)
    ra = ra_deg + x / np.maximum(np.cos(np.deg2rad(dec)), 1e-6)
    inside = separation_deg(ra, dec, ra_deg, dec_deg) <= (radius_arcmin + 1.5) / 60
    return tiles_of(ra[inside] % 360, dec[inside])


def needs_tiles(pointings: ArrayLike) -> bool:
    """Whether maps point so far from each other that they are searched in tiles.

    Parameters
    ----------
    pointings
        RA and Dec in degrees, shape (n, 2).

    Examples
    --------
    >>> needs_tiles([[149.6, -11.1], [149.6, -11.0]]), needs_tiles([[149.6, -11.1], [149.6, -10.8]])
    (False, True)
    """
    ra, dec = np.asarray(pointings, dtype=np.float64).reshape(-1, 2).T
    return bool(np.any(60 * separation_deg(ra[:, None], dec[:, None], ra, dec) > MOST_APART_ARCMIN))


def positions(grid: PixelGrid) -> tuple[Any, Any]:
    """Return RA and Dec in degrees of all pixels of a grid, shape (ny, nx)."""
    return pix_to_deg(
        grid, np.arange(grid.nx, dtype=np.float64)[None, :], np.arange(grid.ny, dtype=np.float64)[:, None]
    )


def _places(ra: ArrayLike, dec: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return band and cell of positions; -1 of those that are NaN, off the sphere."""
    ra_deg, dec_deg = np.broadcast_arrays(np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64))
    known = np.isfinite(ra_deg) & np.isfinite(dec_deg)
    band = np.clip(np.floor((np.where(known, dec_deg, 0.0) + 90) / _SIDE), 0, _BANDS - 1).astype(np.int64)
    cells = _cells(band)
    cell = np.minimum(np.floor(np.where(known, ra_deg, 0.0) % 360 * cells / 360), cells - 1).astype(np.int64)
    return np.where(known, band, -1), np.where(known, cell, -1)


def _cells(band: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return into how many cells a band in Dec is cut: along its edge towards the equator they are 30 arcmin wide."""
    south = band * _SIDE - 90
    nearest = np.maximum(np.maximum(south, -(south + _SIDE)), 0.0)
    return np.asarray(np.ceil(360 * np.cos(np.deg2rad(nearest)) / _SIDE - 1e-9), dtype=np.int64)
