"""One position on many maps: the joint rate against the photometry of the maps, and 10,000 counts against 100.

The nine maps of Abell 907 (``--data`` names the folder that holds ``a907``; the native engine makes them) are measured
at one position with circles of 60 and 200 arcsec; the peer of ``photometry`` and ``joint_photometry`` of all maps is
``photometry`` of one map after the other. Then six observations of 10,000 counts each meet six of 100: the joint rate,
interval, limit, significance and consistency of one position, whose cost hardly depends on the counts. ``--small`` is
the second part only.
"""

import argparse
import tempfile
from pathlib import Path

import astropy.units as u
import numpy as np
from timing import compare

from xphotfn.measure.apertures import photometry
from xphotfn.measure.joint import joint_photometry
from xphotfn.science.joint import joint_consistency, joint_interval, joint_significance, joint_upper_limit

ROOT = Path(__file__).resolve().parents[1]
RESPONSE = {"pn": 1.0, "mos1": 0.34, "mos2": 0.35}


def everything(data):
    """Return all that a joint table holds of one position."""
    for function in (joint_interval, joint_upper_limit, joint_significance, joint_consistency):
        function(*data)


def six(counts, seed):
    rng = np.random.default_rng(seed)
    return rng.poisson(counts, 6), rng.poisson(0.5 * counts, 6), 0.84, np.linspace(5e3, 2e4, 6)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="without maps, to see that it runs")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a limit is missed")
    parser.add_argument("--data", default=ROOT.parent / "shared" / "data", help="folder that holds a907")
    options = parser.parse_args()
    pairs = [(six(10_000, seed), six(100, seed)) for seed in range(3 if options.small else 15)]
    compare("six maps of 10,000 counts, against 100", lambda p: everything(p[0]), lambda p: everything(p[1]), pairs,
            limit=20, check=options.check)  # fmt: skip
    if options.small:
        return
    from methods_on_a907 import journey

    with tempfile.TemporaryDirectory() as store:
        maps, _, _ = journey(options.data, store)
        rng = np.random.default_rng(1)
        places = u.Quantity([[149.592, -11.06] + 0.003 * rng.standard_normal(2) for _ in range(7)], u.deg)
        for radius in (60 * u.arcsec, 200 * u.arcsec):
            compare(
                f"nine maps jointly, {radius:.0f}, against one by one",
                lambda place, radius=radius: joint_photometry(photometry(maps, place, radius), response=RESPONSE),
                lambda place, radius=radius: [photometry(item, place, radius) for item in maps],
                places, limit=2, check=options.check,
            )  # fmt: skip


if __name__ == "__main__":
    main()
