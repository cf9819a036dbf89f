"""Event lists and attitude files of simulated observations, with the blocks and headers that SAS gives them.

A list is what a user has after cutting out flares: events lie inside good time intervals, which the header's data
subspace names for each CCD. One that is not cleaned has one interval, and a file of good times beside it. The record
of a list holds neither flags nor patterns, so that the default selection of
:func:`~xphotfn.graph.recipes.plan_images` asks for both. CCDs are boxes: the RAW pixels around them are bad pixels.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.epic.exposure_times import GTI_CARDS, TIME_CARDS
from xphotfn.io.write import publish
from xphotfn.simulate.event_headers import (
    COLUMNS,
    ccd_cards,
    column_cards,
    flag_cards,
    gti_name,
    identity_cards,
    span_of,
    subspace_cards,
)
from xphotfn.simulate.photons import (
    Events,
    ccds_read,
    drift_arcsec,
    good_intervals,
    mission_seconds,
    recorded_intervals,
)
from xphotfn.simulate.scene import CameraExposure, Pointing

__all__ = (
    "attitude_name",
    "event_list_name",
    "good_time_name",
    "write_attitude",
    "write_event_list",
    "write_good_time",
)

Card = tuple[str, Any, str]
Which = tuple[Pointing, CameraExposure]
_OOT_FULL_FRAME = 0.936444  # what eexpmap multiplies the live time of pn by (OOTFRAC of real maps)
_FRAME_S = {"pn": 0.073365, "mos1": 2.6, "mos2": 2.6}
_FRAMES_PER_ROW = {"pn": 10, "mos1": 1, "mos2": 1}  # pn: fewer rows than SAS writes, for the size of the files
_SHORTER = 1 - 4e-6  # keeps frames inside their interval in spite of rounding


class _Column(NamedTuple):
    name: str
    format: str
    unit: str
    values: Any


def event_list_name(obs_id: str, camera: str, *, cleaned: bool = True) -> str:
    """Return the name of an event list, of which flares are cut out or not.

    Examples
    --------
    >>> event_list_name("0999990101", "mos1"), event_list_name("0999990101", "mos1", cleaned=False)
    ('0999990101_mos1_clean_evts.fits', '0999990101_mos1_evts.fits')
    """
    return f"{obs_id}_{camera}_{'clean_' if cleaned else ''}evts.fits"


def good_time_name(obs_id: str, camera: str) -> str:
    """Return the name of the file of good time intervals that comes with a list that is not cleaned.

    Examples
    --------
    >>> good_time_name("0999990101", "mos1")
    '0999990101_mos1_gti.fits'
    """
    return f"{obs_id}_{camera}_gti.fits"


def attitude_name(obs_id: str) -> str:
    """Return the name of an attitude file, as the pipeline calls it.

    Examples
    --------
    >>> attitude_name("0999990101")
    'P0999990101OBX000ATTTSR0000.FIT'
    """
    return f"P{obs_id}OBX000ATTTSR0000.FIT"


def write_event_list(path: Path, events: Events, which: Which, title: str) -> None:
    """Write an event list (its OBJECT is the title); what is there is replaced.

    Blocks: EVENTS; EXPOSUnn, BADPIXnn, STDGTInn and, of a cleaned list, GTI0nn02 for each CCD. FRACEXP * TIMEDEL sums
    to the live time of the exposure, for pn to live time / 0.936444, as eexpmap takes the out-of-time events off it.
    """
    from astropy.io import fits

    hdus = [fits.PrimaryHDU(), _events(events, which)]
    hdus[0].header.extend([*identity_cards(which, title), ("CONTENT", _content(which), "")])
    hdus[1].header.extend(identity_cards(which, title))
    for number in ccds_read(which[1]):
        hdus += [_frames(which, number), _bad_pixels(which, number)]
    hdus += [_standard_gti(which, number) for number in ccds_read(which[1])]
    if which[1].cleaned:
        hdus += [_good_time(which, place, number) for place, number in enumerate(ccds_read(which[1]))]
    with publish(path, overwrite=True) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True)


def _content(which: Which) -> str:
    return f"EPIC {'PN' if which[1].instrument == 'pn' else 'MOS'} IMAGING MODE EVENT LIST"


def _table(name: str, columns: Iterable[_Column], cards: Iterable[Card]) -> Any:
    from astropy.io import fits

    made = [fits.Column(name=c.name, format=c.format, unit=c.unit or None, array=c.values) for c in columns]
    hdu = fits.BinTableHDU.from_columns(made)
    hdu.header.extend([("EXTNAME", name, "The name of this table"), *cards])
    return hdu


def _events(events: Events, which: Which) -> Any:
    start, stop = span_of(which)
    columns = [_Column(*column, values) for column, values in zip(COLUMNS, events, strict=True)]
    cards: list[Card] = [
        ("TSTART", start, "[s] Start time of first frame"),
        ("TSTOP", stop, "[s] End time of last frame"),
        ("DET_SYST", 2, "System for camera coordinates"),
        *TIME_CARDS,
        *flag_cards(which[1].instrument),
        ("TELAPSE", stop - start, "[s] Full time interval for the exposure"),
        *((("SLCTEXPR", "GTI(gti.fits,TIME)", "Filtering expression used by evselect"),) if which[1].cleaned else ()),
        *_time_sums(which),
        *subspace_cards(which),
        *column_cards(which),
    ]
    return _table("EVENTS", columns, cards)


def _on_time(which: Which) -> float:
    return float(sum(stop - start for start, stop in recorded_intervals(*which)))


def _live_time(which: Which) -> float:
    """Return the sum of FRACEXP * TIMEDEL."""
    return float(np.sum(_frame_columns(which)[1].astype(np.float64))) * _live_part(which[1])


def _live_part(exposure: CameraExposure) -> float:
    return exposure.live_fraction / (_OOT_FULL_FRAME if exposure.instrument == "pn" else 1.0)


def _time_sums(which: Which) -> Iterator[Card]:
    on, live, ccds = _on_time(which), _live_time(which), ccds_read(which[1])
    yield from ((f"ONTIME{n:02d}", on, "Sum of GTIs for a particular CCD") for n in ccds)
    yield "ONTIME", on, "Sum of GTIs for central CCD"
    yield from ((f"LIVETI{n:02d}", live, "Live time for a particular CCD") for n in ccds)
    yield "LIVETIME", live, "Live time for the central CCD"


def _frame_columns(which: Which) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the centres and durations of frames, whole numbers of which fill each good interval."""
    length = _FRAME_S[which[1].instrument] * _FRAMES_PER_ROW[which[1].instrument]
    centres, durations = [], []
    for start, stop in recorded_intervals(*which):
        count = max(1, round((stop - start) / length))
        centres.append(start + (np.arange(count) + 0.5) * ((stop - start) / count))
        durations.append(np.full(count, (stop - start) / count * _SHORTER))
    return np.concatenate(centres), np.concatenate(durations).astype(np.float32)


