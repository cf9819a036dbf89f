"""Radial profiles of a field: surface brightness, curve of growth, concentration."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.io.exposure_units import one_unit
from xphotfn.io.products import RateMap
from xphotfn.measure.ring_sums import (
    ProfileOptions,
    all_rings,
    areas_of,
    collapsed,
    edges_of,
    fine_edges,
    grown_rate,
    variance_of,
)
from xphotfn.records.field import Field
from xphotfn.science.beta_model import BetaModelFit, FittedParameter, fit_beta_rings
from xphotfn.science.radial import (
    Brightness,
    Concentration,
    flux_concentration,
    ring_brightness,
)
from xphotfn.typing import PositionLike, RadiusLike, WeightsLike
from xphotfn.units import position_deg, quantity, rate_unit

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ("concentration", "curve_of_growth", "fit_beta_model", "surface_brightness_profile")

Floats = NDArray[np.float64]


RingBackground: TypeAlias = tuple[u.Quantity, u.Quantity] | u.Quantity | NDArray[Any] | Sequence[NDArray[Any]]
"""The two radii of an annulus, or expected counts: an image for each map."""


def surface_brightness_profile(
    rate_map_or_maps: RateMap | Iterable[RateMap],
    field: Field,
    edges: u.Quantity,
    *,
    background: RingBackground | None = None,
    background_weights: WeightsLike | None = None,
    remove_interlopers: bool = True,
    centre: PositionLike | None = None,
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
        per map), taken as known: see :mod:`xphotfn.science.background_ratio`.
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
    :func:`~xphotfn.science.radial.ring_brightness`: Poisson errors of N, and ``sum alpha**2 B`` of the annulus, which
    all rings share. ``brightness_error`` is not for least squares at low counts: a ring that has a few too few counts
    also gets a small error and pulls a fit down (beta 0.72 for 0.67 from 500 counts in 30 rings);
    :func:`fit_beta_model` fits the counts. Maps of several cameras add up to a brightness per summed second; it is that
    of no camera.

    References
    ----------
    Formula and errors: :func:`~xphotfn.science.radial.ring_brightness`.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> profile = surface_brightness_profile(example_rate_map(), example_field(), [0, 30, 60, 120] * u.arcsec)
    >>> profile["counts"].value.tolist(), profile["brightness"].unit == u.ct / u.s / u.arcmin**2
    ([1691.0, 881.0, 386.0], True)
    """
    radii, maps = edges_of(edges), _maps(rate_map_or_maps)
    unit = one_unit((m.exposure.unit for m in maps), "one profile")
    rings = all_rings(maps, field, radii, ProfileOptions(background, background_weights, remove_interlopers, centre))
    counts, exposure, live = (v.sum(axis=0) for v in (rings.counts, rings.seconds_arcmin2, rings.live_arcmin2))
    expected, variance = rings.background.sum(axis=0), variance_of(rings.alpha, rings.annulus_counts)
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
        area=areas_of(radii, field) * len(rings.counts) * u.arcmin**2,
        live_area=live * u.arcmin**2,
        exposure_mean=mean * unit,
        **_columns("brightness", found, rate_unit(unit) / u.arcmin**2),
    )
    table.meta.update(_meta(maps, field, background, remove_interlopers, centre))
    table.meta["background_weights"] = "none" if background_weights is None else "given"
    return table


