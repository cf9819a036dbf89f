"""Out-of-time events of pn, expected from an image itself: each column of a CCD is smeared over its rows.

Photons that arrive while a CCD is read out keep their column and lose their row. So what a column counts in all, times
the part of the time that goes into the readout, lies evenly over its rows: streaks through bright sources.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.epic.camera.attitude import Attitude
from xphotfn.epic.camera.detector import Camera, Chip, Demands, camera_named, chip_mask, window_of_mode
from xphotfn.epic.camera.projection import Boresight, detector_grid, pixel_to_det
from xphotfn.errors import InvalidFile, NoData
from xphotfn.io.cards import card
from xphotfn.io.headers import grid_of
from xphotfn.typing import Header

__all__ = ("OUT_OF_TIME", "out_of_time_of", "smeared")

Floats = NDArray[np.float64]

OUT_OF_TIME: Mapping[str, float] = MappingProxyType(
    {
        "PrimeFullWindow": 0.063,
        "PrimeFullWindowExtended": 0.023,
        "PrimeLargeWindow": 0.0016,
        "PrimeSmallWindow": 0.011,
    }
)
"""Part of the photons of pn that arrive while a CCD is read out, by mode (XMM-Newton Users' Handbook)."""

_FIRST_ROW = 13  # rows below are flagged and empty in images
_PARTS = 4  # of a pixel along each side


class _Places(NamedTuple):
    """Flat pixel and column for each part of a pixel on a CCD, and how many parts a pixel of a CCD has."""

    pixel: NDArray[np.int64]
    column: NDArray[np.int64]
    parts_of_raw: float


def out_of_time_of(counts: NDArray[Any], header: Header, name: str) -> Floats:
    """Return the out-of-time events that are expected in an image of pn.

    Parameters
    ----------
    counts
        The image, shape (ny, nx).
    header
        Its header: mode, and where the camera pointed (RA_PNT, DEC_PNT, PA_PNT).
    name
        Its file, for messages.

    Returns
    -------
    Shape (ny, nx), in counts; 0 for MOS, where they are 0.35 % and not along one CCD's rows in the same way.

    Raises
    ------
    NoData
        For a mode of pn whose readout is not known.
    InvalidFile
        If the header does not say where the camera pointed.
    """
    camera = camera_named(str(card(header, "INSTRUME", "")), name)
    if camera.is_mos:
        return np.zeros(counts.shape)
    mode = str(card(header, "SUBMODE", "")).strip()
    if mode not in OUT_OF_TIME:
        known = ", ".join(OUT_OF_TIME)
        raise NoData(f"{name}: how much is out of time is known for {known}, not for mode {mode or 'unknown'}")
    window = window_of_mode(camera, mode, camera.chips[0].number)
    rows = (1, camera.rows) if window is None else (window[1], window[3])
    return OUT_OF_TIME[mode] * smeared(counts, header, name, rows=rows, in_view=True)


def smeared(
    counts: NDArray[Any], header: Header, name: str, *, rows: tuple[int, int] = (1, 200), in_view: bool = False
) -> Floats:
    """Return an image of pn, also one in DETX and DETY, whose columns are spread evenly over their rows.

    ``rows`` are the first RAWY that is read, and how many; a column counts all that it holds from row 13 on. With
    ``in_view`` only pixels of the CCDs that see the sky.
    """
    camera = camera_named(str(card(header, "INSTRUME", "")), name)
    places = _places(camera, _to_det(camera, header, name), counts.shape, rows, in_view=in_view)
    whole = np.nan_to_num(np.asarray(counts, dtype=np.float64)).ravel()
    parts = np.bincount(places.pixel, minlength=whole.size)
    totals = np.bincount(places.column, (whole / np.maximum(parts, 1))[places.pixel])
    each = totals / (rows[1] * places.parts_of_raw)
    spread = np.bincount(places.pixel, each[places.column], minlength=whole.size)
    return np.asarray(spread.reshape(counts.shape), dtype=np.float64)


def _to_det(camera: Camera, header: Header, name: str) -> Floats:
    """Return the matrix from 0-based pixels (x, y, 1) to (DETX, DETY, 1), up to a factor."""
    if str(card(header, "CTYPE1", "")).upper().startswith("DETX"):
        return detector_grid(header, name)[1]
    words = [card(header, key, None) for key in ("RA_PNT", "DEC_PNT", "PA_PNT")]
    if not all(isinstance(word, int | float) for word in words):
        raise InvalidFile(name, "has no RA_PNT, DEC_PNT and PA_PNT that place its columns: make it with evselect")
    ra, dec, pa = map(float, words)
    return pixel_to_det(grid_of(header, name), Attitude(ra, dec, pa), Boresight(camera.roll_deg, *camera.pointing))


def _places(camera: Camera, to_det: Floats, shape: tuple[int, int], rows: tuple[int, int], *, in_view: bool) -> _Places:
    y, x = (axis.ravel() for axis in np.indices(shape, dtype=np.float64))
    steps = (np.arange(_PARTS) + 0.5) / _PARTS - 0.5
    dy, dx = (v.ravel() for v in np.meshgrid(steps, steps, indexing="ij"))
    pixels, columns, areas = [], [], []
    for chip in camera.chips:
        to_raw: Floats = np.asarray(np.linalg.solve(chip.matrix, to_det), dtype=np.float64)
        areas.append(_area(to_raw, shape))
        margin = 2 + 2 * np.sqrt(areas[-1])
        raw_x, raw_y = _applied(to_raw, x, y)
        near = (np.abs(raw_x - 32.5) < 32 + margin) & (np.abs(raw_y - 100.5) < 100 + margin)
        index = np.flatnonzero(near)
        points = _applied(to_raw, x[index, None] + dx, y[index, None] + dy)
        column, row = (np.rint(values).astype(np.int64) for values in points)
        on = _on_chip(camera, chip, column, row, rows, in_view=in_view)
        pixels.append(np.broadcast_to(index[:, None], on.shape)[on])
        columns.append(chip.number * (camera.columns + 1) + column[on])
    return _Places(np.concatenate(pixels), np.concatenate(columns), _PARTS**2 / float(np.mean(areas)))


def _applied(matrix: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    below = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    across, along = (matrix[k, 0] * x + matrix[k, 1] * y + matrix[k, 2] for k in (0, 1))
    return across / below, along / below


def _area(to_raw: Floats, shape: tuple[int, int]) -> float:
    """Return the area of a pixel in the middle of the image in pixels of the CCD."""
    middle = np.array([shape[1] / 2, shape[1] / 2 + 1, shape[1] / 2]), np.array([shape[0] / 2] * 2 + [shape[0] / 2 + 1])
    x, y = _applied(to_raw, *middle)
    return float(abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])))


def _on_chip(
    camera: Camera, chip: Chip, x: NDArray[np.int64], y: NDArray[np.int64], rows: tuple[int, int], *, in_view: bool
) -> NDArray[np.bool_]:
    first, last = max(_FIRST_ROW, rows[0]), rows[0] + rows[1] - 1
    on = np.asarray((x >= 1) & (x <= camera.columns) & (y >= first) & (y <= last))
    if in_view:
        on[on] = chip_mask(camera, chip.number, None, Demands())[y[on] - 1, x[on] - 1]
    return on
