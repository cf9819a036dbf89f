"""Our search beside gammapy's TSMapEstimator, photutils and SEP, on the same fields and the same background.

    python benchmarks/peers_detection.py --peers PYTHON [--fields 4]

PYTHON is an interpreter with gammapy, photutils and sep; arrays go to it through a file, and positions with ranks come
back. A field is 10 ks of pn, MOS1 and MOS2 with sources of the log N - log S of Moretti et al. (2003). Each method's
list is cut where 2 detections a field are left that are no true source of 3 counts or more; each detection is one
source at most, the brightest first, so that a second peak on the wings of a source is one too many. What is compared is
the part of the sources of 8 counts or more that is found. Peers see the sum of the cameras, once with the background
that our search fitted to the same counts, as we have it, and once with the true one, which nobody has.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MATCH_PIX, BRIGHT, REAL, UNMATCHED = 4.0, 8.0, 3.0, 2.0
PIXEL_DEG = 4.35 / 3600


def made(folder, fields, extent):
    """Write the fields with our own lists, and return the seconds of our search of three maps."""
    import detection_calibration as calibration

    from xphotfn.science.detection.search import search

    seconds = []
    for number in range(fields):
        rng = np.random.default_rng(700 + number)
        x, y, rate = calibration.sources_of_sky(10, rng)
        maps = calibration.drawn(10, rng, list(zip(x, y, rate, strict=True)))
        start = time.process_time()
        result = search(maps, threshold=4.0, extent=extent)
        found, fitted = result.sources, sum(b.image for b in result.sky.backgrounds)
        seconds.append(time.process_time() - start)
        empty = calibration.empty(10)
        weights = [calibration.EFFICIENCY[c] for c in calibration.CAMERAS]
        steps = np.arange(-24.0, 25.0)
        king = calibration.king_at("pn", 256, 256)
        kernel = calibration.point_spread(steps, steps[:, None], calibration.pointing(10).grid, king)
        np.savez(
            folder / f"{number}.npz",
            counts=sum(m.counts for m in maps),
            exposure=sum(w * e for w, (e, _, _) in zip(weights, empty, strict=True)),
            true=sum(b for _, b, _ in empty),
            fitted=fitted,
            kernel=kernel / kernel.sum(),
            king=np.array(king),
            truth=np.array([x, y, rate * calibration.counts_per_rate(10, x, y)]),
            ours=np.array([[f.source.x, f.source.y, f.tied_ml] for f in found]).T,
        )
    return float(np.mean(seconds))


def of_gammapy(data):
    from regions._utils import wcs_helpers

    if not hasattr(wcs_helpers, "pixel_scale_angle_at_skycoord"):  # gone from new versions; no TS map calls it
        wcs_helpers.pixel_scale_angle_at_skycoord = None
    import astropy.units as u
    from astropy.coordinates import SkyCoord
    from gammapy.datasets import MapDataset
    from gammapy.estimators import TSMapEstimator
    from gammapy.estimators.utils import find_peaks
    from gammapy.maps import Map, MapAxis, WcsGeom
    from gammapy.modeling.models import PointSpatialModel, PowerLawSpectralModel, SkyModel

    axis = {name: MapAxis.from_energy_edges([0.5, 2.0] * u.keV, name=name) for name in ("energy", "energy_true")}
    ny, nx = data["counts"].shape
    geom = WcsGeom.create(npix=(nx, ny), binsz=PIXEL_DEG, skydir=SkyCoord(52, -33, unit="deg"), axes=[axis["energy"]])
    true = geom.to_image().to_cube([axis["energy_true"]])
    psf = _psf(axis["energy_true"], *data["king"])
    live = data["exposure"] > 0
    dataset = MapDataset(
        counts=Map.from_geom(geom, data=data["counts"][None].astype(float)),
        exposure=Map.from_geom(true, data=data["exposure"][None], unit="cm2 s"),
        background=Map.from_geom(geom, data=data["background"][None]),
        psf=psf,
        mask_safe=Map.from_geom(geom, data=live[None]),
    )
    model = SkyModel(PowerLawSpectralModel(index=2, reference="1 keV"), PointSpatialModel())
    estimator = TSMapEstimator(
        model,
        kernel_width=data["kernel"].shape[0] * PIXEL_DEG * u.deg,
        energy_edges=[0.5, 2.0] * u.keV,
        selection_optional=[],
    )
    start = time.process_time()
    maps = estimator.run(dataset)
    seconds = time.process_time() - start
    peaks = find_peaks(maps["sqrt_ts"], threshold=2.5, min_distance=3 * PIXEL_DEG * u.deg)
    return [[float(r["x"]), float(r["y"]), float(r["value"])] for r in peaks], seconds


def _psf(energy, core, slope):
    """Return a King profile as gammapy's map of a point spread function, the same everywhere."""
    import astropy.units as u
    from gammapy.irf import PSFMap
    from gammapy.maps import Map, MapAxis, WcsGeom

    rad = MapAxis.from_bounds(0, 300 / 3600, nbin=600, unit="deg", name="rad")
    geom = WcsGeom.create(npix=(2, 1), proj="CAR", binsz=180, axes=[rad, energy])
    arcsec = rad.center.to_value(u.arcsec)
    profile = (slope - 1) / (np.pi * core**2) * (1 + (arcsec / core) ** 2) ** -slope
    data = np.broadcast_to(profile[None, :, None, None], geom.data_shape) / u.arcsec**2
    return PSFMap(Map.from_geom(geom, data=data.to_value("sr-1"), unit="sr-1"))


