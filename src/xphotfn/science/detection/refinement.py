"""All sources fitted again, neighbours together: what stands, what is extended, and what is two."""

from collections.abc import Sequence

import numpy as np

from xphotfn.science.detection.fit import FittedSource, Window, fit_sources, own_rates
from xphotfn.science.detection.judging import EXTENT_LEAST, EXTENT_ML_LEAST, LAST_U, Fitted, judged
from xphotfn.science.detection.likelihood import detection_likelihood, extent_likelihood
from xphotfn.science.detection.pairs import DOUBLE_ARCSEC, beside, double_margin, point_in_extended, two_points
from xphotfn.science.detection.search_map import shape_at
from xphotfn.science.detection.sky import Sky
from xphotfn.science.detection.templates import extent_at, step_of

__all__ = ("refined",)

_SAME_PIX, _MIDDLE_PIX, _NEAR_PIX, _TOGETHER = 1.5, 4.0, 8.0, 8


def refined(sky: Sky, found: tuple[Fitted, ...], least: float) -> tuple[Fitted, ...]:
    """Return all sources fitted again, neighbours together, the brightest first; those below ``least`` go."""
    ordered = sorted(found, key=lambda f: (-f.tied_ml, f.source.x, f.source.y))
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
    if any(s.u > 0 for s in sources):
        sources = _parted(sky, sources, least)
    while sources:
        window = sky.window_of(sources)
        sources, best = fit_sources(window, sources, last_u=LAST_U)
        sources, best, gains = _as_points(window, sources, best)
        verdicts = [judged(sky, window, sources, n, gains[n]) for n in range(len(sources))]
        scores = [-1.0 if j is None or _doubled(sources, n) else j.tied_ml for n, j in enumerate(verdicts)]
        worst = int(np.argmin(scores))
        if scores[worst] >= least:
            return [j for j in verdicts if j is not None]
        sources = sources[:worst] + sources[worst + 1 :]
    return []


def _parted(sky: Sky, sources: tuple[FittedSource, ...], least: float) -> tuple[FittedSource, ...]:
    """Return the sources of a group with those extended ones as two that two explain better.

    That is a point beside an extended source if the point is sure, and two points if they do as well as it.
    """
    window = sky.window_of([s._replace(u=max(s.u, step_of(DOUBLE_ARCSEC))) if s.u > 0 else s for s in sources])
    sources, _ = fit_sources(window, sources, last_u=LAST_U)
    parted: list[FittedSource] = []
    for number, source in enumerate(sources):
        others = [*parted, *sources[number + 1 :]]
        if source.u > 0 and extent_at(source.u) <= DOUBLE_ARCSEC and not _with_a_point(source, others):
            parted += _as_two(beside(window, others), source, sky.pixel, least)
        else:
            parted.append(source)
    return tuple(parted)


def _with_a_point(wide: FittedSource, others: Sequence[FittedSource]) -> bool:
    """Whether a point lies in the middle of an extended source already, as in the cool core of a cluster."""
    return any(s.u == 0 and np.hypot(s.x - wide.x, s.y - wide.y) < _MIDDLE_PIX for s in others)


def _as_two(window: Window, wide: FittedSource, pixel: float, least: float) -> tuple[FittedSource, ...]:
    """Return an extended source, or the two that explain its light better.

    One of too small an extent would be a point, so a point beside an extended source has to explain more than a point.
    """
    (wide,), one = fit_sources(window, (wide,), last_u=LAST_U)
    _, point = fit_sources(window, (wide._replace(u=0.0, extended=False),), last_u=LAST_U)
    small = extent_at(wide.u) < EXTENT_LEAST
    pair, two = point_in_extended(window, wide)
    size = (3 if small else 2) + len(own_rates(window, wide.rates))
    if float(detection_likelihood(max((point if small else one) - two, 0.0), size)) >= least:
        return pair
    pair, two = two_points(window, wide, pixel)
    return pair if two <= one + double_margin(max(point - one, 0.0)) else (wide,)


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
            trial, value = fit_sources(window, (*sources[:number], point, *sources[number + 1 :]), last_u=LAST_U)
            gain = max(value - best, 0.0)
            if extent_at(source.u) < EXTENT_LEAST or float(extent_likelihood(gain)) < EXTENT_ML_LEAST:
                sources, best = trial, value
            else:
                gains[number] = gain
        elif source.extended:
            sources = (*sources[:number], source._replace(extended=False), *sources[number + 1 :])
    return sources, best, gains
