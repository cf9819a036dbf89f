"""Compares two ways of doing one piece of work: interleaved, with inputs that vary, and outputs that must agree.

Each side is a process of its own (:mod:`benchmarks.worker`), so a peer may live in another environment. The sides take
turns; what counts is the ratio of their CPU times, pair by pair, of which the median is taken: another program that
uses the machine slows both alike, and the wall clock is not asked. Inputs differ from call to call by their number.
"""

import os
import pickle
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]

__all__ = ("Result", "Row", "Side", "compare")


class Side(NamedTuple):
    """Who does the work: a function of a module in benchmarks/sides, and what to call it in a table."""

    name: str
    module: str
    function: str


class Row(NamedTuple):
    """One comparison.

    ``at_least`` is how many times less time than ``theirs`` is wanted, ``at_most`` how many times more is allowed.
    ``agree`` makes sure that both gave the same. ``times`` is how often a call does the work; short work is done often.
    """

    work: str
    ours: Side
    theirs: Side
    at_least: float | None = None
    at_most: float | None = None
    most_mb: float | None = None
    agree: object = None
    calls: int = 7
    times: int = 1


class Result(NamedTuple):
    """What came out: CPU seconds of each side, the ratio theirs/ours with its range, and MB beyond what was ready."""

    row: Row
    ours_s: float
    theirs_s: float
    ratio: float
    low: float
    high: float
    ours_mb: tuple[float, float]
    theirs_mb: tuple[float, float]
    problem: str = ""

    @property
    def reached(self):
        """Whether the row is as fast, as light and as right as wanted."""
        row = self.row
        return not self.problem and not (
            (row.at_least is not None and self.ratio < row.at_least)
            or (row.at_most is not None and 1 / self.ratio > row.at_most)
            or (row.most_mb is not None and self.ours_mb[0] > row.most_mb)
        )


class _Process:
    def __init__(self, side, python, folder):
        self.side = side
        paths = [str(ROOT), str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.worker"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.ask("prepare", side.module, side.function, str(folder))

    def ask(self, *request):
        pickle.dump(request, self.process.stdin)
        self.process.stdin.flush()
        kind, found = pickle.load(self.process.stdout)
        if kind == "absent":
            raise _AbsentError(f"{self.side.name} is not installed ({found})")
        if kind == "error":
            raise _FailedError(f"{self.side.name} failed: {found}")
        return found

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class _AbsentError(Exception):
    pass


class _FailedError(Exception):
    pass


def compare(row, folder, *, peers=sys.executable, small=False):
    """Run a row and return its :class:`Result`; a peer that is not installed gives one that says so."""
    calls = 2 if small else row.calls
    times = min(row.times, 3) if small else row.times
    sides, found = [], [[], []]
    try:
        for side in (row.ours, row.theirs):
            sides.append(_Process(side, sys.executable if side.module in ("ours", "floors") else peers, folder))
        for number in range(-1, calls):  # the first turn only warms up
            answers = [side.ask("call", number * times + times, times) for side in _turn(sides, number)]
            answers = answers if number % 2 else answers[::-1]
            if row.agree is not None:
                row.agree(answers[0][1], answers[1][1])
            for times_of, (seconds, _) in zip(found, answers, strict=True):
                times_of.append(seconds)
        memory = [side.ask("memory") for side in sides]
    except (_AbsentError, _FailedError, AssertionError) as error:
        return Result(row, *[np.nan] * 5, (np.nan, np.nan), (np.nan, np.nan), str(error) or "the outputs differ")
    finally:
        for side in sides:
            side.close()
    pairs = [other / mine for mine, other in zip(found[0][1:], found[1][1:], strict=True)]
    seconds = [statistics.median(times_of[1:]) for times_of in found]
    return Result(row, *seconds, statistics.median(pairs), min(pairs), max(pairs), *memory)


def _turn(sides, number):
    return sides if number % 2 else sides[::-1]
