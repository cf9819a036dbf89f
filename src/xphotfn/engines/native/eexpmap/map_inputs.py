"""What an exposure map is made of, read from image, event list and attitude history, with every assumption noted."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.commands.command import Command
from xphotfn.commands.dss import Intervals, Subspace, ranges_of_text
from xphotfn.commands.parameters import resolved
from xphotfn.epic.camera.attitude import AttitudeTrack, pointing_of, read_attitude
from xphotfn.epic.camera.detector import BadPixels, Camera, Demands, Window, camera_named, window_of_mode
from xphotfn.epic.events import Block, EventTable, as_table, chunks, scan, table_data
from xphotfn.epic.exposure_times import intervals_in
from xphotfn.epic.livetime import (
    OOT_FRACTION,
    Frames,
    chip_times,
    named_blocks,
    read_frames,
    subspace_of,
)
from xphotfn.errors import CommandFailed, InvalidFile
from xphotfn.records.good_times import GoodTimes, good_times
from xphotfn.science.live_fraction import LiveFraction, usual_live_fraction
from xphotfn.science.time_bins import inside
from xphotfn.typing import Header

__all__ = ("ChipInput", "ExposureMapJob", "Files", "Inputs", "read_inputs", "read_job")

Notes: TypeAlias = list[str]

_MODES = {
    "mos": ("PrimeFullWindow", "PrimePartialW2", "PrimePartialW3", "PrimePartialW4", "PrimePartialW5",
            "PrimePartialW6", "PrimePartialRFS", "FastUncompressed", "FastCompressed"),
    "pn": tuple(OOT_FRACTION),
}  # fmt: skip
_FILTERS = ("Thin1", "Thin2", "Thin", "Medium", "Thick", "Open", "Closed", "CalClosed", "CalThin1", "CalThin2",
            "CalMedium", "CalThick", "CalOpen")  # fmt: skip
_FITTED_EVENTS = 2**17
_FEWEST_CHOSEN = 1000
_NONE = ("", "none")


class ExposureMapJob(NamedTuple):
    """A command, read: the complete one, its files and its bands ``(pimin, pimax, map)``."""

    command: Command
    image: Path
    attitude: Path | None
    events: Path | None
    bands: tuple[tuple[float, float, str], ...]
    attrebin: float

    def switch(self, name: str) -> bool:
        """Return a boolean parameter."""
        return self.command.parameter(name) == "yes"


class ChipInput(NamedTuple):
    """One CCD: good times, frames (None for 100 %), bad pixels and offset columns (None for unknown), window."""

    intervals: Intervals
    frames: Frames | None
    bad: BadPixels | None
    offsets: NDArray[np.intp] | None
    window: Window | None


class Inputs(NamedTuple):
    """Everything that an exposure map is made of; ``notes`` say what was assumed.

    Good time times ``live_fraction`` is the exposure of a CCD without frames; 1 where the event list has none of them.
    """

    camera: Camera
    header: Any
    oot_fraction: float
    live_fraction: float
    demands: Demands
    chips: Mapping[int, ChipInput]
    track: AttitudeTrack | None
    events: Mapping[str, Any] | None
    notes: tuple[str, ...]


def read_job(command: Command, folder: Path) -> ExposureMapJob:
    """Return a command's files and bands.

    Raises
    ------
    CommandFailed
        If lists of bands and maps differ in length, a band is none, or an output is there already.
    InvalidRecord
        For a parameter that eexpmap does not have or that is missing.
    """
    given = dict(command.parameters)
    if given.get("eventset", "").strip().lower() in _NONE:
        given["eventset"] = "none"
    whole = resolved(evolve(command, parameters=tuple(given.items())))
    lists = [whole.parameter(name).split() for name in ("pimin", "pimax", "expimageset")]
    if len({len(values) for values in lists}) != 1 or not lists[0]:
        counts = ", ".join(f"{len(v)} {n}" for v, n in zip(lists, ("pimin", "pimax", "expimageset"), strict=True))
        raise CommandFailed(command.argv, f"needs one pimin, one pimax and one map for each band, got {counts}")
    try:
        bands = tuple((float(lo), float(hi), name) for lo, hi, name in zip(*lists, strict=True))
    except ValueError as error:
        raise CommandFailed(command.argv, f"pimin and pimax must be numbers in eV: {error}") from error
    for lo, hi, name in bands:
        if not 0 <= lo < hi < np.inf:
            raise CommandFailed(command.argv, f"a band must run upwards in energy, got {lo:g} to {hi:g} eV")
        if (folder / name).exists() or (folder / name).is_symlink():
            raise InvalidFile(name, "exists already and is left as it was: give another name")
    image = whole.parameter("imageset").partition(":")[0]
    events = whole.parameter("eventset").partition(":")[0]
    has_events = events.lower() not in _NONE and events != image
    attrebin = float(whole.parameter("attrebin"))
    if attrebin < 0:
        raise CommandFailed(command.argv, f"attrebin must be 0 arcsec or more, got {attrebin:g}")
    track = whole.parameter("attitudeset").partition(":")[0]
    attitude = None if track.strip().lower() in _NONE else folder / track
    return ExposureMapJob(whole, folder / image, attitude, folder / events if has_events else None, bands, attrebin)


class Files:
    """What the files of some commands hold: commands of one exposure share it, and each part is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Any] = {}

    def once(self, read: Callable[..., Any], *about: object) -> Any:
        """Return ``read(*about)``, from memory if that was asked for before; ``about`` may end with blocks."""
        key = (read, *(a.start if isinstance(a, Block) else id(a) if isinstance(a, tuple) else a for a in about))
        if key not in self._known:
            self._known[key] = (read(*about), about)  # keeps what was asked about, so that ids stay theirs
        return self._known[key][0]


