"""When a search says that a list is of diffuse light: simulated remnants and soft light of several brightnesses.

    python benchmarks/detection_diffuse.py [--kind remnant] [--level 3]

Three cameras, 20 ks, log N - log S behind the light, DET_ML 10. ``remnant`` is a shell that fills the field, broken
into filaments, ``small remnant`` one of half its radius, ``soft`` a field of blobs of 3 arcmin without an edge. Levels
are the light of the brightest tenth of the field over the background. Pieces are detections that are no source of
8 counts or more. Prints the table of docs/detection.md.
"""

import argparse
import itertools

import numpy as np
from attrs import evolve
from scipy import ndimage

try:
    from benchmarks import detection_calibration as sky
except ImportError:  # run as a file
    import detection_calibration as sky
from xphotfn.records.source_list import SourceList
from xphotfn.science.detection.listing import listed
from xphotfn.science.detection.search import search

SECONDS, LEVELS, MATCH_PIX, FAINTEST = 20.0, (0.3, 1.0, 3.0, 10.0), 4.0, 8.0
SHAPES = {"remnant": (7.5, 1.2), "small remnant": (3.5, 0.7), "soft": None}  # radius and width of the shell, arcmin


def texture(rng, size_pix, slope=None):
    """Return a Gaussian random field of mean 0 and deviation 1: smooth on a size, or with a power law of waves."""
    waves = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
    if slope is None:
        power = np.exp(-2 * (np.pi * waves * size_pix) ** 2)
    else:
        power = (waves**2 + size_pix**-2.0) ** (-slope / 2)
    plane = np.fft.ifft2(np.fft.fft2(rng.standard_normal((512, 512))) * power).real
    return (plane - plane.mean()) / plane.std()


def shape(kind, rng):
    """Return the light of a kind, in no units."""
    if SHAPES[kind] is None:
        return np.exp(0.7 * texture(rng, 40))
    (radius, width), (rows, columns) = SHAPES[kind], np.indices((512, 512))
    away = np.hypot(columns - 262, rows - 248) * 4.35 / 60
    shell = np.exp(-0.5 * ((away - radius) / width) ** 2) + 0.25 * (away < radius)
    return shell * np.exp(0.9 * texture(rng, 60, 1.6))


def row(kind, level, number):
    """Return a row: detections, extended ones, pieces, their part, the part covered, the widest, and whether told."""
    rng = np.random.default_rng([23, number, len(kind)])
    light = ndimage.gaussian_filter(shape(kind, rng), 1.3)
    exposure, background, _ = sky.empty(SECONDS)[0]
    live = exposure > 0
    bright = np.sort(light[live])[-np.count_nonzero(live) // 10 :].mean()
    light *= level * background[live].sum() / exposure[live].sum() / bright
    x, y, rate = sky.sources_of_sky(SECONDS, rng)
    counts = rate * sky.counts_per_rate(SECONDS, x, y)
    points = list(zip(x, y, rate, strict=True))
    found = search(sky.drawn(SECONDS, rng, points, dict.fromkeys(sky.CAMERAS, light)), threshold=10.0)
    result = listed(found.sky, found.sources)
    sources = SourceList(
        sources=[evolve(s, rates=()) for s in result.sources],
        objects=result.objects,
        threshold=10.0,
        extended_fraction=result.extended_fraction,
    )
    true = [
        not s.is_extended and bool(np.any((np.hypot(x - s.x, y - s.y) < MATCH_PIX) & (counts > FAINTEST)))
        for s in sources
    ]
    widest = sum(s.extent_arcsec > 118 for s in sources)
    return [kind, level, len(sources), len(sources.extended), len(true) - sum(true), f"{1 - np.mean(true):.2f}",
            f"{sources.extended_fraction:.2f}", widest, sources.is_diffuse]  # fmt: skip


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=SHAPES)
    parser.add_argument("--level", type=float)
    options = parser.parse_args()
    kinds, levels = [options.kind] if options.kind else SHAPES, [options.level] if options.level else LEVELS
    print("| light | brightest tenth/background | sources | extended | pieces | part | covered | widest | told |")
    for kind, level in itertools.product(kinds, levels):
        print("| " + " | ".join(map(str, row(kind, level, 0))) + " |", flush=True)


if __name__ == "__main__":
    main()
