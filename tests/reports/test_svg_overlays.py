"""Thumbnails and overlays against matplotlib's reader of PNG files, numpy, and astropy's WCS."""

import io
import re

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from matplotlib.image import imread

import xphotfn as xp
from xphotfn.io.thumbnails import png
from xphotfn.measure.aperture import aperture_of
from xphotfn.plot.map_png import LEVELS, Box, box_around, box_of, colours, cut, rate_levels, reduced, veil_png
from xphotfn.plot.view import sky_wcs
from xphotfn.reports.svg_overlays import axes_svg, overlays, svg
from xphotfn.science.coords import pix_to_deg, separation_deg
from xphotfn.testing.examples import example_rate_map


def read(content):
    """Return a PNG as bytes of red, green, blue (and opacity), first row at the bottom."""
    return np.rint(imread(io.BytesIO(content), format="png") * 255).astype(np.uint8)[::-1]


def test_a_png_holds_the_colours_of_its_levels():
    levels = np.random.default_rng(1).integers(0, LEVELS, (37, 53)).astype(np.uint8)
    assert np.array_equal(read(png(levels[::-1], colours()))[..., :3], colours()[levels])


def test_the_veil_covers_what_is_hidden():
    hidden = np.random.default_rng(2).random((20, 30)) < 0.5
    opacity = read(veil_png(hidden, Box(x0=-2, x1=30, y0=5, y1=20)))[..., 3]
    assert opacity.shape == (15, 32)
    assert np.array_equal(opacity[:, 2:] > 0, hidden[5:])
    assert not opacity[:, :2].any()


