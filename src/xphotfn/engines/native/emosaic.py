"""emosaic in numpy: the sum of sky images or exposure maps on a common grid. Built by ``commands.emosaic``.

What differs from emosaic 1.19:

- There is no limit of 999 inputs, but one of 10000: their cards must fit into a header. The numbers in keywords go on
  with A00 to ZZZ after 999, for a keyword has eight letters.
- A mosaic among the inputs brings the cards of its own inputs, so a mosaic of mosaics names all exposures.
- EMSNUM counts them, and EXPMEANS says what the pixels or a missing EXPOSURE mean.
- Whole numbers that outgrow the type of the inputs get a wider one; a quotient is never cut to whole numbers.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from toolz import concat

from xphotfn.commands.command import Command
from xphotfn.errors import CommandFailed, InvalidFile, ShapeMismatch
from xphotfn.io.exposure_units import exposure_unit, one_unit
from xphotfn.io.headers import grid_of, is_exposure_map
from xphotfn.io.image_data import image_head, read_image
from xphotfn.io.write import fitting_card, write_image
from xphotfn.records.grid import PixelGrid
from xphotfn.science.mosaic import mosaic
from xphotfn.typing import Header

__all__ = ("emosaic", "numbered")

Card = tuple[str, Any, str]
Values = tuple[tuple[str, Any], ...]

_PER_INPUT = (  # card stem, source keyword, comment, as in the headers of SAS's mosaics (sas_reference 4.3)
    ("EMSCF", "", "file"),
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
    ("EMSCD", "DURATION", "duration"),
)
_SHARED = ("TELESCOP", "RADECSYS", "EQUINOX", "CONTENT")
_MOST = 10_000
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class _Input(NamedTuple):
    """What is kept of the header of an input: a thousand whole headers would fill the memory."""

    name: str
    grid: PixelGrid
    is_exposure: bool
    unit: str
    shared: Values
    members: tuple[Values, ...]


def emosaic(command: Command, folder: Path) -> None:
    """Execute an emosaic command in ``folder``.

    Parameters
    ----------
    command
        ``imagesets`` (names separated by blanks), ``mosaicedset``; ``withexposure`` and ``exposuresets`` divide by the
        summed exposure.
    folder
        Holds the inputs under their names; the output is written here.

    Raises
    ------
    CommandFailed
        If the parameters do not fit, or ask for another sampling.
    InvalidFile
        If an input is missing, damaged, rotated or not in TAN; if the output exists already.
    UnitMismatch
        If the exposure maps have several units, or one that is not known.
    ShapeMismatch
        If pixel sizes differ, or an exposure map lies on another grid than its image.
    PlanError
        If there is no input, or they lie too far apart.

    Notes
    -----
    The nearest pixel of each input is added (``sampling=point``), one input in memory at a time. The EXPOSURE of the
    result is left out: a sum over cameras has none; the exposure maps hold it pixel by pixel, and EXPMEANS says so.

    The type is that of the inputs where it is one, else Real64. With exposure, counts are divided by the sum of the
    exposures where that is above 0 and the rest is 0; the type is the larger one of images and exposure maps in the
    order Int8, Int16, Int32, Real32, Real64, and Real64 where all are whole.

    References
    ----------
    SAS emosaic-1.19.2, https://xmm-tools.cosmos.esa.int/external/sas/current/doc/emosaic/node8.html.
    """
    names = command.parameter("imagesets").split()
    if command.parameter("sampling", "point") != "point":
        raise CommandFailed(command.argv, "the native emosaic samples the nearest pixel: use sampling=point")
    if len(names) > _MOST:
        raise CommandFailed(command.argv, f"{len(names)} inputs, more than the {_MOST} that a header can name")
    inputs = [_read(folder, name) for name in names]
    one_unit((exposure_unit({"BUNIT": i.unit}, i.name) for i in inputs if i.is_exposure), "a mosaic")
    total, grid = mosaic([i.grid for i in inputs], _arrays(folder, names), names=names)
    divided = command.parameter("withexposure", "no") == "yes"
    if divided:
        exposure = _exposure(command, folder, inputs, grid)
        total = _quotient(total, exposure)
        del exposure
    write_image(folder / command.parameter("mosaicedset"), total, grid, _cards(inputs, divided))


def _read(folder: Path, name: str) -> _Input:
    header = image_head(folder / name).cards
    shared = tuple((keyword, header.get(keyword)) for keyword in _SHARED if header.get(keyword) is not None)
    is_map = is_exposure_map(header)
    unit = str(header.get("BUNIT", "")).strip() if is_map else ""
    return _Input(name, grid_of(header, name, measured=False), is_map, unit, shared, tuple(_members(header, name)))


def _members(header: Header, name: str) -> Iterator[Values]:
    """Yield the values of the cards of an input: its own, or where it is a mosaic those of its inputs."""
    number = 1
    while (file := numbered("EMSCF", number)) in header:
        found = ((stem, header.get(numbered(stem, number))) for stem, _, _ in _PER_INPUT)
        yield tuple((stem, value) for stem, value in found if value is not None)
        number += 1
        if number > _MOST:
            raise InvalidFile(name, f"names more than {_MOST} inputs ({file}): it is no mosaic of ours")
    if number == 1:
        own = {**{k: header.get(k) for _, k, _ in _PER_INPUT if header.get(k) is not None}, "": name}
        own.setdefault("DURATION", "??")
        yield tuple((stem, own[keyword]) for stem, keyword, _ in _PER_INPUT if keyword in own)


def _arrays(folder: Path, names: Sequence[str]) -> Iterator[NDArray[Any]]:
    return (read_image(folder / name, image_head(folder / name)) for name in names)


def _exposure(command: Command, folder: Path, inputs: Sequence[_Input], grid: PixelGrid) -> NDArray[Any]:
    """Return the sum of the exposure maps, each of which must lie on the grid of its image."""
    names = command.parameter("exposuresets", "").split()
    if len(names) != len(inputs):
        problem = f"{len(inputs)} images but {len(names)} exposure maps: give one for each image"
        raise CommandFailed(command.argv, problem)
    grids = []
    for image, name in zip(inputs, names, strict=True):
        found = grid_of(image_head(folder / name).cards, name, measured=False)
        difference = image.grid.difference(found)
        if difference:
            raise ShapeMismatch(
                f"image {image.name} and exposure map {name} lie on different grids ({difference}): "
                "make the exposure map from this image"
            )
        grids.append(image.grid)
    return mosaic(grids, _arrays(folder, names), out=grid, names=names)[0]


def _quotient(total: NDArray[Any], exposure: NDArray[Any]) -> NDArray[Any]:
    """Return total / exposure in the larger type; 0 where there is no exposure, or it is NaN."""
    larger = max(total.dtype, exposure.dtype, key=lambda t: (t.kind == "f", t.itemsize))
    result = np.zeros(total.shape, dtype=larger if larger.kind == "f" else np.float64)
    np.divide(total, exposure, out=result, where=exposure > 0, casting="unsafe", dtype=np.float64)
    return result


def _cards(inputs: Sequence[_Input], divided: bool) -> list[Card]:
    members = list(concat(i.members for i in inputs))
    cards: list[Card] = [(keyword, value, "") for keyword, value in inputs[0].shared]
    units = [i.unit for i in inputs if i.unit]
    cards += [("BUNIT", units[0], "unit of the exposure")] if units and all(i.is_exposure for i in inputs) else []
    cards += [("CREATOR", "emosaic (xphotfn)", "program"), ("HDUCLASS", "OGIP", ""), ("HDUCLAS1", "IMAGE", "")]
    cards += [_meaning(inputs, divided), ("EMSNUM", len(members), "number of exposures in this mosaic")]
    comments = {stem: comment for stem, _, comment in _PER_INPUT}
    for n, member in enumerate(members, start=1):
        cards += [fitting_card(numbered(stem, n), value, f"input {n}: {comments[stem]}") for stem, value in member]
    return cards


def _meaning(inputs: Sequence[_Input], divided: bool) -> Card:
    """Return the card that says what EXPOSURE is here."""
    kinds = {i.is_exposure for i in inputs}
    if divided:
        return "EXPMEANS", "pixels: counts divided by exposure summed over inputs", "no EXPOSURE"
    if kinds == {True}:
        return "EXPMEANS", "pixels: sum over inputs, s", "no EXPOSURE for the whole"
    if kinds == {False}:
        return "EXPMEANS", "no EXPOSURE: see the sum of the exposure maps", "inputs differ"
    return "EXPMEANS", "none: images and exposure maps were added", "what pixels mean"


def numbered(stem: str, number: int) -> str:
    """Return a keyword of a stem of five letters and the number of an input: 001 to 999, then A00 to ZZZ.

    Examples
    --------
    >>> numbered("EMSCF", 999), numbered("EMSCF", 1000), numbered("EMSCF", 10000)
    ('EMSCF999', 'EMSCFA00', 'EMSCFGY0')
    """
    if number < 1000:
        return f"{stem}{number:03d}"
    first, rest = divmod(number - 1000, 36 * 36)
    return f"{stem}{_DIGITS[10 + first]}{_DIGITS[rest // 36]}{_DIGITS[rest % 36]}"
