"""Boolean pixel masks: True where a pixel's centre belongs to the shape.

Shapes are painted in their bounding window only, so a mask of many small regions costs what they cover.
"""

import math
from collections.abc import Callable, Iterable
from typing import final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

__all__ = (
    "PixelShape",
    "Window",
    "annulus",
    "disc",
    "discs",
    "edge_mask",
    "holds",
    "paint",
    "painted",
    "placed",
    "read_only",
    "sensor_mask",
    "window_of",
)

Mask = NDArray[np.bool_]
Shape2D = tuple[int, int]
Window = tuple[slice, slice]
"""A part of an image: its rows and its columns."""


@final
@frozen(kw_only=True)
class PixelShape:
    """A region in 0-based pixels of one image; sizes and angle as in :class:`~xphotfn.records.Region`."""

    shape: str
    x: float
    y: float
    size: tuple[float, ...] = ()
    angle_deg: float = 0.0
    vertices: tuple[tuple[float, float], ...] = ()
    include: bool = True

    @property
    def reach(self) -> tuple[float, float]:
        """Half width and half height of its bounding box in pixels."""
        if self.shape == "polygon":
            xs, ys = zip(*self.vertices, strict=True)
            return max(abs(v - self.x) for v in xs), max(abs(v - self.y) for v in ys)
        if self.shape in ("ellipse", "box"):
            cos, sin = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
            if self.shape == "ellipse":
                a, b = self.size
                return math.hypot(a * cos, b * sin), math.hypot(a * sin, b * cos)
            w, h = self.size[0] / 2, self.size[1] / 2
            return abs(w * cos) + abs(h * sin), abs(w * sin) + abs(h * cos)
        radius = self.size[-1] if self.size else 0.0
        return radius, radius

    def touches(self, edges: tuple[float, float, float, float]) -> bool:
        """Whether its bounding box overlaps another, x from, to, y from, to; without a place on the sky it does not."""
        x0, x1, y0, y1 = edges
        wide, high = self.reach
        return abs(self.x - (x0 + x1) / 2) < (x1 - x0) / 2 + wide and abs(self.y - (y0 + y1) / 2) < (y1 - y0) / 2 + high

    @property
    def area(self) -> float:
        """Area in pixels, by its formula."""
        match self.shape:
            case "circle" | "annulus":
                inner = self.size[0] if self.shape == "annulus" else 0.0
                return math.pi * (self.size[-1] ** 2 - inner**2)
            case "ellipse":
                return math.pi * math.prod(self.size)
            case "box":
                return math.prod(self.size)
        after = (*self.vertices[1:], *self.vertices[:1])
        return abs(sum(x * v - u * y for (x, y), (u, v) in zip(self.vertices, after, strict=True))) / 2


