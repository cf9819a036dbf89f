"""The picture of a selection function."""

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from xphotfn.errors import InvalidRecord
from xphotfn.plot.view import need_matplotlib

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes

__all__ = ("view_completeness",)

_NEEDED = ("flux", "extent", "completeness", "low", "high")


def view_completeness(table: "Table", *, ax: "Axes | None" = None) -> Any:
    """Draw the part of sources that is found against their flux, a line for each extent.

    Parameters
    ----------
    table
        As :func:`completeness` returns it.
    ax
        Axes to draw into; default new ones.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidRecord
        If the table is another.
    MatplotlibMissing
        If matplotlib is not installed.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import astropy.units as u
    >>> import matplotlib.pyplot as plt
    >>> from astropy.table import QTable
    >>> table = QTable({"flux": [1e-3, 1e-2] * u.ct / u.s, "extent": [0, 0] * u.arcsec, "completeness": [0.2, 0.9],
    ...                 "low": [0.1, 0.8], "high": [0.3, 0.95]})
    >>> view_completeness(table).get_ylabel()
    'part that is found'
    >>> plt.close("all")
    """
    need_matplotlib()
    missing = [name for name in _NEEDED if name not in getattr(table, "colnames", ())]
    if missing:
        raise InvalidRecord(f"a table as completeness(...) returns it is drawn, this one lacks {', '.join(missing)}")
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=(6.4, 4.4), layout="constrained").add_subplot()
    flux, extent = u.Quantity(table["flux"]), u.Quantity(table["extent"]).to_value(u.arcsec)  # a Table has columns
    part, low, high = (np.asarray(table[name], dtype=float) for name in ("completeness", "low", "high"))
    for core in np.unique(extent):
        mine = np.flatnonzero(extent == core)
        mine = mine[np.argsort(flux.value[mine])]
        errors = np.maximum([part[mine] - low[mine], high[mine] - part[mine]], 0.0)
        label = "points" if core == 0 else f"core radius {core:g} arcsec"
        ax.errorbar(flux.value[mine], part[mine], yerr=errors, marker="o", capsize=2, label=label)
    ax.set(xscale="log", ylim=(-0.03, 1.03), xlabel=f"flux ({flux.unit})", ylabel="part that is found")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax
