"""Samples of ten thousand observations: what a plan costs, what one mosaic of it pulls in, and finding files.

The plan is of 10,000 observations (300 with ``--small``) x 3 cameras x 2 bands, from event lists: no file is needed.
Its limits are absolute: 2 kB and 200 us a step (the best of three, for the machine may be busy).

Files are found in a tree of 1000 observations (30) of 16 FITS files each, with headers like those of SAS and hardly
any data. Three peers read the same headers, each up to that of the first HDU with data, as ``find_observations`` does:
``astropy.io.fits`` (open, and one keyword), which is what people would write and what the limit of 3 is against; our
own ``read_headers``, so that the ratio is the cost of understanding them; and a bare loop over the blocks of 2880 bytes
that looks for END and nothing else.
"""

import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from astropy.io import fits
from attrs import evolve
from timing import arguments, compare

import xphotfn as xp
from xphotfn.io.fits import read_headers
from xphotfn.records.observation import FoundFile
from xphotfn.simulate.observing import simulate_observations
from xphotfn.simulate.scene import default_scene

BANDS = (xp.energy_band("0.5 keV", "2 keV"), xp.energy_band("2 keV", "10 keV"))
CAMERAS = (("pn", "S003"), ("mos1", "S001"), ("mos2", "S002"))
KB_A_STEP, US_A_STEP, TIMES_HEADERS = 2.0, 200.0, 3.0
BLOCK = 2880


def field_of(number):
    """Return a target with one observation that has event lists, attitude and calibration index."""
    obs_id, ra = f"{number:010d}", number * 0.03 % 360

    def found(name):
        return FoundFile(path=f"/archive/{obs_id}/{obs_id}_{name}", size=10**6 + number, mtime_ns=10**18 + number)

    exposures = [
        xp.Exposure(instrument=camera, exposure_id=exposure, exposure_s=1e4, events=found(f"{camera}_evts.fits"))
        for camera, exposure in CAMERAS
    ]
    observation = xp.Observation(
        obs_id=obs_id, ra_deg=ra, dec_deg=0.0, exposures=exposures, attitude=found("att.fits"), cif=found("ccf.cif")
    )
    target = xp.point_source(f"target {obs_id}", ra, 0.0, radius="30 arcsec")
    member = xp.FieldObservation(observation=observation, region_grid=observation.grid)
    return xp.Field(target=target, members=[member], centre_ra_deg=ra, centre_dec_deg=0.0)


def missed(what, value, limit, unit, check):
    """Print a number with its limit; say so and stop where it is missed and limits are checked."""
    print(f"{what:52s} {value:8.3f} {unit} (limit {limit:g})")
    if check and value > limit:
        sys.exit(f"{what}: {value:.3f} {unit} is above the limit of {limit}")


def plans(count, check):
    fields = tuple(field_of(number) for number in range(1, count + 1))
    start = time.process_time()
    matched = xp.match_observations([f.target for f in fields], [f.observations[0] for f in fields], within="1 arcmin")
    seconds = time.process_time() - start
    assert [f.obs_ids for f in matched[:1000]] == [f.obs_ids for f in fields[:1000]]
    print(
        f"matching {count} targets with {count} observations: {seconds:.2f} s, {seconds / count * 1000:.2f} ms a target"
    )
    del matched
    seconds = []
    for _ in range(3):
        start = time.process_time()
        plan = xp.plan_photometry(fields, BANDS, flares="keep")
        seconds.append(time.process_time() - start)
        steps = len(plan.steps)
        del plan
    assert steps == count * (6 + 6 + 4)
    missed(f"planning {steps} steps, each", min(seconds) / steps * 1e6, US_A_STEP, "us", check)
    tracemalloc.start()
    plan = xp.plan_photometry(fields, BANDS, flares="keep")
    size, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    missed("its memory, each step", size / steps / 1000, KB_A_STEP, "kB", check)
    missed("its memory while it is planned, each step", most / steps / 1000, KB_A_STEP, "kB", check)
    return plan


