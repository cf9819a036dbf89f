"""Images made from the real event lists: SAS's own pixels, and the same numbers from them."""

import os
import shutil

import numpy as np
import pytest
from astropy.io import fits

import xphotfn as xp


@pytest.fixture(scope="module")
def from_events(data_root, a907, tmp_path_factory):
    """The run on a tree without the MOS images; pn images are found, their event lists are not at hand."""
    root = tmp_path_factory.mktemp("events") / "a907"
    shutil.copytree(
        data_root / "a907", root, copy_function=os.symlink, ignore=shutil.ignore_patterns("*_mos*_img.fits.gz")
    )
    field = xp.match_observations(a907.target, xp.find_observations(root))
    plan = xp.plan_photometry(field, [a907.soft, a907.hard], reference="0404910601")
    run = xp.run(plan, engine=xp.native_engine(), store=root.parent / "store", progress=False)
    return xp.raise_for_failures(run)


def test_only_the_missing_images_are_planned(from_events):
    tasks = [s.command.task for s in from_events.plan.steps]
    assert tasks.count("evselect") == 12
    assert tasks.count("emosaic") == 4
    assert len(tasks) == 16


def test_images_equal_sas_in_every_pixel(from_events, data_root, a907):
    compared = 0
    for rate_map in xp.rate_maps(from_events):
        if rate_map.instrument == "pn":
            continue
        band = "0.50-2.00" if rate_map.band == a907.soft else "2.00-10.00"
        name = f"{rate_map.obs_id}_{rate_map.instrument}_{band}keV_img.fits.gz"
        assert np.array_equal(rate_map.image.data, fits.getdata(data_root / "a907" / rate_map.obs_id / name)), name
        compared += 1
    assert compared == 12


def test_the_journey_gives_the_same_numbers(from_events, a907):
    combined = xp.combined_rate_map(from_events, band=a907.soft)
    peak = xp.find_peak(combined, a907.field)
    assert peak == a907.peak
    assert float(xp.snr(combined, a907.centred, "r500", method="xga")) == pytest.approx(251.61136957214998, rel=1e-9)
    soft = [m for m in a907.maps if m.band == a907.soft]
    ours = xp.snr_ranking(xp.rate_maps(from_events, band=a907.soft), a907.centred, "r500", method="xga")
    assert list(ours["snr"]) == list(xp.snr_ranking(soft, a907.centred, "r500", method="xga")["snr"])


def test_bands_of_one_list_are_made_in_one_pass(from_events):
    from xphotfn.graph.delayed import _passes

    groups = _passes(from_events.plan.steps)
    assert [len(g) for g in groups] == [2] * 6


def test_another_grid_and_selection(data_root, a907, tmp_path):
    observations = xp.find_observations(data_root / "a907")
    field = xp.match_observations(a907.target, observations[:1])
    grid = xp.ImageGrid(x_bin=174, y_bin=174)
    plan = xp.plan_images(field, a907.soft, grid=grid, selection="#XMMEA_EM && PATTERN == 0 && FLAG == 0")
    run = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=tmp_path, progress=False))
    made = {p.instrument: path for p, path, _ in run.products()}
    assert set(made) == {"mos1", "mos2"}
    events = fits.getdata(data_root / "a907" / "0201901401" / "0201901401_mos1_clean_evts.fits.gz", "EVENTS")
    wanted = (events["PATTERN"] == 0) & (events["FLAG"] == 0) & (events["PI"] >= 500) & (events["PI"] <= 2000)
    inside = wanted & (abs(events["X"] - 25877.5) <= 22229) & (abs(events["Y"] - 25877.5) <= 22229)
    image = fits.getdata(made["mos1"])
    assert image.shape == (256, 256)
    assert image.sum() == inside.sum()


def test_the_command_line_makes_the_same_image(data_root, tmp_path):
    from click.testing import CliRunner

    from xphotfn.cli import main

    folder = data_root / "a907" / "0404910601"
    output = tmp_path / "mos2.fits"
    words = ["image", str(folder / "0404910601_mos2_clean_evts.fits.gz"), "--band", "2.0-10.0keV", "-o", str(output)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert np.array_equal(fits.getdata(output), fits.getdata(folder / "0404910601_mos2_2.00-10.00keV_img.fits.gz"))
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    wrong = CliRunner().invoke(main, ["image", str(output), "-o", str(tmp_path / "x.fits")])
    assert wrong.exit_code == 1
    assert "is no event list but an image" in wrong.stderr
