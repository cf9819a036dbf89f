"""Masks: the pixel-centre rule for all shapes, unchanged by flips and shifts, of the right size, as regions has it."""

import math
import warnings

import astropy.units as u
import attrs
import numpy as np
import pytest
import regions as regions_package
from hypothesis import given, strategies as st

from xphotfn.errors import NoData
from xphotfn.science.pixel_masks import PixelShape, annulus, disc, edge_mask, paint, sensor_mask
from xphotfn.science.ratemap import rate_map
from xphotfn.science.shapes import contains, scaled
from xphotfn.science.snr_methods import signal_to_noise
from xphotfn.testing.strategies import count_maps, exposure_maps, masks

SHAPE = (40, 50)
SEEDS = st.integers(0, 2**32 - 1)
KINDS = ("circle", "ellipse", "box", "annulus", "polygon")


def eighths(low, high):
    """Multiples of 1/8: sums, differences and squares of these are exact, so ties stay ties."""
    return st.integers(8 * low, 8 * high).map(lambda n: n / 8)


@st.composite
def shapes(draw, kinds=KINDS, low=-10, high=60, reach=20):
    kind = draw(st.sampled_from(kinds))
    x, y = draw(eighths(low, high)), draw(eighths(low, high))
    first, second = draw(eighths(1, reach)), draw(eighths(1, reach))
    if kind == "annulus":
        first, second = min(first, second) - 0.5, max(first, second)
    if kind == "polygon":
        number = draw(st.integers(3, 7))
        turns = [(i + draw(st.integers(0, 6)) / 8) / number for i in range(number)]
        lengths = [draw(eighths(1, reach)) for _ in turns]
        vertices = tuple(
            (x + round(8 * r * math.cos(2 * math.pi * t)) / 8, y + round(8 * r * math.sin(2 * math.pi * t)) / 8)
            for t, r in zip(turns, lengths, strict=True)
        )
        return PixelShape(shape=kind, x=x, y=y, vertices=vertices)
    size = (first,) if kind == "circle" else (first, second)
    angle = draw(st.sampled_from((0.0, 30.0, 45.0, 90.0, 135.0)) | st.floats(-180, 360))
    return PixelShape(shape=kind, x=x, y=y, size=size, angle_deg=angle if kind in ("ellipse", "box") else 0.0)


def painted(*items, shape=SHAPE):
    mask = np.zeros(shape, dtype=bool)
    paint(mask, items)
    return mask


