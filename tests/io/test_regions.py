"""DS9 files: every region comes out as it stands in the file, and everything else is refused with its line."""

import json
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings, strategies as st

from xphotfn.errors import InvalidFile, InvalidRecord
from xphotfn.io.region_export import write_regions
from xphotfn.io.regions import read_region_file, read_regions
from xphotfn.records.region import Region
from xphotfn.science.pixel_masks import PixelShape, paint

OBS_IDS = {"0201901401": 16, "0201903501": 32, "0404910601": 21}


@pytest.fixture
def reading(tmp_path):
    def read(text, encoding="utf-8"):
        path = tmp_path / "some.reg"
        path.write_bytes(text.encode(encoding))
        return read_regions(path)

    return read


# What is read.
def close(*values):
    return pytest.approx(values, rel=1e-12, abs=1e-12)


SHAPES = [
    ("image\ncircle(10,20,3)", "image", "circle", (9, 19), (3,), 0),
    ("image\nellipse(10.5,20,3,2,30)", "image", "ellipse", (9.5, 19), (3, 2), 30),
    ("image\nellipse(10.5,20,3,2)", "image", "ellipse", (9.5, 19), (3, 2), 0),
    ("image\nbox(10,20,6,4,-30)", "image", "box", (9, 19), (6, 4), -30),
    ("image\nannulus(10,20,3,5)", "image", "annulus", (9, 19), (3, 5), 0),
    ("image\nannulus(10,20,0,5)", "image", "annulus", (9, 19), (0, 5), 0),
    ("image\npoint(10,20)", "image", "point", (9, 19), (), 0),
    ("physical\ncircle(15000.3,26000,640)", "physical", "circle", (15000.3, 26000), (640,), 0),
    ("physical\nellipse(15000,26000,640,320,384.3)", "physical", "ellipse", (15000, 26000), (640, 320), 384.3),
    ('fk5\ncircle(149.592,-11.0597,30")', "fk5", "circle", (149.592, -11.0597), (30 / 3600,), 0),
    ("fk5\ncircle(149.592,-11.0597,0.5')", "fk5", "circle", (149.592, -11.0597), (0.5 / 60,), 0),
    ("fk5\ncircle(149.592,-11.0597,0.01)", "fk5", "circle", (149.592, -11.0597), (0.01,), 0),
    ("j2000\ncircle(149.592d,-11.0597d,0.01d)", "fk5", "circle", (149.592, -11.0597), (0.01,), 0),
    ('fk5\ncircle(9:58:22.08,-11:03:34.92,30")', "fk5", "circle", (149.592, -11.0597), (30 / 3600,), 0),
    ('fk5\ncircle(9h58m22.08s,-11d3m34.92s,30")', "fk5", "circle", (149.592, -11.0597), (30 / 3600,), 0),
    ('icrs\nellipse(149.592,-11.0597,60",40",30)', "icrs", "ellipse", (149.592, -11.0597), (60 / 3600, 40 / 3600), 30),
    ('icrs\nbox(149.592,-11.0597,60",40",30d)', "icrs", "box", (149.592, -11.0597), (60 / 3600, 40 / 3600), 30),
    ("fk5\nannulus(149.592,-11.0597,0.5',60\")", "fk5", "annulus", (149.592, -11.0597), (30 / 3600, 60 / 3600), 0),
    ("fk5\npoint(149.592,-11.0597)", "fk5", "point", (149.592, -11.0597), (), 0),
    # other spellings of the same file
    ("IMAGE\nCircle ( 10 , 20 , 3 )", "image", "circle", (9, 19), (3,), 0),
    ("image\ncircle 10 20 3", "image", "circle", (9, 19), (3,), 0),
    ("image; circle(10 20 3)", "image", "circle", (9, 19), (3,), 0),
    ("image\n+circle(10,20,3)", "image", "circle", (9, 19), (3,), 0),
    ("image\rcircle(1e1,2.E1,3.)\r", "image", "circle", (9, 19), (3,), 0),
]


