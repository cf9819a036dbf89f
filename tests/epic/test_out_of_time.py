"""Out-of-time events of pn from the image itself, against the image that SAS made of simulated ones."""

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter

import xphotfn as xp
from xphotfn.epic.camera.detector import camera_named
from xphotfn.epic.camera.projection import detector_grid
from xphotfn.epic.out_of_time import OUT_OF_TIME, out_of_time_of, smeared

SKY = {
    "INSTRUME": "EPN", "SUBMODE": "PrimeFullWindow", "RA_PNT": 150.0, "DEC_PNT": 2.0, "PA_PNT": 70.0, "NAXIS": 2,
    "NAXIS1": 200, "NAXIS2": 200, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg",
    "CRPIX1": 100.5, "CRPIX2": 100.5, "CDELT1": -10 / 3600, "CDELT2": 10 / 3600, "CRVAL1": 150.0, "CRVAL2": 2.0,
}  # fmt: skip


def header(**changed):
    return fits.Header(list({**SKY, **changed}.items()))


def test_columns_of_a_real_image_are_spread_as_sas_spreads_events(folders_root):
    """SAS moves each event to a random row: what is left in blocks of 1,000 counts or more is Poisson noise."""
    stem = folders_root / "esas" / "0203930101" / "pnS003-obj-image-det-unfilt"
    counts, cards = fits.getdata(f"{stem}.fits.gz", header=True)
    theirs = fits.getdata(f"{stem}-oot.fits.gz").astype(float)
    ours = smeared(counts, cards, "pn", rows=(13, 188))
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.01)
    block = blocks(counts.shape, cards)
    ours, theirs = (np.bincount(block[block >= 0], image[block >= 0]) for image in (ours, theirs))
    ours *= theirs.sum() / ours.sum()
    enough = ours >= 1000
    pull = (theirs[enough] - ours[enough]) / np.sqrt(ours[enough])
    assert enough.sum() > 380
    assert np.sqrt(np.mean(pull**2)) < 1.1
    assert abs(pull.mean()) < 0.2


def blocks(shape, cards):
    """Return the block of 16 x 20 pixels of a CCD in which the middle of each pixel lies, -1 for none."""
    _, to_det = detector_grid(cards, "pn")
    y, x = np.indices(shape)
    det_x, det_y = (to_det[k, k] * v + to_det[k, 2] for k, v in ((0, x), (1, y)))
    found = np.full(shape, -1)
    for chip in camera_named("EPN", "pn").chips:
        column, row = (det_x - chip.x0) / chip.xx, (det_y - chip.y0) / chip.yy
        on = (column > 0.5) & (column < 64.5) & (row > 12.5) & (row < 200.5)
        found[on] = chip.number * 100 + ((column[on] - 0.5) // 16 * 20 + (row[on] - 0.5) // 20).astype(int)
    return found


def test_streaks_of_real_images_have_the_expected_strength(data_root):
    """Around the cluster A907: counts of rings against exposure and streaks; those of a turned camera are not there."""
    found = {turn: [] for turn in (0.0, 90.0)}
    for obs_id in ("0201901401", "0201903501", "0404910601"):
        stem = data_root / "a907" / obs_id / f"{obs_id}_pn_0.50-2.00keV_"
        counts, cards = fits.getdata(f"{stem}img.fits.gz", header=True)
        exposure = fits.getdata(f"{stem}expmap.fits.gz").astype(float)
        for turn, strengths in found.items():
            turned = cards.copy()
            turned["PA_PNT"] += turn
            strengths.append(strength(counts, exposure, out_of_time_of(counts, turned, "pn")))
    (right, error), (wrong, of_wrong) = (np.sum(parts, axis=0) for parts in found.values())
    right, wrong, error, of_wrong = right / error, wrong / of_wrong, error**-0.5, of_wrong**-0.5
    assert error < 0.1
    assert abs(right - 1) < 3 * error
    assert right > 7 * error
    assert abs(wrong) < 3 * of_wrong


def strength(counts, exposure, streaks):
    """Return how strong streaks are over what is expected, times its weight, and the weight."""
    smooth = gaussian_filter(counts.astype(float), 3)
    middle = np.unravel_index(smooth.argmax(), smooth.shape)
    away = np.hypot(*(axis - at for axis, at in zip(np.indices(counts.shape), middle, strict=True))) * 4.35 / 60
    total = np.zeros(2)
    for inner in np.arange(2.5, 12, 0.75):  # arcmin
        ring = (away >= inner) & (away < inner + 0.75) & (exposure > 0.3 * exposure.max())
        if ring.sum() < 300:
            continue
        ring &= smooth < np.quantile(smooth[ring], 0.98)  # no sources
        design = np.stack((exposure[ring], streaks[ring]), axis=1)
        weight = exposure[ring].sum() / (exposure[ring] * counts[ring].sum())
        of_both = np.linalg.inv((design * weight[:, None]).T @ design)
        fitted = of_both @ (design.T @ (weight * counts[ring]))
        total += np.array([fitted[1], 1.0]) / of_both[1, 1]
    return total


def test_a_bright_pixel_makes_a_streak_of_its_share():
    counts = np.zeros((200, 200))
    counts[120, 130] = 20000
    found = out_of_time_of(counts, header(), "pn.fits")
    assert 0.7 < found.sum() / (0.063 * 20000) <= 0.95  # rows 1 to 12 and those out of view show nothing
    y, x = np.nonzero(found)
    across = np.linalg.svd(np.stack((x - x.mean(), y - y.mean()), axis=1), full_matrices=False)[1]
    assert across[1] < 0.05 * across[0]  # a line


@pytest.mark.parametrize("mode", OUT_OF_TIME)
def test_modes_differ_by_their_readout(mode):
    counts = np.ones((200, 200))
    found = out_of_time_of(counts, header(SUBMODE=mode), "pn.fits")
    some = found[found > 0]
    assert np.median(some) == pytest.approx(OUT_OF_TIME[mode], rel=0.35)


def test_mos_has_none_and_what_is_not_known_is_refused():
    counts = np.ones((200, 200))
    assert not out_of_time_of(counts, header(INSTRUME="EMOS1"), "mos.fits").any()
    with pytest.raises(xp.NoData, match="not for mode FastTiming"):
        out_of_time_of(counts, header(SUBMODE="FastTiming"), "pn.fits")
    with pytest.raises(xp.InvalidFile, match="that place its columns"):
        out_of_time_of(counts, header(PA_PNT="unknown"), "pn.fits")
    assert not out_of_time_of(np.zeros((200, 200)), header(), "pn.fits").any()
    lost = np.full((200, 200), np.nan)
    assert not out_of_time_of(lost, header(), "pn.fits").any()
