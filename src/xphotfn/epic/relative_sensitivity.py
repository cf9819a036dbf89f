"""How sensitive the cameras are to one and the same source, by which a search ties their rates."""

import math

from xphotfn.io.conversion_tables import factor_table
from xphotfn.records.band import Band
from xphotfn.records.ecf import blocking_filter
from xphotfn.records.instrument import CAMERAS
from xphotfn.science.interpolation import bilinear

__all__ = ("relative_sensitivity",)

_GAMMA, _NH = 1.7, 3e20  # the usual power law, and cm-2
_UNIT = 1e11  # ct cm2/erg: rates are then of a source of 1e-11 erg/cm2/s
_PN_FLOOR_EV = 500


def relative_sensitivity(camera: str, filter_name: str, band: Band) -> float | None:
    """Return the rate that a source of 1e-11 erg/cm2/s gives in a camera, in ct/s.

    Parameters
    ----------
    camera
        ``pn``, ``mos1`` or ``mos2``; of others nothing is known.
    filter_name
        The blocking filter.
    band
        Of rate and flux.

    Returns
    -------
    float or None
        That of a power law of photon index 1.7 behind 3e20 cm-2; None where the packaged factors have no such camera,
        filter or band, and of pn below 0.5 keV, where they are of other patterns than images.

    References
    ----------
    The factors of :func:`~xphotfn.measure.conversion.power_law_ecf`.

    Examples
    --------
    >>> soft = Band(lo_ev=500, hi_ev=2000)
    >>> pn, mos = (relative_sensitivity(name, "Thin1", soft) for name in ("pn", "mos1"))
    >>> round(pn, 2), round(mos / pn, 3), relative_sensitivity("pn", "", soft)
    (6.85, 0.284, None)
    """
    if camera not in CAMERAS or (camera == "pn" and band.nominal.lo_ev < _PN_FLOOR_EV):
        return None
    table = factor_table()
    factors = table.factors.get(((camera, blocking_filter(filter_name), band.nominal), True))
    if factors is None:
        return None
    return bilinear(factors, (math.log10(_NH), _GAMMA), (table.log10_nh, table.gamma)) / _UNIT
