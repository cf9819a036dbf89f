"""How what is done most often grows over three decades: CPU time and exponents, as a table and a picture.

    python benchmarks/bench_scaling.py [--small] [--write]

Each row is the same work on inputs of four sizes, each 10 times the one before (pixels: 16 times), in one process, the
least of some repeats. The exponent is the slope of the logarithms over all four, and over the last two. ``--write``
puts the numbers into docs/tables/scaling.csv and scaling.inc, of which the site draws its picture.
"""

import argparse
import csv
import gc
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_samples import field_of

from benchmarks import inputs
from benchmarks.sides import ours

TABLE = Path(__file__).resolve().parents[1] / "docs" / "tables" / "scaling.csv"
COLUMNS = ("work", "grows_with", "size", "cpu_s")
LONG = 2.0  # s; what takes longer is done once


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="two small sizes, to see that it runs")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for (work, unit), (sizes, prepare) in ROWS.items():
            sizes = sizes[:2] if options.small else sizes
            found = [(size, least(prepare(Path(tempfile.mkdtemp(dir=folder)), size))) for size in sizes]
            rows += [(work, unit, size, seconds) for size, seconds in found]
            print(line(work, unit, found), flush=True)
    if options.write:
        with TABLE.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *((*row[:3], f"{row[3]:.4g}") for row in rows)])
        TABLE.with_suffix(".inc").write_text(page(rows))


def least(function, repeats=5):
    """Return the least CPU time of a function's calls, the first of which warms up where it is short."""
    taken = []
    for _ in range(repeats):
        gc.collect()
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
        if taken[-1] > LONG:
            break
    return min(taken)


def exponents(found):
    """Return the slope of ln t over ln size, over all sizes and over the last two."""
    size, seconds = (np.log([pair[n] for pair in found]) for n in (0, 1))
    return float(np.polyfit(size, seconds, 1)[0]), float(np.diff(seconds[-2:])[0] / np.diff(size[-2:])[0])


def line(work, unit, found):
    whole, last = exponents(found)
    steps = ", ".join(f"{size:g}: {1e3 * seconds:.4g} ms" for size, seconds in found)
    return f"{work}, {unit} {steps}; exponent {whole:.2f}, at last {last:.2f}"


def page(rows):
    """Return the table of the documentation."""
    lines = ["| work | CPU time | exponent, over all | over the last two |", "|---|---|---|---|"]
    for work, found in grouped(rows).items():
        whole, last = exponents(found)
        unit = next(row[1] for row in rows if row[0] == work)
        steps = ", ".join(f"{number(size)}: {duration(seconds)}" for size, seconds in found)
        lines.append(f"| {work} | {unit}: {steps} | {whole:.2f} | {last:.2f} |")
    return "\n".join(lines) + "\n"


def grouped(rows):
    found = {}
    for work, _, size, seconds in rows:
        found.setdefault(work, []).append((int(size), float(seconds)))
    return found


def number(size):
    power = round(math.log10(size))
    return f"1e{power}" if size == 10**power else f"{math.isqrt(size)}²"


def duration(seconds):
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def draw(path):
    """Draw the table: CPU time against size in units of the smallest, with lines of the exponent 1."""
    from matplotlib.figure import Figure

    with TABLE.open(newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for work, found in grouped(rows).items():
        sizes, seconds = np.array(found).T
        axes.loglog(sizes / sizes[0], seconds, "o-", label=f"{work}, exponent {exponents(found)[0]:.2f}")
    axes.loglog([1, 1000], [1e-3, 1], ":", color="grey", label="exponent 1")
    axes.set(xlabel="size, in units of the smallest", ylabel="CPU time (s)")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=90, metadata={"Software": None})


def image(folder, count):
    """Return the making of an image of so many events."""
    plain, packed = inputs.events(folder, count)
    Path(packed).unlink()
    work = ours.image_of_packed(folder, {"events": plain}, "events")
    return lambda: work(0)


def photometry(folder, count):
    """Return the photometry of so many positions on one map, limits and all."""
    import astropy.units as u

    import xphotfn as xp

    item = a_map(folder, 512)
    at = item.grid.ra_deg, item.grid.dec_deg
    places = np.array(at) + np.random.default_rng(1).uniform(-0.15, 0.15, (count, 2))
    return lambda: xp.photometry(item, places * u.deg, 20 * u.arcsec)


def a_map(folder, size):
    facts = {"maps": [inputs.a_map(folder, np.random.default_rng(4), 0, size, round(87 * 512 / size))]}
    return ours.maps_of(facts)[0]


def matching(folder, count):
    """Return the matching of as many targets as observations."""
    work = ours.matching(folder, {"small": False}, count)
    return lambda: work(0)


def plan(folder, count):
    """Return the planning of images and exposure maps of so many targets of one observation each."""
    import astropy.units as u

    import xphotfn as xp

    fields = [field_of(number) for number in range(1, count + 1)]
    band = xp.energy_band(0.5 * u.keV, 2 * u.keV)
    return lambda: xp.plan_photometry(fields, band, flares="keep")


def masks(folder, pixels):
    """Return the making of masks of a fifth of the image's side, in a frame of so many pixels."""
    import astropy.units as u

    import xphotfn as xp
    from xphotfn.testing.examples import example_field

    item, field = a_map(folder, math.isqrt(pixels)), example_field()
    place = np.array([item.grid.ra_deg, item.grid.dec_deg]) * u.deg
    radius = 0.2 * item.grid.nx * item.grid.pixel_deg * u.deg
    return lambda: xp.source_mask(item, field, radius, centre=place)


DECADES = (10, 100, 1000, 10_000)
ROWS = {
    ("image of an event list", "events"): (tuple(1000 * n for n in DECADES), image),
    ("photometry of one map", "positions"): (tuple(10 * n for n in DECADES), photometry),
    ("matching", "targets and observations"): (DECADES, matching),
    ("plan of images and exposure maps", "targets"): (DECADES, plan),
    ("source and background masks", "pixels"): (tuple(n * n for n in (64, 256, 1024, 4096)), masks),
}

if __name__ == "__main__":
    main()
