"""Images, exposure maps and rate maps: frozen references whose data load on first use and are read-only."""

from typing import Any, NamedTuple, final

import numpy as np
from attrs import cmp_using, field, frozen
from numpy.typing import NDArray

from xphotfn.commands.dss import dss_names_places
from xphotfn.commands.time_cut import time_ranges
from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.io.cache import BoundedCache, file_key
from xphotfn.io.exposure_units import exposure_unit
from xphotfn.io.headers import check_measurable, on_times
from xphotfn.records._fields import non_empty, not_negative, whole
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import INSTRUMENTS, is_epic
from xphotfn.science.identity import different_on_times
from xphotfn.science.masks import read_only, sensor_mask
from xphotfn.science.ratemap import not_whole, rate_map
from xphotfn.units import rate_unit

__all__ = ("ExposureMap", "Image", "Product", "RateMap", "clear_cache")

_CACHE = BoundedCache(256 * 2**20)
_CAMERAS = tuple(camera.name for camera in INSTRUMENTS)


def clear_cache() -> None:
    """Forget all arrays and headers that were read; they load again on their next use."""
    _CACHE.clear()


def _array_and_header(path: str, hdu: int) -> tuple[NDArray[Any], Any]:
    from xphotfn.io.fits import read_array

    def load() -> tuple[Any, int]:
        data, header = read_array(path, hdu)
        plane = data.reshape(data.shape[-2:]) if data.shape[:-2] == (1,) * (data.ndim - 2) else data
        return (read_only(plane), header), data.nbytes

    pair: tuple[NDArray[Any], Any] = _CACHE.get(file_key(path, hdu), load)
    return pair


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

    @property
    def data(self) -> NDArray[Any]:
        """Counts, shape (ny, nx), in the type of the file; read-only."""
        return _checked(self)

    @property
    def header(self) -> Any:
        """The FITS header of its HDU (a copy)."""
        return _array_and_header(self.path, self.hdu)[1].copy()

    def __repr__(self) -> str:
        return _short(self)

    def _repr_html_(self) -> str:
        from xphotfn.io.thumbnails import product_html

        return product_html(self)


