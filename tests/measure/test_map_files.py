"""Any telescope: rate maps from a pair of files, in TAN or SIN, in s or cm2 s, and all that is measured on them."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from attrs import evolve
from hypothesis import given, settings, strategies as st

import xphotfn as xp
from xphotfn.errors import InvalidFile, InvalidRecord, ShapeMismatch, UnitMismatch
from xphotfn.plot.picture import sky_wcs
from xphotfn.records.grid import PixelGrid
from xphotfn.science.coords import deg_to_pix, pix_to_deg
from xphotfn.testing.examples import example_rate_map

BAND = xp.energy_band(0.5 * u.keV, 2 * u.keV)
STEP = 4 / 3600


def header(projection="TAN", n=120, **cards):
    return fits.Header(
        {
            "CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}", "CRPIX1": n / 2 + 0.5,
            "CRPIX2": n / 2 + 0.5, "CRVAL1": 130.0, "CRVAL2": -1.5, "CDELT1": -STEP, "CDELT2": STEP,
            "CUNIT1": "deg", "CUNIT2": "deg", "TELESCOP": "eROSITA", "INSTRUME": "TM1", "OBS_ID": "300007",
            "RADESYS": "FK5", "EQUINOX": 2000.0,
        }
        | cards
    )  # fmt: skip


def written(folder, image=None, exposure=None, *, n=120, level=1e4, shape=None, source=400.0):
    """Write a pair: one source of some counts, of a Gaussian of 8 arcsec, on 0.05 counts per pixel."""
    y, x = np.indices((n, n))
    mean = 0.05 + source / (2 * np.pi * 4) * np.exp(-((x - 70) ** 2 + (y - 64) ** 2) / 8)
    counts = np.random.default_rng(5).poisson(mean).astype(np.int32)
    paths = [str(folder / name) for name in ("image.fits", "expmap.fits")]
    arrays = (counts, np.full((n, n), level, np.float32))
    for path, array, cards in zip(paths, arrays, (image or {}, exposure or {}), strict=True):
        cards = header(n=n, **cards)
        fits.PrimaryHDU(array if shape is None else array.reshape(shape), cards).writeto(path, overwrite=True)
    return paths


@settings(max_examples=30)
@given(
    st.floats(0, 359.9), st.floats(-89, 89), st.floats(-400, 900), st.floats(-400, 900), st.floats(0.5, 30),
)  # fmt: skip
def test_sin_is_what_astropy_and_the_paper_have(ra, dec, x, y, arcsec):
    grid = PixelGrid(nx=512, ny=512, crpix1=256.5, crpix2=200.25, ra_deg=ra, dec_deg=dec, cdelt1_deg=-arcsec / 3600,
                     cdelt2_deg=arcsec / 3600, projection="SIN")  # fmt: skip
    found = np.array(pix_to_deg(grid, x, y))
    expected = np.array(sky_wcs(grid).wcs_pix2world(x, y, 0))
    apart = (found - expected + [180, 0]) % [360, 1000] - [180, 0]
    assert np.abs(apart[0] * np.cos(np.deg2rad(expected[1]))) < 1e-9
    assert np.abs(found[1] - expected[1]) < 1e-9
    assert np.allclose(deg_to_pix(grid, *found), (x, y), atol=1e-4, rtol=0)


def test_sin_is_no_tan():
    """9 arcsec in the corner of a tile of eROSITA: what pretending would cost."""
    tile = {"nx": 3240, "ny": 3240, "crpix1": 1620.5, "crpix2": 1620.5, "ra_deg": 130.0, "dec_deg": -1.5,
            "cdelt1_deg": -STEP, "cdelt2_deg": STEP}  # fmt: skip
    one, other = (pix_to_deg(PixelGrid(**tile, projection=name), 3239, 3239) for name in ("TAN", "SIN"))
    assert 3600 * np.hypot(*np.subtract(one, other)) == pytest.approx(9, abs=1.5)
    wide = evolve(PixelGrid(**tile, projection="SIN"), cdelt1_deg=-0.05, cdelt2_deg=0.05)
    assert np.isnan(pix_to_deg(wide, 0, 0)).all()  # beside the sphere
    assert np.isnan(deg_to_pix(wide, 310.0, 1.5)).all()  # on its other side
    assert PixelGrid(**tile).difference(PixelGrid(**tile, projection="SIN")) == "projection TAN and SIN"


@pytest.mark.parametrize("projection", ["TAN", "SIN"])
@pytest.mark.parametrize(
    ("bunit", "unit", "level"), [("s", u.ct / u.s, 1e4), ("cm**2 sec", u.photon / u.cm**2 / u.s, 2e7)]
)
def test_everything_works_on_a_map_of_another_telescope(tmp_path, projection, bunit, unit, level):
    kind = {"CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}"}
    item = xp.rate_map(*written(tmp_path, kind, {**kind, "BUNIT": bunit}, level=level), band=BAND, target="a source")
    assert (item.instrument, item.obs_id, item.target, item.rate_unit) == ("tm1", "300007", "a source", unit)
    world = WCS(item.header).wcs_pix2world([[70, 64]], 0)[0] * u.deg
    assert u.allclose(xp.coord_conv(item, [70, 64] * u.pix, "deg"), world, atol=1e-9 * u.deg)
    ring = (40 * u.arcsec, 90 * u.arcsec)
    [row] = xp.photometry(item, world, 32 * u.arcsec, background=ring)
    assert row["rate"].unit == unit
    assert row["rate_low"] < 400 / level * unit < row["rate_high"]
    gauss = xp.EncircledEnergyTable(radii_arcsec=np.linspace(0, 60, 61),
                                    fractions=1 - np.exp(-np.linspace(0, 60, 61) ** 2 / 128))  # fmt: skip
    [row] = xp.photometry(item, world, 16 * u.arcsec, psf=gauss)
    assert row["rate_low"] < 400 / level * unit < row["rate_high"]
    assert row["instrument"] == "tm1"
    joint = xp.joint_photometry(xp.photometry(item, world, 16 * u.arcsec, psf=gauss))
    assert joint["rate"].unit == unit
    assert xp.upper_limit_map(item, radius=16 * u.arcsec, psf=gauss).rate_unit == unit
    path = xp.write_fits(item, tmp_path / "rate.fits")
    again = xp.read_rate_map(path)
    assert (again.data == item.data).all()
    assert (again.band, again.instrument, again.grid, again.rate_unit) == (item.band, "tm1", item.grid, unit)
    assert again.grid.projection == projection


@pytest.mark.parametrize("bunit", ["s", "cm2 s"])
def test_a_field_of_maps_serves_masks_snr_profiles_limits_and_pictures(tmp_path, bunit):
    kind = {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"}
    item = xp.rate_map(*written(tmp_path, kind, {**kind, "BUNIT": bunit}), band=BAND)
    world = xp.coord_conv(item, [70, 64] * u.pix, "deg")
    target = xp.point_source("one", *world, radius=40 * u.arcsec)
    ra, dec = xp.coord_conv(item, [40, 30] * u.pix, "deg").value
    (tmp_path / "some.reg").write_text(f'fk5\ncircle({ra},{dec},30") # color=red\nimage\ncircle(71,65,5) # color=red\n')
    field = xp.field_of_maps(target, item, regions=tmp_path / "some.reg")
    [member] = field.members
    assert (member.obs_id, member.observation.telescope) == ("300007", "eROSITA")
    assert (len(member.interlopers), member.match is not None) == (1, True)
    free = xp.interloper_mask(item, field)
    y, x = np.indices(free.shape)
    assert (~free == (np.hypot(x - 40, y - 30) < 7.5)).mean() > 0.9995
    measured = xp.snr(item, field, "point", background=(1.5, 2.5))
    assert measured.value > 15
    assert measured.net_rate.unit == item.rate_unit
    assert measured.net_counts == pytest.approx(400, abs=80)
    profile = xp.surface_brightness_profile(item, field, [0, 20, 40, 80] * u.arcsec)
    assert profile["brightness"][0] > 5 * profile["brightness"][-1]
    peak = xp.find_peak(item, field, search=60 * u.arcsec)
    assert u.allclose(peak.position, world, atol=10 * u.arcsec)
    again = xp.mask(item, xp.with_centre(field, peak), "point", background=(1.5, 2.5))
    assert again[0].sum() > 200
    pyplot = pytest.importorskip("matplotlib.pyplot")
    axes = xp.view(item, field=field, cross_hair=world)
    assert axes.wcs.wcs.ctype[0] == "RA---SIN"
    pyplot.close(axes.figure)
    with pytest.raises(InvalidRecord, match="no coordinates physical"):
        far = xp.Region(shape="circle", frame="physical", x=3.0, y=3.0, size=(2.0,))
        xp.field_of_maps(target, item, regions=[far])


def test_rates_of_photometry_equal_those_of_the_same_counts_in_seconds(tmp_path):
    """The unit of the exposure changes the unit of a rate and, level for level, nothing else."""
    tables = []
    for bunit in ("s", "cm2 s"):
        folder = tmp_path / bunit.replace(" ", "")
        folder.mkdir()
        item = xp.rate_map(*written(folder, None, {"BUNIT": bunit}), band=BAND)
        tables.append(xp.photometry(item, [129.99, -1.49] * u.deg, 20 * u.arcsec, background=(2, 3)))
    for name in ("rate", "rate_low", "rate_high", "upper_limit"):
        assert tables[0][name].value == pytest.approx(tables[1][name].value, rel=1e-12)


def test_hdus_and_axes_of_one_pixel(tmp_path):
    image, exposure = written(tmp_path, shape=(1, 1, 120, 120))
    flat = xp.rate_map(image, exposure, band=BAND)
    assert flat.data.shape == (120, 120)
    both = str(tmp_path / "both.fits")
    hdus = [fits.PrimaryHDU()]
    for name, path in (("IMAGE", image), ("EXPMAP", exposure)):
        hdus.append(fits.ImageHDU(fits.getdata(path), fits.getheader(path), name=name))
    fits.HDUList(hdus).writeto(both)
    for places in ((both, (both, "EXPMAP")), ((both, 1), (both, 2))):
        item = xp.rate_map(*places, band=BAND)
        assert (item.data == flat.data).all()
        assert item.exposure.hdu == 2
    with pytest.raises(InvalidFile, match="it has"):
        xp.rate_map((both, "FLUX"), (both, 2), band=BAND)
    with pytest.raises(InvalidFile, match="holds no image"):
        xp.rate_map((both, 0), (both, 2), band=BAND)


@pytest.mark.parametrize(
    ("cards", "fits_well"),
    [
        ({"CD1_1": -STEP, "CD1_2": 1e-12, "CD2_1": -1e-12, "CD2_2": STEP}, True),
        ({"PC1_1": 1.0, "PC1_2": 1e-9, "PC2_1": 0.0, "PC2_2": 1.0}, True),
        ({"CD1_1": -STEP, "CD1_2": 1e-3 * STEP, "CD2_1": 1e-3 * STEP, "CD2_2": STEP}, False),
        ({"CROTA2": 0.1}, False),
    ],
)
def test_rotation_that_is_rounding_is_tolerated_and_no_more(tmp_path, cards, fits_well):
    paths = written(tmp_path, cards)
    if fits_well:
        assert xp.rate_map(*paths, band=BAND).grid.cdelt2_deg == pytest.approx(STEP, rel=1e-9)
    else:
        with pytest.raises(InvalidFile, match="is rotated"):
            xp.rate_map(*paths, band=BAND)


@pytest.mark.parametrize(
    ("image", "exposure", "options", "error", "words"),
    [
        ({"CTYPE1": "RA---ZEA", "CTYPE2": "DEC--ZEA"}, {}, {}, InvalidFile, "RA---SIN"),
        ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"}, {}, {}, ShapeMismatch, "projection SIN and TAN"),
        ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "PV2_1": 0.1}, {}, {}, InvalidFile, "parameters"),
        ({"CRPIX1": 61.5}, {}, {}, ShapeMismatch, "CRPIX1"),
        ({"BUNIT": "ct/s"}, {}, {}, UnitMismatch, "must hold counts"),
        ({}, {"BUNIT": "ks"}, {}, UnitMismatch, "must be in s or"),
        ({"INSTRUME": ""}, {}, {}, InvalidRecord, "give name="),
        ({"OBS_ID": ""}, {}, {}, InvalidRecord, "give obs_id="),
        ({}, {}, {"obs_id": "../up"}, InvalidRecord, "plain name"),
        ({}, {}, {"name": "pn"}, InvalidRecord, "EPIC's own"),
        ({}, {}, {"name": "combined"}, InvalidRecord, "other than 'combined'"),
        ({}, {}, {"band": (500, 2000)}, InvalidRecord, "energy_band"),
        ({"DSTYP1": "POS(X,Y)", "DSVAL1": "CIRCLE(1,2,3)"}, {}, {}, InvalidFile, "cut by a region"),
        ({"CDELT1": STEP}, {}, {}, InvalidFile, "is mirrored"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_what_to_do(tmp_path, image, exposure, options, error, words):
    with pytest.raises(error, match=words):
        xp.rate_map(*written(tmp_path, image, exposure), **{"band": BAND, **options})


def test_what_is_of_xmm_says_so(tmp_path):
    item = xp.rate_map(*written(tmp_path, {"CRVAL1L": 1.0, "CDELT1L": 2.0, "CRVAL2L": 1.0, "CDELT2L": 2.0}), band=BAND)
    place = [130.0, -1.5] * u.deg
    with pytest.raises(ShapeMismatch, match="no XMM sky coordinates"):
        xp.coord_conv(item, place, xp.xmm_sky)
    with pytest.raises(InvalidRecord, match="of XMM-Newton"):
        xp.photometry(item, place, 20 * u.arcsec, psf="epic")
    with pytest.raises(InvalidRecord, match="of XMM-Newton"):
        xp.upper_limit_map(item, radius=20 * u.arcsec, psf="epic")
    with pytest.raises(InvalidRecord, match="beyond the wings of EPIC"):
        xp.photometry(item, place, 20 * u.arcsec)
    ranges = {"DSTYP1": "X", "DSVAL1": "3749.25:4072.47", "DSTYP2": "Y", "DSVAL2": "4960.6:5335.4"}
    assert xp.rate_map(*written(tmp_path, ranges), band=BAND).counts.any()  # Chandra's are of the image's own size
    whole = np.ones((9, 9))
    with pytest.raises(InvalidRecord, match="does not hold whole counts"):
        fits.PrimaryHDU(np.full((9, 9), 0.5), header(n=9)).writeto(tmp_path / "a.fits")
        fits.PrimaryHDU(whole, header(n=9)).writeto(tmp_path / "b.fits")
        _ = xp.rate_map(tmp_path / "a.fits", tmp_path / "b.fits", band=BAND).counts


def test_an_epic_pair_is_what_a_run_gives(tmp_path):
    pair = example_rate_map()
    same = xp.rate_map(pair.image.path, pair.exposure.path, band=pair.band, target="example")
    assert not same.grid.difference(pair.grid)
    assert all(getattr(same.image, n) == getattr(pair.image, n) for n in ("path", "target", "exposure_id", "band"))
    assert xp.read_rate_map(xp.write_fits(pair, tmp_path / "rate.fits")).grid == same.grid


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_a_real_pair_of_chandra(folders_root, tmp_path):
    """The published map of a source, its psf's own image beside it as counts."""
    folder = folders_root / "chandra_xap"
    stem = str(folder / "acisf01575_001N001_r0115b_")
    with fits.open(f"{stem}psf3.fits.gz") as psf:
        counts = np.rint(1e4 * psf[0].data).astype(np.int32)
        fits.PrimaryHDU(counts, psf[0].header).writeto(tmp_path / "image.fits")
    item = xp.rate_map(tmp_path / "image.fits", f"{stem}regexp3.fits.gz", band=xp.energy_band("0.5 keV", "7 keV"))
    assert (item.instrument, item.obs_id, item.rate_unit) == ("acis", "1575", u.photon / (u.cm**2 * u.s))
    y, x = np.unravel_index(np.argmax(counts), counts.shape)
    place = xp.coord_conv(item, [x, y] * u.pix, "deg")
    assert u.allclose(place, WCS(item.header).wcs_pix2world([[x, y]], 0)[0] * u.deg, atol=1e-8 * u.deg)
