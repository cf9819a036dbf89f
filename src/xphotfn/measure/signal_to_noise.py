"""Signal-to-noise of maps, and their ranking."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from xphotfn.errors import ProductMissing
from xphotfn.io.products import RateMap, window_data
from xphotfn.measure.aperture import RegionLike, aperture_of
from xphotfn.measure.background_weights import weights_for, weights_image, weights_of_maps
from xphotfn.measure.masks import interloper_mask, regions_of, whole_pixel_regions
from xphotfn.records.field import Field
from xphotfn.records.fields import of_kind
from xphotfn.records.measurement import Measurement
from xphotfn.science import pixel_masks
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
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> measured = snr(example_rate_map(), example_field(), 60 * u.arcsec)
    >>> measured.method, float(measured) > 3
    ('mid-p', True)
    """
    of_kind(rate_map, RateMap, "combined_rate_map(run) or select(rate_maps(run), ...)")
    of_kind(field, Field, "match_observations(target, observations)")
    definition, aperture = method_of(method), aperture_of(field, region)
    background = RING_FACTORS if definition.whole_pixels and background is None else background
    found = regions_of(rate_map, field, aperture, background=background)
    window, source, back, _ = found
    if definition.whole_pixels and not aperture.name and aperture.radius_deg is not None:
        window, source, back = whole_pixel_regions(rate_map, field, aperture.radius_deg, background or RING_FACTORS)
    free = interloper_mask(rate_map, field)
    source, back = source & free[window], back & free[window]
    counts, exposure = rate_map.window(*window)
    seconds = exposure if window is found.window else window_data(rate_map.exposure, found.window)
    weights = None
    if background_weights is not None:
        given = weights_for(background_weights, rate_map)
        live = (source | back) & pixel_masks.sensor_mask(exposure)
        weights = weights_image(given, rate_map, live, window)
    measured = signal_to_noise(counts, exposure, source, back, definition, weights=weights)
    return evolve(
        measured,
        exposure_unit=rate_map.exposure.unit.to_string(),
        region_area_pix=found.area,
        masked_pix=_masked_pixels(found.source, free[found.window], seconds),
    )


def _masked_pixels(source: NDArray[np.bool_], free: NDArray[np.bool_], exposure: NDArray[Any]) -> int:
    """Return how many pixels of a source region with exposure lie under other sources."""
    hidden = source & ~free
    return int(np.count_nonzero(hidden & pixel_masks.sensor_mask(exposure))) if hidden.any() else 0


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
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> snr_ranking([example_rate_map()], example_field(), 60 * u.arcsec).colnames[:4]
    ['obs_id', 'exposure_id', 'instrument', 'snr']
    """
    from xphotfn.errors import NoData
    from xphotfn.records.result_table import ResultTable

    rows: list[tuple[RateMap, Measurement | None, str]] = []
    given = (maps,) if isinstance(maps, RateMap) else tuple(maps)
    how: dict[str, Any] = {"method": method, "background": background}
    for item, weights in zip(given, weights_of_maps(background_weights, given), strict=True):
        try:
            measured = snr(item, field, region, background_weights=weights, **how)
            rows.append((item, measured, measured.note))
        except NoData as error:
            rows.append((item, None, str(error)))
    if not rows:
        raise ProductMissing("no map to rank: rate_maps(run) gave none; see describe(plan)")
    rows.sort(key=_rank)
    table = ResultTable(
        rows=[_row(item, measured, note) for item, measured, note in rows],
        names=(
            "obs_id",
            "exposure_id",
            "instrument",
            "snr",
            "counts",
            "net_counts",
            "alpha",
            "alpha_by_area",
            "background_shift",
            "area_pix",
            "note",
        ),
        dtype=(str, str, str, float, float, float, float, float, float, int, str),
    )
    table.meta.update(
        {"target": field.name, "region": str(region), "method": method_of(method).name, "band": str(rows[0][0].band)}
    )
    return table


def _rank(row: tuple[RateMap, Measurement | None, str]) -> tuple[bool, float, str, str]:
    item, measured, _ = row
    return measured is not None, 0.0 if measured is None else measured.value, item.obs_id, item.instrument


def _row(item: RateMap, measured: Measurement | None, note: str) -> tuple[Any, ...]:
    who = (item.obs_id, item.exposure_id, item.instrument)
    if measured is None:
        return (*who, *[np.nan] * 6, 0, note)
    names = ("value", "counts", "net_counts", "alpha", "alpha_by_area", "background_shift", "area_pix")
    return (*who, *(getattr(measured, name) for name in names), note)
