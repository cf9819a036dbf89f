"""Plans are values: pure, printable, and the same whatever the order of their inputs."""

import pickle
import random
import subprocess
import sys
from html.parser import HTMLParser

import astropy.units as u
import attrs
import pytest

import xphotfn as xp


def test_found_products_are_used_and_never_made_again(plan):
    assert [s.command.task for s in plan.steps] == ["emosaic", "emosaic"]
    assert len([p for p in plan.products if p.file is not None]) == 12
    with pytest.raises(xp.InvalidRecord, match="expected Plan, as .* got 'a907'"):
        xp.describe("a907")
    text = xp.describe(plan)
    assert "6 images, 6 exposure maps" in text
    assert "2 emosaic" in text
    assert str(plan) == text


def test_found_maps_are_no_maps_without_vignetting(field, band):
    """The found maps have vignetting, so all are made; what the tree lacks for that, the plan says."""
    plan = xp.plan_exposure_maps(field, band, vignetting=False)
    assert [s.command.task for s in plan.steps].count("eexpmap") == 6
    for lacking in ("without an event list", "without an attitude file (in the archive P*ATTTSR*)"):
        assert len([note for note in plan.notes if lacking in note]) == 6
    assert len(xp.plan_exposure_maps(field, band).products) == 12


def test_pixels_that_are_not_square_are_refused_when_the_plan_is_made(field, band):
    grid = xp.ImageGrid(x_bin=40, y_bin=80, square_pixels=False)
    for make in (xp.plan_images, xp.plan_exposure_maps, xp.plan_mosaics, xp.plan_photometry):
        with pytest.raises(xp.PlanError, match="pixels of 40 by 80 units are not square"):
            make(field, band, grid=grid)


def test_a_map_whose_cards_differ_by_round_off_is_the_map_of_its_image(field, band):
    def changed(pixels):
        def product(found):
            is_map = found.kind == "exposure_map"
            return attrs.evolve(found, grid=attrs.evolve(found.grid, crpix1=found.grid.crpix1 + is_map * pixels))

        members = [
            attrs.evolve(
                member,
                observation=attrs.evolve(
                    member.observation,
                    exposures=[
                        attrs.evolve(e, products=list(map(product, e.products))) for e in member.observation.exposures
                    ],
                ),
            )
            for member in field.members
        ]
        return attrs.evolve(field, members=members)

    def found(field):
        return len([p for p in xp.plan_exposure_maps(field, band).products if p.file is not None])

    assert (found(field), found(changed(1e-7)), found(changed(0.5))) == (12, 12, 6)


def test_an_image_of_an_open_end_is_used_and_its_channels_are_said(field, band):
    opened = attrs.evolve(band, hi_ev=band.hi_ev - 1)

    def product(found):
        return attrs.evolve(found, band=opened) if found.kind == "image" and found.band == band else found

    first = field.members[0]
    exposures = [attrs.evolve(e, products=list(map(product, e.products))) for e in first.observation.exposures]
    member = attrs.evolve(first, observation=attrs.evolve(first.observation, exposures=exposures))
    plan = xp.plan_photometry(attrs.evolve(field, members=[member, *field.members[1:]]), band)
    assert len([p for p in plan.products if p.file is not None]) == 12
    assert {p.band for p in plan.products} == {band}
    said = [note for note in plan.notes if f"holds PI {opened.lo_ev} to {opened.hi_ev}, an open end" in note]
    assert len(said) == 3


def test_mosaics_start_with_the_reference(field, band):
    default = xp.plan_photometry(field, band).steps[0].command.parameter("imagesets").split()
    assert [n[:10] for n in default] == ["0000000101"] * 3 + ["0000000202"] * 3
    assert [n.split("_")[1] for n in default[:3]] == ["pn", "mos1", "mos2"]
    other = xp.plan_photometry(field, band, reference="0000000202").steps[0].command.parameter("imagesets").split()
    assert [n[:10] for n in other] == ["0000000202"] * 3 + ["0000000101"] * 3