def on_an_edge(item, shape=SHAPE, margin=1e-6):
    """Return the pixels whose centre lies so near to the shape's edge that rounding may decide."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    corners = item.vertices
    if item.shape == "box":
        w, h, turn = item.size[0] / 2, item.size[1] / 2, math.radians(item.angle_deg)
        corners = [
            (item.x + a * math.cos(turn) - b * math.sin(turn), item.y + a * math.sin(turn) + b * math.cos(turn))
            for a, b in ((w, h), (-w, h), (-w, -h), (w, -h))
        ]
    near = np.zeros(shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        squared = (x1 - x0) ** 2 + (y1 - y0) ** 2
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / squared, 0, 1) if squared else 0.0
        near |= np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)) < margin
    if item.shape in ("circle", "annulus"):
        for radius in item.size:
            near |= np.abs(np.hypot(x - item.x, y - item.y) - radius) < margin
    if item.shape == "ellipse":
        turn = math.radians(item.angle_deg)
        dx, dy = x - item.x, y - item.y
        along, across = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
        near |= np.abs(np.hypot(along / item.size[0], across / item.size[1]) - 1) < margin
    return near


def mirrored(item, shape=SHAPE, *, along_x):
    """Return the shape as it looks in an image whose columns (or rows) are reversed."""

    def at(x, y):
        return (shape[1] - 1 - x, y) if along_x else (x, shape[0] - 1 - y)

    x, y = at(item.x, item.y)
    vertices = tuple(at(*vertex) for vertex in item.vertices)
    return attrs.evolve(item, x=x, y=y, vertices=vertices, angle_deg=-item.angle_deg)


def area_and_perimeter(item):
    if item.shape == "polygon":
        pairs = list(zip(item.vertices, item.vertices[1:] + item.vertices[:1], strict=True))
        area = abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2
        return area, sum(math.dist(one, other) for one, other in pairs)
    a, b = item.size * 2 if item.shape == "circle" else item.size
    if item.shape == "box":
        return a * b, 2 * (a + b)
    if item.shape == "annulus":
        return math.pi * (b * b - a * a), 2 * math.pi * (a + b)
    return math.pi * a * b, 2 * math.pi * math.sqrt((a * a + b * b) / 2)


@given(shapes(), st.booleans())
def test_flips(item, along_x):
    there = painted(item)[:, ::-1] if along_x else painted(item)[::-1]
    differ = there != painted(mirrored(item, along_x=along_x))
    if item.shape == "polygon":  # one of two polygons that share an edge owns its pixels, so a flip moves ties
        near = on_an_edge(item)
        differ &= ~(near[:, ::-1] if along_x else near[::-1])
    assert not differ.any()


@given(shapes(), st.integers(-12, 12), st.integers(-12, 12))
def test_shifts(item, dx, dy):
    moved = attrs.evolve(
        item, x=item.x + dx, y=item.y + dy, vertices=tuple((vx + dx, vy + dy) for vx, vy in item.vertices)
    )
    there, here = painted(moved), painted(item)
    rows = slice(max(0, dy), SHAPE[0] + min(0, dy)), slice(max(0, -dy), SHAPE[0] + min(0, -dy))
    columns = slice(max(0, dx), SHAPE[1] + min(0, dx)), slice(max(0, -dx), SHAPE[1] + min(0, -dx))
    assert np.array_equal(there[rows[0], columns[0]], here[rows[1], columns[1]])


@given(shapes())
def test_a_larger_image_shows_the_same(item):
    """The window in which a shape is painted cuts nothing off."""
    margin = 60
    vertices = tuple((vx + margin, vy + margin) for vx, vy in item.vertices)
    wide = painted(
        attrs.evolve(item, x=item.x + margin, y=item.y + margin, vertices=vertices),
        shape=(SHAPE[0] + 2 * margin, SHAPE[1] + 2 * margin),
    )
    assert np.array_equal(wide[margin:-margin, margin:-margin], painted(item))
    assert painted(item).sum() <= wide.sum()


@given(shapes(low=60, high=70))
def test_as_many_pixels_as_the_area(item):
    """A pixel counts wrongly only where the outline crosses it."""
    count = painted(item, shape=(131, 131)).sum()
    area, perimeter = area_and_perimeter(item)
    assert abs(count - area) <= math.sqrt(2) * perimeter + math.pi / 2


@given(eighths(60, 70), eighths(60, 70), st.floats(0.0, 50.0))
def test_as_many_pixels_as_a_disc(x, y, radius):
    """Gauss's bound: a pixel reaches sqrt(1/2) from its centre."""
    count = disc((131, 131), x, y, radius).sum()
    assert math.pi * max(0.0, radius - math.sqrt(0.5)) ** 2 <= count <= math.pi * (radius + math.sqrt(0.5)) ** 2


@given(eighths(0, 50), eighths(0, 40), eighths(0, 20), eighths(0, 20))
def test_rings_add_up(x, y, one, other):
    inner, outer = sorted((one, other))
    ring = annulus(SHAPE, x, y, inner, outer)
    assert np.array_equal(ring, disc(SHAPE, x, y, outer) & ~disc(SHAPE, x, y, inner))
    wide = annulus(SHAPE, x, y, outer, outer + 5)
    assert not (ring & wide).any()
    assert np.array_equal(ring | wide, annulus(SHAPE, x, y, inner, outer + 5))


@given(shapes(kinds=("circle",)), st.floats(-180, 360))
def test_a_round_ellipse_is_a_circle(item, angle):
    ellipse = attrs.evolve(item, shape="ellipse", size=item.size * 2, angle_deg=angle)
    assert not ((painted(item) != painted(ellipse)) & ~on_an_edge(item)).any()


@given(shapes(kinds=("ellipse", "box")), st.integers(-2, 2))
def test_half_turns_change_nothing(item, turns):
    turned = attrs.evolve(item, angle_deg=item.angle_deg + 180 * turns)
    assert not ((painted(item) != painted(turned)) & ~on_an_edge(item)).any()
    quarter = attrs.evolve(item, size=item.size[::-1], angle_deg=item.angle_deg + 90)
    assert not ((painted(item) != painted(quarter)) & ~on_an_edge(item)).any()


@given(shapes(kinds=("box",)))
def test_a_polygon_of_a_box_is_the_box(item):
    w, h, turn = item.size[0] / 2, item.size[1] / 2, math.radians(item.angle_deg)
    corners = tuple(
        (item.x + a * math.cos(turn) - b * math.sin(turn), item.y + a * math.sin(turn) + b * math.cos(turn))
        for a, b in ((w, h), (-w, h), (-w, -h), (w, -h))
    )
    polygon = PixelShape(shape="polygon", x=item.x, y=item.y, vertices=corners)
    assert not ((painted(item) != painted(polygon)) & ~on_an_edge(item)).any()