def read_only(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the array with its write flag off."""
    array.setflags(write=False)
    return array


def disc(shape: Shape2D, x: float, y: float, radius: float) -> Mask:
    """Return the pixels whose centre is less than ``radius`` from (x, y).

    Parameters
    ----------
    shape
        ``(ny, nx)`` of the image.
    x, y, radius
        Centre and radius in pixels.

    Returns
    -------
    ndarray of bool, shape (ny, nx)

    Examples
    --------
    >>> int(disc((9, 9), 4, 4, 1.5).sum())
    9
    """
    mask = np.zeros(shape, dtype=bool)
    paint(mask, (PixelShape(shape="circle", x=x, y=y, size=(radius,)),))
    return mask


def annulus(shape: Shape2D, x: float, y: float, inner: float, outer: float) -> Mask:
    """Return the pixels whose centre lies at ``inner <= d < outer`` pixels from (x, y); all bool, shape (ny, nx)."""
    mask = np.zeros(shape, dtype=bool)
    paint(mask, (PixelShape(shape="annulus", x=x, y=y, size=(inner, outer)),))
    return mask


def paint(mask: Mask, shapes: Iterable[PixelShape], *, never_empty: bool = False) -> None:
    """Set the pixels of every shape in ``mask`` to True (to False for an excluded one), in place and in order.

    With ``never_empty`` a shape too small or thin to hold the centre of a pixel has the pixel in which it lies.
    """
    rows, columns = mask.shape
    _paint(mask, (rows, columns), (slice(0, rows), slice(0, columns)), shapes, never_empty)


def painted(shape: Shape2D, shapes: Iterable[PixelShape], window: Window, *, never_empty: bool = False) -> Mask:
    """Return what :func:`paint` sets in a window of an image, the same pixels at the cost of the window.

    Parameters
    ----------
    shape
        ``(ny, nx)`` of the image.
    shapes, never_empty
        As :func:`paint`; the shapes are in pixels of the image.
    window
        Rows and columns that are wanted, inside the image.

    Examples
    --------
    >>> window = (slice(3, 6), slice(4, 9))
    >>> painted((9, 9), [PixelShape(shape="circle", x=4, y=4, size=(1.5,))], window).astype(int).tolist()
    [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]]
    """
    rows, columns = window
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
    _paint(mask, shape, window, shapes, never_empty)
    return mask


def discs(at: tuple[float, float], radii: Iterable[float], window: Window) -> tuple[Mask, ...]:
    """Return the discs of several radii around one position in a window of an image, as :func:`painted` has each.

    Examples
    --------
    >>> [int(mask.sum()) for mask in discs((4.0, 4.0), (1.5, 2.5), (slice(0, 9), slice(0, 9)))]
    [9, 21]
    """
    y, x = (np.arange(v.start, v.stop, dtype=np.float64) - centre for v, centre in zip(window, at[::-1], strict=True))
    # the sum y^2 1 + 1 x^2 as a product of matrices: the same digits in half the time of a sum row by row
    squared = np.stack([y * y, np.ones(y.size)], axis=1) @ np.stack([np.ones(x.size), x * x])
    return tuple(squared < radius**2 for radius in radii)


def placed(part: Mask, shape: Shape2D, window: Window) -> Mask:
    """Return a mask of the whole image that is ``part`` in the window and False elsewhere."""
    whole = np.zeros(shape, dtype=bool)
    whole[window] = part
    return whole


def window_of(shape: Shape2D, item: PixelShape) -> Window:
    """Return the part of an image that holds every pixel of a shape; no rows or no columns where it has none there."""
    return _window(shape, item) or (slice(0, 0), slice(0, 0))


def _paint(mask: Mask, shape: Shape2D, window: Window, shapes: Iterable[PixelShape], never_empty: bool) -> None:
    top, left = window[0].start, window[1].start
    for item in shapes:
        box = _window(shape, item)
        part = None if box is None else _both(box, window)
        if box is None or part is None:
            continue
        inside = _inside(item, part)
        target = mask[part[0].start - top : part[0].stop - top, part[1].start - left : part[1].stop - left]
        if never_empty and item.include and not inside.any() and (box == part or not _inside(item, box).any()):
            _mark(mask, item, (top, left))
        np.logical_or(target, inside, out=target) if item.include else np.logical_and(target, ~inside, out=target)


def _both(one: Window, other: Window) -> Window | None:
    """Return what two windows share, None for nothing."""
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _inside(item: PixelShape, window: Window) -> Mask:
    """Return which pixels of a window have their centre in a shape."""
    rows, columns = window
    y = np.arange(rows.start, rows.stop, dtype=np.float64)[:, None] - item.y
    x = np.arange(columns.start, columns.stop, dtype=np.float64)[None, :] - item.x
    return _INSIDE[item.shape](item, x, y)


def _mark(mask: Mask, item: PixelShape, origin: tuple[int, int]) -> None:
    """Set the pixel that holds the centre of a shape, or of an annulus the middle of its ring towards +x."""
    x = item.x + (sum(item.size) / 2 if item.shape == "annulus" else 0.0)
    column, row = round(x) - origin[1], round(item.y) - origin[0]
    if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
        mask[row, column] = True


def _window(shape: tuple[int, ...], item: PixelShape) -> Window | None:
    if item.shape == "point":
        return None
    half_x, half_y = item.reach
    if not math.isfinite(item.x + item.y + half_x + half_y):
        return None
    x0, x1 = max(0, math.floor(item.x - half_x)), min(shape[1], math.ceil(item.x + half_x) + 1)
    y0, y1 = max(0, math.floor(item.y - half_y)), min(shape[0], math.ceil(item.y + half_y) + 1)
    return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


Offsets = NDArray[np.float64]


def _in_circle(item: PixelShape, x: Offsets, y: Offsets) -> Mask:
    return x * x + y * y < item.size[0] ** 2


def _in_annulus(item: PixelShape, x: Offsets, y: Offsets) -> Mask:
    squared = x * x + y * y
    return (squared >= item.size[0] ** 2) & (squared < item.size[1] ** 2)


def _turned(item: PixelShape, x: Offsets, y: Offsets) -> tuple[Offsets, Offsets]:
    cos, sin = math.cos(math.radians(item.angle_deg)), math.sin(math.radians(item.angle_deg))
    return x * cos + y * sin, y * cos - x * sin


def _in_ellipse(item: PixelShape, x: Offsets, y: Offsets) -> Mask:
    along, across = _turned(item, x, y)
    return (along / item.size[0]) ** 2 + (across / item.size[1]) ** 2 < 1


def _in_box(item: PixelShape, x: Offsets, y: Offsets) -> Mask:
    along, across = _turned(item, x, y)
    return (np.abs(along) < item.size[0] / 2) & (np.abs(across) < item.size[1] / 2)


def _in_polygon(item: PixelShape, x: Offsets, y: Offsets) -> Mask:
    """Even-odd rule by counting the edges that a ray towards +x crosses."""
    result = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    corners = [(vx - item.x, vy - item.y) for vx, vy in item.vertices]
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            result ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return result


_INSIDE: dict[str, Callable[[PixelShape, Offsets, Offsets], Mask]] = {
    "circle": _in_circle,
    "annulus": _in_annulus,
    "ellipse": _in_ellipse,
    "box": _in_box,
    "polygon": _in_polygon,
}


def holds(shape: PixelShape, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Return which positions in pixels, shape (n,), a shape holds; none where the shape is a point or NaN."""
    inside = _INSIDE.get(shape.shape)
    if inside is None:
        return np.zeros(x.shape, dtype=bool)
    return np.asarray(inside(shape, (x - shape.x)[None, :], (y - shape.y)[None, :])).reshape(x.shape)


def sensor_mask(exposure: NDArray[np.floating]) -> Mask:
    """Return where a detector looked: exposure above zero (NaN and negative exposure count as off the detector).

    Parameters
    ----------
    exposure
        Exposure map in s, shape (ny, nx).
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(exposure > 0)


def edge_mask(sensor: Mask) -> Mask:
    """Return a mask that is False on the rim: detector pixels with a neighbour off the detector.

    Parameters
    ----------
    sensor
        Sensor mask of shape (ny, nx).

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        False on detector pixels one of whose four neighbours is off the detector; the image's border counts as
        off the detector on all four sides. True elsewhere, off the detector too.

    References
    ----------
    XGA ``products/phot.py``, ``RateMap.edge_mask`` (which treats the first and last rows differently).

    Examples
    --------
    >>> sensor = np.zeros((7, 7), dtype=bool); sensor[1:5, 1:5] = True
    >>> int((~edge_mask(sensor)[:6, :6]).sum())
    12
    """
    around = np.pad(sensor, 1)
    neighbours = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return np.asarray(~sensor | neighbours)
