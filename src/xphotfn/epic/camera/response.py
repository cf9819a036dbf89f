"""The response of a camera at one energy: mirror vignetting times the shadow of the grating arrays.

SAS evaluates it once for each block of RAW pixels, at the first corner of the block (``sampling="sas"``); here it can
also be had at the centre of each pixel (``sampling="pixel"``). Either way a camera is a list of cells in which the
response is constant.
"""

import csv
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xphotfn.epic.camera.detector import Camera, Chip, exposure_model, raw_positions
from xphotfn.epic.events import as_table, scan, table_data
from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.records.grid import SKY_UNIT_ARCSEC
from xphotfn.science.vignetting import VignettingTable, vignetting

__all__ = (
    "SAMPLINGS",
    "Cells",
    "ccf_table",
    "cell_labels",
    "cells_of",
    "grating_slope",
    "packaged_table",
    "response",
)

Floats: TypeAlias = NDArray[np.float64]

SAMPLINGS = ("sas", "pixel")
_ARCMIN = SKY_UNIT_ARCSEC / 60  # of one unit of DETX, DETY
_PACKAGED = "vignetting_xrt3_xareaef_0012.csv"

# Beyond 15 arcmin SAS's pn maps leave the table, which ends at 15.6: response over the table's, its last value beyond.
# From the detector map of 0723801301 at 1.25 keV; the same within 0.3 % on the sky maps of Abell 907 at 6 keV.
_FAR_ANGLES = (15.0, 15.3, 15.45, 15.6, 15.9, 16.2, 16.7)
_FAR_FACTORS = (1.0, 0.9947, 0.9935, 0.9997, 0.9954, 0.9901, 0.9817)


class Cells(NamedTuple):
    """Where the response of each cell is evaluated: DETX and DETY, arrays of shape (n,), float64."""

    det_x: Floats
    det_y: Floats


def _side(camera: Camera, sampling: str) -> int:
    if sampling not in SAMPLINGS:
        raise InvalidRecord(f"sampling must be one of {', '.join(SAMPLINGS)}, got {sampling!r}")
    return camera.block if sampling == "sas" else 1


