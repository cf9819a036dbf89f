"""The state of a search: padded maps, their backgrounds, and the light of all sources that were found so far."""

from collections.abc import Iterable, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from xphotfn.errors import ShapeMismatch
from xphotfn.records.grid import PixelGrid
from xphotfn.science._numeric import Floats
from xphotfn.science.coords import deg_to_pix, pix_to_deg
from xphotfn.science.detection.background import Background, fit_together
from xphotfn.science.detection.fit import FittedSource, Window, light_of_source
from xphotfn.science.detection.flags import along_a_line, in_one_pixel
from xphotfn.science.detection.score import Score, kernel_of, score_maps, significance_of
from xphotfn.science.detection.search_map import (
    MARGIN,
    SearchMap,
    corners_of,
    padded,
    profiles_at,
    shares_of,
    tied_shares_of,
)
from xphotfn.science.detection.templates import LARGEST_RADIUS, at, extent_at, place_of, step_of
from xphotfn.science.king import OUTER_ARCSEC

__all__ = ("SLOW_ARCMIN", "Sky", "cut_of", "fit_radius")

_POINT_ARCSEC, _LARGEST_RADIUS = 40.0, 60  # of a window; the second in pixels
_FAINT = {False: 0.02, True: 0.001}  # of the background: light that is not drawn, of points and of extended sources
SLOW_ARCMIN = 4.0
_MODEL_ERROR = {False: 0.05, True: 0.10}  # of the light of points and of extended sources, in the search


def fit_radius(source: FittedSource, pixel_arcsec: float) -> int:
    """Return the radius in pixels of the window in which a source is fitted."""
    return int(min((_POINT_ARCSEC + 2.2 * extent_at(source.u)) / pixel_arcsec, _LARGEST_RADIUS))


