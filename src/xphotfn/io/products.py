"""Images, exposure maps and rate maps: frozen references whose data load on first use and are read-only."""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import numpy as np
from attrs import cmp_using, field, frozen
from numpy.typing import NDArray

from xphotfn.commands.dss import dss_names_places
from xphotfn.commands.time_cut import time_ranges
from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.io.blocks import full_header
from xphotfn.io.cache import BoundedCache, file_key
from xphotfn.io.cards import Cards
from xphotfn.io.exposure_units import exposure_unit
from xphotfn.io.headers import check_measurable, on_times
from xphotfn.io.image_data import ImageHead, image_head, read_image, read_rows
from xphotfn.io.thumbnails import counts_of, exposed, longest_of, product_html
from xphotfn.records.band import Band
from xphotfn.records.fields import non_empty, not_negative, whole
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import CAMERAS, COMBINED, is_epic
from xphotfn.science.identity import different_on_times
from xphotfn.science.pixel_masks import Window, read_only, sensor_mask
from xphotfn.science.ratemap import not_whole, rate_map
from xphotfn.units import rate_unit

__all__ = ("ExposureMap", "Image", "Product", "RateMap", "cards_of", "remembered", "window_data")

_IS_MOSAIC = property(lambda product: product.obs_id == COMBINED, doc="Whether it is of several observations.")
_CACHE = BoundedCache(256 * 2**20)
_LARGE = 4 * 2**20  # bytes of an image that is not read whole for a part of it
_FEW = 4  # such a part holds at most one of so many rows
_ROWS = 2**18  # pixels that are checked at a time


def clear_cache() -> None:
    """Forget all arrays and headers that were read; they load again on their next use."""
    _CACHE.clear()


