"""From event columns to an image: ranges and bins of the axes, the pixel of each event, WCS cards.

A whole-number column value v stands for [v - 0.5, v + 0.5). A pixel of ``step`` values starts at ``low``:
pixel (v - low) // step. Values above ``high`` are not counted, even inside the last, incomplete pixel. For
real columns the first pixel starts at ``low`` itself and ``high`` belongs to the last one.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, final

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from xphotfn.commands.command import Command
from xphotfn.epic.events import Chunk, ColumnSpec
from xphotfn.epic.log import warn
from xphotfn.errors import CommandFailed
from xphotfn.typing import Header

__all__ = (
    "AxisRequest",
    "Counter",
    "ImageAxis",
    "Pixels",
    "image_axes",
    "pixel_index",
    "requested_axes",
    "wcs_cards",
    "with_data_range",
)

Card = tuple[str, Any, str]
Pixels: TypeAlias = NDArray[np.uint32]

_MOST_PIXELS = 2**28
_MOST_WAITING = 2**20  # events
_DTYPES = {"Int8": np.uint8, "Int16": np.int16, "Int32": np.int32, "Real32": np.float32, "Real64": np.float64}
_LARGEST = {"Int8": 127, "Int16": 2**15 - 1, "Int32": 2**31 - 1}


@final
@frozen(kw_only=True)
class AxisRequest:
    """What a command asks of one image axis.

    Parameters
    ----------
    column
        Name of the column.
    whole
        Whether the column holds whole numbers.
    step
        Size of a pixel; None to derive it from ``size``.
    size
        Number of pixels, where ``step`` is None.
    low, high
        First and last value; None where they come from the data.
    """

    column: str
    whole: bool
    step: float | None
    size: int
    low: float | None
    high: float | None


@final
@frozen(kw_only=True)
class ImageAxis:
    """One image axis: ``count`` pixels of ``step`` from ``low`` to ``high``."""

    column: str
    whole: bool
    low: float
    high: float
    step: float
    count: int

    @property
    def first_centre(self) -> float:
        """Column value of the centre of the first pixel."""
        return self.low + (self.step - 1) / 2 if self.whole else self.low + self.step / 2


def requested_axes(command: Command, columns: tuple[ColumnSpec, ColumnSpec], header: Header) -> tuple[AxisRequest, ...]:
    """Return what a complete evselect command asks of its axes, inside the legal limits; else CommandFailed."""
    return tuple(_request(command, axis, spec, header) for axis, spec in zip("xy", columns, strict=True))


def _request(command: Command, axis: str, spec: ColumnSpec, header: Header) -> AxisRequest:
    by_bin = command.parameter("imagebinning") == "binSize"
    step = _number(command, f"{axis}imagebinsize", spec.is_whole) if by_bin else None
    size = int(command.parameter(f"{axis}imagesize"))
    if (step is not None and step <= 0) or size < 1:
        raise CommandFailed(command.argv, f"{axis}imagebinsize and {axis}imagesize must be above 0")
    low, high = _range(command, axis, spec, header)
    return AxisRequest(column=spec.name, whole=spec.is_whole, step=step, size=size, low=low, high=high)


def _number(command: Command, name: str, whole: bool) -> float:
    value = float(command.parameter(name))
    if whole and not value.is_integer():
        problem = f"{name}={value:g}, but the column holds whole numbers: give a whole number"
        raise CommandFailed(command.argv, problem)
    return value


def _legal(header: Header, number: int) -> tuple[float, float] | None:
    """Return TLMIN and TLMAX of a column; some event lists hold them as text."""
    try:
        low, high = float(header[f"TLMIN{number}"]), float(header[f"TLMAX{number}"])
    except (KeyError, TypeError, ValueError):
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low <= high else None


def _range(command: Command, axis: str, spec: ColumnSpec, header: Header) -> tuple[float | None, float | None]:
    ignored = command.parameter("ignorelegallimits") == "yes"
    legal = None if ignored else _legal(header, spec.number)
    if command.parameter(f"with{axis}ranges") != "yes":
        return legal or (None, None)
    low, high = (_number(command, f"{axis}image{end}", spec.is_whole) for end in ("min", "max"))
    if low > high or (low == high and not spec.is_whole):
        raise CommandFailed(command.argv, f"{axis}imagemin={low:g} is not below {axis}imagemax={high:g}")
    if legal is None or (legal[0] <= low and high <= legal[1]):
        return low, high
    if low > legal[1] or high < legal[0]:
        raise CommandFailed(
            command.argv,
            f"the range {low:g} to {high:g} misses the legal values of {spec.name}, {legal[0]:g} to {legal[1]:g}",
        )
    clipped = max(low, legal[0]), min(high, legal[1])
    warn(
        "illegalRange",
        f"the range {low:g} to {high:g} of {spec.name} was clipped to the legal values, "
        f"{clipped[0]:g} to {clipped[1]:g}; ignorelegallimits=yes keeps it",
    )
    return clipped


def image_axes(command: Command, requests: tuple[AxisRequest, ...]) -> tuple[ImageAxis, ImageAxis]:
    """Return the axes with their bins; all ranges must be known."""
    steps = [_step(request) for request in requests]
    if command.parameter("squarepixels") == "yes" and command.parameter("imagebinning") != "binSize":
        steps = [max(steps)] * 2
    x, y = (_axis(request, step) for request, step in zip(requests, steps, strict=True))
    if x.count * y.count > _MOST_PIXELS:
        raise CommandFailed(
            command.argv, f"the image would have {x.count} x {y.count} pixels; ask for larger bins or a smaller range"
        )
    return x, y


def _extent(request: AxisRequest) -> float:
    low, high = request.low or 0.0, request.high or 0.0
    return high - low + (1 if request.whole else 0)


def _step(request: AxisRequest) -> float:
    if request.step is not None:
        return request.step
    step = _extent(request) / request.size
    return float(math.ceil(step)) if request.whole else step or 1.0


def _axis(request: AxisRequest, step: float) -> ImageAxis:
    count = max(1, math.ceil(_extent(request) / step * (1 - 1e-14)))
    low, high = request.low or 0.0, request.high or 0.0
    return ImageAxis(column=request.column, whole=request.whole, low=low, high=high, step=step, count=count)


def pixel_index(axes: tuple[ImageAxis, ImageAxis]) -> Callable[[Chunk], Pixels]:
    """Return a function that gives the flat pixel of each event of a chunk.

    Pixels are counted over an image with one more column and one more row; events outside fall in those.
    """
    x, y = axes
    along_x, along_y = _finder(x), _finder(y)

    def index(chunk: Chunk) -> Pixels:
        flat = along_y(chunk)
        flat *= x.count + 1
        flat += along_x(chunk)
        return flat

    return index


def _finder(axis: ImageAxis) -> Callable[[Chunk], Pixels]:
    """Return a function that gives the pixel of each event along one axis, in a new array."""
    if not axis.whole:
        return lambda chunk: _real_pixels(axis, chunk.column(axis.column))
    low, span, step = int(axis.low), int(axis.high - axis.low), int(axis.step)
    last_is_whole = (span + 1) % step == 0

    def whole_pixels(chunk: Chunk) -> Pixels:
        offsets = chunk.offsets(axis.column, low)  # unsigned: what lies below is far above
        pixels = offsets // offsets.dtype.type(step)
        if last_is_whole:
            np.minimum(pixels, axis.count, out=pixels)
        else:
            np.copyto(pixels, axis.count, where=offsets > span)
        narrow: Pixels = pixels.astype(np.uint32, copy=False)
        return narrow

    return whole_pixels


def _real_pixels(axis: ImageAxis, values: NDArray[Any]) -> Pixels:
    inside = (values >= axis.low) & (values <= axis.high)
    pixels = np.floor((np.where(inside, values, axis.low) - axis.low) / axis.step)
    return np.where(inside, np.minimum(pixels, axis.count - 1), axis.count).astype(np.uint32)


class Counter:
    """Sums events, or their weights, into the pixels of an image."""

    def __init__(self, axes: tuple[ImageAxis, ImageAxis], weighted: bool) -> None:
        self.shape = axes[1].count + 1, axes[0].count + 1
        self.total = np.zeros(self.shape[0] * self.shape[1], dtype=np.float64 if weighted else np.int64)
        self._pixels: list[Pixels] = []
        self._weights: list[NDArray[Any]] = []
        self._waiting = 0

    def add(self, pixels: Pixels, weights: NDArray[Any] | None = None) -> None:
        """Add events by their flat pixels from :func:`pixel_index`; they are counted some chunks at a time."""
        self._pixels.append(pixels)
        self._weights += [] if weights is None else [weights]
        self._waiting += len(pixels)
        if self._waiting >= _MOST_WAITING:
            self._count()

    def _count(self) -> None:
        pixels = np.concatenate([np.empty(0, dtype=np.intp), *self._pixels], dtype=np.intp, casting="unsafe")
        weights = np.concatenate(self._weights) if self._weights else None
        if len(self.total) > 8 * _MOST_WAITING:  # a count of all pixels would cost more than the events
            np.add.at(self.total, pixels, 1 if weights is None else weights)
        elif weights is None:
            self.total += np.bincount(pixels, minlength=len(self.total))
        else:
            self.total += np.bincount(pixels, weights=weights, minlength=len(self.total))
        self._pixels, self._weights, self._waiting = [], [], 0

    def image(self, command: Command, datatype: str) -> NDArray[Any]:
        """Return the image, shape (ny, nx), in a data type of evselect."""
        self._count()
        image = self.total.reshape(self.shape)[:-1, :-1]
        largest = _LARGEST.get(datatype)
        if largest is not None and image.size and image.max() > largest:
            raise CommandFailed(
                command.argv, f"a pixel holds {image.max():g}, more than {datatype} can; use imagedatatype=Real64"
            )
        if largest is not None and image.dtype.kind == "f":
            image = np.rint(image)
        return image.astype(_DTYPES[datatype])


class SkyReference(NamedTuple):
    """Where and how a column runs along the sky."""

    kind: str
    pixel: float
    value: float
    step: float
    unit: str


def sky_reference(header: Header, spec: ColumnSpec) -> SkyReference | None:
    """Return the projected sky coordinate that a column is: from its TC keywords, for X and Y else from REF."""
    stems = {k: f"TC{k}{spec.number}" for k in ("TYP", "RPX", "RVL", "DLT", "UNI")}
    if not header.get(stems["TYP"]) and spec.name in ("X", "Y"):
        stems = {k: f"REF{spec.name}C{k}" for k in stems}
    found = _reference(header, stems)
    return found if found is not None and found.kind.startswith(("RA--", "DEC-")) else None


def _angle_reference(header: Header, spec: ColumnSpec) -> SkyReference | None:
    """Return the angle that a column of the detector is, such as DETX_ANG of DETX, from its TC keywords."""
    found = _reference(header, {k: f"TC{k}{spec.number}" for k in ("TYP", "RPX", "RVL", "DLT", "UNI")})
    return found if found is not None and found.kind == f"{spec.name}_ANG" else None


def _reference(header: Any, stems: Mapping[str, str]) -> SkyReference | None:
    numbers = [header.get(stems[k]) for k in ("RPX", "RVL", "DLT")]
    if any(type(n) not in (int, float) for n in numbers) or not numbers[2]:
        return None
    pixel, value, step = (float(n) for n in numbers)
    kind, unit = str(header.get(stems["TYP"], "")).strip(), str(header.get(stems["UNI"], "deg")).strip()
    return SkyReference(kind, pixel, value, step, unit)


def wcs_cards(axes: tuple[ImageAxis, ImageAxis], columns: tuple[ColumnSpec, ColumnSpec], header: Header) -> list[Card]:
    """Return the WCS cards of an image in SAS's order: world coordinates, L, LTV and LTM.

    References
    ----------
    Image headers of evselect 3.62 and 3.71; IRAF LTV and LTM: image = column * LTM + LTV.
    """
    sky = [sky_reference(header, spec) for spec in columns]
    is_sky = [reference is not None and reference.kind[0] for reference in sky] == ["R", "D"]
    cards: list[Card] = []
    for n, (axis, reference) in enumerate(zip(axes, sky, strict=True), start=1):
        centre, step = axis.first_centre, axis.step
        angle = _angle_reference(header, columns[n - 1])
        if is_sky and reference:
            cards += _sky_axis(n, axis, reference)
        else:
            cards += _plain_axis(n, axis) if angle is None else _angle_axis(n, axis, angle)
        cards += [
            (f"CTYPE{n}L", axis.column, "WCS coordinate name"),
            (f"CRPIX{n}L", 1, "WCS reference pixel"),
            (f"CRVAL{n}L", centre, "WCS reference pixel value"),
            (f"CDELT{n}L", step, "WCS pixel size"),
            (f"LTV{n}", 1 - centre / step, ""),
            (f"LTM{n}_{n}", 1 / step, ""),
        ]
    cards += [("WCSNAMEL", "PHYSICAL", "WCS L name"), ("WCSAXESL", 2, "No. of axes for WCS L")]
    return [*cards, ("LTM1_2", 0, ""), ("LTM2_1", 0, "")]


def _sky_axis(n: int, axis: ImageAxis, reference: SkyReference) -> list[Card]:
    name = "XY"[n - 1]
    return [
        (f"CTYPE{n}", reference.kind, f"Coord. type: {'RA' if n == 1 else 'DEC'} tangent plane projection"),
        (f"CRPIX{n}", 1 + (reference.pixel - axis.first_centre) / axis.step, "WCS reference pixel"),
        (f"CRVAL{n}", reference.value, f"[deg] coord. at {name} axis ref. pixel"),
        (f"CUNIT{n}", reference.unit, f"Physical units of {name} axis"),
        (f"CDELT{n}", reference.step * axis.step, "WCS pixel size"),
    ]


def _angle_axis(n: int, axis: ImageAxis, reference: SkyReference) -> list[Card]:
    return [
        (f"CTYPE{n}", reference.kind, ""),
        (f"CRPIX{n}", 1 + (reference.pixel - axis.first_centre) / axis.step, "WCS reference pixel"),
        (f"CRVAL{n}", reference.value, ""),
        (f"CUNIT{n}", reference.unit, f"Physical unit for {axis.column}"),
        (f"CDELT{n}", reference.step * axis.step, "WCS pixel size"),
    ]


def _plain_axis(n: int, axis: ImageAxis) -> list[Card]:
    return [
        (f"CTYPE{n}", axis.column, "Coord. type"),
        (f"CRPIX{n}", 1, "WCS reference pixel"),
        (f"CRVAL{n}", axis.first_centre, "coord. at ref. pixel"),
        (f"CDELT{n}", axis.step, "WCS pixel size"),
    ]


def with_data_range(request: AxisRequest, low: float, high: float) -> AxisRequest:
    """Return a request whose missing range is that of the data."""
    if request.low is not None:
        return request
    return attrs.evolve(request, low=low, high=high)
