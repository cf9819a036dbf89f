"""The search for sources: candidates from significance maps, fits in windows, and what is kept."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from xphotfn.science._numeric import Floats
from xphotfn.science.coords import pix_to_deg
from xphotfn.science.detection.fit import (
    FittedSource,
    Window,
    errors_of,
    fit_sources,
    light_of_source,
    own_rates,
    statistic,
)
from xphotfn.science.detection.likelihood import detection_likelihood, extent_likelihood
from xphotfn.science.detection.score import Score, kernel_of, local_maxima, score_maps, significance_of
from xphotfn.science.detection.search_map import MARGIN, SearchMap, profiles_at, shape_at
from xphotfn.science.detection.sky import Sky
from xphotfn.science.detection.templates import LARGEST_EXTENT, extent_at, step_of

__all__ = (
    "BRIGHT",
    "EXTENT_LEAST",
    "EXTENT_ML_LEAST",
    "Fitted",
    "Found",
    "first_backgrounds",
    "search",
    "under_sources",
)

EXTENT_LEAST, EXTENT_ML_LEAST = 6.0, 5.0  # arcsec and likelihood from which a source is extended
_SCALES = (0.0, 10.0, 25.0, 60.0)  # arcsec
_SLACK, _LEAST_Z = 5.0, 2.5  # by how much a fit with free rates may exceed Z^2, and the least Z
_WIDER = 1.5  # by how much Z^2 must be higher for an extent to be tried
_LAST_U = step_of(LARGEST_EXTENT)
BRIGHT, BRIGHT_EXTENDED = 8.0, 20.0  # DET_ML from which a source counts in the fit of the background
_MASKED = 1.0  # light over background from which a pixel does not count in the fit of the background
_DOUBLE_ARCSEC = 30.0  # extent up to which two points may look like it
_DOUBLE_MARGIN, _DOUBTFUL = 2.0, 8.0  # of Cash's statistic, and the EXT_ML below which it is in favour of two points
_SAME_PIX, _NEAR_PIX, _TOGETHER = 1.5, 8.0, 8
_SLOW_EXTENT, _SURE, _ON_ANOTHER = 25.0, 300.0, 0.5  # arcsec, DET_ML, light over background
_FINER = 0.5  # of the scale of the slow correction, for the background that a wide source must stand against
_PSF_ERROR, _EXTENDED_ERROR = 0.10, 0.20  # by which the light of neighbours may be wrong
Places = tuple[tuple[float, float, float | None], ...]
Inside = Callable[[Floats, Floats], NDArray[np.bool_]]


class Fitted(NamedTuple):
    """A source with what its fit says.

    ``differences`` is by how much it lowers Cash's statistic on each map, ``extent_difference`` by how much its extent
    does in all. ``errors`` are those of x, y (and u) and of the rates.
    """

    source: FittedSource
    differences: Floats
    extent_difference: float
    det_ml: float
    ext_ml: float
    errors: tuple[Floats, Floats]


class _Options(NamedTuple):
    """Least DET_ML of what is kept on the way, and whether extents are looked for."""

    keep: float
    extent: bool


class Found(NamedTuple):
    """The sources, the brightest first, and the maps with their backgrounds and the light of all sources."""

    sources: tuple[Fitted, ...]
    sky: Sky


def search(maps: Sequence[SearchMap], *, threshold: float, extent: bool = True, inside: Inside | None = None) -> Found:
    """Find the sources of some maps.

    Parameters
    ----------
    maps
        All of one pixel size; their order decides which grid is the reference.
    threshold
        Least DET_ML.
    extent
        Whether extended sources are looked for.
    inside
        Says for RA and Dec in degrees whether a source there is wanted; all are searched, as neighbours count.

    Notes
    -----
    First the background, without pixels above 3 sigma. Then candidates from the significance maps, the highest first,
    each fitted with what was found before it; the background again, under the sources of DET_ML above 8; candidates
    in what is left; and twice all sources again, neighbours within 35 arcsec together. Between the two an extended
    source of 25 arcsec or more that lies on no other must stand beside a background that is fitted without it with a
    slow correction of half the usual scale.
    """
    sky = Sky(maps)
    first_backgrounds(sky)
    keep = max(threshold - 1.0, 3.0)
    options = _Options(keep, extent)
    found: tuple[Fitted, ...] = ()
    failed: Places = ()
    for _ in range(2):
        found, failed = _with_candidates(sky, found, failed, options)
        _backgrounds(sky, found)
    for least in (keep, threshold):
        found = _refined(sky, found, least)
        if least != threshold:
            found = _beside_the_background(sky, found, least)
            _backgrounds(sky, found)
    wanted = (f for f in found if _wanted(sky, f.source.x, f.source.y, inside))
    ordered = tuple(sorted(wanted, key=lambda f: (-f.det_ml, f.source.x, f.source.y)))
    return Found(ordered, sky)


def first_backgrounds(sky: Sky) -> None:
    """Fit the backgrounds without the pixels of sources, which are those above 3 sigma."""
    used = [m.exposure > 0 for m in sky.maps]
    sky.fit_backgrounds(used)
    for _ in range(2):
        used = [_quiet(sky, number) & (item.exposure > 0) for number, item in enumerate(sky.maps)]
        sky.fit_backgrounds(used)


def _quiet(sky: Sky, number: int) -> NDArray[np.bool_]:
    """Return the pixels of a map that lie below 3 sigma at the scales of points and of clusters."""
    item = sky.maps[number]
    profiles = profiles_at(item, 5.0)
    kernels = [kernel_of(profiles, step_of(rc), int(9 + 2.5 * rc / sky.pixel)) for rc in (0.0, 25.0)]
    bright = np.zeros(item.counts.shape, dtype=bool)
    for score in score_maps(item.counts, item.exposure, sky.backgrounds[number].image, kernels):
        bright |= significance_of(score) > 3
    return np.asarray(~ndimage.binary_dilation(bright, iterations=2), dtype=np.bool_)


def _backgrounds(sky: Sky, found: Sequence[Fitted], part: float = 1.0) -> None:
    """Fit the backgrounds under the bright sources alone, with a part of the usual scale of the slow correction."""
    faint = [f.source for f in found if f.det_ml <= (BRIGHT_EXTENDED if f.source.u > 0 else BRIGHT)]
    for source in faint:
        sky.draw(source, -1.0)
    _fit_under(sky, part)
    for source in faint:
        sky.draw(source)


def _beside_the_background(sky: Sky, found: tuple[Fitted, ...], least: float) -> tuple[Fitted, ...]:
    """Return the sources without wide ones that are none once the slow part of the background may follow their light.

    The slow correction is then one of 2 arcmin. One of the largest extent goes as well: it has no size. What lies in
    the light of another extended source is a piece of it, and stays, as does what no background explains.
    """
    kept = list(found)
    unsure = (f for f in found if extent_at(f.source.u) >= _SLOW_EXTENT and f.det_ml < _SURE)
    for fitted in sorted(unsure, key=lambda f: f.det_ml):
        source = fitted.source
        if _on_extended(sky, source):
            continue
        sky.draw(source, -1.0)
        kept.remove(fitted)
        _backgrounds(sky, kept, _FINER)
        window = sky.window_of([source])
        _, best = fit_sources(window, (source,), last_u=_LAST_U)
        size = 3 + int(np.count_nonzero(own_rates(window, source.rates) > 0))
        gain = max(statistic(window, window.background) - best, 0.0)
        if source.u < _LAST_U and float(detection_likelihood(gain, size)) >= least:
            sky.draw(source)
            kept.append(fitted)
    return tuple(kept)


def _on_extended(sky: Sky, source: FittedSource) -> bool:
    """Whether a source that is drawn lies in the light of another extended one."""
    window = sky.window_of([source])
    levels, _, wide, _, _ = sky.around(window, source)
    light = light_of_source(window, source).value
    return float((light * wide).sum()) > _ON_ANOTHER * float((light * levels).sum())


def under_sources(sky: Sky, sources: Iterable[FittedSource]) -> None:
    """Draw sources and fit the backgrounds under them."""
    for source in sources:
        sky.draw(source)
    _fit_under(sky)


def _fit_under(sky: Sky, part: float = 1.0) -> None:
    """Fit the backgrounds under what is drawn, without the pixels that it outshines."""
    used = [
        (m.exposure > 0) & (light < _MASKED * np.where(b.image > 0, b.image, 1.0))
        for m, light, b in zip(sky.maps, sky.inner(sky.light), sky.backgrounds, strict=True)
    ]
    sky.fit_backgrounds(used, part)


def _with_candidates(
    sky: Sky, found: tuple[Fitted, ...], failed: Places, options: _Options
) -> tuple[tuple[Fitted, ...], Places]:
    """Return the sources with those that the significance maps add, the most significant first, and what failed."""
    new, gone, (x0, y0) = list(found), list(failed), sky.frame[:2]
    for _, start, i, j in _candidates(sky, options):
        x, y = i + x0, j + y0
        if _taken(new, x, y, 0.0 if start is None else start / sky.pixel):
            continue
        if any(np.hypot(x - a, y - b) < _SAME_PIX and scale == start for a, b, scale in failed):
            continue
        fitted = _tried(sky, x, y, start, options.keep)
        if fitted is None or fitted.det_ml < options.keep or _taken(new, fitted.source.x, fitted.source.y, 0.0):
            gone.append((x, y, start))
        else:
            sky.draw(fitted.source)
            new.append(fitted)
    return tuple(new), tuple(gone)


def _candidates(sky: Sky, options: _Options) -> list[tuple[float, float | None, float, float]]:
    """Return significance, extent at which it is highest (None: that of a point), column and row of maxima."""
    scales = _SCALES if options.extent else _SCALES[:1]
    maps = sky.significances(scales)
    needed = 2 * special.gammainccinv((2 + len(sky.maps)) / 2, np.exp(-options.keep))
    least = np.sqrt(max(needed - _SLACK, _LEAST_Z**2))
    whole = np.maximum(np.array(maps), 0.0) ** 2
    point = ndimage.maximum_filter(whole[0], 3)
    rows: list[tuple[float, float | None, float, float]] = []
    for number, image in enumerate(maps):
        for x, y, z in zip(*local_maxima(image, least), strict=True):
            here = whole[:, int(y), int(x)]
            best = int(np.argmax(here))
            wide = best > 0 and here[best] > here[0] + _WIDER
            if number == 0 or (wide and here[best] > point[int(y), int(x)] + _WIDER):
                rows.append((float(z), scales[best] if wide else None, float(x), float(y)))
    return sorted(rows, key=lambda r: (-r[0], r[1] or 0.0, r[2], r[3]))


def _taken(found: Sequence[Fitted], x: float, y: float, reach: float) -> bool:
    """Whether a source lies there; a wide candidate is taken by any extended source within its reach."""
    for fitted in found:
        s = fitted.source
        away = np.hypot(s.x - x, s.y - y)
        if away < 2.0 or (reach > 0 and s.u > 0 and away < reach):
            return True
    return False


def _wanted(sky: Sky, x: float, y: float, inside: Inside | None) -> bool:
    if inside is None:
        return True
    ra, dec = pix_to_deg(sky.maps[0].grid, np.array([x]), np.array([y]))
    return bool(inside(ra, dec)[0])


def _start(sky: Sky, x: float, y: float, u: float) -> tuple[FittedSource, Window]:
    """Return a source with the rates of the matched filter, and its window."""
    shape = shape_at(sky.maps, x, y, u)
    source = FittedSource(x, y, u, np.zeros(len(sky.maps)), u > 0, shape)
    window = sky.window_of([source])
    light = window.exposure * light_of_source(window, source).value
    weight = light / window.background
    excess, norm = (weight * (window.counts - window.background)).sum(axis=1), (weight * light).sum(axis=1)
    rates = np.where(norm > 0, np.maximum(excess, 0.0) / np.where(norm > 0, norm, 1.0), 0.0)
    total = light.sum(axis=1)
    least = np.where(total > 0, 0.5 / np.where(total > 0, total, 1.0), 0.0)
    rates = np.maximum(rates, least)
    return source._replace(rates=_mean_of_shared(sky.shares, rates, norm)), window


def _mean_of_shared(shares: tuple[int, ...], rates: Floats, weights: Floats) -> Floats:
    """Return rates with the weighted mean for those that are shared."""
    if not shares:
        return rates
    total, weight = (np.bincount(shares, weights=v) for v in (rates * weights, weights))
    return (total / np.where(weight > 0, weight, 1.0))[list(shares)]


def _tried(sky: Sky, x: float, y: float, start: float | None, keep: float) -> Fitted | None:
    """Return a candidate as a point or, from an extent in arcsec on, as an extended source; None for neither."""
    source, window = _start(sky, x, y, 0.0)
    if not np.any(window.exposure > 0):
        return None
    if start is not None:
        wide, window = _start(sky, x, y, step_of(start))
        (wide,), best = fit_sources(window, (wide,), last_u=_LAST_U)
        if float(detection_likelihood(max(statistic(window, window.background) - best, 0.0), 3)) < keep:
            return None
        (source,), point = fit_sources(window, (source,), last_u=_LAST_U)
        gain = max(point - best, 0.0)
        sure = extent_at(wide.u) >= EXTENT_LEAST and float(extent_likelihood(gain)) >= EXTENT_ML_LEAST
        if sure and not _double(window, source, wide, best + _double_margin(gain)):
            return _judged(sky, window, (wide,), 0, gain)
    else:
        (source,), _ = fit_sources(window, (source,), last_u=_LAST_U)
    return _judged(sky, window, (source,), 0, 0.0)


def _double_margin(gain: float) -> float:
    """Return by how much Cash's statistic of two points may exceed that of an extended source.

    Of a faint source whose extent is not quite sure, two points are the likelier; of a brighter one the extent.
    """
    return _DOUBLE_MARGIN if float(extent_likelihood(gain)) < _DOUBTFUL else -_DOUBLE_MARGIN


def _double(window: Window, point: FittedSource, wide: FittedSource, most: float) -> bool:
    """Whether two points reach a value of Cash's statistic, so that they are no extended source."""
    if wide.rates.max() <= 0 or extent_at(wide.u) > _DOUBLE_ARCSEC:
        return False
    dx, dy = wide.x - point.x, wide.y - point.y
    size = float(np.hypot(dx, dy))
    ways = [(2 * dx, 2 * dy)] if size > 1 else [(2.5, 0.0), (-2.5, 0.0), (0.0, 2.5), (0.0, -2.5)]
    for away_x, away_y in ways:
        second = point._replace(x=point.x + away_x, y=point.y + away_y, rates=wide.rates / 2)
        _, value = fit_sources(window, (point, second), last_u=_LAST_U)
        if value <= most:
            return True
    return False


