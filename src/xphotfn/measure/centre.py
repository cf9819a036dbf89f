"""Where a field is measured: at the position that was given, or at an X-ray peak that is near and sure."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import astropy.units as u

from xphotfn.errors import InvalidRecord, NoData
from xphotfn.io.products import RateMap
from xphotfn.measure.aperture import RegionLike, aperture_of, default_region
from xphotfn.measure.masks import custom_mask
from xphotfn.measure.peak import peak_within
from xphotfn.records.field import Field
from xphotfn.records.fields import of_kind
from xphotfn.records.measurement import Centre, Peak
from xphotfn.science.coords import separation_deg
from xphotfn.science.distances import radius_deg
from xphotfn.science.rings import RING_FACTORS
from xphotfn.science.snr_methods import DEFAULT_METHOD, method_of, signal_to_noise
from xphotfn.typing import RadiusLike

__all__ = ("find_centre",)

LEAST_SIGMA = 5.0
"""Significance of a peak that is used: of 1,000 places that a search compares, chance reaches it in 0.03 %."""
PEAK_ARCSEC = 20.0
"""Radius around a peak whose counts are tested: it holds two thirds of a point source's light."""
RIM_PIX = 2.0
"""A peak as near to the rim of the search as this is the flank of something beyond."""


def find_centre(
    maps: RateMap | Iterable[RateMap],
    field: Field,
    *,
    region: RegionLike | Sequence[RegionLike] | None = None,
    search: RadiusLike | None = None,
    peak: bool | None = None,
) -> Centre:
    """Return where a field is measured: at its own centre, or at an X-ray peak that is near and sure.

    Parameters
    ----------
    maps
        The combined map, or those of several bands: all are measured at one place. A peak is looked for in the band
        where the region is most significant around the given position.
    field
        Gives the position, the kind of the target, its radii and interlopers.
    region
        The region that will be measured, or several: a peak lies within the smallest. Default: as the report has it,
        R500, else R200, R2500, the target's radius.
    search
        How far a peak may lie from the given position, instead of the region's radius.
    peak
        Whether to look for a peak. Default: for clusters, unless :func:`with_centre` has moved the field already.
        Point sources, extended sources and positions are measured where they are.

    Returns
    -------
    Centre
        Its ``reason`` says what was decided. :func:`with_centre` takes it.

    Raises
    ------
    InvalidRecord
        If there is no map, the field has no target, or a peak is asked for without a radius that bounds the search.
    UnitMismatch, ProductMissing
        If a radius is no radius of this target.

    Notes
    -----
    The peak is that of :func:`find_peak`, whose every step stays within the region. It is used where the search comes
    to rest, at least two pixels inside the region and away from edges and gaps, and where the counts within 20 arcsec
    of it exceed those of the ring around the region (1.05 to 1.5 of its radius) by 5 sigma; else the given position
    stays. The limit is so high because the best of many places is tested.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> centre = find_centre(example_rate_map(), example_field())
    >>> centre.reason, centre.offset_arcsec < 10
    ('peak', True)
    """
    of_kind(field, Field, "match_observations(target, observations)")
    several = (maps,) if isinstance(maps, RateMap) else tuple(maps)
    if field.target is None or not several:
        what = "a map to look at: combined_rate_map(run)" if field.target else "a field with a target: a bulk field has"
        raise InvalidRecord(f"find_centre needs {what}{'' if field.target else ' none'}")
    wanted = field.target.kind == "cluster" and field.is_centred_on_target if peak is None else peak
    if not wanted:
        return _centre(field, "given")
    bound_deg = _bound_deg(field, region, search)
    if bound_deg is None:
        if peak:
            raise InvalidRecord("a search for a peak needs a bound: give region= or search=, such as 2*u.arcmin")
        return _centre(field, "given")
    return _searched(max(several, key=lambda m: _sigma(m, field, bound_deg, bound_deg)), field, bound_deg)


def _centre(field: Field, reason: str, **more: Any) -> Centre:
    ra, dec = (float(v) for v in field.centre.value)
    return Centre(ra_deg=ra, dec_deg=dec, reason=reason, **more)


def _bound_deg(field: Field, region: Any, search: Any) -> float | None:
    """Return how far a peak may lie from the given position; None where no radius is known."""
    if search is not None:
        return radius_deg(search, field.target)
    several = region if isinstance(region, list | tuple) else [default_region(field) if region is None else region]
    apertures = [aperture_of(field, one) for one in several]
    return min((a.radius_deg for a in apertures if a.radius_deg is not None), default=None)


def _searched(rate_map: RateMap, field: Field, bound_deg: float) -> Centre:
    seen: dict[str, Any] = {"search_arcsec": bound_deg * 3600, "band": rate_map.band}
    try:
        found = peak_within(rate_map, field, "clustering", None, bound_deg)
    except NoData:
        return _centre(field, "no peak", **seen)
    ra, dec = (float(v) for v in field.centre.value)
    offset_deg = float(separation_deg(ra, dec, found.ra_deg, found.dec_deg))
    sigma = _sigma(rate_map, field, bound_deg, min(bound_deg, PEAK_ARCSEC / 3600), found)
    seen |= {"peak": found, "significance": sigma if math.isfinite(sigma) else None}
    is_rim = offset_deg > bound_deg - RIM_PIX * rate_map.grid.pixel_deg > 0
    reason = _reason(found, is_rim, sigma)
    if reason == "peak":
        ra, dec = found.ra_deg, found.dec_deg
        return Centre(ra_deg=ra, dec_deg=dec, reason=reason, offset_arcsec=offset_deg * 3600, **seen)
    return _centre(field, reason, **seen)


def _reason(found: Peak, is_rim: bool, sigma: float) -> str:
    if not found.converged:
        return "not converged"
    if is_rim:
        return "far"
    if found.near_edge:
        return "edge"
    if not math.isfinite(sigma):
        return "no background"
    return "peak" if sigma >= LEAST_SIGMA else "insignificant"


def _sigma(rate_map: RateMap, field: Field, bound_deg: float, radius: float, at: Peak | None = None) -> float:
    """Return the significance of the counts around a place, over the ring around the region; -inf where none is."""
    inner, outer = (factor * bound_deg * u.deg for factor in RING_FACTORS)
    try:
        return float(
            signal_to_noise(
                rate_map.counts,
                rate_map.exposure.data,
                custom_mask(rate_map, field, outer=radius * u.deg, centre=at),
                custom_mask(rate_map, field, outer=outer, inner=inner),
                method_of(DEFAULT_METHOD),
            )
        )
    except NoData:
        return -math.inf
