"""gzip by the fastest library that is there: isal, an extra of this package, else zlib. Both give the same bytes."""

import gzip
import zlib
from functools import cache
from importlib import import_module
from typing import Any, BinaryIO

__all__ = ("damage", "decompressor", "gzip_stream")

_GZIP = 31  # how both call gzip with its checksum


def decompressor() -> Any:
    """Return what decompresses one member of gzip piece by piece, as ``zlib.decompressobj``."""
    return _module("isal.isal_zlib", zlib).decompressobj(wbits=_GZIP)


def gzip_stream(raw: BinaryIO) -> gzip.GzipFile:
    """Return a gzipped stream as one that reads its content."""
    if _has_isal():
        stream: gzip.GzipFile = import_module("isal.igzip").IGzipFile(fileobj=raw, mode="rb")
        return stream
    return gzip.GzipFile(fileobj=raw)


def damage() -> tuple[type[Exception], ...]:
    """Return the errors that damaged or incomplete content gives."""
    return EOFError, gzip.BadGzipFile, zlib.error, _module("isal.isal_zlib", zlib).error


def _module(name: str, other: Any) -> Any:
    return import_module(name) if _has_isal() else other


@cache
def _has_isal() -> bool:
    try:  # a folder of this name, or a broken one, is found but has no modules
        import_module("isal.igzip")
    except ImportError:
        return False
    return True
