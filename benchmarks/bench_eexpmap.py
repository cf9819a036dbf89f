"""One 512 x 512 exposure map of a real MOS exposure, what a second band adds to it, and the memory that it takes.

Limits: 1 s and 300 MB for one map with 4 x 4 points in a pixel, 5 % of the first for a second band of the exposure.
The seconds depend on the machine: they are printed and, with ``--check``, compared with the limit.
"""

import resource
import shutil
import subprocess
import sys
import time
import warnings
from statistics import median

from exposure_accuracy import BANDS, command_for, data_folder, linked
from timing import arguments, compare

from xphotfn.engines.native.eexpmap.eexpmap_task import eexpmap, exposure_geometry, exposure_map
from xphotfn.engines.native.eexpmap.map_inputs import read_inputs, read_job
from xphotfn.epic.camera.response import packaged_table

OBS_ID, CAMERA = "0404910601", "mos2"
SECONDS, MEGABYTES, SECOND_BAND = 1.0, 300, 0.05


def one_map(folder):
    """Make one map from the files and return the seconds that it took."""
    command = command_for(OBS_ID, CAMERA, BANDS[:1])
    scratch = linked(folder, OBS_ID, command)
    start = time.perf_counter()
    eexpmap(command, scratch)
    seconds = time.perf_counter() - start
    shutil.rmtree(scratch)
    return seconds


def peak_megabytes():
    """Return the peak memory of a new process that makes one map."""
    argv = (sys.executable, __file__, "--memory")
    found = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(found.stdout)


def main():
    warnings.simplefilter("ignore", UserWarning)
    folder = data_folder()
    if "--memory" in sys.argv:
        one_map(folder)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    options = arguments(__doc__)
    if folder is None:
        print("no real observations here: set XPHOTFN_TEST_DATA")
        return
    repeats = 2 if options.small else 7
    seconds = median(one_map(folder) for _ in range(repeats))
    memory = peak_megabytes()
    print(f"one map from files: {seconds:.2f} s (limit {SECONDS:g}), peak {memory:.0f} MB (limit {MEGABYTES})")
    job = read_job(command_for(OBS_ID, CAMERA, BANDS[:1]), folder / OBS_ID)
    inputs, table = read_inputs(job), packaged_table()
    geometry = exposure_geometry(job, inputs)
    energies = [1250.0 + 500 * n for n in range(repeats)]
    compare(
        "a second band of the exposure, against the first",
        lambda energy: exposure_map(geometry, energy, table),
        lambda energy: exposure_map(exposure_geometry(job, read_inputs(job)), energy, table),
        energies,
        limit=SECOND_BAND,
        check=options.check,
    )
    if options.check and (seconds > SECONDS or memory > MEGABYTES):
        raise SystemExit("one map takes too long or too much memory")


if __name__ == "__main__":
    main()
