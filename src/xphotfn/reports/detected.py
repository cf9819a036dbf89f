"""The sources that a run has found, as a report shows them: lists, and pictures of what the fits leave."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from xphotfn.errors import ProductMissing, XphotfnError
from xphotfn.graph.result import Run
from xphotfn.html import Html
from xphotfn.io.fits import read_array
from xphotfn.io.thumbnails import png
from xphotfn.plot.map_png import LEVELS, Box, box_of, difference_colours
from xphotfn.records.band import Band
from xphotfn.records.source import DetectedSource
from xphotfn.records.source_list import SourceList
from xphotfn.reports.page import RATE_UNITS, element, number, sort_heading, sort_value, with_error

__all__ = ("Residual", "residuals", "sources_section")

_MOST_SIGMA, _SMOOTH_PIX = 5.0, 2.0
_SIDE = 512


@final
@frozen(kw_only=True)
class Residual:
    """A picture of what a fit leaves of the images of an observation.

    Parameters
    ----------
    obs_id
        The observation.
    file
        Its name in the folder of the pictures.
    width, height
        In pixels.
    """

    obs_id: str
    file: str
    width: int = field(converter=int)
    height: int = field(converter=int)


def residuals(folder: Path, stem: str, part: Run, band: Band) -> tuple[Residual, ...]:
    """Write a picture for each observation whose background maps are there, and return them."""
    by_observation: dict[str, dict[tuple[str, Any], str]] = {}
    for product, path, _ in part.products():
        if product.band == band and product.obs_id != "combined" and product.kind in ("image", "background_map"):
            by_observation.setdefault(product.obs_id, {})[product.kind, product.what] = path
    made = []
    for obs_id, files in by_observation.items():
        pairs = [(path, files["background_map", what]) for (kind, what), path in files.items()
                 if kind == "image" and ("background_map", what) in files]  # fmt: skip
        try:
            levels = _levels(pairs)
        except (XphotfnError, OSError):
            continue
        if levels is not None:
            written = folder / f"{stem}-{obs_id}-residual.png"
            written.write_bytes(png(levels[::-1], difference_colours()))
            made.append(
                Residual(
                    obs_id=obs_id, file=str(written.relative_to(folder)), width=levels.shape[1], height=levels.shape[0]
                )
            )
    return tuple(made)


def _levels(pairs: Sequence[tuple[str, str]]) -> NDArray[np.uint8] | None:
    """Return the residual of the images of an observation together; None where they have no background."""
    counts: Any = 0.0
    model: Any = 0.0
    for image, background in pairs:
        counts = counts + read_array(image)[0].astype(np.float64)
        model = model + sum(read_array(background, hdu)[0].astype(np.float64) for hdu in (0, "SOURCES"))
    return residual_levels(counts, model) if pairs else None


def residual_levels(counts: NDArray[np.float64], model: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return counts less model in sigma as colour levels, cut to the part with a model.

    Both have shape (ny, nx), the model is 0 off the detector. Levels are 0 there, else 1 to ``LEVELS - 1`` for -5 to 5
    sigma of counts smoothed with a Gaussian of 2 pixels. The variance of a smoothed Poisson image is its model smoothed
    with the square of the kernel: a Gaussian of width ``sigma / sqrt(2)`` over ``4 pi sigma^2``.

    Examples
    --------
    >>> model = np.full((40, 40), 4.0)
    >>> levels = residual_levels(model + 0.0, model)
    >>> int(levels.min()) == int(levels.max()) == 32
    True
    """
    from scipy.ndimage import gaussian_filter

    live = model > 0
    box = box_of(live.astype(np.float32))
    excess = gaussian_filter(np.where(live, counts - model, 0.0), _SMOOTH_PIX, mode="constant")
    narrow = gaussian_filter(model, _SMOOTH_PIX / np.sqrt(2), mode="constant") / (4 * np.pi * _SMOOTH_PIX**2)
    sigma = np.divide(excess, np.sqrt(narrow), out=np.zeros(model.shape), where=live & (narrow > 0))
    part = (sigma / _MOST_SIGMA).clip(-1, 1)
    levels = np.where(live, np.rint(LEVELS / 2 + part * (LEVELS / 2 - 1)), 0).astype(np.uint8)
    return _inside(levels, box)


