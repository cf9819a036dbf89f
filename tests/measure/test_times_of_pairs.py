"""An image and an exposure map that a person names by hand are of the same times, or their rate is refused."""

import shutil

import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from click.testing import CliRunner

import xphotfn as xp
from xphotfn.cli import main
from xphotfn.graph.one_image import image_of_events
from xphotfn.testing.examples import example_field, example_rate_map

CARDS = {"ONTIME01": 990.0, "ONTIME02": 1000.0, "EXPOSURE": 1000.0}


def pair_with(folder, *, image=None, exposure=None, **of_both):
    """The example's pair with more cards in its headers."""
    pair = example_rate_map()
    products = {}
    for name, cards in (("image", image or {}), ("exposure", exposure or {})):
        product = getattr(pair, name)
        path = folder / f"{name}.fits"
        with fits.open(product.path) as hdus:
            hdus[0].header.update(cards)
            hdus.writeto(path)
        products[name] = evolve(product, path=str(path), **of_both)
    return xp.RateMap(**products)


@pytest.mark.parametrize(
    ("image", "exposure", "says"),
    [
        (CARDS | {"EXPOSURE": 560.0}, CARDS, "EXPOSURE is 560.0 s in the image and 1000.0 s in the map"),
        (CARDS, CARDS | {"ONTIME02": 400.0}, "ONTIME02 is 1000.0 s in the image and 400.0 s in the map"),
        (CARDS, CARDS | {"EXPOSURE": 1001.1}, "EXPOSURE is 1000.0 s in the image and 1001.1 s in the map"),
        (
            CARDS | {"SLCTEXPR": "PI>300 && TIME<=9000"},
            CARDS,
            "the image keeps TIME <= 9000, the map no condition on TIME",
        ),
    ],
)
def test_other_times_are_refused_with_both_of_them(tmp_path, image, exposure, says):
    pair = pair_with(tmp_path, image=image, exposure=exposure)
    for take in (lambda: pair.counts, lambda: pair.data, lambda: xp.rate_at(pair, example_field().centre)):
        with pytest.raises(xp.InvalidRecord, match="make the exposure map from this image") as caught:
            take()
        assert says in str(caught.value)
        assert pair.image.path in str(caught.value)
        assert pair.exposure.path in str(caught.value)


@pytest.mark.parametrize(
    ("image", "exposure", "of_both"),
    [
        (CARDS, CARDS | {"EXPOSURE": 1000.9}, {}),  # rounding: the rate is right to 0.1 %
        (CARDS, {"EXPOSURE": 1000.0}, {}),  # as older eexpmaps write it
        (CARDS, {}, {}),  # a map that says nothing
        (CARDS | {"SLCTEXPR": "TIME <= 9000"}, CARDS | {"SLCTEXPR": "(TIME<=9000)"}, {}),
        (CARDS | {"EXPOSURE": 1.0}, CARDS, {"instrument": "combined", "obs_id": "combined", "exposure_id": ""}),
        (CARDS | {"EXPOSURE": 1.0}, CARDS, {"instrument": "acis"}),  # another telescope's cards mean other things
    ],
)
def test_what_agrees_or_says_nothing_is_measured(tmp_path, image, exposure, of_both):
    pair = pair_with(tmp_path, image=image, exposure=exposure, **of_both)
    np.testing.assert_array_equal(pair.counts, example_rate_map().counts)


def test_a_pair_is_looked_at_again_when_its_files_change(tmp_path):
    pair = pair_with(tmp_path, image=CARDS, exposure=CARDS)
    assert pair.counts.any()
    fits.setval(pair.exposure.path, "EXPOSURE", value=500.0)
    with pytest.raises(xp.InvalidRecord, match="different times"):
        _ = pair.counts


@pytest.fixture(scope="module")
def half(data_root, tmp_path_factory):
    """A real list, imaged on the grid of its real image for the first half of its time, and its real exposure map."""
    folder = tmp_path_factory.mktemp("half")
    real = data_root / "a907" / "0404910601"
    for kind in ("clean_evts", "0.50-2.00keV_expmap", "0.50-2.00keV_img"):
        (found,) = real.glob(f"*_mos2_{kind}.fits.gz")
        shutil.copy(found, folder)
    (events,) = folder.glob("*evts*")
    header = fits.getheader(events, "EVENTS")
    middle = header["TSTART"] + 0.5 * (header["TSTOP"] - header["TSTART"])
    good = fits.BinTableHDU.from_columns(
        [fits.Column("START", "D", array=[header["TSTART"]]), fits.Column("STOP", "D", array=[middle])], name="STDGTI"
    )
    good.writeto(folder / "gti.fits")
    image_of_events(
        events, xp.Band(lo_ev=500, hi_ev=2000), folder / "half.fits", engine=xp.native_engine(),
        selection=f"#XMMEA_EM && PATTERN<=12 && gti({folder / 'gti.fits'},TIME)", flares="keep",
    )  # fmt: skip
    return folder


def viewed(folder, image):
    (exposure,) = folder.glob("*expmap*")
    command = ["view", str(folder / image), "--exposure", str(exposure), "-o", str(folder / "map.png"), "--overwrite"]
    return CliRunner().invoke(main, command)


def test_a_real_image_of_half_the_time_has_no_rate_by_the_map_of_all(half):
    result = viewed(half, "half.fits")
    assert result.exit_code == 1, result.output
    assert "hold different times" in result.stderr
    assert "make the exposure map from this image" in result.stderr
    assert f"{fits.getval(half / 'half.fits', 'EXPOSURE'):.1f} s in the image and 11972.7 s in the map" in result.stderr
    assert not (half / "map.png").exists()


def test_the_real_image_of_all_the_time_has_one(half):
    (image,) = half.glob("*img.fits.gz")
    result = viewed(half, image.name)
    assert result.exit_code == 0, result.output
    assert (half / "map.png").exists()