@final
class Sky:
    """Maps, backgrounds and the light of the sources that are drawn; only a search holds one."""

    def __init__(self, maps: Sequence[SearchMap], slow_arcmin: float | None = SLOW_ARCMIN) -> None:
        self.maps = tuple(maps)
        self.pixel = self.maps[0].pixel_arcsec
        self.shares = shares_of(self.maps)
        self.tied_shares = tied_shares_of(self.maps)
        self.slow_pix = None if slow_arcmin is None else slow_arcmin * 60 / self.pixel
        self.counts = [padded(np.where(m.exposure > 0, m.counts, 0.0)) for m in self.maps]
        self.exposures = [padded(m.exposure) for m in self.maps]
        self.light = [np.zeros_like(c) for c in self.counts]
        self.uncertain = [np.zeros_like(c) for c in self.counts]
        self.wide = [np.zeros_like(c) for c in self.counts]
        self.backgrounds: tuple[Background, ...] = ()
        self.levels: list[Floats] = []
        self.typical = np.ones(len(self.maps))
        self.frame = _frame(self.maps)
        self.sizes = [c.shape for c in self.counts]

    def inner(self, planes: Sequence[Floats]) -> list[Floats]:
        """Return padded planes without their margin."""
        return [p[MARGIN:-MARGIN, MARGIN:-MARGIN] for p in planes]

    def fit_backgrounds(self, used: Sequence[NDArray[np.bool_]], part: float = 1.0) -> None:
        """Fit the background of each map on the pixels that count, under the light that is drawn.

        ``part`` of the scale of the slow correction is taken. Exposures of one camera have one shape of background.
        """
        slow = None if self.slow_pix is None else part * self.slow_pix
        light = [np.maximum(plane, 0.0) for plane in self.inner(self.light)]
        found: dict[int, Background] = {}
        for group in self.cameras():
            own = [self.maps[n] for n in group]
            shapes = [(m.exposure, m.flat, m.streak) for m in own]
            args = [m.counts for m in own], shapes, [light[n] for n in group], [used[n] for n in group]
            found |= zip(group, fit_together(*args, slow), strict=True)
        self.backgrounds = tuple(found[number] for number in range(len(self.maps)))
        self._levels()

    def cameras(self) -> list[list[int]]:
        """Return the numbers of maps in groups: exposures of one camera in one observation, on one grid."""
        groups: dict[tuple[int, PixelGrid], list[int]] = {}
        for number, item in enumerate(self.maps):
            groups.setdefault((self.shares[number] if self.shares else number, item.grid), []).append(number)
        return list(groups.values())

    def take_backgrounds(self, images: Sequence[Floats]) -> None:
        """Take backgrounds in counts in place of fitted ones."""
        for image, item in zip(images, self.maps, strict=True):
            if image.shape != item.exposure.shape or not np.all(image[item.exposure > 0] > 0):
                raise ShapeMismatch(
                    f"a background must have the shape {item.exposure.shape} of its map and be above 0 where there is "
                    f"exposure, got shape {image.shape}"
                )
        self.backgrounds = tuple(
            b._replace(image=np.where(m.exposure > 0, image, 0.0))
            for b, m, image in zip(self.backgrounds, self.maps, images, strict=True)
        )
        self._levels()

    def _levels(self) -> None:
        self.levels = [padded(np.where(b.image > 0, b.image, 1.0), 1.0) for b in self.backgrounds]
        live = [m.exposure > 0 for m in self.maps]
        self.typical = np.array([b.image[w].mean() for b, w in zip(self.backgrounds, live, strict=True)])

    def draw(self, source: FittedSource, sign: float = 1.0) -> None:
        """Add the light of a source to the maps, or take it away."""
        radius = self._reach(source)
        corners = corners_of(source.shape, source.x, source.y, self.sizes, radius)
        window = self.window(corners, radius)
        light = window.exposure * light_of_source(window, source).value * source.rates[:, None]
        error = _MODEL_ERROR[source.u > 0]
        side = 2 * radius + 1
        for number, (row, column) in enumerate(corners):
            there = np.s_[row : row + side, column : column + side]
            patch = sign * light[number].reshape(side, side)
            self.light[number][there] += patch
            self.uncertain[number][there] += error * patch
            if source.u > 0:
                self.wide[number][there] += patch

    def _reach(self, source: FittedSource) -> int:
        """Return the radius in pixels at which the light of a source is lost in the background."""
        if source.u > 0:
            limit = min(LARGEST_RADIUS, (min(int(side) for size in self.sizes for side in size) - 1) // 2)
        else:
            limit = min(int(OUTER_ARCSEC / self.pixel) + 2, MARGIN - 4)
        steps = np.arange(1.0, limit)
        place = place_of(steps**2)[0]
        reach = 8.0
        for number, profiles in enumerate(source.shape.profiles):
            peak = source.rates[number] * float(self.maps[number].exposure.max(initial=0.0))
            (light,) = at(place, profiles.row(source.u)[0])
            seen = steps[peak * light > _FAINT[source.u > 0] * self.typical[number]]
            reach = max(reach, float(seen[-1]) if seen.size else 0.0)
        return min(int(reach * 1.1) + 1, limit)

    def window(self, corners: Sequence[tuple[int, int]], radius: int) -> Window:
        """Return a window with background and drawn light as its background."""
        side = 2 * radius + 1
        steps = np.arange(side, dtype=np.float64)
        first = np.array(corners, dtype=np.float64)[:, :, None] - MARGIN
        return Window(
            counts=_cut(self.counts, corners, side),
            exposure=_cut(self.exposures, corners, side),
            background=_cut(self.levels, corners, side) + np.maximum(_cut(self.light, corners, side), 0.0),
            x=np.tile(steps, side) + first[:, 1],
            y=np.repeat(steps, side) + first[:, 0],
            shares=self.shares,
        )

    def window_of(self, sources: Sequence[FittedSource]) -> Window:
        """Return the window in which sources are fitted together."""
        x, y = (float(np.mean([getattr(s, name) for s in sources])) for name in ("x", "y"))
        radii = [fit_radius(s, self.pixel) + int(np.ceil(np.hypot(s.x - x, s.y - y))) for s in sources]
        radius = min(max(radii), _LARGEST_RADIUS + 16)
        return self.window(corners_of(sources[0].shape, x, y, self.sizes, radius), radius)

    def significances(self, extents: Iterable[float]) -> tuple[Floats, ...]:
        """Return significance maps for core radii in arcsec, joint over all maps, on the frame.

        A source is taken to be as much brighter in one map than in another as the background is: the filter is nearly
        as deep as with the true ratios, and needs to know nothing of cameras.
        """
        return self.joint_and_single(extents)[0]

    def joint_and_single(self, extents: Iterable[float]) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
        """Return the joint significance maps, and those of each camera and observation alone for the first extent.

        A source that one camera sees, or one observation, is lost in the sum with others that do not.
        """
        wanted = tuple(extents)
        parts, powers = self._parts(), self._ratios()[:, None] ** np.array([1, 2, 3])
        sums: list[list[Floats]] = [[] for _ in wanted]
        alone: list[list[Floats]] = [[] for _ in parts]
        errors = self._errors()
        for number in range(len(self.maps)):
            scores = self._scores(number, wanted, errors[number])
            placed = [[self._onto_frame(number, p * f) for p, f in zip(s, powers[number], strict=True)] for s in scores]
            sums = [_added(*two) for two in zip(sums, placed, strict=True)]
            alone = [_added(a, placed[0]) if number in part else a for a, part in zip(alone, parts, strict=True)]
        joint, single = (tuple(significance_of(Score(*planes)) for planes in group) for group in (sums, alone))
        return joint, single

    def _scores(self, number: int, extents: Iterable[float], error: Floats) -> tuple[Score, ...]:
        """Return the scores of one map for core radii in arcsec, beside all that is drawn."""
        item = self.maps[number]
        profiles = profiles_at(item, 5.0)
        kernels = [kernel_of(profiles, step_of(rc), int(min(9 + 2.5 * rc / self.pixel, 60))) for rc in extents]
        level = self.backgrounds[number].image + np.maximum(self.inner(self.light)[number], 0.0)
        return score_maps(item.counts, item.exposure, level, kernels, error)

    def _parts(self) -> list[frozenset[int]]:
        """Return the numbers of maps of each camera and of each observation, where these are not all maps."""
        groups = [
            frozenset(n for n, share in enumerate(shares) if share == value)
            for shares in (self.shares or tuple(range(len(self.maps))), self.tied_shares)
            for value in dict.fromkeys(shares)
        ]
        return [group for group in dict.fromkeys(groups) if len(group) < len(self.maps)]

    def _errors(self) -> list[Floats]:
        """Return the errors of the drawn light; those of exposures of one camera are one, each has its part."""
        own = [np.maximum(plane, 0.0) for plane in self.inner(self.uncertain)]
        for group in self.cameras():
            if len(group) > 1:
                total = np.sum([own[n] for n in group], axis=0)
                for n in group:
                    own[n] = np.sqrt(own[n] * total)
        return own

    def _ratios(self) -> Floats:
        """Return the background of each map per second over that of the brightest map."""
        live = [m.exposure > 0 for m in self.maps]
        seconds = np.array([m.exposure[w].mean() if w.any() else 1.0 for m, w in zip(self.maps, live, strict=True)])
        rates = np.nan_to_num(self.typical / seconds)
        return np.asarray(rates / max(float(rates.max()), 1e-300))

    def around(self, window: Window, source: FittedSource) -> tuple[Floats, Floats, Floats, Floats, float, float]:
        """Return what lies around a source that is drawn: background, light of others, extended light, streaks.

        All in counts and of the shape of the window; last the significance of the brightest row or column through it,
        and by how much the likelihood of counts in one pixel of the detector exceeds its own.
        """
        side = round(window.x.shape[1] ** 0.5)
        own = window.exposure * light_of_source(window, source).value * source.rates[:, None]
        both = np.maximum(cut_of(window, self.light) - own, 0.0)
        wide = np.maximum(cut_of(window, self.wide) - (own if source.u > 0 else 0.0), 0.0)
        late = cut_of(window, self.streaks)
        levels = cut_of(window, self.levels)
        planes = (window.counts, levels + wide + own, np.maximum(both - wide, 0.0), levels, both, own)
        counts, model, points, *three = (p.reshape(-1, side, side) for p in planes)
        line = max(along_a_line(*planes) for planes in zip(counts, model, points, strict=True))
        return levels, both, wide, late, line, in_one_pixel(counts, *three)

    @property
    def streaks(self) -> list[Floats]:
        """Out-of-time events above their median, padded, in counts."""
        return [
            np.zeros_like(c) if m.streak is None else padded(b.streak * _above_median(m.streak, m.exposure))
            for m, b, c in zip(self.maps, self.backgrounds, self.counts, strict=True)
        ]

    def extended_ratio(self) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the light of all extended sources over the background, and where any map is live, on the frame."""
        wide, level = (
            sum(self._onto_frame(n, plane) for n, plane in enumerate(planes))
            for planes in (self.inner(self.wide), [b.image for b in self.backgrounds])
        )
        live = np.asarray(level) > 0
        return np.where(live, np.asarray(wide) / np.where(live, level, 1.0), 0.0), live

    def _onto_frame(self, number: int, plane: Floats) -> Floats:
        x0, y0, nx, ny = self.frame
        grid, first = self.maps[number].grid, self.maps[0].grid
        if grid == first and (x0, y0, nx, ny) == (0, 0, first.nx, first.ny):
            return plane
        columns, rows = np.meshgrid(np.arange(x0, x0 + nx, dtype=np.float64), np.arange(y0, y0 + ny, dtype=np.float64))
        x, y = deg_to_pix(grid, *pix_to_deg(first, columns, rows))
        return np.asarray(ndimage.map_coordinates(plane, [y, x], order=1, mode="constant"))


def _added(total: list[Floats], planes: list[Floats]) -> list[Floats]:
    return [a + b for a, b in zip(total, planes, strict=True)] if total else planes


def cut_of(window: Window, planes: Sequence[Floats]) -> Floats:
    """Return the pixels of padded planes, one for each map, that lie in a window."""
    corners = [(int(y) + MARGIN, int(x) + MARGIN) for x, y in zip(window.x[:, 0], window.y[:, 0], strict=True)]
    return _cut(planes, corners, round(window.x.shape[1] ** 0.5))


def _cut(planes: Sequence[Floats], corners: Sequence[tuple[int, int]], side: int) -> Floats:
    return np.array([p[r : r + side, c : c + side].ravel() for p, (r, c) in zip(planes, corners, strict=True)])


def _above_median(streak: Floats, exposure: Floats) -> Floats:
    live = exposure > 0
    return np.where(live, np.maximum(streak - (np.median(streak[live]) if live.any() else 0.0), 0.0), 0.0)


def _frame(maps: Sequence[SearchMap]) -> tuple[int, int, int, int]:
    """Return first column and row, and numbers of them, of the frame in pixels of the first map that holds all maps."""
    first = maps[0].grid
    lows, highs = [np.array([0, 0])], [np.array([first.nx - 1, first.ny - 1])]
    for item in maps[1:]:
        if item.grid != first:
            nx, ny = item.grid.nx - 1, item.grid.ny - 1
            ra, dec = pix_to_deg(item.grid, np.array([0, nx, 0, nx]), np.array([0, 0, ny, ny]))
            corners = np.array(deg_to_pix(first, ra, dec))
            lows.append(np.floor(corners.min(axis=1)))
            highs.append(np.ceil(corners.max(axis=1)))
    low, high = np.min(lows, axis=0).astype(int), np.max(highs, axis=0).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0] + 1), int(high[1] - low[1] + 1)
