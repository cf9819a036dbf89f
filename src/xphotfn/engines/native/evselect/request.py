"""What one evselect command asks for, checked against its event list before any event is read."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.commands.command import Command
from xphotfn.commands.dss import Subspace, select
from xphotfn.commands.parameters import resolved
from xphotfn.commands.selection import (
    Boolean,
    Expression,
    columns,
    expand_macros,
    parse,
    with_region_columns,
)
from xphotfn.engines.native.evselect.binning import AxisRequest, requested_axes
from xphotfn.engines.native.evselect.rate_set import RateRequest, rate_request
from xphotfn.epic.event_source import EventSource, filter_reader, region_columns
from xphotfn.epic.events import Chunk, ColumnSpec
from xphotfn.epic.selecting.data_subspace import dss_of
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.errors import CommandFailed, InvalidFile

__all__ = ("EvselectJob", "complete", "job_of", "needed_columns", "products_of")

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
