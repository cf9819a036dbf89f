"""Positions whose light reaches into each other's circles, solved together: ``neighbours="together"`` of photometry."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.io.products import RateMap
from xphotfn.measure.photometry.circles import SkyPositions
from xphotfn.measure.photometry.columns import Rules, interval_columns
from xphotfn.measure.photometry.crowding import light_in_circles
from xphotfn.measure.photometry.spread import MapLight
from xphotfn.measure.photometry.sums import ApertureSums, ratio
from xphotfn.science.coords import deg_to_pix, separation_deg, unit_vectors
from xphotfn.science.crowded import crowded_rates
from xphotfn.science.discs import disc_weights
from xphotfn.science.encircled_energy import encircled_energy
from xphotfn.science.king import OUTER_ARCSEC

__all__ = ("solved_together",)

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
MATTERS = 0.005  # of the error of the net counts: light of a neighbour that is worth an equation
LEAST_NET = 2.0  # counts of a source whose light may matter
BRIGHT, FAINT_REACH = 300.0, 90.0  # net counts below which light is looked at up to some arcsec only
MOST = 2000  # sources of one system
PIXELS = 2_000_000  # held at a time


class _Pairs(NamedTuple):
    """Light of sources in circles and rings of others: which, and how many counts a unit of their rate gives there."""

    circle: Rows
    source: Rows
    response: Floats
    ring_response: Floats


def solved_together(
    columns: dict[str, Any], sums: ApertureSums, place: tuple[RateMap, SkyPositions], light: MapLight, rules: Rules
) -> dict[str, Any]:
    """Return the columns of a map after solving the sources together whose light matters to each other.

    Rows of sources that nobody else reaches stay as they are. In the others the background is the one that the ring and
    the neighbours are worth together, and ``effective_exposure``, rate, interval, limit and significance follow.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    item, sky = place
    pairs = _pairs(columns, sums, place, light)
    result = {name: np.array(values) for name, values in columns.items()}
    result["neighbour_counts"] = np.where(np.isnan(columns["net_counts"]), np.nan, 0.0)
    size = sky.ra.size
    graph = coo_array((np.ones(pairs.circle.size), (pairs.circle, pairs.source)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        if rows.size > 1:
            _solve(result, columns, pairs, np.sort(rows), (item, sky, rules))
    return result


def _pairs(columns: dict[str, Any], sums: ApertureSums, place: tuple[RateMap, SkyPositions], light: MapLight) -> _Pairs:
    """Return the pairs whose light matters, by rates as if each source stood alone."""
    item, sky = place
    net, own = np.nan_to_num(columns["net_counts"]), np.nan_to_num(columns["enclosed_fraction"])
    usable = np.isfinite(columns["rate"]) & (own > 0) & (columns["alpha"] > 0)
    error = np.sqrt(np.maximum(np.nan_to_num(columns["counts"]), 1.0))
    circle, source, apart = _near(sky, usable, net)
    radius, inner, outer = (3600 * v for v in (sky.radius, sky.inner, sky.outer))
    mine = light._replace(angle_arcmin=light.angle_arcmin[source])

    def within(reach: Floats) -> Floats:
        return light_in_circles(mine, apart, reach, np.zeros(apart.size))

    share, around = within(radius[circle]), within(outer[circle]) - within(inner[circle])
    exposure, ring = ratio(sums.exposure, sums.area)[circle], ratio(sums.ring_exposure, sums.ring_area)[circle]
    response, ring_response = share * exposure, np.nan_to_num(around * ring)
    counts = (response + columns["alpha"][circle] * ring_response) * np.maximum(net, 0.0)[source]
    matters = counts > MATTERS * error[circle] * own[source] * columns["exposure_mean"][source]
    circle, source = circle[matters], source[matters]
    lit, seconds = zip(
        *(_in_discs(item, sky, light, (circle, source), radii) for radii in (sky.radius, sky.inner, sky.outer)),
        strict=True,
    )
    # what masks take of the exposure of circle and ring they take of this light
    ring = ratio(sums.ring_exposure[circle], seconds[2] - seconds[1])
    shares = lit[0] * ratio(sums.exposure[circle], seconds[0]), (lit[2] - lit[1]) * ring
    return _Pairs(circle, source, *(np.nan_to_num(v) for v in shares))


def _in_discs(
    item: RateMap, sky: SkyPositions, light: MapLight, pairs: tuple[Rows, Rows], radius_deg: Floats
) -> tuple[Floats, Floats]:
    """Return the exposure of a source's light in a disc around another, and that of the disc, shape (pairs,)."""
    grid, pixel = item.grid, 3600 * item.grid.pixel_deg
    x, y = deg_to_pix(grid, sky.ra, sky.dec)
    exposure, radius = item.exposure.data, radius_deg / grid.pixel_deg
    seconds = np.where(np.isfinite(exposure) & np.isfinite(item.counts), np.maximum(exposure, 0.0), 0.0).ravel()
    lit, whole = np.zeros((2, pairs[0].size))
    chunk = max(1, int(PIXELS / (np.pi * np.max(radius, initial=1.0) ** 2)))
    for begin in range(0, lit.size, chunk):
        circle, source = (part[begin : begin + chunk] for part in pairs)
        disc, index, _ = disc_weights(grid.shape, x[circle], y[circle], radius[circle]).pixels()
        row, column = np.divmod(index, grid.nx)
        apart = pixel * np.hypot(column - x[source][disc], row - y[source][disc])
        bright = _density(light._replace(angle_arcmin=light.angle_arcmin[source][disc]), apart, pixel / 2) * pixel**2
        for found, values in ((lit, bright * seconds[index]), (whole, seconds[index])):
            found[begin : begin + chunk] = np.bincount(disc, weights=values, minlength=circle.size)
    return lit, whole


def _density(light: MapLight, apart: Floats, half: float) -> Floats:
    """Return the light per arcsec^2 at a distance, of the annulus of half a pixel to both sides."""
    low, high = np.maximum(apart - half, 0.0), apart + half
    inside, outside = (
        encircled_energy(r, energy_ev=light.energy_ev, off_axis_arcmin=light.angle_arcmin, psf=light.psf)
        for r in (low, high)
    )
    return np.asarray((outside - inside) / (np.pi * (high**2 - low**2)))


def _near(sky: SkyPositions, usable: NDArray[np.bool_], net: Floats) -> tuple[Rows, Rows, Floats]:
    """Return circles and bright enough sources near them, and how far apart they lie in arcsec."""
    from scipy.spatial import cKDTree

    known = np.flatnonzero(usable)
    points = unit_vectors(sky.ra[known], sky.dec[known])
    tree, radius = cKDTree(points), 3600 * sky.outer
    found: list[tuple[Rows, Rows]] = [(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp))]
    for place in np.flatnonzero(net[known] > LEAST_NET):
        reach = FAINT_REACH if net[known[place]] < BRIGHT else OUTER_ARCSEC
        chord = 2 * np.sin(np.deg2rad(min((reach + radius.max()) / 3600, 180.0)) / 2)
        near = known[np.asarray(tree.query_ball_point(points[place], chord), dtype=np.intp)]
        near = near[near != known[place]]
        found.append((near, np.full(near.size, known[place])))
    circle, source = (np.concatenate(part) for part in zip(*found, strict=True))
    apart = 3600 * separation_deg(sky.ra[circle], sky.dec[circle], sky.ra[source], sky.dec[source])
    return circle, source, np.asarray(apart)


def _solve(
    result: dict[str, Any],
    columns: dict[str, Any],
    pairs: _Pairs,
    rows: Rows,
    where: tuple[RateMap, SkyPositions, Rules],
) -> None:
    """Put the solution of one system into the rows of ``result``, which this file owns."""
    item, sky, rules = where
    if rows.size > MOST:
        raise InvalidRecord(
            f"{rows.size} positions reach into each other's circles, more than {MOST} that are solved together: give "
            "smaller radii, or fewer positions at a time"
        )
    place = np.full(sky.ra.size, -1, dtype=np.intp)
    place[rows] = np.arange(rows.size)
    inside = place[pairs.circle] >= 0
    at = place[pairs.circle[inside]], place[pairs.source[inside]]
    response, ring = np.zeros((2, rows.size, rows.size))
    response[at], ring[at] = pairs.response[inside], pairs.ring_response[inside]
    np.fill_diagonal(response, (columns["enclosed_fraction"] * columns["exposure_mean"])[rows])
    np.fill_diagonal(ring, np.nan_to_num(columns["ring_fraction"] * columns["exposure_mean"])[rows])
    n, b, alpha = (columns[name][rows] for name in ("counts", "background_counts", "alpha"))
    both = np.fmin(_in_both(item, sky, rows), np.fmin(n[:, None], n))  # circles leave out pixels without exposure
    found = crowded_rates(n, response, background=b, alpha=alpha, ring_response=ring, in_both=both)
    values = {
        "background_counts": found.background, "alpha": found.alpha, "net_counts": n - found.alpha * found.background,
        "rate": found.rate, "effective_exposure": found.exposure,
        "enclosed_fraction": found.exposure / columns["exposure_mean"][rows], "ring_fraction": np.zeros(rows.size),
        "dispersion": found.dispersion,
        "neighbour_counts": n - found.rate * found.exposure - alpha * b,
    }  # fmt: skip
    values |= interval_columns((n, found.background, found.alpha), found.exposure, found.dispersion, rules)
    for name, column in values.items():
        result[name][rows] = column


def _in_both(item: RateMap, sky: SkyPositions, rows: Rows) -> Floats:
    """Return the counts that circles share, shape (rows, rows)."""
    from scipy.spatial import cKDTree

    x, y = deg_to_pix(item.grid, sky.ra[rows], sky.dec[rows])
    radius = sky.radius[rows] / item.grid.pixel_deg
    shared = np.zeros((rows.size, rows.size))
    tree = cKDTree(np.stack([x, y], axis=1))
    near = tree.query_pairs(2 * float(radius.max()), output_type="ndarray")
    for one, other in near[np.hypot(*(v[near[:, 0]] - v[near[:, 1]] for v in (x, y))) < radius[near].sum(axis=1)]:
        disc, pixel, _ = disc_weights(item.grid.shape, x[[one, other]], y[[one, other]], radius[[one, other]]).pixels()
        both = np.intersect1d(pixel[disc == 0], pixel[disc == 1])
        counts = item.counts.ravel()[both]
        shared[one, other] = shared[other, one] = float(np.sum(counts[np.isfinite(counts)]))
    return shared
