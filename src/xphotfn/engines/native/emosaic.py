"""emosaic in numpy: the sum of sky images or exposure maps on a common grid. Built by ``commands.emosaic``."""

from pathlib import Path
from typing import Any

import numpy as np

from xphotfn.commands.command import Command
from xphotfn.errors import CommandFailed
from xphotfn.io.fits import read_array, read_header
from xphotfn.io.headers import grid_of
from xphotfn.io.write import write_image
from xphotfn.records.grid import PixelGrid
from xphotfn.science.mosaic import mosaic

__all__ = ("emosaic",)

_PER_INPUT = (  # card stem, source keyword, comment, as in the headers of SAS's mosaics (sas_reference 4.3)
    ("EMSCI", "INSTRUME", "instrument"),
    ("EMSCE", "EXPIDSTR", "exposure"),
    ("EMSCA", "OBS_ID", "observation"),
    ("EMSCB", "OBSERVER", "principal investigator"),
    ("EMSCC", "OBJECT", "object"),
    ("EMSCG", "TELESCOP", "mission"),
    ("EMSCH", "OBS_MODE", "mode"),
    ("EMSCJ", "DATE-OBS", "start"),
    ("EMSCK", "DATE-END", "end"),
    ("EMSRP", "RA_PNT", "[deg] pointing RA"),
    ("EMSDP", "DEC_PNT", "[deg] pointing Dec"),
    ("EMSAP", "PA_PNT", "[deg] position angle"),
)


def emosaic(command: Command, folder: Path) -> None:
    """Execute an emosaic command in ``folder``.

    Parameters
    ----------
    command
        ``imagesets`` (names separated by blanks), ``mosaicedset``; ``withexposure`` and ``exposuresets`` divide by the
        summed exposure.
    folder
        Holds the inputs under their names; the output is written here.

    Notes
    -----
    The nearest pixel of each input is added (``sampling=point``), one input in memory at a time. The EXPOSURE of the
    result is left out: a sum over cameras has none; the exposure maps hold it pixel by pixel.

    References
    ----------
    SAS emosaic-1.19.2, https://xmm-tools.cosmos.esa.int/external/sas/current/doc/emosaic/node8.html.
    """
    names = command.parameter("imagesets").split()
    if command.parameter("sampling", "point") != "point":
        raise CommandFailed(command.argv, "the native emosaic samples the nearest pixel: use sampling=point")
    headers = [read_header(str(folder / name)) for name in names]
    grids = [grid_of(header, name) for header, name in zip(headers, names, strict=True)]
    total, grid = mosaic(grids, (read_array(str(folder / name))[0] for name in names))
    if command.parameter("withexposure", "no") == "yes":
        total = _divided(total, command, folder, grid)
    write_image(folder / command.parameter("mosaicedset"), total, grid, _cards(names, headers))


def _divided(total: np.ndarray, command: Command, folder: Path, grid: PixelGrid) -> np.ndarray:
    names = command.parameter("exposuresets").split()
    count = len(command.parameter("imagesets").split())
    if len(names) != count:
        raise CommandFailed(command.argv, f"{count} images but {len(names)} exposure maps: give one for each image")
    grids = [grid_of(read_header(str(folder / name)), name) for name in names]
    exposure = mosaic(grids, (read_array(str(folder / name))[0] for name in names), out=grid)[0]
    result = np.zeros(total.shape, dtype=np.promote_types(total.dtype, exposure.dtype))
    np.divide(total, exposure, out=result, where=exposure > 0, casting="unsafe")
    return result


def _cards(names: list[str], headers: list[Any]) -> list[tuple[str, Any, str]]:
    first = headers[0]
    cards = [(k, first[k], "") for k in ("TELESCOP", "RADECSYS", "EQUINOX", "CONTENT") if k in first]
    cards += [("CREATOR", "emosaic (xphotfn)", "program"), ("HDUCLASS", "OGIP", ""), ("HDUCLAS1", "IMAGE", "")]
    for n, (name, header) in enumerate(zip(names, headers, strict=True), start=1):
        cards.append((f"EMSCF{n:03d}", name, f"input {n}: file"))
        for stem, keyword, comment in _PER_INPUT:
            if keyword in header:
                cards.append((f"{stem}{n:03d}", header[keyword], f"input {n}: {comment}"))
        cards.append((f"EMSCD{n:03d}", header.get("DURATION", "??"), f"input {n}: duration"))
    return cards
