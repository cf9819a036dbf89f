"""Pictures: what is drawn where, in which colours, and that nothing is left behind."""

from importlib import import_module

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from attrs import evolve

from xphotfn.errors import (
    InvalidRecord,
    NoData,
    OffImage,
    ShapeMismatch,
    UnitMismatch,
)
from xphotfn.io.thumbnails import UNEXPOSED
from xphotfn.measure.coordinates import coord_conv
from xphotfn.measure.sensitivity import upper_limit_map
from xphotfn.measure.smoothing import smoothed
from xphotfn.plot.view import sky_wcs, view
from xphotfn.records import Peak
from xphotfn.science.pixel_masks import disc
from xphotfn.testing import example_field, example_rate_map

mpl = pytest.importorskip("matplotlib")
mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from astropy.visualization import LogStretch, PowerStretch  # noqa: E402
from astropy.visualization.wcsaxes import WCSAxes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.colors import LogNorm  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


@pytest.fixture
def core():
    return disc((512, 512), 255.5, 255.5, 50.0)


def product_of(tmp_path, array):
    """Return the example image with other pixels."""
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(array).writeto(path, overwrite=True)
    return evolve(example_rate_map().image, path=str(path))


def pixels(ax):
    """Return the drawn figure as RGB and a function that gives the colour at an image pixel."""
    canvas = ax.figure.canvas
    canvas.draw()
    rgba = np.asarray(canvas.buffer_rgba())

    def at(x, y):
        column, row = ax.transData.transform((x, y))
        return tuple(int(v) for v in rgba[rgba.shape[0] - 1 - int(row), int(column), :3])

    return at


def bar_label(ax):
    return ax.images[0].colorbar.ax.get_ylabel()


# what is drawn


def test_image_has_all_pixels_and_the_origin_at_the_lower_left(rate_map):
    ax = view(rate_map)
    assert np.array_equal(np.asarray(ax.images[0].get_array()), rate_map.data)
    assert ax.images[0].origin == "lower"
    assert ax.get_xlim() == (-0.5, 511.5)
    assert ax.get_ylim() == (-0.5, 511.5)


def test_axes_are_on_the_sky(rate_map):
    ax = view(rate_map)
    assert isinstance(ax, WCSAxes)
    assert ax.coords[0].get_axislabel() == "RA (deg)"
    assert ax.coords[1].get_axislabel() == "Dec (deg)"
    expected = coord_conv(rate_map, [100, 100] * u.pix, "deg").value
    assert np.allclose(ax.wcs.wcs_pix2world([[100, 100]], 0)[0], expected, rtol=0, atol=1e-10)
    to_world = ax.get_transform("world")
    assert np.allclose((to_world - ax.transData).transform(np.array([expected])), [[100, 100]], atol=1e-6)


def test_log_limits_come_from_the_positive_pixels(rate_map):
    norm = view(rate_map).images[0].norm
    positive = rate_map.data[rate_map.data > 0]
    assert isinstance(norm, LogNorm)
    assert norm.vmin == np.percentile(positive, 1) / 2
    assert norm.vmax == np.percentile(positive, 99.9)


@pytest.mark.parametrize("stretch", ["linear", "sqrt", "asinh", PowerStretch(0.3), LogStretch(100)])
def test_other_stretches_start_at_zero(rate_map, stretch):
    ax = view(rate_map.image, stretch=stretch)
    norm = ax.images[0].norm
    counts = rate_map.image.data
    assert norm.vmin == 0
    assert norm.vmax == np.percentile(counts[counts > 0], 99.9)
    assert float(norm(0.0)) == 0
    assert float(norm(norm.vmax)) == pytest.approx(1)
    middle = float(norm(norm.vmax / 2))
    assert middle == pytest.approx(0.5) if stretch == "linear" else middle > 0.5
    ax.figure.canvas.draw()


def test_zeros_and_negatives_have_the_colour_of_the_background_and_nans_are_grey(tmp_path):
    array = np.zeros((512, 512))
    array[100:400, 100:400] = 5.0
    array[200:220, 200:220] = np.nan
    array[300:320, 300:320] = -4.0
    product = product_of(tmp_path, array)
    for stretch in ("log", "linear", LogStretch()):
        at = pixels(view(product, stretch=stretch))
        background = tuple(round(255 * v) for v in mpl.colormaps["inferno"](0.0)[:3])
        assert np.allclose(at(50, 50), background, atol=1)
        assert at(310, 310) == at(50, 50)
        assert np.allclose(at(210, 210), UNEXPOSED, atol=1)
        assert sum(at(150, 150)) > sum(at(50, 50)) + 100