def test_order_of_the_inputs_changes_nothing(tree, field, band):
    hard = xp.energy_band(2 * u.keV, 4 * u.keV)
    observations = list(xp.find_observations(tree))
    want = xp.plan_images(field, [band])
    for seed in range(4):
        random.Random(seed).shuffle(observations)
        again = xp.match_observations(field.target, observations)
        assert again == field
        assert xp.plan_images(again, [band, band]) == want
    with_both = {s.id for s in xp.plan_photometry([field], [band]).steps}
    assert with_both == {s.id for s in xp.plan_photometry(field, (b for b in (band,))).steps}
    assert hard.name == "2000-4000"


def test_ids_are_the_same_in_another_process(plan):
    code = "import pickle, sys; p = pickle.load(sys.stdin.buffer); print(p.id, *(s.id for s in p.steps))"
    for hash_seed in ("0", "1"):
        out = subprocess.run(
            [sys.executable, "-c", code],
            input=pickle.dumps(plan),
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PATH": "/usr/bin:/bin"},
        )
        assert out.stdout.decode().split() == [plan.id, *(s.id for s in plan.steps)]


def test_ids_change_with_a_found_file_and_with_the_command(plan):
    step = plan.steps[0]
    first = step.inputs[0]
    touched = attrs.evolve(first, file=attrs.evolve(first.file, mtime_ns=first.file.mtime_ns + 1))
    assert attrs.evolve(step, inputs=(touched, *step.inputs[1:])).id != step.id
    assert attrs.evolve(step).id == step.id
    assert attrs.evolve(step, command=attrs.evolve(step.command, outputs=("other.fits",))).id != step.id


def test_bulk_fields_get_images_but_no_mosaic(field, band):
    bulk = xp.bulk_field(field.observations)
    assert len(xp.plan_exposure_maps(bulk, band).products) == 12
    assert len(xp.plan_photometry(bulk, band).products) == 12
    with pytest.raises(xp.PlanError, match="bulk field has no target"):
        xp.plan_mosaics(bulk, band)


def test_impossible_plans_say_why(field, band):
    with pytest.raises(xp.PlanError, match=r"'0000000303' is in no field; they hold 0000000101, 0000000202"):
        xp.plan_mosaics(field, band, reference="0000000303")
    with pytest.raises(xp.PlanError, match="no energy band"):
        xp.plan_images(field, [])
    with pytest.raises(xp.PlanError, match="no field was given"):
        xp.plan_images([], band)
    hard = xp.energy_band(2 * u.keV, 10 * u.keV)
    with pytest.raises(xp.PlanError, match="toy: no image can be made: .*neither an image in this band nor an event"):
        xp.plan_images(field, hard)
    with pytest.raises(xp.PlanError, match="several fields are called toy"):
        xp.plan_images([field, field], band)


def test_an_image_without_exposure_map_gets_one_from_what_there_is_and_the_plan_says_so(tree, field, band):
    (tree / "0000000202_mos2_expmap.fits").unlink()
    again = xp.match_observations(field.target, xp.find_observations(tree))
    plan = xp.plan_photometry(again, band)
    (made,) = [s.command for s in plan.steps if s.command.task == "eexpmap"]
    assert made.parameter("attitudeset") == made.parameter("eventset") == "none"
    for said in ("the pointing of the image's header is taken for all times", "99.1 % (98.8 to 99.3 % on 9 real maps)"):
        assert any(note.startswith("0000000202 mos2") and said in note for note in plan.notes)
        assert said in xp.describe(plan)


def test_a_target_without_observation_names_the_nearest(tree):
    target = xp.point_source("far", 200.0, -40.0, radius=30 * u.arcsec)
    with pytest.raises(xp.PlanError, match=r"no observation within 30 arcmin of far .* the nearest of 2 is 0000000101"):
        xp.match_observations(target, xp.find_observations(tree))