def read_inputs(job: ExposureMapJob, files: Files | None = None) -> Inputs:
    """Return everything that the maps of a command are made of; ``files`` is what other commands have read already.

    InvalidFile for a file that is missing or damaged, of another observation or camera than the image (FileMismatch),
    in a mode that has no image (badDatamode) or is not known, or without any good time (NoGTI).
    """
    files = Files() if files is None else files
    blocks = scan(job.image)
    header = blocks[0].header
    camera = camera_named(str(header.get("INSTRUME", "")), job.image.name)
    notes: Notes = []
    mode = _mode(header, camera, job.image.name, notes)
    events = () if job.events is None else files.once(scan, job.events)
    _check_same(header, job, events)
    subspace = subspace_of(blocks, header, job.image)
    if not subspace:
        notes.append("the image has no data subspace: no flag selection, all CCDs")
    chips = _chips(job, (camera, mode, subspace, header), events, files, notes)
    track = None if job.switch("withdetcoords") else _track(job, header, files, notes)
    if track is not None:
        _check_id(header, track.obs_id, track.name)
        if track.dropped:
            notes.append(f"{track.dropped} attitude records without valid angles are left out")
    if job.switch("usedlimap"):
        notes.append("usedlimap: the map of discarded lines is not used")
    oot = 1.0 if camera.is_mos else OOT_FRACTION[mode]
    demands = _demands(subspace, camera)
    times = good_times(pair for chip in chips.values() for pair in chip.intervals)
    some = None if track is None else files.once(_some_events, job.events, events, times)
    live = usual_live_fraction(camera.name, mode).value if job.events is None else 1.0
    return Inputs(camera, header, oot, live, demands, chips, track, some, tuple(notes))


def _track(job: ExposureMapJob, header: Header, files: Files, notes: Notes) -> AttitudeTrack:
    """Return the attitude history, or the pointing of the image where there is none."""
    if job.attitude is not None:
        track: AttitudeTrack = files.once(read_attitude, job.attitude)
        return track
    notes.append("no attitude history: the pointing of the header (RA_PNT, DEC_PNT, PA_PNT) for all times")
    return pointing_of(header, job.image.name)


def _mode(header: Header, camera: Camera, name: str, notes: Notes) -> str:
    """Return the SUBMODE of an image; refuse what eexpmap refuses."""
    data_mode = str(header.get("DATAMODE", "IMAGING")).strip().upper()
    if data_mode != "IMAGING":
        raise InvalidFile(name, f"DATAMODE is {data_mode}: only IMAGING has exposure maps", sas_name="badDatamode")
    filter_name = str(header.get("FILTER", "")).strip()
    if not filter_name:
        notes.append("no FILTER: open; the map is normalised on axis and does not depend on it")
    elif filter_name not in _FILTERS:
        notes.append(f"FILTER {filter_name} is not known; the map is normalised on axis and does not depend on it")
    known = _MODES[camera.instrument.family]
    mode = str(header.get("SUBMODE", "")).strip()
    if not mode:
        notes.append("no SUBMODE: PrimeFullWindow")
        return "PrimeFullWindow"
    if mode not in known:
        raise InvalidFile(name, f"SUBMODE {mode} is not known for {camera.name}: {', '.join(known)} are")
    return mode


def _check_same(header: Header, job: ExposureMapJob, events: tuple[Block, ...]) -> None:
    if job.events is None:
        return
    other = events[0].header
    _check_id(header, str(other.get("OBS_ID", "")).strip(), job.events.name)
    for key in ("INSTRUME", "EXP_ID"):
        mine, theirs = str(header.get(key, "")).strip(), str(other.get(key, "")).strip()
        if mine and theirs and mine != theirs:
            raise InvalidFile(job.events.name, f"{key} is {theirs}, of the image {mine}", sas_name="FileMismatch")


