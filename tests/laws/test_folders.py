"""Over folders with traps no measurement is about a band, a place or a kind of file other than the one asked for."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

import xphotfn as xp
from xphotfn.testing import strategies as xst
from xphotfn.testing.strategies.of_folders import CIRCLE, HARD, SOFT, events_of, image_of

ASKED = {"soft": SOFT, "hard": HARD}


def truth(exposure_id, band, grid, *, within=None, until=np.inf):
    """Return the image of the events that a band asks for, binned by numpy."""
    events = events_of(exposure_id)
    keep = (events["FLAG"] == 0) & (events["PATTERN"] <= 12) & (events["TIME"] <= until)
    keep &= (events["PI"] >= band.lo_ev) & (events["PI"] <= band.hi_ev)
    if within is not None:
        keep &= np.hypot(events["X"] - within[0], events["Y"] - within[1]) < within[2]
    return image_of(events[keep], grid)


def check_image(image, exposure_id, band, subspace):
    """Check an image that is measured: its counts are those of the band, in what its selection has looked at."""
    within = CIRCLE if any("4000" in place for place in subspace.places) else None
    assert not any("6000" in place for place in subspace.places)
    until = 500 if subspace.times else np.inf
    expected = truth(exposure_id, band, image.grid, within=within, until=until)
    assert np.array_equal(image.data, expected)


def measure(folder, root):
    """Find, plan and measure as a user would; what is refused is said and is no measurement."""
    try:
        (observation,) = xp.find_observations(root)
    except xp.InvalidFile:
        return None
    for exposure in observation.exposures:
        for name, band in ASKED.items():
            found = exposure.found("image", band)
            if found is not None:
                image = xp.Image(path=found.file.path, obs_id=observation.obs_id, instrument="mos1", band=found.band,
                                 exposure_id=exposure.exposure_id, grid=found.grid)  # fmt: skip
                assert found.band.nominal == band, name
                check_image(image, exposure.exposure_id, found.band, found.subspace)
                assert np.array_equal(image.data, np.floor(image.data))
    return observation


def check_places(observation, root):
    """Check that where a found image was cut out nothing was looked at: no exposure, so no rate and no limit."""
    for exposure in observation.exposures:
        for band in ASKED.values():
            image, there = exposure.found("image", band), exposure.found("exposure_map", band)
            if image is None or there is None or not image.subspace.places or image.grid.difference(there.grid):
                continue
            field = xp.bulk_field([evolve(observation, exposures=[evolve(exposure, events=None)])])
            plan = xp.plan_exposure_maps(field, band)
            run = xp.run(plan, engine=xp.native_engine(), store=root / "store", progress=False, scheduler="synchronous")
            (rate_map,) = xp.rate_maps(run)
            y, x = np.indices(rate_map.grid.shape)
            grid = rate_map.grid
            far = np.hypot(grid.x0_sky + x * grid.dx_sky - CIRCLE[0], grid.y0_sky + y * grid.dy_sky - CIRCLE[1])
            assert not rate_map.exposure.data[far > CIRCLE[2] + grid.dx_sky].any()
            assert rate_map.exposure.data[far < CIRCLE[2] - grid.dx_sky].all()


def check_lists(observation, root):
    """Check the images that are made of the list of each exposure."""
    for exposure in observation.exposures:
        if exposure.events is None:
            continue
        assert not any("6000" in place for place in exposure.subspace.places)
        field = xp.bulk_field([evolve(observation, exposures=[evolve(exposure, products=())])])
        for band in ASKED.values():
            try:
                plan = xp.plan_images(field, band, flares="keep")
            except xp.PlanError:
                assert not exposure.subspace.energies.contains(band)
                continue
            assert exposure.subspace.energies.contains(band)
            run = xp.run(plan, engine=xp.native_engine(), store=root / "store", progress=False, scheduler="synchronous")
            run = xp.raise_for_failures(run)
            ((product, path, _),) = run.products()
            grid = xp.PixelGrid.from_sky_range(52.3, -33.7)
            image = xp.Image(path=path, obs_id=observation.obs_id, instrument="mos1", band=band,
                             exposure_id=product.exposure_id, grid=grid)  # fmt: skip
            check_image(image, exposure.exposure_id, band, exposure.subspace)


def check_folder(folder, *, lists):
    with tempfile.TemporaryDirectory() as made, warnings.catch_warnings():
        warnings.simplefilter("ignore", xp.PartOfBand)
        root = Path(made) / "data"
        root.mkdir()
        folder.write(root)
        observation = measure(folder, root)
        if observation is None:
            return
        found = xp.inventory(root)
        used = [p.file for e in observation.exposures for p in e.products]
        used += [e.events for e in observation.exposures if e.events is not None]
        names = {file.path.rpartition("/")[2] for file in used}
        assert names | {n.file for n in found.left_out} == {f.name for f in folder.files}
        assert not names & {n.file for n in found.left_out if n.reason not in ("pixels", "assumed")}
        by_name = {file.name: file for file in folder.files}
        assert not any(by_name[name].trap in ("model", "out-of-time") for name in names)
        assert not any(by_name[name].trap == "no-subspace" and by_name[name].cut == "place" for name in names)
        assert not any(by_name[name].cut == "corners" for name in names)
        assert not any(by_name[name].band in ("hole", "open") for name in names)
        check_places(observation, Path(made))
        if lists:
            check_lists(observation, Path(made))


@settings(max_examples=25)
@given(xst.folders())
def test_no_image_is_about_something_else(folder):
    check_folder(folder, lists=False)


@settings(max_examples=6)
@given(xst.folders())
def test_no_list_makes_an_image_of_something_else(folder):
    check_folder(folder, lists=True)


@pytest.mark.slow
@settings(max_examples=1000)
@given(xst.folders())
def test_a_thousand_folders(folder):
    check_folder(folder, lists=True)


@settings(max_examples=15)
@given(xst.folders(), st.randoms(use_true_random=False))
def test_a_file_more_changes_products_or_notes_and_other_names_nothing(folder, random):
    names = random.sample([f"other{number}.fits" for number in range(len(folder.files))], len(folder.files))
    renamed = evolve(folder, files=[evolve(f, name=n) for f, n in zip(folder.files, names, strict=True)])
    with tempfile.TemporaryDirectory() as made:
        described = []
        for number, one in enumerate((folder, renamed)):
            root = Path(made) / str(number)
            root.mkdir()
            one.write(root)
            by_name = {f.name: evolve(f, name="") for f in one.files}
            try:
                (observation,) = xp.find_observations(root)
            except xp.InvalidFile:
                described.append(None)
                continue
            described.append([
                (e.exposure_id, e.events and by_name[e.events.path.rpartition("/")[2]],
                 [by_name[p.file.path.rpartition("/")[2]] for p in e.products])
                for e in observation.exposures
            ])  # fmt: skip
        assert described[0] == described[1]
