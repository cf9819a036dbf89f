"""Records in the wrong place and names that nearly exist: errors name what was given, and what makes the right one."""

import astropy.units as u
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.testing.examples import example_field, example_rate_map, example_run

BAND = xp.energy_band("0.5 keV", "2 keV")
FIELD = example_field()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: xp.plan_photometry(FIELD, "0.5-2.0keV"), r"expected Band, as energy_band\(.*got '0.5-2.0keV'"),
        (lambda: xp.plan_photometry(FIELD, (0.5, 2.0)), r"expected Band, .*got 0.5"),
        (lambda: xp.plan_photometry(FIELD.target, BAND), r"expected Field, as match_observations\(.*got Target"),
        (lambda: xp.match_observations(FIELD.observations, FIELD.target), "expected Target.*got Observation"),
        (lambda: xp.match_observations(FIELD.target, "folder"), r"as find_observations\(root\).*got 'folder'"),
        (lambda: xp.snr(FIELD, example_rate_map(), "r500"), "expected RateMap.*got Field"),
        (lambda: xp.snr([example_rate_map()], FIELD, "r500"), "expected RateMap.*got list"),
        (lambda: xp.snr(example_rate_map(), FIELD.target, "r500"), "expected Field.*got Target"),
        (lambda: xp.combined_rate_map(example_run().plan), r"expected Run, as run\(plan, ...\).*got Plan"),
        (lambda: xp.rate_maps("store"), "expected Run.*got 'store'"),
    ],
)
def test_a_record_of_another_kind_is_refused_by_name(call, said):
    with pytest.raises(xp.InvalidRecord, match=said):
        call()


def test_one_map_is_ranked_as_one_of_several():
    one = xp.snr_ranking(example_rate_map(), FIELD, 60 * u.arcsec)
    several = xp.snr_ranking([example_rate_map()], FIELD, 60 * u.arcsec)
    assert list(one["snr"]) == list(several["snr"])


def test_a_printed_ranking_shows_its_numbers_short_and_keeps_them_whole():
    table = xp.snr_ranking([example_rate_map()], FIELD, 60 * u.arcsec)
    value = float(xp.snr(example_rate_map(), FIELD, 60 * u.arcsec))
    assert table["snr"][0] == value
    assert f"{value:.2f}" in "\n".join(table["obs_id", "snr"].pformat())


@pytest.mark.parametrize(
    "call",
    [
        lambda: xp.detect_sources(example_rate_map(), progress="no"),
        lambda: xp.completeness(example_rate_map(), fluxes=0.1 * u.ct / u.s, rng=np.random.default_rng(1), progress=0),
        lambda: xp.find_observations(".", progress="no"),
        lambda: xp.report(example_run(), "report", progress=None),
    ],
)
def test_a_switch_is_true_or_false(call):
    with pytest.raises(xp.InvalidRecord, match="progress must be True or False"):
        call()


@pytest.mark.parametrize(("wrong", "right"), [("galaxy_clusters", "galaxy_cluster"), ("ratemaps", "rate_maps")])
def test_a_name_that_nearly_exists_is_named(wrong, right):
    with pytest.raises(AttributeError, match=f"has no attribute '{wrong}'. Did you mean .*{right}"):
        getattr(xp, wrong)


def test_tab_completion_offers_public_names_only():
    assert {name for name in dir(xp) if not name.startswith("__")} == set(xp.__all__)


def test_a_target_shows_what_is_known_of_it():
    cluster = xp.galaxy_cluster("A907", 149.6, -11.1, redshift=0.16, r500=1200 * u.kpc, extra={"richness": 71})
    assert repr(cluster) == (
        "Target(name='A907', kind='cluster', ra_deg=149.6, dec_deg=-11.1, redshift=0.16, r500=1200.0 kpc, "
        "cosmology='Planck15', extra={'richness': 71})"
    )
    star = xp.point_source("star", 1, 2, radius=20 * u.arcsec)
    assert repr(star) == "Target(name='star', kind='point', ra_deg=1.0, dec_deg=2.0, radius=20.0 arcsec)"