def _check_id(header: Header, obs_id: str, name: str) -> None:
    mine = str(header.get("OBS_ID", "")).strip()
    if mine and obs_id and mine != obs_id:
        raise InvalidFile(name, f"is of observation {obs_id}, the image of {mine}", sas_name="FileMismatch")


def _demands(subspace: Subspace, camera: Camera) -> Demands:
    """Return what the selection of flags in the data subspace removes beyond the bad pixels.

    Notes
    -----
    ``FLAG == 0`` demands all bits; a mask the bits that are 0 in its text. Bits as the XMMEA_n keywords of event lists
    name them: 1 (MOS) CLOSE_TO_CCD_BORDER, 2 (pn) CLOSE_TO_CCD_WINDOW, 3 and 4 (pn) offset columns and their
    neighbours, 5, 6 and 8 CLOSE_TO_ONBOARD_BADPIX, CLOSE_TO_BRIGHTPIX and CLOSE_TO_DEADPIX.
    """
    zero: set[int] = set()
    for f in subspace[0] if subspace else ():
        if f.axis != "FLAG":
            continue
        if f.kind == "mask":
            text = f.value.lower().removeprefix("b")
            zero |= {len(text) - 1 - at for at, letter in enumerate(text) if letter == "0"}
        else:
            ranges = ranges_of_text(f.value) or ()
            zero |= set(range(32)) if ranges and all(r.lo == r.hi == 0 for r in ranges) else set()
    pn = not camera.is_mos
    return Demands((2 if pn else 1) in zero, 5 in zero, 6 in zero, 8 in zero, pn and 3 in zero, pn and 4 in zero)


def _chips(
    job: ExposureMapJob,
    exposure: tuple[Camera, str, Subspace, Any],
    events: tuple[Block, ...],
    files: Files,
    notes: Notes,
) -> Mapping[int, ChipInput]:
    """Return the CCDs that are exposed, with the documented fallbacks for what is missing."""
    camera, mode, subspace, header = exposure
    path = job.events or job.image
    exposures, bad, standard = (named_blocks(events, stem) for stem in ("EXPOSU", "BADPIX", "STDGTI"))
    gtis = {n: found for n, b in standard.items() if (found := files.once(intervals_in, path, b)) is not None}
    known = sorted({*exposures, *bad, *gtis}) or (
        [4] if mode == "PrimeSmallWindow" else range(1, len(camera.chips) + 1)
    )
    times = chip_times(subspace, gtis, tuple(known), _alone(header, exposures, path))
    numbers = [n for n in times.intervals if n <= len(camera.chips)]
    notes += [*times.notes, *_missing(job, usual_live_fraction(camera.name, mode), numbers, exposures, bad)]
    offsets = {} if camera.is_mos else files.once(_offsets, path, events)
    oot = 1.0 if camera.is_mos else OOT_FRACTION[mode]
    chips: dict[int, ChipInput] = {}
    for n in numbers:
        frames = files.once(_frames, path, exposures[n], oot) if n in exposures else None
        pixels = files.once(_bad_pixels, path, bad[n]) if n in bad else None
        window = _window(exposures.get(n), camera, mode, n)
        chips[n] = ChipInput(times.intervals[n], frames, pixels, offsets.get(n), window)
    return MappingProxyType(chips)


def _missing(
    job: ExposureMapJob,
    live: LiveFraction,
    numbers: Sequence[int],
    exposures: Mapping[int, Block],
    bad: Mapping[int, Block],
) -> Notes:
    """Return what is said of blocks that are missing."""
    if job.events is None:
        return [f"no event list: live time is {live}", "no event list: no bad pixels, fixed boresight (4 arcsec)"]
    notes = []
    for what, there, taken in (("EXPOSU", exposures, "100 %"), ("BADPIX", bad, "no bad pixels")):
        missing = [str(n) for n in numbers if n not in there]
        if missing:
            notes.append(f"no {what} for CCD {', '.join(missing)}: {taken}")
    return notes


def _frames(path: Path, block: Block, oot_fraction: float) -> Frames:
    return read_frames(block, path, oot_fraction)


def _alone(header: Header, exposures: Mapping[int, Block], path: Path) -> Intervals | None:
    """Return one interval as long as the EXPOSURE keyword, from TSTART, the first frame or DATE-OBS on, or None."""
    try:
        seconds = float(header["EXPOSURE"])
    except (KeyError, TypeError, ValueError):
        return None
    starts = [float(header[key]) for key in ("TSTART", "EXPSTART", "OBSSTART") if _is_number(header.get(key))]
    if exposures:
        frames = read_frames(exposures[min(exposures)], path, 1.0)
        starts += [float(frames.time.min())] if frames.time.size else []
    starts += _seconds_of_date(header.get("DATE-OBS"))
    return ((starts[0], starts[0] + seconds),) if starts and seconds > 0 else None


