"""Writing FITS images: whole or not at all, and the same bytes wherever they are made."""

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile, InvalidRecord, Remedy
from xphotfn.io.cards import ascii_text
from xphotfn.io.exposure_units import RATE_NAMES
from xphotfn.io.file_kinds import kind_of_content, kind_of_name, refuse_other_kind
from xphotfn.io.on_grid import on_grid
from xphotfn.io.products import ExposureMap, Image, Product, RateMap
from xphotfn.records.grid import PixelGrid

__all__ = ("GridLike", "HasPlanes", "check_free", "check_writable", "fitting_card", "publish", "refuse_inputs",
           "write_fits", "write_image")  # fmt: skip

_OTHER_NAME = Remedy("give another name or overwrite=True", "give another name or --overwrite")
Card = tuple[str, Any, str]
Plane = tuple[str, NDArray[Any], str]

_SOME_MORE = 64  # pieces of 64 KiB


def refuse_inputs(path: Path, inputs: Iterable[str | Path]) -> None:
    """Raise InvalidFile where a file that shall be written is one of those that are read, by whatever name."""
    if not path.is_file():
        return
    for item in map(Path, inputs):
        with suppress(OSError):  # no file, or no name of one
            if item.samefile(path):
                why = f"is read from ({item}) and so is never replaced: give another name for what is written"
                raise InvalidFile(str(path), why)


def check_free(path: str | Path, *, overwrite: bool = False, kind: str = "", inputs: Iterable[str | Path] = ()) -> None:
    """Raise InvalidFile where a file is there already and may not be replaced, or its folder is missing.

    What is one of the ``inputs``, no file (a device, which a rename would take away), or of another kind than ``kind``
    or its name says (a note where a table goes), is never replaced.
    """
    final = Path(path)
    refuse_inputs(final, inputs)
    if final.exists() and not final.is_file():
        raise InvalidFile(str(path), "is a folder, a device or a pipe, which no file replaces: give the name of a file")
    if not overwrite and (final.exists() or final.is_symlink()):
        what = "exists already and is left as it was"
        raise InvalidFile(str(path), what, remedy=_OTHER_NAME)
    refuse_other_kind(final, kind or kind_of_name(final))
    if not final.parent.exists():
        raise InvalidFile(str(path), f"cannot be written: there is no folder {final.parent}: make it first")


