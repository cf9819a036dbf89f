"""Arrays with their place on the sky: masks, smoothed maps and weights, to be looked at and written."""

from typing import Any, final

import numpy as np
from attrs import cmp_using, field, frozen
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.records.grid import PixelGrid
from xphotfn.science.pixel_masks import read_only

__all__ = ("ArrayOnGrid", "on_grid")


def _array(values: ArrayLike) -> NDArray[Any]:
    return np.asarray(read_only(np.array(values)))


@final
@frozen(kw_only=True)
class ArrayOnGrid:
    """An array of pixels and their grid; made by :func:`on_grid`.

    Parameters
    ----------
    data
        Shape (ny, nx); read-only.
    grid
        Pixel grid.
    title
        What it is called in pictures.
    meaning
        What the colours of a picture mean; default by the type of the data.
    """

    data: NDArray[Any] = field(converter=_array, eq=cmp_using(eq=np.array_equal), hash=False, repr=False)
    grid: PixelGrid
    title: str = ""
    meaning: str = ""

    @property
    def label(self) -> str:
        """What the colours of a picture mean."""
        if self.meaning:
            return self.meaning
        return "True where a pixel is kept" if self.data.dtype == bool else "Value per pixel"

    @property
    def planes(self) -> tuple[tuple[str, NDArray[Any], str], ...]:
        """The one image of its file: name, array and unit; a mask is 0 and 1."""
        return (("", self.data.astype(np.uint8) if self.data.dtype == bool else self.data, ""),)

    @property
    def cards(self) -> tuple[tuple[str, Any, str], ...]:
        """Header cards of its file."""
        return (("CREATOR", "xphotfn", "program"),)


def on_grid(values: Any, like: Any) -> ArrayOnGrid:
    """Return an array with the grid of a map, or with a grid.

    Raises
    ------
    InvalidRecord
        If it is no array of numbers, or ``like`` is no map.
    ShapeMismatch
        If their shapes differ.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> rate_map = example_rate_map()
    >>> on_grid(rate_map.sensor_mask, rate_map).grid == rate_map.grid
    True
    """
    grid = like if isinstance(like, PixelGrid) else getattr(like, "grid", None)
    if not isinstance(grid, PixelGrid):
        raise InvalidRecord(f"like= is a map or a PixelGrid, got {type(like).__name__}: give the map it was made of")
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise InvalidRecord(f"with like= an array of numbers is taken, got {type(values).__name__}: leave like= out")
    if array.shape != grid.shape:
        raise ShapeMismatch(f"the array has shape {array.shape}, the grid {grid.shape}: give the map it was made of")
    return ArrayOnGrid(data=array, grid=grid, title="" if isinstance(like, PixelGrid) else f"on the grid of {like}")
