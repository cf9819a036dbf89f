"""A bounded cache of arrays and headers that were read from FITS files."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from xphotfn.errors import InvalidFile

__all__ = ("BoundedCache", "file_key")

Key = tuple[str, int, int, int]


def file_key(path: str, hdu: int = 0) -> Key:
    """Return what identifies the present content of a file: path, HDU, time of change and size.

    Raises
    ------
    InvalidFile
        If the file is gone.
    """
    try:
        stat = os.stat(path)  # noqa: PTH116 - asked at every use of a map: a Path would take five times as long
    except OSError as error:
        raise InvalidFile(path, f"cannot be read ({error.strerror or error}): was it moved or deleted?") from error
    return path, hdu, stat.st_mtime_ns, stat.st_size


class BoundedCache:
    """Least-recently-used cache bounded by the bytes of its values; safe to use from several threads.

    Parameters
    ----------
    max_bytes
        What the values may take together; a larger value is returned but not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._values: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Any, load: Callable[[], tuple[Any, int]]) -> Any:
        """Return the value of ``key``, made by ``load() -> (value, bytes)`` where it is not held."""
        with self._lock:
            held = self._values.get(key)
            if held is not None:
                self._values.move_to_end(key)
                return held[0]
        value, size = load()
        with self._lock:
            if key not in self._values and size <= self.max_bytes:
                self._values[key] = (value, size)
                self._bytes += size
            while self._bytes > self.max_bytes:
                self._bytes -= self._values.popitem(last=False)[1][1]
        return value

    def peek(self, key: Any) -> Any:
        """Return the value of ``key``, or None where it is not held."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._bytes = 0
