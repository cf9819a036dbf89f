"""Mosaics of 50 images of 512 x 512: CPU time in units of what astropy and numpy need, and peak memory.

Run ``python benchmarks/bench_mosaic.py`` or with ``--small``. The images lie beside each other and overlap. The floor
is no code of ours: astropy reads every file once, header and data, and numpy adds each array to a part of the sum.
CPU times are the best of some runs, in turn.
"""

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from astropy.io import fits

from xphotfn.commands import Command
from xphotfn.engines.native.emosaic import emosaic
from xphotfn.io.fits import read_array
from xphotfn.io.write import write_image
from xphotfn.records.grid import PixelGrid

LAYOUTS = {"one field": 0.0, "half overlapping": 0.3, "side by side": 0.6}  # steps in degrees
LIMIT_MB = 300


def write_inputs(folder, count, side, step):
    """Write images on a rectangle of pointings and return their names."""
    rng = np.random.default_rng(0)
    high = 3649 + side * 87 - 1
    names = []
    for n in range(count):
        ra, dec = 150 + (n % 7 + 0.013) * max(step, 0.002), -11 + (n // 7) * max(step, 0.002)
        grid = PixelGrid.from_sky_range(ra, dec, high=high)
        names.append(f"image{n}.fits")
        cards = [("INSTRUME", "EPN", ""), ("OBS_ID", f"{n:010d}", ""), ("EXPIDSTR", "S003", "")]
        write_image(folder / names[-1], rng.poisson(0.3, grid.shape).astype(np.int32), grid, cards)
    return names


def floor(folder, names):
    total = None
    for name in names:
        data, header = fits.getdata(folder / name, header=True)
        header["CRPIX1"], header["CRPIX2"], header["CRVAL1"], header["CRVAL2"]
        total = np.zeros(data.shape) if total is None else total
        total += data
    return total


def timed(function, *arguments):
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def measured(folder, names, runs):
    """Return best CPU time of the floor, of emosaic, and the peak memory of emosaic in MB."""
    output = folder / "mosaic.fits"
    command = Command(task="emosaic", parameters=(("imagesets", " ".join(names)), ("mosaicedset", output.name)))
    best = [np.inf, np.inf]
    for _ in range(runs):
        output.unlink(missing_ok=True)
        best = [min(best[0], timed(floor, folder, names)), min(best[1], timed(emosaic, command, folder))]
    shape = read_array(output)[0].shape
    output.unlink()
    tracemalloc.start()
    emosaic(command, folder)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return *best, peak, shape


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="8 images of 64 x 64, one run: for continuous integration")
    parser.add_argument("--check", action="store_true", help=f"exit with status 1 above {LIMIT_MB} MB")
    options = parser.parse_args()
    count, side, runs = (8, 64, 1) if options.small else (50, 512, 5)
    worst = 0.0
    for title, step in LAYOUTS.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            names = write_inputs(folder, count, side, step * side / 512)
            reading, adding, peak, shape = measured(folder, names, runs)
        worst = max(worst, peak)
        print(
            f"{title:17s} {count} images of {side} x {side} onto {shape[1]} x {shape[0]}: astropy and numpy "
            f"{reading:.3f} s, emosaic {adding:.3f} s, {adding / reading:.2f} x; peak {peak:.0f} MB"
        )
    if options.check and worst > LIMIT_MB:
        raise SystemExit(f"peak memory {worst:.0f} MB is above the limit of {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
