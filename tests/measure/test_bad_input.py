"""Every mistake is a typed error that says what was wrong and what to do; nothing finished is lost."""

import re

import astropy.units as u
import attrs
import numpy as np
import pytest
from astropy.units import Quantity

import xphotfn as xp
from xphotfn.testing.examples import example_field, example_rate_map, example_run


def without_redshift():
    target = xp.extended_source("near", *example_field().target.position, radius=1 * u.arcmin)
    return attrs.evolve(example_field(), target=target)


@pytest.mark.parametrize(
    ("coords", "error", "message"),
    [
        (Quantity([1, 2, 3], "pix"), xp.ShapeMismatch, r"shape \(2,\) or \(N, 2\)"),
        (Quantity(1, "pix"), xp.ShapeMismatch, "shape"),
        (Quantity(np.zeros((2, 2, 2)), "pix"), xp.ShapeMismatch, "shape"),
        ([1, 2], xp.UnitMismatch, "need a unit"),
        (Quantity([1, 2], "kg"), xp.UnitMismatch, "deg, pix or xmm_sky, not in kg"),
        (Quantity([1.0, 600.0], "pix"), xp.OffImage, r"512 x 512 pixels\): \(1, 600\)"),
        (Quantity([10.0, 50.0], "deg"), xp.OffImage, "1 of 1 positions"),
        (Quantity([np.nan, 50.0], "pix"), xp.OffImage, "nan"),
    ],
)
def test_coordinates(coords, error, message):
    with pytest.raises(error, match=message):
        xp.coord_conv(example_rate_map(), coords, "pix")


def test_unknown_coordinate_system():
    with pytest.raises(xp.UnitMismatch, match="not in furlong"):
        xp.coord_conv(example_rate_map(), Quantity([1, 2], "pix"), "furlong")


@pytest.mark.parametrize(
    ("region", "error", "message"),
    [
        ("r2500", xp.ProductMissing, "example has no r2500 .it has r200=1700.0 kpc, r500=1200.0 kpc"),
        ("point", xp.ProductMissing, "has no point"),
        ("r1000", xp.InvalidRecord, "no region is called 'r1000': use r500"),
        (30, xp.UnitMismatch, "needs a unit"),
        (-3 * u.arcsec, xp.InvalidRecord, "must not be negative"),
        (0 * u.arcsec, xp.InvalidRecord, "must be above 0"),
        (3 * u.keV, xp.UnitMismatch, "angle or a length"),
        ([1, 2] * u.arcsec, xp.UnitMismatch, "one number"),
    ],
)
def test_source_regions(region, error, message):
    with pytest.raises(error, match=message):
        xp.source_mask(example_rate_map(), example_field(), region)


def test_lengths_need_a_redshift():
    with pytest.raises(xp.UnitMismatch, match="300.0 kpc needs a redshift .* near has none"):
        xp.source_mask(example_rate_map(), without_redshift(), 300 * u.kpc)
    assert xp.source_mask(example_rate_map(), without_redshift(), 30 * u.arcsec)[0].any()


@pytest.mark.parametrize("background", [(1.5, 1.05), (0.5, 1.5), (1.05,), "wide", (1, float("inf"))])
def test_backgrounds_grow_outwards(background):
    with pytest.raises(xp.InvalidRecord, match="background"):
        xp.source_mask(example_rate_map(), example_field(), "r500", background=background)


def test_combined_maps_and_unmatched_observations_have_no_region():
    combined = xp.combined_rate_map(example_run())
    with pytest.raises(xp.ProductMissing, match="combined map has no matched region"):
        xp.source_mask(combined, example_field(), "region")
    field = example_field()
    unmatched = attrs.evolve(field, members=(attrs.evolve(field.members[0], match=None),))
    with pytest.raises(xp.ProductMissing, match="no region of 0999990101 matches example"):
        xp.source_mask(example_rate_map(), unmatched, "region")
    with pytest.raises(xp.InvalidRecord, match="centre= has no meaning"):
        xp.source_mask(example_rate_map(), field, "region", centre=field.centre)


def test_custom_masks():
    with pytest.raises(xp.InvalidRecord, match="inner < outer"):
        xp.custom_mask(example_rate_map(), example_field(), outer=1 * u.arcsec, inner=2 * u.arcsec)
    with pytest.raises(xp.InvalidRecord, match="overlap must be"):
        xp.custom_mask(example_rate_map(), example_field(), outer=1 * u.arcmin, overlap="exact")


def test_empty_background():
    with pytest.raises(xp.NoData, match="background region has no pixel on the detector"):
        xp.snr(example_rate_map(), example_field(), 12 * u.arcmin, background=(1.6, 1.7))


def test_ranking_keeps_maps_without_data_and_says_why():
    far = xp.with_centre(example_field(), [149.591375, -10.785])
    table = xp.snr_ranking([example_rate_map()], far, 10 * u.arcsec)
    assert np.isnan(table["snr"][0])
    assert "no pixel on the detector" in table["note"][0]
    with pytest.raises(xp.ProductMissing, match="no map to rank"):
        xp.snr_ranking([], example_field(), "r500")


