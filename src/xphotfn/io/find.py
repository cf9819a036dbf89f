"""What is on disk: the observations below a folder, from headers alone."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeAlias, final

from attrs import evolve, field, frozen
from toolz import groupby

from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.html import record_html
from xphotfn.io.bars import check_progress, progress_bar
from xphotfn.io.closer import looked_at_closely
from xphotfn.io.layout import compile_layout, hint_of
from xphotfn.io.recognise import is_filtered, obs_ids_in_path, recognise
from xphotfn.io.region_use import pixel_note
from xphotfn.io.tree import TreeFile, expanded, files_below
from xphotfn.records.band import Band
from xphotfn.records.facts import PRODUCTS, FileFacts
from xphotfn.records.fields import items as as_tuple
from xphotfn.records.instrument import CAMERAS
from xphotfn.records.left_out import LeftOut
from xphotfn.records.observation import Exposure, FoundProduct, Observation
from xphotfn.records.several import Several
from xphotfn.science.identity import Decision, decide, left_out, rivals, same_times

__all__ = ("Inventory", "find_observations", "inventory")

Layout: TypeAlias = Mapping[str, str | Sequence[str]] | None
Prefer: TypeAlias = str | Path | Sequence[str | Path]
_USUAL = Band(lo_ev=200, hi_ev=10_000)  # what whole lists hold at least
_SINGLE = ("attitude", "regions", "cif")
_EXPOSURE = re.compile(r"[SUXsux][0-9]{3}")
_BY_NAME = 2  # FileFacts.chosen of a file that prefer names


@final
@frozen(kw_only=True)
class Inventory:
    """What is below a folder: the observations, and every file that none of them uses.

    Parameters
    ----------
    observations
        Sorted by ObsID.
    left_out
        The other files with the reason, sorted by ObsID and path; those of no observation first.
    """

    observations: tuple[Observation, ...] = field(converter=as_tuple)
    left_out: tuple[LeftOut, ...] = field(default=(), converter=as_tuple)

    def _repr_html_(self) -> str:
        return record_html(self)


def find_observations(
    root: str | Path, *, layout: Layout = None, prefer: Prefer = (), progress: bool = False
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
    prefer
        Files to use where several are for one place: names, paths, or patterns such as ``"*_clean.fits"``, below
        ``root``. An exposure such as ``"S001"`` leaves out the other exposures of the cameras that have it.
    progress
        Show a progress bar on a terminal where it takes longer than a second.

    Returns
    -------
    tuple of Observation
        Sorted by ObsID. What of EPIC was left out and why is in ``left_out``, as texts in ``notes``; :func:`inventory`
        tells of every file.

    Raises
    ------
    InvalidFile
        If the folder is missing, is a file, or holds nothing that can be used; the message says what it holds.
    InvalidRecord
        If a template has an unknown kind or field, or ``progress`` is no switch.

    Notes
    -----
    A file is, by its header: an exposure map (CONTENT or CREATOR), else an image (HDUCLAS1), else an event list (an
    EVENTS table), else the attitude (ATTHK) or the calibration index (CALINDEX). Of an image of real numbers pixels are
    read: only whole counts are an image. Region files (``.reg``, ``.ds9``, the pipeline's ``*REGION*.ASC``),
    calibration indices and files whose header names no ObsID belong to the ObsID in their name or in that of the
    nearest folder; where that ObsID has no file of a camera here they are left out.

    Where several files are for one place (an event list of an exposure, an image or exposure map of an exposure and a
    band, the attitude, the regions, the calibration index of an observation), the data are looked at, and one rule
    decides: what ``prefer`` or ``layout`` names; equal data are the same; an image goes with an exposure map of its
    pixels; the file that holds all that the other holds, and more. Where nothing decides, none is used, and the notes
    name all of them (``undecided``). Neither names nor the order of files count.

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
    return Several(inventory(root, layout=layout, prefer=prefer, progress=progress).observations)


def inventory(root: str | Path, *, layout: Layout = None, prefer: Prefer = (), progress: bool = False) -> Inventory:
    """Return the observations below a folder, and every file that is not used with the reason.

    Parameters
    ----------
    root, layout, prefer, progress
        As :func:`find_observations`.

    Returns
    -------
    Inventory
        Each file of the folder is used by one of the observations or stands in ``left_out``.

    Raises
    ------
    InvalidFile, InvalidRecord
        As :func:`find_observations`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import xphotfn as xp
    >>> from xphotfn.testing import default_scene, simulate_observations
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = simulate_observations(root, products=("image",))
    >>> _ = (root / "notes.txt").write_text("hello")
    >>> [str(item) for item in xp.inventory(root).left_out if item.file == "notes.txt"]
    ['notes.txt left out: is no FITS file']
    """
    check_progress(progress)
    templates = compile_layout(layout)
    files, problems = files_below(root)
    if not files:
        raise InvalidFile(str(root), "holds no file: give the folder that holds the observations")
    named = _Preferred(prefer, root, files)
    with_bar = _with_bar(files) if progress else files
    found = [named.mark(recognise(file, hint_of(templates, file.relative))) for file in with_bar]
    broken = [LeftOut(file=name, reason="unreadable", detail=why) for name, why in problems]
    observations, lost = _observations(_owned(_curves_of_lists(found)), named.exposures, broken)
    _check_exposures(named.exposures, root, observations, lost)
    if not any(observation.exposures for observation in observations):
        raise InvalidFile(str(root), _nothing(files, lost))
    return Inventory(observations=observations, left_out=sorted(lost, key=lambda item: (item.obs_id, item.file)))


def _check_exposures(
    wanted: Iterable[str], root: str | Path, observations: Iterable[Observation], lost: Iterable[LeftOut]
) -> None:
    """Refuse to prefer an exposure that is not there."""
    there = {e.exposure_id for o in observations for e in o.exposures} | {item.exposure_id for item in lost}
    for name in wanted:
        if name not in there:
            names = ", ".join(sorted(there - {""})) or "none"
            raise InvalidRecord(f"there is no exposure {name!r} below {root} to be preferred: there are {names}")


def _curves_of_lists(found: Sequence[FileFacts]) -> list[FileFacts]:
    """Return the files, those light curves of flares left out that go with no event list."""

    def whose(item: FileFacts) -> tuple[str, str, str]:
        return item.obs_id, item.instrument, item.exposure_id

    lists = {whose(item) for item in found if item.kind == "events" and not item.reason}
    return [
        item
        if item.kind != "flare_curve" or whose(item) in lists
        else evolve(item, kind="", reason="other_kind", detail="a light curve of flares without its event list")
        for item in found
    ]


class _Preferred:
    """The files and exposures that the user names."""

    def __init__(self, prefer: Prefer, root: str | Path, files: Sequence[TreeFile]) -> None:
        given = [str(item) for item in ((prefer,) if isinstance(prefer, str | Path) else prefer)]
        self.exposures = [item.upper() for item in given if _EXPOSURE.fullmatch(item)]
        top = expanded(root).absolute()
        self.names: set[str] = set()
        for item in given:
            if not _EXPOSURE.fullmatch(item):
                pattern = str(Path(item).relative_to(top)) if Path(item).is_relative_to(top) else item
                if not PurePosixPath(pattern).parts:
                    raise InvalidRecord(f"{item!r} names no file to be preferred: give a name, a path or a pattern")
                mine = {file.relative for file in files if PurePosixPath(file.relative).match(pattern)}
                if not mine:
                    raise InvalidRecord(f"{item!r}, to be preferred, is no file below {root}: give one that is there")
                self.names |= mine

    def mark(self, facts: FileFacts) -> FileFacts:
        return evolve(facts, chosen=_BY_NAME) if facts.name in self.names else facts


def _with_bar(files: Sequence[TreeFile]) -> Iterable[TreeFile]:
    bar: Iterable[TreeFile] = progress_bar(files, desc="reading headers", unit="file", delay=1.0)
    return bar


def _nothing(files: Sequence[TreeFile], lost: Sequence[LeftOut]) -> str:
    """Say what a folder without observations holds."""
    endings = Counter(
        "." + file.name.removesuffix(".gz").rpartition(".")[2] if "." in file.name else "no ending" for file in files
    )
    seen = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items(), key=lambda e: -e[1])[:5])
    problems = [f"{item.file} {item.why}" for item in lost if item.reason != "other_kind"]
    more = f"; {len(problems) - 5} more" if len(problems) > 5 else ""
    left_out = f"; left out: {'; '.join(problems[:5])}{more}" if problems else ""
    return (
        f"holds no EPIC event list, image or exposure map that can be used, among {len(files)} files ({seen})"
        f"{left_out}. "
        "Give the folder of the observations, or the option layout where headers do not say what a file is"
    )


def _owned(found: Sequence[FileFacts]) -> dict[str, list[FileFacts]]:
    """Return the files of each ObsID; those that nobody owns are under an empty one."""
    known = {item.obs_id for item in found if item.obs_id and item.instrument and item.kind}
    of_folder = defaultdict(set)
    for item in found:
        if item.obs_id in known:
            of_folder[item.folder].add(item.obs_id)

    def of_its_owner(item: FileFacts) -> FileFacts:
        said = item.obs_id in known or (item.obs_id and item.kind in _SINGLE)
        owner = (item.obs_id if item.obs_id in known else "") if said else _owner_by_path(item, known, of_folder)
        return item if item.obs_id == owner else evolve(item, obs_id=owner)

    return dict(groupby(lambda item: item.obs_id, map(of_its_owner, found)))


def _owner_by_path(item: FileFacts, known: set[str], of_folder: Mapping[str, set[str]]) -> str:
    """Return the ObsID in a file's name or nearest folder, if it is known, else the only one of its folder.

    A file that names another ObsID belongs to nobody here.
    """
    for part in reversed(PurePosixPath(item.name).parts):
        if named := obs_ids_in_path(part):
            return next((obs_id for obs_id in named if obs_id in known), "")
    for obs_id in obs_ids_in_path(item.file.path):
        if obs_id in known:
            return obs_id
    around = of_folder.get(item.folder, set())
    return next(iter(around)) if len(around) == 1 else ""


def _observations(
    owned: Mapping[str, list[FileFacts]], exposures: Sequence[str], broken: Sequence[LeftOut]
) -> tuple[tuple[Observation, ...], list[LeftOut]]:
    """Return the observations, whose notes tell of files of EPIC, and all that is left out.

    The first observation also tells of what belongs to none.
    """
    lost = [*broken, *(left_out(item, item.reason or "no_observation") for item in owned.get("", []))]
    result, left = [], list(lost)
    for obs_id in sorted(owned.keys() - {""}):
        items = owned[obs_id]
        close = {id(item): looked_at_closely(item) for item in rivals(items)}
        decision = decide([close.get(id(item), item) for item in items], exposures)
        left += decision.left_out
        pointing = next((at for item in _by_camera(items) if (at := item.pointing)), None)
        if pointing is None:
            lost += [left_out(item, "no_pointing") for item in decision.used]
            left += [left_out(item, "no_pointing") for item in decision.used]
        else:
            result.append(_observation(obs_id, items, decision, pointing))
    if lost and result:
        result[0] = evolve(result[0], left_out=(*result[0].left_out, *_of_epic(lost)))
    return tuple(result), left


def _of_epic(items: Iterable[LeftOut]) -> list[LeftOut]:
    return [item for item in items if item.reason != "other_kind"]


def _order(camera: str) -> int:
    return CAMERAS.index(camera)


def _by_camera(items: Iterable[FileFacts]) -> list[FileFacts]:
    """Return the files of cameras: those that can be used first, in the order of the cameras, then by what they say."""
    mine = [item for item in items if item.instrument and item.kind]
    return sorted(
        mine, key=lambda i: (bool(i.reason), _order(i.instrument), i.exposure_id, str(i.pointing), i.object_name)
    )


def _observation(
    obs_id: str, items: Sequence[FileFacts], decision: Decision, pointing: tuple[float, float]
) -> Observation:
    singles = {item.kind: item.file for item in decision.used if item.kind in _SINGLE}
    by_camera = _by_camera(items)
    made = Observation(
        obs_id=obs_id,
        ra_deg=pointing[0],
        dec_deg=pointing[1],
        object_name=next((item.object_name for item in by_camera if item.object_name), ""),
        date=min((item.date for item in by_camera if item.date), default=""),
        exposures=_exposures(decision),
        attitude=singles.get("attitude"),
        regions=singles.get("regions"),
        cif=singles.get("cif"),
        left_out=(*_of_epic(decision.left_out), *(note for item in decision.used for note in _part_note(item))),
    )
    pixels = [note for item in decision.used if item.kind == "regions" and (note := pixel_note(made, item.name))]
    return evolve(made, left_out=(*made.left_out, *pixels)) if pixels else made


def _part_note(item: FileFacts) -> tuple[LeftOut, ...]:
    """Return what an event list that is used does not hold: energies that were cut, places that were cut out."""
    energies, places = item.subspace.energies, item.subspace.places
    said = [] if energies.contains(_USUAL) else [str(energies)]
    said += ["what lies outside of its regions was cut"] if places else []
    if item.kind != "events" or not said:
        return ()
    note = LeftOut(
        file=item.name,
        reason="part",
        obs_id=item.obs_id,
        instrument=item.instrument,
        exposure_id=item.exposure_id,
        kind="events",
        detail="; ".join(said),
    )
    return (note,)


def _exposures(decision: Decision) -> list[Exposure]:
    """Return the exposures of each camera; one of which nothing is decided yet is there, without its files."""
    mine = [item for item in decision.used if item.instrument]
    open_ones = [note for note in decision.left_out if note.reason == "undecided" and note.instrument]
    names = {(item.instrument, item.exposure_id) for item in mine}
    names |= {(note.instrument, note.exposure_id) for note in open_ones}
    return [
        _exposure(camera, name, [item for item in mine if (item.instrument, item.exposure_id) == (camera, name)])
        for camera, name in sorted(names, key=lambda pair: (_order(pair[0]), pair[1]))
    ]


def _exposure(camera: str, name: str, items: Sequence[FileFacts]) -> Exposure:
    events = next((item for item in items if item.kind == "events"), None)
    products = [item for item in items if item.kind in PRODUCTS]
    if events is None and not products:  # nothing is decided yet
        return Exposure(instrument=camera, exposure_id=name)
    leading = events or max(products, key=lambda item: (item.exposure_s, item.filter, item.submode))
    return Exposure(
        instrument=camera,
        exposure_id=name,
        filter=leading.filter,
        submode=leading.submode,
        exposure_s=leading.exposure_s,
        events=None if events is None else events.file,
        filtered=events is not None and is_filtered(camera, events.subspace),
        cut=events is not None and events.cut,
        flare_curve=next((item.file for item in items if item.kind == "flare_curve"), None),
        products=sorted(
            (_found_product(item, events) for item in products),
            key=lambda p: (PRODUCTS.index(p.kind), p.band.lo_ev, p.band.hi_ev),
        ),
        **({} if events is None else {"subspace": events.subspace}),
    )


def _found_product(item: FileFacts, events: FileFacts | None) -> FoundProduct:
    if item.band is None or item.grid is None:
        raise InvalidFile(item.file.path, "has no band or grid")
    return FoundProduct(
        kind=item.kind,
        band=item.band,
        grid=item.grid,
        file=item.file,
        subspace=item.subspace,
        whole_list=events is None or same_times(events, item),
    )
