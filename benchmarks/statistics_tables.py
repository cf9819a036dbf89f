"""Coverage of intervals and limits, and false alarms on blank sky, by exact enumeration over Poisson counts.

Nothing is drawn at random: probabilities of all counts (or pairs of counts) that can matter are added up. Prints the
tables; ``--write`` puts them into docs/statistics.md, the numbers of the pictures into docs/tables, and draws
docs/pictures/coverage.png and blank_sky.png. The tests of the same statements take their sums from here.
"""

import argparse
import csv
import itertools
import math
from pathlib import Path

import numpy as np
from scipy import special, stats

from xphotfn.science.intervals import garwood_interval, gehrels_interval, kraft_interval, on_off_interval
from xphotfn.science.limits import upper_limit, upper_limit_on_off
from xphotfn.science.radial import ring_brightness
from xphotfn.science.significance import (
    exact_significance,
    gaussian_significance,
    li_ma_significance,
    mid_p_significance,
)

DOCS = Path(__file__).resolve().parents[1] / "docs"
TABLES = DOCS / "tables"
CONFIDENCES = (0.68, 0.90, 0.95, 0.99)
RATES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0)
SOURCE_PIX, BACKGROUND_PIX = 600, 700
NOMINAL = float(stats.norm.sf(3))
SIGNIFICANCES = {
    "mid-p": mid_p_significance,
    "exact": exact_significance,
    "Li & Ma": li_ma_significance,
    "Gaussian": gaussian_significance,
    "no background variance": lambda n, b, a: gaussian_significance(n, b, a, background_variance=False),
}


def likely(mean, tail=1e-14):
    """Return all counts but for ``tail`` of the probability on either side."""
    return np.arange(int(stats.poisson.ppf(tail, mean)), int(stats.poisson.isf(tail, mean)) + 1)


def blank_sky(rate, source_pix=SOURCE_PIX, background_pix=BACKGROUND_PIX):
    """Return counts N, counts B and their probabilities for blank sky of ``rate`` counts per pixel."""
    n, b = likely(source_pix * rate)[:, None], likely(background_pix * rate)[None, :]
    return n, b, stats.poisson.pmf(n, source_pix * rate) * stats.poisson.pmf(b, background_pix * rate)


def false_alarms(significance, rate, sigma=3.0, source_pix=SOURCE_PIX, background_pix=BACKGROUND_PIX):
    """Return the mean of a significance on blank sky and the probabilities to reach +sigma and -sigma."""
    n, b, weights = blank_sky(rate, source_pix, background_pix)
    z = significance(n, b, source_pix / background_pix)
    mean = float(np.sum(weights * z)) if np.all(np.isfinite(z)) else float("-inf")
    return mean, float(np.sum(weights[z >= sigma])), float(np.sum(weights[z <= -sigma]))


def xga_mean(rate, source_pix=SOURCE_PIX, background_pix=BACKGROUND_PIX):
    """Return the mean on blank sky of XGA's default, which sets negative net pixels to 0, at even exposure.

    With N counts in the region a pixel holds Binomial(N, 1/pixels), whose sum over pixels is exact for the mean.
    """
    n, b, weights = blank_sky(rate, source_pix, background_pix)
    held = np.arange(int(n.max()) + 1)
    held = held[held <= 60]
    pmf = stats.binom.pmf(held[:, None, None], n, 1 / source_pix)
    net = source_pix * np.sum(pmf * np.maximum(held[:, None, None] - (b / background_pix)[None], 0), axis=0)
    with np.errstate(invalid="ignore"):
        return float(np.sum(weights * np.where(n > 0, net / np.sqrt(n), 0.0)))


def edges(lower, upper, background, top):
    """Return source means just below and above every end of an interval up to ``top``: where coverage jumps."""
    ends = np.concatenate([lower, upper])
    ends = ends[np.isfinite(ends) & (ends > 0) & (ends <= top)]
    nudge = 1e-9 * (ends + background)
    return np.unique(np.concatenate([[0.0], np.geomspace(0.01, top, 401), ends - nudge, ends + nudge]).clip(0))


