"""Sums of many maps in many circles and rings: one pass over the positions for all maps of one grid."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.io.products import RateMap
from xphotfn.measure.background_weights import weights_image
from xphotfn.measure.photometry.circles import SkyPositions
from xphotfn.measure.photometry.spread import MapLight
from xphotfn.records.grid import PixelGrid
from xphotfn.science import discs as circles
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.disc_sums import RowMinima, RowSums, minima, row_minima, row_sums, table_of_sums
from xphotfn.science.discs import DiscWeights, Overlap, disc_weights
from xphotfn.science.light import RingLight, ring_light, ring_radii
from xphotfn.science.pixel_masks import Window
from xphotfn.science.point_spread import light_exposure

__all__ = ("SLIVER", "ApertureSums", "Frame", "MapArrays", "Measured", "joined", "map_arrays", "measured_maps", "ratio")

Floats = NDArray[np.float64]
SLIVER = 1e-9  # pixels; a smaller area is rounding
CORE_ARCSEC = 12.0  # where the light of a source is that rings further out cannot stand for


class MapArrays(NamedTuple):
    """Counts, exposure (s), live and masked pixels, and background weights of one map; what is not live is 0."""

    counts: NDArray[Any]
    exposure: Floats
    live: NDArray[np.bool_]
    masked: NDArray[np.bool_]
    weights: Floats


class ApertureSums(NamedTuple):
    """Sums of one map in circles and rings, in counts, s and pixels, shape (n,).

    ``core`` is the live part of the innermost :data:`CORE_ARCSEC`, NaN where that was not asked for.
    """

    counts: Floats
    exposure: Floats
    live: Floats
    masked: Floats
    weights: Floats
    ring_counts: Floats
    ring_exposure: Floats
    ring_live: Floats
    ring_weights: Floats
    area: Floats
    inner_area: Floats
    ring_area: Floats
    held: Floats
    core: Floats

    @property
    def alpha(self) -> Floats:
        """Background expected in the circle over that in the ring, NaN without background."""
        return ratio(self.weights, np.where(self.ring_live > SLIVER, self.ring_weights, 0.0))

    @property
    def mean_exposure(self) -> Floats:
        """Exposure in s over the live part of the circle."""
        return ratio(self.exposure, np.where(self.live > SLIVER, self.live, 0.0))


class Measured(NamedTuple):
    """Of one map: the sums that are shown, those of pixel centres, the smallest exposure, and that of a source's light.

    ``light`` is the exposure of the circle weighed with a point source's profile, None without a profile.
    ``rings`` are the sums over rings, those that are shown and those of pixel centres; one ring where a profile says
    where the light is.
    """

    shown: ApertureSums
    centre: ApertureSums
    least: Floats
    light: Floats | None
    rings: tuple[RingLight, RingLight]


def ratio(over: Floats, under: Floats) -> Floats:
    """Return the quotient, NaN where the denominator is not above 0."""
    return np.asarray(over / np.where(under > 0, under, np.nan))


def map_arrays(item: RateMap, free: NDArray[np.bool_] | None, weights: Any, window: Window) -> MapArrays:
    """Return the arrays of one map.

    Parameters
    ----------
    item
        The map.
    free
        False under other sources, in the window; None for none.
    weights
        What the background of each pixel is proportional to, an array or an exposure map; None for the exposure.
    window
        Part of the map that is wanted.

    Raises
    ------
    InvalidRecord, ShapeMismatch
        If the counts are not whole, or the weights are negative or of another shape.
    """
    counts, exposure = item.window(*window)
    with np.errstate(invalid="ignore"):
        on = (exposure > 0) & np.isfinite(exposure) & np.isfinite(counts)
    live = on if free is None else on & free
    seconds = np.where(live, exposure, 0.0).astype(np.float64)
    expected = seconds if weights is None else weights_image(weights, item, live, window)
    return MapArrays(np.where(live, counts, 0), seconds, live, on & ~live, expected)


class Frame(NamedTuple):
    """The grid of maps, and the part of it that their arrays hold."""

    grid: PixelGrid
    window: Window

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        rows, columns = self.window
        return rows.stop - rows.start, columns.stop - columns.start

    def places(self, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
        """Return positions in pixels of the window: those of the grid less a whole number, which changes no digit."""
        x, y = deg_to_pix(self.grid, ra, dec)
        return x - self.window[1].start, y - self.window[0].start


def measured_maps(
    frame: Frame,
    maps: Sequence[MapArrays],
    lights: Sequence[MapLight | None],
    sky: SkyPositions,
    overlap: Overlap,
    tell: Callable[[int], Any],
) -> list[Measured]:
    """Return the sums of maps of one frame at all positions; ``tell`` gets the number of positions as they are done."""
    grid = frame.grid
    x, y = frame.places(sky.ra, sky.dec)
    order = np.argsort(y, kind="stable")  # neighbours share rows of the images, which are then still in the cache
    x, y, radii = x[order], y[order], tuple(v[order] / grid.pixel_deg for v in (sky.radius, sky.inner, sky.outer))
    stack = _stack(maps)
    longest = min(frame.shape[1], int(2 * np.max(radii[0], initial=1.0)) + 3)
    least = [row_minima(np.where(m.live, m.exposure, np.inf), longest) for m in maps]
    border = _Border.around(maps, radii[0]) if any(light is not None for light in lights) else None
    found: list[list[Measured]] = [[] for _ in maps]
    for part in list(circles.position_chunks(np.max(radii[2], initial=1.0), x.size)) or [slice(0, 0)]:
        at, cut = (x[part], y[part]), tuple(r[part] for r in radii)
        inner = np.zeros((0, cut[0].size))
        if border is None:
            core = np.minimum(cut[0], CORE_ARCSEC / 3600 / grid.pixel_deg)
            inner = np.vstack([core, ring_radii(cut[0])[:-1]])
        chunk = _chunk(frame.shape, at, (*cut, *inner), (stack, least), overlap)
        light = _chunk_light(border, (order[part], at, cut[0]), lights, overlap, grid)
        for columns, measured, shining in zip(found, chunk, light, strict=True):
            columns.append(measured._replace(light=shining))
        tell(part.stop - part.start)
    return [joined(parts, order) for parts in found]


def _chunk(
    shape: tuple[int, int],
    at: tuple[Floats, Floats],
    radii: tuple[Floats, ...],
    images: tuple["_Stack", list[RowMinima]],
    overlap: Overlap,
) -> Iterator[Measured]:
    x, y = (np.tile(v, len(radii)) for v in at)
    every = np.concatenate(radii)  # one radius of all positions after the other, summed at once
    discs = disc_weights(shape, x, y, every)
    centre = _sums(discs, len(radii), images[0])
    shown = centre
    if overlap == "exact":
        shown = _sums(disc_weights(shape, x, y, every, overlap="exact"), len(radii), images[0])
    sources = discs.first(at[0].size)
    for (one, light), (other, centre_light), least in zip(shown, centre, images[1], strict=True):
        yield Measured(one, other, minima(sources, least), None, (light, centre_light))


class _Stack(NamedTuple):
    """All images that are summed, and which of them are the arrays of each map, shape (maps, 5)."""

    images: RowSums
    place: NDArray[np.intp]


def _stack(maps: Sequence[MapArrays]) -> _Stack:
    images: list[NDArray[Any]] = [np.zeros(maps[0].live.shape, dtype=bool)]  # stands for all masks without a pixel
    place = []
    for item in maps:
        first = len(images)
        images += [item.counts, item.exposure, item.live]
        numbers = [first, first + 1, first + 2, 0, first + 1]
        for column, array, new in (
            (3, item.masked, item.masked.any()),
            (4, item.weights, item.weights is not item.exposure),
        ):
            if new:
                numbers[column] = len(images)
                images.append(array)
        place.append(numbers)
    return _Stack(row_sums(*images), np.array(place, dtype=np.intp))


def _sums(discs: DiscWeights, count: int, stack: _Stack) -> list[tuple[ApertureSums, RingLight]]:
    """Return the sums of circle and ring of positions, one of ``count`` radii after the other.

    The circles come first, then the edges of the ring, then the core, and the rings inside the circle.
    """
    images = stack.images.before.shape[1]
    source, inner, outer, *within = table_of_sums(discs, stack.images).reshape(count, -1, images)
    (circle, low, high, *inside), held = (v.reshape(count, -1) for v in (discs.area, discs.held))
    ring, areas = outer - inner, (circle, low, high - low, held[0])
    steps, parts = within[1:], inside[1:]
    rings = np.diff([*steps, source], axis=0, prepend=0.0)
    ring_areas = np.diff([*parts, circle], axis=0, prepend=0.0)
    found = []
    for place in stack.place:
        around = (ring[:, n] for n in place[[0, 1, 2, 4]])
        core = ratio(within[0][:, place[2]], inside[0]) if within else np.full(circle.size, np.nan)
        sums = ApertureSums._make((*(source[:, n] for n in place), *around, *areas, core))
        counts, exposure, weights = (rings[:, :, n] for n in place[[0, 1, 4]])
        found.append((sums, ring_light(counts, weights, ring_areas, exposure)))
    return found


class _Border(NamedTuple):
    """Exposures with a border of zeros as wide as the largest circle."""

    width: int
    exposure: list[Floats]

    @classmethod
    def around(cls, maps: Sequence[MapArrays], radius: Floats) -> "_Border":
        width = int(np.ceil(np.max(radius, initial=1.0))) + 1
        return cls(width, [np.pad(m.exposure, width) for m in maps])


def _chunk_light(
    border: _Border | None,
    where: tuple[NDArray[np.intp], tuple[Floats, Floats], Floats],
    lights: Sequence[MapLight | None],
    overlap: Overlap,
    grid: PixelGrid,
) -> list[Floats | None]:
    if border is None:
        return [None for _ in lights]
    part, (x, y), radius = where
    x, y, pixel = x + border.width, y + border.width, grid.pixel_deg * 3600
    discs = disc_weights(border.exposure[0].shape, x, y, radius, overlap=overlap)
    return [
        None if light is None else light_exposure(discs, x, y, exposure, light.profile(part), pixel)
        for light, exposure in zip(lights, border.exposure, strict=True)
    ]


def joined(parts: Sequence[Measured], order: NDArray[np.intp]) -> Measured:
    """Return the parts together, in the order of the positions."""
    back = np.argsort(order)

    def whole(arrays: Iterable[Floats]) -> Floats:
        return np.asarray(np.concatenate(list(arrays))[back])

    shown = ApertureSums(*(whole(v) for v in zip(*(p.shown for p in parts), strict=True)))
    same = all(p.shown is p.centre for p in parts)
    centre = shown if same else ApertureSums(*(whole(v) for v in zip(*(p.centre for p in parts), strict=True)))
    light = None if parts[0].light is None else whole(p.light for p in parts if p.light is not None)
    rings = [
        RingLight(*(whole(v) for v in zip(*each, strict=True))) for each in zip(*(p.rings for p in parts), strict=True)
    ]
    return Measured(shown, centre, whole(p.least for p in parts), light, (rings[0], rings[1]))
