"""Writes a filtered event list while its rows stream by, with the other blocks of the file."""

from collections.abc import Mapping, Set
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from xphotfn.commands.dss import Intervals
from xphotfn.epic.events import Block, EventFile
from xphotfn.epic.exposure_times import frames_inside, table_bytes
from xphotfn.io.blocks import BLOCK, open_stream, padded

__all__ = ("ListWriter",)

_PIECE = 2**22


class ListWriter:
    """One filtered list that is being written.

    Parameters
    ----------
    output
        An open file, written from its start.
    file
        The list that is filtered.
    headers
        The new primary and EVENTS headers.
    """

    def __init__(self, output: BinaryIO, file: EventFile, headers: tuple[Any, Any]) -> None:
        self.output = output
        self.file = file
        self.header = headers[1]
        self.rows = 0
        primary = file.blocks[0]
        data = primary.data or b""
        output.write(table_bytes(headers[0], data))
        for block in file.blocks[1:]:
            if block is file.table.block:
                break
            self._copy(block)
        self.start = output.tell()
        self.output.write(self._header_bytes())

    def _header_bytes(self) -> bytes:
        self.header["NAXIS2"] = self.rows
        return table_bytes(self.header, b"")

    def add(self, records: NDArray[np.uint8]) -> None:
        """Append rows, as bytes."""
        self.output.write(np.ascontiguousarray(records).data)
        self.rows += len(records)

    def finish(self, tables: Mapping[str, bytes], stale: Set[str], ccds: Mapping[int | None, Intervals] | None) -> None:
        """Write what follows the events.

        ``tables`` are the blocks of good time intervals that the new header refers to, by name; the blocks ``stale``
        are left out; the EXPOSUnn blocks are filtered with the intervals ``ccds``, or left whole (None).
        """
        size = self.rows * self.file.table.row_bytes
        self.output.write(b"\x00" * (padded(size) - size))
        place = self.file.blocks.index(self.file.table.block)
        left = dict(tables)
        for block in self.file.blocks[place + 1 :]:
            if left.get(block.name, b"").startswith(block.raw_header):
                self.output.write(left.pop(block.name))
            elif block.name not in left and block.name not in stale:
                self._carry(block, ccds)
        for raw in left.values():
            self.output.write(raw)
        self.output.seek(self.start)
        self.output.write(self._header_bytes())

    def _carry(self, block: Block, ccds: Mapping[int | None, Intervals] | None) -> None:
        """Copy a block; of an EXPOSUnn block only the frames inside the intervals of its CCD."""
        number = block.name.removeprefix("EXPOSU")
        intervals = ccds.get(int(number)) if ccds is not None and number.isdigit() else None
        rows = None if intervals is None else frames_inside(block, self.file.table.path, intervals)
        if rows is None:
            self._copy(block)
            return
        header = block.header.copy()
        header["NAXIS2"] = len(rows)
        for name in ("CHECKSUM", "DATASUM"):
            header.remove(name, ignore_missing=True)
        self.output.write(table_bytes(header, rows.tobytes()))

    def _copy(self, block: Block) -> None:
        """Copy a block as it is."""
        if block.data is not None:
            self.output.write(block.raw_header)
            self.output.write(block.data)
            self.output.write(b"\x00" * (-len(block.data) % BLOCK))
            return
        left = len(block.raw_header) + padded(block.size)
        with open_stream(self.file.table.source, self.file.table.path.name) as (stream, _):
            stream.seek(block.start - len(block.raw_header))
            while left > 0:
                piece = stream.read(min(left, _PIECE))
                if not piece:
                    break
                self.output.write(piece)
                left -= len(piece)
        self.output.write(b"\x00" * left)
