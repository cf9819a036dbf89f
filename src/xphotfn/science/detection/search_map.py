"""What is searched: the arrays of each map, where each pixel lies, and how a point source looks there."""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple, final

import numpy as np
from attrs import field, frozen

from xphotfn.errors import InvalidRecord
from xphotfn.html import record_html
from xphotfn.records.grid import PixelGrid
from xphotfn.science._numeric import Floats
from xphotfn.science.coords import deg_to_pix, pix_to_deg, separation_deg
from xphotfn.science.detection.fit import Shape
from xphotfn.science.detection.templates import Profiles, extent_at, king_profiles, table_profiles
from xphotfn.science.encircled_energy import EncircledEnergyTable, PointSpread
from xphotfn.science.king import KingModel, king_parameters

__all__ = (
    "MARGIN",
    "EllipticalSpread",
    "SearchMap",
    "corners_of",
    "off_axis",
    "padded",
    "profiles_at",
    "shape_at",
    "shares_of",
    "tied_shares_of",
)

MARGIN = 150  # pixels around each map, so that windows lie within it


def _ratios(values: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    try:
        return tuple((float(angle), float(ratio)) for angle, ratio in values)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(
            f"EllipticalSpread.axis_ratios must be pairs such as [(0, 1), (12, 1.8)], got {values!r}"
        ) from error


@final
@frozen(kw_only=True)
class EllipticalSpread:
    """A point spread function that is stretched along the circle around the optical axis, as that of EPIC is.

    Parameters
    ----------
    profile
        King model, or table of enclosed light, of the round function of the same light.
    axis_ratios
        Pairs of off-axis angle in arcmin, rising, and ratio of the long axis to the short one, 1 or above; linear
        between them. The long axis lies across the direction to the optical axis.

    Examples
    --------
    >>> from xphotfn.science.king import EPIC_KING
    >>> EllipticalSpread(profile=EPIC_KING["pn"], axis_ratios=[(0, 1), (12, 1.8)]).ratio(6.0)
    1.4
    """

    profile: PointSpread
    axis_ratios: tuple[tuple[float, float], ...] = field(converter=_ratios)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.profile, KingModel | EncircledEnergyTable):
            raise InvalidRecord(
                "EllipticalSpread.profile needs a KingModel, as EPIC_KING has one for each camera, or an "
                f"EncircledEnergyTable, got {self.profile!r}"
            )
        angles = [a for a, _ in self.axis_ratios]
        rising = bool(angles) and angles[0] >= 0 and np.all(np.diff(angles) > 0) and np.all(np.isfinite(angles))
        if not rising or not all(1 <= r < 10 for _, r in self.axis_ratios):
            raise InvalidRecord(
                "EllipticalSpread.axis_ratios needs pairs of rising angles from 0 and ratios from 1 to below 10, got "
                f"{self.axis_ratios}"
            )

    def _repr_html_(self) -> str:
        return record_html(self)

    def ratio(self, angle_arcmin: float) -> float:
        """Return the ratio of the axes at an off-axis angle."""
        angles, ratios = zip(*self.axis_ratios, strict=True)
        return float(np.interp(angle_arcmin, angles, ratios))


class SearchMap(NamedTuple):
    """One map: counts, exposure in s (0 off the detector), exposure without vignetting or None, streaks or None.

    ``streak`` holds the out-of-time events of pn that are expected, in counts; how many are there is fitted. Maps of
    one ``camera`` and ``observation`` share the rates of their sources; without names each has its own.
    ``sensitivity`` is the rate of a source of one unit of flux, in a unit that all maps have in common; None where it
    is not known. With ``in_area`` the exposure is in cm2 s: each camera sees the same flux of photons.
    """

    counts: Floats
    exposure: Floats
    flat: Floats | None
    streak: Floats | None
    grid: PixelGrid
    spread: PointSpread | EllipticalSpread
    energy_ev: float
    pointing: tuple[float, float]
    camera: str = ""
    observation: str = ""
    sensitivity: float | None = None
    in_area: bool = False

    @property
    def pixel_arcsec(self) -> float:
        """Pixel size."""
        return self.grid.pixel_deg * 3600


@lru_cache(maxsize=256)
def _profiles(spread: PointSpread, energy_ev: float, angle_arcmin: float, pixel_arcsec: float) -> Profiles:
    if not isinstance(spread, KingModel):
        return table_profiles(spread, pixel_arcsec)
    core, slope, _ = king_parameters(spread, energy_ev=energy_ev, off_axis_arcmin=angle_arcmin)
    return king_profiles(round(float(core), 2), round(float(slope), 3), pixel_arcsec)


