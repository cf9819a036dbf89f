"""Each region of a file ends as used, noted or refused, and its pixels mean one image or none."""

import re

import astropy.units as u
import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

import xphotfn as xp
from xphotfn.io.match import bulk_field
from xphotfn.io.region_use import pixel_note, used_regions
from xphotfn.records.field import Field, FieldObservation
from xphotfn.records.observation import Exposure, FoundFile, FoundProduct, Observation
from xphotfn.records.region import Region
from xphotfn.science.coords import pix_to_deg, separation_deg
from xphotfn.science.pixel_masks import PixelShape, paint
from xphotfn.science.shapes import sky_centres
from xphotfn.testing.strategies import regions

GRID = xp.PixelGrid.from_sky_range(150.0, 2.0)
COARSE = xp.PixelGrid.from_sky_range(150.0, 2.0, bin_size=174)
FINE = xp.PixelGrid.from_sky_range(150.0, 2.0, low=1, high=51840, bin_size=40)
BAND, HARD = xp.energy_band("0.5 keV", "2 keV"), xp.energy_band("2 keV", "10 keV")
TARGET = xp.extended_source("cluster", 150.0, 2.0, radius=3 * u.arcmin)
FAR = attrs.evolve(TARGET, name="far", dec_deg=60.0)


def product(name, grid, band=BAND, kind="image"):
    return FoundProduct(kind=kind, band=band, grid=grid, file=FoundFile(path=f"/data/{name}", size=1, mtime_ns=1))


def observation(tmp_path, text, *products, obs_id="0404910601"):
    path = tmp_path / f"{obs_id}_sources.reg"
    path.write_text(text)
    exposure = Exposure(instrument="pn", exposure_id="S003", products=products)
    return Observation(
        obs_id=obs_id, ra_deg=150.0, dec_deg=2.0, exposures=[exposure],
        regions=FoundFile(path=str(path), size=1, mtime_ns=1),
    )  # fmt: skip


SOFT_IMAGE, SOFT_MAP = product("pn_soft_img.fits.gz", GRID), product("pn_soft_expmap.fits", GRID, kind="exposure_map")
OTHER = product("pn_hard_img.fits", COARSE, HARD)


def test_pixels_of_one_grid_need_no_word(tmp_path):
    found = observation(tmp_path, "image\ncircle(10,20,3)\n", SOFT_IMAGE, SOFT_MAP)
    used = used_regions(found)
    assert (used.grid, used.notes, used.problem, len(used.regions)) == (GRID, (), "", 1)
    assert pixel_note(found, "a.reg") is None


@pytest.mark.parametrize("products", [(SOFT_IMAGE, SOFT_MAP, OTHER), (OTHER, SOFT_MAP, SOFT_IMAGE)])
@pytest.mark.parametrize(
    "comment", ["# image: pn_soft_img.fits", "# image: 3649:48106:87", "# Filename: /home/me/pn_soft_img.fits.gz[0]"]
)
def test_a_file_may_say_which_of_several_images_it_means(tmp_path, products, comment):
    used = used_regions(observation(tmp_path, f"{comment}\nimage\ncircle(10,20,3)\n", *products))
    assert (used.notes, used.problem) == ((), "")
    assert not used.grid.difference(GRID)


def test_an_image_of_other_pixels_moves_no_region_but_leaves_the_observation_out(tmp_path):
    found = observation(tmp_path, "image\ncircle(10,20,3)\n", SOFT_IMAGE, OTHER)
    used = used_regions(found)
    assert used.regions == ()
    for name in ("pn_soft_img.fits.gz (512 x 512)", "pn_hard_img.fits (256 x 256)", "the option region_image"):
        assert name in used.problem
        assert name in str(pixel_note(found, "a.reg"))
    assert pixel_note(found, "a.reg").reason == "pixels"
    with pytest.raises(xp.PlanError, match="no observation of cluster can be used"):
        xp.match_observations(TARGET, [found])
    other = observation(tmp_path, 'fk5\ncircle(150,2,10")\n', SOFT_IMAGE, OTHER, obs_id="0201901401")
    field = xp.match_observations(TARGET, [found, other])
    assert field.obs_ids == ("0201901401",)
    assert [note.obs_id for note in field.left_out] == ["0404910601"]


