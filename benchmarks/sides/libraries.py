"""What the libraries do that a person would pick for a part of the work: photutils, reproject, gammapy, scipy."""

import numpy as np

from benchmarks.sides import MANY, circles, places, scene

__all__ = ()

RADIUS, INNER, OUTER = 30.0, 60.0, 90.0  # arcsec


def photutils_sums(folder, facts):
    """Sum counts, exposure and live pixels of a map in one circle and ring, as pixels whose centre lies inside."""
    from astropy.io import fits
    from astropy.wcs import WCS
    from photutils.aperture import CircularAnnulus, CircularAperture

    item = facts["maps"][0]
    counts, header = fits.getdata(item["image"], header=True)
    exposure, wcs, pixel = fits.getdata(item["exposure"]), WCS(header).celestial, item["step"] * 0.05
    live, given = exposure > 0, places(facts)

    def run(number):
        at = wcs.all_world2pix([given[number % MANY]], 0)[0]
        circle, ring = CircularAperture(at, RADIUS / pixel), CircularAnnulus(at, INNER / pixel, OUTER / pixel)
        sums = [[a.do_photometry(m, method="center")[0][0] for m in (counts, exposure, live)] for a in (circle, ring)]
        return np.array([sums[0][0], sums[1][0]])

    return run


def photutils_table(folder, facts):
    """The same with ``aperture_photometry`` and its table, as its documentation shows it."""
    from astropy.io import fits
    from astropy.wcs import WCS
    from photutils.aperture import CircularAnnulus, CircularAperture, aperture_photometry

    item = facts["maps"][0]
    counts, header = fits.getdata(item["image"], header=True)
    exposure, wcs, pixel = fits.getdata(item["exposure"]), WCS(header).celestial, item["step"] * 0.05
    live, given = (exposure > 0).astype(float), places(facts)

    def run(number):
        at = wcs.all_world2pix([given[number % MANY]], 0)[0]
        both = [CircularAperture(at, RADIUS / pixel), CircularAnnulus(at, INNER / pixel, OUTER / pixel)]
        tables = [aperture_photometry(m, both, method="center") for m in (counts, exposure, live)]
        return np.array([tables[0]["aperture_sum_0"][0], tables[0]["aperture_sum_1"][0]])

    return run


def photutils_many(folder, facts):
    """Sum three maps in exact circles and rings of 10,000 positions."""
    from astropy.io import fits
    from photutils.aperture import CircularAnnulus, CircularAperture

    arrays = [fits.getdata(m["image"]).astype(np.float64) for m in facts["maps"][:3]]

    def run(number):
        at = circles(number, facts).T
        both = CircularAperture(at, 6.9), CircularAnnulus(at, 10.0, 17.0)
        return np.array([[a.do_photometry(m, method="exact")[0] for m in arrays] for a in both])

    return run


def scipy_clusters(folder, facts):
    """Cluster the brightest pixels by scipy's fclusterdata, as XGA does, and take the brightest of the largest."""
    from scipy.cluster.hierarchy import fclusterdata

    scenes = [scene(n) for n in range(5)]

    def run(number):
        rate, mask = scenes[number % 5]
        masked = rate * mask
        wanted = round(np.count_nonzero(masked) * 0.05)
        inds = np.unravel_index(np.argpartition(masked.ravel(), -wanted)[-wanted:], masked.shape)
        labels = fclusterdata(np.stack(inds, axis=1), 5, criterion="distance")
        names, sizes = np.unique(labels, return_counts=True)
        chosen = np.zeros(masked.shape, dtype=bool)
        keep = labels == names[np.argmax(sizes)]
        chosen[inds[0][keep], inds[1][keep]] = True
        y, x = np.unravel_index(np.argmax(masked * chosen), masked.shape)
        return int(x), int(y)

    return run


def gammapy_limits(folder, facts):
    """Upper limits of an array of counts with a known background, one by one, as CashCountsStatistic gives them."""
    from gammapy.stats import CashCountsStatistic

    def run(number):
        counts = np.random.default_rng(number).poisson(3.0, 200 if facts["small"] else 1000)
        CashCountsStatistic(counts, 1.5).compute_upper_limit(n_sigma=1.64)

    return run


def reprojected(folder, facts):
    """Put nine images onto one grid, the nearest pixel of each, with reproject."""
    from astropy.io import fits
    from astropy.wcs import WCS
    from reproject import reproject_interp

    images = [fits.getdata(m["image"]) for m in facts["maps"]]
    frames = [WCS(fits.getheader(m["image"])).celestial for m in facts["maps"]]

    def run(number):
        total = np.zeros((512, 512))
        for image, frame in zip(images, frames, strict=True):
            part, _ = reproject_interp(
                (image.astype(float), frame), frames[number % 9], (512, 512), order="nearest-neighbor"
            )
            total += np.nan_to_num(part)
        return total

    return run


def histogram(folder, facts):
    """Read a plain list with astropy and count it with fast-histogram, after one decompression of the packed one."""
    import gzip
    from pathlib import Path

    from astropy.io import fits
    from fast_histogram import histogram2d

    def run(number):
        gzip.decompress(Path(facts["packed_events"]).read_bytes())
        with fits.open(facts["events"], memmap=True) as hdus:
            data = hdus[1].data
            keep = (data["PI"] >= 500) & (data["PI"] <= 2000) & (data["X"] <= 48106) & (data["Y"] <= 48106)
            x, y = (np.asarray(data[n])[keep] for n in ("X", "Y"))
            edges = [3648.5, 3648.5 + 512 * 87]
            return histogram2d(y, x, bins=512, range=[edges, edges]).astype(np.int64)

    return run
