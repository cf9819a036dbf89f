"""Small pictures of maps straight from arrays to PNG: no figure, no axes, a few milliseconds each."""

from functools import cache
from typing import final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from xphotfn.io.thumbnails import UNEXPOSED, png
from xphotfn.plot.picture import COLOUR_MAP

__all__ = ("LEVELS", "Box", "box_around", "box_of", "colours", "difference_colours", "rate_levels", "veil_png")

LEVELS = 64
_SOFTENING = 12.0
_VEIL = (120, 124, 130, 150)


@final
@frozen(kw_only=True)
class Box:
    """A rectangle of whole pixels, ends excluded; it may reach beyond the image."""

    x0: int
    x1: int
    y0: int
    y1: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0


def box_around(x: float, y: float, half: float) -> Box:
    """Return the square box of half width ``half`` about a position in pixels.

    Examples
    --------
    >>> box_around(100.2, 50.0, 10)
    Box(x0=90, x1=111, y0=40, y1=61)
    """
    reach = max(1, round(half))
    return Box(x0=round(x) - reach, x1=round(x) + reach + 1, y0=round(y) - reach, y1=round(y) + reach + 1)


def box_of(exposure: NDArray[np.floating], margin: int = 4) -> Box:
    """Return the box around the part of a map that was exposed; the whole map where none was.

    Examples
    --------
    >>> exposure = np.zeros((50, 60))
    >>> exposure[20:30, 10:40] = 1
    >>> box_of(exposure, margin=2)
    Box(x0=8, x1=42, y0=18, y1=32)
    """
    ny, nx = exposure.shape
    live = exposure > 0
    columns, rows = np.flatnonzero(live.any(axis=0)), np.flatnonzero(live.any(axis=1))
    if not columns.size:
        return Box(x0=0, x1=nx, y0=0, y1=ny)
    return Box(
        x0=max(int(columns[0]) - margin, 0),
        x1=min(int(columns[-1]) + margin + 1, nx),
        y0=max(int(rows[0]) - margin, 0),
        y1=min(int(rows[-1]) + margin + 1, ny),
    )


def cut(array: NDArray[np.generic], box: Box) -> NDArray[np.float32]:
    """Return a box of an array, 0 beyond its edges."""
    ny, nx = array.shape
    result = np.zeros((box.height, box.width), dtype=np.float32)
    x0, x1, y0, y1 = max(box.x0, 0), min(box.x1, nx), max(box.y0, 0), min(box.y1, ny)
    if x0 < x1 and y0 < y1:
        result[y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] = array[y0:y1, x0:x1]
    return result


def reduced(array: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return sums over blocks of ``factor`` by ``factor`` pixels; the last ones may reach beyond the edge."""
    if factor == 1:
        return array
    ny, nx = (-(-n // factor) * factor for n in array.shape)
    padded = np.zeros((ny, nx), dtype=np.float32)
    padded[: array.shape[0], : array.shape[1]] = array
    return np.asarray(padded.reshape(ny // factor, factor, nx // factor, factor).sum(axis=(1, 3)), dtype=np.float32)


def rate_levels(
    counts: NDArray[np.generic], exposure: NDArray[np.generic], box: Box, *, factor: int = 1, sigma_pix: float = 1.5
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Return a smoothed count rate as colour levels, first row at the bottom, and the rates of the two ends.

    Counts and exposure (s) of shape (ny, nx) are smoothed apart by a Gaussian of ``sigma_pix`` pixels of the map, then
    divided; ``factor`` pixels across make one of the picture. Levels are 0 off the detector, else up to ``LEVELS - 1``,
    as the inverse hyperbolic sine of the rate; the ends are its 2nd and 99.8th percentile, in ct/s per pixel.

    Examples
    --------
    >>> exposure = np.ones((40, 40))
    >>> exposure[:, :10] = 0
    >>> levels, ends = rate_levels(np.full((40, 40), 3), exposure, Box(x0=0, x1=40, y0=0, y1=40))
    >>> int(levels[:, :10].max()), int(levels[:, 10:].min()) > 0, [round(e, 3) for e in ends]
    (0, True, [3.0, 3.0])
    """
    shown, seconds = cut(counts, box), cut(exposure, box)
    live = (seconds > 0) & np.isfinite(seconds) & np.isfinite(shown)
    shown, seconds = reduced(np.where(live, shown, 0), factor), reduced(np.where(live, seconds, 0), factor)
    live = seconds > 0
    width = sigma_pix / factor
    over, under = (gaussian_filter(a, width, mode="constant", truncate=3.0) for a in (shown, seconds))
    rate = np.zeros_like(over)
    np.divide(over, under, out=rate, where=live & (under > 0))
    if not live.any():
        return np.zeros(rate.shape, dtype=np.uint8), (0.0, 0.0)
    low, high = (float(v) for v in np.percentile(rate[live], (2.0, 99.8)))
    return _levels(rate, live, low, high), (low, high)


def _levels(rate: NDArray[np.float32], live: NDArray[np.bool_], low: float, high: float) -> NDArray[np.uint8]:
    span = high - low if high > low else 1.0
    part = np.clip((rate - np.float32(low)) / np.float32(span), 0, 1)
    bright = np.arcsinh(part * _SOFTENING) / np.float32(np.arcsinh(_SOFTENING))
    return np.where(live, 1 + np.rint(bright * (LEVELS - 2)), 0).astype(np.uint8)


@cache
def colours() -> NDArray[np.uint8]:
    """Return the colour of each level, shape (LEVELS, 3)."""
    import matplotlib as mpl

    table = mpl.colormaps[COLOUR_MAP](np.linspace(0.0, 1.0, LEVELS - 1))[:, :3]
    return np.vstack([[UNEXPOSED], np.rint(table * 255)]).astype(np.uint8)


def veil_png(hidden: NDArray[np.bool_], box: Box) -> bytes:
    """Return a picture that is grey and half transparent where a pixel is hidden, and clear elsewhere."""
    inside = (cut(hidden, box) > 0).astype(np.uint8)
    return png(inside[::-1], np.array([(0, 0, 0), _VEIL[:3]], np.uint8), alpha=(0, _VEIL[3]))


def difference_colours() -> NDArray[np.uint8]:
    """Return the colour of each level: blue below the model, red above."""
    import matplotlib as mpl

    table = mpl.colormaps["RdBu_r"](np.linspace(0.0, 1.0, LEVELS - 1))[:, :3]
    return np.vstack([[(0, 0, 4)], np.rint(table * 255)]).astype(np.uint8)
