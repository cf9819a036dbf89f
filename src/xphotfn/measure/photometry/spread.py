"""The point spread function of the maps that are measured: which profile, at which energy and angle."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidRecord
from xphotfn.io.products import RateMap, cards_of
from xphotfn.records.instrument import is_epic
from xphotfn.science.coords import separation_deg
from xphotfn.science.encircled_energy import (
    EncircledEnergyTable,
    PointSpread,
    encircled_energy,
    encircled_energy_systematic,
)
from xphotfn.science.king import EPIC_KING, KingModel, king_parameters
from xphotfn.science.rings import WINGS_ARCSEC, wings_radius
from xphotfn.science.spreads import band_energy_ev, chosen_spread

__all__ = ("MapLight", "light_of", "off_axis_arcmin", "wings_arcsec")

Floats = NDArray[np.float64]
_HELP = 'psf must be "epic", a KingModel, an EncircledEnergyTable or a dict of these by camera'


class MapLight(NamedTuple):
    """How the light of point sources is spread on one map, at positions of shape (n,)."""

    psf: PointSpread
    energy_ev: float
    angle_arcmin: Floats

    def fraction(self, radius_arcsec: Floats, pixel_arcsec: float, blurs: int) -> Floats:
        """Return the part of the light that pixels of a size place within a radius around each position.

        An image holds the profile blurred by its pixels: once where whole pixels are counted, twice where their counts
        are taken as spread evenly over them. To second order that is ``F + blurs pixel^2/24 (F'' - F'/r)``, with the
        derivatives of the enclosed light F from half a pixel to both sides; below a pixel F alone.
        """
        step = pixel_arcsec / 2
        inside, here, outside = (
            encircled_energy(
                np.maximum(r, 0.0), energy_ev=self.energy_ev, off_axis_arcmin=self.angle_arcmin, psf=self.psf
            )
            for r in (radius_arcsec - step, radius_arcsec, radius_arcsec + step)
        )
        wide = radius_arcsec >= pixel_arcsec
        r = np.where(wide, radius_arcsec, pixel_arcsec)
        blur = (outside - 2 * here + inside) / step**2 - (outside - inside) / (2 * step * r)
        return np.asarray(np.clip(here + np.where(wide, blurs * pixel_arcsec**2 / 24 * blur, 0.0), 0.0, 1.0))

    def systematic(self) -> Floats:
        """Return the relative systematic error of the fractions."""
        found = encircled_energy_systematic(energy_ev=self.energy_ev, off_axis_arcmin=self.angle_arcmin, psf=self.psf)
        return np.broadcast_to(found, self.angle_arcmin.shape)

    def profile(self, part: NDArray[np.intp]) -> EncircledEnergyTable | tuple[Floats, Floats]:
        """Return the table, or core radius and slope at some of the positions."""
        if isinstance(self.psf, EncircledEnergyTable):
            return self.psf
        core, slope, _ = king_parameters(self.psf, energy_ev=self.energy_ev, off_axis_arcmin=self.angle_arcmin[part])
        return core, slope


def off_axis_arcmin(item: RateMap, ra: Floats, dec: Floats) -> Floats:
    """Return the angle of positions from the pointing of a map: RA_PNT and DEC_PNT, else the grid's reference."""
    header = cards_of(item.image)
    pointing = header.get("RA_PNT", item.grid.ra_deg), header.get("DEC_PNT", item.grid.dec_deg)
    return 60 * separation_deg(ra, dec, *(float(v) for v in pointing))


def light_of(psf: Any, item: RateMap, ra: Floats, dec: Floats) -> MapLight | None:
    """Return the light of point sources on a map, or None where ``psf`` is.

    Raises
    ------
    InvalidRecord
        If there is no such profile, or none for the camera.
    """
    if psf is None:
        return None
    chosen = chosen_spread(psf, item.instrument, str(item))
    if isinstance(chosen, np.ndarray):
        raise InvalidRecord(f"{_HELP}; make a table of an image with EncircledEnergyTable.from_image(image, arcsec)")
    if not isinstance(chosen, KingModel | EncircledEnergyTable):
        raise InvalidRecord(f"{_HELP}, got {chosen!r}")
    return MapLight(chosen, band_energy_ev(item.band), off_axis_arcmin(item, ra, dec))


def wings_arcsec(psf: Any, maps: Sequence[RateMap], ra: Floats, dec: Floats) -> Floats:
    """Return the radius around each position within which the wings of a point source matter, on all maps.

    It is that of EPIC without a profile and with ``"epic"``, else the largest of one's own profiles.

    Raises
    ------
    InvalidRecord
        If a map is of another telescope and there is no profile that says how far its wings reach.
    """
    other = next((m for m in maps if psf is None and not is_epic(m.instrument)), None)
    if other is not None:
        raise InvalidRecord(
            f"the default ring lies beyond the wings of EPIC's point sources, and {other} is of another telescope: "
            "give background=, or psf= of its own"
        )
    result = np.full(ra.shape, WINGS_ARCSEC)
    lights = [light_of(psf, m, ra, dec) for m in maps] if psf is not None else []
    own = [v for v in lights if v is not None and all(v.psf is not model for model in EPIC_KING.values())]
    if own and len(own) == len(lights):
        result = np.zeros(ra.shape)
    for light in own:
        result = np.fmax(result, wings_radius(light.psf, energy_ev=light.energy_ev, off_axis_arcmin=light.angle_arcmin))
    return result
