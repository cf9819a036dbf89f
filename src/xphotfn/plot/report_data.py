"""From a run to the records that a report shows. What cannot be measured is a value with its reason, never an error."""

import math
import re
from collections.abc import Iterable
from typing import Any

import astropy.units as u
import numpy as np
from attrs import evolve

from xphotfn.errors import XphotfnError
from xphotfn.graph.plan import Plan, PlannedProduct
from xphotfn.graph.result import Run
from xphotfn.io.products import RateMap
from xphotfn.measure.maps import combined_rate_map, rate_maps
from xphotfn.measure.masks import interloper_mask, sensor_mask, source_mask
from xphotfn.measure.peak import find_peak
from xphotfn.measure.significance import snr
from xphotfn.plot.report_records import (
    FEW_COUNTS,
    FLAGS,
    LOW_ON_CHIP,
    MUCH_MASKED,
    BandReport,
    MapReport,
    StepReport,
    TargetReport,
)
from xphotfn.plot.report_steps import step_reports
from xphotfn.records.band import Band
from xphotfn.records.field import Field
from xphotfn.records.measurement import Peak
from xphotfn.records.outcome import Done, Failed
from xphotfn.science.coords import separation_deg
from xphotfn.science.distances import kpc_to_deg, radius_deg

__all__ = ("default_region", "region_label", "region_radius_deg", "target_report")


_FAR = re.compile(r"arcmin from the pointing, beyond")


def default_region(field: Field) -> Any:
    """Return the region of a target that is measured where none is asked for: R500, else R200, R2500, its radius.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_field
    >>> default_region(example_field())
    'r500'
    """
    target = field.target
    if target is None:
        return "region"
    for name in ("r500", "r200", "r2500"):
        if getattr(target, name) is not None:
            return name
    return "region" if target.radius is None else "point"


def region_label(field: Field, region: Any) -> str:
    """Return a region in words, such as ``R500 = 1200 kpc``."""
    if not isinstance(region, str):
        return f"{region:g}" if isinstance(region, u.Quantity) else str(region)
    if region == "region":
        return "matched region"
    target = field.target
    radius = None if target is None else target.radius if region == "point" else getattr(target, region, None)
    name = "radius" if region == "point" else region.upper() if region in ("r500", "r200", "r2500") else region
    return name if radius is None else f"{name} = {radius:g}"


def region_radius_deg(field: Field, region: Any) -> float:
    """Return the radius of a region in degrees; NaN for a matched region, or where it is not known."""
    target = field.target
    if target is None:
        return math.nan
    try:
        if isinstance(region, str):
            named = target.radius if region == "point" else getattr(target, region, None)
            region = named if named is not None else u.Quantity(region)
        return radius_deg(region, target)
    except (XphotfnError, TypeError, ValueError):
        return math.nan


def target_report(part: Run, slug: str, *, region: Any, method: Any) -> TargetReport:
    """Return everything that is shown of one field.

    Parameters
    ----------
    part
        The part of the run that belongs to the field, as :func:`parts_of` yields it.
    slug
        Its name in paths.
    region
        The region to measure; None for :func:`default_region`.
    method
        Definition of the signal-to-noise.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_run
    >>> shown = target_report(example_run(), "example", region=None, method="mid-p")
    >>> shown.region, [b.combined.measurement.value > 10 for b in shown.bands], shown.bands[0].flags
    ('R500 = 1200 kpc', [True], ())
    """
    (field,) = part.plan.fields
    wanted = default_region(field) if region is None else region
    steps = step_reports(part)
    bands = sorted({p.band for p in part.plan.products}, key=lambda b: (b.lo_ev, b.hi_ev))
    found = [f"{o.obs_id}: {note}" for o in field.observations for note in o.notes]
    return TargetReport(
        slug=slug,
        field=field,
        region=region_label(field, wanted),
        bands=[_band_report(part, field, band, wanted, method, steps) for band in bands],
        steps=steps,
        notes=dict.fromkeys([*part.plan.notes, *_left_out(field), *found]),
    )


def _left_out(field: Field) -> list[str]:
    """Return what was left out of a field; in a large sample nearly all observations are, for they lie elsewhere."""
    near = [f"{obs_id} was left out: {why}" for obs_id, why in field.left_out if not _FAR.search(why)]
    far = sum(bool(_FAR.search(why)) for _, why in field.left_out)
    return [*near, *([f"{far} observation{'' if far == 1 else 's'} of other places left out"] if far else [])]


def _band_report(
    part: Run, field: Field, band: Band, region: Any, method: Any, steps: Iterable[StepReport]
) -> BandReport:
    combined = _combined(part, field, band, region, method)
    maps = [_single(part, pair, field, region, method) for pair in _pairs(part.plan, band)]
    peak = _peak(combined.rate_map, field)
    arcsec, kpc = _offset(field, peak)
    return BandReport(
        band=band,
        combined=combined,
        maps=maps,
        peak=peak,
        offset_arcsec=arcsec,
        offset_kpc=kpc,
        flags=_flags(combined, peak, all(s.is_good for s in steps)),
    )


