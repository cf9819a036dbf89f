"""Mosaics of events: the events of several lists binned straight onto one grid, without resampling."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, final

import attrs
import numpy as np
from attrs import field, frozen
from numpy.typing import ArrayLike, NDArray

from xphotfn.commands.command import Command
from xphotfn.commands.default_selection import selection_expression
from xphotfn.commands.image_grid import XCS_GRID, ImageGrid
from xphotfn.commands.selection import Expression, columns, expand_macros, parse, with_region_columns
from xphotfn.commands.step import StepInput
from xphotfn.engines.native.emosaic import numbered
from xphotfn.engines.native.engine import NativeEngine
from xphotfn.engines.native.evselect.binning import sky_reference
from xphotfn.engines.protocol import Engine
from xphotfn.epic.event_source import EventSource, open_source, region_columns
from xphotfn.epic.events import chunks, columns_of
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.errors import InvalidFile, InvalidRecord, PlanError
from xphotfn.graph.flare_steps import FlareChoice, Flares, GoodTimePart, flare_choice, good_time_part, together
from xphotfn.graph.held_energies import part_of_band
from xphotfn.graph.selection_inputs import Selection, selection_inputs
from xphotfn.html import block, details, table
from xphotfn.io.fits import read_header
from xphotfn.io.good_time_files import read_flare_cut
from xphotfn.io.thumbnails import picture
from xphotfn.io.write import fitting_card
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.fields import items, pairs
from xphotfn.records.grid import SKY_LIMITS, PixelGrid
from xphotfn.records.instrument import instrument as camera_of
from xphotfn.records.light_curve import FlareCut
from xphotfn.records.observation import Exposure, Observation
from xphotfn.science.coords import inside
from xphotfn.science.mosaic import mosaic_grid, pix_to_pix
from xphotfn.science.pixel_masks import read_only

__all__ = ("BinnedList", "EventMosaic", "mosaic_events")


@final
@frozen(kw_only=True)
class BinnedList:
    """One event list of an :class:`EventMosaic`.

    Parameters
    ----------
    file
        Name of the list, without its folder.
    obs_id, instrument, exposure_id
        What it is of.
    inside, outside
        How many of the selected events lie on the grid and beside it.
    flares
        What a cut of flares kept of it; None where nothing was cut.
    """

    file: str
    obs_id: str
    instrument: str
    exposure_id: str
    inside: int
    outside: int
    flares: FlareCut | None = None


def _counts(values: ArrayLike) -> NDArray[np.int32]:
    return np.asarray(read_only(np.array(values, dtype=np.int32)))


@final
@frozen(kw_only=True)
class EventMosaic:
    """Counts of several event lists on one grid.

    Parameters
    ----------
    data
        Counts, shape (ny, nx), int32; read-only.
    grid
        Pixel grid.
    band
        Energy band.
    lists
        What was binned, in order.
    left_out
        Pairs ``(exposure, reason)``.
    notes
        What was done about flares, as the notes of a plan have it, and what was kept.
    """

    data: NDArray[np.int32] = field(converter=_counts, eq=attrs.cmp_using(eq=np.array_equal), hash=False, repr=False)
    grid: PixelGrid
    band: Band
    lists: tuple[BinnedList, ...] = field(converter=items)
    left_out: tuple[tuple[str, str], ...] = field(default=(), converter=pairs)
    notes: tuple[str, ...] = field(default=(), converter=items)

    def _repr_html_(self) -> str:
        binned = table(
            [(b.obs_id, b.exposure_id, b.instrument, b.inside) for b in self.lists],
            ("ObsID", "Exposure", "Camera", "Events on the grid"),
        )
        left = [details(f"{len(self.left_out)} left out", table(self.left_out))] if self.left_out else []
        title = f"Event mosaic, {self.band}: {self.data.sum()} counts"
        notes = [details("Notes", table([(note,) for note in self.notes]))] if self.notes else []
        return block(title, picture(self.data, "thumbnail of the counts"), binned, *left, *notes)

    @property
    def title(self) -> str:
        """What a picture of it is called."""
        return f"{len(self.lists)} event lists, {self.band}"

    @property
    def label(self) -> str:
        """What the colours of a picture mean."""
        return "Counts per pixel (ct)"

    @property
    def planes(self) -> tuple[tuple[str, NDArray[np.int32], str], ...]:
        """The one image of its file (:func:`~xphotfn.io.write.write_fits`): name, array and unit."""
        return (("", self.data, "ct"),)

    @property
    def cards(self) -> tuple[tuple[str, Any, str], ...]:
        """Header cards for :func:`~xphotfn.io.write.write_fits`: the band, what EXPOSURE means, and every list."""
        found: list[tuple[str, Any, str]] = [
            ("CREATOR", "xphotfn mosaic_events", "program"),
            ("SLCTEXPR", f"(PI in [{self.band.lo_ev}:{self.band.hi_ev}])", "band"),
            ("EXPMEANS", "no EXPOSURE: see the sum of the exposure maps", "inputs differ"),
            ("EMSNUM", len(self.lists), "number of exposures in this mosaic"),
        ]
        for n, item in enumerate(self.lists, start=1):
            camera = camera_of(item.instrument).sas_name
            values = ("F", item.file), ("I", camera), ("E", item.exposure_id), ("A", item.obs_id), ("N", item.inside)
            found += [fitting_card(numbered(f"EMSC{letter}", n), value, f"input {n}") for letter, value in values]
            if item.flares is not None:
                found.append((numbered("EMSCG", n), item.flares.goal, "what flares were cut for"))
                found.append((numbered("EMSCK", n), item.flares.kept, "part of the live time that is kept"))
        return tuple(found)


class _List(NamedTuple):
    """An event list that is to be binned."""

    path: Path
    observation: Observation
    exposure: Exposure
    frame: PixelGrid

    @property
    def who(self) -> str:
        return f"{self.observation.obs_id} {self.exposure.instrument} {self.exposure.exposure_id}"


def mosaic_events(
    field_or_observations: Field | Observation | Iterable[Observation],
    band: Band,
    *,
    engine: Engine,
    grid: PixelGrid | ImageGrid | None = None,
    reference: str | None = None,
    selection: str | None = None,
    flares: Flares = "auto",
) -> EventMosaic:
    """Bin the events of all observations straight onto one grid: no image is resampled.

    Parameters
    ----------
    field_or_observations
        A field or observations; every exposure with an event list takes part.
    band
        Energy band.
    engine
        What selects events: the native engine does it while the list is read; another one, such as SAS, filters each
        list by its evselect first.
    grid
        The common PixelGrid; or an ImageGrid of X and Y, which each list is given and which are then joined as in
        :func:`plan_mosaics`. Default X and Y 3649..48106 in bins of 87.
    reference
        ObsID that sets the frame; default the lowest one. Without effect on a PixelGrid.
    selection
        Event selection in SAS's language, to which the band is added; default as :func:`plan_images`.
    flares
        What is done about flares, as :func:`plan_images` has it: a raw list is cut. ``lists`` and ``notes`` say what
        was kept.

    Returns
    -------
    EventMosaic
        Write it with ``write_fits(m, path)``.

    Raises
    ------
    PlanError
        If no exposure has an event list, ``reference`` is none of the observations, they lie too far apart, or
        ``flares`` is nothing that is known.
    InvalidFile
        If a list cannot be read, or its X and Y are no tangent projection.
    ExpressionError
        If the selection cannot be read or does not fit the columns.

    Notes
    -----
    The position (X, Y) of an event, in the tangent projection of its own list, becomes a position on the common grid;
    its pixel is the nearest. Each selected event on the grid counts once; the others are in ``outside``. Events whose
    X or Y is not legal (TLMIN, TLMAX) count as outside. Lists are read in chunks, one at a time.

    X and Y are whole numbers of 0.05 arcsec. On the grid of a list's own image the counts are those of evselect.

    References
    ----------
    Calabretta & Greisen (2002), A&A 395, 1077, section 5.1.3 (TAN).

    Examples
    --------
    >>> import tempfile
    >>> from attrs import evolve
    >>> from xphotfn.engines.native.engine import native_engine
    >>> from xphotfn.io.find import find_observations
    >>> from xphotfn.simulate.observing import SOFT, default_scene, simulate_observations
    >>> scene = default_scene()
    >>> camera = evolve(scene.pointings[0], exposures=scene.pointings[0].exposures[:1])
    >>> truth = simulate_observations(tempfile.mkdtemp(), scene=evolve(scene, pointings=[camera]), products="events")
    >>> found = mosaic_events(find_observations(truth.folder), SOFT, engine=native_engine())
    >>> int(found.data.sum()) == found.lists[0].inside, found.grid.shape
    (True, (512, 512))
    """
    if not hasattr(engine, "execute"):
        raise InvalidRecord(f"engine must be one such as native_engine() returns, got {engine!r}")
    choice = flare_choice(flares)
    lists, left_out = _lists(field_or_observations, reference)
    common = grid if isinstance(grid, PixelGrid) else _joined(lists, grid or XCS_GRID)
    total = np.zeros(common.shape, dtype=np.int32)
    binned: list[BinnedList] = []
    notes: list[str] = []
    for item in lists:
        chosen = _chosen(item, band, selection, choice)
        with _selected(item, chosen, engine) as (source, tree, cut):
            seen = 0 if source is None else _add(total, common, source, tree, item.frame)
        record = _record(item, seen, total, sum(b.inside for b in binned))
        binned.append(attrs.evolve(record, flares=cut))
        notes += [*chosen.good.notes, *([] if cut is None else [f"{item.who}: {cut.goal}: {cut}"])]
    return EventMosaic(data=total, grid=common, band=band, lists=binned, left_out=left_out, notes=notes)


def _record(item: _List, seen: int, total: NDArray[np.int32], before: int) -> BinnedList:
    now = int(total.sum(dtype=np.int64)) - before
    return BinnedList(
        file=item.path.name,
        obs_id=item.observation.obs_id,
        instrument=item.exposure.instrument,
        exposure_id=item.exposure.exposure_id,
        inside=now,
        outside=seen - now,
    )


def _lists(given: Any, reference: str | None) -> tuple[list[_List], list[tuple[str, str]]]:
    """Return the event lists in the order of mosaics, and the exposures that have none."""
    members = given.observations if isinstance(given, Field) else given
    observations = (members,) if isinstance(members, Observation) else tuple(members)
    obs_ids = [o.obs_id for o in observations]
    if len(set(obs_ids)) < len(obs_ids):
        raise PlanError(f"an observation is there twice and its events would count twice: {', '.join(obs_ids)}")
    if reference is not None and reference not in obs_ids:
        raise PlanError(f"the reference {reference!r} is none of the observations: {', '.join(obs_ids)}")
    lists, left_out = [], []
    for observation in sorted(observations, key=lambda o: (o.obs_id != reference, o.obs_id)):
        for exposure in observation.exposures:
            if exposure.events is None:
                who = f"{observation.obs_id} {exposure.instrument} {exposure.exposure_id}"
                left_out.append((who, "no event list was found"))
            else:
                path = Path(exposure.events.path)
                lists.append(_List(path, observation, exposure, _frame(path)))
    if not lists:
        raise PlanError(f"no exposure of {', '.join(obs_ids) or 'no observation'} has an event list")
    return lists, left_out


def _frame(path: Path) -> PixelGrid:
    """Return the tangent projection of a list's X and Y as a grid: X is the FITS pixel, from 1."""
    header = read_header(path, "EVENTS")
    try:
        specs = columns_of(header)
        x, y = (sky_reference(header, specs[name]) for name in "XY")
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidFile(path.name, f"its events have no X and Y that can be used: {error}") from error
    if x is None or y is None or (x.kind, y.kind) != ("RA---TAN", "DEC--TAN") or {x.unit, y.unit} != {"deg"}:
        raise InvalidFile(path.name, "X and Y of its events are no tangent projection of RA and Dec in degrees")
    size: dict[str, Any] = {"nx": SKY_LIMITS[1], "ny": SKY_LIMITS[1], "crpix1": x.pixel, "crpix2": y.pixel}
    return PixelGrid(**size, ra_deg=x.value, dec_deg=y.value, cdelt1_deg=x.step, cdelt2_deg=y.step)


