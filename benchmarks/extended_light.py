"""The rate of a cluster through the real exposure maps of Abell 907: bias at high counts, coverage at low ones.

A beta model is drawn through the exposure maps of one observation (pn, mos1, mos2; gaps, vignetting, lost chips), and
measured as anyone would: ``photometry`` and ``joint_photometry`` with their defaults. Beside the rings stand even light
and counts over the mean exposure of the circle. The folder is that of the test data (XPHOTFN_TEST_DATA).
"""

import argparse
import os
import tempfile
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import QTable

import xphotfn as xp
from xphotfn.io.headers import grid_of
from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.photometry.columns import Rules, columns_of
from xphotfn.measure.photometry.sums import ApertureSums, Measured
from xphotfn.records.band import Band
from xphotfn.science.coords import deg_to_pix
from xphotfn.science.disc_sums import sums
from xphotfn.science.discs import disc_weights
from xphotfn.science.intervals import ONE_SIGMA
from xphotfn.science.light import ring_light, ring_radii

CAMERAS = ("pn", "mos1", "mos2")
CENTRE = (149.59251, -11.06396)
RESPONSE = {"pn": 1.0, "mos1": 0.34, "mos2": 0.35}
CORE, REACH = 0.6, 7.5  # arcmin; the model ends before the ring
RING = (8 * u.arcmin, 10 * u.arcmin)
RATES = ("rate", "rate_low", "rate_high", "upper_limit")
SOFT = Band(lo_ev=500, hi_ev=2000)


def real_exposures(folder):
    """Return grid and exposure (s, 0 off the detector) of each camera."""
    found = {}
    for camera in CAMERAS:
        [path] = Path(folder, "0404910601").glob(f"*_{camera}_0.50-2.00keV_expmap.fits*")
        with fits.open(path) as hdus:
            found[camera] = grid_of(hdus[0].header, str(path)), np.nan_to_num(hdus[0].data.astype(np.float64))
    return found


def brightness(grid):
    """Return the beta model on a grid, of sum 1 within its reach, and distances in arcmin."""
    x, y = (float(v) for v in deg_to_pix(grid, *CENTRE))
    rows, columns = np.indices(grid.shape)
    distance = np.hypot(columns - x, rows - y) * grid.pixel_deg * 60
    light = np.where(distance < REACH, (1 + (distance / CORE) ** 2) ** -1.5, 0.0)
    return light / light.sum(), distance


def cluster_maps(folder, exposures, rng, *, counts, background):
    """Return maps of one draw, and the function that gives the pn rate within a radius in arcmin.

    ``counts`` and ``background`` are what pn expects of the cluster, and of the sky within 8 arcmin.
    """
    grid, exposure = exposures["pn"]
    light, distance = brightness(grid)
    rate, sky = counts / np.sum(light * exposure), background / np.sum(exposure[distance < 8])
    maps = []
    for camera, (own_grid, own_exposure) in exposures.items():
        shape, _ = brightness(own_grid)
        expected = RESPONSE[camera] * (rate * shape + sky) * own_exposure
        names = {"obs_id": "0404910601", "exposure_id": "S003", "instrument": camera, "band": SOFT, "grid": own_grid}
        paths = [Path(folder) / f"{camera}_{kind}.fits" for kind in ("image", "exposure")]
        for path, array in zip(paths, (rng.poisson(expected).astype(np.int32), own_exposure), strict=True):
            write_image(path, array, own_grid, [], overwrite=True)
        maps.append(
            RateMap(image=Image(path=str(paths[0]), **names), exposure=ExposureMap(path=str(paths[1]), **names))
        )
    return maps, lambda radius: rate * float(light[distance < radius].sum())


def coverage(seen, cases, *, draws, shift=(0, 0), seed=1):
    """Return, of each case, how often interval and limit hold the truth, and the mean rate over it with its error.

    A case is a radius in arcmin, the counts expected of the cluster and of the background in it, and alpha. ``shift``
    moves the cluster on the detector, in pixels.
    """
    rng, (grid, exposure) = np.random.default_rng(seed), seen
    moved = np.roll(exposure, shift, (0, 1))
    found = []
    for case in cases:
        columns, truth, _ = _drawn(rng, (grid, moved), case, draws)
        found.append(_held(columns, truth))
    return found


