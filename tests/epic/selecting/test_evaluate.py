"""The interpreter of selection expressions against numpy, geometry and SAS's own choice of events."""

import math
from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings, strategies as st

from xphotfn.commands.selection import expand_macros, parse, to_text
from xphotfn.epic.selecting.evaluate import evaluate
from xphotfn.epic.selecting.filter_files import file_resolver, read_gti, read_mask, read_region_table
from xphotfn.epic.selecting.filters import Axis, GtiTable, gti_table, in_gti
from xphotfn.errors import ExpressionError, InvalidFile, ShapeMismatch


def random_columns(count=1000, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "TIME": np.sort(rng.uniform(0, 1e4, count)),
        "X": rng.integers(-50, 50, count).astype(np.int32),
        "Y": rng.integers(-50, 50, count).astype(np.int32),
        "PI": rng.integers(0, 12000, count).astype(np.int16),
        "FLAG": rng.integers(-(2**31), 2**31, count).astype(np.int32),
        "PATTERN": rng.integers(0, 32, count).astype(np.uint8),
        "W": np.where(rng.random(count) < 0.1, np.nan, rng.normal(size=count)).astype(np.float32),
        "GOOD": rng.random(count) < 0.5,
    }


C = random_columns()
T, X, Y, PI, FLAG, PATTERN, W, GOOD = (C[k] for k in ("TIME", "X", "Y", "PI", "FLAG", "PATTERN", "W", "GOOD"))
x, y, pi, flag = (v.astype(np.int64) for v in (X, Y, PI, FLAG))


def cut(a, b):
    """Integer quotient towards zero."""
    return np.trunc(a / b).astype(np.int64)


