"""What one file holds, from its headers first, and from its data where headers lie."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from xphotfn.commands.conditions import is_unplaced, subspace_of
from xphotfn.commands.pps_names import parse_pps_name
from xphotfn.commands.task_rows import BOOLEANS
from xphotfn.commands.time_cut import time_ranges, times_are_cut
from xphotfn.commands.xproc import card_parameters
from xphotfn.errors import ExpressionError, InvalidFile, InvalidRecord, UnitMismatch
from xphotfn.io.blocks import UNREADABLE
from xphotfn.io.cards import MOST_FIELDS, Cards
from xphotfn.io.closer import holds_whole_counts, share_outside_field
from xphotfn.io.exposure_units import exposure_unit
from xphotfn.io.file_energies import band_of_product, energies_of
from xphotfn.io.fits import read_headers
from xphotfn.io.headers import grid_of, is_exposure_map, is_mosaic, on_times
from xphotfn.io.layout import Hint
from xphotfn.io.source_lists import is_source_list
from xphotfn.io.tree import TreeFile
from xphotfn.io.vignetting_card import has_vignetting
from xphotfn.records.energies import Energies
from xphotfn.records.facts import PRODUCTS, FileFacts
from xphotfn.records.instrument import instrument
from xphotfn.records.subspace import Subspace

__all__ = ("is_filtered", "obs_ids_in_path", "recognise")

Said = dict[str, Any]

_OBS_ID = re.compile(r"(?<![0-9])[0-9]{10}(?![0-9])")
_FITS_NAME = re.compile(r".*\.(?:fits?|fts|ftz|fz|ds|cif|img|evts?)(?:\.gz)?", re.IGNORECASE)
_REGION_NAME = re.compile(r".*\.(?:reg|ds9)", re.IGNORECASE)
_OUT_OF_TIME = re.compile(r"OOEVLI|evcoot|[-_]oot(?:[-_.:]|\Z)", re.IGNORECASE)
_MODELS = ("esplinemap", "esensmap", "easmooth", "asmooth", "eboxdetect", "emldetect")
_MASKS = ("emask", "cheese")
_EMPTY_FILTERS = ("closed", "calclosed")
_TABLES = {"EVENTS": "events", "ATTHK": "attitude", "CALINDEX": "cif"}
_OTHER_TABLES = {
    "RATE": "a light curve",
    "STDGTI": "good time intervals",
    "REGION": "a table of regions",
    "SRCREG": "a table of regions",
    "SRCLIST": "a source list",
    "SPECTRUM": "a spectrum",
    "MATRIX": "a response matrix",
    "SPECRESP": "an effective area",
    "OFFSETS": "offsets of CCDs",
}
_OF_OTHERS = "an event list, image or exposure map of no camera of EPIC"
_MOSTLY = 0.5
_TIMES = ("EXPOSURE", "ONTIME", "LIVETIME")
_OWN_REGIONS, _SUMMARY, _SOURCES, _DRAWN_REGIONS = range(4)  # ranks of region files: the first that is there is used


def recognise(file: TreeFile, hint: Hint) -> FileFacts:
    """Return what a file holds; ``hint`` is what a template says of it."""
    rank = _region_rank(file, hint)
    if rank is not None:
        return _facts(file, hint, kind="regions", rank=rank, obs_id=hint.obs_id)
    try:
        headers = read_headers(file.file.path, complete=True)
    except InvalidFile as error:
        told = bool(hint.kind) or _FITS_NAME.fullmatch(file.name) is not None
        reason, detail = ("unreadable", error.problem) if told else ("other_kind", "no FITS file")
        return _facts(file, hint, reason=reason, detail=detail, obs_id=hint.obs_id)
    try:
        return _of_headers(file, headers, hint)
    except InvalidFile as error:
        why = error.problem
    except UNREADABLE as error:  # a header of others may hold anything, and must not take the whole folder
        why = f"has a header that cannot be understood ({' '.join(str(error).split())})"
    return _facts(file, hint, reason="unreadable", detail=why, obs_id=hint.obs_id)


def _facts(file: TreeFile, hint: Hint, **said: Any) -> FileFacts:
    return FileFacts(name=file.relative, file=file.file, chosen=int(bool(hint.kind)), **said)


def _region_rank(file: TreeFile, hint: Hint) -> int | None:
    if hint.kind:
        return _OWN_REGIONS if hint.kind == "regions" else None
    if _REGION_NAME.fullmatch(file.name):
        return _OWN_REGIONS
    pps = parse_pps_name(file.name)
    return _DRAWN_REGIONS if pps is not None and (pps.product, pps.extension) == ("REGION", "ASC") else None


class _Cards:
    """Keywords looked up in the header of a table first, then in the primary header."""

    def __init__(self, headers: tuple[Cards, ...]) -> None:
        self.headers = headers[::-1]

    def __call__(self, name: str, default: Any = None) -> Any:
        for header in self.headers:
            value = header.get(name)
            if value is not None and value != "":
                return value
        return default

    def text(self, name: str) -> str:
        return str(self(name, ""))

    def number(self, name: str) -> float | None:
        value = self(name)
        return float(value) if isinstance(value, (int, float)) and abs(value) < float("inf") else None


def _of_headers(file: TreeFile, headers: tuple[Cards, ...], hint: Hint) -> FileFacts:
    kind, main = _kind(headers)
    if not (kind or hint.kind) and _is_source_list(headers[-1]):
        pps = parse_pps_name(file.name)
        rank = _SUMMARY if pps is not None and pps.product == "OBSMLI" else _SOURCES
        obs_id = _obs_id(_Cards((headers[0], main)))
        return _facts(file, hint, kind="regions", rank=rank, obs_id=obs_id)
    kind = hint.kind or kind
    look = _Cards((headers[0], main) if main is not headers[0] else (main,))
    said: Said = {"kind": kind, "obs_id": _obs_id(look) or hint.obs_id}
    if not kind:
        return _facts(file, hint, **said, **_camera_of(look), **_other(headers))
    if kind == "flare_curve" and _camera_of(look):
        return _facts(file, hint, **said, **_camera_of(look), exposure_id=_exposure_id(look, file, hint))
    if kind == "flare_curve":
        return _facts(file, hint, obs_id=said["obs_id"], reason="other_kind", detail=_OTHER_TABLES["RATE"])
    if kind not in (*PRODUCTS, "events"):
        rows = main.whole("NAXIS2") if kind == "attitude" else 0
        return _facts(file, hint, **said, rows=rows)
    said |= _observed(look, file, hint)
    said["obs_id"] = said["obs_id"] or next(iter(obs_ids_in_path(file.file.path)), "")
    camera = _camera_of(look) or _camera_of_hint(hint)
    reason, detail = _unusable(kind, look, headers[0], main)
    if not camera and not _is_epic(look):
        reason, detail = ("no_camera", look.text("INSTRUME")) if hint.kind else ("other_kind", _OF_OTHERS)
    elif not camera and not reason:
        is_model = kind == "image" and not holds_whole_counts(file.file.path, main)
        reason, detail = ("model", "") if is_model else ("no_camera", look.text("INSTRUME"))
    if reason:
        return _facts(file, hint, **said, **camera, reason=reason, detail=detail)
    said |= camera
    said |= {
        "on_times": on_times(look.headers, of_list=kind == "events"),
        "time_ranges": _time_ranges(main.selection()),
    }
    more = _events(look, main, file) if kind == "events" else _product(said, look, main, file, hint)
    return _facts(file, hint, **(said | more))


def _kind(headers: tuple[Cards, ...]) -> tuple[str, Cards]:
    """Return what a file is, and the header that says so; the data of an image may lie in an extension."""
    for header in headers[1:]:
        name = str(header.get("EXTNAME", "")).upper()
        found = "flare_curve" if name == "RATE" and _cuts_flares(header) else _TABLES.get(name)
        if found:
            return found, header
    main = headers[-1] if len(headers) > 1 and _is_image(headers[-1]) else headers[0]
    for header in dict.fromkeys((main, headers[0])):
        if is_exposure_map(header):
            return "exposure_map", main
        if str(header.get("HDUCLAS1", "")).upper() == "IMAGE" or is_mosaic(header):
            return "image", main
    return ("image", main) if _is_image(main) and _is_epic(_Cards((headers[0], main))) else ("", headers[-1])


def _cuts_flares(header: Cards) -> bool:
    """Whether a light curve is the pipeline's own of flares, with live times and the rate at which they are cut."""
    names = {str(header.get(f"TTYPE{n}", "")).upper() for n in range(1, min(header.whole("TFIELDS"), MOST_FIELDS) + 1)}
    most = header.get("FLCUTTHR")
    return {"TIME", "RATE", "FRACEXP"} <= names and isinstance(most, int | float) and 0 < most < float("inf")


