"""What one evselect command asks for, checked against its event list before any event is read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.commands.command import Command
from xphotfn.commands.dss import Intervals, Subspace, read_dss, select
from xphotfn.commands.parameters import resolved
from xphotfn.commands.selection import (
    Boolean,
    Expression,
    FileFilter,
    RegionFilter,
    columns,
    expand_macros,
    parse,
    split_spec,
    with_region_columns,
)
from xphotfn.engines.native.dss_expression import dss_of
from xphotfn.engines.native.events import Chunk, ColumnSpec, EventFile, EventTable, open_events
from xphotfn.engines.native.evselect_cards import lookup, referenced_tables
from xphotfn.engines.native.evselect_rates import RateRequest, rate_request
from xphotfn.engines.native.exposure import intervals_in
from xphotfn.engines.native.imaging import AxisRequest, requested_axes
from xphotfn.engines.native.selection import Resolver, evaluate
from xphotfn.engines.native.selection_files import file_resolver
from xphotfn.engines.native.selection_filters import Axis, GtiTable, MaskImage, RegionTable
from xphotfn.errors import CommandFailed, InvalidFile

__all__ = (
    "EventSource",
    "EvselectJob",
    "complete",
    "filter_reader",
    "job_of",
    "needed_columns",
    "open_source",
    "products_of",
    "region_columns",
)

_UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        "destruct": "yes",
        "filtertype": "expression",
        "dssblock": "",
        "blockstocopy": "",
        "attributestocopy": "",
        "withzerrorcolumn": "no",
        "withcelestialcenter": "no",
        "withspectrumset": "no",
        "withhistogramset": "no",
    }
)


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


class EvselectJob(NamedTuple):
    """One command, ready to run.

    Parameters
    ----------
    command
        The command with all its parameters.
    text, tree
        The expression with its macros expanded.
    subspace
        Data subspace of the products.
    image, filtered
        Names of the products; empty where they are not asked for.
    requests
        Image axes.
    columns
        Columns of the image axes.
    weight
        Column that is summed; empty to count.
    rates
        Bins of a rate set; None where it is not asked for.
    """

    command: Command
    text: str
    tree: Expression
    subspace: Subspace
    image: str
    filtered: str
    requests: tuple[AxisRequest, ...]
    columns: tuple[ColumnSpec, ...]
    weight: str
    rates: RateRequest | None = None

    @property
    def selects_all(self) -> bool:
        """Whether the expression is ``true``."""
        return isinstance(self.tree, Boolean) and self.tree.value

    @property
    def datatype(self) -> str:
        """Data type of the image: the one asked for, else Int32 for counts and Real64 for sums."""
        if self.command.parameter("withimagedatatype") == "yes":
            return self.command.parameter("imagedatatype")
        return "Real64" if self.weight else "Int32"


def complete(command: Command, folder: Path) -> Command:
    """Return a command with all its parameters, after refusing what cannot be done here.

    Raises
    ------
    CommandFailed
        If it asks for a product that the native engine does not make, or for none.
    InvalidFile
        If a product exists already.
    """
    if command.task != "evselect":
        raise CommandFailed(command.argv, f"this is the interpreter of evselect, not of {command.task}")
    full = resolved(command)
    for name, wanted in _UNSUPPORTED.items():
        if full.parameter(name) != wanted:
            problem = f"the native engine has no {name}={full.parameter(name)}: run this command with SAS"
            raise CommandFailed(command.argv, problem)
    products = products_of(full)
    if not products:
        raise CommandFailed(command.argv, "nothing to make: give imageset, filteredset or rateset")
    if len(set(products)) < len(products):
        raise CommandFailed(command.argv, f"its products are the same file: {', '.join(products)}")
    for name in products:
        if Path(name).name != name or name in ("", ".", ".."):
            raise CommandFailed(command.argv, f"{name!r} must be a plain file name: products are made in one folder")
        if (folder / name).exists() or (folder / name).is_symlink():
            raise InvalidFile(name, "it exists already and is left as it was: remove it or give another name")
    return full


def products_of(command: Command) -> list[str]:
    """Return the names of the files that a complete command makes."""
    return [name for name in (_product(command, kind) for kind in ("image", "filtered", "rate")) if name]


def _product(command: Command, kind: str) -> str:
    if command.parameter(f"with{kind}set") != "yes":
        return ""
    if kind == "filtered" and command.parameter("keepfilteroutput") != "yes":
        return ""
    return command.parameter(f"{kind}set")


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


def job_of(command: Command, source: EventSource) -> EvselectJob:
    """Return a complete command with its expression read and its columns found.

    Raises
    ------
    ExpressionError
        If the expression cannot be read, or does not fit the columns.
    InvalidFile
        If a column is missing or holds no numbers, or a file of the expression is not what it should be.
    CommandFailed
        If ranges or bins do not fit.
    """
    text = expand_macros(command.parameter("expression"), source.keywords)
    tree = with_region_columns(parse(text), region_columns(source.resolve))
    _try_out(tree, source)
    found = dss_of(tree, {s.name: s.unit for s in source.table.columns.values()}, filter_reader(source.resolve))
    subspace = select(source.subspace, found)
    image, filtered = _product(command, "image"), _product(command, "filtered")
    if filtered and source.table.block.header.get("PCOUNT", 0):
        raise CommandFailed(command.argv, "columns of variable length cannot be filtered here: run this with SAS")
    rates = _rates(command, source)
    if not image:
        return EvselectJob(command, text, tree, subspace, "", filtered, (), (), "", rates)
    header = source.table.block.header
    specs = _number_column(source, command.parameter("xcolumn")), _number_column(source, command.parameter("ycolumn"))
    weight = command.parameter("zcolumn") if command.parameter("withzcolumn") == "yes" else ""
    if weight:
        _number_column(source, weight)
    requests = requested_axes(command, specs, header)
    return EvselectJob(command, text, tree, subspace, image, filtered, requests, specs, weight, rates)


def _rates(command: Command, source: EventSource) -> RateRequest | None:
    name = _product(command, "rate")
    if name and command.parameter("withzcolumn") == "yes":
        raise CommandFailed(command.argv, "a rate set of weighted events is not made here: run this with SAS")
    return rate_request(command, source.table, name) if name else None


def _try_out(tree: Expression, source: EventSource) -> None:
    """Evaluate an expression on no events, to find its errors before the list is read."""
    blank = Chunk(source.table, 1, np.zeros((1, source.table.row_bytes), dtype=np.uint8))
    none: dict[str, NDArray[Any]] = {name: blank.column(name)[:0] for name in source.table.columns}
    evaluate(tree, none, rows=0, resolve=source.resolve)


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


def _number_column(source: EventSource, name: str) -> ColumnSpec:
    spec = source.table.columns.get(name)
    path, block = source.table.path.name, source.table.block.name
    if spec is None:
        raise InvalidFile(path, f"{block} has no column {name!r}; it has {', '.join(source.table.columns)}")
    if not spec.is_number:
        raise InvalidFile(path, f"column {name!r} of {block} holds no numbers, one for each event (TFORM {spec.form})")
    return spec


def needed_columns(jobs: tuple[EvselectJob, ...]) -> tuple[str, ...]:
    """Return the columns that the expressions of some jobs need."""
    return tuple(sorted({name for job in jobs for name in columns(job.tree)}))
