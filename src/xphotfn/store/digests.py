"""Digests of files that were found, kept on disk: a resume has to look at each file, not to read it again.

``<store>/digests.jsonl`` gets one line for each file whose content was digested. A line holds for as long as path,
size, time of change, time of status change and inode of the file stay the same; the newest line for a path counts. A
line that is cut short or damaged is passed over.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from xphotfn.errors import InvalidFile
from xphotfn.io.bounded import open_regular, whole_lines

__all__ = ("DIGESTS", "DigestCache", "FileState", "digests_of", "file_state")

DIGESTS = "digests.jsonl"
_SETTLED_NS = 2_000_000_000  # a file changed more recently may change again without its time showing it


class FileState(NamedTuple):
    """What changes whenever the content of a file may have changed."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class DigestCache:
    """The digests in one file; safe to use from several threads, and from several processes at once.

    Parameters
    ----------
    path
        The file; it is made with the first digest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: dict[str, tuple[FileState, str]] = {}
        self._read_to = 0

    def get(self, path: str, digest_of: Callable[[str], str]) -> str:
        """Return the digest of a file; where it is not known it is made, and kept if the file stayed the same.

        Raises
        ------
        InvalidFile
            If the file is gone, or changed while it was read.
        """
        state = file_state(path)
        known = self._of(path, state)
        if known is not None:
            return known
        digest = digest_of(path)
        if file_state(path) != state:
            raise InvalidFile(path, "changed while it was read: run it again once nothing writes to it")
        self._keep(path, state, digest)
        return digest

    def known(self, path: str) -> str | None:
        """Return the digest of a file where it is known without reading the file, else None.

        Raises
        ------
        InvalidFile
            If the file is gone.
        """
        return self._of(path, file_state(path))

    def _of(self, path: str, state: FileState) -> str | None:
        with self._lock:
            known = self._known.get(path)
            if known is None or known[0] != state:
                self._read_on()
                known = self._known.get(path)
        return known[1] if known is not None and known[0] == state else None

    def _keep(self, path: str, state: FileState, digest: str) -> None:
        if time.time_ns() - max(state.mtime_ns, state.ctime_ns) < _SETTLED_NS:
            return
        with self._lock:
            self._known[path] = (state, digest)
        line = json.dumps([path, *state, digest]) + "\n"
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError:
            return  # a store that is read-only keeps none

    def _read_on(self) -> None:
        """Take in the lines that were added since the last time."""
        try:
            with open_regular(self.path) as stream:
                stream.seek(self._read_to)
                for line in whole_lines(stream):
                    self._read_to += len(line) + 1
                    self._take(line)
        except (OSError, InvalidFile):
            return

    def _take(self, line: bytes) -> None:
        with suppress(ValueError, TypeError, RecursionError):
            path, size, mtime_ns, ctime_ns, inode, digest = json.loads(line)
            self._known[str(path)] = (FileState(size, mtime_ns, ctime_ns, inode), str(digest))


def file_state(path: str) -> FileState:
    """Return what changes whenever the content of a file may have changed.

    Raises
    ------
    InvalidFile
        If the file is gone.
    """
    try:
        stat = os.stat(path)  # noqa: PTH116 - a resume does this for every file
    except OSError as error:
        raise InvalidFile(path, f"cannot be read ({error.strerror or error}): was it moved or deleted?") from error
    return FileState(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


_CACHES: dict[str, DigestCache] = {}
_LOCK = threading.Lock()


def digests_of(store: str) -> DigestCache:
    """Return the digests that a store keeps; one object for each store in a process."""
    with _LOCK:
        if store not in _CACHES:
            _CACHES[store] = DigestCache(Path(store, DIGESTS))
        return _CACHES[store]