@contextmanager
def publish(
    path: str | Path, *, overwrite: bool = False, own: bool = False, inputs: Iterable[str | Path] = ()
) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that becomes it, by one rename, if the block ends well.

    ``overwrite`` replaces a file of the same kind (:func:`~xphotfn.io.file_kinds.kind_of_content`), but none of the
    ``inputs``, which were read to make it; ``own`` says that the folder is ours, where nothing else can lie: whatever
    is there is replaced.

    Raises
    ------
    InvalidFile
        If the file exists already (and ``overwrite`` is False) or is of another kind, its folder is missing, or it
        cannot be written; then nothing is left behind and what was there stays as it was.
    """
    final = Path(path)
    if not own:
        check_free(path, overwrite=overwrite, inputs=inputs)
    temporary = _made_beside(final)
    try:
        yield temporary
        if overwrite and not own and final.is_file():
            refuse_other_kind(final, kind_of_content(temporary))
        temporary.replace(final)
    except OSError as error:
        cause = error if error.errno else _asked_again(temporary) or error
        raise InvalidFile(
            str(path), f"cannot be written: {cause.strerror or cause}; nothing was left behind"
        ) from cause
    finally:
        with suppress(OSError):
            temporary.unlink()


def check_writable(path: str | Path) -> None:
    """Raise InvalidFile where the folder of a file that is to be written takes none; nothing is left behind."""
    _made_beside(Path(path)).unlink()


def _made_beside(final: Path) -> Path:
    try:
        temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex[:12]}{final.suffix}")
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # the system takes the umask off
    except OSError as error:
        why = f"cannot be written ({error.strerror or error}): give a place that you may write to"
        raise InvalidFile(str(final), why) from error
    return temporary


def _asked_again(temporary: Path) -> OSError | None:
    """Return what the system says of writing more into a file, such as a full disk: numpy drops its number."""
    try:
        with temporary.open("ab", buffering=0) as stream:
            for _ in range(_SOME_MORE):
                stream.write(bytes(2**16))
    except OSError as error:
        return error
    return None


def grid_cards(grid: PixelGrid) -> list[Card]:
    """Return the WCS cards of a grid as evselect writes them, with the L WCS where the grid has sky coordinates."""
    cards: list[Card] = []
    words = {"TAN": "tangent plane projection", "SIN": "orthographic projection"}[grid.projection]
    for n, kind, crpix, crval, cdelt, first, step, name in (
        (1, "RA---", grid.crpix1, grid.ra_deg, grid.cdelt1_deg, grid.x0_sky, grid.dx_sky, "X"),
        (2, "DEC--", grid.crpix2, grid.dec_deg, grid.cdelt2_deg, grid.y0_sky, grid.dy_sky, "Y"),
    ):
        cards += [
            (f"CTYPE{n}", kind + grid.projection, words),
            (f"CRPIX{n}", crpix, "reference pixel"),
            (f"CRVAL{n}", crval, "[deg] coordinate of the reference pixel"),
            (f"CUNIT{n}", "deg", "unit"),
            (f"CDELT{n}", cdelt, "[deg] pixel size"),
        ]
        if first is not None:
            cards += [
                (f"CTYPE{n}L", name, "XMM sky coordinate"),
                (f"CRPIX{n}L", 1, "reference pixel"),
                (f"CRVAL{n}L", first, "value at the reference pixel"),
                (f"CDELT{n}L", step, "pixel size"),
                (f"LTV{n}", 1 - first / step, ""),
                (f"LTM{n}_{n}", 1 / step, ""),
            ]
    if grid.has_sky:
        cards += [("WCSNAMEL", "PHYSICAL", "WCS L name"), ("WCSAXESL", 2, ""), ("LTM1_2", 0, ""), ("LTM2_1", 0, "")]
    return cards


def write_image(
    path: str | Path, data: NDArray[Any], grid: PixelGrid, cards: Iterable[Card] = (), *, overwrite: bool = False
) -> None:
    """Write an image, shape (ny, nx), with the WCS of its grid; no date, host or path goes into it.

    A mask is written as 0 and 1; ``cards`` are further ones ``(keyword, value, comment)``. InvalidFile if the file
    exists already (without ``overwrite``) or cannot be written.
    """
    from astropy.io import fits

    with publish(path, overwrite=overwrite) as temporary:
        hdu = fits.PrimaryHDU(np.asarray(data, dtype=np.uint8 if np.asarray(data).dtype == bool else None))
        hdu.header.extend([*cards, *grid_cards(grid)])
        hdu.writeto(temporary, overwrite=True)


@runtime_checkable
class HasPlanes(Protocol):
    """A result that says itself what its file holds: `LimitMap`, `EventMosaic`."""

    @property
    def grid(self) -> PixelGrid:
        """Pixel grid of all planes."""

    @property
    def data(self) -> NDArray[Any]:
        """What a picture shows, shape (ny, nx); NaN where there is nothing."""

    @property
    def title(self) -> str:
        """What a picture of it is called."""

    @property
    def label(self) -> str:
        """What the colours of a picture mean, with the unit."""

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Extension name (empty: the primary), array of shape (ny, nx) and unit of each image."""

    @property
    def cards(self) -> tuple[Card, ...]:
        """Header cards ``(keyword, value, comment)`` of each image."""


GridLike: TypeAlias = Product | HasPlanes | PixelGrid
"""What has a place on the sky, or the grid itself."""


