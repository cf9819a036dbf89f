"""Bright sources of an event list, to be left out of its light curve: a variable source is no flare."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.records.grid import SKY_UNIT_ARCSEC

__all__ = ("Circle", "bright_circles", "pixels_within")

_MOST = 20
_RADIUS = 60 / SKY_UNIT_ARCSEC  # of X and Y: 1 arcmin, the radius of the pipeline
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


def bright_circles(image: NDArray[np.number], *, pixel: float = 400.0) -> tuple[Circle, ...]:
    """Return circles of 1 arcmin around the brightest sources, at most 20.

    Parameters
    ----------
    image
        Events in pixels of X (columns) and Y (rows) that start at 0, shape (ny, nx).
    pixel
        Side of a pixel in units of X and Y; default 20 arcsec.

    Returns
    -------
    tuple of Circle
        Where 3 x 3 pixels hold 6 sigma more than the ring from 7 x 7 to 15 x 15 pixels around them, most sigma first.

    Examples
    --------
    >>> image = np.random.default_rng(1).poisson(5.0, (120, 120))
    >>> image[50, 60] += 200
    >>> [bool(abs(c.x - 24200) <= 400 and abs(c.y - 20200) <= 400) for c in bright_circles(image)]
    [True]
    """
    from scipy.ndimage import uniform_filter

    counts = np.asarray(image, dtype=np.float64)
    near, wide, core = (n * n * uniform_filter(counts, n, mode="constant") for n in (3, 15, 7))
    field = (near > 0.5).astype(np.float64)
    ring = 15**2 * uniform_filter(field, 15, mode="constant") - 7**2 * uniform_filter(field, 7, mode="constant")
    level = np.maximum((wide - core) * 9 / np.maximum(ring, 20.0), 1.0)
    excess = (near - level) / np.sqrt(level)
    found: list[Circle] = []
    rows, columns = np.mgrid[: counts.shape[0], : counts.shape[1]]
    while len(found) < _MOST and excess.size:
        at = np.unravel_index(int(np.argmax(excess)), excess.shape)
        if excess[at] <= _SIGMA:
            break
        found.append(Circle((int(at[1]) + 0.5) * pixel, (int(at[0]) + 0.5) * pixel, _RADIUS))
        excess[Circle(float(at[1]), float(at[0]), _RADIUS / pixel + 2).holds(columns, rows)] = 0.0
    return tuple(found)


def pixels_within(circles: Sequence[Circle], shape: tuple[int, int], *, pixel: float = 400.0) -> NDArray[np.bool_]:
    """Return which pixels of such an image have their middle in a circle, shape as given.

    Examples
    --------
    >>> int(pixels_within([Circle(x=2200.0, y=2200.0, radius=400.0)], (10, 10)).sum())
    5
    """
    rows, columns = ((axis + 0.5) * pixel for axis in np.mgrid[: shape[0], : shape[1]])
    within = np.zeros(shape, dtype=bool)
    for circle in circles:
        within |= circle.holds(columns, rows)
    return within
