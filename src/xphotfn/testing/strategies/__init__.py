"""Hypothesis strategies for records, arrays, selections and plans, for the tests of users as well as our own.

Every value is valid by construction: nothing is drawn and thrown away. Arrays are drawn as a seed and a few
parameters, never pixel by pixel, so they are cheap to make, and a failing example names what it was made of.
:func:`records` gives the strategy of any public record. Only this package imports hypothesis, which comes with the
``test`` extra.
"""

from xphotfn.testing.strategies.of_arrays import (
    count_maps,
    elliptical_spreads,
    encircled_energy_tables,
    event_mosaics,
    exposure_maps,
    masks,
    source_searches,
)
from xphotfn.testing.strategies.of_commands import commands
from xphotfn.testing.strategies.of_expressions import expressions, selections
from xphotfn.testing.strategies.of_files import energies, field_notes, file_facts, left_outs, subspaces
from xphotfn.testing.strategies.of_fluxes import column_densities, ecfs, spectra
from xphotfn.testing.strategies.of_folders import folders
from xphotfn.testing.strategies.of_found import exposures, field_observations, fields, inventories, observations
from xphotfn.testing.strategies.of_measurements import centres, measurements, peaks, products
from xphotfn.testing.strategies.of_plans import outcomes, plan_diffs, plans, runs, step_events, steps
from xphotfn.testing.strategies.of_records import records
from xphotfn.testing.strategies.of_regions import region_sets, regions
from xphotfn.testing.strategies.of_sky import bands, grids, image_grids, instruments, positions, targets
from xphotfn.testing.strategies.of_source_lists import detected_sources, source_lists, source_parts
from xphotfn.testing.strategies.of_times import flare_cuts, good_times, in_outs, light_curves

__all__ = (
    "bands",
    "centres",
    "column_densities",
    "commands",
    "count_maps",
    "detected_sources",
    "ecfs",
    "elliptical_spreads",
    "encircled_energy_tables",
    "energies",
    "event_mosaics",
    "exposure_maps",
    "exposures",
    "expressions",
    "field_notes",
    "field_observations",
    "fields",
    "file_facts",
    "flare_cuts",
    "folders",
    "good_times",
    "grids",
    "image_grids",
    "in_outs",
    "instruments",
    "inventories",
    "left_outs",
    "light_curves",
    "masks",
    "measurements",
    "observations",
    "outcomes",
    "peaks",
    "plan_diffs",
    "plans",
    "positions",
    "products",
    "records",
    "region_sets",
    "regions",
    "runs",
    "selections",
    "source_lists",
    "source_parts",
    "source_searches",
    "spectra",
    "step_events",
    "steps",
    "subspaces",
    "targets",
)
