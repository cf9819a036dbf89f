"""Regions: what each shape needs, what colours mean, and what is refused."""

import math
import re

import pytest
from hypothesis import given

from xphotfn.errors import InvalidRecord, XphotfnError
from xphotfn.records.region import EXTENDED_COLOURS, POINT_COLOURS, Region
from xphotfn.testing.strategies import region_sets, regions

SIZES = {"circle": (3.0,), "ellipse": (3.0, 2.0), "box": (3.0, 2.0), "annulus": (2.0, 3.0), "polygon": (), "point": ()}
TRIANGLE = ((0.0, 0.0), (4.0, 0.0), (0.0, 4.0))


def region(shape="circle", **changes):
    given = {"shape": shape, "frame": "image", "x": 10, "y": 20, "size": SIZES.get(shape, ())}
    return Region(**(given | ({"vertices": TRIANGLE} if shape == "polygon" else {}) | changes))


@pytest.mark.parametrize("shape", SIZES)
def test_each_shape_with_its_sizes(shape):
    made = region(shape)
    assert made.size == SIZES[shape]
    assert (type(made.x), type(made.y)) == (float, float)
    assert made.include


@pytest.mark.parametrize("shape", SIZES)
def test_another_number_of_sizes_is_refused(shape):
    for size in ((1.0,) * (len(SIZES[shape]) + 1), SIZES[shape][1:]):
        if size != SIZES[shape]:
            message = f"a {shape} needs {len(SIZES[shape])} sizes, got {re.escape(str(size))}"
            with pytest.raises(InvalidRecord, match=message):
                region(shape, size=size)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("shape", ["circle", "ellipse", "box"])
def test_sizes_are_finite_and_above_zero(shape, bad):
    for index in range(len(SIZES[shape])):
        size = tuple(bad if i == index else value for i, value in enumerate(SIZES[shape]))
        with pytest.raises(InvalidRecord, match=f"sizes of a {shape} must be above 0, got"):
            region(shape, size=size)


def test_an_annulus_grows_outwards():
    assert region("annulus", size=(0.0, 3.0)).size == (0.0, 3.0)
    for size in ((3.0, 3.0), (4.0, 3.0), (-1.0, 3.0), (math.nan, 3.0), (1.0, math.inf)):
        with pytest.raises(InvalidRecord, match="annulus"):
            region("annulus", size=size)


def test_only_a_polygon_has_vertices():
    message = "a polygon, and only a polygon, needs three or more vertices, got"
    with pytest.raises(InvalidRecord, match=message):
        region("polygon", vertices=TRIANGLE[:2])
    with pytest.raises(InvalidRecord, match=message):
        region("circle", vertices=TRIANGLE)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_vertices_are_finite(bad):
    with pytest.raises(InvalidRecord):
        region("polygon", vertices=(*TRIANGLE[:2], (bad, 4.0)))


@pytest.mark.parametrize("name", ["x", "y", "angle_deg"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_are_finite(name, bad):
    with pytest.raises(InvalidRecord, match=rf"Region\.{name} must be finite, got {bad}"):
        region(**{name: bad})


def test_shape_and_frame_are_known():
    with pytest.raises(InvalidRecord, match=r"Region\.shape must be one of circle, ellipse, .*, got 'blob'"):
        region("blob")
    with pytest.raises(InvalidRecord, match=r"Region\.frame must be one of image, physical, fk5, icrs, got 'galactic'"):
        region(frame="galactic")


def test_sizes_may_be_a_list_and_vertices_of_whole_numbers():
    assert region("ellipse", size=[3, 2]).size == (3.0, 2.0)
    assert region("polygon", vertices=[[0, 0], [4, 0], [0, 4]]).vertices == TRIANGLE


@pytest.mark.parametrize("change", [{"x": "far"}, {"size": 3}, {"size": ("wide",)}])
def test_what_is_no_number_is_refused(change):
    with pytest.raises((XphotfnError, TypeError, ValueError)):
        region(**change)


def test_colours_tell_point_sources_from_extended_ones():
    assert POINT_COLOURS == ("red",)
    assert set(EXTENDED_COLOURS) == {"green", "magenta", "blue", "cyan", "yellow"}
    assert region(colour="red").is_point_source
    assert not region(colour="red").is_extended
    for colour in EXTENDED_COLOURS:
        assert region(colour=colour).is_extended
        assert not region(colour=colour).is_point_source
    assert not region(colour="white").is_extended
    assert not region(colour="white").is_point_source


@given(regions())
def test_drawn_regions_are_of_one_kind(made):
    assert made.is_extended != made.is_point_source
    assert bool(made.vertices) == (made.shape == "polygon")


@given(region_sets())
def test_a_set_is_one_file(made):
    assert len({r.frame for r in made}) <= 1
    assert [r.line for r in made] == list(range(2, 2 + len(made)))
