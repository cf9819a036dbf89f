"""Public names for type checkers; the same list as in __init__.py, which a test compares."""

from xphotfn import commands as commands, curried as curried, testing as testing, typing as typing
from xphotfn.commands.command import Command as Command
from xphotfn.commands.image_grid import ImageGrid as ImageGrid
from xphotfn.commands.step import Step as Step
from xphotfn.engines.native.engine import native_engine as native_engine
from xphotfn.engines.sas import sas_engine as sas_engine
from xphotfn.epic.joined import joined as joined
from xphotfn.errors import (
    CommandFailed as CommandFailed,
    ExpressionError as ExpressionError,
    InvalidFile as InvalidFile,
    InvalidRecord as InvalidRecord,
    NoData as NoData,
    OffImage as OffImage,
    PlanError as PlanError,
    ProductMissing as ProductMissing,
    ShapeMismatch as ShapeMismatch,
    UnitMismatch as UnitMismatch,
    XphotfnError as XphotfnError,
)
from xphotfn.graph.cleaned_list import clean_events as clean_events
from xphotfn.graph.compare import PlanDiff as PlanDiff, diff_plans as diff_plans
from xphotfn.graph.delayed import to_delayed as to_delayed
from xphotfn.graph.event_mosaics import EventMosaic as EventMosaic, mosaic_events as mosaic_events
from xphotfn.graph.export import to_shell as to_shell
from xphotfn.graph.held_energies import PartOfBand as PartOfBand
from xphotfn.graph.joined_runs import join_runs as join_runs
from xphotfn.graph.maps import (
    combined_rate_map as combined_rate_map,
    maps_by_field as maps_by_field,
    rate_maps as rate_maps,
    select as select,
)
from xphotfn.graph.plan import Plan as Plan, describe as describe
from xphotfn.graph.recipes import (
    plan_detection as plan_detection,
    plan_exposure_maps as plan_exposure_maps,
    plan_images as plan_images,
    plan_mosaics as plan_mosaics,
    plan_photometry as plan_photometry,
)
from xphotfn.graph.result import Run as Run, raise_for_failures as raise_for_failures
from xphotfn.graph.run import load_run as load_run, retry_failed as retry_failed, run as run, runs as runs
from xphotfn.graph.run_sources import detected_field as detected_field, source_lists as source_lists
from xphotfn.graph.survivors import surviving_plan as surviving_plan
from xphotfn.io.archive import fetch_products as fetch_products
from xphotfn.io.find import Inventory as Inventory, find_observations as find_observations, inventory as inventory
from xphotfn.io.good_time_files import read_flare_cut as read_flare_cut, read_good_times as read_good_times
from xphotfn.io.match import (
    bulk_field as bulk_field,
    field_of_maps as field_of_maps,
    match_observations as match_observations,
    with_regions as with_regions,
)
from xphotfn.io.products import ExposureMap as ExposureMap, Image as Image, RateMap as RateMap
from xphotfn.io.region_export import write_regions as write_regions
from xphotfn.io.regions import read_regions as read_regions
from xphotfn.io.source_files import write_source_list as write_source_list
from xphotfn.io.source_lists import read_source_list as read_source_list
from xphotfn.io.tables import targets_from_table as targets_from_table
from xphotfn.io.write import write_fits as write_fits
from xphotfn.measure.background_weights import weights_by_map as weights_by_map
from xphotfn.measure.centre import find_centre as find_centre
from xphotfn.measure.completeness import completeness as completeness
from xphotfn.measure.conversion import ecf_from_response as ecf_from_response, power_law_ecf as power_law_ecf
from xphotfn.measure.coordinates import (
    coord_conv as coord_conv,
    counts_at as counts_at,
    exposure_at as exposure_at,
    rate_at as rate_at,
)
from xphotfn.measure.curves import in_out as in_out, light_curve as light_curve
from xphotfn.measure.flare_cuts import flare_cut as flare_cut
from xphotfn.measure.fluxes import fluxes as fluxes
from xphotfn.measure.hardness import hardness_ratios as hardness_ratios
from xphotfn.measure.hydrogen import column_density as column_density
from xphotfn.measure.limit_files import read_limit_map as read_limit_map
from xphotfn.measure.luminosities import luminosity as luminosity
from xphotfn.measure.map_files import rate_map as rate_map, read_rate_map as read_rate_map
from xphotfn.measure.masks import (
    custom_mask as custom_mask,
    edge_mask as edge_mask,
    interloper_mask as interloper_mask,
    mask as mask,
    sensor_mask as sensor_mask,
    source_mask as source_mask,
)
from xphotfn.measure.mosaics import (
    live_area as live_area,
    live_mask as live_mask,
    weighted_exposure as weighted_exposure,
)
from xphotfn.measure.out_of_time_weights import (
    out_of_time_image as out_of_time_image,
    out_of_time_weights as out_of_time_weights,
)
from xphotfn.measure.peak import find_peak as find_peak, near_edge as near_edge
from xphotfn.measure.photometry.apertures import ApertureFlag as ApertureFlag, photometry as photometry
from xphotfn.measure.photometry.joint_photometry import JointFlag as JointFlag, joint_photometry as joint_photometry
from xphotfn.measure.profile import (
    concentration as concentration,
    curve_of_growth as curve_of_growth,
    fit_beta_model as fit_beta_model,
    surface_brightness_profile as surface_brightness_profile,
)
from xphotfn.measure.sensitivity import (
    sensitivity_map as sensitivity_map,
    sky_coverage as sky_coverage,
    upper_limit_map as upper_limit_map,
)
from xphotfn.measure.signal_to_noise import snr as snr, snr_ranking as snr_ranking
from xphotfn.measure.significance_map import significance_map as significance_map
from xphotfn.measure.smoothing import smoothed as smoothed
from xphotfn.measure.source_search import (
    background_map as background_map,
    detect_sources as detect_sources,
    detection_map as detection_map,
)
from xphotfn.plot.completeness_curve import view_completeness as view_completeness
from xphotfn.plot.ds9 import ds9_command as ds9_command, open_in_ds9 as open_in_ds9
from xphotfn.plot.time_plots import save_light_curve as save_light_curve, view_light_curve as view_light_curve
from xphotfn.plot.view import save_view as save_view, view as view
from xphotfn.records.band import Band as Band, energy_band as energy_band
from xphotfn.records.column_density import ColumnDensity as ColumnDensity
from xphotfn.records.ecf import Ecf as Ecf
from xphotfn.records.event import StepEvent as StepEvent
from xphotfn.records.field import Field as Field, FieldObservation as FieldObservation, with_centre as with_centre
from xphotfn.records.good_times import GoodTimes as GoodTimes, good_times as good_times
from xphotfn.records.grid import PixelGrid as PixelGrid
from xphotfn.records.instrument import Instrument as Instrument
from xphotfn.records.left_out import FieldNote as FieldNote, LeftOut as LeftOut
from xphotfn.records.light_curve import FlareCut as FlareCut, InOut as InOut, LightCurve as LightCurve
from xphotfn.records.measurement import Centre as Centre, Measurement as Measurement, Peak as Peak
from xphotfn.records.observation import Exposure as Exposure, Observation as Observation
from xphotfn.records.outcome import Done as Done, Failed as Failed, Skipped as Skipped
from xphotfn.records.region import Region as Region
from xphotfn.records.source import (
    DetectedObject as DetectedObject,
    DetectedSource as DetectedSource,
    MapRate as MapRate,
    SearchedMap as SearchedMap,
    SourceFlag as SourceFlag,
)
from xphotfn.records.source_list import SourceList as SourceList
from xphotfn.records.spectrum import (
    Bremsstrahlung as Bremsstrahlung,
    PowerLaw as PowerLaw,
    SpectrumTable as SpectrumTable,
    absorbed_bremsstrahlung as absorbed_bremsstrahlung,
    absorbed_power_law as absorbed_power_law,
    spectrum_table as spectrum_table,
)
from xphotfn.records.subspace import Subspace as Subspace
from xphotfn.records.target import (
    Target as Target,
    extended_source as extended_source,
    galaxy_cluster as galaxy_cluster,
    point_source as point_source,
)
from xphotfn.reports.site import report as report
from xphotfn.reports.summary import info as info
from xphotfn.science.background_ratio import background_weights as background_weights
from xphotfn.science.crowded import crowded_rates as crowded_rates
from xphotfn.science.detection.search_map import EllipticalSpread as EllipticalSpread
from xphotfn.science.detection.settings import SourceSearch as SourceSearch
from xphotfn.science.encircled_energy import (
    EncircledEnergyTable as EncircledEnergyTable,
    encircled_energy as encircled_energy,
    radius_of_fraction as radius_of_fraction,
)
from xphotfn.science.flare_cut import in_out_ratio as in_out_ratio
from xphotfn.science.hardness_ratio import hardness_ratio as hardness_ratio
from xphotfn.science.intervals import (
    garwood_interval as garwood_interval,
    kraft_interval as kraft_interval,
    on_off_interval as on_off_interval,
)
from xphotfn.science.limits import (
    detection_limit as detection_limit,
    detection_probability as detection_probability,
    upper_limit as upper_limit,
    upper_limit_on_off as upper_limit_on_off,
)
from xphotfn.science.rings import background_ring as background_ring
from xphotfn.science.significance import (
    exact_significance as exact_significance,
    gaussian_significance as gaussian_significance,
    li_ma_significance as li_ma_significance,
    mid_p_significance as mid_p_significance,
)
from xphotfn.science.snr_methods import xga_method as xga_method
from xphotfn.science.source_regions import source_regions as source_regions
from xphotfn.science.spectra import k_correction as k_correction
from xphotfn.store.inspect import explain as explain, prune as prune, verify as verify
from xphotfn.units import xmm_sky as xmm_sky

__all__: tuple[str, ...]
__version__: str
