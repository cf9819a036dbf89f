"""The background of a map: a vignetted and a flat component, times a slow correction."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from xphotfn.science._numeric import Floats

__all__ = ("Background", "fit_background", "fit_together")

_ROUNDS, _HALVES = 60, 30
_STREAK_ERROR = 0.2  # by which the part of the expected out-of-time events that is there may differ from 1
_LEAST, _LARGEST = 0.3, 3.0  # of the slow correction
_NOISE = 3.0  # sigma, by which the level of an exposure must differ from that of its camera to be its own
_BLOCK = 8  # pixels that are joined before the slow correction is smoothed


class Background(NamedTuple):
    """The background of a map, in counts, and what it is made of.

    ``vignetted`` and ``flat`` are in counts per second and pixel, ``streak`` is the part of the expected out-of-time
    events that is there; ``excised`` is the number of live pixels that were left out.
    """

    image: Floats
    vignetted: float
    vignetted_error: float
    flat: float
    flat_error: float
    streak: float
    excised: int


def fit_background(
    counts: Floats,
    exposures: tuple[Floats, Floats | None, Floats | None],
    sources: Floats,
    used: NDArray[np.bool_],
    slow_pix: float | None,
) -> Background:
    """Fit the background of a map by Poisson likelihood, under sources that are held.

    Parameters
    ----------
    counts
        Of shape (ny, nx).
    exposures
        Exposure; exposure without vignetting, None for a background that is vignetted as the exposure is; and
        out-of-time events that are expected, in counts, None for none.
    sources
        Light of all sources in counts.
    used
        Pixels that count.
    slow_pix
        Sigma of the Gaussian of the slow correction, in pixels; None for no correction.

    Notes
    -----
    ``b = (a E + c F) s + k K`` with a, c and k not negative. The correction s is the ratio of ``n - sources - k K`` and
    ``a E + c F``, both smoothed over the used pixels, within 0.3 and 3. Where less than one count is left on the used
    pixels, the components have one together. k is known to be 1 within 0.2: what is expected is made of the columns of
    the image itself, and where these hold few counts a free k would follow them.
    """
    exposure, flat, streak = exposures
    live = exposure > 0
    pixels = used & live
    given = [shape is not None for shape in exposures]
    shapes = np.array([shape[pixels] for shape in exposures if shape is not None])
    sure = np.array([0.0, 0.0, _STREAK_ERROR**-2])[given]
    fitted = _components(counts[pixels], shapes, sources[pixels], sure)
    rates, errors = np.zeros(3), np.zeros(3)
    rates[given], errors[given] = fitted
    image = rates[0] * exposure + (0.0 if flat is None else rates[1] * np.where(live, flat, 0.0))
    late = np.zeros_like(image) if streak is None else rates[2] * np.where(live, streak, 0.0)
    if slow_pix is not None:
        rest = np.where(pixels, counts - sources - late, 0.0)
        image = image * _slow(rest, np.where(pixels, image, 0.0), slow_pix)
    image = image + late
    image = _above_zero(image, live)
    return Background(
        image=image,
        vignetted=float(rates[0]),
        vignetted_error=float(errors[0]),
        flat=float(rates[1]),
        flat_error=float(errors[1]),
        streak=float(rates[2]),
        excised=int(np.count_nonzero(live & ~used)),
    )


def fit_together(
    counts: Sequence[Floats],
    exposures: Sequence[tuple[Floats, Floats | None, Floats | None]],
    sources: Sequence[Floats],
    used: Sequence[NDArray[np.bool_]],
    slow_pix: float | None,
) -> tuple[Background, ...]:
    """Fit the background of exposures of one camera on one grid: one shape, and a level of each.

    Parameters
    ----------
    counts, exposures, sources, used, slow_pix
        As :func:`fit_background` takes them, of each exposure.

    Notes
    -----
    The sum is fitted; each exposure has its part of what is expected, times the ratio of its counts to it where that is
    not 1 within three sigma. So an observation that was cut in two has the background of the whole.
    """
    if len(counts) == 1:
        return (fit_background(counts[0], exposures[0], sources[0], used[0], slow_pix),)
    exposures = [_on_live(*planes) for planes in exposures]
    flat, streak = (_sum_or_none([e[part] for e in exposures]) for part in (1, 2))
    given = (_sum([e[0] for e in exposures]), flat, streak)
    good = np.logical_and.reduce([u | (e[0] <= 0) for u, e in zip(used, exposures, strict=True)]) & (given[0] > 0)
    whole = fit_background(_sum(counts), given, _sum(sources), good, slow_pix)
    rates = (whole.vignetted, whole.flat, whole.streak)
    expected = _expected(rates, given)
    found = []
    for n, own, light in zip(counts, exposures, sources, strict=True):
        live = own[0] > 0
        part = np.where(live, _expected(rates, own) / np.where(expected > 0, expected, 1.0), 0.0)
        image, seen = whole.image * part, good & live
        level = _level(*(float(plane[seen].sum()) for plane in (n, light, image)))
        image = _above_zero(level * image, live)
        found.append(_at_level(whole, image, level)._replace(excised=int(np.count_nonzero(live & ~good))))
    return tuple(found)


def _on_live(
    exposure: Floats, flat: Floats | None, streak: Floats | None
) -> tuple[Floats, Floats | None, Floats | None]:
    """Return what belongs to a map on its live pixels alone."""
    return (
        exposure,
        None if flat is None else np.where(exposure > 0, flat, 0.0),
        None if streak is None else np.where(exposure > 0, streak, 0.0),
    )


def _at_level(whole: Background, image: Floats, level: float) -> Background:
    """Return the background of an exposure with the components of all at its level."""
    return whole._replace(
        image=image,
        vignetted=level * whole.vignetted,
        flat=level * whole.flat,
        streak=level * whole.streak,
    )


def _above_zero(image: Floats, live: NDArray[np.bool_]) -> Floats:
    """Return a background that is above 0 on live pixels, by a millionth of its peak."""
    least = 1e-6 * max(float(image.max(initial=0.0)), 1e-6)
    return np.where(live, np.maximum(image, least), 0.0)


def _level(counts: float, sources: float, expected: float) -> float:
    """Return counts without those of sources over what is expected, 1 where that is within the noise."""
    if expected <= 0 or abs(counts - sources - expected) <= _NOISE * max(counts, 1.0) ** 0.5:
        return 1.0
    return float(np.clip((counts - sources) / expected, _LEAST, _LARGEST))


def _sum(planes: Sequence[Floats]) -> Floats:
    return np.asarray(np.sum(planes, axis=0))


def _sum_or_none(planes: Sequence[Floats | None]) -> Floats | None:
    """Return a sum, None if any part of it is missing."""
    known = [plane for plane in planes if plane is not None]
    return _sum(known) if len(known) == len(planes) else None


def _expected(rates: tuple[float, float, float], exposures: tuple[Floats, Floats | None, Floats | None]) -> Floats:
    """Return what components give on a map, without the slow correction."""
    return _sum([rate * shape for rate, shape in zip(rates, exposures, strict=True) if shape is not None])


class _Problem(NamedTuple):
    """Counts, components and light that is held, of shape (pixels,); and how sure it is that a rate is 1.

    ``sure`` has an inverse variance for each component, 0 where nothing is known.
    """

    counts: Floats
    shapes: Floats
    sources: Floats
    sure: Floats

    def model(self, rates: Floats) -> Floats:
        """Return the counts that are expected."""
        return np.asarray(np.einsum("k,kp->p", rates, self.shapes) + self.sources)

    def height(self, rates: Floats) -> float:
        """Return the logarithm of the likelihood of rates, with what is known of them before."""
        model = self.model(rates)
        before = 0.5 * float(np.sum(self.sure * (rates - 1) ** 2))
        return float(np.sum(special.xlogy(self.counts, np.maximum(model, 0.0)) - model)) - before

    def slopes(self, rates: Floats) -> tuple[Floats, Floats]:
        """Return the gradient of the height along the rates, and the Fisher matrix."""
        least = 1e-6 * max(float(self.counts.sum()), 1.0) / self.counts.size  # so that no equation is infinite
        model = np.maximum(self.model(rates), least)
        gradient = _products(self.shapes, (self.counts / model - 1)[None])[:, 0] + self.sure * (1 - rates)
        return gradient, _products(self.shapes / model, self.shapes) + np.diag(self.sure)


def _components(counts: Floats, shapes: Floats, sources: Floats, sure: Floats) -> tuple[Floats, Floats]:
    """Return the rates that maximise the likelihood of ``rates @ shapes + sources``, not negative, and their errors."""
    total = shapes.sum(axis=1)
    if counts.size == 0 or not np.all(total > 0):
        return np.zeros(len(shapes)), np.full(len(shapes), np.inf)
    problem, unknown = _Problem(counts, shapes, sources, sure), sure == 0
    rates = np.where(unknown, max(float((counts - sources).sum()), 1.0) / np.count_nonzero(unknown) / total, 1.0)
    height = problem.height(rates)
    for _ in range(_ROUNDS):
        new, reached = _higher(problem, rates, height)
        moved, rates, height = np.abs(new - rates), new, reached
        if np.all(moved <= 1e-7 * rates.sum()) or float(np.dot(rates, total)) < 1e-3:
            break
    missing = 1.0 - float(np.dot(rates, total))
    if missing > 0:  # less than one count on all pixels: as little is not known of a background
        return rates + missing / len(shapes) / total, 1.0 / total
    covariance = np.linalg.pinv(problem.slopes(rates)[1])
    return rates, np.sqrt(np.maximum(np.diag(covariance), 0.0))


def _higher(problem: _Problem, rates: Floats, height: float) -> tuple[Floats, float]:
    """Return rates after a step of Newton's that ends where the first reaches 0, halved until it leads upwards."""
    gradient, fisher = problem.slopes(rates)
    free = (rates > 0) | (gradient > 0)
    matrix = fisher * np.outer(free, free) + np.diag(np.where(free, 1e-12 * np.diag(fisher), 1.0))
    step = np.linalg.solve(matrix, gradient * free)
    reach = np.where(step < -rates, rates / np.maximum(-step, 1e-300), np.inf)
    part = min(1.0, float(reach.min()))
    for _ in range(_HALVES):
        new = np.where(reach <= part, 0.0, np.maximum(rates + part * step, 0.0))
        reached = problem.height(new)
        if reached >= height:
            return new, reached
        part /= 2
    return rates, height


