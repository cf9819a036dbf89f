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

__all__ = ("STAGES", "Found", "first_backgrounds", "search", "under_sources", "weight_in_background")

STAGES = 4  # of a search: twice candidates with the backgrounds under them, and twice all sources again
_BRIGHT = {False: (7.0, 9.0), True: (18.0, 22.0)}  # TIED_ML between which points and extended sources come to count
_EXCISED = 4.5  # sigma from which a pixel is no background at first: at 3 chance alone takes 8 % of a field of 10 ks
_MASKED = 1.0  # light over background from which a pixel does not count in the fit of the background
_SLOW_EXTENT, _SURE, _ON_ANOTHER = 25.0, 300.0, 0.5  # arcsec, DET_ML, light over background
_FINER = 0.5  # of the scale of the slow correction, for the background that a wide source must stand against
_SETTLING, _SETTLING_PIECES = 6, 2  # rounds at most of lone extended sources, and of pieces of one
_SETTLED = 0.01  # change of the rates of extended sources that ends them
Inside = Callable[[Floats, Floats], NDArray[np.bool_]]


class Found(NamedTuple):
    """The sources, the brightest first, and the maps with their backgrounds and the light of all sources."""

    sources: tuple[Fitted, ...]
    sky: Sky


def search(
    maps: Sequence[SearchMap], *, threshold: float, extent: bool = True, inside: Inside | None = None,
    tell: Callable[[], object] = lambda: None,
) -> Found:  # fmt: skip
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
    tell
        Called after each of the STAGES of the search.

    Notes
    -----
    First the background, without pixels above 4.5 sigma. Then candidates from the significance maps, the highest first,
    each fitted with what was found before it; the background again, under the sources of TIED_ML above 7 to 9;
    candidates in what is left; and twice all sources again, neighbours within 35 arcsec together. Between the two an
    extended source of 25 arcsec or more that lies on no other must stand beside a background that is fitted without it
    with a slow correction of half the usual scale, and extended sources and background are fitted in turn until both
    agree.
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
        tell()
    for least in (keep, threshold):
        before, found = found, refined(sky, found, least)
        if least != threshold:
            found = _beside_the_background(sky, found, least)
            found = _settled(sky, _uncovered(sky, before, found, keep), least)
        tell()
    wanted = (f for f in found if _wanted(sky, f.source.x, f.source.y, inside))
    ordered = tuple(sorted(wanted, key=lambda f: (-f.tied_ml, f.source.x, f.source.y)))
    return Found(ordered, sky)


def first_backgrounds(sky: Sky) -> None:
    """Fit the backgrounds without the pixels of sources, which are those above 4.5 sigma."""
    used = [m.exposure > 0 for m in sky.maps]
    sky.fit_backgrounds(used)
    for _ in range(2):
        quiet = {number: plane for group in sky.cameras() for number, plane in _quiet(sky, group).items()}
        used = [quiet[number] & (item.exposure > 0) for number, item in enumerate(sky.maps)]
        sky.fit_backgrounds(used)


def _quiet(sky: Sky, group: Sequence[int]) -> dict[int, NDArray[np.bool_]]:
    """Return the pixels of exposures of one camera that lie below 4.5 sigma at the scales of points and of clusters."""
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
        bright |= significance_of(score) > _EXCISED
    quiet = np.asarray(~ndimage.binary_dilation(bright, iterations=2), dtype=np.bool_)
    return dict.fromkeys(group, quiet)


def weight_in_background(likelihood: float, *, extended: bool) -> float:
    """Return the part of the light of a source that the background is fitted under.

    Faint ones are part of the background: in a model they take too much of it. From 0 to 1 without a step, so that a
    likelihood that differs by a hair changes nothing else.

    Parameters
    ----------
    likelihood, extended
        Its TIED_ML, and whether it is extended.
    """
    least, sure = _BRIGHT[extended]
    return min(max((likelihood - least) / (sure - least), 0.0), 1.0)


def _backgrounds(sky: Sky, found: Sequence[Fitted], part: float = 1.0) -> None:
    """Fit the backgrounds under the bright sources alone, with a part of the usual scale of the slow correction."""
    weights = [(f.source, weight_in_background(f.tied_ml, extended=f.source.u > 0)) for f in found]
    faint = [(source, 1.0 - weight) for source, weight in weights if weight < 1]
    for source, missing in faint:
        sky.draw(source, -missing)
    _fit_under(sky, part)
    for source, missing in faint:
        sky.draw(source, missing)


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
        if source.u < LAST_U and _fitted_again(sky, fitted).tied_ml >= least:
            sky.draw(source)
            kept.append(fitted)
    return tuple(kept)


def _uncovered(sky: Sky, before: Sequence[Fitted], found: tuple[Fitted, ...], keep: float) -> tuple[Fitted, ...]:
    """Return the sources with the points that an extended source covered which is none any more."""
    if sum(f.source.u > 0 for f in found) >= sum(f.source.u > 0 for f in before):
        return found
    _backgrounds(sky, found)
    return with_candidates(sky, found, (), Options(keep, extent=False))[0]


def _settled(sky: Sky, found: tuple[Fitted, ...], least: float) -> tuple[Fitted, ...]:
    """Return the sources with the extended ones and the backgrounds fitted in turn until both agree.

    What a fit leaves of a wide source is part of the background that is fitted next, under which the source comes out
    smaller and fainter than it is: each round makes half of that good. Pieces of one source are fitted
    together, twice.
    """
    _backgrounds(sky, found)
    light = _light_of_extended(found)
    for number in range(_SETTLING if light.size else 0):
        others = [f for f in found if f.source.u <= 0]
        pieces = tuple(f for f in found if f.source.u > 0 and _on_extended(sky, f.source))
        for fitted in (f for f in found if f.source.u > 0 and not any(f is p for p in pieces)):
            sky.draw(fitted.source, -1.0)
            others.append(_fitted_again(sky, fitted))
            sky.draw(others[-1].source)
        found = (*others, *(refined(sky, pieces, least) if number < _SETTLING_PIECES else pieces))
        _backgrounds(sky, found)
        before, light = light, _light_of_extended(found)
        if light.size == before.size and np.allclose(light, before, rtol=_SETTLED, atol=0):
            break
    return found


def _light_of_extended(found: Sequence[Fitted]) -> Floats:
    """Return the rates of all extended sources over all maps, in order."""
    return np.sort([float(f.source.rates.sum()) for f in found if f.source.u > 0])


def _fitted_again(sky: Sky, fitted: Fitted) -> Fitted:
    """Return an extended source that is not drawn as it is fitted beside all that is, with its TIED_ML."""
    window = sky.window_of([fitted.source])
    (source,), _ = fit_sources(window, (fitted.source,), last_u=LAST_U)
    tied_ml = tied_likelihood(sky, window, source, statistic(window, window.background))
    return fitted._replace(source=source, likelihoods=fitted.likelihoods._replace(tied_ml=tied_ml))


def _on_extended(sky: Sky, source: FittedSource) -> bool:
    """Whether a source that is drawn lies in the light of another extended one."""
    window = sky.window_of([source])
    levels, _, wide, *_ = sky.around(window, source)
    light = light_of_source(window, source).value
    return float((light * wide).sum()) > _ON_ANOTHER * float((light * levels).sum())


def under_sources(sky: Sky, sources: Iterable[tuple[FittedSource, float]]) -> None:
    """Draw sources, of each the part that is given, and fit the backgrounds under them."""
    for source, weight in sources:
        sky.draw(source, weight)
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
