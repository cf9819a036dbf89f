"""The EPIC cameras: where their CCDs lie, which of their pixels count, and how RAW pixels become DETX, DETY.

RAWX and RAWY count from 1, a pixel covers half a unit to either side; DETX and DETY are in units of 0.05 arcsec.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile
from xphotfn.records.instrument import Instrument, instrument, known_instrument

__all__ = (
    "BadPixels",
    "Camera",
    "Chip",
    "Demands",
    "camera_named",
    "chip_mask",
    "exposure_model",
    "raw_positions",
    "window_of_mode",
)

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Window: TypeAlias = tuple[int, int, int, int]  # first RAWX, first RAWY, columns, rows


class Chip(NamedTuple):
    """One CCD: ``DETX = xx*RAWX + xy*RAWY + x0``, ``DETY = yx*RAWX + yy*RAWY + y0``."""

    number: int
    xx: float
    xy: float
    x0: float
    yx: float
    yy: float
    y0: float

    @property
    def matrix(self) -> Floats:
        """The transformation of (RAWX, RAWY, 1) into (DETX, DETY, 1), shape (3, 3)."""
        return np.array([[self.xx, self.xy, self.x0], [self.yx, self.yy, self.y0], [0.0, 0.0, 1.0]])


class Camera(NamedTuple):
    """One camera.

    ``axis`` is the optical axis in DETX, DETY; ``grating`` the direction on the detector along which the shadow of the
    grating arrays gets thinner; ``block`` the side of SAS's blocks of RAW pixels; ``roll_deg`` the turn of the detector
    against the position angle of the spacecraft and ``pointing`` the place where the attitude points, see
    :mod:`~xphotfn.epic.camera.projection`; ``view_centre`` the centre of the table of the field of view.
    """

    instrument: Instrument
    columns: int
    rows: int
    axis: tuple[float, float]
    grating: tuple[int, int]
    block: int
    roll_deg: float
    pointing: tuple[float, float]
    view_centre: tuple[float, float]
    chips: tuple[Chip, ...]

    @property
    def name(self) -> str:
        """The name used everywhere here."""
        return self.instrument.name

    @property
    def is_mos(self) -> bool:
        """Whether this is one of the two MOS cameras."""
        return self.instrument.family == "mos"


class BadPixels(NamedTuple):
    """Rows of a BADPIXnn block: arrays of whole numbers, all of shape (n,)."""

    x: NDArray[np.intp]
    y: NDArray[np.intp]
    extent: NDArray[np.intp]
    kind: NDArray[np.intp]
    origin: NDArray[np.intp]


class Demands(NamedTuple):
    """Which pixels beyond the bad ones the selection of the image removes: those whose flag bits must be 0."""

    border: bool = False
    near_uplinked: bool = False
    near_bright: bool = False
    near_dead: bool = False
    offset_columns: bool = False
    near_offset_columns: bool = False


def _mos(name: str, constants: tuple[tuple[float, float, float, float], ...], rest: tuple[Any, ...]) -> Camera:
    """Return a MOS camera; CCD 1 lies straight, in the others RAWX and RAWY are exchanged."""
    first = constants[0]
    chips = [Chip(1, first[0], 0.0, first[1], 0.0, first[2], first[3])]
    chips += [Chip(n, 0.0, a, x0, b, 0.0, y0) for n, (a, x0, b, y0) in enumerate(constants[1:], start=2)]
    axis, grating, roll, pointing = rest
    return Camera(
        instrument(name), 600, 600, axis, grating, 20, roll, pointing, (0.0, 0.0), tuple(chips)
    )  # fmt: skip


# Measured from 34 000 to 128 000 events per CCD of five observations; residuals are the 1.1 arcsec randomisation of the
# pixels, and SAS's raw2det constants agree within 0.45 arcsec. From left: slope and origin of DETX, slope and origin of
# DETY; CCD 1 along RAWX and RAWY, CCDs 2 to 7 along RAWY and RAWX.
_MOS1 = (
    (22.0156, -6615.6, 22.0157, -6615.6),
    (-22.0220, 13125.7, 22.0213, -20174.6),
    (-22.0214, 19883.9, 22.0214, -6922.8),
    (-22.0216, 13189.0, 22.0214, 6408.6),
    (22.0217, -13029.4, -22.0215, 19721.4),
    (22.0216, -19797.6, -22.0217, 6518.7),
    (22.0218, -13143.6, -22.0212, -6844.4),
)
_MOS2 = (
    (22.0174, -6616.2, 22.0174, -6616.2),
    (-22.0235, 13256.2, 22.0235, -20030.5),
    (-22.0233, 19990.7, 22.0233, -6852.6),
    (-22.0232, 13228.8, 22.0229, 6521.5),
    (22.0230, -13201.6, -22.0234, 19789.9),
    (22.0230, -19859.0, -22.0229, 6551.8),
    (22.0234, -13320.1, -22.0234, -6812.6),
)
# pn: centres of the CCDs along x in mm (EPN_LINCOORD_0009); pixel size and origins in DET units were fitted to the
# steps of SAS's exposure maps (rms 0.1 to 0.2 unit).
_PN_MM = (-4.832, -14.626, -24.42, 4.982, 14.776, 24.57, 4.832, 14.626, 24.42, -4.982, -14.776, -24.57)
_PN_PIXEL = 82.5533


def _pn_chip(number: int, centre_mm: float) -> Chip:
    middle, half = 550.355 * (centre_mm - 4.0), _PN_PIXEL / 2
    if number <= 6:
        return Chip(number, -_PN_PIXEL, 0.0, middle + 2683.0 - half, 0.0, -_PN_PIXEL, 15531.3 - half)
    return Chip(number, _PN_PIXEL, 0.0, middle - 2683.0 + half, 0.0, _PN_PIXEL, -17732.7 + half)


_CAMERAS: Mapping[str, Camera] = MappingProxyType(
    {
        "mos1": _mos("mos1", _MOS1, ((99.0, -209.0), (0, 1), -179.998, (-1408.0, -1405.0))),
        "mos2": _mos("mos2", _MOS2, ((539.0, -1266.0), (-1, 0), -90.290, (1228.0, -1631.0))),
        "pn": Camera(
            instrument("pn"), 64, 200, (1283.4, 382.8), (0, 0), 5, 90.22, (-1097.0, 1476.0), (-2200.0, -1100.0),
            tuple(_pn_chip(n, mm) for n, mm in enumerate(_PN_MM, start=1)),
        ),
    }
)  # fmt: skip

# MOS CCDs do not add where they overlap: strips hidden behind a neighbour count as out of view. Limits from the
# OUT_OF_FOV flags of unfiltered event lists of 0001730201 and 0002970201.
_HIDDEN: Mapping[tuple[str, int], tuple[float, float, float, float]] = MappingProxyType(
    {  # smallest RAWX, its slope along RAWY, largest RAWY, its slope along RAWX
        ("mos1", 1): (4.7, 0.0, 592.5, -8.0),
        ("mos1", 2): (0.0, 0.0, 589.0, 0.0),
        ("mos1", 4): (4.0, 0.0, 586.0, 3.5),
        ("mos1", 6): (0.0, 8.5, 601.0, 0.0),
        ("mos2", 1): (0.0, 0.0, 592.0, 0.0),
        ("mos2", 2): (0.0, 0.0, 599.0, 0.0),
        ("mos2", 4): (0.0, 0.0, 597.0, 0.0),
        ("mos2", 6): (2.0, 0.0, 601.0, 0.0),
    }
)

# Read-out windows where the event list names none. MOS: of CCD 1, in its middle. pn: of all CCDs that are read.
_WINDOWS: Mapping[tuple[str, str], Window] = MappingProxyType(
    {
        ("mos", "PrimePartialW2"): (251, 251, 100, 100),
        ("mos", "PrimePartialW3"): (151, 151, 300, 300),
        ("pn", "PrimeLargeWindow"): (1, 102, 64, 99),
        ("pn", "PrimeSmallWindow"): (1, 137, 64, 64),
    }
)


def camera_named(instrume: str, path: str) -> Camera:
    """Return a camera by its INSTRUME keyword.

    Raises
    ------
    InvalidFile
        If it is none of EMOS1, EMOS2 and EPN.
    """
    known = known_instrument(instrume)
    if known is None or known.name not in _CAMERAS:
        names = ", ".join(camera.instrument.sas_name for camera in _CAMERAS.values())
        raise InvalidFile(path, f"INSTRUME must be one of {names}, found {instrume!r}: give an EPIC image")
    return _CAMERAS[known.name]


@cache
def exposure_model() -> Mapping[str, Any]:
    """Return what ``benchmarks/fit_exposure_model.py`` measured: grating shadow and edge of the field of view."""
    text = (files("xphotfn") / "data" / "epic_exposure_model.json").read_text(encoding="utf-8")
    model: dict[str, Any] = json.loads(text)
    return MappingProxyType(model)


def raw_positions(chip: Chip, raw_x: Floats, raw_y: Floats) -> tuple[Floats, Floats]:
    """Return DETX and DETY of RAW positions.

    Examples
    --------
    >>> chip = camera_named("EMOS1", "image.fits").chips[0]
    >>> [round(float(v)) for v in raw_positions(chip, np.float64(305), np.float64(291))]
    [99, -209]
    """
    x = chip.xx * raw_x + chip.xy * raw_y + chip.x0
    y = chip.yx * raw_x + chip.yy * raw_y + chip.y0
    return x, y


def field_of_view(camera: Camera, det_x: Floats, det_y: Floats) -> Mask:
    """Return whether positions on the detector (float64, in units of 0.05 arcsec) lie in the field of view.

    The edge is a table of radii over the azimuth about a fixed centre, linear in between, which
    ``benchmarks/fit_exposure_model.py`` measures on exposure maps.
    """
    radii = np.array(exposure_model()["field_of_view"][camera.name], dtype=np.float64)
    x, y = det_x - camera.view_centre[0], det_y - camera.view_centre[1]
    square = x * x + y * y
    inside = np.asarray(square < radii.min() ** 2)
    edge = (square <= radii.max() ** 2) & ~inside
    turn = np.mod(np.arctan2(y[edge], x[edge]) / (2 * np.pi), 1.0) * radii.size
    limit = np.interp(turn, np.arange(radii.size + 1), np.append(radii, radii[0]))
    inside[edge] = square[edge] < limit**2
    return inside


@cache
def _in_view(camera: Camera, number: int) -> Mask:
    """Return which pixels of a CCD see the sky, shape (rows, columns), read-only."""
    chip = next(chip for chip in camera.chips if chip.number == number)
    raw_x = np.arange(1.0, camera.columns + 1)[None, :]
    raw_y = np.arange(1.0, camera.rows + 1)[:, None]
    shape = (camera.rows, camera.columns)
    det_x, det_y = (np.broadcast_to(v, shape) for v in raw_positions(chip, raw_x, raw_y))
    seen = field_of_view(camera, det_x, det_y)
    if (camera.name, number) in _HIDDEN:
        x0, x_slope, y1, y_slope = _HIDDEN[camera.name, number]
        seen &= raw_x >= x0 + x_slope * (raw_y - 1) / 599
        seen &= raw_y <= y1 + y_slope * (raw_x - 1) / 599
    seen.flags.writeable = False
    return seen


def window_of_mode(camera: Camera, mode: str, number: int) -> Window | None:
    """Return the read-out window of a CCD in a mode, or None where all of it is read.

    Notes
    -----
    MOS windows are taken to lie in the middle of CCD 1; the pn windows are the rows far from the read-out, RAWY 137
    and above in small-window mode (measured on an exposure map) and the last 99 rows in large-window mode (XMM-Newton
    Users Handbook: 198 x 384 pixels).
    """
    return None if camera.is_mos and number != 1 else _WINDOWS.get((camera.instrument.family, mode))


def chip_mask(
    camera: Camera,
    number: int,
    bad: BadPixels | None,
    demands: Demands,
    window: Window | None = None,
    offsets: NDArray[np.intp] | None = None,
) -> Mask:
    """Return which pixels of a CCD count.

    Parameters
    ----------
    camera
        The camera.
    number
        Number of the CCD.
    bad
        Its bad pixels; None where they are not known.
    demands
        What else the selection of the image removes.
    window
        Read-out window; None for the whole CCD.
    offsets
        RAWX of columns with an offset (pn).

    Returns
    -------
    Array of shape (rows, columns), bool, with the pixel RAWX = RAWY = 1 first.

    Notes
    -----
    Bad pixels of all types, pixels outside the field of view and hidden strips never count. A demand of the flags on
    the neighbours of bad pixels removes the eight pixels around each, one on the border the outermost rows and
    columns: for pn not the row next to the read-out.

    References
    ----------
    SAS eexpmap-4.13, https://xmm-tools.cosmos.esa.int/external/sas/current/doc/eexpmap/node9.html.
    """
    dead = _bad_mask(camera, bad, demands)
    columns = np.zeros(camera.columns, dtype=bool)
    if offsets is not None and demands.offset_columns:
        columns[offsets[(offsets >= 1) & (offsets <= camera.columns)] - 1] = True
        if demands.near_offset_columns:
            columns |= np.convolve(columns, [1, 1, 1], mode="same") > 0
    good = _in_view(camera, number) & ~dead & ~columns
    x0, y0, nx, ny = window or (1, 1, camera.columns, camera.rows)
    edge = 1 if demands.border else 0
    low = y0 - 1 + (edge if camera.is_mos or y0 > 1 else 0)
    kept = np.zeros_like(good)
    rows = slice(max(low, 0), max(y0 - 1 + ny - edge, 0))
    kept[rows, max(x0 - 1 + edge, 0) : max(x0 - 1 + nx - edge, 0)] = True
    return np.asarray(good & kept)


def _bad_mask(camera: Camera, bad: BadPixels | None, demands: Demands) -> Mask:
    mask = np.zeros((camera.rows, camera.columns), dtype=bool)
    if bad is None:
        return mask
    grown = np.zeros_like(mask)
    wide = (
        (demands.near_uplinked & (bad.origin == 1))
        | (demands.near_bright & (bad.kind != 3))
        | (demands.near_dead & (bad.kind == 3))
    )
    for x, y, extent, near in zip(bad.x, bad.y, bad.extent, wide, strict=True):
        if 1 <= x <= camera.columns and y + extent > 1:
            mask[max(y, 1) - 1 : y + extent - 1, x - 1] = True
            if near:
                grown[max(y - 1, 1) - 1 : max(y + extent, 0), max(x - 1, 1) - 1 : x + 1] = True
    return mask | grown
