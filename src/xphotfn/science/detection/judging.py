"""What a fit says of a source: its likelihoods and errors, and whether it stands beside the light of others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from xphotfn.records.source_list import LARGEST_EXTENT
from xphotfn.science._numeric import Floats
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
from xphotfn.science.detection.score import Score, significance_of
from xphotfn.science.detection.sky import Sky, cut_of
from xphotfn.science.detection.templates import step_of

__all__ = ("EXTENT_LEAST", "EXTENT_ML_LEAST", "LAST_U", "Fitted", "judged", "tied_likelihood")

EXTENT_LEAST, EXTENT_ML_LEAST = 5.0, 5.0  # arcsec and likelihood from which a source is extended
LAST_U = step_of(LARGEST_EXTENT)
_NEAR_PIX = 8.0
_CLOSE_TO_LEAST = 6.0  # arcsec: extents below it may be too small in the next fit
_PSF_ERROR, _EXTENDED_ERROR = 0.10, 0.20  # by which the light of neighbours may be wrong


class Likelihoods(NamedTuple):
    """DET_ML with free rates; TIED_ML with one amplitude for the cameras of an observation; EXT_ML."""

    det_ml: float
    tied_ml: float
    ext_ml: float


class Fitted(NamedTuple):
    """A source with what its fit says.

    ``differences`` is by how much it lowers Cash's statistic on each map; ``errors`` are those of x,
    y (and u) and of the rates.
    """

    source: FittedSource
    differences: Floats
    likelihoods: Likelihoods
    errors: tuple[Floats, Floats]

    @property
    def det_ml(self) -> float:
        """The likelihood of emldetect."""
        return self.likelihoods.det_ml

    @property
    def tied_ml(self) -> float:
        """The likelihood that decides whether the source is kept."""
        return self.likelihoods.tied_ml

    @property
    def ext_ml(self) -> float:
        """The likelihood of its extent."""
        return self.likelihoods.ext_ml


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
        refitted = _without(window, others)
        without = window.background
        for other in refitted:
            without = without + window.exposure * light_of_source(window, other).value * other.rates[:, None]
    differences = 2 * np.sum(without - model + window.counts * np.log(model / without), axis=1)
    det_ml = tied_ml = _likelihood(window, source, float(differences.sum()))
    if sky.tied_shares:
        tied_ml = tied_likelihood(sky, window._replace(background=held), source, statistic(window, without))
    if not _stands(sky, window, source, others, (own, held), tied_ml):
        return None
    errors = errors_of(window, sources)[which]
    ext_ml = float(extent_likelihood(gain)) if source.u > 0 else 0.0
    return Fitted(source, differences, Likelihoods(det_ml, tied_ml, ext_ml), errors)


def tied_likelihood(sky: Sky, window: Window, source: FittedSource, empty: float) -> float:
    """Return TIED_ML, the likelihood of a source that the cameras of an observation see in a known ratio.

    Parameters
    ----------
    sky
        Knows which maps are tied, and their sensitivities.
    window
        With the neighbours of the source in its background.
    source
        As its fit with free rates gives it, where the fit with tied ones starts.
    empty
        Cash's statistic without the source.

    Notes
    -----
    ``-ln Q((2 + observations) / 2, L)`` with L half of what the source lowers Cash's statistic by, and one parameter
    more for an extent. A map of unknown sensitivity has its own rate; where no cameras are tied it is DET_ML.
    """
    if sky.tied_shares:
        window, source = _as_tied(sky, window, source)
        (source,), _ = fit_sources(window, (source,), last_u=LAST_U)
    own = window.exposure * light_of_source(window, source).value * source.rates[:, None]
    return _likelihood(window, source, empty - statistic(window, window.background + own))


def _likelihood(window: Window, source: FittedSource, difference: float) -> float:
    """Return the likelihood of what a source lowers Cash's statistic by; a rate held at 0 is no parameter."""
    seen = int(np.count_nonzero(own_rates(window, source.rates) > 0))
    return float(detection_likelihood(max(difference, 0.0), 2 + seen + (1 if source.u > 0 else 0)))


def _as_tied(sky: Sky, window: Window, source: FittedSource) -> tuple[Window, FittedSource]:
    """Return a window in which maps share the amplitudes of sources, and a source with the amplitudes of its counts."""
    ratios = np.array([1.0 if m.sensitivity is None else m.sensitivity for m in sky.maps])
    tied = window._replace(exposure=window.exposure * ratios[:, None], shares=sky.tied_shares)
    unit = (tied.exposure * light_of_source(tied, source).value).sum(axis=1)
    counts, units = (np.bincount(sky.tied_shares, weights=v) for v in (source.rates / ratios * unit, unit))
    amplitudes = counts / np.where(units > 0, units, 1.0)
    return tied, source._replace(rates=amplitudes[list(sky.tied_shares)])


def _without(window: Window, others: tuple[FittedSource, ...]) -> tuple[FittedSource, ...]:
    """Return the other sources of a group, fitted without one; those whose extent is then too small are points."""
    refitted, _ = fit_sources(window, others, last_u=LAST_U)
    least = step_of(_CLOSE_TO_LEAST)
    if not any(0 < s.u < least for s in refitted):
        return refitted
    points = (s._replace(u=0.0, extended=False) if s.u < least else s for s in refitted)
    return fit_sources(window, tuple(points), last_u=LAST_U)[0]


def _stands(
    sky: Sky,
    window: Window,
    source: FittedSource,
    others: Sequence[FittedSource],
    planes: tuple[Floats, Floats],
    tied_ml: float,
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
    return z > 0 and z * z / 2 >= min(tied_ml, 6.0)