def coverage(lower, upper, background, means):
    """Return the probability that the interval holds the true mean; ends of N = 0, 1, ... must not fall with N."""
    first = np.searchsorted(upper, means, side="left")  # smallest N whose upper end reaches the mean
    last = np.searchsorted(lower, means, side="right") - 1  # largest N whose lower end does not pass it
    total = means + background
    at_most, below = special.pdtr(last, total), np.where(first > 0, special.pdtr(np.maximum(first - 1, 0), total), 0.0)
    return np.where(last >= 0, np.maximum(at_most - below, 0.0), 0.0)


def known_coverage(ends, background, confidence, top=1000.0):
    """Return source means and coverage over a known background, for N = 0 to well above ``top``."""
    n = np.arange(int(top + background + 12 * np.sqrt(top + background + 10)) + 40)
    lower, upper = ends(n, background, confidence)
    means = edges(lower, upper, background, top)
    return means, coverage(lower, upper, background, means)


def on_off_coverage(ends, off, alpha, confidence, means):
    """Return the coverage at the source means, for ``off`` counts expected in the background region."""
    means, seen = np.asarray(means, dtype=float), likely(off, 1e-9)
    background = alpha * off
    most = means.max() + background
    n = np.arange(int(most + 12 * np.sqrt(most + 10)) + 40)
    lower, upper = ends(n[None, :], seen[:, None], alpha, confidence)
    rows = np.array([coverage(low, up, background, means) for low, up in zip(lower, upper, strict=True)])
    return stats.poisson.pmf(seen, off) @ rows


KNOWN = {
    "garwood_interval, no background": (0.0, lambda n, _, c: garwood_interval(n, confidence=c)),
    "kraft_interval, B = 0": (0.0, lambda n, b, c: kraft_interval(n, b, confidence=c)),
    "kraft_interval, B = 3": (3.0, lambda n, b, c: kraft_interval(n, b, confidence=c)),
    "kraft_interval, B = 30": (30.0, lambda n, b, c: kraft_interval(n, b, confidence=c)),
    "upper_limit, B = 0": (0.0, lambda n, b, c: (np.full(n.shape, -1.0), upper_limit(n, b, confidence=c))),
    "upper_limit, B = 3": (3.0, lambda n, b, c: (np.full(n.shape, -1.0), upper_limit(n, b, confidence=c))),
    "upper_limit, B = 30": (30.0, lambda n, b, c: (np.full(n.shape, -1.0), upper_limit(n, b, confidence=c))),
}
GEHRELS = {
    "gehrels_interval, simple": lambda n, *_: gehrels_interval(n),
    "gehrels_interval, cubic": lambda n, *_: gehrels_interval(n, form="cubic"),
}


def shortest(n, b, a, c):
    return on_off_interval(n, b, a, confidence=c)


def central(n, b, a, c):
    return on_off_interval(n, b, a, confidence=c, kind="central")


def one_sided(n, b, a, c):
    limit = upper_limit_on_off(n, b, a, confidence=c)
    return np.full(limit.shape, -1.0), limit


ON_OFF = {
    "on_off_interval, shortest, 30 off, alpha 0.1": (30.0, 0.1, shortest),
    "on_off_interval, central, 30 off, alpha 0.1": (30.0, 0.1, central),
    "upper_limit_on_off, 30 off, alpha 0.1": (30.0, 0.1, one_sided),
    "upper_limit_on_off, 10 off, alpha 1": (10.0, 1.0, one_sided),
}


def ring(n, b, a, _):
    found = ring_brightness(n, 1.0, a * b, a * a * b)
    return found.lower, found.upper