CASES = [
    ("true", np.ones(1000, bool)),
    ("FALSE", np.zeros(1000, bool)),
    ("1", np.ones(1000, bool)),
    ("0.0", np.zeros(1000, bool)),
    ("X", x != 0),
    ("!X", x == 0),
    ("GOOD", GOOD),
    ("!GOOD && PI > 6000", ~GOOD & (pi > 6000)),
    ("GOOD == true", GOOD),
    ("W", (W != 0) & ~np.isnan(W)),
    ("W > 0", W > 0),
    ("W != 0", W != 0),
    ("W == W", ~np.isnan(W)),
    ("PI in [500:2000]", (pi >= 500) & (pi <= 2000)),
    ("PI in (500:2000)", (pi > 500) & (pi < 2000)),
    ("PI in (500:2000],[3000:3500),77,11000:", None),
    ("PI in :", np.ones(1000, bool)),
    ("PI .ge. 500 .and. .not. (PI .gt. 2000)", (pi >= 500) & (pi <= 2000)),
    ("PI*1000 > 6000000", pi > 6000),
    ("PI > 100000", np.zeros(1000, bool)),
    ("PI < 99999999999", np.ones(1000, bool)),
    ("FLAG & 0x766ba000 == 0", (flag & 0x766BA000) == 0),
    ("FLAG & 0x766ba000", (flag & 0x766BA000) != 0),
    ("FLAG & b110 != 0", (flag & 6) != 0),
    ("(FLAG & 0x80000000) != 0", flag < 0),
    ("(FLAG & 0x80000000) == 0x80000000", flag < 0),
    ("(FLAG & 4294967295) == FLAG", np.ones(1000, bool)),
    ("(FLAG & 0xfffffeff) == 0", (flag & ~0x100) == 0),
    ("FLAG | 3 ^ 1", ((flag | (3 ^ 1)) & 0xFFFFFFFF) != 0),
    ("~FLAG < 0", ~flag < 0),
    ("(FLAG >> 3) == (FLAG >> 3 & ~0)", np.ones(1000, bool)),
    ("(PI << 2) > 20000", pi * 4 > 20000),
    ("(b111 << 2) == b11100 && (b111 >> 2) == 1 && (1 << 40) == 0", np.ones(1000, bool)),
    ("X / 7 == Y / 7", cut(x, 7) == cut(y, 7)),
    ("X / 7.0 > Y", x / 7 > y),
    ("X % 7 == -3", np.fmod(x, 7) == -3),
    ("X / Y > 2", np.where(y == 0, np.nan, np.trunc(x / np.where(y == 0, 1, y))) > 2),
    ("X % Y == 1", np.where(y == 0, False, np.fmod(x, np.where(y == 0, 1, y)) == 1)),
    ("-X ** 2 < -100", -(x**2) < -100),
    ("X - Y - 2 > X - (Y - 2)", x - y - 2 > x - (y - 2)),
    ("sqrt(X**2 + Y**2) <= 20", np.hypot(x, y) <= 20),
    ("sqrt(X) > 3", np.where(x > 9, True, False)),
    ("abs(X) > 20 || sign(Y) == -1", (np.abs(x) > 20) | (y < 0)),
    ("min(X,Y,3) == max(X,-50)", np.minimum(np.minimum(x, y), 3) == np.maximum(x, -50)),
    ("int(X/3.0) == nint(X/3.0)", np.trunc(x / 3) == np.trunc(x / 3 + np.copysign(0.5, x))),
    ("(int(X*1.5) & 1) == 1", (np.trunc(x * 1.5).astype(int) & 1) == 1),
    ("floor(X/3.0) < ceil(X/3.0)", x % 3 != 0),
    ("mod(X,5) == 2 && fmod(X,5) == 2.0 && pow(X,2) > 4", (np.fmod(x, 5) == 2) & (x * x > 4)),
    ("modf(X/2.0) == 0.5", np.fmod(x, 2) == 1),
    ("sin(X*#RAD) > 0.5", np.sin(np.deg2rad(x)) > 0.5),
    ("atan2(Y,X)*#DEG > 45", np.rad2deg(np.arctan2(y, x)) > 45),
    ("exp(log(PI+1)) > 5000.5 && log10(PI+1) > 3", np.exp(np.log(pi + 1.0)) > 5000.5),
    ("near(PI,500,0.1)", np.where(pi == 0, False, np.abs(pi - 500) <= 0.1 * pi)),
    ("ifthenelse(X>0,PI>500,PI>2000)", np.where(x > 0, pi > 500, pi > 2000)),
    ("ifthenelse(GOOD,X,Y) > 0", np.where(GOOD, x, y) > 0),
    ("#ROW <= 100", np.arange(1000) < 100),
    ("TIME > 45d0m0s", np.deg2rad(45) < T),
    ("X < Y == 1", x < y),
    ("X == 1 || X == 2 && Y > 0", (x == 1) | ((x == 2) & (y > 0))),
    ("PATTERN <= 4 && PATTERN - 5 < 0", PATTERN <= 4),
    ("PATTERN - 40 < 0", np.ones(1000, bool)),
    ("sinh(X/10.0) > cosh(1) || tanh(X) < tan(-1) || asin(X) > 0 || acos(X) < 1", None),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_against_numpy(text, expected):
    if text.startswith("PI in (500:2000],"):
        expected = ((pi > 500) & (pi <= 2000)) | ((pi >= 3000) & (pi < 3500)) | (pi == 77) | (pi >= 11000)
    if text.startswith("sinh"):
        expected = (np.sinh(x / 10) > np.cosh(1)) | (np.tanh(x) < np.tan(-1)) | (x == 1)
    if text.startswith("exp"):
        expected = (np.exp(np.log(pi + 1.0)) > 5000.5) & (np.log10(pi + 1.0) > 3)
    found = evaluate(parse(text), C)
    assert found.dtype == bool
    assert found.shape == (1000,)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(evaluate(parse(to_text(parse(text))), C), expected)


def test_masks_equal_columns_of_the_same_bits():
    flags = {"FLAG": np.array([-1, -2147483648, 5], dtype=np.int32), "T": np.array([-1, 2**32 - 1, 5])}
    assert evaluate(parse("FLAG == 0xffffffff"), flags).tolist() == [True, False, False]
    assert evaluate(parse("FLAG in 2147483648"), flags).tolist() == [False, True, False]
    assert evaluate(parse("FLAG < 0x80000000"), flags).tolist() == [True, True, True]
    assert evaluate(parse("T == 0xffffffff"), flags).tolist() == [False, True, False]
    assert evaluate(parse("(0x80000000 & 0xffffffff) == 0x80000000"), flags).all()


def test_row_number_goes_on_over_chunks():
    assert evaluate(parse("#ROW == 12"), {"X": np.arange(4)}, first_row=10).tolist() == [False, False, True, False]


def test_without_columns_the_number_of_rows_is_needed():
    assert evaluate(parse("#ROW > 1"), {}, rows=2).tolist() == [False, True]
    with pytest.raises(ShapeMismatch, match="rows="):
        evaluate(parse("true"), {})
    with pytest.raises(ShapeMismatch, match=r"\[3, 4\]"):
        evaluate(parse("A"), {"A": np.ones(3), "B": np.ones(4)})


def test_chunks_give_what_the_whole_gives():
    tree = parse("PI in [500:9000] && sqrt(X**2+Y**2) < 40 && #ROW % 3 != 0")
    parts = [evaluate(tree, {k: v[i : i + 77] for k, v in C.items()}, first_row=i + 1) for i in range(0, 1000, 77)]
    np.testing.assert_array_equal(np.concatenate(parts), evaluate(tree, C))


def test_memo_shares_the_work_and_not_the_arrays():
    memo = {}
    one, two = parse("(PI in [500:2000] && X > 0) && Y > 0"), parse("(PI in [500:2000] && X > 0) && Y < 0")
    first, second = evaluate(one, C, memo=memo), evaluate(two, C, memo=memo)
    np.testing.assert_array_equal(first, evaluate(one, C))
    np.testing.assert_array_equal(second, evaluate(two, C))
    again = evaluate(one, C, memo=memo)
    again[:] = False
    np.testing.assert_array_equal(evaluate(one, C, memo=memo), first)


@pytest.mark.parametrize(
    ("text", "word", "place"),
    [
        ("PI > 500 && PJ > 3", "did you mean PI", "PJ"),
        ("pi > 500", "PI", "pi"),
        ("Q == 1", "There are: FLAG, GOOD, PATTERN", "Q"),
        ("#XMMEA_EM", "macro", "#XMMEA_EM"),
        ("(TIME & 3) == 0", "whole numbers", "TIME & 3"),
        ("~1.5 == 0", "whole numbers", "~1.5"),
        ("PI > 5 && gti(a.fits,TIME)", "a.fits", "gti(a.fits,TIME)"),
    ],
)
def test_what_cannot_be_evaluated_points_at_its_place(text, word, place):
    with pytest.raises(ExpressionError) as caught:
        evaluate(parse(text), C)
    assert word in caught.value.problem
    assert caught.value.text == to_text(parse(text))
    assert caught.value.text[caught.value.position :].startswith(place)


def test_text_and_vector_columns_are_refused():
    with pytest.raises(ExpressionError, match="text"):
        evaluate(parse("A == 1"), {"A": np.array(["x", "y"])})
    with pytest.raises(ExpressionError, match="vector"):
        evaluate(parse("A == 1"), {"A": np.ones((3, 2))})


def test_division_by_zero_selects_nothing():
    found = evaluate(parse("X/0 >= 0 || X/0 < 0 || 1/0 == 1 || X % 0 == 0 || 1 % 0 == 0"), C)
    assert not found.any()


# Regions


def points():
    """Return a grid of points, halves included, as columns."""
    grid = np.arange(-12, 12.5, 0.5)
    a, b = np.meshgrid(grid, grid)
    return {"X": a.ravel(), "Y": b.ravel()}


P = points()
PX, PY = P["X"], P["Y"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("point(2,3,X,Y)", (PX == 2) & (PY == 3)),
        ("line(-5,0,5,0,X,Y)", ((np.abs(PX) <= 5) & (np.abs(PY) <= 0.5)) | (np.hypot(np.abs(PX) - 5, PY) <= 0.5)),
        ("line(1,1,1,1,X,Y)", np.hypot(PX - 1, PY - 1) <= 0.5),
        ("circle(1,2,5,X,Y)", (PX - 1) ** 2 + (PY - 2) ** 2 <= 25),
        ("circle(1,2,-5,X,Y)", np.zeros(PX.shape, bool)),
        ("ring(0,0,3,5,X,Y)", (PX**2 + PY**2 >= 9) & (PX**2 + PY**2 <= 25)),
        ("sector(0,0,0,90,X,Y)", (PX >= 0) & (PY >= 0)),
        ("sector(0,0,90,180,X,Y)", (PX <= 0) & (PY >= 0)),
        ("sector(0,0,-45,45,X,Y)", np.abs(PY) <= PX),
        ("sector(0,0,315,405,X,Y)", np.abs(PY) <= PX),
        ("sector(0,0,0,360,X,Y)", np.ones(PX.shape, bool)),
        ("sector(1,1,0,0,X,Y)", (PY == 1) & (PX >= 1)),
        ("ellipse(0,0,4,2,0,X,Y)", 4 * PX**2 + 16 * PY**2 <= 64),
        ("ellipse(0,0,4,2,90,X,Y)", 16 * PX**2 + 4 * PY**2 <= 64),
        ("ellipse(0,0,5,5,30,X,Y)", PX**2 + PY**2 <= 25),
        ("elliptannulus(0,0,2,1,4,2,0,0,X,Y)", (PX**2 / 16 + PY**2 / 4 <= 1) & (PX**2 / 4 + PY**2 >= 1)),
        ("box(1,2,3,1,0,X,Y)", (np.abs(PX - 1) <= 3) & (np.abs(PY - 2) <= 1)),
        ("box(1,2,3,1,90,X,Y)", (np.abs(PX - 1) <= 1) & (np.abs(PY - 2) <= 3)),
        ("box(0,0,3,3,45,X,Y)", np.abs(PX) + np.abs(PY) <= 3 * math.sqrt(2)),
        ("rectangle(-2,-1,4,3,0,X,Y)", (PX >= -2) & (PX <= 4) & (PY >= -1) & (PY <= 3)),
        ("rectangle(-3,-1,3,1,90,X,Y)", (np.abs(PX) <= 1) & (np.abs(PY) <= 3)),
        ("rhombus(0,0,4,2,0,X,Y)", np.abs(PX) / 4 + np.abs(PY) / 2 <= 1),
        ("diamond(0,0,4,2,90,X,Y)", np.abs(PX) / 2 + np.abs(PY) / 4 <= 1),
        ("polygon(0,0,4,0,4,4,0,4,X,Y)", (PX >= 0) & (PX <= 4) & (PY >= 0) & (PY <= 4)),
        ("polygon2(0,0,4,4,0,4,X,Y)", (PX >= 0) & (PY <= 4) & (PY >= PX)),
        # a bow tie has two halves that touch
        ("polygon(-2,-2,2,2,2,-2,-2,2,X,Y)", (np.abs(PY) <= np.abs(PX)) & (np.abs(PX) <= 2)),
        ("(X,Y) in polygon(0,0,6,0,6,6,4,6,4,2,2,2,2,6,0,6)", None),
        ("(X+1,Y) in circle(0,0,2)", (PX + 1) ** 2 + PY**2 <= 4),
    ],
)
def test_regions_against_closed_formulas(text, expected):
    if expected is None:  # a U: a block without its notch, whose border belongs to it
        block = (PX >= 0) & (PX <= 6) & (PY >= 0) & (PY <= 6)
        expected = block & ~((PX > 2) & (PX < 4) & (PY > 2))
    np.testing.assert_array_equal(evaluate(parse(text), P), expected)


