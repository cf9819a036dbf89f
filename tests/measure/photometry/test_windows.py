"""What is measured costs what is looked at: windows of maps give what whole maps give, at edges and beyond them too."""

import gzip
import itertools

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from attrs import evolve
from hypothesis import HealthCheck, given, settings, strategies as st

import xphotfn as xp
from xphotfn.errors import InvalidFile, InvalidRecord, NoData
from xphotfn.io import products
from xphotfn.io.products import ExposureMap, Image, RateMap, clear_cache
from xphotfn.io.write import write_image
from xphotfn.measure.photometry import neighbours as aperture_neighbours
from xphotfn.measure.photometry.apertures import photometry
from xphotfn.records.band import Band
from xphotfn.records.grid import PixelGrid
from xphotfn.records.region import Region
from xphotfn.science.coords import pix_to_deg
from xphotfn.science.pixel_masks import PixelShape, paint, painted
from xphotfn.science.snr_methods import signal_to_noise
from xphotfn.testing.examples import example_field

PIXEL = 4.0
SIZE = 260  # pixels: wide enough that positions far apart are measured in windows of their own
GRID = PixelGrid(nx=SIZE + 20, ny=SIZE, crpix1=120.5, crpix2=130.25, ra_deg=10.0, dec_deg=-5.0,
                 cdelt1_deg=-PIXEL / 3600, cdelt2_deg=PIXEL / 3600)  # fmt: skip
NAMES = {"obs_id": "0999990101", "exposure_id": "S003", "instrument": "pn", "band": Band(lo_ev=500, hi_ev=2000)}
numbers = itertools.count()
few = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=15)
WHOLE = "counts", "background_counts", "area", "live_area", "background_area", "masked_fraction", "exposure_min"


def written(folder, counts, exposure, grid=GRID):
    number = next(numbers)
    paths = [folder / f"{number}_{kind}.fits" for kind in ("image", "exposure")]
    for path, array in zip(paths, (counts, exposure), strict=True):
        write_image(path, array, grid, [])
    image, expmap = (kind(path=str(p), grid=grid, **NAMES) for kind, p in zip((Image, ExposureMap), paths, strict=True))
    return RateMap(image=image, exposure=expmap)


@pytest.fixture(scope="module")
def sky_map(tmp_path_factory):
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: GRID.ny, : GRID.nx]
    exposure = np.where((x % 61 > 1) & (y % 97 > 2), 1000.0 + 8 * x + 3 * y + rng.normal(0, 20, x.shape), 0.0)
    return written(tmp_path_factory.mktemp("sky"), rng.poisson(0.6, GRID.shape), exposure.astype(np.float32))


def at_pixels(places):
    x, y = np.array(places, dtype=float).T
    return u.Quantity(np.stack(pix_to_deg(GRID, x, y), axis=-1), u.deg)


def field_of(regions):
    [member] = example_field().members
    member = evolve(member, region_grid=GRID, interlopers=regions, match=None, kept=(), alternates=())
    return evolve(example_field(), members=(member,))


def region(x, y, a, b, angle):
    return Region(shape="ellipse", frame="image", x=x, y=y, size=(a, b), angle_deg=angle, colour="red")


coordinates = st.floats(-40, SIZE + 60) | st.integers(-3, SIZE + 3).map(float) | st.just(float(SIZE - 1))
places = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=5)
regions = st.lists(
    st.builds(region, coordinates, coordinates, st.floats(0.1, 25), st.floats(0.1, 9), st.floats(0, 360)), max_size=12
)


def same(windowed, whole):
    """Make sure that two tables are of the same numbers: sums of whole numbers to the last bit."""
    assert windowed.colnames == whole.colnames
    for name in whole.colnames:
        one, other = (np.asarray(getattr(t[name], "value", t[name])) for t in (windowed, whole))
        if name in WHOLE or one.dtype.kind not in "f":
            np.testing.assert_array_equal(one, other, err_msg=name)
        elif name in ("exposure_mean", "alpha"):
            np.testing.assert_allclose(one, other, rtol=1e-12, err_msg=name)
        else:  # roots of the posterior are found to 1e-9
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-13, err_msg=name)


@few
@given(places, regions, st.sampled_from([7.3, 30.0, 84.0]), st.sampled_from(["centre", "exact"]), st.booleans())
def test_windows_give_what_whole_maps_give(sky_map, at, others, radius, overlap, psf):
    how = {"overlap": overlap, "field": field_of(others), "background": (1.5, 2.5)} | ({"psf": "epic"} if psf else {})
    windowed = photometry(sky_map, at_pixels(at), radius * u.arcsec, **how)
    with pytest.MonkeyPatch.context() as patch:
        whole = slice(0, GRID.ny), slice(0, GRID.nx)
        patch.setattr(aperture_neighbours, "_windows", lambda *given: [(given[-1], whole)])
        same(windowed, photometry(sky_map, at_pixels(at), radius * u.arcsec, **how))


