"""Simulated photons of one exposure: energies, times and places on the sky and on the detector. Pure, but for noise.

The photons come from the same model as the images: for each band of :func:`energy_parts` and each spectrum the counts
of every image pixel are drawn from :func:`~xphotfn.simulate.model.model_counts` and spread evenly over that part of
the pixel that lies on a CCD. Any band within 0.2-12 keV then has the counts of its spectra; the vignetting is that of
the part an energy lies in, so that the model of a band is exact for the scene's own bands (if they do not overlap)
and for those of :data:`STANDARD_EV`. A PI channel is 1 eV wide and starts at its energy, so that a band, both ends
included, holds one channel more than the model: less than 0.1 %.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.records.band import Band
from xphotfn.records.grid import SKY_UNIT_ARCSEC, XMM_REFERENCE
from xphotfn.simulate.field_of_view import ccd_at, detector_positions, geometry, raw_positions_on, simulated_camera
from xphotfn.simulate.model import model_counts
from xphotfn.simulate.scene import EFFICIENCY, CameraExposure, Pointing, Scene

__all__ = (
    "REFERENCE",
    "STANDARD_EV",
    "Events",
    "ccds_read",
    "drift_arcsec",
    "energy_parts",
    "flare_intervals",
    "good_intervals",
    "mission_seconds",
    "random_of_list",
    "recorded_intervals",
    "simulate_events",
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Span = tuple[float, float]
Which = tuple[Pointing, CameraExposure]

STANDARD_EV = (200, 500, 2000, 10_000, 12_000)
"""Energies that bound the parts of the spectrum, besides those of the scene's bands."""

"""Unit of X, Y, DETX and DETY."""

REFERENCE = int(XMM_REFERENCE)
"""X and Y of the pointing."""

_TT_OFFSET_S = 69.184  # TT - UTC since 2017; mission time starts at 1998-01-01T00:00:00 TT
_SETTLING_S = 60.0
_GOOD = (  # good parts of the on-time, each with the part that flares cost after it
    ((0.57, 0.09), (0.43, 0.0)),
    ((0.31, 0.06), (0.45, 0.11), (0.24, 0.0)),
)
_TRIES = 40
_EXTRA = 0.03  # flagged events, and as many of high pattern, relative to the good ones
_BAD_FLAGS = {"pn": (17, 19), "mos1": (17, 19, 22), "mos2": (17, 19, 22)}  # rejected by XMMEA_EP and XMMEA_EM
# Patterns of 72 308 cleaned events of a real MOS list; pn: singles and the four doubles.
_MOS_PATTERNS = (55305, 8157, 1209, 5455, 1060, 107, 136, 126, 111, 206, 123, 123, 190)
_PATTERNS = {"pn": (66.0, 8.5, 8.5, 8.5, 8.5), "mos1": _MOS_PATTERNS, "mos2": _MOS_PATTERNS}
_HIGH_PATTERNS = {"pn": (5, 13), "mos1": (13, 32), "mos2": (13, 32)}
_EV_PER_PHA = {"pn": 5.0, "mos1": 3.33, "mos2": 3.33}


class Events(NamedTuple):
    """Events in the order of a list, by CCD and time: arrays of shape (n,)."""

    time: Floats
    raw_x: Ints
    raw_y: Ints
    det_x: Ints
    det_y: Ints
    x: Ints
    y: Ints
    pha: Ints
    pi: Ints
    flag: Ints
    pattern: Ints
    ccd: Ints


class _Photons(NamedTuple):
    """Rows and columns of image pixels, and PI: arrays of shape (n,)."""

    row: Ints
    column: Ints
    pi: Ints


def mission_seconds(pointing: Pointing) -> float:
    """Return the start of an observation in mission time, seconds since 1998-01-01T00:00:00 TT.

    Examples
    --------
    >>> from xphotfn.simulate.scene import default_scene
    >>> mission_seconds(default_scene().pointings[0])
    695110419.184
    """
    whole = np.datetime64(pointing.date, "s") - np.datetime64("1998-01-01T00:00:00", "s")
    return float(whole.astype(np.int64)) + _TT_OFFSET_S


