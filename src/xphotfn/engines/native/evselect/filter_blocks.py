"""Region tables and masks as blocks of a FITS file: what a data subspace refers to, as selection_files reads it."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from astropy.io import fits

from xphotfn.epic.exposure_times import table_bytes
from xphotfn.epic.selecting.filters import MaskImage, RegionShape, RegionTable

__all__ = ("place_block",)

_NAMES: Mapping[str, str] = MappingProxyType({"box": "ROTBOX", "rectangle": "ROTRECTANGLE", "rhombus": "ROTRHOMBUS"})
Row = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], tuple[float, ...]]


def place_block(name: str, place: object, columns: tuple[str, str]) -> bytes:
    """Return a whole block, header and data, with the shapes or the mask of a filter on places."""
    if isinstance(place, MaskImage):
        return _image(name, place)
    if not isinstance(place, RegionTable):
        raise TypeError(f"no place: {place!r}")
    shapes = [(number, shape) for number, component in enumerate(place.components) for shape in component]
    rows = [_row(shape) for _, shape in shapes]
    widths = [max(1, max(len(row[n]) for row in rows)) for n in range(4)] if rows else [1, 1, 1, 1]
    values = [np.array([_filled(row[n], widths[n]) for row in rows], dtype=np.float64) for n in range(4)]
    numbers = zip(("X", "Y", "R", "ROTANG"), widths, values, strict=True)
    words = [("!" if s.excluded else "") + _NAMES.get(s.name, s.name.upper()) for _, s in shapes]
    table = [fits.Column(name="SHAPE", format="16A", array=np.array(words, dtype="S16"))]
    for (column, width, array), title in zip(numbers, (*columns, "R", "ROTANG"), strict=True):
        flat = array[:, 0] if width == 1 and rows else array
        table.append(fits.Column(name=title if column in "XY" else column, format=f"{width}D", array=flat))
    table.append(fits.Column(name="COMPONENT", format="J", array=np.array([n for n, _ in shapes], dtype=np.int32)))
    hdu = fits.BinTableHDU.from_columns(table, nrows=len(shapes))
    for card in (
        ("EXTNAME", name, "The name of this table"),
        ("HDUCLASS", "ASC", ""),
        ("HDUCLAS1", "REGION", ""),
        ("HDUCLAS2", "STANDARD", ""),
        ("MTYPE1", "pos", ""),
        ("MFORM1", ",".join(columns), ""),
    ):
        hdu.header.append(card, end=True)
    data = np.asarray(hdu.data)
    return table_bytes(hdu.header, data.astype(data.dtype.newbyteorder(">")).tobytes())


def _filled(values: tuple[float, ...], width: int) -> tuple[float, ...]:
    """Return the values of a cell; the last one fills it up, which closes a polygon and is not read of other shapes."""
    return (*values, *((values[-1] if values else 0.0,) * (width - len(values))))


def _row(shape: RegionShape) -> Row:
    """Return positions, sizes and angles of a shape, as the FITS region convention has them."""
    numbers = shape.numbers
    match shape.name:
        case "polygon" | "polygon2":
            return numbers[::2], numbers[1::2], (), ()
        case "line":
            return numbers[0:4:2], numbers[1:4:2], (), ()
        case "rectangle":
            return numbers[0:4:2], numbers[1:4:2], (), numbers[4:]
        case "box" | "rhombus":
            return numbers[:1], numbers[1:2], (2 * numbers[2], 2 * numbers[3]), numbers[4:]
        case "sector":
            return numbers[:1], numbers[1:2], (), numbers[2:]
        case "elliptannulus":
            return numbers[:1], numbers[1:2], numbers[2:6], numbers[6:]
        case "ellipse":
            return numbers[:1], numbers[1:2], numbers[2:4], numbers[4:]
        case _:
            return numbers[:1], numbers[1:2], numbers[2:], ()


def _image(name: str, mask: MaskImage) -> bytes:
    hdu = fits.ImageHDU(mask.pixels.astype(np.uint8), name=name)
    for number, axis in ((1, mask.image_x), (2, mask.image_y)):
        for key, value in (("CRPIX", axis.pixel0), ("CRVAL", axis.value0), ("CDELT", axis.step)):
            hdu.header[f"{key}{number}"] = value
    return table_bytes(hdu.header, mask.pixels.astype(np.uint8).tobytes())
