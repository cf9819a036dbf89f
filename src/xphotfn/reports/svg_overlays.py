"""Regions, radii and positions of a field as SVG over a picture, and its axes on the sky."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, final

import numpy as np
from attrs import frozen

from xphotfn.errors import ProductMissing
from xphotfn.html import Html
from xphotfn.measure.aperture import Aperture, shape_of
from xphotfn.measure.masks import ring_factors
from xphotfn.plot.map_png import Box
from xphotfn.plot.overlays import scale_bar_arcmin
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.records.measurement import Peak
from xphotfn.reports.page import element, number
from xphotfn.science.coords import deg_to_pix, pix_to_deg
from xphotfn.science.pixel_masks import PixelShape
from xphotfn.science.shapes import pixel_shapes, scaled

__all__ = ("SvgOverlay", "axes_svg", "overlays", "small_svg", "svg")

_FROM_BELOW = ("interloper", "alternate", "kept", "match")


@final
@frozen(kw_only=True)
class SvgOverlay:
    """A shape in pixels of the map, and what it is: the class by which it is drawn."""

    kind: str
    shape: PixelShape


def overlays(
    field: Field, grid: PixelGrid, aperture: Aperture | None, *, obs_id: str = "combined"
) -> Iterator[SvgOverlay]:
    """Yield the regions of a field on a grid: interlopers, matches, the measured region and its background.

    Those of one observation only, ``combined`` for all.
    """
    for member in field.members:
        if obs_id in ("combined", member.obs_id):
            for role in _FROM_BELOW:
                for shape in pixel_shapes(member.roles[role], member.region_grid, grid):
                    yield SvgOverlay(kind="kept" if role == "alternate" else role, shape=shape)
    source = _source(field, grid, aperture, obs_id)
    if source is not None:
        for factor in ring_factors(field, max(source.reach) * grid.pixel_deg * 3600):
            yield SvgOverlay(kind="ring", shape=scaled(source, factor))
        yield SvgOverlay(kind="source", shape=source)


def _source(field: Field, grid: PixelGrid, aperture: Aperture | None, obs_id: str) -> PixelShape | None:
    if field.target is None or aperture is None:
        return None
    try:
        return shape_of(aperture, field, grid, obs_id)
    except ProductMissing:
        return None


def svg(
    shown: Iterable[SvgOverlay], box: Box, *, target: Any = None, peak: tuple[float, float] | None = None,
    inside: Iterable[Html] = (),
) -> Html:  # fmt: skip
    """Return overlays, and marks at positions in pixels of the map, as an SVG that lies over a picture of a box."""
    shapes = [_shape(o, box) for o in shown if _touches(o.shape, box)]
    marks = [_mark("target", target, box, 0.016), _mark("peak", peak, box, 0.03)]
    size = {"width": box.width, "height": box.height}
    return element(
        "svg",
        element("svg", *shapes, *(m for m in marks if m), **size),
        *inside,
        viewBox=f"0 0 {box.width} {box.height}",
        font_size=round(box.width / 100, 2),
        aria_hidden="true",
        focusable="false",
    )


def small_svg(field: Field, grid: PixelGrid, box: Box, aperture: Aperture | None, peak: Peak | None) -> Html:
    """Return the overlay of a thumbnail: the measured region and the peak."""
    source = _source(field, grid, aperture, "combined")
    shapes = [] if source is None else [_shape(SvgOverlay(kind="source", shape=source), box)]
    place = None if peak is None else position(grid, peak.ra_deg, peak.dec_deg)
    mark = _mark("peak", place, box, 0.06)
    return element(
        "svg", *shapes, *([mark] if mark else []), viewBox=f"0 0 {box.width} {box.height}", aria_hidden="true"
    )


def position(grid: PixelGrid, ra: float | None, dec: float | None) -> tuple[float, float] | None:
    """Return a position in pixels, or None where it has none."""
    if ra is None or dec is None:
        return None
    x, y = (float(v) for v in deg_to_pix(grid, ra, dec))
    return (x, y) if math.isfinite(x) and math.isfinite(y) else None


def _touches(shape: PixelShape, box: Box) -> bool:
    half_x, half_y = shape.reach
    across = box.x0 - half_x - 2 <= shape.x <= box.x1 + half_x + 2
    return across and box.y0 - half_y - 2 <= shape.y <= box.y1 + half_y + 2


def _at(x: float, y: float, box: Box) -> tuple[float, float]:
    """Return the place in the SVG, whose first row is the top, of a position in pixels of the map."""
    return round(x - box.x0 + 0.5, 2), round(box.y1 - y - 0.5, 2)


def _shape(shown: SvgOverlay, box: Box) -> Html:
    shape, sizes = shown.shape, [round(s, 2) for s in shown.shape.size]
    x, y = _at(shape.x, shape.y, box)
    turn = {"transform": f"rotate({-shape.angle_deg:g} {x} {y})"} if shape.angle_deg else {}
    if shape.shape == "circle":
        return element("circle", class_=shown.kind, cx=x, cy=y, r=sizes[0])
    if shape.shape == "ellipse":
        return element("ellipse", class_=shown.kind, cx=x, cy=y, rx=sizes[0], ry=sizes[1], **turn)
    if shape.shape == "box":
        w, h = sizes
        return element("rect", class_=shown.kind, x=x - w / 2, y=y - h / 2, width=w, height=h, **turn)
    if shape.shape == "annulus":
        return element("g", *(element("circle", class_=shown.kind, cx=x, cy=y, r=r) for r in sizes))
    if shape.shape == "polygon":
        points = " ".join("{},{}".format(*_at(*v, box)) for v in shape.vertices)
        return element("polygon", class_=shown.kind, points=points)
    return element("circle", class_=shown.kind, cx=x, cy=y, r=2)


def _mark(kind: str, place: tuple[float, float] | None, box: Box, size: float) -> Html | None:
    """Return a cross with an open middle (peak) or a plus (target); its arms are a part of the box's width."""
    if place is None:
        return None
    x, y = _at(*place, box)
    arm = round(size * max(box.width, box.height), 1)
    if kind == "target":
        d = f"M{x - arm:g} {y - arm:g}l{2 * arm:g} {2 * arm:g}M{x + arm:g} {y - arm:g}l{-2 * arm:g} {2 * arm:g}"
    else:
        hole = round(arm * 0.4, 1)
        starts = ((x - arm, y, "h"), (x + hole, y, "h"), (x, y - arm, "v"), (x, y + hole, "v"))
        d = "".join(f"M{a:g} {b:g}{way}{arm - hole:g}" for a, b, way in starts)
    return element("g", element("path", class_="halo", d=d), element("path", class_=kind, d=d))


