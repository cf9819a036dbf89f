"""Measure what native exposure maps take from SAS's: the shadow of the gratings, the edge of the field of view.

Fitted to 0201901401 and 0201903501; 0404910601 is held out. ``--write`` replaces the file that the package ships,
src/xphotfn/data/epic_exposure_model.json; it needs the real observations (``XPHOTFN_TEST_DATA``).

Live time: the level of SAS's MOS maps over ours, one number, the mean of a below.
Shadow: a map is ``a*M0 + b*M1`` where M0 is the map with mirror vignetting alone and M1 that with vignetting times the
distance w along the dispersion; g = b/a, by least squares with clipping at four sigma over the compared pixels.
Edge: in sectors of two degrees the radius that divides exposed from unexposed pixels with the fewest mistakes.
"""

import argparse
import json
from contextlib import contextmanager

import numpy as np
from exposure_accuracy import BANDS, HELD_OUT, OBSERVATIONS, ROOT, compared_pixels, data_folder, geometry_of, sas_map

from xphotfn.engines.native.eexpmap.eexpmap_task import exposure_map
from xphotfn.epic.camera import detector
from xphotfn.epic.camera.response import packaged_table
from xphotfn.science.vignetting import vignetting

TARGET = ROOT / "src" / "xphotfn" / "data" / "epic_exposure_model.json"
FITTED = tuple(o for o in OBSERVATIONS if o != HELD_OUT)
MOS = ("mos1", "mos2")
SECTORS = 180
LOOSE, OUTLIER = 100.0, 400.0  # units
DARK = {"mos1": 1.0, "mos2": 1.0, "pn": 0.4}  # bad columns of pn are not known here and must not pass for the edge
ARCMIN = 0.05 / 60


def off_axis(geometry):
    """Return the off-axis angle and the distance along the dispersion of each cell, in arcmin."""
    camera, cells = geometry.camera, geometry.cells
    x, y = cells.det_x - camera.axis[0], cells.det_y - camera.axis[1]
    return np.hypot(x, y) * ARCMIN, (camera.grating[0] * x + camera.grating[1] * y) * ARCMIN


def fit_slope(geometry, sas, energy_ev):
    """Return g, its statistical error, the median |residual| in % and the level a: SAS over native."""
    theta, along = off_axis(geometry)
    mirror = vignetting(packaged_table(), energy_ev, theta)
    keep = compared_pixels(sas).ravel()
    m0, m1 = geometry.weights @ mirror, geometry.weights @ (mirror * along)
    sample = np.flatnonzero(keep & (m0 > 0))
    design, target = np.stack([m0, m1], axis=1)[sample], sas.ravel()[sample]
    design, good = design / target[:, None], np.ones(sample.size, dtype=bool)
    for _ in range(8):
        solution = np.linalg.lstsq(design[good], np.ones(good.sum()), rcond=None)[0]
        residual = design @ solution - 1
        sigma = 1.4826 * np.median(np.abs(residual[good] - np.median(residual[good])))
        good = np.abs(residual) < 4 * sigma
    covariance = sigma**2 * np.linalg.inv(design[good].T @ design[good])
    a, b = solution
    error = abs(b / a) * np.sqrt(covariance[1, 1] / b**2 + covariance[0, 0] / a**2 - 2 * covariance[0, 1] / (a * b))
    return b / a, error, 100 * float(np.median(np.abs(residual))), a


