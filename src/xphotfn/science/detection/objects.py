"""What is one on the sky: pieces of extended light that run into each other, and the ellipse around them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from xphotfn.science._numeric import Floats

__all__ = ("Ellipse", "ellipse_of", "joined_pieces")


class Ellipse(NamedTuple):
    """Centre, semi-axes and angle of the long axis from x to y in radians, in pixels."""

    x: float
    y: float
    major: float
    minor: float
    angle: float


def ellipse_of(area: NDArray[np.bool_]) -> Ellipse:
    """Return the ellipse of an area: that with its centre and second moments, of the same light everywhere.

    Examples
    --------
    >>> y, x = np.mgrid[:41, :61]
    >>> found = ellipse_of(((x - 30) / 20) ** 2 + ((y - 20) / 10) ** 2 <= 1)
    >>> [round(v, 1) for v in found]
    [30.0, 20.0, 20.2, 9.9, 0.0]
    """
    y, x = np.nonzero(area)
    cx, cy = float(x.mean()), float(y.mean())
    xx, yy, xy = (float(v.mean()) for v in ((x - cx) ** 2, (y - cy) ** 2, (x - cx) * (y - cy)))
    middle, half = (xx + yy) / 2, float(np.hypot((xx - yy) / 2, xy))
    major, minor = (2 * float(np.sqrt(max(v + 1 / 12, 0.25))) for v in (middle + half, middle - half))
    return Ellipse(cx, cy, major, minor, float(0.5 * np.arctan2(2 * xy, xx - yy)))


def joined_pieces(
    ratio: Floats, places: Sequence[tuple[float, float]], level: float
) -> list[tuple[tuple[int, ...], NDArray[np.bool_]]]:
    """Return which extended sources form one object, and its area.

    Parameters
    ----------
    ratio
        Light of all extended sources over the background, shape (ny, nx).
    places
        Column and row of each extended source.
    level
        Ratio above which light runs together.

    Returns
    -------
    list of pairs
        Numbers of the sources (from 0) of an object, and the pixels of its area: empty for a source that is nowhere as
        bright as the level.
    """
    labels, _ = ndimage.label(ratio > level, structure=np.ones((3, 3)))
    ny, nx = ratio.shape
    own: dict[int, list[int]] = {}
    for number, (x, y) in enumerate(places):
        column, row = (int(np.clip(np.rint(v), 0, n - 1)) for v, n in ((x, nx), (y, ny)))
        label = int(labels[row, column])
        own.setdefault(label if label > 0 else -1 - number, []).append(number)
    return [(tuple(numbers), labels == label) for label, numbers in own.items()]
