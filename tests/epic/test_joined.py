"""Nothing is measured where an image was cut out: real images of ESAS beside SAS's exposure maps, which are whole."""

import pickle
import shutil

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve

import xphotfn as xp
from xphotfn.epic.joined import joined, joined_mosaic
from xphotfn.errors import NoData
from xphotfn.reports.from_run import Asked, target_report
from xphotfn.science.coords import pix_to_deg

BAND = xp.energy_band(0.5 * u.keV, 10 * u.keV)
NAMES = ("mos1S001-obj-im-500-10000.fits.gz", "mos1S001-exp-im-500-10000.fits.gz")


@pytest.fixture(scope="module")
def folder(folders_root, tmp_path_factory):
    root = tmp_path_factory.mktemp("esas")
    for name in NAMES:
        shutil.copy(folders_root / "esas" / "0203930101" / name, root / name)
    return root


@pytest.fixture(scope="module")
def pair(folder):
    (observation,) = xp.find_observations(folder)
    field = xp.bulk_field([observation])
    run = xp.run(xp.plan_exposure_maps(field, BAND), engine=xp.native_engine(), store=folder / "store", progress=False)
    (found,) = xp.rate_maps(run)
    return found


def test_exposure_is_what_was_looked_at(pair):
    part = pair.exposure.looked_at
    whole = evolve(pair.exposure, looked_at=None)
    assert np.count_nonzero(whole.data) > 350_000
    assert np.array_equal(pair.exposure.data, whole.data * part)
    assert not pair.data[part == 0].any()
    assert np.array_equal(pair.sensor_mask, (part > 0) & (whole.data > 0))
    assert not pair.exposure.data.flags.writeable
    assert joined(pair.image, whole) == pair
    assert pickle.loads(pickle.dumps(pair)) == pair


INSIDE, OUTSIDE = (482, 467), (560, 470)  # pixels amid what was looked at, and on the detector far from it


def test_every_verb_agrees(pair):
    places = [[float(v) for v in pix_to_deg(pair.grid, *pixel)] for pixel in (INSIDE, OUTSIDE)] * u.deg
    ring = (8 * u.arcsec, 15 * u.arcsec)
    table = xp.photometry(pair, places, 5 * u.arcsec, background=ring)
    assert np.isfinite(table["upper_limit"][0])
    assert table["exposure_mean"][0].value > 38_000
    for name in ("counts", "rate", "upper_limit", "significance"):
        assert np.isnan(table[name][1])
    assert table["flags"][1] != 0
    assert table["exposure_mean"][1].value == table["exposure_min"][1].value == 0
    assert xp.exposure_at(pair, places[1]).value == 0


def test_the_mosaic_agrees(folder):
    """SAS's whole map goes into the mosaic; what the image did not look at is taken off again."""
    target = xp.extended_source("SgrB2", 266.93 * u.deg, -28.43 * u.deg, radius=1 * u.arcmin)
    field = xp.match_observations(target, xp.find_observations(folder))
    run = xp.run(xp.plan_mosaics(field, BAND), engine=xp.native_engine(), store=folder / "store", progress=False)
    (single,), combined = xp.rate_maps(run), xp.combined_rate_map(run)
    assert np.count_nonzero(evolve(combined.exposure, looked_at=None).data) > 350_000
    assert combined.exposure.data.sum(dtype=float) == pytest.approx(single.exposure.data.sum(dtype=float), rel=1e-3)
    assert np.count_nonzero(combined.exposure.data) == pytest.approx(np.count_nonzero(single.exposure.data), abs=8)
    with pytest.raises(NoData):
        xp.snr(combined, xp.with_centre(field, [266.8477, -28.4222] * u.deg), 10 * u.arcsec)
    (band,) = target_report(run, "SgrB2", Asked()).bands
    assert np.array_equal(band.combined.rate_map.exposure.data, combined.exposure.data)  # the report's is the same


def test_an_image_whose_cut_is_not_known_measures_nothing(pair, tmp_path):
    """Only that image: the others of a run go on. Its counts make a mosaic wrong, which is refused."""
    path = tmp_path / "image.fits"
    with fits.open(pair.path) as hdus:
        header = hdus[0].header.copy()
        for name in [
            n for n in header if n.lstrip("0123456789").startswith(("DSTYP", "DSVAL", "DSREF", "DSUNI", "DSFORM"))
        ]:
            del header[name]
        fits.PrimaryHDU(hdus[0].data, header).writeto(path)
    image = evolve(pair.image, path=str(path))
    with pytest.warns(UserWarning, match=r"does not hold it \(writedss=no\).*nothing is measured on this image"):
        blind = joined(image, evolve(pair.exposure, looked_at=None))
    assert not blind.exposure.data.any()
    with pytest.raises(xp.InvalidFile, match="where is not known"):
        joined_mosaic(pair.image, evolve(pair.exposure, looked_at=None), [blind])


def test_a_pair_by_hand_that_does_not_know_of_the_cut_is_refused(pair):
    place = [float(v) for v in pix_to_deg(pair.grid, *OUTSIDE)] * u.deg
    by_hand = xp.RateMap(image=pair.image, exposure=evolve(pair.exposure, looked_at=None))
    for measure in (lambda m: xp.photometry(m, place, 5 * u.arcsec), lambda m: xp.rate_at(m, place)):
        with pytest.raises(xp.InvalidRecord, match=r"was cut by regions.*xp\.joined"):
            measure(by_hand)
    assert xp.joined(by_hand.image, by_hand.exposure) == pair
