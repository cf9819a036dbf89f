"""Whether what looks like one extended source is two: two points, or a point beside an extended source."""

from collections.abc import Sequence

import numpy as np

from xphotfn.science.detection.fit import FittedSource, Window, fit_sources, light_of_source
from xphotfn.science.detection.judging import LAST_U
from xphotfn.science.detection.likelihood import extent_likelihood
from xphotfn.science.detection.templates import extent_at

__all__ = ("DOUBLE_ARCSEC", "beside", "double_margin", "point_in_extended", "two_points")

DOUBLE_ARCSEC = 30.0  # extent up to which two sources may look like it
_DOUBLE_MARGIN, _DOUBTFUL = 2.0, 8.0  # of Cash's statistic, and the EXT_ML below which it is in favour of two points
_LEAST_APART = 1.2  # pixels from the middle of an extended source at which points start
_STARTS = ((0.3, 4.0, 1.2, 0.0), (0.5, 1.5, 2.5, 0.7))  # point's part of the light, pixels of both, and wider by
Pair = tuple[tuple[FittedSource, FittedSource], float]


def beside(window: Window, others: Sequence[FittedSource]) -> Window:
    """Return a window with the light of sources that are not fitted in its background."""
    level = window.background
    for other in others:
        level = level + window.exposure * light_of_source(window, other).value * other.rates[:, None]
    return window._replace(background=level)


def double_margin(gain: float) -> float:
    """Return by how much Cash's statistic of two points may exceed that of an extended source.

    Of a faint source whose extent is not quite sure, two points are the likelier; of a brighter one the extent.
    """
    return _DOUBLE_MARGIN if float(extent_likelihood(gain)) < _DOUBTFUL else -_DOUBLE_MARGIN


def two_points(window: Window, wide: FittedSource, pixel_arcsec: float) -> Pair:
    """Return the two points that explain an extended source best, and Cash's statistic."""
    away = max(_LEAST_APART, extent_at(wide.u) / pixel_arcsec)
    half = wide._replace(u=0.0, extended=False, rates=wide.rates / 2)
    return _best(
        window, [(_moved(half, away, angle), _moved(half, -away, angle)) for angle in np.arange(4) * np.pi / 4]
    )


def point_in_extended(window: Window, wide: FittedSource) -> Pair:
    """Return the extended source and the point beside it that explain one extended source best, and the statistic.

    What was fitted as one is the extended source with a point at its side, or a point with a wider source at its side.
    """
    starts = []
    for part, near, far, wider in _STARTS:
        point = wide._replace(u=0.0, extended=False, rates=wide.rates * part)
        rest = wide._replace(u=min(wide.u + wider, LAST_U), rates=wide.rates * (1 - part))
        starts += [(_moved(rest, -far, angle), _moved(point, near, angle)) for angle in np.arange(8) * np.pi / 4]
    return _best(window, starts)


def _moved(source: FittedSource, away: float, angle: float) -> FittedSource:
    return source._replace(x=source.x + away * float(np.cos(angle)), y=source.y + away * float(np.sin(angle)))


def _best(window: Window, starts: Sequence[tuple[FittedSource, FittedSource]]) -> Pair:
    """Return the fit with the least statistic; of equal ones the first."""
    fits = [fit_sources(window, start, last_u=LAST_U) for start in starts]
    (one, other), value = min(fits, key=lambda fit: fit[1])
    return (one, other), value