@pytest.mark.parametrize(
    ("told", "grid"),
    [("pn_soft_img.fits", GRID), ("*soft*", GRID), ("3649:48106:87", GRID),
     ("3649:48106:174", COARSE), ("pn_hard_img.fits", COARSE), (xp.ImageGrid(), GRID),
     (xp.ImageGrid(x_range=(1, 51840), y_range=(1, 51840), x_bin=40, y_bin=40), FINE)],
)  # fmt: skip
def test_the_image_can_be_told(tmp_path, told, grid):
    found = observation(tmp_path, "# image: pn_hard_img.fits\nimage\ncircle(256,256,3)\n", SOFT_IMAGE, OTHER)
    (member,) = xp.match_observations(TARGET, [found], region_image=told).members
    assert not member.region_grid.difference(grid)
    (ra,), (dec,) = sky_centres(member.regions, member.region_grid)
    assert separation_deg(ra, dec, *pix_to_deg(grid, 255, 255)) < 1e-9


@pytest.mark.parametrize(
    ("told", "says"),
    [("nothing.fits", "region_image names 'nothing.fits', no image that was found"),
     ("pn_*", "several images of other pixels"),
     (xp.ImageGrid(x_bin=40, y_bin=80, square_pixels=False), "same range and bins")],
)  # fmt: skip
def test_a_wrong_image_is_a_problem(tmp_path, told, says):
    found = observation(tmp_path, "image\ncircle(10,20,3)\n", SOFT_IMAGE, OTHER)
    assert says in used_regions(found, told).problem


def test_what_is_taken_without_an_image_is_said(tmp_path):
    found = observation(tmp_path, "image\ncircle(10,20,3)\n")
    used = used_regions(found)
    assert not used.grid.difference(GRID)
    assert "512 x 512 pixels of 4.35 arcsec" in used.notes[0]
    note = pixel_note(found, "a.reg")
    assert (note.reason, note.file) == ("assumed", "a.reg")
    assert str(note).startswith("a.reg: has regions in pixels of an image that is not here: no image was found")
    assert used_regions(attrs.evolve(found, left_out=[note])).notes == ()
    renamed = used_regions(observation(tmp_path, "# image: old.fits\nimage\ncircle(10,20,3)\n", SOFT_IMAGE))
    assert "it names old.fits, and pn_soft_img.fits.gz is taken" in renamed.notes[0]


@pytest.mark.parametrize("text", ['fk5\ncircle(150,2,10")\n', "physical\ncircle(25921,25921,100)\n"])
def test_other_frames_do_not_depend_on_images(tmp_path, text):
    found = observation(tmp_path, text, OTHER, SOFT_IMAGE)
    used = used_regions(found)
    assert (used.notes, used.problem, len(used.regions)) == ((), "", 1)
    assert pixel_note(found, "a.reg") is None


@pytest.mark.parametrize(
    ("line", "says"),
    [("-circle(150,2,10\")", "excluded"), ("!circle(150,2,10\")", "excluded"),
     ("circle(150,2,1\") # include=0", "excluded"),
     ("point(150,2) # point=x", "points have no area"), ("# text(150,2) text={A}", "annotations (text)"),
     ("line(150,2,150.1,2) # line=0 0", "annotations (line)")],
)  # fmt: skip
def test_what_masks_nothing_is_noted_with_its_line(tmp_path, line, says):
    found = observation(tmp_path, f'fk5\n{line}\ncircle(150.2,2,10")\n{line}\n', SOFT_IMAGE)
    field = xp.match_observations(TARGET, [found])
    assert [r.line for r in field.members[0].interlopers] == [3]
    (note,) = field.left_out
    obs_id, text = note.obs_id, note.why
    assert obs_id == "0404910601"
    assert text.startswith("0404910601_sources.reg, 2 lines (2, 4): ")
    assert says in text