def good_intervals(pointing: Pointing, exposure: CameraExposure) -> tuple[Span, ...]:
    """Return the good time intervals of an exposure in mission time, two or three; their sum is its on-time.

    Examples
    --------
    >>> from xphotfn.simulate.scene import default_scene
    >>> pointing = default_scene().pointings[0]
    >>> [round(stop - start) for start, stop in good_intervals(pointing, pointing.exposure("pn"))]
    [2232, 3240, 1728]
    """
    start = mission_seconds(pointing) + _SETTLING_S
    intervals = []
    for good, lost in _GOOD[int(pointing.obs_id) // 100 % 2]:
        stop = start + good * exposure.ontime_s
        intervals.append((start, stop))
        start = stop + lost * exposure.ontime_s
    return tuple(intervals)


def flare_intervals(pointing: Pointing, exposure: CameraExposure) -> tuple[Span, ...]:
    """Return the times of flares: what lies between the good time intervals.

    Examples
    --------
    >>> from xphotfn.simulate.scene import default_scene
    >>> pointing = default_scene().pointings[0]
    >>> [round(stop - start) for start, stop in flare_intervals(pointing, pointing.exposure("pn"))]
    [432, 792]
    """
    good = good_intervals(pointing, exposure)
    return tuple((first[1], second[0]) for first, second in pairwise(good))


def recorded_intervals(pointing: Pointing, exposure: CameraExposure) -> tuple[Span, ...]:
    """Return the times that an event list holds: the good intervals, or all of it where flares were not cut out."""
    good = good_intervals(pointing, exposure)
    return good if exposure.cleaned else ((good[0][0], good[-1][1]),)


def drift_arcsec(seconds: Floats) -> tuple[Floats, Floats]:
    """Return how far the telescope looks off its pointing, to the east and the north, below 0.4 arcsec.

    The time is in s since :func:`mission_seconds`.
    """
    return 0.3 * np.sin(seconds / 800), 0.2 * np.sin(seconds / 500 + 1)


def energy_parts(scene: Scene) -> tuple[Band, ...]:
    """Return adjoining bands within which the vignetting of the photons is one.

    Examples
    --------
    >>> from xphotfn.simulate.scene import default_scene
    >>> [str(band) for band in energy_parts(default_scene())]
    ['0.2-0.5 keV', '0.5-2 keV', '2-10 keV', '10-12 keV']
    """
    own = {end for band in scene.bands for end in (band.lo_ev, band.hi_ev)}
    between = {e for e in STANDARD_EV if not any(band.lo_ev < e < band.hi_ev for band in scene.bands)}
    edges = sorted(own | between)
    return tuple(Band(lo_ev=lo, hi_ev=hi) for lo, hi in pairwise(edges))


def ccds_read(exposure: CameraExposure) -> tuple[int, ...]:
    """Return the CCDs that gave data, from 1."""
    numbers = range(1, len(simulated_camera(exposure.instrument).chips) + 1)
    return tuple(n for n in numbers if n not in exposure.lost_chips)


def simulate_events(scene: Scene, which: Which, random: np.random.Generator) -> Events:
    """Return the events of one exposure.

    Events that count have FLAG 0 and a pattern that the usual selection keeps. There are 3 % more that have a flag
    which ``#XMMEA_EM`` or ``#XMMEA_EP`` rejects, and 3 % of high pattern: they are in no model. A list that is not
    cleaned holds the time of the flares too: the sky as ever, and soft protons, not vignetted, whose rate rises to
    ``scene.flare_rate`` in the middle of each flare and falls again.
    """
    pointing, exposure = which
    parts = [_joined(list(_good_photons(scene, which, random)))]
    parts.append(_extra_photons(which, len(parts[0].pi), random))
    parts += [] if exposure.cleaned else _during_flares(scene, which, random)
    photons, number = _joined(parts), np.repeat(np.arange(len(parts)), [len(part.pi) for part in parts])
    x, y = _sky(photons, which, random)
    ccd = _ccd_at(which, *_detector(which, x, y))
    kept = ccd > 0  # a few in 1e5 lie in slivers of a pixel that no try has met
    photons, x, y, ccd = _Photons(*(values[kept] for values in photons)), x[kept], y[kept], ccd[kept]
    good, extra, sky, flares = np.bincount(number[kept], minlength=4).tolist()
    times = [_times(good_intervals(*which), good + extra, random)]
    if not exposure.cleaned:
        lost = flare_intervals(*which)
        times += [_times(lost, sky, random), _times(lost, flares, random, rising=True)]
    time = np.concatenate(times)
    east, north = drift_arcsec(time - mission_seconds(pointing))
    det = _detector(which, x + east / SKY_UNIT_ARCSEC, y - north / SKY_UNIT_ARCSEC)
    flag, pattern = _quality(exposure.instrument, number[kept] == 1, random)
    raw_x, raw_y = _raw_of_all(exposure.instrument, ccd, *det)
    order = np.lexsort((time, ccd))
    pha = np.rint(photons.pi / _EV_PER_PHA[exposure.instrument])
    whole = (raw_x, raw_y, *(np.rint(v) for v in det), x, y, pha, photons.pi, flag, pattern, ccd)
    return Events(time[order], *(column[order].astype(np.int64) for column in whole))


def _spectra(scene: Scene) -> Iterator[tuple[float, Scene]]:
    """Yield each slope of a spectrum with a scene that holds nothing else."""
    empty = evolve(scene, cluster=None, sources=(), extended=(), sky_rate=0.0, particle_rate=0.0)
    for slope in sorted({s.slope for s in scene.all_sources}):
        points, wide = ([s for s in items if s.slope == slope] for items in (scene.sources, scene.diffuse))
        yield slope, evolve(empty, sources=points, extended=wide)
    yield scene.sky_slope, evolve(empty, sky_rate=scene.sky_rate)
    yield scene.particle_slope, evolve(empty, particle_rate=scene.particle_rate)


def _good_photons(scene: Scene, which: Which, random: np.random.Generator) -> Iterator[_Photons]:
    pointing, exposure = which
    for band in energy_parts(scene):
        for slope, only in _spectra(scene):
            model = model_counts(only, pointing, exposure.instrument, band)
            counts = random.poisson(model.total)
            yield _placed(np.repeat(np.arange(counts.size), counts.ravel()), which, (slope, band), random)


def _extra_photons(which: Which, good: int, random: np.random.Generator) -> _Photons:
    """Return events that are not photons of the scene, spread over all CCDs."""
    pointing, exposure = which
    seen = geometry(pointing.grid, exposure.instrument, pointing.pa_deg, exposure.lost_chips).coverage.ravel()
    pixels = random.choice(seen.size, size=2 * round(_EXTRA * good), p=seen / seen.sum()) if good else np.arange(0)
    band = Band(lo_ev=STANDARD_EV[0], hi_ev=STANDARD_EV[-1])
    return _placed(pixels, which, (0.5, band), random)


def _placed(pixels: Ints, which: Which, spectrum: tuple[float, Band], random: np.random.Generator) -> _Photons:
    """Return photons of a spectrum ``E**-slope`` within a band in flat pixels of the image."""
    row, column = np.divmod(pixels, which[0].grid.nx)
    slope, band = spectrum
    lo, hi = max(band.lo_ev, 1), band.hi_ev
    part = random.random(len(pixels))
    if slope == 1:
        energy = lo * (hi / lo) ** part
    else:
        a, b = lo ** (1 - slope), hi ** (1 - slope)
        energy = (a + part * (b - a)) ** (1 / (1 - slope))
    return _Photons(row, column, np.clip(np.floor(energy), band.lo_ev, hi - 1).astype(np.int64))


def _joined(parts: list[_Photons]) -> _Photons:
    return _Photons(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _during_flares(scene: Scene, which: Which, random: np.random.Generator) -> list[_Photons]:
    """Return what a list that is not cleaned holds besides: the sky during flares, and the flares."""
    pointing, exposure = which
    lost = evolve(exposure, ontime_s=sum(stop - start for start, stop in flare_intervals(*which)))
    there = evolve(pointing, exposures=[lost]), lost
    protons = evolve(
        scene, cluster=None, sources=(), extended=(), sky_rate=0.0, particle_rate=scene.flare_rate / 2,
        particle_slope=scene.flare_slope,
    )  # fmt: skip
    return [_joined(list(_good_photons(one, there, random))) for one in (scene, protons)]


def _times(intervals: tuple[Span, ...], size: int, random: np.random.Generator, *, rising: bool = False) -> Floats:
    """Return times that are even over intervals, or whose rate rises and falls in each as a squared sine."""
    start, stop = np.array(intervals).T
    ends = np.cumsum(stop - start)
    passed = random.random(size) * ends[-1]
    interval = np.searchsorted(ends, passed, side="right").clip(max=len(ends) - 1)
    length = (stop - start)[interval]
    part = (passed - (ends - (stop - start))[interval]) / length
    if rising:
        steps = np.linspace(0, 1, 1001)
        part = np.interp(part, steps - np.sin(2 * np.pi * steps) / (2 * np.pi), steps)
    return np.asarray(np.clip(start[interval] + part * length, None, stop[interval]))


def _sky(photons: _Photons, which: Which, random: np.random.Generator) -> tuple[Ints, Ints]:
    """Return X and Y, even over that part of each pixel that lies on a CCD in the field of view."""
    grid = which[0].grid
    step = round(grid.dx_sky or 1)
    x0 = photons.column * step + math.ceil((grid.x0_sky or 0) - step / 2)
    y0 = photons.row * step + math.ceil((grid.y0_sky or 0) - step / 2)
    x, y = x0 + random.integers(step, size=len(x0)), y0 + random.integers(step, size=len(y0))
    off = np.flatnonzero(_ccd_at(which, *_detector(which, x, y)) == 0)
    samples = [(a, b) for a in (1, 3, 5, 7) for b in (1, 3, 5, 7)]  # in eighths of a pixel: where geometry() looked
    for number in range(_TRIES + len(samples)):
        if number < _TRIES:
            dx, dy = random.integers(step, size=(2, len(off)))
        else:
            dx, dy = (np.full(len(off), step * eighth // 8) for eighth in samples[number - _TRIES])
        x[off], y[off] = x0[off] + dx, y0[off] + dy
        off = off[_ccd_at(which, *_detector(which, x[off], y[off])) == 0]
    return x, y


def _detector(which: Which, x: NDArray[np.generic], y: NDArray[np.generic]) -> tuple[Floats, Floats]:
    """Return DETX and DETY of positions X and Y relative to where the telescope looks."""
    dx, dy = np.asarray(x, dtype=np.float64) - REFERENCE, np.asarray(y, dtype=np.float64) - REFERENCE
    return detector_positions(which[1].instrument, which[0].pa_deg, dx, dy)


def _ccd_at(which: Which, det_x: Floats, det_y: Floats) -> Ints:
    return ccd_at(which[1].instrument, which[1].lost_chips, det_x, det_y)


def _raw_of_all(camera: str, ccd: Ints, det_x: Floats, det_y: Floats) -> tuple[Ints, Ints]:
    """Return RAWX and RAWY; where drift or rounding leads off the CCD, those of its outermost pixel."""
    model = simulated_camera(camera)
    raw = np.zeros((2, len(ccd)), dtype=np.int64)
    for number in np.unique(ccd):
        here = ccd == number
        raw_x, raw_y = raw_positions_on(camera, int(number), det_x[here], det_y[here])
        raw[0, here], raw[1, here] = np.rint(raw_x).clip(1, model.columns), np.rint(raw_y).clip(1, model.rows)
    return raw[0], raw[1]


def _quality(camera: str, bad: NDArray[np.bool_], random: np.random.Generator) -> tuple[Ints, Ints]:
    """Return FLAG and PATTERN: of the bad events half are flagged, half have a high pattern."""
    share = np.array(_PATTERNS[camera], dtype=np.float64)
    pattern = random.choice(share.size, size=bad.size, p=share / share.sum())
    flag = np.zeros(bad.size, dtype=np.int64)
    extra = np.flatnonzero(bad)
    flagged, high = extra[: extra.size // 2], extra[extra.size // 2 :]
    flag[flagged] = 2 ** random.choice(_BAD_FLAGS[camera], size=flagged.size)
    pattern[high] = random.integers(*_HIGH_PATTERNS[camera], size=high.size)
    return flag, pattern


def random_of_list(seed: int, pointing: Pointing, exposure: CameraExposure) -> np.random.Generator:
    """Return the generator of one list: leaving a camera or an observation out changes no other list."""
    key = (int(pointing.obs_id), tuple(EFFICIENCY).index(exposure.instrument))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
