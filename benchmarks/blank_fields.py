"""Significances of blank sky through the whole chain: simulated events, images, exposure maps, masks and ``snr``.

Each field is an event list of empty sky with chip gaps, vignetting and a drifting attitude, of random pointing, camera,
exposure and background. The native engine makes its image and exposure map, ``mask`` a source circle and its annulus at
random places, ``snr`` the significance under every definition. Two sets: ``sky``, a background that is vignetted as
the exposure map says, at any place; ``cluster``, the usual sky and particles (not vignetted) under circles as large as
R500 of a cluster on axis, where alpha from the vignetted map is wrong and the mixed alpha is right.

Means, widths and rates are averages over fields of averages over the places of a field, and their errors come from
the scatter of the fields. Beside them stands what exact sums over Poisson counts expect of the same places.

``--write`` puts the tables into docs/statistics.md, the histograms into docs/tables/blank_fields.csv and draws
docs/pictures/blank_fields.png.
"""

import argparse
import csv
import math
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import astropy.units as u
import numpy as np
from scipy import stats

import xphotfn as xp
from xphotfn.science.significance import mid_p_significance
from xphotfn.simulate.scene import EFFICIENCY, SOFT
from xphotfn.testing import CameraExposure, Pointing, Scene, model_counts, simulate_observations

DOCS = Path(__file__).resolve().parents[1] / "docs"
METHODS = ("mid-p", "exact", "li-ma", "gaussian", "xga")
MIXED = "mid-p, mixed alpha"
SETS = ("sky", "cluster")
PER_POINTING = 25  # fields that share pointing, camera and exposure time, and with them what a camera sees
PLACES = {"sky": 6, "cluster": 2}
VIGNETTED = {"sky": 1.0, "cluster": 1.4 / 1.9}  # part of the background on axis; 1.4 / 1.9 is the default scene's
EDGES = np.arange(-8.0, 30.01, 0.25)  # of the histograms; what lies outside is counted in the outermost bins
SIGMAS = (1, 2, 3)
NAMES = {"sky": METHODS, "cluster": (*METHODS, MIXED)}


