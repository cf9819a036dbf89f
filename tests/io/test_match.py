"""Which regions are the target, which belong to it, and which are interlopers."""

import astropy.units as u
import attrs
import numpy as np
import pytest

import xphotfn as xp
from xphotfn.io import match
from xphotfn.records.grid import PixelGrid
from xphotfn.records.observation import FoundFile, Observation
from xphotfn.records.region import Region
from xphotfn.science.coords import pix_to_deg
from xphotfn.science.matching import overlapping, sort_regions
from xphotfn.science.shapes import pixel_shapes
from xphotfn.testing.examples import example_field

GRID = PixelGrid.from_sky_range(150.0, 2.0)
X, Y = 255.0, 255.0
RA, DEC = (float(v) for v in pix_to_deg(GRID, X, Y))
CLUSTER = xp.galaxy_cluster("cluster", RA, DEC, redshift=0.16, r500=1200 * u.kpc)
STAR = xp.point_source("star", RA, DEC, radius=30 * u.arcsec)
R500_DEG = 0.1170877


def ellipse(x, y, a=5.0, colour="green", **more):
    return Region(shape="ellipse", frame="image", x=x, y=y, size=(a, a), colour=colour, **more)


def test_the_nearest_of_its_colour_that_contains_it_is_the_match_and_others_are_alternates():
    near, wide, red = ellipse(X + 1, Y, 10), ellipse(X + 6, Y, 30, "blue"), ellipse(X, Y, 4, "red")
    far = ellipse(X + 80, Y, 5)
    found = sort_regions([wide, red, far, near], GRID, CLUSTER)
    assert found.match == near
    assert found.alternates == (wide,)
    assert found.interlopers == (red, far)
    assert sort_regions([wide, red, far, near], GRID, STAR).match == red
    star = sort_regions([wide, red, far, near], GRID, STAR)
    assert (star.alternates, star.interlopers) == ((near, wide), (far,)), "what holds a star is not masked for it"
    place = sort_regions([wide, red, far, near], GRID, attrs.evolve(STAR, kind="position"))
    assert {place.match, *place.alternates} == {wide, red, near}
    assert place.interlopers == (far,)


@pytest.mark.parametrize("colour", ["green", "magenta", "blue", "cyan", "yellow"])
def test_extended_colours(colour):
    region = ellipse(X, Y, colour=colour)
    assert sort_regions([region], GRID, CLUSTER).match == region
    assert sort_regions([region], GRID, STAR).match is None


def test_red_and_magenta_regions_in_the_core_belong_to_a_cluster():
    pixels = 0.15 * R500_DEG / GRID.pixel_deg
    inside, outside = ellipse(X + pixels - 0.5, Y, 1, "red"), ellipse(X + pixels + 0.5, Y, 1, "red")
    magenta, green = ellipse(X, Y - 5, 1, "magenta"), ellipse(X, Y + 5, 1)
    found = sort_regions([inside, outside, magenta, green], GRID, CLUSTER, 0.15 * R500_DEG)
    assert found.kept == (inside, magenta)
    assert found.interlopers == (outside, green)
    other = attrs.evolve(CLUSTER, kind="extended", r500=None, radius=1 * u.arcmin)
    assert sort_regions([inside], GRID, other, 0.15 * R500_DEG).kept == ()


def test_excluded_regions_are_no_sources_and_without_a_target_all_are_interlopers():
    minus, plus = ellipse(X, Y, include=False), ellipse(X + 50, Y)
    assert sort_regions([minus, plus], GRID, CLUSTER).interlopers == (plus,)
    assert sort_regions([plus], GRID, None).interlopers == (plus,)
    assert sort_regions([], GRID, CLUSTER).match is None


def test_regions_in_other_frames_match_too():
    sky = Region(shape="circle", frame="fk5", x=RA, y=DEC, size=(0.01,))
    physical = Region(shape="circle", frame="physical", x=3692 + 87 * X, y=3692 + 87 * Y, size=(400.0,))
    for region in (sky, physical):
        assert sort_regions([region], GRID, CLUSTER).match == region
        shape = pixel_shapes([region], GRID, GRID)[0]
        assert (shape.x, shape.y) == pytest.approx((X, Y), abs=1e-6)
    assert pixel_shapes([sky], GRID, GRID)[0].size[0] == pytest.approx(0.01 / GRID.pixel_deg)
    assert pixel_shapes([physical], GRID, GRID)[0].size[0] == pytest.approx(400 / 87)


