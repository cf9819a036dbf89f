"""Coverage of the intervals of hardness ratios on simulated counts, and where their medians lie.

For each cell of a grid of source counts S and H, background counts B in the circle and ratio r of the background's area
to the circle's, counts are drawn and the part of intervals of 68.27 % that hold the true ratio is counted, for the flat
prior and the index 0.5. ``--write`` puts all cells into docs/tables/hardness_coverage.csv; ``--small`` makes few draws
of few cells. tests/science/test_hardness_ratio.py has a part of it. ``--outside`` draws more often in the cells where
the flat prior lies outside of 66 to 82 %, says on which side the truth is missed, and, with ``--write``, puts them into
docs/tables/hardness_outside.csv.
"""

import argparse
import itertools

import numpy as np
from statistics_tables import TABLES, write_rows

from xphotfn.science.hardness_ratio import hardness_ratio

SOURCES, BACKGROUNDS, RATIOS = (3.0, 10.0, 30.0, 100.0), (0.3, 3.0, 30.0), (1.0, 5.0, 20.0)
PRIORS = (1.0, 0.5)
HEAD = ("soft counts", "hard counts", "background counts", "ratio of areas", "flat: 68.27 %", "flat: median",
        "index 0.5: 68.27 %", "index 0.5: median")  # fmt: skip
DRAWS = 4000
OUTSIDE = ((3.0, 3.0, 30.0, 1.0), (3.0, 3.0, 30.0, 5.0), (3.0, 3.0, 30.0, 20.0), (30.0, 3.0, 30.0, 1.0),
           (100.0, 3.0, 30.0, 1.0))  # fmt: skip
OUTSIDE_HEAD = (*HEAD[:5], "truth below", "truth above")
OUTSIDE_DRAWS = 30_000


def cell(soft, hard, background, ratio, *, draws, rng):
    """Return coverage and mean median less the truth, for both priors."""
    n, m = (rng.poisson(mean + background, draws) for mean in (soft, hard))
    b, c = (rng.poisson(background * ratio, draws) for _ in range(2))
    truth, result = (hard - soft) / (hard + soft), []
    for prior in PRIORS:
        low, median, high = hardness_ratio((n, b, 1 / ratio), (m, c, 1 / ratio), confidence=0.6827, prior=prior)
        result += [np.mean((low <= truth) & (truth <= high)), np.mean(median) - truth]
    return result


def outside(soft, hard, background, ratio, *, draws, rng):
    """Return coverage of the flat prior, and how often the truth lies below and above the interval."""
    n, m = (rng.poisson(mean + background, draws) for mean in (soft, hard))
    b, c = (rng.poisson(background * ratio, draws) for _ in range(2))
    low, _, high = hardness_ratio((n, b, 1 / ratio), (m, c, 1 / ratio), confidence=0.6827)
    truth = (hard - soft) / (hard + soft)
    below, above = float(np.mean(truth < low)), float(np.mean(truth > high))
    return [round(value, 5) for value in (1 - below - above, below, above)]


def cells_outside(options):
    rng = np.random.default_rng(652)
    draws = 200 if options.small else OUTSIDE_DRAWS
    rows = [[*where, *outside(*where, draws=draws, rng=rng)] for where in OUTSIDE]
    for row in rows:
        print(("{:6g}" * 4 + "{:9.4f}" * 3).format(*row))
    if options.write:
        write_rows(TABLES / "hardness_outside.csv", OUTSIDE_HEAD, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="few draws of few cells")
    parser.add_argument("--write", action="store_true", help="write the table of the documentation")
    parser.add_argument("--outside", action="store_true", help="only the cells outside of 66 to 82 %%, more often")
    options = parser.parse_args()
    if options.outside:
        cells_outside(options)
        return
    rng, rows = np.random.default_rng(2006), []
    grid = list(itertools.product(itertools.combinations_with_replacement(SOURCES, 2), BACKGROUNDS, RATIOS))
    for (hard, soft), background, ratio in grid[:: 17 if options.small else 1]:
        found = cell(soft, hard, background, ratio, draws=200 if options.small else DRAWS, rng=rng)
        rows.append([soft, hard, background, ratio, *found])
        print(("{:6g}" * 4 + "{:9.3f}" * 4).format(*rows[-1]))
    for number, prior in enumerate(PRIORS):
        covered = [row[4 + 2 * number] for row in rows]
        print(f"index {prior:g}: {min(covered):.3f} to {max(covered):.3f}")
    if options.write:
        write_rows(TABLES / "hardness_coverage.csv", HEAD, rows)


if __name__ == "__main__":
    main()
