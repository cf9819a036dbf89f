"""Out-of-time events of pn: photons that arrive while a CCD is read out and seem to lie elsewhere in its column.

They are spread evenly over all rows of the column that their photon fell in, with the photon's energy: streaks along
RAWY through bright sources. Rows outside the field of view get their part too, and no image shows it.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.records.grid import SKY_UNIT_ARCSEC, PixelGrid
from xphotfn.simulate.field_of_view import ccd_at, detector_positions, geometry, raw_positions_on, simulated_camera
from xphotfn.simulate.scene import CameraExposure, Pointing

__all__ = ("out_of_time_counts",)

Floats = NDArray[np.float64]
_PARTS = 4  # of a pixel along each side
_UNIT_DEG = SKY_UNIT_ARCSEC / 3600  # of DETX and DETY


class _Columns(NamedTuple):
    """Where each part of each image pixel lies: flat pixel and number of the column, for the parts on a CCD."""

    pixel: NDArray[np.int64]
    column: NDArray[np.int64]
    parts_of_column: float


def out_of_time_counts(counts: Floats, pointing: Pointing, exposure: CameraExposure) -> Floats:
    """Return the counts that are expected out of time, from those in time: shape (ny, nx), float64.

    A column with n counts in time gives ``n f / (1 - f)`` out of time, spread evenly over its rows; f is
    ``exposure.out_of_time``. Pixels of the image are cut into 4 x 4 parts that fall in one column each.

    References
    ----------
    Strueder et al. (2001), A&A 365, L18; for the parts see :data:`~xphotfn.simulate.scene.OUT_OF_TIME`.
    """
    part = exposure.out_of_time
    if part == 0:
        return np.zeros(counts.shape)
    where = _columns(pointing.grid, exposure.instrument, pointing.pa_deg, exposure.lost_chips)
    on_chip = np.bincount(where.pixel, minlength=counts.size)
    share = (counts.ravel() / np.maximum(on_chip, 1))[where.pixel]
    total = np.bincount(where.column, share)
    smeared = (total / where.parts_of_column)[where.column]
    spread = np.bincount(where.pixel, smeared, minlength=counts.size)
    return np.asarray(part / (1 - part) * spread.reshape(counts.shape))


@lru_cache(maxsize=2)
def _columns(grid: PixelGrid, instrument: str, pa_deg: float, lost_chips: tuple[int, ...]) -> _Columns:
    camera, scale = simulated_camera(instrument), grid.pixel_deg / _UNIT_DEG
    seen = np.flatnonzero(geometry(grid, instrument, pa_deg, lost_chips).coverage)
    inner = (np.arange(_PARTS) + 0.5) / _PARTS - 0.5
    in_y, in_x = (part.ravel() for part in np.meshgrid(inner, inner, indexing="ij"))
    found: list[tuple[Any, Any]] = []
    for some in np.array_split(seen, max(1, seen.size // 8000)):
        row, column = np.divmod(some, grid.nx)
        x = (column[:, None] + in_x + 1 - grid.crpix1) * scale
        y = (row[:, None] + in_y + 1 - grid.crpix2) * scale
        det = detector_positions(instrument, pa_deg, x, y)
        ccd = ccd_at(instrument, lost_chips, *det)
        pixel = np.broadcast_to(some[:, None], ccd.shape)
        for number in np.unique(ccd[ccd > 0]):
            on = ccd == number
            raw_x, _ = raw_positions_on(instrument, int(number), det[0][on], det[1][on])
            found.append((pixel[on], int(number) * (camera.columns + 1) + np.rint(raw_x).astype(np.int64)))
    pixel, column = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    chip = camera.chips[0].matrix
    area = abs(chip[0, 0] * chip[1, 1] - chip[0, 1] * chip[1, 0])  # of a RAW pixel, in units of DETX times DETY
    return _Columns(pixel, column, camera.rows * area / (scale / _PARTS) ** 2)
