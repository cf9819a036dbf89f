"""Where each module is tested: ``room/name.py`` in ``tests/room/test_name.py``; families and others as listed here.

Names of files are unique, so that the name alone finds the test. A new module has a test file of its name. What is
listed is tested by what it is for, together with others; an entry that is needed no more is an error: the list shrinks.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import xphotfn as xp

TESTS = Path(__file__).resolve().parent
SOURCE = Path(xp.__file__).parent
FAMILIES = {  # folders that are tested as one
    "commands/selection": "commands/test_selection.py",
    "testing/strategies": "testing/test_strategies.py",
}
ELSEWHERE = {
    "browser/test_notebook_html.py": "html io/thumbnails records/several graph/drawing",
    "cli/test_catalogues.py": "cli/profiles",
    "cli/test_command_line.py": (
        "cli/comparison cli/demo cli/group cli/looking cli/main_group cli/making cli/measuring cli/options cli/running "
        "cli/sample cli/starting cli/stores"
    ),
    "cli/test_mistakes.py": "cli/output store/run_record",
    "commands/test_builders.py": "records/instrument commands/default_selection commands/preparation commands/writing",
    "commands/test_names.py": "commands/pps_names",
    "commands/test_selected_energies.py": "records/energies",
    "commands/test_task_rows.py": "commands/command engines/made engines/native/engine",
    "engines/native/eexpmap/test_eexpmap_real.py": "engines/native/eexpmap/map_inputs epic/camera/attitude",
    "engines/native/evselect/test_evselect_task.py": (
        "engines/native/evselect/binning engines/native/evselect/filtered_list engines/native/evselect/header_cards "
        "engines/native/evselect/request engines/native/versions epic/event_source epic/events "
        "epic/selecting/arithmetic"
    ),
    "engines/shims/test_task.py": "engines/shims/scratch",
    "engines/test_sas.py": "engines/printed engines/processes engines/protocol records/outcome store/kernel",
    "epic/camera/test_response_and_projection.py": "epic/camera/projection epic/camera/response epic/livetime",
    "epic/selecting/test_data_subspace.py": "commands/dss",
    "epic/selecting/test_evaluate.py": "epic/selecting/filters epic/selecting/planes",
    "epic/test_looked_at.py": "engines/native/evselect/filter_blocks",
    "graph/test_cleaned_list.py": "engines/native/flarecut epic/in_out epic/live_curve measure/curves",
    "graph/test_detection_steps.py": (
        "commands/source_detection engines/native/xdetect graph/run_sources science/detection/tile_parts"
    ),
    "graph/test_distributed.py": "graph/delayed graph/futures",
    "graph/test_event_mosaics.py": "graph/one_image io/beside",
    "graph/test_export.py": "commands/shell commands/step graph/compare",
    "graph/test_flare_steps.py": (
        "commands/own_times commands/timing engines/native/evselect/flare_cards epic/exposure_times"
    ),
    "graph/test_joined_runs.py": "cli/given_maps",
    "graph/test_joint_flares.py": "cli/cleaning",
    "graph/test_pipeline_curve.py": "io/flare_curves io/good_time_files",
    "graph/test_plan.py": "graph/product_steps graph/recipes",
    "graph/test_run.py": "graph/maps graph/progress",
    "graph/test_workers.py": "graph/cluster",
    "io/test_archive.py": "cli/fetching commands/archive_query",
    "io/test_find.py": "commands/conditions io/closer io/layout io/recognise io/tree",
    "io/test_fits.py": "io/blocks io/cards",
    "io/test_hostile_fits.py": "io/bounded",
    "io/test_match.py": "science/matching",
    "io/test_products_grid.py": "io/headers io/products",
    "io/test_real_folders.py": "graph/undecided",
    "io/test_responses.py": "science/folding science/spectra",
    "io/test_source_files.py": "io/column_units io/list_columns io/own_lists science/source_regions",
    "io/test_tables.py": "io/sky_columns",
    "io/test_written_files.py": "io/file_kinds io/table_files io/write",
    "laws/test_coordinate_laws.py": "science/coords",
    "laws/test_mask_laws.py": "measure/masks science/pixel_masks science/ratemap",
    "laws/test_mosaic_laws.py": "io/image_data science/mosaic",
    "laws/test_peak_laws.py": "measure/peak science/peaks",
    "laws/test_shape_laws.py": "science/shapes",
    "laws/test_significance_laws.py": "science/snr_methods",
    "laws/test_unit_laws.py": "units",
    "measure/photometry/test_apertures.py": "measure/photometry/columns measure/photometry/sums records/result_table",
    "measure/photometry/test_crowding.py": "measure/photometry/circles",
    "measure/photometry/test_joint_photometry.py": (
        "measure/photometry/joint_response measure/photometry/joint_rows science/consistency"
    ),
    "measure/photometry/test_spread.py": "science/point_spread science/spreads simulate/field_of_view",
    "measure/test_completeness.py": "plot/completeness_curve",
    "measure/test_conversion.py": "io/conversion_tables science/interpolation",
    "measure/test_fluxes.py": "measure/luminosities records/ecf",
    "measure/test_hydrogen.py": "io/hydrogen_map records/column_density reports/summary",
    "measure/test_map_facts.py": "io/vignetting_card measure/factors",
    "measure/test_profile.py": "measure/ring_sums",
    "measure/test_sensitivity.py": "measure/photometry/every_pixel science/kernels",
    "measure/test_source_search.py": "epic/map_search",
    "measure/test_written_maps.py": "io/on_grid measure/limit_files",
    "oracles/test_recorded.py": "measure/coordinates",
    "plot/test_view.py": "measure/smoothing plot/picture",
    "records/test_contract.py": "records/event",
    "records/test_field.py": "records/measurement",
    "records/test_source_list.py": "records/source",
    "records/test_target.py": "records/fields",
    "reports/test_flares.py": "reports/page_records",
    "reports/test_folder.py": "graph/result",
    "reports/test_site.py": (
        "epic/log reports/from_run reports/index_page reports/pictures reports/run_steps reports/target_page"
    ),
    "reports/test_svg_overlays.py": "plot/map_png",
    "science/detection/test_search.py": (
        "science/detection/candidates science/detection/fit science/detection/flags "
        "science/detection/judging science/detection/likelihood science/detection/objects science/detection/pairs "
        "science/detection/refinement science/detection/score science/detection/search_map "
        "science/detection/sky science/detection/templates"
    ),
    "science/joint/test_rate.py": (
        "science/_numeric science/joint/conditional science/joint/one_measurement science/wstat"
    ),
    "science/detection/test_tiles.py": "science/detection/tile_lists",
    "science/test_discs.py": "science/disc_sums science/overlap",
    "science/test_distances.py": "science/flat_cosmology",
    "science/test_encircled_energy.py": "science/king",
    "science/test_flares.py": (
        "measure/flare_cuts records/light_curve science/flare_cut science/good_rows science/silent_time "
        "science/sources science/time_bins"
    ),
    "science/test_identity.py": "commands/time_cut records/facts records/left_out records/subspace",
    "science/test_intervals.py": "science/gamma_mixture science/on_off",
    "science/test_significance.py": "science/_tails",
    "simulate/test_model.py": "simulate/psf simulate/readout simulate/scene",
    "simulate/test_observing.py": "simulate/file_headers",
    "simulate/test_photons.py": "simulate/event_files simulate/event_headers",
    "store/test_inspect.py": "store/digests store/explanation store/owner",
    "store/test_product_store.py": "io/cache",
    "test_walls.py": "typing",
}
PLACES = {place: test for test, places in ELSEWHERE.items() for place in places.split()}


@cache
def modules():
    """Return the modules of the package as ``room/name``, without those that only hand names on."""
    places = (path.relative_to(SOURCE).with_suffix("").as_posix() for path in sorted(SOURCE.rglob("*.py")))
    return [place for place in places if not place.endswith(("__init__", "__main__"))]


@cache
def files_of_tests():
    """Return what the test files are named for."""
    return {path.stem.removeprefix("test_") for path in TESTS.rglob("test_*.py")}


def has_its_own(place):
    """Return whether a module, or its folder, has a test file of its name."""
    return place.rpartition("/")[2] in files_of_tests() or place.rpartition("/")[0] in FAMILIES


@cache
def imports():
    """Return the modules that each module imports, in functions and as texts too."""
    known = set(modules())
    return {place: places_in((SOURCE / f"{place}.py").read_text(encoding="utf-8")) & known for place in known}


def places_in(text):
    """Return the places that a file imports, with those behind packages that hand names on."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.replace(".", "/") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            package = node.module.replace(".", "/")
            found |= {package, *(f"{package}/{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            dotted, _, rest = node.value.partition(":")
            if re.fullmatch(r"[\w.]+", dotted):  # a module, or the place in the row of a task
                place = dotted.replace(".", "/")
                found |= {place} | ({f"xphotfn/{r}/{place}" for r in ("commands", "engines/native")} if rest else set())
    found = {place.removeprefix("xphotfn/") for place in found}
    return found.union(*map(handed_on_by, found))


@cache
def handed_on_by(package):
    """Return the modules whose names a package's ``__init__`` hands on."""
    path = SOURCE / package / "__init__.py"
    if not package or not path.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(
        n.module.removeprefix("xphotfn.").replace(".", "/") for n in nodes if isinstance(n, ast.ImportFrom) and n.module
    )


def reached(test):
    """Return the modules that a test file can reach by imports."""
    text = (TESTS / test).read_text(encoding="utf-8")
    names = set(re.findall(r"\w+", text))
    public = {module.replace(".", "/") for module, those in xp._WHERE.items() if names & set(those.split())}
    found, waiting = set(), list((places_in(text) | public) & set(modules()))
    while waiting:
        place = waiting.pop()
        if place not in found:
            found.add(place)
            waiting.extend(imports()[place])
    return found


def test_every_module_has_a_test_that_its_name_finds():
    lost = [place for place in modules() if not has_its_own(place) and place not in PLACES]
    assert not lost, f"give these modules a test file of their name (tests/ROOM/test_NAME.py): {', '.join(lost)}"


def test_what_is_listed_is_there_and_needed():
    assert set(PLACES) <= set(modules())
    assert not [place for place in PLACES if has_its_own(place)], "these have a test file of their name now"
    assert all((TESTS / test).is_file() for test in (*ELSEWHERE, *FAMILIES.values()))


@pytest.mark.parametrize("test", ELSEWHERE)
def test_what_is_listed_is_reached_from_there(test):
    assert not set(ELSEWHERE[test].split()) - reached(test)


def test_a_module_without_a_test_is_noticed():
    assert not has_its_own("science/astrology")
    assert has_its_own("science/limits")
    assert has_its_own("commands/selection/lexer")
    assert "graph/cluster" not in reached("science/test_limits.py")
