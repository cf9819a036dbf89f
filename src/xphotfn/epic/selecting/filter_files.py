"""Reads the files that a selection expression names: good time intervals, masks and region tables."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from xphotfn.commands.selection import Column, Expression, FileFilter, GtiFilter, MaskFilter, split_spec
from xphotfn.commands.selection.nodes import ALIASES, REGIONS
from xphotfn.epic.selecting.evaluate import Resolver
from xphotfn.epic.selecting.filters import (
    Axis,
    FilterData,
    GtiTable,
    MaskImage,
    RegionShape,
    RegionTable,
    gti_table,
)
from xphotfn.errors import InvalidFile
from xphotfn.io.blocks import UNREADABLE
from xphotfn.io.fits import open_checked
from xphotfn.io.good_time_files import check_time_zero
from xphotfn.typing import Header

__all__ = ("file_resolver", "read_places")


def file_resolver(folder: Path, current: str, axes: Mapping[str, Axis] | None = None) -> Resolver:
    """Return a resolver (:func:`~xphotfn.epic.selecting.evaluate.evaluate`) that reads each file of an expression once.

    Files are relative to ``folder``; a specification without one means ``current``, the file of the event table. Masks
    need ``axes``, the world coordinates of event columns.

    Examples
    --------
    >>> resolve = file_resolver(Path("."), "events.fits")
    >>> callable(resolve)
    True
    """
    known: dict[tuple[type, str, tuple[Expression, ...]], FilterData] = {}  # a mask depends on the axes of its columns
    column_axes = axes or {}

    def resolve(node: FileFilter) -> FilterData:
        name, block = split_spec(node.spec)
        path = folder / (name or current)
        places = (node.x, node.y) if isinstance(node, MaskFilter) else ()
        key = (type(node), node.spec, places)
        if key not in known:
            if isinstance(node, GtiFilter):
                known[key] = read_gti(path, block)
            elif isinstance(node, MaskFilter):
                known[key] = read_mask(path, block, (_axis(node.x, column_axes), _axis(node.y, column_axes)))
            else:
                known[key] = read_region_table(path, block)
        return known[key]

    return resolve


def _axis(node: Expression, axes: Mapping[str, Axis]) -> Axis:
    return axes.get(node.name, Axis()) if isinstance(node, Column) else Axis()


@contextmanager
def open_fits(path: Path) -> Iterator[Any]:
    """Open a FITS file to read it whole; what astropy cannot read becomes InvalidFile."""
    try:
        with open_checked(path) as hdus:
            yield hdus
    except InvalidFile as error:
        raise InvalidFile(path.name, error.problem, error.line) from error
    except UNREADABLE as error:
        raise InvalidFile(path.name, f"it cannot be read as FITS ({error}); fetch or make it again") from error


def pick_block(hdus: Any, name: str, block: str) -> Any:
    """Return one block of an open file: by name, by number from 1, or the first.

    An empty primary header is no block, as in SAS.
    """
    blocks = [hdu for index, hdu in enumerate(hdus) if index or hdu.header.get("NAXIS", 0)]
    if not blocks:
        raise InvalidFile(name, "it holds no table and no image")
    if not block:
        return blocks[0]
    if block.isdigit() and 1 <= int(block) <= len(blocks):
        return blocks[int(block) - 1]
    for hdu in blocks:
        if hdu.name.upper() == block.upper():
            return hdu
    raise InvalidFile(name, f"it has no block {block!r}; there are {', '.join(_describe(hdu) for hdu in blocks)}")


def _describe(hdu: Any) -> str:
    name = hdu.name or "unnamed"
    if isinstance(hdu, fits.BinTableHDU):
        return f"{name} (table with {', '.join(hdu.columns.names[:6]) or 'no columns'})"
    shape = " x ".join(str(n) for n in reversed(hdu.shape or ()))
    return f"{name} (image {shape or 'without data'})"


def read_gti(path: Path, block: str = "") -> GtiTable:
    """Return the good time intervals of a block.

    Raises
    ------
    InvalidFile
        If the file cannot be read, the block has no numeric START and STOP columns, or its times another zero.
    """
    with open_fits(path) as hdus:
        hdu = pick_block(hdus, path.name, block)
        names = hdu.columns.names if isinstance(hdu, fits.BinTableHDU) else []
        if "START" not in names or "STOP" not in names:
            raise InvalidFile(path.name, f"not a table of good time intervals (START, STOP) but {_describe(hdu)}")
        check_time_zero(path.name, hdu.header)
        start, stop = (_numbers(path, hdu, column) for column in ("START", "STOP"))
    return gti_table(start, stop)


def _numbers(path: Path, hdu: Any, column: str) -> NDArray[np.float64]:
    values = np.asarray(hdu.data[column])
    if values.dtype.kind not in "iuf" or values.ndim != 1:
        raise InvalidFile(path.name, f"column {column} of {hdu.name} must hold one number in each row")
    numbers = values.astype(np.float64)
    if not np.all(np.isfinite(numbers)):
        raise InvalidFile(path.name, f"column {column} of {hdu.name} holds NaN or infinity")
    return numbers


def read_mask(path: Path, block: str = "", columns: tuple[Axis, Axis] = (Axis(), Axis())) -> MaskImage:
    """Return a mask image with its linear coordinates; ``columns`` are those of the event columns."""
    with open_fits(path) as hdus:
        return _mask(path, pick_block(hdus, path.name, block), columns)


def _mask(path: Path, hdu: Any, columns: tuple[Axis, Axis]) -> MaskImage:
    if isinstance(hdu, fits.BinTableHDU) or len(hdu.shape or ()) != 2:
        raise InvalidFile(path.name, f"not a mask image of two axes but {_describe(hdu)}")
    image = _image_axes(path, hdu.header)
    pixels = np.array(hdu.data != 0, dtype=bool)
    return MaskImage(pixels=pixels, image_x=image[0], image_y=image[1], column_x=columns[0], column_y=columns[1])


def _image_axes(path: Path, header: Header) -> list[Axis]:
    return [_image_axis(path, header, number) for number in (1, 2)]


def _image_axis(path: Path, header: Header, number: int) -> Axis:
    pixel0, value0, step = (header.get(f"{key}{number}") for key in ("CRPIX", "CRVAL", "CDELT"))
    if pixel0 is None or value0 is None or step is None:
        return Axis()
    if step == 0:
        raise InvalidFile(path.name, f"CDELT{number} is 0")
    return Axis(pixel0=float(pixel0), value0=float(value0), step=float(step))


def read_region_table(path: Path, block: str = "") -> RegionTable:
    """Return the shapes of a FITS region table (columns SHAPE, two positions, R, ROTANG, COMPONENT).

    The positions stand in the two columns that MFORM1 names, such as X,Y or DETX,DETY. Shapes of one COMPONENT are
    AND-ed, components are OR-ed. Without that column every included shape is a component of its own, and shapes
    marked ``!`` are cut from all of them. Boxes and rhombi give full widths, as the FITS region convention has it.
    """
    with open_fits(path) as hdus:
        return _region_table(path, pick_block(hdus, path.name, block))


def read_places(path: Path, names: Iterable[str]) -> Mapping[str, RegionTable | MaskImage]:
    """Return the region tables and masks of several blocks of a file, which is opened once; equal ones are one.

    Raises
    ------
    InvalidFile
        If a block is missing, or neither a region table nor a mask.
    """
    found: dict[str, RegionTable | MaskImage] = {}
    known: dict[tuple[str, bytes], RegionTable | MaskImage] = {}
    with open_fits(path) as hdus:
        for name in names:
            hdu = pick_block(hdus, path.name, name)
            about = [hdu.shape, *_image_axes(path, hdu.header)] if hdu.is_image else hdu.columns
            key = (repr(about), np.asarray(hdu.data).tobytes())
            if key not in known:
                known[key] = _mask(path, hdu, (Axis(), Axis())) if hdu.is_image else _region_table(path, hdu)
            found[name] = known[key]
    return found


def _region_table(path: Path, hdu: Any) -> RegionTable:
    names = hdu.columns.names if isinstance(hdu, fits.BinTableHDU) else []
    places = _position_columns(hdu.header, names)
    if "SHAPE" not in names or places is None:
        raise InvalidFile(path.name, f"not a region table (SHAPE and two positions) but {_describe(hdu)}")
    shapes = [_shape(path, hdu.data, row, (*places, *names)) for row in range(len(hdu.data))]
    numbers = np.asarray(hdu.data["COMPONENT"]).tolist() if "COMPONENT" in names else None
    return RegionTable(components=_components(shapes, numbers), columns=places)


def _position_columns(header: Header, names: list[str]) -> tuple[str, str] | None:
    """Return the columns of the positions: those of MFORM1, else X and Y, else DETX and DETY; None without them."""
    said = tuple(name.strip() for name in str(header.get("MFORM1", "")).split(","))
    for pair in (said, ("X", "Y"), ("DETX", "DETY")):
        if len(pair) == 2 and set(pair) <= set(names):
            return pair[0], pair[1]
    return None


def _components(shapes: list[RegionShape], numbers: list[int] | None) -> tuple[tuple[RegionShape, ...], ...]:
    if numbers is not None:
        pairs = sorted(zip(numbers, range(len(shapes)), strict=True))
        return tuple(tuple(shapes[index] for _, index in group) for _, group in groupby(pairs, lambda pair: pair[0]))
    excluded = tuple(shape for shape in shapes if shape.excluded)
    included = [shape for shape in shapes if not shape.excluded]
    return tuple((shape, *excluded) for shape in included) or ((excluded,) if excluded else ())


def _shape(path: Path, data: Any, row: int, names: tuple[str, ...]) -> RegionShape:
    """Return the shape of a row; the first two names are the columns of the positions."""
    word = str(data["SHAPE"][row]).strip().lower()
    excluded, name = word.startswith("!"), word.lstrip("!")
    name = ALIASES.get(name, name).removeprefix("rot")
    x, y, r, angle = (_row(data, row, column, names) for column in (*names[:2], "R", "ROTANG"))
    try:
        numbers = _shape_numbers(name, (x, y, r, angle))
        complete = len(numbers) == REGIONS[name] if REGIONS[name] else len(numbers) >= 6
    except (IndexError, KeyError):
        complete = False
    if not complete:
        raise InvalidFile(path.name, f"row {row + 1} has shape {word!r}, which is unknown or lacks numbers")
    return RegionShape(name=name, numbers=numbers, excluded=excluded)


def _row(data: Any, row: int, column: str, names: tuple[str, ...]) -> list[float]:
    return np.atleast_1d(np.asarray(data[column][row], dtype=np.float64)).tolist() if column in names else [0.0]


def _shape_numbers(name: str, columns: tuple[list[float], ...]) -> tuple[float, ...]:
    x, y, r, angle = columns
    if name in ("polygon", "polygon2"):
        corners = list(dict.fromkeys(zip(x, y, strict=True)))
        return tuple(v for corner in corners for v in corner)
    if name in ("line", "rectangle"):
        ends = x[0], y[0], x[1], y[1]
        return ends if name == "line" else (*ends, angle[0])
    if name in ("box", "rhombus"):
        return x[0], y[0], r[0] / 2, r[1] / 2, angle[0]
    if name == "sector":
        return x[0], y[0], angle[0], angle[1]
    if name == "elliptannulus":
        return x[0], y[0], r[0], r[1], r[2], r[3], angle[0], angle[-1]
    turned = (angle[0],) if name == "ellipse" else ()
    return (x[0], y[0], *r[: REGIONS[name] - 2 - len(turned)], *turned)