def _joined(lists: Sequence[_List], wanted: ImageGrid) -> PixelGrid:
    """Return the grid of the mosaic of the images that evselect would make of the lists."""
    if (wanted.x_column, wanted.y_column) != ("X", "Y"):
        raise PlanError(f"a mosaic of events needs X and Y, got {wanted.x_column} and {wanted.y_column}")
    (ny, nx), bins, limits = wanted.shape, wanted.bins, wanted.limits
    x0, y0 = (low + (step - 1) / 2 for (low, _), step in zip(limits, bins, strict=True))
    grids = [
        PixelGrid(
            nx=nx,
            ny=ny,
            crpix1=1 + (item.frame.crpix1 - x0) / bins[0],
            crpix2=1 + (item.frame.crpix2 - y0) / bins[1],
            ra_deg=item.frame.ra_deg,
            dec_deg=item.frame.dec_deg,
            cdelt1_deg=item.frame.cdelt1_deg * bins[0],
            cdelt2_deg=item.frame.cdelt2_deg * bins[1],
            x0_sky=x0,
            y0_sky=y0,
            dx_sky=bins[0],
            dy_sky=bins[1],
        )
        for item in lists
    ]
    return mosaic_grid(grids, names=[item.path.name for item in lists])


class _Chosen(NamedTuple):
    """What is selected of a list, the files that this needs, and the good time among them."""

    table: str
    text: str
    files: tuple[StepInput, ...]
    good: GoodTimePart