def one_mosaic(plan):
    """Ask for the last mosaic of exposure maps: 3 images, 3 exposure maps and itself."""
    import dask

    with tempfile.TemporaryDirectory() as store:
        delayed = xp.to_delayed(plan, engine=xp.native_engine(), store=store)
    wanted = [p for p in plan.products if p.obs_id == "combined" and p.kind == "exposure_map"][-1]
    start = time.process_time()
    (one,) = dask.optimize(delayed[wanted.step])
    needed = len(one.__dask_graph__())
    print(f"one mosaic of {len(plan.steps)} steps needs {needed}, told in {time.process_time() - start:.3f} s")
    assert needed == 7, needed


def small_tree(root, count):
    """Write observations with the headers of simulated ones: images of 8 x 8 pixels, event lists of 60 s."""
    scene = default_scene()
    first = scene.pointings[0]
    cameras = [evolve(e, ontime_s=60.0) for e in first.exposures]
    scene = evolve(scene, bands=BANDS, pointings=[evolve(first, exposures=cameras)])
    with tempfile.TemporaryDirectory() as folder:
        simulate_observations(Path(folder), scene=scene, products=("events", "image", "exposure_map"))
        files = {path.name: smaller(path) for path in sorted(Path(folder).rglob("*")) if path.is_file()}
    for number in range(count):
        obs_id = f"09{number:06d}01"
        (root / obs_id).mkdir()
        for name, content in files.items():
            (root / obs_id / name.replace(first.obs_id, obs_id)).write_bytes(
                content.replace(first.obs_id.encode(), obs_id.encode())
            )
    return [path for path in sorted(root.rglob("*")) if path.suffix != ".reg"]


def smaller(path):
    """Return the bytes of a file, images cut down to 8 x 8 pixels."""
    if path.suffix == ".reg":
        return path.read_bytes()
    with fits.open(path) as hdus:
        if hdus[0].header["NAXIS"] == 2:
            cut = fits.PrimaryHDU(np.zeros((8, 8), dtype=np.float32), header=hdus[0].header)
            cut.writeto(path, overwrite=True)
    return path.read_bytes()


def astropy_headers(paths):
    for path in paths:
        with fits.open(path, memmap=True, lazy_load_hdus=True) as hdus:
            if hdus[0].header["NAXIS"] == 0:
                hdus[1].header.get("OBS_ID")


def bare_headers(paths):
    for path in paths:
        with path.open("rb") as stream:
            while True:
                block = stream.read(BLOCK)
                first = block
                while b"END     " not in {block[at : at + 8] for at in range(0, BLOCK, 80)}:
                    block = stream.read(BLOCK)
                if b"NAXIS   =                    0" not in first:
                    break


def finding(count, repeats, check):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = [path for path in small_tree(root, count) if path.is_file()]
        assert len(xp.find_observations(root)) == count
        print(f"{count} observations, {len(paths)} FITS files")
        runs = [root] * repeats
        compare(
            "find_observations / astropy reading the headers",
            xp.find_observations,
            lambda _: astropy_headers(paths),
            runs,
            limit=TIMES_HEADERS,
            check=check,
        )
        compare(
            "find_observations / our read_headers",
            xp.find_observations,
            lambda _: [read_headers(path, complete=True) for path in paths],
            runs,
            limit=float("inf"),
        )
        compare(
            "find_observations / a bare loop over header blocks",
            xp.find_observations,
            lambda _: bare_headers(paths),
            runs,
            limit=float("inf"),
        )


def main():
    options = arguments(__doc__)
    plan = plans(300 if options.small else 10_000, options.check)
    one_mosaic(plan)
    del plan
    finding(30 if options.small else 1000, 2 if options.small else 3, options.check)


if __name__ == "__main__":
    main()