@given(shapes(kinds=("polygon",)), st.integers(0, 6), st.booleans())
def test_where_a_polygon_starts_changes_nothing(item, start, backwards):
    start %= len(item.vertices)
    vertices = (item.vertices[start:] + item.vertices[:start])[:: -1 if backwards else 1]
    differ = painted(item) != painted(attrs.evolve(item, vertices=vertices))
    assert not (differ & ~on_an_edge(item)).any()


@given(shapes(), st.floats(0.3, 3))
def test_scaled(item, factor):
    assert scaled(item, 1) == item
    grown = scaled(item, factor)
    assert (grown.x, grown.y, grown.angle_deg, grown.include) == (item.x, item.y, item.angle_deg, item.include)
    area, _ = area_and_perimeter(item)
    assert area_and_perimeter(grown)[0] == pytest.approx(area * factor**2, rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(st.floats(-60, 560), st.floats(-60, 560)), min_size=3, max_size=7))
def test_scaled_by_one_is_the_same_polygon(vertices):
    """With any coordinates, not only with those that are exact."""
    x, y = (sum(values) / len(vertices) for values in zip(*vertices, strict=True))
    item = PixelShape(shape="polygon", x=x, y=y, vertices=tuple(vertices))
    assert scaled(item, 1) == item


@given(shapes(kinds=("circle", "ellipse", "box")), st.floats(1, 3))
def test_what_grows_keeps_its_pixels(item, factor):
    assert not (painted(item) & ~painted(scaled(item, factor)) & ~on_an_edge(item)).any()


@given(st.lists(shapes(), max_size=4))
def test_contains_is_the_mask(items):
    mask = [painted(item) for item in items]
    for x, y in ((0, 0), (25, 20), (10, 30), (49, 39)):
        assert contains(items, x, y) == [bool(m[y, x]) for m in mask]


@given(st.lists(shapes(), max_size=4), shapes())
def test_paint_is_a_union_and_excluded_shapes_cut(items, hole):
    union = np.logical_or.reduce([painted(item) for item in items]) if items else np.zeros(SHAPE, dtype=bool)
    assert np.array_equal(painted(*items), union)
    assert np.array_equal(painted(*items, attrs.evolve(hole, include=False)), union & ~painted(hole))


def test_a_point_covers_nothing():
    assert not painted(PixelShape(shape="point", x=5, y=5)).any()
    assert contains([PixelShape(shape="point", x=5, y=5)], 5, 5) == [False]


def regions_of(item):
    """Return the same shape as a region of the regions package."""
    centre = regions_package.PixCoord(item.x, item.y)
    size, angle = item.size, item.angle_deg * u.deg
    if item.shape == "circle":
        return regions_package.CirclePixelRegion(centre, size[0])
    if item.shape == "annulus":
        return regions_package.CircleAnnulusPixelRegion(centre, *size)
    if item.shape == "ellipse":
        return regions_package.EllipsePixelRegion(centre, 2 * size[0], 2 * size[1], angle=angle)
    if item.shape == "box":
        return regions_package.RectanglePixelRegion(centre, *size, angle=angle)
    return regions_package.PolygonPixelRegion(regions_package.PixCoord(*zip(*item.vertices, strict=True)))


@given(shapes())
def test_agrees_with_regions(item):
    region = regions_of(item)
    image = region.to_mask(mode="center").to_image(SHAPE)
    theirs = np.zeros(SHAPE, dtype=bool) if image is None else image.astype(bool)
    assert not ((painted(item) != theirs) & ~on_an_edge(item)).any()


@given(shapes(kinds=("circle", "ellipse", "annulus", "box"), low=5, high=35, reach=15))
def test_agrees_with_photutils(item):
    aperture = pytest.importorskip("photutils.aperture")
    kind = {
        "circle": aperture.CircularAperture,
        "ellipse": aperture.EllipticalAperture,
        "annulus": aperture.CircularAnnulus,
        "box": aperture.RectangularAperture,
    }[item.shape]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the name of the angle's option changed between releases
        turn = {"theta": math.radians(item.angle_deg)} if item.shape in ("ellipse", "box") else {}
        image = kind((item.x, item.y), *item.size, **turn).to_mask(method="center").to_image(SHAPE)
    assert not ((painted(item) != image.astype(bool)) & ~on_an_edge(item)).any()