def _is_image(header: Cards) -> bool:
    return (header.get("NAXIS", 0) == 2 and header.get("XTENSION", "IMAGE") == "IMAGE") or bool(header.get("ZIMAGE"))


def _is_epic(look: _Cards) -> bool:
    return bool(_camera_of(look)) or look.text("INSTRUME").upper() == "EPIC"


def _is_source_list(header: Cards) -> bool:
    return is_source_list(
        str(header.get(f"TTYPE{n}", "")) for n in range(1, min(header.whole("TFIELDS"), MOST_FIELDS) + 1)
    )


def _camera_of(look: _Cards) -> Said:
    try:
        return {"instrument": instrument(look.text("INSTRUME")).name}
    except InvalidRecord:
        return {}


def _camera_of_hint(hint: Hint) -> Said:
    return {"instrument": hint.instrument} if hint.instrument else {}


def _other(headers: tuple[Cards, ...]) -> Said:
    """Say what a file is that is of no kind that is used."""
    name = str(headers[-1].get("EXTNAME", "")).upper()
    if len(headers) > 1:
        return {
            "reason": "other_kind",
            "detail": _OTHER_TABLES.get(name.rstrip("0123456789"), f"a table {name}".rstrip()),
        }
    has_image = headers[0].whole("NAXIS") > 0
    return {"reason": "other_kind", "detail": "an image of another kind" if has_image else "a FITS file without data"}