def axes_svg(grid: PixelGrid, box: Box) -> tuple[Html, ...]:
    """Return ticks with degrees of RA along the lower edge and of Dec along the left one, and a scale bar."""
    parts: list[Html] = []
    xs, ys = np.arange(box.x0, box.x1) * 1.0, np.arange(box.y0, box.y1) * 1.0
    ra = np.unwrap(pix_to_deg(grid, xs, np.full(xs.shape, float(box.y0)))[0], period=360.0)
    dec = pix_to_deg(grid, np.full(ys.shape, float(box.x0)), ys)[1]
    w, h, long = box.width, box.height, round(0.012 * box.width, 1)
    for value, place, digits in _ticks(ra, xs):
        x = round(place - box.x0 + 0.5, 1)
        parts.append(element("path", class_="tick", d=f"M{x} {h}v{-long}M{x} 0v{long}"))
        parts.append(element("text", number(value % 360, digits), x=x, y=h, dy="1.25em", text_anchor="middle"))
    for value, place, digits in _ticks(dec, ys):
        y = round(box.y1 - place - 0.5, 1)
        parts.append(element("path", class_="tick", d=f"M0 {y}h{long}M{w} {y}h{-long}"))
        parts.append(element("text", number(value, digits), x=-long, y=y, dy="0.35em", text_anchor="end"))
    parts.append(element("text", "RA (deg)", x=w, y=h, dy="2.5em", text_anchor="end"))
    parts.append(element("text", "Dec (deg)", x=-long, y=0, dy="-0.5em", text_anchor="middle"))
    return (*parts, *_scale_bar(grid, box))


def _ticks(values: Any, places: Any) -> Iterator[tuple[float, float, int]]:
    """Yield (value, place, digits) of round values along an edge, where they grow or fall all the way."""
    steps = np.diff(values)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        return
    if steps[0] < 0:
        values, places = values[::-1], places[::-1]
    span = float(values[-1] - values[0])
    wanted = span / 4
    size = 10.0 ** math.floor(math.log10(wanted))
    step = next(f * size for f in (1, 2, 5, 10) if f * size >= wanted * 0.75)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for n in range(math.ceil(values[0] / step), math.floor(values[-1] / step) + 1):
        place = float(np.interp(n * step, values, places))
        if abs(place - places[0]) > 8 and abs(place - places[-1]) > 8:
            yield n * step, place, digits


def _scale_bar(grid: PixelGrid, box: Box) -> tuple[Html, ...]:
    """Return the bar that pictures of the plot room have, too."""
    pixel = grid.pixel_deg * 60
    length = scale_bar_arcmin(box.width * pixel)
    width, x = round(length / pixel, 1), round(0.025 * box.width, 1)
    y = round(box.height - x, 1)
    return (
        element("path", class_="bar", d=f"M{x} {y}h{width}"),
        element("text", f"{length:g} arcmin", class_="onpic", x=x, y=y, dy="-0.5em"),
    )
