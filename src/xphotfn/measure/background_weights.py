"""What the background of each pixel is proportional to, as users give it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, ProductMissing, ShapeMismatch, XphotfnError
from xphotfn.io.exposure_units import one_unit
from xphotfn.io.products import ExposureMap, RateMap
from xphotfn.science.background_ratio import background_weights
from xphotfn.science.mosaic import mosaic

__all__ = ("function_of_maps", "weights_by_map", "weights_for", "weights_image", "weights_of_maps")


Weights = Callable[[RateMap], NDArray[np.float64]]
WHOLE = (slice(None), slice(None))


def weights_by_map(unvignetted: Iterable[ExposureMap | RateMap], *, fraction: float = 0.0) -> Weights:
    """Return the background weights of any map of a run, as a function of the map.

    Parameters
    ----------
    unvignetted
        Exposure maps without vignetting of the same observations, cameras and bands, as
        ``rate_maps(run(plan_exposure_maps(..., vignetting=False), ...))`` gives them.
    fraction
        Vignetted part phi of the background on axis, within 0 and 1.

    Returns
    -------
    function of a RateMap
        Its weights ``phi E + (1 - phi) U``, shape (ny, nx), for any ``background_weights=``. U of a combined map is the
        sum of the given maps of its band on its grid: give those that it was made of.

    Raises
    ------
    InvalidRecord
        If the fraction does not lie within 0 and 1, or two maps are of one observation, exposure, camera and band; from
        the function also where a map given is that of the exposure itself, vignetting and all.
    ProductMissing
        From the function: if there is no map for the one that is measured.

    Examples
    --------
    >>> from attrs import evolve
    >>> from xphotfn.measure.signal_to_noise import snr
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> weights = weights_by_map([example_rate_map()], fraction=0.7)
    >>> "obs_id" in repr(example_rate_map()), callable(weights)
    (True, True)
    """
    if not 0 <= fraction <= 1:
        raise InvalidRecord(f"the vignetted fraction must lie within 0 and 1, got {fraction!r}")
    known: dict[tuple[Any, ...], ExposureMap] = {}
    for item in unvignetted:
        exposure = item.exposure if isinstance(item, RateMap) else item
        if _key(exposure) in known:
            raise InvalidRecord(f"two maps without vignetting of {' '.join(map(str, _key(exposure)))}: give one")
        known[_key(exposure)] = exposure

    def weights(item: RateMap) -> NDArray[np.float64]:
        flat = _unvignetted(item, known)
        one_unit((m.unit for m in (item.exposure, *known.values())), "background_weights")
        return background_weights(item.exposure.data, flat, fraction)

    return weights


def _key(item: ExposureMap | RateMap) -> tuple[Any, ...]:
    return item.obs_id, item.exposure_id, item.instrument, item.band


def _unvignetted(item: RateMap, known: Mapping[tuple[Any, ...], ExposureMap]) -> NDArray[Any]:
    """Return the live time of a map of one exposure, or the sum of those of a combined map."""
    if item.is_mosaic:
        parts = [m for m in known.values() if m.band == item.band and item.instrument in ("combined", m.instrument)]
        if parts:
            images = (np.nan_to_num(m.data) for m in parts)
            return mosaic([m.grid for m in parts], images, item.grid, names=[m.path for m in parts])[0]
    found = known.get(_key(item))
    if found is None:
        there = "; ".join(" ".join(map(str, key)) for key in known) or "none"
        raise ProductMissing(f"no map without vignetting for {item}: there is {there}; make it with vignetting=False")
    if found.data.shape == item.grid.shape and np.array_equal(found.data, item.exposure.data):
        raise InvalidRecord(
            f"{found.path} is the exposure map of {item} itself: give the map made with vignetting=False"
        )
    return found.data


def function_of_maps(given: Any) -> Any:
    """Return weights that must hold for any map: None, or a function of the map; refuse anything else."""
    if given is not None and not callable(given):
        raise InvalidRecord(
            "background_weights of several maps must be a function of the map, as weights_by_map() makes, got "
            f"{type(given).__name__}"
        )
    return given


def weights_for(given: Any, item: RateMap) -> Any:
    """Return the weights of one map: what was given, or what a function of the map returns."""
    return given(item) if callable(given) else given


def weights_of_maps(given: Any, maps: Sequence[RateMap]) -> list[Any]:
    """Return the background weights of each map: of a function, a list, or one image where there is one map.

    Raises
    ------
    InvalidRecord
        If there are more or fewer than maps.
    """
    if given is None or callable(given):
        return [weights_for(given, item) for item in maps]
    single = isinstance(given, ExposureMap) or (isinstance(given, np.ndarray) and given.ndim == 2)
    several = [given] if single else list(given) if isinstance(given, Iterable) else [given]
    if len(several) != len(maps):
        raise InvalidRecord(
            f"background_weights must be one image for each of the {len(maps)} maps, got {len(several)}"
        )
    return several


def weights_image(
    given: Any, item: RateMap, live: NDArray[np.bool_], window: tuple[slice, slice] = WHOLE
) -> NDArray[np.float64]:
    """Return background weights as an image.

    Parameters
    ----------
    given
        An array of shape (ny, nx) or an exposure map.
    item
        The map whose background it is.
    live
        Pixels of the window that are used, shape (ny, nx); the weights are 0 elsewhere.
    window
        Part of the map that is wanted.

    Raises
    ------
    InvalidRecord, ShapeMismatch
        If it is no image, has another shape, or is negative or not finite on a live pixel.
    """
    try:
        array = np.asarray(given.data if isinstance(given, ExposureMap) else given)
        array = array if array.dtype.kind in "biuf" else array.astype(np.float64)
        if array.shape != item.grid.shape:
            raise ShapeMismatch(f"background_weights have shape {array.shape}, {item} has {item.grid.shape}")
        used = np.where(live, array[window].astype(np.float64), 0.0)
    except (TypeError, ValueError) as error:
        if isinstance(error, XphotfnError):
            raise
        raise InvalidRecord(
            f"background_weights must be one image or exposure map for each map, got {type(given).__name__}"
        ) from error
    if not np.all(np.isfinite(used) & (used >= 0)):
        raise InvalidRecord(f"background_weights must be finite and not negative where {item} has exposure")
    return np.asarray(used)