def fit_shadow(folder):
    """Return the parts ``rga`` and ``live_scale`` of the model."""
    model, levels = {}, {}
    known = detector.exposure_model()["live_scale"]["mos"]  # is in the maps already
    for camera in MOS:
        slopes, errors = {}, {}
        for obs_id in OBSERVATIONS:
            geometry = geometry_of(folder, obs_id, camera)
            for band, lo, hi in BANDS:
                energy = (lo + hi) / 2
                g, error, residual, level = fit_slope(geometry, sas_map(folder, obs_id, camera, band), energy)
                slopes.setdefault(obs_id, []).append(round(float(g), 8))
                errors.setdefault(obs_id, []).append(float(error))
                levels.setdefault(obs_id, []).append(level * known)
                held = ", held out" if obs_id == HELD_OUT else ""
                print(
                    f"{camera} {obs_id} {energy:6.0f} eV: g = {100 * g:.4f} +- {100 * error:.4f} % per arcmin, "
                    f"median residual {residual:.3f} %{held}"
                )
        values = np.array([slopes[o] for o in FITTED])
        scatter = np.ptp(values, axis=0) / 2
        statistical = np.sqrt(np.mean([np.square(errors[o]) for o in FITTED], axis=0) / len(FITTED))
        model[camera] = {
            "energies_ev": [round((lo + hi) / 2) for _, lo, hi in BANDS],
            "slopes_per_arcmin": [round(float(v), 8) for v in values.mean(axis=0)],
            "errors": [round(float(v), 8) for v in np.hypot(scatter, statistical)],
            "by_observation": slopes,
        }
        for n, energy in enumerate(model[camera]["energies_ev"]):
            g, e = model[camera]["slopes_per_arcmin"][n], model[camera]["errors"][n]
            away = slopes[HELD_OUT][n] - g
            print(f"{camera} {energy} eV: g = {100 * g:.4f} +- {100 * e:.4f}; held out {100 * away:+.4f} % per arcmin")
    scale = float(np.mean([levels[o] for o in FITTED]))
    spread = float(np.std([levels[o] for o in FITTED], ddof=1))
    print(f"live time: {scale:.5f}, spread {spread:.5f}; held out {np.mean(levels[HELD_OUT]):.5f}")
    held = {o: [round(float(v), 5) for v in found] for o, found in levels.items()}
    return model, {"mos": round(scale, 5), "spread": round(spread, 5), "by_observation": held}


@contextmanager
def everything_in_view(model):
    """Let all pixels of the CCDs see the sky, apart from hidden strips."""
    original = detector.exposure_model
    wide = {name: [40000.0] * SECTORS for name in ("mos1", "mos2", "pn")}
    detector.exposure_model = lambda: model | {"field_of_view": wide}
    detector._in_view.cache_clear()
    try:
        yield
    finally:
        detector.exposure_model = original
        detector._in_view.cache_clear()


def edge_points(folder, camera, observations, model):
    """Return azimuth (in sectors), radius and whether SAS exposes it, of pixels that lie mostly on CCDs."""
    found = []
    for obs_id in observations:
        with everything_in_view(model):
            geometry = geometry_of(folder, obs_id, camera)
        cover = (geometry.weights @ np.ones(geometry.cells.det_x.size)).reshape(geometry.shape)
        name, lo, hi = BANDS[0]
        native = exposure_map(geometry, (lo + hi) / 2, packaged_table())
        sas = sas_map(folder, obs_id, camera, name)
        rows, columns = np.nonzero(cover > 0.4 * cover.max())
        matrix = geometry.to_detector[0] @ np.stack([columns, rows, np.ones(rows.size)])
        x = matrix[0] / matrix[2] - geometry.camera.view_centre[0]
        y = matrix[1] / matrix[2] - geometry.camera.view_centre[1]
        radius = np.hypot(x, y)
        near = radius > 13500
        level = sas[rows, columns] / native[rows, columns]
        inside = level > 0.5 * np.median(level[near & (level > 0)])
        turn = np.mod(np.arctan2(y, x) / (2 * np.pi), 1.0) * SECTORS
        found.append((turn[near], radius[near], inside[near]))
    return tuple(np.concatenate(v) for v in zip(*found, strict=True))


