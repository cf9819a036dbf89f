"""The pictures of a report: thumbnails, and the large map of a target with its veil."""

import math
from pathlib import Path
from typing import Any, final

from attrs import evolve, field, frozen

from xphotfn.errors import XphotfnError
from xphotfn.html import Html
from xphotfn.io.products import RateMap
from xphotfn.io.thumbnails import png
from xphotfn.measure.aperture import Aperture
from xphotfn.measure.masks import mask
from xphotfn.plot.map_png import Box, box_around, box_of, colours, rate_levels, veil_png
from xphotfn.records.field import Field
from xphotfn.records.fields import pairs
from xphotfn.records.grid import PixelGrid
from xphotfn.reports.page_records import BandReport, MapReport
from xphotfn.reports.svg_overlays import axes_svg, overlays, position, small_svg, svg

__all__ = ("PictureFile", "band_pictures")

THUMBNAIL, SINGLE, LARGE = 128, 256, 640
LEAST_SIGMA, MOST_SIGMA = 5.0, 20.0  # arcsec
COUNTS_IN_BEAM = 6.0
_LEAST_HALF_DEG = 2 / 60


@final
@frozen(kw_only=True)
class PictureFile:
    """A picture of a map.

    Parameters
    ----------
    file, veil
        Names in the folder of the pictures; the veil, or an empty text, darkens what is not measured.
    width, height
        In pixels.
    overlay
        An SVG to lie over it.
    rates
        Count rates of the darkest and the brightest colour, per pixel of the map.
    exposure_unit
        Unit of the exposure, which the rates go by.
    sigma_arcsec
        Width of the Gaussian that it was smoothed with.
    """

    file: str
    veil: str = ""
    width: int
    height: int
    overlay: Html = field(default=Html(""), repr=False)
    rates: tuple[float, float] = (0.0, 0.0)
    sigma_arcsec: float = 0.0
    exposure_unit: str = "s"


@final
@frozen(kw_only=True)
class BandPictures:
    """The pictures of a target in one band; None where there is no map.

    Parameters
    ----------
    thumbnail
        Of the region, for the table.
    large
        The combined map.
    singles
        Pairs of the name of a map and its picture.
    """

    thumbnail: PictureFile | None
    large: PictureFile | None
    singles: tuple[tuple[str, PictureFile | None], ...] = field(converter=pairs)


def band_pictures(folder: Path, stem: str, shown: BandReport, target: Field, aperture: Aperture | None) -> BandPictures:
    """Write the pictures of a target in one band; before a slash their stem names a folder in that one."""
    combined = shown.combined.rate_map
    first = shown.combined if combined is not None else next((m for m in shown.maps if m.rate_map is not None), None)
    singles = [
        (
            m.name,
            _safe(_single, folder, f"{stem}-{m.obs_id}-{m.instrument}-{m.exposure_id}", m, shown, target, aperture),
        )
        for m in shown.maps
    ]
    return BandPictures(
        thumbnail=None if first is None else _safe(_thumbnail, folder, f"{stem}-small", first, shown, target, aperture),
        large=_safe(_large, folder, f"{stem}-combined", shown.combined, shown, target, aperture),
        singles=singles,
    )


def _safe(
    draw: Any, folder: Path, stem: str, shown: MapReport, band: BandReport, target: Field, aperture: Aperture | None
) -> Any:
    """Return a picture, or None where the map is not there or cannot be read."""
    if shown.rate_map is None:
        return None
    try:
        return _placed(draw(folder / f"{stem}.png", shown.rate_map, band, target, aperture), stem)
    except (XphotfnError, OSError):
        if not folder.is_dir():
            raise
        return None


def _placed(picture: PictureFile, stem: str) -> PictureFile:
    """Return the picture as one in the folder that its stem names, within that of all pictures."""
    place, slash, _ = stem.rpartition("/")
    veil = f"{place}{slash}{picture.veil}" if picture.veil else ""
    return evolve(picture, file=f"{place}{slash}{picture.file}", veil=veil)