def _unusable(kind: str, look: _Cards, primary: Cards, main: Cards) -> tuple[str, str]:
    """Return why a file cannot be used, whatever else it says, and a detail; empty where nothing speaks against it."""
    creator = look.text("CREATOR").lower()
    if kind in PRODUCTS:
        if creator.startswith(_MASKS) or look.text("HDUCLAS2").upper() == "MASK" or "MASK" in look.text("CONTENT"):
            return "mask", ""
        if creator.startswith(_MODELS):
            return "model", f"made by {creator.split()[0]}"
        if is_mosaic(primary):
            return "mosaic", ""
        if main is not primary:
            return "extension", str(main.get("EXTNAME", ""))
    if re.sub(r"[\W_]", "", look.text("FILTER")).lower() in _EMPTY_FILTERS:
        return "closed", look.text("FILTER")
    return ("", "")


def _observed(look: _Cards, file: TreeFile, hint: Hint) -> Said:
    return {
        "exposure_id": _exposure_id(look, file, hint),
        "exposure_s": _on_time(look),
        "filter": look.text("FILTER"),
        "submode": look.text("SUBMODE"),
        "pointing": _pointing(look),
        "object_name": look.text("OBJECT"),
        "date": look.text("DATE-OBS"),
    }


def _obs_id(look: _Cards) -> str:
    said = look.text("OBS_ID").zfill(10)
    return said if re.fullmatch(r"[0-9]{10}", said) and int(said) else ""


def obs_ids_in_path(path: str) -> tuple[str, ...]:
    """Return what looks like an ObsID in the name of a file, then in its folders, the nearest first."""
    return tuple(obs_id for part in reversed(Path(path).parts) for obs_id in _OBS_ID.findall(part))


def _pointing(look: _Cards) -> tuple[float, float] | None:
    """Return the pointing, else the reference point of the sky system, which the pipeline puts there."""
    for names in (("RA_PNT", "DEC_PNT"), ("REFXCRVL", "REFYCRVL")):
        ra, dec = map(look.number, names)
        if ra is not None and dec is not None:
            return ra, dec
    return None


def _exposure_id(look: _Cards, file: TreeFile, hint: Hint) -> str:
    """Return EXPIDSTR, else what the name says, else the number at the end of EXP_ID; empty where nothing says."""
    said = look.text("EXPIDSTR").upper()
    if re.fullmatch(r"[A-Z][0-9]{3}", said):
        return said
    pps = parse_pps_name(file.name)
    if hint.exposure_id or pps is not None:
        return hint.exposure_id or (pps.exposure_id if pps else "")
    number = re.fullmatch(r"[0-9]{10}([0-9]{3})", look.text("EXP_ID"))
    return f"S{number[1]}" if number else ""


