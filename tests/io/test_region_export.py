"""Regions and fields as DS9 files, read back by our reader and by the ``regions`` package."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from attrs import evolve
from regions import Regions

from xphotfn.errors import InvalidFile, InvalidRecord, UnitMismatch
from xphotfn.io.region_export import write_regions
from xphotfn.io.regions import read_regions
from xphotfn.measure.masks import interloper_mask
from xphotfn.plot.picture import sky_wcs
from xphotfn.records import PixelGrid, Region, with_centre
from xphotfn.science.distances import radius_deg
from xphotfn.testing import example_field, example_rate_map

SHAPES = [
    Region(shape="circle", frame="image", x=300.2, y=201.7, size=(20,), colour="red", name="a source"),
    Region(shape="ellipse", frame="image", x=180.1, y=215.4, size=(30, 12), angle_deg=33.0, colour="cyan"),
    Region(shape="box", frame="image", x=225.6, y=330.9, size=(44, 18), angle_deg=-70.0, colour="yellow"),
    Region(shape="annulus", frame="image", x=280.3, y=300.4, size=(7.2, 15.1), colour="#ff8800"),
    Region(shape="polygon", frame="image", x=126.7, y=130, vertices=((100.3, 110.2), (150.1, 120.4), (130.2, 160.3))),
    Region(shape="point", frame="image", x=99, y=88),
    Region(shape="circle", frame="physical", x=20000, y=24000, size=(900,), include=False),
    Region(shape="circle", frame="fk5", x=149.6, y=-11.1, size=(0.01,)),
]  # fmt: skip


@pytest.fixture
def rate_map():
    return example_rate_map()


@pytest.fixture
def field():
    return example_field()


def painted(regions, grid, rate_map, field):
    """Return the pixels that regions cover, through the masks of a field that has them as interlopers."""
    member = evolve(field.members[0], region_grid=grid, interlopers=regions)
    return ~interloper_mask(rate_map, evolve(field, members=[member]))


@pytest.mark.parametrize("frame", ["fk5", "image"])
@pytest.mark.parametrize("region", SHAPES, ids=lambda r: f"{r.shape}-{r.frame}")
def test_a_change_of_frame_keeps_the_pixels(tmp_path, rate_map, field, region, frame):
    path = write_regions([region], tmp_path / "a.reg", frame=frame, product=rate_map)
    (again,) = read_regions(path)
    assert (again.shape, again.frame, again.colour, again.name, again.include) == (
        region.shape, frame, region.colour, region.name, region.include,
    )  # fmt: skip
    before, after = (painted([r], rate_map.grid, rate_map, field) for r in (region, again))
    assert np.array_equal(before, after)
    assert region.shape == "point" or not region.include or before.sum() > 150


@pytest.mark.parametrize("region", [r for r in SHAPES if r.include and r.shape != "point"], ids=lambda r: r.shape)
def test_regions_reads_the_same_sky(tmp_path, rate_map, field, region):
    """The ``regions`` package, with the WCS of the image, masks the pixels that we mask (but for a few on the rim)."""
    path = write_regions([region], tmp_path / "a.reg", frame="fk5", product=rate_map)
    (theirs,) = Regions.read(path, format="ds9")
    mask = theirs.to_pixel(sky_wcs(rate_map.grid)).to_mask(mode="center").to_image(rate_map.grid.shape).astype(bool)
    ours = painted([region], rate_map.grid, rate_map, field)
    assert np.count_nonzero(mask ^ ours) <= 3
    assert ours.sum() > 150


def test_regions_reads_the_same_pixels(tmp_path, rate_map):
    path = write_regions(SHAPES, tmp_path / "a.reg", frame="image", product=rate_map)
    theirs = Regions.read(path, format="ds9")
    assert len(theirs) == len(SHAPES)
    assert (theirs[0].center.x, theirs[0].center.y, theirs[0].radius) == pytest.approx((300.2, 201.7, 20))
    assert theirs[1].angle.to_value(u.deg) == pytest.approx(33)
    assert theirs[1].width == pytest.approx(60)


def test_regions_stay_in_their_frames_by_default(tmp_path):
    path = write_regions(SHAPES, tmp_path / "a.reg")
    assert [r.frame for r in read_regions(path)] == [r.frame for r in SHAPES]


def test_a_field_is_written_whole(tmp_path, rate_map, field):
    moved = with_centre(field, [149.61, -11.07])
    path = write_regions(moved, tmp_path / "a.reg", circles=2 * u.arcmin)
    again = read_regions(path)
    sources, circles = again[:4], again[4:]
    assert {r.frame for r in again} == {"fk5"}
    assert [r.colour for r in sources] == ["green", "red", "red", "red"]
    for before, after in zip(field.members[0].regions, sources, strict=True):
        pair = [painted([r], field.members[0].region_grid, rate_map, field) for r in (before, after)]
        assert np.array_equal(*pair)
    assert [(r.name, r.colour) for r in circles] == [("r200", "white"), ("r500", "white"), ("2 arcmin", "white")]
    assert [r.size[0] for r in circles] == pytest.approx(
        [radius_deg(r, field.target) for r in (1700 * u.kpc, 1200 * u.kpc, 2 * u.arcmin)]
    )
    theirs = Regions.read(path, format="ds9")
    assert theirs[4].center.separation(SkyCoord(149.61, -11.07, unit="deg", frame="fk5")).arcsec < 1e-6
    assert theirs[4].radius.to_value(u.deg) == pytest.approx(circles[0].size[0])
    text = path.read_text()
    assert text.count("width=3") == 1
    assert text.count("dash=1") == 3


def test_every_observation_has_pixels_of_its_own(tmp_path, rate_map, field):
    """Regions of a second observation, whose image has another pointing, land where they are on the sky."""
    member = field.members[0]
    grid = PixelGrid.from_sky_range(149.65, -11.02)
    other = evolve(member, observation=evolve(member.observation, obs_id="0999990201"), region_grid=grid)
    both = evolve(field, members=[member, other])
    regions = read_regions(write_regions(both, tmp_path / "a.reg", frame="image", product=rate_map))
    assert len(regions) == 2 * 4 + 2
    expected = ~interloper_mask(rate_map, both)
    assert np.array_equal(painted([r for r in regions if r.colour == "red"], rate_map.grid, rate_map, field), expected)


def test_a_bulk_field_has_no_circles(tmp_path, field):
    bulk = evolve(field, target=None, centre_ra_deg=None, centre_dec_deg=None)
    assert len(read_regions(write_regions(bulk, tmp_path / "a.reg"))) == 4
    with pytest.raises(InvalidRecord, match="bulk"):
        write_regions(bulk, tmp_path / "b.reg", circles=1 * u.arcmin)


def test_what_is_refused(tmp_path, rate_map, field):
    path = tmp_path / "a.reg"
    with pytest.raises(InvalidRecord, match="galactic"):
        write_regions(field, path, frame="galactic")
    with pytest.raises(InvalidRecord, match="product="):
        write_regions(field, path, frame="image")
    with pytest.raises(InvalidRecord, match="product="):
        write_regions(SHAPES[:1], path, frame="fk5")
    with pytest.raises(InvalidRecord, match="give the field"):
        write_regions(SHAPES, path, circles=1 * u.arcmin)
    with pytest.raises(UnitMismatch):
        write_regions(field, path, circles=[3])
    with pytest.raises(InvalidRecord, match="other side"):
        write_regions([evolve(SHAPES[-1], x=329.6, y=11.1)], path, frame="image", product=rate_map)
    assert not path.exists()
    write_regions(field, path)
    with pytest.raises(InvalidFile, match="exists"):
        write_regions(field, path)
