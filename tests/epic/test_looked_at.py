"""Which pixels an image's events may come from: places in its data subspace, written and read. SAS's images decide."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings, strategies as st

from xphotfn.commands.command import Command
from xphotfn.engines.native.eexpmap.eexpmap_task import eexpmap
from xphotfn.engines.native.evselect.evselect_task import evselect
from xphotfn.engines.native.evselect.filter_blocks import place_block
from xphotfn.epic.looked_at import looked_at, names_places
from xphotfn.epic.selecting.filter_files import read_places
from xphotfn.epic.selecting.filters import Axis, MaskImage, RegionShape, RegionTable, in_mask, in_region_table
from xphotfn.errors import InvalidFile

GRID = {"xcolumn": "X", "ycolumn": "Y", "imagebinning": "binSize", "ximagebinsize": "80", "yimagebinsize": "80"}


@pytest.fixture(scope="module")
def esas(folders_root):
    return folders_root / "esas" / "0203930101"


def made(folder, **pairs):
    evselect(Command(task="evselect", parameters=tuple(pairs.items())), folder)


@pytest.mark.parametrize("which", ["", "-det"])
def test_the_images_that_esas_cut(esas, which):
    """159 boxes out, one in, three shapes of the field of view, on seven CCDs: events lie where we say, to a border."""
    path = esas / f"mos1S001-obj-im{which}-500-10000.fits.gz"
    part, image = looked_at(path), fits.getdata(path)
    assert part.dtype == np.float32
    assert image[part > 0].sum() >= 0.993 * image.sum()
    box = 6998.58 * 7290.2 / 50**2  # the one that is in, in pixels
    assert 0.1 * box < part.sum() < 0.2 * box  # most of it is cut out
    assert part.sum() == pytest.approx(2858, rel=0.002)  # on the sky and on the detector alike
    assert looked_at(path) is part


def test_corners_and_whole_images(esas):
    part, image = looked_at(esas / "mos1S001-corn-image.fits.gz"), fits.getdata(esas / "mos1S001-corn-image.fits.gz")
    assert image[part > 0].sum() >= 11372
    y, x = np.indices(part.shape)
    centre = np.hypot(50 * x - 19474.5 - 97, 50 * y - 19474.5 + 172)
    assert part[centre < 17000].max() == 0  # the field of view is no corner
    for name in ("mos1S001-obj-im", "mos1S001-obj-image-sky", "pnS003-obj-image-det-unfilt"):
        assert looked_at(esas / f"{name}.fits.gz") is None
    strip, image = looked_at(esas / "pnS003-obj-im.fits.gz"), fits.getdata(esas / "pnS003-obj-im.fits.gz")
    assert image[strip > 0].sum() >= 110_211  # DETY in [-16510:14345]
    assert 0.6 < strip.mean() < 0.8


def test_a_native_list_and_its_image_carry_their_places(data_root, tmp_path):
    """Cut a list by a circle, that list by a box, and make an image: where both hold, as with one call."""
    (tmp_path / "raw.fits.gz").symlink_to(data_root / "a907" / "0201903501" / "0201903501_mos1_clean_evts.fits.gz")
    circle, box = "((X,Y) in circle(26000,25000,4000))", "!box(27000,25000,1500,1000,30,X,Y)"
    made(tmp_path, table="raw.fits.gz", filteredset="a.fits", expression=circle)
    made(tmp_path, table="a.fits", filteredset="b.fits", expression=box)
    made(tmp_path, table="b.fits", imageset="two.fits", expression="PI in [500:2000]", **GRID)
    made(
        tmp_path, table="raw.fits.gz", imageset="one.fits", expression=f"PI in [500:2000] && {circle} && {box}", **GRID
    )
    header = fits.getheader(tmp_path / "two.fits")
    assert names_places(header)
    assert header["SLCTEXPR"] == "PI in [500:2000]"
    part = looked_at(tmp_path / "two.fits")
    assert np.array_equal(part, looked_at(tmp_path / "one.fits"))
    image = fits.getdata(tmp_path / "two.fits")
    assert np.array_equal(image, fits.getdata(tmp_path / "one.fits"))
    assert image[part == 0].sum() <= 0.005 * image.sum()
    assert image.sum() > 1000
    area = (np.pi * 4000**2 - 4 * 1500 * 1000) / 80**2
    assert part.sum(dtype=float) == pytest.approx(area, rel=2e-3)
    with fits.open(tmp_path / "two.fits") as hdus:
        hdus.verify("exception")
        assert len([h for h in hdus if h.name.startswith("REG")]) == 2


def test_either_place_and_ranges(data_root, tmp_path):
    (tmp_path / "raw.fits.gz").symlink_to(data_root / "a907" / "0201903501" / "0201903501_mos1_clean_evts.fits.gz")
    areas = {
        "circle(20000,25000,1000,X,Y) || circle(30000,25000,1000,X,Y)": 2 * np.pi * 1000**2,
        "X in [20000:24000] && Y > 25000 && Y <= 26000": 4000 * 1000,
        "circle(20000,25000,1000,X,Y) || PI > 500": None,
    }
    for n, (text, area) in enumerate(areas.items()):
        made(tmp_path, table="raw.fits.gz", imageset=f"{n}.fits", expression=text, **GRID)
        part = looked_at(tmp_path / f"{n}.fits")
        if area is None:
            assert part is None
        else:
            assert part.sum(dtype=float) * 80**2 == pytest.approx(area, rel=0.01)


numbers = st.floats(-2e4, 2e4, allow_nan=False).map(lambda v: round(v, 3))
sizes = st.floats(1, 5e3).map(lambda v: round(v, 3))
angles = st.floats(-180, 180).map(lambda v: round(v, 3))
SHAPES = st.one_of(
    st.builds(lambda x, y, r: ("circle", (x, y, r)), numbers, numbers, sizes),
    st.builds(lambda x, y, r, w: ("ring", (x, y, r, r + w)), numbers, numbers, sizes, sizes),
    st.builds(lambda x, y, a, b, t: ("ellipse", (x, y, a, b, t)), numbers, numbers, sizes, sizes, angles),
    st.builds(lambda x, y, a, b, t: ("box", (x, y, a, b, t)), numbers, numbers, sizes, sizes, angles),
    st.builds(lambda x, y, a, b, t: ("rhombus", (x, y, a, b, t)), numbers, numbers, sizes, sizes, angles),
    st.builds(lambda x, y, a, b, t: ("rectangle", (x, y, x + a, y + b, t)), numbers, numbers, sizes, sizes, angles),
    st.builds(lambda x, y, s, w: ("sector", (x, y, s, s + w)), numbers, numbers, angles, st.floats(1, 300)),
    st.builds(lambda x, y, a, b: ("polygon", (x, y, x + a, y, x, y + b)), numbers, numbers, sizes, sizes),
)  # fmt: skip


@settings(max_examples=30)
@given(st.lists(st.lists(st.tuples(SHAPES, st.booleans()), min_size=1, max_size=4), min_size=1, max_size=3))
def test_tables_are_read_as_they_were_written(tmp_path_factory, drawn):
    components = tuple(
        tuple(RegionShape(name=name, numbers=values, excluded=out) for (name, values), out in component)
        for component in drawn
    )
    table = RegionTable(components=components, columns=("DETX", "DETY"))
    path = Path(tmp_path_factory.mktemp("t")) / "t.fits"
    fits.PrimaryHDU().writeto(path)
    path.write_bytes(path.read_bytes() + place_block("REG00101", table, ("DETX", "DETY")))
    found = read_places(path, ["REG00101"])["REG00101"]
    assert found.columns == ("DETX", "DETY")
    random = np.random.default_rng(1)
    u, v = random.uniform(-2.5e4, 2.5e4, (2, 4000))
    assert np.array_equal(in_region_table(found, u, v), in_region_table(table, u, v))


@given(*[st.tuples(st.floats(-5, 5), st.floats(-100, 100), st.floats(0.5, 20)) for _ in range(4)])
@settings(max_examples=30)
def test_masks_keep_their_meaning_in_plain_columns(image_x, image_y, column_x, column_y):
    axes = [Axis(pixel0=p, value0=v, step=s) for p, v, s in (image_x, image_y, column_x, column_y)]
    pixels = np.random.default_rng(2).uniform(size=(7, 9)) > 0.5
    mask = MaskImage(pixels=pixels, image_x=axes[0], image_y=axes[1], column_x=axes[2], column_y=axes[3])
    plain = mask.in_columns((1.5, -2.0))
    x, y = np.random.default_rng(3).uniform(-200, 200, (2, 500))
    differs = in_mask(mask, (1.5, -2.0), x, y) != in_mask(plain, (0.0, 0.0), x, y)
    assert np.count_nonzero(differs) <= 1  # round-off at an edge


def test_native_exposure_maps_are_cut_as_their_image(esas, tmp_path):
    names = ("mos1S001-obj-im-det-500-10000.fits.gz", "mos1S001-clean-filtered.fits.gz", "atthk.fits.gz")
    for name in names:
        (tmp_path / name).symlink_to(esas / name)
    pairs = {"imageset": names[0], "eventset": names[1], "attitudeset": names[2], "expimageset": "map.fits"}
    pairs |= {"pimin": "500", "pimax": "10000", "withdetcoords": "yes"}
    with pytest.warns(UserWarning, match="no EXPOSU for CCD"):
        eexpmap(Command(task="eexpmap", parameters=tuple(pairs.items())), tmp_path)
    ours, header = fits.getdata(tmp_path / "map.fits"), fits.getheader(tmp_path / "map.fits")
    part, sas = looked_at(esas / names[0]), fits.getdata(esas / "mos1S001-exp-im-det-500-10000.fits.gz")
    assert header["PLACES"] == "cut as the image"
    assert not ours[part == 0].any()
    assert np.count_nonzero(ours[part == 1]) > 2000
    whole = (part == 1) & (sas > 0.2 * sas.max())
    np.testing.assert_allclose(np.median(ours[whole] / sas[whole]), 1, atol=0.005)


def test_a_mask_on_the_sky(data_root, tmp_path):
    """A mask with the projection of an image: events of its pixels alone, and just these pixels were looked at."""
    (tmp_path / "raw.fits.gz").symlink_to(data_root / "a907" / "0201903501" / "0201903501_mos1_clean_evts.fits.gz")
    made(tmp_path, table="raw.fits.gz", imageset="all.fits", expression="PI > 500", **GRID)
    with fits.open(tmp_path / "all.fits") as hdus:
        patch = np.zeros(hdus[0].data.shape, dtype=np.uint8)
        patch[300:340, 310:380] = 1
        fits.PrimaryHDU(patch, hdus[0].header).writeto(tmp_path / "mask.fits")
        expected = hdus[0].data * patch
    made(tmp_path, table="raw.fits.gz", imageset="cut.fits", expression="PI>500 && mask(mask.fits,0,0,X,Y)", **GRID)
    assert np.array_equal(fits.getdata(tmp_path / "cut.fits"), expected)
    assert expected.sum() > 500
    assert np.array_equal(looked_at(tmp_path / "cut.fits"), patch)


@pytest.mark.parametrize(
    ("without", "problem"), [("CRVAL1L", "was cut in X and Y"), ("PA_PNT", "was cut in coordinates of the detector")]
)
def test_what_cannot_be_placed_is_refused(data_root, tmp_path, without, problem):
    (tmp_path / "raw.fits.gz").symlink_to(data_root / "a907" / "0201903501" / "0201903501_mos1_clean_evts.fits.gz")
    made(tmp_path, table="raw.fits.gz", imageset="i.fits", expression="circle(0,0,900,DETX,DETY) && X>25000", **GRID)
    assert looked_at(tmp_path / "i.fits").sum() == pytest.approx(np.pi * 900**2 / 80**2, rel=0.01)
    with fits.open(tmp_path / "i.fits", mode="update") as hdus:
        del hdus[0].header[without]
    with pytest.raises(InvalidFile, match=problem):
        looked_at(tmp_path / "i.fits")


def test_without_a_data_subspace_the_selection_tells(data_root, tmp_path):
    (tmp_path / "raw.fits.gz").symlink_to(data_root / "a907" / "0201903501" / "0201903501_mos1_clean_evts.fits.gz")
    both = {"table": "raw.fits.gz", "expression": "PI > 500 && circle(26000,25000,2000,X,Y)", **GRID}
    made(tmp_path, imageset="with.fits", **both)
    made(tmp_path, imageset="without.fits", writedss="no", **both)
    assert "DSTYP1" not in fits.getheader(tmp_path / "without.fits")
    assert np.array_equal(looked_at(tmp_path / "without.fits"), looked_at(tmp_path / "with.fits"))
    with fits.open(tmp_path / "without.fits", mode="update") as hdus:
        hdus[0].header["SLCTEXPR"] = "PI > 500 && region(sources.fits,X,Y)"
    with pytest.raises(InvalidFile, match=r"was cut by 'sources.fits' and does not hold it \(writedss=no\)"):
        looked_at(tmp_path / "without.fits")
    made(tmp_path, imageset="whole.fits", writedss="no", **{**both, "expression": "PI > 500"})
    assert looked_at(tmp_path / "whole.fits") is None
