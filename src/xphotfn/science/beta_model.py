"""Fits of the beta model to counts in rings, by Poisson likelihood."""

from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch
from xphotfn.html import record_html
from xphotfn.science._numeric import Floats
from xphotfn.science.radial import ring_edges

__all__ = ("BetaModelFit", "FittedParameter", "beta_ring_means", "fit_beta_rings")

NAMES = ("brightness", "core_radius", "beta", "constant", "background_factor")
BETA = (0.2, 5.0)  # where the slope is looked for
STARTS = ((0.05, 0.5), (0.15, 0.6), (0.4, 0.8), (0.15, 1.2))  # core radius over the outermost edge, and beta
STEP = 1e-5  # of the logarithms of the parameters, for derivatives


class FittedParameter(NamedTuple):
    """A parameter: best value, error from the curvature of the likelihood, and ends of its profile likelihood.

    Numbers, or Quantities where they come from a profile with units.
    """

    value: Any
    error: Any
    low: Any
    high: Any


class BetaModelFit(NamedTuple):
    """Parameters of ``S(r) = brightness [1 + (r/core_radius)**2]**(0.5 - 3 beta) + constant``.

    ``constant`` is None unless it was fitted; ``background_factor`` is by how much the background that came with the
    profile is scaled, None where that is known. ``expected`` are the counts of each ring by the model, shape (n,),
    ``cash`` is ``2 sum(m - N + N ln N/m)``, ``converged`` whether the optimum lies inside the range that was searched.
    """

    brightness: FittedParameter
    core_radius: FittedParameter
    beta: FittedParameter
    constant: FittedParameter | None
    background_factor: FittedParameter | None
    expected: Floats
    cash: float
    converged: bool

    def _repr_html_(self) -> str:
        return record_html(self)


class _Rings(NamedTuple):
    counts: Floats
    edges: Floats
    scale: Floats
    background: Floats
    background_counts: float
    has_constant: bool


def beta_ring_means(edges: ArrayLike, core_radius: float, beta: float) -> Floats:
    """Return the mean of ``[1 + (r/core_radius)**2]**(0.5 - 3 beta)`` over each ring.

    Parameters
    ----------
    edges
        Edges of n rings, shape (n + 1,), in the unit of the core radius.
    core_radius, beta
        Both above 0.

    Returns
    -------
    ndarray of float64, shape (n,)

    Notes
    -----
    ``integral of 2 pi r S dr = pi c**2 (1 - [1 + (r/c)**2]**(1-a)) / (a - 1)`` with ``a = 3 beta - 0.5``.

    Examples
    --------
    >>> beta_ring_means([0, 1, 2], 1.0, 2 / 3).round(4).tolist()
    [0.5858, 0.1733]
    """
    return _ring_means(ring_edges(edges), core_radius, beta)


def _ring_means(edges: Floats, core_radius: float, beta: float) -> Floats:
    squared, slope = (edges / core_radius) ** 2, 3 * beta - 1.5
    logs = np.log1p(squared)
    enclosed = logs if abs(slope) < 1e-9 else -np.expm1(-slope * logs) / slope
    return np.asarray(np.diff(enclosed) / np.diff(squared))


def fit_beta_rings(
    counts: ArrayLike,
    edges: ArrayLike,
    scale: ArrayLike,
    *,
    background: ArrayLike = 0.0,
    background_error: ArrayLike = 0.0,
    constant: bool = False,
) -> BetaModelFit:
    """Fit the beta model to counts in rings by Poisson likelihood.

    Parameters
    ----------
    counts
        Counts N of the rings, shape (n,), not negative.
    edges
        Radii, shape (n + 1,), any unit.
    scale
        ``sum E Omega`` over the pixels used in each ring, shape (n,); rings with 0 do not count.
    background, background_error
        Expected counts m of the background in each ring, and the error that all rings share: from counts B of one
        annulus, ``alpha B`` and ``alpha sqrt(B)``. An error of 0: the background is known.
    constant
        Fit a constant surface brightness too.

    Raises
    ------
    InvalidRecord, ShapeMismatch
        If shapes or numbers break their rules.
    NoData
        If there are fewer rings with exposure than parameters, or no counts above the background.

    Notes
    -----
    ``N_i ~ Poisson(S_i scale_i + q m_i)``, S_i the mean of the model over the ring, and ``B ~ Poisson(q B)`` with
    ``B = (sum m / sum error)**2``: for one annulus exactly its counts. Errors are those of the expected information
    matrix; ``low`` and ``high`` are where the profile likelihood has fallen by 1/2, or the end of the range searched,
    NaN where no such place was found.
    The model is not convolved with a point spread function, and the annulus is taken to hold background only.

    References
    ----------
    Cavaliere & Fusco-Femiano (1976), A&A 49, 137; Cash (1979), ApJ 228, 939.

    Examples
    --------
    >>> edges, scale = np.arange(0.0, 11.0), np.full(10, 100.0)
    >>> fit = fit_beta_rings(50 * scale * beta_ring_means(edges, 2.0, 0.7), edges, scale)
    >>> [round(v.value, 3) for v in (fit.brightness, fit.core_radius, fit.beta)]
    [50.0, 2.0, 0.7]
    """
    rings = _rings(counts, edges, scale, (background, background_error), constant)
    start, limits = _starts(rings)
    found = [_minimum(rings, first, limits) for first in start]
    best, lowest = min(found, key=lambda pair: pair[1])
    return _fit(rings, best, lowest, limits)


