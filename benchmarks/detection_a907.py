"""Sources of Abell 907 beside XAPA's regions: what is found, what the cluster is, whether the extras are there again.

    XPHOTFN_TEST_DATA=data/a907 python benchmarks/detection_a907.py [folder of the products]

Prints the table of docs/detection.md.
"""

import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import astropy.units as u
import numpy as np

import xphotfn as xp

try:
    from benchmarks import detection_calibration as sky
except ImportError:  # run as a file
    import detection_calibration as sky
from xphotfn.science.coords import separation_deg
from xphotfn.science.detection.search import search
from xphotfn.science.shapes import sky_centres

FIRST, BAND = "0404910601", xp.energy_band(0.5 * u.keV, 2 * u.keV)
MATCH_ARCSEC, FAR_ARCMIN, LEAST_SECONDS = 17.0, 3.0, 300.0
MOST_ML, SKY_FIELDS = 16.0, 4


def a907():
    radii = {"r500": 1200 * u.kpc, "r200": 1700 * u.kpc}
    return xp.galaxy_cluster("A907", 149.59209 * u.deg, -11.05972 * u.deg, redshift=0.16, **radii)


def searched(root, store):
    field = xp.match_observations(a907(), xp.find_observations(root))
    plan = xp.plan_photometry(field, BAND, reference=FIRST, regions="detect")
    run = xp.run(plan, engine=xp.native_engine(), store=store, workers=1)
    return field, xp.raise_for_failures(run)


def recovered(member, sources):
    """Return how many of XAPA's point regions have a point within 17 arcsec, and the numbers of these sources."""
    red = [r for r in member.regions if r.colour == "red"]
    ra, dec = sky_centres(red, member.region_grid)
    points = sources.points
    apart = 3600 * np.array([separation_deg(s.ra_deg, s.dec_deg, ra, dec) for s in points])
    nearest = apart.argmin(axis=0)
    found = apart.min(axis=0) < MATCH_ARCSEC
    return int(found.sum()), len(red), {points[n].number for n in nearest[found]}


def cluster(member, sources):
    """Return by how many pixels and degrees the cluster's ellipse differs from XAPA's, and both sizes."""
    ours = max(sources.objects, key=lambda o: o.semi_major_arcsec * o.semi_minor_arcsec)
    theirs = member.match
    ra, dec = sky_centres([theirs], member.region_grid)
    pixel = 3600 * member.region_grid.pixel_deg
    apart = 3600 * float(separation_deg(ours.ra_deg, ours.dec_deg, ra, dec)[0]) / pixel
    turn = (ours.position_angle_deg - (theirs.angle_deg - 90) + 90) % 180 - 90
    return apart, turn, (ours.semi_major_arcsec / pixel, ours.semi_minor_arcsec / pixel), theirs.size


def extras(member, sources):
    """Return the points beyond XAPA's that lie far from the cluster, and whose circle holds their own light alone."""
    centre, (_, _, known) = a907(), recovered(member, sources)
    others = xp.SourceFlag.INSIDE_EXTENDED | xp.SourceFlag.NEAR_BRIGHT
    own = [s for s in sources.points if s.number not in known and not s.flags & others]
    return [s for s in own if 60 * separation_deg(s.ra_deg, s.dec_deg, centre.ra_deg, centre.dec_deg) > FAR_ARCMIN]


def replicated(run, obs_id, far):
    """Return rates of sources in the observation that found them and in the others, with variances: shape (4, sources).

    Rates of whole point sources within 20 arcsec of the position that was found, summed over the cameras that see a
    source on both sides. Those of other observations are their counts over their exposures, not a mean weighted with
    errors, which few counts make small.
    """
    positions = np.array([[s.ra_deg, s.dec_deg] for s in far]) * u.deg
    found = np.zeros((4, len(far)))
    for instrument in ("pn", "mos1", "mos2"):
        maps = [m for m in xp.rate_maps(run) if m.instrument == instrument]
        sides = [[m for m in maps if (m.obs_id == obs_id) == here] for here in (True, False)]
        rates = [_rate(side, positions) for side in sides]
        seen = np.isfinite(rates[0][0]) & np.isfinite(rates[1][0])
        found += np.where(seen, np.vstack(rates), 0.0)
    return found[:, found[1] > 0]


def _rate(maps, positions):
    """Return the rates of some maps together and their variances, NaN where none sees half of a circle."""
    sums = np.zeros((3, len(positions)))
    for item in maps:
        t = xp.photometry(item, positions, radius=20 * u.arcsec, psf="epic")
        seconds, rate, low, high = (_value(t[n]) for n in ("effective_exposure", "rate", "rate_low", "rate_high"))
        good = np.isfinite(rate) & (seconds > LEAST_SECONDS)
        net, error = np.where(good, rate * seconds, 0.0), np.where(good, (high - low) / 2 * seconds, 0.0)
        sums += np.array([net, error**2, np.where(good, seconds, 0.0)])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([sums[0] / sums[2], sums[1] / sums[2] ** 2])


