"""Pictures of images, exposure maps and rate maps on the sky."""

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile, InvalidRecord, NoData, ShapeMismatch, XphotfnError
from xphotfn.io.products import ExposureMap, Image, Product
from xphotfn.io.write import publish
from xphotfn.measure.coordinates import coord_conv
from xphotfn.records.grid import PixelGrid

__all__ = ("MatplotlibMissing", "save_view", "sky_wcs", "view")

STRETCHES = ("log", "linear", "sqrt", "asinh")
SUFFIXES = (".png", ".pdf")
FIGSIZE = (8.0, 6.8)
COLOUR_MAP = "inferno"
_CROSS_COLOUR, _VEIL = "#7fe3ff", (0.55, 0.55, 0.55, 0.82)
_MARGIN_PIX = 3.0


class MatplotlibMissing(XphotfnError, ImportError):
    """matplotlib, which pictures need, is not installed."""


def view(
    product: Product, *, cross_hair: Any = None, mask: Any = None, stretch: Any = "log", zoom_in: bool = False,
    figsize: tuple[float, float] | None = None, ax: Any = None,
) -> Any:  # fmt: skip
    """Draw a product on the sky.

    Parameters
    ----------
    product
        Image, ExposureMap or RateMap.
    cross_hair
        One or two positions, as :func:`~xphotfn.measure.coordinates.coord_conv` takes them: a Quantity of shape (2,)
        or (2, 2) in deg, pix or xmm_sky, a SkyCoord, or a Peak. The second one is dashed.
    mask
        Bool array of shape (ny, nx), True = kept. Masked pixels are veiled in grey and do not set the colours.
    stretch
        ``"log"``, ``"linear"``, ``"sqrt"``, ``"asinh"`` or a stretch of astropy.visualization.
    zoom_in
        Show the part that the mask keeps; without a mask, the part with data.
    figsize
        Width and height in inches; default 8 x 6.8.
    ax
        Axes to draw into; default new ones.

    Returns
    -------
    matplotlib Axes
        WCSAxes with RA and Dec in degrees. Data coordinates are 0-based pixels: ``ax.plot(x, y)`` draws in pixels,
        ``ax.plot(ra, dec, transform=ax.get_transform("world"))`` on the sky. The figure is ``ax.figure``.

    Raises
    ------
    ShapeMismatch
        If the mask has another shape, or more than two positions are given.
    OffImage, UnitMismatch
        If a position lies off the image or has another unit.
    InvalidRecord
        If it is no product, there is no such stretch, the mask is not of bools, or ``figsize`` is given with ``ax``.
    NoData
        If ``zoom_in`` meets a mask or an image with nothing to show.
    MatplotlibMissing
        If matplotlib is not installed.

    Notes
    -----
    New axes belong to a pyplot figure: a notebook shows it by itself, a script with ``plt.show()``, which is never
    called here; close it with ``plt.close(ax.figure)``. With ``ax`` pyplot is not touched, and axes without a WCS keep
    pixel coordinates; make axes with one by ``figure.add_subplot(projection=sky_wcs(product.grid))``. Several maps
    side by side look best in a figure with ``layout="compressed"``.

    Colours end at the 99.9th percentile of the positive pixels. The logarithmic stretch starts at half their first
    percentile, the others at 0; all below, as zeros and what is off the detector, has the background's colour.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> ax = view(example_rate_map(), cross_hair=example_field().centre)
    >>> ax.get_title()
    'example: 0999990101 pn, 0.5-2 keV'
    >>> plt.close(ax.figure)
    """
    _need_matplotlib()
    if ax is not None and figsize is not None:
        raise InvalidRecord("figsize= has no meaning with ax=: those axes have their figure already")
    picture = _picture(product, mask, stretch, zoom_in, cross_hair)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = _new_axes(plt.figure(figsize=figsize or FIGSIZE, layout="compressed"), product.grid)
    _draw(ax, picture)
    return ax


def save_view(
    path: str | Path, product: Product, *, cross_hair: Any = None, mask: Any = None, stretch: Any = "log",
    zoom_in: bool = False, figsize: tuple[float, float] | None = None, dpi: float = 150.0, overwrite: bool = True,
) -> Path:  # fmt: skip
    """Draw a product into a file.

    Parameters
    ----------
    path
        The picture; its suffix, ``.png`` or ``.pdf``, says which kind.
    product, cross_hair, mask, stretch, zoom_in, figsize
        As :func:`view`.
    dpi
        Pixels per inch.
    overwrite
        Replace an existing file.

    Returns
    -------
    Path
        The picture, whole: it appears by a rename when it is complete.

    Raises
    ------
    InvalidFile
        If the suffix is unknown, the file cannot be written, or it exists and ``overwrite`` is False.
    ShapeMismatch, OffImage, UnitMismatch, InvalidRecord, NoData, MatplotlibMissing
        As :func:`view`.

    Notes
    -----
    pyplot is not touched, so any number of pictures can be made. No date goes into the file.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.testing.examples import example_rate_map
    >>> save_view(Path(tempfile.mkdtemp(), "map.png"), example_rate_map(), zoom_in=True).name
    'map.png'
    """
    _need_matplotlib()
    from matplotlib.figure import Figure

    kind = Path(path).suffix.lower()
    if kind not in SUFFIXES:
        raise InvalidFile(str(path), f"a picture is saved as {' or '.join(SUFFIXES)}, not as {kind or 'no suffix'}")
    picture = _picture(product, mask, stretch, zoom_in, cross_hair)
    figure = Figure(figsize=figsize or FIGSIZE, layout="compressed")
    _draw(_new_axes(figure, product.grid), picture)
    with publish(path, overwrite=overwrite) as temporary:
        undated = {"CreationDate": None} if kind == ".pdf" else {}
        figure.savefig(temporary, format=kind[1:], dpi=dpi, metadata=undated)
    return Path(path)


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
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crpix = [grid.crpix1, grid.crpix2]
    wcs.wcs.crval = [grid.ra_deg, grid.dec_deg]
    wcs.wcs.cdelt = [grid.cdelt1_deg, grid.cdelt2_deg]
    wcs.array_shape = grid.shape
    return wcs