def write_fits(
    result: RateMap | HasPlanes | NDArray[Any],
    path: str | Path,
    *,
    like: GridLike | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a rate map, a map of limits, a mosaic of events or an array as FITS, each image with its WCS and unit.

    Parameters
    ----------
    result
        What is written: a `RateMap`, `LimitMap` or `EventMosaic`; or with ``like`` an array, such as a mask or a
        smoothed map.
    path
        The file to make.
    like
        The map that an array was made of, or a PixelGrid: its place on the sky.
    overwrite
        Replace an existing file.

    Returns
    -------
    Path
        The file. Of a rate map: primary HDU rate in ct/s (float64), extensions COUNTS (ct) and EXPOSURE (s); of an
        exposure map in cm2 s in photon/(cm2 s) and cm2 s. Of limits: primary HDU limit in ct/s, extensions COUNTS,
        BACKGROUND, EXPOSURE, LIVE and ENCLOSED as the fields of `LimitMap`; cards say which limit (LIMIT), of what
        (LIMITOF) and with which confidence or probabilities (CONFLEV, or PROBDET and FALSEAL). Of a mosaic: its
        counts. Of a mask: 0 and 1.

    Raises
    ------
    InvalidFile
        If it exists already or cannot be written; then nothing is left behind.
    InvalidRecord
        If it is nothing of these; images and exposure maps are files already, and arrays need ``like``.
    ShapeMismatch
        If an array has not the shape of ``like``.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.io import fits
    >>> from xphotfn.testing.examples import example_rate_map
    >>> path = write_fits(example_rate_map(), Path(tempfile.mkdtemp(), "rate.fits"))
    >>> with fits.open(path) as hdus:
    ...     print([hdu.name for hdu in hdus])
    ['PRIMARY', 'COUNTS', 'EXPOSURE']
    """
    from astropy.io import fits

    shown: Any = result if like is None else on_grid(result, like)
    planes, cards = _content(shown)
    hdus = []
    for name, data, unit in planes:
        hdu = fits.ImageHDU(np.asarray(data), name=name) if name else fits.PrimaryHDU(np.asarray(data))
        hdu.header.extend([*cards, ("BUNIT", unit, "unit of the pixels"), *grid_cards(shown.grid)])
        hdus.append(hdu)
    with publish(path, overwrite=overwrite, inputs=(*_paths_of(result), *_paths_of(like))) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True)
    return Path(path)


def _paths_of(product: Any) -> tuple[str, ...]:
    """Return the files that a map was read from."""
    parts = (product.image, product.exposure) if isinstance(product, RateMap) else (product,)
    return tuple(str(part.path) for part in parts if isinstance(part, Image | ExposureMap) and part.path)


def _content(result: Any) -> tuple[tuple[Plane, ...], tuple[Card, ...]]:
    if isinstance(result, RateMap):
        seconds = result.exposure.unit.to_string()
        planes = (
            ("", result.data, RATE_NAMES[seconds]),
            ("COUNTS", result.counts, "ct"),
            ("EXPOSURE", result.exposure.data, seconds),
        )
        return planes, tuple(_identity_cards(result))
    if isinstance(result, HasPlanes):
        return result.planes, result.cards
    if isinstance(result, Image | ExposureMap):
        what = f"{result.path} is a file already: copy it"
    elif isinstance(result, np.ndarray):
        what = "an array has no place on the sky: give the map that it was made of, write_fits(array, path, like=map)"
    else:
        what = "tables have a method write of their own"
    raise InvalidRecord(f"write_fits takes a RateMap, LimitMap or EventMosaic, got {type(result).__name__}: {what}")


_OF_THE_IMAGE = (
    ("TELESCOP", "telescope"),
    ("RA_PNT", "[deg] pointing"),
    ("DEC_PNT", "[deg] pointing"),
    ("RADESYS", "coordinate system"),
    ("RADECSYS", "coordinate system"),
    ("EQUINOX", "equinox"),
)
"""What a written map needs of its image's header to be measured again: whose it is, and angles from the pointing."""


def _identity_cards(rate_map: RateMap) -> list[Card]:
    band, header = rate_map.band, rate_map.header
    return [
        ("OBJECT", ascii_text(rate_map.target or ""), "target"),
        ("OBS_ID", rate_map.obs_id, "observation"),
        ("INSTRUME", rate_map.instrument, "camera"),
        ("EXPIDSTR", rate_map.exposure_id, "exposure"),
        ("E_MIN", band.lo_ev / 1000, "[keV] lower energy"),
        ("E_MAX", band.hi_ev / 1000, "[keV] upper energy"),
        ("CREATOR", "xphotfn", "program"),
        *((name, header[name], what) for name, what in _OF_THE_IMAGE if name in header),
    ]


def fitting_card(keyword: str, value: Any, comment: str) -> Card:
    """Return a card without its comment where that would not fit: astropy would warn of it."""
    width = max(20, len(value.replace("'", "''")) + 2) if isinstance(value, str) else 20
    return keyword, value, comment if 10 + width + 3 + len(comment) <= 80 else ""