def blank_scene(kind, number, seed):
    """Return empty sky seen once by one camera, with 0.01 to 3 counts per pixel on axis."""
    shared = np.random.default_rng([seed, SETS.index(kind), number // PER_POINTING])
    own = np.random.default_rng([seed, SETS.index(kind), number, 1])
    camera = CameraExposure(
        instrument=shared.choice(["mos1", "mos2", "pn"], p=[0.3, 0.6, 0.1]), exposure_id="S001",
        ontime_s=10 ** shared.uniform(2.3, 3.3), live_fraction=shared.uniform(0.9, 1.0),
    )  # fmt: skip
    pointing = Pointing(
        obs_id=f"{990000000 + 100 * number + 1:010d}", ra_deg=shared.uniform(0, 360), dec_deg=shared.uniform(-70, 70),
        pa_deg=shared.uniform(0, 360), exposures=[camera],
    )  # fmt: skip
    level = 10 ** own.uniform(math.log10(0.01), math.log10(3.0))
    rate = level / camera.live_s / EFFICIENCY[camera.instrument] / (pointing.grid.pixel_deg * 60) ** 2
    part = VIGNETTED[kind]
    return Scene(pointings=[pointing], sky_rate=part * rate, particle_rate=(1 - part) * rate)


def places(kind, scene, random):
    """Yield a target and a radius, without end: anywhere for ``sky``, near the axis and large for ``cluster``."""
    pointing = scene.pointings[0]
    reach, (least, most) = {"sky": (13.0, (0.4, 4.0)), "cluster": (2.0, (4.0, 7.5))}[kind]
    while True:
        distance, angle = reach * math.sqrt(random.uniform()) / 60, random.uniform(0, 2 * math.pi)
        dec = pointing.dec_deg + distance * math.cos(angle)
        ra = (pointing.ra_deg + distance * math.sin(angle) / math.cos(math.radians(dec))) % 360
        radius = 10 ** random.uniform(math.log10(least), math.log10(most)) * u.arcmin
        yield xp.extended_source("blank", ra, dec, radius=radius), radius


def measure(kind, number, seed):
    """Return for each place of one field what the source circle is expected to hold, the moments, and all values."""
    scene = blank_scene(kind, number, seed)
    camera = scene.pointings[0].exposures[0].instrument
    model = model_counts(scene, scene.pointings[0], camera, SOFT)
    random, found = np.random.default_rng([seed, SETS.index(kind), number, 2]), []
    with tempfile.TemporaryDirectory() as folder:
        simulate_observations(folder, seed=number, scene=scene, products="events")
        observations = xp.find_observations(folder)
        (rate_map,), weights = maps(observations, Path(folder, "store"), vignetting=True), None
        if kind == "cluster":
            (flat,) = maps(observations, Path(folder, "store"), vignetting=False)
            weights = xp.background_weights(rate_map.exposure.data, flat.exposure.data, VIGNETTED[kind])
        for target, radius in places(kind, scene, random):
            try:
                found.append(one_place(rate_map, xp.match_observations(target, observations), radius, model, weights))
            except xp.NoData:  # in a gap or off the field of view
                continue
            if len(found) == PLACES[kind]:
                return found
    return found


def maps(observations, store, *, vignetting):
    """Return the rate maps of observations, their exposure with or without vignetting."""
    plan = xp.plan_exposure_maps(xp.bulk_field(observations), SOFT, vignetting=vignetting)
    run = xp.run(plan, engine=xp.native_engine(), store=store, scheduler="synchronous", progress=False)
    return xp.rate_maps(xp.raise_for_failures(run))


def one_place(rate_map, field, radius, model, weights):
    """Return expected counts in the circle, exact moments of mid-p, its false alarms, and the values by method."""
    measured = {name: xp.snr(rate_map, field, radius, method=name) for name in METHODS}
    values = {name: float(m) for name, m in measured.items()}
    source, background = xp.mask(rate_map, field, radius)
    one = measured["mid-p"]
    expected = [float(model.background[mask & (rate_map.exposure.data > 0)].sum()) for mask in (source, background)]
    if weights is not None:
        one = xp.snr(rate_map, field, radius, background_weights=weights)
        values[MIXED] = float(one)
    return expected[0], moments(*expected, one.alpha), values


def moments(source, background, alpha):
    """Return mean, mean square and false alarms of mid-p at ``SIGMAS`` by exact sums; Gaussian where counts abound."""
    if source > 40:
        return (0.0, 1.0, *(2 * stats.norm.sf(s) for s in SIGMAS))
    n, b = (
        np.arange(int(stats.poisson.ppf(1e-9, m)), int(stats.poisson.isf(1e-9, m)) + 1) for m in (source, background)
    )
    weights = stats.poisson.pmf(n, source)[:, None] * stats.poisson.pmf(b, background)
    z = mid_p_significance(n[:, None], b, alpha)
    return (*(float(np.sum(weights * z**p)) for p in (1, 2)), *(float(weights[np.abs(z) >= s].sum()) for s in SIGMAS))


def fields(kind, count, seed, workers=1):
    """Return what :func:`measure` says of ``count`` fields."""
    job = partial(measure, kind, seed=seed)
    if workers == 1:
        return [job(number) for number in range(count)]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(job, range(count), chunksize=PER_POINTING))


def average(per_field):
    """Return mean and error of values given for each field: the mean over fields of their means."""
    means = np.array([np.mean(values) for values in per_field if len(values)])
    if not np.all(np.isfinite(means)):
        return float(means.sum()), math.nan  # the exact test is -inf without counts
    return float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means)))


def statistics(found, name, chosen=lambda _: True):
    """Return mean, width and two-sided false alarms of a method, each as (value, error), and the number of places."""
    z = [np.array([v[name] for expected, _, v in places if chosen(expected)]) for places in found]
    mean, square = average(z), average([v**2 for v in z])
    width = (math.sqrt(square[0]), square[1] / (2 * math.sqrt(square[0])))
    return mean, width, [average([np.abs(v) >= s for v in z]) for s in SIGMAS], sum(map(len, z))


def expectation(found, chosen=lambda _: True):
    """Return the same five numbers of mid-p as exact sums expect them of the same places."""
    rows = [np.array([m for expected, m, _ in places if chosen(expected)]) for places in found]
    mean, square, *alarms = np.mean([r.mean(axis=0) for r in rows if len(r)], axis=0)
    return float(mean), math.sqrt(square), [float(a) for a in alarms]


def within(value, error, digits):
    return f"{value:+.{digits}f} ± {error:.{digits}f}" if math.isfinite(error) else f"{value:g}"


def line(name, mean, width, alarms):
    rates = (f"{100 * rate:.2f} ± {100 * error:.2f}" for rate, error in alarms)
    return f"| {name} | {within(*mean, 3)} | {within(*width, 3).lstrip('+')} | " + " | ".join(rates) + " |"


def plain(name, mean, width, alarms):
    return f"| {name} | {mean:+.3f} | {width:.3f} | " + " | ".join(f"{100 * rate:.2f}" for rate in alarms) + " |"


HEAD = [
    "| definition | mean | width | beyond 1 sigma, % | 2 sigma, % | 3 sigma, % |",
    "|---|---|---|---|---|---|",
]


def set_table(found, names):
    """Return the table of one set of fields: every definition, what is nominal and what mid-p should give."""
    rows = [line(name, *statistics(found, name)[:3]) for name in names]
    nominal = plain("*nominal*", 0.0, 1.0, [2 * stats.norm.sf(s) for s in SIGMAS])
    return "\n".join([*HEAD, *rows, plain("*mid-p, exact sums*", *expectation(found)), nominal])