def _judged(sky: Sky, window: Window, sources: tuple[FittedSource, ...], which: int, gain: float) -> Fitted | None:
    """Return a source of a fitted group with its likelihoods; None where the light of its neighbours may be it."""
    source = sources[which]
    others = tuple(s for number, s in enumerate(sources) if number != which)
    own = window.exposure * light_of_source(window, source).value * source.rates[:, None]
    model = window.background + own
    for other in others:
        model = model + window.exposure * light_of_source(window, other).value * other.rates[:, None]
    without = held = model - own
    own_rate = float(source.rates.sum())
    near = (s for s in others if np.hypot(s.x - source.x, s.y - source.y) < _NEAR_PIX)
    if any(float(s.rates.sum()) > own_rate for s in near):  # a brighter neighbour may take all its light
        refitted, _ = fit_sources(window, others, last_u=_LAST_U)
        without = window.background
        for other in refitted:
            without = without + window.exposure * light_of_source(window, other).value * other.rates[:, None]
    differences = 2 * np.sum(without - model + window.counts * np.log(model / without), axis=1)
    seen = int(np.count_nonzero(own_rates(window, source.rates) > 0))
    size = 2 + seen + (1 if source.u > 0 else 0)
    det_ml = float(detection_likelihood(max(float(differences.sum()), 0.0), size))
    if not _stands(sky, window, source, held, det_ml):
        return None
    errors = errors_of(window, sources)[which]
    ext_ml = float(extent_likelihood(gain)) if source.u > 0 else 0.0
    return Fitted(source, differences, gain, det_ml, ext_ml, errors)


