"""The whole journey without any region file: event lists alone, sources detected, masks and signal-to-noise from them.

    python benchmarks/detection_journey.py [folder]

Simulates two observations of a cluster and twelve point sources, takes their region files away, and compares what is
measured with detected regions with what the files of the truth give. Prints the table of docs/detection.md.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import xphotfn as xp
from xphotfn.science.coords import separation_deg
from xphotfn.testing import simulate_observations

MATCH_ARCSEC = 12.0


def journey(folder):
    truth = simulate_observations(folder / "data", products=("events",))
    target, band = truth.cluster.target, truth.scene.bands[0]
    known = xp.match_observations(target, xp.find_observations(folder / "data"))
    for path in (folder / "data").rglob("*.reg"):
        path.unlink()
    field = xp.match_observations(target, xp.find_observations(folder / "data"))
    plan = xp.plan_photometry(field, band, regions="detect")
    run = xp.raise_for_failures(xp.run(plan, engine=xp.native_engine(), store=folder / "store", workers=1))
    return truth, known, field, run


def rows(truth, known, field, run):
    """Yield lines: what, and the numbers."""
    lists, detected, combined = xp.source_lists(run), xp.detected_field(run), xp.combined_rate_map(run)
    true = np.array([[s.ra_deg, s.dec_deg] for s in truth.scene.sources])
    for obs_id, sources in lists.items():
        points = np.array([[s.ra_deg, s.dec_deg] for s in sources.points]).reshape(-1, 2)
        apart = 3600 * separation_deg(true[:, :1], true[:, 1:], points[:, 0], points[:, 1])
        bright = [s.det_ml for s in sources.points]
        unmatched = int((apart.min(axis=0) > MATCH_ARCSEC).sum()) if points.size else 0
        yield f"{obs_id}: true points found", f"{int((apart.min(axis=1) < MATCH_ARCSEC).sum())} of {len(true)}"
        yield f"{obs_id}: other points, objects", f"{unmatched}, {len(sources.objects)}"
        yield f"{obs_id}: faintest DET_ML", f"{min(bright):.1f}"
    regions = {"no regions": field, "regions of the truth": known, "detected": detected}
    for name, one in regions.items():
        measured = xp.snr(combined, one, "r500")
        yield f"signal-to-noise within R500, {name}", f"{measured.value:.2f}, net {measured.net_counts:.0f} counts"


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    for what, numbers in rows(*journey(place)):
        print(f"{what:52s} {numbers}")
