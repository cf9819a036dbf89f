"""Effective areas (ARF) and redistribution matrices (RMF) of OGIP files."""

from pathlib import Path
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile
from xphotfn.io.fits import open_checked
from xphotfn.science.folding import Area, Redistribution

__all__ = ("ResponseFiles", "read_responses")

Floats = NDArray[np.float64]
GRID = 1e-4  # relative difference of energies that is rounding: they are stored in single precision
FULLEST = 1.1  # sum of a row of a matrix that holds no area


class ResponseFiles(NamedTuple):
    """An effective area, the matrix that goes with it, and what the area's header says of the instrument."""

    area: Area
    matrix: Redistribution | None
    instrument: str
    filter: str


def read_responses(arf: str | Path, rmf: str | Path | None) -> ResponseFiles:
    """Return the effective area and the matrix of two files, on one grid of energies.

    Raises
    ------
    InvalidFile
        If a file is no ARF or RMF, energies are no rising grid or areas no numbers, the matrix holds the area already,
        a channel is not among those of EBOUNDS, or the grids differ.
    """
    with open_checked(arf) as hdus:
        table = _table(hdus, str(arf), ("SPECRESP",), "effective area (ARF)")
        lo, hi, cm2 = (_column(table, name, unit) for name, unit in (*_ENERGIES, ("SPECRESP", u.cm**2)))
        header = table.header
        words = [str(header.get(name) or "").strip() for name in ("INSTRUME", "FILTER")]
    _require_grid(lo, hi, str(arf))
    if not np.all(np.isfinite(cm2) & (cm2 >= 0)) or not np.any(cm2 > 0):
        raise InvalidFile(str(arf), "SPECRESP must hold areas that are finite and not negative, some above 0")
    matrix = None if rmf is None else _matrix(rmf)
    if matrix is not None:
        _require_same_grid((lo, hi), matrix, (str(arf), str(rmf)))
    return ResponseFiles(Area(lo, hi, cm2), matrix, words[0] or "unknown", words[1])


_ENERGIES = (("ENERG_LO", u.keV), ("ENERG_HI", u.keV))


def _table(hdus: Any, path: str, needed: tuple[str, ...], what: str) -> Any:
    for hdu in hdus:
        names = {name.upper() for name in (hdu.columns.names if getattr(hdu, "columns", None) is not None else ())}
        if {"ENERG_LO", "ENERG_HI", *needed} <= names:
            return hdu
    raise InvalidFile(path, f"no table with ENERG_LO, ENERG_HI and {', '.join(needed)}: give an OGIP {what}")


def _column(hdu: Any, name: str, unit: u.UnitBase) -> Floats:
    given = str(hdu.columns[name].unit or "").strip()
    values = np.asarray(hdu.data[name], dtype=np.float64)
    return np.asarray(u.Quantity(values, given).to_value(unit)) if given else values


def _require_grid(lo: Floats, hi: Floats, path: str) -> None:
    good = lo.ndim == 1 and lo.size > 0 and bool(np.all(np.isfinite(hi) & (lo >= 0) & (hi > lo)))
    if not (good and np.all(np.diff(lo) > 0) and np.allclose(lo[1:], hi[:-1], rtol=GRID, atol=0)):
        raise InvalidFile(path, "ENERG_LO and ENERG_HI must be bins that rise and join without gaps")


def _require_same_grid(ends: tuple[Floats, Floats], matrix: Redistribution, paths: tuple[str, str]) -> None:
    same = ends[0].shape == matrix.lo_kev.shape and all(
        np.allclose(one, other, rtol=GRID, atol=1e-6)
        for one, other in zip(ends, (matrix.lo_kev, matrix.hi_kev), strict=True)
    )
    if not same:
        raise InvalidFile(
            paths[0],
            f"has {ends[0].size} energies from {ends[0][0]:g} to {ends[1][-1]:g} keV, and {paths[1]} has "
            f"{matrix.lo_kev.size} from {matrix.lo_kev[0]:g} to {matrix.hi_kev[-1]:g}: make the ARF with this RMF",
        )


def _matrix(path: str | Path) -> Redistribution:
    with open_checked(path) as hdus:
        table = _table(hdus, str(path), ("N_GRP", "F_CHAN", "N_CHAN", "MATRIX"), "redistribution matrix (RMF)")
        bounds = next((hdu for hdu in hdus if hdu.name.upper() == "EBOUNDS"), None)
        if bounds is None:
            raise InvalidFile(str(path), "no table EBOUNDS, which gives the energies of the channels: give an OGIP RMF")
        lo, hi = (_column(table, name, unit) for name, unit in _ENERGIES)
        channels = [_column(bounds, name, u.keV) for name in ("E_MIN", "E_MAX")]
        number = [name.upper() for name in table.columns.names].index("F_CHAN") + 1
        lowest = table.header.get(f"TLMIN{number}")
        start = int(bounds.data["CHANNEL"][0]) if lowest is None else int(lowest)
        groups = _groups(table.data, start, str(path))
    _require_grid(lo, hi, str(path))
    # channels of EBOUNDS may be listed from high to low energies, as of gratings
    matrix = Redistribution(lo, hi, np.minimum(*channels), np.maximum(*channels), *groups)
    _require_possible(matrix, str(path))
    return matrix


def _groups(data: Any, start: int, path: str) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return row, first channel from 0, and place of each group, and all probabilities; empty groups are left out."""
    rows, first, sizes, values = [], [], [], []
    for row, (count, channels, lengths, numbers) in enumerate(
        zip(data["N_GRP"], data["F_CHAN"], data["N_CHAN"], data["MATRIX"], strict=True)
    ):
        length = np.atleast_1d(lengths)[: int(count)].astype(np.intp)
        held = np.atleast_1d(numbers)
        if length.size != int(count) or np.any(length < 0) or int(length.sum()) > held.size:
            raise InvalidFile(
                path, f"row {row} of MATRIX must hold as many groups and channels as N_GRP and N_CHAN say"
            )
        rows.append(np.full(length.size, row, dtype=np.intp))
        first.append(np.atleast_1d(channels)[: int(count)].astype(np.intp) - start)
        sizes.append(length)
        values.append(held[: int(length.sum())].astype(np.float64))
    every = np.concatenate(sizes)
    starts = np.concatenate(([0], np.cumsum(every))).astype(np.intp)
    return np.concatenate(rows), np.concatenate(first), starts, np.concatenate(values)


def _require_possible(matrix: Redistribution, path: str) -> None:
    sizes = np.diff(matrix.starts)
    if np.any(sizes > 0) and (
        matrix.first[sizes > 0].min() < 0 or (matrix.first + sizes)[sizes > 0].max() > matrix.channel_lo.size
    ):
        raise InvalidFile(path, "a group has channels that EBOUNDS does not have: is TLMIN of F_CHAN right?")
    if not np.all(np.isfinite(matrix.values) & (matrix.values >= 0)):
        raise InvalidFile(path, "MATRIX must hold probabilities that are finite and not negative")
    sums = np.bincount(np.repeat(matrix.energy_rows, sizes), weights=matrix.values, minlength=matrix.lo_kev.size)
    if sums.max(initial=0.0) > FULLEST:
        raise InvalidFile(
            path,
            f"a row of MATRIX sums up to {sums.max():.4g}: it holds the effective area too (RSP), which the ARF would "
            "count again; give the RMF without it",
        )