@pytest.mark.parametrize(("text", "frame", "shape", "centre", "size", "angle"), SHAPES)
def test_shapes_in_their_frames(reading, text, frame, shape, centre, size, angle):
    (region,) = reading(text)
    assert (region.frame, region.shape) == (frame, shape)
    assert (region.x, region.y) == close(*centre)
    assert region.size == close(*size)
    assert region.angle_deg == pytest.approx(angle, abs=1e-12)
    assert region.include


def test_polygons(reading):
    image, sky = reading("image\npolygon(1,1,5,1,5,4,1,4)\nfk5\npolygon(359.9,10,0.1,10,0.1,10.3)")
    assert image.vertices == ((0, 0), (4, 0), (4, 3), (0, 3))
    assert (image.x, image.y, image.size) == (2, 1.5, ())
    assert np.ravel(sky.vertices) == pytest.approx([359.9, 10, 0.1, 10, 0.1, 10.3])
    assert (sky.x, sky.y) == pytest.approx((0.1 / 3, 10.1), abs=1e-9)  # the mean does not jump at 0 h


def test_physical_numbers_are_not_touched(reading):
    (region,) = reading("physical\ncircle(12345.6789,54321.9876,87.5)")
    assert (region.x, region.y, region.size) == (12345.6789, 54321.9876, (87.5,))


def test_a_whole_file(reading):
    regions = reading(
        "# Region file format: DS9 version 4.1\r\n"
        'global color=red dashlist=8 3 font="helvetica 10 normal; roman" select=1\r\n'
        "\r\n"
        "   image ; ellipse(10,20,3,2,30); circle(30,30,4) # color=magenta text={a; b # c}\r\n"
        "# a comment; circle(1,1,1)\r\n"
        "-circle(40,40,5) # tag={color=blue} text='core'\r\n"
        '!box(50,50,6,6,0) # color = "cyan"\r\n'
        "fk5\r\n"
        "circle(150,-11,1') # color=#FF00ff include=0\r\n"
        "global color=yellow\r\n"
        'image;circle(9,9,9) # text="x}y"\r\n'
    )
    assert [(r.shape, r.colour, r.include, r.frame, r.name, r.line) for r in regions] == [
        ("ellipse", "red", True, "image", "", 4),
        ("circle", "magenta", True, "image", "a; b # c", 4),
        ("circle", "red", False, "image", "core", 6),
        ("box", "cyan", False, "image", "", 7),
        ("circle", "#ff00ff", False, "fk5", "", 9),
        ("circle", "yellow", True, "image", "x}y", 11),
    ]


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment\n", "global color=red\nimage\n", "\ufeff# mark\n", ";;"]
)
def test_files_without_regions(reading, text):
    assert reading(text) == ()


def test_colour_is_green_where_nobody_says(reading):
    assert reading("image;circle(1,1,1)")[0].colour == "green"


def test_names_in_latin_1(reading):
    assert reading("image;circle(1,1,1) # text={né}", "latin-1")[0].name == "né"


def test_annotations_are_noted_and_mask_nothing(tmp_path):
    path = tmp_path / "some.reg"
    path.write_text(
        "# Region file format: DS9 version 4.1\n# Filename: /home/me/0404910601_pn_img.fits[0]\nimage\n"
        "circle(1,1,1)\n# text(1,1) text={a label}\n# vector(1,1,5,30) vector=1\nline(1,1,2,2) # line=0 0\n"
        "# ruler(1,1,2,2)\n# compass(1,1,5)\n# tile 2\ncircle(2,2,2)\n"
    )
    found = read_region_file(path)
    assert [r.line for r in found.regions] == [4, 11]
    assert found.notes == ((5, "text"), (6, "vector"), (7, "line"), (8, "ruler"), (9, "compass"))
    assert found.image == "0404910601_pn_img.fits"
    assert read_regions(path) == found.regions


