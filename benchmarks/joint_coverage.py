"""Coverage of what ``photometry`` and ``joint_photometry`` print, for one map and many, and their false alarms.

Counts of circles and rings are drawn; everything from there on is the library's: light, interval, limit, joint table.
Source counts (all maps together) are drawn evenly from 0 to 20 and from 20 to 100, and one coverage of both is that of
0 to 100. Background counts are those that all circles together expect. False alarms at 3 sigma come from blank skies
drawn with more counts than they have, and weighted back.

``--write`` puts all rows into docs/tables/joint_coverage.csv and their extremes into docs/statistics.md; ``--small``
makes few draws of few rows; ``--bias`` makes the table of the mean of rates and significances only. The tests take the
same functions.
"""

import argparse
import itertools

import astropy.units as u
import numpy as np
from astropy.table import QTable
from scipy import optimize, special, stats
from statistics_tables import DOCS, TABLES, between, write_rows

from xphotfn.measure.photometry.columns import Rules, columns_of
from xphotfn.measure.photometry.joint_photometry import joint_photometry
from xphotfn.measure.photometry.sums import ApertureSums, Measured
from xphotfn.records.grid import PixelGrid
from xphotfn.science.consistency import joint_consistency
from xphotfn.science.intervals import on_off_interval
from xphotfn.science.joint.one_measurement import equivalent_on_off
from xphotfn.science.joint.rate import joint_rate, joint_significance
from xphotfn.science.light import ring_light
from xphotfn.science.limits import upper_limit_on_off

