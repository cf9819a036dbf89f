"""Several products side by side."""

import astropy.units as u
import numpy as np
import pytest
from astropy.visualization.wcsaxes import WCSAxes
from attrs import evolve

from xphotfn.errors import InvalidRecord, ShapeMismatch
from xphotfn.plot.panels import rows_and_columns
from xphotfn.plot.view import save_view, view
from xphotfn.science.pixel_masks import disc
from xphotfn.testing import example_field

mpl = pytest.importorskip("matplotlib")
mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


def places(figure):
    """Return how many columns and rows the maps of a figure fill."""
    figure.canvas.draw()
    boxes = [ax.get_position() for ax in figure.axes if isinstance(ax, WCSAxes)]
    return len({round(b.x0, 2) for b in boxes}), len({round(b.y0, 2) for b in boxes})


def test_one_panel_per_product_in_order(rate_map):
    products = [rate_map, rate_map.image, rate_map.exposure]
    axes = view(products)
    assert axes.shape == (3,)
    for ax, product in zip(axes, products, strict=True):
        assert np.array_equal(np.asarray(ax.images[0].get_array()), product.data)
    assert len({ax.figure for ax in axes}) == 1
    assert plt.get_fignums() == [axes[0].figure.number]


def test_rows_and_columns_hold_all_with_no_empty_row():
    for count in range(1, 30):
        rows, columns = rows_and_columns(count)
        assert rows * columns >= count > (rows - 1) * columns
        assert rows <= columns <= rows + 2


def test_panels_do_not_overlap(rate_map):
    figure = view([rate_map.image] * 2)[0].figure
    assert places(figure) == (2, 1)
    renderer = figure.canvas.get_renderer()
    boxes = [ax.get_tightbbox(renderer) for ax in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_options_are_shared_and_masks_may_differ(rate_map):
    inner, outer = (disc((512, 512), 255.5, 255.5, r) for r in (30.0, 90.0))
    axes = view([rate_map, rate_map], mask=[inner, outer], zoom_in=True, cross_hair=[255, 255] * u.pix)
    widths = [np.ptp(ax.get_xlim()) for ax in axes]
    assert widths[0] < 70 < 180 < widths[1]
    assert [len(ax.lines) for ax in axes] == [2, 2]
    partly = view((rate_map, rate_map), mask=[inner, None])
    assert [len(ax.images) for ax in partly] == [3, 2]


def test_the_name_stands_once_above_all(rate_map):
    axes = view([rate_map, rate_map.image])
    assert axes[0].figure.get_suptitle() == "example"
    assert [ax.get_title() for ax in axes] == ["0999990101 pn, 0.5-2 keV"] * 2
    other = evolve(rate_map.image, target="other")
    axes = view([rate_map, other])
    assert axes[0].figure.get_suptitle() == ""
    assert [ax.get_title().partition(":")[0] for ax in axes] == ["example", "other"]


@pytest.mark.parametrize("name", ["NGC 1: X-1", "two: parts: here"])
def test_a_name_with_a_colon_stands_whole(rate_map, name):
    named = evolve(rate_map.image, target=name)
    axes = view([named, named])
    assert axes[0].figure.get_suptitle() == name
    assert [ax.get_title() for ax in axes] == ["0999990101 pn, 0.5-2 keV"] * 2
    alone = evolve(rate_map.image, target="NGC 1")
    assert [ax.get_title() for ax in view([named, alone])] == [
        f"{target}: 0999990101 pn, 0.5-2 keV" for target in (name, "NGC 1")
    ]
    assert view(named).get_title() == f"{name}: 0999990101 pn, 0.5-2 keV"


def test_panels_leave_the_settings_of_the_process_alone(rate_map, monkeypatch):
    """A setting of all figures would be that of another thread's figure too, while panels are drawn."""
    monkeypatch.setattr(mpl, "rc_context", None)
    monkeypatch.setitem(mpl.rcParams, "font.size", 20.0)
    axes = view([rate_map, rate_map], field=example_field(), smooth=10 * u.arcsec)
    axes[0].figure.canvas.draw()
    assert mpl.rcParams["font.size"] == 20.0
    texts = [t for ax in axes for t in ax.texts] + [ax.images[0].colorbar.ax.yaxis.label for ax in axes]
    assert {t.get_fontsize() for t in texts} == {8.0}
    assert {ax.title.get_fontsize() for ax in axes} == {9.0}


def test_field_and_smoothing_on_every_panel(rate_map):
    axes = view([rate_map, rate_map.image], field=example_field(), smooth=10 * u.arcsec)
    assert [len(ax.patches) for ax in axes] == [6, 6]
    assert all("smoothed" in ax.images[0].colorbar.ax.get_ylabel() for ax in axes)


def test_what_panels_refuse(rate_map):
    with pytest.raises(InvalidRecord, match="several products and ax="):
        view([rate_map], ax=Figure().add_subplot())
    with pytest.raises(InvalidRecord, match="empty"):
        view([])
    with pytest.raises(InvalidRecord, match="got 1 for 2"):
        view([rate_map, rate_map], mask=[np.ones((512, 512), dtype=bool)])
    with pytest.raises(ShapeMismatch):
        view([rate_map, rate_map], mask=np.ones((2, 512, 512), dtype=bool))
    with pytest.raises(InvalidRecord, match="int"):
        view([rate_map, 3])
    assert plt.get_fignums() == []


def test_panels_in_a_file(rate_map, tmp_path):
    path = save_view([rate_map, rate_map.image], tmp_path / "both.png", dpi=40)
    height, width = plt.imread(path).shape[:2]
    assert (height, width) == (124, 320)
    assert plt.get_fignums() == []
