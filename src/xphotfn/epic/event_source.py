"""An open event list with what its header says: keywords, data subspace, and the files beside it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xphotfn.commands.dss import Intervals, Subspace, read_dss
from xphotfn.commands.selection import FileFilter, RegionFilter, split_spec
from xphotfn.epic.events import ColumnSpec, EventFile, EventTable, open_events
from xphotfn.epic.exposure_times import intervals_in
from xphotfn.epic.selecting.evaluate import Resolver
from xphotfn.epic.selecting.filter_files import file_resolver
from xphotfn.epic.selecting.filters import Axis, GtiTable, MaskImage, RegionTable
from xphotfn.errors import InvalidFile

__all__ = ("EventSource", "filter_reader", "lookup", "open_source", "referenced_tables", "region_columns")


class EventSource(NamedTuple):
    """An open event list with what its header says."""

    folder: Path
    file: EventFile
    keywords: Mapping[str, object]
    subspace: Subspace
    resolve: Resolver

    @property
    def table(self) -> EventTable:
        """The table of events."""
        return self.file.table


def lookup(file: EventFile) -> Mapping[str, object]:
    """Return the keywords that ``#NAME`` can mean: those of the event table, then those of the primary header."""
    found: dict[str, object] = {}
    for header in (file.blocks[0].header, file.table.block.header):
        found.update((card.keyword, card.value) for card in header.cards if card.keyword)
    return found


def referenced_tables(subspace: Subspace) -> tuple[str, ...]:
    """Return the names of the blocks that a subspace refers to, each once, in order."""
    return tuple(dict.fromkeys(f.table for component in subspace for f in component if f.table))


def open_source(folder: Path, table: str) -> EventSource:
    """Return an event list named by a table specification, ``file`` or ``file:BLOCK``."""
    name, block = split_spec(table)
    file = open_events(folder / name, block)
    header = file.table.block.header

    def intervals_of(wanted: str) -> Intervals | None:
        block = next((b for b in file.blocks if b.name == wanted), None)
        return None if block is None else intervals_in(file.table.path, block)

    axes = {spec.name: axis for spec in file.table.columns.values() if (axis := _world_axis(spec, header))}
    subspace = read_dss(header, intervals_of)
    missing = set(referenced_tables(subspace)) - {b.name for b in file.blocks}
    if missing:
        problem = f"its data subspace refers to {', '.join(sorted(missing))}, which it lacks: is it cut short?"
        raise InvalidFile(file.table.path.name, problem)
    return EventSource(folder, file, lookup(file), subspace, file_resolver(folder, name, axes))


def _world_axis(spec: ColumnSpec, header: Any) -> Axis | None:
    values = [header.get(f"{key}{spec.number}") for key in ("TCRPX", "TCRVL", "TCDLT")]
    if any(not isinstance(v, int | float) for v in values) or values[2] == 0:
        return None
    return Axis(pixel0=float(values[0]), value0=float(values[1]), step=float(values[2]))


def region_columns(resolve: Resolver) -> Callable[[RegionFilter], tuple[str, str]]:
    """Return what gives the position columns of a region filter's table, for ``with_region_columns``."""

    def columns_of(node: RegionFilter) -> tuple[str, str]:
        data = resolve(node)
        return data.columns if isinstance(data, RegionTable) else ("X", "Y")

    return columns_of


def filter_reader(resolve: Resolver) -> Callable[[FileFilter], Intervals | RegionTable | MaskImage]:
    """Return what gives the intervals, shapes or mask of a file filter, for :func:`dss_of`."""

    def read(node: FileFilter) -> Intervals | RegionTable | MaskImage:
        data = resolve(node)
        if not isinstance(data, GtiTable):
            return data
        return tuple(zip(data.start.tolist(), data.stop.tolist(), strict=True))

    return read
