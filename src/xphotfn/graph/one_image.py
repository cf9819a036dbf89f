"""One image of one event list, without a plan or a store."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from xphotfn.commands.builders import evselect_image
from xphotfn.commands.default_selection import selection_expression
from xphotfn.commands.image_grid import XCS_GRID, ImageGrid
from xphotfn.commands.messages import SasMessage
from xphotfn.commands.step import StepInput
from xphotfn.engines.protocol import Engine, Printed
from xphotfn.errors import InvalidFile
from xphotfn.graph.flare_steps import Flares, GoodTimePart, flare_choice, good_time_part, together
from xphotfn.graph.held_energies import part_of_band
from xphotfn.graph.selection_inputs import selection_inputs
from xphotfn.io.beside import beside_list, event_list
from xphotfn.io.recognise import is_filtered
from xphotfn.io.write import check_free, publish
from xphotfn.records.band import Band
from xphotfn.records.facts import FileFacts
from xphotfn.records.observation import Exposure, FoundFile, Observation

__all__ = ("good_time_of", "image_of_events")


def image_of_events(
    events: str | Path,
    band: Band,
    path: str | Path,
    *,
    engine: Engine,
    selection: str | None = None,
    grid: ImageGrid = XCS_GRID,
    flares: Flares = "auto",
    overwrite: bool = False,
) -> tuple[SasMessage, ...]:
    """Make an image of an event list in a band.

    Parameters
    ----------
    events
        The event list, plain or gzipped.
    band
        Energy band.
    path
        The image to make.
    engine
        What executes evselect.
    selection
        Event selection in SAS's language, to which the band is added; default, and where its files are looked for, as
        :func:`plan_images`.
    grid
        Pixels; default X and Y 3649..48106 in bins of 87, 512 x 512.
    flares
        What is done about flares, as :func:`plan_images` has it.
    overwrite
        Replace an existing image.

    Returns
    -------
    tuple of SasMessage
        What the commands warned of, and which choice of the times was made.

    Raises
    ------
    InvalidFile
        If the event list is not one, or the image exists already or cannot be written.
    PlanError
        If a file of the selection is not there, or the list holds nothing of the band.
    ExpressionError
        If the selection cannot be read.

    Warns
    -----
    PartOfBand
        If the list holds only a part of the band.
    """
    found = event_list(Path(events))
    part_of_band(str(events), found.subspace.energies, band)
    table = "events.fits.gz" if str(events).lower().endswith((".gz", ".ftz")) else "events.fits"
    chosen = selection_inputs(selection or "true", found.file, taken=(table, "image.fits"))
    good = good_time_of(found, table, flares, selection)
    extra = together(chosen.text if selection else "", good.selection)
    filtered = is_filtered(found.instrument, found.subspace)
    expression = selection_expression(band.lo_ev, band.hi_ev, found.instrument, filtered=filtered, extra=extra)
    read = {i.name: i.file.path for i in (*chosen.inputs, *inputs_of(good)) if i.file} | {table: found.file.path}
    check_free(path, overwrite=overwrite, kind="a FITS image", inputs=read.values())
    with publish(path, overwrite=overwrite) as temporary, tempfile.TemporaryDirectory(dir=temporary.parent) as scratch:
        folder = Path(scratch)
        for name, target in read.items():
            (folder / name).symlink_to(target)
        commands = [step.command for step in good.steps]
        commands.append(evselect_image(table, "image.fits", expression=expression, grid=grid))
        try:
            printed = [Printed.of(engine.execute(command, folder)) for command in commands]
        except InvalidFile as error:  # the command saw a link
            path_read = str(events) if error.path == table else error.path
            raise InvalidFile(path_read, error.problem, error.line) from error
        (folder / "image.fits").replace(temporary)
    notes = (SasMessage(task="evselect", severity="warning", name="flares", text=note) for note in good.notes)
    return (*notes, *(message for one in printed for message in one.warnings))


def inputs_of(good: GoodTimePart) -> tuple[StepInput, ...]:
    """Return all that the steps of good time read."""
    return tuple(i for step in good.steps for i in step.inputs)


def good_time_of(
    found: FileFacts,
    table: str,
    flares: Flares,
    selection: str | None = None,
    *,
    others: Sequence[FileFacts] = (),
    sources: FoundFile | None = None,
) -> GoodTimePart:
    """Return what a plan would do about the flares of one event list, beside others of its observation.

    Without ``sources`` the pipeline's list of sources and, of each list, its light curve count that lie beside it.
    """
    exposures = [_exposure(item, with_curve=sources is None) for item in (found, *others)]
    listed = sources or beside_list(found).sources
    obs_id = found.obs_id or "0000000000"
    observation = Observation(obs_id=obs_id, ra_deg=0.0, dec_deg=0.0, exposures=exposures, regions=listed)
    events = StepInput(name=table, file=found.file)
    return good_time_part(observation, exposures[0], events, flare_choice(flares), selection)


def _exposure(found: FileFacts, *, with_curve: bool) -> Exposure:
    return Exposure(
        instrument=found.instrument,
        exposure_id=found.exposure_id or "S000",
        events=found.file,
        filtered=is_filtered(found.instrument, found.subspace),
        cut=found.cut,
        flare_curve=beside_list(found).flare_curve if with_curve else None,
    )
