"""The search for sources as tasks of our own, built by ``commands.xdetect`` and its kin.

The list has the tables SRCLIST, MAPS and OBJECTS. A background map is in counts, with what was fitted in its header;
its extension SOURCES is the light of the sources, so that both together are what was fitted to the image.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from xphotfn.commands.command import Command
from xphotfn.commands.names import parse_product_name
from xphotfn.commands.parameters import resolved
from xphotfn.epic.joined import joined
from xphotfn.epic.log import warn
from xphotfn.epic.map_search import Detection, find_sources
from xphotfn.epic.searched_counts import left_out_text, without_empty
from xphotfn.errors import CommandFailed
from xphotfn.io.cards import card
from xphotfn.io.file_energies import band_of_product
from xphotfn.io.fits import read_array, read_header
from xphotfn.io.headers import grid_of
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.source_files import write_source_list
from xphotfn.io.source_lists import read_source_list
from xphotfn.io.write import write_image
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import instrument
from xphotfn.records.source import SearchedMap
from xphotfn.records.source_list import SourceList, diffuse_text
from xphotfn.science.detection.settings import spread_of_text
from xphotfn.science.detection.templates import coarse_text
from xphotfn.science.detection.tile_lists import joined_lists
from xphotfn.science.detection.tiles import tile_named

__all__ = ("xdetect", "xdetectadd", "xdetectjoin")

Card = tuple[str, Any, str]
_KEPT = ("CONTENT", "CREATOR", "BUNIT", "OBS_ID", "EXPIDSTR", "INSTRUME", "E_MIN", "E_MAX", "MLMIN")


def xdetect(command: Command, folder: Path) -> None:
    """Execute an xdetect command in ``folder``.

    Parameters
    ----------
    command
        ``imagesets`` and ``exposuresets`` (names separated by blanks), ``sourceset``, and what else it takes.
    folder
        Holds the inputs under their names; the outputs are written here.

    Raises
    ------
    CommandFailed
        If the numbers of names do not fit.
    InvalidFile
        If an input is damaged, or an output exists already.
    InvalidRecord, NoData, ShapeMismatch, UnitMismatch
        As :func:`~xphotfn.measure.source_search.detect_sources`; NoData only if no map has a count.

    Warns
    -----
    UserWarning
        If extended objects cover much of the field, pixels are larger than 10 arcsec, or maps without live pixel or
        count are left out.

    Examples
    --------
    >>> import tempfile
    >>> given = (("imagesets", "a.fits b.fits"), ("exposuresets", "a.fits"), ("sourceset", "list.fits"))
    >>> xdetect(Command(task="xdetect", parameters=given), Path(tempfile.mkdtemp()))
    Traceback (most recent call last):
    xphotfn.errors.CommandFailed: xdetect: 2 images need as many exposure maps, got 1
    """
    full = resolved(command)
    images, maps = (full.parameter(name).split() for name in ("imagesets", "exposuresets"))
    if len(images) != len(maps):
        raise CommandFailed(command.argv, f"{len(images)} images need as many exposure maps, got {len(maps)}")
    backgrounds = full.parameter("backgroundsets").split() if full.parameter("withbackgrounds") == "yes" else []
    if backgrounds and len(backgrounds) != len(images):
        raise CommandFailed(command.argv, f"{len(images)} images need as many background maps, got {len(backgrounds)}")
    pairs = {name: _pair(folder, name, other) for name, other in zip(images, maps, strict=True)}
    there, empty = without_empty(pairs.values())
    if empty:
        warn("empty", left_out_text(empty))
    tile = full.parameter("tile")
    found = find_sources(
        there,
        threshold=float(full.parameter("threshold")),
        extent=full.parameter("extent") == "yes",
        psf=spread_of_text(full.parameter("psf")),
        tile=tile_named(tile) if tile else None,
    )
    coarse = coarse_text(3600 * found.maps[0].grid.pixel_deg)
    if coarse:
        warn("coarse", coarse)
    _write_list(found.sources, full, folder)
    named = {pairs[image].path: name for image, name in zip(images, backgrounds, strict=False)}
    _write_models(folder, named, found, empty)


def xdetectjoin(command: Command, folder: Path) -> None:
    """Execute an xdetectjoin command in ``folder``: write the lists of tiles as one.

    CommandFailed if the numbers of names do not fit, InvalidFile if an input is damaged or an output exists already,
    InvalidRecord if there is no such tile. :func:`xphotfn.science.detection.tile_lists.joined_lists` joins them.
    """
    full = resolved(command)
    names, tiles = (full.parameter(name).split() for name in ("tilesets", "tiles"))
    if len(names) != len(set(tiles)):
        raise CommandFailed(command.argv, f"{len(names)} lists need as many tiles, got {len(set(tiles))}")
    lists = {tile_named(tile): read_source_list(folder / name) for tile, name in zip(tiles, names, strict=True)}
    _write_list(joined_lists(lists), full, folder)


def xdetectadd(command: Command, folder: Path) -> None:
    """Execute an xdetectadd command in ``folder``: the sum of background maps, and of the light of sources behind them.

    CommandFailed if the parts are of different grids; InvalidFile if an input is damaged, or the output exists already.
    """
    full = resolved(command)
    parts = full.parameter("partsets").split()
    headers = [read_header(folder / name) for name in parts]
    grids = [grid_of(header, name) for header, name in zip(headers, parts, strict=True)]
    odd = next((name for name, grid in zip(parts, grids, strict=True) if grid != grids[0]), None)
    if odd is not None:
        raise CommandFailed(command.argv, f"{odd} has another grid than {parts[0]}: parts of one map are added")
    planes = [sum(read_array(folder / name, hdu)[0].astype(np.float64) for name in parts) for hdu in (0, "SOURCES")]
    cards = [(name, headers[0][name], headers[0].comments[name]) for name in _KEPT if name in headers[0]]
    _write_model(folder / full.parameter("backgroundset"), planes, grids[0], cards)


def _write_list(found: SourceList, full: Command, folder: Path) -> None:
    """Write a list and its regions, as a command names them, and warn of light that fills the field."""
    if found.is_diffuse:
        warn("diffuse", f"{diffuse_text(found)}: pieces of light that fills the field are no sources")
    write_source_list(found, folder / full.parameter("sourceset"))
    if full.parameter("withregions") == "yes":
        write_source_list(found, folder / full.parameter("regionset"))


def _write_models(folder: Path, named: Mapping[str, str], found: Detection, empty: Sequence[RateMap]) -> None:
    """Write the models of maps under the names that their paths have; those of maps that were left out are 0."""
    fits_of = {(m.obs_id, m.exposure_id, m.instrument): m for m in found.sources.maps}
    models = list(zip(found.maps, found.backgrounds, found.light, strict=True))
    models += [(item, np.zeros(item.grid.shape), np.zeros(item.grid.shape)) for item in empty]
    for item, background, light in models:
        if item.path in named:
            fit = fits_of.get((item.obs_id, item.exposure_id, item.instrument))
            _write_model(folder / named[item.path], (background, light), item.grid, _cards(item, fit, found))


def _write_model(path: Path, planes: Sequence[Any], grid: PixelGrid, cards: Sequence[Card]) -> None:
    """Write the background, and behind it the light of the sources, in counts."""
    background, light = (plane.astype(np.float32) for plane in planes)
    write_image(path, background, grid, cards)
    header = fits.Header([("EXTNAME", "SOURCES", "expected counts of the sources"), ("BUNIT", "ct")])
    fits.append(path, light, header)


def _pair(folder: Path, image: str, exposure: str) -> RateMap:
    """Return an image with its exposure map; the names of our own products say what they are, else headers do."""
    header = read_header(folder / image)
    said = parse_product_name(image.removesuffix(".gz"))
    names: dict[str, Any] = (
        {
            "obs_id": str(card(header, "OBS_ID", "")) or "unknown",
            "exposure_id": str(card(header, "EXPIDSTR", "")),
            "instrument": instrument(str(card(header, "INSTRUME", ""))).name,
            "band": band_of_product(header, image, kind="image"),
        }
        if said is None
        else {
            "obs_id": said.obs_id,
            "exposure_id": said.exposure_id,
            "instrument": said.instrument,
            "band": Band(lo_ev=said.lo_ev, hi_ev=said.hi_ev),
        }
    )
    products: list[Any] = [
        kind(path=str(folder / name), grid=grid_of(read_header(folder / name), name), **names)
        for kind, name in ((Image, image), (ExposureMap, exposure))
    ]
    return joined(*products)


def _cards(item: RateMap, fit: SearchedMap | None, found: Detection) -> list[Card]:
    """Return what a background map says of itself; one that was not searched in a tile has no fit."""
    known = (
        ()
        if fit is None
        else (
            ("BGVIG", fit.vignetted, "[ct/s/pixel] vignetted"),
            ("BGVIGERR", fit.vignetted_error, "its error"),
            ("BGFLAT", fit.flat, "[ct/s/pixel] flat"),
            ("BGFLTERR", fit.flat_error, "its error"),
            ("BGSLOW", fit.slow_arcmin, "[arcmin] slow correction"),
        )
    )
    return [
        ("CONTENT", "BACKGROUND MAP", "expected counts without sources"),
        ("CREATOR", "xphotfn", ""),
        ("BUNIT", "ct", ""),
        ("OBS_ID", item.obs_id, ""),
        ("EXPIDSTR", item.exposure_id, ""),
        ("INSTRUME", item.instrument, ""),
        ("E_MIN", item.band.lo_ev / 1000, "[keV]"),
        ("E_MAX", item.band.hi_ev / 1000, "[keV]"),
        *((name, value, text) for name, value, text in known if value is not None),
        *(() if fit is None else (("BGEXCL", fit.excised_pix, "pixels left out of the fit"),)),
        ("MLMIN", found.sources.threshold, "least likelihood of the sources"),
    ]