def test_left_out_observations_are_named(tree):
    target = xp.point_source("near", 10.0, 20.0, radius=30 * u.arcsec)
    field = xp.match_observations(target, xp.find_observations(tree), within=0.5 * u.arcmin)
    assert field.obs_ids == ("0000000101",)
    assert field.left_out[0].obs_id == "0000000202"
    assert (field.left_out[0].reason, "arcmin from the pointing" in field.left_out[0].why) == ("far", True)
    for within, error in (
        (0.01, xp.UnitMismatch), ("20", xp.UnitMismatch), (3 * u.s, xp.UnitMismatch), (-1 * u.arcmin, xp.InvalidRecord),
        ("nan deg", xp.InvalidRecord), (181 * u.deg, xp.InvalidRecord),
    ):  # fmt: skip
        with pytest.raises(error, match="within"):
            xp.match_observations(target, xp.find_observations(tree), within=within)
    both = xp.match_observations([target, target], xp.find_observations(tree))
    assert isinstance(both, tuple)
    assert both[0] == both[1]


def test_more_images_than_sas_takes_at_once_are_chained(field, band, monkeypatch, tmp_path):
    """With a limit of 5 the six images need two steps, and the mosaic is the same."""
    direct = xp.plan_mosaics(field, band)
    monkeypatch.setattr("xphotfn.graph.product_steps.MOST_IMAGES", 5)
    chained = xp.plan_mosaics(field, band)
    assert [len(s.command.inputs) for s in chained.steps] == [5, 2, 5, 2]
    assert chained.steps[1].needs == (chained.steps[0].id,)
    runs = [xp.run(p, engine=xp.native_engine(), store=tmp_path / "s", progress=False) for p in (direct, chained)]
    maps = [xp.combined_rate_map(xp.raise_for_failures(run)) for run in runs]
    assert (maps[0].image.data == maps[1].image.data).all()
    assert (maps[0].exposure.data == maps[1].exposure.data).all()
    assert maps[0].grid == maps[1].grid


@pytest.mark.parametrize("letters", [5 * 81, 6 * 81 - 1])
def test_a_list_of_images_that_no_command_line_takes_is_split(field, band, monkeypatch, letters):
    monkeypatch.setattr("xphotfn.graph.product_steps.MOST_LETTERS", letters)
    assert [len(s.command.inputs) for s in xp.plan_mosaics(field, band).steps] == [5, 2, 5, 2]
    monkeypatch.setattr("xphotfn.graph.product_steps.MOST_LETTERS", 6 * 81)
    assert [len(s.command.inputs) for s in xp.plan_mosaics(field, band).steps] == [6, 6]


def test_as_many_images_as_emosaic_takes_fit_on_a_command_line(field, band):
    """999 names of ours are one word of less than 131072 bytes, the limit of Linux."""
    name = max((p.name for p in xp.plan_photometry(field, band).products), key=len)
    assert 999 * (len(name) + 1) < 131072


def test_files_that_targets_share_are_counted_once(tree, band):
    observations = xp.find_observations(tree)
    targets = [xp.point_source(name, 10.0, 20.0, radius=1 * u.arcmin) for name in ("a", "b")]
    text = xp.describe(xp.plan_photometry(xp.match_observations(targets, observations), band))
    assert "6 images, 6 exposure maps" in text


class Rows(HTMLParser):
    """The title and the rows of two cells of a record in a notebook."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.title, self.inside = [], None, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        if tag == "td":
            self.cells.append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "td"

    def handle_data(self, data):
        if self.title is None:
            self.title = data
        elif self.inside:
            self.cells[-1] += data


@pytest.mark.parametrize("name", ["NGC 1: X-1", "NGC 1: Size: 3"])
def test_a_notebook_shows_the_name_of_a_target_whole(plan, name):
    target = attrs.evolve(plan.fields[0].target, name=name)
    named = attrs.evolve(plan, fields=(attrs.evolve(plan.fields[0], target=target),))
    shown = Rows(named._repr_html_())
    assert f"({name})" in shown.title
    rows = dict(zip(shown.cells[::2], shown.cells[1::2], strict=False))
    assert rows["Found on disk, used as they are"] == "6 images, 6 exposure maps"
    assert rows["To make"] == "2 emosaic"
    assert rows["Size"].startswith("about ")


def test_a_notebook_shows_each_note_of_a_plan_whole(plan):
    notes = ("a: b: c", "two\nlines: of one")
    shown = Rows(attrs.evolve(plan, notes=notes)._repr_html_())
    assert [cell for what, cell in zip(shown.cells, shown.cells[1:], strict=False) if what == "Note"] == list(notes)
