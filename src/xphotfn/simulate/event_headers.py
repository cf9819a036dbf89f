"""Header cards of simulated event lists: observation, flags, data subspace, columns and CCDs."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from xphotfn.epic.camera.detector import Camera, camera_named, raw_positions
from xphotfn.records.grid import SKY_LIMITS, SKY_UNIT_ARCSEC
from xphotfn.records.instrument import instrument
from xphotfn.simulate.file_headers import _common_cards
from xphotfn.simulate.photons import REFERENCE, ccds_read, good_intervals, mission_seconds
from xphotfn.simulate.scene import CameraExposure, Pointing

__all__ = (
    "COLUMNS",
    "camera_of",
    "ccd_cards",
    "column_cards",
    "flag_cards",
    "gti_name",
    "identity_cards",
    "span_of",
    "subspace_cards",
)

Card = tuple[str, Any, str]
Which = tuple[Pointing, CameraExposure]
_UNIT_DEG = SKY_UNIT_ARCSEC / 3600
_DRIFT = 10  # how far the drift of the telescope leads off a CCD, in units of DETX
_MARGIN_S = 40.0  # of the exposure around its good time

_FLAGS = {
    "pn": (("XMMEA_17", 17, "IN_BAD_FRAME"), ("XMMEA_19", 19, "COSMIC_RAY")),
    "mos": (
        ("XMMEA_16", 16, "OUT_OF_FOV"), ("XMMEA_17", 17, "IN_BAD_FRAME"), ("XMMEA_19", 19, "COSMIC_RAY"),
        ("XMMEA_21", 21, "ON_BADPIX"), ("XMMEA_22", 22, "REJECTED_BY_GATTI"),
    ),
}  # fmt: skip
COLUMNS = (  # name, FITS format, unit
    ("TIME", "D", "s"), ("RAWX", "I", "PIXELS"), ("RAWY", "I", "PIXELS"), ("DETX", "I", "pixel"),
    ("DETY", "I", "pixel"), ("X", "J", "pixel"), ("Y", "J", "pixel"), ("PHA", "I", "CHAN"), ("PI", "I", "CHAN"),
    ("FLAG", "J", ""), ("PATTERN", "B", ""), ("CCDNR", "B", ""),
)  # fmt: skip


def camera_of(exposure: CameraExposure) -> Camera:
    """Return the geometry of the camera of an exposure."""
    return camera_named(instrument(exposure.instrument).sas_name, "simulation")


def span_of(which: Which) -> tuple[float, float]:
    """Return start and end of an exposure in mission time: its good intervals and what is around them."""
    intervals = good_intervals(*which)
    return intervals[0][0] - _MARGIN_S, intervals[-1][1] + _MARGIN_S


def identity_cards(which: Which, title: str) -> list[Card]:
    """Return the cards of the observation, with the sky system of X and Y; images inherit those of the primary."""
    pointing, exposure = which
    _, stop = span_of(which)
    end = np.datetime64(pointing.date, "s") + np.timedelta64(round(stop - mission_seconds(pointing)), "s")
    cards = [c for c in _common_cards(pointing, exposure, title) if c[0] not in ("EXPOSURE", "DATE-END")]
    cards += [
        ("DATE-END", str(end), "End time of exposure"),
        ("RA_OBJ", pointing.ra_deg, "[deg] RA of target"),
        ("DEC_OBJ", pointing.dec_deg, "[deg] Dec of target"),
        ("AVRG_PNT", "MEDIAN", "Meaning of PNT values (mean or median)"),
    ]
    for axis, kind, value, step in (
        ("X", "RA---TAN", pointing.ra_deg, -_UNIT_DEG),
        ("Y", "DEC--TAN", pointing.dec_deg, _UNIT_DEG),
    ):
        cards += [
            (f"REF{axis}CTYP", kind, "WCS Coord. type: tangent plane projection"),
            (f"REF{axis}CRPX", REFERENCE, "WCS axis reference pixel of projected image"),
            (f"REF{axis}CRVL", value, "[deg] WCS coord. at ref. pixel"),
            (f"REF{axis}CDLT", step, "[deg/pix] WCS increment at ref. pixel"),
            (f"REF{axis}LMIN", 1, "WCS minimum legal axis value"),
            (f"REF{axis}LMAX", SKY_LIMITS[1], "WCS maximum legal axis value"),
            (f"REF{axis}CUNI", "deg", "WCS Physical units of axis"),
        ]
    return cards


def flag_cards(camera: str) -> list[Card]:
    """Return the meaning of flag bits and SAS's selections of good events."""
    flags = _FLAGS[instrument(camera).family]
    cards: list[Card] = [(name, f"(FLAG & {1 << bit:#x}) != 0", meaning) for name, bit, meaning in flags]
    epic = instrument(camera)
    cards.append((epic.flag_macro[1:], epic.flag_condition, f"Select good {epic.family.upper()} events"))
    spectra: Card = ("XMMEA_SM", "(FLAG & 0xfffffeff) == 0", "Select good MOS events for spectra")
    return cards if epic.family == "pn" else [*cards, spectra]