@settings(max_examples=60, deadline=None)
@given(st.floats(-180, 180), st.floats(1, 8), st.floats(1, 8))
def test_turned_shapes_are_the_shape_with_turned_points(angle, a, b):
    turn = np.deg2rad(angle)
    back = {"X": PX * np.cos(turn) + PY * np.sin(turn), "Y": PY * np.cos(turn) - PX * np.sin(turn)}
    for name in ("ellipse", "box", "rhombus"):
        turned = evaluate(parse(f"{name}(0,0,{a},{b},{angle},X,Y)"), P)
        np.testing.assert_array_equal(turned, evaluate(parse(f"{name}(0,0,{a},{b},0,X,Y)"), back))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-10, 10), st.integers(-10, 10)), min_size=3, max_size=7, unique=True))
def test_polygon_by_winding(corners):
    """Even-odd by angles: the number of turns around an inner point is odd."""
    text = ",".join(f"{a},{b}" for a, b in corners)
    found = evaluate(parse(f"polygon({text},X,Y)"), P)
    closed = [*corners, corners[0]]
    for px, py, inside in zip(PX[::7] + 0.2617, PY[::7] + 0.1311, found_at(text, 0.2617, 0.1311)[::7], strict=True):
        crossings = 0
        for (xa, ya), (xb, yb) in pairwise(closed):
            if (ya > py) != (yb > py) and px < xa + (py - ya) * (xb - xa) / (yb - ya):
                crossings += 1
        assert inside == bool(crossings % 2)
    for a, b in corners:
        assert found[np.equal(PX, a) & np.equal(PY, b)].all()


