"""Where the simulated cameras look: the chips, field of view and response of the native engine's detector model.

Photons are drawn through the same model from which the native engine makes exposure maps, so that what is recovered can
differ from the truth by noise, selection and bookkeeping only. How well that model describes the telescope is another
question, which the accuracy page answers by comparison with SAS.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.epic.camera.attitude import Attitude
from xphotfn.epic.camera.detector import Camera, Demands, camera_named, chip_mask
from xphotfn.epic.camera.projection import Boresight, View, pixel_to_det, weights
from xphotfn.epic.camera.response import Cells, cell_labels, cells_of, packaged_table, response
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import instrument as instrument_of
from xphotfn.science.pixel_masks import read_only

__all__ = (
    "Geometry",
    "ccd_at",
    "detector_positions",
    "geometry",
    "raw_positions_on",
    "response_image",
    "simulated_camera",
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Geometry(NamedTuple):
    """What a camera sees of a grid.

    ``coverage`` is the part of each pixel that lies on a chip in the field of view, shape (ny, nx), read-only;
    ``matrix`` says how much of each cell of the detector lies in each pixel (sparse, pixels by cells).
    """

    camera: Camera
    cells: Cells
    matrix: Any
    coverage: Floats


def simulated_camera(instrument: str) -> Camera:
    """Return the detector model of a camera."""
    return camera_named(instrument_of(instrument).sas_name, "simulation")


@lru_cache(maxsize=8)
def geometry(grid: PixelGrid, instrument: str, pa_deg: float = 0.0, lost_chips: tuple[int, ...] = ()) -> Geometry:
    """Return what a camera sees of a grid whose reference pixel is the pointing.

    ``pa_deg`` is the position angle of the spacecraft; ``lost_chips``, counted from 1, are CCDs without data.
    """
    camera = simulated_camera(instrument)
    to_det = pixel_to_det(grid, Attitude(grid.ra_deg, grid.dec_deg, pa_deg), _boresight(camera))
    views, cells, first = [], [], 0
    for chip in camera.chips:
        if chip.number not in lost_chips:
            labels = cell_labels(camera, chip_mask(camera, chip.number, None, Demands()), "sas")
            views.append(View(np.asarray(np.linalg.solve(chip.matrix, to_det)), labels, first, 1.0))
            cells.append(cells_of(camera, chip, "sas"))
            first += cells[-1].det_x.size
    together = Cells(*(np.concatenate(v) for v in zip(*cells, strict=True)))
    matrix = weights(grid.shape, views, first)
    coverage = np.asarray(matrix @ np.ones(first)).reshape(grid.shape)
    return Geometry(camera, together, matrix, np.asarray(read_only(coverage)))


def _boresight(camera: Camera) -> Boresight:
    return Boresight(camera.roll_deg, *camera.pointing)


def response_image(seen: Geometry, band: Band) -> Floats:
    """Return exposure per live second at the mean energy of a band, shape (ny, nx): 1 on axis, 0 off the chips.

    Examples
    --------
    >>> from xphotfn.records import Band
    >>> seen = geometry(PixelGrid.from_sky_range(0.0, 0.0), "mos1")
    >>> image = response_image(seen, Band(lo_ev=500, hi_ev=2000))
    >>> 0.95 < float(image.max()) <= 1.02, float(image.min())
    (True, 0.0)
    """
    factors = response(seen.camera, seen.cells, (band.lo_ev + band.hi_ev) / 2, packaged_table())
    return np.asarray(seen.matrix @ factors).reshape(seen.coverage.shape)


def detector_positions(instrument: str, pa_deg: float, dx: Floats, dy: Floats) -> tuple[Floats, Floats]:
    """Return DETX and DETY of offsets from the pointing in units of 0.05 arcsec, X to the west."""
    camera = simulated_camera(instrument)
    turn = np.deg2rad(pa_deg + camera.roll_deg)
    cos, sin = np.cos(turn), np.sin(turn)
    return cos * dx + sin * dy + camera.pointing[0], sin * dx - cos * dy + camera.pointing[1]


def raw_positions_on(instrument: str, number: int, det_x: Floats, det_y: Floats) -> tuple[Floats, Floats]:
    """Return RAW positions, not rounded, on one CCD."""
    chip = next(chip for chip in simulated_camera(instrument).chips if chip.number == number)
    back = np.linalg.inv(chip.matrix)
    return back[0, 0] * det_x + back[0, 1] * det_y + back[0, 2], back[1, 0] * det_x + back[1, 1] * det_y + back[1, 2]


def ccd_at(instrument: str, lost_chips: tuple[int, ...], det_x: Floats, det_y: Floats) -> Ints:
    """Return the CCD under each position, 0 where there is none or the pixel does not see the sky."""
    camera = simulated_camera(instrument)
    found = np.zeros(det_x.shape, dtype=np.int64)
    for chip in camera.chips:
        if chip.number in lost_chips:
            continue
        raw_x, raw_y = (np.rint(v) for v in raw_positions_on(instrument, chip.number, det_x, det_y))
        on = (raw_x >= 1) & (raw_x <= camera.columns) & (raw_y >= 1) & (raw_y <= camera.rows)
        mask = chip_mask(camera, chip.number, None, Demands())
        on[on] = mask[raw_y[on].astype(np.intp) - 1, raw_x[on].astype(np.intp) - 1]
        found[on] = chip.number
    return found