def _seconds_of_date(text: object) -> list[float]:
    """Return a UTC date in XMM's time, seconds since 1998 TT, to 3 s (leap seconds), or nothing."""
    try:
        passed = datetime.fromisoformat(str(text)).replace(tzinfo=UTC) - datetime(1998, 1, 1, tzinfo=UTC)
    except ValueError:
        return []
    return [passed.total_seconds() + 66.0]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bad_pixels(path: Path, block: Block) -> BadPixels:
    table = as_table(path, block)
    if not {"RAWX", "RAWY"} <= set(table.columns):
        raise InvalidFile(path.name, f"{block.name} has the columns {', '.join(table.columns)}, not RAWX and RAWY")
    chunk = table_data(table)

    def column(name: str, default: int) -> NDArray[np.intp]:
        if name in table.columns:
            return np.asarray(chunk.column(name), dtype=np.intp)
        return np.full(table.rows, default, dtype=np.intp)

    return BadPixels(
        *(column(n, d) for n, d in (("RAWX", 0), ("RAWY", 0), ("YEXTENT", 1), ("TYPE", 3), ("BADFLAG", 2)))
    )


def _offsets(path: Path, events: tuple[Block, ...]) -> dict[int, NDArray[np.intp]]:
    """Return the columns with an offset of each CCD of pn."""
    blocks = [b for b in events if b.name.upper() == "OFFSETS"]
    table = as_table(path, blocks[0]) if blocks else None
    if table is None or not {"RAWX", "OFFSETX", "CCDNR"} <= set(table.columns):
        return {}
    chunk = table_data(table)
    x, offset, ccd = (np.asarray(chunk.column(name), dtype=np.intp) for name in ("RAWX", "OFFSETX", "CCDNR"))
    return {int(n): x[(ccd == n) & (offset != 0)] for n in np.unique(ccd)}


def _window(block: Block | None, camera: Camera, mode: str, number: int) -> Window | None:
    """Return the read-out window of a CCD: that of its EXPOSUnn block, else that of the mode."""
    header = {} if block is None else block.header
    values: list[Any] = [header.get(f"WINDOW{name}") for name in ("X0", "Y0", "DX", "DY")]
    if all(_is_number(v) for v in values):
        x0, y0, nx, ny = (int(v) for v in values)
        if x0 >= 1 and y0 >= 1 and nx >= 1 and ny >= 1:
            return x0, y0, min(nx, camera.columns + 1 - x0), min(ny, camera.rows + 1 - y0)
    return window_of_mode(camera, mode, number)


def _some_events(path: Path | None, events: tuple[Block, ...], times: GoodTimes) -> Mapping[str, Any] | None:
    """Return the columns of some events from which the boresight can be fitted, or None.

    They are the first of the image's good time without flags and of one pixel: the same ones whether the list has been
    filtered beforehand or not, so that the map is the same too.
    """
    tables = [b for b in events if b.name.upper() == "EVENTS"]
    if not tables or path is None:
        return None
    table: EventTable = as_table(path, tables[0])
    wanted = ("TIME", "DETX", "DETY", "X", "Y")
    headers = (events[0].header, tables[0].header)
    place = [next((h[key] for h in headers if key in h), None) for key in ("REFXCRVL", "REFYCRVL")]
    if not set(wanted) <= set(table.columns) or table.rows == 0 or not all(_is_number(v) for v in place):
        return None
    columns = _chosen(table, wanted, times)
    if columns["TIME"].size < _FEWEST_CHOSEN:  # of flagged events alone, such as those of the corners
        chunk = next(chunks(table, _FITTED_EVENTS))
        columns = {name: np.array(chunk.column(name), dtype=np.float64) for name in wanted}
    return columns | {"RA": float(place[0]), "DEC": float(place[1])}  # type: ignore[arg-type]  # both are numbers


def _chosen(table: EventTable, wanted: tuple[str, ...], times: GoodTimes) -> dict[str, Any]:
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in wanted}
    left = _FITTED_EVENTS
    for chunk in chunks(table):
        chosen = inside(np.asarray(chunk.column("TIME"), dtype=np.float64), times.intervals)
        for name in {"FLAG", "PATTERN"} & set(table.columns):
            chosen &= chunk.column(name) == 0
        rows = np.flatnonzero(chosen)[:left]
        for name, parts in found.items():
            parts.append(np.asarray(chunk.column(name).take(rows), dtype=np.float64))
        left -= rows.size
        if left <= 0:
            break
    return {name: np.concatenate(parts) for name, parts in found.items()}