def found_at(text, dx, dy):
    return evaluate(parse(f"polygon({text},X+{dx},Y+{dy})"), P)


# Good time intervals, masks and region tables


def write_table(path, name, columns, header=(), first=None):
    table = fits.BinTableHDU.from_columns([fits.Column(name=k, format=f, array=v) for k, f, v in columns], name=name)
    for key, value in header:
        table.header[key] = value
    fits.HDUList([fits.PrimaryHDU(first), table]).writeto(path)
    return path


def test_gti_table_joins_and_orders():
    table = gti_table(np.array([5.0, 0.0, 1.0, 8.0, 3.0]), np.array([6.0, 2.0, 2.5, 8.0, 5.0]))
    assert (table.start.tolist(), table.stop.tolist()) == ([0.0, 3.0], [2.5, 6.0])
    assert table == gti_table(table.start, table.stop)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8),
    st.lists(st.integers(-2, 32), max_size=20),
)
def test_in_gti_against_each_interval(pairs, times):
    table = gti_table(np.array([a for a, _ in pairs], float), np.array([b for _, b in pairs], float))
    expected = [any(a <= t <= b for a, b in pairs if a < b) for t in times]
    assert in_gti(table, np.array(times, float)).tolist() == expected


def test_no_time_is_good_where_it_is_not_a_number():
    table = GtiTable(start=np.array([0.0]), stop=np.array([9.0]))
    assert in_gti(table, np.array([np.nan, 3.0, 9.0, 9.5])).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    "spec", ["g.fits", "g.fits:1", "g.fits+STDGTI", "g.fits[STDGTI]", "g.fits:stdgti", "g.fits[1]"]
)
def test_gti_of_every_spelling(tmp_path, spec):
    write_table(tmp_path / "g.fits", "STDGTI", [("START", "D", [100.0, 500.0]), ("STOP", "D", [200.0, 700.0])])
    found = evaluate(parse(f"gti({spec},TIME)"), C, resolve=file_resolver(tmp_path, "events.fits"))
    np.testing.assert_array_equal(found, ((T >= 100) & (T <= 200)) | ((T >= 500) & (T <= 700)))