def edge_radius(radius, inside, dark):
    """Return the radius with the fewest pixels on the wrong side; dark ones inside count ``dark`` times.

    None where a wide range of radii does equally well: a bad column runs along the edge there.
    """
    order = np.argsort(radius)
    r, on = radius[order], inside[order]
    wrong = dark * np.concatenate([[0], np.cumsum(~on)]) + np.concatenate([np.cumsum(on[::-1])[::-1], [0]])
    best = np.flatnonzero(wrong == wrong.min())
    low, high = r[max(best[0] - 1, 0)], r[min(best[-1], r.size - 1)]
    return float(low + high) / 2 if high - low < LOOSE else None


def without_outliers(known):
    """Return the radii without those further than OUTLIER from the median of five sectors in a row."""
    sectors, values = list(known), np.array(list(known.values()))
    around = np.median([np.roll(values, n) for n in (-2, -1, 0, 1, 2)], axis=0)
    return {s: v for s, v, m in zip(sectors, values.tolist(), around, strict=True) if abs(v - m) < OUTLIER}


def fit_edge(folder, model):
    """Return the parts ``field_of_view`` and ``edge_residuals`` of the model."""
    edges, residuals = {}, {}
    for camera in ("mos1", "mos2", "pn"):
        turn, radius, inside = edge_points(folder, camera, FITTED, model)
        known = {}
        for sector in range(SECTORS):
            near = np.abs(np.mod(turn - sector + SECTORS / 2, SECTORS) - SECTORS / 2) < 0.6
            if np.count_nonzero(inside[near]) >= 8 and np.count_nonzero(~inside[near]) >= 8:
                found = edge_radius(radius[near], inside[near], DARK[camera])
                known |= {} if found is None else {sector: found}
        known = without_outliers(known)
        radii = np.interp(np.arange(SECTORS), list(known), list(known.values()), period=SECTORS)
        edges[camera] = [round(float(v)) for v in radii]
        residuals[camera] = {}
        for name, observations in (("fitted", FITTED), ("held out", (HELD_OUT,))):
            turn, radius, inside = edge_points(folder, camera, observations, model)
            limit = np.interp(turn, np.arange(SECTORS + 1), np.append(radii, radii[0]))
            band = np.abs(radius - limit) < 600
            wrong = float(np.mean((radius < limit)[band] != inside[band]))
            residuals[camera][name] = round(100 * wrong, 2)
        print(
            f"{camera}: {len(known)} of {SECTORS} sectors have an edge, radii {min(edges[camera])} to "
            f"{max(edges[camera])} units; on the wrong side within 30 arcsec of it, %: {residuals[camera]}"
        )
    return edges, residuals


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="for CI: the same, it takes some 20 s")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if the shipped numbers differ")
    parser.add_argument("--write", action="store_true", help="replace the numbers that the package ships")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("no real observations here: set XPHOTFN_TEST_DATA")
        return
    model = dict(detector.exposure_model())
    edges, residuals = fit_edge(folder, model)
    with replaced(model | {"field_of_view": edges}):
        rga, live_scale = fit_shadow(folder)
    made = {
        "source": "benchmarks/fit_exposure_model.py, from eexpmap 4.6.5 and 4.8 maps of Abell 907",
        "fitted_to": list(FITTED),
        "held_out": HELD_OUT,
        "units": "slopes per arcmin; radii in 0.05 arcsec about the centre, azimuth 0, 2, 4 ... degrees from +DETX",
        "rga": rga,
        "live_scale": live_scale,
        "edge_residuals": residuals,
        "field_of_view": edges,
    }
    if options.write:
        lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in made.items()]
        TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    if options.check and made != model:
        raise SystemExit("the numbers differ from those that the package ships: look at them, then --write")


@contextmanager
def replaced(model):
    """Use another model."""
    original = detector.exposure_model
    detector.exposure_model = lambda: model
    detector._in_view.cache_clear()
    try:
        yield
    finally:
        detector.exposure_model = original
        detector._in_view.cache_clear()


if __name__ == "__main__":
    main()
