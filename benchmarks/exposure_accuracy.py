"""Native exposure maps against SAS's, map by map: the table and the pictures of docs/accuracy.md.

``python benchmarks/exposure_accuracy.py`` prints the table, ``--write`` also writes docs/accuracy.md, ``--check`` exits
with 1 where a limit is missed. The build of the documentation draws docs/pictures/exposure_ratio_*.png. It needs the
real observations (``XPHOTFN_TEST_DATA``, else ../shared/data beside the project).
"""

import argparse
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from scipy import ndimage

from xphotfn.commands.command import Command
from xphotfn.engines.native.eexpmap.eexpmap_task import exposure_geometry, exposure_map
from xphotfn.engines.native.eexpmap.map_inputs import read_inputs, read_job
from xphotfn.epic.camera.detector import exposure_model
from xphotfn.epic.camera.response import packaged_table
from xphotfn.io.fits import read_array

ROOT = Path(__file__).resolve().parents[1]
OBSERVATIONS = ("0201901401", "0201903501", "0404910601")
HELD_OUT = "0404910601"
CAMERAS = ("mos1", "mos2", "pn")
BANDS = (("0.50-2.00", 500, 2000), ("2.00-10.00", 2000, 10000))
LIMITS = {  # median and 95th percentile of |native/SAS - 1|, signed median, all in %; IoU; sum of exposure in %
    "mos": {"median": 0.04, "p95": 2.0, "signed": 0.03, "iou": 0.992, "sum": 0.3},
    "pn": {"median": 0.4, "p95": 3.0, "iou": 0.955, "scale": 0.3},
}


def data_folder():
    """Return the folder of the real observations, or None where it is not there."""
    folder = Path(os.environ.get("XPHOTFN_TEST_DATA") or ROOT.parent / "shared" / "data").absolute() / "a907"
    return folder if folder.is_dir() else None


def command_for(obs_id, camera, bands=BANDS, *, options=()):
    """Return the eexpmap command of one exposure, on the grid of its soft image; pn has no event list."""
    image = f"{obs_id}_{camera}_{BANDS[0][0]}keV_img.fits.gz"
    inputs = [image, f"P{obs_id}OBX000ATTTSR0000.FIT.gz"]
    pairs = [("imageset", inputs[0]), ("attitudeset", inputs[1])]
    if camera != "pn":
        inputs.append(f"{obs_id}_{camera}_clean_evts.fits.gz")
        pairs.append(("eventset", inputs[2]))
    maps = tuple(f"{obs_id}_{camera}_{name}keV_native.fits" for name, _, _ in bands)
    pairs += [
        ("expimageset", " ".join(maps)),
        ("pimin", " ".join(str(lo) for _, lo, _ in bands)),
        ("pimax", " ".join(str(hi) for _, _, hi in bands)),
        *options,
    ]
    return Command(task="eexpmap", parameters=tuple(pairs), inputs=tuple(inputs), outputs=maps)


def linked(folder, obs_id, command):
    """Return a new folder that holds the inputs of a command as links."""
    scratch = Path(tempfile.mkdtemp())
    for name in command.inputs:
        (scratch / name).symlink_to(folder / obs_id / name)
    return scratch


def geometry_of(folder, obs_id, camera, *, sampling="sas", samples=4):
    """Return the geometry of one exposure."""
    job = read_job(command_for(obs_id, camera), folder / obs_id)
    return exposure_geometry(job, read_inputs(job), sampling=sampling, samples=samples)


def sas_map(folder, obs_id, camera, band):
    """Return SAS's map, float64."""
    return read_array(str(folder / obs_id / f"{obs_id}_{camera}_{band}keV_expmap.fits.gz"))[0].astype(np.float64)


def compared_pixels(sas):
    """Return the pixels that are compared: above 20 % of the maximum and 3 or more pixels from where SAS has none."""
    return (sas > 0.2 * sas.max()) & (ndimage.distance_transform_edt(sas > 0) >= 3)


def scale_of(native, sas):
    """Return the factor that takes a native pn map to SAS's: the median of SAS/native over the compared pixels."""
    pixels = compared_pixels(sas)
    return float(np.median(sas[pixels] / native[pixels]))


