"""Cuts of flares on simulated light curves of known truth: what each loses of quiet time and keeps of flares.

Curves of 30 ks with a quiet rate of 0.3, 1.4 or 4 ct/s and 0, 2 or 8 flares, which rise in 50 to 500 s, fall in 100
to 2000 s and are 0.5 to 20 times as high as the quiet rate. All recipes see the same curves. ``RATE<=0.4`` sees single
events of high energy, 0.2 ct/s when it is quiet, with the same flares, in bins of 100 s. ``--write`` puts the table in
docs/flares.md.
"""

import argparse
from pathlib import Path

import numpy as np

from xphotfn.measure.flare_cuts import flare_cut
from xphotfn.records.light_curve import LightCurve
from xphotfn.science.flare_cut import coarser
from xphotfn.science.flares import histogram_cut, within_width
from xphotfn.science.time_bins import inside

DOCS = Path(__file__).resolve().parents[1] / "docs" / "flares.md"
START, END = "<!-- table of flare_cuts.py -->", "<!-- end of the table -->"
SECONDS = 30_000
RATES = (0.3, 1.4, 4.0)
FLARES = (0, 2, 8)
HARD = 0.2
LIMIT = 0.4


def flare_shape(rng, flares):
    """Return the flare's rate over the quiet one in each second."""
    time = np.arange(SECONDS) + 0.5
    shape = np.zeros(SECONDS)
    for _ in range(flares):
        peak, height = rng.uniform(0, SECONDS), np.exp(rng.uniform(np.log(0.5), np.log(20)))
        rise, fall = (np.exp(rng.uniform(np.log(a), np.log(b))) for a, b in ((50, 500), (100, 2000)))
        shape += height * np.exp(np.where(time < peak, (time - peak) / rise, (peak - time) / fall))
    return shape


def seconds_of(good):
    """Return which seconds lie in good time."""
    return inside(np.arange(SECONDS) + 0.5, good.intervals)


def by_histogram(counts):
    """Return the seconds that espfilt keeps."""
    found = histogram_cut(counts)
    good = np.repeat(within_width(counts, found.centre, found.width), 60)[:SECONDS]
    return np.concatenate((good, np.zeros(SECONDS - good.size, dtype=bool)))


def by_clipping(counts):
    """Return the seconds that a clip at 3 sigma keeps, in bins of 100 s, until nothing changes."""
    bins = counts.reshape(-1, 100).sum(axis=1)
    good = np.ones(bins.size, dtype=bool)
    for _ in range(50):
        kept = np.abs(bins - bins[good].mean()) <= 3 * bins[good].std()
        if np.array_equal(kept, good):
            break
        good = kept
    return np.repeat(good, 100)


def one(rng, quiet, flares):
    """Return for each recipe the seconds that it keeps, the flare in each second, and the quiet rate found."""
    shape = flare_shape(rng, flares)
    counts = rng.poisson(quiet * (1 + shape))
    curve = LightCurve(start_s=0.0, bin_s=1.0, counts=counts, live_s=np.ones(SECONDS))
    frames = coarser(curve, 10 if quiet > 3 else 26)
    calm = flare_cut(frames, "quiet")
    hard = rng.poisson(HARD * (1 + shape)).reshape(-1, 100).sum(axis=1) / 100
    kept = {
        "all of the time": np.ones(SECONDS, dtype=bool),
        "`RATE<=0.4`, > 10 keV, 100 s": np.repeat(hard <= LIMIT, 100),
        "clip at 3 sigma, 100 s": by_clipping(counts),
        "espfilt, 2.5 sigma": by_histogram(counts),
        "`optimum`": seconds_of(flare_cut(frames, "optimum").good),
        "`quiet`": seconds_of(calm.good),
    }
    return kept, shape, calm


def measured(rng, quiet, flares, runs):
    """Return rows of the table for one case, and the pulls of the quiet rate."""
    found, pulls = {}, []
    for _ in range(runs):
        kept, shape, calm = one(rng, quiet, flares)
        pulls.append((calm.quiet - quiet) / calm.quiet_error)
        best = np.sort(1 + shape)
        best = np.max(np.arange(1, SECONDS + 1) / np.sqrt(np.cumsum(best)))
        for name, good in kept.items():
            lost = np.mean(~good[shape < 0.05]) if np.any(shape < 0.05) else 0.0
            left = shape[good].mean() if good.any() else np.nan
            reached = good.sum() / np.sqrt(np.sum((1 + shape)[good])) / best if good.any() else 0.0
            found.setdefault(name, []).append((lost, left, reached))
    return {name: np.array(rows) for name, rows in found.items()}, np.array(pulls)


def table(runs, seed):
    """Return the lines of the table in Markdown."""
    lines = [
        f"{runs} runs per case; three numbers are for quiet rates of 0.3, 1.4 and 4 ct/s.",
        "",
        "| recipe | quiet time lost without flares, 90 % of the runs | flare left over quiet, 2 flares, median | "
        "8 flares, median | signal-to-noise over the best, 2 flares, median | 8 flares, median |",
        "|---|---|---|---|---|---|",
    ]
    cases = {
        (q, n): measured(np.random.default_rng([seed, i, n]), q, n, runs) for i, q in enumerate(RATES) for n in FLARES
    }
    for name in cases[RATES[0], 0][0]:
        lost = ", ".join(f"{100 * np.quantile(cases[q, 0][0][name][:, 0], 0.9):.1f}" for q in RATES)
        left = [", ".join(f"{100 * np.nanmedian(cases[q, n][0][name][:, 1]):.1f}" for q in RATES) for n in (2, 8)]
        best = [", ".join(f"{np.median(cases[q, n][0][name][:, 2]):.3f}" for q in RATES) for n in (2, 8)]
        lines.append(f"| {name} | {lost} % | {left[0]} % | {left[1]} % | {best[0]} | {best[1]} |")
    lines.append("")
    for n in FLARES:
        words = [f"{np.mean(p):+.2f} and {np.std(p):.2f}" for p in (cases[q, n][1] for q in RATES)]
        lines.append(f"Quiet rate of `quiet`, {n} flares, (found - true) / error, mean and width: {'; '.join(words)}.")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    lines = table(given.runs, given.seed)
    print("\n".join(lines))
    if given.write:
        text = DOCS.read_text()
        before, after = text.split(START)[0], text.split(END)[1]
        DOCS.write_text(f"{before}{START}\n" + "\n".join(lines) + f"\n{END}{after}")


if __name__ == "__main__":
    main()