def _chosen(item: _List, band: Band, selection: str | None, choice: FlareChoice) -> _Chosen:
    """Return what is to be selected of a list, with what is done about its flares."""
    part_of_band(item.who, item.exposure.subspace.energies, band)
    ending = ".gz" if item.path.name.lower().endswith((".gz", ".ftz")) else ""
    table = f"{item.who.replace(' ', '_')}_evts.fits{ending}"
    chosen = Selection("", ())
    if selection and item.exposure.events is not None:
        chosen = selection_inputs(selection, item.exposure.events, taken=(table,))
    events = StepInput(name=table, file=item.exposure.events)
    good = good_time_part(item.observation, item.exposure, events, choice, selection)
    text = selection_expression(
        band.lo_ev,
        band.hi_ev,
        item.exposure.instrument,
        filtered=item.exposure.filtered,
        extra=together(chosen.text, good.selection),
    )
    needed = {
        i.name: i for i in (*chosen.inputs, *(i for step in good.steps for i in step.inputs)) if i.file is not None
    }
    return _Chosen(table, text, tuple(i for name, i in needed.items() if name != table), good)


@contextmanager
def _selected(
    item: _List, chosen: _Chosen, engine: Engine
) -> Iterator[tuple[EventSource | None, Expression, FlareCut | None]]:
    """Give an open list, what is to be selected of it and what flares leave of it.

    There is no list where another engine selected nothing.
    """
    native = isinstance(engine, NativeEngine)
    if native and not chosen.files and not chosen.good.steps:
        yield *_opened(item.path, chosen.text), None
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / chosen.table).symlink_to(item.path)
        for needed in chosen.files:
            if needed.file is not None:
                (folder / needed.name).symlink_to(needed.file.path)
        for step in chosen.good.steps:
            engine.execute(step.command, folder)
        made = [i.name for i in chosen.good.inputs]
        cut = read_flare_cut(folder / made[0]) if made else None
        if native:
            yield *_opened(folder / chosen.table, chosen.text), cut
            return
        inputs = (chosen.table, *(needed.name for needed in chosen.files), *made)
        given = {"table": chosen.table, "withfilteredset": "yes", "filteredset": "selected.fits"}
        pairs_of = (*given.items(), ("expression", chosen.text))
        command = Command(task="evselect", parameters=pairs_of, inputs=inputs, outputs=("selected.fits",))
        engine.execute(command, folder)
        empty = not read_header(folder / "selected.fits", "EVENTS")["NAXIS2"]
        yield None if empty else open_source(folder, "selected.fits"), parse("true"), cut


