"""A region of a DS9 file, kept in the frame of its file."""

import math
from typing import final

from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.fields import finite, one_of

__all__ = ("EXTENDED_COLOURS", "POINT_COLOURS", "Region")

POINT_COLOURS = ("red",)
EXTENDED_COLOURS = ("green", "magenta", "blue", "cyan", "yellow")
_SIZES = {"circle": 1, "ellipse": 2, "box": 2, "annulus": 2, "polygon": 0, "point": 0}


def _floats(values: object) -> tuple[float, ...]:
    return tuple(float(v) for v in values)  # type: ignore[attr-defined]


def _vertices(values: object) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in values)  # type: ignore[attr-defined]


@final
@frozen(kw_only=True, cache_hash=True)
class Region:
    """One region, in the units of its frame.

    Parameters
    ----------
    shape
        circle, ellipse, box, annulus, polygon or point.
    frame
        ``image`` (0-based pixels of the file's image), ``physical`` (XMM X and Y), ``fk5`` or ``icrs`` (degrees).
    x, y
        Centre; RA and Dec in the celestial frames. The mean vertex of a polygon.
    size
        Radius of a circle; semi-axes of an ellipse; full width and height of a box; inner and outer radius of
        an annulus; empty for polygon and point. Pixels, X/Y units or degrees.
    angle_deg
        Rotation, counter-clockwise from +x in pixels; from the axis of decreasing RA (west) in the celestial frames.
    vertices
        Corners of a polygon.
    include
        False for an excluded (``-``) region.
    colour, name
        The colour and text of the file; XAPA's colours tell point sources (red) from extended ones.
    line
        Line of the file, or row of a source list, from 1; 0 where there is none.
    position_error_deg
        Error of the position in degrees, where a source list gives one; else 0.
    """

    shape: str = field(validator=one_of(*_SIZES))
    frame: str = field(validator=one_of("image", "physical", "fk5", "icrs"))
    x: float = field(converter=float, validator=finite)
    y: float = field(converter=float, validator=finite)
    size: tuple[float, ...] = field(default=(), converter=_floats)
    angle_deg: float = field(default=0.0, converter=float, validator=finite)
    vertices: tuple[tuple[float, float], ...] = field(default=(), converter=_vertices)
    include: bool = True
    colour: str = "green"
    name: str = ""
    line: int = 0
    position_error_deg: float = field(default=0.0, converter=float, validator=finite)

    def __attrs_post_init__(self) -> None:
        if len(self.size) != _SIZES[self.shape]:
            raise InvalidRecord(f"a {self.shape} needs {_SIZES[self.shape]} sizes, got {self.size}")
        if self.position_error_deg < 0:
            raise InvalidRecord(f"Region.position_error_deg must not be negative, got {self.position_error_deg}")
        lowest = self.size[1:] if self.shape == "annulus" and self.size[0] == 0 else self.size
        if not all(0 < s < math.inf for s in lowest):
            raise InvalidRecord(f"sizes of a {self.shape} must be above 0, got {self.size}")
        if self.shape == "annulus" and self.size[0] >= self.size[1]:
            raise InvalidRecord(f"an annulus needs inner < outer radius, got {self.size}")
        if not all(math.isfinite(v) for vertex in self.vertices for v in vertex):
            raise InvalidRecord(f"vertices must be finite, got {self.vertices}")
        if (self.shape == "polygon") != (len(self.vertices) > 2):
            raise InvalidRecord(f"a polygon, and only a polygon, needs three or more vertices, got {self.vertices}")

    @property
    def masks(self) -> bool:
        """Whether it can mask a pixel: it is included and has an area."""
        return self.include and self.shape != "point"

    @property
    def is_point_source(self) -> bool:
        """Whether its colour marks a point source."""
        return self.colour in POINT_COLOURS

    @property
    def is_extended(self) -> bool:
        """Whether its colour marks an extended source."""
        return self.colour in EXTENDED_COLOURS

    def _repr_html_(self) -> str:
        return record_html(self)
