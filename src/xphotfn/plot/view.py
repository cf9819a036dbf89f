"""Pictures of images, exposure maps and rate maps on the sky."""

import re
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xphotfn.errors import InvalidFile, InvalidRecord, XphotfnError
from xphotfn.io.on_grid import on_grid
from xphotfn.io.write import GridLike, publish
from xphotfn.plot.panels import draw_panels, panel_pictures, panels_figsize
from xphotfn.plot.picture import (
    Look,
    MasksLike,
    Picture,
    Pictured,
    SourcesLike,
    StretchLike,
    check_lists,
    draw,
    new_axes,
    picture,
    sky_wcs,
)
from xphotfn.records.field import Field
from xphotfn.typing import PositionsLike, QuantityLike, RadiiLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ("MatplotlibMissing", "figure_for", "need_matplotlib", "save_figure", "save_view", "sky_wcs", "view")

FIGSIZE = (8.0, 6.8)
_UNDATED = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
_SVG_NAME, _SVG_WORD = re.compile(r'id="([a-z]+[0-9a-f]{10})"'), re.compile(r"\b[a-z]+[0-9a-f]{10}\b")


class MatplotlibMissing(XphotfnError, ImportError):
    """matplotlib, which pictures need, is not installed."""


def view(
    product: Pictured, *, like: GridLike | None = None, cross_hair: PositionsLike | None = None,
    mask: MasksLike | None = None, field: Field | None = None, circles: RadiiLike = (),
    smooth: QuantityLike | None = None, stretch: StretchLike = "log", zoom_in: bool = False,
    figsize: tuple[float, float] | None = None, ax: "Axes | None" = None, sources: SourcesLike | None = None,
) -> Any:  # fmt: skip
    r"""Draw a product on the sky, or several side by side.

    Parameters
    ----------
    product
        Image, ExposureMap, RateMap, LimitMap or EventMosaic; or a sequence of them, each drawn in a panel of its own
        with the same options. With ``like`` an array, such as a mask or a smoothed map.
    like
        The map that an array was made of, or a PixelGrid: its place on the sky.
    cross_hair
        One or two positions, as :func:`~xphotfn.measure.coordinates.coord_conv` takes them: a Quantity of shape (2,)
        or (2, 2) in deg, pix or xmm_sky, a SkyCoord, or a Peak. The second one is dashed.
    mask
        Bool array of shape (ny, nx), True = kept. Masked pixels are veiled in grey and do not set the colours. For
        several products one mask for all, or a list with one (or None) for each.
    field
        A field, whose regions, radii and scale bar are drawn. Regions have their DS9 colours: the matched one is
        thick, further ones that contain the target (or belong to it) dashed, interlopers thin. The radii of the
        target (r200, r500, ..., or its own) are circles around the field's centre, with their names. The scale bar
        is in arcmin, and in kpc where the target has a redshift.
    circles
        Further radii to draw around the field's centre: one Quantity or several, angles or, with a redshift, kpc.
        Without a field they lie around the first ``cross_hair``.
    smooth
        Sigma of a Gaussian to smooth with, a Quantity (angle); the label of the colour bar says so. For looking:
        nothing is measured on it. The FWHM is 2.355 sigma.
    stretch
        ``"log"``, ``"linear"``, ``"sqrt"``, ``"asinh"`` or a stretch of astropy.visualization.
    zoom_in
        Show the part that the mask keeps; without a mask, the part with data.
    figsize
        Width and height in inches; default 8 x 6.8, or 4 x 3.1 for each panel.
    ax
        Axes to draw into; default new ones. Not with several products, which need several.
    sources
        A list of sources, or a dict of lists by ObsID, drawn as :func:`source_regions` makes them: points are red
        circles, extended objects green ellipses. Or regions, as :func:`read_regions` gives them.

    Returns
    -------
    matplotlib Axes
        WCSAxes with RA and Dec in degrees. Data coordinates are 0-based pixels: ``ax.plot(x, y)`` draws in pixels,
        ``ax.plot(ra, dec, transform=ax.get_transform("world"))`` on the sky. The figure is ``ax.figure``. For a
        sequence of N products an array of N axes, in their order.

    Raises
    ------
    ShapeMismatch
        If the mask has another shape, or more than two positions are given.
    OffImage, UnitMismatch
        If a position lies off the image or has another unit, or kpc meet a target without redshift.
    InvalidRecord
        If it is no product, there is no such stretch, the mask is not of bools, circles have no centre, none of the
        lists by ObsID is of an observation that is shown, or ``figsize`` or several products are given with ``ax``.
    NoData
        If ``zoom_in`` meets a mask or an image with nothing to show.
    MatplotlibMissing
        If matplotlib is not installed.

    Warns
    -----
    UserWarning
        If none of ``sources`` lies in the picture, or there is none.

    Notes
    -----
    New axes belong to a pyplot figure: a notebook shows it by itself, a script with ``plt.show()``, which is never
    called here; close it with ``plt.close(ax.figure)``. With ``ax`` pyplot is not touched, and axes without a WCS keep
    pixel coordinates; make axes with one by ``figure.add_subplot(projection=sky_wcs(product.grid))``.

    Colours end at the 99.9th percentile of the positive pixels. The logarithmic stretch starts at half their first
    percentile, or at half their median where the product is smoothed, since its faintest pixels are the far wings of
    single counts; the others start at 0. All below, as zeros, has the darkest colour; what was not exposed, or has no
    value, is grey, and a legend says so. Panels have limits of their own.

    The regions are those of all observations of the field, since these are what a mask leaves out on every map.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import astropy.units as u
    >>> import matplotlib.pyplot as plt
    >>> from xphotfn.testing.examples import example_field, example_rate_map
    >>> field, rate_map = example_field(), example_rate_map()
    >>> ax = view(rate_map, cross_hair=field.centre, field=field, circles=300 * u.kpc, smooth=8 * u.arcsec)
    >>> ax.get_title()
    'example: 0999990101 pn, 0.5-2 keV'
    >>> axes = view([rate_map.image, rate_map.exposure])
    >>> axes.shape
    (2,)
    >>> plt.close("all")
    """
    need_matplotlib()
    look = Look(cross_hair, mask, field, circles, smooth, stretch, zoom_in, sources)
    shown: Any = product if like is None else on_grid(product, like)
    several = _several(shown)
    if ax is not None and (figsize is not None or several):
        what = "several products" if several else "figsize="
        raise InvalidRecord(f"{what} and ax= do not go together: those axes have their figure already")
    check_lists(shown if several else (shown,), look)
    pictures = panel_pictures(shown, look) if several else (picture(shown, look),)
    _warn_of_unseen(pictures, look)
    if ax is not None:
        draw(ax, pictures[0])
        return ax
    import matplotlib.pyplot as plt

    return _fill(plt.figure(figsize=figsize or _figsize(pictures), layout="compressed"), pictures, several=several)


