"""Maps of limits from what write_fits wrote."""

from pathlib import Path
from typing import Any

from xphotfn.errors import InvalidFile
from xphotfn.io.cards import card, text_of_ascii
from xphotfn.io.fits import read_array
from xphotfn.io.headers import grid_of
from xphotfn.measure.map_files import header_of_written
from xphotfn.measure.sensitivity import LimitMap
from xphotfn.records.grid import PROJECTIONS
from xphotfn.typing import Header

__all__ = ("read_limit_map",)


def read_limit_map(path: str | Path) -> LimitMap:
    """Return the map of limits that :func:`write_fits` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    LimitMap
        As it was written.

    Raises
    ------
    InvalidFile
        If it is damaged, or no map of limits that :func:`write_fits` wrote; then with what it is.

    Examples
    --------
    >>> import tempfile
    >>> import astropy.units as u
    >>> from xphotfn.io.write import write_fits
    >>> from xphotfn.measure.sensitivity import upper_limit_map
    >>> from xphotfn.testing.examples import example_rate_map
    >>> limits = upper_limit_map(example_rate_map(), radius=15 * u.arcsec)
    >>> str(read_limit_map(write_fits(limits, Path(tempfile.mkdtemp(), "limits.fits"))))
    'upper limit of RateMap 0999990101 pn 0.5-2 keV, of the whole source'
    """
    header = header_of_written(path, "limit map")
    planes = {name: read_array(path, name) for name in ("COUNTS", "BACKGROUND", "EXPOSURE", "LIVE", "ENCLOSED")}
    try:
        return LimitMap(
            kind=header["LIMIT"],
            of=header["LIMITOF"],
            name=text_of_ascii(str(card(header, "MAPNAME", ""))),
            grid=grid_of(header, str(path), projections=PROJECTIONS),
            counts=planes["COUNTS"][0],
            background=planes["BACKGROUND"][0],
            exposure_s=planes["EXPOSURE"][0],
            exposure_unit=str(planes["EXPOSURE"][1]["BUNIT"]),
            live_fraction=planes["LIVE"][0],
            enclosed=planes["ENCLOSED"][0],
            **_probabilities(header),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidFile(str(path), f"is a damaged map of limits ({error}): write it again") from error


def _probabilities(header: Header) -> dict[str, Any]:
    """Return the probabilities of a limit, by the cards that each kind of limit has."""
    if header["LIMIT"] == "upper limit":
        return {"probability": float(header["CONFLEV"])}
    false_alarm = header["FALSEAL"]
    return {"probability": float(header["PROBDET"]), "false_alarm": None if false_alarm is None else float(false_alarm)}