def _on_time(look: _Cards) -> float:
    """Return the longest on-time of a CCD, or what the header has instead; 0 where it says nothing."""
    ccds = [look.number(n) for n in look.headers[0] if n.startswith("ONTIME") and n[6:].isdigit() and len(n) == 8]
    for value in (max((v for v in ccds if v is not None), default=None), *map(look.number, _TIMES)):
        if value is not None and value >= 0:
            return value
    return 0.0


@lru_cache(maxsize=4096)
def _time_ranges(cards: str) -> tuple[str, ...]:
    return time_ranges(Cards(cards.encode("latin-1")))


def _is_out_of_time(look: _Cards, file: TreeFile) -> bool:
    """Whether a file holds out-of-time events: its name, the command that made it, or what it was made from."""
    if _OUT_OF_TIME.search(file.name):
        return True
    text = look.text("XPROC0")
    if "oot" not in text.lower() and "outoftime" not in text.lower():
        return False
    try:
        given = dict(card_parameters(text)[1])
    except ExpressionError:
        given = dict(word.partition("=")[::2] for word in text.split())
    made_from = given.get("table", "") or given.get("imageset", "")
    return BOOLEANS.get(given.get("withoutoftime", "no").lower()) == "yes" or bool(_OUT_OF_TIME.search(made_from))


def _events(look: _Cards, main: Cards, file: TreeFile) -> Said:
    mode = look.text("DATAMODE").upper()
    if mode not in ("", "IMAGING"):
        return {"reason": "mode", "detail": mode}
    if _is_out_of_time(look, file):
        return {"reason": "out_of_time"}
    rows = main.whole("NAXIS2")
    if not rows:
        return {"reason": "no_events"}
    subspace = _subspace(main, look)
    found: Said = {"rows": rows, "subspace": subspace, "cut": _times_are_cut(main.selection())}
    may_be_corners = (subspace.places or subspace.other) and not subspace.within_field
    if may_be_corners and share_outside_field(file.file.path) > _MOSTLY:
        return found | {"reason": "outside_field"}
    return found | ({"reason": "unplaced"} if _is_unplaced(main.selection()) else {})


def _subspace(header: Cards, look: _Cards) -> Subspace:
    """Return what the selection of a file keeps; the many files of a tree share a few."""
    return _held(header.selection(), look.text("INSTRUME"), energies_of(header))


@lru_cache(maxsize=4096)
def _is_unplaced(cards: str) -> bool:
    return is_unplaced(Cards(cards.encode("latin-1")).get)


@lru_cache(maxsize=4096)
def _times_are_cut(cards: str) -> bool:
    return times_are_cut(Cards(cards.encode("latin-1")))


@lru_cache(maxsize=4096)
def _held(cards: str, camera: str, energies: Energies) -> Subspace:
    header = Cards(cards.encode("latin-1"))
    return subspace_of(lambda name, default: camera if name == "INSTRUME" else header.get(name, default), energies)


def is_filtered(camera: str, subspace: Subspace) -> bool:
    """Return whether a selection already holds the flags and patterns of the usual images of a camera."""
    wanted = instrument(camera).flag_bits
    return subspace.flags & wanted == wanted and subspace.patterns is not None


def _product(said: Said, look: _Cards, header: Cards, file: TreeFile, hint: Hint) -> Said:
    if _is_out_of_time(look, file):
        return {"reason": "out_of_time"}
    try:
        grid = grid_of(header, file.file.path)
    except InvalidFile as error:
        on_detector = str(header.get("CTYPE1", "")).upper().startswith(("DETX", "RAWX"))
        return {"reason": "detector"} if on_detector else {"reason": "grid", "detail": error.problem}
    is_map = said["kind"] == "exposure_map"
    if is_map and has_vignetting(header) is False:
        return {"reason": "unvignetted"}
    if is_map:
        try:
            exposure_unit(header, file.name)
        except UnitMismatch as error:
            return {"reason": "unreadable", "detail": str(error)}
    elif not holds_whole_counts(file.file.path, header):
        return {"reason": "model"}
    try:
        band = band_of_product(header, file.file.path, kind=said["kind"])
    except InvalidFile as error:
        if hint.band is None:
            return {"reason": "no_band", "detail": error.problem}
        band = hint.band
    if not is_map and _is_unplaced(header.selection()):
        return {"reason": "unplaced"}
    subspace = Subspace() if is_map else _subspace(header, look)
    return {
        "grid": grid,
        "band": band,
        "subspace": subspace,
        "pointing": said["pointing"] or (grid.ra_deg, grid.dec_deg),
    }
