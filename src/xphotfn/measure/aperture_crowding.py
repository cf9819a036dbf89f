"""Which positions are spoilt by others nearby: by sources in their ring, or by the wings of brighter ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from xphotfn.measure.aperture_neighbours import OtherSources
from xphotfn.measure.aperture_positions import Sky, unit_vectors
from xphotfn.measure.aperture_psf import MapLight
from xphotfn.science.king import OUTER_ARCSEC

__all__ = ("in_the_ring", "under_wings")

Floats = NDArray[np.float64]
NEAREST = (8, 2)  # positions that are looked at, around each position first, then around places in its ring
AZIMUTHS = 12  # places in the ring that are looked at next
LEAST_NET = 20.0  # counts of a source whose wings may matter
HALF = 0.5  # of the error of the net counts: wings that are worth a word


def in_the_ring(sky: Sky, others: OtherSources | None) -> NDArray[np.bool_]:
    """Return whether the circle of another position, which is not masked, reaches into the background ring."""
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


def under_wings(columns: dict[str, Any], sky: Sky, light: MapLight) -> NDArray[np.bool_]:
    """Return where the wings of brighter positions give more than half the error of the net counts.

    A source of net counts n, of which its own circle holds the part F(r), gives a circle of radius r at a distance d
    from it ``n / F(r) [F(d + r) - F(d - r)] r / 4 d`` counts, F the enclosed light. Circles that overlap are not
    counted (they are neighbours), and of overlapping circles only the brightest is a source.
    """
    net = np.nan_to_num(columns["net_counts"])
    n, b, alpha = (np.nan_to_num(columns[name]) for name in ("counts", "background_counts", "alpha"))
    wings, error = np.zeros(net.size), np.sqrt(np.maximum(n, 1.0) + alpha**2 * b)
    known = np.flatnonzero(np.isfinite(sky.ra + sky.dec))
    if known.size < 2:
        return np.zeros(net.size, dtype=bool)
    points = unit_vectors(sky.ra[known], sky.dec[known])
    tree, radius = cKDTree(points), sky.radius * 3600
    for place in np.flatnonzero(net[known] > LEAST_NET):
        source = known[place]
        around = tree.query_ball_point(points[place], np.deg2rad((OUTER_ARCSEC + radius.max()) / 3600))
        near = np.array([i for i in around if i != place], dtype=np.intp)
        apart = np.rad2deg(2 * np.arcsin(np.linalg.norm(points[near] - points[place], axis=1) / 2)) * 3600
        other = known[near]
        overlap = apart < radius[source] + radius[other]
        if np.any(net[other[overlap]] > net[source]):
            continue
        other, apart = other[~overlap], apart[~overlap]
        r, mine = radius[other], light._replace(angle_arcmin=light.angle_arcmin[[source]])
        inside, outside, own = (mine.fraction(v, 1.0, 0) for v in (apart - r, apart + r, radius[[source]]))
        share = (outside - inside) * r / (4 * apart) / own
        wings[other] += np.where(net[other] < net[source], net[source] * share, 0.0)
    return np.asarray(wings > HALF * error)