def test_a_position_error_is_kept(tmp_path):
    region = Region(shape="circle", frame="fk5", x=150, y=2, size=(0.01,), position_error_deg=1.25e-4, line=3)
    path = write_regions([region], tmp_path / "one.reg")
    assert read_regions(path) == (region,)


# What is refused.
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("circle(10,20)", "2 numbers"),
        ("circle(10,20,3,4)", "4 numbers"),
        ("circle()", "0 numbers"),
        ("circle", "0 numbers"),
        ("ellipse(1,2,3)", "3 numbers"),
        ("ellipse(1,2,3,4,5,6,30)", "7 numbers"),
        ("annulus(1,2,3,4,5)", "5 numbers"),
        ("polygon(1,2,3,4)", "three or more pairs"),
        ("polygon(1,2,3,4,5,6,7)", "three or more pairs"),
        ("circle(10,20,0)", "above 0"),
        ("ellipse(10,20,0,3,0)", "above 0"),
        ("ellipse(10,20,-2,3,0)", "above 0"),
        ("ellipse(10,20,nan,3,0)", "'nan'"),
        ("ellipse(10,20,inf,3,0)", "'inf'"),
        ("circle(1e999,2,3)", "finite"),
        ("annulus(10,20,5,4)", "inner < outer"),
        ('circle(10,20,3")', "plain number"),
        ("circle(10,20,3", "parentheses"),
        ("circle 10,20,3)", "parentheses"),
        ("circle(10,20,(3))", "parentheses"),
        ("circle(10,20,3) || # color=red", "no shape"),
        ("circle(10,20,3)-circle(10,20,1)", "no shape"),
        ("circle(10,20,3x)", "'3x'"),
        ("panda(10,20,0,360,4,1,5,1)", "not known"),
        ("ruler(1,1,2,2)", "not known"),
        ("text(1,1)", "not known"),
        ("# panda(10,20,0,360,4,1,5,1)", "not known"),
        ("galactic", "frame that is not known"),
        ("ecliptic", "frame that is not known"),
        ("fk4", "frame that is not known"),
        ("detector", "frame that is not known"),
        ("amplifier", "frame that is not known"),
        ("wcsa", "frame that is not known"),
        ("nonsense here", "not known"),
        ("fk5;circle(10,95,1)", "-90 and 90"),
        ("fk5;circle(10,20,3p)", "'3p'"),
        ("fk5;circle(10,20,3i)", "'3i'"),
        ("fk5;circle(x,20,3)", "'x'"),
    ],
)
def test_what_is_refused_names_its_line(reading, line, says):
    with pytest.raises(InvalidFile, match="line 3: ") as caught:
        reading(f"image\ncircle(1,1,1)\n{line}\ncircle(2,2,2)")
    assert caught.value.line == 3
    assert says in caught.value.problem


def test_a_shape_before_any_frame(reading):
    with pytest.raises(InvalidFile, match=r"line 1: .*before any frame"):
        reading("circle(1,2,3)")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"\x1f\x8b\x08\x00", "cut short"),
        (b"SIMPLE  =                    T", "cut short"),
        (b"image\n\0\0", "no text file"),
    ],
)
def test_binary_files(tmp_path, raw, says):
    path = tmp_path / "some.reg"
    path.write_bytes(raw)
    with pytest.raises(InvalidFile, match=says):
        read_regions(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InvalidFile, match="no such file"):
        read_regions(tmp_path / "none.reg")
    with pytest.raises(InvalidFile, match="cannot be read"):
        read_regions(tmp_path)


