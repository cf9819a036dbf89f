"""Maps of files: of an image and an exposure map of any telescope, and what write_fits wrote."""

from pathlib import Path
from typing import Any, Literal, assert_never

import astropy.units as u
from attrs import evolve

from xphotfn.commands.dss import place_columns
from xphotfn.epic.joined import joined
from xphotfn.errors import InvalidFile, InvalidRecord, UnitMismatch
from xphotfn.io.cards import card, text_of_ascii
from xphotfn.io.fits import read_header, read_headers
from xphotfn.io.headers import grid_of
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.tree import expanded
from xphotfn.records.band import Band, energy_band
from xphotfn.records.fields import is_safe_name, of_kind
from xphotfn.records.grid import PROJECTIONS
from xphotfn.records.instrument import COMBINED, is_epic, known_instrument
from xphotfn.typing import Header

__all__ = ("MapFile", "Written", "header_of_written", "rate_map", "read_rate_map", "written_kind")

MapFile = str | Path | tuple[str | Path, int | str]
"""A FITS file, or a file with the number or EXTNAME of the HDU that holds the image."""

Written = Literal["rate map", "limit map", "event mosaic", "array", "other"]
"""What a file is of those that :func:`~xphotfn.io.write.write_fits` writes; ``other`` for what it did not."""

_COUNTS = {"", "ct", "count", "counts", "ph", "photon", "photons"}


def rate_map(
    image: MapFile,
    exposure_map: MapFile,
    *,
    band: Band,
    name: str | None = None,
    obs_id: str | None = None,
    target: str | None = None,
) -> RateMap:
    """Return the rate map of an image and an exposure map of any telescope.

    Parameters
    ----------
    image
        Counts: whole numbers. A FITS file, plain or gzipped, or ``(file, hdu)`` with the number or EXTNAME of the HDU;
        by default the first HDU with data.
    exposure_map
        Exposure on the same grid, in s, or in cm2 s where its BUNIT says so.
    band
        Energy band of both.
    name
        What the camera is called in tables and pictures, such as ``acis``; default INSTRUME of the image, of EPIC its
        name here.
    obs_id
        What the observation is called; default OBS_ID of the image.
    target
        Name of the target.

    Returns
    -------
    RateMap
        What every call that measures or shows takes. Nothing but headers is read yet.

    Raises
    ------
    InvalidFile
        If a file is damaged or holds no image, or its grid is none of RA and Dec (FK5 or ICRS) in TAN or SIN with
        square pixels, north up and east left; also if the image was cut by a region.
    InvalidRecord
        If a name is missing or no plain name, is of EPIC for another telescope, or ``combined``.
    UnitMismatch
        If the image is not in counts, or the exposure map neither in s nor in cm2 s.
    ShapeMismatch
        If the grids differ.

    Notes
    -----
    Rotation and unequal sides of the pixels that move no pixel of the image by more than 0.02 pixels count as rounding,
    and so do differences of the two grids. Further axes of one pixel are dropped. A map in cm2 s (effective area times
    time, as Chandra's) gives rates in photon/(cm2 s), one in s gives ct/s.

    Only EPIC's images tell where they were cut by their data subspace. Of another telescope the exposure map must be 0
    wherever the image was not looked at.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> pair = example_rate_map()
    >>> same = rate_map(pair.image.path, pair.exposure.path, band=pair.band)
    >>> str(same), same.exposure_id, same.rate_unit
    ('RateMap 0999990101 pn 0.5-2 keV', 'S003', Unit("ct / s"))
    """
    of_kind(band, Band, "energy_band(0.5*u.keV, 2*u.keV)")
    place = _placed(image)
    path, header = place[0][0], place[1]
    epic = _epic_name(header)
    _check_counts(header, path)
    names: dict[str, Any] = {
        "target": target,
        "obs_id": _named(obs_id, header, "obs_id", "OBS_ID"),
        "exposure_id": str(card(header, "EXPIDSTR", "")) if epic else "",
        "instrument": _camera(name, header, epic),
        "band": band,
    }
    if not epic:
        _refuse_regions(header, path)
    pair = _pair(place, _placed(exposure_map), names)
    return joined(pair.image, pair.exposure) if epic else pair


def read_rate_map(path: str | Path) -> RateMap:
    """Return the rate map that :func:`write_fits` wrote.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InvalidFile
        If it is damaged, or no rate map that :func:`write_fits` wrote; then with what it is.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.io.write import write_fits
    >>> from xphotfn.testing.examples import example_rate_map
    >>> path = write_fits(example_rate_map(), Path(tempfile.mkdtemp(), "rate.fits"))
    >>> bool((read_rate_map(path).data == example_rate_map().data).all())
    True
    """
    header = header_of_written(path, "rate map")
    ends = [header["E_MIN"], header["E_MAX"]]
    names: dict[str, Any] = {
        "target": text_of_ascii(card(header, "OBJECT", "")) or None,
        "obs_id": str(card(header, "OBS_ID")),
        "exposure_id": str(card(header, "EXPIDSTR", "")),
        "instrument": str(card(header, "INSTRUME")),
        "band": energy_band(*(end * u.keV for end in ends)),
    }
    return _pair(_placed((path, "COUNTS")), _placed((path, "EXPOSURE")), names)


