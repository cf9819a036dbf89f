"""Maps of several inputs on one grid: weighted exposure, and how many inputs look at a pixel."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, NoData
from xphotfn.io.exposure_units import one_unit
from xphotfn.io.products import ExposureMap, RateMap
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import COMBINED, instrument as camera_of
from xphotfn.science.mosaic import mosaic
from xphotfn.science.pixel_masks import read_only

__all__ = ("live_area", "live_mask", "weighted_exposure")

Maps = Iterable[RateMap | ExposureMap]


def weighted_exposure(
    maps: Maps, *, weights: Mapping[str, float] | None = None, grid: PixelGrid | None = None
) -> tuple[NDArray[np.float64], PixelGrid]:
    """Return the sum of exposure maps, each times the weight of its camera, on a common grid.

    Parameters
    ----------
    maps
        RateMaps (or ExposureMaps) of one band, as :func:`rate_maps` gives them; the first sets the frame.
    weights
        Weight of each camera, such as ``{"pn": 3.2, "mos1": 1.0, "mos2": 1.0}``: counts per s of that camera for
        a source of unit flux (an energy conversion factor). Only you know them, they hang on spectrum and filter;
        default 1 for all, the plain sum.
    grid
        Another grid of the same pixel size, such as that of the combined map.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        Sum of weight x exposure in s (times the unit of the weights); 0 where no input looks. Read-only.
    PixelGrid
        Its grid.

    Raises
    ------
    NoData
        If there is no map.
    InvalidRecord
        If a weight is missing or not above 0, a map is a mosaic or there twice, or their bands differ.
    ShapeMismatch
        If the pixel sizes differ.

    Notes
    -----
    ``sum of weight x exposure``, the exposure of each map at its nearest pixel. Summed counts divided by it are a flux
    where the weights are counts per s of a camera for unit flux: cameras of different sensitivity then agree.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> total, grid = weighted_exposure([example_rate_map()], weights={"pn": 3.2})
    >>> float(total.max()), grid.shape
    (3200.0, (512, 512))
    """
    found = _checked(maps)
    factors = _weights(weights, [m.instrument for m in found])
    arrays = (factors[m.instrument] * _exposure(m).astype(np.float64) for m in found)
    total, common = mosaic([m.grid for m in found], arrays, grid, names=[m.path for m in found])
    return np.asarray(read_only(total)), common


def live_area(maps: Maps, *, grid: PixelGrid | None = None) -> tuple[NDArray[np.int32], PixelGrid]:
    """Return how many inputs look at each pixel of a common grid.

    Parameters
    ----------
    maps, grid
        As :func:`weighted_exposure`.

    Returns
    -------
    ndarray of int32, shape (ny, nx)
        Number of maps with exposure above 0: a chip gap of one camera shows as one less. Read-only.
    PixelGrid
        Its grid.

    Raises
    ------
    NoData, InvalidRecord, ShapeMismatch
        As :func:`weighted_exposure`.

    Notes
    -----
    A merged exposure map does not show this: a gap that another camera covers is only a little darker there.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> count, grid = live_area([example_rate_map()])
    >>> int(count.max()), int(count.min())
    (1, 0)
    """
    found = _checked(maps)
    arrays = ((_exposure(m) > 0).astype(np.int32) for m in found)
    total, common = mosaic([m.grid for m in found], arrays, grid, names=[m.path for m in found])
    return np.asarray(read_only(total)), common


def live_mask(maps: Maps, *, minimum: int = 1, grid: PixelGrid | None = None) -> tuple[NDArray[np.bool_], PixelGrid]:
    """Return where at least ``minimum`` inputs look.

    Parameters
    ----------
    maps, grid
        As :func:`weighted_exposure`.
    minimum
        1 for the sensor mask of the merged maps, the number of maps for what all of them see.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True = kept; read-only.
    PixelGrid
        Its grid.

    Raises
    ------
    NoData, InvalidRecord, ShapeMismatch
        As :func:`weighted_exposure`; also where ``minimum`` is not between 1 and the number of maps.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> mask, grid = live_mask([example_rate_map()])
    >>> mask.dtype, bool(mask[256, 256]), bool(mask[0, 0])
    (dtype('bool'), True, False)
    """
    found = _checked(maps)
    if isinstance(minimum, bool) or minimum != math.floor(minimum) or not 1 <= minimum <= len(found):
        raise InvalidRecord(f"minimum must be a whole number from 1 to {len(found)}, the maps given, got {minimum!r}")
    count, common = live_area(found, grid=grid)
    return np.asarray(read_only(count >= minimum)), common


def _exposure(item: RateMap | ExposureMap) -> NDArray[Any]:
    return item.exposure.data if isinstance(item, RateMap) else item.data


def _checked(maps: Maps) -> tuple[RateMap | ExposureMap, ...]:
    """Return the maps after refusing what cannot be counted: images, mosaics, bands mixed, a camera twice."""
    found = (maps,) if isinstance(maps, RateMap | ExposureMap) else tuple(maps)
    if not found:
        raise NoData("there is no map: give those of rate_maps(run)")
    for item in found:
        if not isinstance(item, RateMap | ExposureMap):
            raise InvalidRecord(f"expected rate maps or exposure maps, got {type(item).__name__}")
        if item.instrument == COMBINED:
            raise InvalidRecord(f"{item.path} is a mosaic, whose cameras cannot be told apart: give its inputs")
    one_unit(((m.exposure if isinstance(m, RateMap) else m).unit for m in found), "one mosaic")
    bands = sorted({str(item.band) for item in found})
    if len(bands) > 1:
        raise InvalidRecord(f"the maps are of several bands, {', '.join(bands)}: give those of one")
    names = [f"{item.obs_id} {item.instrument} {item.exposure_id}" for item in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidRecord(f"a map is there twice and would count twice: {', '.join(twice)}")
    return found


def _weights(weights: Mapping[str, float] | None, cameras: Sequence[str]) -> dict[str, float]:
    if weights is None:
        return dict.fromkeys(cameras, 1.0)
    found: dict[str, float] = {}
    for name, value in weights.items():
        camera = camera_of(name).name
        if camera in found:
            raise InvalidRecord(f"weights name {camera} twice")
        found[camera] = _weight(camera, value)
    missing = sorted(set(cameras) - set(found))
    if missing:
        raise InvalidRecord(f"weights lack {', '.join(missing)}: give one for each camera of the maps")
    return found


def _weight(camera: str, value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"the weight of {camera} must be a number, got {value!r}") from error
    if not (math.isfinite(weight) and weight > 0):
        raise InvalidRecord(f"the weight of {camera} must be above 0 and finite, got {value!r}")
    return weight
