"""Radial profiles of a field: surface brightness, curve of growth, concentration."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch, UnitMismatch
from xphotfn.io.products import RateMap
from xphotfn.measure.masks import interloper_mask
from xphotfn.measure.weights import weights_image, weights_of_maps
from xphotfn.records.field import Field
from xphotfn.science.beta_model import BetaModelFit, Estimate, fit_beta_rings
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.distances import radius_deg
from xphotfn.science.profile import (
    Brightness,
    Concentration,
    RingSums,
    flux_concentration,
    ring_brightness,
    ring_edges,
    ring_sums,
)
from xphotfn.units import position_deg, quantity

__all__ = ("concentration", "curve_of_growth", "fit_beta_model", "surface_brightness_profile")

Floats = NDArray[np.float64]


class _Rings(NamedTuple):
    """Sums of all maps; shape (maps, rings), the last two (maps,): the counts of the background annulus or zeros."""

    counts: Floats
    seconds_arcmin2: Floats
    live_arcmin2: Floats
    background: Floats
    alpha: Floats
    annulus_counts: Floats


class _Options(NamedTuple):
    background: Any
    background_weights: Any
    remove_interlopers: bool
    centre: Any


def surface_brightness_profile(
    rate_map_or_maps: RateMap | Iterable[RateMap],
    field: Field,
    edges: Any,
    *,
    background: Any = None,
    background_weights: Any = None,
    remove_interlopers: bool = True,
    centre: Any = None,
) -> Any:
    """Return the surface brightness in rings.

    Parameters
    ----------
    rate_map_or_maps
        One map, or several of one band: their counts and exposures are summed, each on its own grid.
    field
        Gives centre, interlopers, and the redshift for radii in kpc.
    edges
        Edges of n rings, a Quantity of shape (n + 1,) in arcsec, deg or kpc, rising.
    background
        None; or the two radii ``(inner, outer)`` of an annulus, a Quantity, whose counts are scaled to each ring by
        exposure (or weights), apart for each map; or the expected background counts as an array of the map's shape (one
        per map), taken as known: see :mod:`xphotfn.science.background`.
    background_weights
        What the background of each pixel is proportional to, one image for each map or a function of the map as
        :func:`weights_by_map` makes: scales the counts of the annulus in place of the exposure.
    remove_interlopers
        Leave out the pixels of other sources.
    centre
        Another position than the field's centre.

    Returns
    -------
    astropy.table.QTable
        One row per ring: ``radius_in`` and ``radius_out`` in the unit of the edges, and between them ``radius``, the
        mean over the ring's area; ``counts``, ``background`` and
        ``background_error`` (counts); ``area`` of the ring, ``live_area`` of the pixels used (each map counts, so with
        three maps both are three times as large); ``exposure_mean`` of those pixels, s; ``brightness``,
        ``brightness_error``, ``brightness_lower`` and ``brightness_upper`` in ct/s/arcmin2, NaN for a ring without a
        pixel. The meta says what was done.

    Raises
    ------
    UnitMismatch, InvalidRecord
        If edges or annulus are no rising radii.
    ShapeMismatch
        If a background array does not fit its map.
    NoData
        If a map that covers a ring has nothing in the background annulus, or holds values that are not finite.

    Notes
    -----
    ``brightness = (sum N - sum m) / sum E Omega``, sums over the pixels of the ring and the maps: never a mean of
    ratios. ``brightness * exposure_mean * live_area`` are the net counts. Errors are those of
    :func:`~xphotfn.science.profile.ring_brightness`: Poisson errors of N, and ``sum alpha**2 B`` of the annulus, which
    all rings share. ``brightness_error`` is not for least squares at low counts: a ring that has a few too few counts
    also gets a small error and pulls a fit down (beta 0.72 for 0.67 from 500 counts in 30 rings);
    :func:`fit_beta_model` fits the counts. Maps of several cameras add up to a brightness per summed second; it is that
    of no camera.

    References
    ----------
    Formula and errors: :func:`~xphotfn.science.profile.ring_brightness`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> profile = surface_brightness_profile(example_rate_map(), example_field(), [0, 30, 60, 120] * u.arcsec)
    >>> profile["counts"].value.tolist(), profile["brightness"].unit == u.ct / u.s / u.arcmin**2
    ([1691.0, 881.0, 386.0], True)
    """
    radii, maps = _edges(edges), _maps(rate_map_or_maps)
    rings = _all_rings(maps, field, radii, _Options(background, background_weights, remove_interlopers, centre))
    counts, exposure, live = (v.sum(axis=0) for v in (rings.counts, rings.seconds_arcmin2, rings.live_arcmin2))
    expected, variance = rings.background.sum(axis=0), _variance(rings.alpha, rings.annulus_counts)
    found = ring_brightness(counts, exposure, expected, variance)
    with np.errstate(invalid="ignore"):
        mean = np.where(live > 0, exposure / np.where(live > 0, live, 1.0), np.nan)
    table = _table(
        radius_in=radii[:-1],
        radius_out=radii[1:],
        radius=_mean_radii(radii),
        counts=counts * u.ct,
        background=expected * u.ct,
        background_error=np.sqrt(variance) * u.ct,
        area=_areas(radii, field) * len(rings.counts) * u.arcmin**2,
        live_area=live * u.arcmin**2,
        exposure_mean=mean * u.s,
        **_columns("brightness", found, u.ct / u.s / u.arcmin**2),
    )
    table.meta.update(_meta(maps, field, background, remove_interlopers, centre))
    table.meta["background_weights"] = "none" if background_weights is None else "given"
    return table


def curve_of_growth(
    rate_map_or_maps: RateMap | Iterable[RateMap],
    field: Field,
    radii: Any,
    *,
    background: Any = None,
    background_weights: Any = None,
    remove_interlopers: bool = True,
    centre: Any = None,
) -> Any:
    """Return what lies within each of a set of radii.

    Parameters
    ----------
    rate_map_or_maps, field, background, background_weights, remove_interlopers, centre
        As :func:`surface_brightness_profile`.
    radii
        Quantity of shape (n,) in arcsec, deg or kpc, rising, above 0.

    Returns
    -------
    astropy.table.QTable
        One row per radius: ``radius``; ``counts``, ``background``; ``net_counts`` with ``_error``, ``_lower`` and
        ``_upper``, of the pixels that were seen; ``rate`` and ``rate_error`` in ct/s, with the parts of each ring that
        were not seen filled by its mean brightness (NaN from the first ring without a pixel); ``live_fraction``.

    Raises
    ------
    UnitMismatch, InvalidRecord, ShapeMismatch, NoData
        As :func:`surface_brightness_profile`.

    Notes
    -----
    ``rate(< r) = sum S_i A_i`` over the rings between the radii given. Rows are not independent: each holds all before
    it. The error of the background annulus is shared by all rings and so added linearly,
    ``(sum_i alpha_i w_i)**2 B``; the Poisson errors are added in quadrature.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> grown = curve_of_growth(
    ...     example_rate_map(), example_field(), [30, 60, 120] * u.arcsec, background=[240, 360] * u.arcsec
    ... )
    >>> grown["rate"].round(2)
    <Quantity [1.7 , 2.53, 2.83] ct / s>
    """
    outer, maps = _edges(radii), _maps(rate_map_or_maps)
    if not outer[0] > 0:
        raise InvalidRecord(f"radii of a curve of growth must be above 0, got {outer[0]}")
    edges = np.concatenate([[0.0], outer.value]) * outer.unit
    rings = _all_rings(maps, field, edges, _Options(background, background_weights, remove_interlopers, centre))
    counts, expected = (np.cumsum(v.sum(axis=0)) for v in (rings.counts, rings.background))
    net = ring_brightness(counts, 1.0, expected, _variance(np.cumsum(rings.alpha, axis=1), rings.annulus_counts))
    areas = _areas(edges, field)
    rate, error = _grown_rate(rings, areas)
    live = np.cumsum(rings.live_arcmin2.sum(axis=0)) / (np.cumsum(areas) * len(rings.counts))
    table = _table(
        radius=outer, counts=counts * u.ct, background=expected * u.ct, **_columns("net_counts", net, u.ct),
        rate=rate * u.ct / u.s, rate_error=error * u.ct / u.s, live_fraction=live,
    )  # fmt: skip
    table.meta.update(_meta(maps, field, background, remove_interlopers, centre))
    table.meta["background_weights"] = "none" if background_weights is None else "given"
    return table


def concentration(profile: Any, *, inner: Any = 40 * u.kpc, outer: Any = 400 * u.kpc) -> Concentration:
    """Return the concentration of a profile: the part of its flux within ``outer`` that lies within ``inner``.

    Parameters
    ----------
    profile
        Table of :func:`surface_brightness_profile`, from radius 0, its background subtracted.
    inner, outer
        Radii in units of the profile's. Let two of its edges fall on them.

    Returns
    -------
    Concentration
        Value and Gaussian error.

    Raises
    ------
    UnitMismatch
        If the radii are lengths and the profile has angles, or the other way round.
    InvalidRecord, NoData
        As :func:`~xphotfn.science.profile.flux_concentration`.

    References
    ----------
    Santos et al. (2008), A&A 483, 35.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> edges, annulus = [0, 20, 40, 200, 400] * u.kpc, [800, 1200] * u.kpc
    >>> profile = surface_brightness_profile(example_rate_map(), example_field(), edges, background=annulus)
    >>> found = concentration(profile)
    >>> round(found.value, 2), found.error < 0.02
    (0.22, True)
    """
    edges = _joined_edges(profile)
    try:
        near, far = (float(quantity(r, "a radius", "40*u.kpc").to_value(edges.unit)) for r in (inner, outer))
    except u.UnitConversionError as error:
        raise UnitMismatch(
            f"the profile has radii in {edges.unit}: give inner and outer in that kind of unit"
        ) from error
    brightness = profile["brightness"].value, profile["brightness_error"].value
    return flux_concentration(edges.value, *brightness, inner=near, outer=far)


def fit_beta_model(profile: Any, *, constant: bool = False) -> BetaModelFit:
    """Fit the beta model to the counts of a profile by Poisson likelihood.

    Parameters
    ----------
    profile
        Table of :func:`surface_brightness_profile`; the finer its rings the better, empty ones are no harm.
    constant
        Fit a constant surface brightness too, for a profile whose background was not (wholly) given.

    Returns
    -------
    BetaModelFit
        ``brightness`` (ct/s/arcmin2 at the centre), ``core_radius`` (in the unit of the radii) and ``beta``, each with
        ``value``, ``error``, ``low`` and ``high``; ``constant``, ``background_factor``, ``cash``, ``converged``.

    Raises
    ------
    InvalidRecord
        If the rings do not follow each other.
    NoData
        If there are too few rings with exposure, or no counts above the background.

    Notes
    -----
    As :func:`~xphotfn.science.beta_model.fit_beta_rings`: each ring's counts are a Poisson number of the model's mean
    over the ring plus the background, whose scale is free within the error of its annulus. With several maps, whose
    annuli differ, that scale is one for all. The model is not convolved with the point spread function: a core of less
    than some 15 arcsec is that of the telescope. Sources in the annulus are taken as background: let it lie far out.

    References
    ----------
    Cavaliere & Fusco-Femiano (1976), A&A 49, 137; Cash (1979), ApJ 228, 939.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> edges, annulus = np.arange(0, 310, 10) * u.arcsec, [360, 480] * u.arcsec
    >>> profile = surface_brightness_profile(example_rate_map(), example_field(), edges, background=annulus)
    >>> fit = fit_beta_model(profile)
    >>> bool(abs(fit.beta.value - 5 / 6) < 2 * fit.beta.error), fit.core_radius.value.unit
    (True, Unit("arcsec"))
    """
    edges = _joined_edges(profile)
    with np.errstate(invalid="ignore"):
        scale = np.nan_to_num((profile["exposure_mean"] * profile["live_area"]).to_value(u.s * u.arcmin**2))
    fit = fit_beta_rings(
        profile["counts"].value, edges.value, scale, background=profile["background"].value,
        background_error=profile["background_error"].value, constant=constant,
    )  # fmt: skip
    level = profile["brightness"].unit
    return fit._replace(
        brightness=_with_unit(fit.brightness, level),
        core_radius=_with_unit(fit.core_radius, edges.unit),
        constant=None if fit.constant is None else _with_unit(fit.constant, level),
    )


def _with_unit(estimate: Estimate, unit: Any) -> Estimate:
    return Estimate(*(v * unit for v in estimate))


def _joined_edges(profile: Any) -> u.Quantity:
    inner, outer = profile["radius_in"], profile["radius_out"]
    if not np.array_equal(inner[1:].value, outer[:-1].value):
        raise InvalidRecord("the rings of a profile must follow each other")
    return np.concatenate([inner[:1].value, outer.value]) * inner.unit


def _edges(edges: Any) -> u.Quantity:
    given = quantity(edges, "edges", "[0, 30, 60]*u.arcsec")
    values = np.atleast_1d(given.value)
    ring_edges(values if values.size > 1 else np.append(0.0, values))
    return values * given.unit


def _mean_radii(edges: u.Quantity) -> u.Quantity:
    """Return the mean radius over the area of each ring."""
    near, far = edges.value[:-1], edges.value[1:]
    return 2 / 3 * (far**2 + far * near + near**2) / (far + near) * edges.unit


def _degrees(edges: u.Quantity, field: Field) -> Floats:
    return np.array([radius_deg(edge, field.target) for edge in edges])


def _areas(edges: u.Quantity, field: Field) -> Floats:
    return np.asarray(np.pi * np.diff((_degrees(edges, field) * 60) ** 2))


def _maps(rate_map_or_maps: RateMap | Iterable[RateMap]) -> tuple[RateMap, ...]:
    maps = (rate_map_or_maps,) if isinstance(rate_map_or_maps, RateMap) else tuple(rate_map_or_maps)
    if not maps or len({m.band for m in maps}) > 1:
        raise InvalidRecord(f"a profile needs maps of one band, got {', '.join(str(m) for m in maps) or 'no map'}")
    return maps


def _all_rings(maps: tuple[RateMap, ...], field: Field, edges: u.Quantity, options: _Options) -> _Rings:
    degrees = _degrees(edges, field)
    each = zip(
        maps, _per_map(options.background, len(maps)), weights_of_maps(options.background_weights, maps), strict=True
    )
    parts = [_rings_of(m, field, degrees, options._replace(background=b, background_weights=w)) for m, b, w in each]
    return _Rings(*(np.array(column) for column in zip(*parts, strict=True)))


def _per_map(background: Any, maps: int) -> list[Any]:
    """Return one background per map: the same annulus for all, or each map's own array."""
    if background is None or isinstance(background, u.Quantity):
        return [background] * maps
    several = [background] if isinstance(background, np.ndarray) and background.ndim == 2 else list(background)
    if len(several) == 2 and all(isinstance(b, u.Quantity) for b in several):
        return [u.Quantity(several)] * maps
    if len(several) != maps:
        raise InvalidRecord(f"{maps} maps need {maps} background arrays, got {len(several)}")
    return several


