"""Lists of sources in files: of the pipeline (OBSMLI), of emldetect, rows of 4XMM, and our own."""

import math
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile
from xphotfn.html import count
from xphotfn.io.blocks import UNREADABLE
from xphotfn.io.fits import open_checked
from xphotfn.io.list_columns import RATES, ListColumns
from xphotfn.io.own_lists import own_of_table, read_own
from xphotfn.io.table_files import TABLE_FORMATS, read_table
from xphotfn.records.region import Region
from xphotfn.records.source import DetectedSource, SourceFlag
from xphotfn.records.source_list import SourceList
from xphotfn.science.source_regions import USUAL_CORE_RADII, USUAL_RADIUS_ARCSEC, source_regions

__all__ = ("is_source_list", "read_source_list", "read_sources")

_IDENTITY = ("IAUNAME", "SRCID", "SRC_NUM", "ML_ID_SRC", "ID_SRC")
_EXTENT = ("EP_EXTENT", "EXTENT", "EXT", "SC_EXTENT")
_COLUMNS = {  # what a source has, and the columns that say it: the first that is there counts
    "position_error_arcsec": ("RADEC_ERR", "SC_POSERR", "POSERR"),
    "det_ml": ("DET_ML", "EP_8_DET_ML", "SC_DET_ML"),
    "tied_ml": ("TIED_ML",),
    "counts": ("SCTS", "EP_8_CTS"),
    "counts_error": ("SCTS_ERR", "EP_8_CTS_ERR"),
    "rate": RATES,
    "rate_error": ("RATE_ERR", "EP_8_RATE_ERR", "SC_EP_8_RATE_ERR"),
    "extent_error_arcsec": ("EP_EXTENT_ERR", "EXTENT_ERR", "EXT_ERR", "SC_EXT_ERR"),
    "extent_ml": ("EP_EXTENT_ML", "EXTENT_ML", "EXT_ML", "SC_EXT_ML"),
    "nearest_arcsec": ("DIST_NN",),
    "x": ("X_IMA",),
    "y": ("Y_IMA",),
}
_FLUX_UNITS = dict.fromkeys(("rate", "rate_error"), "ph / (s cm2)")  # of maps of area times time
_WIDEST_ARCSEC = 7200.0  # no source that a telescope sees as one has so large a core
_UNITS = {  # in which they are read; extents have a rule of their own
    "position_error_arcsec": "arcsec", "nearest_arcsec": "arcsec", "counts": "ct", "counts_error": "ct",
    "rate": "ct / s", "rate_error": "ct / s", "x": "pixel", "y": "pixel",
}  # fmt: skip
_LETTERS = (SourceFlag.LOW_COVERAGE, SourceFlag.NEAR_BRIGHT, SourceFlag.INSIDE_EXTENDED)  # of EP_FLAG, from the left


_WITHOUT_MAPS = (
    "{}: is a table of our own without the maps that were searched: its regions are circles of 30 arcsec around "
    "points, and of 30 arcsec or three core radii around each extended piece, other ones than those of the list; what "
    "is written as .fits, .ecsv, .vot, .parquet or .reg keeps them"
)


def is_source_list(names: Iterable[str]) -> bool:
    """Whether the columns of a table are those of a source list.

    Examples
    --------
    >>> is_source_list(["ML_ID_SRC", "RA", "DEC", "RADEC_ERR", "DET_ML"]), is_source_list(["TIME", "RA", "DEC"])
    (True, False)
    """
    found = {name.upper() for name in names}
    return {"RA", "DEC", "RADEC_ERR"} <= found and bool(found & set(_IDENTITY))


class _Row(NamedTuple):
    """What all lists say of a source; ``row`` counts from 0."""

    row: int
    name: str
    ra_deg: float
    dec_deg: float
    extent_arcsec: float


