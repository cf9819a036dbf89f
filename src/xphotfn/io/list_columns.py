"""The columns of a list of sources in a file: as numbers in the units that are meant, and whose list it is."""

from collections.abc import Iterable, Mapping
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from xphotfn.errors import InvalidFile
from xphotfn.io.column_units import column_factor
from xphotfn.records.source import ORIGINS

__all__ = ("RATES", "ListColumns")

RATES = ("RATE", "EP_8_RATE", "SC_EP_8_RATE")
_PIXEL_ARCSEC = 4.0  # of the pipeline's images, in whose pixels emldetect gives EXT
_OF_CATALOGUE = ("EP_8_DET_ML", "SC_DET_ML")  # which tell rows of 4XMM from a list of emldetect
_OWN = {"ID_SRC", "EXT", "DET_ML", "BG_MAP", "ID_CLUSTER", "FLAG", "FLAGS"}  # by which our own tables are known
_OF_EMLDETECT = ("ML_ID_SRC", "ID_BAND", "ID_INST")


class ListColumns:
    """The columns of a table by their names in capitals, and who made it: empty where nothing says so."""

    def __init__(
        self, path: str, data: Any, names: Iterable[str], units: dict[str, str], meta: Mapping[str, Any]
    ) -> None:
        self.path, self.data, self.units, self.meta = path, data, units, meta
        self.names = {name.upper(): name for name in names}
        self.is_own = set(self.names) >= _OWN and not self.first(_OF_EMLDETECT)

    @property
    def origin(self) -> str:
        """Who made the list: what our own tables say (CSV and VOTable do not), else by the columns."""
        if self.is_own:
            said = str(self.meta.get("CREATOR", "")).strip()
            return said if said in ORIGINS else "table"
        return "4XMM" if self.first(_OF_CATALOGUE) and not self.first(("DET_ML",)) else "emldetect"

    @property
    def exposure_unit(self) -> str:
        """``cm2 s`` where rates are in photons over area and time, else ``s``: also where they have no unit (CSV)."""
        said = u.Unit(self.units.get(self.first(RATES), ""), parse_strict="silent")
        return "cm2 s" if said.is_equivalent(u.photon / u.cm**2 / u.s) else "s"

    def first(self, names: Iterable[str]) -> str:
        """Return the first of some names that there is, else nothing."""
        return next((name for name in names if name in self.names), "")

    def numbers(self, name: str, unit: str = "") -> NDArray[np.float64]:
        """Return a column as numbers in a unit, NaN where a cell is empty."""
        factor = column_factor(self.path, self.names[name], self.units.get(name, ""), unit)
        return self.plain(name) * factor

    def angles(self, name: str) -> NDArray[np.float64]:
        """Return an extent or its error in arcsec."""
        return self.plain(name) * self.scale(name)

    def plain(self, name: str) -> NDArray[np.float64]:
        """Return a column as the numbers that it holds."""
        values = np.ma.asarray(self.data[self.names[name]])
        if values.ndim != 1:
            raise InvalidFile(
                self.path, f"column {name} must hold one number in a row, got {values.shape[1:]}: give it so"
            )
        try:
            return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
        except (TypeError, ValueError) as error:
            raise InvalidFile(
                self.path, f"column {name} must hold numbers, RA and Dec in degrees ({error}): give it so"
            ) from error

    def texts(self, name: str) -> list[str]:
        """Return a column as texts without blanks around them."""
        return [str(value).strip() for value in np.ma.asarray(self.data[self.names[name]])]

    def scale(self, name: str) -> float:
        """Return what an angle is multiplied with to be in arcsec.

        Without a unit it is in arcsec, but for EXT: it is in pixels of emldetect's lists, in arcsec of our own, and not
        known of others.
        """
        said = self.units.get(name, "").strip()
        if said and "pix" not in said.lower():
            return column_factor(self.path, self.names[name], said, "arcsec")
        if name not in ("EXT", "EXT_ERR") or (self.is_own and not said):
            return 1.0
        if not (said or self.first(_OF_EMLDETECT)):
            raise InvalidFile(
                self.path,
                f"column {name} has no unit, and nothing says whose list it is: emldetect's is in pixels of an image, "
                "others in arcsec; give the column a unit (FITS, ECSV, VOTable) or name it EXTENT if it is in arcsec",
            )
        return _PIXEL_ARCSEC
