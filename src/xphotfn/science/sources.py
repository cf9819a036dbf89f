"""Bright sources of an event list, to be left out of its light curve: a variable source is no flare."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

__all__ = ("Circle", "bright_circles")

_MOST = 20
_RADIUS = 1200.0  # of X and Y: 1 arcmin, the radius of the pipeline
_SIGMA = 6.0


class Circle(NamedTuple):
    """A circle in X and Y, in units of 0.05 arcsec."""

    x: float
    y: float
    radius: float

    def holds(self, x: NDArray[np.number], y: NDArray[np.number]) -> NDArray[np.bool_]:
        """Return which positions lie in it, the border included."""
        dx, dy = np.asarray(x, dtype=np.float64) - self.x, np.asarray(y, dtype=np.float64) - self.y
        return np.asarray(dx * dx + dy * dy <= self.radius**2)


def bright_circles(x: NDArray[np.number], y: NDArray[np.number], *, pixel: float = 400.0) -> tuple[Circle, ...]:
    """Return circles of 1 arcmin around the brightest sources, at most 20.

    Parameters
    ----------
    x, y
        Positions of the events in X and Y, shape (n,).
    pixel
        Side of the pixels in which sources are sought; default 20 arcsec.

    Returns
    -------
    tuple of Circle
        Where 3 x 3 pixels hold 6 sigma more than the ring from 7 x 7 to 15 x 15 pixels around them, most sigma first.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x, y = rng.uniform(4000, 48000, (2, 20000))
    >>> star = rng.normal(20000, 200, (2, 500))
    >>> [(round(c.x, -3), round(c.y, -3)) for c in bright_circles(np.r_[x, star[0]], np.r_[y, star[1]])]
    [(20000.0, 20000.0)]
    """
    fine = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)  # where no position is known it is far below 0
    if not fine.any():
        return ()
    column, row = (np.floor(values[fine] / pixel).astype(np.intp) for values in (x, y))
    shape = int(row.max()) + 2, int(column.max()) + 2
    image = np.bincount(row * shape[1] + column, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    near, wide, core = (n * n * uniform_filter(image, n, mode="constant") for n in (3, 15, 7))
    field = (near > 0.5).astype(np.float64)
    ring = 15**2 * uniform_filter(field, 15, mode="constant") - 7**2 * uniform_filter(field, 7, mode="constant")
    level = np.maximum((wide - core) * 9 / np.maximum(ring, 20.0), 1.0)
    excess = (near - level) / np.sqrt(level)
    found: list[Circle] = []
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    while len(found) < _MOST:
        at = np.unravel_index(int(np.argmax(excess)), shape)
        if excess[at] <= _SIGMA:
            break
        circle = Circle((int(at[1]) + 0.5) * pixel, (int(at[0]) + 0.5) * pixel, _RADIUS)
        found.append(circle)
        excess[Circle(float(at[1]), float(at[0]), _RADIUS / pixel + 2).holds(columns, rows)] = 0.0
    return tuple(found)