def read_sources(path: str | Path) -> tuple[Region, ...]:
    """Return the sources of a list as regions: circles, or of a list of our own what :func:`source_regions` makes.

    Parameters
    ----------
    path
        FITS file with a table (SRCLIST of the pipeline's OBSMLI, EMSRLI or emldetect's list): RA, DEC (deg), RADEC_ERR
        (arcsec, or with its unit) and IAUNAME, SRCID, SRC_NUM, ML_ID_SRC or ID_SRC. Or what
        :func:`write_source_list` wrote.

    Returns
    -------
    tuple of Region
        In fk5, one for each source with a position. Circles of 30 arcsec, or of three core radii where that is more;
        point sources are red, sources with an extent green. The name is that of the list, else its number, and ``line``
        is the row.

    Raises
    ------
    InvalidFile
        If no table has these columns, or a column a unit that cannot be converted.

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
    own = read_own(Path(path))
    if own is not None:
        return source_regions(own)
    columns = _of_fits(path)
    if columns is not None and columns.is_own:
        warnings.warn(_WITHOUT_MAPS.format(path), stacklevel=2)
    if columns is None:
        raise InvalidFile(
            str(path),
            "is no list of sources: no table has RA, DEC, RADEC_ERR and one of "
            f"{', '.join(_IDENTITY)}; give DS9 regions",
        )
    error = np.nan_to_num(columns.numbers("RADEC_ERR", "arcsec"))
    return tuple(
        Region(
            shape="circle", frame="fk5", x=row.ra_deg, y=row.dec_deg, line=row.row + 1, name=row.name,
            size=(max(USUAL_RADIUS_ARCSEC, USUAL_CORE_RADII * row.extent_arcsec) / 3600,),
            colour="green" if row.extent_arcsec > 0 else "red", position_error_deg=max(0.0, error[row.row]) / 3600,
        )
        for row in _rows(columns, "RA", "DEC")
    )  # fmt: skip


def read_source_list(path: str | Path) -> SourceList:
    """Return the list of sources in a file.

    Parameters
    ----------
    path
        A list of the pipeline (``P*OBSMLI*``) or of emldetect, or rows of the 4XMM catalogue or of its slim form, as
        FITS, ECSV, VOTable, Parquet or CSV (``.fits``, ``.fits.gz``, ``.ftz``, ``.ecsv``, ``.vot``, ``.xml``,
        ``.parquet``, ``.csv``); or what :func:`write_source_list` wrote.

    Returns
    -------
    SourceList
        A list that :func:`write_source_list` wrote comes back whole, but for CSV. Others have positions, likelihoods,
        extents, and counts and rates of all cameras where they say them, but no rates for each map; their ``origin``
        is ``emldetect`` or ``4XMM``, of our own tables what they say (CREATOR), and ``table`` where the format holds no
        such word (CSV). Numbers are converted from the units of their columns.

    Raises
    ------
    InvalidFile
        If it cannot be read, has no columns of positions and likelihoods, does not tell the unit of EXT, or a column
        has a unit that cannot be converted. Of a damaged list of our own the message names row and column.

    Warns
    -----
    UserWarning
        If rows are left out as their position, DET_ML or extent cannot be one; or if a table of our own, such as a CSV,
        lacks the maps that were searched: then :func:`source_regions` makes circles of 30 arcsec or three core radii.

    Notes
    -----
    Of emldetect's rows those of the summary count (ID_INST and ID_BAND 0), of the pipeline's and the catalogue's
    columns those of band 8 (0.2-12 keV). EXT of emldetect (known by ML_ID_SRC, ID_BAND or ID_INST) is in pixels of its
    image, taken for the pipeline's 4 arcsec unless the column says otherwise; other extents are in arcsec. Of the flags
    of 4XMM (EP_FLAG) the first three are kept: low coverage, near another source, inside extended light.
    Rows without a position are left out.

    References
    ----------
    XMM-Newton SAS, emldetect, columns of the output table, and dpssflag; 4XMM, description of the columns.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.table import Table
    >>> path = Path(tempfile.mkdtemp(), "rows.csv")
    >>> rows = {"IAUNAME": ["4XMM J095824.0-110336"], "RA": [149.6], "DEC": [-11.06], "POSERR": [0.5]}
    >>> Table({**rows, "EP_8_DET_ML": [812.0], "EP_EXTENT": [21.5]}).write(path)
    >>> source = read_source_list(path)[0]
    >>> source.name, source.det_ml, source.extent_arcsec
    ('4XMM J095824.0-110336', 812.0, 21.5)
    """
    file = Path(path)
    if file.name.lower().endswith(".reg"):
        raise InvalidFile(str(path), "holds regions, no list of sources: use read_regions")
    is_fits = _is_fits(file)
    columns = None if is_fits else _of_table(file)
    own = own_of_table(file, columns.data, columns.meta) if columns is not None else read_own(file)
    if own is not None:
        return own
    columns = _of_fits(file, sky=False) if is_fits else columns
    ra, dec = ("", "") if columns is None else (columns.first(("RA", "SC_RA")), columns.first(("DEC", "SC_DEC")))
    if columns is None or not (ra and dec and columns.first(_COLUMNS["det_ml"])):
        raise InvalidFile(
            str(path),
            "is no list of sources: it needs columns RA and DEC (SC_RA, SC_DEC) and a likelihood, one of "
            f"{', '.join(_COLUMNS['det_ml'])}; for positions alone use read_regions",
        )
    if not columns.is_own:
        sources, unit = list(_sources(columns, ra, dec)), columns.exposure_unit
        return SourceList(sources=sources, psf=columns.origin, origin=columns.origin, exposure_unit=unit)
    warnings.warn(_WITHOUT_MAPS.format(path), stacklevel=2)
    return SourceList(sources=list(_sources(columns, ra, dec)), **_said(columns))


def _said(columns: ListColumns) -> dict[str, Any]:
    """Return what a table of our own without its maps says of the list."""
    names = {"threshold": "MLMIN", "expected_false": "EXPFALSE", "extended_fraction": "EXTFRAC", "target": "OBJECT"}
    said = {field: columns.meta[name] for field, name in names.items() if name in columns.meta}
    said["exposure_unit"] = columns.exposure_unit
    return {**said, "psf": str(columns.meta.get("PSF", columns.origin)), "origin": columns.origin}


def _is_fits(path: Path) -> bool:
    name = path.name.lower()
    return not any(name.endswith(ending) for ending, kind in TABLE_FORMATS.items() if kind != "fits")


def _of_table(path: Path) -> ListColumns:
    table = read_table(path, empty=True)
    meta = {**table.meta, **_parameters(path)} if TABLE_FORMATS.get(path.suffix.lower()) == "votable" else table.meta
    units = {name.upper(): str(table[name].unit or "") for name in table.colnames}
    return ListColumns(str(path), table, table.colnames, units, meta)


def _parameters(path: Path) -> dict[str, Any]:
    """Return the parameters of the table in a VOTable, which astropy's Table leaves out."""
    from astropy.io.votable import parse_single_table

    return {param.name: param.value for param in parse_single_table(path).params}


