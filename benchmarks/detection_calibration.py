"""What detection finds on simulated fields of which the truth is known.

``--write`` puts the tables into docs/detection.md.

Each field is drawn directly: Poisson counts of exposure times rate times point spread function plus background, for
pn, MOS1 and MOS2. The light is drawn with :func:`xphotfn.simulate.psf.point_spread`, another routine than that of the
fits, and with another point spread function where the table says so. Exposure maps are those of the native engine.

``--quick`` draws few fields. ``--only NAME`` makes one table.
"""

import argparse
import itertools
import time
from functools import cache
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from xphotfn.epic.relative_sensitivity import relative_sensitivity
from xphotfn.records.band import Band
from xphotfn.science.detection.listing import listed
from xphotfn.science.detection.search import search
from xphotfn.science.detection.search_map import SearchMap
from xphotfn.science.detection.templates import extent_at
from xphotfn.science.king import EPIC_KING
from xphotfn.simulate.field_of_view import geometry
from xphotfn.simulate.model import model_counts
from xphotfn.simulate.psf import blurred_beta_model, king_of, point_spread
from xphotfn.simulate.scene import EFFICIENCY, SOFT, CameraExposure, Pointing, Scene

PAGE = Path(__file__).resolve().parents[1] / "docs" / "detection.md"
CAMERAS = ("pn", "mos1", "mos2")
SENSITIVITY = {camera: relative_sensitivity(camera, "Thin1", Band(lo_ev=500, hi_ev=2000)) for camera in CAMERAS}
ENERGY_EV, RATE_OF_FLUX = 1000.0, 6.6e11  # pn counts per erg/cm2 in 0.5-2 keV
REACH, MATCH_PIX, COVERED_PIX = 68, 4.0, 2.5
SKY_FIELDS, DEEP_FIELDS, CLUSTER_FIELDS = 10, 3, 4
BINS = (8, 12, 18, 27, 40, 60, 200, 1e9)


@cache
def pointing(kiloseconds):
    """Return a pointing of the three cameras."""
    times = {"pn": (0.85, 0.89), "mos1": (1.0, 0.99), "mos2": (1.0, 0.985)}
    exposures = [
        CameraExposure(instrument=name, exposure_id="S001", ontime_s=1000 * kiloseconds * on, live_fraction=live)
        for name, (on, live) in times.items()
    ]
    return Pointing(obs_id="0999990101", ra_deg=52.0, dec_deg=-33.0, pa_deg=114.0, exposures=exposures)


@cache
def empty(kiloseconds):
    """Return exposure, background in counts and exposure without vignetting of each camera."""
    place = pointing(kiloseconds)
    found = []
    for name in CAMERAS:
        model = model_counts(Scene(pointings=[place]), place, name, SOFT)
        flat = place.exposure(name).live_s * geometry(place.grid, name, place.pa_deg, ()).coverage
        found.append((model.exposure, model.background, flat))
    return found


def counts_per_rate(kiloseconds, x, y):
    """Return the counts in all cameras of a pn rate of 1 at pixels."""
    column, row = (np.clip(np.rint(v).astype(int), 0, 511) for v in (x, y))
    return sum(EFFICIENCY[c] * e[row, column] for c, (e, _, _) in zip(CAMERAS, empty(kiloseconds), strict=True))


def king_at(camera, x, y):
    """Return core radius and slope at a pixel."""
    return king_of(camera, ENERGY_EV, float(np.hypot(x - 255.5, y - 255.5)) * 4.35 / 60)


