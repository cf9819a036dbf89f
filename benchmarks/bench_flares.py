"""CPU time from a long event list to its light curve and good time, against reading the columns that these need.

Run ``python benchmarks/bench_flares.py`` (1e7 events, about 340 MB in a temporary folder) or with ``--small``. The
list is as that of a MOS camera, with frames of seven CCDs, three sources and a flare. Times are CPU time of this
process, the best of some runs that take turns; ratios are what counts.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits
from bench_evselect import FORMS, ROW

from xphotfn.commands.default_selection import clean_expression
from xphotfn.commands.own_times import flarecut
from xphotfn.engines.native.engine import native_engine
from xphotfn.epic.events import chunks, open_events
from xphotfn.epic.live_curve import LeftOutSources, read_curve

COLUMNS = ("TIME", "PI", "PATTERN", "FLAG", "CCDNR")
PLACES = ("X", "Y")  # leaving sources out needs these too
CLEAN = f"(PI in [500:7500]) && {clean_expression('mos1')}"
FRAME_S = 2.6


def write_list(path, count, seed=0):
    """Write a list of 40 ks with a flare of 4 ks, sources, and frames of seven CCDs."""
    rng = np.random.default_rng(seed)
    time_ = np.sort(np.where(rng.random(count) < 0.3, rng.uniform(20e3, 24e3, count), rng.uniform(0, 40e3, count)))
    rows = np.zeros(count, dtype=ROW)
    rows["TIME"] = time_
    source = rng.random(count) < 0.03
    place = rng.choice([(20000, 26000), (30000, 30000), (26000, 15000)], count)
    for n, name in enumerate("XY"):
        rows[name] = np.where(source, rng.normal(place[:, n], 100), rng.uniform(5000, 47000, count))
    rows["PI"] = np.clip(rng.gamma(1.5, 1200, count), 0, 15000)
    rows["FLAG"] = rng.choice([0, 0, 0, 0x10000, 0x2], count)
    rows["PATTERN"] = rng.choice([0, 1, 2, 12, 20], count)
    rows["CCDNR"] = rng.integers(1, 8, count)
    columns = [fits.Column(name=name, format=FORMS[ROW[name].str]) for name in ROW.names]
    events = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    events.header.update({"TSTART": 0.0, "TSTOP": 40e3, "INSTRUME": "EMOS1", "NAXIS2": count})
    frames = np.arange(FRAME_S / 2, 40e3, FRAME_S)
    with path.open("wb") as output:
        output.write(fits.PrimaryHDU().header.tostring().encode() + events.header.tostring().encode())
        output.write(rows.tobytes() + b"\0" * (-count * ROW.itemsize % 2880))
    for ccd in range(1, 8):
        parts = [("TIME", frames), ("TIMEDEL", np.full(frames.size, FRAME_S)), ("FRACEXP", np.full(frames.size, 0.99))]
        table = [fits.Column(name=name, format="D", array=values) for name, values in parts]
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / "frames.fits"
            fits.BinTableHDU.from_columns(table, name=f"EXPOSU{ccd:02d}").writeto(made)
            with path.open("ab") as output:
                output.write(made.read_bytes()[2880:])


def read_columns(path, columns=COLUMNS):
    """Read the columns into native arrays with numpy alone, the whole list at once."""
    with fits.open(path, memmap=True) as hdus:
        place, count = hdus[1].fileinfo()["datLoc"], hdus[1].header["NAXIS2"]
    rows = np.memmap(path, dtype=ROW, mode="r", offset=place, shape=(count,))
    return [rows[name].astype(ROW[name].newbyteorder("=")) for name in columns]


def read_in_chunks(path):
    """Read the columns with our own reader, which holds a part of the list at a time."""
    for chunk in chunks(open_events(path).table):
        for name in COLUMNS:
            chunk.column(name)


def best(functions, runs):
    times = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start = time.process_time()
            function()
            times[name].append(time.process_time() - start)
    return {name: min(found) for name, found in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="2e5 events, one run: for continuous integration")
    small = parser.parse_args().small
    count, runs = (200_000, 1) if small else (10_000_000, 9)
    engine = native_engine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "events.fits"
        write_list(path, count)
        command = flarecut("events.fits", "gti.fits", expression=CLEAN, timebinsize=26.0)

        def good_time():
            (folder / "gti.fits").unlink(missing_ok=True)
            engine.execute(command, folder)

        functions = {
            "read": lambda: read_columns(path),
            "read with X and Y": lambda: read_columns(path, COLUMNS + PLACES),
            "chunks": lambda: read_in_chunks(path),
            "curve, all events": lambda: read_curve(folder, "events.fits", CLEAN, 26.0),
            "curve": lambda: read_curve(folder, "events.fits", CLEAN, 26.0, without=LeftOutSources(bright=True)),
            "curve and good time": good_time,
        }
        times = best(functions, runs)
    print(f"{count} events, CPU time; reading {', '.join(COLUMNS)}: {times['read']:.3f} s")
    for name, seconds in times.items():
        both = f"{seconds / times['read']:.2f} x reading, {seconds / times['read with X and Y']:.2f} x with X and Y"
        print(f"{name:24s} {seconds:.3f} s   {both}")


if __name__ == "__main__":
    main()
