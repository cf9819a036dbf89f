"""Where apertures lie: positions and radii in all the forms that users have them, and which circles overlap."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ShapeMismatch, XphotfnError
from xphotfn.io.sky_columns import sky_columns
from xphotfn.records.field import Field
from xphotfn.science.coords import unit_vectors
from xphotfn.science.distances import radius_deg
from xphotfn.science.rings import background_ring
from xphotfn.units import positions_deg, quantity

__all__ = ("SkyPositions", "angles_deg", "crowded", "part_of", "sky_of")

Floats = NDArray[np.float64]
WIDEST_DEG = 20.0  # radius of the widest ring; a camera sees half a degree


class SkyPositions(NamedTuple):
    """Positions and radii in degrees, shape (n,); ``given`` holds the other columns of a table of positions."""

    ra: Floats
    dec: Floats
    radius: Floats
    inner: Floats
    outer: Floats
    given: Mapping[str, Any]


def part_of(sky: SkyPositions, positions: NDArray[np.intp]) -> SkyPositions:
    """Return some of the positions, without the other columns of their table."""
    if positions.size == sky.ra.size:
        return sky
    ra, dec, radius, inner, outer = (v[positions] for v in (sky.ra, sky.dec, sky.radius, sky.inner, sky.outer))
    return SkyPositions(ra, dec, radius, inner, outer, {})


def sky_of(
    positions: Any, radius: Any, background: Any, field: Field | None, wings: Callable[[Floats, Floats], Floats]
) -> SkyPositions:
    """Return positions, radii and background rings as :func:`photometry` takes them.

    Where ``background`` is None the ring lies beyond the wings of point sources, whose radius in arcsec ``wings``
    returns for RA and Dec.

    Raises
    ------
    UnitMismatch, ShapeMismatch, InvalidRecord
        If a unit, a shape or a number is wrong.
    """
    (ra, dec), given = _positions(positions)
    target = None if field is None else field.target
    r = angles_deg(radius, target, ra.size)
    low, high = r, r
    if np.all(r > 0):
        reach = wings(ra, dec) if background is None else r
        low, high = _ring(background, r, target, reach)
    if not (np.all(r > 0) and np.all((r <= low) & (low < high) & np.isfinite(high))):
        raise InvalidRecord(f"radii need 0 < radius <= inner < outer, got {radius} and background {background}")
    if np.any(high > WIDEST_DEG):
        raise InvalidRecord(
            f"circle and ring reach {np.max(high):.4g} deg from their position, and no image is wider than "
            f"{WIDEST_DEG:g} deg: give smaller radii than {radius} and background {background}"
        )
    return SkyPositions(ra, dec, r, low, high, given)


def _ring(background: Any, r: Floats, target: Any, wings_arcsec: Floats) -> tuple[Floats, Floats]:
    if background is None:
        inner, outer = background_ring(r * 3600, wings_arcsec=wings_arcsec)
        return inner / 3600, outer / 3600
    try:
        inner, outer = background
        if isinstance(inner, u.Quantity) or isinstance(outer, u.Quantity):
            return angles_deg(inner, target, r.size), angles_deg(outer, target, r.size)
        return r * float(inner), r * float(outer)
    except (TypeError, ValueError) as error:
        if isinstance(error, XphotfnError):
            raise
        raise InvalidRecord(f"background must be two factors or two Quantities, got {background!r}") from error


def _positions(positions: Any) -> tuple[tuple[Floats, Floats], Mapping[str, Any]]:
    if hasattr(positions, "colnames") or (hasattr(positions, "columns") and hasattr(positions, "iloc")):
        return _of_table(positions)
    ra, dec = positions_deg(positions).reshape(-1, 2).T
    return _checked(ra, dec), {}


def _of_table(table: Any) -> tuple[tuple[Floats, Floats], Mapping[str, Any]]:
    """Return the positions of a table and its other columns."""
    from astropy.table import Table

    rows = table if isinstance(table, Table) else Table.from_pandas(table)
    found = sky_columns(rows)
    return _checked(found.ra, found.dec), {n: rows[n] for n in rows.colnames if n not in found.names}


def _checked(ra: Any, dec: Any) -> tuple[Floats, Floats]:
    a, d = (np.ascontiguousarray(np.atleast_1d(v), dtype=np.float64) for v in (ra, dec))
    if np.any(np.abs(d) > 90) or np.any(np.isinf(a)):
        raise InvalidRecord("a position must have finite RA and Dec within +-90 deg (NaN is allowed and gives NaN)")
    if np.any((a < 0) | (a > 360)):
        raise InvalidRecord(f"RA must lie in [0, 360] deg, got {a[(a < 0) | (a > 360)][0]:g}: use ra % 360")
    return a, d


def angles_deg(radius: Any, target: Any, size: int) -> Floats:
    """Return radii in degrees, shape (size,)."""
    given = quantity(radius, "a radius", "30*u.arcsec or 300*u.kpc")
    if given.isscalar:
        return np.full(size, radius_deg(given, target))
    if given.shape != (size,):
        raise ShapeMismatch(f"radii must be one or one for each of the {size} positions, got shape {given.shape}")
    if given.unit.is_equivalent(u.deg):
        return np.asarray(given.to_value(u.deg), dtype=np.float64)
    return np.asarray(given.value * radius_deg(1.0 * given.unit, target), dtype=np.float64)


def crowded(sky: SkyPositions) -> NDArray[np.bool_]:
    """Return whether the circle of each position overlaps that of another."""
    from scipy.spatial import cKDTree

    known, result = np.flatnonzero(np.isfinite(sky.ra + sky.dec)), np.zeros(sky.ra.size, dtype=bool)
    if known.size < 2:
        return result
    r = np.deg2rad(sky.radius[known])
    points = unit_vectors(sky.ra[known], sky.dec[known])
    tree = cKDTree(points)
    if np.ptp(r) == 0:
        result[known] = tree.query(points, k=2)[0][:, 1] < 2 * np.sin(np.minimum(r, np.pi / 2))
        return result
    for part in range(0, known.size, _NEAR_CHUNK):
        here = slice(part, part + _NEAR_CHUNK)
        reach = 2 * np.sin(np.minimum(0.5 * (r[here] + r.max()), np.pi / 2))
        near = tree.query_ball_point(points[here], reach)
        first = np.repeat(np.arange(known.size)[here], [len(v) for v in near])
        second = np.concatenate([np.asarray(v, dtype=np.intp) for v in near])
        apart = np.linalg.norm(points[first] - points[second], axis=1)
        close = (first != second) & (apart < 2 * np.sin(np.minimum(0.5 * (r[first] + r[second]), np.pi / 2)))
        result[known[first[close]]] = True
    return result


_NEAR_CHUNK = 10_000  # positions whose neighbours are listed at a time
