"""Sources of Abell 907 beside XAPA's regions: what is found, what the cluster is, whether the extras are there again.

    XPHOTFN_TEST_DATA=data/a907 python benchmarks/detection_a907.py [folder of the products]

Prints the table of docs/detection.md.
"""

import os
import sys
import tempfile
from pathlib import Path

import astropy.units as u
import numpy as np

import xphotfn as xp
from xphotfn.science.coords import separation_deg
from xphotfn.science.shapes import sky_centres

FIRST, BAND = "0404910601", xp.energy_band(0.5 * u.keV, 2 * u.keV)
MATCH_ARCSEC, FAR_ARCMIN = 17.0, 3.0


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


def replicated(run, sources, extras):
    """Return the light of the extras in the other observations over that in the first, and its error."""
    others = [m for m in xp.rate_maps(run) if m.obs_id != FIRST]
    here = [m for m in xp.rate_maps(run) if m.obs_id == FIRST]
    centre = a907()
    far = [s for s in extras if 60 * separation_deg(s.ra_deg, s.dec_deg, centre.ra_deg, centre.dec_deg) > FAR_ARCMIN]
    if not far:
        return np.nan, np.nan, 0
    positions = np.array([[s.ra_deg, s.dec_deg] for s in far]) * u.deg
    sums = []
    for maps in (here, others):
        rate = variance = 0.0
        for instrument in ("pn", "mos1", "mos2"):
            tables = [xp.photometry(m, positions, radius=20 * u.arcsec) for m in maps if m.instrument == instrument]
            per = np.array([[_value(t["rate"]), (_value(t["rate_high"]) - _value(t["rate_low"])) / 2] for t in tables])
            weight = np.where(np.isfinite(per[:, 0]) & (per[:, 1] > 0), per[:, 1] ** -2.0, 0.0)
            total = weight.sum(axis=0)
            ok = total > 0
            rate += np.where(ok, np.nansum(weight * np.nan_to_num(per[:, 0]), axis=0) / np.where(ok, total, 1), 0).sum()
            variance += np.where(ok, 1 / np.where(ok, total, 1), 0).sum()
        sums.append((rate, variance**0.5))
    ratio = sums[1][0] / sums[0][0]
    return ratio, ratio * np.hypot(sums[0][1] / sums[0][0], sums[1][1] / sums[1][0]), len(far)


def _value(column):
    return np.asarray(getattr(column, "value", column), dtype=float)


def main(root, store):
    field, run = searched(root, store)
    lists = xp.source_lists(run)
    member, sources = field.member(FIRST), lists[FIRST]
    print(f"{FIRST}: {sources}")
    count, total, known = recovered(member, sources)
    print(f"XAPA's point regions with a point: {count} of {total}")
    apart, turn, ours, theirs = cluster(member, sources)
    sizes = f"{ours[0]:.0f} x {ours[1]:.0f} pixels, XAPA {theirs[0]:.0f} x {theirs[1]:.0f}"
    print(f"cluster: centre {apart:.1f} pixels, angle {turn:+.0f} deg; {sizes}")
    wide = [o for o in sources.objects if o.semi_major_arcsec >= 60]
    print(f"extended objects of 60 arcsec or more beside it: {len(wide) - 1}")
    extras = [s for s in sources.points if s.number not in known]
    ratio, error, number = replicated(run, sources, extras)
    print(f"extras beyond {FAR_ARCMIN:g} arcmin: {number}, light elsewhere over light here {ratio:.2f} +- {error:.2f}")
    compared(field, run)


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