def of_photutils(data):
    from photutils.detection import find_peaks
    from scipy.ndimage import gaussian_filter

    start = time.process_time()
    excess = gaussian_filter(data["counts"] - data["background"], 1.5, mode="constant")
    variance = gaussian_filter(data["background"], 1.5 / 2**0.5, mode="constant") / (4 * np.pi * 1.5**2)
    significance = np.where(data["exposure"] > 0, excess / np.sqrt(np.maximum(variance, 1e-9)), 0)
    peaks = find_peaks(significance, 2.5, box_size=5)
    seconds = time.process_time() - start
    return [[float(r["x_peak"]), float(r["y_peak"]), float(r["peak_value"])] for r in peaks], seconds


def of_sep(data):
    import sep

    start = time.process_time()
    image = np.ascontiguousarray(data["counts"] - data["background"], dtype=np.float64)
    error = np.ascontiguousarray(np.sqrt(np.maximum(data["background"], 1e-6)), dtype=np.float64)
    kernel = np.ascontiguousarray(data["kernel"][18:31, 18:31], dtype=np.float64)
    found = sep.extract(
        image, 1.0, err=error, mask=data["exposure"] <= 0, filter_kernel=kernel, filter_type="matched", minarea=1
    )
    seconds = time.process_time() - start
    return [
        [float(r["x"]), float(r["y"]), float(r["cpeak"] / error[int(r["ypeak"]), int(r["xpeak"])])] for r in found
    ], seconds


BACKGROUNDS = {"fitted": "our background", "true": "true background"}
PEERS = {"gammapy TSMapEstimator": of_gammapy, "photutils find_peaks": of_photutils, "SEP matched filter": of_sep}


def in_peers(folder, left_out):
    """Run the peers on the fields of a folder; this is what the other interpreter executes."""
    peers = {name: method for name, method in PEERS.items() if name.partition(" ")[0] not in left_out}
    result = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as data:
            arrays = dict(data)
        for (name, method), (key, words) in itertools.product(peers.items(), BACKGROUNDS.items()):
            try:
                found = method(arrays | {"background": arrays[key]})
                result.setdefault(f"{name}, {words}", []).append(found)
            except Exception as error:  # a peer that cannot run is named, not hidden
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    (folder / "peers.json").write_text(json.dumps(result))


def matched(places, truth):
    """Return which sources have a detection, the brightest first, each one of its own, and how many are left over."""
    free, found = places.copy(), np.zeros(truth.shape[1], dtype=bool)
    for number in np.argsort(-truth[2]):
        away = np.hypot(*(free - truth[:2, number]).T)
        if truth[2, number] >= REAL and away.size and away.min() < MATCH_PIX:
            free, found[number] = np.delete(free, away.argmin(), axis=0), True
    return found, len(free)


def cut(lists, truths, threshold):
    """Return how many bright sources lists that are cut at a threshold hold, and how many detections too many."""
    hits = left = 0
    for found, truth in zip(lists, truths, strict=True):
        places = np.array([f[:2] for f in found if f[2] >= threshold]).reshape(-1, 2)
        has, over = matched(places, truth)
        hits, left = hits + np.count_nonzero(has & (truth[2] >= BRIGHT)), left + over
    return hits, left


def part_found(lists, truths):
    """Return the part of bright sources found where UNMATCHED a field are left unmatched, and that threshold."""
    ranks = sorted({f[2] for found in lists for f in found}, reverse=True)
    low, high = 0, len(ranks)  # so many ranks are kept: from low on it is known that not too many are left
    while high - low > 1:
        middle = (low + high) // 2
        if cut(lists, truths, ranks[middle])[1] <= UNMATCHED * len(lists):
            low = middle
        else:
            high = middle
    total = sum(np.count_nonzero(truth[2] >= BRIGHT) for truth in truths)
    return cut(lists, truths, ranks[low])[0] / total, ranks[low], total


def compared(folder, seconds):
    files = sorted(folder.glob("*.npz"))
    truths = [np.load(path)["truth"] for path in files]
    lists = {"xphotfn, three maps": [(np.load(path)["ours"].T.tolist(), seconds) for path in files]}
    lists |= json.loads((folder / "peers.json").read_text())
    head = f"{len(files)} fields of 10 ks", f"found of >= {BRIGHT:g} counts", "threshold", "CPU s a field"
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for name, results in lists.items():
        if len(results) == len(files):
            part, threshold, total = part_found([found for found, _ in results], truths)
            print(f"| {name} | {part:.2f} of {total} | {threshold:.2f} | {np.mean([s for _, s in results]):.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, help="interpreter with the peers")
    parser.add_argument("--fields", type=int, default=4)
    parser.add_argument("--points", action="store_true", help="look for points only, as the peers do")
    parser.add_argument("--without", nargs="*", default=[], help="peers to leave out, such as gammapy, which is slow")
    parser.add_argument("--in-peers", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_peers:
        in_peers(options.in_peers, options.without)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        seconds = made(folder, options.fields, not options.points)
        words = [options.peers, str(Path(__file__).resolve()), "--in-peers", str(folder), "--without"]
        subprocess.run([*words, *options.without], check=True)
        compared(folder, seconds)


if __name__ == "__main__":
    main()