def _stands(sky: Sky, window: Window, source: FittedSource, without: Floats, det_ml: float) -> bool:
    """Whether a source stands out if the light of all others were brighter by the error of their models."""
    others = np.maximum(without - _level(sky, window), 0.0)
    profile = light_of_source(window, source).value
    share = float((profile * others).sum() / max((profile * without).sum(), 1e-300))
    if share < 0.1:
        return True
    error = _EXTENDED_ERROR if source.u == 0 else _PSF_ERROR
    raised = without + error * others
    light = window.exposure * profile
    planes = [
        np.sum(light * (window.counts - raised) / raised),
        np.sum(light**2 / raised),
        np.sum(light**3 / raised**2),
    ]
    z = float(significance_of(Score(*(np.array([p]) for p in planes)))[0])
    return z > 0 and z * z / 2 >= min(det_ml, 6.0)


def _level(sky: Sky, window: Window) -> Floats:
    """Return the background alone in a window."""
    x, y = (v[:, 0].astype(int) for v in (window.x, window.y))
    side = round(window.x.shape[1] ** 0.5)
    return np.array(
        [
            level[b + MARGIN : b + MARGIN + side, a + MARGIN : a + MARGIN + side].ravel()
            for level, a, b in zip(sky.levels, x, y, strict=True)
        ]
    )


