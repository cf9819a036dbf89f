"""Sums over rings of several maps: what profiles and curves of growth are made of."""

from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch
from xphotfn.io.products import RateMap
from xphotfn.measure.background_weights import weights_image, weights_of_maps
from xphotfn.measure.masks import interloper_mask
from xphotfn.records.field import Field
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.discs import disc_weights
from xphotfn.science.distances import radius_deg
from xphotfn.science.light import ring_radii, ring_weights
from xphotfn.science.radial import RingSums, ring_edges, ring_sums
from xphotfn.units import position_deg, quantity

__all__ = (
    "ProfileOptions",
    "Rings",
    "all_rings",
    "areas_of",
    "collapsed",
    "edges_of",
    "fine_edges",
    "grown_rate",
    "variance_of",
)

Floats = NDArray[np.float64]


class Rings(NamedTuple):
    """Sums of all maps; shape (maps, rings), the last (maps,): the counts of the background annulus or zeros.

    ``whole_arcmin2`` is the area of the pixels of each ring, live or not, on the image or off it.
    """

    counts: Floats
    seconds_arcmin2: Floats
    live_arcmin2: Floats
    whole_arcmin2: Floats
    background: Floats
    alpha: Floats
    annulus_counts: Floats


class ProfileOptions(NamedTuple):
    """Options of a profile, as its function takes them."""

    background: Any
    background_weights: Any
    remove_interlopers: bool
    centre: Any


def edges_of(edges: Any) -> u.Quantity:
    """Return radii as users give them, checked to rise."""
    given = quantity(edges, "edges", "[0, 30, 60]*u.arcsec")
    values = np.atleast_1d(given.value)
    ring_edges(values if values.size > 1 else np.append(0.0, values))
    return values * given.unit


def degrees_of(edges: u.Quantity, field: Field) -> Floats:
    """Return radii in degrees."""
    return np.array([radius_deg(edge, field.target) for edge in edges])


def areas_of(edges: u.Quantity, field: Field) -> Floats:
    """Return the areas of rings in arcmin2."""
    return np.asarray(np.pi * np.diff((degrees_of(edges, field) * 60) ** 2))


def all_rings(maps: tuple[RateMap, ...], field: Field, edges: u.Quantity, options: ProfileOptions) -> Rings:
    """Return the sums of each map in rings."""
    degrees = degrees_of(edges, field)
    each = zip(
        maps, _per_map(options.background, len(maps)), weights_of_maps(options.background_weights, maps), strict=True
    )
    parts = [_rings_of(m, field, degrees, options._replace(background=b, background_weights=w)) for m, b, w in each]
    return Rings(*(np.array(column) for column in zip(*parts, strict=True)))


def _per_map(background: Any, maps: int) -> list[Any]:
    """Return one background per map: the same annulus for all, or each map's own array."""
    if background is None or isinstance(background, u.Quantity):
        return [background] * maps
    several = [background] if isinstance(background, np.ndarray) and background.ndim == 2 else list(background)
    if len(several) == 2 and all(isinstance(b, u.Quantity) for b in several):
        return [u.Quantity(several)] * maps
    if len(several) != maps:
        raise InvalidRecord(f"{maps} maps need {maps} background arrays, got {len(several)}")
    return several