def _rings(
    counts: ArrayLike, edges: ArrayLike, scale: ArrayLike, background: tuple[ArrayLike, ArrayLike], constant: bool
) -> _Rings:
    n, limits = np.asarray(counts, dtype=np.float64), ring_edges(edges)
    if n.shape != (limits.size - 1,):
        raise ShapeMismatch(f"{limits.size} edges need counts of {limits.size - 1} rings, got shape {n.shape}")
    try:
        k, m, error = (np.broadcast_to(np.asarray(v, dtype=np.float64), n.shape) for v in (scale, *background))
    except ValueError as problem:
        raise ShapeMismatch(f"scale and background need a value for each of the {n.size} rings") from problem
    if not np.all(np.isfinite(n + k + m + error)) or min(v.min() for v in (n, k, m, error)) < 0:
        raise InvalidRecord("counts, scale and background of rings must be finite and not negative")
    used = k > 0
    parameters = 3 + constant
    if np.count_nonzero(used) < parameters:
        raise NoData(f"a beta model needs {parameters} rings with exposure, got {np.count_nonzero(used)}")
    if not n[used].sum() > m[used].sum():
        raise NoData(
            f"{n[used].sum():g} counts in the rings are not above the background of {m[used].sum():g}: no source to fit"
        )
    shared = float(error[used].sum())
    weight = (float(m[used].sum()) / shared) ** 2 if shared > 0 else 0.0
    return _Rings(np.where(used, n, 0.0), limits, np.where(used, k, 0.0), np.where(used, m, 0.0), weight, constant)


def _starts(rings: _Rings) -> tuple[list[Floats], Floats]:
    """Return first guesses of the logarithms of all parameters, and their limits, shape (parameters, 2)."""
    outer, first = rings.edges[-1], rings.edges[1]
    net = max(float(rings.counts.sum() - rings.background.sum()), 1.0)
    level = net / float(rings.scale.sum())
    starts = []
    for part, beta in STARTS:
        core = part * outer
        peak = net / float(np.sum(rings.scale * beta_ring_means(rings.edges, core, beta)))
        starts.append(np.log([peak, core, beta, 0.1 * level, 1.0]))
    ends = [(level * 1e-4, level * 1e8), (first * 1e-2, outer * 1e2), BETA, (level * 1e-9, level * 1e2), (1e-2, 1e2)]
    used = _used(rings)
    return [s[used] for s in starts], np.log(ends)[used]


def _used(rings: _Rings) -> NDArray[np.intp]:
    return np.flatnonzero([True, True, True, rings.has_constant, rings.background_counts > 0])


def _model(rings: _Rings, logs: Floats) -> Floats:
    """Return the expected counts of each ring."""
    every = np.array([0.0, 0.0, 0.0, -np.inf, 0.0])
    every[_used(rings)] = logs
    peak, core, beta, constant, factor = np.exp(every)
    shape = _ring_means(rings.edges, core, beta)
    return np.asarray(rings.scale * (peak * shape + constant) + factor * rings.background)