def test_gti_of_the_current_file_and_each_file_read_once(tmp_path):
    path = write_table(tmp_path / "events.fits", "G", [("START", "D", [1.0]), ("STOP", "D", [2000.0])])
    resolve = file_resolver(tmp_path, "events.fits")
    first = evaluate(parse("TIME in gti(:G)"), C, resolve=resolve)
    path.unlink()
    np.testing.assert_array_equal(evaluate(parse("gti(:G,TIME)"), C, resolve=resolve), first)
    assert first.sum() == ((T >= 1) & (T <= 2000)).sum()


def test_what_is_no_gti_says_what_it_is(tmp_path):
    write_table(tmp_path / "t.fits", "EVENTS", [("TIME", "D", [1.0])], first=np.zeros((3, 5)))
    write_table(tmp_path / "s.fits", "GTI", [("START", "4A", ["a"]), ("STOP", "4A", ["b"])])
    write_table(tmp_path / "n.fits", "GTI", [("START", "D", [np.nan]), ("STOP", "D", [1.0])])
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    (tmp_path / "text.fits").write_text("START STOP\n1 2\n")
    cases = [
        ("t.fits", "", r"PRIMARY \(image 5 x 3\)"),
        ("t.fits", "2", r"EVENTS \(table with TIME\)"),
        ("t.fits", "GTI", "no block 'GTI'; there are PRIMARY .*EVENTS"),
        ("t.fits", "7", "no block '7'"),
        ("s.fits", "", "one number"),
        ("n.fits", "", "NaN"),
        ("empty.fits", "", "no table and no image"),
        ("text.fits", "", "is not a FITS file"),
        ("none.fits", "", "no such file"),
    ]
    for name, block, problem in cases:
        with pytest.raises(InvalidFile, match=problem) as caught:
            read_gti(tmp_path / name, block)
        assert caught.value.path == name