def _rings_of(rate_map: RateMap, field: Field, degrees: Floats, options: _Options) -> tuple[Any, ...]:
    background, given, remove, centre = options
    grid = rate_map.grid
    ra, dec = position_deg(field.centre if centre is None else centre, "centre")
    x, y = deg_to_pix(grid, ra, dec)
    keep = interloper_mask(rate_map, field) if remove else np.ones(grid.shape, dtype=bool)

    def sums(image: NDArray[Any], edges_deg: Floats) -> RingSums:
        return ring_sums(image, rate_map.exposure.data, keep, (float(x), float(y)), edges_deg / grid.pixel_deg)

    image, pixel = rate_map.image.data, (grid.pixel_deg * 60) * abs(grid.cdelt2_deg) * 60
    rings = sums(image, degrees)
    alpha, annulus_counts = np.zeros(rings.counts.shape), 0.0
    expected = np.zeros(rings.counts.shape)
    if isinstance(background, u.Quantity):
        annulus = _degrees(_annulus(background), field)
        around = sums(image, annulus)
        inside, outside = rings.exposure, around.exposure
        if given is not None:
            weights = weights_image(given, rate_map, keep & rate_map.sensor_mask)
            inside, outside = (sums(weights, where).counts for where in (degrees, annulus))
        if rings.exposure.any():
            annulus_counts, alpha = float(around.counts[0]), inside / _some(outside[0], rate_map)
        expected = alpha * annulus_counts
    elif background is not None:
        expected = sums(_background_array(background, rate_map), degrees).counts
    return rings.counts, rings.exposure * pixel, rings.pixels * pixel, expected, alpha, annulus_counts