def test_single_counts_are_brighter_than_nothing(tmp_path):
    array = np.zeros((512, 512), dtype=np.int32)
    array[:, :256] = 1
    at = pixels(view(product_of(tmp_path, array)))
    assert sum(at(100, 250)) > sum(at(400, 250)) + 100


@pytest.mark.parametrize("value", [0, -3, np.nan])
@pytest.mark.parametrize("stretch", ["log", "linear", "asinh"])
def test_an_empty_image_is_drawn_too(tmp_path, value, stretch):
    view(product_of(tmp_path, np.full((512, 512), value, dtype=float)), stretch=stretch).figure.canvas.draw()


@pytest.mark.parametrize(
    ("pick", "label"),
    [
        (lambda m: m, "Count rate per pixel (ct/s)"),
        (lambda m: m.image, "Counts per pixel (ct)"),
        (lambda m: m.exposure, "Exposure (s)"),
    ],
)
def test_colour_bar_names_the_unit(rate_map, pick, label):
    ax = view(pick(rate_map))
    assert bar_label(ax) == label


def test_title_says_what_it_is(rate_map):
    assert view(rate_map).get_title() == "example: 0999990101 pn, 0.5-2 keV"
    plain = evolve(rate_map.image, target=None)
    assert view(plain).get_title() == "0999990101 pn, 0.5-2 keV"
    mosaic = evolve(rate_map.image, obs_id="combined", instrument="combined", exposure_id="")
    assert view(mosaic).get_title() == "example: combined, 0.5-2 keV"


def test_labels_of_ticks_do_not_run_into_each_other_in_a_small_figure(rate_map):
    mask = disc((512, 512), 255.5, 255.5, 220.0)
    ax = view(rate_map.exposure, mask=mask, zoom_in=True, figsize=(4, 3.4))
    ax.figure.canvas.draw()
    rgba = np.asarray(ax.figure.canvas.buffer_rgba())
    box = ax.get_window_extent()
    strip = rgba[rgba.shape[0] - int(box.y0) + 4 : rgba.shape[0] - int(box.y0) + 20, int(box.x0) : int(box.x1), :3]
    ink = np.flatnonzero(strip.min(axis=(0, 2)) < 128)
    words = np.split(ink, np.flatnonzero(np.diff(ink) > 6) + 1)
    assert len(words) >= 2
    assert max(np.ptp(word) for word in words) < 55  # one label; two that touch would be 90


def test_log_colour_bar_has_plain_numbers(rate_map):
    ax = view(rate_map.image)
    ax.figure.canvas.draw()
    ticks = [t.get_text() for t in ax.images[0].colorbar.ax.get_yticklabels()]
    assert {"1", "2", "5"} <= set(ticks)


# cross hair


@pytest.mark.parametrize("unit", ["pix", "deg", "xmm_sky"])
def test_cross_hair_marks_the_position_in_any_unit(rate_map, unit):
    position = coord_conv(rate_map, [300.25, 200.5] * u.pix, unit, rounded=False)
    vertical, horizontal = view(rate_map, cross_hair=position).lines
    assert np.allclose(vertical.get_xdata(), 300.25, atol=1e-6)
    assert np.allclose(horizontal.get_ydata(), 200.5, atol=1e-6)


def test_second_cross_hair_is_dashed(rate_map):
    lines = view(rate_map, cross_hair=[[100, 110], [200, 220]] * u.pix).lines
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--", "--"]
    assert [float(lines[i].get_xdata()[0]) for i in (0, 2)] == [100, 200]
    assert [float(lines[i].get_ydata()[0]) for i in (1, 3)] == [110, 220]


def test_cross_hair_at_a_peak_and_at_positions_in_every_form(rate_map):
    field = example_field()
    ra, dec = (float(v) for v in field.centre.value)
    peak = Peak(ra_deg=ra, dec_deg=dec, near_edge=False, method="simple")
    x, y = coord_conv(rate_map, field.centre, "pix", rounded=False).value
    sky = SkyCoord(*field.centre)
    for place in (peak, sky, sky.galactic, sky.to_string("hmsdms", sep=":", precision=6)):
        vertical, horizontal = view(rate_map, cross_hair=place).lines
        assert (vertical.get_xdata()[0], horizontal.get_ydata()[0]) == pytest.approx((x, y), abs=1e-5)


