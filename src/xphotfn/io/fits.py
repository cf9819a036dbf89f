"""Careful reading of FITS files: complete or refused, and headers without the data that follow them.

A file whose name ends in anything may be gzipped: the first two bytes decide. Headers are read block by
block, so the header of a gzipped image costs the decompression of the header alone.
"""

import gzip
import io
import math
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile
from xphotfn.io.cards import Cards, card
from xphotfn.io.headers import band_of_exposure_map, band_of_image, grid_of, is_exposure_map, is_mosaic

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

BLOCK = 2880
_MAX_HEADER = 4000 * BLOCK
_GZIP = b"\x1f\x8b"
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)
_CARD = re.compile(r"(?:COMMENT |HISTORY |CONTINUE|HIERARCH|END     )|[A-Z0-9_-]{1,8} *(?<=.{8})= ")
_START = re.compile(rb".{80}BITPIX  = +(?:8|16|32|64|-32|-64) [^E]*NAXIS   = +\d{1,3} ", re.DOTALL)
_START_BYTES = 2**14  # of the data of an image of real numbers
_ABSURD = 2**43  # bytes: more than a file holds, and still a position that file systems allow
_AGAIN = "get it again"

Path_ = str | Path


class _Unit(NamedTuple):
    """One HDU inside a stream: its header as bytes and as cards, where its data start and end (without padding)."""

    header: bytes
    cards: Cards
    start: int
    stop: int


def read_headers(path: Path_, *, complete: bool = False) -> tuple[Cards, ...]:
    """Return the headers up to that of the first HDU with data, whose data are not read.

    An image gives its primary header, an event list its primary header and that of its table.

    Parameters
    ----------
    path
        A FITS file, plain or gzipped.
    complete
        Also make sure that the file is not cut short.

    Returns
    -------
    tuple of Cards

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
    with _stream(path) as (stream, raw):
        units = []
        for unit in _units(stream, str(path), check=False):
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
    with _stream(path) as (stream, _):
        units = (unit for unit in _units(stream, str(path), check=False) if unit.stop > unit.start)
        unit = next(units, None)
        if unit is None:
            raise InvalidFile(str(path), f"holds no data: {_AGAIN}")
        stream.seek(unit.start)
        yield unit.cards, unit.stop - unit.start, stream.read


def read_header(path: Path_, hdu: int | str = 0) -> "Header":
    """Return one header of a FITS file, by number or by EXTNAME.

    Raises
    ------
    InvalidFile
        If the file is missing, empty, not FITS, damaged before that header, or has no such HDU.

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
    with _stream(path) as (stream, _):
        return _header(_find_unit(stream, str(path), hdu).header)


def read_array(path: Path_, hdu: int | str = 0) -> tuple[NDArray[Any], "Header"]:
    """Return the array of an image HDU with its header.

    Parameters
    ----------
    path
        A FITS file, plain or gzipped.
    hdu
        Number or EXTNAME of the HDU.

    Returns
    -------
    tuple
        A new array of shape (ny, nx) in native byte order, in the type of the file (scaled where the header
        says so), and the astropy Header.

    Raises
    ------
    InvalidFile
        If the file is missing, damaged or not FITS, or that HDU holds no image.

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
    from astropy.io import fits

    with _content(path) as stream:
        unit = _find_unit(stream, str(path), hdu)
        header = _header(unit.header)
        is_image = header.get("XTENSION", "IMAGE").strip() == "IMAGE" and not header.get("ZIMAGE", False)
        if not is_image or unit.stop == unit.start:
            raise InvalidFile(str(path), f"HDU {hdu} holds no image: name the HDU that does, or give another file")
        stream.seek(unit.start - len(unit.header))
        raw = stream.read(unit.stop - unit.start + len(unit.header))
        if len(raw) < unit.stop - unit.start + len(unit.header):
            raise _cut_short(path, unit)
    kind = fits.ImageHDU if "XTENSION" in header else fits.PrimaryHDU
    data = kind.fromstring(raw + bytes(-len(raw) % BLOCK)).data
    return np.array(data, dtype=data.dtype.newbyteorder("=")), header


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
    with _content(path) as stream:
        for number, unit in enumerate(_units(stream, str(path))):
            if not _START.match(unit.header):
                problem = f"has no BITPIX and NAXIS of the FITS standard in HDU {number}: it is damaged, {_AGAIN}"
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
    hdus = fits.open(path) if source is None else fits.HDUList.fromstring(source)
    try:
        yield hdus
    except fits.VerifyError as error:
        raise InvalidFile(str(path), f"has a header that breaks the FITS rules ({error}): {_AGAIN}") from error
    finally:
        hdus.close()


@contextmanager
def _stream(path: Path_) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file: its content, through gzip where it is gzipped, and the file as it is."""
    with _explained(path), Path(path).open("rb") as raw:
        if raw.read(2) != _GZIP:
            raw.seek(0)
            yield raw, raw
            return
        raw.seek(0)
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield cast("BinaryIO", unpacked), raw


@contextmanager
def _content(path: Path_) -> Iterator[BinaryIO]:
    """Open a file like :func:`_stream`, but decompress a gzipped one at once, which checks it to its end."""
    with _explained(path), Path(path).open("rb") as raw:
        magic = raw.read(2)
        raw.seek(0)
        yield io.BytesIO(gzip.decompress(raw.read())) if magic == _GZIP else raw