def _some(exposure: float, rate_map: RateMap) -> float:
    if not exposure > 0:
        raise NoData(f"the background annulus has no pixel on the detector of {rate_map}: use other radii")
    return exposure


def _annulus(background: u.Quantity) -> u.Quantity:
    if background.shape != (2,):
        raise InvalidRecord(f"a background annulus needs two radii such as [5, 8]*u.arcmin, got {background}")
    return _edges(background)


def _background_array(background: Any, rate_map: RateMap) -> NDArray[Any]:
    array = np.asarray(background, dtype=np.float64)
    if array.shape != rate_map.grid.shape:
        raise ShapeMismatch(f"the background array has shape {array.shape}, {rate_map} {rate_map.grid.shape}")
    return array


def _variance(alpha: Floats, annulus_counts: Floats) -> Floats:
    return np.asarray(np.sum(alpha**2 * annulus_counts[:, None], axis=0))


def _grown_rate(rings: _Rings, areas: Floats) -> tuple[Floats, Floats]:
    """Return the rate within each radius with gaps filled ring by ring, and its error."""
    exposure = rings.seconds_arcmin2.sum(axis=0)
    with np.errstate(divide="ignore"):
        weight = np.where(exposure > 0, areas / exposure, np.nan)
    net = (rings.counts - rings.background).sum(axis=0)
    poisson = np.cumsum(weight**2 * np.maximum(rings.counts.sum(axis=0), 1.0))
    shared = _variance(np.cumsum(rings.alpha * weight, axis=1), rings.annulus_counts)
    return np.cumsum(net * weight), np.sqrt(poisson + shared)


def _columns(name: str, found: Brightness, unit: Any) -> dict[str, Any]:
    names = (name, f"{name}_error", f"{name}_lower", f"{name}_upper")
    return {n: v * unit for n, v in zip(names, found, strict=True)}


def _table(**columns: Any) -> Any:
    from astropy.table import QTable

    return QTable(columns)


def _meta(maps: tuple[RateMap, ...], field: Field, background: Any, remove: bool, centre: Any) -> dict[str, Any]:
    kind = "none" if background is None else str(background) if isinstance(background, u.Quantity) else "given counts"
    return {
        "maps": [str(m) for m in maps],
        "field": field.name,
        "centre_deg": [float(v) for v in position_deg(field.centre if centre is None else centre, "centre")],
        "background": kind,
        "interlopers_removed": remove,
    }
