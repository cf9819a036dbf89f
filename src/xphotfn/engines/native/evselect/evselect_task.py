"""evselect in numpy: images, filtered lists and rate sets. Built by ``commands.evselect_image``, ``_list``, ``_rate``.

Pixels, SLCTEXPR, WCS, L, LTV, LTM, DSS, ONTIMEnn, LIVETInn and EXPOSURE are those of evselect 3.62 and 3.71, in their
order. What differs:

- XDAL0, DATE and HISTORY are left out: they name the machine and the time. CREATOR names this program.
- FRMTIMnn is written, as evselect 3.71 does and 3.62 does not.
- Components of the data subspace that nothing can pass are left out, as with ``cleandss=yes``; regions, masks and
  arithmetic on columns are not in the subspace, only in SLCTEXPR.
- Tables of new good time intervals have the same columns, keywords and rows; some comments differ.
- Where a table of good time of a selection says what a cut of flares kept (FLGOAL to FLNSRC), so do the products.
- There are no spectra, histograms and flag columns.
"""

import re
from collections.abc import Container, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import numpy as np
from astropy.io.fits import VerifyError
from numpy.typing import NDArray

from xphotfn.commands.command import Command
from xphotfn.engines.native.evselect.binning import Counter, ImageAxis, Pixels, image_axes, pixel_index, with_data_range
from xphotfn.engines.native.evselect.filtered_list import ListWriter
from xphotfn.engines.native.evselect.flare_cards import kept_cards
from xphotfn.engines.native.evselect.header_cards import image_bytes, image_header, list_header, new_tables
from xphotfn.engines.native.evselect.rate_set import RateCounter, rate_bytes
from xphotfn.engines.native.evselect.request import EvselectJob, complete, job_of, needed_columns, products_of
from xphotfn.epic.event_source import EventSource, open_source, referenced_tables
from xphotfn.epic.events import Chunk, ColumnSpec, chunks
from xphotfn.epic.exposure_times import ccd_intervals
from xphotfn.epic.log import warn
from xphotfn.epic.selecting.evaluate import Memo, evaluate
from xphotfn.errors import CommandFailed, InvalidFile
from xphotfn.io.write import publish

__all__ = ("evselect", "evselect_many")

Axes = tuple[ImageAxis, ImageAxis]

_MADE_TABLE = re.compile(r"GTI\d{5}")  # the names that evselect gives


def evselect(command: Command, folder: Path) -> None:
    """Execute an evselect command in ``folder``.

    Parameters
    ----------
    command
        ``table``, ``expression`` and the parameters of an image, a filtered list, or both; what is not given
        is as in SAS.
    folder
        Holds the inputs under their names; the products are made here, all or none.

    Raises
    ------
    CommandFailed
        If the parameters do not fit, or ask for something that only SAS makes.
    InvalidFile
        If an input is missing, damaged or not what it should be, a product exists already, or it cannot be
        written.
    ExpressionError
        If the expression cannot be read or does not fit the columns.

    Warns
    -----
    UserWarning
        If nothing is selected (the image is then empty), or a range was clipped to the legal values.

    Notes
    -----
    A whole-number column value v stands for [v - 0.5, v + 0.5): pixel (v - min) // bin, with its WCS. An image
    counts in Int32 unless ``imagedatatype`` says otherwise. EXPOSURE is the greatest ONTIMEnn, an on-time.
    Two runs give the same bytes. The list is read in chunks of bounded size.

    References
    ----------
    XMM-Newton SAS, evselect 3.71, nodes 4 to 16; headers and pixels were checked against evselect 3.62 and 3.71.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.commands.command import Command
    >>> command = Command(task="evselect", parameters=(("table", "events.fits"), ("imageset", "image.fits")))
    >>> evselect(command, Path(tempfile.mkdtemp()))
    Traceback (most recent call last):
    xphotfn.errors.InvalidFile: events.fits: there is no such file: check the path
    """
    evselect_many((command,), folder)


