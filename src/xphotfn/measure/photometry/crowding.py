"""Which positions are spoilt by others nearby: by sources in their ring, or by the wings of brighter ones."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.measure.photometry.circles import SkyPositions
from xphotfn.measure.photometry.neighbours import OtherSources
from xphotfn.measure.photometry.spread import MapLight
from xphotfn.science.coords import separation_deg, unit_vectors
from xphotfn.science.encircled_energy import encircled_energy
from xphotfn.science.king import OUTER_ARCSEC

__all__ = ("in_the_ring", "light_in_circles", "under_wings")

Floats = NDArray[np.float64]
NEAREST = (8, 2)  # positions that are looked at, around each position first, then around places in its ring
AZIMUTHS = 12  # places in the ring that are looked at next
LEAST_NET = 20.0  # counts of a source whose wings may matter
SHARE = 0.1  # of the net counts, or of their error where that is more: a neighbour's light that is worth a word
HALF = 0.5  # of the error of the net counts: wings that are worth a word
CLOSE_ARCSEC = 60.0  # how far the light is looked at of positions that overlap brighter ones
RINGS = 8  # into which the light of a source is cut
TINY = 1e-6  # arcsec


def in_the_ring(sky: SkyPositions, others: OtherSources | None) -> NDArray[np.bool_]:
    """Return whether the circle of another position, which is not masked, reaches into the background ring."""
    from scipy.spatial import cKDTree

    result = np.zeros(sky.ra.size, dtype=bool)
    known = np.flatnonzero(np.isfinite(sky.ra + sky.dec))
    if known.size < 2:
        return result
    points, radius = unit_vectors(sky.ra[known], sky.dec[known]), np.deg2rad(sky.radius[known])
    tree, widest = cKDTree(points), float(radius.max())
    held = np.array([others is not None and bool(others.own[n]) for n in range(sky.ra.size)])
    low, high = (np.deg2rad(v[known]) for v in (sky.inner, sky.outer))

    def found(one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.bool_]:
        chord = np.linalg.norm(points[one] - points[other], axis=1)
        apart = 2 * np.arcsin(np.minimum(chord / 2, 1.0))
        reaches = (one != other) & (apart + radius[other] > low[one]) & (apart - radius[other] < high[one])
        pairs = np.flatnonzero(reaches & held[known[other]])
        masked = [_is_masked(others, known[a], known[b]) for a, b in zip(one[pairs], other[pairs], strict=True)]
        reaches[pairs[np.array(masked, dtype=bool)]] = False
        return np.asarray(reaches)

    open_ = np.arange(known.size)
    for number, places in enumerate(_places(points, (low + high) / 2)):
        _, which = tree.query(places[open_], k=min(NEAREST[number > 0], known.size))
        which = which.reshape(open_.size, -1)
        yes = found(np.repeat(open_, which.shape[1]), which.ravel()).reshape(which.shape).any(axis=1)
        result[known[open_[yes]]] = True
        open_ = open_[~yes]
        if not open_.size or known.size <= NEAREST[0]:
            return result
    for position in open_:
        reach = 2 * np.sin(min(float(high[position]) + widest, np.pi) / 2)
        around = np.asarray(tree.query_ball_point(points[position], reach), dtype=np.intp)
        result[known[position]] = bool(found(np.full(around.size, position), around).any())
    return result


def _is_masked(others: OtherSources | None, one: int, other: int) -> bool:
    """Whether a source that holds the other position is not the first one's own, and so is masked for it."""
    return others is not None and bool(set(others.own[other]) - set(others.own[one]))


