"""Time of images from a long event list: our evselect against reading its columns and one np.bincount.

Run ``python benchmarks/bench_evselect.py`` (1e7 events, about 340 MB in a temporary folder) or with ``--small``.
All times are the best of some runs in this process; ratios are what counts.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

from xphotfn.commands import Command
from xphotfn.engines.native.evselect.evselect_task import evselect, evselect_many

BANDS = [(200, 500), (500, 1000), (1000, 2000), (2000, 4500), (4500, 12000)]
ROW = np.dtype(
    [
        ("TIME", ">f8"),
        ("RAWX", ">i2"),
        ("RAWY", ">i2"),
        ("DETX", ">i2"),
        ("DETY", ">i2"),
        ("X", ">i4"),
        ("Y", ">i4"),
        ("PHA", ">i2"),
        ("PI", ">i2"),
        ("FLAG", ">i4"),
        ("PATTERN", "u1"),
        ("CCDNR", "u1"),
    ]
)
FORMS = {">f8": "D", ">i4": "J", ">i2": "I", "|u1": "B"}


def write_list(path, count, seed=0):
    """Write an event list of the shape of an EPIC-MOS one, in pieces."""
    header = fits.BinTableHDU.from_columns(
        [fits.Column(name=name, format=FORMS[ROW[name].str]) for name in ROW.names], name="EVENTS"
    ).header
    header["NAXIS2"] = count
    for name in ("X", "Y"):
        number = ROW.names.index(name) + 1
        header[f"TLMIN{number}"], header[f"TLMAX{number}"] = 1, 51840
    header["INSTRUME"] = "EMOS1"
    rng = np.random.default_rng(seed)
    with path.open("wb") as output:
        output.write(fits.PrimaryHDU().header.tostring().encode())
        output.write(header.tostring().encode())
        for first in range(0, count, 10**6):
            rows = np.zeros(min(10**6, count - first), dtype=ROW)
            size = len(rows)
            rows["TIME"] = np.sort(rng.uniform(first, first + size, size)) / 100
            rows["X"] = np.clip(rng.normal(25921, 6000, size), 1, 51840)
            rows["Y"] = np.clip(rng.normal(25921, 6000, size), 1, 51840)
            rows["PI"] = np.clip(rng.gamma(1.5, 1200, size), 0, 15000)
            rows["FLAG"] = rng.choice([0, 0, 0, 0x10000, 0x2], size)
            rows["PATTERN"] = rng.choice([0, 1, 2, 12, 20], size)
            rows["CCDNR"] = rng.integers(1, 8, size)
            output.write(rows.tobytes())
        output.write(b"\0" * (-count * ROW.itemsize % 2880))


def image(name, lo, hi, extra=""):
    grid = {"xcolumn": "X", "ycolumn": "Y", "imagebinning": "binSize", "ximagebinsize": 87, "yimagebinsize": 87}
    limits = {"ximagemin": 3649, "ximagemax": 48106, "yimagemin": 3649, "yimagemax": 48106}
    pairs = {"table": "events.fits", "imageset": name, "expression": f"(PI in [{lo}:{hi}]){extra}", **grid, **limits}
    return Command(task="evselect", parameters=tuple(pairs.items()))


def floor(path):
    """Read X, Y and PI into native arrays and count: the least that any program must do."""
    with fits.open(path, memmap=True) as hdus:
        place = hdus[1].fileinfo()["datLoc"]
        rows = np.memmap(path, dtype=ROW, mode="r", offset=place, shape=(hdus[1].header["NAXIS2"],))
    x, y, pi = (rows[name].astype(ROW[name].newbyteorder("=")) for name in ("X", "Y", "PI"))
    return x, y, pi


def best(functions, runs, clean):
    """Return the best time of each function; they take turns, so that a busy machine slows all of them."""
    times = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            for path in clean:
                path.unlink(missing_ok=True)
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: min(found) for name, found in times.items()}


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="2e5 events, one run: for continuous integration")
    small = parser.parse_args().small
    count, runs = (200_000, 1) if small else (10_000_000, 7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_list(folder / "events.fits", count)
        bands = [image(f"band{n}.fits", lo, hi) for n, (lo, hi) in enumerate(BANDS)]
        made = [folder / f"band{n}.fits" for n in range(len(BANDS))]
        clean = " && (FLAG & 0x766ba000) == 0 && PATTERN <= 12"
        before = peak_mb()
        evselect_many(bands, folder)
        peak = peak_mb()
        x, y, pi = floor(folder / "events.fits")
        chosen = (pi >= 500) & (pi <= 2000) & (abs(x - 25877.5) < 22229) & (abs(y - 25877.5) < 22229)
        flat = (y[chosen] - 3649) // 87 * 512 + (x[chosen] - 3649) // 87
        functions = {
            "read": lambda: floor(folder / "events.fits"),
            "bins": lambda: np.bincount(flat, minlength=512 * 512),
            "one": lambda: evselect(image("band0.fits", 500, 2000), folder),
            "clean": lambda: evselect(image("band0.fits", 500, 2000, clean), folder),
            "five": lambda: evselect_many(bands, folder),
        }
        times = best(functions, runs, made)
    least = times["read"] + times["bins"]
    print(f"{count} events; reading X, Y, PI {times['read']:.3f} s, np.bincount {times['bins']:.3f} s: {least:.3f} s")
    print(f"one band                 {times['one']:.3f} s   {times['one'] / least:.2f} x reading and counting")
    print(f"one band, flags, pattern {times['clean']:.3f} s   {times['clean'] / least:.2f} x that of three columns")
    print(f"five bands at once       {times['five']:.3f} s   {times['five'] / times['one']:.2f} x one band")
    print(f"peak memory {peak:.0f} MB ({before:.0f} MB before)")


if __name__ == "__main__":
    main()