def _of_fits(path: str | Path, *, sky: bool = True) -> ListColumns | None:
    """Return the columns of the first table that is a list; with ``sky`` by the rule of :func:`is_source_list`."""
    with open_checked(path) as hdus:
        try:
            found = (_of_table_hdu(str(path), hdu, sky=sky) for hdu in hdus[1:] if hasattr(hdu, "columns"))
            return next((columns for columns in found if columns is not None), None)
        except UNREADABLE as error:
            raise InvalidFile(str(path), f"has a damaged header or table ({error}): get it again") from error


def _of_table_hdu(path: str, hdu: Any, *, sky: bool) -> ListColumns | None:
    names = {name.upper() for name in hdu.columns.names}
    if not (is_source_list(names) if sky else names & set(_COLUMNS["det_ml"])):
        return None
    units = {column.name.upper(): str(column.unit or "") for column in hdu.columns}
    data = {name: np.array(hdu.data[name]) for name in hdu.columns.names if _is_read(name.upper())}
    said = {name: hdu.header[name] for name in ("CREATOR", "PSF") if name in hdu.header}
    return ListColumns(path, data, hdu.columns.names, units, said)


def _is_read(name: str) -> bool:
    known = {"RA", "DEC", "SC_RA", "SC_DEC", "ID_INST", "ID_BAND", "EP_FLAG", "FLAG", *_IDENTITY, *_EXTENT}
    return name in known or any(name in names for names in _COLUMNS.values())


