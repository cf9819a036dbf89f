"""Functional X-ray photometry for XMM-Newton EPIC.

Frozen records describe observations and products, pure functions compute masks, rates and significances, and SAS
commands are data that either real SAS or our own numpy interpreter executes. Names load when they are first used;
importing xphotfn writes nothing and configures nothing.

Examples
--------
>>> import astropy.units as u
>>> import xphotfn as xp
>>> xp.energy_band(0.5 * u.keV, 2.0 * u.keV)
Band(lo_ev=500, hi_ev=2000)
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "errors": (
        "CommandFailed ExpressionError InvalidFile InvalidRecord NoData OffImage PlanError "
        "ProductMissing ShapeMismatch UnitMismatch XphotfnError"
    ),
    "units": "xmm_sky",
    "records.band": "Band energy_band",
    "records.column_density": "ColumnDensity",
    "records.ecf": "Ecf",
    "records.event": "StepEvent",
    "records.field": "Field FieldObservation with_centre",
    "records.good_times": "GoodTimes good_times",
    "records.grid": "PixelGrid",
    "records.instrument": "Instrument",
    "records.light_curve": "FlareCut InOut LightCurve",
    "records.left_out": "FieldNote LeftOut",
    "records.measurement": "Centre Measurement Peak",
    "records.observation": "Exposure Observation",
    "records.outcome": "Done Failed Skipped",
    "records.region": "Region",
    "records.source": "DetectedObject DetectedSource MapRate SearchedMap SourceFlag",
    "records.source_list": "SourceList",
    "records.spectrum": (
        "Bremsstrahlung PowerLaw SpectrumTable absorbed_bremsstrahlung absorbed_power_law spectrum_table"
    ),
    "records.subspace": "Subspace",
    "records.target": "Target extended_source galaxy_cluster point_source",
    "science.source_regions": "source_regions",
    "science.snr_methods": "xga_method",
    "commands.command": "Command",
    "commands.image_grid": "ImageGrid",
    "commands.step": "Step",
    "io.archive": "fetch_products",
    "io.find": "Inventory find_observations inventory",
    "io.match": "bulk_field field_of_maps match_observations with_regions",
    "io.products": "ExposureMap Image RateMap",
    "io.regions": "read_regions",
    "io.source_files": "write_source_list",
    "io.source_lists": "read_source_list",
    "io.tables": "targets_from_table",
    "io.write": "write_fits",
    "engines.native.engine": "native_engine",
    "graph.held_energies": "PartOfBand",
    "graph.plan": "Plan describe",
    "graph.recipes": "plan_detection plan_exposure_maps plan_images plan_mosaics plan_photometry",
    "graph.result": "Run raise_for_failures",
    "graph.run": "load_run retry_failed run runs",
    "graph.joined_runs": "join_runs",
    "graph.survivors": "surviving_plan",
    "graph.delayed": "to_delayed",
    "io.good_time_files": "read_flare_cut read_good_times",
    "graph.cleaned_list": "clean_events",
    "measure.curves": "in_out light_curve",
    "measure.photometry.apertures": "ApertureFlag photometry",
    "measure.hydrogen": "column_density",
    "measure.conversion": "ecf_from_response power_law_ecf",
    "measure.completeness": "completeness",
    "measure.coordinates": "coord_conv counts_at exposure_at rate_at",
    "measure.flare_cuts": "flare_cut",
    "measure.fluxes": "fluxes",
    "measure.source_search": "background_map detect_sources detection_map",
    "reports.summary": "info",
    "measure.hardness": "hardness_ratios",
    "measure.limit_files": "read_limit_map",
    "measure.map_files": "rate_map read_rate_map",
    "measure.luminosities": "luminosity",
    "graph.maps": "combined_rate_map maps_by_field rate_maps select",
    "epic.joined": "joined",
    "graph.run_sources": "detected_field source_lists",
    "measure.masks": "custom_mask edge_mask interloper_mask mask sensor_mask source_mask",
    "graph.event_mosaics": "EventMosaic mosaic_events",
    "measure.mosaics": "live_area live_mask weighted_exposure",
    "measure.centre": "find_centre",
    "measure.peak": "find_peak near_edge",
    "measure.signal_to_noise": "snr snr_ranking",
    "measure.significance_map": "significance_map",
    "engines.sas": "sas_engine",
    "store.inspect": "explain prune verify",
    "graph.export": "to_shell",
    "graph.compare": "PlanDiff diff_plans",
    "science.significance": "exact_significance gaussian_significance li_ma_significance mid_p_significance",
    "science.intervals": "garwood_interval kraft_interval on_off_interval",
    "science.limits": "detection_limit detection_probability upper_limit upper_limit_on_off",
    "science.background_ratio": "background_weights",
    "science.spectra": "k_correction",
    "science.crowded": "crowded_rates",
    "science.hardness_ratio": "hardness_ratio",
    "science.encircled_energy": "EncircledEnergyTable encircled_energy radius_of_fraction",
    "science.detection.search_map": "EllipticalSpread",
    "science.detection.settings": "SourceSearch",
    "science.rings": "background_ring",
    "science.flare_cut": "in_out_ratio",
    "measure.out_of_time_weights": "out_of_time_image out_of_time_weights",
    "measure.background_weights": "weights_by_map",
    "measure.profile": "concentration curve_of_growth fit_beta_model surface_brightness_profile",
    "measure.sensitivity": "sensitivity_map sky_coverage upper_limit_map",
    "measure.smoothing": "smoothed",
    "measure.photometry.joint_photometry": "JointFlag joint_photometry",
    "io.region_export": "write_regions",
    "plot.time_plots": "save_light_curve view_light_curve",
    "plot.completeness_curve": "view_completeness",
    "plot.view": "save_view view",
    "plot.ds9": "ds9_command open_in_ds9",
    "reports.site": "report",
}
_NAMES = {name: f"xphotfn.{module}" for module, names in _WHERE.items() for name in names.split()}
_MODULES = ("commands", "curried", "testing", "typing")

__all__ = (*sorted(_NAMES), *_MODULES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = import_module(f"xphotfn.{name}")
    else:
        raise AttributeError(f"module 'xphotfn' has no attribute {name!r}{_nearest(name)}")
    globals()[name] = value
    return value


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    near = [] if name.startswith("_") else get_close_matches(name, __all__, n=3)
    return f". Did you mean {' or '.join(near)}?" if near else ""


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