MAPS, ALPHAS, BACKGROUNDS = (1, 2, 9, 18), (0.04, 0.3, 0.84), (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
KINDS = ("flat", "unequal", "point", "extended", "point, photometry")
CONTRAST = {"unequal": 10.0}  # background of every second map over that of the others, 1 for other kinds
RANGES = ((0.0, 20.0), (20.0, 100.0))
DRAWS, BLANK = 8000, 40_000
ENCLOSED, SPILT = 0.8, 0.02  # of a point source in the circle and in the ring around it
RINGS = np.array([[1.0], [3.0], [5.0], [7.0], [9.0], [11.0]]) / 36  # areas, of the circle's
VIGNETTING = np.array([[1.0], [0.96], [0.9], [0.82], [0.72], [0.6]])
LIGHT = np.array([[0.35], [0.25], [0.16], [0.11], [0.08], [0.05]])  # of a cluster, most of it where the exposure is
NOMINAL = float(stats.norm.sf(3))
UNLIKE = {
    "9 maps of 1": (np.full(9, 0.84), np.ones(9)),
    "2 maps of 1 and 10": (np.full(2, 0.84), np.array([1.0, 10.0])),
    "2 maps of 1 and 10, alpha 0.04 and 1.5": (np.array([0.04, 1.5]), np.array([1.0, 10.0])),
    "9 maps of 0.1 to 10": (np.full(9, 0.84), np.geomspace(0.1, 10, 9)),
    "18 maps of 0.05 to 5, alpha 0.02 to 2": (np.geomspace(0.02, 2, 18), np.geomspace(0.05, 5, 18)),
}  # alphas and background counts of the circles
BIASED = (0.0, 3.0, 30.0)
HEAD = ("light", "maps", "alpha", "background counts", "68 %, 0 to 20", "68 %, 20 to 100", "68 %", "95 %, 0 to 20",
        "95 %, 20 to 100", "95 %", "outside its interval", "mid-p", "exact", "li-ma")  # fmt: skip


def drawn(kind, alpha, background, source, maps, rng):
    """Return columns of photometry of ``source`` counts, shared by equal maps: arrays (positions, maps).

    Each map has an exposure of 1, so that rates are counts of the source.
    """
    shape = (source.size, maps)
    light, off = np.repeat(source, maps) / maps, background / alpha / maps
    if kind != "extended":
        inside, outside = (ENCLOSED, SPILT) if kind.startswith("point") else (1.0, 0.0)
        each = np.tile(background * shares(maps, CONTRAST.get(kind, 1.0)), source.size)
        n, b = rng.poisson(inside * light + each), rng.poisson(outside * light + each / alpha)
        part = np.full(n.shape, inside - alpha * outside)
        return tuple(v.reshape(shape) for v in (n, b, (n - alpha * b) / part, part, np.ones(n.shape)))
    exposure = RINGS * VIGNETTING
    share = exposure / exposure.sum()
    rings = rng.poisson(LIGHT * VIGNETTING * light + share * background / maps).astype(float)
    b = rng.poisson(off, light.size).astype(float)
    area, seconds = (np.broadcast_to(v, rings.shape) for v in (RINGS, exposure))
    found = extended_columns(rings, b, alpha, area, seconds)
    return tuple(v.reshape(shape) for v in (rings.sum(axis=0), b, *found))


def extended_columns(rings, b, alpha, area, seconds):
    """Return rate, effective exposure and dispersion, as ``photometry`` makes its columns of the sums of rings."""
    one, n = np.ones(b.size), rings.sum(axis=0)
    exposure = seconds.sum(axis=0)
    sums = ApertureSums(counts=n, exposure=exposure, live=one, masked=0 * one, weights=exposure, ring_counts=b,
                        ring_exposure=exposure / alpha, ring_live=one / alpha, ring_weights=exposure / alpha, area=one,
                        inner_area=one, ring_area=one / alpha, held=one, core=one)  # fmt: skip
    light = ring_light(rings, seconds, area, seconds)
    rules = Rules(overlap="centre", light="rings", method="mid-p", confidence=0.68, limit_confidence=0.95)
    grid = PixelGrid(nx=9, ny=9, crpix1=5, crpix2=5, ra_deg=0, dec_deg=0, cdelt1_deg=-1e-3, cdelt2_deg=1e-3)
    found = columns_of(Measured(sums, sums, one, None, (light, light)), rules, grid, None)
    return found["rate"], found["effective_exposure"], found["dispersion"]


def joint_table(kind, columns, alpha):
    """Return the joint table of what `drawn` gives, by the public function."""
    n, b, rate, effective, dispersion = columns
    mean = np.sum(RINGS * VIGNETTING) if kind == "extended" else 1.0
    positions, maps = n.shape
    table = QTable({"position": np.repeat(np.arange(positions), maps), "counts": n.ravel() * u.ct})
    table["background_counts"], table["alpha"] = b.ravel() * u.ct, np.full(n.size, alpha)
    table["effective_exposure"], table["exposure_mean"] = effective.ravel() * u.s, mean * np.ones(n.size) * u.s
    table["area"] = table["live_area"] = np.ones(n.size) * u.arcsec**2
    table["rate"] = rate.ravel() * u.ct / u.s
    table["dispersion"], table["rate_of"] = dispersion.ravel(), "source" if kind == "point" else "aperture"
    table["ra"], table["dec"] = np.zeros(n.size) * u.deg, np.zeros(n.size) * u.deg
    table["obs_id"] = np.tile([f"{number:010d}" for number in range(maps)], positions)
    table["band"], table["instrument"] = "0.5-2 keV", "pn"
    return joint_photometry(table, confidence=0.68)


def printed(kind, columns, alpha):
    """Return the ends of the interval of 68 %, the limit of 95 %, and the rate, as the tables print them.

    A joint table of one map prints what ``photometry`` does, except for a point source: its own posterior knows of the
    source's light in the ring, where a joint one has it in the exposure.
    """
    if kind != "point, photometry":
        table = joint_table(kind, columns, alpha)
        return tuple(plain(table, name) for name in ("rate_low", "rate_high", "upper_limit", "rate"))
    n, b, rate = (v[:, 0] for v in columns[:3])
    how = {"fractions": (ENCLOSED, SPILT)}
    return *on_off_interval(n, b, alpha, confidence=0.68, **how), upper_limit_on_off(n, b, alpha, **how), rate


def plain(table, name):
    return np.asarray(getattr(table[name], "value", table[name]), dtype=float)


def coverage(kind, maps, alpha, background, draws=DRAWS, seed=1):
    """Return the coverage of intervals (68 %) and limits (95 %) in both ranges of source counts, and rates outside."""
    rng = np.random.default_rng([seed, maps, int(100 * alpha), int(10 * background), KINDS.index(kind)])
    found, outside = [], 0.0
    for low, high in RANGES:
        source = rng.uniform(low, high, draws)
        lower, upper, limit, rate = printed(kind, drawn(kind, alpha, background, source, maps, rng), alpha)
        truth, seen = source / maps, np.maximum(rate, 0.0)
        found.append((np.mean((lower <= truth) & (truth <= upper)), np.mean(truth <= limit)))
        outside += np.mean((seen < lower * (1 - 1e-9)) | (seen > upper * (1 + 1e-9))) / len(RANGES)
    (faint, faint_limit), (bright, bright_limit) = found
    whole = [0.2 * a + 0.8 * b for a, b in ((faint, bright), (faint_limit, bright_limit))]
    return faint, bright, whole[0], faint_limit, bright_limit, whole[1], outside


def false_alarms(maps, alpha, background, *, method="mid-p", draws=BLANK, seed=2, contrast=1.0):
    """Return false alarms at 3 sigma over nominal, and their error.

    Circles and rings of blank sky are drawn with ``e^t`` and ``e^(-alpha t)`` times their counts, so that 3 sigma are
    usual; the weight of a draw is the ratio of its probabilities. ``contrast`` is the background of every second map
    over that of the others.
    """
    rng = np.random.default_rng([seed, maps, int(100 * alpha), int(10 * background)])
    share = shares(maps, contrast)
    shift = 3 * np.sqrt((1 + alpha) / background)
    t = optimize.brentq(lambda t: np.exp(t) - np.exp(-alpha * t) - shift, 0.0, np.log1p(shift) + 1)
    n = rng.poisson(np.exp(t) * background * share, (draws, maps))
    b = rng.poisson(np.exp(-alpha * t) * background / alpha * share, (draws, maps))
    cumulant = background * np.expm1(t) + background / alpha * np.expm1(-alpha * t)
    weight = np.exp(cumulant - t * (n.sum(axis=1) - alpha * b.sum(axis=1)))
    hit = np.where(joint_significance(n, b, alpha, np.ones(maps), method=method) >= 3, weight, 0.0) / NOMINAL
    return float(hit.mean()), float(hit.std() / np.sqrt(draws))


def shares(maps, contrast):
    """Return each map's part of the background."""
    share = np.where(np.arange(maps) % 2 == 1, contrast, 1.0)
    return share / share.sum()


def disagreement(maps, alpha, background, source, *, draws=200_000, seed=3):
    """Return how often maps of one rate disagree beyond 3 sigma, over nominal."""
    rng, found, step = np.random.default_rng([seed, maps, int(100 * alpha), int(source)]), 0, 50_000
    for begin in range(0, draws, step):
        size = min(step, draws - begin), maps
        n, b = rng.poisson((source + background) / maps, size), rng.poisson(background / alpha / maps, size)
        found += np.count_nonzero(joint_consistency(n, b, alpha, np.ones(maps)) < np.log(NOMINAL))
    return found / draws / NOMINAL


def compared(maps, alpha=0.84, background=10.0, draws=2000, seed=4):
    """Return the coverage at 68 % of the two ways to join equal maps that the page compares, for 2 to 40 counts.

    The first integrates over each map's background with the prior ``b^(1/maps - 1)``, on a grid of source counts.
    """
    rng, found = np.random.default_rng([seed, maps]), []
    for source in (2.0, 8.0, 20.0, 40.0):
        n = rng.poisson((source + background) / maps, (draws, maps))
        b = rng.poisson(background / alpha / maps, (draws, maps))
        grid = (np.arange(600) + 0.5) / 600 * (source + background + 8 * np.sqrt(source + background) + 12)
        logs = _log_likelihoods(n.max(), b.max(), alpha, grid / maps, 1 / maps)[n, b].sum(axis=1)
        p = np.exp(logs - logs.max(axis=1, keepdims=True))
        here = np.argmin(np.abs(grid - source))
        above = np.sum(p * (p > p[:, here : here + 1]), axis=1) / p.sum(axis=1)
        one = equivalent_on_off(n, b, alpha, np.full(maps, 1 / maps))
        low, high = (v / one.exposure for v in on_off_interval(np.round(one.counts), one.background, one.alpha))
        found.append((np.mean(above < 0.6827), np.mean((low <= source) & (source <= high))))
    return np.mean(found, axis=0)


def bias(alpha, background, source, *, draws=50_000, seed=6):
    """Return mean error and scatter of joint rates in counts, the same of rates averaged by exposure, and mean sigmas.

    ``source`` counts are shared by maps of one exposure; ``background`` are those of their circles. Sigmas have their
    error beside them.
    """
    rng, maps = np.random.default_rng([seed, alpha.size, int(source)]), alpha.size
    n = rng.poisson(source / maps + background, (draws, maps))
    b = rng.poisson(background / alpha, (draws, maps))
    joint, plain_sum = joint_rate(n, b, alpha, np.full(maps, 1 / maps)), np.sum(n - alpha * b, axis=1)
    sigma = joint_significance(n, b, alpha, np.ones(maps))
    return (*(f(v) for v in (joint - source, plain_sum - source) for f in (np.mean, np.std)),
            np.mean(sigma), np.std(sigma) / np.sqrt(draws))  # fmt: skip


def biases(small):
    lines = []
    for name, (alpha, background) in UNLIKE.items():
        found = [bias(alpha, background, s, draws=1000 if small else 50_000) for s in BIASED]
        cells = [cell for one in found for cell in (f"{one[0]:+.2f} ({one[1]:.1f})", f"{one[2]:+.2f} ({one[3]:.1f})")]
        lines.append((name, *cells, f"{found[0][4]:+.2f}"))
    head = [cell for s in BIASED for cell in (f"joint, {s:g}", f"by exposure, {s:g}")]
    return lined(("background counts of the circles", *head, "mean sigma, blank"), lines)


def _log_likelihoods(most_on, most_off, alpha, source, prior):
    """Return ln of the likelihood of (N, B, source) with the background integrated over the prior ``b^(prior - 1)``."""
    table = np.empty((most_on + 1, most_off + 1, source.size))
    for n, b in itertools.product(range(most_on + 1), range(most_off + 1)):
        k = np.arange(n + 1.0)
        terms = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1) + k * np.log(alpha)
        terms += special.gammaln(b + prior + k) - (b + prior + k) * np.log1p(alpha)
        table[n, b] = special.logsumexp(terms[:, None] + (n - k)[:, None] * np.log(source), axis=0) - source
    return table


