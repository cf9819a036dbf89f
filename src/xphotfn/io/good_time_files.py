"""Tables of good time intervals, and what the cut that made them kept, as records."""

from pathlib import Path
from typing import Any

import numpy as np

from xphotfn.errors import InvalidFile
from xphotfn.io.fits import open_checked
from xphotfn.records.good_times import GoodTimes, good_times
from xphotfn.records.light_curve import FlareCut, LightCurve
from xphotfn.typing import Header

__all__ = ("check_time_zero", "read_cut_curve", "read_flare_cut", "read_good_times")

_MJDREF = 50814.0


def read_good_times(path: str | Path, *, block: str = "") -> GoodTimes:
    """Return the good time of a table, such as tabgtigen makes.

    Parameters
    ----------
    path
        The file, plain or gzipped.
    block
        Name of the table; default the first with columns START and STOP.

    Returns
    -------
    GoodTimes
        In order; intervals that overlap or touch are joined, those that do not last are left out.

    Raises
    ------
    InvalidFile
        If the file cannot be read, has no such table, a row is NaN, infinite or runs backwards, or its times have
        another zero than those of XMM-Newton (MJDREF 50814, TIMEZERO 0).

    Examples
    --------
    >>> read_good_times("nowhere.fits")
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: nowhere.fits: there is no such file: check the path
    """
    with open_checked(path) as hdus:
        hdu = _table(path, hdus, block)
        start, stop = (np.asarray(hdu.data[name], dtype=np.float64) for name in ("START", "STOP"))
        check_time_zero(path, hdu.header)
    bad = np.flatnonzero(~(np.isfinite(start) & np.isfinite(stop) & (stop >= start)))
    if bad.size:
        row = int(bad[0])
        problem = f"row {row + 1} of {bad.size} bad ones runs from {start[row]} to {stop[row]} s: make the table again"
        raise InvalidFile(str(path), problem)
    return good_times(np.stack((start, stop), axis=1), origin=Path(path).name)


def check_time_zero(path: str | Path, header: Header) -> None:
    """Refuse a table whose times have another zero than those of XMM-Newton (MJDREF 50814, TIMEZERO 0).

    Raises
    ------
    InvalidFile
        If they have: no event would lie where the table means it.
    """
    zero, reference = _number(header, "TIMEZERO", 0.0), _number(header, "MJDREF", _MJDREF)
    if zero != 0 or abs(reference - _MJDREF) > 1e-9:
        problem = f"its times count from MJD {reference} with TIMEZERO {zero}, those of XMM-Newton from 50814 with 0"
        raise InvalidFile(str(path), f"{problem}: make it of the light curve of this observation")


def _number(header: Header, name: str, default: float) -> float:
    value = header.get(name, default)
    return float(value) if isinstance(value, int | float) else default


def _table(path: str | Path, hdus: Any, block: str) -> Any:
    tables = [hdu for hdu in hdus[1:] if {"START", "STOP"} <= set(getattr(hdu, "columns", _NoColumns).names)]
    found = [hdu for hdu in tables if not block or hdu.name.upper() == block.upper()]
    if not found:
        names = ", ".join(hdu.name or "unnamed" for hdu in hdus[1:]) or "no table"
        raise InvalidFile(str(path), f"has no table {block or 'of START and STOP'} but {names}: give good times")
    return found[0]


class _NoColumns:
    names = ()


def read_flare_cut(path: str | Path) -> FlareCut:
    """Return what the cut kept and left that made a table of good time.

    Raises
    ------
    InvalidFile
        If the file cannot be read, or no cut of flares made it.

    Examples
    --------
    >>> read_flare_cut("nowhere.fits")
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: nowhere.fits: there is no such file: check the path
    """
    good = read_good_times(path)
    with open_checked(path) as hdus:
        header = _table(path, hdus, "").header
    if "FLGOAL" not in header or "FLTOTAL" not in header:
        raise InvalidFile(str(path), "was not made by a cut of flares: it has no FLGOAL; make it with `xphotfn clean`")
    nan = float("nan")
    return FlareCut(
        goal=str(header["FLGOAL"]),
        rate=_number(header, "FLRATE", nan),
        quiet=_number(header, "FLQUIET", nan),
        quiet_error=_number(header, "FLQERR", nan),
        kept_s=_number(header, "FLKEPT", 0.0),
        total_s=_number(header, "FLTOTAL", 0.0),
        residual=_number(header, "FLRESID", nan),
        over_dispersion=_number(header, "FLDISP", nan),
        good=good,
    )


def read_cut_curve(path: str | Path) -> LightCurve:
    """Return the light curve on which a table of good time was decided, from the table RATE behind it.

    Raises
    ------
    InvalidFile
        If the file cannot be read, or no cut of flares made it.

    Examples
    --------
    >>> read_cut_curve("nowhere.fits")
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: nowhere.fits: there is no such file: check the path
    """
    with open_checked(path) as hdus:
        found: Any = next((hdu for hdu in hdus[1:] if hdu.name == "RATE"), None)
        if found is None or not {"COUNTS", "LIVE"} <= set(found.columns.names):
            raise InvalidFile(str(path), "holds no light curve of a cut of flares: make it with `xphotfn clean`")
        counts, live = np.array(found.data["COUNTS"], dtype=np.int64), np.array(found.data["LIVE"], dtype=np.float64)
        start, width = (_number(found.header, name, float("nan")) for name in ("TSTART", "TIMEDEL"))
        selection = str(found.header.get("SLCTEXPR", ""))
    return LightCurve(
        start_s=start, bin_s=width, counts=counts, live_s=live, selection=selection, source=Path(path).name
    )
