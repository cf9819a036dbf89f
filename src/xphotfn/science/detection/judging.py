"""What a fit says of a source: its likelihoods and errors, and whether it stands beside the light of others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from xphotfn.records.source_list import LARGEST_EXTENT
from xphotfn.science._numeric import Floats
from xphotfn.science.detection.fit import FittedSource, Window, errors_of, fit_sources, light_of_source, own_rates
from xphotfn.science.detection.likelihood import detection_likelihood, extent_likelihood
from xphotfn.science.detection.score import Score, significance_of
from xphotfn.science.detection.sky import Sky, cut_of
from xphotfn.science.detection.templates import step_of

__all__ = ("EXTENT_LEAST", "EXTENT_ML_LEAST", "LAST_U", "Fitted", "judged")

EXTENT_LEAST, EXTENT_ML_LEAST = 5.0, 5.0  # arcsec and likelihood from which a source is extended
LAST_U = step_of(LARGEST_EXTENT)
_NEAR_PIX = 8.0
_PSF_ERROR, _EXTENDED_ERROR = 0.10, 0.20  # by which the light of neighbours may be wrong


class Fitted(NamedTuple):
    """A source with what its fit says.

    ``differences`` is by how much it lowers Cash's statistic on each map; ``errors`` are those of x,
    y (and u) and of the rates.
    """

    source: FittedSource
    differences: Floats
    det_ml: float
    ext_ml: float
    errors: tuple[Floats, Floats]


def judged(sky: Sky, window: Window, sources: tuple[FittedSource, ...], which: int, gain: float) -> Fitted | None:
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
        refitted, _ = fit_sources(window, others, last_u=LAST_U)
        without = window.background
        for other in refitted:
            without = without + window.exposure * light_of_source(window, other).value * other.rates[:, None]
    differences = 2 * np.sum(without - model + window.counts * np.log(model / without), axis=1)
    seen = int(np.count_nonzero(own_rates(window, source.rates) > 0))
    size = 2 + seen + (1 if source.u > 0 else 0)
    det_ml = float(detection_likelihood(max(float(differences.sum()), 0.0), size))
    if not _stands(sky, window, source, others, (own, held), det_ml):
        return None
    errors = errors_of(window, sources)[which]
    ext_ml = float(extent_likelihood(gain)) if source.u > 0 else 0.0
    return Fitted(source, differences, det_ml, ext_ml, errors)


def _stands(
    sky: Sky,
    window: Window,
    source: FittedSource,
    others: Sequence[FittedSource],
    planes: tuple[Floats, Floats],
    det_ml: float,
) -> bool:
    """Whether a source stands out if the light of all others were brighter by the error of their models.

    ``planes`` are its own light and all that is not its, in counts. Its light in each map is what its rates say.
    """
    own, without = planes
    level, wide = (cut_of(window, p) for p in (sky.levels, sky.wide))
    for other in others:
        if other.u > 0:
            wide = wide + window.exposure * light_of_source(window, other).value * other.rates[:, None]
    light = np.maximum(without - level, 0.0)
    total = float((own * without).sum())
    if float((own * light).sum()) < 0.1 * total:
        return True
    wide = np.minimum(np.maximum(wide, 0.0), light)
    raised = without + _PSF_ERROR * (light - wide) + (_EXTENDED_ERROR if source.u == 0 else _PSF_ERROR) * wide
    sums = [
        np.sum(own * (window.counts - raised) / raised),
        np.sum(own**2 / raised),
        np.sum(own**3 / raised**2),
    ]
    z = float(significance_of(Score(*(np.array([p]) for p in sums)))[0])
    return z > 0 and z * z / 2 >= min(det_ml, 6.0)
