"""What the statistics share: checked inputs, one pass over the valid elements, and vectorised root finding."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from xphotfn.errors import InvalidRecord, ShapeMismatch

__all__ = (
    "Floats",
    "broadcast",
    "deviance",
    "floats",
    "over_valid",
    "require_above_zero",
    "require_inside",
    "require_not_negative",
    "solve_increasing",
)

Floats = NDArray[np.float64]
ROUNDS_OF_NEWTON = 40
ROUNDS = 140


def floats(value: ArrayLike, name: str) -> Floats:
    """Return ``value`` as float64; masked elements are NaN."""
    try:
        if hasattr(value, "filled"):  # of numpy.ma, and of astropy's masked columns and quantities
            masked: Any = value
            return np.asarray(masked.astype(np.float64).filled(np.nan), dtype=np.float64)
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"{name} must be a number or an array of numbers, got {value!r}") from error


def _refuse(array: Floats, wrong: NDArray[np.bool_], rule: str) -> None:
    if np.any(wrong):
        raise InvalidRecord(f"{rule}, got {array[wrong].flat[0]:g}")


def require_not_negative(value: ArrayLike, name: str) -> Floats:
    """Return ``value`` as float64; refuse negative and infinite numbers, keep NaN."""
    array = floats(value, name)
    _refuse(array, (array < 0) | np.isinf(array), f"{name} must be finite and not negative")
    return array


def require_above_zero(value: ArrayLike, name: str) -> Floats:
    """Return ``value`` as float64; refuse infinity and what is not above 0, keep NaN."""
    array = floats(value, name)
    _refuse(array, (array <= 0) | np.isinf(array), f"{name} must be finite and above 0")
    return array


def require_inside(value: ArrayLike, name: str, low: float = 0.0, high: float = 1.0) -> Floats:
    """Return ``value`` as float64; refuse what does not lie strictly between ``low`` and ``high``, and NaN."""
    array = floats(value, name)
    _refuse(array, ~((array > low) & (array < high)), f"{name} must lie between {low:g} and {high:g}")
    return array


def broadcast(*arrays: Floats) -> tuple[Floats, ...]:
    """Return the arrays at their common shape."""
    try:
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError as error:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ShapeMismatch(f"arrays of shapes {shapes} do not broadcast against each other") from error


def over_valid(function: Callable[..., tuple[Floats, ...]], outputs: int, *arrays: Floats) -> tuple[Floats, ...]:
    """Return ``function`` of the flattened elements that are not NaN in any array; NaN elsewhere.

    The arrays are broadcast; ``function`` takes as many arrays of one axis and returns ``outputs`` of them.
    """
    whole = broadcast(*arrays)
    shape = whole[0].shape
    flat = [a.reshape(-1) for a in whole]
    valid = ~np.logical_or.reduce([np.isnan(a) for a in flat])
    if np.all(valid):
        return tuple(np.asarray(result.reshape(shape)) for result in function(*flat))
    results = tuple(np.full(shape, np.nan) for _ in range(outputs))
    if np.any(valid):
        for result, found in zip(results, function(*(a[valid] for a in flat)), strict=True):
            result.reshape(-1)[valid] = found
    return results


def deviance(x: Floats, mean: Floats) -> Floats:
    """Return ``x ln(x/m) + m - x``, written with log1p so that x close to m keeps its digits; inf for m = 0 < x."""
    safe = np.where(mean > 0, mean, 1.0)
    d = (x - mean) / safe
    impossible = np.where(x > 0, np.inf, 0.0)
    return np.asarray(np.where(mean > 0, safe * (special.xlog1py(1 + d, d) - d), impossible))


def solve_increasing(
    function: Callable[[Floats, NDArray[np.intp]], tuple[Floats, Floats]],
    low: Floats,
    high: Floats,
    start: Floats,
    *,
    last_step: float = 1e-9,
) -> Floats:
    """Return the roots of increasing functions, one per element, by Newton's method kept inside a bracket.

    ``function(x, which)`` gives value and slope of the elements numbered ``which`` at ``x``. A step that leaves the
    bracket becomes a bisection; after 40 rounds every step is one, so the bracket halves until it is done. A step of
    Newton below ``last_step`` of x is the last: what is left is of the order of its square.
    """
    low, high = np.array(low), np.array(high)
    x = np.clip(start, low, high)
    which = np.arange(x.size)
    for step in range(ROUNDS):
        old = x[which]
        value, slope = function(old, which)
        low[which] = np.where(value <= 0, old, low[which])
        high[which] = np.where(value >= 0, old, high[which])
        with np.errstate(all="ignore"):
            new = old - value / slope
        middle = 0.5 * (low[which] + high[which])
        inside = (new >= low[which]) & (new <= high[which]) & np.isfinite(slope) & (step < ROUNDS_OF_NEWTON)
        new = np.where(value == 0, old, np.where(inside, new, middle))
        x[which] = new
        close = np.abs(new - old) <= np.where(inside, last_step, 1e-15) * np.abs(new)
        which = which[~(close | (value == 0))]
        if which.size == 0:
            break
    return np.asarray(x)
