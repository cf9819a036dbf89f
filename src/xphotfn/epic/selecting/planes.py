"""Shapes in the plane of two columns: true inside and on the border.

Angles are decimal degrees, counter-clockwise from the first column's axis. Rotated shapes accept a point
that misses the border by less than 1e-9 of the size of the shape, so that rounding of sine and cosine does
not open it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

__all__ = ("REGION_TESTS", "Values", "in_region")

Values: TypeAlias = Any
"""A number or an array; arrays have one value per event."""

_SLACK = 1e-9


def in_region(name: str, shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    """Return whether points (numbers or arrays, in the units of the shape) lie inside or on the border of a shape.

    ``shape`` holds the numbers that describe it, in the order of the selection language (XMM-Newton SAS, selectlib
    4.77, node 15); ``box`` takes half widths.

    Examples
    --------
    >>> import numpy as np
    >>> in_region("box", (0, 0, 2, 1, 90), np.array([0, 2]), np.array([2, 0])).tolist()
    [True, False]
    """
    px, py = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return REGION_TESTS[name](shape, px, py)


def _turned(centre: tuple[Values, Values], angle: Values, x: Values, y: Values) -> tuple[Values, Values]:
    """Return the points in the axes of a shape that is turned by ``angle`` degrees."""
    dx, dy = x - centre[0], y - centre[1]
    if np.ndim(angle) == 0 and angle == 0:
        return dx, dy
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return dx * cos + dy * sin, dy * cos - dx * sin


def _point(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    return (x == shape[0]) & (y == shape[1])


def _line(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    """Return whether points lie within 0.5 of the line from end to end."""
    x0, y0, x1, y1 = shape
    dx, dy = np.float64(x1) - x0, np.float64(y1) - y0
    length2 = dx * dx + dy * dy
    along = np.where(length2 > 0, ((x - x0) * dx + (y - y0) * dy) / np.where(length2 > 0, length2, 1), 0)
    along = np.clip(along, 0, 1)
    return np.hypot(x - x0 - along * dx, y - y0 - along * dy) <= 0.5


def _circle(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    radius = np.float64(shape[2])
    return ((x - shape[0]) ** 2 + (y - shape[1]) ** 2 <= radius * radius) & (radius >= 0)


def _ring(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    inner, outer = np.float64(shape[2]), np.float64(shape[3])
    squared = (x - shape[0]) ** 2 + (y - shape[1]) ** 2
    return (squared >= inner * inner) & (squared <= outer * outer)


def _sector(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    """Return whether points lie counter-clockwise from one angle to the other; the centre does."""
    start, end = np.float64(shape[2]), np.float64(shape[3])
    dx, dy = x - shape[0], y - shape[1]
    ahead = np.mod(np.rad2deg(np.arctan2(dy, dx)) - start, 360.0)
    inside = (ahead <= end - start + _SLACK) | ((ahead >= 360.0 - _SLACK) & (end >= start))
    return inside | ((dx == 0) & (dy == 0))


def _ellipse_size(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    """Return the squared size of the ellipse through the points, 1 on the border."""
    u, v = _turned((shape[0], shape[1]), shape[4], x, y)
    return (u / np.float64(shape[2])) ** 2 + (v / np.float64(shape[3])) ** 2


def _ellipse(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    return _ellipse_size(shape, x, y) <= 1 + _SLACK


def _elliptannulus(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    x0, y0, x_in, y_in, x_out, y_out, turn_in, turn_out = shape
    outer = _ellipse_size((x0, y0, x_out, y_out, turn_out), x, y) <= 1 + _SLACK
    return outer & (_ellipse_size((x0, y0, x_in, y_in, turn_in), x, y) >= 1 - _SLACK)


def _box(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    u, v = _turned((shape[0], shape[1]), shape[4], x, y)
    slack = _SLACK * np.maximum(np.abs(shape[2]), np.abs(shape[3]))
    return (np.abs(u) <= shape[2] + slack) & (np.abs(v) <= shape[3] + slack)


def _rectangle(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    """Return the box between two corners, turned about its centre."""
    x_lo, y_lo, x_up, y_up = (np.float64(v) for v in shape[:4])
    centre = (x_lo + x_up) / 2, (y_lo + y_up) / 2
    return _box((*centre, (x_up - x_lo) / 2, (y_up - y_lo) / 2, shape[4]), x, y)


def _rhombus(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    u, v = _turned((shape[0], shape[1]), shape[4], x, y)
    return np.abs(u / np.float64(shape[2])) + np.abs(v / np.float64(shape[3])) <= 1 + _SLACK


def _polygon(shape: tuple[Values, ...], x: Values, y: Values) -> Values:
    """Even-odd rule; points on an edge are inside."""
    corners = [(np.float64(a), np.float64(b)) for a, b in zip(shape[::2], shape[1::2], strict=True)]
    inside = np.zeros(np.broadcast(x, y).shape, dtype=bool)
    border = np.zeros_like(inside)
    for (xa, ya), (xb, yb) in zip(corners, corners[1:] + corners[:1], strict=True):
        cross = (xb - xa) * (y - ya) - (yb - ya) * (x - xa)
        between_y = (y >= np.minimum(ya, yb)) & (y <= np.maximum(ya, yb))
        between_x = (x >= np.minimum(xa, xb)) & (x <= np.maximum(xa, xb))
        border = border | ((cross == 0) & between_x & between_y)
        crosses = (ya > y) != (yb > y)
        inside = inside ^ (crosses & ((cross > 0) == (yb > ya)))
    return inside | border


REGION_TESTS: Mapping[str, Callable[[tuple[Values, ...], Values, Values], Values]] = MappingProxyType(
    {
        "point": _point,
        "line": _line,
        "circle": _circle,
        "sector": _sector,
        "ring": _ring,
        "ellipse": _ellipse,
        "elliptannulus": _elliptannulus,
        "box": _box,
        "rectangle": _rectangle,
        "rhombus": _rhombus,
        "polygon": _polygon,
        "polygon2": _polygon,
    }
)
"""Test of each region function of the language."""
