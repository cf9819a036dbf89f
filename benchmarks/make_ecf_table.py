"""Make data/ecf_epic.npz, the energy conversion factors of the EPIC cameras, from the package ecfxa.

    python benchmarks/make_ecf_table.py             write the table
    python benchmarks/make_ecf_table.py --check     compare the table with ecfxa's own answers between the nodes

ecfxa (Clear BSD; its notice is src/xphotfn/data/ecf_epic.LICENSE) is needed here only: ``pip install ecfxa``.
Of its epochs the defaults are taken, of pn the full frame mode. pn below 0.5 keV is left out: those factors are of
PATTERN 0, and images are not. Values are stored as whole steps of 1e-5 in their natural logarithm, differences of
differences along nH, which halves the file and changes no value by more than 5e-6.
"""

import argparse
from importlib.metadata import files
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[1] / "src" / "xphotfn" / "data"
CAMERAS = {"pn": ("PN", "EPN", "e2", "ff"), "mos1": ("M1", "EMOS1", "e13", "im"), "mos2": ("M2", "EMOS2", "e13", "im")}
FILTERS = ("Thin", "Medium", "Thick")
STEP = 1e-5


def cells():
    """Yield camera, band in eV, ecfxa's name of the band, and values (absorbed or not, filter, nH, Gamma)."""
    from ecfxa.xmm import XMMEPIC, XMMECFValues

    values = XMMECFValues()
    for camera, (tag, _, epoch, mode) in CAMERAS.items():
        for name, (lo, hi) in XMMEPIC.ebands.items():
            if camera == "pn" and lo < 0.5:
                continue
            both = [[tree[tag][epoch][mode][name][f] for f in FILTERS] for tree in (values.nocorr, values.abscorr)]
            yield camera, (round(1000 * lo), round(1000 * hi)), name, 1e11 * np.array(both)


def write():
    from ecfxa.xmm import XMMECFValues

    found = list(cells())
    steps = np.rint(np.log(np.array([cell for *_, cell in found])) / STEP).astype(np.int32)
    target = DATA / "ecf_epic.npz"
    np.savez_compressed(
        target,
        camera=np.array([camera for camera, *_ in found]),
        band_ev=np.array([band for _, band, *_ in found], dtype=np.int32),
        filter=np.array(FILTERS),
        log10_nh=np.round(XMMECFValues().nocorr["lognh"], 6),
        gamma=np.round(XMMECFValues().nocorr["gamma"], 6),
        steps=np.diff(np.diff(steps, axis=-2, prepend=0), axis=-1, prepend=0),
    )
    notice = next(f for f in files("ecfxa") if f.name == "LICENSE").read_text(encoding="utf-8")
    about = "ecf_epic.npz holds values of ecfxa 1.0 (https://github.com/ruizca/ecfxa), under this licence:\n\n"
    (DATA / "ecf_epic.LICENSE").write_text(about + notice.rstrip() + "\n", encoding="utf-8")
    print(target, target.stat().st_size)


def check():
    """Print by how much our interpolation differs from ecfxa's, over random spectra."""
    import astropy.units as u
    from ecfxa.xmm import XMMEPIC

    import xphotfn as xp

    rng, worst = np.random.default_rng(1), 0.0
    for camera, (lo, hi), name, _ in cells():
        for chosen in FILTERS:
            theirs = XMMEPIC(CAMERAS[camera][1], chosen, eband=name)
            for _ in range(3):
                nh, gamma, absorbed = 10 ** rng.uniform(19, 22), rng.uniform(1.4, 2.2), bool(rng.integers(2))
                ours = xp.power_law_ecf(
                    camera, filter=chosen, band=xp.energy_band(lo * u.eV, hi * u.eV), gamma=gamma, nh=nh / u.cm**2,
                    absorbed=absorbed,
                )  # fmt: skip
                expected = float(theirs(nh, gamma, abscorr=not absorbed).value)
                worst = max(worst, abs(ours.ct_cm2_per_erg / expected - 1))
    print(f"largest relative difference: {worst:.2g}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare the table with ecfxa's answers")
    (check if parser.parse_args().check else write)()