def save_view(
    product: Pictured, path: str | Path, *, like: GridLike | None = None, cross_hair: PositionsLike | None = None,
    mask: MasksLike | None = None, field: Field | None = None, circles: RadiiLike = (),
    smooth: QuantityLike | None = None, stretch: StretchLike = "log", zoom_in: bool = False,
    figsize: tuple[float, float] | None = None, dpi: float = 150.0, overwrite: bool = False,
    sources: SourcesLike | None = None,
) -> Path:  # fmt: skip
    """Draw a product, or several side by side, into a file.

    Parameters
    ----------
    product, like, cross_hair, mask, field, circles, smooth, stretch, zoom_in, figsize, sources
        As :func:`view`.
    path
        The picture; its suffix, ``.png``, ``.pdf`` or ``.svg``, says which kind.
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

    Warns
    -----
    UserWarning
        As :func:`view`.

    Notes
    -----
    pyplot is not touched, so any number of pictures can be made. No date goes into the file.

    Examples
    --------
    >>> import tempfile
    >>> from xphotfn.testing.examples import example_rate_map
    >>> save_view(example_rate_map(), Path(tempfile.mkdtemp(), "map.png"), zoom_in=True).name
    'map.png'
    """
    figure_class = figure_for(path)
    look = Look(cross_hair, mask, field, circles, smooth, stretch, zoom_in, sources)
    shown: Any = product if like is None else on_grid(product, like)
    several = _several(shown)
    check_lists(shown if several else (shown,), look)
    pictures = panel_pictures(shown, look) if several else (picture(shown, look),)
    _warn_of_unseen(pictures, look)
    figure = figure_class(figsize=figsize or _figsize(pictures), layout="compressed")
    _fill(figure, pictures, several=several)
    return save_figure(figure, path, dpi=dpi, overwrite=overwrite)


def _warn_of_unseen(pictures: Sequence[Picture], look: Look) -> None:
    """Warn where sources were given and none of them is seen in any picture."""
    if look.sources is None:
        return
    given = [[region.shape for region in p.overlay.regions if region.role == "source"] for p in pictures]
    number = max(map(len, given))
    if number == 0:
        warnings.warn("the list of sources is empty: nothing is drawn over the picture", stacklevel=3)
    elif not any(shape.touches(p.limits) for p, shapes in zip(pictures, given, strict=True) for shape in shapes):
        which = "the one region lies not" if number == 1 else f"none of the {number} regions lies"
        warnings.warn(
            f"{which} in the picture, nothing is drawn over it: is the list that of another field, or are its "
            "positions not in degrees?",
            stacklevel=3,
        )


def figure_for(path: str | Path) -> Any:
    """Return matplotlib's class of figures, without pyplot; refuse a path whose suffix names no kind of picture."""
    need_matplotlib()
    from matplotlib.figure import Figure

    kind = Path(path).suffix.lower()
    if kind not in _UNDATED:
        raise InvalidFile(str(path), f"a picture is saved as {', '.join(_UNDATED)}, not as {kind or 'no suffix'}")
    return Figure


def save_figure(figure: Any, path: str | Path, *, dpi: float, overwrite: bool) -> Path:
    """Save a figure, whole or not at all, the same to the byte each time: without a date, with names of its own."""
    kind = Path(path).suffix.lower()
    with publish(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, format=kind[1:], dpi=dpi, metadata=_UNDATED[kind])
        if kind == ".svg":  # matplotlib draws the names of its elements by chance, but for a setting of the process
            text = temporary.read_text(encoding="utf-8")
            names = {name: f"x{number}" for number, name in enumerate(dict.fromkeys(_SVG_NAME.findall(text)))}
            temporary.write_text(_SVG_WORD.sub(lambda word: names.get(word[0], word[0]), text), encoding="utf-8")
    return Path(path)


def need_matplotlib() -> None:
    """Refuse where matplotlib is missing."""
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise MatplotlibMissing('pictures need matplotlib: pip install "xphotfn[plot]"') from error


def _several(product: Any) -> bool:
    return isinstance(product, (list, tuple))


def _figsize(pictures: Sequence[Picture]) -> tuple[float, float]:
    return FIGSIZE if len(pictures) == 1 else panels_figsize(len(pictures))


def _fill(figure: Any, pictures: Sequence[Picture], *, several: bool) -> Any:
    """Draw one picture, or several as panels, into a new figure and return the axes."""
    if several:
        return draw_panels(figure, pictures)
    ax = new_axes(figure, pictures[0].grid)
    draw(ax, pictures[0])
    return ax