def _pairs(plan: Plan, band: Band) -> list[tuple[PlannedProduct, ...]]:
    """Return the image and the exposure map of each exposure of a band."""
    pairs: dict[Any, list[PlannedProduct]] = {}
    for product in plan.products:
        if product.band == band and product.obs_id != "combined":
            pairs.setdefault(product.what, []).append(product)
    return [tuple(pair) for pair in pairs.values()]


def _combined(part: Run, field: Field, band: Band, region: Any, method: Any) -> MapReport:
    empty = MapReport(obs_id="combined", instrument="combined", band=band)
    own = [p for p in part.plan.products if p.band == band and p.obs_id == "combined"]
    alone = evolve(part, plan=Plan(fields=(field,), products=own))  # so that no other header is read
    try:
        rate_map = combined_rate_map(alone, band=band if own else None)
    except (XphotfnError, OSError) as error:
        return evolve(empty, problem=str(error))
    return _measured(evolve(empty, rate_map=rate_map), field, region, method)


def _single(part: Run, pair: tuple[PlannedProduct, ...], field: Field, region: Any, method: Any) -> MapReport:
    first = pair[0]
    empty = MapReport(obs_id=first.obs_id, exposure_id=first.exposure_id, instrument=first.instrument, band=first.band)
    alone = evolve(part, plan=Plan(fields=(field,), products=pair))
    try:
        found = rate_maps(alone)
    except (XphotfnError, OSError) as error:
        return evolve(empty, problem=str(error))
    if not found:
        return evolve(empty, problem=_why_missing(part, pair))
    return _measured(evolve(empty, rate_map=found[0]), field, region, method)


def _why_missing(part: Run, pair: tuple[PlannedProduct, ...]) -> str:
    outcomes = {o.step: o for o in part.outcomes}
    reasons = []
    for product in pair:
        outcome = outcomes.get(product.step)
        kind = product.kind.replace("_", " ")
        if isinstance(outcome, Failed):
            reasons.append(f"its {kind} failed: {outcome.reason}")
        elif product.step and not isinstance(outcome, Done):
            reasons.append(f"its {kind} was not made")
    return "; ".join(reasons) or "it has no exposure map"


def _measured(shown: MapReport, field: Field, region: Any, method: Any) -> MapReport:
    """Return the report of a map with what is measured on it, or with the reason why nothing is."""
    rate_map = shown.rate_map
    if rate_map is None or field.target is None:
        return evolve(shown, problem="a bulk field has no target to measure")
    try:
        source, back = source_mask(rate_map, field, region)
        free, on = interloper_mask(rate_map, field), sensor_mask(rate_map)
        radius_pix = region_radius_deg(field, region) / rate_map.grid.pixel_deg
        whole = math.pi * radius_pix**2 if math.isfinite(radius_pix) else float(source.sum())
        seen = int((source & on).sum())
        shown = evolve(
            shown,
            on_chip=min(1.0, seen / max(whole, 1.0)),
            masked=int((source & on & ~free).sum()) / max(seen, 1),
            has_background=bool((back & on & free).any()),
        )
        return evolve(shown, measurement=snr(rate_map, field, region, method=method))
    except (XphotfnError, OSError) as error:
        return evolve(shown, problem=str(error))


def _peak(rate_map: RateMap | None, field: Field) -> Peak | None:
    if rate_map is None or field.target is None:
        return None
    try:
        return find_peak(rate_map, field)
    except (XphotfnError, OSError):
        return None


def _offset(field: Field, peak: Peak | None) -> tuple[float, float]:
    """Return the distance of the peak from the target in arcsec and in kpc."""
    target = field.target
    if peak is None or target is None:
        return math.nan, math.nan
    degrees = float(np.asarray(separation_deg(target.ra_deg, target.dec_deg, peak.ra_deg, peak.dec_deg)))
    kpc = math.nan if target.redshift is None else degrees / kpc_to_deg(1.0, target)
    return degrees * 3600, kpc


def _flags(combined: MapReport, peak: Peak | None, all_good: bool) -> tuple[str, ...]:
    m = combined.measurement
    holds = {
        "failed steps": not all_good,
        "not measured": m is None,
        "no background": not combined.has_background,
        "few counts": m is not None and m.counts < FEW_COUNTS,
        "low on-chip": combined.on_chip < LOW_ON_CHIP,
        "much masked": combined.masked > MUCH_MASKED,
        "no peak": combined.rate_map is not None and peak is None,
        "peak near edge": peak is not None and peak.near_edge,
    }
    return tuple(flag for flag in FLAGS if holds[flag])