# fmt: off
WORDS = [
    "image", "fk5", "physical", "galactic", "global", "circle", "ellipse(", "polygon", "annulus(1,2,0,4)", "(", ")",
    ";", "#", "{", "}", '"', "'", "color=", "||", "-", "!", ",", "1", "2.5", "1e9", "nan", "10:20:30", "\n", "\r", " ",
]
# fmt: on


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(WORDS), max_size=25).map("".join),
        st.binary(max_size=60),
    )
)
def test_any_file_is_read_or_is_an_invalid_file(tmp_path, content):
    path = tmp_path / "any.reg"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    with suppress(InvalidFile):
        assert all(isinstance(region, Region) for region in read_regions(path))


# Against the regions package.
@pytest.mark.parametrize(
    "line",
    [
        "circle(31.3,28.9,12.2)",
        "ellipse(30.7,33.1,15.3,7.7,31.5)",
        "box(29.2,30.6,20.3,9.1,-21)",
        "annulus(30.1,30.2,6.3,14.9)",
        "polygon(10.3,11.2,50.4,15.9,40.1,52.3,15.2,30.7)",
    ],
)
def test_masks_are_those_of_regions(reading, line):
    from regions import Regions

    (region,) = reading(f"image\n{line}")
    mask = np.zeros((64, 60), dtype=bool)
    fields = ("shape", "x", "y", "size", "angle_deg", "vertices", "include")
    paint(mask, [PixelShape(**{name: getattr(region, name) for name in fields})])
    theirs = Regions.parse(f"image\n{line}", format="ds9")[0].to_mask(mode="center").to_image(mask.shape) > 0
    assert mask.sum() > 50
    np.testing.assert_array_equal(mask, theirs)


PIXEL_NUMBERS = {
    "circle": "31.3,28.9,12.2",
    "ellipse": "30.7,33.1,15.3,7.7,31.5",
    "box": "29.2,30.6,20.3,9.1,-21",
    "annulus": "30.1,30.2,6.3,14.9",
    "polygon": "10.3,11.2,50.4,15.9,40.1,52.3,15.2,30.7",
    "point": "12.25,13.5",
}
SKY_NUMBERS = {
    "circle": "149.592,-11.0597,0.5'",
    "ellipse": '9:58:22.08,-11:03:34.92,60",40",30',
    "box": '149.592,-11.0597,60",0.02,330.5',
    "annulus": "149.592,-11.0597,0.5',60\"",
    "polygon": "149.5,-11.1,149.6,-11.1,149.58,-11.02,9:58:12.5,-11:01:12",
    "point": "9h58m22.08s,-11d3m34.92s",
}
SIZES = {
    "circle": lambda r: [r.radius],
    "ellipse": lambda r: [r.width / 2, r.height / 2],
    "box": lambda r: [r.width, r.height],
    "annulus": lambda r: [r.inner_radius, r.outer_radius],
    "polygon": lambda _: [],
    "point": lambda _: [],
}


def of_regions(text, shape):
    """Return frame, places, sizes, angle and sign of the one region of a text, as the package has them."""
    from regions import Regions

    (found,) = Regions.parse(text, format="ds9")
    at = found.vertices if shape == "polygon" else found.center
    pixels = hasattr(at, "x")
    places = [at.x, at.y] if pixels else [at.ra.deg, at.dec.deg]
    sizes = [size if pixels else size.to_value("deg") for size in SIZES[shape](found)]
    angle = found.angle.to_value("deg") if shape in ("ellipse", "box") else 0.0
    return "image" if pixels else at.frame.name, np.transpose(places), sizes, angle, bool(found.meta["include"])


