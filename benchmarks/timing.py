"""Times functions against each other in one run: interleaved, with inputs that vary from call to call."""

import argparse
import statistics
import time

__all__ = ("arguments", "compare")


def arguments(description):
    """Parse the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--small", action="store_true", help="few repeats, to see that it runs")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a limit is missed")
    return parser.parse_args()


def compare(title, ours, theirs, inputs, *, limit, check=False):
    """Time ``ours(x)`` and ``theirs(x)`` in turn over ``inputs`` and print the ratio of their medians.

    ``limit`` is the largest allowed time of ours in units of theirs.
    """
    times = {ours: [], theirs: []}
    for item in inputs:
        for function in (ours, theirs):
            start = time.perf_counter()
            function(item)
            times[function].append(time.perf_counter() - start)
    mine, other = (statistics.median(times[f]) for f in (ours, theirs))
    pairs = sorted(a / b for a, b in zip(times[ours], times[theirs], strict=True))
    ratio = mine / other
    speed = f"{1 / ratio:8.1f} x faster" if ratio < 1 else f"{ratio:8.2f} x as long "
    print(
        f"{title:52s} {speed}  (median {mine * 1e3:9.3f} ms against {other * 1e3:9.3f} ms; pairs {pairs[0]:.4f} "
        f"to {pairs[-1]:.4f}; limit {limit:g}; n={len(pairs)})"
    )
    if check and ratio > limit:
        raise SystemExit(f"{title}: ratio {ratio:.3f} is above the limit of {limit}")
    return ratio