def _refined(sky: Sky, found: tuple[Fitted, ...], least: float) -> tuple[Fitted, ...]:
    """Return all sources fitted again, neighbours together, the brightest first; those below ``least`` go."""
    ordered = sorted(found, key=lambda f: (-f.det_ml, f.source.x, f.source.y))
    kept: list[Fitted] = []
    for group in _groups([f.source for f in ordered]):
        sources = tuple(ordered[n].source for n in group)
        for source in sources:
            sky.draw(source, -1.0)
        survivors = _group(sky, sources, least)
        for fitted in survivors:
            sky.draw(fitted.source)
        kept += survivors
    return tuple(kept)


def _groups(sources: Sequence[FittedSource]) -> list[list[int]]:
    """Return numbers of sources in groups of at most eight that lie within each other's wings."""
    left, groups = list(range(len(sources))), []
    while left:
        group, waiting = [left.pop(0)], True
        while waiting and len(group) < _TOGETHER:
            waiting = False
            for number in left:
                if any(_touch(sources[number], sources[member]) for member in group):
                    group.append(number)
                    left.remove(number)
                    waiting = True
                    break
        groups.append(group)
    return groups


def _touch(one: FittedSource, other: FittedSource) -> bool:
    wide = max(one.u, other.u)
    reach = _NEAR_PIX + extent_at(wide) / 4.35
    return bool(np.hypot(one.x - other.x, one.y - other.y) < reach)


