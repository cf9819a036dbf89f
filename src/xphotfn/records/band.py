"""Energy band."""

from typing import final

import astropy.units as u
from attrs import field, frozen

from xphotfn.errors import InvalidRecord, XphotfnError
from xphotfn.html import block, facts
from xphotfn.records.fields import whole
from xphotfn.typing import EnergyLike
from xphotfn.units import energy_ev

__all__ = ("NOT_NAMED", "Band", "band_of_text", "energy_band")

_NEVER_EV = 2**31 - 1  # no instrument has such a channel


@final
@frozen(kw_only=True)
class Band:
    """An energy band, both ends included, in whole eV (one PI channel of EPIC is 1 eV).

    Parameters
    ----------
    lo_ev, hi_ev
        Lower and upper energy in eV; ``0 <= lo_ev < hi_ev``.
    """

    lo_ev: int = field(converter=whole)
    hi_ev: int = field(converter=whole)

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.lo_ev < self.hi_ev:
            raise InvalidRecord(
                f"a band needs 0 <= lo < hi, got {self.lo_ev} eV to {self.hi_ev} eV: give the lower energy first"
            )

    @property
    def lo(self) -> u.Quantity:
        """Lower energy in keV."""
        return self.lo_ev / 1000 * u.keV

    @property
    def hi(self) -> u.Quantity:
        """Upper energy in keV."""
        return self.hi_ev / 1000 * u.keV

    @property
    def name(self) -> str:
        """Short name in eV, as it stands in file names: ``500-2000``."""
        return f"{self.lo_ev}-{self.hi_ev}"

    @property
    def nominal(self) -> "Band":
        """The band that it is called: an end one channel inside a multiple of 10 eV is that multiple.

        ``PI >= 500 && PI < 2000`` and ``PI in (500:2000]`` hold the channels 500 to 1999 and 501 to 2000; both are
        made for 0.5-2 keV, from which they differ by the counts of one channel.
        """
        return Band(lo_ev=self.lo_ev - (self.lo_ev % 10 == 1), hi_ev=self.hi_ev + (self.hi_ev % 10 == 9))

    def __str__(self) -> str:
        if self.hi_ev == _NEVER_EV:
            return "band not named"
        return f"{self.lo_ev / 1000:g}-{self.hi_ev / 1000:g} keV"

    def _repr_html_(self) -> str:
        return block(f"Band {self}", facts([("PI channels", f"{self.lo_ev} to {self.hi_ev} eV")]))


NOT_NAMED = Band(lo_ev=0, hi_ev=_NEVER_EV)
"""Stands for the band of a file that names none, which can be looked at and not measured."""


def energy_band(lo: EnergyLike, hi: EnergyLike) -> Band:
    """Return the band between two energies, rounded to whole eV.

    Parameters
    ----------
    lo, hi
        Energies as Quantity (any unit of energy) or as a text such as ``"0.5 keV"``.

    Raises
    ------
    UnitMismatch
        If a value has no unit of energy.
    InvalidRecord
        If ``lo >= hi``.

    Examples
    --------
    >>> import astropy.units as u
    >>> energy_band(0.5 * u.keV, 2.0 * u.keV)
    Band(lo_ev=500, hi_ev=2000)
    """
    return Band(lo_ev=energy_ev(lo, "the band's lower energy"), hi_ev=energy_ev(hi, "the band's upper energy"))


def band_of_text(text: str) -> Band:
    """Return the band that a table names: the inverse of ``str``.

    Raises
    ------
    InvalidRecord
        If it is no such text.

    Examples
    --------
    >>> band_of_text("0.5-2 keV")
    Band(lo_ev=500, hi_ev=2000)
    """
    lo, _, hi = text.removesuffix(" keV").partition("-")
    try:
        return energy_band(f"{lo} keV", f"{hi} keV")
    except XphotfnError as error:
        raise InvalidRecord(f"no band is called {text!r}: tables of photometry have such as '0.5-2 keV'") from error
