"""The hardness ratios of a hundred thousand sources against the intervals of their two hundred thousand rates."""

import numpy as np
from timing import arguments, compare

from xphotfn.science.hardness_ratio import hardness_ratio
from xphotfn.science.intervals import on_off_interval

ALPHA = 0.1


def drawn(size, source, background, seed):
    """Return counts and background counts of two bands: sources up to twice the mean, the hard one half the soft."""
    rng = np.random.default_rng(seed)
    light, sky = rng.uniform(0, 2 * source, size), rng.uniform(0.4, 2, size) * background
    counts = [rng.poisson(part * light + sky) for part in (1.0, 0.5)]
    return counts, [rng.poisson(sky / ALPHA) for _ in range(2)]


def ratios(data):
    (n, m), (b, c) = data
    return hardness_ratio((n, b, ALPHA), (m, c, ALPHA))


def intervals(data):
    counts, background = data
    return on_off_interval(np.concatenate(counts), np.concatenate(background), ALPHA)


def main():
    options = arguments(__doc__)
    size, repeats = (2000, 1) if options.small else (100_000, 3)
    for source, background in ((5, 1), (30, 10), (200, 50)):
        inputs = [drawn(size, source, background, seed) for seed in range(repeats)]
        title = f"hardness ratios, about {source} counts, {size:.0e}"
        compare(title, ratios, intervals, inputs, limit=10, check=options.check)


if __name__ == "__main__":
    main()
