"""How the light of points and of beta models falls on the pixels of a camera, tabulated over radius and extent.

A profile is the point spread function, convolved with a beta model of slope 2/3 and with the pixel. All three are
products in Fourier space, where the beta model is ``exp(-2 pi rc k)``; one Hankel transform brings them back.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

from xphotfn.records.source_list import LARGEST_EXTENT
from xphotfn.science._numeric import Floats
from xphotfn.science.encircled_energy import EncircledEnergyTable, table_density
from xphotfn.science.king import OUTER_ARCSEC
from xphotfn.science.pixel_masks import read_only

__all__ = (
    "EXTENTS",
    "LARGEST_RADIUS",
    "Profiles",
    "coarse_text",
    "extent_at",
    "king_profiles",
    "step_of",
    "table_profiles",
)

EXTENTS = 29
_BEND = 4.0  # arcsec; extents are spaced evenly below it, by factors above
_U_LAST = float(np.arcsinh(LARGEST_EXTENT / _BEND))
_RADII = 448
LARGEST_RADIUS, _RADIUS_BEND = 220, 4.0  # pixels, and pixels squared
_V_LAST = float(np.log1p(LARGEST_RADIUS**2 / _RADIUS_BEND))
_COARSE_ARCSEC = 10.0  # from larger pixels on rates are off by more than 3 % where a source lies badly
_WAVES, _LARGEST_WAVE = 1100, 2.5  # per pixel


class Profiles(NamedTuple):
    """Light per pixel of a source of rate 1, shape (extents, radii), and its slope along the radius coordinate.

    The radius coordinate is ``v = ln(1 + r^2/4)`` with r in pixels, in equal steps: smooth at the centre. The extent
    coordinate is ``u = asinh(rc/4 arcsec)``.
    """

    light: Floats
    slope: Floats
    pixel_arcsec: float

    def row(self, u: float) -> tuple[Floats, Floats, Floats]:
        """Return light, slope along v and slope along u of one extent, each of shape (radii,)."""
        step = _U_LAST / (EXTENTS - 1)
        low = min(max(int(u / step), 0), EXTENTS - 2)
        part = u / step - low
        first, second = self.light[low], self.light[low + 1]
        slope = self.slope[low] + part * (self.slope[low + 1] - self.slope[low])
        return first + part * (second - first), slope, (second - first) / step


def extent_at(u: float) -> float:
    """Return the core radius in arcsec of an extent coordinate."""
    return float(_BEND * np.sinh(u))


def step_of(extent_arcsec: float) -> float:
    """Return the extent coordinate of a core radius in arcsec."""
    return min(float(np.arcsinh(extent_arcsec / _BEND)), _U_LAST)


def coarse_text(pixel_arcsec: float) -> str:
    """Return what must be said of the rates of large pixels; empty where nothing.

    Notes
    -----
    A profile is an average over directions. That of a pixel is square, which shows where a pixel is wider than the
    core: with cores of 4 to 5 arcsec rates are off by up to 2 % at 10 arcsec, 3 % at 12 and 11 % at 20, by where in its
    pixel the source lies; their mean by 1, 1 and 3 %.

    Examples
    --------
    >>> coarse_text(4.35), coarse_text(20.0)[:33]
    ('', 'pixels of 20 arcsec are wider tha')
    """
    if pixel_arcsec <= _COARSE_ARCSEC * 1.001:
        return ""
    return (
        f"pixels of {pixel_arcsec:.3g} arcsec are wider than {_COARSE_ARCSEC:g}: rates may be off by more than 3 % "
        "(10 % at 20 arcsec), by where in its pixel a source lies; make the images with smaller ones"
    )


def place_of(squared: Floats) -> tuple[Floats, Floats]:
    """Return the place in a row of squared radii in pixels, and dv/d(r^2), for :func:`at`."""
    base = 1 / (_RADIUS_BEND + squared)
    place = np.minimum(np.log(squared / _RADIUS_BEND + 1) * ((_RADII - 1) / _V_LAST), _RADII - 1.001)
    return place, base


def at(place: Floats, *rows: Floats) -> tuple[Floats, ...]:
    """Return rows of a table at places between its elements."""
    low = place.astype(np.intp)
    part = place - low
    found = []
    for row in rows:
        step = np.append(np.diff(row), 0.0)
        found.append(row[low] + part * step[low])
    return tuple(found)


@lru_cache(maxsize=1)
def _waves() -> tuple[Floats, Floats]:
    """Return wave numbers per pixel and their weights ``2 pi k dk``; dense near 0, where the profiles bend."""
    place, weight = special.roots_legendre(_WAVES)
    s = (place + 1) / 2
    k = _LARGEST_WAVE * s**2
    return k, 2 * np.pi * k * _LARGEST_WAVE * 2 * s * weight / 2


@lru_cache(maxsize=1)
def _back() -> tuple[Floats, Floats]:
    """Return the matrices from wave numbers to light and to its slope along v, shape (waves, radii)."""
    k, weight = _waves()
    v = np.linspace(0, _V_LAST, _RADII)
    r = np.sqrt(_RADIUS_BEND * np.expm1(v))
    phase = 2 * np.pi * np.outer(k, r)
    rise = (_RADIUS_BEND + r**2) / 2  # r dr/dv
    ratio = np.where(r > 0, special.j1(phase) / np.maximum(r, 1e-9), np.pi * k[:, None])
    return weight[:, None] * special.j0(phase), -weight[:, None] * 2 * np.pi * k[:, None] * ratio * rise


@lru_cache(maxsize=1)
def _pixel() -> Floats:
    """Return the transform of a pixel, averaged over directions."""
    angle = (np.arange(32) + 0.5) * np.pi / 64
    k = _waves()[0][:, None]
    return np.asarray(np.mean(np.sinc(k * np.cos(angle)) * np.sinc(k * np.sin(angle)), axis=1))


def _profiles(density: Callable[[Floats], Floats], pixel_arcsec: float) -> Profiles:
    """Return the tables of a point spread function, given per square arcsec at radii in arcsec; all within 300."""
    outer = OUTER_ARCSEC / pixel_arcsec
    k, _ = _waves()
    nodes = int(900 * max(1.0, outer / 80))
    place, weight = special.roots_legendre(nodes)
    s = (place + 1) / 2
    r = outer * s**2
    light = density(r * pixel_arcsec) * 2 * np.pi * r * outer * s * weight
    transform = np.einsum("kr,r->k", special.j0(2 * np.pi * np.outer(k, r)), light / light.sum()) * _pixel()
    extents = _BEND * np.sinh(np.linspace(0, _U_LAST, EXTENTS)) / pixel_arcsec
    both = np.exp(-2 * np.pi * np.outer(extents, k)) * transform
    back, slope = _back()
    tables = (np.einsum("uk,kr->ur", both, matrix) for matrix in (back, slope))  # not by BLAS: the same on any machine
    found = [np.asarray(read_only(table)) for table in tables]
    return Profiles(np.asarray(read_only(np.maximum(found[0], 1e-12))), found[1], pixel_arcsec)


@lru_cache(maxsize=64)
def king_profiles(core_arcsec: float, slope: float, pixel_arcsec: float) -> Profiles:
    """Return the profiles of a King function, all of whose light lies within 300 arcsec.

    Parameters
    ----------
    core_arcsec, slope
        Of ``[1 + (r/core)^2]^-slope``.
    pixel_arcsec
        Pixel size.

    Notes
    -----
    Averages over pixels and over directions: within 0.5 % of the integral over each pixel at every radius.

    Examples
    --------
    >>> profiles = king_profiles(4.0, 1.43, 4.35)
    >>> [round(float(v), 3) for v in profiles.light[0, ::100]]
    [0.131, 0.001, 0.0, 0.0, 0.0]
    """
    return _profiles(lambda r: (1 + (r / core_arcsec) ** 2) ** -slope, pixel_arcsec)


def table_profiles(table: EncircledEnergyTable, pixel_arcsec: float) -> Profiles:
    """Return the profiles of a table of enclosed light; as :func:`king_profiles`."""
    return _profiles(lambda r: table_density(table, r), pixel_arcsec)
