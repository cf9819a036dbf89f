"""Whether an observation that is cut in two exposures has the sources of the whole.

Crops of simulated fields (log N - log S, three cameras) are searched once as they are and once with each count given to
one of two exposures of half the time, by the toss of a coin. Prints by how much DET_ML differs for sources of both
lists, and those of one list alone, whose DET_ML should lie at the threshold.

    python benchmarks/detection_halves.py [--fields 3] [--kiloseconds 10]
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from attrs import evolve

from xphotfn.science.detection.search import search

sys.path.insert(0, str(Path(__file__).parent))
from detection_calibration import CAMERAS, drawn, sources_of_sky

FIRST, SIDE, THRESHOLD, SAME_PIX = 130, 250, 6.0, 1.5


def cropped(maps):
    """Return the middle of maps of the three cameras, named as of one observation."""
    part = np.s_[FIRST : FIRST + SIDE, FIRST : FIRST + SIDE]
    grid = maps[0].grid
    grid = evolve(grid, nx=SIDE, ny=SIDE, crpix1=grid.crpix1 - FIRST, crpix2=grid.crpix2 - FIRST)
    return [
        m._replace(
            counts=m.counts[part],
            exposure=m.exposure[part],
            flat=m.flat[part],
            grid=grid,
            camera=name,
            observation="0999990101",
        )
        for name, m in zip(CAMERAS, maps, strict=True)
    ]


def halved(maps, rng):
    """Return each map as two of half the exposure."""
    found = []
    for item in maps:
        first = rng.binomial(item.counts.astype(int), 0.5).astype(float)
        half = item._replace(exposure=item.exposure / 2, flat=item.flat / 2)
        found += [half._replace(counts=n) for n in (first, item.counts - first)]
    return found


def compared(kiloseconds, number):
    """Return DET_ML of sources of both lists, whole and halves, and of those of one list alone."""
    rng = np.random.default_rng([41, int(kiloseconds), number])
    x, y, rate = sources_of_sky(kiloseconds, rng)
    maps = cropped(drawn(kiloseconds, rng, list(zip(x, y, rate, strict=True))))
    whole = search(maps, threshold=THRESHOLD).sources
    pieces = list(search(halved(maps, rng), threshold=THRESHOLD).sources)
    both, alone = [], []
    for one in whole:
        away = [np.hypot(one.source.x - p.source.x, one.source.y - p.source.y) for p in pieces]
        if away and min(away) < SAME_PIX:
            both.append((one, pieces.pop(int(np.argmin(away)))))
        else:
            alone.append((one, "whole"))
    return both, alone + [(p, "halves") for p in pieces]


def main():
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=3)
    parser.add_argument("--kiloseconds", type=float, default=10.0)
    options = parser.parse_args()
    differences = []
    for number in range(options.fields):
        both, alone = compared(options.kiloseconds, number)
        for one, other in both:
            differences.append(other.det_ml - one.det_ml)
            if abs(differences[-1]) > 0.5:
                place = f"({one.source.x:.1f}, {one.source.y:.1f})"
                print(f"field {number}: {place} DET_ML {one.det_ml:.2f} whole, {other.det_ml:.2f} halves")
        for fitted, name in alone:
            place = f"({fitted.source.x:.1f}, {fitted.source.y:.1f})"
            print(f"field {number}: {place} DET_ML {fitted.det_ml:.2f} in the {name} alone")
    away = np.abs(differences)
    within = np.count_nonzero(away <= 0.5)
    print(f"{within} of {away.size} within 0.5; 90 % within {np.quantile(away, 0.9):.3f}, all within {away.max():.2f}")


if __name__ == "__main__":
    main()
