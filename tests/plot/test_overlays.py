"""Regions, circles, scale bar and smoothing over a picture."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.cosmology import Planck15
from attrs import evolve

from xphotfn.errors import InvalidRecord, UnitMismatch
from xphotfn.measure.coordinates import coord_conv
from xphotfn.measure.masks import interloper_mask, source_mask
from xphotfn.measure.smoothing import smoothed
from xphotfn.plot.overlays import scale_bar_arcmin
from xphotfn.plot.view import view
from xphotfn.records import Region, extended_source, with_centre
from xphotfn.testing import example_field

mpl = pytest.importorskip("matplotlib")
mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.patches import Circle, Ellipse, Polygon, Rectangle  # noqa: E402
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar  # noqa: E402


@pytest.fixture
def field():
    return example_field()


def circles_of(ax):
    return {p.get_label(): p for p in ax.patches if isinstance(p, Circle) and p.get_label()}


def regions_of(ax):
    return [p for p in ax.patches if p not in circles_of(ax).values()]


def inside(patch):
    """Return the pixels whose centre lies in a patch."""
    y, x = np.indices((512, 512))
    path = patch.get_patch_transform().transform_path(patch.get_path())
    return path.contains_points(np.column_stack([x.ravel(), y.ravel()])).reshape(512, 512)


def of_regions(field, regions):
    return evolve(field, members=[evolve(field.members[0], interlopers=regions)])


def test_regions_enclose_the_pixels_that_masks_use(rate_map, field):
    patches = regions_of(view(rate_map, field=field))
    assert len(patches) == 4
    matched = max(patches, key=lambda p: p.get_linewidth())
    source, _ = source_mask(rate_map, field, "region")
    assert np.count_nonzero(inside(matched) ^ source) <= 8  # of 1006; half a pixel off would be 36
    others = np.logical_or.reduce([inside(p) for p in patches if p is not matched])
    assert np.count_nonzero(others ^ ~interloper_mask(rate_map, field)) <= 2


@pytest.mark.parametrize(
    ("shape", "size", "kind"),
    [("circle", (20,), Circle), ("ellipse", (30, 10), Ellipse), ("box", (40, 12), Rectangle), ("polygon", (), Polygon)],
)
def test_every_shape_lies_where_its_mask_is(rate_map, field, shape, size, kind):
    corners = ((100, 110), (150, 120), (130, 160)) if shape == "polygon" else ()
    angle = 35.0 if shape in ("ellipse", "box") else 0.0
    region = Region(shape=shape, frame="image", x=126.3, y=130.1, size=size, angle_deg=angle, vertices=corners)
    changed = of_regions(field, [region])
    patch = next(p for p in regions_of(view(rate_map, field=changed)) if type(p) is kind and p.get_linewidth() < 2)
    expected = ~interloper_mask(rate_map, changed)
    assert expected.sum() > 400
    assert np.count_nonzero(inside(patch) ^ expected) <= 4


def test_annulus_and_point(rate_map, field):
    ring = Region(shape="annulus", frame="image", x=100, y=100, size=(5, 9))
    dot = Region(shape="point", frame="image", x=200, y=210, colour="cyan")
    ax = view(rate_map, field=of_regions(field, [ring, dot]))
    assert sorted(p.get_radius() for p in regions_of(ax) if type(p) is Circle) == [5, 9]
    (mark,) = ax.lines
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((200, 210))
    assert ax.get_xlim() == (-0.5, 511.5)


def test_colours_are_those_of_ds9_and_the_match_is_thick(rate_map, field):
    colours = ["red", "green", "blue", "cyan", "magenta", "yellow", "#123456", "not-a-colour"]
    regions = [
        Region(shape="circle", frame="image", x=30 * i, y=50, size=(5,), colour=c) for i, c in enumerate(colours, 1)
    ]
    patches = regions_of(view(rate_map, field=of_regions(field, regions)))
    thick = [p for p in patches if p.get_linewidth() > 2]
    assert [to_hex(p.get_edgecolor()) for p in thick] == ["#00ff00"]
    assert [to_hex(p.get_edgecolor()) for p in patches if p not in thick] == [
        "#ff0000", "#00ff00", "#0000ff", "#00ffff", "#ff00ff", "#ffff00", "#123456", "#00ff00",
    ]  # fmt: skip
    assert all(p.get_linewidth() <= 1 for p in patches if p not in thick)


def test_roles_have_their_lines(rate_map, field):
    member = field.members[0]
    red = member.interlopers
    changed = evolve(
        field, members=[evolve(member, alternates=red[:1], kept=red[1:2], interlopers=[evolve(red[2], include=False)])]
    )
    assert sorted(p.get_linestyle() for p in regions_of(view(rate_map, field=changed))) == ["-", "--", "--", ":"]


def test_radii_are_circles_on_the_sky_around_the_centre(rate_map, field):
    moved = with_centre(field, [149.62, -11.07])
    circles = circles_of(view(rate_map, field=moved, circles=[300 * u.kpc, 2 * u.arcmin]))
    assert list(circles) == ["r200", "r500", "300 kpc", "2 arcmin"]
    x, y = coord_conv(rate_map, moved.centre, "pix", rounded=False).value
    kpc_per_arcmin = Planck15.kpc_proper_per_arcmin(0.16).value
    for circle, arcmin in zip(
        circles.values(), (1700 / kpc_per_arcmin, 1200 / kpc_per_arcmin, 300 / kpc_per_arcmin, 2), strict=True
    ):
        assert circle.center == pytest.approx((x, y))
        rim = coord_conv(rate_map, [x, y + circle.get_radius()] * u.pix, "deg", rounded=False)
        distance = SkyCoord(*moved.centre).separation(SkyCoord(*rim)).arcmin
        assert distance == pytest.approx(arcmin, rel=1e-4)


def test_labels_stay_in_sight_and_apart(rate_map, field):
    ax = view(rate_map, field=field, circles=[1150, 1190, 40, 50] * u.kpc)
    ax.figure.canvas.draw()
    renderer = ax.figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in ax.texts]
    assert len(boxes) == 6
    frame = ax.get_window_extent(renderer)
    assert all(frame.x0 < b.x0 and b.x1 < frame.x1 and frame.y0 < b.y0 and b.y1 < frame.y1 for b in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_circle_beyond_the_picture_has_no_label(rate_map, field):
    ax = view(rate_map, field=field, circles=3 * u.deg)
    assert "3 deg" in circles_of(ax)
    assert "3 deg" not in [t.get_text() for t in ax.texts]


def test_circles_without_a_field_lie_around_the_cross_hair(rate_map):
    circles = circles_of(view(rate_map, cross_hair=[100, 120] * u.pix, circles="1 arcmin"))
    assert circles["1 arcmin"].center == (100, 120)
    assert circles["1 arcmin"].get_radius() == pytest.approx(60 / 4.35, rel=1e-3)
    plt.close("all")
    with pytest.raises(InvalidRecord, match="no centre"):
        view(rate_map, circles=1 * u.arcmin)
    with pytest.raises(UnitMismatch, match="redshift"):
        view(rate_map, cross_hair=[100, 120] * u.pix, circles=100 * u.kpc)
    assert plt.get_fignums() == []


def bar_text(ax):
    (bar,) = [a for a in ax.artists if isinstance(a, AnchoredSizeBar)]
    return bar.txt_label._text.get_text(), bar.size_bar.get_children()[0].get_width()


def test_scale_bar_in_arcmin_and_kpc(rate_map, field):
    text, pixels = bar_text(view(rate_map, field=field))
    assert text == f"5 arcmin = {5 * Planck15.kpc_proper_per_arcmin(0.16).value:.0f} kpc"
    assert pixels == pytest.approx(300 / 4.35)


def test_scale_bar_without_redshift_and_zoomed(rate_map, field):
    target = extended_source("SNR", *field.target.position, radius=3 * u.arcmin)
    near = evolve(field, target=target)
    mask = np.zeros((512, 512), dtype=bool)
    mask[200:260, 200:260] = True
    ax = view(rate_map, field=near, mask=mask, zoom_in=True)
    assert bar_text(ax)[0] == "1 arcmin"
    assert list(circles_of(ax)) == ["SNR"]


@pytest.mark.parametrize("width", [0.1, 1.0, 3.7, 37.0, 60.0])
def test_scale_bar_is_a_round_length(width):
    length = scale_bar_arcmin(width)
    assert length <= width / 4 < 2.6 * length
    assert f"{length:e}"[0] in "125"


def test_a_bulk_field_has_regions_and_a_bar_only(rate_map, field):
    bulk = evolve(field, target=None, centre_ra_deg=None, centre_dec_deg=None)
    ax = view(rate_map, field=bulk)
    assert circles_of(ax) == {}
    assert bar_text(ax)[0] == "5 arcmin"
    with pytest.raises(InvalidRecord, match="no centre"):
        view(rate_map, field=bulk, circles=1 * u.arcmin)


def test_wrong_fields_are_refused(rate_map):
    with pytest.raises(InvalidRecord, match="takes a Field"):
        view(rate_map, field="A907")


def test_smoothing_is_drawn_and_said(rate_map):
    ax = view(rate_map, smooth=12 * u.arcsec)
    assert np.array_equal(np.asarray(ax.images[0].get_array()), smoothed(rate_map, 12 * u.arcsec))
    label = ax.images[0].colorbar.ax.get_ylabel()
    assert label == "Count rate per pixel (ct/s), smoothed ($\\sigma$ = 12 arcsec)"
    assert ax.images[0].norm.vmin > 1e-6  # not the far wings of the Gaussian
    assert "smoothed" not in view(rate_map).images[0].colorbar.ax.get_ylabel()


def test_images_are_smoothed_without_exposure(rate_map):
    counts = smoothed(rate_map.image, 8 * u.arcsec)
    assert counts.sum() == pytest.approx(rate_map.image.data.sum())
    assert not counts.flags.writeable
    with pytest.raises(InvalidRecord, match="ExposureMap"):
        view(rate_map.exposure, smooth=8 * u.arcsec)
    with pytest.raises(UnitMismatch):
        view(rate_map, smooth=3)