def joint_coverage(exposures, cases, *, maps, draws, seed=1):
    """Return the same of ``joint_photometry`` over a number of maps: all cameras, the cluster at other places."""
    rng, found = np.random.default_rng(seed), []
    seen = [(g, np.roll(e, (10 * n, 14 * n), (0, 1))) for n in range(maps) for g, e in [exposures[CAMERAS[n % 3]]]]
    for radius, source, sky, alpha in cases:
        _, truth, rate = _drawn(rng, seen[0], (radius, source, sky, alpha), 1)
        parts = [_drawn(rng, item, (radius, None, sky, alpha), draws, rate=rate)[0] for item in seen]
        table = QTable({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        table["position"], table["obs_id"] = (
            np.tile(np.arange(draws), maps),
            np.repeat(np.arange(maps).astype(str), draws),
        )
        table["ra"], table["dec"], table["band"], table["instrument"] = 0.0, 0.0, "soft", "pn"
        table["exposure_unit"] = "s"
        joint = xp.joint_photometry(table)
        found.append(
            _held({name: joint[name].value for name in ("rate", "rate_low", "rate_high", "upper_limit")}, truth)
        )
    return found


def _held(columns, truth):
    """Return the coverage of interval and limit, and the mean rate over the truth with its error."""
    rate, low, high, limit = (columns[name] for name in RATES)
    assert not np.any((rate > 0) & ((rate < low) | (rate > high))), "a rate lies outside its own interval"
    inside, error = np.mean((low <= truth) & (truth <= high)), rate.std() / truth / np.sqrt(rate.size)
    return float(inside), float(np.mean(limit >= truth)), float(rate.mean() / truth), float(error)


def _drawn(rng, seen, case, draws, *, rate=None):
    """Return the columns of draws of one map, the true rate within the radius, and that of all the light.

    Without ``rate`` it is that of the source counts of the case.
    """
    (grid, exposure), (radius, source, sky, alpha) = seen, case
    light, distance = brightness(grid)
    x, y = (float(v) for v in deg_to_pix(grid, *CENTRE))
    discs = [disc_weights(grid.shape, x, y, r) for r in ring_radii(radius / 60 / grid.pixel_deg)[:, 0]]

    def rings(image):
        return np.diff([sums(d, image)[0] for d in discs], axis=0, prepend=0.0)

    seconds, area, shape = (
        rings(exposure),
        np.diff([d.area for d in discs], axis=0, prepend=0.0),
        rings(light * exposure),
    )
    rate = source / shape.sum() if rate is None else rate
    expected = rate * shape + sky * seconds / seconds.sum()
    n, b = rng.poisson(expected, (seconds.size, draws)).astype(float), rng.poisson(sky / alpha, draws).astype(float)
    each = np.ones(draws)
    area, seconds = area * each, seconds * each
    found = ring_light(n, seconds, area, seconds)
    total, whole, live = seconds.sum(axis=0), area.sum(axis=0), sums(discs[-1], exposure > 0)[0] * each
    circle = ApertureSums(
        n.sum(axis=0),
        total,
        live,
        0 * each,
        total,
        b,
        total / alpha,
        each,
        total / alpha,
        whole,
        whole,
        whole,
        whole,
        live / whole,
    )
    rules = Rules("centre", "rings", "mid-p", ONE_SIGMA, 0.95)
    columns = columns_of(Measured(circle, circle, each, None, (found, found)), rules, grid, None)
    return columns, rate * light[distance < radius].sum(), rate


def bias_table(exposures, draws):
    """Print rates over truth, the mean of many draws, single and joint, and what other light would give."""
    rows = {}
    for seed in range(draws):
        with tempfile.TemporaryDirectory() as folder:
            maps, truth = cluster_maps(
                folder, exposures, np.random.default_rng(seed), counts=100_000, background=30_000
            )
            radii = [1, 2, 4, 6] * u.arcmin
            where = u.Quantity([CENTRE] * radii.size, u.deg)
            table = xp.photometry(maps, where, radii, background=RING)
            joint = xp.joint_photometry(table, response=RESPONSE)
        true = np.array([truth(r) for r in radii.value])
        for camera in CAMERAS:
            own = table[table["instrument"] == camera]
            net, rate = own["net_counts"].value, own["rate"].value
            mean, flat = net / own["exposure_mean"].value, net * own["area"] / own["live_area"] / own["exposure_mean"]
            for name, value in (("rings", rate), ("even light", flat.value), ("mean exposure", mean)):
                rows.setdefault((camera, name), []).append(value / (true * RESPONSE[camera]))
        rows.setdefault(("joint", "rings"), []).append(joint["rate"].value / true)
    print("rate over truth        " + "".join(f"{r.value:>9g}'" for r in radii))
    for (camera, name), values in rows.items():
        print(f"{camera:6}{name:16} " + "".join(f"{v:10.4f}" for v in np.mean(values, axis=0)))


CASES = ((0.1, 1), (1, 1), (3, 3), (10, 1), (10, 10), (30, 10), (30, 100), (1000, 300))  # source, background counts


def coverage_table(exposures, draws):
    """Print the coverage of interval and limit, and the mean rate, of faint and bright clusters, single and joint."""
    print("\nmaps, radius, alpha, source and background counts of the first map:")
    print("68 % interval, 95 % limit, mean rate over truth")
    for name, radius, shift in (("pn", 4.0, (0, 0)), ("mos1", 6.0, (0, 0)), ("pn", 2.0, (20, 150)), ("9", 4.0, (0, 0))):
        for alpha in (0.04, 0.3, 0.84):
            cases = [(radius, source, sky, alpha) for source, sky in CASES]
            if name in exposures:
                found = coverage(exposures[name], cases, draws=draws, shift=shift)
            else:
                found = joint_coverage(exposures, cases, maps=int(name), draws=draws)
            for (source, sky), (inside, below, mean, error) in zip(CASES, found, strict=True):
                place = f"{name:5}{radius:3g}' {alpha:5g} {source:6g} {sky:5g}"
                print(f"{place}: {inside:7.3f} {below:7.3f} {mean:8.3f} +- {error:.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("XPHOTFN_TEST_DATA", "../shared/data"))
    parser.add_argument("--small", action="store_true", help="few draws")
    options = parser.parse_args()
    exposures = real_exposures(Path(options.data) / "a907")
    bias_table(exposures, 2 if options.small else 20)
    coverage_table(exposures, 500 if options.small else 10_000)


if __name__ == "__main__":
    main()
