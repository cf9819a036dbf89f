"""Maximum likelihood fit of sources that overlap, in a window of all maps at once: each map on its own pixels.

A source has one position and one extent, and a rate of its own in each map. Fisher scoring: the rates of each map are
eliminated from the equations of positions and extents, so the cost grows linearly with the number of maps.
"""

from typing import NamedTuple

import numpy as np

from xphotfn.science._numeric import Floats
from xphotfn.science.detection.templates import Profiles, place_of

__all__ = ("FittedSource", "Shape", "Window", "errors_of", "fit_sources", "light_of_source", "own_rates", "statistic")

_ROUNDS, _TRIES = 30, 7
_CLOSE = 5e-4  # change of Cash's statistic that ends a fit
_LARGEST_STEP, _LARGEST_U_STEP = 1.0, 0.5
_FIXED_ROWS = 1e-12


class Window(NamedTuple):
    """The same number of pixels of each map, arrays of shape (maps, pixels): counts, exposure, background, place.

    ``background`` holds all that is not fitted, in counts, above 0; ``exposure`` is 0 off the detector, where the
    counts are 0 too. ``x`` and ``y`` are the pixels of each map. ``shares`` has a number for each map: those with the
    same number share their rate (exposures of one camera in one observation); empty where each has its own.
    """

    counts: Floats
    exposure: Floats
    background: Floats
    x: Floats
    y: Floats
    shares: tuple[int, ...] = ()


class Shape(NamedTuple):
    """How a source looks on each map, near where its fit starts.

    ``profiles`` has one element for each map; ``stretch``, shape (maps, 2, 2), takes offsets in pixels to those in
    which the profile is round (unit matrices for a round one). Its place on map m is
    ``origin[m] + jacobian[m] @ (x, y)`` with x and y in pixels of the reference.
    """

    profiles: tuple[Profiles, ...]
    stretch: Floats
    origin: Floats
    jacobian: Floats


class FittedSource(NamedTuple):
    """Parameters of a source: its place in pixels of the reference, extent coordinate, and a rate for each map.

    ``extended`` says whether the extent is free; else it is what ``u`` says.
    """

    x: float
    y: float
    u: float
    rates: Floats
    extended: bool
    shape: Shape


class _Light(NamedTuple):
    """Light per pixel of a source of rate 1, and its derivatives along x, y and u; arrays of shape (maps, pixels)."""

    value: Floats
    along: tuple[Floats, ...]


def _rows(shape: Shape, u: float) -> tuple[Floats, ...]:
    """Return light, slope and slope along u of all maps, each flattened."""
    known: dict[int, tuple[Floats, Floats, Floats]] = {}
    for profiles in shape.profiles:
        if id(profiles) not in known:
            known[id(profiles)] = profiles.row(u)
    return tuple(np.concatenate([known[id(p)][part] for p in shape.profiles]) for part in range(3))