def test_cross_hair_errors(rate_map):
    with pytest.raises(OffImage):
        view(rate_map, cross_hair=[600, 10] * u.pix)
    with pytest.raises(UnitMismatch):
        view(rate_map, cross_hair=[600, 10] * u.s)
    with pytest.raises(ShapeMismatch, match="got 3"):
        view(rate_map, cross_hair=[[1, 1]] * 3 * u.pix)
    assert plt.get_fignums() == []


# mask and zoom


def test_mask_veils_what_it_drops_and_nothing_else(rate_map, core):
    plain, masked = pixels(view(rate_map.exposure)), pixels(view(rate_map.exposure, mask=core))
    inside, outside = (255, 255), (255, 330)
    assert masked(*inside) == plain(*inside)
    red, green, blue = masked(*outside)
    assert masked(*outside) != plain(*outside)
    off_detector = masked(20, 20)
    assert max(off_detector) - min(off_detector) <= 8  # grey
    assert abs(red - blue) < 0.3 * abs(plain(*outside)[0] - plain(*outside)[2]) + 8
    assert green > 60


def test_mask_sets_the_limits(rate_map, core):
    away = ~disc((512, 512), 255.5, 255.5, 100.0)
    norm = view(rate_map.image, mask=away).images[0].norm
    kept = rate_map.image.data[away]
    assert norm.vmax == np.percentile(kept[kept > 0], 99.9)
    assert norm.vmax < view(rate_map.image, mask=core).images[0].norm.vmax


def test_mask_of_zeros_and_ones_will_do(rate_map, core):
    one, other = (view(rate_map, mask=m).images[1].get_array() for m in (core, core.astype(float)))
    assert np.array_equal(one, other)


def test_mask_is_not_changed(rate_map, core):
    before = core.copy()
    core.setflags(write=False)
    view(rate_map, mask=core, zoom_in=True)
    assert np.array_equal(core, before)


def test_zoom_shows_the_mask(rate_map):
    mask = np.zeros((512, 512), dtype=bool)
    mask[100:121, 200:301] = True
    ax = view(rate_map, mask=mask, zoom_in=True)
    assert ax.get_xlim() == (196.5, 303.5)
    assert ax.get_ylim() == (96.5, 123.5)


def test_zoom_without_mask_shows_the_data(tmp_path):
    array = np.zeros((512, 512))
    array[2:11, 500:512] = 1
    array[300, 300] = np.nan
    ax = view(product_of(tmp_path, array), zoom_in=True)
    assert ax.get_xlim() == (496.5, 511.5)
    assert ax.get_ylim() == (-0.5, 13.5)


def test_zoomed_picture_fills_its_figure(rate_map, core):
    figure = Figure(figsize=(8, 6.8), layout="compressed")
    ax = view(rate_map, mask=core, zoom_in=True, ax=figure.add_subplot(projection=sky_wcs(rate_map.grid)))
    FigureCanvasAgg(figure).draw()
    assert ax.get_position().height > 0.8


def test_zoom_on_nothing_is_refused(rate_map, tmp_path):
    nothing = np.zeros((512, 512), dtype=bool)
    with pytest.raises(NoData, match="zoom_in"):
        view(rate_map, mask=nothing, zoom_in=True)
    with pytest.raises(NoData, match="zoom_in"):
        view(product_of(tmp_path, np.zeros((512, 512))), zoom_in=True)
    assert plt.get_fignums() == []
    view(rate_map, mask=nothing).figure.canvas.draw()


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        (np.ones((511, 512), dtype=bool), ShapeMismatch),
        (np.ones((2, 512, 512), dtype=bool), ShapeMismatch),
        (True, ShapeMismatch),
        (np.full((512, 512), 2), InvalidRecord),
        (np.full((512, 512), np.nan), InvalidRecord),
    ],
)
def test_wrong_masks_are_refused(rate_map, mask, error):
    with pytest.raises(error):
        view(rate_map, mask=mask)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("stretch", ["loog", None, 3, LogStretch])
def test_unknown_stretches_are_refused(rate_map, stretch):
    with pytest.raises(InvalidRecord, match="log, linear, sqrt, asinh"):
        view(rate_map, stretch=stretch)
    assert plt.get_fignums() == []


def test_only_products_are_drawn():
    with pytest.raises(InvalidRecord, match="ndarray"):
        view(np.ones((3, 3)))


# axes and figures


