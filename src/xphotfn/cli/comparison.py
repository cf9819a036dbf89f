"""Recovered against true: what the demo measures, beside what was simulated."""

from collections.abc import Sequence
from typing import Any, final

import astropy.units as u
import numpy as np
from attrs import frozen

from xphotfn.graph.maps import combined_rate_map, rate_maps
from xphotfn.graph.result import Run
from xphotfn.io.products import RateMap
from xphotfn.measure.aperture import RegionLike
from xphotfn.measure.masks import mask, source_mask
from xphotfn.records.field import Field
from xphotfn.records.measurement import Measurement
from xphotfn.science.coords import separation_deg
from xphotfn.science.snr_methods import signal_to_noise
from xphotfn.simulate.model import ModelCounts, model_counts
from xphotfn.simulate.observing import Truth

__all__ = ("Comparison", "compare", "comparison_table")

POINT_RADIUS = 20 * u.arcsec


@final
@frozen(kw_only=True)
class Comparison:
    """One number, recovered and true.

    Parameters
    ----------
    what
        What it is.
    recovered, true, error
        Values and the one-sigma error of the recovered one, all in ``unit``.
    unit
        Unit for people.
    """

    what: str
    recovered: float
    true: float
    error: float
    unit: str = "ct"

    @property
    def pull(self) -> float:
        """Recovered minus true in units of the error."""
        return (self.recovered - self.true) / self.error


def compare(truth: Truth, field: Field, result: Run, region: RegionLike = "r500") -> tuple[Comparison, ...]:
    """Return what was recovered beside what was simulated.

    Parameters
    ----------
    truth
        As :func:`simulate_observations` returns it.
    field
        The field of its cluster.
    result
        A run with its images, exposure maps and mosaic.
    region
        Source region of the cluster.

    Notes
    -----
    True net counts are those of the same masks and the same arithmetic on the noiseless model, so that light of the
    source in the background annulus is in both. The brightest pixel of a cluster scatters over about half its core.
    """
    maps = [(m, _model(truth, m)) for m in rate_maps(result)]
    rows = [] if truth.cluster is None else [_peak(truth, field)]
    parts = [(*_net_counts(m, model, mask(m, field, region)), m) for m, model in maps]
    name = region.upper() if isinstance(region, str) else str(region)
    rows += [_sum([p[:2]], f"net counts of the cluster, {p[2].obs_id} {p[2].instrument}, {name}") for p in parts]
    rows.append(_sum([p[:2] for p in parts], f"net counts of the cluster, all maps, {name}"))
    points = [
        _net_counts(m, model, source_mask(m, field, POINT_RADIUS, centre=position, background=(1.5, 3.0)))
        for m, model in maps
        for position in truth.positions
        if _is_on(m, position)
    ]
    rows.append(_sum(points, f"net counts of {len(truth.positions)} point sources, all maps, {POINT_RADIUS:g}"))
    rows.append(_background(maps, field))
    return (*rows, _mosaic(combined_rate_map(result), [m for m, _ in maps]))


def _model(truth: Truth, item: RateMap) -> ModelCounts:
    return model_counts(truth.scene, truth.scene.pointing(item.obs_id), item.instrument, item.band)


def _peak(truth: Truth, field: Field) -> Comparison:
    cluster = truth.scene.cluster
    ra, dec = (float(v) for v in field.centre.value)
    offset = 3600 * float(separation_deg(ra, dec, cluster.ra_deg, cluster.dec_deg)) if cluster else 0.0
    half_core = cluster.core_arcsec / 2 if cluster else 1.0
    return Comparison(what="distance of the peak", recovered=offset, true=0.0, error=half_core, unit="arcsec")


def _net_counts(item: RateMap, model: ModelCounts, masks: tuple[Any, Any]) -> tuple[Measurement, float]:
    """Return the measurement and the true net counts of the same masks."""
    measured = signal_to_noise(item.image.data, item.exposure.data, *masks)
    counts = model.total
    expected = [float(counts[m].sum()) for m in masks]
    return measured, expected[0] - measured.alpha * expected[1]


def _sum(parts: Sequence[tuple[Measurement, float]], what: str) -> Comparison:
    variance = sum(m.counts + m.alpha**2 * m.background_counts for m, _ in parts)
    return Comparison(
        what=what, recovered=sum(m.net_counts for m, _ in parts), true=sum(t for _, t in parts), error=variance**0.5
    )


def _is_on(item: RateMap, position: Any) -> bool:
    """Return whether the whole aperture and some of its background lie on the detector."""
    from xphotfn.measure.coordinates import exposure_at

    return bool(exposure_at(item, position) > 0.3 * item.exposure.data.max() * u.s)


def _background(maps: Sequence[tuple[RateMap, ModelCounts]], field: Field) -> Comparison:
    """Compare all counts outside R200 and the masked sources."""
    recovered = true = 0.0
    for item, model in maps:
        source, annulus = mask(item, field, "r200", background=(1.0, 3.0))
        outside = annulus & ~source
        recovered += float(item.image.data[outside].sum())
        true += float(model.total[outside].sum())
    return Comparison(what="background counts outside R200, all maps", recovered=recovered, true=true, error=true**0.5)


def _mosaic(combined: RateMap, maps: Sequence[RateMap]) -> Comparison:
    """Compare the counts of the mosaic with those of its inputs; sampling pixels may lose or repeat a few."""
    total = float(sum(m.image.data.sum(dtype=np.float64) for m in maps))
    return Comparison(
        what="counts in the mosaic, against its images",
        recovered=float(combined.image.data.sum()),
        true=total,
        error=total**0.5,
    )


def comparison_table(rows: Sequence[Comparison]) -> str:
    """Return the comparison as lines for people, with a verdict."""
    width = max(len(r.what) for r in rows)
    lines = [
        f"{'recovered against true':{width}s} {'recovered':>10s} {'+-':>7s} {'true':>10s} unit    difference/error"
    ]
    lines += [
        f"{r.what:{width}s} {r.recovered:10.1f} {r.error:7.1f} {r.true:10.1f} {r.unit:7s} {r.pull:16.2f}" for r in rows
    ]
    off = sum(abs(r.pull) > 3 for r in rows)
    verdict = f"{off} of {len(rows)} numbers are off by more than 3 sigma" if off else "every number is within 3 sigma"
    return "\n".join([*lines, verdict])
