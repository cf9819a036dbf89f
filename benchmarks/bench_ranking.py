"""``snr_ranking`` of nine maps, masks made and files cold, against reading the eighteen FITS files with astropy.

The maps are simulated, gzipped as archives keep them. The target moves from call to call.
"""

import gzip
import tempfile
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from attrs import evolve
from timing import arguments, compare

import xphotfn as xp
from xphotfn.io.products import clear_cache
from xphotfn.io.write import write_image
from xphotfn.testing.examples import example_field, example_rate_map


def nine_maps(folder):
    """Write nine images and exposure maps and return their rate maps."""
    example = example_rate_map()
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:512, :512] - 256.0
    exposure = np.where(np.hypot(x, y) < 240, 10_000 / (1 + (np.hypot(x, y) / 145) ** 2), 0) + rng.normal(
        0, 1e-3, x.shape
    )
    maps = []
    for n in range(9):
        image = rng.poisson(0.15 * (exposure > 1) + 20 / (1 + (np.hypot(x, y) / 12) ** 2) ** 1.5).astype(np.float64)
        paths = []
        for kind, data in (("img", image), ("expmap", np.where(exposure > 1, exposure, 0).astype(np.float32))):
            plain = folder / f"{n}_{kind}.fits"
            write_image(plain, data, example.grid)
            packed = folder / f"{n}_{kind}.fits.gz"
            packed.write_bytes(gzip.compress(plain.read_bytes()))
            paths.append(str(packed))
        maps.append(
            xp.RateMap(image=evolve(example.image, path=paths[0]), exposure=evolve(example.exposure, path=paths[1]))
        )
    return maps


def main():
    options = arguments(__doc__)
    field = example_field()
    rng = np.random.default_rng(5)
    with tempfile.TemporaryDirectory() as folder:
        maps = nine_maps(Path(folder))
        paths = [p for m in maps for p in (m.image.path, m.exposure.path)]
        centres = [
            [field.target.ra_deg + rng.uniform(-0.01, 0.01), field.target.dec_deg + rng.uniform(-0.01, 0.01)]
            for _ in range(2 if options.small else 15)
        ]

        def ours(centre):
            clear_cache()
            return xp.snr_ranking(maps, xp.with_centre(field, centre * u.deg), "r500")

        def theirs(_):
            return [fits.getdata(path) for path in paths]

        ours(centres[0])
        compare("snr_ranking of 9 cold maps / reading 18 files", ours, theirs, centres, limit=3, check=options.check)


if __name__ == "__main__":
    main()