def comparison(native, sas, scale=1.0):
    """Return the numbers of one map, in % except ``iou`` and ``pixels``."""
    pixels = compared_pixels(sas)
    ratio = native[pixels] * scale / sas[pixels] - 1
    return {
        "median": 100 * float(np.median(np.abs(ratio))),
        "p95": 100 * float(np.percentile(np.abs(ratio), 95)),
        "signed": 100 * float(np.median(ratio)),
        "iou": float(np.count_nonzero((native > 0) & (sas > 0)) / np.count_nonzero((native > 0) | (sas > 0))),
        "sum": 100 * float(native.sum() * scale / sas.sum() - 1),
        "pixels": int(np.count_nonzero(pixels)),
    }


def all_comparisons(folder, *, other_sampling=True):
    """Yield ``(obs_id, camera, band, numbers, ratio map)`` of the 18 maps.

    A pn map is compared after one factor for its observation, measured on the soft band; ``scale`` is that of the band
    itself. ``true`` is the median of the other sampling, where that is wanted.
    """
    table = packaged_table()
    samplings = ("sas", "pixel") if other_sampling else ("sas",)
    for obs_id in OBSERVATIONS:
        for camera in CAMERAS:
            shared = {s: geometry_of(folder, obs_id, camera, sampling=s) for s in samplings}
            factor = 1.0
            for band, lo, hi in BANDS:
                sas = sas_map(folder, obs_id, camera, band)
                maps = {s: exposure_map(g, (lo + hi) / 2, table).astype(np.float64) for s, g in shared.items()}
                scale = scale_of(maps["sas"], sas) if camera == "pn" else 1.0
                factor = scale if band == BANDS[0][0] else factor
                numbers = comparison(maps["sas"], sas, factor)
                numbers["scale"] = scale
                if other_sampling:
                    numbers["true"] = comparison(maps["pixel"], sas, factor)["median"]
                seen = (sas > 0) & (maps["sas"] > 0)
                ratio = np.divide(maps["sas"] * factor, sas, out=np.full(sas.shape, np.nan), where=seen)
                yield obs_id, camera, band, numbers, ratio


def missed(camera, numbers, scales):
    """Return what lies outside the limits."""
    limits = LIMITS["pn" if camera == "pn" else "mos"]
    found = [name for name in ("median", "p95") if numbers[name] > limits[name]]
    found += [name for name in ("signed", "sum") if name in limits and abs(numbers[name]) > limits[name]]
    found += ["iou"] if numbers["iou"] < limits["iou"] else []
    if "scale" in limits and 100 * abs(numbers["scale"] / scales[0] - 1) > limits["scale"]:
        found.append("scale")
    return found


