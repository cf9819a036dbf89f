"""What the selection of a file keeps: energies, times, places, flags and patterns."""

from typing import final

from attrs import field, frozen

from xphotfn.html import record_html
from xphotfn.records.energies import Energies
from xphotfn.records.fields import not_negative, strings

__all__ = ("EVERY_FLAG", "OUT_OF_FIELD", "Subspace")

EVERY_FLAG = 0xFFFFFFFF
"""All bits of FLAG, which ``FLAG == 0`` demands to be zero."""

OUT_OF_FIELD = 0x10000
"""The bit of FLAG that marks events outside the field of view (OUT_OF_FOV)."""


@final
@frozen(kw_only=True)
class Subspace:
    """What a file's own selection keeps; a field that says nothing keeps all.

    Parameters
    ----------
    energies
        Channels of PI.
    times
        Conditions on TIME and filters by good time intervals, as texts of the selection language.
    places
        Conditions on X and Y, on the detector's coordinates or on CCDs, as texts of the selection language; a table of
        regions in the data subspace is ``DETX,DETY in :REG00107``.
    flags
        Bits of FLAG that must be zero.
    patterns
        Highest event pattern; None without a limit.
    other
        All other conditions, as texts.

    Examples
    --------
    >>> Subspace(flags=EVERY_FLAG, patterns=12).within_field
    True
    """

    energies: Energies = field(factory=Energies)
    times: tuple[str, ...] = field(default=(), converter=strings)
    places: tuple[str, ...] = field(default=(), converter=strings)
    flags: int = field(default=0, validator=not_negative)
    patterns: int | None = None
    other: tuple[str, ...] = field(default=(), converter=strings)

    @property
    def within_field(self) -> bool:
        """Whether its flags leave out what lies outside the field of view."""
        return bool(self.flags & OUT_OF_FIELD)

    def _repr_html_(self) -> str:
        return record_html(self)