def _products(one: Floats, other: Floats) -> Floats:
    """Return sums of products over pixels; not by BLAS, whose last digits depend on its threads."""
    return np.asarray(np.einsum("kp,lp->kl", one, other))


def _slow(excess: Floats, background: Floats, sigma: float) -> Floats:
    """Return the ratio of two images smoothed with a Gaussian; 1 where there is nothing to compare."""
    ny, nx = excess.shape
    top, bottom = (_blocks(v) for v in (excess, background))
    smooth = [ndimage.gaussian_filter(v, sigma / _BLOCK, mode="constant", truncate=3.0) for v in (top, bottom)]
    enough = smooth[1] > 1e-3 * float(smooth[1].max(initial=0.0))
    ratio = np.where(enough, smooth[0] / np.where(enough, smooth[1], 1.0), 1.0)
    y = (np.arange(ny) + 0.5) / _BLOCK - 0.5
    x = (np.arange(nx) + 0.5) / _BLOCK - 0.5
    whole = _linear(_linear(np.clip(ratio, _LEAST, _LARGEST), y).T, x).T
    return np.asarray(whole)


def _linear(rows: Floats, at: Floats) -> Floats:
    """Return rows between those of an array, linearly."""
    if len(rows) == 1:
        return np.repeat(rows, len(at), axis=0)
    low = np.clip(np.floor(at).astype(int), 0, len(rows) - 2)
    part = np.clip(at - low, 0.0, 1.0)[:, None]
    return np.asarray(rows[low] + part * (rows[low + 1] - rows[low]))


def _blocks(image: Floats) -> Floats:
    ny, nx = image.shape
    whole = np.zeros((-(-ny // _BLOCK) * _BLOCK, -(-nx // _BLOCK) * _BLOCK))
    whole[:ny, :nx] = image
    return np.asarray(whole.reshape(whole.shape[0] // _BLOCK, _BLOCK, -1, _BLOCK).sum(axis=(1, 3)))
