"""The journey of Abell 907 from event lists and attitude alone (MOS; pn event lists are not at hand)."""

import os
import shutil

import numpy as np
import pytest

import xphotfn as xp


@pytest.fixture(scope="module")
def native(data_root, a907, tmp_path_factory):
    """The run on a tree without any MOS image or exposure map."""
    root = tmp_path_factory.mktemp("native") / "a907"
    hidden = shutil.ignore_patterns("*_mos*_img.fits.gz", "*_mos*_expmap.fits.gz")
    shutil.copytree(data_root / "a907", root, copy_function=os.symlink, ignore=hidden)
    field = xp.match_observations(a907.target, xp.find_observations(root))
    plan = xp.plan_photometry(field, a907.soft, reference="0404910601")
    run = xp.run(plan, engine=xp.native_engine(), store=root.parent / "store", progress=False)
    return xp.raise_for_failures(run)


def test_everything_of_mos_is_made(native):
    tasks = [s.command.task for s in native.plan.steps]
    assert [tasks.count(t) for t in ("evselect", "eexpmap", "cifbuild", "emosaic")] == [6, 6, 0, 2]


def test_snr_of_mos_within_three_permille_of_sas(native, a907):
    compared = 0
    for rate_map in xp.rate_maps(native):
        if rate_map.instrument.startswith("mos"):
            sas = xp.select(a907.maps, obs_id=rate_map.obs_id, instrument=rate_map.instrument, band=a907.soft)
            ours, theirs = (float(xp.snr(m, a907.centred, "r500", method="xga")) for m in (rate_map, sas))
            assert abs(ours / theirs - 1) < 0.003, (str(rate_map), ours, theirs)
            compared += 1
    assert compared == 6


def test_combined_map_and_peak_are_those_of_sas(native, a907):
    combined = xp.combined_rate_map(native)
    peak = xp.find_peak(combined, a907.field)
    assert np.abs(peak.position.value - a907.peak.position.value).max() < 1e-8
    ours, sas = (float(xp.snr(m, a907.centred, "r500", method="xga")) for m in (combined, a907.combined))
    assert abs(ours / sas - 1) < 0.003


def test_pn_maps_are_made_from_the_images_own_intervals_and_say_so(data_root, a907, tmp_path):
    hidden = shutil.ignore_patterns("*_mos*", "*_expmap.fits.gz")
    shutil.copytree(data_root / "a907", tmp_path / "pn", copy_function=os.symlink, ignore=hidden)
    field = xp.match_observations(a907.target, xp.find_observations(tmp_path / "pn"))
    plan = xp.plan_exposure_maps(field, [a907.soft, a907.hard])
    assert all("without an event list" in note for note in plan.notes)
    run = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=tmp_path / "s", progress=False))
    for rate_map in xp.rate_maps(run):
        band = rate_map.band
        sas = xp.select(a907.maps, obs_id=rate_map.obs_id, instrument="pn", band=band)
        both = (rate_map.exposure.data > 0) & (sas.exposure.data > 0)
        scale = np.median(sas.exposure.data[both] / rate_map.exposure.data[both])
        assert 0.97 < scale < 1.015
        assert "ASSUME01" in rate_map.exposure.header
    assert all(done.warnings for done in run.done)


def test_the_two_samplings_differ_by_what_is_published(native, data_root, a907, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    for name in ("0404910601_mos1_clean_evts.fits.gz", "P0404910601OBX000ATTTSR0000.FIT.gz"):
        (folder / name).symlink_to(data_root / "a907" / "0404910601" / name)
    field = xp.match_observations(a907.target, xp.find_observations(folder))
    plan = xp.plan_exposure_maps(field, a907.soft)
    engine = xp.native_engine(sampling="pixel")
    run = xp.raise_for_failures(xp.run(plan, engine=engine, store=tmp_path / "s", progress=False))
    (pixel,) = xp.rate_maps(run)
    sas = xp.select(xp.rate_maps(native), obs_id="0404910601", instrument="mos1")
    both = (pixel.exposure.data > 2500) & (sas.exposure.data > 2500)
    difference = np.median(np.abs(pixel.exposure.data[both] / sas.exposure.data[both] - 1))
    assert 0.01 < difference < 0.02
    assert pixel.exposure.header["SAMPLING"] == "pixel"