@final
@frozen(kw_only=True, repr=False)
class ExposureMap:
    """An exposure map on disk; the fields are those of :class:`Image`, and one more.

    Parameters
    ----------
    looked_at
        The part of each pixel, 0 to 1, from which the image beside it takes events; None for all. An image that was
        cut by regions has no exposure outside of them, whatever the file of the map says.
        :func:`~xphotfn.measure.joined.joined` fills it in.
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

    @property
    def data(self) -> NDArray[Any]:
        """Exposure in ``unit``, shape (ny, nx), float, 0 where the image was not looked at; read-only.

        A map whose unit is neither is refused (UnitMismatch).
        """
        data = _checked(self)
        _ = self.unit
        return data if self.looked_at is None else np.asarray(read_only(data * self.looked_at))

    @property
    def unit(self) -> Any:
        """Unit of the exposure, as BUNIT says it: s (also without BUNIT) or cm2 s."""
        return exposure_unit(_array_and_header(self.path, self.hdu)[1], self.path)

    @property
    def header(self) -> Any:
        """The FITS header of its HDU (a copy)."""
        return _array_and_header(self.path, self.hdu)[1].copy()

    def __repr__(self) -> str:
        return _short(self)

    def _repr_html_(self) -> str:
        from xphotfn.io.thumbnails import product_html

        return product_html(self)


def _short(product: "Image | ExposureMap | RateMap") -> str:
    return (
        f"{type(product).__name__}(obs_id={product.obs_id!r}, instrument={product.instrument!r}, "
        f"band={str(product.band)!r}, target={product.target!r}, path={product.path!r})"
    )


def _checked(product: "Image | ExposureMap") -> NDArray[Any]:
    data = _array_and_header(product.path, product.hdu)[0]
    if data.shape != product.grid.shape:
        raise ShapeMismatch(
            f"{product.path} now has shape {data.shape}, it had {product.grid.shape} when it was found: "
            "run find_observations again"
        )
    return data


def _keys(pair: "RateMap") -> tuple[Any, ...]:
    return tuple(file_key(product.path, product.hdu) for product in (pair.image, pair.exposure))


def _is_cut(image: Image, exposure: ExposureMap) -> bool:
    """Whether a single EPIC image was cut by places where its map was not; mosaics are joined by rate_maps only."""
    single = image.obs_id != "combined" and is_epic(image.instrument)
    return single and dss_names_places(image.header) and "PLACES" not in exposure.header


class _Times(NamedTuple):
    on_times: tuple[tuple[str, float], ...]
    time_ranges: tuple[str, ...]


def _times(product: Image | ExposureMap) -> _Times:
    header = _array_and_header(product.path, product.hdu)[1]
    return _Times(on_times([header]), time_ranges(header))


def _times_apart(image: Image, exposure: ExposureMap) -> str:
    """Say by what an image and its exposure map hold other times; empty where they agree, or one says nothing.

    Only what EPIC's tasks make is compared: the cards of other telescopes mean other things, and a mosaic has many.
    """
    if image.instrument not in _CAMERAS:
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


@final
@frozen(kw_only=True, repr=False)
class RateMap:
    """An image with its exposure map.

    Parameters
    ----------
    image, exposure
        The two products; they must be of one observation, camera, exposure and band (as :attr:`Band.nominal` calls
        it), on the same grid. The exposure is taken as it is, and an image that was cut by regions is refused when it
        is measured: ``rate_maps`` or :func:`~xphotfn.measure.joined.joined` make that pair. So are an image and a map
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
            resampled, smoothed or background-subtracted, and has no Poisson statistics. NaN is not looked at.
            Also if the image was cut by regions of which the exposure map does not know, or if the two hold different
            times: on-times that differ by more than 1 s and 0.1 %, or other conditions on TIME.
        """
        counts, key = self.image.data, ("whole", *_keys(self))
        if self.exposure.looked_at is None and _is_cut(self.image, self.exposure):
            raise InvalidRecord(
                f"{self.path} was cut by regions, of which its exposure map does not know: there would be exposure and "
                "no count; take the pair from rate_maps(...), or join it with xp.joined(image, exposure)"
            )

        apart = _CACHE.get(("times", *key[1:]), lambda: (_times_apart(self.image, self.exposure), 1))
        if apart:
            raise InvalidRecord(
                f"image {self.path} and exposure map {self.exposure.path} hold different times, and the rate would be "
                f"wrong: {apart}; make the exposure map from this image, or from the event list with the same good time"
            )

        def check() -> tuple[Any, int]:
            with np.errstate(invalid="ignore"):
                live = (self.exposure.data > 0) & np.isfinite(counts)
            return not_whole(counts[live]), 1

        if _CACHE.get(key, check):
            raise InvalidRecord(
                f"{self.path} does not hold whole counts: an image that was resampled, smoothed or "
                "background-subtracted has no Poisson statistics; measure the single maps and use joint_photometry"
            )
        return counts

    @property
    def data(self) -> NDArray[np.float64]:
        """Count rate in ``rate_unit`` per pixel, float64, shape (ny, nx), 0 off the detector; read-only."""
        cut = self.exposure.looked_at is not None
        key = ("rate", *_keys(self), cut)

        def load() -> tuple[Any, int]:
            rate = rate_map(self.counts, self.exposure.data)
            return read_only(rate), rate.nbytes

        result: NDArray[np.float64] = _CACHE.get(key, load)
        return result

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

    def __repr__(self) -> str:
        return _short(self)

    def _repr_html_(self) -> str:
        from xphotfn.io.thumbnails import product_html

        return product_html(self)


Product = Image | ExposureMap | RateMap
