"""Out-of-time events of pn as a background: a source on the streak of a bright one is not taken for one."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xphotfn.epic.out_of_time import out_of_time_of
from xphotfn.errors import ProductMissing
from xphotfn.io.cache import BoundedCache, file_key
from xphotfn.io.products import Image, RateMap
from xphotfn.science.mosaic import mosaic
from xphotfn.science.pixel_masks import read_only

__all__ = ("out_of_time_image", "out_of_time_weights")

Floats = NDArray[np.float64]
_CACHE = BoundedCache(64 * 2**20)
_ENOUGH = 25.0  # counts that a block should hold
_BLOCKS = (8, 16, 32, 64)


def out_of_time_image(product: Image | RateMap) -> Floats:
    """Return the out-of-time events that are expected in an image of pn, from the image itself.

    Parameters
    ----------
    product
        An image of one exposure, or a rate map.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        In counts; 0 for MOS (0.35 % of its counts).

    Raises
    ------
    ProductMissing
        For a combined map, whose columns are those of several exposures.
    NoData
        For a mode of pn whose readout is not known.
    InvalidFile
        If the header lacks RA_PNT, DEC_PNT or PA_PNT.

    Notes
    -----
    Photons that arrive while a CCD is read out keep their column and lose their row: what a column counts in all, times
    the part of the time that goes into the readout (6.3 % in full frame, 2.3 % in extended full frame, 0.16 % in large
    and 1.1 % in small window), lies evenly over the rows that are read. Needs no second event list, and has no noise
    but that of whole columns.

    References
    ----------
    Strueder et al. (2001), A&A 365, L18; XMM-Newton Users' Handbook, out-of-time events.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> expected = out_of_time_image(example_rate_map())
    >>> bool(0.01 < expected.sum() / example_rate_map().counts.sum() < 0.063)
    True
    """
    image = product.image if isinstance(product, RateMap) else product
    if image.instrument == "combined" or image.is_mosaic:
        raise ProductMissing(f"{image} is of several exposures, and so of other columns: give those that it is made of")

    def load() -> tuple[Floats, int]:
        found = out_of_time_of(image.data, image.header, image.path)
        read_only(found)
        return found, found.nbytes

    result: Floats = _CACHE.get(file_key(image.path, 0), load)
    return result


def out_of_time_weights(
    rate_maps: Iterable[RateMap] = (), *, rest: Callable[[RateMap], Any] | None = None
) -> Callable[[RateMap], Floats]:
    """Return background weights that hold out-of-time events, as a function of the map.

    Parameters
    ----------
    rate_maps
        The maps of single exposures of which combined ones are made; needed for those only.
    rest
        Weights of the rest of the background, a function of the map as :func:`weights_by_map` makes; default the
        exposure.

    Returns
    -------
    function of a RateMap
        Its weights ``b E + K``, shape (ny, nx), for any ``background_weights=``: E the exposure or what ``rest`` says,
        K the expected out-of-time events (:func:`out_of_time_image`), b the rate of the rest of the background. Of MOS
        it is ``b E``.

    Raises
    ------
    ProductMissing
        From the function: if a combined map has none of its parts among ``rate_maps``.
    NoData, InvalidFile
        From the function: as :func:`out_of_time_image`.

    Notes
    -----
    b is the median rate of the blocks of the map that hold exposure, less what is out of time; blocks are as small as
    hold 25 counts. So extended light over most of the field makes b too high, and the streak counts for less. Counts
    are never changed: circle and ring are compared with the ratio ``sum W`` over ``sum W``, and all statistics hold.

    Examples
    --------
    >>> import astropy.units as u
    >>> from xphotfn.measure.photometry.apertures import photometry
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> target = example_field().target
    >>> table = photometry(example_rate_map(), target, 30 * u.arcsec, background_weights=out_of_time_weights())
    >>> float(table["significance"][0]) > 30
    True
    """
    parts = tuple(rate_maps)

    def weights(item: RateMap) -> Floats:
        expected = _expected(item, parts)
        given = item.exposure.data if rest is None else rest(item)
        live = np.nan_to_num(item.exposure.data) > 0
        shape = np.where(live, np.nan_to_num(np.asarray(given, dtype=np.float64)), 0.0)
        return np.where(live, _other_rate(item.counts, shape, expected) * shape + expected, 0.0)

    return weights


def _expected(item: RateMap, parts: tuple[RateMap, ...]) -> Floats:
    if not item.is_mosaic and item.instrument != "combined":
        return out_of_time_image(item)
    single = [p for p in parts if not p.is_mosaic and p.target == item.target and p.band == item.band]
    mine = [p for p in single if item.instrument in ("combined", p.instrument)]
    if not mine:
        raise ProductMissing(f"no map of a single exposure for {item}: give those that it is made of, rate_maps(run)")
    images = (out_of_time_image(part) for part in mine)
    return np.asarray(mosaic([p.grid for p in mine], images, item.grid, names=[p.image.path for p in mine])[0])


def _other_rate(counts: NDArray[Any], exposure: Floats, expected: Floats) -> float:
    """Return the background that is in time, in counts per second and pixel."""
    used = np.where(exposure > 0, np.nan_to_num(counts), 0.0)
    total = float(exposure.sum())
    if not (used.sum() > 0 and total > 0):
        return 1.0  # nothing was counted: nothing is out of time
    for size in _BLOCKS:
        n, seconds, late = (_blocks(image, size) for image in (used, exposure, expected * (exposure > 0)))
        full = seconds > 0.5 * seconds.max()
        if np.median(n[full]) >= _ENOUGH:
            break
    rate = float(np.median((n[full] - late[full]) / seconds[full]))
    floor = 1e-3 * float(used.sum()) / total  # the weights of a map are never 0
    return max(rate, floor)


def _blocks(image: Floats, size: int) -> Floats:
    ny, nx = (-(-length // size) * size for length in image.shape)
    whole = np.zeros((ny, nx))
    whole[: image.shape[0], : image.shape[1]] = image
    return np.asarray(whole.reshape(ny // size, size, nx // size, size).sum(axis=(1, 3)))
