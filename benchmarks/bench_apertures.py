"""Sums over circles and rings of 10,000 positions on three maps, exact overlap, against photutils.

The peer is photutils' best: masks made once and multiplied with every map (``do_photometry`` of each map, its usual
form, takes several times as long and is timed too). The whole of ``photometry``, with intervals and limits, is timed
for information. Positions change from call to call.
"""

import tempfile
from pathlib import Path

import astropy.units as u
import numpy as np
from photutils.aperture import CircularAnnulus, CircularAperture
from timing import arguments, compare

from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.apertures import photometry
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.science.aperture_sums import row_sums, table_of_sums
from xphotfn.science.apertures import disc_weights, position_chunks
from xphotfn.science.coords import pix_to_deg

SIZE = 600
RADIUS, INNER, OUTER = 6.9, 10.0, 17.0  # 30, 43 and 74 arcsec in pixels of 4.35


def our_sums(maps, positions):
    """Return sums of all maps in circles and rings, shape (2, maps, positions)."""
    x, y = positions.T
    result = np.empty((2, len(maps), x.size))
    images = row_sums(*maps)
    for part in position_chunks(OUTER, x.size):
        circle, inner, outer = (
            table_of_sums(disc_weights((SIZE, SIZE), x[part], y[part], r, overlap="exact"), images).T
            for r in (RADIUS, INNER, OUTER)
        )
        result[0, :, part] = circle
        result[1, :, part] = outer - inner
    return result


def masks_made_once(maps, positions):
    result = np.empty((2, len(maps), len(positions)))
    for kind, aperture in enumerate((CircularAperture(positions, RADIUS), CircularAnnulus(positions, INNER, OUTER))):
        for place, mask in enumerate(aperture.to_mask(method="exact")):
            big, small = mask.get_overlap_slices((SIZE, SIZE))
            weight = mask.data[small]
            for number, image in enumerate(maps):
                result[kind, number, place] = np.vdot(weight, image[big])
    return result


def their_sums(maps, positions):
    apertures = CircularAperture(positions, RADIUS), CircularAnnulus(positions, INNER, OUTER)
    return np.array([[a.do_photometry(m, method="exact")[0] for m in maps] for a in apertures])


def rate_maps(folder, maps):
    grid = PixelGrid.from_sky_range(10.0, 20.0, low=3649, high=3649 + 87 * SIZE - 1)
    write_image(folder / "exposure.fits", np.full((SIZE, SIZE), 1000, np.float32), grid, [])
    found = []
    for number, counts in enumerate(maps):
        write_image(folder / f"{number}.fits", counts.astype(np.int32), grid, [])
        names = {"obs_id": f"099999010{number}", "instrument": "pn", "band": Band(lo_ev=500, hi_ev=2000), "grid": grid}
        exposure = ExposureMap(path=str(folder / "exposure.fits"), **names)
        found.append(RateMap(image=Image(path=str(folder / f"{number}.fits"), **names), exposure=exposure))
    return found


def main():
    options = arguments(__doc__)
    rng = np.random.default_rng(4)
    number, repeats = (500, 2) if options.small else (10_000, 5)
    limit = 3.0 if options.small else 1.0  # row sums of whole maps weigh on 500 positions, not on 10,000
    maps = [rng.poisson(0.5, (SIZE, SIZE)).astype(np.float64) for _ in range(3)]
    inputs = [rng.uniform(20, SIZE - 20, (number, 2)) for _ in range(repeats)]
    for peer in (their_sums, masks_made_once):
        difference = np.abs(our_sums(maps, inputs[0]) - peer(maps, inputs[0])).max()
        assert difference < 1e-9, difference
    title = f"exact sums, {number} x (circle + ring) x 3 maps"
    for name, peer in ((title, masks_made_once), ("  against do_photometry of each map", their_sums)):
        compare(
            name, lambda p: our_sums(maps, p), lambda p, f=peer: f(maps, p), inputs, limit=limit, check=options.check
        )
    with tempfile.TemporaryDirectory() as folder:
        products = rate_maps(Path(folder), maps)
        ring = (INNER * 4.35 * u.arcsec, OUTER * 4.35 * u.arcsec)

        def whole_table(pixels):
            places = u.Quantity(np.stack(pix_to_deg(products[0].grid, *pixels.T), axis=-1), u.deg)
            return photometry(products, places, RADIUS * 4.35 * u.arcsec, background=ring, overlap="exact")

        whole = "  for information: photometry(), limits and all"
        compare(whole, whole_table, lambda p: their_sums(maps, p), inputs[:2], limit=np.inf)


if __name__ == "__main__":
    main()
