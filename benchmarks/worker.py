"""One side of a comparison in a process of its own: it makes its inputs ready, and does a piece of work when asked.

Started by :mod:`benchmarks.harness`, in the environment of that side. Requests and answers are pickled, on a copy of
stdin and stdout, so that what a library prints disturbs nothing. CPU time is that of this process, all its threads and
the children that it waited for; work with an attribute ``cpu``, a function, is measured by that.
"""

import importlib
import json
import os
import pickle
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path


def cpu():
    """Return the CPU seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_mb():
    """Return the most memory that this process held, MB; ``ru_maxrss`` would hold that of the parent too."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(ask, answer):
    """Answer requests until there are no more."""
    work, ready = None, 0.0
    while True:
        try:
            kind, *given = pickle.load(ask)
        except EOFError:
            return
        try:
            if kind == "prepare":
                module, function, folder = given
                side = importlib.import_module(f"benchmarks.sides.{module}")
                facts = json.loads(Path(folder, "facts.json").read_text())
                work = getattr(side, function)(Path(folder), facts)
                ready, found = peak_mb(), None
            elif kind == "call":
                first, times = given
                clock = getattr(work, "cpu", cpu)
                before = clock()
                for number in range(first, first + times):
                    found = work(number)
                found = (clock() - before) / times, found
            else:
                found = peak_mb(), ready
        except ImportError as error:
            pickle.dump(("absent", str(error)), answer)
        except Exception:
            pickle.dump(("error", traceback.format_exc()), answer)
        else:
            pickle.dump(("ok", found), answer)
        answer.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    streams = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for the whole process
    serve(*streams)