RINGS = {f"ring_brightness, 10 expected, alpha {alpha:g}": (10 / alpha, alpha, ring) for alpha in (0.04, 0.3, 0.84)}
RINGS["ring_brightness, 1 expected, alpha 0.3"] = (1 / 0.3, 0.3, ring)
ON_OFF_MEANS = np.unique(np.concatenate([np.linspace(0, 20, 401), np.linspace(20, 1000, 4901)]))


def summary(means, values):
    """Return the least coverage and its means below and above 20 source counts."""
    faint = means <= 20

    def average(chosen):
        x, y = means[chosen], values[chosen]
        return float(np.sum(0.5 * (y[1:] + y[:-1]) * np.diff(x)) / (x[-1] - x[0]))

    return float(values.min()), average(faint), average(~faint)


def curves(on_off_means=ON_OFF_MEANS):
    """Return source means and coverages by name and confidence."""
    found = {}
    for name, (background, ends) in KNOWN.items():
        found[name] = {c: known_coverage(ends, background, c) for c in CONFIDENCES}
    for name, ends in GEHRELS.items():
        found[name] = {0.68: known_coverage(ends, 0.0, 0.68)}
    for name, (off, alpha, ends) in ON_OFF.items():
        found[name] = {c: (on_off_means, on_off_coverage(ends, off, alpha, c, on_off_means)) for c in CONFIDENCES}
    for name, (off, alpha, ends) in RINGS.items():
        found[name] = {0.68: (on_off_means, on_off_coverage(ends, off, alpha, 0.68, on_off_means))}
    return found