def _thumbnail(
    path: Path, rate_map: RateMap, band: BandReport, target: Field, aperture: Aperture | None
) -> PictureFile:
    grid = rate_map.grid
    place = position(grid, target.centre_ra_deg, target.centre_dec_deg)
    radius = None if aperture is None else aperture.radius_deg
    wanted = max(_LEAST_HALF_DEG, 0.2 if radius is None else 1.4 * radius) / grid.pixel_deg
    half = min(wanted, max(grid.nx, grid.ny))
    box = box_of(rate_map.exposure.data) if place is None else box_around(*place, half)
    return _picture(path, rate_map, box, THUMBNAIL, small_svg(target, grid, box, aperture, band.peak))


def _single(path: Path, rate_map: RateMap, band: BandReport, target: Field, aperture: Aperture | None) -> PictureFile:
    box = box_of(rate_map.exposure.data)
    shapes = overlays(target, rate_map.grid, aperture, obs_id=rate_map.obs_id)
    return _picture(path, rate_map, box, SINGLE, svg(shapes, box, peak=_peak_place(band, rate_map.grid)))


def _large(path: Path, rate_map: RateMap, band: BandReport, target: Field, aperture: Aperture | None) -> PictureFile:
    grid = rate_map.grid
    box = box_of(rate_map.exposure.data)
    overlay = svg(
        overlays(target, grid, aperture),
        box,
        target=None if target.target is None else position(grid, target.target.ra_deg, target.target.dec_deg),
        peak=_peak_place(band, grid),
        inside=axes_svg(grid, box),
    )
    veil = _veil(path.with_name(f"{path.stem}-veil.png"), rate_map, box, target, aperture)
    return evolve(_picture(path, rate_map, box, LARGE, overlay), veil=veil)


def _picture(path: Path, rate_map: RateMap, box: Box, side: int, overlay: Html) -> PictureFile:
    """Write the picture of a box, at most ``side`` pixels across."""
    factor = max(1, math.ceil(max(box.width, box.height) / side))
    counts, exposure, pixel = rate_map.counts, rate_map.exposure.data, rate_map.grid.pixel_deg * 3600
    sigma_pix = _sigma_pix(counts, exposure, pixel)
    levels, rates = rate_levels(counts, exposure, box, factor=factor, sigma_pix=sigma_pix)
    path.write_bytes(png(levels[::-1], colours()))
    ny, nx = levels.shape
    return PictureFile(
        file=path.name, width=nx, height=ny, overlay=overlay, rates=rates, sigma_arcsec=sigma_pix * pixel,
        exposure_unit=rate_map.exposure.unit.to_string(),
    )  # fmt: skip


def _sigma_pix(counts: Any, exposure: Any, pixel_arcsec: float) -> float:
    """Return the width of a Gaussian, in pixels, that holds a few counts: its area is ``4 pi sigma**2``."""
    live = exposure > 0
    mean = float(counts[live].mean()) if live.any() else 0.0
    wanted = math.sqrt(COUNTS_IN_BEAM / (4 * math.pi * mean)) if mean > 0 else math.inf
    return min(max(wanted, LEAST_SIGMA / pixel_arcsec), MOST_SIGMA / pixel_arcsec)


def _veil(path: Path, rate_map: RateMap, box: Box, target: Field, aperture: Aperture | None) -> str:
    """Write the veil over all that is neither source nor background, and return its name; empty without a region."""
    if target.target is None or aperture is None:
        return ""
    try:
        source, background = mask(rate_map, target, aperture)
    except XphotfnError:
        return ""
    path.write_bytes(veil_png(rate_map.sensor_mask & ~(source | background), box))
    return path.name


def _peak_place(band: BandReport, grid: PixelGrid) -> tuple[float, float] | None:
    return None if band.peak is None else position(grid, band.peak.ra_deg, band.peak.dec_deg)