def rows(small, kinds=KINDS):
    """Yield the rows of the table as tuples of `HEAD`."""
    maps, alphas, backgrounds = ((2,), (0.84,), (1.0,)) if small else (MAPS, ALPHAS, BACKGROUNDS)
    draws, blank = (500, 2000) if small else (DRAWS, BLANK)
    for kind, k, alpha, background in itertools.product(kinds, maps, alphas, backgrounds):
        if (kind == "unequal" and k == 1) or (kind == "point, photometry" and k > 1):
            continue
        alarms = [""] * 3
        if kind in ("flat", "unequal"):
            how = {"contrast": CONTRAST.get(kind, 1.0), "draws": blank}
            alarms = [false_alarms(k, alpha, background, method=m, **how)[0] for m in ("mid-p", "exact", "li-ma")]
        yield kind, k, alpha, background, *coverage(kind, k, alpha, background, draws), *alarms


def lined(head, rows):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def summary(found):
    """Return the extremes of rows of one kind and number of maps, from 1 background count on."""
    head = ("light", "maps", "68 %", "0 to 20", "95 % limit", "0 to 20", "3 sigma: mid-p", "exact", "li-ma")
    lines = []
    for kind, k in dict.fromkeys((row[0], row[1]) for row in found):
        some = [row for row in found if row[:2] == (kind, k) and row[3] >= 1]
        columns = zip(*(np.array(row[4:10])[[2, 0, 5, 3]] for row in some), strict=True)
        cells = [f"{min(v):.3f} to {max(v):.3f}" for v in columns]
        most = (
            [f"{max(row[11 + i] for row in some):.2f}" for i in range(3)] if kind in ("flat", "unequal") else [""] * 3
        )
        lines.append((kind, str(k), *cells, *most))
    return lined(head, lines)