def test_new_axes_belong_to_a_pyplot_figure_of_that_size(rate_map):
    ax = view(rate_map, figsize=(5, 4))
    assert plt.get_fignums() == [ax.figure.number]
    assert ax.figure.get_size_inches().tolist() == [5, 4]


def test_given_axes_are_used_and_pyplot_is_left_alone(rate_map):
    current = plt.figure()
    figure = Figure()
    given = figure.add_subplot(projection=sky_wcs(rate_map.grid))
    assert view(rate_map, ax=given) is given
    assert plt.get_fignums() == [current.number]
    assert plt.gcf() is current
    assert current.axes == []
    assert len(given.images) == 2  # the map, and what was not exposed
    FigureCanvasAgg(figure).draw()


def test_plain_axes_keep_pixels(rate_map):
    figure = Figure()
    ax = view(rate_map, ax=figure.add_subplot(), cross_hair=example_field().centre)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (pix)", "y (pix)")
    FigureCanvasAgg(figure).draw()


def test_axes_of_a_subfigure_are_drawn_into(rate_map):
    figure = Figure(layout="constrained")
    part, _ = figure.subfigures(1, 2)
    ax = view(rate_map, ax=part.add_subplot(projection=sky_wcs(rate_map.grid)), field=example_field())
    FigureCanvasAgg(figure).draw()
    assert len(ax.patches) == 6


def test_pixel_axes_where_no_projection_can_be_made(rate_map, monkeypatch):
    def refuse(_):
        raise ValueError("no projection")

    monkeypatch.setattr(import_module("xphotfn.plot.picture"), "sky_wcs", refuse)
    ax = view(rate_map)
    assert ax.get_xlabel() == "x (pix)"


def test_figsize_with_axes_is_refused(rate_map):
    with pytest.raises(InvalidRecord, match="figsize"):
        view(rate_map, ax=Figure().add_subplot(), figsize=(3, 3))


def test_show_is_never_called(rate_map, monkeypatch):
    monkeypatch.setattr(plt, "show", None)  # a call would fail
    view(rate_map, cross_hair=[10, 10] * u.pix)


def test_the_product_is_not_changed(rate_map):
    before = rate_map.data.copy()
    view(rate_map, stretch="linear")
    assert np.array_equal(rate_map.data, before)
    assert not rate_map.data.flags.writeable


def test_what_was_not_exposed_is_grey_and_a_legend_says_so(rate_map):
    for product in (rate_map, rate_map.exposure):
        ax = view(product)
        at = pixels(ax)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["not exposed"]
        y, x = (int(v[0]) for v in np.nonzero((rate_map.exposure.data > 0) & (rate_map.counts == 0)))
        assert np.allclose(at(40, 440), UNEXPOSED, atol=1)
        assert np.ptp(at(40, 440)) < 20, "no colour of the map is grey"
        assert not np.allclose(at(x, y), at(40, 440), atol=20)
    assert view(rate_map.image).get_legend() is None, "an image does not know what was exposed"


def test_masks_smoothed_maps_and_limits_are_drawn(rate_map):
    limits = upper_limit_map(rate_map, radius=20 * u.arcsec)
    ax = view(limits)
    assert ax.get_title() == str(limits)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no value"]
    assert "Upper limit (ct/s)" in [other.get_ylabel() for other in ax.figure.axes]
    for array in (rate_map.sensor_mask, smoothed(rate_map, 8 * u.arcsec)):
        ax = view(array, like=rate_map, cross_hair=[149.59, -11.09] * u.deg)
        assert np.array_equal(np.asarray(ax.images[0].get_array()), array)
        assert np.array_equal(view(array, like=rate_map.grid).images[0].get_array(), array)
    with pytest.raises(InvalidRecord, match="like= which map"):
        view(rate_map.sensor_mask)
    with pytest.raises(ShapeMismatch, match="the grid"):
        view(rate_map.sensor_mask[1:], like=rate_map)
    with pytest.raises(InvalidRecord, match="like= is a map"):
        view(rate_map.sensor_mask, like=3)
    with pytest.raises(InvalidRecord, match="array of numbers"):
        view("text", like=rate_map)


def test_a_width_beyond_the_image_is_refused(rate_map):
    with pytest.raises(InvalidRecord, match="wider than the image"):
        view(rate_map, smooth=1 * u.deg)
    with pytest.raises(InvalidRecord, match="wider than the sky"):
        view(rate_map, smooth=720 * u.deg)
