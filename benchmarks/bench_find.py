"""What finding files costs: a tree of 1000 observations (30 with ``--small``) of 16 FITS files each, files alone.

``--against SRC`` names the ``src`` folder of another version of xphotfn: both versions read the same tree in turn, each
in a process of its own, and the ratio of the medians of their CPU time is printed, with a limit of 1.3 (``--check``).
Without it the time of a file is printed. A version that is in git: ``git worktree add ../before REVISION``.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_samples import small_tree

LIMIT = 1.3
SOURCE = Path(__file__).resolve().parents[1] / "src"
FIND = """
import sys, time
import xphotfn as xp
xp.find_observations
start = time.process_time()
found = xp.find_observations(sys.argv[1])
print(time.process_time() - start, len(found))
"""


def seconds_of(source, root, count):
    """Return the CPU time that a version takes to find the observations of a tree."""
    environment = os.environ | {"PYTHONPATH": str(source)}
    words = [sys.executable, "-c", FIND, str(root)]
    printed = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert int(printed[1]) == count, printed
    return float(printed[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="few observations, to see that it runs")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if the limit is missed")
    parser.add_argument("--against", type=Path, metavar="SRC", help="src folder of another version")
    options = parser.parse_args()
    count, repeats = (30, 2) if options.small else (1000, 5)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = [path for path in small_tree(root, count) if path.is_file()]
        versions = [SOURCE] if options.against is None else [SOURCE, options.against]
        times = {source: [] for source in versions}
        for _ in range(repeats):
            for source in versions:
                times[source].append(seconds_of(source, root, count))
    ours, *others = (statistics.median(times[source]) for source in versions)
    a_file = 1e6 * ours / len(files)
    print(f"finding {len(files)} FITS files of {count} observations: {ours:.2f} s of CPU, {a_file:.0f} us a file")
    for other in others:
        print(f"the other version {other:.2f} s: ratio {ours / other:.3f} (limit {LIMIT})")
        if options.check and ours / other > LIMIT:
            raise SystemExit(f"finding takes {ours / other:.3f} of what it took, above the limit of {LIMIT}")


if __name__ == "__main__":
    main()
