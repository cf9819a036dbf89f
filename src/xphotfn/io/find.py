"""What is on disk: the observations below a folder, from headers alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attrs import evolve

from xphotfn.errors import InvalidFile
from xphotfn.io.layout import compile_layout, hint_of
from xphotfn.io.recognise import PRODUCTS, Recognised, obs_ids_in_path, recognise
from xphotfn.io.tree import TreeFile, files_below
from xphotfn.records.instrument import INSTRUMENTS
from xphotfn.records.observation import Exposure, FoundFile, FoundProduct, Observation

__all__ = ("find_observations",)

_UNKNOWN_EXPOSURE = "X000"  # as the pipeline names what belongs to no single exposure
_SINGLE = ("attitude", "regions", "cif")


def find_observations(
    root: str | Path, *, layout: Mapping[str, str | Sequence[str]] | None = None, progress: bool = False
) -> tuple[Observation, ...]:
    """Return the XMM-Newton observations below a folder, from the headers of its files alone.

    Parameters
    ----------
    root
        A folder; it is searched with all folders in it, plain, ``.gz`` and ``.FTZ`` files.
    layout
        Where files are and what their names mean, for trees whose headers do not say: kind of file (image,
        exposure_map, events, attitude, cif, regions) to one template or several, relative to ``root``. Fields are
        ``{obs_id}``, ``{instrument}``, ``{exposure_id}``, ``{lo}`` and ``{hi}`` (keV); ``*`` stands for any part of a
        name. A template decides what a file is and fills in what its header lacks; other files are recognised as
        without it. XGA's tree, for example::

            {
                "image": "{obs_id}/{obs_id}-{lo}-{hi}keV-{instrument}_merged_img.fits",
                "exposure_map": "{obs_id}/{obs_id}-{lo}-{hi}keV-{instrument}_merged_expmap.fits",
                "events": "{obs_id}/{instrument}_exp1_clean_evts.fits",
                "attitude": "{obs_id}/attitude.fits",
                "regions": "regions/{obs_id}/regions.reg",
            }
    progress
        Show a progress bar on a terminal where it takes longer than a second.

    Returns
    -------
    tuple of Observation
        Sorted by ObsID. What was left out and why is in ``notes``.

    Raises
    ------
    InvalidFile
        If the folder is missing, is a file, or holds nothing that can be used; the message says what it holds.
    InvalidRecord
        If a template has an unknown kind or field.

    Notes
    -----
    A file is, by its header: an exposure map (CONTENT or CREATOR), else an image (HDUCLAS1), else an event list (an
    EVENTS table), else the attitude (ATTHK) or the calibration index (CALINDEX). Mosaics, masks, background maps, other
    instruments and all other files are ignored. Region files (``.reg``, ``.ds9``), calibration indices and files whose
    header names no ObsID belong to the ObsID in their name or in that of the nearest folder.

    Of several exposures of a camera the longest is used; its images and exposure maps are those with its EXPIDSTR.
    Where two files would be the same product, the one with the shortest name is used, then the first in alphabetical
    order; an event list that is already filtered goes before one that is not. Damaged and cut short files, files taken
    with the filter closed, and event lists in timing mode are left out.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> root = Path(tempfile.mkdtemp())
    >>> header = fits.Header({"OBS_ID": "0404910601", "INSTRUME": "EPN", "EXPIDSTR": "S003", "RA_PNT": 149.59,
    ...     "DEC_PNT": -11.09, "FILTER": "Thin1"})
    >>> column = fits.Column(name="PI", format="I", array=[1000])
    >>> events = fits.BinTableHDU.from_columns([column], name="EVENTS", header=header)
    >>> fits.HDUList([fits.PrimaryHDU(), events]).writeto(root / "events.fits")
    >>> [(o.obs_id, o.instruments, o.exposures[0].exposure_id) for o in find_observations(root)]
    [('0404910601', ('pn',), 'S003')]
    """
    templates = compile_layout(layout)
    files, problems = files_below(root)
    if not files:
        raise InvalidFile(str(root), "holds no file: give the folder that holds the observations")
    with_bar = _with_bar(files) if progress else files
    found = [item for file in with_bar if (item := recognise(file, hint_of(templates, file.relative)))]
    observations = _observations(_owned(found), problems)
    if not any(observation.exposures for observation in observations):
        raise InvalidFile(str(root), _nothing(files, found))
    return observations


def _with_bar(files: Sequence[TreeFile]) -> Iterable[TreeFile]:
    from tqdm import tqdm

    bar: Iterable[TreeFile] = tqdm(files, desc="reading headers", unit="file", disable=None, leave=False, delay=1.0)
    return bar


def _nothing(files: Sequence[TreeFile], found: Sequence[Recognised]) -> str:
    """Say what a folder without observations holds."""
    endings: dict[str, int] = defaultdict(int)
    for file in files:
        endings["." + file.name.removesuffix(".gz").rpartition(".")[2] if "." in file.name else "no ending"] += 1
    seen = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items(), key=lambda e: -e[1])[:5])
    problems = [f"{item.file.relative} {item.problem}" for item in found if item.problem]
    more = f"; {len(problems) - 5} more" if len(problems) > 5 else ""
    left_out = f"; left out: {'; '.join(problems[:5])}{more}" if problems else ""
    return (
        f"holds no EPIC event list, image or exposure map that can be used, among {len(files)} files ({seen})"
        f"{left_out}. "
        "Give the folder of the observations, or layout= where headers do not say what a file is"
    )


def _owned(found: Sequence[Recognised]) -> dict[str, list[Recognised]]:
    """Return the files of each ObsID; those that nobody owns are under an empty one."""
    known = {item.obs_id for item in found if item.obs_id and item.instrument}
    of_folder = defaultdict(set)
    for item in found:
        if item.obs_id in known:
            of_folder[item.file.folder].add(item.obs_id)
    owned: dict[str, list[Recognised]] = defaultdict(list)
    for item in found:
        owner = item.obs_id if item.obs_id in known else _owner_by_path(item.file, known, of_folder)
        owned[owner].append(item)
    return owned


def _owner_by_path(file: TreeFile, known: set[str], of_folder: Mapping[str, set[str]]) -> str:
    """Return the known ObsID in a file's name or nearest folder, else the only one of its folder, else nothing."""
    for obs_id in obs_ids_in_path(file):
        if obs_id in known:
            return obs_id
    around = of_folder.get(file.folder, set())
    return next(iter(around)) if len(around) == 1 else ""