def _opened(path: Path, expression: str) -> tuple[EventSource, Expression]:
    source = open_source(path.parent, path.name)
    tree = parse(expand_macros(expression, source.keywords))
    return source, with_region_columns(tree, region_columns(source.resolve))


def _add(total: NDArray[np.int32], grid: PixelGrid, source: EventSource, tree: Expression, frame: PixelGrid) -> int:
    """Count the selected events of a list into ``total``; return how many there are, on the grid or not."""
    needed, seen = columns(tree), 0
    flat = total.reshape(-1)
    for chunk in chunks(source.table):
        values = {name: chunk.column(name) for name in needed}
        chosen = evaluate(tree, values, rows=len(chunk), first_row=chunk.first_row, resolve=source.resolve)
        rows = np.flatnonzero(chosen)
        seen += rows.size
        x, y = (chunk.column(name).take(rows) for name in "XY")
        legal = _legal(source, "X", x) & _legal(source, "Y", y)
        px, py = (np.floor(v + 0.5) for v in pix_to_pix(frame, grid, x[legal] - 1.0, y[legal] - 1.0))
        on = inside(grid, px, py)
        np.add.at(flat, py[on].astype(np.intp) * grid.nx + px[on].astype(np.intp), 1)
    return seen


def _legal(source: EventSource, name: str, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values lie within TLMIN and TLMAX, some lists hold these as text, others not at all."""
    header, number = source.table.block.header, source.table.columns[name].number
    try:
        low, high = float(header[f"TLMIN{number}"]), float(header[f"TLMAX{number}"])
    except (KeyError, TypeError, ValueError):
        return np.ones(values.shape, dtype=bool)
    return (values >= low) & (values <= high)
