"""How long importing xphotfn takes, against what it needs anyway; all measured in turns in one run.

    python benchmarks/bench_import.py [--small] [--check]

``--small`` takes fewer repeats, ``--check`` exits with status 1 when a ratio is above its limit.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"

FIRST_BAND = "import astropy.units as u, xphotfn; xphotfn.energy_band(0.5 * u.keV, 2 * u.keV)"

# What is measured, against what, and how many times as long it may take.
COMPARISONS = (
    ("import xphotfn", "import xphotfn", "import numpy, attrs", 1.5),
    ("import xphotfn, make a band", FIRST_BAND, "import numpy, attrs, astropy.units", 1.3),
)


def seconds(script):
    """Return the wall-clock time of a fresh interpreter that runs ``script``."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(SOURCE), os.environ.get("PYTHONPATH", ""))))}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], env=env, check=True)  # noqa: S603 - our own scripts
    return time.perf_counter() - start


def medians(repeats):
    """Return the median time of every script; scripts take turns, so a busy machine slows all of them alike."""
    scripts = list(dict.fromkeys(script for _, *pair, _ in COMPARISONS for script in pair))
    for script in scripts:
        seconds(script)  # writes the byte code and warms the file cache
    times = {script: [] for script in scripts}
    for turn in range(repeats):
        for script in scripts if turn % 2 else scripts[::-1]:
            times[script].append(seconds(script))
    return {script: statistics.median(values) for script, values in times.items()}


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Time of importing xphotfn.")
    parser.add_argument("--small", action="store_true", help="7 repeats instead of 21")
    parser.add_argument("--check", action="store_true", help="fail when a ratio is above its limit")
    options = parser.parse_args(arguments)
    found = medians(7 if options.small else 21)
    slow = 0
    print(f"{'what':30} {'ms':>7} {'against':36} {'ms':>7} {'ratio':>6} {'limit':>6}")
    for what, script, against, limit in COMPARISONS:
        ours, theirs = found[script], found[against]
        slow += ours / theirs > limit
        print(f"{what:30} {ours * 1e3:7.1f} {against:36} {theirs * 1e3:7.1f} {ours / theirs:6.2f} {limit:6.2f}")
    return int(options.check and slow > 0)


if __name__ == "__main__":
    sys.exit(main())
