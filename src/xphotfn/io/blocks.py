"""The parts of FITS files, plain or gzipped: streams, headers block by block, and where data lie.

A file whose name ends in anything may be gzipped: the first two bytes decide.
"""

import gzip
import io
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from xphotfn.errors import InvalidFile, XphotfnError
from xphotfn.io.bounded import check_unpacked, open_regular, unpacked
from xphotfn.io.cards import MOST_FIELDS, Cards
from xphotfn.io.gzip_library import damage, gzip_stream

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = (
    "AGAIN",
    "BLOCK",
    "UNREADABLE",
    "Path_",
    "Unit",
    "check_place",
    "cut_short",
    "find_unit",
    "full_header",
    "open_content",
    "open_stream",
    "padded",
    "walk_units",
)

BLOCK = 2880
AGAIN = "get it again"
UNREADABLE = (OSError, EOFError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError,
              MemoryError)  # fmt: skip
"""What astropy raises, besides its own VerifyError, for headers and tables that it cannot understand."""
_MAX_HEADER = 4000 * BLOCK
_GZIP = b"\x1f\x8b"
_CARD = re.compile(r"(?:COMMENT |HISTORY |CONTINUE|HIERARCH|END     )|[A-Z0-9_-]{1,8} *(?<=.{8})= ")
_ABSURD = 2**43  # bytes: more than a file holds, and still a position that file systems allow

Path_ = str | Path


class Unit(NamedTuple):
    """One HDU inside a stream: its header as bytes and as cards, where its data start and end (without padding)."""

    header: bytes
    cards: Cards
    start: int
    stop: int


@contextmanager
def open_stream(path: Path_, called: str = "") -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file: its content, through gzip where it is gzipped, and the file as it is; errors name it."""
    with _explained(called or path), open_regular(path) as raw:
        if raw.read(2) != _GZIP:
            raw.seek(0)
            yield raw, raw
            return
        raw.seek(0)
        with gzip_stream(raw) as unpacked:
            yield cast("BinaryIO", unpacked), raw


@contextmanager
def open_content(path: Path_) -> Iterator[BinaryIO]:
    """Open a file like :func:`open_stream`, but decompress a gzipped one at once, which checks it to its end."""
    with _explained(path), open_regular(path) as raw:
        magic = raw.read(2)
        raw.seek(0)
        if magic != _GZIP:
            yield raw
            return
        check_unpacked(0, os.fstat(raw.fileno()).st_size, str(path))
        yield io.BytesIO(unpacked(raw.read(), str(path)))


@contextmanager
def _explained(path: Path_) -> Iterator[None]:
    """Turn what the system and gzip say about a file into InvalidFile."""
    try:
        yield
    except damage() as error:
        raise InvalidFile(str(path), f"is damaged or cut short ({error}): {AGAIN}") from error
    except FileNotFoundError as error:
        raise InvalidFile(str(path), "there is no such file: check the path") from error
    except MemoryError as error:
        raise InvalidFile(str(path), f"needs more memory than there is: its header is damaged, {AGAIN}") from error
    except (OSError, ValueError) as error:
        if isinstance(error, XphotfnError):
            raise
        why = getattr(error, "strerror", None) or error  # ValueError: a name with the zero byte
        raise InvalidFile(str(path), f"cannot be read ({why})") from error


def walk_units(stream: BinaryIO, path: str, *, check: bool = True) -> Iterator[Unit]:
    """Yield the HDUs of a stream in order; data are skipped only when the next HDU is asked for."""
    at = 0
    while raw := _read_header_blocks(stream, path, first=at == 0):
        start = at + len(raw)
        cards = Cards(raw)
        if cards.whole("TFIELDS") > MOST_FIELDS:
            problem = f"has a table of {cards.get('TFIELDS')} columns, and FITS allows {MOST_FIELDS}: {AGAIN}"
            raise InvalidFile(path, problem)
        unit = Unit(raw, cards, start, start + _data_size(cards))
        yield unit
        if check and stream.tell() < unit.stop:
            check_place(stream, unit.stop, path)
            stream.seek(unit.stop - 1)
            if not stream.read(1):
                raise cut_short(path, unit.stop)
        at = padded(unit.stop)
        check_place(stream, at, path)
        stream.seek(at)


def check_place(stream: BinaryIO, at: int, path: str) -> None:
    """Refuse to unpack a gzipped stream up to a place that lies beyond all bounds."""
    if isinstance(stream, gzip.GzipFile):
        check_unpacked(at, os.fstat(stream.fileno()).st_size, path)


def padded(size: int) -> int:
    """Return a size in bytes, rounded up to whole FITS blocks."""
    return -(-size // BLOCK) * BLOCK


def cut_short(path: Path_, stop: int) -> InvalidFile:
    """Return the error of a file that ends before the data of an HDU do."""
    return InvalidFile(str(path), f"is cut short: its data should reach byte {stop}; {AGAIN}")


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
            raise InvalidFile(path, f"has a header without END: it is damaged, {AGAIN}")
    if first and not raw:
        raise InvalidFile(path, f"is empty: {AGAIN}")
    if raw:
        raise InvalidFile(path, f"ends inside a header, after {len(raw)} bytes: it was cut short, {AGAIN}")
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
    count = cards.whole("NAXIS")
    if count > MOST_FIELDS:
        return _ABSURD
    axes = [cards.whole(f"NAXIS{n}") for n in range(1, count + 1)]
    if "GROUPS" in cards and axes[:1] == [0]:
        axes = axes[1:]
    if not axes:
        return 0
    elements = cards.whole("GCOUNT", 1) * (cards.whole("PCOUNT") + math.prod(axes))
    return min(max(0, abs(cards.whole("BITPIX", 8)) // 8 * elements), _ABSURD)


def full_header(cards: Cards) -> "Header":
    """Return the cards of a header whose keyword is one, as astropy's; it would warn of every other line."""
    from astropy.io import fits

    text = cards.text.encode("latin-1").decode("ascii", errors="replace").replace("\ufffd", "?")
    lines = (text[at : at + 80] for at in range(0, len(text), 80))
    return fits.Header.fromstring("".join(line for line in lines if _CARD.match(line)))


def find_unit(stream: BinaryIO, path: str, hdu: int | str) -> Unit:
    """Return the HDU of that number or EXTNAME."""
    names = []
    for number, unit in enumerate(walk_units(stream, path)):
        name = unit.cards.get("EXTNAME", "")
        names.append(f"{number} {name}".strip())
        if hdu in (number, name) and hdu != "":
            return unit
    raise InvalidFile(path, f"has no HDU {hdu!r}; it has {', '.join(names)}")
