"""What the header of an EPIC image or exposure map says of its kind and its pixel grid."""

import math
from collections.abc import Sequence
from typing import Any

from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.io.cards import MOST_FIELDS, card
from xphotfn.io.file_energies import band_of_exposure_map, band_of_image
from xphotfn.records.grid import TOLERANCE_PIX, XMM_REFERENCE, PixelGrid
from xphotfn.typing import Header

__all__ = (
    "band_of_exposure_map",
    "band_of_image",
    "check_measurable",
    "grid_of",
    "is_exposure_map",
    "is_mosaic",
    "on_times",
)

_DISTORTIONS = ("PV2_1", "PV2_2", "A_ORDER", "B_ORDER", "CPDIS1", "CPDIS2")  # 0 in a plain projection
_SKY_UNIT_DEG = 1.38888888888889e-05  # 0.05 arcsec, as REFXCDLT and REFYCDLT have it


def is_exposure_map(header: Header) -> bool:
    """Whether a primary header is that of an exposure map: its CONTENT says so or eexpmap made it."""
    content, creator = str(card(header, "CONTENT", "")), str(card(header, "CREATOR", ""))
    return content.upper() == "EPIC EXPOSURE MAP" or creator.lower().startswith("eexpmap")


def is_mosaic(header: Header) -> bool:
    """Whether a primary header is that of a mosaic: emosaic names its inputs in cards EMSCF001 and so on."""
    return any(name.startswith("EMSCF") for name in header) or str(card(header, "CREATOR", "")).startswith("emosaic")


def on_times(headers: Sequence[Any], *, of_list: bool = False) -> tuple[tuple[str, float], ...]:
    """Return the seconds that a file was on, by the cards that say so: ONTIMEnn of each CCD, and EXPOSURE of all.

    Images of an event list (``of_list``) get the longest ONTIMEnn as EXPOSURE, whatever its own says.

    Examples
    --------
    >>> from astropy.io import fits
    >>> header = fits.Header({"ONTIME01": 90.0, "ONTIME02": 91.5, "EXPOSURE": 91.0})
    >>> on_times([header])
    (('ONTIME01', 90.0), ('ONTIME02', 91.5), ('EXPOSURE', 91.0))
    >>> on_times([header], of_list=True)[-1]
    ('EXPOSURE', 91.5)
    """
    names = sorted({n for h in headers for n in h if n.startswith("ONTIME") and n[6:].isdigit() and len(n) == 8})
    each = {name: value for name in names if (value := _seconds(headers, name)) is not None}
    whole = max(each.values(), default=None) if of_list else _seconds(headers, "EXPOSURE")
    return tuple((each if whole is None else each | {"EXPOSURE": whole}).items())