def evselect_many(commands: Sequence[Command], folder: Path) -> None:
    """Execute several evselect commands in ``folder``, reading each event list once for all of them.

    The products (such as one for each band) are those of :func:`evselect` one by one, byte for byte; they appear all or
    none for each list.

    Examples
    --------
    >>> evselect_many((), Path("."))
    """
    full = [complete(command, folder) for command in commands]
    made = [name for command in full for name in products_of(command)]
    if len(set(made)) < len(made):
        raise CommandFailed(full[0].argv, f"two commands write one file: {', '.join(sorted(made))}")
    by_table: dict[str, list[Command]] = {}
    for command in full:
        by_table.setdefault(command.parameter("table"), []).append(command)
    for table, group in by_table.items():
        try:
            source = open_source(folder, table)
            _run(tuple(job_of(command, source) for command in group), source)
        except VerifyError as error:
            raise InvalidFile(table, f"a header cannot be understood: {error}") from error


class _Product:
    """What becomes of one job while the events stream by."""

    def __init__(self, job: EvselectJob, axes: Axes | None, writer: ListWriter | None, columns: Container[str]) -> None:
        self.job = job
        self.axes = axes
        self.counter = Counter(axes, bool(job.weight)) if axes else None
        self.writer = writer
        self.rates = RateCounter(job.rates, with_ccds="CCDNR" in columns) if job.rates else None
        self.selected = 0


def _run(jobs: tuple[EvselectJob, ...], source: EventSource) -> None:
    axes = _all_axes(jobs, source)
    with ExitStack() as stack:
        known = source.table.columns
        products = [_Product(job, a, _writer(job, source, stack), known) for job, a in zip(jobs, axes, strict=True)]
        _stream(products, source)
        for product in products:
            if product.writer:
                _finish_list(product, source)
            if product.counter:
                _write_image(product, source, stack)
            if product.rates:
                _write_rates(product, product.rates, source, stack)


def _writer(job: EvselectJob, source: EventSource, stack: ExitStack) -> ListWriter | None:
    if not job.filtered:
        return None
    temporary = stack.enter_context(publish(source.folder / job.filtered))
    output = stack.enter_context(temporary.open("wb"))
    more = kept_cards(job.tree, source.folder, source.table.block.header)
    headers = list_header(job.command, source.file, (job.text, job.selects_all), job.subspace, more)
    return ListWriter(output, source.file, headers)


def _stream(products: list[_Product], source: EventSource) -> None:
    """Send all events through all products, sharing what they have in common."""
    names = needed_columns(tuple(product.job for product in products))
    finders = {product.axes: pixel_index(product.axes) for product in products if product.axes}
    for chunk in chunks(source.table):
        values = {name: chunk.column(name) for name in names}
        memo: Memo = {}
        pixels = {axes: find(chunk) for axes, find in finders.items()}
        for product in products:
            chosen = evaluate(
                product.job.tree, values, rows=len(chunk), first_row=chunk.first_row, resolve=source.resolve, memo=memo
            )
            _add(product, chunk, chosen, pixels)


def _add(product: _Product, chunk: Chunk, chosen: NDArray[np.bool_], pixels: dict[Axes, Pixels]) -> None:
    rows = np.flatnonzero(chosen)  # take() with indices is several times as fast as a mask
    product.selected += len(rows)
    if product.writer:
        product.writer.add(chunk.records.take(rows, axis=0))
    if product.rates:
        product.rates.add(chunk, rows)
    if product.counter and product.axes:
        weights = chunk.column(product.job.weight).take(rows) if product.job.weight else None
        product.counter.add(pixels[product.axes].take(rows), weights)


def _all_axes(jobs: tuple[EvselectJob, ...], source: EventSource) -> list[Axes | None]:
    """Return the image axes of each job; ranges that no parameter and no header gives come from the data."""
    open_ended = tuple(job for job in jobs if any(request.low is None for request in job.requests))
    ranges = iter(_data_ranges(open_ended, source))
    found: list[Axes | None] = []
    for job in jobs:
        requests = job.requests
        if job in open_ended:
            limits = next(ranges)
            requests = tuple(with_data_range(r, *limit) for r, limit in zip(requests, limits, strict=True))
        found.append(image_axes(job.command, requests) if requests else None)
    return found


