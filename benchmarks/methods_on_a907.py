"""The tutorial's nine signal-to-noise ratios under every definition, side by side, and what makes each difference.

The maps are the nine of Abell 907 (three ObsIDs, three cameras, 0.5-2.0 keV), the region is R500 around the peak, as in
``snr_ranking(maps, field, "r500", method="xga")``, whose values are the tutorial's. The first table holds every
definition; the second walks from XGA's value to the default's, one change at a time. ``--data`` names the folder that
holds ``a907``; ``--write`` puts the tables into docs/statistics.md.
"""

import argparse
import tempfile
from pathlib import Path

import astropy.units as u

import xphotfn as xp
from xphotfn.science.snr_methods import signal_to_noise

ROOT = Path(__file__).resolve().parents[1]
METHODS = {
    "xga": xp.xga_method(),
    "xga, negative pixels kept": xp.xga_method(allow_negative=True),
    "xga, by area": xp.xga_method(exp_corr=False),
    "gaussian-known-background": "gaussian-known-background",
    "gaussian": "gaussian",
    "li-ma": "li-ma",
    "mid-p": "mid-p",
    "exact": "exact",
}


def journey(data, store):
    """Return the nine rate maps, the combined one, and the field centred on its peak, as the tutorial makes them."""
    band = xp.energy_band(0.5 * u.keV, 2 * u.keV)
    target = xp.galaxy_cluster(
        "A907", 149.59209 * u.deg, -11.05972 * u.deg, redshift=0.16, r500=1200 * u.kpc, r200=1700 * u.kpc
    )
    field = xp.match_observations(target, xp.find_observations(Path(data) / "a907"))
    plan = xp.plan_photometry(field, band, reference="0404910601")
    run = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=store, progress=False))
    combined = xp.combined_rate_map(run)
    return xp.rate_maps(run), combined, xp.with_centre(field, xp.find_peak(combined, field).position)


def ranked(maps, field, region="r500"):
    """Return (map, values by definition, measurement) of every map, worst first by XGA's definition."""
    rows = []
    for item in maps:
        found = {name: xp.snr(item, field, region, method=method) for name, method in METHODS.items()}
        rows.append((item, {name: float(one) for name, one in found.items()}, found["mid-p"]))
    return sorted(rows, key=lambda row: row[1]["xga"])


def steps(values):
    """Return the way from XGA's value to the default's: what each single change adds; the sum is exact."""
    order = {
        "clipping": "xga, negative pixels kept",
        "background rate": "gaussian-known-background",
        "background variance": "gaussian",
        "no source assumed": "li-ma",
        "whole counts": "mid-p",
    }
    names = ["xga", *order.values()]
    return {what: values[new] - values[old] for what, old, new in zip(order, names, names[1:], strict=False)}


def name_of(item):
    return f"{item.obs_id} {item.instrument}" if item.obs_id != "combined" else "combined"


def values_table(rows):
    lines = ["| map | N | B | alpha | areas | " + " | ".join(METHODS) + " |", "|" + "---|" * (5 + len(METHODS))]
    for item, values, one in rows:
        cells = [name_of(item), f"{one.counts:.6g}", f"{one.background_counts:.6g}", f"{one.alpha:.3f}"]
        cells.append(f"{one.area_pix / one.background_area_pix:.3f}")
        lines.append("| " + " | ".join([*cells, *(f"{v:.2f}" for v in values.values())]) + " |")
    return "\n".join(lines)


def steps_table(rows):
    found = [(name_of(item), values, steps(values)) for item, values, _ in rows]
    lines = ["| map | xga | " + " | ".join(found[0][2]) + " | mid-p |", "|" + "---|" * (3 + len(found[0][2]))]
    for name, values, changes in found:
        cells = [f"{values['xga']:.2f}", *(f"{v:+.2f}" for v in changes.values()), f"{values['mid-p']:.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def masks_table(rows, field):
    """Return XGA's definition with its own masks and with ours, where they differ: a radius as a Quantity."""
    radius = 300 * u.kpc
    lines = ["| map, 300 kpc | XGA's masks | pixel centres |", "|---|---|---|"]
    for item, _, _ in rows:
        own = float(xp.snr(item, field, radius, method="xga"))
        ours = signal_to_noise(item.image.data, item.exposure.data, *xp.mask(item, field, radius), "xga").value
        lines.append(f"| {name_of(item)} | {own:.2f} | {ours:.2f} |")
    return "\n".join(lines)


def put(text, mark, table):
    """Replace what stands between two comments of a page."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    return text[: text.index(begin) + len(begin)] + "\n" + table + "\n" + text[text.index(end) :]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=ROOT.parent / "shared" / "data", help="folder that holds a907")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/statistics.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        maps, combined, field = journey(options.data, store)
        rows = ranked(maps, field)
        everything = [*rows, *ranked([combined], field)]
        tables = {
            "methods": values_table(everything),
            "methods: steps": steps_table(everything),
            "methods: masks": masks_table(everything, field),
        }
    print("\n\n".join(tables.values()))
    if options.write:
        page = ROOT / "docs" / "statistics.md"
        text = page.read_text(encoding="utf-8")
        for mark, table in tables.items():
            text = put(text, mark, table)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