def _rings_of(rate_map: RateMap, field: Field, degrees: Floats, options: ProfileOptions) -> tuple[Any, ...]:
    background, given, remove, centre = options
    grid = rate_map.grid
    ra, dec = position_deg(field.centre if centre is None else centre, "centre")
    x, y = deg_to_pix(grid, ra, dec)
    keep = interloper_mask(rate_map, field) if remove else np.ones(grid.shape, dtype=bool)

    def sums(image: NDArray[Any], edges_deg: Floats) -> RingSums:
        return ring_sums(image, rate_map.exposure.data, keep, (float(x), float(y)), edges_deg / grid.pixel_deg)

    image, pixel = rate_map.counts, (grid.pixel_deg * 60) * abs(grid.cdelt2_deg) * 60
    rings = sums(image, degrees)
    alpha, annulus_counts = np.zeros(rings.counts.shape), 0.0
    expected = np.zeros(rings.counts.shape)
    if isinstance(background, u.Quantity):
        annulus = degrees_of(_annulus(background), field)
        around = sums(image, annulus)
        inside, outside = rings.exposure, around.exposure
        if given is not None:
            weights = weights_image(given, rate_map, keep & rate_map.sensor_mask)
            inside, outside = (sums(weights, where).counts for where in (degrees, annulus))
        if rings.exposure.any():
            annulus_counts, alpha = float(around.counts[0]), inside / _some(outside[0], rate_map)
        expected = alpha * annulus_counts
    elif background is not None:
        expected = sums(_background_array(background, rate_map), degrees).counts
    radii = degrees / grid.pixel_deg
    whole = np.diff(disc_weights(grid.shape, np.full(radii.size, x), np.full(radii.size, y), radii).area) * pixel
    return rings.counts, rings.exposure * pixel, rings.pixels * pixel, whole, expected, alpha, annulus_counts


def _some(exposure: float, rate_map: RateMap) -> float:
    if not exposure > 0:
        raise NoData(f"the background annulus has no pixel on the detector of {rate_map}: use other radii")
    return exposure


def _annulus(background: u.Quantity) -> u.Quantity:
    if background.shape != (2,):
        raise InvalidRecord(f"a background annulus needs two radii such as [5, 8]*u.arcmin, got {background}")
    return edges_of(background)


def _background_array(background: Any, rate_map: RateMap) -> NDArray[Any]:
    array = np.asarray(background, dtype=np.float64)
    if array.shape != rate_map.grid.shape:
        raise ShapeMismatch(f"the background array has shape {array.shape}, {rate_map} {rate_map.grid.shape}")
    return array


def variance_of(alpha: Floats, annulus_counts: Floats) -> Floats:
    """Return the variance that the counts of the annuli bring, summed over maps."""
    return np.asarray(np.sum(alpha**2 * annulus_counts[:, None], axis=0))


def fine_edges(maps: tuple[RateMap, ...], field: Field, edges: u.Quantity) -> tuple[u.Quantity, NDArray[np.intp]]:
    """Return edges with those of the rings of :mod:`xphotfn.science.light` in between, and where each given one is."""
    degrees, pixel = degrees_of(edges, field), min(m.grid.pixel_deg for m in maps)
    every = np.union1d(degrees, pixel * ring_radii(degrees[-1] / pixel)[:-1, 0])
    return every * u.deg, np.searchsorted(every, degrees)


def grown_rate(rings: Rings, areas: Floats, places: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return the rate within each radius and its error.

    ``places`` are the edges of the radii among those of the rings, n + 1 numbers; ``areas`` (arcmin2) those between the
    radii. Light that is not seen is filled ring by ring.
    """
    exposure, whole = rings.seconds_arcmin2.sum(axis=0), rings.whole_arcmin2.mean(axis=0)
    weight = np.full(exposure.size, np.nan)
    for first, last, area in zip(places, places[1:], areas, strict=False):
        part = slice(first, last)
        pixels = float(whole[part].sum())
        if pixels > 0:
            weight[part] = area / pixels * ring_weights(whole[part, None], exposure[part, None])[:, 0]
    counts, starts = rings.counts.sum(axis=0), places[:-1]
    net = np.add.reduceat(weight * (counts - rings.background.sum(axis=0)), starts)
    seconds = np.add.reduceat(exposure, starts)
    one = areas / np.where(seconds > 0, seconds, np.nan)  # an error is never less than that of one count
    poisson = np.cumsum(np.maximum(np.add.reduceat(weight**2 * counts, starts), one**2))
    shared = variance_of(np.cumsum(np.add.reduceat(rings.alpha * weight, starts, axis=1), axis=1), rings.annulus_counts)
    return np.cumsum(net), np.sqrt(poisson + shared)


def collapsed(rings: Rings, places: NDArray[np.intp]) -> Rings:
    """Return the sums between the radii at ``places`` among the edges of the rings."""
    *sums, annulus_counts = rings
    return Rings._make((*(np.add.reduceat(v, places[:-1], axis=1) for v in sums), annulus_counts))
