"""What is drawn over a picture of a field: regions, circles around the centre, and a scale bar."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.records.field import Field, FieldObservation
from xphotfn.records.fields import one_or_several
from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.records.source_list import SourceList
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.distances import kpc_to_deg, radius_deg
from xphotfn.science.pixel_masks import PixelShape
from xphotfn.science.shapes import pixel_shapes
from xphotfn.science.source_regions import source_regions
from xphotfn.units import quantities

__all__ = ("DrawnRegion", "LabelledCircle", "Overlay", "draw_overlay", "overlay")

# DS9's colours by name; others are taken as matplotlib knows them.
DS9_COLOURS = {
    "red": "#ff0000", "green": "#00ff00", "blue": "#0000ff", "cyan": "#00ffff", "magenta": "#ff00ff",
    "yellow": "#ffff00", "white": "#ffffff", "black": "#000000",
}  # fmt: skip
_CIRCLE_COLOUR = "#ffffff"
_STYLES = {
    "match": (2.4, "-"), "alternate": (1.6, "--"), "kept": (1.2, "--"), "interloper": (1.0, "-"), "source": (1.0, "-"),
}  # fmt: skip
_LABEL_ANGLES = (45.0, 135.0, 225.0, 315.0, 90.0, 180.0, 270.0, 0.0)
_STEPS_ARCMIN = tuple(m * 10.0**e for e in range(-2, 3) for m in (1, 2, 5))
_BAR_SHARE = 0.25


class DrawnRegion(NamedTuple):
    """A region in the pixels of the picture."""

    shape: PixelShape
    colour: str
    role: str


class LabelledCircle(NamedTuple):
    """A circle in pixels, with its label."""

    x: float
    y: float
    radius: float
    label: str


class Overlay(NamedTuple):
    """Everything that lies over a picture."""

    regions: tuple[DrawnRegion, ...] = ()
    circles: tuple[LabelledCircle, ...] = ()
    pixel_arcmin: float | None = None  # None: no scale bar
    kpc_per_arcmin: float | None = None


def overlay(
    grid: PixelGrid, field: Field | None, circles: Any, crosses: NDArray[np.float64], sources: Any = None
) -> Overlay:
    """Return what lies over a picture of a grid; without a field, circles lie around the first cross hair."""
    if field is not None and not isinstance(field, Field):
        raise InvalidRecord(f"field= takes a Field, as match_observations returns it, got {type(field).__name__}")
    target = None if field is None else field.target
    wanted = [(f"{radius:g}", radius) for radius in quantities(circles, "circles=")]
    if target is not None:
        wanted = [(target.name if name == target.kind else name, r) for name, r in target.radii] + wanted
    centre = _centre(grid, field, crosses, needed=bool(wanted))
    redshift = None if target is None else target.redshift
    return Overlay(
        regions=(
            *(() if field is None else (r for m in field.members for r in _drawn(m, grid))),
            *_of_sources(sources, grid),
        ),
        circles=tuple(LabelledCircle(*centre, radius_deg(r, target) / grid.pixel_deg, label) for label, r in wanted),
        pixel_arcmin=None if field is None else grid.pixel_deg * 60,
        kpc_per_arcmin=None if target is None or redshift is None else 1 / (kpc_to_deg(1.0, target) * 60),
    )


def scale_bar_arcmin(width_arcmin: float) -> float:
    """Return the length of a scale bar: 1, 2 or 5 times a power of ten, at most a quarter of the width.

    Examples
    --------
    >>> scale_bar_arcmin(37.1), scale_bar_arcmin(3.0)
    (5.0, 0.5)
    """
    fitting = [step for step in _STEPS_ARCMIN if step <= _BAR_SHARE * width_arcmin]
    return fitting[-1] if fitting else _STEPS_ARCMIN[0]


def draw_overlay(
    ax: Any, drawn: Overlay, limits: tuple[float, float, float, float], points: float | None = None
) -> None:
    """Draw regions, circles and scale bar.

    ``limits`` are the edges of the axes, x from, to, y from, to; ``points`` the size of texts, default matplotlib's.
    """
    for region in sorted(drawn.regions, key=lambda r: r.role == "match"):
        _draw_region(ax, region)
    for place, circle in enumerate(drawn.circles):
        _draw_circle(ax, circle, _label_angle(circle, place, limits), points)
    _draw_scale_bar(ax, drawn, limits[1] - limits[0], points)


def _centre(grid: PixelGrid, field: Field | None, crosses: NDArray[np.float64], needed: bool) -> tuple[float, float]:
    if field is not None and field.target is not None:
        x, y = deg_to_pix(grid, *field.centre.value)
        if not (math.isfinite(x) and math.isfinite(y)):
            raise InvalidRecord(f"the centre of field {field.name} lies on the other side of the sky from this picture")
        return float(x), float(y)
    if len(crosses):
        return float(crosses[0, 0]), float(crosses[0, 1])
    if needed:
        raise InvalidRecord("circles= have no centre: give a field with a target, or cross_hair=")
    return math.nan, math.nan


def _drawn(member: FieldObservation, grid: PixelGrid) -> Iterator[DrawnRegion]:
    for role, regions in member.roles.items():
        shapes = pixel_shapes(regions, member.region_grid, grid)
        yield from (DrawnRegion(s, _colour(r), role) for r, s in zip(regions, shapes, strict=True))


def _of_sources(sources: Any, grid: PixelGrid) -> Iterator[DrawnRegion]:
    """Yield the sources of a list, of one for each observation, or regions."""
    if sources is None:
        return
    lists = tuple(sources.values()) if isinstance(sources, Mapping) else (sources,)
    regions = [region for item in lists for region in _as_regions(item)]
    shapes = pixel_shapes(regions, grid, grid)
    yield from (DrawnRegion(s, _colour(r), "source") for r, s in zip(regions, shapes, strict=True))


def _as_regions(item: Any) -> tuple[Region, ...]:
    if isinstance(item, SourceList):
        return source_regions(item)
    return one_or_several(item, Region, "sources= a SourceList, or regions as read_regions(path) gives them")


def _colour(region: Region) -> str:
    return DS9_COLOURS.get(region.colour, region.colour)


def _halo(colour: str, width: float) -> list[Any]:
    """Return a rim of the other brightness, so that a line shows on dark and on bright pixels."""
    from matplotlib import patheffects
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.45  # red too: where red is not seen it is nearly black
    rim, extra = ("white", 0.8) if is_dark else ("black", 1.4)
    return [patheffects.withStroke(linewidth=width + extra, foreground=rim, alpha=0.75)]


def _draw_region(ax: Any, region: DrawnRegion) -> None:
    from matplotlib.colors import is_color_like

    width, style = _STYLES[region.role]
    colour = region.colour if is_color_like(region.colour) else DS9_COLOURS["green"]
    how = {"edgecolor": colour, "linewidth": width, "linestyle": style if region.shape.include else ":"}
    for patch in _patches(region.shape, fill=False, path_effects=_halo(colour, width), **how):
        ax.add_patch(patch)
    if region.shape.shape == "point":
        (mark,) = ax.plot(region.shape.x, region.shape.y, "+", color=colour, markersize=8, scalex=False, scaley=False)
        mark.set_path_effects(_halo(colour, width))


def _patches(shape: PixelShape, **how: Any) -> Iterator[Any]:
    from matplotlib import patches

    centre = (shape.x, shape.y)
    if shape.shape in ("circle", "annulus"):
        yield from (patches.Circle(centre, radius, **how) for radius in shape.size if radius > 0)
    elif shape.shape == "ellipse":
        yield patches.Ellipse(centre, 2 * shape.size[0], 2 * shape.size[1], angle=shape.angle_deg, **how)
    elif shape.shape == "box":
        width, height = shape.size
        corner = (shape.x - width / 2, shape.y - height / 2)
        yield patches.Rectangle(corner, width, height, angle=shape.angle_deg, rotation_point="center", **how)
    elif shape.shape == "polygon":
        yield patches.Polygon(shape.vertices, closed=True, **how)


def _label_angle(circle: LabelledCircle, place: int, limits: tuple[float, float, float, float]) -> float | None:
    """Return where on a circle its label starts, in degrees, each circle in another quarter; None if out of sight."""
    x0, x1, y0, y1 = limits
    length, height = 0.025 * (len(circle.label) + 1) * (x1 - x0), 0.06 * (y1 - y0)
    for angle in (*_LABEL_ANGLES[place % 4 :], *_LABEL_ANGLES[: place % 4]):
        x, y = _on_circle(circle, angle)
        end_x = x + length if x >= circle.x else x - length
        end_y = y + height if y >= circle.y else y - height
        if x0 < min(x, end_x) and max(x, end_x) < x1 and y0 < min(y, end_y) and max(y, end_y) < y1:
            return angle
    return None


def _on_circle(circle: LabelledCircle, angle_deg: float) -> tuple[float, float]:
    angle = math.radians(angle_deg)
    return circle.x + circle.radius * math.cos(angle), circle.y + circle.radius * math.sin(angle)


def _draw_circle(ax: Any, circle: LabelledCircle, label_angle: float | None, points: float | None) -> None:
    """Draw a circle with its label outside of it, where what it encloses stays free."""
    from matplotlib import patches

    circle_patch = patches.Circle(
        (circle.x, circle.y), circle.radius, fill=False, edgecolor=_CIRCLE_COLOUR, linewidth=1.3, linestyle=(0, (6, 4)),
        path_effects=_halo(_CIRCLE_COLOUR, 1.3), label=circle.label,
    )  # fmt: skip
    ax.add_patch(circle_patch)
    if label_angle is not None:
        x, y = _on_circle(circle, label_angle)
        text = ax.annotate(
            circle.label, (x, y), color=_CIRCLE_COLOUR, textcoords="offset points", fontsize=points, parse_math=False,
            xytext=(2 if x >= circle.x else -2, 2 if y >= circle.y else -2),
            ha="left" if x >= circle.x else "right", va="bottom" if y >= circle.y else "top",
        )  # fmt: skip
        text.set_path_effects(_halo(_CIRCLE_COLOUR, 1.6))


def _draw_scale_bar(ax: Any, drawn: Overlay, width_pix: float, points: float | None) -> None:
    from matplotlib.font_manager import FontProperties
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    if drawn.pixel_arcmin is None:
        return
    length = scale_bar_arcmin(width_pix * drawn.pixel_arcmin)
    label = f"{length:g} arcmin"
    if drawn.kpc_per_arcmin is not None:
        label += f" = {length * drawn.kpc_per_arcmin:.0f} kpc"
    bar = AnchoredSizeBar(
        ax.transData, length / drawn.pixel_arcmin, label, "lower left", pad=0.4, borderpad=0.6, sep=4, color="white",
        frameon=True, size_vertical=0, fontproperties=FontProperties(size=points or "medium"),
    )  # fmt: skip
    bar.patch.set(facecolor="black", edgecolor="none", alpha=0.6)
    ax.add_artist(bar)