@given(masks(SHAPE), st.booleans())
def test_the_rim_flips_with_the_sensor(sensor, along_x):
    def flip(mask):
        return mask[:, ::-1] if along_x else mask[::-1]

    assert np.array_equal(edge_mask(flip(sensor)), flip(edge_mask(sensor)))


@given(masks(SHAPE))
def test_the_rim_is_on_the_sensor_and_next_to_its_outside(sensor):
    rim = ~edge_mask(sensor)
    assert not (rim & ~sensor).any()
    outside = np.pad(~sensor, 1, constant_values=True)
    beside = outside[:-2, 1:-1] | outside[2:, 1:-1] | outside[1:-1, :-2] | outside[1:-1, 2:]
    assert np.array_equal(rim, sensor & beside)


@given(exposure_maps(shape=SHAPE), SEEDS)
def test_nan_and_negative_exposure_is_off_the_sensor(exposure, seed):
    broken = np.array(exposure)
    where = np.random.default_rng(seed).random(SHAPE)
    broken[where < 0.1], broken[where > 0.9] = np.nan, -1
    assert np.array_equal(sensor_mask(broken), (exposure > 0) & (where >= 0.1) & (where <= 0.9))


@given(count_maps(shape=SHAPE), exposure_maps(shape=SHAPE))
def test_rates_are_linear(counts, exposure):
    rate = rate_map(counts, exposure)
    assert rate.dtype == np.float64
    assert np.array_equal(rate_map(counts, 2 * exposure), rate / 2)
    assert np.array_equal(rate_map(2 * counts, exposure), 2 * rate)
    summed = rate_map(counts + counts[::-1], exposure)
    np.testing.assert_allclose(summed, rate + rate_map(counts[::-1], exposure), rtol=1e-12)
    on = exposure > 0
    np.testing.assert_allclose((rate * exposure)[on], counts[on], rtol=1e-12)


@given(count_maps(shape=SHAPE), exposure_maps(shape=SHAPE, dtype=np.float64), SEEDS)
def test_there_is_no_rate_where_there_is_no_exposure(counts, exposure, seed):
    broken = np.array(exposure)
    where = np.random.default_rng(seed).random(SHAPE)
    broken[where < 0.1], broken[where > 0.9] = np.nan, -1
    rate = rate_map(counts, broken)
    assert np.all(rate[~(broken > 0)] == 0)
    assert np.all(np.isfinite(rate))


@given(count_maps(shape=SHAPE), exposure_maps(shape=SHAPE), masks(SHAPE), masks(SHAPE))
def test_counts_add_over_disjoint_masks(counts, exposure, one, other):
    on = exposure > 0

    def measured(mask):
        try:
            found = signal_to_noise(counts, exposure, mask, on)
        except NoData:
            return 0.0, 0.0, 0
        return found.counts, found.exposure_s, found.area_pix

    first, second, both = (measured(mask) for mask in (one, other & ~one, one | other))
    assert first[0] + second[0] == both[0]
    assert first[1] + second[1] == pytest.approx(both[1], rel=1e-12)
    assert first[2] + second[2] == both[2]


@given(shapes(low=20, high=30, reach=9))
def test_the_area_of_a_shape_is_that_of_its_pixels(item):
    """Painted on pixels a tenth as large, of which as many are cut as its edge is long."""
    fine = attrs.evolve(
        item, x=10 * item.x, y=10 * item.y, size=tuple(10 * s for s in item.size),
        vertices=tuple((10 * x, 10 * y) for x, y in item.vertices),
    )  # fmt: skip
    edge = 14 * 4 * sum(item.reach) * (len(item.vertices) or 2)
    assert item.area >= 0
    assert abs(fine.area - painted(fine, shape=(500, 500)).sum()) <= 0.1 * edge + 4
    assert fine.area == pytest.approx(100 * item.area, rel=1e-9)


def test_areas_by_known_values():
    assert PixelShape(shape="circle", x=0, y=0, size=(2,)).area == pytest.approx(4 * math.pi)
    assert PixelShape(shape="annulus", x=0, y=0, size=(1, 2)).area == pytest.approx(3 * math.pi)
    assert PixelShape(shape="ellipse", x=0, y=0, size=(3, 2), angle_deg=30).area == pytest.approx(6 * math.pi)
    assert PixelShape(shape="box", x=0, y=0, size=(3, 2), angle_deg=30).area == 6
    assert PixelShape(shape="polygon", x=0, y=0, vertices=((0, 0), (4, 0), (0, 3))).area == 6
    assert PixelShape(shape="point", x=0, y=0).area == 0