@pytest.mark.parametrize(
    "box", [Box(x0=3, x1=9, y0=2, y1=5), Box(x0=-4, x1=20, y0=-3, y1=18), Box(x0=50, x1=60, y0=0, y1=4)]
)
def test_a_box_may_reach_beyond_the_image(box):
    array = np.arange(1.0, 121).reshape(10, 12)
    padded = np.pad(array, 60)
    expected = padded[box.y0 + 60 : box.y1 + 60, box.x0 + 60 : box.x1 + 60]
    assert np.array_equal(cut(array, box), expected)


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_blocks_keep_all_counts(factor):
    array = np.random.default_rng(3).poisson(5, (50, 41)).astype(np.float32)
    small = reduced(array, factor)
    assert small.shape == (-(-50 // factor), -(-41 // factor))
    assert small.sum() == array.sum()
    assert small[0, 0] == array[:factor, :factor].sum()


def test_boxes():
    assert box_around(10.4, 20.6, 5.0) == Box(x0=5, x1=16, y0=16, y1=27)
    empty = np.zeros((7, 9))
    assert box_of(empty) == Box(x0=0, x1=9, y0=0, y1=7)
    empty[3, 4] = 1
    assert box_of(empty, margin=1) == Box(x0=3, x1=6, y0=2, y1=5)


def test_an_even_sky_has_one_colour_whatever_its_exposure():
    exposure = np.full((60, 60), 100.0)
    exposure[:, 30:] = 400.0
    exposure[:5] = 0
    levels, (low, high) = rate_levels(exposure * 0.02, exposure, Box(x0=0, x1=60, y0=0, y1=60), sigma_pix=2)
    assert low == pytest.approx(0.02, rel=1e-4)
    assert high == pytest.approx(0.02, rel=1e-4)
    assert not levels[:5].any()


def test_brighter_is_a_higher_level_and_nothing_is_off_the_scale():
    rate = np.linspace(0, 1, 100)[None, :] * np.ones((40, 1))
    levels, _ = rate_levels(rate, np.ones_like(rate), Box(x0=0, x1=100, y0=0, y1=40), sigma_pix=0.01)
    assert np.all(np.diff(levels[20].astype(int)) >= 0)
    assert (levels.min(), levels.max()) == (1, LEVELS - 1)
    nothing, ends = rate_levels(rate, np.zeros_like(rate), Box(x0=0, x1=9, y0=0, y1=9))
    assert (int(nothing.max()), ends) == (0, (0.0, 0.0))


def test_a_map_that_holds_nan_is_shown():
    rate = np.ones((30, 30))
    rate[10:12] = np.nan
    levels, ends = rate_levels(rate, np.ones_like(rate), Box(x0=0, x1=30, y0=0, y1=30))
    assert np.isfinite(ends).all()
    assert not levels[10:12].any()


def numbers(text, tag, **having):
    """Return the attributes of the elements of an SVG."""
    found = [dict(re.findall(r'([\w-]+)="([^"]*)"', m)) for m in re.findall(rf"<{tag}\b([^>]*)>", text)]
    return [a for a in found if all(a.get(k) == v for k, v in having.items())]


def test_overlays_lie_where_astropy_puts_them(sample_run):
    (field,) = [f for f in sample_run.plan.fields if f.name == "A 2029"]
    grid = xp.combined_rate_map(sample_run, target=field.name).grid
    box = Box(x0=3, x1=90, y0=10, y1=80)
    text = str(svg(overlays(field, grid, aperture_of(field, "r500")), box))
    x, y = sky_wcs(grid).world_to_pixel(SkyCoord(*field.centre))
    (source,) = numbers(text, "circle", **{"class": "source"})
    assert float(source["cx"]) == pytest.approx(float(x) - 3 + 0.5, abs=0.01)
    assert float(source["cy"]) == pytest.approx(80 - float(y) - 0.5, abs=0.01)  # rows count from the top
    assert float(source["r"]) == pytest.approx(120 / 8, abs=0.01)
    radii = [float(ring["r"]) for ring in numbers(text, "circle", **{"class": "ring"})]
    assert radii == pytest.approx([1.05 * 15, 1.5 * 15], abs=0.01)
    (other,) = numbers(text, "ellipse", **{"class": "interloper"})  # DS9's ellipse(70,30,4,3,20) counts from 1
    assert [float(other[k]) for k in ("cx", "cy", "rx", "ry")] == [69 - 3 + 0.5, 80 - 29 - 0.5, 4, 3]
    assert other["transform"].startswith("rotate(-20 ")


def test_the_brightest_pixel_of_a_map_lies_under_its_cross(sample_report):
    page = (sample_report / "targets" / "a-2029.html").read_text()
    (drawn,) = re.findall(r'<div class="sky large">.*?</div>', page, re.DOTALL)
    ((path),) = numbers(drawn, "path", **{"class": "peak"})
    left, y = (float(v) for v in re.match(r"M([\d.-]+) ([\d.-]+)h", path["d"]).groups())
    width = float(re.search(r'viewBox="0 0 (\d+)', drawn)[1])
    x = left + round(0.03 * width, 1)
    picture = imread(sample_report / "pictures" / re.search(r"pictures/([^\"]*combined.png)", drawn)[1])
    row, column = np.unravel_index(picture[..., :3].sum(axis=2).argmax(), picture.shape[:2])
    assert abs(column + 0.5 - x) <= 2
    assert abs(row + 0.5 - y) <= 2
    assert row < picture.shape[0] / 2  # the source is in the upper half
    assert column < picture.shape[1] / 2


@pytest.mark.parametrize("ra", [10.0, 0.0, 359.999])
def test_ticks_stand_at_their_coordinates(ra):
    grid = xp.PixelGrid.from_sky_range(ra, -30.0)
    box = Box(x0=50, x1=450, y0=80, y1=400)
    parts = axes_svg(grid, box)
    wcs = sky_wcs(grid)
    texts = [
        (dict(re.findall(r'([\w-]+)="([^"]*)"', p)), re.sub(r"<[^>]*>", "", p)) for p in parts if p.startswith("<text")
    ]
    texts = [(a, t) for a, t in texts if "deg" not in t]
    lower = [(float(a["x"]), float(t)) for a, t in texts if a.get("text-anchor") == "middle"]
    left = [(float(a["y"]), float(t.replace("\u2212", "-"))) for a, t in texts if a.get("text-anchor") == "end"]
    assert 3 <= len(lower) <= 8
    assert 3 <= len(left) <= 8
    for x, value in lower:
        sky = wcs.pixel_to_world(x + box.x0 - 0.5, box.y0)
        assert (sky.ra.deg - value + 180) % 360 - 180 == pytest.approx(0, abs=2e-4)
    for y, value in left:
        assert wcs.pixel_to_world(box.x0, box.y1 - y - 0.5).dec.deg == pytest.approx(value, abs=2e-4)


def test_the_scale_bar_is_as_long_as_it_says():
    """Its length by the sky: both ends to degrees and the great circle between them."""
    grid = example_rate_map().grid
    text = "".join(axes_svg(grid, Box(x0=100, x1=400, y0=100, y1=300)))
    x, y, width = (float(v) for v in re.search(r'class="bar" d="M([\d.]+) ([\d.]+)h([\d.]+)"', text).groups())
    said = float(re.search(r'class="onpic"[^>]*>([\d.]+) arcmin<', text).group(1))
    ends = np.transpose(pix_to_deg(grid, np.array([100 + x, 100 + x + width]), np.full(2, 300 - y)))
    assert 60 * separation_deg(*ends[0], *ends[1]) == pytest.approx(said, rel=0.01)
    assert 0.1 < width / 300 <= 0.25
