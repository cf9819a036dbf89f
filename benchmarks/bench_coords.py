"""``coord_conv`` of 1e5 pairs against astropy.wcs, both directions; positions change from call to call."""

import warnings

import numpy as np
from astropy.units import Quantity
from astropy.wcs import WCS, FITSFixedWarning
from timing import arguments, compare

import xphotfn as xp
from xphotfn.testing.examples import example_rate_map


def main():
    warnings.simplefilter("ignore", FITSFixedWarning)
    options = arguments(__doc__)
    product = example_rate_map()
    wcs = WCS(product.header).celestial
    rng = np.random.default_rng(1)
    number = 1_000 if options.small else 100_000
    pix = [rng.uniform(0, 511, (number, 2)) for _ in range(5 if options.small else 25)]
    deg = [wcs.all_pix2world(p, 0) for p in pix]
    assert np.abs(xp.coord_conv(product, Quantity(pix[0], "pix"), "deg").value - deg[0]).max() < 1e-11

    def to_pix(values):
        return xp.coord_conv(product, Quantity(values, "deg"), "pix")

    def to_deg(values):
        return xp.coord_conv(product, Quantity(values, "pix"), "deg")

    compare(f"{number} pairs deg -> pix", to_pix, lambda v: wcs.all_world2pix(v, 0), deg, limit=1, check=options.check)
    compare(f"{number} pairs pix -> deg", to_deg, lambda v: wcs.all_pix2world(v, 0), pix, limit=1, check=options.check)


if __name__ == "__main__":
    main()