def _inside(levels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    step = max(1, int(np.ceil(max(box.width, box.height) / _SIDE)))
    return np.ascontiguousarray(levels[box.y0 : box.y1 : step, box.x0 : box.x1 : step])


def draw_residual(figure: Any, run: Run, obs_id: str) -> None:
    """Draw the background of an observation, and what its fits leave, into a matplotlib figure."""
    files = {(p.kind, p.what): path for p, path, _ in run.products() if p.obs_id == obs_id}
    pairs = [(path, files["background_map", what]) for (kind, what), path in files.items()
             if kind == "image" and ("background_map", what) in files]  # fmt: skip
    levels = _levels(pairs)
    if levels is None:
        raise ProductMissing(f"the run has no background map of {obs_id}: use plan_detection")
    background = sum(read_array(path)[0] for _, path in pairs)
    first, second = figure.subplots(1, 2)
    image = first.imshow(np.where(background > 0, background, np.nan), origin="lower")
    figure.colorbar(image, ax=first, label="background, counts a pixel")
    image = second.imshow(difference_colours()[levels], origin="lower")
    second.set_title("counts less background and sources, -5 to 5 sigma", fontsize="small")
    for ax in (first, second):
        ax.set(xticks=[], yticks=[])


_COLUMNS = (("name", "Source", ""), ("ra", "RA", "deg"), ("dec", "Dec", "deg"), ("error", "Error", "arcsec"),
            ("counts", "Counts", "ct"), ("rate", "Rate", ""), ("detml", "DET_ML", ""),
            ("tiedml", "TIED_ML", ""), ("extent", "Extent", "arcsec"), ("extml", "EXT_ML", ""),
            ("object", "Object", ""), ("flags", "Flags", ""))  # fmt: skip


def sources_section(lists: Sequence[tuple[str, SourceList]], pictures: Sequence[Residual]) -> Html | None:
    """Return the section of a page with the lists of a target; None where there is none."""
    if not lists:
        return None
    shown = {picture.obs_id: picture for picture in pictures}
    return element(
        "section",
        element("h2", "Sources"),
        element("p", "Regions on the maps and masks are those of these lists.", class_="note"),
        *(_list(obs_id, found) for obs_id, found in lists),
        element("h3", "What the fits leave") if pictures else None,
        element("div", *(_figure(picture) for picture in shown.values()), class_="multiples") if pictures else None,
        element("p", "Counts less background and sources, all cameras together, smoothed with a Gaussian of 2 pixels: "
                "from -5 sigma (blue) to 5 sigma (red).", class_="note") if pictures else None,
        id="sources",
    )  # fmt: skip


def _figure(picture: Residual) -> Html:
    image = element("img", src=f"../pictures/{picture.file}", alt=f"Residual of {picture.obs_id}",
                    width=picture.width, height=picture.height)  # fmt: skip
    return element("figure", element("div", image, class_="sky"), element("figcaption", picture.obs_id))


def _list(obs_id: str, found: SourceList) -> Html:
    units = {"rate": RATE_UNITS[found.exposure_unit]}
    heads = [sort_heading(key, words, units.get(key, unit), f"sort by {words}") for key, words, unit in _COLUMNS]
    rows = [_row(source) for source in found]
    table = element(
        "table", element("thead", element("tr", *heads)), element("tbody", *rows), class_="numbers sortable"
    )
    return element(
        "details",
        element("summary", element("b", obs_id), " ", element("span", str(found), class_="why")),
        element("div", table, class_="scroll", tabindex="0", role="region", aria_label=f"Sources of {obs_id}"),
        open=True if len(found) <= _FEW else None,
    )


_FEW = 60


def _row(source: DetectedSource) -> Html:
    rate, error = (_NAN if v is None else v for v in (source.rate, source.rate_error))
    counts, wide = (_NAN if v is None else v for v in (source.counts, source.counts_error))
    extent, extent_ml = (source.extent_arcsec, source.extent_ml) if source.is_extended else (0.0, _NAN)
    tied = _NAN if source.tied_ml is None else source.tied_ml
    flags = source.flag_names
    values = (
        (source.ra_deg, number(source.ra_deg, 5)),
        (source.dec_deg, number(source.dec_deg, 5)),
        (source.position_error_arcsec, number(source.position_error_arcsec, 1)),
        (counts, with_error(counts, wide)),
        (rate, with_error(rate, error)),
        (source.det_ml, number(source.det_ml, 1)),
        (tied, "" if source.tied_ml is None else number(tied, 1)),
        (extent, with_error(extent, source.extent_error_arcsec) if source.is_extended else "point"),
        (extent_ml, number(extent_ml, 1) if source.is_extended else ""),
        (source.object_number or _NAN, source.object_number or ""),
        (len(flags), " ".join(flags)),
    )
    name = element("th", source.name or source.number, scope="row", class_="name", data_v=source.number)
    return element("tr", name, *(element("td", shown, data_v=sort_value(value, 9)) for value, shown in values))


_NAN = float("nan")