def cell_labels(camera: Camera, mask: NDArray[np.bool_], sampling: str) -> NDArray[np.int32]:
    """Return the cell of each pixel of a CCD, int32, of the shape of ``mask``; -1 where the pixel does not count.

    ``mask`` has shape (rows, columns), RAWX = RAWY = 1 first; the numbers are those of :func:`cells_of` of this CCD;
    ``sampling`` is ``sas`` or ``pixel``.
    """
    side = _side(camera, sampling)
    columns = np.arange(1, camera.columns + 1, dtype=np.int32) // side
    rows = np.arange(1, camera.rows + 1, dtype=np.int32) // side
    return np.where(mask, rows[:, None] * (camera.columns // side + 1) + columns, np.int32(-1))


def cells_of(camera: Camera, chip: Chip, sampling: str) -> Cells:
    """Return the cells of a CCD.

    Notes
    -----
    ``sas``: blocks of 20 x 20 pixels (MOS) or 5 x 5 (pn) that hold RAWX from 20k to 20k + 19 and are evaluated at RAW
    = (20k, 20k), found on SAS's maps in detector coordinates. ``pixel``: each pixel at its centre.
    """
    side = _side(camera, sampling)
    columns = np.arange(camera.columns // side + 1, dtype=np.float64) * side
    rows = np.arange(camera.rows // side + 1, dtype=np.float64) * side
    raw_x, raw_y = (grid.ravel() for grid in np.meshgrid(columns, rows))
    return Cells(*raw_positions(chip, raw_x, raw_y))


def grating_slope(camera: Camera, energy_ev: float) -> float:
    """Return the slope of the grating arrays' shadow per arcmin at an energy; 0 for pn.

    Notes
    -----
    Linear between the energies at which ``benchmarks/fit_exposure_model.py`` measured it, constant outside.
    """
    if not camera.is_mos:
        return 0.0
    fitted = exposure_model()["rga"][camera.name]
    return float(np.interp(energy_ev, fitted["energies_ev"], fitted["slopes_per_arcmin"]))


def fitted_energies() -> tuple[float, float]:
    """Return the range of energies to which the shadow of the grating arrays was fitted, in eV."""
    energies = exposure_model()["rga"]["mos1"]["energies_ev"]
    return float(min(energies)), float(max(energies))


def response(camera: Camera, cells: Cells, energy_ev: float, table: VignettingTable) -> Floats:
    """Return the response of cells at one energy, 1 on the optical axis.

    Parameters
    ----------
    camera
        The camera.
    cells
        Where it is evaluated.
    energy_ev
        Energy in eV: eexpmap takes the mean of pimin and pimax.
    table
        Vignetting of the mirror.

    Returns
    -------
    Array of shape (n,), float64: ``V(E, theta) * (1 + g(E) * w)``, where theta is the angle from the optical axis, w
    the distance along the dispersion of the gratings in arcmin, and g is fitted (MOS; 0 for pn).

    Notes
    -----
    Quantum efficiency and filter cancel: the map is normalised on axis. pn beyond 15 arcmin follows SAS's maps.

    References
    ----------
    XMM-Newton CAL handbook, CAL_getVignettingFactor and CAL_getRGAObscure (obscured part linear in the dispersion
    angle); SAS eexpmap-4.13, node 9.
    """
    x, y = cells.det_x - camera.axis[0], cells.det_y - camera.axis[1]
    theta = np.hypot(x, y) * _ARCMIN
    factor = vignetting(table, energy_ev, theta)
    if not camera.is_mos:
        return np.asarray(factor * np.interp(theta, _FAR_ANGLES, _FAR_FACTORS))
    along = (camera.grating[0] * x + camera.grating[1] * y) * _ARCMIN
    return np.asarray(factor * (1 + grating_slope(camera, energy_ev) * along))


@cache
def packaged_table() -> VignettingTable:
    """Return the vignetting table that comes with the package, from XRT3_XAREAEF_0012.

    The tables of the three telescopes agree to 2.3e-7.
    """
    text = (files("xphotfn") / "data" / _PACKAGED).read_text(encoding="ascii")
    rows = list(csv.reader(line for line in text.splitlines() if not line.startswith("#")))
    values = np.array(rows[1:], dtype=np.float64)
    angles = np.array(rows[0][1:], dtype=np.float64)
    return VignettingTable(
        energies_ev=values[:, 0], angles_arcmin=angles, factors=values[:, 1:], source="XRT3_XAREAEF_0012"
    )


def ccf_table(folder: Path, camera: Camera) -> VignettingTable:
    """Return the vignetting table of a camera from a folder of XRTn_XAREAEF_iiii.CCF; the highest issue counts.

    MOS1 is behind telescope 1, MOS2 behind 2, pn behind 3. InvalidFile if no such file is there, or it has no extension
    VIGNETTING with energies and factors.
    """
    stem = f"{camera.instrument.telescope}_XAREAEF_"
    found = sorted(p for p in folder.glob(f"{stem}*") if p.name.upper().endswith((".CCF", ".CCF.GZ")))
    if not found:
        raise InvalidFile(folder.name, f"no {stem}*.CCF in this folder: give the folder of the calibration files")
    path = found[-1]
    blocks = [b for b in scan(path) if b.name.upper() == "VIGNETTING"]
    if not blocks:
        raise InvalidFile(path.name, "has no extension VIGNETTING")
    table = as_table(path, blocks[0])
    energy = next((c for c in table.columns.values() if "ENERGY" in c.name.upper() and c.is_number), None)
    factor = next((c for c in table.columns.values() if len(c.shape) == 1), None)
    step = float(blocks[0].header.get("D_THETA", 0.0))
    if energy is None or factor is None or not step > 0:
        raise InvalidFile(path.name, "VIGNETTING has no energies, no column of factors or no D_THETA")
    chunk = table_data(table)
    energies, first = np.unique(np.asarray(chunk.column(energy.name), dtype=np.float64), return_index=True)
    factors = np.asarray(chunk.column(factor.name), dtype=np.float64)[first]
    angles = np.arange(factors.shape[1]) * step * 60
    try:
        source = path.name.split(".")[0]
        return VignettingTable(energies_ev=energies, angles_arcmin=angles, factors=factors, source=source)
    except InvalidRecord as error:
        raise InvalidFile(path.name, f"VIGNETTING cannot be used: {error}") from error