def remembered(key: Any, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Return the array of a key, made once and kept as long as there is room; read-only."""

    def load() -> tuple[Any, int]:
        array = read_only(make())
        return array, array.nbytes

    found: NDArray[Any] = _CACHE.get(key, load)
    return found


def cards_of(product: "Image | ExposureMap") -> Cards:
    """Return the header of a product's HDU as its keywords, parsed where they are asked for, without its data."""
    return _head(product.path, product.hdu).cards


def _head(path: str, hdu: int) -> ImageHead:
    def load() -> tuple[Any, int]:
        head = image_head(path, hdu)
        return head, len(head.unit.header)

    head: ImageHead = _CACHE.get(("head", file_key(path, hdu)), load)
    return head


def _own_header(product: "Image | ExposureMap") -> Any:
    """Return the FITS header of its HDU (a copy)."""

    def load() -> tuple[Any, int]:
        head = _head(product.path, product.hdu)
        return full_header(head.cards), len(head.unit.header)

    return _CACHE.get(("header", file_key(product.path, product.hdu)), load).copy()


def _short(product: "Image | ExposureMap | RateMap") -> str:
    return (
        f"{type(product).__name__}(obs_id={product.obs_id!r}, instrument={product.instrument!r}, "
        f"band={str(product.band)!r}, target={product.target!r}, path={product.path!r})"
    )


def _array(path: str, hdu: int) -> NDArray[Any]:
    def read() -> NDArray[Any]:
        data = read_image(path, _head(path, hdu))
        return data.reshape(data.shape[-2:]) if data.shape[:-2] == (1,) * (data.ndim - 2) else data

    return remembered(file_key(path, hdu), read)


def window_data(product: "Image | ExposureMap", window: Window) -> NDArray[Any]:
    """Return a part of the data of a product, from the memory where they are there; read-only.

    Of a large plain file only the rows of a small window are read, and nothing is kept.
    """
    array = _CACHE.peek(file_key(product.path, product.hdu))
    head = _head(product.path, product.hdu) if array is None else None
    few = head is not None and (window[0].stop - window[0].start) * _FEW <= head.shape[0]
    if head is not None and few and head.rows_apart and head.nbytes >= _LARGE:
        _check_shape(product, head.shape)
        part = read_rows(product.path, head, window[0])[:, window[1]]
    else:
        array = _array(product.path, product.hdu) if array is None else array
        _check_shape(product, array.shape)
        part = array[window]
    return np.asarray(read_only(_looked_at(product, part, window) if isinstance(product, ExposureMap) else part))


def _part(values: Any) -> NDArray[np.float32] | None:
    if values is None:
        return None
    found = np.array(values, dtype=np.float32)
    if not (found.size and float(np.min(found)) >= 0 and float(np.max(found)) <= 1):
        raise InvalidRecord("ExposureMap.looked_at must lie between 0 and 1: it is a part of each pixel")
    return np.asarray(read_only(found))


@final
@frozen(kw_only=True, repr=False)
class Image:
    """A counts image on disk.

    Parameters
    ----------
    path
        The FITS file.
    target
        Name of the target, or None.
    obs_id
        Ten digits, or ``combined``.
    exposure_id
        Such as ``S003``; empty for a mosaic.
    instrument
        ``pn``, ``mos1``, ``mos2`` or ``combined``.
    band
        Energy band.
    grid
        Pixel grid.
    digest
        Content digest where one is known (products of a store), else empty.
    hdu
        Number of the HDU that holds it.
    """

    path: str = field(validator=non_empty)
    target: str | None = None
    obs_id: str = field(validator=non_empty)
    exposure_id: str = ""
    instrument: str = field(validator=non_empty)
    band: Band
    grid: PixelGrid
    digest: str = ""
    hdu: int = field(default=0, converter=whole, validator=not_negative)

    def __attrs_post_init__(self) -> None:
        check_measurable(self.grid, self.path)

    is_mosaic = _IS_MOSAIC

    @property
    def data(self) -> NDArray[Any]:
        """Counts, shape (ny, nx), in the type of the file; read-only."""
        return _checked(self)

    header = property(_own_header)
    __repr__ = _short

    def _repr_html_(self) -> str:
        return product_html(self, "image", [("File", self.path)], lambda: self.data, lambda: [counts_of(self.data)])


@final
@frozen(kw_only=True, repr=False)
class ExposureMap:
    """An exposure map on disk; the fields are those of :class:`Image`, and one more.

    Parameters
    ----------
    looked_at
        The part of each pixel, 0 to 1, from which the image beside it takes events; None for all. An image that was
        cut by regions has no exposure outside of them, whatever the file of the map says.
        :func:`~xphotfn.epic.joined.joined` fills it in.
    """

    path: str = field(validator=non_empty)
    target: str | None = None
    obs_id: str = field(validator=non_empty)
    exposure_id: str = ""
    instrument: str = field(validator=non_empty)
    band: Band
    grid: PixelGrid
    digest: str = ""
    hdu: int = field(default=0, converter=whole, validator=not_negative)
    looked_at: NDArray[np.float32] | None = field(
        default=None, converter=_part, eq=cmp_using(eq=np.array_equal), hash=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        check_measurable(self.grid, self.path)
        if self.looked_at is not None and self.looked_at.shape != self.grid.shape:
            raise ShapeMismatch(
                f"ExposureMap.looked_at must have the shape {self.grid.shape} of the map, got {self.looked_at.shape}"
            )

    is_mosaic = _IS_MOSAIC

    @property
    def data(self) -> NDArray[Any]:
        """Exposure in ``unit``, shape (ny, nx), float, 0 where the image was not looked at; read-only.

        A map whose unit is neither is refused (UnitMismatch).
        """
        return _looked_at(self, _checked(self), (slice(None), slice(None)))

    @property
    def unit(self) -> Any:
        """Unit of the exposure, as BUNIT says it: s (also without BUNIT) or cm2 s."""
        key = ("unit", file_key(self.path, self.hdu))
        return _CACHE.get(key, lambda: (exposure_unit(cards_of(self), self.path), 1))

    header = property(_own_header)
    __repr__ = _short

    def _repr_html_(self) -> str:
        return product_html(
            self,
            "exposure map",
            [("File", self.path)],
            lambda: exposed(self.data, self.data),
            lambda: [longest_of(self.data)],
        )


def _checked(product: "Image | ExposureMap") -> NDArray[Any]:
    data = _array(product.path, product.hdu)
    _check_shape(product, data.shape)
    return data


def _check_shape(product: "Image | ExposureMap", shape: tuple[int, ...]) -> None:
    if shape != product.grid.shape:
        raise ShapeMismatch(
            f"{product.path} now has shape {shape}, it had {product.grid.shape} when it was found: "
            "run find_observations again"
        )


def _looked_at(product: ExposureMap, data: NDArray[Any], window: Window) -> NDArray[Any]:
    """Return exposure in a window of a map, whose unit must be one, 0 where the image was not looked at; read-only."""
    _ = product.unit
    return data if product.looked_at is None else np.asarray(read_only(data * product.looked_at[window]))


def _keys(pair: "RateMap") -> tuple[Any, ...]:
    return tuple(file_key(product.path, product.hdu) for product in (pair.image, pair.exposure))


def _is_cut(image: Image, exposure: ExposureMap) -> bool:
    """Whether a single EPIC image was cut by places where its map was not; mosaics are joined by rate_maps only."""
    single = not image.is_mosaic and is_epic(image.instrument)
    return single and dss_names_places(cards_of(image)) and "PLACES" not in cards_of(exposure)


class _Times(NamedTuple):
    on_times: tuple[tuple[str, float], ...]
    time_ranges: tuple[str, ...]


def _times(product: Image | ExposureMap) -> _Times:
    cards = cards_of(product)
    return _Times(on_times([cards]), time_ranges(cards))


def _times_apart(image: Image, exposure: ExposureMap) -> str:
    """Say by what an image and its exposure map hold other times; empty where they agree, or one says nothing.

    Only what EPIC's tasks make is compared: the cards of other telescopes mean other things, and a mosaic has many.
    """
    if image.instrument not in CAMERAS:
        return ""
    one, other = _times(image), _times(exposure)
    cards = different_on_times(one, other)
    if cards:
        seconds = (dict(times.on_times)[cards[0]] for times in (one, other))
        return "{} is {:.1f} s in the image and {:.1f} s in the map".format(cards[0], *seconds)
    if set(one.time_ranges) == set(other.time_ranges):
        return ""
    said = (" and ".join(times.time_ranges) or "no condition on TIME" for times in (one, other))
    return "the image keeps {}, the map {}".format(*said)


def _refuse_no_counts(item: "RateMap") -> bool:
    """Refuse a map whose counts cannot be measured with its exposure, and return True for others."""
    image, exposure = item.image, item.exposure
    if exposure.looked_at is None and _is_cut(image, exposure):
        raise InvalidRecord(
            f"{image.path} was cut by regions, of which its exposure map does not know: there would be exposure and "
            "no count; take the pair from rate_maps(...), or join it with xp.joined(image, exposure)"
        )
    apart = _times_apart(image, exposure)
    if apart:
        raise InvalidRecord(
            f"image {image.path} and exposure map {exposure.path} hold different times, and the rate would be "
            f"wrong: {apart}; make the exposure map from this image, or from the event list with the same good time"
        )
    _refuse_no_whole_counts(item)
    return True


def _refuse_no_whole_counts(item: "RateMap") -> None:
    """Refuse what is no whole count of at least 0 where the detector looked, some rows at a time; inf anywhere."""
    rows, columns = item.grid.shape
    step = max(1, _ROWS // columns)
    for top in range(0, rows, step):
        window = slice(top, min(top + step, rows)), slice(0, columns)
        counts, exposure = window_data(item.image, window), window_data(item.exposure, window)
        with np.errstate(invalid="ignore"):
            wrong = not_whole(counts)  # of all pixels: seldom so, and asked without choosing some
        if counts.dtype.kind == "f" and np.isinf(counts).any():
            raise InvalidRecord(
                f"{item.image.path} holds counts that are infinite: make it again, or put NaN where none is known"
            )
        if wrong and not_whole(counts[(exposure > 0) & np.isfinite(counts)]):
            raise InvalidRecord(
                f"{item.image.path} does not hold whole counts: an image that was resampled, smoothed or "
                "background-subtracted has no Poisson statistics; measure the single maps and use joint_photometry, or "
                "search them together with detect_sources"
            )


@final
@frozen(kw_only=True, repr=False)
class RateMap:
    """An image with its exposure map.

    Parameters
    ----------
    image, exposure
        The two products; they must be of one observation, camera, exposure and band (as :attr:`Band.nominal` calls
        it), on the same grid. The exposure is taken as it is, and an image that was cut by regions is refused when it
        is measured: ``rate_maps`` or :func:`~xphotfn.epic.joined.joined` make that pair. So are an image and a map
        of different times.

    Raises
    ------
    InvalidRecord
        If they are of different observations, cameras or bands.
    ShapeMismatch
        If their grids differ by more than 1e-9.
    """

    image: Image
    exposure: ExposureMap

    def __attrs_post_init__(self) -> None:
        for name in ("obs_id", "exposure_id", "instrument", "band"):
            one, other = getattr(self.image, name), getattr(self.exposure, name)
            same = one.nominal == other.nominal if name == "band" else one == other
            if not same:
                raise InvalidRecord(
                    f"image {self.image.path} and exposure map {self.exposure.path} do not belong together: "
                    f"{name} is {one} and {other}"
                )
        difference = self.image.grid.difference(self.exposure.grid)
        if difference:
            raise ShapeMismatch(
                f"image {self.image.path} and exposure map {self.exposure.path} lie on different grids "
                f"({difference}): make the exposure map from this image"
            )

    @property
    def counts(self) -> NDArray[Any]:
        """Counts of the image, shape (ny, nx), in the type of the file; read-only.

        Raises
        ------
        InvalidRecord
            If a pixel where the detector looked holds no whole number, or one below 0: such an image is a model, or was
            resampled, smoothed or background-subtracted, and has no Poisson statistics. NaN is not looked at, inf is.
            Also if the image was cut by regions of which the exposure map does not know, or if the two hold different
            times: on-times that differ by more than 1 s and 0.1 %, or other conditions on TIME.
        """
        self._check_counts()
        return self.image.data

    def _check_counts(self) -> None:
        whole = self.exposure.looked_at is None
        key = ("counts", *_keys(self), self.image.obs_id, self.image.instrument, whole)
        _CACHE.get(key, lambda: (_refuse_no_counts(self), 1))

    def window(self, rows: slice, columns: slice) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return counts and exposure of a part of the map, as :attr:`counts` and its exposure map have them; read-only.

        Of a large file that is not packed only those rows are read, so a position costs what is looked at.

        Raises
        ------
        InvalidRecord
            As :attr:`counts`, whose whole image is looked at once.

        Examples
        --------
        >>> from xphotfn.testing.examples import example_rate_map
        >>> counts, exposure = example_rate_map().window(slice(250, 260), slice(240, 260))
        >>> counts.shape, float(exposure.max())
        ((10, 20), 1000.0)
        """
        self._check_counts()
        part = rows, columns
        return window_data(self.image, part), window_data(self.exposure, part)

    @property
    def data(self) -> NDArray[np.float64]:
        """Count rate in ``rate_unit`` per pixel, float64, shape (ny, nx), 0 off the detector; read-only."""
        cut = self.exposure.looked_at is not None
        key = ("rate", *_keys(self), cut)

        return remembered(key, lambda: rate_map(self.counts, self.exposure.data))

    @property
    def rate_unit(self) -> Any:
        """Unit of its rates: ct/s, or photon/(cm2 s) where the exposure is in cm2 s."""
        return rate_unit(self.exposure.unit)

    @property
    def sensor_mask(self) -> NDArray[np.bool_]:
        """True where the detector looked (exposure above 0), shape (ny, nx); read-only."""
        return np.asarray(read_only(sensor_mask(self.exposure.data)))

    @property
    def path(self) -> str:
        """The file of the image."""
        return self.image.path

    @property
    def header(self) -> Any:
        """Header of the image."""
        return self.image.header

    @property
    def target(self) -> str | None:
        """Name of the target."""
        return self.image.target

    @property
    def obs_id(self) -> str:
        """ObsID, or ``combined``."""
        return self.image.obs_id

    @property
    def exposure_id(self) -> str:
        """Such as ``S003``; empty for a mosaic."""
        return self.image.exposure_id

    @property
    def instrument(self) -> str:
        """Camera, or ``combined``."""
        return self.image.instrument

    @property
    def filter(self) -> str:
        """Blocking filter, such as ``Thin1``, as the image's header has it, else the map's; empty where none does."""
        found = (str(cards_of(product).get("FILTER") or "").strip() for product in (self.image, self.exposure))
        return next((text for text in found if text), "")

    @property
    def band(self) -> Band:
        """Energy band."""
        return self.image.band

    @property
    def grid(self) -> PixelGrid:
        """Pixel grid of the image."""
        return self.image.grid

    @property
    def digest(self) -> str:
        """Digests of the image and the exposure map, joined by ``+``."""
        return f"{self.image.digest}+{self.exposure.digest}"

    def __str__(self) -> str:
        return f"RateMap {' '.join(dict.fromkeys((self.obs_id, self.instrument)))} {self.band}"

    is_mosaic = _IS_MOSAIC
    __repr__ = _short

    def _repr_html_(self) -> str:
        files = [("Image", self.image.path), ("Exposure map", self.exposure.path)]
        return product_html(
            self,
            "rate map",
            files,
            lambda: exposed(self.data, self.exposure.data),
            lambda: [counts_of(self.image.data), longest_of(self.exposure.data)],
        )


Product = Image | ExposureMap | RateMap
