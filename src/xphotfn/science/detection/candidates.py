"""Where sources may be, from the maxima of significance maps, and the first fit of each."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage, special

from xphotfn.science._numeric import Floats
from xphotfn.science.detection.fit import FittedSource, Window, fit_sources, light_of_source, statistic
from xphotfn.science.detection.judging import EXTENT_LEAST, EXTENT_ML_LEAST, LAST_U, Fitted, judged
from xphotfn.science.detection.likelihood import detection_likelihood, extent_likelihood
from xphotfn.science.detection.pairs import DOUBLE_ARCSEC, double_margin, two_points
from xphotfn.science.detection.score import local_maxima
from xphotfn.science.detection.search_map import shape_at
from xphotfn.science.detection.sky import Sky
from xphotfn.science.detection.templates import extent_at, step_of

__all__ = ("Options", "Places", "with_candidates")

_SCALES = (0.0, 10.0, 25.0, 60.0)  # arcsec
_SLACK, _TIED_SLACK, _LEAST_Z = 3.5, 1.0, 2.5  # by how much a fit (and one with tied cameras) may exceed Z^2; least Z
_WIDER = 1.5  # by how much Z^2 must be higher for an extent to be tried
_SAME_PIX, _NEAREST_PIX = 1.5, 2.0
Place = tuple[float, float, float | None]
Places = tuple[Place, ...]
Candidate = tuple[float, float | None, float, float]  # significance, extent, column, row


class Options(NamedTuple):
    """Least TIED_ML of what is kept on the way, and whether extents are looked for."""

    keep: float
    extent: bool


def with_candidates(
    sky: Sky, found: tuple[Fitted, ...], failed: Places, options: Options
) -> tuple[tuple[Fitted, ...], Places]:
    """Return the sources with those that the significance maps add, the most significant first, and what failed."""
    new, gone, (x0, y0) = list(found), list(failed), sky.frame[:2]
    for _, start, i, j in _candidates(sky, options):
        x, y = i + x0, j + y0
        if _taken(new, x, y, None if start is None else start / sky.pixel):
            continue
        if _taken(new[len(found) :], x, y, None):  # what was found since the maps were made is in them still
            continue
        if any(np.hypot(x - a, y - b) < _SAME_PIX and scale == start for a, b, scale in failed):
            continue
        fitted = _tried(sky, x, y, start, options.keep)
        if fitted is None or fitted.tied_ml < options.keep or _taken(new, *_place(fitted.source)):
            gone.append((x, y, start))
        else:
            sky.draw(fitted.source)
            new.append(fitted)
    return tuple(new), tuple(gone)


def _candidates(sky: Sky, options: Options) -> list[Candidate]:
    """Return significance, extent at which it is highest (None: that of a point), column and row of maxima.

    Those of one camera or observation come in as points where no joint maximum is near: light that the others do not
    see is lost in their sum.
    """
    scales = _SCALES if options.extent else _SCALES[:1]
    maps, alone = sky.joint_and_single(scales)
    shares = sky.tied_shares or sky.shares or range(len(sky.maps))
    needed = _z_squared(2 + len(set(shares)), options.keep)
    least = np.sqrt(max(needed - (_TIED_SLACK if sky.tied_shares else _SLACK), _LEAST_Z**2))
    whole = np.maximum(np.array(maps), 0.0) ** 2
    point = ndimage.maximum_filter(whole[0], 3)
    rows: list[Candidate] = []
    for number, image in enumerate(maps):
        for x, y, z in zip(*local_maxima(image, least), strict=True):
            here = whole[:, int(y), int(x)]
            best = int(np.argmax(here))
            wide = best > 0 and here[best] > here[0] + _WIDER
            if number == 0 or (wide and here[best] > point[int(y), int(x)] + _WIDER):
                rows.append((float(z), scales[best] if wide else None, float(x), float(y)))
    return _ordered([*rows, *_of_one(alone, rows, np.sqrt(max(_z_squared(3, options.keep) - _SLACK, _LEAST_Z**2)))])


def _of_one(maps: Sequence[Floats], joint: Sequence[Candidate], least: float) -> list[Candidate]:
    """Return the maxima of maps of single cameras and observations, without those next to joint or higher ones."""
    singles = ((z, None, x, y) for image in maps for x, y, z in zip(*local_maxima(image, least), strict=True))
    kept: list[Candidate] = []
    for row in _ordered((float(z), scale, float(x), float(y)) for z, scale, x, y in singles):
        if not any(np.hypot(row[2] - x, row[3] - y) < _NEAREST_PIX for _, _, x, y in (*joint, *kept)):
            kept.append(row)
    return kept


def _ordered(rows: Iterable[Candidate]) -> list[Candidate]:
    return sorted(rows, key=lambda r: (-r[0], r[1] or 0.0, r[2], r[3]))


def _z_squared(parameters: int, likelihood: float) -> float:
    """Return twice the logarithm of the likelihood ratio at which a fit of some parameters has a likelihood."""
    return float(2 * special.gammainccinv(parameters / 2, np.exp(-likelihood)))


def _taken(found: Sequence[Fitted], x: float, y: float, reach: float | None) -> bool:
    """Whether a source lies there; a wide candidate (with a reach) is taken by extended sources within it alone."""
    for fitted in found:
        s = fitted.source
        away = np.hypot(s.x - x, s.y - y)
        if away < _NEAREST_PIX if reach is None else s.u > 0 and away < max(reach, _NEAREST_PIX):
            return True
    return False


def _place(source: FittedSource) -> Place:
    """Return place and reach of a source that was fitted, for :func:`_taken`."""
    return source.x, source.y, 0.0 if source.u > 0 else None


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
        (wide,), best = fit_sources(window, (wide,), last_u=LAST_U)
        if float(detection_likelihood(max(statistic(window, window.background) - best, 0.0), 3)) < keep:
            return None
        (source,), point = fit_sources(window, (source,), last_u=LAST_U)
        gain = max(point - best, 0.0)
        sure = extent_at(wide.u) >= EXTENT_LEAST and float(extent_likelihood(gain)) >= EXTENT_ML_LEAST
        if sure and not _double(sky, window, wide, best + double_margin(gain)):
            return judged(sky, window, (wide,), 0, gain)
    else:
        (source,), _ = fit_sources(window, (source,), last_u=LAST_U)
    return judged(sky, window, (source,), 0, 0.0)


def _double(sky: Sky, window: Window, wide: FittedSource, most: float) -> bool:
    """Whether two points reach a value of Cash's statistic, so that they are no extended source."""
    small = wide.rates.max() > 0 and extent_at(wide.u) <= DOUBLE_ARCSEC
    return small and two_points(window, wide, sky.pixel)[1] <= most
