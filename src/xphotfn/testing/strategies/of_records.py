"""The strategy of every public record, by its class."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from xphotfn.commands.command import Command
from xphotfn.commands.image_grid import ImageGrid
from xphotfn.commands.step import Step
from xphotfn.errors import InvalidRecord
from xphotfn.graph.compare import PlanDiff
from xphotfn.graph.event_mosaics import EventMosaic
from xphotfn.graph.plan import Plan
from xphotfn.graph.result import Run
from xphotfn.io.find import Inventory
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.records.band import Band
from xphotfn.records.column_density import ColumnDensity
from xphotfn.records.ecf import Ecf
from xphotfn.records.event import StepEvent
from xphotfn.records.field import Field, FieldObservation
from xphotfn.records.good_times import GoodTimes
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import Instrument
from xphotfn.records.left_out import FieldNote, LeftOut
from xphotfn.records.light_curve import FlareCut, InOut, LightCurve
from xphotfn.records.measurement import Centre, Measurement, Peak
from xphotfn.records.observation import Exposure, Observation
from xphotfn.records.outcome import Done, Failed, Skipped
from xphotfn.records.region import Region
from xphotfn.records.source import DetectedObject, DetectedSource, MapRate, SearchedMap
from xphotfn.records.source_list import SourceList
from xphotfn.records.spectrum import Bremsstrahlung, PowerLaw, SpectrumTable
from xphotfn.records.subspace import Subspace
from xphotfn.records.target import Target
from xphotfn.science.detection.search_map import EllipticalSpread
from xphotfn.science.detection.settings import SourceSearch
from xphotfn.science.encircled_energy import EncircledEnergyTable
from xphotfn.testing.strategies.of_arrays import (
    elliptical_spreads,
    encircled_energy_tables,
    event_mosaics,
    source_searches,
)
from xphotfn.testing.strategies.of_commands import commands
from xphotfn.testing.strategies.of_files import field_notes, left_outs, subspaces
from xphotfn.testing.strategies.of_fluxes import column_densities, ecfs, spectra
from xphotfn.testing.strategies.of_found import exposures, field_observations, fields, inventories, observations
from xphotfn.testing.strategies.of_measurements import centres, measurements, peaks, products
from xphotfn.testing.strategies.of_plans import outcomes, plan_diffs, plans, runs, step_events, steps
from xphotfn.testing.strategies.of_regions import regions
from xphotfn.testing.strategies.of_sky import bands, grids, image_grids, instruments, targets
from xphotfn.testing.strategies.of_source_lists import detected_sources, source_lists, source_parts
from xphotfn.testing.strategies.of_times import flare_cuts, good_times, in_outs, light_curves

__all__ = ("records",)

Strategy = st.SearchStrategy[Any]
_STRATEGIES: dict[type, Callable[[], Strategy]] = {
    Band: bands,
    Bremsstrahlung: lambda: spectra(kind=Bremsstrahlung),
    Centre: centres,
    ColumnDensity: column_densities,
    Command: commands,
    DetectedObject: lambda: source_parts(kind="object"),
    DetectedSource: detected_sources,
    Done: lambda: outcomes(kind="done"),
    Ecf: ecfs,
    EllipticalSpread: elliptical_spreads,
    SourceSearch: source_searches,
    EncircledEnergyTable: encircled_energy_tables,
    EventMosaic: event_mosaics,
    Exposure: exposures,
    ExposureMap: lambda: products(kind="exposure_map"),
    Failed: lambda: outcomes(kind="failed"),
    Field: fields,
    FieldNote: field_notes,
    FieldObservation: field_observations,
    FlareCut: flare_cuts,
    GoodTimes: good_times,
    InOut: in_outs,
    LightCurve: light_curves,
    Image: lambda: products(kind="image"),
    ImageGrid: image_grids,
    Instrument: instruments,
    Inventory: inventories,
    LeftOut: left_outs,
    MapRate: lambda: source_parts(kind="rate"),
    Measurement: measurements,
    Observation: observations,
    Peak: peaks,
    PixelGrid: grids,
    Plan: plans,
    PlanDiff: plan_diffs,
    PowerLaw: lambda: spectra(kind=PowerLaw),
    RateMap: lambda: products(kind="rate_map"),
    Region: regions,
    Run: runs,
    SearchedMap: lambda: source_parts(kind="map"),
    Skipped: lambda: outcomes(kind="skipped"),
    SourceList: source_lists,
    SpectrumTable: lambda: spectra(kind=SpectrumTable),
    Step: steps,
    StepEvent: step_events,
    Subspace: subspaces,
    Target: targets,
}


def records(kind: type) -> Strategy:
    """Return the strategy of a public record.

    Parameters
    ----------
    kind
        Its class, such as ``xphotfn.Band``.

    Raises
    ------
    InvalidRecord
        If it is no record that xphotfn exports.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(records(Band), lambda band: band.lo_ev >= 500)
    Band(lo_ev=500, hi_ev=501)
    """
    if kind not in _STRATEGIES:
        names = ", ".join(sorted(known.__name__ for known in _STRATEGIES))
        raise InvalidRecord(f"no strategy for {kind!r}: it must be one of {names}")
    return _STRATEGIES[kind]()
