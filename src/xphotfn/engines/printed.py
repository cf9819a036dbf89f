"""What a task printed, of which only so much is kept in memory as anybody reads."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ("MOST_PRINTED", "printed")

MOST_PRINTED = 4_000_000
"""Bytes of a log that are kept: half of them from its start, half from its end; messages between are kept beside."""

_MOST_MESSAGES = 1_000_000
_LINE = 2**16
_LEFT_OUT = b"\n[%d bytes are left out, their errors and warnings are kept]\n"


def printed(path: Path) -> str:
    """Return what a task wrote into a log, all of it up to 4 MB.

    Of a longer one its start and its end, 2 MB each, and between them the first 1 MB of what looks like errors and
    warnings (``** task: error (Name), ...`` with the lines that continue it).
    """
    size = path.stat().st_size
    with path.open("rb") as log:
        if size <= MOST_PRINTED:
            return log.read(MOST_PRINTED).decode(errors="replace")
        half = MOST_PRINTED // 2
        start = log.read(half)
        messages = b"".join(_within(_messages(log, size - half), _MOST_MESSAGES))
        log.seek(size - half, os.SEEK_SET)
        end = log.read(half)
    return b"".join((start, _LEFT_OUT % (size - 2 * half), messages, end)).decode(errors="replace")


def _messages(log: BinaryIO, stop: int) -> Iterator[bytes]:
    """Yield the lines of messages up to a place; what remains of the line that was cut is none."""
    follows = False
    at = log.tell() + len(log.readline(_LINE))
    while at < stop and (line := log.readline(_LINE)):
        at += len(line)
        follows = line.startswith(b"** ") or (follows and line[:1] in (b" ", b"\t"))
        if follows:
            yield line


def _within(lines: Iterator[bytes], most: int) -> Iterator[bytes]:
    for line in lines:
        most -= len(line)
        if most < 0:
            return
        yield line