COUNTS = ((0, 3), (3, 10), (10, 40), (40, 400), (400, math.inf))


def counts_table(found):
    """Return mid-p by the counts that are expected in the source circle."""
    rows = []
    for low, high in COUNTS:
        chosen = partial(between, low, high)
        mean, width, alarms, number = statistics(found, "mid-p", chosen)
        name = f"{low} to {high:g}" if math.isfinite(high) else f"above {low}"
        rows += [
            line(f"{name} ({number} places)", mean, width, alarms),
            plain("*exact sums*", *expectation(found, chosen)),
        ]
    return "\n".join([HEAD[0].replace("definition", "counts in the circle"), HEAD[1], *rows])


def between(low, high, expected):
    return low <= expected < high


def histograms(found):
    """Return rows of the histograms of all sets: set, lower edge of the bin, number of places by definition."""
    rows = []
    for kind, measured in found.items():
        values = [v for places in measured for _, _, v in places]
        columns = {n: np.histogram([np.clip(v[n], *EDGES[[0, -1]]) for v in values], EDGES)[0] for n in NAMES[kind]}
        rows += [(kind, low, *(int(columns[n][i]) if n in columns else "" for n in NAMES["cluster"]))
                 for i, low in enumerate(EDGES[:-1])]  # fmt: skip
    return rows


def write_histograms(path, found):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("set", "low", *NAMES["cluster"]))
        writer.writerows(histograms(found))


def draw_blank_fields(path, table=DOCS / "tables" / "blank_fields.csv"):
    """Draw the histograms of the significances, from the numbers that ``--write`` has put into ``table``."""
    from matplotlib.figure import Figure

    with Path(table).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(10, 4), layout="constrained")
    shown = {"sky": ("mid-p", "li-ma", "xga"), "cluster": (MIXED, "mid-p", "xga")}
    labels = {
        "cluster": {"mid-p": "mid-p, alpha of the exposure map", MIXED: "mid-p, mixed alpha"},
        "sky": {"li-ma": "Li & Ma"},
    }
    titles = {
        "sky": "sky alone, anywhere in the field",
        "cluster": "sky and particles, circles of 4 to 7.5 arcmin on axis",
    }
    for panel, kind in zip(figure.subplots(1, 2), SETS, strict=True):
        mine = [row for row in rows if row["set"] == kind]
        low = np.array([float(row["low"]) for row in mine])
        step = low[1] - low[0]
        for name in shown[kind]:
            numbers = np.array([int(row[name]) for row in mine])
            label = labels[kind].get(name, {"xga": "XGA's default"}.get(name, name))
            inner = slice(1, -1)  # the outermost bins hold what lies beyond
            panel.stairs((numbers / numbers.sum() / step)[inner], low[1:], label=label)
        sigma = np.linspace(-8, 30, 400)
        panel.plot(sigma, stats.norm.pdf(sigma), color="0.4", lw=0.8, ls=":", label="unit normal")
        panel.set(yscale="log", ylim=(1e-4, 1), xlabel="significance of blank sky (sigma)", title=titles[kind])
        panel.set_ylabel("places per sigma")
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=80)


def put(text, mark, table):
    """Replace what stands between two comments of a page."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    return text[: text.index(begin) + len(begin)] + "\n" + table + "\n" + text[text.index(end) :]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=1000, help="fields of sky alone (default 1000)")
    parser.add_argument("--clusters", type=int, default=300, help="fields with particles too (default 300)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--small", action="store_true", help="a few fields, to see that it runs")
    parser.add_argument("--write", action="store_true", help="write tables and the picture into docs/")
    options = parser.parse_args()
    counts = (10, 5) if options.small else (options.fields, options.clusters)
    how = {"seed": options.seed, "workers": options.workers}
    found = {kind: fields(kind, count, **how) for kind, count in zip(SETS, counts, strict=True)}
    tables = {f"blank fields: {kind}": set_table(found[kind], NAMES[kind]) for kind in SETS}
    tables["blank fields: counts"] = counts_table(found["sky"]) if not options.small else ""
    for mark, table in tables.items():
        print(f"{mark}, seed {options.seed}\n{table}\n")
    if options.write:
        page = DOCS / "statistics.md"
        text = page.read_text(encoding="utf-8")
        for mark, table in tables.items():
            text = put(text, mark, table)
        page.write_text(text, encoding="utf-8")
        write_histograms(DOCS / "tables" / "blank_fields.csv", found)
        (DOCS / "pictures").mkdir(exist_ok=True)
        draw_blank_fields(DOCS / "pictures" / "blank_fields.png")


if __name__ == "__main__":
    main()
