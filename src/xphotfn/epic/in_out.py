"""IN/OUT of a MOS list: counts in the outer field of view against the corners, with the areas of our own chips."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.epic.camera.detector import Camera, Chip, Demands, camera_named, chip_mask, raw_positions
from xphotfn.epic.event_source import EventSource, open_source
from xphotfn.epic.events import chunks
from xphotfn.epic.exposure_times import ccd_intervals, live_time
from xphotfn.epic.selecting.planes import in_region
from xphotfn.errors import InvalidFile, NoData
from xphotfn.records.good_times import GoodTimes, good_times
from xphotfn.records.grid import SKY_UNIT_ARCSEC
from xphotfn.records.light_curve import InOut
from xphotfn.science.flare_cut import in_out_ratio
from xphotfn.science.time_bins import inside

__all__ = ("in_out_of_list",)

Floats = NDArray[np.float64]

_BAND = (6000, 12000)
_ARCMIN = 60 / SKY_UNIT_ARCSEC  # in units of DETX and DETY
_RING = (10 * _ARCMIN, 13.75 * _ARCMIN)  # from the optical axis
# What is not corner: of MOS1 as espfilt has it (4.3, in the header of its corner lists), of MOS2 a circle of our own
# around the middle of the detector, which on MOS1 gives a ratio that is 9 % lower.
_NOT_CORNER = {
    "mos1": (
        ("circle", (100.0, -200.0, 17700.0)),
        ("circle", (834.0, 135.0, 17100.0)),
        ("circle", (770.0, -803.0, 17100.0)),
        ("box", (-20.0, -17000.0, 6500.0, 500.0, 0.0)),
        ("box", (5880.0, -20500.0, 7500.0, 1500.0, 10.0)),
        ("box", (-5920.0, -20500.0, 7500.0, 1500.0, 350.0)),
        ("box", (-20.0, -20000.0, 5500.0, 500.0, 0.0)),
        ("box", (-12900.0, 16000.0, 250.0, 4000.0, 0.0)),
        ("box", (80.0, 18600.0, 150.0, 1300.0, 0.0)),
        ("box", (-10.0, -18800.0, 125.0, 1500.0, 0.0)),
    ),
    "mos2": (("circle", (0.0, 0.0, 18000.0)),),
}
_OUT_OF_FOV = 1 << 16
_WHOLE = "PrimeFullWindow"


class _Where(NamedTuple):
    """Which positions on the detector are inside, and which in the corners."""

    inside: NDArray[np.bool_]
    corner: NDArray[np.bool_]


def in_out_of_list(folder: Path, table: str, good: GoodTimes | None = None) -> InOut:
    """Return IN/OUT of a list of events.

    Parameters
    ----------
    folder, table
        The list: ``file`` or ``file:BLOCK`` in the folder.
    good
        Good time; default that of the list.

    Raises
    ------
    NoData
        For pn, a window mode, or a list without events of the corners: there is no IN/OUT then, and the message says
        which of these it is.
    InvalidFile
        If the list cannot be read or lacks a column.

    Notes
    -----
    6 to 12 keV, patterns to 12. Inside: 10 to 13.75 arcmin from the optical axis, without CCD 1; corners: of MOS1 as
    espfilt has them, of MOS2 beyond 15 arcmin, where the ratio comes out some 9 % lower. Areas are those of pixels,
    weighted with the live time of their CCD, so that a CCD that was lost counts on neither side.

    References
    ----------
    De Luca & Molendi 2004, A&A 419, 837. Regions and areas are our own, not those of their script.
    """
    source = open_source(folder, table)
    header = source.keywords
    camera = camera_named(str(header.get("INSTRUME", "")), source.table.path.name)
    mode = str(header.get("SUBMODE", _WHOLE)).strip()
    if not camera.is_mos:
        raise NoData("no IN/OUT: corners that no photon reaches are known for MOS only")
    if mode != _WHOLE:
        raise NoData(f"no IN/OUT: mode {mode} reads no corners")
    live = _live(source, good)
    counts = _counts(source, camera, good)
    areas = [_areas(camera, chip, live.get(chip.number, 0.0)) for chip in camera.chips]
    area_in, area_out = (float(sum(pair[k] for pair in areas)) for k in (0, 1))
    if not (counts[1] and area_out > 0 and area_in > 0):
        raise NoData("no IN/OUT: no event in the corners; a list that was filtered to the field of view has none")
    return in_out_ratio(*counts, area_in, area_out)


def _where(camera: Camera, det_x: Floats, det_y: Floats, ccd: NDArray[np.integer] | int) -> _Where:
    away = np.hypot(det_x - camera.axis[0], det_y - camera.axis[1])
    ring = (away >= _RING[0]) & (away <= _RING[1]) & (np.asarray(ccd) != 1)
    corner = np.ones(np.shape(det_x), dtype=bool)
    for name, numbers in _NOT_CORNER[camera.name]:
        corner &= ~np.asarray(in_region(name, numbers, det_x, det_y))
    return _Where(ring, corner)


def _counts(source: EventSource, camera: Camera, good: GoodTimes | None) -> tuple[int, int]:
    names = {"TIME", "PI", "PATTERN", "FLAG", "DETX", "DETY", "CCDNR"}
    lacking = sorted(names - set(source.table.columns))
    if lacking:
        raise InvalidFile(source.table.path.name, f"lacks {', '.join(lacking)}: give the event list of the camera")
    found, bits = np.zeros(2, dtype=np.int64), camera.instrument.flag_bits
    for chunk in chunks(source.table):
        energy, pattern = chunk.column("PI"), chunk.column("PATTERN")
        chosen = (energy >= _BAND[0]) & (energy <= _BAND[1]) & (pattern <= camera.instrument.max_pattern)
        if good is not None:
            chosen &= inside(np.asarray(chunk.column("TIME"), dtype=np.float64), good.intervals)
        rows = np.flatnonzero(chosen)
        det_x, det_y, flag, ccd = (chunk.column(n).take(rows) for n in ("DETX", "DETY", "FLAG", "CCDNR"))
        where = _where(camera, det_x.astype(np.float64), det_y.astype(np.float64), ccd)
        found[0] += np.count_nonzero(where.inside & ((flag & bits) == 0))
        found[1] += np.count_nonzero(where.corner & ((flag & bits & ~_OUT_OF_FOV) == 0))
    return int(found[0]), int(found[1])


def _areas(camera: Camera, chip: Chip, live: float) -> tuple[float, float]:
    """Return the pixels of a CCD inside and in the corners, times its live time."""
    seen = chip_mask(camera, chip.number, None, Demands(border=True))
    rows, columns = np.mgrid[1 : camera.rows + 1, 1 : camera.columns + 1].astype(np.float64)
    where = _where(camera, *raw_positions(chip, columns, rows), chip.number)
    whole = np.zeros_like(seen)
    whole[1:-1, 1:-1] = True
    return live * np.count_nonzero(where.inside & seen), live * np.count_nonzero(where.corner & whole)


def _live(source: EventSource, good: GoodTimes | None) -> dict[int, float]:
    blocks = {block.name: block for block in source.file.blocks}
    found: dict[int, float] = {}
    for ccd, times in ccd_intervals(source.subspace).items():
        if ccd is None:
            continue
        kept = good_times(times) if good is None else good_times(times) & good
        block = blocks.get(f"EXPOSU{ccd:02d}")
        seconds = None if block is None else live_time(block, source.table.path, kept.intervals)
        found[ccd] = kept.seconds if seconds is None else seconds
    return found