def test_mask_in_columns_and_in_the_sky(tmp_path):
    pixels = np.zeros((4, 6), dtype=np.int16)
    pixels[1, 2] = pixels[3, 5] = 1
    plain = fits.PrimaryHDU(pixels)
    plain.writeto(tmp_path / "plain.fits")
    for key, value in (
        ("CRPIX1", 1),
        ("CRVAL1", 10.0),
        ("CDELT1", 2.0),
        ("CRPIX2", 1),
        ("CRVAL2", 20.0),
        ("CDELT2", 5.0),
    ):
        plain.header[key] = value
    plain.writeto(tmp_path / "wcs.fits")
    at = {"X": np.array([3, 6, 1, 14, 0]), "Y": np.array([2, 4, 1, 25, 0])}
    resolve = file_resolver(tmp_path, "")
    assert evaluate(parse("mask(plain.fits,0,0,X,Y)"), at, resolve=resolve).tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert evaluate(parse("mask(plain.fits,1,1,X+1,Y+1)"), at, resolve=resolve).tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert evaluate(parse("mask(wcs.fits,0,0,X,Y)"), at, resolve=resolve).tolist() == [False, False, False, True, False]
    axes = {"X": Axis(pixel0=1, value0=10.0, step=2.0), "Y": Axis(pixel0=1, value0=20.0, step=5.0)}
    sky = evaluate(parse("(X,Y) in mask(wcs.fits,0,0)"), at, resolve=file_resolver(tmp_path, "", axes))
    assert sky.tolist() == [True, True, False, False, False]


def test_what_is_no_mask_says_what_it_is(tmp_path):
    write_table(tmp_path / "t.fits", "GTI", [("START", "D", [1.0])])
    header = fits.Header([("CRPIX1", 1), ("CRVAL1", 1.0), ("CDELT1", 0.0)])
    fits.PrimaryHDU(np.ones((2, 2)), header).writeto(tmp_path / "z.fits")
    fits.PrimaryHDU(np.ones(5)).writeto(tmp_path / "one.fits")
    for name, problem in (("t.fits", "table with START"), ("z.fits", "CDELT1 is 0"), ("one.fits", "image 5")):
        with pytest.raises(InvalidFile, match=problem):
            read_mask(tmp_path / name)


