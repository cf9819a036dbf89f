"""Circles and rings of 10,000 positions on three maps, exact overlap, against photutils; and a million positions.

Bare sums meet the sums of photutils: in its fastest form, masks made once that are multiplied with every map in a loop
of one's own, and in its usual one, ``do_photometry`` of each map. The whole of ``photometry``, with intervals,
significances and limits, meets ``do_photometry``, which gives sums only; its ratio to the masks is told too. Positions
change from call to call. A million positions on one map have no peer: their time and memory are printed.
"""

import resource
import tempfile
import time
from pathlib import Path

import astropy.units as u
import numpy as np
from photutils.aperture import CircularAnnulus, CircularAperture
from timing import arguments, compare

from xphotfn.io.products import ExposureMap, Image, RateMap
from xphotfn.io.write import write_image
from xphotfn.measure.photometry.apertures import photometry
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import pix_to_deg
from xphotfn.science.disc_sums import row_sums, table_of_sums
from xphotfn.science.discs import disc_weights, position_chunks

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

        def whole_table(pixels, psf=None):
            places = u.Quantity(np.stack(pix_to_deg(products[0].grid, *pixels.T), axis=-1), u.deg)
            return photometry(products, places, RADIUS * 4.35 * u.arcsec, background=ring, overlap="exact", psf=psf)

        whole, sums_only = "photometry(), limits and all", lambda p: their_sums(maps, p)
        compare(f"{whole}, against do_photometry", whole_table, sums_only, inputs, limit=limit, check=options.check)
        compare('  the same with psf="epic"', lambda p: whole_table(p, "epic"), sums_only, inputs, limit=np.inf)
        once = "  for information: against masks made once"
        compare(once, whole_table, lambda p: masks_made_once(maps, p), inputs, limit=np.inf)
        if not options.small:
            a_million_positions(products[0], check=options.check)


def a_million_positions(product, *, check):
    places = u.Quantity(
        np.stack(pix_to_deg(product.grid, *np.random.default_rng(8).uniform(0, SIZE - 1, (2, 1_000_000))), axis=-1),
        u.deg,
    )
    for psf in (None, "epic"):
        before, start = peak_mb(), time.perf_counter()
        table = photometry(product, places, 20 * u.arcsec, background=(60 * u.arcsec, 90 * u.arcsec), psf=psf)
        seconds, size = time.perf_counter() - start, sum(table[name].nbytes for name in table.colnames) / 2**20
        print(
            f"a million positions, one map, psf {psf}: {seconds:.0f} s; a table of {size:.0f} MB; the process held "
            f"{peak_mb():.0f} MB at most ({before:.0f} MB before)"
        )
        if check and peak_mb() > 3000:
            raise SystemExit("a million positions took more than 3 GB")


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
