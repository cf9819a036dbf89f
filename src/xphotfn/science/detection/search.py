"""The search for sources: candidates from significance maps, fits in windows, and what is kept."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from xphotfn.science._numeric import Floats
from xphotfn.science.coords import pix_to_deg
from xphotfn.science.detection.candidates import Options, Places, with_candidates
from xphotfn.science.detection.fit import FittedSource, fit_sources, light_of_source, statistic
from xphotfn.science.detection.judging import LAST_U, Fitted, tied_likelihood
from xphotfn.science.detection.refinement import refined
from xphotfn.science.detection.score import kernel_of, score_maps, significance_of
from xphotfn.science.detection.search_map import SearchMap, profiles_at
from xphotfn.science.detection.sky import Sky
from xphotfn.science.detection.templates import extent_at, step_of

__all__ = ("BRIGHT", "Found", "first_backgrounds", "search", "under_sources")

BRIGHT, BRIGHT_EXTENDED = 8.0, 20.0  # TIED_ML from which a source counts in the fit of the background
_MASKED = 1.0  # light over background from which a pixel does not count in the fit of the background
_SLOW_EXTENT, _SURE, _ON_ANOTHER = 25.0, 300.0, 0.5  # arcsec, DET_ML, light over background
_FINER = 0.5  # of the scale of the slow correction, for the background that a wide source must stand against
Inside = Callable[[Floats, Floats], NDArray[np.bool_]]


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
        Least TIED_ML, that of cameras which share one amplitude; without several it is DET_ML.
    extent
        Whether extended sources are looked for.
    inside
        Says for RA and Dec in degrees whether a source there is wanted; all are searched, as neighbours count.

    Notes
    -----
    First the background, without pixels above 3 sigma. Then candidates from the significance maps, the highest first,
    each fitted with what was found before it; the background again, under the sources of TIED_ML above 8; candidates
    in what is left; and twice all sources again, neighbours within 35 arcsec together. Between the two an extended
    source of 25 arcsec or more that lies on no other must stand beside a background that is fitted without it with a
    slow correction of half the usual scale.
    """
    sky = Sky(maps)
    first_backgrounds(sky)
    keep = max(threshold - 1.0, 3.0)
    options = Options(keep, extent)
    found: tuple[Fitted, ...] = ()
    failed: Places = ()
    for _ in range(2):
        found, failed = with_candidates(sky, found, failed, options)
        _backgrounds(sky, found)
    for least in (keep, threshold):
        found = refined(sky, found, least)
        if least != threshold:
            found = _beside_the_background(sky, found, least)
            _backgrounds(sky, found)
    wanted = (f for f in found if _wanted(sky, f.source.x, f.source.y, inside))
    ordered = tuple(sorted(wanted, key=lambda f: (-f.tied_ml, f.source.x, f.source.y)))
    return Found(ordered, sky)


def first_backgrounds(sky: Sky) -> None:
    """Fit the backgrounds without the pixels of sources, which are those above 3 sigma."""
    used = [m.exposure > 0 for m in sky.maps]
    sky.fit_backgrounds(used)
    for _ in range(2):
        quiet = {number: plane for group in sky.cameras() for number, plane in _quiet(sky, group).items()}
        used = [quiet[number] & (item.exposure > 0) for number, item in enumerate(sky.maps)]
        sky.fit_backgrounds(used)


def _quiet(sky: Sky, group: Sequence[int]) -> dict[int, NDArray[np.bool_]]:
    """Return the pixels of exposures of one camera that lie below 3 sigma at the scales of points and of clusters."""
    profiles = profiles_at(sky.maps[group[0]], 5.0)
    kernels = [kernel_of(profiles, step_of(rc), int(9 + 2.5 * rc / sky.pixel)) for rc in (0.0, 25.0)]
    counts, exposure, level = (
        np.sum(planes, axis=0)
        for planes in zip(
            *((sky.maps[n].counts, sky.maps[n].exposure, sky.backgrounds[n].image) for n in group), strict=True
        )
    )
    bright = np.zeros(counts.shape, dtype=bool)
    for score in score_maps(counts, exposure, level, kernels):
        bright |= significance_of(score) > 3
    quiet = np.asarray(~ndimage.binary_dilation(bright, iterations=2), dtype=np.bool_)
    return dict.fromkeys(group, quiet)


def _backgrounds(sky: Sky, found: Sequence[Fitted], part: float = 1.0) -> None:
    """Fit the backgrounds under the bright sources alone, with a part of the usual scale of the slow correction."""
    faint = [f.source for f in found if f.tied_ml <= (BRIGHT_EXTENDED if f.source.u > 0 else BRIGHT)]
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
        (beside,), _ = fit_sources(window, (source,), last_u=LAST_U)
        likelihood = tied_likelihood(sky, window, beside, statistic(window, window.background))
        if source.u < LAST_U and likelihood >= least:
            sky.draw(source)
            kept.append(fitted)
    return tuple(kept)


def _on_extended(sky: Sky, source: FittedSource) -> bool:
    """Whether a source that is drawn lies in the light of another extended one."""
    window = sky.window_of([source])
    levels, _, wide, *_ = sky.around(window, source)
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


def _wanted(sky: Sky, x: float, y: float, inside: Inside | None) -> bool:
    if inside is None:
        return True
    ra, dec = pix_to_deg(sky.maps[0].grid, np.array([x]), np.array([y]))
    return bool(inside(ra, dec)[0])