def test_a_region_wider_than_the_images_is_noted(tmp_path):
    """Of 37 arcmin: 12 without a unit are 12 degrees; one that covers half of the field may be meant."""
    found = observation(tmp_path, "fk5\ncircle(150,2,12)\ncircle(150,2,12\")\ncircle(150,2,9')\n", SOFT_IMAGE)
    (note,) = used_regions(found).notes
    assert note.startswith("0404910601_sources.reg, line 2: wider than the images of this observation; a size without")


def test_a_file_that_cannot_be_read_leaves_out_its_observation_and_sinks_no_sample(tmp_path):
    bad = observation(tmp_path, "fk5\ncircle(150,2)\n", SOFT_IMAGE)
    good = observation(tmp_path, 'fk5\ncircle(150,2,100")\n', SOFT_IMAGE, obs_id="0201901401")
    with pytest.raises(xp.PlanError, match="line 2: 'circle.150,2.' has 2 numbers"):
        xp.match_observations(TARGET, [bad])
    fields = xp.match_observations([TARGET, FAR], [bad, good])
    assert [f.obs_ids for f in fields] == [("0201901401",), ()]
    assert "line 2: 'circle(150,2)' has 2 numbers" in {n.obs_id: n.why for n in fields[0].left_out}["0404910601"]
    assert "arcmin from the pointing, beyond 30" in {n.obs_id: n.why for n in fields[1].left_out}["0201901401"]
    plan = xp.plan_images(fields, BAND)
    assert [f.name for f in plan.fields] == ["cluster"]
    assert any(note.startswith("far: no observation can be used: 3480") for note in plan.notes)
    with pytest.raises(xp.PlanError, match="no field has an observation: far"):
        xp.plan_images(fields[1:], BAND)
    alone = bulk_field([bad, good])
    assert alone.obs_ids == ("0201901401", "0404910601")
    assert "has 2 numbers" in {n.obs_id: n.why for n in alone.left_out}["0404910601"]


def test_two_region_files_that_differ_leave_out_their_observation(tmp_path):
    from xphotfn.testing import default_scene, simulate_observations

    scene = attrs.evolve(default_scene(), pointings=default_scene().pointings[:1])
    simulate_observations(tmp_path, scene=scene, products=("image",))
    (path,) = tmp_path.rglob("*.reg")
    path.with_name("other.reg").write_text('fk5\ncircle(52.4,-33.7,30")\n')
    target = xp.point_source("p", 52.31 * u.deg, -33.72 * u.deg, radius=20 * u.arcsec)
    with pytest.raises(
        xp.PlanError, match=r"sources\.reg and .*other\.reg differ, and no rule .*: name one with prefer= or --prefer"
    ):
        xp.match_observations(target, xp.find_observations(tmp_path))
    field = xp.match_observations(target, xp.find_observations(tmp_path, prefer="other.reg"))
    assert len(field.members[0].interlopers) == 1


@pytest.mark.parametrize("products", [(SOFT_IMAGE, SOFT_MAP), (), (SOFT_IMAGE, OTHER)])
def test_regions_that_lie_off_the_images_are_noted_with_their_line(tmp_path, products):
    lines = ["fk5", "circle(10.68,41.27,20)", "circle(150,2,20)", "circle(330,-2,20)", "circle(150.4,2,0.2)"]
    text = "\n".join(lines)
    note, wide = used_regions(observation(tmp_path, text, *products)).notes
    assert wide.startswith("0404910601_sources.reg, 3 lines (2, 3, 4): wider")
    assert note == (
        "0404910601_sources.reg, 2 lines (2, 4): off the images of this observation, where they mask nothing"
    )
    target = xp.point_source("p", 150 * u.deg, 2 * u.deg, radius=20 * u.arcsec)
    field = xp.match_observations(target, [observation(tmp_path, text, *products)])
    assert ("0404910601", note) in [(n.obs_id, n.why) for n in field.left_out]