def test_peaks():
    with pytest.raises(xp.InvalidRecord, match="clustering, simple"):
        xp.find_peak(example_rate_map(), example_field(), method="brightest")
    far = xp.with_centre(example_field(), [149.591375, -10.785])
    with pytest.raises(xp.NoData):
        xp.find_peak(example_rate_map(), far, search=10 * u.arcsec)


def test_unknown_definition():
    with pytest.raises(
        xp.InvalidRecord,
        match="no signal-to-noise is called 'snr': use one of mid-p, ",
    ):
        xp.snr(example_rate_map(), example_field(), "r500", method="snr")


def test_products_that_lack_what_is_asked():
    rate_map = example_rate_map()
    with pytest.raises(xp.ProductMissing, match="rate map"):
        xp.exposure_at(rate_map.image, [1, 1] * u.pix)
    with pytest.raises(xp.ProductMissing, match="no counts"):
        xp.counts_at(rate_map.exposure, [1, 1] * u.pix)
    with pytest.raises(xp.ProductMissing, match="needs a rate map"):
        xp.rate_at(rate_map.image, [1, 1] * u.pix)


def test_bulk_fields_have_no_centre():
    bulk = xp.bulk_field(example_field().observations)
    with pytest.raises(xp.ProductMissing, match="no centre"):
        xp.source_mask(example_rate_map(), bulk, 1 * u.arcmin)
    with pytest.raises(xp.InvalidRecord, match="no target to centre on"):
        xp.with_centre(bulk, [1, 2])
    assert xp.source_mask(example_rate_map(), bulk, 1 * u.arcmin, centre=example_field().centre)[0].any()


def test_a_file_that_vanished_or_changed_shape(tmp_path):
    from xphotfn.io.write import write_image

    gone = attrs.evolve(example_rate_map().image, path=str(tmp_path / "gone.fits"))
    with pytest.raises(xp.InvalidFile, match="gone.fits: cannot be read .*moved or deleted"):
        _ = gone.data
    write_image(tmp_path / "gone.fits", np.zeros((3, 3)), attrs.evolve(gone.grid, nx=3, ny=3))
    with pytest.raises(xp.ShapeMismatch, match="now has shape"):
        _ = gone.data


def test_writing_never_replaces_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = xp.write_fits(example_rate_map(), tmp_path / "rate.fits")
    before = path.read_bytes()
    with pytest.raises(xp.InvalidFile, match="exists already and is left as it was"):
        xp.write_fits(example_rate_map(), path)
    assert path.read_bytes() == before
    with pytest.raises(xp.InvalidFile, match="cannot be written"):
        xp.write_fits(example_rate_map(), tmp_path / "no" / "rate.fits")

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("astropy.io.fits.HDUList.writeto", full)
    with pytest.raises(xp.InvalidFile, match="No space left on device; nothing was left behind"):
        xp.write_fits(example_rate_map(), tmp_path / "full.fits")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rate.fits"]


def test_a_written_rate_map_reads_back(tmp_path):
    from astropy.io import fits

    rate_map = example_rate_map()
    with fits.open(xp.write_fits(rate_map, tmp_path / "rate.fits")) as hdus:
        assert np.array_equal(hdus[0].data, rate_map.data)
        assert np.array_equal(hdus["COUNTS"].data, rate_map.image.data)
        assert np.array_equal(hdus["EXPOSURE"].data, rate_map.exposure.data)
        assert hdus[0].header["BUNIT"] == "ct/s"
        assert hdus[0].header["CRVAL1L"] == 3692


@pytest.mark.parametrize("switch", ["exp_corr", "allow_negative"])
@pytest.mark.parametrize("value", ["yes", 1, None])
def test_switches_of_xga_are_true_or_false(switch, value):
    with pytest.raises(xp.InvalidRecord, match=f"{switch} must be True or False, got"):
        xp.xga_method(**{switch: value})


@pytest.mark.parametrize(
    ("radius", "how", "said"),
    [
        (1e9 * u.arcsec, {}, "must not be wider than the sky (180 deg), got 1000000000.0 arcsec"),
        (
            30 * u.arcsec,
            {"background": (40 * u.arcsec, 1e9 * u.arcsec)},
            "must not be wider than the sky (180 deg), got 1000000000.0 arcsec",
        ),
        (2 * u.deg, {"psf": "epic"}, "at most 1 deg"),
    ],
)
def test_apertures_wider_than_any_image_are_refused(radius, how, said):
    with pytest.raises(xp.InvalidRecord, match=re.escape(said)):
        xp.photometry(example_rate_map(), example_field().target, radius, **how)


@pytest.mark.parametrize("ra", [509.67, -210.3])
def test_no_right_ascension_beyond_the_circle(ra):
    with pytest.raises(xp.InvalidRecord, match=re.escape(f"RA must lie in [0, 360] deg, got {ra:g}")):
        xp.photometry(example_rate_map(), [ra, -11] * u.deg, 30 * u.arcsec)
    with pytest.raises(xp.InvalidRecord, match="RA must lie in"):
        xp.point_source("p", ra, -11, radius=30 * u.arcsec)