def agreement(small):
    sources, lines = (0.0, 20.0, 100.0, 1000.0), []
    for k, alpha in itertools.product((2,) if small else (2, 9, 18), (0.84,) if small else (0.04, 0.84)):
        found = (disagreement(k, alpha, 10.0, s, draws=5000 if small else 200_000) for s in sources)
        lines.append((str(k), f"{alpha:g}", *(f"{v:.2f}" for v in found)))
    return lined(("maps", "alpha", "0 source counts", "20", "100", "1000"), lines)


def comparison(small):
    maps = (1, 2) if small else MAPS
    cells = np.array([compared(k, draws=200 if small else 2000) for k in maps]).T
    names = "backgrounds integrated over, prior `b^(1/maps - 1)` on each", "weighted sums"
    lines = [(name, *(f"{v:.2f}" for v in row)) for name, row in zip(names, cells, strict=True)]
    return lined(("", *("1 map" if k == 1 else f"{k} maps" for k in maps)), lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the tables into docs/")
    parser.add_argument("--small", action="store_true", help="few draws of few rows, to see that it runs")
    parser.add_argument("--bias", action="store_true", help="only the table of means of rates and significances")
    options = parser.parse_args()
    found, tables = [], {"joint: bias": biases(options.small)}
    if not options.bias:
        found = list(rows(options.small))
        tables |= {
            "joint: coverage": summary(found),
            "joint: agreement": agreement(options.small),
            "joint: compared": comparison(options.small),
        }
    print("\n\n".join(tables.values()))
    if options.write:
        page = DOCS / "statistics.md"
        text = page.read_text(encoding="utf-8")
        for mark, table in tables.items():
            text = between(text, mark, table)
        page.write_text(text, encoding="utf-8")
    if options.write and found:
        write_rows(
            TABLES / "joint_coverage.csv",
            HEAD,
            ([f"{v:.4g}" if isinstance(v, float) else v for v in row] for row in found),
        )


if __name__ == "__main__":
    main()
