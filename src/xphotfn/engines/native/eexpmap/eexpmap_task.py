"""eexpmap in numpy: exposure maps from image, event list and attitude alone. Built by ``commands.eexpmap``."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.commands.command import Command
from xphotfn.commands.xproc import to_card
from xphotfn.engines.native.eexpmap.map_inputs import ExposureMapJob, Files, Inputs, read_inputs, read_job
from xphotfn.epic.camera.attitude import attitude_bins, attitude_of, record_edges
from xphotfn.epic.camera.detector import Camera, chip_mask, exposure_model
from xphotfn.epic.camera.projection import Boresight, View, detector_grid, fit_boresight, pixel_to_det, weights
from xphotfn.epic.camera.response import (
    SAMPLINGS,
    Cells,
    ccf_table,
    cell_labels,
    cells_of,
    fitted_energies,
    grating_slope,
    packaged_table,
    response,
)
from xphotfn.epic.livetime import seconds_per_piece
from xphotfn.epic.log import warn
from xphotfn.epic.looked_at import looked_at, names_places
from xphotfn.errors import CommandFailed, InvalidFile
from xphotfn.io.headers import grid_of
from xphotfn.io.write import publish
from xphotfn.records.grid import PixelGrid
from xphotfn.science.vignetting import VignettingTable

__all__ = ("ExposureGeometry", "eexpmap", "eexpmap_many", "exposure_map")

Card = tuple[str, Any, str]

CREATOR = "eexpmap (xphotfn)"
_STRUCTURE = re.compile(r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|GROUPS|PCOUNT|GCOUNT|BSCALE|BZERO|BLANK|END|CHECKSUM|DATASUM")
_GRID = re.compile(r"NAXIS\d*|(CTYPE|CRPIX|CRVAL|CDELT|CUNIT|CROTA)\dL?|RADE.*|EQUINOX|REF[XY]C.*|(CD|PC)\d_\d|LONPOLE")
_MADE = re.compile(r"XPROC\d+|XDAL\d+|CREATOR|DATE|LONGSTRN|HISTORY|COMMENT|CONTINUE|CONTENT|ORIGIN|")


class ExposureGeometry(NamedTuple):
    """What all bands of an exposure share.

    ``weights`` (sparse, pixels x cells, in s) times the response of ``cells`` is the map; ``seconds`` the live time of
    each CCD, ``to_detector`` image pixels to DETX, DETY for each attitude bin, ``notes`` what was assumed.
    """

    camera: Camera
    shape: tuple[int, int]
    weights: Any
    cells: Cells
    seconds: dict[int, float]
    to_detector: tuple[NDArray[np.float64], ...]
    boresight: Boresight | None
    notes: tuple[str, ...]


def eexpmap(command: Command, folder: Path, *, sampling: str = "sas", ccf: str | None = None) -> None:
    """Execute an eexpmap command in ``folder``.

    Parameters
    ----------
    command
        ``imageset``, ``attitudeset``, ``eventset``, ``expimageset``, ``pimin``, ``pimax`` (the last three one
        for each band, separated by blanks), ``withvignetting``, ``withdetcoords``, ``attrebin``. Without an event list
        (``eventset`` left out, ``none`` or the image again) the intervals of the image alone are used; with
        ``attitudeset`` ``none`` the pointing of its header, RA_PNT, DEC_PNT and PA_PNT.
    folder
        Holds the inputs under their names; the maps are written here, all or none.
    sampling
        ``sas``: the response is constant in blocks of RAW pixels, as SAS has it; ``pixel``: its value at each pixel.
    ccf
        Folder of calibration files whose XRTn_XAREAEF replaces the packaged vignetting table.

    Raises
    ------
    CommandFailed
        For parameters that cannot be executed.
    InvalidFile
        For an input that is missing, damaged or of another observation, or an output that exists.

    Warns
    -----
    UserWarning
        Once for everything that was not known and had to be assumed; the cards ASSUMEnn hold the same.

    Notes
    -----
    ``E(x, y) = sum over attitudes and CCDs of T * R(E)``, averaged over points in each pixel of the image (4 x 4, and
    16 x 16 at edges): T is the live time of the CCD in the attitude bin, R the response at the mean of pimin and
    pimax, 0 on pixels that do not count. Float32, in s. Each map is the same, byte by byte, as if its band had been
    asked for alone. Where the selection of the image took no event for its place (regions, masks and ranges of
    coordinates in the data subspace) the map is 0, unlike SAS's, which follows times, CCDs and flags only; the card
    PLACES says so.

    References
    ----------
    SAS eexpmap-4.13, https://xmm-tools.cosmos.esa.int/external/sas/current/doc/eexpmap/node9.html.
    """
    eexpmap_many((command,), folder, sampling=sampling, ccf=ccf)


def eexpmap_many(commands: Sequence[Command], folder: Path, *, sampling: str = "sas", ccf: str | None = None) -> None:
    """Execute several eexpmap commands (as of the bands of an exposure) in ``folder``; what they share is read once.

    The maps are those of :func:`eexpmap` one by one, byte for byte; where it fails, no map of any command is written.

    Examples
    --------
    >>> eexpmap_many((), Path("."))
    """
    jobs = [read_job(command, folder) for command in commands]
    names = [name for job in jobs for _, _, name in job.bands]
    if len(set(names)) < len(names):
        raise CommandFailed(commands[0].argv, f"one map would be written twice: {', '.join(sorted(names))}")
    if sampling not in SAMPLINGS:
        problem = f"sampling must be one of {', '.join(SAMPLINGS)}, got {sampling!r}"
        raise CommandFailed(commands[0].argv if commands else ("eexpmap",), problem)
    files, shared = Files(), _Shared(sampling)
    with ExitStack() as stack:
        for job in jobs:
            inputs, geometry = shared.of(job, files)
            table = packaged_table() if ccf is None else ccf_table(Path(ccf), inputs.camera)
            part = looked_at(job.image)
            for note in geometry.notes:
                warn("exposureAssumption", note)
            for lo, hi, name in job.bands:
                path = stack.enter_context(publish(folder / name))
                data = exposure_map(geometry, (lo + hi) / 2, table if job.switch("withvignetting") else None)
                data = data if part is None else data * part
                _write(path, data, _header(job, inputs, geometry, (lo, hi, name), data, (sampling, table.source)))


class _Shared:
    """The last geometry, for the next command if that has the same."""

    def __init__(self, sampling: str) -> None:
        self.sampling = sampling
        self.last: tuple[object, ExposureGeometry] | None = None

    def of(self, job: ExposureMapJob, files: Files) -> tuple[Inputs, ExposureGeometry]:
        """Return what a command is made of and its geometry."""
        from astropy.io.fits import VerifyError

        try:
            inputs = read_inputs(job, files)
        except VerifyError as error:
            raise InvalidFile(job.image.name, f"a header cannot be understood: {error}") from error
        key = _key(job, inputs)
        if self.last is None or self.last[0] != key:
            self.last = (key, exposure_geometry(job, inputs, sampling=self.sampling))
        return inputs, self.last[1]


def _key(job: ExposureMapJob, inputs: Inputs) -> object:
    """Return what a geometry depends on; what stands in the same files is named by these."""
    grid = tuple(str(c) for c in inputs.header.cards if _GRID.fullmatch(c.keyword))
    chips = tuple((n, c.intervals, c.window) for n, c in inputs.chips.items())
    options = (job.events, job.attitude, job.attrebin, job.switch("withdetcoords"))
    return (*options, inputs.camera.name, inputs.oot_fraction, inputs.demands, grid, chips, inputs.notes)


def exposure_geometry(
    job: ExposureMapJob, inputs: Inputs, *, sampling: str = "sas", samples: int = 4
) -> ExposureGeometry:
    """Return what all bands of an exposure share: where each CCD lands on the image, and for how long.

    Each image pixel has ``samples`` points along a side, at edges always 16. InvalidFile if the image is not in the
    coordinates that the command asks for, or no good time has an attitude.
    """
    camera, notes = inputs.camera, list(inputs.notes)
    chips = {chip.number: chip for chip in camera.chips if chip.number in inputs.chips}
    masks = {
        n: chip_mask(camera, n, c.bad, inputs.demands, c.window, c.offsets) for n, c in sorted(inputs.chips.items())
    }
    labels = {n: cell_labels(camera, mask, sampling) for n, mask in masks.items()}
    cells = {n: cells_of(camera, chips[n], sampling) for n in labels}
    firsts = dict(zip(cells, np.cumsum([0, *(c.det_x.size for c in cells.values())]).tolist(), strict=False))
    shape, placed, boresight = _placements(job, inputs, notes)
    views = [
        View(np.asarray(np.linalg.solve(chips[n].matrix, matrix), dtype=np.float64), labels[n], firsts[n], seconds)
        for matrix, times in placed
        for n, seconds in times.items()
        if seconds > 0
    ]
    together = Cells(*(np.concatenate(v) for v in zip(*cells.values(), strict=True)))
    total = {n: sum(times[n] for _, times in placed) for n in labels}
    matrix = weights(shape, views, together.det_x.size, samples)
    return ExposureGeometry(
        camera, shape, matrix, together, total, tuple(m for m, _ in placed), boresight, tuple(notes)
    )


Placement = tuple[NDArray[np.float64], dict[int, float]]


def _placements(
    job: ExposureMapJob, inputs: Inputs, notes: list[str]
) -> tuple[tuple[int, int], list[Placement], Boresight | None]:
    """Return the shape of the image and, for each attitude bin, image to detector and the live time of each CCD."""
    name, track = job.image.name, inputs.track
    if track is None:
        shape, matrix = detector_grid(inputs.header, name)
        whole = np.array([0.0, 1e12])
        times = {n: _live(inputs, n, whole).sum() for n in inputs.chips}
        return shape, [(matrix, {n: float(t) for n, t in times.items()})], None
    if str(inputs.header.get("CTYPE1", "")).startswith("DET"):
        raise InvalidFile(name, "is in detector coordinates: give withdetcoords=yes or an image of X and Y")
    grid: PixelGrid = grid_of(inputs.header, name, measured=False)
    boresight = _boresight(job, inputs, notes)
    edges, records = record_edges(track)
    seconds = {n: _live(inputs, n, edges) for n in inputs.chips}
    there = records >= 0
    held = {
        n: np.bincount(records[there], s[1:-1][there], track.time.size).astype(np.float64) for n, s in seconds.items()
    }
    _note_gaps(job, seconds, held, notes)
    most = np.max(np.stack(list(held.values())), axis=0)
    bins = attitude_bins(track, most, job.attrebin)
    placed: list[Placement] = []
    for b in range(int(bins.max()) + 1):
        chosen = bins == b
        matrix = pixel_to_det(grid, attitude_of(track, chosen, most), boresight)
        placed.append((matrix, {n: float(s[chosen].sum()) for n, s in held.items()}))
    return grid.shape, placed, boresight


def _live(inputs: Inputs, number: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    chip = inputs.chips[number]
    found = seconds_per_piece(chip.intervals, chip.frames, edges) * inputs.oot_fraction
    if chip.frames is None:
        return found * inputs.live_fraction
    return found * (exposure_model()["live_scale"]["mos"] if inputs.camera.is_mos else 1.0)


def _note_gaps(
    job: ExposureMapJob, seconds: dict[int, NDArray[np.float64]], held: dict[int, NDArray[np.float64]], notes: list[str]
) -> None:
    """Note the good time that has no attitude; refuse if all of it has none."""
    name = job.image.name if job.attitude is None else job.attitude.name
    if not any(h.sum() > 0 for h in held.values()):
        if any(s.sum() > 0 for s in seconds.values()):
            raise InvalidFile(name, "covers none of the good time of the image: give the attitude of this observation")
        raise InvalidFile(job.image.name, "no good time is left on any CCD", sas_name="noExposure")
    lost = max(float(seconds[n].sum() - held[n].sum()) for n in held)
    if lost > 0.5:
        notes.append(
            f"{lost:.0f} s of good time without attitude are not counted: events of such times have no X and Y"
        )


def _boresight(job: ExposureMapJob, inputs: Inputs, notes: list[str]) -> Boresight:
    """Return the boresight that the events show, or the constants of the camera."""
    camera = inputs.camera
    if inputs.track is not None and inputs.events is not None:
        fitted = fit_boresight(dict(inputs.events), inputs.track, camera)
        if fitted is not None:
            return fitted
    if job.events is not None:
        notes.append("too few events with X, Y, DETX and DETY to fit the boresight: fixed values (4 arcsec)")
    return Boresight(camera.roll_deg, *camera.pointing)


def exposure_map(geometry: ExposureGeometry, energy_ev: float, table: VignettingTable | None) -> NDArray[np.float32]:
    """Return the exposure map at one energy, shape of the image, float32, in s; 0 where no CCD was exposed.

    Without a vignetting table (None) the response is flat.
    """
    cells = geometry.cells
    inst = np.ones(cells.det_x.size) if table is None else response(geometry.camera, cells, energy_ev, table)
    return np.asarray((geometry.weights @ inst).reshape(geometry.shape), dtype=np.float32)


def _header(
    job: ExposureMapJob,
    inputs: Inputs,
    geometry: ExposureGeometry,
    band: tuple[float, float, str],
    data: NDArray[np.float32],
    made: tuple[str, str],
) -> Any:
    """Return the header of a map: that of the image, as SAS has it, and what is new, before the image keywords."""
    from astropy.io import fits

    lo, hi, name = band
    values = {"pimin": f"{lo:g}", "pimax": f"{hi:g}", "expimageset": name}
    pairs = tuple((key, values.get(key, value)) for key, value in job.command.parameters)
    xproc = to_card(evolve(job.command, parameters=pairs), version="(xphotfn)")
    header = fits.Header()
    cards: list[Any] = [("XPROC0", xproc, ""), ("CREATOR", CREATOR, "name of code"), ("LONGSTRN", "OGIP 1.0", "")]
    copied = [c for c in inputs.header.cards if not _STRUCTURE.fullmatch(c.keyword) and not _MADE.fullmatch(c.keyword)]
    at = next((n for n, c in enumerate(copied) if c.keyword in ("XMMSEP", "SLCTEXPR", "CTYPE1")), len(copied))
    new = _new_cards(job, inputs, geometry, (lo + hi) / 2, data, made)
    known = {card[0] for card in new}
    for card in (*cards, *copied[:at], *new, *copied[at:]):
        if isinstance(card, tuple) or card.keyword not in known:
            header.append(card, end=True)
    return header


def _new_cards(
    job: ExposureMapJob,
    inputs: Inputs,
    geometry: ExposureGeometry,
    energy_ev: float,
    data: NDArray[np.float32],
    made: tuple[str, str],
) -> list[Card]:
    row, column = np.unravel_index(int(np.argmax(data)), data.shape) if inputs.track is not None else (0, 0)  # as SAS
    sampling, source = made
    cards: list[Card] = [
        ("CONTENT", "EPIC EXPOSURE MAP", "Content of file"),
        ("XCEN", float(column), "[X pos. of maximum, from 0]"),
        ("YCEN", float(row), "[Y pos. of maximum, from 0]"),
    ]
    if not inputs.camera.is_mos:
        cards += [
            ("OOTCORR", True, "corrected for out-of-time events"),
            ("OOTFRAC", inputs.oot_fraction, "live and in-time fraction of the mode"),
        ]
    cards += [
        ("SAMPLING", sampling, "response per block (sas) or pixel"),
        ("RESPEV", energy_ev, "[eV] energy of the response"),
        ("ATTBINS", len(geometry.to_detector), "number of attitude bins"),
        ("DETSKY", _boresight_words(geometry.boresight), "orientation of the camera"),
    ]
    if names_places(inputs.header):
        cards.append(("PLACES", "cut as the image", "0 where its selection took no event"))
    notes = list(geometry.notes)
    if job.switch("withvignetting"):
        cards.append(("VIGNTAB", source, "table of the mirror vignetting"))
        if inputs.camera.is_mos:
            cards.append(("RGASLOPE", round(grating_slope(inputs.camera, energy_ev), 9), "[1/arcmin] grating shadow"))
            low, high = fitted_energies()
            if not low <= energy_ev <= high:
                notes.append(f"the grating shadow was fitted from {low:g} to {high:g} eV: nearest value")
    cards += [(f"ASSUME{n:02d}", note, "") for n, note in enumerate(notes, start=1)]
    return cards


def _boresight_words(boresight: Boresight | None) -> str:
    if boresight is None:
        return "none needed"
    return "fit to events" if boresight.events else "constants"


def _write(path: Path, data: NDArray[np.float32], header: Any) -> None:
    from astropy.io import fits

    hdu = fits.PrimaryHDU(data)
    for card in header.cards:
        hdu.header.append(card, end=True)
    hdu.writeto(path, overwrite=True)