def _group(sky: Sky, sources: tuple[FittedSource, ...], least: float) -> list[Fitted]:
    """Return the sources of a group that stand after a joint fit; the weakest that does not goes, and all again."""
    sources = tuple(s._replace(shape=shape_at(sky.maps, s.x, s.y, s.u)) for s in sources)
    while sources:
        window = sky.window_of(sources)
        sources, best = fit_sources(window, sources, last_u=_LAST_U)
        sources, best, gains = _as_points(window, sources, best)
        judged = [_judged(sky, window, sources, n, gains[n]) for n in range(len(sources))]
        scores = [-1.0 if j is None or _doubled(sources, n) else j.det_ml for n, j in enumerate(judged)]
        worst = int(np.argmin(scores))
        if scores[worst] >= least:
            return [j for j in judged if j is not None]
        sources = sources[:worst] + sources[worst + 1 :]
    return []


def _doubled(sources: tuple[FittedSource, ...], which: int) -> bool:
    """Whether a source has come to lie on a brighter one of its kind."""
    one = sources[which]
    return any(
        np.hypot(s.x - one.x, s.y - one.y) < _SAME_PIX and (s.u > 0) == (one.u > 0) and s.rates.sum() > one.rates.sum()
        for n, s in enumerate(sources)
        if n != which
    )


def _as_points(
    window: Window, sources: tuple[FittedSource, ...], best: float
) -> tuple[tuple[FittedSource, ...], float, list[float]]:
    """Return the sources with those as points whose extent is not sure, and the gains of the extents."""
    gains = [0.0] * len(sources)
    for number, source in enumerate(sources):
        if source.u > 0:
            point = source._replace(u=0.0, extended=False)
            trial, value = fit_sources(window, (*sources[:number], point, *sources[number + 1 :]), last_u=_LAST_U)
            gain = max(value - best, 0.0)
            if extent_at(source.u) < EXTENT_LEAST or float(extent_likelihood(gain)) < EXTENT_ML_LEAST:
                sources, best = trial, value
            else:
                gains[number] = gain
        elif source.extended:
            sources = (*sources[:number], source._replace(extended=False), *sources[number + 1 :])
    return sources, best, gains
