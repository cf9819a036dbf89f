"""The pixel grid of an image: shape, projection and XMM sky coordinates."""

import math
from types import MappingProxyType
from typing import Any, final

from attrs import Attribute, converters, field, frozen, validators

from xphotfn.errors import InvalidRecord
from xphotfn.html import block, facts
from xphotfn.records.fields import finite, one_of, positive, whole

__all__ = ("PROJECTIONS", "PixelGrid")

TOLERANCE_PIX = 0.02  # over the whole image: 0.1 arcsec, less than the attitude is known
PROJECTIONS = ("TAN", "SIN")
"""Projections that are known, as CTYPE calls them: tangent (XMM, Chandra, Swift) and orthographic (eROSITA)."""
XMM_REFERENCE = 25921.0  # X and Y of the reference point of every EPIC event list (calibration: REFXCRPX)
SKY_UNIT_ARCSEC = 0.05  # one unit of X, Y, DETX and DETY
SKY_LIMITS = (1, 51840)  # TLMIN and TLMAX of X and Y of every EPIC event list
XCS_LOW, XCS_HIGH, XCS_BIN = 3649, 48106, 87  # of X and Y in the images of the XMM Cluster Survey, and of XGA


_CARDS = MappingProxyType(
    {
        "crpix1": "CRPIX1",
        "crpix2": "CRPIX2",
        "ra_deg": "CRVAL1",
        "dec_deg": "CRVAL2",
        "cdelt1_deg": "CDELT1",
        "cdelt2_deg": "CDELT2",
    }
)


def _count(_record: object, attribute: "Attribute[Any]", value: int) -> None:
    if value < 1:
        raise InvalidRecord(f"PixelGrid.{attribute.name} must be at least 1, got {value}")


def _non_zero(record: object, attribute: "Attribute[Any]", value: float) -> None:
    finite(record, attribute, value)
    if value == 0:
        raise InvalidRecord(f"PixelGrid.{attribute.name} must not be 0")


def _dec(record: object, attribute: "Attribute[Any]", value: float) -> None:
    finite(record, attribute, value)
    if abs(value) > 90:
        raise InvalidRecord(f"PixelGrid.dec_deg must lie within +-90 deg, got {value}")


