"""Whether an event list holds a band: one that was cut in energy before does not hold what was cut."""

import warnings

from xphotfn.errors import PlanError
from xphotfn.records.band import Band
from xphotfn.records.energies import Energies

__all__ = ("PartOfBand", "part_of_band")


class PartOfBand(UserWarning):
    """A warning: an event list holds only a part of the band that was asked for.

    Attributes
    ----------
    who : str
        The exposure, or the file.
    band : str
        The band that was asked for.
    holds : str
        The energies that the list holds.
    """

    def __init__(self, who: str, band: str, holds: str) -> None:
        super().__init__(who, band, holds)
        self.who, self.band, self.holds = who, band, holds

    def __str__(self) -> str:
        return f"{self.who}: the event list holds {self.holds}, only a part of {self.band}: counts are of that part"


def part_of_band(who: str, energies: Energies, band: Band) -> tuple[str, ...]:
    """Return what to say of an event list that holds only a part of a band; nothing where it holds all of it.

    Parameters
    ----------
    who
        The exposure or the file, for messages.
    energies
        What the list's own selection lets through.
    band
        The band that is asked for. Its edge channels do not count: a list cut at PI 500 holds nothing of 0.2-0.5 keV.

    Raises
    ------
    PlanError
        If the list holds nothing of the band.

    Warns
    -----
    PartOfBand
        If it holds only a part.

    Examples
    --------
    >>> from xphotfn.records.energies import PiRanges
    >>> hard = PiRanges(ranges=[(2000, 10000)])
    >>> part_of_band("pn", Energies(everywhere=hard, somewhere=hard), Band(lo_ev=2000, hi_ev=10000))
    ()
    """
    inner = Band(lo_ev=band.lo_ev + 1, hi_ev=band.hi_ev - 1) if band.hi_ev - band.lo_ev > 2 else band
    if energies.contains(inner):
        return ()
    if not energies.somewhere.overlaps(inner):
        raise PlanError(
            f"{who}: the event list holds {energies} only, nothing of {band}: use a list that was not cut in energy, "
            "or another band"
        )
    warning = PartOfBand(who, str(band), str(energies))
    warnings.warn(warning, stacklevel=2)
    return (str(warning),)