@pytest.mark.parametrize(("sign", "end"), [("", ""), ("+", ""), ("-", ""), ("!", ""), ("", " # include=0")])
@pytest.mark.parametrize("frame", ["image", "physical", "fk5", "j2000", "icrs"])
@pytest.mark.parametrize("shape", PIXEL_NUMBERS)
def test_every_shape_frame_and_sign_is_that_of_regions(reading, shape, frame, sign, end):
    """It has no ``physical`` (the numbers of ``image`` without the step to 0) and no ``!`` (which is ``-``)."""
    numbers = (PIXEL_NUMBERS if frame in ("image", "physical") else SKY_NUMBERS)[shape]
    (ours,) = reading(f"{frame}\n{sign}{shape}({numbers}){end}")
    known = "image" if frame == "physical" else frame
    theirs = of_regions(f"{known}\n{sign.replace('!', '-')}{shape}({numbers}){end}", shape)
    its_frame, places, sizes, angle, included = theirs
    places = places + (frame == "physical")
    assert ours.shape == shape
    assert ours.frame == (frame if frame == "physical" else its_frame)
    assert ours.include is included is (sign not in ("-", "!") and not end)
    assert np.allclose(ours.vertices if shape == "polygon" else (ours.x, ours.y), places, rtol=0, atol=1e-9)
    assert ours.size == close(*sizes)
    assert (ours.angle_deg - angle + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)


def test_celestial_angles_are_pixel_angles_where_north_is_up(reading):
    from astropy.wcs import WCS
    from regions import Regions

    text = 'fk5\nellipse(149.592,-11.0597,60",40",30)'
    wcs = WCS(naxis=2)
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = (50, 50), (149.592, -11.0597), (-1 / 900, 1 / 900)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    pixel = Regions.parse(text, format="ds9")[0].to_pixel(wcs)
    assert reading(text)[0].angle_deg == pytest.approx(pixel.angle.to_value("deg"), abs=1e-5)
    assert [a * 900 for a in reading(text)[0].size] == pytest.approx([pixel.width / 2, pixel.height / 2], rel=1e-5)


# Against what was recorded.
@pytest.mark.parametrize(("obs_id", "count"), OBS_IDS.items())
def test_recorded_regions(data_root, oracle_root, obs_id, count):
    from astropy.io import fits
    from astropy.wcs import WCS

    folder = data_root / "a907" / obs_id
    image = fits.getheader(folder / f"{obs_id}_pn_0.50-2.00keV_img.fits.gz")
    recorded = json.loads((oracle_root / "a907" / "oracle_a907.json").read_text())["regions.all"][obs_id]
    regions = read_regions(folder / f"{obs_id}_sources.reg")
    assert len(regions) == len(recorded) == count
    wcs = WCS({k: image[k] for k in image if k[:5] in ("CTYPE", "CRVAL", "CRPIX", "CDELT") and k[-1] in "12"})
    ra, dec = wcs.all_pix2world([r.x for r in regions], [r.y for r in regions], 0)
    places = [int(np.argmin(np.hypot(ra - r["ra"], dec - r["dec"]))) for r in recorded]
    assert sorted(places) == list(range(count))
    for place, answer in zip(places, recorded, strict=True):
        region = regions[place]
        assert (ra[place], dec[place]) == pytest.approx((answer["ra"], answer["dec"]), abs=1e-9)
        semi_axes = [answer[name] / 2 / 0.00120833333 for name in ("width_deg", "height_deg")]
        assert region.size == pytest.approx(semi_axes, rel=2e-4)  # the recorded ones went through the local scale
        assert region.angle_deg == pytest.approx(answer["angle_deg"], abs=0.05)  # and its north
        assert region.colour == answer["colour"]
        assert (region.shape, region.frame) == ("ellipse", "image")


# Writing.
numbers = st.floats(-1e5, 1e5, allow_nan=False).map(lambda v: round(v, 6))
sizes = st.floats(1e-3, 1e4).map(lambda v: round(v, 6))
names = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=("Cs", "Cc")), max_size=8)