def _rows(columns: ListColumns, ra_name: str, dec_name: str, *, sure: bool = False) -> Iterator[_Row]:
    """Yield what can be a source, and warn of the rest; with ``sure`` only what has a likelihood."""
    ra, dec = columns.numbers(ra_name, "deg"), columns.numbers(dec_name, "deg")
    extent = columns.first(_EXTENT)
    core = np.nan_to_num(columns.angles(extent), posinf=1e9) if extent else np.zeros(ra.shape)
    whole = np.isfinite(ra) & np.isfinite(dec)
    for name in ("ID_INST", "ID_BAND"):
        if name in columns.names:
            whole &= columns.numbers(name) == 0
    wrong = whole & _is_wrong(columns, ra, dec, core, sure)
    if wrong.any():
        rows = ", ".join(str(row + 1) for row in np.flatnonzero(wrong)[:5])
        warnings.warn(
            f"{columns.path}: left out {count(int(np.count_nonzero(wrong)), 'row')} whose RA, Dec, DET_ML or extent "
            f"cannot be those of a source (first: row {rows})",
            stacklevel=2,
        )
    whole &= ~wrong
    identity = columns.first(_IDENTITY)
    names = columns.texts(identity) if identity else [""] * ra.size
    for row in np.flatnonzero(whole).tolist():
        yield _Row(row, names[row], float(ra[row] % 360), float(dec[row]), max(0.0, float(core[row])))


def _is_wrong(
    columns: ListColumns, ra: NDArray[np.float64], dec: NDArray[np.float64], core: NDArray[np.float64], sure: bool
) -> NDArray[np.bool_]:
    """Return which rows hold numbers that are none of a source; RA may count from -180 or from 0."""
    likelihood = columns.first(_COLUMNS["det_ml"])
    ml = columns.numbers(likelihood) if likelihood else np.zeros(ra.shape)
    strange = (~np.isfinite(ml) & sure) | (ml < 0) | (core < 0) | (core > _WIDEST_ARCSEC)
    return np.asarray((ra < -180) | (ra > 360) | (np.abs(dec) > 90) | strange)


def _sources(columns: ListColumns, ra: str, dec: str) -> Iterator[DetectedSource]:
    found = {what: columns.first(names) for what, names in _COLUMNS.items()}
    units = _UNITS if columns.exposure_unit == "s" else {**_UNITS, **_FLUX_UNITS}
    values = {
        what: columns.angles(name) if what == "extent_error_arcsec" else columns.numbers(name, units.get(what, ""))
        for what, name in found.items()
        if name
    }
    for what in ("x", "y"):
        if what in values:
            values[what] = values[what] - 1
    flags = _flags_of(columns)
    rows = list(_rows(columns, ra, dec, sure=True))
    numbers = _numbers(columns, rows)
    for number, row in zip(numbers, rows, strict=True):
        said: dict[str, Any] = {what: float(value[row.row]) for what, value in values.items()}
        known = {what: value for what, value in said.items() if math.isfinite(value)}
        for what in ("position_error_arcsec", "counts_error", "rate_error", "extent_error_arcsec", "nearest_arcsec"):
            if known.get(what, 0.0) < 0:
                del known[what]
        known.setdefault("position_error_arcsec", 0.0)
        yield DetectedSource(
            number=number, name=row.name if "IAUNAME" in columns.names else "", ra_deg=row.ra_deg,
            dec_deg=row.dec_deg, extent_arcsec=row.extent_arcsec,
            flags=0 if flags is None else flags[row.row], **known,
        )  # fmt: skip


def _numbers(columns: ListColumns, rows: list[_Row]) -> list[int]:
    """Return the numbers of the list where each source has one of its own, else those of the rows."""
    for name in ("ML_ID_SRC", "ID_SRC", "SRC_NUM"):
        if name in columns.names:
            values = columns.numbers(name)[[row.row for row in rows]]
            if np.all(values >= 1) and np.unique(values).size == len(rows) and np.all(values == np.round(values)):
                return [int(value) for value in values]
    return [row.row + 1 for row in rows]


def _flags_of(columns: ListColumns) -> list[int] | None:
    """Return the flags of each row: ours as they are, the first three of 4XMM; None where there are none."""
    if columns.is_own:
        return [int(flag) & int(sum(SourceFlag)) for flag in np.nan_to_num(columns.numbers("FLAG"))]
    return [_flags(letters) for letters in columns.texts("EP_FLAG")] if "EP_FLAG" in columns.names else None


def _flags(letters: str) -> int:
    return int(sum(flag for flag, letter in zip(_LETTERS, letters, strict=False) if letter.upper() == "T"))