def _seconds(headers: Sequence[Any], name: str) -> float | None:
    values = (card(header, name) for header in headers)
    value = next((v for v in values if v is not None and v != ""), None)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def grid_of(header: Header, path: str, *, measured: bool = True, projections: Sequence[str] = ("TAN",)) -> PixelGrid:
    """Return the pixel grid of an image.

    Parameters
    ----------
    header
        Header of the image, astropy's or :class:`~xphotfn.io.cards.Cards`.
    path
        Its file, for error messages.
    measured
        Whether pixels must be square, with east left and north up, as all that is measured needs it; SAS's tasks take
        other pixels, too.
    projections
        Those of :data:`~xphotfn.records.grid.PROJECTIONS` that are taken; what SAS makes is in TAN.

    Returns
    -------
    PixelGrid
        With XMM sky coordinates from the L cards; an exposure map without them (eexpmap 4.6) has the fixed
        sky system of XMM: the reference point at 25921, 0.05 arcsec per unit. A mosaic has none.

    Raises
    ------
    InvalidFile
        If it has not two axes of more than one pixel, or its coordinates are not RA and Dec (FK5 or ICRS) in one of
        the projections, without rotation and distortion.

    Notes
    -----
    A matrix CDi_j counts where there is one, and CDELT beside it does not (FITS standard 4.0, section 8.1); else
    PCi_j times CDELT, else CROTA2 and CDELT. What rotation leaves of them is round-off where it moves no pixel of the
    image by more than 0.02 pixels.

    Examples
    --------
    >>> from astropy.io import fits
    >>> header = fits.Header({"NAXIS": 2, "NAXIS1": 512, "NAXIS2": 512, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN",
    ...     "CRPIX1": 256.505747126437, "CRPIX2": 256.505747126437, "CRVAL1": 149.6, "CRVAL2": -11.1,
    ...     "CDELT1": -0.00120833333333333, "CDELT2": 0.00120833333333333, "CONTENT": "EPIC EXPOSURE MAP"})
    >>> grid = grid_of(header, "expmap.fits")
    >>> grid.shape, grid.x0_sky, grid.dx_sky
    ((512, 512), 3692.0, 87.0)
    """
    problem = _axes_problem(header, projections) or _sky_problem(header)
    if problem:
        raise InvalidFile(path, problem)
    values = {name: _number(header, name, path) for name in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")}
    try:
        steps = _steps(header, values, path)
        grid = PixelGrid(
            nx=int(_number(header, "NAXIS1", path)), ny=int(_number(header, "NAXIS2", path)),
            crpix1=values["CRPIX1"], crpix2=values["CRPIX2"], ra_deg=values["CRVAL1"], dec_deg=values["CRVAL2"],
            cdelt1_deg=steps[0], cdelt2_deg=steps[1], projection=str(card(header, "CTYPE1"))[-3:],
            **_sky(header, values, steps),
        )  # fmt: skip
    except InvalidRecord as error:
        raise InvalidFile(path, f"has no usable pixel grid: {error}") from error
    if measured:
        check_measurable(grid, path)
    return grid


def check_measurable(grid: PixelGrid, path: str) -> None:
    """Make sure that what is measured in pixels of a grid is right in both axes: square, north up, east left.

    InvalidFile if an axis is mirrored, or the sizes of a pixel differ by so much that they move one of the image by
    more than 0.02 pixels.

    Examples
    --------
    >>> check_measurable(PixelGrid.from_sky_range(149.6, -11.1), "image.fits")
    """
    if grid.cdelt1_deg > 0 or grid.cdelt2_deg < 0:
        axis, value = (1, grid.cdelt1_deg) if grid.cdelt1_deg > 0 else (2, grid.cdelt2_deg)
        raise InvalidFile(
            path,
            f"is mirrored (CDELT{axis} is {value:g}): north must be up and east left; flip the array along that axis "
            f"and write -CDELT{axis} and CRPIX{axis} = NAXIS{axis} + 1 - CRPIX{axis}, or make it again with evselect",
        )
    width, height = abs(grid.cdelt1_deg), abs(grid.cdelt2_deg)
    if abs(width - height) * max(grid.shape) > TOLERANCE_PIX * width:
        sizes = f"{width * 3600:.6g} x {height * 3600:.6g} arcsec"
        raise InvalidFile(path, f"has pixels of {sizes}: only square ones are measured; make it again with equal bins")


def _axes_problem(header: Header, projections: Sequence[str]) -> str:
    """Say why the axes of an image cannot be used, or return an empty string; axes of one pixel do not count."""
    axes = card(header, "NAXIS", 0)
    if (
        not isinstance(axes, int)
        or not 2 <= axes <= MOST_FIELDS
        or any(card(header, f"NAXIS{n}", 0) != 1 for n in range(3, axes + 1))
    ):
        return f"holds no image of two axes (NAXIS is {axes}): give an image"
    kinds = [str(card(header, f"CTYPE{axis}", "")) for axis in (1, 2)]
    if kinds not in [[f"RA---{name}", f"DEC--{name}"] for name in projections]:
        several = " or ".join(f"RA---{name}, DEC--{name}" for name in projections)
        sin = kinds == ["RA---SIN", "DEC--SIN"]
        remedy = "measure it with xp.rate_map(image, exposure_map)" if sin else "make the image with X and Y"
        return f"has the axes {kinds}: only {several} is known; {remedy}"
    return ""


def _sky_problem(header: Header) -> str:
    """Say why the sky coordinates of an image cannot be used, or return an empty string."""
    units = {str(card(header, f"CUNIT{axis}", "deg")).lower() for axis in (1, 2)}
    if not units <= {"deg", "degree", "degrees"}:
        return f"has a grid in {', '.join(sorted(units))}: only deg is known"
    system = str(card(header, "RADESYS", card(header, "RADECSYS", "FK5"))).upper()
    if system not in ("FK5", "ICRS") or str(card(header, "EQUINOX", 2000.0)).lstrip("Jj") not in ("2000", "2000.0"):
        return f"has coordinates in {system} of {card(header, 'EQUINOX', 2000.0)}: only FK5 of 2000 and ICRS are known"
    bent = [name for name in _DISTORTIONS if name in header and card(header, name) != 0]
    if bent:
        return f"has a projection with parameters ({bent[0]} is {card(header, bent[0])}): only plain ones are known"
    return ""


def _number(header: Header, name: str, path: str) -> float:
    value = card(header, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidFile(path, f"header keyword {name} must be a number, found {value!r}")
    return float(value)


def _steps(header: Header, values: dict[str, float], path: str) -> tuple[float, float]:
    """Return the pixel sizes along RA and Dec; a rotation that moves a pixel of the image is refused."""
    matrix, names = _matrix(header, path)
    turned = math.radians(_number(header, "LONPOLE", path) - 180) if "LONPOLE" in header else 0.0
    (a, b), (c, d) = matrix
    if a == 0 or d == 0:
        if b == c == 0:
            return a, d  # which no grid can have, and the record says so
        raise InvalidFile(path, f"is rotated ({names}): only grids with north up are known; resample it")
    across, along = (
        max(
            abs(values[f"CRPIX{axis}"] - 0.5), abs(_number(header, f"NAXIS{axis}", path) + 0.5 - values[f"CRPIX{axis}"])
        )
        for axis in (1, 2)
    )
    off = max(abs(b / a) * along, abs(c / d) * across) + abs(math.sin(turned)) * (across + along)
    if off > TOLERANCE_PIX or math.cos(turned) < 0:
        named = f"LONPOLE is {card(header, 'LONPOLE')}" if abs(turned) > 0 else names
        raise InvalidFile(path, f"is rotated ({named}): only grids with north up are known; resample it")
    return a, d


Matrix = tuple[tuple[float, float], tuple[float, float]]


def _matrix(header: Header, path: str) -> tuple[Matrix, str]:
    """Return the matrix from pixels to degrees, whichever of its three spellings counts, and what makes it turn."""

    def get(stem: str, default: float) -> float:
        return _number(header, stem, path) if stem in header else default

    cards = [f"{i}_{j}" for i in (1, 2) for j in (1, 2)]
    if any(f"CD{place}" in header for place in cards):
        a, b, c, d = (get(f"CD{place}", 0.0) for place in cards)
        return ((a, b), (c, d)), f"CD1_2 is {b:g}, CD2_1 is {c:g}"
    x, y = (_number(header, f"CDELT{axis}", path) for axis in (1, 2))
    if any(f"PC{place}" in header for place in cards):
        a, b, c, d = (get(f"PC{place}", default) for place, default in zip(cards, (1.0, 0.0, 0.0, 1.0), strict=True))
        return ((x * a, x * b), (y * c, y * d)), f"PC1_2 is {b:g}, PC2_1 is {c:g}"
    angle = get("CROTA2", get("CROTA1", 0.0))
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return ((x * cos, -y * sin), (x * sin, y * cos)), f"CROTA2 is {angle:g}"


def _sky(header: Header, values: dict[str, float], steps: tuple[float, float]) -> dict[str, Any]:
    """Return the fields of PixelGrid that concern XMM's X and Y."""
    sizes = [abs(step) / _SKY_UNIT_DEG for step in steps]
    first = [_linear(header, axis) for axis in (1, 2)]
    if first[0] is not None and first[1] is not None:
        (x0, dx), (y0, dy) = first[0], first[1]
        return {"x0_sky": x0, "y0_sky": y0, "dx_sky": dx, "dy_sky": dy}
    spans = {"dx_sky": round(sizes[0], 6), "dy_sky": round(sizes[1], 6)}
    if is_exposure_map(header) and not is_mosaic(header) and steps[0] < 0 < steps[1]:
        x0, y0 = (XMM_REFERENCE + (1 - values[f"CRPIX{axis}"]) * sizes[axis - 1] for axis in (1, 2))
        return {"x0_sky": round(x0, 6), "y0_sky": round(y0, 6), **spans}
    return {name: span for name, span in spans.items() if span > 0}


def _linear(header: Header, axis: int) -> tuple[float, float] | None:
    """Return the value at the centre of the first pixel and the pixel size of the L coordinates of an axis."""
    if card(header, f"CTYPE{axis}L", "XY"[axis - 1]) != "XY"[axis - 1]:
        return None
    value, step = card(header, f"CRVAL{axis}L"), card(header, f"CDELT{axis}L")
    pixel = card(header, f"CRPIX{axis}L", 1)
    if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in (value, step, pixel)) or step <= 0:
        return None
    return value + (1 - pixel) * step, float(step)