TEXT = """# How close native exposure maps are to SAS

`python benchmarks/exposure_accuracy.py --write` makes this page with its numbers from the maps of Abell 907 that
eexpmap 4.6.5 and 4.8 made. The pictures are drawn when the documentation is built, where these data are at hand.

## Map by map

Compared are the pixels where SAS has more than 20 % of its maximum and that lie 3 or more pixels from where it has
none: the median and the 95th percentile of |native / SAS - 1|, and the median with its sign. IoU is the area that
both expose (above 0 s) over the area that one does; sum compares the summed exposure. 0404910601 was held out of all
fits.

MOS maps have nothing free. pn maps are made from the intervals of the image alone, without event list: the live time is
the one usual for the mode and bad pixels are not known, so they are compared after one factor per observation (scale,
from the soft band; the bands of an observation differ by at most [SPREAD] %), and their summed exposure is higher by
the bad columns. The last column is the median for `sampling="pixel"`.

[TABLE]

![Native over SAS, MOS1](pictures/exposure_ratio_mos1.png)
![Native over SAS, MOS2](pictures/exposure_ratio_mos2.png)
![Native over SAS, pn](pictures/exposure_ratio_pn.png)

Red is where the native map is higher. Lines are bad columns and edges of CCDs, which cover a part of a pixel: image
pixels there are divided into 16 x 16 points, others into 4 x 4, while SAS projects each detector pixel.

## The two samplings

SAS evaluates the response once for each block of RAW pixels (20 x 20 for MOS, 5 x 5 for pn) at the first corner of
the block. As the CCDs are turned against each other this makes steps of 1-3 % between them that no detector has.
`sampling="sas"`, the default, does the same, and is what the table tests. `sampling="pixel"` takes the response at
each pixel: it is the better description of the instrument, and differs from SAS by 1.3-1.7 % in the median (MOS). The
header names it (SAMPLING).

## What was fitted

`python benchmarks/fit_exposure_model.py` fits to 0201901401 and 0201903501; `--write` replaces the file that the
package ships. The shadow of the grating arrays on MOS is `1 + g w`, w in arcmin from the optical axis along the
dispersion. The error is the half difference of the two observations and the statistical error, added in quadrature.

[FITTED]

The mirror's vignetting between the nodes of its table is an even cubic spline: with straight lines the medians of MOS
were 0.050 to 0.072 %. SAS's live time of MOS is higher than the sum of FRACEXP * TIMEDEL, for a reason that we do not
know: by [LIVE], one number for all CCDs, cameras and bands of the fitted observations ([LIVEHELD] in the held-out one).

Between these energies g is interpolated, outside it is that of the nearest one, and the header says so. Measured on
maps elsewhere at 5.25 keV, g is 1.436 (MOS1) and 1.431 (MOS2), 0.8 % below the straight line: 0.13 % of exposure at
12 arcmin.

The edge of the field of view is a radius for every two degrees. Pixels on the wrong side of it, among those within 30
arcsec of it, in fitted and held-out observations: [EDGE] (of pn, mostly bad columns).

## Geometry

- RAW to DET: constants, from 34 000 to 128 000 events per CCD. Fits to each event list of Abell 907 differ from them
  by 0.1-2 units of 0.05 arcsec at the corners of the CCDs, as the scatter of the events predicts (1.1 arcsec pixels
  that are randomised): the constants are the more accurate.
- DET to sky: a turn and a shift, fitted to each event list with the attitude of each event. The residual is 0.30-0.31
  unit, that of rounding to whole numbers. Fixed constants (used without event list, header DETSKY) are within 3 units
  here, but up to 85 units (4 arcsec) off in other years.
- pn: constants that were fitted to SAS's maps. No pn event list has been tested.

## What is assumed, and what is not covered

Each assumption gives a warning and a card ASSUMEnn in the map.

- Without event list: no bad pixels, fixed boresight, and the live time that is usual for the mode, as part of the good
  time: MOS 99.1 % (98.8 to 99.3 % on 9 real maps), pn full frame 94.9 % (one map), extended full frame 87.5 % (85 to
  88.5 % on four), small window 99.7 % (one); 100 % for other modes of pn, of which nothing is known. Plan and header
  say so. It depends on how bright the field was: the column scale shows what was left of it.
- Without attitude file (`attitudeset=none`; SAS needs one): RA_PNT, DEC_PNT and PA_PNT of the image for all times. With
  the event list the boresight is fitted to that, and the medians of the six soft MOS maps above stay 0.024 to 0.028 %:
  these pointings drift by less than 0.6 arcsec.
- Without good time intervals in the image: STDGTInn of the event list, else one interval as long as EXPOSURE. Without
  EXPOSUnn 100 %, without BADPIXnn no bad pixels, without FILTER open, without SUBMODE full window: as eexpmap
  documents.
- Good time without attitude (gaps longer than 20 s) is not counted: events of such times have no X and Y.
- Records of the attitude closer than `attrebin` are merged. Several bins are tested by simulation and by splitting a
  pointing, not against SAS: the pointings above drift by less than 0.6 arcsec.
- Read-out windows come from EXPOSUnn, else from the mode; MOS windows, pn large window and the map of discarded lines
  (`usedlimap`) have met no real map. pn beyond 15 arcmin follows SAS's map of 0723801301.
- Quantum efficiency and filter cancel, as the map is normalised on the optical axis.
"""

