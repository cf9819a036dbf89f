"""Source lists of the pipeline (OBSMLI) and of emldetect as regions."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from xphotfn.errors import InvalidFile
from xphotfn.io.fits import open_checked
from xphotfn.records.region import Region

__all__ = ("is_source_list", "read_sources")

_RADIUS_ARCSEC = 30.0
_CORE_RADII = 3.0
_PIXEL_ARCSEC = 4.0  # of the pipeline's images, in whose pixels emldetect gives EXT
_IDENTITY = ("IAUNAME", "SRCID", "SRC_NUM", "ML_ID_SRC", "ID_SRC")
_EXTENT = ("EP_EXTENT", "EXTENT", "EXT")


def is_source_list(names: Iterable[str]) -> bool:
    """Whether the columns of a table are those of a source list.

    Examples
    --------
    >>> is_source_list(["ML_ID_SRC", "RA", "DEC", "RADEC_ERR", "DET_ML"]), is_source_list(["TIME", "RA", "DEC"])
    (True, False)
    """
    found = {name.upper() for name in names}
    return {"RA", "DEC", "RADEC_ERR"} <= found and bool(found & set(_IDENTITY))


def read_sources(path: str | Path) -> tuple[Region, ...]:
    """Return the sources of a list as circles.

    Parameters
    ----------
    path
        FITS file with a table (SRCLIST of the pipeline's OBSMLI, EMSRLI or emldetect's list): RA, DEC (deg), RADEC_ERR
        (arcsec) and IAUNAME, SRCID, SRC_NUM, ML_ID_SRC or ID_SRC.

    Returns
    -------
    tuple of Region
        In fk5, one for each source with a position. Circles of 30 arcsec, or of three core radii where that is more;
        point sources are red, sources with an extent green. The name is that of the list, else its number, and ``line``
        is the row.

    Raises
    ------
    InvalidFile
        If no table has these columns.

    Notes
    -----
    emldetect writes a row for each camera and band: those of the summary (ID_INST and ID_BAND 0) are read. Its EXT is
    in pixels of its image, which are taken for the pipeline's 4 arcsec unless the column says arcsec.

    References
    ----------
    XMM-Newton SAS, emldetect, columns of the output table; 1XMM catalogue, column RADEC_ERR.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.table import Table
    >>> path = Path(tempfile.mkdtemp(), "P0404910601EPX000OBSMLI0000.FTZ")
    >>> rows = {"SRC_NUM": [7], "RA": [149.6], "DEC": [-11.1], "RADEC_ERR": [1.8], "EP_EXTENT": [0.0]}
    >>> Table(rows, meta={"EXTNAME": "SRCLIST"}).write(path, format="fits")
    >>> source = read_sources(path)[0]
    >>> source.name, source.colour, source.size[0] * 3600, source.position_error_deg * 3600
    ('7', 'red', 30.0, 1.8)
    """
    with open_checked(path) as hdus:
        for hdu in hdus[1:]:
            columns = getattr(hdu, "columns", None)
            if columns is not None and is_source_list(columns.names):
                return tuple(_sources(hdu, {name.upper(): name for name in columns.names}))
    raise InvalidFile(
        str(path),
        f"is no list of sources: no table has RA, DEC, RADEC_ERR and one of {', '.join(_IDENTITY)}; give DS9 regions",
    )


def _sources(hdu: Any, columns: dict[str, str]) -> Iterable[Region]:
    def numbers(name: str) -> Any:
        return np.asarray(hdu.data[columns[name]], dtype=np.float64)

    def first(names: tuple[str, ...]) -> str:
        return next((name for name in names if name in columns), "")

    identity, extent = first(_IDENTITY), first(_EXTENT)
    ra, dec, error = numbers("RA"), numbers("DEC"), numbers("RADEC_ERR")
    core = numbers(extent) if extent else np.zeros(ra.shape)
    unit = str(hdu.columns[columns[extent]].unit or "").lower() if extent else ""
    core = np.nan_to_num(core) * (_PIXEL_ARCSEC if extent == "EXT" and not unit.startswith("arcs") else 1.0)
    whole = np.isfinite(ra) & np.isfinite(dec)
    for name in ("ID_INST", "ID_BAND"):
        if name in columns:
            whole &= numbers(name) == 0
    names = hdu.data[columns[identity]]
    for row in np.flatnonzero(whole).tolist():
        yield Region(
            shape="circle", frame="fk5", x=ra[row] % 360, y=dec[row], line=row + 1, name=str(names[row]).strip(),
            size=(max(_RADIUS_ARCSEC, _CORE_RADII * core[row]) / 3600,), colour="green" if core[row] > 0 else "red",
            position_error_deg=max(0.0, float(np.nan_to_num(error[row]))) / 3600,
        )  # fmt: skip