def profiles_at(item: SearchMap, angle_arcmin: float) -> Profiles:
    """Return the profiles of a map at an off-axis angle, in steps of 3 arcmin."""
    spread = item.spread.profile if isinstance(item.spread, EllipticalSpread) else item.spread
    angle = 3.0 * round(angle_arcmin / 3) if isinstance(spread, KingModel) else 0.0
    return _profiles(spread, item.energy_ev, min(angle, 9.0), item.pixel_arcsec)


def off_axis(item: SearchMap, ra: float, dec: float) -> float:
    """Return the angle of a position from the pointing of a map, in arcmin."""
    return float(60 * separation_deg(ra, dec, *item.pointing))


def _stretch(item: SearchMap, ra: float, dec: float, centre: Floats, u: float) -> Floats:
    """Return the matrix that makes a source round: an extent dilutes the stretch of the point spread function."""
    if not isinstance(item.spread, EllipticalSpread):
        return np.eye(2)
    angle = off_axis(item, ra, dec)
    ratio = item.spread.ratio(angle)
    axis = np.array([float(v) for v in deg_to_pix(item.grid, *item.pointing)])
    along = centre - axis
    if ratio == 1 or not np.any(along):
        return np.eye(2)
    size, extent = 5.0, extent_at(u)  # arcsec: the core of the profile
    across, radial = ((size * r + extent) / (size + extent) for r in (ratio**0.5, ratio**-0.5))
    c, s = along / np.hypot(*along)
    turn = np.array([[c, s], [-s, c]])
    return np.asarray(turn.T @ np.diag([1 / radial, 1 / across]) @ turn)


def shape_at(maps: Sequence[SearchMap], x: float, y: float, u: float) -> Shape:
    """Return how a source at a place (pixels of the first map) looks on each map."""
    first = maps[0].grid
    ra, dec = pix_to_deg(first, np.array([x, x + 1, x]), np.array([y, y, y + 1]))
    profiles, stretch, origin, jacobian = [], [], [], []
    for item in maps:
        if item.grid == first:
            place, matrix = np.array([x, y]), np.eye(2)
        else:
            px, py = deg_to_pix(item.grid, ra, dec)
            place = np.array([px[0], py[0]])
            matrix = np.array([[px[1] - px[0], px[2] - px[0]], [py[1] - py[0], py[2] - py[0]]])
        profiles.append(profiles_at(item, off_axis(item, float(ra[0]), float(dec[0]))))
        stretch.append(_stretch(item, float(ra[0]), float(dec[0]), place, u))
        origin.append(place - matrix @ np.array([x, y]))
        jacobian.append(matrix)
    return Shape(tuple(profiles), np.array(stretch), np.array(origin), np.array(jacobian))


def padded(image: Floats, fill: float = 0.0) -> Floats:
    """Return an image with :data:`MARGIN` pixels around it."""
    return np.pad(image, MARGIN, constant_values=fill)


def shares_of(maps: Sequence[SearchMap]) -> tuple[int, ...]:
    """Return which maps share their rates, as :class:`~xphotfn.science.detection.fit.Window` has it."""
    names = _own_names(maps)
    return _numbered(names) if len(set(names)) < len(names) else ()


def tied_shares_of(maps: Sequence[SearchMap]) -> tuple[int, ...]:
    """Return which maps share one amplitude of a source, by observation; empty where that ties no more than cameras.

    A map whose sensitivity is not known has its own rate, as always. Sources vary, so observations are never tied.
    """
    own = _own_names(maps)
    names = [name if m.sensitivity is None else (m.observation,) for name, m in zip(own, maps, strict=True)]
    return _numbered(names) if len(set(names)) < len(set(own)) else ()


def _own_names(maps: Sequence[SearchMap]) -> list[tuple[Hashable, ...]]:
    return [(m.observation, m.camera) if m.camera else (number, "") for number, m in enumerate(maps)]


def _numbered(names: Sequence[Hashable]) -> tuple[int, ...]:
    known = list(dict.fromkeys(names))
    return tuple(known.index(name) for name in names)


def corners_of(
    shape: Shape, x: float, y: float, sizes: Sequence[tuple[int, int]], radius: int
) -> list[tuple[int, int]]:
    """Return the first row and column of a window around a place, in the padded arrays of each map."""
    centres = np.rint(shape.origin + shape.jacobian @ np.array([x, y]))
    found = []
    for (cx, cy), (ny, nx) in zip(centres, sizes, strict=True):
        row = int(min(max(cy + MARGIN - radius, 0), ny - 2 * radius - 1))
        column = int(min(max(cx + MARGIN - radius, 0), nx - 2 * radius - 1))
        found.append((row, column))
    return found
