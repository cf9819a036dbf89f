"""The public names: the contract, its types, and the curried mirror."""

import ast
import inspect
from pathlib import Path

import pytest

import xphotfn as xp
from xphotfn import curried as xc

CONTRACT = [
    "find_observations",
    "match_observations",
    "bulk_field",
    "galaxy_cluster",
    "extended_source",
    "point_source",
    "targets_from_table",
    "with_centre",
    "energy_band",
    "plan_images",
    "plan_exposure_maps",
    "plan_mosaics",
    "plan_photometry",
    "describe",
    "run",
    "load_run",
    "raise_for_failures",
    "to_delayed",
    "native_engine",
    "rate_maps",
    "combined_rate_map",
    "select",
    "find_peak",
    "coord_conv",
    "rate_at",
    "exposure_at",
    "counts_at",
    "xmm_sky",
    "view",
    "interloper_mask",
    "source_mask",
    "mask",
    "custom_mask",
    "info",
    "snr",
    "snr_ranking",
    "xga_method",
    "write_fits",
    "curried",
    "commands",
]

SIGNATURES = {
    "find_observations": "(root, *, layout=, prefer=, progress=)",
    "galaxy_cluster": "(name, ra, dec=, *, redshift, r200=, r500=, r2500=, cosmology=, nh=, extra=)",
    "match_observations": "(target_or_targets, observations, *, within=, region_image=, regions=)",
    "plan_images": "(field_or_fields, band_or_bands, *, grid=, selection=, reference=, flares=)",
    "plan_exposure_maps": "(field_or_fields, band_or_bands, *, grid=, selection=, reference=, vignetting=, flares=)",
    "plan_mosaics": "(field_or_fields, band_or_bands, *, grid=, selection=, reference=, flares=)",
    "plan_photometry": "(field_or_fields, band_or_bands, *, grid=, selection=, reference=, flares=, regions=)",
    "run": "(plan, *, engine, store, workers=, scheduler=, progress=, tries=, part=)",
    "to_delayed": "(plan, *, engine, store)",
    "rate_maps": "(run, *, target=, band=)",
    "combined_rate_map": "(run, *, target=, band=)",
    "coord_conv": "(product, coords, to, *, rounded=)",
    "source_mask": "(product, field, region, *, centre=, background=)",
    "mask": "(product, field, region, *, centre=, background=)",
    "interloper_mask": "(product, field)",
    "custom_mask": "(product, field, *, outer, inner=, centre=, remove_interlopers=, overlap=)",
    "find_peak": "(rate_map, field, *, method=, search=)",
    "find_centre": "(maps, field, *, region=, search=, peak=)",
    "with_centre": "(field, position)",
    "snr": "(rate_map, field, region, *, method=, background=, background_weights=)",
    "snr_ranking": "(maps, field, region, *, method=, background=, background_weights=)",
    "xga_method": "(*, exp_corr=, allow_negative=)",
    "info": "(field_or_fields, *, run=, method=, background_weights=)",
    "view": (
        "(product, *, like=, cross_hair=, mask=, field=, circles=, smooth=, stretch=, zoom_in=, figsize=, ax=, "
        "sources=)"
    ),
}


@pytest.mark.parametrize("name", CONTRACT)
def test_every_name_of_the_contract_is_there_and_documented(name):
    assert name in xp.__all__
    assert name in dir(xp)
    value = getattr(xp, name)
    if inspect.isfunction(value):
        assert "Examples" in inspect.getdoc(value)


def shown(function):
    parts, star = [], False
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        parts.append(p.name + ("" if p.default is p.empty else "="))
    return f"({', '.join(parts)})"


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name):
    assert shown(getattr(xp, name)) == SIGNATURES[name]


def test_every_public_function_has_an_example():
    for name in xp.__all__:
        value = getattr(xp, name)
        if inspect.isfunction(value):
            assert ">>>" in inspect.getdoc(value), name


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'find_stars'"):
        _ = xp.find_stars
    with pytest.raises(AttributeError, match="no attribute 'commands'"):
        _ = xc.commands


def test_the_types_name_the_same_things():
    tree = ast.parse(Path(xp.__file__).with_suffix(".pyi").read_text())
    named = {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(xp.__all__)


def keys_of(tree, name):
    """Return the texts of a dict that a module assigns to a name."""
    (value,) = [n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == name]
    return {key.value for key in value.keys}


def test_every_public_function_has_a_case_in_the_test_of_values():
    tree = ast.parse(Path(__file__).with_name("test_values.py").read_text(encoding="utf-8"))
    functions = {name for name in xp.__all__ if inspect.isfunction(getattr(xp, name))}
    known = keys_of(tree, "CASES") | keys_of(tree, "ELSEWHERE")
    assert not functions - known, (
        f"{', '.join(sorted(functions - known))}: a new public function needs a line in CASES of tests/test_values.py "
        "that calls it on a small example (m.map, m.field, m.run, m.table(), m.sources, m.new(name) are there). What "
        "it returns must print, have _repr_html_ (record_html of html.py; Several for tuples of records, "
        "ResultTable for tables) and, where it is a map, have grid, data, title, label, planes and cards, for view and "
        "write_fits; what takes more than 2 s of CPU stands in SLOW, too"
    )
    assert not known - functions, "cases of functions that are gone"
