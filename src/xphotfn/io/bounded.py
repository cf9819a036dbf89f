"""Files from anywhere, read up to a size: what is larger than it can be is said, and takes no memory."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from xphotfn.errors import InvalidFile
from xphotfn.io.gzip_library import decompressor

__all__ = (
    "MOST_TEXT",
    "MOST_UNPACKED",
    "check_unpacked",
    "open_regular",
    "read_bounded",
    "read_regular",
    "unpacked",
    "whole_lines",
)

MOST_TEXT = 64 * 2**20
"""Bytes of a text: a region file, a table."""


MOST_UNPACKED = 2**29
"""Bytes that a gzipped file may hold, or 20 times its own size where that is more: 1 MB of gzip can hold 1 GB."""

_MOST_TIMES = 20
_SLICE, _PIECE = 2**18, 2**22  # bytes that go in and come out at a time: what is refused takes no more
_MOST_PACKED = 2**32
_PAGE = 2**24


def check_unpacked(size: int, packed: int, path: str) -> None:
    """Raise InvalidFile where a gzipped file of ``packed`` bytes holds more than is taken of one."""
    most = max(MOST_UNPACKED, _MOST_TIMES * packed)
    if size > most or packed > _MOST_PACKED:
        raise InvalidFile(
            path,
            f"holds more than {most // 2**20} MiB in {packed} bytes of gzip, as a damaged or a hostile file does: "
            "unpack it with gunzip if you trust it, or get it again",
        )


def unpacked(content: bytes, path: str) -> bytes:
    """Return what gzipped bytes hold, checked to its end.

    Raises
    ------
    InvalidFile
        If it is more than is taken of such a file.
    EOFError, zlib.error, isal's error
        If it is cut short or damaged.

    Examples
    --------
    >>> import gzip
    >>> unpacked(gzip.compress(b"SIMPLE"), "image.fits.gz")
    b'SIMPLE'
    """
    parts: list[bytes] = []
    size, at, rest = 0, 0, b""
    member = decompressor()
    while rest or at < len(content):
        if not rest:
            rest, at = content[at : at + _SLICE], at + _SLICE
        if member.eof:  # zeros that fill a block may follow, or another member
            rest = rest.lstrip(b"\0")
            member = decompressor() if rest else member
        if rest:
            parts.append(member.decompress(rest, _PIECE))
            rest = member.unused_data if member.eof else member.unconsumed_tail
            size += len(parts[-1])
            check_unpacked(size, len(content), path)
    if not member.eof:
        parts.append(member.flush())
    if not member.eof:
        raise EOFError("the end of the gzip data is missing")
    return b"".join(parts)


def read_bounded(path: str | Path, *, most: int) -> bytes:
    """Return the content of a file; InvalidFile if it is missing, cannot be read, or has more than ``most`` bytes.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "sources.reg")
    >>> _ = path.write_text("image")
    >>> read_bounded(path, most=5)
    b'image'
    >>> read_bounded(path, most=4)
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: ...sources.reg: is larger than 4 bytes, more than is read of such a file: ...
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(most + 1)
    except FileNotFoundError as error:
        raise InvalidFile(str(path), "there is no such file: check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        why = getattr(error, "strerror", None) or error
        raise InvalidFile(str(path), f"cannot be read ({why})") from error
    if len(content) > most:
        size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most} bytes"
        raise InvalidFile(str(path), f"is larger than {size}, more than is read of such a file: give a smaller one")
    return content


def open_regular(path: str | Path) -> BinaryIO:
    """Return a file opened to be read; what lies there and is no file is not waited for.

    Raises
    ------
    OSError
        If it cannot be opened.
    InvalidFile
        If it is a folder, or a pipe or a device, which may never end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise InvalidFile(
        str(path), "is a folder, not a file: give the path of a file" if stat.S_ISDIR(mode) else "is no regular file"
    )


def read_regular(path: str | Path, most: int = MOST_TEXT) -> bytes:
    """Return the content of a file of ours, such as a manifest.

    Raises
    ------
    OSError
        If it cannot be read.
    InvalidFile
        If it is no regular file, or is larger than ``most`` bytes.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise InvalidFile(str(path), f"is larger than {most} bytes, which none of ours is")
        return stream.read()


def whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a stream without their ends, not the last one where it has no end; a page of it at a time."""
    rest = b""
    while (page := stream.read(_PAGE)) and len(rest) <= _PAGE:  # a longer line is none of ours
        *lines, rest = (rest + page).split(b"\n")
        yield from lines