@st.composite
def some_region(draw):
    shape = draw(st.sampled_from(["circle", "ellipse", "box", "annulus", "polygon", "point"]))
    frame = draw(st.sampled_from(["image", "physical", "fk5", "icrs"]))
    sky = frame in ("fk5", "icrs")
    x, y = draw(st.tuples(st.floats(1, 358), st.floats(-89, 89)) if sky else st.tuples(numbers, numbers))
    size, vertices = (), ()
    if shape == "polygon":
        vertices = draw(st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)), min_size=3, max_size=5))
        vertices = tuple((x + dx, y + dy) for dx, dy in vertices)
        x, y = (sum(v) / len(vertices) for v in zip(*vertices, strict=True))
    elif shape != "point":
        size = draw(st.lists(sizes, min_size=1 + (shape != "circle"), max_size=1 + (shape != "circle"), unique=True))
        size = tuple(sorted(size)) if shape == "annulus" else tuple(size)
    return Region(
        shape=shape, frame=frame, x=x, y=y, size=size, vertices=vertices, include=draw(st.booleans()),
        angle_deg=draw(st.floats(-720, 720)) if shape in ("ellipse", "box") else 0.0,
        colour=draw(st.sampled_from(["red", "green", "#ff00aa"])), name=draw(names.filter(lambda t: "}" not in t)),
    )  # fmt: skip


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(some_region(), max_size=4))
def test_writing_and_reading_are_inverse(tmp_path, regions):
    path = tmp_path / "written.reg"
    write_regions(regions, path, overwrite=True)
    again = read_regions(path)
    assert len(again) == len(regions)
    for before, after in zip(regions, again, strict=True):
        for name in ("shape", "frame", "include", "colour", "name"):
            assert getattr(after, name) == getattr(before, name)
        assert (after.x, after.y) == pytest.approx((before.x, before.y), rel=1e-12, abs=1e-10)
        assert after.size == pytest.approx(before.size, rel=1e-12)
        assert np.ravel(after.vertices) == pytest.approx(np.ravel(before.vertices), rel=1e-12, abs=1e-10)
        assert after.angle_deg == pytest.approx(before.angle_deg, rel=1e-12, abs=1e-10)


def test_existing_files_are_kept(tmp_path):
    path = tmp_path / "mine.reg"
    path.write_text("precious")
    region = Region(shape="circle", frame="image", x=1, y=1, size=(1,))
    with pytest.raises(InvalidFile, match="exists"):
        write_regions([region], path)
    with pytest.raises(InvalidRecord, match="name"):
        write_regions([evolve(region, name="two\nlines")], path, overwrite=True)
    with pytest.raises(InvalidFile, match="exists and is a table of text, not a region file"):
        write_regions([region], path, overwrite=True)
    assert path.read_text() == "precious"
    path.write_text("fk5\ncircle(1,2,3)\n")
    write_regions([region], path, overwrite=True)
    assert read_regions(path)[0].size == (1.0,)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.reg"]


@pytest.mark.parametrize("name", ["a}b", 'a}b"c', "don't", "{x", "# ; x"])
def test_awkward_names(tmp_path, name):
    path = tmp_path / "named.reg"
    write_regions([Region(shape="circle", frame="image", x=1, y=1, size=(1,), name=name)], path)
    assert read_regions(path)[0].name == name


@pytest.mark.parametrize(("name", "colour"), [("}\"'", "red"), ("", "light blue"), ("", "")])
def test_what_cannot_be_written(tmp_path, name, colour):
    region = Region(shape="circle", frame="image", x=1, y=1, size=(1,), name=name, colour=colour)
    with pytest.raises(InvalidRecord):
        write_regions([region], tmp_path / "never.reg")
    assert not list(tmp_path.iterdir())


def test_seventy_regions_are_quick(reading):
    text = "fk5\n" + 'ellipse(149.5,-11.1,30",20",40) # color=red\n' * 70
    reading(text)  # the first call imports
    start = time.perf_counter()
    assert len(reading(text)) == 70
    assert time.perf_counter() - start < 0.5  # measured 0.04; loose, for a busy machine


def test_importing_loads_no_heavy_package():
    code = (
        "import sys, xphotfn.io.regions, xphotfn.io.fits, xphotfn.io.find\n"
        "print([m for m in ('regions', 'dask', 'matplotlib', 'astropy.io.fits') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