def _places(points: Floats, middle: Floats) -> Any:
    """Yield each position itself, then places in the middle of its ring, as unit vectors."""
    yield points
    pole = np.where(np.abs(points[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    east = np.cross(pole, points)
    east /= np.linalg.norm(east, axis=1)[:, None]
    north = np.cross(points, east)
    for angle in np.arange(AZIMUTHS) * 2 * np.pi / AZIMUTHS:
        way = np.cos(angle) * east + np.sin(angle) * north
        yield np.cos(middle)[:, None] * points + np.sin(middle)[:, None] * way


class Wings(NamedTuple):
    """Where the light of brighter positions is more than half the error, and more than a tenth, of the net counts."""

    beyond_error: NDArray[np.bool_]
    beyond_share: NDArray[np.bool_]


def under_wings(columns: dict[str, Any], sky: SkyPositions, light: MapLight, others: OtherSources | None) -> Wings:
    """Return where the light of brighter positions matters to the net counts, of faint ones to their error.

    A source of net counts n, of which its own circle holds the part F(r), gives a circle of radius r at a distance d
    ``n / F(r)`` times the part of its light in that circle, without what lies under the mask of its own region. Of
    circles that overlap only the brightest adds up with others: the rest may be its light seen again, and each of them
    counts alone.
    """
    from scipy.spatial import cKDTree

    net = np.nan_to_num(columns["net_counts"])
    n, b, alpha = (np.nan_to_num(columns[name]) for name in ("counts", "background_counts", "alpha"))
    matters, wings = HALF * np.sqrt(np.maximum(n, 1.0) + alpha**2 * b), np.zeros(net.size)
    known, found, shared = np.flatnonzero(np.isfinite(sky.ra + sky.dec)), *np.zeros((2, net.size), dtype=bool)
    if known.size < 2:
        return Wings(found, shared)
    points = unit_vectors(sky.ra[known], sky.dec[known])
    tree, radius = cKDTree(points), sky.radius * 3600
    bright = np.flatnonzero(net[known] > LEAST_NET)
    for place in bright[np.argsort(-net[known[bright]], kind="stable")]:
        source = known[place]
        close = known[tree.query_ball_point(points[place], _chord(radius[source] + radius.max()))]
        apart = _apart(sky, source, close)
        alone = not np.any(net[close[apart < radius[source] + radius[close]]] > net[source])
        reach = OUTER_ARCSEC if alone else CLOSE_ARCSEC
        other = known[tree.query_ball_point(points[place], _chord(reach + radius.max()))]
        other = other[(net[other] < net[source]) & ~(found & shared)[other]]
        apart, mine = _apart(sky, source, other), light._replace(angle_arcmin=light.angle_arcmin[[source]])
        hidden = _hidden(others, source, other, apart - radius[other])
        share = light_in_circles(mine, apart, radius[other], hidden) / mine.fraction(radius[[source]], 1.0, 0)
        wings[other] += net[source] * share if alone else 0.0
        most = np.maximum(wings[other], net[source] * share)
        found[other] |= most > matters[other]
        shared[other] |= most > SHARE * np.maximum(net[other], matters[other] / HALF)
    return Wings(found, shared)


def _chord(arcsec: float) -> float:
    return float(2 * np.sin(min(np.deg2rad(arcsec / 3600), np.pi) / 2))


def _apart(sky: SkyPositions, one: int, other: NDArray[np.intp]) -> Floats:
    return 3600 * separation_deg(sky.ra[one], sky.dec[one], sky.ra[other], sky.dec[other])


def light_in_circles(light: MapLight, apart: Floats, radius: Floats, hidden: Floats) -> Floats:
    """Return the part of a source's light in circles at a distance (arcsec), beyond what is hidden around the source.

    Summed over rings around the source, of each of which the circle holds an arc.
    """
    low = np.maximum(np.maximum(apart - radius, 0.0), hidden)
    edges = low + np.linspace(0, 1, RINGS + 1)[:, None] * np.maximum(apart + radius - low, 0.0)
    middle = np.maximum((edges[1:] + edges[:-1]) / 2, TINY)
    cosine = (middle**2 + apart**2 - radius**2) / (2 * middle * np.maximum(apart, TINY))
    part = np.arccos(np.clip(cosine, -1.0, 1.0)) / np.pi
    enclosed = encircled_energy(edges, energy_ev=light.energy_ev, off_axis_arcmin=light.angle_arcmin, psf=light.psf)
    return np.asarray(np.sum(np.diff(enclosed, axis=0) * part, axis=0))


def _hidden(others: OtherSources | None, source: int, other: NDArray[np.intp], nearest: Floats) -> Floats:
    """Return how far around a source all is masked for other positions, in arcsec."""
    result = np.zeros(other.size)
    mine = {} if others is None else {n: others.hidden(n, source) for n in others.own[source]}
    if others is None or not mine:
        return result
    for number in np.flatnonzero(nearest < max(mine.values())):
        theirs = others.own[other[number]]
        result[number] = max((size for region, size in mine.items() if region not in theirs), default=0.0)
    return result