def _data_ranges(jobs: tuple[EvselectJob, ...], source: EventSource) -> list[list[tuple[float, float]]]:
    """Return the least and greatest selected value on each axis of some jobs."""
    limits = [[(np.inf, -np.inf) for _ in job.requests] for job in jobs]
    names = needed_columns(jobs)
    for chunk in chunks(source.table) if jobs else ():
        values = {name: chunk.column(name) for name in names}
        memo: Memo = {}
        for job, found in zip(jobs, limits, strict=True):
            chosen = evaluate(
                job.tree, values, rows=len(chunk), first_row=chunk.first_row, resolve=source.resolve, memo=memo
            )
            for n, spec in enumerate(job.columns):
                found[n] = _widened(found[n], chunk.column(spec.name)[chosen], spec, source)
    for job, found in zip(jobs, limits, strict=True):
        if any(not np.isfinite(end) for pair in found for end in pair):
            problem = "nothing is selected, so the range of the image is not known: give ximagemin, ximagemax and so on"
            raise CommandFailed(job.command.argv, problem)
    return limits


def _widened(
    known: tuple[float, float], values: NDArray[Any], spec: ColumnSpec, source: EventSource
) -> tuple[float, float]:
    null = source.table.block.header.get(f"TNULL{spec.number}")
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    elif null is not None:
        values = values[values != int(null) * spec.scale + spec.zero]
    if values.size == 0:
        return known
    return min(known[0], float(values.min())), max(known[1], float(values.max()))


def _finish_list(product: _Product, source: EventSource) -> None:
    command, subspace = product.job.command, product.job.subspace
    writer = cast(ListWriter, product.writer)
    tables: dict[str, bytes] = {}
    stale: set[str] = set()
    ccds = None
    if command.parameter("writedss") == "yes":
        tables = dict(new_tables(subspace, _by_name(source), source.subspace))
        stale = {name for name in referenced_tables(source.subspace) if _MADE_TABLE.fullmatch(name)} - set(tables)
        if command.parameter("filterexposure") == "yes" and not product.job.selects_all:
            ccds = ccd_intervals(subspace)
    writer.finish(tables, stale, ccds)
    writer.output.flush()
    if product.selected == 0 and not product.counter:
        _warn_empty(product.job, "selects no events: the list is empty")


def _by_name(source: EventSource) -> dict[str, Any]:
    return {block.name: block for block in reversed(source.file.blocks)}


def _write_image(product: _Product, source: EventSource, stack: ExitStack) -> None:
    job = product.job
    axes = cast(Axes, product.axes)
    array = cast(Counter, product.counter).image(job.command, job.datatype)
    columns = cast(tuple[ColumnSpec, ColumnSpec], job.columns)
    image, more = (array, axes, columns), kept_cards(job.tree, source.folder, source.table.block.header)
    header = image_header(job.command, source.file, (job.text, job.selects_all), job.subspace, image, more)
    tables = new_tables(job.subspace, _by_name(source), source.subspace)
    temporary = stack.enter_context(publish(source.folder / job.image))
    with temporary.open("wb") as output:
        output.write(image_bytes(header, array))
        if job.command.parameter("writedss") == "yes":
            for raw in tables.values():
                output.write(raw)
    if product.selected == 0:
        _warn_empty(job, "selects no events: the image is empty")
    elif not array.any():
        _warn_empty(job, "selects events, but none inside the image, which is empty")


def _write_rates(product: _Product, rates: RateCounter, source: EventSource, stack: ExitStack) -> None:
    job = product.job
    tables = new_tables(job.subspace, _by_name(source), source.subspace)
    temporary = stack.enter_context(publish(source.folder / rates.request.name))
    with temporary.open("wb") as output:
        output.write(rate_bytes(job.command, source.file, (job.text, job.selects_all), job.subspace, rates))
        if job.command.parameter("writedss") == "yes":
            for raw in tables.values():
                output.write(raw)
    if product.selected == 0:
        _warn_empty(job, "selects no events: all rates are 0")


def _warn_empty(job: EvselectJob, problem: str) -> None:
    warn("noEvents", f"{job.command.parameter('expression')!r} {problem}")
