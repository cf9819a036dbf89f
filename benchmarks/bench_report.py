"""Thumbnails straight from arrays to PNG, against a figure with axes on the sky; and a whole report, for information.

Both draw the same part of the same map into a file. The report is that of simulated clusters, one observation of two
cameras each, images and exposure maps found on disk; its first page is measured in bytes.
"""

import tempfile
import time
from pathlib import Path

import astropy.units as u
import numpy as np
from attrs import evolve
from timing import arguments, compare

import xphotfn as xp
from xphotfn.plot.map_png import box_of, colours, png, rate_levels
from xphotfn.plot.view import save_view
from xphotfn.simulate.scene import default_scene
from xphotfn.testing import simulate_observations
from xphotfn.testing.examples import example_rate_map


def thumbnails(folder, options):
    rate_map = example_rate_map()
    counts, exposure = rate_map.image.data, rate_map.exposure.data
    mask = exposure > 0

    def ours(number):
        levels, _ = rate_levels(counts, exposure, box_of(exposure), factor=2, sigma_pix=1.5 + number / 100)
        (folder / "ours.png").write_bytes(png(levels, colours()))

    def theirs(_number):
        save_view(rate_map, folder / "theirs.png", mask=mask, zoom_in=True, figsize=(2.5, 2.5), dpi=100, overwrite=True)

    ours(0)
    theirs(0)  # fonts and colours are found once
    numbers = range(3 if options.small else 15)
    compare("a thumbnail, against a small figure", ours, theirs, numbers, limit=0.25, check=options.check)


def sample(folder, targets):
    """Simulate clusters, each in an observation of its own, and return their run."""
    scene = default_scene()
    found = []
    for number in range(targets):
        ra = (scene.cluster.ra_deg + 2 * number) % 360
        first = evolve(scene.pointings[0], obs_id=f"{999990101 + 1000 * number:010d}", ra_deg=ra)
        pointing = evolve(first, exposures=first.exposures[:2])
        cluster = evolve(scene.cluster, name=f"cluster {number}", ra_deg=ra)
        simulate_observations(folder / "data", scene=evolve(scene, pointings=[pointing], cluster=cluster, sources=()))
        found.append(cluster.target)
    fields = xp.match_observations(found, xp.find_observations(folder / "data"))
    plan = xp.plan_photometry(fields, xp.energy_band(0.5 * u.keV, 2 * u.keV))
    return xp.run(plan, engine=xp.native_engine(), store=folder / "store", progress=False)


def whole(folder, options):
    targets = 3 if options.small else 40
    run = sample(folder, targets)
    wall, cpu = time.perf_counter(), time.process_time()
    index = xp.report(run, folder / "report", progress=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sizes = np.array([p.stat().st_size for p in index.parent.rglob("*") if p.is_file()])
    print(
        f"a report of {targets} targets of 2 maps: {wall / targets * 1e3:.0f} ms each ({cpu / targets * 1e3:.0f} ms of "
        f"CPU), first page {index.stat().st_size / targets:.0f} bytes and folder {sizes.sum() / targets / 1024:.0f} kB "
        "for each target"
    )


def main():
    options = arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        thumbnails(Path(folder), options)
        whole(Path(folder), options)


if __name__ == "__main__":
    main()