def test_far_positions_are_looked_at_apart(sky_map, monkeypatch):
    looked = []
    monkeypatch.setattr(RateMap, "window", lambda self, *w, f=RateMap.window: looked.append(w) or f(self, *w))
    photometry(sky_map, at_pixels([(28, 28), (250, 240), (29, 27)]), 12 * u.arcsec, background=(2, 3))
    pixels = [(rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in looked]
    assert len(looked) == 2
    assert sum(pixels) < 0.05 * GRID.nx * GRID.ny


@few
@given(regions, coordinates, coordinates, st.floats(0.5, 130))
def test_snr_looks_at_its_regions_only(sky_map, others, x, y, radius):
    field = xp.with_centre(field_of(others), at_pixels([(x, y)])[0])
    source, back = xp.mask(sky_map, field, radius * PIXEL * u.arcsec)
    for method in ("mid-p", "gaussian"):
        try:
            expected = signal_to_noise(sky_map.counts, sky_map.exposure.data, source, back, method)
        except NoData:
            with pytest.raises(NoData):
                xp.snr(sky_map, field, radius * PIXEL * u.arcsec, method=method)
            continue
        found = xp.snr(sky_map, field, radius * PIXEL * u.arcsec, method=method)
        hidden = xp.source_mask(sky_map, field, radius * PIXEL * u.arcsec)[0] & ~source & sky_map.sensor_mask
        for name in ("value", "counts", "alpha", "net_counts", "area_pix"):
            assert getattr(found, name) == getattr(expected, name), name
        assert found.masked_pix == hidden.sum()


@few
@given(regions, coordinates, coordinates, st.floats(0.5, 60))
def test_discs_are_those_of_their_formula(sky_map, others, x, y, radius):
    field = xp.with_centre(field_of(others), at_pixels([(x, y)])[0])
    source, back = xp.source_mask(sky_map, field, radius * PIXEL * u.arcsec)
    rows, columns = np.mgrid[: GRID.ny, : GRID.nx]
    squared = (columns - x) ** 2 + (rows - y) ** 2
    clear = np.all([np.abs(squared - (radius * f) ** 2) > 1e-6 for f in (1, 1.05, 1.5)], axis=0)
    np.testing.assert_array_equal(source[clear], (squared < radius**2)[clear])
    wanted = (squared < (1.5 * radius) ** 2) & ~(squared < (1.05 * radius) ** 2)
    np.testing.assert_array_equal(back[clear], wanted[clear])


window_ends = st.tuples(st.integers(0, 39), st.integers(1, 30), st.integers(0, 49), st.integers(1, 30))


@given(st.lists(st.builds(PixelShape, shape=st.just("ellipse"), x=st.floats(-9, 60), y=st.floats(-9, 50),
                          size=st.tuples(st.floats(0.05, 9), st.floats(0.05, 9)), angle_deg=st.floats(0, 180),
                          include=st.booleans()), max_size=6), window_ends, st.booleans())  # fmt: skip
def test_what_is_painted_in_a_window(shapes, ends, never_empty):
    top, height, left, width = ends
    window = slice(top, min(40, top + height)), slice(left, min(50, left + width))
    whole = np.zeros((40, 50), dtype=bool)
    paint(whole, shapes, never_empty=never_empty)
    np.testing.assert_array_equal(painted((40, 50), shapes, window, never_empty=never_empty), whole[window])


def test_a_thin_shape_with_its_pixel_beyond_the_window_is_not_empty():
    angle = np.degrees(np.arctan2(-0.3, 2.0))
    thin = [PixelShape(shape="ellipse", x=10.0, y=10.3, size=(3.0, 0.05), angle_deg=angle)]
    whole = np.zeros((40, 50), dtype=bool)
    paint(whole, thin, never_empty=True)
    assert np.argwhere(whole).tolist() == [[10, 12]]
    assert not painted((40, 50), thin, (slice(5, 15), slice(5, 12)), never_empty=True).any()


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8", "scaled", "packed"])
def test_rows_of_a_file_are_those_of_the_image(tmp_path, monkeypatch, kind):
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 200, (40, 30))
    pair = written(tmp_path, counts, np.ones((40, 30), np.float32), evolve(GRID, nx=30, ny=40))
    hdu = fits.PrimaryHDU(counts.astype(kind if kind not in ("scaled", "packed") else "i2"))
    if kind == "scaled":
        hdu.header.update(BZERO=5.0, BSCALE=2.0)
    hdu.header.update({k: v for k, v in pair.image.header.items() if k.startswith(("C", "R"))})
    content = hdu.header.tostring().encode() + hdu.data.astype(hdu.data.dtype.newbyteorder(">")).tobytes()
    content += bytes(-len(content) % 2880)
    (tmp_path / "image.fits").write_bytes(gzip.compress(content) if kind == "packed" else content)
    pair = evolve(pair, image=evolve(pair.image, path=str(tmp_path / "image.fits")))
    monkeypatch.setattr(products, "_LARGE", 1)
    clear_cache()
    expected = fits.getdata(tmp_path / "image.fits")
    for rows, columns in ((slice(3, 9), slice(0, 30)), (slice(39, 40), slice(7, 8)), (slice(0, 40), slice(2, 5))):
        part, _ = pair.window(rows, columns)
        np.testing.assert_array_equal(part, expected[rows, columns])
        assert part.dtype == expected.dtype.newbyteorder("=")
        assert not part.flags.writeable
    np.testing.assert_array_equal(pair.counts, expected)


def test_a_window_of_a_damaged_or_fractional_map_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(products, "_LARGE", 1)
    grid = evolve(GRID, nx=30, ny=400)
    fractional = np.zeros((400, 30))
    fractional[390, 3] = 0.5
    pair = written(tmp_path, fractional, np.ones((400, 30), np.float32), grid)
    with pytest.raises(InvalidRecord, match="whole counts"):
        pair.window(slice(0, 4), slice(0, 4))  # the half count lies elsewhere, and tells that these are no counts
    pair = written(tmp_path, np.zeros((400, 30), np.int32), np.ones((400, 30), np.float32), grid)
    content = (tmp_path / pair.path).read_bytes()
    (tmp_path / pair.path).write_bytes(content[:-9000])
    with pytest.raises(InvalidFile, match="cut short"):
        pair.window(slice(0, 4), slice(0, 4))