def written_kind(header: Header) -> Written:
    """Return what a file is of those that :func:`write_fits` writes, by its primary header."""
    creator = card(header, "CREATOR", "")
    if creator == "xphotfn mosaic_events":
        return "event mosaic"
    if creator != "xphotfn":
        return "other"
    if "LIMIT" in header:
        return "limit map"
    ends = (card(header, keyword) for keyword in ("E_MIN", "E_MAX"))
    return "rate map" if all(isinstance(end, float) for end in ends) else "array"


def header_of_written(path: str | Path, wanted: Written) -> Header:
    """Return the primary header of a file that write_fits wrote, of the kind that is wanted; InvalidFile else."""
    header = read_header(path)
    found = written_kind(header)
    if found != wanted:
        raise InvalidFile(str(path), _what_reads(found))
    return header


def _what_reads(kind: Written) -> str:
    """Say what a file is, and what reads it."""
    match kind:
        case "rate map":
            return "is a rate map that write_fits wrote: read_rate_map reads it"
        case "limit map":
            return "is a map of limits that write_fits wrote: read_limit_map reads it"
        case "event mosaic":
            return (
                "is a mosaic of events that write_fits wrote: use rate_map(it, exposure_map, band=..., name=..., "
                "obs_id=...) with the mosaic of the exposure maps"
            )
        case "array":
            return "is an array that write_fits wrote, such as a mask: use astropy.io.fits.getdata(it)"
        case "other":
            return "was not written by write_fits: use rate_map(image, exposure_map, band=...)"
        case _:
            assert_never(kind)


def _pair(image: "_Placed", exposure_map: "_Placed", names: dict[str, Any]) -> RateMap:
    products: list[Any] = []
    for kind, ((path, hdu), header) in ((Image, image), (ExposureMap, exposure_map)):
        grid = grid_of(header, path, projections=PROJECTIONS)
        if not is_epic(names["instrument"]):
            grid = evolve(grid, x0_sky=None, y0_sky=None)
        products.append(kind(path=path, hdu=hdu, grid=grid, **names))
    _ = products[1].unit
    return RateMap(image=products[0], exposure=products[1])


_Placed = tuple[tuple[str, int], Any]


def _placed(file: MapFile) -> _Placed:
    """Return the path and the HDU of an image, and its header."""
    path, hdu = file if isinstance(file, tuple) else (file, None)
    path = str(expanded(path).absolute())
    if isinstance(hdu, str):
        wanted = read_header(path, hdu)["EXTNAME"]
        hdu = next(n for n in range(1, 1000) if card(read_header(path, n), "EXTNAME", "") == wanted)
    if hdu is None:
        hdu = len(read_headers(path)) - 1
    header = read_header(path, hdu)
    if str(card(header, "XTENSION", "IMAGE")) != "IMAGE" or card(header, "NAXIS", 0) < 2:
        raise InvalidFile(
            path, f"HDU {hdu} holds no image: give (file, hdu) with the number or EXTNAME of the one that does"
        )
    return (path, hdu), header


def _epic_name(header: Header) -> str:
    """Return the name of the EPIC camera of an image; empty for another telescope's."""
    if str(card(header, "TELESCOP", "XMM")).upper() != "XMM":
        return ""
    camera = known_instrument(str(card(header, "INSTRUME", "")))
    return "" if camera is None else camera.name


def _camera(name: str | None, header: Header, epic: str) -> str:
    """Return what the camera is called; names of EPIC are for EPIC, whose psf and sky coordinates go by them."""
    if name is None and epic:
        return epic
    found = _named(name, header, "name", "INSTRUME").lower() if name is None else _named(name, header, "name", "")
    if is_epic(found) and found != epic:
        telescope = str(card(header, "TELESCOP", "")) or "a telescope that it does not name"
        raise InvalidRecord(f"name={found!r} is EPIC's own, and this image is of {telescope}: give another name=")
    return found


def _named(given: str | None, header: Header, option: str, keyword: str) -> str:
    found = str(card(header, keyword, "")).strip() if given is None else str(given)
    if not found:
        raise InvalidRecord(f"the image does not say what goes into {option} ({keyword}): give {option}=")
    if not is_safe_name(found) or found == COMBINED:
        raise InvalidRecord(
            f"{option} must be a plain name (letters, digits, _ . + -) other than 'combined', got {found!r}: "
            f"give {option}="
        )
    return found


def _check_counts(header: Header, path: str) -> None:
    unit = str(card(header, "BUNIT", "")).strip()
    if unit.lower() not in _COUNTS:
        raise UnitMismatch(f"{path} is in {unit!r} (BUNIT): an image must hold counts; give the image of counts")


def _refuse_regions(header: Header, path: str) -> None:
    """Refuse an image whose data subspace holds a region: its exposure map cannot be known to be 0 beside it."""
    number = 1
    while (name := f"DSTYP{number}") in header:
        if len(place_columns(str(header[name]))) > 1:
            raise InvalidFile(
                path,
                f"was cut by a region ({name} is {header[name]}): make its exposure map 0 outside, and delete {name} "
                "from its header",
            )
        number += 1