def ratio_of(rates):
    """Return the light elsewhere over that here, its error, and the number of sources."""
    here, here_variance, there, there_variance = rates.sum(axis=1)
    ratio = there / here
    return ratio, ratio * np.hypot(here_variance**0.5 / here, there_variance**0.5 / there), rates.shape[1]


def by_chance(fields, kiloseconds=7.0, deep=70.0):
    """Return what the ratio is where all is known: log N - log S, DET_ML 10 to 16, a second look without noise.

    Sources at the threshold are found where the noise is upward (Eddington's bias), so the second look sees less.
    """
    here = there = 0.0
    size = 0
    for number in range(fields):
        rng = np.random.default_rng([29, number])
        x, y, rate = sky.sources_of_sky(kiloseconds, rng)
        points = list(zip(x, y, rate, strict=True))
        first, second = (sky.drawn(k, rng, points) for k in (kiloseconds, deep))
        found = search(first, threshold=10.0)
        truth = [SimpleNamespace(image=b) for _, b, _ in sky.empty(deep)]
        for source in (f.source for f in found.sources if f.det_ml < MOST_ML and f.source.u == 0):
            size += 1
            here += sum(_circle(m, b, source) for m, b in zip(first, found.sky.backgrounds, strict=True))
            there += sum(_circle(m, b, source) for m, b in zip(second, truth, strict=True))
    return there / here, size


def _circle(item, background, source):
    """Return the light within 20 arcsec of a source, per second."""
    rows, columns = np.indices(item.counts.shape)
    inside = np.hypot(columns - source.x, rows - source.y) * item.pixel_arcsec < 20
    seconds = float(item.exposure[inside].mean())
    return float((item.counts - background.image)[inside & (item.exposure > 0)].sum()) / seconds if seconds else 0.0


def _value(column):
    return np.asarray(getattr(column, "value", column), dtype=float)


def main(root, store):
    field, run = searched(root, store)
    lists = xp.source_lists(run)
    member, sources = field.member(FIRST), lists[FIRST]
    print(f"{FIRST}: {sources}")
    count, total, _ = recovered(member, sources)
    print(f"XAPA's point regions with a point: {count} of {total}")
    apart, turn, ours, theirs = cluster(member, sources)
    sizes = f"{ours[0]:.0f} x {ours[1]:.0f} pixels, XAPA {theirs[0]:.0f} x {theirs[1]:.0f}"
    print(f"cluster: centre {apart:.1f} pixels, angle {turn:+.0f} deg; {sizes}")
    wide = [o for o in sources.objects if o.semi_major_arcsec >= 60]
    print(f"extended objects of 60 arcsec or more beside it: {len(wide) - 1}")
    again(field, run)
    compared(field, run)


def again(field, run):
    """Print the light of the extras of each observation in the other two."""
    every = []
    for obs_id, sources in xp.source_lists(run).items():
        far = extras(field.member(obs_id), sources)
        every.append(replicated(run, obs_id, far))
        text = "{:.2f} +- {:.2f} of {}".format(*ratio_of(every[-1]))
        print(f"{obs_id}: {len(far)} extras beyond {FAR_ARCMIN:g} arcmin, light elsewhere over light here {text}")
    print("all: {:.2f} +- {:.2f} of {}".format(*ratio_of(np.hstack(every))))
    ratio, size = by_chance(SKY_FIELDS)
    print(f"simulated fields of known truth: {ratio:.2f} of {size}", flush=True)


CUTS = (
    {}, {"level": 0.5}, {"level": 0.3}, {"cut": "encircled", "level": 0.7}, {"cut": "encircled"},
    {"cut": 13 * u.arcsec},
)  # fmt: skip


def compared(field, run):
    """Print the signal-to-noise with XAPA's regions and with those that were found, for several cuts."""
    combined, lists = xp.combined_rate_map(run), xp.source_lists(run)
    cut = {str(how): {o: xp.source_regions(found, **how) for o, found in lists.items()} for how in CUTS}
    for region in ("r500", 300 * u.kpc):
        for name, one in (("XAPA", field), *((how, xp.with_regions(field, of)) for how, of in cut.items())):
            m = xp.snr(combined, one, region)
            inside = xp.source_mask(combined, one, region)[0]
            kept = float(xp.interloper_mask(combined, one)[inside].mean())
            print(
                f"{region}, {name}: {m.value:.2f} sigma, net {m.net_counts:.0f}, alpha {m.alpha:.4f}, kept {kept:.3f}"
            )


if __name__ == "__main__":
    data = os.environ.get("XPHOTFN_TEST_DATA")
    if not data:
        sys.exit("set XPHOTFN_TEST_DATA to the folder of Abell 907")
    main(Path(data), Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
