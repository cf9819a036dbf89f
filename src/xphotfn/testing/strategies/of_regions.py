"""Strategies for regions and sets of them."""

import math

import attrs
from hypothesis import strategies as st

from xphotfn.records.region import EXTENDED_COLOURS, POINT_COLOURS, Region

__all__ = (
    "region_sets",
    "regions",
)

_FRAMES = ("image", "physical", "fk5", "icrs")
_PLACES = {"image": (-50.0, 562.0, 60.0), "physical": (3649.0, 48106.0, 5000.0)}


@st.composite
def _around(draw: st.DrawFn, x: float, y: float, reach: float) -> tuple[tuple[float, float], ...]:
    """Draw the corners of a polygon without crossing edges, in order around (x, y)."""
    corners = draw(st.integers(3, 7))
    points = []
    for i in range(corners):
        phase = 2 * math.pi * (i + draw(st.floats(0.0, 0.8))) / corners
        radius = reach * draw(st.floats(0.2, 1.0))
        points.append((x + radius * math.cos(phase), y + radius * math.sin(phase)))
    return tuple(points)


@st.composite
def regions(draw: st.DrawFn, *, frame: str | None = None) -> Region:
    """Return a strategy for regions of all shapes and colours.

    Parameters
    ----------
    frame
        ``image``, ``physical``, ``fk5`` or ``icrs``; any of them if None. Pixels are those of the default 512 x 512
        grid, a few regions lie off it.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(regions(frame="image"))
    ... def test_frames_are_as_asked(region):
    ...     assert region.frame == "image"
    >>> test_frames_are_as_asked()
    """
    shape = draw(st.sampled_from(("circle", "ellipse", "box", "annulus", "polygon", "point")))
    where = draw(st.sampled_from(_FRAMES)) if frame is None else frame
    if where in _PLACES:
        low, high, reach = _PLACES[where]
        x, y = draw(st.floats(low, high)), draw(st.floats(low, high))
    else:
        x, y, reach = draw(st.floats(1.0, 359.0)), draw(st.floats(-89.0, 89.0)), 0.1
    first = draw(st.floats(0.01, 1.0)) * reach
    second = draw(st.floats(0.05, 0.95)) * first
    size = {"circle": (first,), "ellipse": (first, second), "box": (second, first), "annulus": (second, first)}
    vertices = draw(_around(x, y, reach)) if shape == "polygon" else ()
    if vertices:
        x, y = (sum(values) / len(vertices) for values in zip(*vertices, strict=True))
    turned = shape in ("ellipse", "box")
    return Region(
        shape=shape, frame=where, x=x, y=y, size=size.get(shape, ()), vertices=vertices,
        angle_deg=draw(st.floats(-180.0, 360.0)) if turned else 0.0, include=not draw(st.booleans()),
        colour=draw(st.sampled_from(POINT_COLOURS + EXTENDED_COLOURS)), name=draw(st.text(max_size=8)),
        line=draw(st.integers(0, 200)), position_error_deg=draw(st.sampled_from((0.0, 1e-4, 5e-4))),
    )  # fmt: skip


@st.composite
def region_sets(draw: st.DrawFn, *, frame: str | None = None, max_size: int = 8) -> tuple[Region, ...]:
    """Return a strategy for the regions of one file: one frame (as for :func:`regions`), in the order of their lines.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(region_sets())
    ... def test_lines_follow_each_other(regions):
    ...     assert [r.line for r in regions] == sorted(r.line for r in regions)
    >>> test_lines_follow_each_other()
    """
    where = draw(st.sampled_from(_FRAMES)) if frame is None else frame
    found = draw(st.lists(regions(frame=where), max_size=max_size))
    return tuple(attrs.evolve(region, line=line) for line, region in enumerate(found, start=2))