@final
@frozen(kw_only=True, cache_hash=True)
class PixelGrid:
    """A projection of the sky without rotation: tangent (TAN), as every EPIC sky image has it, or orthographic (SIN).

    Pixel coordinates are 0-based with pixel centres at integers; ``crpix`` is 1-based as in FITS.

    Parameters
    ----------
    nx, ny
        Number of columns and rows; arrays have shape ``(ny, nx)``.
    crpix1, crpix2
        FITS reference pixel, from 1.
    ra_deg, dec_deg
        Sky position of the reference pixel.
    cdelt1_deg, cdelt2_deg
        Pixel size in degrees; the first is negative where RA grows to the left.
    x0_sky, y0_sky
        XMM sky coordinates (X, Y) of the centre of the first pixel; None where the image has none (mosaics).
    dx_sky, dy_sky
        Pixel size in XMM sky units of 0.05 arcsec.
    projection
        One of :data:`PROJECTIONS`.
    """

    nx: int = field(converter=whole, validator=_count)
    ny: int = field(converter=whole, validator=_count)
    crpix1: float = field(converter=float, validator=finite)
    crpix2: float = field(converter=float, validator=finite)
    ra_deg: float = field(converter=float, validator=finite)
    dec_deg: float = field(converter=float, validator=_dec)
    cdelt1_deg: float = field(converter=float, validator=_non_zero)
    cdelt2_deg: float = field(converter=float, validator=_non_zero)
    x0_sky: float | None = field(
        default=None, converter=converters.optional(float), validator=validators.optional(finite)
    )
    y0_sky: float | None = field(
        default=None, converter=converters.optional(float), validator=validators.optional(finite)
    )
    dx_sky: float = field(default=87.0, converter=float, validator=positive)
    dy_sky: float = field(default=87.0, converter=float, validator=positive)
    projection: str = field(default="TAN", validator=one_of(*PROJECTIONS))

    def __attrs_post_init__(self) -> None:
        if (self.x0_sky is None) != (self.y0_sky is None):
            raise InvalidRecord("PixelGrid has XMM sky coordinates of both axes or of none: give x0_sky and y0_sky")

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the arrays on this grid, ``(ny, nx)``."""
        return self.ny, self.nx

    @property
    def has_sky(self) -> bool:
        """Whether the grid knows XMM sky coordinates."""
        return self.x0_sky is not None

    @property
    def pixel_deg(self) -> float:
        """Pixel size along x in degrees."""
        return abs(self.cdelt1_deg)

    def difference(self, other: "PixelGrid") -> str:
        """Say which card makes two grids differ, or return an empty string for the same grid.

        Grids are the same where no card moves a pixel of the image by more than 0.02 pixels: round-off, and what is
        left of coordinates in single precision.
        """
        for name in ("shape", "projection"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"{name} {mine} and {theirs}"
        moved = {name: self._moved(other, name) for name in _CARDS}
        name = max(moved, key=lambda n: moved[n])
        if moved[name] <= TOLERANCE_PIX:
            return ""
        said = f"{_CARDS[name]} {getattr(self, name)!r} and {getattr(other, name)!r}"
        return f"{said}, {moved[name]:.3g} pixels"

    def _moved(self, other: "PixelGrid", name: str) -> float:
        """Return by how many pixels a card of another grid moves the pixel that it moves most."""
        change: float = abs(getattr(self, name) - getattr(other, name))
        if name in ("crpix1", "crpix2"):
            return change
        if name == "ra_deg":
            return min(change, abs(360 - change)) * math.cos(math.radians(self.dec_deg)) / abs(self.cdelt1_deg)
        if name == "dec_deg":
            return change / abs(self.cdelt2_deg)
        side, pixel, step = (
            (self.nx, self.crpix1, self.cdelt1_deg) if name == "cdelt1_deg" else (self.ny, self.crpix2, self.cdelt2_deg)
        )
        return change / abs(step) * max(abs(pixel - 0.5), abs(side + 0.5 - pixel))

    def _repr_html_(self) -> str:
        sky = "none" if self.x0_sky is None else f"from ({self.x0_sky:g}, {self.y0_sky:g}), {self.dx_sky:g} per pixel"
        rows = [
            ("Shape", f"{self.ny} rows, {self.nx} columns"),
            ("Pixel", f"{self.pixel_deg * 3600:.4g} arcsec"),
            (
                "Reference",
                f"RA {self.ra_deg:.5f}, Dec {self.dec_deg:.5f} deg at FITS pixel {self.crpix1}, {self.crpix2}",
            ),
            ("Projection", self.projection),
            ("XMM sky coordinates", sky),
        ]
        return block("PixelGrid", facts(rows))

    @classmethod
    def from_sky_range(
        cls, ra_deg: float, dec_deg: float, *, low: int = XCS_LOW, high: int = XCS_HIGH, bin_size: int = XCS_BIN
    ) -> "PixelGrid":
        """Return the grid that evselect makes of X and Y from ``low`` to ``high``; the default is 512 x 512.

        Examples
        --------
        >>> grid = PixelGrid.from_sky_range(149.6, -11.1)
        >>> grid.shape, round(grid.crpix1, 6), grid.x0_sky
        ((512, 512), 256.505747, 3692.0)
        """
        size = (high - low) // bin_size + 1
        crpix = (XMM_REFERENCE - (low - 0.5)) / bin_size + 0.5
        step = SKY_UNIT_ARCSEC / 3600 * bin_size
        first = low + (bin_size - 1) / 2
        return cls(
            nx=size,
            ny=size,
            crpix1=crpix,
            crpix2=crpix,
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            cdelt1_deg=-step,
            cdelt2_deg=step,
            x0_sky=first,
            y0_sky=first,
            dx_sky=bin_size,
            dy_sky=bin_size,
        )
