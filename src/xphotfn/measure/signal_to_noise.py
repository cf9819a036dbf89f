"""Signal-to-noise of maps, and their ranking."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.errors import NoData, ProductMissing
from xphotfn.io.products import RateMap, window_data
from xphotfn.measure.aperture import Aperture, RegionLike, aperture_of
from xphotfn.measure.background_weights import weights_for, weights_image, weights_of_maps
from xphotfn.measure.masks import Regions, interloper_mask, regions_of, whole_pixel_regions
from xphotfn.records.field import Field
from xphotfn.records.fields import of_kind
from xphotfn.records.grid import PixelGrid
from xphotfn.records.measurement import Measurement
from xphotfn.science import pixel_masks
from xphotfn.science.pixel_masks import Window
from xphotfn.science.rings import RING_FACTORS
from xphotfn.science.snr_methods import DEFAULT_METHOD, Method, method_of, signal_to_noise
from xphotfn.typing import WeightsLike

__all__ = ("snr", "snr_ranking")


def snr(
    rate_map: RateMap,
    field: Field,
    region: RegionLike,
    *,
    method: str | Method = DEFAULT_METHOD,
    background: tuple[float, float] | None = None,
    background_weights: WeightsLike | None = None,
) -> Measurement:
    """Return the signal-to-noise of the target.

    Parameters
    ----------
    rate_map
        One map or the combined one.
    field
        Gives centre, radii and interlopers.
    region
        As :func:`source_mask`: ``"r500"``, ``"r200"``, ``"r2500"`` or ``"point"`` of the target, a radius as Quantity
        (kpc or an angle), or ``"region"``, that of the target in the region file.
    method
        Name of the definition, ``"mid-p"`` (default) or another that the page on the signal-to-noise lists, or a record
        such as :func:`xga_method` returns.
    background
        Edges of the background annulus in units of the source radius. Default: 1.05 and 1.5, for a point source at
        least 60 and 90 arcsec, beyond its wings; always 1.05 and 1.5 for ``"xga"``.
    background_weights
        What the background of each pixel is proportional to: an image of the map's shape, an exposure map, or a
        function of the map such as :func:`weights_by_map` makes. Default: the exposure, right for a background that is
        vignetted like the source. :func:`background_weights` makes that of a background vignetted in part; the method
        ``"xga"`` takes none.

    Returns
    -------
    Measurement
        Signed: a deficit is negative. ``float()`` gives the value. Without weights its ``note`` says, also where it is
        printed, when a background spread by area would shift it by more than 1 sigma (``background_shift``). It says
        too when less than 90 % of the region lies on the detector (``on_detector_fraction``) or more than 10 % of it is
        masked (``masked_fraction``): the number is that of what is left.

    Raises
    ------
    NoData
        If source or background have no pixel on the detector.
    ProductMissing, UnitMismatch, InvalidRecord
        As :func:`source_mask`; or if the weights are no image of the map.

    Notes
    -----
    The default is the mid-p conditional binomial test with ``alpha`` = exposure (or weights) summed over the source
    region / over the background region: on blank sky it averages 0 with width 1. ``"exact"`` is -inf where the source
    region holds no count. ``"xga"`` follows XGA in every step, also in its masks: a radius given as Quantity then has
    its centre and radii rounded to whole pixels.

    References
    ----------
    :func:`mid_p_significance`; Li & Ma (1983); XGA ``products/phot.py``, ``signal_to_noise``.

    Examples
    --------
    >>> import astropy.units as u
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> measured = snr(example_rate_map(), example_field(), 60 * u.arcsec)
    >>> measured.method, float(measured) > 3
    ('mid-p', True)
    """
    of_kind(rate_map, RateMap, "combined_rate_map(run) or select(rate_maps(run), ...)")
    of_kind(field, Field, "match_observations(target, observations)")
    definition, aperture = method_of(method), aperture_of(field, region)
    masks = _masks(rate_map, field, aperture, definition, background)
    return _measured(rate_map, masks, definition, background_weights)


class _Masks(NamedTuple):
    """What is measured on all maps of one grid and observation.

    ``source`` and ``background`` are free of other sources, in the window of the definition; ``hidden`` is what other
    sources take from the regions as they were asked for.
    """

    asked: Regions
    hidden: NDArray[np.bool_]
    window: Window
    source: NDArray[np.bool_]
    background: NDArray[np.bool_]


def _masks(
    rate_map: RateMap, field: Field, aperture: Aperture, method: Method, background: tuple[float, float] | None
) -> _Masks:
    background = RING_FACTORS if method.whole_pixels and background is None else background
    asked = regions_of(rate_map, field, aperture, background=background)
    window, source, back, _ = asked
    if method.whole_pixels and not aperture.name and aperture.radius_deg is not None:
        window, source, back = whole_pixel_regions(rate_map, field, aperture.radius_deg, background or RING_FACTORS)
    free = interloper_mask(rate_map, field)
    return _Masks(asked, asked.source & ~free[asked.window], window, source & free[window], back & free[window])


def _measured(rate_map: RateMap, masks: _Masks, method: Method, background_weights: Any) -> Measurement:
    """Return the signal-to-noise of a map under masks."""
    asked, hidden, window, source, back = masks
    counts, exposure = (np.ascontiguousarray(part) for part in rate_map.window(*window))  # gathered from six times
    weights = None
    if background_weights is not None:
        given = weights_for(background_weights, rate_map)
        live = (source | back) & pixel_masks.sensor_mask(exposure)
        weights = weights_image(given, rate_map, live, window)
    measured = signal_to_noise(counts, exposure, source, back, method, weights=weights)
    around = exposure if window is asked.window else window_data(rate_map.exposure, asked.window)
    return evolve(
        measured,
        exposure_unit=rate_map.exposure.unit.to_string(),
        region_area_pix=asked.area,
        masked_pix=int(np.count_nonzero(pixel_masks.sensor_mask(around[hidden]))),
    )


def snr_ranking(
    maps: RateMap | Iterable[RateMap],
    field: Field,
    region: RegionLike,
    *,
    method: str | Method = DEFAULT_METHOD,
    background: tuple[float, float] | None = None,
    background_weights: WeightsLike | None = None,
) -> Any:
    """Return the maps ranked by signal-to-noise, worst first.

    Parameters
    ----------
    maps
        Rate maps, as :func:`rate_maps` gives them; all of one band.
    field, region, method, background
        As :func:`snr`.
    background_weights
        As :func:`snr`, one for each map, or a function of the map.

    Returns
    -------
    astropy.table.Table
        Columns ``obs_id``, ``exposure_id``, ``instrument``, ``snr`` and what :class:`Measurement` holds beside; a map
        whose region misses the detector comes first with NaN and a ``note``. A note stands also where the background
        matters: see ``Measurement.note``. The meta names region and method.

    Raises
    ------
    ProductMissing
        If there is no map.

    Examples
    --------
    >>> import astropy.units as u
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> snr_ranking([example_rate_map()], example_field(), 60 * u.arcsec).colnames[:4]
    ['obs_id', 'exposure_id', 'instrument', 'snr']
    """
    from xphotfn.records.result_table import ResultTable

    given = (maps,) if isinstance(maps, RateMap) else tuple(maps)
    weights = weights_of_maps(background_weights, given)
    rows = sorted(_measured_maps(given, field, region, (method_of(method), background), weights), key=_rank)
    if not rows:
        raise ProductMissing("no map to rank: rate_maps(run) gave none; see describe(plan)")
    columns = zip(*(_row(*row) for row in rows), strict=True)
    table = ResultTable({name: np.array(v, dtype=_COLUMNS[name]) for name, v in zip(_COLUMNS, columns, strict=True)})
    table.meta.update(
        {"target": field.name, "region": str(region), "method": method_of(method).name, "band": str(rows[0][0].band)}
    )
    return table


_COLUMNS = {
    "obs_id": str, "exposure_id": str, "instrument": str, "snr": float, "counts": float, "net_counts": float,
    "alpha": float, "alpha_by_area": float, "background_shift": float, "area_pix": int, "note": str,
}  # fmt: skip


def _measured_maps(
    maps: Sequence[RateMap],
    field: Field,
    region: RegionLike,
    how: tuple[Method, tuple[float, float] | None],
    weights: Sequence[Any],
) -> Iterator[tuple[RateMap, Measurement | None, str]]:
    """Yield each map with its signal-to-noise and a note; masks are made once for maps of one grid and observation."""
    of_kind(field, Field, "match_observations(target, observations)")
    known: dict[tuple[PixelGrid, str], _Masks] = {}
    for item, of_map in zip(maps, weights, strict=True):
        of_kind(item, RateMap, "combined_rate_map(run) or select(rate_maps(run), ...)")
        key = item.grid, item.obs_id
        if key not in known:
            known[key] = _masks(item, field, aperture_of(field, region), *how)
        try:
            measured = _measured(item, known[key], how[0], of_map)
            yield item, measured, measured.note
        except NoData as error:
            yield item, None, str(error)


def _rank(row: tuple[RateMap, Measurement | None, str]) -> tuple[bool, float, str, str]:
    item, measured, _ = row
    return measured is not None, 0.0 if measured is None else measured.value, item.obs_id, item.instrument


def _row(item: RateMap, measured: Measurement | None, note: str) -> tuple[Any, ...]:
    who = (item.obs_id, item.exposure_id, item.instrument)
    if measured is None:
        return (*who, *[np.nan] * 6, 0, note)
    names = ("value", "counts", "net_counts", "alpha", "alpha_by_area", "background_shift", "area_pix")
    return (*who, *(getattr(measured, name) for name in names), note)
