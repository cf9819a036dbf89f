"""What the file filters of an expression mean, once their files are read: intervals, a mask, shapes."""

from functools import partial
from typing import TypeAlias, final

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from xphotfn.epic.selecting.planes import Values, in_region

__all__ = (
    "Axis",
    "FilterData",
    "GtiTable",
    "MaskImage",
    "RegionShape",
    "RegionTable",
    "gti_table",
    "in_gti",
    "in_mask",
    "in_region_table",
)

_same = attrs.cmp_using(eq=partial(np.array_equal, equal_nan=True))


@final
@frozen(kw_only=True)
class GtiTable:
    """Good time intervals, in order and without overlaps; build it with :func:`gti_table`.

    Parameters
    ----------
    start, stop
        Arrays of shape (n,), float64, in seconds.
    """

    start: NDArray[np.float64] = attrs.field(eq=_same, hash=False, repr=False)
    stop: NDArray[np.float64] = attrs.field(eq=_same, hash=False, repr=False)


@final
@frozen(kw_only=True)
class Axis:
    """A linear world coordinate of an image axis or a column: value = (pixel - pixel0) * step + value0."""

    pixel0: float = 0.0
    value0: float = 0.0
    step: float = 1.0


@final
@frozen(kw_only=True)
class MaskImage:
    """A mask with the linear coordinates of its axes, and of the columns that are looked up in it.

    Parameters
    ----------
    pixels
        Array of shape (ny, nx), bool: True on non-zero pixels.
    image_x, image_y
        Coordinates of the image, pixels counted from 1.
    column_x, column_y
        Coordinates of the columns.
    """

    pixels: NDArray[np.bool_] = attrs.field(eq=_same, hash=False, repr=False)
    image_x: Axis = Axis()
    image_y: Axis = Axis()
    column_x: Axis = Axis()
    column_y: Axis = Axis()

    def in_columns(self, offset: tuple[float, float]) -> "MaskImage":
        """Return the mask that gives the same without an offset and without coordinates of the columns."""
        axes = [
            _straight(image, column, shift)
            for image, column, shift in zip(
                (self.image_x, self.image_y), (self.column_x, self.column_y), offset, strict=True
            )
        ]
        return MaskImage(pixels=self.pixels, image_x=axes[0], image_y=axes[1])


@final
@frozen(kw_only=True)
class RegionShape:
    """One row of a region table: a shape, or all but the shape."""

    name: str
    numbers: tuple[float, ...]
    excluded: bool = False


@final
@frozen(kw_only=True)
class RegionTable:
    """Shapes that are AND-ed within a component; components are OR-ed.

    Parameters
    ----------
    components
        The shapes.
    columns
        The two columns of the positions, which are those of events where a filter names none.
    """

    components: tuple[tuple[RegionShape, ...], ...]
    columns: tuple[str, str] = ("X", "Y")


FilterData: TypeAlias = GtiTable | MaskImage | RegionTable


def _straight(image: Axis, column: Axis, shift: float) -> Axis:
    """Return the axis of a mask in plain values of a column."""
    step = image.step / column.step
    value0 = (image.value0 + shift - column.value0) / column.step + column.pixel0
    return Axis(pixel0=image.pixel0, value0=value0, step=step)


def gti_table(start: NDArray[np.float64], stop: NDArray[np.float64]) -> GtiTable:
    """Return intervals in order, with overlapping and touching ones joined and empty ones dropped.

    Examples
    --------
    >>> import numpy as np
    >>> table = gti_table(np.array([5.0, 0.0, 1.0, 9.0]), np.array([6.0, 2.0, 3.0, 9.0]))
    >>> table.start.tolist(), table.stop.tolist()
    ([0.0, 5.0], [3.0, 6.0])
    """
    keep = stop > start
    order = np.argsort(start[keep], kind="stable")
    low = np.asarray(start, dtype=np.float64)[keep][order]
    reach = np.maximum.accumulate(np.asarray(stop, dtype=np.float64)[keep][order])
    if low.size == 0:
        return GtiTable(start=low, stop=reach)
    first = np.concatenate(([True], low[1:] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return GtiTable(start=low[first], stop=reach[last])


def in_gti(table: GtiTable, time: Values) -> Values:
    """Return whether times lie in the intervals, ends included: ``START <= t <= STOP``."""
    times = np.asarray(time, dtype=np.float64)
    if table.start.size == 0 or times.size == 0:
        return np.zeros(times.shape, dtype=bool)
    low, high = np.searchsorted(table.start, [times.min(), times.max()], side="right")
    if low == high and low > 0 and times.max() <= table.stop[low - 1]:
        return np.ones(times.shape, dtype=bool)
    index = np.searchsorted(table.start, times, side="right")
    return (index > 0) & (times <= table.stop[index - 1])


def in_mask(mask: MaskImage, offset: tuple[Values, Values], x: Values, y: Values) -> Values:
    """Return whether points fall on non-zero pixels of a mask that is shifted by ``offset``; outside is False."""
    ny, nx = mask.pixels.shape
    column = _pixel(mask.image_x, mask.column_x, offset[0], x)
    row = _pixel(mask.image_y, mask.column_y, offset[1], y)
    inside = (column >= 1) & (column <= nx) & (row >= 1) & (row <= ny)
    jx = np.where(inside, column, 1).astype(np.int64) - 1
    jy = np.where(inside, row, 1).astype(np.int64) - 1
    return inside & mask.pixels[jy, jx]


def _pixel(image: Axis, column: Axis, offset: Values, value: Values) -> Values:
    """Return the pixel, from 1, that holds a value of a column."""
    world = (np.asarray(value, dtype=np.float64) - column.pixel0) * column.step + column.value0 - offset
    return np.floor((world - image.value0) / image.step + image.pixel0 + 0.5)


def in_region_table(table: RegionTable, x: Values, y: Values) -> Values:
    """Return whether points lie in any component of a region table."""
    inside: Values = np.zeros(np.broadcast(x, y).shape, dtype=bool)
    for shapes in table.components:
        within: Values = np.ones(inside.shape, dtype=bool)
        for shape in shapes:
            within = within & (in_region(shape.name, shape.numbers, x, y) ^ shape.excluded)
        inside = inside | within
    return inside