def test_no_observation_at_all_is_an_error():
    for given_targets in (TARGET, [TARGET, FAR]):
        with pytest.raises(xp.PlanError, match="no observation was given"):
            xp.match_observations(given_targets, [])


@given(regions(frame="image"), st.integers(0, 2**32 - 1))
def test_adding_a_region_makes_a_mask_grow_or_a_note_appear(tmp_path_factory, region, seed):
    """A region on the image, however small, masks at least one pixel more, unless it is noted."""
    rng = np.random.default_rng(seed)
    centre = attrs.evolve(
        region, x=rng.uniform(10, 490), y=rng.uniform(10, 490),
        size=tuple(s * 10 ** rng.uniform(-3, 0) for s in region.size), name="",
    )  # fmt: skip
    if region.shape == "polygon":
        shift = [(v[0] - region.x + centre.x, v[1] - region.y + centre.y) for v in region.vertices]
        centre = attrs.evolve(centre, vertices=shift)
    folder = tmp_path_factory.mktemp("regions")
    xp.write_regions([centre], folder / "one.reg")
    found = observation(folder, (folder / "one.reg").read_text(), SOFT_IMAGE)
    used = used_regions(found)
    assert bool(used.notes) == (centre.shape == "point" or not centre.include)
    member = FieldObservation(observation=found, region_grid=used.grid, interlopers=used.regions)
    field = Field(members=[member])
    image = xp.Image(path="none.fits", obs_id="0404910601", instrument="pn", band=BAND, grid=GRID)
    assert (~xp.interloper_mask(image, field)).any() == (not used.notes)


@pytest.mark.parametrize(
    ("shape", "masked"),
    [(PixelShape(shape="circle", x=3.4, y=2.4, size=(0.3,)), [(2, 3)]),
     (PixelShape(shape="box", x=3.0, y=2.45, size=(9, 0.01)), [(2, 3)]),
     (PixelShape(shape="annulus", x=4.4, y=4.4, size=(2.0, 2.001)), [(4, 6)]),
     (PixelShape(shape="circle", x=-0.8, y=2, size=(0.3,)), []),
     (PixelShape(shape="circle", x=3, y=2, size=(0.3,), include=False), [])],
)  # fmt: skip
def test_shapes_without_the_centre_of_a_pixel(shape, masked):
    mask = np.zeros((9, 9), dtype=bool)
    paint(mask, [shape])
    assert not mask.any()
    paint(mask, [shape], never_empty=True)
    assert [tuple(place) for place in np.argwhere(mask).tolist()] == masked


def test_find_says_what_is_taken(tmp_path):
    from xphotfn.testing import default_scene, simulate_observations

    scene = attrs.evolve(default_scene(), pointings=default_scene().pointings[:1])
    simulate_observations(tmp_path, scene=scene, products=("image",))
    assert xp.find_observations(tmp_path)[0].notes == ()
    for path in tmp_path.rglob("*_img.fits"):
        path.unlink() if "pn" not in path.name else None
    (path,) = tmp_path.rglob("*.reg")
    path.write_text(re.sub("# image: .*", "# image: lost.fits", path.read_text()))
    (note,) = map(str, xp.find_observations(tmp_path)[0].notes)
    assert "it names lost.fits, and 0999990101_pn_0.50-2.00keV_img.fits is taken" in note


def test_regions_of_a_field_keep_their_names_and_errors(tmp_path):
    region = Region(shape="circle", frame="fk5", x=150.0, y=2.2, size=(0.01,), name="src 7", position_error_deg=1e-4)
    xp.write_regions([region], tmp_path / "a.reg")
    found = observation(tmp_path, (tmp_path / "a.reg").read_text(), SOFT_IMAGE)
    (kept,) = xp.match_observations(TARGET, [found]).members[0].interlopers
    assert (kept.name, kept.position_error_deg) == ("src 7", 1e-4)