def coverage_table(found):
    lines = ["| interval or limit | 68 % | 90 % | 95 % | 99 % |", "|---|---|---|---|---|"]
    for name, by_confidence in found.items():
        cells = []
        for confidence in CONFIDENCES:
            if confidence in by_confidence:
                low, faint, bright = (100 * v for v in summary(*by_confidence[confidence]))
                cells.append(f"{low:.1f} / {faint:.1f} / {bright:.1f}")
            else:
                cells.append("")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def blank_table():
    head = "| ct/pixel | mean: mid-p | Li & Ma | XGA's default | 3 sigma / nominal: " + " | ".join(SIGNIFICANCES) + " |"
    lines = [head, "|" + "---|" * (4 + len(SIGNIFICANCES))]
    for rate in RATES:
        rows = {name: false_alarms(function, rate) for name, function in SIGNIFICANCES.items()}
        cells = [f"{rate:g}", f"{rows['mid-p'][0]:+.4f}", f"{rows['Li & Ma'][0]:+.4f}", f"{xga_mean(rate):+.2f}"]
        cells += [f"{row[1] / NOMINAL:.3f}" for row in rows.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def between(text, mark, table):
    """Replace what stands between two comments."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    return text[: text.index(begin) + len(begin)] + "\n" + table + "\n" + text[text.index(end) :]


BINS = np.geomspace(0.05, 1000, 121)
BLANK_RATES = np.geomspace(0.01, 3, 41)


def shown(name):
    return not any(word in name for word in ("B = 0", "B = 30", "central", "simple", "ring"))


def coverage_rows(found):
    """Yield rows of the picture: name, source counts, least and greatest coverage within bins of source counts."""
    for name in filter(shown, found):
        for low, high in itertools.pairwise(BINS):
            ends = []
            for confidence in CONFIDENCES:
                means, values = found[name].get(confidence, (np.empty(0), np.empty(0)))
                inside = values[(means >= low) & (means < high)]
                ends += [f"{inside.min():.4f}", f"{inside.max():.4f}"] if inside.size else ["", ""]
            yield name, f"{math.sqrt(low * high):.5g}", *ends


def blank_rows():
    """Yield rows of the picture: counts per pixel, means of mid-p, Li & Ma and XGA's default, and false alarms."""
    for rate in BLANK_RATES:
        rows = {name: false_alarms(function, rate) for name, function in SIGNIFICANCES.items()}
        means = rows["mid-p"][0], rows["Li & Ma"][0], xga_mean(rate)
        alarms = [row[1] / NOMINAL for row in rows.values()]
        yield (f"{value:.5g}" for value in (rate, *means, *alarms))


def write_rows(path, head, rows):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def read_rows(path):
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(rows, name):
    return np.array([float(row[name] or "nan") for row in rows])


def draw_coverage(path, table=TABLES / "coverage.csv"):
    """Draw the coverage of intervals and limits from the numbers that ``--write`` has put into ``table``."""
    from matplotlib.figure import Figure

    rows = read_rows(table)
    names = list(dict.fromkeys(row["name"] for row in rows))
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    panels = figure.subplots(2, -(-len(names) // 2), sharex=True, sharey=True).flat
    for spare in panels[len(names) :]:
        spare.set_visible(False)
    for panel, name in zip(panels, names, strict=False):
        mine = [row for row in rows if row["name"] == name]
        for number, confidence in enumerate(CONFIDENCES):
            least, most = (100 * column(mine, f"{end} {confidence:g}") for end in ("least", "most"))
            panel.fill_between(column(mine, "source counts"), least, most, color=f"C{number}", alpha=0.8, lw=0.5)
            panel.axhline(100 * confidence, color=f"C{number}", lw=0.8, ls=":")
        panel.set(xscale="log", xlim=(0.05, 1000), ylim=(50, 101))
        panel.set_title(name.replace(", ", "\n", 1), fontsize=8)
    figure.supxlabel("true source counts")
    figure.supylabel("least to greatest coverage (%), nominal dotted")
    figure.savefig(path, dpi=80)


def draw_blank_sky(path, table=TABLES / "blank_sky.csv"):
    """Draw means and false alarms on blank sky from the numbers that ``--write`` has put into ``table``."""
    from matplotlib.figure import Figure

    rows = read_rows(table)
    rates = column(rows, "ct/pixel")
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in ("mid-p", "Li & Ma", "XGA's default"):
        left.plot(rates, column(rows, f"mean: {name}"), label=name)
    left.set(xscale="log", xlabel="background (ct/pixel)", ylabel="mean significance on blank sky")
    left.set_yscale("symlog", linthresh=0.05)
    for name in SIGNIFICANCES:
        right.plot(rates, column(rows, f"3 sigma: {name}"), label=name)
    right.axhline(1, color="0.5", lw=0.8, ls=":")
    right.set(xscale="log", yscale="log", ylim=(0.02, 20), xlabel="background (ct/pixel)")
    right.set_ylabel("false alarms at 3 sigma / nominal")
    for panel in (left, right):
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=80)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the tables and pictures into docs/")
    parser.add_argument("--small", action="store_true", help="a coarse grid for the on/off rows, to see that it runs")
    options = parser.parse_args()
    found = curves(np.linspace(0, 40, 41) if options.small else ON_OFF_MEANS)
    tables = {"coverage": coverage_table(found), "blank sky": blank_table()}
    print("\n\n".join(tables.values()))
    if options.write:
        page = DOCS / "statistics.md"
        text = page.read_text(encoding="utf-8")
        for mark, table in tables.items():
            text = between(text, mark, table)
        page.write_text(text, encoding="utf-8")
        ends = [f"{end} {confidence:g}" for confidence in CONFIDENCES for end in ("least", "most")]
        write_rows(TABLES / "coverage.csv", ["name", "source counts", *ends], coverage_rows(found))
        means = [f"mean: {name}" for name in ("mid-p", "Li & Ma", "XGA's default")]
        alarms = [f"3 sigma: {name}" for name in SIGNIFICANCES]
        write_rows(TABLES / "blank_sky.csv", ["ct/pixel", *means, *alarms], blank_rows())
        (DOCS / "pictures").mkdir(exist_ok=True)
        draw_coverage(DOCS / "pictures" / "coverage.png")
        draw_blank_sky(DOCS / "pictures" / "blank_sky.png")


if __name__ == "__main__":
    main()
