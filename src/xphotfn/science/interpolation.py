"""Linear interpolation between the nodes of a grid, which never leaves it."""

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord

__all__ = ("bilinear", "require_on_nodes")

Floats = NDArray[np.float64]


def require_on_nodes(value: float, nodes: Floats, what: str, remedy: str) -> None:
    """Refuse a value outside the nodes, and NaN.

    Raises
    ------
    InvalidRecord
        With what the nodes reach and the remedy.
    """
    if not nodes[0] <= value <= nodes[-1]:
        raise InvalidRecord(f"{what} must lie between {nodes[0]:g} and {nodes[-1]:g}, got {float(value)!r}: {remedy}")


def bilinear(values: Floats, at: tuple[float, float], nodes: tuple[Floats, Floats]) -> float:
    """Return the value between four nodes, linear in both coordinates.

    Parameters
    ----------
    values
        Array of shape (n, m).
    at
        The place, within the nodes.
    nodes
        Coordinates of shape (n,) and (m,), rising.

    Examples
    --------
    >>> bilinear(np.array([[0.0, 1.0], [2.0, 3.0]]), (0.5, 0.25), (np.array([0.0, 1.0]), np.array([0.0, 1.0])))
    1.25
    """
    rows = [float(np.interp(at[1], nodes[1], row)) for row in values]
    return float(np.interp(at[0], nodes[0], rows))