def _observations(owned: Mapping[str, list[Recognised]], problems: Sequence[str]) -> tuple[Observation, ...]:
    """Return the observations; the first one's notes also tell of what belongs to none."""
    lost = [*problems, *(_left_out(item, "belongs to no ObsID that was found") for item in owned.get("", []))]
    result = []
    for obs_id in sorted(owned.keys() - {""}):
        made = _observation(obs_id, owned[obs_id])
        if made is None:
            lost.append(f"{obs_id} left out: no header gives its pointing (RA_PNT, DEC_PNT)")
        else:
            result.append(made)
    if lost and result:
        result[0] = evolve(result[0], notes=(*result[0].notes, *lost))
    return tuple(result)


def _left_out(item: Recognised, reason: str) -> str:
    return f"{item.file.relative} left out: {item.problem or reason}"


def _observation(obs_id: str, items: Sequence[Recognised]) -> Observation | None:
    notes = [_left_out(item, "") for item in items if item.problem]
    usable = [item for item in items if not item.problem]
    exposures = []
    for camera in INSTRUMENTS:
        mine = [item for item in usable if item.instrument == camera.name]
        exposures += _longest(camera.name, mine, notes)
    singles = {kind: _one([item for item in usable if item.kind == kind], notes) for kind in _SINGLE}
    by_camera = sorted((i for i in items if i.instrument), key=lambda i: (bool(i.problem), _order(i.instrument)))
    pointing = next((at for item in by_camera if (at := item.pointing)), None)
    if pointing is None:
        return None
    return Observation(
        obs_id=obs_id,
        ra_deg=pointing[0],
        dec_deg=pointing[1],
        object_name=next((item.object_name for item in by_camera if item.object_name), ""),
        date=min((item.date for item in by_camera if item.date), default=""),
        exposures=tuple(exposures),
        attitude=_file(singles["attitude"]),
        regions=_file(singles["regions"]),
        cif=_file(singles["cif"]),
        notes=notes,
    )


def _order(camera: str) -> int:
    return [instrument.name for instrument in INSTRUMENTS].index(camera)


def _file(item: Recognised | None) -> FoundFile | None:
    return None if item is None else item.file.file


def _one(items: Sequence[Recognised], notes: list[str]) -> Recognised | None:
    """Return the file to use of several for one place, and note the others."""
    if not items:
        return None
    chosen, *others = sorted(items, key=lambda item: (item.kind == "events" and not item.filtered, item.file.rank))
    what = chosen.kind.replace("_", " ") if chosen.band is None else f"{chosen.kind.replace('_', ' ')} {chosen.band}"
    notes += [_left_out(item, f"{chosen.file.relative} is the same ({what})") for item in others]
    return chosen


def _longest(camera: str, items: Sequence[Recognised], notes: list[str]) -> list[Exposure]:
    """Return the longest exposure of a camera in a list, which is empty where there is none, and note the others."""
    named = {item.exposure_id for item in items if item.exposure_id}
    default = next(iter(named)) if len(named) == 1 else "" if named else _UNKNOWN_EXPOSURE
    groups: dict[str, list[Recognised]] = defaultdict(list)
    for item in items:
        name = item.exposure_id or default
        if name:
            groups[name].append(item)
        else:
            notes.append(_left_out(item, f"does not say which of {', '.join(sorted(named))} it belongs to (EXPIDSTR)"))
    made = [_exposure(camera, name, groups[name], notes) for name in sorted(groups)]
    if not made:
        return []
    best = min(made, key=lambda exposure: (-exposure.exposure_s, exposure.exposure_id))
    notes += [
        f"{camera} {other.exposure_id} left out: {other.exposure_s:.0f} s, "
        f"{best.exposure_id} is used with {best.exposure_s:.0f} s"
        for other in made
        if other is not best
    ]
    return [best]


def _exposure(camera: str, name: str, items: Sequence[Recognised], notes: list[str]) -> Exposure:
    events = _one([item for item in items if item.kind == "events"], notes)
    chosen = []
    for kind in PRODUCTS:
        mine = [item for item in items if item.kind == kind]
        for band in sorted({item.band for item in mine if item.band}, key=lambda b: (b.lo_ev, b.hi_ev)):
            chosen.append(_one([item for item in mine if item.band == band], notes))
    kept = [item for item in chosen if item is not None]
    leading = events or max(kept, key=lambda item: item.exposure_s)
    return Exposure(
        instrument=camera,
        exposure_id=name,
        filter=leading.filter,
        submode=leading.submode,
        exposure_s=leading.exposure_s,
        events=_file(events),
        filtered=leading.filtered,
        products=tuple(_found_product(item) for item in kept),
    )


def _found_product(item: Recognised) -> FoundProduct:
    if item.band is None or item.grid is None:
        raise InvalidFile(item.file.file.path, "has no band or grid")
    return FoundProduct(kind=item.kind, band=item.band, grid=item.grid, file=item.file.file)