def light_of_source(window: Window, source: FittedSource, *, derivatives: bool = False) -> _Light:
    """Return the light of a source of rate 1 in a window.

    Parameters
    ----------
    window, source
        Where, and what.
    derivatives
        Whether those along x, y and (of an extended source) u are wanted too.
    """
    shape = source.shape
    centre = shape.origin + shape.jacobian @ np.array([source.x, source.y])
    dx, dy = window.x - centre[:, :1], window.y - centre[:, 1:]
    a = shape.stretch
    px = a[:, 0, :1] * dx + a[:, 0, 1:] * dy
    py = a[:, 1, :1] * dx + a[:, 1, 1:] * dy
    place, base = place_of(px * px + py * py)
    low = place.astype(np.intp)
    part = place - low
    rows = _rows(shape, source.u)
    low += np.arange(len(low))[:, None] * (rows[0].size // len(low))
    scale = np.abs(a[:, 0, 0] * a[:, 1, 1] - a[:, 0, 1] * a[:, 1, 0])[:, None]

    def taken(row: Floats) -> Floats:
        steps = np.append(np.diff(row), 0.0)
        return np.asarray(scale * (row.take(low) + part * steps.take(low)))

    value = taken(rows[0])
    if not derivatives:
        return _Light(value, ())
    down = -2 * taken(rows[1]) * base
    gx = down * (a[:, 0, :1] * px + a[:, 1, :1] * py)
    gy = down * (a[:, 0, 1:] * px + a[:, 1, 1:] * py)
    j = shape.jacobian
    along = [gx * j[:, 0, :1] + gy * j[:, 1, :1], gx * j[:, 0, 1:] + gy * j[:, 1, 1:]]
    return _Light(value, (*along, taken(rows[2])) if source.extended else tuple(along))


def statistic(window: Window, model: Floats) -> float:
    """Return Cash's statistic of a model in counts, up to what depends on the counts alone."""
    return float(2 * np.sum(model - window.counts * np.log(model)))


def _model(window: Window, sources: tuple[FittedSource, ...], lights: list[_Light]) -> Floats:
    total = sources[0].rates[:, None] * lights[0].value
    for source, light in zip(sources[1:], lights[1:], strict=True):
        total += source.rates[:, None] * light.value
    total *= window.exposure
    total += window.background
    return total


def _equations(
    window: Window, sources: tuple[FittedSource, ...], lights: list[_Light]
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return the Fisher matrix in blocks and the gradient: places with places, places with rates, rates with rates."""
    model = _model(window, sources, lights)
    maps, pixels = model.shape
    exposure = window.exposure
    rate = np.empty((maps, len(sources), pixels))
    place = np.empty((maps, sum(len(v.along) for v in lights), pixels))
    row = 0
    for number, (source, light) in enumerate(zip(sources, lights, strict=True)):
        rate[:, number] = exposure * light.value
        for derivative in light.along:
            place[:, row] = exposure * derivative * source.rates[:, None]
            row += 1
    weight, excess = 1 / model, window.counts / model - 1
    weighted = place * weight[:, None]
    pp, pr, rr = _sums(weighted, place).sum(axis=0), _sums(weighted, rate), _sums(rate * weight[:, None], rate)
    ahead, bright = _sums(place, excess[:, None]), _sums(rate, excess[:, None])
    pr, rr, bright = (_shared(window, sums) for sums in (pr, rr, bright))
    return pp, pr, rr, ahead.sum(axis=0)[:, 0], bright[:, :, 0]


def _shared(window: Window, sums: Floats) -> Floats:
    """Return sums over the maps that share a rate."""
    if not window.shares:
        return sums
    joined = np.zeros((max(window.shares) + 1, *sums.shape[1:]))
    np.add.at(joined, list(window.shares), sums)
    return joined


def own_rates(window: Window, rates: Floats) -> Floats:
    """Return the rates (or other values) of all maps, shared ones once."""
    if not window.shares:
        return rates
    return rates[[window.shares.index(number) for number in range(max(window.shares) + 1)]]


def _of_maps(window: Window, values: Floats) -> Floats:
    """Return values of shared rates for each map."""
    return values[list(window.shares)] if window.shares else values


def _sums(one: Floats, other: Floats) -> Floats:
    """Return sums of products over pixels for each map; not by BLAS, whose last digits depend on its threads."""
    return np.asarray(np.einsum("mkp,mlp->mkl", one, other))


def _solved(
    equations: tuple[Floats, Floats, Floats, Floats, Floats], rates: Floats, damping: float
) -> tuple[Floats, Floats]:
    """Return the step of places and of rates, shape (rates, sources); rates at 0 that would fall stay."""
    pp, pr, rr, gp, gr = equations
    held = ((rates <= 0) & (gr <= 0)) | (np.einsum("mss->ms", rr) <= _FIXED_ROWS)
    free = ~held
    rr = rr * (free[:, :, None] & free[:, None, :])
    index = np.arange(rr.shape[1])
    rr[:, index, index] = np.where(held, 1.0, rr[:, index, index] * (1 + damping))
    pr, gr = pr * free[:, None], gr * free
    inverse = np.linalg.inv(rr)
    back = pr @ inverse
    left = pp - (back @ pr.mT).sum(axis=0)
    diagonal = np.arange(len(left))
    left[diagonal, diagonal] += damping * pp[diagonal, diagonal] + 1e-9 * np.trace(pp) + 1e-12
    places = np.linalg.solve(left, gp - (back @ gr[:, :, None]).sum(axis=0)[:, 0])
    return places, (inverse @ gr[:, :, None] - back.mT @ places[None, :, None])[:, :, 0]


def _moved(sources: tuple[FittedSource, ...], places: Floats, rates: Floats, last_u: float) -> tuple[FittedSource, ...]:
    moved, row = [], 0
    for number, source in enumerate(sources):
        dx, dy = places[row : row + 2]
        size = float(np.hypot(dx, dy))
        cut = min(1.0, _LARGEST_STEP * (1 + 2 * source.u) / size) if size > 0 else 1.0
        u = source.u
        if source.extended:
            u = float(np.clip(u + np.clip(places[row + 2], -_LARGEST_U_STEP, _LARGEST_U_STEP), 0.0, last_u))
        row += 3 if source.extended else 2
        new = np.maximum(source.rates + rates[:, number], 0.0)
        moved.append(source._replace(x=source.x + cut * float(dx), y=source.y + cut * float(dy), u=u, rates=new))
    return tuple(moved)


def fit_sources(
    window: Window, sources: tuple[FittedSource, ...], *, last_u: float
) -> tuple[tuple[FittedSource, ...], float]:
    """Return the sources with the highest likelihood, and Cash's statistic.

    Parameters
    ----------
    window
        The pixels.
    sources
        Where the fit starts; their order is kept.
    last_u
        Largest extent coordinate.

    Notes
    -----
    Fisher scoring with a damping that grows until the statistic falls. Rates stay at 0 or above; steps are at most a
    pixel (more for extended sources). Ends where the statistic changes by less than 0.005, or after 30 rounds.
    """
    lights = [light_of_source(window, s, derivatives=True) for s in sources]
    best, damping = statistic(window, _model(window, sources, lights)), 1e-3
    for _ in range(_ROUNDS):
        equations = _equations(window, sources, lights)
        rates = own_rates(window, np.array([s.rates for s in sources]).T)
        before = best
        for _ in range(_TRIES):
            places, steps = _solved(equations, rates, damping)
            trial = _moved(sources, places, _of_maps(window, steps), last_u)
            found = [light_of_source(window, s, derivatives=True) for s in trial]
            value = statistic(window, _model(window, trial, found))
            if value < best:
                sources, lights, best, damping = trial, found, value, max(damping / 8, 1e-6)
                break
            damping = max(damping, 1e-3) * 8
        if before - best < _CLOSE:
            break
    return sources, best


def errors_of(window: Window, sources: tuple[FittedSource, ...]) -> tuple[tuple[Floats, Floats], ...]:
    """Return the errors of places and of rates of each source, from the Fisher matrix at its parameters.

    Returns
    -------
    tuple of pairs
        Errors of x, y (and u), and of the rates of all maps; inf for a rate of a map without exposure there.
    """
    lights = [light_of_source(window, s, derivatives=True) for s in sources]
    pp, pr, rr, _, _ = _equations(window, sources, lights)
    dead = np.einsum("mss->ms", rr) <= _FIXED_ROWS
    index = np.arange(rr.shape[1])
    rr[:, index, index] = np.where(dead, 1.0, rr[:, index, index] * (1 + 1e-9))
    inverse = np.linalg.inv(rr)
    back = pr @ inverse
    left = pp - (back @ pr.mT).sum(axis=0)
    left[np.arange(len(left)), np.arange(len(left))] += 1e-12
    places = np.linalg.pinv(left, hermitian=True)
    rate = np.einsum("mss->ms", inverse + back.mT @ places @ back)
    variance = np.diag(places)
    errors, row = [], 0
    for number, source in enumerate(sources):
        size = 3 if source.extended else 2
        own = np.where(dead[:, number], np.inf, np.sqrt(np.maximum(rate[:, number], 0.0)))
        errors.append((np.sqrt(np.maximum(variance[row : row + size], 0.0)), _of_maps(window, own)))
        row += size
    return tuple(errors)