@contextmanager
def _explained(path: Path_) -> Iterator[None]:
    """Turn what the system and gzip say about a file into InvalidFile."""
    try:
        yield
    except _DAMAGE as error:
        raise InvalidFile(str(path), f"is damaged or cut short ({error}): {_AGAIN}") from error
    except FileNotFoundError as error:
        raise InvalidFile(str(path), "there is no such file: check the path") from error
    except IsADirectoryError as error:
        raise InvalidFile(str(path), "is a folder, not a FITS file: give the path of a file") from error
    except OSError as error:
        raise InvalidFile(str(path), f"cannot be read ({error.strerror or error})") from error


def _may_be_no_counts(cards: Cards) -> bool:
    """Whether a header is that of an image of real numbers, which are looked at later: the file is open now."""
    return int(cards.get("BITPIX", 8)) < 0 and cards.get("NAXIS") == 2 and not is_exposure_map(cards)


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
    with _content(path) as stream:
        for _ in _units(stream, str(path)):
            pass
        missing = -stream.seek(0, io.SEEK_END) % BLOCK
        if not missing and not isinstance(stream, io.BytesIO):
            return None
        stream.seek(0)
        return stream.read() + bytes(missing)


def _units(stream: BinaryIO, path: str, *, check: bool = True) -> Iterator[_Unit]:
    """Yield the HDUs of a stream in order; data are skipped only when the next HDU is asked for."""
    at = 0
    while raw := _read_header_blocks(stream, path, first=at == 0):
        start = at + len(raw)
        cards = Cards(raw)
        unit = _Unit(raw, cards, start, start + _data_size(cards))
        yield unit
        if check and unit.stop > start:
            stream.seek(unit.stop - 1)
            if not stream.read(1):
                raise _cut_short(path, unit)
        at = unit.stop + (-unit.stop % BLOCK)
        stream.seek(at)


def _cut_short(path: Path_, unit: _Unit) -> InvalidFile:
    return InvalidFile(str(path), f"is cut short: its data should reach byte {unit.stop}; {_AGAIN}")


def _read_header_blocks(stream: BinaryIO, path: str, *, first: bool) -> bytes:
    """Return the blocks of the header that starts here; empty at the end of the file or where records follow."""
    raw = b""
    while block := stream.read(BLOCK):
        if not raw:
            if first:
                _check_start(block, path)
            elif block[:8] != b"XTENSION"[: len(block)]:
                return b""
        raw += block
        if _has_end(block):
            if len(block) == BLOCK:
                return raw
            break
        if len(raw) > _MAX_HEADER:
            raise InvalidFile(path, f"has a header without END: it is damaged, {_AGAIN}")
    if first and not raw:
        raise InvalidFile(path, f"is empty: {_AGAIN}")
    if raw:
        raise InvalidFile(path, f"ends inside a header, after {len(raw)} bytes: it was cut short, {_AGAIN}")
    return b""


def _check_start(block: bytes, path: str) -> None:
    if not block.startswith(b"SIMPLE  ="):
        raise InvalidFile(path, f"is not a FITS file: it starts with {block[:12]!r}, not with SIMPLE")


def _has_end(block: bytes) -> bool:
    at = block.find(b"END")
    while at >= 0:
        if at % 80 == 0 and not block[at + 3 : at + 8].strip():
            return True
        at = block.find(b"END", at + 1)
    return False


def _data_size(cards: Cards) -> int:
    """Return the bytes of the data unit (FITS standard 4.0, equations 1, 2 and 4)."""
    count = _whole(cards, "NAXIS", 0)
    if count > 999:
        return _ABSURD
    axes = [_whole(cards, f"NAXIS{n}", 0) for n in range(1, count + 1)]
    if "GROUPS" in cards and axes[:1] == [0]:
        axes = axes[1:]
    if not axes:
        return 0
    elements = _whole(cards, "GCOUNT", 1) * (_whole(cards, "PCOUNT", 0) + math.prod(axes))
    return min(max(0, abs(_whole(cards, "BITPIX", 8)) // 8 * elements), _ABSURD)


def _whole(cards: Cards, name: str, default: int) -> int:
    value = cards.get(name)
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else default


def _header(raw: bytes) -> "Header":
    """Return the cards of a raw header whose keyword is one; astropy would warn of every other line."""
    from astropy.io import fits

    text = raw.decode("ascii", errors="replace").replace("\ufffd", "?")
    cards = (text[at : at + 80] for at in range(0, len(text), 80))
    return fits.Header.fromstring("".join(line for line in cards if _CARD.match(line)))


def _find_unit(stream: BinaryIO, path: str, hdu: int | str) -> _Unit:
    """Return the HDU of that number or EXTNAME."""
    names = []
    for number, unit in enumerate(_units(stream, path)):
        name = unit.cards.get("EXTNAME", "")
        names.append(f"{number} {name}".strip())
        if hdu in (number, name) and hdu != "":
            return unit
    raise InvalidFile(path, f"has no HDU {hdu!r}; it has {', '.join(names)}")