def test_overlap_of_ellipses():
    one, touching, apart, within = (
        pixel_shapes([ellipse(x, Y, a)], GRID, GRID)[0] for x, a in ((X, 10), (X + 14, 5), (X + 16, 5), (X + 1, 2))
    )
    assert overlapping(one, touching)
    assert overlapping(touching, one)
    assert not overlapping(one, apart)
    assert overlapping(one, within)
    assert overlapping(within, one)


def observation(tmp_path, obs_id, text):
    path = tmp_path / f"{obs_id}.reg"
    path.write_text("global color=red\n" + text)
    file = FoundFile(path=str(path), size=path.stat().st_size, mtime_ns=path.stat().st_mtime_ns)
    return Observation(obs_id=obs_id, ra_deg=150.0, dec_deg=2.0, regions=file)


def test_green_regions_that_overlap_the_match_of_another_observation_are_kept(tmp_path):
    """The cluster is one ellipse in the first observation; the second has only a piece of it beside the centre."""
    first = observation(tmp_path, "0000000001", f"image; ellipse({X + 1},{Y + 1},20,20,0) # color=green\n")
    pieces = f"image; circle({X + 25},{Y + 1},7) # color=green\nimage; circle({X + 25},{Y + 1},7)\n"
    second = observation(tmp_path, "0000000002", pieces + f"image; circle({X + 60},{Y + 1},7) # color=green\n")
    field = xp.match_observations(CLUSTER, [second, first])
    assert field.member("0000000001").match is not None
    member = field.member("0000000002")
    assert member.match is None
    assert [(r.colour, r.line) for r in member.kept] == [("green", 2)]
    assert [r.line for r in member.interlopers] == [3, 4]
    extended = xp.extended_source("nebula", RA, DEC, radius=1 * u.arcmin)
    assert xp.match_observations(extended, [second, first]).member("0000000002").kept == ()


def test_a_region_partly_on_the_image_is_masked_there():
    from xphotfn.testing.examples import example_field, example_rate_map

    field = example_field()
    beside = ellipse(-3.0, 256.0, 8, "red")
    member = attrs.evolve(field.members[0], interlopers=(beside,))
    mask = xp.interloper_mask(example_rate_map(), attrs.evolve(field, members=(member,)))
    y, x = np.nonzero(~mask)
    assert x.max() == 4
    assert abs(y - 256).max() <= 7


def test_the_peak_is_sought_at_least_twice(monkeypatch):
    from xphotfn.measure import peak as module
    from xphotfn.testing.examples import example_field, example_rate_map

    calls = []
    real = module.METHODS["simple"]
    monkeypatch.setitem(module.METHODS, "simple", lambda *a, **k: calls.append(1) or real(*a, **k))
    found = xp.find_peak(example_rate_map(), example_field(), method="simple")
    assert len(calls) == 2
    assert found.converged
    walk = iter((300 + 20 * n, 256) for n in range(50))
    monkeypatch.setitem(module.METHODS, "simple", lambda *_, **__: next(walk))
    lost = xp.find_peak(example_rate_map(), example_field(), method="simple")
    assert not lost.converged


def test_a_tree_of_pointings_finds_what_a_look_at_each_finds(monkeypatch):
    rng = np.random.default_rng(7)
    first = example_field().observations[0]
    places = np.stack([rng.uniform(0, 360, 400), np.degrees(np.arcsin(rng.uniform(-1, 1, 400)))], axis=1)
    places[1::9] = places[0]  # the same pointing many times, as calibration fields have
    places[:4, 1] = 90.0, -90.0, 89.9, 0.0
    observations = [attrs.evolve(first, obs_id=f"{n:010d}", ra_deg=a, dec_deg=d) for n, (a, d) in enumerate(places)]
    near = places[:40] + rng.normal(0, 0.3, (40, 2))
    targets = [
        xp.point_source(f"t{n}", a % 360, min(max(d, -90), 90), radius=1 * u.arcmin) for n, (a, d) in enumerate(near)
    ]
    for within in (10 * u.arcmin, 40 * u.deg, 180 * u.deg):
        direct = xp.match_observations(targets, observations, within=within)
        monkeypatch.setattr(match, "_MANY", 1)
        assert xp.match_observations(targets, observations, within=within) == direct
        monkeypatch.undo()