def curve_of_growth(
    rate_map_or_maps: RateMap | Iterable[RateMap],
    field: Field,
    radii: u.Quantity,
    *,
    background: RingBackground | None = None,
    background_weights: WeightsLike | None = None,
    remove_interlopers: bool = True,
    centre: PositionLike | None = None,
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
        ``_upper``, of the pixels that were seen; ``rate`` and ``rate_error`` in ct/s, of all the light within the
        radius, with what was not seen filled (NaN from the first ring without a pixel); ``live_fraction``.

    Raises
    ------
    UnitMismatch, InvalidRecord, ShapeMismatch, NoData
        As :func:`surface_brightness_profile`.

    Notes
    -----
    ``rate(< r) = sum S_i A_i`` over rings between the radii given and inside them (those of
    :mod:`xphotfn.science.light`, as :func:`photometry` has them), so that one radius alone is enough for an unbiased
    rate. Rows are not independent: each holds all before it. The error of the background annulus is shared by all rings
    and so added linearly, ``(sum_i alpha_i w_i)**2 B``; the Poisson errors are added in quadrature.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> grown = curve_of_growth(
    ...     example_rate_map(), example_field(), [30, 60, 120] * u.arcsec, background=[240, 360] * u.arcsec
    ... )
    >>> grown["rate"].round(2)
    <Quantity [1.7 , 2.53, 2.83] ct / s>
    """
    outer, maps = edges_of(radii), _maps(rate_map_or_maps)
    unit = one_unit((m.exposure.unit for m in maps), "one curve of growth")
    if not outer[0] > 0:
        raise InvalidRecord(f"radii of a curve of growth must be above 0, got {outer[0]}")
    edges = np.concatenate([[0.0], outer.value]) * outer.unit
    every, places = fine_edges(maps, field, edges)
    fine = all_rings(maps, field, every, ProfileOptions(background, background_weights, remove_interlopers, centre))
    rings = collapsed(fine, places)
    counts, expected = (np.cumsum(v.sum(axis=0)) for v in (rings.counts, rings.background))
    net = ring_brightness(counts, 1.0, expected, variance_of(np.cumsum(rings.alpha, axis=1), rings.annulus_counts))
    areas = areas_of(edges, field)
    rate, error = grown_rate(fine, areas, places)
    live = np.cumsum(rings.live_arcmin2.sum(axis=0)) / (np.cumsum(areas) * len(rings.counts))
    table = _table(
        radius=outer, counts=counts * u.ct, background=expected * u.ct, **_columns("net_counts", net, u.ct),
        rate=rate * rate_unit(unit), rate_error=error * rate_unit(unit), live_fraction=live,
    )  # fmt: skip
    table.meta.update(_meta(maps, field, background, remove_interlopers, centre))
    table.meta["background_weights"] = "none" if background_weights is None else "given"
    return table


def concentration(
    profile: "Table", *, inner: RadiusLike = 40 * u.kpc, outer: RadiusLike = 400 * u.kpc
) -> Concentration:
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
        As :func:`~xphotfn.science.radial.flux_concentration`.

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


def fit_beta_model(profile: "Table", *, constant: bool = False) -> BetaModelFit:
    """Fit the beta model to the counts of a profile by Poisson likelihood.

    Parameters
    ----------
    profile
        Table of :func:`surface_brightness_profile`; the finer its rings the better, empty ones are no harm.
    constant
        Fit a constant surface brightness too, for a profile whose background was not (wholly) given. At few counts the
        mean of beta is then too high: 0.77 for 0.667 at 300 counts, 0.675 at 1000 (intervals hold the truth).

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
        scale = np.nan_to_num((profile["exposure_mean"] * profile["live_area"]).value)
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


def _with_unit(estimate: FittedParameter, unit: Any) -> FittedParameter:
    return FittedParameter(*(v * unit for v in estimate))


def _joined_edges(profile: Any) -> u.Quantity:
    inner, outer = profile["radius_in"], profile["radius_out"]
    if not np.array_equal(inner[1:].value, outer[:-1].value):
        raise InvalidRecord("the rings of a profile must follow each other")
    return np.concatenate([inner[:1].value, outer.value]) * inner.unit


def _mean_radii(edges: u.Quantity) -> u.Quantity:
    """Return the mean radius over the area of each ring."""
    near, far = edges.value[:-1], edges.value[1:]
    return 2 / 3 * (far**2 + far * near + near**2) / (far + near) * edges.unit


def _maps(rate_map_or_maps: RateMap | Iterable[RateMap]) -> tuple[RateMap, ...]:
    maps = (rate_map_or_maps,) if isinstance(rate_map_or_maps, RateMap) else tuple(rate_map_or_maps)
    if not maps or len({m.band for m in maps}) > 1:
        raise InvalidRecord(f"a profile needs maps of one band, got {', '.join(str(m) for m in maps) or 'no map'}")
    return maps


def _columns(name: str, found: Brightness, unit: Any) -> dict[str, Any]:
    names = (name, f"{name}_error", f"{name}_lower", f"{name}_upper")
    return {n: v * unit for n, v in zip(names, found, strict=True)}


def _table(**columns: Any) -> Any:
    from xphotfn.records.result_table import ResultTable

    return ResultTable(columns)


def _meta(maps: tuple[RateMap, ...], field: Field, background: Any, remove: bool, centre: Any) -> dict[str, Any]:
    kind = "none" if background is None else str(background) if isinstance(background, u.Quantity) else "given counts"
    return {
        "maps": [str(m) for m in maps],
        "field": field.name,
        "centre_deg": [float(v) for v in position_deg(field.centre if centre is None else centre, "centre")],
        "background": kind,
        "interlopers_removed": remove,
    }
