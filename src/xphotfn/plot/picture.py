"""One picture: what is drawn of a product, found out before any figure is made, and the drawing of it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, Union

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord, NoData, ShapeMismatch
from xphotfn.io.exposure_units import RATE_NAMES
from xphotfn.io.products import ExposureMap, Image, Product, RateMap
from xphotfn.io.region_use import refuse_strange
from xphotfn.io.thumbnails import UNEXPOSED
from xphotfn.io.write import HasPlanes
from xphotfn.measure.coordinates import coord_conv
from xphotfn.measure.smoothing import smoothed
from xphotfn.plot.overlays import Overlay, draw_overlay, overlay
from xphotfn.records.field import Field
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import COMBINED
from xphotfn.records.region import Region
from xphotfn.records.source_list import SourceList
from xphotfn.typing import PositionsLike, QuantityLike, RadiiLike

if TYPE_CHECKING:
    from astropy.visualization import BaseStretch

__all__ = ("COLOUR_MAP", "Look", "Picture", "Shown", "check_lists", "draw", "new_axes", "picture", "sky_wcs")

STRETCHES = ("log", "linear", "sqrt", "asinh")
COLOUR_MAP = "inferno"
_CROSS_COLOUR, _VEIL = "#7fe3ff", (0.55, 0.55, 0.55, 0.82)
_MARGIN_PIX = 3.0
_NARROW_INCHES = 4.5
_PANEL_POINTS, _TITLE, _SMALL = 8.0, 1.125, 0.833
_FAINTEST_PERCENT, _FAINTEST_SMOOTHED_PERCENT = 1.0, 50.0


Pictured: TypeAlias = Product | HasPlanes | NDArray[Any] | Sequence[Product | HasPlanes]
"""What :func:`~xphotfn.plot.view.view` draws: a product, several, or an array."""
MasksLike: TypeAlias = NDArray[np.bool_] | Sequence[NDArray[np.bool_] | None]
"""A mask for all panels, or one for each."""
SourcesLike: TypeAlias = SourceList | Mapping[str, SourceList] | Sequence[Region]
"""Sources or regions to draw; lists of sources by ObsID."""
StretchLike: TypeAlias = Union["BaseStretch", str]
"""A stretch of astropy.visualization, or the name of one."""


class Look(NamedTuple):
    """How a product is to be shown; the fields are the options of :func:`~xphotfn.plot.view.view`."""

    cross_hair: PositionsLike | None = None
    mask: MasksLike | None = None
    field: Field | None = None
    circles: RadiiLike = ()
    smooth: QuantityLike | None = None
    stretch: StretchLike = "log"
    zoom_in: bool = False
    sources: SourcesLike | None = None


Shown = Product | HasPlanes
"""What can be drawn."""


class Picture(NamedTuple):
    """What is drawn: an error while it is found out leaves no half-made figure behind."""

    grid: PixelGrid
    values: NDArray[Any]
    norm: Any
    kept: NDArray[np.bool_] | None
    crosses: NDArray[np.float64]  # pixels, shape (N, 2)
    limits: tuple[float, float, float, float]  # x from, to, y from, to
    overlay: Overlay
    target: str  # empty: of none
    title: str
    label: str
    smoothed: str  # how; empty: not at all
    empty: NDArray[np.bool_] | None  # pixels without a value; None where all have one
    empty_is: str  # why they have none


def picture(product: Shown, look: Look) -> Picture:
    """Return what is drawn of a product; all errors of :func:`~xphotfn.plot.view.view` come from here."""
    if not isinstance(product, Shown):
        raise InvalidRecord(
            f"what is drawn is an Image, ExposureMap, RateMap, LimitMap or EventMosaic, got {type(product).__name__}: "
            "give one, or say like= which map an array was made of"
        )
    values, empty = _values(product, look.smooth), np.isnan(_shown_values(product))
    kept = None if look.mask is None else _kept(look.mask, values.shape)
    shown = values[np.isfinite(values) if kept is None else kept & np.isfinite(values)]
    norm = _norm(shown, look.stretch, _FAINTEST_PERCENT if look.smooth is None else _FAINTEST_SMOOTHED_PERCENT)
    wanted = np.ones(values.shape, dtype=bool)
    if look.zoom_in:
        wanted = _with_data(_shown_values(product)) if kept is None else kept
    crosses = _crosses(product, look.cross_hair)
    return Picture(
        grid=product.grid,
        values=values if norm.vmin > 0 else np.maximum(values, norm.vmin),
        norm=norm,
        kept=kept,
        crosses=crosses,
        limits=_limits(wanted, margin=_MARGIN_PIX if look.zoom_in else 0.0),
        overlay=overlay(product.grid, look.field, look.circles, crosses, look.sources),
        target=product.target or "" if isinstance(product, Product) else "",
        title=_title(product),
        label=_label(product),
        smoothed="" if look.smooth is None else f"smoothed ($\\sigma$ = {u.Quantity(look.smooth):g})",
        empty=empty if empty.any() else None,
        empty_is="not exposed" if isinstance(product, ExposureMap | RateMap) else "no value",
    )


def check_lists(products: Sequence[Any], look: Look) -> None:
    """Refuse lists by ObsID of which none is of an observation that is shown; a mosaic shows any."""
    if not isinstance(look.sources, Mapping) or COMBINED in look.sources:
        return
    shown = [p.obs_id for p in products if isinstance(p, Product) and not p.is_mosaic]
    known = [*dict.fromkeys([*shown, *(() if look.field is None else look.field.obs_ids)])]
    if len(shown) == len(products) and set(known).isdisjoint(look.sources):
        refuse_strange(look.sources, known, "the picture")


def _values(product: Shown, smooth: Any) -> NDArray[Any]:
    """Return what is drawn; a mask as 0 and 1."""
    if smooth is not None:
        return smoothed(product, smooth)  # type: ignore[arg-type]  # what cannot be smoothed is refused there
    return product.data.astype(np.uint8) if product.data.dtype == bool else product.data


def sky_wcs(grid: PixelGrid) -> Any:
    """Return a grid as astropy WCS, for axes of one's own.

    Examples
    --------
    >>> wcs = sky_wcs(PixelGrid.from_sky_range(149.591375, -11.0887222222222))
    >>> [round(float(v), 6) for v in wcs.wcs_pix2world(100, 100, 0)]
    [149.782975, -11.276563]
    """
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{grid.projection}", f"DEC--{grid.projection}"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crpix = [grid.crpix1, grid.crpix2]
    wcs.wcs.crval = [grid.ra_deg, grid.dec_deg]
    wcs.wcs.cdelt = [grid.cdelt1_deg, grid.cdelt2_deg]
    wcs.array_shape = grid.shape
    return wcs


def new_axes(figure: Any, grid: PixelGrid, place: tuple[int, int, int] = (1, 1, 1)) -> Any:
    """Return axes on the sky, or in pixels where the grid has no usable projection."""
    from astropy.wcs import WcsError

    try:
        return figure.add_subplot(*place, projection=sky_wcs(grid))
    except (WcsError, ValueError):
        return figure.add_subplot(*place)


def draw(ax: Any, drawn: Picture, *, above: str | None = None) -> None:
    """Draw a picture into axes, whose title it sets.

    ``above`` is given for one panel of several, whose texts are smaller: the target that is named above all of them,
    and so not in the title of each; empty where none is.
    """
    points = None if above is None else _PANEL_POINTS
    import matplotlib as mpl

    colours = mpl.colormaps[COLOUR_MAP]
    colours = colours.with_extremes(bad=colours(0.0), under=colours(0.0))  # a logarithm of 0 is "bad" to matplotlib
    image = ax.imshow(drawn.values, origin="lower", norm=drawn.norm, cmap=colours)
    if drawn.empty is not None:
        ax.imshow(_filled(drawn.empty, (*(c / 255 for c in UNEXPOSED), 1.0)), origin="lower", interpolation="nearest")
    if drawn.kept is not None:
        ax.imshow(_filled(~drawn.kept, _VEIL), origin="lower", interpolation="nearest")
    for (x, y), line in zip(drawn.crosses, ("-", "--"), strict=False):
        ax.axvline(x, color=_CROSS_COLOUR, linewidth=0.8, linestyle=line)
        ax.axhline(y, color=_CROSS_COLOUR, linewidth=0.8, linestyle=line)
    ax.patch.set_in_layout(False)  # astropy fits it to a zoom only when it draws; until then it would take room
    ax.set_xlim(drawn.limits[:2])
    ax.set_ylim(drawn.limits[2:])
    draw_overlay(ax, drawn.overlay, drawn.limits, points)
    if drawn.empty is not None:
        _add_legend(ax, drawn.empty_is, points)
    title = f"{drawn.target}: {drawn.title}" if drawn.target and drawn.target != above else drawn.title
    ax.set_title(title, parse_math=False, **_size(points, _TITLE))  # a name may hold $
    _name_axes(ax, points)
    words = (drawn.label, drawn.smoothed) if drawn.smoothed else (drawn.label,)
    _add_colour_bar(ax, image, (", " if above is None else "\n").join(words), points)


def _size(points: float | None, factor: float = 1.0) -> dict[str, float]:
    """Return the option that sets the size of a text; none where it is that of matplotlib's settings."""
    return {} if points is None else {"fontsize": factor * points}


