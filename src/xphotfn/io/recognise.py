"""What one file is, from its headers first: event list, image, exposure map, attitude or calibration index."""

import re
from pathlib import Path
from typing import Any, final

from attrs import evolve, frozen

from xphotfn.commands.pps_names import parse_pps_name
from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.io.cards import Cards, card
from xphotfn.io.energies import band_of_product
from xphotfn.io.fits import read_headers
from xphotfn.io.headers import grid_of, is_exposure_map, is_mosaic
from xphotfn.io.layout import Hint
from xphotfn.io.tree import TreeFile
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import instrument

__all__ = ("PRODUCTS", "Recognised", "obs_ids_in_path", "recognise")

PRODUCTS = ("image", "exposure_map")
_OBS_ID = re.compile(r"(?<![0-9])[0-9]{10}(?![0-9])")
_FITS_NAME = re.compile(r".*\.(?:fits?|fts|ftz|ds|cif|img|evts?)(?:\.gz)?", re.IGNORECASE)
_REGION_NAME = re.compile(r".*\.(?:reg|ds9)", re.IGNORECASE)
_OUT_OF_TIME = re.compile(r"OOEVLI|evcoot|[-_]oot(?:[-_.]|\Z)", re.IGNORECASE)
_WITHOUT_VIGNETTING = re.compile(r"\bwithvignetting=['\"]?[nf]", re.IGNORECASE)
_NO_COUNTS = ("emask", "esplinemap", "esensmap", "easmooth", "asmooth", "eboxdetect", "emldetect", "cheese")
_EMPTY_FILTERS = ("closed", "calclosed")


@final
@frozen(kw_only=True)
class Recognised:
    """A file and what it says of itself; with a ``problem`` it is left out.

    Parameters
    ----------
    kind
        image, exposure_map, events, attitude, cif, regions; empty for a file that cannot be read.
    file
        The file.
    problem
        Why it is left out, or empty.
    obs_id, instrument, exposure_id
        Empty where nothing says.
    band, grid
        Of an image or exposure map.
    filtered
        Whether an event list's selection already holds flags and patterns.
    exposure_s, filter, submode, pointing, object_name, date
        As in :class:`~xphotfn.records.Exposure` and :class:`~xphotfn.records.Observation`.
    """

    kind: str
    file: TreeFile
    problem: str = ""
    obs_id: str = ""
    instrument: str = ""
    exposure_id: str = ""
    band: Band | None = None
    grid: PixelGrid | None = None
    filtered: bool = False
    exposure_s: float = 0.0
    filter: str = ""
    submode: str = ""
    pointing: tuple[float, float] | None = None
    object_name: str = ""
    date: str = ""


def recognise(file: TreeFile, hint: Hint) -> Recognised | None:
    """Return what a file is, or None where it is nothing that is used here.

    Parameters
    ----------
    file
        The file.
    hint
        What a template says of it.
    """
    if hint.kind == "regions" or (not hint.kind and _REGION_NAME.fullmatch(file.name)):
        return Recognised(kind="regions", file=file, obs_id=hint.obs_id)
    try:
        headers = read_headers(file.file.path, complete=True)
    except InvalidFile as error:
        told = bool(hint.kind) or _FITS_NAME.fullmatch(file.name) is not None
        return Recognised(kind="", file=file, problem=error.problem, obs_id=hint.obs_id) if told else None
    kind = hint.kind or _kind(headers)
    if not kind:
        return None
    return _facts(kind, file, headers, hint)


def _kind(headers: tuple[Cards, ...]) -> str:
    primary = headers[0]
    if is_exposure_map(primary):
        return "exposure_map"
    if str(primary.get("HDUCLAS1", "")).upper() == "IMAGE" or is_mosaic(primary):
        creator = str(primary.get("CREATOR", "")).lower()
        return "" if creator.startswith(_NO_COUNTS) else "image"
    name = str(headers[-1].get("EXTNAME", "")).upper() if len(headers) > 1 else ""
    return {"EVENTS": "events", "ATTHK": "attitude", "CALINDEX": "cif"}.get(name, "")


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


def _facts(kind: str, file: TreeFile, headers: tuple[Cards, ...], hint: Hint) -> Recognised | None:
    look = _Cards(headers)
    found = Recognised(kind=kind, file=file, obs_id=_obs_id(look) or hint.obs_id)
    if kind not in (*PRODUCTS, "events"):
        return found
    if is_mosaic(headers[0]):
        return evolve(found, problem="is a mosaic of several images; mosaics are made again from what they show")
    try:
        camera = instrument(look.text("INSTRUME") or hint.instrument).name
    except InvalidRecord:
        return None if not hint.kind else evolve(found, problem=f"is of no EPIC camera: {look.text('INSTRUME')!r}")
    found = evolve(
        found,
        obs_id=found.obs_id or next(iter(obs_ids_in_path(file)), ""),
        instrument=camera,
        exposure_id=_exposure_id(look, file, hint),
        exposure_s=_on_time(look),
        filter=look.text("FILTER"),
        submode=look.text("SUBMODE"),
        pointing=_pointing(look),
        object_name=look.text("OBJECT"),
        date=look.text("DATE-OBS"),
    )
    if re.sub(r"[\W_]", "", found.filter).lower() in _EMPTY_FILTERS:
        return evolve(found, problem=f"was taken with the filter {found.filter}: no sky")
    return _events(found, look) if kind == "events" else _product(found, headers[0], hint)


def _obs_id(look: _Cards) -> str:
    said = look.text("OBS_ID").zfill(10)
    return said if re.fullmatch(r"[0-9]{10}", said) and int(said) else ""


def obs_ids_in_path(file: TreeFile) -> tuple[str, ...]:
    """Return what looks like an ObsID in the name of a file, then in its folders, the nearest first."""
    return tuple(obs_id for part in reversed(Path(file.file.path).parts) for obs_id in _OBS_ID.findall(part))


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


_TIMES = ("EXPOSURE", "ONTIME", "LIVETIME")


def _events(found: Recognised, look: _Cards) -> Recognised:
    mode = look.text("DATAMODE").upper()
    if mode not in ("", "IMAGING"):
        return evolve(found, problem=f"was taken in {mode} mode, which makes no images")
    if _OUT_OF_TIME.search(found.file.name) or re.search(r"withoutoftime=['\"]?(y|t)", look.text("XPROC0")):
        return evolve(found, problem="holds simulated out-of-time events, not the events of the sky")
    said = look.text("SLCTEXPR").upper()
    columns = {look.text(name) for header in look.headers for name in header if name.startswith("DSTYP")}
    flags = "FLAG" in columns or re.search(r"\bFLAG\b|#XMMEA_", said) is not None
    patterns = "PATTERN" in columns or re.search(r"\bPATTERN\b", said) is not None
    return evolve(found, filtered=flags and patterns)


def _product(found: Recognised, header: Cards, hint: Hint) -> Recognised:
    try:
        grid = grid_of(header, found.file.file.path)
    except InvalidFile as error:
        return evolve(found, problem=error.problem)
    if found.kind == "exposure_map" and _WITHOUT_VIGNETTING.search(str(card(header, "XPROC0", ""))):
        return evolve(found, problem="is without vignetting, by which no rate of the sky is made")
    try:
        band = band_of_product(header, found.file.file.path, kind=found.kind)
    except InvalidFile as error:
        if hint.band is None:
            return evolve(found, problem=error.problem)
        band = hint.band
    return evolve(found, grid=grid, band=band, pointing=found.pointing or (grid.ra_deg, grid.dec_deg))