def gti_name(place: int) -> str:
    """Return the name that evselect gives the intervals of a component, after the filters CCDNR and TIME."""
    return f"GTI{place:03d}02"


def subspace_cards(which: Which) -> Iterator[Card]:
    """Yield the data subspace: for each CCD the good time intervals it names."""
    yield "DSTYP1", "CCDNR", "data subspace descriptor: name"
    yield "DSTYP2", "TIME", "data subspace descriptor: name"
    yield "DSUNI2", "s", "data subspace descriptor: units"
    for place, number in enumerate(ccds_read(which[1])):
        prefix = str(place + 1) if place else ""
        yield f"{prefix}DSVAL1", str(number), "data subspace descriptor: value"
        if not place:
            yield "DSVAL2", "TABLE", "data subspace descriptor: value"
        table = gti_name(place) if which[1].cleaned else f"STDGTI{number:02d}"
        yield f"{prefix}DSREF2", f":{table}", "data subspace descriptor: reference"


def column_cards(which: Which) -> Iterator[Card]:
    """Yield legal ranges and coordinate systems of the columns."""
    pointing, exposure = which
    camera = camera_of(exposure)
    edges = np.array([0.5, camera.columns + 0.5]), np.array([0.5, camera.rows + 0.5])
    corners = np.array([raw_positions(c, x, y) for c in camera.chips for x in edges[0] for y in edges[1]])
    low = np.floor(corners.min(axis=0)).astype(int) - _DRIFT
    high = np.ceil(corners.max(axis=0)).astype(int) + _DRIFT
    most = 15000 if camera.is_mos else 20479
    ranges = {
        "RAWX": (1, camera.columns), "RAWY": (1, camera.rows), "DETX": (int(low[0]), int(high[0])),
        "DETY": (int(low[1]), int(high[1])), "X": SKY_LIMITS, "Y": SKY_LIMITS, "PHA": (0, 4095), "PI": (0, most),
        "PATTERN": (0, 31 if camera.is_mos else 13), "CCDNR": (1, 17 if camera.is_mos else 12),
    }  # fmt: skip
    systems: dict[str, tuple[str, int, float, float]] = {
        "DETX": ("DETX_ANG", 0, 0.0, _UNIT_DEG), "DETY": ("DETY_ANG", 0, 0.0, _UNIT_DEG),
        "X": ("RA---TAN", REFERENCE, pointing.ra_deg, -_UNIT_DEG),
        "Y": ("DEC--TAN", REFERENCE, pointing.dec_deg, _UNIT_DEG),
    }  # fmt: skip
    for number, (name, _, _) in enumerate(COLUMNS, start=1):
        if name in ("X", "Y"):
            yield f"TNULL{number}", -99999999, "Null value of the column"
        if name in ranges:
            yield f"TLMIN{number}", ranges[name][0], f"Legal minimum for {name}"
            yield f"TLMAX{number}", ranges[name][1], f"Legal maximum for {name}"
        if name in systems:
            yield from _system_cards(number, systems[name])


def _system_cards(number: int, system: tuple[str, int, float, float]) -> Iterator[Card]:
    kind, pixel, value, step = system
    yield f"TCRPX{number}", pixel, "axis reference pixel"
    yield f"TCTYP{number}", kind, "Coord. type"
    yield f"TCRVL{number}", value, "[deg] coord. at ref. pixel"
    yield f"TCDLT{number}", step, "[deg/pix] increment at ref. pixel"
    yield f"TCUNI{number}", "deg", "Physical units of axis"


def ccd_cards(which: Which, number: int) -> list[Card]:
    """Return the cards of a block that belongs to one CCD."""
    pointing, exposure = which
    camera = camera_of(exposure)
    return [
        ("TELESCOP", "XMM", "XMM mission"),
        ("INSTRUME", camera.instrument.sas_name, "EPIC camera"),
        ("OBS_ID", pointing.obs_id, "Observation Identifier"),
        ("EXP_ID", f"{pointing.obs_id}{exposure.exposure_id[1:]}", "Exposure Identifier"),
        ("EXPIDSTR", exposure.exposure_id, "Exposure ID"),
        ("CCDID", number, "Numerical identifier of the CCD"),
        ("CCDNODE", 0, "CCD Node"),
        ("WINDOWX0", 1, "X-Coordinate of bottom left corner of window"),
        ("WINDOWY0", 1, "Y-Coordinate of bottom left corner of window"),
        ("WINDOWDX", camera.columns, "Size, along x-axis, of window"),
        ("WINDOWDY", camera.rows, "Size, along y-axis, of window"),
        ("FILTER", exposure.filter, "Filter ID"),
        ("SUBMODE", exposure.submode, "Guest Observer mode"),
    ]