HEAD = (
    "| ObsID | camera | band (keV) | median (%) | 95th (%) | signed (%) | IoU | sum (%) | scale | pixel (%) |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def row(obs_id, camera, band, n):
    scale = f"{n['scale']:.4f}" if camera == "pn" else "1"
    held = " (held out)" if obs_id == HELD_OUT else ""
    return (
        f"| {obs_id}{held} | {camera} | {band} | {n['median']:.3f} | {n['p95']:.2f} | {n['signed']:+.3f} | "
        f"{n['iou']:.4f} | {n['sum']:+.2f} | {scale} | {n['true']:.2f} |"
    )


def picture(path, camera, maps):
    """Draw the ratios of one camera, three observations in two bands."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(7.2, 4.6), layout="constrained")
    shown = None
    for axis, (obs_id, band, ratio) in zip(axes.T.ravel(), maps, strict=True):
        shown = axis.imshow(100 * (ratio - 1), origin="lower", vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
        axis.set_title(f"{obs_id}, {band} keV", fontsize=8)
        axis.set_xlim(40, 490)
        axis.set_ylim(40, 490)
        axis.set_axis_off()
    figure.colorbar(shown, ax=axes, shrink=0.8, label=f"{camera}: native / SAS - 1 (%)")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def fitted_table():
    """Return the lines of the table of fitted parameters."""
    model = exposure_model()
    lines = ["| camera | energy (eV) | g (% per arcmin) | error | 0201901401 | 0201903501 | 0404910601 (held out) |"]
    lines.append("|---|---|---|---|---|---|---|")
    for camera in ("mos1", "mos2"):
        rga = model["rga"][camera]
        for n, energy in enumerate(rga["energies_ev"]):
            own = " | ".join(f"{100 * rga['by_observation'][o][n]:.4f}" for o in OBSERVATIONS)
            g, error = 100 * rga["slopes_per_arcmin"][n], 100 * rga["errors"][n]
            lines.append(f"| {camera} | {energy} | {g:.4f} | {error:.4f} | {own} |")
    return lines


def edge_words():
    """Return how many pixels lie on the wrong side of the fitted edge, in words."""
    residuals = exposure_model()["edge_residuals"]
    return "; ".join(f"{c} {r['fitted']} % and {r['held out']} %" for c, r in residuals.items())


def document(rows, spread):
    """Return docs/accuracy.md."""
    parts = {"TABLE": "\n".join([HEAD, *rows]), "FITTED": "\n".join(fitted_table())}
    live = exposure_model()["live_scale"]
    parts |= {"SPREAD": f"{spread:.3f}", "EDGE": edge_words()}
    parts["LIVE"] = f"{100 * (live['mos'] - 1):.3f} +- {100 * live['spread']:.3f} %"
    parts["LIVEHELD"] = f"{100 * (float(np.mean(live['by_observation'][HELD_OUT])) - 1):.3f} %"
    text = TEXT
    for name, value in parts.items():
        text = text.replace(f"[{name}]", value)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="for CI: the same, it takes some 20 s")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a limit is missed")
    parser.add_argument("--write", action="store_true", help="write docs/accuracy.md")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("no real observations here: set XPHOTFN_TEST_DATA")
        return
    warnings.simplefilter("ignore", UserWarning)
    rows, bad, scales = [], [], {}
    print(HEAD)
    for obs_id, camera, band, numbers, _ in all_comparisons(folder):
        scales.setdefault((obs_id, camera), []).append(numbers["scale"])
        problems = missed(camera, numbers, scales[obs_id, camera])
        rows.append(row(obs_id, camera, band, numbers))
        print(rows[-1], *problems)
        bad += problems
    spread = max(100 * abs(b / a - 1) for (_, camera), (a, b) in scales.items() if camera == "pn")
    print(f"pn: the factor differs by at most {spread:.3f} % between the bands of an observation")
    if options.write:
        (ROOT / "docs" / "accuracy.md").write_text(document(rows, spread), encoding="utf-8")
    if options.check and bad:
        raise SystemExit(f"missed: {', '.join(bad)}")


if __name__ == "__main__":
    main()
