"""All rows of the suite: what is compared with whom, what is wanted, and how the outputs must agree."""

import numpy as np

from benchmarks.harness import Row, Side

__all__ = ("ROWS",)


def ours(function):
    return Side("xphotfn", "ours", function)


def xga(function):
    return Side("XGA", "xga", function)


def floor(name, function):
    return Side(name, "floors", function)


def library(name, function):
    return Side(name, "libraries", function)


def same(mine, other):
    np.testing.assert_allclose(np.asarray(mine, float), np.asarray(other, float), rtol=1e-9, atol=1e-9)


def equal(mine, other):
    assert mine == other


def near(mine, other):
    """Whether coordinates are equal: XGA and astropy go through other formulas."""
    np.testing.assert_allclose(np.asarray(mine, float), np.asarray(other, float), rtol=0, atol=1e-8)


def same_rate(mine, other):
    np.testing.assert_allclose(mine, other, rtol=1e-6)


def few_pixels(mine, other):
    """Whether masks are equal but for some pixels on rims: XGA turns the position from ICRS to FK5, by 0.006 pixels."""
    for one, two in zip(np.atleast_3d(mine), np.atleast_3d(other), strict=True):
        assert np.count_nonzero((np.asarray(one) > 0) != (np.asarray(two) > 0)) <= 25


def two_masks(mine, other):
    for one, two in zip(mine, other, strict=True):
        assert np.count_nonzero((one > 0) != (two > 0)) <= 25


def nearly(mine, other):
    """Whether signal-to-noise is equal but for those pixels."""
    np.testing.assert_allclose(mine, other, rtol=5e-3)


def interloper_masks(mine, other):
    """Whether masks are equal but for rims: regions passes ellipses through a local Jacobian of the projection."""
    assert np.count_nonzero((np.asarray(mine) > 0) != (np.asarray(other) > 0)) <= 120


def same_places(mine, other):
    """Whether mosaics are equal but for pixels whose nearest neighbour is a matter of rounding."""
    assert np.count_nonzero(np.asarray(mine) != np.asarray(other)) <= 30_000


ROWS = (
    Row("process: import, one rate map read", ours("process_map"), xga("process_map"), at_least=4, agree=same_rate),
    Row("process: import, one rate map read", ours("process_map"),
        floor("import numpy, astropy.units, fits", "imports"), at_most=1.7),
    Row("process: xphotfn snr on A907, products found", ours("process_snr"),
        floor("its imports alone", "modules_of_snr"), at_most=1.5),
    Row("rate map from plain files, first touch", ours("first_touch"), xga("first_touch"), at_least=6, agree=same_rate,
        calls=15, times=4),
    Row("rate map from plain files, first touch", ours("first_touch"),
        floor("astropy: each file opened once, divided", "quotient"), at_most=1.5, agree=same_rate, calls=15, times=4),
    Row("R500 source and background masks", ours("r500_masks"), xga("r500_masks"), at_least=150, agree=two_masks,
        calls=11, times=10),
    Row("interloper mask of 66 regions", ours("interlopers"), xga("interlopers"), at_least=100, agree=interloper_masks),
    Row("snr in R500, masks to be made", ours("snr_steady"), xga("snr_steady"), at_least=40, agree=nearly, calls=11,
        times=10),
    Row("snr_ranking of 3 x 3 maps, steady", ours("ranking_steady"), xga("ranking_steady"), at_least=40, agree=nearly,
        calls=7),
    Row("snr_ranking of 3 x 3 maps, cold", ours("ranking_cold"), xga("ranking_cold"), at_least=60, agree=nearly,
        calls=5),
    Row("photometry, one position, one 512 x 512 map", ours("one_position"),
        library("photutils, six bare sums", "photutils_sums"), at_most=3, agree=same, calls=15, times=5),
    Row("photometry, one position, one 512 x 512 map", ours("one_position"),
        library("photutils, aperture_photometry", "photutils_table"), at_most=3, agree=same, calls=15, times=5),
    Row("photometry, one position, nine 2048 x 2048 maps", ours("nine_large_maps"),
        ours("one_position")._replace(name="one 512 x 512 map"), at_most=12, most_mb=200, calls=15),
    Row("joint rate of nine maps, some 10,000 counts", ours("joint"),
        ours("nine_maps_wide")._replace(name="photometry of them"), at_most=5),
    Row("sums of 10,000 positions, 3 maps, exact", ours("many_positions"),
        library("photutils, do_photometry", "photutils_many"), at_least=1, agree=same, calls=3),
    Row("clustering peak, 5,500 points", ours("clustering"), library("XGA's scipy call", "scipy_clusters"), at_least=30,
        agree=same, calls=5),
    Row("coord_conv, one pair pix -> deg", ours("pair_to_deg"), xga("pair_to_deg"), at_least=15, agree=near, times=50),
    Row("coord_conv, one pair deg -> pix", ours("pair_to_pix"), xga("pair_to_pix"), at_least=15, agree=near, times=50),
    Row("coord_conv, 1e5 pairs pix -> deg", ours("many_to_deg"), xga("many_to_deg"), at_least=3, agree=near),
    Row("coord_conv, 1e5 pairs deg -> pix", ours("many_to_pix"), xga("many_to_pix"), at_least=3, agree=same),
    Row("1e5 pairs to the sky and back", ours("there_and_back"), floor("astropy.wcs", "world"), at_least=1, agree=near),
    Row("packed event list to image", ours("image_of_packed"),
        ours("image_of_plain")._replace(name="plain list and one decompression"), at_most=1.2, agree=same),
    Row("packed event list to image", ours("image_of_packed"),
        floor("astropy, bincount, one decompression", "counting"), at_least=1, agree=same),
    Row("packed event list to image", ours("image_of_packed"), library("astropy and fast-histogram", "histogram"),
        at_least=1, agree=same),
    Row("nine exposure maps on a LocalCluster of one worker", ours("maps_on_cluster"),
        ours("maps_on_threads")._replace(name="the same on a thread"), at_most=1.2, agree=equal, calls=5),
    Row("matching 10,000 targets and observations", ours("matching_many"),
        ours("matching")._replace(name="1,000 and 1,000"), at_most=14, calls=3),
    Row("upper limits of 1,000 counts", ours("limits"), library("gammapy", "gammapy_limits"), at_least=100, calls=3),
    Row("nine images onto one grid", ours("mosaic_fifty"), library("reproject", "reprojected"), at_least=10,
        agree=same_places, calls=3),
)  # fmt: skip