def _frames(which: Which, number: int) -> Any:
    centres, durations = _frame_columns(which)
    part = np.full(len(centres), _live_part(which[1]), dtype=np.float32)
    columns = (
        _Column("TIME", "D", "s", centres),
        _Column("TIMEDEL", "E", "s", durations),
        _Column("FRACEXP", "E", "FRACTION", part),
    )
    frame_ms = 1000 * _FRAME_S[which[1].instrument]
    start, stop = span_of(which)
    cards: list[Card] = [
        *ccd_cards(which, number),
        ("FRMTIME", frame_ms, "[ms] Frame integration time"),
        *TIME_CARDS,
        ("TSTART", start, "[s] Start time of first frame"),
        ("TSTOP", stop, "[s] End time of last frame"),
        ("ONTIME", _on_time(which), "[s] Total good time"),
        ("LIVETIME", _live_time(which), "[s] Dead-time corrected on time"),
    ]
    return _table(f"EXPOSU{number:02d}", columns, cards)


def _bad_pixels(which: Which, number: int) -> Any:
    """Return a list without bad pixels."""
    none = np.array([], dtype=np.int16)
    columns = tuple(_Column(name, "I", "", none) for name in ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG"))
    return _table(f"BADPIX{number:02d}", columns, ccd_cards(which, number))


def _intervals(name: str, number: int, intervals: tuple[tuple[float, float], ...]) -> Any:
    start, stop = np.array(intervals).T
    cards: list[Card] = [
        ("CCDID", number, "CCD ID"),
        *GTI_CARDS,
        ("ONTIME", float(np.sum(stop - start)), "[s] sum of all Good Time Intervals"),
        ("TSTART", float(start[0]), "[s] Lower bound of first GTI"),
        ("TSTOP", float(stop[-1]), "[s] Upper bound of last GTI"),
        *TIME_CARDS,
    ]
    return _table(name, (_Column("START", "D", "s", start), _Column("STOP", "D", "s", stop)), cards)


def _standard_gti(which: Which, number: int) -> Any:
    times = (span_of(which),) if which[1].cleaned else recorded_intervals(*which)
    return _intervals(f"STDGTI{number:02d}", number, times)


def _good_time(which: Which, place: int, number: int) -> Any:
    return _intervals(gti_name(place), number, recorded_intervals(*which))


def write_good_time(path: Path, which: Which) -> None:
    """Write the good time intervals between the flares, as tabgtigen does; what is there is replaced."""
    from astropy.io import fits

    with publish(path, overwrite=True) as temporary:
        table = _intervals("STDGTI", 0, good_intervals(*which))
        del table.header["CCDID"]
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(temporary, overwrite=True)


def write_attitude(path: Path, pointing: Pointing) -> None:
    """Write the attitude history of an observation, one row a second; what is there is replaced."""
    from astropy.io import fits

    spans = np.array([span_of((pointing, exposure)) for exposure in pointing.exposures])
    time = np.arange(np.floor(spans.min()), np.ceil(spans.max()) + 1)
    east, north = drift_arcsec(time - mission_seconds(pointing))
    ra = pointing.ra_deg + east / 3600 / np.cos(np.radians(pointing.dec_deg))
    dec, pa = pointing.dec_deg + north / 3600, np.full(len(time), pointing.pa_deg)
    off = np.hypot(east, north) / 3600
    values = (ra, dec, pa, ra, dec, pa, off, off, np.zeros(len(time)))
    names = ("AHFRA", "AHFDEC", "AHFPA", "OMRA", "OMDEC", "OMPA", "DAHFPNT", "DOMPNT", "DAHFOM")
    columns = [_Column("TIME", "D", "sec", time)]
    columns += [_Column(name, "D", "degrees", v) for name, v in zip(names, values, strict=True)]
    primary = fits.PrimaryHDU()
    primary.header.extend(_attitude_cards(pointing, ra, dec))
    with publish(path, overwrite=True) as temporary:
        fits.HDUList([primary, _table("ATTHK", columns, ())]).writeto(temporary, overwrite=True)


def _attitude_cards(pointing: Pointing, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> list[Card]:
    return [
        ("CREATOR", "atthkgen (xphotfn simulation)", "name of code"),
        ("TELESCOP", "XMM", "Telescope (mission) name"),
        ("OBS_MODE", "POINTING", "Observation mode (pointing or slew)"),
        ("OBS_ID", pointing.obs_id, "Observation identifier"),
        ("DATE-OBS", pointing.date, "Date observations were made"),
        ("ATT_SRC", "AHF", "Source of attitude data (AHF|RAF|THF)"),
        ("AAHFRA", float(ra.mean()), "[deg] Mean AHF RA"),
        ("AAHFDEC", float(dec.mean()), "[deg] Mean AHF Dec"),
        ("AAHFPA", pointing.pa_deg, "[deg] Mean AHF PA"),
        ("MAHFRA", float(np.median(ra)), "[deg] Median AHF RA"),
        ("MAHFDEC", float(np.median(dec)), "[deg] Median AHF Dec"),
        ("MAHFPA", pointing.pa_deg, "[deg] Median AHF PA"),
        ("NATT", len(ra), "Number of attitude entries"),
    ]