def _filled(where: NDArray[np.bool_], colour: tuple[float, ...]) -> NDArray[np.float32]:
    """Return a picture of one colour, clear elsewhere."""
    layer = np.zeros((*where.shape, 4), dtype=np.float32)
    layer[where] = colour
    return layer


def _kept(mask: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask as bools; XGA's masks of 0 and 1 will do."""
    array = np.asarray(mask)
    if array.shape != shape:
        raise ShapeMismatch(f"the mask has shape {array.shape}, the picture {shape}: make it from the same product")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise InvalidRecord(f"a mask holds True where a pixel is kept and False elsewhere, got {array.dtype} values")
    return array.astype(bool)


def _with_data(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(values) & (values != 0))


def _limits(wanted: NDArray[np.bool_], margin: float) -> tuple[float, float, float, float]:
    """Return the pixel edges of the box around ``wanted``, with a margin that stays on the image."""
    edges = []
    for axis in (0, 1):
        used = np.flatnonzero(wanted.any(axis=axis))
        if not used.size:
            raise NoData("zoom_in=True finds nothing to show: the mask keeps no pixel, or the image is empty")
        edges += [max(used[0] - margin, 0) - 0.5, min(used[-1] + margin, wanted.shape[1 - axis] - 1) + 0.5]
    return edges[0], edges[1], edges[2], edges[3]


def _norm(shown: NDArray[Any], stretch: Any, faintest: float) -> Any:
    """Return the matplotlib norm of the pixels that are shown."""
    from astropy.visualization import AsinhStretch, BaseStretch, ImageNormalize, LinearStretch, SqrtStretch
    from matplotlib.colors import LogNorm

    positive = shown[shown > 0]
    low, high = (float(v) for v in np.percentile(positive, (faintest, 99.9))) if positive.size else (1.0, 1.0)
    if isinstance(stretch, str) and stretch == "log":
        return LogNorm(vmin=low / 2, vmax=high)
    known = {"linear": LinearStretch, "sqrt": SqrtStretch, "asinh": AsinhStretch}
    if isinstance(stretch, str) and stretch in known:
        stretch = known[stretch]()
    if not isinstance(stretch, BaseStretch):
        raise InvalidRecord(
            f"no stretch is called {stretch!r}: use one of {', '.join(STRETCHES)} or a stretch of astropy.visualization"
        )
    return ImageNormalize(vmin=0.0, vmax=high, stretch=stretch)


def _crosses(product: Shown, positions: Any) -> NDArray[np.float64]:
    if positions is None:
        return np.empty((0, 2))
    pixels = coord_conv(product, getattr(positions, "position", positions), "pix", rounded=False).value
    pixels = np.atleast_2d(pixels)
    if len(pixels) > 2:
        raise ShapeMismatch(f"cross_hair takes one or two positions, got {len(pixels)}")
    return np.asarray(pixels, dtype=np.float64)


def _title(product: Shown) -> str:
    if not isinstance(product, Product):
        return product.title
    who = product.obs_id if product.obs_id == product.instrument else f"{product.obs_id} {product.instrument}"
    return f"{who}, {product.band}"


def _label(product: Shown) -> str:
    if not isinstance(product, Product):
        return product.label
    if isinstance(product, Image):
        return f"Counts per pixel ({u.ct})"
    if isinstance(product, ExposureMap):
        return f"Exposure ({product.unit})"
    return f"Count rate per pixel ({RATE_NAMES[product.exposure.unit.to_string()]})"


def _add_legend(ax: Any, grey: str, points: float | None) -> None:
    """Say what grey pixels are, in the corner that the scale bar leaves free."""
    from matplotlib.patches import Patch

    patch = Patch(facecolor=[c / 255 for c in UNEXPOSED], edgecolor="white", linewidth=0.6, label=grey)
    legend = ax.legend(
        handles=[patch], loc="lower right", labelcolor="white", facecolor="black", edgecolor="none",
        framealpha=0.6, handlelength=1.0, handleheight=1.0, borderpad=0.4,
        **({"fontsize": "small"} | _size(points, _SMALL)),
    )  # fmt: skip
    legend.set_in_layout(False)


def _add_colour_bar(ax: Any, image: Any, label: str, points: float | None) -> None:
    """Add a colour bar as high as the axes; logarithmic ones get the ticks 1, 2 and 5 as plain numbers."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator

    bar = ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02)
    bar.set_label(label, **_size(points))
    bar.ax.tick_params(labelsize=points)
    if isinstance(image.norm, LogNorm):
        bar.locator, bar.formatter = LogLocator(subs=(1.0, 2.0, 5.0)), "{x:g}"
        bar.minorticks_off()


def _name_axes(ax: Any, points: float | None) -> None:
    if not hasattr(ax, "coords"):
        ax.set_xlabel("x (pix)", **_size(points))
        ax.set_ylabel("y (pix)", **_size(points))
        ax.tick_params(labelsize=points)
        return
    for axis, name in ((0, "RA (deg)"), (1, "Dec (deg)")):
        ax.coords[axis].set_axislabel(name, **_size(points))
        ax.coords[axis].set_format_unit(u.deg, decimal=True, show_decimal_unit=True)
        ax.coords[axis].tick_params(direction="in", color="0.8", length=5, labelsize=points)
    if ax.get_window_extent().width < _NARROW_INCHES * ax.figure.dpi:
        ax.coords[0].set_ticks(number=3)  # or their labels run into each other


def _shown_values(product: Any) -> NDArray[Any]:
    """Return what a picture shows of a map: its values, NaN where it was not exposed, as far as it knows.

    Examples
    --------
    >>> from xphotfn.testing.examples import example_rate_map
    >>> values = _shown_values(example_rate_map())
    >>> bool(np.isnan(values[0, 0])), bool(np.isnan(values[256, 256]))
    (True, False)
    """
    match product:
        case RateMap():
            return np.where(product.exposure.data > 0, product.data, np.nan)
        case ExposureMap():
            return np.where(product.data > 0, product.data, np.nan)
        case _:
            return np.asarray(product.data)
