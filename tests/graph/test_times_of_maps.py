"""A found exposure map goes with images of its times only: what cuts the times of an image makes its map again."""

from pathlib import Path

import astropy.units as u
import pytest
from astropy.io import fits
from attrs import evolve

import xphotfn as xp
from xphotfn.testing import default_scene, simulate_observations

BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """A clean list with its image and map."""
    pointing = default_scene().pointings[0]
    camera = evolve(pointing.exposure("mos2"), ontime_s=300.0)
    scene = evolve(default_scene(), pointings=[evolve(pointing, exposures=[camera])])
    return simulate_observations(
        tmp_path_factory.mktemp("found"), scene=scene, products=("image", "exposure_map", "events")
    )


def field_of(truth, folder):
    return xp.match_observations(truth.cluster.target, xp.find_observations(folder))


@pytest.fixture(scope="module")
def field(truth):
    return field_of(truth, truth.folder)


def part_of(truth, folder, *without):
    """The files of the observation but for some, in another folder."""
    for file in Path(truth.folder, "0999990101").iterdir():
        if not any(word in file.name for word in without):
            (folder / file.name).symlink_to(file)
    return field_of(truth, folder)


def tasks(plan):
    return [step.command.task for step in plan.steps if step.command.task in ("evselect", "eexpmap")]


def test_what_was_found_is_used_by_default(field):
    assert tasks(xp.plan_exposure_maps(field, BAND)) == []
    assert tasks(xp.plan_exposure_maps(field, BAND, flares="keep")) == []


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"selection": "PATTERN == 0"}, ["evselect"]),
        ({"selection": "TIME <= 1e9"}, ["evselect", "eexpmap"]),
        ({"selection": "PATTERN == 0 && !(time in [1:2])"}, ["evselect", "eexpmap"]),
        ({"selection": "gti(:STDGTI01,TIME)"}, ["evselect", "eexpmap"]),
        ({"flares": "quiet"}, ["evselect", "eexpmap"]),
        ({"flares": "optimum"}, ["evselect", "eexpmap"]),
        ({"flares": "RATE<=0.1"}, ["evselect", "evselect", "eexpmap"]),
        ({"flares": xp.good_times([(0.0, 1e9)], origin="mine")}, ["evselect", "eexpmap"]),
    ],
)
def test_what_cuts_times_makes_image_and_map(field, changes, made):
    assert tasks(xp.plan_exposure_maps(field, BAND, **changes)) == made


@pytest.mark.parametrize(
    ("changes", "what"), [({"flares": "quiet"}, "cut of flares"), ({"selection": "PI > 1"}, "sel")]
)
def test_without_a_list_it_is_refused_and_says_so(truth, tmp_path, changes, what):
    field = part_of(truth, tmp_path, "evts")
    assert tasks(xp.plan_exposure_maps(field, BAND)) == []
    with pytest.raises(xp.PlanError, match=f"the {what}.* needs an event list and none was found"):
        xp.plan_exposure_maps(field, BAND, **changes)


def test_an_image_that_is_made_of_a_cut_raw_list_gets_a_map_of_its_own(truth, tmp_path):
    """Only the map was found: of which times, the cut cannot know."""
    field = part_of(truth, tmp_path, "_img")
    (member,) = field.observations
    raw = evolve(member, exposures=[evolve(e, filtered=False, cut=False) for e in member.exposures])
    raws = xp.match_observations(truth.cluster.target, [raw])
    assert tasks(xp.plan_exposure_maps(field, BAND)) == ["evselect"]
    assert tasks(xp.plan_exposure_maps(raws, BAND)) == ["evselect", "eexpmap"]
    assert tasks(xp.plan_exposure_maps(raws, BAND, flares="keep")) == ["evselect"]


def test_an_image_that_was_cut_in_time_gets_no_map_of_all_times(truth, tmp_path):
    """As `evselect ... 'PI in [500:2000] && TIME<=T' writedss=yes` leaves it: EXPOSURE is that of the whole list."""
    part_of(truth, tmp_path, "_img")
    image = next(Path(truth.folder, "0999990101").glob("*0.50-2*_img.fits"))
    with fits.open(image) as hdus:
        hdus[0].header["SLCTEXPR"] = "PI in [500:2000] && TIME<=1e9"
        hdus.writeto(tmp_path / image.name)
    field = field_of(truth, tmp_path)
    (lost,) = field.observations[0].left_out
    assert (lost.reason, lost.kind, lost.preferred) == ("other_times", "exposure_map", (image.name,))
    plan = xp.plan_exposure_maps(field, BAND)
    assert tasks(plan) == ["eexpmap"]
    assert [p.file is not None for p in plan.products] == [True, False]


def test_a_map_of_other_times_than_the_list_is_not_used_for_an_image_of_it(truth, tmp_path):
    part_of(truth, tmp_path, "_img", "_expmap")
    found = next(Path(truth.folder, "0999990101").glob("*0.50-2*_expmap.fits"))
    with fits.open(found) as hdus:
        hdus[0].header["EXPOSURE"] = 100.0
        hdus.writeto(tmp_path / found.name)
    assert tasks(xp.plan_exposure_maps(field_of(truth, tmp_path), BAND)) == ["evselect", "eexpmap"]
