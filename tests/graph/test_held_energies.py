"""A list that was cut in energy before holds no other energies: refused, or said, when the plan is made."""

import pickle
import shutil

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, strategies as st

import xphotfn as xp
from xphotfn.graph.held_energies import part_of_band
from xphotfn.graph.one_image import image_of_events
from xphotfn.records.band import Band
from xphotfn.records.energies import Energies, PiRanges

SOFT = xp.energy_band(0.5 * u.keV, 2 * u.keV)


def held(lo, hi):
    ranges = PiRanges(ranges=[(lo, hi)])
    return Energies(everywhere=ranges, somewhere=ranges)


@pytest.fixture(scope="module")
def clean(folders_root, tmp_path_factory):
    """SAS's list of 0001730201, cut at PI 500 to 10000, alone in its folder."""
    root = tmp_path_factory.mktemp("clean")
    shutil.copy(folders_root / "pps" / "0001730201" / "M1_clean.fits.gz", root)
    return root


def field_of(root):
    observations = xp.find_observations(root)
    at = observations[0].ra_deg * u.deg, observations[0].dec_deg * u.deg
    return xp.match_observations(xp.extended_source("target", *at, radius=1 * u.arcmin), observations)


def test_a_band_outside_is_refused(clean):
    band = xp.energy_band(0.2 * u.keV, 0.5 * u.keV)
    for plan in (xp.plan_images, xp.plan_photometry):
        with pytest.raises(xp.PlanError, match=r"the event list holds 0.5-10 keV only, nothing of 0.2-0.5 keV"):
            plan(field_of(clean), band)
    engine = xp.native_engine()
    with pytest.raises(xp.PlanError, match="holds 0.5-10 keV only"):
        image_of_events(clean / "M1_clean.fits.gz", band, clean / "i.fits", engine=engine)
    with pytest.raises(xp.PlanError, match="holds 0.5-10 keV only"):
        xp.mosaic_events(field_of(clean), band, engine=engine)


def test_a_band_partly_outside_is_said_three_times(clean, tmp_path):
    band = xp.energy_band(0.3 * u.keV, 2 * u.keV)
    with pytest.warns(xp.PartOfBand, match="holds 0.5-10 keV, only a part of 0.3-2 keV") as caught:
        plan = xp.plan_images(field_of(clean), band)
    warning = caught[0].message
    assert (warning.band, warning.holds) == ("0.3-2 keV", "0.5-10 keV")
    assert warning.who.startswith("0001730201 mos1")
    assert pickle.loads(pickle.dumps(warning)).holds == "0.5-10 keV"
    assert str(warning) in plan.notes
    assert "only a part of 0.3-2 keV" in xp.describe(plan)
    run = xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False)
    ((_, path, _),) = xp.raise_for_failures(run).products()
    header = fits.getheader(path)
    assert "500:2000" in [header[k] for k in header if k.startswith("DSVAL")]


def test_what_it_holds_is_made_without_a_word(clean):
    assert not [note for note in xp.plan_images(field_of(clean), SOFT).notes if "part" in note]


@given(st.integers(1, 9000), st.integers(3, 3000), st.integers(1, 9000), st.integers(3, 3000))
def test_all_part_or_nothing(lo, wide, start, width):
    """By counting channels between the edges of the band."""
    band, energies = Band(lo_ev=lo, hi_ev=lo + wide), held(start, start + width)
    inner = np.arange(lo + 1, lo + wide)
    inside = (inner >= start) & (inner <= start + width)
    if not inside.any():
        with pytest.raises(xp.PlanError, match="nothing of"):
            part_of_band("x", energies, band)
    elif inside.all():
        assert part_of_band("x", energies, band) == ()
    else:
        with pytest.warns(xp.PartOfBand):
            assert len(part_of_band("x", energies, band)) == 1


def test_find_says_what_a_cut_list_holds(clean, folders_root, data_root):
    (observation,) = xp.find_observations(clean)
    assert observation.notes == ("M1_clean.fits.gz: is used and holds a part only: 0.5-10 keV",)
    whole = xp.find_observations(data_root / "pps" / "0001730201")
    assert not [note for note in whole[0].left_out if note.reason == "part"]
