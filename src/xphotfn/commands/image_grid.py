"""The pixels of an evselect image: which columns, which range of them, and how they are binned."""

import re
from typing import Any, final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.fields import one_of, whole
from xphotfn.records.grid import SKY_LIMITS, XCS_BIN, XCS_HIGH, XCS_LOW

__all__ = ("XCS_GRID", "ImageGrid")


def _interval(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    pair = tuple(value)
    if len(pair) != 2:
        raise InvalidRecord(f"ImageGrid needs ranges (min, max) or None, got {value!r}")
    return whole(pair[0]), whole(pair[1])


def _column(record: object, attribute: Any, value: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", value):
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must name a column, got {value!r}")


def _above_zero(record: object, attribute: Any, value: int) -> None:
    if value < 1:
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must be at least 1, got {value}")


def _ordered(record: object, attribute: Any, value: tuple[int, int] | None) -> None:
    if value is not None and value[0] > value[1]:
        raise InvalidRecord(f"{type(record).__name__}.{attribute.name} must run upwards, got {value}")


@final
@frozen(kw_only=True)
class ImageGrid:
    """How evselect bins two integer columns of an event list into an image.

    The defaults are the grid of the XMM Cluster Survey, which XGA uses too: X and Y from 3649 to 48106 in bins
    of 87 (4.35 arcsec), 512 x 512 square pixels.

    Parameters
    ----------
    x_column, y_column
        The columns.
    x_range, y_range
        First and last value of each column, both included; None for the legal range of the column.
    x_bin, y_bin
        Bin sizes in units of the column; they count with ``binning="binSize"``.
    x_size, y_size
        Numbers of pixels asked for; they count with ``binning="imageSize"``.
    binning
        ``binSize`` or ``imageSize``.
    square_pixels
        Give both axes the same bin: with ``imageSize`` the larger of the two, with ``binSize`` they must be equal.

    Examples
    --------
    >>> ImageGrid().shape
    (512, 512)
    >>> ImageGrid(x_range=None, y_range=None, x_bin=80, y_bin=80).shape
    (648, 648)
    """

    x_column: str = field(default="X", validator=_column)
    y_column: str = field(default="Y", validator=_column)
    x_range: tuple[int, int] | None = field(default=(XCS_LOW, XCS_HIGH), converter=_interval, validator=_ordered)
    y_range: tuple[int, int] | None = field(default=(XCS_LOW, XCS_HIGH), converter=_interval, validator=_ordered)
    x_bin: int = field(default=XCS_BIN, converter=whole, validator=_above_zero)
    y_bin: int = field(default=XCS_BIN, converter=whole, validator=_above_zero)
    x_size: int = field(default=512, converter=whole, validator=_above_zero)
    y_size: int = field(default=512, converter=whole, validator=_above_zero)
    binning: str = field(default="binSize", validator=one_of("binSize", "imageSize"))
    square_pixels: bool = field(default=True, converter=bool)

    def _repr_html_(self) -> str:
        return record_html(self)

    def __attrs_post_init__(self) -> None:
        if self.binning == "binSize" and self.square_pixels and self.x_bin != self.y_bin:
            raise InvalidRecord(
                f"ImageGrid.square_pixels needs equal bins, got x_bin={self.x_bin} and y_bin={self.y_bin}"
            )

    @property
    def limits(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and last value of each column, x first; the legal range of X and Y where none is given."""
        return _limits(self.x_column, self.x_range), _limits(self.y_column, self.y_range)

    @property
    def bins(self) -> tuple[int, int]:
        """Bin sizes that evselect will use, x first (SAS evselect, node 10)."""
        if self.binning == "binSize":
            return self.x_bin, self.y_bin
        (x_lo, x_hi), (y_lo, y_hi) = self.limits
        x, y = -((x_lo - x_hi - 1) // self.x_size), -((y_lo - y_hi - 1) // self.y_size)
        return (max(x, y), max(x, y)) if self.square_pixels else (x, y)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (rows, columns) of the image: ceil((max - min + 1) / bin) along each axis."""
        (x_lo, x_hi), (y_lo, y_hi) = self.limits
        x_bin, y_bin = self.bins
        return -((y_lo - y_hi - 1) // y_bin), -((x_lo - x_hi - 1) // x_bin)


def _limits(column: str, interval: tuple[int, int] | None) -> tuple[int, int]:
    if interval is not None:
        return interval
    if column in ("X", "Y"):
        return SKY_LIMITS
    raise InvalidRecord(f"the legal range of the column {column!r} depends on the event list: give its range")


XCS_GRID = ImageGrid()