def region_file(path, shapes, component=None):
    columns = [
        ("SHAPE", "16A", [s[0] for s in shapes]),
        ("X", "4D", [np.resize(s[1], 4) for s in shapes]),
        ("Y", "4D", [np.resize(s[2], 4) for s in shapes]),
        ("R", "4D", [np.resize(s[3], 4) for s in shapes]),
        ("ROTANG", "2D", [np.resize(s[4], 2) for s in shapes]),
    ]
    if component is not None:
        columns.append(("COMPONENT", "J", component))
    return write_table(path, "REGION", columns)


ROWS = [
    ("CIRCLE", [0], [0], [4], [0]),
    ("!BOX", [0], [0], [4, 2], [0]),
    ("ellipse", [5], [5], [3, 1], [90]),
    ("ROTRECTANGLE", [-9, -5], [-9, -7], [0], [0]),
    ("PIE", [8], [-8], [0], [0, 90]),
    ("POLYGON", [-9, -5, -9, -9], [5, 5, 9, 9], [0], [0]),
    ("ANNULUS", [9], [0], [1, 2], [0]),
    ("POINT", [11], [11], [0], [0]),
    ("ELLIPTANNULUS", [-8], [0], [1, 1, 2, 2], [0, 0]),
    ("LINE", [0, 4], [9, 9], [0], [0]),
    ("DIAMOND", [0], [-8], [4, 4], [0]),
]


def test_region_table_of_every_shape(tmp_path):
    region_file(tmp_path / "r.fits", ROWS)
    found = evaluate(parse("region(r.fits:REGION,X,Y)"), P, resolve=file_resolver(tmp_path, ""))
    inside = (
        "circle(0,0,4,X,Y) || ellipse(5,5,3,1,90,X,Y) || rectangle(-9,-9,-5,-7,0,X,Y) || sector(8,-8,0,90,X,Y) || "
        "polygon(-9,5,-5,5,-9,9,X,Y) || ring(9,0,1,2,X,Y) || point(11,11,X,Y) || "
        "elliptannulus(-8,0,1,1,2,2,0,0,X,Y) || line(0,9,4,9,X,Y) || rhombus(0,-8,2,2,0,X,Y)"
    )
    expected = evaluate(parse(f"!box(0,0,2,1,0,X,Y) && ({inside})"), P)
    np.testing.assert_array_equal(found, expected)


def test_components_of_a_region_table(tmp_path):
    rows = [("CIRCLE", [0], [0], [4], [0]), ("CIRCLE", [3], [0], [4], [0]), ("CIRCLE", [9], [9], [1], [0])]
    region_file(tmp_path / "r.fits", rows, component=[1, 1, 2])
    found = evaluate(parse("(X,Y) in region(r.fits)"), P, resolve=file_resolver(tmp_path, ""))
    text = "(circle(0,0,4,X,Y) && circle(3,0,4,X,Y)) || circle(9,9,1,X,Y)"
    np.testing.assert_array_equal(found, evaluate(parse(text), P))


def test_what_is_no_region_table_says_what_it_is(tmp_path):
    region_file(tmp_path / "r.fits", [("HEXAGON", [0], [0], [4], [0])])
    write_table(tmp_path / "t.fits", "GTI", [("START", "D", [1.0])])
    write_table(tmp_path / "few.fits", "R", [("SHAPE", "8A", ["CIRCLE"]), ("X", "D", [1.0]), ("Y", "D", [1.0])])
    with pytest.raises(InvalidFile, match="row 1 has shape 'hexagon'"):
        read_region_table(tmp_path / "r.fits")
    with pytest.raises(InvalidFile, match="not a region table"):
        read_region_table(tmp_path / "t.fits")
    assert read_region_table(tmp_path / "few.fits").components[0][0].numbers == (1.0, 1.0, 0.0)