def _residuals(rings: _Rings, logs: Floats) -> Floats:
    """Return signed roots of the deviances, whose squares sum to ``-2 ln L`` but for a constant."""
    n, m = rings.counts, np.maximum(_model(rings, logs), 1e-300)
    deviance = m - n + n * np.log(np.where(n > 0, n, 1.0) / np.where(n > 0, m, 1.0))
    result = np.sign(n - m) * np.sqrt(2 * np.maximum(deviance, 0.0))
    if rings.background_counts > 0:
        shared = 2 * rings.background_counts * max(float(np.expm1(logs[-1]) - logs[-1]), 0.0)
        result = np.append(result, np.sign(logs[-1]) * np.sqrt(shared))
    return np.asarray(result)


def _slopes(rings: _Rings, logs: Floats) -> Floats:
    """Return the derivatives of the expected counts by the logarithm of each parameter."""
    steps = np.eye(logs.size) * STEP
    return np.array([(_model(rings, logs + s) - _model(rings, logs - s)) / (2 * STEP) for s in steps])


def _minimum(rings: _Rings, start: Floats, limits: Floats, fixed: int | None = None) -> tuple[Floats, float]:
    """Return the best parameters near a start, one of them held where ``fixed`` names it, and their ``-2 ln L``."""
    from scipy.optimize import least_squares

    free = np.array([n for n in range(start.size) if n != fixed])
    low, high = limits[free].T

    def whole(part: Floats) -> Floats:
        logs = start.copy()
        logs[free] = part
        return logs

    inside = np.clip(start[free], low + 1e-9, high - 1e-9)
    found = least_squares(lambda part: _residuals(rings, whole(part)), inside, bounds=(low, high), x_scale=0.3)
    return whole(np.asarray(found.x)), 2 * float(found.cost)


def _fit(rings: _Rings, best: Floats, lowest: float, limits: Floats) -> BetaModelFit:
    spread = _errors(rings, best)
    found: dict[str, Any] = dict.fromkeys(NAMES[3:])
    for number, place in enumerate(_used(rings)):
        low, high = (_profile_end(rings, (best, lowest), limits, (number, side * spread[number])) for side in (-1, 1))
        value = float(np.exp(best[number]))
        found[NAMES[place]] = FittedParameter(
            value, value * float(spread[number]), float(np.exp(low)), float(np.exp(high))
        )
    m, n = _model(rings, best), rings.counts
    some = n > 0
    inside = (best[:3] > limits[:3, 0] + 1e-6) & (best[:3] < limits[:3, 1] - 1e-6)
    return BetaModelFit(
        **found, expected=m, converged=bool(np.all(inside)),
        cash=2 * float(np.sum(m - n) + np.sum(n[some] * np.log(n[some] / m[some]))),
    )  # fmt: skip


def _errors(rings: _Rings, logs: Floats) -> Floats:
    """Return the relative errors by the expected information, infinite where the counts do not fix a parameter."""
    slopes = _slopes(rings, logs)
    information = (slopes / np.maximum(_model(rings, logs), 1e-300)) @ slopes.T
    if rings.background_counts > 0:
        information[-1, -1] += rings.background_counts * np.exp(logs[-1])
    try:
        variance = np.diag(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        variance = np.full(logs.size, np.inf)
    return np.sqrt(np.where(variance > 0, variance, np.inf))


def _profile_end(rings: _Rings, best: tuple[Floats, float], limits: Floats, towards: tuple[int, float]) -> float:
    """Return where the profile likelihood of a parameter has fallen by 1/2 to one side, or the end of its range."""
    (start, lowest), (number, error) = best, towards
    edge = limits[number, int(error > 0)]
    stride = np.sign(error) * min(abs(error), 0.5)
    last = start.copy()

    @cache
    def above(value: float) -> float:
        starts = np.array([start, last])  # one alone may end beside the minimum
        starts[:, number] = value
        last[:], deviance = min((_minimum(rings, first, limits, number) for first in starts), key=itemgetter(1))
        return deviance - lowest - 1

    near = float(start[number])
    while True:
        far = near + stride
        if (far - edge) * stride >= 0:
            return float(edge) if above(float(edge)) <= 0 else _crossing(above, near, float(edge))
        if above(far) > 0:
            return _crossing(above, near, far)
        near, stride = far, 1.5 * stride


def _crossing(above: Callable[[float], float], near: float, far: float) -> float:
    """Return where ``above`` turns positive between near and far, NaN where it is so (or NaN) at near already."""
    from scipy.optimize import brentq

    return float(brentq(above, near, far, xtol=1e-3)) if above(near) <= 0 < above(far) else np.nan
