"""From a run to the records that a report shows. What cannot be measured is a value with its reason, never an error."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from attrs import evolve, frozen

from xphotfn.errors import InvalidFile, XphotfnError
from xphotfn.graph.maps import Pair, What, named_maps, no_mosaic, pairs_of, rate_map_of
from xphotfn.graph.plan import MAP_KINDS, Plan, PlannedProduct
from xphotfn.graph.result import Run
from xphotfn.graph.run_sources import detected_field, source_lists
from xphotfn.io.good_time_files import read_flare_cut
from xphotfn.io.products import RateMap
from xphotfn.measure.aperture import Aperture, aperture_of, default_region, region_words
from xphotfn.measure.centre import find_centre
from xphotfn.measure.masks import interloper_mask, sensor_mask, source_mask
from xphotfn.measure.signal_to_noise import snr
from xphotfn.records.band import Band
from xphotfn.records.field import Field, with_centre
from xphotfn.records.light_curve import FlareCut
from xphotfn.records.measurement import Centre, Peak
from xphotfn.records.outcome import Done, Failed
from xphotfn.records.source_list import SourceList
from xphotfn.reports.page_records import (
    FEW_COUNTS,
    FLAGS,
    LOW_ON_CHIP,
    MUCH_MASKED,
    BandReport,
    MapReport,
    TargetReport,
)
from xphotfn.reports.run_steps import step_reports
from xphotfn.science.coords import separation_deg
from xphotfn.science.distances import kpc_to_deg

__all__ = ("Asked", "aperture_if_known", "band_report", "centre_of", "centred", "target_report")


@frozen
class Asked:
    """What a report measures.

    Parameters
    ----------
    region
        The region to measure, a name or a Quantity; None for :func:`default_region`.
    method
        Definition of the signal-to-noise.
    peak
        Whether to measure on the X-ray peak, as :func:`find_centre` takes it.
    background_weights
        As :func:`snr` takes it: a function of the map.
    """

    region: Any = None
    method: Any = "mid-p"
    peak: bool | None = False
    background_weights: Any = None

    def region_of(self, field: Field) -> Any:
        """Return the region to measure of a field."""
        return default_region(field) if self.region is None else self.region


def target_report(part: Run, slug: str, asked: Asked) -> TargetReport:
    """Return everything that is shown of one field, of the part of a run that is its own; its slug names it in paths.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_run
    >>> shown = target_report(example_run(), "example", Asked())
    >>> shown.region_label, [b.combined.measurement.value > 10 for b in shown.bands], shown.bands[0].flags
    ('R500 = 1200 kpc', [True], ())
    """
    lists, field = _detected(part)
    steps = step_reports(part)
    bands = sorted({p.band for p in part.plan.products}, key=lambda b: (b.lo_ev, b.hi_ev))
    there = pairs_of(part)
    combined = [_combined(part, there, band) for band in bands]
    centre = centre_of([c.rate_map for c in combined if c.rate_map is not None], field, asked)
    measured = centred(field, centre, asked)
    good = all(s.is_good for s in steps)
    shown = [
        band_report(
            c, measured, asked, centre, maps=[_single(part, there, pair, measured, asked) for pair in pairs], good=good
        )
        for c, pairs in zip(combined, (_pairs(part.plan, band) for band in bands), strict=True)
    ]
    found = [f"{o.obs_id}: {note}" for o in field.observations for note in o.notes]
    return TargetReport(
        slug=slug,
        field=measured,
        region=region_words(asked.region_of(field)),
        aperture=aperture_if_known(field, asked),
        bands=shown,
        centre=None if asked.peak is False else centre,
        steps=steps,
        notes=dict.fromkeys([*part.plan.notes, *_left_out(field), *found]),
        cuts=_cuts(part),
        lists=lists.items(),
    )


def _detected(part: Run) -> tuple[dict[str, SourceList], Field]:
    """Return the lists of sources of the first band that has some, and the field with their regions."""
    (field,) = part.plan.fields
    bands = sorted({p.band for p, _, _ in part.products() if p.kind == "source_list"}, key=lambda b: (b.lo_ev, b.hi_ev))
    if not bands:
        return {}, field
    return source_lists(part, band=bands[0]), detected_field(part, band=bands[0])


def _cuts(part: Run) -> list[FlareCut]:
    """Return what the cuts of flares kept and left, as their tables say; one that cannot be read is left out."""
    cuts = {s.id for s in part.plan.steps if s.command.task == "flarecut" and s.command.parameter("goal") != "curve"}
    found: list[FlareCut] = []
    for done in part.done:
        if done.step in cuts and done.outputs:
            with suppress(InvalidFile):
                found.append(read_flare_cut(done.outputs[0].path))
    return found


def _left_out(field: Field) -> list[str]:
    """Return what was left out of a field; in a large sample nearly all observations are, for they lie elsewhere."""
    near = [f"{note.obs_id}: left out, {note.why}" for note in field.left_out if note.reason != "far"]
    far = sum(note.reason == "far" for note in field.left_out)
    return [*near, *([f"{far} observation{'' if far == 1 else 's'} of other places left out"] if far else [])]


def aperture_if_known(field: Field, asked: Asked) -> Aperture | None:
    """Return the region that is measured of a field; None where its target lacks it."""
    try:
        return aperture_of(field, asked.region_of(field))
    except XphotfnError:
        return None


def centred(field: Field, centre: Centre | None, asked: Asked) -> Field:
    """Return the field at the place where it is measured."""
    used = centre is not None and centre.is_peak and asked.peak is not False
    return with_centre(field, centre) if used and centre is not None else field


def centre_of(maps: Sequence[RateMap], field: Field, asked: Asked) -> Centre | None:
    """Return where a field is measured; of a cluster the peak is shown also where it is not measured there."""
    if not maps or field.target is None:
        return None
    try:
        wanted = asked.peak or field.target.kind == "cluster"
        return find_centre(maps, field, region=asked.region, peak=wanted or None)
    except (XphotfnError, OSError):
        return None


def band_report(
    combined: MapReport,
    field: Field,
    asked: Asked,
    centre: Centre | None,
    *,
    maps: Sequence[MapReport] = (),
    good: bool = True,
) -> BandReport:
    """Return what is shown of the map that is measured, that of all observations or the one.

    ``field`` is at the place where it is measured, ``maps`` are those of the exposures, ``good`` is whether
    every step of the target is done.
    """
    whole = _measured(combined, field, asked) if combined.rate_map is not None else combined
    peak = None if centre is None else centre.peak
    arcsec, kpc = _offset(field, peak)
    return BandReport(
        band=combined.band,
        combined=whole,
        maps=maps,
        peak=peak,
        offset_arcsec=arcsec,
        offset_kpc=kpc,
        flags=_flags(whole, centre, asked.peak is not False, good),
    )


def _pairs(plan: Plan, band: Band) -> list[tuple[PlannedProduct, ...]]:
    """Return the image and the exposure map of each exposure of a band."""
    pairs: dict[Any, list[PlannedProduct]] = {}
    for product in plan.products:
        if product.band == band and product.obs_id != "combined" and product.kind in MAP_KINDS:
            pairs.setdefault(product.what, []).append(product)
    return [tuple(pair) for pair in pairs.values()]


def _combined(part: Run, there: Mapping[What, Pair], band: Band) -> MapReport:
    empty = MapReport(obs_id="combined", instrument="combined", band=band)
    if not any(what[1] == "combined" and what[-1] == band for what in there):
        return evolve(empty, problem=str(no_mosaic(part, band)))
    try:
        (_, rate_map), *_ = named_maps(part, band=band, wanted=lambda product: product.is_mosaic)
    except (XphotfnError, OSError) as error:
        return evolve(empty, problem=str(error))
    return evolve(empty, rate_map=rate_map)


def _single(
    part: Run, there: Mapping[What, Pair], pair: tuple[PlannedProduct, ...], field: Field, asked: Asked
) -> MapReport:
    first = pair[0]
    empty = MapReport(obs_id=first.obs_id, exposure_id=first.exposure_id, instrument=first.instrument, band=first.band)
    if first.what not in there:
        return evolve(empty, problem=_why_missing(part, pair))
    try:
        rate_map = rate_map_of(part, there[first.what])
    except (XphotfnError, OSError) as error:
        return evolve(empty, problem=str(error))
    return _measured(evolve(empty, rate_map=rate_map), field, asked)


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


def _measured(shown: MapReport, field: Field, asked: Asked) -> MapReport:
    """Return the report of a map with what is measured on it, or with the reason why nothing is."""
    rate_map = shown.rate_map
    if rate_map is None or field.target is None:
        return evolve(shown, problem="a bulk field has no target to measure")
    try:
        aperture = aperture_of(field, asked.region_of(field))
        source, back = source_mask(rate_map, field, aperture)
        free, on = interloper_mask(rate_map, field), sensor_mask(rate_map)
        radius_deg = aperture.radius_deg
        whole = float(source.sum()) if radius_deg is None else math.pi * (radius_deg / rate_map.grid.pixel_deg) ** 2
        seen = int((source & on).sum())
        shown = evolve(
            shown,
            on_chip=min(1.0, seen / max(whole, 1.0)),
            masked=int((source & on & ~free).sum()) / max(seen, 1),
            has_background=bool((back & on & free).any()),
        )
        measured = snr(rate_map, field, aperture, method=asked.method, background_weights=asked.background_weights)
        return evolve(shown, measurement=measured)
    except (XphotfnError, OSError) as error:
        return evolve(shown, problem=str(error))


def _offset(field: Field, peak: Peak | None) -> tuple[float, float]:
    """Return the distance of the peak from the target in arcsec and in kpc."""
    target = field.target
    if peak is None or target is None:
        return math.nan, math.nan
    degrees = float(np.asarray(separation_deg(target.ra_deg, target.dec_deg, peak.ra_deg, peak.dec_deg)))
    kpc = math.nan if target.redshift is None else degrees / kpc_to_deg(1.0, target)
    return degrees * 3600, kpc


def _flags(combined: MapReport, centre: Centre | None, asked: bool, all_good: bool) -> tuple[str, ...]:
    m = combined.measurement
    looked = centre is not None and centre.reason != "given"
    peak = None if centre is None else centre.peak
    holds = {
        "failed steps": not all_good,
        "not measured": m is None,
        "no background": not combined.has_background,
        "few counts": m is not None and m.counts < FEW_COUNTS,
        "low on-chip": combined.on_chip < LOW_ON_CHIP,
        "much masked": combined.masked > MUCH_MASKED,
        "moved": asked and centre is not None and centre.is_peak,
        "peak not used": asked and looked and peak is not None and centre is not None and not centre.is_peak,
        "no peak": looked and peak is None,
        "peak near edge": peak is not None and peak.near_edge,
    }
    return tuple(flag for flag in FLAGS if holds[flag])
