"""Where the simulated cameras look: chips, field of view and vignetting, in the layout of the real ones.

Detector coordinates are DETX and DETY in units of 0.05 arcsec. Chips are boxes without bad pixels; the position of
the chips, the optical axes and the turn of each camera on the sky are those of EPIC to a few arcseconds.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.science.masks import read_only

__all__ = ("Geometry", "geometry", "vignetting")

Box = tuple[float, float, float, float]
SUBPIXELS = 3
_UNIT_DEG = 0.05 / 3600


class Geometry(NamedTuple):
    """What a camera sees of a grid: both arrays of shape (ny, nx), read-only.

    ``coverage`` is the part of each pixel that lies on a chip in the field of view, ``off_axis_arcmin`` the distance
    of its centre from the optical axis.
    """

    coverage: NDArray[np.float64]
    off_axis_arcmin: NDArray[np.float64]


class _Camera(NamedTuple):
    chips: tuple[Box, ...]  # DETX from, to, DETY from, to
    axis: tuple[float, float]
    view: tuple[float, float, float]  # centre and radius of the field of view
    pointing: tuple[float, float]  # where the pointing falls
    turn_deg: float  # angle of the detector on the sky at position angle 0


def _square(x: float, y: float) -> Box:
    return x - 6470.0, x + 6470.0, y - 6470.0, y + 6470.0


def _strip(x: float, *, upper: bool) -> Box:
    return (x - 2560.0, x + 2560.0, -970.0, 15360.0) if upper else (x - 2560.0, x + 2560.0, -17560.0, -1230.0)


_MOS1 = ((0, 0), (6508, -13557), (13266, -305), (6572, 13026), (-6412, 13104), (-13180, -99), (-6526, -13462))
_MOS2 = ((0, 0), (6638, -13412), (13373, -235), (6611, 13139), (-6584, 13172), (-13241, -66), (-6702, -13431))
_PN_UPPER = (-4902, -10292, -15682, 499, 5889, 11279)
_PN_LOWER = (499, 5889, 11279, -4902, -10292, -15682)

_CAMERAS = {
    "pn": _Camera(
        (*(_strip(x, upper=True) for x in _PN_UPPER), *(_strip(x, upper=False) for x in _PN_LOWER)),
        (1283, 383), (-2200, -1110, 17980), (-1097, 1476), 90.22,
    ),
    "mos1": _Camera(tuple(_square(*c) for c in _MOS1), (99, -209), (99, -209, 17120), (-1408, -1405), -179.998),
    "mos2": _Camera(tuple(_square(*c) for c in _MOS2), (539, -1266), (539, -1266, 17120), (1228, -1631), -90.29),
}  # fmt: skip

_ENERGY_KEV = (1.5, 4.0, 6.0, 8.0, 10.0, 12.0)
_SCALE_ARCMIN = (10.51, 10.172, 9.185, 7.485, 6.070, 4.932)
_POWER = (1.96, 1.988, 2.105, 2.101, 2.022, 1.797)


def vignetting(off_axis_arcmin: NDArray[np.float64], band: Band) -> NDArray[np.float64]:
    """Return the vignetting factor at the mean energy of a band, 1 on the optical axis.

    Parameters
    ----------
    off_axis_arcmin
        Distance from the optical axis in arcmin.
    band
        Its mean energy is used, as eexpmap does.

    Notes
    -----
    ``V = 1/(1 + (theta/t)**a)`` with t and a interpolated between 1.5 and 12 keV: within 0.015 of the calibrated
    mirror table up to 15 arcmin. The shadow of the grating arrays on the MOS cameras is left out.

    Examples
    --------
    >>> from xphotfn.records import Band
    >>> vignetting(np.array([0.0, 6.0, 12.0]), Band(lo_ev=500, hi_ev=2000)).round(2)
    array([1.  , 0.75, 0.44])
    """
    energy_kev = (band.lo_ev + band.hi_ev) / 2000
    scale = float(np.interp(energy_kev, _ENERGY_KEV, _SCALE_ARCMIN))
    power = float(np.interp(energy_kev, _ENERGY_KEV, _POWER))
    return np.asarray(1 / (1 + (off_axis_arcmin / scale) ** power))


@lru_cache(maxsize=8)
def geometry(grid: PixelGrid, instrument: str, pa_deg: float = 0.0, lost_chips: tuple[int, ...] = ()) -> Geometry:
    """Return what a camera sees of a grid whose reference pixel is the pointing.

    Parameters
    ----------
    grid
        The grid.
    instrument
        ``pn``, ``mos1`` or ``mos2``.
    pa_deg
        Position angle of the spacecraft.
    lost_chips
        CCDs without data, from 1.

    Returns
    -------
    Geometry

    Notes
    -----
    The sky is a mirrored and turned detector: with the offsets (dx, dy) from the pointing and the turn r,
    ``DETX = cos(r) dx + sin(r) dy + c1`` and ``DETY = sin(r) dx - cos(r) dy + c2``.
    """
    camera = _CAMERAS[instrument]
    x, y = _detector_positions(grid, camera, pa_deg, SUBPIXELS)
    chips = [chip for number, chip in enumerate(camera.chips, start=1) if number not in lost_chips]
    seen = _on_chips(x, y, chips) & _in_view(x, y, camera.view)
    rows = (grid.ny, SUBPIXELS, grid.nx, SUBPIXELS)
    coverage = seen.reshape(rows).sum(axis=(1, 3), dtype=np.float64) / SUBPIXELS**2
    x, y = _detector_positions(grid, camera, pa_deg, 1)
    off_axis = np.hypot(x - camera.axis[0], y - camera.axis[1]) * (_UNIT_DEG * 60)
    return Geometry(np.asarray(read_only(coverage)), np.asarray(read_only(off_axis)))


def _detector_positions(
    grid: PixelGrid, camera: _Camera, pa_deg: float, samples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return DETX and DETY of points inside each pixel, shape (ny * samples, nx * samples)."""
    step = grid.pixel_deg / _UNIT_DEG
    dx = _offsets(grid.nx, grid.crpix1, samples) * step
    dy = _offsets(grid.ny, grid.crpix2, samples)[:, None] * step
    turn = math.radians(pa_deg + camera.turn_deg)
    cos, sin = math.cos(turn), math.sin(turn)
    return cos * dx + sin * dy + camera.pointing[0], sin * dx - cos * dy + camera.pointing[1]


def _offsets(size: int, crpix: float, samples: int) -> NDArray[np.float64]:
    inside = (np.arange(samples) + 0.5) / samples - 0.5
    return (np.arange(size)[:, None] + 1 - crpix + inside).ravel()


def _on_chips(x: NDArray[np.float64], y: NDArray[np.float64], chips: list[Box]) -> NDArray[np.bool_]:
    result = np.zeros(x.shape, dtype=bool)
    for x0, x1, y0, y1 in chips:
        result |= (np.abs(x - (x0 + x1) / 2) < (x1 - x0) / 2) & (np.abs(y - (y0 + y1) / 2) < (y1 - y0) / 2)
    return result


def _in_view(x: NDArray[np.float64], y: NDArray[np.float64], view: tuple[float, float, float]) -> NDArray[np.bool_]:
    return np.asarray((x - view[0]) ** 2 + (y - view[1]) ** 2 < view[2] ** 2)
