"""The vignetting of the XMM-Newton mirrors: a table over energy and off-axis angle, and its interpolation."""

from typing import final

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike, NDArray

from xphotfn.errors import InvalidRecord

__all__ = ("VignettingTable", "vignetting")

Floats = NDArray[np.float64]


def _read_only(values: ArrayLike) -> Floats:
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


_same = attrs.cmp_using(eq=np.array_equal)


@final
@frozen(kw_only=True)
class VignettingTable:
    """Effective area at an off-axis angle over that on axis, on a grid of energies and angles.

    Parameters
    ----------
    energies_ev
        Array of shape (n,), float64, rising.
    angles_arcmin
        Array of shape (m,), float64, rising from 0.
    factors
        Array of shape (n, m), float64: 1 on axis.
    source
        Calibration file that the table comes from.
    """

    energies_ev: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    angles_arcmin: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    factors: Floats = attrs.field(converter=_read_only, eq=_same, hash=False, repr=False)
    source: str = ""

    def __attrs_post_init__(self) -> None:
        shape = (self.energies_ev.size, self.angles_arcmin.size)
        if self.factors.shape != shape or self.energies_ev.ndim != 1 or self.angles_arcmin.ndim != 1 or 0 in shape:
            raise InvalidRecord(f"VignettingTable.factors must have the shape {shape}, got {self.factors.shape}")
        for name in ("energies_ev", "angles_arcmin"):
            if not np.all(np.diff(getattr(self, name)) > 0):
                raise InvalidRecord(f"VignettingTable.{name} must rise")
        if not np.all(np.isfinite(self.factors)):
            raise InvalidRecord("VignettingTable.factors must be finite")


def vignetting(table: VignettingTable, energy_ev: float, angle_arcmin: ArrayLike) -> Floats:
    """Return the vignetting factor at one energy.

    Parameters
    ----------
    table
        The table.
    energy_ev
        Energy in eV.
    angle_arcmin
        Off-axis angles in arcmin, any shape.

    Returns
    -------
    Array of the shape of ``angle_arcmin``, float64, without unit.

    Raises
    ------
    InvalidRecord
        For an energy that is not finite.

    Notes
    -----
    Linear in energy; in angle a cubic spline that is even, level on the axis, as the mirror is round. Outside the table
    the value at its edge is returned, at every energy and angle; the packaged table goes to 15 keV and 15.6 arcmin.
    NaN gives NaN. SAS's maps follow the spline: with lines from node to node the residuals are a third larger.

    References
    ----------
    XMM-Newton Calibration Access and Data Handbook, CAL_getVignettingFactor; CCF XRTn_XAREAEF, extension VIGNETTING.

    Examples
    --------
    >>> table = VignettingTable(energies_ev=[1000, 2000], angles_arcmin=[0, 10], factors=[[1, 0.5], [1, 0.4]])
    >>> vignetting(table, 1500, [0, 5, 10, 20]).round(3).tolist()
    [1.0, 0.828, 0.45, 0.45]
    """
    if not np.isfinite(energy_ev):
        raise InvalidRecord(f"energy_ev must be finite, got {energy_ev!r}")
    energies = table.energies_ev
    high = int(np.clip(np.searchsorted(energies, energy_ev), 1, max(energies.size - 1, 1)))
    if energies.size == 1:
        row = table.factors[0]
    else:
        low = high - 1
        part = np.clip((energy_ev - energies[low]) / (energies[high] - energies[low]), 0.0, 1.0)
        row = table.factors[low] + part * (table.factors[high] - table.factors[low])
    angles = np.clip(np.asarray(angle_arcmin, dtype=np.float64), table.angles_arcmin[0], table.angles_arcmin[-1])
    if table.angles_arcmin.size == 1:
        return np.where(np.isnan(angles), np.nan, row[0])
    from scipy.interpolate import CubicSpline

    outer = "not-a-knot" if row.size > 3 else (2, 0.0)  # three points are too few for a cubic of their own
    return np.asarray(CubicSpline(table.angles_arcmin, row, bc_type=((1, 0.0), outer))(angles))