def _need_matplotlib() -> None:
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise MatplotlibMissing('pictures need matplotlib: pip install "xphotfn[plot]"') from error


class _Picture(NamedTuple):
    """What is drawn, found out before any figure is made: an error leaves no half-made figure behind."""

    values: NDArray[Any]
    norm: Any
    kept: NDArray[np.bool_] | None
    crosses: NDArray[np.float64]  # pixels, shape (N, 2)
    limits: tuple[float, float, float, float]  # x from, to, y from, to
    title: str
    label: str


def _picture(product: Product, mask: Any, stretch: Any, zoom_in: bool, cross_hair: Any) -> _Picture:
    if not isinstance(product, Product):
        raise InvalidRecord(f"what is drawn is an Image, ExposureMap or RateMap, got {type(product).__name__}")
    values = product.data
    kept = None if mask is None else _kept(mask, values.shape)
    shown = values[np.isfinite(values) if kept is None else kept & np.isfinite(values)]
    norm = _norm(shown, stretch)
    wanted = np.ones(values.shape, dtype=bool) if not zoom_in else _with_data(values) if kept is None else kept
    return _Picture(
        values=values if norm.vmin > 0 else np.maximum(values, norm.vmin),
        norm=norm,
        kept=kept,
        crosses=_crosses(product, cross_hair),
        limits=_limits(wanted, margin=_MARGIN_PIX if zoom_in else 0.0),
        title=_title(product),
        label=_label(product),
    )


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


def _norm(shown: NDArray[Any], stretch: Any) -> Any:
    """Return the matplotlib norm of the pixels that are shown."""
    from astropy.visualization import AsinhStretch, BaseStretch, ImageNormalize, LinearStretch, SqrtStretch
    from matplotlib.colors import LogNorm

    positive = shown[shown > 0]
    low, high = (float(v) for v in np.percentile(positive, (1, 99.9))) if positive.size else (1.0, 1.0)
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


def _crosses(product: Product, positions: Any) -> NDArray[np.float64]:
    if positions is None:
        return np.empty((0, 2))
    pixels = coord_conv(product, getattr(positions, "position", positions), "pix", rounded=False).value
    pixels = np.atleast_2d(pixels)
    if len(pixels) > 2:
        raise ShapeMismatch(f"cross_hair takes one or two positions, got {len(pixels)}")
    return np.asarray(pixels, dtype=np.float64)


def _title(product: Product) -> str:
    who = product.obs_id if product.obs_id == product.instrument else f"{product.obs_id} {product.instrument}"
    return f"{product.target}: {who}, {product.band}" if product.target else f"{who}, {product.band}"


def _label(product: Product) -> str:
    if isinstance(product, Image):
        return f"Counts per pixel ({u.ct})"
    return f"Exposure ({u.s})" if isinstance(product, ExposureMap) else "Count rate per pixel (ct/s)"


def _new_axes(figure: Any, grid: PixelGrid) -> Any:
    """Return axes on the sky, or in pixels where the grid has no usable projection."""
    from astropy.wcs import WcsError

    try:
        return figure.add_subplot(projection=sky_wcs(grid))
    except (WcsError, ValueError):
        return figure.add_subplot()


def _draw(ax: Any, picture: _Picture) -> None:
    import matplotlib as mpl

    colours = mpl.colormaps[COLOUR_MAP]
    colours = colours.with_extremes(bad=colours(0.0), under=colours(0.0))
    image = ax.imshow(picture.values, origin="lower", norm=picture.norm, cmap=colours)
    if picture.kept is not None:
        veil = np.zeros((*picture.kept.shape, 4), dtype=np.float32)
        veil[~picture.kept] = _VEIL
        ax.imshow(veil, origin="lower", interpolation="nearest")
    for (x, y), line in zip(picture.crosses, ("-", "--"), strict=False):
        ax.axvline(x, color=_CROSS_COLOUR, linewidth=0.8, linestyle=line)
        ax.axhline(y, color=_CROSS_COLOUR, linewidth=0.8, linestyle=line)
    ax.patch.set_in_layout(False)  # astropy fits it to a zoom only when it draws; until then it would take room
    ax.set_xlim(picture.limits[:2])
    ax.set_ylim(picture.limits[2:])
    ax.set_title(picture.title)
    _name_axes(ax)
    _add_colour_bar(ax, image, picture.label)


def _add_colour_bar(ax: Any, image: Any, label: str) -> None:
    """Add a colour bar as high as the axes; logarithmic ones get the ticks 1, 2 and 5 as plain numbers."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator

    bar = ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, label=label)
    if isinstance(image.norm, LogNorm):
        bar.locator, bar.formatter = LogLocator(subs=(1.0, 2.0, 5.0)), "{x:g}"
        bar.minorticks_off()


def _name_axes(ax: Any) -> None:
    if not hasattr(ax, "coords"):
        ax.set_xlabel("x (pix)")
        ax.set_ylabel("y (pix)")
        return
    for axis, name in ((0, "RA (deg)"), (1, "Dec (deg)")):
        ax.coords[axis].set_axislabel(name)
        ax.coords[axis].set_format_unit(u.deg, decimal=True, show_decimal_unit=True)
        ax.coords[axis].tick_params(direction="in", color="0.8", length=5)
