"""The selection function of the example map, and its picture: docs/tables/completeness.csv with --write."""

import argparse
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable

import xphotfn as xp
from xphotfn.testing.examples import example_rate_map

TABLE = Path(__file__).resolve().parents[1] / "docs" / "tables" / "completeness.csv"
RATES = [0.006, 0.01, 0.016, 0.025, 0.04, 0.08]


def made(trials):
    """Return the table; 10 points and as many clusters of each rate and search."""
    extents = [0, 30] * u.arcsec
    rng = np.random.default_rng(20)
    return xp.completeness(example_rate_map(), fluxes=RATES * u.ct / u.s, extents=extents, trials=trials, rng=rng)


def draw_completeness(path):
    """Draw the table that was written."""
    from matplotlib.figure import Figure

    table = QTable.read(TABLE, format="ascii.csv", comment="#")
    for name, unit in (("flux", "ct/s"), ("extent", "arcsec"), ("counts", "ct")):
        table[name] = table[name] * u.Unit(unit)
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    xp.view_completeness(table, ax=figure.add_subplot())
    figure.savefig(path, dpi=90, metadata={"Software": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    table = made(options.trials)
    print(table)
    if options.write:
        plain = QTable({name: getattr(table[name], "value", table[name]) for name in table.colnames})
        plain.write(TABLE, format="ascii.csv", overwrite=True)
