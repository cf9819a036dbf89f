"""The packaged tables of energy conversion factors, read when they are first asked for."""

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xphotfn.records.band import Band

__all__ = ("FactorTable", "factor_table", "published_factors")

STEP = 1e-5  # of natural logarithms, in which the factors are stored

Floats = NDArray[np.float64]
Cell = tuple[str, str, Band]


class FactorTable(NamedTuple):
    """Factors of power laws: nodes in log10 nH and Gamma, and for each cell and kind of flux an array (nH, Gamma)."""

    log10_nh: Floats
    gamma: Floats
    factors: dict[tuple[Cell, bool], Floats]


@cache
def factor_table() -> FactorTable:
    """Return the table of the package ecfxa, by camera, filter, band and whether the flux is absorbed."""
    with (files("xphotfn") / "data" / "ecf_epic.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        values = np.exp(STEP * stored["steps"].cumsum(axis=-1, dtype=np.int64).cumsum(axis=-2))
        values.flags.writeable = False
        bands = [Band(lo_ev=int(lo), hi_ev=int(hi)) for lo, hi in stored["band_ev"]]
        factors = {
            ((str(camera), str(name), band), absorbed): values[cell, kind, number]
            for cell, (camera, band) in enumerate(zip(stored["camera"], bands, strict=True))
            for kind, absorbed in enumerate((True, False))
            for number, name in enumerate(stored["filter"])
        }
        return FactorTable(stored["log10_nh"], stored["gamma"], factors)


@cache
def published_factors() -> dict[str, dict[Cell, float]]:
    """Return the published factors by table (``2xmm``, ``4xmm``), then by camera, filter and band, in ct cm2/erg."""
    text = (files("xphotfn") / "data" / "ecf_published.csv").read_text(encoding="ascii")
    tables: dict[str, dict[Cell, float]] = {}
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        band = Band(lo_ev=int(row["lo_ev"]), hi_ev=int(row["hi_ev"]))
        tables.setdefault(row["table"], {})[row["camera"], row["filter"], band] = 1e11 * float(row["factor"])
    return tables
