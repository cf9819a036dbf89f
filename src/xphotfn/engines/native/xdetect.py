"""The search for sources as a task of our own, built by ``commands.xdetect``.

The list has the tables SRCLIST, MAPS and OBJECTS. A background map is in counts, with what was fitted in its header;
its extension SOURCES is the light of the sources, so that both together are what was fitted to the image.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from xphotfn.commands.command import Command
from xphotfn.commands.names import parse_product_name
from xphotfn.commands.parameters import resolved
from xphotfn.engines.native.detection import Detection, find_sources
from xphotfn.engines.native.joining import joined
from xphotfn.engines.native.reporting import warn
from xphotfn.errors import CommandFailed
from xphotfn.io.cards import card
from xphotfn.io.energies import band_of_product
from xphotfn.io.fits import read_header
from xphotfn.io.headers import grid_of
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.source_files import write_source_list
from xphotfn.io.write import write_image
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.instrument import instrument
from xphotfn.records.source import SearchedMap

__all__ = ("xdetect",)

Card = tuple[str, Any, str]


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
        As :func:`~xphotfn.measure.detection.detect_sources`.

    Warns
    -----
    UserWarning
        If extended objects cover much of the field.

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
    found = find_sources(
        pairs.values(), threshold=float(full.parameter("threshold")), extent=full.parameter("extent") == "yes"
    )
    if found.sources.is_diffuse:
        part = 100 * found.sources.extended_fraction
        warn(
            "diffuse", f"extended sources cover {part:.0f} % of the field: pieces of light that fills it are no sources"
        )
    write_source_list(found.sources, folder / full.parameter("sourceset"))
    if full.parameter("withregions") == "yes":
        write_source_list(found.sources, folder / full.parameter("regionset"))
    named = {pairs[image].path: name for image, name in zip(images, backgrounds, strict=False)}
    for item, *planes, fit in zip(found.maps, found.backgrounds, found.light, found.sources.maps, strict=True):
        if item.path in named:
            _write_model(folder / named[item.path], planes, item.grid, _cards(item, fit, found))


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


def _cards(item: RateMap, fit: SearchedMap, found: Detection) -> list[Card]:
    """Return what a background map says of itself."""
    known = (
        ("BGVIG", fit.vignetted, "[ct/s/pixel] vignetted"),
        ("BGVIGERR", fit.vignetted_error, "its error"),
        ("BGFLAT", fit.flat, "[ct/s/pixel] flat"),
        ("BGFLTERR", fit.flat_error, "its error"),
        ("BGSLOW", fit.slow_arcmin, "[arcmin] slow correction"),
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
        ("BGEXCL", fit.excised_pix, "pixels left out of the fit"),
        ("MLMIN", found.sources.threshold, "least DET_ML of the sources"),
    ]