def drawn(kiloseconds, rng, points=(), light=None, core_factor=1.0):
    """Return maps of a field, and its true background: points are (x, y, pn rate), light adds rates for each camera."""
    place, maps = pointing(kiloseconds), []
    for camera, (exposure, background, flat) in zip(CAMERAS, empty(kiloseconds), strict=True):
        rate = np.zeros(exposure.shape) if light is None else light[camera].copy()
        for x, y, pn_rate in points:
            core, slope = king_at(camera, x, y)
            i, j = round(x), round(y)
            columns = np.arange(max(i - REACH, 0), min(i + REACH + 1, 512))
            rows = np.arange(max(j - REACH, 0), min(j + REACH + 1, 512))
            spread = point_spread(columns - x, (rows - y)[:, None], place.grid, (core * core_factor, slope))
            rate[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += pn_rate * spread
        counts = rng.poisson(background + exposure * rate * EFFICIENCY[camera]).astype(float)
        where = (place.ra_deg, place.dec_deg)
        known = EPIC_KING[camera], ENERGY_EV, where, camera, place.obs_id, SENSITIVITY[camera]
        maps.append(SearchMap(counts, exposure, flat, None, place.grid, *known))
    return maps


def sources_of_sky(kiloseconds, rng, least_counts=0.3):
    """Return x, y and pn rate of points whose fluxes follow log N - log S (Moretti et al. 2003, 0.5-2 keV)."""
    flux = np.geomspace(3e-16, 1e-12, 4000)
    first, second, bend = 1.82, 0.60, 1.48e-14
    number = 6150 * 2e-15**first / (flux**first + bend ** (first - second) * flux**second)
    size = rng.poisson(number[0] * (512 * pointing(kiloseconds).grid.pixel_deg) ** 2)
    rate = RATE_OF_FLUX * np.interp(rng.uniform(0, number[0], size), number[::-1], flux[::-1])
    x, y = rng.uniform(0, 511, (2, size))
    seen = rate * counts_per_rate(kiloseconds, x, y) > least_counts
    return x[seen], y[seen], rate[seen]


def beta_light(kiloseconds, pieces):
    """Return rates of each camera for beta models (x, y, core radius, beta, counts in all cameras)."""
    grid, total = pointing(kiloseconds).grid, dict.fromkeys(CAMERAS, 0.0)
    for x, y, core, beta, counts in pieces:
        rate = counts / float(counts_per_rate(kiloseconds, np.array(x), np.array(y)))
        for camera in CAMERAS:
            model = blurred_beta_model(grid, (x, y), core, beta, king_at(camera, x, y))
            total[camera] = total[camera] + rate * model
    return total


def ellipse_light(kiloseconds, x, y, core, ratio, counts):
    """Return the same for an elliptical beta model whose long axis lies along the columns' direction, x."""
    rows, columns = np.indices((512, 512))
    a, b = core / 4.35 * ratio**0.5, core / 4.35 * ratio**-0.5
    model = (1 + ((columns - x) / a) ** 2 + ((rows - y) / b) ** 2) ** -1.5 / (2 * np.pi * a * b)
    steps = np.arange(-60.0, 61.0)
    rate = counts / float(counts_per_rate(kiloseconds, np.array(x), np.array(y)))
    grid = pointing(kiloseconds).grid
    return {
        c: rate * np.maximum(fftconvolve(model, point_spread(steps, steps[:, None], grid, king_at(c, x, y)), "same"), 0)
        for c in CAMERAS
    }


def distance(fitted, x, y):
    """Return the distance of a fitted source from a pixel, in pixels."""
    return float(np.hypot(fitted.source.x - x, fitted.source.y - y))


def blank_field(kiloseconds, number):
    """Return TIED_ML of what is found in a blank field, how many are extended, and background over truth."""
    maps = drawn(kiloseconds, np.random.default_rng([7, int(kiloseconds), number]))
    found = search(maps, threshold=6)
    truth = [b for _, b, _ in empty(kiloseconds)]
    pairs = zip(found.sky.backgrounds, truth, maps, strict=True)
    ratios = [float(b.image.sum() / t[m.exposure > 0].sum()) for b, t, m in pairs]
    return [f.tied_ml for f in found.sources], sum(f.source.u > 0 for f in found.sources), ratios


def blank(kiloseconds, fields):
    """Return a row: detections per field above likelihoods, extended ones, and background over truth."""
    found = [blank_field(kiloseconds, number) for number in range(fields)]
    likelihoods = np.array([value for values, _, _ in found for value in values])
    above = [np.count_nonzero(likelihoods >= least) / fields for least in (6, 7, 8, 10)]
    extended, mean = sum(wide for _, wide, _ in found), np.mean([ratios for _, _, ratios in found], axis=0)
    return [f"{kiloseconds:g} ks", fields, *(f"{v:.2f}" for v in above), f"{extended / fields:.2f}",
            ", ".join(f"{v:.3f}" for v in mean)]  # fmt: skip


def matched(found, x, y, counts):
    """Return which detection each true source has, the brightest first, and the detections that none has."""
    free, pairs = list(found.sources), {}
    for number in np.argsort(-counts):
        near = [(distance(f, x[number], y[number]), k) for k, f in enumerate(free)]
        best = min(near, default=(np.inf, 0))
        if best[0] < MATCH_PIX and counts[number] > 3:
            pairs[int(number)] = free.pop(best[1])
    return pairs, free


def sky_field(kiloseconds, number, threshold=6.0):
    """Return what is found of log N - log S in a field.

    That is counts of all sources, which are found and which lie under a brighter one; the accuracy of those found;
    and detections, unmatched ones, extended ones and CPU seconds.
    """
    rng = np.random.default_rng([11, int(kiloseconds), number])
    x, y, rate = sources_of_sky(kiloseconds, rng)
    counts = rate * counts_per_rate(kiloseconds, x, y)
    maps = drawn(kiloseconds, rng, list(zip(x, y, rate, strict=True)))
    start = time.process_time()
    found = search(maps, threshold=threshold)
    seconds = time.process_time() - start
    pairs, free = matched(found, x, y, counts)
    hits = [(c, k in pairs, covered(x, y, counts, k)) for k, c in enumerate(counts)]
    rows = []
    for k, fitted in pairs.items():
        lone = np.count_nonzero((np.hypot(x - x[k], y - y[k]) < 8) & (counts > 0.2 * counts[k])) == 1
        rows.append((counts[k], lone, *accuracy(fitted, x[k], y[k], rate[k], kiloseconds)))
    extended = sum(f.source.u > 0 for f in found.sources)
    return hits, rows, (len(found.sources), len(free), extended, seconds)


def covered(x, y, counts, which):
    """Return whether a brighter source lies within COVERED_PIX of one: no image of this sharpness shows both."""
    near = (np.hypot(x - x[which], y - y[which]) < COVERED_PIX) & (counts > counts[which])
    return bool(near.any())


def sky(kiloseconds, fields, threshold=6.0):
    """Return what is found of log N - log S: rows of completeness and of accuracy, and totals per field."""
    found = [sky_field(kiloseconds, number, threshold) for number in range(fields)]
    hits, rows = ([row for field in found for row in field[part]] for part in (0, 1))
    detections, unmatched, extended, seconds = (sum(field[2][part] for field in found) for part in range(4))
    totals = [f"{kiloseconds:g} ks", fields, *(f"{v / fields:.1f}" for v in (detections, unmatched)),
              f"{100 * extended / detections:.2f} %", f"{seconds / fields:.1f}"]  # fmt: skip
    return np.array(hits), np.array(rows), totals


def accuracy(fitted, x, y, rate, kiloseconds):
    """Return TIED_ML, distance in arcsec, pulls of x and y, ratio of the rates and their pull."""
    column, row = int(np.clip(np.rint(x), 0, 511)), int(np.clip(np.rint(y), 0, 511))
    seconds = np.array([e[row, column] for e, _, _ in empty(kiloseconds)])
    truth = rate * sum(EFFICIENCY[c] * s for c, s in zip(CAMERAS, seconds, strict=True))
    places, errors = fitted.errors
    error = np.sqrt(np.sum((np.where(np.isfinite(errors), errors, 0) * seconds) ** 2))
    total = float(np.sum(fitted.source.rates * seconds))
    pulls = (fitted.source.x - x) / places[0], (fitted.source.y - y) / places[1]
    return fitted.tied_ml, 4.35 * distance(fitted, x, y), *pulls, total / truth, (total - truth) / error


def cluster_field(number):
    """Return rows of what is found of clusters among points in a field of 20 ks, and of extended sources beside."""
    rng = np.random.default_rng([13, number])
    x, y, rate = sources_of_sky(20.0, rng)
    true = []
    for k in range(12):
        for _ in range(2000):
            cx, cy = rng.uniform(110, 400, 2)
            exposures = [e[int(cy), int(cx)] for e, _, _ in empty(20.0)]
            if min(exposures) > 1000 and all(np.hypot(cx - t[0], cy - t[1]) > 55 for t in true):
                true.append((cx, cy, (10, 20, 40, 80)[k % 4], float(np.exp(rng.uniform(*np.log((80, 1200)))))))
                break
    light = beta_light(20.0, [(a, b, core, 2 / 3, n) for a, b, core, n in true])
    found = search(drawn(20.0, rng, list(zip(x, y, rate, strict=True)), light), threshold=6)
    wide = [f for f in found.sources if f.source.u > 0]
    used, rows = set(), []
    for cx, cy, core, counts in true:
        near = sorted((distance(f, cx, cy), k) for k, f in enumerate(wide))
        near = [k for away, k in near if away < max(core / 4.35, 3) + 2]
        used |= set(near)
        got = (np.nan, np.nan)
        if near:
            seconds = np.array([e[round(cy), round(cx)] for e, _, _ in empty(20.0)])
            best = wide[near[0]].source
            got = extent_at(best.u) / core, float(np.sum(best.rates * seconds)) / counts
        rows.append((core, counts, len(near), *got))
    return rows, len(wide) - len(used)


def clusters(fields):
    """Return rows of what is found of clusters, and how many other extended sources there are a field."""
    found = [cluster_field(number) for number in range(fields)]
    return np.array([row for rows, _ in found for row in rows]), sum(false for _, false in found) / fields


def objects(name, light, rng):
    """Return a row: pieces, objects and points inside of a bright cluster that is no beta model of slope 2/3."""
    found = search(drawn(20.0, rng, (), light), threshold=10)
    result = listed(found.sky, found.sources)
    pieces = [s for s in result.sources if s.object_number]
    points = [s for s in result.sources if not s.object_number]
    inside = sum(np.hypot(s.x - 250, s.y - 260) < 55 for s in points)
    return [name, len(pieces), len(result.objects), inside, len(points) - inside]


def bright(factor, seeds):
    """Return a row: what is found within 5 arcmin of 2 ct/s whose point spread function is not that of the fit."""
    inside = []
    for seed in range(seeds):
        maps = drawn(20.0, np.random.default_rng([19, seed]), [(300.3, 240.6, 2.0)], core_factor=factor)
        found = search(maps, threshold=6)
        inside += [f.tied_ml for f in found.sources if 5 < 4.35 * distance(f, 300.3, 240.6) < 300]
    return [f"{factor:g}", seeds, f"{len(inside) / seeds:.1f}", f"{np.sum(np.array(inside) >= 10) / seeds:.1f}"]


def table(head, rows):
    """Return a table as text."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def blank_table(quick):
    """Return the table of blank fields."""
    head = [
        "exposure",
        "fields",
        "TIED_ML >= 6",
        ">= 7",
        ">= 8",
        ">= 10",
        "extended",
        "background/truth (pn, MOS1, MOS2)",
    ]
    return table(head, [blank(k, 4 if quick else 40) for k in (10.0, 50.0)])


def sky_tables(quick):
    """Return completeness, accuracy and totals of log N - log S."""
    runs = {k: sky(k, 1 if quick else n) for k, n in ((10.0, SKY_FIELDS), (40.0, DEEP_FIELDS))}
    return sky_text(runs)


def sky_text(runs):
    """Return the tables of results of :func:`sky`, by exposure."""
    bins = [*itertools.pairwise(BINS), (27, 1e9)]
    head = ["true counts", *(f"{a:g} to {b:g}" if b < 1e8 else f"from {a:g}" for a, b in bins)]
    rows = []
    for kiloseconds, (hits, _, _) in runs.items():
        for name, kept in (("", hits), (", none brighter within 11 arcsec", hits[hits[:, 2] == 0])):
            inside = [kept[(kept[:, 0] >= a) & (kept[:, 0] < b), 1] for a, b in bins]
            rows.append(
                [f"{kiloseconds:g} ks{name}", *(f"{v.mean():.2f} of {v.size}" if v.size else "" for v in inside)]
            )
    columns = ["exposure", "fields", "found a field", "unmatched", "called extended", "CPU s a field"]
    totals = table(columns, [r[2] for r in runs.values()])
    return "\n\n".join((table(head, rows), totals, accuracy_table(runs[10.0][1])))


def accuracy_table(rows):
    """Return the accuracy of rates and positions by true counts; pulls and distances of isolated sources."""
    lines = []
    for low, high in ((5, 12), (12, 20), (20, 40), (40, 100), (100, 1e9), (5, 1e9)):
        part = rows[(rows[:, 0] >= low) & (rows[:, 0] < high)]
        lone = part[part[:, 1] > 0]
        sure = lone[lone[:, 2] >= 10]
        pull = f"{np.sqrt(np.mean(sure[:, 4:6] ** 2)):.2f}" if len(sure) > 5 else ""
        name = f"{low} to {high}" if high < 1e8 else f"from {low}"
        rate = f"{np.median(part[:, 6]):.2f}", f"{lone[:, 7].mean():.2f} +- {lone[:, 7].std():.2f}"
        lines.append([name, len(part), *rate, f"{np.median(lone[:, 3]):.1f}", pull])
    head = ["true counts", "found", "rate/truth", "pull of the rate", "distance (arcsec)", "pull of the position"]
    return table(head, lines)


def spread_of(values):
    """Return the median and the range of values."""
    return f"{np.median(values):.2f} ({values.min():.2f} to {values.max():.2f})" if len(values) else ""


def cluster_table(quick):
    """Return what is found of clusters."""
    rows, false = clusters(1 if quick else CLUSTER_FIELDS)
    lines = []
    for low, high in ((80, 200), (200, 450), (450, 1201)):
        for core in (10, 20, 40, 80):
            part = rows[(rows[:, 0] == core) & (rows[:, 1] >= low) & (rows[:, 1] < high)]
            got = part[part[:, 2] > 0]
            if len(part):
                name, split = f"{low} to {high - high % 10}", int(np.sum(part[:, 2] > 1))
                sizes = spread_of(got[:, 3]), spread_of(got[:, 4])
                lines.append([name, core, f"{len(got)} of {len(part)}", split, *sizes])
    head = [
        "counts",
        "core radius (arcsec)",
        "found as extended",
        "in several pieces",
        "core radius/truth",
        "rate/truth",
    ]
    return table(head, lines) + f"\n\nExtended sources that are none of them: {false:.2f} a field."


def object_table(_):
    """Return what bright clusters of other shapes become, 25 000 counts in 20 ks."""
    rng = np.random.default_rng(17)
    cases = {
        "beta 2/3, 60 arcsec": lambda: beta_light(20.0, [(250, 260, 60, 2 / 3, 25e3)]),
        "beta 0.55": lambda: beta_light(20.0, [(250, 260, 60, 0.55, 25e3)]),
        "beta 0.9": lambda: beta_light(20.0, [(250, 260, 60, 0.9, 25e3)]),
        "cool core, 8 and 60 arcsec": lambda: beta_light(
            20.0, [(250, 260, 8, 2 / 3, 6e3), (250, 260, 60, 2 / 3, 19e3)]
        ),
        "ellipse 1:2": lambda: ellipse_light(20.0, 250, 260, 50, 2.0, 25e3),
        "two clumps 130 arcsec apart": lambda: beta_light(
            20.0, [(235, 260, 40, 2 / 3, 12e3), (265, 262, 30, 2 / 3, 9e3)]
        ),
    }
    head = ["cluster", "extended pieces", "objects", "points inside", "sources elsewhere"]
    return table(head, [objects(name, make(), rng) for name, make in cases.items()])


def bright_table(quick):
    """Return what a bright source makes around it."""
    head = ["true core radius over that of the fit", "fields", "within 5 arcmin, TIED_ML >= 6", ">= 10"]
    return table(head, [bright(f, 1 if quick else 4) for f in (1.0, 1.08, 0.92)])


TABLES = {
    "blank": blank_table,
    "sky": sky_tables,
    "clusters": cluster_table,
    "objects": object_table,
    "bright": bright_table,
}


def main():
    """Make the tables, print them, and write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few fields")
    parser.add_argument("--only", choices=TABLES, help="one table")
    parser.add_argument("--write", action="store_true", help="write the tables into the page")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page, by default docs/detection.md")
    options = parser.parse_args()
    for name in [options.only] if options.only else TABLES:
        text = TABLES[name](options.quick)
        print(f"{name}\n{text}\n", flush=True)
        if options.write:
            begin, end = f"<!-- detection: {name} -->", f"<!-- end of detection: {name} -->"
            page = options.page.read_text(encoding="utf-8")
            before, rest = page.split(begin)
            options.page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
