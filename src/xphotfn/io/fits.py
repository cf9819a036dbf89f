"""Careful reading of FITS files: complete or refused, and headers without the data that follow them.

A file whose name ends in anything may be gzipped: the first two bytes decide. Headers are read block by
block, so the header of a gzipped image costs the decompression of the header alone.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from numpy.typing import NDArray

from xphotfn.errors import InvalidFile
from xphotfn.io.blocks import (
    AGAIN,
    BLOCK,
    UNREADABLE,
    Path_,
    find_unit,
    full_header,
    open_content,
    open_stream,
    walk_units,
)
from xphotfn.io.cards import Cards, card
from xphotfn.io.headers import band_of_exposure_map, band_of_image, grid_of, is_exposure_map, is_mosaic
from xphotfn.io.image_data import image_head, read_image

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header

__all__ = (
    "band_of_exposure_map",
    "band_of_image",
    "card",
    "check_whole",
    "grid_of",
    "is_exposure_map",
    "is_mosaic",
    "open_checked",
    "read_array",
    "read_header",
    "read_headers",
    "start_of_data",
)

_START = re.compile(rb".{80}BITPIX  = +(?:8|16|32|64|-32|-64) [^E]*NAXIS   = +\d{1,3} ", re.DOTALL)
_START_BYTES = 2**14  # of the data of an image of real numbers


def read_headers(path: Path_, *, complete: bool = False) -> tuple[Cards, ...]:
    """Return the headers up to that of the first HDU with data, whose data are not read.

    An image gives its primary header, an event list its primary header and that of its table.

    Parameters
    ----------
    path
        A FITS file, plain or gzipped.
    complete
        Also make sure that the file is not cut short.

    Raises
    ------
    InvalidFile
        If the file is missing, empty, not FITS, cut short inside a header or (with ``complete``) anywhere.

    Notes
    -----
    The last four bytes of a gzip file are the length of its content, FITS files are whole blocks of 2880 bytes, and
    deflate never packs more than 1032 to 1. A file that breaks one of these rules is read to its end to be sure.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> path = Path(tempfile.mkdtemp(), "image.fits")
    >>> fits.PrimaryHDU(np.zeros((2, 3))).writeto(path)
    >>> [header.get("NAXIS1") for header in read_headers(path)]
    [3]
    """
    with open_stream(path) as (stream, raw):
        units = []
        for unit in walk_units(stream, str(path), check=False):
            units.append(unit)
            if unit.stop > unit.start:
                break
        if complete and _may_be_no_counts(units[-1].cards):
            stream.seek(units[-1].start)
            units[-1].cards.start = stream.read(min(_START_BYTES, units[-1].stop - units[-1].start))
        sure = not complete or _looks_complete(raw, stream is not raw, units[-1].stop)
    if not sure:
        _walk(path)
    return tuple(unit.cards for unit in units)


@contextmanager
def start_of_data(path: Path_) -> Iterator[tuple[Cards, int, Callable[[int], bytes]]]:
    """Open a file at its first data: their header, their length in bytes and what reads on from there."""
    with open_stream(path) as (stream, _):
        units = (unit for unit in walk_units(stream, str(path), check=False) if unit.stop > unit.start)
        unit = next(units, None)
        if unit is None:
            raise InvalidFile(str(path), f"holds no data: {AGAIN}")
        stream.seek(unit.start)
        yield unit.cards, unit.stop - unit.start, stream.read


def read_header(path: Path_, hdu: int | str = 0) -> "Header":
    """Return one header of a FITS file, by number or by EXTNAME.

    InvalidFile if the file is missing, empty, not FITS, damaged before that header, or has no such HDU.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> path = Path(tempfile.mkdtemp(), "image.fits")
    >>> fits.PrimaryHDU(np.zeros((2, 3))).writeto(path)
    >>> read_header(path)["NAXIS2"]
    2
    """
    with open_stream(path) as (stream, _):
        return full_header(find_unit(stream, str(path), hdu).cards)


def read_array(path: Path_, hdu: int | str = 0) -> tuple[NDArray[Any], "Header"]:
    """Return the array of an image HDU (number or EXTNAME) of a FITS file, plain or gzipped, with its astropy Header.

    It is new, of shape (ny, nx), in native byte order, in the type of the file (scaled where the header says so).
    InvalidFile if the file is missing, damaged or not FITS, or that HDU holds no image.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> path = Path(tempfile.mkdtemp(), "image.fits")
    >>> fits.PrimaryHDU(np.ones((2, 3), dtype=">f4")).writeto(path)
    >>> data, header = read_array(path)
    >>> data.shape, data.dtype.str == np.dtype("f4").str
    ((2, 3), True)
    """
    head = image_head(path, hdu)
    return read_image(path, head), full_header(head.cards)


def check_whole(path: Path_) -> None:
    """Make sure that a file is FITS from its first HDU to its last (FITS standard 4.0, tables 7, 10), without astropy.

    Raises
    ------
    InvalidFile
        As :func:`open_checked`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "image.fits")
    >>> _ = path.write_text("SIMPLE  =                    T")
    >>> check_whole(path)
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: ...image.fits: ends inside a header, after 30 bytes: it was cut short, get it again
    """
    with open_content(path) as stream:
        for number, unit in enumerate(walk_units(stream, str(path))):
            if not _START.match(unit.header):
                problem = f"has no BITPIX and NAXIS of the FITS standard in HDU {number}: it is damaged, {AGAIN}"
                raise InvalidFile(str(path), problem)


@contextmanager
def open_checked(path: Path_) -> Iterator["HDUList"]:
    """Open a FITS file with astropy after checking that it is complete; a plain file is memory-mapped.

    Yields
    ------
    astropy HDUList
        Closed at the end of the ``with`` block; copy what must live longer.

    Raises
    ------
    InvalidFile
        If the file is missing, empty, not FITS, truncated or fails its checksum of compression.

    Notes
    -----
    The HDUs are walked before astropy sees the file, so its warning about truncated files is never needed and no
    warning filter is touched: those are shared by all threads.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> path = Path(tempfile.mkdtemp(), "image.fits")
    >>> fits.PrimaryHDU(np.ones((2, 3))).writeto(path)
    >>> with open_checked(path) as hdus:
    ...     float(hdus[0].data.sum())
    6.0
    """
    from astropy.io import fits

    source = _walk(path)
    try:
        hdus = fits.open(path) if source is None else fits.HDUList.fromstring(source)
    except (*UNREADABLE, fits.VerifyError) as error:
        raise _breaks_the_rules(path, error) from error
    try:
        yield hdus
    except fits.VerifyError as error:
        raise _breaks_the_rules(path, error) from error
    finally:
        hdus.close()


def _breaks_the_rules(path: Path_, error: Exception) -> InvalidFile:
    why = " ".join(str(error).split())
    return InvalidFile(str(path), f"has a header that breaks the FITS rules ({why}): {AGAIN}")


def _may_be_no_counts(cards: Cards) -> bool:
    """Whether a header is that of an image of real numbers, which are looked at later: the file is open now."""
    return cards.whole("BITPIX", 8) < 0 and cards.get("NAXIS") == 2 and not is_exposure_map(cards)


def _looks_complete(raw: BinaryIO, packed: bool, stop: int) -> bool:
    """Whether the length of a file allows its data to reach ``stop``; see the notes of :func:`read_headers`."""
    size = raw.seek(0, io.SEEK_END)
    if not packed:
        return size >= stop and size % BLOCK == 0
    raw.seek(max(0, size - 4))
    length = int.from_bytes(raw.read(4), "little")
    return length % BLOCK == 0 and stop <= length <= 1032 * size


def _walk(path: Path_) -> bytes | None:
    """Go through all HDUs of a file, so that damage shows; return the content if astropy cannot map the file itself.

    That is the content of a gzipped file, and of one that lacks only the padding at its end.
    """
    with open_content(path) as stream:
        for _ in walk_units(stream, str(path)):
            pass
        missing = -stream.seek(0, io.SEEK_END) % BLOCK
        if not missing and not isinstance(stream, io.BytesIO):
            return None
        stream.seek(0)
        return stream.read() + bytes(missing)