# Random expressions against Python on each row

numeric = st.sampled_from(["X", "Y", "PI", "TIME", "3", "-7", "2.5", "0x1f"])
comparison = st.builds(
    lambda a, op, b: f"({a} {op} {b})", numeric, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), numeric
)
arithmetic = st.builds(lambda a, op, b: f"({a} {op} {b})", numeric, st.sampled_from("+-*"), numeric)
mixed = st.builds(lambda a, op, b: f"({a} {op} {b})", arithmetic, st.sampled_from(["<", ">="]), arithmetic)
conditions = st.recursive(
    comparison | mixed,
    lambda inner: (
        st.builds(lambda a, op, b: f"({a} {op} {b})", inner, st.sampled_from(["&&", "||"]), inner)
        | st.builds(lambda a: f"(!{a})", inner)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(conditions)
def test_conditions_row_by_row(text):
    columns = {k: v[:40] for k, v in C.items()}
    python = text.replace("&&", " and ").replace("||", " or ").replace("!(", " not (")
    rows = [
        bool(eval(python, {k: columns[k][i].item() for k in ("X", "Y", "PI", "TIME")}))  # noqa: S307
        for i in range(40)
    ]
    assert evaluate(parse(text), columns).tolist() == rows


# Real events


def test_real_flags_row_by_row(data_root):
    """The selection that made M1_image.fits, on the pipeline's own event list, against plain numpy."""
    folder = data_root / "pps" / "0001730201"
    with fits.open(folder / "P0001730201M1S002MIEVLI.FTZ") as hdus:
        events, header = hdus["EVENTS"].data, hdus["EVENTS"].header
        columns = {k: np.asarray(events[k]) for k in ("PI", "FLAG", "PATTERN", "TIME", "X", "Y")}
        text = expand_macros("#XMMEA_EM && PATTERN<=12 && PI in [500:10000] && gti(M1_gti.fits,TIME)", dict(header))
    with fits.open(folder / "M1_gti.fits") as hdus:
        intervals = [(float(row["START"]), float(row["STOP"])) for row in hdus[1].data]
    time = columns["TIME"]
    good = np.zeros(len(time), bool)
    for start, stop in intervals:
        good |= (time >= start) & (time <= stop)
    flag = columns["FLAG"].astype(np.int64) & 0xFFFFFFFF
    pi = columns["PI"].astype(int)
    expected = (flag & 0x766BA000 == 0) & (columns["PATTERN"] <= 12) & (pi >= 500) & (pi <= 10000) & good
    found = evaluate(parse(text), columns, resolve=file_resolver(folder, "P0001730201M1S002MIEVLI.FTZ"))
    np.testing.assert_array_equal(found, expected)
    with fits.open(folder / "M1_image.fits") as hdus:
        inside = (columns["X"] >= 1) & (columns["X"] <= 51840) & (columns["Y"] >= 1) & (columns["Y"] <= 51840)
        assert int(hdus[0].data.sum()) == int((found & inside).sum())


@pytest.mark.parametrize("obs", ["0201901401", "0201903501", "0404910601"])
@pytest.mark.parametrize("camera", ["mos1", "mos2"])
def test_clean_lists_pass_the_selection_that_cleaned_them(obs, camera, data_root):
    with fits.open(data_root / "a907" / obs / f"{obs}_{camera}_clean_evts.fits.gz") as hdus:
        events, header = hdus["EVENTS"].data, dict(hdus["EVENTS"].header)
        columns = {k: np.asarray(events[k]) for k in ("FLAG", "PATTERN")}
    text = expand_macros("#XMMEA_EM && (PATTERN <= 12) && (FLAG .eq. 0)", header)
    assert evaluate(parse(text), columns).all()
