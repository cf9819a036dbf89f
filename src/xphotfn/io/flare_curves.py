"""The pipeline's light curve of flares (FBKTSR): its counts, its live times, and the rate at which it is cut."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xphotfn.errors import InvalidFile
from xphotfn.io.fits import open_checked
from xphotfn.records.light_curve import LightCurve

__all__ = ("PipelineCurve", "holds_regions", "read_flare_curve")

_COLUMNS = ("TIME", "RATE", "FRACEXP")


class PipelineCurve(NamedTuple):
    """A light curve, and the greatest rate that the pipeline keeps of it, ct/s (FLCUTTHR)."""

    curve: LightCurve
    most: float


def read_flare_curve(path: str | Path) -> PipelineCurve:
    """Return the pipeline's light curve of flares with its cut.

    Parameters
    ----------
    path
        The file, plain or gzipped (``P*FBKTSR*.FTZ``).

    Returns
    -------
    PipelineCurve
        Counts are RATE x TIMEDEL x FRACEXP, which are whole to the precision of the file; live time is TIMEDEL x
        FRACEXP. Sources are cut out of it already.

    Raises
    ------
    InvalidFile
        If the file cannot be read, or has no table RATE of equal bins with FRACEXP and FLCUTTHR.

    References
    ----------
    XMM-Newton SAS, epiclccorr and bkgoptrate.

    Examples
    --------
    >>> read_flare_curve("nowhere.fits")
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: nowhere.fits: there is no such file: check the path
    """
    with open_checked(path) as hdus:
        table: Any = next((hdu for hdu in hdus[1:] if hdu.name == "RATE"), None)
        names = () if table is None else table.columns.names
        header: Any = {} if table is None else table.header.copy()
        most, width = (_number(header.get(name)) for name in ("FLCUTTHR", "TIMEDEL"))
        if not set(_COLUMNS) <= set(names) or not (most and width) or not len(table.data):
            problem = "is no light curve of the pipeline with its cut (RATE, FRACEXP, TIMEDEL, FLCUTTHR)"
            raise InvalidFile(str(path), f"{problem}: give P*FBKTSR*.FTZ, or choose flares='optimum'")
        with np.errstate(invalid="ignore"):  # SAS writes signalling NaN where a bin has no live time
            time, rate, fraction = (np.array(table.data[name], dtype=np.float64) for name in _COLUMNS)
    start = time[0] - width / 2
    if not np.allclose(time - time[0], np.arange(time.size) * width, rtol=0, atol=1e-3 * width):
        raise InvalidFile(str(path), "its bins are not equal or not in order: choose flares='optimum'")
    live = width * np.clip(np.nan_to_num(fraction), 0.0, 1.0)
    counts = np.rint(np.where(live > 0, np.nan_to_num(rate), 0.0) * live).astype(np.int64)
    selection = str(header.get("SLCTEXPR", ""))
    curve = LightCurve(
        start_s=start, bin_s=width, counts=counts, live_s=live, selection=selection, source=Path(path).name
    )
    return PipelineCurve(curve, most)


def holds_regions(path: str | Path) -> bool:
    """Return whether a light curve names the sources that it leaves out, in a table REGION in DETX and DETY.

    Raises
    ------
    InvalidFile
        If the file cannot be read.

    Examples
    --------
    >>> holds_regions("nowhere.fits")
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: nowhere.fits: there is no such file: check the path
    """
    with open_checked(path) as hdus:
        found: Any = next((hdu for hdu in hdus[1:] if hdu.name == "REGION"), None)
        return found is not None and {"SHAPE", "DETX", "DETY"} <= set(found.columns.names) and len(found.data) > 0


def _number(value: Any) -> float:
    """Return a number above 0, and 0 for anything else."""
    return float(value) if isinstance(value, int | float) and 0 < value < float("inf") else 0.0
